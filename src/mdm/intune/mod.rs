//! Microsoft Intune: its three interfaces (Graph, service discovery, compliance retrieval) and how one lookup uses them.
//!
//! Owns addresses, the reading of replies, and the order of calls in a lookup. Replies are judged by plain functions of
//! status and octets; only `client` sends. Queues, budgets and tokens lie beside this folder.
#![doc = include_str!("traps.md")]

pub(super) mod client;
mod compliance;
mod discovery;
mod graph;
pub(super) mod lookup;
pub(super) mod whereabouts;
mod wire;
mod xml;

pub(super) use compliance::{About, bare as bare_record};
pub(super) use graph::{BATCH_PARTS_MAX, ListPage, Single};
