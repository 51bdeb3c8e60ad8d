//! Yesterday's decisions against another policy: what would have come out?
//!
//! Owns the way from a line of the decision log back to facts, and the comparison. Reading files and printing are the
//! command's matter.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};

use super::{
    catalogue::{self, Fact, Family, Kind},
    compiled::Policy,
    decision::Access,
    explain::{Trace, explain},
    facts::{Facts, Method},
    given::GivenFacts,
    record, sample,
};
use crate::{
    clock::{Mono, Now, Wall},
    dictionary::{DataType, Dictionary, list::Pair},
    limits,
    radius::packet::Packet,
};

/// One decision as the log tells it.
#[derive(Clone, Debug)]
pub struct LoggedDecision {
    /// When it was made.
    pub time: Wall,
    /// Who it was about: the MAC address, else the device id, else the user.
    pub device: String,
    /// What was decided.
    pub was: Verdict,
    client: Option<String>,
    request: Box<[u8]>,
    given: GivenFacts,
    /// The names of attributes and facts that the line holds.
    recorded: Vec<String>,
}

impl LoggedDecision {
    /// The name of the client that asked.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The facts that were judged. `zone`: the server's time zone.
    ///
    /// `None` only for a line that was not made by [`read`].
    #[must_use]
    pub fn facts<'a>(&'a self, zone: &'a TimeZone) -> Option<Facts<'a>> {
        let packet = Packet::parse(&self.request).ok()?;
        let now = Now { mono: Mono::from_nanos(0), wall: self.time };
        Some(self.given.facts(packet, now, zone))
    }

    /// Adds values of a fact that the line does not hold, but somebody knows: what the configuration says of the client.
    ///
    /// # Errors
    /// As with [`GivenFacts::give`].
    pub fn supply<'v>(&mut self, fact: &str, values: impl IntoIterator<Item = &'v str>) -> Result<(), String> {
        if self.given.has(fact) {
            return Ok(());
        }
        for value in values {
            self.given.give(fact, value)?;
        }
        if !self.recorded.iter().any(|known| known == fact) {
            self.recorded.push(fact.to_owned());
        }
        Ok(())
    }
}

/// What was decided, by names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verdict {
    /// `accept`, `reject` or `ignore`.
    pub access: String,
    /// The profiles that applied.
    pub profiles: Vec<String>,
    /// The rule that matched.
    pub rule: Option<String>,
    /// Why.
    pub reason: String,
    /// What the reply carries, as a JSON object; nothing if that can't be told.
    pub reply: Option<String>,
}

impl Verdict {
    /// Whether a device would notice the difference: another access, other profiles, or another reply. Another rule with
    /// the same outcome is none.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> bool {
        let replies = self.reply.as_ref().zip(other.reply.as_ref());
        self.access != other.access
            || self.profiles != other.profiles
            || replies.is_some_and(|(reply, others)| reply != others)
    }
}

/// One decision judged again.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What the other policy says.
    pub now: Verdict,
    /// Whether the device would notice.
    pub changed: bool,
    /// How the new outcome came about.
    pub trace: Trace,
}

/// Reads a line of the decision log; `None` for lines about something else, and for decisions that policy did not make.
///
/// # Errors
/// What is wrong with the line.
pub fn read(line: &str, dictionary: &Dictionary) -> Result<Option<LoggedDecision>, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    let line = value.as_object().ok_or("no JSON object")?;
    if text(line, "event") != Some("decision") {
        return Ok(None);
    }
    let reason = text(line, "reason").ok_or("a decision without \"reason\"")?;
    // Rejected before policy: wrong passwords, addresses that contradict each other, and the like.
    if super::decision::Reason::ALL.iter().all(|known| known.name() != reason) {
        return Ok(None);
    }
    let time = text(line, "time").ok_or("a decision without \"time\"")?;
    let time: Timestamp = time.parse().map_err(|error| format!("\"time\": {error}"))?;
    let mut recorded = Vec::new();
    let request = request(line, dictionary, &mut recorded)?;
    let given = given(line, &mut recorded)?;
    let device = ["mac", "device-id", "user"].into_iter().find_map(|name| text(line, name)).unwrap_or("unknown");
    Ok(Some(LoggedDecision {
        time: Wall::from_micros(time.as_microsecond()),
        device: device.to_owned(),
        was: Verdict {
            access: text(line, "verdict").unwrap_or_default().to_owned(),
            profiles: texts(line.get("profiles")),
            rule: text(line, "rule").map(str::to_owned),
            reason: reason.to_owned(),
            reply: line.get("reply").map(ToString::to_string),
        },
        client: text(line, "client").map(str::to_owned),
        request,
        given,
        recorded,
    }))
}

/// Judges a logged decision by another policy. `zone`: the server's time zone.
///
/// `None` only for a line that was not made by [`read`].
#[must_use]
pub fn judge(policy: &Policy, logged: &LoggedDecision, zone: &TimeZone) -> Option<Replayed> {
    let facts = logged.facts(zone)?;
    let (decision, trace) = explain(policy, &facts);
    // Without the client's vendor nobody knows what would be written.
    let vendor = if logged.given.has("client.vendor") { policy.vendor(facts.client.vendor) } else { None };
    let reply = vendor.and_then(|vendor| match decision.access {
        Access::Ignore => Some("{}".to_owned()),
        Access::Accept | Access::Reject => {
            // Read and written again: the order of members is none of the outcome.
            let value: Value = serde_json::from_str(policy.reply_json(decision.result, vendor)).ok()?;
            Some(value.to_string())
        }
    });
    let now = Verdict {
        reply,
        access: trace.decision.access.to_owned(),
        profiles: trace.decision.profiles.clone(),
        rule: trace.decision.rule.clone(),
        reason: trace.decision.reason.to_owned(),
    };
    let changed = now.differs_from(&logged.was);
    Some(Replayed { now, changed, trace })
}

/// What came of all lines.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Decisions that were judged again.
    pub decisions: u64,
    /// Those of which the device would notice.
    pub changed: u64,
    /// The changes by what was decided and what would be, with their number. Bound: pairs of outcomes of two policies.
    pub changes: BTreeMap<(Verdict, Verdict), u64>,
    /// Devices with a change, with the last one. Bound: [`limits::REPLAY_DEVICES_MAX`]; beyond, `devices_left_out` counts.
    pub devices: BTreeMap<String, (Verdict, Verdict)>,
    /// Changes of devices that found no place.
    pub devices_left_out: u64,
    /// Names of attributes and facts that some line holds. Bound: the names in the log's own policy.
    seen: BTreeSet<String>,
}

impl Summary {
    /// Adds one decision.
    pub fn add(&mut self, logged: &LoggedDecision, replayed: &Replayed) {
        self.decisions += 1;
        for name in &logged.recorded {
            if !self.seen.contains(name) {
                self.seen.insert(name.clone());
            }
        }
        if !replayed.changed {
            return;
        }
        self.changed += 1;
        let change = (logged.was.clone(), replayed.now.clone());
        *self.changes.entry(change.clone()).or_default() += 1;
        if self.devices.len() < limits::REPLAY_DEVICES_MAX || self.devices.contains_key(&logged.device) {
            self.devices.insert(logged.device.clone(), change);
        } else {
            self.devices_left_out += 1;
        }
    }

    /// What the policy asks for and no line holds: all of it counted as absent, so the outcome is uncertain there.
    #[must_use]
    pub fn never_seen(&self, policy: &Policy) -> Vec<String> {
        let always = |fact: Option<Fact>| {
            let family = fact.map(|fact| catalogue::row(fact).family());
            family == Some(Family::Time) || fact == Some(Fact::MdmReachable) || fact.is_some_and(record::is_always_kept)
        };
        let subjects = policy.arena().subjects().iter();
        let asked = subjects.filter(|subject| !always(subject.fact())).map(|subject| subject.name.to_string());
        asked.filter(|name| !self.seen.contains(name)).collect()
    }
}

fn request(
    line: &Map<String, Value>,
    dictionary: &Dictionary,
    recorded: &mut Vec<String>,
) -> Result<Box<[u8]>, String> {
    let mut pairs = Vec::new();
    for (name, value) in line.get("request").and_then(Value::as_object).into_iter().flatten() {
        // The log of a newer server may hold what this one's dictionary lacks.
        let Some(attribute) = dictionary.resolve(name) else { continue };
        recorded.push(format!("radius.{}", attribute.name()));
        for text in scalars(value) {
            // Octets, and what broke the rules of its type; texts may look so by themselves.
            let octets = octets_of(&text).filter(|_| attribute.data_type() != DataType::String);
            let content = match octets {
                Some(octets) => octets,
                None => attribute.encode(None, &text).map_err(|error| error.message(&attribute, &text))?,
            };
            pairs.push(Pair { attribute: attribute.clone(), tag: None, content });
        }
    }
    let octets = sample::datagram(&pairs).map_err(|_| "the request's attributes don't fit into a packet")?;
    Packet::parse(&octets).map_err(|_| "the request's attributes make no packet")?;
    Ok(octets.into())
}

/// The octets of `0x0a0b`.
fn octets_of(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() % 2 == 0 && digits.is_ascii())?;
    let octet = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(octet).collect()
}

fn given(line: &Map<String, Value>, recorded: &mut Vec<String>) -> Result<GivenFacts, String> {
    let facts = line.get("facts").and_then(Value::as_object);
    // A server that kept no facts leaves them to be guessed from what there is.
    let mut given = if facts.is_some() { GivenFacts::complete() } else { GivenFacts::new() };
    // Every line has these, also those of servers that kept no facts.
    let mdm = line.get("mdm").and_then(Value::as_object);
    let of_mdm = |name: &str| mdm.and_then(|mdm| text(mdm, name));
    for (fact, value) in [
        ("client.name", text(line, "client")),
        ("session.method", text(line, "method").filter(|method| Method::parse(method).is_some())),
        ("session.nas-port", text(line, "nas-port")),
        ("identity.mac", text(line, "mac")),
        ("identity.device-id", text(line, "device-id")),
        ("identity.device-id-source", text(line, "device-id-source")),
        ("mdm.server", of_mdm("server")),
        ("mdm.lookup", of_mdm("lookup")),
        ("mdm.compliance", of_mdm("compliance")),
        ("mdm.source", of_mdm("source")),
    ] {
        if let Some(value) = value {
            given.give(fact, value)?;
            recorded.push(fact.to_owned());
        }
    }
    if let Some(millis) = mdm.and_then(|mdm| mdm.get("age-ms")).and_then(Value::as_u64) {
        given.give("mdm.age", &format!("{millis}ms"))?;
    }
    let certificate = line.get("certificate").and_then(Value::as_object);
    for (name, value) in certificate.into_iter().flatten() {
        let name = format!("certificate.{name}");
        if catalogue::find(&name).is_some() {
            for text in scalars(value) {
                given.give(&name, &text)?;
            }
            recorded.push(name);
        }
    }
    for (name, value) in facts.into_iter().flatten() {
        // A fact of a newer server that this one does not know can't be asked either.
        let Some(row) = catalogue::find(name) else { continue };
        recorded.push(name.clone());
        given.forget(name);
        for text in scalars(value) {
            if row.kind == Kind::Age && value.is_number() {
                given.give_seconds(name, &text)?;
            } else {
                given.give(name, &text)?;
            }
        }
    }
    Ok(given)
}

fn text<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    object.get(name).and_then(Value::as_str)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value.map(scalars).unwrap_or_default()
}

/// One value, or a list of values, as texts.
fn scalars(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(scalars).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Bool(truth) => vec![truth.to_string()],
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::policy;
    use super::*;

    const LINE: &str = r#"{"time":"2026-11-22T10:00:00.5Z","event":"decision","client":"campus","method":"mab",
        "user":"a4c3f0112233","mac":"A4-C3-F0-11-22-33","device-id-source":"mac",
        "mdm":{"server":"corp-intune","lookup":"found","compliance":"in-grace-period","source":"sync","age-ms":61000,"waited-ms":0},
        "policy-set":"s","rule":"Compliant","profiles":["permit"],"verdict":"accept","reason":"rule","reply":{},
        "request":{"NAS-Port-Type":"Ethernet","Cisco-AVPair":["method=mab","service-type=Call Check"]},
        "facts":{"client.group":["wired","hall-7"],"session.medium":"wired","identity.proven":false,"mdm.registered":true,
        "mdm.compliant":true,"mdm.age":61.0005,"mdm.last-compliant":61.0005,"mdm.os":"iOS"}}"#;

    fn read_line(line: &str) -> LoggedDecision {
        read(&line.replace('\n', ""), Dictionary::builtin()).expect("a line of JSON").expect("a decision of policy")
    }

    fn rule(when: &str, result: &str) -> Policy {
        policy(&format!(
            "version = 1\n[policy-set]\nname = \"s\"\ndefault = \"deny\"\n[[rule]]\nname = \"r\"\nwhen = {when}\nresult = \"{result}\"\n"
        ))
    }

    fn replayed(when: &str, result: &str) -> Replayed {
        judge(&rule(when, result), &read_line(LINE), &TimeZone::UTC).expect("a decision of policy")
    }

    #[test]
    fn a_line_gives_back_the_facts_that_were_judged() {
        for when in [
            "{ radius.NAS-Port-Type = \"Ethernet\", radius.Cisco-AVPair = \"method=mab\" }",
            "{ session.method = \"mab\", session.medium = \"wired\" }",
            "{ client.name = \"campus\", client.group = \"hall-7\" }",
            "{ identity.mac = \"a4c3f0112233\", identity.proven = false }",
            "{ mdm.registered = true, mdm.compliant = true, mdm.compliance = \"in-grace-period\", mdm.os = \"iOS\" }",
            "{ mdm.age = { above = \"61s\", within = \"62s\" }, mdm.last-compliant = { within = \"2m\" }, mdm.source = \"sync\", mdm.server = \"corp-intune\" }",
            "{ time.hour = 10, time.weekday = \"sunday\" }",
        ] {
            let replayed = replayed(when, "permit");
            assert_eq!(replayed.now.rule.as_deref(), Some("r"), "{when}\n{}", replayed.trace);
            assert!(!replayed.changed);
        }
    }

    #[test]
    fn another_access_or_other_profiles_are_a_change_and_another_rule_is_none() {
        assert!(!replayed("{ mdm.compliant = true }", "permit").changed);
        assert!(replayed("{ mdm.compliant = true }", "deny").changed);
        assert!(replayed("{ mdm.compliant = false }", "permit").changed);
    }

    #[test]
    fn another_reply_of_the_same_profile_is_a_change_if_the_vendor_is_known() {
        let draft = |vlan: u16| {
            let rule = "[[rule]]\nname = \"r\"\nwhen = { mdm.compliant = true }\nresult = \"staff\"\n";
            policy(&format!(
                "version = 1\n[policy-set]\nname = \"s\"\n{rule}[profile.staff]\naccess = \"accept\"\nvlan = {vlan}\n"
            ))
        };
        let old = draft(20);
        let json = old.reply_json(old.rules()[0].result, old.vendor("cisco").expect("a client has it"));
        let line = LINE.replace("[\"permit\"]", "[\"staff\"]").replace("\"reply\":{}", &format!("\"reply\":{json}"));
        let mut logged = read_line(&line);
        let changed = |policy: &Policy, logged: &LoggedDecision| {
            judge(policy, logged, &TimeZone::UTC).expect("a decision of policy").changed
        };
        assert!(!changed(&draft(21), &logged), "nobody knows what the client would get");
        assert_eq!(logged.client(), Some("campus"));
        logged.supply("client.vendor", ["cisco"]).expect("a fact");
        assert!(!changed(&old, &logged));
        assert!(changed(&draft(21), &logged));
    }

    #[test]
    fn what_a_line_holds_goes_before_what_the_configuration_says_now() {
        let mut logged = read_line(LINE);
        logged.supply("client.group", ["elsewhere"]).expect("a fact");
        let replayed =
            |when: &str| judge(&rule(when, "permit"), &logged, &TimeZone::UTC).expect("a decision of policy");
        assert_eq!(replayed("{ client.group = \"elsewhere\" }").now.rule, None);
        assert!(replayed("{ client.group = \"hall-7\" }").now.rule.is_some());
    }

    #[test]
    fn an_attribute_that_broke_the_rules_of_its_type_is_read_back_as_its_octets() {
        let line =
            LINE.replace("\"NAS-Port-Type\":\"Ethernet\"", "\"Framed-IP-Address\":\"0x0a0000\",\"NAS-Port\":\"0x07\"");
        let logged = read_line(&line);
        let replayed =
            |when: &str| judge(&rule(when, "permit"), &logged, &TimeZone::UTC).expect("a decision of policy");
        assert_eq!(replayed("{ radius.Framed-IP-Address = \"10.0.0.0\" }").now.rule, None);
        let nowhere = "{ radius.Framed-IP-Address = { present = false }, radius.NAS-Port = { present = false } }";
        assert!(replayed(nowhere).now.rule.is_some(), "such a value is none, here as in the server");
        assert_eq!(octets_of("0x0a0"), None);
    }

    #[test]
    fn a_line_with_facts_implies_no_others() {
        let line = LINE.replace("\"mdm.registered\":true,", "").replace("\"mac\":\"A4-C3-F0-11-22-33\",", "");
        let logged = read_line(&line);
        let replayed =
            |when: &str| judge(&rule(when, "permit"), &logged, &TimeZone::UTC).expect("a decision of policy");
        for absent in ["mdm.registered", "mdm.managed", "identity.mac", "session.ssid"] {
            let when = format!("{{ {absent} = {{ present = false }} }}");
            assert!(replayed(&when).now.rule.is_some(), "{absent}");
        }
    }

    #[test]
    fn the_summary_groups_changes_and_tells_what_no_line_holds() {
        let policy = rule("{ mdm.compliance = \"compliant\", mdm.model = \"X\", radius.Filter-Id = \"x\" }", "permit");
        let logged = read_line(LINE);
        let mut summary = Summary::default();
        for _ in 0..3 {
            summary.add(&logged, &judge(&policy, &logged, &TimeZone::UTC).expect("a decision of policy"));
        }
        assert_eq!((summary.decisions, summary.changed, summary.devices.len()), (3, 3, 1));
        let ((was, now), count) = summary.changes.iter().next().expect("a change");
        assert_eq!((was.access.as_str(), now.access.as_str(), *count), ("accept", "reject", 3));
        assert_eq!(summary.never_seen(&policy), ["mdm.model", "radius.Filter-Id"]);
    }

    #[test]
    fn lines_about_something_else_are_passed_over_and_broken_ones_told() {
        let read = |line: &str| read(line, Dictionary::builtin()).map(|found| found.is_some());
        assert_eq!(read(r#"{"event":"drop","reason":"malformed"}"#), Ok(false));
        assert_eq!(read(r#"{"event":"decision","reason":"mac-mismatch","verdict":"reject"}"#), Ok(false));
        assert!(read("{\"event\":").is_err());
        assert!(read(r#"{"event":"decision","reason":"rule","time":"yesterday"}"#).is_err());
    }
}
