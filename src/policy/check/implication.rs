//! Whether one condition can only be true where another one is.
//!
//! Owns a sound and quick answer: yes is certain, no means "not seen".

use super::super::{
    arena::{Arena, Node, NodeId, Predicate, PredicateId, Question},
    operator::test::Test,
};

/// Whether `special` being true makes `general` true as well.
#[must_use]
pub(super) fn implies(arena: &Arena, special: NodeId, general: NodeId) -> bool {
    match (arena.node(special), arena.node(general)) {
        (_, Node::Constant(true)) | (Node::Constant(false), _) => true,
        (_, Node::All(parts)) => parts.iter().all(|part| implies(arena, special, *part)),
        (Node::Any(parts), _) => parts.iter().all(|part| implies(arena, *part, general)),
        (Node::All(parts), Node::Any(others)) => {
            parts.iter().any(|part| implies(arena, *part, general))
                || others.iter().any(|other| implies(arena, special, *other))
        }
        (Node::All(parts), _) => parts.iter().any(|part| implies(arena, *part, general)),
        (_, Node::Any(parts)) => parts.iter().any(|part| implies(arena, special, *part)),
        (Node::Test(special), Node::Test(general)) => test_implies(arena, *special, *general, true),
        (Node::Not(special), Node::Not(general)) => refutes(arena, *special, *general),
        _ => false,
    }
}

/// Whether `general` being false makes `special` false as well: unlike [`implies`], an absent fact proves nothing here.
fn refutes(arena: &Arena, general: NodeId, special: NodeId) -> bool {
    match (arena.node(general), arena.node(special)) {
        (_, Node::Constant(false)) => true,
        (_, Node::Any(parts)) => parts.iter().all(|part| refutes(arena, general, *part)),
        (_, Node::All(parts)) => parts.iter().any(|part| refutes(arena, general, *part)),
        (Node::Any(parts), _) => parts.iter().any(|part| refutes(arena, *part, special)),
        (Node::Test(general), Node::Test(special)) => test_implies(arena, *special, *general, false),
        (Node::Not(general), Node::Not(special)) => implies(arena, *general, *special),
        _ => false,
    }
}

fn test_implies(arena: &Arena, special: PredicateId, general: PredicateId, presence: bool) -> bool {
    if special == general {
        return true;
    }
    let (special, general) = (arena.predicate(special), arena.predicate(general));
    if special.subject != general.subject {
        return false;
    }
    match (&special.question, &general.question) {
        (_, Question::Present) => presence,
        (Question::Present, Question::Passes(_)) => false,
        // The same value passes all tests of the special one, so for each general one some special one is enough.
        (Question::Passes(special), Question::Passes(general)) => {
            general.iter().all(|general| special.iter().any(|special| narrower(special, general)))
        }
    }
}

/// Whether every value that passes `special` passes `general`.
fn narrower(special: &Test, general: &Test) -> bool {
    match (special, general) {
        (Test::Member(special), _) => {
            let keys = special.as_keys().filter(|keys| !keys.is_empty());
            keys.is_some_and(|keys| keys.iter().all(|key| passes_key(general, key)))
        }
        (Test::Spans(special), Test::Spans(general)) => {
            special.iter().all(|(from, to)| general.iter().any(|(low, high)| low <= from && to <= high))
        }
        (Test::StartsWith(special), Test::StartsWith(general)) => {
            special.iter().all(|special| general.iter().any(|general| special.starts_with(general)))
        }
        (Test::EndsWith(special), Test::EndsWith(general)) => {
            special.iter().all(|special| general.iter().any(|general| special.ends_with(general)))
        }
        (Test::StartsWith(special) | Test::EndsWith(special) | Test::Contains(special), Test::Contains(general)) => {
            special.iter().all(|special| {
                general.iter().any(|general| special.windows(general.len()).any(|window| window == &**general))
            })
        }
        _ => false,
    }
}

fn passes_key(test: &Test, key: &super::super::members::Key) -> bool {
    use super::super::{members::Key, reading::Reading};
    match (test, key) {
        (Test::Member(members), key) => members.as_keys().is_some_and(|keys| keys.contains(key)),
        (Test::Spans(_), Key::Number(number)) => test.passes(Reading::Number(*number)) == Some(true),
        (Test::StartsWith(_) | Test::EndsWith(_) | Test::Contains(_) | Test::Matches(_), Key::Octets(octets)) => {
            test.passes(Reading::Text(octets)) == Some(true)
        }
        _ => false,
    }
}

/// The tests of `predicate`, if it is about values.
pub(super) fn tests(predicate: &Predicate) -> &[Test] {
    match &predicate.question {
        Question::Passes(tests) => tests,
        Question::Present => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::policy;
    use super::*;

    /// Whether a rule with the first condition can only match where one with the second does.
    fn implied(special: &str, general: &str) -> bool {
        let policy = policy(&format!(
            "version = 1\n[policy-set]\nname = \"s\"\n[[rule]]\nname = \"a\"\nwhen = {special}\nresult = \"permit\"\n\
             [[rule]]\nname = \"b\"\nwhen = {general}\nresult = \"permit\"\n"
        ));
        let [special, general] = policy.rules() else { panic!("two rules") };
        implies(policy.arena(), special.when, general.when)
    }

    #[test]
    fn a_condition_implies_what_asks_for_less() {
        for (special, general) in [
            ("{ mdm.compliant = true, mdm.os = \"iOS\" }", "{ mdm.compliant = true }"),
            ("{ mdm.os = \"iOS\" }", "{ mdm.os = [\"iOS\", \"macOS\"] }"),
            ("{ mdm.os = \"iOS\" }", "{ mdm.os = { present = true } }"),
            ("{ mdm.os = \"iOS\" }", "{ mdm.os = { starts-with = \"i\" } }"),
            ("{ mdm.os = \"iOS\" }", "{ any = [ { mdm.os = \"macOS\" }, { mdm.os = \"iOS\" } ] }"),
            ("{ any = [ { mdm.os = \"macOS\" }, { mdm.os = \"iOS\" } ] }", "{ mdm.os = [\"iOS\", \"macOS\"] }"),
            ("{ mdm.age = { within = \"1h\" } }", "{ mdm.age = { within = \"2h\" } }"),
            ("{ mdm.os = { not = [\"iOS\", \"macOS\"] } }", "{ mdm.os = { not = \"iOS\" } }"),
            ("{ mdm.user = { ends-with = \"@a.example\" } }", "{ mdm.user = { contains = \"@a\" } }"),
        ] {
            assert!(implied(special, general), "{special} / {general}");
            assert!(!implied(general, special), "{general} / {special}");
        }
    }

    #[test]
    fn what_is_not_known_proves_nothing() {
        assert!(!implied("{ mdm.os = { present = false } }", "{ mdm.os = { not = \"iOS\" } }"));
        assert!(!implied("{ mdm.os = \"iOS\" }", "{ client.group = \"iOS\" }"));
    }
}
