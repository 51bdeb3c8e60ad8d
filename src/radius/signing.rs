//! The replies of one batch, signed side by side.
//!
//! Owns the order of the three hashes of a reply: the two of Message-Authenticator, then the header's authenticator,
//! which covers it. The formulas are those of `authenticator`.

use super::{
    hash::START,
    messages::{Hmacs, Messages, Number},
    reply::ReplyBuffer,
    secret::Secret,
};

/// Replies that wait to be signed, and their octets afterwards.
pub struct Signing {
    inner: Messages,
    hmacs: Hmacs,
    hashes: Messages,
    octets: Vec<u8>,
    replies: Vec<Pending>,
}

struct Pending {
    start: usize,
    end: usize,
    /// Where the value of the Message-Authenticator starts within the reply, and which hash it is.
    signature: Option<(usize, Number)>,
    hash: Number,
}

/// One of the replies of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyNumber(usize);

impl Default for Signing {
    fn default() -> Self {
        Self::new()
    }
}

impl Signing {
    /// No replies yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Messages::new(),
            hmacs: Hmacs::new(),
            hashes: Messages::new(),
            octets: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// Takes a copy of the reply to the request with `request_authenticator`, to be signed with `secret`.
    pub fn add(&mut self, reply: &mut ReplyBuffer, request_authenticator: &[u8; 16], secret: &Secret) -> ReplyNumber {
        let (at, octets) = reply.unsigned(request_authenticator);
        let signature = at.map(|at| (at, self.hmacs.add(&mut self.inner, secret.hmac_key(), [octets])));
        let hash = self.hashes.add(START, 0, [octets, secret.octets()]);
        let start = self.octets.len();
        self.octets.extend_from_slice(octets);
        self.replies.push(Pending { start, end: self.octets.len(), signature, hash });
        ReplyNumber(self.replies.len() - 1)
    }

    /// Signs all replies.
    ///
    /// Source: RFC 2865 section 3, RFC 3579 section 3.2.
    pub fn run(&mut self) {
        self.inner.hash();
        self.hmacs.finish(&self.inner);
        for Pending { start, signature, hash, .. } in &self.replies {
            let Some((at, number)) = *signature else { continue };
            let code = self.hmacs.code(number);
            self.hashes.write(*hash, at, &code);
            write_at(&mut self.octets, start + at, &code);
        }
        self.hashes.hash();
        for Pending { start, hash, .. } in &self.replies {
            write_at(&mut self.octets, start + 4, &self.hashes.digest(*hash));
        }
    }

    /// The octets of a reply, signed once [`run`](Self::run) was called.
    #[must_use]
    pub fn octets(&self, number: ReplyNumber) -> &[u8] {
        let reply = self.replies.get(number.0);
        reply.and_then(|reply| self.octets.get(reply.start..reply.end)).unwrap_or_default()
    }

    /// Forgets all replies.
    pub fn clear(&mut self) {
        self.inner.clear();
        self.hmacs.clear();
        self.hashes.clear();
        self.octets.clear();
        self.replies.clear();
    }
}

fn write_at(octets: &mut [u8], at: usize, value: &[u8; 16]) {
    if let Some(place) = octets.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = *value;
    }
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The octets hold secrets.
        f.debug_struct("Signing").field("replies", &self.replies.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::{code::Code, kind};

    proptest! {
        #[test]
        fn replies_of_a_batch_are_signed_like_each_alone(
            replies in proptest::collection::vec(
                (
                    proptest::collection::vec(any::<u8>(), 1..90),
                    any::<[u8; 16]>(),
                    any::<bool>(),
                    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..254), 0..6),
                ),
                0..40,
            ),
        ) {
            let (mut signing, mut buffer) = (Signing::new(), ReplyBuffer::new());
            for _ in 0..2 {
                signing.clear();
                let mut expected = Vec::new();
                for (secret, authenticator, signed, values) in &replies {
                    let secret = Secret::new(secret.clone()).unwrap();
                    if *signed {
                        buffer.start(Code::ACCESS_ACCEPT, 9);
                    } else {
                        buffer.start_unsigned(Code::ACCOUNTING_RESPONSE, 9);
                    }
                    values.iter().for_each(|value| buffer.push(kind::CLASS, value).unwrap());
                    let number = signing.add(&mut buffer, authenticator, &secret);
                    expected.push((number, buffer.sign(authenticator, &secret).to_vec()));
                }
                signing.run();
                for (number, octets) in expected {
                    prop_assert_eq!(signing.octets(number), octets);
                }
            }
        }
    }
}
