//! Vendor-Specific attributes: a vendor's own attributes inside of one of type 26.
//!
//! Owns the formats that vendors chose for their types and lengths. Which vendor has which format is the dictionary's matter.

use super::{
    attribute,
    error::{Full, Invalid},
    kind,
};
use crate::limits::VALUE_OCTETS_MAX;

const VENDOR_OCTETS: usize = 4;
/// The bit of the continuation octet that says that more follows.
const MORE: u8 = 0x80;

/// How a vendor writes type and length of its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VendorFormat {
    type_octets: u8,
    length_octets: u8,
    has_continuation: bool,
}

impl VendorFormat {
    /// One octet of type and one of length, as RFC 2865 section 5.26 suggests and nearly everybody does.
    pub const STANDARD: Self = Self { type_octets: 1, length_octets: 1, has_continuation: false };

    /// A format, if a vendor can have it.
    ///
    /// `type_octets`: 1, 2 or 4; `length_octets`: 0, 1 or 2, where 0 means that one attribute fills the rest;
    /// `has_continuation`: an octet follows whose high bit says that the value goes on in the next attribute, only with 1 and 1.
    /// Source: dictionary(5) of FreeRADIUS, `VENDOR … format=`.
    #[must_use]
    pub const fn new(type_octets: u8, length_octets: u8, has_continuation: bool) -> Option<Self> {
        if !matches!(type_octets, 1 | 2 | 4) || length_octets > 2 {
            return None;
        }
        if has_continuation && (type_octets != 1 || length_octets != 1) {
            return None;
        }
        Some(Self { type_octets, length_octets, has_continuation })
    }

    /// Octets of the type.
    #[must_use]
    pub const fn type_octets(self) -> usize {
        self.type_octets as usize
    }

    /// Octets of the length; with none a value takes all that is left.
    #[must_use]
    pub const fn length_octets(self) -> usize {
        self.length_octets as usize
    }

    /// Whether an octet after the length says that the value goes on in the next attribute.
    #[must_use]
    pub const fn has_continuation(self) -> bool {
        self.has_continuation
    }

    /// The largest number of an attribute.
    #[must_use]
    pub const fn kind_max(self) -> u32 {
        match self.type_octets {
            1 => u8::MAX as u32,
            2 => u16::MAX as u32,
            _ => u32::MAX,
        }
    }

    /// Octets in front of a value. The length that is written counts them too.
    const fn header_octets(self) -> usize {
        self.type_octets() + self.length_octets() + self.has_continuation as usize
    }
}

/// The value of a Vendor-Specific attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorSpecific<'a> {
    /// The vendor's number at IANA.
    pub vendor: u32,
    /// What the vendor put there: one octet or more.
    pub data: &'a [u8],
}

impl<'a> VendorSpecific<'a> {
    /// Reads the value of an attribute of type 26.
    ///
    /// Source: RFC 2865 section 5.26, RFC 8044 section 3.14.
    ///
    /// # Errors
    /// [`Invalid::VendorTooShort`] below five octets.
    pub const fn parse(value: &'a [u8]) -> Result<Self, Invalid> {
        match value.split_first_chunk::<VENDOR_OCTETS>() {
            Some((vendor, data)) if !data.is_empty() => Ok(Self { vendor: u32::from_be_bytes(*vendor), data }),
            _ => Err(Invalid::VendorTooShort),
        }
    }

    /// The vendor's attributes inside, in their order: there may be several.
    ///
    /// # Errors
    /// [`Invalid::VendorStructure`] if they don't fill the data exactly; then none of them can be trusted.
    pub fn attributes(self, format: VendorFormat) -> Result<VendorAttributes<'a>, Invalid> {
        let walk = VendorAttributes { rest: self.data, format, vendor: self.vendor };
        let mut trial = walk;
        trial.by_ref().for_each(drop);
        if trial.rest.is_empty() { Ok(walk) } else { Err(Invalid::VendorStructure) }
    }
}

/// One attribute of a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorAttribute<'a> {
    /// The vendor's number at IANA.
    pub vendor: u32,
    /// The vendor's number for this type.
    pub kind: u32,
    /// The value; may be empty.
    pub value: &'a [u8],
    /// The value goes on in the next attribute of the same vendor and type.
    pub is_continued: bool,
}

/// Walks over the attributes in one Vendor-Specific.
#[derive(Clone, Copy, Debug)]
pub struct VendorAttributes<'a> {
    rest: &'a [u8],
    format: VendorFormat,
    vendor: u32,
}

impl<'a> Iterator for VendorAttributes<'a> {
    type Item = VendorAttribute<'a>;

    fn next(&mut self) -> Option<VendorAttribute<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (kind, behind_kind) = self.rest.split_at_checked(self.format.type_octets())?;
        let (length, behind_length) = behind_kind.split_at_checked(self.format.length_octets())?;
        let length = if length.is_empty() { self.rest.len() } else { number(length) as usize };
        let is_continued = self.format.has_continuation && behind_length.first()? & MORE != 0;
        let (attribute, rest) = self.rest.split_at_checked(length)?;
        let value = attribute.get(self.format.header_octets()..)?;
        self.rest = rest;
        Some(VendorAttribute { vendor: self.vendor, kind: number(kind), value, is_continued })
    }
}

/// At most four octets as a number, the highest first.
fn number(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |number, octet| (number << 8) | u32::from(*octet))
}

/// Appends one attribute of a vendor as a Vendor-Specific of its own.
///
/// `value`: what fits into one, 247 octets in the standard format; a format with continuation takes more and makes several.
///
/// # Errors
/// [`Full::ValueEmpty`], [`Full::ValueTooLong`], [`Full::TypeUnfit`] if the format has too few octets for `vendor_kind`.
/// Nothing is appended then.
pub fn encode(
    vendor: u32,
    format: VendorFormat,
    vendor_kind: u32,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Full> {
    let kind_octets = vendor_kind.to_be_bytes();
    let (unused, kind_octets) =
        kind_octets.split_at_checked(kind_octets.len() - format.type_octets()).ok_or(Full::TypeUnfit)?;
    if unused.iter().any(|octet| *octet != 0) {
        return Err(Full::TypeUnfit);
    }
    let room = VALUE_OCTETS_MAX - VENDOR_OCTETS - format.header_octets();
    if value.is_empty() {
        return Err(Full::ValueEmpty);
    }
    if value.len() > room && !format.has_continuation {
        return Err(Full::ValueTooLong);
    }
    let mut parts = value.chunks(room).peekable();
    while let Some(part) = parts.next() {
        let mut content = vendor.to_be_bytes().to_vec();
        content.extend_from_slice(kind_octets);
        let length = u16::try_from(format.header_octets() + part.len()).map_err(|_| Full::ValueTooLong)?;
        let length = length.to_be_bytes();
        content.extend_from_slice(length.get(length.len() - format.length_octets()..).unwrap_or_default());
        if format.has_continuation {
            content.push(if parts.peek().is_some() { MORE } else { 0 });
        }
        content.extend_from_slice(part);
        attribute::encode(kind::VENDOR_SPECIFIC, &content, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::attribute::Attributes;

    const FORMATS: [(u8, u8, bool); 10] = [
        (1, 0, false),
        (1, 1, false),
        (1, 1, true),
        (1, 2, false),
        (2, 0, false),
        (2, 1, false),
        (2, 2, false),
        (4, 0, false),
        (4, 1, false),
        (4, 2, false),
    ];

    type Found<'a> = (u32, &'a [u8], bool);

    fn read(value: &[u8], format: VendorFormat) -> Result<Vec<Found<'_>>, Invalid> {
        let attributes = VendorSpecific::parse(value)?.attributes(format)?;
        Ok(attributes.map(|a| (a.kind, a.value, a.is_continued)).collect())
    }

    #[test]
    fn one_vendor_specific_may_hold_several_attributes() {
        let value = b"\0\0\0\x09\x01\x05foo\x01\x05bar";
        assert_eq!(read(value, VendorFormat::STANDARD), Ok(vec![(1, &b"foo"[..], false), (1, &b"bar"[..], false)]));
    }

    #[test]
    fn vendors_write_types_and_lengths_in_their_own_ways() {
        let lucent = VendorFormat::new(2, 1, false).unwrap();
        assert_eq!(read(&[0, 0, 0x12, 0xEE, 0, 2, 7, 0, 0, 0, 1], lucent), Ok(vec![(2, &[0, 0, 0, 1][..], false)]));
        let usr = VendorFormat::new(4, 0, false).unwrap();
        assert_eq!(read(&[0, 0, 1, 0xAD, 0, 0, 0x98, 0x70, 5, 6], usr), Ok(vec![(0x9870, &[5, 6][..], false)]));
        let wimax = VendorFormat::new(1, 1, true).unwrap();
        assert_eq!(read(b"\0\0\x60\xb5\x01\x08\x80\x01\x051.0", wimax), Ok(vec![(1, &b"\x01\x051.0"[..], true)]));
    }

    #[test]
    fn a_break_anywhere_makes_the_whole_of_it_invalid() {
        let broken: [&[u8]; 6] = [
            b"\0\0\0\x09\x01\0foo",
            b"\0\0\0\x09\x01\x01foo",
            b"\0\0\0\x09\x01\x40foo",
            b"\0\0\0\x09\x01\x05foo\x01",
            b"\0\0\0\x09\x01\x05foo\x01\x06bar",
            b"\0\0\0\x09\x01",
        ];
        for value in broken {
            assert_eq!(read(value, VendorFormat::STANDARD), Err(Invalid::VendorStructure), "{value:?}");
        }
        for size in 0..5 {
            assert_eq!(read(&[0; 5][..size], VendorFormat::STANDARD), Err(Invalid::VendorTooShort));
        }
    }

    #[test]
    fn only_formats_that_exist_are_taken() {
        for (types, lengths, continuation) in [(0, 1, false), (3, 1, false), (1, 3, false), (2, 1, true), (1, 0, true)]
        {
            assert_eq!(VendorFormat::new(types, lengths, continuation), None);
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        let mut out = Vec::new();
        assert_eq!(encode(9, VendorFormat::STANDARD, 1, &[0; 248], &mut out), Err(Full::ValueTooLong));
        assert_eq!(encode(9, VendorFormat::STANDARD, 256, b"x", &mut out), Err(Full::TypeUnfit));
        assert_eq!(encode(9, VendorFormat::STANDARD, 1, b"", &mut out), Err(Full::ValueEmpty));
        assert!(out.is_empty());
        encode(9, VendorFormat::STANDARD, 255, &[0; 247], &mut out).unwrap();
        assert_eq!(out.len(), 255);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back_in_every_format(
            format in proptest::sample::select(&FORMATS[..]),
            vendor in any::<u32>(),
            kind in any::<u8>(),
            value in proptest::collection::vec(any::<u8>(), 1..600),
        ) {
            let format = VendorFormat::new(format.0, format.1, format.2).unwrap();
            let mut out = Vec::new();
            if encode(vendor, format, u32::from(kind), &value, &mut out).is_ok() {
                prop_assert!(Attributes::new(&out, 0).is_well_formed());
                let (mut joined, mut is_continued) = (Vec::new(), true);
                for attribute in Attributes::new(&out, 0) {
                    prop_assert!(is_continued);
                    let found = VendorSpecific::parse(attribute.value).unwrap();
                    prop_assert_eq!(found.vendor, vendor);
                    let mut inner = found.attributes(format).unwrap();
                    let first = inner.next().unwrap();
                    prop_assert_eq!(first.kind, u32::from(kind));
                    prop_assert!(inner.next().is_none());
                    joined.extend_from_slice(first.value);
                    is_continued = first.is_continued;
                }
                prop_assert!(!is_continued);
                prop_assert_eq!(joined, value);
            }
        }

        #[test]
        fn random_octets_never_panic(
            format in proptest::sample::select(&FORMATS[..]),
            value in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let _ = read(&value, VendorFormat::new(format.0, format.1, format.2).unwrap());
        }
    }
}
