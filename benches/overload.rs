//! Three times the load that the server bears: how much of it is still answered, what becomes of the rest, and after.
//!
//! `cargo bench --bench overload -- --rounds 3 --seconds 3 --times 3`
//!
//! Capacity is measured in a closed loop, with a window that keeps batches full: before and after the overload, for what a
//! machine bears that others share changes within seconds. In the overload requests come at a steady rate of so many times
//! the first, whatever the server answers; beside them 200 a second tell how the server looks from outside, a second
//! before, during, and after. Each lost request must be accounted for by what the server and the kernel counted.
//!
//! Replies to one port leave together where they can, as radmit sends by itself; with `--alone` each leaves alone. `--buffer` is the
//! receive buffer that is asked for, in octets.
//!
//! In some runs the system gives the server another part of its core in the closed loop than under overload. Such rounds say
//! nothing about the server; they are told and not counted.
//!
//! The server has core 0, and shares it with threads that do nothing: the generator has one core, and could not offer three
//! times of what a whole one bears. What it could not send is told, and does not count as offered.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/idlers.rs"]
mod idlers;
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

use idlers::Idler;
use radmit::{
    audit::log::NoLog,
    bench::{self, Answers, Devices, Loss, Pace, Plan, Report},
    clock,
    radius::{kind, packet::Packet},
    udp::{Settings, Udp},
};
use server::Server;

const DEVICES: u64 = 100_000;
const SERVER: u32 = 0;
const GENERATOR: u32 = 1;
/// Of the requests that tell how the server looks from outside.
const PROBES_PER_SECOND: f64 = 200.0;
/// Seconds before and after the overload.
const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(2);
/// After this a request counts as lost: less than a switch waits, and short enough that a port has free Identifiers.
const PATIENCE: Duration = Duration::from_millis(250);

fn main() {
    let rounds: usize = option("--rounds", 3);
    let seconds: u64 = option("--seconds", 3);
    let times: f64 = option("--times", 3.0);
    let duration = Duration::from_secs(seconds);
    let server = Server::new(Arc::new(fleet::directory(DEVICES, clock::now())), 1, 1);
    let udp = Udp::bind(&settings()).expect("loopback has free ports");
    println!("receive buffer: {} KiB", udp.receive_octets() / 1024);
    let running = udp.run(vec![Box::new(server.engine(0, Box::new(NoLog)))]).expect("there is one machine");
    let address = running.listeners()[0].address;
    let placed = process::pin_to_core("radmit-", SERVER);
    let idlers: Vec<Idler> = (0..option("--idlers", 3)).map(|_| Idler::start(SERVER)).collect();
    let placed = placed && process::pin_own_thread(GENERATOR);
    let placed = placed && process::give_own_thread_priority();
    println!("{rounds} rounds, overload for {seconds} s; threads have their cores: {placed}");
    println!(
        "{:<6} {:>10} {:>8} {:>9} {:>8} {:>10} {:>10} {:>10} {:>10} {:>12}",
        "round", "capacity", "offered", "goodput", "of it", "lost", "by kernel", "by radmit", "unsent", "recovered"
    );
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let (capacity_before, cost_before) = capacity(address, times, duration);
        let drops = || (running.kernel_drops().total(), server.dropped());
        let before = drops();
        let (probes, (report, cost_then)) = std::thread::scope(|scope| {
            let probes = scope.spawn(|| load(address, Pace::Steady(PROBES_PER_SECOND), BEFORE + duration + AFTER));
            std::thread::park_timeout(BEFORE);
            let pace = Pace::Steady(capacity_before * times);
            let report = with_cost(|| load(address, pace, duration));
            (probes.join().expect("nobody panics"), report)
        });
        let after = drops();
        // What a machine bears that others share changes within seconds, so it is measured on both sides.
        let (capacity_after, cost_after) = capacity(address, times, duration);
        let (capacity, cost) = ((capacity_before + capacity_after) / 2.0, (cost_before + cost_after) / 2.0);
        let tally = &report.tally;
        let unsent = [Loss::GeneratorLate, Loss::NoIdentifier, Loss::SendFailed].map(|cause| tally.lost.of(cause));
        let lost = tally.lost.of(Loss::NoAnswer);
        let goodput = report.answered_per_second();
        let (by_kernel, by_radmit) = (after.0 - before.0, after.1 - before.1);
        // The second in which the overload ended, and the first whole one after it.
        let first_after = usize::try_from((BEFORE + duration).as_secs()).expect("it is short") + 1;
        // What is given up then was sent before, unless more is lost than the overload left behind.
        let recovered =
            probes.rows.get(first_after).is_some_and(|row| row.p99 < PATIENCE / 25 && row.lost * 50 < row.sent);
        println!(
            "{round:<6} {capacity:>10.0} {:>8.2} {goodput:>9.0} {:>8.2} {lost:>10} {by_kernel:>10} {by_radmit:>10} \
             {:>10} {recovered:>12}",
            report.sent_per_second() / capacity,
            goodput / capacity,
            unsent.iter().sum::<u64>(),
        );
        println!("       capacity {capacity_before:.0} a second before, {capacity_after:.0} after");
        if is_comparable((capacity, cost), (goodput, cost_then)) {
            ratios.push(goodput / capacity);
        }
        tell_seconds(&probes);
        // Answers that come long after their requests were given up are strays, and not wrong.
        let wrong = tally.disbelieved.total() + probes.tally.disbelieved.total();
        assert_eq!(wrong, 0, "no answer was wrong");
        // Late answers came after the patience and were not dropped; the probes lose some too.
        let explained = by_kernel + by_radmit + tally.late;
        assert!(explained * 100 >= lost * 99, "{lost} requests were lost, and only {explained} of them were counted");
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
    println!("goodput: median {median:.2} of the capacity in {} rounds", ratios.len());
    drop(idlers);
    running.stop(clock::now().mono);
    assert_eq!(running.join(), 0, "no shard ended by a bug");
    assert_eq!(server.asked_and_lost(), (0, 0));
}

fn settings() -> Settings {
    Settings {
        auth_listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        acct_listen: Vec::new(),
        shards: 1,
        segmentation: !std::env::args().any(|argument| argument == "--alone"),
        receive_octets: option("--buffer", Settings::default().receive_octets),
    }
}

/// Tells what each answer cost, and whether the server had as much of its core under overload as at the capacity. Both: the
/// answers of a second, and the CPU time of each in microseconds.
fn is_comparable((capacity, cost): (f64, f64), (goodput, cost_then): (f64, f64)) -> bool {
    let (share, share_then) = (capacity * cost / 1e6, goodput * cost_then / 1e6);
    println!("       CPU per answer: {cost:.2} us at the capacity, {cost_then:.2} us under overload");
    println!("       of its core the server had {share:.2} at the capacity, {share_then:.2} under overload");
    let is_comparable = (0.8..1.25).contains(&(share_then / share));
    if !is_comparable {
        println!("       not counted: that is too different");
    }
    is_comparable
}

/// How each second looked from outside.
fn tell_seconds(probes: &Report) {
    for row in &probes.rows {
        println!(
            "       second {}: {} answered, {} lost, p50 {:?}, p99 {:?}",
            row.second, row.answered, row.lost, row.p50, row.p99
        );
    }
}

/// What the server bears from as many source ports as the overload will have: replies to few ports leave together, and
/// cost it less. And the CPU time that it takes for each, in microseconds.
fn capacity(address: SocketAddr, times: f64, duration: Duration) -> (f64, f64) {
    let window = Pace::Window(1_024);
    let by_few = load(address, window, duration).answered_per_second();
    let sockets = sockets_for(Pace::Steady(by_few * times));
    let (report, cost) = with_cost(|| load_from(address, sockets, window, duration));
    (report.answered_per_second(), cost)
}

/// The server's CPU time for each answer, in microseconds.
fn with_cost(load: impl FnOnce() -> Report) -> (Report, f64) {
    let before = process::cpu_time(&["radmit-"]);
    let report = load();
    let spent = process::cpu_time(&["radmit-"]).saturating_sub(before);
    let answers = u32::try_from(report.tally.answered()).expect("a round is shorter than an hour");
    (report, spent.as_secs_f64() * 1e6 / f64::from(answers.max(1)))
}

fn load(address: SocketAddr, pace: Pace, duration: Duration) -> Report {
    load_from(address, sockets_for(pace), pace, duration)
}

/// A quarter more than their Identifiers suffice for: one that comes round again is free then, so that those of a port go on to
/// ascend, as a NAS counts them, and what it asks in a row stays together.
fn sockets_for(pace: Pace) -> usize {
    Plan::sockets_for(pace, PATIENCE, 0) * 5 / 4
}

fn load_from(address: SocketAddr, sockets: usize, pace: Pace, duration: Duration) -> Report {
    let plan = Plan {
        pace,
        duration,
        timeout: PATIENCE,
        sockets,
        devices: Devices::Counted { first: nas::mac(0), count: DEVICES },
        answers: Answers::Checked(is_accepted),
        ..Plan::new(address, Arc::new(nas::secret()))
    };
    bench::run(&plan, &mut |_| {}).expect("the plan can be carried out")
}

/// Into VLAN 20.
fn is_accepted(reply: &Packet<'_>) -> bool {
    reply.first(kind::TUNNEL_PRIVATE_GROUP_ID) == Some(b"20")
}

/// The value behind this option, or its default. `cargo bench` adds options of its own, which are passed over.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1);
    value.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} {text}: that is no such number")))
}
