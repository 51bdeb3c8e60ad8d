//! The reply to a request that is only imagined, as attributes.
//!
//! Owns nothing of the wire: the reply is not signed, and hidden values are hidden with a secret that nobody uses.

use std::borrow::Cow;

use super::{
    compiled::Policy,
    facts::Facts,
    reply_plan::{Occasion, ReplyPlan},
};
use crate::{
    dictionary::{Dictionary, Path, walk},
    limits::HEADER_OCTETS,
    radius::{attribute::Attributes, buffer::PacketBuffer, code::Code, hidden::Salt, secret::Secret},
};

/// The attributes that a plan sends, encoded one after the other.
///
/// # Errors
/// Why the reply does not fit, as a sentence.
pub fn attributes(
    policy: &Policy,
    plan: &ReplyPlan,
    facts: &Facts<'_>,
    beside_eap: bool,
) -> Result<Vec<u8>, &'static str> {
    let secret = Secret::new(b"of a reply that is never sent".to_vec()).expect("it has octets");
    let mut buffer = PacketBuffer::new();
    buffer.start_unsigned(Code::ACCESS_ACCEPT, 0);
    let occasion = Occasion {
        facts: &policy.fact_texts(facts),
        beside_eap,
        request_authenticator: &[0; 16],
        secret: &secret,
        salt: Salt::new(0),
    };
    match plan.write(&mut buffer, &occasion) {
        Ok(_) => Ok(buffer.octets().get(HEADER_OCTETS..).unwrap_or_default().to_vec()),
        Err(_) => Err("with the facts of this request an attribute or the packet grows too long"),
    }
}

/// The values of each attribute in the order of the reply.
#[must_use]
pub fn by_attribute<'p>(dictionary: &Dictionary, attributes: &'p [u8]) -> Vec<(Path, Vec<Cow<'p, [u8]>>)> {
    let mut found: Vec<(Path, Vec<Cow<'_, [u8]>>)> = Vec::new();
    for (path, content) in walk(dictionary, Attributes::new(attributes, HEADER_OCTETS)) {
        match found.iter_mut().find(|(known, _)| *known == path) {
            Some((_, contents)) => contents.push(content),
            None => found.push((path, vec![content])),
        }
    }
    found
}
