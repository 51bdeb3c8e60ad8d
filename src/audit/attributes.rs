//! The attributes of a request in a line: `"request": {"NAS-Port-Type": "Ethernet", …}`.
//!
//! Owns how values look in JSON and which texts are hidden. What the types mean, and which attributes never stand in a log,
//! is the dictionary's matter.

use std::{borrow::Cow, fmt};

use crate::{
    dictionary::{self, Attribute, DataType, Dictionary, Path, Space, Value, is_private_number},
    radius::packet::Packet,
};

use super::json::Line;

/// Parts of vendors' texts behind which a secret stands, as in Cisco-AVPair = "psk=…".
const HIDDEN_PAIRS: [&str; 4] = ["psk=", "password=", "passphrase=", "secret="];

/// Writes the attributes called `wanted` that the request carries, as members of an open object.
pub(super) fn chosen(line: &mut Line<'_>, wanted: &[Attribute], request: &Packet<'_>) {
    for attribute in wanted.iter().filter(|attribute| !attribute.is_private()) {
        member(line, attribute, dictionary::values_in(request, &attribute.path()));
    }
}

/// Writes all attributes that the request carries, as members of an open object.
pub(super) fn all(line: &mut Line<'_>, dictionary: &Dictionary, request: &Packet<'_>) {
    // Bound: the octets of one packet.
    let mut found: Vec<(Path, Cow<'_, [u8]>)> = Vec::with_capacity(USUAL_ATTRIBUTES);
    found.extend(dictionary::walk(dictionary, request.attributes()));
    for (at, (path, content)) in found.iter().enumerate() {
        let (before, after) = found.split_at(at);
        // Repeated attributes became one list where the first of them stands.
        if before.iter().any(|(other, _)| other == path) {
            continue;
        }
        match dictionary.at(path) {
            Some(attribute) if attribute.is_private() => {}
            Some(attribute) => {
                let same = after.iter().filter(|(other, _)| other == path);
                member(line, attribute, same.map(|(_, content)| &**content));
            }
            None if is_private_number(path) => {}
            None => {
                line.shown_name(format_args!("Attr-{path}"));
                line.hex(content);
            }
        }
    }
}

/// Attributes of an accounting record for which room is made at once.
const USUAL_ATTRIBUTES: usize = 32;

/// One value stands alone, several make a list.
fn member<'p>(line: &mut Line<'_>, attribute: &Attribute, mut contents: impl Iterator<Item = &'p [u8]>) {
    let Some(first) = contents.next() else { return };
    line.any_name(attribute.name());
    let Some(second) = contents.next() else { return value(line, attribute, first) };
    line.open(b'[');
    value(line, attribute, first);
    value(line, attribute, second);
    contents.for_each(|content| value(line, attribute, content));
    line.end(b']');
}

fn value(line: &mut Line<'_>, attribute: &Attribute, content: &[u8]) {
    match attribute.decode(content).value {
        Value::Text(text) => shown_text(line, attribute, text.as_bytes()),
        // Text in another encoding is still nearly readable.
        Value::Invalid(octets) if attribute.data_type() == DataType::String => shown_text(line, attribute, octets),
        Value::Octets(octets) | Value::Invalid(octets) => line.hex(octets),
        Value::Number(number) => match attribute.value_name(number) {
            Some(name) => line.string(name),
            None => line.number(number),
        },
        Value::Signed(number) => line.signed(number.into()),
        Value::Bool(truth) => line.boolean(truth),
        Value::Date(seconds) => line.number(seconds),
        other => line.shown(Written { attribute, value: other }),
    }
}

/// Addresses and their like, as the dictionary writes them.
struct Written<'a> {
    attribute: &'a Attribute,
    value: Value<'a>,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.attribute.write_value(self.value, f)
    }
}

fn shown_text(line: &mut Line<'_>, attribute: &Attribute, text: &[u8]) {
    let is_vendors = !matches!(attribute.path().space(), Space::Standard(_));
    match hidden_pair(text).filter(|_| is_vendors) {
        Some(pair) => line.shown(format_args!("{pair}<hidden>")),
        None => line.text(text),
    }
}

/// The first of [`HIDDEN_PAIRS`] that stands in `text`, in any case.
fn hidden_pair(text: &[u8]) -> Option<&'static str> {
    // Each of them ends with the only `=` in it, so it ends one of the pieces.
    let ends = |piece: &[u8], pair: &str| {
        let end = piece.len().checked_sub(pair.len()).and_then(|at| piece.get(at..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(pair.as_bytes()))
    };
    let pieces = text.split_inclusive(|octet| *octet == b'=');
    let places = pieces.filter_map(|piece| HIDDEN_PAIRS.iter().position(|pair| ends(piece, pair)));
    places.min().and_then(|at| HIDDEN_PAIRS.get(at)).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_secret_pair_is_found_wherever_it_stands(text in "([pP][sS][kK]|password|passphrase|Secret|=|[a-z ]{0,3}){0,8}") {
            let lower = text.to_ascii_lowercase();
            let expected = HIDDEN_PAIRS.into_iter().find(|pair| lower.contains(pair));
            prop_assert_eq!(hidden_pair(text.as_bytes()), expected);
        }
    }
}
