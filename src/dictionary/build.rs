//! Collects what dictionaries define and settles which definition holds.
//!
//! Owns the rules for names and numbers that occur twice; the syntax of the files belongs to `parse`.

use std::{collections::HashMap, sync::Arc};

use super::{
    index::{Attribute, Dictionary, Values, Vendor},
    path::{Path, Space},
    privacy::is_private,
    types::{DataType, Flags, write_format},
};
use crate::{
    limits,
    problem::{Place, Problems},
    radius::vendor::VendorFormat,
};

/// A dictionary in the making.
///
/// What is loaded later extends and overrides what was loaded before [`Builder::seal`]; within one load a name that is
/// given two meanings is an error.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    vendors: Vec<Vendor>,
    vendor_places: Vec<Origin>,
    vendor_names: HashMap<String, usize>,
    /// By the vendor's number.
    formats: HashMap<u32, VendorFormat>,
    attributes: Vec<Draft>,
    names: HashMap<String, usize>,
    /// Paths in here have the usual format: the vendor's may be told later.
    paths: HashMap<Path, usize>,
    values: Vec<DraftValue>,
    sealed: bool,
    told_full: bool,
}

/// Where something was defined: a place in a file, and whether that file is one of an earlier, sealed load.
#[derive(Clone, Debug)]
struct Origin {
    place: Place,
    sealed: bool,
}

/// One ATTRIBUTE line.
#[derive(Clone, Debug)]
struct Draft {
    name: Arc<str>,
    path: Path,
    data_type: DataType,
    flags: Flags,
    origin: Origin,
    /// Overridden by a later line that gives the name to another number.
    dropped: bool,
}

/// One VALUE line.
#[derive(Clone, Debug)]
struct DraftValue {
    attribute: Box<str>,
    name: Box<str>,
    number: u64,
    origin: Origin,
}

impl Builder {
    /// Nothing is defined yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on files may override what is defined so far.
    pub fn seal(&mut self) {
        self.vendor_places.iter_mut().for_each(|origin| origin.sealed = true);
        self.attributes.iter_mut().for_each(|draft| draft.origin.sealed = true);
        self.values.iter_mut().for_each(|draft| draft.origin.sealed = true);
        self.sealed = true;
    }

    /// The vendor of this name: number and format.
    pub(super) fn vendor(&self, name: &str) -> Option<(u32, VendorFormat)> {
        let vendor = self.vendors.get(*self.vendor_names.get(&name.to_ascii_lowercase())?)?;
        Some((vendor.number, vendor.format))
    }

    /// How the vendor writes its attributes, as far as it is known by now.
    pub(super) fn format(&self, number: u32) -> VendorFormat {
        self.formats.get(&number).copied().unwrap_or(VendorFormat::STANDARD)
    }

    /// The names of all vendors, for messages.
    pub(super) fn vendor_names(&self) -> impl Iterator<Item = &str> {
        self.vendors.iter().map(|vendor| &*vendor.name)
    }

    /// The names of all attributes, for messages.
    pub(super) fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().filter(|draft| !draft.dropped).map(|draft| &*draft.name)
    }

    /// The attribute of this name: path (in the usual format) and type.
    pub(super) fn attribute(&self, name: &str) -> Option<(Path, DataType)> {
        let draft = self.attributes.get(*self.names.get(&name.to_ascii_lowercase())?)?;
        Some((draft.path, draft.data_type))
    }

    /// The type of the attribute at this path in the usual format.
    pub(super) fn type_at(&self, path: &Path) -> Option<DataType> {
        self.attributes.get(*self.paths.get(path)?).map(|draft| draft.data_type)
    }

    /// Defines a vendor.
    pub(super) fn define_vendor(&mut self, vendor: Vendor, place: Place, problems: &mut Problems) {
        let key = vendor.name.to_ascii_lowercase();
        let origin = Origin { place, sealed: false };
        if let Some(known) = self.vendor_names.get(&key).copied() {
            self.redefine_vendor(known, vendor, origin, problems);
            return;
        }
        if self.vendors.len() >= limits::DICTIONARY_VENDORS_MAX {
            self.tell_full("vendors", limits::DICTIONARY_VENDORS_MAX, origin.place, problems);
            return;
        }
        self.vendor_names.insert(key, self.vendors.len());
        let before = self.formats.insert(vendor.number, vendor.format);
        if let Some(before) = before.filter(|before| *before != vendor.format) {
            let message = format!(
                "another vendor with the number {} has format={}; now format={} holds for both; correct one of the lines",
                vendor.number,
                write_format(before),
                write_format(vendor.format)
            );
            problems.warning("vendor-format", Some(origin.place.clone()), message);
        }
        self.vendors.push(vendor);
        self.vendor_places.push(origin);
    }

    fn redefine_vendor(&mut self, known: usize, new: Vendor, origin: Origin, problems: &mut Problems) {
        let (Some(old), Some(old_origin)) = (self.vendors.get_mut(known), self.vendor_places.get_mut(known)) else {
            return;
        };
        if old.number != new.number {
            let message = format!(
                "vendor \"{}\" has the number {} in {}; correct the number or use another name",
                new.name, old.number, old_origin.place
            );
            problems.error("duplicate-vendor", Some(origin.place), message);
            return;
        }
        if old.format != new.format {
            let message = format!(
                "vendor \"{}\" has format={} in {}; now format={} holds for all its attributes; remove one of the lines",
                new.name,
                write_format(old.format),
                old_origin.place,
                write_format(new.format)
            );
            tell_override(old_origin, "vendor-format", origin.place.clone(), message, problems);
        }
        self.formats.insert(new.number, new.format);
        *old = new;
        *old_origin = origin;
    }

    /// Defines an attribute; `path` in the usual format.
    pub(super) fn define_attribute(
        &mut self,
        name: &str,
        (path, data_type, flags): (Path, DataType, Flags),
        place: Place,
        problems: &mut Problems,
    ) {
        let key = name.to_ascii_lowercase();
        let draft = Draft {
            name: name.into(),
            path,
            data_type,
            flags,
            origin: Origin { place, sealed: false },
            dropped: false,
        };
        if let Some(known) = self.names.get(&key).copied()
            && !self.redefine_attribute(known, &draft, problems)
        {
            return;
        }
        if self.attributes.len() >= limits::DICTIONARY_ATTRIBUTES_MAX {
            self.tell_full("attributes", limits::DICTIONARY_ATTRIBUTES_MAX, draft.origin.place, problems);
            return;
        }
        self.names.insert(key, self.attributes.len());
        self.paths.insert(draft.path, self.attributes.len());
        self.attributes.push(draft);
    }

    /// Makes room for another definition of the same name; false if there is nothing to add.
    fn redefine_attribute(&mut self, known: usize, new: &Draft, problems: &mut Problems) -> bool {
        let Some(old) = self.attributes.get_mut(known) else { return true };
        let place = new.origin.place.clone();
        if old.path != new.path && !old.origin.sealed {
            let message = format!(
                "\"{}\" is already number {} in {}; give the new attribute another name",
                new.name, old.path, old.origin.place
            );
            problems.error("duplicate-attribute", Some(place), message);
            return false;
        }
        if old.path != new.path {
            let message = format!(
                "\"{}\" is number {} in {}; now it is {}; remove the line if that was not meant",
                new.name, old.path, old.origin.place, new.path
            );
            tell_override(&old.origin, "attribute-overridden", place, message, problems);
        } else if (old.data_type, old.flags) != (new.data_type, new.flags) {
            let message = format!(
                "\"{}\" has another type or other flags in {}; this line holds; remove it if that was not meant",
                new.name, old.origin.place
            );
            tell_override(&old.origin, "attribute-overridden", place, message, problems);
        }
        old.dropped = true;
        let path = old.path;
        // The new definition takes the same place over; only one that it left has to be given back.
        if path != new.path && self.paths.get(&path) == Some(&known) {
            self.restore_alias(path, known);
        }
        true
    }

    /// Gives the place of the dropped attribute `known` to the name that had it before, if there is one.
    fn restore_alias(&mut self, path: Path, known: usize) {
        let alias = self
            .attributes
            .iter()
            .enumerate()
            .rfind(|(index, draft)| *index != known && !draft.dropped && draft.path == path)
            .map(|(index, _)| index);
        match alias {
            Some(alias) => self.paths.insert(path, alias),
            None => self.paths.remove(&path),
        };
    }

    /// Names a value; the attribute may be defined later.
    pub(super) fn define_value(
        &mut self,
        attribute: &str,
        name: &str,
        number: u64,
        place: Place,
        problems: &mut Problems,
    ) {
        if self.values.len() >= limits::DICTIONARY_VALUES_MAX {
            self.tell_full("named values", limits::DICTIONARY_VALUES_MAX, place, problems);
            return;
        }
        let origin = Origin { place, sealed: false };
        self.values.push(DraftValue { attribute: attribute.into(), name: name.into(), number, origin });
    }

    fn tell_full(&mut self, what: &str, most: usize, place: Place, problems: &mut Problems) {
        if !std::mem::replace(&mut self.told_full, true) {
            let message = format!("more than {most} {what}; load only the dictionaries that your network needs");
            problems.error("dictionary-too-large", Some(place), message);
        }
    }

    /// The finished dictionary. What is in error is reported and left out.
    #[must_use]
    pub fn finish(self, problems: &mut Problems) -> Dictionary {
        let mut dictionary = Dictionary::default();
        for (index, vendor) in (0u32..).zip(&self.vendors) {
            dictionary.by_number.insert(vendor.number, index);
            let format = self.format(vendor.number);
            dictionary.vendors.push(Vendor { format, ..vendor.clone() });
        }
        let values = self.values_by_path(problems);
        dictionary.values = values.values().map(|values| values.list.len()).sum();
        let mut indexes = HashMap::new();
        for (old_index, draft) in self.attributes.iter().enumerate().filter(|(_, draft)| !draft.dropped) {
            let Ok(index) = u32::try_from(dictionary.attributes.len()) else { break };
            indexes.insert(old_index, index);
            let path = match draft.path.space() {
                Space::Vendor { vendor, .. } => draft.path.with_format(dictionary.format(vendor)),
                _ => draft.path,
            };
            dictionary.by_name.insert(draft.name.to_ascii_lowercase().into(), index);
            if self.paths.get(&draft.path) == Some(&old_index) {
                dictionary.by_path.insert(path, index);
            }
            dictionary.attributes.push(Attribute {
                name: Arc::clone(&draft.name),
                path,
                data_type: draft.data_type,
                flags: draft.flags,
                values: values.get(&draft.path).map(Arc::clone),
                is_private: is_private(&draft.name, &path, draft.data_type, draft.flags),
            });
        }
        dictionary
    }

    fn values_by_path(&self, problems: &mut Problems) -> HashMap<Path, Arc<Values>> {
        let mut by_path: HashMap<Path, Vec<&DraftValue>> = HashMap::new();
        let mut known: HashMap<(Path, String), &DraftValue> = HashMap::new();
        for draft in &self.values {
            let Some(path) = self.check_value(draft, problems) else { continue };
            let list = by_path.entry(path).or_default();
            let key = (path, draft.name.to_ascii_lowercase());
            match known.get(&key) {
                None => {}
                Some(old) if old.number == draft.number => continue,
                Some(old) if old.origin.sealed => {
                    list.retain(|other| !std::ptr::eq(*other, *old));
                    let message = format!(
                        "\"{}\" of {} is {} in {}; now it is {}; remove the line if that was not meant",
                        draft.name, draft.attribute, old.number, old.origin.place, draft.number
                    );
                    problems.hint("value-overridden", Some(draft.origin.place.clone()), message);
                }
                Some(old) => {
                    let message = format!(
                        "\"{}\" of {} is already {} in {}; give the new value another name",
                        draft.name, draft.attribute, old.number, old.origin.place
                    );
                    problems.error("duplicate-value", Some(draft.origin.place.clone()), message);
                    continue;
                }
            }
            known.insert(key, draft);
            list.push(draft);
        }
        by_path.into_iter().map(|(path, list)| (path, Arc::new(sorted(&list)))).collect()
    }

    /// The place of the attribute that the value belongs to, if the value can be one of its.
    fn check_value(&self, draft: &DraftValue, problems: &mut Problems) -> Option<Path> {
        let place = || Some(draft.origin.place.clone());
        let Some((path, data_type)) = self.attribute(&draft.attribute) else {
            let message = format!(
                "there is no attribute \"{}\" for the value \"{}\"{}",
                draft.attribute,
                draft.name,
                or_advice(problems.suggest(&draft.attribute, self.attribute_names()), "define it with ATTRIBUTE")
            );
            problems.error("unknown-attribute", place(), message);
            return None;
        };
        let Some(most) = data_type.number_max() else {
            // FreeRADIUS accepts names for octets (dictionary.cablelabs has them) and never uses them.
            if !matches!(data_type, DataType::Octets | DataType::FixedOctets(_)) {
                let message = format!(
                    "{} is of type {data_type}, which has no named values; remove the line or make it an integer",
                    draft.attribute
                );
                problems.error("value-of-no-number", place(), message);
            }
            return None;
        };
        if draft.number > most {
            let message = format!(
                "{} is above {most}, the most that {} of type {data_type} can hold; correct the number",
                draft.number, draft.attribute
            );
            problems.error("number-too-large", place(), message);
            return None;
        }
        Some(path)
    }
}

fn sorted(list: &[&DraftValue]) -> Values {
    let mut list: Vec<(u64, Box<str>)> = list.iter().map(|draft| (draft.number, draft.name.clone())).collect();
    // Stable: of two names for one number the last one stays last.
    list.sort_by_key(|(number, _)| *number);
    Values { list }
}

/// To override a shipped definition is an operator's right and worth a hint; to contradict oneself is a warning.
fn tell_override(old: &Origin, code: &'static str, place: Place, message: String, problems: &mut Problems) {
    if old.sealed {
        problems.hint(code, Some(place), message);
    } else {
        problems.warning(code, Some(place), message);
    }
}

/// The suggestion, or the advice if there is no suggestion.
pub(super) fn or_advice(suggestion: String, advice: &str) -> String {
    if suggestion.is_empty() { format!("; {advice}") } else { suggestion }
}
