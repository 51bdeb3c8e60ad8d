//! The little XML that the compliance retrieval service writes, read without trusting it.
//!
//! Owns elements and texts, by their local names in lower case. Document types, entities of its own, processing beyond the
//! first line, and depth are refused: nothing in an answer about devices needs them.

use crate::limits;

/// Elements inside each other.
const DEPTH_MAX: usize = 16;

/// What stands in a document, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An element begins: its local name in lower case.
    Begin(String),
    /// Text between marks, without surrounding white space; never empty.
    Text(String),
    /// The innermost element ends.
    End,
}

/// Reads a whole document. None if it is not well-formed, or holds what is refused.
pub(super) fn read(octets: &[u8]) -> Option<Vec<Event>> {
    let text = std::str::from_utf8(octets).ok()?;
    let mut rest = text.trim_start_matches('\u{feff}').trim();
    if let Some(after) = rest.strip_prefix("<?xml") {
        rest = after.split_once("?>")?.1.trim_start();
    }
    let mut events = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut begun = false;
    while !rest.is_empty() {
        let Some(mark) = rest.strip_prefix('<') else {
            let end = rest.find('<')?;
            let (plain, after) = rest.split_at(end);
            if !plain.trim().is_empty() {
                if open.is_empty() {
                    return None;
                }
                events.push(Event::Text(unescape(plain.trim())?));
            }
            rest = after;
            continue;
        };
        if let Some(comment) = mark.strip_prefix("!--") {
            rest = comment.split_once("-->")?.1;
            continue;
        }
        let (inside, after) = split_mark(mark)?;
        rest = after;
        if let Some(name) = inside.strip_prefix('/') {
            if open.pop()? != name.trim_end() {
                return None;
            }
            events.push(Event::End);
            continue;
        }
        // One root, and depth that nobody needs is refused before it costs anything.
        if (open.is_empty() && begun) || open.len() >= DEPTH_MAX || events.len() >= limits::XML_EVENTS_MAX {
            return None;
        }
        begun = true;
        let (inside, empty) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        let name = element_name(inside)?;
        events.push(Event::Begin(name.rsplit(':').next()?.to_ascii_lowercase()));
        if empty {
            events.push(Event::End);
        } else {
            open.push(name);
        }
    }
    (begun && open.is_empty()).then_some(events)
}

/// Splits behind the `>` that ends a mark; one inside of quotes does not.
fn split_mark(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, '>') => return Some((text.get(..at)?, text.get(at + 1..)?)),
            (None, '<') => return None,
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    None
}

/// The name of an element. `!` (document types, entities, CDATA) and `?` (processing) can't begin one.
fn element_name(inside: &str) -> Option<&str> {
    let name = inside.split(|c: char| c.is_ascii_whitespace()).next()?;
    let good = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'));
    good.then_some(name)
}

/// Resolves the five entities that every document has; any other is refused.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, tail) = after.split_once(';')?;
        plain.push_str(before);
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => return None,
        });
        rest = tail;
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begin(name: &str) -> Event {
        Event::Begin(name.to_owned())
    }

    #[test]
    fn names_lose_prefix_and_case_and_texts_their_escapes() {
        let text = "\u{feff}<?xml version=\"1.0\"?><!-- x --><A xmlns=\"u>v\"><i:B c='d'> x &amp; y </i:B><e/></A>\n";
        let expected =
            [begin("a"), begin("b"), Event::Text("x & y".to_owned()), Event::End, begin("e"), Event::End, Event::End];
        assert_eq!(read(text.as_bytes()).as_deref(), Some(expected.as_slice()));
    }

    /// Trap 10: no document types, no entities.
    #[test]
    fn what_an_answer_never_needs_is_refused() {
        for text in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a></a><b/>",
            "<a></a>tail",
            "</a>",
            "<a",
            "<a><b</a>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<a>&x;</a>",
            "<a>&#65;</a>",
            "<a><![CDATA[x]]></a>",
            "<a><?php x ?></a>",
            "<a>x</a",
            "<1a/>",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(&[0xff, b'<', b'a', b'/', b'>']), None);
        let many = format!("<a>{}</a>", "<b/>".repeat(limits::XML_EVENTS_MAX));
        assert_eq!(read(many.as_bytes()), None);
        assert_eq!(read(format!("{}{}", "<a>".repeat(17), "</a>".repeat(17)).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(text in "[<>/a-c!?&;\"' \\-]{0,80}", octets in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(text.as_bytes());
            let _ = read(&octets);
        }
    }
}
