//! The configuration as plain values: what [`super::file::load`] gives.
//!
//! Owns the shapes of what no other folder has settings for. What a value may be is said where it is read.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use crate::{
    eap::{sessions::Bounds, tls::context::TlsMax},
    engine::client::{MabPassword, MacFrom, MessageAuthenticatorMode, Network},
    mdm::settings::Settings as MdmSettings,
    policy::facts::DeviceIdSource,
    problem::{Place, Problems},
    radius::secret::Secret,
};

pub use crate::{
    audit::settings::Destination as Decisions, eap::tls::settings::CrlFailure, engine::client::EapOptions,
    http::settings::Settings as Metrics,
};

/// Everything that stands in `radmit.toml` and `conf.d`.
#[derive(Debug)]
pub struct Configuration {
    /// The files that were read, the first one first.
    pub files: Vec<PathBuf>,
    /// SHA-256 over these files, in hexadecimal, the first 16 digits; once everything is loaded that they name, over that too:
    /// which configuration this is.
    pub hash: String,
    /// `[server]`.
    pub server: Server,
    /// `[[client]]`, in the order of the files.
    pub clients: Vec<Client>,
    /// `[[mdm]]`, in the order of the files, disabled ones too.
    pub mdm: Vec<MdmServer>,
    /// `[eap-tls]`; without it EAP is not offered.
    pub eap_tls: Option<EapTls>,
    /// `[log]`.
    pub log: Log,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// Whether everything in these files could be read; if not, names in other files may be right though they are missing here.
    pub is_complete: bool,
}

impl Configuration {
    /// Reports clients whose vendor is not among `known`. Which vendors there are is known only when policies are read.
    pub fn check_vendors<'v>(&self, known: impl IntoIterator<Item = &'v str> + Clone, problems: &mut Problems) {
        for client in &self.clients {
            if !known.clone().into_iter().any(|vendor| vendor == &*client.vendor.text) {
                let nearest = problems.suggest(&client.vendor.text, known.clone());
                let advice = if nearest.is_empty() {
                    format!("; there are: {}", known.clone().into_iter().collect::<Vec<_>>().join(", "))
                } else {
                    nearest
                };
                let message = format!("unknown vendor \"{}\"{advice}", client.vendor.text);
                problems.error("unknown-vendor", Some(client.vendor.place.clone()), message);
            }
        }
    }

    /// Reports attributes in `device-id-attributes` that `is_known` does not know. The dictionaries say which there are.
    pub fn check_attributes(&self, is_known: impl Fn(&str) -> bool, problems: &mut Problems) {
        for name in self.mdm.iter().flat_map(|server| &server.device_id_attributes) {
            if !is_known(&name.text) {
                let message = format!("unknown attribute \"{}\"; write its name as in the dictionaries", name.text);
                problems.error("unknown-attribute", Some(name.place.clone()), message);
            }
        }
    }
}

/// A name that another folder must know, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub text: Box<str>,
    /// Its place.
    pub place: Place,
}

/// `[server]`.
#[derive(Debug)]
pub struct Server {
    /// Where Access-Requests come in.
    pub auth_listen: Vec<SocketAddr>,
    /// Where Accounting-Requests come in; none: nowhere.
    pub acct_listen: Vec<SocketAddr>,
    /// Threads; 0 means one for each core.
    pub shards: usize,
    /// The folder of policies.
    pub policies: PathBuf,
    /// The folder of the operator's dictionaries, if there is one.
    pub dictionaries: Option<PathBuf>,
    /// The folder of what survives a restart.
    pub state_dir: PathBuf,
    /// When an answer must have left, counted from arrival.
    pub decision_deadline: Duration,
    /// How long a reject is held back.
    pub reject_delay: Duration,
    /// Whether the kernel may be handed several replies as one piece.
    pub udp_segmentation: bool,
    /// For `time.*` facts.
    pub zone: TimeZone,
}

/// One `[[client]]`.
#[derive(Debug)]
pub struct Client {
    /// Its name in policies, logs and metrics; unique.
    pub name: Box<str>,
    /// Where it stands.
    pub place: Place,
    /// The addresses it may send from.
    pub networks: Vec<Network>,
    /// The shared secret.
    pub secret: Secret,
    /// How attributes are written for it.
    pub vendor: Named,
    /// Its groups.
    pub groups: Vec<Box<str>>,
    /// What is asked of its Message-Authenticator.
    pub message_authenticator: MessageAuthenticatorMode,
    /// Whether it has authenticated devices itself and may ask for authorization only.
    pub trust_authorize_only: bool,
    /// Which password a MAC bypass must carry.
    pub mab_password: MabPassword,
    /// Which attribute names the MAC.
    pub mac_from: MacFrom,
    /// When an answer must have left; the server's if the client has none of its own.
    pub decision_deadline: Duration,
}

/// One `[[mdm]]`.
#[derive(Debug)]
pub struct MdmServer {
    /// Where it stands.
    pub place: Place,
    /// What `mdm` needs to ask it.
    pub settings: MdmSettings,
    /// Which identities are tried, in this order.
    pub identifiers: Vec<DeviceIdSource>,
    /// The attributes in which `attribute` looks.
    pub device_id_attributes: Vec<Named>,
    /// Where the keys stand that name files.
    pub file_places: Vec<(&'static str, Place)>,
}

impl MdmServer {
    /// Where `key` stands, as far as that is kept; else the whole block.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Place {
        let found = self.file_places.iter().find(|(known, _)| *known == key);
        found.map_or_else(|| self.place.clone(), |(_, place)| place.clone())
    }
}

/// A file and where its path stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// The path, from the folder of the file that names it.
    pub path: PathBuf,
    /// Its place.
    pub place: Place,
}

/// `[eap-tls]`.
#[derive(Clone, Debug)]
pub struct EapTls {
    /// The server's certificate with its chain, PEM.
    pub certificate: FileAt,
    /// Its private key, PEM.
    pub private_key: FileAt,
    /// Who may issue client certificates, PEM.
    pub client_ca: Vec<FileAt>,
    /// Their revocation lists, PEM or DER.
    pub crl: Vec<FileAt>,
    /// Whether a missing or expired list rejects.
    pub crl_failure: CrlFailure,
    /// An OCSP response for the server's certificate, DER.
    pub ocsp_response: Option<FileAt>,
    /// Common names or whole names of the authorities whose certificates may name devices; none: all may.
    pub device_id_issuers: Vec<Named>,
    /// How long a session may be resumed; zero is off.
    pub session_lifetime: Duration,
    /// Whether TLS 1.3 devices get a ticket.
    pub tickets: bool,
    /// How many conversations may be open, and how long.
    pub bounds: Bounds,
    /// What holds for clients without a group of their own here.
    pub options: EapOptions,
    /// What differs for groups of clients.
    pub groups: Vec<(Named, EapOptions)>,
}

impl EapTls {
    /// What holds for a client with these groups: its first group that stands here counts.
    #[must_use]
    pub fn options_of(&self, groups: &[Box<str>]) -> EapOptions {
        let own = groups.iter().find_map(|group| self.groups.iter().find(|(name, _)| name.text == *group));
        own.map_or(self.options, |(_, options)| *options)
    }

    /// The newest TLS version that any client is offered.
    #[must_use]
    pub fn tls_max(&self) -> TlsMax {
        self.groups.iter().map(|(_, options)| options.tls.max).fold(self.options.tls.max, TlsMax::max)
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How the program's own log is written.
    pub format: LogFormat,
    /// From which level on.
    pub level: LogLevel,
    /// Where the decision log goes.
    pub decisions: Decisions,
}

/// How the program's own log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// From which level on the program's own log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What an admin must mend.
    Error,
    /// What may become an error.
    Warn,
    /// What happened.
    Info,
    /// What the parts did.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The name in the file, which filters of `tracing` also know.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A password as it was read.
pub type Password = Zeroizing<Vec<u8>>;

/// The files behind the configuration, kept for secrets that are read again at each use.
pub(super) type SharedFiles = Arc<dyn super::files::Files>;
