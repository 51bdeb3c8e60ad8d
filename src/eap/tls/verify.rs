//! Whether a device's certificate is to be believed: authorities, signatures, dates, purpose, revocation, keys.
//!
//! Owns the judgement. It reads no files, and does not know what the names in a certificate mean.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::{DistinguishedName, crypto::WebPkiSupportedAlgorithms};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeId,
    KeyPurposeIdIter, OwnedCertRevocationList, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
    anchor_from_trusted_cert,
};
use x509_parser::{
    certificate::X509Certificate, der_parser::oid, prelude::FromDer as _, revocation_list::CertificateRevocationList,
};

use crate::{clock::Wall, limits};

use super::{
    evidence::{check_key, not_after},
    fault::CertificateFault,
};

/// Who is trusted to issue device certificates, and what they have revoked.
#[derive(Debug)]
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    // Authorities of client-ca below an anchor of client-ca: they complete chains that devices send incompletely.
    helpers: Vec<CertificateDer<'static>>,
    hints: Vec<DistinguishedName>,
    lists: Vec<List>,
    closed: bool,
    algorithms: WebPkiSupportedAlgorithms,
    fingerprint: [u8; 32],
}

/// A revocation list.
#[derive(Debug)]
struct List {
    parsed: CertRevocationList<'static>,
    next_update: Option<Wall>,
}

/// What was established about a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// From then on the judgement may be another, although nothing was reloaded: a certificate of the chain or a
    /// revocation list will have ended.
    pub until: Wall,
    /// What was trusted: another [`Trust`] has another.
    pub fingerprint: [u8; 32],
}

/// What went wrong while building a [`Trust`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustFault {
    /// A certificate that can't be an authority, with its place in the list.
    Authority(usize),
    /// A revocation list that can't be used, with its place in the list.
    RevocationList(usize),
    /// There are no authorities.
    NoAuthorities,
    /// There are more than [`limits::TLS_AUTHORITIES_MAX`].
    TooManyAuthorities,
}

impl Trust {
    /// `authorities`: roots and authorities below them, in any order. One whose issuer is among them only completes
    /// chains, so that its own revocation is checked too; the others are trusted by themselves.
    ///
    /// # Errors
    /// [`TrustFault`].
    pub fn new(
        authorities: &[CertificateDer<'static>],
        lists: &[CertificateRevocationListDer<'static>],
        closed: bool,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Self, TrustFault> {
        if authorities.is_empty() {
            return Err(TrustFault::NoAuthorities);
        }
        if authorities.len() > limits::TLS_AUTHORITIES_MAX {
            return Err(TrustFault::TooManyAuthorities);
        }
        let mut names = Vec::with_capacity(authorities.len());
        for (at, authority) in authorities.iter().enumerate() {
            let (_, parsed) = X509Certificate::from_der(authority).map_err(|_| TrustFault::Authority(at))?;
            names.push((parsed.subject().as_raw().to_vec(), parsed.issuer().as_raw().to_vec()));
        }
        let (mut anchors, mut helpers, mut hints) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (authority, (subject, issuer))) in authorities.iter().zip(&names).enumerate() {
            let is_below = subject != issuer && names.iter().any(|(other, _)| other == issuer);
            if is_below {
                helpers.push(authority.clone());
            } else {
                anchors.push(anchor_from_trusted_cert(authority).map_err(|_| TrustFault::Authority(at))?.to_owned());
            }
            hints.push(DistinguishedName::from(subject.clone()));
        }
        if anchors.is_empty() {
            // Every one names another as its issuer: cross-signed authorities. Then all are trusted by themselves.
            for (at, authority) in authorities.iter().enumerate() {
                anchors.push(anchor_from_trusted_cert(authority).map_err(|_| TrustFault::Authority(at))?.to_owned());
            }
        }
        if hints.len() > limits::TLS_AUTHORITY_HINTS_MAX {
            hints.clear();
        }
        let fingerprint = fingerprint(authorities, lists, closed);
        let lists = lists.iter().enumerate().map(|(at, list)| List::new(list).ok_or(TrustFault::RevocationList(at)));
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { anchors, helpers, hints, lists, closed, algorithms, fingerprint })
    }

    /// Judges a chain at `now`: the device's own certificate, and what it sent with it.
    ///
    /// # Errors
    /// The first rule that is not kept. Of several ways to an authority the best one counts.
    /// Source: RFC 5280 section 6, RFC 9190 section 5.4 (revocation of every certificate but the trusted one).
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: Wall) -> Result<Verified, CertificateFault> {
        let (leaf, above) = chain.split_first().ok_or(CertificateFault::Missing)?;
        if chain.len() > limits::TLS_CERTIFICATES_MAX {
            return Err(CertificateFault::TooManyCertificates);
        }
        chain.iter().try_for_each(check_key)?;
        let end_entity = EndEntityCert::try_from(leaf).map_err(|error| fault_of(&error))?;
        let above: Vec<CertificateDer<'_>> = above.iter().chain(&self.helpers).cloned().collect();
        let parsed: Vec<&CertRevocationList<'_>> = self.lists.iter().map(|list| &list.parsed).collect();
        let path = end_entity
            .verify_for_usage(
                self.algorithms.all,
                &self.anchors,
                &above,
                UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs().max(0).unsigned_abs())),
                ClientAuthentication,
                self.revocation(&parsed),
                Some(&|path| {
                    let between = path.intermediate_certificates().count();
                    if between > limits::TLS_INTERMEDIATES_MAX { Err(Error::MaximumPathDepthExceeded) } else { Ok(()) }
                }),
            )
            .map_err(|error| fault_of(&error))?;
        let dates = std::iter::once(not_after(leaf))
            .chain(path.intermediate_certificates().map(|certificate| not_after(&certificate.der())));
        let until = dates.map(|date| date.unwrap_or_default());
        // A list that has ended already says nothing about the future; it was judged by `crl-failure` above.
        let next_updates = self.lists.iter().filter_map(|list| list.next_update).filter(|date| *date > now);
        let until = until.chain(next_updates).min().unwrap_or_default();
        Ok(Verified { until, fingerprint: self.fingerprint })
    }

    fn revocation<'a>(&self, lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
        let options = RevocationOptionsBuilder::new(lists).ok()?;
        let (unknown, old) = if self.closed {
            (UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce)
        } else {
            (UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore)
        };
        Some(options.with_status_policy(unknown).with_expiration_policy(old).build())
    }

    /// What is trusted, as a number: it changes with authorities, revocation lists and `crl-failure`.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Names of the authorities, for devices that choose a certificate by them.
    #[must_use]
    pub fn hints(&self) -> &[DistinguishedName] {
        &self.hints
    }

    /// What signatures are understood.
    pub(super) const fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// When the first of the revocation lists ends.
    #[must_use]
    pub fn lists_end(&self) -> Option<Wall> {
        self.lists.iter().filter_map(|list| list.next_update).min()
    }

    /// How many authorities are trusted by themselves, and how many complete chains.
    #[must_use]
    pub const fn authorities(&self) -> (usize, usize) {
        (self.anchors.len(), self.helpers.len())
    }
}

impl List {
    fn new(list: &CertificateRevocationListDer<'static>) -> Option<Self> {
        let (_, dates) = CertificateRevocationList::from_der(list).ok()?;
        let next_update = dates.next_update().map(|date| Wall::from_secs(date.timestamp()));
        Some(Self { parsed: OwnedCertRevocationList::from_der(list).ok()?.into(), next_update })
    }
}

/// Accepts certificates for client authentication, for any purpose, and for none in particular.
///
/// Source: RFC 5216 section 5.3.
struct ClientAuthentication;

impl ExtendedKeyUsageValidator for ClientAuthentication {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        const CLIENT: KeyPurposeId<'static> = KeyPurposeId::new(&oid!(raw 1.3.6.1.5.5.7.3.2));
        const ANY: KeyPurposeId<'static> = KeyPurposeId::new(&oid!(raw 2.5.29.37.0));
        let mut is_restricted = false;
        for purpose in purposes {
            let purpose = purpose?;
            if purpose == CLIENT || purpose == ANY {
                return Ok(());
            }
            is_restricted = true;
        }
        if is_restricted { Err(wrong_purpose()) } else { Ok(()) }
    }
}

fn wrong_purpose() -> Error {
    Error::RequiredEkuNotFoundContext(webpki::RequiredEkuNotFoundContext {
        required: webpki::KeyUsage::client_auth(),
        present: Vec::new(),
    })
}

fn fingerprint(
    authorities: &[CertificateDer<'static>],
    lists: &[CertificateRevocationListDer<'static>],
    closed: bool,
) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(&[u8::from(closed)]);
    for der in authorities.iter().map(AsRef::<[u8]>::as_ref).chain(lists.iter().map(AsRef::as_ref)) {
        hash.update(&der.len().to_be_bytes());
        hash.update(der);
    }
    let mut result = [0; 32];
    result.iter_mut().zip(hash.finish().as_ref()).for_each(|(to, from)| *to = *from);
    result
}

fn fault_of(error: &Error) -> CertificateFault {
    match error {
        Error::CaUsedAsEndEntity => CertificateFault::Authority,
        Error::CertExpired { .. } => CertificateFault::Expired,
        Error::CertNotValidYet { .. } => CertificateFault::NotYetValid,
        Error::CertRevoked => CertificateFault::Revoked,
        Error::CrlExpired { .. } => CertificateFault::OldRevocationList,
        Error::UnknownRevocationStatus
        | Error::IssuerNotCrlSigner
        | Error::InvalidCrlSignatureForPublicKey
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => CertificateFault::NoRevocationList,
        Error::EndEntityUsedAsCa | Error::PathLenConstraintViolated => CertificateFault::NoAuthority,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => CertificateFault::WrongPurpose,
        Error::InvalidSignatureForPublicKey => CertificateFault::WrongSignature,
        Error::UnsupportedSignatureAlgorithmContext(context) => {
            if is_sha1(&context.signature_algorithm_id) {
                CertificateFault::Sha1
            } else {
                CertificateFault::UnsupportedSignature
            }
        }
        Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) | Error::SignatureAlgorithmMismatch => {
            CertificateFault::UnsupportedSignature
        }
        Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => CertificateFault::TooDeep,
        Error::NameConstraintViolation => CertificateFault::NameConstraint,
        Error::UnknownIssuer => CertificateFault::UnknownIssuer,
        Error::UnsupportedCertVersion => CertificateFault::OldVersion,
        Error::UnsupportedCriticalExtension => CertificateFault::UnknownCriticalExtension,
        _ => CertificateFault::Malformed,
    }
}

/// Whether an algorithm identifier is RSA, DSA or ECDSA with SHA-1.
fn is_sha1(identifier: &[u8]) -> bool {
    const WITH_SHA1: [&[u8]; 3] =
        [&oid!(raw 1.2.840.113549.1.1.5), &oid!(raw 1.2.840.10045.4.1), &oid!(raw 1.2.840.10040.4.3)];
    WITH_SHA1.iter().any(|oid| identifier.windows(oid.len()).any(|part| part == *oid))
}
