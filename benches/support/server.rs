//! The whole product behind the sockets, with a fleet and the shipped policy: what the benches load.
//!
//! Owns how it is put together, as the daemon would from files. Measures nothing.

#![allow(dead_code, reason = "each bench uses its part")]

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use radmit::{
    device::{
        directory::{Ages, Directory},
        question::{Failure, Question, Questions, ServerIndex},
    },
    dictionary::Dictionary,
    document::Source,
    eap::{chance::SeededChance, sessions::Bounds},
    engine::{
        Engine, Parts, Room,
        client::{Client, Clients, EapOptions, MabPassword, MacFrom, MessageAuthenticatorMode, Network},
        dialogue::Dialogues,
        event::EventSink,
        hits::Hits,
        pseudonym::Pseudonyms,
        snapshot::{EapTls, IdentifierKind, MdmServer, Snapshot},
        work::Workers,
    },
    limits,
    metrics::{
        engine::{ClientCells, DROP_REASONS, EapResult, ShardCells},
        mdm::ServerCells,
    },
    policy::{
        acl::Downloads,
        compile,
        compiled::Policy,
        load::{Context, load},
        servers::Servers,
        vendor::Vendors,
    },
    problem::Problems,
};

use super::nas;

/// The policy that is shipped: what operators begin with.
const POLICY: &str = include_str!("../../policies/default.toml");
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A configuration, and what counts beside it.
pub(crate) struct Server {
    pub(crate) shared: Arc<ArcSwap<Snapshot>>,
    pub(crate) asked: Arc<Asked>,
    pub(crate) cells: Vec<Arc<ShardCells>>,
    pub(crate) dialogues: Arc<Dialogues>,
    /// Who computes handshakes; nobody: the shards.
    pub(crate) workers: Option<Arc<dyn Workers>>,
}

/// Counts questions and answers none: with fresh records there are none.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    count: AtomicU64,
    /// Whether they are taken all the same, so that their requests are parked until their deadlines.
    parks: AtomicBool,
}

impl Questions for Asked {
    fn ask(&self, _: Question) -> Result<(), Failure> {
        self.count.fetch_add(1, Relaxed);
        if self.parks.load(Relaxed) { Ok(()) } else { Err(Failure::Unreachable) }
    }
}

impl Server {
    /// `clients`: how many there are, of which the first covers loopback.
    pub(crate) fn new(directory: Arc<Directory>, clients: u32, shards: usize) -> Self {
        Self::with_eap(directory, clients, shards, None)
    }

    /// The same with EAP-TLS. One client may have all conversations that there can be.
    pub(crate) fn with_eap(directory: Arc<Directory>, clients: u32, shards: usize, eap_tls: Option<EapTls>) -> Self {
        let snapshot = Snapshot { eap_tls, ..snapshot(directory, clients, shards) };
        let cells = (0..shards).map(|_| Arc::default()).collect();
        let bounds = Bounds { of_client: limits::EAP_SESSIONS_MAX, ..Bounds::default() };
        Self {
            shared: Arc::new(ArcSwap::from_pointee(snapshot)),
            asked: Arc::default(),
            cells,
            dialogues: Arc::new(Dialogues::new(bounds)),
            workers: None,
        }
    }

    /// The engine of one shard.
    pub(crate) fn engine(&self, shard: usize, events: Box<dyn EventSink>) -> Engine {
        Engine::new(Parts {
            shard: u16::try_from(shard).expect("there are few"),
            shared: Arc::clone(&self.shared),
            dialogues: Arc::clone(&self.dialogues),
            workers: self.workers.clone(),
            questions: Arc::clone(&self.asked) as Arc<dyn Questions>,
            events,
            cells: Arc::clone(&self.cells[shard]),
            seed: 1,
            pseudonyms: Pseudonyms::new(&mut SeededChance::new(1)),
            room: Room::default(),
        })
    }

    /// From now on whoever is not known is asked for, and never answered.
    pub(crate) fn park_strangers(&self) {
        self.asked.parks.store(true, Relaxed);
        self.reload();
    }

    /// Compiles the policy and puts everything together anew, as a reload does.
    pub(crate) fn reload(&self) {
        let old = self.shared.load();
        let directory = old.servers.first().map(|server| Arc::clone(&server.directory)).expect("there is one");
        let clients = u32::try_from(old.clients.list().len()).expect("there are not so many");
        let mut new = snapshot(directory, clients, self.cells.len());
        new.servers.iter_mut().for_each(|server| server.ages.mac_can_be_asked = self.asked.parks.load(Relaxed));
        self.shared.store(Arc::new(new));
    }

    /// How many requests were decided by a rule. A reply from the store of replies is none.
    pub(crate) fn decided(&self) -> u64 {
        let snapshot = self.shared.load();
        snapshot.hits.total(&snapshot.policy)
    }

    /// How many clients sent something.
    pub(crate) fn clients_seen(&self) -> usize {
        let seen = |client: &&Client| client.cells.iter().any(|cells| cells.requests.iter().any(|of| of.value() > 0));
        self.shared.load().clients.list().iter().map(AsRef::as_ref).filter(seen).count()
    }

    /// How many requests the engine dropped, whatever the reason.
    pub(crate) fn dropped(&self) -> u64 {
        self.drops().iter().sum()
    }

    /// How many requests the engine dropped, in the order of `DROP_REASONS`.
    pub(crate) fn drops(&self) -> [u64; DROP_REASONS.len()] {
        let snapshot = self.shared.load();
        let of_clients = snapshot.clients.list().iter().flat_map(|client| client.cells.iter());
        let mut sums = [0; DROP_REASONS.len()];
        for cells in of_clients.chain(self.cells.iter().map(|cells| &cells.strangers)) {
            sums.iter_mut().zip(&cells.drops).for_each(|(sum, counter)| *sum += counter.value());
        }
        sums
    }

    /// How many conversations of EAP-TLS ended like this.
    pub(crate) fn ended(&self, result: EapResult) -> u64 {
        let of = |cells: &ShardCells, tls, is_resumed| cells.eap.cell(result, tls, is_resumed).value();
        let kinds = [Some("1.2"), Some("1.3"), None].into_iter().flat_map(|tls| [(tls, false), (tls, true)]);
        kinds.map(|(tls, is_resumed)| self.cells.iter().map(|cells| of(cells, tls, is_resumed)).sum::<u64>()).sum()
    }

    /// How many questions were asked, and how many events were lost: both must be none.
    pub(crate) fn asked_and_lost(&self) -> (u64, u64) {
        (self.asked.count.load(Relaxed), self.cells.iter().map(|cells| cells.events_lost.value()).sum())
    }
}

fn snapshot(directory: Arc<Directory>, clients: u32, shards: usize) -> Snapshot {
    let policy = policy();
    let clients = (0..clients.max(1)).map(|number| client(number, &policy, shards)).collect();
    let dictionary = Dictionary::builtin();
    let server = MdmServer {
        index: ServerIndex(0),
        name: "corp-intune".into(),
        directory,
        // Long enough that no bench makes a record old.
        ages: Ages { compliance_max_age: 30 * DAY, stale_for: 60 * DAY, ..Ages::default() },
        lookup_timeout: Duration::from_millis(1_500),
        identifiers: vec![IdentifierKind::CertificateSan, IdentifierKind::Attribute, IdentifierKind::Mac],
        device_id_attributes: dictionary.attribute("Cisco-AVPair").cloned().into_iter().collect(),
        grace_is_compliant: true,
        cells: Arc::new(ServerCells::new(shards)),
    };
    Snapshot {
        hash: "bench".into(),
        clients: Clients::new(clients),
        dictionary: Arc::new(dictionary.clone()),
        servers_of_sets: policy.sets().iter().map(|_| Box::from([0])).collect(),
        hits: Hits::new(&policy, shards),
        downloads: Downloads::default(),
        policy,
        servers: vec![server],
        zone: TimeZone::UTC,
        eap_tls: None,
        reject_delay: Duration::from_secs(1),
    }
}

fn policy() -> Policy {
    let mut problems = Problems::new();
    let servers = Servers::enabled(&["corp-intune".into()]);
    let context = Context {
        dictionary: Dictionary::builtin(),
        mdm_servers: Some(&servers),
        vendors: &Vendors::builtin(),
        clients: &[compile::plan::Client { name: "switches", groups: &[], vendor: "cisco" }],
        read_list: &|_, name| Err(format!("there is no {name}")),
    };
    let policy = load(&[Source::new("default.toml", POLICY)], &context, &mut problems);
    policy.unwrap_or_else(|| panic!("{:?}", problems.sorted()))
}

/// The only address of a client, but the first: that one has the rest of the loopback network.
pub(crate) fn address(number: u32) -> Ipv4Addr {
    let [_, a, b, c] = number.to_be_bytes();
    Ipv4Addr::new(127, 64 + a, b, c)
}

fn client(number: u32, policy: &Policy, shards: usize) -> (Client, Vec<Network>) {
    let network = if number == 0 { "127.0.0.0/8".to_owned() } else { format!("{}/32", address(number)) };
    let client = Client {
        index: number,
        name: format!("switch-{number}").into(),
        secret: nas::secret(),
        vendor: policy.vendor("cisco").expect("it is the vendor of the clients"),
        vendor_name: "cisco".into(),
        groups: Box::default(),
        message_authenticator: MessageAuthenticatorMode::Require,
        trust_authorize_only: false,
        mab_password: MabPassword::Mac,
        mac_from: MacFrom::Either,
        eap: EapOptions::default(),
        decision_deadline: Duration::from_secs(3),
        cells: (0..shards).map(|_| ClientCells::default()).collect(),
    };
    (client, vec![Network::parse(&network).expect("it is well-formed")])
}
