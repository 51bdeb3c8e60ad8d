//! An index from the hash of a key to places: read without locks, written by one thread at a time.
//!
//! Owns the table of hashes and its growth. What stands at a place, and whether it really has the key, its users know:
//! two keys may have one hash, one key may have many places, and a place that was just removed may still be found.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use arc_swap::ArcSwap;

/// Words that share a cache line; a search looks at all of them at once.
const GROUP: usize = 8;
/// A word that was never used: a search ends in its group.
const EMPTY: u64 = 0;
/// A word that was used: a search goes on behind its group.
const REMOVED: u64 = 1;
/// The lower half of the word of place 0.
const FIRST: u64 = 2;

/// Whether to look at further places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    Continue,
    Stop,
}

/// Places by hash.
pub(super) struct Index {
    table: ArcSwap<Table>,
    /// Words that are not empty: places and removed ones. Only the writer uses it.
    used: AtomicUsize,
    places: AtomicUsize,
}

/// A power of two of groups. A word is a hash and, below it, a place.
struct Table {
    groups: Box<[Group]>,
}

#[repr(align(64))]
#[derive(Default)]
struct Group([AtomicU64; GROUP]);

impl Index {
    pub(super) fn new() -> Self {
        Self { table: ArcSwap::from_pointee(Table::new(1)), used: AtomicUsize::new(0), places: AtomicUsize::new(0) }
    }

    /// Calls `with` for each place with this hash until it says stop. Takes no lock, allocates nothing.
    #[inline]
    pub(super) fn each(&self, hash: u32, mut with: impl FnMut(u32) -> Walk) {
        let table = self.table.load();
        for group in table.search(hash) {
            let mut is_last = false;
            for word in &group.0 {
                let word = word.load(Acquire);
                is_last |= word == EMPTY;
                if let Some((found, place)) = read(word)
                    && found == hash
                    && with(place) == Walk::Stop
                {
                    return;
                }
            }
            if is_last {
                return;
            }
        }
    }

    /// Reads the words in which these hashes are looked for first, so that they are in the processor's caches by then.
    pub(super) fn read_ahead(&self, hashes: &[u32]) {
        let table = self.table.load();
        for hash in hashes {
            if let [word, ..] = table.first_group(*hash) {
                black_box(word.load(Relaxed));
            }
        }
    }

    /// Adds a place, which must not be there under this hash already. One writer at a time.
    pub(super) fn insert(&self, hash: u32, place: u32) {
        let table = self.table.load();
        if (self.used.load(Relaxed) + 1) * 4 > table.words() * 3 {
            let grown = table.grown(self.places.load(Relaxed) + 1);
            self.used.store(self.places.load(Relaxed), Relaxed);
            self.table.store(Arc::new(grown));
        }
        if self.table.load().put(hash, place) {
            self.used.fetch_add(1, Relaxed);
        }
        self.places.fetch_add(1, Relaxed);
    }

    /// Removes a place. One writer at a time.
    pub(super) fn remove(&self, hash: u32, place: u32) {
        let table = self.table.load();
        for group in table.search(hash) {
            let is_open = group.0.iter().any(|word| word.load(Relaxed) == EMPTY);
            if let Some(word) = group.0.iter().find(|found| found.load(Relaxed) == word(hash, place)) {
                // No search ever went on behind a group that still has an empty word.
                word.store(if is_open { EMPTY } else { REMOVED }, Release);
                self.used.fetch_sub(usize::from(is_open), Relaxed);
                self.places.fetch_sub(1, Relaxed);
                return;
            }
            if is_open {
                return;
            }
        }
    }
}

impl Table {
    fn new(groups: usize) -> Self {
        Self { groups: (0..groups).map(|_| Group::default()).collect() }
    }

    const fn words(&self) -> usize {
        self.groups.len() * GROUP
    }

    /// The groups in which this hash may stand. Each hash jumps in steps of its own, so that a key with a thousand places
    /// is in nobody's way.
    #[inline]
    fn search(&self, hash: u32) -> impl Iterator<Item = &Group> {
        let mask = self.groups.len() - 1;
        // Odd, so that all groups are visited.
        let step = (hash >> 16 | 1) as usize;
        let mut at = hash as usize & mask;
        (0..self.groups.len()).map_while(move |_| {
            let group = self.groups.get(at);
            at = at.wrapping_add(step) & mask;
            group
        })
    }

    /// The words that a search for this hash begins with.
    fn first_group(&self, hash: u32) -> &[AtomicU64] {
        self.groups.get(hash as usize & (self.groups.len() - 1)).map_or(&[], |group| &group.0)
    }

    /// Writes a place into the first free word. `true`: that word was empty.
    fn put(&self, hash: u32, place: u32) -> bool {
        for free in self.search(hash).flat_map(|group| &group.0) {
            let before = free.load(Relaxed);
            if before == EMPTY || before == REMOVED {
                free.store(word(hash, place), Release);
                return before == EMPTY;
            }
        }
        debug_assert!(false, "a quarter of the words is free");
        false
    }

    /// A table with the same places, and room for `places`.
    fn grown(&self, places: usize) -> Self {
        // At most half full, so that it doesn't have to grow again at once.
        let grown = Self::new((places * 2).div_ceil(GROUP).next_power_of_two());
        for (hash, place) in self.groups.iter().flat_map(|group| &group.0).filter_map(|word| read(word.load(Relaxed))) {
            grown.put(hash, place);
        }
        grown
    }
}

const fn word(hash: u32, place: u32) -> u64 {
    (hash as u64) << 32 | (place as u64 + FIRST)
}

/// The hash and the place of a word, if there is one.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
const fn read(word: u64) -> Option<(u32, u32)> {
    let low = word & 0xffff_ffff;
    if low < FIRST { None } else { Some(((word >> 32) as u32, (low - FIRST) as u32)) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn places(index: &Index, hash: u32) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        index.each(hash, |place| {
            assert!(found.insert(place), "each place comes once");
            Walk::Continue
        });
        found
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_of_pairs_holds(
            steps in proptest::collection::vec((any::<bool>(), 0_u32..12, 0_u32..60, any::<bool>()), 0..800),
        ) {
            let (index, mut model) = (Index::new(), BTreeSet::new());
            for (is_insert, hash, place, is_spread) in steps {
                // Few hashes crowd, many spread.
                let hash = if is_spread { place.wrapping_mul(0x9e37_79b9) } else { hash << 16 };
                if is_insert {
                    if model.insert((hash, place)) {
                        index.insert(hash, place);
                    }
                } else {
                    // Also what is not there.
                    model.remove(&(hash, place));
                    index.remove(hash, place);
                }
            }
            let hashes: BTreeSet<u32> = model.iter().map(|(hash, _)| *hash).chain([0, 1 << 16, u32::MAX]).collect();
            for hash in hashes {
                let expected = model.iter().filter(|(with, _)| *with == hash).map(|(_, place)| *place).collect();
                prop_assert_eq!(places(&index, hash), expected);
            }
            prop_assert_eq!(index.places.load(Relaxed), model.len());
        }
    }

    #[test]
    fn a_key_with_a_thousand_places_does_not_lengthen_the_search_for_others() {
        let index = Index::new();
        (0..1_000).for_each(|place| index.insert(0x1234_5678, place));
        (0..1_000_u32).for_each(|place| index.insert(place.wrapping_mul(0x9e37_79b9), place));
        let table = index.table.load();
        let looked_at = |hash: u32| {
            let is_open = |group: &&Group| group.0.iter().any(|word| word.load(Relaxed) == EMPTY);
            table.search(hash).position(|group| is_open(&group)).unwrap() + 1
        };
        let others = (0..1_000_u32).map(|place| looked_at(place.wrapping_mul(0x9e37_79b9)));
        assert!(others.sum::<usize>() < 2_000, "fewer than two groups each");
        assert_eq!(places(&index, 0x1234_5678).len(), 1_000);
    }

    #[test]
    fn what_comes_and_goes_does_not_make_it_grow() {
        let index = Index::new();
        for round in 0..10_000_u32 {
            let hash = round.wrapping_mul(0x9e37_79b9);
            index.insert(hash, round);
            if let Some(old) = round.checked_sub(100) {
                index.remove(old.wrapping_mul(0x9e37_79b9), old);
            }
        }
        assert!(index.table.load().words() <= 512, "{}", index.table.load().words());
    }

    #[test]
    fn readers_find_what_stays_while_it_grows_and_shrinks_around_them() {
        let index = Index::new();
        let hash = |place: u32| place.wrapping_mul(0x9e37_79b9);
        (0..100).for_each(|place| index.insert(hash(place), place));
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for place in 100..20_000 {
                    index.insert(hash(place), place);
                }
                for place in 100..20_000 {
                    index.remove(hash(place), place);
                }
                done.store(true, Relaxed);
            });
            while !done.load(Relaxed) {
                for place in 0..100 {
                    assert!(places(&index, hash(place)).contains(&place));
                }
            }
        });
    }
}
