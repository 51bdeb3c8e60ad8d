//! What one `[[mdm]]` block says, resolved to plain values.
//!
//! Owns the shape, the defaults and what contradicts itself; it reads no TOML (`config` does) and makes no call. What
//! the engine needs of the block (which identities are tried, which attributes carry ids) is the engine's to keep.

use std::{fmt, fs, io, path::PathBuf, sync::Arc, time::Duration};

use zeroize::Zeroizing;

use crate::{device::directory::Ages, problem::Severity};

/// One MDM server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in policies, logs and metrics.
    pub name: Arc<str>,
    /// Whether it is asked at all.
    pub enabled: bool,
    /// What it is.
    pub kind: Kind,
    /// How old its answers may be. `mac_can_be_asked` is what [`Settings::mac_can_be_asked`] says.
    pub ages: Ages,
    /// How long one lookup may take in all.
    pub lookup_timeout: Duration,
    /// Whether `in-grace-period` counts as compliant.
    pub grace_is_compliant: bool,
    /// Holds old answers when too many devices turn non-compliant at once. Off by default.
    pub mass_flip_guard: Option<MassFlipGuard>,
}

impl Settings {
    /// `lookup-timeout` where the file says nothing.
    pub const LOOKUP_TIMEOUT: Duration = Duration::from_millis(1_500);

    /// A block with every default and only what has none.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: Kind) -> Self {
        let mut settings = Self {
            name: name.into(),
            enabled: true,
            kind,
            ages: Ages::default(),
            lookup_timeout: Self::LOOKUP_TIMEOUT,
            grace_is_compliant: true,
            mass_flip_guard: None,
        };
        settings.ages.mac_can_be_asked = settings.mac_can_be_asked();
        settings
    }

    /// Whose devices they are, as a text that changes when they become somebody else's; none where keeping them over a
    /// restart is no use, because the file that lists them is read again.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        let Kind::Intune(intune) = &self.kind else { return None };
        let graph = intune.graph_url.as_deref().unwrap_or(intune.cloud.name());
        Some(format!("intune {} {}", intune.tenant_id.to_ascii_lowercase(), graph.to_ascii_lowercase()))
    }

    /// Whether a MAC address that is not in the index can be asked: only the compliance retrieval service knows MACs.
    #[must_use]
    pub fn mac_can_be_asked(&self) -> bool {
        match &self.kind {
            Kind::Intune(intune) => {
                intune.lookup.contains(&Api::ComplianceRetrieval)
                    && (intune.intune_scope.is_some() || intune.cloud.publishes_intune_scope())
            }
            Kind::Inventory(_) => false,
        }
    }
}

/// Something in a block that can't work, or probably does not do what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// How bad it is.
    pub severity: Severity,
    /// The key inside the `[[mdm]]` block.
    pub key: &'static str,
    /// What is wrong, and after a semicolon what to do.
    pub message: String,
}

impl SettingsProblem {
    pub(super) fn error(key: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, key, message: message.into() }
    }

    pub(super) fn warning(key: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, key, message: message.into() }
    }
}

/// What a server is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Microsoft Intune.
    Intune(Box<Intune>),
    /// A file of devices, for labs and outage drills.
    Inventory(Inventory),
}

/// A file of devices.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The file; it is read again when it changes.
    pub file: PathBuf,
}

/// Microsoft Intune, and how it is reached.
#[derive(Clone, Debug)]
pub struct Intune {
    /// The tenant: its id or one of its domains.
    pub tenant_id: String,
    /// The application (client) id of the app registration.
    pub client_id: String,
    /// Which of Microsoft's clouds.
    pub cloud: Cloud,
    /// Instead of the cloud's: where tokens are issued, with the tenant in it (ISE: Token Issuing URL).
    pub token_url: Option<String>,
    /// Instead of the cloud's: where Graph is (ISE: Auto Discovery URL).
    pub graph_url: Option<String>,
    /// Instead of the cloud's: the scope of tokens for Graph.
    pub graph_scope: Option<String>,
    /// Instead of the cloud's: the scope of tokens for the compliance retrieval service.
    pub intune_scope: Option<String>,
    /// How radmit proves who it is.
    pub credential: Credential,
    /// Roots of trust beside, or instead of, the system's.
    pub trust: Trust,
    /// The proxy for everything but managed identities.
    pub proxy: Option<Proxy>,
    /// Which APIs are asked, in this order.
    pub lookup: Vec<Api>,
    /// How often the whole list is fetched; zero is never.
    pub polling_interval: Duration,
    /// How often what checked in since is fetched; zero is never.
    pub incremental_interval: Duration,
    /// How many HTTP requests this server may send.
    pub requests_per_second: u32,
}

impl Intune {
    /// `polling-interval` where the file says nothing.
    pub const POLLING_INTERVAL: Duration = Duration::from_secs(4 * 3600);
    /// `incremental-interval` where the file says nothing.
    pub const INCREMENTAL_INTERVAL: Duration = Duration::from_secs(5 * 60);
    /// `requests-per-second` where the file says nothing: four fifths of what Microsoft allows one app in one tenant.
    pub const REQUESTS_PER_SECOND: u32 = 80;
    /// What Microsoft allows one app in one tenant: 2,000 requests in 20 s.
    /// Source: Microsoft Graph, throttling limits, Intune devices.
    pub const REQUESTS_PER_SECOND_ALLOWED: u32 = 100;

    /// A block with every default and only what has none.
    #[must_use]
    pub fn new(tenant_id: impl Into<String>, client_id: impl Into<String>, credential: Credential) -> Self {
        Self {
            tenant_id: tenant_id.into(),
            client_id: client_id.into(),
            cloud: Cloud::Global,
            token_url: None,
            graph_url: None,
            graph_scope: None,
            intune_scope: None,
            credential,
            trust: Trust::default(),
            proxy: None,
            lookup: vec![Api::Graph, Api::ComplianceRetrieval],
            polling_interval: Self::POLLING_INTERVAL,
            incremental_interval: Self::INCREMENTAL_INTERVAL,
            requests_per_second: Self::REQUESTS_PER_SECOND,
        }
    }
}

/// One of Microsoft's clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Cloud {
    /// The worldwide one; also GCC.
    #[default]
    Global,
    /// US government L4.
    GccHigh,
    /// US government L5.
    Dod,
    /// 21Vianet.
    China,
}

impl Cloud {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Global, Self::GccHigh, Self::Dod, Self::China];

    /// The name in configuration files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::GccHigh => "gcc-high",
            Self::Dod => "dod",
            Self::China => "china",
        }
    }

    /// Whether Microsoft says what the scope of the compliance retrieval service is in this cloud.
    #[must_use]
    pub const fn publishes_intune_scope(self) -> bool {
        !matches!(self, Self::China)
    }
}

/// How radmit proves to Entra who it is.
#[derive(Clone)]
pub enum Credential {
    /// A certificate whose public half stands in the app registration.
    Certificate {
        /// Tried in this order; a second one while they are exchanged. Read again at each use.
        pairs: Vec<CertificatePair>,
        /// How the assertion is signed.
        assertion: Assertion,
    },
    /// A client secret.
    Secret(SecretText),
    /// A file with a token of a federated identity provider (workload identity). Read again at each use.
    FederatedTokenFile(PathBuf),
    /// The identity that Azure gives the machine.
    ManagedIdentity {
        /// Instead of the address of Azure's metadata service; for tests, loopback only.
        url: Option<String>,
        /// Which one, where the machine has several: a client id.
        client_id: Option<String>,
    },
}

impl Credential {
    /// Whether both prove the same; secrets are read for that.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Certificate { pairs, assertion },
                Self::Certificate { pairs: other_pairs, assertion: other_assertion },
            ) => {
                let is_same = |(one, other): (&CertificatePair, &CertificatePair)| {
                    one.certificate.is_same(&other.certificate) && one.private_key.is_same(&other.private_key)
                };
                assertion == other_assertion
                    && pairs.len() == other_pairs.len()
                    && pairs.iter().zip(other_pairs).all(is_same)
            }
            (Self::Secret(one), Self::Secret(other)) => {
                matches!((one.read(), other.read()), (Ok(one), Ok(other)) if one == other)
            }
            (Self::FederatedTokenFile(one), Self::FederatedTokenFile(other)) => one == other,
            (
                Self::ManagedIdentity { url, client_id },
                Self::ManagedIdentity { url: other_url, client_id: other_client_id },
            ) => url == other_url && client_id == other_client_id,
            _ => false,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate { .. } => "Certificate",
            Self::Secret(_) => "Secret",
            Self::FederatedTokenFile(_) => "FederatedTokenFile",
            Self::ManagedIdentity { .. } => "ManagedIdentity",
        })
    }
}

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub struct CertificatePair {
    /// The certificate; a chain may follow it.
    pub certificate: Pem,
    /// Its RSA private key, PKCS#8 or PKCS#1.
    pub private_key: Pem,
}

/// PEM text in a file or in memory.
#[derive(Clone)]
pub enum Pem {
    /// A file, or for trust anchors a folder of `*.pem` files.
    File(PathBuf),
    /// The text itself.
    Text(Arc<Zeroizing<Vec<u8>>>),
}

impl Pem {
    /// The text.
    ///
    /// # Errors
    /// What the file system said.
    pub fn read(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        match self {
            Self::File(path) => fs::read(path).map(Zeroizing::new),
            Self::Text(text) => Ok(Zeroizing::clone(text)),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }

    /// How messages name it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Text(_) => "(in memory)".to_owned(),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// How a client assertion is signed and how it names the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Assertion {
    /// PS256 with the SHA-256 thumbprint, as Microsoft documents it.
    #[default]
    Ps256,
    /// RS256 with the SHA-1 thumbprint, as Cisco ISE sends it.
    Rs256,
}

impl Assertion {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ps256, Self::Rs256];

    /// The name in configuration files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ps256 => "ps256",
            Self::Rs256 => "rs256",
        }
    }
}

/// What reads a secret, each time anew.
type ReadSecret = dyn Fn() -> io::Result<Zeroizing<String>> + Send + Sync;

/// A secret that is read when it is needed, so that a changed file is seen.
#[derive(Clone)]
pub struct SecretText(Arc<ReadSecret>);

impl SecretText {
    /// `read` is called at each use.
    pub fn new(read: impl Fn() -> io::Result<Zeroizing<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// A secret that never changes.
    #[must_use]
    pub fn fixed(text: Zeroizing<String>) -> Self {
        Self::new(move || Ok(text.clone()))
    }

    /// The secret now.
    ///
    /// # Errors
    /// What its reader said.
    pub fn read(&self) -> io::Result<Zeroizing<String>> {
        (self.0)()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Roots of trust for HTTPS.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// PEM files or folders of them.
    pub anchors: Vec<Pem>,
    /// Whether the system's own roots are left out.
    pub only_anchors: bool,
}

/// An HTTP proxy. It may carry a password, so it is not printed.
#[derive(Clone)]
pub struct Proxy(Zeroizing<String>);

impl Proxy {
    /// `url`: `http://[user:password@]host:port`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(Zeroizing::new(url.into()))
    }

    pub(super) fn url(&self) -> &str {
        &self.0
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn host(&self) -> String {
        reqwest::Url::parse(&self.0)
            .ok()
            .and_then(|url| {
                let port = url.port_or_known_default()?;
                Some(format!("{}:{port}", url.host_str()?))
            })
            .unwrap_or_else(|| "(not a URL)".to_owned())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host())
    }
}

/// The interfaces of Microsoft that know devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Microsoft Graph: every fact, by Intune id and Entra id.
    Graph,
    /// The compliance retrieval service ("NAC 2.0"): registered and compliant, by Intune id and MAC.
    ComplianceRetrieval,
}

impl Api {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Graph, Self::ComplianceRetrieval];

    /// The name in configuration files, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::ComplianceRetrieval => "compliance-retrieval",
        }
    }
}

/// When many devices turn non-compliant at once, their old answers are held for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MassFlipGuard {
    /// Which share of the known devices, in percent; below 20 devices nothing is held.
    pub share_percent: u8,
    /// Within which time.
    pub window: Duration,
    /// For how long.
    pub hold: Duration,
}
