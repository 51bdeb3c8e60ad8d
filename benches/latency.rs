//! How long fresh answers take at half of what the server bears: by itself, and with everything at once behind it.
//!
//! `cargo bench --bench latency -- --rounds 5 --seconds 4`
//!
//! Capacity is measured first, in a closed loop. At half of it each round measures twice: `quiet`, and `busy`, in which lists
//! of 100,000 devices come in one after the other, the configuration is put together anew every second, and 1,000 requests
//! for devices that nobody knows are parked until their deadline of 3 s. Latency begins when a request was due.
//!
//! `echo` is the yardstick of what the machine and the generator do: a server that sends each datagram back, at the same rate,
//! by the same core, right before. What its percentiles have, no server can be without here.
//!
//! What a latency is made of stands beside it: `late` is how long after its time a request was sent (p99), which no server can
//! help; `served` is from then to the answer (p99). `waits` is the part of the time, in thousandths, in which the server's
//! thread was ready and another one of this machine had its core; `gen.` is the same of the generators (in `busy` there are two).
//!
//! `> 1 ms` is how many of a thousand took longer. Where a machine stands still for about a hundredth of the time, p99 is short
//! or long by chance, and so is a ratio of two; this isn't, and neither is p95.
//!
//! Who has which core, and why, is as in `sync`: core 0 has radmit with all that works behind the shard; core 1 has the
//! simulated cloud at the lowest priority, and the generator at the highest. Both cores are kept awake.
//!
//! `--urgent` lets the generator run before all threads that aren't real-time: what it waits for its core is no time of the
//! server's, and a rate that leaves it time to spare is not disturbed by that.
//!
//! A machine whose own threads take a core away for milliseconds, a hundredth of the time, can't show a p99. `--real-time`
//! makes it a quieter one: the shard and the generator come before all threads that aren't real-time, other programs' and
//! radmit's own. That says something of `quiet` only; in `busy` it hides what is to be seen. `--rate` gives the rate, since
//! a generator that needs all of its core is taken off it by the system then.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/cloud.rs"]
mod cloud;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use cloud::Cloud;
use radmit::{
    audit::log::NoLog,
    bench::{self, Answers, Devices, Histogram, Pace, Plan, Report, Row},
    clock,
    device::{
        directory::{Capacity, Directory},
        identifier::MacAddress,
        question::Medium,
    },
    metrics::mdm::ServerCells,
    udp::{Settings, Udp, echo::Echo},
};
use server::Server;

const OURS: u32 = 0;
const OTHERS: u32 = 1;
/// The name of the server's only shard, or its beginning.
const SHARD: &str = "radmit-shard";
/// Requests that wait for their deadline at any moment, and that deadline.
const PARKED: f64 = 1_000.0;
const DEADLINE: Duration = Duration::from_secs(3);
/// The aim for p99.
const SLOW: Duration = Duration::from_millis(1);
/// How long the first list may take.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    let devices: u64 = option("--devices", 100_000);
    let rounds: usize = option("--rounds", 5);
    let duration = Duration::from_secs(option("--seconds", 4));
    let cloud = Cloud::start(devices, "1");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let directory = Arc::new(Directory::new(Capacity::default()));
    let metrics = Arc::<ServerCells>::default();
    let sync = |every: Duration| cloud::start(&cloud, &directory, &metrics, every, runtime.handle());
    let first = sync(Duration::from_secs(4 * 3600));
    let deadline = clock::now().mono.plus(PATIENCE);
    while !directory.is_complete(Some(Medium::Wireless)) {
        assert!(clock::now().mono < deadline, "the first list did not come");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    runtime.block_on(first.shutdown(Duration::from_secs(1)));
    let mut macs = Vec::new();
    directory.for_each(|record| macs.extend(record.wifi_mac));
    let known = Devices::Listed(macs.into());

    let server = Server::new(Arc::clone(&directory), 1, 1);
    server.park_strangers();
    let auth_listen = vec![(Ipv4Addr::LOCALHOST, 0).into()];
    let settings = Settings { auth_listen, acct_listen: Vec::new(), shards: 1, ..Settings::default() };
    let udp = Udp::bind(&settings).expect("loopback has free ports");
    let running = udp.run(vec![Box::new(server.engine(0, Box::new(NoLog)))]).expect("there is one machine");
    let address = running.listeners()[0].address;
    let echo = Echo::start_with((Ipv4Addr::LOCALHOST, 0).into(), 1, true).expect("loopback has free ports");
    let awake = process::Awake::keep();
    let placed = process::pin_to_core("radmit-", OURS) && process::pin_to_core("tokio", OURS);
    let placed = placed && process::pin_own_thread(OTHERS);
    let capacity = capacity(address, &known, duration);
    let (is_real_time, urgent) = order();
    println!("{} devices, {rounds} rounds of {duration:?}, capacity {capacity:.0} a second", directory.len());
    println!(
        "threads have their cores: {placed}; generator first: {urgent}; real-time: {is_real_time}; awake: {}",
        awake.is_some()
    );
    println!(
        "{:<6} {:>9} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>6}",
        "", "answered", "lost", "lists", "p50", "p95", "p99", "p99.9", "> 1 ms", "late", "served", "waits", "gen."
    );
    let half = Pace::Steady(option("--rate", capacity / 2.0));
    load(address, &known, half, Duration::from_secs(1), &mut |_| {});
    let (mut ratios, mut of_most, mut to_echo) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let echoed = Plan { answers: Answers::Echoed, ..plan(echo.address(), &known, half, duration) };
        let (echoed, waits) =
            Waits::during("radmit-echo", |each| bench::run(&echoed, each).expect("the plan can be carried out"));
        print("echo", &echoed, &waits, 0);
        let (quiet, waits) = Waits::during(SHARD, |each| load(address, &known, half, duration, each));
        print("quiet", &quiet, &waits, 0);
        let before = metrics.syncs_completed.value();
        let worker = sync(Duration::from_millis(1));
        // It was started by who measures, on whose core it would be.
        let placed = process::pin_to_core(cloud::LISTS, OURS);
        assert!(placed, "the thread for lists has its core");
        let ((busy, waits), parked) =
            beside(&server, address, || Waits::during(SHARD, |each| load(address, &known, half, duration, each)));
        runtime.block_on(worker.shutdown(Duration::from_secs(1)));
        print("busy", &busy, &waits, metrics.syncs_completed.value() - before);
        assert!(echoed.is_sound() && quiet.is_sound() && busy.is_sound() && parked.is_sound(), "no answer was wrong");
        let at = |report: &Report, share| report.tally.latency_of_all().percentile(share).as_secs_f64();
        ratios.push(at(&busy, 0.99) / at(&quiet, 0.99));
        of_most.push(at(&busy, 0.95) / at(&quiet, 0.95));
        to_echo.push(at(&quiet, 0.99) / at(&echoed, 0.99));
    }
    tell("p99 busy / p99 quiet", &mut ratios);
    tell("p95 busy / p95 quiet", &mut of_most);
    tell("p99 quiet / p99 echo", &mut to_echo);
    running.stop(clock::now().mono.plus(DEADLINE));
    assert_eq!(running.join(), 0, "no shard ended by a bug");
}

/// Who comes first: whether the servers come before all other threads, and whether the order could be made.
fn order() -> (bool, bool) {
    let is_given = |option: &str| std::env::args().any(|argument| argument == option);
    let is_real_time = is_given("--real-time");
    let done = if is_real_time || is_given("--urgent") {
        let servers = [SHARD, "radmit-echo"];
        process::make_own_thread_real_time() && (!is_real_time || servers.into_iter().all(process::make_real_time))
    } else {
        process::give_own_thread_priority()
    };
    (is_real_time, done)
}

fn tell(name: &str, ratios: &mut [f64]) {
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
    println!("{name}: median {median:.2}, {ratios:.2?}");
}

/// Measures while requests are parked and the configuration is put together anew.
fn beside<T>(server: &Server, address: SocketAddr, measure: impl FnOnce() -> T) -> (T, Report) {
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let parking = scope.spawn(|| {
            let _ = process::make_own_thread_usual();
            let strangers = Devices::Counted { first: MacAddress::new([0x5c, 0, 0, 0, 0, 0]), count: 1_000_000 };
            let pace = Pace::Steady(PARKED / DEADLINE.as_secs_f64());
            let plan = Plan { timeout: DEADLINE * 2, sockets: 64, ..plan(address, &strangers, pace, DEADLINE * 3) };
            bench::run(&Plan { stop: Arc::default(), ..plan }, &mut |_| {}).expect("the plan can be carried out")
        });
        scope.spawn(|| {
            let _ = process::make_own_thread_usual() && process::pin_own_thread(OURS);
            while !ends.load(Relaxed) {
                server.reload();
                std::thread::park_timeout(Duration::from_secs(1));
            }
        });
        // Until as many are parked as will be.
        std::thread::park_timeout(DEADLINE);
        let report = measure();
        ends.store(true, Relaxed);
        (report, parking.join().expect("nobody panics"))
    })
}

/// By as many source ports as there are at half of it: replies to few ports leave together, and cost the server less.
fn capacity(address: SocketAddr, devices: &Devices, duration: Duration) -> f64 {
    let window = Pace::Window(512);
    let by_few = load(address, devices, window, duration, &mut |_| {}).answered_per_second();
    let sockets = plan(address, devices, Pace::Steady(by_few / 2.0), duration).sockets;
    let spread = Plan { sockets, ..plan(address, devices, window, duration) };
    bench::run(&spread, &mut |_| {}).expect("the plan can be carried out").answered_per_second()
}

fn load(address: SocketAddr, devices: &Devices, pace: Pace, duration: Duration, each: &mut dyn FnMut(&Row)) -> Report {
    bench::run(&plan(address, devices, pace, duration), each).expect("the plan can be carried out")
}

fn plan(address: SocketAddr, devices: &Devices, pace: Pace, duration: Duration) -> Plan {
    let timeout = Duration::from_secs(1);
    Plan {
        pace,
        duration,
        timeout,
        sockets: Plan::sockets_for(pace, timeout, 0),
        devices: devices.clone(),
        answers: Answers::Signed,
        is_stamped: true,
        ..Plan::new(address, Arc::new(nas::secret()))
    }
}

/// How long the server's thread and the generator waited for their cores, in thousandths of the time.
struct Waits {
    server: f64,
    generator: f64,
}

impl Waits {
    /// Measures, and hands on what is to be called every second. Only one server's thread may have this name prefix.
    fn during(server: &str, measure: impl FnOnce(&mut dyn FnMut(&Row)) -> Report) -> (Report, Self) {
        let (before, began) = (process::waited(server), clock::now().mono);
        let mut waits = Self { server: 0.0, generator: 0.0 };
        let report = measure(&mut |_| {
            let took = clock::now().mono.since(began).as_secs_f64();
            let part = |waited: Duration| waited.as_secs_f64() / took * 1000.0;
            waits.server = part(process::waited(server).saturating_sub(before));
            // Gone after the last second.
            let generator = process::waited("bench-");
            if !generator.is_zero() {
                waits.generator = part(generator);
            }
        });
        (report, waits)
    }
}

fn print(name: &str, report: &Report, waits: &Waits, lists: u64) {
    let tally = &report.tally;
    let all = tally.latency_of_all();
    let [p50, p95, p99, p999] = [0.5, 0.95, 0.99, 0.999].map(|share| all.percentile(share).as_micros());
    let (answered, lost, slow) = (tally.answered(), tally.lost.total(), thousandths_above(&all, SLOW));
    let [late, served] = [&tally.lateness, &tally.service].map(|of| of.percentile(0.99).as_micros());
    let Waits { server, generator } = waits;
    println!(
        "{name:<6} {answered:>9} {lost:>6} {lists:>8} {p50:>8} {p95:>8} {p99:>8} {p999:>8} {slow:>8.2} {late:>8} {served:>8} \
         {server:>6.1} {generator:>6.1}"
    );
}

/// How many of a thousand took longer than `limit`.
fn thousandths_above(latencies: &Histogram, limit: Duration) -> f64 {
    let (mut below, mut above) = (0.0, 1.0);
    for _ in 0..20 {
        let middle = f64::midpoint(below, above);
        if latencies.percentile(middle) > limit { above = middle } else { below = middle }
    }
    (1.0 - above) * 1000.0
}

/// The value behind this option, or its default. `cargo bench` adds options of its own, which are passed over.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1);
    value.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} {text}: that is no such number")))
}
