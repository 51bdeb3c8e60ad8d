//! What an EAP-TLS handshake costs the server, and how much of it is ours.
//!
//! Owns the numbers of `eap`: for each kind of handshake the server's part of a whole conversation, and the same part of
//! the same handshake with rustls alone, in memory. The device's part is not counted. It measures no RADIUS.

#![allow(missing_docs, reason = "criterion's macros write functions without them")]
#![allow(clippy::disallowed_methods, reason = "a bench measures time")]
#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect has to fail")]
#![allow(dead_code, reason = "the suite's support has more than a bench needs")]

#[path = "support/allocator.rs"]
mod allocator;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use radmit::eap::{
    chance::SeededChance,
    conversation::{Begun, Step, begin},
    reason::Verdict,
};
use rustls::{
    ServerConfig, ServerConnection,
    server::{ServerSessionMemoryCache, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};

#[path = "../tests/suite/support/mod.rs"]
mod support;

use support::{
    eap_peer::Supplicant,
    eap_talk::{Server, world},
    pki::{Kind, Leaf},
};

/// One conversation; the time that the server worked.
fn conversation(server: &Server, supplicant: &Supplicant, offer: &radmit::eap::conversation::Offer) -> Duration {
    let mut chance = SeededChance::new(1);
    let mut peer = supplicant.begin();
    let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
    let mut worked = Duration::ZERO;
    let start = Instant::now();
    let Begun { mut conversation, request } = begin(offer.clone(), &identity, &mut chance).unwrap();
    worked += start.elapsed();
    let mut step = Step::Send(request);
    loop {
        step = match step {
            Step::Send(request) => {
                let response = peer.answer(&request).unwrap();
                let start = Instant::now();
                let step = conversation.step(server.now, &response, &mut chance);
                worked += start.elapsed();
                step
            }
            Step::Decide(_) => {
                let start = Instant::now();
                let step = conversation.decide(Verdict::Permit);
                worked += start.elapsed();
                step
            }
            Step::Accept(_) => return worked,
            other => panic!("{other:?}"),
        };
    }
}

/// The same with rustls alone: flights in memory, the exporter at the end.
fn bare(config: &Arc<ServerConfig>, supplicant: &Supplicant) -> Duration {
    let mut peer = supplicant.begin();
    let mut worked = Duration::ZERO;
    let mut tls = None;
    let mut request = vec![13, 0x20];
    loop {
        let identifier = 1;
        let length = u16::try_from(4 + request.len()).unwrap().to_be_bytes();
        let packet = [&[1, identifier, length[0], length[1]], &request[..]].concat();
        let response = peer.answer(&packet).unwrap();
        let mut flight = &response[6..];
        let start = Instant::now();
        let tls = tls.get_or_insert_with(|| ServerConnection::new(config.clone()).unwrap());
        while !flight.is_empty() {
            tls.read_tls(&mut flight).unwrap();
            tls.process_new_packets().unwrap();
        }
        let is_done = !tls.is_handshaking();
        if is_done {
            tls.export_keying_material([0; 128], b"client EAP encryption", None).unwrap();
        }
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).unwrap();
        }
        worked += start.elapsed();
        if is_done {
            // The device still has to read the ticket, or the server's Finished, before it can resume.
            if !out.is_empty() {
                let length = u16::try_from(6 + out.len()).unwrap().to_be_bytes();
                let _ = peer.answer(&[&[1, 2, length[0], length[1], 13, 0], &out[..]].concat());
            }
            return worked;
        }
        request = [&[13, 0], &out[..]].concat();
    }
}

fn bare_config(leaf: &Leaf, root: &support::pki::Authority, tls13: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::CryptoProvider {
        kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::X25519],
        ..rustls::crypto::aws_lc_rs::default_provider()
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.der()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[if tls13 { &TLS13 } else { &TLS12 }])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(leaf.chain.clone(), leaf.key_der())
        .unwrap();
    config.session_storage = ServerSessionMemoryCache::new(1024);
    config.send_tls13_tickets = 1;
    Arc::new(config)
}

fn handshakes(criterion: &mut Criterion) {
    for (kind, tls13, resumed) in [
        (Kind::P256, true, false),
        (Kind::P256, false, false),
        (Kind::Rsa2048, true, false),
        (Kind::Rsa2048, false, false),
        (Kind::P256, true, true),
        (Kind::P256, false, true),
    ] {
        let (root, mut server, mut supplicant) = world(kind);
        supplicant.fragment = 16_000;
        supplicant.groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
        supplicant.versions = vec![if tls13 { &TLS13 } else { &TLS12 }];
        if !resumed {
            supplicant.memory = rustls::client::Resumption::disabled();
            server.settings.session_lifetime = Duration::ZERO;
        }
        let leaf = root.server(kind);
        let offer = server.offer();
        let name =
            format!("{kind:?}/{}/{}", if tls13 { "1.3" } else { "1.2" }, if resumed { "resumed" } else { "full" });
        let mut group = criterion.benchmark_group("eap_tls");
        group.sample_size(20).measurement_time(Duration::from_secs(3));
        let _first = conversation(&server, &supplicant, &offer);
        group.bench_function(format!("{name}/conversation"), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| conversation(&server, &supplicant, &offer)).sum());
        });
        let config = bare_config(&leaf, &root, tls13);
        let mut supplicant = Supplicant::new(supplicant.leaf.clone(), &[root.der()]);
        supplicant.fragment = 16_000;
        supplicant.groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
        supplicant.versions = vec![if tls13 { &TLS13 } else { &TLS12 }];
        if !resumed {
            supplicant.memory = rustls::client::Resumption::disabled();
        }
        let _first = bare(&config, &supplicant);
        group.bench_function(format!("{name}/rustls alone"), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| bare(&config, &supplicant)).sum());
        });
        group.finish();
    }
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
