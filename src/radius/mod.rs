//! RADIUS octets to packets and back: the codec.
//!
//! Owns the formats of RFC 2865, 2866, 2868, 3579, 5176, 5997 and 6929 and the hashes in them. It opens no socket,
//! knows no names of attributes (that is `dictionary`) and decides nothing (that is `engine`).
//!
//! | file | what |
//! | --- | --- |
//! | [`packet`] | a checked packet, borrowed from the octets that came |
//! | [`attribute`], [`kind`], [`code`] | one attribute, the numbers of types and of packets |
//! | [`vendor`], [`extended`], [`tlv`], [`tag`] | what the inside of an attribute can look like |
//! | [`authenticator`] | who made the packet |
//! | [`hidden`] | passwords, salt-encrypted values, CHAP |
//! | [`buffer`], [`reply`], [`request`] | packets being written and signed |
//! | [`secret`] | the shared secret with its prepared hashes |
//! | [`error`] | one variant for each rule that can be broken |
//!
//! ```
//! use radmit::radius::{authenticator, code::Code, kind, packet::Packet, reply::ReplyBuffer, request, secret::Secret};
//!
//! let secret = Secret::new(b"testing123".to_vec())?;
//!
//! // What a switch sends ...
//! let mut buffer = request::RequestBuffer::new();
//! buffer.start_request(Code::ACCESS_REQUEST, 7, b"sixteen random !");
//! buffer.push(kind::USER_NAME, b"a4c3f0112233")?;
//! buffer.push_password(b"a4c3f0112233", &secret)?;
//! let datagram = buffer.sign(&secret).to_vec();
//!
//! // ... is checked first,
//! let request = Packet::parse(&datagram)?;
//! assert_eq!(authenticator::check_request_signature(&request, &secret), authenticator::Signature::Valid);
//! assert_eq!(request.first(kind::USER_NAME), Some(&b"a4c3f0112233"[..]));
//!
//! // then answered.
//! let mut reply = ReplyBuffer::new();
//! reply.start(Code::ACCESS_ACCEPT, request.identifier());
//! reply.push_u32(kind::SESSION_TIMEOUT, 28_800)?;
//! let datagram = reply.sign(request.authenticator(), &secret);
//! request::verify_reply(&Packet::parse(datagram)?, &request, &secret)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(clippy::indexing_slicing, reason = "octets of strangers are looked at here; nothing may panic on them")]

pub mod attribute;
pub mod authenticator;
pub mod buffer;
pub mod checks;
pub mod code;
pub mod error;
pub mod extended;
mod hash;
pub mod hidden;
pub mod kind;
mod lanes;
mod messages;
pub mod packet;
pub mod reply;
pub mod reply_checks;
pub mod request;
pub mod request_signing;
pub mod secret;
pub mod signing;
pub mod tag;
pub mod tlv;
pub mod vendor;
