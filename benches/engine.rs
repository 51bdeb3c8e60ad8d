//! The engine without sockets: one MAC bypass with a fresh record through all phases, with and without the decision log.
//!
//! Requests are signed beforehand, each with an authenticator and a device of its own, so that none is a repeat.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/server.rs"]
mod server;

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput};
use radmit::{
    audit::{
        log::{Log, NoLog},
        settings::Destination,
    },
    clock::{self, Now},
    engine::{
        Engine,
        action::{Datagram, Outbox, Peer, Port, Route},
        arrival::Arrival,
        event::EventSink,
        machine::Machine as _,
    },
    limits::BATCH_DATAGRAMS,
    metrics::process::ProcessCells,
    radius::{code::Code, reply::ReplyBuffer},
};
use server::Server;

/// Requests, and devices: more than the engine keeps replies, so that no round meets its own.
const REQUESTS: usize = 32_768;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let now = clock::now();
    let requests = requests();
    let directory = Arc::new(fleet::directory(REQUESTS as u64, now));
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Elements(BATCH_DATAGRAMS as u64));
    group.bench_function("codec only, a batch of 64", |bench| {
        let (secret, mut reply, mut next) = (nas::secret(), ReplyBuffer::new(), 0);
        bench.iter(|| {
            for request in batch(&requests, &mut next) {
                assert!(nas::answer(black_box(request), &secret, &mut reply).is_some());
            }
        });
    });
    let log = std::env::temp_dir().join(format!("radmit-bench-{}.log", std::process::id()));
    for (name, clients, destination) in [
        ("without log, a batch of 64", 1, Destination::Off),
        ("with the decision log, a batch of 64", 1, Destination::File(log.clone())),
        ("10,000 clients, without log, a batch of 64", 10_000, Destination::Off),
    ] {
        let server = Server::new(Arc::clone(&directory), clients, 1);
        let (_log, mut ends) =
            Log::start(&destination, 1, Arc::<ProcessCells>::default()).expect("the file can be opened");
        let events: Box<dyn EventSink> = ends.pop().unwrap_or(Box::new(NoLog));
        let mut shard = Shard { engine: server.engine(0, events), out: Accepts(0) };
        let mut next = 0;
        let mut handled = 0;
        group.bench_function(name, |bench| {
            bench.iter(|| {
                handled += BATCH_DATAGRAMS as u64;
                // Time passes, as it does between batches: else the store of replies would never let anything go.
                shard.handle(clock::now(), batch(&requests, &mut next));
            });
        });
        assert_eq!((shard.out.0, server.decided()), (handled, handled), "every request was decided and accepted");
        assert_eq!(server.asked_and_lost(), (0, 0));
    }
    // A file of a bench that is interrupted stays in the folder for temporary files.
    let _ = std::fs::remove_file(log);
    group.finish();
    criterion.final_summary();
}

fn requests() -> Vec<Vec<u8>> {
    let (mut switch, secret) = (nas::Switch::new(1), nas::secret());
    let identifier = |number: usize| u8::try_from(number % 256).expect("it is below 256");
    (0..REQUESTS)
        .map(|number| switch.mac_bypass(identifier(number), nas::mac(number as u64), &secret).to_vec())
        .collect()
}

/// The next 64 requests.
fn batch<'r>(requests: &'r [Vec<u8>], next: &mut usize) -> &'r [Vec<u8>] {
    let batch = &requests[*next..*next + BATCH_DATAGRAMS];
    *next = (*next + BATCH_DATAGRAMS) % requests.len();
    batch
}

struct Shard {
    engine: Engine,
    out: Accepts,
}

impl Shard {
    fn handle(&mut self, now: Now, batch: &[Vec<u8>]) {
        self.engine.begin(now);
        let mut arrivals = [const { None }; BATCH_DATAGRAMS];
        for (arrival, (place, octets)) in arrivals.iter_mut().zip((0u16..).zip(batch)) {
            let address = ([127, 0, 0, 1], 40_000 + place).into();
            let peer = Peer { address, route: Route { listener: 0, local: None, interface: 0 } };
            *arrival = Some(Arrival::from(Datagram { octets, peer, port: Port::Auth }));
        }
        self.engine.look(&mut arrivals);
        for arrival in arrivals.iter().flatten() {
            self.engine.handle(now, arrival, &mut self.out);
        }
        self.engine.expire(now, &mut self.out);
        self.engine.end(now, &mut self.out);
    }
}

/// Counts accepts and sends nothing.
struct Accepts(u64);

impl Outbox for Accepts {
    fn send(&mut self, _: &Peer, octets: &[u8]) {
        self.0 += u64::from(octets.first() == Some(&Code::ACCESS_ACCEPT.0));
    }
}
