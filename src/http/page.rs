//! The pages: paths and what they answer.
//!
//! Owns the routes. Connections are `connection`'s.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::metrics::page::{Exposition, MEDIA_TYPE};

use super::readiness::{Ailment, Readiness, Stage};

/// What the pages show.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) exposition: Arc<Exposition>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) ailment: Ailment,
}

pub(super) fn routes(shown: Shown) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .with_state(shown)
}

async fn index() -> &'static str {
    concat!("radmit ", env!("CARGO_PKG_VERSION"), "\n\n/metrics\n/healthz\n/readyz\n")
}

async fn metrics(State(shown): State<Shown>) -> Response {
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], shown.exposition.text()).into_response()
}

async fn health(State(shown): State<Shown>) -> Response {
    // While draining parts end because they were told to.
    let is_draining = shown.readiness.stage() == Stage::Draining;
    match (shown.ailment)().filter(|_| !is_draining) {
        Some(ailment) => (StatusCode::SERVICE_UNAVAILABLE, format!("{ailment}\n")).into_response(),
        None => "ok\n".into_response(),
    }
}

async fn readiness(State(shown): State<Shown>) -> Response {
    let stage = shown.readiness.stage();
    let status = if stage == Stage::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{}\n", stage.sentence())).into_response()
}
