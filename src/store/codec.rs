//! Devices and links as octets, and back.
//!
//! Owns version 1 of the format and the checksum. Ages are written, not times: when they were written stands beside them.
//!
//! A device: two octets of flags, the Intune id, what the flags announce in their order (Entra id, Wi-Fi address, Ethernet
//! address, last check-in in microseconds of Unix time), the age of the answer in microseconds, and ten texts, each with
//! its length plus one before it, zero for none. Numbers are little-endian. A link: address, Intune id, age.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};

use crate::{
    clock::{Mono, Now, Wall},
    device::{
        identifier::{EntraId, Guid, IntuneId, MacAddress},
        record::{Compliance, DeviceDetails, DeviceRecord, Origin},
        text::SharedText,
    },
    limits,
};

/// Octets of a checksum.
pub(super) const CHECKSUM_OCTETS: usize = 16;

/// Something that is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Torn;

/// A MAC address that only compliance retrieval knows, whose it is, and when that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) mac: MacAddress,
    pub(super) device: IntuneId,
    pub(super) at: Mono,
}

const ENTRA: u8 = 1;
const WIFI: u8 = 1 << 1;
const ETHERNET: u8 = 1 << 2;
const ETHERNET_TOLD: u8 = 1 << 3;
const MANAGED: u8 = 1 << 4;
const CHECKED_IN: u8 = 1 << 5;

/// Two bits each in the second octet of flags: not told, no, yes.
const ENCRYPTED_AT: u8 = 0;
const JAILBROKEN_AT: u8 = 2;
/// Three bits: the place in [`Compliance::ALL`].
const COMPLIANCE_AT: u8 = 4;

/// The checksum over what belongs together, so that nothing can stand in another's place.
pub(super) fn checksum(parts: &[&[u8]]) -> [u8; CHECKSUM_OCTETS] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    let mut sum = [0; CHECKSUM_OCTETS];
    sum.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    sum
}

/// Appends a device.
pub(super) fn write_device(record: &DeviceRecord, now: Now, out: &mut Vec<u8>) {
    let details = &*record.details;
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    out.push(
        flag(record.entra_id.is_some(), ENTRA)
            | flag(record.wifi_mac.is_some(), WIFI)
            | flag(record.ethernet_mac.is_some(), ETHERNET)
            | flag(record.ethernet_told, ETHERNET_TOLD)
            | flag(record.managed, MANAGED)
            | flag(details.last_check_in.is_some(), CHECKED_IN),
    );
    let place = Compliance::ALL.iter().position(|state| *state == record.compliance);
    out.push(
        truth(details.encrypted) << ENCRYPTED_AT
            | truth(details.jailbroken) << JAILBROKEN_AT
            | u8::try_from(place.unwrap_or(0)).unwrap_or(0) << COMPLIANCE_AT
            | flag(record.origin == Origin::Lookup, 1 << 7),
    );
    out.extend_from_slice(&record.intune_id.0.octets());
    if let Some(id) = record.entra_id {
        out.extend_from_slice(&id.0.octets());
    }
    for mac in [record.wifi_mac, record.ethernet_mac].into_iter().flatten() {
        out.extend_from_slice(&mac.octets());
    }
    if let Some(at) = details.last_check_in {
        out.extend_from_slice(&at.as_micros().to_le_bytes());
    }
    write_age(record.answered_at, now, out);
    for text in [&details.owner, &details.os, &details.os_version, &details.manufacturer, &details.model] {
        write_text(text.as_deref(), out);
    }
    for text in [&details.serial, &details.device_name, &details.user] {
        write_text(text.as_deref(), out);
    }
    write_text(details.management_agent.as_deref(), out);
    write_text(details.threat.as_deref(), out);
}

/// Reads all devices of a part. `away`: how long ago it was written.
pub(super) fn read_devices(mut octets: &[u8], away: Duration, now: Now) -> Result<Vec<DeviceRecord>, Torn> {
    let mut records = Vec::new();
    while !octets.is_empty() {
        records.push(read_device(&mut octets, away, now)?);
    }
    Ok(records)
}

fn read_device(from: &mut &[u8], away: Duration, now: Now) -> Result<DeviceRecord, Torn> {
    let [flags, states] = take(from)?;
    let has = |flag: u8| flags & flag != 0;
    let intune_id = IntuneId(Guid::new(take(from)?));
    let entra_id = if has(ENTRA) { Some(EntraId(Guid::new(take(from)?))) } else { None };
    let wifi_mac = if has(WIFI) { Some(MacAddress::new(take(from)?)) } else { None };
    let ethernet_mac = if has(ETHERNET) { Some(MacAddress::new(take(from)?)) } else { None };
    let last_check_in = if has(CHECKED_IN) { Some(Wall::from_micros(i64::from_le_bytes(take(from)?))) } else { None };
    let answered_at = read_age(from, away, now)?;
    let details = DeviceDetails {
        owner: read_shared(from)?,
        os: read_shared(from)?,
        os_version: read_shared(from)?,
        manufacturer: read_shared(from)?,
        model: read_shared(from)?,
        serial: read_text(from)?.map(Box::from),
        device_name: read_text(from)?.map(Box::from),
        user: read_text(from)?.map(Box::from),
        management_agent: read_shared(from)?,
        threat: read_shared(from)?,
        encrypted: read_truth(states >> ENCRYPTED_AT)?,
        jailbroken: read_truth(states >> JAILBROKEN_AT)?,
        last_check_in,
    };
    Ok(DeviceRecord {
        intune_id,
        entra_id,
        wifi_mac,
        ethernet_mac,
        ethernet_told: has(ETHERNET_TOLD),
        managed: has(MANAGED),
        compliance: Compliance::ALL.get(usize::from(states >> COMPLIANCE_AT & 7)).copied().ok_or(Torn)?,
        details: Arc::new(details),
        answered_at,
        origin: if states & 1 << 7 == 0 { Origin::Sync } else { Origin::Lookup },
    })
}

/// Appends a link.
pub(super) fn write_link(link: &Link, now: Now, out: &mut Vec<u8>) {
    out.extend_from_slice(&link.mac.octets());
    out.extend_from_slice(&link.device.0.octets());
    write_age(link.at, now, out);
}

/// Reads all links of a part.
pub(super) fn read_links(mut octets: &[u8], away: Duration, now: Now) -> Result<Vec<Link>, Torn> {
    let mut links = Vec::new();
    while !octets.is_empty() {
        let from = &mut octets;
        let (mac, device) = (MacAddress::new(take(from)?), IntuneId(Guid::new(take(from)?)));
        links.push(Link { mac, device, at: read_age(from, away, now)? });
    }
    Ok(links)
}

fn truth(value: Option<bool>) -> u8 {
    value.map_or(0, |yes| 1 + u8::from(yes))
}

const fn read_truth(bits: u8) -> Result<Option<bool>, Torn> {
    match bits & 3 {
        0 => Ok(None),
        1 => Ok(Some(false)),
        2 => Ok(Some(true)),
        _ => Err(Torn),
    }
}

fn write_age(at: Mono, now: Now, out: &mut Vec<u8>) {
    let age = u64::try_from(now.mono.since(at).as_micros()).unwrap_or(u64::MAX);
    out.extend_from_slice(&age.to_le_bytes());
}

fn read_age(from: &mut &[u8], away: Duration, now: Now) -> Result<Mono, Torn> {
    let age = Duration::from_micros(u64::from_le_bytes(take(from)?));
    Ok(now.mono.minus(age.saturating_add(away)))
}

fn write_text(text: Option<&str>, out: &mut Vec<u8>) {
    let Some(text) = text else {
        out.extend_from_slice(&[0, 0]);
        return;
    };
    let mut end = text.len().min(limits::DEVICE_TEXT_OCTETS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or("");
    let length = u16::try_from(text.len() + 1).expect("the bound of a text is far below 64 k");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn read_shared(from: &mut &[u8]) -> Result<Option<SharedText>, Torn> {
    Ok(read_text(from)?.map(SharedText::from))
}

fn read_text<'a>(from: &mut &'a [u8]) -> Result<Option<&'a str>, Torn> {
    let Some(length) = usize::from(u16::from_le_bytes(take(from)?)).checked_sub(1) else { return Ok(None) };
    if length > limits::DEVICE_TEXT_OCTETS_MAX {
        return Err(Torn);
    }
    let (text, rest) = from.split_at_checked(length).ok_or(Torn)?;
    *from = rest;
    std::str::from_utf8(text).map(Some).map_err(|_| Torn)
}

fn take<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], Torn> {
    let (head, rest) = from.split_first_chunk().ok_or(Torn)?;
    *from = rest;
    Ok(*head)
}

const _: () = assert!(Compliance::ALL.len() <= 8, "a state takes three bits");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Now {
        Now { mono: Mono::from_nanos(1 << 50), wall: Wall::from_secs(1_800_000_000) }
    }

    fn texts() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("[a-zäß€ .]{0,60}")
    }

    prop_compose! {
        fn record()(
            ids in any::<([u8; 16], Option<[u8; 16]>, Option<[u8; 6]>, Option<[u8; 6]>)>(),
            flags in any::<(bool, bool, Option<bool>, Option<bool>, bool)>(),
            state in 0..Compliance::ALL.len(),
            age_micros in 0..1_000_000_000_000u64,
            check_in in any::<Option<i64>>(),
            words in proptest::collection::vec(texts(), 10),
        ) -> DeviceRecord {
            let mut words = words.into_iter();
            let mut word = || words.next().flatten();
            DeviceRecord {
                intune_id: IntuneId(Guid::new(ids.0)),
                entra_id: ids.1.map(Guid::new).map(EntraId),
                wifi_mac: ids.2.map(MacAddress::new),
                ethernet_mac: ids.3.map(MacAddress::new),
                ethernet_told: flags.0,
                managed: flags.1,
                compliance: Compliance::ALL[state],
                details: Arc::new(DeviceDetails {
                    owner: word().map(SharedText::from),
                    os: word().map(SharedText::from),
                    os_version: word().map(SharedText::from),
                    encrypted: flags.2,
                    jailbroken: flags.3,
                    manufacturer: word().map(SharedText::from),
                    model: word().map(SharedText::from),
                    serial: word().map(Box::from),
                    device_name: word().map(Box::from),
                    user: word().map(Box::from),
                    management_agent: word().map(SharedText::from),
                    last_check_in: check_in.map(Wall::from_micros),
                    threat: word().map(SharedText::from),
                }),
                answered_at: now().mono.minus(Duration::from_micros(age_micros)),
                origin: if flags.4 { Origin::Sync } else { Origin::Lookup },
            }
        }
    }

    proptest! {
        #[test]
        fn devices_come_back_as_they_were_and_older(
            records in proptest::collection::vec(record(), 0..5),
            away_secs in 0..1_000_000u64,
        ) {
            let (mut octets, away) = (Vec::new(), Duration::from_secs(away_secs));
            for record in &records {
                write_device(record, now(), &mut octets);
            }
            let read = read_devices(&octets, away, now()).unwrap();
            prop_assert_eq!(read.len(), records.len());
            for (read, record) in read.into_iter().zip(records) {
                prop_assert_eq!(read.age(now()), record.age(now()) + away);
                prop_assert_eq!(DeviceRecord { answered_at: record.answered_at, ..read }, record);
            }
        }

        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_devices(&octets, Duration::MAX, now());
            let _ = read_links(&octets, Duration::MAX, now());
        }
    }

    #[test]
    fn a_part_that_breaks_off_is_torn() {
        let mut octets = Vec::new();
        let link = Link { mac: MacAddress::new([2; 6]), device: IntuneId(Guid::new([1; 16])), at: now().mono };
        write_link(&link, now(), &mut octets);
        assert_eq!(read_links(&octets, Duration::ZERO, now()), Ok(vec![link]));
        for length in 1..octets.len() {
            assert_eq!(read_links(&octets[..length], Duration::ZERO, now()), Err(Torn), "{length}");
        }
    }

    #[test]
    fn a_checksum_tells_what_belongs_where() {
        assert_eq!(checksum(&[b"ab", b"c"]), checksum(&[b"ab", b"c"]));
        assert_ne!(checksum(&[b"ab", b"c"]), checksum(&[b"a", b"bc"]));
    }
}
