//! Lists of attributes as `radclient` reads and prints them.
//!
//! Owns the syntax of such lists; what a value means is the matter of `encode` and `value`. A list says nothing of the
//! packet's code, and nothing in it is hidden or signed.

use std::fmt::{self, Write};

use super::{
    access,
    index::{Attribute, Dictionary},
    path::TooLong,
    text::{self, Unquoted},
};
use crate::{
    document::Source,
    limits,
    problem::{Place, Problems, did_you_mean},
};

/// One attribute of a list with its content.
#[derive(Clone)]
pub struct Pair {
    /// The attribute.
    pub attribute: Attribute,
    /// 1 to 31, or 0 for none.
    pub tag: u8,
    /// As it stands in a packet behind the attribute's header, tag included; of a hidden attribute the plain content
    /// without the tag, still to be hidden.
    pub content: Vec<u8>,
}

impl Pair {
    /// Appends the attribute with its header to `out`. A hidden attribute has to be hidden before.
    ///
    /// # Errors
    /// [`TooLong`] if the content does not fit.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        self.attribute.path().write(&self.content, self.attribute.flags().concat, out)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.attribute.show(&self.content).fmt(f)
    }
}

// Passwords stand in such lists in plain text, so the content is shown as `Display` shows it.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({self})")
    }
}

/// The attributes of a packet, one to a line, as `radclient` prints them. Secret content is left out.
///
/// `attributes`: the octets of a checked packet behind its header.
#[must_use]
pub fn print(dictionary: &Dictionary, attributes: &[u8]) -> String {
    let mut out = String::new();
    for (path, content) in access::walk(dictionary, attributes) {
        let attribute = dictionary.at_or_unknown(&path);
        let written = writeln!(out, "{}", attribute.show(content));
        debug_assert!(written.is_ok(), "a string takes everything");
    }
    out
}

/// Reads a list: `Name = value`, one to a line or separated by commas, `#` before comments.
///
/// `:=`, `+=` and `==` mean the same as `=`. A tag stands behind the name, as in `Tunnel-Type:1 = VLAN`. The numbers in
/// parentheses that a FreeRADIUS log puts before its lines are passed over. Every mistake becomes a problem with its
/// place; the rest is kept.
#[must_use]
pub fn parse(source: &Source, dictionary: &Dictionary, problems: &mut Problems) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut reader = Reader { source, dictionary, at: 0 };
    // A list of another packet follows an empty line; joined they would make a request that nobody sent.
    let mut ended = false;
    for line in source.text().split_inclusive('\n') {
        let start = reader.at;
        if line.trim().is_empty() {
            ended = !pairs.is_empty();
        } else if ended && !line.trim_start().starts_with('#') {
            let message = "an empty line ends the list, and only one is read; remove the line or what follows";
            problems.error("second-list", Some(source.place(start)), message);
            break;
        } else if !reader.line(line, &mut pairs, problems) {
            break;
        }
        reader.at = start + line.len();
    }
    pairs
}

/// Reads one line after the other; `at` is the octet at which the next word starts.
struct Reader<'r> {
    source: &'r Source,
    dictionary: &'r Dictionary,
    at: usize,
}

/// A mistake: at which octet, its code, and the message.
type Mistake = (usize, &'static str, String);

impl<'r> Reader<'r> {
    /// Reads the pairs of one line; false if there are too many in all.
    fn line(&mut self, line: &str, pairs: &mut Vec<Pair>, problems: &mut Problems) -> bool {
        let end = self.at + line.trim_end().len();
        self.at += log_prefix(line);
        loop {
            self.skip(end, |c| c.is_whitespace() || c == ',' || c == '\u{feff}');
            if self.rest(end).is_empty() || self.rest(end).starts_with('#') {
                return true;
            }
            if pairs.len() >= limits::ATTRIBUTES_MAX {
                let message = format!("more than {} attributes; a packet has room for no more", limits::ATTRIBUTES_MAX);
                problems.error("too-many-attributes", self.place(self.at), message);
                return false;
            }
            match self.pair(end) {
                Ok(pair) => pairs.push(pair),
                Err((at, code, message)) => {
                    problems.error(code, self.place(at), message);
                    // Where the next pair starts is unknown after a mistake in the syntax.
                    if code == "list-syntax" {
                        return true;
                    }
                }
            }
        }
    }

    fn pair(&mut self, end: usize) -> Result<Pair, Mistake> {
        let start = self.at;
        let head = self.rest(end).split(['=', ',', '#', '"', '\'']).next().unwrap_or("");
        self.at += head.len();
        if !self.rest(end).starts_with('=') {
            return Err((start, "list-syntax", format!("\"{}\" is no attribute; write Name = value", head.trim())));
        }
        self.at += if self.rest(end).starts_with("==") { 2 } else { 1 };
        let name = head.trim_end();
        let name = name.strip_suffix([':', '+']).unwrap_or(name).trim_end();
        let operator = name.ends_with(['!', '<', '>', '-', '^', '|']) || self.rest(end).starts_with(['~', '*']);
        if operator || name.contains(char::is_whitespace) {
            let message = format!("\"{}\" does not assign a value; write Name = value", head.trim());
            return Err((start, "list-syntax", message));
        }
        let (name, tag) = split_tag(name, start)?;
        let (value, value_at) = self.value(end)?;
        let attribute = self.attribute(name, start)?;
        let content = match str::from_utf8(&value) {
            Ok(value) => attribute.encode(tag, value).map_err(|error| error.message(&attribute, value)),
            Err(_) => attribute
                .encode_octets(tag, &value)
                .map_err(|error| error.message(&attribute, &String::from_utf8_lossy(&value))),
        };
        let content = content.map_err(|message| (value_at, "wrong-value", message))?;
        Ok(Pair { attribute, tag, content })
    }

    /// The octets of a value, and where it starts.
    fn value(&mut self, end: usize) -> Result<(Vec<u8>, usize), Mistake> {
        self.skip(end, char::is_whitespace);
        let at = self.at;
        let rest = self.rest(end);
        if !rest.starts_with(['"', '\'']) {
            let word = rest.split(|c: char| c.is_whitespace() || c == ',' || c == '#').next().unwrap_or("");
            if word.is_empty() {
                return Err((at, "list-syntax", "the value is missing; write Name = value".into()));
            }
            self.at += word.len();
            let value = word.as_bytes().to_vec();
            self.check_end(end)?;
            return Ok((value, at));
        }
        match text::read_quoted(rest) {
            Ok((value, length)) => {
                self.at += length;
                self.check_end(end)?;
                Ok((value, at))
            }
            Err(Unquoted::NotClosed) => {
                Err((at, "list-syntax", "the quote is not closed; close it on the same line".into()))
            }
            Err(Unquoted::Escape(offset)) => {
                let message =
                    "the backslash starts no known escape; write \\\\ for a backslash, \\n, \\t, \\\" or \\ooo";
                Err((at + offset, "list-syntax", message.into()))
            }
        }
    }

    /// Behind a value there is a comma, a comment or nothing.
    fn check_end(&mut self, end: usize) -> Result<(), Mistake> {
        self.skip(end, char::is_whitespace);
        let rest = self.rest(end);
        if rest.is_empty() || rest.starts_with([',', '#']) {
            return Ok(());
        }
        let message = "more text follows the value; put a comma between attributes and quotes around text with blanks";
        Err((self.at, "list-syntax", message.into()))
    }

    fn attribute(&self, name: &str, at: usize) -> Result<Attribute, Mistake> {
        self.dictionary.resolve(name).ok_or_else(|| {
            let suggestion = did_you_mean(name, self.dictionary.attributes().map(Attribute::name));
            let advice =
                super::build::or_advice(suggestion, "define it in a dictionary, or write Attr-26.vendor.number");
            (at, "unknown-attribute", format!("there is no attribute \"{name}\"{advice}"))
        })
    }

    fn skip(&mut self, end: usize, blank: impl Fn(char) -> bool) {
        let rest = self.rest(end);
        self.at += rest.len() - rest.trim_start_matches(blank).len();
    }

    fn rest(&self, end: usize) -> &'r str {
        self.source.text().get(self.at..end).unwrap_or("")
    }

    fn place(&self, at: usize) -> Option<Place> {
        Some(self.source.place(at))
    }
}

/// The octets of `(12)` before a line of a log.
fn log_prefix(line: &str) -> usize {
    let rest = line.trim_start();
    let Some(number) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(number, _)| number) else {
        return 0;
    };
    let is_number = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    if is_number { line.len() - rest.len() + number.len() + 2 } else { 0 }
}

/// The name and the tag of `Tunnel-Type:1`.
fn split_tag(name: &str, at: usize) -> Result<(&str, u8), Mistake> {
    let Some((name, tag)) = name.rsplit_once(':') else { return Ok((name, 0)) };
    if tag.is_empty() || !tag.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err((at + name.len() + 1, "bad-tag", format!("\"{tag}\" is no tag; write a number from 0 to 31")));
    }
    // What does not fit an octet is above 31 as well, and is refused with the value.
    Ok((name, tag.parse().unwrap_or(u8::MAX)))
}
