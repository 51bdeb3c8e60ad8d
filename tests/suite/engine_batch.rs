//! A batch gets what its datagrams would get one by one: hashing side by side and signing at the end change no octet.

use std::{net::SocketAddr, time::Duration};

use proptest::prelude::*;
use radmit::{
    device::record::Compliance,
    engine::{
        action::{Datagram, Peer, Port, Route},
        arrival::Arrival,
        machine::Machine as _,
    },
    limits::{BATCH_DATAGRAMS, REPLIES_SIGNED_MAX},
    radius::{code::Code, kind, packet::Packet, request::RequestBuffer, secret::Secret},
};

use crate::support::world::{LAPTOP, SECRET, Setting, World};

const MACS: [&str; 5] = [LAPTOP, "A4-C3-F0-66-66-66", "A4-C3-F0-77-77-77", "a4:c3:f0:00:00:01", "a4c3.f000.0002"];

/// What one datagram is.
#[derive(Clone, Debug)]
enum Kind {
    Bypass { mac: usize, password: Vec<u8>, proxy_state: Option<Vec<u8>> },
    Chap { mac: usize },
    Unsigned,
    Forged { at: u16, mask: u8 },
    Accounting { is_signed: bool, mask: u8 },
    Status,
    Noise(Vec<u8>),
}

fn arb_kind() -> impl Strategy<Value = Kind> {
    let octets = |longest| proptest::collection::vec(any::<u8>(), 1..longest);
    let right = (0..MACS.len(), proptest::option::of(octets(20))).prop_map(|(mac, proxy_state)| Kind::Bypass {
        mac,
        password: MACS[mac].into(),
        proxy_state,
    });
    let wrong =
        (0..MACS.len(), octets(60)).prop_map(|(mac, password)| Kind::Bypass { mac, password, proxy_state: None });
    prop_oneof![
        6 => right,
        2 => wrong,
        1 => (0..MACS.len()).prop_map(|mac| Kind::Chap { mac }),
        1 => Just(Kind::Unsigned),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(at, mask)| Kind::Forged { at, mask }),
        2 => (any::<bool>(), prop_oneof![3 => Just(0), 1 => any::<u8>()])
            .prop_map(|(is_signed, mask)| Kind::Accounting { is_signed, mask }),
        1 => Just(Kind::Status),
        1 => octets(80).prop_map(Kind::Noise),
    ]
}

/// The datagram with this number; no two have the same sender and Identifier.
fn datagram(number: usize, what: &Kind) -> (SocketAddr, Port, Vec<u8>) {
    let secret = Secret::new(SECRET.into()).unwrap();
    let identifier = u8::try_from(number % 256).unwrap();
    let authenticator = [identifier ^ 0x5a; 16];
    let mut buffer = RequestBuffer::new();
    buffer.start_request(Code::ACCESS_REQUEST, identifier, &authenticator);
    let mut port = Port::Auth;
    match what {
        Kind::Bypass { mac, password, proxy_state } => {
            buffer.push(kind::USER_NAME, MACS[*mac].as_bytes()).unwrap();
            buffer.push_password(password, &secret).unwrap();
            buffer.push_u32(kind::SERVICE_TYPE, 10).unwrap();
            proxy_state.iter().for_each(|state| buffer.push(kind::PROXY_STATE, state).unwrap());
        }
        Kind::Chap { mac } => {
            buffer.push(kind::USER_NAME, MACS[*mac].as_bytes()).unwrap();
            buffer.push(kind::CHAP_PASSWORD, &[3; 17]).unwrap();
        }
        Kind::Unsigned => {
            buffer.start_unsigned_request(Code::ACCESS_REQUEST, identifier, &authenticator);
            buffer.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
        }
        Kind::Forged { .. } => {
            buffer.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
            buffer.push_password(LAPTOP.as_bytes(), &secret).unwrap();
        }
        Kind::Accounting { is_signed, .. } => {
            port = Port::Acct;
            if *is_signed {
                buffer.start_unsigned_request(Code::ACCOUNTING_REQUEST, identifier, &[0; 16]);
                buffer.push(kind::MESSAGE_AUTHENTICATOR, &[0; 16]).unwrap();
            } else {
                buffer.start_request(Code::ACCOUNTING_REQUEST, identifier, &[0; 16]);
            }
            buffer.push_u32(kind::ACCT_STATUS_TYPE, 1).unwrap();
            buffer.push(kind::ACCT_SESSION_ID, b"0001").unwrap();
        }
        Kind::Status => {
            buffer.start_request(Code::STATUS_SERVER, identifier, &authenticator);
        }
        Kind::Noise(_) => {}
    }
    let mut octets = buffer.sign(&secret).to_vec();
    match what {
        Kind::Forged { at, mask } => {
            let at = usize::from(*at) % octets.len();
            octets[at] ^= mask;
        }
        Kind::Accounting { mask, .. } => octets[4] ^= mask,
        Kind::Noise(noise) => octets.clone_from(noise),
        _ => {}
    }
    let port_number = 40_000 + u16::try_from(number / 256).unwrap();
    (([127, 0, 0, 1], port_number).into(), port, octets)
}

fn world(reject_delay: Duration) -> World {
    let mut world = World::with(Setting { reject_delay, ..Setting::default() });
    for (at, mac) in MACS.iter().enumerate() {
        world.know(mac, if at % 2 == 0 { Compliance::Compliant } else { Compliance::NonCompliant });
    }
    world
}

proptest! {
    #[test]
    fn a_batch_gets_what_its_datagrams_would_get_alone(
        kinds in proptest::collection::vec(arb_kind(), 1..150),
        is_delayed in any::<bool>(),
    ) {
        let datagrams: Vec<_> = kinds.iter().enumerate().map(|(number, kind)| datagram(number, kind)).collect();
        let delay = if is_delayed { Duration::from_secs(1) } else { Duration::ZERO };
        let (mut alone, mut together) = (world(delay), world(delay));
        let expected = alone.send_batches(&datagrams, 1);
        let replies = together.send_batches(&datagrams, BATCH_DATAGRAMS);
        prop_assert_eq!(replies, expected);
        prop_assert_eq!(together.lines(), alone.lines());
        prop_assert_eq!(together.engine.waiting(), alone.engine.waiting());
        // Delayed rejects too, and the stored replies.
        let later = Duration::from_secs(2);
        prop_assert_eq!(together.advance(later), alone.advance(later));
        let sorted = |mut replies: Vec<(Peer, Vec<u8>)>| {
            // A stored reply leaves at once, one that has to be signed at the end of the batch.
            replies.sort_by(|(a, one), (b, other)| (a.address, one).cmp(&(b.address, other)));
            replies
        };
        prop_assert_eq!(
            sorted(together.send_batches(&datagrams, BATCH_DATAGRAMS)),
            sorted(alone.send_batches(&datagrams, 1))
        );
    }
}

#[test]
fn a_repeat_in_the_same_batch_is_answered_once() {
    let mut world = world(Duration::ZERO);
    let request = world.mab(LAPTOP);
    let from: SocketAddr = ([127, 0, 0, 1], 40_000).into();
    let twice = [(from, Port::Auth, request.clone()), (from, Port::Auth, request.clone())];
    let replies = world.send_batches(&twice, 2);
    assert_eq!(replies.len(), 1);
    assert_eq!(Packet::parse(&replies[0].1).unwrap().code(), Code::ACCESS_ACCEPT);
    assert_eq!(world.send(&request), [replies[0].1.clone()]);
}

#[test]
fn more_replies_than_are_signed_at_once_all_leave() {
    let mut world = world(Duration::ZERO);
    let count = 3 * REPLIES_SIGNED_MAX + 7;
    let bypass = Kind::Bypass { mac: 0, password: MACS[0].into(), proxy_state: None };
    let datagrams: Vec<_> = (0..count).map(|number| datagram(number, &bypass)).collect();
    let replies = world.send_batches(&datagrams, count);
    assert_eq!(replies.len(), count);
    assert!(replies.iter().zip(&datagrams).all(|((peer, octets), (from, _, request))| {
        peer.address == *from && octets[1] == request[1] && octets[0] == Code::ACCESS_ACCEPT.0
    }));
}

#[test]
fn conversations_and_status_come_first_and_all_else_keeps_its_order() {
    let mut world = world(Duration::ZERO);
    let with_state = world.request(|buffer, _| buffer.push(kind::STATE, b"of a conversation").unwrap());
    let requests =
        [world.mab(MACS[0]), with_state, b"noise".to_vec(), datagram(0, &Kind::Status).2, world.mab(MACS[1])];
    let peer =
        Peer { address: ([127, 0, 0, 1], 40_000).into(), route: Route { listener: 0, local: None, interface: 0 } };
    let mut batch: Vec<Option<Arrival<'_>>> =
        requests.iter().map(|octets| Some(Datagram { octets, peer, port: Port::Auth }.into())).collect();
    let order = |batch: &[Option<Arrival<'_>>]| -> Vec<usize> {
        let place = |arrival: &Arrival<'_>| requests.iter().position(|octets| octets == arrival.datagram.octets);
        Arrival::in_turn(batch).filter_map(place).collect()
    };
    assert_eq!(order(&batch), [0, 1, 2, 3, 4], "nothing is known before the look");
    world.engine.begin(world.now);
    world.engine.look(&mut batch);
    assert_eq!(order(&batch), [1, 3, 0, 2, 4]);
}
