//! The list of operators: names, what they take, which facts they fit.
//!
//! Owns the table from which the reference is made. It compiles nothing.

use super::super::catalogue::Kind;

/// An operator of a condition, `{ operator = … }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each one is described by its row, where the reference is made from")]
pub enum Operator {
    Not,
    In,
    NotIn,
    InList,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    AtLeast,
    AtMost,
    Above,
    Below,
    Within,
    Network,
    Mac,
    Present,
}

/// What is to know about an operator.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The operator.
    pub operator: Operator,
    /// Its name in policies.
    pub name: &'static str,
    /// What stands behind it.
    pub takes: &'static str,
    /// When it holds, for the reference.
    pub about: &'static str,
}

const fn row(operator: Operator, name: &'static str, takes: &'static str, about: &'static str) -> Row {
    Row { operator, name, takes, about }
}

/// All operators in the order of the reference.
pub const ROWS: &[Row] = &[
    row(Operator::Not, "not", "a literal, a list, or a table of operators", "no value of the fact is so"),
    row(Operator::In, "in", "a list", "it is one of these; the same as the bare list"),
    row(Operator::NotIn, "not-in", "a list", "no value of the fact is one of these"),
    row(Operator::InList, "in-list", "the name of a `[list.…]`, or several", "it is in the list"),
    row(Operator::Contains, "contains", "a text, or several", "the text contains this"),
    row(Operator::StartsWith, "starts-with", "a text, or several", "the text starts with this"),
    row(Operator::EndsWith, "ends-with", "a text, or several", "the text ends with this"),
    row(
        Operator::Matches,
        "matches",
        "a regular expression, or several",
        "the expression matches somewhere in the text; `^` and `$` bind it to the ends",
    ),
    row(Operator::AtLeast, "at-least", "a number, a version, a date, …", "it is this or more"),
    row(Operator::AtMost, "at-most", "a number, a version, a date, …", "it is this or less"),
    row(Operator::Above, "above", "a number, a version, a date, …", "it is more than this"),
    row(Operator::Below, "below", "a number, a version, a date, …", "it is less than this"),
    row(Operator::Within, "within", "a duration", "it is at most so long ago"),
    row(Operator::Network, "network", "a network in CIDR notation, or several", "the address is in it"),
    row(
        Operator::Mac,
        "mac",
        "a MAC address or its first digits in any spelling, or several",
        "it is this MAC address, or begins so; texts in any spelling",
    ),
    row(Operator::Present, "present", "`true` or `false`", "there is a value at all, or none"),
];

impl Operator {
    /// The operator of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.operator)
    }

    /// The name in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        ROWS.get(self as usize).map_or("", |row| row.name)
    }

    /// Whether it makes sense for facts of this kind.
    #[must_use]
    pub const fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Present => true,
            Self::Not => !matches!(kind, Kind::Opaque),
            Self::In | Self::NotIn => !matches!(kind, Kind::Opaque | Kind::Age),
            Self::InList => {
                matches!(kind, Kind::Text | Kind::Number | Kind::Mac | Kind::Guid | Kind::Address | Kind::Network)
            }
            Self::Contains | Self::StartsWith | Self::EndsWith | Self::Matches => {
                matches!(kind, Kind::Text | Kind::Version)
            }
            Self::AtLeast | Self::AtMost | Self::Above | Self::Below => {
                matches!(kind, Kind::Number | Kind::Age | Kind::Version | Kind::Hour | Kind::Date)
            }
            Self::Within => matches!(kind, Kind::Age),
            Self::Network => matches!(kind, Kind::Address),
            Self::Mac => matches!(kind, Kind::Mac | Kind::Text),
        }
    }

    /// The names of all operators that fit facts of this kind.
    pub fn fitting(kind: Kind) -> impl Iterator<Item = &'static str> {
        ROWS.iter().filter(move |row| row.operator.fits(kind)).map(|row| row.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_has_one_row_in_the_order_of_the_enumeration() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.operator as usize, index, "{}", row.name);
            assert_eq!((Operator::parse(row.name), row.operator.name()), (Some(row.operator), row.name));
        }
        assert_eq!(ROWS.len(), Operator::Present as usize + 1);
    }
}
