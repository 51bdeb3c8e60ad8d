//! A device that speaks EAP-TLS: identity, Nak, fragments both ways, rustls as the TLS client.
//!
//! Owns a device's half of RFC 3748, RFC 5216 and RFC 9190, written without the product's code, with switches for
//! habits of real supplicants. It knows nothing of RADIUS: octets of EAP packets in and out.

use std::{
    io::Read as _,
    sync::{Arc, Mutex, OnceLock},
};

use rustls::{
    ClientConfig, ClientConnection, KeyLog, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    client::{ResolvesClientCert, Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};

use super::{
    eap_keys::{Hash, tls12, tls13},
    pki::{Leaf, TODAY},
};

/// What a device is given.
pub(crate) struct Supplicant {
    /// What it calls itself.
    pub(crate) identity: Vec<u8>,
    /// Its certificate.
    pub(crate) leaf: Option<Leaf>,
    /// Whose servers it trusts.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// Versions of TLS.
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    /// Groups for the key exchange; empty for the provider's own choice.
    pub(crate) groups: Vec<&'static dyn SupportedKxGroup>,
    /// Octets of TLS in one response.
    pub(crate) fragment: usize,
    /// Whether it tells the length also of flights in one piece, as older supplicants do.
    pub(crate) always_length: bool,
    /// Whether its cipher suite is one of ChaCha20-Poly1305 only.
    pub(crate) chacha: bool,
    /// What it remembers of earlier sessions.
    pub(crate) memory: Resumption,
    // rustls resumes only with the very same verifier and credentials. Made with the first conversation.
    lasting: OnceLock<(Arc<dyn ServerCertVerifier>, Arc<dyn ResolvesClientCert>)>,
}

impl Supplicant {
    pub(crate) fn new(leaf: Option<Leaf>, roots: &[CertificateDer<'static>]) -> Self {
        Self {
            identity: b"@contoso.com".to_vec(),
            leaf,
            roots: roots.to_vec(),
            versions: vec![&TLS13, &TLS12],
            groups: Vec::new(),
            fragment: 1398,
            always_length: false,
            chacha: false,
            memory: Resumption::in_memory_sessions(8),
            lasting: OnceLock::new(),
        }
    }

    pub(crate) fn tls12(mut self) -> Self {
        self.versions = vec![&TLS12];
        self
    }

    /// A conversation.
    pub(crate) fn begin(&self) -> Peer {
        let log = Arc::new(Log::default());
        let mut provider = aws_lc_rs::default_provider();
        if !self.groups.is_empty() {
            provider.kx_groups = self.groups.clone();
        }
        if self.chacha {
            provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains("CHACHA20"));
        }
        let provider = Arc::new(provider);
        let (verifier, credentials) = self.lasting.get_or_init(|| self.lasting(&provider));
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(Today))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_client_cert_resolver(credentials.clone());
        config.resumption = self.memory.clone();
        config.key_log = log.clone();
        // As wpa_supplicant does: without a name in the hello, and so the session is found again.
        config.enable_sni = false;
        let name = ServerName::try_from("radius.contoso.com").unwrap();
        Peer {
            identity: self.identity.clone(),
            tls: ClientConnection::new(Arc::new(config), name).unwrap(),
            fragment: self.fragment,
            always_length: self.always_length,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            server_hello: Vec::new(),
            log,
            requests: 0,
            server_fragments: 0,
            told_lengths: 0,
            error: None,
            committed: false,
            end: None,
        }
    }

    fn lasting(&self, provider: &Arc<CryptoProvider>) -> (Arc<dyn ServerCertVerifier>, Arc<dyn ResolvesClientCert>) {
        let mut roots = RootCertStore::empty();
        self.roots.iter().for_each(|root| roots.add(root.clone()).unwrap());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let plain =
            ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let plain = plain.with_root_certificates(RootCertStore::empty());
        let credentials = match &self.leaf {
            Some(leaf) => plain.with_client_auth_cert(leaf.chain.clone(), leaf.key_der()).unwrap(),
            None => plain.with_no_client_auth(),
        };
        (verifier, credentials.client_auth_cert_resolver)
    }
}

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    Failure,
}

/// A device in a conversation.
pub(crate) struct Peer {
    identity: Vec<u8>,
    tls: ClientConnection,
    fragment: usize,
    always_length: bool,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    sent: usize,
    server_hello: Vec<u8>,
    log: Arc<Log>,
    /// Requests that it got.
    pub(crate) requests: usize,
    /// Of those, parts of a flight with more to follow.
    pub(crate) server_fragments: usize,
    /// Of those, with a length.
    pub(crate) told_lengths: usize,
    /// What its TLS said at last.
    pub(crate) error: Option<rustls::Error>,
    /// Whether it has seen the octet of TLS 1.3 that promises success.
    pub(crate) committed: bool,
    /// How it ended.
    pub(crate) end: Option<End>,
}

impl Peer {
    /// What it says to a packet; `None` at the end.
    pub(crate) fn answer(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let [code, identifier, high, low, data @ ..] = packet else { panic!("a whole header") };
        assert_eq!(usize::from(u16::from_be_bytes([*high, *low])), packet.len(), "the length is that of the packet");
        match code {
            1 => {}
            3 | 4 => {
                assert!(data.is_empty(), "the end has no data");
                self.end = Some(if *code == 3 { End::Success } else { End::Failure });
                return None;
            }
            other => panic!("a server sends no code {other}"),
        }
        self.requests += 1;
        let data = match data {
            [1, ..] => [&[1], &self.identity[..]].concat(),
            [13, 0x20] => {
                self.take_output();
                self.next_fragment()
            }
            [13, rest @ ..] => self.tls_request(rest),
            // Another method: this one wants EAP-TLS.
            _ => vec![3, 13],
        };
        Some(response(*identifier, &data))
    }

    fn tls_request(&mut self, data: &[u8]) -> Vec<u8> {
        let [flags, rest @ ..] = data else { panic!("EAP-TLS data without flags") };
        assert_eq!(flags & 0x3f, 0, "reserved bits are zero");
        if !self.outgoing.is_empty() {
            assert!(rest.is_empty() && *flags == 0, "an acknowledgement was due");
            return self.next_fragment();
        }
        let rest = if flags & 0x80 == 0 { rest } else { &rest[4..] };
        self.told_lengths += usize::from(flags & 0x80 != 0);
        self.incoming.extend_from_slice(rest);
        if flags & 0x40 != 0 {
            self.server_fragments += 1;
            return vec![13, 0];
        }
        let flight = std::mem::take(&mut self.incoming);
        if self.server_hello.is_empty() {
            self.server_hello.clone_from(&flight);
        }
        self.feed(&flight);
        self.take_output();
        self.next_fragment()
    }

    fn feed(&mut self, mut flight: &[u8]) {
        while !flight.is_empty() {
            self.tls.read_tls(&mut flight).unwrap();
            match self.tls.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() > 0 => {
                    let mut text = Vec::new();
                    let _ = self.tls.reader().read_to_end(&mut text);
                    assert_eq!(text, [0], "the only application data there is");
                    self.committed = true;
                }
                Ok(_) => {}
                Err(error) => {
                    self.error = Some(error);
                    return;
                }
            }
        }
    }

    fn take_output(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.outgoing).unwrap();
        }
    }

    fn next_fragment(&mut self) -> Vec<u8> {
        let rest = &self.outgoing[self.sent..];
        let is_first = self.sent == 0;
        let more = rest.len() > self.fragment;
        let part = &rest[..rest.len().min(self.fragment)];
        let mut flags = if more { 0x40 } else { 0 };
        let mut data = vec![13];
        if is_first && !rest.is_empty() && (more || self.always_length) {
            flags |= 0x80;
            data.push(flags);
            data.extend(u32::try_from(self.outgoing.len()).unwrap().to_be_bytes());
        } else {
            data.push(flags);
        }
        data.extend_from_slice(part);
        self.sent += part.len();
        if self.sent == self.outgoing.len() {
            self.outgoing.clear();
            self.sent = 0;
        }
        data
    }

    /// The version of TLS.
    pub(crate) fn version(&self) -> Option<ProtocolVersion> {
        self.tls.protocol_version()
    }

    /// Whether it resumed a session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The alert that the server sent, by its number.
    pub(crate) fn alert(&self) -> Option<u8> {
        match self.error {
            Some(rustls::Error::AlertReceived(alert)) => Some(u8::from(alert)),
            _ => None,
        }
    }

    /// MSK and session id, from the logged secrets.
    pub(crate) fn keys(&self) -> (Vec<u8>, Vec<u8>) {
        let suite = format!("{:?}", self.tls.negotiated_cipher_suite().unwrap().suite());
        let hash = if suite.ends_with("SHA384") { Hash::Sha384 } else { Hash::Sha256 };
        let log = self.log.0.lock().unwrap();
        let secret = |label: &str| log.iter().find(|line| line.0 == label).unwrap();
        if self.version() == Some(ProtocolVersion::TLSv1_3) {
            let secret = &secret("EXPORTER_SECRET").2;
            let msk = tls13(hash, secret, "EXPORTER_EAP_TLS_Key_Material", &[13], 128)[..64].to_vec();
            let id = tls13(hash, secret, "EXPORTER_EAP_TLS_Method-Id", &[13], 64);
            return (msk, [&[13], &id[..]].concat());
        }
        let (_, client, master) = secret("CLIENT_RANDOM");
        let randoms = [client, &self.server_hello[11..43]].concat();
        let msk = tls12(hash, master, "client EAP encryption", &randoms, None, 128)[..64].to_vec();
        (msk, [&[13], &randoms[..]].concat())
    }
}

/// A response packet with `data`, its type first.
pub(crate) fn response(identifier: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(4 + data.len()).unwrap().to_be_bytes();
    [&[2, identifier, high, low], data].concat()
}

#[derive(Debug)]
struct Today;

impl TimeProvider for Today {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(TODAY.as_secs().unsigned_abs())))
    }
}

#[derive(Debug, Default)]
struct Log(Mutex<Vec<Line>>);

/// Label, client random and secret.
type Line = (String, Vec<u8>, Vec<u8>);

impl KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.0.lock().unwrap().push((label.to_owned(), client_random.to_vec(), secret.to_vec()));
    }
}
