//! A vendor's spelling of ACL rules, as data.
//!
//! Owns `[acl.rule]` of a vendor table and writing a rule by it. What is not in the table can't be expressed, and the
//! caller says so where the rule stands.

use std::{collections::BTreeMap, net::IpAddr};

use crate::policy::{
    acl::{Action, Address, End, Family, Ports, Protocol, Rule},
    template::Template,
};

/// How a rule is written.
#[derive(Clone, Debug)]
pub struct RuleSyntax {
    /// The whole rule.
    pub line: Template,
    /// What stands between the parts of `{conditions}`.
    pub separator: Box<str>,
    /// What `{conditions}` is where there are none.
    pub no_conditions: Box<str>,
    /// The word for permit.
    pub permit: Box<str>,
    /// The word for deny.
    pub deny: Box<str>,
    /// The words for protocols by their numbers. Bound: there are 256 of them.
    pub protocols: BTreeMap<u8, Box<str>>,
    /// The words for "all protocols", by family. Bound: there are two.
    pub any_protocol: BTreeMap<Family, Box<str>>,
    /// The words for a protocol by its `{number}`.
    pub other_protocol: Option<Template>,
    /// From where.
    pub source: AddressSyntax,
    /// To where.
    pub destination: AddressSyntax,
    /// From which port.
    pub source_port: PortSyntax,
    /// To which port.
    pub destination_port: PortSyntax,
    /// Only existing connections.
    pub established: Option<Box<str>>,
    /// An ICMP message by its `{type}`.
    pub icmp_type: Option<Template>,
    /// An ICMP message by its `{type}` and `{code}`.
    pub icmp_code: Option<Template>,
}

/// How addresses are written.
#[derive(Clone, Debug, Default)]
pub struct AddressSyntax {
    /// All of them, by family; without it nothing is written. Bound: there are two families.
    pub any: BTreeMap<Family, Box<str>>,
    /// All of them, where ports follow; without it as without ports.
    pub any_with_port: Option<Box<str>>,
    /// One `{address}`; without it a prefix of full length.
    pub host: Option<Template>,
    /// An `{address}` and a `{length}`.
    pub prefix: Option<Template>,
    /// The same for IPv6, where IPv4 is written otherwise.
    pub prefix_ipv6: Option<Template>,
    /// An `{address}` and a `{wildcard}`.
    pub wildcard: Option<Template>,
}

/// How ports are written.
#[derive(Clone, Debug, Default)]
pub struct PortSyntax {
    /// One `{port}`.
    pub equal: Option<Template>,
    /// The ports `{from}` and `{to}` and those between.
    pub range: Option<Template>,
}

/// A rule in a vendor's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The words.
    pub text: String,
    /// How many conditions it has, at least one.
    pub conditions: usize,
}

/// What of a rule a vendor has no words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inexpressible {
    /// The protocol.
    Protocol,
    /// A source other than any.
    Source,
    /// A destination other than any.
    Destination,
    /// A wildcard that is not a prefix.
    Wildcard,
    /// Source ports.
    SourcePort,
    /// Destination ports.
    DestinationPort,
    /// A range of ports.
    PortRange,
    /// `established`.
    Established,
    /// ICMP types.
    Icmp,
    /// ICMP codes.
    IcmpCode,
    /// `log`.
    Log,
    /// Another option.
    Option,
}

impl Inexpressible {
    /// What it is, for a message, and what to do.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        const WIDER: &str = "without that the rule would be wider, so use another ACL for these clients";
        match self {
            Self::Protocol => ("this protocol", "use ip, tcp, udp or icmp"),
            Self::Source => ("a source other than \"any\"", "write any: the rules are about one device"),
            Self::Destination => ("a destination other than \"any\"", "write any"),
            Self::Wildcard => ("a wildcard with gaps", "write one rule for each network"),
            Self::SourcePort => ("source ports", WIDER),
            Self::DestinationPort => ("destination ports", WIDER),
            Self::PortRange => ("ranges of ports", "write the ports one by one with eq"),
            Self::Established => ("\"established\"", WIDER),
            Self::Icmp => ("ICMP types", WIDER),
            Self::IcmpCode => ("ICMP codes", WIDER),
            Self::Log => ("\"log\"", "leave it out"),
            Self::Option => ("such options", WIDER),
        }
    }
}

impl RuleSyntax {
    /// The rule in the vendor's words: several rules if the vendor knows no lists of ports.
    ///
    /// # Errors
    /// The first part of it that the vendor has no words for.
    pub fn write(&self, rule: &Rule, family: Family) -> Result<Vec<Line>, Inexpressible> {
        if !rule.extras.is_empty() {
            return Err(Inexpressible::Option);
        }
        if rule.log {
            return Err(Inexpressible::Log);
        }
        let mut lines = Vec::new();
        for source in atoms(&rule.source.ports) {
            for destination in atoms(&rule.destination.ports) {
                lines.push(self.line(rule, family, source, destination)?);
            }
        }
        Ok(lines)
    }

    fn line(&self, rule: &Rule, family: Family, source: Atom, destination: Atom) -> Result<Line, Inexpressible> {
        let source_address = self.source.write(&rule.source, family, Inexpressible::Source)?;
        let destination_address = self.destination.write(&rule.destination, family, Inexpressible::Destination)?;
        let parts = [
            ("protocol", self.protocol(rule.protocol, family)?),
            ("source", source_address),
            ("source-port", self.source_port.write(source, Inexpressible::SourcePort)?),
            ("destination", destination_address),
            ("destination-port", self.destination_port.write(destination, Inexpressible::DestinationPort)?),
            ("icmp", self.icmp(rule)?),
            ("established", self.established(rule)?),
        ];
        let conditions: Vec<&str> = parts.iter().map(|part| &*part.1).filter(|text| !text.is_empty()).collect();
        let mut text = String::new();
        let written = self.line.write(&mut text, |name, out| {
            if name == "conditions" && conditions.is_empty() && self.no_conditions.is_empty() && out.ends_with(' ') {
                // The blank before nothing.
                out.pop();
            }
            let part = match name {
                "action" if rule.action == Action::Permit => self.permit.to_string(),
                "action" => self.deny.to_string(),
                "conditions" if conditions.is_empty() => self.no_conditions.to_string(),
                "conditions" => conditions.join(&self.separator),
                other => parts.iter().find(|part| part.0 == other).map(|part| part.1.clone()).unwrap_or_default(),
            };
            out.push_str(&part);
            Ok(())
        });
        debug_assert!(written.is_ok(), "a string takes everything");
        Ok(Line { text, conditions: conditions.len().max(1) })
    }

    fn protocol(&self, protocol: Protocol, family: Family) -> Result<String, Inexpressible> {
        let Protocol::Number(number) = protocol else {
            return Ok(self.any_protocol.get(&family).map(ToString::to_string).unwrap_or_default());
        };
        match (self.protocols.get(&number), &self.other_protocol) {
            (Some(word), _) => Ok(word.to_string()),
            (None, Some(template)) => Ok(fill(template, &[("number", &number.to_string())])),
            (None, None) => Err(Inexpressible::Protocol),
        }
    }

    fn icmp(&self, rule: &Rule) -> Result<String, Inexpressible> {
        let Some(icmp) = rule.icmp else { return Ok(String::new()) };
        let kind = icmp.kind.to_string();
        match (icmp.code, &self.icmp_type, &self.icmp_code) {
            (None, Some(template), _) => Ok(fill(template, &[("type", &kind)])),
            (Some(code), _, Some(template)) => Ok(fill(template, &[("type", &kind), ("code", &code.to_string())])),
            (Some(_), Some(_), None) => Err(Inexpressible::IcmpCode),
            _ => Err(Inexpressible::Icmp),
        }
    }

    fn established(&self, rule: &Rule) -> Result<String, Inexpressible> {
        match (&self.established, rule.established) {
            (_, false) => Ok(String::new()),
            (Some(words), true) => Ok(words.to_string()),
            (None, true) => Err(Inexpressible::Established),
        }
    }
}

impl AddressSyntax {
    const fn prefix_of(&self, family: Family) -> Option<&Template> {
        match (family, &self.prefix_ipv6) {
            (Family::Ipv6, Some(template)) => Some(template),
            _ => self.prefix.as_ref(),
        }
    }

    fn write(&self, end: &End, family: Family, otherwise: Inexpressible) -> Result<String, Inexpressible> {
        let address = end.address;
        if let (Address::Any, Some(words), true) = (address, &self.any_with_port, end.ports != Ports::Any) {
            return Ok(words.to_string());
        }
        if address == Address::Any {
            // A vendor without a word for it means all where nothing is said.
            return Ok(self.any.get(&family).map(ToString::to_string).unwrap_or_default());
        }
        if let (Address::Host(host), Some(template)) = (address, &self.host) {
            return Ok(fill(template, &[("address", &host.to_string())]));
        }
        if let (Some((network, length)), Some(template)) = (address.prefix(), self.prefix_of(family)) {
            return Ok(fill(template, &[("address", &network.to_string()), ("length", &length.to_string())]));
        }
        match (address, &self.wildcard) {
            (Address::Wildcard(address, wildcard), Some(template)) => {
                let values = [("address", &*address.to_string()), ("wildcard", &*wildcard.to_string())];
                Ok(fill(template, &values))
            }
            (Address::Host(host @ IpAddr::V4(_)), Some(template)) => {
                Ok(fill(template, &[("address", &host.to_string()), ("wildcard", "0.0.0.0")]))
            }
            (Address::Wildcard(..), None) if self.prefix.is_some() => Err(Inexpressible::Wildcard),
            _ => Err(otherwise),
        }
    }
}

impl PortSyntax {
    fn write(&self, ports: Atom, otherwise: Inexpressible) -> Result<String, Inexpressible> {
        match (ports, &self.equal, &self.range) {
            (Atom::Any, ..) => Ok(String::new()),
            (Atom::One(port), Some(template), _) => Ok(fill(template, &[("port", &port.to_string())])),
            (Atom::One(port), None, Some(template)) => {
                Ok(fill(template, &[("from", &port.to_string()), ("to", &port.to_string())]))
            }
            (Atom::Range(from, to), _, Some(template)) => {
                Ok(fill(template, &[("from", &from.to_string()), ("to", &to.to_string())]))
            }
            (Atom::Range(..), Some(_), None) => Err(Inexpressible::PortRange),
            (_, None, None) => Err(otherwise),
        }
    }
}

/// A set of ports that every vendor with ports can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Atom {
    Any,
    One(u16),
    Range(u16, u16),
}

/// The ports as sets that lie side by side.
fn atoms(ports: &Ports) -> Vec<Atom> {
    match ports {
        Ports::Any => vec![Atom::Any],
        Ports::Equal(ports) => ports.iter().map(|port| Atom::One(*port)).collect(),
        Ports::Range(from, to) => vec![range(*from, *to)],
        Ports::NotEqual(ports) => {
            let mut sorted = ports.clone();
            sorted.sort_unstable();
            let mut atoms = Vec::new();
            let mut from = Some(0);
            for port in sorted {
                if let (Some(from), Some(to)) = (from, port.checked_sub(1))
                    && from <= to
                {
                    atoms.push(range(from, to));
                }
                from = port.checked_add(1);
            }
            atoms.extend(from.map(|from| range(from, u16::MAX)));
            atoms
        }
    }
}

const fn range(from: u16, to: u16) -> Atom {
    if from == to { Atom::One(from) } else { Atom::Range(from, to) }
}

/// The template with these values; names that are not among them are empty.
fn fill(template: &Template, values: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let written = template.write(&mut text, |name, out| {
        out.push_str(values.iter().find(|value| value.0 == name).map_or("", |value| value.1));
        Ok(())
    });
    debug_assert!(written.is_ok(), "a string takes everything");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_left_out_become_the_ranges_beside_them() {
        let not = |ports: &[u16]| atoms(&Ports::NotEqual(ports.to_vec()));
        assert_eq!(not(&[80]), [Atom::Range(0, 79), Atom::Range(81, 65535)]);
        assert_eq!(not(&[80, 78]), [Atom::Range(0, 77), Atom::One(79), Atom::Range(81, 65535)]);
        assert_eq!(not(&[0, 1, 65535, 65534]), [Atom::Range(2, 65533)]);
        assert_eq!(not(&[7, 7]), [Atom::Range(0, 6), Atom::Range(8, 65535)]);
    }

    #[test]
    fn lists_of_ports_become_one_rule_each() {
        assert_eq!(atoms(&Ports::Equal(vec![80, 443])), [Atom::One(80), Atom::One(443)]);
        assert_eq!(atoms(&Ports::Range(7, 7)), [Atom::One(7)]);
        assert_eq!(atoms(&Ports::Any), [Atom::Any]);
    }
}
