//! The devices of the fleet, found by each of their keys without a lock.
//!
//! Owns the records, when each was last asked about, the indexes over their keys, and the choice between several devices
//! with one key. What goes in, and how old it may be, is the directory's business.

use std::{
    array,
    hash::{BuildHasher, Hash},
    hint::black_box,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwapOption, Guard};
use foldhash::fast::RandomState;

use crate::{
    clock::{Mono, Wall},
    limits::BATCH_DATAGRAMS,
};

use super::{
    identifier::{EntraId, IntuneId, MacAddress},
    index::{Index, Walk},
    last_use::LastUse,
    record::DeviceRecord,
};

/// Records that take memory together.
const CHUNK: usize = 4_096;
/// Parts for work that is spread over time.
const PARTS: usize = 256;
/// Records that are read ahead together: `arc-swap` hands a thread eight guards without counting readers, and whoever
/// calls may hold some.
const GUARDS: usize = 6;

/// The records of all devices, and where each of their keys is found.
///
/// A record is swapped as a whole, so that a reader sees the old or the new one, never a mixture and never none. The
/// indexes lag behind or run ahead for a moment: whoever follows one checks that the record has the key.
pub(super) struct Fleet {
    hasher: RandomState,
    // Bound: the directory adds no device beyond its maximum.
    chunks: Box<[OnceLock<Chunk>]>,
    by_intune_id: Index,
    by_entra_id: Index,
    /// Wi-Fi and Ethernet: a device stands under both, and once if they are equal.
    by_mac: Index,
    /// Places without a device. Writers only.
    free: Mutex<Free>,
}

type Chunk = Box<[Cell]>;

/// Where one device is kept.
#[derive(Default)]
struct Cell {
    record: ArcSwapOption<DeviceRecord>,
    last_use: LastUse,
}

/// Where a device was found. It may be another one's by the time that it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

#[derive(Default)]
struct Free {
    places: Vec<u32>,
    /// All places from here on.
    from: u32,
}

impl Fleet {
    /// Room for so many devices; memory is taken when they come.
    pub(super) fn new(devices: usize) -> Self {
        Self {
            hasher: RandomState::default(),
            chunks: (0..devices.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect(),
            by_intune_id: Index::new(),
            by_entra_id: Index::new(),
            by_mac: Index::new(),
            free: Mutex::default(),
        }
    }

    // --- reading: takes no lock, allocates nothing ----------------------------------------------------------------------

    /// The record of a device.
    pub(super) fn find(&self, id: IntuneId) -> Option<(Place, Arc<DeviceRecord>)> {
        let mut found = None;
        self.by_intune_id.each(self.hash(&id), |place| match &*self.at(place) {
            Some(record) if record.intune_id == id => {
                found = Some((Place(place), Arc::clone(record)));
                Walk::Stop
            }
            _ => Walk::Continue,
        });
        found
    }

    /// Calls `with` for each device with this id in Entra, until it says stop.
    pub(super) fn each_by_entra_id(&self, id: EntraId, mut with: impl FnMut(Place, &Arc<DeviceRecord>) -> Walk) {
        self.by_entra_id.each(self.hash(&id), |place| match &*self.at(place) {
            Some(record) if record.entra_id == Some(id) => with(Place(place), record),
            _ => Walk::Continue,
        });
    }

    /// Calls `with` for each device with this address, Wi-Fi or Ethernet, until it says stop.
    pub(super) fn each_by_mac(&self, mac: MacAddress, mut with: impl FnMut(Place, &Arc<DeviceRecord>) -> Walk) {
        self.by_mac.each(self.hash(&mac), |place| match &*self.at(place) {
            Some(record) if record.carries(mac) => with(Place(place), record),
            _ => Walk::Continue,
        });
    }

    /// Notes that a device was asked about.
    pub(super) fn note_use(&self, place: Place, at: Mono) {
        if let Some(cell) = self.cell(place.0) {
            cell.last_use.note(at);
        }
    }

    /// Reads what looking for these addresses will read, so that it is in the processor's caches by then.
    ///
    /// A look takes four steps, each of which needs an address that only the step before tells: the index, the cell, the
    /// record, its details. In a fleet that is larger than the caches each of them waits for memory. Here each step is
    /// taken for all devices before the next one, with nothing between that would keep the processor from waiting for
    /// many of them at once. At most [`BATCH_DATAGRAMS`] addresses; more are not read ahead.
    pub(super) fn read_ahead(&self, macs: impl Iterator<Item = MacAddress>) {
        let mut hashes = [0; BATCH_DATAGRAMS];
        let mut count = 0;
        for (place, mac) in hashes.iter_mut().zip(macs) {
            *place = self.hash(&mac);
            count += 1;
        }
        let hashes = hashes.get(..count).unwrap_or_default();
        self.by_mac.read_ahead(hashes);
        let mut cells = [None; BATCH_DATAGRAMS];
        for (cell, hash) in cells.iter_mut().zip(hashes) {
            self.by_mac.each(*hash, |place| {
                *cell = self.cell(place);
                Walk::Stop
            });
        }
        for cell in cells.iter().flatten() {
            black_box(cell.last_use.seconds());
        }
        for cells in cells.get(..count).unwrap_or_default().chunks(GUARDS) {
            let guards: [_; GUARDS] =
                array::from_fn(|at| cells.get(at).copied().flatten().map(|cell| cell.record.load()));
            let records = || guards.iter().flatten().filter_map(|guard| guard.as_ref());
            for record in records() {
                black_box((Arc::strong_count(record), record.answered_at, record.compliance, record.entra_id));
            }
            for record in records() {
                let details = &*record.details;
                black_box((details.last_check_in, details.serial.is_some(), details.user.is_some()));
                black_box((details.os.is_some(), details.threat.is_some(), details.encrypted));
            }
        }
    }

    /// Calls `with` for every record.
    pub(super) fn for_each(&self, mut with: impl FnMut(&Arc<DeviceRecord>)) {
        for cell in self.chunks.iter().filter_map(OnceLock::get).flatten() {
            if let Some(record) = &*cell.record.load() {
                with(record);
            }
        }
    }

    /// The records of one part; none past the last. A device stays in its part.
    pub(super) fn part(&self, at: usize) -> Vec<Arc<DeviceRecord>> {
        self.cells_of_part(at).filter_map(|cell| cell.record.load_full()).collect()
    }

    /// The devices of one part that were asked about within `span` before `now`, and of which `is_wanted` says so.
    pub(super) fn used_in_part<'f>(
        &'f self,
        at: usize,
        now: Mono,
        span: Duration,
        is_wanted: impl Fn(&DeviceRecord) -> bool + 'f,
    ) -> impl Iterator<Item = IntuneId> + 'f {
        self.cells_of_part(at).filter(move |cell| cell.last_use.is_within(now, span)).filter_map(move |cell| {
            let record = cell.record.load();
            record.as_ref().filter(|record| is_wanted(record)).map(|record| record.intune_id)
        })
    }

    fn cells_of_part(&self, at: usize) -> impl Iterator<Item = &Cell> {
        let chunks = self.chunks.iter().filter(move |_| at < PARTS).filter_map(OnceLock::get);
        chunks.flat_map(move |chunk| chunk.iter().skip(at).step_by(PARTS))
    }

    /// How many parts there are.
    pub(super) const fn parts(&self) -> usize {
        PARTS
    }

    fn at(&self, place: u32) -> Guard<Option<Arc<DeviceRecord>>> {
        self.cell(place).map_or_else(|| Guard::from_inner(None), |cell| cell.record.load())
    }

    fn cell(&self, place: u32) -> Option<&Cell> {
        let place = place as usize;
        self.chunks.get(place / CHUNK)?.get()?.get(place % CHUNK)
    }

    fn hash(&self, key: &impl Hash) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }

    // --- writing: one thread at a time ----------------------------------------------------------------------------------

    /// Puts `new` in the place of the record of the same device, or in a place of its own, if there is room for one.
    pub(super) fn put(&self, new: &Arc<DeviceRecord>) {
        let found = self.place_of(new.intune_id);
        let Some(place) = found.or_else(|| self.take_place()) else {
            debug_assert!(false, "the directory lets no more devices in than it made room for");
            return;
        };
        let old = if found.is_some() { self.at(place).as_ref().map(Arc::clone) } else { None };
        let (before, after) = (self.keys(old.as_deref()), self.keys(Some(new)));
        // Keys that are new lead to the old record for a moment, which does not have them: as if they came later.
        after.iter().filter(|key| !before.contains(key)).for_each(|key| self.index(key).insert(key.hash, place));
        self.swap(place, Some(Arc::clone(new)));
        before.iter().filter(|key| !after.contains(key)).for_each(|key| self.index(key).remove(key.hash, place));
    }

    /// Removes a device.
    pub(super) fn remove(&self, id: IntuneId) {
        let Some(place) = self.place_of(id) else { return };
        let keys = self.keys(self.at(place).as_deref());
        self.swap(place, None);
        keys.iter().for_each(|key| self.index(key).remove(key.hash, place));
        self.free().places.push(place);
    }

    fn place_of(&self, id: IntuneId) -> Option<u32> {
        let mut found = None;
        self.by_intune_id.each(self.hash(&id), |place| {
            if self.at(place).as_ref().is_some_and(|record| record.intune_id == id) {
                found = Some(place);
            }
            if found.is_some() { Walk::Stop } else { Walk::Continue }
        });
        found
    }

    fn take_place(&self) -> Option<u32> {
        let mut free = self.free();
        if let Some(place) = free.places.pop() {
            return Some(place);
        }
        let place = free.from;
        let chunk = self.chunks.get(place as usize / CHUNK)?;
        chunk.get_or_init(|| (0..CHUNK).map(|_| Cell::default()).collect());
        free.from += 1;
        Some(place)
    }

    fn swap(&self, place: u32, record: Option<Arc<DeviceRecord>>) {
        let Some(cell) = self.cell(place) else { return };
        if record.is_none() {
            cell.last_use.forget();
        }
        cell.record.store(record);
    }

    fn keys(&self, record: Option<&DeviceRecord>) -> Keys {
        let Some(record) = record else { return Keys::default() };
        let ethernet = record.ethernet_mac.filter(|mac| record.wifi_mac != Some(*mac));
        let key = |of, hash| IndexKey { of, hash };
        Keys([
            Some(key(Of::IntuneId, self.hash(&record.intune_id))),
            record.entra_id.map(|id| key(Of::EntraId, self.hash(&id))),
            record.wifi_mac.map(|mac| key(Of::Mac, self.hash(&mac))),
            // Two addresses with one hash stand in the index once.
            ethernet.map(|mac| key(Of::Mac, self.hash(&mac))),
        ])
    }

    const fn index(&self, key: &IndexKey) -> &Index {
        match key.of {
            Of::IntuneId => &self.by_intune_id,
            Of::EntraId => &self.by_entra_id,
            Of::Mac => &self.by_mac,
        }
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of one record as its indexes know them.
#[derive(Default)]
struct Keys([Option<IndexKey>; 4]);

#[derive(Clone, Copy, PartialEq, Eq)]
struct IndexKey {
    of: Of,
    hash: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    IntuneId,
    EntraId,
    Mac,
}

impl Keys {
    /// Each once.
    fn iter(&self) -> impl Iterator<Item = &IndexKey> {
        let is_first = |(at, key): &(usize, &Option<IndexKey>)| !self.0.iter().take(*at).any(|before| before == *key);
        self.0.iter().enumerate().filter(is_first).filter_map(|(_, key)| key.as_ref())
    }

    fn contains(&self, key: &IndexKey) -> bool {
        self.0.contains(&Some(*key))
    }
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

    /// Whether this very record is the one that is meant, or would be.
    pub(super) fn is(&self, record: &Arc<DeviceRecord>) -> bool {
        match self {
            Self::Nobody => false,
            Self::One(kept) | Self::Ambiguous(kept) => Arc::ptr_eq(kept, record),
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        clock::Mono,
        device::{
            identifier::Guid,
            record::{Compliance, Origin},
        },
    };

    fn guid(number: u8) -> Guid {
        Guid::new([number; 16])
    }

    fn mac(number: u8) -> MacAddress {
        MacAddress::new([0xa4, 0, 0, 0, 0, number])
    }

    fn arb_record() -> impl Strategy<Value = DeviceRecord> {
        let small = || proptest::option::of(0_u8..6);
        (0_u8..8, small(), small(), small()).prop_map(|(id, entra, wifi, ethernet)| DeviceRecord {
            entra_id: entra.map(|number| EntraId(guid(number))),
            wifi_mac: wifi.map(mac),
            ethernet_mac: ethernet.map(mac),
            intune_id: IntuneId(guid(id)),
            ethernet_told: true,
            managed: true,
            compliance: Compliance::Compliant,
            details: Arc::default(),
            answered_at: Mono::default(),
            origin: Origin::Sync,
        })
    }

    proptest! {
        #[test]
        fn every_key_leads_to_the_devices_that_have_it(
            steps in proptest::collection::vec((arb_record(), any::<bool>()), 0..60),
        ) {
            let (fleet, mut model) = (Fleet::new(8), BTreeMap::new());
            for (record, is_put) in steps {
                if is_put {
                    fleet.put(&Arc::new(record.clone()));
                    model.insert(record.intune_id, record);
                } else {
                    fleet.remove(record.intune_id);
                    model.remove(&record.intune_id);
                }
                // Nobody sees it, whatever there is to read.
                fleet.read_ahead((0..8).map(mac));
                for number in 0..8 {
                    let id = IntuneId(guid(number));
                    let found = fleet.find(id);
                    prop_assert_eq!(found.as_ref().map(|(_, record)| &**record), model.get(&id));
                    let (entra, mac) = (EntraId(guid(number)), mac(number));
                    let mut found = BTreeMap::new();
                    fleet.each_by_entra_id(entra, |_, record| {
                        assert!(found.insert(record.intune_id, (**record).clone()).is_none(), "each comes once");
                        Walk::Continue
                    });
                    let mut expected = model.clone();
                    expected.retain(|_, record: &mut DeviceRecord| record.entra_id == Some(entra));
                    prop_assert_eq!(&found, &expected);
                    found.clear();
                    fleet.each_by_mac(mac, |_, record| {
                        assert!(found.insert(record.intune_id, (**record).clone()).is_none(), "each comes once");
                        Walk::Continue
                    });
                    let mut expected = model.clone();
                    expected.retain(|_, record| record.carries(mac));
                    prop_assert_eq!(&found, &expected);
                }
                let parts: usize = (0..fleet.parts()).map(|part| fleet.part(part).len()).sum();
                prop_assert_eq!(parts, model.len());
            }
        }
    }
}
