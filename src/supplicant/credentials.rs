//! What a device is given: its certificate, whom it trusts, and how it speaks TLS.
//!
//! Owns rustls's configuration for a device. What is said in a conversation stands in `peer`.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};

use super::peer::{Peer, identity_response};

/// What a device is given.
#[derive(Debug)]
pub struct Credentials {
    /// What it calls itself before TLS; usually no name at all, as the certificate says who it is.
    pub identity: Vec<u8>,
    /// Its certificate and those above it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of its certificate.
    pub key: PrivateKeyDer<'static>,
    /// Whose servers it trusts.
    pub roots: Vec<CertificateDer<'static>>,
    /// The name that the server's certificate must have; none: any.
    pub server_name: Option<ServerName<'static>>,
    /// Versions of TLS.
    pub versions: Versions,
}

/// Versions of TLS that a device speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// 1.3, or 1.2 with servers that know no better.
    #[default]
    Both,
    /// Only 1.2.
    Tls12,
    /// Only 1.3.
    Tls13,
}

/// A device, ready for any number of conversations. Each of them is a full handshake: it remembers no session.
#[derive(Clone)]
pub struct Supplicant {
    identity: Vec<u8>,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Supplicant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The configuration holds the key.
        f.debug_struct("Supplicant").finish_non_exhaustive()
    }
}

impl Supplicant {
    /// A device with these credentials.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(credentials: Credentials) -> Result<Self, Error> {
        let mut provider = aws_lc_rs::default_provider();
        // As today's devices do. rustls would rather begin with a post-quantum group, whose hello takes two packets more.
        provider.kx_groups =
            vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1, aws_lc_rs::kx_group::SECP384R1];
        let provider = Arc::new(provider);
        let verifier = AnyName::new(&provider, credentials.roots, credentials.server_name.is_some())?;
        let versions: &[&SupportedProtocolVersion] = match credentials.versions {
            Versions::Both => &[&TLS13, &TLS12],
            Versions::Tls12 => &[&TLS12],
            Versions::Tls13 => &[&TLS13],
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(credentials.chain, credentials.key)?;
        config.resumption = Resumption::disabled();
        // As wpa_supplicant does: without a name in the hello.
        config.enable_sni = false;
        let any_name = ServerName::try_from("radius.invalid").map_err(|_| CertificateError::BadEncoding)?;
        let name = credentials.server_name.unwrap_or(any_name);
        Ok(Self { identity: credentials.identity, config: Arc::new(config), name })
    }

    /// What it calls itself before TLS.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// What it says when the switch asks who it is. With it a conversation begins, but for TLS nothing is computed yet.
    #[must_use]
    pub fn identity_response(&self, identifier: u8) -> Vec<u8> {
        identity_response(identifier, &self.identity)
    }

    /// A conversation.
    ///
    /// # Errors
    /// What rustls says about the configuration.
    pub fn begin(&self) -> Result<Peer, Error> {
        let tls = ClientConnection::new(Arc::clone(&self.config), self.name.clone())?;
        Ok(Peer::new(self.identity.clone(), tls))
    }
}

/// Checks the server's chain, and its name only if one was given.
#[derive(Debug)]
struct AnyName {
    inner: Arc<WebPkiServerVerifier>,
    is_name_checked: bool,
}

impl AnyName {
    fn new(
        provider: &Arc<CryptoProvider>,
        roots: Vec<CertificateDer<'static>>,
        is_name_checked: bool,
    ) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root)?;
        }
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build();
        let inner = inner.map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { inner, is_name_checked })
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.inner.verify_server_cert(certificate, above, name, ocsp, now) {
            // The name is looked at last, when everything else was found right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.is_name_checked => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
