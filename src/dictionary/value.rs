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

/// The largest tag (RFC 2868 section 3.1).
pub(super) const TAG_MAX: u8 = 0x1F;

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
    /// 1 to 31; 0 if there is none.
    pub tag: u8,
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
        let (tag, content) = self.split_tag(octets);
        if self.flags.encryption != Encryption::None {
            return Decoded { tag, value: Value::Octets(content) };
        }
        if self.flags.tagged && self.data_type == DataType::Integer {
            let value = match *content {
                // The tag takes the place of the first of the four octets.
                [first, b, c, d] if first <= TAG_MAX => Value::Number(u32::from_be_bytes([0, b, c, d]).into()),
                _ => read(self.data_type, content),
            };
            return Decoded { tag, value };
        }
        Decoded { tag, value: read(self.data_type, content) }
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

    /// The tag, and what follows it. A tagged number keeps the octet, because it is one of its four.
    fn split_tag<'a>(&self, octets: &'a [u8]) -> (u8, &'a [u8]) {
        let Some((first, rest)) = octets.split_first().filter(|_| self.flags.tagged) else { return (0, octets) };
        if self.data_type == DataType::Integer && self.flags.encryption == Encryption::None {
            return (if *first <= TAG_MAX { *first } else { 0 }, octets);
        }
        // The octet before a salt is always a tag, whatever it holds (RFC 2868 section 3.5).
        if self.flags.encryption == Encryption::TunnelPassword {
            return (if *first <= TAG_MAX { *first } else { 0 }, rest);
        }
        if *first <= TAG_MAX && !rest.is_empty() { (*first, rest) } else { (0, octets) }
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
        if tag > 0 {
            write!(f, ":{tag}")?;
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
