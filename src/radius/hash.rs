//! MD5 and HMAC-MD5 from states that were prepared once for each secret.
//!
//! The one place that knows how MD5 is computed; what is hashed is the business of its users. The compression function
//! is the `md-5` crate's. Its padding and HMAC's two passes stand here, because the prepared states are then 16 plain
//! octets that a secret can wipe, and because hashing several packets side by side starts from such states.

use std::hint::black_box;

use md5::block_api::compress;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Octets of a digest.
pub(super) const DIGEST_OCTETS: usize = 16;
/// Octets of a block.
pub(super) const BLOCK_OCTETS: usize = 64;
/// The state that every hash starts from.
pub(super) const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// A hash that is being fed. Copying it is how a prepared state is reused.
///
/// Source: RFC 1321.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct Md5 {
    words: [u32; 4],
    block: [u8; BLOCK_OCTETS],
    length: usize,
}

impl Md5 {
    /// Reads its first word and its last.
    pub(super) fn read_ahead(&self) {
        black_box((self.words.first().copied(), self.length));
    }

    pub(super) const fn new() -> Self {
        Self { words: START, block: [0; BLOCK_OCTETS], length: 0 }
    }

    #[inline]
    pub(super) fn update(&mut self, mut octets: &[u8]) {
        let filled = self.length % BLOCK_OCTETS;
        self.length = self.length.wrapping_add(octets.len());
        if filled > 0 {
            let room = self.block.get_mut(filled..).unwrap_or_default();
            let Some((head, rest)) = octets.split_at_checked(room.len()) else {
                copy_start(room, octets);
                return;
            };
            room.copy_from_slice(head);
            compress(&mut self.words, &[self.block]);
            octets = rest;
        }
        let (blocks, rest) = octets.as_chunks::<BLOCK_OCTETS>();
        compress(&mut self.words, blocks);
        copy_start(&mut self.block, rest);
    }

    #[inline]
    pub(super) fn finish(mut self) -> [u8; DIGEST_OCTETS] {
        let bits = (self.length as u64).wrapping_mul(8);
        let filled = self.length % BLOCK_OCTETS;
        let padding = self.block.get_mut(filled..).unwrap_or_default();
        padding.fill(0);
        if let Some(first) = padding.first_mut() {
            *first = 0x80;
        }
        // Eight octets of length follow the padding; if they don't fit, they get a block of their own.
        if filled >= BLOCK_OCTETS - 8 {
            compress(&mut self.words, &[self.block]);
            self.block = [0; BLOCK_OCTETS];
        }
        if let Some(end) = self.block.last_chunk_mut::<8>() {
            *end = bits.to_le_bytes();
        }
        compress(&mut self.words, &[self.block]);
        digest_octets(self.words)
    }
}

#[inline]
fn copy_start(into: &mut [u8], from: &[u8]) {
    for (to, octet) in into.iter_mut().zip(from) {
        *to = *octet;
    }
}

#[inline]
pub(super) fn digest_octets(words: [u32; 4]) -> [u8; DIGEST_OCTETS] {
    let mut digest = [0; DIGEST_OCTETS];
    for (octets, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *octets = word.to_le_bytes();
    }
    digest
}

/// The two states of HMAC-MD5 after the padded key went in: all that a message authentication needs of the key.
///
/// Source: RFC 2104 section 4.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct HmacKey {
    inner: [u32; 4],
    outer: [u32; 4],
}

impl HmacKey {
    /// Reads one of its words.
    pub(super) fn read_ahead(&self) {
        black_box(self.inner.first().copied());
    }

    pub(super) fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK_OCTETS];
        if key.len() > BLOCK_OCTETS {
            let mut hash = Md5::new();
            hash.update(key);
            copy_start(&mut block, &hash.finish());
        } else {
            copy_start(&mut block, key);
        }
        let mut made = Self { inner: START, outer: START };
        compress(&mut made.inner, &[block.map(|octet| octet ^ 0x36)]);
        compress(&mut made.outer, &[block.map(|octet| octet ^ 0x5c)]);
        block.zeroize();
        made
    }

    /// The state of the inner hash, after the key.
    #[inline]
    pub(super) const fn inner(&self) -> [u32; 4] {
        self.inner
    }

    /// The state of the outer hash, after the key.
    #[inline]
    pub(super) const fn outer(&self) -> [u32; 4] {
        self.outer
    }

    #[inline]
    pub(super) const fn start(&self) -> Hmac {
        Hmac { hash: keyed(self.inner), outer: self.outer }
    }
}

const fn keyed(words: [u32; 4]) -> Md5 {
    Md5 { words, block: [0; BLOCK_OCTETS], length: BLOCK_OCTETS }
}

/// An HMAC-MD5 that is being fed.
pub(super) struct Hmac {
    hash: Md5,
    outer: [u32; 4],
}

impl Hmac {
    #[inline]
    pub(super) fn update(&mut self, octets: &[u8]) {
        self.hash.update(octets);
    }

    #[inline]
    pub(super) fn finish(self) -> [u8; DIGEST_OCTETS] {
        let mut outer = keyed(self.outer);
        outer.update(&self.hash.finish());
        outer.finish()
    }
}

/// Compares without telling by its time where the first difference is.
#[inline]
pub(super) fn equal(a: &[u8; DIGEST_OCTETS], b: &[u8; DIGEST_OCTETS]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use hmac::{KeyInit, Mac};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn hex(text: &Value) -> Vec<u8> {
        let text = text.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn primitives(prefix: &str) -> Vec<Value> {
        let all: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/primitives.json")).unwrap();
        all.into_iter().filter(|vector| vector["name"].as_str().unwrap().starts_with(prefix)).collect()
    }

    #[test]
    fn md5_gives_the_digests_of_rfc_1321() {
        let vectors = primitives("md5-");
        assert_eq!(vectors.len(), 7);
        for vector in vectors {
            let mut hash = Md5::new();
            hash.update(vector["input"].as_str().unwrap().as_bytes());
            assert_eq!(hash.finish().to_vec(), hex(&vector["expect"]["md5"]), "{}", vector["name"]);
        }
    }

    #[test]
    fn hmac_md5_gives_the_digests_of_rfc_2202() {
        let vectors = primitives("hmac-md5-");
        assert_eq!(vectors.len(), 7);
        for vector in vectors {
            let mut hmac = HmacKey::new(&hex(&vector["key_hex"])).start();
            hmac.update(&hex(&vector["data_hex"]));
            assert_eq!(hmac.finish().to_vec(), hex(&vector["expect"]["hmac_md5"]), "{}", vector["name"]);
        }
    }

    proptest! {
        #[test]
        fn md5_and_hmac_equal_those_of_the_crates_however_they_are_fed(
            key in proptest::collection::vec(any::<u8>(), 1..200),
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..150), 0..6),
        ) {
            let whole = parts.concat();
            let (mut hash, mut hmac) = (Md5::new(), HmacKey::new(&key).start());
            for part in &parts {
                hash.update(part);
                hmac.update(part);
            }
            let expected: [u8; 16] = <md5::Md5 as md5::Digest>::digest(&whole).into();
            prop_assert_eq!(hash.finish(), expected);
            let mut theirs = hmac::Hmac::<md5::Md5>::new_from_slice(&key).unwrap();
            theirs.update(&whole);
            let expected: [u8; 16] = theirs.finalize().into_bytes().into();
            prop_assert_eq!(hmac.finish(), expected);
        }
    }
}
