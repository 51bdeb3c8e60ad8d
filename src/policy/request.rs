//! What a request tells about the session by itself.
//!
//! Owns the reading of the attributes in which clients of different vendors say the same. It decides nothing, and what a
//! client should not be believed is the engine's matter.

use super::{
    facts::{Medium, Method, NasPort},
    mac,
};
use crate::{
    dictionary::{Path, values_in},
    radius::{kind, packet::Packet},
};

/// Aruba-Essid-Name, Ruckus-SSID, Fortinet-SSID: where the wireless network stands by itself.
const SSID_PATHS: [Path; 3] = [Path::vendor(14823, 5), Path::vendor(25053, 3), Path::vendor(12356, 7)];

/// What the device is connected by: NAS-Port-Type.
///
/// Source: RFC 2865 section 5.41 and the registry of values.
#[must_use]
pub fn medium(packet: &Packet<'_>) -> Option<Medium> {
    let number = u32::from_be_bytes(packet.value(kind::NAS_PORT_TYPE)?.try_into().ok()?);
    match number {
        // Ethernet, Token-Ring, FDDI.
        15 | 20 | 21 => Some(Medium::Wired),
        // Wireless-Other, Wireless-802.11.
        18 | 19 => Some(Medium::Wireless),
        // Virtual, PPPoE over anything.
        5 | 32..=35 => Some(Medium::Virtual),
        _ => None,
    }
}

/// The name of the wireless network: a vendor's own attribute, or what stands behind the access point's address in
/// Called-Station-Id.
///
/// Source: RFC 3580 section 3.20 (`00-10-A4-23-19-C0:AP1`).
#[must_use]
pub fn ssid<'a>(packet: &Packet<'a>) -> Option<&'a [u8]> {
    // Most requests carry nothing of these vendors: one look at the vendors' numbers spares three walks.
    let is_one_of_them = |value: &[u8]| match value {
        &[0, a, b, c, ..] => {
            let vendor = Some(u32::from_be_bytes([0, a, b, c]));
            SSID_PATHS.iter().any(|path| path.vendor_number() == vendor)
        }
        _ => false,
    };
    let own = packet
        .all(kind::VENDOR_SPECIFIC)
        .any(is_one_of_them)
        .then(|| SSID_PATHS.iter().find_map(|path| values_in(packet, path).next()))
        .flatten();
    own.or_else(|| {
        let (_, name) = address_and_name(packet.value(kind::CALLED_STATION_ID)?)?;
        Some(name).filter(|name| !name.is_empty())
    })
}

/// A MAC address and the name of the network behind it, as both Called- and Calling-Station-Id may hold them.
///
/// Source: RFC 3580 sections 3.20 and 3.21.
#[must_use]
pub fn address_and_name(station: &[u8]) -> Option<(&[u8], &[u8])> {
    // The address itself may be written with colons, and the name may hold some: the first cut that leaves a whole
    // address before it is the right one.
    let colons = station.iter().enumerate().filter(|(_, octet)| **octet == b':').map(|(at, _)| at);
    let mut cuts = colons.filter_map(|at| Some((station.get(..at)?, station.get(at + 1..)?)));
    cuts.find(|(address, _)| mac::parse(address).is_some())
}

/// The client's port: its name where there is one, else its number.
#[must_use]
pub fn nas_port<'a>(packet: &Packet<'a>) -> Option<NasPort<'a>> {
    let named = packet.value(kind::NAS_PORT_ID).map(NasPort::Id);
    named.or_else(|| {
        let number = packet.value(kind::NAS_PORT)?.try_into().ok()?;
        Some(NasPort::Number(u32::from_be_bytes(number)))
    })
}

/// The device's MAC address: User-Name's, else Calling-Station-Id's.
#[must_use]
pub fn mac_address(packet: &Packet<'_>) -> Option<[u8; 6]> {
    packet.value(kind::USER_NAME).and_then(mac::parse).or_else(|| {
        let station = packet.value(kind::CALLING_STATION_ID)?;
        mac::parse(station).or_else(|| mac::parse(address_and_name(station)?.0))
    })
}

/// How the device shows who it is, as far as the first packet tells.
#[must_use]
pub fn method(packet: &Packet<'_>) -> Method {
    const AUTHORIZE_ONLY: &[u8] = &[0, 0, 0, 17];
    if packet.has(kind::EAP_MESSAGE) {
        Method::Eap
    } else if packet.value(kind::SERVICE_TYPE) == Some(AUTHORIZE_ONLY) {
        Method::AuthorizeOnly
    } else {
        Method::Mab
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dictionary::Dictionary, document::Source, policy::sample, problem::Problems};

    fn with<T>(list: &str, look: impl FnOnce(&Packet<'_>) -> T) -> T {
        let mut problems = Problems::new();
        let pairs = crate::dictionary::list::parse(&Source::new("list", list), Dictionary::builtin(), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let octets = sample::datagram(&pairs).expect("few attributes");
        look(&Packet::parse(&octets).expect("well-formed"))
    }

    #[test]
    fn the_name_of_the_network_stands_behind_the_address_of_the_access_point() {
        for (called, name) in [
            ("00-10-A4-23-19-C0:corp", Some("corp")),
            ("00:10:a4:23:19:c0:guest: free", Some("guest: free")),
            ("0010a42319c0:a:b", Some("a:b")),
            ("00-10-A4-23-19-C0", None),
            ("00-10-A4-23-19-C0:", None),
            ("+49123456", None),
        ] {
            let list = format!("Called-Station-Id = \"{called}\"");
            with(&list, |packet| assert_eq!(ssid(packet), name.map(str::as_bytes), "{called}"));
        }
        with("Aruba-Essid-Name = \"lab\"\nCalled-Station-Id = \"00-10-A4-23-19-C0:corp\"", |packet| {
            assert_eq!(ssid(packet), Some(&b"lab"[..]));
        });
    }

    #[test]
    fn the_address_of_a_device_may_stand_before_the_name_of_its_network() {
        let address = Some([0xa4, 0xc3, 0xf0, 0x11, 0x22, 0x33]);
        for (list, expected) in [
            ("Calling-Station-Id = \"A4-C3-F0-11-22-33:corp\"", address),
            ("User-Name = ann\nCalling-Station-Id = \"a4:c3:f0:11:22:33\"", address),
            ("User-Name = \"A4-C3-F0-11-22-33:corp\"", None),
            ("Calling-Station-Id = \"A4-C3-F0-11-22:corp\"", None),
        ] {
            with(list, |packet| assert_eq!(mac_address(packet), expected, "{list}"));
        }
    }

    #[test]
    fn the_first_packet_tells_how_a_device_comes() {
        with("Service-Type = Call-Check\nNAS-Port-Type = Ethernet", |packet| {
            assert_eq!((method(packet), medium(packet)), (Method::Mab, Some(Medium::Wired)));
        });
        with("NAS-Port-Type = Wireless-802.11\nEAP-Message = 0x0201000501", |packet| {
            assert_eq!((method(packet), medium(packet)), (Method::Eap, Some(Medium::Wireless)));
        });
        with("Service-Type = Authorize-Only\nNAS-Port-Type = Virtual", |packet| {
            assert_eq!((method(packet), medium(packet)), (Method::AuthorizeOnly, Some(Medium::Virtual)));
        });
    }
}
