//! The requests of a run, as a Catalyst switch sends them, each with an authenticator that was never used.
//!
//! Owns their attributes and their authenticators. When they leave and what becomes of them is the generator's business.

use std::{net::IpAddr, sync::Arc};

use crate::{
    device::identifier::MacAddress,
    engine::chance::Chance,
    limits::{self, VALUE_OCTETS_MAX},
    radius::{
        attribute::Attributes,
        code::Code,
        error::Full,
        kind,
        request::RequestBuffer,
        request_signing::RequestSigning,
        secret::Secret,
        vendor::{self, VendorFormat},
    },
};

/// The private enterprise number of Cisco.
const CISCO: u32 = 9;

/// The session that Catalyst switches tell.
const SESSION: &str = "audit-session-id=0A0A0A0100000F3E5A2B1C0D";

/// How devices ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    MacBypass,
    Eap,
}

/// Writes the requests of one switch.
#[derive(Debug)]
pub struct Requests {
    buffer: RequestBuffer,
    signing: RequestSigning,
    secret: Arc<Secret>,
    /// Attributes that are the same in every request.
    fixed: Vec<u8>,
    named: Named,
}

/// Which attributes that name the device are ours to write.
#[derive(Clone, Copy, Debug)]
struct Named {
    user_name: bool,
    password: bool,
    calling_station_id: bool,
}

impl Requests {
    /// The switch at `nas`, as it tells itself in NAS-IP-Address or NAS-IPv6-Address.
    ///
    /// `attributes`: more of them, whole and with their headers. One of a kind that a request usually has replaces it;
    /// vendors' attributes are only added.
    ///
    /// # Errors
    /// [`Full`]: they don't fit into a packet.
    pub fn new(secret: Arc<Secret>, nas: IpAddr, attributes: &[u8]) -> Result<Self, Full> {
        let mut requests = Self::of(Method::MacBypass, secret, nas, attributes)?;
        requests.fill(0, &[0; 16], MacAddress::new([0; 6]))?;
        Ok(requests)
    }

    /// The same for devices that speak EAP.
    ///
    /// # Errors
    /// [`Full`]: a usual packet of EAP does not fit beside them.
    pub fn with_eap(secret: Arc<Secret>, nas: IpAddr, attributes: &[u8]) -> Result<Self, Full> {
        let mut requests = Self::of(Method::Eap, secret, nas, attributes)?;
        let longest = ([0; limits::EAP_PACKET_OCTETS_MAX], [0; VALUE_OCTETS_MAX]);
        let (name, mac) = (b"a name of some length", MacAddress::new([0; 6]));
        requests.write_eap(0, &[0; 16], mac, name, &longest.0, Some(&longest.1))?;
        Ok(requests)
    }

    fn of(method: Method, secret: Arc<Secret>, nas: IpAddr, attributes: &[u8]) -> Result<Self, Full> {
        let given = |kind: u8| Attributes::new(attributes, 0).any(|attribute| attribute.kind == kind);
        let mut fixed = Vec::new();
        let mut add = |kind: u8, value: &[u8]| {
            if !given(kind) {
                fixed.push(kind);
                fixed.push(u8::try_from(value.len() + 2).unwrap_or(u8::MAX));
                fixed.extend_from_slice(value);
            }
        };
        // Call-Check, or Framed.
        let service: u32 = if method == Method::MacBypass { 10 } else { 2 };
        add(kind::SERVICE_TYPE, &service.to_be_bytes());
        add(kind::FRAMED_MTU, &1468_u32.to_be_bytes());
        add(kind::CALLED_STATION_ID, b"00-1B-54-AA-BB-17");
        match nas {
            IpAddr::V4(nas) => add(kind::NAS_IP_ADDRESS, &nas.octets()),
            IpAddr::V6(nas) => add(kind::NAS_IPV6_ADDRESS, &nas.octets()),
        }
        add(kind::NAS_IDENTIFIER, b"access-switch-17");
        add(kind::NAS_PORT, &50_124_u32.to_be_bytes());
        add(kind::NAS_PORT_TYPE, &15_u32.to_be_bytes());
        add(kind::NAS_PORT_ID, b"GigabitEthernet1/0/24");
        let pairs: &[&str] = match method {
            Method::MacBypass => &["service-type=Call Check", SESSION, "method=mab"],
            Method::Eap => &["service-type=Framed", SESSION, "method=dot1x"],
        };
        for pair in pairs {
            vendor::encode(CISCO, VendorFormat::STANDARD, 1, pair.as_bytes(), &mut fixed)?;
        }
        fixed.extend_from_slice(attributes);
        let credential = given(kind::USER_PASSWORD) || given(kind::CHAP_PASSWORD) || given(kind::EAP_MESSAGE);
        let named = Named {
            user_name: !given(kind::USER_NAME),
            password: !credential,
            calling_station_id: !given(kind::CALLING_STATION_ID),
        };
        Ok(Self { buffer: RequestBuffer::new(), signing: RequestSigning::new(), secret, fixed, named })
    }

    /// The signed request that carries a packet of EAP.
    ///
    /// `name`: what the device calls itself; `state`: what the server gave to come back.
    ///
    /// # Errors
    /// [`Full`]: packet and state are longer than usual.
    pub fn write_eap(
        &mut self,
        identifier: u8,
        authenticator: &[u8; 16],
        mac: MacAddress,
        name: &[u8],
        eap: &[u8],
        state: Option<&[u8]>,
    ) -> Result<&[u8], Full> {
        let request = &mut self.buffer;
        request.start_request(Code::ACCESS_REQUEST, identifier, authenticator);
        if self.named.user_name {
            request.push(kind::USER_NAME, name)?;
        }
        if self.named.calling_station_id {
            request.push(kind::CALLING_STATION_ID, &dashed(mac))?;
        }
        request.push_encoded(&self.fixed)?;
        request.push_long(kind::EAP_MESSAGE, eap)?;
        if let Some(state) = state {
            request.push(kind::STATE, state)?;
        }
        Ok(request.sign(&self.secret))
    }

    /// Adds the request of this device to those that are signed together.
    pub(super) fn add(&mut self, identifier: u8, authenticator: &[u8; 16], mac: MacAddress) {
        let written = self.fill(identifier, authenticator, mac);
        debug_assert!(written.is_ok(), "the first request did fit, and all are of one length");
        self.signing.add(&mut self.buffer, &self.secret);
    }

    /// Signs what was [added](Self::add), side by side, and gives it in its order.
    pub(super) fn sign_all(&mut self) -> impl Iterator<Item = &[u8]> {
        self.signing.run(&self.secret);
        self.signing.requests()
    }

    /// Forgets what was [added](Self::add).
    pub(super) fn clear(&mut self) {
        self.signing.clear();
    }

    /// The signed request of this device; empty if it does not fit, which was seen when this was made.
    pub fn write(&mut self, identifier: u8, authenticator: &[u8; 16], mac: MacAddress) -> &[u8] {
        match self.fill(identifier, authenticator, mac) {
            Ok(()) => self.buffer.sign(&self.secret),
            Err(_) => {
                debug_assert!(false, "the first request did fit, and all are of one length");
                &[]
            }
        }
    }

    fn fill(&mut self, identifier: u8, authenticator: &[u8; 16], mac: MacAddress) -> Result<(), Full> {
        let request = &mut self.buffer;
        request.start_request(Code::ACCESS_REQUEST, identifier, authenticator);
        let plain = plain(mac);
        if self.named.user_name {
            request.push(kind::USER_NAME, &plain)?;
        }
        if self.named.password {
            request.push_clear_password(&plain)?;
        }
        if self.named.calling_station_id {
            request.push(kind::CALLING_STATION_ID, &dashed(mac))?;
        }
        request.push_encoded(&self.fixed)
    }
}

/// As switches write it into User-Name: `a4c3f0112233`.
fn plain(mac: MacAddress) -> [u8; 12] {
    let mut text = [0; 12];
    for ([high, low], octet) in text.as_chunks_mut::<2>().0.iter_mut().zip(mac.octets()) {
        (*high, *low) = (digit(octet >> 4, b'a'), digit(octet & 15, b'a'));
    }
    text
}

/// As switches write it into Calling-Station-Id: `A4-C3-F0-11-22-33`.
fn dashed(mac: MacAddress) -> [u8; 17] {
    let mut text = [b'-'; 17];
    for (digits, octet) in text.chunks_mut(3).zip(mac.octets()) {
        if let [high, low, ..] = digits {
            (*high, *low) = (digit(octet >> 4, b'A'), digit(octet & 15, b'A'));
        }
    }
    text
}

const fn digit(nibble: u8, ten: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { ten + nibble - 10 }
}

/// Request Authenticators of which none comes twice: no server can have an answer in store for a request with one.
///
/// Both halves are streams from seeds of the operating system. The first half is a one-to-one function of a counter, so
/// that it repeats only after 2^64 requests of this stream; streams of other threads belong to other source ports, and
/// those of other runs begin elsewhere.
#[derive(Debug)]
pub struct Authenticators {
    first: Chance,
    second: Chance,
}

impl Authenticators {
    /// `seeds`: unpredictable, others in every run.
    #[must_use]
    pub const fn new(seeds: [u64; 2]) -> Self {
        let [first, second] = seeds;
        Self { first: Chance::new(first), second: Chance::new(second) }
    }

    /// The next one.
    pub fn draw(&mut self) -> [u8; 16] {
        let mut authenticator = [0; 16];
        let halves = [self.first.next(), self.second.next()];
        for (octets, half) in authenticator.as_chunks_mut::<8>().0.iter_mut().zip(halves) {
            *octets = half.to_be_bytes();
        }
        authenticator
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::radius::{
        authenticator::{Signature, check_request_signature},
        hidden,
        packet::Packet,
    };

    const MAC: MacAddress = MacAddress::new([0xa4, 0xc3, 0xf0, 0x09, 0xaf, 0x33]);

    fn secret() -> Arc<Secret> {
        Arc::new(Secret::new(b"a-secret-of-24-octets-xx".to_vec()).unwrap())
    }

    #[test]
    fn a_request_is_a_signed_mac_bypass_with_the_mac_as_password() {
        let mut requests = Requests::new(secret(), [127, 0, 0, 1].into(), &[]).unwrap();
        let request = Packet::parse(requests.write(7, &[9; 16], MAC)).unwrap();
        assert_eq!((request.octets().len(), request.identifier(), request.authenticator()), (277, 7, &[9; 16]));
        assert_eq!(check_request_signature(&request, &secret()), Signature::Valid);
        assert_eq!(request.first(kind::USER_NAME), Some(&b"a4c3f009af33"[..]));
        assert_eq!(request.first(kind::CALLING_STATION_ID), Some(&b"A4-C3-F0-09-AF-33"[..]));
        assert_eq!(request.first(kind::SERVICE_TYPE), Some(&[0, 0, 0, 10][..]));
        assert_eq!(request.first(kind::NAS_IP_ADDRESS), Some(&[127, 0, 0, 1][..]));
        let mut out = [0; VALUE_OCTETS_MAX];
        let password = request.first(kind::USER_PASSWORD).unwrap();
        let password = hidden::reveal_password(password, request.authenticator(), &secret(), &mut out).unwrap();
        assert_eq!(password, b"a4c3f009af33");
    }

    #[test]
    fn a_switch_with_an_ipv6_address_says_so() {
        let mut requests = Requests::new(secret(), std::net::Ipv6Addr::LOCALHOST.into(), &[]).unwrap();
        let request = Packet::parse(requests.write(7, &[9; 16], MAC)).unwrap();
        assert!(!request.has(kind::NAS_IP_ADDRESS));
        assert_eq!(request.first(kind::NAS_IPV6_ADDRESS).map(<[u8]>::len), Some(16));
    }

    #[test]
    fn a_given_attribute_replaces_the_usual_one() {
        let given = [&[61, 6, 0, 0, 0, 19][..], &[1, 5, b'b', b'o', b'b'], &[26, 8, 0, 0, 0, 9, 2, 2]].concat();
        let mut requests = Requests::new(secret(), [127, 0, 0, 1].into(), &given).unwrap();
        let request = Packet::parse(requests.write(7, &[9; 16], MAC)).unwrap();
        assert_eq!(request.all(kind::NAS_PORT_TYPE).collect::<Vec<_>>(), [[0, 0, 0, 19]]);
        assert_eq!(request.all(kind::USER_NAME).collect::<Vec<_>>(), [b"bob"]);
        assert_eq!(request.all(kind::VENDOR_SPECIFIC).count(), 4);
    }

    #[test]
    fn attributes_that_do_not_fit_are_refused() {
        let given = [&[33, 255][..], &[1; 253]].concat().repeat(16);
        assert!(matches!(Requests::new(secret(), [127, 0, 0, 1].into(), &given), Err(Full::Packet)));
    }

    #[test]
    fn no_authenticator_comes_twice() {
        let mut authenticators = Authenticators::new([1, 2]);
        let seen: HashSet<[u8; 16]> = (0..100_000).map(|_| authenticators.draw()).collect();
        assert_eq!(seen.len(), 100_000);
        let halves: HashSet<&[u8]> = seen.iter().map(|authenticator| &authenticator[..8]).collect();
        assert_eq!(halves.len(), 100_000);
    }
}
