//! What a switch sends and what it gets: the packets of all benches, so that their numbers speak of the same work.
//!
//! Owns one usual exchange, MAC bypass by PAP with Message-Authenticator both ways. Measures nothing.

#![allow(dead_code, reason = "each bench uses its part")]

use radmit::{
    device::identifier::MacAddress,
    engine::chance::Chance,
    limits::VALUE_OCTETS_MAX,
    radius::{
        authenticator::{Signature, check_request_signature},
        code::Code,
        error::Full,
        hidden, kind,
        packet::Packet,
        reply::ReplyBuffer,
        request::RequestBuffer,
        secret::Secret,
        tag::{self, Tag},
        vendor::{self, VendorFormat},
    },
};

/// The private enterprise number of Cisco.
const CISCO: u32 = 9;

/// A shared secret of a usual length.
pub(crate) const SECRET: &[u8; 24] = b"a-secret-of-24-octets-xx";

/// [`SECRET`], prepared.
pub(crate) fn secret() -> Secret {
    Secret::new(SECRET.to_vec()).expect("it is not empty")
}

/// The MAC address of the device with this number, universally administered.
pub(crate) fn mac(number: u64) -> MacAddress {
    let [.., a, b, c, d] = number.to_be_bytes();
    MacAddress::new([0xa4, 0xc3, a, b, c, d])
}

/// Writes the requests of one switch: 15 attributes, 277 octets, as Catalyst switches send them.
pub(crate) struct Switch {
    buffer: RequestBuffer,
    fixed: Vec<u8>,
    chance: Chance,
}

impl Switch {
    /// `seed`: of the random authenticators.
    pub(crate) fn new(seed: u64) -> Self {
        let mut fixed = Vec::new();
        let pairs = ["service-type=Call Check", "audit-session-id=0A0A0A0100000F3E5A2B1C0D", "method=mab"];
        for pair in pairs {
            vendor::encode(CISCO, VendorFormat::STANDARD, 1, pair.as_bytes(), &mut fixed).expect("it is short");
        }
        Self { buffer: RequestBuffer::new(), fixed, chance: Chance::new(seed) }
    }

    /// The next request for this device, signed.
    pub(crate) fn mac_bypass(&mut self, identifier: u8, mac: MacAddress, secret: &Secret) -> &[u8] {
        let [high, low] = [self.chance.next(), self.chance.next()].map(u64::to_be_bytes);
        let mut authenticator = [0; 16];
        authenticator[..8].copy_from_slice(&high);
        authenticator[8..].copy_from_slice(&low);
        let octets = mac.octets();
        let plain = octets.map(|octet| format!("{octet:02x}")).concat();
        let dashed = octets.map(|octet| format!("{octet:02X}")).join("-");
        self.write(identifier, &authenticator, plain.as_bytes(), dashed.as_bytes(), secret)
            .expect("a packet has room for so few attributes");
        self.buffer.sign(secret)
    }

    /// The next Accounting-Request of a session, signed: 18 attributes.
    pub(crate) fn accounting(&mut self, identifier: u8, session: u64, secret: &Secret) -> &[u8] {
        self.write_accounting(identifier, session).expect("a packet has room for so few attributes");
        self.buffer.sign(secret)
    }

    fn write_accounting(&mut self, identifier: u8, session: u64) -> Result<(), Full> {
        let request = &mut self.buffer;
        request.start_request(Code::ACCOUNTING_REQUEST, identifier, &[0; 16]);
        request.push(kind::USER_NAME, b"a4c3f0112233")?;
        request.push(kind::ACCT_SESSION_ID, format!("{session:08X}").as_bytes())?;
        request.push_u32(kind::ACCT_STATUS_TYPE, 3)?;
        request.push_u32(kind::SERVICE_TYPE, 10)?;
        request.push_encoded(&self.fixed)?;
        request.push(kind::FRAMED_IP_ADDRESS, &[10, 1, 2, 3])?;
        request.push(kind::CALLED_STATION_ID, b"00-1B-54-AA-BB-17")?;
        request.push(kind::CALLING_STATION_ID, b"A4-C3-F0-11-22-33")?;
        request.push(kind::NAS_IP_ADDRESS, &[127, 0, 0, 1])?;
        request.push(kind::NAS_IDENTIFIER, b"access-switch-17")?;
        request.push_u32(kind::NAS_PORT, 50_124)?;
        request.push_u32(kind::NAS_PORT_TYPE, 15)?;
        request.push(kind::NAS_PORT_ID, b"GigabitEthernet1/0/24")?;
        request.push(kind::CLASS, &[0x5a; 16])?;
        request.push_u32(kind::ACCT_DELAY_TIME, 0)?;
        request.push_u32(kind::EVENT_TIMESTAMP, 1_795_386_000)
    }

    fn write(
        &mut self,
        identifier: u8,
        authenticator: &[u8; 16],
        plain: &[u8],
        dashed: &[u8],
        secret: &Secret,
    ) -> Result<(), Full> {
        let request = &mut self.buffer;
        request.start_request(Code::ACCESS_REQUEST, identifier, authenticator);
        request.push(kind::USER_NAME, plain)?;
        request.push_password(plain, secret)?;
        request.push_u32(kind::SERVICE_TYPE, 10)?;
        request.push_encoded(&self.fixed)?;
        request.push_u32(kind::FRAMED_MTU, 1468)?;
        request.push(kind::CALLED_STATION_ID, b"00-1B-54-AA-BB-17")?;
        request.push(kind::CALLING_STATION_ID, dashed)?;
        request.push(kind::NAS_IP_ADDRESS, &[127, 0, 0, 1])?;
        request.push(kind::NAS_IDENTIFIER, b"access-switch-17")?;
        request.push_u32(kind::NAS_PORT, 50_124)?;
        request.push_u32(kind::NAS_PORT_TYPE, 15)?;
        request.push(kind::NAS_PORT_ID, b"GigabitEthernet1/0/24")
    }
}

/// Writes the attributes of a usual accept: VLAN, timeout, reauthentication, session id.
pub(crate) fn write_accept(reply: &mut ReplyBuffer, identifier: u8) -> Result<(), Full> {
    reply.start(Code::ACCESS_ACCEPT, identifier);
    reply.push(kind::TUNNEL_TYPE, &tag::integer(Tag::NONE, 13)?)?;
    reply.push(kind::TUNNEL_MEDIUM_TYPE, &tag::integer(Tag::NONE, 6)?)?;
    reply.push(kind::TUNNEL_PRIVATE_GROUP_ID, b"20")?;
    reply.push_u32(kind::SESSION_TIMEOUT, 28_800)?;
    reply.push_u32(kind::TERMINATION_ACTION, 1)?;
    reply.push(kind::CLASS, &[0x5a; 16])
}

/// All that the codec does for one request: check, verify, reveal the password, write and sign the reply.
pub(crate) fn answer<'r>(request: &[u8], secret: &Secret, reply: &'r mut ReplyBuffer) -> Option<&'r [u8]> {
    let packet = Packet::parse(request).ok()?;
    if check_request_signature(&packet, secret) != Signature::Valid {
        return None;
    }
    let mut revealed = [0; VALUE_OCTETS_MAX];
    let hidden_octets = packet.first(kind::USER_PASSWORD)?;
    let password = hidden::reveal_password(hidden_octets, packet.authenticator(), secret, &mut revealed).ok()?;
    if !hidden::is_equal(password, packet.first(kind::USER_NAME)?) {
        return None;
    }
    write_accept(reply, packet.identifier()).ok()?;
    Some(reply.sign(packet.authenticator(), secret))
}
