//! From a decision to the octets of a reply.
//!
//! Owns the order of attributes, the echo of Proxy-State and what happens when it doesn't fit. How a profile is written
//! for a vendor was settled when the policy was loaded.

use crate::{
    eap::{sessions::Token, tls::keys::Keys},
    limits::{HEADER_OCTETS, PACKET_OCTETS_MAX, VALUE_OCTETS_MAX},
    policy::reply_plan::{FactSource, Occasion, ReplyPlan},
    radius::{
        code::Code,
        error::Full,
        hidden::{HiddenBuffer, Salt, hide_salted},
        kind,
        packet::Packet,
        reply::ReplyBuffer,
    },
};

use super::{client::Client, pseudonym::Pseudonym};

/// What is answered to one request.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// The request.
    pub packet: Packet<'a>,
    /// The client.
    pub client: &'a Client,
    /// What a request with EAP gets beside that.
    pub eap: EapPart<'a>,
}

/// What the reply to a request with EAP carries of the conversation.
#[derive(Clone, Copy, Debug, Default)]
pub struct EapPart<'a> {
    /// The EAP packet; without one an EAP-Failure for the packet of the request.
    pub packet: Option<&'a [u8]>,
    /// The keys of the session, for the client.
    pub keys: Option<&'a Keys>,
}

/// What an accept carries beside its profile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks<'a> {
    /// The session id, for Class.
    pub session: Option<&'a [u8; 16]>,
    /// The device's name for the client, for Chargeable-User-Identity; the profile's goes before.
    pub pseudonym: Option<&'a Pseudonym>,
}

/// The vendor of MS-MPPE-Send-Key (16) and MS-MPPE-Recv-Key (17).
///
/// Source: RFC 2548 sections 2.4.2 and 2.4.3.
const MICROSOFT: [u8; 4] = 311_u32.to_be_bytes();
/// "Invalid EAP Packet (Ignored)".
///
/// Source: RFC 3579 section 2.6.3.
const INVALID_EAP_PACKET: u32 = 202;

impl Draft<'_> {
    /// Writes an Access-Accept with what the profile says, or an Access-Reject with its Reply-Message.
    ///
    /// # Errors
    /// [`Full`] if the profile's attributes and the echoed Proxy-State don't fit. The caller then rejects: an accept
    /// without its VLAN or ACL would give more than was decided.
    pub fn write(
        &self,
        out: &mut ReplyBuffer,
        code: Code,
        plan: &ReplyPlan,
        facts: &dyn FactSource,
        marks: Marks<'_>,
        salt: u16,
    ) -> Result<(), Full> {
        out.start(code, self.packet.identifier());
        let occasion = Occasion {
            facts,
            beside_eap: self.packet.has(kind::EAP_MESSAGE),
            request_authenticator: self.packet.authenticator(),
            secret: &self.client.secret,
            salt: Salt::new(salt),
        };
        self.write_eap(out)?;
        let salt = plan.write(out, &occasion)?;
        if code == Code::ACCESS_ACCEPT {
            self.write_user_name(out)?;
        }
        if let Some(name) = marks.pseudonym
            && !out.has(kind::CHARGEABLE_USER_IDENTITY)
        {
            out.push(kind::CHARGEABLE_USER_IDENTITY, name)?;
        }
        if let Some(keys) = self.eap.keys {
            self.write_keys(out, keys, salt)?;
        }
        if let Some(session) = marks.session {
            out.push(kind::CLASS, session)?;
        }
        self.echo_proxy_state(out)
    }

    /// Writes an Access-Reject without a profile; to an EAP request with the EAP packet that RFC 3579 asks for.
    ///
    /// # Errors
    /// [`Full`] if not even Proxy-State fits; then there is no answer.
    pub fn write_bare_reject(&self, out: &mut ReplyBuffer) -> Result<(), Full> {
        out.start(Code::ACCESS_REJECT, self.packet.identifier());
        self.write_eap(out)?;
        self.echo_proxy_state(out)
    }

    /// Writes an Access-Challenge with the EAP packet. `is_repeat`: it repeats the last request because what came was not
    /// usable.
    ///
    /// Source: RFC 3579 sections 2.2 and 2.6.3.
    ///
    /// # Errors
    /// [`Full`] if Proxy-State leaves no room.
    pub fn write_challenge(&self, out: &mut ReplyBuffer, state: &[u8], is_repeat: bool) -> Result<(), Full> {
        out.start(Code::ACCESS_CHALLENGE, self.packet.identifier());
        self.write_eap(out)?;
        out.push(kind::STATE, state)?;
        if is_repeat {
            out.push_u32(kind::ERROR_CAUSE, INVALID_EAP_PACKET)?;
        }
        self.echo_proxy_state(out)
    }

    /// The EAP packet of a reply to an EAP request, which none may lack (RFC 3579 section 2.6.2).
    fn write_eap(&self, out: &mut ReplyBuffer) -> Result<(), Full> {
        if let Some(packet) = self.eap.packet {
            return out.push_long(kind::EAP_MESSAGE, packet);
        }
        if !self.packet.has(kind::EAP_MESSAGE) {
            return Ok(());
        }
        // The packet may be cut anywhere, also after its first octet.
        let mut octets = self.packet.all(kind::EAP_MESSAGE).flatten();
        match (octets.next(), octets.next()) {
            // The peer sent an EAP-Request, which only a server may: a Nak tells it so (RFC 3579 section 2.6.2).
            (Some(1), Some(identifier)) => out.push(kind::EAP_MESSAGE, &[2, *identifier, 0, 6, 3, 0]),
            (Some(_), Some(identifier)) => out.push(kind::EAP_MESSAGE, &[4, *identifier, 0, 4]),
            // EAP-Start or a cut header: there is no Identifier to repeat.
            _ => out.push(kind::EAP_MESSAGE, &[4, 0, 0, 4]),
        }
    }

    /// The name of the request, in the accept of a request with EAP whose profile gives no other one.
    ///
    /// Only with EAP, which is always signed: echoing what a forger may have chosen would help against the reply's hash.
    /// Source: RFC 3579 section 3; draft-ietf-radext-deprecating-radius section 5.3.5.
    fn write_user_name(&self, out: &mut ReplyBuffer) -> Result<(), Full> {
        let has_eap = self.packet.has(kind::EAP_MESSAGE);
        match self.packet.value(kind::USER_NAME) {
            Some(name) if has_eap && !out.has(kind::USER_NAME) => out.push(kind::USER_NAME, name),
            _ => Ok(()),
        }
    }

    /// The keys for the client, hidden, and the session's id where the request asks for it.
    ///
    /// Source: RFC 2548 section 2.4, RFC 5216 section 2.3; RFC 7268 section 2.2 (EAP-Key-Name).
    fn write_keys(&self, out: &mut ReplyBuffer, keys: &Keys, salt: Salt) -> Result<(), Full> {
        const SEND_KEY: u8 = 16;
        const RECV_KEY: u8 = 17;
        let salts = [salt, salt.next()];
        for ((number, key), salt) in
            [(SEND_KEY, keys.send_key()), (RECV_KEY, keys.receive_key())].into_iter().zip(salts)
        {
            let mut room: HiddenBuffer = [0; 253];
            let hidden = hide_salted(key, salt, self.packet.authenticator(), &self.client.secret, &mut room)?;
            let mut attribute = Vec::with_capacity(6 + hidden.len());
            attribute.extend_from_slice(&MICROSOFT);
            // Each vendor attribute's length counts its own two octets.
            attribute.extend_from_slice(&[number, u8::try_from(hidden.len() + 2).map_err(|_| Full::ValueTooLong)?]);
            attribute.extend_from_slice(hidden);
            out.push(kind::VENDOR_SPECIFIC, &attribute)?;
        }
        match keys.session_id() {
            Some(id) if self.packet.has(kind::EAP_KEY_NAME) => out.push(kind::EAP_KEY_NAME, id),
            _ => Ok(()),
        }
    }

    fn echo_proxy_state(&self, out: &mut ReplyBuffer) -> Result<(), Full> {
        echo_proxy_state(&self.packet, out)
    }
}

/// The longest EAP packet that fits into a challenge beside what comes back to this request. A proxy adds the same to every
/// round, so the first tells enough.
#[must_use]
pub fn eap_octets_beside(packet: &Packet<'_>) -> usize {
    // Each attribute has a type and a length; Message-Authenticator, State and Error-Cause stand in every challenge or may.
    const OTHERS: usize = HEADER_OCTETS + (2 + 16) + (2 + Token::OCTETS) + (2 + 4);
    let echoed: usize = packet.all(kind::PROXY_STATE).map(|value| 2 + value.len()).sum();
    let room = PACKET_OCTETS_MAX.saturating_sub(OTHERS + echoed);
    room.saturating_sub(2 * room.div_ceil(2 + VALUE_OCTETS_MAX))
}

/// Copies every Proxy-State of a request, unmodified and in order (RFC 2865 section 5.33).
///
/// # Errors
/// [`Full`] if they don't fit.
pub fn echo_proxy_state(packet: &Packet<'_>, out: &mut ReplyBuffer) -> Result<(), Full> {
    for value in packet.all(kind::PROXY_STATE) {
        if value.is_empty() {
            // An empty one can't be written by the rules, but must come back: type and length only.
            out.push_encoded(&[kind::PROXY_STATE, 2])?;
        } else {
            out.push(kind::PROXY_STATE, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::client::tests::client;

    #[test]
    fn the_longest_eap_packet_fits_and_no_longer_one_does() {
        let client = client(0, "switches");
        for count in 0..15 {
            let mut octets = vec![1, 7, 0, 0];
            octets.extend([0x55; 16]);
            (0..count).for_each(|_| octets.extend([&[kind::PROXY_STATE, 252][..], &[9; 250]].concat()));
            let length = u16::try_from(octets.len()).unwrap();
            octets[2..4].copy_from_slice(&length.to_be_bytes());
            let packet = Packet::parse(&octets).unwrap();
            let longest = vec![2; eap_octets_beside(&packet) + 1];
            let mut out = ReplyBuffer::new();
            let mut fits = |octets: &[u8]| {
                let eap = EapPart { packet: Some(octets), keys: None };
                Draft { packet, client: &client, eap }.write_challenge(&mut out, &[3; Token::OCTETS], true).is_ok()
            };
            assert!(fits(&longest[1..]), "{count}");
            assert!(!fits(&[&longest[..], &[2; 2]].concat()), "{count}");
        }
    }
}
