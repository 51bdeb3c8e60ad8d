//! Lists of values, inline or in files of their own.
//!
//! Owns the reading of list files and of entries as the kind of the fact that asks for them. The files themselves are
//! opened by the caller.

use std::{collections::HashMap, sync::Arc};

use super::{
    super::{
        catalogue::Kind,
        draft::ListDraft,
        literal,
        mac::MacPrefix,
        members::{Cidr, Key, Members},
        subject::Subject,
    },
    name::Names,
};
use crate::{
    document::{Source, Value},
    limits,
    problem::{Place, Problems},
};

/// Opens a list file: the file that names it, and the path as written. Gives the file, or why it can't be had.
pub type ReadList<'c> = &'c dyn Fn(&Source, &str) -> Result<Source, String>;

/// All `[list.NAME]`, with their entries read once for each fact that asks.
pub struct Lists<'t, 'c> {
    drafts: Names<Option<ListDraft<'t>>>,
    read: ReadList<'c>,
    files: HashMap<Box<str>, Option<Source>>,
    /// By the names of list and fact.
    compiled: HashMap<Box<str>, Compiled>,
    entries: usize,
}

/// One list as it was read for several facts; none for a fact with which it can't be compared.
type Compiled = HashMap<Box<str>, Option<Arc<Members>>>;

impl<'t, 'c> Lists<'t, 'c> {
    /// The lists of all files.
    #[must_use]
    pub fn new(drafts: Names<Option<ListDraft<'t>>>, read: ReadList<'c>) -> Self {
        Self { drafts, read, files: HashMap::new(), compiled: HashMap::new(), entries: 0 }
    }

    /// Whether there is a list of that name.
    #[must_use]
    pub fn is_known(&self, name: &str) -> bool {
        self.drafts.find(name).is_some()
    }

    /// The lists that nobody asked for, with their places.
    #[must_use]
    pub fn unused(&self) -> Vec<(&str, &Place)> {
        let names = self.drafts.iter().map(|(name, place, _)| (name, place));
        names.filter(|(name, _)| !self.compiled.contains_key(*name)).collect()
    }

    /// Opens the files of lists that nobody asked for, so that their absence is told before somebody does.
    pub fn read_rest(&mut self, problems: &mut Problems) {
        for (name, _, draft) in self.drafts.iter() {
            if let Some(ListDraft::File(path)) = draft
                && !self.files.contains_key(name)
            {
                self.files.insert(name.into(), open(self.read, path, problems));
            }
        }
    }

    /// The entries of the list that `name` names, for comparison with the subject.
    pub fn members(&mut self, name: &Value<'_>, subject: &Subject, problems: &mut Problems) -> Option<Arc<Members>> {
        let text = name.text(problems)?;
        if !self.is_known(text) {
            name.error(problems, "unknown-list", self.drafts.unknown(text, &[], problems));
            return None;
        }
        let known = self.compiled.get(text).and_then(|facts| facts.get(&subject.name));
        if let Some(known) = known {
            return known.clone();
        }
        let members = self.compile(text, subject, problems).map(Arc::new);
        self.compiled.entry(text.into()).or_default().insert(subject.name.clone(), members.clone());
        members
    }

    fn compile(&mut self, name: &str, subject: &Subject, problems: &mut Problems) -> Option<Members> {
        let mut reader = Reader { subject, members: Members::default(), macs: 0, entries: 0, complete: true };
        match self.drafts.find(name)?.as_ref()? {
            ListDraft::Values(values) => {
                for value in values {
                    reader.value(value, problems);
                }
            }
            ListDraft::File(path) => {
                let file = self.files.entry(name.into()).or_insert_with(|| open(self.read, path, problems));
                reader.file(file.as_ref()?, problems);
            }
        }
        let place = self.drafts.place(name).cloned();
        self.entries += reader.entries;
        if self.entries > limits::LIST_ENTRIES_MAX {
            let message =
                format!("more than {} entries in all lists; use MAC prefixes or networks", limits::LIST_ENTRIES_MAX);
            problems.error("list-too-large", place, message);
            return None;
        }
        if reader.entries == 0 {
            problems.warning("empty-list", place, format!("the list \"{name}\" is empty; nothing is in it"));
        } else if reader.macs == reader.entries && subject.kind == Kind::Text {
            let message = format!(
                "the list \"{name}\" holds MAC addresses, but {} is compared with it as text, in one spelling only; \
                 ask identity.mac",
                subject.name
            );
            problems.warning("list-of-macs", place, message);
        }
        reader.complete.then_some(reader.members)
    }
}

fn open(read: ReadList<'_>, path: &Value<'_>, problems: &mut Problems) -> Option<Source> {
    let text = path.plain_text().unwrap_or_default();
    match read(path.source(), text) {
        Ok(file) => Some(file),
        Err(why) => {
            path.error(problems, "list-file", format!("the list \"{text}\" can't be read: {why}"));
            None
        }
    }
}

/// Whether a text spells the first octets of a MAC address: with separators, because without them it may be any number.
fn is_mac_prefix(text: &str) -> bool {
    text.contains([':', '-']) && MacPrefix::parse(text.as_bytes()).is_some()
}

/// Reads entries.
struct Reader<'s> {
    subject: &'s Subject,
    members: Members,
    /// How many entries spell MAC addresses, whole or their first octets.
    macs: usize,
    entries: usize,
    complete: bool,
}

impl Reader<'_> {
    fn value(&mut self, value: &Value<'_>, problems: &mut Problems) {
        self.entries += 1;
        if let Some(text) = value.plain_text() {
            self.entry(text, || value.place(), problems);
        } else if let Some(key) = literal::key(self.subject, value, problems) {
            self.members.insert(key.value);
        } else {
            self.complete = false;
        }
    }

    fn file(&mut self, file: &Source, problems: &mut Problems) {
        let mut start = 0;
        for line in file.text().split_inclusive('\n') {
            // A comment starts a line or follows a space: `#` may stand inside of a value.
            let end = line.match_indices('#').map(|(at, _)| at).find(|at| {
                line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
            });
            let entry = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
            let offset = start + (entry.len() - entry.trim_start().len());
            let entry = entry.trim().trim_start_matches('\u{feff}');
            if !entry.is_empty() {
                self.entries += 1;
                self.entry(entry, || file.place(offset), problems);
            }
            start += line.len();
        }
    }

    fn entry(&mut self, text: &str, place: impl FnOnce() -> Place, problems: &mut Problems) {
        let what = match self.subject.kind {
            Kind::Text => {
                self.macs += usize::from(super::super::mac::parse(text.as_bytes()).is_some() || is_mac_prefix(text));
                self.members.insert(Key::Octets(literal::octets(self.subject, text).into()));
                return;
            }
            Kind::Mac => match MacPrefix::parse(text.as_bytes()) {
                Some(prefix) => return self.members.insert_mac(prefix),
                None => "is no MAC address; write twelve hexadecimal digits, or the first ones",
            },
            Kind::Guid => match literal::parse_guid(text) {
                Some(octets) => return self.members.insert(Key::Octets(octets.into())),
                None => "is no device id",
            },
            Kind::Address => match Cidr::parse(text) {
                Some((network, _)) => return self.members.insert_network(network),
                None => "is no IP address or network",
            },
            Kind::Network => match Cidr::parse(text) {
                Some((network, _)) => return self.members.insert(Key::network(network)),
                None => "is no network",
            },
            _ => match self.number(text) {
                Some(number) => return self.members.insert(Key::Number(number)),
                None => "is no number",
            },
        };
        self.complete = false;
        let message = format!("\"{text}\" {what}; the list is compared with {}", self.subject.name);
        problems.error("bad-list-entry", Some(place()), message);
    }

    fn number(&self, text: &str) -> Option<i128> {
        let named = self.subject.attribute().and_then(|attribute| attribute.value(text));
        named.map(i128::from).or_else(|| text.parse().ok())
    }
}
