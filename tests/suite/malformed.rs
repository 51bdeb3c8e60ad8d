//! Hostile and odd packets through the whole engine, in both modes that FreeRADIUS 3.2.11 was observed in.
//!
//! What counts is whether a packet is processed and answered: radmit knows no users, so where FreeRADIUS says accept or
//! reject, any answer is right.

use radmit::{
    engine::{action::Port, client::MessageAuthenticatorMode},
    radius::{code::Code, packet::Packet},
};
use serde_json::Value;

use crate::support::world::{World, swap_client};

/// Where we differ from FreeRADIUS 3.2.11 on purpose: the vector, and why.
const DIFFERENCES: [(&str, &str); 2] = [
    // RFC 3579 section 3.3: a request without credentials and without Message-Authenticator should be discarded.
    ("mal-header-only", "no reply"),
    // RFC 2866 section 5.5: without Acct-Session-Id the record can't be told from others, and acknowledging it would
    // claim that it was kept.
    ("mal-acct-no-session-id", "no reply"),
];

#[test]
fn every_odd_packet_is_answered_or_dropped_as_it_should_be() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../vectors/malformed.json")).unwrap();
    let mut ran = 0;
    for vector in &vectors {
        let Some(observed) = vector["expect"].get("freeradius_3_2_11") else { continue };
        for (mode, setting) in [
            (MessageAuthenticatorMode::Optional, "require_ma_no_limit_ps_no"),
            (MessageAuthenticatorMode::Require, "require_ma_yes"),
        ] {
            let name = vector["name"].as_str().unwrap();
            let difference = DIFFERENCES.iter().find(|(differs, _)| *differs == name).map(|(_, expected)| *expected);
            let expected = difference.unwrap_or_else(|| observed[setting].as_str().unwrap());
            let replies = send(vector, mode);
            assert_eq!(replies.len(), usize::from(expected != "no reply"), "{name} with {setting}");
            if let Some(reply) = replies.first() {
                check_code(name, reply);
            }
            ran += 1;
        }
    }
    assert!(ran >= 112, "{ran} runs: the vectors are complete");
}

fn send(vector: &Value, mode: MessageAuthenticatorMode) -> Vec<Vec<u8>> {
    let mut world = World::new();
    swap_client(&world, |client| client.message_authenticator = mode);
    let port = if vector["port"] == "acct" { Port::Acct } else { Port::Auth };
    let octets = hex(vector["request_hex"].as_str().unwrap());
    world.send_to(port, &octets)
}

/// Crossed codes would confuse every client: an accounting request is never answered with an accept.
fn check_code(name: &str, reply: &[u8]) {
    let code = Packet::parse(reply).unwrap().code();
    if name.starts_with("mal-acct") {
        assert_eq!(code, Code::ACCOUNTING_RESPONSE, "{name}");
    } else if name.starts_with("mal-status") {
        assert_eq!(code, Code::ACCESS_ACCEPT, "{name}");
    } else {
        assert_eq!(code, Code::ACCESS_REJECT, "{name}: nobody in these packets is a device");
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
