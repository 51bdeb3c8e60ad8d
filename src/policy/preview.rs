//! The reply to a request that is only imagined, as attributes.
//!
//! Owns nothing of the wire: the reply is not signed, and hidden values are hidden with a secret that nobody uses.

use std::borrow::Cow;

use serde::Serialize;

use super::{
    compiled::Policy,
    decision::Decision,
    facts::{Facts, Method},
    reply_plan::{Occasion, ReplyPlan},
};
use crate::{
    dictionary::{Dictionary, Path, list, walk},
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

/// A reply for people: `None` if no reply is sent or none can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reply {
    /// The vendor in whose dialect it is.
    pub vendor: String,
    /// The attributes as `radclient` prints them; secrets are not shown.
    pub attributes: Vec<String>,
    /// The octets of all attributes, hexadecimal; none if there are secrets among them.
    pub octets: Option<String>,
}

/// The reply to a decision. What the protocol adds (Message-Authenticator, Proxy-State, keys of EAP) is not in it.
///
/// # Errors
/// Why there is none, as a sentence.
pub fn reply(
    policy: &Policy,
    dictionary: &Dictionary,
    facts: &Facts<'_>,
    decision: &Decision,
) -> Result<Reply, String> {
    let vendor = facts.client.vendor;
    let plan = policy.vendor(vendor).and_then(|number| policy.reply(decision.result, number));
    let plan = plan.ok_or_else(|| format!("the vendor \"{vendor}\" can't express the profiles"))?;
    let beside_eap = matches!(facts.session.method, Method::Eap | Method::EapTls | Method::EapMd5);
    let octets = attributes(policy, plan, facts, beside_eap)?;
    let content = || Attributes::new(&octets, HEADER_OCTETS);
    let has_secrets = walk(dictionary, content()).any(|(path, _)| dictionary.at_or_unknown(&path).is_secret());
    let hex = || octets.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(Reply {
        vendor: vendor.to_owned(),
        attributes: list::print(dictionary, content()).lines().map(str::to_owned).collect(),
        octets: if has_secrets { None } else { Some(hex()) },
    })
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

#[cfg(test)]
mod tests {
    use super::super::testing::{policy, with_facts};
    use super::*;

    const POLICY: &str = "version = 1\n[policy-set]\nname = \"s\"\n[[rule]]\nname = \"r\"\nresult = \"staff\"\n\
                          [profile.staff]\naccess = \"accept\"\nvlan = 20\n";

    fn of_vendor(profile: &str, vendor: &str) -> Result<Reply, String> {
        let policy = policy(&format!("{POLICY}{profile}"));
        with_facts("User-Name = a4c3f0112233", &[&format!("client.vendor={vendor}")], |facts| {
            let decision = policy.decide(policy.choose_set(facts), facts);
            reply(&policy, Dictionary::builtin(), facts, &decision)
        })
    }

    #[test]
    fn a_reply_is_shown_as_attributes_and_octets() {
        let reply = of_vendor("attributes = { Reply-Message = \"{identity.mac}\" }", "cisco").expect("a reply");
        assert_eq!(
            reply.attributes,
            [
                "Tunnel-Type = VLAN",
                "Tunnel-Medium-Type = IEEE-802",
                "Tunnel-Private-Group-Id = \"20\"",
                "Reply-Message = \"A4-C3-F0-11-22-33\""
            ]
        );
        let octets = "40060000000d4106000000065104323012 1341342d43332d46302d31312d32322d3333".replace(' ', "");
        assert_eq!(reply.octets.as_deref(), Some(octets.as_str()));
    }

    #[test]
    fn secrets_are_shown_neither_as_text_nor_as_octets() {
        let reply = of_vendor("attributes = { Tunnel-Password = \"top secret\" }", "cisco").expect("a reply");
        assert!(reply.attributes.contains(&"Tunnel-Password = <hidden>".to_owned()), "{reply:?}");
        assert_eq!(reply.octets, None);
    }

    #[test]
    fn a_vendor_that_no_client_has_gets_no_reply() {
        assert!(of_vendor("", "aruba").is_err());
    }
}
