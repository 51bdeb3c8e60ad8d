//! An EAP conversation as the engine keeps it between two requests, and what it was begun under.
//!
//! Owns these shapes, and how a certificate becomes an identity. What is said in a conversation is `eap`'s matter, what
//! follows from it `converse`'s.

use std::{hash::BuildHasher as _, sync::Arc, time::Duration};

use crate::{
    clock::Wall,
    device::{
        certificate::{CertificateIds, Names, not_found_message},
        identifier::MacAddress,
    },
    eap::{
        conversation::Conversation,
        method,
        sessions::{Claim, Owner, Sessions},
        tls::{context::TlsMax, evidence::Evidence},
    },
    policy::{
        decision::{Decision, SetIndex},
        facts::{CertificateFacts, Lookup, Method},
    },
    radius::{kind, packet::Packet},
};

use super::{
    action::Peer,
    client::Client,
    event::DialogueEvent,
    identity::{DeviceIds, IdSource, Identity, medium_of, station_mac_of},
    lookup::Known,
    snapshot::{EapTls, Snapshot},
};

/// All conversations of all shards.
pub type Dialogues = Sessions<Dialogue>;

/// A conversation between two of its requests.
///
/// It keeps the configuration that it began under, so that a reload in the middle changes neither the policy set that was
/// chosen nor the certificate that was shown.
#[derive(Debug)]
pub struct Dialogue {
    pub(super) conversation: Box<Conversation>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) client: Arc<Client>,
    pub(super) set: SetIndex,
    /// What policy decided, while the device has still to hear of it.
    pub(super) settled: Option<Settled>,
    /// Whether the log has its line.
    pub(super) is_told: bool,
    /// The first request, for the line about a device that falls silent.
    pub(super) first: Box<[u8]>,
    pub(super) peer: Peer,
}

/// What policy decided about the device of a conversation.
#[derive(Debug)]
pub struct Settled {
    pub(super) identity: Identity,
    pub(super) evidence: Option<Arc<Evidence>>,
    pub(super) decision: Decision,
    pub(super) known: Known,
    pub(super) waited: Duration,
    pub(super) detail: Option<Box<str>>,
}

/// A conversation while a request of it is worked on.
#[derive(Debug)]
pub struct Talk {
    pub(super) claim: Claim,
    pub(super) dialogue: Dialogue,
    /// The certificate, once it is verified.
    pub(super) evidence: Option<Arc<Evidence>>,
}

impl Dialogue {
    /// What a line of the log says about it.
    pub(super) fn event(&self) -> DialogueEvent {
        let outline = self.conversation.outline();
        DialogueEvent { tls: outline.version.map(TlsMax::name), resumed: outline.is_resumed, rounds: outline.rounds }
    }

    /// How the device shows who it is, as the log names it.
    pub(super) fn method(&self) -> Method {
        match self.conversation.outline().method {
            Some(method::Method::TLS) => Method::EapTls,
            Some(method::Method::MD5) => Method::EapMd5,
            _ => Method::Eap,
        }
    }
}

/// Who may go on with a conversation: the client by its name, which means the same after a reload, and the device by
/// Calling-Station-Id as it came.
pub(super) fn owner_of(client: &Client, packet: &Packet<'_>) -> Owner {
    Owner {
        client: foldhash::quality::FixedState::default().hash_one(&*client.name),
        station: packet.value(kind::CALLING_STATION_ID).unwrap_or_default().into(),
    }
}

/// The device's MAC in an EAP conversation. User-Name holds what the device calls itself, so only Calling-Station-Id
/// tells it.
pub(super) fn station_of(packet: &Packet<'_>) -> Option<MacAddress> {
    station_mac_of(packet.value(kind::CALLING_STATION_ID))
}

/// Who the device is by its verified certificate, and what an admin should hear about the names in it.
pub(super) fn identity_by_certificate(
    packet: &Packet<'_>,
    evidence: &Evidence,
    settings: &EapTls,
) -> (Identity, CertificateIds) {
    let may_name = evidence.is_issued_by(&settings.device_id_issuers);
    let ids = if may_name { CertificateIds::read(&names_of(evidence)) } else { CertificateIds::default() };
    let mut device_ids = DeviceIds::default();
    for id in ids.iter() {
        let source = if id.place.is_alternative_name() { IdSource::CertificateSan } else { IdSource::CertificateCn };
        device_ids.push(id.guid, source);
    }
    if ids.has_more() {
        device_ids.note_more();
    }
    let identity = Identity { method: Method::EapTls, mac: station_of(packet), device_ids, medium: medium_of(packet) };
    (identity, ids)
}

/// What an admin should hear about the names of a certificate, given what the lookup said.
pub(super) fn detail_of(evidence: &Evidence, ids: &CertificateIds, known: &Known) -> Option<Box<str>> {
    if let Some(finding) = ids.finding() {
        return Some(finding.to_string().into());
    }
    let has_none = ids.iter().next().is_none();
    let is_unknown = known.lookup == Lookup::NotFound && known.device_id().is_some();
    (has_none || is_unknown).then(|| not_found_message(ids.iter().next(), evidence.subject_cn.as_deref()).into())
}

fn names_of(evidence: &Evidence) -> Names<'_> {
    Names {
        uri: &evidence.san_uri,
        dns: &evidence.san_dns,
        upn: &evidence.san_upn,
        email: &evidence.san_email,
        common_name: evidence.subject_cn.as_deref(),
    }
}

/// `certificate.*` of a verified certificate.
#[must_use]
pub fn certificate_facts(evidence: &Evidence, now: Wall) -> CertificateFacts<'_> {
    CertificateFacts {
        subject_cn: evidence.subject_cn.as_deref(),
        issuer_cn: evidence.issuer_cn.as_deref(),
        san_uri: &evidence.san_uri,
        san_dns: &evidence.san_dns,
        serial: &evidence.serial,
        days_left: evidence.days_left(now),
    }
}
