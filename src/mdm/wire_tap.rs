//! A look at the way to a host: does its name resolve, does somebody answer, and whose certificate is shown.
//!
//! Owns one connection per look, on which nothing is sent but a TLS greeting. Whether the certificate is to be trusted is
//! decided by the real calls; here it is only looked at, because an inspecting proxy shows itself by its issuer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::Url;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::settings::Proxy;

/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// Octets of a proxy's answer that are read.
const PROXY_ANSWER_OCTETS_MAX: usize = 8 * 1024;

/// Looks at the way to `url`. Both results are sentences.
pub(super) async fn look(url: &Url, proxy: Option<&Proxy>) -> Result<String, String> {
    let host = url.host_str().unwrap_or("").trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let stream = match proxy.filter(|_| !super::cloud::is_loopback(url)) {
        None => connect(&host, port, "check DNS and firewall, or set proxy").await?,
        Some(proxy) => match tunnel(proxy, &host, port).await? {
            Some(stream) => stream,
            None => return Ok("through a proxy that wants a password; the certificate was not looked at".to_owned()),
        },
    };
    if url.scheme() != "https" {
        return Ok("answers, without TLS".to_owned());
    }
    let issuer = within("TLS", greet(stream, &host)).await?;
    Ok(format!("answers; its certificate is from {issuer}"))
}

async fn connect(host: &str, port: u16, advice: &str) -> Result<TcpStream, String> {
    let addresses = tokio::time::timeout(STEP_TIMEOUT, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<_> = match addresses {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(format!("the name does not resolve ({error}); {advice}")),
        Err(_) => return Err(format!("DNS does not answer; {advice}")),
    };
    let connected = tokio::time::timeout(STEP_TIMEOUT, TcpStream::connect(addresses.as_slice())).await;
    match connected {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(format!("no connection to {host}:{port} ({error}); {advice}")),
        Err(_) => Err(format!("no connection to {host}:{port} within 5 s; {advice}")),
    }
}

/// Asks a proxy for a way. None if it wants a password.
async fn tunnel(proxy: &Proxy, host: &str, port: u16) -> Result<Option<TcpStream>, String> {
    let url = Url::parse(proxy.url()).map_err(|_| "the proxy is not a URL; write http://HOST:PORT".to_owned())?;
    if !url.username().is_empty() || url.scheme() != "http" {
        return Ok(None);
    }
    let (proxy_host, proxy_port) =
        (url.host_str().unwrap_or("").to_owned(), url.port_or_known_default().unwrap_or(3128));
    let mut stream = connect(&proxy_host, proxy_port, "check proxy").await?;
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    let head = within("the proxy", async {
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < PROXY_ANSWER_OCTETS_MAX {
            head.push(stream.read_u8().await?);
        }
        Ok(head)
    })
    .await?;
    let text = String::from_utf8_lossy(&head);
    match text.split_ascii_whitespace().nth(1) {
        Some("200") => Ok(Some(stream)),
        Some("407") => Ok(None),
        Some(status) => {
            let status: String = status.chars().take(3).collect();
            Err(format!("the proxy answers {status}; let {host} pass there"))
        }
        None => Err("the proxy does not speak HTTP; check proxy".to_owned()),
    }
}

async fn within<T>(who: &str, step: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(STEP_TIMEOUT, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{who} failed ({error}); check firewall, proxy and TLS inspection")),
        Err(_) => Err(format!("{who} did not answer within 5 s; check firewall, proxy and TLS inspection")),
    }
}

/// Greets with TLS and returns the issuer of the certificate that was shown.
async fn greet(stream: TcpStream, host: &str) -> std::io::Result<String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let onlooker = Arc::new(Onlooker::new(&provider));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Onlooker>::clone(&onlooker))
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
    // Nothing is sent on it and nothing is read: it is closed after the greeting.
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let issuer = onlooker.issuer.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(issuer.unwrap_or_else(|| "an unnamed issuer".to_owned()))
}

/// Notes whose certificate is shown, and lets every one pass: nothing is sent to it.
#[derive(Debug)]
struct Onlooker {
    algorithms: WebPkiSupportedAlgorithms,
    issuer: Mutex<Option<String>>,
}

impl Onlooker {
    fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, issuer: Mutex::new(None) }
    }
}

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok((_, certificate)) = X509Certificate::from_der(end_entity) {
            let issuer = super::explain::limited(&certificate.issuer().to_string());
            *self.issuer.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("\"{issuer}\""));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
