//! From a profile and a vendor to attributes, and from a plan to the octets of one reply.
//!
//! Owns what a vendor can't express, sizes, and the parts of a reply that only the request makes complete. How a vendor
//! writes things is data (`vendor`); signing and sending are the engine's.

mod build;
mod express;
mod plan;
mod render;
mod render_acl;
mod summary;

pub use plan::{FactId, FactNames, FactSource, Occasion, ReplyPlan};
pub use render::{Materials, render};
pub use summary::{Line, Summary, SummaryVlan};

#[cfg(test)]
mod golden;
