//! Throw-away authorities, certificates and revocation lists for tests, at a fixed date.
//!
//! Owns their making. What they are good for is the tests' business.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use radmit::clock::{Mono, Now, Wall};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RevokedCertParams, RsaKeySize, SanType, SerialNumber,
    date_time_ymd, string::Ia5String,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The day on which all tests run: 2030-06-01.
pub(crate) const TODAY: Wall = Wall::from_secs(1_906_502_400);

/// The serial number of every authority below another.
pub(crate) const INTERMEDIATE_SERIAL: u64 = 1_000;

/// [`TODAY`] with some uptime.
pub(crate) fn now() -> Now {
    Now { mono: Mono::from_nanos(1_000_000_000_000), wall: TODAY }
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    P256,
    P384,
    Rsa2048,
    Ed25519,
}

impl Kind {
    pub(crate) fn key(self) -> KeyPair {
        match self {
            Self::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
            Self::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
            Self::Rsa2048 => rsa_key(),
        }
        .unwrap()
    }
}

/// One of three keys in turn: making one takes half a second, and an authority, a server and a device are told apart.
fn rsa_key() -> Result<KeyPair, rcgen::Error> {
    static KEYS: [OnceLock<String>; 3] = [const { OnceLock::new() }; 3];
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed) % KEYS.len();
    let make = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap().serialize_pem();
    KeyPair::from_pem_and_sign_algo(KEYS[turn].get_or_init(make), &PKCS_RSA_SHA256)
}

/// An authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A root.
    pub(crate) fn root(name: &str, kind: Kind) -> Self {
        Self { issuer: CertifiedIssuer::self_signed(authority_params(name), kind.key()).unwrap() }
    }

    /// One below this, with the serial number [`INTERMEDIATE_SERIAL`].
    pub(crate) fn below(&self, name: &str, kind: Kind) -> Self {
        let mut params = authority_params(name);
        params.serial_number = serial(INTERMEDIATE_SERIAL);
        Self { issuer: CertifiedIssuer::signed_by(params, kind.key(), &self.issuer).unwrap() }
    }

    /// Its certificate.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate from it.
    pub(crate) fn issue(&self, kind: Kind, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = leaf_params("LT-0042", ExtendedKeyUsagePurpose::ClientAuth);
        change(&mut params);
        let key = kind.key();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { chain: vec![certificate.der().clone()], pem: certificate.pem(), key: key.serialize_pem() }
    }

    /// A certificate for a device with an Intune id.
    pub(crate) fn device(&self, kind: Kind) -> Leaf {
        self.issue(kind, |params| {
            params.subject_alt_names = vec![uri("IntuneDeviceId://5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01")];
        })
    }

    /// A certificate for a server.
    pub(crate) fn server(&self, kind: Kind) -> Leaf {
        self.issue(kind, |params| {
            *params = leaf_params("radius.contoso.com", ExtendedKeyUsagePurpose::ServerAuth);
            params.subject_alt_names = vec![SanType::DnsName("radius.contoso.com".try_into().unwrap())];
        })
    }

    /// A revocation list that is valid today, with these serial numbers.
    pub(crate) fn revocation_list(&self, serials: &[u64]) -> Vec<u8> {
        self.revocation_list_until(serials, 2030, 7)
    }

    /// A revocation list that ends with the first day of a month.
    pub(crate) fn revocation_list_until(&self, serials: &[u64], year: i32, month: u8) -> Vec<u8> {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2025, 2, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(year, month, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer: &Issuer<'static, KeyPair> = &self.issuer;
        params.signed_by(issuer).unwrap().der().to_vec()
    }
}

/// A certificate with its key, and those above it that are sent with it.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) pem: String,
    pub(crate) key: String,
}

impl Leaf {
    /// Adds the certificate of an authority to what is sent.
    pub(crate) fn with(mut self, authority: &Authority) -> Self {
        self.chain.push(authority.der());
        self.pem.push_str(&authority.pem());
        self
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        rustls_pki_types::pem::PemObject::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

/// A serial number for revocation lists.
pub(crate) fn serial(number: u64) -> Option<SerialNumber> {
    Some(SerialNumber::from(number))
}

/// Some days after today.
pub(crate) fn in_days(days: u64) -> Now {
    now().advanced(Duration::from_secs(days * 86_400))
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

fn leaf_params(name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2031, 1, 1);
    params
}
