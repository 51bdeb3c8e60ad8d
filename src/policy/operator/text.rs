//! Looking into texts: `contains`, `starts-with`, `ends-with`, `matches`.
//!
//! Owns the bounds of regular expressions. The engine behind them is linear in the text, whatever the expression.

use regex::bytes::{Regex, RegexBuilder};

use super::{
    super::{literal, members::Key, subject::Subject},
    membership::{Written, all},
    row::Operator,
    test::Test,
};
use crate::{document::Value, limits, problem::Problems};

/// One of `contains`, `starts-with`, `ends-with`.
pub fn part(operator: Operator, subject: &Subject, values: &[Value<'_>], problems: &mut Problems) -> Option<Written> {
    let texts = all(values, |value| literal::text(subject, value, problems))?;
    if let Some(empty) = values.iter().find(|value| value.plain_text() == Some("")) {
        let message = "every text has an empty part, so this says nothing; write { present = true } instead";
        empty.error(problems, "empty-text", message);
        return None;
    }
    let text = super::membership::one_of(&texts, operator.name());
    let parts = texts
        .into_iter()
        .map(|literal| match literal.value {
            Key::Octets(octets) => octets,
            Key::Number(_) => Box::default(),
        })
        .collect();
    let test = match operator {
        Operator::StartsWith => Test::StartsWith(parts),
        Operator::EndsWith => Test::EndsWith(parts),
        _ => Test::Contains(parts),
    };
    Some(Written { test, text })
}

/// `matches`.
pub fn matches(subject: &Subject, values: &[Value<'_>], problems: &mut Problems) -> Option<Written> {
    let patterns = all(values, |value| pattern(subject, value, problems))?;
    let texts: Vec<String> = values.iter().filter_map(Value::plain_text).map(|text| format!("{text:?}")).collect();
    let text = match texts.as_slice() {
        [only] => format!("matches {only}"),
        _ => format!("matches [{}]", texts.join(", ")),
    };
    Some(Written { test: Test::Matches(patterns.into()), text })
}

fn pattern(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Regex> {
    let Some(pattern) = value.plain_text() else {
        literal::text(subject, value, problems);
        return None;
    };
    let built = RegexBuilder::new(pattern)
        .size_limit(limits::REGEX_OCTETS_MAX)
        .dfa_size_limit(limits::REGEX_OCTETS_MAX)
        .nest_limit(limits::REGEX_DEPTH_MAX)
        .build();
    match built {
        Ok(regex) => Some(regex),
        Err(regex::Error::CompiledTooBig(_)) => {
            let message = format!(
                "this expression would need more than {} KB; repeat less, or use contains, starts-with or a list",
                limits::REGEX_OCTETS_MAX / 1024
            );
            value.error(problems, "regex-too-large", message);
            None
        }
        Err(error) => {
            let message = format!("not a regular expression: {}", last_line(&error.to_string()));
            value.error(problems, "bad-regex", message);
            None
        }
    }
}

/// The sentence of a syntax error without the picture above it.
fn last_line(error: &str) -> String {
    let sentence = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let advice = if sentence.contains("look-around") || sentence.contains("backreferences") {
        "; write two conditions instead"
    } else {
        "; in TOML, backslashes stay as they are only in 'single quotes'"
    };
    format!("{sentence}{advice}")
}
