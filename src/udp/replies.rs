//! The replies of one batch until they are sent: [`Replies`], one stretch of octets and a list of places in it.
//!
//! Owns their order and their bound. Sending them is the work of `flush`.

use std::ops::Range;

use crate::{
    engine::action::{Outbox, Peer},
    limits,
};

/// Replies that wait for the end of their batch.
///
/// All octets stand in one stretch of memory that is used again for every batch, so that a reply allocates nothing.
#[derive(Debug)]
pub struct Replies {
    octets: Vec<u8>,
    entries: Vec<Entry>,
    lost: u64,
}

/// One reply: to whom, and where its octets stand.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// To whom.
    pub to: Peer,
    start: u32,
    end: u32,
}

impl Entry {
    /// How many octets it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }
}

/// How far the replies went at some moment, to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    octets: usize,
    entries: usize,
}

impl Default for Replies {
    fn default() -> Self {
        Self::new()
    }
}

impl Replies {
    /// None yet, with room for a usual batch.
    #[must_use]
    pub fn new() -> Self {
        Self {
            octets: Vec::with_capacity(limits::REPLIES_KEPT_OCTETS),
            entries: Vec::with_capacity(ENTRIES_KEPT),
            lost: 0,
        }
    }

    /// All replies in the order in which they are sent.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The octets of one of the [`entries`](Self::entries).
    #[must_use]
    pub fn octets(&self, entry: &Entry) -> &[u8] {
        self.octets.get(Range { start: entry.start as usize, end: entry.end as usize }).unwrap_or_default()
    }

    /// The present end, to [`rewind`](Self::rewind) to.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { octets: self.octets.len(), entries: self.entries.len() }
    }

    /// Forgets what was queued since `mark` was taken.
    pub fn rewind(&mut self, mark: Mark) {
        self.octets.truncate(mark.octets);
        self.entries.truncate(mark.entries);
    }

    /// Brings replies that leave by one socket together, in their order, so that one system call takes many.
    pub fn sort_by_listener(&mut self) {
        // Mostly there is nothing to do: a shard handles one socket after the other.
        if !self.entries.is_sorted_by_key(|entry| entry.to.route.listener) {
            // The start makes the order stable, without the memory that a stable sort would take.
            self.entries.sort_unstable_by_key(|entry| (entry.to.route.listener, entry.start));
        }
    }

    /// Forgets all, and gives back the memory that only a burst needed.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.entries.clear();
        if self.octets.capacity() > limits::REPLIES_KEPT_OCTETS {
            self.octets.shrink_to(limits::REPLIES_KEPT_OCTETS);
        }
        if self.entries.capacity() > ENTRIES_KEPT {
            self.entries.shrink_to(ENTRIES_KEPT);
        }
    }

    /// How many replies found no room since this was last asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

impl Outbox for Replies {
    fn send(&mut self, to: &Peer, octets: &[u8]) {
        let (start, end) = (self.octets.len(), self.octets.len().saturating_add(octets.len()));
        if end > limits::REPLIES_COLLECTED_OCTETS_MAX || self.entries.len() >= limits::REPLIES_COLLECTED_MAX {
            self.lost += 1;
            return;
        }
        self.octets.extend_from_slice(octets);
        self.entries.push(Entry { to: *to, start: place(start), end: place(end) });
    }
}

/// Entries for which memory is kept: a full batch of four listeners.
const ENTRIES_KEPT: usize = 4 * limits::BATCH_DATAGRAMS;

#[expect(
    clippy::cast_possible_truncation,
    reason = "places are below REPLIES_COLLECTED_OCTETS_MAX, which fits 32 bits"
)]
const fn place(at: usize) -> u32 {
    at as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::action::Route;

    fn peer(listener: u16) -> Peer {
        Peer { address: ([127, 0, 0, 1], 9).into(), route: Route { listener, local: None, interface: 0 } }
    }

    #[test]
    fn replies_of_one_listener_leave_together_and_in_their_order() {
        let mut replies = Replies::new();
        for (listener, text) in [(1, "b1"), (0, "a1"), (1, "b2"), (0, "a2")] {
            replies.send(&peer(listener), text.as_bytes());
        }
        replies.sort_by_listener();
        let order: Vec<_> = replies.entries().iter().map(|entry| replies.octets(entry)).collect();
        assert_eq!(order, [b"a1", b"a2", b"b1", b"b2"]);
    }

    #[test]
    fn what_came_after_a_mark_can_be_forgotten() {
        let mut replies = Replies::new();
        replies.send(&peer(0), b"stays");
        let mark = replies.mark();
        replies.send(&peer(0), b"goes");
        replies.rewind(mark);
        replies.send(&peer(0), b"comes");
        let kept: Vec<_> = replies.entries().iter().map(|entry| replies.octets(entry)).collect();
        assert_eq!(kept, [b"stays", b"comes"]);
    }

    #[test]
    fn replies_beyond_the_bounds_are_counted_and_the_memory_of_a_burst_goes_back() {
        let mut replies = Replies::new();
        let longest = [7; limits::PACKET_OCTETS_MAX];
        let fitting = limits::REPLIES_COLLECTED_OCTETS_MAX / longest.len();
        for _ in 0..fitting + 3 {
            replies.send(&peer(0), &longest);
        }
        assert_eq!((replies.entries().len(), replies.take_lost(), replies.take_lost()), (fitting, 3, 0));
        replies.clear();
        for _ in 0..limits::REPLIES_COLLECTED_MAX + 2 {
            replies.send(&peer(0), b"short");
        }
        assert_eq!((replies.entries().len(), replies.take_lost()), (limits::REPLIES_COLLECTED_MAX, 2));
        replies.clear();
        assert!(replies.octets.capacity() <= 2 * limits::REPLIES_KEPT_OCTETS);
        assert!(replies.entries.capacity() <= 2 * ENTRIES_KEPT);
    }
}
