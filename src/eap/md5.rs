//! EAP-MD5 as switches use it for MAC bypass: a challenge, and the MD5 of identifier, password and challenge.
//!
//! Owns the challenge and the comparison. Which passwords count, and where the method is offered at all, is decided
//! above: it proves nothing about a device, and gives no keys.

use hmac::digest::Digest as _;
use md5::Md5;
use subtle::ConstantTimeEq as _;

use super::{chance::Chance, packet::Broken};

/// Octets of challenge and answer.
const OCTETS: usize = 16;

/// A challenge that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge([u8; OCTETS]);

impl Challenge {
    /// A new one.
    #[must_use]
    pub fn new(chance: &mut dyn Chance) -> Self {
        let mut octets = [0; OCTETS];
        chance.fill(&mut octets);
        Self(octets)
    }

    /// The data of its request.
    ///
    /// Source: RFC 3748 section 5.4, RFC 1994 section 4.1.
    #[must_use]
    pub fn data(&self) -> [u8; OCTETS + 1] {
        let mut data = [0; OCTETS + 1];
        let (size, value) = data.split_at_mut(1);
        size.fill(16);
        value.copy_from_slice(&self.0);
        data
    }

    /// What the device answered to the request with `identifier`. A name may follow the answer and means nothing.
    ///
    /// # Errors
    /// [`Broken::Md5AnswerCut`].
    pub fn answered(self, identifier: u8, data: &[u8]) -> Result<Md5Proof, Broken> {
        let (16, rest) = data.split_first().map(|(size, rest)| (*size, rest)).ok_or(Broken::Md5AnswerCut)? else {
            return Err(Broken::Md5AnswerCut);
        };
        let answer = *rest.first_chunk::<OCTETS>().ok_or(Broken::Md5AnswerCut)?;
        Ok(Md5Proof { identifier, challenge: self.0, answer })
    }
}

/// An answer that can be held against passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Md5Proof {
    identifier: u8,
    challenge: [u8; OCTETS],
    answer: [u8; OCTETS],
}

impl Md5Proof {
    /// Whether the device knew `password`. Takes the same time for a wrong one.
    #[must_use]
    pub fn matches(&self, password: &[u8]) -> bool {
        let expected = Md5::new().chain_update([self.identifier]).chain_update(password).chain_update(self.challenge);
        expected.finalize().as_slice().ct_eq(&self.answer).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eap::chance::SeededChance;

    #[test]
    fn only_the_right_password_matches() {
        let challenge = Challenge([7; 16]);
        let answer = Md5::new().chain_update([3]).chain_update(b"a4c3f0112233").chain_update([7; 16]).finalize();
        let mut data = vec![16];
        data.extend_from_slice(&answer);
        data.extend_from_slice(b"the name of a switch");
        let proof = challenge.answered(3, &data).unwrap();
        assert!(proof.matches(b"a4c3f0112233"));
        assert!(!proof.matches(b"A4C3F0112233"));
        assert!(!challenge.answered(4, &data).unwrap().matches(b"a4c3f0112233"), "the identifier counts");
    }

    #[test]
    fn an_answer_of_another_size_is_broken() {
        let challenge = Challenge::new(&mut SeededChance::new(1));
        for data in [&[][..], &[16], &[15; 16], &[17; 18], &[16; 16]] {
            assert_eq!(challenge.answered(1, data), Err(Broken::Md5AnswerCut), "{data:?}");
        }
    }
}
