//! One HTTP call: sent to where it was said and nowhere else, read with a bound.
//!
//! Owns the HTTP clients with their trust and proxy. What a reply means, and whether a call may be made at all, is
//! decided by others.

use std::{path::Path, sync::Arc, time::Duration};

use reqwest::{
    Certificate, Client, ClientBuilder, NoProxy, RequestBuilder, Url,
    header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::{
    clock::{self, Wall},
    limits,
};

use super::{
    chance,
    settings::{Intune, Pem, Trust},
    spare_time::SpareTime,
};

/// A bearer token. Not printed, wiped when the last user drops it.
#[derive(Clone)]
pub(super) struct Bearer(Arc<Zeroizing<String>>);

impl Bearer {
    pub(super) fn new(text: Zeroizing<String>) -> Self {
        Self(Arc::new(text))
    }

    /// Whether both are the same token.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(…)")
    }
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) url: Url,
    pub(super) bearer: Option<Bearer>,
    pub(super) accept: &'static str,
    pub(super) body: Body,
    /// For everything: connection, sending, the whole reply.
    pub(super) timeout: Duration,
    /// The longest reply that is read.
    pub(super) octets_max: usize,
    /// Whether the proxy is left out, as for the metadata service of a machine.
    pub(super) direct: bool,
    /// Whether nobody waits for it: it is made in spare time.
    pub(super) is_behind: bool,
}

impl Call {
    /// A GET.
    pub(super) fn get(url: Url, bearer: Option<Bearer>, accept: &'static str, timeout: Duration) -> Self {
        let octets_max = limits::HTTP_SMALL_ANSWER_OCTETS_MAX;
        Self { url, bearer, accept, body: Body::None, timeout, octets_max, direct: false, is_behind: false }
    }
}

/// What is sent along.
pub(super) enum Body {
    /// Nothing: a GET.
    None,
    /// Nothing but the header that Azure's metadata service demands: a GET.
    Metadata,
    /// A form: a POST.
    Form(Vec<(&'static str, Zeroizing<String>)>),
    /// JSON: a POST.
    Json(Vec<u8>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Form(_) => "Form(…)",
            Self::Json(_) => "Json(…)",
        })
    }
}

/// What came back, whatever it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Without parameters, in lower case.
    pub(super) content_type: String,
    pub(super) retry_after: Option<Duration>,
    /// How far this machine's clock is ahead of the other side's, in seconds.
    pub(super) offset_secs: Option<i64>,
    pub(super) body: Vec<u8>,
}

/// Why nothing came back. The texts name no URL: it may hold the id of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Not within the time.
    TimedOut,
    /// No connection: names, routes, TLS, proxy.
    NotConnected(String),
    /// The connection broke, or what came was no HTTP.
    Cut(String),
    /// More octets than the call allows.
    TooLarge,
}

/// The HTTP clients of one server.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    proxied: Client,
    direct: Client,
    /// For what nobody waits for. A connection is looked after where it was made, so that this one has its own.
    behind: Client,
    spare_time: SpareTime,
}

impl Transport {
    /// # Errors
    /// A sentence: which file of roots or which proxy can't be used.
    pub(super) fn new(intune: &Intune, spare_time: SpareTime) -> Result<Self, String> {
        let anchors = read_anchors(&intune.trust)?;
        let trusting = || trusting(Client::builder(), &intune.trust, anchors.clone());
        let proxy = match &intune.proxy {
            None => None,
            Some(proxy) => {
                let bypass = NoProxy::from_string("127.0.0.0/8,::1,localhost");
                let proxy = reqwest::Proxy::all(proxy.url())
                    .map_err(|_| "proxy: is not a proxy; write http://HOST:PORT".to_owned())?;
                Some(proxy.no_proxy(bypass))
            }
        };
        let proxied = || match &proxy {
            None => finish(trusting().no_proxy()),
            Some(proxy) => finish(trusting().proxy(proxy.clone())),
        };
        let first = proxied()?;
        Ok(Self {
            direct: if proxy.is_some() { finish(trusting().no_proxy())? } else { first.clone() },
            behind: if spare_time.is_none() { first.clone() } else { proxied()? },
            proxied: first,
            spare_time,
        })
    }

    /// Where what nobody waits for is done.
    pub(super) const fn spare_time(&self) -> &SpareTime {
        &self.spare_time
    }

    /// Sends `call` and reads the reply.
    ///
    /// # Errors
    /// [`Broken`]; a reply with any status is none.
    pub(super) async fn send(&self, call: Call) -> Result<Reply, Broken> {
        let (octets_max, is_behind) = (call.octets_max, call.is_behind);
        let exchanged = exchange(self.request(call)?, octets_max);
        if is_behind { self.spare_time.run(exchanged).await } else { exchanged.await }
    }

    fn request(&self, call: Call) -> Result<RequestBuilder, Broken> {
        let client = match (call.direct, call.is_behind) {
            (true, _) => &self.direct,
            (false, true) => &self.behind,
            (false, false) => &self.proxied,
        };
        let mut request = match call.body {
            Body::None => client.get(call.url),
            Body::Metadata => client.get(call.url).header("metadata", "true"),
            Body::Form(pairs) => {
                let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
                client.post(call.url).form(&pairs)
            }
            Body::Json(text) => client.post(call.url).header(CONTENT_TYPE, "application/json").body(text),
        };
        if let Some(bearer) = call.bearer {
            let text = Zeroizing::new(format!("Bearer {}", bearer.0.as_str()));
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| Broken::Cut("the token has characters that no header may hold".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(reqwest::header::AUTHORIZATION, value);
        }
        // Microsoft's support asks for it.
        let id = HeaderName::from_static("client-request-id");
        Ok(request.header(ACCEPT, call.accept).header(id, chance::guid().to_string()).timeout(call.timeout))
    }
}

/// Sends `request` and reads the reply, of at most so many octets.
async fn exchange(request: RequestBuilder, octets_max: usize) -> Result<Reply, Broken> {
    let mut response = request.send().await.map_err(broken)?;
    let date = response.headers().get(DATE).and_then(http_date);
    let mut reply = Reply {
        status: response.status().as_u16(),
        content_type: content_type(response.headers()),
        retry_after: response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value, date)),
        // Now, not when a long list is read to its end.
        offset_secs: date.map(|date| clock::now().wall.as_secs().saturating_sub(date.as_secs())),
        ..Reply::default()
    };
    // A page that grows while it comes in is copied several times as a whole, into memory that is touched for the first
    // time then: a tenth of a millisecond in which nobody else gets the core.
    let told = response.content_length().and_then(|octets| usize::try_from(octets).ok());
    reply.body.reserve_exact(told.unwrap_or(0).min(octets_max).min(limits::HTTP_ANSWER_OCTETS_AHEAD));
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        // Counted after decompression: a small answer must not unfold into a large one.
        if reply.body.len() + chunk.len() > octets_max {
            return Err(Broken::TooLarge);
        }
        reply.body.extend_from_slice(&chunk);
    }
    Ok(reply)
}

fn trusting(builder: ClientBuilder, trust: &Trust, anchors: Vec<Certificate>) -> ClientBuilder {
    if trust.only_anchors { builder.tls_certs_only(anchors) } else { builder.tls_certs_merge(anchors) }
}

fn finish(builder: ClientBuilder) -> Result<Client, String> {
    builder
        // A token must never follow a redirect to another host, and no service of Microsoft's sends any.
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent(concat!("radmit/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(3))
        .pool_idle_timeout(Duration::from_secs(90))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(5))
        .build()
        .map_err(|error| {
            format!("no HTTPS: {}; install the package ca-certificates, or name roots in trust-anchors", causes(&error))
        })
}

fn read_anchors(trust: &Trust) -> Result<Vec<Certificate>, String> {
    let mut found = Vec::new();
    for anchor in &trust.anchors {
        match anchor {
            Pem::File(path) if path.is_dir() => {
                for file in pem_files(path)? {
                    read_certificates(&Pem::File(file), &mut found)?;
                }
            }
            pem => read_certificates(pem, &mut found)?,
        }
    }
    Ok(found)
}

fn pem_files(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("trust-anchors: {}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pem")) {
            files.push(path);
        }
    }
    if files.len() > limits::FILES_MAX {
        return Err(format!("trust-anchors: {}: more than {} files", folder.display(), limits::FILES_MAX));
    }
    files.sort();
    Ok(files)
}

fn read_certificates(pem: &Pem, found: &mut Vec<Certificate>) -> Result<(), String> {
    let text = pem.read().map_err(|error| format!("trust-anchors: {}: {error}", pem.name()))?;
    let before = found.len();
    for der in CertificateDer::pem_slice_iter(&text) {
        let wrong = || format!("trust-anchors: {}: is no PEM file of certificates", pem.name());
        let der = der.map_err(|_| wrong())?;
        found.push(Certificate::from_der(&der).map_err(|_| wrong())?);
    }
    if found.len() == before {
        return Err(format!("trust-anchors: {}: holds no certificate", pem.name()));
    }
    Ok(())
}

fn content_type(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    text.split(';').next().unwrap_or("").trim().chars().take(100).collect::<String>().to_ascii_lowercase()
}

/// Seconds, or a date (RFC 9110 section 10.2.3); the date is compared with the other side's own clock.
fn retry_after(value: &HeaderValue, date: Option<Wall>) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    Some(http_date(value)?.since(date?))
}

fn http_date(value: &HeaderValue) -> Option<Wall> {
    let text = value.to_str().ok()?;
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Wall::from_secs(zoned.as_second()))
}

fn broken(error: reqwest::Error) -> Broken {
    let error = error.without_url();
    if error.is_timeout() {
        Broken::TimedOut
    } else if error.is_connect() {
        Broken::NotConnected(causes(&error))
    } else {
        Broken::Cut(causes(&error))
    }
}

/// What caused an error, each said once; without the layers that only say that there was one.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        let said = inner.to_string();
        cause = inner.source();
        let layer =
            said.starts_with("error sending request") || said.starts_with("client error") || said == "builder error";
        if (layer && cause.is_some()) || text.contains(&said) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&said);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let value = HeaderValue::from_static;
        assert_eq!(retry_after(&value("7"), None), Some(Duration::from_secs(7)));
        let date = http_date(&value("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert_eq!(date, Some(Wall::from_secs(1_445_412_480)));
        let at = value("Wed, 21 Oct 2015 07:28:30 GMT");
        assert_eq!(retry_after(&at, date), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(&at, None), None);
        for wrong in ["soon", "-1", ""] {
            assert_eq!(retry_after(&value(wrong), date), None, "{wrong}");
        }
    }

    #[test]
    fn tokens_and_forms_are_not_printed() {
        let secret = || Zeroizing::new("nobody-may-print".to_owned());
        let call = Call {
            bearer: Some(Bearer::new(secret())),
            body: Body::Form(vec![("client_secret", secret())]),
            ..Call::get(Url::parse("https://login.example/").expect("a URL"), None, "*/*", Duration::ZERO)
        };
        assert!(!format!("{call:?}").contains("nobody-may-print"));
    }
}
