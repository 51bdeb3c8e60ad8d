//! TLVs: attributes inside of an attribute, themselves with type, length and value.
//!
//! Owns one level at a time and the bound of the depth; which types hold further TLVs is the dictionary's matter.

use super::{
    attribute::{Attributes, encoded_length},
    error::{Full, Invalid},
};
use crate::limits::TLV_DEPTH_MAX;

/// One TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its type within its parent.
    pub kind: u8,
    /// Its value: 1 to 253 octets.
    pub value: &'a [u8],
    depth: usize,
}

impl<'a> Tlv<'a> {
    /// The TLVs inside of this one.
    ///
    /// # Errors
    /// As of [`Tlvs::parse`], and [`Invalid::TlvTooDeep`] on the fifth level.
    pub fn children(self) -> Result<Tlvs<'a>, Invalid> {
        Tlvs::at_depth(self.value, self.depth + 1)
    }
}

/// Walks over the TLVs of one level.
#[derive(Clone, Copy, Debug)]
pub struct Tlvs<'a> {
    walk: Attributes<'a>,
    depth: usize,
}

impl<'a> Tlvs<'a> {
    /// Reads the value of an attribute as TLVs of the first level.
    ///
    /// Source: RFC 6929 section 2.3.
    ///
    /// # Errors
    /// [`Invalid::TlvStructure`] if they don't fill the value exactly or one is empty; then none of them can be trusted.
    pub fn parse(value: &'a [u8]) -> Result<Self, Invalid> {
        Self::at_depth(value, 1)
    }

    fn at_depth(value: &'a [u8], depth: usize) -> Result<Self, Invalid> {
        if depth > TLV_DEPTH_MAX {
            return Err(Invalid::TlvTooDeep);
        }
        let walk = Attributes::new(value, 0);
        let mut trial = walk;
        let all_are_filled = trial.by_ref().all(|child| !child.value.is_empty());
        if value.is_empty() || !all_are_filled || !trial.rest().is_empty() {
            return Err(Invalid::TlvStructure);
        }
        Ok(Self { walk, depth })
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        let child = self.walk.next()?;
        Some(Tlv { kind: child.kind, value: child.value, depth: self.depth })
    }
}

/// Appends one TLV with a value of 1 to 253 octets.
///
/// # Errors
/// [`Full::ValueEmpty`], [`Full::ValueTooLong`]; nothing is appended then.
pub fn encode(kind: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), Full> {
    let length = encoded_length(value.len())?;
    out.push(kind);
    out.push(length);
    out.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_fill_their_parent_exactly() {
        let children: Vec<_> = Tlvs::parse(&[1, 4, 9, 9, 2, 3, 7]).unwrap().map(|tlv| (tlv.kind, tlv.value)).collect();
        assert_eq!(children, [(1, &[9, 9][..]), (2, &[7])]);
        for broken in [&[][..], &[1], &[1, 1], &[1, 2], &[1, 9, 0x61, 0x62], &[1, 3, 7, 2]] {
            assert_eq!(Tlvs::parse(broken).err(), Some(Invalid::TlvStructure), "{broken:?}");
        }
    }

    #[test]
    fn the_fifth_level_is_too_deep() {
        let mut value = vec![7];
        for _ in 0..5 {
            let mut outer = Vec::new();
            encode(1, &value, &mut outer).unwrap();
            value = outer;
        }
        let mut level = Tlvs::parse(&value).unwrap();
        for _ in 0..3 {
            level = level.next().unwrap().children().unwrap();
        }
        assert_eq!(level.next().unwrap().children().err(), Some(Invalid::TlvTooDeep));
    }
}
