//! Tagged values: one octet in front says which attributes belong to one tunnel.
//!
//! Owns the two rules of RFC 2868, one for integers and one for text. Which attributes are tagged is the dictionary's matter.

use super::error::{Full, Invalid};

/// A tag: 0 for none, or 1 to 0x1F.
///
/// Source: RFC 2868 section 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tag(u8);

impl Tag {
    /// The attribute belongs to no group.
    pub const NONE: Self = Self(0);
    const LAST: u8 = 0x1F;

    /// A tag of this number, if it is at most 0x1F.
    #[must_use]
    pub const fn new(octet: u8) -> Option<Self> {
        if octet <= Self::LAST { Some(Self(octet)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn octet(self) -> u8 {
        self.0
    }
}

/// A value and its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tagged<T> {
    /// Which group it belongs to.
    pub tag: Tag,
    /// The value without its tag.
    pub value: T,
}

/// Reads a tagged integer: one octet of tag and three of value.
///
/// Source: RFC 2868 sections 3.1, 3.2 and 3.8.
///
/// # Errors
/// [`Invalid::TaggedSize`] if the value is not of four octets, [`Invalid::TagRange`] if the tag is above 0x1F.
pub fn read_integer(value: &[u8]) -> Result<Tagged<u32>, Invalid> {
    let [tag, high, middle, low] = *value else { return Err(Invalid::TaggedSize) };
    let tag = Tag::new(tag).ok_or(Invalid::TagRange)?;
    Ok(Tagged { tag, value: u32::from_be_bytes([0, high, middle, low]) })
}

/// Reads tagged text: a first octet up to 0x1F is the tag, any other belongs to the text.
///
/// Source: RFC 2868 sections 3.3, 3.4, 3.6, 3.7, 3.9 and 3.10.
#[must_use]
pub fn read_text(value: &[u8]) -> Tagged<&[u8]> {
    match value.split_first() {
        Some((first, rest)) if *first <= Tag::LAST => Tagged { tag: Tag(*first), value: rest },
        _ => Tagged { tag: Tag::NONE, value },
    }
}

/// The four octets of a tagged integer.
///
/// # Errors
/// [`Full::ValueTooLong`] if the integer needs more than 24 bits.
pub const fn integer(tag: Tag, value: u32) -> Result<[u8; 4], Full> {
    let [0, high, middle, low] = value.to_be_bytes() else { return Err(Full::ValueTooLong) };
    Ok([tag.0, high, middle, low])
}

/// Appends tagged text. Without a tag the text stands alone, as most NASes want it.
///
/// `tag`: `Some(Tag::NONE)` writes an octet of 0, which some NASes ask for. Text whose first octet could be taken
/// for a tag gets that octet in any case.
///
/// # Errors
/// [`Full::ValueEmpty`]; nothing is appended then.
pub fn append_text(tag: Option<Tag>, text: &[u8], out: &mut Vec<u8>) -> Result<(), Full> {
    let first = text.first().ok_or(Full::ValueEmpty)?;
    if let Some(tag) = tag.or((*first <= Tag::LAST).then_some(Tag::NONE)) {
        out.push(tag.0);
    }
    out.extend_from_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_integer_has_a_tag_and_24_bits() {
        assert_eq!(read_integer(&[1, 0, 0, 13]), Ok(Tagged { tag: Tag(1), value: 13 }));
        assert_eq!(read_integer(&[0, 0, 0]), Err(Invalid::TaggedSize));
        assert_eq!(read_integer(&[0x20, 0, 0, 13]), Err(Invalid::TagRange));
        assert_eq!(integer(Tag::NONE, 0x0100_0000), Err(Full::ValueTooLong));
    }

    #[test]
    fn text_has_a_tag_only_if_its_first_octet_can_be_one() {
        assert_eq!(read_text(b"\x01120"), Tagged { tag: Tag(1), value: &b"120"[..] });
        assert_eq!(read_text(b"\x00120"), Tagged { tag: Tag::NONE, value: &b"120"[..] });
        assert_eq!(read_text(b" 120"), Tagged { tag: Tag::NONE, value: &b" 120"[..] });
        assert_eq!(read_text(b"\x01"), Tagged { tag: Tag(1), value: &b""[..] });
        assert_eq!(read_text(b""), Tagged { tag: Tag::NONE, value: &b""[..] });
    }

    proptest! {
        #[test]
        fn what_is_tagged_is_read_back(
            tag in 0u8..32,
            number in 0u32..0x0100_0000,
            text in proptest::collection::vec(any::<u8>(), 1..50),
            writes_tag in any::<bool>(),
        ) {
            let tag = Tag::new(tag).unwrap();
            prop_assert_eq!(read_integer(&integer(tag, number).unwrap()), Ok(Tagged { tag, value: number }));
            let mut out = Vec::new();
            append_text(writes_tag.then_some(tag), &text, &mut out).unwrap();
            let expected = if writes_tag { tag } else { Tag::NONE };
            prop_assert_eq!(read_text(&out), Tagged { tag: expected, value: &text[..] });
        }
    }
}
