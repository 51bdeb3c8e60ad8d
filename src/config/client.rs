//! `[[client]]`: who may ask, with which secret, and what is believed of it.
//!
//! Owns its keys and defaults. Finding the client of a packet is the engine's work.

use std::collections::HashMap;

use crate::{
    document::{Table, Value},
    engine::client::{MabPassword, MacFrom, MessageAuthenticatorMode, Network},
    limits,
    metrics::engine::{MORE, STRANGERS},
    problem::{Place, Problems},
    radius::secret::Secret,
};

use super::{
    configuration::{Client, Named, Server, SharedFiles},
    secret, value,
};

const VENDOR: &str = "generic";
/// What forged answers (CVE-2024-3596) can't get around.
const MESSAGE_AUTHENTICATOR: MessageAuthenticatorMode = MessageAuthenticatorMode::Require;
/// Names of clients stand in metrics and logs.
const NAME_OCTETS_MAX: usize = 128;
/// The widest networks that may be trusted without a warning: one site's worth of servers.
const TRUSTED_BITS: (u8, u8) = (24, 64);

/// What the clients before this one have taken.
#[derive(Default)]
pub(super) struct Taken {
    names: HashMap<Box<str>, Place>,
    networks: HashMap<Network, (Box<str>, Place)>,
}

/// Reads one client; `None` if it can't be used.
pub(super) fn read(
    table: &Table<'_>,
    server: &Server,
    files: &SharedFiles,
    taken: &mut Taken,
    problems: &mut Problems,
) -> Option<Client> {
    let name = name(table, taken, problems);
    let called = table.ask("name").and_then(|value| value.plain_text()).unwrap_or("?");
    let networks = networks(table, called, taken, problems);
    let secret = read_secret(table, files, problems);
    let vendor = match table.ask("vendor") {
        Some(value) => value::named(&value, problems),
        None => Some(Named { text: VENDOR.into(), place: table.place() }),
    };
    let groups = groups(table, problems);
    let modes = [
        ("require", MessageAuthenticatorMode::Require),
        ("learn", MessageAuthenticatorMode::Learn),
        ("optional", MessageAuthenticatorMode::Optional),
    ];
    let message_authenticator =
        table.ask("message-authenticator").and_then(|value| value::choice(&value, &modes, problems));
    let trust = table.ask("trust-authorize-only");
    let trust_authorize_only = trust.as_ref().and_then(|value| value.boolean(problems)).unwrap_or(false);
    if let Some(value) = trust.filter(|_| trust_authorize_only) {
        warn_of_wide_trust(&value, &networks, problems);
    }
    let mab_password = mab_password(table, files, problems);
    let sources = [
        ("either", MacFrom::Either),
        ("user-name", MacFrom::UserName),
        ("calling-station-id", MacFrom::CallingStationId),
    ];
    let mac_from = table.ask("mac-from").and_then(|value| value::choice(&value, &sources, problems));
    let (least, most) = (std::time::Duration::from_millis(1), limits::DECISION_DEADLINE_MAX);
    let deadline = table.ask("decision-deadline").and_then(|value| value::duration(&value, least, most, problems));
    table.finish(problems);
    Some(Client {
        name: name?,
        place: table.place(),
        networks,
        secret: secret?,
        vendor: vendor?,
        groups,
        message_authenticator: message_authenticator.unwrap_or(MESSAGE_AUTHENTICATOR),
        trust_authorize_only,
        mab_password,
        mac_from: mac_from.unwrap_or(MacFrom::Either),
        decision_deadline: deadline.unwrap_or(server.decision_deadline),
    })
}

fn name(table: &Table<'_>, taken: &mut Taken, problems: &mut Problems) -> Option<Box<str>> {
    let Some(value) = table.ask("name") else {
        table.missing("name", "write the name that policies, logs and metrics shall show", problems);
        return None;
    };
    let name = checked_label(&value, problems)?;
    if let Some(first) = taken.names.get(&name) {
        value.error(problems, "twice", format!("a client called \"{name}\" stands at {first} already; rename one"));
        return None;
    }
    taken.names.insert(name.clone(), value.place());
    Some(name)
}

/// A name that can stand in metrics, logs and messages.
pub(super) fn checked_name(value: &Value<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let name = value.text(problems)?;
    if name.trim() != name || name.is_empty() || name.len() > NAME_OCTETS_MAX || name.chars().any(char::is_control) {
        let message = format!("\"{}\" must be 1 to {NAME_OCTETS_MAX} octets without spaces around it", value.path());
        value.error(problems, "bad-name", message);
        return None;
    }
    Some(name.into())
}

/// A name that is the label of one client or server alone: two series of one label make the page of metrics unreadable.
pub(super) fn checked_label(value: &Value<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let name = checked_name(value, problems)?;
    if [STRANGERS, MORE].contains(&&*name) {
        let message = format!(
            "\"{}\" can't be \"{name}\", which stands for others in metrics; choose another name",
            value.path()
        );
        value.error(problems, "reserved-name", message);
        return None;
    }
    Some(name)
}

fn networks(table: &Table<'_>, name: &str, taken: &mut Taken, problems: &mut Problems) -> Vec<Network> {
    let Some(value) = table.ask("address") else {
        table.missing("address", "write the addresses that it sends from, such as [\"10.20.0.0/16\"]", problems);
        return Vec::new();
    };
    let elements = value::elements(&value, problems);
    if value.kind() == crate::document::Kind::Array && elements.is_empty() {
        value.error(problems, "list-empty", "\"client.address\" is empty; write at least one address or network");
    }
    let mut networks = Vec::new();
    for element in elements {
        let Some(network) = value::network(&element, problems) else { continue };
        if let Some((other, place)) = taken.networks.get(&network) {
            let message = format!("{network} belongs to the client \"{other}\" at {place} already; leave one out");
            element.error(problems, "network-twice", message);
            continue;
        }
        taken.networks.insert(network, (name.into(), element.place()));
        networks.push(network);
    }
    networks
}

fn read_secret(table: &Table<'_>, files: &SharedFiles, problems: &mut Problems) -> Option<Secret> {
    let Some(value) = table.ask("secret") else {
        table.missing("secret", "write secret = { file = \"…\" }", problems);
        return None;
    };
    let (_, octets) = secret::read(&value, files, problems)?;
    // An empty one was reported above.
    Secret::new(octets.to_vec()).ok()
}

fn groups(table: &Table<'_>, problems: &mut Problems) -> Vec<Box<str>> {
    let Some(value) = table.ask("groups") else { return Vec::new() };
    let elements = value::elements(&value, problems);
    if elements.len() > limits::CLIENT_GROUPS_MAX {
        let message = format!("{} groups are more than {}; leave some out", elements.len(), limits::CLIENT_GROUPS_MAX);
        value.error(problems, "too-many-groups", message);
    }
    let texts = elements.iter().filter_map(|element| checked_name(element, problems));
    texts.take(limits::CLIENT_GROUPS_MAX).collect()
}

fn mab_password(table: &Table<'_>, files: &SharedFiles, problems: &mut Problems) -> MabPassword {
    let Some(value) = table.ask("mab-password") else { return MabPassword::Mac };
    match value.plain_text() {
        Some("mac") => MabPassword::Mac,
        Some("any") => MabPassword::Any,
        // Not shown: it may be the password itself.
        Some(_) => {
            let message =
                "\"client.mab-password\" is neither \"mac\" nor \"any\"; a password goes into { file = \"…\" }";
            value.error(problems, "unknown-word", message);
            MabPassword::Mac
        }
        None => match secret::read(&value, files, problems) {
            Some((_, password)) => MabPassword::Configured(password),
            None => MabPassword::Mac,
        },
    }
}

fn warn_of_wide_trust(value: &Value<'_>, networks: &[Network], problems: &mut Problems) {
    for network in networks {
        let narrow = if network.is_ipv4() { TRUSTED_BITS.0 } else { TRUSTED_BITS.1 };
        if network.bits() < narrow {
            let message = format!(
                "everybody in {network} is believed to have authenticated the device; name the servers, or at most a /{narrow}"
            );
            value.warning(problems, "wide-trust", message);
        }
    }
}
