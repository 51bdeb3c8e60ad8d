//! The engine in a toy world: what one request gets, and what many at once get.

use std::{sync::Arc, time::Duration};

use radmit::{
    device::{
        directory::{Ages, Told},
        question::{Failure, Key, Outcome, ServerIndex},
        record::Compliance,
    },
    engine::{
        Room,
        action::Port,
        client::{MabPassword, MacFrom, MessageAuthenticatorMode},
        machine::Machine as _,
    },
    metrics::mdm::{RESULTS, SOURCES},
    radius::{code::Code, kind, packet::Packet, request::RequestBuffer, secret::Secret},
};

use crate::support::world::{LAPTOP, SECRET, SERVER, Setting, World, code_of, mac, vlan_of};

fn key() -> Key {
    Key::Mac(mac(LAPTOP))
}

#[test]
fn a_known_device_is_answered_at_once() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    let request = world.mab(LAPTOP);
    let replies = world.send(&request);
    assert_eq!(code_of(&replies, &request), Code::ACCESS_ACCEPT);
    assert_eq!(vlan_of(&replies[0]).as_deref(), Some("20"));
    assert_eq!(world.line(), "accept rule mab lookup=found source=fresh rule=Compliant");
    assert!(world.asked().is_empty());
}

#[test]
fn an_unknown_device_waits_for_the_answer() {
    let mut world = World::new();
    let request = world.mab(LAPTOP);
    assert!(world.send(&request).is_empty());
    assert_eq!(world.asked().len(), 1);
    assert_eq!(world.engine.waiting(), 1);
    let record = Arc::new(world.record(LAPTOP, Compliance::NonCompliant));
    let replies = world.answer(SERVER, key(), Outcome::Found(record));
    assert_eq!(code_of(&replies, &request), Code::ACCESS_ACCEPT);
    assert_eq!(vlan_of(&replies[0]).as_deref(), Some("66"));
    assert_eq!(world.line(), "accept rule mab lookup=found source=live rule=NonCompliant");
    assert_eq!(world.engine.waiting(), 0);
}

#[test]
fn an_answer_of_no_such_device_is_judged_as_unregistered() {
    let mut world = World::new();
    let request = world.mab(LAPTOP);
    world.send(&request);
    let replies = world.answer(SERVER, key(), Outcome::NotFound);
    assert_eq!(vlan_of(&replies[0]).as_deref(), Some("99"));
    assert_eq!(world.line(), "accept rule mab lookup=not-found source=- rule=Unregistered");
}

#[test]
fn every_failure_reaches_policy_as_itself_and_never_accepts() {
    for failure in Failure::ALL {
        let mut world = World::new();
        let request = world.mab(LAPTOP);
        world.send(&request);
        let replies = world.answer(SERVER, key(), Outcome::Failed(failure));
        assert_eq!(code_of(&replies, &request), Code::ACCESS_REJECT);
        assert_eq!(world.line(), format!("reject no-rule-matched mab lookup={} source=- rule=-", failure.name()));
    }
}

#[test]
fn a_question_that_cannot_be_asked_decides_at_once() {
    let mut world = World::new();
    *world.questions.refuse.lock().unwrap() = Some(Failure::Throttled);
    let request = world.mab(LAPTOP);
    let replies = world.send(&request);
    assert_eq!(code_of(&replies, &request), Code::ACCESS_REJECT);
    assert_eq!(world.line(), "reject no-rule-matched mab lookup=throttled source=- rule=-");
}

#[test]
fn silence_of_the_cloud_ends_at_the_lookup_timeout() {
    let mut world = World::new();
    let request = world.mab(LAPTOP);
    world.send(&request);
    assert!(world.advance(Duration::from_millis(1_499)).is_empty());
    let replies = world.advance(Duration::from_millis(2));
    assert_eq!(code_of(&replies, &request), Code::ACCESS_REJECT);
    assert_eq!(world.line(), "reject no-rule-matched mab lookup=late source=- rule=-");
}

#[test]
fn the_decision_deadline_of_the_client_comes_before_the_lookup_timeout() {
    let mut world = World::with(Setting {
        client: |client| client.decision_deadline = Duration::from_secs(1),
        ..Setting::default()
    });
    let request = world.mab(LAPTOP);
    world.send(&request);
    assert_eq!(world.advance(Duration::from_secs(1)).len(), 1);
}

#[test]
fn an_old_record_is_asked_again_and_served_stale_when_nobody_answers() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    world.advance(Duration::from_secs(3600));
    let request = world.mab(LAPTOP);
    assert!(world.send(&request).is_empty(), "an hour is older than compliance-max-age");
    let replies = world.advance(Duration::from_secs(2));
    assert_eq!(vlan_of(&replies[0]).as_deref(), Some("20"));
    assert_eq!(world.line(), "accept rule mab lookup=found source=stale rule=Compliant");
}

#[test]
fn an_answer_that_the_guard_holds_says_so_whether_it_was_there_or_waited_for() {
    let mut world = World::new();
    let record = world.know(LAPTOP, Compliance::Compliant);
    let held = world.directory.hold(&record, record.answered_at).unwrap();
    let request = world.mab(LAPTOP);
    world.send(&request);
    assert_eq!(world.line(), "accept rule mab lookup=found source=held rule=Compliant");

    let mut world = World::new();
    let request = world.mab(LAPTOP);
    world.send(&request);
    world.answer(SERVER, key(), Outcome::Found(held));
    assert_eq!(world.line(), "accept rule mab lookup=found source=held rule=Compliant");
}

#[test]
fn where_a_device_is_enrolled_is_a_fact_once_the_server_told_it() {
    let mut world = World::with(Setting {
        policy: r#"
version = 1
[policy-set]
name = "All"
rank = 10
default = "deny"
[[rule]]
name = "Told"
when = { mdm.registered = false, mdm.enrolment-url = "https://portal.example/enrol" }
result = "permit"
"#,
        ..Setting::default()
    });
    let line = |world: &mut World| {
        let request = world.mab(LAPTOP);
        world.send(&request);
        world.answer(SERVER, key(), Outcome::NotFound);
        world.line()
    };
    assert_eq!(line(&mut world), "reject default mab lookup=not-found source=- rule=-");
    world.directory.note_enrolment_url("https://portal.example/enrol");
    assert_eq!(line(&mut world), "accept rule mab lookup=not-found source=- rule=Told");
}

#[test]
fn lookups_are_counted_by_what_came_of_them_and_where_the_answer_was_from() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    let request = world.mab(LAPTOP);
    world.send(&request);
    *world.questions.refuse.lock().unwrap() = Some(Failure::Throttled);
    let request = world.mab("a4c3f0778899");
    world.send(&request);
    let counted = |result: &str, source: &str| {
        let place = |names: &[&str], name: &str| names.iter().position(|known| *known == name).unwrap();
        world.mdm.lookups(place(&RESULTS, result), place(&SOURCES, source))
    };
    assert_eq!((counted("found", "fresh"), counted("throttled", "none"), counted("found", "live")), (1, 1, 0));
}

#[test]
fn a_record_older_than_stale_for_only_tells_when_the_device_was_compliant() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    world.advance(Duration::from_secs(9 * 3600));
    let request = world.mab(LAPTOP);
    world.send(&request);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.line(), "accept rule mab lookup=late source=- rule=Outage");

    let mut world = World::new();
    world.know(LAPTOP, Compliance::NonCompliant);
    world.advance(Duration::from_secs(9 * 3600));
    let request = world.mab(LAPTOP);
    world.send(&request);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.line(), "reject no-rule-matched mab lookup=late source=- rule=-");
}

#[test]
fn a_record_that_nears_its_age_is_used_and_asked_again_behind() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    world.advance(Duration::from_secs(299));
    let request = world.mab(LAPTOP);
    assert_eq!(world.send(&request).len(), 1);
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].deadline, None);
}

#[test]
fn a_retransmitted_request_gets_the_same_octets() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    let request = world.mab(LAPTOP);
    let first = world.send(&request);
    world.lines();
    assert_eq!(world.send(&request), first);
    assert!(world.lines().is_empty(), "it is decided once");
}

#[test]
fn a_retransmission_of_a_parked_request_is_silent_and_not_asked_twice() {
    let mut world = World::new();
    let request = world.mab(LAPTOP);
    world.send(&request);
    assert!(world.send(&request).is_empty());
    assert_eq!(world.asked().len(), 1);
    assert_eq!(world.answer(SERVER, key(), Outcome::NotFound).len(), 1);
}

#[test]
fn a_forged_repeat_does_not_touch_what_is_stored() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    let request = world.mab(LAPTOP);
    let first = world.send(&request);
    let mut forged = request.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(world.send(&forged).is_empty());
    assert_eq!(world.send(&request), first);
}

#[test]
fn one_answer_serves_everybody_who_waits_for_it() {
    let mut world = World::new();
    let requests: Vec<Vec<u8>> = (0..50).map(|_| world.mab(LAPTOP)).collect();
    for request in &requests {
        assert!(world.send(request).is_empty());
    }
    let record = Arc::new(world.record(LAPTOP, Compliance::Compliant));
    assert_eq!(world.answer(SERVER, key(), Outcome::Found(record)).len(), 50);
    assert_eq!(world.engine.waiting(), 0);
}

#[test]
fn when_there_is_no_room_to_wait_the_request_is_decided_as_late() {
    let room = Room { replies: 64, parked: 2, delayed: 8 };
    let mut world = World::with(Setting { room, ..Setting::default() });
    for at in 0..2 {
        let request = world.mab(&format!("a4c3f00000{at:02x}"));
        assert!(world.send(&request).is_empty());
    }
    let request = world.mab(LAPTOP);
    assert_eq!(world.send(&request).len(), 1);
    assert_eq!(world.line(), "reject no-rule-matched mab lookup=late source=- rule=-");
}

#[test]
fn a_reject_leaves_after_its_delay_and_repeats_of_it_are_silent_until_then() {
    let mut world = World::with(Setting { reject_delay: Duration::from_secs(1), ..Setting::default() });
    let request = world.mab("a4c3f0666666");
    // The block list needs no lookup result, but the set asks before it judges.
    assert!(world.send(&request).is_empty());
    assert!(world.answer(SERVER, Key::Mac(mac("a4c3f0666666")), Outcome::NotFound).is_empty());
    assert!(world.advance(Duration::from_millis(999)).is_empty());
    assert!(world.send(&request).is_empty());
    let replies = world.advance(Duration::from_millis(202));
    assert_eq!(code_of(&replies, &request), Code::ACCESS_REJECT);
    assert_eq!(world.send(&request), replies);
}

#[test]
fn a_reject_is_not_delayed_beyond_the_deadline_of_the_decision() {
    let mut world = World::with(Setting { reject_delay: Duration::from_secs(10), ..Setting::default() });
    let request = world.mab("a4c3f0666666");
    world.send(&request);
    world.answer(SERVER, Key::Mac(mac("a4c3f0666666")), Outcome::NotFound);
    assert_eq!(world.advance(Duration::from_secs(2)).len(), 1);
}

#[test]
fn ignore_answers_nothing_and_remembers_nothing() {
    let mut world = World::new();
    world.know("a4c3f0777777", Compliance::Compliant);
    let request = world.mab("a4c3f0777777");
    for _ in 0..2 {
        assert!(world.send(&request).is_empty());
        assert_eq!(world.line(), "ignore rule mab lookup=found source=fresh rule=Nothing said");
    }
}

#[test]
fn an_accounting_record_is_acknowledged_once_the_log_has_it() {
    let mut world = World::new();
    let request = accounting(3);
    let replies = world.send_to(Port::Acct, &request);
    assert_eq!(Packet::parse(&replies[0]).unwrap().code(), Code::ACCOUNTING_RESPONSE);
    assert_eq!(world.line(), "accounting");
    assert_eq!(world.send_to(Port::Acct, &request), replies);
    assert!(world.lines().is_empty());
}

fn accounting(identifier: u8) -> Vec<u8> {
    let secret = Secret::new(SECRET.into()).unwrap();
    let mut buffer = RequestBuffer::new();
    buffer.start_request(Code::ACCOUNTING_REQUEST, identifier, &[0; 16]);
    buffer.push_u32(kind::ACCT_STATUS_TYPE, 1).unwrap();
    buffer.push(kind::ACCT_SESSION_ID, b"0001").unwrap();
    buffer.sign(&secret).to_vec()
}

#[test]
fn status_server_is_answered_on_both_ports_but_not_while_draining() {
    let mut world = World::new();
    let secret = Secret::new(SECRET.into()).unwrap();
    let mut buffer = RequestBuffer::new();
    buffer.start_request(Code::STATUS_SERVER, 1, &[9; 16]);
    let request = buffer.sign(&secret).to_vec();
    for (port, code) in [(Port::Auth, Code::ACCESS_ACCEPT), (Port::Acct, Code::ACCOUNTING_RESPONSE)] {
        let replies = world.send_to(port, &request);
        assert_eq!(Packet::parse(&replies[0]).unwrap().code(), code);
    }
    world.engine.drain();
    assert!(world.send(&request).is_empty());
}

#[test]
fn a_client_that_must_sign_and_does_not_is_not_answered() {
    for (mode, replies) in [
        (MessageAuthenticatorMode::Require, 0),
        (MessageAuthenticatorMode::Learn, 1),
        (MessageAuthenticatorMode::Optional, 1),
    ] {
        let mut world = World::new();
        world.know(LAPTOP, Compliance::Compliant);
        set_client(&world, |client| client.message_authenticator = mode);
        assert_eq!(world.send(&unsigned(&[])).len(), replies, "{mode:?}");
        let mut world = World::new();
        set_client(&world, |client| client.message_authenticator = mode);
        assert!(world.send(&unsigned(&[(kind::PROXY_STATE, b"1")])).is_empty(), "{mode:?} with Proxy-State");
        assert!(world.send(&unsigned(&[(kind::SERVICE_TYPE, &[0, 0, 0, 17])])).is_empty(), "{mode:?} Authorize-Only");
    }
}

fn unsigned(more: &[(u8, &[u8])]) -> Vec<u8> {
    let secret = Secret::new(SECRET.into()).unwrap();
    let mut buffer = RequestBuffer::new();
    buffer.start_unsigned_request(Code::ACCESS_REQUEST, 1, &[9; 16]);
    buffer.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
    buffer.push_password(LAPTOP.as_bytes(), &secret).unwrap();
    for (kind, value) in more {
        buffer.push(*kind, value).unwrap();
    }
    buffer.sign(&secret).to_vec()
}

/// Changes the world's client by building the world anew around the change is not possible here: modes are data, so the
/// snapshot is swapped as a reload would.
fn set_client(world: &World, change: impl Fn(&mut radmit::engine::client::Client)) {
    crate::support::world::swap_client(world, change);
}

#[test]
fn every_spelling_of_the_mac_is_a_mac_bypass() {
    for user in ["a4c3f0112233", "A4C3F0112233", "A4-C3-F0-11-22-33", "a4:c3:f0:11:22:33", "a4c3.f011.2233"] {
        for password in [user, "", "A4:C3:F0:11:22:33"] {
            let mut world = World::new();
            world.know(LAPTOP, Compliance::Compliant);
            let request = world.request(|buffer, secret| {
                buffer.push(kind::USER_NAME, user.as_bytes()).unwrap();
                buffer.push_password(password.as_bytes(), secret).unwrap();
            });
            assert_eq!(code_of(&world.send(&request), &request), Code::ACCESS_ACCEPT, "{user} with {password:?}");
        }
    }
}

#[test]
fn chap_with_the_mac_in_any_spelling_is_a_mac_bypass() {
    for password in ["a4c3f0112233", "A4-C3-F0-11-22-33", "a4c3.f011.2233", ""] {
        let mut world = World::new();
        world.know(LAPTOP, Compliance::Compliant);
        let request = world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
            buffer.push_chap_password(9, password.as_bytes()).unwrap();
        });
        assert_eq!(code_of(&world.send(&request), &request), Code::ACCESS_ACCEPT, "{password:?}");
    }
}

#[test]
fn what_is_rejected_before_policy_says_why() {
    let mut world = World::new();
    let cases: [(&str, Vec<u8>); 6] = [
        (
            "no-password-users",
            world.request(|b, s| {
                b.push(kind::USER_NAME, b"bob").unwrap();
                b.push_password(b"hello", s).unwrap();
            }),
        ),
        (
            "mac-mismatch",
            world.request(|b, s| {
                b.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
                b.push_password(LAPTOP.as_bytes(), s).unwrap();
                b.push(kind::CALLING_STATION_ID, b"A4-C3-F0-99-99-99").unwrap();
            }),
        ),
        (
            "mab-password",
            world.request(|b, s| {
                b.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
                b.push_password(b"wrong", s).unwrap();
            }),
        ),
        (
            "eap-not-offered",
            world.request(|b, _| {
                b.push(kind::USER_NAME, b"bob").unwrap();
                b.push(kind::EAP_MESSAGE, &[2, 1, 0, 8, 1, b'b', b'o', b'b']).unwrap();
            }),
        ),
        (
            "authorize-only-not-trusted",
            world.request(|b, _| {
                b.push(kind::USER_NAME, b"bob").unwrap();
                b.push_u32(kind::SERVICE_TYPE, 17).unwrap();
            }),
        ),
        ("no-credentials", world.request(|b, _| b.push(kind::USER_NAME, b"bob").unwrap())),
    ];
    for (reason, request) in cases {
        assert_eq!(code_of(&world.send(&request), &request), Code::ACCESS_REJECT, "{reason}");
        assert!(world.line().starts_with(&format!("reject {reason} ")), "{reason}");
    }
}

#[test]
fn mac_from_says_which_attribute_names_the_device() {
    for (from, expected) in [(MacFrom::UserName, LAPTOP), (MacFrom::CallingStationId, "a4c3f0999999")] {
        let mut world = World::new();
        set_client(&world, |client| client.mac_from = from);
        let request = world.request(|b, s| {
            b.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
            b.push_password(LAPTOP.as_bytes(), s).unwrap();
            b.push_u32(kind::SERVICE_TYPE, 10).unwrap();
            b.push(kind::CALLING_STATION_ID, b"A4-C3-F0-99-99-99").unwrap();
        });
        world.send(&request);
        let asked = world.asked();
        assert_eq!(asked[0].key, Key::Mac(mac(expected)));
    }
}

#[test]
fn a_configured_password_of_mac_bypass_is_the_only_right_one() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    set_client(&world, |client| client.mab_password = MabPassword::Configured(b"s3cret".to_vec().into()));
    for (password, code) in [("s3cret", Code::ACCESS_ACCEPT), (LAPTOP, Code::ACCESS_REJECT), ("", Code::ACCESS_REJECT)]
    {
        let request = world.request(|b, s| {
            b.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
            b.push_password(password.as_bytes(), s).unwrap();
        });
        assert_eq!(code_of(&world.send(&request), &request), code, "{password:?}");
    }
}

#[test]
fn an_authorize_only_request_of_a_trusted_client_is_asked_by_its_device_id() {
    let mut world = World::new();
    set_client(&world, |client| client.trust_authorize_only = true);
    let id = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";
    let request = world.request(|b, _| {
        b.push(kind::USER_NAME, b"host/LT-0042").unwrap();
        b.push_u32(kind::SERVICE_TYPE, 17).unwrap();
        b.push(kind::CALLING_STATION_ID, b"A4-C3-F0-11-22-33").unwrap();
        let mut pair = vec![0, 0, 0, 9, 1, 0];
        pair.extend_from_slice(format!("mdm-tlv=device-uid={id}").as_bytes());
        pair[5] = u8::try_from(pair.len() - 4).unwrap();
        b.push(kind::VENDOR_SPECIFIC, &pair).unwrap();
    });
    world.send(&request);
    let asked = world.asked();
    let guid = radmit::device::identifier::Guid::parse(id.as_bytes()).unwrap();
    assert_eq!(asked[0].key, Key::Device(guid));
    // A device id that nobody knows ends the search: the MAC is not asked behind it.
    let replies = world.answer(SERVER, Key::Device(guid), Outcome::NotFound);
    assert_eq!(vlan_of(&replies[0]).as_deref(), Some("99"));
    assert!(world.asked().is_empty());
}

#[test]
fn a_reply_that_does_not_fit_becomes_a_reject() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    let request = world.request(|b, s| {
        b.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
        b.push_password(LAPTOP.as_bytes(), s).unwrap();
        while b.remaining() > 40 {
            let octets = (b.remaining() - 2).min(253);
            b.push(kind::PROXY_STATE, &vec![7; octets]).unwrap();
        }
    });
    let replies = world.send(&request);
    assert_eq!(code_of(&replies, &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject reply-too-large "));
}

#[test]
fn proxy_state_comes_back_in_order() {
    let mut world = World::new();
    world.know(LAPTOP, Compliance::Compliant);
    let request = world.request(|b, s| {
        b.push(kind::USER_NAME, LAPTOP.as_bytes()).unwrap();
        b.push_password(LAPTOP.as_bytes(), s).unwrap();
        b.push(kind::PROXY_STATE, b"one").unwrap();
        b.push(kind::PROXY_STATE, b"two").unwrap();
    });
    let replies = world.send(&request);
    let reply = Packet::parse(&replies[0]).unwrap();
    assert_eq!(reply.all(kind::PROXY_STATE).collect::<Vec<_>>(), [&b"one"[..], b"two"]);
}

#[test]
fn the_server_that_knew_a_device_is_asked_before_the_others() {
    let mut world = World::with(Setting { servers: 2, ..Setting::default() });
    let second = ServerIndex(1);
    let record = world.record(LAPTOP, Compliance::Compliant);
    let directory = Arc::clone(&world.shared.load().servers[1].directory);
    directory.insert(record.clone(), Told::Everything);
    world.advance(Duration::from_secs(3600));

    let request = world.mab(LAPTOP);
    world.send(&request);
    assert_eq!(world.asked().iter().map(|question| question.server).collect::<Vec<_>>(), [second]);
    world.answer(second, key(), Outcome::Found(Arc::new(record.clone())));
    assert_eq!(world.line(), "accept rule mab lookup=found source=live rule=Compliant");

    // It says no: then the others are asked, and only all of them together can say that nobody knows the device.
    let request = world.mab(LAPTOP);
    world.send(&request);
    assert_eq!(world.asked()[0].server, second);
    directory.forget(record.intune_id);
    assert!(world.answer(second, key(), Outcome::NotFound).is_empty());
    assert_eq!(world.asked()[0].server, SERVER);
    world.answer(SERVER, key(), Outcome::NotFound);
    assert_eq!(world.line(), "accept rule mab lookup=not-found source=- rule=Unregistered");
}

#[test]
fn two_servers_share_the_time_and_both_must_say_no() {
    let mut world = World::with(Setting { servers: 2, ..Setting::default() });
    let request = world.mab(LAPTOP);
    world.send(&request);
    assert_eq!(world.asked()[0].server, SERVER);
    assert!(world.answer(SERVER, key(), Outcome::NotFound).is_empty(), "the second is asked");
    let second = world.asked()[0].server;
    assert_ne!(second, SERVER);
    let replies = world.answer(second, key(), Outcome::Failed(Failure::Unreachable));
    assert_eq!(replies.len(), 1);
    assert_eq!(world.line(), "reject no-rule-matched mab lookup=unreachable source=- rule=-");
}

#[test]
fn the_first_of_two_servers_gets_at_most_half_of_the_time() {
    let mut world = World::with(Setting { servers: 2, ..Setting::default() });
    let request = world.mab(LAPTOP);
    world.send(&request);
    world.asked();
    assert!(world.advance(Duration::from_millis(751)).is_empty());
    assert_eq!(world.asked().len(), 1, "the second is asked after half of the time");
    assert_eq!(world.advance(Duration::from_millis(750)).len(), 1);
}

#[test]
fn a_mac_that_an_incomplete_index_does_not_hold_is_not_ready() {
    let ages = Ages { mac_can_be_asked: false, ..Ages::default() };
    let mut world = World::with(Setting { ages, ..Setting::default() });
    let request = world.mab(LAPTOP);
    assert_eq!(world.send(&request).len(), 1);
    assert_eq!(world.line(), "reject no-rule-matched mab lookup=not-ready source=- rule=-");
}

#[test]
fn a_thousand_requests_that_nobody_answers_are_all_decided_in_time() {
    let room = Room { replies: 2_000, parked: 2_000, delayed: 2_000 };
    let mut world = World::with(Setting { room, ..Setting::default() });
    world.know(LAPTOP, Compliance::Compliant);
    for at in 0..1_000u32 {
        let request = world.mab(&format!("a4c3f1{at:06x}"));
        let port = 20_000 + u16::try_from(at / 200).unwrap();
        world.send_from(([127, 0, 0, 1], port).into(), Port::Auth, &request);
    }
    assert_eq!(world.engine.waiting(), 1_000);
    let request = world.mab(LAPTOP);
    assert_eq!(world.send(&request).len(), 1, "a known device is not in their way");
    assert_eq!(world.advance(Duration::from_millis(1_600)).len(), 1_000);
    assert_eq!(world.engine.waiting(), 0);
}
