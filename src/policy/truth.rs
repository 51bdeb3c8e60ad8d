//! Three-valued logic: what nobody knows is neither true nor false.
//!
//! Owns the tables of `not`, `all` and `any` (Kleene's strong logic). Which comparison is undefined, the evaluation says.

/// What a condition comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds. Only this makes a rule match.
    True,
    /// It does not hold.
    False,
    /// It asks about something that is not known.
    Undefined,
}

impl Truth {
    /// `True` or `False`.
    #[must_use]
    pub const fn of(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }

    /// The opposite; the opposite of undefined is undefined.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Undefined => Self::Undefined,
        }
    }

    /// Both: false if one is false, true if both are true.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Undefined,
        }
    }

    /// Either: true if one is true, false if both are false.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        self.negated().and(other.negated()).negated()
    }

    /// The word for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Undefined => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Truth; 3] = [Truth::True, Truth::False, Truth::Undefined];

    #[test]
    fn what_is_known_decides_even_beside_the_unknown() {
        assert_eq!(Truth::Undefined.and(Truth::False), Truth::False);
        assert_eq!(Truth::Undefined.or(Truth::True), Truth::True);
        assert_eq!(Truth::Undefined.and(Truth::True), Truth::Undefined);
        assert_eq!(Truth::Undefined.or(Truth::False), Truth::Undefined);
    }

    #[test]
    fn the_order_of_terms_does_not_matter_and_negation_swaps_any_and_all() {
        for a in ALL {
            for b in ALL {
                assert_eq!(a.and(b), b.and(a));
                assert_eq!(a.or(b), b.or(a));
                assert_eq!(a.and(b).negated(), a.negated().or(b.negated()));
                for c in ALL {
                    assert_eq!(a.and(b).and(c), a.and(b.and(c)));
                }
            }
            assert_eq!(a.negated().negated(), a);
        }
    }
}
