//! The vendor tables that are compiled in, and an operator's that replace them.
//!
//! Owns the list of them. The tables themselves are files.

use std::{collections::BTreeMap, sync::Arc};

use super::{read, table::Vendor};
use crate::{
    document::Source,
    limits,
    problem::{Place, Problems, did_you_mean},
};

/// Name and text of the tables that are compiled in.
const BUILTIN: [(&str, &str); 2] = [
    ("cisco", include_str!("../../../policies/vendor/cisco.toml")),
    ("generic", include_str!("../../../policies/vendor/generic.toml")),
];

/// All vendor tables by name.
#[derive(Clone, Debug)]
pub struct Vendors {
    by_name: BTreeMap<Arc<str>, Arc<Vendor>>,
}

impl Vendors {
    /// The tables that are compiled in.
    #[must_use]
    pub fn builtin() -> Self {
        let mut problems = Problems::new();
        let tables = BUILTIN.iter().filter_map(|(name, text)| {
            let source = Source::new(format!("(built in)/policies/vendor/{name}.toml"), *text);
            read::read(&source, &mut problems)
        });
        let by_name = tables.map(|vendor| (Arc::clone(&vendor.name), Arc::new(vendor))).collect();
        debug_assert!(problems.is_empty(), "the compiled-in tables are checked by a test");
        Self { by_name }
    }

    /// Adds an operator's table, which replaces the compiled-in one of its name as a whole.
    pub fn read(&mut self, source: &Source, problems: &mut Problems) {
        let Some(vendor) = read::read(source, problems) else { return };
        if self.by_name.len() >= limits::VENDORS_MAX && !self.by_name.contains_key(&vendor.name) {
            let message = format!("there are more than {} vendor tables; remove some", limits::VENDORS_MAX);
            problems.error("too-many-vendors", Some(Place::whole(Arc::clone(source.name()))), message);
            return;
        }
        self.by_name.insert(Arc::clone(&vendor.name), Arc::new(vendor));
    }

    /// The table of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Vendor>> {
        self.by_name.get(name)
    }

    /// All tables by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Vendor>> {
        self.by_name.values()
    }

    /// `; did you mean "…"?` for the name that is most like `wrong`, else the list of all.
    #[must_use]
    pub fn advice(&self, wrong: &str) -> String {
        let near = did_you_mean(wrong, self.by_name.keys().map(|name| &**name));
        if !near.is_empty() {
            return near;
        }
        let names: Vec<&str> = self.by_name.keys().map(|name| &**name).collect();
        format!("; there are: {}", names.join(", "))
    }
}
