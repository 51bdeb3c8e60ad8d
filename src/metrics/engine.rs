//! The cells of the packet path: one set for each shard, so that no two threads write one cache line.
//!
//! Owns what is counted there and the labels. The engine counts; the exposition adds the shards up.

use std::{
    hint::black_box,
    mem::offset_of,
    sync::{Arc, Mutex, PoisonError},
};

use super::cell::{Counter, Gauge, Histogram};

/// Codes that are counted, by the names of the label `code`. Anything else is the last.
pub const CODES: [&str; 7] = [
    "Access-Request",
    "Access-Accept",
    "Access-Reject",
    "Accounting-Request",
    "Accounting-Response",
    "Access-Challenge",
    "Status-Server",
];

/// Why a datagram was dropped: the label `reason`.
pub const DROP_REASONS: [&str; 10] = [
    "unknown-client",
    "bad-authenticator",
    "bad-message-authenticator",
    "missing-message-authenticator",
    "proxy-state",
    "malformed",
    "unexpected-code",
    "duplicate",
    "overload",
    "bug",
];

/// How a request was authenticated: the label `method`. The last is whatever never got so far.
pub const METHODS: [&str; 5] = ["mab", "eap-tls", "eap-md5", "authorize-only", "none"];

/// How an EAP conversation ended: the label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EapResult {
    /// With access.
    Accept,
    /// Without access.
    Reject,
    /// The device fell silent.
    Timeout,
}

impl EapResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accept, Self::Reject, Self::Timeout];

    /// The label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Timeout => "timeout",
        }
    }
}

/// The version of TLS of an EAP conversation: the label `tls`. The last is for those that agreed on none.
pub const EAP_TLS_VERSIONS: [&str; 3] = ["1.2", "1.3", "none"];

/// EAP conversations that ended, by result, version of TLS, and whether a session was resumed.
#[derive(Debug, Default)]
pub struct EapCells([[[Counter; 2]; EAP_TLS_VERSIONS.len()]; EapResult::ALL.len()]);

impl EapCells {
    /// The cell of one kind of end.
    #[must_use]
    pub fn cell(&self, result: EapResult, tls: Option<&str>, is_resumed: bool) -> &Counter {
        let version = match tls {
            Some("1.2") => 0,
            Some("1.3") => 1,
            _ => 2,
        };
        &self.0[result as usize][version][usize::from(is_resumed)]
    }
}

/// What one client did on one shard. Only that shard writes it.
///
/// In this order what each request counts is on one cache line: the answers, which are before the first code of requests.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct ClientCells {
    /// Replies by [`CODES`].
    pub responses: [Counter; CODES.len()],
    /// Requests by [`CODES`].
    pub requests: [Counter; CODES.len()],
    /// Drops by [`DROP_REASONS`].
    pub drops: [Counter; DROP_REASONS.len()],
    /// Access-Requests that came without Message-Authenticator and were accepted (`learn`, `optional`).
    pub unsigned: Counter,
    /// Access-Requests that came with it although it is not required.
    pub signed: Counter,
}

const _: () = assert!(
    offset_of!(ClientCells, requests) + size_of::<Counter>() <= 64,
    "the answers and the first code of requests share a cache line"
);

impl ClientCells {
    /// Reads one of those that each request counts, so that all of them are in the processor's caches by then.
    pub fn read_ahead(&self) {
        black_box(self.requests.first().map(Counter::value));
    }
}

/// What one shard did. Only that shard writes it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardCells {
    /// From arrival to reply, by [`METHODS`].
    pub decisions: [Histogram; METHODS.len()],
    /// EAP conversations that ended.
    pub eap: EapCells,
    /// Requests that are parked or whose reject is delayed.
    pub inflight: Gauge,
    /// Events that found no room on the way to the log.
    pub events_lost: Counter,
    /// What senders did that are no clients.
    pub strangers: ClientCells,
}

/// The cells of all clients by name. They outlive reloads: a client keeps its numbers for as long as the process runs.
///
/// Bound: as many names as configurations ever named, at most [`crate::limits::CLIENTS_MAX`]; beyond it new clients
/// share one set of cells under the name [`MORE`], which no configuration may give.
#[derive(Debug)]
pub struct ClientRegistry {
    shards: usize,
    clients: Mutex<Vec<NamedCells>>,
}

/// The label `client` of senders that are none.
pub const STRANGERS: &str = "(none)";

/// The label of those that have no cells of their own, because there are too many.
pub const MORE: &str = "(more)";

/// A client's name and its cells, one set for each shard.
pub type NamedCells = (Box<str>, Arc<[ClientCells]>);

impl ClientRegistry {
    /// `shards`: how many shards count.
    #[must_use]
    pub const fn new(shards: usize) -> Self {
        Self { shards, clients: Mutex::new(Vec::new()) }
    }

    /// The cells of the clients called `names`, one for each shard; made where they don't exist yet.
    #[must_use]
    pub fn cells<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<Arc<[ClientCells]>> {
        self.cells_within(crate::limits::CLIENTS_MAX, names)
    }

    /// `most`: clients that have cells of their own.
    fn cells_within<'n>(&self, most: usize, names: impl IntoIterator<Item = &'n str>) -> Vec<Arc<[ClientCells]>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known: std::collections::HashMap<Box<str>, Arc<[ClientCells]>> =
            clients.iter().map(|(name, cells)| (name.clone(), Arc::clone(cells))).collect();
        names
            .into_iter()
            .map(|name| {
                // Looked up before the bound is asked: otherwise a reload of as many clients as there may be would take
                // their numbers from all of them.
                if let Some(cells) = known.get(name) {
                    return Arc::clone(cells);
                }
                let own = known.len() - usize::from(known.contains_key(MORE));
                let name = if own < most { name } else { MORE };
                if let Some(cells) = known.get(name) {
                    return Arc::clone(cells);
                }
                let cells: Arc<[ClientCells]> = (0..self.shards).map(|_| ClientCells::default()).collect();
                known.insert(name.into(), Arc::clone(&cells));
                clients.push((name.into(), Arc::clone(&cells)));
                cells
            })
            .collect()
    }

    /// All clients and their cells, for the page.
    #[must_use]
    pub fn all(&self) -> Vec<NamedCells> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_keeps_its_cells_over_reloads() {
        let registry = ClientRegistry::new(2);
        registry.cells(["a", "b"])[1][0].requests[0].increment_own();
        assert_eq!(registry.cells(["b"])[0][0].requests[0].value(), 1);
        assert_eq!(registry.all().len(), 2);
    }
    #[test]
    fn with_as_many_clients_as_there_may_be_a_reload_takes_no_numbers_away() {
        let registry = ClientRegistry::new(1);
        registry.cells_within(2, ["a", "b", "c"])[2][0].requests[0].increment_own();
        let names = |registry: &ClientRegistry| registry.all().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&registry), ["a".into(), "b".into(), MORE.into()]);
        registry.cells_within(2, ["a", "b", "c", "d"])[1][0].requests[0].increment_own();
        assert_eq!(names(&registry), ["a".into(), "b".into(), MORE.into()]);
        assert_eq!(registry.all().iter().map(|(_, cells)| cells[0].requests[0].value()).collect::<Vec<_>>(), [0, 1, 1]);
    }
}
