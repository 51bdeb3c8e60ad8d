//! A datagram on arrival, and what a first look at its whole batch has found out.
//!
//! Owns the bundle only: the hashes of a batch are computed side by side before the first of its datagrams is worked on,
//! so what is known then has to be carried along.

use crate::radius::{
    checks::{Proof, RequestNumber},
    code::Code,
    kind,
    packet::Packet,
};

use super::{action::Datagram, authenticate::Macs, duplicate::KeyHash};

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The datagram.
    pub datagram: Datagram<'a>,
    /// What the machine saw when it looked at the batch; nothing if it did not.
    pub(super) glimpse: Option<Glimpse<'a>>,
}

/// What was seen of a datagram of a known client that is a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glimpse<'a> {
    /// The client's place in the list of the configuration of this batch.
    pub(super) client: u32,
    pub(super) packet: Packet<'a>,
    pub(super) number: RequestNumber,
    /// What its client's secret says, once that was computed.
    pub(super) proof: Option<Proof>,
    /// What the table of requests knows it by.
    pub(super) key: KeyHash,
    /// The MACs of an Access-Request without EAP.
    pub(super) macs: Option<Macs>,
}

impl<'b> Arrival<'b> {
    /// The datagrams of a batch in the order in which they are worked on: first those on which something depends that was
    /// begun before, then the others, each in the order of their arrival.
    ///
    /// What runs short within a batch (room to wait, threads that compute) is then taken by newcomers last.
    pub fn in_turn<'a>(batch: &'a [Option<Self>]) -> impl Iterator<Item = &'a Self> + use<'a, 'b> {
        let those = |first| batch.iter().flatten().filter(move |arrival| arrival.comes_first() == first);
        those(true).chain(those(false))
    }

    /// Whether it is a request of a conversation (it carries a State) or a Status-Server, by which a client learns whether
    /// to go elsewhere. Nobody has checked it yet; and nothing is first that was not looked at.
    fn comes_first(&self) -> bool {
        self.glimpse.is_some_and(|Glimpse { packet, .. }| {
            packet.value(kind::STATE).is_some() || packet.code() == Code::STATUS_SERVER
        })
    }
}

impl<'a> From<Datagram<'a>> for Arrival<'a> {
    fn from(datagram: Datagram<'a>) -> Self {
        Self { datagram, glimpse: None }
    }
}
