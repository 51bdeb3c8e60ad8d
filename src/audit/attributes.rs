//! The attributes of a request in a line: `"request": {"NAS-Port-Type": "Ethernet", …}`.
//!
//! Owns how values look in JSON and which attributes are never shown. What the types mean is the dictionary's.

use std::{borrow::Cow, fmt};

use crate::{
    dictionary::{self, Attribute, DataType, Dictionary, Space, Value},
    radius::{kind, packet::Packet},
};

use super::json::Line;

/// Standard attributes that hold credentials, keys, or what only serves the protocol.
const HIDDEN: [u8; 10] = [
    kind::USER_PASSWORD,
    kind::CHAP_PASSWORD,
    kind::STATE,
    kind::PROXY_STATE,
    kind::CHAP_CHALLENGE,
    kind::EAP_MESSAGE,
    kind::MESSAGE_AUTHENTICATOR,
    kind::TUNNEL_PASSWORD,
    // ARAP-Password and ARAP-Security-Data (RFC 2869 sections 5.4 and 5.5).
    70,
    74,
];

/// Parts of names of vendors' attributes that hold secrets.
const HIDDEN_NAMES: [&str; 7] = ["password", "passphrase", "psk", "secret", "ms-chap", "mppe", "-pw"];

/// Parts of vendors' texts behind which a secret stands, as in Cisco-AVPair = "psk=…".
const HIDDEN_PAIRS: [&str; 4] = ["psk=", "password=", "passphrase=", "secret="];

/// Writes the attributes called `wanted` that the request carries, as members of an open object.
pub(super) fn chosen(line: &mut Line<'_>, wanted: &[Attribute], request: &Packet<'_>) {
    for attribute in wanted.iter().filter(|attribute| !is_hidden(attribute)) {
        member(line, attribute, dictionary::values(request.attributes(), &attribute.path()).map(Cow::Borrowed));
    }
}

/// Writes all attributes that the request carries, as members of an open object.
pub(super) fn all(line: &mut Line<'_>, dictionary: &Dictionary, request: &Packet<'_>) {
    let walk = || dictionary::walk(dictionary, request.attributes());
    for (at, (path, content)) in walk().enumerate() {
        // Repeated attributes became one list where the first of them stands.
        if walk().take(at).any(|(before, _)| before == path) {
            continue;
        }
        let Some(attribute) = dictionary.at(&path) else {
            if !matches!(path.space(), Space::Standard(number) if HIDDEN.contains(&number)) {
                line.shown_name(format_args!("Attr-{path}"));
                line.hex(&content);
            }
            continue;
        };
        if is_hidden(attribute) {
            continue;
        }
        let same = walk().filter(|(other, _)| *other == path).map(|(_, content)| content);
        member(line, attribute, same);
    }
}

/// One value stands alone, several make a list.
fn member<'p>(line: &mut Line<'_>, attribute: &Attribute, mut contents: impl Iterator<Item = Cow<'p, [u8]>>) {
    let Some(first) = contents.next() else { return };
    line.any_name(attribute.name());
    let Some(second) = contents.next() else { return value(line, attribute, &first) };
    line.open(b'[');
    value(line, attribute, &first);
    value(line, attribute, &second);
    contents.for_each(|content| value(line, attribute, &content));
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

fn is_hidden(attribute: &Attribute) -> bool {
    // Attributes that hold others: what is inside is judged by its own name, and what can't be taken apart by none.
    let holds_others = matches!(
        attribute.data_type(),
        DataType::VendorSpecific
            | DataType::Tlv
            | DataType::Extended
            | DataType::LongExtended
            | DataType::ExtendedVendor
    );
    holds_others
        || attribute.is_secret()
        || match attribute.path().space() {
            Space::Standard(number) => HIDDEN.contains(&number),
            _ => HIDDEN_NAMES.iter().any(|part| contains(attribute.name().as_bytes(), part)),
        }
}

fn shown_text(line: &mut Line<'_>, attribute: &Attribute, text: &[u8]) {
    let is_vendors = !matches!(attribute.path().space(), Space::Standard(_));
    match HIDDEN_PAIRS.iter().find(|pair| is_vendors && contains(text, pair)) {
        Some(pair) => line.shown(format_args!("{pair}<hidden>")),
        None => line.text(text),
    }
}

/// Whether `part` stands in `text`, in any case; `part`: ASCII.
fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}
