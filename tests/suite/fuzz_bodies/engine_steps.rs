//! Any list of steps in a toy world: never a panic, never an accept from an error, every request answered by its deadline
//! or dropped with a reason, every reply sent to who asked, tables within their bounds.
//!
//! Fuzzes the decisions and not just the parser: what arrives, alone or in a batch with others, what is repeated, what the
//! cloud says, how time passes.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use radmit::{
    clock::Mono,
    device::{
        directory::Told,
        identifier::IntuneId,
        question::{Failure, Key, Outcome, Question},
        record::Compliance,
    },
    engine::{Room, action::Port, client::MessageAuthenticatorMode, machine::Machine as _, snapshot::Snapshot},
    limits::BATCH_DATAGRAMS,
    radius::{
        authenticator::{Signature, check_request_signature},
        code::Code,
        kind,
        packet::Packet,
        request::{RequestBuffer, verify_reply},
        secret::Secret,
    },
};

use crate::support::world::{SECRET, SERVER, Setting, World, guid, mac, swap_client};

/// The bit of a step's octet that keeps its datagram back, to be part of one batch with those that come after it. Steps
/// without it mean what they always meant.
const TOGETHER: u8 = 0x80;

/// How long the world's client waits for an answer.
const DEADLINE: Duration = Duration::from_secs(2);
const ROOM: Room = Room { replies: 16, parked: 8, delayed: 4 };
/// The devices of this world. The last two have rules of their own: a reject, and no answer.
const MACS: [&str; 6] =
    ["a4c3f0112233", "a4c3f0112234", "a4c3f0112235", "a4c3f0999999", "a4c3f0666666", "a4c3f0777777"];

/// `input`: steps, each an octet that says which and the octets that it needs; what is missing is 0.
pub(crate) fn check(input: &[u8]) {
    let mut play = Play::new(input.first().copied().unwrap_or(0));
    let mut octets = Octets(input.get(1..).unwrap_or_default());
    while !octets.0.is_empty() {
        play.step(&mut octets);
        play.look();
    }
    play.deliver();
    play.look();
    play.finish();
}

struct Octets<'i>(&'i [u8]);

impl Octets<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[usize::from(self.next()) % from.len()]
    }
}

/// A world, and what must come of what was done in it.
struct Play {
    world: World,
    /// Everything that was sent into it: the sender, the port, the octets.
    asked: Vec<(SocketAddr, Port, Vec<u8>)>,
    /// What was sent and has not arrived yet: it arrives as one batch.
    on_the_way: Vec<(SocketAddr, Port, Vec<u8>)>,
    /// When the requests came that may still wait.
    arrivals: VecDeque<Mono>,
    questions: Vec<Question>,
    /// What the newest record of a device says.
    records: HashMap<&'static str, Compliance>,
    /// Devices of which it was once said that there is no such device.
    denied: HashSet<&'static str>,
    /// State and EAP packet of the last challenge.
    challenge: Option<(Vec<u8>, Vec<u8>)>,
    /// Every configuration that there was, for its counters.
    snapshots: Vec<Arc<Snapshot>>,
    received: u64,
    replied: u64,
    ignored: u64,
}

impl Play {
    fn new(kind: u8) -> Self {
        let delays = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];
        let setting = Setting {
            client: if kind & 1 == 0 {
                |client| client.eap.md5 = true
            } else {
                |client| client.message_authenticator = MessageAuthenticatorMode::Learn
            },
            reject_delay: delays[usize::from(kind >> 1) % delays.len()],
            room: ROOM,
            ..Setting::default()
        };
        let world = World::with(setting);
        let snapshots = vec![world.shared.load_full()];
        Self {
            world,
            asked: Vec::new(),
            on_the_way: Vec::new(),
            arrivals: VecDeque::new(),
            questions: Vec::new(),
            records: HashMap::new(),
            denied: HashSet::new(),
            challenge: None,
            snapshots,
            received: 0,
            replied: 0,
            ignored: 0,
        }
    }

    fn step(&mut self, octets: &mut Octets<'_>) {
        let step = octets.next();
        let is_datagram = matches!(step % 16, 0..=6 | 15);
        if !is_datagram {
            self.deliver();
        }
        match step % 16 {
            0..=4 => self.request(octets),
            5 | 6 => self.repeat(octets),
            7..=9 => self.answer(octets),
            10 | 11 => self.pass_time(octets),
            12 => self.learn(octets),
            13 => self.refuse_questions(octets),
            14 => self.reload(octets),
            _ => self.garble(octets),
        }
        if step & TOGETHER == 0 || self.on_the_way.len() == BATCH_DATAGRAMS {
            self.deliver();
        }
    }

    fn request(&mut self, octets: &mut Octets<'_>) {
        let name = *octets.pick(&MACS);
        let (shape, identifier, from) = (octets.next(), octets.next(), octets.next());
        let secret = Secret::new(SECRET.into()).expect("it is not empty");
        let mut authenticator = [0x77; 16];
        authenticator[..2].copy_from_slice(&[identifier, shape]);
        authenticator[2..8].copy_from_slice(&mac(name).octets());
        let mut request = RequestBuffer::new();
        let mut port = Port::Auth;
        match shape % 16 {
            0 => request.start_unsigned_request(Code::ACCESS_REQUEST, identifier, &authenticator),
            1 => {
                request.start_request(Code::ACCOUNTING_REQUEST, identifier, &authenticator);
                port = Port::Acct;
            }
            2 => request.start_request(Code::STATUS_SERVER, identifier, &authenticator),
            _ => request.start_request(Code::ACCESS_REQUEST, identifier, &authenticator),
        }
        let mut push = |kind: u8, value: &[u8]| request.push(kind, value).expect("it is short");
        push(kind::USER_NAME, name.as_bytes());
        push(kind::SERVICE_TYPE, &[0, 0, 0, if shape % 16 == 3 { 17 } else { 10 }]);
        push(kind::NAS_PORT_TYPE, &[0, 0, 0, *octets.pick(&[15, 19, 5])]);
        match shape % 16 {
            1 => push(kind::ACCT_STATUS_TYPE, &[0, 0, 0, 1]),
            2 | 3 => {}
            5 => push(kind::CALLING_STATION_ID, b"A4-C3-F0-11-22-34"),
            4 => self.push_eap(&mut request, name, octets),
            6 => push(kind::PROXY_STATE, &octets.take(5).iter().map(|octet| octet | 1).chain([1]).collect::<Vec<_>>()),
            7 => request.push_chap_password(identifier, name.as_bytes()).expect("it is short"),
            8 => request.push_password(b"wrong", &secret).expect("it is short"),
            _ => request.push_password(name.as_bytes(), &secret).expect("it is short"),
        }
        let datagram = request.sign(&secret).to_vec();
        self.send(sender(from), port, datagram);
    }

    /// The beginning of a conversation, the right answer to the last challenge, a wrong one, or anything.
    fn push_eap(&self, request: &mut RequestBuffer, name: &str, octets: &mut Octets<'_>) {
        use hmac::digest::Digest as _;
        let which = octets.next() % 8;
        let (state, challenge) = self.challenge.clone().unwrap_or_default();
        let eap = match (which, &challenge[..]) {
            (0..=4, [_, identifier, _, _, 4, 16, value @ ..]) => {
                let password = if which == 4 { "wrong" } else { name };
                let answer = md5::Md5::new().chain_update([*identifier]).chain_update(password).chain_update(value);
                [&[2, *identifier, 0, 22, 4, 16], &answer.finalize()[..]].concat()
            }
            (5, _) => octets.take(40),
            _ => vec![2, which, 0, 5, 1],
        };
        if eap.is_empty() {
            request.push_encoded(&[kind::EAP_MESSAGE, 2]).expect("it is short");
        } else {
            request.push_long(kind::EAP_MESSAGE, &eap).expect("it is short");
        }
        if which < 6 && !state.is_empty() {
            request.push(kind::STATE, &state).expect("it is short");
        }
    }

    fn repeat(&mut self, octets: &mut Octets<'_>) {
        let (which, other) = (usize::from(octets.next()), octets.next());
        let Some((from, port, datagram)) = self.asked.iter().rev().nth(which % self.asked.len().max(1)).cloned() else {
            return;
        };
        // Now and then from another port: the same octets are another request then.
        let from = if other % 8 == 7 { sender(other) } else { from };
        self.send(from, port, datagram);
    }

    fn garble(&mut self, octets: &mut Octets<'_>) {
        let (which, at, change) = (octets.next(), octets.next(), octets.next());
        let last = self.asked.iter().rev().nth(usize::from(which % 4));
        let mut datagram = last.map_or_else(|| octets.take(60), |(_, _, datagram)| datagram.clone());
        if let Some(octet) = datagram.get_mut(usize::from(at)) {
            *octet ^= change;
        }
        if change == 0 {
            datagram.truncate(usize::from(at));
        }
        let from = if which < 200 { sender(which) } else { ([192, 0, 2, 1], 1_812).into() };
        self.send(from, if which % 2 == 0 { Port::Auth } else { Port::Acct }, datagram);
    }

    fn send(&mut self, from: SocketAddr, port: Port, datagram: Vec<u8>) {
        self.asked.push((from, port, datagram.clone()));
        self.on_the_way.push((from, port, datagram));
    }

    /// What is on the way arrives: one datagram alone, several together.
    fn deliver(&mut self) {
        let batch = std::mem::take(&mut self.on_the_way);
        self.received += batch.len() as u64;
        self.arrivals.extend(batch.iter().map(|_| self.world.now.mono));
        match &batch[..] {
            [] => {}
            [(from, port, datagram)] => {
                let replies = self.world.send_from(*from, *port, datagram);
                self.check(&replies);
            }
            _ => {
                for (peer, reply) in self.world.send_in_turn(&batch) {
                    self.check_reply(Some(peer.address), &reply);
                }
            }
        }
    }

    /// The cloud answers a question, or tells what nobody asked.
    fn answer(&mut self, octets: &mut Octets<'_>) {
        self.questions.extend(self.world.asked());
        let which = usize::from(octets.next());
        let key = if self.questions.is_empty() || which > 250 {
            Key::Mac(mac(octets.pick::<&str>(&MACS)))
        } else {
            self.questions.remove(which % self.questions.len()).key
        };
        let Some(name) = MACS.into_iter().find(|name| is_about(key, name)) else { return };
        let now = self.world.now.mono;
        // As the worker does it: what was answered is first kept, then told to who waits.
        let outcome = match octets.next() % 8 {
            0..=2 => {
                let compliance = *octets.pick(&Compliance::ALL);
                let record = self.world.record(name, compliance);
                let record = self.world.directory.insert(record, Told::Everything).into_record();
                self.records.insert(name, record.compliance);
                Outcome::Found(record)
            }
            3 => {
                if let Key::Device(id) = key {
                    self.world.directory.forget(IntuneId(id));
                    self.records.remove(name);
                }
                self.world.directory.deny(key, now);
                self.denied.insert(name);
                Outcome::NotFound
            }
            4 => {
                self.world.directory.doubt(key, now);
                Outcome::Ambiguous
            }
            _ => Outcome::Failed(*octets.pick(&Failure::ALL)),
        };
        let replies = self.world.answer(SERVER, key, outcome);
        self.check(&replies);
    }

    fn pass_time(&mut self, octets: &mut Octets<'_>) {
        let steps =
            [1, 10, 100, 500, 1_000, 1_500, 2_000, 5_000, 11_000, 61_000, 299_000, 3_600_000, 32_400_000, 90_000_000];
        let millis = *octets.pick(&steps);
        let replies = self.world.advance(Duration::from_millis(millis));
        self.check(&replies);
    }

    /// The background sync brings a device.
    fn learn(&mut self, octets: &mut Octets<'_>) {
        let (name, compliance) = (*octets.pick(&MACS), *octets.pick(&Compliance::ALL));
        self.world.know(name, compliance);
        self.records.insert(name, compliance);
    }

    fn refuse_questions(&mut self, octets: &mut Octets<'_>) {
        let which = usize::from(octets.next());
        *self.world.questions.refuse.lock().expect("nobody panicked") = Failure::ALL.get(which % 8).copied();
    }

    fn reload(&mut self, octets: &mut Octets<'_>) {
        // Each compiles the policy, which takes longer than a hundred requests.
        if self.snapshots.len() > 3 {
            return;
        }
        let is_lax = octets.next() & 1 == 0;
        swap_client(&self.world, move |client| {
            client.eap.md5 = true;
            client.message_authenticator =
                if is_lax { MessageAuthenticatorMode::Optional } else { MessageAuthenticatorMode::Require };
        });
        self.snapshots.push(self.world.shared.load_full());
    }

    // --- what must hold -------------------------------------------------------------------------------------------------

    fn check(&mut self, replies: &[Vec<u8>]) {
        replies.iter().for_each(|reply| self.check_reply(None, reply));
    }

    /// A reply answers a request, of whom it is sent to, and an accept follows from what was said about its device.
    fn check_reply(&mut self, to: Option<SocketAddr>, octets: &[u8]) {
        let secret = Secret::new(SECRET.into()).expect("it is not empty");
        self.replied += 1;
        let reply = Packet::parse(octets).expect("what is sent is a whole packet");
        let answers = |datagram: &[u8]| {
            // A garbled copy has the authenticator of what it was made of, so the reply verifies for it too; but the
            // engine drops what is signed wrongly, so it was not the copy that was answered.
            Packet::parse(datagram).is_ok_and(|request| {
                verify_reply(&reply, &request, &secret).is_ok()
                    && check_request_signature(&request, &secret) != Signature::Wrong
            })
        };
        // An unsigned copy may have been garbled in its attributes, which no authenticator covers; its original comes next.
        let mut asked = self
            .asked
            .iter()
            .rev()
            .filter(|(from, _, datagram)| to.is_none_or(|to| to == *from) && answers(datagram))
            .filter_map(|(_, _, datagram)| Packet::parse(datagram).ok())
            .peekable();
        assert!(asked.peek().is_some(), "a reply answers a request");
        if reply.code() == Code::ACCESS_ACCEPT {
            let vlan = reply.first(kind::TUNNEL_PRIVATE_GROUP_ID).and_then(|value| str::from_utf8(value).ok());
            assert!(asked.any(|request| self.is_earned(&request, vlan)), "VLAN {vlan:?} although {:?}", self.records);
        }
        if reply.code() == Code::ACCESS_CHALLENGE {
            let eap = reply.all(kind::EAP_MESSAGE).flatten().copied().collect();
            self.challenge = reply.first(kind::STATE).map(|state| (state.to_vec(), eap));
        }
        if reply.code() != Code::ACCOUNTING_RESPONSE {
            assert_eq!(octets.get(20), Some(&kind::MESSAGE_AUTHENTICATOR), "it stands first");
        }
    }

    /// Whether an accept into this VLAN follows from what was said about the device of `request`.
    fn is_earned(&self, request: &Packet<'_>, vlan: Option<&str>) -> bool {
        if request.code() != Code::ACCESS_REQUEST {
            return request.code() == Code::STATUS_SERVER;
        }
        // A repeat may draw an accept that was right when it was stored.
        if self.asked.iter().filter(|(_, _, datagram)| datagram.as_slice() == request.octets()).count() > 1 {
            return true;
        }
        let name = request.first(kind::USER_NAME).unwrap_or_default();
        let Some(name) = MACS.into_iter().find(|known| known.as_bytes() == name) else { return false };
        let record = self.records.get(name).map(|compliance| compliance.is_compliant(true));
        match vlan {
            Some("20") => record == Some(true),
            Some("66") => record == Some(false),
            Some("99") => self.denied.contains(name),
            _ => false,
        }
    }

    fn look(&mut self) {
        let lines = self.world.lines();
        self.ignored +=
            lines.iter().filter(|line| line.starts_with("ignore") && !line.contains("eap-stalled")).count() as u64;
        for line in lines.iter().filter(|line| line.starts_with("accept")) {
            let by_record = line.contains("lookup=found") && line.contains("rule=Compliant")
                || line.contains("lookup=found") && line.contains("rule=NonCompliant");
            let by_denial = line.contains("lookup=not-found") && line.contains("rule=Unregistered");
            let by_memory = line.contains("rule=Outage") && !line.contains("lookup=found");
            assert!(by_record || by_denial || by_memory, "{line}");
        }
        let waiting = self.world.engine.waiting();
        assert!(waiting <= ROOM.parked + ROOM.delayed, "{waiting} wait");
        let now = self.world.now.mono;
        self.arrivals.retain(|arrival| now.since(*arrival) < DEADLINE);
        assert!(waiting <= self.arrivals.len(), "{waiting} wait, {} came within the deadline", self.arrivals.len());
        let accounted = self.replied + self.dropped() + self.ignored + waiting as u64;
        assert_eq!(self.received, accounted, "every datagram is answered, dropped with a reason, ignored, or waits");
    }

    fn dropped(&self) -> u64 {
        let of_clients = self.snapshots.iter().flat_map(|snapshot| snapshot.clients.list()).map(|client| {
            client.cells.iter().flat_map(|cells| &cells.drops).map(|counter| counter.value()).sum::<u64>()
        });
        let of_strangers = self.world.cells.strangers.drops.iter().map(|counter| counter.value()).sum::<u64>();
        of_clients.sum::<u64>() + of_strangers
    }

    fn finish(&mut self) {
        let replies = self.world.advance(DEADLINE);
        self.check(&replies);
        self.look();
        assert_eq!(self.world.engine.waiting(), 0, "nobody waits longer than the deadline");
        self.world.engine.drain();
    }
}

fn is_about(key: Key, name: &str) -> bool {
    match key {
        Key::Mac(asked) => asked == mac(name),
        Key::Device(asked) => asked == guid(mac(name)),
    }
}

fn sender(which: u8) -> SocketAddr {
    ([127, 0, 0, 1 + (which & 1)], 40_000 + u16::from(which >> 1 & 3)).into()
}
