//! Requests over loopback: the CPU time that a server needs for one, as a ratio to a bare echo in the same run.
//!
//! `cargo bench --bench udp_loopback -- --rounds 5 --seconds 2 --window 512 --shards 1`
//!
//! Servers take turns within every round, so that a neighbour on the machine slows all of them alike. The load is made
//! by one thread that always has a window of requests in flight, each with an authenticator and a device of its own and
//! signed beforehand; every answer is verified after its round. What was lost or wrong ends the bench.

#[path = "support/load.rs"]
mod load;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/process.rs"]
mod process;

use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use load::{Generator, Measured};
use radmit::{
    clock::{self, Mono, Now},
    device::question::Answer,
    engine::action::{Datagram, Machine, Outbox},
    radius::{reply::ReplyBuffer, secret::Secret},
    udp::{Running, Settings, Udp, echo::Echo},
};

fn main() {
    let rounds: usize = option("--rounds", 5);
    let seconds: f64 = option("--seconds", 2.0);
    let shards: usize = option("--shards", 1);
    let duration = Duration::from_secs_f64(seconds);
    let mut generator = Generator::new(option("--window", 512)).expect("loopback has free ports");
    let echo = Echo::start(free_port(), shards).expect("loopback has free ports");
    let codec = serve(shards, || Box::new(CodecOnly { secret: nas::secret(), reply: ReplyBuffer::new() }));
    let pinned = shards == 1 && process::pin_to_core("radmit-", 0) && process::pin_to_core("udp_loopback", 1);
    println!("{rounds} rounds of {seconds} s, window {}, {shards} shards, pinned: {pinned}", generator.window());

    let mut rows = [Row::new("bare echo", "radmit-echo"), Row::new("codec only", "radmit-shard")];
    for _ in 0..rounds {
        rows[0].rounds.push(generator.run(echo.address(), "radmit-echo", duration, load::is_echoed));
        rows[1].rounds.push(generator.run(address(&codec), "radmit-shard", duration, load::is_accepted));
    }
    print_table(&rows);
    codec.stop(clock::now().mono);
    assert_eq!(codec.join(), 0, "no shard ended by a bug");
}

/// What one server did in all rounds.
struct Row {
    name: &'static str,
    rounds: Vec<Measured>,
}

impl Row {
    const fn new(name: &'static str, _threads: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
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

fn serve(shards: usize, machine: impl Fn() -> Box<dyn Machine + Send>) -> Running {
    let settings = Settings { auth_listen: vec![free_port()], acct_listen: Vec::new(), shards, ..Settings::default() };
    let udp = Udp::bind(&settings).expect("loopback has free ports");
    let machines = (0..udp.shards()).map(|_| machine()).collect();
    udp.run(machines).expect("there are as many machines as shards")
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

    fn handle(&mut self, _: Now, datagram: Datagram<'_>, out: &mut dyn Outbox) {
        if let Some(octets) = nas::answer(datagram.octets, &self.secret, &mut self.reply) {
            out.send(&datagram.peer, octets);
        }
    }

    fn resume(&mut self, _: Now, _: &Answer, _: &mut dyn Outbox) {}

    fn expire(&mut self, _: Now, _: &mut dyn Outbox) {}

    fn end(&mut self, _: Now) {}

    fn wake_at(&self) -> Mono {
        Mono::NEVER
    }

    fn drain(&mut self) {}

    fn waiting(&self) -> usize {
        0
    }
}
