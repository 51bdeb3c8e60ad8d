//! Finds attributes in a packet by their paths, vendors' and nested ones too.
//!
//! Owns the way through the layers; what each layer looks like is `radius`'s matter. What is not well-formed there is
//! passed over and never makes a packet malformed (RFC 6929 section 2.8).

use std::borrow::Cow;

use super::{
    index::Dictionary,
    path::{Path, Space, is_extended},
    types::DataType,
};
use crate::{
    limits::TLV_DEPTH_MAX,
    radius::{
        attribute::Attributes,
        extended::{Extended, ExtendedAttributes, ExtendedVendorSpecific},
        kind,
        packet::Packet,
        tlv::Tlvs,
        vendor::{VendorAttributes, VendorFormat, VendorSpecific},
    },
};

/// The values of one attribute in a packet, in their order: [`values`] of what can hold them.
#[must_use]
pub fn values_in<'p>(packet: &Packet<'p>, path: &Path) -> Values<'p> {
    let walk = path.carrier().map_or(Attributes::new(&[], 0), |kind| packet.since_first(kind));
    values(walk, path)
}

/// The contents of all attributes at `path`, in the order of the packet. Nothing is allocated.
///
/// A content that is cut over several attributes is not given, because it would have to be copied together; `concat`
/// attributes are given in their parts.
#[must_use]
pub const fn values<'p>(attributes: Attributes<'p>, path: &Path) -> Values<'p> {
    let heads = match path.space() {
        Space::Vendor { .. } => Heads::Vendor(attributes, Inside::NOTHING),
        Space::Extended { .. } | Space::ExtendedVendor { .. } => Heads::Extended(ExtendedAttributes::new(attributes)),
        Space::Standard(_) | Space::Internal { .. } => Heads::Standard(attributes),
    };
    Values { path: *path, heads, tlvs: [None; TLV_DEPTH_MAX], depth: 0 }
}

/// See [`values`].
#[derive(Clone, Debug)]
pub struct Values<'p> {
    path: Path,
    heads: Heads<'p>,
    /// What is left of the TLVs that are being read, the outermost first.
    tlvs: [Option<Tlvs<'p>>; TLV_DEPTH_MAX],
    depth: usize,
}

/// What is left of the attributes that are not inside of TLVs.
#[derive(Clone, Debug)]
enum Heads<'p> {
    Standard(Attributes<'p>),
    Vendor(Attributes<'p>, Inside<'p>),
    Extended(ExtendedAttributes<'p>),
}

impl<'p> Iterator for Values<'p> {
    type Item = &'p [u8];

    fn next(&mut self) -> Option<&'p [u8]> {
        loop {
            if let Some(content) = self.next_in_tlvs() {
                return Some(content);
            }
            let content = self.heads.next(self.path.space())?;
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
            match self.tlvs.get_mut(level)?.as_mut()?.next() {
                None => self.depth = level,
                Some(child) if child.kind == wanted => {
                    if self.depth == self.path.children().len() {
                        return Some(child.value);
                    }
                    self.enter(child.value);
                }
                Some(_) => {}
            }
        }
        None
    }

    /// Goes into a TLV, unless it is malformed.
    fn enter(&mut self, content: &'p [u8]) {
        if let (Some(place), Ok(children)) = (self.tlvs.get_mut(self.depth), Tlvs::parse(content)) {
            *place = Some(children);
            self.depth += 1;
        }
    }
}

impl<'p> Heads<'p> {
    /// The next content of an attribute in `space`.
    fn next(&mut self, space: Space) -> Option<&'p [u8]> {
        match (self, space) {
            (Self::Standard(rest), Space::Standard(wanted)) => {
                rest.find(|attribute| attribute.kind == wanted).map(|attribute| attribute.value)
            }
            (Self::Vendor(rest, inside), Space::Vendor { vendor, number, format }) => loop {
                while let Some(found) = inside.next() {
                    if found.number == number && !found.is_part {
                        return Some(found.content);
                    }
                }
                let specific = rest.find(|attribute| attribute.kind == kind::VENDOR_SPECIFIC)?;
                inside.enter(specific.value, |number| (number == vendor).then_some(format));
            },
            // Number 26 is asked for as a whole here, whatever is inside.
            (Self::Extended(rest), Space::Extended { carrier, number }) => rest.find_map(|extended| {
                let extended = extended.ok()?;
                let here = extended.kind == carrier && extended.extended_kind == number;
                in_one_piece(&extended).filter(|_| here)
            }),
            (Self::Extended(rest), space) => rest.find_map(|extended| {
                let (path, content) = in_extended(&extended.ok()?)?;
                (path.space() == space).then_some(content)
            }),
            _ => None,
        }
    }
}

/// Every attribute of a packet with its place, in the order of the packet.
///
/// Vendors' attributes are taken apart by their formats and TLVs by their types as the dictionary tells; what can't be
/// taken apart is given whole. Only a content that was cut over several attributes is copied.
#[must_use]
pub const fn walk<'d, 'p>(dictionary: &'d Dictionary, attributes: Attributes<'p>) -> Walk<'d, 'p> {
    Walk { dictionary, rest: attributes, inside: Inside::NOTHING, tlvs: [None; TLV_DEPTH_MAX], depth: 0 }
}

/// See [`walk`].
#[derive(Clone, Debug)]
pub struct Walk<'d, 'p> {
    dictionary: &'d Dictionary,
    rest: Attributes<'p>,
    inside: Inside<'p>,
    tlvs: [Option<(Path, Tlvs<'p>)>; TLV_DEPTH_MAX],
    depth: usize,
}

impl<'p> Iterator for Walk<'_, 'p> {
    type Item = (Path, Cow<'p, [u8]>);

    fn next(&mut self) -> Option<(Path, Cow<'p, [u8]>)> {
        loop {
            let (path, content) = match self.next_in_tlvs().or_else(|| self.next_in_vendor()) {
                Some((path, content)) => (path, Cow::Borrowed(content)),
                None => self.next_head()?,
            };
            match content {
                Cow::Borrowed(content) if self.enter(path, content) => {}
                // A joined content is not taken apart: what is inside could not be borrowed from the packet.
                content => return Some((path, content)),
            }
        }
    }
}

impl<'p> Walk<'_, 'p> {
    fn next_in_tlvs(&mut self) -> Option<(Path, &'p [u8])> {
        while let Some(level) = self.depth.checked_sub(1) {
            let (path, children) = self.tlvs.get_mut(level)?.as_mut()?;
            match children.next() {
                None => self.depth = level,
                Some(child) => return Some((path.child(child.kind)?, child.value)),
            }
        }
        None
    }

    fn next_in_vendor(&mut self) -> Option<(Path, &'p [u8])> {
        let vendor = self.inside.vendor;
        let format = self.inside.format;
        let found = self.inside.next()?;
        // A part of a longer content is no value of the vendor's attribute.
        let path = if found.is_part {
            Path::standard(kind::VENDOR_SPECIFIC)
        } else {
            Path::of(Space::Vendor { vendor, number: found.number, format })
        };
        Some((path, found.content))
    }

    fn next_head(&mut self) -> Option<(Path, Cow<'p, [u8]>)> {
        let at = self.rest;
        let attribute = self.rest.next()?;
        let whole = (Path::standard(attribute.kind), Cow::Borrowed(attribute.value));
        if attribute.kind == kind::VENDOR_SPECIFIC {
            if !self.inside.enter(attribute.value, |vendor| Some(self.dictionary.format(vendor))) {
                return Some(whole);
            }
            let (path, content) = self.next_in_vendor()?;
            return Some((path, Cow::Borrowed(content)));
        }
        if !is_extended(attribute.kind) {
            return Some(whole);
        }
        let Some(Ok(extended)) = ExtendedAttributes::new(at).next() else { return Some(whole) };
        // The first fragment has been passed already.
        self.rest.by_ref().take(extended.parts().count().saturating_sub(1)).for_each(drop);
        Some(match in_extended(&extended) {
            Some((path, content)) => (path, Cow::Borrowed(content)),
            None => in_fragments(&extended).unwrap_or(whole),
        })
    }

    /// Goes into a TLV; false if it is none, or malformed.
    fn enter(&mut self, path: Path, content: &'p [u8]) -> bool {
        let is_tlv = self.dictionary.at(&path).is_some_and(|attribute| attribute.data_type() == DataType::Tlv);
        let Some(place) = self.tlvs.get_mut(self.depth).filter(|_| is_tlv) else { return false };
        let Ok(children) = Tlvs::parse(content) else { return false };
        *place = Some((path, children));
        self.depth += 1;
        true
    }
}

/// What is left of the attribute 26 that is being read.
#[derive(Clone, Debug)]
struct Inside<'p> {
    attributes: Option<VendorAttributes<'p>>,
    vendor: u32,
    format: VendorFormat,
    /// The attribute before goes on in the next.
    goes_on: bool,
}

/// One attribute of a vendor.
struct Found<'p> {
    number: u32,
    content: &'p [u8],
    /// Whether it is only a part of a longer content.
    is_part: bool,
}

impl<'p> Inside<'p> {
    const NOTHING: Self = Self { attributes: None, vendor: 0, format: VendorFormat::STANDARD, goes_on: false };

    /// Goes into an attribute 26, if `format_of` its vendor is known and what is inside is well-formed.
    fn enter(&mut self, content: &'p [u8], format_of: impl FnOnce(u32) -> Option<VendorFormat>) -> bool {
        let Ok(specific) = VendorSpecific::parse(content) else { return false };
        let Some(format) = format_of(specific.vendor) else { return false };
        let Ok(attributes) = specific.attributes(format) else { return false };
        self.attributes = Some(attributes);
        (self.vendor, self.format) = (specific.vendor, format);
        true
    }

    fn next(&mut self) -> Option<Found<'p>> {
        let found = self.attributes.as_mut()?.next()?;
        let is_part = std::mem::replace(&mut self.goes_on, found.is_continued) || found.is_continued;
        Some(Found { number: found.kind, content: found.value, is_part })
    }
}

/// The content of an extended attribute that is in one piece.
fn in_one_piece<'p>(extended: &Extended<'p>) -> Option<&'p [u8]> {
    let mut parts = extended.parts();
    let content = parts.next()?;
    parts.next().is_none().then_some(content)
}

/// The place and the content of an extended attribute that is in one piece.
fn in_extended<'p>(extended: &Extended<'p>) -> Option<(Path, &'p [u8])> {
    let content = in_one_piece(extended)?;
    if extended.extended_kind != kind::EXTENDED_VENDOR_SPECIFIC {
        let space = Space::Extended { carrier: extended.kind, number: extended.extended_kind };
        return Some((Path::of(space), content));
    }
    let specific = ExtendedVendorSpecific::parse(content).ok()?;
    let space = Space::ExtendedVendor { carrier: extended.kind, vendor: specific.vendor, number: specific.kind };
    Some((Path::of(space), specific.value))
}

/// The place and the content of an extended attribute that was cut.
fn in_fragments<'p>(extended: &Extended<'p>) -> Option<(Path, Cow<'p, [u8]>)> {
    let content = extended.value();
    if extended.extended_kind != kind::EXTENDED_VENDOR_SPECIFIC {
        let space = Space::Extended { carrier: extended.kind, number: extended.extended_kind };
        return Some((Path::of(space), content));
    }
    let specific = ExtendedVendorSpecific::parse(&content).ok()?;
    let space = Space::ExtendedVendor { carrier: extended.kind, vendor: specific.vendor, number: specific.kind };
    Some((Path::of(space), Cow::Owned(specific.value.to_vec())))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;
    use crate::{
        dictionary::{Builder, types::parse_format},
        document::Source,
        problem::Problems,
    };

    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|octet| octet.is_ascii_hexdigit()).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn path(text: &str) -> Path {
        let numbers: Vec<u32> = text.split('.').map(|number| number.parse().unwrap()).collect();
        Path::from_numbers(&numbers, |vendor| Dictionary::builtin().format(vendor)).unwrap()
    }

    fn found(hex: &str, at: Path) -> Vec<Vec<u8>> {
        values(Attributes::new(&octets(hex), 20), &at).map(<[u8]>::to_vec).collect()
    }

    fn walked(dictionary: &Dictionary, hex: &str) -> Vec<String> {
        let octets = octets(hex);
        let hex = |content: &[u8]| content.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        walk(dictionary, Attributes::new(&octets, 20))
            .map(|(path, content)| format!("{path} {}", hex(&content)))
            .collect()
    }

    #[test]
    fn vendors_put_several_attributes_into_one() {
        let packet = "0103 61 1a10 00000009 0104 6162 0203 63 0103 64 1a09 00000009 0103 65 1a0a 00000008 0104 7878";
        assert_eq!(found(packet, path("26.9.1")), [b"ab".to_vec(), b"d".to_vec(), b"e".to_vec()]);
        assert_eq!(found(packet, path("26.9.2")), [b"c".to_vec()]);
        assert_eq!(found(packet, path("1")), [b"a".to_vec()]);
        assert_eq!(found(packet, path("26.9.3")), [[0; 0]; 0]);
        assert_eq!(found(packet, Path::of(Space::Internal { vendor: 0, number: 1000 })), [[0; 0]; 0]);
    }

    #[test]
    fn a_malformed_vendor_attribute_is_passed_over_as_a_whole() {
        for broken in [
            "1a0b 00000009 0104 6162 02",
            "1a0a 00000009 0105 6162",
            "1a06 00000009",
            "1a05 000009",
            "1a08 00000009 0100",
        ] {
            let packet = format!("{broken} 1a09 00000009 0103 65");
            assert_eq!(found(&packet, path("26.9.1")), [b"e".to_vec()], "{broken}");
        }
    }

    #[test]
    fn every_vendor_format_is_found_again_where_it_was_written() {
        for format in ["1,1", "1,2", "1,0", "2,1", "2,2", "2,0", "4,0", "4,1", "4,2", "1,1,c"] {
            let format = parse_format(format).unwrap();
            let at = Path::of(Space::Vendor { vendor: 32473, number: 7, format });
            for at in [at, at.child(3).unwrap(), at.child(3).unwrap().child(4).unwrap()] {
                let mut packet = Vec::new();
                at.write(b"ab", false, &mut packet).unwrap();
                Path::standard(1).write(b"x", false, &mut packet).unwrap();
                at.write(b"cd", false, &mut packet).unwrap();
                let found: Vec<&[u8]> = values(Attributes::new(&packet, 20), &at).collect();
                assert_eq!(found, [b"ab", b"cd"], "{at} {format:?}");
            }
        }
    }

    #[test]
    fn parts_of_a_long_content_are_no_values() {
        let format = parse_format("1,1,c").unwrap();
        let wimax = Path::of(Space::Vendor { vendor: 24757, number: 5, format });
        let extended = Path::of(Space::Extended { carrier: 245, number: 4 });
        for at in [wimax, extended] {
            let mut packet = Vec::new();
            at.write(&[1; 600], false, &mut packet).unwrap();
            at.write(b"ab", false, &mut packet).unwrap();
            let found: Vec<&[u8]> = values(Attributes::new(&packet, 20), &at).collect();
            assert_eq!(found, [b"ab"], "{at}");
        }
    }

    #[test]
    fn children_of_tlvs_are_found_at_any_depth() {
        // 173 holds 1 and two of 2, one of which holds 3.
        let packet = "ad10 0103 61 0205 0303 62 0203 63 0103 64";
        assert_eq!(found(packet, path("173.1")), [b"a".to_vec(), b"d".to_vec()]);
        assert_eq!(found(packet, path("173.2")), [octets("030362"), b"c".to_vec()]);
        assert_eq!(found(packet, path("173.2.3")), [b"b".to_vec()]);
        assert_eq!(found(packet, path("173.2.3.1")), [[0; 0]; 0]);
        // The last child overruns the TLV: none of them counts.
        assert_eq!(found("ad08 0103 61 0204 63", path("173.1")), [[0; 0]; 0]);
    }

    #[test]
    fn the_walk_takes_apart_what_the_dictionary_knows() {
        let packet = "0103 61 1a0f 00000009 0104 6162 fb05 010203 1a06 00000009 ad05 0103 61 f109 05 0106 00000003 \
                      f104 01 61 f10b 1a 00000009 07 616263";
        assert_eq!(
            walked(Dictionary::builtin(), packet),
            [
                "1 61",
                "26.9.1 6162",
                "26.9.251 010203",
                "26 00000009",
                "173.1 61",
                "241.5.1 00000003",
                "241.1 61",
                "241.26.9.7 616263",
            ]
        );
        let ruckus = "1a10 000061dd 990a 0104 6161 0204 0707";
        assert_eq!(walked(Dictionary::builtin(), ruckus), ["26.25053.153.1 6161", "26.25053.153.2 0707"]);
        assert_eq!(walked(Dictionary::builtin(), "1a0b 000061dd 9905 0109 61"), ["26.25053.153 010961"]);
    }

    #[test]
    fn the_walk_joins_what_was_cut() {
        let at = Path::of(Space::ExtendedVendor { carrier: 245, vendor: 9, number: 4 });
        let mut packet = Vec::new();
        at.write(&[7; 600], false, &mut packet).unwrap();
        Path::standard(1).write(b"x", false, &mut packet).unwrap();
        let all: Vec<_> = walk(Dictionary::builtin(), Attributes::new(&packet, 20)).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].0, &*all[0].1), (at, &[7; 600][..]));
        assert_eq!((all[1].0, &*all[1].1), (Path::standard(1), &b"x"[..]));
    }

    #[test]
    fn the_examples_of_rfc_6929_are_found_and_written() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/rfc6929_attributes.json"));
        let vectors: Vec<Json> = serde_json::from_str(text).unwrap();
        assert_eq!(vectors.len(), 18);
        for vector in vectors {
            let at = path(vector["expect"]["identifier"].as_str().unwrap());
            let packet = octets(vector["attribute_hex"].as_str().unwrap());
            let content = octets(vector["expect"]["value_hex"].as_str().unwrap());
            let mut written = Vec::new();
            at.write(&content, false, &mut written).unwrap();
            assert_eq!(written, packet, "{at}");
            let all: Vec<_> = walk(&Dictionary::default(), Attributes::new(&packet, 20)).collect();
            assert_eq!(all, [(at, Cow::Borrowed(&content[..]))]);
            let whole = vector["expect"]["fragments"] == 1;
            let found: Vec<&[u8]> = values(Attributes::new(&packet, 20), &at).collect();
            assert_eq!(found, if whole { vec![&content[..]] } else { vec![] }, "{at}");
        }
    }

    static NESTED: LazyLock<Dictionary> = LazyLock::new(nested);

    fn nested() -> Dictionary {
        let mut builder = Builder::with_builtin();
        let text = "VENDOR Wide 100 format=2,2\nVENDOR Cut 101 format=1,1,c\n\
                    ATTRIBUTE W 26.100.0x0102 string\nATTRIBUTE C 26.101.1 tlv\nATTRIBUTE C1 26.101.1.2 string\n\
                    ATTRIBUTE T 200 tlv\nATTRIBUTE T1 200.1 tlv\nATTRIBUTE T2 200.1.1 tlv\nATTRIBUTE T3 200.1.1.1 tlv\n\
                    ATTRIBUTE T4 200.1.1.1.1 tlv\n";
        let mut problems = Problems::new();
        builder.load(Source::new("x", text), &mut |_, _| None, &mut problems);
        let dictionary = builder.finish(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        dictionary
    }

    #[test]
    fn tlvs_deeper_than_the_bound_are_given_whole() {
        assert_eq!(walked(&NESTED, "c80d 010b 0109 0107 0105 010361"), ["200.1.1.1.1 010361"]);
    }

    proptest! {
        #[test]
        fn any_octets_are_walked_without_a_panic(octets in proptest::collection::vec(
            prop_oneof![Just(26u8), Just(1), Just(0), Just(100), Just(101), Just(200), Just(245), 2u8..9, any::<u8>()], 0..120,
        )) {
            let attributes = Attributes::new(&octets, 20);
            let total: usize = walk(&NESTED, attributes).map(|(_, content)| content.len()).sum();
            prop_assert!(total <= octets.len());
            // A choice of all: the rest would only take time.
            let chosen = |vendor: Option<u32>| vendor.is_none_or(|vendor| vendor == 100 || vendor == 101);
            for attribute in NESTED.attributes().filter(|attribute| chosen(attribute.path().vendor_number())) {
                prop_assert!(values(attributes, &attribute.path()).count() <= octets.len());
            }
        }

        /// Both ways to look at a packet find the same.
        #[test]
        fn the_walk_and_the_search_agree(
            pairs in proptest::collection::vec(
                (0..1540usize, proptest::collection::vec(any::<u8>(), 1..20)), 0..20,
            ),
        ) {
            let dictionary = Dictionary::builtin();
            let known: Vec<_> = dictionary
                .attributes()
                .filter(|attribute| !attribute.data_type().is_container())
                .map(|attribute| attribute.path())
                .collect();
            let mut packet = Vec::new();
            let mut expected = Vec::new();
            for (index, content) in pairs {
                let path = known[index % known.len()];
                path.write(&content, false, &mut packet).unwrap();
                expected.push((path, content));
            }
            let attributes = Attributes::new(&packet, 20);
            let all: Vec<_> = walk(dictionary, attributes).map(|(path, content)| (path, content.into_owned())).collect();
            prop_assert_eq!(&all, &expected);
            for (path, _) in &expected {
                let found: Vec<&[u8]> = values(attributes, path).collect();
                let wanted: Vec<&[u8]> = expected.iter().filter(|(at, _)| at == path).map(|(_, content)| &content[..]).collect();
                prop_assert_eq!(found, wanted);
            }
        }
    }
}
