//! Any octets where a certificate, a key or a revocation list should be: never a panic, names within their bounds, no
//! trust that nobody gave, and a reason for everything that is refused.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use radmit::{
    device::certificate::{CertificateIds, Names},
    eap::tls::{context::TlsContext, evidence::Evidence, settings::Settings},
    limits::{CERTIFICATE_NAME_OCTETS_MAX, CERTIFICATE_NAMES_MAX},
    problem::Problems,
};
use rustls_pki_types::CertificateDer;

use crate::support::{
    eap_talk::{Server, file, world},
    pki::{Kind, now},
};

/// A server with good files, made once: keys are dear.
static WORLD: LazyLock<(Server, Arc<TlsContext>)> = LazyLock::new(|| {
    let (_, server, _) = world(Kind::P256);
    let context = server.context();
    (server, context)
});

/// `input`: an octet that says as what it is taken, then the octets.
pub(crate) fn check(input: &[u8]) {
    let Some((kind, octets)) = input.split_first() else { return };
    match kind % 6 {
        0 => is_file(octets, |settings, file| settings.certificate = file),
        1 => is_file(octets, |settings, file| settings.private_key = file),
        2 => is_file(octets, |settings, file| settings.client_ca.push(file)),
        3 => is_file(octets, |settings, file| settings.crl = vec![file]),
        4 => is_file(octets, |settings, file| settings.ocsp_response = Some(file)),
        _ => is_presented(octets),
    }
}

/// A certificate that a device presents, alone and with itself above it.
fn is_presented(octets: &[u8]) {
    let one = CertificateDer::from(octets);
    let (_, context) = &*WORLD;
    for chain in [vec![one.clone()], vec![one.clone(), one]] {
        // Only the authority of the world is trusted, and its key is not in the input.
        assert!(context.trust().judge(&chain, now().wall).is_err());
        let Ok(evidence) = Evidence::read(&chain) else { continue };
        let lists = [&evidence.san_uri, &evidence.san_dns, &evidence.san_email, &evidence.san_upn];
        assert!(lists.iter().map(|list| list.len()).sum::<usize>() <= CERTIFICATE_NAMES_MAX);
        for name in lists.into_iter().flatten().chain(&evidence.subject_cn).chain(&evidence.issuer_cn) {
            assert!(name.len() <= CERTIFICATE_NAME_OCTETS_MAX && !name.contains('\0'), "{name:?}");
        }
        let ids = CertificateIds::read(&Names {
            uri: &evidence.san_uri,
            dns: &evidence.san_dns,
            upn: &evidence.san_upn,
            email: &evidence.san_email,
            common_name: evidence.subject_cn.as_deref(),
        });
        assert!(ids.finding().is_none_or(|finding| finding.to_string().starts_with(finding.code())));
        let _ = evidence.days_left(now().wall);
    }
}

/// A file that an operator names.
fn is_file(octets: &[u8], place: impl Fn(&mut Settings, radmit::eap::tls::settings::File)) {
    let (server, _) = &*WORLD;
    let mut settings = server.settings.clone();
    settings.session_lifetime = Duration::ZERO;
    place(&mut settings, file("fuzzed", octets));
    let mut problems = Problems::new();
    let context = TlsContext::from_settings(&settings, now().wall, Arc::default(), &mut problems);
    assert_eq!(context.is_none(), problems.has_errors(), "a refusal has its reason: {:?}", problems.sorted());
    let _ = settings.expiries();
}
