//! What survives a restart: how long a directory of a million devices takes to be saved and loaded, and its size.
//!
//! `cargo bench --bench store -- --devices 1000000`

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/process.rs"]
mod process;

use std::sync::Arc;

use radmit::{
    clock,
    device::directory::{Capacity, Directory},
    store::keeper::Store,
};

const IDENTITY: &str = "intune a-tenant global";

fn main() {
    let devices: u64 = std::env::args()
        .skip_while(|argument| argument != "--devices")
        .nth(1)
        .map_or(1_000_000, |text| text.parse().expect("--devices is a number"));
    let folder = std::env::temp_dir().join(format!("radmit-bench-store-{}", std::process::id()));
    {
        let store = Store::open(&folder, Arc::default());
        let empty = Arc::new(Directory::new(Capacity::default()));
        store.keep("corp", IDENTITY, &empty);
        // In a process that has freed nothing yet, so that nothing is counted too low.
        let (now, before) = (clock::now(), process::resident_octets());
        (0..devices).for_each(|number| drop(empty.insert(fleet::record(number, now), fleet::TOLD)));
        println!("in memory: {} octets per device", (process::resident_octets() - before) / devices);
        let began = clock::now().mono;
        store.start(Box::new(Vec::new));
        store.stop();
        println!("all saved: {:.2?}", clock::now().mono.since(began));
    }
    let octets: u64 = std::fs::read_dir(&folder)
        .expect("it was made")
        .map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |metadata| metadata.len()))
        .sum();
    println!("on disk: {} octets per device", octets / devices);

    let began = clock::now().mono;
    let store = Store::open(&folder, Arc::default());
    let directory = Arc::new(Directory::new(Capacity::default()));
    store.keep("corp", IDENTITY, &directory);
    println!("all loaded: {:.2?}", clock::now().mono.since(began));
    assert_eq!(directory.len() as u64, devices);

    let began = clock::now().mono;
    store.start(Box::new(Vec::new));
    store.stop();
    println!("nothing changed: {:.2?}", clock::now().mono.since(began));
    // A folder of a bench that is interrupted stays in the folder for temporary files.
    let _ = std::fs::remove_dir_all(folder);
}
