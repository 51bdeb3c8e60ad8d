//! Requests over loopback: the CPU time that a server needs for one, as a ratio to a bare echo in the same run.
//!
//! `cargo bench --bench udp_loopback -- --rounds 5 --seconds 2 --window 512 --shards 1 --devices 100000 --clients 1`
//!
//! radmit hands replies of one length to one peer to the kernel as one piece; the bare echo, which is the yardstick, sends
//! each alone. `echo, one piece` and `radmit, one by one` tell what comes of that.
//!
//! `--freeradius` adds FreeRADIUS 3.2 with the same job: the same devices in its cache, the same answers, a line for each.
//!
//! Servers take turns within every round, so that a neighbour on the machine slows all of them alike. The load is made
//! by one thread that always has a window of requests in flight, each with an authenticator and a device of its own and
//! signed beforehand; every answer is verified after its round. What was lost or wrong ends the bench.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/freeradius.rs"]
mod freeradius;
#[path = "support/load.rs"]
mod load;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use freeradius::{Compliance, FreeRadius, Kind};
use load::{Check, Generator, Measured};
use radmit::{
    audit::{log::Log, settings::Destination},
    clock::{self, Mono, Now},
    device::{directory::Directory, question::Answer},
    engine::{action::Outbox, arrival::Arrival, machine::Machine, work::Done},
    metrics::{engine::DROP_REASONS, process::ProcessCells},
    radius::{packet::Packet, reply::ReplyBuffer, secret::Secret},
    udp::{Running, Settings, Udp, echo::Echo},
};
use server::Server;

/// The threads of radmit and of the echo.
const OURS: [&str; 2] = ["radmit-", "decision-log"];
/// Requests that must not be answered, because their Message-Authenticator is wrong.
const FORGED: u8 = 3;
/// The core of the servers, and that of the generator.
const SERVER: u32 = 0;
const GENERATOR: u32 = 1;

fn main() -> ExitCode {
    let program = std::env::args().any(|argument| argument == "--freeradius").then(freeradius::find).transpose();
    match program {
        Ok(program) => measure(program),
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// `program`: FreeRADIUS and its version, if it is to be measured too.
fn measure(program: Option<(&'static str, String)>) {
    let rounds: usize = option("--rounds", 5);
    let seconds: f64 = option("--seconds", 2.0);
    let shards: usize = option("--shards", 1);
    let devices: u64 = option("--devices", 100_000);
    let clients: u32 = option("--clients", 1);
    let duration = Duration::from_secs_f64(seconds);
    let mut generator = Generator::new(option("--window", 512), devices).expect("loopback has free ports");
    let echo = Echo::start(free_port(), shards).expect("loopback has free ports");
    let joining = Echo::start_with(free_port(), shards, true).expect("loopback has free ports");
    let codec_only = |_| Box::new(CodecOnly { secret: nas::secret(), reply: ReplyBuffer::new() }) as Box<_>;
    let codec = serve(shards, true, codec_only);
    let directory = Arc::new(fleet::directory(devices, clock::now()));
    let log = |name| std::env::temp_dir().join(format!("radmit-bench-{}-{name}.log", std::process::id()));
    let logs = [log("joined"), log("single")];
    let product = |segments, log: Option<&PathBuf>| {
        let destination = log.map_or(Destination::Off, |log| Destination::File(log.clone()));
        Product::start(&directory, clients, (shards, segments), &destination)
    };
    let (quiet, logging, single) = (product(true, None), product(true, Some(&logs[0])), product(false, Some(&logs[1])));
    let pinned = shards == 1
        && OURS.iter().all(|threads| process::pin_to_core(threads, SERVER))
        && process::pin_to_core("udp_loopback", GENERATOR);
    let window = generator.window();
    println!("{rounds} rounds of {seconds} s, window {window}, {shards} shards, pinned: {pinned}");
    println!("{devices} devices, {clients} clients");
    let rivals = program.map(|program| Rivals::start(&program, address(&quiet.running), devices, pinned));

    let mut rows = vec![
        Row::new("bare echo", echo.address(), load::is_echoed),
        Row::new("codec only", address(&codec), load::is_accepted),
        Row::new(RADMIT_QUIET, address(&quiet.running), load::is_accepted),
        Row::new(RADMIT, address(&logging.running), load::is_accepted),
        Row::new("echo, one piece", joining.address(), load::is_echoed),
        Row::new("radmit, one by one", address(&single.running), load::is_accepted),
    ];
    rows.extend(rivals.iter().flat_map(Rivals::rows));
    for _ in 0..rounds {
        for row in &mut rows {
            let rival = rivals.as_ref().and_then(|rivals| rivals.find(row.server));
            let cpu_time = || rival.map_or_else(|| process::cpu_time(&OURS), |(_, server)| server.cpu_time());
            let before = generator.checked();
            row.rounds.push(generator.run(row.server, &cpu_time, duration, row.check));
            row.checked += generator.checked() - before;
        }
    }
    print_table(&rows);
    if let Some(rivals) = &rivals {
        rivals.compare_and_check(&rows);
    }
    [quiet, logging, single].into_iter().for_each(Product::stop_and_check);
    // A file of a bench that is interrupted stays in the folder for temporary files.
    let _ = logs.iter().try_for_each(std::fs::remove_file);
    stop(codec);
}

/// The rows that others are held against, with and without the decision log.
const RADMIT: &str = "radmit";
const RADMIT_QUIET: &str = "radmit, no log";

/// What one server did in all rounds.
struct Row {
    name: &'static str,
    server: SocketAddr,
    check: Check,
    rounds: Vec<Measured>,
    /// Answers, those from before its time was taken included.
    checked: u64,
}

impl Row {
    fn new(name: &'static str, server: SocketAddr, check: Check) -> Self {
        Self { name, server, check, rounds: Vec::new(), checked: 0 }
    }

    /// The median of the ratios within each round.
    fn ratio_to(&self, other: &Self) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(row, other)| row.cpu_us() / other.cpu_us()))
    }
}

/// FreeRADIUS in all the ways that compete, and whom it asks.
struct Rivals {
    servers: Vec<(&'static Kind, FreeRadius)>,
    rest: Compliance,
    asked_before: u64,
}

impl Rivals {
    /// Starts them one beside the other and brings the fleet into the cache of each.
    fn start((program, version): &(&str, String), radmit: SocketAddr, devices: u64, pinned: bool) -> Self {
        println!("FreeRADIUS {version}");
        let acl = freeradius::learn_accept(radmit);
        let rest = Compliance::start().expect("loopback has free ports");
        let start = |kind: &'static Kind| {
            let server = FreeRadius::start(program, kind, &acl, &rest, pinned.then_some(SERVER));
            (kind, server.expect("it was found before"))
        };
        let mut servers: Vec<_> = freeradius::KINDS.iter().map(start).collect();
        std::thread::scope(|scope| {
            for (_, server) in &mut servers {
                scope.spawn(|| server.warm_up(devices));
            }
        });
        let asked_before = rest.asked();
        assert!(asked_before >= devices * servers.len() as u64, "every cache was filled from REST");
        Self { servers, rest, asked_before }
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.servers.iter().map(|(kind, server)| Row::new(kind.name, server.address(), freeradius::is_same_accept))
    }

    fn find(&self, address: SocketAddr) -> Option<&(&'static Kind, FreeRadius)> {
        self.servers.iter().find(|(_, server)| server.address() == address)
    }

    /// Tells which way is the best for FreeRADIUS. Every answer came from its cache and was logged.
    fn compare_and_check(&self, rows: &[Row]) {
        for (radmit, logs) in [(RADMIT_QUIET, false), (RADMIT, true)] {
            let radmit = rows.iter().find(|row| row.name == radmit).expect("it is in the table");
            let own =
                rows.iter().filter(|row| self.find(row.server).is_some_and(|(kind, _)| kind.log.is_some() == logs));
            let best = own.map(|row| (row.ratio_to(radmit), row)).min_by(|one, other| one.0.total_cmp(&other.0));
            let (ratio, best) = best.expect("there are rivals with and without log");
            println!("{:<22} needs {ratio:.2} times the CPU of {}", best.name, radmit.name);
        }
        assert_eq!(self.rest.asked(), self.asked_before, "every answer came from its cache");
        for row in rows {
            let Some((kind, server)) = self.find(row.server) else { continue };
            let lines = if kind.log.is_some() { row.checked } else { 0 };
            assert_eq!(server.lines_since(), lines, "{}: every decision was logged", row.name);
        }
    }
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
    /// `segments`: whether its replies may leave as one piece.
    fn start(
        directory: &Arc<Directory>,
        clients: u32,
        (shards, segments): (usize, bool),
        destination: &Destination,
    ) -> Self {
        let server = Server::new(Arc::clone(directory), clients, shards);
        let lines = Arc::<ProcessCells>::default();
        let (log, ends) = Log::start(destination, shards, Arc::clone(&lines)).expect("the file can be opened");
        let mut ends = ends.into_iter();
        let running = serve(shards, segments, |shard| {
            Box::new(server.engine(shard, ends.next().expect("there is one for each shard"))) as Box<_>
        });
        Self { server, running, log, lines, is_logging: *destination != Destination::Off }
    }

    /// Sends some requests whose Message-Authenticator is wrong by one bit: none was answered, and all were counted.
    fn check_that_it_verifies(&self) {
        let dropped = || {
            let reason = DROP_REASONS.iter().position(|reason| *reason == "bad-message-authenticator");
            self.server.drops()[reason.expect("that is a reason")]
        };
        let before = dropped();
        let socket = UdpSocket::bind(free_port()).expect("loopback has free ports");
        socket.connect(address(&self.running)).expect("it is on loopback");
        let mut switch = nas::Switch::new(2);
        for identifier in 0..FORGED {
            let mut octets = switch.mac_bypass(identifier, nas::mac(0), &nas::secret()).to_vec();
            let signature = Packet::parse(&octets).expect("it is a request").message_authenticator();
            octets[signature.expect("it is signed")] ^= 1;
            socket.send(&octets).expect("loopback takes it");
        }
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("it is not nothing");
        assert!(socket.recv(&mut [0; 4_096]).is_err(), "a request that does not verify was answered");
        assert_eq!(dropped() - before, u64::from(FORGED), "each request that does not verify was counted");
    }

    /// Requests were verified, nothing was answered from the store of replies, nothing was asked, and the log lost nothing.
    fn stop_and_check(self) {
        self.check_that_it_verifies();
        let sent: u64 = self.running.cells().iter().map(|cells| cells.sent.value()).sum();
        stop(self.running);
        drop(self.log);
        assert_eq!(self.server.decided(), sent, "every answer was decided");
        assert_eq!(self.server.asked_and_lost(), (0, 0));
        // Besides at least one line about those that did not verify.
        let others = self.lines.log_lines.value().saturating_sub(sent);
        assert!(!self.is_logging || (1..=u64::from(FORGED)).contains(&others), "every decision was logged");
    }
}

fn print_table(rows: &[Row]) {
    let Some(echo) = rows.first() else { return };
    let radmit = rows.iter().find(|row| row.name == RADMIT).unwrap_or(echo);
    println!(
        "{:<22} {:>10} {:>6} {:>10} {:>16} {:>8} {:>10}",
        "server", "answered", "lost", "per second", "CPU us/request", "to echo", "to radmit"
    );
    for row in rows {
        let answered: u64 = row.rounds.iter().map(|round| round.answered).sum();
        let lost: u64 = row.rounds.iter().map(|round| round.lost).sum();
        let rate = median(row.rounds.iter().map(Measured::per_second));
        let cost = median(row.rounds.iter().map(Measured::cpu_us));
        let (to_echo, to_radmit) = (row.ratio_to(echo), row.ratio_to(radmit));
        let name = row.name;
        println!("{name:<22} {answered:>10} {lost:>6} {rate:>10.0} {cost:>16.2} {to_echo:>8.2} {to_radmit:>10.2}");
        assert!(lost * 1_000 <= answered, "{name}: more than one in a thousand was lost");
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

fn serve(shards: usize, segmentation: bool, machine: impl FnMut(usize) -> Box<dyn Machine + Send>) -> Running {
    let auth_listen = vec![free_port()];
    let settings = Settings { auth_listen, acct_listen: Vec::new(), shards, segmentation, ..Settings::default() };
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
