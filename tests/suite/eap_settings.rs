//! What `check` says about the files of EAP-TLS: all of it, with the file and what to do.
//!
//! Owns problems of certificates, keys, authorities and revocation lists. What devices then meet stands in `eap_refused`.

use std::sync::Arc;

use radmit::{
    eap::tls::{
        context::TlsContext,
        settings::{CrlFailure, Settings},
    },
    problem::{Place, Problems},
};
use rcgen::ExtendedKeyUsagePurpose;

use crate::support::{
    eap_talk::{Server, file},
    pki::{Authority, Kind, in_days, now},
};

/// The lines that `check` would print for `settings`, and whether they can be used.
fn check(settings: &Settings, days: u64) -> (Vec<String>, bool) {
    let mut problems = Problems::new();
    let context = TlsContext::from_settings(settings, in_days(days).wall, Arc::default(), &mut problems);
    assert_eq!(context.is_none(), problems.has_errors(), "an error is what makes it unusable");
    (problems.sorted().iter().map(ToString::to_string).collect(), context.is_some())
}

fn settings() -> (Authority, Settings) {
    let root = Authority::root("Contoso Root", Kind::P256);
    let mut settings = Server::new(&root.server(Kind::P256), &[&root]).settings;
    settings.crl = vec![file("root.crl", &root.revocation_list(&[]))];
    (root, settings)
}

fn assert_says(lines: &[String], what: &str) {
    assert!(lines.iter().any(|line| line.contains(what)), "{what:?} is not among {lines:#?}");
}

#[test]
fn good_files_have_no_problems() {
    let (_, settings) = settings();
    assert_eq!(check(&settings, 0), (vec![], true));
    let place = Place { file: "radmit.toml".into(), line: 40, column: 7 };
    let context = TlsContext::from_settings(&settings, now().wall, Arc::default(), &mut Problems::new()).unwrap();
    assert_eq!(context.subject(), "CN=radius.contoso.com");
    assert_eq!(context.trust().authorities(), (1, 0));
    assert!(context.trust().lists_end().is_some());
    let mut broken = settings;
    broken.certificate.octets = zeroize::Zeroizing::new(b"nothing".to_vec());
    broken.certificate.place = Some(place);
    assert_says(&check(&broken, 0).0, "radmit.toml:40:7: server.pem: no certificate in PEM or DER form");
}

#[test]
fn a_key_of_another_certificate_is_told() {
    let (root, mut settings) = settings();
    settings.private_key = file("server.key", root.server(Kind::P256).key.as_bytes());
    let (lines, usable) = check(&settings, 0);
    assert!(!usable);
    assert_says(&lines, "server.key: T202 the key is not that of the certificate in server.pem");
}

#[test]
fn a_key_that_is_none_is_told_and_not_printed() {
    let (_, mut settings) = settings();
    settings.private_key =
        file("server.key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let (lines, usable) = check(&settings, 0);
    assert!(!usable);
    assert_says(&lines, "server.key: the private key is encrypted; decrypt it");
    assert!(!format!("{settings:?}").contains("AAAA"));
}

#[test]
fn a_certificate_near_and_behind_its_end_is_told_but_used() {
    let (_, settings) = settings();
    let (lines, usable) = check(&settings, 208);
    assert!(usable);
    assert_says(&lines, "T202 the server certificate \"CN=radius.contoso.com\" expires in 6 days");
    let (lines, usable) = check(&settings, 220);
    assert!(usable, "MAC bypass must not die with it");
    assert_says(&lines, "T202 the server certificate \"CN=radius.contoso.com\" expired 6 days ago");
}

#[test]
fn a_chain_with_a_gap_is_told() {
    let (root, mut settings) = settings();
    let issuing = root.below("Contoso Sub CA 2", Kind::P256);
    let lowest = issuing.below("Lowest", Kind::P256);
    let leaf = lowest.server(Kind::P256).with(&issuing);
    settings.certificate = file("server.pem", leaf.pem.as_bytes());
    settings.private_key = file("server.key", leaf.key.as_bytes());
    assert_says(&check(&settings, 0).0, "T203 the chain stops at \"CN=radius.contoso.com\"");
}

#[test]
fn a_certificate_that_devices_will_refuse_is_told() {
    let (root, mut settings) = settings();
    let leaf = root.issue(Kind::P256, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    settings.certificate = file("server.pem", leaf.pem.as_bytes());
    settings.private_key = file("server.key", leaf.key.as_bytes());
    let (lines, _) = check(&settings, 0);
    assert_says(&lines, "not for server authentication");
    assert_says(&lines, "has no DNS name");
}

#[test]
fn an_authority_in_the_place_of_the_server_is_told() {
    let (root, mut settings) = settings();
    settings.certificate = file("server.pem", root.pem().as_bytes());
    assert_says(&check(&settings, 0).0, "server.pem: the first certificate is that of an authority");
}

#[test]
fn what_ends_next_is_known_for_each_file() {
    let (_, settings) = settings();
    let expiries = settings.expiries();
    let shown: Vec<_> = expiries.iter().map(|one| (&*one.file, one.role.label(), one.ends.as_secs())).collect();
    assert_eq!(
        shown,
        [
            ("server.pem", "eap-server", 1_924_992_000),
            ("client-ca.pem", "eap-client-ca", 2_208_988_800),
            ("root.crl", "eap-crl", 1_909_094_400),
        ]
    );
}

#[test]
fn authorities_that_are_none_or_have_ended_are_told() {
    let (root, mut settings) = settings();
    settings.client_ca.push(file("leaf.pem", root.server(Kind::P256).pem.as_bytes()));
    assert_says(&check(&settings, 0).0, "leaf.pem: \"CN=radius.contoso.com\" is not the certificate of an authority");
    assert_says(&check(&settings, 3_600).0, "client-ca.pem: the authority \"CN=Contoso Root\" expired");
    settings.client_ca.clear();
    let (lines, usable) = check(&settings, 0);
    assert!(!usable);
    assert_says(&lines, "client-ca names no authority");
}

#[test]
fn revocation_lists_that_are_missing_old_or_broken_are_told() {
    let (root, mut settings) = settings();
    settings.crl.clear();
    assert_says(&check(&settings, 0).0, "warning: no crl is configured");
    settings.crl = vec![file("old.crl", &root.revocation_list_until(&[], 2030, 5))];
    assert_says(&check(&settings, 0).0, "old.crl: T205 the revocation list of \"CN=Contoso Root\" expired 31 days ago");
    let other = Authority::root("Other", Kind::P256);
    settings.crl = vec![file("other.crl", &other.revocation_list(&[]))];
    assert_says(&check(&settings, 0).0, "no revocation list of \"CN=Contoso Root\" is given");
    let strange = "other.crl: the list is from \"CN=Other\", which is not in client-ca";
    assert_says(&check(&settings, 0).0, strange);
    settings.crl_failure = CrlFailure::Open;
    let (lines, usable) = check(&settings, 0);
    assert_says(&lines, strange);
    assert_eq!((lines.len(), usable), (1, true));
    settings.crl = vec![file("broken.crl", b"\x30\x82\x00")];
    let (lines, usable) = check(&settings, 0);
    assert!(!usable);
    assert_says(&lines, "broken.crl: the revocation list can't be read");
}

#[test]
fn a_stapled_response_that_is_none_is_told() {
    let (_, mut settings) = settings();
    settings.ocsp_response = Some(file("ocsp.pem", b"-----BEGIN"));
    let (lines, usable) = check(&settings, 0);
    assert!(usable);
    assert_says(&lines, "warning: ocsp.pem: no OCSP response in DER form that answers; none is sent");
}

#[test]
fn everything_wrong_is_told_at_once() {
    let (_, mut settings) = settings();
    settings.private_key = file("server.key", b"");
    settings.client_ca = vec![file("ca.pem", b"")];
    settings.crl = vec![file("ca.crl", b"")];
    let (lines, usable) = check(&settings, 0);
    assert!(!usable);
    assert_eq!(lines.len(), 3, "{lines:#?}");
}
