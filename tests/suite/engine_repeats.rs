//! Identifiers that a client uses again: which of two requests is answered, and which is not.
//!
//! Owns what a newer request does to an older one on its way. The table itself is tested where it stands.

use std::time::Duration;

use radmit::{
    device::question::{Key, Outcome},
    engine::{Room, action::Port},
    radius::{code::Code, kind, request::RequestBuffer, secret::Secret},
};

use crate::support::world::{LAPTOP, SECRET, SERVER, Setting, World, code_of, mac};

const PHONE: &str = "a4c3f0445566";
const BLOCKED: &str = "a4c3f0666666";

/// A MAC bypass with this Identifier.
fn bypass(identifier: u8, mac: &str) -> Vec<u8> {
    let secret = Secret::new(SECRET.into()).unwrap();
    let mut buffer = RequestBuffer::new();
    buffer.start_request(Code::ACCESS_REQUEST, identifier, &[0x55; 16]);
    buffer.push(kind::USER_NAME, mac.as_bytes()).unwrap();
    buffer.push_password(mac.as_bytes(), &secret).unwrap();
    buffer.sign(&secret).to_vec()
}

fn key(text: &str) -> Key {
    Key::Mac(mac(text))
}

#[test]
fn a_request_whose_identifier_is_used_again_while_it_waits_gets_no_reply() {
    let mut world = World::new();
    let (old, new) = (bypass(7, LAPTOP), bypass(7, PHONE));
    assert!(world.send(&old).is_empty() && world.send(&new).is_empty());
    assert_eq!(world.asked().len(), 2);
    assert!(world.answer(SERVER, key(LAPTOP), Outcome::NotFound).is_empty(), "the client waits for the other one");
    let replies = world.answer(SERVER, key(PHONE), Outcome::NotFound);
    assert_eq!(code_of(&replies, &new), Code::ACCESS_ACCEPT);
    assert_eq!(world.lines().len(), 1, "what is not answered is not decided");
    assert_eq!(world.send(&new), replies);
    let snapshot = world.shared.load_full();
    let cells = &snapshot.clients.list()[0].cells[0];
    assert_eq!(cells.responses[1].value(), 2, "the reply and its repeat");
}

#[test]
fn a_delayed_reject_whose_identifier_is_used_again_never_leaves() {
    let mut world = World::with(Setting { reject_delay: Duration::from_secs(1), ..Setting::default() });
    let old = bypass(7, BLOCKED);
    world.send(&old);
    assert!(world.answer(SERVER, key(BLOCKED), Outcome::NotFound).is_empty());
    let new = bypass(7, LAPTOP);
    world.send(&new);
    let replies = world.answer(SERVER, key(LAPTOP), Outcome::NotFound);
    assert_eq!(code_of(&replies, &new), Code::ACCESS_ACCEPT);
    assert!(world.advance(Duration::from_secs(2)).is_empty());
    let snapshot = world.shared.load_full();
    let cells = &snapshot.clients.list()[0].cells[0];
    assert_eq!(cells.responses[2].value(), 0, "what does not leave is not counted");
}

#[test]
fn the_same_identifier_of_another_port_or_service_is_nobodys_business() {
    let mut world = World::new();
    let (one, other) = (bypass(7, LAPTOP), bypass(7, PHONE));
    world.send(&one);
    world.send_from(([127, 0, 0, 1], 40_001).into(), Port::Auth, &other);
    assert_eq!(world.answer(SERVER, key(LAPTOP), Outcome::NotFound).len(), 1);
    assert_eq!(world.answer(SERVER, key(PHONE), Outcome::NotFound).len(), 1);
}

#[test]
fn a_request_that_had_to_make_room_in_the_table_is_answered_all_the_same() {
    let room = Room { replies: 2, parked: 64, delayed: 64 };
    let mut world = World::with(Setting { room, ..Setting::default() });
    for identifier in 0..6 {
        assert!(world.send(&bypass(identifier, LAPTOP)).is_empty());
    }
    assert_eq!(world.answer(SERVER, key(LAPTOP), Outcome::NotFound).len(), 6);

    // The same for rejects that wait.
    let room = Room { replies: 2, parked: 64, delayed: 64 };
    let mut world = World::with(Setting { room, reject_delay: Duration::from_secs(1), ..Setting::default() });
    for identifier in 0..6 {
        world.send(&bypass(identifier, BLOCKED));
    }
    assert!(world.answer(SERVER, key(BLOCKED), Outcome::NotFound).is_empty());
    assert_eq!(world.advance(Duration::from_secs(2)).len(), 6);
}
