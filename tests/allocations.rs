//! What allocates nothing, counted by an allocator of its own.
//!
//! One program for itself, because the allocator is the whole program's. Counts by thread, so tests may run side by side.
#![expect(unsafe_code, reason = "the trait of allocators is unsafe; all calls go to the system's")]
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has to fail")]

#[path = "../benches/support/fleet.rs"]
mod fleet;
#[path = "../benches/support/nas.rs"]
mod nas;
#[path = "../benches/support/server.rs"]
mod server;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    sync::Arc,
    time::Duration,
};

use radmit::{
    audit::{
        log::{Log, NoLog},
        settings::Destination,
    },
    clock::{self, Now},
    dictionary::{self, Dictionary, Path},
    engine::{
        Engine,
        action::{Datagram, Peer, Port, Route},
        arrival::Arrival,
        machine::Machine as _,
    },
    limits::{BATCH_DATAGRAMS, REPLIES_KEPT_MAX},
    radius::{kind, packet::Packet, reply::ReplyBuffer, request::verify_reply},
    udp::replies::Replies,
};
use server::Server;

/// The system's allocator, which counts the calls of each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes unchanged to the system's allocator, which keeps the promises of the trait. Counting touches
// a cell of this thread that needs neither memory nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, octets: usize) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, octets) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// How often `work` asked for memory.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(7)))), 1);
    assert_eq!(allocations(|| drop(black_box(Vec::<u8>::new()))), 0);
    let grown = allocations(|| {
        let mut grown = Vec::with_capacity(1);
        grown.extend_from_slice(black_box(&[1u8; 100]));
        drop(black_box(grown));
    });
    assert_eq!(grown, 2);
}

#[test]
fn checking_a_request_and_signing_the_reply_allocates_nothing() {
    let secret = nas::secret();
    let mut switch = nas::Switch::new(1);
    let requests: Vec<Vec<u8>> =
        (0..100).map(|at| switch.mac_bypass(at, nas::mac(at.into()), &secret).to_vec()).collect();
    let mut reply = ReplyBuffer::new();
    let mut answered = 0;
    let counted = allocations(|| {
        for request in &requests {
            let octets = nas::answer(request, &secret, &mut reply).unwrap();
            let (request, octets) = (Packet::parse(request).unwrap(), Packet::parse(octets).unwrap());
            answered += usize::from(verify_reply(&octets, &request, &secret).is_ok());
        }
    });
    assert_eq!((answered, counted), (100, 0));
}

#[test]
fn refusing_what_breaks_a_rule_allocates_nothing() {
    let secret = nas::secret();
    let whole = nas::Switch::new(1).mac_bypass(1, nas::mac(1), &secret).to_vec();
    let mut reply = ReplyBuffer::new();
    let (mut changed, mut refused) = (whole.clone(), 0);
    let counted = allocations(|| {
        for length in 0..whole.len() {
            refused += usize::from(nas::answer(&whole[..length], &secret, &mut reply).is_none());
        }
        for at in 0..changed.len() {
            changed[at] ^= 0x40;
            refused += usize::from(nas::answer(&changed, &secret, &mut reply).is_none());
            changed[at] ^= 0x40;
        }
    });
    assert_eq!((refused, counted), (2 * whole.len(), 0), "{} octets", whole.len());
}

#[test]
fn finding_attributes_by_their_paths_allocates_nothing() {
    let names = Dictionary::builtin();
    let secret = nas::secret();
    let request = nas::Switch::new(1).mac_bypass(1, nas::mac(1), &secret).to_vec();
    let attributes = Packet::parse(&request).unwrap().attributes();
    let cisco_pairs = names.attribute("Cisco-AVPair").unwrap().path();
    let mut found = 0;
    let counted = allocations(|| {
        found += dictionary::values(attributes, &cisco_pairs).count();
        found += dictionary::values(attributes, &Path::standard(kind::USER_NAME)).count();
        found += dictionary::walk(names, attributes).count();
    });
    assert_eq!((found, counted), (3 + 1 + 15, 0));
}

#[test]
fn a_mac_bypass_with_a_fresh_record_allocates_nothing() {
    let now = clock::now();
    let server = Server::new(Arc::new(fleet::directory(1_000, now)), 1, 1);
    let mut engine = server.engine(0, Box::new(NoLog));
    a_mac_bypass_allocates_nothing(&mut engine, &server, now, 1);
}

#[test]
fn mac_bypasses_in_full_batches_allocate_nothing() {
    let now = clock::now();
    let server = Server::new(Arc::new(fleet::directory(1_000, now)), 1, 1);
    let mut engine = server.engine(0, Box::new(NoLog));
    a_mac_bypass_allocates_nothing(&mut engine, &server, now, BATCH_DATAGRAMS);
}

#[test]
fn a_mac_bypass_that_is_logged_allocates_nothing_either() {
    let now = clock::now();
    let server = Server::new(Arc::new(fleet::directory(1_000, now)), 1, 1);
    let place = std::env::temp_dir().join(format!("radmit-allocations-{}.log", std::process::id()));
    let (log, mut ends) = Log::start(&Destination::File(place.clone()), 1, Arc::default()).unwrap();
    let mut engine = server.engine(0, ends.pop().unwrap());
    a_mac_bypass_allocates_nothing(&mut engine, &server, now, BATCH_DATAGRAMS);
    drop((engine, log));
    let lines = std::fs::read_to_string(&place).unwrap().lines().count();
    std::fs::remove_file(&place).unwrap();
    assert_eq!(lines, usize::try_from(ROUNDS * PER_ROUND).unwrap());
}

const PER_ROUND: u64 = 1_000;
/// Rounds until the store of replies has used all its places, each of which takes memory once and keeps it.
const WARM_UP: u64 = REPLIES_KEPT_MAX as u64 / PER_ROUND + 1;
const ROUNDS: u64 = WARM_UP + 8;

/// Warms up until the store of replies is full and lets the oldest go, then counts.
fn a_mac_bypass_allocates_nothing(engine: &mut Engine, server: &Server, mut now: Now, batch: usize) {
    let (secret, mut switch, mut out) = (nas::secret(), nas::Switch::new(1), Replies::new());
    let mut counted = 0;
    for round in 0..ROUNDS {
        // Devices and Identifiers come back, authenticators don't.
        let requests: Vec<Vec<u8>> = (0..PER_ROUND)
            .map(|at| switch.mac_bypass(u8::try_from(at % 256).unwrap(), nas::mac(at), &secret).to_vec())
            .collect();
        let during = allocations(|| {
            for (batch, first) in requests.chunks(batch).zip((0u16..).step_by(batch)) {
                now = now.advanced(Duration::from_micros(5));
                let mut arrivals = [const { None }; BATCH_DATAGRAMS];
                for (arrival, (at, octets)) in arrivals.iter_mut().zip((first..).zip(batch)) {
                    let address = ([127, 0, 0, 1], 40_000 + at / 256).into();
                    let peer = Peer { address, route: Route { listener: 0, local: None, interface: 0 } };
                    *arrival = Some(Arrival::from(Datagram { octets, peer, port: Port::Auth }));
                }
                engine.begin(now);
                engine.look(&mut arrivals[..batch.len()]);
                arrivals.iter().flatten().for_each(|arrival| engine.handle(now, arrival, &mut out));
                engine.expire(now, &mut out);
                engine.end(now, &mut out);
                if first % 64 == 0 {
                    out.clear();
                }
            }
        });
        out.clear();
        if round >= WARM_UP {
            counted += during;
        }
    }
    assert_eq!(server.decided(), ROUNDS * PER_ROUND, "every request was decided");
    assert_eq!(server.asked_and_lost(), (0, 0));
    assert_eq!(counted, 0);
}
