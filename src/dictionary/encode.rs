//! Content of an attribute from text, as people write it in lists and policies, to octets.
//!
//! Owns the spelling of every type; it hides nothing and adds no headers ([`Path::write`](super::Path::write) does).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    build::or_advice,
    index::Attribute,
    text,
    types::{DataType, Encryption},
    value::{Value, mask},
};
use crate::{
    limits::{PASSWORD_OCTETS_MAX, VALUE_OCTETS_MAX},
    problem::did_you_mean,
    radius::{
        error::Full,
        tag::{self, Tag},
    },
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
    /// Nothing: an attribute holds at least one octet.
    Empty,
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
            Self::Empty => format!("an empty {name} can't be sent; leave it out or give it a value"),
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
    /// `tag`: the tag to write before it; [`Tag::NONE`] writes an octet of 0, which some NASes want. The result is what stands in a packet behind the attribute's header, tag included;
    /// for hidden attributes it is the plain content without tag, still to be hidden.
    ///
    /// # Errors
    /// [`ValueError`], whose `message` is for people.
    pub fn encode(&self, tag: Option<Tag>, text: &str) -> Result<Vec<u8>, ValueError> {
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
    pub fn encode_number(&self, tag: Option<Tag>, number: u64) -> Result<Vec<u8>, ValueError> {
        let most = match self.data_type {
            // Dates are numbers as well, but have no named values.
            DataType::Date => u32::MAX.into(),
            DataType::Integer if self.flags.tagged => TAGGED_NUMBER_MAX,
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
    pub fn encode_octets(&self, tag: Option<Tag>, content: &[u8]) -> Result<Vec<u8>, ValueError> {
        if !self.is_on_the_wire() {
            return Err(ValueError::NotOnTheWire);
        }
        if tag.is_some() && !self.flags.tagged {
            return Err(ValueError::TagUnexpected);
        }
        if self.data_type != DataType::String && matches!(self.decode_revealed(content), Value::Invalid(_)) {
            return Err(ValueError::WrongLength { octets: content.len() });
        }
        let whole = self.with_tag(tag, content)?;
        self.check_length(&whole)?;
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

    fn with_tag(&self, tag: Option<Tag>, content: &[u8]) -> Result<Vec<u8>, ValueError> {
        if !self.flags.tagged || self.flags.encryption != Encryption::None {
            return Ok(content.to_vec());
        }
        if let (DataType::Integer, Ok(number)) = (self.data_type, content.try_into()) {
            let tagged = tag::integer(tag.unwrap_or_default(), u32::from_be_bytes(number));
            return tagged.map(Vec::from).map_err(|_| ValueError::NumberTooLarge { most: TAGGED_NUMBER_MAX });
        }
        let mut whole = Vec::with_capacity(content.len() + 1);
        tag::append_text(tag, content, &mut whole).map_err(|_| ValueError::Empty)?;
        Ok(whole)
    }

    /// Whether the content fits, hidden as it will be.
    fn check_length(&self, content: &[u8]) -> Result<(), ValueError> {
        let hidden = match self.flags.encryption {
            Encryption::None => return self.check_written(content),
            Encryption::UserPassword if content.len() > PASSWORD_OCTETS_MAX => return Err(ValueError::TooLong),
            Encryption::UserPassword => content.len().next_multiple_of(16).max(16),
            // Tag, two octets of salt, and the length octet that is hidden with the content.
            Encryption::TunnelPassword => usize::from(self.flags.tagged) + 2 + (content.len() + 1).next_multiple_of(16),
            Encryption::AscendSecret => 16,
        };
        self.check_written([0; VALUE_OCTETS_MAX].get(..hidden).ok_or(ValueError::TooLong)?)
    }

    fn check_written(&self, content: &[u8]) -> Result<(), ValueError> {
        self.path.write(content, self.flags.concat, &mut Vec::new()).map_err(|full| match full {
            Full::ValueEmpty => ValueError::Empty,
            Full::ValueTooLong | Full::Packet => ValueError::TooLong,
            Full::TypeUnfit => ValueError::NotOnTheWire,
        })
    }
}

/// The most that a tagged number can hold: the tag takes one of the four octets.
const TAGGED_NUMBER_MAX: u64 = 0x00FF_FFFF;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        dictionary::{Dictionary, Path, types::Flags},
        radius::attribute::Attributes,
    };

    fn shipped(name: &str) -> &'static Attribute {
        Dictionary::builtin().attribute(name).expect("it is shipped")
    }

    fn of_type(data_type: DataType) -> Attribute {
        Attribute { data_type, name: "Test".into(), ..Attribute::unknown(Path::standard(200)) }
    }

    #[test]
    fn what_people_write_becomes_octets() {
        let cases: [(&str, &str, &[u8]); 27] = [
            ("User-Name", "bob", b"bob"),
            ("User-Name", "0x6162", b"0x6162"),
            ("Class", "0x6162", b"ab"),
            ("Class", "ab", b"ab"),
            ("NAS-Port", "0x10", &[0, 0, 0, 16]),
            ("NAS-Port", "4294967295", &[255; 4]),
            ("Service-Type", "Call-Check", &[0, 0, 0, 10]),
            ("Service-Type", "call-check", &[0, 0, 0, 10]),
            ("Service-Type", "10", &[0, 0, 0, 10]),
            ("NAS-IP-Address", "192.0.2.1", &[192, 0, 2, 1]),
            ("Framed-IPv6-Prefix", "2001:db8:ffff::/32", &[0, 32, 0x20, 1, 0xd, 0xb8]),
            ("Framed-IPv6-Prefix", "::/0", &[0, 0]),
            ("PMIP6-Home-IPv4-HoA", "10.1.2.3/16", &[0, 16, 10, 1, 0, 0]),
            ("PMIP6-Home-IPv4-HoA", "10.1.2.3", &[0, 32, 10, 1, 2, 3]),
            ("Framed-Interface-Id", "1:2:3:fffe", &[0, 1, 0, 2, 0, 3, 0xff, 0xfe]),
            ("Fortinet-Host-Port-AVPair", "a", b"a"),
            ("Event-Timestamp", "0", &[0; 4]),
            ("Event-Timestamp", "2026-11-22T21:46:00Z", &[0x6b, 3, 0x62, 0x98]),
            ("Event-Timestamp", "2026-11-22 21:46:00", &[0x6b, 3, 0x62, 0x98]),
            ("Event-Timestamp", "Nov 22 2026 21:46:00 UTC", &[0x6b, 3, 0x62, 0x98]),
            ("Event-Timestamp", "Jan  1 1970 00:00:00 UTC", &[0; 4]),
            ("Event-Timestamp", "Jan 2 1970", &[0, 1, 0x51, 0x80]),
            ("Event-Timestamp", "1970-01-02", &[0, 1, 0x51, 0x80]),
            ("MIP6-Feature-Vector", "18446744073709551615", &[255; 8]),
            ("PKM-SAID", "258", &[1, 2]),
            ("Vendor-Specific", "0x0000000901036f", &[0, 0, 0, 9, 1, 3, 0x6f]),
            ("User-Password", "", b""),
        ];
        for (name, text, expected) in cases {
            assert_eq!(shipped(name).encode(None, text).as_deref(), Ok(expected), "{name} = {text}");
        }
        for mac in ["00:1a:02:03:04:05", "00-1A-02-03-04-05", "001a.0203.0405", "001a02030405"] {
            assert_eq!(of_type(DataType::Ethernet).encode(None, mac).as_deref(), Ok(&[0, 0x1a, 2, 3, 4, 5][..]));
        }
        assert_eq!(of_type(DataType::Signed).encode(None, "-2"), Ok(vec![255, 255, 255, 254]));
        assert_eq!(of_type(DataType::Bool).encode(None, "Yes"), Ok(vec![1]));
    }

    #[test]
    fn tags_are_written_as_rfc_2868_says() {
        let (kind, group) = (shipped("Tunnel-Type"), shipped("Tunnel-Private-Group-Id"));
        assert_eq!(kind.encode(None, "VLAN"), Ok(vec![0, 0, 0, 13]));
        assert_eq!(kind.encode(Tag::new(1), "VLAN"), Ok(vec![1, 0, 0, 13]));
        assert_eq!(group.encode(None, "20"), Ok(b"20".to_vec()));
        assert_eq!(group.encode(Some(Tag::NONE), "20"), Ok(b"\x0020".to_vec()));
        assert_eq!(group.encode(Tag::new(31), "20"), Ok(b"\x1f20".to_vec()));
        assert_eq!(group.encode(None, "\x0120"), Ok(b"\x00\x0120".to_vec()));
        // The tag of a hidden attribute is written where it is hidden.
        assert_eq!(shipped("Tunnel-Password").encode(Tag::new(1), "psk"), Ok(b"psk".to_vec()));
    }

    #[test]
    fn every_mistake_says_what_to_do() {
        let (long, flat) = ("x".repeat(254), of_type(DataType::Integer));
        let internal =
            Attribute { path: Path::of(super::super::Space::Internal { vendor: 0, number: 1000 }), ..flat.clone() };
        let tlv = shipped("IP-Port-Range");
        let cases: [(&Attribute, u8, &str); 26] = [
            (shipped("Service-Type"), 0, "Call-Chek"),
            (shipped("Service-Type"), 0, "zzz"),
            (&flat, 0, "one"),
            (&flat, 0, "4294967296"),
            (&flat, 0, "99999999999999999999999"),
            (shipped("Tunnel-Type"), 0, "16777216"),
            (shipped("NAS-IP-Address"), 0, "::1"),
            (shipped("NAS-IPv6-Address"), 0, "host"),
            (shipped("Framed-IPv6-Prefix"), 0, "2001:db8::/129"),
            (shipped("PMIP6-Home-IPv4-HoA"), 0, "10.0.0.0/+8"),
            (shipped("Framed-Interface-Id"), 0, "1:2:3"),
            (&of_type(DataType::Ethernet), 0, "00:11:22:33:44"),
            (shipped("Event-Timestamp"), 0, "yesterday"),
            (shipped("Event-Timestamp"), 0, "2200-01-01T00:00:00Z"),
            (&of_type(DataType::Bool), 0, "maybe"),
            (shipped("Class"), 0, "0x123"),
            (&of_type(DataType::AscendFilter), 0, "ip in drop"),
            (shipped("ARAP-Password"), 0, "0x0102"),
            (tlv, 0, "text"),
            (shipped("User-Name"), 1, "bob"),
            (shipped("User-Name"), 0, ""),
            (shipped("Tunnel-Private-Group-Id"), 1, ""),
            (shipped("User-Name"), 0, &long),
            (shipped("Tunnel-Password"), 0, &long),
            (shipped("User-Password"), 0, &long),
            (&internal, 0, "1"),
        ];
        let mut told = String::new();
        for (attribute, tag, text) in cases {
            let tag = Tag::new(tag).filter(|tag| *tag != Tag::NONE);
            let error = attribute.encode(tag, text).expect_err(text);
            told.push_str(&error.message(attribute, text));
            told.push('\n');
        }
        insta::assert_snapshot!(told, @r#"
        "Call-Chek" is no value of Service-Type; did you mean "Call-Check"?
        "zzz" is no value of Service-Type; write a number or a name from the dictionary
        "one" is no number for Test; write it as 26 or 0x1a
        4294967296 is above 4294967295, the most that Test can hold; correct it
        99999999999999999999999 is above 4294967295, the most that Test can hold; correct it
        16777216 is above 16777215, the most that Tunnel-Type can hold; correct it
        "::1" is no address for NAS-IP-Address; write 192.0.2.1
        "host" is no address for NAS-IPv6-Address; write 2001:db8::1
        "2001:db8::/129" is no prefix for Framed-IPv6-Prefix; write 2001:db8::/32
        "10.0.0.0/+8" is no prefix for PMIP6-Home-IPv4-HoA; write 192.0.2.0/24
        "1:2:3" is no interface id for Framed-Interface-Id; write 0:11:22ff:33
        "00:11:22:33:44" is no MAC address for Test; write 00:11:22:33:44:55
        "yesterday" is no date for Event-Timestamp; write 2026-11-22T10:00:00Z or seconds since 1970
        "2200-01-01T00:00:00Z" is no date for Event-Timestamp; write 2026-11-22T10:00:00Z or seconds since 1970
        "maybe" is neither yes nor no, which Test takes; write one of them
        "0x123" is not what Class of type octets holds; write 0x and pairs of hexadecimal digits
        "ip in drop" is not what Test of type abinary holds; write 0x and pairs of hexadecimal digits
        2 octets are not what ARAP-Password of type octets[16] holds; correct the length
        IP-Port-Range holds other attributes; name one of those, or write its octets as 0x…
        User-Name has no tag; remove it
        an empty User-Name can't be sent; leave it out or give it a value
        an empty Tunnel-Private-Group-Id can't be sent; leave it out or give it a value
        the value of User-Name is longer than the attribute can hold; shorten it
        the value of Tunnel-Password is longer than the attribute can hold; shorten it
        the value of User-Password is longer than the attribute can hold; shorten it
        Test is a name that servers use inside; it is in no packet; remove it
        "#);
        assert!(!told.contains(&long[..20]), "secrets and long texts are not repeated");
    }

    /// Attributes of every type and flag, shipped or made up.
    fn any_attribute() -> impl Strategy<Value = Attribute> {
        let shipped: Vec<Attribute> = Dictionary::builtin().attributes().cloned().collect();
        let made_up = DataType::WORDS.iter().map(|(_, data_type)| of_type(*data_type));
        let tagged = [DataType::String, DataType::Integer]
            .map(|data_type| Attribute { flags: Flags { tagged: true, ..Flags::default() }, ..of_type(data_type) });
        proptest::sample::select(shipped.into_iter().chain(made_up).chain(tagged).collect::<Vec<_>>())
    }

    /// Octets, mostly as many as one of the types has.
    fn any_octets() -> impl Strategy<Value = Vec<u8>> {
        let length = proptest::sample::select(vec![1, 2, 3, 4, 4, 4, 6, 8, 16, 18, 20]);
        length.prop_flat_map(|length| proptest::collection::vec(prop_oneof![0u8..40, any::<u8>()], length))
    }

    proptest! {
        /// What is printed reads back as the same octets, for every content that is valid.
        #[test]
        fn a_printed_value_reads_back(attribute in any_attribute(), octets in any_octets()) {
            let decoded = attribute.decode(&octets);
            if matches!(decoded.value, Value::Invalid(_)) || attribute.flags().encryption != Encryption::None {
                return Ok(());
            }
            let mut printed = String::new();
            attribute.write_value(decoded.value, &mut printed).expect("a string takes everything");
            let text = if printed.starts_with('"') {
                String::from_utf8(text::read_quoted(&printed).expect("it was quoted").0).expect("valid text")
            } else {
                printed
            };
            if text.is_empty() {
                return Ok(());
            }
            let tag = Some(decoded.tag).filter(|tag| *tag != Tag::NONE);
            let again = attribute.encode(tag, &text).map_err(|error| error.message(&attribute, &text));
            let again = again.map_err(TestCaseError::fail)?;
            // Reserved octets, bits behind a prefix and a tag of 0 are not kept, but what they are read as is.
            prop_assert_eq!(attribute.decode(&again), decoded);
        }

        /// What was encoded is what a packet then holds.
        #[test]
        fn an_encoded_value_arrives(attribute in any_attribute(), tag in 0u8..40, text in "(0x)?[0-9a-f.:/ -]{0,40}") {
            let tag = Tag::new(tag).filter(|_| attribute.flags().tagged);
            let Ok(content) = attribute.encode(tag, &text) else { return Ok(()) };
            if attribute.flags().encryption != Encryption::None {
                return Ok(());
            }
            let mut packet = Vec::new();
            attribute.path().write(&content, attribute.flags().concat, &mut packet).expect("encode checked that it fits");
            let found: Vec<&[u8]> = crate::dictionary::values(Attributes::new(&packet, 20), &attribute.path()).collect();
            prop_assert_eq!(found, [&content[..]]);
            let decoded = attribute.decode(&content);
            prop_assert!(!matches!(decoded.value, Value::Invalid(_)));
            prop_assert_eq!(decoded.tag, tag.unwrap_or_default());
        }

        #[test]
        fn any_text_is_refused_or_taken_without_a_panic(attribute in any_attribute(), text in ".{0,300}") {
            if let Err(error) = attribute.encode(None, &text) {
                prop_assert!(error.message(&attribute, &text).contains(attribute.name()));
            }
        }
    }
}
