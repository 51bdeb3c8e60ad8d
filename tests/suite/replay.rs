//! What the decision log holds of a decision is enough to make it again.

use std::{sync::Arc, time::Duration};

use radmit::{
    audit::{log::Log, settings::Destination},
    device::{
        question::{Failure, Outcome},
        record::Compliance,
    },
    dictionary::Dictionary,
    engine::client::MacFrom,
    policy::replay::{Summary, judge, read},
    radius::{kind, request::RequestBuffer, secret::Secret},
};

use crate::support::world::{LAPTOP, SERVER, Setting, World};

/// A policy that asks for facts of every kind, so that each wrong one leads to another rule.
const POLICY: &str = r#"
version = 1
[policy-set]
name = "Wired"
rank = 10
when = { session.medium = "wired", time.hour = { at-least = 0 } }
methods = ["mab", "authorize-only"]
default = "permit"
[[rule]]
name = "Watched"
state = "monitor"
when = { client.name = "switches" }
result = "deny"
[[rule]]
name = "Fresh for less than a minute"
when = { mdm.age = { below = "1m" }, mdm.source = "fresh", mdm.managed = true }
result = "minute"
[[rule]]
name = "Exactly an hour old"
when = { mdm.age = { at-least = "1h", at-most = "1h" } }
result = "hour"
[[rule]]
name = "Compliant of a port"
when = { mdm.compliant = true, session.nas-port = { starts-with = "Gi" }, identity.proven = false }
result = "port"
[[rule]]
name = "Compliant"
when = { mdm.compliant = true, mdm.registered = true }
result = "compliant"
[[rule]]
name = "Not compliant"
when = { mdm.compliance = ["noncompliant", "conflict"], client.vendor = "generic" }
result = "quarantine"
[[rule]]
name = "Compliant yesterday"
when = { mdm.reachable = false, mdm.last-compliant = { within = "12h" } }
result = "yesterday"
[[rule]]
name = "No such device, with a pair"
when = { mdm.lookup = "not-found", radius.Cisco-AVPair = { starts-with = "method=" }, mdm.os = { present = false } }
result = "pair"
[[rule]]
name = "No such device"
when = { mdm.registered = false, identity.device-id-source = "mac", identity.mac-randomised = false }
result = "enrol"
[[rule]]
name = "Made-up address"
when = { identity.mac-randomised = true, identity.mac = { mac = ["02", "DA-A1"] } }
result = "random"
[[rule]]
name = "No address, no name"
when = { identity.mac = { present = false }, radius.NAS-Identifier = { not = "sw-1" } }
result = "nobody"
[profile.minute]
access = "accept"
vlan = 1
[profile.hour]
access = "accept"
vlan = 2
[profile.port]
access = "accept"
vlan = 3
[profile.compliant]
access = "accept"
vlan = 4
[profile.quarantine]
access = "accept"
vlan = 5
[profile.yesterday]
access = "accept"
vlan = 6
[profile.pair]
access = "accept"
vlan = 7
[profile.enrol]
access = "accept"
vlan = 8
[profile.random]
access = "accept"
vlan = 9
[profile.nobody]
access = "ignore"
"#;

fn bypass(world: &mut World, mac: &str, more: impl FnOnce(&mut RequestBuffer, &Secret)) -> Vec<u8> {
    world.request(|buffer, secret| {
        buffer.push(kind::USER_NAME, mac.as_bytes()).unwrap();
        buffer.push_password(b"", secret).unwrap();
        buffer.push_u32(kind::SERVICE_TYPE, 10).unwrap();
        buffer.push_u32(kind::NAS_PORT_TYPE, 15).unwrap();
        more(buffer, secret);
    })
}

/// Decisions of every kind that the policy tells apart.
fn live_a_day(world: &mut World) {
    let port = |buffer: &mut RequestBuffer, _: &Secret| buffer.push(87, b"Gi1/0/12").unwrap();
    world.know(LAPTOP, Compliance::Compliant);
    let request = bypass(world, LAPTOP, |_, _| {});
    world.send(&request);
    world.advance(Duration::from_micros(60_000_001));
    let request = bypass(world, LAPTOP, port);
    world.send(&request);
    let request = bypass(world, LAPTOP, |_, _| {});
    world.send(&request);
    // An old record and a cloud that does not answer: stale, and later only a memory.
    world.advance(Duration::from_secs(3_600) - Duration::from_micros(61_500_001));
    let request = bypass(world, LAPTOP, port);
    world.send(&request);
    world.advance(Duration::from_millis(1_500));
    world.advance(Duration::from_secs(8 * 3_600));
    let request = bypass(world, LAPTOP, |_, _| {});
    world.send(&request);
    world.advance(Duration::from_secs(2));
    for (state, mac) in [(Compliance::NonCompliant, "a4c3f0112234"), (Compliance::InGracePeriod, "a4c3f0112235")] {
        world.know(mac, state);
        world.advance(Duration::from_secs(61));
        let request = bypass(world, mac, |_, _| {});
        world.send(&request);
    }
    for (mac, outcome) in [
        ("a4c3f0999999", Outcome::NotFound),
        ("daa119000001", Outcome::NotFound),
        ("a4c3f0888888", Outcome::Failed(Failure::Throttled)),
        ("a4c3f0777777", Outcome::Ambiguous),
    ] {
        let request = bypass(world, mac, |_, _| {});
        world.send(&request);
        let key = world.asked().pop().unwrap().key;
        world.answer(SERVER, key, outcome);
    }
    let request = bypass(world, "a4c3f0666666", |buffer, _| {
        buffer.push(26, b"\0\0\0\x09\x01\x0cmethod=mab").unwrap();
    });
    world.send(&request);
    let key = world.asked().pop().unwrap().key;
    world.answer(SERVER, key, Outcome::NotFound);
    // Nobody's address, and a set that is never chosen.
    let request = bypass(world, "printer", |_, _| {});
    world.send(&request);
    let request = world.request(|buffer, secret| {
        buffer.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
        buffer.push_password(b"", secret).unwrap();
        buffer.push_u32(kind::NAS_PORT_TYPE, 19).unwrap();
    });
    world.send(&request);
    world.advance(Duration::from_secs(3));
}

#[test]
fn a_real_log_replayed_against_the_same_policy_shows_no_change() {
    let place = std::env::temp_dir().join(format!("radmit-replay-{}.log", std::process::id()));
    let _ = std::fs::remove_file(&place);
    let (log, mut ends) = Log::start(&Destination::File(place.clone()), 1, Arc::default()).unwrap();
    let setting =
        Setting { policy: POLICY, client: |client| client.mac_from = MacFrom::UserName, ..Setting::default() };
    let mut world = World::telling(setting, ends.pop().unwrap());
    live_a_day(&mut world);
    let snapshot = world.shared.load_full();
    drop((world, log));
    let text = std::fs::read_to_string(&place).unwrap();
    std::fs::remove_file(&place).unwrap();

    let mut summary = Summary::default();
    let mut rules = std::collections::BTreeSet::new();
    for line in text.lines() {
        let logged = read(line, Dictionary::builtin()).unwrap_or_else(|error| panic!("{error}\n{line}"));
        let logged = logged.unwrap_or_else(|| panic!("policy judged it: {line}"));
        let replayed = judge(&snapshot.policy, &logged, &snapshot.zone).unwrap();
        assert_eq!(replayed.now, logged.was, "{line}\n{}", replayed.trace);
        rules.extend(replayed.now.rule.clone());
        summary.add(&logged, &replayed);
    }
    assert_eq!((summary.decisions, summary.changed), (14, 0), "{text}");
    let judged = snapshot.policy.rules().iter().filter(|rule| &*rule.name != "Watched");
    let unseen: Vec<&str> = judged.map(|rule| &*rule.name).filter(|name| !rules.contains(*name)).collect();
    assert_eq!(unseen, Vec::<&str>::new(), "each rule was met\n{text}");
    assert!(text.contains(r#""monitored":[{"rule":"Watched","verdict":"reject","profiles":["deny"]}]"#), "{text}");
}

#[test]
fn each_decision_is_counted_where_it_was_made_and_watchers_where_they_would_have_been() {
    let setting =
        Setting { policy: POLICY, client: |client| client.mac_from = MacFrom::UserName, ..Setting::default() };
    let mut world = World::with(setting);
    live_a_day(&mut world);
    let snapshot = world.shared.load_full();
    let hits: std::collections::BTreeMap<[&str; 3], u64> = snapshot.hits.lines(&snapshot.policy).collect();
    assert_eq!(hits.len(), snapshot.hits.lines(&snapshot.policy).count(), "no line stands there twice");
    let of = |set: &str, rule: &str, verdict: &str| hits.get(&[set, rule, verdict]).copied();
    assert_eq!(of("Wired", "Watched", "would-reject"), Some(13));
    assert_eq!(of("Wired", "Not compliant", "accept"), Some(1));
    assert_eq!(of("Wired", "No address, no name", "ignore"), Some(1));
    assert_eq!(of("Wired", "", "accept"), Some(2), "the default");
    assert_eq!(of("Wired", "", "method-not-allowed"), Some(0));
    assert_eq!(of("", "", "no-rule-matched"), Some(1), "no set was chosen");
    assert_eq!(snapshot.hits.total(&snapshot.policy), 14);
}
