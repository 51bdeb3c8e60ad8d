//! What a request costs as the site grows: shards, devices, clients.
//!
//! `cargo bench --bench scale -- --rounds 5 --seconds 1 --devices 1000000 --clients 10000`
//!
//! Every row is the whole product without the decision log, under the same closed loop over loopback; they take turns
//! within every round, and the ratio is the median of the ratios within the rounds. The load and what counts are those of
//! `udp_loopback`. The last column is the ratio of what is above the echo with as many addresses: the kernel's share of a
//! request is nothing that radmit could let grow.
//!
//! There are two cores for two shards and what loads them. So that nothing differs but the number of shards, each shard
//! shares its core with a generator: `1 shard and generator` is that on the one core, and then on the other, `2 shards,
//! 2 generators` both at once, where each generator's requests go to both shards. The same is done with echoes: what two
//! of them cost more than one is the kernel's and the processor's. `2 engines at once` is the product without its sockets, a
//! thread on each core, held against one thread alone.
//!
//! Each reply leaves alone here, unless `--pieces` lets those to one port leave together, as radmit does by itself: how many
//! can depends on how many ports ask, and on how many shards they are spread over, and that is not what a shard or a client costs.
//!
//! `-- --misses` counts cache misses of the engine with callgrind's model of this machine's caches, because virtual
//! machines seldom let the real ones be counted.

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
    collections::HashSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use load::{Check, Generator, Measured};
use radmit::{
    audit::log::NoLog,
    clock,
    device::directory::Directory,
    engine::{
        Engine,
        action::{Datagram, Outbox, Peer, Port, Route},
        arrival::Arrival,
        chance::Chance,
        machine::Machine as _,
    },
    limits::BATCH_DATAGRAMS,
    radius::code::Code,
    udp::{Running, Settings, Udp, echo::Echo},
};
use server::Server;

/// Requests in flight of a generator that shares its core with a shard: so few that the shard does not take them for an
/// overload while it waits for its core.
const PAIRED: usize = 128;
/// Devices where their number is not what is measured.
const FEW: u64 = 1_000;
/// The generator's core, and the other one.
const GENERATOR: u32 = 1;
const OTHER: u32 = 0;

fn main() {
    let devices: u64 = option("--devices", 1_000_000);
    let clients: u32 = option("--clients", 10_000);
    if let Some(stage) = flag("--stage").then(|| option("--stage", FEW)) {
        return engine_alone(stage, clients_of(stage, clients));
    }
    if flag("--misses") {
        return count_misses();
    }
    let duration = Duration::from_secs_f64(option("--seconds", 1.0));
    let rounds: usize = option("--rounds", 5);
    let window: usize = option("--window", 1_024);
    let sources: Vec<Ipv4Addr> = (1..=clients).map(server::address).collect();
    let mut generators = Generators::new(window, devices, &sources);
    let (small, large) = (fleet(FEW), fleet(devices));

    let mut bound = HashSet::new();
    let mut place = |cores: &[u32]| process::pin_new_to_cores("radmit-", cores, &mut bound);
    let mut placed = true;
    let mut start_echo = |cores: &[u32]| {
        let echo = Echo::start((Ipv4Addr::LOCALHOST, 0).into(), cores.len()).expect("loopback has free ports");
        placed &= place(cores);
        echo
    };
    let echo = start_echo(&[OTHER]);
    let echoes = [&[GENERATOR] as &[u32], &[OTHER, GENERATOR]].map(&mut start_echo);
    let mut start = |directory: &Arc<Directory>, clients: u32, cores: &[u32]| {
        let product = Product::start(directory, clients, cores.len());
        placed &= place(cores);
        product
    };
    let base = start(&small, 1, &[OTHER]);
    let with_first = start(&small, 1, &[OTHER]);
    let with_second = start(&small, 1, &[GENERATOR]);
    let two = start(&small, 1, &[OTHER, GENERATOR]);
    let million = start(&large, 1, &[OTHER]);
    let crowd = start(&small, clients + 1, &[OTHER]);
    placed &= process::pin_own_thread(GENERATOR);
    println!("{rounds} rounds of {duration:?}, window {}; threads have their cores: {placed}", generators.one.window());

    let mut rows = [
        Row::new("echo", echo.address(), load::is_echoed),
        Row::new("echo, many addresses", echo.address(), load::is_echoed),
        Row::new("1 shard and generator", with_first.address(), load::is_accepted),
        Row::new("1 shard and generator", with_second.address(), load::is_accepted),
        Row::new("2 shards, 2 generators", two.address(), load::is_accepted),
        Row::new("1 shard", base.address(), load::is_accepted),
        Row::new("many devices", million.address(), load::is_accepted),
        Row::new("many clients", crowd.address(), load::is_accepted),
        Row::new("1 echo and generator", echo.address(), load::is_echoed),
        Row::new("1 echo and generator", echoes[0].address(), load::is_echoed),
        Row::new("2 echoes, 2 generators", echoes[1].address(), load::is_echoed),
    ];
    for _ in 0..rounds {
        for (place, row) in rows.iter_mut().enumerate() {
            row.rounds.push(generators.run(place, row, duration));
        }
    }
    print_table(&rows, devices, clients);
    assert_eq!(crowd.server.clients_seen(), sources.len(), "requests came from every client");
    for product in [base, with_first, with_second, two, million, crowd] {
        product.stop_and_check();
    }
    compare_engines(&small, rounds, duration);
}

/// The load of all rows.
struct Generators {
    one: Generator,
    wide: Generator,
    many: Generator,
    /// Those that share their cores with a server.
    paired: [Generator; 2],
}

impl Generators {
    fn new(window: usize, devices: u64, sources: &[Ipv4Addr]) -> Self {
        let new = |window, devices| Generator::new(window, devices).expect("loopback has free ports");
        Self {
            one: new(window, FEW),
            wide: new(window, devices),
            many: Generator::with_sources(window, FEW, sources).expect("loopback has free ports"),
            paired: [new(PAIRED, FEW), new(PAIRED, FEW)],
        }
    }

    /// One round of the row at `place`.
    fn run(&mut self, place: usize, row: &Row, duration: Duration) -> Measured {
        let cpu_time = &|| process::cpu_time(&["radmit-"]);
        let (server, check) = (row.server, row.check);
        let [first, second] = &mut self.paired;
        let (first, second) = ((first, OTHER), (second, GENERATOR));
        let together = |generators: &mut [(&mut Generator, u32)]| {
            Generator::run_together(generators, server, cpu_time, duration, check)
        };
        match place {
            2 | 8 => together(&mut [first]),
            3 | 9 => together(&mut [second]),
            4 | 10 => together(&mut [first, second]),
            1 | 7 => self.many.run(server, cpu_time, duration, check),
            6 => self.wide.run(server, cpu_time, duration, check),
            _ => self.one.run(server, cpu_time, duration, check),
        }
    }
}

/// What is held against what: its name, a row and the rows of its baseline (their mean), and the same of the echo.
type Comparison = (String, Held, Held);
type Held = (usize, &'static [usize]);

fn print_table(rows: &[Row], devices: u64, clients: u32) {
    println!("{:<26} {:>10} {:>6} {:>10} {:>14}", "", "answered", "lost", "per second", "CPU us/request");
    for row in rows {
        let answered: u64 = row.rounds.iter().map(|round| round.answered).sum();
        let lost: u64 = row.rounds.iter().map(|round| round.lost).sum();
        let (rate, cost) = (median(row.each(Measured::per_second)), median(row.each(Measured::cpu_us)));
        println!("{:<26} {answered:>10} {lost:>6} {rate:>10.0} {cost:>14.2}", row.name);
        assert!(lost * 1_000 <= answered, "{}: more than one in a thousand was lost", row.name);
    }
    let comparisons: [Comparison; 4] = [
        ("2 shards / 1".to_owned(), (4, &[2, 3]), (10, &[8, 9])),
        ("2 echoes / 1".to_owned(), (10, &[8, 9]), (10, &[8, 9])),
        (format!("{devices} devices / {FEW}"), (6, &[5]), (0, &[0])),
        (format!("{clients} clients / 1"), (7, &[5]), (1, &[0])),
    ];
    println!("{:<26} {:>8} {:>24}", "", "ratio", "ratio above the echo");
    for (name, (of, to), (echo, echo_to)) in comparisons {
        let cost = |row: usize, round: usize| rows[row].rounds[round].cpu_us();
        let base = |of: &[usize], round: usize| {
            of.iter().map(|row| cost(*row, round)).sum::<f64>() / f64::from(u8::try_from(of.len()).expect("few"))
        };
        let rounds = 0..rows[of].rounds.len();
        let whole = median(rounds.clone().map(|round| cost(of, round) / base(to, round)).collect());
        print!("{name:<26} {whole:>8.2}");
        if of != echo {
            let own = |round| (cost(of, round) - cost(echo, round)) / (base(to, round) - base(echo_to, round));
            print!(" {:>24.2}", median(rounds.map(own).collect()));
        }
        println!();
    }
}

/// What one server did in all rounds.
struct Row {
    name: &'static str,
    server: SocketAddr,
    check: Check,
    rounds: Vec<Measured>,
}

impl Row {
    const fn new(name: &'static str, server: SocketAddr, check: Check) -> Self {
        Self { name, server, check, rounds: Vec::new() }
    }

    fn each(&self, of: fn(&Measured) -> f64) -> Vec<f64> {
        self.rounds.iter().map(of).collect()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// radmit as the daemon puts it together, without the parts that are asked nothing here.
struct Product {
    server: Server,
    running: Running,
}

impl Product {
    fn start(directory: &Arc<Directory>, clients: u32, shards: usize) -> Self {
        let server = Server::new(Arc::clone(directory), clients, shards);
        let auth_listen = vec![(Ipv4Addr::LOCALHOST, 0).into()];
        let segmentation = std::env::args().any(|argument| argument == "--pieces");
        let settings = Settings { auth_listen, acct_listen: Vec::new(), shards, segmentation, ..Settings::default() };
        let udp = Udp::bind(&settings).expect("loopback has free ports");
        let machines = (0..shards).map(|shard| Box::new(server.engine(shard, Box::new(NoLog))) as Box<_>).collect();
        let running = udp.run(machines).expect("there are as many machines as shards");
        Self { server, running }
    }

    fn address(&self) -> SocketAddr {
        self.running.listeners()[0].address
    }

    /// Nothing was answered from the store of replies, and nothing was asked.
    fn stop_and_check(self) {
        let sent: u64 = self.running.cells().iter().map(|cells| cells.sent.value()).sum();
        self.running.stop(clock::now().mono);
        assert_eq!(self.running.join(), 0, "no shard ended by a bug");
        assert_eq!(self.server.decided(), sent, "every answer was decided");
        assert_eq!(self.server.asked_and_lost(), (0, 0));
    }
}

fn fleet(devices: u64) -> Arc<Directory> {
    Arc::new(fleet::directory(devices, clock::now()))
}

// --- engines without sockets --------------------------------------------------------------------------------------------

/// Requests of one thread: more than an engine keeps replies for, so that none is a repeat.
const REQUESTS: usize = 32_768;

fn compare_engines(directory: &Arc<Directory>, rounds: usize, duration: Duration) {
    let server = Server::new(Arc::clone(directory), 1, 2);
    let mut engines = [0, 1].map(|shard| Alone::new(&server, shard));
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let alone: Vec<f64> = engines.iter_mut().map(|engine| engine.run(duration)).collect();
        let together: Vec<f64> = std::thread::scope(|scope| {
            let threads: Vec<_> = engines.iter_mut().map(|engine| scope.spawn(move || engine.run(duration))).collect();
            threads.into_iter().map(|thread| thread.join().expect("nobody panics")).collect()
        });
        ratios.push(together.iter().sum::<f64>() / alone.iter().sum::<f64>());
    }
    let handled: u64 = engines.iter().map(|engine| engine.out.0).sum();
    assert_eq!(server.decided(), handled, "every request was decided and accepted");
    println!("{:<26} {:>8.2}", "2 engines at once / 1", median(ratios));
}

/// One engine and its requests.
struct Alone {
    core: u32,
    engine: Engine,
    requests: Vec<Vec<u8>>,
    next: usize,
    out: Accepts,
}

impl Alone {
    fn new(server: &Server, shard: u8) -> Self {
        let (mut switch, mut chance, secret) =
            (nas::Switch::new(shard.into()), Chance::new(shard.into()), nas::secret());
        let requests = (0..REQUESTS).map(|number| {
            let identifier = u8::try_from(number % 256).expect("it is below 256");
            switch.mac_bypass(identifier, nas::mac(chance.below(FEW)), &secret).to_vec()
        });
        let engine = server.engine(shard.into(), Box::new(NoLog));
        Self { core: shard.into(), engine, requests: requests.collect(), next: 0, out: Accepts(0) }
    }

    /// Handles batches for so long. Returns the CPU time for one request, in microseconds.
    fn run(&mut self, duration: Duration) -> f64 {
        let _ = process::pin_own_thread(self.core);
        let (end, before, cpu) = (clock::now().mono.plus(duration), self.out.0, process::own_cpu_time());
        while clock::now().mono < end {
            self.turn();
        }
        let cpu = process::own_cpu_time().saturating_sub(cpu);
        let handled = u32::try_from(self.out.0 - before).expect("a round is short");
        cpu.as_secs_f64() * 1e6 / f64::from(handled)
    }

    fn turn(&mut self) {
        // Time passes, as it does between batches: else the store of replies would never let anything go.
        let now = clock::now();
        let mut arrivals = [const { None }; BATCH_DATAGRAMS];
        for (arrival, (place, octets)) in arrivals.iter_mut().zip((0u16..).zip(&self.requests[self.next..])) {
            let address = ([127, 0, 0, 1], 40_000 + place).into();
            let peer = Peer { address, route: Route { listener: 0, local: None, interface: 0 } };
            *arrival = Some(Arrival::from(Datagram { octets, peer, port: Port::Auth }));
        }
        self.next = (self.next + BATCH_DATAGRAMS) % REQUESTS;
        self.engine.begin(now);
        self.engine.look(&mut arrivals);
        arrivals.iter().flatten().for_each(|arrival| self.engine.handle(now, arrival, &mut self.out));
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

// --- cache misses ---------------------------------------------------------------------------------------------------------

/// Requests that are counted; before them as many more warm the caches up.
const CALLS: u64 = 64 * 320;
/// More devices than the caches hold. A million of them would take callgrind half an hour.
const MANY: u64 = 100_000;

/// Many clients where there are few devices.
const fn clients_of(stage: u64, clients: u32) -> u32 {
    if stage == FEW + 1 { clients } else { 1 }
}

fn count_misses() {
    println!("{:<26} {:>14} {:>12} {:>12}", "per request", "instructions", "L1 misses", "L2 misses");
    for (name, stage) in [("few devices, 1 client", FEW), ("100,000 devices", MANY), ("many clients", FEW + 1)] {
        let [instructions, first, last] = count(stage);
        println!("{name:<26} {instructions:>14.0} {first:>12.1} {last:>12.1}");
    }
}

/// Runs the engine in a process of its own under callgrind. Returns instructions, misses of the first level, and of a
/// second level of 1 MiB, for each request.
fn count(stage: u64) -> [f64; 3] {
    let program = std::env::current_exe().expect("a program knows its own path");
    let out = std::env::temp_dir().join(format!("radmit-callgrind-{}", std::process::id()));
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*::measured", "--quiet"])
        .args(["--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["--stage", &stage.to_string()])
        .output()
        .expect("valgrind is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = fs::read_to_string(&out).unwrap_or_default();
    let _ = fs::remove_file(&out);
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let (events, totals) = (line("events: "), line("totals: "));
    let total = |wanted: &[&str]| {
        let pairs = events.split_whitespace().zip(totals.split_whitespace());
        let sum: u64 =
            pairs.filter(|(event, _)| wanted.contains(event)).filter_map(|(_, n)| n.parse::<u64>().ok()).sum();
        f64::from(u32::try_from(sum).expect("there are not so many")) / f64::from(u32::try_from(CALLS).expect("few"))
    };
    [total(&["Ir"]), total(&["I1mr", "D1mr", "D1mw"]), total(&["ILmr", "DLmr", "DLmw"])]
}

/// What callgrind counts: it is switched on and off by the name of this function.
#[inline(never)]
fn measured(calls: u64, call: &mut dyn FnMut(u64)) {
    for number in 0..calls {
        call(number);
    }
}

fn engine_alone(stage: u64, clients: u32) {
    let now = clock::now();
    let (devices, secret) = (stage, nas::secret());
    let (mut switch, mut chance) = (nas::Switch::new(1), Chance::new(1));
    let requests: Vec<Vec<u8>> = (0..2 * CALLS)
        .map(|number| {
            let identifier = u8::try_from(number % 256).expect("it is below 256");
            switch.mac_bypass(identifier, nas::mac(chance.below(devices)), &secret).to_vec()
        })
        .collect();
    let server = Server::new(Arc::new(fleet::directory(devices, now)), clients + 1, 1);
    let mut engine = server.engine(0, Box::new(NoLog));
    let mut turn = |number: u64| {
        // As fast as one every 5 us.
        let now = now.advanced(Duration::from_micros(5 * number));
        let mut arrivals = [const { None }; BATCH_DATAGRAMS];
        for (arrival, number) in arrivals.iter_mut().zip(number..) {
            let place = usize::try_from(number).expect("there are few");
            let source = 1 + u32::try_from(number % u64::from(clients)).expect("there are few");
            let port = 40_000 + u16::try_from(number / 256).expect("there are few");
            let address = (server::address(source), port).into();
            let peer = Peer { address, route: Route { listener: 0, local: None, interface: 0 } };
            *arrival = Some(Arrival::from(Datagram { octets: &requests[place], peer, port: Port::Auth }));
        }
        engine.begin(now);
        engine.look(&mut arrivals);
        arrivals.iter().flatten().for_each(|arrival| engine.handle(now, arrival, &mut Nowhere));
        engine.expire(now, &mut Nowhere);
        engine.end(now, &mut Nowhere);
    };
    let batch = BATCH_DATAGRAMS as u64;
    (0..CALLS / batch).for_each(|number| turn(number * batch));
    measured(CALLS / batch, &mut |number| turn(CALLS + number * batch));
    assert_eq!(server.decided(), 2 * CALLS);
}

/// Sends nothing.
struct Nowhere;

impl Outbox for Nowhere {
    fn send(&mut self, _: &Peer, octets: &[u8]) {
        std::hint::black_box(octets);
    }
}

fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// The value behind this option, or its default. `cargo bench` adds options of its own, which are passed over.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1);
    value.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} {text}: that is no such number")))
}
