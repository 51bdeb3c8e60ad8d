//! Which facts of a decision are kept, so that it can be explained and replayed later.
//!
//! Owns the choice. How a line of the log looks is the log's matter; together with the attributes that a policy refers to,
//! these facts are all that another policy of the same questions needs.

use super::{
    arena::Arena,
    catalogue::{Fact, Family, Kind, ROWS, row},
    facts::Facts,
    given::is_repeated,
    reading::{LocalTime, Reading, Shown, each_value},
};

/// What stands in every line by itself, so that it need not be told twice.
const IN_EVERY_LINE: [Fact; 10] = [
    Fact::ClientName,
    Fact::SessionMethod,
    Fact::SessionNasPort,
    Fact::IdentityMac,
    Fact::IdentityDeviceId,
    Fact::IdentityDeviceIdSource,
    Fact::MdmServer,
    Fact::MdmLookup,
    Fact::MdmCompliance,
    Fact::MdmSource,
];

/// What is kept besides, whatever the policy asks: a draft will ask for these first. Ages are kept although lines tell
/// them in milliseconds: a bound that was just met must be met again.
const ALWAYS: [Fact; 7] = [
    Fact::SessionMedium,
    Fact::SessionSsid,
    Fact::IdentityProven,
    Fact::MdmRegistered,
    Fact::MdmCompliant,
    Fact::MdmAge,
    Fact::MdmLastCompliant,
];

/// Whether every line holds it, if it has a value.
#[must_use]
pub fn is_always_kept(fact: Fact) -> bool {
    // It follows from its address.
    let follows = matches!(fact, Fact::IdentityMacRandomised | Fact::MdmReachable);
    follows || row(fact).family() == Family::Certificate || IN_EVERY_LINE.contains(&fact) || ALWAYS.contains(&fact)
}

/// The facts that are kept for a policy, in the order of the catalogue. Times follow from the time of the line.
#[must_use]
pub fn kept(arena: &Arena) -> Vec<Fact> {
    let asked: Vec<Fact> = arena.subjects().iter().filter_map(|subject| subject.fact()).collect();
    let is_kept = |fact: &Fact| ALWAYS.contains(fact) || (asked.contains(fact) && !is_always_kept(*fact));
    // A certificate stands in its line as a whole, and the time is that of the line.
    let is_told = |family| matches!(family, Family::Time | Family::Certificate);
    ROWS.iter().filter(|row| !is_told(row.family())).map(|row| row.fact).filter(is_kept).collect()
}

/// One kept fact with one of its values.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// Its name.
    pub name: &'static str,
    /// Whether it may have several values, which come one after the other.
    pub is_repeated: bool,
    /// The value.
    pub value: KeptValue<'a>,
}

/// A value in the form in which it is kept.
#[derive(Clone, Copy, Debug)]
pub enum KeptValue<'a> {
    /// Text; it may hold anything that a device says about itself.
    Text(&'a [u8]),
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Number(i64),
    /// An age in microseconds.
    Age(u64),
    /// One of a few words.
    Word(&'static str),
    /// Everything else, as people and policies write it.
    Shown(Shown<'a>),
}

/// Calls `visit` with each value of each of the facts; facts with several values come several times in a row.
#[inline]
pub fn each(kept: &[Fact], facts: &Facts<'_>, mut visit: impl FnMut(Kept<'_>)) {
    for fact in kept {
        let row = row(*fact);
        each_value(*fact, facts, || LocalTime::of(facts), &mut |reading| {
            let value = match (reading, row.kind) {
                (Reading::Text(text), _) => KeptValue::Text(text),
                (Reading::Number(number), Kind::Boolean) => KeptValue::Boolean(number != 0),
                (Reading::Number(number), Kind::Number) => KeptValue::Number(i64::try_from(number).unwrap_or(i64::MAX)),
                (Reading::Number(number), Kind::Words(words)) => {
                    let word = usize::try_from(number).ok().and_then(|at| words.get(at));
                    KeptValue::Word(word.copied().unwrap_or("?"))
                }
                (Reading::Number(number), Kind::Age) => KeptValue::Age(u64::try_from(number).unwrap_or(u64::MAX)),
                _ => KeptValue::Shown(Shown { kind: row.kind, reading }),
            };
            visit(Kept { name: row.name, is_repeated: is_repeated(row.fact), value });
            false
        });
    }
}
