//! Proving to Entra who asks: the form of a request for a token, with a secret, an assertion or a federated token.
//!
//! Owns assertions and the reading of certificates and keys, each time anew, so that a changed file is used. Sending is
//! `token`'s business.

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sha1::{Digest, Sha1};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::{clock::Wall, device::question::Failure};

use super::{
    chance,
    explain::Complaint,
    settings::{Assertion, CertificatePair, Credential},
};

/// The fields of a form.
pub(super) type Form = Vec<(&'static str, Zeroizing<String>)>;

/// Of RFC 7523: what kind of assertion follows.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// For how long an assertion counts, in seconds from its `nbf` on; Microsoft advises five to ten minutes.
const ASSERTION_SECS: i64 = 600;

/// How far `nbf` lies back, in seconds: this machine's clock may be a little ahead of Entra's.
const BACKDATED_SECS: i64 = 60;

/// The form of a client credentials request. `which`: the place of the certificate among several.
///
/// `audience`: the token endpoint. The older one, which Cisco's manuals name too, wants the resource in place of a scope.
/// Source: Microsoft identity platform, OAuth 2.0 client credentials flow.
///
/// # Errors
/// A file that can't be read or holds something else.
pub(super) fn form(
    credential: &Credential,
    which: usize,
    client_id: &str,
    audience: &str,
    scope: &str,
    wall: Wall,
) -> Result<Form, Complaint> {
    let plain = |text: &str| Zeroizing::new(text.to_owned());
    let v1 = audience.ends_with("/oauth2/token");
    let (name, what) = if v1 { ("resource", resource_of(scope)) } else { ("scope", scope) };
    let mut form =
        vec![("client_id", plain(client_id)), (name, plain(what)), ("grant_type", plain("client_credentials"))];
    let wrong = |text: String| Complaint::new(Failure::Misconfigured, text);
    match credential {
        Credential::Secret(secret) => {
            let text = secret.read().map_err(|error| wrong(format!("the client secret can't be read: {error}")))?;
            form.push(("client_secret", text));
        }
        Credential::Certificate { pairs, assertion } => {
            let pair = pairs.get(which).ok_or_else(|| wrong("no certificate is configured".to_owned()))?;
            let jwt = Signer::read(pair)?.assertion(*assertion, client_id, audience, wall)?;
            form.push(("client_assertion_type", plain(JWT_BEARER)));
            form.push(("client_assertion", jwt));
        }
        Credential::FederatedTokenFile(path) => {
            let text = std::fs::read_to_string(path)
                .map(Zeroizing::new)
                .map_err(|error| wrong(format!("the federated token {} can't be read: {error}", path.display())))?;
            form.push(("client_assertion_type", plain(JWT_BEARER)));
            form.push(("client_assertion", plain(text.trim())));
        }
        // Its tokens come from the machine, not from Entra.
        Credential::ManagedIdentity { .. } => {
            return Err(wrong("a managed identity sends no form".to_owned()));
        }
    }
    Ok(form)
}

/// The id of the service that a scope names. It may end in a slash of its own.
pub(super) fn resource_of(scope: &str) -> &str {
    scope.strip_suffix("/.default").unwrap_or(scope)
}

/// In which order the certificates are tried: those that count now, the longest last; then the rest.
pub(super) fn order(pairs: &[CertificatePair], wall: Wall) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|at| {
        let validity = pairs.get(*at).and_then(|pair| read_validity(pair).ok());
        !validity.is_some_and(|validity| validity.begins <= wall && wall < validity.ends)
    });
    order
}

/// When a certificate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) begins: Wall,
    pub(super) ends: Wall,
}

/// Reads when the certificate of a pair counts.
///
/// # Errors
/// It can't be read.
pub(super) fn read_validity(pair: &CertificatePair) -> Result<Validity, Complaint> {
    let der = read_certificate(pair)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| no_certificate(pair))?;
    let validity = certificate.validity();
    Ok(Validity {
        begins: Wall::from_secs(validity.not_before.timestamp()),
        ends: Wall::from_secs(validity.not_after.timestamp()),
    })
}

fn read_certificate(pair: &CertificatePair) -> Result<CertificateDer<'static>, Complaint> {
    let text = pair.certificate.read().map_err(|error| unreadable(&pair.certificate.name(), &error))?;
    CertificateDer::from_pem_slice(&text).map_err(|_| no_certificate(pair))
}

fn no_certificate(pair: &CertificatePair) -> Complaint {
    let sentence = format!("{} holds no certificate; name a PEM file", pair.certificate.name());
    Complaint::new(Failure::Misconfigured, sentence)
}

fn unreadable(name: &str, error: &std::io::Error) -> Complaint {
    Complaint::new(Failure::Misconfigured, format!("{name} can't be read: {error}"))
}

/// A certificate and its key, read.
struct Signer {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Signer {
    fn read(pair: &CertificatePair) -> Result<Self, Complaint> {
        let certificate = read_certificate(pair)?;
        let name = pair.private_key.name();
        let text = pair.private_key.read().map_err(|error| unreadable(&name, &error))?;
        let wrong = || {
            let sentence =
                format!("{name} holds no RSA private key; Entra takes RSA keys, PKCS#8 or PKCS#1, unencrypted");
            Complaint::new(Failure::Misconfigured, sentence)
        };
        let key = match PrivateKeyDer::from_pem_slice(&text).map_err(|_| wrong())? {
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(wrong()),
        };
        Ok(Self { certificate, key: key.map_err(|_| wrong())? })
    }

    /// A signed client assertion.
    /// Source: Microsoft identity platform, certificate credentials; RFC 7515 section 4.1.7 and 4.1.8 (thumbprints).
    fn assertion(
        &self,
        kind: Assertion,
        client_id: &str,
        audience: &str,
        wall: Wall,
    ) -> Result<Zeroizing<String>, Complaint> {
        let header = match kind {
            Assertion::Ps256 => {
                let thumbprint = digest::digest(&digest::SHA256, &self.certificate);
                serde_json::json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": base64url(thumbprint.as_ref()) })
            }
            Assertion::Rs256 => {
                serde_json::json!({ "alg": "RS256", "typ": "JWT", "x5t": base64url(&Sha1::digest(&self.certificate)) })
            }
        };
        let seconds = wall.as_secs();
        let claims = serde_json::json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": chance::guid().to_string(),
            "nbf": seconds - BACKDATED_SECS,
            "iat": seconds,
            "exp": seconds - BACKDATED_SECS + ASSERTION_SECS,
        });
        let mut jwt = base64url(header.to_string().as_bytes());
        jwt.push('.');
        jwt.push_str(&base64url(claims.to_string().as_bytes()));
        let algorithm: &'static dyn aws_lc_rs::signature::RsaEncoding = match kind {
            Assertion::Ps256 => &RSA_PSS_SHA256,
            Assertion::Rs256 => &RSA_PKCS1_SHA256,
        };
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(algorithm, &SystemRandom::new(), jwt.as_bytes(), &mut signature).map_err(|_| {
            Complaint::new(Failure::Misconfigured, "the private key can't sign; use an RSA key of 2048 bits or more")
        })?;
        jwt.push('.');
        jwt.push_str(&base64url(&signature));
        Ok(Zeroizing::new(jwt))
    }
}

/// Base 64 with `-` and `_`, without padding (RFC 4648 section 5).
fn base64url(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for chunk in octets.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let at = bits >> (18 - 6 * digit) & 0x3f;
            text.push(char::from(DIGITS.get(at as usize).copied().unwrap_or(b'A')));
        }
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;
    use crate::mdm::settings::Pem;

    const AUDIENCE: &str = "https://login.microsoftonline.com/t/oauth2/v2.0/token";

    pub(in super::super) fn unbase64url(text: &str) -> Vec<u8> {
        let value = |octet: u8| match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'-' => 62,
            _ => 63,
        };
        let mut octets = Vec::new();
        for chunk in text.as_bytes().chunks(4) {
            let bits =
                chunk.iter().fold(0u32, |bits, octet| bits << 6 | u32::from(value(*octet))) << (6 * (4 - chunk.len()));
            octets.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
        }
        octets
    }

    /// A certificate for an RSA key, with the public key in DER for verifying.
    pub(in super::super) fn pair() -> (CertificatePair, Vec<u8>) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("keys can be made");
        let certificate = rcgen::CertificateParams::new(vec!["radmit.test".to_owned()])
            .and_then(|parameters| parameters.self_signed(&key))
            .expect("certificates can be made");
        let pem = |text: String| Pem::Text(Arc::new(Zeroizing::new(text.into_bytes())));
        let pair = CertificatePair { certificate: pem(certificate.pem()), private_key: pem(key.serialize_pem()) };
        (pair, rcgen::PublicKeyData::der_bytes(&key).to_vec())
    }

    fn assertion_of(form: &Form) -> String {
        form.iter().find(|(name, _)| *name == "client_assertion").expect("it is there").1.to_string()
    }

    /// Trap 21: the thumbprint is base64url of the binary hash; the value is the one that Microsoft's page shows.
    #[test]
    fn a_thumbprint_is_encoded_as_in_microsofts_example() {
        let sha1: Vec<u8> = [
            0x84, 0xE0, 0x5C, 0x1D, 0x98, 0xBC, 0xE3, 0xA5, 0x42, 0x1D, 0x22, 0x5B, 0x14, 0x0B, 0x36, 0xE8, 0x6A, 0x3D,
            0x55, 0x34,
        ]
        .to_vec();
        assert_eq!(base64url(&sha1), "hOBcHZi846VCHSJbFAs26Go9VTQ");
        for text in ["", "f", "fo", "foo", "foob", "fooba", "foobar"] {
            assert_eq!(unbase64url(&base64url(text.as_bytes())), text.as_bytes());
        }
    }

    /// Trap 22: the audience is the token endpoint of the chosen cloud.
    #[test]
    fn both_kinds_of_assertion_verify_and_say_who_asks_whom() {
        let (pair, public) = pair();
        for kind in Assertion::ALL {
            let credential = Credential::Certificate { pairs: vec![pair.clone()], assertion: kind };
            let form =
                form(&credential, 0, "app", AUDIENCE, "scope", Wall::from_secs(1_800_000_000)).expect("it is right");
            let jwt = assertion_of(&form);
            let (signed, signature) = jwt.rsplit_once('.').expect("three parts");
            let (header, claims) = signed.split_once('.').expect("three parts");
            let algorithm: &dyn aws_lc_rs::signature::VerificationAlgorithm = match kind {
                Assertion::Ps256 => &RSA_PSS_2048_8192_SHA256,
                Assertion::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            };
            UnparsedPublicKey::new(algorithm, &public)
                .verify(signed.as_bytes(), &unbase64url(signature))
                .expect("the signature is right");
            let header: serde_json::Value = serde_json::from_slice(&unbase64url(header)).expect("JSON");
            let thumbprint = if kind == Assertion::Ps256 { ("x5t#S256", 43) } else { ("x5t", 27) };
            assert_eq!(header[thumbprint.0].as_str().map(str::len), Some(thumbprint.1));
            let claims: serde_json::Value = serde_json::from_slice(&unbase64url(claims)).expect("JSON");
            assert_eq!(
                (&claims["aud"], &claims["iss"], &claims["sub"]),
                (&AUDIENCE.into(), &"app".into(), &"app".into())
            );
            let time = |name: &str| claims[name].as_i64().expect("a number");
            assert!((300..=600).contains(&(time("exp") - time("nbf"))), "{claims}");
            assert!(time("nbf") < time("iat") && time("exp") - time("iat") >= 300, "{claims}");
        }
    }

    #[test]
    fn a_key_that_is_no_rsa_key_is_named_with_what_is_needed() {
        let (good, _) = pair();
        let key = rcgen::KeyPair::generate().expect("keys can be made");
        let pem = Pem::Text(Arc::new(Zeroizing::new(key.serialize_pem().into_bytes())));
        let pairs = vec![CertificatePair { private_key: pem, ..good }];
        let credential = Credential::Certificate { pairs, assertion: Assertion::Ps256 };
        let complaint = form(&credential, 0, "app", AUDIENCE, "scope", Wall::default()).expect_err("it is an EC key");
        assert_eq!(complaint.failure, Failure::Misconfigured);
        assert!(complaint.sentence.contains("RSA"), "{}", complaint.sentence);
    }

    #[test]
    fn a_certificate_that_counts_is_tried_before_one_that_expired() {
        let certificate = |begin: i32, end: i32| {
            let key = rcgen::KeyPair::generate().expect("keys can be made");
            let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("no names");
            parameters.not_before = rcgen::date_time_ymd(begin, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(end, 1, 1);
            let text = parameters.self_signed(&key).expect("certificates can be made").pem();
            let pem = Pem::Text(Arc::new(Zeroizing::new(text.into_bytes())));
            CertificatePair { certificate: pem.clone(), private_key: pem }
        };
        let at = Wall::from_secs(1_800_000_000);
        assert_eq!(order(&[certificate(2000, 2020), certificate(2026, 2030)], at), [1, 0]);
        assert_eq!(order(&[certificate(2026, 2028), certificate(2026, 2030)], at), [0, 1]);
    }

    #[test]
    fn a_file_that_was_replaced_counts_from_the_next_token_on() {
        let folder = std::env::temp_dir().join(format!("radmit-credential-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("there is room");
        let path = |name: &str| folder.join(name);
        let write = |name: &str, text: &[u8]| std::fs::write(path(name), text).expect("there is room");
        let asserted = |credential: &Credential| {
            let form = form(credential, 0, "app", AUDIENCE, "scope", Wall::default()).expect("it is right");
            assertion_of(&form)
        };
        let federated = Credential::FederatedTokenFile(path("token"));
        let files = CertificatePair {
            certificate: Pem::File(path("certificate.pem")),
            private_key: Pem::File(path("private.key")),
        };
        let certificate = Credential::Certificate { pairs: vec![files], assertion: Assertion::Ps256 };
        let mut headers = Vec::new();
        for token in ["first", "second"] {
            write("token", token.as_bytes());
            assert_eq!(asserted(&federated), token);
            let (pair, _) = pair();
            write("certificate.pem", &pair.certificate.read().expect("it is in memory"));
            write("private.key", &pair.private_key.read().expect("it is in memory"));
            headers.push(asserted(&certificate).split_once('.').expect("three parts").0.to_owned());
        }
        assert_ne!(headers[0], headers[1], "the header names the certificate");
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }

    #[test]
    fn the_older_token_endpoint_gets_the_resource() {
        let secret = crate::mdm::settings::SecretText::fixed("x".to_owned().into());
        let audience = "https://login.microsoftonline.com/t/oauth2/token";
        let scope = "https://api.manage.microsoft.com//.default";
        let form = form(&Credential::Secret(secret), 0, "app", audience, scope, Wall::default()).expect("it is right");
        assert!(form.contains(&("resource", Zeroizing::new("https://api.manage.microsoft.com/".to_owned()))));
        assert!(form.iter().all(|(name, _)| *name != "scope"));
    }

    #[test]
    fn a_secret_is_sent_as_it_is() {
        let secret = crate::mdm::settings::SecretText::fixed("a b&c".to_owned().into());
        let form = form(&Credential::Secret(secret), 0, "app", AUDIENCE, "s", Wall::default()).expect("it is right");
        assert!(form.contains(&("client_secret", Zeroizing::new("a b&c".to_owned()))));
        assert!(form.contains(&("grant_type", Zeroizing::new("client_credentials".to_owned()))));
    }
}
