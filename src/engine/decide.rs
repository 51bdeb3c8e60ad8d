//! From an identity and what is known about it to a decision.
//!
//! Owns the translation of the engine's values into the plain facts that policy judges. It judges nothing itself.

use crate::{
    clock::Now,
    device::record::{Compliance, DeviceRecord},
    eap::tls::evidence::Evidence,
    policy::{
        decision::SetIndex,
        facts::{self, ClientFacts, Facts, IdentityFacts, Lookup, MdmFacts, Method, NasPort, SessionFacts},
        request,
    },
    radius::packet::Packet,
};

use super::{
    action::Peer,
    client::Client,
    dialogue::certificate_facts,
    identity::Identity,
    lookup::{Known, medium_fact},
    snapshot::Snapshot,
};

/// The network's name and the client's port, read from the request once.
#[derive(Clone, Copy, Debug)]
pub struct RequestPlace<'a> {
    /// The name of the wireless network.
    pub ssid: Option<&'a [u8]>,
    /// The port.
    pub nas_port: Option<NasPort<'a>>,
}

impl<'a> RequestPlace<'a> {
    /// Reads them.
    #[must_use]
    pub fn of(packet: &Packet<'a>) -> Self {
        Self { ssid: request::ssid(packet), nas_port: request::nas_port(packet) }
    }
}

/// One request on its way through policy.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// When.
    pub now: Now,
    /// The configuration.
    pub snapshot: &'a Snapshot,
    /// The packet.
    pub packet: Packet<'a>,
    /// Who sent it.
    pub peer: Peer,
    /// The client.
    pub client: &'a Client,
    /// Where the device is connected.
    pub place: RequestPlace<'a>,
    /// Who the device is.
    pub identity: &'a Identity,
    /// Its verified certificate.
    pub evidence: Option<&'a Evidence>,
}

impl<'a> Case<'a> {
    /// The policy set for this request, chosen before anything is looked up.
    #[must_use]
    pub fn choose_set(&self) -> Option<SetIndex> {
        self.snapshot.policy.choose_set(&self.facts(&Known::nothing()))
    }

    /// What policy may ask about.
    #[must_use]
    pub fn facts<'f>(&'f self, known: &'f Known) -> Facts<'f>
    where
        'a: 'f,
    {
        Facts {
            packet: self.packet,
            client: ClientFacts {
                name: &self.client.name,
                address: self.peer.address.ip(),
                groups: &self.client.groups,
                vendor: &self.client.vendor_name,
            },
            session: SessionFacts {
                method: self.identity.method,
                medium: self.identity.medium.map(medium_fact),
                ssid: self.place.ssid,
                nas_port: self.place.nas_port,
            },
            identity: self.identity_facts(known),
            certificate: self.evidence.map(|evidence| certificate_facts(evidence, self.now.wall)),
            mdm: self.mdm_facts(known),
            now: self.now,
            zone: &self.snapshot.zone,
        }
    }

    fn identity_facts(&self, known: &Known) -> IdentityFacts {
        let device_id = known.device_id();
        // A MAC proves nothing. An id in an attribute of a trusted client was verified by that client.
        let proven = if device_id.is_some() {
            Some(matches!(self.identity.method, Method::AuthorizeOnly | Method::EapTls))
        } else {
            self.identity.mac.map(|_| false)
        };
        IdentityFacts {
            mac: self.identity.mac.map(|mac| mac.octets()),
            proven,
            device_id: device_id.map(|id| id.octets()),
            device_id_source: known.key_source,
        }
    }

    fn mdm_facts<'f>(&'f self, known: &'f Known) -> MdmFacts<'f> {
        let server = known.server.and_then(|index| self.snapshot.server(index));
        let grace = server.is_some_and(|server| server.grace_is_compliant);
        let base = MdmFacts {
            server: server.map(|server| &*server.name),
            lookup: known.lookup,
            registered: match known.lookup {
                Lookup::Found => Some(true),
                Lookup::NotFound => Some(false),
                _ => None,
            },
            managed: (known.lookup == Lookup::NotFound).then_some(false),
            last_compliant: self.last_compliant(known, grace),
            enrolment_url: server.and_then(|server| server.directory.enrolment_url()),
            ..MdmFacts::default()
        };
        match &known.record {
            Some(record) => self.record_facts(base, record, known, grace),
            None => base,
        }
    }

    /// The age of the newest answer, if that one said compliant.
    fn last_compliant(&self, known: &Known, grace: bool) -> Option<std::time::Duration> {
        let record = known.record.as_ref().or(known.outdated.as_ref())?;
        record.compliance.is_compliant(grace).then(|| record.age(self.now))
    }

    fn record_facts<'f>(
        &self,
        base: MdmFacts<'f>,
        record: &'f DeviceRecord,
        known: &Known,
        grace: bool,
    ) -> MdmFacts<'f> {
        let details = &*record.details;
        MdmFacts {
            managed: Some(record.managed),
            compliant: Some(record.compliance.is_compliant(grace)),
            compliance: Some(compliance_fact(record.compliance)),
            source: known.source,
            age: Some(record.age(self.now)),
            owner: details.owner.as_deref(),
            os: details.os.as_deref(),
            os_version: details.os_version.as_deref(),
            manufacturer: details.manufacturer.as_deref(),
            model: details.model.as_deref(),
            serial: details.serial.as_deref(),
            device_name: details.device_name.as_deref(),
            user: details.user.as_deref(),
            management_agent: details.management_agent.as_deref(),
            threat: details.threat.as_deref(),
            encrypted: details.encrypted,
            jailbroken: details.jailbroken,
            days_since_check_in: details
                .last_check_in
                .and_then(|at| i64::try_from(self.now.wall.since(at).as_secs() / 86_400).ok()),
            ..base
        }
    }
}

/// The compliance state for policy.
#[must_use]
pub const fn compliance_fact(compliance: Compliance) -> facts::Compliance {
    match compliance {
        Compliance::Unknown => facts::Compliance::Unknown,
        Compliance::Compliant => facts::Compliance::Compliant,
        Compliance::NonCompliant => facts::Compliance::NonCompliant,
        Compliance::InGracePeriod => facts::Compliance::InGracePeriod,
        Compliance::Conflict => facts::Compliance::Conflict,
        Compliance::Error => facts::Compliance::Error,
        Compliance::ConfigManager => facts::Compliance::ConfigManager,
    }
}
