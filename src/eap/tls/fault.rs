//! Why a certificate or a handshake was refused: names for metrics, sentences for people, alerts for devices.
//!
//! Owns the vocabulary. Finding the reason is `verify`'s and the handshake's business.

use std::{fmt, sync::Arc};

use rustls::{CertificateError, OtherError};

/// The rule that a device's certificate, or one above it, does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateFault {
    /// The device presented none.
    Missing,
    /// It can't be read, or breaks X.509.
    Malformed,
    /// X.509 version 1 or 2.
    OldVersion,
    /// A name with an octet 0.
    NulInName,
    /// More names than anybody needs.
    TooManyNames,
    /// A name that is longer than anybody needs.
    NameTooLong,
    /// More certificates than anybody needs.
    TooManyCertificates,
    /// No trusted authority issued it.
    UnknownIssuer,
    /// More authorities in between than allowed.
    TooDeep,
    /// Its signature is not one of the authority that it names.
    WrongSignature,
    /// Signed with SHA-1.
    Sha1,
    /// Signed in a way that is not supported.
    UnsupportedSignature,
    /// An RSA key that proves nothing.
    KeyTooShort,
    /// An RSA key that costs too much.
    KeyTooLong,
    /// A key that may sign only with RSASSA-PSS by its own identifier.
    PssKey,
    /// Not yet valid.
    NotYetValid,
    /// No longer valid.
    Expired,
    /// On the revocation list of its issuer.
    Revoked,
    /// No revocation list of its issuer is loaded.
    NoRevocationList,
    /// The revocation list of its issuer is too old.
    OldRevocationList,
    /// Not for client authentication.
    WrongPurpose,
    /// The certificate of an authority.
    Authority,
    /// Issued by a certificate that is no authority, or not for this.
    NoAuthority,
    /// A critical extension that is not known.
    UnknownCriticalExtension,
    /// A name that an authority above must not certify.
    NameConstraint,
    /// The device could not prove that it has the key.
    NoProof,
}

impl CertificateFault {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "certificate-missing",
            Self::Malformed => "certificate-malformed",
            Self::OldVersion => "certificate-old-version",
            Self::NulInName => "certificate-nul-in-name",
            Self::TooManyNames => "certificate-too-many-names",
            Self::NameTooLong => "certificate-name-too-long",
            Self::TooManyCertificates => "certificate-chain-too-long",
            Self::UnknownIssuer => "certificate-unknown-issuer",
            Self::TooDeep => "certificate-too-deep",
            Self::WrongSignature => "certificate-wrong-signature",
            Self::Sha1 => "certificate-sha1",
            Self::UnsupportedSignature => "certificate-unsupported-signature",
            Self::KeyTooShort => "certificate-key-too-short",
            Self::KeyTooLong => "certificate-key-too-long",
            Self::PssKey => "certificate-pss-key",
            Self::NotYetValid => "certificate-not-yet-valid",
            Self::Expired => "certificate-expired",
            Self::Revoked => "certificate-revoked",
            Self::NoRevocationList => "certificate-no-revocation-list",
            Self::OldRevocationList => "certificate-old-revocation-list",
            Self::WrongPurpose => "certificate-wrong-purpose",
            Self::Authority => "certificate-is-authority",
            Self::NoAuthority => "certificate-issuer-no-authority",
            Self::UnknownCriticalExtension => "certificate-unknown-critical-extension",
            Self::NameConstraint => "certificate-name-constraint",
            Self::NoProof => "certificate-no-proof",
        }
    }

    /// The code that operators search for: `T204` for an issuer that is not trusted, `T205` for revocation lists.
    #[must_use]
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::UnknownIssuer => Some("T204"),
            Self::NoRevocationList | Self::OldRevocationList => Some("T205"),
            Self::Expired | Self::NotYetValid => Some("T206"),
            Self::Revoked => Some("T207"),
            Self::Missing => Some("T208"),
            Self::Sha1
            | Self::UnsupportedSignature
            | Self::KeyTooShort
            | Self::KeyTooLong
            | Self::PssKey
            | Self::WrongPurpose => Some("T209"),
            _ => None,
        }
    }

    /// The error that makes rustls send the alert that says this best.
    ///
    /// Source: RFC 8446 section 6.2; for revocation that can't be told, certificate_unknown, because "unknown
    /// authority" would send people looking for the wrong thing.
    pub(super) fn to_rustls(self) -> CertificateError {
        match self {
            Self::UnknownIssuer | Self::TooDeep => CertificateError::UnknownIssuer,
            Self::NotYetValid | Self::Expired => CertificateError::Expired,
            Self::Revoked => CertificateError::Revoked,
            Self::Sha1
            | Self::UnsupportedSignature
            | Self::KeyTooShort
            | Self::KeyTooLong
            | Self::PssKey
            | Self::OldVersion
            | Self::WrongPurpose
            | Self::Authority => CertificateError::InvalidPurpose,
            Self::NoProof => CertificateError::BadSignature,
            Self::NoRevocationList | Self::OldRevocationList => CertificateError::Other(OtherError(Arc::new(self))),
            _ => CertificateError::BadEncoding,
        }
    }
}

impl std::error::Error for CertificateFault {}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the device presented no certificate",
            Self::Malformed => "the certificate can't be read",
            Self::OldVersion => "the certificate is of X.509 version 1 or 2; issue version 3",
            Self::NulInName => "a name in the certificate holds an octet 0",
            Self::TooManyNames => "the certificate has too many alternative names",
            Self::NameTooLong => "a name in the certificate is too long",
            Self::TooManyCertificates => "the device presented too many certificates",
            Self::UnknownIssuer => "no authority in client-ca issued the certificate",
            Self::TooDeep => "there are more than four authorities between the certificate and a trusted one",
            Self::WrongSignature => "the certificate's signature is not one of the authority that it names",
            Self::Sha1 => "the certificate, or one above it, is signed with SHA-1; issue it with SHA-256",
            Self::UnsupportedSignature => {
                "the certificate, or one above it, is signed in a way that is not supported; use RSA, ECDSA or Ed25519 with SHA-256 or above"
            }
            Self::KeyTooShort => "an RSA key in the chain has fewer than 2,048 bits",
            Self::KeyTooLong => "an RSA key in the chain has more than 8,192 bits",
            Self::PssKey => "the key's identifier allows only RSASSA-PSS; use an ordinary RSA or an ECDSA key",
            Self::NotYetValid => "the certificate, or one above it, is not valid yet; compare the clocks",
            Self::Expired => "the certificate, or one above it, has expired",
            Self::Revoked => "the certificate, or one above it, was revoked",
            Self::NoRevocationList => "no revocation list is loaded for an issuer in the chain, and crl-failure is \"closed\"",
            Self::OldRevocationList => "the revocation list of an issuer in the chain has expired, and crl-failure is \"closed\"",
            Self::WrongPurpose => "the certificate is not for client authentication (extended key usage)",
            Self::Authority => "the certificate is that of an authority",
            Self::NoAuthority => "an issuer in the chain is no authority, or not for so many below it",
            Self::UnknownCriticalExtension => "the certificate has a critical extension that is not known",
            Self::NameConstraint => "the certificate has a name that an authority above it must not certify",
            Self::NoProof => "the device could not prove that it has the certificate's key",
        })
    }
}

/// Why a handshake ended before the device's certificate mattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeFault {
    /// The device speaks TLS 1.1 or older only.
    OldTls,
    /// The device speaks no version that is offered.
    NoCommonVersion,
    /// No cipher suite in common.
    NoCommonCipher,
    /// No key-exchange group in common.
    NoCommonGroup,
    /// No signature scheme in common: the device can't check our certificate, or we could not check its.
    NoCommonSignature,
    /// The device broke a rule of TLS.
    BadPeer,
    /// Octets that did not decrypt, or a Finished that does not fit.
    Decrypt,
    /// A flight that ends in the middle, or application data.
    Unfinished,
    /// Something else of TLS.
    Other,
}

impl HandshakeFault {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::OldTls => "tls-too-old",
            Self::NoCommonVersion => "tls-no-common-version",
            Self::NoCommonCipher => "tls-no-common-cipher",
            Self::NoCommonGroup => "tls-no-common-group",
            Self::NoCommonSignature => "tls-no-common-signature",
            Self::BadPeer => "tls-bad-peer",
            Self::Decrypt => "tls-decrypt",
            Self::Unfinished => "tls-unfinished",
            Self::Other => "tls-other",
        }
    }

    /// What an error of rustls means for an operator.
    pub(super) fn of(error: &rustls::Error) -> Self {
        use rustls::{Error, PeerIncompatible as Cannot};
        match error {
            Error::PeerIncompatible(cannot) => match cannot {
                // What TLS 1.0 and 1.1 look like to rustls: their hellos lack what version 1.2 made mandatory.
                Cannot::SignatureAlgorithmsExtensionRequired
                | Cannot::Tls12NotOffered
                | Cannot::ServerDoesNotSupportTls12Or13 => Self::OldTls,
                Cannot::Tls12NotOfferedOrEnabled
                | Cannot::Tls13RequiredForQuic
                | Cannot::SupportedVersionsExtensionRequired
                | Cannot::ServerTlsVersionIsDisabledByOurConfig => Self::NoCommonVersion,
                Cannot::NoCipherSuitesInCommon => Self::NoCommonCipher,
                Cannot::NoKxGroupsInCommon
                | Cannot::NamedGroupsExtensionRequired
                | Cannot::KeyShareExtensionRequired
                | Cannot::NoEcPointFormatsInCommon
                | Cannot::EcPointsExtensionRequired
                | Cannot::UncompressedEcPointsRequired => Self::NoCommonGroup,
                Cannot::NoSignatureSchemesInCommon | Cannot::NoCertificateRequestSignatureSchemesInCommon => {
                    Self::NoCommonSignature
                }
                _ => Self::Other,
            },
            Error::PeerMisbehaved(_)
            | Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerSentOversizedRecord => Self::BadPeer,
            Error::DecryptError => Self::Decrypt,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OldTls => "the device speaks only TLS 1.1 or older; update it, TLS 1.2 is the least",
            Self::NoCommonVersion => "the device speaks no TLS version that is offered; see tls-max",
            Self::NoCommonCipher => {
                "no cipher suite in common; the device must offer ECDHE with AES-GCM or ChaCha20-Poly1305"
            }
            Self::NoCommonGroup => "no key-exchange group in common; the device must offer X25519, P-256 or P-384",
            Self::NoCommonSignature => "no signature scheme in common with the device; compare the kinds of both keys",
            Self::BadPeer => "the device broke a rule of TLS",
            Self::Decrypt => "what the device sent did not decrypt",
            Self::Unfinished => "the device's TLS data ends in the middle, or is not part of a handshake",
            Self::Other => "the TLS handshake failed",
        })
    }
}

/// Why a handshake did not lead to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsFault {
    /// The device's certificate.
    Certificate(CertificateFault),
    /// Something before it.
    Handshake(HandshakeFault),
    /// The device said no; the number of its alert.
    Alert(u8),
}
