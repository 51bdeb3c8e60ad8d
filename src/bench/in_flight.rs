//! What is under way: a slot for each Identifier of each source port, and the order in which they run out of time.
//!
//! Owns which Identifier is used next and what a slot remembers of its request. What an answer means stands in
//! `traffic`.

use crate::clock::Mono;

use super::tally::Loss;

/// Identifiers of one source port (RFC 2865 section 3: one octet).
pub(super) const IDENTIFIERS: usize = 256;

/// A request that is under way. `T`: what it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Request<T = ()> {
    pub(super) authenticator: [u8; 16],
    pub(super) device: u64,
    /// When it should have left, by the schedule.
    pub(super) due: Mono,
    /// When it first left.
    pub(super) sent: Mono,
    pub(super) retransmissions: u32,
    /// Not of the warm-up.
    pub(super) is_measured: bool,
    /// Why an answer to it was not believed; the reason if no better one comes.
    pub(super) disbelieved: Option<Loss>,
    pub(super) of: T,
}

/// A request that had an Identifier before: its late and repeated answers are told from wrong ones by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Former {
    pub(super) authenticator: [u8; 16],
    pub(super) was_answered: bool,
    /// When it first left.
    pub(super) sent: Mono,
}

/// Requests before the present one that an Identifier remembers.
const FORMERS: usize = 3;

/// A place in the table: source port and Identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

impl Place {
    pub(super) const fn of(socket: usize, identifier: u8) -> Self {
        Self(socket * IDENTIFIERS + identifier as usize)
    }

    pub(super) const fn socket(self) -> usize {
        self.0 / IDENTIFIERS
    }

    #[expect(clippy::cast_possible_truncation, reason = "the rest of a division by 256")]
    pub(super) const fn identifier(self) -> u8 {
        (self.0 % IDENTIFIERS) as u8
    }
}

#[derive(Clone, Debug)]
struct Slot<T> {
    request: Option<Request<T>>,
    /// The last one first.
    formers: [Option<Former>; FORMERS],
    deadline: Mono,
    /// The neighbours in the order of deadlines.
    before: Option<usize>,
    after: Option<usize>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { request: None, formers: [None; FORMERS], deadline: Mono::default(), before: None, after: None }
    }
}

/// Which Identifiers of a source port are under way. They are given out in ascending order, as NASes do, and so that one
/// rests for long: an answer that comes late meets a slot that still knows its request.
#[derive(Clone, Debug, Default)]
struct Identifiers {
    under_way: [u128; 2],
    next: u8,
}

impl Identifiers {
    /// The next one that is free.
    fn take(&mut self) -> Option<u8> {
        // From the next one to the end of its half, the other half, and what is left of the first.
        let half = usize::from(self.next >> 7);
        let from_next = u128::MAX << (self.next & 127);
        let [low, high] = self.under_way;
        let (own, other) = if half == 0 { (low, high) } else { (high, low) };
        let searched = [(own | !from_next, half), (other, 1 - half), (own, half)];
        let (taken, half) = searched.into_iter().find(|(taken, _)| *taken != u128::MAX)?;
        let bit = taken.trailing_ones();
        *self.under_way.get_mut(half)? |= 1 << bit;
        let identifier = u8::try_from(bit).ok()? | if half == 0 { 0 } else { 128 };
        self.next = identifier.wrapping_add(1);
        Some(identifier)
    }

    fn give_back(&mut self, identifier: u8) {
        if let Some(half) = self.under_way.get_mut(usize::from(identifier >> 7)) {
            *half &= !(1 << (identifier & 127));
        }
    }
}

/// All slots of one thread.
#[derive(Debug)]
pub(super) struct InFlight<T = ()> {
    slots: Vec<Slot<T>>,
    /// Those of each source port.
    identifiers: Vec<Identifiers>,
    count: usize,
    first: Option<usize>,
    last: Option<usize>,
    /// The source port of the next request, and how many it still takes in a row.
    turn: (usize, usize),
}

/// Requests that one source port takes in a row: enough for one system call to be worth its while, few enough that no
/// port has a burst.
const ROW: usize = 16;

impl<T> InFlight<T> {
    pub(super) fn new(sockets: usize) -> Self {
        Self {
            slots: (0..sockets * IDENTIFIERS).map(|_| Slot::default()).collect(),
            identifiers: vec![Identifiers::default(); sockets],
            count: 0,
            first: None,
            last: None,
            turn: (0, ROW),
        }
    }

    /// How many are under way.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Whether another one has a place.
    pub(super) const fn has_room(&self) -> bool {
        self.count < self.slots.len()
    }

    /// A free place; none if all Identifiers of all source ports are under way.
    pub(super) fn take(&mut self) -> Option<Place> {
        if !self.has_room() {
            return None;
        }
        loop {
            let (socket, left) = self.turn;
            if left > 0
                && let Some(identifier) = self.identifiers.get_mut(socket)?.take()
            {
                self.turn.1 -= 1;
                return Some(Place::of(socket, identifier));
            }
            self.turn = ((socket + 1) % self.identifiers.len(), ROW);
        }
    }

    /// A free place at this source port; none if all of its Identifiers are under way.
    pub(super) fn take_at(&mut self, socket: usize) -> Option<Place> {
        let identifier = self.identifiers.get_mut(socket)?.take()?;
        Some(Place::of(socket, identifier))
    }

    /// Begins the wait of `request` in a place that was taken. Deadlines never go back.
    pub(super) fn start(&mut self, place: Place, request: Request<T>, deadline: Mono) {
        if let Some(slot) = self.slots.get_mut(place.0) {
            slot.request = Some(request);
            self.count += 1;
            self.append(place.0, deadline);
        }
    }

    /// The request that waits in a place.
    pub(super) fn request(&mut self, place: Place) -> Option<&mut Request<T>> {
        self.slots.get_mut(place.0)?.request.as_mut()
    }

    /// The requests that had the place before the present one, or before it became free; the last one first.
    pub(super) fn formers(&self, place: Place) -> [Option<Former>; FORMERS] {
        self.slots.get(place.0).map_or([None; FORMERS], |slot| slot.formers)
    }

    /// Ends the wait: the place is free.
    pub(super) fn finish(&mut self, place: Place, was_answered: bool) -> Option<Request<T>> {
        let slot = self.slots.get_mut(place.0)?;
        let request = slot.request.take()?;
        slot.formers.rotate_right(1);
        let [last, ..] = &mut slot.formers;
        *last = Some(Former { authenticator: request.authenticator, was_answered, sent: request.sent });
        self.count -= 1;
        self.remove(place.0);
        if let Some(identifiers) = self.identifiers.get_mut(place.socket()) {
            identifiers.give_back(place.identifier());
        }
        Some(request)
    }

    /// Goes on waiting, until a later deadline.
    pub(super) fn postpone(&mut self, place: Place, deadline: Mono) {
        self.remove(place.0);
        self.append(place.0, deadline);
    }

    /// The place whose deadline is the earliest.
    pub(super) fn earliest(&self) -> Option<(Place, Mono)> {
        let place = self.first?;
        Some((Place(place), self.slots.get(place)?.deadline))
    }

    fn append(&mut self, place: usize, deadline: Mono) {
        let before = self.last.replace(place);
        if let Some(slot) = self.slots.get_mut(place) {
            (slot.deadline, slot.before, slot.after) = (deadline, before, None);
        }
        match before.and_then(|before| self.slots.get_mut(before)) {
            Some(slot) => slot.after = Some(place),
            None => self.first = Some(place),
        }
    }

    fn remove(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        let (before, after) = (slot.before.take(), slot.after.take());
        match before.and_then(|before| self.slots.get_mut(before)) {
            Some(slot) => slot.after = after,
            None => self.first = after,
        }
        match after.and_then(|after| self.slots.get_mut(after)) {
            Some(slot) => slot.before = before,
            None => self.last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn request(device: u64) -> Request {
        Request {
            authenticator: [0; 16],
            device,
            due: Mono::default(),
            sent: Mono::default(),
            retransmissions: 0,
            is_measured: true,
            disbelieved: None,
            of: (),
        }
    }

    #[test]
    fn every_identifier_of_every_port_is_used_before_one_comes_again() {
        let mut in_flight = InFlight::new(3);
        let mut seen = BTreeSet::new();
        for number in 0..3 * 256 {
            let place = in_flight.take().unwrap();
            assert!(seen.insert((place.socket(), place.identifier())));
            in_flight.start(place, request(number), Mono::default());
            in_flight.finish(place, true);
        }
        assert_eq!(in_flight.take().map(|place| (place.socket(), place.identifier())), Some((0, 0)));
    }

    #[test]
    fn identifiers_ascend_and_those_under_way_are_passed_over() {
        let mut identifiers = Identifiers::default();
        let mut take = |count: usize| std::iter::repeat_with(|| identifiers.take()).take(count).collect::<Vec<_>>();
        assert_eq!(take(300).into_iter().flatten().collect::<Vec<_>>(), (0..=255).collect::<Vec<_>>());
        for free in [3, 127, 128, 200, 4] {
            identifiers.give_back(free);
        }
        let take = || identifiers.take();
        let order: Vec<_> = std::iter::repeat_with(take).take(6).collect();
        assert_eq!(order, [Some(3), Some(4), Some(127), Some(128), Some(200), None]);
        identifiers.give_back(199);
        identifiers.give_back(201);
        assert_eq!((identifiers.take(), identifiers.take()), (Some(201), Some(199)), "from the last one on");
    }

    #[test]
    fn without_a_free_identifier_there_is_no_place() {
        let mut in_flight = InFlight::new(1);
        for number in 0..256 {
            let place = in_flight.take().unwrap();
            in_flight.start(place, request(number), Mono::default());
        }
        assert!(!in_flight.has_room() && in_flight.take().is_none());
        in_flight.finish(Place::of(0, 77), false);
        assert_eq!(in_flight.take(), Some(Place::of(0, 77)));
        assert!(in_flight.formers(Place::of(0, 77))[0].is_some_and(|former| !former.was_answered));
    }

    #[test]
    fn who_stays_at_a_source_port_gets_another_identifier_of_it() {
        let mut in_flight = InFlight::new(2);
        let place = in_flight.take().unwrap();
        in_flight.start(place, request(0), Mono::default());
        in_flight.finish(place, true);
        assert_eq!(in_flight.take_at(place.socket()), Some(Place::of(0, 1)), "the one that was freed rests");
        for _ in 0..255 {
            assert!(in_flight.take_at(0).is_some());
        }
        assert_eq!(in_flight.take_at(0), None);
        assert_eq!(in_flight.take_at(9), None, "there is no such port");
    }

    proptest! {
        #[test]
        fn deadlines_come_in_their_order_whatever_is_finished_or_postponed(
            steps in proptest::collection::vec((0u8..4, any::<prop::sample::Index>()), 1..300),
        ) {
            let mut in_flight = InFlight::new(2);
            // The order as a plain list.
            let mut model: Vec<(Place, Mono)> = Vec::new();
            for (number, (step, which)) in steps.iter().enumerate() {
                let later = Mono::from_nanos(i64::try_from(number).unwrap());
                match step {
                    0 | 1 => {
                        if let Some(place) = in_flight.take() {
                            in_flight.start(place, request(0), later);
                            model.push((place, later));
                        }
                    }
                    _ if model.is_empty() => {}
                    2 => {
                        let (place, _) = model.remove(which.index(model.len()));
                        prop_assert!(in_flight.finish(place, true).is_some());
                    }
                    _ => {
                        let (place, _) = model.remove(which.index(model.len()));
                        in_flight.postpone(place, later);
                        model.push((place, later));
                    }
                }
                prop_assert_eq!(in_flight.earliest(), model.first().copied());
                prop_assert_eq!(in_flight.count(), model.len());
            }
            for expected in model {
                prop_assert_eq!(in_flight.earliest(), Some(expected));
                in_flight.finish(expected.0, false);
            }
            prop_assert_eq!(in_flight.earliest(), None);
        }
    }
}
