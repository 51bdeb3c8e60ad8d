//! How an explanation looks: text for people, JSON for scripts.
//!
//! Owns the shape. What it says was found out by `explain` and made by `policy::explain`.

use serde::Serialize;

use crate::{
    device::{
        identifier::{Guid, MacAddress},
        question::{Key, Outcome},
    },
    engine::{client::Client, event::RejectReason, snapshot::Snapshot},
    policy::{
        decision::Access,
        explain::{Trace, explain},
        facts::Facts,
        preview::{self, Reply},
    },
    radius::{kind, packet::Packet},
};

use super::{check::Format, output};

/// Why a request is decided as it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Explanation {
    version: u8,
    client: Option<String>,
    identity: Option<IdentitySaid>,
    asked: Vec<Asked>,
    refused: Option<Refused>,
    trace: Option<Trace>,
    reply: Option<Reply>,
    #[serde(skip)]
    no_reply: Option<String>,
    #[serde(skip)]
    access: Access,
}

/// Who it is about, and where that stood.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct IdentitySaid {
    method: &'static str,
    mac: Option<String>,
    mac_from: Option<&'static str>,
    device_id: Option<String>,
    device_id_source: Option<&'static str>,
    proven: Option<bool>,
}

/// One question that was asked for the explanation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Asked {
    server: String,
    about: String,
    outcome: &'static str,
    why: Option<String>,
}

/// Why it is rejected before policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Refused {
    reason: &'static str,
    sentence: &'static str,
}

impl Asked {
    pub(super) fn new(server: &str, key: Key, outcome: &Outcome, why: Option<String>) -> Self {
        let about = match key {
            Key::Device(id) => format!("device {id}"),
            Key::Mac(mac) => format!("MAC {mac}"),
        };
        let outcome = match outcome {
            Outcome::Found(_) => "found",
            Outcome::NotFound => "not-found",
            Outcome::Ambiguous => "ambiguous",
            Outcome::Failed(failure) => failure.name(),
        };
        Self { server: server.to_owned(), about, outcome, why }
    }
}

impl Explanation {
    /// Judges the facts and says why.
    pub(super) fn of(snapshot: &Snapshot, facts: &Facts<'_>, client: Option<&Client>, asked: Vec<Asked>) -> Self {
        let (decision, trace) = explain(&snapshot.policy, facts);
        let (reply, no_reply) = match preview::reply(&snapshot.policy, &snapshot.dictionary, facts, &decision) {
            _ if decision.access == Access::Ignore => (None, None),
            Ok(reply) => (Some(reply), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            version: 1,
            client: client.map(|client| client.name.to_string()),
            identity: Some(IdentitySaid::of(facts)),
            asked,
            refused: None,
            trace: Some(trace),
            reply,
            no_reply,
            access: decision.access,
        }
    }

    /// A request that is rejected before policy is asked.
    pub(super) fn refused(client: &Client, reason: RejectReason) -> Self {
        Self {
            version: 1,
            client: Some(client.name.to_string()),
            identity: None,
            asked: Vec::new(),
            refused: Some(Refused { reason: reason.label(), sentence: reason.sentence() }),
            trace: None,
            reply: None,
            no_reply: None,
            access: Access::Reject,
        }
    }

    /// What happens to the request.
    pub(super) const fn access(&self) -> Access {
        self.access
    }

    pub(super) fn show(&self, format: Format) {
        match format {
            Format::Json => output::line(serde_json::to_string_pretty(self).unwrap_or_else(|_| "{}".to_owned())),
            Format::Text => self.show_text(),
        }
    }

    fn show_text(&self) {
        output::line(format!("client: {}", self.client.as_deref().unwrap_or("none of the configuration")));
        if let Some(refused) = &self.refused {
            output::line(format!("rejected before policy: {}; {}", refused.reason, refused.sentence));
            return;
        }
        if let Some(identity) = &self.identity {
            output::line(format!("identity: {}", identity.text()));
        }
        for asked in &self.asked {
            let why = asked.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
            output::line(format!("asked {} about {}: {}{why}", asked.server, asked.about, asked.outcome));
        }
        if let Some(trace) = &self.trace {
            output::line(trace.to_string().trim_end());
        }
        if let Some(why) = &self.no_reply {
            output::line(format!("reply: none can be made: {why}"));
        }
        let Some(reply) = &self.reply else {
            if self.no_reply.is_none() {
                output::line("reply: none");
            }
            return;
        };
        output::line(format!("reply, as vendor \"{}\" takes it:", reply.vendor));
        for attribute in &reply.attributes {
            output::line(format!("    {attribute}"));
        }
        if let Some(octets) = reply.octets.as_ref().filter(|octets| !octets.is_empty()) {
            output::line(format!("octets: {octets}"));
        }
    }
}

impl IdentitySaid {
    fn of(facts: &Facts<'_>) -> Self {
        let identity = &facts.identity;
        Self {
            method: facts.session.method.name(),
            mac: identity.mac.map(|mac| MacAddress::new(mac).to_string()),
            mac_from: identity.mac.map(|mac| mac_place(&facts.packet, MacAddress::new(mac))),
            device_id: identity.device_id.map(|id| Guid::new(id).to_string()),
            device_id_source: identity.device_id_source.map(|source| source.name()),
            proven: identity.proven,
        }
    }

    fn text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(mac) = &self.mac {
            parts.push(format!("MAC {mac} ({})", self.mac_from.unwrap_or("given")));
        }
        if let Some(id) = &self.device_id {
            parts.push(format!("device {id} ({})", self.device_id_source.unwrap_or("given")));
        }
        if parts.is_empty() {
            parts.push("unknown".to_owned());
        }
        parts.push(format!("by {}", self.method));
        parts.extend(self.proven.map(|proven| if proven { "proven" } else { "not proven" }.to_owned()));
        parts.join(", ")
    }
}

/// Where the MAC stands in the request.
fn mac_place(packet: &Packet<'_>, mac: MacAddress) -> &'static str {
    let stands_in = |kind| packet.first(kind).and_then(MacAddress::parse) == Some(mac);
    if stands_in(kind::USER_NAME) {
        "User-Name"
    } else if stands_in(kind::CALLING_STATION_ID) {
        "Calling-Station-Id"
    } else {
        "given"
    }
}
