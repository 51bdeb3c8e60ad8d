//! Extended attributes: types 241 to 246 with a second type octet, the last two in fragments.
//!
//! Owns their forms and the joining of fragments. A broken one is an error of its own and never of the packet.

use std::borrow::Cow;

use super::{
    attribute::{self, Attribute, Attributes},
    error::{Full, Invalid},
    kind,
};
use crate::limits::{HEADER_OCTETS, PACKET_OCTETS_MAX, VALUE_OCTETS_MAX};

/// The bit of the flags octet that says that more follows; the other bits are reserved and ignored.
const MORE: u8 = 0x80;

/// One extended attribute, all of its fragments together.
#[derive(Clone, Copy, Debug)]
pub struct Extended<'a> {
    /// 241 to 246.
    pub kind: u8,
    /// The second type octet.
    pub extended_kind: u8,
    /// Where its first attribute stands, counted from the first octet of the packet.
    pub offset: usize,
    /// The attributes that make it up.
    fragments: Attributes<'a>,
}

impl<'a> Extended<'a> {
    /// The value, borrowed if there is one fragment only, as nearly always.
    #[must_use]
    pub fn value(&self) -> Cow<'a, [u8]> {
        let mut parts = self.parts();
        let first = parts.next().unwrap_or_default();
        let Some(second) = parts.next() else { return Cow::Borrowed(first) };
        let mut joined = [first, second].concat();
        parts.for_each(|part| joined.extend_from_slice(part));
        Cow::Owned(joined)
    }

    /// The values of the fragments, in their order.
    pub fn parts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.fragments.map(|fragment| fragment.value.get(header_octets(fragment.kind)..).unwrap_or_default())
    }
}

/// Octets of a value before its data: the second type, and the flags of types 245 and 246.
const fn header_octets(kind: u8) -> usize {
    if kind < kind::LONG_EXTENDED_FIRST { 1 } else { 2 }
}

/// Walks over the extended attributes among others.
///
/// It gives one item for each whole one and an error for each broken one; attributes of other types are passed over.
/// A fragment whose successor is missing is one error, and the walk goes on with the attribute after it.
/// Source: RFC 6929 sections 2.1 and 2.2.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedAttributes<'a> {
    walk: Attributes<'a>,
}

impl<'a> ExtendedAttributes<'a> {
    /// Walks over `attributes`, mostly those of a [`Packet`](super::packet::Packet).
    #[must_use]
    pub const fn new(attributes: Attributes<'a>) -> Self {
        Self { walk: attributes }
    }

    fn join(&mut self, first: Attribute<'a>, at: Attributes<'a>) -> Result<Extended<'a>, Invalid> {
        let Some(([extended_kind], [_, ..])) = first.value.split_first_chunk::<1>() else {
            return Err(Invalid::ExtendedTooShort);
        };
        let mut last = first;
        while is_continued(last)? {
            let mut ahead = self.walk;
            let next = ahead.next().filter(|next| next.kind == first.kind && next.value.first() == Some(extended_kind));
            let Some(next) = next.filter(|next| next.value.len() > header_octets(next.kind)) else {
                return Err(Invalid::FragmentMissing);
            };
            self.walk = ahead;
            last = next;
        }
        let octets = at.rest().len() - self.walk.rest().len();
        let fragments = Attributes::new(at.rest().get(..octets).unwrap_or_default(), first.offset);
        Ok(Extended { kind: first.kind, extended_kind: *extended_kind, offset: first.offset, fragments })
    }
}

fn is_continued(fragment: Attribute<'_>) -> Result<bool, Invalid> {
    if fragment.kind < kind::LONG_EXTENDED_FIRST {
        return Ok(false);
    }
    let [_, flags, _, ..] = *fragment.value else { return Err(Invalid::ExtendedTooShort) };
    if flags & MORE == 0 {
        return Ok(false);
    }
    if fragment.value.len() < VALUE_OCTETS_MAX { Err(Invalid::FragmentNotFull) } else { Ok(true) }
}

impl<'a> Iterator for ExtendedAttributes<'a> {
    type Item = Result<Extended<'a>, Invalid>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.walk;
            let attribute = self.walk.next()?;
            if (kind::EXTENDED_FIRST..=kind::LONG_EXTENDED_LAST).contains(&attribute.kind) {
                return Some(self.join(attribute, at));
            }
        }
    }
}

/// A vendor's attribute inside of an extended one: second type 26 of any extended type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedVendorSpecific<'a> {
    /// The vendor's number at IANA.
    pub vendor: u32,
    /// The vendor's number for this type.
    pub kind: u8,
    /// The value: one octet or more.
    pub value: &'a [u8],
}

impl<'a> ExtendedVendorSpecific<'a> {
    /// Reads the joined value of an extended attribute whose second type is 26.
    ///
    /// Source: RFC 6929 section 2.4.
    ///
    /// # Errors
    /// [`Invalid::VendorTooShort`] below six octets.
    pub const fn parse(value: &'a [u8]) -> Result<Self, Invalid> {
        let Some((vendor, [kind, value @ ..])) = value.split_first_chunk::<4>() else {
            return Err(Invalid::VendorTooShort);
        };
        if value.is_empty() {
            return Err(Invalid::VendorTooShort);
        }
        Ok(Self { vendor: u32::from_be_bytes(*vendor), kind: *kind, value })
    }
}

/// Appends one extended attribute, for types 245 and 246 in as many fragments as it needs.
///
/// `value`: 1 to 252 octets, or for types 245 and 246 as many as a packet has room for.
/// Source: RFC 6929 sections 2.1 and 2.2.
///
/// # Errors
/// [`Full::TypeUnfit`] if `kind` is not 241 to 246, [`Full::ValueEmpty`], [`Full::ValueTooLong`]. Nothing is appended then.
pub fn encode(kind: u8, extended_kind: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), Full> {
    if value.is_empty() {
        return Err(Full::ValueEmpty);
    }
    match kind {
        kind::EXTENDED_FIRST..=kind::EXTENDED_LAST => attribute::encode(kind, &[&[extended_kind], value].concat(), out),
        kind::LONG_EXTENDED_FIRST..=kind::LONG_EXTENDED_LAST => {
            let room = VALUE_OCTETS_MAX - header_octets(kind);
            let attributes = value.len().div_ceil(room);
            if value.len() + attributes * (2 + header_octets(kind)) > PACKET_OCTETS_MAX - HEADER_OCTETS {
                return Err(Full::ValueTooLong);
            }
            let mut parts = value.chunks(room).peekable();
            while let Some(part) = parts.next() {
                let flags = if parts.peek().is_some() { MORE } else { 0 };
                attribute::encode(kind, &[&[extended_kind, flags], part].concat(), out)?;
            }
            Ok(())
        }
        _ => Err(Full::TypeUnfit),
    }
}

/// Appends a vendor's attribute inside of an extended one.
///
/// Source: RFC 6929 section 2.4.
///
/// # Errors
/// As of [`encode`].
pub fn encode_vendor(kind: u8, vendor: u32, vendor_kind: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), Full> {
    if value.is_empty() {
        return Err(Full::ValueEmpty);
    }
    let content = [&vendor.to_be_bytes()[..], &[vendor_kind], value].concat();
    encode(kind, kind::EXTENDED_VENDOR_SPECIFIC, &content, out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Found = Result<(u8, u8, Vec<u8>), Invalid>;

    fn read(octets: &[u8]) -> Vec<Found> {
        ExtendedAttributes::new(Attributes::new(octets, 0))
            .map(|item| item.map(|found| (found.kind, found.extended_kind, found.value().into_owned())))
            .collect()
    }

    fn fragment(kind: u8, extended_kind: u8, flags: u8, size: usize) -> Vec<u8> {
        let mut octets = vec![kind, u8::try_from(size + 4).unwrap(), extended_kind, flags];
        octets.resize(size + 4, b'x');
        octets
    }

    #[test]
    fn an_attribute_without_fragments_is_borrowed() {
        let octets = [1, 3, 7, 241, 6, 1, b'b', b'o', b'b', 245, 5, 2, 0, 9];
        let all: Vec<_> = ExtendedAttributes::new(Attributes::new(&octets, 20)).map(Result::unwrap).collect();
        assert_eq!(
            all.iter().map(|e| (e.kind, e.extended_kind, e.offset)).collect::<Vec<_>>(),
            [(241, 1, 23), (245, 2, 29)]
        );
        assert!(matches!(all[0].value(), Cow::Borrowed(b"bob")));
        assert!(matches!(all[1].value(), Cow::Borrowed([9])));
    }

    #[test]
    fn reserved_flags_are_ignored() {
        assert_eq!(read(&[245, 5, 1, 0x7F, 9]), [Ok((245, 1, vec![9]))]);
    }

    #[test]
    fn an_attribute_without_data_is_invalid_and_the_next_is_still_read() {
        for short in [&[241, 2][..], &[241, 3, 1], &[245, 2], &[245, 3, 1], &[245, 4, 1, 0]] {
            let octets = [short, &[241, 4, 1, 9]].concat();
            assert_eq!(read(&octets), [Err(Invalid::ExtendedTooShort), Ok((241, 1, vec![9]))], "{short:?}");
        }
    }

    #[test]
    fn a_fragment_must_be_full_and_followed_by_its_next() {
        let full = fragment(245, 1, 0x80, 251);
        assert_eq!(read(&full), [Err(Invalid::FragmentMissing)]);
        assert_eq!(read(&fragment(245, 1, 0x80, 250)), [Err(Invalid::FragmentNotFull)]);
        let other = fragment(245, 2, 0, 3);
        assert_eq!(read(&[&full[..], &other].concat()), [Err(Invalid::FragmentMissing), Ok((245, 2, b"xxx".to_vec()))]);
        let between = [&full[..], &[1, 3, 7], &fragment(245, 1, 0, 3)].concat();
        assert_eq!(read(&between), [Err(Invalid::FragmentMissing), Ok((245, 1, b"xxx".to_vec()))]);
        let not_full = [&full[..], &fragment(245, 1, 0x80, 9)].concat();
        assert_eq!(read(&not_full), [Err(Invalid::FragmentNotFull)]);
        let empty = [&full[..], &[245, 4, 1, 0]].concat();
        assert_eq!(read(&empty), [Err(Invalid::FragmentMissing), Err(Invalid::ExtendedTooShort)]);
    }

    #[test]
    fn a_vendor_needs_a_type_and_one_octet() {
        assert_eq!(ExtendedVendorSpecific::parse(&[0, 0, 0, 9, 1]), Err(Invalid::VendorTooShort));
        let expected = ExtendedVendorSpecific { vendor: 9, kind: 1, value: &[7] };
        assert_eq!(ExtendedVendorSpecific::parse(&[0, 0, 0, 9, 1, 7]), Ok(expected));
    }

    #[test]
    fn what_cannot_be_encoded_is_refused() {
        let mut out = Vec::new();
        assert_eq!(encode(241, 1, &[0; 253], &mut out), Err(Full::ValueTooLong));
        assert_eq!(encode(240, 1, &[0], &mut out), Err(Full::TypeUnfit));
        assert_eq!(encode(245, 1, &[0; 4076], &mut out), Err(Full::ValueTooLong));
        assert_eq!(encode_vendor(241, 9, 1, &[], &mut out), Err(Full::ValueEmpty));
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(
            kind in 241u8..=246,
            extended_kind in any::<u8>(),
            value in proptest::collection::vec(any::<u8>(), 1..1000),
        ) {
            let mut out = Vec::new();
            if encode(kind, extended_kind, &value, &mut out).is_ok() {
                prop_assert!(Attributes::new(&out, 0).is_well_formed());
                prop_assert_eq!(read(&out), [Ok((kind, extended_kind, value))]);
            } else {
                prop_assert!(kind < 245 && value.len() > 252);
            }
        }

        #[test]
        fn random_attributes_never_panic(
            attributes in proptest::collection::vec((240u8..=247, proptest::collection::vec(0u8..3, 0..254)), 0..10),
        ) {
            let mut octets = Vec::new();
            for (kind, value) in &attributes {
                octets.push(*kind);
                octets.push(u8::try_from(value.len() + 2).unwrap());
                octets.extend(value);
            }
            let _ = read(&octets);
        }
    }
}
