//! Rejects that wait for their delay, kept as data.
//!
//! Owns the order in which they are due. Why a reject is delayed: guessing passwords or MACs becomes slow, and broken
//! clients don't spin (RFC 5080 section 2.2; draft-ietf-radext-deprecating-radius section 8.3).

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use crate::{clock::Mono, limits};

use super::{action::Peer, client::Client, duplicate::Ticket};

/// A reject that waits.
#[derive(Debug)]
pub struct Delayed {
    /// Where it goes.
    pub peer: Peer,
    /// Where its octets are stored for repeats once it has left.
    pub ticket: Ticket,
    /// Which client it goes to, for the counters.
    pub client: Arc<Client>,
    /// The reply.
    pub octets: Vec<u8>,
}

/// The delayed rejects of one shard. When full the one that is due first leaves early.
///
/// Bound: [`limits::DELAYED_REJECTS_MAX`].
#[derive(Debug)]
pub struct DelayedRejects {
    due: BinaryHeap<Reverse<(Mono, u32)>>,
    slots: Vec<Option<Delayed>>,
    free: Vec<u32>,
    spare: Vec<Vec<u8>>,
    capacity: usize,
}

impl DelayedRejects {
    /// Room for `capacity` rejects.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, limits::DELAYED_REJECTS_MAX);
        Self { due: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), spare: Vec::new(), capacity }
    }

    /// Keeps a reject until `at`. If there is no room, the one that would leave next is given back to be sent now.
    pub fn push(
        &mut self,
        at: Mono,
        peer: Peer,
        ticket: Ticket,
        client: Arc<Client>,
        octets: &[u8],
    ) -> Option<Delayed> {
        let early = if self.due.len() >= self.capacity { self.pop() } else { None };
        let mut kept = self.spare.pop().unwrap_or_default();
        kept.clear();
        kept.extend_from_slice(octets);
        let delayed = Delayed { peer, ticket, client, octets: kept };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(delayed);
        }
        self.due.push(Reverse((at, slot)));
        early
    }

    /// The next reject that is due at `now`.
    pub fn pop_due(&mut self, now: Mono) -> Option<Delayed> {
        if self.next_due()? > now {
            return None;
        }
        self.pop()
    }

    /// Takes the buffer of a reject that was sent, to use it again.
    pub fn recycle(&mut self, delayed: Delayed) {
        self.spare.push(delayed.octets);
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Mono> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    fn pop(&mut self) -> Option<Delayed> {
        let Reverse((_, slot)) = self.due.pop()?;
        let delayed = self.slots.get_mut(slot as usize).and_then(Option::take);
        self.free.push(slot);
        delayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Now,
        engine::{
            action::{Port, Route},
            client::tests::client,
            duplicate::{DuplicateTable, Fingerprint, RequestKey, Seen},
        },
    };

    fn peer() -> Peer {
        Peer { address: ([127, 0, 0, 1], 9).into(), route: Route { listener: 0, local: None, interface: 0 } }
    }

    fn ticket() -> Ticket {
        let key = RequestKey { peer: peer(), port: Port::Auth, identifier: 0 };
        let mut table = DuplicateTable::new(1);
        match table.admit(Now::default(), table.hash(&key), Fingerprint(0)) {
            Seen::New(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rejects_leave_in_the_order_in_which_they_are_due() {
        let mut delayed = DelayedRejects::new(8);
        for (at, octet) in [(30, 3u8), (10, 1), (20, 2)] {
            assert!(
                delayed.push(Mono::from_nanos(at), peer(), ticket(), Arc::new(client(0, "sw")), &[octet]).is_none()
            );
        }
        assert_eq!(delayed.next_due(), Some(Mono::from_nanos(10)));
        assert!(delayed.pop_due(Mono::from_nanos(9)).is_none());
        let order: Vec<u8> =
            std::iter::from_fn(|| delayed.pop_due(Mono::from_nanos(99))).map(|delayed| delayed.octets[0]).collect();
        assert_eq!(order, [1, 2, 3]);
        assert!(delayed.is_empty());
    }

    #[test]
    fn when_full_the_next_one_leaves_early() {
        let mut delayed = DelayedRejects::new(2);
        assert!(delayed.push(Mono::from_nanos(10), peer(), ticket(), Arc::new(client(0, "sw")), b"a").is_none());
        assert!(delayed.push(Mono::from_nanos(20), peer(), ticket(), Arc::new(client(0, "sw")), b"b").is_none());
        let early = delayed.push(Mono::from_nanos(30), peer(), ticket(), Arc::new(client(0, "sw")), b"c").unwrap();
        assert_eq!(early.octets, b"a");
        assert_eq!(delayed.len(), 2);
    }
}
