//! Reads `[profile.NAME]`.
//!
//! Owns the keys, their types and their ranges. Names of attributes and facts are checked when a vendor's plan is made,
//! because only then the dictionary is at hand.

use std::collections::BTreeSet;

use super::settings::{
    AclForm, AttributeSetting, AttributeValue, FactText, List, Placed, Profile, Redirect, Setting, Vlan,
};
use crate::{
    document::{Kind, Table, Value},
    limits,
    policy::{
        decision::Access,
        template::{Piece, Template},
        text_place::place_in,
    },
    problem::Problems,
};

const ACCESS: [Access; 3] = [Access::Accept, Access::Reject, Access::Ignore];

impl Profile {
    /// Reads the table `[profile.NAME]`. What is wrong in it is reported and left out.
    pub fn read(name: &str, table: &Table<'_>, problems: &mut Problems) -> Self {
        let profile = Self {
            name: name.into(),
            place: Some(table.place()),
            access: read_word(table, "access", &ACCESS, Access::name, problems),
            vlan: table.ask("vlan").and_then(|value| read_vlan(&value, problems)),
            vlan_tag: read_number(table, "vlan-tag", 31, problems),
            tagged_vlans: read_list(table.ask("tagged-vlans"), |value| read_vlan(value, problems)),
            voice: read_truth(table, "voice", problems),
            acls: read_list(table.ask("acl"), |value| read_name(value, problems)),
            acl_form: read_word(table, "acl-form", &AclForm::ALL, AclForm::name, problems),
            redirect: read_redirect(table, problems),
            session_timeout: read_seconds(table, "session-timeout", problems),
            idle_timeout: read_seconds(table, "idle-timeout", problems),
            reauthenticate: read_truth(table, "reauthenticate", problems),
            sgt: read_number(table, "sgt", u16::MAX, problems).filter(|sgt| not_zero(sgt, problems)),
            role: table.ask("role").and_then(|value| read_name(&value, problems)),
            attributes: read_attributes(table, problems),
            optional: read_optional(table, problems),
        };
        table.finish(problems);
        profile
    }
}

fn read_word<T: Copy>(
    table: &Table<'_>,
    key: &'static str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
    problems: &mut Problems,
) -> Option<Placed<T>> {
    let value = table.ask(key)?;
    let text = value.text(problems)?;
    let found = all.iter().copied().find(|word| name(*word) == text);
    if found.is_none() {
        let nearest = problems.suggest(text, all.iter().map(|word| name(*word)));
        let words: Vec<&str> = all.iter().map(|word| name(*word)).collect();
        let advice = if nearest.is_empty() { format!("; write one of: {}", words.join(", ")) } else { nearest };
        value.error(problems, "unknown-word", format!("\"{}\" can't be \"{text}\"{advice}", value.path()));
    }
    found.map(|word| Placed { value: word, place: value.place() })
}

fn read_vlan(value: &Value<'_>, problems: &mut Problems) -> Option<Placed<Vlan>> {
    let place = value.place();
    if value.kind() == Kind::Integer {
        let id = u16::try_from(value.integer(1, 4094, problems)?).ok()?;
        return Some(Placed { value: Vlan::Id(id), place });
    }
    if value.kind() != Kind::Text {
        let what = format!("\"{}\" is {}; write a number from 1 to 4094, or a name", value.path(), value.kind().name());
        value.error(problems, "wrong-type", what);
        return None;
    }
    let name = read_name(value, problems)?;
    // On the wire a name of digits is a number: RFC 3580 section 3.31 sends numbers as text.
    let vlan = match name.value.parse::<u16>() {
        Ok(id) if (1..=4094).contains(&id) => Vlan::Id(id),
        Ok(_) => {
            value.error(problems, "out-of-range", format!("\"{}\" must be between 1 and 4094", value.path()));
            return None;
        }
        Err(_) => Vlan::Name(name.value),
    };
    Some(Placed { value: vlan, place })
}

/// A text that is not empty, holds no control characters and fits into an attribute.
fn read_name(value: &Value<'_>, problems: &mut Problems) -> Option<Placed<Box<str>>> {
    let text = value.text(problems)?;
    let wrong = if text.is_empty() {
        "is empty; leave the key out, or write a name"
    } else if text.len() > limits::VALUE_OCTETS_MAX {
        "is longer than the 253 octets that an attribute holds; shorten it"
    } else if let Some(at) = text.chars().position(char::is_control) {
        let what = format!("\"{}\" holds a control character; take it out", value.path());
        problems.error("bad-name", Some(place_in(value, at)), what);
        return None;
    } else {
        return Some(Placed { value: text.into(), place: value.place() });
    };
    value.error(problems, "bad-name", format!("\"{}\" {wrong}", value.path()));
    None
}

fn read_list<'t, T>(value: Option<Value<'t>>, mut read: impl FnMut(&Value<'t>) -> Option<Placed<T>>) -> List<T> {
    match value {
        None => List::default(),
        Some(value) if value.kind() == Kind::Array => {
            // An array is never of the wrong type, so nothing can be reported here.
            let values = value.array(&mut Problems::new());
            List { values: values.iter().filter_map(read).collect(), single: false }
        }
        Some(value) => List { values: read(&value).into_iter().collect(), single: true },
    }
}

fn read_truth(table: &Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Placed<bool>> {
    let value = table.ask(key)?;
    Some(Placed { value: value.boolean(problems)?, place: value.place() })
}

fn read_number<T: TryFrom<i64> + Into<i64>>(
    table: &Table<'_>,
    key: &'static str,
    max: T,
    problems: &mut Problems,
) -> Option<Placed<T>> {
    let value = table.ask(key)?;
    let number = T::try_from(value.integer(0, max.into(), problems)?).ok()?;
    Some(Placed { value: number, place: value.place() })
}

fn not_zero(sgt: &Placed<u16>, problems: &mut Problems) -> bool {
    if sgt.value == 0 {
        let what = "the security group 0 means \"unknown\"; leave \"sgt\" out, or write the number of a group";
        problems.error("out-of-range", Some(sgt.place.clone()), what);
    }
    sgt.value != 0
}

fn read_seconds(table: &Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Placed<u32>> {
    let value = table.ask(key)?;
    let duration = value.duration(problems)?;
    let seconds = u32::try_from(duration.as_secs()).ok().filter(|seconds| *seconds > 0);
    if duration.subsec_millis() != 0 || seconds.is_none() {
        let what = format!("\"{}\" must be whole seconds, at least one; RADIUS counts in seconds", value.path());
        value.error(problems, "bad-duration", what);
        return None;
    }
    Some(Placed { value: seconds?, place: value.place() })
}

fn read_redirect(table: &Table<'_>, problems: &mut Problems) -> Option<Placed<Redirect>> {
    let value = table.ask("redirect")?;
    let redirect = value.table(problems)?;
    let acl = redirect.ask("acl").and_then(|acl| read_name(&acl, problems));
    let url = redirect.ask("url").and_then(|url| {
        let text = read_fact_text(&url, problems)?;
        let start = text.template.pieces().first().map(|piece| match piece {
            Piece::Text(text) => text.to_ascii_lowercase(),
            Piece::Reference(_) => String::new(),
        });
        let start = start.unwrap_or_default();
        if !start.starts_with("https://") && !start.starts_with("http://") {
            url.error(problems, "bad-url", format!("\"{}\" must start with https:// (or http://)", url.path()));
            return None;
        }
        Some(Placed { value: text, place: url.place() })
    });
    if redirect.ask("url").is_none() {
        redirect.missing("url", "write the address of the page, such as url = \"https://portal.example/\"", problems);
    }
    redirect.finish(problems);
    Some(Placed { value: Redirect { url: url?, acl }, place: value.key_place() })
}

fn read_fact_text(value: &Value<'_>, problems: &mut Problems) -> Option<FactText> {
    let text = value.text(problems)?;
    match Template::parse(text) {
        Ok(template) => {
            let places = template.references().map(|reference| place_in(value, reference.at)).collect();
            Some(FactText { template, places })
        }
        Err(error) => {
            problems.error("bad-reference", Some(place_in(value, error.at())), error.to_string());
            None
        }
    }
}

fn read_attributes(table: &Table<'_>, problems: &mut Problems) -> Vec<AttributeSetting> {
    let Some(attributes) = table.table("attributes", problems) else { return Vec::new() };
    let read = |entry: Value<'_>| AttributeSetting {
        name: entry.key().into(),
        place: entry.key_place(),
        values: read_list(Some(entry), |value| read_attribute_value(value, problems)),
    };
    attributes.entries().into_iter().map(read).collect()
}

fn read_attribute_value(value: &Value<'_>, problems: &mut Problems) -> Option<Placed<AttributeValue>> {
    let read = match value.kind() {
        Kind::Text => AttributeValue::Text(read_fact_text(value, problems)?),
        Kind::Integer => AttributeValue::Integer(value.integer(i64::MIN, i64::MAX, problems)?),
        other => {
            let what = format!(
                "\"{}\" is {}; write a text in quotes, a whole number, or a list of them",
                value.path(),
                other.name()
            );
            value.error(problems, "wrong-type", what);
            return None;
        }
    };
    Some(Placed { value: read, place: value.place() })
}

fn read_optional(table: &Table<'_>, problems: &mut Problems) -> BTreeSet<Setting> {
    let mut optional = BTreeSet::new();
    for value in table.texts("optional", problems).unwrap_or_default() {
        let text = value.plain_text().unwrap_or_default();
        match Setting::ALL.into_iter().find(|setting| setting.name() == text) {
            Some(setting) => {
                optional.insert(setting);
            }
            None => {
                let names = || Setting::ALL.into_iter().map(Setting::name);
                let nearest = problems.suggest(text, names());
                let all = names().collect::<Vec<_>>().join(", ");
                let advice = if nearest.is_empty() { format!("; there are: {all}") } else { nearest };
                value.error(problems, "unknown-word", format!("\"{text}\" is no setting that can be left out{advice}"));
            }
        }
    }
    optional
}
