//! What a device's certificate says, as plain data.
//!
//! Owns the reading of names, dates and keys. Whether the certificate is to be believed is `verify`'s business, which of
//! the names is a device id is not known here.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_parser::{
    asn1_rs::Any,
    certificate::X509Certificate,
    der_parser::{ber::Class, der::Tag, oid},
    extensions::{GeneralName, ParsedExtension},
    oid_registry::Oid,
    prelude::FromDer as _,
    public_key::PublicKey,
    x509::X509Name,
};

use crate::{clock::Wall, limits};

use super::fault::CertificateFault;

/// The user principal name of Active Directory: an "other name" with a UTF-8 text.
///
/// Source: MS-WCCE section 2.2.2.7.7.4.
const UPN: Oid<'static> = oid!(1.3.6.1.4.1.311.20.2.3);
/// RSA keys that may only sign with PSS (RFC 4055 section 3.1).
const RSA_PSS_KEY: Oid<'static> = oid!(1.2.840.113549.1.1.10);

/// The names, dates and fingerprints of a certificate. Texts are UTF-8 without NUL, bounded by
/// [`limits::CERTIFICATE_NAME_OCTETS_MAX`]; there are at most [`limits::CERTIFICATE_NAMES_MAX`] of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The subject, as people write it: `CN=…, O=…`.
    pub subject: Box<str>,
    /// The subject's common name, if there is exactly one.
    pub subject_cn: Option<Box<str>>,
    /// Whether the subject has several common names. None of them is then used.
    pub has_several_cns: bool,
    /// The issuer, as people write it.
    pub issuer: Box<str>,
    /// The issuer's common name, if there is exactly one.
    pub issuer_cn: Option<Box<str>>,
    /// The serial number: lower-case hexadecimal digits without separators.
    pub serial: Box<str>,
    /// Valid from then on.
    pub not_before: Wall,
    /// Valid until then.
    pub not_after: Wall,
    /// Alternative names that are URIs, in order.
    pub san_uri: Box<[Box<str>]>,
    /// Alternative names that are DNS names, in order.
    pub san_dns: Box<[Box<str>]>,
    /// Alternative names that are mail addresses, in order.
    pub san_email: Box<[Box<str>]>,
    /// Alternative names that are user principal names, in order.
    pub san_upn: Box<[Box<str>]>,
    /// Whether there are alternative names that could not be read.
    pub has_unreadable_names: bool,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
    /// SHA-256 of the fingerprints of all certificates that were presented.
    pub chain_fingerprint: [u8; 32],
}

impl Evidence {
    /// Reads the first certificate of `chain`.
    ///
    /// # Errors
    /// [`CertificateFault::Missing`] for an empty chain, and why the certificate can't be read or must not be trusted
    /// whoever signed it.
    pub fn read(chain: &[CertificateDer<'_>]) -> Result<Arc<Self>, CertificateFault> {
        let leaf = chain.first().ok_or(CertificateFault::Missing)?;
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| CertificateFault::Malformed)?;
        let fingerprints: Vec<u8> = chain.iter().flat_map(|one| sha256(one)).collect();
        let names = AlternativeNames::read(&certificate)?;
        let (subject_cn, has_several_cns) = common_name(certificate.subject())?;
        let (issuer_cn, _) = common_name(certificate.issuer())?;
        Ok(Arc::new(Self {
            subject: printable(certificate.subject())?,
            subject_cn,
            has_several_cns,
            issuer: printable(certificate.issuer())?,
            issuer_cn,
            serial: hex(certificate.raw_serial()),
            not_before: Wall::from_secs(certificate.validity().not_before.timestamp()),
            not_after: Wall::from_secs(certificate.validity().not_after.timestamp()),
            san_uri: names.uri.into(),
            san_dns: names.dns.into(),
            san_email: names.email.into(),
            san_upn: names.upn.into(),
            has_unreadable_names: names.unreadable,
            fingerprint: sha256(leaf),
            chain_fingerprint: sha256(&fingerprints),
        }))
    }

    /// Whether one of `names` is that of the issuer: its common name, or the whole name. No names stand for any issuer.
    #[must_use]
    pub fn is_issued_by(&self, names: &[Box<str>]) -> bool {
        names.is_empty() || names.iter().any(|name| *name == self.issuer || self.issuer_cn.as_ref() == Some(name))
    }

    /// Whole days for which the certificate is still valid; negative once it has expired.
    #[must_use]
    pub const fn days_left(&self, now: Wall) -> i64 {
        (self.not_after.as_secs().saturating_sub(now.as_secs())).div_euclid(86_400)
    }
}

/// What must hold for every certificate of a chain besides signatures: sizes and kinds of keys.
///
/// # Errors
/// Why the key is refused.
pub(super) fn check_key(certificate: &CertificateDer<'_>) -> Result<(), CertificateFault> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CertificateFault::Malformed)?;
    if parsed.public_key().algorithm.algorithm == RSA_PSS_KEY {
        return Err(CertificateFault::PssKey);
    }
    let Ok(PublicKey::RSA(key)) = parsed.public_key().parsed() else { return Ok(()) };
    let zeros = key.modulus.iter().take_while(|octet| **octet == 0).count();
    let bits = key.modulus.get(zeros..).map_or(0, |modulus| modulus.len().saturating_mul(8));
    if bits < limits::TLS_RSA_BITS_MIN {
        return Err(CertificateFault::KeyTooShort);
    }
    if bits > limits::TLS_RSA_BITS_MAX {
        return Err(CertificateFault::KeyTooLong);
    }
    Ok(())
}

/// When a certificate ends, if that can be read.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<Wall> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Wall::from_secs(parsed.validity().not_after.timestamp()))
}

#[derive(Default)]
struct AlternativeNames {
    uri: Vec<Box<str>>,
    dns: Vec<Box<str>>,
    email: Vec<Box<str>>,
    upn: Vec<Box<str>>,
    unreadable: bool,
}

impl AlternativeNames {
    fn read(certificate: &X509Certificate<'_>) -> Result<Self, CertificateFault> {
        let mut names = Self::default();
        let mut count = 0usize;
        for extension in certificate.iter_extensions() {
            let ParsedExtension::SubjectAlternativeName(list) = extension.parsed_extension() else { continue };
            for name in &list.general_names {
                count += 1;
                if count > limits::CERTIFICATE_NAMES_MAX {
                    return Err(CertificateFault::TooManyNames);
                }
                names.push(name)?;
            }
        }
        Ok(names)
    }

    fn push(&mut self, name: &GeneralName<'_>) -> Result<(), CertificateFault> {
        match name {
            GeneralName::URI(text) => self.uri.push(clean(text)?),
            GeneralName::DNSName(text) => self.dns.push(clean(text)?),
            GeneralName::RFC822Name(text) => self.email.push(clean(text)?),
            GeneralName::OtherName(kind, value) if *kind == UPN => match utf8_in(value) {
                Some(text) => self.upn.push(clean(text)?),
                None => self.unreadable = true,
            },
            GeneralName::Invalid(..) => self.unreadable = true,
            _ => {}
        }
        Ok(())
    }
}

/// The text in the value of an "other name": `[0] EXPLICIT UTF8String`.
fn utf8_in(value: &[u8]) -> Option<&str> {
    let (_, outer) = Any::from_der(value).ok()?;
    if outer.header.class() != Class::ContextSpecific || outer.header.tag() != Tag(0) {
        return None;
    }
    let (_, inner) = Any::from_der(outer.data).ok()?;
    if inner.header.tag() != Tag::Utf8String {
        return None;
    }
    std::str::from_utf8(inner.data).ok()
}

/// The only common name, and whether there are several.
pub(super) fn common_name(name: &X509Name<'_>) -> Result<(Option<Box<str>>, bool), CertificateFault> {
    let mut all = name.iter_common_name();
    let first = match all.next().map(|attribute| attribute.as_str()) {
        Some(Ok(text)) => Some(clean(text)?),
        _ => None,
    };
    if all.next().is_some() { Ok((None, true)) } else { Ok((first, false)) }
}

fn printable(name: &X509Name<'_>) -> Result<Box<str>, CertificateFault> {
    clean(&name.to_string())
}

/// A text without NUL, which some readers take for its end: the classic way to carry somebody else's name.
fn clean(text: &str) -> Result<Box<str>, CertificateFault> {
    if text.contains('\0') {
        return Err(CertificateFault::NulInName);
    }
    if text.len() > limits::CERTIFICATE_NAME_OCTETS_MAX {
        return Err(CertificateFault::NameTooLong);
    }
    Ok(text.into())
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut result = [0; 32];
    result.iter_mut().zip(digest(&SHA256, octets).as_ref()).for_each(|(to, from)| *to = *from);
    result
}

/// Digits of a serial number. A leading zero octet is only the sign of the number.
fn hex(serial: &[u8]) -> Box<str> {
    let serial = match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    serial.iter().map(|octet| format!("{octet:02x}")).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType, string::Ia5String};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "LT-0042");
        params.distinguished_name.push(DnType::OrganizationName, "Contoso");
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(Ia5String::try_from(text).unwrap())
    }

    #[test]
    fn every_kind_of_name_is_read_in_order() {
        let der = certificate(|params| {
            params.subject_alt_names = vec![
                uri("IntuneDeviceId://5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01"),
                SanType::DnsName("lt-0042.contoso.com".try_into().unwrap()),
                uri("tag:microsoft.com,2022-09-14:sid:S-1-5-21-1"),
                SanType::Rfc822Name("jane@contoso.com".try_into().unwrap()),
                SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], "jane@corp.contoso.com".into())),
            ];
            params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0, 0x8a, 0x01]));
        });
        let evidence = Evidence::read(&[der]).unwrap();
        assert_eq!(evidence.subject_cn.as_deref(), Some("LT-0042"));
        assert_eq!(&*evidence.subject, "CN=LT-0042, O=Contoso");
        assert_eq!(evidence.issuer_cn.as_deref(), Some("LT-0042"));
        assert_eq!(evidence.san_uri.len(), 2);
        assert_eq!(&*evidence.san_uri[1], "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1", "a comma divides nothing");
        assert_eq!(&*evidence.san_dns[0], "lt-0042.contoso.com");
        assert_eq!(&*evidence.san_email[0], "jane@contoso.com");
        assert_eq!(&*evidence.san_upn[0], "jane@corp.contoso.com");
        assert_eq!(&*evidence.serial, "8a01");
    }

    #[test]
    fn an_issuer_is_known_by_its_common_name_or_its_whole_name() {
        let evidence = Evidence::read(&[certificate(|_| {})]).unwrap();
        let is_issued_by = |name: &str| evidence.is_issued_by(&[Box::from("Another"), Box::from(name)]);
        assert!(is_issued_by("LT-0042") && is_issued_by("CN=LT-0042, O=Contoso"));
        assert!(!is_issued_by("Contoso") && !is_issued_by("lt-0042") && !is_issued_by(""));
        assert!(evidence.is_issued_by(&[]), "nothing is asked for");
    }

    #[test]
    fn days_are_counted_down_below_zero() {
        let der = certificate(|params| params.not_after = rcgen::date_time_ymd(2030, 1, 11));
        let evidence = Evidence::read(&[der]).unwrap();
        let day = evidence.not_after.as_secs() - 86_400;
        assert_eq!(evidence.days_left(Wall::from_secs(day)), 1);
        assert_eq!(evidence.days_left(Wall::from_secs(day + 1)), 0);
        assert_eq!(evidence.days_left(Wall::from_secs(day + 86_401)), -1);
    }

    #[test]
    fn a_name_with_nul_is_refused() {
        // Written by hand: honest writers don't write it. SubjectAltName { dNSName "a\0b" }.
        let hostile = |extension: Vec<u8>| {
            certificate(|params| {
                let mut san = CustomExtension::from_oid_content(&[2, 5, 29, 17], extension);
                san.set_criticality(false);
                params.custom_extensions.push(san);
            })
        };
        let dns = hostile(vec![0x30, 5, 0x82, 3, b'a', 0, b'b']);
        assert_eq!(Evidence::read(&[dns]), Err(CertificateFault::NulInName));
        let uri = hostile(vec![0x30, 5, 0x86, 3, b'a', 0, b'b']);
        assert_eq!(Evidence::read(&[uri]), Err(CertificateFault::NulInName));
        let cn = certificate(|params| params.distinguished_name.push(DnType::CommonName, "a\0b"));
        assert_eq!(Evidence::read(&[cn]), Err(CertificateFault::NulInName));
    }

    #[test]
    fn two_common_names_are_none() {
        let twice = certificate(|params| {
            params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "another");
        });
        let evidence = Evidence::read(&[twice]).unwrap();
        assert!(evidence.has_several_cns);
        assert_eq!(evidence.subject_cn, None);
    }

    #[test]
    fn names_beyond_the_bounds_are_refused() {
        let many =
            certificate(|params| params.subject_alt_names = vec![uri("urn:x"); limits::CERTIFICATE_NAMES_MAX + 1]);
        assert_eq!(Evidence::read(&[many]), Err(CertificateFault::TooManyNames));
        let long = certificate(|params| params.subject_alt_names = vec![uri(&"u".repeat(2000))]);
        assert_eq!(Evidence::read(&[long]), Err(CertificateFault::NameTooLong));
    }

    #[test]
    fn what_is_no_certificate_is_malformed() {
        assert_eq!(Evidence::read(&[]), Err(CertificateFault::Missing));
        assert_eq!(Evidence::read(&[CertificateDer::from(vec![0x30, 0x80, 0])]), Err(CertificateFault::Malformed));
        let good = certificate(|_| {});
        for length in (0..good.len()).step_by(7) {
            let cut = CertificateDer::from(good.as_ref()[..length].to_vec());
            assert_eq!(Evidence::read(&[cut]), Err(CertificateFault::Malformed), "{length} octets");
        }
    }
}
