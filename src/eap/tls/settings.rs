//! From what an operator gives to what handshakes use, with all that is wrong with it at once.
//!
//! Owns the checks of certificate, key, chain, authorities and revocation lists. It reads no files: `config` does.

use std::{sync::Arc, time::Duration};

use rustls::{Error, InconsistentKeys, sign::CertifiedKey};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{PemObject, SectionKind},
};
use x509_parser::{
    certificate::X509Certificate,
    der_parser::oid,
    oid_registry::{OID_PKCS1_SHA1WITHRSA, Oid},
    prelude::FromDer as _,
    revocation_list::CertificateRevocationList,
};

use crate::{clock::Wall, limits, problem::Problems};

pub use super::file::File;

use super::{
    context::{Parts, TlsContext, TlsMax, providers},
    evidence::{check_key, common_name},
    expiry::{Expiry, Role, expiries_of},
    file::sections,
    ocsp::{self, Status},
    resume::Resumptions,
    verify::{Trust, TrustFault},
};

/// `[eap-tls]` with its files read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our certificate and those above it, PEM; the root may be left out.
    pub certificate: File,
    /// Its key, PEM: PKCS#8, PKCS#1 or SEC 1.
    pub private_key: File,
    /// Authorities that issue device certificates, PEM or DER.
    pub client_ca: Vec<File>,
    /// Their revocation lists, PEM or DER.
    pub crl: Vec<File>,
    /// What happens to a device whose revocation can't be told.
    pub crl_failure: CrlFailure,
    /// An OCSP response for our certificate, DER, to be sent with it.
    pub ocsp_response: Option<File>,
    /// The longest EAP packet.
    pub fragment_size: usize,
    /// The highest version of TLS.
    pub tls_max: TlsMax,
    /// How long a session can be resumed; zero for never.
    pub session_lifetime: Duration,
    /// Whether TLS 1.3 devices get a ticket: without one they can't resume.
    pub tickets: bool,
}

/// What happens to a device whose revocation can't be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrlFailure {
    /// It is turned away.
    #[default]
    Closed,
    /// It is let through.
    Open,
}

impl Settings {
    /// Everything in these files that ends, in their order. What can't be read is left out.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        let authorities = self.client_ca.iter().map(|file| (file, Role::ClientAuthority));
        let lists = self.crl.iter().map(|file| (file, Role::RevocationList));
        let response = self.ocsp_response.iter().map(|file| (file, Role::OcspResponse));
        let all = std::iter::once((&self.certificate, Role::Server)).chain(authorities).chain(lists).chain(response);
        all.flat_map(|(file, role)| expiries_of(file, role)).collect()
    }

    /// The whole name and the common name of each authority in client-ca, written as in [`super::evidence::Evidence`].
    #[must_use]
    pub fn authority_names(&self) -> Vec<(Box<str>, Option<Box<str>>)> {
        let octets = self.client_ca.iter().flat_map(|file| sections(&file.octets, SectionKind::Certificate).0);
        octets
            .filter_map(|der| {
                let (_, authority) = X509Certificate::from_der(&der).ok()?;
                let (common, _) = common_name(authority.subject()).ok()?;
                Some((authority.subject().to_string().into(), common))
            })
            .collect()
    }
}

impl TlsContext {
    /// Checks `settings` at `now` and makes what handshakes use. `resumptions`: those of the state before, at a reload.
    ///
    /// `None` if `problems` got an error.
    #[must_use]
    pub fn from_settings(
        settings: &Settings,
        now: Wall,
        resumptions: Arc<Resumptions>,
        problems: &mut Problems,
    ) -> Option<Arc<Self>> {
        let identity = identity(settings, now, problems);
        let trust = trust(settings, problems);
        for expiry in settings.expiries() {
            if let Some(what) = expiry.warning(now) {
                problems.warning("eap-expiry", expiry.place.clone(), what);
            }
        }
        let (identity, Checked { subject, ends }) = identity?;
        Some(Arc::new(Self::new(Parts {
            identity,
            subject,
            ends,
            trust: trust?,
            resumptions,
            lifetime: settings.session_lifetime.min(limits::TLS_RESUMPTION_LIFETIME_MAX),
            tickets: usize::from(settings.tickets && !settings.session_lifetime.is_zero()),
            max: settings.tls_max,
        })))
    }
}

/// What a look at our certificate showed.
struct Checked {
    subject: Box<str>,
    ends: Wall,
}

/// Our certificate with its key.
fn identity(settings: &Settings, now: Wall, problems: &mut Problems) -> Option<(CertifiedKey, Checked)> {
    let file = &settings.certificate;
    let chain = certificates(file, problems)?;
    let key_file = &settings.private_key;
    let key = PrivateKeyDer::from_pem_slice(&key_file.octets);
    let Ok(key) = key else {
        let is_encrypted = key_file.octets.windows(9).any(|part| part == b"ENCRYPTED");
        let what = if is_encrypted {
            "the private key is encrypted; decrypt it with: openssl pkey -in KEY -out NEW"
        } else {
            "no private key in PEM form; PKCS#8, PKCS#1 and SEC 1 are read"
        };
        problems.error("eap-private-key", key_file.place.clone(), format!("{}: {what}", key_file.name));
        return None;
    };
    let checked = check_identity(file, &chain, now, problems)?;
    let ocsp = settings.ocsp_response.as_ref().and_then(|file| ocsp_response(file, chain.first()?, now, problems));
    let mut identity = match CertifiedKey::from_der(chain, key, &providers().0) {
        Ok(identity) => identity,
        Err(error) => {
            let what = match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    format!(
                        "T202 the key is not that of the certificate in {}; take both from the same issue",
                        file.name
                    )
                }
                _ => "the key can't be used; give an RSA key of 2,048 bits or more, P-256, P-384, P-521 or Ed25519"
                    .into(),
            };
            problems.error("eap-private-key", key_file.place.clone(), format!("{}: {what}", key_file.name));
            return None;
        }
    };
    identity.ocsp = ocsp;
    Some((identity, checked))
}

/// A response that is plainly of no use is not sent: devices that ask for one would take it for an attack, and get in
/// without any.
fn ocsp_response(file: &File, leaf: &CertificateDer<'_>, now: Wall, problems: &mut Problems) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let answers = ocsp::read(&file.octets);
    let about_us = answers.iter().find(|one| one.serial == certificate.raw_serial());
    let ended = |one: &ocsp::Single<'_>| one.ends.is_some_and(|ends| ends.timestamp() <= now.as_secs());
    let what = match about_us {
        None if answers.is_empty() => "no OCSP response in DER form that answers",
        None => "the OCSP response is not about the server certificate",
        Some(one) if one.status == Status::Revoked => "the OCSP response says that the server certificate was revoked",
        Some(one) if one.status == Status::Unknown => "the OCSP responder does not know the server certificate",
        Some(one) if ended(one) => "the OCSP response has expired",
        Some(_) => return Some(file.octets.to_vec()),
    };
    problems.warning("eap-ocsp", file.place.clone(), format!("{}: {what}; none is sent", file.name));
    None
}

fn check_identity(file: &File, chain: &[CertificateDer<'_>], now: Wall, problems: &mut Problems) -> Option<Checked> {
    let leaf = chain.first()?;
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
        problems.error("eap-certificate", file.place.clone(), format!("{}: the certificate can't be read", file.name));
        return None;
    };
    let mut warn = |code, what: String| problems.warning(code, file.place.clone(), format!("{}: {what}", file.name));
    if let Err(fault) = check_key(leaf) {
        warn("eap-certificate", format!("{fault}; many devices will refuse it"));
    }
    let ends = Wall::from_secs(certificate.validity().not_after.timestamp());
    if now.as_secs() < certificate.validity().not_before.timestamp() {
        warn("eap-certificate-early", "the server certificate is not valid yet; compare the clocks".into());
    }
    if certificate.is_ca() {
        warn("eap-certificate", "the first certificate is that of an authority; put the server's own first".into());
    }
    if certificate.issuer() != certificate.subject() && is_sha1(certificate.signature_algorithm.oid()) {
        warn("eap-certificate", "the certificate is signed with SHA-1; devices will refuse it, issue it anew".into());
    }
    let is_for_servers = match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.server_auth || usage.value.any,
        _ => true,
    };
    if !is_for_servers {
        warn(
            "eap-certificate-purpose",
            "the certificate is not for server authentication; devices will refuse it".into(),
        );
    }
    if certificate.subject_alternative_name().ok().flatten().is_none() {
        warn("eap-certificate-name", "the certificate has no DNS name; Windows and Android look for it there".into());
    }
    check_order(chain, &mut warn);
    Some(Checked { subject: certificate.subject().to_string().into(), ends })
}

fn is_sha1(algorithm: &Oid<'_>) -> bool {
    // ecdsa-with-SHA1 has no name in the registry.
    *algorithm == OID_PKCS1_SHA1WITHRSA || *algorithm == oid!(1.2.840.10045.4.1)
}

/// Each certificate must be followed by its issuer's: supplicants don't search.
fn check_order(chain: &[CertificateDer<'_>], warn: &mut impl FnMut(&'static str, String)) {
    let parsed: Vec<_> =
        chain.iter().filter_map(|one| X509Certificate::from_der(one).ok()).map(|(_, one)| one).collect();
    for (at, two) in parsed.windows(2).enumerate() {
        let [below, above] = two else { continue };
        if below.issuer().as_raw() != above.subject().as_raw() {
            let what = format!(
                "T203 the chain stops at \"{}\": certificate {} is not its issuer's; put the intermediates in order, without gaps",
                below.subject(),
                at + 2,
            );
            warn("eap-certificate-chain", what);
        }
    }
}

/// Whom we trust.
fn trust(settings: &Settings, problems: &mut Problems) -> Option<Trust> {
    let mut authorities = Vec::new();
    let mut complete = true;
    for file in &settings.client_ca {
        match certificates(file, problems) {
            Some(list) => {
                warn_about_authorities(file, &list, problems);
                authorities.extend(list.into_iter().map(|one| (file, one)));
            }
            None => complete = false,
        }
    }
    let mut lists = Vec::new();
    for file in &settings.crl {
        match revocation_lists(file, problems) {
            Some(found) => lists.extend(found.into_iter().map(|one| (file, one))),
            None => complete = false,
        }
    }
    if settings.crl.is_empty() {
        let what = "no crl is configured: a revoked device certificate is still accepted until it expires";
        problems.warning("eap-no-crl", settings.certificate.place.clone(), what);
    }
    if !complete {
        return None;
    }
    let der: Vec<_> = authorities.iter().map(|(_, der)| der.clone()).collect();
    let list_der: Vec<_> = lists.iter().map(|(_, der)| der.clone()).collect();
    let closed = settings.crl_failure == CrlFailure::Closed;
    let algorithms = providers().0.signature_verification_algorithms;
    match Trust::new(&der, &list_der, closed, algorithms) {
        Ok(trust) => {
            warn_about_missing_lists(&authorities, &list_der, settings, problems);
            warn_about_strange_lists(&authorities, &lists, problems);
            Some(trust)
        }
        Err(fault) => {
            let (place, what) = match fault {
                TrustFault::Authority(at) => {
                    let file = authorities.get(at).map(|(file, _)| *file);
                    (file, "a certificate in it can't be that of an authority".to_owned())
                }
                TrustFault::RevocationList(at) => {
                    let file = lists.get(at).map(|(file, _)| *file);
                    (file, "the list can't be used: delta and indirect lists are not supported".to_owned())
                }
                TrustFault::NoAuthorities => (None, "client-ca names no authority; nobody could log in".to_owned()),
                TrustFault::TooManyAuthorities => {
                    (None, format!("client-ca names more than {} authorities", limits::TLS_AUTHORITIES_MAX))
                }
            };
            let file = place.unwrap_or(&settings.certificate);
            let name = place.map(|file| format!("{}: ", file.name)).unwrap_or_default();
            problems.error("eap-trust", file.place.clone(), format!("{name}{what}"));
            None
        }
    }
}

fn warn_about_authorities(file: &File, list: &[CertificateDer<'_>], problems: &mut Problems) {
    for der in list {
        let Ok((_, authority)) = X509Certificate::from_der(der) else { continue };
        if !authority.is_ca() {
            let what = "is not the certificate of an authority; the devices below it will be refused";
            let what = format!("{}: \"{}\" {what}", file.name, authority.subject());
            problems.warning("eap-authority", file.place.clone(), what);
        }
    }
}

/// An authority without a list turns all its devices away, if failures are closed.
fn warn_about_missing_lists(
    authorities: &[(&File, CertificateDer<'static>)],
    lists: &[CertificateRevocationListDer<'static>],
    settings: &Settings,
    problems: &mut Problems,
) {
    if lists.is_empty() || settings.crl_failure == CrlFailure::Open {
        return;
    }
    let covered: Vec<Vec<u8>> = lists
        .iter()
        .filter_map(|list| CertificateRevocationList::from_der(list).ok())
        .map(|(_, list)| list.issuer().as_raw().to_vec())
        .collect();
    for (file, der) in authorities {
        let Ok((_, authority)) = X509Certificate::from_der(der) else { continue };
        if !covered.iter().any(|issuer| issuer == authority.subject().as_raw()) {
            let what = format!(
                "{}: no revocation list of \"{}\" is given; what it issued is rejected, because crl-failure is \"closed\"",
                file.name,
                authority.subject(),
            );
            problems.warning("eap-crl-missing", file.place.clone(), what);
        }
    }
}

/// A list of an issuer that is not in client-ca is of use only for authorities whose certificates devices send.
fn warn_about_strange_lists(
    authorities: &[(&File, CertificateDer<'static>)],
    lists: &[(&File, CertificateRevocationListDer<'static>)],
    problems: &mut Problems,
) {
    let parsed = authorities.iter().filter_map(|(_, der)| X509Certificate::from_der(der).ok());
    let known: Vec<Vec<u8>> = parsed.map(|(_, authority)| authority.subject().as_raw().to_vec()).collect();
    for (file, der) in lists {
        let Ok((_, list)) = CertificateRevocationList::from_der(der) else { continue };
        if !known.iter().any(|subject| subject == list.issuer().as_raw()) {
            let what = format!(
                "{}: the list is from \"{}\", which is not in client-ca; add that authority, or take the list of the right one",
                file.name,
                list.issuer(),
            );
            problems.warning("eap-crl-issuer", file.place.clone(), what);
        }
    }
}

fn certificates(file: &File, problems: &mut Problems) -> Option<Vec<CertificateDer<'static>>> {
    let (list, is_broken) = sections(&file.octets, SectionKind::Certificate);
    let what = if is_broken {
        "the PEM is broken"
    } else if list.is_empty() {
        "no certificate in PEM or DER form"
    } else {
        return Some(list.into_iter().map(CertificateDer::from).collect());
    };
    problems.error("eap-certificate", file.place.clone(), format!("{}: {what}", file.name));
    None
}

fn revocation_lists(file: &File, problems: &mut Problems) -> Option<Vec<CertificateRevocationListDer<'static>>> {
    let (list, is_broken) = sections(&file.octets, SectionKind::Crl);
    let what = if list.is_empty() || is_broken {
        "no revocation list in PEM or DER form"
    } else if list.iter().any(|der| CertificateRevocationList::from_der(der).is_err()) {
        "the revocation list can't be read"
    } else {
        return Some(list.into_iter().map(CertificateRevocationListDer::from).collect());
    };
    problems.error("eap-crl", file.place.clone(), format!("{}: {what}", file.name));
    None
}
