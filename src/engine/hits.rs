//! How often each policy set and each rule decided.
//!
//! Owns the counters and what they are called on the metrics page. Nothing is decided by them.

use crate::{
    metrics::cell::Counter,
    policy::{
        compiled::Policy,
        decision::{Decision, Reason, SetIndex},
        draft::State,
    },
};

/// The outcomes that a set has without any rule: its default or that nothing matched, and a method that it refuses.
const OUTCOMES_OF_SET: usize = 2;

/// The counters of one policy, for each shard its own. They begin anew with each policy.
#[derive(Debug)]
pub struct Hits {
    /// Bound: the rules and sets of the policy. First the rules, then the outcomes of the sets, then the one place for
    /// requests that no set took.
    shards: Vec<Box<[Row]>>,
    rules: usize,
    places: usize,
}

/// Counters on cache lines of their own, so that no other shard writes there.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Row([Counter; ROW]);

const ROW: usize = 128 / size_of::<Counter>();

impl Hits {
    /// Nothing was decided yet.
    #[must_use]
    pub fn new(policy: &Policy, shards: usize) -> Self {
        let rules = policy.rules().len();
        let places = rules + policy.sets().len() * OUTCOMES_OF_SET + 1;
        let of_shard = |_| (0..places.div_ceil(ROW)).map(|_| Row::default()).collect();
        Self { shards: (0..shards).map(of_shard).collect(), rules, places }
    }

    /// Counts a decision, and the rules in state `monitor` that would have made it.
    pub fn count(&self, shard: u16, decision: &Decision) {
        let Some(cells) = self.shards.get(usize::from(shard)) else { return };
        let count = |at: usize| {
            if let Some(cell) = cell(cells, at) {
                cell.increment_own();
            }
        };
        decision.monitored.rules().iter().for_each(|rule| count(rule.0 as usize));
        count(match (decision.rule, decision.set) {
            (Some(rule), _) => rule.0 as usize,
            (None, Some(set)) => self.of_set(set, decision.reason == Reason::MethodNotAllowed),
            (None, None) => self.places - 1,
        });
    }

    fn of_set(&self, set: SetIndex, is_method_refused: bool) -> usize {
        self.rules + set.0 as usize * OUTCOMES_OF_SET + usize::from(is_method_refused)
    }

    fn sum(&self, at: usize) -> u64 {
        self.shards.iter().filter_map(|shard| cell(shard, at)).map(Counter::value).sum()
    }

    /// All decisions so far.
    #[must_use]
    pub fn total(&self, policy: &Policy) -> u64 {
        let is_monitored = |at: usize| policy.rules().get(at).is_some_and(|rule| rule.state == State::Monitor);
        (0..self.places).filter(|at| !is_monitored(*at)).map(|at| self.sum(at)).sum()
    }

    /// Set, rule and verdict of each counter, with its value. Outcomes without a rule have an empty name there; the verdict
    /// of a rule in state `monitor` says what it would have been.
    pub fn lines<'p>(&'p self, policy: &'p Policy) -> impl Iterator<Item = ([&'p str; 3], u64)> {
        let of_rules = policy.rules().iter().enumerate().map(|(at, rule)| {
            let set = policy.set(rule.set).map_or("", |set| &*set.name);
            let access = rule.access;
            let verdict = if rule.state == State::Monitor { access.would() } else { access.name() };
            ([set, &*rule.name, verdict], self.sum(at))
        });
        let of_sets = (0u32..).zip(policy.sets()).flat_map(move |(at, set)| {
            let default = set.default.and_then(|result| policy.result(result)).map(|result| result.access.name());
            let verdicts = [default.unwrap_or(Reason::NoRuleMatched.name()), Reason::MethodNotAllowed.name()];
            let sums = [false, true].map(|refused| self.sum(self.of_set(SetIndex(at), refused)));
            verdicts.into_iter().zip(sums).map(|(verdict, sum)| ([&*set.name, "", verdict], sum))
        });
        let last = self.rules + policy.sets().len() * OUTCOMES_OF_SET;
        let nobodys = ["", "", Reason::NoRuleMatched.name()];
        of_rules.chain(of_sets).chain(std::iter::once((nobodys, self.sum(last))))
    }
}

fn cell(rows: &[Row], at: usize) -> Option<&Counter> {
    rows.get(at / ROW)?.0.get(at % ROW)
}
