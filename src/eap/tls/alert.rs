//! The TLS alert that tells a device why it is denied, after a handshake that succeeded.
//!
//! Owns its numbers and its record. Alerts during the handshake are written by rustls itself.
//!
//! rustls offers no way to send an alert of one's own choice. Before the server has changed its cipher a plain record is
//! right; afterwards the record is sealed here with the keys that rustls hands out when a connection is given up.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use rustls::{
    ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConnection,
    crypto::cipher::{AeadKey, Iv, Nonce, make_tls12_aad, make_tls13_aad},
};

/// Why a device is denied, as TLS can say it.
///
/// Source: RFC 8446 section 6.2, RFC 5246 section 7.2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Alert {
    /// The certificate is good, but policy says no: 49.
    #[default]
    AccessDenied,
    /// Something else is wrong with the certificate: 46.
    CertificateUnknown,
    /// The certificate was revoked: 44.
    CertificateRevoked,
    /// The certificate has expired: 45.
    CertificateExpired,
    /// The authority is not trusted here: 48.
    UnknownAuthority,
    /// It is not the device's fault: 80.
    InternalError,
}

impl Alert {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::CertificateRevoked => 44,
            Self::CertificateExpired => 45,
            Self::CertificateUnknown => 46,
            Self::UnknownAuthority => 48,
            Self::AccessDenied => 49,
            Self::InternalError => 80,
        }
    }

    /// The record before the server has changed its cipher.
    #[must_use]
    pub(super) const fn plain_record(self) -> [u8; 7] {
        [ALERT, 3, 3, 0, 2, FATAL, self.number()]
    }

    /// The record under the keys of `connection`, which is given up by it. Everything that rustls had to say must have
    /// been taken out, and what was taken out must be sent before: the record's number counts on it.
    pub(super) fn sealed_record(self, connection: ServerConnection) -> Option<Vec<u8>> {
        let version = connection.protocol_version()?;
        let (number, secrets) = connection.dangerous_extract_secrets().ok()?.tx;
        let (algorithm, key, iv, is_gcm) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv, true),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv, true),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv, false),
            _ => return None,
        };
        let seal = Seal { algorithm, key, iv, number };
        match version {
            ProtocolVersion::TLSv1_3 => seal.tls13([FATAL, self.number(), ALERT]),
            ProtocolVersion::TLSv1_2 => seal.tls12([FATAL, self.number()], is_gcm),
            _ => None,
        }
    }
}

/// "Decode error", for octets that rustls does not come to judge.
pub(super) const DECODE_ERROR: [u8; 7] = [ALERT, 3, 3, 0, 2, FATAL, 50];

/// The name of an alert that a device sent.
///
/// Source: RFC 8446 section 6.
#[must_use]
pub fn alert_name(number: u8) -> &'static str {
    match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        90 => "user_canceled",
        109 => "missing_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        116 => "certificate_required",
        _ => "an unnamed alert",
    }
}

const ALERT: u8 = 21;
const APPLICATION_DATA: u8 = 23;
const FATAL: u8 = 2;
/// Octets of the tag of every cipher in use.
const TAG: usize = 16;

struct Seal {
    algorithm: &'static Algorithm,
    key: AeadKey,
    iv: Iv,
    number: u64,
}

impl Seal {
    /// Source: RFC 8446 section 5.2.
    fn tls13(self, mut inner: [u8; 3]) -> Option<Vec<u8>> {
        let nonce = Nonce::new(&self.iv, self.number).0;
        let length = inner.len() + TAG;
        let tag = self.seal(nonce, &make_tls13_aad(length), &mut inner)?;
        Some([&[APPLICATION_DATA, 3, 3, 0, u8::try_from(length).ok()?], &inner[..], tag.as_ref()].concat())
    }

    /// Source: RFC 5246 section 6.2.3.3, RFC 5288 section 3 (the nonce's second part stands in the record), RFC 7905
    /// section 2 (it does not).
    fn tls12(self, mut inner: [u8; 2], nonce_in_record: bool) -> Option<Vec<u8>> {
        let nonce = Nonce::new(&self.iv, self.number).0;
        let aad = make_tls12_aad(self.number, ContentType::Alert, ProtocolVersion::TLSv1_2, inner.len());
        let explicit = if nonce_in_record { nonce.split_at(4).1 } else { &[] };
        let length = u8::try_from(explicit.len() + inner.len() + TAG).ok()?;
        let tag = self.seal(nonce, &aad, &mut inner)?;
        Some([&[ALERT, 3, 3, 0, length], explicit, &inner[..], tag.as_ref()].concat())
    }

    fn seal(&self, nonce: [u8; 12], aad: &[u8], inner: &mut [u8]) -> Option<impl AsRef<[u8]> + use<>> {
        let key = LessSafeKey::new(UnboundKey::new(self.algorithm, self.key.as_ref()).ok()?);
        key.seal_in_place_separate_tag(aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce), Aad::from(aad), inner).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_record_is_a_fatal_alert() {
        assert_eq!(Alert::AccessDenied.plain_record(), [21, 3, 3, 0, 2, 2, 49]);
        assert_eq!((DECODE_ERROR, alert_name(50)), ([21, 3, 3, 0, 2, 2, 50], "decode_error"));
    }

    #[test]
    fn alerts_have_their_names() {
        assert_eq!(alert_name(Alert::UnknownAuthority.number()), "unknown_ca");
        assert_eq!(alert_name(200), "an unnamed alert");
    }
}
