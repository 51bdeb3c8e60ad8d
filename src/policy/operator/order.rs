//! Being more or less: `at-least`, `at-most`, `above`, `below`, `within`.
//!
//! Owns which end of a literal counts: an hour is sixty minutes long.

use std::cmp::Ordering;

use super::{
    super::{catalogue::Kind, literal, subject::Subject},
    membership::Written,
    row::Operator,
    test::Test,
};
use crate::{document::Value, problem::Problems};

/// Compiles one of the operators of this family.
pub fn order(operator: Operator, subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Written> {
    if subject.kind == Kind::Version {
        let version = literal::version(subject, value, problems)?;
        let (order, or_same) = match operator {
            Operator::AtLeast => (Ordering::Greater, true),
            Operator::Above => (Ordering::Greater, false),
            Operator::Below => (Ordering::Less, false),
            _ => (Ordering::Less, true),
        };
        let text = format!("{} {}", operator.name(), version.text);
        return Some(Written { test: Test::VersionOrder { than: version.value, order, or_same }, text });
    }
    let span = literal::span(subject, value, problems)?;
    let (first, last) = span.value;
    let (from, to) = match operator {
        Operator::AtLeast => (first, i128::MAX),
        Operator::Above => (last + 1, i128::MAX),
        Operator::Below => (i128::MIN, first - 1),
        _ => (i128::MIN, last),
    };
    Some(Written { test: Test::Spans([(from, to)].into()), text: format!("{} {}", operator.name(), span.text) })
}
