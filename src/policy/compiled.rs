//! A compiled policy: it chooses a set and decides.
//!
//! Owns the order of things: sets by rank, in a set its own exceptions, everybody's exceptions, its rules, its default.
//! It is immutable and shared by all shards; a reload makes a new one.

use std::{collections::HashSet, sync::Arc};

use super::{
    acl::Download,
    arena::Arena,
    case::Case,
    catalogue::Fact,
    compile::{plan::Plans, result::PolicyResult},
    decision::{Access, Decision, Monitored, Reason, ResultIndex, RuleIndex, SetIndex, VendorIndex},
    draft::State,
    evaluate::Evaluation,
    facts::Facts,
    index::Index,
    record::{self, Kept},
    reference::FactTexts,
    reply_plan::ReplyPlan,
    rule::{Rule, Set},
    servers::Servers,
    subject::Subject,
    told::{self, Told},
};
use crate::dictionary::Attribute;

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    arena: Arena,
    sets: Vec<Set>,
    rules: Vec<Rule>,
    results: Vec<PolicyResult>,
    plans: Plans,
    cases: Vec<Case>,
    /// The sets by what their `when` needs.
    set_index: Index,
    /// The rules of each set by what they need.
    rule_indexes: Vec<Index>,
    logged: Vec<Attribute>,
    kept: Vec<Fact>,
    told: Told,
    servers: Servers,
}

/// What a policy is made of.
pub(super) struct PolicyParts {
    pub(super) arena: Arena,
    pub(super) sets: Vec<Set>,
    pub(super) rules: Vec<Rule>,
    pub(super) results: Vec<PolicyResult>,
    pub(super) plans: Plans,
    pub(super) cases: Vec<Case>,
    pub(super) servers: Servers,
}

impl Policy {
    /// Puts the parts together.
    pub(super) fn new(parts: PolicyParts) -> Self {
        let PolicyParts { arena, sets, rules, .. } = &parts;
        let set_index = Index::new(arena, sets.iter().map(|set| set.when).collect());
        let rules_of = |set: &Set| rules.get(set.rules.start as usize..set.rules.end as usize).unwrap_or_default();
        let rule_indexes =
            sets.iter().map(|set| Index::new(arena, rules_of(set).iter().map(|rule| rule.when).collect())).collect();
        let attributes = arena.subjects().iter().filter_map(Subject::attribute);
        let mut logged: Vec<Attribute> = attributes.filter(|attribute| !attribute.is_secret()).cloned().collect();
        // One that is asked with several tags is logged once.
        let mut paths = HashSet::new();
        logged.retain(|attribute| paths.insert(attribute.path()));
        let kept = record::kept(arena);
        let told = Told::new(sets, rules, &parts.results);
        let PolicyParts { arena, sets, rules, results, plans, cases, servers } = parts;
        Self { arena, sets, rules, results, plans, cases, set_index, rule_indexes, logged, kept, told, servers }
    }

    /// Whether a device in its grace period is compliant for the server that is asked: `named`, else the set's first.
    #[must_use]
    pub fn grace_is_compliant(&self, set: Option<SetIndex>, named: Option<&str>) -> bool {
        let own = set.and_then(|set| self.set(set)?.mdm.as_ref());
        let first = match own {
            Some(own) => own.iter().find(|name| self.servers.enabled.contains(name)),
            None => self.servers.enabled.first(),
        };
        let server = named.or(first.map(|name| &**name));
        !self.servers.strict.iter().any(|strict| Some(&**strict) == server)
    }

    /// The first policy set whose `when` holds. It is asked once for a request, before any lookup: only `radius`,
    /// `client`, `session`, `time` and the MAC address need to be known.
    #[must_use]
    pub fn choose_set(&self, facts: &Facts<'_>) -> Option<SetIndex> {
        let mut chosen = None;
        self.set_index.each_true(&Evaluation::new(&self.arena, facts), &mut |at| {
            chosen = Some(SetIndex(at));
            true
        });
        chosen
    }

    /// What the set says. A set that does not allow the method rejects, and no other set is tried.
    #[must_use]
    pub fn decide(&self, set: Option<SetIndex>, facts: &Facts<'_>) -> Decision {
        let Some((index, set)) = set.and_then(|index| Some((index, self.sets.get(index.0 as usize)?))) else {
            return Decision::reject(None, Reason::NoRuleMatched);
        };
        if !set.methods.allows(facts.session.method) {
            return Decision::reject(Some(index), Reason::MethodNotAllowed);
        }
        let (matched, monitored) = self.first_match(index, set, facts);
        let (rule, result, reason) = match (matched, set.default) {
            (Some((rule, result)), _) => (Some(rule), result, Reason::Rule),
            (None, Some(result)) => (None, result, Reason::Default),
            (None, None) => (None, ResultIndex::BARE_REJECT, Reason::NoRuleMatched),
        };
        Decision { set: Some(index), rule, result, access: self.access(result), reason, monitored }
    }

    fn first_match(
        &self,
        index: SetIndex,
        set: &Set,
        facts: &Facts<'_>,
    ) -> (Option<(RuleIndex, ResultIndex)>, Monitored) {
        let mut matched = None;
        let mut monitored = Monitored::NONE;
        let Some(rules) = self.rule_indexes.get(index.0 as usize) else { return (None, monitored) };
        rules.each_true(&Evaluation::new(&self.arena, facts), &mut |at| {
            let at = RuleIndex(set.rules.start + at);
            let Some(rule) = self.rule(at) else { return true };
            if rule.state == State::Monitor {
                monitored.push(at);
                return false;
            }
            matched = Some((at, rule.result));
            true
        });
        (matched, monitored)
    }

    fn access(&self, result: ResultIndex) -> Access {
        self.results.get(result.0 as usize).map_or(Access::Reject, |result| result.access)
    }

    /// The set of that number.
    #[must_use]
    pub fn set(&self, set: SetIndex) -> Option<&Set> {
        self.sets.get(set.0 as usize)
    }

    /// The rule of that number.
    #[must_use]
    pub fn rule(&self, rule: RuleIndex) -> Option<&Rule> {
        self.rules.get(rule.0 as usize)
    }

    /// The merged profiles of that number.
    #[must_use]
    pub fn result(&self, result: ResultIndex) -> Option<&PolicyResult> {
        self.results.get(result.0 as usize)
    }

    /// The number of a vendor table by its name; none if no client uses it.
    #[must_use]
    pub fn vendor(&self, name: &str) -> Option<VendorIndex> {
        let at = self.plans.vendors.iter().position(|vendor| *vendor.name == *name)?;
        u32::try_from(at).ok().map(VendorIndex)
    }

    /// What a result sends to clients of a vendor; none if the vendor can't express it, and no client of it can get it.
    #[must_use]
    pub fn reply(&self, result: ResultIndex, vendor: VendorIndex) -> Option<&ReplyPlan> {
        self.plans.plans.get(result.0 as usize)?.get(vendor.0 as usize)?.as_ref()
    }

    /// The ACLs that clients can be told to fetch.
    pub fn downloads(&self) -> impl Iterator<Item = &Arc<Download>> {
        let plans = self.plans.plans.iter().flatten().flatten();
        plans.flat_map(|plan| plan.downloads())
    }

    /// What that reply carries, for the decision log: a JSON object.
    #[must_use]
    pub fn reply_json(&self, result: ResultIndex, vendor: VendorIndex) -> &str {
        let of_result = self.plans.json.get(result.0 as usize);
        of_result.and_then(|of_result| of_result.get(vendor.0 as usize)).map_or("{}", |json| json)
    }

    /// What the decision log says of a decision's set, rule and profiles: members of a JSON object.
    #[must_use]
    pub fn outcome_json(&self, decision: &Decision) -> &str {
        self.told.of(decision)
    }

    /// The same where policy was not asked.
    #[must_use]
    pub const fn no_outcome_json() -> &'static str {
        told::NOTHING
    }

    /// The attributes of requests that the policy refers to: what a decision's line in the log must hold, so that the
    /// decision can be replayed. Secrets are not among them.
    #[must_use]
    pub fn logged_attributes(&self) -> &[Attribute] {
        &self.logged
    }

    /// Calls `visit` with each fact that a decision's line in the log must hold, so that it can be explained and replayed.
    #[inline]
    pub fn each_kept(&self, facts: &Facts<'_>, visit: impl FnMut(Kept<'_>)) {
        record::each(&self.kept, facts, visit);
    }

    /// The facts that a reply's attributes may refer to.
    #[must_use]
    pub const fn fact_texts<'e, 'a>(&'e self, facts: &'e Facts<'a>) -> FactTexts<'e, 'a> {
        FactTexts { arena: &self.arena, facts }
    }

    /// All sets in the order in which they are tried.
    #[must_use]
    pub fn sets(&self) -> &[Set] {
        &self.sets
    }

    /// The rules of all sets. Hit counters have the same length.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules of one set in the order in which they are tried.
    #[must_use]
    pub fn rules_of(&self, set: &Set) -> &[Rule] {
        self.rules.get(set.rules.start as usize..set.rules.end as usize).unwrap_or_default()
    }

    /// All merged profiles.
    #[must_use]
    pub fn results(&self) -> &[PolicyResult] {
        &self.results
    }

    /// The cases of all files, in their order.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The compiled conditions.
    #[must_use]
    pub const fn arena(&self) -> &Arena {
        &self.arena
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{decide, matched, policy};
    use super::*;

    const CONTRACT: &str = r#"
version = 1

[policy-set]
name = "Wired"
rank = 10
state = "enabled"
when = { radius.NAS-Port-Type = "Ethernet" }
methods = ["mab", "eap-tls", "authorize-only"]
mdm = ["corp-intune"]
default = "deny"

[[rule]]
name = "Blocked"
when = { identity.mac = { in-list = "blocked" } }
result = "deny"

[[rule]]
name = "Registered & Compliant"
when = { mdm.registered = true, mdm.compliant = true }
result = "employee"

[[rule]]
name = "Registered & NonCompliant"
when = { mdm.registered = true, mdm.compliant = false }
result = "quarantine"

[[rule]]
name = "outage"
when = { mdm.reachable = false, mdm.last-compliant = { within = "24h" } }
result = ["employee", "short"]

[[rule]]
name = "UnRegistered"
when.mdm.registered = false
result = "enrol"

[profile.employee]
access = "accept"
vlan = 20

[profile.short]
session-timeout = "1h"

[profile.quarantine]
access = "accept"
vlan = 66

[profile.enrol]
access = "accept"
vlan = "ENROL"

[list.blocked]
values = ["A4-C3-F0-66-66-66", "02:00:5E:00:00"]
"#;

    const WIRED: &str = "User-Name = a4c3f0112233\nService-Type = Call-Check\nNAS-Port-Type = Ethernet";

    #[test]
    fn the_first_rule_that_holds_decides() {
        let policy = policy(CONTRACT);
        for (given, rule) in [
            (&["mdm.compliant=true"][..], "Registered & Compliant"),
            (&["mdm.compliant=false"], "Registered & NonCompliant"),
            (&["mdm.registered=false"], "UnRegistered"),
            (&["mdm.reachable=false", "mdm.last-compliant=3h"], "outage"),
            (&["mdm.reachable=false", "mdm.last-compliant=25h"], "default"),
            (&["mdm.reachable=false"], "default"),
            (&["identity.mac=02005e0000ff", "mdm.compliant=true"], "Blocked"),
            (&[], "default"),
        ] {
            assert_eq!(matched(&policy, WIRED, given), rule, "{given:?}");
        }
    }

    #[test]
    fn a_method_that_the_set_does_not_allow_is_rejected_without_trying_another_set() {
        let policy = policy(CONTRACT);
        let decision = decide(&policy, WIRED, &["session.method=eap-md5", "mdm.compliant=true"]);
        assert_eq!((decision.access, decision.reason), (Access::Reject, Reason::MethodNotAllowed));
    }

    #[test]
    fn without_a_set_everything_is_rejected() {
        let decision = decide(&policy(CONTRACT), "NAS-Port-Type = Virtual", &[]);
        assert_eq!((decision.set, decision.access, decision.reason), (None, Access::Reject, Reason::NoRuleMatched));
    }
}
