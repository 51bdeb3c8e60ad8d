//! RADIUS octets to packets and back: the codec.
//!
//! Owns the formats of RFC 2865, 2866, 2868, 3579, 5176, 5997 and 6929 and the hashes in them. It opens no socket,
//! knows no names of attributes (that is `dictionary`) and decides nothing (that is `engine`).
//!
//! | file | what |
//! | --- | --- |
//! | [`packet`] | a checked packet, borrowed from the octets that came |
//! | [`attribute`], [`kind`], [`code`] | one attribute, the numbers of types and of packets |
//! | [`error`] | one variant for each rule that can be broken |

#![deny(clippy::indexing_slicing, reason = "octets of strangers are looked at here; nothing may panic on them")]

pub mod attribute;
pub mod code;
pub mod error;
pub mod kind;
pub mod packet;
