//! Names that files give to things, unique over the whole folder.
//!
//! Owns the message for a name that is given twice.

use std::collections::{BTreeMap, btree_map::Entry};

use super::super::draft::Named;
use crate::problem::{Place, Problems};

/// Things by name, each with its place.
#[derive(Debug)]
pub struct Names<T> {
    /// What they are called in messages, such as `condition`.
    what: &'static str,
    // Bound: what the files hold, see `limits::FILE_OCTETS_MAX` and `limits::FILES_MAX`.
    known: BTreeMap<Box<str>, (Place, T)>,
}

impl<T> Names<T> {
    /// No names yet. `what`: the header in files, such as `condition`.
    #[must_use]
    pub const fn new(what: &'static str) -> Self {
        Self { what, known: BTreeMap::new() }
    }

    /// Adds what a file names.
    pub fn add(&mut self, named: Named<'_, T>, problems: &mut Problems) {
        match self.known.entry(named.name.into()) {
            Entry::Vacant(free) => {
                free.insert((named.place, named.value));
            }
            Entry::Occupied(taken) => {
                let message =
                    format!("[{}.{}] stands already at {}; rename one of them", self.what, named.name, taken.get().0);
                problems.error("duplicate-name", Some(named.place), message);
            }
        }
    }

    /// The thing of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&T> {
        self.known.get(name).map(|(_, value)| value)
    }

    /// Where the thing of that name stands.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.known.get(name).map(|(place, _)| place)
    }

    /// All names in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Place, &T)> {
        self.known.iter().map(|(name, (place, value))| (&**name, place, value))
    }

    /// `there is no condition "x"; did you mean …`
    #[must_use]
    pub fn unknown(&self, name: &str, built_in: &[&str], problems: &Problems) -> String {
        let names = || self.known.keys().map(|name| &**name).chain(built_in.iter().copied());
        let nearest = problems.suggest(name, names());
        let advice = if !nearest.is_empty() {
            nearest
        } else if names().next().is_none() {
            format!("; define it: [{}.{name}]", self.what)
        } else {
            let some: Vec<&str> = names().take(8).collect();
            format!("; there are: {}; or define [{}.{name}]", some.join(", "), self.what)
        };
        format!("there is no {} \"{name}\"{advice}", self.what)
    }
}
