//! Graph's batch: up to twenty requests in one, each with an answer of its own.
//!
//! Owns the envelope. The parts are answered like any other request, and count like it.
//!
//! Source: Microsoft Graph, "Combine multiple HTTP requests using JSON batching".

use std::collections::HashSet;

use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use serde_json::{Map, Value, json};

use crate::limits;

use super::{
    answer::{Answer, Ending},
    bodies::{self, Stamp},
    call::{Call, Route},
    chance::Chance,
};

/// Answers a batch; `answer` answers one part.
pub(super) fn answer(call: &Call, stamp: &Stamp, chance: u64, mut answer: impl FnMut(&Call) -> Answer) -> Answer {
    let parts = match parts(call) {
        Ok(parts) => parts,
        Err(message) => {
            return Answer::json(StatusCode::BAD_REQUEST, &bodies::graph_error("BadRequest", message, stamp));
        }
    };
    let mut responses: Vec<Value> = parts
        .iter()
        .map(|(id, part)| {
            let allowed = part.method == Method::GET && part.route() != Some(Route::Batch);
            let answer = if allowed { answer(part) } else { Answer::text(StatusCode::METHOD_NOT_ALLOWED, "") };
            match answer.ending {
                // Nothing came back from behind: the batch itself still answers.
                Ending::Reset | Ending::Hang => {
                    let body = bodies::graph_error("GatewayTimeout", "The service did not answer.", stamp);
                    response(id, &Answer::json(StatusCode::GATEWAY_TIMEOUT, &body))
                }
                Ending::Whole | Ending::HalfThenReset | Ending::Trickle(_) => response(id, &answer),
            }
        })
        .collect();
    shuffle(&mut responses, chance);
    Answer::json(StatusCode::OK, &json!({ "responses": responses }))
}

fn parts(call: &Call) -> Result<Vec<(String, Call)>, &'static str> {
    let body: Value = serde_json::from_slice(&call.body).map_err(|_| "Invalid batch payload format.")?;
    let requests = body.get("requests").and_then(Value::as_array).ok_or("Invalid batch payload format.")?;
    if requests.is_empty() || requests.len() > limits::GRAPH_BATCH_PARTS_MAX {
        return Err("Number of batch request steps must be between 1 and 20.");
    }
    let mut ids = HashSet::new();
    let mut parts = Vec::with_capacity(requests.len());
    for request in requests {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let id = text("id").ok_or("Batch request id is missing.")?;
        if !ids.insert(id) {
            return Err("Batch request ids must be unique.");
        }
        let url = text("url").ok_or("Batch request url is missing.")?;
        let method = text("method").and_then(|method| method.parse().ok()).ok_or("Batch request method is missing.")?;
        let target = format!("/v1.0/{}", url.trim_start_matches('/'));
        parts.push((id.to_owned(), Call::new(method, &target, &call.host, call.headers.clone(), Bytes::new())));
    }
    Ok(parts)
}

fn response(id: &str, answer: &Answer) -> Value {
    let mut headers = Map::new();
    for (name, value) in &answer.headers {
        let shown = match *name {
            "content-type" => "Content-Type",
            "retry-after" => "Retry-After",
            other => other,
        };
        headers.insert(shown.to_owned(), value.as_str().into());
    }
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    json!({ "id": id, "status": answer.status.as_u16(), "headers": headers, "body": body })
}

/// The real service promises no order, so none may be relied on.
fn shuffle(responses: &mut [Value], seed: u64) {
    let mut chance = Chance::new(seed);
    for last in (1..responses.len()).rev() {
        let other = usize::try_from(chance.below(last as u64 + 1)).unwrap_or(0);
        responses.swap(last, other);
    }
}
