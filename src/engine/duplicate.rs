//! The table of requests that were seen lately: a retransmission gets the same octets again and is decided only once.
//!
//! Owns keys, stored replies and their age. What is put in here was verified before: a forged packet must neither fill
//! the table nor make us repeat stored replies (RFC 5080 section 2.2.2).

use std::hint::black_box;

use hashbrown::HashTable;

use crate::{
    clock::{Mono, Now},
    limits,
    radius::packet::Packet,
};

use super::action::{Datagram, Peer, Port};

/// What identifies a request among those of its sender (RFC 5080 section 2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// The sender, and through which of our addresses it asked.
    pub peer: Peer,
    /// Which service it asked.
    pub port: Port,
    /// The packet's Identifier.
    pub identifier: u8,
}

impl RequestKey {
    /// The key of a packet that came in this datagram.
    #[must_use]
    pub const fn of(datagram: &Datagram<'_>, packet: &Packet<'_>) -> Self {
        Self { peer: datagram.peer, port: datagram.port, identifier: packet.identifier() }
    }
}

/// A [`RequestKey`] as a table knows it: a keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash(u64);

/// What tells a retransmission from a new request that reuses the Identifier: a keyed hash over all octets.
///
/// The authenticator alone would do for a sender that makes it random; hashing all octets costs little more and holds
/// for senders that don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub u64);

/// A place in the table, and whose it was. It dies when the place is given to another request; then nothing is stored any
/// more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    slot: u32,
    generation: u32,
    // To tell a request that another one replaced from one that only had to make room.
    key: u64,
    fingerprint: Fingerprint,
}

/// What the table knows about a request.
#[derive(Debug)]
pub enum Seen<'t> {
    /// Not seen before, or something else with the same key, which is now forgotten: work on it.
    New(Ticket),
    /// Being worked on: stay silent.
    InProgress,
    /// Answered: send the same octets again.
    Answered(&'t [u8]),
}

/// The table of one shard. When it is full the oldest request leaves; a later repeat of it is decided anew.
#[derive(Debug)]
pub struct DuplicateTable {
    slots: Vec<Slot>,
    index: HashTable<u32>,
    next: u32,
    capacity: usize,
    hasher: foldhash::quality::RandomState,
    evicted: u64,
}

/// One request. It fits into a cache line, because a busy server finds none of them in its caches.
///
/// Of the key only a keyed hash is kept: a stranger can't make two keys meet there, and if two ever did, the requests
/// would still have to be equal in all octets to be taken for one.
#[derive(Debug)]
#[repr(align(64))]
struct Slot {
    key: u64,
    fingerprint: Fingerprint,
    /// When it came; once it is answered, when the reply left.
    since: Mono,
    reply: Vec<u8>,
    generation: u32,
    state: SlotState,
}

impl Slot {
    fn is_of(&self, ticket: Ticket) -> bool {
        self.generation == ticket.generation && self.state != SlotState::Free
    }

    /// Whether a repeat of it may still come. While it is worked on that is so until whoever decides has to be done: a
    /// reply that left at the last moment would otherwise meet a repeat that is taken as new.
    fn is_young(&self, now: Now) -> bool {
        let age = now.mono.since(self.since);
        match self.state {
            SlotState::Free => false,
            SlotState::InProgress => age < limits::DECISION_DEADLINE_MAX,
            SlotState::Answered => age < limits::REPLY_LIFETIME,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    Free,
    InProgress,
    Answered,
}

const _: () = assert!(size_of::<Slot>() == 64, "a slot is a cache line");

impl DuplicateTable {
    /// A table for `capacity` requests. The places are made when they are first used, and reused from then on.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, limits::REPLIES_KEPT_MAX);
        Self {
            slots: Vec::with_capacity(capacity),
            // Twice the places: deleted entries then never force the index to grow, which would allocate.
            index: HashTable::with_capacity(capacity * 2),
            next: 0,
            capacity,
            hasher: foldhash::quality::RandomState::default(),
            evicted: 0,
        }
    }

    /// The fingerprint of a request's octets, with this table's random key.
    #[must_use]
    pub fn fingerprint(&self, octets: &[u8]) -> Fingerprint {
        use std::hash::BuildHasher as _;
        Fingerprint(self.hasher.hash_one(octets))
    }

    /// What this table knows `key` by.
    #[must_use]
    pub fn hash(&self, key: &RequestKey) -> KeyHash {
        use std::hash::BuildHasher as _;
        KeyHash(self.hasher.hash_one(key))
    }

    /// Reads what admitting these requests will read, those that will have to leave for them included, so that it is in the
    /// processor's caches by then. It changes nothing.
    pub fn read_ahead(&self, keys: impl Iterator<Item = KeyHash>) {
        let mut count = 0;
        for KeyHash(key) in keys {
            black_box(self.index.find(key, |_| false).is_some());
            count += 1;
        }
        for at in (self.next..).take(count) {
            if let Some(slot) = self.slots.get(at as usize) {
                black_box(self.index.find(slot.key, |found| *found == at).is_some());
            }
        }
    }

    /// Looks `key` up and takes a place for it if it is new.
    pub fn admit(&mut self, now: Now, KeyHash(key): KeyHash, fingerprint: Fingerprint) -> Seen<'_> {
        let found = self.index.find(key, |slot| self.holds(*slot, key)).copied();
        if let Some(at) = found {
            let at = at as usize;
            let repeats = self.slots.get(at).is_some_and(|slot| slot.fingerprint == fingerprint && slot.is_young(now));
            if repeats {
                return match self.slots.get(at) {
                    Some(slot) if slot.state == SlotState::Answered => Seen::Answered(&slot.reply),
                    _ => Seen::InProgress,
                };
            }
            self.release(at);
        }
        Seen::New(self.take(now, key, fingerprint))
    }

    /// Stores the reply of a request, which leaves now, for its repeats.
    ///
    /// `false`: the request [is superseded](Self::is_superseded), and its reply must not leave.
    pub fn answer(&mut self, now: Now, ticket: Ticket, octets: &[u8]) -> bool {
        if let Some(slot) = self.slot_of(ticket) {
            slot.since = now.mono;
            slot.reply.clear();
            slot.reply.extend_from_slice(octets);
            slot.state = SlotState::Answered;
            return true;
        }
        !self.is_superseded(ticket)
    }

    /// Whether its sender has used the Identifier for another request since: it does not wait for this one's reply any
    /// more, and could take it for the other's.
    ///
    /// A request that had to leave a full table is not: nobody has asked anything else, and its sender still waits.
    /// Source: RFC 5080 section 2.2.2.
    #[must_use]
    pub fn is_superseded(&self, ticket: Ticket) -> bool {
        if self.slots.get(ticket.slot as usize).is_some_and(|slot| slot.is_of(ticket)) {
            return false;
        }
        let slot = self.index.find(ticket.key, |slot| self.holds(*slot, ticket.key));
        let holder = slot.and_then(|slot| self.slots.get(*slot as usize));
        holder.is_some_and(|slot| slot.fingerprint != ticket.fingerprint)
    }

    /// Forgets a request that got no answer and must be decided anew when it is repeated.
    pub fn forget(&mut self, ticket: Ticket) {
        if self.slot_of(ticket).is_some() {
            self.release(ticket.slot as usize);
        }
    }

    /// How many requests had to leave although they were young enough to be repeated.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn take(&mut self, now: Now, key: u64, fingerprint: Fingerprint) -> Ticket {
        let at = self.next as usize;
        if at < self.slots.len() {
            let young = self.slots.get(at).is_some_and(|slot| slot.is_young(now));
            self.evicted += u64::from(young);
            self.release(at);
        } else {
            self.slots.push(Slot {
                key,
                fingerprint,
                since: now.mono,
                reply: Vec::new(),
                generation: 0,
                state: SlotState::Free,
            });
        }
        let slot = &mut self.slots[at];
        slot.key = key;
        slot.fingerprint = fingerprint;
        slot.since = now.mono;
        slot.state = SlotState::InProgress;
        let ticket = Ticket { slot: self.next, generation: slot.generation, key, fingerprint };
        let slots = &self.slots;
        self.index.insert_unique(key, self.next, |slot| slots.get(*slot as usize).map_or(0, |slot| slot.key));
        self.next = if at + 1 == self.capacity { 0 } else { self.next + 1 };
        ticket
    }

    /// Empties a place. Its next use has another generation, so that old tickets don't fit.
    fn release(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at).filter(|slot| slot.state != SlotState::Free) else { return };
        slot.state = SlotState::Free;
        slot.generation = slot.generation.wrapping_add(1);
        if let Ok(entry) = self.index.find_entry(slot.key, |slot| *slot as usize == at) {
            entry.remove();
        }
    }

    fn slot_of(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        self.slots.get_mut(ticket.slot as usize).filter(|slot| slot.is_of(ticket))
    }

    fn holds(&self, slot: u32, key: u64) -> bool {
        self.slots.get(slot as usize).is_some_and(|slot| slot.key == key)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use super::*;
    use crate::engine::action::Route;

    fn key(port: u16, identifier: u8) -> RequestKey {
        RequestKey {
            peer: Peer {
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                route: Route { listener: 0, local: None, interface: 0 },
            },
            port: Port::Auth,
            identifier,
        }
    }

    fn admit(table: &mut DuplicateTable, now: Now, key: RequestKey, fingerprint: Fingerprint) -> Seen<'_> {
        let key = table.hash(&key);
        table.read_ahead([key, key].into_iter());
        table.admit(now, key, fingerprint)
    }

    fn new_ticket(table: &mut DuplicateTable, now: Now, key: RequestKey, fingerprint: u64) -> Ticket {
        match admit(table, now, key, Fingerprint(fingerprint)) {
            Seen::New(ticket) => ticket,
            other => panic!("expected a new request, got {other:?}"),
        }
    }

    #[test]
    fn a_repeat_is_silent_while_in_progress_and_gets_the_same_octets_afterwards() {
        let (mut table, now) = (DuplicateTable::new(8), Now::default());
        let ticket = new_ticket(&mut table, now, key(1, 7), 1);
        assert!(matches!(admit(&mut table, now, key(1, 7), Fingerprint(1)), Seen::InProgress));
        table.answer(now, ticket, b"reply");
        assert!(matches!(admit(&mut table, now, key(1, 7), Fingerprint(1)), Seen::Answered(b"reply")));
    }

    #[test]
    fn another_request_with_the_same_identifier_replaces_the_old_one() {
        let (mut table, now) = (DuplicateTable::new(8), Now::default());
        let old = new_ticket(&mut table, now, key(1, 7), 1);
        let new = new_ticket(&mut table, now, key(1, 7), 2);
        assert!(table.is_superseded(old) && !table.is_superseded(new));
        assert!(!table.answer(now, old, b"old"), "its sender waits for the other one");
        assert!(matches!(admit(&mut table, now, key(1, 7), Fingerprint(2)), Seen::InProgress));
        assert!(table.answer(now, new, b"new"));
        assert!(matches!(admit(&mut table, now, key(1, 7), Fingerprint(2)), Seen::Answered(b"new")));
    }

    #[test]
    fn the_same_octets_from_another_port_are_another_request() {
        let (mut table, now) = (DuplicateTable::new(8), Now::default());
        new_ticket(&mut table, now, key(1, 7), 1);
        new_ticket(&mut table, now, key(2, 7), 1);
        new_ticket(&mut table, now, key(1, 8), 1);
    }

    #[test]
    fn a_reply_is_repeated_for_a_while_after_it_has_left_however_long_it_took() {
        let (mut table, came) = (DuplicateTable::new(8), Now::default());
        let ticket = new_ticket(&mut table, came, key(1, 7), 1);
        let moment = Duration::from_nanos(1);
        let left = came.advanced(limits::DECISION_DEADLINE_MAX - moment);
        assert!(matches!(admit(&mut table, left, key(1, 7), Fingerprint(1)), Seen::InProgress));
        table.answer(left, ticket, b"reply");
        let late = left.advanced(limits::REPLY_LIFETIME - moment);
        assert!(matches!(admit(&mut table, late, key(1, 7), Fingerprint(1)), Seen::Answered(b"reply")));
        new_ticket(&mut table, left.advanced(limits::REPLY_LIFETIME), key(1, 7), 1);
    }

    #[test]
    fn a_request_that_is_never_answered_does_not_silence_its_repeats_for_ever() {
        let (mut table, now) = (DuplicateTable::new(8), Now::default());
        new_ticket(&mut table, now, key(1, 7), 1);
        new_ticket(&mut table, now.advanced(limits::DECISION_DEADLINE_MAX), key(1, 7), 1);
    }

    #[test]
    fn a_repeat_of_a_request_that_had_to_leave_replaces_it_but_does_not_supersede_it() {
        let (mut table, now) = (DuplicateTable::new(2), Now::default());
        let first = new_ticket(&mut table, now, key(1, 7), 1);
        for id in 0..2 {
            new_ticket(&mut table, now, key(1, id), 1);
        }
        let again = new_ticket(&mut table, now, key(1, 7), 1);
        assert!(table.answer(now, first, b"reply") && table.answer(now, again, b"reply"));
        let other = new_ticket(&mut table, now, key(1, 7), 2);
        assert!(
            !table.answer(now, first, b"reply")
                && !table.answer(now, again, b"reply")
                && table.answer(now, other, b"reply")
        );
    }

    #[test]
    fn a_forgotten_request_is_new_again() {
        let (mut table, now) = (DuplicateTable::new(8), Now::default());
        let ticket = new_ticket(&mut table, now, key(1, 7), 1);
        table.forget(ticket);
        new_ticket(&mut table, now, key(1, 7), 1);
    }

    #[test]
    fn when_full_the_oldest_leaves_and_the_table_never_grows() {
        let (mut table, now) = (DuplicateTable::new(4), Now::default());
        let tickets: Vec<Ticket> = (0..100).map(|id| new_ticket(&mut table, now, key(1, id), 1)).collect();
        assert_eq!(table.slots.len(), 4);
        assert_eq!(table.index.len(), 4);
        assert_eq!(table.evicted(), 96);
        assert!(table.answer(now, tickets[0], b"late"), "nobody else has its Identifier: it leaves, and is not kept");
        assert!(!table.is_superseded(tickets[0]));
        assert!(matches!(admit(&mut table, now, key(1, 99), Fingerprint(1)), Seen::InProgress));
        new_ticket(&mut table, now.advanced(Duration::from_secs(1)), key(1, 0), 1);
    }
}
