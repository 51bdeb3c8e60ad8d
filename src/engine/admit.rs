//! The first look at a datagram: whose is it, is it well formed, is it authentic, is it welcome here?
//!
//! Owns the order of these checks and their outcomes. It keeps no state: the duplicate table comes after it, because only
//! what was verified may touch that (RFC 5080 section 2.2.2).

use crate::{
    limits::{HEADER_OCTETS, PACKET_OCTETS_MAX},
    radius::{authenticator::Signature, checks::Proof, code::Code, error::Malformed, kind, packet::Packet},
};

use super::{
    action::Port,
    client::{Client, MessageAuthenticatorMode},
    event::DropReason,
    identity::integer,
};

/// Service-Type: the user was authenticated elsewhere and only authorization is asked for (RFC 5080 section 2.1.1).
pub const AUTHORIZE_ONLY: u32 = 17;
/// Service-Type: MAC bypass (RFC 3580 section 3.5).
pub const CALL_CHECK: u32 = 10;

/// A datagram that is not worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: DropReason,
    /// Which rule of the format was broken.
    pub detail: Option<&'static str>,
}

impl From<DropReason> for Refused {
    fn from(reason: DropReason) -> Self {
        Self { reason, detail: None }
    }
}

impl From<Malformed> for Refused {
    fn from(broken: Malformed) -> Self {
        Self { reason: DropReason::Malformed, detail: Some(broken.label()) }
    }
}

/// A packet that is well formed, authentic as far as its client must prove that, and served on its port.
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'a> {
    /// The packet.
    pub packet: Packet<'a>,
    /// What the client's secret says about it.
    pub proof: Proof,
    /// Whether a Message-Authenticator was there and right.
    pub is_signed: bool,
}

/// Checks lengths only: this much is asked of strangers too, before their address is looked up.
///
/// # Errors
/// [`DropReason::Malformed`].
pub fn check_lengths(octets: &[u8]) -> Result<(), Refused> {
    let broken = |detail| Err(Refused { reason: DropReason::Malformed, detail: Some(detail) });
    let Some(header) = octets.first_chunk::<HEADER_OCTETS>() else { return broken("datagram-too-short") };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if !(HEADER_OCTETS..=PACKET_OCTETS_MAX).contains(&length) {
        return broken("length-out-of-range");
    }
    if length > octets.len() {
        return broken("datagram-shorter-than-length");
    }
    Ok(())
}

/// Checks a packet of a known client.
///
/// `proof`: what the client's secret says about it.
///
/// # Errors
/// Why it is dropped without an answer.
pub fn admit<'a>(packet: Packet<'a>, port: Port, client: &Client, proof: Proof) -> Result<Admitted<'a>, Refused> {
    match (packet.code(), port) {
        (Code::ACCESS_REQUEST, Port::Auth) => admit_access_request(packet, client, proof),
        (Code::ACCOUNTING_REQUEST, Port::Acct) => admit_accounting_request(packet, proof),
        (Code::STATUS_SERVER, _) => admit_status_server(packet, proof),
        _ => Err(DropReason::UnexpectedCode.into()),
    }
}

fn admit_access_request<'a>(packet: Packet<'a>, client: &Client, proof: Proof) -> Result<Admitted<'a>, Refused> {
    match proof.signature {
        Signature::Valid => return Ok(Admitted { packet, proof, is_signed: true }),
        Signature::Wrong => return Err(DropReason::BadMessageAuthenticator.into()),
        Signature::Missing => {}
    }
    // In every mode: EAP (RFC 3579 section 3.2), Authorize-Only, and requests without any credential (section 3.3),
    // because nothing else in them shows that the sender knows the secret.
    let needs_it = client.message_authenticator == MessageAuthenticatorMode::Require
        || packet.has(kind::EAP_MESSAGE)
        || packet.value(kind::SERVICE_TYPE).and_then(integer) == Some(AUTHORIZE_ONLY)
        || !packet.has_credentials();
    if needs_it {
        return Err(DropReason::MissingMessageAuthenticator.into());
    }
    // The attack of CVE-2024-3596 puts its collision blocks into Proxy-State.
    if packet.has(kind::PROXY_STATE) {
        return Err(DropReason::ProxyState.into());
    }
    Ok(Admitted { packet, proof, is_signed: false })
}

fn admit_accounting_request(packet: Packet<'_>, proof: Proof) -> Result<Admitted<'_>, Refused> {
    if !proof.is_authenticator_valid {
        return Err(DropReason::BadAuthenticator.into());
    }
    let is_signed = match proof.signature {
        Signature::Valid => true,
        Signature::Wrong => return Err(DropReason::BadMessageAuthenticator.into()),
        Signature::Missing => false,
    };
    // A record without them can't be told from others (RFC 2866 sections 5.1 and 5.5): acknowledging it would claim that
    // it was kept. The type is there exactly once.
    let broken = |detail| Err(Refused { reason: DropReason::Malformed, detail: Some(detail) });
    let mut statuses = packet.all(kind::ACCT_STATUS_TYPE).filter(|status| !status.is_empty());
    let (Some(status), None) = (statuses.next(), statuses.next()) else { return broken("acct-status-type-missing") };
    if integer(status).is_none() {
        return broken("acct-status-type-size");
    }
    if packet.value(kind::ACCT_SESSION_ID).is_none() {
        return broken("acct-session-id-missing");
    }
    Ok(Admitted { packet, proof, is_signed })
}

fn admit_status_server(packet: Packet<'_>, proof: Proof) -> Result<Admitted<'_>, Refused> {
    match proof.signature {
        Signature::Valid => Ok(Admitted { packet, proof, is_signed: true }),
        Signature::Wrong => Err(DropReason::BadMessageAuthenticator.into()),
        Signature::Missing => Err(DropReason::MissingMessageAuthenticator.into()),
    }
}
