//! Policy files as they are written: names not yet looked up, literals not yet read.
//!
//! Owns the shapes between `file`, which reads them, and `compile`, which gives them meaning.

use super::decision::Access;
use crate::{
    document::{Table, Value},
    problem::Place,
};

/// One file of the policy folder.
#[derive(Debug)]
pub struct File<'t> {
    /// The policy set, if the file has one.
    pub set: Option<SetDraft<'t>>,
    /// `[[exception]]`: the set's own, or everybody's in a file without a set.
    pub exceptions: Vec<RuleDraft<'t>>,
    /// `[[rule]]`
    pub rules: Vec<RuleDraft<'t>>,
    /// `[profile.NAME]`
    pub profiles: Vec<Named<'t, Table<'t>>>,
    /// `[acl.NAME]`
    pub acls: Vec<Named<'t, Table<'t>>>,
    /// `[condition.NAME]`; nothing behind a name whose condition has mistakes.
    pub conditions: Vec<Named<'t, Option<Condition<'t>>>>,
    /// `[list.NAME]`; nothing behind a name whose list has mistakes.
    pub lists: Vec<Named<'t, Option<ListDraft<'t>>>>,
    /// `[[case]]`
    pub cases: Vec<CaseDraft<'t>>,
}

/// Something that a file gives a name to.
#[derive(Debug)]
pub struct Named<'t, T> {
    /// The name.
    pub name: &'t str,
    /// Where the name stands.
    pub place: Place,
    /// What it names.
    pub value: T,
}

/// `[policy-set]`
#[derive(Debug)]
pub struct SetDraft<'t> {
    /// `name`
    pub name: &'t str,
    /// Where the name stands.
    pub place: Place,
    /// `rank`; none only for a set without `when`.
    pub rank: Option<i64>,
    /// `state`
    pub is_enabled: bool,
    /// `when`
    pub when: Option<Condition<'t>>,
    /// `methods`
    pub methods: Option<Vec<Value<'t>>>,
    /// `mdm`
    pub mdm: Option<Vec<Value<'t>>>,
    /// `default`
    pub default: Vec<Value<'t>>,
}

/// `[[rule]]` or `[[exception]]`
#[derive(Debug)]
pub struct RuleDraft<'t> {
    /// `name`
    pub name: &'t str,
    /// Where the rule stands.
    pub place: Place,
    /// `state`
    pub state: State,
    /// `when`; without one the rule always matches.
    pub when: Option<Condition<'t>>,
    /// `result`
    pub result: Vec<Value<'t>>,
}

/// `state`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It counts.
    Enabled,
    /// It is skipped, but still checked.
    Disabled,
    /// It is evaluated and logged, never applied.
    Monitor,
}

impl State {
    /// The name in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Monitor => "monitor",
        }
    }
}

/// A `when` table, or a part of one.
#[derive(Debug)]
pub enum Condition<'t> {
    /// All must hold.
    All(Vec<Self>),
    /// One must hold.
    Any(Vec<Self>),
    /// It must not hold.
    Not(Box<Self>),
    /// The condition of that name must hold.
    Named(Value<'t>),
    /// A fact is compared.
    Fact(FactDraft<'t>),
    /// Something that could not be read, and was reported: the rest is compiled for its mistakes only.
    Broken,
}

/// `family.name = value`
#[derive(Debug)]
pub struct FactDraft<'t> {
    /// The part before the dot.
    pub family: &'t str,
    /// The part after the dot.
    pub name: String,
    /// Where that part stands.
    pub place: Place,
    /// Literal, list or table of operators; its key is the fact's name.
    pub value: Value<'t>,
}

/// `[list.NAME]`
#[derive(Debug)]
pub enum ListDraft<'t> {
    /// `values`
    Values(Vec<Value<'t>>),
    /// `file`
    File(Value<'t>),
}

/// `[[case]]`
#[derive(Debug)]
pub struct CaseDraft<'t> {
    /// `name`
    pub name: &'t str,
    /// Where the case stands.
    pub place: Place,
    /// `request`
    pub request: Vec<Value<'t>>,
    /// `client`, `session`, `identity`, `certificate`, `mdm`: facts by family and name.
    pub given: Vec<(&'static str, Value<'t>)>,
    /// `now`
    pub now: Option<Value<'t>>,
    /// `expect`
    pub expect: ExpectDraft<'t>,
}

/// `expect`
#[derive(Debug, Default)]
pub struct ExpectDraft<'t> {
    /// `set`
    pub set: Option<Value<'t>>,
    /// `rule`
    pub rule: Option<Value<'t>>,
    /// `reason`
    pub reason: Option<Value<'t>>,
    /// `access`
    pub access: Option<Access>,
    /// `profiles`
    pub profiles: Option<Vec<Value<'t>>>,
    /// `monitored`
    pub monitored: Option<Vec<Value<'t>>>,
    /// `vlan`
    pub vlan: Option<Value<'t>>,
    /// `acl`
    pub acl: Option<Vec<Value<'t>>>,
    /// `session-timeout`, in seconds.
    pub session_timeout: Option<u64>,
    /// `attributes`: these are in the reply, with these values.
    pub attributes: Vec<Value<'t>>,
    /// `reply`: these are the whole reply.
    pub reply: Option<Vec<Value<'t>>>,
}
