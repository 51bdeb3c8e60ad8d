//! Devices whose certificate does not do, and what they and the operator hear.
//!
//! Owns refusals before policy. Devices that break the protocol stand in `eap_hostile`.

use radmit::{
    clock::Wall,
    eap::{
        reason::Reason,
        tls::{
            context::TlsMax,
            fault::{CertificateFault, HandshakeFault, TlsFault},
            flow::Cause,
            settings::CrlFailure,
            verify::Trust,
        },
    },
};
use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};
use rustls::{
    crypto::aws_lc_rs::{default_provider, kx_group::SECP256R1},
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::support::{
    eap_peer::Supplicant,
    eap_talk::{Server, file, world},
    pki::{Authority, INTERMEDIATE_SERIAL, Kind, Leaf, in_days, serial, uri},
};

/// What a device with `leaf` meets under both versions: the fault, and the alert that it hears.
fn refused(server: &Server, root: &Authority, leaf: &Leaf) -> (CertificateFault, u8) {
    let sessions = server.resumptions.counts().0;
    let both = [&TLS13, &TLS12].map(|version| {
        let mut supplicant = Supplicant::new(Some(leaf.clone()), &[root.der()]);
        supplicant.versions = vec![version];
        let talk = server.talk(&supplicant);
        assert!(talk.question.is_none(), "policy is not asked about a certificate that is not believed");
        assert_eq!(server.resumptions.counts().0, sessions, "nothing to resume comes of it");
        (talk.fault(), talk.peer.alert().expect("the device hears why"))
    });
    assert_eq!(both[0], both[1], "both versions say the same");
    both[0]
}

fn accepted(server: &Server, root: &Authority, leaf: &Leaf) {
    server.talk(&Supplicant::new(Some(leaf.clone()), &[root.der()])).assert_success();
}

#[test]
fn a_certificate_of_a_foreign_authority_is_refused_by_name() {
    let (root, server, _) = world(Kind::P256);
    let foreign = Authority::root("Intune Cloud PKI Issuing 3", Kind::P256).device(Kind::P256);
    assert_eq!(refused(&server, &root, &foreign), (CertificateFault::UnknownIssuer, 48));
    let talk = server.talk(&Supplicant::new(Some(foreign), &[root.der()]));
    let rejected = talk.end.unwrap_err();
    let message = rejected.reason.message(rejected.evidence.as_deref(), "CN=radius");
    assert!(message.starts_with("T204 no authority in client-ca issued the certificate"), "{message}");
    assert!(message.contains("issued by \"CN=Intune Cloud PKI Issuing 3\""), "{message}");
}

#[test]
fn an_impostor_with_the_name_of_our_authority_is_refused() {
    let (root, server, _) = world(Kind::P256);
    let impostor = Authority::root("Contoso Root", Kind::P256).device(Kind::P256);
    let (fault, _) = refused(&server, &root, &impostor);
    assert!(matches!(fault, CertificateFault::UnknownIssuer | CertificateFault::WrongSignature), "{fault}");
}

#[test]
fn dates_count() {
    let (root, mut server, supplicant) = world(Kind::P256);
    let leaf = supplicant.leaf.unwrap();
    server.now = in_days(215);
    assert_eq!(refused(&server, &root, &leaf), (CertificateFault::Expired, 45));
    let early = root.issue(Kind::P256, |params| params.not_before = date_time_ymd(2030, 7, 1));
    server.now = in_days(0);
    assert_eq!(refused(&server, &root, &early), (CertificateFault::NotYetValid, 45));
}

#[test]
fn no_certificate_is_no_access() {
    let (root, server, _) = world(Kind::P256);
    let mut supplicant = Supplicant::new(None, &[root.der()]);
    let talk = server.talk(&supplicant);
    assert_eq!(talk.fault(), CertificateFault::Missing);
    assert_eq!(talk.peer.alert(), Some(116), "certificate_required");
    supplicant.versions = vec![&TLS12];
    assert_eq!(server.talk(&supplicant).fault(), CertificateFault::Missing);
}

#[test]
fn the_purpose_must_be_client_authentication_or_open() {
    let (root, server, _) = world(Kind::P256);
    let purposes =
        |list: &[ExtendedKeyUsagePurpose]| root.issue(Kind::P256, |params| params.extended_key_usages = list.to_vec());
    let server_only = purposes(&[ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(refused(&server, &root, &server_only), (CertificateFault::WrongPurpose, 43));
    accepted(&server, &root, &purposes(&[]));
    accepted(&server, &root, &purposes(&[ExtendedKeyUsagePurpose::Any]));
    accepted(&server, &root, &purposes(&[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]));
}

#[test]
fn an_authority_is_no_device_and_a_device_no_authority() {
    let (root, server, _) = world(Kind::P256);
    let authority = root.issue(Kind::P256, |params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    assert_eq!(refused(&server, &root, &authority), (CertificateFault::Authority, 43));
}

#[test]
fn a_chain_has_at_most_four_authorities_in_between() {
    let root = Authority::root("Root", Kind::P256);
    let server = Server::new(&root.server(Kind::P256), &[&root]);
    let mut chain = vec![root.below("1", Kind::P256)];
    for depth in 2..=5 {
        let next = chain.last().unwrap().below(&depth.to_string(), Kind::P256);
        chain.push(next);
    }
    let device = |depth: usize| {
        let leaf = chain[depth - 1].device(Kind::P256);
        chain[..depth].iter().rev().fold(leaf, |leaf, authority| leaf.with(authority))
    };
    accepted(&server, &root, &device(4));
    assert_eq!(refused(&server, &root, &device(5)).0, CertificateFault::TooDeep);
    let many = (0..12).fold(device(1), |leaf, _| leaf.with(&chain[0]));
    assert_eq!(refused(&server, &root, &many).0, CertificateFault::TooManyCertificates);
}

#[test]
fn revocation_counts_for_the_whole_chain() {
    let root = Authority::root("Root", Kind::P256);
    let issuing = root.below("Issuing", Kind::P256);
    let mut server = Server::new(&root.server(Kind::P256), &[&root, &issuing]);
    let revoked = issuing.issue(Kind::P256, |params| params.serial_number = serial(5)).with(&issuing);
    let good = issuing.issue(Kind::P256, |params| params.serial_number = serial(6)).with(&issuing);
    server.settings.crl = vec![file("1", &root.revocation_list(&[])), file("2", &issuing.revocation_list(&[5]))];
    assert_eq!(refused(&server, &root, &revoked), (CertificateFault::Revoked, 44));
    accepted(&server, &root, &good);
    // Now the issuing authority itself is revoked by its root.
    server.settings.crl =
        vec![file("1", &root.revocation_list(&[INTERMEDIATE_SERIAL])), file("2", &issuing.revocation_list(&[]))];
    assert_eq!(refused(&server, &root, &good), (CertificateFault::Revoked, 44));
}

#[test]
fn a_missing_or_old_revocation_list_closes_unless_it_is_open() {
    let (root, mut server, supplicant) = world(Kind::P256);
    let leaf = supplicant.leaf.unwrap();
    let other = Authority::root("Other", Kind::P256);
    server.settings.crl = vec![file("other.crl", &other.revocation_list(&[]))];
    let closed = (CertificateFault::NoRevocationList, 46);
    assert_eq!(refused(&server, &root, &leaf), closed);
    server.settings.crl = vec![file("old.crl", &root.revocation_list_until(&[], 2030, 5))];
    assert_eq!(refused(&server, &root, &leaf), (CertificateFault::OldRevocationList, 46));
    server.settings.crl_failure = CrlFailure::Open;
    accepted(&server, &root, &leaf);
    server.settings.crl = vec![file("other.crl", &other.revocation_list(&[]))];
    accepted(&server, &root, &leaf);
    // Open is open about what is not known, not about what is.
    let revoked = root.issue(Kind::P256, |params| params.serial_number = serial(5));
    server.settings.crl = vec![file("old.crl", &root.revocation_list_until(&[5], 2030, 5))];
    assert_eq!(refused(&server, &root, &revoked), (CertificateFault::Revoked, 44));
}

#[test]
fn names_that_mislead_are_refused_even_from_a_trusted_authority() {
    let (root, server, _) = world(Kind::P256);
    let nul = root.issue(Kind::P256, |params| {
        let san = vec![0x30, 5, 0x82, 3, b'a', 0, b'b'];
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], san));
    });
    assert_eq!(refused(&server, &root, &nul), (CertificateFault::NulInName, 42));
    let many = root.issue(Kind::P256, |params| params.subject_alt_names = vec![uri("urn:x"); 200]);
    assert_eq!(refused(&server, &root, &many), (CertificateFault::TooManyNames, 42));
}

#[test]
fn what_other_makers_issue_is_judged_with_its_own_reason() {
    let read = |name: &str| {
        let path = format!("{}/tests/vectors/certificates/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        CertificateDer::from_pem_file(path).unwrap()
    };
    let algorithms = default_provider().signature_verification_algorithms;
    let trust = Trust::new(&[read("root")], &[], true, algorithms).unwrap();
    let today = Wall::from_secs(1_906_502_400);
    assert!(trust.judge(&[read("good")], today).is_ok());
    for (name, fault) in [
        ("sha1", CertificateFault::Sha1),
        ("rsa1024", CertificateFault::KeyTooShort),
        ("pss", CertificateFault::PssKey),
        ("v1", CertificateFault::OldVersion),
        ("critical", CertificateFault::UnknownCriticalExtension),
        ("root", CertificateFault::Authority),
    ] {
        assert_eq!(trust.judge(&[read(name)], today), Err(fault), "{name}");
    }
}

#[test]
fn versions_and_groups_that_do_not_meet_are_told_apart() {
    let (root, mut server, mut supplicant) = world(Kind::P256);
    server.settings.tls_max = TlsMax::Tls12;
    supplicant.versions = vec![&TLS13];
    let fault = |server: &Server, supplicant: &Supplicant| match server.talk(supplicant).reason() {
        Reason::Tls(Cause::Tls(TlsFault::Handshake(fault))) => fault,
        other => panic!("{other}"),
    };
    assert_eq!(fault(&server, &supplicant), HandshakeFault::NoCommonVersion);
    // A server with RSA meets a device that knows only ECDSA.
    let mut server = Server::new(&root.server(Kind::Rsa2048), &[&root]);
    server.options.max = TlsMax::Tls12;
    supplicant.versions = vec![&TLS12];
    supplicant.groups = vec![SECP256R1];
    server.talk(&supplicant).assert_success();
}
