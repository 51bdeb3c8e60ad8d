//! A server that speaks EAP-TLS, and a device that it lets in, in one process.
//!
//! Owns their certificates and how the server is put together, as the daemon would from files. Measures nothing.

#![allow(dead_code, reason = "each bench uses its part")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use radmit::{
    audit::{log::Log, settings::Destination},
    clock,
    daemon::handshakes::Handshakes,
    device::{
        directory::{Capacity, Directory},
        identifier::{Guid, IntuneId},
    },
    eap::tls::context::TlsContext,
    engine::snapshot::EapTls,
    metrics::process::ProcessCells,
    supplicant::{Credentials, Supplicant, Versions},
    udp::{Running, Settings, Udp},
};

use super::{
    fleet,
    server::Server,
    support::{
        eap_talk,
        pki::{Authority, Kind},
    },
};

/// The device id in the certificates of the suite's authorities.
const DEVICE: &[u8] = b"5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";
/// How many devices the directory knows; number 0 is the one with the certificate.
pub(crate) const KNOWN: u64 = 1_000;

/// Certificates for both sides, and a device that the directory knows.
pub(crate) struct Lab {
    context: Arc<TlsContext>,
    pub(crate) supplicant: Supplicant,
    directory: Arc<Directory>,
}

/// A server that runs until it is dropped.
pub(crate) struct Lived {
    pub(crate) server: Server,
    running: Option<Running>,
    _handshakes: Option<Handshakes>,
    _log: Log,
}

impl Lived {
    pub(crate) fn address(&self) -> SocketAddr {
        self.running().listeners()[0].address
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().expect("it ends when this is dropped")
    }
}

impl Drop for Lived {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop(clock::now().mono);
            running.join();
        }
    }
}

impl Lab {
    /// An RSA 2048 server and a P-256 device. No handshake is resumed.
    pub(crate) fn new(tls13: bool) -> Self {
        let (devices, servers) = (Authority::root("Devices", Kind::P256), Authority::root("Servers", Kind::Rsa2048));
        let mut talk = eap_talk::Server::new(&servers.server(Kind::Rsa2048), &[&devices]);
        talk.settings.session_lifetime = Duration::ZERO;
        let leaf = devices.device(Kind::P256);
        let supplicant = Supplicant::new(Credentials {
            identity: b"anonymous".to_vec(),
            key: leaf.key_der(),
            chain: leaf.chain,
            roots: vec![servers.der()],
            server_name: None,
            versions: if tls13 { Versions::Tls13 } else { Versions::Tls12 },
        })
        .expect("the certificates belong together");
        let directory = Directory::new(Capacity::default());
        let now = clock::now();
        for number in 0..KNOWN {
            let mut record = fleet::record(number, now);
            if number == 0 {
                record.intune_id = IntuneId(Guid::parse(DEVICE).expect("it is one"));
            }
            directory.insert(record, fleet::TOLD);
        }
        directory.complete_list(directory.len());
        directory.complete_ethernet();
        Self { context: talk.context(), supplicant, directory: Arc::new(directory) }
    }

    /// A server of one shard. `pooled`: handshakes are computed in threads of their own.
    pub(crate) fn start(&self, pooled: bool) -> Lived {
        let eap_tls = EapTls { context: Arc::clone(&self.context), device_id_issuers: Box::default() };
        let mut server = Server::with_eap(Arc::clone(&self.directory), 1, 1, Some(eap_tls));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = Settings { auth_listen: vec![any], acct_listen: Vec::new(), shards: 1, ..Settings::default() };
        let udp = Udp::bind(&settings).expect("loopback has free ports");
        let handshakes = pooled.then(|| Handshakes::start(udp.mailboxes().to_vec()).expect("the system gives threads"));
        server.workers = handshakes.as_ref().map(Handshakes::workers);
        let (log, mut ends) =
            Log::start(&Destination::Off, 1, Arc::<ProcessCells>::default()).expect("nothing is opened");
        let engine = server.engine(0, ends.remove(0));
        let running = udp.run(vec![Box::new(engine)]).expect("there is one machine");
        Lived { server, running: Some(running), _handshakes: handshakes, _log: log }
    }
}
