//! Facts written down in TOML: in cases, and in files for explanations.
//!
//! Owns the way from keys and values to given facts; what a fact may be is the matter of `given`.

use std::sync::Arc;

use super::{
    catalogue::{self, Family},
    given::{GivenFacts, is_repeated},
};
use crate::{
    document::{Kind, Source, Value},
    problem::{Place, Problems},
};

/// The families of facts that can be given.
pub const FAMILIES: [&str; 5] = ["client", "session", "identity", "certificate", "mdm"];

/// Reads a file of facts: `[mdm]`, `[identity]` and so on with facts by their short names. Nothing if there are mistakes,
/// which are reported.
///
/// A text that begins with a brace is JSON: one object with the same names.
#[must_use]
pub fn read(source: &Source, problems: &mut Problems) -> Option<GivenFacts> {
    if source.text().trim_start().starts_with('{') {
        return read_json(source, problems);
    }
    let tree = source.parse(problems)?;
    let root = tree.root();
    let before = problems.error_count();
    if root.ask("version").is_some() {
        root.require_version(problems);
    }
    let mut given = GivenFacts::new();
    // What stands outside of the tables is about the device.
    for row in catalogue::ROWS.iter().filter(|row| row.family() == Family::Mdm) {
        if let Some(value) = root.ask(row.short_name()) {
            give(&mut given, Family::Mdm.name(), &value, problems);
        }
    }
    for family in FAMILIES {
        let Some(facts) = root.table(family, problems) else { continue };
        for value in facts.entries() {
            give(&mut given, family, &value, problems);
        }
    }
    root.finish(problems);
    if let Some(message) = given.contradiction() {
        problems.error("contradiction", Some(root.place()), message);
    }
    (problems.error_count() == before).then_some(given)
}

fn read_json(source: &Source, problems: &mut Problems) -> Option<GivenFacts> {
    let place = || Some(Place::whole(Arc::clone(source.name())));
    let object: serde_json::Map<String, serde_json::Value> = match serde_json::from_str(source.text()) {
        Ok(object) => object,
        Err(error) => {
            problems.error("syntax", place(), format!("not valid JSON: {error}"));
            return None;
        }
    };
    let before = problems.error_count();
    let mut given = GivenFacts::new();
    for (key, value) in object.iter().filter(|(key, _)| *key != "version") {
        let facts: Vec<(String, &serde_json::Value)> = match value {
            serde_json::Value::Object(facts) => {
                facts.iter().map(|(name, value)| (format!("{key}.{name}"), value)).collect()
            }
            _ if key.contains('.') => vec![(key.clone(), value)],
            _ => vec![(format!("{}.{key}", Family::Mdm.name()), value)],
        };
        for (name, value) in facts {
            let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
            for value in values {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if let Err(message) = given.give(&name, &text) {
                    problems.error("wrong-literal", place(), message);
                }
            }
        }
    }
    if let Some(message) = given.contradiction() {
        problems.error("contradiction", place(), message);
    }
    (problems.error_count() == before).then_some(given)
}

/// Gives one fact; false if it can't be, which is reported.
pub fn give(given: &mut GivenFacts, family: &str, value: &Value<'_>, problems: &mut Problems) -> bool {
    // `groups` is the key in radmit.toml, and what everybody writes here first.
    let short = if (family, value.key()) == ("client", "groups") { "group" } else { value.key() };
    let name = format!("{family}.{short}");
    let values = if value.kind() == Kind::Array { value.array(problems) } else { vec![value.clone()] };
    let repeated = catalogue::find(&name).is_none_or(|row| is_repeated(row.fact));
    if values.len() > 1 && !repeated {
        value.error(problems, "wrong-literal", format!("{name} has one value only; take one of them"));
        return false;
    }
    let mut complete = true;
    for value in values {
        let Some(text) = scalar(&value) else {
            let message = format!("a value of {name} is a text, a number, true or false; write one of those");
            value.error(problems, "wrong-literal", message);
            return false;
        };
        if let Err(message) = given.give(&name, &text) {
            let unknown = catalogue::find(&name).is_none();
            let (code, place) =
                if unknown { ("unknown-fact", value.key_place()) } else { ("wrong-literal", value.place()) };
            problems.error(code, Some(place), message);
            complete = false;
        }
    }
    complete
}

/// A plain value as text.
#[must_use]
pub fn scalar(value: &Value<'_>) -> Option<String> {
    match value.kind() {
        Kind::Text => value.plain_text().map(str::to_owned),
        Kind::Integer => value.plain_integer().map(|number| number.to_string()),
        Kind::Boolean => value.plain_boolean().map(|truth| truth.to_string()),
        Kind::Float | Kind::Date => Some(value.as_written().to_owned()),
        Kind::Array | Kind::Table => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> String {
        let mut problems = Problems::new();
        let given = read(&Source::new("facts.toml", text), &mut problems);
        assert_eq!(given.is_some(), problems.is_empty());
        problems.sorted().iter().map(|problem| format!("{problem}\n")).collect()
    }

    #[test]
    fn a_file_of_facts_is_read_by_family() {
        assert_eq!(
            problems_of("version = 1\n[mdm]\ncompliant = true\nage = \"3h\"\n[client]\ngroups = [\"a\", \"b\"]\n"),
            ""
        );
    }

    #[test]
    fn facts_about_the_device_may_stand_alone_in_toml_and_in_json() {
        for text in [
            "compliant = true\nos-version = \"17.4\"\n",
            "{ \"compliant\": true, \"os-version\": \"17.4\", \"client.group\": [\"a\", \"b\"] }",
            "{ \"version\": 1, \"mdm\": { \"compliant\": true } }",
        ] {
            assert_eq!(problems_of(text), "", "{text}");
        }
        insta::assert_snapshot!(problems_of("{ \"complaint\": true, \"compliant\": 1 }"), @r#"
        facts.toml: unknown fact "mdm.complaint"; did you mean "mdm.compliant"?
        facts.toml: mdm.compliant is true or false, and "1" is not; write true or false
        "#);
        insta::assert_snapshot!(problems_of("{ \"compliant\": }"), @"facts.toml: not valid JSON: expected value at line 1 column 16");
    }

    #[test]
    fn mistakes_in_it_are_told_with_their_places() {
        insta::assert_snapshot!(problems_of("version = 1\n[mdm]\ncompliant = 1\nos = [\"a\", \"b\"]\nmodell = \"x\"\n[mdn]\nx = 1\n"), @r#"
        facts.toml:3:13: mdm.compliant is true or false, and "1" is not; write true or false
        facts.toml:4:6: mdm.os has one value only; take one of them
        facts.toml:5:1: unknown fact "mdm.modell"; did you mean "mdm.model"?
        facts.toml:6:2: unknown key "mdn"; did you mean "mdm"?
        "#);
        insta::assert_snapshot!(problems_of("version = 1\n[mdm]\nreachable = true\nlookup = \"late\"\n"), @r#"facts.toml:1:1: mdm.reachable = true can't be with mdm.lookup = "late""#);
    }
}
