//! `radmit explain`: why a request is decided as it is.
//!
//! Owns its arguments, which client a request is taken to come from, and the exit code. Deciding and tracing is
//! `policy::explain`'s business; how it looks is `explanation`'s.

use std::{
    collections::HashMap,
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
        identifier::{Guid, MacAddress, device_id_in},
        question::{Failure, Key, Outcome},
    },
    engine::{
        action::{Peer, Route},
        admit::Admitted,
        authenticate::{Authenticated, Macs, authenticate},
        client::{Client, Network},
        decide::{Case, RequestPlace},
        event::RejectReason,
        identity::{DeviceIds, IdSource, Identity, mac_of, medium_of},
        snapshot::Snapshot,
    },
    mdm::{live, settings::Settings as MdmSettings},
    policy::{
        decision::Access,
        facts::{DeviceIdSource, Facts, Lookup, Method},
        facts_file,
        given::GivenFacts,
        replay, sample, trial,
    },
    problem::Problems,
    radius::{checks::Proof, kind, packet::Packet},
    store::keeper::recall,
};

use super::{
    arguments::ConfigArgument,
    check::Format,
    explanation::{Asked, Explanation},
    output,
    request::{as_sent, read_pairs, read_source},
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
    /// The first address of each client by its name.
    addresses: HashMap<Box<str>, IpAddr>,
}

impl World {
    fn new(loaded: Loaded) -> Self {
        let mdm = loaded.configuration.mdm.iter().map(|server| server.settings.clone()).collect();
        let state_dir = loaded.configuration.server.state_dir.clone();
        let addresses = loaded.configuration.clients.iter();
        let addresses =
            addresses.filter_map(|client| Some((client.name.clone(), first_address(*client.networks.first()?)?)));
        let addresses = addresses.collect();
        let (mut snapshot, _) = build(loaded, &Lasting::nothing(1));
        for server in &mut snapshot.servers {
            // There is no index of addresses yet that could tell; whoever asks live searches the lists for them.
            server.ages.mac_can_be_asked = true;
        }
        Self { snapshot, mdm, state_dir, addresses }
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
        let found = nas_addresses(packet).find_map(|address| self.snapshot.clients.find(address));
        Ok(found.or(if let [only] = clients { Some(only) } else { None }))
    }

    /// The address that the request came from: the one that it names, if that is the client's, else the client's first.
    fn address_of(&self, client: &Client, packet: &Packet<'_>) -> Option<IpAddr> {
        let is_its_own =
            |address: &IpAddr| self.snapshot.clients.find(*address).is_some_and(|found| found.index == client.index);
        nas_addresses(packet).find(is_its_own).or_else(|| self.addresses.get(&client.name).copied())
    }
}

/// NAS-IP-Address and NAS-IPv6-Address.
fn nas_addresses(packet: &Packet<'_>) -> impl Iterator<Item = IpAddr> {
    let four = packet.first(kind::NAS_IP_ADDRESS).and_then(|value| <[u8; 4]>::try_from(value).ok()).map(IpAddr::from);
    let six = packet.first(kind::NAS_IPV6_ADDRESS).and_then(|value| <[u8; 16]>::try_from(value).ok()).map(IpAddr::from);
    four.into_iter().chain(six)
}

fn first_address(network: Network) -> Option<IpAddr> {
    network.to_string().split('/').next()?.parse().ok()
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
    let dictionary = &world.snapshot.dictionary;
    let pairs = read_pairs(arguments.request.as_deref(), &arguments.attribute, dictionary, problems)?;
    let octets = sample::datagram(&pairs).map_err(|full| full.sentence().to_owned())?;
    let plain = Packet::parse(&octets).map_err(|broken| broken.sentence().to_owned())?;
    let client = world.client(arguments.client.as_deref(), &plain)?;
    let mut given = read_given(arguments, problems)?;
    if let Some(client) = client {
        give_client(&mut given, client, world.address_of(client, &plain))?;
    }
    trial::settle_grace(&world.snapshot.policy, &mut given, plain, now, &world.snapshot.zone);
    let octets = match client {
        Some(client) => sample::datagram(&as_sent(pairs, &client.secret)?),
        None => Ok(octets.clone()),
    };
    let octets = octets.map_err(|full| full.sentence().to_owned())?;
    let packet = Packet::parse(&octets).map_err(|broken| broken.sentence().to_owned())?;
    let mut facts = given.facts(packet, now, &world.snapshot.zone);
    let mut identity = None;
    if let Some(client) = client {
        // What the server rejects before it asks policy must not look like a matter of policy here.
        match judge(world, client, arguments, &given, &facts) {
            Judged::Rejected(reason) => {
                Explanation::refused(client, reason).show(arguments.format);
                return Ok(Access::Reject);
            }
            Judged::Device(found) => {
                facts.session.method = found.method;
                see_mac(&mut facts, found.mac);
                identity = Some(*found);
            }
            Judged::Mac(mac) => see_mac(&mut facts, mac),
            Judged::AsGiven => {}
        }
    }
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

/// What the server says of a request before policy.
enum Judged {
    /// It is rejected.
    Rejected(RejectReason),
    /// It is this device.
    Device(Box<Identity>),
    /// It is EAP, in which only Calling-Station-Id names the device's MAC.
    Mac(Option<MacAddress>),
    /// The facts that were given say who it is.
    AsGiven,
}

fn judge(world: &World, client: &Client, arguments: &Arguments, given: &GivenFacts, facts: &Facts<'_>) -> Judged {
    let packet = facts.packet;
    let is_eap = packet.has(kind::EAP_MESSAGE);
    if is_eap && world.snapshot.eap_tls.is_none() {
        return Judged::Rejected(RejectReason::EapNotOffered);
    }
    if given.has("identity.mac") {
        return Judged::AsGiven;
    }
    if is_eap || facts.certificate.is_some() {
        return Judged::Mac(mac_of(packet.first(kind::CALLING_STATION_ID)));
    }
    // Whoever gives these says who the device is, and that it has shown so.
    if ["identity.device-id", "session.method"].into_iter().any(|fact| given.has(fact)) {
        return Judged::AsGiven;
    }
    let admitted = Admitted { packet, proof: Proof::of(&packet, &client.secret), is_signed: true };
    let has_facts = arguments.mdm.is_some() || !arguments.fact.is_empty();
    match authenticate(&admitted, &Macs::read(&packet), client) {
        // A request that was cut down to what a rule asks for still shows what the rule does.
        Authenticated::Rejected { reason: RejectReason::NoCredentials, .. } if has_facts => Judged::AsGiven,
        Authenticated::Rejected { reason, .. } => Judged::Rejected(reason),
        Authenticated::Device(found) => Judged::Device(Box::new(found)),
    }
}

/// Puts the MAC of the device into the facts, as the server found it.
fn see_mac(facts: &mut Facts<'_>, mac: Option<MacAddress>) {
    let is_asked = facts.mdm.lookup != Lookup::NotAsked;
    let identity = &mut facts.identity;
    identity.mac = mac.map(|mac| mac.octets());
    if identity.device_id.is_none() {
        let source = identity.device_id_source.or(is_asked.then_some(DeviceIdSource::Mac));
        identity.device_id_source = source.filter(|_| mac.is_some());
        identity.proven = identity.proven.or(Some(false)).filter(|_| mac.is_some());
    }
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
fn give_client(given: &mut GivenFacts, client: &Client, address: Option<IpAddr>) -> Result<(), String> {
    if let Some(address) = address.filter(|_| !given.has("client.address")) {
        given.give("client.address", &address.to_string())?;
    }
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
    } else if let Some(certificate) = facts.certificate {
        for id in certificate.san_uri.iter().filter_map(|uri| device_id_in(uri.as_bytes())) {
            device_ids.push(id, IdSource::CertificateSan);
        }
        if let Some(id) = certificate.subject_cn.and_then(|name| device_id_in(name.as_bytes())) {
            device_ids.push(id, IdSource::CertificateCn);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::files::MemoryFiles,
        dictionary::{Dictionary, list},
        document::Source,
    };

    const RADMIT: &str = r#"
version = 1
[[client]]
name = "campus"
address = ["10.20.0.0/16", "2001:db8:20::/48"]
secret = "a secret of a fair length"
mac-from = "calling-station-id"
trust-authorize-only = true
[[client]]
name = "lab"
address = ["192.0.2.7"]
secret = "a secret of a fair length"
"#;

    const POLICY: &str = r#"
version = 1
[policy-set]
name = "s"
default = "permit"
"#;

    fn world() -> World {
        let files: Arc<dyn Files> =
            Arc::new(MemoryFiles::default().with("radmit.toml", RADMIT).with("policies/a.toml", POLICY));
        let mut problems = Problems::new();
        let loaded = load(Some(Path::new("radmit.toml")), &files, &mut problems);
        World::new(loaded.unwrap_or_else(|| panic!("{:?}", problems.sorted())))
    }

    fn arguments(facts: &[&str]) -> Arguments {
        use clap::{Args as _, FromArgMatches as _};
        let command = Arguments::augment_args(clap::Command::new("explain"));
        let mut words = vec!["explain", "-a", "User-Name = x"];
        words.extend(facts.iter().flat_map(|fact| ["--fact", *fact]));
        Arguments::from_arg_matches(&command.get_matches_from(words)).expect("they are right")
    }

    /// The client's address, the method and the MAC, or why the request is rejected before policy.
    fn seen(request: &str, facts: &[&str]) -> String {
        let (world, arguments) = (world(), arguments(facts));
        let pairs = list::parse(&Source::new("request", request), Dictionary::builtin(), &mut Problems::new());
        let plain = sample::datagram(&pairs).expect("few attributes");
        let plain = Packet::parse(&plain).expect("well-formed");
        let client = world.client(None, &plain).expect("none is named").expect("the request names one");
        let mut given = read_given(&arguments, &mut Problems::new()).expect("they are right");
        give_client(&mut given, client, world.address_of(client, &plain)).expect("it can be given");
        let octets = sample::datagram(&as_sent(pairs, &client.secret).expect("short passwords")).expect("it fits");
        let packet = Packet::parse(&octets).expect("well-formed");
        let mut facts = given.facts(packet, clock::now(), &world.snapshot.zone);
        match judge(&world, client, &arguments, &given, &facts) {
            Judged::Rejected(reason) => return reason.label().to_owned(),
            Judged::Device(found) => {
                facts.session.method = found.method;
                see_mac(&mut facts, found.mac);
            }
            Judged::Mac(mac) => see_mac(&mut facts, mac),
            Judged::AsGiven => {}
        }
        let mac = facts.identity.mac.map_or_else(|| "none".to_owned(), |mac| MacAddress::new(mac).to_string());
        format!("{} {} {mac}", facts.client.address, facts.session.method.name())
    }

    #[test]
    fn a_request_comes_from_the_address_that_it_names_or_from_the_first_of_its_client() {
        let request = "User-Name = a4c3f0112233\nCalling-Station-Id = A4-C3-F0-11-22-33\n";
        let of = |more: &str| seen(&format!("{request}{more}"), &[]);
        assert_eq!(of("NAS-IP-Address = 10.20.3.4"), "10.20.3.4 mab A4-C3-F0-11-22-33");
        assert_eq!(of("NAS-IPv6-Address = 2001:db8:20::9"), "2001:db8:20::9 mab A4-C3-F0-11-22-33");
        let world = world();
        let client = &world.snapshot.clients.list()[0];
        let octets = sample::datagram(&[]).expect("nothing fits");
        let nothing = Packet::parse(&octets).expect("well-formed");
        assert_eq!(world.address_of(client, &nothing), Some(IpAddr::from([10, 20, 0, 0])));
    }

    #[test]
    fn the_device_is_who_the_server_would_take_it_for() {
        let nas = "NAS-IP-Address = 10.20.3.4\n";
        let of = |more: &str| seen(&format!("{nas}{more}"), &[]);
        assert_eq!(
            of("User-Name = a4c3f0112233\nCalling-Station-Id = A4-C3-F0-44-55-66"),
            "10.20.3.4 mab A4-C3-F0-44-55-66",
            "mac-from says which of the two counts"
        );
        assert_eq!(
            of("User-Name = ann\nCalling-Station-Id = A4-C3-F0-44-55-66\nService-Type = Authorize-Only"),
            "10.20.3.4 authorize-only A4-C3-F0-44-55-66"
        );
        let lab = "NAS-IP-Address = 192.0.2.7\n";
        assert_eq!(seen(&format!("{lab}User-Name = \" a4c3f0112233 \""), &[]), "192.0.2.7 mab A4-C3-F0-11-22-33");
    }

    #[test]
    fn what_the_server_rejects_before_policy_is_rejected() {
        let lab = "NAS-IP-Address = 192.0.2.7\n";
        assert_eq!(seen(&format!("{lab}User-Name = ann\nEAP-Message = 0x0201000501"), &[]), "eap-not-offered");
        assert_eq!(seen(&format!("{lab}User-Name = ann"), &[]), "no-credentials");
        assert_eq!(seen(&format!("{lab}User-Name = ann"), &["mdm.compliant=true"]), "192.0.2.7 mab none");
    }

    #[test]
    fn a_chap_password_in_plain_text_is_hashed() {
        let chap = |password: &str| {
            seen(&format!("NAS-IP-Address = 192.0.2.7\nUser-Name = a4c3f0112233\nCHAP-Password = \"{password}\""), &[])
        };
        assert_eq!(chap("a4c3f0112233"), "192.0.2.7 mab A4-C3-F0-11-22-33");
        assert_eq!(chap("A4-C3-F0-11-22-33"), "192.0.2.7 mab A4-C3-F0-11-22-33");
        assert_eq!(chap("wrong"), "mab-password");
    }
}
