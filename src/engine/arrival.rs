//! A datagram on arrival, and what a first look at its whole batch has found out.
//!
//! Owns the bundle only: the hashes of a batch are computed side by side before the first of its datagrams is worked on,
//! so what is known then has to be carried along.

use crate::radius::{
    checks::{Proof, RequestNumber},
    packet::Packet,
};

use super::action::Datagram;

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
}

impl<'a> From<Datagram<'a>> for Arrival<'a> {
    fn from(datagram: Datagram<'a>) -> Self {
        Self { datagram, glimpse: None }
    }
}
