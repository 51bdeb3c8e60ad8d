//! What a simulated cloud is started with.
//!
//! Owns the settings and why a start can fail. Reading them from a command line is the command's task.

use std::{fmt, io, net::SocketAddr, path::PathBuf};

use super::fleet::Fleet;

/// What a simulated cloud is started with.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens: a loopback address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Its certificate.
    pub tls: TlsSource,
    /// The devices that it manages.
    pub fleet: Fleet,
    /// The only tenant.
    pub tenant: String,
    /// The only application.
    pub client_id: String,
    /// What the application may prove itself with.
    pub credentials: Credentials,
    /// Tokens, the order of batches and shares of faults follow from it.
    pub seed: u64,
}

impl Settings {
    /// A tenant of example ids on any free port of 127.0.0.1, with a certificate of its own and no credential yet.
    #[must_use]
    pub fn loopback(fleet: Fleet) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: TlsSource::ThrowAway,
            fleet,
            tenant: EXAMPLE_TENANT.to_owned(),
            client_id: EXAMPLE_CLIENT.to_owned(),
            credentials: Credentials::default(),
            seed: 0,
        }
    }
}

/// The tenant of the examples.
pub const EXAMPLE_TENANT: &str = "11112222-3333-4444-5555-666677778888";
/// The application of the examples.
pub const EXAMPLE_CLIENT: &str = "aaaa1111-bb22-cc33-dd44-eeee5555ffff";

/// Where the server's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSource {
    /// A new CA and a certificate for localhost, 127.0.0.1 and ::1; the keys die with the process.
    ThrowAway,
    /// A folder with `server.pem` (the certificate and its issuers), `server.key` and `ca.pem` (what to trust).
    Folder(PathBuf),
}

/// What the application may prove itself with. Any one of them is enough.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Certificates in DER; assertions must be signed by the key of one of them.
    pub certificates: Vec<Vec<u8>>,
    /// Client secrets.
    pub secrets: Vec<String>,
    /// Tokens of a federated issuer, taken by their text.
    pub federated_tokens: Vec<String>,
}

impl Credentials {
    /// Just one secret.
    #[must_use]
    pub fn secret(secret: impl Into<String>) -> Self {
        Self { secrets: vec![secret.into()], ..Self::default() }
    }

    /// Just one certificate, in DER.
    #[must_use]
    pub fn certificate(der: impl Into<Vec<u8>>) -> Self {
        Self { certificates: vec![der.into()], ..Self::default() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("certificates", &self.certificates.len())
            .field("secrets", &self.secrets.len())
            .field("federated_tokens", &self.federated_tokens.len())
            .finish()
    }
}

/// Why a simulated cloud did not start.
#[derive(Debug)]
pub enum StartError {
    /// The address could be reached from other machines.
    NotLoopback(SocketAddr),
    /// The address can't be had.
    Listen(SocketAddr, io::Error),
    /// A file of [`TlsSource::Folder`] can't be read or used.
    File(PathBuf, String),
    /// The certificate and its key don't make a TLS server.
    Tls(String),
    /// The nth of the application's certificates is none.
    Certificate(usize),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(address) => write!(
                f,
                "the simulated cloud gives out tokens and devices to everybody and listens on loopback only; \
                 {address} is not; use 127.0.0.1 or [::1]"
            ),
            Self::Listen(address, error) => write!(f, "{address} can't be had: {error}; use another port"),
            Self::File(path, what) => write!(f, "{}: {what}", path.display()),
            Self::Tls(what) => write!(f, "no TLS with this certificate and key: {what}"),
            Self::Certificate(nth) => {
                write!(f, "certificate {nth} of the application is no X.509 certificate; give its PEM or DER file")
            }
        }
    }
}

impl std::error::Error for StartError {}
