//! Writes one line of JSON into a buffer that never grows.
//!
//! Owns escaping and commas. What stands in a line is said by `line` and `attributes`.

use std::{
    fmt::{self, Write},
    net::IpAddr,
};

/// One line while it is written: an object, and objects and lists in it.
///
/// What does not fit any more is left out, and the line says so when it is asked; then the caller takes it back.
pub(super) struct Line<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    is_full: bool,
    needs_comma: bool,
}

impl<'b> Line<'b> {
    /// Begins a line at the end of `out`. It may use what `out` has allocated and no more.
    pub(super) fn begin(out: &'b mut Vec<u8>) -> Self {
        let start = out.len();
        let mut line = Self { out, start, is_full: false, needs_comma: false };
        line.raw(b"{");
        line
    }

    /// Ends the line. `false`: it did not fit, and nothing of it is left in the buffer.
    pub(super) fn end(mut self) -> bool {
        self.raw(b"}\n");
        if self.is_full {
            self.out.truncate(self.start);
        }
        !self.is_full
    }

    #[inline]
    fn raw(&mut self, octets: &[u8]) {
        if self.is_full || octets.len() > self.out.capacity() - self.out.len() {
            self.is_full = true;
        } else {
            self.out.extend_from_slice(octets);
        }
    }

    fn comma(&mut self) {
        if self.needs_comma {
            self.raw(b",");
        }
        self.needs_comma = true;
    }

    /// Begins a member; its value must follow. `name`: plain ASCII of ours.
    pub(super) fn name(&mut self, name: &str) {
        self.raw(if self.needs_comma { b",\"" } else { b"\"" });
        self.raw(name.as_bytes());
        self.raw(b"\":");
        self.needs_comma = false;
    }

    /// Begins a member whose name may hold anything.
    pub(super) fn any_name(&mut self, name: impl fmt::Display) {
        self.shown(name);
        self.raw(b":");
        self.needs_comma = false;
    }

    /// Begins an object or a list: `b"{"` or `b"["`.
    pub(super) fn open(&mut self, bracket: &[u8]) {
        self.comma();
        self.raw(bracket);
        self.needs_comma = false;
    }

    /// Ends it: `b"}"` or `b"]"`.
    pub(super) fn close(&mut self, bracket: &[u8]) {
        self.raw(bracket);
        self.needs_comma = true;
    }

    /// A text of any octets: what is not UTF-8 becomes `\xHH`, one for each octet.
    pub(super) fn text(&mut self, octets: &[u8]) {
        self.comma();
        self.raw(b"\"");
        match std::str::from_utf8(octets) {
            Ok(text) => self.escaped(text),
            Err(_) => {
                for chunk in octets.utf8_chunks() {
                    self.escaped(chunk.valid());
                    for octet in chunk.invalid() {
                        // A backslash for whoever reads the text, so two in JSON.
                        self.written(format_args!("\\\\x{octet:02x}"));
                    }
                }
            }
        }
        self.raw(b"\"");
    }

    /// A text.
    pub(super) fn string(&mut self, text: &str) {
        self.comma();
        self.raw(b"\"");
        self.escaped(text);
        self.raw(b"\"");
    }

    /// An address as a text. IPv4 by hand, for it stands in every line.
    pub(super) fn address(&mut self, address: IpAddr) {
        let IpAddr::V4(address) = address else { return self.shown(address) };
        self.comma();
        self.raw(b"\"");
        for (at, octet) in address.octets().into_iter().enumerate() {
            if at > 0 {
                self.raw(b".");
            }
            self.digits(octet.into(), 1);
        }
        self.raw(b"\"");
    }

    /// A text as its `Display` writes it.
    pub(super) fn shown(&mut self, text: impl fmt::Display) {
        self.comma();
        self.raw(b"\"");
        // Its only error is a `Display` that makes one up; what it wrote until then stays.
        let _ = write!(Escaped(self), "{text}");
        self.raw(b"\"");
    }

    /// Octets as `0x…`.
    pub(super) fn hex(&mut self, octets: &[u8]) {
        self.comma();
        self.raw(b"\"0x");
        octets.iter().for_each(|octet| self.raw(&hex_digits(*octet, LOWER)));
        self.raw(b"\"");
    }

    /// Octets as a text of hexadecimal digits with a hyphen before each place in `hyphens`. By hand: `Display` of a GUID
    /// takes longer than the rest of a line.
    pub(super) fn grouped_hex(&mut self, octets: &[u8], digits: &[u8; 16], hyphens: &[usize]) {
        self.comma();
        self.raw(b"\"");
        for (at, octet) in octets.iter().enumerate() {
            if hyphens.contains(&at) {
                self.raw(b"-");
            }
            self.raw(&hex_digits(*octet, digits));
        }
        self.raw(b"\"");
    }

    /// A number.
    pub(super) fn number(&mut self, number: impl Into<u64>) {
        self.comma();
        self.digits(number.into(), 1);
    }

    /// A number of at least so many digits, at most 20. By hand: `Display` takes many times as long.
    fn digits(&mut self, number: u64, at_least: usize) {
        let mut digits = [b'0'; 20];
        let (mut rest, mut at) = (number, digits.len());
        while rest > 0 {
            at -= 1;
            if let (Some(place), Ok(digit)) = (digits.get_mut(at), u8::try_from(rest % 10)) {
                *place = b'0' + digit;
            }
            rest /= 10;
        }
        let from = at.min(digits.len() - at_least);
        self.raw(digits.get(from..).unwrap_or_default());
    }

    /// Microseconds as a number of seconds.
    pub(super) fn seconds(&mut self, micros: u64) {
        self.comma();
        self.digits(micros / 1_000_000, 1);
        self.raw(b".");
        self.digits(micros % 1_000_000, 6);
    }

    /// A number that may be negative.
    pub(super) fn signed(&mut self, number: i64) {
        self.comma();
        self.written(format_args!("{number}"));
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, truth: bool) {
        self.comma();
        self.raw(if truth { b"true" } else { b"false" });
    }

    /// JSON that was made before.
    pub(super) fn json(&mut self, json: &str) {
        self.comma();
        self.raw(json.as_bytes());
    }

    fn written(&mut self, text: fmt::Arguments<'_>) {
        let _ = Raw(self).write_fmt(text);
    }

    /// Text inside of quotes. What needs no escape is copied at once.
    fn escaped(&mut self, text: &str) {
        // C0, DEL and C1 (which begins with 0xC2): a terminal that shows the log must not obey what a stranger wrote.
        // All octets are looked at without a branch, so that the compiler takes sixteen at a time.
        let is_special =
            |octet: u8| (octet < 0x20) | (octet == b'"') | (octet == b'\\') | (octet == 0x7f) | (octet == 0xc2);
        if !text.bytes().fold(false, |found, octet| found | is_special(octet)) {
            return self.raw(text.as_bytes());
        }
        let mut from = 0;
        for (at, c) in text.char_indices() {
            if !matches!(c, '"' | '\\' | '\0'..='\x1f' | '\x7f'..='\u{9f}') {
                continue;
            }
            self.raw(text.as_bytes().get(from..at).unwrap_or_default());
            match c {
                '"' => self.raw(b"\\\""),
                '\\' => self.raw(b"\\\\"),
                '\n' => self.raw(b"\\n"),
                '\r' => self.raw(b"\\r"),
                '\t' => self.raw(b"\\t"),
                other => self.written(format_args!("\\u{:04x}", u32::from(other))),
            }
            from = at + c.len_utf8();
        }
        self.raw(text.as_bytes().get(from..).unwrap_or_default());
    }
}

/// Digits of hexadecimal numbers.
pub(super) const LOWER: &[u8; 16] = b"0123456789abcdef";
/// The same in upper case.
pub(super) const UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn hex_digits(octet: u8, digits: &[u8; 16]) -> [u8; 2] {
    [octet >> 4, octet & 0x0f].map(|half| digits.get(usize::from(half)).copied().unwrap_or(b'?'))
}

struct Raw<'l, 'b>(&'l mut Line<'b>);

impl Write for Raw<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.raw(text.as_bytes());
        Ok(())
    }
}

struct Escaped<'l, 'b>(&'l mut Line<'b>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.escaped(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn line(capacity: usize, write: impl FnOnce(&mut Line<'_>)) -> (bool, Vec<u8>) {
        let mut out = Vec::with_capacity(capacity);
        let allocated = out.capacity();
        let mut line = Line::begin(&mut out);
        write(&mut line);
        let fits = line.end();
        assert_eq!(out.capacity(), allocated, "a line never makes its buffer grow");
        (fits, out)
    }

    fn text_of(octets: &[u8]) -> String {
        let (fits, out) = line(4096, |line| {
            line.name("text");
            line.text(octets);
        });
        assert!(fits);
        let value: Value = serde_json::from_slice(&out).expect("a line is JSON");
        value["text"].as_str().expect("a text").to_owned()
    }

    #[test]
    fn members_lists_and_objects_have_their_commas() {
        let (_, out) = line(4096, |line| {
            line.name("a");
            line.number(0u32);
            line.name("b");
            line.open(b"[");
            line.text(b"x");
            line.number(u64::MAX);
            line.open(b"{");
            line.close(b"}");
            line.close(b"]");
            line.any_name("c\"");
            line.signed(-7);
            line.name("d");
            line.boolean(true);
            line.name("e");
            line.json("{}");
            line.name("f");
            line.hex(&[0, 0xff]);
            line.name("g");
            line.address([192, 0, 2, 10].into());
            line.name("h");
            line.address("2001:db8::1".parse().unwrap());
            line.name("i");
            line.seconds(4_966_130);
            line.name("j");
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
            line.name("text");
            line.text("\x1b[31m\u{9b}31m\x07\x7f\r\n".as_bytes());
        });
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "{\"text\":\"\\u001b[31m\\u009b31m\\u0007\\u007f\\r\\n\"}\n");
    }

    #[test]
    fn a_line_that_does_not_fit_leaves_nothing_behind() {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(b"before");
        let mut line = Line::begin(&mut out);
        line.name("text");
        line.text(&[b'x'; 100]);
        assert!(!line.end());
        assert_eq!(out, b"before");
    }

    proptest! {
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
            let (fits, out) = line(capacity, |line| { line.name("text"); line.shown(&text); });
            prop_assert_eq!(fits, out.ends_with(b"}\n"));
            prop_assert_eq!(fits, !out.is_empty());
        }
    }
}
