//! A section that may stand in several files: of each key the last file's value counts.
//!
//! Owns the merging. What the keys mean is said by the readers of the sections.

use crate::{
    document::{Table, Value},
    problem::{Place, Problems},
};

/// One table of every file that has it, in the order of the files.
pub(super) struct Section<'t> {
    key: &'static str,
    tables: Vec<Table<'t>>,
}

impl<'t> Section<'t> {
    /// The tables called `key` of `roots`.
    pub(super) fn of(key: &'static str, roots: &[Table<'t>], problems: &mut Problems) -> Self {
        Self { key, tables: roots.iter().filter_map(|root| root.table(key, problems)).collect() }
    }

    /// The value that counts. Every table is asked, so that the key is known in all of them.
    pub(super) fn ask(&self, key: &'static str) -> Option<Value<'t>> {
        self.tables.iter().filter_map(|table| table.ask(key)).fold(None, |_, value| Some(value))
    }

    /// Where it first stands.
    pub(super) fn place(&self) -> Option<Place> {
        self.tables.first().map(Table::place)
    }

    /// Reports a key that has no default.
    pub(super) fn missing(&self, key: &str, advice: &str, problems: &mut Problems) {
        problems.error("key-missing", self.place(), format!("[{}] has no \"{key}\"; {advice}", self.key));
    }

    /// Whether any file has it.
    pub(super) fn is_there(&self) -> bool {
        !self.tables.is_empty()
    }

    /// Reports unknown keys.
    pub(super) fn finish(&self, problems: &mut Problems) {
        for table in &self.tables {
            table.finish(problems);
        }
    }
}
