//! One TLS handshake as a server, driven by whole flights.
//!
//! Owns the rustls connection: what it says, when it is finished, and what is held back until policy has decided. It knows
//! nothing of EAP packets.

use std::{io::Write as _, sync::Arc};

use rustls::{
    Error, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection,
    server::{Accepted, AcceptedAlert, Acceptor},
};

use crate::clock::Now;

use super::{
    alert::{Alert, DECODE_ERROR},
    context::{TlsContext, TlsMax, TlsOptions},
    evidence::Evidence,
    fault::{CertificateFault, HandshakeFault, TlsFault},
    keys::{HelloRandom, Keys},
    link::Link,
    resume::Proof,
};

/// A handshake of which the device still has something to say.
#[derive(Debug)]
pub(super) struct Handshake {
    link: Arc<Link>,
    connection: ServerConnection,
    client_random: HelloRandom,
    server_random: HelloRandom,
}

/// What a flight of the device leads to.
#[derive(Debug)]
pub(super) enum Progress {
    /// Send this, and wait for more.
    Flight(Vec<u8>, Box<Handshake>),
    /// The device has proved who it is. Nothing of this was answered yet.
    Established(Box<Established>),
    /// It is over. `alert` is sent if it is not empty.
    Failed(Failed),
}

/// A handshake that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// Records that tell the device why. Empty if it was the device that said so.
    pub(super) alert: Vec<u8>,
    /// Why.
    pub(super) fault: TlsFault,
    /// What its certificate says, if it came so far.
    pub(super) evidence: Option<Arc<Evidence>>,
}

impl Failed {
    fn unheard(fault: HandshakeFault) -> Self {
        Self { alert: Vec::new(), fault: TlsFault::Handshake(fault), evidence: None }
    }

    /// What came is no whole ClientHello; rustls waits for the rest of it, which can't come.
    ///
    /// Source: RFC 8446 section 6.2, RFC 9190 section 2.1.4 (every fatal error is told).
    fn undecoded(fault: HandshakeFault) -> Self {
        Self { alert: DECODE_ERROR.to_vec(), ..Self::unheard(fault) }
    }
}

/// Begins a handshake with the device's first flight.
pub(super) fn begin(context: &Arc<TlsContext>, options: TlsOptions, now: Now, flight: &[u8]) -> Progress {
    let mut hello = Acceptor::default();
    let mut rest = flight;
    while !rest.is_empty() {
        if !matches!(hello.read_tls(&mut rest), Ok(1..)) {
            return Progress::Failed(Failed::undecoded(HandshakeFault::BadPeer));
        }
    }
    let accepted = match hello.accept() {
        Ok(Some(accepted)) => accepted,
        Ok(None) => return Progress::Failed(Failed::undecoded(HandshakeFault::Unfinished)),
        Err((error, alert)) => return Progress::Failed(refused(&error, alert)),
    };
    let link = context.link(options);
    link.set_now(now);
    let Some(config) = context.config(&link, options, needs_post_quantum(&accepted)) else {
        return Progress::Failed(Failed::unheard(HandshakeFault::Other));
    };
    match accepted.into_connection(config) {
        Ok(connection) => {
            let mut client_random = HelloRandom::default();
            client_random.observe(1, flight);
            let handshake = Handshake { link, connection, client_random, server_random: HelloRandom::default() };
            Box::new(handshake).proceed()
        }
        Err((error, alert)) => Progress::Failed(refused(&error, alert)),
    }
}

/// Whether the device offers nothing but groups with ML-KEM. rustls follows the device's order of groups, and a share of
/// ML-KEM costs each side an EAP round or two, so it is used only where nothing else is possible.
fn needs_post_quantum(accepted: &Accepted) -> bool {
    const PLAIN: [NamedGroup; 3] = [NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1];
    let hello = accepted.client_hello();
    hello.named_groups().is_some_and(|groups| !groups.iter().any(|group| PLAIN.contains(group)))
}

fn refused(error: &Error, mut alert: AcceptedAlert) -> Failed {
    let mut octets = Vec::new();
    // Writing into memory does not fail.
    let _ = alert.write_all(&mut octets);
    Failed { alert: octets, fault: fault_of(error, None), evidence: None }
}

fn fault_of(error: &Error, certificate: Option<CertificateFault>) -> TlsFault {
    match error {
        Error::AlertReceived(alert) => TlsFault::Alert(u8::from(*alert)),
        Error::NoCertificatesPresented => TlsFault::Certificate(CertificateFault::Missing),
        Error::InvalidCertificate(_) => TlsFault::Certificate(certificate.unwrap_or(CertificateFault::Malformed)),
        other => TlsFault::Handshake(HandshakeFault::of(other)),
    }
}

impl Handshake {
    /// Goes on with the device's next flight.
    pub(super) fn feed(mut self: Box<Self>, now: Now, mut flight: &[u8]) -> Progress {
        self.link.set_now(now);
        self.client_random.observe(1, flight);
        while !flight.is_empty() {
            if !matches!(self.connection.read_tls(&mut flight), Ok(1..)) {
                return Progress::Failed(self.failed(TlsFault::Handshake(HandshakeFault::BadPeer)));
            }
            match self.connection.process_new_packets() {
                // A device has nothing to say behind its Finished.
                Ok(state) if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() => {
                    return Progress::Failed(self.failed(TlsFault::Handshake(HandshakeFault::Unfinished)));
                }
                Ok(_) => {}
                Err(error) => {
                    let fault = fault_of(&error, self.link.fault());
                    return Progress::Failed(self.failed(fault));
                }
            }
        }
        self.proceed()
    }

    fn proceed(mut self: Box<Self>) -> Progress {
        let flight = self.drain();
        self.server_random.observe(2, &flight);
        if self.connection.is_handshaking() {
            if flight.is_empty() {
                return Progress::Failed(self.failed(TlsFault::Handshake(HandshakeFault::Unfinished)));
            }
            return Progress::Flight(flight, self);
        }
        let is_resumed = self.connection.handshake_kind() == Some(HandshakeKind::Resumed);
        match self.link.proof(is_resumed) {
            Some(proof) => Progress::Established(Box::new(Established { handshake: self, flight, proof, is_resumed })),
            None => Progress::Failed(self.failed(TlsFault::Certificate(CertificateFault::Missing))),
        }
    }

    fn failed(&mut self, fault: TlsFault) -> Failed {
        let alert = if matches!(fault, TlsFault::Alert(_)) { Vec::new() } else { self.drain() };
        Failed { alert, fault, evidence: self.link.evidence() }
    }

    fn drain(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        while self.connection.wants_write() {
            if !matches!(self.connection.write_tls(&mut octets), Ok(1..)) {
                break;
            }
        }
        octets
    }

    /// What a device says where it only had to acknowledge: an alert, or something that is not allowed.
    pub(super) fn last_words(mut self: Box<Self>, octets: &[u8]) -> TlsFault {
        let mut rest = octets;
        while !rest.is_empty() && matches!(self.connection.read_tls(&mut rest), Ok(1..)) {
            if let Err(error) = self.connection.process_new_packets() {
                return fault_of(&error, None);
            }
        }
        TlsFault::Handshake(HandshakeFault::Unfinished)
    }
}

/// A handshake that waits for policy. The server's last flight is held back.
#[derive(Debug)]
pub(super) struct Established {
    handshake: Box<Handshake>,
    flight: Vec<u8>,
    proof: Proof,
    is_resumed: bool,
}

/// What follows a permit.
#[derive(Debug)]
pub(super) struct Permitted {
    /// The last flight; empty if the device has everything already.
    pub(super) flight: Vec<u8>,
    /// The keys.
    pub(super) keys: Keys,
    /// For what the device may still say.
    pub(super) handshake: Box<Handshake>,
}

impl Established {
    /// What the device proved.
    pub(super) const fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Whether it is a session from before.
    pub(super) const fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// The version of TLS.
    pub(super) fn version(&self) -> TlsMax {
        match self.handshake.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsMax::Tls13,
            _ => TlsMax::Tls12,
        }
    }

    /// Lets the device in: the keys, and the flight that commits us to it.
    ///
    /// TLS 1.3 ends with one octet 0 of application data, after which only success may follow; it leaves in one flight
    /// with the session ticket.
    /// Source: RFC 9190 section 2.5. `None` if the keys can't be exported, which would be a fault of ours.
    pub(super) fn permit(mut self) -> Option<Permitted> {
        let randoms = match (self.handshake.client_random.random(), self.handshake.server_random.random()) {
            (Some(client), Some(server)) => {
                let mut both = [0; 64];
                both.iter_mut().zip(client.iter().chain(&server)).for_each(|(to, from)| *to = *from);
                Some(both)
            }
            _ => None,
        };
        let keys = Keys::export(&self.handshake.connection, randoms)?;
        if self.version() == TlsMax::Tls13 {
            self.handshake.connection.writer().write_all(&[0]).ok()?;
            let commitment = self.handshake.drain();
            self.flight.extend_from_slice(&commitment);
        }
        self.handshake.link.commit(&self.proof);
        Some(Permitted { flight: self.flight, keys, handshake: self.handshake })
    }

    /// Turns the device away: the records that tell it why.
    ///
    /// TLS 1.2, full: our change of cipher and Finished are thrown away unsent, and the alert goes in the clear, as from
    /// a server that stopped before them. TLS 1.2, resumed: our Finished left long ago, the alert is sealed. TLS 1.3: the
    /// alert is sealed, behind the ticket that rustls has already numbered before it; the ticket's session is not kept,
    /// so that it opens nothing.
    pub(super) fn deny(self, alert: Alert) -> Vec<u8> {
        if self.version() == TlsMax::Tls12 && !self.flight.is_empty() {
            return alert.plain_record().to_vec();
        }
        let mut flight = self.flight;
        // Without the record the device learns less, but is turned away all the same.
        flight.extend(alert.sealed_record(self.handshake.connection).unwrap_or_default());
        flight
    }
}
