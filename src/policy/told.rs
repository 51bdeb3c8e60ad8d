//! What every line of the decision log says of the set, the rule and the profiles, written when the policy is loaded.
//!
//! Owns these pieces of lines. Where they stand in a line is `audit`'s matter.

use super::{
    compile::result::PolicyResult,
    decision::{Decision, ResultIndex},
    rule::{Rule, Set},
};
use crate::escape::push_string;

/// Members of an object of JSON for each outcome that a policy can have.
#[derive(Debug)]
pub(super) struct Told {
    /// By rule. Bound: the rules of the policy.
    rules: Vec<Box<str>>,
    /// By set, for its default. Bound: the sets of the policy.
    defaults: Vec<Box<str>>,
    /// By set, where none of its profiles applies. Bound: the sets of the policy.
    bare: Vec<Box<str>>,
}

/// What is told of a decision without any set.
pub(super) const NOTHING: &str = "\"profiles\":[]";

impl Told {
    pub(super) fn new(sets: &[Set], rules: &[Rule], results: &[PolicyResult]) -> Self {
        let profiles_of =
            |result: ResultIndex| results.get(result.0 as usize).map_or(&[][..], |result| &result.profiles);
        let of_rule = |rule: &Rule| {
            let set = sets.get(rule.set.0 as usize).map(|set| &*set.name);
            members(set, Some(&rule.name), profiles_of(rule.result))
        };
        let of_default = |set: &Set| members(Some(&set.name), None, set.default.map_or(&[], profiles_of));
        Self {
            rules: rules.iter().map(of_rule).collect(),
            defaults: sets.iter().map(of_default).collect(),
            bare: sets.iter().map(|set| members(Some(&set.name), None, &[])).collect(),
        }
    }

    /// What is told of this decision.
    pub(super) fn of(&self, decision: &Decision) -> &str {
        let found = match (decision.rule, decision.set) {
            (Some(rule), _) => self.rules.get(rule.0 as usize),
            (None, Some(set)) if decision.result == ResultIndex::BARE_REJECT => self.bare.get(set.0 as usize),
            (None, Some(set)) => self.defaults.get(set.0 as usize),
            (None, None) => None,
        };
        found.map_or(NOTHING, |members| members)
    }
}

fn members(set: Option<&str>, rule: Option<&str>, profiles: &[Box<str>]) -> Box<str> {
    let mut json = String::new();
    for (name, value) in [("policy-set", set), ("rule", rule)] {
        if let Some(value) = value {
            push_string(name, &mut json);
            json.push(':');
            push_string(value, &mut json);
            json.push(',');
        }
    }
    json.push_str("\"profiles\":[");
    for (at, profile) in profiles.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        push_string(profile, &mut json);
    }
    json.push(']');
    json.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::{
        decision::{Access, Reason, RuleIndex, SetIndex},
        testing::policy,
    };

    const POLICY: &str = r#"
version = 1

[policy-set]
name = "A \"set\""
default = "deny"

[[rule]]
name = "Wächter \\ \"1\""
when = { radius.NAS-Port-Type = "Ethernet" }
result = ["one", "zwei"]

[profile.one]
access = "accept"
vlan = 1

[profile.zwei]
session-timeout = "1h"
"#;

    #[test]
    fn what_is_told_names_the_set_the_rule_and_the_profiles_of_a_decision() {
        let policy = policy(POLICY);
        let set = &policy.sets()[0];
        let told = |decision: &Decision| {
            let members = policy.outcome_json(decision);
            serde_json::from_str::<Value>(&format!("{{{members}}}")).expect("it is JSON")
        };
        let (set_name, rule) = (&*set.name, &policy.rules()[0]);
        let nothing = Decision::reject(None, Reason::NoRuleMatched);
        assert_eq!(told(&nothing), json!({ "profiles": [] }));
        let refused = Decision::reject(Some(SetIndex(0)), Reason::MethodNotAllowed);
        assert_eq!(told(&refused), json!({ "policy-set": set_name, "profiles": [] }));
        let result = set.default.expect("it has one");
        let default = Decision { result, reason: Reason::Default, ..refused };
        assert_eq!(told(&default), json!({ "policy-set": set_name, "profiles": ["deny"] }));
        let matched = Decision {
            rule: Some(RuleIndex(0)),
            result: rule.result,
            access: Access::Accept,
            reason: Reason::Rule,
            ..refused
        };
        let rule_name = &*rule.name;
        assert_eq!(told(&matched), json!({ "policy-set": set_name, "rule": rule_name, "profiles": ["one", "zwei"] }));
    }

    proptest! {
        #[test]
        fn any_names_read_back(
            set in any::<Option<String>>(),
            rule in any::<Option<String>>(),
            profiles in proptest::collection::vec(any::<String>(), 0..4),
        ) {
            let boxed: Vec<Box<str>> = profiles.iter().map(|name| name.as_str().into()).collect();
            let json = format!("{{{}}}", members(set.as_deref(), rule.as_deref(), &boxed));
            prop_assert!(!json.chars().any(char::is_control));
            let value: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(value.get("policy-set").and_then(Value::as_str), set.as_deref());
            prop_assert_eq!(value.get("rule").and_then(Value::as_str), rule.as_deref());
            prop_assert_eq!(&value["profiles"], &json!(profiles));
        }
    }
}
