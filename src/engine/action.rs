//! What goes into the engine and what comes out: datagrams, where they came from, and the machine that a shard drives.
//!
//! Owns the shapes between `udp` and the engine. No sockets and no decisions here.

use std::net::{IpAddr, SocketAddr};

use crate::{
    clock::{Mono, Now},
    device::question::Answer,
};

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Its octets as received; at most one more than the longest packet, so that an overlong one is seen as such.
    pub octets: &'a [u8],
    /// Who sent it, and the way back.
    pub peer: Peer,
    /// Which of our ports received it.
    pub port: Port,
}

/// A sender, and the way an answer must take to reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Source address and port. An IPv4 address mapped into IPv6 is given as IPv4.
    pub address: SocketAddr,
    /// The way back.
    pub route: Route,
}

/// The way back to a sender: the answer leaves from the address that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The listener in the order of the configuration.
    pub listener: u16,
    /// The address that was asked, where the kernel told it (IP_PKTINFO, IPV6_PKTINFO).
    pub local: Option<IpAddr>,
    /// The interface through which an IPv6 link-local sender is reached; 0 for any.
    pub interface: u32,
}

/// The two services of RADIUS over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// Authentication, usually 1812.
    Auth,
    /// Accounting, usually 1813.
    Acct,
}

/// What a shard's thread drives. Time comes with every call; nothing in here waits.
///
/// The order of calls: `begin`, then any number of `handle`, `resume` and `expire`, then `end`, and only after it are
/// the replies sent. `end` hands the batch's events to the log; an acknowledgement of accounting depends on that.
pub trait Machine {
    /// A batch begins: the machine looks whether the configuration was swapped.
    fn begin(&mut self, now: Now);
    /// A datagram was received.
    fn handle(&mut self, now: Now, datagram: Datagram<'_>, out: &mut dyn Outbox);
    /// A question was answered.
    fn resume(&mut self, now: Now, answer: &Answer, out: &mut dyn Outbox);
    /// The time told by `wake_at` has come, or a batch was handled: deadlines and delayed rejects that are due.
    fn expire(&mut self, now: Now, out: &mut dyn Outbox);
    /// The batch ends.
    fn end(&mut self, now: Now);
    /// When `expire` must be called at the latest.
    fn wake_at(&self) -> Mono;
    /// New requests are no longer taken; what waits is still answered.
    fn drain(&mut self);
    /// How many requests still wait for an answer or for the delay of a reject.
    fn waiting(&self) -> usize;
}

/// Where replies go.
pub trait Outbox {
    /// Queues one reply. `octets` are copied or sent before the call returns.
    fn send(&mut self, to: &Peer, octets: &[u8]);
}
