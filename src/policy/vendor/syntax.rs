//! A vendor's spelling of ACL rules, as data.
//!
//! Owns `[acl.rule]` of a vendor table and writing a rule by it. What is not in the table can't be expressed, and the
//! caller says so where the rule stands.

use std::{collections::BTreeMap, net::IpAddr};

use crate::policy::{
    acl::{Action, Address, Ports, Protocol, Rule},
    template::Template,
};

/// How a rule is written.
#[derive(Clone, Debug)]
pub struct RuleSyntax {
    /// The whole rule.
    pub line: Template,
    /// What stands between the parts of `{conditions}`.
    pub separator: Box<str>,
    /// The word for permit.
    pub permit: Box<str>,
    /// The word for deny.
    pub deny: Box<str>,
    /// The words for protocols by their numbers. Bound: there are 256 of them.
    pub protocols: BTreeMap<u8, Box<str>>,
    /// The words for "all protocols".
    pub any_protocol: Box<str>,
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
    /// All of them.
    pub any: Option<Box<str>>,
    /// One `{address}`; without it a prefix of full length.
    pub host: Option<Template>,
    /// An `{address}` and a `{length}`.
    pub prefix: Option<Template>,
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
        match self {
            Self::Protocol => ("this protocol", "use ip, tcp, udp or icmp"),
            Self::Source => ("a source other than \"any\"", "write any: the rules are about one device"),
            Self::Destination => ("a destination other than \"any\"", "write any"),
            Self::Wildcard => ("a wildcard with gaps", "write one rule for each network"),
            Self::SourcePort => ("source ports", "leave them out"),
            Self::DestinationPort => ("destination ports", "leave them out"),
            Self::PortRange => ("ranges of ports", "write the ports one by one with eq"),
            Self::Established => ("\"established\"", "leave it out"),
            Self::Icmp => ("ICMP types", "leave the type out"),
            Self::IcmpCode => ("ICMP codes", "leave the code out"),
            Self::Log => ("\"log\"", "leave it out"),
            Self::Option => ("such options", "leave them out"),
        }
    }
}

impl RuleSyntax {
    /// The rule in the vendor's words: several rules if the vendor knows no lists of ports.
    ///
    /// # Errors
    /// The first part of it that the vendor has no words for.
    pub fn write(&self, rule: &Rule) -> Result<Vec<String>, Inexpressible> {
        if !rule.extras.is_empty() {
            return Err(Inexpressible::Option);
        }
        if rule.log {
            return Err(Inexpressible::Log);
        }
        let mut lines = Vec::new();
        for source in atoms(&rule.source.ports) {
            for destination in atoms(&rule.destination.ports) {
                lines.push(self.line(rule, source, destination)?);
            }
        }
        Ok(lines)
    }

    fn line(&self, rule: &Rule, source: Atom, destination: Atom) -> Result<String, Inexpressible> {
        let source_address = self.source.write(rule.source.address, Inexpressible::Source)?;
        let destination_address = self.destination.write(rule.destination.address, Inexpressible::Destination)?;
        let parts = [
            ("protocol", self.protocol(rule.protocol)?),
            ("source", source_address),
            ("source-port", self.source_port.write(source, Inexpressible::SourcePort)?),
            ("destination", destination_address),
            ("destination-port", self.destination_port.write(destination, Inexpressible::DestinationPort)?),
            ("icmp", self.icmp(rule)?),
            ("established", self.established(rule)?),
        ];
        let mut line = String::new();
        let written = self.line.write(&mut line, |name, out| {
            let text = match name {
                "action" if rule.action == Action::Permit => self.permit.to_string(),
                "action" => self.deny.to_string(),
                "conditions" => {
                    let parts: Vec<&str> = parts.iter().map(|part| &*part.1).filter(|text| !text.is_empty()).collect();
                    parts.join(&self.separator)
                }
                other => parts.iter().find(|part| part.0 == other).map(|part| part.1.clone()).unwrap_or_default(),
            };
            out.push_str(&text);
            Ok(())
        });
        debug_assert!(written.is_ok(), "a string takes everything");
        Ok(line)
    }

    fn protocol(&self, protocol: Protocol) -> Result<String, Inexpressible> {
        let Protocol::Number(number) = protocol else { return Ok(self.any_protocol.to_string()) };
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
    fn write(&self, address: Address, otherwise: Inexpressible) -> Result<String, Inexpressible> {
        if address == Address::Any {
            // A vendor without a word for it means all where nothing is said.
            return Ok(self.any.as_deref().unwrap_or_default().to_owned());
        }
        if let (Address::Host(host), Some(template)) = (address, &self.host) {
            return Ok(fill(template, &[("address", &host.to_string())]));
        }
        if let (Some((network, length)), Some(template)) = (address.prefix(), &self.prefix) {
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
