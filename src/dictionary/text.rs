//! Octets as quoted text and back, as `radclient` writes and reads them.
//!
//! Owns escapes only; what stands between the quotes is the matter of `list` and `value`.

use std::fmt::{self, Write};

/// Writes octets in double quotes; what is not printable text becomes `\ooo` in octal.
pub(super) fn write_quoted(octets: &[u8], out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    for chunk in octets.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => write!(out, "\\{char}")?,
                '\n' => out.write_str("\\n")?,
                '\r' => out.write_str("\\r")?,
                '\t' => out.write_str("\\t")?,
                // Control characters could drive the terminal of whoever reads a stranger's User-Name.
                char if char.is_control() => {
                    char.encode_utf8(&mut [0; 4]).bytes().try_for_each(|octet| write!(out, "\\{octet:03o}"))?;
                }
                char => out.write_char(char)?,
            }
        }
        chunk.invalid().iter().try_for_each(|octet| write!(out, "\\{octet:03o}"))?;
    }
    out.write_char('"')
}

/// Writes octets as `0x…`.
pub(super) fn write_hex(octets: &[u8], out: &mut impl Write) -> fmt::Result {
    out.write_str("0x")?;
    octets.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
}

/// The octets of `0x…`; nothing if `text` is anything else.
pub(super) fn read_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?.as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Why a quoted text can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unquoted {
    /// The line ends before the closing quote.
    NotClosed,
    /// The backslash at this octet starts no known escape.
    Escape(usize),
}

/// Reads a quoted text from its opening quote on. Gives the octets, and how many of `text` were read.
///
/// Between single quotes only `\'` and `\\` are escapes.
pub(super) fn read_quoted(text: &str) -> Result<(Vec<u8>, usize), Unquoted> {
    let source = text.as_bytes();
    let quote = source.first().copied().unwrap_or(b'"');
    let mut octets = Vec::new();
    let mut at = 1;
    loop {
        match source.get(at) {
            None | Some(b'\n') => return Err(Unquoted::NotClosed),
            Some(octet) if *octet == quote => return Ok((octets, at + 1)),
            Some(b'\\') => {
                let (octet, length) =
                    escape(source.get(at + 1..).unwrap_or_default(), quote).ok_or(Unquoted::Escape(at))?;
                octets.push(octet);
                at += 1 + length;
            }
            Some(octet) => {
                octets.push(*octet);
                at += 1;
            }
        }
    }
}

/// The octet that an escape stands for, and how many octets follow the backslash.
fn escape(after: &[u8], quote: u8) -> Option<(u8, usize)> {
    let first = *after.first()?;
    if first == quote || first == b'\\' {
        return Some((first, 1));
    }
    if quote == b'\'' {
        return None;
    }
    match (first, after) {
        (b'n', _) => Some((b'\n', 1)),
        (b'r', _) => Some((b'\r', 1)),
        (b't', _) => Some((b'\t', 1)),
        (b'x', [_, high, low, ..]) => Some((digit(*high)? << 4 | digit(*low)?, 3)),
        (b'0'..=b'3', [a, b, c, ..]) if [b, c].iter().all(|digit| matches!(digit, b'0'..=b'7')) => {
            Some(((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 3))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_escaped_as_radclient_does() {
        // Observed: radclient 3.2.1 prints these octets so.
        let mut out = String::new();
        write_quoted(b"a\"b\\c\nd\x01\xc3\xa9\xff", &mut out).expect("a string takes everything");
        assert_eq!(out, r#""a\"b\\c\nd\001é\377""#);
    }

    #[test]
    fn wrong_quotes_are_told_apart() {
        assert_eq!(read_quoted("\"abc"), Err(Unquoted::NotClosed));
        assert_eq!(read_quoted("\"abc\n\""), Err(Unquoted::NotClosed));
        assert_eq!(read_quoted(r#""a\q""#), Err(Unquoted::Escape(2)));
        assert_eq!(read_quoted(r#""a\400""#), Err(Unquoted::Escape(2)));
        assert_eq!(read_quoted(r"'a\n'"), Err(Unquoted::Escape(2)));
        assert_eq!(read_quoted(r#"'a"b\'' rest"#), Ok((b"a\"b'".to_vec(), 7)));
    }

    proptest! {
        #[test]
        fn quoted_octets_read_back(octets: Vec<u8>) {
            let mut out = String::new();
            write_quoted(&octets, &mut out).expect("a string takes everything");
            prop_assert!(!out.chars().any(char::is_control));
            prop_assert_eq!(read_quoted(&out), Ok((octets, out.len())));
        }

        #[test]
        fn hexadecimal_octets_read_back(octets: Vec<u8>) {
            let mut out = String::new();
            write_hex(&octets, &mut out).expect("a string takes everything");
            prop_assert_eq!(read_hex(&out), Some(octets));
        }

        #[test]
        fn reading_never_panics(text: String) {
            let _ = (read_hex(&text), read_quoted(&text));
        }
    }
}
