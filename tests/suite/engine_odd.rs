//! Requests that are well formed and odd: what empty, foreign or decorated attributes mean.
//!
//! Owns what single attributes change. What a plain request gets stands in `engine`.

use radmit::{
    device::record::Compliance,
    radius::{code::Code, kind, packet::Packet, request::RequestBuffer, secret::Secret},
};

use crate::support::world::{LAPTOP, SECRET, World, code_of, swap_client};

/// A MAC bypass of the laptop with its MAC as the password, and what else is pushed.
fn bypass(world: &mut World, more: impl FnOnce(&mut RequestBuffer)) -> Vec<u8> {
    world.request(|buffer, secret| {
        buffer.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
        buffer.push_password(LAPTOP.as_bytes(), secret).unwrap();
        more(buffer);
    })
}

/// The code of the answer to a request.
fn answer(world: &mut World, request: &[u8]) -> Code {
    let replies = world.send(request);
    code_of(&replies, request)
}

/// A world that knows the laptop as compliant.
fn world() -> World {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    world
}

#[test]
fn an_arap_password_proves_nothing() {
    use radmit::engine::client::{MabPassword, MessageAuthenticatorMode};
    let secret = Secret::new(SECRET.into()).unwrap();
    for mode in [MessageAuthenticatorMode::Learn, MessageAuthenticatorMode::Optional] {
        let mut world = world();
        swap_client(&world, |client| client.message_authenticator = mode);
        let mut buffer = RequestBuffer::new();
        buffer.start_unsigned_request(Code::ACCESS_REQUEST, 1, &[9; 16]);
        buffer.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
        buffer.push(kind::ARAP_PASSWORD, &[7; 16]).unwrap();
        assert!(world.send(buffer.sign(&secret)).is_empty(), "{mode:?}: anybody could have made it");
        assert_eq!(world.line(), "drop missing-message-authenticator - x1");
    }
    for (name, reason) in [(LAPTOP, "bad-password-attribute mab"), ("bob", "no-password-users arap")] {
        let mut world = world();
        swap_client(&world, |client| client.mab_password = MabPassword::Any);
        let request = world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, name.as_bytes()).unwrap();
            buffer.push(kind::ARAP_PASSWORD, &[7; 16]).unwrap();
        });
        assert_eq!(answer(&mut world, &request), Code::ACCESS_REJECT);
        let line = world.line();
        assert!(line.starts_with(&format!("reject {reason}")), "{line}");
    }
}

#[test]
fn an_empty_proxy_state_comes_back_in_every_reply_and_a_record_is_written_once() {
    use radmit::engine::action::Port;
    const EMPTY: [u8; 2] = [kind::PROXY_STATE, 2];
    let secret = Secret::new(SECRET.into()).unwrap();
    let echoed = |reply: &[u8]| -> Vec<Vec<u8>> {
        Packet::parse(reply).unwrap().all(kind::PROXY_STATE).map(<[u8]>::to_vec).collect()
    };
    let mut world = world();
    let mut buffer = RequestBuffer::new();
    buffer.start_request(Code::ACCOUNTING_REQUEST, 3, &[0; 16]);
    buffer.push_u32(kind::ACCT_STATUS_TYPE, 1).unwrap();
    buffer.push(kind::ACCT_SESSION_ID, b"0001").unwrap();
    buffer.push_encoded(&EMPTY).unwrap();
    buffer.push(kind::PROXY_STATE, b"two").unwrap();
    let request = buffer.sign(&secret).to_vec();
    let replies = world.send_to(Port::Acct, &request);
    assert_eq!(echoed(&replies[0]), [b"".to_vec(), b"two".to_vec()]);
    assert_eq!(world.send_to(Port::Acct, &request), replies);
    assert_eq!(world.line(), "accounting");

    for port in [Port::Auth, Port::Acct] {
        let mut buffer = RequestBuffer::new();
        buffer.start_request(Code::STATUS_SERVER, 1, &[9; 16]);
        buffer.push_encoded(&EMPTY).unwrap();
        let request = buffer.sign(&secret).to_vec();
        assert_eq!(echoed(&world.send_to(port, &request)[0]), [b"".to_vec()], "{port:?}");
    }

    let request = bypass(&mut world, |buffer| buffer.push_encoded(&EMPTY).unwrap());
    assert_eq!(echoed(&world.send(&request)[0]), [b"".to_vec()]);
}

#[test]
fn an_attribute_without_a_value_is_as_if_it_was_not_there() {
    let empty = |kind: u8| move |buffer: &mut RequestBuffer| buffer.push_encoded(&[kind, 2]).unwrap();
    for kind in [kind::CALLING_STATION_ID, kind::SERVICE_TYPE, kind::NAS_PORT_TYPE, kind::STATE] {
        let mut world = world();
        let request = bypass(&mut world, empty(kind));
        assert_eq!(answer(&mut world, &request), Code::ACCESS_ACCEPT, "{kind}");
    }
    // One that says nothing does not hide the one that says something.
    let mut world = world();
    let request = bypass(&mut world, |buffer| {
        buffer.push_encoded(&[kind::CALLING_STATION_ID, 2]).unwrap();
        buffer.push(kind::CALLING_STATION_ID, b"A4-C3-F0-99-99-99").unwrap();
    });
    assert_eq!(answer(&mut world, &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject mac-mismatch "));

    let request = world.request(|buffer, _| {
        buffer.push_encoded(&[kind::USER_NAME, 2]).unwrap();
        buffer.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
        buffer.push_chap_password(9, LAPTOP.as_bytes()).unwrap();
        buffer.push_encoded(&[kind::CHAP_CHALLENGE, 2]).unwrap();
    });
    assert_eq!(answer(&mut world, &request), Code::ACCESS_ACCEPT, "the challenge is the Request Authenticator");
}

#[test]
fn a_password_attribute_without_a_value_is_still_a_password_attribute() {
    let mut world = world();
    let request = world.request(|buffer, _| {
        buffer.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
        buffer.push_encoded(&[kind::USER_PASSWORD, 2]).unwrap();
    });
    assert_eq!(answer(&mut world, &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject bad-password-attribute "));
}

#[test]
fn an_accounting_record_that_can_not_be_told_from_others_is_neither_kept_nor_acknowledged() {
    let secret = Secret::new(SECRET.into()).unwrap();
    let mut world = world();
    for (status, session, detail) in [
        (&[kind::ACCT_STATUS_TYPE, 6, 0, 0, 0, 1][..], &[kind::ACCT_SESSION_ID, 2][..], "acct-session-id-missing"),
        (&[kind::ACCT_STATUS_TYPE, 2], &[kind::ACCT_SESSION_ID, 3, b'1'], "acct-status-type-missing"),
        (&[kind::ACCT_STATUS_TYPE, 5, 0, 0, 1], &[kind::ACCT_SESSION_ID, 3, b'1'], "acct-status-type-size"),
    ] {
        let mut buffer = RequestBuffer::new();
        buffer.start_request(Code::ACCOUNTING_REQUEST, 3, &[0; 16]);
        buffer.push_encoded(status).unwrap();
        buffer.push_encoded(session).unwrap();
        let request = buffer.sign(&secret).to_vec();
        assert!(world.send_to(radmit::engine::action::Port::Acct, &request).is_empty(), "{detail}");
        world.advance(std::time::Duration::from_secs(20));
        assert_eq!(world.line(), format!("drop malformed {detail} x1"));
    }
}

#[test]
fn for_policy_an_attribute_without_a_value_is_absent() {
    let mut world = World::with(crate::support::world::Setting {
        policy: r#"
version = 1
[policy-set]
name = "All"
[[rule]]
name = "Filter"
when = { radius.Filter-Id = { present = true } }
result = "permit"
[[rule]]
name = "No filter"
when = { radius.Filter-Id = { present = false } }
result = "deny"
"#,
        ..Default::default()
    });
    world.know(LAPTOP, Compliance::Compliant);
    let request = bypass(&mut world, |buffer| buffer.push_encoded(&[kind::FILTER_ID, 2]).unwrap());
    assert_eq!(answer(&mut world, &request), Code::ACCESS_REJECT);
    assert!(world.line().ends_with("rule=No filter"));
}

#[test]
fn a_calling_station_id_with_the_name_of_the_network_is_still_a_mac() {
    for station in ["A4-C3-F0-11-22-33:corp", "a4c3f0112233:a:b", "a4:c3:f0:11:22:33:corp", "A4-C3-F0-11-22-33:"] {
        let mut world = world();
        let request = world.request(|buffer, secret| {
            buffer.push(kind::USER_NAME, b"somebody").unwrap();
            buffer.push_password(b"somebody", secret).unwrap();
            buffer.push_u32(kind::SERVICE_TYPE, 10).unwrap();
            buffer.push(kind::CALLING_STATION_ID, station.as_bytes()).unwrap();
        });
        assert_eq!(answer(&mut world, &request), Code::ACCESS_ACCEPT, "{station}");
        let request = bypass(&mut world, |buffer| buffer.push(kind::CALLING_STATION_ID, station.as_bytes()).unwrap());
        assert_eq!(answer(&mut world, &request), Code::ACCESS_ACCEPT, "{station} beside the same MAC");
    }
    let mut world = world();
    let request =
        bypass(&mut world, |buffer| buffer.push(kind::CALLING_STATION_ID, b"A4-C3-F0-99-99-99:corp").unwrap());
    assert_eq!(answer(&mut world, &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject mac-mismatch "));
    // A User-Name names nothing but itself.
    let request = world.request(|buffer, secret| {
        buffer.push(kind::USER_NAME, b"A4-C3-F0-11-22-33:corp").unwrap();
        buffer.push_password(LAPTOP.as_bytes(), secret).unwrap();
    });
    assert_eq!(answer(&mut world, &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject no-password-users "));
}

#[test]
fn who_asks_for_a_chargeable_identity_gets_one_that_tells_nothing_and_stays() {
    let identity = |world: &mut World, mac: &str, asked: Option<&[u8]>| -> Option<Vec<u8>> {
        world.know(mac, Compliance::Compliant);
        let request = world.request(|buffer, secret| {
            buffer.push(kind::USER_NAME, mac.as_bytes()).unwrap();
            buffer.push_password(mac.as_bytes(), secret).unwrap();
            match asked {
                Some(b"") => buffer.push_encoded(&[kind::CHARGEABLE_USER_IDENTITY, 2]).unwrap(),
                Some(value) => buffer.push(kind::CHARGEABLE_USER_IDENTITY, value).unwrap(),
                None => {}
            }
        });
        let replies = world.send(&request);
        assert_eq!(code_of(&replies, &request), Code::ACCESS_ACCEPT);
        let reply = Packet::parse(&replies[0]).unwrap();
        assert!(reply.all(kind::CHARGEABLE_USER_IDENTITY).count() < 2);
        reply.first(kind::CHARGEABLE_USER_IDENTITY).map(<[u8]>::to_vec)
    };
    let mut world = world();
    assert_eq!(identity(&mut world, LAPTOP, None), None, "nobody gets it unasked");
    let first = identity(&mut world, LAPTOP, Some(&[0])).unwrap();
    assert_eq!(first.len(), 32);
    assert!(first.is_ascii() && !first.windows(4).any(|part| part == b"a4c3"), "{first:?}");
    assert_eq!(identity(&mut world, LAPTOP, Some(b"")), Some(first.clone()));
    assert_eq!(identity(&mut world, "A4-C3-F0-11-22-33", Some(b"what it was told before")), Some(first.clone()));
    assert_ne!(identity(&mut world, "a4c3f0112234", Some(&[0])), Some(first.clone()));
    swap_client(&world, |client| client.name = "other switches".into());
    assert_ne!(identity(&mut world, LAPTOP, Some(&[0])), Some(first), "two networks can't compare what they have");
}

#[test]
fn a_chargeable_identity_of_the_profile_is_the_only_one_and_a_reject_has_none() {
    let policy = r#"
version = 1
[policy-set]
name = "All"
default = "deny"
[[rule]]
name = "Compliant"
when = { mdm.compliant = true }
result = "employee"
[profile.employee]
access = "accept"
[profile.employee.attributes]
Chargeable-User-Identity = "tenant 7"
"#;
    let mut world = World::with(crate::support::world::Setting { policy, ..Default::default() });
    for (state, expected) in [(Compliance::Compliant, Some(&b"tenant 7"[..])), (Compliance::NonCompliant, None)] {
        world.know(LAPTOP, state);
        let request = bypass(&mut world, |buffer| buffer.push(kind::CHARGEABLE_USER_IDENTITY, &[0]).unwrap());
        let replies = world.send(&request);
        let reply = Packet::parse(&replies[0]).unwrap();
        assert_eq!(reply.all(kind::CHARGEABLE_USER_IDENTITY).collect::<Vec<_>>(), Vec::from_iter(expected));
    }
}

#[test]
fn an_eap_packet_that_is_cut_into_single_octets_is_answered_under_its_own_identifier() {
    for (code, expected) in [(2, &[4, 9, 0, 4][..]), (1, &[2, 9, 0, 6, 3, 0])] {
        let mut world = world();
        let request = world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"bob").unwrap();
            for octet in [code, 9, 0, 6, 1, b'b'] {
                buffer.push(kind::EAP_MESSAGE, &[octet]).unwrap();
            }
        });
        let replies = world.send(&request);
        assert_eq!(code_of(&replies, &request), Code::ACCESS_REJECT);
        assert_eq!(Packet::parse(&replies[0]).unwrap().first(kind::EAP_MESSAGE), Some(expected));
    }
}

#[test]
fn a_state_in_an_authorize_only_request_of_a_trusted_client_means_nothing_to_us() {
    for state in [&[kind::STATE, 2][..], &[kind::STATE, 5, 1, 2, 3]] {
        let mut world = world();
        swap_client(&world, |client| client.trust_authorize_only = true);
        let request = world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"host/LT-0042").unwrap();
            buffer.push_u32(kind::SERVICE_TYPE, 17).unwrap();
            buffer.push(kind::CALLING_STATION_ID, b"A4-C3-F0-11-22-33").unwrap();
            buffer.push_encoded(state).unwrap();
        });
        assert_eq!(answer(&mut world, &request), Code::ACCESS_ACCEPT);
        assert_eq!(world.line(), "accept rule authorize-only lookup=found source=fresh rule=Compliant");
    }
}

/// The reason and the MAC of a decision.
type Told = (String, Option<String>);

/// Keeps what is told of each decision.
#[derive(Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<Told>>>);

impl radmit::engine::event::EventSink for Lines {
    fn tell(&mut self, event: &radmit::engine::event::Event<'_>) -> bool {
        if let radmit::engine::event::Event::Decision(decision) = event {
            let mac = decision.mac.map(|mac| mac.to_string());
            self.0.lock().unwrap().push((decision.reason.to_owned(), mac));
        }
        true
    }

    fn flush(&mut self, _now: radmit::clock::Now) {}
}

#[test]
fn what_is_rejected_before_policy_has_its_mac_in_the_log_wherever_it_stood() {
    let lines = Lines::default();
    let told = std::sync::Arc::clone(&lines.0);
    let mut world = World::telling(Default::default(), Box::new(lines));
    let station = |buffer: &mut RequestBuffer| buffer.push(kind::CALLING_STATION_ID, b"A4-C3-F0-11-22-33").unwrap();
    for request in [
        world.request(|buffer, secret| {
            buffer.push(kind::USER_NAME, b"bob").unwrap();
            buffer.push_password(b"hello", secret).unwrap();
            station(buffer);
        }),
        world.request(|buffer, secret| {
            buffer.push(kind::USER_NAME, b"bob").unwrap();
            buffer.push_password(b"hello", secret).unwrap();
            buffer.push_chap_password(1, b"hello").unwrap();
            station(buffer);
        }),
        world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"bob").unwrap();
            station(buffer);
        }),
        world.request(|buffer, _| {
            buffer.push_u32(kind::SERVICE_TYPE, 17).unwrap();
            station(buffer);
        }),
    ] {
        assert_eq!(answer(&mut world, &request), Code::ACCESS_REJECT);
    }
    let mac = Some("A4-C3-F0-11-22-33".to_owned());
    let expected = ["no-password-users", "two-credentials", "no-credentials", "authorize-only-not-trusted"]
        .map(|reason| (reason.to_owned(), mac.clone()));
    assert_eq!(*told.lock().unwrap(), expected);
}

#[test]
fn who_asks_after_a_reload_is_answered_by_it_even_in_a_turn_that_had_begun_before() {
    const DENY: &str = "version = 1\n[policy-set]\nname = \"All\"\nrank = 10\ndefault = \"deny\"\n[[rule]]\nname = \"All of them\"\nresult = \"deny\"\n";
    let mut world = world();
    let request = bypass(&mut world, |_| {});
    assert_eq!(answer(&mut world, &request), Code::ACCESS_ACCEPT);
    let request = bypass(&mut world, |_| {});
    let replies = world.send_while_swapping(DENY, &request);
    assert_eq!(code_of(&replies, &request), Code::ACCESS_REJECT);
}
