//! How the faults that hit a request change its answer.
//!
//! Owns the errors of every surface and the damage to right answers. Which faults hit is decided by `faults`; faults that
//! change what an answer is about, such as a list without an end, are asked for by whoever makes that answer.

use std::{sync::OnceLock, time::Duration};

use axum::{body::Bytes, http::StatusCode};

use super::{
    answer::{Answer, Ending, RETRY_AFTER},
    bodies::{self, Stamp},
    faults::{Fault, FaultKind},
    surface::Surface,
};

/// The faults that hit one request.
#[derive(Clone, Debug)]
pub(super) struct Harm(Vec<Fault>);

impl Harm {
    pub(super) const fn new(faults: Vec<Fault>) -> Self {
        Self(faults)
    }

    pub(super) const fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, kind: FaultKind) -> bool {
        self.0.iter().any(|fault| fault.kind == kind)
    }

    /// The answer that is sent instead of the right one, if a fault wants that.
    pub(super) fn instead(&self, surface: Surface, host: &str, path: &str, stamp: &Stamp) -> Option<Answer> {
        self.0.iter().find_map(|fault| match fault.kind {
            FaultKind::Status => Some(status(surface, fault, stamp)),
            FaultKind::Reset => Some(silent(Ending::Reset)),
            FaultKind::Hang => Some(silent(Ending::Hang)),
            FaultKind::Html => Some(Answer::html(StatusCode::OK, bodies::PORTAL)),
            FaultKind::Empty => Some(Answer::new(StatusCode::OK, content_type(surface), Bytes::new())),
            FaultKind::Huge => Some(Answer::new(StatusCode::OK, content_type(surface), huge())),
            FaultKind::ErrorInside => {
                let inside = error(surface, StatusCode::INTERNAL_SERVER_ERROR, stamp);
                Some(Answer { status: StatusCode::OK, ..inside })
            }
            FaultKind::Throttle => {
                Some(throttled(surface, Some(fault.retry_after.unwrap_or(Duration::from_secs(5))), stamp))
            }
            FaultKind::ThrottleSilent => Some(throttled(surface, None, stamp)),
            FaultKind::NoPermission => Some(forbidden(surface, stamp)),
            FaultKind::NoLicence => {
                let body = bodies::graph_error("BadRequest", "Request not applicable to target tenant.", stamp);
                Some(Answer::json(StatusCode::BAD_REQUEST, &body))
            }
            FaultKind::ExpiredToken => Some(unauthorized(surface, EXPIRED, stamp)),
            FaultKind::Redirect => {
                let answer = Answer::text(StatusCode::TEMPORARY_REDIRECT, "");
                Some(answer.with("location", elsewhere(host, path)))
            }
            _ => None,
        })
    }

    /// Damages `answer`, be it right or an error.
    pub(super) fn apply(&self, answer: &mut Answer) {
        for fault in &self.0 {
            match fault.kind {
                FaultKind::Delay => answer.delay += fault.delay,
                FaultKind::Half => answer.ending = Ending::HalfThenReset,
                FaultKind::Trickle => answer.ending = Ending::Trickle(fault.delay),
                FaultKind::Truncated => answer.body = answer.body.slice(..answer.body.len() / 2),
                FaultKind::WrongType => answer.set_content_type("application/octet-stream"),
                _ => {}
            }
        }
    }
}

/// An address on the same machine under another name: no client may take its token there.
pub(super) fn elsewhere(host: &str, path: &str) -> String {
    let port = host.rsplit_once(':').map_or("443", |(_, port)| port);
    let name = if host.starts_with("localhost") { "127.0.0.1" } else { "localhost" };
    format!("https://{name}:{port}{ELSEWHERE}{path}")
}

/// Where redirects and foreign links lead.
pub(super) const ELSEWHERE: &str = "/_sim/elsewhere";

/// The message of a token that is over.
pub(super) const EXPIRED: &str = "Lifetime validation failed, the token is expired.";

/// Too many requests. Entra says it in plain text, Graph in JSON.
pub(super) fn throttled(surface: Surface, retry_after: Option<Duration>, stamp: &Stamp) -> Answer {
    let answer = error(surface, StatusCode::TOO_MANY_REQUESTS, stamp);
    match retry_after {
        // Rounded up: a client that waits as long as it was told must not come too early.
        Some(wait) => answer.with(RETRY_AFTER, wait.as_millis().div_ceil(1_000).max(1).to_string()),
        None => answer,
    }
}

/// The token is missing, over, or for somebody else.
pub(super) fn unauthorized(surface: Surface, message: &str, stamp: &Stamp) -> Answer {
    let challenge = "Bearer realm=\"\"";
    if surface.is_retrieval() {
        return Answer::text(StatusCode::UNAUTHORIZED, "").with("www-authenticate", challenge);
    }
    let body = bodies::graph_error("InvalidAuthenticationToken", message, stamp);
    Answer::json(StatusCode::UNAUTHORIZED, &body).with("www-authenticate", challenge)
}

fn forbidden(surface: Surface, stamp: &Stamp) -> Answer {
    let body = if surface == Surface::Discovery {
        bodies::no_directory_permission(stamp)
    } else {
        bodies::no_device_permission(stamp)
    };
    Answer::json(StatusCode::FORBIDDEN, &body)
}

fn silent(ending: Ending) -> Answer {
    Answer { ending, ..Answer::text(StatusCode::OK, "") }
}

fn status(surface: Surface, fault: &Fault, stamp: &Stamp) -> Answer {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let answer = error(surface, status, stamp);
    match fault.retry_after {
        Some(wait) => answer.with(RETRY_AFTER, wait.as_secs().to_string()),
        None => answer,
    }
}

/// The error body that a service has for `status`.
fn error(surface: Surface, status: StatusCode, stamp: &Stamp) -> Answer {
    if surface.is_token() {
        return match status {
            StatusCode::TOO_MANY_REQUESTS => Answer::text(status, "Too Many Requests"),
            _ if status.is_server_error() => {
                let text = "A transient error has occurred. Please try again.";
                Answer::json(status, &bodies::token_error("temporarily_unavailable", 90033, text, stamp))
            }
            _ => {
                let text = "The request is not valid.";
                Answer::json(status, &bodies::token_error("invalid_request", 90014, text, stamp))
            }
        };
    }
    if surface.is_retrieval() {
        return Answer::html(status, bodies::UNAVAILABLE);
    }
    let code = match status.as_u16() {
        401 => "InvalidAuthenticationToken",
        403 => "Forbidden",
        404 => "ResourceNotFound",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        400..500 => "BadRequest",
        _ => "InternalServerError",
    };
    Answer::json(status, &bodies::intune_error(code, "An error has occurred", stamp))
}

const fn content_type(surface: Surface) -> &'static str {
    if surface.is_retrieval() { "application/xml; charset=utf-8" } else { "application/json; charset=utf-8" }
}

/// More than any client should read: the beginning of a list that is never closed.
fn huge() -> Bytes {
    static BODY: OnceLock<Bytes> = OnceLock::new();
    BODY.get_or_init(|| {
        let mut body = b"{\"value\":[\"".to_vec();
        body.resize(20 * 1024 * 1024, b'x');
        Bytes::from(body)
    })
    .clone()
}
