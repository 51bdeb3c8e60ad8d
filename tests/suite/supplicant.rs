//! The product's two halves of EAP-TLS against each other: the server's, and the device that loads servers.
//!
//! Owns what a device must accept and refuse. The server's half has its own tests with a device that shares no code.

use radmit::{
    eap::{
        chance::SeededChance,
        conversation::{Begun, Step, begin},
        reason::Verdict,
        tls::alert::Alert,
    },
    supplicant::{Broken, Credentials, Peer, Supplicant, Turn, Versions},
};
use rustls::{ProtocolVersion, pki_types::ServerName};

use crate::support::{
    eap_talk::Server,
    pki::{Authority, Kind},
};

fn credentials(devices: &Authority, servers: &Authority, versions: Versions) -> Credentials {
    let leaf = devices.device(Kind::P256);
    Credentials {
        identity: b"anonymous".to_vec(),
        key: leaf.key_der(),
        chain: leaf.chain,
        roots: vec![servers.der()],
        server_name: None,
        versions,
    }
}

/// A server of a name of its own, its authority, and the devices' one.
fn world() -> (Authority, Authority, Server) {
    let (devices, servers) = (Authority::root("Devices", Kind::P256), Authority::root("Servers", Kind::P256));
    let server = Server::new(&servers.server(Kind::P256), &[&devices]);
    (devices, servers, server)
}

/// A whole conversation: how it ended for the device, and how many packets the server sent.
fn talk(server: &Server, supplicant: &Supplicant) -> (Result<Turn, Broken>, usize, Peer) {
    let mut chance = SeededChance::new(1);
    let mut device = supplicant.begin().unwrap();
    let identity = device.identity(9);
    let Begun { mut conversation, request } = begin(server.offer(), &identity, &mut chance).unwrap();
    let mut step = Step::Send(request);
    let mut packets = 0;
    loop {
        let packet: &[u8] = match &step {
            Step::Send(request) => request,
            Step::Decide(_) => {
                step = conversation.decide(server.verdict);
                continue;
            }
            Step::Repeat(_, broken) => panic!("the device made a mistake: {broken}"),
            Step::Accept(accepted) => &accepted.packet,
            Step::Reject(rejected) => &rejected.packet,
        };
        packets += 1;
        match device.take(packet) {
            Ok(Turn::Respond(response)) => step = conversation.step(server.now, &response, &mut chance),
            end => return (end, packets, device),
        }
    }
}

#[test]
fn a_device_shakes_hands_with_both_versions_of_tls_in_any_fragments() {
    for (versions, spoken) in [
        (Versions::Both, ProtocolVersion::TLSv1_3),
        (Versions::Tls13, ProtocolVersion::TLSv1_3),
        (Versions::Tls12, ProtocolVersion::TLSv1_2),
    ] {
        for octets in [200, 1_400] {
            let (devices, servers, mut server) = world();
            server.packet_octets_max = octets;
            let supplicant = Supplicant::new(credentials(&devices, &servers, versions)).unwrap();
            let (end, packets, device) = talk(&server, &supplicant);
            assert_eq!((end, device.version(), device.error()), (Ok(Turn::Success), Some(spoken), None));
            assert!(octets > 200 || packets > 6, "{packets}");
        }
    }
}

#[test]
fn a_chain_longer_than_a_packet_leaves_in_fragments() {
    let (devices, servers, mut server) = world();
    let below = devices.below("Below", Kind::Rsa2048);
    server.settings.client_ca = Server::new(&servers.server(Kind::P256), &[&devices, &below]).settings.client_ca;
    let leaf = below.device(Kind::Rsa2048).with(&below).with(&devices);
    let given =
        Credentials { key: leaf.key_der(), chain: leaf.chain, ..credentials(&devices, &servers, Versions::Both) };
    let (end, _, device) = talk(&server, &Supplicant::new(given).unwrap());
    assert_eq!((end, device.error()), (Ok(Turn::Success), None));
}

#[test]
fn a_device_that_is_turned_away_knows_it() {
    let (devices, servers, mut server) = world();
    server.verdict = Verdict::Deny(Alert::AccessDenied);
    let supplicant = Supplicant::new(credentials(&devices, &servers, Versions::Both)).unwrap();
    assert_eq!(talk(&server, &supplicant).0, Ok(Turn::Failure));
}

#[test]
fn a_device_turns_away_a_server_of_a_stranger_or_of_another_name() {
    let (devices, servers, server) = world();
    let name = |name: &'static str| Some(ServerName::try_from(name).unwrap());
    for (roots, server_name, is_liked) in [
        (&servers, None, true),
        (&servers, name("radius.contoso.com"), true),
        (&servers, name("radius.example"), false),
        (&devices, None, false),
    ] {
        let given = Credentials { server_name, ..credentials(&devices, roots, Versions::Both) };
        let (end, _, device) = talk(&server, &Supplicant::new(given).unwrap());
        let expected = if is_liked { Turn::Success } else { Turn::Failure };
        assert_eq!((end, device.error().is_none()), (Ok(expected), is_liked));
    }
}

#[test]
fn what_a_server_must_not_send_is_told() {
    let (devices, servers, _) = world();
    let supplicant = Supplicant::new(credentials(&devices, &servers, Versions::Both)).unwrap();
    let taken = |packet: &[u8]| supplicant.begin().unwrap().take(packet);
    assert_eq!(taken(&[3, 1, 0, 4]), Err(Broken::EarlySuccess));
    for packet in [&[][..], &[1, 1, 0], &[1, 1, 0, 9, 13, 0x20], &[2, 1, 0, 5, 1], &[9, 1, 0, 4], &[1, 1, 0, 4]] {
        assert_eq!(taken(packet), Err(Broken::Header), "{packet:?}");
    }
    // A length without its four octets.
    assert_eq!(taken(&[1, 1, 0, 7, 13, 0x80, 0]), Err(Broken::Fragment));
    assert_eq!(taken(&[1, 7, 0, 6, 4, 0]), Ok(Turn::Respond(vec![2, 7, 0, 6, 3, 13])), "no MD5, but EAP-TLS");
    assert_eq!(taken(&[1, 7, 0, 5, 2]), Ok(Turn::Respond(vec![2, 7, 0, 5, 2])));
    assert_eq!(taken(&[4, 1, 0, 4]), Ok(Turn::Failure));
}

#[test]
fn a_flight_without_end_is_refused() {
    let (devices, servers, _) = world();
    let mut device = Supplicant::new(credentials(&devices, &servers, Versions::Both)).unwrap().begin().unwrap();
    assert!(matches!(device.take(&[1, 1, 0, 6, 13, 0x20]), Ok(Turn::Respond(_))));
    let length = u16::try_from(6 + 1_000).unwrap().to_be_bytes();
    let fragment = [&[1, 2], &length[..], &[13, 0x40], &[0; 1_000]].concat();
    let taken = (0..100).map(|_| device.take(&fragment)).find(Result::is_err);
    assert_eq!(taken, Some(Err(Broken::Fragment)));
}
