//! From what an operator gives to what handshakes use, with all that is wrong with it at once.
//!
//! Owns the checks of certificate, key, chain, authorities and revocation lists. It reads no files: `config` does.

use std::{fmt, sync::Arc, time::Duration};

use rustls::{Error, InconsistentKeys, sign::CertifiedKey};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{PemObject, SectionKind},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList};
use zeroize::Zeroizing;

use crate::{
    clock::Wall,
    limits,
    problem::{Place, Problems},
};

use super::{
    context::{Parts, TlsContext, TlsMax, providers},
    evidence::check_key,
    resume::Resumptions,
    verify::{Trust, TrustFault},
};

/// Warn about a certificate of ours that ends within so many days.
const WARN_DAYS: i64 = 30;

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

/// A file and where the configuration names it. The octets are wiped afterwards and never printed.
#[derive(Clone)]
pub struct File {
    /// Its path as the operator wrote it.
    pub name: Box<str>,
    /// Where the configuration names it.
    pub place: Option<Place>,
    /// What is in it.
    pub octets: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({})", self.name)
    }
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
        let trust = trust(settings, now, problems);
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
        let what = "no private key in PEM form; PKCS#8, PKCS#1 and SEC 1 are read, encrypted keys are not";
        problems.error("eap-private-key", key_file.place.clone(), format!("{}: {what}", key_file.name));
        return None;
    };
    let checked = check_identity(file, &chain, now, problems)?;
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
    identity.ocsp = settings.ocsp_response.as_ref().and_then(|file| ocsp_response(file, problems));
    Some((identity, checked))
}

/// Its signature and dates are for the devices to check; what is plainly something else is not sent to them.
fn ocsp_response(file: &File, problems: &mut Problems) -> Option<Vec<u8>> {
    if file.octets.first() == Some(&0x30) {
        return Some(file.octets.to_vec());
    }
    let what = format!("{}: no OCSP response in DER form; none is sent", file.name);
    problems.warning("eap-ocsp", file.place.clone(), what);
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
    let days = (ends.as_secs() - now.as_secs()).div_euclid(86_400);
    if ends <= now {
        warn("eap-certificate-expired", format!("T202 the server certificate expired {} days ago; renew it", -days));
    } else if days < WARN_DAYS {
        warn("eap-certificate-expires", format!("T202 the server certificate expires in {days} days; renew it"));
    }
    if now.as_secs() < certificate.validity().not_before.timestamp() {
        warn("eap-certificate-early", "the server certificate is not valid yet; compare the clocks".into());
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
fn trust(settings: &Settings, now: Wall, problems: &mut Problems) -> Option<Trust> {
    let mut authorities = Vec::new();
    let mut complete = true;
    for file in &settings.client_ca {
        match certificates(file, problems) {
            Some(list) => {
                warn_about_authorities(file, &list, now, problems);
                authorities.extend(list.into_iter().map(|one| (file, one)));
            }
            None => complete = false,
        }
    }
    let mut lists = Vec::new();
    for file in &settings.crl {
        match revocation_lists(file, now, problems) {
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

fn warn_about_authorities(file: &File, list: &[CertificateDer<'_>], now: Wall, problems: &mut Problems) {
    for der in list {
        let Ok((_, authority)) = X509Certificate::from_der(der) else { continue };
        let mut warn = |what| {
            let what = format!("{}: \"{}\" {what}", file.name, authority.subject());
            problems.warning("eap-authority", file.place.clone(), what);
        };
        if authority.validity().not_after.timestamp() <= now.as_secs() {
            warn("has expired; replace it");
        }
        if !authority.is_ca() {
            warn("is not the certificate of an authority; the devices below it will be refused");
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

fn revocation_lists(
    file: &File,
    now: Wall,
    problems: &mut Problems,
) -> Option<Vec<CertificateRevocationListDer<'static>>> {
    let (list, is_broken) = sections(&file.octets, SectionKind::Crl);
    if list.is_empty() || is_broken {
        let what = format!("{}: no revocation list in PEM or DER form", file.name);
        problems.error("eap-crl", file.place.clone(), what);
        return None;
    }
    for der in &list {
        let Ok((_, parsed)) = CertificateRevocationList::from_der(der) else {
            let what = format!("{}: the revocation list can't be read", file.name);
            problems.error("eap-crl", file.place.clone(), what);
            return None;
        };
        let next = parsed.next_update().map(|date| date.timestamp());
        if let Some(late) = next.map(|next| now.as_secs() - next).filter(|late| *late >= 0) {
            let what = format!(
                "{}: T205 the revocation list of \"{}\" ended {} days ago; fetch the new one",
                file.name,
                parsed.issuer(),
                late / 86_400,
            );
            problems.warning("eap-crl-old", file.place.clone(), what);
        }
    }
    Some(list.into_iter().map(CertificateRevocationListDer::from).collect())
}

/// All sections of a kind, and whether the PEM is broken somewhere. What begins as DER is taken whole.
fn sections(octets: &[u8], kind: SectionKind) -> (Vec<Vec<u8>>, bool) {
    if octets.first() == Some(&0x30) {
        return (vec![octets.to_vec()], false);
    }
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(octets) {
        match section {
            Ok((is, der)) if is == kind => found.push(der),
            Ok(_) => {}
            Err(_) => return (found, true),
        }
    }
    (found, false)
}
