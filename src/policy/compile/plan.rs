//! Replies for every result and every vendor that can meet.
//!
//! Owns who can meet whom: a profile for Aruba controllers is no mistake because a Cisco switch could not express it, as
//! long as no Cisco client can reach its rule. What is known of a client before any request (its name, groups and
//! vendor) is held against the conditions; whatever depends on the request may be so or otherwise.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::{
        acl::Acls,
        arena::{Arena, ArenaBuilder, Node, NodeId, PredicateId, Question},
        catalogue::{self, Fact},
        decision::{ResultIndex, SetIndex},
        digest,
        reading::Reading,
        reply_plan::{FactId, FactNames, Materials, ReplyPlan, Summary, render},
        rule::{Rule, Set},
        subject::Subject,
        truth::Truth,
        vendor::Vendor,
    },
    result::PolicyResult,
};
use crate::{dictionary::Dictionary, problem::Problems};

/// What is known of a client before any request.
#[derive(Clone, Copy, Debug)]
pub struct Client<'c> {
    /// Its name.
    pub name: &'c str,
    /// Its groups.
    pub groups: &'c [Box<str>],
    /// The name of its vendor table.
    pub vendor: &'c str,
}

/// Resolves names of facts in attribute values.
pub struct References<'r> {
    /// For `radius.*`.
    pub dictionary: &'r Dictionary,
    /// Where the facts go.
    pub arena: &'r mut ArenaBuilder,
}

impl FactNames for References<'_> {
    fn resolve(&mut self, name: &str, problems: &Problems) -> Result<FactId, String> {
        let subject = match name.strip_prefix("radius.") {
            Some(attribute) => self.dictionary.resolve(attribute).map(Subject::of_attribute).ok_or_else(|| {
                let near = if problems.may_suggest() { self.dictionary.nearest(attribute) } else { None };
                let advice = near.map(|near| format!("; did you mean {{radius.{near}}}?"));
                format!(
                    "unknown attribute \"{attribute}\"{}",
                    advice.unwrap_or_else(|| "; write {{ for a brace".into())
                )
            })?,
            None => catalogue::find(name).map(Subject::of_row).ok_or_else(|| {
                let nearest = problems.suggest(name, catalogue::ROWS.iter().map(|row| row.name));
                let advice = if nearest.is_empty() { "; write {{ for a brace".to_owned() } else { nearest };
                format!("unknown fact \"{name}\"{advice}")
            })?,
        };
        if subject.attribute().is_some_and(|attribute| attribute.is_secret()) {
            return Err(format!("{name} is a secret and is never sent back; refer to another fact"));
        }
        Ok(FactId(self.arena.subject(subject).0))
    }
}

/// The replies of each result to each vendor.
#[derive(Debug, Default)]
pub struct Plans {
    /// The vendors in the order of their numbers.
    pub vendors: Vec<Arc<Vendor>>,
    /// By result, then by vendor; none where the vendor can't express it.
    pub plans: Vec<Vec<Option<ReplyPlan>>>,
    /// What each reply carries, as JSON for the decision log.
    pub json: Vec<Vec<Box<str>>>,
}

/// Makes the replies. Problems of vendors that no client uses (only cases do) are left to the cases.
pub fn plans(
    vendors: Vec<Arc<Vendor>>,
    meetings: &BTreeSet<(ResultIndex, usize)>,
    results: &[PolicyResult],
    acls: &Acls,
    references: &mut References<'_>,
    problems: &mut Problems,
) -> Plans {
    let mut all = Vec::with_capacity(results.len());
    for (at, result) in (0u32..).zip(results) {
        let mut of_result = Vec::with_capacity(vendors.len());
        for (number, vendor) in vendors.iter().enumerate() {
            let mut materials = Materials { dictionary: references.dictionary, acls, facts: references };
            let mut ignored = Problems::unread();
            let told = if meetings.contains(&(ResultIndex(at), number)) { &mut *problems } else { &mut ignored };
            of_result.push(render(&result.profile, vendor, &mut materials, told));
        }
        all.push(of_result);
    }
    let json = all.iter().map(|of_result: &Vec<Option<ReplyPlan>>| of_result.iter().map(json_of).collect()).collect();
    Plans { vendors, plans: all, json }
}

fn json_of(plan: &Option<ReplyPlan>) -> Box<str> {
    let json = plan.as_ref().and_then(|plan| serde_json::to_string(&Logged::of(plan)).ok());
    json.unwrap_or_else(|| "{}".to_owned()).into()
}

/// A reply as the decision log shows it.
#[derive(serde::Serialize)]
struct Logged<'p> {
    #[serde(flatten)]
    summary: &'p Summary,
    /// Tells two replies apart that differ only in what the summary leaves out: attributes, and the rules of an ACL.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

impl<'p> Logged<'p> {
    fn of(plan: &'p ReplyPlan) -> Self {
        let lines: Vec<String> = plan.lines().iter().map(ToString::to_string).collect();
        let digest = (!lines.is_empty()).then(|| digest::of_lines(lines.iter().map(String::as_str)));
        Self { summary: plan.summary(), digest }
    }
}

/// Which results can be sent to clients of which vendors; `vendors`: their names in the order of their numbers.
#[must_use]
pub fn meetings(
    arena: &Arena,
    sets: &[Set],
    rules: &[Rule],
    clients: &[Client<'_>],
    vendors: &[Arc<Vendor>],
) -> BTreeSet<(ResultIndex, usize)> {
    let mut meetings = BTreeSet::new();
    let asked = client_predicates(arena, sets, rules);
    let mut seen = BTreeSet::new();
    for client in clients {
        let Some(vendor) = vendors.iter().position(|vendor| *vendor.name == *client.vendor) else { continue };
        // Clients of which a policy can't tell the difference meet the same results.
        let outcomes: Vec<(PredicateId, Truth)> =
            asked.iter().map(|predicate| (*predicate, client_truth(arena, *predicate, client))).collect();
        let signature: Vec<u8> = outcomes.iter().map(|(_, truth)| *truth as u8).collect();
        if !seen.insert((vendor, signature)) {
            continue;
        }
        meetings.insert((ResultIndex::BARE_REJECT, vendor));
        let possible = |node| possible(arena, node, &outcomes) != Truth::False;
        for (at, set) in (0u32..).zip(sets).filter(|(_, set)| possible(set.when)) {
            meetings.extend(set.default.map(|result| (result, vendor)));
            let own = rules.iter().filter(|rule| rule.set == SetIndex(at));
            meetings.extend(own.filter(|rule| possible(rule.when)).map(|rule| (rule.result, vendor)));
        }
    }
    meetings
}

/// All comparisons with something that is known of a client before any request.
fn client_predicates(arena: &Arena, sets: &[Set], rules: &[Rule]) -> Vec<PredicateId> {
    let mut asked = BTreeSet::new();
    for node in sets.iter().map(|set| set.when).chain(rules.iter().map(|rule| rule.when)) {
        arena.visit_predicates(node, &mut |predicate| {
            let subject = arena.subject(arena.predicate(predicate).subject);
            if matches!(subject.fact(), Some(Fact::ClientName | Fact::ClientGroup | Fact::ClientVendor)) {
                asked.insert(predicate);
            }
        });
    }
    asked.into_iter().collect()
}

fn client_truth(arena: &Arena, predicate: PredicateId, client: &Client<'_>) -> Truth {
    let predicate = arena.predicate(predicate);
    let values: Vec<&str> = match arena.subject(predicate.subject).fact() {
        Some(Fact::ClientName) => vec![client.name],
        Some(Fact::ClientVendor) => vec![client.vendor],
        _ => client.groups.iter().map(|group| &**group).collect(),
    };
    match &predicate.question {
        Question::Present => Truth::of(!values.is_empty()),
        Question::Passes(tests) => Truth::of(values.iter().any(|value| {
            let reading = Reading::Text(value.as_bytes());
            tests.iter().all(|test| test.passes(reading) == Some(true))
        })),
    }
}

/// What a condition comes to as far as it is known: undefined where the request decides.
fn possible(arena: &Arena, node: NodeId, outcomes: &[(PredicateId, Truth)]) -> Truth {
    match arena.node(node) {
        Node::Constant(value) => Truth::of(*value),
        Node::Test(predicate) => {
            let at = outcomes.binary_search_by_key(predicate, |(predicate, _)| *predicate).ok();
            at.and_then(|at| outcomes.get(at)).map_or(Truth::Undefined, |(_, truth)| *truth)
        }
        Node::Not(inner) => possible(arena, *inner, outcomes).negated(),
        Node::All(parts) => parts.iter().fold(Truth::True, |all, part| all.and(possible(arena, *part, outcomes))),
        Node::Any(parts) => parts.iter().fold(Truth::False, |any, part| any.or(possible(arena, *part, outcomes))),
    }
}
