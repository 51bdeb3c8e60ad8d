//! What the tests of this folder share: policies from text, requests from lists.
//!
//! Owns no claims of its own.

use jiff::tz::TimeZone;

use super::{
    compile::plan::Client,
    compiled::Policy,
    decision::Decision,
    given::GivenFacts,
    load::{Context, load},
    sample,
    servers::Servers,
    vendor::Vendors,
};
use crate::{
    clock::{Mono, Now, Wall},
    dictionary::{self, Dictionary},
    document::Source,
    problem::Problems,
    radius::packet::Packet,
};

/// Compiles one file; gives what was found and, if it is usable, the policy.
pub(super) fn load_text(text: &str) -> (Option<Policy>, Vec<String>) {
    load_files(&[("x.toml", text)])
}

/// Compiles several files.
pub(super) fn load_files(files: &[(&str, &str)]) -> (Option<Policy>, Vec<String>) {
    let mut problems = Problems::new();
    let servers = Servers {
        enabled: vec!["corp-intune".into(), "old".into()],
        disabled: vec!["retired".into()],
        strict: vec!["old".into()],
    };
    let groups: Vec<Box<str>> = vec!["wired".into()];
    let context = Context {
        dictionary: Dictionary::builtin(),
        mdm_servers: Some(&servers),
        vendors: &Vendors::builtin(),
        clients: &[
            Client { name: "campus", groups: &groups, vendor: "cisco" },
            Client { name: "other", groups: &[], vendor: "generic" },
        ],
        read_list: &|_, path| match path {
            "blocked.txt" => Ok(Source::new("blocked.txt", "# stolen\nA4-C3-F0-66-66-66\n\n02:00:5E # test gear\n")),
            "broken.txt" => Ok(Source::new("broken.txt", "A4-C3-F0-66-66-66\n  printer-7\n")),
            _ => Err("no such file".to_owned()),
        },
    };
    let sources: Vec<Source> = files.iter().map(|(name, text)| Source::new(*name, *text)).collect();
    let policy = load(&sources, &context, &mut problems);
    (policy, problems.sorted().iter().map(|problem| format!("{problem} [{}]", problem.code)).collect())
}

/// Compiles one file that must have no errors.
pub(super) fn policy(text: &str) -> Policy {
    let (policy, problems) = load_text(text);
    policy.unwrap_or_else(|| panic!("{}", problems.join("\n")))
}

/// Decides about a request in `radclient` syntax and facts such as `mdm.compliant=true`.
pub(super) fn decide(policy: &Policy, request: &str, given: &[&str]) -> Decision {
    with_facts(request, given, |facts| policy.decide(policy.choose_set(facts), facts))
}

/// Calls `judge` with the facts of such a request at 2026-11-22 12:00 UTC, a Sunday.
pub(super) fn with_facts<T>(request: &str, given: &[&str], judge: impl FnOnce(&super::facts::Facts<'_>) -> T) -> T {
    let mut problems = Problems::new();
    let pairs = dictionary::list::parse(&Source::new("request", request), Dictionary::builtin(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    let octets = sample::datagram(&pairs).expect("few attributes");
    let mut facts = GivenFacts::new();
    for pair in given {
        let (name, value) = pair.split_once('=').expect("a fact and its value");
        facts.give(name, value).expect("a fact");
    }
    let now = Now { mono: Mono::from_nanos(0), wall: Wall::from_secs(1_795_348_800) };
    judge(&facts.facts(Packet::parse(&octets).expect("well-formed"), now, &TimeZone::UTC))
}

/// The name of the rule that matched, or the reason why none did.
pub(super) fn matched(policy: &Policy, request: &str, given: &[&str]) -> String {
    let decision = decide(policy, request, given);
    let rule = decision.rule.and_then(|rule| policy.rule(rule));
    rule.map_or_else(|| decision.reason.name().to_owned(), |rule| rule.name.to_string())
}
