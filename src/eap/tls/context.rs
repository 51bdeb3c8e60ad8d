//! What all handshakes of one configuration share: our certificate, whom we trust, versions, groups, sessions.
//!
//! Owns the rustls configuration. It does not read what an operator wrote: `settings` does.

use std::{fmt, sync::Arc, time::Duration};

use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    server::ResolvesServerCert,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use crate::clock::Wall;

use super::{link::Link, resume::Resumptions, verify::Trust};

/// The highest version of TLS; the lowest is always 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsMax {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    #[default]
    Tls13,
}

impl TlsMax {
    /// As operators write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// What may differ from one group of clients to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// The highest version that is offered.
    pub max: TlsMax,
    /// Whether devices may sign with RSA-PSS. `false` only for old TPMs that claim it and fail, and only with a highest
    /// version of 1.2: TLS 1.3 knows no other RSA signatures.
    pub pss: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { max: TlsMax::default(), pss: true }
    }
}

/// The parts of EAP-TLS that every conversation uses.
pub struct TlsContext {
    subject: Box<str>,
    ends: Wall,
    trust: Arc<Trust>,
    resumptions: Arc<Resumptions>,
    lifetime: Duration,
    tickets: usize,
    max: TlsMax,
    resolver: Arc<dyn ResolvesServerCert>,
    provider: Arc<CryptoProvider>,
    post_quantum: Arc<CryptoProvider>,
}

/// What [`TlsContext::new`] is made of.
pub(super) struct Parts {
    pub(super) identity: CertifiedKey,
    pub(super) subject: Box<str>,
    pub(super) ends: Wall,
    pub(super) trust: Trust,
    pub(super) resumptions: Arc<Resumptions>,
    pub(super) lifetime: Duration,
    pub(super) tickets: usize,
    pub(super) max: TlsMax,
}

impl TlsContext {
    pub(super) fn new(parts: Parts) -> Self {
        let (plain, post_quantum) = providers();
        Self {
            resolver: Arc::new(SingleCertAndKey::from(parts.identity)),
            subject: parts.subject,
            ends: parts.ends,
            trust: Arc::new(parts.trust),
            resumptions: parts.resumptions,
            lifetime: parts.lifetime,
            tickets: parts.tickets,
            max: parts.max,
            provider: Arc::new(plain),
            post_quantum: Arc::new(post_quantum),
        }
    }

    /// The highest version that is configured.
    #[must_use]
    pub const fn max(&self) -> TlsMax {
        self.max
    }

    /// The subject of our certificate, as people write it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When our certificate ends.
    #[must_use]
    pub const fn ends(&self) -> Wall {
        self.ends
    }

    /// Whom we trust.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The sessions that can be resumed, to be handed on at a reload.
    #[must_use]
    pub const fn resumptions(&self) -> &Arc<Resumptions> {
        &self.resumptions
    }

    /// The same with the sessions of the state before, after a reload. What is trusted is compared when one is resumed.
    #[must_use]
    pub fn with_resumptions(&self, resumptions: Arc<Resumptions>) -> Self {
        Self {
            subject: self.subject.clone(),
            trust: self.trust.clone(),
            resumptions,
            resolver: self.resolver.clone(),
            provider: self.provider.clone(),
            post_quantum: self.post_quantum.clone(),
            ..*self
        }
    }

    /// How long a session can be resumed.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub(super) fn link(&self, options: TlsOptions) -> Arc<Link> {
        Arc::new(Link::new(self.trust.clone(), self.resumptions.clone(), self.lifetime, options.pss))
    }

    /// A configuration for one handshake. It is made anew each time because the answers to rustls's questions belong to
    /// one device; that costs some reference counts.
    pub(super) fn config(
        &self,
        link: &Arc<Link>,
        options: TlsOptions,
        post_quantum: bool,
    ) -> Option<Arc<ServerConfig>> {
        const TO_13: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
        const TO_12: &[&SupportedProtocolVersion] = &[&TLS12];
        let versions = if options.max.min(self.max) == TlsMax::Tls13 { TO_13 } else { TO_12 };
        let provider = if post_quantum { &self.post_quantum } else { &self.provider };
        let mut config = ServerConfig::builder_with_details(provider.clone(), link.clone())
            .with_protocol_versions(versions)
            .ok()?
            .with_client_cert_verifier(link.clone())
            .with_cert_resolver(self.resolver.clone());
        // Sessions stay with us: a ticket that carries the session would carry the device's whole chain, and could not be
        // taken back.
        config.session_storage = link.clone();
        config.send_tls13_tickets = self.tickets;
        // For the alert after a denial, see `alert`.
        config.enable_secret_extraction = true;
        Some(Arc::new(config))
    }
}

impl fmt::Debug for TlsContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsContext").field("trust", &self.trust.authorities()).finish_non_exhaustive()
    }
}

/// The cipher suites of rustls with our choice of groups: without and with ML-KEM.
pub(super) fn providers() -> (CryptoProvider, CryptoProvider) {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let plain = CryptoProvider { kx_groups: vec![X25519, SECP256R1, SECP384R1], ..aws_lc_rs::default_provider() };
    let post_quantum = CryptoProvider { kx_groups: vec![X25519MLKEM768], ..aws_lc_rs::default_provider() };
    (plain, post_quantum)
}
