//! Who made this packet: Message-Authenticator and the header's authenticator, checked and computed.
//!
//! Owns the four formulas. Whether a packet may come without a Message-Authenticator is the engine's decision.
//! All comparisons take the same time wherever the first difference is, and nothing allocates.

use super::{
    code::Code,
    hash::{self, Md5},
    packet::Packet,
    secret::Secret,
};
use crate::limits::HEADER_OCTETS;

/// What a Message-Authenticator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It is there and right.
    Valid,
    /// It is there and wrong: drop the packet, whatever its code (RFC 3579 section 3.2).
    Wrong,
    /// It is not there.
    Missing,
}

/// Checks the Message-Authenticator of a request.
///
/// Access-Request and Status-Server are hashed with the authenticator of their header. In Accounting-Request,
/// CoA-Request and Disconnect-Request that field is computed last, so they are hashed with zeros in its place.
/// Source: RFC 3579 section 3.2, RFC 5997 section 3, RFC 5176 section 3.4.
#[must_use]
pub fn check_request_signature(request: &Packet<'_>, secret: &Secret) -> Signature {
    let authenticator = if request.code().has_hashed_authenticator() { &[0; 16] } else { request.authenticator() };
    check_signature(request, authenticator, secret)
}

/// Checks the Message-Authenticator of a reply to the request with `request_authenticator`.
///
/// Source: RFC 3579 section 3.2.
#[must_use]
pub fn check_reply_signature(reply: &Packet<'_>, request_authenticator: &[u8; 16], secret: &Secret) -> Signature {
    check_signature(reply, request_authenticator, secret)
}

fn check_signature(packet: &Packet<'_>, authenticator: &[u8; 16], secret: &Secret) -> Signature {
    let Some(at) = packet.message_authenticator() else { return Signature::Missing };
    let Some((before, rest)) = packet.octets().split_at_checked(at) else { return Signature::Missing };
    let Some((found, after)) = rest.split_first_chunk::<16>() else { return Signature::Missing };
    let mut hmac = secret.hmac();
    hmac.update(before.get(..4).unwrap_or_default());
    hmac.update(authenticator);
    hmac.update(before.get(HEADER_OCTETS..).unwrap_or_default());
    hmac.update(&[0; 16]);
    hmac.update(after);
    if hash::equal(&hmac.finish(), found) { Signature::Valid } else { Signature::Wrong }
}

/// Whether the authenticator of an Accounting-Request, CoA-Request or Disconnect-Request is the right hash.
///
/// Any other code has random octets there, and is never right.
/// Source: RFC 2866 section 3, RFC 5176 section 2.3, RFC 5080 section 2.3.3.
#[must_use]
pub fn is_request_authenticator_valid(request: &Packet<'_>, secret: &Secret) -> bool {
    request.code().has_hashed_authenticator()
        && hash::equal(&hashed(request.octets(), &[0; 16], secret), request.authenticator())
}

/// Whether the authenticator of a reply is the right hash for the request with `request_authenticator`.
///
/// Source: RFC 2865 section 3.
#[must_use]
pub fn is_response_authenticator_valid(reply: &Packet<'_>, request_authenticator: &[u8; 16], secret: &Secret) -> bool {
    hash::equal(&hashed(reply.octets(), request_authenticator, secret), reply.authenticator())
}

fn hashed(octets: &[u8], authenticator: &[u8; 16], secret: &Secret) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(octets.get(..4).unwrap_or_default());
    hash.update(authenticator);
    hash.update(octets.get(HEADER_OCTETS..).unwrap_or_default());
    hash.update(secret.octets());
    hash.finish()
}

/// Writes the Message-Authenticator, whose value starts at `at`, and then the header's authenticator of a reply.
///
/// `octets`: the whole packet with its final Length.
pub(super) fn sign_reply(octets: &mut [u8], at: Option<usize>, request_authenticator: &[u8; 16], secret: &Secret) {
    prepare_reply(octets, at, request_authenticator);
    write_signature(octets, at, secret);
    write_hash(octets, secret);
}

/// Writes what both hashes of a reply start from: the request's authenticator, and zeros as Message-Authenticator.
pub(super) fn prepare_reply(octets: &mut [u8], at: Option<usize>, request_authenticator: &[u8; 16]) {
    write_at(octets, 4, request_authenticator);
    if let Some(at) = at {
        write_at(octets, at, &[0; 16]);
    }
}

/// The same for a request, whose header already holds the random authenticator if its code wants one.
pub(super) fn sign_request(octets: &mut [u8], at: Option<usize>, secret: &Secret) {
    let is_hashed = octets.first().is_some_and(|code| Code(*code).has_hashed_authenticator());
    if is_hashed {
        write_at(octets, 4, &[0; 16]);
    }
    write_signature(octets, at, secret);
    if is_hashed {
        write_hash(octets, secret);
    }
}

/// The authenticator that goes into the hash must already stand in the header: one pass over the octets is enough then.
fn write_signature(octets: &mut [u8], at: Option<usize>, secret: &Secret) {
    let Some(at) = at else { return };
    write_at(octets, at, &[0; 16]);
    let mut hmac = secret.hmac();
    hmac.update(octets);
    write_at(octets, at, &hmac.finish());
}

fn write_hash(octets: &mut [u8], secret: &Secret) {
    let mut hash = Md5::new();
    hash.update(octets);
    hash.update(secret.octets());
    write_at(octets, 4, &hash.finish());
}

fn write_at(octets: &mut [u8], at: usize, value: &[u8; 16]) {
    if let Some(place) = octets.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<16>) {
        *place = *value;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::radius::error::Malformed;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// These captured requests carry EAP and a password together, so `parse` refuses them: their hashes are checked below it.
    #[test]
    fn captured_requests_with_eap_and_a_password_are_signed_right_and_still_refused() {
        let captures: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/captures.json")).unwrap();
        let secret = Secret::new(b"testing123".to_vec()).unwrap();
        let mut checked = 0;
        for capture in captures.iter().filter(|c| c["name"].as_str().unwrap().starts_with("ws01-eapmd5-")) {
            let octets = hex(capture["request_hex"].as_str().unwrap());
            assert_eq!(Packet::parse(&octets).err(), Some(Malformed::EapBesidePassword));
            let request = Packet::walk(&octets).unwrap();
            assert_eq!(check_request_signature(&request, &secret), Signature::Valid);
            checked += 1;
        }
        assert_eq!(checked, 4);
    }
}
