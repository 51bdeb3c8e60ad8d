//! The requests of one batch, hidden and signed side by side: the NAS's side.
//!
//! Owns the order of the hashes of a request: the pad of its password, then the two of Message-Authenticator, which covers
//! it. The formulas are those of `hidden` and `authenticator`. For benches; codes whose authenticator is a hash, as that of
//! an Accounting-Request, are signed one by one.

use super::{
    hash::START,
    messages::{Hmacs, Messages, Number},
    request::{RequestBuffer, Unsigned},
    secret::Secret,
};
use crate::limits::HEADER_OCTETS;

/// Requests that wait to be signed, and their octets afterwards.
pub struct RequestSigning {
    pads: Messages,
    inner: Messages,
    hmacs: Hmacs,
    octets: Vec<u8>,
    requests: Vec<Pending>,
}

struct Pending {
    start: usize,
    end: usize,
    /// Where the password starts within the request, and which hash its pad is.
    password: Option<(usize, Number)>,
    /// Where the value of the Message-Authenticator starts.
    signature: Option<usize>,
}

impl Default for RequestSigning {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestSigning {
    /// No requests yet.
    #[must_use]
    pub fn new() -> Self {
        let (pads, inner, hmacs) = (Messages::new(), Messages::new(), Hmacs::new());
        Self { pads, inner, hmacs, octets: Vec::new(), requests: Vec::new() }
    }

    /// Takes a copy of the request, to be signed with `secret`. An Access-Request or Status-Server.
    pub fn add(&mut self, request: &mut RequestBuffer, secret: &Secret) {
        let Unsigned { octets, password, signature } = request.unsigned();
        let authenticator = octets.get(4..HEADER_OCTETS).unwrap_or_default();
        let password = password.map(|at| (at, self.pads.add(START, 0, [secret.octets(), authenticator])));
        let start = self.octets.len();
        self.octets.extend_from_slice(octets);
        self.requests.push(Pending { start, end: self.octets.len(), password, signature });
    }

    /// Hides and signs all requests, with the secret that each was [added](Self::add) with.
    ///
    /// Source: RFC 2865 section 5.2, RFC 3579 section 3.2.
    pub fn run(&mut self, secret: &Secret) {
        self.pads.hash();
        for Pending { start, end, password, .. } in &self.requests {
            let Some(request) = self.octets.get_mut(*start..*end) else { continue };
            if let Some((at, pad)) = *password {
                let pad = self.pads.digest(pad);
                request.iter_mut().skip(at).zip(pad).for_each(|(octet, pad)| *octet ^= pad);
            }
        }
        let mut codes = Vec::with_capacity(self.requests.len());
        for Pending { start, end, signature, .. } in &self.requests {
            let request = self.octets.get(*start..*end).unwrap_or_default();
            codes.push(signature.map(|at| (at, self.hmacs.add(&mut self.inner, secret.hmac_key(), [request]))));
        }
        self.inner.hash();
        self.hmacs.finish(&self.inner);
        for (Pending { start, .. }, code) in self.requests.iter().zip(codes) {
            let Some((at, number)) = code else { continue };
            if let Some(place) = self.octets.get_mut(start + at..).and_then(<[u8]>::first_chunk_mut) {
                *place = self.hmacs.code(number);
            }
        }
    }

    /// The octets of all requests in their order, signed once [`run`](Self::run) was called.
    pub fn requests(&self) -> impl Iterator<Item = &[u8]> {
        self.requests.iter().map(|request| self.octets.get(request.start..request.end).unwrap_or_default())
    }

    /// Forgets all requests.
    pub fn clear(&mut self) {
        self.pads.clear();
        self.inner.clear();
        self.hmacs.clear();
        self.octets.clear();
        self.requests.clear();
    }
}

impl std::fmt::Debug for RequestSigning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The octets held passwords.
        f.debug_struct("RequestSigning").field("requests", &self.requests.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::{
        authenticator::{Signature, check_request_signature},
        code::Code,
        hidden::reveal_password,
        kind,
        packet::Packet,
    };

    proptest! {
        #[test]
        fn requests_of_a_batch_are_hidden_and_signed_like_each_alone(
            secret in proptest::collection::vec(any::<u8>(), 1..90),
            requests in proptest::collection::vec(
                (
                    any::<[u8; 16]>(),
                    any::<bool>(),
                    proptest::option::of(proptest::collection::vec(1..=255_u8, 0..=16)),
                    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..254), 0..4),
                ),
                0..40,
            ),
        ) {
            let secret = Secret::new(secret).unwrap();
            let (mut signing, mut buffer) = (RequestSigning::new(), RequestBuffer::new());
            for _ in 0..2 {
                signing.clear();
                let mut expected = Vec::new();
                for (authenticator, signed, password, values) in &requests {
                    if *signed {
                        buffer.start_request(Code::ACCESS_REQUEST, 9, authenticator);
                    } else {
                        buffer.start_unsigned_request(Code::ACCESS_REQUEST, 9, authenticator);
                    }
                    if let Some(password) = password {
                        buffer.push_clear_password(password).unwrap();
                    }
                    values.iter().for_each(|value| buffer.push(kind::CLASS, value).unwrap());
                    signing.add(&mut buffer, &secret);
                    expected.push(buffer.sign(&secret).to_vec());
                }
                signing.run(&secret);
                prop_assert_eq!(signing.requests().collect::<Vec<_>>(), expected);
                for (octets, (authenticator, signed, password, _)) in signing.requests().zip(&requests) {
                    let packet = Packet::parse(octets).unwrap();
                    let is_signed = check_request_signature(&packet, &secret) == Signature::Valid;
                    prop_assert_eq!(is_signed, *signed);
                    let mut room = [0; 253];
                    let revealed = packet
                        .first(kind::USER_PASSWORD)
                        .map(|hidden| reveal_password(hidden, authenticator, &secret, &mut room).unwrap().to_vec());
                    prop_assert_eq!(&revealed, password);
                }
            }
        }
    }

    #[test]
    fn a_password_of_more_than_one_block_is_refused() {
        let mut request = RequestBuffer::new();
        request.start_request(Code::ACCESS_REQUEST, 1, &[7; 16]);
        let before = request.octets().len();
        assert!(request.push_clear_password(&[b'a'; 17]).is_err());
        assert_eq!(request.octets().len(), before);
    }
}
