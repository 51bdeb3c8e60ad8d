//! A throw-away authority with everything below it: for `radmit certs`, the demo and tests of networks.
//!
//! Owns what such certificates say and how they are written. It is no authority for a company: its keys lie beside it.

use std::{fs, io::Write as _, path::Path, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, RevocationReason, RevokedCertParams, RsaKeySize, SanType, SerialNumber, date_time_ymd,
    string::Ia5String,
};

use crate::clock::Wall;

/// Clocks of devices are seldom right to the minute.
const EARLIER: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Kinds of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum KeyKind {
    /// ECDSA with P-256: small and fast.
    #[default]
    Ecdsa,
    /// RSA with 2,048 bits: what most SCEP profiles make.
    Rsa,
}

/// How a client certificate names its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// Alternative name, URI: ID:Microsoft Endpoint Manager:GUID:INTUNE-ID.
    Ise,
    /// Alternative name, URI: IntuneDeviceId://INTUNE-ID.
    IntuneDeviceId,
    /// Common name: INTUNE-ID, and no alternative name.
    Cn,
    /// Common name: ENTRA-ID, and no alternative name.
    EntraCn,
    /// Alternative name, DNS: ENTRA-ID.devices.example.
    EntraDns,
}

impl Form {
    /// The name on the command line and in file names.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ise => "ise",
            Self::IntuneDeviceId => "intune-device-id",
            Self::Cn => "cn",
            Self::EntraCn => "entra-cn",
            Self::EntraDns => "entra-dns",
        }
    }

    /// Whether the form holds an Entra id, not an Intune id.
    pub(super) const fn is_entra(self) -> bool {
        matches!(self, Self::EntraCn | Self::EntraDns)
    }
}

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    from: Wall,
    until: Wall,
}

impl Validity {
    /// From now on.
    pub(super) fn days(now: Wall, days: u32) -> Self {
        Self { from: now.minus(EARLIER), until: now.plus(DAY.saturating_mul(days)) }
    }

    /// Over since yesterday.
    pub(super) fn over(now: Wall) -> Self {
        Self { from: now.minus(DAY.saturating_mul(30)), until: now.minus(DAY) }
    }

    fn put_into(self, params: &mut CertificateParams) {
        let date = |wall: Wall| {
            let since_1970 = Duration::from_secs(u64::try_from(wall.as_secs()).unwrap_or(0));
            date_time_ymd(1970, 1, 1) + since_1970
        };
        params.not_before = date(self.from);
        params.not_after = date(self.until);
    }
}

/// The authority.
pub(super) struct TestCa {
    root: CertifiedIssuer<'static, KeyPair>,
    issuing: Option<CertifiedIssuer<'static, KeyPair>>,
    kind: KeyKind,
    validity: Validity,
}

/// A certificate with those above it that are to be sent with it, and its key.
pub(super) struct Pair {
    pub(super) chain_pem: String,
    pub(super) key_pem: String,
    pub(super) serial: SerialNumber,
}

impl TestCa {
    /// A new one called `name`; with an authority below that issues, if `with_intermediate`.
    pub(super) fn new(
        name: &str,
        kind: KeyKind,
        with_intermediate: bool,
        validity: Validity,
    ) -> Result<Self, rcgen::Error> {
        let params = authority(name, validity)?;
        let root = CertifiedIssuer::self_signed(params, key(kind)?)?;
        let issuing = if with_intermediate {
            let params = authority(&format!("{name}, issuing"), validity)?;
            Some(CertifiedIssuer::signed_by(params, key(kind)?, &root)?)
        } else {
            None
        };
        Ok(Self { root, issuing, kind, validity })
    }

    /// What devices trust.
    pub(super) fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// What the server trusts: the root, and the authority that issues.
    pub(super) fn all_pem(&self) -> String {
        self.root.pem() + &self.between_pem()
    }

    /// What is sent between a certificate and the root.
    fn between_pem(&self) -> String {
        self.issuing.as_ref().map(|issuing| issuing.pem()).unwrap_or_default()
    }

    /// The keys of the authorities, with the names of their files.
    pub(super) fn keys(&self) -> Vec<(&'static str, String)> {
        let root = [("ca.key", self.root.key().serialize_pem())];
        root.into_iter()
            .chain(self.issuing.iter().map(|issuing| ("issuing.key", issuing.key().serialize_pem())))
            .collect()
    }

    /// The certificate of a RADIUS server.
    pub(super) fn server(&self, dns_name: &str) -> Result<Pair, rcgen::Error> {
        let mut params = leaf(dns_name, ExtendedKeyUsagePurpose::ServerAuth, self.validity)?;
        params.subject_alt_names = vec![SanType::DnsName(Ia5String::try_from(dns_name)?)];
        self.issue(params)
    }

    /// The certificate of a device called `name` with the id that `form` needs.
    pub(super) fn client(&self, name: &str, form: Form, id: &str, validity: Validity) -> Result<Pair, rcgen::Error> {
        let common_name = if matches!(form, Form::Cn | Form::EntraCn) { id } else { name };
        let mut params = leaf(common_name, ExtendedKeyUsagePurpose::ClientAuth, validity)?;
        let uri = |text: String| Ok::<_, rcgen::Error>(SanType::URI(Ia5String::try_from(text)?));
        params.subject_alt_names = match form {
            Form::Ise => vec![uri(format!("ID:Microsoft Endpoint Manager:GUID:{id}"))?],
            Form::IntuneDeviceId => vec![uri(format!("IntuneDeviceId://{id}"))?],
            Form::EntraDns => vec![SanType::DnsName(Ia5String::try_from(format!("{id}.devices.example"))?)],
            Form::Cn | Form::EntraCn => Vec::new(),
        };
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Result<Pair, rcgen::Error> {
        let serial = serial()?;
        params.serial_number = Some(serial.clone());
        let key = key(self.kind)?;
        let certificate = params.signed_by(&key, self.issuer())?;
        Ok(Pair { chain_pem: certificate.pem() + &self.between_pem(), key_pem: key.serialize_pem(), serial })
    }

    fn issuer(&self) -> &Issuer<'static, KeyPair> {
        self.issuing.as_ref().unwrap_or(&self.root)
    }

    /// The revocation lists of all authorities, one behind the other; the one that issues has revoked `serials`.
    pub(super) fn lists_pem(&self, serials: &[SerialNumber]) -> Result<String, rcgen::Error> {
        let mut lists = list(self.issuer(), serials, self.validity)?;
        if self.issuing.is_some() {
            lists += &list(&self.root, &[], self.validity)?;
        }
        Ok(lists)
    }
}

impl Pair {
    /// Writes `NAME.pem`, and `NAME.key` for the owner only.
    pub(super) fn write(&self, folder: &Path, name: &str) -> Result<(), String> {
        write(&folder.join(format!("{name}.pem")), &self.chain_pem)?;
        write_private(&folder.join(format!("{name}.key")), &self.key_pem)
    }
}

/// Writes a file that is not there yet.
pub(super) fn write(path: &Path, content: &str) -> Result<(), String> {
    create(path, 0o644, content)
}

/// Writes a file that is not there yet, for its owner only.
pub(super) fn write_private(path: &Path, content: &str) -> Result<(), String> {
    create(path, 0o600, content)
}

fn create(path: &Path, mode: u32, content: &str) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", path.display());
    let mut options = fs::OpenOptions::new();
    // Never through a link, and never into a file that somebody else has opened already.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path).and_then(|mut file| file.write_all(content.as_bytes())).map_err(failed)
}

fn key(kind: KeyKind) -> Result<KeyPair, rcgen::Error> {
    match kind {
        KeyKind::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyKind::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
}

/// 16 octets of chance, positive.
fn serial() -> Result<SerialNumber, rcgen::Error> {
    let mut octets = [0; 16];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| rcgen::Error::RingUnspecified)?;
    octets[0] = octets[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&octets))
}

fn named(name: &str, validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    validity.put_into(&mut params);
    Ok(params)
}

fn authority(name: &str, validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let mut params = named(name, validity)?;
    params.serial_number = Some(serial()?);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn leaf(name: &str, purpose: ExtendedKeyUsagePurpose, validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let mut params = named(name, validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn list(
    issuer: &Issuer<'static, KeyPair>,
    serials: &[SerialNumber],
    validity: Validity,
) -> Result<String, rcgen::Error> {
    let mut dates = CertificateParams::default();
    validity.put_into(&mut dates);
    let revoked = |serial: &SerialNumber| RevokedCertParams {
        serial_number: serial.clone(),
        revocation_time: dates.not_before,
        reason_code: Some(RevocationReason::CessationOfOperation),
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: dates.not_before,
        next_update: dates.not_after,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer)?.pem()
}
