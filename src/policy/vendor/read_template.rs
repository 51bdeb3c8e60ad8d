//! Reads `"Attribute-Name:{tag} = value with {places}"`.
//!
//! Owns the syntax of one attribute of a vendor table. Whether the attribute exists is checked when a plan is made.

use super::{
    format::NumberFormat,
    table::{AttributeTemplate, Tag},
};
use crate::{
    document::{Table, Value},
    policy::{template::Template, text_place::place_in},
    problem::Problems,
};

/// Reads the list of templates behind `key`.
pub(super) fn read_templates(
    table: &Table<'_>,
    key: &'static str,
    names: &[&str],
    problems: &mut Problems,
) -> Vec<AttributeTemplate> {
    let values = table.texts(key, problems).unwrap_or_default();
    values.iter().filter_map(|value| read_template(value, names, problems)).collect()
}

/// Reads `Name:{tag} = value`. `names`: what may stand between braces in the value.
pub(super) fn read_template(value: &Value<'_>, names: &[&str], problems: &mut Problems) -> Option<AttributeTemplate> {
    let text = value.text(problems)?;
    let Some((attribute, content)) = text.split_once('=') else {
        let message = format!("\"{text}\" has no value; write \"Attribute-Name = value\"");
        value.error(problems, "bad-template", message);
        return None;
    };
    let (attribute, tag) = match attribute.trim().split_once(':') {
        None => (attribute.trim(), Tag::None),
        Some((name, "{tag}")) => (name, Tag::OfProfile),
        Some((name, number)) => match number.parse().ok().filter(|tag| (1..=31).contains(tag)) {
            Some(tag) => (name, Tag::Fixed(tag)),
            None => {
                let message = format!("\"{number}\" is no tag; write a number from 1 to 31, or {{tag}}");
                value.error(problems, "bad-template", message);
                return None;
            }
        },
    };
    let skipped = text.chars().count() - content.trim_start().chars().count();
    let template = parse_template(value, content.trim(), skipped, names, problems)?;
    Some(AttributeTemplate { name: attribute.into(), tag, value: template, place: value.place() })
}

/// Reads a text with places to fill.
pub(super) fn read_text_template(value: &Value<'_>, names: &[&str], problems: &mut Problems) -> Option<Template> {
    let text = value.text(problems)?;
    parse_template(value, text, 0, names, problems)
}

fn parse_template(
    value: &Value<'_>,
    text: &str,
    skipped: usize,
    names: &[&str],
    problems: &mut Problems,
) -> Option<Template> {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => {
            problems.error("bad-template", Some(place_in(value, skipped + error.at())), error.to_string());
            return None;
        }
    };
    let mut all_known = true;
    for reference in template.references() {
        let (name, format) = reference.name.split_once(':').unwrap_or((&reference.name, ""));
        let place = Some(place_in(value, skipped + reference.at));
        if !names.contains(&name) {
            let near = problems.suggest(name, names.iter().copied());
            let advice = match (near.is_empty(), names.is_empty()) {
                (false, _) => near,
                (true, true) => "; nothing is to be filled in here".to_owned(),
                (true, false) => format!("; here there are: {}", names.join(", ")),
            };
            problems.error("bad-template", place, format!("unknown name \"{name}\" in braces{advice}"));
            all_known = false;
        } else if !format.is_empty() && NumberFormat::parse(format).is_none() {
            let message =
                format!("unknown format \"{format}\"; write for example {{{name}:04x}}: hexadecimal, 4 digits");
            problems.error("bad-template", place, message);
            all_known = false;
        }
    }
    all_known.then_some(template)
}
