//! The codec against the `radius` crate: two implementations that know nothing of each other must agree.
//!
//! Only where the crate follows the RFCs: it does not check Message-Authenticator, leaves the length out of
//! Tunnel-Password, and does not limit the sum of attributes, so these are left out.

use proptest::{collection::vec, prelude::*};
use radius::core::{avp::AVP, code::Code as TheirCode, packet::Packet as Theirs, rfc2865};
use radmit::{
    limits::VALUE_OCTETS_MAX,
    radius::{
        authenticator::{is_request_authenticator_valid, is_response_authenticator_valid},
        code::Code,
        hidden::{self, HiddenBuffer},
        kind,
        packet::Packet,
        reply::ReplyBuffer,
        request::RequestBuffer,
        secret::Secret,
    },
};

/// Attributes that are nothing special to either, and fit into one packet.
fn attributes() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let kinds = prop_oneof![Just(1u8), 4u8..=23, 25u8..=68, 81u8..=255];
    vec((kinds, vec(any::<u8>(), 1..=253)), 0..15)
}

fn secrets() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..100)
}

fn ours_of(packet: &Packet<'_>) -> Vec<(u8, Vec<u8>)> {
    packet.attributes().map(|attribute| (attribute.kind, attribute.value.to_vec())).collect()
}

/// The crate gives attributes only by type, so the order across types is not compared.
fn agree(ours: &Packet<'_>, theirs: &Theirs) -> Result<(), TestCaseError> {
    prop_assert_eq!(ours.code().0, theirs.get_code() as u8);
    prop_assert_eq!(ours.identifier(), theirs.get_identifier());
    prop_assert_eq!(&ours.authenticator()[..], &theirs.get_authenticator()[..]);
    for kind in 0..=255 {
        let found: Vec<_> = ours.all(kind).map(<[u8]>::to_vec).collect();
        let expected: Vec<_> = theirs.lookup_all(kind).into_iter().map(AVP::encode_bytes).collect();
        prop_assert_eq!(found, expected);
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_the_crate_writes_we_read(
        attributes in attributes(),
        secret in secrets(),
        identifier in any::<u8>(),
        code in prop_oneof![
            Just(TheirCode::AccessRequest), Just(TheirCode::AccountingRequest), Just(TheirCode::CoARequest),
            Just(TheirCode::DisconnectRequest), Just(TheirCode::StatusServer),
        ],
    ) {
        let mut theirs = Theirs::new_with_identifier(code, &secret, identifier);
        for (kind, value) in &attributes {
            theirs.add(AVP::from_bytes(*kind, value));
        }
        let octets = theirs.encode().unwrap();
        let ours = Packet::parse(&octets).unwrap();
        prop_assert_eq!(ours_of(&ours), attributes);
        let secret_of_ours = Secret::new(secret.clone()).unwrap();
        prop_assert_eq!(is_request_authenticator_valid(&ours, &secret_of_ours), ours.code().has_hashed_authenticator());
        agree(&ours, &Theirs::decode(&octets, &secret).unwrap())?;
    }

    #[test]
    fn the_crate_believes_the_replies_that_we_sign_and_we_believe_its(
        attributes in attributes(),
        secret in secrets(),
        identifier in any::<u8>(),
        authenticator in any::<[u8; 16]>(),
    ) {
        let secret_of_ours = Secret::new(secret.clone()).unwrap();
        let mut request = RequestBuffer::new();
        request.start_request(Code::ACCESS_REQUEST, identifier, &authenticator);
        let request = request.sign(&secret_of_ours).to_vec();

        let mut reply = ReplyBuffer::new();
        reply.start(Code::ACCESS_ACCEPT, identifier);
        for (kind, value) in &attributes {
            reply.push(*kind, value).unwrap();
        }
        let octets = reply.sign(&authenticator, &secret_of_ours);
        prop_assert!(Theirs::is_authentic_response(octets, &request, &secret));
        agree(&Packet::parse(octets).unwrap(), &Theirs::decode(octets, &secret).unwrap())?;

        let mut theirs = Theirs::decode(&request, &secret).unwrap().make_response_packet(TheirCode::AccessAccept);
        for (kind, value) in &attributes {
            theirs.add(AVP::from_bytes(*kind, value));
        }
        let octets = theirs.encode().unwrap();
        let ours = Packet::parse(&octets).unwrap();
        prop_assert!(is_response_authenticator_valid(&ours, &authenticator, &secret_of_ours));
    }

    #[test]
    fn the_crate_believes_the_accounting_requests_that_we_sign(
        attributes in attributes(),
        secret in secrets(),
        code in prop_oneof![Just(Code::ACCOUNTING_REQUEST), Just(Code::COA_REQUEST), Just(Code::DISCONNECT_REQUEST)],
    ) {
        let secret_of_ours = Secret::new(secret.clone()).unwrap();
        let mut request = RequestBuffer::new();
        request.start_request(code, 1, &[0; 16]);
        for (kind, value) in &attributes {
            request.push(*kind, value).unwrap();
        }
        prop_assert!(Theirs::is_authentic_request(request.sign(&secret_of_ours), &secret));
    }

    #[test]
    fn passwords_are_hidden_alike(
        password in vec(1u8..=255, 1..=128),
        secret in secrets(),
    ) {
        let secret_of_ours = Secret::new(secret.clone()).unwrap();
        let mut theirs = Theirs::new_with_identifier(TheirCode::AccessRequest, &secret, 1);
        rfc2865::add_user_password(&mut theirs, &password).unwrap();
        let octets = theirs.encode().unwrap();
        let ours = Packet::parse(&octets).unwrap();
        let mut out: HiddenBuffer = [0; VALUE_OCTETS_MAX];
        let theirs_hidden = ours.first(kind::USER_PASSWORD).unwrap();
        let revealed = hidden::reveal_password(theirs_hidden, ours.authenticator(), &secret_of_ours, &mut out).unwrap();
        prop_assert_eq!(revealed, &password[..]);
        let hidden = hidden::hide_password(&password, ours.authenticator(), &secret_of_ours, &mut out).unwrap();
        prop_assert_eq!(hidden, theirs_hidden);
    }

    #[test]
    fn of_random_octets_we_accept_only_what_the_crate_accepts(
        attributes in vec(prop_oneof![0u8..4, any::<u8>()], 0..60),
    ) {
        let mut octets = vec![1, 7, 0, u8::try_from(20 + attributes.len()).unwrap()];
        octets.extend([0; 16]);
        octets.extend(&attributes);
        let theirs = Theirs::decode(&octets, b"testing123");
        if let Ok(ours) = Packet::parse(&octets) {
            agree(&ours, &theirs.unwrap())?;
        }
    }
}
