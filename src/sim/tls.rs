//! The server's certificate, and the connections that were greeted with it.
//!
//! Owns TLS. What is said over a connection is HTTP's matter.

use std::{path::Path, sync::Arc, time::Duration};

use axum::serve::Listener;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::limits;

use super::{
    line::{Line, Orders},
    settings::{StartError, TlsSource},
};

/// What a server shows, and what a client must trust to believe it.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    pub(super) ca_pem: String,
}

impl Identity {
    pub(super) fn new(source: &TlsSource) -> Result<Self, StartError> {
        let (chain, key, ca_pem) = match source {
            TlsSource::ThrowAway => throw_away().map_err(|error| StartError::Tls(error.to_string()))?,
            TlsSource::Folder(folder) => from_folder(folder)?,
        };
        let tls = |error: rustls::Error| StartError::Tls(error.to_string());
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), ca_pem })
    }
}

type Parts = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, String);

fn throw_away() -> Result<Parts, rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::<String>::new())?;
    ca.distinguished_name.push(DnType::CommonName, "simulated cloud, throw-away CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate()?;
    let mut server = CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(str::to_owned))?;
    server.distinguished_name.push(DnType::CommonName, "simulated cloud");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let certificate = server.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok((vec![certificate.der().clone()], key, ca_pem))
}

fn from_folder(folder: &Path) -> Result<Parts, StartError> {
    let failed = |name: &str, what: String| StartError::File(folder.join(name), what);
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem"))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed("server.pem", error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key"))
        .map_err(|error| failed("server.key", error.to_string()))?;
    let ca_pem = std::fs::read_to_string(folder.join("ca.pem")).map_err(|error| failed("ca.pem", error.to_string()))?;
    Ok((chain, key, ca_pem))
}

/// Connections whose handshake is done.
///
/// Handshakes run beside each other, so that a client that never finishes one holds up nobody.
/// Bound: [`limits::SIM_CONNECTIONS_MAX`]; the next connection waits in the kernel.
pub(super) struct Greeted(mpsc::Receiver<(Line, Peer)>);

/// The other end of a connection, known by the orders of the connection only.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    pub(super) orders: Arc<Orders>,
}

impl Greeted {
    /// Accepts on `listener` until `closing` is true or its sender is gone. The task ends when the port is free again.
    pub(super) fn new(
        listener: TcpListener,
        config: Arc<ServerConfig>,
        mut closing: watch::Receiver<bool>,
    ) -> (Self, JoinHandle<()>) {
        let (sender, lines) = mpsc::channel(64);
        let acceptor = tokio::spawn(async move {
            tokio::select! {
                () = accept_all(listener, TlsAcceptor::from(config), sender) => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        });
        (Self(lines), acceptor)
    }
}

async fn accept_all(listener: TcpListener, acceptor: TlsAcceptor, sender: mpsc::Sender<(Line, Peer)>) {
    let free = Arc::new(Semaphore::new(limits::SIM_CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(greet(stream, permit, acceptor.clone(), sender.clone()));
            }
            // Out of descriptors, or the peer is gone already: the next attempt tells.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn greet(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<(Line, Peer)>,
) {
    // Small answers shall leave at once; a socket that refuses the option works all the same.
    drop(stream.set_nodelay(true));
    let handshake = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream));
    // A client that does not trust us, or speaks no TLS, is its own affair.
    let Ok(Ok(stream)) = handshake.await else { return };
    let line = Line::new(stream, permit);
    let peer = Peer { orders: line.orders() };
    drop(sender.send((line, peer)).await);
}

const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

impl Listener for Greeted {
    type Io = Line;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.0.recv().await {
            Some(greeted) => greeted,
            // The port is closed; whoever serves is about to stop too.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(Peer::default())
    }
}
