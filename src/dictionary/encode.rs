//! Content of an attribute from text, as people write it in lists and policies, to octets.
//!
//! Owns the spelling of every type; it hides nothing and adds no headers ([`Path::write`](super::Path::write) does).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    build::or_advice,
    index::Attribute,
    text,
    types::{DataType, Encryption},
    value::{TAG_MAX, Value, mask},
};
use crate::{
    limits::{PACKET_OCTETS_MAX, PASSWORD_OCTETS_MAX, VALUE_OCTETS_MAX},
    problem::did_you_mean,
};

/// Why a text can't be the value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// Not a number, nor the name of a value.
    UnknownName,
    /// Not a number.
    NotANumber,
    /// Above the most that the type can hold.
    NumberTooLarge {
        /// The most.
        most: u64,
    },
    /// Not an address of the family.
    NotAnAddress,
    /// Not a prefix of the family.
    NotAPrefix,
    /// Not four groups of hexadecimal digits.
    NotAnInterfaceId,
    /// Not six octets of a MAC address.
    NotEthernet,
    /// Not a date.
    NotADate,
    /// Neither yes nor no.
    NotBool,
    /// Not hexadecimal octets.
    NotOctets,
    /// Not as many octets as the type has.
    WrongLength {
        /// How many there are.
        octets: usize,
    },
    /// The attribute holds other attributes.
    Container,
    /// A tag before a value whose attribute has none.
    TagUnexpected,
    /// A tag above 31.
    TagTooLarge,
    /// A tag with no text behind it, which would be read as text.
    TaggedEmpty,
    /// More octets than the attribute can hold.
    TooLong,
    /// The attribute is in no packet.
    NotOnTheWire,
}

impl ValueError {
    /// What is wrong with `text` as a value of `attribute`, and what to do.
    ///
    /// The text of a secret attribute is not repeated.
    #[must_use]
    pub fn message(&self, attribute: &Attribute, text: &str) -> String {
        let name = attribute.name();
        let text = if attribute.is_secret() { "…" } else { text };
        match self {
            Self::UnknownName => {
                let suggestion = did_you_mean(text, attribute.named_values().map(|(name, _)| name));
                format!(
                    "\"{text}\" is no value of {name}{}",
                    or_advice(suggestion, "write a number or a name from the dictionary")
                )
            }
            Self::NotANumber => format!("\"{text}\" is no number for {name}; write it as 26 or 0x1a"),
            Self::NumberTooLarge { most } => {
                format!("{text} is above {most}, the most that {name} can hold; correct it")
            }
            Self::NotAnAddress => format!("\"{text}\" is no address for {name}; write {}", address_example(attribute)),
            Self::NotAPrefix => format!("\"{text}\" is no prefix for {name}; write {}", prefix_example(attribute)),
            Self::NotAnInterfaceId => format!("\"{text}\" is no interface id for {name}; write 0:11:22ff:33"),
            Self::NotEthernet => format!("\"{text}\" is no MAC address for {name}; write 00:11:22:33:44:55"),
            Self::NotADate => {
                format!("\"{text}\" is no date for {name}; write 2026-11-22T10:00:00Z or seconds since 1970")
            }
            Self::NotBool => format!("\"{text}\" is neither yes nor no, which {name} takes; write one of them"),
            Self::NotOctets => format!(
                "\"{text}\" is not what {name} of type {} holds; write 0x and pairs of hexadecimal digits",
                attribute.data_type()
            ),
            Self::WrongLength { octets } => {
                format!(
                    "{octets} octets are not what {name} of type {} holds; correct the length",
                    attribute.data_type()
                )
            }
            Self::Container => format!("{name} holds other attributes; name one of those, or write its octets as 0x…"),
            Self::TagUnexpected => format!("{name} has no tag; remove it"),
            Self::TagTooLarge => "a tag is from 0 to 31; correct it".to_owned(),
            Self::TaggedEmpty => format!("{name} with a tag needs a value; remove the tag or write the value"),
            Self::TooLong => format!("the value of {name} is longer than the attribute can hold; shorten it"),
            Self::NotOnTheWire => format!("{name} is a name that servers use inside; it is in no packet; remove it"),
        }
    }
}

fn address_example(attribute: &Attribute) -> &'static str {
    if attribute.data_type() == DataType::Ipv6Address { "2001:db8::1" } else { "192.0.2.1" }
}

fn prefix_example(attribute: &Attribute) -> &'static str {
    if attribute.data_type() == DataType::Ipv6Prefix { "2001:db8::/32" } else { "192.0.2.0/24" }
}

impl Attribute {
    /// The content for `text`, as people write it: the text itself for text, names or numbers for numbers, `0x…` or text
    /// for octets, and so on.
    ///
    /// `tag`: 0 for none, else 1 to 31. The result is what stands in a packet behind the attribute's header, tag included;
    /// for hidden attributes it is the plain content without tag, still to be hidden.
    ///
    /// # Errors
    /// [`ValueError`], whose `message` is for people.
    pub fn encode(&self, tag: u8, text: &str) -> Result<Vec<u8>, ValueError> {
        let content = match self.data_type {
            DataType::String => text.as_bytes().to_vec(),
            DataType::Octets | DataType::FixedOctets(_) => octets_of(text)?,
            DataType::AscendFilter => text::read_hex(text).ok_or(ValueError::NotOctets)?,
            DataType::Ipv4Address | DataType::Ipv6Address | DataType::AnyAddress => address_of(self.data_type, text)?,
            DataType::Ipv4Prefix | DataType::Ipv6Prefix => prefix_of(self.data_type, text)?,
            DataType::InterfaceId => interface_id_of(text).ok_or(ValueError::NotAnInterfaceId)?,
            DataType::Ethernet => ethernet_of(text).ok_or(ValueError::NotEthernet)?,
            DataType::Date => date_of(text).ok_or(ValueError::NotADate)?.to_be_bytes().to_vec(),
            DataType::Bool => vec![u8::from(bool_of(text).ok_or(ValueError::NotBool)?)],
            DataType::Signed => match text.parse::<i32>() {
                Ok(number) => number.to_be_bytes().to_vec(),
                Err(_) => return self.encode_number(tag, self.number_of(text)?),
            },
            DataType::Integer | DataType::Byte | DataType::Short | DataType::Integer64 => {
                return self.encode_number(tag, self.number_of(text)?);
            }
            DataType::Tlv
            | DataType::VendorSpecific
            | DataType::Extended
            | DataType::LongExtended
            | DataType::ExtendedVendor => text::read_hex(text).ok_or(ValueError::Container)?,
        };
        self.encode_octets(tag, &content)
    }

    /// The content for a number; see [`Attribute::encode`].
    ///
    /// # Errors
    /// [`ValueError`]; [`ValueError::NotANumber`] if the attribute holds none.
    pub fn encode_number(&self, tag: u8, number: u64) -> Result<Vec<u8>, ValueError> {
        let most = match self.data_type {
            // Dates are numbers as well, but have no named values.
            DataType::Date => u32::MAX.into(),
            // The tag takes one of the four octets.
            DataType::Integer if self.flags.tagged => 0x00FF_FFFF,
            other => other.number_max().ok_or(ValueError::NotANumber)?,
        };
        if number > most {
            return Err(ValueError::NumberTooLarge { most });
        }
        let octets = match self.data_type {
            DataType::Byte | DataType::Bool => 1,
            DataType::Short => 2,
            DataType::Integer64 => 8,
            _ => 4,
        };
        let all = number.to_be_bytes();
        self.encode_octets(tag, all.get(all.len() - octets..).unwrap_or_default())
    }

    /// The content for octets that have the form of the type already, such as text that is not UTF-8, with the tag added.
    ///
    /// # Errors
    /// [`ValueError`]; [`ValueError::WrongLength`] if they don't have the form of the type.
    pub fn encode_octets(&self, tag: u8, content: &[u8]) -> Result<Vec<u8>, ValueError> {
        if !self.is_on_the_wire() {
            return Err(ValueError::NotOnTheWire);
        }
        if tag > TAG_MAX {
            return Err(ValueError::TagTooLarge);
        }
        if tag > 0 && !self.flags.tagged {
            return Err(ValueError::TagUnexpected);
        }
        if self.data_type != DataType::String && matches!(self.decode_revealed(content), Value::Invalid(_)) {
            return Err(ValueError::WrongLength { octets: content.len() });
        }
        let whole = self.with_tag(tag, content)?;
        self.check_length(whole.len())?;
        Ok(whole)
    }

    /// The number of a name, or of decimal or hexadecimal digits.
    fn number_of(&self, text: &str) -> Result<u64, ValueError> {
        let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')),
            None => text.parse().ok().filter(|_| !text.starts_with('+')),
        };
        let most = self.data_type.number_max().unwrap_or(0);
        let all_digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        match parsed.or_else(|| self.value(text)) {
            Some(number) => Ok(number),
            None if all_digits => Err(ValueError::NumberTooLarge { most }),
            None if self.values.is_none() => Err(ValueError::NotANumber),
            None => Err(ValueError::UnknownName),
        }
    }

    fn with_tag(&self, tag: u8, content: &[u8]) -> Result<Vec<u8>, ValueError> {
        if !self.flags.tagged || self.flags.encryption != Encryption::None {
            return Ok(content.to_vec());
        }
        if let (DataType::Integer, [_, b, c, d]) = (self.data_type, content) {
            return Ok(vec![tag, *b, *c, *d]);
        }
        match (tag, content.first()) {
            (1.., None) => Err(ValueError::TaggedEmpty),
            // Without a tag of 0 the first octet of the text would be taken for a tag.
            (1.., _) => Ok([&[tag], content].concat()),
            (0, Some(first)) if *first <= TAG_MAX => Ok([&[0], content].concat()),
            (0, _) => Ok(content.to_vec()),
        }
    }

    /// Whether so many octets fit, hidden as they will be.
    fn check_length(&self, octets: usize) -> Result<(), ValueError> {
        let hidden = match self.flags.encryption {
            Encryption::None => octets,
            Encryption::UserPassword if octets > PASSWORD_OCTETS_MAX => return Err(ValueError::TooLong),
            Encryption::UserPassword => octets.next_multiple_of(16).max(16),
            // Tag, two octets of salt, and the length octet that is hidden with the content.
            Encryption::TunnelPassword => usize::from(self.flags.tagged) + 2 + (octets + 1).next_multiple_of(16),
            Encryption::AscendSecret => 16,
        };
        let long = self.flags.concat || hidden <= VALUE_OCTETS_MAX || self.path.is_fragmented();
        if !long || hidden > PACKET_OCTETS_MAX {
            return Err(ValueError::TooLong);
        }
        let content = [0; PACKET_OCTETS_MAX];
        let content = content.get(..hidden).unwrap_or_default();
        self.path.write(content, self.flags.concat, &mut Vec::new()).map_err(|_| ValueError::TooLong)
    }
}

/// `0x…`, or the octets of the text itself, as `radclient` reads them.
fn octets_of(text: &str) -> Result<Vec<u8>, ValueError> {
    if text.starts_with("0x") || text.starts_with("0X") {
        return text::read_hex(text).ok_or(ValueError::NotOctets);
    }
    Ok(text.as_bytes().to_vec())
}

fn address_of(data_type: DataType, text: &str) -> Result<Vec<u8>, ValueError> {
    match (text.parse(), data_type) {
        (Ok(IpAddr::V4(address)), DataType::Ipv4Address | DataType::AnyAddress) => Ok(address.octets().to_vec()),
        (Ok(IpAddr::V6(address)), DataType::Ipv6Address | DataType::AnyAddress) => Ok(address.octets().to_vec()),
        _ => Err(ValueError::NotAnAddress),
    }
}

/// A prefix, or an address alone, which is the longest prefix.
fn prefix_of(data_type: DataType, text: &str) -> Result<Vec<u8>, ValueError> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let most = if data_type == DataType::Ipv4Prefix { 32 } else { 128 };
    let length = match length {
        None => most,
        Some(length) if length.bytes().all(|octet| octet.is_ascii_digit()) => {
            length.parse().ok().filter(|length| *length <= most).ok_or(ValueError::NotAPrefix)?
        }
        Some(_) => return Err(ValueError::NotAPrefix),
    };
    let address = match data_type {
        DataType::Ipv4Prefix => address.parse::<Ipv4Addr>().map(IpAddr::V4),
        _ => address.parse::<Ipv6Addr>().map(IpAddr::V6),
    };
    let mut octets = vec![0, length];
    match mask(address.map_err(|_| ValueError::NotAPrefix)?, length) {
        IpAddr::V4(address) => octets.extend(address.octets()),
        // No more octets than the prefix needs (RFC 8044 section 3.10).
        IpAddr::V6(address) => octets.extend(address.octets().iter().take(usize::from(length).div_ceil(8))),
    }
    Ok(octets)
}

fn interface_id_of(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(8);
    for group in text.split(':').take(5) {
        if group.is_empty() || group.len() > 4 || group.starts_with('+') {
            return None;
        }
        octets.extend(u16::from_str_radix(group, 16).ok()?.to_be_bytes());
    }
    (octets.len() == 8).then_some(octets)
}

/// Twelve hexadecimal digits with the separators that vendors use.
fn ethernet_of(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).take(13).collect();
    (digits.len() == 12).then(|| text::read_hex(&format!("0x{digits}"))).flatten()
}

fn bool_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Some(true),
        "no" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// Seconds since 1970: a number, a timestamp of RFC 3339, or the form that `radclient` prints. Dates without a zone are UTC.
fn date_of(text: &str) -> Option<u32> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) {
        return text.parse().ok();
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return u32::try_from(time.as_second()).ok();
    }
    let plain = text.trim_end_matches(" UTC").trim_end_matches(" GMT");
    let forms = ["%b %d %Y %H:%M:%S", "%b %d %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
    let civil = forms
        .iter()
        .find_map(|form| jiff::civil::DateTime::strptime(form, plain).ok())
        .or_else(|| jiff::civil::Date::strptime("%b %d %Y", plain).ok().map(|date| date.at(0, 0, 0, 0)))
        .or_else(|| jiff::civil::Date::strptime("%Y-%m-%d", plain).ok().map(|date| date.at(0, 0, 0, 0)))?;
    let time = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    u32::try_from(time.as_second()).ok()
}
