//! Literals of conditions: what an operator of ours wrote, read as the kind of the fact that it is compared with.
//!
//! Owns the reading and its messages. What a literal means for a rule is the operator's matter.

use super::{
    catalogue::Kind,
    mac,
    members::{Cidr, Key},
    operator::version::Version,
    reading::date_number,
    subject::Subject,
};
use crate::{
    document::{self, Value},
    problem::Problems,
};

/// A literal and how it reads in an explanation.
#[derive(Clone, Debug)]
pub struct Literal<T> {
    /// The value.
    pub value: T,
    /// As a policy would write it.
    pub text: String,
}

/// Reads a literal that a value of the subject can be equal to.
pub fn key(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<Key>> {
    match subject.kind {
        Kind::Text => text(subject, value, problems),
        Kind::Boolean => boolean(subject, value, problems),
        Kind::Number => number(subject, value, problems).map(|number| number.map(Key::Number)),
        Kind::Mac => whole_mac(subject, value, problems),
        Kind::Guid => guid(subject, value, problems),
        Kind::Address => address(subject, value, problems),
        Kind::Network => network(subject, value, problems).map(|network| network.map(Key::network)),
        Kind::Words(words) => word(subject, words, value, problems),
        Kind::Date => span(subject, value, problems).map(|span| span.map(|(from, _)| Key::Number(from))),
        Kind::Age | Kind::Version | Kind::Hour | Kind::Opaque => {
            refuse(subject, value, "can't be compared so", problems);
            None
        }
    }
}

impl<T> Literal<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Literal<U> {
        Literal { value: change(self.value), text: self.text }
    }
}

/// Reports a literal of the wrong type.
fn refuse(subject: &Subject, value: &Value<'_>, advice: &str, problems: &mut Problems) {
    let message = format!("{} is {}, but this is {}; {advice}", subject.name, subject.kind.name(), value.kind().name());
    value.error(problems, "wrong-literal", message);
}

/// Text, or octets written as `0x…` for attributes that hold octets.
pub fn text(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<Key>> {
    let Some(text) = value.plain_text() else {
        let written = value.as_written();
        refuse(subject, value, &format!("put it in quotes: \"{written}\""), problems);
        return None;
    };
    Some(Literal { value: Key::Octets(octets(subject, text).into()), text: format!("{text:?}") })
}

/// The octets that a text stands for.
#[must_use]
pub fn octets(subject: &Subject, text: &str) -> Vec<u8> {
    let is_text =
        subject.attribute().is_none_or(|attribute| attribute.data_type() == crate::dictionary::DataType::String);
    let digits = text.strip_prefix("0x").filter(|_| !is_text).unwrap_or_default();
    let pairs: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| str::from_utf8(pair).ok().filter(|pair| pair.len() == 2))
        .map(|pair| u8::from_str_radix(pair?, 16).ok())
        .collect();
    pairs.filter(|octets| !octets.is_empty()).unwrap_or_else(|| text.as_bytes().to_vec())
}

fn boolean(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<Key>> {
    let Some(truth) = value.plain_boolean() else {
        let advice = match value.plain_text() {
            Some("true" | "false") => "write it without quotes",
            _ => "write true or false, without quotes",
        };
        refuse(subject, value, advice, problems);
        return None;
    };
    Some(Literal { value: Key::Number(truth.into()), text: truth.to_string() })
}

/// A number, or the name of one where the dictionary has names.
pub fn number(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<i128>> {
    if let Some(number) = value.plain_integer() {
        let name = u64::try_from(number).ok().and_then(|number| subject.attribute()?.value_name(number));
        let text = name.map_or_else(|| number.to_string(), |name| format!("{name:?}"));
        return Some(Literal { value: number.into(), text });
    }
    let has_names = subject.attribute().is_some_and(|attribute| attribute.named_values().next().is_some());
    let (Some(text), Some(attribute)) = (value.plain_text(), subject.attribute().filter(|_| has_names)) else {
        let advice = match value.plain_text().filter(|text| text.parse::<i64>().is_ok()) {
            Some(digits) => format!("write it without quotes: {digits}"),
            None => "write digits without quotes".to_owned(),
        };
        refuse(subject, value, &advice, problems);
        return None;
    };
    let Some(number) = attribute.value(text) else {
        let nearest = if problems.may_suggest() { attribute.nearest_value(text) } else { None };
        let advice = match nearest {
            _ if text.parse::<u64>().is_ok() => format!("; a number stands without quotes: {text}"),
            Some(nearest) => format!("; did you mean \"{nearest}\"?"),
            None => format!("; there are for example {}", few_names(attribute.named_values().map(|(name, _)| name))),
        };
        value.error(problems, "unknown-value", format!("{} has no value \"{text}\"{advice}", subject.name));
        return None;
    };
    Some(Literal { value: number.into(), text: format!("{text:?}") })
}

fn few_names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.take(4).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn whole_mac(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<Key>> {
    let prefix = mac_prefix(subject, value, problems)?;
    let Some(octets) = prefix.value.as_whole() else {
        let message = format!(
            "{} is only the beginning of a MAC address; for all that begin so write {{ mac = {} }}",
            prefix.text, prefix.text
        );
        value.error(problems, "mac-prefix", message);
        return None;
    };
    Some(Literal { value: Key::Octets(octets.into()), text: prefix.text })
}

/// A MAC address or its first digits.
pub fn mac_prefix(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<mac::MacPrefix>> {
    let Some(text) = value.plain_text() else {
        refuse(subject, value, "write the MAC address in quotes: \"A4-C3-F0-11-22-33\"", problems);
        return None;
    };
    let Some(prefix) = mac::MacPrefix::parse(text.as_bytes()) else {
        let message =
            format!("\"{text}\" is no MAC address; write twelve hexadecimal digits such as A4-C3-F0-11-22-33");
        value.error(problems, "bad-mac", message);
        return None;
    };
    Some(Literal { value: prefix, text: format!("\"{prefix}\"") })
}

fn guid(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<Key>> {
    let Some(text) = value.plain_text() else {
        refuse(subject, value, "write the device id in quotes", problems);
        return None;
    };
    let Some(octets) = parse_guid(text) else {
        let message =
            format!("\"{text}\" is no device id; write it as \"5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01\", in any case");
        value.error(problems, "bad-device-id", message);
        return None;
    };
    Some(Literal { value: Key::Octets(octets.into()), text: format!("\"{}\"", text.to_lowercase()) })
}

/// The octets of a device id in printing order.
#[must_use]
pub fn parse_guid(text: &str) -> Option<[u8; 16]> {
    let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let lengths = bare.split('-').map(str::len);
    if !lengths.eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let number = u128::from_str_radix(&bare.replace('-', ""), 16).ok()?;
    bare.bytes().all(|octet| octet != b'+').then_some(number.to_be_bytes())
}

/// The device id in a text of a certificate: bare, in braces, behind a prefix that ends in a colon or a slash, before `@`.
pub fn guid_in(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let text = text.split('@').next().unwrap_or(text);
    let bare = text.rsplit([':', '/']).next().unwrap_or(text);
    let bare = bare.strip_prefix("GUID").or_else(|| bare.strip_prefix("guid")).unwrap_or(bare);
    parse_guid(bare)
}

fn address(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<Key>> {
    let network = network(subject, value, problems)?;
    let width = if network.value.address.is_ipv4() { 32 } else { 128 };
    if network.value.length < width {
        let message =
            format!("{} is a network; for the addresses in it write {{ network = {} }}", network.text, network.text);
        value.error(problems, "network-as-address", message);
        return None;
    }
    Some(network.map(|network| Key::address(network.address)))
}

/// A network in CIDR notation, or one address.
pub fn network(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<Cidr>> {
    let Some(text) = value.plain_text() else {
        refuse(subject, value, "write it in quotes: \"10.0.0.0/8\"", problems);
        return None;
    };
    match Cidr::parse(text) {
        Some((network, false)) => Some(Literal { value: network, text: format!("\"{text}\"") }),
        Some((network, true)) => {
            let right = format!("{}/{}", network.address, network.length);
            let message = format!("\"{text}\" names a network by an address inside of it; write \"{right}\"");
            value.error(problems, "loose-network", message);
            None
        }
        None => {
            let message = format!("\"{text}\" is no IP address or network; write \"10.1.2.3\" or \"10.0.0.0/8\"");
            value.error(problems, "bad-address", message);
            None
        }
    }
}

fn word(subject: &Subject, words: &[&str], value: &Value<'_>, problems: &mut Problems) -> Option<Literal<Key>> {
    let Some(text) = value.plain_text() else {
        refuse(subject, value, &format!("write one of: {}", words.join(", ")), problems);
        return None;
    };
    let Some(at) = words.iter().position(|word| *word == text) else {
        let nearest = problems.suggest(text, words.iter().copied());
        let advice = if nearest.is_empty() { format!("; it is one of: {}", words.join(", ")) } else { nearest };
        value.error(problems, "unknown-word", format!("{} is never \"{text}\"{advice}", subject.name));
        return None;
    };
    Some(Literal { value: Key::Number(i128::try_from(at).unwrap_or(0)), text: format!("{text:?}") })
}

/// The first and the last number that a literal stands for: `8` of an hour is 8:00 to 8:59.
pub fn span(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<(i128, i128)>> {
    match subject.kind {
        Kind::Age => age(subject, value, problems),
        Kind::Hour => hour(subject, value, problems),
        Kind::Date => date(subject, value, problems),
        _ => number(subject, value, problems).map(|number| number.map(|number| (number, number))),
    }
}

fn age(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<(i128, i128)>> {
    const ADVICE: &str = "write a duration with a unit (s, m, h, d), such as \"90s\", \"24h\" or \"7d\"";
    let Some(text) = value.plain_text() else {
        refuse(subject, value, ADVICE, problems);
        return None;
    };
    let Some(duration) = document::parse_duration(text) else {
        value.error(problems, "bad-duration", format!("\"{text}\" is no duration; {ADVICE}"));
        return None;
    };
    let micros = i128::try_from(duration.as_micros()).unwrap_or(i128::MAX);
    Some(Literal { value: (micros, micros), text: format!("\"{}\"", document::write_duration(duration)) })
}

fn hour(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<(i128, i128)>> {
    const ADVICE: &str = "write a whole hour from 0 to 23, or a time such as \"08:30\"";
    if let Some(hour) = value.plain_integer() {
        if (0..24).contains(&hour) {
            let first = i128::from(hour) * 60;
            return Some(Literal { value: (first, first + 59), text: hour.to_string() });
        }
        value.error(problems, "bad-hour", format!("{hour} is no hour; {ADVICE}"));
        return None;
    }
    let Some(text) = value.plain_text() else {
        refuse(subject, value, ADVICE, problems);
        return None;
    };
    let Some(minute) = parse_minute(text) else {
        value.error(problems, "bad-hour", format!("\"{text}\" is no time of day; {ADVICE}"));
        return None;
    };
    Some(Literal { value: (minute, minute), text: format!("\"{text}\"") })
}

fn parse_minute(text: &str) -> Option<i128> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(hour) || !digits(minute) || minute.len() != 2 || hour.is_empty() {
        return None;
    }
    let (hour, minute): (u8, u8) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then(|| i128::from(hour) * 60 + i128::from(minute))
}

fn date(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<(i128, i128)>> {
    let text = match value.kind() {
        document::Kind::Date => value.as_written(),
        document::Kind::Text => value.plain_text().unwrap_or_default(),
        _ => {
            refuse(subject, value, "write it as 2026-12-24", problems);
            return None;
        }
    };
    let Ok(date) = text.parse::<jiff::civil::Date>() else {
        value.error(problems, "bad-date", format!("\"{text}\" is no day of the calendar; write it as 2026-12-24"));
        return None;
    };
    let number = i128::from(date_number(date));
    Some(Literal { value: (number, number), text: date.to_string() })
}

/// Dotted numbers.
pub fn version(subject: &Subject, value: &Value<'_>, problems: &mut Problems) -> Option<Literal<Version>> {
    let Some(text) = value.plain_text() else {
        let advice = match value.kind() {
            document::Kind::Integer | document::Kind::Float => format!("put it in quotes: \"{}\"", value.as_written()),
            _ => "write dotted numbers in quotes: \"10.0.22631\"".to_owned(),
        };
        refuse(subject, value, &advice, problems);
        return None;
    };
    let Some(version) = Version::parse(text) else {
        let message = format!("\"{text}\" is no version; write dotted numbers such as \"10.0.22631\"");
        value.error(problems, "bad-version", message);
        return None;
    };
    Some(Literal { value: version, text: format!("\"{version}\"") })
}
