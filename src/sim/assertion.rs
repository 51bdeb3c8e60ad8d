//! Client assertions: signed texts by which an application proves that it holds a registered certificate's key.
//!
//! Owns the check of one assertion, signature included. Who gets a token for it is `token`'s decision.
//!
//! Source: Microsoft identity platform, "application authentication certificate credentials"; RFC 7515, RFC 7518
//! sections 3.3 and 3.5, RFC 7523 section 3.

use aws_lc_rs::{digest, signature};
use serde_json::Value;
use x509_parser::parse_x509_certificate;

use crate::clock::Wall;

/// The public part of a credential of the application.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    sha1: Vec<u8>,
    sha256: Vec<u8>,
    public_key: Vec<u8>,
    not_after: Wall,
}

impl Certificate {
    /// `der`: one X.509 certificate. None if it is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        Some(Self {
            sha1: digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().to_vec(),
            sha256: digest::digest(&digest::SHA256, der).as_ref().to_vec(),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
            not_after: Wall::from_secs(certificate.validity().not_after.timestamp()),
        })
    }
}

/// What an assertion is measured against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) certificates: &'a [Certificate],
    pub(super) client_id: &'a str,
    /// The addresses of this token endpoint.
    pub(super) audiences: &'a [String],
    pub(super) wall: Wall,
}

/// Which rule an assertion breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is no signed JSON of three parts.
    Malformed,
    /// An algorithm other than PS256 and RS256.
    Algorithm,
    /// Its header names no certificate.
    NoThumbprint,
    /// No registered certificate has this thumbprint (hexadecimal).
    UnknownKey(String),
    /// The registered certificate is over (thumbprint in hexadecimal).
    ExpiredKey(String),
    /// The signature is not of that certificate's key (thumbprint in hexadecimal).
    Signature(String),
    /// It is for somebody else.
    Audience,
    /// The issuer is not the application.
    Issuer,
    /// Issuer and subject differ.
    Subject,
    /// It is over, or not valid yet.
    Time,
}

/// Checks `assertion`.
pub(super) fn check(assertion: &str, expected: Expected<'_>) -> Result<(), Flaw> {
    let (signed, signature) = assertion.rsplit_once('.').ok_or(Flaw::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(Flaw::Malformed)?;
    let header = json(header)?;
    let claims = json(claims)?;
    let signature = base64(signature).ok_or(Flaw::Malformed)?;
    let algorithm: &dyn signature::VerificationAlgorithm = match header.get("alg").and_then(Value::as_str) {
        Some("PS256") => &signature::RSA_PSS_2048_8192_SHA256,
        Some("RS256") => &signature::RSA_PKCS1_2048_8192_SHA256,
        _ => return Err(Flaw::Algorithm),
    };
    let (certificate, thumbprint) = certificate(&header, expected.certificates)?;
    if certificate.not_after < expected.wall {
        return Err(Flaw::ExpiredKey(thumbprint));
    }
    signature::UnparsedPublicKey::new(algorithm, &certificate.public_key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| Flaw::Signature(thumbprint))?;
    check_claims(&claims, expected)
}

fn certificate<'a>(header: &Value, known: &'a [Certificate]) -> Result<(&'a Certificate, String), Flaw> {
    let named = |name: &str| header.get(name).and_then(Value::as_str).and_then(base64);
    let (thumbprint, found) = if let Some(thumbprint) = named("x5t#S256") {
        let found = known.iter().find(|certificate| certificate.sha256 == thumbprint);
        (thumbprint, found)
    } else if let Some(thumbprint) = named("x5t") {
        let found = known.iter().find(|certificate| certificate.sha1 == thumbprint);
        (thumbprint, found)
    } else {
        return Err(Flaw::NoThumbprint);
    };
    let shown: String = thumbprint.iter().map(|octet| format!("{octet:02X}")).collect();
    match found {
        Some(certificate) => Ok((certificate, shown)),
        None => Err(Flaw::UnknownKey(shown)),
    }
}

fn check_claims(claims: &Value, expected: Expected<'_>) -> Result<(), Flaw> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let time = |name: &str| claims.get(name).and_then(Value::as_i64);
    if text("iss") != text("sub") {
        return Err(Flaw::Subject);
    }
    if !text("iss").is_some_and(|issuer| issuer.eq_ignore_ascii_case(expected.client_id)) {
        return Err(Flaw::Issuer);
    }
    if !text("aud").is_some_and(|audience| expected.audiences.iter().any(|known| known == audience)) {
        return Err(Flaw::Audience);
    }
    let now = expected.wall.as_secs();
    let ends = time("exp").ok_or(Flaw::Time)?;
    let begins = time("nbf").unwrap_or(now);
    if ends.saturating_add(CLOCK_TOLERANCE_SECS) < now || begins.saturating_sub(CLOCK_TOLERANCE_SECS) > now {
        return Err(Flaw::Time);
    }
    Ok(())
}

/// Clocks may differ by this much.
const CLOCK_TOLERANCE_SECS: i64 = 300;

fn json(part: &str) -> Result<Value, Flaw> {
    let octets = base64(part).ok_or(Flaw::Malformed)?;
    serde_json::from_slice(&octets).map_err(|_| Flaw::Malformed)
}

/// Decodes base64 in either alphabet, padded or not: clients in the field send thumbprints both ways.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut octets = Vec::with_capacity(text.len() * 3 / 4);
    let mut bits: u32 = 0;
    let mut held = 0u32;
    for digit in text.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            let [.., octet] = (bits >> held).to_be_bytes();
            octets.push(octet);
        }
    }
    // One digit alone holds no octet.
    (held != 6).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_reads_in_both_alphabets_with_and_without_padding() {
        for (text, octets) in [
            ("", &b""[..]),
            ("_-A", &[0xff, 0xe0][..]),
            ("/+A=", &[0xff, 0xe0][..]),
            ("hOBcHZi846VCHSJbFAs26Go9VTQ", &hex("84E05C1D98BCE3A5421D225B140B36E86A3D5534")[..]),
        ] {
            assert_eq!(base64(text).as_deref(), Some(octets), "{text}");
        }
        assert_eq!(base64("A"), None);
        assert_eq!(base64("A*AA"), None);
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn what_is_no_signed_text_is_malformed() {
        let expected =
            Expected { certificates: &[], client_id: "c", audiences: &[], wall: Wall::from_secs(1_700_000_000) };
        for text in ["", ".", "..", "a.b.c", "e30.e30", "e30.e30.*"] {
            assert_eq!(check(text, expected), Err(Flaw::Malformed), "{text}");
        }
        assert_eq!(check("e30.e30.AA", expected), Err(Flaw::Algorithm));
        // {"alg":"none"} must never be enough.
        assert_eq!(check("eyJhbGciOiJub25lIn0.e30.", expected), Err(Flaw::Algorithm));
        // {"alg":"PS256"}
        assert_eq!(check("eyJhbGciOiJQUzI1NiJ9.e30.AA", expected), Err(Flaw::NoThumbprint));
    }
}
