//! `radmit explain`: why a request is decided as it is, offline.
//!
//! Owns its arguments, which client a request is taken to come from, and the exit code. Deciding and tracing is
//! `policy::explain`'s business.

use std::{
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use crate::{
    clock,
    config::{
        configuration::Client,
        files::{Files, SystemFiles},
    },
    daemon::load::{Loaded, load},
    dictionary::list,
    document::Source,
    limits,
    policy::{
        decision::{Access, Decision},
        explain::{Trace, explain},
        facts_file,
        given::GivenFacts,
        preview::{self, Reply},
        sample,
    },
    problem::Problems,
    radius::{kind, packet::Packet},
};

use super::{arguments::ConfigArgument, check::Format, output};

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
    #[arg(long, value_name = "FILE|-")]
    request: PathBuf,
    /// What is known about the device: a TOML file with tables such as `mdm` and `identity`; without it nobody was asked
    #[arg(long, value_name = "FILE")]
    mdm: Option<PathBuf>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let mut problems = Problems::new();
    let said = explained(arguments, &mut problems);
    match said {
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
    let request = read_source(&arguments.request)?;
    let pairs = list::parse(&request, &loaded.dictionary, problems);
    let mut given = match &arguments.mdm {
        None => GivenFacts::new(),
        Some(path) => facts_file::read(&read_source(path)?, problems).ok_or("the facts can't be used")?,
    };
    if problems.has_errors() {
        return Err("the request can't be used".to_owned());
    }
    let octets = sample::datagram(&pairs).map_err(|full| full.sentence().to_owned())?;
    let packet = Packet::parse(&octets).map_err(|broken| broken.sentence().to_owned())?;
    let client = client_of(&loaded, &packet);
    if let Some(client) = client {
        // What the file of facts says goes before what the configuration says.
        let zone = &loaded.configuration.server.zone;
        let name_of = |given: &GivenFacts| given.facts(packet, clock::now(), zone).client.name.to_owned();
        if name_of(&given) == name_of(&GivenFacts::new()) {
            given.give("client.name", &client.name)?;
            if given.vendor() == GivenFacts::new().vendor() {
                given.give("client.vendor", &client.vendor.text)?;
            }
            for group in &client.groups {
                given.give("client.group", group)?;
            }
        }
    }
    let facts = given.facts(packet, clock::now(), &loaded.configuration.server.zone);
    let (decision, trace) = explain(&loaded.policy, &facts);
    let reply = preview::reply(&loaded.policy, &loaded.dictionary, &facts, &decision);
    show(arguments.format, client, &decision, &trace, reply);
    Ok(decision.access)
}

fn show(format: Format, client: Option<&Client>, decision: &Decision, trace: &Trace, reply: Result<Reply, String>) {
    let is_answered = decision.access != Access::Ignore;
    match format {
        Format::Text => {
            output::line(format!("client: {}", client.map_or("none of the configuration", |client| &client.name)));
            output::line(trace.to_string().trim_end());
            match reply {
                _ if !is_answered => output::line("reply: none"),
                Err(why) => output::line(format!("reply: none can be made: {why}")),
                Ok(reply) => {
                    output::line(format!("reply, as vendor \"{}\" takes it:", reply.vendor));
                    for attribute in &reply.attributes {
                        output::line(format!("    {attribute}"));
                    }
                    if let Some(octets) = reply.octets.filter(|octets| !octets.is_empty()) {
                        output::line(format!("octets: {octets}"));
                    }
                }
            }
        }
        Format::Json => {
            let reply = reply.ok().filter(|_| is_answered);
            let whole = serde_json::json!({
                "version": 1,
                "client": client.map(|client| &*client.name),
                "trace": trace,
                "reply": reply,
            });
            output::line(serde_json::to_string_pretty(&whole).unwrap_or_else(|_| "{}".to_owned()));
        }
    }
}

/// The client that a request is taken to come from: the one whose network holds its NAS-IP-Address, else the only one.
fn client_of<'l>(loaded: &'l Loaded, packet: &Packet<'_>) -> Option<&'l Client> {
    let clients = &loaded.configuration.clients;
    let address: Option<[u8; 4]> = packet.first(kind::NAS_IP_ADDRESS).and_then(|value| value.try_into().ok());
    if let Some(address) = address.map(IpAddr::from) {
        let networks = clients.iter().flat_map(|client| client.networks.iter().map(move |network| (client, network)));
        let fitting = networks.filter(|(_, network)| network.contains(address));
        if let Some((client, _)) = fitting.max_by_key(|(_, network)| network.bits()) {
            return Some(client);
        }
    }
    if let [only] = clients.as_slice() { Some(only) } else { None }
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
