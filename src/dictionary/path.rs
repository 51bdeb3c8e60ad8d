//! Where an attribute stands in a packet, and how its octets are wrapped there.
//!
//! Owns the numbers on the way to an attribute and the headers around its content; what the content means is the matter
//! of `value`, finding it in a packet that of `access`.

use std::fmt;

use std::borrow::Cow;

use crate::{
    limits,
    radius::{attribute, error::Full, extended, kind, tlv, vendor, vendor::VendorFormat},
};

/// The way to an attribute in a packet: small, `Copy`, and enough to find or write it without any dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    space: Space,
    children: Children,
}

/// The numbering that an attribute belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// One of the 255 attributes of RFC 2865.
    Standard(u8),
    /// A vendor's attribute inside of attribute 26.
    Vendor {
        /// The vendor's private enterprise number.
        vendor: u32,
        /// The vendor's number for the attribute.
        number: u32,
        /// How the vendor writes type and length.
        format: VendorFormat,
    },
    /// An extended attribute (RFC 6929 sections 2.1 and 2.2).
    Extended {
        /// 241 to 246.
        carrier: u8,
        /// The number inside.
        number: u8,
    },
    /// A vendor's attribute inside of number 26 of an extended attribute (RFC 6929 section 2.4).
    ExtendedVendor {
        /// 241 to 246.
        carrier: u8,
        /// The vendor's private enterprise number.
        vendor: u32,
        /// The vendor's number for the attribute.
        number: u8,
    },
    /// A name that servers use among themselves; it is in no packet.
    Internal {
        /// The vendor in whose numbers it stands; 0 for none.
        vendor: u32,
        /// Its number.
        number: u32,
    },
}

/// The numbers from a TLV down to one of its descendants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
struct Children {
    numbers: [u8; limits::TLV_DEPTH_MAX],
    depth: u8,
}

impl Path {
    /// The way to a standard attribute.
    #[must_use]
    pub const fn standard(number: u8) -> Self {
        Self::of(Space::Standard(number))
    }

    /// The way to an attribute of a vendor that uses the usual format.
    #[must_use]
    pub const fn vendor(vendor: u32, number: u8) -> Self {
        Self::of(Space::Vendor { vendor, number: number as u32, format: VendorFormat::STANDARD })
    }

    /// The way to an attribute directly inside of `space`.
    #[must_use]
    pub const fn of(space: Space) -> Self {
        Self { space, children: Children { numbers: [0; limits::TLV_DEPTH_MAX], depth: 0 } }
    }

    /// The way to the attribute `number` inside of this one; nothing if that would be nested too deep.
    #[must_use]
    pub fn child(mut self, number: u8) -> Option<Self> {
        *self.children.numbers.get_mut(usize::from(self.children.depth))? = number;
        self.children.depth += 1;
        Some(self)
    }

    /// The way to the TLV that holds this attribute; nothing if none does.
    #[must_use]
    pub fn parent(mut self) -> Option<Self> {
        self.children.depth = self.children.depth.checked_sub(1)?;
        *self.children.numbers.get_mut(usize::from(self.children.depth))? = 0;
        Some(self)
    }

    /// The type of the attribute of a packet that it stands in; nothing if it is in no packet.
    #[must_use]
    pub const fn carrier(&self) -> Option<u8> {
        match self.space {
            Space::Standard(kind) => Some(kind),
            Space::Vendor { .. } => Some(kind::VENDOR_SPECIFIC),
            Space::Extended { carrier, .. } | Space::ExtendedVendor { carrier, .. } => Some(carrier),
            Space::Internal { .. } => None,
        }
    }

    /// The numbering that the attribute, or the TLV around it, belongs to.
    #[must_use]
    pub const fn space(&self) -> Space {
        self.space
    }

    /// The numbers from the TLV down to the attribute; empty outside of TLVs.
    #[must_use]
    pub fn children(&self) -> &[u8] {
        self.children.numbers.get(..usize::from(self.children.depth)).unwrap_or_default()
    }

    /// The vendor whose numbers these are.
    #[must_use]
    pub const fn vendor_number(&self) -> Option<u32> {
        match self.space {
            Space::Vendor { vendor, .. } | Space::ExtendedVendor { vendor, .. } => Some(vendor),
            Space::Standard(_) | Space::Extended { .. } | Space::Internal { .. } => None,
        }
    }

    /// Whether such an attribute can be in a packet.
    #[must_use]
    pub const fn is_on_the_wire(&self) -> bool {
        !matches!(self.space, Space::Internal { .. })
    }

    /// The same way with the vendor's format replaced.
    pub(super) const fn with_format(mut self, new: VendorFormat) -> Self {
        if let Space::Vendor { vendor, number, .. } = self.space {
            self.space = Space::Vendor { vendor, number, format: new };
        }
        self
    }

    /// Reads dotted numbers as RFC 6929 section 2.7 writes them: `1`, `26.9.1`, `241.26.9.1`, `241.5.1`.
    ///
    /// `format_of` says how a vendor writes its attributes.
    #[must_use]
    pub fn from_numbers(numbers: &[u32], format_of: impl Fn(u32) -> VendorFormat) -> Option<Self> {
        let (first, rest) = numbers.split_first()?;
        let first = u8::try_from(*first).ok().filter(|first| *first > 0)?;
        let (space, children) = if first == kind::VENDOR_SPECIFIC && rest.len() >= 2 {
            let (vendor, number) = (*rest.first()?, *rest.get(1)?);
            let format = format_of(vendor);
            if number > format.kind_max() {
                return None;
            }
            (Space::Vendor { vendor, number, format }, rest.get(2..)?)
        } else if is_extended(first) && !rest.is_empty() {
            let number = u8::try_from(*rest.first()?).ok()?;
            if number == kind::EXTENDED_VENDOR_SPECIFIC && rest.len() >= 3 {
                let vendor_number = u8::try_from(*rest.get(2)?).ok()?;
                let space = Space::ExtendedVendor { carrier: first, vendor: *rest.get(1)?, number: vendor_number };
                (space, rest.get(3..)?)
            } else {
                (Space::Extended { carrier: first, number }, rest.get(1..)?)
            }
        } else {
            (Space::Standard(first), rest)
        };
        let containers = [Space::Standard(kind::VENDOR_SPECIFIC)];
        let carrier_26 = matches!(space, Space::Extended { number: kind::EXTENDED_VENDOR_SPECIFIC, .. });
        if !children.is_empty() && (containers.contains(&space) || carrier_26) {
            return None;
        }
        children.iter().try_fold(Self::of(space), |path, number| path.child(u8::try_from(*number).ok()?))
    }

    /// Appends the attribute with this content, headers included, to `out`.
    ///
    /// `content`: what stands in the packet, tag included, hidden if it is to be hidden. `concat`: whether a long content
    /// may be cut over several attributes.
    ///
    /// # Errors
    /// [`Full`] if the content does not fit or is empty; [`Full::TypeUnfit`] for internal attributes. Nothing is appended
    /// then.
    pub fn write(&self, content: &[u8], concat: bool, out: &mut Vec<u8>) -> Result<(), Full> {
        let mut content = Cow::Borrowed(content);
        for number in self.children().iter().rev() {
            let mut wrapped = Vec::with_capacity(content.len() + 2);
            tlv::encode(*number, &content, &mut wrapped)?;
            content = Cow::Owned(wrapped);
        }
        match self.space {
            Space::Standard(kind) if concat && content.len() > limits::VALUE_OCTETS_MAX => {
                content.chunks(limits::VALUE_OCTETS_MAX).try_for_each(|part| attribute::encode(kind, part, out))
            }
            Space::Standard(kind) => attribute::encode(kind, &content, out),
            Space::Vendor { vendor, number, format } => vendor::encode(vendor, format, number, &content, out),
            Space::Extended { carrier, number } => extended::encode(carrier, number, &content, out),
            Space::ExtendedVendor { carrier, vendor, number } => {
                extended::encode_vendor(carrier, vendor, number, &content, out)
            }
            Space::Internal { .. } => Err(Full::TypeUnfit),
        }
    }
}

impl fmt::Display for Path {
    /// The dotted numbers: `26.9.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.space {
            Space::Standard(number) => write!(f, "{number}")?,
            Space::Vendor { vendor, number, .. } => write!(f, "26.{vendor}.{number}")?,
            Space::Extended { carrier, number } => write!(f, "{carrier}.{number}")?,
            Space::ExtendedVendor { carrier, vendor, number } => write!(f, "{carrier}.26.{vendor}.{number}")?,
            Space::Internal { vendor: 0, number } => write!(f, "{number}")?,
            Space::Internal { vendor, number } => write!(f, "26.{vendor}.{number}")?,
        }
        self.children().iter().try_for_each(|number| write!(f, ".{number}"))
    }
}

/// Whether this standard number is one of the extended attributes.
pub(super) const fn is_extended(number: u8) -> bool {
    number >= kind::EXTENDED_FIRST && number <= kind::LONG_EXTENDED_LAST
}

/// Whether this standard number is one of the long extended attributes.
pub(super) const fn is_long_extended(number: u8) -> bool {
    number >= kind::LONG_EXTENDED_FIRST && number <= kind::LONG_EXTENDED_LAST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::types::parse_format;

    fn written(path: Path, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        path.write(content, false, &mut out).expect("the content fits");
        out
    }

    #[test]
    fn a_path_is_small() {
        assert!(size_of::<Path>() <= 24, "{}", size_of::<Path>());
    }

    #[test]
    fn dotted_numbers_read_back() {
        let usual = |_| VendorFormat::STANDARD;
        for right in [&[1][..], &[26], &[26, 9, 1], &[241, 1], &[241, 26], &[241, 26, 9, 1], &[241, 5, 1], &[173, 2]] {
            let path = Path::from_numbers(right, usual).expect("well-formed numbers");
            let text: Vec<String> = right.iter().map(u32::to_string).collect();
            assert_eq!(path.to_string(), text.join("."));
        }
        for wrong in [&[][..], &[0], &[256], &[26, 9], &[26, 9, 256], &[241, 26, 9], &[1, 2, 3, 4, 5, 6], &[1, 256]] {
            assert_eq!(Path::from_numbers(wrong, usual), None, "{wrong:?}");
        }
    }

    #[test]
    fn every_vendor_format_is_written_as_it_says() {
        let cases = [
            ("1,1", "1a0a 00000009 0104 6162"),
            ("1,2", "1a0b 00000009 01 0005 6162"),
            ("2,1", "1a0b 00000009 0001 05 6162"),
            ("2,2", "1a0c 00000009 0001 0006 6162"),
            ("4,0", "1a0c 00000009 00000001 6162"),
            ("1,0", "1a09 00000009 01 6162"),
            ("1,1,c", "1a0b 00000009 0105 00 6162"),
        ];
        for (format, expected) in cases {
            let format = parse_format(format).expect("a format of the manual page");
            let path = Path::of(Space::Vendor { vendor: 9, number: 1, format });
            let hex: String = written(path, b"ab").iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!(hex, expected.replace(' ', ""), "{format:?}");
        }
    }

    #[test]
    fn what_does_not_fit_leaves_nothing_behind() {
        let mut out = vec![7];
        let long = [0; 254];
        let deep = Path::vendor(9, 1).child(1).and_then(|path| path.child(2)).expect("two levels");
        for path in [Path::standard(1), Path::vendor(9, 1), deep, Path::of(Space::Extended { carrier: 241, number: 1 })]
        {
            assert_eq!(path.write(&long, false, &mut out), Err(Full::ValueTooLong));
        }
        assert_eq!(
            Path::of(Space::Internal { vendor: 0, number: 1000 }).write(&[1], false, &mut out),
            Err(Full::TypeUnfit)
        );
        assert_eq!(out, [7]);
    }

    #[test]
    fn a_concatenated_attribute_is_cut_at_253_octets() {
        let mut out = Vec::new();
        Path::standard(79).write(&[1; 300], true, &mut out).expect("it may be cut");
        assert_eq!((out[0], out[1], out[255], out[256]), (79, 255, 79, 49));
        assert_eq!(out.len(), 304);
    }
}
