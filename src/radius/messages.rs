//! Messages of one batch, laid out in padded blocks so that they can be hashed side by side.
//!
//! Owns the layout and MD5's padding. The memory is used again for every batch; it held secrets, so it is overwritten
//! before that.

use fearless_simd::Level;

use super::{
    hash::{BLOCK_OCTETS, DIGEST_OCTETS, HmacKey, digest_octets},
    lanes::{self, Job},
};

/// Messages that wait to be hashed, and their digests afterwards.
pub(super) struct Messages {
    level: Level,
    octets: Vec<u8>,
    jobs: Vec<Job>,
}

/// One of the messages of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number(usize);

impl Messages {
    pub(super) fn new() -> Self {
        Self { level: lanes::level(), octets: Vec::new(), jobs: Vec::new() }
    }

    /// Adds a message: `parts`, one after the other, hashed on from `words`, which took `before` octets already: whole
    /// blocks.
    #[inline]
    pub(super) fn add<'p>(
        &mut self,
        words: [u32; 4],
        before: usize,
        parts: impl IntoIterator<Item = &'p [u8]>,
    ) -> Number {
        let from = self.octets.len();
        for part in parts {
            self.octets.extend_from_slice(part);
        }
        let bits = ((before + self.octets.len() - from) as u64).wrapping_mul(8);
        self.octets.push(0x80);
        let padded = (self.octets.len() + 8).next_multiple_of(BLOCK_OCTETS);
        self.octets.resize(padded - 8, 0);
        self.octets.extend_from_slice(&bits.to_le_bytes());
        let blocks = (padded - from) / BLOCK_OCTETS;
        self.jobs.push(Job { words, start: from / BLOCK_OCTETS, blocks });
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
        self.octets.fill(0);
        self.octets.clear();
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
    pub(super) fn add<'p>(
        &mut self,
        inner: &mut Messages,
        key: HmacKey,
        parts: impl IntoIterator<Item = &'p [u8]>,
    ) -> Number {
        let number = inner.add(key.inner(), BLOCK_OCTETS, parts);
        self.waiting.push((number, key));
        Number(self.waiting.len() - 1)
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
