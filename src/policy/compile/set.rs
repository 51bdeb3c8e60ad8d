//! Policy sets and their rules, in the order in which they are tried.
//!
//! Owns ranks, methods, the place of exceptions, and what a set's own `when` may ask.

use super::{
    super::{
        arena::{ArenaBuilder, Node},
        decision::{Access, ResultIndex, SetIndex},
        draft::{Condition, RuleDraft, SetDraft, State},
        facts::Method,
        rule::{Methods, Rule, RuleKind, Set},
        servers::Servers,
    },
    condition::{Compiled, Conditions, is_within_bounds},
    fact::FactCompiler,
    list::Lists,
    result::Results,
};
use crate::{
    dictionary::Dictionary,
    document::Value,
    limits,
    problem::{Place, Problems},
};

/// Methods that people know from other servers.
const PASSWORD_METHODS: [&str; 11] =
    ["pap", "chap", "mschap", "mschapv2", "peap", "eap-peap", "ttls", "eap-ttls", "eap-fast", "eap-mschapv2", "leap"];

/// What the compilation of sets needs.
pub struct SetCompiler<'f, 't, 'c> {
    /// For names of attributes.
    pub dictionary: &'f Dictionary,
    /// The MDM servers that are configured; none if that is not known.
    pub mdm_servers: Option<&'f Servers>,
    /// For `in-list`.
    pub lists: Lists<'t, 'c>,
    /// For `condition`.
    pub conditions: Conditions<'t>,
    /// For `result`.
    pub results: Results,
    /// Where conditions go.
    pub arena: ArenaBuilder,
    /// Where mistakes go.
    pub problems: &'f mut Problems,
}

/// A set with what it is made of.
pub struct SetParts<'p, 't> {
    /// `[policy-set]`
    pub set: &'p SetDraft<'t>,
    /// `[[exception]]` in its file.
    pub exceptions: &'p [RuleDraft<'t>],
    /// `[[rule]]` in its file.
    pub rules: &'p [RuleDraft<'t>],
}

impl SetCompiler<'_, '_, '_> {
    /// Compiles all sets with their rules. Disabled ones are checked and left out.
    pub fn compile(&mut self, parts: &[SetParts<'_, '_>], global: &[&RuleDraft<'_>]) -> (Vec<Set>, Vec<Rule>) {
        let mut order: Vec<&SetParts<'_, '_>> = parts.iter().collect();
        order.sort_by_key(|parts| (parts.set.rank.is_none(), parts.set.rank));
        self.check_names(&order, global);
        let global: Vec<Rule> = global.iter().filter_map(|draft| self.rule(draft, RuleKind::GlobalException)).collect();
        let (mut sets, mut rules) = (Vec::new(), Vec::new());
        for parts in order {
            let set = self.set(parts.set);
            let mut own = self.rules(parts.exceptions, RuleKind::LocalException);
            own.extend(global.iter().cloned());
            own.extend(self.rules(parts.rules, RuleKind::Rule));
            let Some(mut set) = set.filter(|_| parts.set.is_enabled) else { continue };
            let Ok(index) = u32::try_from(sets.len()) else { break };
            let first = rules.len();
            rules.extend(own.into_iter().map(|rule| Rule { set: SetIndex(index), ..rule }));
            if rules.len() > limits::RULES_MAX {
                let message = format!(
                    "more than {} rules in all sets, global exceptions counted in each; use lists instead of rules",
                    limits::RULES_MAX
                );
                self.problems.error("too-many-rules", Some(set.place.clone()), message);
                break;
            }
            set.rules = as_u32(first)..as_u32(rules.len());
            sets.push(set);
        }
        (sets, rules)
    }

    fn rules(&mut self, drafts: &[RuleDraft<'_>], kind: RuleKind) -> Vec<Rule> {
        drafts.iter().filter_map(|draft| self.rule(draft, kind)).collect()
    }

    fn set(&mut self, draft: &SetDraft<'_>) -> Option<Set> {
        let when = self.when(draft.when.as_ref(), &draft.place)?;
        for (place, why) in &when.late {
            let message = format!("a set is chosen before that: {why}; ask it in the set's rules");
            self.problems.error("fact-too-late", Some(place.clone()), message);
        }
        let methods = draft.methods.as_ref().map_or(Methods::ALL, |methods| self.methods(methods));
        let mdm = draft.mdm.as_ref().map(|servers| self.mdm(servers));
        let default = if draft.default.is_empty() { None } else { self.result(&draft.default) };
        Some(Set {
            name: draft.name.into(),
            place: draft.place.clone(),
            rank: draft.rank.and_then(|rank| u32::try_from(rank).ok()),
            when: when.node,
            methods,
            mdm,
            default: default.map(|(result, _)| result),
            rules: 0..0,
        })
    }

    fn rule(&mut self, draft: &RuleDraft<'_>, kind: RuleKind) -> Option<Rule> {
        let when = self.when(draft.when.as_ref(), &draft.place);
        let result = self.result(&draft.result);
        let (when, (result, access)) = (when?, result?);
        if draft.state == State::Disabled {
            return None;
        }
        let rule = Rule {
            name: draft.name.into(),
            place: draft.place.clone(),
            set: SetIndex(0),
            kind,
            state: draft.state,
            when: when.node,
            result,
            access,
        };
        Some(rule)
    }

    fn when(&mut self, draft: Option<&Condition<'_>>, place: &Place) -> Option<Compiled> {
        let Some(draft) = draft else {
            let node = self.arena.node(Node::Constant(true));
            return Some(Compiled { node, tests: 0, depth: 0, late: Vec::new() });
        };
        let mut facts = FactCompiler {
            dictionary: self.dictionary,
            lists: &mut self.lists,
            arena: &mut self.arena,
            problems: self.problems,
        };
        let compiled = self.conditions.compile(draft, &mut facts)?;
        is_within_bounds(&compiled, place, self.problems).then_some(compiled)
    }

    fn result(&mut self, names: &[Value<'_>]) -> Option<(ResultIndex, Access)> {
        if names.is_empty() {
            return None;
        }
        self.results.result(names, self.problems)
    }

    fn methods(&mut self, values: &[Value<'_>]) -> Methods {
        let mut methods = Methods::NONE;
        for value in values {
            let text = value.plain_text().unwrap_or_default();
            match Method::parse(text) {
                Some(method) => methods = methods.with(method),
                None if PASSWORD_METHODS.contains(&text) => {
                    let message = format!(
                        "\"{text}\" asks for passwords, and radmit keeps none; there are: {}",
                        Method::NAMES.join(", ")
                    );
                    value.error(self.problems, "unknown-method", message);
                }
                None => {
                    let nearest = self.problems.suggest(text, Method::NAMES.iter().copied());
                    let advice =
                        if nearest.is_empty() { format!("; there are: {}", Method::NAMES.join(", ")) } else { nearest };
                    value.error(self.problems, "unknown-method", format!("there is no method \"{text}\"{advice}"));
                }
            }
        }
        methods
    }

    fn mdm(&mut self, values: &[Value<'_>]) -> Vec<Box<str>> {
        let names: Vec<Box<str>> = values.iter().filter_map(Value::plain_text).map(Box::from).collect();
        let Some(Servers { enabled, disabled, .. }) = self.mdm_servers else { return names };
        let is_asked = names.iter().any(|name| enabled.contains(name));
        for value in values {
            let name = value.plain_text().unwrap_or_default();
            if enabled.iter().any(|known| **known == *name) {
                continue;
            }
            if disabled.iter().any(|known| **known == *name) {
                let who = if is_asked { "the others are asked" } else { "nobody is asked" };
                let message =
                    format!("the [[mdm]] server \"{name}\" is disabled, so {who}; enable it, or take it out here");
                value.warning(self.problems, "disabled-mdm", message);
                continue;
            }
            let known = || enabled.iter().chain(disabled).map(|known| &**known);
            let nearest = self.problems.suggest(name, known());
            let advice = if !nearest.is_empty() {
                nearest
            } else if known().next().is_none() {
                "; none is configured: add [[mdm]] to radmit.toml, or write mdm = []".to_owned()
            } else {
                format!("; configured are: {}", known().collect::<Vec<_>>().join(", "))
            };
            value.error(self.problems, "unknown-mdm", format!("there is no [[mdm]] server \"{name}\"{advice}"));
        }
        names
    }

    /// Names and ranks that stand twice.
    fn check_names(&mut self, sets: &[&SetParts<'_, '_>], global: &[&RuleDraft<'_>]) {
        if sets.len() > limits::POLICY_SETS_MAX {
            let message = format!("{} policy sets are more than the {} allowed", sets.len(), limits::POLICY_SETS_MAX);
            self.problems.error("too-many-sets", None, message);
        }
        for (at, parts) in sets.iter().enumerate() {
            let set = parts.set;
            for other in sets.iter().take(at).map(|parts| parts.set) {
                // One whose name is missing was told of that.
                if other.name == set.name && !set.name.is_empty() {
                    let message =
                        format!("a policy set \"{}\" stands already at {}; rename one", set.name, other.place);
                    self.problems.error("duplicate-name", Some(set.place.clone()), message);
                } else if other.rank == set.rank {
                    let message = same_rank(set, other);
                    self.problems.error("duplicate-rank", Some(set.place.clone()), message);
                }
            }
            let own = parts.exceptions.iter().chain(parts.rules).chain(global.iter().copied());
            self.check_rule_names(&own.collect::<Vec<_>>());
        }
    }

    fn check_rule_names(&mut self, rules: &[&RuleDraft<'_>]) {
        let mut known = std::collections::HashMap::new();
        for rule in rules.iter().filter(|rule| !rule.name.is_empty()) {
            if let Some(other) = known.insert(rule.name, &rule.place) {
                let message = format!(
                    "a rule \"{}\" stands already at {other}; the log and the metrics could not tell them apart, rename one",
                    rule.name
                );
                self.problems.error("duplicate-name", Some(rule.place.clone()), message);
            }
        }
    }
}

fn same_rank(set: &SetDraft<'_>, other: &SetDraft<'_>) -> String {
    match set.rank {
        Some(rank) => format!(
            "\"{}\" and \"{}\" ({}) both have rank {rank}, so nobody knows which comes first; change one",
            set.name, other.name, other.place
        ),
        None => format!(
            "\"{}\" and \"{}\" ({}) both have no rank, so nobody knows which comes last; give one a rank",
            set.name, other.name, other.place
        ),
    }
}

fn as_u32(count: usize) -> u32 {
    // Bounded by RULES_MAX.
    u32::try_from(count).unwrap_or(u32::MAX)
}
