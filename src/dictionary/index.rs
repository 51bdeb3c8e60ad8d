//! The finished dictionary: names to places in a packet and back.
//!
//! Owns lookups only and never changes; `build` makes it, `value` reads and prints content.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use super::{
    path::Path,
    privacy::is_private_number,
    types::{DataType, Encryption, Flags},
};
use crate::{problem, radius::vendor::VendorFormat};

/// Everything that is known about attributes, immutable.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    // Bound: all of these hold what `Builder` took, which `limits::DICTIONARY_ATTRIBUTES_MAX` and its like bound.
    pub(super) attributes: Vec<Attribute>,
    /// By the name in lower case. Bound: that of the builder.
    pub(super) by_name: HashMap<Box<str>, u32>,
    /// Of several names for one place, the one that was defined last. Bound: that of the builder.
    pub(super) by_path: HashMap<Path, u32, foldhash::fast::RandomState>,
    pub(super) vendors: Vec<Vendor>,
    /// Bound: that of the builder.
    pub(super) by_number: HashMap<u32, u32, foldhash::fast::RandomState>,
    pub(super) values: usize,
}

/// How much a dictionary holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Names of vendors.
    pub vendors: usize,
    /// Names of attributes.
    pub attributes: usize,
    /// Names of values.
    pub values: usize,
}

impl Dictionary {
    /// The attribute of this name, in any case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        let index = if name.bytes().any(|octet| octet.is_ascii_uppercase()) {
            self.by_name.get(name.to_ascii_lowercase().as_str())
        } else {
            self.by_name.get(name)
        }?;
        self.attributes.get(usize::try_from(*index).ok()?)
    }

    /// The attribute at this place. Of several names for it, the one that was defined last.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<&Attribute> {
        self.attributes.get(usize::try_from(*self.by_path.get(path)?).ok()?)
    }

    /// The attribute at this place, or one of unknown octets that is called `Attr-26.9.200`.
    #[must_use]
    pub fn at_or_unknown(&self, path: &Path) -> Cow<'_, Attribute> {
        self.at(path).map_or_else(|| Cow::Owned(Attribute::unknown(*path)), Cow::Borrowed)
    }

    /// The attribute of this name, also of a name by numbers such as `Attr-26.9.1` or `Attr-241.1`.
    ///
    /// A number that has a name gives the named attribute; one without gives octets.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<Attribute> {
        if let Some(attribute) = self.attribute(name) {
            return Some(attribute.clone());
        }
        let numbers = name.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("Attr-")).and(name.get(5..))?;
        // The longest way is 241.26.vendor.number and the children of TLVs.
        let numbers: Vec<u32> = numbers.split('.').take(10).map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let path = Path::from_numbers(&numbers, |vendor| self.format(vendor))?;
        Some(self.at_or_unknown(&path).into_owned())
    }

    /// The name of an attribute that is most like `wrong`, if any is.
    #[must_use]
    pub fn nearest(&self, wrong: &str) -> Option<&str> {
        problem::nearest(wrong, self.attributes.iter().map(Attribute::name))
    }

    /// The number of the value `name` of `attribute`, in any case.
    #[must_use]
    pub fn value(&self, attribute: &str, name: &str) -> Option<u64> {
        self.attribute(attribute)?.value(name)
    }

    /// The name of the value `number` of `attribute`. Of several, the one that was defined last.
    #[must_use]
    pub fn value_name(&self, attribute: &str, number: u64) -> Option<&str> {
        self.attribute(attribute)?.value_name(number)
    }

    /// The vendor with this private enterprise number. Of several names for it, the one that was defined last.
    #[must_use]
    pub fn vendor(&self, number: u32) -> Option<&Vendor> {
        self.vendors.get(usize::try_from(*self.by_number.get(&number)?).ok()?)
    }

    /// The vendor of this name, in any case.
    #[must_use]
    pub fn vendor_named(&self, name: &str) -> Option<&Vendor> {
        self.vendors.iter().find(|vendor| vendor.name.eq_ignore_ascii_case(name))
    }

    /// How the vendor writes type and length in attribute 26; the usual way for unknown vendors.
    #[must_use]
    pub fn format(&self, vendor: u32) -> VendorFormat {
        self.vendor(vendor).map_or(VendorFormat::STANDARD, |vendor| vendor.format)
    }

    /// Every attribute in the order of the files.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter()
    }

    /// Every vendor in the order of the files.
    pub fn vendors(&self) -> impl Iterator<Item = &Vendor> {
        self.vendors.iter()
    }

    /// How much there is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { vendors: self.vendors.len(), attributes: self.attributes.len(), values: self.values }
    }
}

/// A vendor's name, number and format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// As the dictionary spells it.
    pub name: Arc<str>,
    /// The private enterprise number.
    pub number: u32,
    /// How type and length are written in attribute 26.
    pub format: VendorFormat,
}

/// One attribute: its name, its place in a packet, its type and the names of its values.
///
/// Cheap to clone, and complete: with it content can be read, written and printed without the dictionary.
#[derive(Clone, Debug)]
pub struct Attribute {
    pub(super) name: Arc<str>,
    pub(super) path: Path,
    pub(super) data_type: DataType,
    pub(super) flags: Flags,
    pub(super) values: Option<Arc<Values>>,
    /// Whether it never stands in a log: see `privacy`.
    pub(super) is_private: bool,
}

impl Attribute {
    /// An attribute that no dictionary knows: octets with a name made of its numbers.
    #[must_use]
    pub fn unknown(path: Path) -> Self {
        Self {
            name: format!("Attr-{path}").into(),
            path,
            data_type: DataType::Octets,
            flags: Flags::default(),
            values: None,
            is_private: is_private_number(&path),
        }
    }

    /// The same place without its name and type: any octets can be written there as they are.
    pub(super) fn as_octets(&self) -> Self {
        let flags = Flags { secret: self.is_secret(), ..Flags::default() };
        Self { flags, ..Self::unknown(self.path) }
    }

    /// The name as the dictionary spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands in a packet.
    #[must_use]
    pub const fn path(&self) -> Path {
        self.path
    }

    /// The type of its content.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Tags, hiding and the rest.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    /// Whether its content must not be shown: passwords, keys and what the dictionary marks.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.flags.secret || self.flags.encryption != Encryption::None
    }

    /// Whether it never stands in a log: secrets, credentials by number and by name, what only serves the protocol, and
    /// what only holds others.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        self.is_private
    }

    /// Whether it can be in a packet.
    #[must_use]
    pub const fn is_on_the_wire(&self) -> bool {
        self.path.is_on_the_wire()
    }

    /// The number of the value `name`, in any case.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<u64> {
        self.named_values().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| number)
    }

    /// The name of the value `number`. Of several, the one that was defined last.
    #[must_use]
    pub fn value_name(&self, number: u64) -> Option<&str> {
        let list = &self.values.as_deref()?.list;
        let after = list.partition_point(|(known, _)| *known <= number);
        let (known, name) = list.get(after.checked_sub(1)?)?;
        (*known == number).then_some(name)
    }

    /// The names of values with their numbers, by number.
    pub fn named_values(&self) -> impl Iterator<Item = (&str, u64)> {
        self.values.iter().flat_map(|values| values.list.iter().map(|(number, name)| (&**name, *number)))
    }

    /// The name of a value that is most like `wrong`, if any is.
    #[must_use]
    pub fn nearest_value(&self, wrong: &str) -> Option<&str> {
        problem::nearest(wrong, self.named_values().map(|(name, _)| name))
    }
}

/// The named values of one place in a packet; all names of that place share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// Sorted by number; those of one number in the order of their definition.
    pub(super) list: Vec<(u64, Box<str>)>,
}
