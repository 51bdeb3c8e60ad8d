//! When certificates and revocation lists of an operator's files end, and from when on to say so.
//!
//! Owns the dates. Saying so, and how often, is the business of whoever has a log.

use std::time::Duration;

use rustls_pki_types::pem::SectionKind;
use x509_parser::{
    certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList, time::ASN1Time,
};

use crate::{clock::Wall, document::write_duration, problem::Place};

use super::{
    file::{File, sections},
    ocsp,
};

/// So long before its end a certificate is warned about, or from the last quarter of its life on if that is later: an
/// authority may give certificates for days only.
const AHEAD: Duration = Duration::from_secs(30 * 86_400);
/// The same of revocation lists and OCSP responses, which are replaced much more often.
const LIST_AHEAD: Duration = Duration::from_secs(7 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

/// What something is that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Our certificate, or one that is sent with it.
    Server,
    /// An authority of device certificates.
    ClientAuthority,
    /// A revocation list.
    RevocationList,
    /// An OCSP response for our certificate.
    OcspResponse,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Server, Self::ClientAuthority, Self::RevocationList, Self::OcspResponse];

    /// The name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Server => "eap-server",
            Self::ClientAuthority => "eap-client-ca",
            Self::RevocationList => "eap-crl",
            Self::OcspResponse => "eap-ocsp",
        }
    }
}

/// One thing that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The file as the operator named it.
    pub file: Box<str>,
    /// Where the configuration names the file.
    pub place: Option<Place>,
    /// What it is.
    pub role: Role,
    /// Its subject; of a revocation list its issuer; of an OCSP response what it is about.
    pub subject: Box<str>,
    /// From then on it is warned about.
    pub warn_from: Wall,
    /// From then on it is worth nothing.
    pub ends: Wall,
}

impl Expiry {
    /// What to tell an operator at `now`, if it is time.
    #[must_use]
    pub fn warning(&self, now: Wall) -> Option<String> {
        if now < self.warn_from {
            return None;
        }
        let Self { file, subject, .. } = self;
        let (code, what, advice) = match self.role {
            Role::Server => ("T202 ", "the server certificate", "renew it"),
            Role::ClientAuthority => ("", "the authority", "add its successor to client-ca"),
            Role::RevocationList => ("T205 ", "the revocation list of", "fetch the new one and reload"),
            Role::OcspResponse => ("", "the OCSP response for", "fetch the new one and reload"),
        };
        if now >= self.ends {
            let ago = about(now.since(self.ends));
            return Some(format!("{file}: {code}{what} \"{subject}\" expired {ago} ago; {advice}"));
        }
        let left = about(self.ends.since(now));
        Some(format!("{file}: {code}{what} \"{subject}\" expires in {left}; {advice}"))
    }
}

/// Everything in `file` that ends, in its order. What can't be read is left out: checking is not done here.
pub(super) fn expiries_of(file: &File, role: Role) -> Vec<Expiry> {
    if role == Role::OcspResponse {
        let answers = ocsp::read(&file.octets);
        let ends = answers.iter().filter_map(|one| Some((one.begins, one.ends?)));
        return ends.map(|(begins, ends)| expiry(file, role, "the server certificate".into(), begins, ends)).collect();
    }
    if role == Role::RevocationList {
        let (found, _) = sections(&file.octets, SectionKind::Crl);
        let parsed = found.iter().filter_map(|der| CertificateRevocationList::from_der(der).ok());
        return parsed
            .filter_map(|(_, list)| {
                Some(expiry(file, role, list.issuer().to_string(), list.last_update(), list.next_update()?))
            })
            .collect();
    }
    let (found, _) = sections(&file.octets, SectionKind::Certificate);
    let parsed = found.iter().filter_map(|der| X509Certificate::from_der(der).ok());
    parsed
        .map(|(_, certificate)| {
            let validity = certificate.validity();
            expiry(file, role, certificate.subject().to_string(), validity.not_before, validity.not_after)
        })
        .collect()
}

/// The next end of each role that there is, for metrics.
pub fn next_ends(expiries: &[Expiry]) -> impl Iterator<Item = (Role, Wall)> {
    Role::ALL.into_iter().filter_map(|role| {
        let ends = expiries.iter().filter(|expiry| expiry.role == role).map(|expiry| expiry.ends).min()?;
        Some((role, ends))
    })
}

fn expiry(file: &File, role: Role, subject: String, begins: ASN1Time, ends: ASN1Time) -> Expiry {
    let (begins, ends) = (Wall::from_secs(begins.timestamp()), Wall::from_secs(ends.timestamp()));
    let ahead = match role {
        Role::Server | Role::ClientAuthority => AHEAD,
        Role::RevocationList | Role::OcspResponse => LIST_AHEAD,
    };
    let ahead = ahead.min(ends.since(begins) / 4);
    Expiry {
        file: file.name.clone(),
        place: file.place.clone(),
        role,
        subject: subject.into(),
        warn_from: ends.minus(ahead),
        ends,
    }
}

/// Days, or what is left of one in hours.
fn about(time: Duration) -> String {
    if time >= 2 * DAY {
        return format!("{} days", time.as_secs() / DAY.as_secs());
    }
    write_duration(Duration::from_secs(time.as_secs() / 3_600 * 3_600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(role: Role) -> Expiry {
        let ends = Wall::from_secs(100 * 86_400);
        Expiry {
            file: "some.pem".into(),
            place: None,
            role,
            subject: "CN=Some".into(),
            warn_from: ends.minus(AHEAD),
            ends,
        }
    }

    #[test]
    fn an_end_is_told_ahead_and_afterwards() {
        let expiry = expiry(Role::Server);
        let at = |hours: i64| expiry.warning(Wall::from_secs(hours * 3_600));
        assert_eq!(at(70 * 24 - 1), None);
        assert_eq!(
            at(94 * 24).unwrap(),
            "some.pem: T202 the server certificate \"CN=Some\" expires in 6 days; renew it"
        );
        assert_eq!(
            at(100 * 24 - 5).unwrap(),
            "some.pem: T202 the server certificate \"CN=Some\" expires in 5h; renew it"
        );
        assert!(at(100 * 24).unwrap().contains("expired 0s ago"));
        assert!(at(103 * 24).unwrap().contains("expired 3 days ago"));
    }

    #[test]
    fn the_next_end_of_each_role_counts() {
        let mut later = expiry(Role::ClientAuthority);
        later.ends = later.ends.plus(DAY);
        let all = [later, expiry(Role::ClientAuthority), expiry(Role::RevocationList)];
        let ends: Vec<_> = next_ends(&all).map(|(role, ends)| (role.label(), ends.as_secs())).collect();
        assert_eq!(ends, [("eap-client-ca", 8_640_000), ("eap-crl", 8_640_000)]);
    }
}
