//! EAP-TLS over loopback: what a handshake costs the server, and what handshakes and half-open ones do to MAC bypass.
//!
//! `cargo bench --bench eap_load -- --rounds 3 --seconds 3`
//!
//! The load is that of `radmit bench`, to a server in this process whose threads' CPU time is counted apart. The ways of
//! computing handshakes take turns within every round, so that a neighbour on the machine slows all of them alike. What
//! was lost or wrong ends the bench.

#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect has to fail")]
#![allow(dead_code, reason = "the suite's support has more than a bench needs")]

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/lab.rs"]
mod lab;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;
#[path = "../tests/suite/support/mod.rs"]
mod support;

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    str::FromStr,
    sync::Arc,
    thread,
    time::Duration,
};

use lab::{Lab, Lived};
use radmit::{
    bench::{Devices, Pace, Plan, Report, Verdict, run},
    engine::chance::Chance,
    radius::{code::Code, kind, packet::Packet, request::RequestBuffer},
    supplicant::Turn,
};

/// MAC bypasses in a second: far from what the server can do, so that only waiting behind others shows.
const MAC_RATE: f64 = 1_000.0;

fn main() {
    let rounds: usize = option("--rounds", 3);
    let duration = Duration::from_secs_f64(option("--seconds", 3.0));
    println!(
        "CPU of the server for one full handshake (RSA 2048 server, P-256 device), {} s each",
        duration.as_secs_f64()
    );
    for (name, tls13) in [("TLS 1.2", false), ("TLS 1.3", true)] {
        let lab = Lab::new(tls13);
        let running = lab.start(true);
        let before = process::cpu_time(&["radmit-"]);
        let done = load(&lab, running.address(), duration, 2, None).handshakes;
        let cpu = process::cpu_time(&["radmit-"]).saturating_sub(before);
        let each = cpu.as_secs_f64() * 1_000.0 / done as f64;
        println!("{name}: {:.0} handshakes a second, {each:.3} ms each", done as f64 / duration.as_secs_f64());
    }
    println!("\nMAC bypass, {MAC_RATE} a second, {rounds} rounds");
    println!("{:<28} {:>12} {:>10} {:>10}", "beside", "handshakes/s", "p50 us", "p99 us");
    let lab = Lab::new(true);
    let (inline, pooled) = (lab.start(false), lab.start(true));
    let mut rows =
        [("nothing", &pooled, 0), ("handshakes in the shard", &inline, 1), ("handshakes in threads", &pooled, 1)]
            .map(|(name, running, talkers)| (name, running, talkers, Vec::new()));
    for _ in 0..rounds {
        for (_, running, talkers, measured) in &mut rows {
            measured.push(load(&lab, running.address(), duration, *talkers, Some(MAC_RATE)));
        }
    }
    for (name, _, _, measured) in &rows {
        print_row(name, measured, duration);
    }
    half_open(&lab, &pooled, duration);
}

fn print_row(name: &str, measured: &[Load], duration: Duration) {
    let middle = |of: fn(&Load) -> f64| {
        let mut values: Vec<f64> = measured.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let rate = middle(|load| load.handshakes as f64) / duration.as_secs_f64();
    println!("{name:<28} {rate:>12.0} {:>10.0} {:>10.0}", middle(|load| load.part(50)), middle(|load| load.part(99)));
}

/// 10,000 devices that sent their hello and nothing more.
fn half_open(lab: &Lab, running: &Lived, duration: Duration) {
    const DEVICES: u32 = 10_000;
    let quiet = load(lab, running.address(), duration, 0, Some(MAC_RATE));
    let before = process::resident_octets();
    let mut nas = Nas::new(running.address());
    let mut device = lab.supplicant.begin().unwrap();
    let identity = device.identity(9);
    let mut hello = None;
    for number in 0..DEVICES {
        let station = format!("02-00-{:02X}-{:02X}-00-01", number / 256, number % 256);
        nas.state = None;
        let start = nas.exchange(&station, &identity).expect("a conversation begins").1;
        let hello = hello.get_or_insert_with(|| match device.take(&start) {
            Ok(Turn::Respond(hello)) => hello,
            other => panic!("{other:?}"),
        });
        // Each conversation has chosen its own first identifier.
        hello[1] = start[1];
        nas.exchange(&station, hello).expect("the flight of the server");
    }
    let grown = process::resident_octets().saturating_sub(before);
    let loaded = load(lab, running.address(), duration, 0, Some(MAC_RATE));
    println!("\n{DEVICES} half-open conversations: {} octets each", grown / u64::from(DEVICES));
    print_row("before them", &[quiet], duration);
    print_row("beside them", &[loaded], duration);
}

fn option<T: FromStr>(name: &str, otherwise: T) -> T {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(otherwise, |value| value.parse().unwrap_or_else(|_| panic!("{name} {value}")))
}

/// Devices that shake hands one after the other, as many at once as there are `talkers`, and MAC bypasses beside them.
fn load(lab: &Lab, server: SocketAddr, duration: Duration, talkers: usize, macs: Option<f64>) -> Load {
    let plan = || Plan { duration, ..Plan::new(server, Arc::new(nas::secret())) };
    let devices = |count| Devices::Counted { first: nas::mac(0), count };
    let handshakes = (talkers > 0).then(|| Plan {
        eap_tls: Some(Arc::from([lab.supplicant.clone()])),
        pace: Pace::Window(talkers),
        threads: talkers,
        devices: devices(talkers as u64),
        ..plan()
    });
    let macs = macs.map(|rate| Plan { pace: Pace::Steady(rate), devices: devices(1_000), ..plan() });
    thread::scope(|scope| {
        let beside = handshakes.map(|plan| scope.spawn(move || accepted(&plan)));
        let macs = macs.map(|plan| accepted(&plan));
        Load { handshakes: beside.map_or(0, |thread| thread.join().unwrap().tally.answered()), macs }
    })
}

/// What came of a plan, if all was accepted.
fn accepted(plan: &Plan) -> Report {
    let report = run(plan, &mut |_| ()).unwrap();
    let tally = &report.tally;
    assert!(report.is_sound(), "{tally:?}");
    assert_eq!((tally.lost.total(), tally.answers(Verdict::Accept)), (0, tally.answered()), "{tally:?}");
    report
}

/// What came of a load.
struct Load {
    handshakes: u64,
    macs: Option<Report>,
}

impl Load {
    /// The percentile of MAC bypasses in microseconds, from the moment at which they were due.
    fn part(&self, percent: u32) -> f64 {
        let macs = self.macs.as_ref().expect("there were some");
        macs.tally.latency_of_all().percentile(f64::from(percent) / 100.0).as_secs_f64() * 1e6
    }
}

fn socket(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// A client that carries EAP.
struct Nas {
    socket: UdpSocket,
    buffer: RequestBuffer,
    chance: Chance,
    identifier: u8,
    state: Option<Vec<u8>>,
}

impl Nas {
    fn new(server: SocketAddr) -> Self {
        let socket = socket(server);
        let seed = u64::from(socket.local_addr().unwrap().port());
        Self { socket, buffer: RequestBuffer::new(), chance: Chance::new(seed), identifier: 0, state: None }
    }

    /// Sends an EAP packet; the code of the reply and what it carries.
    fn exchange(&mut self, station: &str, eap: &[u8]) -> Option<(Code, Vec<u8>)> {
        self.identifier = self.identifier.wrapping_add(1);
        let mut authenticator = [0; 16];
        authenticator[..8].copy_from_slice(&self.chance.next().to_be_bytes());
        let request = &mut self.buffer;
        request.start_request(Code::ACCESS_REQUEST, self.identifier, &authenticator);
        request.push(kind::USER_NAME, b"anonymous").unwrap();
        request.push(kind::CALLING_STATION_ID, station.as_bytes()).unwrap();
        request.push_u32(kind::NAS_PORT_TYPE, 19).unwrap();
        request.push_u32(kind::FRAMED_MTU, 1_400).unwrap();
        request.push_long(kind::EAP_MESSAGE, eap).unwrap();
        if let Some(state) = &self.state {
            request.push(kind::STATE, state).unwrap();
        }
        self.socket.send(request.sign(&nas::secret())).unwrap();
        let mut room = [0; 4_096];
        let length = self.socket.recv(&mut room).ok()?;
        let packet = Packet::parse(&room[..length]).ok()?;
        self.state = packet.first(kind::STATE).map(<[u8]>::to_vec);
        Some((packet.code(), packet.all(kind::EAP_MESSAGE).flatten().copied().collect()))
    }
}
