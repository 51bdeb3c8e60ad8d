//! Facts that can't be together in any request, whatever else is so.
//!
//! Owns what is known about the facts themselves: without an answer nothing is known of a device, and of a device that
//! is not registered neither.

use super::super::{
    arena::{Arena, Node, NodeId, PredicateId},
    catalogue::{Fact, Family, row},
    facts::Lookup,
    given::is_repeated,
    operator::test::Test,
    reading::Reading,
};
use super::implication::tests;

/// Why a condition can never be true, if that is certain.
#[must_use]
pub(super) fn never_true(arena: &Arena, node: NodeId) -> Option<String> {
    let mut required = Vec::new();
    collect_required(arena, node, &mut required);
    unanswered(arena, &required).or_else(|| exclusive(arena, &required))
}

/// The comparisons that must all be true for the condition to be.
pub(super) fn collect_required(arena: &Arena, node: NodeId, required: &mut Vec<PredicateId>) {
    match arena.node(node) {
        Node::Test(predicate) => required.push(*predicate),
        Node::All(parts) => parts.iter().for_each(|part| collect_required(arena, *part, required)),
        Node::Constant(_) | Node::Not(_) | Node::Any(_) => {}
    }
}

/// Something is asked of a device of which nothing can be known.
fn unanswered(arena: &Arena, required: &[PredicateId]) -> Option<String> {
    let asks_false =
        |predicate: &PredicateId, fact| subject(arena, *predicate) == Some(fact) && !accepts(arena, *predicate, 1);
    let no_answer = required
        .iter()
        .any(|predicate| asks_false(predicate, Fact::MdmReachable) || is_failed_lookup(arena, *predicate));
    let unregistered = required.iter().any(|predicate| asks_false(predicate, Fact::MdmRegistered));
    let facts = required.iter().filter_map(|predicate| subject(arena, *predicate));
    for fact in facts.filter(|fact| row(*fact).family() == Family::Mdm) {
        let why = match known_when(fact) {
            Known::Always => continue,
            Known::WithAnswer if no_answer => "while the MDM server can't be asked",
            Known::WhenRegistered if no_answer => "while the MDM server can't be asked",
            Known::WhenRegistered if unregistered => "of a device that is not registered",
            Known::WithAnswer | Known::WhenRegistered => continue,
        };
        let advice = if fact == Fact::MdmCompliant && no_answer {
            "ask mdm.last-compliant"
        } else {
            "split the rule, or remove one of them"
        };
        return Some(format!("{why}, {} is not known; {advice}", row(fact).name));
    }
    None
}

/// When a fact of a device has a value.
enum Known {
    Always,
    WithAnswer,
    WhenRegistered,
}

const fn known_when(fact: Fact) -> Known {
    match fact {
        Fact::MdmServer | Fact::MdmLookup | Fact::MdmReachable | Fact::MdmLastCompliant | Fact::MdmEnrolmentUrl => {
            Known::Always
        }
        Fact::MdmRegistered | Fact::MdmSource | Fact::MdmAge => Known::WithAnswer,
        _ => Known::WhenRegistered,
    }
}

/// Whether the comparison is about `mdm.lookup` and true only without an answer.
pub(super) fn is_failed_lookup(arena: &Arena, predicate: PredicateId) -> bool {
    let passed: Vec<&Lookup> =
        Lookup::ALL.iter().filter(|lookup| accepts(arena, predicate, **lookup as i128)).collect();
    subject(arena, predicate) == Some(Fact::MdmLookup)
        && !passed.is_empty()
        && passed.iter().all(|lookup| lookup.reachable() == Some(false))
}

/// One fact with one value is asked to have two.
fn exclusive(arena: &Arena, required: &[PredicateId]) -> Option<String> {
    for (at, first) in required.iter().enumerate() {
        let Some(fact) = subject(arena, *first).filter(|fact| !is_repeated(*fact)) else { continue };
        let others = required.get(at + 1..).unwrap_or_default();
        let same = others.iter().filter(|other| subject(arena, **other) == Some(fact));
        for other in same {
            if are_disjoint(arena, *first, *other) {
                let (first, other) = (&arena.predicate(*first).text, &arena.predicate(*other).text);
                return Some(format!("it asks for {first} and for {other}; remove one of them"));
            }
        }
    }
    None
}

/// Whether no single value passes both.
pub(super) fn are_disjoint(arena: &Arena, first: PredicateId, other: PredicateId) -> bool {
    let (first, other) = (arena.predicate(first), arena.predicate(other));
    let keys_of = |test: &Test| match test {
        Test::Member(members) => members.as_keys().cloned(),
        _ => None,
    };
    tests(first)
        .iter()
        .filter_map(keys_of)
        .any(|keys| tests(other).iter().filter_map(keys_of).any(|others| !keys.is_empty() && keys.is_disjoint(&others)))
}

/// The fact that a comparison is about, if it is one of the catalogue.
pub(super) fn subject(arena: &Arena, predicate: PredicateId) -> Option<Fact> {
    arena.subject(arena.predicate(predicate).subject).fact()
}

/// Whether a number passes the comparison.
pub(super) fn accepts(arena: &Arena, predicate: PredicateId, number: i128) -> bool {
    let tests = tests(arena.predicate(predicate));
    !tests.is_empty() && tests.iter().all(|test| test.passes(Reading::Number(number)) == Some(true))
}
