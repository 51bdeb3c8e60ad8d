//! Chargeable-User-Identity: a name for a device that tells a network nothing but that it is the same device.
//!
//! Owns how such names are made. Who asked for one, and whether a profile has another, is `reply`'s matter.

use aws_lc_rs::hmac;

use crate::{eap::chance::Chance, policy::facts::IdentityFacts};

/// Makes the names of one run: with another key all of them are others.
///
/// Made once for a process, and shared by its shards: a device comes to any of them.
#[derive(Clone, Debug)]
pub struct Pseudonyms(hmac::Key);

/// Hexadecimal digits of 128 bits.
pub type Pseudonym = [u8; 32];

impl Pseudonyms {
    /// Names under a key of this chance.
    #[must_use]
    pub fn new(chance: &mut dyn Chance) -> Self {
        let mut key = [0; 32];
        chance.fill(&mut key);
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The name of a device at a client. `user_name`: what stands for a device of which nothing else is known.
    ///
    /// It differs from client to client, so that two networks can't compare what they have.
    /// Source: RFC 4372 section 2.1; draft-ietf-radext-deprecating-radius section 8.1.1.
    pub(super) fn name(&self, client: &str, identity: &IdentityFacts, user_name: &[u8]) -> Pseudonym {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hash = hmac::Context::with_key(&self.0);
        hash.update(client.as_bytes());
        // What kind of name follows stands between them, and no client's name holds such octets.
        match (&identity.device_id, &identity.mac) {
            (Some(id), _) => [&[0, 1][..], id].into_iter().for_each(|part| hash.update(part)),
            (None, Some(mac)) => [&[0, 2][..], mac].into_iter().for_each(|part| hash.update(part)),
            (None, None) => [&[0, 3][..], user_name].into_iter().for_each(|part| hash.update(part)),
        }
        let tag = hash.sign();
        let mut name = [0; 32];
        for ([high, low], octet) in name.as_chunks_mut::<2>().0.iter_mut().zip(tag.as_ref()) {
            *high = DIGITS[usize::from(octet >> 4)];
            *low = DIGITS[usize::from(octet & 15)];
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eap::chance::SeededChance;

    #[test]
    fn a_name_is_the_same_for_the_same_device_at_the_same_client_in_the_same_run() {
        let names = Pseudonyms::new(&mut SeededChance::new(1));
        let by_mac = |mac| IdentityFacts { mac: Some(mac), ..IdentityFacts::default() };
        let by_id = |id| IdentityFacts { device_id: Some(id), ..by_mac([1; 6]) };
        let nobody = IdentityFacts::default();
        let first = names.name("a", &by_mac([1; 6]), b"");
        assert_eq!(names.name("a", &by_mac([1; 6]), b"whatever it is called"), first);
        assert_eq!(names.name("a", &by_id([1; 16]), b""), names.name("a", &by_id([1; 16]), b""));
        let others = [
            names.name("b", &by_mac([1; 6]), b""),
            names.name("a", &by_mac([2; 6]), b""),
            names.name("a", &by_id([1; 16]), b""),
            names.name("a", &nobody, b"bob"),
            names.name("a", &nobody, &[1; 6]),
            Pseudonyms::new(&mut SeededChance::new(2)).name("a", &by_mac([1; 6]), b""),
        ];
        assert!(others.iter().all(|other| *other != first && other.iter().all(u8::is_ascii_hexdigit)));
    }

    #[test]
    fn the_key_is_not_printed() {
        let shown = format!("{:?}", Pseudonyms::new(&mut SeededChance::new(1)));
        assert!(shown.len() < 100, "{shown}");
    }
}
