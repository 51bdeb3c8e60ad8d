//! Compiled policy sets and rules.
//!
//! Owns their shapes; `evaluate` goes through them.

use std::ops::Range;

use super::{
    arena::NodeId,
    decision::{Access, ResultIndex, SetIndex},
    draft::State,
    facts::Method,
};
use crate::problem::Place;

/// A policy set.
#[derive(Clone, Debug)]
pub struct Set {
    /// Its name.
    pub name: Box<str>,
    /// Where it stands.
    pub place: Place,
    /// Its rank; none: after all others.
    pub rank: Option<u32>,
    /// When it is used.
    pub(super) when: NodeId,
    /// The methods that it allows.
    pub methods: Methods,
    /// The names of the MDM servers that are asked, in this order; none: all that are enabled, in file order.
    pub mdm: Option<Vec<Box<str>>>,
    /// What is done when no rule matches.
    pub default: Option<ResultIndex>,
    /// Its rules among those of all sets: its own exceptions, then everybody's, then its rules. Disabled ones are left
    /// out.
    pub rules: Range<u32>,
}

/// A set of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    /// All of them.
    pub const ALL: Self = Self(u8::MAX);

    /// None yet.
    pub const NONE: Self = Self(0);

    /// Also allows `method`. EAP without a method yet is allowed with any EAP method.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        match method {
            Method::EapTls | Method::EapMd5 => Self(self.0 | 1 << method as u8 | 1 << Method::Eap as u8),
            Method::Eap => self.with(Method::EapTls).with(Method::EapMd5),
            _ => Self(self.0 | 1 << method as u8),
        }
    }

    /// Whether it is allowed.
    #[must_use]
    pub const fn allows(self, method: Method) -> bool {
        self.0 & 1 << method as u8 != 0
    }
}

/// A rule or an exception of one set.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: Box<str>,
    /// Where it stands.
    pub place: Place,
    /// Its set.
    pub set: SetIndex,
    /// Which of the three lists of a set it comes from.
    pub kind: RuleKind,
    /// Whether it counts.
    pub state: State,
    /// When it matches.
    pub(super) when: NodeId,
    /// What is done then.
    pub result: ResultIndex,
    /// The access of that result.
    pub access: Access,
}

/// Which of the three lists of a set a rule comes from. They are tried in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleKind {
    /// `[[exception]]` in the set's file.
    LocalException,
    /// `[[exception]]` in a file without a set.
    GlobalException,
    /// `[[rule]]`
    Rule,
}

impl RuleKind {
    /// The word for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LocalException => "exception",
            Self::GlobalException => "global exception",
            Self::Rule => "rule",
        }
    }
}
