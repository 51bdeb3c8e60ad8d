//! Texts with places to fill: `"https://portal/?mac={identity.mac}"`.
//!
//! Owns the syntax of `{name}` and filling it. Which names there are is known by those who use such texts: facts in
//! profiles, parts of a setting in vendor tables.

use std::fmt::{self, Write};

/// A text in which `{name}` stands for something that is known later; `{{` and `}}` stand for braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Box<[Piece]>,
}

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Stands as it is.
    Text(Box<str>),
    /// Stands for something.
    Reference(Reference),
}

/// A name in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What stands between the braces.
    pub name: Box<str>,
    /// Where it starts, in characters of the whole text from 0.
    pub at: usize,
}

/// Why a text is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A `{` without its `}`.
    NotClosed {
        /// The place of the brace in characters of the text.
        at: usize,
    },
    /// A `}` without its `{`.
    NotOpened {
        /// The place of the brace in characters of the text.
        at: usize,
    },
    /// `{}`.
    NoName {
        /// The place of the brace in characters of the text.
        at: usize,
    },
}

impl TemplateError {
    /// The place of the mistake in characters of the text.
    #[must_use]
    pub const fn at(self) -> usize {
        match self {
            Self::NotClosed { at } | Self::NotOpened { at } | Self::NoName { at } => at,
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotClosed { .. } => "this \"{\" is not closed; write {name}, or \"{{\" for a brace",
            Self::NotOpened { .. } => "this \"}\" closes nothing; write \"}}\" for a brace",
            Self::NoName { .. } => "there is no name between these braces; write {name}, or \"{{}}\" for braces",
        })
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// [`TemplateError`] for braces that don't fit together.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut characters = text.chars().enumerate().peekable();
        while let Some((at, character)) = characters.next() {
            match character {
                '{' | '}' if characters.next_if(|next| next.1 == character).is_some() => plain.push(character),
                '}' => return Err(TemplateError::NotOpened { at }),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match characters.next() {
                            Some((_, '}')) => break,
                            None | Some((_, '{')) => return Err(TemplateError::NotClosed { at }),
                            Some((_, other)) => name.push(other),
                        }
                    }
                    if name.trim().is_empty() {
                        return Err(TemplateError::NoName { at });
                    }
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                    }
                    pieces.push(Piece::Reference(Reference { name: name.trim().into(), at: at + 1 }));
                }
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        Ok(Self { pieces: pieces.into() })
    }

    /// A template without anything to fill.
    #[must_use]
    pub fn constant(text: &str) -> Self {
        let pieces = if text.is_empty() { Vec::new() } else { vec![Piece::Text(text.into())] };
        Self { pieces: pieces.into() }
    }

    /// Its parts in their order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The names in it.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Reference(reference) => Some(reference),
            Piece::Text(_) => None,
        })
    }

    /// The text, if there is nothing to fill.
    #[must_use]
    pub fn as_constant(&self) -> Option<&str> {
        match &*self.pieces {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Writes the text; `fill` writes what a name stands for.
    ///
    /// # Errors
    /// When `out` is full or `fill` fails.
    pub fn write<W: Write + ?Sized>(
        &self,
        out: &mut W,
        mut fill: impl FnMut(&str, &mut W) -> fmt::Result,
    ) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.write_str(text)?,
                Piece::Reference(reference) => fill(&reference.name, out)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Template {
    /// As it can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Reference(reference) => write!(f, "{{{}}}", reference.name)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_and_doubled_braces_stay() {
        let template = Template::parse("a={ identity.mac }&b={{x}}{n}").expect("braces fit");
        let mut out = String::new();
        template.write(&mut out, |name, out| write!(out, "<{name}>")).expect("a string takes all");
        assert_eq!(out, "a=<identity.mac>&b={x}<n>");
        assert_eq!(template.to_string(), "a={identity.mac}&b={{x}}{n}");
        assert_eq!(template.references().map(|reference| reference.at).collect::<Vec<_>>(), [3, 27]);
    }

    #[test]
    fn braces_that_do_not_fit_are_told_with_their_place() {
        assert_eq!(Template::parse("ab{c"), Err(TemplateError::NotClosed { at: 2 }));
        assert_eq!(Template::parse("a{b{c}"), Err(TemplateError::NotClosed { at: 1 }));
        assert_eq!(Template::parse("ab}c"), Err(TemplateError::NotOpened { at: 2 }));
        assert_eq!(Template::parse("{ }"), Err(TemplateError::NoName { at: 0 }));
    }

    #[test]
    fn a_text_without_names_is_constant() {
        assert_eq!(Template::parse("a{{b").expect("braces fit").as_constant(), Some("a{b"));
        assert_eq!(Template::constant("").as_constant(), Some(""));
        assert_eq!(Template::parse("{a}").expect("braces fit").as_constant(), None);
    }
}
