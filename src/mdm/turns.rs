//! Waiting questions of one class: the clients that ask take turns, and the questions of each go in their order.
//!
//! Owns whose question comes next, and whose is given up when there is no more room. How many may wait is the desk's
//! business.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::device::question::Key;

/// Waiting questions of one class.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Clients with questions.
    // Bound: the questions that the desk lets in, `limits::QUESTIONS_QUEUED_MAX`.
    queues: HashMap<u32, Queue>,
    /// The same in the order of their turns.
    // Bound: as `queues`.
    turns: BTreeMap<u64, u32>,
    /// The same by how many questions they have.
    // Bound: as `queues`.
    lengths: BTreeSet<(usize, u32)>,
    count: usize,
    /// Numbers for turns and places; each is given once.
    next: u64,
}

/// The questions of one client.
#[derive(Debug, Default)]
struct Queue {
    // Bound: the questions that the desk lets in, `limits::QUESTIONS_QUEUED_MAX`.
    keys: BTreeMap<u64, Key>,
    turn: u64,
    /// Turns that it has had ahead, for further calls of a question.
    owed: u32,
}

/// Where a question waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Whose turn it waits for.
    pub(super) client: u32,
    at: u64,
}

impl Turns {
    /// The most turns that a client owes: a lookup has a handful of calls, and no debt should outlast a storm.
    const OWED_MAX: u32 = 64;

    /// Puts a question behind the others of its client.
    pub(super) fn push(&mut self, client: u32, key: Key) -> Place {
        let (at, turn) = (self.number(), self.number());
        let queue = self.queues.entry(client).or_default();
        if queue.keys.is_empty() {
            queue.turn = turn;
            self.turns.insert(turn, client);
        }
        let before = queue.keys.len();
        queue.keys.insert(at, key);
        self.note_length(client, before, before + 1);
        Place { client, at }
    }

    /// Takes the question whose turn it is. Who had turns ahead lets the others go first, if there are any.
    pub(super) fn pop(&mut self) -> Option<Key> {
        loop {
            let (turn, client) = self.turns.pop_first()?;
            let (later, alone) = (self.number(), self.turns.is_empty());
            let queue = self.queues.get_mut(&client)?;
            debug_assert_eq!(queue.turn, turn, "each client with questions has one turn");
            queue.turn = later;
            self.turns.insert(later, client);
            if alone {
                queue.owed = 0;
            } else if queue.owed > 0 {
                queue.owed -= 1;
                continue;
            }
            let at = *queue.keys.first_key_value()?.0;
            return self.remove(Place { client, at });
        }
    }

    /// Takes a question out, wherever it waits.
    pub(super) fn remove(&mut self, place: Place) -> Option<Key> {
        let queue = self.queues.get_mut(&place.client)?;
        let key = queue.keys.remove(&place.at)?;
        let (left, turn) = (queue.keys.len(), queue.turn);
        self.note_length(place.client, left + 1, left);
        if left == 0 {
            self.turns.remove(&turn);
            self.queues.remove(&place.client);
        }
        Some(key)
    }

    /// Whose question leaves for a further one of `client`: the newest of the client that has most, if that is more than
    /// `client` has with it.
    pub(super) fn newest_of_longest(&self, client: u32) -> Option<Place> {
        let (length, longest) = *self.lengths.last()?;
        if length <= self.len_of(client) + 1 {
            return None;
        }
        let at = *self.queues.get(&longest)?.keys.last_key_value()?.0;
        Some(Place { client: longest, at })
    }

    /// A question of `client` needed one more call.
    pub(super) fn owe(&mut self, client: u32) {
        if let Some(queue) = self.queues.get_mut(&client) {
            queue.owed = (queue.owed + 1).min(Self::OWED_MAX);
        }
    }

    /// How many wait.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Whether none waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many of one client wait.
    pub(super) fn len_of(&self, client: u32) -> usize {
        self.queues.get(&client).map_or(0, |queue| queue.keys.len())
    }

    /// How many come before the last question of `client`, at most.
    pub(super) fn ahead_of(&self, client: u32) -> usize {
        self.len_of(client).saturating_mul(self.turns.len()).min(self.count).saturating_sub(1)
    }

    fn note_length(&mut self, client: u32, before: usize, after: usize) {
        self.lengths.remove(&(before, client));
        if after > 0 {
            self.lengths.insert((after, client));
        }
        self.count = self.count + after - before;
    }

    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::identifier::MacAddress;

    fn key(client: u8, number: u8) -> Key {
        Key::Mac(MacAddress::new([0xa4, 0, 0, 0, client, number]))
    }

    fn turns(clients: &[(u8, u8)]) -> Turns {
        let mut turns = Turns::default();
        for (client, questions) in clients {
            for number in 0..*questions {
                turns.push(u32::from(*client), key(*client, number));
            }
        }
        turns
    }

    #[test]
    fn clients_take_turns_and_the_questions_of_each_go_in_their_order() {
        let mut turns = turns(&[(1, 3), (2, 1), (3, 2)]);
        let order = std::iter::from_fn(|| turns.pop()).collect::<Vec<_>>();
        assert_eq!(order, [key(1, 0), key(2, 0), key(3, 0), key(1, 1), key(3, 1), key(1, 2)]);
        assert!(turns.is_empty() && turns.queues.is_empty() && turns.turns.is_empty() && turns.lengths.is_empty());
    }

    #[test]
    fn who_had_turns_ahead_lets_the_others_go_first_and_owes_nothing_when_alone() {
        let mut turns = turns(&[(1, 4), (2, 3)]);
        turns.owe(1);
        turns.owe(1);
        let order = std::iter::from_fn(|| turns.pop()).collect::<Vec<_>>();
        assert_eq!(order, [key(2, 0), key(2, 1), key(1, 0), key(2, 2), key(1, 1), key(1, 2), key(1, 3)]);
    }

    #[test]
    fn the_newest_question_of_whoever_has_most_leaves_for_those_who_have_fewer() {
        let mut turns = turns(&[(1, 2), (2, 5)]);
        for client in [3, 1] {
            let place = turns.newest_of_longest(client).expect("another one has more");
            let left = turns.len_of(2) - 1;
            assert_eq!(turns.remove(place), Some(key(2, u8::try_from(left).expect("small"))));
            turns.push(client, key(9, 9));
        }
        assert_eq!(turns.newest_of_longest(2), None, "nobody has more than this one would have");
        assert_eq!((turns.len(), turns.len_of(1), turns.len_of(2), turns.len_of(3)), (7, 3, 3, 1));
    }
}
