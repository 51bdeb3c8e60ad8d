//! What rustls asks during one handshake: the time, whether a certificate is good, whether a session is known.
//!
//! Owns the answers' way back to the conversation. Every handshake has its own, so that reasons, names and sessions of one
//! device never mix with another's.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{verify_tls12_signature, verify_tls13_signature},
    server::{
        StoresServerSessions,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    time_provider::TimeProvider,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use zeroize::Zeroizing;

use crate::clock::Now;

use super::{
    evidence::Evidence,
    fault::CertificateFault,
    resume::{Proof, Resumptions},
    verify::Trust,
};

/// The one link between a conversation and its rustls connection.
pub(super) struct Link {
    trust: Arc<Trust>,
    resumptions: Arc<Resumptions>,
    lifetime: Duration,
    pss: bool,
    heard: Mutex<Heard>,
}

/// What the handshake brought to light so far.
#[derive(Default)]
struct Heard {
    now: Now,
    // Of a certificate that the device presented now.
    proof: Option<Proof>,
    evidence: Option<Arc<Evidence>>,
    fault: Option<CertificateFault>,
    // Of a session that the device named. It counts only if the handshake then resumes it.
    resumed: Option<Proof>,
    // Sessions that rustls wants kept: one for TLS 1.2, one for each ticket of TLS 1.3. Bound: `KEPT`.
    sessions: Vec<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

/// At most so many sessions come out of one handshake; we ask rustls for one.
const KEPT: usize = 2;

impl Link {
    pub(super) fn new(trust: Arc<Trust>, resumptions: Arc<Resumptions>, lifetime: Duration, pss: bool) -> Self {
        Self { trust, resumptions, lifetime, pss, heard: Mutex::default() }
    }

    /// Sets the time of the step that follows.
    pub(super) fn set_now(&self, now: Now) {
        self.heard().now = now;
    }

    /// Why the certificate was refused.
    pub(super) fn fault(&self) -> Option<CertificateFault> {
        self.heard().fault
    }

    /// What the certificate says that was presented now, whether it was believed or not.
    pub(super) fn evidence(&self) -> Option<Arc<Evidence>> {
        self.heard().evidence.clone()
    }

    /// What a finished handshake rests on.
    pub(super) fn proof(&self, is_resumed: bool) -> Option<Proof> {
        let heard = self.heard();
        if is_resumed { heard.resumed.clone() } else { heard.proof.clone() }
    }

    /// Keeps the sessions of this handshake, once its device is permitted.
    ///
    /// A resumed handshake hands the first proof on: no chain of tickets outlives it.
    pub(super) fn commit(&self, proof: &Proof) {
        for (key, value) in self.heard().sessions.drain(..) {
            self.resumptions.keep(&key, value, proof.clone());
        }
    }

    fn judge(&self, chain: &[CertificateDer<'_>]) -> Result<(), CertificateFault> {
        let now = self.heard().now;
        let evidence = Evidence::read(chain)?;
        self.heard().evidence = Some(evidence.clone());
        let verified = self.trust.judge(chain, now.wall)?;
        self.heard().proof = Some(Proof { at: now.mono, verified, evidence });
        Ok(())
    }

    fn resumed(&self, found: Option<(Zeroizing<Vec<u8>>, Proof)>) -> Option<Vec<u8>> {
        let (mut value, proof) = found?;
        let mut heard = self.heard();
        if !proof.holds(heard.now, self.lifetime, self.trust.fingerprint()) {
            // A full handshake follows, and tells what no longer holds.
            return None;
        }
        heard.resumed = Some(proof);
        Some(std::mem::take(&mut *value))
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, fault: CertificateFault) -> Error {
        self.heard().fault = Some(fault);
        Error::InvalidCertificate(fault.to_rustls())
    }
}

impl ClientCertVerifier for Link {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.trust.hints()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> =
            std::iter::once(end_entity).chain(intermediates).map(|one| CertificateDer::from(one.as_ref())).collect();
        match self.judge(&chain) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(fault) => Err(self.refuse(fault)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, self.trust.algorithms())
            .map_err(|_| self.refuse(CertificateFault::NoProof))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, self.trust.algorithms())
            .map_err(|_| self.refuse(CertificateFault::NoProof))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.trust.algorithms().supported_schemes();
        if !self.pss {
            // Some TPM 2.0 of revision 1.16 claim PSS and then can't sign with it.
            schemes.retain(|scheme| {
                !matches!(
                    scheme,
                    SignatureScheme::RSA_PSS_SHA256 | SignatureScheme::RSA_PSS_SHA384 | SignatureScheme::RSA_PSS_SHA512
                )
            });
        }
        schemes
    }
}

impl StoresServerSessions for Link {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let mut heard = self.heard();
        if self.lifetime.is_zero() || heard.sessions.len() >= KEPT {
            return false;
        }
        heard.sessions.push((key, Zeroizing::new(value)));
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.resumed(self.resumptions.find(key))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.resumed(self.resumptions.take(key))
    }

    fn can_cache(&self) -> bool {
        !self.lifetime.is_zero()
    }
}

impl TimeProvider for Link {
    fn current_time(&self) -> Option<UnixTime> {
        let secs = self.heard().now.wall.as_secs().max(0).unsigned_abs();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(secs)))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}
