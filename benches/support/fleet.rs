//! A fleet of any size, as a company of that size would have it in Intune.
//!
//! Owns the devices of the benches: number `n` has the MAC address `nas::mac(n)`. Measures nothing.

#![allow(dead_code, reason = "each bench uses its part")]

use std::sync::Arc;

use radmit::{
    clock::{Now, Wall},
    device::{
        directory::{Capacity, Directory, Told},
        identifier::{EntraId, Guid, IntuneId, MacAddress},
        record::{Compliance, DeviceDetails, DeviceRecord, Origin},
        text::SharedText,
    },
    engine::chance::Chance,
};

use super::nas;

/// What the records know: all.
pub(crate) const TOLD: Told = Told::Everything;

/// A directory with this many devices, its lists complete.
pub(crate) fn directory(devices: u64, now: Now) -> Directory {
    let directory = Directory::new(Capacity::default());
    for number in 0..devices {
        directory.insert(record(number, now), TOLD);
    }
    directory.complete_list(directory.len());
    directory.complete_ethernet();
    directory
}

pub(crate) fn intune_id(number: u64) -> IntuneId {
    IntuneId(guid(number.wrapping_mul(2)))
}

pub(crate) fn entra_id(number: u64) -> EntraId {
    EntraId(guid(number.wrapping_mul(2).wrapping_add(1)))
}

/// The wired address of a device; every second one has such an adapter.
fn ethernet_mac(number: u64) -> MacAddress {
    let mut octets = nas::mac(number).octets();
    octets[1] ^= 0x80;
    MacAddress::new(octets)
}

fn guid(seed: u64) -> Guid {
    let mut chance = Chance::new(seed);
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&chance.next().to_be_bytes());
    octets[8..].copy_from_slice(&chance.next().to_be_bytes());
    Guid::new(octets)
}

/// The record of one device as if it had just been answered.
pub(crate) fn record(number: u64, now: Now) -> DeviceRecord {
    let text = |text: &str| Some(SharedText::from(text));
    let pick = |from: &[&'static str]| from[usize::try_from(number % from.len() as u64).expect("it is small")];
    let details = DeviceDetails {
        owner: text("company"),
        os: text(pick(&["Windows", "Windows", "iOS", "macOS", "Android"])),
        os_version: text(&format!("10.0.26100.{}", number % 40)),
        encrypted: Some(true),
        jailbroken: Some(false),
        manufacturer: text(pick(&["Dell Inc.", "LENOVO", "Apple", "HP"])),
        model: text(&format!("Model {}", number % 60)),
        serial: Some(format!("5CG{number:07}").into()),
        device_name: Some(format!("LT-{number:07}").into()),
        user: Some(format!("first.last.{number}@example.com").into()),
        management_agent: text("mdm"),
        last_check_in: Some(Wall::from_secs(now.wall.as_secs() - 3_600)),
        threat: text("unknown"),
    };
    DeviceRecord {
        intune_id: intune_id(number),
        entra_id: Some(entra_id(number)),
        wifi_mac: Some(nas::mac(number)),
        ethernet_mac: number.is_multiple_of(2).then(|| ethernet_mac(number)),
        ethernet_told: true,
        managed: true,
        compliance: Compliance::Compliant,
        details: Arc::new(details),
        answered_at: now.mono,
        origin: Origin::Sync,
    }
}
