//! The proofs of many requests, checked side by side: Message-Authenticator, hashed authenticators, User-Password.
//!
//! Owns which hashes a request needs. The formulas are those of `authenticator` and `hidden`; what follows from a proof
//! is the engine's decision.

use super::{
    authenticator::{Signature, check_request_signature, is_request_authenticator_valid},
    error::Invalid,
    hash::{self, START},
    hidden::{self, HiddenBuffer, PAD_OCTETS},
    kind,
    messages::{Hmacs, Messages, Number},
    packet::Packet,
    secret::Secret,
};
use crate::limits::HEADER_OCTETS;

/// Pads of one User-Password that are computed ahead: the MAC of a device, however it is spelled, needs no more.
const PADS: usize = 2;

/// What was found out about a request with its client's secret.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// What its Message-Authenticator says.
    pub signature: Signature,
    /// Whether the authenticator of its header is the right hash; `false` for codes whose authenticator is random.
    pub is_authenticator_valid: bool,
    pads: Option<[[u8; PAD_OCTETS]; PADS]>,
}

impl Proof {
    /// Checks one request alone.
    #[must_use]
    pub fn of(request: &Packet<'_>, secret: &Secret) -> Self {
        Self {
            signature: check_request_signature(request, secret),
            is_authenticator_valid: is_request_authenticator_valid(request, secret),
            pads: None,
        }
    }

    /// Reveals the User-Password of the request that this is the proof of, as [`hidden::reveal_password`] does.
    ///
    /// # Errors
    /// [`Invalid::PasswordSize`].
    pub fn reveal_password<'o>(
        &self,
        hidden: &[u8],
        request: &Packet<'_>,
        secret: &Secret,
        out: &'o mut HiddenBuffer,
    ) -> Result<&'o [u8], Invalid> {
        match &self.pads {
            Some(pads) if hidden.len() <= PADS * PAD_OCTETS => {
                hidden::reveal_with_pads(hidden, pads.as_flattened(), out)
            }
            _ => hidden::reveal_password(hidden, request.authenticator(), secret, out),
        }
    }
}

/// The requests of one batch.
pub struct Checks {
    messages: Messages,
    hmacs: Hmacs,
    requests: Vec<Pending>,
}

/// The hashes that one request waits for.
#[derive(Clone, Copy)]
struct Pending {
    signature: Option<Number>,
    authenticator: Option<Number>,
    pads: [Option<Number>; PADS],
}

/// One of the requests of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestNumber(usize);

impl Default for Checks {
    fn default() -> Self {
        Self::new()
    }
}

impl Checks {
    /// No requests yet.
    #[must_use]
    pub fn new() -> Self {
        Self { messages: Messages::new(), hmacs: Hmacs::new(), requests: Vec::new() }
    }

    /// Adds a request of a client with this secret.
    pub fn add(&mut self, request: &Packet<'_>, secret: &Secret) -> RequestNumber {
        let is_hashed = request.code().has_hashed_authenticator();
        let octets = request.octets();
        let start = octets.get(..4).unwrap_or_default();
        let attributes = octets.get(HEADER_OCTETS..).unwrap_or_default();
        let authenticator = if is_hashed { &[0; 16] } else { request.authenticator() };
        let signature = self.hmacs.add_signature(&mut self.messages, request, authenticator, secret);
        let authenticator =
            is_hashed.then(|| self.messages.add(START, 0, [start, &[0; 16], attributes, secret.octets()]));
        let pads =
            request.first(kind::USER_PASSWORD).map_or([None; PADS], |hidden| self.add_pads(request, hidden, secret));
        self.requests.push(Pending { signature, authenticator, pads });
        RequestNumber(self.requests.len() - 1)
    }

    /// Each pad is a hash over the secret and the hidden octets before it, so that none waits for another.
    ///
    /// Source: RFC 2865 section 5.2.
    fn add_pads(&mut self, request: &Packet<'_>, hidden: &[u8], secret: &Secret) -> [Option<Number>; PADS] {
        let parts = [Some(&request.authenticator()[..]), hidden.get(..PAD_OCTETS)];
        let mut needed = hidden.len().div_ceil(PAD_OCTETS);
        if needed > PADS {
            needed = 0;
        }
        let mut pads = [None; PADS];
        for (pad, part) in pads.iter_mut().zip(parts).take(needed) {
            *pad = part.map(|part| self.messages.add(START, 0, [secret.octets(), part]));
        }
        pads
    }

    /// Computes the hashes of all requests.
    pub fn run(&mut self) {
        self.messages.hash();
        self.hmacs.finish(&self.messages);
    }

    /// What was found out about a request, once [`run`](Self::run) was called. `request` and `secret` must be those of
    /// the number.
    #[must_use]
    pub fn proof(&self, number: RequestNumber, request: &Packet<'_>) -> Option<Proof> {
        let pending = self.requests.get(number.0)?;
        let signature = self.hmacs.signature(pending.signature, request);
        let is_authenticator_valid = pending
            .authenticator
            .is_some_and(|digest| hash::equal(&self.messages.digest(digest), request.authenticator()));
        let pads = pending
            .pads
            .iter()
            .any(Option::is_some)
            .then(|| pending.pads.map(|pad| pad.map_or([0; PAD_OCTETS], |pad| self.messages.digest(pad))));
        Some(Proof { signature, is_authenticator_valid, pads })
    }

    /// Forgets all requests.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.hmacs.clear();
        self.requests.clear();
    }
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The octets hold secrets.
        f.debug_struct("Checks").field("requests", &self.requests.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::{code::Code, request::RequestBuffer};

    fn arb_request() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let secret = proptest::collection::vec(any::<u8>(), 1..90);
        let password = proptest::collection::vec(any::<u8>(), 0..60);
        let code = prop_oneof![Just(Code::ACCESS_REQUEST), Just(Code::ACCOUNTING_REQUEST), Just(Code::STATUS_SERVER)];
        let filling = proptest::collection::vec(any::<u8>(), 1..253);
        (secret, password, code, filling, any::<[u8; 16]>(), any::<[bool; 4]>(), any::<(u16, u8)>()).prop_map(
            |(
                secret,
                password,
                code,
                filling,
                authenticator,
                [signed, has_password, in_front, flipped],
                (at, mask),
            )| {
                let keyed = Secret::new(secret.clone()).unwrap();
                let mut buffer = RequestBuffer::new();
                if signed {
                    buffer.start_request(code, 7, &authenticator);
                } else {
                    buffer.start_unsigned_request(code, 7, &authenticator);
                }
                if in_front {
                    buffer.push(kind::CLASS, &filling).unwrap();
                }
                if has_password {
                    buffer.push_password(&password, &keyed).unwrap();
                }
                buffer.push(kind::USER_NAME, &filling).unwrap();
                let mut octets = buffer.sign(&keyed).to_vec();
                if flipped {
                    let at = 4 + usize::from(at) % (octets.len() - 4);
                    octets[at] ^= mask;
                }
                (octets, secret)
            },
        )
    }

    proptest! {
        #[test]
        fn a_batch_is_judged_like_each_request_alone(requests in proptest::collection::vec(arb_request(), 0..40)) {
            let secrets: Vec<Secret> =
                requests.iter().map(|(_, secret)| Secret::new(secret.clone()).unwrap()).collect();
            let packets: Vec<(Packet<'_>, &Secret)> = requests.iter().zip(&secrets)
                .filter_map(|((octets, _), secret)| Some((Packet::parse(octets).ok()?, secret))).collect();
            let mut checks = Checks::new();
            for _ in 0..2 {
                checks.clear();
                let numbers: Vec<_> = packets.iter().map(|(packet, secret)| checks.add(packet, secret)).collect();
                checks.run();
                for (number, (packet, secret)) in numbers.into_iter().zip(&packets) {
                    let (alone, proof) = (Proof::of(packet, secret), checks.proof(number, packet).unwrap());
                    prop_assert_eq!(proof.signature, alone.signature);
                    prop_assert_eq!(proof.is_authenticator_valid, alone.is_authenticator_valid);
                    let Some(hidden) = packet.first(kind::USER_PASSWORD) else { continue };
                    let (mut room, mut room_alone) = ([0; 253], [0; 253]);
                    prop_assert_eq!(
                        proof.reveal_password(hidden, packet, secret, &mut room),
                        alone.reveal_password(hidden, packet, secret, &mut room_alone)
                    );
                }
            }
        }
    }
}
