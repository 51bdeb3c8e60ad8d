//! A toy world around one engine: a clock that is moved by hand, questions that are answered by hand, replies in a list.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use radmit::{
    clock::{Mono, Now, Wall},
    device::{
        directory::{Ages, Capacity, Directory, Inserted, Told},
        identifier::{EntraId, Guid, IntuneId, MacAddress},
        question::{Answer, Failure, Key, Outcome, Question, Questions, ServerIndex},
        record::{Compliance, DeviceDetails, DeviceRecord, Origin},
    },
    dictionary::Dictionary,
    engine::{
        Engine, Parts, Room,
        action::{Datagram, Outbox, Peer, Port, Route},
        arrival::Arrival,
        client::{Client, Clients, EapOptions, MabPassword, MacFrom, MessageAuthenticatorMode, Network},
        event::{Event, EventSink},
        hits::Hits,
        machine::Machine as _,
        snapshot::{EapTls, IdentifierKind, MdmServer, Snapshot},
        work::{Done, Workers},
    },
    metrics::{
        engine::{ClientCells, ShardCells},
        mdm::ServerCells,
    },
    policy::acl::Downloads,
    radius::{code::Code, kind, packet::Packet, request::RequestBuffer, request::verify_reply, secret::Secret},
};

use super::policy::policy_of;

pub(crate) const SECRET: &str = "testing123";
pub(crate) const LAPTOP: &str = "a4c3f0112233";
pub(crate) const SERVER: ServerIndex = ServerIndex(0);

/// The world.
pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) engine: Engine,
    pub(crate) questions: Arc<ToyQuestions>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) shared: Arc<ArcSwap<Snapshot>>,
    pub(crate) events: Arc<Mutex<Vec<String>>>,
    pub(crate) cells: Arc<ShardCells>,
    /// What is counted about all servers.
    pub(crate) mdm: Arc<ServerCells>,
    pub(crate) sent: Sent,
    identifier: u8,
    setting: Setting,
}

/// Replies, with when they left.
#[derive(Default)]
pub(crate) struct Sent(pub(crate) Vec<(Peer, Vec<u8>)>);

impl Outbox for Sent {
    fn send(&mut self, to: &Peer, octets: &[u8]) {
        self.0.push((*to, octets.to_vec()));
    }
}

/// Notes what is asked; refuses if told so.
#[derive(Default)]
pub(crate) struct ToyQuestions {
    pub(crate) asked: Mutex<Vec<Question>>,
    pub(crate) refuse: Mutex<Option<Failure>>,
    /// Who answers by itself, in a simulation.
    pub(crate) cloud: OnceLock<Arc<dyn Questions>>,
}

impl Questions for ToyQuestions {
    fn ask(&self, question: Question) -> Result<(), Failure> {
        if let Some(cloud) = self.cloud.get() {
            return cloud.ask(question);
        }
        if let Some(failure) = *self.refuse.lock().unwrap() {
            return Err(failure);
        }
        self.asked.lock().unwrap().push(question);
        Ok(())
    }
}

/// Keeps each event as one line.
struct ToyEvents {
    lines: Arc<Mutex<Vec<String>>>,
}

impl EventSink for ToyEvents {
    fn tell(&mut self, event: &Event<'_>) -> bool {
        let line = match event {
            Event::Decision(decision) => format!(
                "{} {} {} lookup={} source={} rule={}",
                decision.verdict,
                decision.reason,
                decision.method,
                decision.mdm.map_or("-", |mdm| mdm.lookup),
                decision.mdm.and_then(|mdm| mdm.source).unwrap_or("-"),
                decision.rule.unwrap_or("-"),
            ),
            Event::Drops(drops) => {
                format!("drop {} {} x{}", drops.reason.label(), drops.detail.unwrap_or("-"), drops.count)
            }
            Event::Accounting(_) => "accounting".to_owned(),
        };
        self.lines.lock().unwrap().push(line);
        true
    }

    fn flush(&mut self, _now: Now) {}
}

/// What a test may set before the world begins.
pub(crate) struct Setting {
    pub(crate) policy: &'static str,
    pub(crate) vendor: &'static str,
    pub(crate) client: fn(&mut Client),
    pub(crate) eap_tls: Option<EapTls>,
    pub(crate) workers: Option<Arc<dyn Workers>>,
    pub(crate) reject_delay: Duration,
    pub(crate) shard: u16,
    pub(crate) servers: usize,
    pub(crate) room: Room,
    pub(crate) ages: Ages,
    pub(crate) capacity: Capacity,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            policy: POLICY,
            vendor: "generic",
            client: |_| {},
            eap_tls: None,
            workers: None,
            reject_delay: Duration::ZERO,
            shard: 0,
            servers: 1,
            room: Room { replies: 64, parked: 64, delayed: 64 },
            ages: Ages { mac_can_be_asked: true, ..Ages::default() },
            capacity: Capacity { devices: 1_000, outside: 1_000 },
        }
    }
}

/// The policy of a world that sets none.
pub(crate) const POLICY: &str = r#"
version = 1
[policy-set]
name = "All"
rank = 10
[[rule]]
name = "Blocked"
when = { identity.mac = "A4-C3-F0-66-66-66" }
result = "deny"
[[rule]]
name = "Nothing said"
when = { identity.mac = "A4-C3-F0-77-77-77" }
result = "silent"
[[rule]]
name = "Compliant"
when = { mdm.registered = true, mdm.compliant = true }
result = "employee"
[[rule]]
name = "NonCompliant"
when = { mdm.registered = true, mdm.compliant = false }
result = "quarantine"
[[rule]]
name = "Outage"
when = { mdm.reachable = false, mdm.last-compliant = { within = "24h" } }
result = "employee"
[[rule]]
name = "Unregistered"
when = { mdm.registered = false }
result = "enrol"
[profile.employee]
access = "accept"
vlan = 20
[profile.quarantine]
access = "accept"
vlan = 66
[profile.enrol]
access = "accept"
vlan = 99
[profile.silent]
access = "ignore"
"#;

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Setting::default())
    }

    pub(crate) fn with(setting: Setting) -> Self {
        let lines = Arc::default();
        let events = Box::new(ToyEvents { lines: Arc::clone(&lines) });
        Self { events: lines, ..Self::telling(setting, events) }
    }

    /// A world whose events go to `events`; its own list stays empty.
    pub(crate) fn telling(setting: Setting, events: Box<dyn EventSink>) -> Self {
        let now = Now { mono: Mono::from_nanos(3_600_000_000_000), wall: Wall::from_secs(1_800_000_000) };
        let directory = Arc::new(Directory::new(setting.capacity));
        let mdm = Arc::<ServerCells>::default();
        let shared = Arc::new(ArcSwap::from_pointee(snapshot(&setting, &directory, &mdm, &|_| {})));
        let questions = Arc::new(ToyQuestions::default());
        let cells = Arc::new(ShardCells::default());
        let engine = Engine::new(Parts {
            shard: setting.shard,
            shared: Arc::clone(&shared),
            dialogues: Arc::new(radmit::engine::dialogue::Dialogues::new(radmit::eap::sessions::Bounds::default())),
            workers: setting.workers.clone(),
            questions: Arc::clone(&questions) as Arc<dyn Questions>,
            events,
            cells: Arc::clone(&cells),
            seed: 7,
            pseudonyms: radmit::engine::pseudonym::Pseudonyms::new(&mut radmit::eap::chance::SeededChance::new(7)),
            room: setting.room,
        });
        let (events, sent) = (Arc::default(), Sent::default());
        Self { now, engine, questions, directory, shared, events, cells, mdm, sent, identifier: 0, setting }
    }

    /// A MAC bypass as a switch sends it, with the next Identifier.
    pub(crate) fn mab(&mut self, mac: &str) -> Vec<u8> {
        self.request(|buffer, secret| {
            buffer.push(kind::USER_NAME, mac.as_bytes()).unwrap();
            buffer.push_password(mac.as_bytes(), secret).unwrap();
            buffer.push_u32(kind::SERVICE_TYPE, 10).unwrap();
            buffer.push_u32(kind::NAS_PORT_TYPE, 15).unwrap();
        })
    }

    /// A signed Access-Request with the next Identifier.
    pub(crate) fn request(&mut self, fill: impl FnOnce(&mut RequestBuffer, &Secret)) -> Vec<u8> {
        self.identifier = self.identifier.wrapping_add(1);
        let secret = Secret::new(SECRET.into()).unwrap();
        let mut authenticator = [0x55; 16];
        authenticator[0] = self.identifier;
        let mut buffer = RequestBuffer::new();
        buffer.start_request(Code::ACCESS_REQUEST, self.identifier, &authenticator);
        fill(&mut buffer, &secret);
        buffer.sign(&secret).to_vec()
    }

    /// Hands a datagram to the engine and returns what it sends at once.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        self.send_to(Port::Auth, octets)
    }

    pub(crate) fn send_to(&mut self, port: Port, octets: &[u8]) -> Vec<Vec<u8>> {
        self.send_from(([127, 0, 0, 1], 40_000).into(), port, octets)
    }

    pub(crate) fn send_from(&mut self, from: SocketAddr, port: Port, octets: &[u8]) -> Vec<Vec<u8>> {
        self.engine.begin(self.now);
        self.engine.handle(self.now, &Datagram { octets, peer: peer(from), port }.into(), &mut self.sent);
        self.engine.expire(self.now, &mut self.sent);
        self.engine.end(self.now, &mut self.sent);
        self.take()
    }

    /// Sends a datagram that a shard receives in the turn in which the policy was swapped, after the turn had begun.
    pub(crate) fn send_while_swapping(&mut self, policy: &'static str, octets: &[u8]) -> Vec<Vec<u8>> {
        self.engine.begin(self.now);
        swap_policy(self, policy);
        let peer = peer(([127, 0, 0, 1], 40_000).into());
        let mut batch = [Some(Datagram { octets, peer, port: Port::Auth }.into())];
        self.engine.look(&mut batch);
        for arrival in Arrival::in_turn(&batch) {
            self.engine.handle(self.now, arrival, &mut self.sent);
        }
        self.engine.end(self.now, &mut self.sent);
        self.take()
    }

    /// Hands datagrams to the engine in batches of this size, each in the order of its arrival, and returns what it sends and
    /// to whom.
    pub(crate) fn send_batches(
        &mut self,
        datagrams: &[(SocketAddr, Port, Vec<u8>)],
        size: usize,
    ) -> Vec<(Peer, Vec<u8>)> {
        for batch in datagrams.chunks(size) {
            self.send_batch(batch, |arrivals| arrivals.iter().flatten().collect());
        }
        std::mem::take(&mut self.sent.0)
    }

    /// Hands one batch to the engine as a shard does, and returns what it sends and to whom.
    pub(crate) fn send_in_turn(&mut self, batch: &[(SocketAddr, Port, Vec<u8>)]) -> Vec<(Peer, Vec<u8>)> {
        self.send_batch(batch, |arrivals| Arrival::in_turn(arrivals).collect());
        std::mem::take(&mut self.sent.0)
    }

    fn send_batch(
        &mut self,
        batch: &[(SocketAddr, Port, Vec<u8>)],
        order: for<'a, 'b> fn(&'a [Option<Arrival<'b>>]) -> Vec<&'a Arrival<'b>>,
    ) {
        let mut arrivals: Vec<Option<Arrival<'_>>> = batch
            .iter()
            .map(|(address, port, octets)| Some(Datagram { octets, peer: peer(*address), port: *port }.into()))
            .collect();
        self.engine.begin(self.now);
        self.engine.look(&mut arrivals);
        for arrival in order(&arrivals) {
            self.engine.handle(self.now, arrival, &mut self.sent);
        }
        self.engine.expire(self.now, &mut self.sent);
        self.engine.end(self.now, &mut self.sent);
    }

    /// Moves the clock, stopping wherever the engine wants to be woken, and returns what is sent meanwhile.
    pub(crate) fn advance(&mut self, by: Duration) -> Vec<Vec<u8>> {
        let until = self.now.mono.plus(by);
        loop {
            let wake = self.engine.wake_at();
            if wake > until {
                break;
            }
            self.now = self.now.advanced(wake.since(self.now.mono));
            self.engine.begin(self.now);
            self.engine.expire(self.now, &mut self.sent);
            self.engine.end(self.now, &mut self.sent);
        }
        self.now = self.now.advanced(until.since(self.now.mono));
        self.take()
    }

    /// Answers a question and returns what is sent then.
    pub(crate) fn answer(&mut self, server: ServerIndex, key: Key, outcome: Outcome) -> Vec<Vec<u8>> {
        self.engine.begin(self.now);
        self.engine.resume(self.now, &Answer { server, key, outcome }, &mut self.sent);
        self.engine.end(self.now, &mut self.sent);
        self.take()
    }

    /// Hands a computed handshake to the engine and returns what it sends then.
    pub(crate) fn finish(&mut self, done: Done) -> Vec<Vec<u8>> {
        self.engine.begin(self.now);
        self.engine.finished(self.now, done, &mut self.sent);
        self.engine.end(self.now, &mut self.sent);
        self.take()
    }

    pub(crate) fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut *self.questions.asked.lock().unwrap())
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    /// The one line that was told since the last look.
    pub(crate) fn line(&self) -> String {
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.into_iter().next().unwrap()
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sent.0).into_iter().map(|(_, octets)| octets).collect()
    }

    /// Puts a device into the directory of the first server, answered now.
    pub(crate) fn know(&mut self, mac: &str, compliance: Compliance) -> Arc<DeviceRecord> {
        match self.directory.insert(self.record(mac, compliance), Told::Everything) {
            Inserted::Kept(record) => record,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn record(&self, mac: &str, compliance: Compliance) -> DeviceRecord {
        let mac = MacAddress::parse(mac.as_bytes()).unwrap();
        DeviceRecord {
            intune_id: IntuneId(guid(mac)),
            entra_id: Some(EntraId(Guid::new([0xee; 16]))),
            wifi_mac: None,
            ethernet_mac: Some(mac),
            ethernet_told: true,
            managed: true,
            compliance,
            details: Arc::new(DeviceDetails::default()),
            answered_at: self.now.mono,
            origin: Origin::Lookup,
        }
    }
}

const fn peer(address: SocketAddr) -> Peer {
    Peer { address, route: Route { listener: 0, local: None, interface: 0 } }
}

/// Swaps the configuration for one whose client was changed, as a reload would.
pub(crate) fn swap_client(world: &World, change: impl Fn(&mut Client)) {
    world.shared.store(Arc::new(snapshot(&world.setting, &world.directory, &world.mdm, &change)));
}

fn snapshot(
    setting: &Setting,
    directory: &Arc<Directory>,
    mdm: &Arc<ServerCells>,
    change: &dyn Fn(&mut Client),
) -> Snapshot {
    static DICTIONARY: LazyLock<Arc<Dictionary>> = LazyLock::new(|| Arc::new(Dictionary::builtin().clone()));
    let names: Vec<Box<str>> = (0..setting.servers).map(|at| format!("mdm-{at}").into()).collect();
    let policy = policy_of(setting.policy, &names);
    let mut client = Client {
        index: 0,
        name: "switches".into(),
        secret: Secret::new(SECRET.into()).unwrap(),
        vendor: policy.vendor(setting.vendor).unwrap(),
        vendor_name: setting.vendor.into(),
        groups: Box::default(),
        message_authenticator: MessageAuthenticatorMode::Require,
        trust_authorize_only: false,
        mab_password: MabPassword::Mac,
        mac_from: MacFrom::Either,
        eap: EapOptions::default(),
        decision_deadline: Duration::from_secs(2),
        cells: Arc::new([ClientCells::default()]),
    };
    (setting.client)(&mut client);
    change(&mut client);
    let servers: Vec<MdmServer> = names
        .into_iter()
        .enumerate()
        .map(|(at, name)| MdmServer {
            index: ServerIndex(u8::try_from(at).unwrap()),
            name,
            directory: if at == 0 {
                Arc::clone(directory)
            } else {
                Arc::new(Directory::new(Capacity { devices: 1_000, outside: 1_000 }))
            },
            ages: setting.ages,
            lookup_timeout: Duration::from_millis(1500),
            identifiers: vec![IdentifierKind::CertificateSan, IdentifierKind::Attribute, IdentifierKind::Mac],
            device_id_attributes: vec![Dictionary::builtin().attribute("Cisco-AVPair").unwrap().clone()],
            grace_is_compliant: true,
            cells: Arc::clone(mdm),
        })
        .collect();
    Snapshot {
        hash: "toy".into(),
        clients: Clients::new(vec![(client, vec![Network::parse("127.0.0.0/8").unwrap()])]),
        dictionary: Arc::clone(&DICTIONARY),
        servers_of_sets: policy.sets().iter().map(|_| (0..servers.len()).collect()).collect(),
        hits: Hits::new(&policy, 1),
        downloads: Downloads::new(policy.downloads().map(Arc::clone)),
        policy,
        servers,
        zone: jiff::tz::TimeZone::UTC,
        eap_tls: setting.eap_tls.clone(),
        reject_delay: setting.reject_delay,
    }
}

/// Swaps the policy, as a reload would.
pub(crate) fn swap_policy(world: &mut World, policy: &'static str) {
    world.setting.policy = policy;
    let mut new = snapshot(&world.setting, &world.directory, &world.mdm, &|_| {});
    let old = world.shared.load_full();
    new.downloads = std::mem::take(&mut new.downloads).after(&old.downloads, world.now.mono, Duration::from_secs(3600));
    world.shared.store(Arc::new(new));
}

/// The Intune id that the toy world gives the device with this MAC.
pub(crate) fn guid(mac: MacAddress) -> Guid {
    let mut octets = [7; 16];
    octets[10..].copy_from_slice(&mac.octets());
    Guid::new(octets)
}

pub(crate) fn mac(text: &str) -> MacAddress {
    MacAddress::parse(text.as_bytes()).unwrap()
}

/// The code of the only reply, after checking that the reply really answers the request.
pub(crate) fn code_of(replies: &[Vec<u8>], request: &[u8]) -> Code {
    assert_eq!(replies.len(), 1, "one reply");
    let secret = Secret::new(SECRET.into()).unwrap();
    let reply = Packet::parse(&replies[0]).unwrap();
    verify_reply(&reply, &Packet::parse(request).unwrap(), &secret).unwrap();
    assert_eq!(reply.octets().get(20), Some(&kind::MESSAGE_AUTHENTICATOR), "Message-Authenticator stands first");
    reply.code()
}

/// The VLAN that a reply assigns.
pub(crate) fn vlan_of(reply: &[u8]) -> Option<String> {
    let packet = Packet::parse(reply).unwrap();
    packet.first(kind::TUNNEL_PRIVATE_GROUP_ID).map(|value| String::from_utf8(value.to_vec()).unwrap())
}
