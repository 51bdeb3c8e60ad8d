//! One decision as the log gets it: the line's facts, gathered where the decision was made.
//!
//! Owns the choice of what is told. How a line looks, and which attributes are never written, is `audit`'s business.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use crate::{
    clock::Now,
    device::identifier::MacAddress,
    eap::{self, tls::evidence::Evidence},
    policy::{
        compiled::Policy,
        decision::{Access, Decision},
        facts::{Facts, Lookup, NasPort},
        request,
    },
    radius::{attribute::Attributes, kind, packet::Packet},
};

use super::{
    action::Peer,
    client::Client,
    decide::compliance_fact,
    dialogue::certificate_facts,
    event::{DecisionEvent, DialogueEvent, Event, EventSink, JudgedFacts, MdmEvent, MonitoredEvent, RejectReason},
    identity::integer,
    lookup::Known,
    snapshot::Snapshot,
};

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// Policy decided.
    Decided(&'a Decision),
    /// It was rejected without policy.
    Refused(RejectReason),
    /// Its EAP conversation ended without policy.
    Ended(eap::reason::Reason),
    /// It was the request for an ACL, and that was sent.
    Downloaded,
    /// Its device fell silent in the middle of an EAP conversation; nothing was answered.
    Stalled,
}

/// What is known about a request when it is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// When it came.
    pub arrived: Now,
    /// How it authenticated.
    pub method: &'static str,
    /// The device's MAC.
    pub mac: Option<MacAddress>,
    /// What became of it.
    pub outcome: Outcome<'a>,
    /// The result of the lookup, if policy was asked.
    pub known: Option<&'a Known>,
    /// What policy judged, if it was asked.
    pub facts: Option<&'a Facts<'a>>,
    /// How long it waited for that.
    pub waited: Duration,
    /// The session id that Class carries.
    pub session: Option<[u8; 16]>,
    /// The device's certificate, once it was verified.
    pub evidence: Option<&'a Evidence>,
    /// The EAP conversation.
    pub dialogue: Option<DialogueEvent>,
    /// What an admin should know beyond the reason.
    pub detail: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// A line of which nothing is known but when the request came.
    #[must_use]
    pub(super) const fn new(arrived: Now) -> Self {
        Self {
            arrived,
            method: "none",
            mac: None,
            outcome: Outcome::Refused(RejectReason::NoCredentials),
            known: None,
            facts: None,
            waited: Duration::ZERO,
            session: None,
            evidence: None,
            dialogue: None,
            detail: None,
        }
    }

    /// Tells it to the log; false if it was lost.
    pub(super) fn tell(
        &self,
        snapshot: &Snapshot,
        client: &Client,
        packet: &Packet<'_>,
        peer: Peer,
        now: Now,
        events: &mut dyn EventSink,
    ) -> bool {
        let mut digits = [0; 10];
        let decision = match self.outcome {
            Outcome::Decided(decision) => Some(decision),
            Outcome::Refused(_) | Outcome::Ended(_) | Outcome::Downloaded | Outcome::Stalled => None,
        };
        let policy = &snapshot.policy;
        let nas_port = self.facts.map_or_else(|| request::nas_port(packet), |facts| facts.session.nas_port);
        let (verdict, reason) = match self.outcome {
            Outcome::Decided(decision) => (decision.access.name(), decision.reason.name()),
            Outcome::Refused(reason) => (Access::Reject.name(), reason.label()),
            Outcome::Ended(reason) => (Access::Reject.name(), reason.label()),
            Outcome::Downloaded => (Access::Accept.name(), "acl-download"),
            Outcome::Stalled => (Access::Ignore.name(), "eap-stalled"),
        };
        let mut monitored = [None; 4];
        for (place, rule) in monitored.iter_mut().zip(decision.map_or(&[][..], |decision| decision.monitored.rules())) {
            *place = policy.rule(*rule).map(|rule| {
                let result = policy.result(rule.result);
                MonitoredEvent {
                    rule: &rule.name,
                    verdict: result.map_or(Access::Reject, |result| result.access).name(),
                    profiles: result.map_or(&[], |result| &result.profiles),
                }
            });
        }
        events.tell(&Event::Decision(&DecisionEvent {
            now,
            client: &client.name,
            nas_ip: nas_ip_of(packet).unwrap_or_else(|| peer.address.ip()),
            nas_identifier: packet.first(kind::NAS_IDENTIFIER),
            nas_port: nas_port.map(|port| match port {
                NasPort::Id(id) => id,
                NasPort::Number(number) => write_digits(number, &mut digits),
            }),
            packet_id: packet.identifier(),
            method: self.method,
            user: packet.first(kind::USER_NAME),
            mac: self.mac,
            device_id: self.known.and_then(Known::device_id),
            device_id_source: self.known.and_then(|known| known.key_source).map(|source| source.name()),
            certificate: self.evidence.map(|evidence| certificate_facts(evidence, now.wall)),
            dialogue: self.dialogue,
            mdm: self.known.map(|known| self.mdm(snapshot, known, now)),
            rule: decision.and_then(|decision| policy.rule(decision.rule?)).map(|rule| &*rule.name),
            outcome_json: decision.map_or(Policy::no_outcome_json(), |decision| policy.outcome_json(decision)),
            monitored,
            monitored_count: decision.map_or(0, |decision| decision.monitored.count()),
            verdict,
            reason,
            detail: self.detail,
            reply_json: decision
                .filter(|decision| decision.access != Access::Ignore)
                .map_or("{}", |decision| policy.reply_json(decision.result, client.vendor)),
            session: self.session,
            latency: now.mono.since(self.arrived.mono),
            request: *packet,
            logged: policy.logged_attributes(),
            dictionary: &snapshot.dictionary,
            facts: decision.and(self.facts).map(|facts| JudgedFacts { policy, facts }),
        }))
    }

    fn mdm<'s>(&self, snapshot: &'s Snapshot, known: &Known, now: Now) -> MdmEvent<'s> {
        MdmEvent {
            server: known.server.and_then(|index| snapshot.server(index)).map(|server| &*server.name),
            lookup: known.lookup.name(),
            compliance: known
                .record
                .as_ref()
                .filter(|_| known.lookup == Lookup::Found)
                .map(|record| compliance_fact(record.compliance).name()),
            source: known.source.map(|source| source.name()),
            age: known.record.as_ref().map(|record| record.age(now)),
            waited: self.waited,
        }
    }
}

/// The NAS as it names itself.
fn nas_ip_of(packet: &Packet<'_>) -> Option<IpAddr> {
    if let Some(address) = packet.first(kind::NAS_IP_ADDRESS).and_then(integer) {
        return Some(IpAddr::V4(Ipv4Addr::from_bits(address)));
    }
    let v6: [u8; 16] = packet.first(kind::NAS_IPV6_ADDRESS)?.try_into().ok()?;
    Some(IpAddr::from(v6))
}

/// The NAS-IP-Address that a refused datagram claims, for the hint that its sender's address was translated on the way.
/// Nothing in it was checked.
#[must_use]
pub(super) fn claimed_nas(datagram: &[u8]) -> Option<IpAddr> {
    let attributes = datagram.get(crate::limits::HEADER_OCTETS..)?;
    let found = Attributes::new(attributes, 0)
        .take(crate::limits::ATTRIBUTES_MAX)
        .find(|attribute| attribute.kind == kind::NAS_IP_ADDRESS)?;
    integer(found.value).map(|address| IpAddr::V4(Ipv4Addr::from_bits(address)))
}

fn write_digits(number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut rest = number;
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(place) = digits.get_mut(at) {
            *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        }
        rest /= 10;
        if rest == 0 || at == 0 {
            return digits.get(at..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_number_is_written_in_digits() {
        for number in [0, 7, 50104, u32::MAX] {
            assert_eq!(write_digits(number, &mut [0; 10]), number.to_string().as_bytes());
        }
    }
}
