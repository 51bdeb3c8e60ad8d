//! EAP as a server speaks it: conversations with devices, EAP-TLS with their certificates, EAP-MD5 for MAC bypass.
//!
//! Owns everything between the octets of an EAP packet and a decision about a device. It knows nothing of RADIUS, of
//! policy, or of what a device id is; it opens nothing and reads no clock.

#![deny(clippy::indexing_slicing, reason = "octets of strangers are looked at here; nothing may panic on them")]

pub mod chance;
pub mod conversation;
pub mod md5;
pub mod method;
pub mod packet;
pub mod reason;
pub mod sessions;
pub mod tls;
