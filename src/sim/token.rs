//! The token endpoints: who asks, with which proof, for which service.
//!
//! Owns credentials and the tokens that were issued. Which surface wants which audience is `cloud`'s task.
//!
//! Source: Microsoft identity platform, "OAuth 2.0 client credentials flow" and "error codes"; managed identities,
//! "how to use managed identities to acquire an access token".

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::Duration,
};

use axum::http::StatusCode;

use crate::{
    clock::{Mono, Wall},
    limits,
};

use super::{
    answer::Answer,
    assertion::{self, Certificate, Expected, Flaw, base64},
    bodies::{self, Stamp},
    call::Call,
    chance::Chance,
    settings::{Credentials, StartError},
};

/// The service that a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    Graph,
    Intune,
    /// A resource that exists, but that nothing here answers to; such tokens are issued and refused later.
    Nobody,
}

/// Knows the application and issues tokens.
#[derive(Debug)]
pub(super) struct TokenIssuer {
    tenant: String,
    client_id: String,
    credentials: Credentials,
    certificates: Vec<Certificate>,
}

impl TokenIssuer {
    pub(super) fn new(tenant: String, client_id: String, credentials: Credentials) -> Result<Self, StartError> {
        let certificates = credentials
            .certificates
            .iter()
            .enumerate()
            .map(|(at, der)| Certificate::read(der).ok_or(StartError::Certificate(at + 1)))
            .collect::<Result<_, _>>()?;
        Ok(Self { tenant, client_id, credentials, certificates })
    }

    pub(super) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Answers one request to `/{tenant}/oauth2/…`. `version`: 1 or 2.
    pub(super) fn answer(
        &self,
        call: &Call,
        tenant: &str,
        version: u8,
        tokens: &mut Tokens,
        now: Mono,
        stamp: &Stamp,
    ) -> Answer {
        let request = Request::read(call);
        let granted = self.check(&request, tenant, &call.base(), stamp.wall).and_then(|()| request.audience(version));
        match granted {
            Ok((audience, resource)) => {
                let token = tokens.issue(audience, now);
                let lifetime = tokens.lifetime.as_secs();
                let body = match version {
                    1 => bodies::token_v1(&token, &resource, lifetime, stamp.wall),
                    _ => bodies::token_v2(&token, lifetime),
                };
                Answer::json(StatusCode::OK, &body).with("cache-control", "no-store, no-cache")
            }
            Err(refusal) => refusal.answer(stamp),
        }
    }

    fn check(&self, request: &Request, tenant: &str, base: &str, wall: Wall) -> Result<(), Refusal> {
        if !tenant.eq_ignore_ascii_case(&self.tenant) {
            let text = format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", 90002, text));
        }
        match request.field("grant_type") {
            Some("client_credentials") => {}
            Some(_) => {
                let text = "The app requested an unsupported grant type.";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", 70003, text));
            }
            None => return Err(Refusal::missing("grant_type")),
        }
        let Some(client_id) = request.client_id.as_deref() else { return Err(Refusal::missing("client_id")) };
        if !client_id.eq_ignore_ascii_case(&self.client_id) {
            let text = format!("Application with identifier '{client_id}' was not found in the directory.");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "unauthorized_client", 700_016, text));
        }
        if let Some(assertion) = request.field("client_assertion") {
            return self.check_assertion(request, assertion, base, wall);
        }
        match request.secret.as_deref() {
            Some(secret) if self.credentials.secrets.iter().any(|known| known == secret) => Ok(()),
            Some(_) => Err(Refusal::client(
                7_000_215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
                 not the client secret ID, for a secret added to the app.",
            )),
            None => Err(Refusal::client(
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )),
        }
    }

    fn check_assertion(&self, request: &Request, assertion: &str, base: &str, wall: Wall) -> Result<(), Refusal> {
        if request.field("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(Refusal::missing("client_assertion_type"));
        }
        if self.credentials.federated_tokens.iter().any(|known| known == assertion) {
            return Ok(());
        }
        let tenant = &self.tenant;
        // The v1 address is taken at the v2 endpoint too: Cisco ISE sends it.
        let audiences = [format!("{base}/{tenant}/oauth2/v2.0/token"), format!("{base}/{tenant}/oauth2/token")];
        let expected =
            Expected { certificates: &self.certificates, client_id: &self.client_id, audiences: &audiences, wall };
        assertion::check(assertion, expected).map_err(Refusal::from)
    }

    /// Answers one request of a machine for its managed identity.
    pub(super) fn answer_identity(call: &Call, tokens: &mut Tokens, now: Mono, stamp: &Stamp) -> Answer {
        if !call.header("metadata").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            let text = "Required metadata header not specified";
            return Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", 90_100, text).answer(stamp);
        }
        let resource = call.parameter("resource").unwrap_or("");
        let Some(audience) = audience(resource) else { return Refusal::resource(resource).answer(stamp) };
        let token = tokens.issue(audience, now);
        let mut body = bodies::token_v1(&token, resource, tokens.lifetime.as_secs(), stamp.wall);
        body["refresh_token"] = "".into();
        Answer::json(StatusCode::OK, &body)
    }
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token request as it was sent.
struct Request {
    form: Vec<(String, String)>,
    client_id: Option<String>,
    secret: Option<String>,
}

impl Request {
    fn read(call: &Call) -> Self {
        let form = call.form();
        let named = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let (client_id, secret) = match basic(call) {
            Some((client_id, secret)) => (Some(client_id), Some(secret)),
            None => (named("client_id"), named("client_secret")),
        };
        Self { client_id, secret, form }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The audience and the resource that was named.
    fn audience(&self, version: u8) -> Result<(Audience, String), Refusal> {
        let resource = if version == 1 {
            self.field("resource").ok_or_else(|| Refusal::missing("resource"))?
        } else {
            self.scoped_resource()?
        };
        let audience = audience(resource).ok_or_else(|| Refusal::resource(resource))?;
        Ok((audience, resource.to_owned()))
    }

    fn scoped_resource(&self) -> Result<&str, Refusal> {
        let scope = self.field("scope").ok_or_else(|| Refusal::missing("scope"))?;
        let invalid = |text: String| Refusal::new(StatusCode::BAD_REQUEST, "invalid_scope", 70011, text);
        let mut resources =
            scope.split_ascii_whitespace().filter(|one| !["openid", "profile", "offline_access"].contains(one));
        let one = resources.next().ok_or_else(|| invalid("The provided request must include a scope.".to_owned()))?;
        if resources.next().is_some() {
            return Err(invalid(format!("The scope '{scope}' names more than one resource.")));
        }
        one.strip_suffix("/.default").ok_or_else(|| {
            invalid(format!("The scope '{one}' is not valid for client credentials; it must end with /.default."))
        })
    }
}

/// `Authorization: Basic`, its parts percent-encoded (RFC 6749 section 2.3.1).
fn basic(call: &Call) -> Option<(String, String)> {
    let encoded = call.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(base64(encoded)?).ok()?;
    let (client_id, secret) = text.split_once(':')?;
    let plain = |part: &str| super::call::pairs(&format!("x={part}")).pop().map(|(_, value)| value);
    Some((plain(client_id)?, plain(secret)?))
}

/// The service behind a resource id, in any national cloud. None: the tenant has no such service.
fn audience(resource: &str) -> Option<Audience> {
    match resource {
        "https://api.manage.microsoft.com/" | "https://api.manage.microsoft.us/" => Some(Audience::Intune),
        // The id ends in a slash. Without it a token is issued all the same, and Intune refuses it.
        "https://api.manage.microsoft.com" | "https://api.manage.microsoft.us" => Some(Audience::Nobody),
        _ => [
            "https://graph.microsoft.com",
            "https://graph.microsoft.us",
            "https://dod-graph.microsoft.us",
            "https://microsoftgraph.chinacloudapi.cn",
        ]
        .contains(&resource.strip_suffix('/').unwrap_or(resource))
        .then_some(Audience::Graph),
    }
}

/// Why no token is issued.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    number: u32,
    text: String,
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, number: u32, text: impl Into<String>) -> Self {
        Self { status, error, number, text: text.into() }
    }

    /// The application could not prove itself.
    fn client(number: u32, text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", number, text)
    }

    fn missing(parameter: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{parameter}'.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", 900_144, text)
    }

    fn resource(resource: &str) -> Self {
        let text = format!("The resource principal named '{resource}' was not found in the tenant.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_resource", 500_011, text)
    }

    fn answer(&self, stamp: &Stamp) -> Answer {
        Answer::json(self.status, &bodies::token_error(self.error, self.number, &self.text, stamp))
    }
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Self {
        let key = |reason: &str, thumbprint: &str| {
            let text = format!(
                "Client assertion contains an invalid signature. [Reason - {reason}, Thumbprint of key used by client: \
                 '{thumbprint}']"
            );
            Self::client(700_027, text)
        };
        match flaw {
            Flaw::Malformed => Self::client(50027, "JWT token is invalid or malformed."),
            Flaw::Algorithm => Self::client(50027, "JWT token is signed with an algorithm that is not accepted."),
            Flaw::NoThumbprint => Self::client(50027, "No certificate thumbprint specified in token header."),
            Flaw::UnknownKey(thumbprint) => key("The key was not found.", &thumbprint),
            Flaw::ExpiredKey(thumbprint) => key("The key used is expired.", &thumbprint),
            Flaw::Signature(thumbprint) => {
                key("Key was found, but use of the key to verify the signature failed.", &thumbprint)
            }
            Flaw::Audience => Self::client(50027, "The audience of the client assertion is not this token endpoint."),
            Flaw::Issuer => Self::client(70002, "The issuer of the client assertion is not the client."),
            Flaw::Subject => Self::client(50048, "Subject must match Issuer claim in the client assertion."),
            Flaw::Time => Self::client(500_133, "Assertion is not within its valid time range."),
        }
    }
}

/// The tokens that were issued.
///
/// Bound: [`limits::SIM_TOKENS_MAX`]; when full the oldest stops being valid.
pub(super) struct Tokens {
    issued: HashMap<String, Issued>,
    order: VecDeque<String>,
    chance: Chance,
    pub(super) lifetime: Duration,
    pub(super) count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Issued {
    audience: Audience,
    expires: Mono,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("issued", &self.issued.len()).field("lifetime", &self.lifetime).finish()
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadToken {
    Missing,
    Unknown,
    Expired,
    OtherAudience,
}

impl Tokens {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            issued: HashMap::new(),
            order: VecDeque::new(),
            chance: Chance::new(seed ^ 0x746f_6b65_6e73),
            lifetime: Duration::from_secs(3599),
            count: 0,
        }
    }

    fn issue(&mut self, audience: Audience, now: Mono) -> String {
        let token = format!("sim.{}", self.chance.hex(48));
        if self.order.len() >= limits::SIM_TOKENS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.issued.remove(&oldest);
        }
        self.issued.insert(token.clone(), Issued { audience, expires: now.plus(self.lifetime) });
        self.order.push_back(token.clone());
        self.count += 1;
        token
    }

    /// Makes every token that is out expired.
    pub(super) fn expire_all(&mut self) {
        for issued in self.issued.values_mut() {
            issued.expires = Mono::from_nanos(i64::MIN);
        }
    }

    /// Whether `bearer` opens the surfaces of `audience`.
    pub(super) fn check(&self, bearer: Option<&str>, audience: Audience, now: Mono) -> Result<(), BadToken> {
        let bearer = bearer.ok_or(BadToken::Missing)?;
        let issued = self.issued.get(bearer).ok_or(BadToken::Unknown)?;
        if issued.audience != audience {
            return Err(BadToken::OtherAudience);
        }
        if issued.expires <= now { Err(BadToken::Expired) } else { Ok(()) }
    }
}
