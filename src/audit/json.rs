//! Writes lines of JSON into a buffer that never grows.
//!
//! Owns names, values and commas. What stands in a line is said by `line` and `attributes`, what is escaped by `escape`.

use std::{
    fmt::{self, Write},
    net::IpAddr,
};

use crate::escape::{escape, is_plain};

use super::digits::{Decimal, Dotted, HexTable, LOWER, hyphenated, six};

/// Lines one behind the other, in as much room as was allocated at the start.
pub(super) struct Lines {
    octets: Box<[u8]>,
    used: usize,
    count: u64,
}

impl Lines {
    /// Room for lines of so many octets in all. The system gives the memory page by page, as it is first used.
    pub(super) fn with_room(octets: usize) -> Self {
        Self { octets: vec![0; octets].into_boxed_slice(), used: 0, count: 0 }
    }

    /// The lines.
    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(..self.used).unwrap_or_default()
    }

    /// How many there are.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Forgets them.
    pub(super) const fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
    }

    /// Adds the line whose members `write` writes. `false`: it did not fit, and nothing of it is left.
    #[inline]
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Line<'_>)) -> bool {
        let room = self.octets.get_mut(self.used..).unwrap_or_default();
        let mut line = Line { room, used: 0, is_full: false };
        line.raw(b"{");
        write(&mut line);
        line.close(b'}', b'\n');
        if line.is_full {
            return false;
        }
        self.used += line.used;
        self.count += 1;
        true
    }
}

/// One line while it is written: an object, and objects and lists in it.
///
/// Every value leaves a comma behind it, which the end of an object or list takes away: so nobody has to know what comes
/// first. What does not fit is left out, and the line as a whole then counts as not written.
pub(super) struct Line<'b> {
    room: &'b mut [u8],
    used: usize,
    is_full: bool,
}

/// The name of a member as it stands in a line, made by [`name`].
#[derive(Clone, Copy)]
pub(super) struct Name(pub(super) &'static str);

/// The [`Name`] of plain ASCII of ours.
macro_rules! name {
    ($name:literal) => {
        const { $crate::audit::json::Name(concat!("\"", $name, "\":")) }
    };
}
pub(super) use name;

impl Line<'_> {
    // Always inlined: what is written is mostly known when it is compiled, and then needs a few moves only.
    #[inline(always)]
    fn raw(&mut self, octets: &[u8]) {
        let end = self.used + octets.len();
        match self.room.get_mut(self.used..end) {
            Some(place) => {
                place.copy_from_slice(octets);
                self.used = end;
            }
            None => self.is_full = true,
        }
    }

    /// Begins a member; its value must follow.
    #[inline(always)]
    pub(super) fn name(&mut self, name: Name) {
        self.raw(name.0.as_bytes());
    }

    /// Begins a member whose name needs no escape.
    #[inline]
    pub(super) fn plain_name(&mut self, name: &'static str) {
        debug_assert!(is_plain(name.as_bytes()), "{name}");
        self.enclosed(name.as_bytes(), *b"\":");
    }

    /// Begins a member whose name may be any text.
    pub(super) fn any_name(&mut self, name: &str) {
        self.enclosed_text(name.as_bytes(), *b"\":");
    }

    /// Begins a member with the name that `Display` writes.
    pub(super) fn shown_name(&mut self, name: impl fmt::Display) {
        self.enclosed_shown(name, *b"\":");
    }

    /// Begins an object or a list: `b'{'` or `b'['`.
    #[inline(always)]
    pub(super) fn open(&mut self, bracket: u8) {
        self.raw(&[bracket]);
    }

    /// Ends it: `b'}'` or `b']'`.
    #[inline(always)]
    pub(super) fn end(&mut self, bracket: u8) {
        self.close(bracket, b',');
    }

    #[inline(always)]
    fn close(&mut self, bracket: u8, then: u8) {
        // No value ends with a comma of its own: texts end with a quote.
        let before = self.used.checked_sub(1);
        if let Some(before) = before.filter(|at| self.room.get(*at) == Some(&b',')) {
            self.used = before;
        }
        self.raw(&[bracket, then]);
    }

    /// A text of any octets: what is not UTF-8 becomes `\xHH`, one for each octet.
    pub(super) fn text(&mut self, octets: &[u8]) {
        self.enclosed_text(octets, *b"\",");
    }

    /// A text.
    pub(super) fn string(&mut self, text: &str) {
        self.text(text.as_bytes());
    }

    /// A word of ours, which needs no escape.
    #[inline(always)]
    pub(super) fn word(&mut self, word: &'static str) {
        debug_assert!(is_plain(word.as_bytes()), "{word}");
        self.quoted(word.as_bytes());
    }

    /// A text that needs no escape.
    #[inline]
    pub(super) fn quoted(&mut self, plain: &[u8]) {
        self.enclosed(plain, *b"\",");
    }

    /// An address as a text.
    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.quoted(Dotted::of(address).octets()),
            IpAddr::V6(address) => self.shown(address),
        }
    }

    /// A text as its `Display` writes it.
    pub(super) fn shown(&mut self, text: impl fmt::Display) {
        self.enclosed_shown(text, *b"\",");
    }

    /// Octets as `0x…`.
    pub(super) fn hex(&mut self, octets: &[u8]) {
        self.raw(b"\"0x");
        octets.iter().for_each(|octet| self.raw(&LOWER[usize::from(*octet)]));
        self.raw(b"\",");
    }

    /// Octets as a text of hexadecimal digits, each at its place in a text with hyphens between them.
    #[inline(always)]
    pub(super) fn hyphenated<const OCTETS: usize, const TEXT: usize>(
        &mut self,
        octets: [u8; OCTETS],
        digits: &HexTable,
        places: [usize; OCTETS],
    ) {
        self.quoted(&hyphenated::<OCTETS, TEXT>(octets, digits, places));
    }

    /// A number.
    pub(super) fn number(&mut self, number: impl Into<u64>) {
        self.raw(Decimal::of(number.into()).with_comma());
    }

    /// Microseconds as a number of seconds.
    pub(super) fn seconds(&mut self, micros: u64) {
        self.raw(Decimal::of(micros / 1_000_000).octets());
        let [a, b, c, d, e, f] = six(micros % 1_000_000);
        self.raw(&[b'.', a, b, c, d, e, f, b',']);
    }

    /// A number that may be negative.
    pub(super) fn signed(&mut self, number: i64) {
        if number < 0 {
            self.raw(b"-");
        }
        self.number(number.unsigned_abs());
    }

    /// `true` or `false`.
    #[inline]
    pub(super) fn boolean(&mut self, truth: bool) {
        if truth {
            self.raw(b"true,");
        } else {
            self.raw(b"false,");
        }
    }

    /// JSON that was made before.
    pub(super) fn json(&mut self, json: &str) {
        self.raw(json.as_bytes());
        self.raw(b",");
    }

    /// A quote, the text as it is, and the end.
    #[inline(always)]
    fn enclosed(&mut self, plain: &[u8], end: [u8; 2]) {
        let used = self.used + plain.len() + 3;
        let Some([open, place @ .., quote, last]) = self.room.get_mut(self.used..used) else {
            self.is_full = true;
            return;
        };
        place.copy_from_slice(plain);
        *open = b'"';
        [*quote, *last] = end;
        self.used = used;
    }

    #[inline]
    fn enclosed_text(&mut self, octets: &[u8], end: [u8; 2]) {
        if is_plain(octets) {
            self.enclosed(octets, end);
        } else {
            self.enclosed_special(octets, end);
        }
    }

    #[cold]
    fn enclosed_special(&mut self, octets: &[u8], end: [u8; 2]) {
        self.raw(b"\"");
        escape(octets, &mut |piece| self.raw(piece));
        self.raw(&end);
    }

    fn enclosed_shown(&mut self, text: impl fmt::Display, end: [u8; 2]) {
        self.raw(b"\"");
        // Its only error is a `Display` that makes one up; what it wrote until then stays.
        let _ = write!(Escaped(self), "{text}");
        self.raw(&end);
    }
}

struct Escaped<'l, 'b>(&'l mut Line<'b>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(text.as_bytes(), &mut |piece| self.0.raw(piece));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn line(room: usize, write: impl FnOnce(&mut Line<'_>)) -> (bool, Vec<u8>) {
        let mut lines = Lines::with_room(room);
        let fits = lines.add(write);
        assert_eq!(lines.count(), u64::from(fits));
        (fits, lines.octets().to_vec())
    }

    fn text_of(octets: &[u8]) -> String {
        let (fits, out) = line(4096, |line| {
            line.name(name!("text"));
            line.text(octets);
        });
        assert!(fits);
        let value: Value = serde_json::from_slice(&out).expect("a line is JSON");
        value["text"].as_str().expect("a text").to_owned()
    }

    #[test]
    fn members_lists_and_objects_have_their_commas() {
        let (_, out) = line(4096, |line| {
            line.name(name!("a"));
            line.number(0u32);
            line.name(name!("b"));
            line.open(b'[');
            line.text(b"x");
            line.number(u64::MAX);
            line.open(b'{');
            line.end(b'}');
            line.end(b']');
            line.any_name("c\"");
            line.signed(-7);
            line.name(name!("d"));
            line.boolean(true);
            line.name(name!("e"));
            line.json("{}");
            line.name(name!("f"));
            line.hex(&[0, 0xff]);
            line.name(name!("g"));
            line.address([192, 0, 2, 10].into());
            line.name(name!("h"));
            line.address("2001:db8::1".parse().unwrap());
            line.name(name!("i"));
            line.seconds(4_966_130);
            line.name(name!("j"));
            line.seconds(7);
        });
        let expected = r#"{"a":0,"b":["x",18446744073709551615,{}],"c\"":-7,"d":true,"e":{},"f":"0x00ff","g":"192.0.2.10","h":"2001:db8::1","i":4.966130,"j":0.000007}"#;
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn octets_that_are_no_text_are_shown_one_by_one() {
        assert_eq!(text_of(b"caf\xe9 \xff\xfe"), "caf\\xe9 \\xff\\xfe");
        assert_eq!(text_of("café".as_bytes()), "café");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_written_as_it_is() {
        let (_, out) = line(4096, |line| {
            line.name(name!("text"));
            line.text("\x1b[31m\u{9b}31m\x07\x7f\r\n".as_bytes());
        });
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "{\"text\":\"\\u001b[31m\\u009b31m\\u0007\\u007f\\r\\n\"}\n");
    }

    #[test]
    fn a_line_that_does_not_fit_leaves_nothing_behind() {
        let mut lines = Lines::with_room(64);
        assert!(lines.add(|line| line.quoted(b"before")));
        let before = lines.octets().to_vec();
        let long = |line: &mut Line<'_>| {
            line.name(name!("text"));
            line.text(&[b'x'; 100]);
        };
        assert!(!lines.add(long));
        assert_eq!((lines.octets(), lines.count()), (&before[..], 1));
    }

    fn escaped(octets: &[u8]) -> String {
        let mut out = b"{\"".to_vec();
        escape(octets, &mut |piece| out.extend_from_slice(piece));
        String::from_utf8(out).expect("it is text") + "\"}\n"
    }

    /// Texts as they come: mostly plain, with something else here and there.
    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![8 => b' '..=b'~', 1 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\')];
        let text = ".{0,20}".prop_map(String::into_bytes);
        prop_oneof![proptest::collection::vec(octet, 0..100), proptest::collection::vec(b' '..=b'~', 0..100), text]
    }

    proptest! {
        #[test]
        fn a_text_is_escaped_whether_it_looks_plain_or_not(octets in octets()) {
            let (_, out) = line(4096, |line| line.text(&octets));
            prop_assert_eq!(String::from_utf8(out).unwrap(), escaped(&octets));
        }

        #[test]
        fn any_octets_make_a_line_of_json(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let read = text_of(&octets);
            if let Ok(text) = std::str::from_utf8(&octets) {
                prop_assert_eq!(read, text);
            }
        }

        #[test]
        fn any_text_is_shown_in_one_line(text in any::<String>()) {
            let (_, out) = line(1 << 16, |line| { line.any_name(&text); line.shown(&text); });
            prop_assert_eq!(out.iter().filter(|octet| **octet == b'\n').count(), 1);
            let value: Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(value[&text].as_str(), Some(text.as_str()));
        }

        #[test]
        fn a_buffer_of_any_size_holds_whole_lines_only(capacity in 0usize..200, text in any::<String>()) {
            let (fits, out) = line(capacity, |line| { line.name(name!("text")); line.shown(&text); });
            prop_assert_eq!(fits, out.ends_with(b"}\n"));
            prop_assert_eq!(fits, !out.is_empty());
        }
    }
}
