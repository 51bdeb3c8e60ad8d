//! The codec alone: what it costs to check a request and to write the reply, beside the `radius` crate.
//!
//! That crate neither checks nor makes a Message-Authenticator, so it does less work; ratios to it are ratios to that.

#[path = "support/nas.rs"]
mod nas;

use std::hint::black_box;

use criterion::Criterion;
use radius::core::{avp::AVP, code::Code as TheirCode, packet::Packet as Theirs};
use radmit::{
    dictionary::{self, Dictionary},
    radius::{
        authenticator::check_request_signature, kind, packet::Packet, reply::ReplyBuffer, request::verify_reply,
        secret::Secret,
    },
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let secret = nas::secret();
    let request = nas::Switch::new(1).mac_bypass(7, nas::mac(1), &secret).to_vec();
    exchange_is_sound(&request, &secret);
    reading(&mut criterion, &request, &secret);
    writing(&mut criterion, &request, &secret);
    whole(&mut criterion, &request, &secret);
    criterion.final_summary();
}

/// A bench of a broken exchange would measure how fast it fails.
fn exchange_is_sound(request: &[u8], secret: &Secret) {
    let mut reply = ReplyBuffer::new();
    let octets = nas::answer(request, secret, &mut reply).expect("the exchange is sound");
    println!("request: {} octets, reply: {} octets", request.len(), octets.len());
    let (request, reply) = (Packet::parse(request), Packet::parse(octets));
    let (request, reply) = (request.expect("it was just written"), reply.expect("it was just written"));
    verify_reply(&reply, &request, secret).expect("the reply is signed");
}

fn reading(criterion: &mut Criterion, request: &[u8], secret: &Secret) {
    let mut group = criterion.benchmark_group("codec/read");
    group.bench_function("parse", |bench| bench.iter(|| Packet::parse(black_box(request)).is_ok()));
    let packet = Packet::parse(request).expect("it was just written");
    group.bench_function("verify", |bench| bench.iter(|| check_request_signature(black_box(&packet), secret)));
    group.bench_function("find four attributes", |bench| {
        bench.iter(|| {
            let packet = black_box(&packet);
            [kind::USER_NAME, kind::CALLING_STATION_ID, kind::SERVICE_TYPE, kind::NAS_PORT_TYPE]
                .map(|kind| packet.first(kind))
        });
    });
    let names = Dictionary::builtin();
    group.bench_function("walk with the dictionary", |bench| {
        bench.iter(|| dictionary::walk(names, black_box(packet.attributes())).count());
    });
    group.bench_function("radius crate: decode", |bench| {
        bench.iter(|| Theirs::decode(black_box(request), nas::SECRET).is_ok());
    });
    group.finish();
}

fn writing(criterion: &mut Criterion, request: &[u8], secret: &Secret) {
    let mut group = criterion.benchmark_group("codec/write");
    let packet = Packet::parse(request).expect("it was just written");
    let mut reply = ReplyBuffer::new();
    group.bench_function("write", |bench| {
        bench.iter(|| nas::write_accept(black_box(&mut reply), packet.identifier()).is_ok());
    });
    group.bench_function("write and sign", |bench| {
        bench.iter(|| {
            nas::write_accept(&mut reply, packet.identifier()).expect("it fits");
            black_box(reply.sign(packet.authenticator(), secret)).len()
        });
    });
    let theirs = Theirs::decode(request, nas::SECRET).expect("it was just written");
    group.bench_function("radius crate: write without Message-Authenticator", |bench| {
        bench.iter(|| {
            let mut reply = theirs.make_response_packet(TheirCode::AccessAccept);
            let numbers = [(64, 13), (65, 6), (27, 28_800), (29, 1)];
            numbers.into_iter().for_each(|(kind, value)| reply.add(AVP::from_u32(kind, value)));
            reply.add(AVP::from_bytes(81, b"20"));
            reply.add(AVP::from_bytes(25, &[0x5a; 16]));
            black_box(reply.encode()).is_ok()
        });
    });
    group.finish();
}

fn whole(criterion: &mut Criterion, request: &[u8], secret: &Secret) {
    let mut reply = ReplyBuffer::new();
    criterion.bench_function("codec/parse, verify, reveal, write and sign", |bench| {
        bench.iter(|| nas::answer(black_box(request), secret, &mut reply).map(<[u8]>::len));
    });
}
