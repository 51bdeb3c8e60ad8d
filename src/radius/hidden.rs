//! Values that are hidden with the shared secret: User-Password, salt-encrypted values, and the CHAP response.
//!
//! Owns the three schemes in both directions, into buffers of the caller. Which attribute uses which scheme is the
//! dictionary's matter. These schemes obscure; they don't protect like encryption.

use subtle::ConstantTimeEq;

use super::{
    error::{Full, Invalid},
    hash::Md5,
    secret::Secret,
    tag::Tag,
};
use crate::limits::{HEADER_OCTETS, PASSWORD_OCTETS_MAX, VALUE_OCTETS_MAX};

const BLOCK_OCTETS: usize = 16;
/// Octets that hide one block.
pub(super) const PAD_OCTETS: usize = BLOCK_OCTETS;
/// Octets of the salt in front of a salt-encrypted value.
const SALT_OCTETS: usize = 2;

/// Room for any hidden or revealed value: an attribute holds no more.
pub type HiddenBuffer = [u8; VALUE_OCTETS_MAX];

/// Hides a password in the User-Password format.
///
/// `password`: 0 to 128 octets; `authenticator`: the 16 octets of the request's header.
/// Result: padded with NUL to the next multiple of 16, at least 16 octets; it is the start of `out`.
/// Source: RFC 2865 section 5.2.
///
/// # Errors
/// [`Full::ValueTooLong`] above 128 octets.
pub fn hide_password<'o>(
    password: &[u8],
    authenticator: &[u8; 16],
    secret: &Secret,
    out: &'o mut HiddenBuffer,
) -> Result<&'o [u8], Full> {
    if password.len() > PASSWORD_OCTETS_MAX {
        return Err(Full::ValueTooLong);
    }
    hide_vendor_password(password, authenticator, secret, out)
}

/// Hides the only 16 octets of a User-Password where they stand in a request.
pub(super) fn hide_in_place(request: &mut [u8], at: usize, secret: &Secret) {
    let mut pad = secret.prefixed();
    pad.update(request.get(4..HEADER_OCTETS).unwrap_or_default());
    let pad = pad.finish();
    request.iter_mut().skip(at).zip(pad).for_each(|(octet, pad)| *octet ^= pad);
}

/// Hides a value in the User-Password format without its limit, as vendors' attributes with `encrypt=1` want it.
///
/// `value`: 0 to 240 octets. Result: as for [`hide_password`].
/// Source: RFC 2865 section 5.2; dictionary(5) of FreeRADIUS.
///
/// # Errors
/// [`Full::ValueTooLong`] above 240 octets.
pub fn hide_vendor_password<'o>(
    value: &[u8],
    authenticator: &[u8; 16],
    secret: &Secret,
    out: &'o mut HiddenBuffer,
) -> Result<&'o [u8], Full> {
    let padded = value.len().next_multiple_of(BLOCK_OCTETS).max(BLOCK_OCTETS);
    let room = out.get_mut(..padded).ok_or(Full::ValueTooLong)?;
    let (text, padding) = room.split_at_mut_checked(value.len()).ok_or(Full::ValueTooLong)?;
    text.copy_from_slice(value);
    padding.fill(0);
    hide(room, &[authenticator], secret);
    Ok(room)
}

/// Reveals a User-Password, without the NULs of its padding.
///
/// `hidden`: 16 to 128 octets, a multiple of 16. A wrong secret gives octets without meaning, not an error.
/// Source: RFC 2865 section 5.2.
///
/// # Errors
/// [`Invalid::PasswordSize`] for any other length; such a request is to be rejected.
pub fn reveal_password<'o>(
    hidden: &[u8],
    authenticator: &[u8; 16],
    secret: &Secret,
    out: &'o mut HiddenBuffer,
) -> Result<&'o [u8], Invalid> {
    if hidden.len() > PASSWORD_OCTETS_MAX {
        return Err(Invalid::PasswordSize);
    }
    reveal_vendor_password(hidden, authenticator, secret, out)
}

/// Reveals a value of a vendor's attribute with `encrypt=1`, without the NULs of its padding.
///
/// `hidden`: 16 to 240 octets, a multiple of 16.
///
/// # Errors
/// [`Invalid::PasswordSize`] for any other length.
pub fn reveal_vendor_password<'o>(
    hidden: &[u8],
    authenticator: &[u8; 16],
    secret: &Secret,
    out: &'o mut HiddenBuffer,
) -> Result<&'o [u8], Invalid> {
    if hidden.is_empty() || !hidden.len().is_multiple_of(BLOCK_OCTETS) {
        return Err(Invalid::PasswordSize);
    }
    let room = out.get_mut(..hidden.len()).ok_or(Invalid::PasswordSize)?;
    room.copy_from_slice(hidden);
    reveal(room, &[authenticator], secret);
    Ok(without_padding(room))
}

/// The same with the hashes of all blocks, which were computed before.
pub(super) fn reveal_with_pads<'o>(hidden: &[u8], pads: &[u8], out: &'o mut HiddenBuffer) -> Result<&'o [u8], Invalid> {
    if hidden.is_empty() || !hidden.len().is_multiple_of(BLOCK_OCTETS) || hidden.len() > pads.len() {
        return Err(Invalid::PasswordSize);
    }
    let room = out.get_mut(..hidden.len()).ok_or(Invalid::PasswordSize)?;
    room.iter_mut().zip(hidden).zip(pads).for_each(|((octet, hidden), pad)| *octet = hidden ^ pad);
    Ok(without_padding(room))
}

fn without_padding(room: &[u8]) -> &[u8] {
    let padding = room.iter().rev().take_while(|octet| **octet == 0).count();
    room.get(..room.len() - padding).unwrap_or_default()
}

/// The salt of one salt-encrypted value; no two values of one packet may have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt([u8; SALT_OCTETS]);

impl Salt {
    /// Makes a salt of 15 random bits; the highest bit is always set.
    ///
    /// Source: RFC 2868 section 3.5.
    #[must_use]
    pub const fn new(random: u16) -> Self {
        Self((random | 0x8000).to_be_bytes())
    }

    /// The salt of the next value in the same packet.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(u16::from_be_bytes(self.0).wrapping_add(1))
    }
}

/// Encrypts a value with a salt: the salt and the encrypted octets.
///
/// MS-MPPE keys and vendors' attributes with `encrypt=2` are of this form. `value`: 0 to 239 octets;
/// `request_authenticator`: of the request that is replied to. Result: 18 to 242 octets, the start of `out`.
/// Source: RFC 2868 section 3.5, RFC 2548 section 2.4.2.
///
/// # Errors
/// [`Full::ValueTooLong`] above 239 octets.
pub fn hide_salted<'o>(
    value: &[u8],
    salt: Salt,
    request_authenticator: &[u8; 16],
    secret: &Secret,
    out: &'o mut HiddenBuffer,
) -> Result<&'o [u8], Full> {
    let length = salted_octets(value.len())?;
    let room = out.get_mut(..length).ok_or(Full::ValueTooLong)?;
    write_salted(value, salt, request_authenticator, secret, room)?;
    Ok(room)
}

/// The same behind a tag: the value of a Tunnel-Password.
///
/// The octet of the tag is written in any case, as 0 for [`Tag::NONE`]. Result: 19 to 243 octets, the start of `out`.
/// Source: RFC 2868 section 3.5.
///
/// # Errors
/// [`Full::ValueTooLong`] above 239 octets.
pub fn hide_tunnel_password<'o>(
    tag: Tag,
    value: &[u8],
    salt: Salt,
    request_authenticator: &[u8; 16],
    secret: &Secret,
    out: &'o mut HiddenBuffer,
) -> Result<&'o [u8], Full> {
    let length = 1 + salted_octets(value.len())?;
    let room = out.get_mut(..length).ok_or(Full::ValueTooLong)?;
    let (to_tag, salted) = room.split_first_mut().ok_or(Full::ValueTooLong)?;
    *to_tag = tag.octet();
    write_salted(value, salt, request_authenticator, secret, salted)?;
    Ok(room)
}

/// Salt, and the octet of length with the value in whole blocks.
fn salted_octets(value_octets: usize) -> Result<usize, Full> {
    let padded = (1 + value_octets).next_multiple_of(BLOCK_OCTETS);
    // Three octets are left for the tag and the salt.
    if padded > VALUE_OCTETS_MAX - 1 - SALT_OCTETS { Err(Full::ValueTooLong) } else { Ok(SALT_OCTETS + padded) }
}

fn write_salted(
    value: &[u8],
    salt: Salt,
    request_authenticator: &[u8; 16],
    secret: &Secret,
    room: &mut [u8],
) -> Result<(), Full> {
    let (to_salt, text) = room.split_first_chunk_mut::<SALT_OCTETS>().ok_or(Full::ValueTooLong)?;
    *to_salt = salt.0;
    text.fill(0);
    let (to_length, to_value) = text.split_first_mut().ok_or(Full::ValueTooLong)?;
    *to_length = u8::try_from(value.len()).map_err(|_| Full::ValueTooLong)?;
    to_value.get_mut(..value.len()).ok_or(Full::ValueTooLong)?.copy_from_slice(value);
    hide(text, &[request_authenticator, &salt.0], secret);
    Ok(())
}

/// Decrypts a salt-encrypted value: what follows the tag, if the attribute has one.
///
/// The padding may hold anything, and the last block may be cut short, because FreeRADIUS sends a Tunnel-Password of
/// 249 octets so. Result: the value without its length and padding, within `out`.
/// Source: RFC 2868 section 3.5.
///
/// # Errors
/// [`Invalid::SaltedTooShort`] without a salt and one octet more; [`Invalid::SaltedLength`] if the length inside is larger
/// than the value, which is also what a wrong secret looks like.
pub fn reveal_salted<'o>(
    salted: &[u8],
    request_authenticator: &[u8; 16],
    secret: &Secret,
    out: &'o mut HiddenBuffer,
) -> Result<&'o [u8], Invalid> {
    let (salt, hidden) = salted.split_first_chunk::<SALT_OCTETS>().ok_or(Invalid::SaltedTooShort)?;
    if hidden.is_empty() {
        return Err(Invalid::SaltedTooShort);
    }
    let room = out.get_mut(..hidden.len()).ok_or(Invalid::SaltedLength)?;
    room.copy_from_slice(hidden);
    reveal(room, &[request_authenticator, salt], secret);
    let (length, value) = room.split_first().ok_or(Invalid::SaltedTooShort)?;
    value.get(..usize::from(*length)).ok_or(Invalid::SaltedLength)
}

/// Whether a CHAP-Password was made with this password.
///
/// `chap_password`: identifier and 16 octets of MD5(identifier, password, challenge); any other length never matches.
/// `challenge`: the CHAP-Challenge, or the authenticator of the request if there is none.
/// Source: RFC 2865 sections 5.3 and 5.40, RFC 1994 section 4.1.
#[must_use]
pub fn chap_matches(chap_password: &[u8], challenge: &[u8], password: &[u8]) -> bool {
    let Some((identifier, response)) = chap_password.split_first() else { return false };
    chap_response(*identifier, challenge, password).ct_eq(response).into()
}

/// The 16 octets of a CHAP response.
pub(super) fn chap_response(identifier: u8, challenge: &[u8], password: &[u8]) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(&[identifier]);
    hash.update(password);
    hash.update(challenge);
    hash.finish()
}

/// Whether two values are equal, in a time that only depends on their lengths.
#[must_use]
pub fn is_equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Each block is hidden with the MD5 of the secret and the hidden block before it; `first` stands for the one before the first.
fn hide(text: &mut [u8], first: &[&[u8]], secret: &Secret) {
    let mut hash = started(first, secret);
    for block in text.chunks_mut(BLOCK_OCTETS) {
        mix(block, hash.finish());
        hash = started(&[block], secret);
    }
}

fn reveal(text: &mut [u8], first: &[&[u8]], secret: &Secret) {
    let mut hash = started(first, secret);
    for block in text.chunks_mut(BLOCK_OCTETS) {
        let next = started(&[block], secret);
        mix(block, hash.finish());
        hash = next;
    }
}

fn started(parts: &[&[u8]], secret: &Secret) -> Md5 {
    let mut hash = secret.prefixed();
    for part in parts {
        hash.update(part);
    }
    hash
}

fn mix(block: &mut [u8], pad: [u8; 16]) {
    for (octet, pad) in block.iter_mut().zip(pad) {
        *octet ^= pad;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NO_VALUE: HiddenBuffer = [0; VALUE_OCTETS_MAX];

    fn secret() -> Secret {
        Secret::new(b"testing123".to_vec()).unwrap()
    }

    #[test]
    fn a_password_has_at_most_128_octets_and_a_vendors_240() {
        let mut out = NO_VALUE;
        assert_eq!(hide_password(&[1; 129], &[0; 16], &secret(), &mut out), Err(Full::ValueTooLong));
        assert_eq!(hide_password(&[1; 128], &[0; 16], &secret(), &mut out).unwrap().len(), 128);
        assert_eq!(hide_password(&[], &[0; 16], &secret(), &mut out).unwrap().len(), 16);
        assert_eq!(hide_vendor_password(&[1; 240], &[0; 16], &secret(), &mut out).unwrap().len(), 240);
        assert_eq!(hide_vendor_password(&[1; 241], &[0; 16], &secret(), &mut out), Err(Full::ValueTooLong));
    }

    #[test]
    fn a_hidden_password_of_an_impossible_size_is_invalid() {
        let mut out = NO_VALUE;
        for size in [0, 1, 15, 17, 144, 253] {
            let revealed = reveal_password(&[1; 253][..size], &[0; 16], &secret(), &mut out);
            assert_eq!(revealed, Err(Invalid::PasswordSize), "{size} octets");
        }
    }

    #[test]
    fn a_salted_value_that_cannot_be_is_invalid() {
        let mut out = NO_VALUE;
        for size in 0..3 {
            assert_eq!(reveal_salted(&[0x80; 3][..size], &[0; 16], &secret(), &mut out), Err(Invalid::SaltedTooShort));
        }
        let mut hidden = hide_salted(b"x", Salt::new(1), &[0; 16], &secret(), &mut out).unwrap().to_vec();
        // The length inside of one block can say at most 15; flipping its high bit makes it say more.
        hidden[2] ^= 0x80;
        assert_eq!(reveal_salted(&hidden, &[0; 16], &secret(), &mut out), Err(Invalid::SaltedLength));
    }

    #[test]
    fn a_salt_always_has_its_high_bit_and_the_next_differs() {
        let salt = Salt::new(0x7FFF);
        assert_eq!(salt.0, [0xFF, 0xFF]);
        assert_eq!(salt.next().0, [0x80, 0x00]);
    }

    #[test]
    fn a_chap_password_of_another_size_never_matches() {
        let right = [&[7][..], &chap_response(7, b"challenge", b"password")].concat();
        assert!(chap_matches(&right, b"challenge", b"password"));
        assert!(!chap_matches(&right, b"challenge", b"Password"));
        assert!(!chap_matches(&right[..16], b"challenge", b"password"));
        assert!(!chap_matches(&[&right[..], &[0]].concat(), b"challenge", b"password"));
        assert!(!chap_matches(&[], b"challenge", b"password"));
    }

    proptest! {
        #[test]
        fn what_is_hidden_is_revealed_again(
            secret in proptest::collection::vec(any::<u8>(), 1..150),
            authenticator in any::<[u8; 16]>(),
            value in proptest::collection::vec(1u8..=255, 0..=128),
            random in any::<u16>(),
            tag in 0u8..32,
        ) {
            let secret = Secret::new(secret).unwrap();
            let (mut hidden, mut revealed) = (NO_VALUE, NO_VALUE);
            let octets = hide_password(&value, &authenticator, &secret, &mut hidden).unwrap();
            prop_assert_eq!(reveal_password(octets, &authenticator, &secret, &mut revealed).unwrap(), &value);
            let octets = hide_salted(&value, Salt::new(random), &authenticator, &secret, &mut hidden).unwrap();
            prop_assert_eq!(reveal_salted(octets, &authenticator, &secret, &mut revealed).unwrap(), &value);
            let tag = Tag::new(tag).unwrap();
            let octets = hide_tunnel_password(tag, &value, Salt::new(random), &authenticator, &secret, &mut hidden).unwrap();
            prop_assert_eq!(octets[0], tag.octet());
            prop_assert_eq!(reveal_salted(&octets[1..], &authenticator, &secret, &mut revealed).unwrap(), &value);
        }

        #[test]
        fn revealing_random_octets_never_panics(hidden in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = NO_VALUE;
            let _ = reveal_password(&hidden, &[0; 16], &secret(), &mut out);
            let _ = reveal_vendor_password(&hidden, &[0; 16], &secret(), &mut out);
            let _ = reveal_salted(&hidden, &[0; 16], &secret(), &mut out);
            let _ = chap_matches(&hidden, &hidden, &hidden);
        }
    }
}
