//! Being one of several values: literals, `in`, `in-list`, `network`, `mac`.
//!
//! Owns the building of sets from literals. Looking values up in them is the matter of `members`.

use std::sync::Arc;

use super::{
    super::{
        catalogue::Kind,
        literal::{self, Literal},
        members::{Key, Members},
        subject::Subject,
    },
    test::Test,
};
use crate::{document::Value, problem::Problems};

/// A test and how it reads behind the name of its fact.
#[derive(Clone, Debug)]
pub struct Written {
    /// The test.
    pub test: Test,
    /// For example `= "wired"`, or `within "24h"`.
    pub text: String,
}

/// Being equal to one of the literals.
pub fn equal(subject: &Subject, values: &[Value<'_>], problems: &mut Problems) -> Option<Written> {
    match subject.kind {
        Kind::Version => {
            let versions = all(values, |value| literal::version(subject, value, problems))?;
            let text = one_of(&versions, "=");
            Some(Written { test: Test::VersionIs(versions.into_iter().map(|version| version.value).collect()), text })
        }
        Kind::Hour => {
            let hours = all(values, |value| literal::span(subject, value, problems))?;
            let text = one_of(&hours, "=");
            Some(Written { test: Test::Spans(hours.into_iter().map(|hour| hour.value).collect()), text })
        }
        Kind::Age => {
            let message = format!("{} is never exactly that old; write {{ within = \"24h\" }}", subject.name);
            values.first()?.error(problems, "exact-age", message);
            None
        }
        Kind::Opaque => {
            let why = if subject.attribute().is_some_and(|attribute| attribute.is_secret()) {
                "is a secret"
            } else {
                "holds other attributes"
            };
            let message =
                format!("{} {why}, so only {{ present = true }} or {{ present = false }} can be asked", subject.name);
            values.first()?.error(problems, "only-presence", message);
            None
        }
        _ => {
            let keys = all(values, |value| literal::key(subject, value, problems))?;
            let text = one_of(&keys, "=");
            let mut members = Members::default();
            keys.into_iter().for_each(|key| members.insert(key.value));
            Some(Written { test: Test::Member(Arc::new(members)), text })
        }
    }
}

/// The numbers of the words that a fact may be.
pub fn words(subject: &Subject, values: &[Value<'_>], problems: &mut Problems) -> Option<Vec<i128>> {
    let keys = all(values, |value| literal::key(subject, value, problems))?;
    let numbers = keys.into_iter().map(|key| match key.value {
        Key::Number(number) => Some(number),
        Key::Octets(_) => None,
    });
    numbers.collect()
}

/// Being one of the numbers; `written`: as it stands in the file.
#[must_use]
pub fn numbers(numbers: Vec<i128>, written: &str) -> Written {
    let mut members = Members::default();
    numbers.into_iter().for_each(|number| members.insert(Key::Number(number)));
    let operator = if written.starts_with('[') { "in" } else { "=" };
    Written { test: Test::Member(Arc::new(members)), text: format!("{operator} {written}") }
}

/// Being in one of the networks.
pub fn network(subject: &Subject, values: &[Value<'_>], problems: &mut Problems) -> Option<Written> {
    let networks = all(values, |value| literal::network(subject, value, problems))?;
    let text = one_of(&networks, "network");
    let mut members = Members::default();
    networks.into_iter().for_each(|network| members.insert_network(network.value));
    Some(Written { test: Test::Member(Arc::new(members)), text })
}

/// Being, or beginning with, one of the MAC addresses.
pub fn mac(subject: &Subject, values: &[Value<'_>], problems: &mut Problems) -> Option<Written> {
    let prefixes = all(values, |value| literal::mac_prefix(subject, value, problems))?;
    let text = one_of(&prefixes, "mac");
    let mut members = Members::default();
    prefixes.into_iter().for_each(|prefix| members.insert_mac(prefix.value));
    let members = Arc::new(members);
    let is_mac = subject.kind == Kind::Mac;
    Some(Written { test: if is_mac { Test::Member(members) } else { Test::MacMember(members) }, text })
}

/// All values read, or none: each one that can't be read was reported by `read`.
pub(super) fn all<'v, T>(values: &[Value<'v>], mut read: impl FnMut(&Value<'v>) -> Option<T>) -> Option<Vec<T>> {
    let found: Vec<T> = values.iter().filter_map(&mut read).collect();
    (found.len() == values.len()).then_some(found)
}

/// `= "a"`, or `in ["a", "b"]` for several; other operators keep their name.
pub(super) fn one_of<T>(literals: &[Literal<T>], operator: &str) -> String {
    if let [only] = literals {
        return format!("{operator} {}", only.text);
    }
    let texts: Vec<&str> = literals.iter().map(|literal| literal.text.as_str()).collect();
    let operator = if operator == "=" { "in" } else { operator };
    format!("{operator} [{}]", texts.join(", "))
}
