//! Finds attributes in the octets of a packet, vendors' and nested ones too.
//!
//! Owns the ways into attribute 26, the extended attributes and TLVs. What is not well-formed there is passed over, and
//! never makes a packet malformed (RFC 6929 section 2.8). Nothing here allocates.

use super::{
    index::Dictionary,
    path::{MORE, Path, Space, VENDOR_SPECIFIC, is_extended, is_long_extended},
    types::{DataType, VendorFormat},
};
use crate::limits::TLV_DEPTH_MAX;

/// The contents of all attributes at `path`, in the order of the packet.
///
/// `attributes`: the octets of a checked packet behind its header. Of anything else the walk ends at the first attribute
/// that is broken. A content that is cut over several long extended attributes is not given: it would have to be
/// copied together.
#[must_use]
pub const fn values<'p>(attributes: &'p [u8], path: &Path) -> Values<'p> {
    Values { path: *path, heads: Heads::new(attributes), tlvs: [&[]; TLV_DEPTH_MAX], depth: 0 }
}

/// See [`values`].
#[derive(Clone, Debug)]
pub struct Values<'p> {
    path: Path,
    heads: Heads<'p>,
    /// What is left of the TLVs that are being read, the outermost first.
    tlvs: [&'p [u8]; TLV_DEPTH_MAX],
    depth: usize,
}

impl<'p> Iterator for Values<'p> {
    type Item = &'p [u8];

    fn next(&mut self) -> Option<&'p [u8]> {
        loop {
            if let Some(content) = self.next_in_tlvs() {
                return Some(content);
            }
            let content = self.heads.next_at(&self.path)?;
            if self.path.children().is_empty() {
                return Some(content);
            }
            self.enter(content);
        }
    }
}

impl<'p> Values<'p> {
    fn next_in_tlvs(&mut self) -> Option<&'p [u8]> {
        while let Some(level) = self.depth.checked_sub(1) {
            let wanted = *self.path.children().get(level)?;
            match next_tlv(self.tlvs.get_mut(level)?) {
                None => self.depth = level,
                Some((number, content)) if number == wanted => {
                    if self.depth == self.path.children().len() {
                        return Some(content);
                    }
                    self.enter(content);
                }
                Some(_) => {}
            }
        }
        None
    }

    /// Goes into a TLV, unless it is malformed: its children must fill it exactly.
    fn enter(&mut self, content: &'p [u8]) {
        if let Some(place) = self.tlvs.get_mut(self.depth).filter(|_| are_tlvs(content)) {
            *place = content;
            self.depth += 1;
        }
    }
}

/// Every attribute of a packet with its place, in the order of the packet.
///
/// Vendors' attributes are taken apart by their formats and TLVs by their types as the dictionary tells; what can't be
/// taken apart is given whole.
#[must_use]
pub const fn walk<'d, 'p>(dictionary: &'d Dictionary, attributes: &'p [u8]) -> Walk<'d, 'p> {
    Walk { dictionary, heads: Heads::new(attributes), tlvs: [(Path::standard(0), &[]); TLV_DEPTH_MAX], depth: 0 }
}

/// See [`walk`].
#[derive(Clone, Debug)]
pub struct Walk<'d, 'p> {
    dictionary: &'d Dictionary,
    heads: Heads<'p>,
    tlvs: [(Path, &'p [u8]); TLV_DEPTH_MAX],
    depth: usize,
}

impl<'p> Iterator for Walk<'_, 'p> {
    type Item = (Path, &'p [u8]);

    fn next(&mut self) -> Option<(Path, &'p [u8])> {
        loop {
            let (path, content) = match self.next_in_tlvs() {
                Some(found) => found,
                None => self.heads.next_any(|vendor| self.dictionary.format(vendor))?,
            };
            let is_tlv = self.dictionary.at(&path).is_some_and(|attribute| attribute.data_type() == DataType::Tlv);
            let Some(place) = self.tlvs.get_mut(self.depth).filter(|_| is_tlv && are_tlvs(content)) else {
                return Some((path, content));
            };
            *place = (path, content);
            self.depth += 1;
        }
    }
}

impl<'p> Walk<'_, 'p> {
    fn next_in_tlvs(&mut self) -> Option<(Path, &'p [u8])> {
        while let Some(level) = self.depth.checked_sub(1) {
            let (path, rest) = self.tlvs.get_mut(level)?;
            match next_tlv(rest) {
                None => self.depth = level,
                // A level of the path is free: each level of the stack used one.
                Some((number, content)) => return Some((path.child(number)?, content)),
            }
        }
        None
    }
}

/// The attributes that are not inside of TLVs: standard, vendors' and extended ones.
#[derive(Clone, Debug)]
struct Heads<'p> {
    rest: &'p [u8],
    /// What is left of the attribute 26 that is being read.
    vendor: u32,
    format: VendorFormat,
    vendor_rest: &'p [u8],
    /// Whether the vendor's attribute before goes on in the next.
    vendor_goes_on: bool,
    /// The long extended attribute before, if it goes on in the next.
    goes_on: Option<(u8, u8)>,
}

impl<'p> Heads<'p> {
    const fn new(attributes: &'p [u8]) -> Self {
        Self {
            rest: attributes,
            vendor: 0,
            format: VendorFormat::USUAL,
            vendor_rest: &[],
            vendor_goes_on: false,
            goes_on: None,
        }
    }

    /// The next attribute in the space of `path`.
    fn next_at(&mut self, path: &Path) -> Option<&'p [u8]> {
        let (wanted_kind, format) = match path.space() {
            Space::Standard(kind) => (kind, VendorFormat::USUAL),
            Space::Vendor { format, .. } => (VENDOR_SPECIFIC, format),
            Space::Extended { carrier, .. } | Space::ExtendedVendor { carrier, .. } => (carrier, VendorFormat::USUAL),
            Space::Internal { .. } => return None,
        };
        if let Space::Standard(_) = path.space() {
            // The plain case of the fast path: no need to look inside.
            loop {
                let (kind, content) = next_attribute(&mut self.rest)?;
                if kind == wanted_kind {
                    return Some(content);
                }
            }
        }
        loop {
            let (found, content) = self.next_of_kind(Some(wanted_kind), |_| format)?;
            if found.space() == path.space() {
                return Some(content);
            }
        }
    }

    fn next_any(&mut self, format_of: impl Fn(u32) -> VendorFormat) -> Option<(Path, &'p [u8])> {
        self.next_of_kind(None, format_of)
    }

    /// The next attribute, of those of type `kind` if there is one.
    fn next_of_kind(
        &mut self,
        wanted: Option<u8>,
        format_of: impl Fn(u32) -> VendorFormat,
    ) -> Option<(Path, &'p [u8])> {
        loop {
            if let Some(found) = self.next_of_vendor() {
                return Some(found);
            }
            let (kind, content) = next_attribute(&mut self.rest)?;
            if wanted.is_some_and(|wanted| wanted != kind) {
                self.goes_on = None;
                continue;
            }
            let whole = (Path::standard(kind), content);
            if is_extended(kind) {
                return Some(self.extended(kind, content).unwrap_or(whole));
            }
            self.goes_on = None;
            if kind != VENDOR_SPECIFIC {
                return Some(whole);
            }
            let Some((vendor, inside)) = content.split_first_chunk::<4>() else { return Some(whole) };
            let vendor = u32::from_be_bytes(*vendor);
            let format = format_of(vendor);
            if inside.is_empty() || !are_vendors(inside, format) {
                return Some(whole);
            }
            (self.vendor, self.format, self.vendor_rest) = (vendor, format, inside);
        }
    }

    fn next_of_vendor(&mut self) -> Option<(Path, &'p [u8])> {
        let (number, goes_on, content) = next_vendors(&mut self.vendor_rest, self.format)?;
        let is_part = std::mem::replace(&mut self.vendor_goes_on, goes_on) || goes_on;
        let space = if is_part {
            // A part of a longer content is no value of the attribute.
            return Some((Path::standard(VENDOR_SPECIFIC), content));
        } else {
            Space::Vendor { vendor: self.vendor, number, format: self.format }
        };
        Some((Path::of(space), content))
    }

    /// Looks into one of the attributes 241 to 246; nothing if it is malformed or a part of a longer content.
    fn extended(&mut self, carrier: u8, content: &'p [u8]) -> Option<(Path, &'p [u8])> {
        let before = self.goes_on.take();
        let (number, content) = content.split_first()?;
        let content = if is_long_extended(carrier) {
            let (flags, content) = content.split_first()?;
            if flags & MORE != 0 {
                self.goes_on = Some((carrier, *number));
                return None;
            }
            if before == Some((carrier, *number)) {
                return None;
            }
            content
        } else {
            content
        };
        if *number != VENDOR_SPECIFIC {
            let space = Space::Extended { carrier, number: *number };
            return (!content.is_empty()).then_some((Path::of(space), content));
        }
        let (vendor, inside) = content.split_first_chunk::<4>()?;
        let (vendor_number, content) = inside.split_first()?;
        let space = Space::ExtendedVendor { carrier, vendor: u32::from_be_bytes(*vendor), number: *vendor_number };
        (!content.is_empty()).then_some((Path::of(space), content))
    }
}

/// The next standard attribute: type and content.
fn next_attribute<'p>(rest: &mut &'p [u8]) -> Option<(u8, &'p [u8])> {
    let [kind, length, ..] = **rest else { return None };
    let (attribute, after) = rest.split_at_checked(usize::from(length))?;
    let content = attribute.get(2..)?;
    *rest = after;
    Some((kind, content))
}

/// The next attribute of a TLV: type and content. They look like standard ones, only 0 is no type of these.
fn next_tlv<'p>(rest: &mut &'p [u8]) -> Option<(u8, &'p [u8])> {
    next_attribute(rest)
}

/// Whether the octets are attributes that fill them exactly, each with content (RFC 6929 section 2.3).
fn are_tlvs(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some((_, content)) = next_tlv(&mut rest) {
        if content.is_empty() {
            return false;
        }
    }
    rest.is_empty() && !octets.is_empty()
}

/// The next attribute of a vendor: number, whether it goes on in the next, and content.
fn next_vendors<'p>(rest: &mut &'p [u8], format: VendorFormat) -> Option<(u32, bool, &'p [u8])> {
    if rest.is_empty() {
        return None;
    }
    let number = rest.get(..format.type_octets())?;
    let number = number.iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
    let length = match rest.get(format.type_octets()..format.type_octets() + format.length_octets())? {
        [] => rest.len(),
        [length] => usize::from(*length),
        [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
    };
    let (attribute, after) = rest.split_at_checked(length)?;
    let content = attribute.get(format.header_octets()..)?;
    let goes_on = format.continuation() && attribute.get(2).is_some_and(|flags| flags & MORE != 0);
    *rest = after;
    Some((number, goes_on, content))
}

/// Whether the octets are attributes of this format that fill them exactly.
fn are_vendors(octets: &[u8], format: VendorFormat) -> bool {
    let mut rest = octets;
    while next_vendors(&mut rest, format).is_some() {}
    rest.is_empty()
}
