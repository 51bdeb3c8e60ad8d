//! Why a service gave no usable answer, and what an admin can do about it, in one sentence.
//!
//! Owns the sentences. Decisions branch on statuses and the names of errors only; Microsoft's numbers, which are for
//! people and may change, choose the words.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use crate::device::question::Failure;

use super::{
    breaker::Report,
    transport::{Broken, Reply},
};

/// A call without a usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// What policy will see.
    pub(super) failure: Failure,
    /// What the service asked for.
    pub(super) retry_after: Option<Duration>,
    /// Whether the service was asked at all: not, if its breaker is shut, the budget is empty, or there is no token.
    pub(super) asked: bool,
    /// What is wrong, and after a semicolon what to do. Holds no device, token or secret.
    pub(super) sentence: Arc<str>,
}

impl Complaint {
    pub(super) fn new(failure: Failure, sentence: impl Into<Arc<str>>) -> Self {
        Self { failure, retry_after: None, asked: true, sentence: sentence.into() }
    }

    /// The same about a service that was not asked.
    pub(super) fn unasked(self) -> Self {
        Self { asked: false, ..self }
    }

    /// A reply that is none of what the service documents.
    pub(super) fn garbage(service: &str, reply: &Reply, what: &str) -> Self {
        let kind = if reply.content_type.is_empty() { "no content type" } else { reply.content_type.as_str() };
        let sentence = format!(
            "{service} answered {} with {kind}: {what}; if a proxy or a portal answers in its place, let this host past",
            reply.status
        );
        Self { retry_after: reply.retry_after, ..Self::new(Failure::Unreachable, sentence) }
    }

    /// A reply with a status that says nothing about the question: a redirect, a server error.
    pub(super) fn status(service: &str, reply: &Reply) -> Self {
        match reply.status {
            300..=399 => Self::garbage(service, reply, "a redirect, which is not followed"),
            429 => Self {
                retry_after: reply.retry_after,
                ..Self::new(
                    Failure::Throttled,
                    format!("{service} throttles (429); lower requests-per-second if this goes on"),
                )
            },
            500..=599 => Self {
                retry_after: reply.retry_after,
                ..Self::new(
                    Failure::Unreachable,
                    format!("{service} answered {}; see Microsoft's service health", reply.status),
                )
            },
            _ => Self::garbage(service, reply, "an unexpected status"),
        }
    }

    /// No reply at all.
    pub(super) fn broken(service: &str, host: &str, broken: &Broken) -> Self {
        let sentence = match broken {
            Broken::TimedOut => format!("{service} ({host}) did not answer in time; check firewall, proxy and DNS"),
            Broken::NotConnected(why) => format!("can't reach {service} ({host}): {why}; {}", connect_advice(why)),
            Broken::Cut(why) => format!("the connection to {service} ({host}) broke: {why}; check proxy and firewall"),
            Broken::TooLarge => format!("{service} ({host}) sent too much; that is no answer of Microsoft's"),
        };
        Self::new(Failure::Unreachable, sentence)
    }

    /// What the breaker of the service is told.
    pub(super) const fn report(&self) -> Report {
        match self.failure {
            Failure::Throttled => Report::Throttled { retry_after: self.retry_after },
            Failure::Misconfigured => Report::Refused,
            Failure::Unreachable | Failure::Late | Failure::NotReady => {
                Report::Unreachable { retry_after: self.retry_after }
            }
        }
    }
}

fn connect_advice(why: &str) -> &'static str {
    let why = why.to_ascii_lowercase();
    // A signature that does not fit is what an unknown issuer of a known name looks like.
    if why.contains("unknownissuer") || why.contains("unknown issuer") || why.contains("badsignature") {
        "its certificate is from nobody trusted, as behind TLS inspection: add that root to trust-anchors, or exempt \
         the host"
    } else if why.contains("certificate") {
        "its certificate is not valid: check this machine's clock and TLS inspection"
    } else if why.contains("dns") || why.contains("lookup") || why.contains("resolve") {
        "the name does not resolve: check DNS, or set proxy"
    } else if why.contains("tunnel") || why.contains("proxy") {
        "the proxy refused: check proxy and its rules"
    } else {
        "check firewall, proxy and DNS"
    }
}

/// Entra's error to a request for a token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EntraError {
    pub(super) error: String,
    pub(super) error_description: String,
    pub(super) error_codes: Vec<u64>,
}

impl EntraError {
    /// The number that people search for: from the list, else from the text.
    pub(super) fn code(&self) -> Option<u64> {
        self.error_codes.first().copied().or_else(|| {
            let (_, rest) = self.error_description.split_once("AADSTS")?;
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest.get(..digits)?.parse().ok()
        })
    }

    /// What it means and what to do.
    /// Source: Microsoft Entra, authentication and authorization error codes.
    pub(super) fn sentence(&self) -> String {
        let advice = match self.code() {
            Some(7_000_215) => "wrong client secret: configure the secret's value, not its id",
            Some(7_000_222) => "the client secret has expired: create a new one, or better use a certificate",
            Some(70_002 | 7_000_218) => "no usable credential was sent: check credential in the [[mdm]] block",
            Some(700_027) => self.reason_of_700027(),
            Some(700_030) => "the certificate's subject is not authorised for this app",
            Some(50_012 | 50_013 | 500_133 | 700_024) => {
                "the assertion is outside of its time: set this machine's clock"
            }
            Some(50_027 | 50_048) => "the assertion is not valid: check tenant-id, client-id and token-url",
            Some(700_016) => "the application is not in this tenant: check client-id and tenant-id",
            Some(7_000_112 | 70_001) => "the application is disabled: enable it under Enterprise applications",
            Some(90_002) => "there is no such tenant in this cloud: check tenant-id and cloud",
            Some(90_038 | 900_382 | 900_432) => "the tenant lives in another cloud: check cloud",
            Some(500_011 | 50_001) => {
                "the tenant does not know the service that was named: check graph-scope and intune-scope, and that \
                 Intune is licensed"
            }
            Some(70_011 | 28_002 | 700_022 | 700_023 | 1_002_012) => {
                "the scope is wrong: it names one service and ends in /.default; check graph-scope and intune-scope"
            }
            Some(65_001 | 650_056 | 650_057) => "consent is missing: grant admin consent under API permissions",
            Some(53_003) => "Conditional Access for workload identities blocks this app: exempt it",
            Some(90_055 | 50_196) => "the tenant is throttled: something asks for tokens in a loop",
            Some(90_006 | 90_012 | 90_024 | 90_033 | 50_033 | 90_090) => {
                "a fault of Entra's that passes: it is asked again; if it goes on, see Microsoft's service health"
            }
            Some(50_034) => {
                "it looks for a user's account, which an app never has: check token-url, and that client-id is the app's"
            }
            _ => "see Microsoft's page on this code",
        };
        match self.code() {
            Some(code) => format!("Entra refused the token: AADSTS{code}, {advice}"),
            None => format!("Entra refused the token: {}, {advice}", limited(&self.error)),
        }
    }

    /// Entra's code for everything about an assertion's key tells its reason in the text only.
    fn reason_of_700027(&self) -> &'static str {
        let reason = self.error_description.to_ascii_lowercase();
        if reason.contains("the key was not found") {
            "the certificate is not in the app registration: upload it under Certificates & secrets"
        } else if reason.contains("verify the signature failed") {
            "the assertion's signature is wrong: private-key does not belong to certificate"
        } else if reason.contains("expired") {
            "the certificate has expired: upload a new one under Certificates & secrets, and name it in credential"
        } else if reason.contains("not yet valid") || reason.contains("start date") {
            "the certificate does not count yet: wait for its first day, or make one that counts now"
        } else {
            "Entra does not accept the assertion of this certificate: compare it with the app registration's, and see \
             Microsoft's page on this code"
        }
    }

    /// Entra itself is at fault, and the same request may work later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self.error.as_str(), "temporarily_unavailable" | "server_error" | "service_unavailable")
    }
}

/// Graph's error envelope. `message` of Intune is JSON in a string, sometimes twice.
/// Source: Microsoft Graph, error responses.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GraphError {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wrapped {
    #[serde(alias = "Message")]
    message: String,
    #[serde(alias = "ErrorCode")]
    code: String,
}

impl GraphError {
    /// Name and text, unwrapped from the JSON that Intune hides in the text.
    pub(super) fn unwrapped(&self) -> (String, String) {
        let (mut code, mut message) = (self.code.clone(), self.message.clone());
        // Two levels have been seen; more is not looked for.
        for _ in 0..2 {
            let Ok(inner) = serde_json::from_str::<Wrapped>(&message) else { break };
            if !inner.code.is_empty() {
                code = inner.code;
            }
            message = inner.message;
        }
        (code, message)
    }

    /// Whether the tenant has no Intune licence.
    pub(super) fn is_unlicensed(&self) -> bool {
        self.unwrapped().1.contains("Request not applicable to target tenant")
    }
}

/// Which permission is missing, for a 403. `permission`: what the call needs.
pub(super) fn forbidden(service: &str, permission: &str) -> Complaint {
    Complaint::new(
        Failure::Misconfigured,
        format!(
            "{service} answered 403: the app lacks {permission}; add it as application permission in the app \
             registration and grant admin consent"
        ),
    )
}

/// The tenant has no Intune.
pub(super) fn unlicensed(service: &str) -> Complaint {
    Complaint::new(
        Failure::Misconfigured,
        format!("{service} answered 400, not applicable to this tenant; the tenant needs an active Intune licence"),
    )
}

/// The token was refused twice, the second one new.
pub(super) fn unauthorised(service: &str) -> Complaint {
    Complaint::new(
        Failure::Misconfigured,
        format!("{service} answered 401 to a new token; check its scope, cloud, and this machine's clock"),
    )
}

/// A foreign text, cut and without line breaks, fit for a log line.
pub(super) fn limited(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entra(text: &str) -> EntraError {
        serde_json::from_str(text).expect("it is JSON")
    }

    #[test]
    fn entra_says_what_to_do_about_a_secret_id_in_place_of_its_value() {
        let error = entra(
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure","error_codes":[7000215]}"#,
        );
        assert_eq!(
            error.sentence(),
            "Entra refused the token: AADSTS7000215, wrong client secret: configure the secret's value, not its id"
        );
    }

    #[test]
    fn the_code_is_found_in_the_text_too() {
        let error = entra(
            r#"{"error":"invalid_client","error_description":"AADSTS700027: x [Reason - The key was not found., Thumbprint"}"#,
        );
        assert_eq!(error.code(), Some(700_027));
        assert!(error.sentence().contains("upload it"), "{}", error.sentence());
    }

    /// Trap 21: only one reason of several is about the private key.
    #[test]
    fn each_reason_of_a_refused_assertion_has_its_advice() {
        let advice = |reason: &str| {
            let text = format!(
                r#"{{"error":"invalid_client","error_description":"AADSTS700027: Client assertion contains an invalid signature. [Reason - {reason}, Thumbprint of key used by client: 'AB'","error_codes":[700027]}}"#
            );
            entra(&text).sentence()
        };
        for (reason, expected) in [
            ("The key was not found.", "upload it under Certificates & secrets"),
            ("Key was found, but use of the key to verify the signature failed.", "private-key does not belong"),
            ("The key used is expired.", "has expired: upload a new one"),
            ("Something new.", "see Microsoft's page on this code"),
        ] {
            let sentence = advice(reason);
            assert!(sentence.contains(expected), "{reason}: {sentence}");
            assert_eq!(sentence.contains("private-key"), expected.contains("private-key"), "{reason}: {sentence}");
        }
    }

    #[test]
    fn what_passes_and_what_is_about_users_is_told_as_such() {
        for code in [90_006, 90_012, 90_024, 90_033, 50_033, 90_090] {
            let error = EntraError { error_codes: vec![code], ..EntraError::default() };
            assert!(error.sentence().contains("that passes"), "{}", error.sentence());
        }
        let user = EntraError { error_codes: vec![50_034], ..EntraError::default() };
        assert!(user.sentence().contains("user's account"), "{}", user.sentence());
    }

    #[test]
    fn an_unknown_code_keeps_its_number() {
        let error = entra(r#"{"error":"invalid_grant","error_codes":[123456]}"#);
        assert_eq!(error.sentence(), "Entra refused the token: AADSTS123456, see Microsoft's page on this code");
    }

    /// Trap 9: Intune wraps its message in JSON in a string, once or twice.
    #[test]
    fn a_message_is_unwrapped_from_the_json_inside_of_it() {
        let once = r#"{"code":"Forbidden","message":"{\r\n  \"_version\": 3,\r\n  \"Message\": \"Application is not authorized\"\r\n}"}"#;
        let error: GraphError = serde_json::from_str(once).expect("it is JSON");
        assert_eq!(error.unwrapped(), ("Forbidden".to_owned(), "Application is not authorized".to_owned()));
        let inner = serde_json::json!({ "Message": "An error has occurred" }).to_string();
        let outer = serde_json::json!({ "ErrorCode": "Forbidden", "Message": inner }).to_string();
        let twice = GraphError { code: "UnknownError".into(), message: outer };
        assert_eq!(twice.unwrapped(), ("Forbidden".to_owned(), "An error has occurred".to_owned()));
    }

    #[test]
    fn each_status_has_its_failure() {
        let of = |status| {
            Complaint::status("Graph", &Reply { status, retry_after: Some(Duration::from_secs(3)), ..Reply::default() })
        };
        for (status, failure) in [
            (302, Failure::Unreachable),
            (429, Failure::Throttled),
            (503, Failure::Unreachable),
            (418, Failure::Unreachable),
        ] {
            assert_eq!(of(status).failure, failure, "{status}");
        }
        assert_eq!(of(429).report(), Report::Throttled { retry_after: Some(Duration::from_secs(3)) });
    }
}
