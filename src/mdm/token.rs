//! Bearer tokens: one for each audience, fetched by one at a time, renewed ahead of their end.
//!
//! Owns tokens and when they are renewed. Proving who asks is `credential`'s business. A token proves no permission: only
//! a call does.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::Url;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    clock::{self, Mono, Now},
    device::question::Failure,
    metrics::mdm::Service,
};

use super::{
    cloud::Endpoints,
    credential,
    explain::{Complaint, EntraError},
    line::{Line, Payment},
    settings::{Credential, Intune},
    transport::{Bearer, Body, Call, Reply},
};

/// For whom a token is. One token never serves two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Microsoft Graph.
    Graph,
    /// The compliance retrieval service of Intune.
    Intune,
}

impl Audience {
    /// The service that issues its tokens, for breaker and metrics.
    pub(super) const fn service(self) -> Service {
        match self {
            Self::Graph => Service::GraphToken,
            Self::Intune => Service::IntuneToken,
        }
    }
}

/// How long Entra may take.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// A token is not used in its last minute, nor in the last tenth of a short life: it must survive the way and a clock that
/// is a little off, and yet be of use.
const MARGIN_MAX: Duration = Duration::from_secs(60);

/// Where Azure gives its machines tokens. Source: Microsoft Entra, managed identities on a VM.
const METADATA_SERVICE: &str = "http://169.254.169.254";

/// The tokens of one server.
#[derive(Debug)]
pub(super) struct Tokens {
    intune: Intune,
    endpoints: Endpoints,
    graph: Cell,
    manage: Cell,
}

#[derive(Debug, Default)]
struct Cell {
    current: Mutex<Option<Current>>,
    /// Held while one is fetched: all others wait for it, or go on with the old one.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Current {
    bearer: Bearer,
    renew_at: Mono,
    ends_at: Mono,
}

impl Tokens {
    pub(super) fn new(intune: Intune, endpoints: Endpoints) -> Arc<Self> {
        Arc::new(Self { intune, endpoints, graph: Cell::default(), manage: Cell::default() })
    }

    /// The same tokens for other settings of the same application.
    pub(super) fn taken_over(&self, intune: Intune) -> Arc<Self> {
        let copied = |cell: &Cell| Cell { current: Mutex::new(cell.current().clone()), flight: Default::default() };
        let endpoints = self.endpoints.clone();
        Arc::new(Self { intune, endpoints, graph: copied(&self.graph), manage: copied(&self.manage) })
    }

    /// A token that counts now. One that nears its end is served while its successor is fetched.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn bearer(self: &Arc<Self>, audience: Audience, line: &Arc<Line>) -> Result<Bearer, Complaint> {
        let now = clock::now();
        if let Some(current) = self.cell(audience).current().clone().filter(|current| now.mono < current.ends_at) {
            if now.mono >= current.renew_at {
                self.renew_behind(audience, line);
            }
            return Ok(current.bearer);
        }
        // In a task of its own: who waits may give up, the fetch goes on and tells the breaker how it ended.
        let (tokens, line) = (Arc::clone(self), Arc::clone(line));
        let fetch = tokio::spawn(async move { tokens.fetch_once(audience, &line).await });
        fetch.await.unwrap_or_else(|_| Err(Complaint::new(Failure::Unreachable, "the fetch of a token was stopped")))
    }

    async fn fetch_once(&self, audience: Audience, line: &Line) -> Result<Bearer, Complaint> {
        let cell = self.cell(audience);
        let _flight = cell.flight.lock().await;
        // Somebody else may have fetched it meanwhile.
        let now = clock::now();
        if let Some(current) = cell.current().clone().filter(|current| now.mono < current.ends_at) {
            return Ok(current.bearer);
        }
        self.fetch(audience, line).await
    }

    /// Whether there is a token that counts.
    pub(super) fn has(&self, audience: Audience, now: Now) -> bool {
        self.cell(audience).current().as_ref().is_some_and(|current| now.mono < current.ends_at)
    }

    /// Renews a token ahead of its end although nobody asks for it, so that the next request needs not wait.
    pub(super) fn keep(self: &Arc<Self>, audience: Audience, line: &Arc<Line>) {
        let now = clock::now();
        if self.cell(audience).current().as_ref().is_some_and(|current| now.mono >= current.renew_at) {
            self.renew_behind(audience, line);
        }
    }

    /// Drops a token that a service refused, unless it was replaced meanwhile.
    pub(super) fn refuse(&self, audience: Audience, refused: &Bearer) {
        let mut current = self.cell(audience).current();
        if current.as_ref().is_some_and(|current| current.bearer.is(refused)) {
            *current = None;
        }
    }

    fn renew_behind(self: &Arc<Self>, audience: Audience, line: &Arc<Line>) {
        let (tokens, line) = (Arc::clone(self), Arc::clone(line));
        if line.shut(audience.service(), clock::now()).is_some() {
            return;
        }
        tokio::spawn(async move {
            let cell = tokens.cell(audience);
            let Ok(_flight) = cell.flight.try_lock() else { return };
            let now = clock::now();
            if cell.current().as_ref().is_some_and(|current| now.mono < current.renew_at) {
                return;
            }
            // What went wrong is noted and logged by the line; the old token is still served.
            let _ = tokens.fetch(audience, &line).await;
        });
    }

    async fn fetch(&self, audience: Audience, line: &Line) -> Result<Bearer, Complaint> {
        let service = audience.service();
        let order = self.order(line);
        let mut refused = None;
        for (at, which) in order.iter().enumerate() {
            let asked_at = clock::now();
            let outcome = match self.call(audience, *which, asked_at) {
                Ok(call) => issued(&line.send(service, call, Payment::Inline).await?),
                Err(complaint) => Err(complaint),
            };
            // The other certificate may be the one that Entra knows; nothing is shut before both were refused.
            let another = at + 1 < order.len();
            match outcome {
                Err(complaint) if another && complaint.failure == Failure::Misconfigured => {
                    refused = refused.or(Some(complaint));
                }
                Err(complaint) => {
                    // That both are refused is told by the first; what passes is no refusal, and wants to be waited for.
                    let complaint = match refused {
                        Some(first) if complaint.failure == Failure::Misconfigured => first,
                        _ => complaint,
                    };
                    line.note(service, Err(&complaint));
                    return Err(complaint);
                }
                Ok(issued) => {
                    line.note(service, Ok(()));
                    *self.cell(audience).current() = Some(issued.current(asked_at));
                    return Ok(issued.bearer);
                }
            }
        }
        Err(Complaint::new(Failure::Misconfigured, "no credential is configured"))
    }

    /// Which of the configured credentials are tried, and notes when the first of them ends.
    fn order(&self, line: &Line) -> Vec<usize> {
        let Credential::Certificate { pairs, .. } = &self.intune.credential else { return vec![0] };
        let order = credential::order(pairs, clock::now().wall);
        let first = order.first().and_then(|at| pairs.get(*at));
        if let Some(validity) = first.and_then(|pair| credential::read_validity(pair).ok()) {
            line.metrics().credential_expiry.set(validity.ends.as_secs());
        }
        order
    }

    fn call(&self, audience: Audience, which: usize, now: Now) -> Result<Call, Complaint> {
        let missing = || Complaint::new(Failure::Misconfigured, "intune-scope is not known for this cloud; set it");
        let scope = match audience {
            Audience::Graph => &self.endpoints.graph_scope,
            Audience::Intune => self.endpoints.intune_scope.as_ref().ok_or_else(missing)?,
        };
        let (url, body) = match &self.intune.credential {
            Credential::ManagedIdentity { url, client_id } => {
                let base = url.as_deref().unwrap_or(METADATA_SERVICE);
                (metadata_url(base, scope, client_id.as_deref())?, Body::Metadata)
            }
            other => {
                let url = self.endpoints.token.clone();
                let form = credential::form(other, which, &self.intune.client_id, url.as_str(), scope, now.wall)?;
                (url, Body::Form(form))
            }
        };
        let direct = matches!(body, Body::Metadata);
        Ok(Call { body, direct, ..Call::get(url, None, "application/json", TOKEN_TIMEOUT) })
    }

    const fn cell(&self, audience: Audience) -> &Cell {
        match audience {
            Audience::Graph => &self.graph,
            Audience::Intune => &self.manage,
        }
    }
}

impl Cell {
    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request to Azure's metadata service; it wants the resource, which is the scope without its ending.
fn metadata_url(base: &str, scope: &str, client_id: Option<&str>) -> Result<Url, Complaint> {
    let resource = credential::resource_of(scope);
    let mut url = Url::parse(base)
        .and_then(|base| base.join("/metadata/identity/oauth2/token"))
        .map_err(|_| Complaint::new(Failure::Misconfigured, "the metadata service's address is not a URL"))?;
    url.query_pairs_mut().append_pair("api-version", "2018-02-01").append_pair("resource", resource);
    if let Some(client_id) = client_id {
        url.query_pairs_mut().append_pair("client_id", client_id);
    }
    Ok(url)
}

/// A token as it was issued.
#[derive(Debug)]
struct Issued {
    bearer: Bearer,
    lives: Duration,
}

impl Issued {
    fn current(&self, asked_at: Now) -> Current {
        let ends_at = asked_at.mono.plus(self.lives - MARGIN_MAX.min(self.lives / 10));
        // At three fifths: a day's outage of Entra then finds a token that lives on for at least 20 minutes.
        Current { bearer: self.bearer.clone(), renew_at: asked_at.mono.plus(self.lives * 3 / 5).min(ends_at), ends_at }
    }
}

#[derive(Deserialize)]
struct TokenText {
    access_token: String,
    expires_in: Number,
}

/// A number; the metadata service and the older token endpoint write it as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Text(String),
}

/// Reads the reply to a request for a token.
/// Source: Microsoft identity platform, OAuth 2.0 client credentials flow.
fn issued(reply: &Reply) -> Result<Issued, Complaint> {
    const ENTRA: &str = "Entra";
    match reply.status {
        200 => {
            let wrong = |what| Complaint::garbage(ENTRA, reply, what);
            let text: TokenText = serde_json::from_slice(&reply.body).map_err(|_| wrong("no token in it"))?;
            let seconds = match text.expires_in {
                Number::Plain(seconds) => seconds,
                Number::Text(digits) => digits.parse().map_err(|_| wrong("a token without an end"))?,
            };
            if text.access_token.is_empty() {
                return Err(wrong("an empty token"));
            }
            if seconds == 0 {
                return Err(wrong("a token that has ended already"));
            }
            // Nobody issues tokens for longer than a day or so; an absurd number must not overflow anything.
            let lives = Duration::from_secs(seconds.min(7 * 24 * 3600));
            Ok(Issued { bearer: Bearer::new(Zeroizing::new(text.access_token)), lives })
        }
        // Its body is plain text.
        429 => {
            let sentence = "Entra throttles requests for tokens (429)";
            let retry_after = reply.retry_after.or(Some(Duration::from_secs(60)));
            Err(Complaint { retry_after, ..Complaint::new(Failure::Throttled, sentence) })
        }
        400..=499 => {
            let error: EntraError = serde_json::from_slice(&reply.body)
                .ok()
                .filter(|error: &EntraError| !error.error.is_empty())
                .ok_or_else(|| Complaint::garbage(ENTRA, reply, "not an error of Entra's"))?;
            let failure = if error.is_transient() { Failure::Unreachable } else { Failure::Misconfigured };
            Err(Complaint::new(failure, error.sentence()))
        }
        _ => Err(Complaint::status(ENTRA, reply)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdm::settings::{Assertion, Cloud};

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, content_type: "application/json".into(), body: body.into(), ..Reply::default() }
    }

    fn failure(reply: &Reply) -> Failure {
        issued(reply).expect_err("it is no token").failure
    }

    /// Trap 23: numbers come as text from the metadata service.
    #[test]
    fn a_lifetime_is_read_as_a_number_and_as_text() {
        for body in [
            r#"{"token_type":"Bearer","expires_in":3599,"access_token":"fake"}"#,
            r#"{"access_token":"fake","refresh_token":"","expires_in":"3599","expires_on":"1767325445","token_type":"Bearer"}"#,
        ] {
            assert_eq!(issued(&reply(200, body)).expect("it is a token").lives, Duration::from_secs(3599), "{body}");
        }
    }

    /// Trap 22: the audience of an assertion is the address to which it is sent: that of the right cloud and tenant.
    #[test]
    fn an_assertion_names_the_token_endpoint_of_its_cloud() {
        const TENANT: &str = "11112222-3333-4444-5555-666677778888";
        let pairs = vec![credential::tests::pair().0];
        let hosts = [
            (Cloud::Global, "login.microsoftonline.com"),
            (Cloud::GccHigh, "login.microsoftonline.us"),
            (Cloud::Dod, "login.microsoftonline.us"),
            (Cloud::China, "login.partner.microsoftonline.cn"),
        ];
        assert_eq!(hosts.len(), Cloud::ALL.len());
        for (cloud, host) in hosts {
            let credential = Credential::Certificate { pairs: pairs.clone(), assertion: Assertion::default() };
            let intune = Intune { cloud, ..Intune::new(TENANT, "app", credential) };
            let endpoints = Endpoints::resolve(&intune).expect("the table is right");
            let call =
                Tokens::new(intune, endpoints).call(Audience::Graph, 0, Now::default()).expect("it can be asked");
            assert_eq!(call.url.as_str(), format!("https://{host}/{TENANT}/oauth2/v2.0/token"));
            let Body::Form(form) = call.body else { panic!("{cloud:?}") };
            let (_, jwt) = form.iter().find(|(name, _)| *name == "client_assertion").expect("it is there");
            let claims = credential::tests::unbase64url(jwt.split('.').nth(1).expect("three parts"));
            let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
            assert_eq!(claims["aud"].as_str(), Some(call.url.as_str()));
        }
    }

    /// Trap 8: the body of a throttled request for a token is text.
    #[test]
    fn throttling_by_entra_is_seen_whatever_its_body_is() {
        let mut text = reply(429, "Too Many Requests");
        text.content_type = "text/plain".into();
        assert_eq!(issued(&text).expect_err("429").retry_after, Some(Duration::from_secs(60)));
        text.retry_after = Some(Duration::from_secs(7));
        let complaint = issued(&text).expect_err("429");
        assert_eq!((complaint.failure, complaint.retry_after), (Failure::Throttled, Some(Duration::from_secs(7))));
    }

    #[test]
    fn what_an_admin_must_mend_is_told_apart_from_what_passes() {
        let error =
            |name: &str| format!(r#"{{"error":"{name}","error_description":"AADSTS90033: x","error_codes":[90033]}}"#);
        assert_eq!(failure(&reply(401, &error("invalid_client"))), Failure::Misconfigured);
        assert_eq!(failure(&reply(400, &error("unauthorized_client"))), Failure::Misconfigured);
        assert_eq!(failure(&reply(400, &error("temporarily_unavailable"))), Failure::Unreachable);
        assert_eq!(failure(&reply(503, "")), Failure::Unreachable);
    }

    #[test]
    fn what_is_no_answer_of_entras_is_unreachable() {
        for body in [
            "",
            "<html>log in to the guest network</html>",
            "{}",
            r#"{"access_token":"","expires_in":1}"#,
            r#"{"access_token":"#,
        ] {
            assert_eq!(failure(&reply(200, body)), Failure::Unreachable, "{body}");
        }
        assert_eq!(failure(&reply(403, "<html>blocked</html>")), Failure::Unreachable);
        assert_eq!(failure(&reply(302, "")), Failure::Unreachable);
    }

    #[test]
    fn a_token_is_renewed_well_before_its_end() {
        let now = Now::default();
        let current =
            Issued { bearer: Bearer::new("x".to_owned().into()), lives: Duration::from_secs(3600) }.current(now);
        assert_eq!(current.renew_at.since(now.mono), Duration::from_secs(2160));
        assert_eq!(current.ends_at.since(now.mono), Duration::from_secs(3540));
    }

    /// Trap 19: a short life is used as well, else each call would fetch a token of its own.
    #[test]
    fn a_token_of_any_lifetime_is_used_for_most_of_it() {
        let now = Now::default();
        for seconds in [1, 10, 60, 61, 300, 3600, 86_400] {
            let lives = Duration::from_secs(seconds);
            let current = Issued { bearer: Bearer::new("x".to_owned().into()), lives }.current(now);
            let used = current.ends_at.since(now.mono);
            assert!(used >= lives * 9 / 10 && used < lives, "{seconds}: {used:?}");
            assert!(current.renew_at < current.ends_at, "{seconds}");
        }
        assert_eq!(failure(&reply(200, r#"{"access_token":"fake","expires_in":0}"#)), Failure::Unreachable);
    }

    #[test]
    fn the_metadata_service_is_asked_for_the_resource_with_its_slash() {
        let url =
            metadata_url(METADATA_SERVICE, "https://api.manage.microsoft.com//.default", Some("app")).expect("a URL");
        assert_eq!(
            url.as_str(),
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
             &resource=https%3A%2F%2Fapi.manage.microsoft.com%2F&client_id=app"
        );
    }
}
