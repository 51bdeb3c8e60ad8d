//! One HTTP answer of the simulated cloud, and how it goes over the line.
//!
//! Owns status, headers, body and manners such as delay or reset. What bodies say is `bodies`' task.

use std::time::Duration;

use axum::{body::Bytes, http::StatusCode};
use serde_json::Value;

/// An answer before it is sent. Not `Debug`: it may hold a token.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// How long it is held back.
    pub(super) delay: Duration,
    pub(super) ending: Ending,
}

impl Answer {
    pub(super) fn new(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![(CONTENT_TYPE, content_type.to_owned())],
            body: body.into(),
            delay: Duration::ZERO,
            ending: Ending::Whole,
        }
    }

    /// `body` as Graph and Entra send JSON.
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string())
    }

    pub(super) fn xml(status: StatusCode, body: String) -> Self {
        Self::new(status, "application/xml; charset=utf-8", body)
    }

    pub(super) fn html(status: StatusCode, body: &'static str) -> Self {
        Self::new(status, "text/html; charset=utf-8", body)
    }

    pub(super) fn text(status: StatusCode, body: &'static str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// The same answer with one more header.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn set_content_type(&mut self, content_type: &str) {
        self.headers.retain(|(name, _)| *name != CONTENT_TYPE);
        self.headers.push((CONTENT_TYPE, content_type.to_owned()));
    }
}

pub(super) const CONTENT_TYPE: &str = "content-type";
pub(super) const RETRY_AFTER: &str = "retry-after";

/// How an answer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// Not at all: the connection is reset.
    Reset,
    /// The first half, then the connection is reset.
    HalfThenReset,
    /// Not at all, and the connection stays.
    Hang,
    /// Slowly, spread over this time.
    Trickle(Duration),
}
