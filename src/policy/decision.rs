//! What policy said about one request.
//!
//! Owns the shape of a decision and the numbers by which it names sets, rules and results. It decides nothing.

/// The place of a policy set in a [`Policy`](super::compiled::Policy), in the order in which sets are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetIndex(pub u32);

/// The place of a rule among the rules of all sets. A global exception counts once for each set, so that hit counters
/// tell where it fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub u32);

/// The place of a merged list of profiles in a [`Policy`](super::compiled::Policy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultIndex(pub u32);

/// The place of a vendor table among those that the configured clients use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VendorIndex(pub u32);

impl ResultIndex {
    /// The result of a decision that no rule made: reject, with nothing else.
    pub const BARE_REJECT: Self = Self(0);
}

/// What happens to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Access-Accept.
    Accept,
    /// Access-Reject.
    Reject,
    /// No answer, so that the client applies its own policy for dead servers.
    Ignore,
}

impl Access {
    /// What it would have been, for rules that only watch.
    #[must_use]
    pub const fn would(self) -> &'static str {
        match self {
            Self::Accept => "would-accept",
            Self::Reject => "would-reject",
            Self::Ignore => "would-ignore",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accept, Self::Reject, Self::Ignore];

    /// The name in policies, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Ignore => "ignore",
        }
    }
}

/// Why the decision is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A rule or an exception matched.
    Rule,
    /// No rule matched; the set's `default` was used.
    Default,
    /// No set matched, or no rule of a set without `default`.
    NoRuleMatched,
    /// The set does not allow the method.
    MethodNotAllowed,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Rule, Self::Default, Self::NoRuleMatched, Self::MethodNotAllowed];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Default => "default",
            Self::NoRuleMatched => "no-rule-matched",
            Self::MethodNotAllowed => "method-not-allowed",
        }
    }

    /// The sentence for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Rule => "a rule of the policy matched",
            Self::Default => "no rule matched, so the set's default was used",
            Self::NoRuleMatched => "no policy set matched, or none of its rules, and it has no default",
            Self::MethodNotAllowed => "the policy set does not allow this method",
        }
    }
}

/// One decision. Small and plain: it can be copied into an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The policy set that was chosen.
    pub set: Option<SetIndex>,
    /// The rule that matched.
    pub rule: Option<RuleIndex>,
    /// What is written into the reply.
    pub result: ResultIndex,
    /// What happens to the device.
    pub access: Access,
    /// Why.
    pub reason: Reason,
    /// Rules in state `monitor` that would have matched before the one that did.
    pub monitored: Monitored,
}

impl Decision {
    /// A reject that no rule made.
    #[must_use]
    pub const fn reject(set: Option<SetIndex>, reason: Reason) -> Self {
        Self {
            set,
            rule: None,
            result: ResultIndex::BARE_REJECT,
            access: Access::Reject,
            reason,
            monitored: Monitored::NONE,
        }
    }
}

/// The first few rules in state `monitor` that would have matched; the rest is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Monitored {
    rules: [RuleIndex; Self::KEPT],
    count: u32,
}

impl Monitored {
    const KEPT: usize = 4;

    /// No such rule.
    pub const NONE: Self = Self { rules: [RuleIndex(0); Self::KEPT], count: 0 };

    /// Adds one.
    pub fn push(&mut self, rule: RuleIndex) {
        if let Some(free) = self.rules.get_mut(self.count as usize) {
            *free = rule;
        }
        self.count = self.count.saturating_add(1);
    }

    /// Those that were kept, in the order of the rules.
    #[must_use]
    pub fn rules(&self) -> &[RuleIndex] {
        let kept = (self.count as usize).min(Self::KEPT);
        self.rules.get(..kept).unwrap_or(&[])
    }

    /// How many there were in all.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }
}
