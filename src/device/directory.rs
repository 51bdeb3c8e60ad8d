//! What is known about the devices of one MDM server, and whether it is young enough to decide by.
//!
//! Owns the mirror of the fleet, the answers about devices outside of it, and the judgement of their age. It is read by
//! all packet threads and written by `mdm`, which does the asking; it outlives a reload.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use crate::{
    clock::{Mono, Now},
    limits,
};

use super::{
    fleet::{Fleet, Place},
    identifier::{EntraId, IntuneId, MacAddress},
    index::Walk,
    join::Joiner,
    last_use::LastUse,
    question::{Key, Medium},
    rare_text::RareText,
    record::{DeviceRecord, Origin},
    seldom::Seldom,
};

pub use super::{ages::Ages, fleet::Match, join::Told, knowledge::Knowledge};

/// What became of an answer that was put in.
#[derive(Clone, Debug)]
pub enum Inserted {
    /// It is in, joined with what was known and the answer could not tell.
    Kept(Arc<DeviceRecord>),
    /// What is in is newer: answers overtook each other.
    Older(Arc<DeviceRecord>),
    /// The directory is full. The answer itself can still be used.
    Full(Arc<DeviceRecord>),
}

impl Inserted {
    /// The record to decide by.
    #[must_use]
    pub fn into_record(self) -> Arc<DeviceRecord> {
        match self {
            Self::Kept(record) | Self::Older(record) | Self::Full(record) => record,
        }
    }
}

/// How much a directory keeps.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Devices; over it a new one is not added, and counted.
    pub devices: usize,
    /// Negative answers about MAC addresses, those about device ids, and links of MAC addresses that only the compliance
    /// retrieval service knows: so many of each.
    pub outside: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { devices: limits::DEVICES_MAX, outside: limits::OUTSIDE_ANSWERS_MAX }
    }
}

/// What is known about the devices of one MDM server.
pub struct Directory {
    capacity: Capacity,
    fleet: Fleet,
    /// Apart from the links: a flood of strangers must not push devices out.
    denied_macs: Seldom<Key, Denial>,
    denied_ids: Seldom<Key, Denial>,
    links: Seldom<MacAddress, Link>,
    /// When devices were asked about whose old answers are held. Who finds no room here is asked at its next request.
    held: Seldom<IntuneId, Mono>,
    devices: AtomicUsize,
    refused: AtomicU64,
    list_complete: AtomicBool,
    ethernet_complete: AtomicBool,
    list_devices: AtomicUsize,
    listed_at: AtomicI64,
    broadly_asked_at: AtomicI64,
    enrolment_url: RareText,
    /// One writer at a time; packet threads never take it.
    writer: Mutex<Joiner>,
}

#[derive(Clone, Copy)]
struct Denial {
    at: Mono,
    ambiguous: bool,
}

#[derive(Clone)]
struct Link {
    device: IntuneId,
    at: Mono,
    last_use: Arc<LastUse>,
}

impl Directory {
    /// An empty directory.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        let outside = u64::try_from(capacity.outside).unwrap_or(u64::MAX);
        Self {
            capacity,
            fleet: Fleet::new(capacity.devices),
            denied_macs: Seldom::new(outside),
            denied_ids: Seldom::new(outside),
            links: Seldom::new(outside),
            held: Seldom::new(outside),
            devices: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            list_complete: AtomicBool::new(false),
            ethernet_complete: AtomicBool::new(false),
            list_devices: AtomicUsize::new(0),
            listed_at: AtomicI64::new(i64::MIN),
            broadly_asked_at: AtomicI64::new(i64::MIN),
            enrolment_url: RareText::default(),
            writer: Mutex::default(),
        }
    }

    // --- reading: packet threads; allocates nothing where a device of the fleet is found --------------------------------

    /// What is known about `key`, judged by `ages`. `medium`: where a MAC address was seen.
    #[must_use]
    pub fn judge(&self, now: Now, key: &Key, medium: Option<Medium>, ages: &Ages) -> Knowledge {
        match key {
            Key::Device(guid) => {
                if let Some((place, record)) = self.fleet.find(IntuneId(*guid)) {
                    return self.used(place, record, now, ages);
                }
                match self.look_by_entra_id(now, EntraId(*guid)) {
                    (Match::One(record), Some(place)) => self.used(place, record, now, ages),
                    // Asking brings all of its rows, and may end the doubt.
                    (Match::Ambiguous(record), _) if record.age(now) < ages.compliance_max_age => Knowledge::Ambiguous,
                    _ => self.judge_outside(now, key, ages),
                }
            }
            Key::Mac(mac) => match self.look_by_mac(now, *mac) {
                (Match::One(record), Some(place)) => self.used(place, record, now, ages),
                (Match::Ambiguous(_), _) => Knowledge::Ambiguous,
                _ => self.judge_unlisted_mac(now, *mac, medium, ages),
            },
        }
    }

    /// A device was found, and somebody asks about it.
    fn used(&self, place: Place, record: Arc<DeviceRecord>, now: Now, ages: &Ages) -> Knowledge {
        self.fleet.note_use(place, now.mono);
        let asked_at = self.asked_at(&record);
        Knowledge::of(record, asked_at, now, ages)
    }

    /// Reads ahead what judging these addresses will read: for a batch of requests this takes a fraction of what each of
    /// them would wait for memory alone. It changes nothing that is told.
    pub fn read_ahead(&self, macs: impl Iterator<Item = MacAddress>) {
        self.fleet.read_ahead(macs);
    }

    /// Whether one device is known by `key`, however old its record is.
    #[must_use]
    pub fn holds(&self, now: Now, key: &Key) -> bool {
        match key {
            Key::Device(guid) => {
                self.find(IntuneId(*guid)).is_some()
                    || matches!(self.find_by_entra_id(now, EntraId(*guid)), Match::One(_))
            }
            Key::Mac(mac) => matches!(self.find_by_mac(now, *mac), Match::One(_)) || self.find_by_link(*mac).is_some(),
        }
    }

    /// The devices of one of [`Self::parts`] equal parts that should be asked again although nobody waits: each was used
    /// within `stale_for`, and nears the age at which the next request would have to wait.
    pub fn due_in_part(&self, at: usize, now: Now, ages: Ages) -> impl Iterator<Item = IntuneId> + '_ {
        self.fleet.used_in_part(at, now.mono, ages.stale_for, move |record| {
            now.mono.since(self.asked_at(record)) >= ages.refresh_age(record.intune_id)
        })
    }

    /// The MAC addresses that should be asked again although nobody waits: as [`Self::due_in_part`], of those that only
    /// [`Self::link`] made known. Asking about the device's id would tell nothing about them.
    pub fn due_links(&self, now: Now, ages: Ages) -> impl Iterator<Item = MacAddress> + '_ {
        let used = self.links.cache().iter().filter(move |(_, link)| link.last_use.is_within(now.mono, ages.stale_for));
        used.filter_map(move |(mac, link)| {
            let record = self.find(link.device)?;
            let asked_at = self.asked_at(&record).min(link.at);
            (now.mono.since(asked_at) >= ages.refresh_age(link.device)).then_some(*mac)
        })
    }

    /// When the device was last asked about. That is when it was answered, unless the answers since are held back.
    #[must_use]
    pub fn asked_at(&self, record: &DeviceRecord) -> Mono {
        let held = if record.origin == Origin::Held { self.held.get(&record.intune_id) } else { None };
        held.map_or(record.answered_at, |at| at.max(record.answered_at))
    }

    /// The record of a device.
    #[must_use]
    pub fn find(&self, id: IntuneId) -> Option<Arc<DeviceRecord>> {
        self.fleet.find(id).map(|(_, record)| record)
    }

    /// The device with this id in Entra; several after re-enrolments.
    #[must_use]
    pub fn find_by_entra_id(&self, now: Now, id: EntraId) -> Match {
        self.look_by_entra_id(now, id).0
    }

    fn look_by_entra_id(&self, now: Now, id: EntraId) -> (Match, Option<Place>) {
        let (mut found, mut at) = (Match::Nobody, None);
        self.fleet.each_by_entra_id(id, |place, record| {
            found = std::mem::take(&mut found).consider(record, now.wall);
            at = if found.is(record) { Some(place) } else { at };
            Walk::Continue
        });
        (found, at)
    }

    /// The device that Graph says has this address, Wi-Fi or Ethernet.
    #[must_use]
    pub fn find_by_mac(&self, now: Now, mac: MacAddress) -> Match {
        self.look_by_mac(now, mac).0
    }

    fn look_by_mac(&self, now: Now, mac: MacAddress) -> (Match, Option<Place>) {
        let (mut found, mut at) = (Match::Nobody, None);
        self.fleet.each_by_mac(mac, |place, record| {
            found = std::mem::take(&mut found).consider(record, now.wall);
            at = if found.is(record) { Some(place) } else { at };
            // A docking station's address may be on a thousand devices; the second unlike the first is enough.
            if matches!(found, Match::Ambiguous(_)) { Walk::Stop } else { Walk::Continue }
        });
        (found, at)
    }

    /// The device that the compliance retrieval service said has this address, and when.
    #[must_use]
    pub fn find_by_link(&self, mac: MacAddress) -> Option<(Arc<DeviceRecord>, Mono)> {
        self.look_by_link(mac).map(|(link, record)| (record, link.at))
    }

    fn look_by_link(&self, mac: MacAddress) -> Option<(Link, Arc<DeviceRecord>)> {
        let link = self.links.get(&mac)?;
        let record = self.find(link.device)?;
        Some((link, record))
    }

    /// Whether a MAC address that is not in the index belongs to no device. `None` and virtual media may be either.
    #[must_use]
    pub fn is_complete(&self, medium: Option<Medium>) -> bool {
        let list = self.list_complete.load(Relaxed);
        match medium {
            Some(Medium::Wireless) => list,
            Some(Medium::Wired | Medium::Virtual) | None => list && self.ethernet_complete.load(Relaxed),
        }
    }

    fn judge_unlisted_mac(&self, now: Now, mac: MacAddress, medium: Option<Medium>, ages: &Ages) -> Knowledge {
        if mac.is_unusable() {
            return Knowledge::NotRegistered;
        }
        if let Some((link, record)) = self.look_by_link(mac) {
            // Not the device's own use: asking about its id would make the record young, and not the link.
            link.last_use.note(now.mono);
            let asked_at = self.asked_at(&record).min(link.at);
            return Knowledge::of(record, asked_at, now, ages);
        }
        match self.judge_outside(now, &Key::Mac(mac), ages) {
            Knowledge::Unknown if ages.mac_can_be_asked => Knowledge::Unknown,
            Knowledge::Unknown if self.is_complete(medium) => Knowledge::NotRegistered,
            Knowledge::Unknown => Knowledge::NotReady,
            known => known,
        }
    }

    fn judge_outside(&self, now: Now, key: &Key, ages: &Ages) -> Knowledge {
        match self.denied(key).get(key) {
            Some(denial) if now.mono.since(denial.at) < ages.negative_max_age => {
                if denial.ambiguous {
                    Knowledge::Ambiguous
                } else {
                    Knowledge::NotRegistered
                }
            }
            _ => Knowledge::Unknown,
        }
    }

    fn denied(&self, key: &Key) -> &Seldom<Key, Denial> {
        match key {
            Key::Mac(_) => &self.denied_macs,
            Key::Device(_) => &self.denied_ids,
        }
    }

    // --- writing: `mdm` -------------------------------------------------------------------------------------------------

    /// Puts an answer in. What `told` says the answer could not tell is kept from the answer before.
    pub fn insert(&self, record: DeviceRecord, told: Told) -> Inserted {
        let mut writer = self.writer();
        let old = self.find(record.intune_id);
        if let Some(old) = &old
            && old.answered_at > record.answered_at
        {
            let Some(completed) = writer.complete(old, record, told) else {
                return Inserted::Older(Arc::clone(old));
            };
            let completed = Arc::new(completed);
            self.fleet.put(&completed);
            return Inserted::Kept(completed);
        }
        let record = Arc::new(writer.join(record, old.as_deref(), told));
        if old.is_none() {
            if self.devices.load(Relaxed) >= self.capacity.devices {
                self.refused.fetch_add(1, Relaxed);
                return Inserted::Full(record);
            }
            self.devices.fetch_add(1, Relaxed);
        }
        self.fleet.put(&record);
        Inserted::Kept(record)
    }

    /// Keeps `old` in the place of what was answered at `at`, marked as held. Nothing if the device is not known.
    pub fn hold(&self, old: &DeviceRecord, at: Mono) -> Option<Arc<DeviceRecord>> {
        let _writer = self.writer();
        let known = self.find(old.intune_id)?;
        self.held.insert(old.intune_id, at);
        if known.origin == Origin::Held {
            return Some(known);
        }
        let held = Arc::new(DeviceRecord { origin: Origin::Held, ..old.clone() });
        self.fleet.put(&held);
        Some(held)
    }

    /// Removes a device: its own id was answered with "no such device". A list that lacks it is no reason.
    pub fn forget(&self, id: IntuneId) {
        let _writer = self.writer();
        let Some(old) = self.find(id) else { return };
        self.fleet.remove(old.intune_id);
        self.devices.fetch_sub(1, Relaxed);
    }

    /// Remembers a positive "no such device". `at`: when it was asked.
    pub fn deny(&self, key: Key, at: Mono) {
        if let Key::Mac(mac) = key {
            self.links.invalidate(&mac);
        }
        self.denied(&key).insert(key, Denial { at, ambiguous: false });
    }

    /// Remembers that several devices fit. `at`: when it was asked.
    pub fn doubt(&self, key: Key, at: Mono) {
        self.denied(&key).insert(key, Denial { at, ambiguous: true });
    }

    /// Remembers that the compliance retrieval service knows `mac` as an address of `device`.
    pub fn link(&self, mac: MacAddress, device: IntuneId, at: Mono) {
        if !mac.is_unusable() {
            let last_use = self.links.get(&mac).map(|link| link.last_use).unwrap_or_default();
            self.links.insert(mac, Link { device, at, last_use });
            self.denied_macs.invalidate(&Key::Mac(mac));
        }
    }

    /// A full list of `devices` rows came in to its end: from now on it is known who is not there (Wi-Fi).
    pub fn complete_list(&self, devices: usize) {
        self.writer().expect_room();
        self.list_devices.store(devices, Relaxed);
        self.list_complete.store(true, Relaxed);
    }

    /// The Ethernet addresses of all devices were asked.
    pub fn complete_ethernet(&self) {
        self.ethernet_complete.store(true, Relaxed);
    }

    /// How many devices the last complete list had; what a store brought counts as one.
    #[must_use]
    pub fn list_devices(&self) -> usize {
        self.list_devices.load(Relaxed)
    }

    /// Notes when the last complete list began, so that a reload does not fetch it again.
    pub fn note_listed(&self, at: Mono) {
        self.listed_at.store(at.as_nanos(), Relaxed);
    }

    /// When the last complete list began; none since the process started.
    #[must_use]
    pub fn listed_at(&self) -> Option<Mono> {
        Some(self.listed_at.load(Relaxed)).filter(|at| *at > i64::MIN).map(Mono::from_nanos)
    }

    /// Notes when all devices that are not compliant were last asked for: a reload must not ask sooner than allowed.
    pub fn note_broadly_asked(&self, at: Option<Mono>) {
        self.broadly_asked_at.store(at.map_or(i64::MIN, Mono::as_nanos), Relaxed);
    }

    /// When all devices that are not compliant were last asked for; none since the process started.
    #[must_use]
    pub fn broadly_asked_at(&self) -> Option<Mono> {
        Some(self.broadly_asked_at.load(Relaxed)).filter(|at| *at > i64::MIN).map(Mono::from_nanos)
    }

    /// Where users are sent to enrol a device, if the server told it.
    #[must_use]
    pub fn enrolment_url(&self) -> Option<&str> {
        self.enrolment_url.read()
    }

    /// Notes where users are sent to enrol a device. False if there were so many places already that it is not taken.
    pub fn note_enrolment_url(&self, url: &str) -> bool {
        self.enrolment_url.note(url)
    }

    // --- keeping: `store` -----------------------------------------------------------------------------------------------

    /// Puts a record back that a store kept. It makes no index complete.
    pub fn restore(&self, mut record: DeviceRecord) {
        if record.origin == Origin::Held {
            record.origin = Origin::Sync;
        }
        let told = if record.ethernet_told { Told::Everything } else { Told::AllButEthernet };
        self.insert(record, told);
        self.list_devices.fetch_max(self.len(), Relaxed);
    }

    /// Calls `with` for every record. Writers may go on meanwhile.
    pub fn for_each(&self, with: impl FnMut(&Arc<DeviceRecord>)) {
        self.fleet.for_each(with);
    }

    /// The devices of one of [`Self::parts`] equal parts; for work that is spread over time.
    #[must_use]
    pub fn part(&self, at: usize) -> Vec<Arc<DeviceRecord>> {
        self.fleet.part(at)
    }

    /// How many parts there are.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.fleet.parts()
    }

    /// Calls `with` for every link that [`Self::link`] made.
    pub fn for_each_link(&self, mut with: impl FnMut(MacAddress, IntuneId, Mono)) {
        for (mac, link) in self.links.cache() {
            with(*mac, link.device, link.at);
        }
    }

    // --- numbers --------------------------------------------------------------------------------------------------------

    /// How many devices are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices.load(Relaxed)
    }

    /// Whether no device is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many answers about new devices found no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// How many negative answers and links are kept, about; for the metrics page.
    #[must_use]
    pub fn outside_len(&self) -> u64 {
        let denied = self.denied_macs.cache().entry_count() + self.denied_ids.cache().entry_count();
        denied + self.links.cache().entry_count()
    }

    fn writer(&self) -> MutexGuard<'_, Joiner> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("devices", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
