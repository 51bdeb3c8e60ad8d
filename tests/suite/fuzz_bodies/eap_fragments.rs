//! Any pieces of a TLS flight: never a panic, never more than is allowed, and what was cut comes back as it was.
//!
//! What a device sends is put together as any order of fragments asks for; what we send is cut, and put together again by
//! the same rules.

use radmit::{
    eap::tls::fragment::{Assembled, Assembly, Fragment, Outgoing, packet_octets_max},
    limits::{EAP_PACKET_OCTETS_MAX, EAP_PACKET_OCTETS_MIN, TLS_MESSAGE_OCTETS_MAX},
};

/// `input`: two octets for the size of our packets and two for Framed-MTU, then fragments of a device, each an octet for
/// its length and the octets themselves. All of it is a flight of ours, too.
pub(crate) fn check(input: &[u8]) {
    let (size, rest) = number(input);
    let (mtu, rest) = number(rest);
    let size = packet_octets_max(size.into(), Some(mtu.into()));
    assert!((EAP_PACKET_OCTETS_MIN..=EAP_PACKET_OCTETS_MAX).contains(&size));
    comes_back(input.repeat(1 + usize::from(mtu % 97)), size);
    receive(rest);
}

fn number(input: &[u8]) -> (u16, &[u8]) {
    match input {
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => (0, &[]),
    }
}

/// A flight of ours, cut and put together.
fn comes_back(mut flight: Vec<u8>, size: usize) {
    flight.truncate(TLS_MESSAGE_OCTETS_MAX);
    let mut outgoing = Outgoing::new(flight.clone(), size);
    let mut assembly = Assembly::default();
    for piece in 0_usize.. {
        let data = outgoing.next_data();
        // Header and type stand before the data.
        assert!(data.len() + 5 <= size, "{} octets", data.len());
        let fragment = Fragment::parse(&data).expect("our own fragment");
        assert_eq!(fragment.total.is_some(), piece == 0 && fragment.more, "a length only where it is needed, once");
        match assembly.push(&fragment).expect("our own fragments") {
            Assembled::Whole(whole) => {
                assert!(outgoing.is_sent() && !fragment.more);
                assert_eq!(whole, flight);
                return;
            }
            Assembled::Partly => assert!(fragment.more && !fragment.octets.is_empty(), "every round moves on"),
        }
    }
}

/// Fragments of a device. After a mistake the conversation is over; after a whole flight the next one begins.
fn receive(mut rest: &[u8]) {
    let mut assembly = Assembly::default();
    let mut held = Vec::new();
    while let Some((length, octets)) = rest.split_first() {
        let (data, after) = octets.split_at(usize::from(*length).min(octets.len()));
        rest = after;
        let Ok(fragment) = Fragment::parse(data) else { continue };
        assert!(fragment.octets.len() < data.len() || data.is_empty());
        held.extend_from_slice(fragment.octets);
        match assembly.push(&fragment) {
            Ok(Assembled::Whole(whole)) => {
                assert_eq!(whole, held, "in the order in which it came");
                assert!(whole.len() <= TLS_MESSAGE_OCTETS_MAX);
                held.clear();
            }
            Ok(Assembled::Partly) => assert!(held.len() <= TLS_MESSAGE_OCTETS_MAX),
            Err(fault) => {
                assert!(!fault.label().is_empty());
                return;
            }
        }
    }
}
