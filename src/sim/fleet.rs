//! The devices that the simulated tenant manages, found by every key that the cloud is asked by.
//!
//! Owns rows and their changes: generated rows first, then listed ones. How a row reads on the wire is `bodies`' task.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use crate::{
    clock::Wall,
    device::{
        file::{CheckIn, FileDevice},
        identifier::{EntraId, Guid, IntuneId, MacAddress},
        record::{Compliance, DeviceDetails},
        text::SharedText,
    },
    limits,
};

use super::generated::Generated;

/// The managed devices of the tenant.
///
/// Bound: [`limits::DEVICES_MAX`] rows; [`Fleet::add`] refuses more.
#[derive(Clone, Debug)]
pub struct Fleet {
    generated: Generated,
    /// Generated rows that were changed, or removed (`None`).
    changed: BTreeMap<usize, Option<FileDevice>>,
    listed: Vec<Option<FileDevice>>,
    listed_by_id: HashMap<IntuneId, usize>,
}

impl Fleet {
    /// Just `devices`. Of two with one Intune id the later one counts.
    #[must_use]
    pub fn of(devices: Vec<FileDevice>) -> Self {
        let mut fleet = Self {
            generated: Generated::new(0, 0),
            changed: BTreeMap::new(),
            listed: Vec::with_capacity(devices.len()),
            listed_by_id: HashMap::with_capacity(devices.len()),
        };
        for device in devices {
            fleet.put(device);
        }
        fleet
    }

    /// The fixed fleet that the manual, the demo and the shipped policies' cases speak of.
    #[must_use]
    pub fn demo() -> Self {
        let device = |last: u8, user: &str, compliance| FileDevice {
            intune_id: IntuneId(Guid::new([
                0x5b, 0x1f, 0x0c, 0x52, 0x7d, 0x1e, 0x4a, 0x39, 0x9a, 0x3b, 0x2f, 0x6f, 0x0a, 0x9d, 0x1c, last,
            ])),
            entra_id: Some(EntraId(Guid::new([
                0xc0,
                0xff,
                0xee,
                0,
                0x12,
                0x34,
                0x4a,
                0xbc,
                0x8d,
                0xef,
                0,
                0x11,
                0x22,
                0x33,
                0x44,
                0x54 + last,
            ]))),
            wifi_mac: Some(MacAddress::new([0xa4, 0xc3, 0xf0, 0x11, 0x22, 0x32 + last])),
            ethernet_mac: Some(MacAddress::new([0xa4, 0xc3, 0xf0, 0x44, 0x55, 0x65 + last])),
            managed: true,
            compliance,
            details: DeviceDetails {
                owner: Some(SharedText::from("company")),
                os: Some(SharedText::from("Windows")),
                os_version: Some(SharedText::from("10.0.26100.2314")),
                encrypted: Some(true),
                jailbroken: None,
                manufacturer: Some(SharedText::from("Contoso")),
                model: Some(SharedText::from("Model 14")),
                serial: Some(format!("SN00004{}", last + 1).into()),
                device_name: Some(format!("LT-004{}", last + 1).into()),
                user: Some(user.into()),
                management_agent: Some(SharedText::from("mdm")),
                last_check_in: None,
                threat: Some(SharedText::from("unknown")),
            },
            last_check_in: Some(CheckIn::Ago(Duration::from_secs(2 * 3600))),
        };
        Self::of(vec![
            device(1, "ada@example.test", Compliance::Compliant),
            device(2, "ben@example.test", Compliance::NonCompliant),
            device(3, "cleo@example.test", Compliance::InGracePeriod),
        ])
    }

    /// `count` made-up devices, the same for the same `seed`; no row is kept in memory.
    /// At most [`limits::DEVICE_FILE_DEVICES_MAX`]; more is cut to it.
    #[must_use]
    pub fn generated(count: usize, seed: u64) -> Self {
        Self::of(Vec::new()).with_generated(count, seed)
    }

    /// The same fleet, and `count` made-up devices before it.
    #[must_use]
    pub fn with_generated(mut self, count: usize, seed: u64) -> Self {
        self.generated = Generated::new(count, seed);
        self.changed.clear();
        self
    }

    /// How many rows there are, those of removed devices included.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.generated.count() + self.listed.len()
    }

    /// The device in `row`; none if it was removed or the row does not exist.
    #[must_use]
    pub fn at(&self, row: usize) -> Option<Cow<'_, FileDevice>> {
        if let Some(at) = row.checked_sub(self.generated.count()) {
            return self.listed.get(at)?.as_ref().map(Cow::Borrowed);
        }
        match self.changed.get(&row) {
            Some(changed) => changed.as_ref().map(Cow::Borrowed),
            None => Some(Cow::Owned(self.generated.device(row))),
        }
    }

    /// Whether there is a device in `row`.
    #[must_use]
    pub fn is_taken(&self, row: usize) -> bool {
        self.is_untouched(row) || self.at(row).is_some()
    }

    /// The device with this Intune id.
    #[must_use]
    pub fn find(&self, id: IntuneId) -> Option<Cow<'_, FileDevice>> {
        self.at(self.row_of(id)?)
    }

    /// The rows that may have this Entra id; the caller compares.
    pub fn rows_by_entra_id(&self, id: EntraId) -> impl Iterator<Item = usize> {
        self.candidates(self.generated.row_of_entra_id(id))
    }

    /// The rows that may have this MAC; the caller compares.
    pub fn rows_by_mac(&self, mac: MacAddress) -> impl Iterator<Item = usize> {
        self.candidates(self.generated.row_of_mac(mac))
    }

    /// The rows that may have this serial number; the caller compares.
    pub fn rows_by_serial(&self, serial: &str) -> impl Iterator<Item = usize> {
        self.candidates(self.generated.row_of_serial(serial))
    }

    /// The rows that may have this name; the caller compares.
    pub fn rows_by_name(&self, name: &str) -> impl Iterator<Item = usize> {
        self.candidates(self.generated.row_of_name(name))
    }

    /// The state of the device in `row`, without making up the rest of it.
    #[must_use]
    pub fn compliance(&self, row: usize) -> Option<Compliance> {
        if self.is_untouched(row) {
            return Some(self.generated.compliance(row));
        }
        self.at(row).map(|device| device.compliance)
    }

    /// When the device in `row` last checked in, for a fleet that was started at `started`; the epoch if never.
    #[must_use]
    pub fn checked_in(&self, row: usize, started: Wall) -> Option<Wall> {
        if self.is_untouched(row) {
            return Some(started.minus(self.generated.checked_in_ago(row)));
        }
        self.at(row).map(|device| device.last_check_in.map_or(Wall::default(), |check_in| check_in.wall(started)))
    }

    /// Adds `device`, or replaces the one with its Intune id. `false`: the fleet is full.
    pub fn add(&mut self, device: FileDevice) -> bool {
        if self.row_of(device.intune_id).is_none() && self.rows() >= limits::DEVICES_MAX {
            return false;
        }
        self.put(device);
        true
    }

    /// Changes the device with this id. `false`: there is none.
    pub fn change(&mut self, id: IntuneId, change: impl FnOnce(&mut FileDevice)) -> bool {
        let Some(mut device) = self.find(id).map(Cow::into_owned) else { return false };
        change(&mut device);
        device.intune_id = id;
        self.put(device);
        true
    }

    /// Removes the device with this id. `false`: there is none.
    pub fn remove(&mut self, id: IntuneId) -> bool {
        let Some(row) = self.row_of(id) else { return false };
        match row.checked_sub(self.generated.count()) {
            Some(at) => {
                self.listed_by_id.remove(&id);
                self.listed.get_mut(at).is_some_and(|slot| slot.take().is_some())
            }
            None => !matches!(self.changed.insert(row, None), Some(None)),
        }
    }

    /// The row of the device with this Intune id; its device may have been removed.
    #[must_use]
    pub fn row_of(&self, id: IntuneId) -> Option<usize> {
        if let Some(at) = self.listed_by_id.get(&id) {
            return Some(self.generated.count() + at);
        }
        self.generated.row_of_intune_id(id)
    }

    fn is_untouched(&self, row: usize) -> bool {
        row < self.generated.count() && !self.changed.contains_key(&row)
    }

    /// Arithmetic finds a generated row; changed and listed rows are few and are walked.
    fn candidates(&self, generated: Option<usize>) -> impl Iterator<Item = usize> {
        let first = self.generated.count();
        let untouched = generated.filter(|row| self.is_untouched(*row));
        untouched.into_iter().chain(self.changed.keys().copied()).chain(first..first + self.listed.len())
    }

    fn put(&mut self, device: FileDevice) {
        let id = device.intune_id;
        match self.row_of(id) {
            Some(row) if row < self.generated.count() => {
                self.changed.insert(row, Some(device));
            }
            Some(row) => {
                if let Some(slot) = self.listed.get_mut(row - self.generated.count()) {
                    *slot = Some(device);
                }
            }
            None => {
                self.listed_by_id.insert(id, self.listed.len());
                self.listed.push(Some(device));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_fleet_is_the_one_of_the_manual() {
        let fleet = Fleet::demo();
        let written: Vec<String> = (0..fleet.rows())
            .map(|row| {
                let device = fleet.at(row).unwrap();
                let mac = device.wifi_mac.unwrap();
                format!("{} {mac} {} {}", device.name(), device.intune_id, device.compliance.name())
            })
            .collect();
        assert_eq!(
            written,
            [
                "LT-0042 A4-C3-F0-11-22-33 5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01 compliant",
                "LT-0043 A4-C3-F0-11-22-34 5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c02 noncompliant",
                "LT-0044 A4-C3-F0-11-22-35 5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c03 in-grace-period",
            ]
        );
        let first = fleet.at(0).unwrap();
        assert_eq!(first.entra_id.unwrap().to_string(), "c0ffee00-1234-4abc-8def-001122334455");
        assert_eq!(first.ethernet_mac.unwrap().to_string(), "A4-C3-F0-44-55-66");
    }

    #[test]
    fn a_changed_device_stays_in_its_row_and_is_found_by_its_new_keys() {
        let mut fleet = Fleet::demo().with_generated(100, 1);
        let mac = MacAddress::new([0xa4, 0, 0, 0, 0, 9]);
        for row in [5, 101] {
            let id = fleet.at(row).unwrap().intune_id;
            assert!(fleet.change(id, |device| {
                device.wifi_mac = Some(mac);
                device.compliance = Compliance::Error;
            }));
            assert_eq!(fleet.compliance(row), Some(Compliance::Error));
            assert_eq!(fleet.find(id).unwrap().wifi_mac, Some(mac));
            assert!(fleet.rows_by_mac(mac).any(|candidate| candidate == row));
        }
        assert_eq!(fleet.rows(), 103);
    }

    #[test]
    fn a_removed_device_is_gone_by_every_key_and_may_come_back() {
        let mut fleet = Fleet::demo().with_generated(100, 1);
        for row in [7, 100] {
            let device = fleet.at(row).unwrap().into_owned();
            assert!(fleet.remove(device.intune_id));
            assert!(!fleet.remove(device.intune_id));
            assert!(fleet.find(device.intune_id).is_none());
            assert!(
                fleet
                    .rows_by_entra_id(device.entra_id.unwrap())
                    .all(|candidate| candidate != row || fleet.at(candidate).is_none())
            );
            assert!(fleet.add(device.clone()));
            assert_eq!(*fleet.find(device.intune_id).unwrap(), device);
        }
    }

    #[test]
    fn a_million_rows_take_no_memory_of_their_own() {
        let fleet = Fleet::generated(1_000_000, 5);
        assert_eq!(fleet.rows(), 1_000_000);
        assert!(fleet.changed.is_empty() && fleet.listed.capacity() == 0);
    }
}
