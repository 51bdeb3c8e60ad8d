//! A device that speaks EAP-TLS: what a laptop does when a switch asks who it is.
//!
//! Owns a device's half of RFC 3748, RFC 5216 and RFC 9190, for load and benches. It shares no code with the server's half
//! (`eap`), so that a mistake in one is not answered by the same mistake in the other; and it knows nothing of RADIUS:
//! octets of EAP packets go in and out.
//!
//! - [`credentials`]: a certificate, whom the device trusts, versions of TLS: [`Supplicant`]
//! - [`peer`]: one conversation: [`Peer`]

pub mod credentials;
pub mod peer;

pub use credentials::{Credentials, Supplicant, Versions};
pub use peer::{Broken, Peer, Turn};
