//! Content of an attribute from octets to something with a type, and to text.
//!
//! Owns what the types look like on the wire; hidden content is revealed elsewhere, and text becomes octets in `encode`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    index::Attribute,
    text,
    types::{DataType, Encryption},
};
use crate::radius::tag::{self, Tag, Tagged};

/// The content of an attribute with its type, borrowed from the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// Octets, and content that is hidden or holds other attributes.
    Octets(&'a [u8]),
    /// An unsigned number of any size; it may have a name ([`Attribute::value_name`]).
    Number(u64),
    /// A signed number.
    Signed(i32),
    /// A truth value.
    Bool(bool),
    /// Seconds since 1970.
    Date(u32),
    /// An address of either family.
    Address(IpAddr),
    /// A prefix of either family: address (bits behind the prefix are zero) and length in bits.
    Prefix(IpAddr, u8),
    /// The lower half of an IPv6 address.
    InterfaceId([u8; 8]),
    /// A MAC address.
    Ethernet([u8; 6]),
    /// Content that does not fit the type. The attribute is ignored, the packet is not (RFC 6929 section 2.8).
    Invalid(&'a [u8]),
}

/// A value and the tag before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// 1 to 31, or [`Tag::NONE`].
    pub tag: Tag,
    /// The content.
    pub value: Value<'a>,
}

impl Attribute {
    /// Reads the content of this attribute as it stands in a packet.
    ///
    /// Hidden content is given as octets without the tag; see [`Attribute::decode_revealed`].
    /// Source: RFC 2868 section 3 for tags, RFC 8044 section 3 for the types.
    #[must_use]
    pub fn decode<'a>(&self, octets: &'a [u8]) -> Decoded<'a> {
        let untagged = |value| Decoded { tag: Tag::NONE, value };
        if self.flags.encryption != Encryption::None {
            return self.split_hidden(octets);
        }
        if !self.flags.tagged {
            return untagged(read(self.data_type, octets));
        }
        if self.data_type == DataType::Integer {
            return match tag::read_integer(octets) {
                Ok(Tagged { tag, value }) => Decoded { tag, value: Value::Number(value.into()) },
                Err(_) => untagged(Value::Invalid(octets)),
            };
        }
        let Tagged { tag, value } = tag::read_text(octets);
        Decoded { tag, value: read(self.data_type, value) }
    }

    /// Reads the content of a hidden attribute after it was revealed; `octets`: without tag, salt and padding.
    #[must_use]
    pub fn decode_revealed<'a>(&self, octets: &'a [u8]) -> Value<'a> {
        read(self.data_type, octets)
    }

    /// The attribute with this content as `radclient` would print it; secret content is left out.
    #[must_use]
    pub const fn show<'a>(&'a self, octets: &'a [u8]) -> Shown<'a> {
        Shown { attribute: self, octets }
    }

    /// The tag of a hidden attribute, and the salt and the hidden octets behind it. The octet before a salt is always a
    /// tag, whatever it holds (RFC 2868 section 3.5).
    fn split_hidden<'a>(&self, octets: &'a [u8]) -> Decoded<'a> {
        match octets.split_first() {
            Some((tag, rest)) if self.flags.tagged && self.flags.encryption == Encryption::TunnelPassword => {
                Decoded { tag: Tag::new(*tag).unwrap_or_default(), value: Value::Octets(rest) }
            }
            _ => Decoded { tag: Tag::NONE, value: Value::Octets(octets) },
        }
    }
}

/// Reads content of this type.
fn read(data_type: DataType, octets: &[u8]) -> Value<'_> {
    read_exactly(data_type, octets).unwrap_or(Value::Invalid(octets))
}

fn read_exactly(data_type: DataType, octets: &[u8]) -> Option<Value<'_>> {
    let value = match data_type {
        DataType::String => Value::Text(str::from_utf8(octets).ok()?),
        DataType::FixedOctets(count) if octets.len() != usize::from(count) => return None,
        DataType::Octets
        | DataType::FixedOctets(_)
        | DataType::AscendFilter
        | DataType::Tlv
        | DataType::VendorSpecific
        | DataType::Extended
        | DataType::LongExtended
        | DataType::ExtendedVendor => Value::Octets(octets),
        DataType::Ipv4Address => Value::Address(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into()),
        DataType::Ipv6Address => Value::Address(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into()),
        DataType::AnyAddress => {
            let family = if octets.len() == 4 { DataType::Ipv4Address } else { DataType::Ipv6Address };
            return read_exactly(family, octets);
        }
        DataType::Ipv4Prefix => ipv4_prefix(octets)?,
        DataType::Ipv6Prefix => ipv6_prefix(octets)?,
        DataType::InterfaceId => Value::InterfaceId(octets.try_into().ok()?),
        DataType::Ethernet => Value::Ethernet(octets.try_into().ok()?),
        DataType::Date => Value::Date(u32::from_be_bytes(octets.try_into().ok()?)),
        DataType::Integer => Value::Number(u32::from_be_bytes(octets.try_into().ok()?).into()),
        DataType::Short => Value::Number(u16::from_be_bytes(octets.try_into().ok()?).into()),
        DataType::Byte => Value::Number(u8::from_be_bytes(octets.try_into().ok()?).into()),
        DataType::Integer64 => Value::Number(u64::from_be_bytes(octets.try_into().ok()?)),
        DataType::Signed => Value::Signed(i32::from_be_bytes(octets.try_into().ok()?)),
        DataType::Bool => match octets {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return None,
        },
    };
    Some(value)
}

/// Source: RFC 8044 section 3.11. Bits behind the prefix should be zero and are ignored, as FreeRADIUS does.
fn ipv4_prefix(octets: &[u8]) -> Option<Value<'static>> {
    let [_, length, a, b, c, d] = *octets else { return None };
    (length <= 32).then(|| Value::Prefix(mask(Ipv4Addr::new(a, b, c, d).into(), length), length))
}

/// Source: RFC 8044 section 3.10. Octets at the end may be missing; bits behind the prefix are ignored.
fn ipv6_prefix(octets: &[u8]) -> Option<Value<'static>> {
    let [_, length, prefix @ ..] = octets else { return None };
    let mut address = [0; 16];
    address.get_mut(..prefix.len())?.copy_from_slice(prefix);
    (*length <= 128).then(|| Value::Prefix(mask(Ipv6Addr::from(address).into(), *length), *length))
}

/// The address with the bits behind the prefix set to zero; `length`: at most the bits of the address.
pub(super) fn mask(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let keep = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & keep).into()
        }
        IpAddr::V6(address) => {
            let keep = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & keep).into()
        }
    }
}

/// Prints `Name = value` as `radclient` does: text in quotes, octets as `0x…`, numbers by their names.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    attribute: &'a Attribute,
    octets: &'a [u8],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decoded { tag, value } = self.attribute.decode(self.octets);
        if self.attribute.is_secret() {
            return write!(f, "{} = <hidden>", self.attribute.name);
        }
        match value {
            // Text of the wrong encoding is printed as text all the same; everything else that is invalid by numbers.
            Value::Invalid(_) if self.attribute.data_type != DataType::String => {
                write!(f, "Attr-{} = ", self.attribute.path)?;
                return text::write_hex(self.octets, f);
            }
            _ => f.write_str(&self.attribute.name)?,
        }
        if tag != Tag::NONE {
            write!(f, ":{}", tag.octet())?;
        }
        f.write_str(" = ")?;
        self.attribute.write_value(value, f)
    }
}

impl Attribute {
    /// Prints a value of this attribute without the attribute's name. It reads back with [`Attribute::encode`] once its
    /// quotes are taken off.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn write_value(&self, value: Value<'_>, out: &mut impl fmt::Write) -> fmt::Result {
        match value {
            Value::Text(value) => text::write_quoted(value.as_bytes(), out),
            Value::Octets(octets) => text::write_hex(octets, out),
            Value::Invalid(octets) if self.data_type == DataType::String => text::write_quoted(octets, out),
            Value::Invalid(octets) => text::write_hex(octets, out),
            Value::Number(number) => match self.value_name(number).filter(|name| is_plain(name)) {
                Some(name) => out.write_str(name),
                None => write!(out, "{number}"),
            },
            Value::Signed(number) => write!(out, "{number}"),
            Value::Bool(truth) => out.write_str(if truth { "yes" } else { "no" }),
            Value::Date(seconds) => match jiff::Timestamp::from_second(seconds.into()) {
                Ok(time) => write!(out, "\"{}\"", time.strftime("%b %e %Y %H:%M:%S UTC")),
                Err(_) => write!(out, "{seconds}"),
            },
            Value::Address(address) => write!(out, "{address}"),
            Value::Prefix(address, length) => write!(out, "{address}/{length}"),
            Value::InterfaceId([a, b, c, d, e, f, g, h]) => {
                let [a, b, c, d] = [[a, b], [c, d], [e, f], [g, h]].map(u16::from_be_bytes);
                write!(out, "{a:x}:{b:x}:{c:x}:{d:x}")
            }
            Value::Ethernet([a, b, c, d, e, f]) => write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"),
        }
    }
}

/// Whether the name of a value can stand without quotes, and is not taken for a number when it is read back.
fn is_plain(name: &str) -> bool {
    let starts_with_digit = name.starts_with(|c: char| c.is_ascii_digit());
    !starts_with_digit || (name.parse::<u64>().is_err() && !name.starts_with("0x") && !name.starts_with("0X"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::{Dictionary, Path};

    fn shipped(name: &str) -> &'static Attribute {
        Dictionary::builtin().attribute(name).expect("it is shipped")
    }

    fn of_type(data_type: DataType) -> Attribute {
        Attribute { data_type, name: "Test".into(), ..Attribute::unknown(Path::standard(200)) }
    }

    #[test]
    fn content_of_every_type_is_read_and_printed() {
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let cases: [(DataType, &[u8], &str); 24] = [
            (DataType::String, b"a\"\xc3\xa9", r#""a\"é""#),
            (DataType::String, b"", r#""""#),
            (DataType::Octets, &[0, 255], "0x00ff"),
            (DataType::FixedOctets(2), &[0, 255], "0x00ff"),
            (DataType::AscendFilter, &[1], "0x01"),
            (DataType::Ipv4Address, &[192, 0, 2, 1], "192.0.2.1"),
            (DataType::Ipv6Address, &v6, "2001:db8::1"),
            (DataType::AnyAddress, &[192, 0, 2, 1], "192.0.2.1"),
            (DataType::AnyAddress, &v6, "2001:db8::1"),
            (DataType::Ipv4Prefix, &[0, 16, 10, 1, 2, 3], "10.1.0.0/16"),
            (DataType::Ipv4Prefix, &[7, 0, 10, 1, 2, 3], "0.0.0.0/0"),
            (DataType::Ipv6Prefix, &[0, 32, 0x20, 1, 0xd, 0xb8], "2001:db8::/32"),
            (DataType::Ipv6Prefix, &[0, 0], "::/0"),
            (DataType::Ipv6Prefix, &[0, 15, 0x20, 1], "2000::/15"),
            (DataType::InterfaceId, &[0, 0, 0, 0x11, 0x22, 0xff, 0, 0x33], "0:11:22ff:33"),
            (DataType::Ethernet, &[0, 0x1a, 2, 3, 4, 5], "00:1a:02:03:04:05"),
            (DataType::Date, &0x6b03_6298_u32.to_be_bytes(), "\"Nov 22 2026 21:46:00 UTC\""),
            (DataType::Date, &[0; 4], "\"Jan  1 1970 00:00:00 UTC\""),
            (DataType::Integer, &[0, 0, 1, 0], "256"),
            (DataType::Short, &[1, 0], "256"),
            (DataType::Byte, &[255], "255"),
            (DataType::Integer64, &[255; 8], "18446744073709551615"),
            (DataType::Signed, &[255; 4], "-1"),
            (DataType::Bool, &[1], "yes"),
        ];
        for (data_type, octets, expected) in cases {
            assert_eq!(of_type(data_type).show(octets).to_string(), format!("Test = {expected}"), "{data_type}");
        }
    }

    #[test]
    fn content_of_the_wrong_size_is_kept_as_octets() {
        let cases: [(DataType, &[u8]); 14] = [
            (DataType::FixedOctets(2), &[1]),
            (DataType::Ipv4Address, &[1, 2, 3]),
            (DataType::Ipv6Address, &[1; 15]),
            (DataType::AnyAddress, &[1; 5]),
            (DataType::Ipv4Prefix, &[0, 33, 1, 2, 3, 4]),
            (DataType::Ipv4Prefix, &[0, 8, 10]),
            (DataType::Ipv6Prefix, &[0]),
            (DataType::Ipv6Prefix, &[0, 129]),
            (DataType::Ipv6Prefix, &[0; 19]),
            (DataType::InterfaceId, &[0; 7]),
            (DataType::Ethernet, &[0; 7]),
            (DataType::Integer, &[]),
            (DataType::Byte, &[1, 2]),
            (DataType::Bool, &[2]),
        ];
        for (data_type, octets) in cases {
            let attribute = of_type(data_type);
            assert_eq!(attribute.decode(octets).value, Value::Invalid(octets), "{data_type}");
            assert!(attribute.show(octets).to_string().starts_with("Attr-200 = 0x"), "{data_type}");
        }
        // Text in another encoding can still be read by people.
        assert_eq!(of_type(DataType::String).decode(b"\xff").value, Value::Invalid(b"\xff"));
        assert_eq!(of_type(DataType::String).show(b"a\xff").to_string(), r#"Test = "a\377""#);
    }

    #[test]
    fn tags_stand_behind_the_name() {
        assert_eq!(shipped("Tunnel-Type").show(&[1, 0, 0, 13]).to_string(), "Tunnel-Type:1 = VLAN");
        assert_eq!(shipped("Tunnel-Type").show(&[0, 0, 0, 13]).to_string(), "Tunnel-Type = VLAN");
        assert_eq!(shipped("Tunnel-Type").show(&[0x20, 0, 0, 13]).to_string(), "Attr-64 = 0x2000000d");
        let group = shipped("Tunnel-Private-Group-Id");
        assert_eq!(group.show(b"\x0120").to_string(), "Tunnel-Private-Group-Id:1 = \"20\"");
        assert_eq!(group.show(b"\x0020").to_string(), "Tunnel-Private-Group-Id = \"20\"");
        assert_eq!(group.show(b"20").to_string(), "Tunnel-Private-Group-Id = \"20\"");
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        for name in ["User-Password", "CHAP-Password", "Tunnel-Password", "MS-MPPE-Recv-Key", "Aruba-MPSK-Passphrase"] {
            assert_eq!(shipped(name).show(b"secret").to_string(), format!("{name} = <hidden>"));
        }
        let tunnel = shipped("Tunnel-Password").decode(&[2, 0x80, 1, 7]);
        assert_eq!((tunnel.tag.octet(), tunnel.value), (2, Value::Octets(&[0x80, 1, 7])));
        assert_eq!(shipped("Tunnel-Password").decode_revealed(b"psk"), Value::Text("psk"));
        assert_eq!(shipped("MS-MPPE-Recv-Key").decode(&[0x80, 1]).value, Value::Octets(&[0x80, 1]));
    }

    #[test]
    fn a_value_is_shown_by_its_name() {
        let shown = |name, octets: &[u8]| shipped(name).show(octets).to_string();
        assert_eq!(shown("NAS-Port-Type", &[0, 0, 0, 15]), "NAS-Port-Type = Ethernet");
        assert_eq!(shown("NAS-Port-Type", &[0, 0, 9, 9]), "NAS-Port-Type = 2313");
        // A name that is a number would read back as another number.
        let values =
            crate::dictionary::index::Values { list: vec![(1, "7".into()), (2, "0x7".into()), (3, "7th".into())] };
        let attribute = Attribute { values: Some(values.into()), ..of_type(DataType::Byte) };
        let all: Vec<String> = (1..=3).map(|octet| attribute.show(&[octet]).to_string()).collect();
        assert_eq!(all, ["Test = 1", "Test = 2", "Test = 7th"]);
    }
}
