//! Instructions per call of every stage, counted by callgrind, held against `budgets.toml`.
//!
//! `cargo bench --bench instructions` fails if a stage needs more than its budget; `-- --update` writes what was counted
//! as the new budgets. Unlike time, instructions are the same on a busy machine. Without valgrind nothing is
//! counted.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/phases.rs"]
mod phases;
#[path = "support/server.rs"]
mod server;

use std::{
    fs,
    hint::black_box,
    ops::Range,
    path::Path,
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

use radmit::{
    audit::{
        log::{Log, NoLog},
        settings::Destination,
    },
    clock,
    device::{directory::Ages, question::Key},
    engine::{
        action::{Datagram, Outbox, Peer, Port, Route},
        arrival::Arrival,
        chance::Chance,
        event::EventSink,
        machine::Machine as _,
    },
    limits::BATCH_DATAGRAMS,
    radius::{authenticator::check_request_signature, packet::Packet, reply::ReplyBuffer},
};
use server::Server;

/// A stage: its name in `budgets.toml`, and what runs it so many times.
type Stage = (&'static str, fn(u64));

const STAGES: [Stage; 15] = [
    ("codec-parse", codec_parse),
    ("codec-verify", codec_verify),
    ("codec-write-and-sign", codec_write_and_sign),
    ("codec-whole", codec_whole),
    ("directory-judge-mac", directory_judge_mac),
    ("directory-judge-stranger", directory_judge_stranger),
    ("stage-admit", phases::admit_all),
    ("stage-authenticate", phases::authenticate_all),
    ("stage-lookup", phases::look_up_all),
    ("stage-decide", phases::decide_all),
    ("stage-reply", phases::reply_to_all),
    ("engine-mac-bypass-alone", engine_mac_bypass_alone),
    ("engine-mac-bypass", engine_mac_bypass),
    ("engine-mac-bypass-logged", engine_mac_bypass_logged),
    ("engine-accounting-logged", engine_accounting_logged),
];

/// How often a stage is run while it is counted: full batches, and enough of them that a growing table doesn't show.
const CALLS: u64 = 16 * BATCH_DATAGRAMS as u64;
/// A stage may need so much more than its budget, in percent: hash tables are seeded anew in every process.
const TOLERANCE_PERCENT: u64 = 3;
/// And so many instructions: one probe more in a table is much to a short stage.
const TOLERANCE: u64 = 40;
const BUDGETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/budgets.toml");

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--stage");
    if let Some(wanted) = arguments.nth(1) {
        let stage = STAGES.iter().find(|(name, _)| *name == wanted).expect("the parent knows the stages");
        (stage.1)(CALLS);
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("NOT COUNTED: valgrind is not installed (Debian: apt-get install valgrind)");
        return ExitCode::SUCCESS;
    }
    if !is_counted_here() {
        println!("NOT COUNTED: the budgets are for x86-64 with AVX2");
        return ExitCode::SUCCESS;
    }
    let counted: Vec<(&str, u64)> = STAGES.iter().map(|(name, _)| (*name, count(name))).collect();
    if std::env::args().any(|argument| argument == "--update") {
        write_budgets(&counted);
    }
    compare(&counted)
}

/// Other machines have other instructions. (AVX-512 is never counted: valgrind doesn't show it to the program.)
fn is_counted_here() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Runs one stage in a process of its own under callgrind. Returns instructions per call.
fn count(stage: &str) -> u64 {
    let program = std::env::current_exe().expect("a program knows its own path");
    let out = std::env::temp_dir().join(format!("radmit-callgrind-{}-{stage}", std::process::id()));
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*::measured", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["--stage", stage])
        .output()
        .expect("valgrind was there a moment ago");
    assert!(done.status.success(), "{stage}: {}", String::from_utf8_lossy(&done.stderr));
    let text = fs::read_to_string(&out).unwrap_or_default();
    // A file that can't be removed stays in the folder for temporary files.
    let _ = fs::remove_file(&out);
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let totals: u64 = totals.and_then(|totals| totals.trim().parse().ok()).expect("callgrind writes totals");
    assert!(totals > 0, "{stage}: nothing was counted; is the program stripped of its symbols?");
    totals / CALLS
}

fn write_budgets(counted: &[(&str, u64)]) {
    let mut text = String::from(
        "# Instructions per call of each stage; see benches/README.md. Written by:\n\
         # cargo bench --bench instructions -- --update\n\n",
    );
    for (stage, instructions) in counted {
        text.push_str(&format!("{stage} = {instructions}\n"));
    }
    fs::write(BUDGETS, text).expect("the repository can be written");
}

fn compare(counted: &[(&str, u64)]) -> ExitCode {
    let text = fs::read_to_string(Path::new(BUDGETS)).unwrap_or_default();
    let budget_of = |stage: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(stage)?.trim_start().strip_prefix('='));
        line.and_then(|number| number.trim().parse::<u64>().ok())
    };
    println!("{:<24} {:>12} {:>12}", "stage", "instructions", "budget");
    let mut is_kept = true;
    for (stage, instructions) in counted {
        let budget = budget_of(stage).unwrap_or(0);
        let is_over = *instructions * 100 > (budget + TOLERANCE) * (100 + TOLERANCE_PERCENT);
        is_kept &= !is_over;
        let verdict = if is_over { "OVER" } else { "" };
        println!("{stage:<24} {instructions:>12} {budget:>12} {verdict}");
    }
    if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What callgrind counts: it is switched on and off by the name of this function.
#[inline(never)]
pub(crate) fn measured(calls: u64, call: &mut dyn FnMut(u64)) {
    for number in 0..calls {
        call(number);
    }
}

fn request() -> Vec<u8> {
    nas::Switch::new(1).mac_bypass(7, nas::mac(1), &nas::secret()).to_vec()
}

fn codec_parse(calls: u64) {
    let request = request();
    measured(calls, &mut |_| assert!(Packet::parse(black_box(&request)).is_ok()));
}

fn codec_verify(calls: u64) {
    let (request, secret) = (request(), nas::secret());
    let packet = Packet::parse(&request).expect("it was just written");
    measured(calls, &mut |_| {
        black_box(check_request_signature(black_box(&packet), &secret));
    });
}

fn codec_write_and_sign(calls: u64) {
    let (secret, mut reply) = (nas::secret(), ReplyBuffer::new());
    measured(calls, &mut |_| {
        nas::write_accept(&mut reply, 7).expect("it fits");
        black_box(reply.sign(black_box(&[7; 16]), &secret));
    });
}

fn codec_whole(calls: u64) {
    let (request, secret, mut reply) = (request(), nas::secret(), ReplyBuffer::new());
    measured(calls, &mut |_| assert!(nas::answer(black_box(&request), &secret, &mut reply).is_some()));
}

fn directory_judge_mac(calls: u64) {
    let (now, ages, mut chance) = (clock::now(), Ages::default(), Chance::new(1));
    let directory = fleet::directory(1_000, now);
    measured(calls, &mut |_| {
        let key = Key::Mac(nas::mac(chance.below(1_000)));
        black_box(directory.judge(now, &key, None, &ages));
    });
}

/// A MAC that no device of the fleet has: printers and whatever else nobody manages.
fn directory_judge_stranger(calls: u64) {
    let (now, ages) = (clock::now(), Ages::default());
    let directory = fleet::directory(1_000, now);
    let mut number = 1_000;
    measured(calls, &mut |_| {
        number += 1;
        black_box(directory.judge(now, &Key::Mac(nas::mac(number)), None, &ages));
    });
}

/// A request that comes alone, as on a quiet network.
fn engine_mac_bypass_alone(calls: u64) {
    mac_bypass(calls, 1, Box::new(NoLog));
}

/// A request of a full batch, as on a busy network.
fn engine_mac_bypass(calls: u64) {
    mac_bypass(calls, BATCH_DATAGRAMS, Box::new(NoLog));
}

/// With the line of the decision log, until it is handed to the writer.
fn engine_mac_bypass_logged(calls: u64) {
    logged(|events| mac_bypass(calls, BATCH_DATAGRAMS, events));
}

/// An accounting record that comes alone, with its line.
fn engine_accounting_logged(calls: u64) {
    let (secret, mut switch) = (nas::secret(), nas::Switch::new(1));
    let request = |number: u64| switch.accounting(identifier(number), number, &secret).to_vec();
    let requests: Vec<Vec<u8>> = (0..2 * calls).map(request).collect();
    let server = Server::new(Arc::new(fleet::directory(1, clock::now())), 1, 1);
    logged(|events| handle_all(&server, &requests, Port::Acct, 1, events));
    assert_eq!(server.asked_and_lost(), (0, 0));
}

fn logged(work: impl FnOnce(Box<dyn EventSink>)) {
    let nowhere = Destination::File("/dev/null".into());
    let (log, mut ends) = Log::start(&nowhere, 1, Arc::default()).expect("it can always be written");
    work(ends.remove(0));
    drop(log);
}

fn mac_bypass(calls: u64, batch: usize, events: Box<dyn EventSink>) {
    let (secret, mut switch) = (nas::secret(), nas::Switch::new(1));
    let request = |number: u64| switch.mac_bypass(identifier(number), nas::mac(number), &secret).to_vec();
    let requests: Vec<Vec<u8>> = (0..2 * calls).map(request).collect();
    let server = Server::new(Arc::new(fleet::directory(2 * calls, clock::now())), 1, 1);
    handle_all(&server, &requests, Port::Auth, batch, events);
    assert_eq!(server.decided(), 2 * calls);
}

fn identifier(number: u64) -> u8 {
    u8::try_from(number % 256).expect("it is below 256")
}

/// Handles the requests in batches; the second half is measured.
fn handle_all(server: &Server, requests: &[Vec<u8>], port: Port, batch: usize, events: Box<dyn EventSink>) {
    let (now, calls) = (clock::now(), requests.len() as u64 / 2);
    let mut engine = server.engine(0, events);
    let mut handle = |numbers: Range<u64>| {
        // As fast as one every 5 us.
        let now = now.advanced(Duration::from_micros(5 * numbers.start));
        let mut arrivals = [const { None }; BATCH_DATAGRAMS];
        let count = usize::try_from(numbers.end - numbers.start).expect("there are few");
        for (arrival, number) in arrivals.iter_mut().zip(numbers) {
            let place = usize::try_from(number).expect("there are few");
            let address = ([127, 0, 0, 1], 40_000 + u16::try_from(number / 256).expect("there are few")).into();
            let peer = Peer { address, route: Route { listener: 0, local: None, interface: 0 } };
            *arrival = Some(Arrival::from(Datagram { octets: &requests[place], peer, port }));
        }
        engine.begin(now);
        engine.look(&mut arrivals[..count]);
        arrivals.iter().flatten().for_each(|arrival| engine.handle(now, arrival, &mut Nowhere));
        engine.expire(now, &mut Nowhere);
        engine.end(now, &mut Nowhere);
    };
    let mut handle_from = |numbers: Range<u64>| {
        for start in numbers.clone().step_by(batch) {
            handle(start..numbers.end.min(start + batch as u64));
        }
    };
    handle_from(0..calls);
    measured(1, &mut |_| handle_from(calls..2 * calls));
}

/// Sends nothing.
struct Nowhere;

impl Outbox for Nowhere {
    fn send(&mut self, _: &Peer, octets: &[u8]) {
        black_box(octets);
    }
}
