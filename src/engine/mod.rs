//! One request in, one action out: the heart of radmit, without sockets, clocks or `async`.
//!
//! Owns admission, the duplicate table, authentication by MAC bypass, parked requests, the choice of the reply and its
//! octets. It doesn't receive or send (`udp`), ask the cloud (`mdm`), judge (`policy`) or write logs (`audit`).

pub mod action;
pub mod chance;
pub mod duplicate;
pub mod event;
