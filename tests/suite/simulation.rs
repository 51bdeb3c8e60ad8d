//! Storms and outages on a toy clock: the engine, the desk, a breaker and the directory together, hours in seconds.
//!
//! Only the cloud is a toy: it answers each call after a while, or hangs. Chance comes from a seed that every failure
//! names; `SEED=7 cargo simulation` repeats it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use radmit::{
    clock::{Mono, Now},
    device::{
        directory::{Capacity, Directory, Told},
        identifier::{Guid, IntuneId},
        question::{Answer, Failure, Key, Outcome, Question, Questions},
        record::{Compliance, DeviceDetails, DeviceRecord, Origin},
    },
    engine::{
        Room,
        action::{Datagram, Peer, Port, Route},
        chance::Chance,
        machine::Machine as _,
    },
    limits,
    mdm::{
        breaker::{Breaker, Report},
        desk::{Class, Desk, Next},
    },
    radius::{kind, packet::Packet},
};

use crate::support::world::{SERVER, Setting, World, vlan_of};

const TICK: Duration = Duration::from_millis(10);
const TICKS_PER_SECOND: u32 = 100;
const LATENCY: Duration = Duration::from_millis(150);
const SECOND: Duration = Duration::from_secs(1);

/// What every device of these stories is judged by.
const POLICY: &str = r#"
version = 1
[policy-set]
name = "All"
rank = 10
[[rule]]
name = "Compliant"
when = { mdm.registered = true, mdm.compliant = true }
result = "employee"
[[rule]]
name = "NonCompliant"
when = { mdm.registered = true, mdm.compliant = false }
result = "quarantine"
[[rule]]
name = "Unregistered"
when = { mdm.registered = false }
result = "enrol"
[[rule]]
name = "Unreachable"
when = { mdm.reachable = false }
result = "limited"
[profile.employee]
access = "accept"
vlan = 20
[profile.quarantine]
access = "accept"
vlan = 66
[profile.enrol]
access = "accept"
vlan = 99
[profile.limited]
access = "accept"
vlan = 50
"#;

/// What is true about a device: its state, or that Microsoft does not know it.
type Truth = Option<Compliance>;

/// What a device gets if that is known.
const fn right_vlan(truth: Truth) -> &'static str {
    match truth {
        Some(Compliance::Compliant) => "20",
        Some(_) => "66",
        None => "99",
    }
}

/// The VLAN of a device about which nobody can tell.
const LIMITED: &str = "50";

fn seeds() -> Vec<u64> {
    match std::env::var("SEED").ok().and_then(|text| text.parse().ok()) {
        Some(seed) => vec![seed],
        None => vec![1, 2],
    }
}

/// The worker on a toy clock, and the cloud behind it.
struct Cloud {
    now: Now,
    desk: Desk,
    breaker: Breaker,
    /// Calls that run: when they end, about what, and whether they are answered.
    running: BinaryHeap<Reverse<(Mono, Key, bool)>>,
    truths: HashMap<Guid, Truth>,
    directory: Arc<Directory>,
    is_up: bool,
    /// When each call was sent.
    sent: Vec<Mono>,
    /// Whom it has answered about, and when the last new one of them was.
    answered: HashSet<Guid>,
    last_new: Mono,
}

/// The worker as the engine sees it.
struct Worker(Mutex<Cloud>);

impl Worker {
    fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.0.lock().unwrap()
    }
}

impl Questions for Worker {
    fn ask(&self, question: Question) -> Result<(), Failure> {
        let mut cloud = self.cloud();
        let now = cloud.now;
        match cloud.breaker.shut(now) {
            None => cloud.desk.ask(now, &question),
            Some((Failure::Throttled, _)) => {
                let _ = cloud.desk.ask(now, &Question { deadline: None, ..question });
                Err(Failure::Throttled)
            }
            Some((failure, _)) => Err(failure),
        }
    }
}

impl Cloud {
    /// Ends the calls whose time has come, and starts those whose turn it is.
    fn turn(&mut self, now: Now) -> Vec<Answer> {
        self.now = now;
        let mut answers = Vec::new();
        while let Some(Reverse((_, key, is_answered))) =
            self.running.peek().copied().filter(|next| next.0.0 <= now.mono)
        {
            self.running.pop();
            let report = if is_answered { Report::Answered } else { Report::Unreachable { retry_after: None } };
            self.breaker.note(now, report, 0);
            let outcome = if is_answered { self.tell(key) } else { Outcome::Failed(Failure::Unreachable) };
            if self.desk.finish(&key).is_some_and(|finished| finished.class != Class::Behind) {
                answers.push(Answer { server: SERVER, key, outcome });
            }
        }
        while let Next::Start(ticket) = self.desk.next(now, self.breaker.shut(now).map(|(_, until)| until)) {
            if self.breaker.admit(now).is_err() {
                self.running.push(Reverse((now.mono, ticket.key, false)));
                continue;
            }
            self.sent.push(now.mono);
            // A cloud that is down hangs: the worst kind of outage.
            let takes = if self.is_up { LATENCY } else { limits::CALL_TIMEOUT_MAX };
            self.running.push(Reverse((now.mono.plus(takes), ticket.key, self.is_up)));
        }
        answers
    }

    fn tell(&mut self, key: Key) -> Outcome {
        let Key::Device(guid) = key else { return Outcome::NotFound };
        if self.answered.insert(guid) {
            self.last_new = self.now.mono;
        }
        match self.truths.get(&guid).copied().flatten() {
            Some(compliance) => {
                let record = self.directory.insert(record(guid, compliance, self.now), Told::Everything).into_record();
                Outcome::Found(record)
            }
            None => {
                self.directory.deny(key, self.now.mono);
                Outcome::NotFound
            }
        }
    }
}

fn record(guid: Guid, compliance: Compliance, now: Now) -> DeviceRecord {
    DeviceRecord {
        intune_id: IntuneId(guid),
        entra_id: None,
        wifi_mac: None,
        ethernet_mac: None,
        ethernet_told: true,
        managed: true,
        compliance,
        details: Arc::new(DeviceDetails::default()),
        answered_at: now.mono,
        origin: Origin::Lookup,
    }
}

/// A request on its way, and its reply.
struct Asked {
    device: Guid,
    at: Mono,
}

/// One reply.
struct Replied {
    device: Guid,
    asked: Mono,
    at: Mono,
    vlan: String,
}

struct Story {
    world: World,
    worker: Arc<Worker>,
    /// Requests without a reply, by where they came from.
    open: HashMap<SocketAddr, Asked>,
    requests: u32,
}

impl Story {
    fn begin(requests_per_second: u32) -> Self {
        let setting = Setting {
            policy: POLICY,
            client: |client| client.trust_authorize_only = true,
            room: Room::default(),
            capacity: Capacity { devices: 100_000, outside: 100_000 },
            ..Setting::default()
        };
        let world = World::with(setting);
        let cloud = Cloud {
            now: world.now,
            desk: Desk::new(requests_per_second),
            breaker: Breaker::default(),
            running: BinaryHeap::new(),
            truths: HashMap::new(),
            directory: Arc::clone(&world.directory),
            is_up: true,
            sent: Vec::new(),
            answered: HashSet::new(),
            last_new: world.now.mono,
        };
        let worker = Arc::new(Worker(Mutex::new(cloud)));
        assert!(world.questions.cloud.set(Arc::clone(&worker) as Arc<dyn Questions>).is_ok());
        Self { world, worker, open: HashMap::new(), requests: 0 }
    }

    /// A device asks: a front server that has verified its certificate sends its id.
    fn ask(&mut self, device: Guid) {
        let octets = self.world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"host/device").unwrap();
            buffer.push_u32(kind::SERVICE_TYPE, 17).unwrap();
            let mut pair = vec![0, 0, 0, 9, 1, 0];
            pair.extend_from_slice(format!("mdm-tlv=device-uid={device}").as_bytes());
            pair[5] = u8::try_from(pair.len() - 4).unwrap();
            buffer.push(kind::VENDOR_SPECIFIC, &pair).unwrap();
        });
        // Each from a socket of its own, so that no two are taken for repeats.
        let [_, host, high, low] = self.requests.to_be_bytes();
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 1, host)), u16::from_be_bytes([high, low]));
        self.requests += 1;
        let now = self.world.now;
        self.open.insert(address, Asked { device, at: now.mono });
        let peer = Peer { address, route: Route { listener: 0, local: None, interface: 0 } };
        self.world.engine.begin(now);
        let datagram = Datagram { octets: &octets, peer, port: Port::Auth };
        self.world.engine.handle(now, &datagram.into(), &mut self.world.sent);
        self.world.engine.end(now, &mut self.world.sent);
    }

    /// Moves the clock by a tick and returns what was replied.
    fn tick(&mut self) -> Vec<Replied> {
        self.world.now = self.world.now.advanced(TICK);
        let now = self.world.now;
        let answers = self.worker.cloud().turn(now);
        self.world.engine.begin(now);
        for answer in answers {
            self.world.engine.resume(now, &answer, &mut self.world.sent);
        }
        self.world.engine.expire(now, &mut self.world.sent);
        self.world.engine.end(now, &mut self.world.sent);
        let sent = std::mem::take(&mut self.world.sent.0);
        let replies = sent.into_iter().map(|(peer, octets)| {
            assert!(Packet::parse(&octets).is_ok());
            let asked = self.open.remove(&peer.address).expect("one reply for each request");
            let vlan = vlan_of(&octets).unwrap_or_default();
            Replied { device: asked.device, asked: asked.at, at: now.mono, vlan }
        });
        replies.collect()
    }
}

fn guid(chance: &mut Chance) -> Guid {
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&chance.next().to_be_bytes());
    octets[8..].copy_from_slice(&chance.next().to_be_bytes());
    Guid::new(octets)
}

/// In no span of time more than the rate allows, and what the bucket holds.
fn assert_within_budget(sent: &[Mono], per_second: u32, seed: u64) {
    let bucket = per_second.div_ceil(4);
    for seconds in [1, 20] {
        let most = usize::try_from(per_second * seconds + bucket).unwrap();
        for span in sent.windows(most + 1) {
            let took = span[most].since(span[0]);
            // Calls leave on ticks, so that two may stand one tick closer than they were.
            assert!(took + TICK >= SECOND * seconds, "seed {seed}: {} calls within {took:?}", most + 1);
        }
    }
}

#[test]
fn ten_thousand_strangers_at_once_get_no_wrong_verdict_and_are_known_as_fast_as_the_budget_allows() {
    const DEVICES: u32 = 10_000;
    const PER_SECOND: u32 = 80;
    for seed in seeds() {
        let (mut story, mut chance) = (Story::begin(PER_SECOND), Chance::new(seed));
        let mut truths: HashMap<Guid, Truth> = HashMap::new();
        let mut due: BinaryHeap<Reverse<(Mono, Guid)>> = BinaryHeap::new();
        let begin = story.world.now.mono;
        for _ in 0..DEVICES {
            let truth = match chance.below(10) {
                0 => None,
                1 | 2 => Some(Compliance::NonCompliant),
                _ => Some(Compliance::Compliant),
            };
            let device = guid(&mut chance);
            truths.insert(device, truth);
            due.push(Reverse((begin.plus(Duration::from_micros(chance.below(10_000_000))), device)));
        }
        story.worker.cloud().truths = truths.clone();

        let (mut verdicts, mut limited) = (HashMap::<Guid, String>::new(), 0);
        while !due.is_empty() || !story.open.is_empty() {
            assert!(story.world.now.mono.since(begin) < SECOND * 600, "seed {seed}: it never ends");
            while let Some(Reverse((_, device))) = due.peek().copied().filter(|next| next.0.0 <= story.world.now.mono) {
                due.pop();
                story.ask(device);
            }
            for reply in story.tick() {
                let (took, right) = (reply.at.since(reply.asked), right_vlan(truths[&reply.device]));
                assert!(took <= SECOND * 2, "seed {seed}: a reply after {took:?}");
                assert!(reply.vlan == right || reply.vlan == LIMITED, "seed {seed}: {} is not {right}", reply.vlan);
                if reply.vlan == LIMITED {
                    limited += 1;
                    // What the policy's rule gives lasts for a while; then the device asks again.
                    let again = Duration::from_secs(20) + Duration::from_micros(chance.below(20_000_000));
                    due.push(Reverse((reply.at.plus(again), reply.device)));
                }
                verdicts.insert(reply.device, reply.vlan);
            }
        }
        let cloud = story.worker.cloud();
        assert_eq!(cloud.answered.len(), usize::try_from(DEVICES).unwrap(), "seed {seed}");
        let (known_after, allowed) = (cloud.last_new.since(begin), SECOND * DEVICES / PER_SECOND * 11 / 10);
        println!("seed {seed}: all known after {known_after:?}, {limited} answers by the rule for an outage");
        assert!(known_after <= allowed, "seed {seed}: all known after {known_after:?}, allowed are {allowed:?}");
        assert_within_budget(&cloud.sent, PER_SECOND, seed);
        for (device, truth) in &truths {
            assert_eq!(verdicts[device], right_vlan(*truth), "seed {seed}: in the end each has what is right");
        }
    }
}

#[test]
fn a_hundred_questions_about_one_device_at_one_moment_are_one_call() {
    let mut story = Story::begin(80);
    let device = guid(&mut Chance::new(7));
    story.worker.cloud().truths.insert(device, Some(Compliance::Compliant));
    (0..100).for_each(|_| story.ask(device));
    let replies: Vec<Replied> = (0..TICKS_PER_SECOND).flat_map(|_| story.tick()).collect();
    assert_eq!((replies.len(), story.worker.cloud().sent.len()), (100, 1));
    assert!(replies.iter().all(|reply| reply.vlan == "20"));
}

/// What requests of one part of a story were decided by.
#[derive(Debug, Default)]
struct Tally {
    known: u32,
    stale: u32,
    unreachable: u32,
}

#[test]
fn an_hour_without_the_cloud_takes_no_known_device_off_the_network() {
    // One asks each second, so that each comes back after ten minutes with an answer older than `compliance-max-age`.
    const DEVICES: u32 = 600;
    const PER_SECOND: u32 = 20;
    const BEGINS: Duration = Duration::from_secs(700);
    const ENDS: Duration = Duration::from_secs(700 + 3_600);
    /// In the first seconds of an outage, and of its end, either may be.
    const SETTLED: Duration = Duration::from_secs(75);
    for seed in seeds() {
        let (mut story, mut chance) = (Story::begin(PER_SECOND), Chance::new(seed));
        let devices: Vec<Guid> = (0..DEVICES).map(|_| guid(&mut chance)).collect();
        story.worker.cloud().truths = devices.iter().map(|device| (*device, Some(Compliance::Compliant))).collect();
        let begin = story.world.now.mono;
        let (mut during, mut after, mut strangers) = (Tally::default(), Tally::default(), 0);
        for second in 0..5_300u32 {
            let passed = SECOND * second;
            let is_out = passed >= BEGINS && passed < ENDS;
            story.worker.cloud().is_up = !is_out;
            story.ask(devices[usize::try_from(second % DEVICES).unwrap()]);
            if is_out && second % 60 == 0 {
                strangers += 1;
                story.ask(guid(&mut chance));
            }
            for _ in 0..TICKS_PER_SECOND {
                for reply in story.tick() {
                    assert!(reply.vlan == "20" || reply.vlan == LIMITED, "seed {seed}: {}", reply.vlan);
                }
            }
            let lines = story.world.lines();
            let tally = match passed {
                _ if is_out && passed >= BEGINS + SETTLED => &mut during,
                _ if passed >= ENDS + SETTLED => &mut after,
                _ => continue,
            };
            for line in lines {
                match &line {
                    line if line.contains("source=stale") => tally.stale += 1,
                    line if line.contains("lookup=found") => tally.known += 1,
                    line if line.contains("lookup=unreachable") || line.contains("lookup=late") => {
                        tally.unreachable += 1
                    }
                    other => panic!("seed {seed}: {other}"),
                }
            }
        }
        assert_eq!(during.known, 0, "seed {seed}: {during:?}");
        assert!(during.stale >= 3_500, "seed {seed}: every known device kept its answer: {during:?}");
        assert!(during.unreachable + 2 >= strangers, "seed {seed}: {during:?} of {strangers} strangers");
        assert_eq!((after.stale, after.unreachable), (0, 0), "seed {seed}: {after:?}");
        assert!(after.known >= 800, "seed {seed}: {after:?}");

        let cloud = story.worker.cloud();
        let at = |sent: &Mono| sent.since(begin);
        let tries = cloud.sent.iter().filter(|sent| at(sent) >= BEGINS && at(sent) < ENDS).count();
        // The first seconds of requests, then a try each minute or so.
        assert!(tries < 120, "seed {seed}: a dead service is left alone, and not asked {tries} times");
        assert_within_budget(&cloud.sent, PER_SECOND, seed);
    }
}
