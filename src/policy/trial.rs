//! Runs the cases of a policy and says what came out otherwise than expected.
//!
//! Owns the comparison and the coverage of rules; printing the report is the command's matter.

use std::{borrow::Cow, collections::BTreeSet, time::Duration};

use jiff::tz::TimeZone;

use super::{
    case::{Case, Expect, ExpectedAttribute},
    compiled::Policy,
    decision::{Decision, RuleIndex},
    explain::{Trace, explain},
    facts::{Facts, Method},
    given::GivenFacts,
    preview,
    reply_plan::{Summary, SummaryVlan},
};
use crate::{
    clock::Now,
    dictionary::{Attribute, Dictionary, Path},
    document::write_duration,
    radius::packet::Packet,
};

/// What came of one case.
#[derive(Clone, Debug)]
pub struct CaseOutcome {
    /// What is otherwise than expected; none if the case passed.
    pub differences: Vec<Difference>,
    /// How the decision came about.
    pub trace: Trace,
    /// The decision.
    pub decision: Decision,
}

/// Something that is otherwise than expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What: `rule`, `vlan`, the name of an attribute.
    pub what: String,
    /// What the case expects.
    pub expected: String,
    /// What came out.
    pub got: String,
}

/// What came of all cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The cases that failed, by their places in [`Policy::cases`].
    pub failed: Vec<(usize, CaseOutcome)>,
    /// How many passed.
    pub passed: usize,
    /// Which rules some case matched. Bound: `limits::RULES_MAX`.
    pub covered: BTreeSet<RuleIndex>,
    /// The rules that no case matched, in their order.
    pub uncovered: Vec<RuleIndex>,
}

/// Runs all cases of a policy. `zone`: the server's time zone.
#[must_use]
pub fn run_all(policy: &Policy, dictionary: &Dictionary, zone: &TimeZone) -> Report {
    let mut report = Report::default();
    for (at, case) in policy.cases().iter().enumerate() {
        let Some(outcome) = run(policy, case, dictionary, zone) else { continue };
        report.covered.extend(outcome.decision.rule);
        report.covered.extend(outcome.decision.monitored.rules());
        if outcome.differences.is_empty() {
            report.passed += 1;
        } else {
            report.failed.push((at, outcome));
        }
    }
    let all = (0u32..).zip(policy.rules()).map(|(at, _)| RuleIndex(at));
    report.uncovered = all.filter(|rule| !report.covered.contains(rule)).collect();
    report
}

/// Runs one case; `None` only for a case that was not made by the loader.
#[must_use]
pub fn run(policy: &Policy, case: &Case, dictionary: &Dictionary, zone: &TimeZone) -> Option<CaseOutcome> {
    let packet = Packet::parse(&case.request).ok()?;
    let mut given = case.given.clone();
    settle_grace(policy, &mut given, packet, case.moment.now(zone), zone);
    let facts = given.facts(packet, case.moment.now(zone), zone);
    let (decision, trace) = explain(policy, &facts);
    let mut comparison = Comparison { differences: Vec::new(), policy, facts: &facts, dictionary };
    comparison.names(&case.expect, &decision, &trace);
    comparison.reply(&case.expect, &decision);
    Some(CaseOutcome { differences: comparison.differences, trace, decision })
}

/// Gives what `grace-is-compliant` of the server that would be asked makes of a device in its grace period.
pub fn settle_grace(policy: &Policy, given: &mut GivenFacts, packet: Packet<'_>, now: Now, zone: &TimeZone) {
    let facts = given.facts(packet, now, zone);
    let grace = policy.grace_is_compliant(policy.choose_set(&facts), facts.mdm.server);
    given.set_grace_is_compliant(grace);
}

struct Comparison<'c, 'a> {
    differences: Vec<Difference>,
    policy: &'c Policy,
    facts: &'c Facts<'a>,
    dictionary: &'c Dictionary,
}

impl Comparison<'_, '_> {
    fn compare(&mut self, what: &str, expected: Option<String>, got: String) {
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            self.differences.push(Difference { what: what.to_owned(), expected, got });
        }
    }

    fn names(&mut self, expect: &Expect, decision: &Decision, trace: &Trace) {
        let or_none = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let monitored = decision.monitored.rules().iter().filter_map(|rule| self.policy.rule(*rule));
        let monitored: Vec<Box<str>> = monitored.map(|rule| rule.name.clone()).collect();
        self.compare("set", text(&expect.set), or_none(&trace.decision.set));
        let rule = trace.decision.rule.clone().unwrap_or_else(|| format!("none ({})", decision.reason.name()));
        self.compare("rule", text(&expect.rule), rule);
        self.compare("access", expect.access.map(|access| access.name().to_owned()), decision.access.name().to_owned());
        self.compare("reason", text(&expect.reason), decision.reason.name().to_owned());
        self.compare(
            "profiles",
            expect.profiles.as_ref().map(|names| names.join(", ")),
            trace.decision.profiles.join(", "),
        );
        self.compare("monitored", expect.monitored.as_ref().map(|names| names.join(", ")), monitored.join(", "));
    }

    fn reply(&mut self, expect: &Expect, decision: &Decision) {
        let asks_settings = expect.acl.is_some() || expect.session_timeout.is_some();
        let asks_reply = asks_settings || !expect.attributes.is_empty() || expect.reply.is_some();
        if expect.vlan.is_none() && !asks_reply {
            return;
        }
        let plan =
            self.policy.vendor(self.facts.client.vendor).and_then(|vendor| self.policy.reply(decision.result, vendor));
        let Some(plan) = plan else {
            let vlan = self.policy.result(decision.result).and_then(|result| result.profile.vlan.as_ref());
            let vlan = vlan.map_or_else(|| "none".to_owned(), |vlan| show_vlan(&SummaryVlan::from(&vlan.value)));
            self.compare("vlan", expect.vlan.as_ref().map(show_vlan), vlan);
            if !asks_reply {
                return;
            }
            let got = format!("nothing: the vendor \"{}\" can't express the profiles", self.facts.client.vendor);
            self.compare("reply", Some("a reply".to_owned()), got);
            return;
        };
        let vlan = plan.summary().vlan.as_ref().map_or_else(|| "none".to_owned(), show_vlan);
        self.compare("vlan", expect.vlan.as_ref().map(show_vlan), vlan);
        self.settings(expect, plan.summary());
        let beside_eap = matches!(self.facts.session.method, Method::Eap | Method::EapTls | Method::EapMd5);
        let attributes = match preview::attributes(self.policy, plan, self.facts, beside_eap) {
            Ok(attributes) => attributes,
            Err(why) => {
                self.compare("reply", Some("a reply".to_owned()), format!("none: {why}"));
                return;
            }
        };
        let got = preview::by_attribute(self.dictionary, &attributes);
        for expected in &expect.attributes {
            let values = got.iter().find(|(path, _)| *path == expected.attribute.path()).map(|(_, values)| values);
            let none = Vec::new();
            let values = values.unwrap_or(&none);
            if !expected.contents.iter().all(|content| values.iter().any(|value| **value == **content)) {
                let (wanted, found) =
                    (show(&expected.attribute, &expected.contents), show(&expected.attribute, values));
                self.compare(expected.attribute.name(), Some(wanted), found);
            }
        }
        if let Some(expected) = &expect.reply {
            self.whole(expected, &got);
        }
    }

    fn settings(&mut self, expect: &Expect, summary: &Summary) {
        let show_acls = |acls: &[Box<str>]| if acls.is_empty() { "none".to_owned() } else { acls.join(", ") };
        self.compare("acl", expect.acl.as_deref().map(show_acls), show_acls(&summary.acl));
        let show_seconds = |seconds| write_duration(Duration::from_secs(seconds));
        let got = summary.session_timeout.map_or_else(|| "none".to_owned(), |seconds| show_seconds(seconds.into()));
        self.compare("session-timeout", expect.session_timeout.map(show_seconds), got);
    }

    /// Everything that is expected is there, and nothing else.
    fn whole(&mut self, expected: &[ExpectedAttribute], got: &[(Path, Vec<Cow<'_, [u8]>>)]) {
        for wanted in expected {
            let values = got.iter().find(|(path, _)| *path == wanted.attribute.path());
            let values = values.map(|(_, values)| values.as_slice()).unwrap_or_default();
            let text = show(&wanted.attribute, &wanted.contents);
            self.compare(wanted.attribute.name(), Some(text), show(&wanted.attribute, values));
        }
        for (path, values) in got {
            if expected.iter().all(|wanted| wanted.attribute.path() != *path) {
                let attribute = self.dictionary.at_or_unknown(path);
                let found = show(&attribute, values);
                self.compare(attribute.name(), Some("not in the reply".to_owned()), found);
            }
        }
    }
}

fn show_vlan(vlan: &SummaryVlan) -> String {
    match vlan {
        SummaryVlan::Id(id) => id.to_string(),
        SummaryVlan::Name(name) => name.to_string(),
    }
}

/// The values as they would be printed, without the name; secret ones are not shown.
fn show<V: AsRef<[u8]>>(attribute: &Attribute, contents: &[V]) -> String {
    if contents.is_empty() {
        return "not in the reply".to_owned();
    }
    let values = contents.iter().map(|content| {
        let text = attribute.show(content.as_ref()).to_string();
        text.split_once(" = ").map_or(text.clone(), |(_, value)| value.to_owned())
    });
    values.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::{fs, path};

    use super::*;
    use crate::{
        document::Source,
        policy::{
            check::{Inspection, inspect},
            compile::plan::Client,
            load::{Context, load},
            servers::Servers,
            testing,
            vendor::Vendors,
        },
        problem::{Problems, Severity},
    };

    /// Compiles the policy files of a shipped folder, or one shipped file.
    fn shipped(path: &path::Path) -> Policy {
        let mut files: Vec<_> = if path.is_dir() {
            let entries = fs::read_dir(path).expect("a shipped folder");
            entries.map(|entry| entry.expect("a shipped file").path()).collect()
        } else {
            vec![path.to_owned()]
        };
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        let sources: Vec<Source> = files
            .iter()
            .map(|file| Source::new(file.display().to_string(), fs::read_to_string(file).expect("a shipped file")))
            .collect();
        let mut problems = Problems::new();
        let context = Context {
            dictionary: Dictionary::builtin(),
            mdm_servers: None,
            vendors: &Vendors::builtin(),
            clients: &[
                Client { name: "switch", groups: &[], vendor: "cisco" },
                Client { name: "other", groups: &[], vendor: "generic" },
            ],
            read_list: &|source, list| {
                let path = path::Path::new(&**source.name()).with_file_name(list);
                let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
                Ok(Source::new(path.display().to_string(), text))
            },
        };
        let policy = load(&sources, &context, &mut problems);
        let loud: Vec<String> =
            problems.iter().filter(|problem| problem.severity < Severity::Hint).map(ToString::to_string).collect();
        assert!(loud.is_empty(), "{}", loud.join("\n"));
        policy.expect("no problems")
    }

    fn all_shipped() -> Vec<path::PathBuf> {
        let policies = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let mut found = vec![policies.join("default.toml")];
        if let Ok(examples) = fs::read_dir(policies.join("examples")) {
            found.extend(examples.map(|entry| entry.expect("a shipped folder").path()));
        }
        found
    }

    #[test]
    fn every_case_of_every_shipped_policy_passes_and_every_rule_has_one() {
        for path in all_shipped() {
            let policy = shipped(&path);
            let report = run_all(&policy, Dictionary::builtin(), &TimeZone::UTC);
            if let Some((at, outcome)) = report.failed.first() {
                let name = &policy.cases()[*at].name;
                panic!("{}: {name}: {:#?}\n{}", path.display(), outcome.differences, outcome.trace);
            }
            assert_eq!(report.passed, policy.cases().len());
            let uncovered: Vec<_> =
                report.uncovered.iter().filter_map(|rule| policy.rule(*rule)).map(|rule| &rule.name).collect();
            assert!(uncovered.is_empty(), "{}: {uncovered:?}", path.display());
            let mut problems = Problems::new();
            inspect(&policy, &Inspection { covered: Some(&report.covered), ..Inspection::default() }, &mut problems);
            let loud: Vec<_> = problems.iter().filter(|problem| problem.severity < Severity::Hint).collect();
            assert!(loud.is_empty(), "{}: {loud:?}", path.display());
        }
    }

    #[test]
    fn the_reference_policy_loads_for_a_cisco_switch_and_its_case_passes() {
        let path = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/reference_policy.toml");
        let text = fs::read_to_string(path).expect("it is there");
        let mut problems = Problems::new();
        let servers = Servers::enabled(&["corp-intune".into()]);
        let context = Context {
            dictionary: Dictionary::builtin(),
            mdm_servers: Some(&servers),
            vendors: &Vendors::builtin(),
            clients: &[Client { name: "campus-switches", groups: &[], vendor: "cisco" }],
            read_list: &|_, _| Err("no list files here".to_owned()),
        };
        let policy = load(&[Source::new("reference_policy.toml", text)], &context, &mut problems);
        let loud: Vec<_> = problems.iter().filter(|problem| problem.severity < Severity::Hint).collect();
        let unused: Vec<_> = loud.iter().filter(|problem| problem.code != "unused-condition").collect();
        assert!(unused.is_empty(), "{unused:?}");
        let policy = policy.expect("no errors");
        let report = run_all(&policy, Dictionary::builtin(), &TimeZone::UTC);
        assert_eq!((report.passed, report.failed.len()), (1, 0), "{:?}", report.failed);
    }

    #[test]
    fn the_example_of_the_manual_compiles_and_its_case_passes() {
        let manual = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/README.md");
        let manual = fs::read_to_string(manual).expect("the manual is there");
        let example = manual.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let mut problems = Problems::new();
        let context = Context {
            dictionary: Dictionary::builtin(),
            mdm_servers: None,
            vendors: &Vendors::builtin(),
            clients: &[],
            read_list: &|_, _| Err("no list files here".to_owned()),
        };
        let policy = load(&[Source::new("README.md", example)], &context, &mut problems);
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        let policy = policy.unwrap_or_else(|| panic!("{:?}", errors.collect::<Vec<_>>()));
        let report = run_all(&policy, Dictionary::builtin(), &TimeZone::UTC);
        assert_eq!((report.passed, report.failed.len()), (1, 0), "{:?}", report.failed);
    }

    const POLICY: &str = r#"
version = 1
[policy-set]
name = "All"
default = "deny"
[[rule]]
name = "Compliant"
when = { mdm.compliant = true }
result = "staff"
[[rule]]
name = "Night"
when = { time.hour = { below = 6 } }
result = "permit"
[profile.staff]
access = "accept"
vlan = 20
session-timeout = "1h"
attributes = { Reply-Message = "{identity.mac}" }
"#;

    /// What differs in the only case of a policy.
    fn differences(case: &str) -> String {
        let policy = testing::policy(&format!("{POLICY}\n[[case]]\nname = \"c\"\n{case}\n"));
        let report = run_all(&policy, Dictionary::builtin(), &TimeZone::UTC);
        let differences = report.failed.iter().flat_map(|(_, outcome)| &outcome.differences);
        let lines =
            differences.map(|difference| format!("{}: {} / {}", difference.what, difference.expected, difference.got));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_case_that_comes_out_as_expected_passes() {
        assert_eq!(
            differences(
                "request = { User-Name = \"a4c3f0112233\" }\nmdm = { compliant = true }\n[case.expect]\nrule = \"Compliant\"\nset = \"All\"\nreason = \"rule\"\nprofiles = [\"staff\"]\n\
                 vlan = \"20\"\n[case.expect.attributes]\nReply-Message = \"A4-C3-F0-11-22-33\"\n"
            ),
            ""
        );
        assert_eq!(differences("now = \"2026-01-01T05:59\"\nexpect = { rule = \"Night\" }"), "");
    }

    #[test]
    fn a_case_that_comes_out_otherwise_says_what_was_expected_and_what_came() {
        insta::assert_snapshot!(
            differences("mdm = { compliant = false }\nexpect = { rule = \"Compliant\", access = \"accept\", vlan = 20 }"),
            @"
        rule: Compliant / none (default)
        access: accept / reject
        vlan: 20 / none
        "
        );
        insta::assert_snapshot!(
            differences("mdm = { compliant = true }\nexpect = { rule = \"Night\", attributes = { Session-Timeout = [3600, 60] } }"),
            @"
        rule: Night / Compliant
        Session-Timeout: 3600, 60 / 3600
        "
        );
        insta::assert_snapshot!(
            differences("mdm = { compliant = true }\nexpect = { reply = { Session-Timeout = 3600, Filter-Id = \"x\" } }"),
            @r#"
        Filter-Id: "x" / not in the reply
        Tunnel-Type: not in the reply / VLAN
        Tunnel-Medium-Type: not in the reply / IEEE-802
        Tunnel-Private-Group-Id: not in the reply / "20"
        "#
        );
    }

    /// What the only case of a policy with this set and rule comes to.
    fn failed(set: &str, when: &str, case: &str) -> usize {
        let text = format!(
            "version = 1\n[policy-set]\nname = \"s\"\ndefault = \"deny\"\n{set}[[rule]]\nname = \"r\"\nwhen = {{ {when} }}\nresult = \"permit\"\n\
             [[case]]\nname = \"c\"\n{case}\nexpect = {{ rule = \"r\" }}\n"
        );
        run_all(&testing::policy(&text), Dictionary::builtin(), &TimeZone::UTC).failed.len()
    }

    #[test]
    fn a_device_in_its_grace_period_is_what_the_server_that_is_asked_makes_of_it() {
        let grace = "mdm = { compliance = \"in-grace-period\" }";
        assert_eq!(failed("", "mdm.compliant = true", grace), 0);
        assert_eq!(failed("mdm = [\"old\"]\n", "mdm.compliant = true", grace), 1);
        assert_eq!(failed("mdm = [\"old\"]\n", "mdm.compliant = false", grace), 0);
        let named = "mdm = { compliance = \"in-grace-period\", server = \"old\" }";
        assert_eq!(failed("", "mdm.compliant = false", named), 0);
    }

    #[test]
    fn the_id_of_a_certificate_is_known_once_somebody_was_asked() {
        const ID: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";
        let from = |source: &str| {
            format!("identity.device-id = \"{ID}\", identity.proven = true, identity.device-id-source = \"{source}\"")
        };
        let uri = format!("certificate = {{ san-uri = [\"tag:microsoft.com:sid:S-1\", \"IntuneDeviceId://{ID}\"] }}");
        assert_eq!(failed("", &from("certificate-san"), &format!("{uri}\nmdm = {{ compliant = true }}")), 0);
        let name = format!("certificate = {{ subject-cn = \"{ID}\" }}\nmdm = {{ registered = false }}");
        assert_eq!(failed("", &from("certificate-cn"), &name), 0);
        assert_eq!(failed("", "identity.device-id = { present = false }", &uri), 0);
        assert_eq!(failed("", "identity.device-id-source = \"mac\"", "request = { User-Name = \"a4c3f0112233\" }"), 1);
    }

    #[test]
    fn a_case_is_about_the_client_that_it_names_or_what_all_clients_have_in_common() {
        let asks = "client.vendor = \"cisco\", client.group = \"wired\"";
        assert_eq!(failed("", asks, "client = { name = \"campus\" }"), 0);
        assert_eq!(failed("", asks, ""), 1);
        assert_eq!(failed("", "client.vendor = \"generic\"", ""), 0);
        assert_eq!(failed("", "client.vendor = \"aruba\"", "client = { name = \"campus\", vendor = \"aruba\" }"), 0);
    }

    #[test]
    fn an_acl_and_the_end_of_a_session_can_be_expected() {
        let of = |expect: &str| differences(&format!("mdm = {{ compliant = true }}\nexpect = {{ {expect} }}"));
        assert_eq!(of("session-timeout = \"60m\", acl = []"), "");
        insta::assert_snapshot!(of("session-timeout = \"2h\", acl = \"corp\""), @"
        acl: corp / none
        session-timeout: 2h / 1h
        ");
    }

    #[test]
    fn a_vlan_can_be_expected_of_a_reply_that_cannot_be_written() {
        let policy = POLICY.replace("vlan = 20", "vlan = 20\nsgt = 5");
        let text = format!(
            "{policy}[[case]]\nname = \"c\"\nclient = {{ vendor = \"aruba\" }}\nmdm = {{ compliant = true }}\nexpect = {{ vlan = 20 }}\n"
        );
        let text = text
            .replace("when = { mdm.compliant = true }", "when = { mdm.compliant = true, client.vendor = \"aruba\" }");
        let report = run_all(&testing::policy(&text), Dictionary::builtin(), &TimeZone::UTC);
        assert_eq!((report.passed, report.failed.len()), (1, 0), "{:?}", report.failed);
    }

    #[test]
    fn the_rules_that_no_case_matched_are_told() {
        let policy =
            testing::policy(&format!("{POLICY}\n[[case]]\nname = \"c\"\nexpect = {{ access = \"reject\" }}\n"));
        let report = run_all(&policy, Dictionary::builtin(), &TimeZone::UTC);
        assert_eq!((report.passed, report.uncovered.len()), (1, 2));
    }
}
