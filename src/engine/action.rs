//! What goes into the engine and what comes out: datagrams, and where they came from.
//!
//! Owns the shapes between `udp` and the engine; what is called with them stands in `machine`. No sockets and no
//! decisions here.

use std::net::{IpAddr, SocketAddr};

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

/// Where replies go.
pub trait Outbox {
    /// Queues one reply. `octets` are copied or sent before the call returns.
    fn send(&mut self, to: &Peer, octets: &[u8]);
}
