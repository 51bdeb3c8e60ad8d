//! Start, reload and stop: ties the parts together and owns what outlives a reload.
//!
//! Owns the order in which things are read, bound, started and stopped. What the parts do is their own business, and
//! what an operator types and sees is `cli`'s.

pub mod eap_tls;
mod expiry;
pub mod handshakes;
pub mod inquiry;
pub mod load;
pub mod log;
mod recorder;
pub mod server;
pub mod snapshot;
mod switch;
