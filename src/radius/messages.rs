//! Messages of one batch, laid out in padded blocks so that they can be hashed side by side.
//!
//! Owns the layout and MD5's padding. The memory is used again for every batch; it held secrets, so it is overwritten
//! before that.

use fearless_simd::Level;

use super::{
    authenticator::Signature,
    hash::{self, BLOCK_OCTETS, DIGEST_OCTETS, HmacKey, digest_octets},
    lanes::{self, Job},
    packet::Packet,
    secret::Secret,
};
use crate::limits::HEADER_OCTETS;

/// Messages that wait to be hashed, and their digests afterwards.
pub(super) struct Messages {
    level: Level,
    /// Zeros from `end` on: padding need not be written.
    octets: Vec<u8>,
    end: usize,
    jobs: Vec<Job>,
}

/// One of the messages of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number(usize);

impl Messages {
    pub(super) fn new() -> Self {
        Self { level: lanes::level(), octets: Vec::new(), end: 0, jobs: Vec::new() }
    }

    /// Adds a message: `parts`, one after the other, hashed on from `words`, which took `before` octets already: whole
    /// blocks.
    #[inline]
    pub(super) fn add<const PARTS: usize>(&mut self, words: [u32; 4], before: usize, parts: [&[u8]; PARTS]) -> Number {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let blocks = (length + 1 + 8).div_ceil(BLOCK_OCTETS);
        let (start, end) = (self.end, self.end + blocks * BLOCK_OCTETS);
        if self.octets.len() < end {
            self.octets.resize(end.next_power_of_two(), 0);
        }
        let mut room = self.octets.get_mut(start..end).unwrap_or_default();
        for part in parts {
            let Some((place, rest)) = std::mem::take(&mut room).split_at_mut_checked(part.len()) else { break };
            place.copy_from_slice(part);
            room = rest;
        }
        if let Some(first) = room.first_mut() {
            *first = 0x80;
        }
        if let Some(bits) = room.last_chunk_mut() {
            *bits = ((before + length) as u64).wrapping_mul(8).to_le_bytes();
        }
        self.end = end;
        self.jobs.push(Job { words, start: start / BLOCK_OCTETS, blocks });
        Number(self.jobs.len() - 1)
    }

    /// Writes over octets of a message that was added, at this distance from its start.
    #[inline]
    pub(super) fn write(&mut self, number: Number, at: usize, octets: &[u8; 16]) {
        let start = self.jobs.get(number.0).map_or(usize::MAX, |job| job.start * BLOCK_OCTETS + at);
        if let Some(place) = self.octets.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
            *place = *octets;
        }
    }

    /// Hashes all messages.
    pub(super) fn hash(&mut self) {
        lanes::hash_all(self.level, &mut self.jobs, self.octets.as_chunks().0);
    }

    /// The digest of a message, once it was hashed.
    #[inline]
    pub(super) fn digest(&self, number: Number) -> [u8; DIGEST_OCTETS] {
        digest_octets(self.jobs.get(number.0).map_or([0; 4], |job| job.words))
    }

    /// Forgets all messages.
    pub(super) fn clear(&mut self) {
        self.octets.get_mut(..self.end).unwrap_or_default().fill(0);
        self.end = 0;
        self.jobs.clear();
    }
}

/// HMACs of one batch: the inner hashes of all of them, then the outer ones.
///
/// Source: RFC 2104 section 2.
pub(super) struct Hmacs {
    outer: Messages,
    waiting: Vec<(Number, HmacKey)>,
}

impl Hmacs {
    pub(super) fn new() -> Self {
        Self { outer: Messages::new(), waiting: Vec::new() }
    }

    /// Adds a message whose inner hash goes to `inner`, which the caller hashes.
    #[inline]
    pub(super) fn add<const PARTS: usize>(
        &mut self,
        inner: &mut Messages,
        key: HmacKey,
        parts: [&[u8]; PARTS],
    ) -> Number {
        let number = inner.add(key.inner(), BLOCK_OCTETS, parts);
        self.waiting.push((number, key));
        Number(self.waiting.len() - 1)
    }

    /// Adds the Message-Authenticator of a packet, if it has one, with this authenticator in the place of its header's.
    ///
    /// Source: RFC 3579 section 3.2.
    #[inline]
    pub(super) fn add_signature(
        &mut self,
        inner: &mut Messages,
        packet: &Packet<'_>,
        authenticator: &[u8; 16],
        secret: &Secret,
    ) -> Option<Number> {
        let (octets, at) = (packet.octets(), packet.message_authenticator()?);
        let (before, rest) = octets.get(HEADER_OCTETS..)?.split_at_checked(at.checked_sub(HEADER_OCTETS)?)?;
        let parts = [octets.get(..4)?, authenticator, before, &[0; 16], rest.get(16..)?];
        Some(self.add(inner, secret.hmac_key(), parts))
    }

    /// What the Message-Authenticator of that packet says, once all are finished.
    #[inline]
    pub(super) fn signature(&self, number: Option<Number>, packet: &Packet<'_>) -> Signature {
        let (Some(number), Some(at)) = (number, packet.message_authenticator()) else { return Signature::Missing };
        let found = packet.octets().get(at..).and_then(<[u8]>::first_chunk);
        let is_right = found.is_some_and(|found| hash::equal(&self.code(number), found));
        if is_right { Signature::Valid } else { Signature::Wrong }
    }

    /// Finishes all of them, once their inner hashes are there.
    pub(super) fn finish(&mut self, inner: &Messages) {
        for (number, key) in self.waiting.drain(..) {
            self.outer.add(key.outer(), BLOCK_OCTETS, [&inner.digest(number)[..]]);
        }
        self.outer.hash();
    }

    /// The authentication code of a message, once it is finished.
    #[inline]
    pub(super) fn code(&self, number: Number) -> [u8; DIGEST_OCTETS] {
        self.outer.digest(number)
    }

    /// Forgets all messages.
    pub(super) fn clear(&mut self) {
        self.outer.clear();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::hash::{Md5, START};

    fn arb_texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..40)
    }

    proptest! {
        #[test]
        fn messages_side_by_side_have_the_digests_that_they_have_alone(texts in arb_texts(), cut in 0_usize..200) {
            let mut messages = Messages::new();
            for _ in 0..2 {
                messages.clear();
                let numbers: Vec<Number> = texts.iter().map(|text| {
                    let (head, tail) = text.split_at(cut.min(text.len()));
                    messages.add(START, 0, [head, tail])
                }).collect();
                messages.hash();
                for (number, text) in numbers.into_iter().zip(&texts) {
                    let mut alone = Md5::new();
                    alone.update(text);
                    prop_assert_eq!(messages.digest(number), alone.finish());
                }
            }
        }

        #[test]
        fn hmacs_side_by_side_are_those_that_they_are_alone(
            texts in arb_texts(),
            key in proptest::collection::vec(any::<u8>(), 1..100),
        ) {
            let (mut inner, mut hmacs, key) = (Messages::new(), Hmacs::new(), HmacKey::new(&key));
            let numbers: Vec<Number> =
                texts.iter().map(|text| hmacs.add(&mut inner, key, [text.as_slice()])).collect();
            inner.hash();
            hmacs.finish(&inner);
            for (number, text) in numbers.into_iter().zip(&texts) {
                let mut alone = key.start();
                alone.update(text);
                prop_assert_eq!(hmacs.code(number), alone.finish());
            }
        }
    }

    #[test]
    fn octets_can_be_written_over_before_the_message_is_hashed() {
        let mut messages = Messages::new();
        messages.add(START, 0, [&b"another"[..]]);
        let number = messages.add(START, 0, [&[7; 90][..]]);
        messages.write(number, 60, &[9; 16]);
        messages.hash();
        let mut alone = Md5::new();
        [&[7; 60][..], &[9; 16], &[7; 14]].into_iter().for_each(|part| alone.update(part));
        assert_eq!(messages.digest(number), alone.finish());
    }
}
