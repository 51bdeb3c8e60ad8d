//! Which facts of a decision are kept, so that it can be explained and replayed later.
//!
//! Owns the choice. How a line of the log looks is the log's matter; together with the attributes that a policy refers to,
//! these facts are all that another policy of the same questions needs.

use super::{
    arena::Arena,
    catalogue::{Fact, Family, Kind, ROWS, row},
    facts::Facts,
    reading::{LocalTime, Reading, Shown, each_value},
};

/// What every line holds, whatever the policy asks: a draft will ask for these first.
const ALWAYS: [Fact; 15] = [
    Fact::SessionMethod,
    Fact::SessionMedium,
    Fact::SessionSsid,
    Fact::IdentityMac,
    Fact::IdentityProven,
    Fact::IdentityDeviceId,
    Fact::IdentityDeviceIdSource,
    Fact::MdmServer,
    Fact::MdmLookup,
    Fact::MdmRegistered,
    Fact::MdmCompliant,
    Fact::MdmCompliance,
    Fact::MdmSource,
    Fact::MdmAge,
    Fact::MdmLastCompliant,
];

/// Whether every line holds it, if it has a value.
#[must_use]
pub fn is_always_kept(fact: Fact) -> bool {
    ALWAYS.contains(&fact)
}

/// The facts that are kept for a policy, in the order of the catalogue. Times follow from the time of the line.
#[must_use]
pub fn kept(arena: &Arena) -> Vec<Fact> {
    let asked: Vec<Fact> = arena.subjects().iter().filter_map(|subject| subject.fact()).collect();
    let is_kept = |fact: &Fact| ALWAYS.contains(fact) || asked.contains(fact);
    ROWS.iter()
        .filter(|row| row.family() != Family::Time && row.fact != Fact::MdmReachable)
        .map(|row| row.fact)
        .filter(is_kept)
        .collect()
}

/// One kept fact with one of its values.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// Its name.
    pub name: &'static str,
    /// The value as text, for facts that are texts: it may hold anything that a device says about itself.
    pub text: Option<&'a [u8]>,
    /// The value as people and policies write it.
    pub shown: Shown<'a>,
}

/// Calls `visit` with each value of each of the facts; facts with several values come several times in a row.
pub fn each(kept: &[Fact], facts: &Facts<'_>, visit: &mut dyn FnMut(Kept<'_>)) {
    for fact in kept {
        let row = row(*fact);
        each_value(*fact, facts, || LocalTime::of(facts), &mut |reading| {
            let text = match reading {
                Reading::Text(text) => Some(text),
                _ => None,
            };
            visit(Kept { name: row.name, text, shown: Shown { kind: row.kind, reading } });
            false
        });
    }
}

/// Whether a value of the fact is written as text, in quotes; all others are truth values and numbers.
#[must_use]
pub const fn is_quoted(kind: Kind) -> bool {
    !matches!(kind, Kind::Boolean | Kind::Number)
}
