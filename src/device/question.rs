//! The words between the engine, which asks, and `mdm`, which answers.
//!
//! Owns the shapes of questions and answers and of the two ends of the queues. It queues nothing itself: `mdm` takes
//! questions through [`Questions`], a shard takes answers through [`Answers`], and the daemon ties the ends together.

use std::sync::Arc;

use crate::clock::Mono;

use super::{
    identifier::{Guid, MacAddress},
    record::DeviceRecord,
};

/// The place of an MDM server in the list of the running configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerIndex(pub u8);

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A device id of a certificate or an attribute: tried as Intune id, then as Entra id.
    Device(Guid),
    /// A MAC address.
    Mac(MacAddress),
}

/// Where a MAC was seen; it decides which index must be complete before a miss means "no such device".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Medium {
    /// A switch port.
    Wired,
    /// An access point.
    Wireless,
    /// A VPN or anything virtual.
    Virtual,
}

impl Medium {
    /// The name in policies and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wired => "wired",
            Self::Wireless => "wireless",
            Self::Virtual => "virtual",
        }
    }
}

/// One question to one MDM server. Many requests may wait for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who is asked.
    pub server: ServerIndex,
    /// What is asked.
    pub key: Key,
    /// Where the MAC was seen.
    pub medium: Option<Medium>,
    /// When the answer stops being useful to whoever waits; a question behind an answer has none.
    pub deadline: Option<Mono>,
    /// Which shard wants to be told. Ignored for a question without a deadline.
    pub shard: u16,
    /// The asking client's place in the configuration: one client may take only a share of the budget.
    pub client: u32,
    /// Whether this identity was never answered before: floods of such must not starve known devices.
    pub never_seen: bool,
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who answered.
    pub server: ServerIndex,
    /// To what.
    pub key: Key,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a question. These stay apart all the way to policy.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The device is known; the directory already holds the record.
    Found(Arc<DeviceRecord>),
    /// A positive "no such device".
    NotFound,
    /// The question had no usable answer.
    Failed(Failure),
    /// Several devices fit, or the device that was found is not the one that was asked for.
    Ambiguous,
}

/// Why there is no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// No connection, a broken answer, a server error, an open breaker.
    Unreachable,
    /// Microsoft's limit or our own budget.
    Throttled,
    /// No answer within `lookup-timeout`, or no room to wait.
    Late,
    /// Refused because of credentials, permissions or licences: an admin must act.
    Misconfigured,
    /// The index that could tell is not complete yet.
    NotReady,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Unreachable, Self::Throttled, Self::Late, Self::Misconfigured, Self::NotReady];

    /// The value of `mdm.lookup`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Throttled => "throttled",
            Self::Late => "late",
            Self::Misconfigured => "misconfigured",
            Self::NotReady => "not-ready",
        }
    }
}

/// Where questions go. Implemented by `mdm`; called from packet threads, so it neither waits nor allocates much.
pub trait Questions: Send + Sync {
    /// Queues `question`. `Err` if it can't be asked in time (queue full, budget empty, breaker open): the caller
    /// decides its request at once with that failure. Questions about one key are merged.
    ///
    /// # Errors
    /// The [`Failure`] to judge by.
    fn ask(&self, question: Question) -> Result<(), Failure>;
}

/// Where answers go. Implemented by a shard's mailbox; called by `mdm`.
pub trait Answers: Send + Sync {
    /// Hands `answer` to the shard. A full mailbox drops it, counted: the requests then meet their deadline.
    fn deliver(&self, answer: Answer);
}
