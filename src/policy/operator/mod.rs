//! The operators of conditions.
//!
//! Owns their names, which facts they fit, and their compilation into a [`test::Test`], one file for each family. How
//! several tests make a condition is the matter of `compile`.

pub mod membership;
pub mod order;
pub mod row;
pub mod test;
pub mod text;
pub mod version;
