//! Datagrams over real loopback sockets, with toy machines in the place of the engine.
//!
//! Every wait has a deadline, every port is one that the system chose.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use radmit::{
    clock::{self, Mono, Now},
    device::{
        identifier::MacAddress,
        question::{Answer, Answers, Key, Outcome, ServerIndex},
    },
    engine::{
        action::{Outbox, Peer, Port},
        arrival::Arrival,
        machine::Machine,
        work::Done,
    },
    limits,
    udp::{BindError, ListenCause, Running, Settings, Shortcoming, StartError, Udp, echo::Echo},
};

const PATIENCE: Duration = Duration::from_secs(20);

// --- toys ------------------------------------------------------------------------------------------------------------

/// A machine that does what the datagram says, and tells the test about it.
struct Toy {
    shard: u8,
    told: Sender<Told>,
    parked: Vec<Peer>,
    wake_at: Mono,
    expire_panics: bool,
    end_panics: bool,
}

/// What the toy tells.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Handled { port: Port, listener: u16, local: Option<IpAddr>, octets: usize },
    Parked,
    Resumed,
    Expired,
    Ended,
    Draining,
}

impl Toy {
    fn machine(shard: usize, told: &Sender<Told>) -> Box<dyn Machine + Send> {
        Box::new(Self {
            shard: u8::try_from(shard).unwrap(),
            told: told.clone(),
            parked: Vec::new(),
            wake_at: Mono::NEVER,
            expire_panics: false,
            end_panics: false,
        })
    }

    fn tell(&self, what: Told) {
        // A test that doesn't listen doesn't want to know.
        let _ = self.told.send(what);
    }
}

impl Machine for Toy {
    fn begin(&mut self, _: Now) {}

    fn handle(&mut self, now: Now, arrival: &Arrival<'_>, out: &mut dyn Outbox) {
        let datagram = arrival.datagram;
        let Peer { route, .. } = datagram.peer;
        let octets = datagram.octets.len();
        self.tell(Told::Handled { port: datagram.port, listener: route.listener, local: route.local, octets });
        match datagram.octets {
            b"park" => {
                self.parked.push(datagram.peer);
                self.tell(Told::Parked);
            }
            b"alarm" => {
                self.parked.push(datagram.peer);
                self.wake_at = now.mono.plus(Duration::from_millis(20));
            }
            b"long" => out.send(&datagram.peer, &[0x5a; limits::PACKET_OCTETS_MAX]),
            b"panic" => {
                out.send(&datagram.peer, b"half a reply");
                panic!("the toy was told to");
            }
            b"panic in expire" => {
                self.expire_panics = true;
                self.wake_at = now.mono;
            }
            b"panic in end" => {
                out.send(&datagram.peer, b"not acknowledged");
                self.end_panics = true;
            }
            b"misdirect" => {
                let nowhere = Peer { address: (Ipv4Addr::LOCALHOST, 0).into(), ..datagram.peer };
                out.send(&nowhere, b"lost");
                out.send(&datagram.peer, b"arrives");
            }
            octets => {
                let mut reply = vec![self.shard];
                reply.extend_from_slice(octets);
                out.send(&datagram.peer, &reply);
            }
        }
    }

    fn finished(&mut self, _: Now, _: Done, _: &mut dyn Outbox) {}
    fn resume(&mut self, _: Now, _: &Answer, out: &mut dyn Outbox) {
        for peer in self.parked.drain(..) {
            out.send(&peer, b"resumed");
        }
        self.tell(Told::Resumed);
    }

    fn expire(&mut self, now: Now, out: &mut dyn Outbox) {
        if now.mono < self.wake_at {
            return;
        }
        self.tell(Told::Expired);
        assert!(!self.expire_panics, "the toy was told to");
        self.wake_at = Mono::NEVER;
        for peer in self.parked.drain(..) {
            out.send(&peer, b"late");
        }
    }

    fn end(&mut self, _: Now, _: &mut dyn Outbox) {
        if std::mem::take(&mut self.end_panics) {
            self.tell(Told::Ended);
            panic!("the toy was told to");
        }
    }

    fn wake_at(&self) -> Mono {
        self.wake_at
    }

    fn drain(&mut self) {
        self.tell(Told::Draining);
    }

    fn waiting(&self) -> usize {
        self.parked.len()
    }
}

fn settings(auth_listen: &[&str], acct_listen: &[&str], shards: usize) -> Settings {
    let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Settings { auth_listen: parse(auth_listen), acct_listen: parse(acct_listen), shards, ..Settings::default() }
}

fn start(settings: &Settings) -> (Running, Receiver<Told>) {
    run(Udp::bind(settings).unwrap())
}

fn run(udp: Udp) -> (Running, Receiver<Told>) {
    let (told, listen) = mpsc::channel();
    let machines = (0..udp.shards()).map(|shard| Toy::machine(shard, &told)).collect();
    (udp.run(machines).unwrap(), listen)
}

/// A client on loopback that talks with one address.
fn client(server: SocketAddr) -> UdpSocket {
    let loopback: IpAddr = if server.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let client = UdpSocket::bind((loopback, 0)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    // A connected socket hears only the address that it asked.
    client.connect(server).unwrap();
    client
}

fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut octets = [0; 8192];
    let length = client.recv(&mut octets).expect("a reply came in time");
    octets[..length].to_vec()
}

fn ask(client: &UdpSocket, octets: &[u8]) -> Vec<u8> {
    client.send(octets).unwrap();
    receive(client)
}

fn at(ip: impl Into<IpAddr>, of: SocketAddr) -> SocketAddr {
    (ip.into(), of.port()).into()
}

fn answer() -> Answer {
    let mac = MacAddress::parse(b"02-00-5E-00-00-01").unwrap();
    Answer { server: ServerIndex(0), key: Key::Mac(mac), outcome: Outcome::NotFound }
}

fn stop(running: Running) {
    running.stop(clock::now().mono);
    assert_eq!(running.join(), 0, "no shard ended by a bug");
}

// --- steering --------------------------------------------------------------------------------------------------------

#[test]
fn an_identifier_always_meets_the_same_shard_and_all_shards_get_their_share() {
    let (running, _told) = start(&settings(&["127.0.0.1:0"], &[], 4));
    let client = client(running.listeners()[0].address);
    let mut shares = HashMap::<u8, usize>::new();
    for identifier in 0..=255 {
        let first = ask(&client, &[1, identifier, 0, 20]);
        assert_eq!(first[2], identifier);
        assert_eq!(ask(&client, &[1, identifier, 0, 20, 99])[0], first[0], "a retransmission meets its request");
        *shares.entry(first[0]).or_default() += 1;
    }
    assert_eq!(shares, HashMap::from([(0, 64), (1, 64), (2, 64), (3, 64)]));
    stop(running);
}

#[test]
fn a_datagram_too_short_for_an_identifier_still_arrives() {
    let (running, told) = start(&settings(&["127.0.0.1:0"], &[], 3));
    let client = client(running.listeners()[0].address);
    for octets in [&[][..], &[1]] {
        client.send(octets).unwrap();
        let Told::Handled { octets: length, .. } = told.recv_timeout(PATIENCE).unwrap() else { panic!() };
        assert_eq!(length, octets.len());
        receive(&client);
    }
    stop(running);
}

// --- addresses -------------------------------------------------------------------------------------------------------

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    let (running, told) = start(&settings(&["0.0.0.0:0"], &[], 2));
    for asked in [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 7, 8, 9), Ipv4Addr::LOCALHOST] {
        let client = client(at(asked, running.listeners()[0].address));
        assert_eq!(ask(&client, &[1, 7])[1..], [1, 7]);
        let Told::Handled { local, .. } = told.recv_timeout(PATIENCE).unwrap() else { panic!() };
        assert_eq!(local, Some(asked.into()));
    }
    stop(running);
}

#[test]
fn both_wildcards_share_a_port_and_ipv6_is_answered_too() {
    // The port that the system chose for IPv4 may by chance be taken for IPv6.
    let (v4, v6) = (0..20)
        .find_map(|_| {
            let v4 = Udp::bind(&settings(&["0.0.0.0:0"], &[], 1)).unwrap();
            let port = v4.listeners()[0].address.port();
            Some((v4, Udp::bind(&settings(&[&format!("[::]:{port}")], &[], 2)).ok()?))
        })
        .unwrap();
    let port = v4.listeners()[0].address.port();
    let ((v4, _told), (v6, told)) = (run(v4), run(v6));
    let over_v6 = client((Ipv6Addr::LOCALHOST, port).into());
    assert_eq!(ask(&over_v6, &[1, 3])[1..], [1, 3]);
    assert_eq!(
        told.recv_timeout(PATIENCE).unwrap(),
        Told::Handled { port: Port::Auth, listener: 0, local: Some(Ipv6Addr::LOCALHOST.into()), octets: 2 }
    );
    let over_v4 = client((Ipv4Addr::LOCALHOST, port).into());
    assert_eq!(ask(&over_v4, &[1, 3])[1..], [1, 3]);
    stop(v4);
    stop(v6);
}

#[test]
fn every_listener_is_served_under_its_own_number() {
    let listen = settings(&["127.0.0.1:0", "[::1]:0"], &["0.0.0.0:0", "127.0.0.3:0"], 2);
    let (running, told) = start(&listen);
    let listeners = running.listeners().to_vec();
    assert_eq!(listeners.len(), 4);
    for (place, listener) in (0..).zip(listeners) {
        let asked =
            if listener.address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listener.address.ip() };
        let client = client(at(asked, listener.address));
        assert_eq!(ask(&client, &[4, 1])[1..], [4, 1]);
        let port = if place < 2 { Port::Auth } else { Port::Acct };
        assert_eq!(
            told.recv_timeout(PATIENCE).unwrap(),
            Told::Handled { port, listener: place, local: Some(asked), octets: 2 }
        );
    }
    stop(running);
}

// --- sizes -----------------------------------------------------------------------------------------------------------

#[test]
fn the_longest_reply_arrives_whole() {
    let (running, _told) = start(&settings(&["0.0.0.0:0", "[::1]:0"], &[], 1));
    let listeners = running.listeners();
    for server in [at(Ipv4Addr::LOCALHOST, listeners[0].address), listeners[1].address] {
        assert_eq!(ask(&client(server), b"long"), [0x5a; limits::PACKET_OCTETS_MAX]);
    }
    stop(running);
}

#[test]
fn an_overlong_datagram_arrives_as_overlong() {
    let (running, told) = start(&settings(&["127.0.0.1:0"], &[], 1));
    let client = client(running.listeners()[0].address);
    for (sent, seen) in [(4096, 4096), (4097, 4097), (4098, 4097), (20_000, 4097)] {
        client.send(&vec![1; sent]).unwrap();
        let Told::Handled { octets, .. } = told.recv_timeout(PATIENCE).unwrap() else { panic!() };
        assert_eq!(octets, seen);
    }
    stop(running);
}

#[test]
fn a_batch_keeps_its_datagrams_apart() {
    // All of them wait in the kernel before the shard starts, so that they come in full batches.
    let udp = Udp::bind(&settings(&["127.0.0.1:0"], &[], 1)).unwrap();
    let server = udp.listeners()[0].address;
    let clients: Vec<_> = (0..5_u8).map(|_| client(server)).collect();
    for identifier in 0..60_u8 {
        for (number, client) in (0..).zip(&clients) {
            client.send(&[number, identifier].repeat(1 + usize::from(identifier))).unwrap();
        }
    }
    let (running, _told) = run(udp);
    for identifier in 0..60_u8 {
        for (number, client) in (0..).zip(&clients) {
            assert_eq!(receive(client)[1..], [number, identifier].repeat(1 + usize::from(identifier)));
        }
    }
    let cells = Arc::clone(&running.cells()[0]);
    stop(running);
    assert_eq!((cells.received.value(), cells.sent.value(), cells.send_failed.value()), (300, 300, 0));
}

// --- answers, time, stopping -----------------------------------------------------------------------------------------

#[test]
fn an_answer_wakes_a_sleeping_shard() {
    let (running, told) = start(&settings(&["127.0.0.1:0"], &[], 1));
    let client = client(running.listeners()[0].address);
    for _ in 0..3 {
        client.send(b"park").unwrap();
        while told.recv_timeout(PATIENCE).unwrap() != Told::Parked {}
        running.mailboxes()[0].deliver(answer());
        assert_eq!(receive(&client), b"resumed");
    }
    stop(running);
}

#[test]
fn more_answers_than_one_batch_are_all_taken() {
    let (running, told) = start(&settings(&["127.0.0.1:0"], &[], 1));
    for _ in 0..10 * limits::BATCH_DATAGRAMS + 1 {
        running.mailboxes()[0].deliver(answer());
    }
    for _ in 0..10 * limits::BATCH_DATAGRAMS + 1 {
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), Told::Resumed);
    }
    stop(running);
}

#[test]
fn a_deadline_of_the_machine_wakes_the_shard() {
    let (running, _told) = start(&settings(&["127.0.0.1:0"], &[], 1));
    assert_eq!(ask(&client(running.listeners()[0].address), b"alarm"), b"late");
    stop(running);
}

#[test]
fn a_stop_answers_what_waits_and_then_ends() {
    let (running, told) = start(&settings(&["127.0.0.1:0"], &[], 1));
    let client = client(running.listeners()[0].address);
    client.send(b"park").unwrap();
    while told.recv_timeout(PATIENCE).unwrap() != Told::Parked {}
    running.stop(clock::now().mono.plus(10 * PATIENCE));
    while told.recv_timeout(PATIENCE).unwrap() != Told::Draining {}
    // Draining is the machine's business; the shard still brings it what arrives.
    assert_eq!(ask(&client, &[1, 1]), [0, 1, 1]);
    let shards = running.shards().clone();
    assert_eq!(shards.ailment(), None);
    running.mailboxes()[0].deliver(answer());
    assert_eq!(receive(&client), b"resumed");
    assert_eq!(running.join(), 0);
    assert!(shards.ailment().is_some_and(|ailment| ailment.contains("of 1 shards")));
}

#[test]
fn a_stop_ends_at_its_deadline_whatever_waits() {
    // An address of its own, so that no other test is given its port meanwhile.
    let (running, told) = start(&settings(&["127.0.0.77:0"], &[], 2));
    let address = running.listeners()[0].address;
    client(address).send(b"park").unwrap();
    while told.recv_timeout(PATIENCE).unwrap() != Told::Parked {}
    running.stop(clock::now().mono.plus(Duration::from_millis(30)));
    let kernel_drops = running.kernel_drops().clone();
    assert_eq!(running.join(), 0);
    assert_eq!(kernel_drops.total(), 0);
    // The port is free again, although somebody still holds the counter.
    Udp::bind(&settings(&[&address.to_string()], &[], 1)).unwrap();
}

#[test]
fn a_flood_on_one_port_does_not_starve_the_other() {
    let udp = Udp::bind(&settings(&["127.0.0.1:0"], &["127.0.0.1:0"], 1)).unwrap();
    let [auth, acct] = [0, 1].map(|place| client(udp.listeners()[place].address));
    for _ in 0..5 * limits::BATCH_DATAGRAMS {
        auth.send(&[1, 1]).unwrap();
    }
    acct.send(&[4, 1]).unwrap();
    let (running, told) = run(udp);
    assert_eq!(receive(&acct), [0, 4, 1]);
    let before = (0..)
        .take_while(|_| !matches!(told.recv_timeout(PATIENCE).unwrap(), Told::Handled { port: Port::Acct, .. }))
        .count();
    assert_eq!(before, limits::BATCH_DATAGRAMS);
    stop(running);
}

// --- failures --------------------------------------------------------------------------------------------------------

#[test]
fn a_panic_over_one_datagram_is_counted_and_the_next_is_answered() {
    let (running, _told) = start(&settings(&["127.0.0.1:0"], &[], 1));
    let client = client(running.listeners()[0].address);
    for round in 1..=3 {
        client.send(b"panic").unwrap();
        // What the call had queued before it panicked doesn't leave: this is the first that arrives.
        assert_eq!(ask(&client, &[1, 1]), [0, 1, 1]);
        assert_eq!(running.cells()[0].bugs.value(), round);
    }
    stop(running);
}

#[test]
fn a_panic_in_the_timers_leaves_the_packets_alone() {
    let (running, told) = start(&settings(&["127.0.0.1:0"], &[], 1));
    let client = client(running.listeners()[0].address);
    client.send(b"panic in expire").unwrap();
    while told.recv_timeout(PATIENCE).unwrap() != Told::Expired {}
    for _ in 0..100 {
        assert_eq!(ask(&client, &[1, 1]), [0, 1, 1]);
    }
    // The timers are tried again, but not with every packet.
    while told.recv_timeout(PATIENCE).unwrap() != Told::Expired {}
    assert!(running.cells()[0].bugs.value() < 50);
    stop(running);
}

#[test]
fn nothing_of_a_batch_leaves_that_did_not_end() {
    let (running, told) = start(&settings(&["127.0.0.1:0"], &[], 1));
    let client = client(running.listeners()[0].address);
    client.send(b"panic in end").unwrap();
    while told.recv_timeout(PATIENCE).unwrap() != Told::Ended {}
    assert_eq!(ask(&client, &[1, 1]), [0, 1, 1]);
    assert_eq!(running.cells()[0].bugs.value(), 1);
    stop(running);
}

#[test]
fn a_reply_that_can_not_be_sent_is_counted_and_the_next_leaves() {
    let (running, _told) = start(&settings(&["0.0.0.0:0"], &[], 1));
    assert_eq!(ask(&client(at(Ipv4Addr::LOCALHOST, running.listeners()[0].address)), b"misdirect"), b"arrives");
    let cells = Arc::clone(&running.cells()[0]);
    stop(running);
    assert_eq!((cells.sent.value(), cells.send_failed.value()), (1, 1));
}

#[test]
#[cfg(target_os = "linux")]
fn what_the_kernel_drops_is_counted() {
    // Nobody reads yet, so the buffer must overflow.
    let udp = Udp::bind(&Settings { receive_octets: 8_192, ..settings(&["127.0.0.1:0"], &[], 2) }).unwrap();
    assert!(udp.receive_octets() <= 16_384);
    let client = client(udp.listeners()[0].address);
    for _ in 0..500 {
        client.send(&[0; 1_000]).unwrap();
    }
    let kernel_drops = udp.kernel_drops();
    let dropped = kernel_drops.total();
    assert!(dropped > 400, "{dropped}");
    let (running, told) = run(udp);
    let received = usize::try_from(500 - dropped).unwrap();
    assert_eq!((0..received).filter(|_| told.recv_timeout(PATIENCE).is_ok()).count(), received);
    assert_eq!(running.kernel_drops().total(), dropped);
    stop(running);
}

#[test]
#[cfg(target_os = "linux")]
fn a_receive_buffer_that_the_kernel_does_not_give_is_a_shortcoming() {
    let asking = |receive_octets| {
        Udp::bind(&Settings { receive_octets, ..settings(&["127.0.0.1:0"], &[], 2) }).unwrap().shortcomings()
    };
    assert_eq!(asking(65_536), []);
    // More than the kernel can count, with whatever privilege.
    let told = asking(1 << 31);
    assert!(
        matches!(told[..], [Shortcoming::ReceiveBuffer { asked: 2_147_483_648, granted }] if granted > 0),
        "{told:?}"
    );
}

#[test]
fn a_port_that_somebody_has_is_refused_even_if_they_would_share_it() {
    let taken = Udp::bind(&settings(&["127.0.0.1:0"], &[], 2)).unwrap();
    let address = taken.listeners()[0].address;
    for shards in [1, 2] {
        let refused = Udp::bind(&settings(&["127.0.0.1:0"], &[&address.to_string()], shards));
        let Err(BindError::Listen { port, address: named, cause, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((port, named, cause), (Port::Acct, address, ListenCause::InUse));
    }
}

#[test]
fn listen_addresses_that_cover_each_other_are_refused_by_name() {
    for (auth, acct) in [("0.0.0.0:1812", "127.0.0.1:1812"), ("[::1]:1813", "[::1]:1813")] {
        let refused = Udp::bind(&settings(&[auth], &[acct], 1));
        let Err(BindError::Overlap { first, second }) = refused else { panic!("{refused:?}") };
        assert_eq!((first.to_string().as_str(), second.to_string().as_str()), (auth, acct));
    }
}

#[test]
fn too_many_shards_or_addresses_are_refused() {
    let shards = Udp::bind(&settings(&["127.0.0.1:0"], &[], limits::SHARDS_MAX + 1));
    assert!(matches!(shards, Err(BindError::TooManyShards { given }) if given == limits::SHARDS_MAX + 1));
    let many = vec!["127.0.0.1:0"; limits::LISTENERS_MAX + 1];
    assert!(matches!(Udp::bind(&settings(&many, &[], 1)), Err(BindError::TooManyListeners { .. })));
}

#[test]
fn every_shard_needs_its_machine() {
    let udp = Udp::bind(&settings(&["127.0.0.1:0"], &[], 2)).unwrap();
    let refused = udp.run(vec![Toy::machine(0, &mpsc::channel().0)]);
    assert!(matches!(refused, Err(StartError::Machines { given: 1, shards: 2 })));
}

// --- the yardstick ---------------------------------------------------------------------------------------------------

#[test]
fn an_echo_gives_back_what_it_gets() {
    let echo = Echo::start("127.0.0.1:0".parse().unwrap(), 2).unwrap();
    let client = client(echo.address());
    for identifier in 0..100 {
        assert_eq!(ask(&client, &[1, identifier, 7]), [1, identifier, 7]);
    }
    assert_eq!(echo.cells().received.value(), 100);
}
