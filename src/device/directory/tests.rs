//! Claims about the directory: ages on a toy clock against a plain model, conflicts, bounds.
//!
//! No claim here waits: time is an argument.

use std::{collections::HashSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    clock::Wall,
    device::{
        identifier::Guid,
        record::{Compliance, DeviceDetails},
    },
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn start() -> Now {
    Now { mono: Mono::from_nanos(1 << 50), wall: Wall::from_secs(1_800_000_000) }
}

fn ages() -> Ages {
    Ages { compliance_max_age: 5 * MINUTE, negative_max_age: MINUTE, stale_for: 60 * MINUTE, mac_can_be_asked: true }
}

fn guid(kind: u8, number: u8) -> Guid {
    let mut octets = [kind; 16];
    octets[1] = number;
    Guid::new(octets)
}

fn intune(number: u8) -> IntuneId {
    IntuneId(guid(1, number))
}

fn entra(number: u8) -> EntraId {
    EntraId(guid(2, number))
}

fn mac(number: u8) -> MacAddress {
    MacAddress::new([0xa4, 0xc3, 0xf0, 0, 0, number])
}

fn device(number: u8, now: Now) -> DeviceRecord {
    DeviceRecord {
        intune_id: intune(number),
        entra_id: Some(entra(number)),
        wifi_mac: Some(mac(number)),
        ethernet_mac: None,
        ethernet_told: false,
        managed: true,
        compliance: Compliance::Compliant,
        details: Arc::new(DeviceDetails { last_check_in: Some(now.wall), ..DeviceDetails::default() }),
        answered_at: now.mono,
        origin: Origin::Lookup,
    }
}

fn with_details(mut record: DeviceRecord, serial: &str, silent_for: Duration, now: Now) -> DeviceRecord {
    record.details = Arc::new(DeviceDetails {
        serial: (!serial.is_empty()).then(|| serial.into()),
        last_check_in: Some(now.wall.minus(silent_for)),
        ..DeviceDetails::default()
    });
    record
}

fn by_mac(directory: &Directory, now: Now, number: u8, medium: Medium, ages: &Ages) -> Knowledge {
    directory.judge(now, &Key::Mac(mac(number)), Some(medium), ages)
}

#[test]
fn an_answer_is_fresh_then_servable_then_only_remembered() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.insert(device(1, now), Told::Everything);
    let at = |age: Duration| directory.judge(now.advanced(age), &Key::Device(intune(1).0), None, &ages());
    let almost = Duration::from_nanos(1);
    assert!(matches!(at(Duration::ZERO), Knowledge::Fresh { refresh: false, .. }));
    assert!(matches!(at(5 * MINUTE - almost), Knowledge::Fresh { refresh: true, .. }));
    assert!(matches!(at(5 * MINUTE), Knowledge::Aged { servable: true, .. }));
    assert!(matches!(at(60 * MINUTE - almost), Knowledge::Aged { servable: true, .. }));
    assert!(matches!(at(60 * MINUTE), Knowledge::Aged { servable: false, .. }));
    assert!(matches!(at(1_000 * DAY), Knowledge::Aged { servable: false, .. }));
}

#[test]
fn a_device_is_found_by_each_of_its_names() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.insert(DeviceRecord { ethernet_mac: Some(mac(9)), ..device(1, now) }, Told::Everything);
    for key in [Key::Device(intune(1).0), Key::Device(entra(1).0), Key::Mac(mac(1)), Key::Mac(mac(9))] {
        assert!(matches!(directory.judge(now, &key, None, &ages()), Knowledge::Fresh { .. }), "{key:?}");
    }
}

#[test]
fn a_miss_of_a_mac_counts_only_when_the_index_of_its_medium_is_complete() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    let alone = Ages { mac_can_be_asked: false, ..ages() };
    let told = |medium, ages: &Ages| by_mac(&directory, now, 7, medium, ages);
    assert!(matches!(told(Medium::Wireless, &alone), Knowledge::NotReady));
    assert!(matches!(told(Medium::Wireless, &ages()), Knowledge::Unknown));
    directory.complete_list(0);
    assert!(matches!(told(Medium::Wireless, &alone), Knowledge::NotRegistered));
    assert!(matches!(told(Medium::Wired, &alone), Knowledge::NotReady));
    assert!(matches!(told(Medium::Virtual, &alone), Knowledge::NotReady));
    directory.complete_ethernet();
    assert!(matches!(told(Medium::Wired, &alone), Knowledge::NotRegistered));
    // Who can be asked is asked, also then: the device may have been enrolled since.
    assert!(matches!(told(Medium::Wired, &ages()), Knowledge::Unknown));
}

#[test]
fn what_a_store_brought_back_makes_no_index_complete_and_is_as_old_as_it_is() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.restore(DeviceRecord { answered_at: now.mono.minus(10 * MINUTE), ..device(1, now) });
    assert!(!directory.is_complete(Some(Medium::Wireless)));
    assert_eq!(directory.list_devices(), 1);
    assert!(matches!(by_mac(&directory, now, 1, Medium::Wireless, &ages()), Knowledge::Aged { servable: true, .. }));
}

#[test]
fn two_machines_with_one_mac_are_ambiguous_until_one_falls_silent() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    let with_mac = |number, record: DeviceRecord| DeviceRecord { wifi_mac: Some(mac(50)), ..record_of(number, record) };
    directory.insert(with_mac(1, with_details(device(1, now), "SN1", MINUTE, now)), Told::Everything);
    directory.insert(with_mac(2, with_details(device(2, now), "SN2", 29 * DAY, now)), Told::Everything);
    assert!(matches!(by_mac(&directory, now, 50, Medium::Wireless, &ages()), Knowledge::Ambiguous));
    let later = now.advanced(2 * DAY);
    let Knowledge::Aged { record, .. } = by_mac(&directory, later, 50, Medium::Wireless, &ages()) else {
        panic!("the silent one no longer contests");
    };
    assert_eq!(record.intune_id, intune(1));
}

fn record_of(number: u8, record: DeviceRecord) -> DeviceRecord {
    DeviceRecord { intune_id: intune(number), ..record }
}

#[test]
fn of_one_machine_enrolled_twice_the_newest_check_in_wins() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    for (number, silent_for) in [(1, 3 * MINUTE), (2, MINUTE), (3, 2 * MINUTE)] {
        let record = with_details(device(number, now), "SN1", silent_for, now);
        let record = DeviceRecord { wifi_mac: Some(mac(50)), entra_id: Some(entra(50)), ..record };
        directory.insert(record, Told::Everything);
    }
    for key in [Key::Mac(mac(50)), Key::Device(entra(50).0)] {
        let Knowledge::Fresh { record, .. } = directory.judge(now, &key, None, &ages()) else {
            panic!("{key:?} is one machine");
        };
        assert_eq!(record.intune_id, intune(2), "{key:?}");
    }
}

#[test]
fn empty_serial_numbers_do_not_make_two_devices_one() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    for number in [1, 2] {
        let record = with_details(device(number, now), "", MINUTE, now);
        directory.insert(DeviceRecord { wifi_mac: Some(mac(50)), ..record }, Told::Everything);
    }
    assert!(matches!(by_mac(&directory, now, 50, Medium::Wireless, &ages()), Knowledge::Ambiguous));
}

#[test]
fn a_mac_that_names_nobody_is_never_indexed() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.complete_list(1);
    for unusable in [MacAddress::new([0; 6]), MacAddress::new([0xff; 6])] {
        let record = DeviceRecord { wifi_mac: Some(unusable), ethernet_mac: Some(unusable), ..device(1, now) };
        directory.insert(record, Told::Everything);
        let known = directory.judge(now, &Key::Mac(unusable), Some(Medium::Wireless), &ages());
        assert!(matches!(known, Knowledge::NotRegistered), "{unusable}");
    }
}

#[test]
fn a_list_row_does_not_take_the_ethernet_address_away() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.insert(DeviceRecord { ethernet_mac: Some(mac(9)), ..device(1, now) }, Told::Everything);
    let later = now.advanced(MINUTE);
    directory.insert(DeviceRecord { origin: Origin::Sync, ..device(1, later) }, Told::AllButEthernet);
    let record = directory.find(intune(1)).expect("it was put in");
    assert_eq!((record.ethernet_mac, record.ethernet_told, record.answered_at), (Some(mac(9)), true, later.mono));
}

#[test]
fn a_bare_compliance_answer_keeps_the_names_and_drops_the_facts_that_age() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    let mut record = with_details(device(1, now), "SN1", MINUTE, now);
    Arc::make_mut(&mut record.details).os = Some("Windows".into());
    directory.insert(record, Told::Everything);
    let bare = DeviceRecord {
        entra_id: None,
        wifi_mac: None,
        compliance: Compliance::NonCompliant,
        details: Arc::default(),
        ..device(1, now.advanced(MINUTE))
    };
    directory.insert(bare, Told::ComplianceOnly);
    let record = directory.find(intune(1)).expect("it was put in");
    assert_eq!((record.entra_id, record.wifi_mac), (Some(entra(1)), Some(mac(1))));
    assert_eq!((record.details.os.as_deref(), record.details.serial.as_deref()), (None, Some("SN1")));
    assert_eq!(record.compliance, Compliance::NonCompliant);
}

#[test]
fn an_answer_that_was_overtaken_changes_nothing() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.insert(device(1, now.advanced(MINUTE)), Told::Everything);
    let late = DeviceRecord { compliance: Compliance::NonCompliant, ..device(1, now) };
    assert!(matches!(directory.insert(late, Told::AllButEthernet), Inserted::Older(_)));
    assert_eq!(directory.find(intune(1)).expect("it was put in").compliance, Compliance::Compliant);
}

#[test]
fn a_rich_answer_that_a_bare_one_overtook_gives_its_facts_and_not_its_verdict() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    let later = now.advanced(MINUTE / 2);
    let bare = DeviceRecord { details: Arc::default(), compliance: Compliance::NonCompliant, ..device(1, later) };
    directory.insert(bare, Told::ComplianceOnly);
    let mut rich = device(1, now);
    Arc::make_mut(&mut rich.details).os = Some("Windows".into());
    directory.insert(rich.clone(), Told::Everything);
    let record = directory.find(intune(1)).expect("it was put in");
    assert_eq!((record.compliance, record.answered_at), (Compliance::NonCompliant, later.mono));
    assert_eq!((record.details.os.as_deref(), record.wifi_mac), (Some("Windows"), Some(mac(1))));
    // One that was asked long before gives nothing.
    directory.forget(intune(1));
    let bare = DeviceRecord { details: Arc::default(), ..device(1, now.advanced(2 * MINUTE)) };
    directory.insert(bare, Told::ComplianceOnly);
    assert!(matches!(directory.insert(rich, Told::Everything), Inserted::Older(_)));
}

#[test]
fn a_denied_device_is_believed_for_a_while_and_a_known_one_is_not_denied() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    let key = Key::Device(intune(1).0);
    directory.deny(key, now.mono);
    assert!(matches!(directory.judge(now, &key, None, &ages()), Knowledge::NotRegistered));
    assert!(matches!(directory.judge(now.advanced(MINUTE), &key, None, &ages()), Knowledge::Unknown));
    directory.insert(device(1, now), Told::Everything);
    assert!(matches!(directory.judge(now, &key, None, &ages()), Knowledge::Fresh { .. }));
}

#[test]
fn a_link_is_as_old_as_its_own_answer_even_if_the_device_was_asked_since() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.insert(device(1, now), Told::Everything);
    directory.link(mac(77), intune(1), now.mono);
    assert!(matches!(by_mac(&directory, now, 77, Medium::Wired, &ages()), Knowledge::Fresh { .. }));
    let later = now.advanced(10 * MINUTE);
    directory.insert(device(1, later), Told::Everything);
    assert!(matches!(by_mac(&directory, later, 77, Medium::Wired, &ages()), Knowledge::Aged { servable: true, .. }));
    directory.deny(Key::Mac(mac(77)), later.mono);
    assert!(matches!(by_mac(&directory, later, 77, Medium::Wired, &ages()), Knowledge::NotRegistered));
}

#[test]
fn a_full_directory_adds_nobody_but_goes_on_learning_about_those_it_has() {
    let (directory, now) = (Directory::new(Capacity { devices: 2, outside: 2 }), start());
    for number in [1, 2, 3] {
        directory.insert(device(number, now), Told::Everything);
    }
    assert_eq!((directory.len(), directory.refused()), (2, 1));
    let answer = directory.insert(device(3, now), Told::Everything);
    assert!(matches!(&answer, Inserted::Full(record) if record.intune_id == intune(3)));
    let update = DeviceRecord { compliance: Compliance::Error, ..device(1, now) };
    assert!(matches!(directory.insert(update, Told::Everything), Inserted::Kept(_)));
    directory.forget(intune(1));
    assert!(matches!(directory.insert(device(3, now), Told::Everything), Inserted::Kept(_)));
}

#[test]
fn strangers_never_push_devices_out() {
    let (directory, now) = (Directory::new(Capacity { devices: 10, outside: 10 }), start());
    directory.insert(device(1, now), Told::Everything);
    directory.link(mac(77), intune(1), now.mono);
    for number in 0..=255 {
        directory.deny(Key::Mac(MacAddress::new([0xa4, 0, 0, 0, 1, number])), now.mono);
    }
    assert!(matches!(by_mac(&directory, now, 1, Medium::Wired, &ages()), Knowledge::Fresh { .. }));
    assert!(matches!(by_mac(&directory, now, 77, Medium::Wired, &ages()), Knowledge::Fresh { .. }));
}

#[test]
fn a_held_answer_is_as_old_as_the_one_that_is_held_back_and_is_asked_again_like_any_other() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    let old = device(1, now);
    directory.insert(old.clone(), Told::Everything);
    let later = now.advanced(20 * MINUTE);
    let flipped = DeviceRecord { compliance: Compliance::NonCompliant, ..device(1, later) };
    directory.insert(flipped.clone(), Told::Everything);
    directory.hold(&old, later.mono);
    let at = |age: Duration| by_mac(&directory, later.advanced(age), 1, Medium::Wired, &ages());
    let Knowledge::Fresh { record, refresh: false } = at(MINUTE) else { panic!("a held answer is used") };
    assert_eq!((record.origin, record.compliance), (Origin::Held, Compliance::Compliant));
    assert_eq!(record.answered_at, now.mono, "policy is told how old it really is");
    assert!(matches!(at(5 * MINUTE), Knowledge::Aged { servable: true, .. }));
    assert!(matches!(at(60 * MINUTE), Knowledge::Aged { servable: false, .. }));
    directory.hold(&old, later.advanced(10 * MINUTE).mono);
    assert!(matches!(at(12 * MINUTE), Knowledge::Fresh { .. }), "it was asked again meanwhile");
    directory.insert(flipped, Told::Everything);
    let record = directory.find(intune(1)).expect("it was put in");
    assert_eq!((record.origin, record.compliance), (Origin::Lookup, Compliance::NonCompliant));
}

#[test]
fn texts_that_devices_have_in_common_are_kept_once() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    for number in [1, 2] {
        let mut record = device(number, now);
        Arc::make_mut(&mut record.details).model = Some("Model 14".into());
        directory.insert(record, Told::Everything);
    }
    let model = |number| directory.find(intune(number)).and_then(|record| record.details.model.clone());
    let (one, other) = (model(1).expect("it has one"), model(2).expect("it has one"));
    assert!(one.is_same(&other));
}

#[test]
fn links_can_be_listed_so_that_a_store_keeps_them() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.link(mac(9), intune(1), now.mono);
    let mut links = Vec::new();
    directory.for_each_link(|mac, device, at| links.push((mac, device, at)));
    assert_eq!(links, [(mac(9), intune(1), now.mono)]);
}

#[test]
fn a_device_is_refreshed_in_the_last_fifth_and_not_all_at_one_moment() {
    let (max_age, mut seen) = (100 * MINUTE, HashSet::new());
    for last in 0..=255 {
        let mut octets = [1; 16];
        octets[15] = last;
        let age = Ages { compliance_max_age: max_age, ..ages() }.refresh_age(IntuneId(Guid::new(octets)));
        assert!(age >= 80 * MINUTE && age < 90 * MINUTE, "{age:?}");
        seen.insert(age);
    }
    assert!(seen.len() > 200);
}

#[test]
fn a_device_that_was_used_is_due_before_it_ages_and_one_that_was_not_never_is() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.insert(device(1, now), Told::Everything);
    let due = |after: Duration| {
        let due = |part| directory.due_in_part(part, now.advanced(after), ages());
        let found: Vec<IntuneId> = (0..directory.parts()).flat_map(due).collect();
        assert!(found.is_empty() || found == [intune(1)]);
        !found.is_empty()
    };
    assert!(!due(5 * MINUTE));
    assert!(matches!(by_mac(&directory, now, 1, Medium::Wired, &ages()), Knowledge::Fresh { .. }));
    assert!(!due(3 * MINUTE));
    assert!(due(5 * MINUTE));
    assert!(due(59 * MINUTE));
    assert!(!due(62 * MINUTE));
    directory.forget(intune(1));
    directory.insert(device(1, now), Told::Everything);
    assert!(!due(5 * MINUTE), "who comes anew was not used");
}

#[test]
fn a_link_that_was_used_is_due_before_it_ages_by_its_own_address() {
    let (directory, now) = (Directory::new(Capacity::default()), start());
    directory.insert(device(1, now), Told::Everything);
    directory.link(mac(77), intune(1), now.mono);
    directory.link(mac(78), intune(1), now.mono);
    let due = |at: Now| directory.due_links(at, ages()).collect::<Vec<_>>();
    assert!(matches!(by_mac(&directory, now, 77, Medium::Wired, &ages()), Knowledge::Fresh { .. }));
    assert_eq!(due(now.advanced(3 * MINUTE)), []);
    // The device itself was asked about since: that says nothing about the address.
    let later = now.advanced(5 * MINUTE);
    directory.insert(device(1, later), Told::Everything);
    assert_eq!(due(later), [mac(77)], "the other one was not used");
    let used = (0..directory.parts()).flat_map(|part| directory.due_in_part(part, later.advanced(DAY), ages()));
    assert_eq!(used.count(), 0, "it was used by its link only");
    directory.link(mac(77), intune(1), later.mono);
    assert_eq!(due(later), []);
    assert_eq!(due(later.advanced(5 * MINUTE)), [mac(77)], "a new answer does not make it unused");
}

// --- against a model --------------------------------------------------------------------------------------------------

/// What the directory should say, told the simplest way: everything in vectors, looked through from the front.
#[derive(Default)]
struct Model {
    devices: Vec<DeviceRecord>,
    denied: Vec<(Key, Mono)>,
    list: bool,
    ethernet: bool,
}

#[derive(Debug, PartialEq)]
enum Said {
    Device(IntuneId, &'static str),
    Word(&'static str),
}

fn said(knowledge: &Knowledge) -> Said {
    match knowledge {
        Knowledge::Fresh { record, .. } => Said::Device(record.intune_id, "fresh"),
        Knowledge::Aged { record, servable: true } => Said::Device(record.intune_id, "servable"),
        Knowledge::Aged { record, servable: false } => Said::Device(record.intune_id, "aged"),
        Knowledge::NotRegistered => Said::Word("not registered"),
        Knowledge::Ambiguous => Said::Word("ambiguous"),
        Knowledge::NotReady => Said::Word("not ready"),
        Knowledge::Unknown => Said::Word("unknown"),
    }
}

impl Model {
    fn judge(&self, now: Now, key: Key, medium: Medium, ages: &Ages) -> Said {
        let fits: Vec<&DeviceRecord> = match key {
            Key::Mac(mac) => self.devices.iter().filter(|device| device.carries(mac)).collect(),
            Key::Device(id) => {
                let by_id: Vec<_> = self.devices.iter().filter(|device| device.intune_id.0 == id).collect();
                let by_entra = self.devices.iter().filter(|device| device.entra_id == Some(EntraId(id))).collect();
                if by_id.is_empty() { by_entra } else { by_id }
            }
        };
        let newest =
            fits.iter().max_by_key(|device| (device.details.last_check_in, device.answered_at, device.intune_id));
        if let Some(newest) = newest {
            let contested = fits.iter().any(|other| {
                let silent = now.wall.since(other.details.last_check_in.expect("all have one"));
                other.intune_id != newest.intune_id
                    && (other.details.serial != newest.details.serial || newest.details.serial.is_none())
                    && silent <= 30 * DAY
            });
            let age = newest.age(now);
            return match key {
                _ if !contested && age < ages.compliance_max_age => Said::Device(newest.intune_id, "fresh"),
                _ if !contested && age < ages.stale_for => Said::Device(newest.intune_id, "servable"),
                _ if !contested => Said::Device(newest.intune_id, "aged"),
                Key::Mac(_) => Said::Word("ambiguous"),
                Key::Device(_) if age < ages.compliance_max_age => Said::Word("ambiguous"),
                Key::Device(_) => self.outside(now, key, medium, ages),
            };
        }
        self.outside(now, key, medium, ages)
    }

    fn outside(&self, now: Now, key: Key, medium: Medium, ages: &Ages) -> Said {
        let denied = self.denied.iter().rev().find(|(denied, _)| *denied == key);
        if denied.is_some_and(|(_, at)| now.mono.since(*at) < ages.negative_max_age) {
            return Said::Word("not registered");
        }
        let complete = self.list && (self.ethernet || medium == Medium::Wireless);
        Said::Word(match key {
            Key::Mac(_) if !ages.mac_can_be_asked && complete => "not registered",
            Key::Mac(_) if !ages.mac_can_be_asked => "not ready",
            _ => "unknown",
        })
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert { number: u8, entra: u8, wifi: u8, serial: u8, silent_days: u64 },
    Forget(u8),
    Deny(u8),
    Advance(u64),
    CompleteList,
    CompleteEthernet,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..5u8, 0..3u8, 0..4u8, 0..3u8, 0..60u64).prop_map(|(number, entra, wifi, serial, silent_days)| {
            Step::Insert { number, entra, wifi, serial, silent_days }
        }),
        1 => (0..5u8).prop_map(Step::Forget),
        2 => (0..15u8).prop_map(Step::Deny),
        4 => (1..4_000u64).prop_map(Step::Advance),
        1 => Just(Step::CompleteList),
        1 => Just(Step::CompleteEthernet),
    ]
}

fn key(number: u8) -> Key {
    match number % 15 {
        at @ 0..=4 => Key::Device(intune(at).0),
        at @ 5..=9 => Key::Device(entra(at - 5).0),
        at => Key::Mac(mac(at - 10)),
    }
}

proptest! {
    // Each case judges every key after every step.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_directory_says_what_a_plain_model_says(steps in prop::collection::vec(step(), 1..60), ask in any::<bool>()) {
        let ages = Ages { mac_can_be_asked: ask, ..ages() };
        let (directory, mut model, mut now) =
            (Directory::new(Capacity { devices: 100, outside: 1_000 }), Model::default(), start());
        for step in steps {
            match step {
                Step::Insert { number, entra: entra_number, wifi, serial, silent_days } => {
                    let serial = if serial == 0 { String::new() } else { format!("SN{serial}") };
                    let mut record = with_details(device(number, now), &serial, DAY * u32::try_from(silent_days).expect("small"), now);
                    record.entra_id = Some(entra(entra_number));
                    record.wifi_mac = Some(mac(wifi));
                    directory.insert(record.clone(), Told::AllButEthernet);
                    model.devices.retain(|device| device.intune_id != record.intune_id);
                    model.devices.push(record);
                }
                Step::Forget(number) => {
                    directory.forget(intune(number));
                    model.devices.retain(|device| device.intune_id != intune(number));
                }
                Step::Deny(number) => {
                    directory.deny(key(number), now.mono);
                    model.denied.push((key(number), now.mono));
                }
                Step::Advance(seconds) => now = now.advanced(Duration::from_secs(seconds)),
                Step::CompleteList => {
                    directory.complete_list(1);
                    model.list = true;
                }
                Step::CompleteEthernet => {
                    directory.complete_ethernet();
                    model.ethernet = true;
                }
            }
            for number in 0..15 {
                for medium in [Medium::Wired, Medium::Wireless, Medium::Virtual] {
                    let known = directory.judge(now, &key(number), Some(medium), &ages);
                    prop_assert_eq!(said(&known), model.judge(now, key(number), medium, &ages), "{:?}", key(number));
                }
            }
            prop_assert_eq!(directory.len(), model.devices.len());
        }
    }

    #[test]
    fn neither_bound_is_ever_exceeded(numbers in prop::collection::vec(any::<(u8, bool)>(), 1..400)) {
        let (directory, now) = (Directory::new(Capacity { devices: 16, outside: 16 }), start());
        for (number, known) in numbers {
            if known {
                directory.insert(device(number, now), Told::Everything);
            } else {
                directory.deny(Key::Mac(mac(number)), now.mono);
                directory.link(mac(number), intune(number), now.mono);
                directory.doubt(Key::Device(intune(number).0), now.mono);
            }
            prop_assert!(directory.len() <= 16);
            directory.denied_macs.cache().run_pending_tasks();
            directory.links.cache().run_pending_tasks();
            prop_assert!(directory.outside_len() <= 32);
        }
    }
}
