//! Goes through a policy and tells what is probably not meant.
//!
//! Owns the list of inspections and their messages.

use std::collections::BTreeSet;

use super::{
    super::{
        arena::{Arena, NodeId},
        catalogue::{Fact, Family, row},
        compiled::Policy,
        decision::{Access, RuleIndex},
        draft::State,
        rule::{Rule, RuleKind, Set},
    },
    implication::implies,
    outage,
    pattern::{accepts, are_disjoint, collect_required, never_true, subject},
};
use crate::problem::Problems;

/// Comparisons of conditions that are made at most: with thousands of rules in one set each with each takes too long.
const COMPARISONS_MAX: usize = 4_000_000;

/// What an inspection may know besides the policy.
#[derive(Clone, Debug, Default)]
pub struct Inspection<'i> {
    /// Which rules some case matched, if the cases were run. Bound: `limits::RULES_MAX`.
    pub covered: Option<&'i BTreeSet<RuleIndex>>,
    /// The names of the MDM servers that tell nothing but whether a device is registered and compliant.
    pub terse_servers: &'i [Box<str>],
    /// The names of all enabled MDM servers, in their order.
    pub servers: &'i [Box<str>],
}

/// Tells what is probably not meant: warnings, and hints for those who want to hear them.
pub fn inspect(policy: &Policy, inspection: &Inspection<'_>, problems: &mut Problems) {
    let mut inspector = Inspector { policy, arena: policy.arena(), problems, comparisons: 0 };
    inspector.sets();
    for set in policy.sets() {
        let rules = policy.rules_of(set);
        inspector.rules(set, rules);
        inspector.terse(set, rules, inspection);
    }
    inspector.coverage(inspection);
}

struct Inspector<'i> {
    policy: &'i Policy,
    arena: &'i Arena,
    problems: &'i mut Problems,
    comparisons: usize,
}

impl Inspector<'_> {
    fn sets(&mut self) {
        let sets = self.policy.sets();
        for (at, set) in sets.iter().enumerate() {
            let earlier = sets.get(..at).unwrap_or_default();
            if let Some(other) = earlier.iter().find(|other| implies(self.arena, set.when, other.when)) {
                let message = format!(
                    "\"{}\" is never used: \"{}\" ({}) is tried before it and takes all of its requests; exchange their ranks",
                    set.name, other.name, other.place
                );
                self.problems.warning("set-shadowed", Some(set.place.clone()), message);
                continue;
            }
            for other in earlier.iter().filter(|other| !are_apart(self.arena, set.when, other.when)) {
                let message = format!(
                    "\"{}\" and \"{}\" ({}) can take the same requests; \"{}\" is tried first",
                    set.name, other.name, other.place, other.name
                );
                self.problems.hint("sets-overlap", Some(set.place.clone()), message);
            }
        }
    }

    fn rules(&mut self, set: &Set, rules: &[Rule]) {
        for (at, rule) in rules.iter().enumerate() {
            // A global exception is told of once, in the first set.
            if rule.kind == RuleKind::GlobalException && rule.set.0 > 0 {
                continue;
            }
            let earlier = rules.get(..at).unwrap_or_default();
            self.shadowed(set, rule, earlier);
            if let Some(why) = never_true(self.arena, rule.when) {
                let message = format!("the rule \"{}\" can never match: {why}", rule.name);
                self.problems.warning("never-true", Some(rule.place.clone()), message);
            }
            if rule.access == Access::Accept && rule.state == State::Enabled {
                self.accepting(rule);
            }
        }
    }

    fn shadowed(&mut self, set: &Set, rule: &Rule, earlier: &[Rule]) {
        if self.comparisons >= COMPARISONS_MAX {
            return;
        }
        self.comparisons += earlier.len();
        if self.comparisons >= COMPARISONS_MAX {
            let message =
                format!("\"{}\" has too many rules to compare each with each; the rest is not compared", set.name);
            self.problems.hint("not-compared", Some(set.place.clone()), message);
        }
        let above = earlier
            .iter()
            .filter(|other| other.state == State::Enabled)
            .find(|other| implies(self.arena, rule.when, other.when));
        if let Some(other) = above {
            let message = format!(
                "the {} \"{}\" is never reached: \"{}\" ({}) matches before it whenever it would; move it up, or remove it",
                rule.kind.name(),
                rule.name,
                other.name,
                other.place
            );
            self.problems.warning("rule-shadowed", Some(rule.place.clone()), message);
        }
    }

    fn accepting(&mut self, rule: &Rule) {
        if outage::is_opened(self.arena, rule.when) {
            let message = format!(
                "the rule \"{}\" accepts when the MDM server can't be asked, and does not say so; ask for what must be \
                 known (mdm.compliant = true), or write mdm.reachable = false",
                rule.name
            );
            self.problems.warning("opened-by-outage", Some(rule.place.clone()), message);
        }
        let mut required = Vec::new();
        collect_required(self.arena, rule.when, &mut required);
        let is_proven = required.iter().any(|predicate| {
            subject(self.arena, *predicate) == Some(Fact::IdentityProven) && !accepts(self.arena, *predicate, 0)
        });
        if !is_proven {
            let message = format!(
                "the rule \"{}\" accepts devices that only say who they are: a MAC address can be copied; to ask for a \
                 certificate add identity.proven = true",
                rule.name
            );
            self.problems.hint("identity-not-proven", Some(rule.place.clone()), message);
        }
    }

    /// Facts of a device that none of the set's servers tells.
    fn terse(&mut self, set: &Set, rules: &[Rule], inspection: &Inspection<'_>) {
        let servers = set.mdm.as_deref().unwrap_or(inspection.servers);
        if servers.is_empty() || !servers.iter().all(|server| inspection.terse_servers.contains(server)) {
            return;
        }
        for rule in rules {
            let mut untold = BTreeSet::new();
            self.arena.visit_predicates(rule.when, &mut |predicate| {
                untold.extend(subject(self.arena, predicate).filter(|fact| !is_told_by_all(*fact)));
            });
            for fact in untold {
                let message = format!(
                    "the rule \"{}\" asks for {}, which compliance retrieval does not tell; add \"graph\" to the \
                     server's lookup, or remove it",
                    rule.name,
                    row(fact).name
                );
                self.problems.warning("fact-never-known", Some(rule.place.clone()), message);
            }
        }
    }

    fn coverage(&mut self, inspection: &Inspection<'_>) {
        let Some(covered) = inspection.covered.filter(|_| !self.policy.cases().is_empty()) else { return };
        let rules = (0u32..).map(RuleIndex).zip(self.policy.rules());
        // A global exception is covered if a case of any set reached it.
        let names: BTreeSet<&str> =
            covered.iter().filter_map(|rule| self.policy.rule(*rule)).map(|rule| &*rule.name).collect();
        let mut told = BTreeSet::new();
        for (at, rule) in rules {
            let is_global = rule.kind == RuleKind::GlobalException;
            if covered.contains(&at) || is_global && (names.contains(&*rule.name) || !told.insert(&rule.name)) {
                continue;
            }
            let message = format!("no case reaches the rule \"{}\"; add a [[case]] for it", rule.name);
            self.problems.hint("rule-without-case", Some(rule.place.clone()), message);
        }
    }
}

/// Whether no request can satisfy both.
fn are_apart(arena: &Arena, first: NodeId, other: NodeId) -> bool {
    let (mut of_first, mut of_other) = (Vec::new(), Vec::new());
    collect_required(arena, first, &mut of_first);
    collect_required(arena, other, &mut of_other);
    of_first.iter().any(|first| {
        let subject = arena.predicate(*first).subject;
        let single = arena.subject(subject).fact().is_some_and(|fact| !super::super::given::is_repeated(fact));
        let mut others = of_other.iter().filter(|other| arena.predicate(**other).subject == subject);
        single && others.any(|other| are_disjoint(arena, *first, *other))
    })
}

/// Whether compliance retrieval tells the fact, too.
fn is_told_by_all(fact: Fact) -> bool {
    row(fact).family() != Family::Mdm
        || matches!(
            fact,
            Fact::MdmServer
                | Fact::MdmLookup
                | Fact::MdmReachable
                | Fact::MdmRegistered
                | Fact::MdmManaged
                | Fact::MdmCompliant
                | Fact::MdmCompliance
                | Fact::MdmSource
                | Fact::MdmAge
                | Fact::MdmLastCompliant
                | Fact::MdmEnrolmentUrl
        )
}

#[cfg(test)]
mod tests {
    use super::super::super::{
        testing::{load_files, policy},
        trial,
    };
    use super::*;
    use crate::dictionary::Dictionary;

    fn inspected(text: &str) -> String {
        told(&policy(&format!("version = 1\n[policy-set]\nname = \"s\"\nrank = 1\n{text}")))
    }

    fn told(policy: &Policy) -> String {
        let report = trial::run_all(policy, Dictionary::builtin(), &jiff::tz::TimeZone::UTC);
        let mut problems = Problems::new();
        let terse: Vec<Box<str>> = vec!["old".into()];
        let servers: Vec<Box<str>> = vec!["corp-intune".into(), "old".into()];
        let inspection = Inspection { covered: Some(&report.covered), terse_servers: &terse, servers: &servers };
        inspect(policy, &inspection, &mut problems);
        problems.sorted().iter().map(|problem| format!("{problem} [{}]\n", problem.code)).collect()
    }

    #[test]
    fn rules_that_can_not_match_are_told() {
        insta::assert_snapshot!(inspected(r#"
[[rule]]
name = "compliant"
when = { mdm.compliant = true, identity.proven = true }
result = "permit"
[[rule]]
name = "compliant phone"
when = { identity.proven = true, mdm.compliant = true, mdm.os = ["iOS", "Android"] }
result = "permit"
[[rule]]
name = "compliant in an outage"
when = { mdm.reachable = false, mdm.compliant = true, identity.proven = true }
result = "permit"
[[rule]]
name = "new phone"
when = { mdm.registered = false, mdm.os = "iOS", identity.proven = true }
result = "permit"
[[rule]]
name = "two at once"
when = { session.medium = "wired", all = [ { session.medium = "wireless" } ], identity.proven = true }
result = "permit"
"#), @r#"
        x.toml:10:1: warning: the rule "compliant phone" is never reached: "compliant" (x.toml:6:1) matches before it whenever it would; move it up, or remove it [rule-shadowed]
        x.toml:14:1: warning: the rule "compliant in an outage" is never reached: "compliant" (x.toml:6:1) matches before it whenever it would; move it up, or remove it [rule-shadowed]
        x.toml:14:1: warning: the rule "compliant in an outage" can never match: while the MDM server can't be asked, mdm.compliant is not known; ask mdm.last-compliant [never-true]
        x.toml:18:1: warning: the rule "new phone" can never match: of a device that is not registered, mdm.os is not known; split the rule, or remove one of them [never-true]
        x.toml:22:1: warning: the rule "two at once" can never match: it asks for session.medium = "wired" and for session.medium = "wireless"; remove one of them [never-true]
        "#);
    }

    #[test]
    fn rules_that_open_too_far_are_told() {
        insta::assert_snapshot!(inspected(r#"
[[rule]]
name = "not known to be bad"
when = { mdm.compliance = { present = false } }
result = "permit"
[[rule]]
name = "printer"
when = { identity.mac = { mac = "02-00-5E" } }
result = "permit"
[[case]]
name = "a printer comes in"
request = { User-Name = "02005e000001" }
mdm = { compliant = true }
expect = { rule = "printer" }
"#), @r#"
        x.toml:6:1: warning: the rule "not known to be bad" accepts when the MDM server can't be asked, and does not say so; ask for what must be known (mdm.compliant = true), or write mdm.reachable = false [opened-by-outage]
        x.toml:6:1: hint: the rule "not known to be bad" accepts devices that only say who they are: a MAC address can be copied; to ask for a certificate add identity.proven = true [identity-not-proven]
        x.toml:6:1: hint: no case reaches the rule "not known to be bad"; add a [[case]] for it [rule-without-case]
        x.toml:10:1: hint: the rule "printer" accepts devices that only say who they are: a MAC address can be copied; to ask for a certificate add identity.proven = true [identity-not-proven]
        "#);
    }

    #[test]
    fn sets_that_meet_and_facts_that_nobody_tells_are_told() {
        let rule =
            "[[rule]]\nname = \"phone\"\nwhen = { mdm.os = \"iOS\", identity.proven = true }\nresult = \"permit\"\n";
        let set = |name: &str, rank: u8, when: &str, server: &str| {
            format!(
                "version = 1\n[policy-set]\nname = \"{name}\"\nrank = {rank}\nwhen = {when}\nmdm = [\"{server}\"]\n{rule}"
            )
        };
        let files = [
            ("a.toml", set("wired", 1, "{ session.medium = \"wired\" }", "corp-intune")),
            ("b.toml", set("wireless", 2, "{ session.medium = \"wireless\" }", "old")),
            ("c.toml", set("campus", 3, "{ client.group = \"campus\" }", "corp-intune")),
            ("d.toml", set("labs", 4, "{ session.medium = \"wired\", client.group = \"lab\" }", "corp-intune")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let (policy, problems) = load_files(&files);
        insta::assert_snapshot!(told(&policy.unwrap_or_else(|| panic!("{problems:?}"))), @r#"
        b.toml:7:1: warning: the rule "phone" asks for mdm.os, which compliance retrieval does not tell; add "graph" to the server's lookup, or remove it [fact-never-known]
        c.toml:2:2: hint: "campus" and "wired" (a.toml:2:2) can take the same requests; "wired" is tried first [sets-overlap]
        c.toml:2:2: hint: "campus" and "wireless" (b.toml:2:2) can take the same requests; "wireless" is tried first [sets-overlap]
        d.toml:2:2: warning: "labs" is never used: "wired" (a.toml:2:2) is tried before it and takes all of its requests; exchange their ranks [set-shadowed]
        "#);
    }
}
