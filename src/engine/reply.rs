//! From a decision to the octets of a reply.
//!
//! Owns the order of attributes, the echo of Proxy-State and what happens when it doesn't fit. How a profile is written
//! for a vendor was settled when the policy was loaded.

use crate::{
    policy::reply_plan::{FactSource, Occasion, ReplyPlan},
    radius::{code::Code, error::Full, hidden::Salt, kind, packet::Packet, reply::ReplyBuffer},
};

use super::client::Client;

/// What is answered to one request.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// The request.
    pub packet: Packet<'a>,
    /// The client.
    pub client: &'a Client,
}

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
        session: Option<&[u8; 16]>,
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
        plan.write(out, &occasion)?;
        if let Some(session) = session {
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
        if self.packet.has(kind::EAP_MESSAGE) {
            match self.packet.first(kind::EAP_MESSAGE) {
                // The peer sent an EAP-Request, which only a server may: a Nak tells it so (RFC 3579 section 2.6.2).
                Some([1, identifier, ..]) => out.push(kind::EAP_MESSAGE, &[2, *identifier, 0, 6, 3, 0])?,
                Some([_, identifier, ..]) => out.push(kind::EAP_MESSAGE, &[4, *identifier, 0, 4])?,
                // EAP-Start or a cut header: there is no Identifier to repeat.
                _ => out.push(kind::EAP_MESSAGE, &[4, 0, 0, 4])?,
            }
        }
        self.echo_proxy_state(out)
    }

    /// Copies every Proxy-State, unmodified and in order (RFC 2865 section 5.33).
    fn echo_proxy_state(&self, out: &mut ReplyBuffer) -> Result<(), Full> {
        for value in self.packet.all(kind::PROXY_STATE) {
            if value.is_empty() {
                // An empty one can't be written by the rules, but must come back: type and length only.
                out.push_encoded(&[kind::PROXY_STATE, 2])?;
            } else {
                out.push(kind::PROXY_STATE, value)?;
            }
        }
        Ok(())
    }
}
