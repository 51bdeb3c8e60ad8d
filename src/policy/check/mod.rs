//! What is allowed but probably not meant: rules that can't match, rules that an outage opens, and the like.
//!
//! Owns the warnings and hints about a policy that compiles. It changes nothing and is not needed to decide.

mod implication;
mod inspect;
mod outage;
mod pattern;

pub use inspect::{Inspection, inspect};
