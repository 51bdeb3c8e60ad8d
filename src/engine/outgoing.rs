//! Replies that were decided in the running batch: signed side by side at its end, and only then sent or kept.
//!
//! Owns the list and what becomes of it when a call of the machine is given up half-way. Where a reply goes afterwards is
//! `state`'s matter.

use std::sync::Arc;

use crate::{
    clock::Mono,
    limits,
    radius::{
        reply::ReplyBuffer,
        secret::Secret,
        signing::{ReplyNumber, Signing},
    },
};

use super::{action::Peer, client::Client, duplicate::Ticket};

/// A reply that waits for its signature.
pub(super) struct Waiting {
    number: ReplyNumber,
    /// To whom it goes.
    pub(super) peer: Peer,
    /// Where it is stored for repeats; nowhere for Status-Server.
    pub(super) ticket: Option<Ticket>,
    /// Until when it is held back, and for which client that is counted.
    pub(super) delay: Option<(Mono, Arc<Client>)>,
}

/// Where a reply goes: as in [`Waiting`].
pub(super) type Way = (Peer, Option<Ticket>, Option<(Mono, Arc<Client>)>);

/// The replies of the running batch.
///
/// Bound: [`limits::REPLIES_SIGNED_MAX`]; a batch with more is signed in parts.
#[derive(Default)]
pub(super) struct Outgoing {
    signing: Signing,
    // Bound: the same.
    waiting: Vec<Waiting>,
    /// How many of them are of calls that came to their end.
    whole: usize,
}

impl Outgoing {
    /// Adds a reply and where it goes. `true`: there is no room for another one, sign and send them now.
    pub(super) fn add(
        &mut self,
        reply: &mut ReplyBuffer,
        request_authenticator: &[u8; 16],
        secret: &Secret,
        (peer, ticket, delay): Way,
    ) -> bool {
        let number = self.signing.add(reply, request_authenticator, secret);
        self.waiting.push(Waiting { number, peer, ticket, delay });
        self.waiting.len() >= limits::REPLIES_SIGNED_MAX
    }

    /// A call of the machine begins: replies of one that never ended are forgotten, because its request was given up.
    pub(super) fn call_begins(&mut self) {
        self.waiting.truncate(self.whole);
    }

    /// The call came to its end.
    pub(super) fn call_ended(&mut self) {
        self.whole = self.waiting.len();
    }

    /// Signs all of them and hands each to `leave`, in their order.
    pub(super) fn sign(&mut self, mut leave: impl FnMut(Waiting, &[u8])) {
        if self.waiting.is_empty() {
            return;
        }
        self.signing.run();
        for waiting in self.waiting.drain(..) {
            let octets = self.signing.octets(waiting.number);
            leave(waiting, octets);
        }
        self.clear();
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.signing.clear();
        self.waiting.clear();
        self.whole = 0;
    }
}
