//! One datagram with one system call, for systems without recvmmsg and sendmmsg: the same shape as `batch`.
//!
//! Owns nothing that `batch` doesn't. The system chooses the source address of answers here, so listen on addresses
//! rather than wildcards if the machine has several.

use std::io;

use crate::{
    engine::action::{Datagram, Peer, Port, Route},
    limits::{BATCH_DATAGRAMS, PACKET_OCTETS_MAX},
};

use super::{
    replies::{Entry, Replies},
    socket::Socket,
};

/// Octets of a buffer: one more than the longest packet, so that an overlong one is seen as such.
pub const DATAGRAM_OCTETS: usize = PACKET_OCTETS_MAX + 1;

/// Room for [`BATCH_DATAGRAMS`] received datagrams, allocated once and used for every call.
pub struct Inbound {
    slots: Box<[Slot]>,
    received: usize,
    port: Port,
}

struct Slot {
    octets: [u8; DATAGRAM_OCTETS],
    length: usize,
    peer: Option<Peer>,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The octets may hold passwords.
        f.debug_struct("Inbound").field("received", &self.received).finish_non_exhaustive()
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbound {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        let slot = || Slot { octets: [0; DATAGRAM_OCTETS], length: 0, peer: None };
        Self { slots: (0..BATCH_DATAGRAMS).map(|_| slot()).collect(), received: 0, port: Port::Auth }
    }

    /// Receives what has arrived, up to a full batch, without waiting. Returns how many datagrams; 0 if there are none.
    ///
    /// # Errors
    /// What the system says; there are no datagrams then. It may succeed when called again.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.received = 0;
        self.port = socket.port();
        for slot in &mut self.slots {
            match retry(|| socket.udp().recv_from(&mut slot.octets)) {
                Ok((length, address)) => {
                    slot.length = length;
                    let route = Route { listener: socket.listener(), local: socket.only_address(), interface: 0 };
                    slot.peer = Some(Peer { address, route });
                    self.received += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What came before the error is not lost with it.
                Err(_) if self.received > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.received)
    }

    /// The datagrams of the last call, in the order of their arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.slots.iter().take(self.received).filter_map(|slot| {
            let peer = slot.peer?;
            Some(Datagram { octets: slot.octets.get(..slot.length)?, peer, port: self.port })
        })
    }
}

/// Sends up to [`BATCH_DATAGRAMS`] of `entries`, which are entries of `replies`, without waiting. Returns how many.
///
/// # Errors
/// The first reply can't be sent, and none was. `WouldBlock`: there is no room at the moment. Everything else is about
/// this one reply.
pub fn send(socket: &Socket, replies: &Replies, entries: &[Entry]) -> io::Result<usize> {
    let mut sent = 0;
    for entry in entries.iter().take(BATCH_DATAGRAMS) {
        match retry(|| socket.udp().send_to(replies.octets(entry), entry.to.address)) {
            Ok(_) => sent += 1,
            Err(_) if sent > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// The same: no system but Linux sends several datagrams as one piece.
///
/// # Errors
/// As of [`send`].
#[cfg(not(target_os = "linux"))]
pub fn send_alike(socket: &Socket, replies: &Replies, entries: &[Entry]) -> io::Result<usize> {
    send(socket, replies, entries)
}

/// Sends the rows of `run`, which are entries of `replies`, from row `from` on, without waiting. Returns how many rows. No
/// system but Linux sends several replies as one piece, so each is a row of its own.
///
/// # Errors
/// As of [`send`].
#[cfg(not(target_os = "linux"))]
pub(super) fn send_rows(
    socket: &Socket,
    replies: &Replies,
    run: &[Entry],
    rows: &super::rows::Rows,
    from: usize,
) -> io::Result<usize> {
    debug_assert!((from..rows.len()).all(|row| rows.row(row).len() == 1), "a socket here sends no segments");
    send(socket, replies, run.get(from..).unwrap_or_default())
}

/// Calls again for as long as a signal interrupts.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, UdpSocket},
        time::Duration,
    };

    use super::*;
    use crate::{
        engine::action::Outbox,
        udp::socket::{Readiness, bind_group},
    };

    fn pair() -> (Socket, UdpSocket) {
        let group = bind_group(3, Port::Acct, (Ipv4Addr::LOCALHOST, 0).into(), 1, 65_536).unwrap();
        let ours = group.sockets.into_iter().next().unwrap();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.connect(ours.local()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (ours, client)
    }

    #[test]
    fn datagrams_come_with_their_senders_and_replies_go_back() {
        let (ours, client) = pair();
        let mut inbound = Inbound::new();
        assert_eq!(inbound.receive(&ours).unwrap(), 0);
        for text in ["one", "two"] {
            client.send(text.as_bytes()).unwrap();
        }
        Readiness::of([ours.descriptor()]).wait(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(inbound.receive(&ours).unwrap(), 2);
        let mut replies = Replies::new();
        for datagram in inbound.datagrams() {
            assert_eq!((datagram.port, datagram.peer.address), (Port::Acct, client.local_addr().unwrap()));
            assert_eq!((datagram.peer.route.listener, datagram.peer.route.local), (3, Some(ours.local().ip())));
            replies.send(&datagram.peer, datagram.octets);
        }
        assert_eq!(send(&ours, &replies, replies.entries()).unwrap(), 2);
        let mut octets = [0; 8];
        for text in ["one", "two"] {
            let length = client.recv(&mut octets).unwrap();
            assert_eq!(&octets[..length], text.as_bytes());
        }
    }

    #[test]
    fn an_overlong_datagram_is_seen_as_overlong() {
        let (ours, client) = pair();
        client.send(&[0; PACKET_OCTETS_MAX + 500]).unwrap();
        let mut inbound = Inbound::new();
        Readiness::of([ours.descriptor()]).wait(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(inbound.receive(&ours).unwrap(), 1);
        assert_eq!(inbound.datagrams().next().unwrap().octets.len(), PACKET_OCTETS_MAX + 1);
    }
}
