//! What a decision costs with 10, 100 and 1,000 rules.
//!
//! The policy is that of a company with many sites: a rule for each site, compliance asked in each, and the request
//! belongs to the site of the last rule. `unfiled` is the worst case: rules that can only be tried one after the other.

#[path = "support/allocator.rs"]
mod allocator;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use radmit::{
    clock::{Mono, Now, Wall},
    dictionary::{Dictionary, list},
    document::Source,
    policy::{
        compiled::Policy,
        given::GivenFacts,
        load::{Context, load},
        sample,
        vendor::Vendors,
    },
    problem::Problems,
    radius::packet::Packet,
};
use std::{fmt::Write, hint::black_box};

/// A policy with `count` rules; in `when` the number of the rule stands for `#`.
fn policy(count: usize, when: &str) -> Policy {
    let mut text = String::from("version = 1\n[policy-set]\nname = \"Sites\"\ndefault = \"deny\"\n");
    for at in 0..count {
        // The number counts down, so that number 0 is the last.
        let when = when.replace('#', &(count - 1 - at).to_string());
        let _ = write!(text, "[[rule]]\nname = \"site {at}\"\nwhen = {when}\nresult = \"permit\"\n");
    }
    let mut problems = Problems::new();
    let context = Context {
        dictionary: Dictionary::builtin(),
        mdm_servers: None,
        vendors: &Vendors::builtin(),
        clients: &[],
        read_list: &|_, _| Err("no list files here".to_owned()),
    };
    load(&[Source::new("bench.toml", text)], &context, &mut problems).expect("the policy of the bench has no mistakes")
}

fn request() -> Vec<u8> {
    let attributes = "User-Name = a4c3f0112233\nUser-Password = a4c3f0112233\nService-Type = Call-Check\nFramed-MTU = 1500\n\
                NAS-IP-Address = 10.20.1.7\nNAS-Port = 50107\nNAS-Port-Type = Ethernet\nNAS-Port-Id = GigabitEthernet1/0/7\n\
                Calling-Station-Id = A4-C3-F0-11-22-33\nCalled-Station-Id = B0-FA-EB-11-70-04\n\
                Cisco-AVPair = \"service-type=Call Check\"\nCisco-AVPair = \"audit-session-id=0A06400F000006AA6F83C371\"\n\
                Cisco-AVPair = \"method=mab\"";
    let pairs = list::parse(&Source::new("request", attributes), Dictionary::builtin(), &mut Problems::new());
    sample::datagram(&pairs).expect("few attributes")
}

fn decide(criterion: &mut Criterion) {
    let octets = request();
    let packet = Packet::parse(&octets).expect("well-formed");
    let mut given = GivenFacts::new();
    for (name, value) in [
        ("client.group", "wired"),
        ("client.group", "site-0"),
        ("client.vendor", "cisco"),
        ("mdm.registered", "true"),
        ("mdm.compliant", "true"),
        ("mdm.os", "Windows"),
        ("mdm.os-version", "10.0.22631.3155"),
    ] {
        given.give(name, value).expect("a fact");
    }
    let now = Now { mono: Mono::from_nanos(0), wall: Wall::from_secs(1_795_348_800) };
    let zone = TimeZone::UTC;
    let facts = given.facts(packet, now, &zone);
    let typical = "{ client.group = \"site-#\", radius.NAS-Port-Type = \"Ethernet\", mdm.registered = true, \
                   mdm.compliant = true, mdm.os-version = { at-least = \"10.0.19045\" } }";
    let unfiled = "{ mdm.compliant = true, session.nas-port = { matches = \"/#/7$\" } }";
    let mut group = criterion.benchmark_group("policy");
    for (name, when) in [("typical", typical), ("unfiled", unfiled)] {
        for count in [10, 100, 1_000] {
            let policy = policy(count, when);
            group.bench_with_input(BenchmarkId::new(name, count), &policy, |bencher, policy| {
                bencher.iter(|| policy.decide(policy.choose_set(black_box(&facts)), black_box(&facts)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
