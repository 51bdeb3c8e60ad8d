//! The data types, flags and vendor formats that a dictionary can name.
//!
//! Owns their spelling and their plain properties; octets are made and read in `encode` and `value`.

use std::fmt;

use crate::radius::vendor::VendorFormat;

/// How the content of an attribute is laid out.
///
/// Source: RFC 8044 section 3, and the manual page dictionary(5) of FreeRADIUS 3 for the spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// UTF-8 text.
    String,
    /// Any octets.
    Octets,
    /// Exactly this number of octets.
    FixedOctets(u8),
    /// An IPv4 address, 4 octets.
    Ipv4Address,
    /// An IPv4 prefix, 6 octets.
    Ipv4Prefix,
    /// An IPv6 address, 16 octets.
    Ipv6Address,
    /// An IPv6 prefix, 2 to 18 octets.
    Ipv6Prefix,
    /// An address of either family, told apart by its length.
    AnyAddress,
    /// The lower half of an IPv6 address, 8 octets.
    InterfaceId,
    /// A MAC address, 6 octets.
    Ethernet,
    /// Seconds since 1970, 4 octets.
    Date,
    /// An unsigned number, 4 octets.
    Integer,
    /// An unsigned number, 1 octet.
    Byte,
    /// An unsigned number, 2 octets.
    Short,
    /// An unsigned number, 8 octets.
    Integer64,
    /// A signed number, 4 octets.
    Signed,
    /// 0 or 1 in one octet.
    Bool,
    /// A binary filter of Ascend's; kept as octets.
    AscendFilter,
    /// Holds attributes with one octet of type and one of length.
    Tlv,
    /// Attribute 26.
    VendorSpecific,
    /// Attributes 241 to 244.
    Extended,
    /// Attributes 245 and 246.
    LongExtended,
    /// Number 26 inside of an extended attribute.
    ExtendedVendor,
}

impl DataType {
    /// Every word a dictionary can write, except `octets[n]`.
    pub(super) const WORDS: [(&'static str, Self); 27] = [
        ("string", Self::String),
        ("octets", Self::Octets),
        ("ipaddr", Self::Ipv4Address),
        ("ipv4prefix", Self::Ipv4Prefix),
        ("cidr", Self::Ipv4Prefix),
        ("ipv6addr", Self::Ipv6Address),
        ("ipv6prefix", Self::Ipv6Prefix),
        ("combo-ip", Self::AnyAddress),
        ("ifid", Self::InterfaceId),
        ("ether", Self::Ethernet),
        ("date", Self::Date),
        ("integer", Self::Integer),
        ("uint32", Self::Integer),
        ("byte", Self::Byte),
        ("uint8", Self::Byte),
        ("short", Self::Short),
        ("uint16", Self::Short),
        ("integer64", Self::Integer64),
        ("uint64", Self::Integer64),
        ("signed", Self::Signed),
        ("int32", Self::Signed),
        ("bool", Self::Bool),
        ("abinary", Self::AscendFilter),
        ("tlv", Self::Tlv),
        ("vsa", Self::VendorSpecific),
        ("extended", Self::Extended),
        ("long-extended", Self::LongExtended),
    ];

    /// The type of this name, in any case: `string`, `octets[16]`, `ipaddr`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        if let Some(count) = word.strip_prefix("octets[").and_then(|rest| rest.strip_suffix(']')) {
            return count.parse().ok().filter(|count| (1..=253).contains(count)).map(Self::FixedOctets);
        }
        if word == "evs" {
            return Some(Self::ExtendedVendor);
        }
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, data_type)| *data_type)
    }

    /// The largest number that fits, for types that are numbers and can have named values.
    #[must_use]
    pub const fn number_max(self) -> Option<u64> {
        match self {
            Self::Byte => Some(u8::MAX as u64),
            Self::Short => Some(u16::MAX as u64),
            Self::Integer => Some(u32::MAX as u64),
            Self::Integer64 => Some(u64::MAX),
            Self::Signed => Some(i32::MAX as u64),
            Self::Bool => Some(1),
            _ => None,
        }
    }

    /// Whether the content is other attributes.
    #[must_use]
    pub const fn is_container(self) -> bool {
        matches!(self, Self::Tlv | Self::VendorSpecific | Self::Extended | Self::LongExtended | Self::ExtendedVendor)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FixedOctets(count) => write!(f, "octets[{count}]"),
            Self::ExtendedVendor => f.write_str("evs"),
            other => {
                let word = Self::WORDS.iter().find(|(_, data_type)| data_type == other).map_or("", |(word, _)| word);
                f.write_str(word)
            }
        }
    }
}

/// How the content is hidden on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Encryption {
    /// Not hidden.
    #[default]
    None,
    /// `encrypt=1`: as User-Password (RFC 2865 section 5.2).
    UserPassword,
    /// `encrypt=2`: with a salt, as Tunnel-Password (RFC 2868 section 3.5).
    TunnelPassword,
    /// `encrypt=3`: Ascend's own way, which radmit cannot undo.
    AscendSecret,
}

/// What a dictionary says about an attribute besides its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// `has_tag`: the content may start with a tag (RFC 2868 section 3).
    pub tagged: bool,
    /// `encrypt=`.
    pub encryption: Encryption,
    /// `concat`: one content is cut over several attributes and put together again.
    pub concat: bool,
    /// `array`: several values in one attribute; only DHCP uses it.
    pub array: bool,
    /// `secret`: never to be shown.
    pub secret: bool,
    /// `virtual`: made up by a server, never in a packet.
    pub internal: bool,
}

impl Flags {
    /// The words that a dictionary can write, for messages.
    pub(super) const WORDS: [&'static str; 8] =
        ["has_tag", "encrypt=1", "encrypt=2", "encrypt=3", "concat", "array", "secret", "virtual"];

    /// Adds the flag of this word, in any case; false if there is no such flag.
    pub(super) fn set(&mut self, word: &str) -> bool {
        match word.to_ascii_lowercase().as_str() {
            "has_tag" => self.tagged = true,
            "encrypt=1" => self.encryption = Encryption::UserPassword,
            "encrypt=2" => self.encryption = Encryption::TunnelPassword,
            "encrypt=3" => self.encryption = Encryption::AscendSecret,
            "concat" => self.concat = true,
            "array" => self.array = true,
            "secret" => self.secret = true,
            "virtual" => self.internal = true,
            _ => return false,
        }
        true
    }
}

/// The format of a text such as `2,1` or `1,1,c`.
pub(super) fn parse_format(text: &str) -> Option<VendorFormat> {
    let mut fields = text.split(',');
    let type_octets = fields.next()?.parse().ok()?;
    let length_octets = fields.next()?.parse().ok()?;
    let has_continuation = match fields.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("c") => true,
        Some(_) => return None,
    };
    if fields.next().is_some() {
        return None;
    }
    VendorFormat::new(type_octets, length_octets, has_continuation)
}

/// The text that [`parse_format`] reads.
pub(super) fn write_format(format: VendorFormat) -> String {
    let continuation = if format.has_continuation() { ",c" } else { "" };
    format!("{},{}{continuation}", format.type_octets(), format.length_octets())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_printed_in_a_word_that_reads_back() {
        for (word, data_type) in DataType::WORDS {
            assert_eq!(DataType::parse(word), Some(data_type), "{word}");
            assert_eq!(DataType::parse(&data_type.to_string()), Some(data_type), "{word}");
        }
        for odd in ["octets[16]", "OCTETS[16]", "evs", "String"] {
            let data_type = DataType::parse(odd).expect("a known word");
            assert_eq!(DataType::parse(&data_type.to_string()), Some(data_type), "{odd}");
        }
        for wrong in ["", "octets[0]", "octets[254]", "octets[x]", "struct", "text"] {
            assert_eq!(DataType::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn vendor_formats_are_those_of_the_manual_page() {
        for right in ["1,1", "1,0", "1,2", "2,1", "2,2", "4,0", "1,1,c"] {
            assert_eq!(parse_format(right).map(write_format).as_deref(), Some(right));
        }
        for wrong in ["", "1", "3,1", "1,3", "2,1,c", "1,1,d", "1,1,c,c", "a,b", "1,,1"] {
            assert_eq!(parse_format(wrong), None, "{wrong}");
        }
    }
}
