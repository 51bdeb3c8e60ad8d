//! Devices that get in, and how: versions, keys, fragments, resumption, decisions.
//!
//! Owns what goes well, and denials by policy. What devices do wrong stands in `eap_refused` and `eap_hostile`.

use std::time::Duration;

use radmit::eap::{
    conversation::Conversation,
    method::Method,
    reason::{Reason, Verdict},
    sessions::Sessions,
    tls::{
        alert::Alert,
        context::{TlsContext, TlsMax, TlsOptions},
        fault::{CertificateFault, TlsFault},
        flow::Cause,
    },
};
use rustls::{
    crypto::aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768},
    version::{TLS12, TLS13},
};

use crate::support::{
    eap_peer::Supplicant,
    eap_talk::{Server, file, world},
    pki::{Authority, Kind, in_days, serial},
};

#[test]
fn a_device_gets_in_with_every_version_and_kind_of_key() {
    for kind in [Kind::P256, Kind::P384, Kind::Rsa2048, Kind::Ed25519] {
        let (_, server, supplicant) = world(kind);
        let talk = server.talk(&supplicant);
        talk.assert_success();
        assert!(talk.peer.committed, "TLS 1.3 promises success");
        assert_eq!(talk.outline.version, Some(TlsMax::Tls13));
        let talk = server.talk(&supplicant.tls12());
        talk.assert_success();
        assert!(!talk.peer.committed);
        assert_eq!(talk.outline.version, Some(TlsMax::Tls12));
    }
}

#[test]
fn keys_of_different_kinds_mix() {
    let (devices, servers) = (Authority::root("Devices", Kind::Rsa2048), Authority::root("Servers", Kind::P256));
    let server = Server::new(&servers.server(Kind::P256), &[&devices]);
    let supplicant = Supplicant::new(Some(devices.device(Kind::Rsa2048)), &[servers.der()]);
    server.talk(&supplicant).assert_success();
    server.talk(&supplicant.tls12()).assert_success();
}

#[test]
fn policy_sees_what_the_certificate_says_before_anything_is_promised() {
    let (_, server, supplicant) = world(Kind::P256);
    let talk = server.talk(&supplicant);
    let evidence = &talk.proven().evidence;
    assert_eq!(evidence.subject_cn.as_deref(), Some("LT-0042"));
    assert_eq!(evidence.issuer_cn.as_deref(), Some("Contoso Root"));
    assert_eq!(&*evidence.san_uri[0], "IntuneDeviceId://5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01");
    assert_eq!(evidence.days_left(server.now.wall), 214);
    assert_eq!(&*talk.question.as_ref().unwrap().identity, b"@contoso.com");
    assert_eq!(talk.outline.method, Some(Method::TLS));
}

#[test]
fn fragments_of_every_size_go_both_ways() {
    let root = Authority::root("Root", Kind::Rsa2048);
    let issuing = root.below("Issuing", Kind::Rsa2048);
    let mut server = Server::new(&issuing.server(Kind::Rsa2048).with(&issuing), &[&root]);
    let mut supplicant = Supplicant::new(Some(issuing.device(Kind::Rsa2048).with(&issuing)), &[root.der()]);
    for (server_size, device_size) in [(300, 1398), (1024, 100), (1400, 1398), (1024, 250)] {
        (server.packet_octets_max, supplicant.fragment) = (server_size, device_size);
        supplicant.memory = rustls::client::Resumption::disabled();
        for versions in [vec![&TLS13], vec![&TLS12]] {
            supplicant.versions = versions;
            let talk = server.talk(&supplicant);
            talk.assert_success();
            let needs_several = talk.peer.server_fragments > 0;
            assert_eq!(talk.peer.told_lengths, usize::from(needs_several), "a length only where it is needed, once");
        }
    }
}

#[test]
fn a_length_in_every_flight_is_taken_too() {
    let (_, server, mut supplicant) = world(Kind::P256);
    supplicant.always_length = true;
    server.talk(&supplicant).assert_success();
}

#[test]
fn the_rounds_are_as_few_as_can_be() {
    let (_, mut server, mut supplicant) = world(Kind::P256);
    server.packet_octets_max = 1400;
    let full = server.talk(&supplicant);
    assert_eq!(full.peer.requests, 1 + 3, "identity, start, the server's flight, the promise");
    let resumed = server.talk(&supplicant);
    assert!(resumed.peer.is_resumed());
    assert_eq!(resumed.peer.requests, 1 + 3);
    supplicant = supplicant.tls12();
    assert_eq!(server.talk(&supplicant).peer.requests, 1 + 3);
    let resumed = server.talk(&supplicant);
    assert!(resumed.peer.is_resumed());
    assert_eq!(resumed.peer.requests, 1 + 2, "TLS 1.2 has nothing to say after the device's Finished");
}

#[test]
fn groups_are_chosen_so_that_no_round_is_lost() {
    let (_, mut server, mut supplicant) = world(Kind::P256);
    server.packet_octets_max = 1400;
    for groups in [vec![X25519, SECP256R1], vec![SECP256R1, X25519], vec![X25519MLKEM768, X25519, SECP256R1]] {
        supplicant.memory = rustls::client::Resumption::disabled();
        supplicant.groups = groups;
        supplicant.fragment = 2000;
        let talk = server.talk(&supplicant);
        talk.assert_success();
        assert_eq!(talk.peer.requests, 1 + 3);
    }
    supplicant.groups = vec![X25519MLKEM768];
    server.talk(&supplicant).assert_success();
}

#[test]
fn a_session_is_resumed_again_and_again() {
    for tls13 in [true, false] {
        let (_, server, mut supplicant) = world(Kind::Rsa2048);
        supplicant = if tls13 { supplicant } else { supplicant.tls12() };
        let first = server.talk(&supplicant);
        first.assert_success();
        assert!(!first.proven().is_resumed);
        for _ in 0..3 {
            let talk = server.talk(&supplicant);
            talk.assert_success();
            assert!(talk.peer.is_resumed() && talk.proven().is_resumed && talk.outline.is_resumed);
            assert_eq!(talk.proven().evidence, first.proven().evidence, "policy is asked with the same certificate");
        }
    }
}

#[test]
fn a_resumed_device_is_denied_like_any_other() {
    for tls13 in [true, false] {
        let (_, mut server, mut supplicant) = world(Kind::P256);
        supplicant = if tls13 { supplicant } else { supplicant.tls12() };
        server.talk(&supplicant).assert_success();
        server.verdict = Verdict::Deny(Alert::AccessDenied);
        let talk = server.talk(&supplicant);
        assert!(talk.peer.is_resumed());
        assert_eq!(talk.reason(), Reason::Tls(Cause::Denied(Alert::AccessDenied)));
        assert_eq!(talk.peer.alert(), Some(49), "the alert is readable under the session's keys");
    }
}

#[test]
fn a_denied_device_hears_why_and_gets_no_session() {
    for tls13 in [true, false] {
        for chacha in [true, false] {
            for (alert, number) in [(Alert::AccessDenied, 49), (Alert::CertificateRevoked, 44)] {
                let (_, mut server, mut supplicant) = world(Kind::P256);
                supplicant.chacha = chacha;
                supplicant.versions = vec![if tls13 { &TLS13 } else { &TLS12 }];
                server.verdict = Verdict::Deny(alert);
                let talk = server.talk(&supplicant);
                assert_eq!(talk.reason(), Reason::Tls(Cause::Denied(alert)));
                assert_eq!(talk.peer.alert(), Some(number));
                assert!(!talk.peer.committed);
                assert_eq!(server.resumptions.counts().0, 0);
                server.verdict = Verdict::Permit;
                let again = server.talk(&supplicant);
                again.assert_success();
                assert!(!again.peer.is_resumed());
            }
        }
    }
}

#[test]
fn a_resumed_chacha_session_is_denied_readably_too() {
    let (_, mut server, mut supplicant) = world(Kind::P256);
    supplicant.chacha = true;
    supplicant = supplicant.tls12();
    server.talk(&supplicant).assert_success();
    server.verdict = Verdict::Deny(Alert::AccessDenied);
    let talk = server.talk(&supplicant);
    assert!(talk.peer.is_resumed());
    assert_eq!(talk.peer.alert(), Some(49));
}

#[test]
fn a_session_ends_with_its_lifetime_counted_from_the_proof() {
    for tls13 in [true, false] {
        let (_, mut server, mut supplicant) = world(Kind::P256);
        supplicant = if tls13 { supplicant } else { supplicant.tls12() };
        server.talk(&supplicant).assert_success();
        server.now = server.now.advanced(Duration::from_secs(5 * 3600));
        assert!(server.talk(&supplicant).peer.is_resumed());
        server.now = server.now.advanced(Duration::from_secs(3 * 3600));
        let talk = server.talk(&supplicant);
        talk.assert_success();
        assert!(!talk.peer.is_resumed(), "resuming does not make a session younger");
    }
}

#[test]
fn an_expired_certificate_is_not_resumed_for_ever() {
    for tls13 in [true, false] {
        let (_, mut server, mut supplicant) = world(Kind::P256);
        supplicant = if tls13 { supplicant } else { supplicant.tls12() };
        server.settings.session_lifetime = Duration::from_secs(7 * 86_400);
        server.now = in_days(210);
        server.talk(&supplicant).assert_success();
        server.now = in_days(215);
        let talk = server.talk(&supplicant);
        assert_eq!(talk.fault(), CertificateFault::Expired);
        assert_eq!(talk.peer.alert(), Some(45));
    }
}

#[test]
fn a_certificate_that_was_revoked_since_is_not_resumed() {
    for tls13 in [true, false] {
        let (root, mut server, _) = world(Kind::P256);
        let leaf = root.issue(Kind::P256, |params| params.serial_number = serial(77));
        let mut supplicant = Supplicant::new(Some(leaf), &[root.der()]);
        supplicant = if tls13 { supplicant } else { supplicant.tls12() };
        server.settings.crl = vec![file("old.crl", &root.revocation_list(&[1]))];
        server.talk(&supplicant).assert_success();
        assert!(server.talk(&supplicant).peer.is_resumed());
        server.settings.crl = vec![file("new.crl", &root.revocation_list(&[1, 77]))];
        let talk = server.talk(&supplicant);
        assert_eq!(talk.fault(), CertificateFault::Revoked);
        assert_eq!(talk.peer.alert(), Some(44));
    }
}

#[test]
fn resumption_can_be_switched_off() {
    let (_, mut server, supplicant) = world(Kind::P256);
    server.settings.session_lifetime = Duration::ZERO;
    for _ in 0..2 {
        let talk = server.talk(&supplicant);
        talk.assert_success();
        assert!(!talk.peer.is_resumed());
    }
    assert_eq!(server.resumptions.counts().0, 0);
}

#[test]
fn tickets_can_be_switched_off_for_tls_13_alone() {
    let (_, mut server, supplicant) = world(Kind::P256);
    server.settings.tickets = false;
    server.talk(&supplicant).assert_success();
    assert!(!server.talk(&supplicant).peer.is_resumed());
    let supplicant = supplicant.tls12();
    server.talk(&supplicant).assert_success();
    assert!(server.talk(&supplicant).peer.is_resumed());
}

#[test]
fn tls_can_be_capped_in_all_and_for_one_client() {
    let (_, mut server, supplicant) = world(Kind::P256);
    server.settings.tls_max = TlsMax::Tls12;
    assert_eq!(server.talk(&supplicant).outline.version, Some(TlsMax::Tls12));
    server.settings.tls_max = TlsMax::Tls13;
    server.options.max = TlsMax::Tls12;
    assert_eq!(server.talk(&supplicant).outline.version, Some(TlsMax::Tls12));
}

#[test]
fn an_old_tpm_gets_in_without_pss() {
    let (_, mut server, mut supplicant) = world(Kind::Rsa2048);
    server.options = TlsOptions { max: TlsMax::Tls12, pss: false };
    let talk = server.talk(&supplicant);
    talk.assert_success();
    assert_eq!(talk.outline.version, Some(TlsMax::Tls12));
    // TLS 1.3 has no other RSA signature: the device then has nothing to sign with.
    server.options = TlsOptions { max: TlsMax::Tls13, pss: false };
    supplicant.versions = vec![&TLS13];
    let talk = server.talk(&supplicant);
    assert_eq!(talk.fault(), CertificateFault::Missing);
}

#[test]
fn a_device_that_distrusts_us_says_so() {
    let (_, server, mut supplicant) = world(Kind::P256);
    supplicant.roots = vec![Authority::root("Another", Kind::P256).der()];
    for versions in [vec![&TLS13], vec![&TLS12]] {
        supplicant.versions = versions;
        let talk = server.talk(&supplicant);
        let reason = talk.reason();
        assert_eq!(reason, Reason::Tls(Cause::Tls(TlsFault::Alert(48))));
        let message = reason.message(None, server.context().subject());
        assert!(message.starts_with("T201 the device sent the alert unknown_ca"), "{message}");
        assert!(message.contains("CN=radius.contoso.com"), "{message}");
    }
}

#[test]
fn an_intermediate_is_found_whoever_sends_it() {
    let root = Authority::root("Root", Kind::P256);
    let issuing = root.below("Issuing", Kind::P256);
    let device = issuing.device(Kind::P256);
    let leaf = root.server(Kind::P256);
    // The device sends it.
    let supplicant = Supplicant::new(Some(device.clone().with(&issuing)), &[root.der()]);
    Server::new(&leaf, &[&root]).talk(&supplicant).assert_success();
    // client-ca has it, beside the root or alone.
    let supplicant = Supplicant::new(Some(device), &[root.der()]);
    Server::new(&leaf, &[&root, &issuing]).talk(&supplicant).assert_success();
    Server::new(&leaf, &[&issuing]).talk(&supplicant).assert_success();
    let talk = Server::new(&leaf, &[&root]).talk(&supplicant);
    assert_eq!(talk.fault(), CertificateFault::UnknownIssuer, "nobody has it");
}

#[test]
fn a_stapled_response_goes_out_as_it_is() {
    let (_, mut server, supplicant) = world(Kind::P256);
    server.settings.ocsp_response = Some(file("ocsp.der", b"\x30\x03\x0a\x01\x06"));
    server.talk(&supplicant).assert_success();
}

#[test]
fn a_conversation_may_move_between_threads() {
    fn moves<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    moves::<Conversation>();
    is_shared::<Sessions<Conversation>>();
    is_shared::<TlsContext>();
}

#[test]
fn a_silent_device_is_told_with_the_place_where_it_stalled() {
    let (_, server, supplicant) = world(Kind::P256);
    let message = server.talk(&supplicant).outline.stalled_message(Duration::from_secs(10));
    assert!(message.starts_with("T210 the handshake stalled after"), "{message}");
    assert!(message.contains("round 3, no reply in 10 s"), "{message}");
}
