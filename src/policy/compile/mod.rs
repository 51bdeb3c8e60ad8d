//! From drafts to a policy: names are looked up, literals read, everything that is wrong is told at once.
//!
//! Owns meaning; syntax is `file`'s, evaluation is `evaluate`'s.

pub mod case;
pub mod condition;
pub mod fact;
pub mod list;
pub mod name;
pub mod plan;
pub mod result;
pub mod set;
