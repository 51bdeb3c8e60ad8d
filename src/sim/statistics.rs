//! What the simulated cloud was asked and what it answered.
//!
//! Owns counts and the last calls. Tokens, secrets and assertions never come here.

use std::collections::VecDeque;

use crate::limits;

use super::surface::Surface;

/// Counts since the start, or since they were last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    surfaces: [Counts; Surface::ALL.len()],
    /// Requests for no part of the cloud.
    pub strays: u64,
    /// Requests that followed a redirect or a link to another host name.
    pub elsewhere: u64,
    /// Of those, how many brought a token along.
    pub elsewhere_with_token: u64,
    /// Tokens that were issued.
    pub tokens_issued: u64,
    /// Requests that Graph's limit refused.
    pub over_limit: u64,
    /// The most requests for managed devices in any window of the limit (20 s), parts of batches included.
    pub most_in_window: usize,
    /// The most requests of every kind in any 20 s, parts of batches included.
    pub most_in_window_of_all: usize,
    /// The last calls, oldest first; at most [`limits::SIM_CALLS_KEPT_MAX`], older ones are forgotten.
    pub calls: VecDeque<Called>,
}

/// The counts of one part of the cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Answered 2xx.
    pub answered: u64,
    /// Answered 429.
    pub throttled: u64,
    /// Answered 4xx otherwise.
    pub refused: u64,
    /// Answered 5xx, or with a redirect.
    pub failed: u64,
    /// Hit by at least one fault.
    pub faulted: u64,
}

/// One call as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The part of the cloud.
    pub surface: Surface,
    /// The method.
    pub method: String,
    /// Path and query, decoded.
    pub target: String,
    /// The status of the answer.
    pub status: u16,
}

impl Statistics {
    /// The counts of `surface`.
    #[must_use]
    pub fn of(&self, surface: Surface) -> Counts {
        self.surfaces.get(surface.index()).copied().unwrap_or_default()
    }

    /// Requests to all parts together.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.surfaces.iter().map(|counts| counts.requests).sum()
    }

    /// Counts one answered call.
    pub(super) fn count(&mut self, called: Called, faulted: bool) {
        if let Some(counts) = self.surfaces.get_mut(called.surface.index()) {
            counts.requests += 1;
            counts.faulted += u64::from(faulted);
            match called.status {
                200..300 => counts.answered += 1,
                429 => counts.throttled += 1,
                400..500 => counts.refused += 1,
                _ => counts.failed += 1,
            }
        }
        if self.calls.len() >= limits::SIM_CALLS_KEPT_MAX {
            self.calls.pop_front();
        }
        self.calls.push_back(called);
    }
}
