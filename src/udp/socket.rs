//! The sockets of one listener, one for each shard: [`bind_group`] makes them, [`Readiness`] waits for them.
//!
//! Owns their options and the steering of datagrams to shards. Receiving and sending are the work of `batch`.
//!
//! One of the two files with `unsafe` code: options that neither std nor socket2 know, and the waiting.
#![expect(unsafe_code, reason = "options of sockets and poll(2) have no safe wrapper in std or socket2")]

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::{AsRawFd, RawFd},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
#[cfg(target_os = "linux")]
use std::{
    mem,
    os::fd::{FromRawFd, OwnedFd},
    ptr,
};

use libc::c_int;
use socket2::{Domain, Protocol, SockAddr, Type};

use crate::engine::action::Port;

use super::filter;

/// One socket of one shard.
#[derive(Debug)]
pub struct Socket {
    udp: UdpSocket,
    listener: u16,
    port: Port,
    local: SocketAddr,
    sends_segments: AtomicBool,
}

/// The sockets of one listener in the order of the shards.
#[derive(Debug)]
pub struct Group {
    /// One for each shard.
    pub sockets: Vec<Socket>,
    /// Whether the Identifier chooses the shard. Without it the kernel chooses by the client's address and port, which
    /// keeps retransmissions together too, but gives all of one NAS to one shard.
    pub steered: bool,
}

/// Binds one socket for each of `shards` (1 or more) to `address`; port 0 takes a free one, the same for all.
///
/// `listener`: its place in the configuration; `receive_octets`: the receive buffer that each asks for.
///
/// The port is ours alone: a second radmit can't join the group and silently take a share of the requests.
///
/// # Errors
/// What the system says; the address may be in use, not ours, not permitted.
pub fn bind_group(
    listener: u16,
    port: Port,
    address: SocketAddr,
    shards: usize,
    receive_octets: usize,
) -> io::Result<Group> {
    let bind = |address, sharing| bind(address, sharing, receive_octets);
    // Bound before it may share its port, the first socket is refused if anybody has the port, even somebody who would
    // share it. Only then does it let the others in.
    let first = bind(address, Sharing::Refused)?;
    let local = first.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut raw = vec![first];
    if shards > 1 {
        share(&raw)?;
    }
    for _ in 1..shards {
        raw.push(bind(local, Sharing::Allowed)?);
    }
    let steered = shards > 1 && raw.first().is_some_and(|first| steer(first, shards).is_ok());
    let sockets = raw.into_iter().map(|raw| Socket::new(raw.into(), listener, port, local)).collect();
    Ok(Group { sockets, steered })
}

impl Socket {
    const fn new(udp: UdpSocket, listener: u16, port: Port, local: SocketAddr) -> Self {
        Self { udp, listener, port, local, sends_segments: AtomicBool::new(false) }
    }

    /// Whether replies of one length to one peer are handed to the kernel as one piece (UDP_SEGMENT).
    #[must_use]
    pub fn sends_segments(&self) -> bool {
        self.sends_segments.load(Relaxed)
    }

    /// From now on they are, or not. A new socket sends each reply alone, and so does every one where the system can't do
    /// otherwise.
    pub fn send_segments(&self, may: bool) {
        self.sends_segments.store(may && cfg!(target_os = "linux"), Relaxed);
    }

    /// Sends without checksums from now on, with which the kernel refuses to send segments.
    #[cfg(test)]
    #[cfg(target_os = "linux")]
    pub(super) fn send_no_checksums(&self) {
        set_option(&self.udp, libc::SOL_SOCKET, libc::SO_NO_CHECK, &1).expect("every kernel knows it");
    }

    /// The socket of std.
    #[must_use]
    pub fn udp(&self) -> &UdpSocket {
        &self.udp
    }

    /// Its descriptor.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.udp.as_raw_fd()
    }

    /// The place of its listener in the configuration.
    #[must_use]
    pub const fn listener(&self) -> u16 {
        self.listener
    }

    /// The service it is for.
    #[must_use]
    pub const fn port(&self) -> Port {
        self.port
    }

    /// Its own address, with the port that it really has.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The only address it can be asked at; none for a wildcard.
    #[must_use]
    pub fn only_address(&self) -> Option<IpAddr> {
        let ip = self.local.ip();
        (!ip.is_unspecified()).then_some(ip)
    }

    /// The receive buffer that the kernel granted, in octets.
    ///
    /// # Errors
    /// What the system says.
    pub fn receive_octets(&self) -> io::Result<usize> {
        let granted = socket2::SockRef::from(&self.udp).recv_buffer_size()?;
        // Linux tells twice the size: half of it is for its own bookkeeping.
        Ok(if cfg!(target_os = "linux") { granted / 2 } else { granted })
    }

    /// Datagrams that the kernel dropped because the receive buffer was full (or their checksum wrong, or they were not
    /// [admitted](Self::admit)) since the socket was bound, modulo 2^32. 0 where the system doesn't tell.
    ///
    /// Source: sock(7), SO_MEMINFO. It is exact at any moment; SO_RXQ_OVFL, the other way, tells only with the next
    /// datagram that is received, and costs every datagram a control message.
    #[must_use]
    pub fn kernel_drops(&self) -> u32 {
        self.backlog().map_or(0, |backlog| backlog.dropped)
    }

    /// What waits, and what was dropped. Nothing where the system doesn't tell.
    #[must_use]
    pub fn backlog(&self) -> Option<Backlog> {
        backlog(&self.udp)
    }

    /// From some milliseconds on the kernel tells of each datagram when it came, until then when it was read: [`Inbound::arrivals`](super::batch::Inbound::arrivals).
    ///
    /// # Errors
    /// The system can't.
    pub fn stamp_arrivals(&self) -> io::Result<()> {
        stamp_arrivals(&self.udp)
    }

    /// From now on the kernel takes in as many of all new requests as `admitted` is of [`filter::ALL`]; with that many
    /// everything, whatever it is. `salt` chooses which.
    ///
    /// # Errors
    /// What the system says; everything is as it was then. Systems that don't know such programs always refuse.
    pub fn admit(&self, admitted: u16, salt: u32) -> io::Result<()> {
        admit(&self.udp, admitted, salt)
    }
}

/// What waits in the kernel for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Octets of received datagrams, with the kernel's bookkeeping. May be up to a quarter of the limit too high: the
    /// kernel takes note in portions of what was fetched.
    pub used: u32,
    /// How many there may be. More is dropped.
    pub limit: u32,
    /// Datagrams dropped since the socket was bound, modulo 2^32.
    pub dropped: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Refused,
    Allowed,
}

fn bind(address: SocketAddr, sharing: Sharing, receive_octets: usize) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // Otherwise the IPv6 wildcard would take the port of the IPv4 wildcard too, and IPv4 clients would come with
        // mapped addresses.
        socket.set_only_v6(true)?;
    }
    if sharing == Sharing::Allowed {
        share([&socket])?;
    }
    // Asked for before the first datagram can arrive. With CAP_NET_ADMIN the kernel grants all of it, to others what
    // net.core.rmem_max allows.
    if force_receive_octets(&socket, receive_octets).is_err() {
        socket.set_recv_buffer_size(receive_octets)?;
    }
    tune(&socket, address)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn share<'a>(sockets: impl IntoIterator<Item = &'a socket2::Socket>) -> io::Result<()> {
    sockets.into_iter().try_for_each(|socket| socket.set_reuse_port(true))
}

#[cfg(not(target_os = "linux"))]
fn share<'a>(_: impl IntoIterator<Item = &'a socket2::Socket>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Options of Linux: replies may be fragmented, and the address that was asked is told.
#[cfg(target_os = "linux")]
fn tune(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    let wildcard = address.ip().is_unspecified();
    // Without this a reply longer than the path's MTU would be refused (EMSGSIZE) instead of fragmented.
    if address.is_ipv6() {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, &libc::IPV6_PMTUDISC_DONT)?;
        if wildcard {
            set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, &1)?;
        }
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &libc::IP_PMTUDISC_DONT)?;
        if wildcard {
            set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, &1)?;
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Linux")]
fn tune(_: &socket2::Socket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Source: the kernel's Documentation/networking/timestamping.rst.
#[cfg(target_os = "linux")]
fn stamp_arrivals(socket: &impl AsRawFd) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1)
}

#[cfg(not(target_os = "linux"))]
fn stamp_arrivals(_: &impl AsRawFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Source: socket(7), SO_RCVBUFFORCE.
#[cfg(target_os = "linux")]
fn force_receive_octets(socket: &impl AsRawFd, octets: usize) -> io::Result<()> {
    let octets = c_int::try_from(octets).map_err(|_| io::ErrorKind::InvalidInput)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &octets)
}

#[cfg(not(target_os = "linux"))]
fn force_receive_octets(_: &impl AsRawFd, _: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Lets the Identifier choose the shard, as [`filter::steering`] does.
///
/// To be called when all sockets of the group are bound: the number is the place in the order of binding.
fn steer(socket: &socket2::Socket, shards: usize) -> io::Result<()> {
    let shards = u32::try_from(shards).map_err(|_| io::ErrorKind::InvalidInput)?;
    attach(socket, Program::Steering, &filter::steering(shards))
}

/// Sets an option. `T` must be what the kernel reads for it: a `c_int`, or the C structure of the option.
#[cfg(target_os = "linux")]
fn set_option<T>(socket: &impl AsRawFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let octets = option_octets::<T>();
    // SAFETY: `value` points to `octets` readable octets for the whole call, and the kernel only reads them. A
    // `sock_fprog` points to a program that its caller keeps alive meanwhile. A wrong descriptor is an error.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, ptr::from_ref(value).cast(), octets) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(target_os = "linux")]
fn backlog(socket: &impl AsRawFd) -> Option<Backlog> {
    let numbers = numbers_of_option(socket, libc::SOL_SOCKET, libc::SO_MEMINFO);
    let number = |place| numbers.get(usize::try_from(place).ok()?).copied();
    Some(Backlog {
        used: number(libc::SK_MEMINFO_RMEM_ALLOC)?,
        limit: number(libc::SK_MEMINFO_RCVBUF)?,
        dropped: number(libc::SK_MEMINFO_DROPS)?,
    })
}

/// Which program of a socket is meant.
///
/// Source: socket(7), SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_FILTER and SO_DETACH_FILTER.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    /// The one that chooses among the sockets of a group.
    Steering,
    /// The one that turns datagrams away.
    Filter,
}

fn admit(socket: &impl AsRawFd, admitted: u16, salt: u32) -> io::Result<()> {
    let program = if admitted == filter::ALL { Vec::new() } else { filter::program(admitted, salt) };
    attach(socket, Program::Filter, &program)
}

/// Puts a program in the place of the one before, if there is one; an empty one leaves none.
#[cfg(target_os = "linux")]
fn attach(socket: &impl AsRawFd, which: Program, program: &[filter::Instruction]) -> io::Result<()> {
    if program.is_empty() {
        return set_option(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0);
    }
    let in_words =
        |filter::Instruction { code, jt, jf, k }: &_| libc::sock_filter { code: *code, jt: *jt, jf: *jf, k: *k };
    let mut program: Vec<_> = program.iter().map(in_words).collect();
    let len = libc::c_ushort::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    let option = if which == Program::Steering { libc::SO_ATTACH_REUSEPORT_CBPF } else { libc::SO_ATTACH_FILTER };
    set_option(socket, libc::SOL_SOCKET, option, &program)
}

#[cfg(not(target_os = "linux"))]
fn attach(_: &impl AsRawFd, _: Program, _: &[filter::Instruction]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The numbers of an option that has up to 16 of them; none if the system doesn't know it.
#[cfg(target_os = "linux")]
fn numbers_of_option(socket: &impl AsRawFd, level: c_int, name: c_int) -> Vec<u32> {
    let mut numbers = [0_u32; 16];
    let mut octets = option_octets::<[u32; 16]>();
    // SAFETY: both pointers are to live variables for the whole call, and the kernel writes at most `octets` octets,
    // which is the size of `numbers`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, ptr::from_mut(&mut numbers).cast(), &raw mut octets)
    };
    let told = if result == 0 { octets as usize / size_of::<u32>() } else { 0 };
    numbers.get(..told).unwrap_or_default().to_vec()
}

#[cfg(not(target_os = "linux"))]
fn backlog(_: &impl AsRawFd) -> Option<Backlog> {
    None
}

#[expect(clippy::cast_possible_truncation, reason = "options have some octets; the compiler knows how many")]
#[cfg(target_os = "linux")]
const fn option_octets<T>() -> libc::socklen_t {
    assert!(size_of::<T>() <= 1024, "not the value of an option");
    size_of::<T>() as libc::socklen_t
}

/// Waits until some of a fixed list of descriptors can be read.
#[derive(Debug)]
pub struct Readiness {
    watched: Vec<libc::pollfd>,
}

impl Readiness {
    /// Watches `descriptors`, which the caller keeps open for as long as it waits.
    #[must_use]
    pub fn of(descriptors: impl IntoIterator<Item = RawFd>) -> Self {
        Self { watched: descriptors.into_iter().map(|fd| watch(fd, libc::POLLIN)).collect() }
    }

    /// Waits until at least one can be read, at most for `timeout`; without one for ever.
    ///
    /// Errors of a descriptor count as readable: reading tells them. If the waiting itself fails or is interrupted,
    /// none is readable.
    ///
    /// # Errors
    /// What the system says, `Interrupted` included.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let result = poll(&mut self.watched, timeout);
        if result.is_err() {
            self.watched.iter_mut().for_each(|watched| watched.revents = 0);
        }
        result
    }

    /// Whether the descriptor at `place` of the list could be read.
    #[must_use]
    pub fn is_ready(&self, place: usize) -> bool {
        self.watched.get(place).is_some_and(|watched| watched.revents != 0)
    }
}

/// An instance of epoll that watches `descriptors`, each under its place in the list; the caller keeps them open.
#[cfg(target_os = "linux")]
pub(super) fn epoll_of(descriptors: impl IntoIterator<Item = RawFd>) -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointer.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if epoll < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made just now, and nobody else knows it.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    for (place, descriptor) in (0..).zip(descriptors) {
        let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: place };
        // SAFETY: `event` is alive during the call, which only reads it. A wrong descriptor is an error.
        if unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &raw mut event) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(epoll)
}

/// Appends the places of some that can be read now, without waiting; the others come the next time.
#[cfg(target_os = "linux")]
pub(super) fn epoll_ready(epoll: &OwnedFd, ready: &mut Vec<usize>) -> io::Result<()> {
    const TOLD_MAX: c_int = 256;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; TOLD_MAX.cast_unsigned() as usize];
    // SAFETY: the list is alive during the call, and the kernel writes at most as many as are said here.
    let told = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), TOLD_MAX, 0) };
    let told = usize::try_from(told).map_err(|_| io::Error::last_os_error())?;
    ready.extend(events.iter().take(told).filter_map(|event| usize::try_from(event.u64).ok()));
    Ok(())
}

/// Waits until `socket` takes datagrams to send again, at most for `timeout`. True if it does.
#[must_use]
pub fn wait_for_room(socket: &Socket, timeout: Duration) -> bool {
    let mut watched = [watch(socket.descriptor(), libc::POLLOUT)];
    poll(&mut watched, Some(timeout)).is_ok() && watched.iter().all(|watched| watched.revents != 0)
}

const fn watch(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd, events, revents: 0 }
}

#[cfg(target_os = "linux")]
fn poll(watched: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<()> {
    // SAFETY: all zeros is a valid timespec; its fields are numbers.
    let mut limit: libc::timespec = unsafe { mem::zeroed() };
    if let Some(timeout) = timeout {
        limit.tv_sec = libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX);
        limit.tv_nsec = timeout.subsec_nanos().into();
    }
    let limit = if timeout.is_some() { ptr::from_ref(&limit) } else { ptr::null() };
    let count = watched.len() as libc::nfds_t;
    // SAFETY: `watched` is a live list of `count` pollfd, which the kernel reads and writes
    // only during the call; `limit` is null or points to a live timespec; a null signal mask changes nothing.
    let result = unsafe { libc::ppoll(watched.as_mut_ptr(), count, limit, ptr::null()) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn poll(watched: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<()> {
    // Rounded up: waking too early would mean to wait again for nothing.
    let millis =
        timeout.map_or(-1, |timeout| c_int::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(c_int::MAX));
    let count = libc::nfds_t::try_from(watched.len()).unwrap_or(0);
    // SAFETY: `watched` is a live list of `count` pollfd, which the kernel reads and writes
    // only during the call.
    let result = unsafe { libc::poll(watched.as_mut_ptr(), count, millis) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::{clock, udp::batch::Inbound};

    #[test]
    fn replies_longer_than_the_mtu_may_be_fragmented() {
        for (address, level, name) in [
            ("0.0.0.0:0", libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
            ("127.0.0.1:0", libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
            ("[::]:0", libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
            ("[::1]:0", libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
        ] {
            let group = bind_group(0, Port::Auth, address.parse().unwrap(), 2, 65_536).unwrap();
            for socket in &group.sockets {
                assert_eq!(numbers_of_option(&socket.udp, level, name), [0], "IP_PMTUDISC_DONT at {address}");
            }
        }
    }

    #[test]
    fn a_group_has_one_port_and_the_kernel_steers_it() {
        let group = bind_group(7, Port::Acct, "127.0.0.1:0".parse().unwrap(), 3, 65_536).unwrap();
        assert!(group.steered);
        let [first, second, third] = &group.sockets[..] else { panic!("{group:?}") };
        assert!(first.local().port() != 0 && first.local() == second.local() && second.local() == third.local());
        assert_eq!((third.listener(), third.port()), (7, Port::Acct));
    }

    #[test]
    fn the_receive_buffer_is_what_was_asked_for() {
        let group = bind_group(0, Port::Auth, "127.0.0.1:0".parse().unwrap(), 1, 50_000).unwrap();
        assert_eq!(group.sockets[0].receive_octets().unwrap(), 50_000);
    }

    #[test]
    fn an_arrival_is_when_a_datagram_came_and_not_when_it_was_read() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let group = bind_group(0, Port::Auth, address.parse().unwrap(), 1, 65_536).unwrap();
            let (ours, client) = (&group.sockets[0], UdpSocket::bind(address).unwrap());
            client.connect(ours.local()).unwrap();
            let mut inbound = Inbound::new();
            let mut send_and_read_later = || {
                let (before, pause) = (clock::now().wall, Duration::from_millis(30));
                client.send(&[7; 20]).unwrap();
                std::thread::park_timeout(pause);
                while clock::now().wall.since(before) < pause {}
                assert_eq!(inbound.receive(ours).unwrap(), 1);
                (before, inbound.arrivals().collect::<Vec<_>>(), clock::now().wall.minus(pause / 2))
            };
            assert_eq!(send_and_read_later().1, [None], "nobody asked for it");
            ours.stamp_arrivals().unwrap();
            // The kernel begins with it some time after it was asked.
            let is_stamped = (0..100).any(|_| {
                let (before, arrivals, long_after) = send_and_read_later();
                let [Some(arrival)] = arrivals[..] else { panic!("{arrivals:?}") };
                before <= arrival && arrival < long_after
            });
            assert!(is_stamped, "{address}");
        }
    }

    #[test]
    fn a_shut_valve_lets_in_conversations_and_status_and_an_open_one_everything() {
        let packet = |code: u8, identifier: u8, attributes: &[u8]| {
            let length = u8::try_from(20 + attributes.len()).unwrap();
            [&[code, identifier, 0, length][..], &[0x5a; 16], attributes].concat()
        };
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let group = bind_group(0, Port::Auth, address.parse().unwrap(), 1, 65_536).unwrap();
            let ours = &group.sockets[0];
            let client = UdpSocket::bind(address).unwrap();
            client.connect(ours.local()).unwrap();
            // Loopback delivers within the call that sends.
            let arrived = || {
                let mut identifiers = Vec::new();
                let mut room = [0; 100];
                while let Ok(octets) = ours.udp().recv(&mut room) {
                    identifiers.push(if octets > 1 { room[1] } else { 0 });
                }
                identifiers
            };
            let send_all = || {
                client.send(&packet(1, 1, &[1, 3, b'a'])).unwrap();
                client.send(&packet(1, 2, &[1, 3, b'a', 24, 3, b's'])).unwrap();
                client.send(&packet(12, 3, &[])).unwrap();
                client.send(&packet(1, 4, &[1, 9])).unwrap();
                client.send(b"x").unwrap();
                client.send(&packet(1, 6, &[])).unwrap();
            };
            ours.admit(0, 1).unwrap();
            send_all();
            assert_eq!(arrived(), [2, 3, 4, 0], "{address}");
            assert_eq!(ours.kernel_drops(), 2, "what is turned away is counted");
            // Another program takes the place of the first, and half of what begins something comes in, many in a row;
            // with the next one the other half.
            let admitted = [0, 1 << 31].map(|salt| {
                ours.admit(0x8000, salt).unwrap();
                (0..=255).for_each(|identifier| assert_eq!(client.send(&packet(1, identifier, &[])).unwrap(), 20));
                arrived()
            });
            for identifiers in &admitted {
                assert!((96..160).contains(&identifiers.len()), "{} of 256 at even chances", identifiers.len());
                let in_a_row = identifiers.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
                assert!(in_a_row > identifiers.len() * 2 / 3, "{in_a_row}: {identifiers:?}");
            }
            let [one, other] = &admitted;
            let in_both = one.iter().filter(|identifier| other.contains(identifier)).count();
            assert!(in_both < 32, "{in_both} in both: {admitted:?}");
            ours.admit(filter::ALL, 1).unwrap();
            send_all();
            assert_eq!(arrived(), [1, 2, 3, 4, 0, 6]);
            let backlog = ours.backlog().unwrap();
            assert_eq!((backlog.used, backlog.limit), (0, 131_072));
        }
    }

    #[test]
    fn waiting_ends_with_its_timeout_and_nothing_is_ready_then() {
        let group = bind_group(0, Port::Auth, "127.0.0.1:0".parse().unwrap(), 1, 65_536).unwrap();
        let mut ready = Readiness::of([group.sockets[0].descriptor()]);
        ready.wait(Some(Duration::from_millis(1))).unwrap();
        assert!(!ready.is_ready(0) && !ready.is_ready(1));
        assert!(wait_for_room(&group.sockets[0], Duration::from_secs(1)));
    }
}
