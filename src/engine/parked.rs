//! Requests that wait for an answer of device management, kept as plain data.
//!
//! Owns the slots, the order of deadlines and who waits for which question. A request here is not a task: it is resumed
//! by an answer or by its deadline, whichever comes first.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use hashbrown::HashMap;

use crate::{
    clock::{Mono, Now},
    device::question::{Key, ServerIndex},
    limits,
    policy::decision::SetIndex,
};

use super::{
    action::Peer, client::Client, dialogue::Talk, duplicate::Ticket, identity::Identity, lookup::Pursuit,
    snapshot::Snapshot,
};

/// A request that waits.
#[derive(Debug)]
pub struct Parked {
    /// Its octets, checked when it came.
    pub octets: Vec<u8>,
    /// Who sent it.
    pub peer: Peer,
    /// The client.
    pub client: Arc<Client>,
    /// The configuration under which it came.
    pub snapshot: Arc<Snapshot>,
    /// When it came.
    pub arrived: Now,
    /// Its place in the duplicate table.
    pub ticket: Ticket,
    /// Who the device is.
    pub identity: Identity,
    /// The EAP conversation that it belongs to.
    pub talk: Option<Box<Talk>>,
    /// The policy set that was chosen.
    pub set: SetIndex,
    /// How far the lookup has come.
    pub pursuit: Pursuit,
}

/// The parked requests of one shard. When it is full nothing more is parked: the request is decided at once as `late`.
///
/// Bound: [`limits::PARKED_REQUESTS_MAX`].
#[derive(Debug)]
pub struct ParkedRequests {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The first of those who wait for a question; the others are linked behind it.
    waiting: HashMap<(ServerIndex, Key), u32, foldhash::quality::RandomState>,
    deadlines: BinaryHeap<Reverse<(Mono, u32, u32)>>,
    capacity: usize,
    count: usize,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    parked: Option<Parked>,
    question: Option<(ServerIndex, Key)>,
    /// Neighbours in the list of those who wait for the same question.
    previous: Option<u32>,
    next: Option<u32>,
}

impl ParkedRequests {
    /// Room for `capacity` requests.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, limits::PARKED_REQUESTS_MAX);
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            waiting: HashMap::default(),
            deadlines: BinaryHeap::new(),
            capacity,
            count: 0,
        }
    }

    /// Whether one more can be parked.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.count < self.capacity
    }

    /// How many wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Parks a request until the question is answered or `deadline` has come. Ask [`Self::has_room`] first.
    pub fn park(&mut self, parked: Parked, server: ServerIndex, key: Key, deadline: Mono) {
        debug_assert!(self.has_room(), "the caller asked");
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.slots.push(Slot::default());
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let behind = self.waiting.insert((server, key), at);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.parked = Some(parked);
            slot.question = Some((server, key));
            slot.previous = None;
            slot.next = behind;
            self.deadlines.push(Reverse((deadline, at, slot.generation)));
            self.count += 1;
        }
        if let Some(slot) = behind.and_then(|behind| self.slots.get_mut(behind as usize)) {
            slot.previous = Some(at);
        }
        self.compact_deadlines();
    }

    /// Takes one of those who wait for a question; call it until it gives none.
    pub fn take_waiting(&mut self, server: ServerIndex, key: Key) -> Option<Parked> {
        let at = *self.waiting.get(&(server, key))?;
        self.take(at)
    }

    /// Takes a request whose deadline has come.
    pub fn take_due(&mut self, now: Mono) -> Option<Parked> {
        loop {
            let Reverse((deadline, at, generation)) = *self.deadlines.peek()?;
            let is_live = self.slots.get(at as usize).is_some_and(|slot| slot.generation == generation);
            if is_live && deadline > now {
                return None;
            }
            self.deadlines.pop();
            if is_live {
                return self.take(at);
            }
        }
    }

    /// A deadline not after the next one: cheap, and good enough to sleep by.
    #[must_use]
    pub fn wake_at(&self) -> Option<Mono> {
        self.deadlines.peek().map(|Reverse((deadline, _, _))| *deadline)
    }

    fn take(&mut self, at: u32) -> Option<Parked> {
        self.unlink(at);
        let slot = self.slots.get_mut(at as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        let parked = slot.parked.take()?;
        self.count -= 1;
        self.free.push(at);
        Some(parked)
    }

    /// Takes a slot out of the list of those who wait for its question.
    fn unlink(&mut self, at: u32) {
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        let Some(question) = slot.question.take() else { return };
        let (previous, next) = (slot.previous.take(), slot.next.take());
        if let Some(slot) = next.and_then(|next| self.slots.get_mut(next as usize)) {
            slot.previous = previous;
        }
        match (previous, next) {
            (Some(previous), _) => {
                if let Some(slot) = self.slots.get_mut(previous as usize) {
                    slot.next = next;
                }
            }
            (None, Some(next)) => {
                self.waiting.insert(question, next);
            }
            (None, None) => {
                self.waiting.remove(&question);
            }
        }
    }

    /// Deadlines of requests that were answered stay in the heap until they come; when they outnumber the slots by far
    /// they are swept out, so that the heap is bounded too.
    fn compact_deadlines(&mut self) {
        if self.deadlines.len() < self.capacity * 4 {
            return;
        }
        let slots = &self.slots;
        self.deadlines.retain(|Reverse((_, at, generation))| {
            slots.get(*at as usize).is_some_and(|slot| slot.generation == *generation && slot.parked.is_some())
        });
    }
}
