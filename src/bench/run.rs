//! A whole run: [`run`] opens the source ports, starts the threads and brings together what they tell.
//!
//! Owns threads and the timeline. What a thread does stands in `line`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    clock::{self, Mono},
    engine::action::Port,
    limits,
    udp::socket::{Socket, bind_group},
};

use super::{
    conversations::Conversations,
    forged::{Forged, Forger},
    generator::Generator,
    line::Line,
    plan::{Answers, Plan, Refused},
    report::{Report, Row},
    tally::{Second, Tally},
    work::{Ended, Share, Work},
};

/// From the last preparations to the first request, so that no thread begins late.
const START_AFTER: Duration = Duration::from_millis(5);

/// Carries out `plan` in threads of its own (`bench-0`, …) and tells what came of it.
///
/// `each_second` is called for every second of the measured part, once all threads have told it; the last one may have
/// been shorter. Whoever takes longer than a second for it delays the threads after a while.
///
/// # Errors
/// [`Refused`]: the plan can't be carried out, or the system gives no socket or thread. Nothing was sent then.
pub fn run(plan: &Plan, each_second: &mut dyn FnMut(&Row)) -> Result<Report, Refused> {
    plan.check()?;
    let plan = Arc::new(plan.clone());
    let sources = if plan.sources.is_empty() { vec![usual_source(plan.server)?] } else { plan.sources.clone() };
    let mut forger = forger(&plan, &sources)?;
    let lines = prepare(&plan, &sources)?;
    forger.iter_mut().for_each(Forger::send);
    let mut threads = Vec::new();
    let mut timelines = Vec::new();
    for (number, (line, seconds)) in lines.into_iter().enumerate() {
        let builder = thread::Builder::new().name(format!("bench-{number}"));
        match builder.spawn(move || line.run()) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                plan.stop.store(true, std::sync::atomic::Ordering::Relaxed);
                threads.into_iter().for_each(|thread: JoinHandle<Ended>| drop(thread.join()));
                return Err(Refused::Thread(error));
            }
        }
        timelines.push(seconds);
    }
    let rows = follow(&timelines, each_second);
    let mut report = Report::new(&plan, rows);
    for thread in threads {
        // A thread that panicked has told so on stderr; its numbers are missing, and that must not look like a result.
        let ended = thread.join().map_err(|_| Refused::Thread(io::Error::other("a thread of the load panicked")))?;
        report.elapsed = report.elapsed.max(ended.elapsed);
        report.measured = Some(match (report.measured, plan.pace.rate()) {
            (None, _) => ended.measured,
            // In an open loop threads take turns: it ends when the first of them has nothing more to come.
            (Some(others), Some(_)) => others.min(ended.measured),
            (Some(others), None) => others.max(ended.measured),
        });
        report.tally.add(&ended.tally);
    }
    if let Some(mut forger) = forger {
        forger.send();
        // An answer takes about as long as others did.
        let slowest = report.tally.service.max();
        let patience = (slowest + slowest / 2).max(limits::BENCH_FORGED_PATIENCE_MIN).min(plan.timeout);
        report.forged = forger.finish(patience);
    }
    Ok(report)
}

/// An echo verifies nothing, and is not meant to.
fn forger(plan: &Plan, sources: &[IpAddr]) -> Result<Option<Forger>, Refused> {
    let Some(source) = sources.first().filter(|_| !matches!(plan.answers, Answers::Echoed)) else { return Ok(None) };
    let [first, second, _] = seeds()?;
    Forger::new(plan, local(*source, plan.server), [first, second]).map(Some)
}

/// Opens everything before the first thread starts, so that a run begins as a whole or not at all.
fn prepare(plan: &Arc<Plan>, sources: &[IpAddr]) -> Result<Vec<(Line, Receiver<Second>)>, Refused> {
    let mut opened = Vec::new();
    let mut addresses = sources.iter().cycle();
    for number in 0..plan.threads {
        let sockets = plan.sockets / plan.threads + usize::from(number < plan.sockets % plan.threads);
        let of_thread = (0..sockets).zip(addresses.by_ref()).map(|(place, source)| open(plan, place, *source));
        let sockets = of_thread.collect::<io::Result<Vec<_>>>().map_err(Refused::Socket)?;
        let nas = sockets.first().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |socket| socket.local().ip());
        // Before the start is chosen: gathering its first random numbers takes the library some 60 ms.
        let seeds = seeds()?;
        opened.push((Share { number, of: plan.threads, sockets: sockets.len(), nas, seeds }, sockets));
    }
    let start = clock::now().mono.plus(START_AFTER);
    opened.into_iter().map(|(share, sockets)| line(plan, share, sockets, start)).collect()
}

fn line(
    plan: &Arc<Plan>,
    share: Share,
    sockets: Vec<Socket>,
    start: Mono,
) -> Result<(Line, Receiver<Second>), Refused> {
    let work: Result<Box<dyn Work>, _> = match &plan.eap_tls {
        None => Generator::new(Arc::clone(plan), share, start).map(|work| Box::new(work) as _),
        Some(supplicants) => {
            Conversations::new(Arc::clone(plan), Arc::clone(supplicants), share, start).map(|work| Box::new(work) as _)
        }
    };
    let work = work.map_err(Refused::Attributes)?;
    let (sender, seconds) = sync_channel(limits::BENCH_SECONDS_QUEUED_MAX);
    let line = Line::new(Arc::clone(plan), sockets, work, sender).map_err(Refused::Socket)?;
    Ok((line, seconds))
}

fn seeds() -> Result<[u64; 3], Refused> {
    let mut octets = [0; 24];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| Refused::Random)?;
    let mut seeds = [0; 3];
    for (seed, octets) in seeds.iter_mut().zip(octets.as_chunks::<8>().0) {
        *seed = u64::from_be_bytes(*octets);
    }
    Ok(seeds)
}

/// The address from which the system reaches the server.
fn usual_source(server: SocketAddr) -> Result<IpAddr, Refused> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let asked = UdpSocket::bind((any, 0)).and_then(|socket| {
        // Nothing is sent by it.
        socket.connect(server)?;
        socket.local_addr()
    });
    asked.map(|address| address.ip()).map_err(Refused::Socket)
}

/// Any free port of this address.
fn local(source: IpAddr, server: SocketAddr) -> SocketAddr {
    let mut local = SocketAddr::new(source, 0);
    if let (SocketAddr::V6(local), SocketAddr::V6(server)) = (&mut local, server) {
        // A link-local address is one only together with its interface.
        local.set_scope_id(server.scope_id());
    }
    local
}

/// `place`: of the source port in its thread.
fn open(plan: &Plan, place: usize, source: IpAddr) -> io::Result<Socket> {
    let server = plan.server;
    let place = u16::try_from(place).map_err(|_| io::ErrorKind::InvalidInput)?;
    let group = bind_group(place, Port::Auth, local(source, server), 1, limits::BENCH_RECEIVE_OCTETS)?;
    let socket = group.sockets.into_iter().next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    if cfg!(target_os = "linux") {
        // Connected, the kernel tells of ICMP errors, and keeps away what others send. Elsewhere than on Linux a connected
        // socket would not take the addresses that come with a batch.
        socket.udp().connect(server)?;
        // Half of what a request costs this generator is its way down the stack: then it would be itself that is measured.
        socket.send_segments(true);
    }
    if plan.is_stamped {
        let _ = socket.stamp_arrivals();
    }
    Ok(socket)
}

/// Puts the seconds of all threads together, one after the other, until the last thread has ended.
fn follow(timelines: &[Receiver<Second>], each_second: &mut dyn FnMut(&Row)) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let mut told = timelines.iter().filter_map(|seconds| seconds.recv().ok());
        let Some(mut sum) = told.next() else { return rows };
        told.for_each(|second| sum.add(&second));
        let row = Row::of(&sum);
        each_second(&row);
        if rows.len() < limits::BENCH_ROWS_MAX {
            rows.push(row);
        }
    }
}

impl Report {
    fn new(plan: &Plan, rows: Vec<Row>) -> Self {
        Self {
            plan: plan.clone(),
            elapsed: Duration::ZERO,
            measured: None,
            tally: Tally::default(),
            forged: Forged::default(),
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bench::{schedule::Pace, tally::Loss},
        radius::{
            authenticator::{Signature, check_request_signature},
            code::Code,
            packet::Packet,
            reply::ReplyBuffer,
            secret::Secret,
        },
        udp::echo::Echo,
    };

    fn plan(server: SocketAddr) -> Plan {
        let secret = Arc::new(Secret::new(b"a secret for the echo".to_vec()).unwrap());
        Plan {
            answers: Answers::Echoed,
            timeout: Duration::from_secs(20),
            duration: Duration::from_secs(60),
            count: Some(2_000),
            ..Plan::new(server, secret)
        }
    }

    #[test]
    fn all_is_answered_by_an_echo_over_both_families_at_every_pace() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let echo = Echo::start(address.parse().unwrap(), 1).unwrap();
            for (pace, threads) in [
                (Pace::Window(100), 1),
                (Pace::Window(7), 2),
                (Pace::Steady(20_000.0), 2),
                (Pace::Storm { rate: 20_000.0, ramp: Duration::from_millis(50) }, 1),
            ] {
                let mut told = 0;
                let plan = Plan { pace, threads, ..plan(echo.address()) };
                let report = run(&plan, &mut |row| told += row.answered).unwrap();
                let tally = &report.tally;
                assert_eq!((tally.due, tally.answered(), tally.lost.total()), (2_000, 2_000, 0), "{address} {pace:?}");
                assert!(report.is_sound() && !report.elapsed.is_zero());
                assert_eq!((told, report.rows.iter().map(|row| row.sent).sum::<u64>()), (2_000, 2_000));
            }
        }
    }

    #[test]
    fn a_wrong_answer_is_no_result() {
        let echo = Echo::start("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let timeout = Duration::from_millis(50);
        let plan = Plan { answers: Answers::Signed, count: Some(10), timeout, ..plan(echo.address()) };
        let report = run(&plan, &mut |_| ()).unwrap();
        assert_eq!(report.tally.lost.of(Loss::WrongAuthenticator), 10);
        assert!(!report.is_sound());
    }

    /// Answers `requests` with accepts, whether they are signed right or, if it `verifies`, only those that are.
    fn accept(server: &UdpSocket, requests: usize, verifies: bool) {
        let (mut room, mut reply) = ([0; 4_096], ReplyBuffer::new());
        let secret = Secret::new(b"a secret for the echo".to_vec()).unwrap();
        let mut answered = 0;
        while answered < requests {
            let (octets, peer) = server.recv_from(&mut room).unwrap();
            let request = Packet::parse(&room[..octets]).unwrap();
            if verifies && check_request_signature(&request, &secret) != Signature::Valid {
                continue;
            }
            reply.start(Code::ACCESS_ACCEPT, request.identifier());
            server.send_to(reply.sign(request.authenticator(), &secret), peer).unwrap();
            answered += 1;
        }
    }

    #[test]
    fn a_server_that_does_not_verify_is_found_out() {
        for (verifies, forged) in [(true, Forged { sent: 6, answered: 0 }), (false, Forged { sent: 6, answered: 6 })] {
            let server = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = server.local_addr().unwrap();
            let requests = 50 + usize::try_from(forged.answered).unwrap();
            // Ours stays open: what leaves after the last answer is not refused.
            let its = server.try_clone().unwrap();
            let answering = thread::spawn(move || accept(&its, requests, verifies));
            let report =
                run(&Plan { answers: Answers::Signed, count: Some(50), ..plan(address) }, &mut |_| ()).unwrap();
            assert_eq!((report.tally.answered(), report.forged, report.is_sound()), (50, forged, verifies));
            answering.join().unwrap();
        }
    }

    #[test]
    fn where_nobody_listens_requests_are_refused() {
        // Bound and given back: free, as far as anybody can know.
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let plan = Plan { pace: Pace::Window(4), count: Some(4), timeout: Duration::from_millis(50), ..plan(free) };
        let report = run(&plan, &mut |_| ()).unwrap();
        assert_eq!(report.tally.lost.total(), 4);
        assert!(!cfg!(target_os = "linux") || report.tally.lost.of(Loss::Refused) == 4, "{:?}", report.tally.lost);
        assert!(!report.is_sound());
    }

    #[test]
    fn a_run_can_be_ended_from_elsewhere() {
        let echo = Echo::start("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let plan = Plan { pace: Pace::Steady(200.0), count: None, ..plan(echo.address()) };
        let stop = Arc::clone(&plan.stop);
        let report = run(&plan, &mut |_| stop.store(true, std::sync::atomic::Ordering::Relaxed)).unwrap();
        assert!(report.elapsed < Duration::from_secs(30) && report.tally.answered() > 0);
    }
}
