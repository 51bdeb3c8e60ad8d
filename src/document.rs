//! Reads an operator's TOML so that every value knows its place and every mistake is found in one go.
//!
//! Owns syntax, types and unknown keys. What the keys mean belongs to the folders that read them; files are opened by
//! the caller. Why not serde alone: it stops at the first error, and an admin with six mistakes wants six messages.

use std::{cell::RefCell, collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    limits,
    problem::{Place, Problems},
};

/// The text of one file and its name.
#[derive(Clone, Debug)]
pub struct Source {
    name: Arc<str>,
    text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// `name`: as the operator would name the file. `text`: its content.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), text, line_starts }
    }

    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of the octet `offset`.
    #[must_use]
    pub fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.line_starts.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or("");
        Place { file: Arc::clone(&self.name), line: count(line + 1), column: count(before.chars().count() + 1) }
    }

    /// Parses the text. Syntax errors are reported, all of them, and then there is no tree.
    #[must_use]
    pub fn parse<'t>(&'t self, problems: &mut Problems) -> Option<Tree<'t>> {
        if self.text.len() > limits::FILE_OCTETS_MAX {
            problems.error(
                "file-too-large",
                Some(Place::whole(Arc::clone(&self.name))),
                format!(
                    "{} octets are more than the {} allowed; split the file",
                    self.text.len(),
                    limits::FILE_OCTETS_MAX
                ),
            );
            return None;
        }
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if errors.is_empty() {
            return Some(Tree { source: self, table });
        }
        let mut told = None;
        for error in errors {
            let whole = || Place::whole(Arc::clone(&self.name));
            let place = error.span().map_or_else(whole, |span| self.place(span.start));
            let what = match error.message() {
                // The parser tells no place for it.
                "recursion limit" => {
                    "keys or values nest too deeply; no file of radmit needs more than a few levels".into()
                }
                other => other.replace('\n', ", "),
            };
            let mistake = (place, format!("not valid TOML: {what}"));
            // Where much was open at the end of the file, the same is missing there many times.
            if told.as_ref() != Some(&mistake) {
                problems.error("syntax", Some(mistake.0.clone()), mistake.1.clone());
                told = Some(mistake);
            }
        }
        None
    }
}

/// A parsed file.
#[derive(Debug)]
pub struct Tree<'t> {
    source: &'t Source,
    table: Spanned<DeTable<'t>>,
}

impl<'t> Tree<'t> {
    /// The top of the file.
    #[must_use]
    pub fn root(&'t self) -> Table<'t> {
        Table::new(self.source, self.table.get_ref(), self.table.span(), String::new())
    }
}

/// A table whose keys are asked for one by one; what nobody asked for is unknown.
#[derive(Debug)]
pub struct Table<'t> {
    source: &'t Source,
    entries: &'t DeTable<'t>,
    span: Range<usize>,
    path: String,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'t> Table<'t> {
    fn new(source: &'t Source, entries: &'t DeTable<'t>, span: Range<usize>, path: String) -> Self {
        Self { source, entries, span, path, asked: RefCell::default() }
    }

    /// Where the table stands.
    #[must_use]
    pub fn place(&self) -> Place {
        self.source.place(self.span.start)
    }

    /// The keys that lead here, joined with dots; empty at the top.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file.
    #[must_use]
    pub const fn source(&self) -> &'t Source {
        self.source
    }

    /// The value of `key`, if it is there. From now on the key counts as known.
    pub fn ask(&self, key: &'static str) -> Option<Value<'t>> {
        self.asked.borrow_mut().insert(key);
        let (name, value) = self.entries.get_key_value(key)?;
        Some(self.value(name.get_ref(), name.span(), value))
    }

    /// Every entry in the order of the file, for tables whose keys are names of the operator's.
    #[must_use]
    pub fn entries(&self) -> Vec<Value<'t>> {
        let mut entries: Vec<Value<'t>> =
            self.entries.iter().map(|(name, value)| self.value(name.get_ref(), name.span(), value)).collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        entries
    }

    fn value(&self, key: &'t str, key_span: Range<usize>, value: &'t Spanned<DeValue<'t>>) -> Value<'t> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Value { source: self.source, key, key_span, value, path }
    }

    /// The text of `key`.
    pub fn text(&self, key: &'static str, problems: &mut Problems) -> Option<&'t str> {
        self.ask(key)?.text(problems)
    }

    /// The truth value of `key`.
    pub fn boolean(&self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        self.ask(key)?.boolean(problems)
    }

    /// The whole number of `key`, between `from` and `to`.
    pub fn integer(&self, key: &'static str, from: i64, to: i64, problems: &mut Problems) -> Option<i64> {
        self.ask(key)?.integer(from, to, problems)
    }

    /// The duration of `key`, such as `"90s"`.
    pub fn duration(&self, key: &'static str, problems: &mut Problems) -> Option<Duration> {
        self.ask(key)?.duration(problems)
    }

    /// The table of `key`.
    pub fn table(&self, key: &'static str, problems: &mut Problems) -> Option<Self> {
        self.ask(key)?.table(problems)
    }

    /// The tables of `[[key]]`; none if the key is absent.
    pub fn tables(&self, key: &'static str, problems: &mut Problems) -> Vec<Self> {
        let Some(value) = self.ask(key) else { return Vec::new() };
        let DeValue::Array(_) = value.value.get_ref() else {
            value.error(problems, "wrong-type", format!("write [[{key}]] with two brackets; each one adds an entry"));
            return Vec::new();
        };
        value.array(problems).iter().filter_map(|entry| entry.table(problems)).collect()
    }

    /// A list of texts, or one text that stands for a list of one.
    pub fn texts(&self, key: &'static str, problems: &mut Problems) -> Option<Vec<Value<'t>>> {
        let value = self.ask(key)?;
        let values =
            if matches!(value.value.get_ref(), DeValue::Array(_)) { value.array(problems) } else { vec![value] };
        Some(values.into_iter().filter(|value| value.text(problems).is_some()).collect())
    }

    /// Requires `version = 1` and reports anything else.
    pub fn require_version(&self, problems: &mut Problems) {
        match self.ask("version") {
            None => problems.error(
                "version-missing",
                Some(Place { line: 1, column: 1, ..self.place() }),
                "the file has no version; start it with: version = 1",
            ),
            Some(value) if value.plain_integer() != Some(1) => {
                value.error(problems, "version-unknown", "this version of the format is unknown; write: version = 1");
            }
            Some(_) => {}
        }
    }

    /// Reports a missing `key`.
    pub fn missing(&self, key: &str, advice: &str, problems: &mut Problems) {
        let of = if self.path.is_empty() { "the file".to_owned() } else { format!("[{}]", self.path) };
        problems.error("key-missing", Some(self.place()), format!("{of} has no \"{key}\"; {advice}"));
    }

    /// Reports every key that nobody asked for. Call it when all known keys were asked.
    pub fn finish(&self, problems: &mut Problems) {
        let asked = self.asked.borrow();
        for entry in self.entries() {
            if !asked.contains(entry.key) {
                let nearest = problems.suggest(entry.key, asked.iter().copied());
                let advice = if nearest.is_empty() { self.known_keys(&asked) } else { nearest };
                entry.error_at_key(problems, "unknown-key", format!("unknown key \"{}\"{advice}", entry.path));
            }
        }
    }

    fn known_keys(&self, asked: &BTreeSet<&'static str>) -> String {
        let of = if self.path.is_empty() { "here".to_owned() } else { format!("in [{}]", self.path) };
        format!("; {of} there are: {}", asked.iter().copied().collect::<Vec<_>>().join(", "))
    }
}

/// A value, its key and its place.
#[derive(Clone, Debug)]
pub struct Value<'t> {
    source: &'t Source,
    key: &'t str,
    key_span: Range<usize>,
    value: &'t Spanned<DeValue<'t>>,
    path: String,
}

impl<'t> Value<'t> {
    /// The key, or of an array's element the key of the array.
    #[must_use]
    pub const fn key(&self) -> &'t str {
        self.key
    }

    /// The keys that lead here, joined with dots.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the value stands.
    #[must_use]
    pub fn place(&self) -> Place {
        self.source.place(self.value.span().start)
    }

    /// Where the key stands.
    #[must_use]
    pub fn key_place(&self) -> Place {
        self.source.place(self.key_span.start)
    }

    /// The file.
    #[must_use]
    pub const fn source(&self) -> &'t Source {
        self.source
    }

    /// Which kind of value it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.value.get_ref() {
            DeValue::String(_) => Kind::Text,
            DeValue::Integer(_) => Kind::Integer,
            DeValue::Float(_) => Kind::Float,
            DeValue::Boolean(_) => Kind::Boolean,
            DeValue::Datetime(_) => Kind::Date,
            DeValue::Array(_) => Kind::Array,
            DeValue::Table(_) => Kind::Table,
        }
    }

    /// Reports an error at the value.
    pub fn error(&self, problems: &mut Problems, code: &'static str, message: impl Into<String>) {
        problems.error(code, Some(self.place()), message);
    }

    /// Reports a warning at the value.
    pub fn warning(&self, problems: &mut Problems, code: &'static str, message: impl Into<String>) {
        problems.warning(code, Some(self.place()), message);
    }

    /// Reports a hint at the value.
    pub fn hint(&self, problems: &mut Problems, code: &'static str, message: impl Into<String>) {
        problems.hint(code, Some(self.place()), message);
    }

    /// Reports an error at the key.
    pub fn error_at_key(&self, problems: &mut Problems, code: &'static str, message: impl Into<String>) {
        problems.error(code, Some(self.key_place()), message);
    }

    fn wrong_type<T>(&self, problems: &mut Problems, wanted: &str) -> Option<T> {
        let got = self.kind().name();
        self.error(problems, "wrong-type", format!("\"{}\" is {got}; write {wanted}", self.path));
        None
    }

    /// The text.
    pub fn text(&self, problems: &mut Problems) -> Option<&'t str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type(problems, "a text in quotes"),
        }
    }

    /// The text, if it is one; reports nothing.
    #[must_use]
    pub fn plain_text(&self) -> Option<&'t str> {
        if let DeValue::String(text) = self.value.get_ref() { Some(text) } else { None }
    }

    /// The truth value, if it is one; reports nothing.
    #[must_use]
    pub fn plain_boolean(&self) -> Option<bool> {
        if let DeValue::Boolean(value) = self.value.get_ref() { Some(*value) } else { None }
    }

    /// The whole number, if it is one that fits; reports nothing.
    #[must_use]
    pub fn plain_integer(&self) -> Option<i64> {
        let DeValue::Integer(integer) = self.value.get_ref() else { return None };
        i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
    }

    /// The truth value.
    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        self.plain_boolean().or_else(|| self.wrong_type(problems, "true or false"))
    }

    /// The whole number between `from` and `to`.
    pub fn integer(&self, from: i64, to: i64, problems: &mut Problems) -> Option<i64> {
        if self.kind() != Kind::Integer {
            return self.wrong_type(problems, "a whole number");
        }
        match self.plain_integer() {
            Some(number) if (from..=to).contains(&number) => Some(number),
            _ => {
                self.error(problems, "out-of-range", format!("\"{}\" must be between {from} and {to}", self.path));
                None
            }
        }
    }

    /// The duration: a number and a unit of ms, s, m, h, d, also several of them such as `"1h30m"`.
    pub fn duration(&self, problems: &mut Problems) -> Option<Duration> {
        const ADVICE: &str = "a duration with a unit (ms, s, m, h, d), such as \"90s\", \"4h\" or \"7d\"";
        if self.kind() != Kind::Text {
            return self.wrong_type(problems, ADVICE);
        }
        let text = self.plain_text()?;
        let duration = parse_duration(text);
        if duration.is_none() {
            self.error(problems, "bad-duration", format!("\"{text}\" is no duration; write {ADVICE}"));
        }
        duration
    }

    /// The table.
    pub fn table(&self, problems: &mut Problems) -> Option<Table<'t>> {
        match self.value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(self.source, entries, self.value.span(), self.path.clone())),
            _ => self.wrong_type(problems, "a table, { … } or [ ] as a header"),
        }
    }

    /// The elements of an array.
    pub fn array(&self, problems: &mut Problems) -> Vec<Self> {
        let DeValue::Array(array) = self.value.get_ref() else {
            self.wrong_type::<()>(problems, "a list, [ … ]");
            return Vec::new();
        };
        array.iter().map(|value| Value { value, ..self.clone() }).collect()
    }

    /// The text of the value as it stands in the file, for messages. Never call it on what may hold a secret.
    #[must_use]
    pub fn as_written(&self) -> &'t str {
        self.source.text.get(self.value.span()).unwrap_or("")
    }
}

/// The kinds of TOML values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `"…"`
    Text,
    /// `1`
    Integer,
    /// `1.5`
    Float,
    /// `true`
    Boolean,
    /// `2026-11-22`
    Date,
    /// `[ … ]`
    Array,
    /// `{ … }`
    Table,
}

impl Kind {
    /// The kind with its article, for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Float => "a decimal number",
            Self::Boolean => "true or false",
            Self::Date => "a date",
            Self::Array => "a list",
            Self::Table => "a table",
        }
    }
}

/// Parses `"90s"`, `"1h30m"`, `"1500ms"`. Nothing else: no spaces, no signs, no bare numbers, no fractions.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let after = rest.get(digits..)?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let millis = match after.get(..letters)? {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = after.get(letters..)?;
    }
    // A hundred years: more is a slip of the pen, and sums of such times must not overflow anywhere.
    (total <= Duration::from_secs(100 * 366 * 86_400)).then_some(total)
}

/// Writes a duration as an operator would: `"4h"`, `"1m30s"`, `"250ms"`.
#[must_use]
pub fn write_duration(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if millis >= size {
            text.push_str(&format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str, read: impl FnOnce(&Table<'_>, &mut Problems)) -> Vec<String> {
        let source = Source::new("x.toml", text);
        let mut problems = Problems::new();
        if let Some(tree) = source.parse(&mut problems) {
            read(&tree.root(), &mut problems);
        }
        problems.sorted().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest_right_one() {
        let found = problems_of("version = 1\n\n[server]\nreject-dely = \"1s\"\n", |root, problems| {
            root.require_version(problems);
            let server = root.table("server", problems).unwrap();
            server.duration("reject-delay", problems);
            server.finish(problems);
        });
        assert_eq!(found, ["x.toml:4:1: unknown key \"server.reject-dely\"; did you mean \"reject-delay\"?"]);
    }

    #[test]
    fn all_syntax_errors_come_at_once() {
        let found = problems_of("a = \nb = [1, 2\nc = 'x\n", |_, _| {});
        assert!(found.len() >= 2, "{found:?}");
        assert!(found[0].starts_with("x.toml:1:"), "{found:?}");
    }

    #[test]
    fn columns_count_characters() {
        let found = problems_of("\"ä\" = 1\n\"üü\" = 2\n", |root, problems| {
            for entry in root.entries() {
                entry.text(problems);
            }
        });
        assert_eq!(found[1], "x.toml:2:8: \"üü\" is a whole number; write a text in quotes");
    }

    #[test]
    fn a_mistake_of_syntax_is_told_once_and_always_with_its_file() {
        assert_eq!(problems_of("a = [[[[", |_, _| ()).len(), 1);
        let deep = format!("{}b = 1\n", "a.".repeat(100_000));
        assert_eq!(
            problems_of(&deep, |_, _| ()),
            ["x.toml: not valid TOML: keys or values nest too deeply; no file of radmit needs more than a few levels"]
        );
    }

    #[test]
    fn durations_need_units() {
        assert_eq!(parse_duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_duration("1500ms"), Some(Duration::from_millis(1500)));
        for wrong in ["", "90", "s", "1.5h", "-1s", " 1s", "1 s", "99999999999999999999s", "9999999d"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_written_duration_reads_back() {
        for millis in [0, 1, 999, 1_000, 90_000, 5_400_000, 86_400_000 * 7] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&write_duration(duration)), Some(duration));
        }
    }

    #[test]
    fn a_file_without_version_says_what_to_write() {
        let found = problems_of("a = 1\n", |root, problems| root.require_version(problems));
        assert_eq!(found, ["x.toml:1:1: the file has no version; start it with: version = 1"]);
    }
}
