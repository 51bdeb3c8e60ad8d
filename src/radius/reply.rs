//! A reply being written and signed.
//!
//! Owns the order: attributes, Length, Message-Authenticator, authenticator. What belongs into a reply is the engine's.

use std::ops::{Deref, DerefMut};

use super::{authenticator, buffer::PacketBuffer, secret::Secret};

/// A reply being written. It is one [`PacketBuffer`], reused from reply to reply, that knows how replies are signed.
#[derive(Debug, Default)]
pub struct ReplyBuffer {
    packet: PacketBuffer,
}

impl ReplyBuffer {
    /// A buffer without a reply; [`start`](PacketBuffer::start) one.
    #[must_use]
    pub const fn new() -> Self {
        Self { packet: PacketBuffer::new() }
    }

    /// Finishes the reply to the request with `request_authenticator` and gives its octets.
    ///
    /// Signing again, also with another secret, is possible and starts from the same attributes.
    /// Source: RFC 2865 section 3, RFC 3579 section 3.2.
    pub fn sign(&mut self, request_authenticator: &[u8; 16], secret: &Secret) -> &[u8] {
        let at = self.packet.message_authenticator();
        let octets = self.packet.finished();
        authenticator::sign_reply(octets, at, request_authenticator, secret);
        octets
    }

    /// The whole reply with its Length, the request's authenticator in the header and zeros as its Message-Authenticator, and
    /// where that starts.
    pub(super) fn unsigned(&mut self, request_authenticator: &[u8; 16]) -> (Option<usize>, &[u8]) {
        let at = self.packet.message_authenticator();
        let octets = self.packet.finished();
        authenticator::prepare_reply(octets, at, request_authenticator);
        (at, octets)
    }
}

impl Deref for ReplyBuffer {
    type Target = PacketBuffer;

    fn deref(&self) -> &PacketBuffer {
        &self.packet
    }
}

impl DerefMut for ReplyBuffer {
    fn deref_mut(&mut self) -> &mut PacketBuffer {
        &mut self.packet
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::{
        authenticator::{Signature, check_reply_signature, is_response_authenticator_valid},
        code::Code,
        packet::Packet,
    };

    proptest! {
        #[test]
        fn every_signed_reply_verifies_and_holds_what_was_pushed(
            identifier in any::<u8>(),
            request_authenticator in any::<[u8; 16]>(),
            secret in proptest::collection::vec(any::<u8>(), 1..100),
            attributes in proptest::collection::vec((81u8..=255, proptest::collection::vec(any::<u8>(), 1..254)), 0..20),
            flipped in any::<proptest::sample::Index>(),
        ) {
            let secret = Secret::new(secret).unwrap();
            let mut reply = ReplyBuffer::new();
            reply.start(Code::ACCESS_ACCEPT, identifier);
            let mut pushed = Vec::new();
            for (kind, value) in &attributes {
                if reply.push(*kind, value).is_ok() {
                    pushed.push((*kind, value.clone()));
                }
            }
            let mut octets = reply.sign(&request_authenticator, &secret).to_vec();
            let packet = Packet::parse(&octets).unwrap();
            prop_assert_eq!((packet.code(), packet.identifier()), (Code::ACCESS_ACCEPT, identifier));
            prop_assert_eq!(packet.message_authenticator(), Some(22));
            let found: Vec<_> = packet.attributes().skip(1).map(|a| (a.kind, a.value.to_vec())).collect();
            prop_assert_eq!(found, pushed);
            prop_assert_eq!(check_reply_signature(&packet, &request_authenticator, &secret), Signature::Valid);
            prop_assert!(is_response_authenticator_valid(&packet, &request_authenticator, &secret));

            let at = flipped.index(octets.len());
            octets[at] ^= 1;
            if let Ok(packet) = Packet::parse(&octets) {
                prop_assert!(!is_response_authenticator_valid(&packet, &request_authenticator, &secret));
            }
        }
    }

    #[test]
    fn signing_twice_gives_the_same_octets() {
        let secret = Secret::new(b"testing123".to_vec()).unwrap();
        let mut reply = ReplyBuffer::new();
        reply.start(Code::ACCESS_REJECT, 3);
        let first = reply.sign(&[5; 16], &secret).to_vec();
        assert_eq!(reply.sign(&[5; 16], &secret), first);
    }
}
