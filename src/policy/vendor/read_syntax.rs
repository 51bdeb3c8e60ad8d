//! Reads `[acl.rule]` of a vendor table.
//!
//! Owns its keys; what they do is in `syntax`.

use std::collections::BTreeMap;

use super::{
    read_template::read_text_template,
    syntax::{AddressSyntax, PortSyntax, RuleSyntax},
};
use crate::{document::Table, policy::template::Template, problem::Problems};

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

fn words(table: &Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Box<str>> {
    table.text(key, problems).map(Into::into)
}

fn template(table: &Table<'_>, key: &'static str, names: &[&str], problems: &mut Problems) -> Option<Template> {
    read_text_template(&table.ask(key)?, names, problems)
}

/// The words by number, the words for all, and the template for others.
fn read_protocols(table: &Table<'_>, problems: &mut Problems) -> (BTreeMap<u8, Box<str>>, Box<str>, Option<Template>) {
    let mut named = BTreeMap::new();
    let Some(table) = table.table("protocol", problems) else { return (named, "".into(), None) };
    for (key, number) in [("icmp", 1), ("igmp", 2), ("tcp", 6), ("udp", 17), ("icmpv6", 58)] {
        if let Some(word) = words(&table, key, problems) {
            named.insert(number, word);
        }
    }
    let any = words(&table, "any", problems).unwrap_or_default();
    let other = template(&table, "other", &["number"], problems);
    table.finish(problems);
    (named, any, other)
}

fn read_address(table: Option<Table<'_>>, problems: &mut Problems) -> AddressSyntax {
    let Some(table) = table else { return AddressSyntax::default() };
    let syntax = AddressSyntax {
        any: words(&table, "any", problems),
        host: template(&table, "host", &["address"], problems),
        prefix: template(&table, "prefix", &["address", "length"], problems),
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
