//! The words of a line, and numbers and names among them.
//!
//! Owns what all statements share; what a statement means is not known here.

use crate::{document::Source, limits, problem::Place};

/// A word of a line and the octet at which it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

/// The words of one line.
pub(super) struct Line<'t> {
    pub(super) source: &'t Source,
    pub(super) tokens: Vec<Token<'t>>,
}

/// A mistake: where, its code, and the message.
pub(super) type Mistake = (usize, &'static str, String);

/// The longest name of an attribute, a value or a vendor, as in FreeRADIUS.
const NAME_OCTETS_MAX: usize = 128;

impl<'t> Line<'t> {
    pub(super) fn place(&self, at: usize) -> Place {
        self.source.place(at)
    }

    /// The word at `index`; `what`: what it should be.
    pub(super) fn field(&self, index: usize, what: &str) -> Result<Token<'t>, Mistake> {
        let last = self.tokens.last().map_or(0, |token| token.at + token.text.len());
        let missing = || (last, "field-missing", format!("the line lacks {what}; write it at the end"));
        self.tokens.get(index).copied().ok_or_else(missing)
    }

    /// Refuses words behind the first `count`.
    pub(super) fn at_most(&self, count: usize) -> Result<(), Mistake> {
        let Some(extra) = self.tokens.get(count) else { return Ok(()) };
        let message = format!("\"{}\" is too much on this line; remove it or put # before it", extra.text);
        Err((extra.at, "field-unexpected", message))
    }

    pub(super) fn name(&self, index: usize, what: &str) -> Result<Token<'t>, Mistake> {
        let token = self.field(index, what)?;
        if token.text.len() > NAME_OCTETS_MAX {
            let message = format!("a name has at most {NAME_OCTETS_MAX} octets; shorten it");
            return Err((token.at, "bad-name", message));
        }
        let odd = token.text.chars().find(|c| !c.is_ascii_graphic() || "\"'=,".contains(*c));
        match odd {
            None => Ok(token),
            Some(odd) => {
                let message = format!("a name can't hold {odd:?}; use letters, digits and -");
                Err((token.at, "bad-name", message))
            }
        }
    }
}

pub(super) fn version_4(token: &Token<'_>) -> Mistake {
    let message = format!(
        "\"{}\" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch)",
        token.text
    );
    (token.at, "version-4-syntax", message)
}

/// A decimal number, or a hexadecimal one with 0x.
pub(super) fn number(token: Token<'_>, text: &str) -> Result<u64, Mistake> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // `from_str_radix` would take a sign.
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16),
        Some(_) => "x".parse(),
        None if text.starts_with('+') => "x".parse(),
        None => text.parse(),
    };
    parsed.map_err(|_| {
        let message = format!("\"{text}\" is no whole number from 0 on; write it as 26 or 0x1a");
        (token.at, "bad-number", message)
    })
}

pub(super) fn number_u32(token: Token<'_>, text: &str) -> Result<u32, Mistake> {
    u32::try_from(number(token, text)?)
        .map_err(|_| (token.at, "number-too-large", format!("{text} is above {}; correct the number", u32::MAX)))
}

pub(super) fn too_deep(token: Token<'_>) -> Mistake {
    let message = format!("attributes nest at most {} deep; place it higher", limits::TLV_DEPTH_MAX);
    (token.at, "too-deep", message)
}

/// The text behind a prefix in any case.
pub(super) fn prefixed<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| text.get(prefix.len()..))?
}
