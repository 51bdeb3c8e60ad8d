//! `radmit explain`: why a request is decided as it is.
//!
//! Owns its arguments, which client a request is taken to come from, and the exit code. Deciding and tracing is
//! `policy::explain`'s business; how it looks is `explanation`'s.

use std::{
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use crate::{
    clock::{self, Now},
    config::files::{Files, SystemFiles},
    daemon::{
        inquiry::inquire,
        load::{Loaded, load},
        snapshot::{Lasting, build},
    },
    device::{
        identifier::{Guid, MacAddress},
        question::{Failure, Key, Outcome},
    },
    dictionary::{
        Path as AttributePath,
        list::{self, Pair},
    },
    document::Source,
    engine::{
        action::{Peer, Route},
        admit::Admitted,
        authenticate::{Authenticated, Macs, authenticate},
        client::Client,
        decide::{Case, RequestPlace},
        event::RejectReason,
        identity::{DeviceIds, IdSource, Identity, medium_of},
        snapshot::Snapshot,
    },
    limits,
    mdm::{live, settings::Settings as MdmSettings},
    policy::{
        decision::Access,
        facts::{DeviceIdSource, Facts, Method},
        facts_file,
        given::GivenFacts,
        replay, sample,
    },
    problem::Problems,
    radius::{checks::Proof, hidden, kind, packet::Packet, secret::Secret},
    store::keeper::recall,
};

use super::{
    arguments::ConfigArgument,
    check::Format,
    explanation::{Asked, Explanation},
    output,
};

/// The exit codes beside 0 for an accept.
const REJECT: u8 = 1;
const UNDECIDED: u8 = 2;
const IGNORE: u8 = 3;

/// Arguments of `radmit explain`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The request's attributes as radclient takes them; - reads standard input
    #[arg(long, value_name = "FILE|-", required_unless_present_any = ["attribute", "decision"])]
    request: Option<PathBuf>,
    /// One more attribute of the request, as in 'User-Name = a4c3f0112233'; may be repeated
    #[arg(short = 'a', long, value_name = "NAME=VALUE")]
    attribute: Vec<String>,
    /// Instead of a request: a line of the decision log, and why it was decided so, by the policy of now
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["request", "attribute", "mdm", "fact", "live", "saved"])]
    decision: Option<PathBuf>,
    /// What is known about the device: a TOML file with tables such as `mdm` and `identity`; without it nobody was asked
    #[arg(long, value_name = "FILE")]
    mdm: Option<PathBuf>,
    /// One more fact, as in mdm.compliant=true; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    fact: Vec<String>,
    /// Ask the MDM servers now
    #[arg(long, conflicts_with_all = ["mdm", "saved"])]
    live: bool,
    /// Take what is known about the device from the saved state, as a server that starts now would
    #[arg(long, conflicts_with = "mdm")]
    saved: bool,
    /// The client that asks [default: the one with the request's NAS-IP-Address, or the only one]
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let mut problems = Problems::new();
    match explained(arguments, &mut problems) {
        Ok(access) => match access {
            Access::Accept => ExitCode::SUCCESS,
            Access::Reject => ExitCode::from(REJECT),
            Access::Ignore => ExitCode::from(IGNORE),
        },
        Err(message) => {
            output::problems(&problems, false);
            output::complain(format!("radmit explain: {message}"));
            ExitCode::from(UNDECIDED)
        }
    }
}

fn explained(arguments: &Arguments, problems: &mut Problems) -> Result<Access, String> {
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let loaded =
        load(arguments.config.config.as_deref(), &files, problems).ok_or("the configuration can't be loaded")?;
    // Warnings of the configuration are `check`'s to tell.
    *problems = Problems::new();
    let world = World::new(loaded);
    if let Some(path) = &arguments.decision {
        return explain_line(&world, path, arguments.format);
    }
    explain_request(&world, arguments, problems)
}

/// The configuration as the server would run it, and how its MDM servers are asked.
struct World {
    snapshot: Snapshot,
    mdm: Vec<MdmSettings>,
    state_dir: PathBuf,
}

impl World {
    fn new(loaded: Loaded) -> Self {
        let mdm = loaded.configuration.mdm.iter().map(|server| server.settings.clone()).collect();
        let state_dir = loaded.configuration.server.state_dir.clone();
        let (mut snapshot, _) = build(loaded, &Lasting::nothing(1));
        for server in &mut snapshot.servers {
            // There is no index of addresses yet that could tell; whoever asks live searches the lists for them.
            server.ages.mac_can_be_asked = true;
        }
        Self { snapshot, mdm, state_dir }
    }

    /// Loads what is saved of each server.
    fn recall(&self) -> Result<(), String> {
        for server in &self.snapshot.servers {
            let settings = self.mdm.iter().find(|settings| *settings.name == *server.name);
            if let Some(identity) = settings.and_then(MdmSettings::identity) {
                recall(&self.state_dir, &server.name, &identity, &server.directory)
                    .map_err(|why| format!("{}: {why}", self.state_dir.display()))?;
            }
        }
        Ok(())
    }

    /// The client that a request is taken to come from.
    fn client(&self, named: Option<&str>, packet: &Packet<'_>) -> Result<Option<&Arc<Client>>, String> {
        let clients = self.snapshot.clients.list();
        if let Some(named) = named {
            let found = clients.iter().find(|client| &*client.name == named);
            return found.map(Some).ok_or_else(|| format!("there is no client \"{named}\""));
        }
        let address: Option<[u8; 4]> = packet.first(kind::NAS_IP_ADDRESS).and_then(|value| value.try_into().ok());
        let found = address.and_then(|address| self.snapshot.clients.find(IpAddr::from(address)));
        Ok(found.or(if let [only] = clients { Some(only) } else { None }))
    }
}

fn explain_line(world: &World, path: &Path, format: Format) -> Result<Access, String> {
    let source = read_source(path)?;
    let line = source.text().lines().find(|line| !line.trim().is_empty()).ok_or("the file is empty")?;
    let logged = replay::read(line, &world.snapshot.dictionary)?;
    let mut logged = logged.ok_or("the line is no decision that a policy made")?;
    let clients = world.snapshot.clients.list();
    let client = clients.iter().find(|client| Some(&*client.name) == logged.client()).cloned();
    if let Some(client) = &client {
        logged.supply("client.vendor", [&*client.vendor_name])?;
        logged.supply("client.group", client.groups.iter().map(|group| &**group))?;
    }
    let facts = logged.facts(&world.snapshot.zone).ok_or("the request's attributes make no packet")?;
    let explanation = Explanation::of(&world.snapshot, &facts, client.as_deref(), Vec::new());
    explanation.show(format);
    Ok(explanation.access())
}

fn explain_request(world: &World, arguments: &Arguments, problems: &mut Problems) -> Result<Access, String> {
    let now = clock::now();
    let pairs = read_pairs(world, arguments, problems)?;
    let octets = sample::datagram(&pairs).map_err(|full| full.sentence().to_owned())?;
    let plain = Packet::parse(&octets).map_err(|broken| broken.sentence().to_owned())?;
    let client = world.client(arguments.client.as_deref(), &plain)?;
    let mut given = read_given(arguments, problems)?;
    let has_certificate = given.facts(plain, now, &world.snapshot.zone).certificate.is_some();
    // Whoever gives these says who the device is, and that it has shown so.
    let given_identity = ["identity.mac", "identity.device-id", "session.method"];
    let is_as_it_came = !has_certificate && !given_identity.into_iter().any(|fact| given.has(fact));
    if let Some(client) = client {
        give_client(&mut given, client)?;
    }
    let octets = match client {
        Some(client) => sample::datagram(&with_hidden_passwords(pairs, &client.secret)?),
        None => Ok(octets.clone()),
    };
    let octets = octets.map_err(|full| full.sentence().to_owned())?;
    let packet = Packet::parse(&octets).map_err(|broken| broken.sentence().to_owned())?;
    let is_eap = packet.has(kind::EAP_MESSAGE);
    let mut identity = None;
    if let Some(client) = client.filter(|_| is_as_it_came && !is_eap) {
        // What the server rejects before it asks policy must not look like a matter of policy here.
        let admitted = Admitted { packet, proof: Proof::of(&packet, &client.secret), is_signed: true };
        match authenticate(&admitted, &Macs::read(&packet), client) {
            Authenticated::Rejected { reason, .. } if reason != RejectReason::NoCredentials => {
                Explanation::refused(client, reason).show(arguments.format);
                return Ok(Access::Reject);
            }
            Authenticated::Rejected { .. } => {}
            Authenticated::Device(found) => identity = Some(found),
        }
    }
    let facts = given.facts(packet, now, &world.snapshot.zone);
    let identity = identity.unwrap_or_else(|| identity_of(&facts));
    let (facts, asked) = match client {
        Some(client) if arguments.live || arguments.saved => {
            if arguments.saved {
                world.recall()?;
            }
            let inquiry = Inquiry { world, client, identity, now, is_live: arguments.live };
            return inquiry.explain(facts, arguments.format);
        }
        None if arguments.live || arguments.saved => {
            return Err("name the client that asks with --client".to_owned());
        }
        _ => (facts, Vec::new()),
    };
    let explanation = Explanation::of(&world.snapshot, &facts, client.map(|client| &**client), asked);
    explanation.show(arguments.format);
    Ok(explanation.access())
}

/// The request's attributes. Message-Authenticator is left out: lines to paste carry it, and nothing is signed here.
fn read_pairs(world: &World, arguments: &Arguments, problems: &mut Problems) -> Result<Vec<Pair>, String> {
    let mut sources = Vec::new();
    if let Some(path) = &arguments.request {
        sources.push(read_source(path)?);
    }
    sources.extend(arguments.attribute.iter().map(|text| Source::new("--attribute", text.as_str())));
    let dictionary = &world.snapshot.dictionary;
    let mut pairs: Vec<Pair> = sources.iter().flat_map(|source| list::parse(source, dictionary, problems)).collect();
    pairs.retain(|pair| pair.attribute.path() != AttributePath::standard(kind::MESSAGE_AUTHENTICATOR));
    if problems.has_errors() { Err("the request can't be used".to_owned()) } else { Ok(pairs) }
}

fn read_given(arguments: &Arguments, problems: &mut Problems) -> Result<GivenFacts, String> {
    let mut given = match &arguments.mdm {
        None => GivenFacts::new(),
        Some(path) => facts_file::read(&read_source(path)?, problems).ok_or("the facts can't be used")?,
    };
    for fact in &arguments.fact {
        let (name, value) = fact.split_once('=').ok_or_else(|| format!("\"{fact}\" is no fact; write NAME=VALUE"))?;
        given.give(name.trim(), value.trim().trim_matches('"'))?;
    }
    match given.contradiction() {
        Some(contradiction) => Err(contradiction),
        None => Ok(given),
    }
}

/// What the configuration says of the client, unless it was given.
fn give_client(given: &mut GivenFacts, client: &Client) -> Result<(), String> {
    let has_groups = given.has("client.group");
    for (fact, value) in [("client.name", &client.name), ("client.vendor", &client.vendor_name)] {
        if !given.has(fact) {
            given.give(fact, value)?;
        }
    }
    for group in client.groups.iter().filter(|_| !has_groups) {
        given.give("client.group", group)?;
    }
    Ok(())
}

/// User-Password as it would stand in a packet.
fn with_hidden_passwords(mut pairs: Vec<Pair>, secret: &Secret) -> Result<Vec<Pair>, String> {
    for pair in pairs.iter_mut().filter(|pair| pair.attribute.path() == AttributePath::standard(kind::USER_PASSWORD)) {
        let mut room: hidden::HiddenBuffer = [0; limits::VALUE_OCTETS_MAX];
        let octets = hidden::hide_password(&pair.content, &[0; 16], secret, &mut room);
        pair.content = octets.map_err(|full| full.sentence().to_owned())?.to_vec();
    }
    Ok(pairs)
}

/// Who the facts are about.
fn identity_of(facts: &Facts<'_>) -> Identity {
    let mut device_ids = DeviceIds::default();
    if let Some(id) = facts.identity.device_id {
        let source = match facts.identity.device_id_source {
            Some(DeviceIdSource::CertificateCn) => IdSource::CertificateCn,
            Some(DeviceIdSource::Attribute) => IdSource::Attribute,
            _ => IdSource::CertificateSan,
        };
        device_ids.push(Guid::new(id), source);
    }
    Identity {
        // Only with a certificate is there an id in one.
        method: if device_ids.is_empty() { facts.session.method } else { Method::EapTls },
        mac: facts.identity.mac.map(MacAddress::new),
        device_ids,
        medium: medium_of(&facts.packet),
    }
}

/// One device, looked up now.
struct Inquiry<'w> {
    world: &'w World,
    client: &'w Arc<Client>,
    identity: Identity,
    now: Now,
    /// Whether the servers are asked; otherwise only what is saved counts.
    is_live: bool,
}

impl Inquiry<'_> {
    /// Explains with what the servers say now in place of what was given of it.
    fn explain(&self, facts: Facts<'_>, format: Format) -> Result<Access, String> {
        let snapshot = &self.world.snapshot;
        let mut asked = Vec::new();
        let packet = facts.packet;
        let set = snapshot.policy.choose_set(&facts);
        let allowed =
            set.filter(|set| snapshot.policy.set(*set).is_some_and(|set| set.methods.allows(facts.session.method)));
        let Some(set) = allowed else {
            // The server asks nobody either.
            let explanation = Explanation::of(snapshot, &facts, Some(self.client), asked);
            explanation.show(format);
            return Ok(explanation.access());
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        let mut ask = |server: &crate::engine::snapshot::MdmServer, key: Key| {
            let settings = self.world.mdm.iter().find(|settings| *settings.name == *server.name);
            let settings = settings.filter(|_| self.is_live);
            let answer = settings.map(|settings| runtime.block_on(live::look_up(settings, key)));
            let (outcome, why) = match answer {
                Some(Ok(answer)) => (answer.outcome, answer.why),
                Some(Err(sentence)) => (Outcome::Failed(Failure::Misconfigured), Some(sentence)),
                None => {
                    let why = "the running server would ask; --live does".to_owned();
                    (Outcome::Failed(Failure::NotReady), Some(why))
                }
            };
            asked.push(Asked::new(&server.name, key, &outcome, why));
            outcome
        };
        let known = inquire(snapshot, set, &self.identity, &packet, self.now, &mut ask);
        let peer = Peer {
            address: (IpAddr::from([127, 0, 0, 1]), 0).into(),
            route: Route { listener: 0, local: None, interface: 0 },
        };
        // The clock of the lookup is later than the request's: ages would be negative.
        let now = clock::now();
        let place = RequestPlace::of(&packet);
        let case =
            Case { now, snapshot, packet, peer, place, client: self.client, identity: &self.identity, evidence: None };
        let found = case.facts(&known);
        let facts = Facts { identity: found.identity, mdm: found.mdm, ..facts };
        let explanation = Explanation::of(snapshot, &facts, Some(self.client), asked);
        explanation.show(format);
        Ok(explanation.access())
    }
}

fn read_source(path: &Path) -> Result<Source, String> {
    let most = u64::try_from(limits::FILE_OCTETS_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Source::new(path.to_string_lossy().into_owned(), text))
}
