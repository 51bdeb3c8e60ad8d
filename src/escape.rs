//! What a text looks like as a string of JSON in the decision log.
//!
//! Owns which octets are escaped and how. What is written, and into what, is the caller's matter.

/// Writes what stands inside of the quotes, piece by piece. What is not UTF-8 becomes `\xHH`, one for each octet.
///
/// Besides what JSON wants, C0, DEL and C1 are escaped: a terminal that shows the log must not obey what a stranger wrote.
pub fn escape(text: &[u8], write: &mut impl FnMut(&[u8])) {
    for chunk in text.utf8_chunks() {
        escape_text(chunk.valid(), write);
        for octet in chunk.invalid() {
            // A backslash for whoever reads the text, so two in JSON.
            write(b"\\\\x");
            write(&hex(*octet));
        }
    }
}

fn escape_text(text: &str, write: &mut impl FnMut(&[u8])) {
    let mut from = 0;
    for (at, c) in text.char_indices() {
        if !matches!(c, '"' | '\\' | '\0'..='\x1f' | '\x7f'..='\u{9f}') {
            continue;
        }
        write(text.as_bytes().get(from..at).unwrap_or_default());
        match c {
            '"' => write(b"\\\""),
            '\\' => write(b"\\\\"),
            '\n' => write(b"\\n"),
            '\r' => write(b"\\r"),
            '\t' => write(b"\\t"),
            other => {
                // All of them are below U+00A0.
                write(b"\\u00");
                write(&hex(u8::try_from(other).unwrap_or(b'?')));
            }
        }
        from = at + c.len_utf8();
    }
    write(text.as_bytes().get(from..).unwrap_or_default());
}

/// Appends a text as a string of JSON, quotes included.
pub fn push_string(text: &str, json: &mut String) {
    json.push('"');
    // The pieces of a text are texts.
    escape(text.as_bytes(), &mut |piece| json.push_str(std::str::from_utf8(piece).unwrap_or_default()));
    json.push('"');
}

fn hex(octet: u8) -> [u8; 2] {
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
    [digit(octet >> 4), digit(octet & 0x0f)]
}

/// Whether octets can stand in quotes as they are: printable ASCII without `"` and `\`.
///
/// What is longer than seven octets is looked at eight at a time without a branch; the last eight overlap those before.
#[inline]
#[must_use]
pub fn is_plain(octets: &[u8]) -> bool {
    let special = |octets: &[u8; 8]| special_octets(u64::from_ne_bytes(*octets));
    if let Some(last) = octets.last_chunk() {
        let mut found = special(last);
        let mut rest = octets;
        while let Some((word, after)) = rest.split_first_chunk() {
            found |= special(word);
            rest = after;
        }
        return found == 0;
    }
    if let (Some(first), Some(last)) = (octets.first_chunk(), octets.last_chunk()) {
        let [first, last] = [*first, *last].map(|four| u64::from(u32::from_ne_bytes(four)));
        return special_octets(first << 32 | last) == 0;
    }
    let blanks = u64::from_ne_bytes([b' '; 8]) << 8;
    octets.iter().all(|octet| special_octets(blanks | u64::from(*octet)) == 0)
}

/// Not zero if one of the octets of a word needs a closer look.
///
/// All are compared at once: what is below a bound turns its highest bit on when the bound is taken off. A borrow or a
/// carry into the neighbour comes only from an octet that is special itself.
#[inline]
const fn special_octets(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    // DEL, and whatever is not ASCII.
    let beyond = word | word.wrapping_add(ONES);
    (control | quote | backslash | beyond) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One character after the other.
    fn simply(octets: &[u8]) -> String {
        let mut text = String::new();
        for chunk in octets.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' => text.push_str("\\\""),
                    '\\' => text.push_str("\\\\"),
                    '\n' => text.push_str("\\n"),
                    '\r' => text.push_str("\\r"),
                    '\t' => text.push_str("\\t"),
                    c if c.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
                    c => text.push(c),
                }
            }
            chunk.invalid().iter().for_each(|octet| text.push_str(&format!("\\\\x{octet:02x}")));
        }
        text
    }

    fn escaped(octets: &[u8]) -> String {
        let mut out = Vec::new();
        escape(octets, &mut |piece| out.extend_from_slice(piece));
        String::from_utf8(out).expect("it is text")
    }

    fn check(octets: &[u8]) {
        let simply = simply(octets);
        assert_eq!(escaped(octets), simply);
        let is_ascii = simply.is_ascii();
        assert_eq!(is_plain(octets), is_ascii && simply.as_bytes() == octets, "{octets:?}");
    }

    #[test]
    fn every_octet_is_seen_at_every_place_of_a_word() {
        for octet in 0..=u8::MAX {
            for length in 1..20 {
                for at in 0..length {
                    let mut text = vec![b'~'; length];
                    text[at] = octet;
                    check(&text);
                }
            }
        }
        check(b"");
    }

    /// Texts as they come: mostly plain, with something else here and there.
    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![8 => b' '..=b'~', 1 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\')];
        let text = ".{0,20}".prop_map(String::into_bytes);
        prop_oneof![proptest::collection::vec(octet, 0..100), proptest::collection::vec(b' '..=b'~', 0..100), text]
    }

    proptest! {
        #[test]
        fn octets_are_escaped_as_one_character_after_the_other(octets in octets()) {
            check(&octets);
        }

        #[test]
        fn a_text_reads_back(text in any::<String>()) {
            let mut json = String::new();
            push_string(&text, &mut json);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
