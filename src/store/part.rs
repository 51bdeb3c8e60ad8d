//! A directory in parts: which device stands in which part, and which parts changed since they were saved.
//!
//! Owns the division and the fingerprints. A part is written as a whole: a few thousand rows instead of a million keep a
//! load at the speed of the disk, and a change costs one part.

use std::{hash::BuildHasher, sync::Arc};

use foldhash::fast::RandomState;

use crate::{
    clock::Now,
    device::{
        directory::Directory,
        identifier::{IntuneId, MacAddress},
        record::DeviceRecord,
    },
};

use super::codec::{self, Link};

/// Parts of the devices: at a million devices one has about 50 kB.
const DEVICE_PARTS: usize = 4096;
/// Parts of the links behind them.
const LINK_PARTS: usize = 256;
/// All of them. Stored files know this number: another one is another version.
pub(super) const PARTS: usize = DEVICE_PARTS + LINK_PARTS;

/// Whether a part holds links rather than devices.
pub(super) const fn holds_links(part: usize) -> bool {
    part >= DEVICE_PARTS
}

/// The part of a device. The same in every process, unlike the tables of a directory.
fn part_of_device(id: IntuneId) -> usize {
    stable_hash(&id.0.octets()) % DEVICE_PARTS
}

fn part_of_link(mac: MacAddress) -> usize {
    DEVICE_PARTS + stable_hash(&mac.octets()) % LINK_PARTS
}

/// FNV-1a, folded: ids come from Microsoft, so nobody gains by crowding a part.
fn stable_hash(octets: &[u8]) -> usize {
    let hash = octets.iter().fold(0x811c_9dc5_u32, |hash, octet| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193));
    usize::try_from(hash ^ (hash >> 16)).unwrap_or(0)
}

/// What the parts of a directory look like at one moment, a number each; zero for an empty one.
pub(super) type Fingerprints = Vec<u64>;

/// Takes fingerprints. They mean something in this process only.
#[derive(Debug, Default)]
pub(super) struct Eye(RandomState);

impl Eye {
    /// The fingerprints of all parts now. Walks over every device: a third of a second for a million.
    pub(super) fn look(&self, directory: &Directory) -> Fingerprints {
        let mut parts = vec![0u64; PARTS];
        let mut add = |at: usize, print: u64| {
            if let Some(part) = parts.get_mut(at) {
                *part = part.wrapping_add(print);
            }
        };
        each(directory, |record| add(part_of_device(record.intune_id), self.of_device(record)));
        directory.for_each_link(|mac, device, at| add(part_of_link(mac), self.of_link(Link { mac, device, at })));
        parts
    }

    fn of_device(&self, record: &Arc<DeviceRecord>) -> u64 {
        // The details by their place: an answer that changes them comes with a later time.
        let details = Arc::as_ptr(&record.details) as usize;
        let names = (record.intune_id, record.entra_id, record.wifi_mac, record.ethernet_mac);
        let state = (record.ethernet_told, record.managed, record.compliance, record.origin, record.answered_at);
        self.0.hash_one((names, state, details)) | 1
    }

    fn of_link(&self, link: Link) -> u64 {
        self.0.hash_one((link.mac, link.device, link.at)) | 1
    }

    /// The content of the parts that are `wanted`, each with its fingerprint. Other parts are empty.
    pub(super) fn take(&self, directory: &Directory, wanted: &[bool], now: Now) -> Vec<Content> {
        let mut parts: Vec<Content> = (0..PARTS).map(|_| Content::default()).collect();
        let is_wanted = |at: usize| wanted.get(at).copied().unwrap_or(false);
        each(directory, |record| {
            let at = part_of_device(record.intune_id);
            if let Some(part) = parts.get_mut(at).filter(|_| is_wanted(at)) {
                codec::write_device(record, now, &mut part.octets);
                part.print = part.print.wrapping_add(self.of_device(record));
            }
        });
        directory.for_each_link(|mac, device, link_at| {
            let (at, link) = (part_of_link(mac), Link { mac, device, at: link_at });
            if let Some(part) = parts.get_mut(at).filter(|_| is_wanted(at)) {
                codec::write_link(&link, now, &mut part.octets);
                part.print = part.print.wrapping_add(self.of_link(link));
            }
        });
        parts
    }
}

/// Every record. A million of them take a third of a second, so requests on the same core may come in between.
fn each(directory: &Directory, mut with: impl FnMut(&Arc<DeviceRecord>)) {
    for at in 0..directory.parts() {
        directory.part(at).iter().for_each(&mut with);
        std::thread::yield_now();
    }
}

/// One part as it is written.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) octets: Vec<u8>,
    pub(super) print: u64,
}
