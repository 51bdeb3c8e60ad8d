//! What an engine is made of, and how much it keeps.
//!
//! Owns these shapes only; the daemon fills them.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{device::question::Questions, limits, metrics::engine::ShardCells};

use super::{dialogue::Dialogues, event::EventSink, pseudonym::Pseudonyms, snapshot::Snapshot, work::Workers};

/// What an engine needs beside its configuration.
pub struct Parts {
    /// Which shard it is.
    pub shard: u16,
    /// Where the configuration is swapped.
    pub shared: Arc<ArcSwap<Snapshot>>,
    /// The EAP conversations of all shards.
    pub dialogues: Arc<Dialogues>,
    /// The threads that compute handshakes; without them the shard does.
    pub workers: Option<Arc<dyn Workers>>,
    /// Where questions go.
    pub questions: Arc<dyn Questions>,
    /// Where events go.
    pub events: Box<dyn EventSink>,
    /// Where is counted.
    pub cells: Arc<ShardCells>,
    /// A random seed, for jitter and session ids.
    pub seed: u64,
    /// The names that clients get for devices; the same for all shards.
    pub pseudonyms: Pseudonyms,
    /// How many requests it remembers, parks and delays.
    pub room: Room,
}

/// How much an engine keeps at most.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Replies for repeats.
    pub replies: usize,
    /// Parked requests.
    pub parked: usize,
    /// Delayed rejects.
    pub delayed: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            replies: limits::REPLIES_KEPT_MAX,
            parked: limits::PARKED_REQUESTS_MAX,
            delayed: limits::DELAYED_REJECTS_MAX,
        }
    }
}
