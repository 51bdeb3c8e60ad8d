//! Handshakes that another thread computes, so that no MAC bypass waits behind one.
//!
//! Owns what travels there and back: the whole request with its conversation, so that nothing of it stays behind. The
//! threads are the daemon's; without any a shard computes by itself.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use crate::{
    clock::{Mono, Now},
    eap::{chance::SystemChance, conversation::Step},
};

use super::{action::Peer, client::Client, dialogue::Talk, duplicate::Ticket, snapshot::Snapshot};

/// A request whose device has sent a whole flight of a handshake.
#[derive(Debug)]
pub struct Work {
    pub(super) shard: u16,
    pub(super) octets: Box<[u8]>,
    pub(super) peer: Peer,
    pub(super) client: Arc<Client>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) arrived: Now,
    pub(super) ticket: Ticket,
    pub(super) talk: Box<Talk>,
    pub(super) response: Box<[u8]>,
}

/// The same when it is computed.
#[derive(Debug)]
pub struct Done {
    pub(super) work: Work,
    /// What follows; `None` if a bug of ours ended the computation.
    pub(super) step: Option<Step>,
}

/// Takes work. Implemented by the daemon's threads.
pub trait Workers: Send + Sync {
    /// Takes `work`, whose [`Done`] is handed to its shard later.
    ///
    /// # Errors
    /// The work itself, if there is no room for it.
    fn take(&self, work: Box<Work>) -> Result<(), Box<Work>>;

    /// Whether a new conversation may begin, which will bring work; if so it is reckoned with from now on.
    ///
    /// False if there is more to do than devices wait for. Those that have begun then end, one after the other; if all were
    /// begun, all of them would be given up half-way.
    fn may_begin(&self, now: Mono) -> bool;
}

impl Work {
    /// Which shard waits for it.
    #[must_use]
    pub const fn shard(&self) -> u16 {
        self.shard
    }

    /// Computes. A panic in it is a bug of ours: it is caught, and the request gets no answer.
    #[must_use]
    pub fn run(mut self) -> Done {
        let Self { talk, response, arrived, .. } = &mut self;
        let conversation = &mut talk.dialogue.conversation;
        let run = AssertUnwindSafe(|| conversation.step(*arrived, response, &mut SystemChance));
        let step = panic::catch_unwind(run).ok();
        Done { work: self, step }
    }
}
