//! One rule of an ACL, taken apart, so that every vendor's spelling can be made of it.
//!
//! Owns the meaning of a rule. `parse` reads it from text, vendor tables say how it is written elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::problem::Place;

/// The two families; an ACL has rules for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The key in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// The name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }

    /// The word for "all of it" in rules.
    #[must_use]
    pub const fn any_protocol(self) -> &'static str {
        match self {
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ipv6",
        }
    }

    /// The bits of an address.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As Cisco IOS reads it, with single spaces.
    pub text: Box<str>,
    /// Where it stands.
    pub place: Place,
    /// Whether it lets pass.
    pub action: Action,
    /// What it is about.
    pub protocol: Protocol,
    /// From where.
    pub source: End,
    /// To where.
    pub destination: End,
    /// Only TCP packets of an existing connection.
    pub established: bool,
    /// Only ICMP messages of this type.
    pub icmp: Option<Icmp>,
    /// What else the rule asks for, in IOS words; few other vendors can express any of it.
    pub extras: Vec<Extra>,
    /// Matches are logged by the client.
    pub log: bool,
}

impl Rule {
    /// Whether it is about every packet of its family.
    #[must_use]
    pub fn matches_all(&self) -> bool {
        let is_any = |end: &End| end.address == Address::Any && end.ports == Ports::Any;
        self.protocol == Protocol::Any && is_any(&self.source) && is_any(&self.destination) && self.extras.is_empty()
    }
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It passes.
    Permit,
    /// It is dropped.
    Deny,
}

impl Action {
    /// The word in rules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        }
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// All of IPv4 or IPv6.
    Any,
    /// One protocol by its number.
    Number(u8),
}

impl Protocol {
    /// ICMP over IPv4.
    pub const ICMP: Self = Self::Number(1);
    /// ICMP over IPv6.
    pub const ICMP6: Self = Self::Number(58);
    /// TCP.
    pub const TCP: Self = Self::Number(6);
    /// UDP.
    pub const UDP: Self = Self::Number(17);
    /// SCTP.
    pub const SCTP: Self = Self::Number(132);

    /// Whether it has ports.
    #[must_use]
    pub fn has_ports(self) -> bool {
        [Self::TCP, Self::UDP, Self::SCTP].contains(&self)
    }

    /// Whether it is ICMP of either family.
    #[must_use]
    pub fn is_icmp(self) -> bool {
        [Self::ICMP, Self::ICMP6].contains(&self)
    }
}

/// One end of a packet's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The addresses.
    pub address: Address,
    /// The ports.
    pub ports: Ports,
}

/// A set of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// All.
    Any,
    /// One.
    Host(IpAddr),
    /// IPv4: bits that are 1 in the wildcard don't matter.
    Wildcard(Ipv4Addr, Ipv4Addr),
    /// IPv6: the first bits matter.
    Prefix(Ipv6Addr, u8),
}

impl Address {
    /// The set as a prefix, if it is one; a single address is one, "all" is not.
    #[must_use]
    pub fn prefix(self) -> Option<(IpAddr, u8)> {
        match self {
            Self::Any => None,
            Self::Host(address @ IpAddr::V4(_)) => Some((address, 32)),
            Self::Host(address @ IpAddr::V6(_)) => Some((address, 128)),
            Self::Prefix(address, length) => Some((address.into(), length)),
            Self::Wildcard(address, wildcard) => {
                let wildcard = u32::from(wildcard);
                let length = u8::try_from(wildcard.leading_zeros()).ok()?;
                let is_prefix = wildcard.checked_add(1).is_none_or(u32::is_power_of_two);
                is_prefix.then(|| (Ipv4Addr::from_bits(address.to_bits() & !wildcard).into(), length))
            }
        }
    }
}

/// A set of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// All.
    Any,
    /// These.
    Equal(Vec<u16>),
    /// All but these.
    NotEqual(Vec<u16>),
    /// From the first to the last.
    Range(u16, u16),
}

/// An ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Its type.
    pub kind: u8,
    /// Its code, if only one is meant.
    pub code: Option<u8>,
}

/// Something that a rule asks for besides addresses and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// The words: `dscp ef`, `fragments`.
    pub text: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contiguous_wildcard_is_a_prefix() {
        let wildcard =
            |address: [u8; 4], wildcard: [u8; 4]| Address::Wildcard(address.into(), wildcard.into()).prefix();
        let prefix = |address: [u8; 4], length| Some((IpAddr::from(address), length));
        assert_eq!(wildcard([10, 9, 1, 7], [0, 0, 255, 255]), prefix([10, 9, 0, 0], 16));
        assert_eq!(wildcard([10, 9, 1, 7], [0, 0, 0, 0]), prefix([10, 9, 1, 7], 32));
        assert_eq!(wildcard([10, 9, 1, 7], [255, 255, 255, 255]), prefix([0, 0, 0, 0], 0));
        assert_eq!(wildcard([10, 0, 0, 0], [0, 255, 0, 255]), None);
    }
}
