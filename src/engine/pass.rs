//! One request on its way through the engine: what was settled when it came.
//!
//! Owns that bundle and the views of it that the phases take. It decides nothing.

use std::sync::Arc;

use crate::{clock::Now, eap::tls::evidence::Evidence, policy::decision::SetIndex, radius::packet::Packet};

use super::{
    action::Peer,
    client::Client,
    decide::{Case, RequestPlace},
    dialogue::Talk,
    duplicate::Ticket,
    identity::Identity,
    lookup::Pursuit,
    parked::Parked,
    reply::{Draft, EapPart},
    snapshot::Snapshot,
};

/// One Access-Request on its way: what was settled when it came.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) snapshot: &'a Arc<Snapshot>,
    pub(super) client: &'a Arc<Client>,
    pub(super) packet: Packet<'a>,
    pub(super) peer: Peer,
    pub(super) ticket: Ticket,
    pub(super) arrived: Now,
    /// What the request says about the port and the network: policy is asked more than once.
    pub(super) place: RequestPlace<'a>,
}

impl<'a> Pass<'a> {
    pub(super) fn case<'i>(&self, now: Now, identity: &'i Identity, evidence: Option<&'i Evidence>) -> Case<'i>
    where
        'a: 'i,
    {
        let Self { snapshot, packet, peer, client, place, .. } = *self;
        Case { now, snapshot, packet, peer, client, place, identity, evidence }
    }

    pub(super) fn draft<'e>(&self, eap: EapPart<'e>) -> Draft<'e>
    where
        'a: 'e,
    {
        Draft { packet: self.packet, client: self.client, eap }
    }

    pub(super) fn park(&self, identity: Identity, talk: Option<Box<Talk>>, set: SetIndex, pursuit: Pursuit) -> Parked {
        Parked {
            octets: self.packet.octets().to_vec(),
            peer: self.peer,
            client: Arc::clone(self.client),
            snapshot: Arc::clone(self.snapshot),
            arrived: self.arrived,
            ticket: self.ticket,
            identity,
            talk,
            set,
            pursuit,
        }
    }
}
