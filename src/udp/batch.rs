//! Many datagrams with one system call: [`Inbound`] receives with recvmmsg, [`send`] sends with sendmmsg.
//!
//! Owns the buffers, and the addresses and control messages beside each datagram. What to answer is decided elsewhere.
//!
//! One of the two files with `unsafe` code. It is kept to the two calls: addresses and control messages are plain
//! octets in the kernel's layout, read and written with bounds checks.
#![expect(unsafe_code, reason = "recvmmsg(2) and sendmmsg(2) have no safe wrapper in std or socket2")]

use std::{
    io, iter, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    ptr,
};

use crate::{
    clock::Wall,
    engine::action::{Datagram, Peer, Port, Route},
    limits::{BATCH_DATAGRAMS, PACKET_OCTETS_MAX},
};

use super::{
    replies::{Entry, Replies},
    rows::Rows,
    socket::Socket,
};

/// Octets of a buffer: one more than the longest packet, so that an overlong one is seen as such.
pub const DATAGRAM_OCTETS: usize = PACKET_OCTETS_MAX + 1;

/// [`BATCH_DATAGRAMS`] in the type of the system calls.
#[expect(clippy::cast_possible_truncation, reason = "limits.rs keeps it below UIO_MAXIOV, which is 1024")]
const VECTOR_MAX: libc::c_uint = BATCH_DATAGRAMS as libc::c_uint;

/// Room for [`BATCH_DATAGRAMS`] received datagrams, allocated once and used for every call.
pub struct Inbound {
    slots: Box<[Slot]>,
    received: usize,
    port: Port,
}

/// One datagram with all that the kernel tells about it.
///
/// Begins on a cache line, and the kernel's words stand right before the first octets, which are all that a usual
/// request has.
#[repr(C, align(64))]
struct Slot {
    control: Control,
    name: Name,
    octets: [u8; DATAGRAM_OCTETS],
    length: usize,
    /// Of the control messages.
    control_octets: usize,
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
        let slot = || Slot {
            control: Control::default(),
            name: Name::default(),
            octets: [0; DATAGRAM_OCTETS],
            length: 0,
            control_octets: 0,
            peer: None,
        };
        Self { slots: (0..BATCH_DATAGRAMS).map(|_| slot()).collect(), received: 0, port: Port::Auth }
    }

    /// Receives what has arrived, up to a full batch, without waiting. Returns how many datagrams; 0 if there are none.
    ///
    /// # Errors
    /// What the system says; there are no datagrams then. It may succeed when called again.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.received = 0;
        self.port = socket.port();
        // SAFETY: all zeros is a valid mmsghdr and a valid iovec: null pointers with lengths of zero.
        let (mut headers, mut vectors): ([libc::mmsghdr; BATCH_DATAGRAMS], [libc::iovec; BATCH_DATAGRAMS]) =
            unsafe { (mem::zeroed(), mem::zeroed()) };
        for ((header, vector), slot) in headers.iter_mut().zip(&mut vectors).zip(&mut self.slots) {
            vector.iov_base = slot.octets.as_mut_ptr().cast();
            vector.iov_len = slot.octets.len();
            header.msg_hdr.msg_iov = ptr::from_mut(vector);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = slot.name.0.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = NAME_OCTETS;
            header.msg_hdr.msg_control = slot.control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_OCTETS as _;
        }
        let received = retry(|| {
            // SAFETY: every header points to one vector, one name and one control buffer, each in `self.slots` or on
            // this stack, none used twice, all alive and untouched during the call, with their true lengths. The list
            // has BATCH_DATAGRAMS headers. No time limit is given.
            unsafe {
                libc::recvmmsg(
                    socket.descriptor(),
                    headers.as_mut_ptr(),
                    VECTOR_MAX,
                    libc::MSG_DONTWAIT as _,
                    ptr::null_mut(),
                )
            }
        });
        let received = match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            other => other?,
        };
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(received) {
            slot.length = header.msg_len as usize;
            slot.control_octets = header.msg_hdr.msg_controllen as _;
            slot.peer = slot.name.address(header.msg_hdr.msg_namelen as usize).map(|address| {
                let told = slot.control.destination(slot.control_octets);
                Peer { address, route: route(socket, address, told) }
            });
        }
        self.received = received;
        Ok(received)
    }

    /// The datagrams of the last call, in the order of their arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.slots.iter().take(self.received).filter_map(|slot| {
            // Without a sender there is nobody to answer; the kernel always names one.
            let peer = slot.peer?;
            Some(Datagram { octets: slot.octets.get(..slot.length)?, peer, port: self.port })
        })
    }

    /// When the kernel got each of them, by the wall clock; nothing if the socket doesn't [stamp](Socket::stamp_arrivals) them.
    pub fn arrivals(&self) -> impl Iterator<Item = Option<Wall>> {
        let named = self.slots.iter().take(self.received).filter(|slot| slot.peer.is_some());
        named.map(|slot| slot.control.arrival(slot.control_octets))
    }
}

/// Sends up to [`BATCH_DATAGRAMS`] of `entries`, which are entries of `replies`, without waiting. Returns how many.
///
/// # Errors
/// The first one can't be sent, and none was. `WouldBlock`: there is no room at the moment. Everything else is about
/// this one.
pub fn send(socket: &Socket, replies: &Replies, entries: &[Entry]) -> io::Result<usize> {
    send_rows(socket, replies, entries, &Rows::of_single(entries), 0)
}

/// The same for entries to one peer: those at the front that are equally long go as one piece, if the socket may send
/// [segments](Socket::sends_segments).
///
/// # Errors
/// As of [`send`]. If the first two are equally long, the system may refuse that they go together.
pub fn send_alike(socket: &Socket, replies: &Replies, entries: &[Entry]) -> io::Result<usize> {
    let is_alike = |entry: &&Entry| entries.first().is_some_and(|first| first.len() == entry.len());
    let alike = entries.iter().take(BATCH_DATAGRAMS).take_while(is_alike).count();
    let rows = Rows::of(entries.get(..alike).unwrap_or_default());
    if alike < 2 || rows.len() != 1 || !socket.sends_segments() {
        return send(socket, replies, entries);
    }
    send_rows(socket, replies, entries, &rows, 0).map(|rows| if rows == 0 { 0 } else { alike })
}

/// Sends the rows of `run`, which are entries of `replies`, from row `from` on, without waiting. Returns how many rows.
///
/// An answer leaves from the address that was asked: it goes along as a control message where the socket is a wildcard.
/// A row of several replies is handed over as one piece, with the length at which the kernel cuts it.
///
/// # Errors
/// The first row can't be sent, and nothing was. `WouldBlock`: there is no room at the moment. Everything else is about
/// this one row.
pub(super) fn send_rows(
    socket: &Socket,
    replies: &Replies,
    run: &[Entry],
    rows: &Rows,
    from: usize,
) -> io::Result<usize> {
    // SAFETY: all zeros is a valid mmsghdr and a valid iovec: null pointers with lengths of zero.
    let (mut headers, mut vectors): ([libc::mmsghdr; BATCH_DATAGRAMS], [libc::iovec; BATCH_DATAGRAMS]) =
        unsafe { (mem::zeroed(), mem::zeroed()) };
    let mut names = [Name::default(); BATCH_DATAGRAMS];
    let mut controls = [Control::default(); BATCH_DATAGRAMS];
    let mut count = 0;
    let mut free = &mut vectors[..];
    let places = headers.iter_mut().zip(names.iter_mut().zip(&mut controls));
    for ((header, (name, control)), row) in places.zip(from..rows.len()) {
        let row = rows.row(row);
        let Some((vectors, rest)) = mem::take(&mut free).split_at_mut_checked(row.len()) else { break };
        free = rest;
        let entries = || row.iter().filter_map(|place| run.get(usize::from(*place)));
        for (vector, entry) in vectors.iter_mut().zip(entries()) {
            let octets = replies.octets(entry);
            vector.iov_base = octets.as_ptr().cast_mut().cast();
            vector.iov_len = octets.len();
        }
        let Some(first) = entries().next() else { break };
        header.msg_hdr.msg_iov = vectors.as_mut_ptr();
        header.msg_hdr.msg_iovlen = vectors.len() as _;
        header.msg_hdr.msg_namelen = name.set(first.to.address);
        header.msg_hdr.msg_name = name.0.as_mut_ptr().cast();
        let route = if socket.only_address().is_none() { Some(first.to.route) } else { None };
        let control_octets = control.set(route, (row.len() > 1).then_some(first.len()));
        if control_octets > 0 {
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = control_octets as _;
        }
        count += 1;
    }
    retry(|| {
        // SAFETY: the first `count` headers each point to as many vectors as they say, one name and, if its length is not
        // 0, one control buffer, all on this stack, none used twice, alive and untouched during the call; the vectors
        // point to octets of `replies`, which is borrowed meanwhile and which the kernel only reads. `count` is at most
        // the length of the list.
        unsafe { libc::sendmmsg(socket.descriptor(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) }
    })
}

/// Calls again for as long as a signal interrupts. A number below zero is the system's error.
fn retry(mut call: impl FnMut() -> libc::c_int) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// The way back to the sender `address` of a datagram that came by `socket` to the address `told`.
fn route(socket: &Socket, address: SocketAddr, told: Option<(IpAddr, u32)>) -> Route {
    let local = socket.only_address().or(told.map(|(local, _)| local));
    let interface = match (address, local) {
        // The sender's own address says the interface; it is what the kernel needs to reach it.
        (SocketAddr::V6(sender), _) if sender.ip().is_unicast_link_local() => sender.scope_id(),
        (_, Some(IpAddr::V6(local))) if local.is_unicast_link_local() => told.map_or(0, |(_, interface)| interface),
        // Everybody else is reached by the routing table, which may choose another interface than the one it came by.
        _ => 0,
    };
    Route { listener: socket.listener(), local: local.filter(|local| !local.is_multicast()), interface }
}

/// A socket address in the kernel's layout (`sockaddr_in` or `sockaddr_in6`).
#[derive(Clone, Copy, Default)]
#[repr(C, align(4))]
struct Name([u8; NAME_OCTETS as usize]);

const NAME_OCTETS: libc::socklen_t = 28;
const NAME_OCTETS_V4: libc::socklen_t = 16;
const _: () = assert!(size_of::<libc::sockaddr_in6>() == NAME_OCTETS as usize);
const _: () = assert!(size_of::<libc::sockaddr_in>() == NAME_OCTETS_V4 as usize);

impl Name {
    /// The address in the first `length` octets.
    fn address(&self, length: usize) -> Option<SocketAddr> {
        let name = self.0.get(..length)?;
        let port = u16::from_be_bytes(array(name, 2)?);
        match libc::c_int::from(u16::from_ne_bytes(array(name, 0)?)) {
            libc::AF_INET => Some(SocketAddrV4::new(Ipv4Addr::from(array::<4>(name, 4)?), port).into()),
            libc::AF_INET6 => {
                // Mapped IPv4 addresses don't come here: the sockets refuse them (IPV6_V6ONLY), and from the wire the
                // kernel drops them.
                let ip = Ipv6Addr::from(array::<16>(name, 8)?);
                Some(SocketAddrV6::new(ip, port, 0, u32::from_ne_bytes(array(name, 24)?)).into())
            }
            _ => None,
        }
    }

    /// Writes `address`; returns its length.
    fn set(&mut self, address: SocketAddr) -> libc::socklen_t {
        let mut to = Writer { octets: &mut self.0, at: 0 };
        match address {
            SocketAddr::V4(address) => {
                to.put(&family(libc::AF_INET));
                to.put(&address.port().to_be_bytes());
                to.put(&address.ip().octets());
                NAME_OCTETS_V4
            }
            SocketAddr::V6(address) => {
                to.put(&family(libc::AF_INET6));
                to.put(&address.port().to_be_bytes());
                to.put(&[0; 4]);
                to.put(&address.ip().octets());
                to.put(&address.scope_id().to_ne_bytes());
                NAME_OCTETS
            }
        }
    }
}

fn family(of: libc::c_int) -> [u8; 2] {
    u16::try_from(of).unwrap_or(0).to_ne_bytes()
}

/// Control messages in the kernel's layout: each a length in native words, level, type, data, padding to words.
///
/// Source: cmsg(3), ip(7), ipv6(7); include/linux/socket.h.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_OCTETS]);

/// Room for one in6_pktinfo and the length of segments, or as much of what nobody asked for.
const CONTROL_OCTETS: usize = 64;
const WORD: usize = size_of::<usize>();
const CONTROL_HEADER_OCTETS: usize = (WORD + 8).next_multiple_of(WORD);

impl Default for Control {
    fn default() -> Self {
        Self([0; CONTROL_OCTETS])
    }
}

impl Control {
    /// Level, type and data of each message in the first `length` octets, up to one that is broken.
    fn messages(&self, length: usize) -> impl Iterator<Item = (libc::c_int, libc::c_int, &[u8])> {
        let mut rest = self.0.get(..length).unwrap_or_default();
        iter::from_fn(move || {
            let octets = usize::from_ne_bytes(array(rest, 0)?);
            let data = rest.get(CONTROL_HEADER_OCTETS..octets)?;
            let number = |at| array(rest, at).map(libc::c_int::from_ne_bytes);
            let (level, name) = (number(WORD)?, number(WORD + 4)?);
            rest = rest.get(octets.next_multiple_of(WORD)..).unwrap_or_default();
            Some((level, name, data))
        })
    }

    /// The address that was asked and the interface, from the first `length` octets.
    fn destination(&self, length: usize) -> Option<(IpAddr, u32)> {
        self.messages(length).find_map(|message| match message {
            // in_pktinfo: interface, the local address to answer from, the destination in the header. The last two
            // differ for broadcasts only, which can't be the source of an answer.
            (libc::IPPROTO_IP, libc::IP_PKTINFO, data) => {
                let ip = Ipv4Addr::from(array::<4>(data, 4)?);
                Some((ip.into(), u32::from_ne_bytes(array(data, 0)?)))
            }
            // in6_pktinfo: destination, interface.
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, data) => {
                let ip = Ipv6Addr::from(array::<16>(data, 0)?);
                Some((ip.into(), u32::from_ne_bytes(array(data, 16)?)))
            }
            _ => None,
        })
    }

    /// When the datagram came, from the first `length` octets.
    #[cfg(target_os = "linux")]
    fn arrival(&self, length: usize) -> Option<Wall> {
        self.messages(length).find_map(|message| match message {
            // struct timespec: seconds and nanoseconds, in native words.
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, data) => {
                let number = |at| array(data, at).map(isize::from_ne_bytes);
                let (seconds, nanos) = (i64::try_from(number(0)?).ok()?, i64::try_from(number(WORD)?).ok()?);
                Some(Wall::from_micros(seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000)?))
            }
            _ => None,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn arrival(&self, _: usize) -> Option<Wall> {
        None
    }

    /// Writes the messages that make answers take `route` and cut them at each `length`; returns their length, 0 if the
    /// kernel may choose the one and need not do the other.
    ///
    /// Source: ip(7), ipv6(7), udp(7) (UDP_SEGMENT).
    fn set(&mut self, route: Option<Route>, length: Option<usize>) -> usize {
        let mut to = Writer { octets: &mut self.0, at: 0 };
        if let Some((route, local)) = route.and_then(|route| Some((route, route.local?))) {
            match local {
                IpAddr::V4(source) => {
                    to.put_header(12, libc::IPPROTO_IP, libc::IP_PKTINFO);
                    to.put(&route.interface.to_ne_bytes());
                    to.put(&source.octets());
                    to.put(&[0; 4]);
                }
                IpAddr::V6(source) => {
                    to.put_header(20, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
                    to.put(&source.octets());
                    to.put(&route.interface.to_ne_bytes());
                }
            }
            to.pad();
        }
        if let Some(length) = length.and_then(|length| u16::try_from(length).ok()) {
            to.put_header(2, libc::SOL_UDP, libc::UDP_SEGMENT);
            to.put(&length.to_ne_bytes());
            to.pad();
        }
        to.at
    }
}

/// Writes one thing after the other into octets that have room for it.
struct Writer<'a> {
    octets: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, what: &[u8]) {
        let end = self.at + what.len();
        if let Some(place) = self.octets.get_mut(self.at..end) {
            place.copy_from_slice(what);
        }
        self.at = end;
    }

    /// Messages begin on whole words.
    const fn pad(&mut self) {
        self.at = self.at.next_multiple_of(WORD);
    }

    fn put_header(&mut self, data_octets: usize, level: libc::c_int, kind: libc::c_int) {
        self.put(&(CONTROL_HEADER_OCTETS + data_octets).to_ne_bytes());
        self.put(&level.to_ne_bytes());
        self.put(&kind.to_ne_bytes());
    }
}

/// The `N` octets at `at`.
fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_kernels_layout() {
        for text in ["192.0.2.7:1812", "[2001:db8::7]:3799", "[fe80::7%3]:49152"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = Name::default();
            let length = name.set(address) as usize;
            assert_eq!(name.address(length), Some(address));
            assert_eq!(name.address(7), None);
        }
        assert_eq!(Name::default().address(NAME_OCTETS as usize), None);
    }

    #[test]
    fn the_asked_address_survives_the_kernels_layout() {
        for (text, interface) in [("192.0.2.7", 0), ("2001:db8::7", 0), ("fe80::7", 3)] {
            let local: IpAddr = text.parse().unwrap();
            let mut control = Control::default();
            let length = control.set(Some(Route { listener: 0, local: Some(local), interface }), None);
            assert_eq!(length % WORD, 0);
            assert_eq!(control.destination(length), Some((local, interface)));
        }
        assert_eq!(Control::default().set(Some(Route { listener: 0, local: None, interface: 0 }), None), 0);
        assert_eq!(Control::default().set(None, None), 0);
    }

    #[test]
    fn broken_control_messages_tell_nothing() {
        let control = Control::default();
        for length in [0, 1, WORD, CONTROL_OCTETS, CONTROL_OCTETS + 1] {
            assert_eq!(control.destination(length), None);
        }
        let mut control = Control::default();
        let length =
            control.set(Some(Route { listener: 0, local: Some(Ipv4Addr::LOCALHOST.into()), interface: 0 }), None);
        for octets in [0, 1, CONTROL_HEADER_OCTETS, length, CONTROL_OCTETS + 1, usize::MAX] {
            control.0[..WORD].copy_from_slice(&octets.to_ne_bytes());
            let told = control.destination(CONTROL_OCTETS);
            assert!(told.is_none() || octets == length, "{octets}");
        }
    }

    #[test]
    fn a_message_that_nobody_asked_for_is_passed_over() {
        let mut control = Control::default();
        let mut to = Writer { octets: &mut control.0, at: 0 };
        to.put_header(4, libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
        let unasked = (to.at + 4).next_multiple_of(WORD);
        let mut wanted = Control::default();
        let local = IpAddr::from([192, 0, 2, 1]);
        let length = wanted.set(Some(Route { listener: 0, local: Some(local), interface: 0 }), None);
        control.0[unasked..unasked + length].copy_from_slice(&wanted.0[..length]);
        assert_eq!(control.destination(unasked + length), Some((local, 0)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_stamp_is_read_with_and_without_the_asked_address() {
        let mut control = Control::default();
        let local = IpAddr::from([192, 0, 2, 1]);
        let before = control.set(Some(Route { listener: 0, local: Some(local), interface: 0 }), None);
        assert_eq!(control.arrival(before), None);
        let mut to = Writer { octets: &mut control.0, at: before };
        to.put_header(2 * WORD, libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS);
        to.put(&1_795_348_800_isize.to_ne_bytes());
        to.put(&123_456_789_isize.to_ne_bytes());
        let length = to.at;
        let at = Wall::from_micros(1_795_348_800_123_456);
        assert_eq!((control.arrival(length), control.destination(length)), (Some(at), Some((local, 0))));
        assert_eq!(control.arrival(length - 1), None, "it is cut off");
    }

    #[test]
    fn the_length_of_segments_stands_behind_the_asked_address_and_fits_for_either_family() {
        for local in [IpAddr::from([192, 0, 2, 7]), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let route = Route { listener: 0, local: Some(local), interface: 0 };
            let (mut with, mut without) = (Control::default(), Control::default());
            let alone = without.set(Some(route), None);
            let both = with.set(Some(route), Some(84));
            assert!(both <= CONTROL_OCTETS && with.destination(both) == Some((local, 0)));
            assert_eq!(both - alone, CONTROL_HEADER_OCTETS + WORD);
            assert_eq!(with.0[alone + CONTROL_HEADER_OCTETS..][..2], 84_u16.to_ne_bytes());
        }
    }
}
