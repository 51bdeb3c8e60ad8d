//! One attribute as it stands in a packet, and the walk over all of them.
//!
//! Owns type, length and value; what a value means is for `tag`, `vendor`, `extended`, `tlv` and the dictionary.

use super::error::Full;
use crate::limits::VALUE_OCTETS_MAX;

/// One attribute of a packet, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The type octet; see [`kind`](super::kind) for those with a name.
    pub kind: u8,
    /// What follows type and length: 0 to 253 octets.
    pub value: &'a [u8],
    /// Where the type octet stands, counted from the first octet of the packet.
    pub offset: usize,
}

/// Walks over attributes that lie one behind the other.
///
/// Of a checked packet it gives all. Of anything else it gives those before the first that is broken.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Attributes<'a> {
    /// Starts at the first octet of `octets`, which stands at `offset` of its packet.
    #[must_use]
    pub const fn new(octets: &'a [u8], offset: usize) -> Self {
        Self { rest: octets, offset }
    }

    /// The octets that were not walked over yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all of the octets are whole attributes with a type above 0.
    #[must_use]
    pub fn is_well_formed(self) -> bool {
        let mut walk = self;
        walk.by_ref().all(|attribute| attribute.kind != 0) && walk.rest.is_empty()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Attribute<'a>> {
        let [kind, length, ..] = *self.rest else { return None };
        let (attribute, rest) = self.rest.split_at_checked(usize::from(length))?;
        let value = attribute.get(2..)?;
        let offset = self.offset;
        self.rest = rest;
        self.offset += attribute.len();
        Some(Attribute { kind, value, offset })
    }
}

/// Appends one attribute to octets that will stand in a packet later.
///
/// `value`: 1 to 253 octets.
///
/// # Errors
/// [`Full::ValueEmpty`] and [`Full::ValueTooLong`]; nothing is appended then.
pub fn encode(kind: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), Full> {
    let length = encoded_length(value.len())?;
    out.push(kind);
    out.push(length);
    out.extend_from_slice(value);
    Ok(())
}

/// The length octet of an attribute with a value of `octets` octets.
#[inline]
pub(super) const fn encoded_length(octets: usize) -> Result<u8, Full> {
    match octets {
        0 => Err(Full::ValueEmpty),
        #[expect(clippy::cast_possible_truncation, reason = "at most 253")]
        1..=VALUE_OCTETS_MAX => Ok(octets as u8 + 2),
        _ => Err(Full::ValueTooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_tells_where_each_attribute_stands() {
        let octets = [1, 5, b'b', b'o', b'b', 33, 2];
        let all: Vec<_> = Attributes::new(&octets, 20).collect();
        assert_eq!(
            all,
            [Attribute { kind: 1, value: b"bob", offset: 20 }, Attribute { kind: 33, value: b"", offset: 25 }]
        );
    }

    #[test]
    fn the_walk_ends_before_a_broken_attribute() {
        for broken in [&[1, 3, 7, 2, 1][..], &[1, 3, 7, 2, 9, 1], &[1, 3, 7, 2]] {
            let mut walk = Attributes::new(broken, 0);
            assert_eq!(walk.by_ref().count(), 1);
            assert!(!walk.rest().is_empty());
            assert!(!Attributes::new(broken, 0).is_well_formed());
        }
    }

    #[test]
    fn an_attribute_holds_1_to_253_octets() {
        let mut out = Vec::new();
        assert_eq!(encode(1, &[], &mut out), Err(Full::ValueEmpty));
        assert_eq!(encode(1, &[7; 254], &mut out), Err(Full::ValueTooLong));
        assert!(out.is_empty());
        encode(1, &[7; 253], &mut out).unwrap();
        assert_eq!((out.len(), out[1]), (255, 255));
    }
}
