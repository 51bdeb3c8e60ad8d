//! Three times the handshakes that the server bears: how many are still completed, what becomes of the rest, and after.
//!
//! `cargo bench --bench overload_eap -- --rounds 3 --seconds 5 --times 3`
//!
//! Capacity is that of full EAP-TLS handshakes in a closed loop. Then so many times as many conversations are begun at a
//! steady rate, whatever the server does; beside them 200 MAC bypasses a second tell how it looks from outside, a second
//! before, during, and after. Who has begun should come to the end: the conversations that the server took on are held
//! against those that it completed. No request is repeated, so that one that is dropped ends its conversation; and each
//! conversation that was lost must be accounted for by what the server and the kernel counted.
//!
//! The server has core 0, and shares it with threads that do nothing: a generator with one core can hardly offer three times
//! of what a whole one bears, for the device's part of a handshake costs about as much as the server's. What it could not
//! begin in time is told, and does not count as offered. The system deals such a core out by threads, so that a server of
//! which two want it gets more than one of which one does: what was completed is told as a share of the capacity, and as what
//! it would be with the CPU time of the capacity. `--idlers 0` leaves the server its whole core, where the generator keeps up.

#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect has to fail")]
#![allow(dead_code, reason = "the suite's support has more than a bench needs")]

#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/idlers.rs"]
mod idlers;
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

use std::{net::SocketAddr, str::FromStr, sync::Arc, time::Duration};

use idlers::Idler;
use lab::{KNOWN, Lab, Lived};
use radmit::{
    bench::{self, Devices, Loss, Pace, Plan, Report, Verdict},
    metrics::engine::{DROP_REASONS, EapResult},
};

const SERVER: u32 = 0;
const GENERATOR: u32 = 1;
/// Of the requests that tell how the server looks from outside.
const PROBES_PER_SECOND: f64 = 200.0;
/// Seconds before and after the overload.
const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(3);
/// After this a packet counts as lost, and its conversation with it: what the most impatient clients wait before they
/// repeat themselves.
const PATIENCE: Duration = Duration::from_secs(2);
/// Devices that shake hands: so many that one hardly comes twice.
const DEVICES: u64 = 1_000_000;

fn main() {
    let rounds: usize = option("--rounds", 3);
    let load = Load {
        duration: Duration::from_secs(option("--seconds", 5)),
        times: option("--times", 3.0),
        window: option("--window", 32),
    };
    let idlers: usize = option("--idlers", 3);
    let lab = Lab::new(option("--tls", 13) == 13);
    // Started there, the server has as many threads for handshakes as it has cores: one.
    let placed = process::pin_own_thread(SERVER);
    let lived = lab.start(true);
    let idlers: Vec<Idler> = (0..idlers).map(|_| Idler::start(SERVER)).collect();
    let placed = placed && process::pin_own_thread(GENERATOR);
    let placed = placed && process::give_own_thread_priority();
    println!("{rounds} rounds, overload for {} s; threads have their cores: {placed}", load.duration.as_secs());
    for round in 0..rounds {
        overload(round, &lab, &lived, &load);
    }
    drop(idlers);
    assert_eq!(lived.server.asked_and_lost(), (0, 0));
}

/// What is done in a round.
struct Load {
    /// Of the measurement of the capacity, and of the overload.
    duration: Duration,
    /// What is offered, as a multiple of the capacity.
    times: f64,
    /// Handshakes at once while capacity is measured: enough to keep every thread busy.
    window: usize,
}

fn overload(round: usize, lab: &Lab, lived: &Lived, load: &Load) {
    let duration = load.duration;
    let address = lived.address();
    let handshakes = |pace, duration| handshakes(lab, address, pace, duration);
    let before = Counted::of(lived);
    let capacity = handshakes(Pace::Window(load.window), duration);
    assert_eq!(capacity.tally.lost.total(), 0, "a closed loop within the capacity loses nothing");
    let capacity = capacity.answered_per_second();
    let alone = Counted::of(lived).since(&before);
    let before = Counted::of(lived);
    let (probes, report) = std::thread::scope(|scope| {
        let probes = scope.spawn(|| probes(address, BEFORE + duration + AFTER));
        std::thread::park_timeout(BEFORE);
        let report = handshakes(Pace::Steady(capacity * load.times), duration);
        (probes.join().expect("nobody panics"), report)
    });
    let counted = Counted::of(lived).since(&before);
    let goodput = completed_while_offered(&report, duration) / capacity;
    println!(
        "\nround {round}: capacity {capacity:.0}/s, offered {:.2} times as many, completed {goodput:.2} of it; with the same \
         CPU time it would be {:.2}",
        per_second(report.tally.sent, duration) / capacity,
        alone.cpu_ms() / counted.cpu_ms()
    );
    tell(&report, &counted);
    let latency = report.tally.latency_of_all();
    let (p50, p99, longest) = (latency.percentile(0.5), latency.percentile(0.99), latency.max());
    println!(
        "  handshakes: p50 {p50:?}, p99 {p99:?}, longest {longest:?}; CPU of the server for each, and for all that it did \
         beside them, {:.3} ms, and {:.3} ms within the capacity",
        counted.cpu_ms(),
        alone.cpu_ms()
    );
    for row in &probes.rows {
        println!(
            "  MAC bypasses, second {}: {} answered, {} lost, p50 {:?}, p99 {:?}",
            row.second, row.answered, row.lost, row.p50, row.p99
        );
    }
    let again = handshakes(Pace::Window(load.window), Duration::from_secs(2));
    let (after, lost) = (again.answered_per_second() / capacity, again.tally.lost.total());
    println!("  afterwards: {after:.2} of the capacity, {lost} lost");
    for report in [&report, &probes, &again] {
        // Answers that come long after their conversations were given up are strays, and not wrong.
        assert_eq!(report.tally.disbelieved.total(), 0, "no answer was wrong");
        assert_eq!(report.tally.answers(Verdict::Accept), report.tally.answered(), "nobody was turned away");
    }
    let lost = report.tally.lost.of(Loss::NoAnswer) + probes.tally.lost.of(Loss::NoAnswer);
    // Late answers came after the patience and were not dropped.
    let explained = counted.dropped() + counted.by_kernel + report.tally.late + probes.tally.late;
    assert!(explained * 100 >= lost * 99, "{lost} were lost, and only {explained} of them were counted");
}

fn tell(report: &Report, counted: &Counted) {
    let lost = Loss::ALL.into_iter().map(|cause| (cause.label(), report.tally.lost.of(cause)));
    let list = |counts: &mut dyn Iterator<Item = (&str, u64)>| {
        let told: Vec<String> =
            counts.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
        if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
    };
    println!(
        "  generator: {} due, {} begun, lost {}",
        report.tally.due,
        report.tally.sent,
        list(&mut lost.into_iter())
    );
    let drops = DROP_REASONS.into_iter().zip(counted.drops);
    println!(
        "  server: {} conversations taken on, {} of them completed ({:.3}), {} half-way; dropped {}; {} by the kernel",
        counted.begun(),
        counted.finished,
        counted.finished as f64 / counted.begun().max(1) as f64,
        counted.open,
        list(&mut drops.into_iter()),
        counted.by_kernel,
    );
}

/// What the server and the kernel have counted.
struct Counted {
    /// Conversations that were answered to their end.
    finished: u64,
    /// Those that ended in another way, or have not ended.
    open: u64,
    drops: [u64; DROP_REASONS.len()],
    by_kernel: u64,
    cpu: Duration,
}

impl Counted {
    fn of(lived: &Lived) -> Self {
        let server = &lived.server;
        Self {
            finished: server.ended(EapResult::Accept) + server.ended(EapResult::Reject),
            open: server.ended(EapResult::Timeout) + server.dialogues.count() as u64,
            drops: server.drops(),
            by_kernel: lived.running().kernel_drops().total(),
            cpu: process::cpu_time(&["radmit-"]),
        }
    }

    fn since(&self, before: &Self) -> Self {
        let mut drops = self.drops;
        drops.iter_mut().zip(before.drops).for_each(|(count, before)| *count -= before);
        Self {
            finished: self.finished - before.finished,
            open: self.open - before.open,
            drops,
            by_kernel: self.by_kernel - before.by_kernel,
            cpu: self.cpu.saturating_sub(before.cpu),
        }
    }

    /// CPU time of the server for each conversation that ended.
    fn cpu_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.finished.max(1) as f64
    }

    fn begun(&self) -> u64 {
        self.finished + self.open
    }

    fn dropped(&self) -> u64 {
        self.drops.iter().sum()
    }
}

fn handshakes(lab: &Lab, server: SocketAddr, pace: Pace, duration: Duration) -> Report {
    let plan = Plan {
        pace,
        duration,
        timeout: PATIENCE,
        // So many that an Identifier rests long enough for late answers to be told from wrong ones.
        sockets: 128,
        devices: Devices::Counted { first: nas::mac(KNOWN), count: DEVICES },
        eap_tls: Some(Arc::from([lab.supplicant.clone()])),
        ..Plan::new(server, Arc::new(nas::secret()))
    };
    bench::run(&plan, &mut |_| {}).expect("the plan can be carried out")
}

fn probes(server: SocketAddr, duration: Duration) -> Report {
    let plan = Plan {
        pace: Pace::Steady(PROBES_PER_SECOND),
        duration,
        timeout: PATIENCE,
        devices: Devices::Counted { first: nas::mac(0), count: KNOWN },
        ..Plan::new(server, Arc::new(nas::secret()))
    };
    bench::run(&plan, &mut |_| {}).expect("the plan can be carried out")
}

/// Handshakes a second in the seconds in which some were offered; those that end after it are not counted.
fn completed_while_offered(report: &Report, duration: Duration) -> f64 {
    let rows = report.rows.iter().filter(|row| row.second < duration.as_secs());
    per_second(rows.map(|row| row.answered).sum(), duration)
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
fn per_second(count: u64, duration: Duration) -> f64 {
    count as f64 / duration.as_secs_f64()
}

/// The value behind this option, or its default. `cargo bench` adds options of its own, which are passed over.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1);
    value.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} {text}: that is no such number")))
}
