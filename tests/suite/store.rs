//! What survives a restart: files that come back, files that don't, and files that are not ours.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicU32, atomic::Ordering::Relaxed},
    time::Duration,
};

use radmit::{
    clock::{self, Wall},
    device::{
        directory::{Capacity, Directory, Match, Told},
        identifier::{Guid, IntuneId, MacAddress},
        record::{Compliance, DeviceDetails, DeviceRecord, Origin},
    },
    metrics::store::StoreCells,
    store::keeper::{Count, Store, can_be_required},
};

const IDENTITY: &str = "intune a-tenant global";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A folder that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("store-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn file(&self) -> PathBuf {
        self.0.join("devices.db")
    }

    fn has_set_aside(&self) -> bool {
        self.0.join("devices.db.set-aside").exists()
    }

    /// Opens it, loads the one server, and gives both.
    fn open(&self) -> (Store, Arc<Directory>) {
        self.open_as(IDENTITY)
    }

    fn open_as(&self, identity: &str) -> (Store, Arc<Directory>) {
        let store = Store::open(&self.0, Arc::default());
        let directory = Arc::new(Directory::new(Capacity::default()));
        store.keep("corp", identity, &directory);
        (store, directory)
    }

    /// A run of a server that knows these devices.
    fn run(&self, numbers: std::ops::Range<u32>) {
        let (store, directory) = self.open();
        for number in numbers {
            directory.insert(device(number), Told::Everything);
        }
        save(&store);
    }

    /// How many devices the next run knows.
    fn known(&self) -> usize {
        self.open().1.len()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts and stops it, which saves.
fn save(store: &Store) {
    store.start(Box::new(Vec::new));
    store.stop();
}

fn id(number: u32) -> IntuneId {
    let mut octets = [3; 16];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    IntuneId(Guid::new(octets))
}

fn mac(number: u32) -> MacAddress {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddress::new([0xa4, 0xc3, a, b, c, d])
}

fn device(number: u32) -> DeviceRecord {
    let details = DeviceDetails {
        os: Some("Windows".into()),
        serial: Some(format!("SN{number}").into()),
        last_check_in: Some(Wall::from_secs(1_800_000_000)),
        ..DeviceDetails::default()
    };
    DeviceRecord {
        intune_id: id(number),
        entra_id: None,
        wifi_mac: Some(mac(number)),
        ethernet_mac: None,
        ethernet_told: true,
        managed: true,
        compliance: Compliance::InGracePeriod,
        details: Arc::new(details),
        answered_at: clock::now().mono.minus(Duration::from_secs(100)),
        origin: Origin::Sync,
    }
}

#[test]
fn devices_come_back_with_all_that_was_known_and_as_old_as_they_are() {
    let folder = Folder::new();
    folder.run(0..50);
    let (_store, directory) = folder.open();
    assert_eq!(directory.len(), 50);
    let (record, before) = (directory.find(id(7)).unwrap(), device(7));
    assert_eq!(
        (&record.details, record.compliance, record.origin),
        (&before.details, before.compliance, before.origin)
    );
    let age = record.age(clock::now());
    assert!(age >= Duration::from_secs(100) && age < Duration::from_secs(160), "{age:?}");
    assert!(matches!(directory.find_by_mac(clock::now(), mac(7)), Match::One(_)));
    assert!(!directory.is_complete(None), "what is kept does not say who is not there");
    assert!(!folder.has_set_aside());
}

#[test]
fn links_and_the_place_of_enrolment_come_back() {
    let folder = Folder::new();
    let (store, directory) = folder.open();
    directory.insert(device(1), Told::Everything);
    directory.link(mac(900), id(1), clock::now().mono);
    directory.note_enrolment_url("https://portal.example/enrol");
    save(&store);
    drop(store);
    let (_store, directory) = folder.open();
    assert_eq!(directory.find_by_link(mac(900)).unwrap().0.intune_id, id(1));
    assert_eq!(directory.enrolment_url(), Some("https://portal.example/enrol"));
}

#[test]
fn what_changed_and_what_was_removed_is_so_after_the_next_start() {
    let folder = Folder::new();
    folder.run(0..50);
    let (store, directory) = folder.open();
    directory.forget(id(7));
    let now = clock::now();
    let newer = DeviceRecord { compliance: Compliance::NonCompliant, answered_at: now.mono, ..device(8) };
    directory.insert(newer, Told::Everything);
    save(&store);
    drop(store);
    let (_store, directory) = folder.open();
    assert_eq!((directory.len(), directory.find(id(7)).is_none()), (49, true));
    assert_eq!(directory.find(id(8)).unwrap().compliance, Compliance::NonCompliant);
}

#[test]
fn devices_of_another_tenant_are_not_taken_for_ours() {
    let folder = Folder::new();
    folder.run(0..5);
    assert_eq!(folder.open_as("intune another-tenant global").1.len(), 0);
    assert_eq!(folder.known(), 0, "they are gone for good");
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    for content in [&b"#!/bin/sh\necho not a database\n"[..], &[0u8; 20_000], b"SQLite format 3\0 and no more"] {
        let folder = Folder::new();
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.file(), content).unwrap();
        folder.run(0..5);
        assert!(folder.has_set_aside());
        assert_eq!(folder.known(), 5);
    }
}

#[test]
fn a_database_of_another_program_or_of_a_later_version_is_set_aside() {
    for change in ["PRAGMA application_id = 7", "PRAGMA user_version = 999", "ALTER TABLE part RENAME TO parts"] {
        let folder = Folder::new();
        folder.run(0..5);
        rusqlite::Connection::open(folder.file()).unwrap().execute_batch(change).unwrap();
        assert_eq!(folder.known(), 0, "{change}");
        folder.run(0..6);
        assert!(folder.has_set_aside(), "{change}");
        assert_eq!(folder.known(), 6, "{change}");
    }
}

#[test]
fn a_torn_file_loses_what_is_torn_and_not_more() {
    let folder = Folder::new();
    folder.run(0..5_000);
    let whole = fs::read(folder.file()).unwrap();
    for (kept, name) in [(whole.len() / 2, "the second half is missing"), (100, "the header is torn")] {
        fs::write(folder.file(), &whole[..kept]).unwrap();
        let (store, directory) = folder.open();
        assert!(directory.len() < 5_000, "{name}");
        let sound = directory.len();
        directory.for_each(|record| assert_eq!(record.compliance, Compliance::InGracePeriod, "{name}"));
        save(&store);
        drop(store);
        assert!(folder.has_set_aside(), "{name}");
        assert_eq!(folder.known(), sound, "{name}");
    }
}

#[test]
fn a_flipped_bit_in_a_part_is_found_and_the_others_are_used() {
    let folder = Folder::new();
    folder.run(0..5_000);
    let database = rusqlite::Connection::open(folder.file()).unwrap();
    let sql = "UPDATE part SET records = zeroblob(length(records)) WHERE key = (SELECT min(key) FROM part)";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    drop(database);
    let (store, directory) = folder.open();
    assert!(directory.len() < 5_000 && directory.len() > 4_900, "{}", directory.len());
    save(&store);
    assert!(folder.has_set_aside());
}

#[test]
fn a_part_can_not_stand_in_the_place_of_another() {
    let folder = Folder::new();
    folder.run(0..5_000);
    let database = rusqlite::Connection::open(folder.file()).unwrap();
    let moved = "UPDATE part SET key = key + 1 WHERE key = (SELECT max(key) FROM part)";
    assert_eq!(database.execute(moved, []).unwrap(), 1);
    drop(database);
    assert!(folder.known() < 5_000);
}

#[test]
fn a_second_server_on_one_folder_keeps_nothing_and_breaks_nothing() {
    let folder = Folder::new();
    folder.run(0..5);
    let (first, known) = folder.open();
    let (second, unknown) = folder.open();
    assert_eq!((known.len(), unknown.len()), (5, 0));
    save(&second);
    save(&first);
    drop((first, second));
    assert_eq!(folder.known(), 5);
    assert!(!folder.has_set_aside());
}

#[test]
fn a_folder_that_can_not_be_made_keeps_nothing_and_says_nothing_twice() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("file"), "").unwrap();
    let store = Store::open(&folder.0.join("file").join("state"), Arc::default());
    let directory = Arc::new(Directory::new(Capacity::default()));
    store.keep("corp", IDENTITY, &directory);
    save(&store);
    assert!(directory.is_empty());
}

#[cfg(unix)]
#[test]
fn others_may_not_read_what_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    folder.run(0..5);
    for path in [&folder.0, &folder.file()] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

#[test]
fn what_was_learnt_about_clients_survives_and_can_be_read_beside_a_running_server() {
    let folder = Folder::new();
    let now = clock::now().wall;
    let learn = |signed: u64, unsigned: u64| {
        let cells = Arc::<StoreCells>::default();
        let store = Store::open(&folder.0, cells);
        let counts = vec![Count { client: "campus".into(), signed, unsigned }];
        let counts = Mutex::new(counts);
        store.start(Box::new(move || counts.lock().unwrap().clone()));
        store.stop();
    };
    learn(500, 0);
    assert!(can_be_required(&folder.0, now.plus(DAY * 6)).is_empty());
    // Written by the first run, and counted on by the second.
    learn(0, 0);
    let (running, _) = folder.open();
    assert_eq!(can_be_required(&folder.0, now.plus(DAY * 8)), [Box::from("campus")]);
    drop(running);
    learn(500, 1);
    assert!(can_be_required(&folder.0, now.plus(DAY * 6)).is_empty());
}

#[test]
fn a_client_that_learns_no_more_is_forgotten() {
    let folder = Folder::new();
    let now = clock::now().wall;
    let run = |counts: Vec<Count>| {
        let store = Store::open(&folder.0, Arc::default());
        store.start(Box::new(move || counts.clone()));
        store.stop();
    };
    run(vec![Count { client: "campus".into(), signed: 500, unsigned: 0 }]);
    assert_eq!(can_be_required(&folder.0, now.plus(DAY * 8)).len(), 1);
    run(Vec::new());
    assert!(can_be_required(&folder.0, now.plus(DAY * 8)).is_empty());
}
