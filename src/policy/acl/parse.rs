//! Reads one rule as it would be typed into a Cisco switch.
//!
//! Owns the syntax and what is said about mistakes in it. Which of it other vendors can express is not judged here.
//! Source: Cisco IOS Security Command Reference, "permit (IP)", "permit (IPv6)" and "remark".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    rule::{Action, Address, End, Extra, Family, Icmp, Ports, Protocol, Rule},
    words,
};
use crate::{
    limits,
    problem::{Place, did_you_mean},
};

/// A line of an ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A rule.
    Rule(Rule),
    /// A remark, or nothing; it is not sent.
    Remark,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Where, in characters of the line from 0.
    pub(super) at: usize,
    /// What, and what to do.
    pub(super) message: String,
}

/// Reads one line. Harmless mistakes are pushed into `hints`.
pub(super) fn parse(line: &str, family: Family, place: Place, hints: &mut Vec<Mistake>) -> Result<Line, Mistake> {
    let mut words = Words::split(line);
    let Some((at, first)) = words.next() else { return Ok(Line::Remark) };
    let action = match first.as_str() {
        "permit" => Action::Permit,
        "deny" => Action::Deny,
        "remark" | "!" => return Ok(Line::Remark),
        _ if first.starts_with('!') => return Ok(Line::Remark),
        _ if first.bytes().all(|octet| octet.is_ascii_digit()) => {
            return wrong(
                at,
                format!("a rule has no number here; leave \"{first}\" out, the order is that of the list"),
            );
        }
        "ip" | "ipv6" | "access-list" => {
            return wrong(at, "write the rules only, each one starting with \"permit\" or \"deny\"");
        }
        _ => {
            let near = near(&first, ["permit", "deny", "remark"]);
            let advice = if near.is_empty() { "; a rule starts with \"permit\" or \"deny\"" } else { &near };
            return wrong(at, format!("unknown word \"{first}\"{advice}"));
        }
    };
    let protocol = protocol(&mut words, family)?;
    let source = end(&mut words, family, protocol, "source", hints)?;
    let destination = end(&mut words, family, protocol, "destination", hints)?;
    let options = options(&mut words, family, protocol)?;
    Ok(Line::Rule(Rule {
        text: words.joined(),
        place,
        action,
        protocol,
        source,
        destination,
        established: options.established,
        icmp: options.icmp,
        extras: options.extras,
        log: options.log,
    }))
}

/// The words of a line in lower case, with their places.
struct Words {
    words: Vec<(usize, String)>,
    next: usize,
    end: usize,
}

impl Words {
    fn split(line: &str) -> Self {
        let mut words: Vec<(usize, String)> = Vec::new();
        let mut inside = false;
        for (at, character) in line.chars().enumerate() {
            if character.is_whitespace() {
                inside = false;
                continue;
            }
            if !inside {
                words.push((at, String::new()));
            }
            inside = true;
            if let Some((_, word)) = words.last_mut() {
                word.push(character.to_ascii_lowercase());
            }
        }
        Self { words, next: 0, end: line.chars().count() }
    }

    fn peek(&self) -> Option<(usize, &str)> {
        self.words.get(self.next).map(|(at, word)| (*at, word.as_str()))
    }

    fn next(&mut self) -> Option<(usize, String)> {
        let word = self.words.get(self.next).cloned();
        self.next += usize::from(word.is_some());
        word
    }

    fn require(&mut self, missing: &str) -> Result<(usize, String), Mistake> {
        let end = self.end;
        self.next().ok_or_else(|| Mistake { at: end, message: missing.to_owned() })
    }

    fn joined(&self) -> Box<str> {
        let words: Vec<&str> = self.words.iter().map(|(_, word)| word.as_str()).collect();
        words.join(" ").into()
    }
}

/// `; did you mean "…"?` for a name that is like `wrong` and starts alike: among words of three letters nearly all are
/// alike otherwise.
fn near<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    did_you_mean(wrong, names.into_iter().filter(|name| name.chars().next() == wrong.chars().next()))
}

fn wrong<T>(at: usize, message: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { at, message: message.into() })
}

fn protocol(words: &mut Words, family: Family) -> Result<Protocol, Mistake> {
    let any = family.any_protocol();
    let missing = format!("the protocol is missing; write {any}, tcp, udp, icmp or a number");
    let (at, word) = words.require(&missing)?;
    if let Some(protocol) = words::protocol(&word, family) {
        return Ok(protocol);
    }
    match (word.as_str(), family) {
        ("ip", Family::Ipv6) => wrong(at, "in IPv6 rules \"ip\" is called \"ipv6\"; write ipv6"),
        ("ipv6", Family::Ipv4) => wrong(at, "this is an IPv4 rule; write ip, or move the rule into the list ipv6"),
        ("icmpv6" | "icmp6", _) => wrong(at, "ICMP of IPv6 is called \"icmp\" in the list ipv6; write icmp there"),
        ("any" | "host", _) => wrong(at, format!("the protocol is missing; write {any} before \"{word}\"")),
        ("object-group", _) => wrong(at, OBJECT_GROUP),
        _ => {
            let names = words::protocols(family).iter().map(|(name, _)| *name).chain([any]);
            let near = near(&word, names);
            let advice =
                if near.is_empty() { format!("; write {any}, tcp, udp, icmp or a number from 0 to 255") } else { near };
            wrong(at, format!("unknown protocol \"{word}\"{advice}"))
        }
    }
}

const OBJECT_GROUP: &str =
    "object groups stand on the switch, not in a rule that is sent to it; write the addresses out";

const IPV6_HERE: &str = "this is an IPv6 address; move the rule into the list ipv6";
const IPV4_HERE: &str = "this is an IPv4 address; move the rule into the list ipv4";

fn end(
    words: &mut Words,
    family: Family,
    protocol: Protocol,
    which: &str,
    hints: &mut Vec<Mistake>,
) -> Result<End, Mistake> {
    let address = address(words, family, which, hints)?;
    let ports = ports(words, protocol)?;
    Ok(End { address, ports })
}

fn address(words: &mut Words, family: Family, which: &str, hints: &mut Vec<Mistake>) -> Result<Address, Mistake> {
    let forms = match family {
        Family::Ipv4 => "any, host ADDRESS, or ADDRESS WILDCARD",
        Family::Ipv6 => "any, host ADDRESS, or ADDRESS/LENGTH",
    };
    let (at, word) = words.require(&format!("the {which} is missing; write {forms}"))?;
    match word.as_str() {
        "any" => return Ok(Address::Any),
        "host" => {
            let (at, word) = words.require("the address after \"host\" is missing")?;
            return host(at, &word, family).map(Address::Host);
        }
        "object-group" | "addrgroup" => return wrong(at, OBJECT_GROUP),
        "any4" | "any6" | "interface" => return wrong(at, format!("a switch doesn't know \"{word}\"; write {forms}")),
        _ => {}
    }
    match family {
        Family::Ipv4 => ipv4(words, at, &word, which, forms, hints),
        Family::Ipv6 => ipv6(at, &word, which, forms, hints),
    }
}

fn host(at: usize, word: &str, family: Family) -> Result<IpAddr, Mistake> {
    match (word.parse(), family) {
        (Ok(address @ IpAddr::V4(_)), Family::Ipv4) | (Ok(address @ IpAddr::V6(_)), Family::Ipv6) => Ok(address),
        (Ok(IpAddr::V6(_)), Family::Ipv4) => wrong(at, IPV6_HERE),
        (Ok(IpAddr::V4(_)), Family::Ipv6) => wrong(at, IPV4_HERE),
        _ if word.contains('/') => wrong(at, "\"host\" is one address without a length; leave the word \"host\" out"),
        _ => wrong(at, format!("\"{word}\" is no address; names can't be used, write the numbers")),
    }
}

fn ipv4(
    words: &mut Words,
    at: usize,
    word: &str,
    which: &str,
    forms: &str,
    hints: &mut Vec<Mistake>,
) -> Result<Address, Mistake> {
    if let Some((address, length)) = word.split_once('/') {
        if address.parse::<Ipv6Addr>().is_ok() {
            return wrong(at, IPV6_HERE);
        }
        let advice = match (address.parse::<Ipv4Addr>(), length.parse::<u32>()) {
            (Ok(address), Ok(length @ 0..=32)) => {
                let wildcard = u32::MAX.checked_shr(length).unwrap_or(0);
                let network = Ipv4Addr::from_bits(address.to_bits() & !wildcard);
                format!("write {network} {}", Ipv4Addr::from_bits(wildcard))
            }
            _ => format!("write {forms}"),
        };
        return wrong(at, format!("IOS writes IPv4 networks with a wildcard; {advice}"));
    }
    let Ok(address) = word.parse::<Ipv4Addr>() else {
        if word.parse::<Ipv6Addr>().is_ok() {
            return wrong(at, IPV6_HERE);
        }
        return wrong(at, format!("\"{word}\" is no {which}; write {forms}"));
    };
    let missing = format!("the wildcard of {address} is missing; write host {address}, or {address} 0.0.0.255");
    let (at_wildcard, text) = match words.peek() {
        Some((at, word)) => (at, word.to_owned()),
        None => return wrong(words.end, missing),
    };
    let Ok(wildcard) = text.parse::<Ipv4Addr>() else { return wrong(at_wildcard, missing) };
    words.next();
    let (bits, ignored) = (address.to_bits(), wildcard.to_bits());
    if bits & ignored != 0 {
        let mask_like = ignored != u32::MAX && ignored.leading_ones() + ignored.trailing_zeros() == 32;
        if mask_like && bits & !ignored == 0 {
            let right = Ipv4Addr::from_bits(!ignored);
            let advice = format!("a wildcard has 1 where the address does not matter; write {address} {right}");
            return wrong(at_wildcard, format!("{wildcard} is a mask; {advice}"));
        }
        let network = Ipv4Addr::from_bits(bits & !ignored);
        let message =
            format!("the wildcard {wildcard} makes parts of {address} meaningless; write {network} {wildcard}");
        hints.push(Mistake { at, message });
    }
    Ok(Address::Wildcard(address, wildcard))
}

fn ipv6(at: usize, word: &str, which: &str, forms: &str, hints: &mut Vec<Mistake>) -> Result<Address, Mistake> {
    let Some((address, length)) = word.split_once('/') else {
        return match word.parse() {
            Ok(IpAddr::V6(address)) => {
                wrong(at, format!("the length is missing; write host {address} for one address, or {address}/LENGTH"))
            }
            Ok(IpAddr::V4(_)) => wrong(at, IPV4_HERE),
            Err(_) => wrong(at, format!("\"{word}\" is no {which}; write {forms}")),
        };
    };
    let Ok(address) = address.parse::<Ipv6Addr>() else {
        if address.parse::<Ipv4Addr>().is_ok() {
            return wrong(at, IPV4_HERE);
        }
        return wrong(at, format!("\"{address}\" is no IPv6 address; write {forms}"));
    };
    let Some(length) = length.parse::<u8>().ok().filter(|length| *length <= 128) else {
        return wrong(at, format!("the length of {address} must be between 0 and 128"));
    };
    let ignored = u128::MAX.checked_shr(length.into()).unwrap_or(0);
    if address.to_bits() & ignored != 0 {
        let network = Ipv6Addr::from_bits(address.to_bits() & !ignored);
        let message = format!("{address} has bits beyond its length of {length}; write {network}/{length}");
        hints.push(Mistake { at, message });
    }
    Ok(Address::Prefix(address, length))
}

fn ports(words: &mut Words, protocol: Protocol) -> Result<Ports, Mistake> {
    let Some((at, operator)) = words.peek().map(|(at, word)| (at, word.to_owned())) else { return Ok(Ports::Any) };
    if !["eq", "neq", "gt", "lt", "range"].contains(&operator.as_str()) {
        return Ok(Ports::Any);
    }
    if !protocol.has_ports() {
        return wrong(
            at,
            format!("only tcp, udp and sctp have ports; leave \"{operator}\" out, or change the protocol"),
        );
    }
    words.next();
    let missing = format!("the port after \"{operator}\" is missing");
    let (at_port, word) = words.require(&missing)?;
    let first = port(at_port, &word, protocol)?;
    match operator.as_str() {
        "range" => {
            let (at, word) = words.require("the last port of the range is missing; write range FIRST LAST")?;
            let last = port(at, &word, protocol)?;
            if last < first {
                return wrong(at, format!("the range ends before it starts; write range {last} {first}"));
            }
            Ok(Ports::Range(first, last))
        }
        "gt" => match first.checked_add(1) {
            Some(from) => Ok(Ports::Range(from, u16::MAX)),
            None => wrong(at_port, "no port is above 65535"),
        },
        "lt" => match first.checked_sub(1) {
            Some(to) => Ok(Ports::Range(0, to)),
            None => wrong(at_port, "no port is below 0"),
        },
        _ => {
            let mut all = vec![first];
            while let Some((at, word)) = words.peek().map(|(at, word)| (at, word.to_owned())) {
                let Ok(next) = port(at, &word, protocol) else { break };
                if all.len() == limits::ACL_PORTS_MAX {
                    let what = format!("IOS takes at most {} ports behind \"{operator}\"; make two rules", all.len());
                    return wrong(at, what);
                }
                all.push(next);
                words.next();
            }
            Ok(if operator == "eq" { Ports::Equal(all) } else { Ports::NotEqual(all) })
        }
    }
}

fn port(at: usize, word: &str, protocol: Protocol) -> Result<u16, Mistake> {
    if let Ok(number) = word.parse() {
        return Ok(number);
    }
    let names = words::ports(protocol);
    if let Some((_, number)) = names.iter().find(|(name, _)| *name == word) {
        return Ok(*number);
    }
    if word.bytes().all(|octet| octet.is_ascii_digit()) {
        return wrong(at, format!("port {word} is above 65535"));
    }
    if let Some(number) = words::port_without_name(word) {
        return wrong(at, format!("IOS has no name \"{word}\" for a port; write {number}"));
    }
    let near = near(word, names.iter().map(|(name, _)| *name));
    let advice = if near.is_empty() { "; write its number".to_owned() } else { near };
    wrong(at, format!("unknown port \"{word}\"{advice}"))
}

#[derive(Default)]
struct Options {
    established: bool,
    icmp: Option<Icmp>,
    extras: Vec<Extra>,
    log: bool,
}

fn options(words: &mut Words, family: Family, protocol: Protocol) -> Result<Options, Mistake> {
    let mut options = Options::default();
    if protocol.is_icmp() {
        options.icmp = icmp(words, family)?;
    }
    while let Some((at, word)) = words.next() {
        match word.as_str() {
            "log" | "log-input" => options.log = true,
            "established" if protocol == Protocol::TCP => options.established = true,
            "established" => return wrong(at, "only tcp has connections; leave \"established\" out"),
            "fragments" => options.extras.push(Extra { text: word.into() }),
            "dscp" => options.extras.push(value(words, &word, &words::DSCP, 63)?),
            "precedence" if family == Family::Ipv4 => {
                options.extras.push(value(words, &word, &words::PRECEDENCE, 7)?);
            }
            _ if words::TCP_FLAGS.contains(&word.as_str()) && protocol == Protocol::TCP => {
                options.extras.push(Extra { text: word.into() });
            }
            "time-range" | "reflect" | "evaluate" => {
                return wrong(
                    at,
                    format!("\"{word}\" refers to something on the switch; a rule that is sent can't use it"),
                );
            }
            _ => return wrong(at, unknown_option(&word, family, protocol)),
        }
    }
    Ok(options)
}

fn unknown_option(word: &str, family: Family, protocol: Protocol) -> String {
    let mut known = vec!["log", "log-input", "fragments", "dscp"];
    if protocol.has_ports() {
        known.extend(["eq", "neq", "gt", "lt", "range"]);
    }
    if protocol == Protocol::TCP {
        known.push("established");
        known.extend(words::TCP_FLAGS);
    }
    if family == Family::Ipv4 {
        known.push("precedence");
    }
    let near = near(word, known.iter().copied());
    let advice = if near.is_empty() { format!("; here can stand: {}", known.join(", ")) } else { near };
    format!("unknown word \"{word}\"{advice}")
}

fn value(words: &mut Words, key: &str, names: &[&str], max: u8) -> Result<Extra, Mistake> {
    let (at, word) = words.require(&format!("the value after \"{key}\" is missing"))?;
    if names.contains(&word.as_str()) || word.parse::<u8>().is_ok_and(|number| number <= max) {
        return Ok(Extra { text: format!("{key} {word}").into() });
    }
    let near = near(&word, names.iter().copied());
    let advice = if near.is_empty() {
        format!("; write a number from 0 to {max}, or one of: {}", names.join(", "))
    } else {
        near
    };
    wrong(at, format!("unknown {key} \"{word}\"{advice}"))
}

fn icmp(words: &mut Words, family: Family) -> Result<Option<Icmp>, Mistake> {
    let Some((at, word)) = words.peek().map(|(at, word)| (at, word.to_owned())) else { return Ok(None) };
    if let Some(icmp) = words::icmp(&word, family) {
        words.next();
        return Ok(Some(icmp));
    }
    if let Ok(kind) = word.parse::<u8>() {
        words.next();
        let code = words.peek().and_then(|(_, word)| word.parse::<u8>().ok());
        words.next += usize::from(code.is_some());
        return Ok(Some(Icmp { kind, code }));
    }
    if ["log", "log-input", "fragments", "dscp", "precedence"].contains(&word.as_str()) {
        return Ok(None);
    }
    let hint = match (word.as_str(), family) {
        ("echo", Family::Ipv6) | ("ping", Family::Ipv6) => "; did you mean \"echo-request\"?".to_owned(),
        ("echo-request" | "ping", Family::Ipv4) => "; did you mean \"echo\"?".to_owned(),
        _ => near(&word, words::icmp_names(family).iter().map(|(name, ..)| *name)),
    };
    let advice = if hint.is_empty() { "; write a name such as echo-reply, or type and code as numbers" } else { &hint };
    wrong(at, format!("unknown ICMP message \"{word}\"{advice}"))
}
