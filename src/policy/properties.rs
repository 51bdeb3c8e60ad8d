//! Random policies and requests, judged a second time by the rules as the manual states them.
//!
//! Owns a slow and plain evaluator that knows nothing of nodes, memory or indexes, and holds the real one to it.

use std::fmt::Write;

use proptest::prelude::*;

use super::{
    decision::RuleIndex,
    testing::{policy, with_facts},
    truth::Truth,
};

/// The facts that are drawn: name, kind, whether an absent value is undefined.
const FACTS: [(&str, Kind, bool); 8] = [
    ("mdm.os", Kind::Text, true),
    ("mdm.compliant", Kind::Boolean, true),
    ("mdm.days-since-check-in", Kind::Number, true),
    ("certificate.san-dns", Kind::Texts, true),
    ("client.group", Kind::Texts, false),
    ("session.ssid", Kind::Text, false),
    ("radius.Filter-Id", Kind::Texts, false),
    ("radius.Framed-MTU", Kind::Number, false),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Texts,
    Boolean,
    Number,
}

#[derive(Clone, Debug)]
enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// A part that is written as a named condition.
    Named(Box<Self>),
    Fact(usize, Vec<Operator>),
}

/// The numbers index the vocabulary of the fact's kind.
#[derive(Clone, Debug, PartialEq)]
enum Operator {
    Is(usize),
    In(Vec<usize>),
    Not(usize),
    NotIn(Vec<usize>),
    StartsWith(usize),
    EndsWith(usize),
    AtLeast(usize),
    Below(usize),
    Present(bool),
}

/// Few values, so that they meet often.
const TEXTS: [&str; 5] = ["a", "ab", "b", "ba", "aba"];

/// The values of each fact, as numbers into the vocabulary.
type World = Vec<Vec<usize>>;

fn literal(kind: Kind, value: usize) -> String {
    match kind {
        Kind::Text | Kind::Texts => format!("\"{}\"", TEXTS[value]),
        Kind::Boolean => (value == 1).to_string(),
        Kind::Number => value.to_string(),
    }
}

fn values_of(kind: Kind) -> usize {
    match kind {
        Kind::Boolean => 2,
        _ => TEXTS.len(),
    }
}

fn operators(kind: Kind) -> BoxedStrategy<Vec<Operator>> {
    let count = values_of(kind);
    let value = move || 0..count;
    let several = move || prop::collection::vec(0..count, 1..3);
    let plain = prop_oneof![
        value().prop_map(Operator::Is),
        several().prop_map(Operator::In),
        value().prop_map(Operator::Not),
        several().prop_map(Operator::NotIn),
        any::<bool>().prop_map(Operator::Present),
    ];
    match kind {
        Kind::Boolean => plain.prop_map(|operator| vec![operator]).boxed(),
        Kind::Number => prop_oneof![
            plain.prop_map(|operator| vec![operator]),
            value().prop_map(|value| vec![Operator::AtLeast(value)]),
            (value(), value()).prop_map(|(from, below)| vec![Operator::AtLeast(from), Operator::Below(below)]),
        ]
        .boxed(),
        Kind::Text | Kind::Texts => prop_oneof![
            plain.prop_map(|operator| vec![operator]),
            (value(), value()).prop_map(|(start, end)| vec![Operator::StartsWith(start), Operator::EndsWith(end)]),
            (value(), value()).prop_map(|(start, not)| vec![Operator::StartsWith(start), Operator::Not(not)]),
        ]
        .boxed(),
    }
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = (0..FACTS.len())
        .prop_flat_map(|fact| operators(FACTS[fact].1).prop_map(move |operators| Condition::Fact(fact, operators)));
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
            inner.prop_map(|inner| Condition::Named(Box::new(inner))),
        ]
    })
}

fn world() -> impl Strategy<Value = World> {
    let values = FACTS.map(|(_, kind, _)| {
        let most = if kind == Kind::Texts { 3 } else { 1 };
        prop::collection::vec(0..values_of(kind), 0..=most)
    });
    values.into_iter().collect::<Vec<_>>()
}

/// The condition as a policy would write it; `named` collects conditions that got a name.
fn written(condition: &Condition, named: &mut Vec<String>) -> String {
    match condition {
        Condition::All(parts) => format!("{{ all = [ {} ] }}", all_written(parts, named)),
        Condition::Any(parts) => format!("{{ any = [ {} ] }}", all_written(parts, named)),
        Condition::Not(inner) => format!("{{ not = {} }}", written(inner, named)),
        Condition::Named(inner) => {
            let inner = written(inner, named);
            named.push(inner);
            format!("{{ condition = \"c{}\" }}", named.len() - 1)
        }
        Condition::Fact(fact, operators) => {
            let (name, kind, _) = FACTS[*fact];
            let operators: Vec<String> = operators.iter().map(|operator| operator_written(operator, kind)).collect();
            format!("{{ {name} = {{ {} }} }}", operators.join(", "))
        }
    }
}

fn all_written(parts: &[Condition], named: &mut Vec<String>) -> String {
    parts.iter().map(|part| written(part, named)).collect::<Vec<_>>().join(", ")
}

fn operator_written(operator: &Operator, kind: Kind) -> String {
    let one = |value: &usize| literal(kind, *value);
    let list = |values: &[usize]| values.iter().map(one).collect::<Vec<_>>().join(", ");
    match operator {
        Operator::Is(value) => format!("in = [{}]", one(value)),
        Operator::In(values) => format!("in = [{}]", list(values)),
        Operator::Not(value) => format!("not = {}", one(value)),
        Operator::NotIn(values) => format!("not-in = [{}]", list(values)),
        Operator::StartsWith(value) => format!("starts-with = {}", one(value)),
        Operator::EndsWith(value) => format!("ends-with = {}", one(value)),
        Operator::AtLeast(value) => format!("at-least = {}", one(value)),
        Operator::Below(value) => format!("below = {}", one(value)),
        Operator::Present(value) => format!("present = {value}"),
    }
}

/// What the manual says that a condition comes to.
fn judged(condition: &Condition, world: &World) -> Truth {
    match condition {
        Condition::All(parts) => parts.iter().fold(Truth::True, |all, part| all.and(judged(part, world))),
        Condition::Any(parts) => parts.iter().fold(Truth::False, |any, part| any.or(judged(part, world))),
        Condition::Not(inner) => judged(inner, world).negated(),
        Condition::Named(inner) => judged(inner, world),
        Condition::Fact(fact, operators) => {
            let absent = if FACTS[*fact].2 { Truth::Undefined } else { Truth::False };
            fact_judged(operators, &world[*fact], absent)
        }
    }
}

fn fact_judged(operators: &[Operator], values: &[usize], absent: Truth) -> Truth {
    let compared = |passes: &dyn Fn(usize) -> bool| {
        if values.is_empty() { absent } else { Truth::of(values.iter().any(|value| passes(*value))) }
    };
    let mut all = Truth::True;
    let positive: Vec<&Operator> = operators
        .iter()
        .filter(|operator| !matches!(operator, Operator::Not(_) | Operator::NotIn(_) | Operator::Present(_)))
        .collect();
    if !positive.is_empty() {
        all = all.and(compared(&|value| positive.iter().all(|operator| value_passes(operator, value))));
    }
    for operator in operators {
        all = all.and(match operator {
            Operator::Not(wrong) => compared(&|value| value == *wrong).negated(),
            Operator::NotIn(wrong) => compared(&|value| wrong.contains(&value)).negated(),
            Operator::Present(wanted) => Truth::of(*wanted != values.is_empty()),
            _ => Truth::True,
        });
    }
    all
}

fn value_passes(operator: &Operator, value: usize) -> bool {
    match operator {
        Operator::Is(wanted) => value == *wanted,
        Operator::In(wanted) => wanted.contains(&value),
        Operator::StartsWith(start) => TEXTS[value].starts_with(TEXTS[*start]),
        Operator::EndsWith(end) => TEXTS[value].ends_with(TEXTS[*end]),
        Operator::AtLeast(least) => value >= *least,
        Operator::Below(below) => value < *below,
        Operator::Not(_) | Operator::NotIn(_) | Operator::Present(_) => true,
    }
}

/// The request and the given facts of a world.
fn request_of(world: &World) -> (String, Vec<String>) {
    // A lookup that was ambiguous implies nothing about the device.
    let (mut request, mut given) = (String::from("NAS-Port = 1\n"), vec!["mdm.lookup=ambiguous".to_owned()]);
    for ((name, kind, _), values) in FACTS.iter().zip(world) {
        for value in values {
            let literal = literal(*kind, *value);
            match name.strip_prefix("radius.") {
                Some(attribute) => writeln!(request, "{attribute} = {literal}").expect("a string takes all"),
                None => given.push(format!("{name}={}", literal.trim_matches('"'))),
            }
        }
    }
    (request, given)
}

fn policy_text(rules: &[Condition]) -> String {
    let mut named = Vec::new();
    let mut text = String::from("version = 1\n[policy-set]\nname = \"s\"\n");
    for (at, condition) in rules.iter().enumerate() {
        let when = written(condition, &mut named);
        write!(text, "[[rule]]\nname = \"{at}\"\nwhen = {when}\nresult = \"permit\"\n").expect("a string takes all");
    }
    for (at, condition) in named.iter().enumerate() {
        write!(text, "[condition.c{at}]\nwhen = {condition}\n").expect("a string takes all");
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_first_rule_that_the_manual_calls_true_decides(
        rules in prop::collection::vec(condition(), 1..24),
        worlds in prop::collection::vec(world(), 8),
    ) {
        let policy = policy(&policy_text(&rules));
        for world in &worlds {
            let expected = rules.iter().position(|rule| judged(rule, world) == Truth::True);
            let (request, given) = request_of(world);
            let given: Vec<&str> = given.iter().map(String::as_str).collect();
            let decision = with_facts(&request, &given, |facts| policy.decide(policy.choose_set(facts), facts));
            let matched = decision.rule.map(|RuleIndex(rule)| rule as usize);
            prop_assert_eq!(matched, expected, "{} {:?}", policy_text(&rules), world);
        }
    }

    #[test]
    fn neither_a_rule_nor_its_negation_fires_on_what_nobody_knows(condition in condition(), world in world()) {
        // All that is asked is absent, and nothing asks for absence itself.
        let unknown: World = world.iter().zip(FACTS).map(|(values, fact)| if fact.2 { vec![] } else { values.clone() }).collect();
        prop_assume!(only_unknown(&condition));
        let rules = [condition.clone(), Condition::Not(Box::new(condition))];
        let policy = policy(&policy_text(&rules));
        let (request, given) = request_of(&unknown);
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let decision = with_facts(&request, &given, |facts| policy.decide(policy.choose_set(facts), facts));
        prop_assert_eq!(decision.rule, None);
    }
}

fn only_unknown(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().all(only_unknown),
        Condition::Not(inner) | Condition::Named(inner) => only_unknown(inner),
        Condition::Fact(fact, operators) => {
            FACTS[*fact].2 && !operators.iter().any(|operator| matches!(operator, Operator::Present(_)))
        }
    }
}

/// What is put into broken files: pieces that mean something here.
const PIECES: [&str; 12] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    " = ",
    "\n[[rule]]\n",
    "not = ",
    "when",
    "any = [ ]",
    "\u{1F600}",
    "mdm.compliant = true\n",
];

/// A place in the text, from 0 to 1, a number of characters to remove there, and a piece to put in.
fn edits() -> impl Strategy<Value = Vec<(f64, usize, Option<&'static str>)>> {
    prop::collection::vec((0.0..1.0, 0usize..30, prop::option::of(prop::sample::select(&PIECES[..]))), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_broken_file_is_refused_with_reasons_or_taken(edits in edits()) {
        let mut text: Vec<char> = include_str!("../../policies/default.toml").chars().collect();
        for (place, removed, piece) in edits {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
            let at = (place * text.len() as f64) as usize;
            let end = (at + removed).min(text.len());
            text.splice(at..end, piece.unwrap_or("").chars());
        }
        let (policy, problems) = super::testing::load_text(&text.into_iter().collect::<String>());
        prop_assert_eq!(policy.is_none(), problems.iter().any(|problem| !problem.contains("warning: ") && !problem.contains("hint: ")));
    }
}

#[test]
fn thousands_of_mistakes_are_told_in_order_up_to_a_bound() {
    let rules: String = (0..3_000)
        .map(|at| {
            format!("[[rule]]\nname = \"{at}\"\nwhen = {{ radius.NAS-Port-Typ{at} = \"x\" }}\nresult = \"permit\"\n")
        })
        .collect();
    let (policy, problems) = super::testing::load_text(&format!("version = 1\n[policy-set]\nname = \"s\"\n{rules}"));
    assert!(policy.is_none());
    assert_eq!(problems.len(), crate::limits::PROBLEMS_MAX);
    assert!(problems[0].starts_with("x.toml:6:17: unknown attribute"), "{}", problems[0]);
}
