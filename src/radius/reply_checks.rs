//! The checks of the replies of one batch, computed side by side: the NAS's side.
//!
//! Owns both hashes of a reply. The formulas are those of `authenticator`; what follows from them is for the caller to say.

use super::{
    authenticator::{Signature, check_reply_signature, is_response_authenticator_valid},
    hash::{self, START},
    messages::{Hmacs, Messages, Number},
    packet::Packet,
    secret::Secret,
};
use crate::limits::HEADER_OCTETS;

/// What the hashes of a reply say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyProof {
    /// Whether the authenticator of its header is right for the request.
    pub is_authenticator_valid: bool,
    /// What its Message-Authenticator says.
    pub signature: Signature,
}

impl ReplyProof {
    /// That of a single reply.
    #[must_use]
    pub fn of(reply: &Packet<'_>, request_authenticator: &[u8; 16], secret: &Secret) -> Self {
        Self {
            is_authenticator_valid: is_response_authenticator_valid(reply, request_authenticator, secret),
            signature: check_reply_signature(reply, request_authenticator, secret),
        }
    }
}

/// The replies of one batch.
pub struct ReplyChecks {
    hashes: Messages,
    inner: Messages,
    hmacs: Hmacs,
    replies: Vec<Pending>,
}

/// The hashes that one reply waits for.
struct Pending {
    hash: Number,
    signature: Option<Number>,
}

/// One of the replies of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyCheckNumber(usize);

impl Default for ReplyChecks {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplyChecks {
    /// No replies yet.
    #[must_use]
    pub fn new() -> Self {
        Self { hashes: Messages::new(), inner: Messages::new(), hmacs: Hmacs::new(), replies: Vec::new() }
    }

    /// Adds a reply to the request with `request_authenticator`.
    pub fn add(&mut self, reply: &Packet<'_>, request_authenticator: &[u8; 16], secret: &Secret) -> ReplyCheckNumber {
        let octets = reply.octets();
        let start = octets.get(..4).unwrap_or_default();
        let attributes = octets.get(HEADER_OCTETS..).unwrap_or_default();
        let hash = self.hashes.add(START, 0, [start, request_authenticator, attributes, secret.octets()]);
        let signature = self.hmacs.add_signature(&mut self.inner, reply, request_authenticator, secret);
        self.replies.push(Pending { hash, signature });
        ReplyCheckNumber(self.replies.len() - 1)
    }

    /// Computes the hashes of all replies.
    pub fn run(&mut self) {
        self.hashes.hash();
        self.inner.hash();
        self.hmacs.finish(&self.inner);
    }

    /// What was found out, once [`run`](Self::run) was called. `reply` must be the one of the number.
    #[must_use]
    pub fn proof(&self, number: ReplyCheckNumber, reply: &Packet<'_>) -> Option<ReplyProof> {
        let pending = self.replies.get(number.0)?;
        let signature = self.hmacs.signature(pending.signature, reply);
        let is_authenticator_valid = hash::equal(&self.hashes.digest(pending.hash), reply.authenticator());
        Some(ReplyProof { is_authenticator_valid, signature })
    }

    /// Forgets all replies.
    pub fn clear(&mut self) {
        self.hashes.clear();
        self.inner.clear();
        self.hmacs.clear();
        self.replies.clear();
    }
}

impl std::fmt::Debug for ReplyChecks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The messages hold secrets.
        f.debug_struct("ReplyChecks").field("replies", &self.replies.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::{code::Code, kind, reply::ReplyBuffer};

    proptest! {
        #[test]
        fn replies_of_a_batch_are_judged_like_each_alone(
            secret in proptest::collection::vec(any::<u8>(), 1..90),
            replies in proptest::collection::vec(
                (
                    any::<[u8; 16]>(),
                    any::<bool>(),
                    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..254), 0..4),
                    // A wrong octet somewhere behind Code, Identifier and Length.
                    proptest::option::of((any::<prop::sample::Index>(), 1..=255_u8)),
                ),
                0..40,
            ),
        ) {
            let secret = Secret::new(secret).unwrap();
            let (mut checks, mut buffer) = (ReplyChecks::new(), ReplyBuffer::new());
            for _ in 0..2 {
                checks.clear();
                let mut batch = Vec::new();
                for (authenticator, signed, values, wrong) in &replies {
                    if *signed {
                        buffer.start(Code::ACCESS_ACCEPT, 9);
                    } else {
                        buffer.start_unsigned(Code::ACCESS_ACCEPT, 9);
                    }
                    values.iter().for_each(|value| buffer.push(kind::CLASS, value).unwrap());
                    let mut octets = buffer.sign(authenticator, &secret).to_vec();
                    if let Some((at, wrong)) = wrong {
                        let at = 4 + at.index(octets.len() - 4);
                        octets[at] ^= wrong;
                    }
                    let Ok(reply) = Packet::parse(&octets) else { continue };
                    let number = checks.add(&reply, authenticator, &secret);
                    let alone = ReplyProof::of(&reply, authenticator, &secret);
                    prop_assert_eq!(alone.is_authenticator_valid, wrong.is_none());
                    batch.push((number, octets, alone));
                }
                checks.run();
                for (number, octets, alone) in &batch {
                    let reply = Packet::parse(octets).unwrap();
                    prop_assert_eq!(checks.proof(*number, &reply), Some(*alone));
                }
            }
        }
    }
}
