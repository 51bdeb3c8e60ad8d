//! Plausible devices in any number, made up row by row when they are asked for.
//!
//! Owns what the nth device looks like. It keeps no rows: a fleet of a million costs no memory, and every id leads back
//! to its row by arithmetic. Changes to single devices are kept by the fleet.

use std::time::Duration;

use crate::{
    device::{
        file::{CheckIn, FileDevice},
        identifier::{EntraId, Guid, IntuneId, MacAddress},
        record::{Compliance, DeviceDetails},
        text::SharedText,
    },
    limits,
};

use super::chance::{Permutation, mixed};

/// So many made-up devices. The same number and seed give the same devices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generated {
    count: usize,
    seed: u64,
}

impl Generated {
    /// `count`: at most [`limits::DEVICE_FILE_DEVICES_MAX`]; more is cut to it.
    pub(super) fn new(count: usize, seed: u64) -> Self {
        Self { count: count.min(limits::DEVICE_FILE_DEVICES_MAX), seed }
    }

    pub(super) const fn count(self) -> usize {
        self.count
    }

    /// The device in row `row`, which is below [`Generated::count`].
    pub(super) fn device(self, row: usize) -> FileDevice {
        let kind = self.kind(row);
        let encrypted = self.draw(row, 4) % 100 < 93;
        let details = DeviceDetails {
            owner: Some(SharedText::from(if self.draw(row, 5) % 100 < kind.personal { "personal" } else { "company" })),
            os: Some(SharedText::from(kind.os)),
            os_version: Some(SharedText::from(pick(kind.versions, self.draw(row, 6)))),
            encrypted: Some(encrypted),
            jailbroken: (kind.os != "Windows").then_some(self.draw(row, 7).is_multiple_of(500)),
            manufacturer: Some(SharedText::from(kind.manufacturer)),
            model: Some(SharedText::from(pick(kind.models, self.draw(row, 8)))),
            serial: Some(format!("{SERIAL}{row:07}").into()),
            device_name: Some(format!("{NAME}{row:07}").into()),
            user: Some(format!("user{row:07}@example.test").into()),
            management_agent: Some(SharedText::from("mdm")),
            last_check_in: None,
            threat: Some(SharedText::from("unknown")),
        };
        FileDevice {
            intune_id: IntuneId(self.guid(row, INTUNE)),
            entra_id: Some(EntraId(self.guid(row, ENTRA))),
            wifi_mac: Some(self.mac(row, WIFI)),
            ethernet_mac: kind.has_ethernet.then(|| self.mac(row, ETHERNET)),
            managed: true,
            compliance: self.compliance(row),
            details,
            last_check_in: Some(CheckIn::Ago(self.checked_in_ago(row))),
        }
    }

    /// The state of the device in row `row`: of a thousand, 930 compliant, 40 not, 20 in grace, the rest odd.
    pub(super) const fn compliance(self, row: usize) -> Compliance {
        match self.draw(row, 2) % 1000 {
            0..930 => Compliance::Compliant,
            930..970 => Compliance::NonCompliant,
            970..990 => Compliance::InGracePeriod,
            990..994 => Compliance::Unknown,
            994..996 => Compliance::Conflict,
            996..998 => Compliance::Error,
            _ => Compliance::ConfigManager,
        }
    }

    /// How long ago the device in row `row` spoke to Intune: most within their steady 8 hours, some for a month.
    pub(super) const fn checked_in_ago(self, row: usize) -> Duration {
        let draw = self.draw(row, 3);
        let span_secs = if draw.is_multiple_of(10) { 30 * 86_400 } else { 8 * 3_600 };
        Duration::from_secs((draw >> 8) % span_secs)
    }

    pub(super) fn row_of_intune_id(self, id: IntuneId) -> Option<usize> {
        self.row_of_guid(id.0, INTUNE)
    }

    pub(super) fn row_of_entra_id(self, id: EntraId) -> Option<usize> {
        self.row_of_guid(id.0, ENTRA)
    }

    pub(super) fn row_of_mac(self, mac: MacAddress) -> Option<usize> {
        [WIFI, ETHERNET].into_iter().find_map(|vendor| {
            let [a, b, c, rest @ ..] = mac.octets();
            let scrambled = u64::from_be_bytes([0, 0, 0, 0, 0, rest[0], rest[1], rest[2]]);
            let row = self.below_count(self.mac_permutation(vendor).invert(scrambled))?;
            ([a, b, c] == vendor && self.mac(row, vendor) == mac).then_some(row)
        })
    }

    pub(super) fn row_of_serial(self, serial: &str) -> Option<usize> {
        self.below_count(serial.strip_prefix(SERIAL)?.parse().ok()?)
    }

    pub(super) fn row_of_name(self, name: &str) -> Option<usize> {
        self.below_count(name.strip_prefix(NAME)?.parse().ok()?)
    }

    fn below_count(self, row: u64) -> Option<usize> {
        usize::try_from(row).ok().filter(|row| *row < self.count)
    }

    const fn draw(self, row: usize, salt: u64) -> u64 {
        mixed(self.seed ^ mixed((row as u64) << 8 | salt))
    }

    const fn kind(self, row: usize) -> &'static Kind {
        match self.draw(row, 1) % 100 {
            0..60 => &KINDS[0],
            60..75 => &KINDS[1],
            75..90 => &KINDS[2],
            _ => &KINDS[3],
        }
    }

    /// The row is scrambled into the first 48 bits, so that it can be read back; the rest only looks random.
    fn guid(self, row: usize, salt: u64) -> Guid {
        let [_, _, head @ ..] = Permutation::new(48, self.seed ^ salt).apply(row as u64).to_be_bytes();
        let tail = u128::from(self.draw(row, salt)) << 64 | u128::from(self.draw(row, salt + 1));
        let mut octets = tail.to_be_bytes();
        octets[..6].copy_from_slice(&head);
        // Version 4 and the variant of RFC 9562 section 5.4.
        octets[6] = octets[6] & 0x0f | 0x40;
        octets[8] = octets[8] & 0x3f | 0x80;
        Guid::new(octets)
    }

    fn row_of_guid(self, guid: Guid, salt: u64) -> Option<usize> {
        let octets = guid.octets();
        let head = u64::from_be_bytes([0, 0, octets[0], octets[1], octets[2], octets[3], octets[4], octets[5]]);
        let row = self.below_count(Permutation::new(48, self.seed ^ salt).invert(head))?;
        (self.guid(row, salt) == guid).then_some(row)
    }

    const fn mac_permutation(self, vendor: [u8; 3]) -> Permutation {
        Permutation::new(24, self.seed ^ vendor[2] as u64)
    }

    const fn mac(self, row: usize, vendor: [u8; 3]) -> MacAddress {
        let [.., x, y, z] = self.mac_permutation(vendor).apply(row as u64).to_be_bytes();
        MacAddress::new([vendor[0], vendor[1], vendor[2], x, y, z])
    }
}

struct Kind {
    os: &'static str,
    manufacturer: &'static str,
    models: &'static [&'static str],
    versions: &'static [&'static str],
    has_ethernet: bool,
    personal: u64,
}

const KINDS: [Kind; 4] = [
    Kind {
        os: "Windows",
        manufacturer: "Contoso",
        models: &["Model 13", "Model 14", "Model 16", "Desk 3"],
        versions: &["10.0.26100.2314", "10.0.22631.4460", "10.0.19045.5131"],
        has_ethernet: true,
        personal: 2,
    },
    Kind {
        os: "macOS",
        manufacturer: "Apple",
        models: &["MacBook Air", "MacBook Pro", "Mac mini"],
        versions: &["15.1.1 (24B91)", "14.7.1 (23H222)"],
        has_ethernet: false,
        personal: 5,
    },
    Kind {
        os: "iOS",
        manufacturer: "Apple",
        models: &["iPhone 15", "iPhone 16", "iPad (10th generation)"],
        versions: &["18.1.1", "17.7.2"],
        has_ethernet: false,
        personal: 30,
    },
    Kind {
        os: "Android",
        manufacturer: "Fabrikam",
        models: &["Phone 8", "Phone 9", "Scanner 2"],
        versions: &["15", "14", "13"],
        has_ethernet: false,
        personal: 40,
    },
];

fn pick(from: &'static [&'static str], draw: u64) -> &'static str {
    let at = usize::try_from(draw % (from.len().max(1) as u64)).unwrap_or(0);
    from.get(at).copied().unwrap_or("")
}

const SERIAL: &str = "GN";
const NAME: &str = "NB-";
const INTUNE: u64 = 0x10;
const ENTRA: u64 = 0x20;
// Prefixes of adapter makers: neither group nor made-up addresses, and none of the fixed fleet's.
const WIFI: [u8; 3] = [0xa8, 0x7e, 0xea];
const ETHERNET: [u8; 3] = [0x00, 0xe0, 0x4c];

const _: () = assert!(limits::DEVICE_FILE_DEVICES_MAX <= 1 << 24, "a row must fit into the lower half of a MAC");

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_is_found_again_by_each_of_its_keys() {
        let fleet = Generated::new(1_000_000, 42);
        for row in (0..1_000_000).step_by(9973).chain([0, 999_999]) {
            let device = fleet.device(row);
            assert_eq!(fleet.row_of_intune_id(device.intune_id), Some(row));
            assert_eq!(fleet.row_of_entra_id(device.entra_id.unwrap()), Some(row));
            assert_eq!(fleet.row_of_mac(device.wifi_mac.unwrap()), Some(row));
            assert_eq!(device.ethernet_mac.and_then(|mac| fleet.row_of_mac(mac)), device.ethernet_mac.map(|_| row));
            assert_eq!(fleet.row_of_serial(device.details.serial.as_deref().unwrap()), Some(row));
            assert_eq!(fleet.row_of_name(device.name()), Some(row));
        }
    }

    #[test]
    fn a_million_devices_share_no_mac() {
        let fleet = Generated::new(1_000_000, 1);
        let macs: HashSet<MacAddress> =
            (0..fleet.count()).flat_map(|row| [fleet.mac(row, WIFI), fleet.mac(row, ETHERNET)]).collect();
        assert_eq!(macs.len(), 2_000_000);
        assert!(macs.iter().all(|mac| !mac.is_locally_administered() && !mac.is_unusable()));
    }

    #[test]
    fn a_foreign_key_finds_no_row() {
        let fleet = Generated::new(1000, 1);
        let other = Generated::new(1000, 2);
        assert_eq!(fleet.row_of_intune_id(other.device(5).intune_id), None);
        assert_eq!(fleet.row_of_intune_id(IntuneId(fleet.device(5).entra_id.unwrap().0)), None);
        assert_eq!(fleet.row_of_mac(MacAddress::new([0xa4, 0xc3, 0xf0, 0x11, 0x22, 0x33])), None);
        assert_eq!(fleet.row_of_serial("GN0001000"), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_devices() {
        assert_eq!(Generated::new(10, 9).device(7), Generated::new(1000, 9).device(7));
    }

    #[test]
    fn most_devices_are_compliant_and_every_state_occurs() {
        let fleet = Generated::new(10_000, 3);
        let count = |state| (0..10_000).filter(|row| fleet.compliance(*row) == state).count();
        assert!((9_100..9_500).contains(&count(Compliance::Compliant)), "{}", count(Compliance::Compliant));
        for state in Compliance::ALL {
            assert!(count(state) > 0, "{state:?}");
        }
    }
}
