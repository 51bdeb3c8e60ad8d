//! Finds the few rules that can match at all, so that a thousand rules cost little more than ten.
//!
//! Owns the candidates, not their conditions. How: most conditions can hold only if some fact has one of a few values,
//! such as `client.group = "hall-7"`. Each rule is filed under the rarest such value (or values, where `any` leaves a
//! choice); a request looks up the values of the facts that are filed by, one hash lookup each, and merges the short
//! lists that it finds with the list of rules that can't be filed. Candidates come in the order of the rules and are then
//! judged in full. A rule that is not filed under any value of the request can't be true, whatever else it asks.

use std::collections::{BTreeMap, HashMap};

use hashbrown::HashMap as FastMap;

use super::{
    arena::{Arena, Node, NodeId, Predicate, Question, SubjectId},
    evaluate::Evaluation,
    members::{Key, KeyRef, Members, with_key},
    operator::test::Test,
};

/// Values under which one rule may be filed; more are not worth the memory.
const VALUES_OF_A_RULE_MAX: usize = 64;
/// Facts by which rules are filed; each costs a lookup for each request.
const FACTS_MAX: usize = 12;
/// Lists that are merged for one request; a request that finds more is judged by all rules.
const LISTS_MAX: usize = 32;

/// An ordered list of conditions, such as the rules of one set.
#[derive(Clone, Debug, Default)]
pub struct Index {
    conditions: Box<[NodeId]>,
    /// Those that are not filed under anything.
    always: Box<[u32]>,
    tables: Box<[Table]>,
}

/// Conditions by the value of one fact that they need.
#[derive(Clone, Debug)]
struct Table {
    subject: SubjectId,
    rules: FastMap<Key, Box<[u32]>, foldhash::fast::RandomState>,
}

/// A value that a condition needs: it can't be true for any request that doesn't have one of its needs.
type Need = (SubjectId, Key);

impl Index {
    /// Files the conditions, which stand in the order in which they are tried.
    #[must_use]
    pub fn new(arena: &Arena, conditions: Vec<NodeId>) -> Self {
        let mut frequency: HashMap<Need, usize> = HashMap::new();
        for condition in &conditions {
            mentioned(arena, *condition, &mut |need| *frequency.entry(need).or_default() += 1);
        }
        let needs: Vec<Option<Vec<Need>>> =
            conditions.iter().map(|condition| needs(arena, *condition, &frequency)).collect();
        let kept = most_used_subjects(&needs);
        let mut always = Vec::new();
        let mut tables: BTreeMap<SubjectId, HashMap<Key, Vec<u32>>> = BTreeMap::new();
        for (at, needs) in (0u32..).zip(needs) {
            match needs.filter(|needs| needs.iter().all(|(subject, _)| kept.contains(subject))) {
                None => always.push(at),
                Some(needs) => {
                    for (subject, key) in needs {
                        let rules = tables.entry(subject).or_default().entry(key).or_default();
                        if rules.last() != Some(&at) {
                            rules.push(at);
                        }
                    }
                }
            }
        }
        let tables = tables.into_iter().map(|(subject, rules)| Table {
            subject,
            rules: rules.into_iter().map(|(key, rules)| (key, rules.into())).collect(),
        });
        Self { tables: tables.collect(), conditions: conditions.into(), always: always.into() }
    }

    /// Calls `visit` with the place of each condition that is true, in their order, until it says that this is enough.
    pub fn each_true(&self, evaluation: &Evaluation<'_, '_>, visit: &mut dyn FnMut(u32) -> bool) {
        let mut lists = Lists { lists: [&[]; LISTS_MAX], count: 0, overflow: false };
        lists.add(&self.always);
        for table in &self.tables {
            let subject = evaluation.arena().subject(table.subject);
            subject.each_value(evaluation.facts(), || evaluation.local_time(), &mut |reading| {
                let found = with_key(reading, |key: KeyRef<'_>| table.rules.get(&key)).flatten();
                if let Some(rules) = found {
                    lists.add(rules);
                }
                false
            });
        }
        let all = 0..u32::try_from(self.conditions.len()).unwrap_or(u32::MAX);
        if lists.overflow {
            all.into_iter().any(|at| self.is_true(at, evaluation) && visit(at));
        } else {
            lists.any(|at| self.is_true(at, evaluation) && visit(at));
        }
    }

    fn is_true(&self, at: u32, evaluation: &Evaluation<'_, '_>) -> bool {
        let condition = self.conditions.get(at as usize);
        condition.is_some_and(|condition| evaluation.truth(*condition) == super::truth::Truth::True)
    }

    /// How many conditions are judged for every request.
    #[must_use]
    pub fn unfiled(&self) -> usize {
        self.always.len()
    }
}

/// Sorted lists that are read as one. Empty ones are not kept.
struct Lists<'l> {
    lists: [&'l [u32]; LISTS_MAX],
    count: usize,
    overflow: bool,
}

impl<'l> Lists<'l> {
    fn add(&mut self, list: &'l [u32]) {
        if list.is_empty() {
            return;
        }
        match self.lists.get_mut(self.count) {
            Some(free) => {
                *free = list;
                self.count += 1;
            }
            None => self.overflow = true,
        }
    }
}

impl Iterator for Lists<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let lists = self.lists.get_mut(..self.count)?;
        let first = lists.iter().filter_map(|list| list.first()).min().copied()?;
        for list in lists {
            if let [head, rest @ ..] = *list
                && *head == first
            {
                *list = rest;
            }
        }
        Some(first)
    }
}

/// The needs of a condition, the rarest ones where there is a choice; none if it can be true without any.
fn needs(arena: &Arena, node: NodeId, frequency: &HashMap<Need, usize>) -> Option<Vec<Need>> {
    match arena.node(node) {
        Node::Constant(true) | Node::Not(_) => None,
        Node::Constant(false) => Some(Vec::new()),
        Node::Test(predicate) => needs_of_test(arena.predicate(*predicate)),
        Node::All(parts) => {
            let choices = parts.iter().filter_map(|part| needs(arena, *part, frequency));
            choices
                .min_by_key(|needs| needs.iter().map(|need| frequency.get(need).copied().unwrap_or(0)).sum::<usize>())
        }
        Node::Any(parts) => {
            let mut together = Vec::new();
            for part in parts {
                together.extend(needs(arena, *part, frequency)?);
                if together.len() > VALUES_OF_A_RULE_MAX {
                    return None;
                }
            }
            Some(together)
        }
    }
}

/// All needs that stand somewhere in a condition.
fn mentioned(arena: &Arena, node: NodeId, visit: &mut dyn FnMut(Need)) {
    match arena.node(node) {
        Node::Constant(_) | Node::Not(_) => {}
        Node::Test(predicate) => {
            needs_of_test(arena.predicate(*predicate)).unwrap_or_default().into_iter().for_each(visit);
        }
        Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| mentioned(arena, *part, visit)),
    }
}

fn needs_of_test(predicate: &Predicate) -> Option<Vec<Need>> {
    let Question::Passes(tests) = &predicate.question else { return None };
    let choices = tests.iter().filter_map(|test| match test {
        Test::Member(members) => few_keys(members),
        Test::Spans(spans) => match **spans {
            [(from, to)] if from == to => Some(vec![Key::Number(from)]),
            _ => None,
        },
        _ => None,
    });
    let fewest = choices.min_by_key(Vec::len)?;
    Some(fewest.into_iter().map(|key| (predicate.subject, key)).collect())
}

fn few_keys(members: &Members) -> Option<Vec<Key>> {
    let keys = members.as_keys().filter(|keys| keys.len() <= VALUES_OF_A_RULE_MAX)?;
    let mut keys: Vec<Key> = keys.iter().cloned().collect();
    keys.sort();
    Some(keys)
}

/// The facts by which the most conditions can be filed.
fn most_used_subjects(needs: &[Option<Vec<Need>>]) -> Vec<SubjectId> {
    let mut uses: BTreeMap<SubjectId, usize> = BTreeMap::new();
    for (subject, _) in needs.iter().flatten().flatten() {
        *uses.entry(*subject).or_default() += 1;
    }
    let mut subjects: Vec<(usize, SubjectId)> = uses.into_iter().map(|(subject, uses)| (uses, subject)).collect();
    subjects.sort_by_key(|(uses, subject)| (std::cmp::Reverse(*uses), *subject));
    subjects.into_iter().take(FACTS_MAX).map(|(_, subject)| subject).collect()
}
