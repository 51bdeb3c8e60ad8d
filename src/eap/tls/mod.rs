//! EAP-TLS: fragments, handshakes, certificates, keys, resumption.
//!
//! It owns everything between the data of a type-13 packet and a decision. Conversations and their limits stand above.

pub mod alert;
pub mod context;
pub mod evidence;
pub mod expiry;
pub mod fault;
mod file;
pub mod flow;
pub mod fragment;
mod handshake;
pub mod keys;
mod link;
mod ocsp;
pub mod resume;
pub mod settings;
pub mod verify;
