//! The codec against recorded and published packets; each vector names its source in `tests/vectors/`.
//!
//! Says what each packet must read as and how it is signed. What the server answers to it is not looked at here.

use radmit::{
    limits::VALUE_OCTETS_MAX,
    radius::{
        attribute::Attributes,
        authenticator::{
            Signature, check_reply_signature, check_request_signature, is_request_authenticator_valid,
            is_response_authenticator_valid,
        },
        code::Code,
        error::{Invalid, Malformed},
        extended::{self, ExtendedAttributes, ExtendedVendorSpecific},
        hidden::{self, HiddenBuffer, Salt},
        kind,
        packet::Packet,
        reply::ReplyBuffer,
        request::{RequestBuffer, verify_reply},
        secret::Secret,
        tag::{self, Tag},
        tlv::{self, Tlvs},
        vendor::{self, VendorFormat, VendorSpecific},
    },
};
use serde_json::Value;

const PRIMITIVES: &str = include_str!("../vectors/primitives.json");
const CAPTURES: &str = include_str!("../vectors/captures.json");
const LIVE: &str = include_str!("../vectors/live_basic.json");
const RFC_2865: &str = include_str!("../vectors/rfc2865.json");
const RFC_5997: &str = include_str!("../vectors/rfc5997.json");
const RFC_6929: &str = include_str!("../vectors/rfc6929_attributes.json");
const SALTED: &str = include_str!("../vectors/salt_encrypted.json");
const MALFORMED: &str = include_str!("../vectors/malformed.json");

fn vectors(file: &str) -> Vec<Value> {
    serde_json::from_str(file).unwrap()
}

fn name(vector: &Value) -> &str {
    vector["name"].as_str().unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex(value: &Value) -> Vec<u8> {
    unhex(value.as_str().unwrap())
}

fn secret(vector: &Value) -> Option<Secret> {
    vector["secret"].as_str().map(|text| Secret::new(text.as_bytes().to_vec()).unwrap())
}

const NO_VALUE: HiddenBuffer = [0; VALUE_OCTETS_MAX];

#[test]
fn passwords_are_hidden_and_revealed_for_secrets_and_passwords_of_all_lengths() {
    let mut count = 0;
    for vector in vectors(PRIMITIVES).iter().filter(|vector| name(vector).starts_with("pap-")) {
        let secret = secret(vector).unwrap();
        let authenticator: [u8; 16] = hex(&vector["request_authenticator_hex"]).try_into().unwrap();
        let password = vector["password"].as_str().unwrap().as_bytes();
        let expected = hex(&vector["expect"]["ciphertext_hex"]);
        let mut out = NO_VALUE;
        let found = hidden::hide_password(password, &authenticator, &secret, &mut out).unwrap();
        assert_eq!(found, expected, "{}", name(vector));
        let found = hidden::reveal_password(&expected, &authenticator, &secret, &mut out).unwrap();
        assert_eq!(found, password, "{}", name(vector));
        count += 1;
    }
    assert_eq!(count, 36);
}

/// What was looked at in the vectors, so that a vector with another spelling cannot pass unlooked at.
#[derive(Default, Debug, PartialEq)]
struct Looked {
    requests: usize,
    replies: usize,
    signatures: usize,
    authenticators: usize,
    passwords: usize,
    chap: usize,
    attribute_lists: usize,
}

#[test]
fn rfc_2865_exchanges_are_read_and_verified() {
    let mut looked = Looked::default();
    for vector in vectors(RFC_2865).iter().filter(|vector| !name(vector).contains("as-printed")) {
        look_at_exchange(vector, &mut looked);
    }
    let expected = Looked { requests: 4, replies: 4, authenticators: 4, passwords: 3, chap: 1, ..Looked::default() };
    assert_eq!(looked, expected);
}

#[test]
fn the_misprinted_request_of_rfc_2865_is_malformed() {
    let all = vectors(RFC_2865);
    let vector = all.iter().find(|vector| name(vector).contains("as-printed")).unwrap();
    let octets = hex(&vector["request_hex"]);
    assert_eq!(Packet::parse(&octets).err(), Some(Malformed::AttributeOverrunsPacket { at: 57 }));
}

#[test]
fn rfc_5997_exchanges_are_read_and_verified() {
    let mut looked = Looked::default();
    for vector in &vectors(RFC_5997) {
        look_at_exchange(vector, &mut looked);
    }
    assert_eq!(looked, Looked { requests: 3, replies: 3, signatures: 3, authenticators: 3, ..Looked::default() });
}

#[test]
fn captured_exchanges_are_read_and_verified() {
    let mut looked = Looked::default();
    let all = vectors(CAPTURES);
    // Those four carry EAP and a password together; a test beside the authenticator's code looks at their hashes.
    let (refused, read): (Vec<_>, Vec<_>) = all.iter().partition(|vector| name(vector).starts_with("ws01-eapmd5-"));
    for vector in refused {
        assert_eq!(Packet::parse(&hex(&vector["request_hex"])).err(), Some(Malformed::EapBesidePassword));
        look_at_reply(vector, &hex(&vector["request_hex"]), &mut looked);
    }
    for vector in read {
        look_at_exchange(vector, &mut looked);
    }
    let expected = Looked {
        requests: 17,
        replies: 12,
        signatures: 13,
        authenticators: 13,
        passwords: 7,
        chap: 1,
        attribute_lists: 29,
    };
    assert_eq!(looked, expected);
}

#[test]
fn exchanges_with_freeradius_are_read_and_verified() {
    let mut looked = Looked::default();
    for vector in &vectors(LIVE) {
        look_at_exchange(vector, &mut looked);
    }
    let expected = Looked {
        requests: 14,
        replies: 14,
        signatures: 17,
        authenticators: 22,
        passwords: 3,
        chap: 1,
        attribute_lists: 28,
    };
    assert_eq!(looked, expected);
}

fn look_at_exchange(vector: &Value, looked: &mut Looked) {
    let octets = hex(&vector["request_hex"]);
    let request = Packet::parse(&octets).unwrap_or_else(|error| panic!("{}: {error}", name(vector)));
    let expected = &vector["expect"]["request"];
    looked.requests += 1;
    look_at_header(&request, expected, looked);
    if let Some(secret) = secret(vector) {
        look_at_request_hashes(vector, &request, &secret, looked);
        look_at_credentials(&request, expected, &secret, looked);
        if let Some(reply) = vector["response_hex"].as_str() {
            assert_eq!(verify_reply(&Packet::parse(&unhex(reply)).unwrap(), &request, &secret), Ok(()));
        }
    }
    look_at_reply(vector, &octets, looked);
}

fn look_at_header(packet: &Packet<'_>, expected: &Value, looked: &mut Looked) {
    match &expected["code"] {
        Value::String(code) => assert_eq!(packet.code().name(), code),
        code => assert_eq!(Some(u64::from(packet.code().0)), code.as_u64()),
    }
    if let Some(identifier) = expected["id"].as_u64() {
        assert_eq!(u64::from(packet.identifier()), identifier);
    }
    if let Some(attributes) = expected["attributes"].as_array() {
        let expected: Vec<_> = attributes.iter().map(|pair| (pair[0].as_u64().unwrap(), hex(&pair[1]))).collect();
        let found: Vec<_> = packet.attributes().map(|a| (u64::from(a.kind), a.value.to_vec())).collect();
        assert_eq!(found, expected);
        looked.attribute_lists += 1;
    }
}

/// The captures say it in `expect`, the live runs in `verified`.
fn claims(vector: &Value, claim: &str) -> bool {
    vector["verified"].as_array().unwrap().iter().any(|line| line.as_str().unwrap().starts_with(claim))
}

fn look_at_request_hashes(vector: &Value, request: &Packet<'_>, secret: &Secret, looked: &mut Looked) {
    let expected = &vector["expect"]["request"];
    let signature =
        expected["message_authenticator_valid"]
            .as_bool()
            .or(claims(vector, "request Message-Authenticator valid").then_some(true));
    if let Some(is_valid) = signature {
        let expected = if is_valid { Signature::Valid } else { Signature::Wrong };
        assert_eq!(check_request_signature(request, secret), expected, "{}", name(vector));
        looked.signatures += 1;
    }
    let is_hashed =
        expected["request_authenticator_valid"].as_bool().or((claims(vector, "Request Authenticator valid")
            || claims(vector, "Accounting Request Authenticator valid"))
        .then_some(true));
    if let Some(is_valid) = is_hashed {
        assert_eq!(is_request_authenticator_valid(request, secret), is_valid, "{}", name(vector));
        looked.authenticators += 1;
    }
}

fn look_at_credentials(request: &Packet<'_>, expected: &Value, secret: &Secret, looked: &mut Looked) {
    if let Some(password) = expected["User_Password"].as_str() {
        let hidden = request.first(kind::USER_PASSWORD).unwrap();
        let mut out = NO_VALUE;
        let found = hidden::reveal_password(hidden, request.authenticator(), secret, &mut out).unwrap();
        assert_eq!(found, password.as_bytes());
        looked.passwords += 1;
    }
    let chap_password = request.first(kind::CHAP_PASSWORD);
    if let Some(response) = chap_password {
        let password = expected["chap_cleartext"].as_str().unwrap_or("hello").as_bytes();
        let challenge = request.first(kind::CHAP_CHALLENGE).unwrap_or(request.authenticator());
        assert!(hidden::chap_matches(response, challenge, password));
        looked.chap += 1;
    }
}

fn look_at_reply(vector: &Value, request: &[u8], looked: &mut Looked) {
    let Some(reply) = vector["response_hex"].as_str() else { return };
    let octets = unhex(reply);
    let reply = Packet::parse(&octets).unwrap();
    let expected = &vector["expect"]["response"];
    looked.replies += 1;
    look_at_header(&reply, expected, looked);
    let Some(secret) = secret(vector) else { return };
    let request_authenticator: &[u8; 16] = request[4..20].try_into().unwrap();
    assert!(is_response_authenticator_valid(&reply, request_authenticator, &secret), "{}", name(vector));
    looked.authenticators += 1;
    if reply.has(kind::MESSAGE_AUTHENTICATOR) {
        let found = check_reply_signature(&reply, request_authenticator, &secret);
        assert_eq!(found, Signature::Valid, "{}", name(vector));
        looked.signatures += 1;
    }
}

#[test]
fn our_replies_to_the_recorded_requests_are_the_recorded_octets() {
    let mut count = 0;
    let mut buffer = ReplyBuffer::new();
    for vector in [LIVE, CAPTURES, RFC_2865, RFC_5997].into_iter().flat_map(vectors) {
        let (Some(recorded), Some(secret)) = (vector["response_hex"].as_str(), secret(&vector)) else { continue };
        let recorded = unhex(recorded);
        let reply = Packet::parse(&recorded).unwrap();
        let attributes = match reply.message_authenticator() {
            // It stands first in ours, so replies that had it elsewhere can't come out the same.
            Some(22) => {
                buffer.start(reply.code(), reply.identifier());
                &recorded[38..]
            }
            Some(_) => continue,
            None => {
                buffer.start_unsigned(reply.code(), reply.identifier());
                &recorded[20..]
            }
        };
        for attribute in Attributes::new(attributes, 0) {
            buffer.push(attribute.kind, attribute.value).unwrap();
        }
        let request = hex(&vector["request_hex"]);
        assert_eq!(buffer.sign(request[4..20].try_into().unwrap(), &secret), recorded, "{}", name(&vector));
        count += 1;
    }
    assert_eq!(count, 27);
}

#[test]
fn our_requests_with_the_recorded_attributes_are_the_recorded_octets() {
    let mut count = 0;
    let mut buffer = RequestBuffer::new();
    for vector in vectors(LIVE) {
        let recorded = hex(&vector["request_hex"]);
        let request = Packet::parse(&recorded).unwrap();
        let attributes = match request.message_authenticator() {
            Some(22) => {
                buffer.start_request(request.code(), request.identifier(), request.authenticator());
                &recorded[38..]
            }
            Some(_) => continue,
            None => {
                buffer.start_unsigned_request(request.code(), request.identifier(), request.authenticator());
                &recorded[20..]
            }
        };
        buffer.push_encoded(attributes).unwrap();
        assert_eq!(buffer.sign(&secret(&vector).unwrap()), recorded, "{}", name(&vector));
        count += 1;
    }
    assert_eq!(count, 9);
}

#[test]
fn rfc_6929_attributes_are_read_and_encoded_again() {
    let all = vectors(RFC_6929);
    assert_eq!(all.len(), 18);
    for vector in &all {
        let octets = hex(&vector["attribute_hex"]);
        let expected = &vector["expect"];
        let identifier: Vec<u32> =
            expected["identifier"].as_str().unwrap().split('.').map(|part| part.parse().unwrap()).collect();
        let value = hex(&expected["value_hex"]);
        let mut walk = ExtendedAttributes::new(Attributes::new(&octets, 0));
        let found = walk.next().unwrap().unwrap();
        assert!(walk.next().is_none());
        assert_eq!(Some(found.parts().count() as u64), expected["fragments"].as_u64(), "{}", name(vector));
        assert_eq!((u32::from(found.kind), u32::from(found.extended_kind)), (identifier[0], identifier[1]));
        let mut encoded = Vec::new();
        if let [_, 26, vendor, vendor_kind] = identifier[..] {
            let inside = found.value();
            let inside = ExtendedVendorSpecific::parse(&inside).unwrap();
            assert_eq!((inside.vendor, u32::from(inside.kind)), (vendor, vendor_kind));
            assert_eq!(inside.value, value, "{}", name(vector));
            extended::encode_vendor(found.kind, vendor, inside.kind, &value, &mut encoded).unwrap();
        } else {
            assert_eq!(found.value(), value, "{}", name(vector));
            extended::encode(found.kind, found.extended_kind, &value, &mut encoded).unwrap();
        }
        assert_eq!(encoded, octets, "{}", name(vector));
    }
}

#[test]
fn the_nested_tlvs_of_rfc_6929_are_read_to_the_fourth_level() {
    let value = unhex("010c020a030804060504cdef");
    let mut level = Tlvs::parse(&value).unwrap();
    for expected in 1..=3 {
        let child = level.next().unwrap();
        assert_eq!(child.kind, expected);
        level = child.children().unwrap();
    }
    let fourth = level.next().unwrap();
    assert_eq!((fourth.kind, fourth.value), (4, &[5, 4, 0xCD, 0xEF][..]));
    assert_eq!(fourth.children().err(), Some(Invalid::TlvTooDeep));
}

#[test]
fn salt_encrypted_values_are_revealed_and_hidden_again() {
    let mut count = 0;
    for vector in vectors(SALTED).iter().filter(|vector| !vector["expect"]["salt_hex"].is_null()) {
        let secret = secret(vector).unwrap();
        let authenticator: [u8; 16] = hex(&vector["request_authenticator_hex"]).try_into().unwrap();
        let octets = hex(&vector["attribute_hex"]);
        let expected = &vector["expect"];
        let plain = hex(&expected["plaintext_hex"]);
        let salt: [u8; 2] = hex(&expected["salt_hex"]).try_into().unwrap();
        let salt = Salt::new(u16::from_be_bytes(salt));
        let attribute = Attributes::new(&octets, 0).next().unwrap();
        let (mut out, mut again) = (NO_VALUE, NO_VALUE);
        let (salted, hidden) = if attribute.kind == kind::TUNNEL_PASSWORD {
            assert_eq!(u64::from(attribute.value[0]), expected["tag"].as_u64().unwrap());
            let tag = Tag::new(attribute.value[0]).unwrap();
            let hidden = hidden::hide_tunnel_password(tag, &plain, salt, &authenticator, &secret, &mut again);
            (&attribute.value[1..], hidden.map(|octets| &octets[1..]))
        } else {
            let vendor = VendorSpecific::parse(attribute.value).unwrap();
            let inside = vendor.attributes(VendorFormat::STANDARD).unwrap().next().unwrap();
            (inside.value, hidden::hide_salted(&plain, salt, &authenticator, &secret, &mut again))
        };
        let found = hidden::reveal_salted(salted, &authenticator, &secret, &mut out).unwrap();
        assert_eq!(found, plain, "{}", name(vector));
        if name(vector) == "tunnel-password-max-249" {
            // We read a last block that is cut short, and never write one.
            assert!(hidden.is_err());
        } else {
            // The recorded padding is random and ours is zeros, so only what comes before it can be equal.
            let (hidden, before_padding) = (hidden.unwrap(), 3 + plain.len());
            assert_eq!(hidden[..before_padding], salted[..before_padding], "{}", name(vector));
            assert_eq!(hidden.len(), salted.len());
        }
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn a_vendors_hidden_value_may_be_longer_than_a_password() {
    let all = vectors(SALTED);
    let vector = all.iter().find(|vector| name(vector) == "aruba-mpsk-lookup-info-encrypt1").unwrap();
    let secret = secret(vector).unwrap();
    let authenticator: [u8; 16] = hex(&vector["request_authenticator_hex"]).try_into().unwrap();
    let octets = hex(&vector["attribute_hex"]);
    let attribute = Attributes::new(&octets, 0).next().unwrap();
    let found = VendorSpecific::parse(attribute.value).unwrap();
    let inside = found.attributes(VendorFormat::STANDARD).unwrap().next().unwrap();
    assert_eq!((found.vendor, inside.kind), (14823, 66));
    let plain = hex(&vector["expect"]["plaintext_hex"]);
    let (mut out, mut again) = (NO_VALUE, NO_VALUE);
    assert_eq!(hidden::reveal_vendor_password(inside.value, &authenticator, &secret, &mut out).unwrap(), plain);
    let hidden = hidden::hide_vendor_password(&plain, &authenticator, &secret, &mut again).unwrap();
    let mut encoded = Vec::new();
    vendor::encode(14823, VendorFormat::STANDARD, 66, hidden, &mut encoded).unwrap();
    assert_eq!(encoded, octets);
}

#[test]
fn the_password_beside_the_salted_values_is_revealed() {
    let all = vectors(SALTED);
    let mut looked = Looked::default();
    look_at_exchange(all.iter().find(|vector| name(vector) == "pap-bob-testing123").unwrap(), &mut looked);
    assert_eq!(looked.passwords, 1);
}

/// The vectors whose packets are malformed. All others must be read; whether they are answered is the engine's matter.
const REFUSED: [(&str, &str); 12] = [
    ("mal-datagram-empty", "datagram-too-short"),
    ("mal-datagram-19", "datagram-too-short"),
    ("mal-length-0", "length-too-small"),
    ("mal-length-65535", "length-too-large"),
    ("mal-length-above-4096", "length-too-large"),
    ("mal-attr-length-0", "attribute-too-short"),
    ("mal-attr-overflow", "attribute-overruns-packet"),
    ("mal-attributes-2000-two-octet", "too-many-attributes"),
    ("mal-MA-length-17", "message-authenticator-size"),
    ("mal-MA-twice-both-zeroed-in-hmac", "message-authenticator-repeated"),
    ("mal-eap-and-user-password", "eap-beside-password"),
    ("radsecproxy", "datagram-too-short"),
];

#[test]
fn hostile_packets_are_refused_exactly_where_parsing_must_end() {
    let (mut refused, mut read) = (0, 0);
    for vector in &vectors(MALFORMED) {
        let octets = hex(&vector["request_hex"]);
        let expected = REFUSED.iter().find(|(start, _)| name(vector).starts_with(start)).map(|(_, label)| *label);
        let found = Packet::parse(&octets).err();
        assert_eq!(found.map(Malformed::label), expected, "{}", name(vector));
        if let Some(error) = found {
            assert!(!error.sentence().is_empty());
            refused += 1;
        } else {
            read += 1;
        }
    }
    assert_eq!((refused, read), (14, 45));
}

#[test]
fn the_insides_of_hostile_packets_are_read_or_invalid() {
    let all = vectors(MALFORMED);
    let octets_of = |wanted: &str| hex(&all.iter().find(|vector| name(vector) == wanted).unwrap()["request_hex"]);
    let format = |types, lengths, continuation| VendorFormat::new(types, lengths, continuation).unwrap();
    let vendor = |wanted: &str, format| {
        let octets = octets_of(wanted);
        let packet = Packet::parse(&octets).unwrap();
        let inside = VendorSpecific::parse(packet.first(kind::VENDOR_SPECIFIC).unwrap())?.attributes(format)?;
        Ok(inside.map(|a| (a.vendor, a.kind, a.value.to_vec())).collect::<Vec<_>>())
    };
    let standard = VendorFormat::STANDARD;
    let foo = b"foo".to_vec();
    assert_eq!(vendor("mal-vsa-sub-len-0", standard), Err(Invalid::VendorStructure));
    assert_eq!(vendor("mal-vsa-sub-overflow", standard), Err(Invalid::VendorStructure));
    assert_eq!(vendor("mal-vsa-vendor-0", standard), Ok(vec![(0, 1, foo.clone())]));
    assert_eq!(vendor("mal-vsa-two-subattributes", standard), Ok(vec![(9, 1, foo), (9, 1, b"bar".to_vec())]));
    assert_eq!(vendor("mal-vsa-lucent-2-1", format(2, 1, false)), Ok(vec![(4846, 2, vec![0, 0, 0, 1])]));
    assert_eq!(vendor("mal-vsa-wimax-continuation", format(1, 1, true)), Ok(vec![(24757, 1, b"\x01\x051.0".to_vec())]));
    assert_eq!(vendor("mal-vsa-length-5", standard), Err(Invalid::VendorTooShort));

    let extended = |wanted: &str| {
        let octets = octets_of(wanted);
        let packet = Packet::parse(&octets).unwrap();
        let found: Vec<_> = ExtendedAttributes::new(packet.attributes())
            .map(|item| item.map(|found| (found.kind, found.extended_kind, found.value().into_owned())))
            .collect();
        found
    };
    assert_eq!(extended("mal-ext-241-len-2"), [Err(Invalid::ExtendedTooShort)]);
    assert_eq!(extended("mal-ext-245-len-3"), [Err(Invalid::ExtendedTooShort)]);
    assert_eq!(extended("mal-ext-245-more-last"), [Err(Invalid::FragmentMissing)]);
    let other = extended("mal-ext-245-more-then-other-ext-type");
    assert_eq!((other.len(), &other[0], other[1].is_ok()), (2, &Err(Invalid::FragmentMissing), true));
    let [Ok((241, 2, value))] = &extended("mal-ext-241-tlv-inner-overflow")[..] else { panic!("one attribute") };
    assert_eq!(Tlvs::parse(value).err(), Some(Invalid::TlvStructure));

    let octets = octets_of("mal-tag-tunnel-type-short");
    let value = Packet::parse(&octets).unwrap().first(kind::TUNNEL_TYPE).unwrap();
    assert_eq!(tag::read_integer(value), Err(Invalid::TaggedSize));
    let octets = octets_of("mal-tunnel-password-in-request-short");
    let packet = Packet::parse(&octets).unwrap();
    let salted = &packet.first(kind::TUNNEL_PASSWORD).unwrap()[1..];
    let secret = Secret::new(b"testing123".to_vec()).unwrap();
    let found = hidden::reveal_salted(salted, packet.authenticator(), &secret, &mut NO_VALUE.clone()).err();
    assert_eq!(found, Some(Invalid::SaltedTooShort));
}

#[test]
fn hostile_packets_are_signed_as_their_reasons_say() {
    let secret = Secret::new(b"testing123".to_vec()).unwrap();
    for (wanted, signature, is_hashed) in [
        ("mal-baseline-valid-first-MA", Signature::Valid, false),
        ("mal-MA-middle", Signature::Valid, false),
        ("mal-MA-missing-pap", Signature::Missing, false),
        ("mal-status-no-MA", Signature::Missing, false),
        ("mal-status-with-credentials", Signature::Valid, false),
        ("mal-acct-valid", Signature::Missing, true),
        ("mal-acct-random-authenticator", Signature::Missing, false),
        ("mal-acct-bad-MA", Signature::Wrong, true),
    ] {
        let all = vectors(MALFORMED);
        let octets = hex(&all.iter().find(|vector| name(vector) == wanted).unwrap()["request_hex"]);
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!(check_request_signature(&packet, &secret), signature, "{wanted}");
        assert_eq!(is_request_authenticator_valid(&packet, &secret), is_hashed, "{wanted}");
    }
}

#[test]
fn every_kind_of_invalid_attribute_has_octets_that_provoke_it() {
    let secret = Secret::new(b"testing123".to_vec()).unwrap();
    let mut out = NO_VALUE;
    let standard = VendorFormat::STANDARD;
    let extended = |octets: &[u8]| ExtendedAttributes::new(Attributes::new(octets, 0)).next().unwrap().err().unwrap();
    let mut deep = vec![7];
    for _ in 0..5 {
        let inner = std::mem::take(&mut deep);
        tlv::encode(1, &inner, &mut deep).unwrap();
    }
    let mut level = Tlvs::parse(&deep).unwrap();
    for _ in 0..3 {
        level = level.next().unwrap().children().unwrap();
    }
    let mut wrong_length = hidden::hide_salted(b"x", Salt::new(1), &[0; 16], &secret, &mut out).unwrap().to_vec();
    wrong_length[2] ^= 0x80;
    let full_fragment = [&[245, 255, 1, 0x80][..], &[0; 251]].concat();
    let provoked = [
        hidden::reveal_password(&[0; 17], &[0; 16], &secret, &mut NO_VALUE.clone()).err(),
        hidden::reveal_salted(&[0x80, 0], &[0; 16], &secret, &mut NO_VALUE.clone()).err(),
        hidden::reveal_salted(&wrong_length, &[0; 16], &secret, &mut NO_VALUE.clone()).err(),
        VendorSpecific::parse(&[0, 0, 0, 9]).err(),
        VendorSpecific::parse(&[0, 0, 0, 9, 1]).unwrap().attributes(standard).err(),
        Some(extended(&[241, 3, 1])),
        Some(extended(&full_fragment)),
        Some(extended(&[245, 5, 1, 0x80, 0])),
        Tlvs::parse(&[1, 9]).err(),
        level.next().unwrap().children().err(),
        tag::read_integer(&[0, 0, 13]).err(),
        tag::read_integer(&[0x20, 0, 0, 13]).err(),
    ];
    let labels: std::collections::BTreeSet<_> = provoked.iter().map(|invalid| invalid.unwrap().label()).collect();
    assert_eq!(labels.len(), Invalid::LABELS.len());
    for label in Invalid::LABELS {
        assert!(labels.contains(label), "{label}");
    }
    for invalid in provoked {
        assert!(!invalid.unwrap().sentence().is_empty());
    }
}

#[test]
fn a_status_reply_carries_its_message_authenticator_first_as_freeradius_does() {
    let all = vectors(LIVE);
    let vector = all.iter().find(|vector| name(vector) == "live-status-acct").unwrap();
    let reply = hex(&vector["response_hex"]);
    let reply = Packet::parse(&reply).unwrap();
    assert_eq!((reply.code(), reply.message_authenticator()), (Code::ACCOUNTING_RESPONSE, Some(22)));
}
