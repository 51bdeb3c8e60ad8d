//! Finds the few rules that can match at all, so that a thousand rules cost little more than ten.
//!
//! Owns the candidates, not their conditions. How: most conditions can hold only if some fact has one of a few values,
//! such as `client.group = "hall-7"`, or begins or ends in one of a few ways, or lies in one of a few networks. Each rule is
//! filed under the rarest such need (or needs, where `any` leaves a choice); a request looks up the values of the facts
//! that are filed by, one hash lookup for each value and each length of beginning or end that occurs, and merges the
//! short lists that it finds with the list of rules that can't be filed. Candidates come in the order of the rules and
//! are then judged in full. A rule that is not filed under any value of the request can't be true, whatever else it asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hashbrown::{Equivalent, HashMap as FastMap};

use super::{
    arena::{Arena, Node, NodeId, Predicate, Question, SubjectId},
    evaluate::Evaluation,
    members::{Block, Key, KeyRef, Members, with_key},
    operator::test::Test,
    reading::Reading,
    truth::Truth,
};

/// Values under which one rule may be filed; more are not worth the memory.
const VALUES_OF_A_RULE_MAX: usize = 64;
/// Facts by which rules are filed; each costs a lookup for each request.
const FACTS_MAX: usize = 12;
/// So many conditions are judged faster than candidates among them are found.
const FEW: usize = 8;
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

/// Conditions by what they need one fact to be.
#[derive(Clone, Debug)]
struct Table {
    subject: SubjectId,
    /// Bound: `limits::RULES_MAX` times [`VALUES_OF_A_RULE_MAX`].
    rules: FastMap<Need, Box<[u32]>, foldhash::fast::RandomState>,
    /// The lengths of all beginnings and ends of texts that are needed.
    starts: Box<[usize]>,
    ends: Box<[usize]>,
    /// The kinds of blocks that are needed: width and length in bits.
    blocks: Box<[(u8, u8)]>,
}

/// What one value of a fact must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Need {
    Is(Key),
    Starts(Box<[u8]>),
    Ends(Box<[u8]>),
    In(Block),
}

/// A [`Need`] that borrows. Its members stand in the same order, so that it hashes the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum NeedRef<'a> {
    Is(KeyRef<'a>),
    Starts(&'a [u8]),
    Ends(&'a [u8]),
    In(Block),
}

impl Equivalent<Need> for NeedRef<'_> {
    fn equivalent(&self, need: &Need) -> bool {
        match (self, need) {
            (NeedRef::Is(key), Need::Is(own)) => key.equivalent(own),
            (NeedRef::Starts(text), Need::Starts(own)) | (NeedRef::Ends(text), Need::Ends(own)) => **text == **own,
            (NeedRef::In(block), Need::In(own)) => block == own,
            _ => false,
        }
    }
}

impl Table {
    fn new(subject: SubjectId, rules: HashMap<Need, Vec<u32>>) -> Self {
        let (mut starts, mut ends, mut blocks) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for need in rules.keys() {
            match need {
                Need::Is(_) => {}
                Need::Starts(text) => drop(starts.insert(text.len())),
                Need::Ends(text) => drop(ends.insert(text.len())),
                Need::In(block) => drop(blocks.insert((block.width, block.length))),
            }
        }
        Self {
            subject,
            rules: rules.into_iter().map(|(need, rules)| (need, rules.into())).collect(),
            starts: starts.into_iter().collect(),
            ends: ends.into_iter().collect(),
            blocks: blocks.into_iter().collect(),
        }
    }

    /// Adds the lists of all needs that the value fulfils.
    fn find<'l>(&'l self, reading: Reading<'_>, lists: &mut Lists<'l>) {
        let mut add = |need: NeedRef<'_>| lists.add(self.rules.get(&need).map_or(&[], |rules| rules));
        with_key(reading, |key| add(NeedRef::Is(key)));
        if let Reading::Text(text) = reading {
            let starts = self.starts.iter().map_while(|length| text.get(..*length));
            starts.for_each(|start| add(NeedRef::Starts(start)));
            let ends = self.ends.iter().map_while(|length| text.get(text.len().checked_sub(*length)?..));
            ends.for_each(|end| add(NeedRef::Ends(end)));
        }
        for (width, length) in &self.blocks {
            if let Some(block) = Block::around(reading, *width, *length) {
                add(NeedRef::In(block));
            }
        }
    }
}

/// A fact and what it must be for a condition to be true.
type FactNeed = (SubjectId, Need);

impl Index {
    /// Files the conditions, which stand in the order in which they are tried.
    #[must_use]
    pub fn new(arena: &Arena, conditions: Vec<NodeId>) -> Self {
        let mut frequency: HashMap<FactNeed, usize> = HashMap::new();
        for condition in &conditions {
            mentioned(arena, *condition, &mut |need| *frequency.entry(need).or_default() += 1);
        }
        let needs: Vec<Option<Vec<FactNeed>>> =
            conditions.iter().map(|condition| needs(arena, *condition, &frequency)).collect();
        let kept = most_used_subjects(&needs);
        let mut always = Vec::new();
        let mut tables: BTreeMap<SubjectId, HashMap<Need, Vec<u32>>> = BTreeMap::new();
        for (at, needs) in (0u32..).zip(needs) {
            match needs.filter(|needs| needs.iter().all(|(subject, _)| kept.contains(subject))) {
                None => always.push(at),
                Some(needs) => {
                    for (subject, need) in needs {
                        let rules = tables.entry(subject).or_default().entry(need).or_default();
                        if rules.last() != Some(&at) {
                            rules.push(at);
                        }
                    }
                }
            }
        }
        let tables = tables.into_iter().map(|(subject, rules)| Table::new(subject, rules));
        Self { tables: tables.collect(), conditions: conditions.into(), always: always.into() }
    }

    /// Calls `visit` with the place of each condition that is true, in their order, until it says that this is enough.
    pub fn each_true(&self, evaluation: &Evaluation<'_, '_>, visit: &mut dyn FnMut(u32) -> bool) {
        self.each_candidate(evaluation, &mut |at| self.is_true(at, evaluation) && visit(at));
    }

    /// The same with each condition that may be true.
    fn each_candidate(&self, evaluation: &Evaluation<'_, '_>, visit: &mut dyn FnMut(u32) -> bool) {
        let all = 0..u32::try_from(self.conditions.len()).unwrap_or(u32::MAX);
        if self.conditions.len() <= FEW {
            all.into_iter().any(visit);
            return;
        }
        let mut lists = Lists { lists: [&[]; LISTS_MAX], count: 0, overflow: false };
        lists.add(&self.always);
        for table in &self.tables {
            let subject = evaluation.arena().subject(table.subject);
            subject.each_value(evaluation.facts(), || evaluation.local_time(), &mut |reading| {
                table.find(reading, &mut lists);
                false
            });
        }
        if lists.overflow {
            all.into_iter().any(visit);
        } else {
            lists.any(visit);
        }
    }

    fn is_true(&self, at: u32, evaluation: &Evaluation<'_, '_>) -> bool {
        let condition = self.conditions.get(at as usize);
        condition.is_some_and(|condition| evaluation.truth(*condition) == Truth::True)
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
fn needs(arena: &Arena, node: NodeId, frequency: &HashMap<FactNeed, usize>) -> Option<Vec<FactNeed>> {
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
fn mentioned(arena: &Arena, node: NodeId, visit: &mut dyn FnMut(FactNeed)) {
    match arena.node(node) {
        Node::Constant(_) | Node::Not(_) => {}
        Node::Test(predicate) => {
            needs_of_test(arena.predicate(*predicate)).unwrap_or_default().into_iter().for_each(visit);
        }
        Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| mentioned(arena, *part, visit)),
    }
}

fn needs_of_test(predicate: &Predicate) -> Option<Vec<FactNeed>> {
    let Question::Passes(tests) = &predicate.question else { return None };
    let choices = tests.iter().filter_map(needs_of_value).filter(|needs| needs.len() <= VALUES_OF_A_RULE_MAX);
    let fewest = choices.min_by_key(Vec::len)?;
    Some(fewest.into_iter().map(|need| (predicate.subject, need)).collect())
}

fn needs_of_value(test: &Test) -> Option<Vec<Need>> {
    match test {
        Test::Member(members) => needs_of_members(members),
        Test::MemberOfAny(lists) => {
            let lists: Option<Vec<Vec<Need>>> = lists.iter().map(|members| needs_of_members(members)).collect();
            Some(lists?.concat())
        }
        Test::Spans(spans) => match **spans {
            [(from, to)] if from == to => Some(vec![Need::Is(Key::Number(from))]),
            _ => None,
        },
        Test::StartsWith(parts) => Some(parts.iter().cloned().map(Need::Starts).collect()),
        Test::EndsWith(parts) => Some(parts.iter().cloned().map(Need::Ends).collect()),
        // A text in any spelling: it has no single beginning.
        Test::MacMember(_) => None,
        Test::Contains(_) | Test::Matches(_) | Test::VersionIs(_) | Test::VersionOrder { .. } => None,
    }
}

fn needs_of_members(members: &Members) -> Option<Vec<Need>> {
    if members.len() > VALUES_OF_A_RULE_MAX {
        return None;
    }
    let keys = members.keys().cloned().map(Need::Is);
    let mut needs: Vec<Need> = keys.chain(members.blocks().map(Need::In)).collect();
    needs.sort();
    Some(needs)
}

/// The facts by which the most conditions can be filed.
fn most_used_subjects(needs: &[Option<Vec<FactNeed>>]) -> Vec<SubjectId> {
    let mut uses: BTreeMap<SubjectId, usize> = BTreeMap::new();
    for (subject, _) in needs.iter().flatten().flatten() {
        *uses.entry(*subject).or_default() += 1;
    }
    let mut subjects: Vec<(usize, SubjectId)> = uses.into_iter().map(|(subject, uses)| (uses, subject)).collect();
    subjects.sort_by_key(|(uses, subject)| (std::cmp::Reverse(*uses), *subject));
    subjects.into_iter().take(FACTS_MAX).map(|(_, subject)| subject).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::super::testing::{policy, with_facts};
    use super::*;

    /// How many of the rules are judged for a request.
    fn judged(rules: &str, request: &str, given: &[&str]) -> usize {
        let policy = policy(&format!("version = 1\n[policy-set]\nname = \"s\"\n{rules}"));
        let index = Index::new(policy.arena(), policy.rules().iter().map(|rule| rule.when).collect());
        with_facts(request, given, |facts| {
            let mut count = 0;
            index.each_candidate(&Evaluation::new(policy.arena(), facts), &mut |_| {
                count += 1;
                false
            });
            count
        })
    }

    /// `count` rules made from a pattern in which `#` stands for the number of the rule.
    fn rules(count: usize, when: &str) -> String {
        let mut text = String::new();
        for at in 0..count {
            let when = when.replace('#', &at.to_string());
            write!(text, "[[rule]]\nname = \"{at}\"\nwhen = {when}\nresult = \"permit\"\n")
                .expect("a string takes all");
        }
        text
    }

    #[test]
    fn of_a_thousand_rules_few_are_judged() {
        let given = [
            "client.group=site-7",
            "client.group=campus",
            "client.address=10.7.1.2",
            "session.ssid=site7-west",
            "mdm.compliant=true",
            "mdm.os=iOS",
            "mdm.user=ann@7.example",
            "identity.mac=02005E0A0001",
        ];
        for (when, expected) in [
            ("{ client.group = \"site-#\", mdm.compliant = true }", 1),
            ("{ mdm.compliant = true, any = [ { client.group = \"site-#\" }, { client.name = \"sw-#\" } ] }", 1),
            ("{ client.group = [\"site-#\", \"site-x#\"], mdm.os = { not = \"Windows\" } }", 1),
            ("{ radius.NAS-Port = #, mdm.os = { matches = \"^i\" } }", 1),
            ("{ client.group = \"site-#\", not = { mdm.compliant = false } }", 1),
            ("{ session.ssid = { starts-with = \"site#-\" } }", 1),
            ("{ mdm.user = { ends-with = \"@#.example\" }, mdm.compliant = true }", 1),
            ("{ client.address = { network = \"10.#.0.0/16\" } }", 1),
            ("{ identity.mac = { mac = \"02-00-5E-#\" } }", 1),
        ] {
            assert_eq!(
                judged(&rules(if when.contains("/16") { 256 } else { 1_000 }, when), "NAS-Port = 7", &given),
                expected,
                "{when}"
            );
        }
    }

    #[test]
    fn rules_that_need_no_value_are_always_judged() {
        assert_eq!(judged(&rules(20, "{ mdm.os = { contains = \"#\" } }"), "NAS-Port = 7", &[]), 20);
        assert_eq!(judged(&rules(20, "{ mdm.os = { not = \"#\" } }"), "NAS-Port = 7", &[]), 20);
    }

    #[test]
    fn a_request_with_more_values_than_can_be_merged_is_judged_by_all_rules() {
        let request: String = (0..60).map(|at| format!("Filter-Id = \"{at}\"\n")).collect();
        assert_eq!(judged(&rules(100, "{ radius.Filter-Id = \"#\" }"), &request, &[]), 100);
    }
}
