//! Cases: unit tests of a policy that stand beside its rules.
//!
//! Owns their shape; `compile` reads them and `trial` runs them.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{decision::Access, given::GivenFacts, reply_plan::SummaryVlan};
use crate::{
    clock::{Mono, Now, Wall},
    dictionary::Attribute,
    problem::Place,
};

/// One `[[case]]`.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: Box<str>,
    /// Where it stands.
    pub place: Place,
    /// The octets of the request.
    pub(super) request: Box<[u8]>,
    pub(super) given: GivenFacts,
    pub(super) moment: Moment,
    pub(super) expect: Expect,
}

/// When a case takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A moment anywhere: `2026-12-24T08:00:00+01:00`.
    Absolute(Timestamp),
    /// What the clock on the wall shows in the server's zone: `2026-12-24T08:00`.
    Local(DateTime),
}

impl Default for Moment {
    /// A Wednesday at noon, so that cases come out the same on every day.
    fn default() -> Self {
        Self::Local(DateTime::constant(2026, 1, 7, 12, 0, 0, 0))
    }
}

impl Moment {
    /// The clocks at that moment. `zone`: the server's.
    #[must_use]
    pub fn now(self, zone: &TimeZone) -> Now {
        let timestamp = match self {
            Self::Absolute(timestamp) => timestamp,
            Self::Local(local) => zone.to_timestamp(local).unwrap_or_default(),
        };
        Now { mono: Mono::from_nanos(0), wall: Wall::from_micros(timestamp.as_microsecond()) }
    }
}

/// What should come out.
#[derive(Clone, Debug, Default)]
pub(super) struct Expect {
    pub(super) set: Option<Box<str>>,
    pub(super) rule: Option<Box<str>>,
    pub(super) reason: Option<Box<str>>,
    pub(super) access: Option<Access>,
    pub(super) profiles: Option<Vec<Box<str>>>,
    pub(super) monitored: Option<Vec<Box<str>>>,
    pub(super) vlan: Option<SummaryVlan>,
    pub(super) acl: Option<Vec<Box<str>>>,
    /// In seconds.
    pub(super) session_timeout: Option<u64>,
    pub(super) attributes: Vec<ExpectedAttribute>,
    pub(super) reply: Option<Vec<ExpectedAttribute>>,
}

/// An attribute of the reply with the values that it should have.
#[derive(Clone, Debug)]
pub(super) struct ExpectedAttribute {
    pub(super) attribute: Attribute,
    /// As they stand in a packet.
    pub(super) contents: Vec<Vec<u8>>,
}
