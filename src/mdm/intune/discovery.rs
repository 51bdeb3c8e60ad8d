//! Where the compliance retrieval service of a tenant is.
//!
//! Owns the question and the choice among what is listed. When it is asked again is the client's business.

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use crate::device::question::Failure;

use super::{
    super::{
        cloud::Endpoints,
        explain::{self, Complaint, GraphError},
        transport::Reply,
    },
    graph::{below, envelope, json},
};

/// How it is called in sentences.
const DISCOVERY: &str = "service discovery (Graph)";

/// Any one of these will do; the first is the smallest.
pub(super) const PERMISSION: &str = "ServicePrincipalEndpoint.Read.All (or Application.Read.All)";

/// The service that is looked for. The retired `NACAPIService` is still listed beside it.
const SERVICE: &str = "ComplianceRetrievalService";

/// The app of Microsoft Intune, which has the services as endpoints.
const INTUNE_APP: &str = "appId=0000000a-0000-0000-c000-000000000000";

#[derive(Deserialize)]
struct List {
    /// Read one by one: an entry that is odd hides no other.
    value: Vec<Value>,
    /// Some answers with status 200 are errors.
    #[serde(default)]
    error: Option<GraphError>,
}

/// Where to ask.
pub(super) fn url(graph: &Url) -> Url {
    below(graph, &["v1.0", "servicePrincipals", INTUNE_APP, "endpoints"])
}

/// Judges the reply: where the service is.
/// Source: Microsoft Graph, servicePrincipal endpoints; names are compared without case, as Microsoft's own client does.
pub(super) fn judge(reply: &Reply, endpoints: &Endpoints) -> Result<Url, Complaint> {
    match (reply.status, envelope(reply)) {
        (200, _) => {
            let list: List = json(reply)?;
            if list.error.is_some() {
                return Err(Complaint::garbage(DISCOVERY, reply, "an error in place of a list"));
            }
            choose(&list.value, endpoints)
        }
        (401, _) => Err(explain::unauthorised(DISCOVERY)),
        (403, Some(_)) => Err(explain::forbidden(DISCOVERY, PERMISSION)),
        _ => Err(Complaint::status(DISCOVERY, reply)),
    }
}

/// The first address of the service that the token may be shown to: of the chosen cloud only.
fn choose(listed: &[Value], endpoints: &Endpoints) -> Result<Url, Complaint> {
    let is_named = |entry: &&Value| {
        let names = ["providerName", "serviceName"].map(|field| entry.get(field).and_then(Value::as_str));
        names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(SERVICE))
    };
    // Some of what is listed is no address at all.
    let address = |entry: &Value| Url::parse(entry.get("uri")?.as_str()?).ok();
    let mut stranger = None;
    for url in listed.iter().filter(is_named).filter_map(address) {
        if endpoints.may_be_service(&url) {
            return Ok(url);
        }
        stranger = stranger.or(Some(url));
    }
    let sentence = match stranger.as_ref().and_then(Url::host_str) {
        Some(host) => format!(
            "compliance retrieval is on {}, which is no host of this cloud, so no token is shown to it; check cloud and \
             graph-url",
            explain::limited(host)
        ),
        None => "this tenant lists no compliance retrieval service; check the Intune licence and cloud, or write \
                 lookup = [\"graph\"]"
            .to_owned(),
    };
    Err(Complaint::new(Failure::Misconfigured, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdm::settings::{Credential, Intune, SecretText};

    fn endpoints() -> Endpoints {
        let secret = Credential::Secret(SecretText::fixed("x".to_owned().into()));
        Endpoints::resolve(&Intune::new("t", "aaaa1111-bb22-cc33-dd44-eeee5555ffff", secret)).expect("they are right")
    }

    fn judged(value: &Value) -> Result<String, Complaint> {
        let body = serde_json::json!({ "@odata.context": "x", "value": value }).to_string().into_bytes();
        let reply = Reply { status: 200, content_type: "application/json".into(), body, ..Reply::default() };
        judge(&reply, &endpoints()).map(String::from)
    }

    fn found(entries: &[(&str, &str)]) -> Option<String> {
        let value: Vec<_> = entries
            .iter()
            .map(|(name, uri)| serde_json::json!({ "id": "x", "deletedDateTime": null, "providerName": name, "uri": uri }))
            .collect();
        judged(&value.into()).ok()
    }

    /// Trap 5: decoys, texts that are no addresses, other spellings, other hosts.
    #[test]
    fn the_right_service_is_found_among_decoys() {
        let right = "https://fef.msud01.manage.microsoft.com/TrafficGateway/ComplianceRetrievalService";
        let decoys = [
            ("ASUName", "TESTASU01"),
            ("NACAPIService", "https://fef.msud01.manage.microsoft.com/StatelessNACService"),
            ("ComplianceRetrievalService", "TESTASU01"),
            ("ComplianceRetrievalService", "https://evil.example/ComplianceRetrievalService"),
        ];
        assert_eq!(found(&decoys), None);
        for name in ["ComplianceRetrievalService", "complianceretrievalservice"] {
            assert_eq!(found(&[decoys.as_slice(), &[(name, right)]].concat()).as_deref(), Some(right), "{name}");
        }
    }

    #[test]
    fn the_older_name_of_the_field_is_understood() {
        let body =
            r#"{"value":[{"serviceName":"ComplianceRetrievalService","uri":"https://fef.x.manage.microsoft.com/y"}]}"#;
        let reply =
            Reply { status: 200, content_type: "application/json".into(), body: body.into(), ..Reply::default() };
        assert!(judge(&reply, &endpoints()).is_ok());
    }

    /// Trap 5: an entry that is odd in another way than those that are known hides no other.
    #[test]
    fn odd_entries_are_skipped() {
        let uri = "https://fef.x.manage.microsoft.com/y";
        let both = serde_json::json!({ "providerName": "x", "serviceName": "ComplianceRetrievalService", "uri": uri });
        let odd = serde_json::json!([
            { "providerName": "ComplianceRetrievalService", "uri": { "href": uri } },
            { "providerName": "ComplianceRetrievalService", "uri": null },
            { "providerName": ["ComplianceRetrievalService"], "uri": uri },
            { "providerName": 7, "uri": 7 }, "text", null, [], both,
        ]);
        assert_eq!(judged(&odd).expect("the last is right"), uri);
    }

    #[test]
    fn a_service_on_a_foreign_host_is_told_with_its_host() {
        let entry = |host: &str| {
            let uri = format!("https://{host}/ComplianceRetrievalService");
            serde_json::json!([{ "providerName": "ComplianceRetrievalService", "uri": uri }])
        };
        let complaint = judged(&entry("fef.x.manage.microsoft.us")).expect_err("it is another cloud's");
        assert_eq!(complaint.failure, Failure::Misconfigured);
        assert!(complaint.sentence.contains("is on fef.x.manage.microsoft.us, which is no host of this cloud"));
        let complaint = judged(&serde_json::json!([])).expect_err("there is none");
        assert!(complaint.sentence.contains("lists no compliance retrieval service"), "{}", complaint.sentence);
    }

    #[test]
    fn an_error_beside_an_empty_list_does_not_mean_that_the_service_is_not_there() {
        let body = r#"{"error":{"code":"x","message":"y"},"value":[]}"#;
        let reply =
            Reply { status: 200, content_type: "application/json".into(), body: body.into(), ..Reply::default() };
        assert_eq!(judge(&reply, &endpoints()).expect_err("it is an error").failure, Failure::Unreachable);
    }

    #[test]
    fn a_missing_permission_is_named() {
        let body = r#"{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}"#;
        let reply = Reply { status: 403, body: body.into(), ..Reply::default() };
        let complaint = judge(&reply, &endpoints()).expect_err("403");
        assert_eq!(complaint.failure, Failure::Misconfigured);
        assert!(complaint.sentence.contains("ServicePrincipalEndpoint.Read.All"), "{}", complaint.sentence);
    }

    #[test]
    fn it_is_asked_about_the_app_of_intune() {
        let url = url(&Url::parse("https://graph.microsoft.com").expect("a URL"));
        assert_eq!(
            url.as_str(),
            "https://graph.microsoft.com/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints"
        );
    }
}
