//! The secret that a client shares with this server, with everything prepared that hashing with it needs.
//!
//! Owns the octets and wipes them. Where they come from is the configuration's matter; they are never shown.

use std::{error, fmt, hint::black_box};

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::hash::{Hmac, HmacKey, Md5};

/// A shared secret: one octet or more, binary, also with NUL.
///
/// It has no `Display` and cannot be serialized; `Debug` does not show it; it is wiped when it is dropped.
/// Source: RFC 2865 section 3.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret {
    octets: Vec<u8>,
    prefix: Md5,
    hmac: HmacKey,
}

impl Secret {
    /// Secrets of this many octets or fewer deserve a warning.
    ///
    /// Source: draft-ietf-radext-deprecating-radius section 7.1.
    pub const SHORT_OCTETS: usize = 12;

    /// Takes the octets and prepares the hashes.
    ///
    /// # Errors
    /// [`EmptySecret`]: an empty secret protects nothing, and RFC 2865 section 3 forbids it.
    pub fn new(octets: Vec<u8>) -> Result<Self, EmptySecret> {
        if octets.is_empty() {
            return Err(EmptySecret);
        }
        let mut prefix = Md5::new();
        prefix.update(&octets);
        let hmac = HmacKey::new(&octets);
        Ok(Self { octets, prefix, hmac })
    }

    /// Whether it is so short that it can be guessed from recorded packets.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.octets.len() <= Self::SHORT_OCTETS
    }

    /// Whether both are the same, in a time that doesn't depend on where they differ.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.octets.as_slice().ct_eq(&other.octets).into()
    }

    /// Reads words of all that hashing needs, so that it is in the processor's caches by then.
    pub fn read_ahead(&self) {
        black_box(self.octets.first().copied());
        self.prefix.read_ahead();
        self.hmac.read_ahead();
    }

    /// MD5 that has already taken the secret: hidden attributes start with it.
    #[inline]
    pub(super) const fn prefixed(&self) -> Md5 {
        self.prefix
    }

    /// HMAC-MD5 with the secret as its key.
    #[inline]
    pub(super) const fn hmac(&self) -> Hmac {
        self.hmac.start()
    }

    /// The prepared key of HMAC-MD5.
    #[inline]
    pub(super) const fn hmac_key(&self) -> HmacKey {
        self.hmac
    }

    /// For hashes that end with the secret.
    #[inline]
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// A secret must have at least one octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptySecret;

impl fmt::Display for EmptySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shared secret must have at least one octet")
    }
}

impl error::Error for EmptySecret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_secret_is_refused() {
        assert_eq!(Secret::new(Vec::new()).unwrap_err(), EmptySecret);
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new(b"testing123".to_vec()).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(not shown)");
    }

    #[test]
    fn twelve_octets_are_short_and_thirteen_are_not() {
        assert!(Secret::new(vec![0; 12]).unwrap().is_short());
        assert!(!Secret::new(vec![0; 13]).unwrap().is_short());
    }
}
