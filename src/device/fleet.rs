//! The tables in which the directory finds a record: by one key each, sharded, read under a short lock.
//!
//! Owns the tables and the choice between several devices with one key. What goes in, and how old it may be, is the
//! directory's business.

use std::{
    hash::{BuildHasher, Hash},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::clock::Wall;

use super::record::DeviceRecord;

/// Shards of one table. A shard that grows rehashes its own entries only: 0.1 ms at a million devices.
const SHARDS: usize = 256;

/// Records by one of their keys; several may have the same.
///
/// Every table holds the same `Arc` of a device, so that a record is found with one look and replaced by comparing
/// pointers.
pub(super) struct Table<K> {
    key_of: fn(&DeviceRecord) -> Option<K>,
    hasher: RandomState,
    // Bound: the directory adds no device beyond its maximum.
    shards: Box<[RwLock<HashTable<Arc<DeviceRecord>>>]>,
}

impl<K: Hash + Eq> Table<K> {
    /// `key_of`: the key of a record in this table; a record without one is not in it.
    pub(super) fn new(key_of: fn(&DeviceRecord) -> Option<K>) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::new(HashTable::new())).collect();
        Self { key_of, hasher: RandomState::default(), shards }
    }

    /// Calls `with` for each record that has `key`, until it says stop. Allocates nothing.
    pub(super) fn each(&self, key: &K, mut with: impl FnMut(&Arc<DeviceRecord>) -> Walk) {
        let hash = self.hasher.hash_one(key);
        let table = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        for record in table.iter_hash(hash) {
            if (self.key_of)(record).as_ref() == Some(key) && with(record) == Walk::Stop {
                return;
            }
        }
    }

    /// The first record that has `key`. Allocates nothing.
    pub(super) fn first(&self, key: &K) -> Option<Arc<DeviceRecord>> {
        let mut found = None;
        self.each(key, |record| {
            found = Some(Arc::clone(record));
            Walk::Stop
        });
        found
    }

    /// Puts `new` in the place of `old`; either may be none. The caller lets in one writer at a time.
    pub(super) fn replace(&self, old: Option<&Arc<DeviceRecord>>, new: Option<&Arc<DeviceRecord>>) {
        let old = old.and_then(|record| Some((record, (self.key_of)(record)?)));
        let new = new.and_then(|record| Some((record, (self.key_of)(record)?)));
        match (old, new) {
            (Some((old, before)), Some((new, after))) if before == after => {
                let hash = self.hasher.hash_one(&before);
                let mut table = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
                // In place, so that no reader ever misses a device whose key did not change.
                if let Some(place) = table.find_mut(hash, |kept| Arc::ptr_eq(kept, old)) {
                    *place = Arc::clone(new);
                }
            }
            (old, new) => {
                if let Some((new, key)) = new {
                    self.add(new, &key);
                }
                if let Some((old, key)) = old {
                    self.remove(old, &key);
                }
            }
        }
    }

    fn add(&self, record: &Arc<DeviceRecord>, key: &K) {
        let hash = self.hasher.hash_one(key);
        let mut table = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        table.insert_unique(hash, Arc::clone(record), |kept| {
            (self.key_of)(kept).map_or(0, |key| self.hasher.hash_one(key))
        });
    }

    fn remove(&self, record: &Arc<DeviceRecord>, key: &K) {
        let hash = self.hasher.hash_one(key);
        let mut table = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(entry) = table.find_entry(hash, |kept| Arc::ptr_eq(kept, record)) {
            entry.remove();
        }
    }

    /// Calls `with` for every record, shard by shard; no lock is held meanwhile.
    pub(super) fn for_each(&self, mut with: impl FnMut(&Arc<DeviceRecord>)) {
        for at in 0..self.shards.len() {
            for record in self.shard_records(at) {
                with(&record);
            }
        }
    }

    /// The records of one shard; none past the last.
    pub(super) fn shard_records(&self, at: usize) -> Vec<Arc<DeviceRecord>> {
        self.shards.get(at).map_or_else(Vec::new, |shard| {
            shard.read().unwrap_or_else(PoisonError::into_inner).iter().map(Arc::clone).collect()
        })
    }

    /// How many shards there are.
    pub(super) const fn shards(&self) -> usize {
        self.shards.len()
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Arc<DeviceRecord>>> {
        // The table itself uses the lowest bits and the highest seven.
        let at = usize::from((hash >> 40).to_le_bytes()[0]);
        self.shards.get(at).expect("a byte is below the 256 shards")
    }
}

const _: () = assert!(SHARDS == 1 << u8::BITS, "a shard is chosen by one byte of the hash");

/// Whether to look at further records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    Continue,
    Stop,
}

/// Which of several devices with one key is meant.
#[derive(Clone, Debug, Default)]
pub enum Match {
    /// Nobody has the key.
    #[default]
    Nobody,
    /// This one.
    One(Arc<DeviceRecord>),
    /// It can't be told. Holds the one that checked in last.
    Ambiguous(Arc<DeviceRecord>),
}

/// For how long a device that fell silent still contests a key that another one has too.
const CONTEST_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

impl Match {
    /// Considers one more device with the key.
    ///
    /// Two records of one machine (the same serial number) are an enrolment and its successor: the newest check-in
    /// wins. Of two machines the newest wins only if the other has been silent for 30 days; else nobody can tell.
    #[must_use]
    pub fn consider(self, record: &Arc<DeviceRecord>, wall: Wall) -> Self {
        let kept = match self {
            Self::Nobody => return Self::One(Arc::clone(record)),
            // Once contested, no third device can settle it: it would have to be the same machine as both.
            Self::Ambiguous(kept) => return Self::Ambiguous(newer(kept, record)),
            Self::One(kept) => kept,
        };
        if kept.intune_id == record.intune_id {
            return Self::One(newer(kept, record));
        }
        let settled = same_machine(&kept, record) || {
            let (first, second) = (kept.details.last_check_in, record.details.last_check_in);
            // Who never checked in was perhaps enrolled a minute ago.
            first.zip(second).is_some_and(|(first, second)| wall.since(first.min(second)) > CONTEST_FOR)
        };
        let winner = newer(kept, record);
        if settled { Self::One(winner) } else { Self::Ambiguous(winner) }
    }
}

fn same_machine(one: &DeviceRecord, other: &DeviceRecord) -> bool {
    let serial = one.details.serial.as_deref().filter(|serial| !serial.is_empty());
    serial.is_some() && serial == other.details.serial.as_deref()
}

fn newer(one: Arc<DeviceRecord>, other: &Arc<DeviceRecord>) -> Arc<DeviceRecord> {
    let rank = |record: &DeviceRecord| (record.details.last_check_in, record.answered_at, record.intune_id);
    if rank(other) > rank(&one) { Arc::clone(other) } else { one }
}
