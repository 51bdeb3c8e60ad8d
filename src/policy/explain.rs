//! Why a decision is what it is: each set and rule with the first fact that failed, and its value.
//!
//! Owns the trace and its text; its JSON is the same object. It is made from facts when somebody asks, never while a
//! request is decided.

use std::fmt;

use serde::Serialize;

use super::{
    arena::{Node, NodeId, PredicateId},
    catalogue::{self, Family},
    compiled::Policy,
    decision::{Decision, Reason, RuleIndex, SetIndex},
    draft::State,
    evaluate::Evaluation,
    facts::Facts,
    reading::Shown,
    truth::Truth,
};

/// Facts that are named for one failed condition; an `any` of a hundred says enough with the first few.
const FAILURES_MAX: usize = 8;

/// The way to one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trace {
    /// What is known, as far as the policy asks for it.
    pub facts: Vec<TracedFact>,
    /// The sets in their order.
    pub sets: Vec<TracedSet>,
    /// The rules of the chosen set in their order.
    pub rules: Vec<TracedRule>,
    /// What came of it.
    pub decision: TracedDecision,
}

/// A fact and its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracedFact {
    /// Its name.
    pub name: String,
    /// Its values; none if it is absent.
    pub values: Vec<String>,
}

/// What came of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracedSet {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracedRule {
    /// Its name.
    pub name: String,
    /// `rule`, `exception` or `global exception`.
    pub kind: &'static str,
    /// `enabled` or `monitor`.
    pub state: &'static str,
    /// Where it stands.
    pub place: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a set or a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// It matched and was used.
    Matched,
    /// It would have matched, but is only watched.
    Monitored,
    /// It did not match.
    Failed {
        /// The first facts that were not as asked.
        why: Vec<Failure>,
    },
    /// One before it matched.
    NotReached,
}

/// A comparison that was not true, or one below `not` that was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// What the policy asks.
    pub asked: String,
    /// Whether it asks for the opposite.
    pub negated: bool,
    /// The fact.
    pub fact: String,
    /// Its values; none if it is absent.
    pub values: Vec<String>,
    /// Whether an absent value means that nobody knows, rather than that there is none.
    pub unknown: bool,
}

/// The decision by names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TracedDecision {
    /// The set that was chosen.
    pub set: Option<String>,
    /// The rule that matched.
    pub rule: Option<String>,
    /// The profiles that apply.
    pub profiles: Vec<String>,
    /// `accept`, `reject` or `ignore`.
    pub access: &'static str,
    /// Why, by name.
    pub reason: &'static str,
    /// Why, as a sentence.
    pub sentence: &'static str,
}

/// Decides and says why.
#[must_use]
pub fn explain(policy: &Policy, facts: &Facts<'_>) -> (Decision, Trace) {
    let set = policy.choose_set(facts);
    let decision = policy.decide(set, facts);
    let tracer = Tracer { policy, evaluation: Evaluation::new(policy.arena(), facts) };
    let trace = Trace {
        facts: tracer.facts(),
        sets: tracer.sets(set),
        rules: tracer.rules(&decision),
        decision: tracer.decision(&decision),
    };
    (decision, trace)
}

struct Tracer<'t, 'a> {
    policy: &'t Policy,
    evaluation: Evaluation<'t, 'a>,
}

impl Tracer<'_, '_> {
    fn facts(&self) -> Vec<TracedFact> {
        let subjects = self.policy.arena().subjects();
        let mut facts: Vec<TracedFact> = subjects
            .iter()
            .map(|subject| TracedFact { name: subject.name.to_string(), values: self.values(subject) })
            .collect();
        // Who it is and what is known of it comes first, whatever the policy asks for.
        for name in ["mdm.lookup", "identity.mac", "session.method"] {
            if let Some(row) = catalogue::find(name)
                && !facts.iter().any(|fact| fact.name == name)
            {
                let subject = super::subject::Subject::of_row(row);
                facts.push(TracedFact { name: name.to_owned(), values: self.values(&subject) });
            }
        }
        facts.sort_by_key(|fact| catalogue::ROWS.iter().position(|row| row.name == fact.name).map_or(0, |at| at + 1));
        facts
    }

    fn values(&self, subject: &super::subject::Subject) -> Vec<String> {
        let mut values = Vec::new();
        subject.each_value(self.evaluation.facts(), || self.evaluation.local_time(), &mut |reading| {
            let name = match (subject.attribute(), reading) {
                (Some(attribute), super::reading::Reading::Number(number)) => {
                    u64::try_from(number).ok().and_then(|number| attribute.value_name(number)).map(str::to_owned)
                }
                _ => None,
            };
            values.push(name.unwrap_or_else(|| Shown { kind: subject.kind, reading }.to_string()));
            false
        });
        values
    }

    fn sets(&self, chosen: Option<SetIndex>) -> Vec<TracedSet> {
        let mut traced = Vec::new();
        for (at, set) in (0u32..).zip(self.policy.sets()) {
            let outcome = match chosen {
                Some(chosen) if chosen.0 == at => Outcome::Matched,
                Some(chosen) if chosen.0 < at => Outcome::NotReached,
                _ => Outcome::Failed { why: self.failures(set.when) },
            };
            traced.push(TracedSet { name: set.name.to_string(), place: set.place.to_string(), outcome });
        }
        traced
    }

    fn rules(&self, decision: &Decision) -> Vec<TracedRule> {
        let Some(set) = decision.set.and_then(|set| self.policy.set(set)) else { return Vec::new() };
        let mut traced = Vec::new();
        for at in set.rules.clone() {
            let Some(rule) = self.policy.rule(RuleIndex(at)) else { break };
            let outcome = match decision.rule {
                _ if decision.reason == Reason::MethodNotAllowed => Outcome::NotReached,
                Some(matched) if matched.0 == at => Outcome::Matched,
                Some(matched) if matched.0 < at => Outcome::NotReached,
                _ if rule.state == State::Monitor && self.evaluation.truth(rule.when) == Truth::True => {
                    Outcome::Monitored
                }
                _ => Outcome::Failed { why: self.failures(rule.when) },
            };
            traced.push(TracedRule {
                name: rule.name.to_string(),
                kind: rule.kind.name(),
                state: rule.state.name(),
                place: rule.place.to_string(),
                outcome,
            });
        }
        traced
    }

    fn decision(&self, decision: &Decision) -> TracedDecision {
        let profiles = self.policy.result(decision.result).map(|result| result.profiles.as_slice()).unwrap_or_default();
        TracedDecision {
            set: decision.set.and_then(|set| self.policy.set(set)).map(|set| set.name.to_string()),
            rule: decision.rule.and_then(|rule| self.policy.rule(rule)).map(|rule| rule.name.to_string()),
            profiles: profiles.iter().map(ToString::to_string).collect(),
            access: decision.access.name(),
            reason: decision.reason.name(),
            sentence: decision.reason.sentence(),
        }
    }

    fn failures(&self, node: NodeId) -> Vec<Failure> {
        let mut found = Vec::new();
        self.collect(node, false, &mut found);
        found
    }

    /// Collects why a condition is not true, or if `negated`, why it is not false.
    fn collect(&self, node: NodeId, negated: bool, found: &mut Vec<Failure>) {
        let wanted = Truth::of(!negated);
        if found.len() >= FAILURES_MAX || self.evaluation.truth(node) == wanted {
            return;
        }
        match self.policy.arena().node(node) {
            Node::Constant(_) => {}
            Node::Test(predicate) => found.push(self.failure(*predicate, negated)),
            Node::Not(inner) => self.collect(*inner, !negated, found),
            // One broken part breaks an `all` (and one true part a negated `any`), so the first one says enough.
            Node::All(parts) if !negated => self.first(parts, negated, found),
            Node::Any(parts) if negated => self.first(parts, negated, found),
            Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| self.collect(*part, negated, found)),
        }
    }

    fn first(&self, parts: &[NodeId], negated: bool, found: &mut Vec<Failure>) {
        let wanted = Truth::of(!negated);
        // What is known to be otherwise says more than what is not known.
        let known = parts.iter().find(|part| self.evaluation.truth(**part) == wanted.negated());
        let failed = known.or_else(|| parts.iter().find(|part| self.evaluation.truth(**part) != wanted));
        if let Some(part) = failed {
            self.collect(*part, negated, found);
        }
    }

    fn failure(&self, id: PredicateId, negated: bool) -> Failure {
        let predicate = self.policy.arena().predicate(id);
        let subject = self.policy.arena().subject(predicate.subject);
        Failure {
            asked: predicate.text.to_string(),
            negated,
            fact: subject.name.to_string(),
            values: self.values(subject),
            unknown: subject.absent() == Truth::Undefined,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.negated { "not " } else { "" };
        write!(f, "needs {not}{}; ", self.asked)?;
        match self.values.as_slice() {
            [] if self.unknown => f.write_str("it is not known"),
            [] => f.write_str("there is none"),
            values => write!(f, "it is {}", values.join(", ")),
        }
    }
}

impl Outcome {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched => f.write_str("matched"),
            Self::Monitored => f.write_str("would have matched (state = \"monitor\")"),
            Self::NotReached => f.write_str("not reached"),
            Self::Failed { why } => match why.as_slice() {
                [] => f.write_str("no"),
                [only] => write!(f, "no: {only}"),
                several => {
                    let texts: Vec<String> = several.iter().map(ToString::to_string).collect();
                    write!(f, "no: {}", texts.join(" | "))
                }
            },
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("facts\n")?;
        for fact in &self.facts {
            match fact.values.as_slice() {
                [] if is_undefined(&fact.name) => writeln!(f, "  {} is not known", fact.name)?,
                [] => writeln!(f, "  {} is absent", fact.name)?,
                values => writeln!(f, "  {} = {}", fact.name, values.join(", "))?,
            }
        }
        f.write_str("policy sets\n")?;
        for set in &self.sets {
            writeln!(f, "  {} ({}): {}", set.name, set.place, set.outcome)?;
        }
        if !self.rules.is_empty() {
            f.write_str("rules\n")?;
        }
        for rule in &self.rules {
            let kind = if rule.kind == "rule" { String::new() } else { format!("{}, ", rule.kind) };
            writeln!(f, "  {} ({kind}{}): {}", rule.name, rule.place, rule.outcome)?;
        }
        writeln!(f, "{}", self.decision)
    }
}

fn is_undefined(name: &str) -> bool {
    let family = name.split('.').next().and_then(Family::parse);
    family.is_some_and(|family| family.absent() == Truth::Undefined)
}

impl fmt::Display for TracedDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decision: {}", self.access)?;
        if !self.profiles.is_empty() {
            write!(f, " ({})", self.profiles.join(" + "))?;
        }
        match (&self.set, &self.rule) {
            (None, _) => f.write_str(", because no policy set matched"),
            (Some(set), Some(rule)) => write!(f, ", by the rule \"{rule}\" of \"{set}\""),
            (Some(set), None) if self.reason == Reason::Default.name() => write!(f, ", by the default of \"{set}\""),
            (Some(set), None) if self.reason == Reason::MethodNotAllowed.name() => {
                write!(f, ", because \"{set}\" does not allow the method")
            }
            (Some(set), None) => write!(f, ", because no rule of \"{set}\" matched, and it has no default"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{policy, with_facts};
    use super::*;

    const POLICY: &str = r#"
version = 1

[policy-set]
name = "Wired"
rank = 10
when = { session.medium = "wired" }
default = "deny"

[[exception]]
name = "Visitors of the fair"
when = { any = [ { client.group = "fair" }, { client.name = { starts-with = "fair-" } } ] }
result = "permit"

[[rule]]
name = "Encrypted laptops"
state = "monitor"
when = { mdm.compliant = true, mdm.os = "Windows" }
result = "permit"

[[rule]]
name = "Compliant"
when = { mdm.compliant = true, not = { mdm.jailbroken = true } }
result = "permit"

[[rule]]
name = "Printers"
when = { identity.mac = { mac = "02-00-5E" }, radius.Service-Type = { not = "Framed-User" } }
result = "permit"
"#;

    fn text(request: &str, given: &[&str]) -> String {
        let policy = policy(POLICY);
        with_facts(request, given, |facts| explain(&policy, facts).1.to_string())
    }

    #[test]
    fn an_explanation_names_the_first_fact_that_failed_and_its_value() {
        let request = "User-Name = a4c3f0112233\nService-Type = Call-Check\nNAS-Port-Type = Ethernet";
        insta::assert_snapshot!(text(request, &["mdm.compliant=false"]), @r#"
        facts
          radius.Service-Type = Call-Check
          client.name = client
          client.group is absent
          session.method = mab
          session.medium = wired
          identity.mac = A4-C3-F0-11-22-33
          mdm.lookup = found
          mdm.compliant = false
          mdm.os is not known
          mdm.jailbroken is not known
        policy sets
          Wired (x.toml:4:2): matched
        rules
          Visitors of the fair (exception, x.toml:10:1): no: needs client.group = "fair"; there is none | needs client.name starts-with "fair-"; it is client
          Encrypted laptops (x.toml:15:1): no: needs mdm.compliant = true; it is false
          Compliant (x.toml:21:1): no: needs mdm.compliant = true; it is false
          Printers (x.toml:26:1): no: needs identity.mac mac "02-00-5E"; it is A4-C3-F0-11-22-33
        decision: reject (deny), by the default of "Wired"
        "#);
        insta::assert_snapshot!(text(request, &["mdm.reachable=false"]), @r#"
        facts
          radius.Service-Type = Call-Check
          client.name = client
          client.group is absent
          session.method = mab
          session.medium = wired
          identity.mac = A4-C3-F0-11-22-33
          mdm.lookup = unreachable
          mdm.compliant is not known
          mdm.os is not known
          mdm.jailbroken is not known
        policy sets
          Wired (x.toml:4:2): matched
        rules
          Visitors of the fair (exception, x.toml:10:1): no: needs client.group = "fair"; there is none | needs client.name starts-with "fair-"; it is client
          Encrypted laptops (x.toml:15:1): no: needs mdm.compliant = true; it is not known
          Compliant (x.toml:21:1): no: needs mdm.compliant = true; it is not known
          Printers (x.toml:26:1): no: needs identity.mac mac "02-00-5E"; it is A4-C3-F0-11-22-33
        decision: reject (deny), by the default of "Wired"
        "#);
    }

    #[test]
    fn an_explanation_ends_with_the_rule_that_matched_or_with_the_sets_that_did_not() {
        let request = "User-Name = a4c3f0112233\nService-Type = Call-Check\nNAS-Port-Type = Ethernet";
        insta::assert_snapshot!(text(request, &["mdm.compliant=true", "mdm.os=Windows", "mdm.jailbroken=false"]), @r#"
        facts
          radius.Service-Type = Call-Check
          client.name = client
          client.group is absent
          session.method = mab
          session.medium = wired
          identity.mac = A4-C3-F0-11-22-33
          mdm.lookup = found
          mdm.compliant = true
          mdm.os = Windows
          mdm.jailbroken = false
        policy sets
          Wired (x.toml:4:2): matched
        rules
          Visitors of the fair (exception, x.toml:10:1): no: needs client.group = "fair"; there is none | needs client.name starts-with "fair-"; it is client
          Encrypted laptops (x.toml:15:1): would have matched (state = "monitor")
          Compliant (x.toml:21:1): matched
          Printers (x.toml:26:1): not reached
        decision: accept (permit), by the rule "Compliant" of "Wired"
        "#);
        insta::assert_snapshot!(text("NAS-Port-Type = Virtual", &[]), @r#"
        facts
          radius.Service-Type is absent
          client.name = client
          client.group is absent
          session.method = mab
          session.medium = virtual
          identity.mac is not known
          mdm.lookup = not-asked
          mdm.compliant is not known
          mdm.os is not known
          mdm.jailbroken is not known
        policy sets
          Wired (x.toml:4:2): no: needs session.medium = "wired"; it is virtual
        decision: reject, because no policy set matched
        "#);
    }

    #[test]
    fn the_json_is_the_same_trace() {
        let policy = policy(POLICY);
        let trace =
            with_facts("NAS-Port-Type = Ethernet", &["mdm.registered=false"], |facts| explain(&policy, facts).1);
        let json = serde_json::to_value(&trace).expect("a trace has no maps with odd keys");
        assert_eq!(json["sets"][0]["outcome"], "matched");
        assert_eq!(json["rules"][0]["outcome"], "failed");
        assert_eq!(json["rules"][0]["why"][0]["fact"], "client.group");
        assert_eq!(json["decision"]["access"], "reject");
    }
}
