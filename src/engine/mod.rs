//! One request in, one action out: the heart of radmit, without sockets, clocks or `async`.
//!
//! Owns admission, the duplicate table, authentication by MAC bypass and EAP, parked requests, the choice of the reply and its
//! octets. It doesn't receive or send (`udp`), ask the cloud (`mdm`), judge (`policy`) or write logs (`audit`).
//!
//! ```text
//! handle ─► admit ─► duplicate ─► authenticate ─► lookup ─► decide ─► reply ─► send, or delay a reject
//!                                                   │ ▲
//!                                            parked ┘ └ resume (an answer), expire (a deadline)
//! ```

pub mod action;
pub mod admit;
pub mod arrival;
pub mod authenticate;
pub mod chance;
pub mod client;
mod converse;
pub mod decide;
pub mod delayed;
pub mod dialogue;
mod download;
pub mod drops;
pub mod duplicate;
pub mod event;
pub mod hits;
pub mod identity;
pub mod lookup;
pub mod machine;
mod outgoing;
pub mod parked;
mod parts;
mod pass;
pub mod pseudonym;
mod record;
pub mod reply;
mod silence;
pub mod snapshot;
mod state;
mod way;
pub mod work;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{
    clock::{Mono, Now},
    device::question::{Answer, Failure},
};

pub use parts::{Parts, Room};

use action::Outbox;
use arrival::Arrival;
use machine::Machine;
use snapshot::Snapshot;
use state::State;
use work::Done;

/// The engine of one shard.
pub struct Engine {
    shared: Arc<ArcSwap<Snapshot>>,
    /// The configuration of the running batch.
    snapshot: Arc<Snapshot>,
    state: State,
}

impl Engine {
    /// An engine under the configuration that `parts.shared` holds now.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let snapshot = parts.shared.load_full();
        Self { shared: Arc::clone(&parts.shared), snapshot, state: State::new(parts) }
    }

    /// From here on by the newest configuration.
    fn catch_up(&mut self) {
        let current = self.shared.load();
        if !Arc::ptr_eq(&current, &self.snapshot) {
            self.snapshot = Arc::clone(&current);
        }
    }
}

impl Machine for Engine {
    fn begin(&mut self, _now: Now) {
        self.catch_up();
        self.state.outgoing.clear();
    }

    fn look(&mut self, batch: &mut [Option<Arrival<'_>>]) {
        // Once more: what is received now may have been sent after a reload that `begin` came too early for.
        self.catch_up();
        self.state.look(&self.snapshot, batch);
    }

    fn handle(&mut self, now: Now, arrival: &Arrival<'_>, out: &mut dyn Outbox) {
        self.state.outgoing.call_begins();
        self.state.receive(&self.snapshot, now, arrival, out);
        self.state.outgoing.call_ended();
    }

    fn resume(&mut self, now: Now, answer: &Answer, out: &mut dyn Outbox) {
        self.state.outgoing.call_begins();
        while let Some(mut parked) = self.state.parked.take_waiting(answer.server, answer.key) {
            parked.pursuit.answered(answer.server, &answer.outcome);
            self.state.go_on(now, parked, out);
        }
        self.state.outgoing.call_ended();
    }

    fn finished(&mut self, now: Now, done: Done, out: &mut dyn Outbox) {
        self.state.outgoing.call_begins();
        self.state.go_on_conversing(now, done, out);
        self.state.outgoing.call_ended();
    }

    fn expire(&mut self, now: Now, out: &mut dyn Outbox) {
        self.state.outgoing.call_begins();
        while let Some(mut parked) = self.state.parked.take_due(now.mono) {
            if let Some((server, _)) = parked.pursuit.waiting {
                parked.pursuit.failed(server, Failure::Late);
            }
            self.state.go_on(now, parked, out);
        }
        self.state.release_rejects(now, out);
        self.state.outgoing.call_ended();
    }

    fn end(&mut self, now: Now, out: &mut dyn Outbox) {
        self.state.outgoing.call_begins();
        self.state.end(now, out);
    }

    fn wake_at(&self) -> Mono {
        self.state.wake_at()
    }

    fn drain(&mut self) {
        self.state.is_draining = true;
    }

    fn waiting(&self) -> usize {
        self.state.parked.len() + self.state.delayed.len() + self.state.computing
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}
