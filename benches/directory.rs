//! The directory of devices: what a look costs, and what a device costs in memory, at a thousand to a million devices.
//!
//! Keys are drawn by chance from all devices, so that the caches of the processor miss as they do in the field.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/process.rs"]
mod process;

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use radmit::{
    clock::{self, Now},
    device::{
        directory::{Ages, Directory, Knowledge},
        question::{Key, Medium},
    },
    engine::chance::Chance,
};

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
/// Keys that one measurement draws from; more than the second level cache of a core holds records.
const KEYS: usize = 65_536;

/// The key by which the device of this number is looked for.
type KeyOf = fn(u64) -> Key;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let now = clock::now();
    let mut full = Vec::new();
    for devices in SIZES {
        let before = process::resident_octets();
        let directory = fleet::directory(devices, now);
        let octets = process::resident_octets().saturating_sub(before);
        assert_eq!(directory.len() as u64, devices);
        println!("directory/{devices}: {} octets of memory per device", octets / devices);
        looks(&mut criterion, &directory, devices, now);
        // Kept, so that the next size doesn't grow into memory that this one gave back.
        full.push(directory);
    }
    criterion.final_summary();
}

fn looks(criterion: &mut Criterion, directory: &Directory, devices: u64, now: Now) {
    let ages = Ages::default();
    let kinds: [(&str, KeyOf); 4] = [
        ("MAC address", |number| Key::Mac(nas::mac(number))),
        ("Intune id", |number| Key::Device(fleet::intune_id(number).0)),
        ("Entra id", |number| Key::Device(fleet::entra_id(number).0)),
        ("unknown MAC address", |number| Key::Mac(nas::mac(number + (1 << 31)))),
    ];
    let mut group = criterion.benchmark_group(format!("directory/{devices}"));
    for (name, key_of) in kinds {
        let mut chance = Chance::new(devices);
        let keys: Vec<Key> = (0..KEYS).map(|_| key_of(chance.below(devices))).collect();
        let is_known = name != "unknown MAC address";
        for key in &keys {
            let known = directory.judge(now, key, Some(Medium::Wireless), &ages);
            let expected = if is_known {
                matches!(known, Knowledge::Fresh { .. })
            } else {
                matches!(known, Knowledge::NotRegistered)
            };
            assert!(expected, "{name}: {known:?}");
        }
        let mut next = keys.iter().cycle();
        group.bench_function(name, |bench| {
            bench.iter(|| {
                directory.judge(now, black_box(next.next().expect("it never ends")), Some(Medium::Wireless), &ages)
            });
        });
    }
    let mut chance = Chance::new(devices);
    group.bench_function("replace a record", |bench| {
        bench.iter_batched(
            || fleet::record(chance.below(devices), now),
            |record| directory.insert(record, fleet::TOLD),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}
