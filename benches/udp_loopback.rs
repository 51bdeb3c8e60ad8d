//! Requests over loopback: the CPU time that a server needs for one, as a ratio to a bare echo in the same run.
//!
//! `cargo bench --bench udp_loopback -- --rounds 5 --seconds 2 --window 512 --shards 1 --devices 100000 --clients 1`
//!
//! Servers take turns within every round, so that a neighbour on the machine slows all of them alike. The load is made
//! by one thread that always has a window of requests in flight, each with an authenticator and a device of its own and
//! signed beforehand; every answer is verified after its round. What was lost or wrong ends the bench.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/load.rs"]
mod load;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use load::{Check, Generator, Measured};
use radmit::{
    audit::{log::Log, settings::Destination},
    clock::{self, Mono, Now},
    device::{directory::Directory, question::Answer},
    engine::{action::Outbox, arrival::Arrival, machine::Machine, work::Done},
    metrics::process::ProcessCells,
    radius::{reply::ReplyBuffer, secret::Secret},
    udp::{Running, Settings, Udp, echo::Echo},
};
use server::Server;

fn main() {
    let rounds: usize = option("--rounds", 5);
    let seconds: f64 = option("--seconds", 2.0);
    let shards: usize = option("--shards", 1);
    let devices: u64 = option("--devices", 100_000);
    let clients: u32 = option("--clients", 1);
    let duration = Duration::from_secs_f64(seconds);
    let mut generator = Generator::new(option("--window", 512), devices).expect("loopback has free ports");
    let echo = Echo::start(free_port(), shards).expect("loopback has free ports");
    let codec_only = |_| Box::new(CodecOnly { secret: nas::secret(), reply: ReplyBuffer::new() }) as Box<_>;
    let codec = serve(shards, codec_only);
    let directory = Arc::new(fleet::directory(devices, clock::now()));
    let quiet = Product::start(&directory, clients, shards, &Destination::Off);
    let log = std::env::temp_dir().join(format!("radmit-bench-{}.log", std::process::id()));
    let logging = Product::start(&directory, clients, shards, &Destination::File(log.clone()));
    let pinned = shards == 1
        && ["radmit-", "decision-log"].iter().all(|threads| process::pin_to_core(threads, 0))
        && process::pin_to_core("udp_loopback", 1);
    let window = generator.window();
    println!("{rounds} rounds of {seconds} s, window {window}, {shards} shards, pinned: {pinned}");
    println!("{devices} devices, {clients} clients");

    let mut rows = ["bare echo", "codec only", "radmit, no log", "radmit"].map(|name| Row { name, rounds: Vec::new() });
    let addresses = [echo.address(), address(&codec), address(&quiet.running), address(&logging.running)];
    let checks: [Check; 4] = [load::is_echoed, load::is_accepted, load::is_accepted, load::is_accepted];
    for _ in 0..rounds {
        for ((row, server), check) in rows.iter_mut().zip(addresses).zip(checks) {
            row.rounds.push(generator.run(server, &["radmit-", "decision-log"], duration, check));
        }
    }
    print_table(&rows);
    quiet.stop_and_check();
    logging.stop_and_check();
    // A file of a bench that is interrupted stays in the folder for temporary files.
    let _ = std::fs::remove_file(log);
    stop(codec);
}

/// What one server did in all rounds.
struct Row {
    name: &'static str,
    rounds: Vec<Measured>,
}

/// radmit as the daemon puts it together, without the parts that are asked nothing here.
struct Product {
    server: Server,
    running: Running,
    log: Log,
    lines: Arc<ProcessCells>,
    is_logging: bool,
}

impl Product {
    fn start(directory: &Arc<Directory>, clients: u32, shards: usize, destination: &Destination) -> Self {
        let server = Server::new(Arc::clone(directory), clients, shards);
        let lines = Arc::<ProcessCells>::default();
        let (log, ends) = Log::start(destination, shards, Arc::clone(&lines)).expect("the file can be opened");
        let mut ends = ends.into_iter();
        let running = serve(shards, |shard| {
            Box::new(server.engine(shard, ends.next().expect("there is one for each shard"))) as Box<_>
        });
        Self { server, running, log, lines, is_logging: *destination != Destination::Off }
    }

    /// Nothing was answered from the store of replies, nothing was asked, and the log lost nothing.
    fn stop_and_check(self) {
        let sent: u64 = self.running.cells().iter().map(|cells| cells.sent.value()).sum();
        stop(self.running);
        drop(self.log);
        assert_eq!(self.server.decided(), sent, "every answer was decided");
        assert_eq!(self.server.asked_and_lost(), (0, 0));
        assert!(!self.is_logging || self.lines.log_lines.value() == sent, "every decision was logged");
    }
}

/// The ratio is the median of the ratios within each round.
fn print_table(rows: &[Row]) {
    let Some(echo) = rows.first() else { return };
    println!(
        "{:<16} {:>10} {:>6} {:>10} {:>16} {:>8}",
        "server", "answered", "lost", "per second", "CPU us/request", "ratio"
    );
    for row in rows {
        let answered: u64 = row.rounds.iter().map(|round| round.answered).sum();
        let lost: u64 = row.rounds.iter().map(|round| round.lost).sum();
        let rate = median(row.rounds.iter().map(Measured::per_second));
        let cost = median(row.rounds.iter().map(Measured::cpu_us));
        let ratio = median(row.rounds.iter().zip(&echo.rounds).map(|(row, echo)| row.cpu_us() / echo.cpu_us()));
        println!("{:<16} {answered:>10} {lost:>6} {rate:>10.0} {cost:>16.2} {ratio:>8.2}", row.name);
        assert!(lost * 1_000 <= answered, "{}: more than one in a thousand was lost", row.name);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value behind this option, or its default. `cargo bench` adds options of its own, which are passed over.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1);
    value.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} {text}: that is no such number")))
}

fn free_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn serve(shards: usize, machine: impl FnMut(usize) -> Box<dyn Machine + Send>) -> Running {
    let settings = Settings { auth_listen: vec![free_port()], acct_listen: Vec::new(), shards, ..Settings::default() };
    let udp = Udp::bind(&settings).expect("loopback has free ports");
    let machines = (0..udp.shards()).map(machine).collect();
    udp.run(machines).expect("there are as many machines as shards")
}

fn stop(running: Running) {
    running.stop(clock::now().mono);
    assert_eq!(running.join(), 0, "no shard ended by a bug");
}

fn address(running: &Running) -> SocketAddr {
    running.listeners()[0].address
}

/// Verifies the request and signs an accept, and nothing else: what no server with Message-Authenticator can go below.
struct CodecOnly {
    secret: Secret,
    reply: ReplyBuffer,
}

impl Machine for CodecOnly {
    fn begin(&mut self, _: Now) {}

    fn handle(&mut self, _: Now, Arrival { datagram, .. }: &Arrival<'_>, out: &mut dyn Outbox) {
        if let Some(octets) = nas::answer(datagram.octets, &self.secret, &mut self.reply) {
            out.send(&datagram.peer, octets);
        }
    }

    fn finished(&mut self, _: Now, _: Done, _: &mut dyn Outbox) {}
    fn resume(&mut self, _: Now, _: &Answer, _: &mut dyn Outbox) {}

    fn expire(&mut self, _: Now, _: &mut dyn Outbox) {}

    fn end(&mut self, _: Now, _: &mut dyn Outbox) {}

    fn wake_at(&self) -> Mono {
        Mono::NEVER
    }

    fn drain(&mut self) {}

    fn waiting(&self) -> usize {
        0
    }
}
