//! Devices that break the protocol: packets, identifiers, flags, fragments, order, and plain noise.
//!
//! Owns what must not work, and that the server outlives it. Refused certificates stand in `eap_refused`.

use proptest::prelude::*;
use radmit::eap::{
    chance::SeededChance,
    conversation::{Begun, Conversation, Offer, Rejected, Shown, Step, begin, without_session},
    method::Method,
    packet::Broken,
    reason::{Reason, Verdict},
    tls::{
        alert::Alert,
        fault::{HandshakeFault, TlsFault},
        flow::Cause,
        fragment::FragmentFault,
    },
};

use crate::support::{
    eap_peer::{Peer, Supplicant, response},
    eap_talk::{Server, world},
    pki::{Kind, now},
};

const IDENTITY: [u8; 6] = [2, 9, 0, 6, 1, b'x'];

fn chance() -> SeededChance {
    SeededChance::new(3)
}

/// A conversation whose start request was sent.
fn started(offer: Offer) -> Begun {
    begin(offer, &IDENTITY, &mut chance()).unwrap()
}

fn step(conversation: &mut Conversation, packet: &[u8]) -> Step {
    conversation.step(now(), packet, &mut chance())
}

/// Answers the last request with these data.
fn answer(conversation: &mut Conversation, data: &[u8]) -> Step {
    let identifier = conversation.last_request()[1];
    step(conversation, &response(identifier, data))
}

fn rejected(step: Step) -> Rejected {
    match step {
        Step::Reject(rejected) => *rejected,
        other => panic!("{other:?}"),
    }
}

fn sent(step: Step) -> Vec<u8> {
    match step {
        Step::Send(request) => request.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_first_packet_that_can_not_begin_anything_ends_it() {
    let (_, server, _) = world(Kind::P256);
    let end = |packet: &[u8]| begin(server.offer(), packet, &mut chance()).unwrap_err();
    for (packet, broken) in [
        (&[2, 9, 0, 99, 1][..], Broken::LengthBeyondOctets),
        (&[2, 9, 0, 3, 1], Broken::LengthTooSmall),
        (&[2, 9], Broken::TooShort),
        (&[3, 9, 0, 4], Broken::NotAResponse),
        (&[9, 9, 0, 5, 1], Broken::UnknownCode),
        (&[2, 9, 0, 4], Broken::NoType),
    ] {
        let rejected = end(packet);
        assert_eq!(rejected.reason, Reason::Broken(broken));
        assert_eq!(rejected.packet, [4, 9, 0, 4], "EAP-Failure under the identifier that came");
    }
    assert_eq!(end(&response(9, &[13, 0])).reason, Reason::NoConversation);
    assert_eq!(end(&response(9, &[3, 4])).reason, Reason::NoConversation);
    let request = end(&[1, 2, 0, 5, 1]);
    assert_eq!(request.reason, Reason::RequestFromDevice);
    assert_eq!(request.packet, [2, 2, 0, 6, 3, 0], "a Nak that wants nothing");
    assert_eq!(
        end(&response(9, &[[1; 1].as_slice(), &[b'x'; 1021]].concat())).reason,
        Reason::Broken(Broken::IdentityTooLong)
    );
}

#[test]
fn an_eap_start_is_asked_who_it_is() {
    let (_, server, supplicant) = world(Kind::P256);
    let Begun { mut conversation, request } = begin(server.offer(), &[], &mut chance()).unwrap();
    let mut peer = supplicant.begin();
    let identity = peer.answer(&request).unwrap();
    let start = sent(step(&mut conversation, &identity));
    assert_eq!(start[4..], [13, 0x20]);
    assert_eq!(start[1], request[1].wrapping_add(1), "each request has the next identifier");
    assert_eq!(conversation.identity(), b"@contoso.com");
}

#[test]
fn identities_may_be_empty_anonymous_or_any_octets() {
    let (_, server, _) = world(Kind::P256);
    for identity in [&b""[..], b"@contoso.com", &[0xff, 0, b'\n'], &[b'x'; 1020]] {
        let packet = response(9, &[&[1], identity].concat());
        let Begun { conversation, .. } = begin(server.offer(), &packet, &mut chance()).unwrap();
        assert_eq!(conversation.identity(), identity);
    }
}

#[test]
fn identifiers_go_round() {
    let (_, server, _) = world(Kind::P256);
    let packet = response(255, &[1, b'x']);
    let begun = begin(server.offer(), &packet, &mut chance()).unwrap();
    assert_eq!(begun.request[1], 0);
}

#[test]
fn a_response_without_its_session_is_rejected() {
    assert_eq!(without_session(&response(7, &[13, 0])).reason, Reason::NoConversation);
    assert_eq!(without_session(&response(7, &[13, 0])).packet, [4, 7, 0, 4]);
    assert_eq!(without_session(&[1, 2, 0, 5, 1]).packet, [2, 2, 0, 6, 3, 0]);
    assert_eq!(without_session(&[]).reason, Reason::Broken(Broken::TooShort));
}

#[test]
fn a_packet_that_can_not_be_used_is_asked_for_again_five_times() {
    let (_, server, _) = world(Kind::P256);
    for (packet, broken) in [
        (response(99, &[13, 0]), Broken::WrongIdentifier),
        (vec![2, 10, 0, 99, 13], Broken::LengthBeyondOctets),
        (vec![3, 10, 0, 4], Broken::NotAResponse),
        (response(10, &[4, 16]), Broken::WrongMethod),
        (response(10, &[254, 0, 0, 9, 0, 0, 0, 1]), Broken::WrongMethod),
        (response(10, &[13]), Broken::FragmentCut),
        (response(10, &[13, 0xc0, 0, 0]), Broken::FragmentCut),
        (response(10, &[13, 0x40]), Broken::EmptyFragment),
    ] {
        let Begun { mut conversation, request } = started(server.offer());
        assert_eq!(request[1], 10);
        for _ in 0..5 {
            match step(&mut conversation, &packet) {
                Step::Repeat(again, why) => assert_eq!((&again, why), (&request, broken)),
                other => panic!("{other:?}"),
            }
        }
        let end = rejected(step(&mut conversation, &packet));
        assert_eq!(end.reason, Reason::Broken(broken));
        assert_eq!(end.packet[0], 4);
    }
}

#[test]
fn a_mistake_does_not_spoil_the_conversation() {
    let (_, server, supplicant) = world(Kind::P256);
    let mut peer = supplicant.begin();
    let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
    let Begun { mut conversation, request } = begin(server.offer(), &identity, &mut chance()).unwrap();
    let mut next = Step::Send(request);
    let mut mistakes = 0;
    loop {
        next = match next {
            Step::Send(request) => {
                let good = peer.answer(&request).unwrap();
                if mistakes < 5 {
                    mistakes += 1;
                    let wrong = response(request[1].wrapping_add(1), &[13, 0]);
                    assert!(matches!(step(&mut conversation, &wrong), Step::Repeat(..)));
                }
                step(&mut conversation, &good)
            }
            Step::Decide(_) => conversation.decide(Verdict::Permit),
            Step::Accept(_) => break,
            other => panic!("{other:?}"),
        };
    }
    assert!(mistakes >= 3);
}

#[test]
fn a_request_from_the_device_ends_it_with_a_nak() {
    let (_, server, _) = world(Kind::P256);
    let mut conversation = started(server.offer()).conversation;
    let end = rejected(step(&mut conversation, &[1, 77, 0, 5, 1]));
    assert_eq!((end.reason, end.packet), (Reason::RequestFromDevice, vec![2, 77, 0, 6, 3, 0]));
    assert!(matches!(answer(&mut conversation, &[13, 0x80, 0, 0, 0, 1, 9]), Step::Reject(_)), "it stays over");
}

#[test]
fn a_nak_chooses_md5_only_where_it_is_offered() {
    let (_, server, _) = world(Kind::P256);
    let nak_md5 = [3, 4];
    let expanded = [254, 0, 0, 0, 0, 0, 0, 3, 254, 0, 0, 0, 0, 0, 0, 4];
    for nak in [&nak_md5[..], &expanded] {
        let mut conversation = started(Offer { md5: true, ..server.offer() }).conversation;
        assert_eq!(sent(answer(&mut conversation, nak))[4..6], [4, 16]);
        let mut conversation = started(server.offer()).conversation;
        let end = rejected(answer(&mut conversation, nak));
        assert!(matches!(end.reason, Reason::Refused(wanted) if wanted.contains(Method::MD5)));
        assert!(end.reason.to_string().ends_with("it wants EAP-MD5"), "{}", end.reason);
    }
    let mut conversation = started(Offer { md5: true, ..server.offer() }).conversation;
    assert!(matches!(rejected(answer(&mut conversation, &[3, 0])).reason, Reason::Refused(_)), "it wants nothing");
    let nothing = begin(Offer::default(), &IDENTITY, &mut chance()).unwrap_err();
    assert_eq!(nothing.reason, Reason::NothingOffered);
}

#[test]
fn a_nak_after_the_method_has_begun_is_a_mistake() {
    let (_, server, supplicant) = world(Kind::P256);
    let mut peer = supplicant.begin();
    let Begun { mut conversation, request } = started(Offer { md5: true, ..server.offer() });
    let hello = peer.answer(&request).unwrap();
    sent(step(&mut conversation, &hello));
    assert!(matches!(answer(&mut conversation, &[3, 4]), Step::Repeat(_, Broken::LateNak)));
}

#[test]
fn md5_is_judged_by_passwords_and_has_no_keys() {
    use md5::{Digest as _, Md5};
    let Begun { mut conversation, request } = started(Offer { tls: None, md5: true });
    let digest =
        Md5::new().chain_update([request[1]]).chain_update("a4c3f0112233").chain_update(&request[6..22]).finalize();
    let data = [&[4, 16], &digest[..], b"a4c3f0112233"].concat();
    let Step::Decide(question) = answer(&mut conversation, &data) else { panic!("policy is asked") };
    let Shown::Md5(proof) = question.shown else { panic!("MD5") };
    assert!(proof.matches(b"a4c3f0112233") && !proof.matches(b""));
    assert!(
        matches!(answer(&mut conversation, &data), Step::Repeat(_, Broken::NotExpected)),
        "the decision is pending"
    );
    let Step::Accept(accepted) = conversation.decide(Verdict::Permit) else { panic!("let in") };
    assert!(accepted.keys.is_none());
    assert_eq!(accepted.packet, [3, request[1], 0, 4]);
    assert_eq!(conversation.outline().method, Some(Method::MD5));
    assert!(matches!(conversation.decide(Verdict::Permit), Step::Reject(_)), "one decision, one end");
}

#[test]
fn a_denied_md5_ends_at_once() {
    let Begun { mut conversation, .. } = started(Offer { tls: None, md5: true });
    assert!(matches!(conversation.decide(Verdict::Permit), Step::Reject(_)), "nothing was shown yet");
    let Begun { mut conversation, .. } = started(Offer { tls: None, md5: true });
    assert!(matches!(answer(&mut conversation, &[[4, 16].as_slice(), &[0; 16]].concat()), Step::Decide(_)));
    assert_eq!(rejected(conversation.decide(Verdict::Deny(Alert::AccessDenied))).reason, Reason::Denied);
}

#[test]
fn fragments_that_contradict_themselves_end_it() {
    let (_, server, _) = world(Kind::P256);
    let end = |list: &[&[u8]]| {
        let mut conversation = started(server.offer()).conversation;
        let mut last = None;
        for data in list {
            last = Some(answer(&mut conversation, &[&[13], *data].concat()));
        }
        rejected(last.unwrap()).reason
    };
    let fault = |fault| Reason::Tls(Cause::Fragment(fault));
    assert_eq!(end(&[&[0x20, 1]]), fault(FragmentFault::Start));
    assert_eq!(end(&[&[0x40, 1]]), fault(FragmentFault::NoTotal));
    assert_eq!(end(&[&[0xc0, 0xff, 0xff, 0xff, 0xff, 1]]), fault(FragmentFault::TooLong));
    assert_eq!(end(&[&[0xc0, 0, 0, 0, 9, 1], &[0, 2]]), fault(FragmentFault::BelowTotal));
    assert_eq!(end(&[&[0xc0, 0, 0, 0, 2, 1], &[0x40, 2, 3]]), fault(FragmentFault::BeyondTotal));
    assert_eq!(end(&[&[0xc0, 0, 0, 0, 9, 1], &[0xc0, 0, 0, 0, 8, 2]]), fault(FragmentFault::TotalChanged));
    assert_eq!(end(&[&[0]]), Reason::Tls(Cause::GaveUp), "no hello at all");
}

#[test]
fn the_expanded_spelling_of_eap_tls_is_understood() {
    let (_, server, supplicant) = world(Kind::P256);
    let mut peer = supplicant.begin();
    let Begun { mut conversation, request } = started(server.offer());
    let hello = peer.answer(&request).unwrap();
    let expanded = [&[254, 0, 0, 0, 0, 0, 0, 13], &hello[5..]].concat();
    assert!(matches!(answer(&mut conversation, &expanded), Step::Send(_)));
}

#[test]
fn small_fragments_end_with_the_rounds_and_not_with_the_memory() {
    let (_, server, _) = world(Kind::P256);
    let mut conversation = started(server.offer()).conversation;
    let first = answer(&mut conversation, &[13, 0xc0, 0, 0, 0x70, 0, 1]);
    assert_eq!(sent(first)[4..], [13, 0], "an acknowledgement");
    let mut rounds = 2;
    let end = loop {
        match answer(&mut conversation, &[13, 0x40, 1]) {
            Step::Send(_) => rounds += 1,
            other => break rejected(other),
        }
    };
    assert_eq!(end.reason, Reason::TooManyRounds);
    assert_eq!(rounds, 50);
}

#[test]
fn data_in_place_of_an_acknowledgement_is_a_mistake() {
    let (_, mut server, supplicant) = world(Kind::P256);
    server.packet_octets_max = 200;
    let mut peer = supplicant.begin();
    let Begun { mut conversation, request } = started(server.offer());
    let hello = peer.answer(&request).unwrap();
    let part = sent(step(&mut conversation, &hello));
    assert_ne!(part[5] & 0x40, 0, "more follows");
    assert!(matches!(answer(&mut conversation, &[13, 0, 1, 2, 3]), Step::Repeat(_, Broken::AcknowledgementExpected)));
    assert!(matches!(answer(&mut conversation, &[13, 0]), Step::Send(_)));
}

#[test]
fn noise_in_place_of_tls_is_answered_with_an_alert() {
    let (_, server, _) = world(Kind::P256);
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[22, 3, 1, 0, 2, 1, 0], &[0; 600], &[22, 3, 1, 0xff, 0xff, 1]] {
        let mut conversation = started(server.offer()).conversation;
        let end = match answer(&mut conversation, &[&[13, 0], noise].concat()) {
            Step::Send(alert) => {
                assert_eq!((alert[4], alert[6]), (13, 21), "a TLS alert");
                rejected(answer(&mut conversation, &[13, 0]))
            }
            other => rejected(other),
        };
        assert!(matches!(end.reason, Reason::Tls(Cause::Tls(TlsFault::Handshake(_)))), "{}", end.reason);
    }
}

#[test]
fn old_tls_is_told_as_such() {
    let (_, server, _) = world(Kind::P256);
    // A TLS 1.0 hello: version, random, no session, two suites, null compression, no extensions.
    let mut hello = vec![3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]);
    let mut flight =
        vec![22, 3, 1, 0, u8::try_from(hello.len() + 4).unwrap(), 1, 0, 0, u8::try_from(hello.len()).unwrap()];
    flight.extend(hello);
    let mut conversation = started(server.offer()).conversation;
    sent(answer(&mut conversation, &[&[13, 0], &flight[..]].concat()));
    let reason = rejected(answer(&mut conversation, &[13, 0])).reason;
    assert_eq!(reason, Reason::Tls(Cause::Tls(TlsFault::Handshake(HandshakeFault::OldTls))), "{reason}");
}

#[test]
fn after_the_promise_anything_but_an_acknowledgement_is_no_success() {
    let (_, server, supplicant) = world(Kind::P256);
    for words in [&[21, 3, 3, 0, 2, 2, 48][..], &[23, 3, 3, 0, 5, 1, 2, 3, 4, 5], &[0]] {
        let (mut conversation, _) = up_to_the_promise(&server, &supplicant);
        let end = rejected(answer(&mut conversation, &[&[13, 0], words].concat()));
        assert!(matches!(end.reason, Reason::Tls(Cause::Tls(_))), "{}", end.reason);
    }
    let (mut conversation, _) = up_to_the_promise(&server, &supplicant);
    assert!(matches!(answer(&mut conversation, &[13, 0]), Step::Accept(_)));
}

/// A conversation whose last request promised success.
fn up_to_the_promise(server: &Server, supplicant: &Supplicant) -> (Box<Conversation>, Peer) {
    let mut peer = supplicant.begin();
    let Begun { mut conversation, request } = started(server.offer());
    let mut next = Step::Send(request);
    loop {
        next = match next {
            Step::Send(request) => {
                let response = peer.answer(&request).unwrap();
                if peer.committed {
                    return (conversation, peer);
                }
                step(&mut conversation, &response)
            }
            Step::Decide(_) => conversation.decide(Verdict::Permit),
            other => panic!("{other:?}"),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// One octet of one response is changed. It may be a flag that means nothing, but whoever gets in has the same keys.
    #[test]
    fn a_changed_octet_never_lets_in_somebody_else(round in 0usize..4, place in 0usize..2000, change in 1u8..) {
        let (_, server, supplicant) = world(Kind::P256);
        let mut peer = supplicant.begin();
        let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
        let Begun { mut conversation, request } = begin(server.offer(), &identity, &mut chance()).unwrap();
        let mut next = Step::Send(request);
        let mut at = 0;
        let end = loop {
            next = match next {
                Step::Send(request) => {
                    let Some(mut response) = peer.answer(&request) else { break None };
                    let length = response.len();
                    if at == round {
                        response[place % length] ^= change;
                    }
                    at += 1;
                    step(&mut conversation, &response)
                }
                Step::Decide(_) => conversation.decide(Verdict::Permit),
                Step::Accept(accepted) => break Some(accepted),
                Step::Repeat(..) | Step::Reject(_) => break None,
            };
        };
        if let Some(accepted) = end {
            let keys = accepted.keys.unwrap();
            prop_assert_eq!([keys.receive_key(), keys.send_key()].concat(), peer.keys().0);
        }
    }

    /// Whatever comes, a conversation ends within its bounds, and never with access.
    #[test]
    fn noise_ends_within_the_rounds(list in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..80), valid: bool) {
        let (_, server, _) = world(Kind::P256);
        let mut conversation = started(Offer { md5: true, ..server.offer() }).conversation;
        let mut steps = 0;
        for data in list.iter().cycle() {
            let next = if valid {
                answer(&mut conversation, &[&[13], &data[..]].concat())
            } else {
                step(&mut conversation, data)
            };
            steps += 1;
            prop_assert!(steps <= 60, "it goes on for ever");
            match next {
                Step::Reject(_) => break,
                Step::Send(_) | Step::Repeat(..) => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}

#[test]
fn a_first_flight_that_is_no_client_hello_is_told_so_before_the_failure() {
    let (_, server, _) = world(Kind::P256);
    let half = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 40]].concat();
    for flight in [&half[..], b"\x16", b"\x16\x03\x01\x00\x05\x01\x00\x00\x09\x03"] {
        let mut conversation = started(server.offer()).conversation;
        let alert = sent(answer(&mut conversation, &[&[13, 0], flight].concat()));
        assert_eq!(alert[4..], [13, 0, 21, 3, 3, 0, 2, 2, 50], "decode_error");
        let end = rejected(answer(&mut conversation, &[13, 0]));
        assert_eq!(end.packet[0], 4);
        assert!(matches!(end.reason, Reason::Tls(Cause::Tls(TlsFault::Handshake(HandshakeFault::Unfinished)))));
    }
}
