//! What one value is asked: the compiled form of operators and literals.
//!
//! Owns the comparison of a single value. Absent and repeated facts are the evaluation's matter.

use std::{cmp::Ordering, sync::Arc};

use regex::bytes::Regex;

use super::{
    super::{members::Members, reading::Reading},
    version::Version,
};

/// A question about one value.
#[derive(Clone, Debug)]
pub enum Test {
    /// It is one of these; also lists.
    Member(Arc<Members>),
    /// It is in one of these lists.
    MemberOfAny(Box<[Arc<Members>]>),
    /// It spells a MAC address that is one of these.
    MacMember(Arc<Members>),
    /// It lies in one of these, both ends included.
    Spans(Box<[(i128, i128)]>),
    /// It contains one of these.
    Contains(Box<[Box<[u8]>]>),
    /// It starts with one of these.
    StartsWith(Box<[Box<[u8]>]>),
    /// It ends with one of these.
    EndsWith(Box<[Box<[u8]>]>),
    /// One of these matches somewhere in it.
    Matches(Box<[Regex]>),
    /// Its version is one of these.
    VersionIs(Box<[Version]>),
    /// Its version is in this order to that one, or the same if `or_same`.
    VersionOrder {
        /// What is compared with.
        than: Version,
        /// Above or below.
        order: Ordering,
        /// Whether being the same is enough.
        or_same: bool,
    },
}

impl Test {
    /// Whether the value passes; `None` if the value can't be understood as what the test is about.
    #[must_use]
    pub fn passes(&self, reading: Reading<'_>) -> Option<bool> {
        match self {
            Self::Member(members) => Some(members.contains(reading)),
            Self::MemberOfAny(lists) => Some(lists.iter().any(|members| members.contains(reading))),
            Self::MacMember(members) => members.contains_mac(reading),
            Self::Spans(spans) => match reading {
                Reading::Number(number) => Some(spans.iter().any(|(from, to)| (*from..=*to).contains(&number))),
                _ => None,
            },
            _ => match reading {
                Reading::Text(text) => self.passes_text(text),
                _ => None,
            },
        }
    }

    fn passes_text(&self, text: &[u8]) -> Option<bool> {
        Some(match self {
            Self::Contains(parts) => parts.iter().any(|part| contains(text, part)),
            Self::StartsWith(parts) => parts.iter().any(|part| text.starts_with(part)),
            Self::EndsWith(parts) => parts.iter().any(|part| text.ends_with(part)),
            Self::Matches(patterns) => patterns.iter().any(|pattern| pattern.is_match(text)),
            Self::VersionIs(versions) => {
                let version = Version::read(text)?;
                versions.contains(&version)
            }
            Self::VersionOrder { than, order, or_same } => {
                let found = Version::read(text)?.cmp(than);
                found == *order || (*or_same && found == Ordering::Equal)
            }
            Self::Member(_) | Self::MemberOfAny(_) | Self::MacMember(_) | Self::Spans(_) => return None,
        })
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}
