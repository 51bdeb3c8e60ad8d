//! The place of one character inside of a text in an operator's file.
//!
//! Owns the way from a position in the text as TOML gives it to line and column as the operator sees them. What stands
//! at that position is the matter of whoever found something wrong there.

use crate::{document::Value, problem::Place};

/// Where the character number `at` (from 0) of the text `value` stands in its file.
///
/// A position behind the last character gives the place behind it; of other values than texts it is the place of the value.
#[must_use]
pub fn place_in(value: &Value<'_>, at: usize) -> Place {
    let start = value.place();
    let written = value.as_written();
    let Some((quotes, multi_line, escapes)) = opening(written) else { return start };
    let mut walk = Walk { rest: written, line: start.line, column: start.column };
    walk.skip(quotes);
    if multi_line && walk.rest.starts_with('\n') {
        walk.skip(1);
    } else if multi_line && walk.rest.starts_with("\r\n") {
        walk.skip(2);
    }
    for _ in 0..at {
        let characters = if escapes { escape(walk.rest, multi_line) } else { 1 };
        walk.skip(characters);
    }
    if escapes && multi_line && is_line_end(walk.rest) {
        walk.skip(trimmed(walk.rest));
    }
    Place { file: start.file, line: walk.line, column: walk.column }
}

/// How many quotes open the text, whether it goes over several lines, and whether it knows escapes.
fn opening(written: &str) -> Option<(usize, bool, bool)> {
    [("\"\"\"", true, true), ("'''", true, false), ("\"", false, true), ("'", false, false)]
        .into_iter()
        .find(|(quotes, ..)| written.starts_with(quotes))
        .map(|(quotes, multi_line, escapes)| (quotes.len(), multi_line, escapes))
}

/// How many written characters make the next character of the text.
fn escape(rest: &str, multi_line: bool) -> usize {
    if multi_line && is_line_end(rest) {
        return trimmed(rest) + escape_of(rest.chars().skip(trimmed(rest)));
    }
    escape_of(rest.chars())
}

fn escape_of(mut characters: impl Iterator<Item = char>) -> usize {
    if characters.next() != Some('\\') {
        return 1;
    }
    match characters.next() {
        Some('x') => 4,
        Some('u') => 6,
        Some('U') => 10,
        _ => 2,
    }
}

/// Whether a backslash at the end of the line swallows the line end here.
fn is_line_end(rest: &str) -> bool {
    rest.strip_prefix('\\').is_some_and(|after| after.trim_start_matches([' ', '\t', '\r']).starts_with('\n'))
}

/// How many characters such a backslash swallows, itself included.
fn trimmed(rest: &str) -> usize {
    let after = rest.get(1..).unwrap_or("");
    1 + after.chars().take_while(|character| character.is_whitespace()).count()
}

/// A walk over the text as it is written.
struct Walk<'t> {
    rest: &'t str,
    line: u32,
    column: u32,
}

impl Walk<'_> {
    fn skip(&mut self, characters: usize) {
        let mut left = self.rest.chars();
        for character in left.by_ref().take(characters) {
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = left.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{document::Source, problem::Problems};

    /// The places of every `!` in the text `x` of a file.
    fn places(text: &str) -> Vec<(u32, u32)> {
        let source = Source::new("x.toml", text);
        let mut problems = Problems::new();
        let tree = source.parse(&mut problems).expect("valid TOML");
        let value = tree.root().ask("x").expect("the key is there");
        let text = value.plain_text().expect("a text");
        text.chars()
            .enumerate()
            .filter(|(_, character)| *character == '!')
            .map(|(at, _)| place_in(&value, at))
            .map(|place| (place.line, place.column))
            .collect()
    }

    #[test]
    fn every_form_of_a_text_leads_back_to_its_place() {
        for (text, expected) in [
            ("x = \"ab!c!\"", vec![(1, 8), (1, 10)]),
            ("x = 'ab!'", vec![(1, 8)]),
            ("x = \"ä\\t\\u00e4!\"", vec![(1, 15)]),
            ("x = '\\t!'", vec![(1, 8)]),
            ("x = \"\"\"\na\n b!\n\"\"\"", vec![(3, 3)]),
            ("x = \"\"\"a!\nb\"\"\"", vec![(1, 9)]),
            ("x = '''\n!\n\n!'''", vec![(2, 1), (4, 1)]),
            ("x = \"\"\"\na \\\n   !b\\\n  !\"\"\"", vec![(3, 4), (4, 3)]),
        ] {
            assert_eq!(places(text), expected, "{text}");
        }
    }

    #[test]
    fn of_a_number_it_is_the_place_of_the_number() {
        let source = Source::new("x.toml", "x = 7");
        let tree = source.parse(&mut Problems::new()).expect("valid TOML");
        let value = tree.root().ask("x").expect("the key is there");
        assert_eq!(place_in(&value, 3).column, 5);
    }
}
