//! Reads `[acl.rule]` of a vendor table.
//!
//! Owns its keys; what they do is in `syntax`.

use std::collections::BTreeMap;

use super::{
    read_template::read_text_template,
    syntax::{AddressSyntax, PortSyntax, RuleSyntax},
};
use crate::{
    document::Table,
    policy::{acl::Family, template::Template},
    problem::Problems,
};

const PARTS: [&str; 9] = [
    "action",
    "conditions",
    "protocol",
    "source",
    "source-port",
    "destination",
    "destination-port",
    "icmp",
    "established",
];

/// Reads the table `rule` of `acl`, if there is one.
pub(super) fn read(acl: &Table<'_>, problems: &mut Problems) -> Option<RuleSyntax> {
    let table = acl.table("rule", problems)?;
    let line = template(&table, "line", &PARTS, problems);
    let icmp = table.table("icmp", problems);
    let of = |key: &'static str, names: &[&str], problems: &mut Problems| {
        icmp.as_ref().and_then(|icmp| template(icmp, key, names, problems))
    };
    let icmp_type = of("type", &["type"], problems);
    let icmp_code = of("code", &["type", "code"], problems);
    if let Some(icmp) = &icmp {
        icmp.finish(problems);
    }
    let protocols = read_protocols(&table, problems);
    let syntax = RuleSyntax {
        line: line.unwrap_or_else(|| Template::constant("")),
        separator: words(&table, "separator", problems).unwrap_or_else(|| " ".into()),
        no_conditions: words(&table, "no-conditions", problems).unwrap_or_default(),
        permit: words(&table, "permit", problems).unwrap_or_else(|| "permit".into()),
        deny: words(&table, "deny", problems).unwrap_or_else(|| "deny".into()),
        protocols: protocols.0,
        any_protocol: protocols.1,
        other_protocol: protocols.2,
        source: read_address(table.table("source", problems), problems),
        destination: read_address(table.table("destination", problems), problems),
        source_port: read_port(table.table("source-port", problems), problems),
        destination_port: read_port(table.table("destination-port", problems), problems),
        established: words(&table, "established", problems),
        icmp_type,
        icmp_code,
    };
    for part in forgotten(&syntax) {
        let message =
            format!("the line has no {{{part}}}, so that part of a rule would be lost; add it, or {{conditions}}");
        table.ask("line").map_or_else(|| (), |line| line.error(problems, "bad-template", message));
    }
    if table.ask("line").is_none() {
        table.missing(
            "line",
            "write a whole rule, such as line = \"{action} {protocol} {source} {destination}\"",
            problems,
        );
    }
    table.finish(problems);
    Some(syntax)
}

/// The parts of a rule that the syntax has words for, but no place in the line: rules would become wider than written.
fn forgotten(syntax: &RuleSyntax) -> Vec<&'static str> {
    let has_place =
        |part: &str| syntax.line.references().any(|reference| [part, "conditions"].contains(&&*reference.name));
    let has_address = |address: &AddressSyntax| {
        [&address.host, &address.prefix, &address.prefix_ipv6, &address.wildcard].into_iter().any(Option::is_some)
    };
    let has_port = |port: &PortSyntax| port.equal.is_some() || port.range.is_some();
    let has_action = syntax.line.references().any(|reference| &*reference.name == "action");
    let parts = [
        ("action", !has_action),
        ("protocol", !syntax.protocols.is_empty() || syntax.other_protocol.is_some()),
        ("source", has_address(&syntax.source)),
        ("source-port", has_port(&syntax.source_port)),
        ("destination", has_address(&syntax.destination)),
        ("destination-port", has_port(&syntax.destination_port)),
        ("icmp", syntax.icmp_type.is_some() || syntax.icmp_code.is_some()),
        ("established", syntax.established.is_some()),
    ];
    let is_lost = |(part, known): &(&'static str, bool)| *known && (*part == "action" || !has_place(part));
    parts.into_iter().filter(is_lost).map(|(part, _)| part).collect()
}

fn words(table: &Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Box<str>> {
    table.text(key, problems).map(Into::into)
}

fn template(table: &Table<'_>, key: &'static str, names: &[&str], problems: &mut Problems) -> Option<Template> {
    read_text_template(&table.ask(key)?, names, problems)
}

/// The words for "all" by family: `any`, or `any-ipv4` and `any-ipv6`.
fn by_family(table: &Table<'_>, problems: &mut Problems) -> BTreeMap<Family, Box<str>> {
    let mut any = BTreeMap::new();
    if let Some(both) = words(table, "any", problems) {
        any.extend(Family::ALL.map(|family| (family, both.clone())));
    }
    for (key, family) in [("any-ipv4", Family::Ipv4), ("any-ipv6", Family::Ipv6)] {
        any.extend(words(table, key, problems).map(|words| (family, words)));
    }
    any
}

/// The words by number, the words for all, and the template for others.
type Protocols = (BTreeMap<u8, Box<str>>, BTreeMap<Family, Box<str>>, Option<Template>);

/// Reads the table `protocol`.
fn read_protocols(table: &Table<'_>, problems: &mut Problems) -> Protocols {
    let mut named = BTreeMap::new();
    let Some(table) = table.table("protocol", problems) else { return (named, BTreeMap::new(), None) };
    for (key, number) in [("icmp", 1), ("igmp", 2), ("tcp", 6), ("udp", 17), ("icmpv6", 58)] {
        if let Some(word) = words(&table, key, problems) {
            named.insert(number, word);
        }
    }
    let any = by_family(&table, problems);
    let other = template(&table, "other", &["number"], problems);
    table.finish(problems);
    (named, any, other)
}

fn read_address(table: Option<Table<'_>>, problems: &mut Problems) -> AddressSyntax {
    let Some(table) = table else { return AddressSyntax::default() };
    let syntax = AddressSyntax {
        any: by_family(&table, problems),
        any_with_port: words(&table, "any-with-port", problems),
        host: template(&table, "host", &["address"], problems),
        prefix: template(&table, "prefix", &["address", "length"], problems),
        prefix_ipv6: template(&table, "prefix-ipv6", &["address", "length"], problems),
        wildcard: template(&table, "wildcard", &["address", "wildcard"], problems),
    };
    table.finish(problems);
    syntax
}

fn read_port(table: Option<Table<'_>>, problems: &mut Problems) -> PortSyntax {
    let Some(table) = table else { return PortSyntax::default() };
    let syntax = PortSyntax {
        equal: template(&table, "equal", &["port"], problems),
        range: template(&table, "range", &["from", "to"], problems),
    };
    table.finish(problems);
    syntax
}
