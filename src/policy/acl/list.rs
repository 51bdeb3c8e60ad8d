//! The ACLs of a policy folder, by name.
//!
//! Owns `[acl.NAME]`. How a client learns of an ACL is the matter of vendor tables and of `download`.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    parse::{self, Line, Mistake},
    rule::{Family, Rule},
};
use crate::{
    document::{Kind, Table, Value},
    limits,
    policy::text_place::place_in,
    problem::{Place, Problems},
};

/// One ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub place: Place,
    ipv4: Vec<Rule>,
    ipv6: Vec<Rule>,
}

impl Acl {
    /// The rules of a family in their order; remarks are not among them.
    #[must_use]
    pub fn rules(&self, family: Family) -> &[Rule] {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    /// Reads the table `[acl.NAME]`; `name` is its key. What is wrong in it is reported and left out.
    pub fn read(name: &str, table: &Table<'_>, problems: &mut Problems) -> Self {
        check_name(name, table, problems);
        let mut of = |key: &'static str, family| {
            table.ask(key).map(|value| read_rules(&value, family, problems)).unwrap_or_default()
        };
        let (ipv4, ipv6) = (of("ipv4", Family::Ipv4), of("ipv6", Family::Ipv6));
        if table.ask("ipv4").is_none() && table.ask("ipv6").is_none() {
            table.missing("ipv4", "write the rules, such as ipv4 = [\"permit ip any any\"]", problems);
        }
        table.finish(problems);
        Self { name: name.into(), place: table.place(), ipv4, ipv6 }
    }
}

/// All ACLs of a policy folder.
#[derive(Clone, Debug, Default)]
pub struct Acls {
    by_name: BTreeMap<Arc<str>, Arc<Acl>>,
}

impl Acls {
    /// No ACLs yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; a second one of its name is reported.
    pub fn insert(&mut self, acl: Acl, problems: &mut Problems) {
        if let Some(first) = self.by_name.get(&acl.name) {
            let message = format!("an ACL \"{}\" stands already at {}; rename one of them", acl.name, first.place);
            problems.error("defined-twice", Some(acl.place), message);
            return;
        }
        self.by_name.insert(Arc::clone(&acl.name), Arc::new(acl));
    }

    /// The ACL of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Acl>> {
        self.by_name.get(name)
    }

    /// All of them by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Acl>> {
        self.by_name.values()
    }

    /// All their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }
}

fn check_name(name: &str, table: &Table<'_>, problems: &mut Problems) {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let wrong = if let Some(odd) = name.chars().find(|character| !is_plain(*character)) {
        format!("holds \"{odd}\"; use letters, digits, \"-\", \"_\" and \".\"")
    } else if name.is_empty() || name.len() > limits::ACL_NAME_CHARACTERS_MAX {
        format!("must have 1 to {} characters", limits::ACL_NAME_CHARACTERS_MAX)
    } else {
        return;
    };
    problems.error("bad-name", Some(table.place()), format!("the name \"{name}\" of an ACL {wrong}"));
}

/// A list of lines, or one text of several lines.
fn read_rules(value: &Value<'_>, family: Family, problems: &mut Problems) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut all_right = true;
    if value.kind() == Kind::Array {
        for element in value.array(problems) {
            match element.text(problems) {
                Some(text) => all_right &= read_lines(&element, text, family, &mut rules, problems),
                None => all_right = false,
            }
        }
    } else if let Some(text) = value.plain_text() {
        all_right &= read_lines(value, text, family, &mut rules, problems);
    } else {
        let message = format!("\"{}\" is {}; write a list of rules, [ \"…\", … ]", value.path(), value.kind().name());
        value.error(problems, "wrong-type", message);
        return rules;
    }
    if rules.is_empty() && all_right {
        let message =
            format!("\"{}\" has no rule; a client that gets an ACL without rules may let all pass", value.path());
        value.error(problems, "acl-empty", message);
    }
    if rules.len() > limits::ACL_RULES_MAX {
        let message = format!("{} rules are more than the {} allowed", rules.len(), limits::ACL_RULES_MAX);
        value.error(problems, "acl-too-long", message);
        rules.truncate(limits::ACL_RULES_MAX);
    }
    warn_about_unreachable(&rules, problems);
    rules
}

/// Reads the lines of one text; false if one of them is wrong.
fn read_lines(value: &Value<'_>, text: &str, family: Family, rules: &mut Vec<Rule>, problems: &mut Problems) -> bool {
    let mut start = 0;
    let mut all_right = true;
    for line in text.split('\n') {
        let mut hints: Vec<Mistake> = Vec::new();
        let indent = line.chars().take_while(|character| character.is_whitespace()).count();
        match parse::parse(line, family, place_in(value, start + indent), &mut hints) {
            Ok(Line::Rule(rule)) => rules.push(rule),
            Ok(Line::Remark) => {}
            Err(mistake) => {
                problems.error("bad-rule", Some(place_in(value, start + mistake.at)), mistake.message);
                all_right = false;
            }
        }
        for hint in hints {
            problems.warning("odd-rule", Some(place_in(value, start + hint.at)), hint.message);
        }
        start += line.chars().count() + 1;
    }
    all_right
}

/// What follows a rule about everything is never reached.
fn warn_about_unreachable(rules: &[Rule], problems: &mut Problems) {
    let Some(all) = rules.iter().position(Rule::matches_all) else { return };
    if let (Some(rule), Some(next)) = (rules.get(all), rules.get(all + 1)) {
        let message = format!("this rule is never reached, because \"{}\" stands before it", rule.text);
        problems.warning("rule-unreachable", Some(next.place.clone()), message);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        document::Source,
        policy::acl::rule::{Address, End, Icmp, Ports, Protocol},
    };

    /// The ACL `a` of a file, and what was said about it.
    fn read(text: &str) -> (Acl, String) {
        let source = Source::new("acl.toml", text);
        let mut problems = Problems::new();
        let tree = source.parse(&mut problems).expect("valid TOML");
        let acl = tree.root().table("acl", &mut problems).expect("a table");
        let entry = acl.entries().remove(0);
        let acl = Acl::read(entry.key(), &entry.table(&mut problems).expect("a table"), &mut problems);
        (acl, problems.sorted().iter().map(|problem| format!("{problem}\n")).collect())
    }

    fn rule(text: &str, family: Family) -> Rule {
        let (acl, problems) = read(&format!("[acl.a]\n{} = ['{text}']", family.name()));
        assert_eq!(problems, "", "{text}");
        acl.rules(family).first().expect("a rule").clone()
    }

    #[test]
    fn a_rule_is_taken_apart() {
        let parsed =
            rule("permit TCP  any range 1024 65535 10.9.0.0 0.0.255.255 eq 443 www established log", Family::Ipv4);
        assert_eq!(&*parsed.text, "permit tcp any range 1024 65535 10.9.0.0 0.0.255.255 eq 443 www established log");
        assert_eq!(parsed.protocol, Protocol::TCP);
        assert_eq!(parsed.source, End { address: Address::Any, ports: Ports::Range(1024, 65535) });
        let network = Address::Wildcard([10, 9, 0, 0].into(), [0, 0, 255, 255].into());
        assert_eq!(parsed.destination, End { address: network, ports: Ports::Equal(vec![443, 80]) });
        assert!(parsed.established && parsed.log && parsed.extras.is_empty());

        let parsed = rule("deny icmp any host 2001:db8::1 echo-request", Family::Ipv6);
        assert_eq!(parsed.protocol, Protocol::ICMP6);
        assert_eq!(parsed.icmp, Some(Icmp { kind: 128, code: None }));
        let host = "2001:db8::1".parse().expect("an address");
        assert_eq!(parsed.destination.address, Address::Host(host));
    }

    #[test]
    fn what_a_switch_takes_is_taken() {
        for right in [
            "permit ip any any",
            "permit 41 any any",
            "deny udp any gt 1023 any lt 1024",
            "permit udp any neq bootps domain any",
            "permit icmp any any 3 4",
            "permit icmp any any unreachable log-input",
            "permit tcp any host 192.0.2.1 syn ack",
            "permit ip any any dscp ef",
            "permit ip any any dscp 46 fragments",
            "deny ip 10.0.0.0 0.255.0.255 any precedence critical",
            "permit sctp any any eq 5060",
        ] {
            rule(right, Family::Ipv4);
        }
        for right in ["permit ipv6 any any", "permit udp any any eq 547", "deny ipv6 any 2001:db8::/32 dscp cs1"] {
            rule(right, Family::Ipv6);
        }
    }

    #[test]
    fn a_text_of_several_lines_is_a_list_of_rules_and_remarks_are_left_out() {
        let (acl, problems) = read(
            "[acl.a]\nipv4 = \"\"\"\nremark names\n\n  permit udp any any eq 53\n! all\npermit ip any any\n\"\"\"\n",
        );
        assert_eq!(problems, "");
        let rules: Vec<_> =
            acl.rules(Family::Ipv4).iter().map(|rule| (&*rule.text, rule.place.line, rule.place.column)).collect();
        assert_eq!(rules, [("permit udp any any eq 53", 5, 3), ("permit ip any any", 7, 1)]);
    }

    #[test]
    fn every_mistake_is_told_with_its_place_and_what_to_write() {
        let (_, problems) = read(MISTAKES);
        insta::assert_snapshot!(problems);
    }

    const MISTAKES: &str = r#"
[acl.a]
ipv4 = [
    "10 permit ip any any",
    "allow ip any any",
    "permti ip any any",
    "ip access-list extended corp",
    "permit",
    "permit any any",
    "permit ipv6 any any",
    "permit tpc any any",
    "permit foo any any",
    "permit ip any",
    "permit ip 10.0.0.0/8 any",
    "permit ip any host",
    "permit ip any host web",
    "permit ip any host 10.0.0.0/8",
    "permit ip any 10.1.2.3",
    "permit ip any 10.1.2.3 eq 80",
    "permit ip any 10.1.2.0 255.255.255.0",
    "permit ip any 10.1.2.3 0.0.0.255",
    "permit ip any 2001:db8::/32",
    "permit ip any host 2001:db8::1",
    "permit ip any 10.1.2.300 0.0.0.255",
    "permit ip object-group staff any",
    "permit ip any any eq 80",
    "permit tcp any any eq",
    "permit tcp any any eq https",
    "permit tcp any any eq telent",
    "permit tcp any any eq 65536",
    "permit tcp any any range 80",
    "permit tcp any any range 90 80",
    "permit tcp any any gt 65535",
    "permit tcp any any eq 1 2 3 4 5 6 7 8 9 10 11",
    "permit udp any any established",
    "permit tcp any any establishd",
    "permit tcp any any time-range work",
    "permit icmp any any echo-request",
    "permit icmp any any ecko",
    "permit ip any any dscp gold",
    "permit ip any any dscp",
    "permit ip any any logg",
    "permit ip any any",
    "deny ip any any",
    7,
]
ipv6 = [
    "permit ip any any",
    "permit icmpv6 any any",
    "permit icmp any any echo",
    "permit ipv6 any 2001:db8::1",
    "permit ipv6 any 2001:db8::/129",
    "permit ipv6 any 2001:db8::1/64",
    "permit ipv6 any 10.0.0.0/8",
    "permit ipv6 any host 10.0.0.1",
    "permit ipv6 any 2001:db8:::/32",
]
"#;

    #[test]
    fn an_acl_without_rules_is_refused() {
        let (_, problems) = read("[acl.a]\nipv4 = [\"remark nothing\"]\nipv5 = []");
        insta::assert_snapshot!(problems, @r#"
        acl.toml:2:8: "acl.a.ipv4" has no rule; a client that gets an ACL without rules may let all pass
        acl.toml:3:1: unknown key "acl.a.ipv5"; did you mean "ipv6"?
        "#);
        let (_, problems) = read("[acl.\"a b\"]");
        insta::assert_snapshot!(problems, @r#"
        acl.toml:1:1: the name "a b" of an ACL holds " "; use letters, digits, "-", "_" and "."
        acl.toml:1:1: [acl.a b] has no "ipv4"; write the rules, such as ipv4 = ["permit ip any any"]
        "#);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9./: ]{0,60}", family in prop::sample::select(Family::ALL.to_vec())) {
            let place = Place::whole("x");
            let _ = parse::parse(&text, family, place.clone(), &mut Vec::new());
            let _ = parse::parse(&format!("permit tcp any {text}"), family, place, &mut Vec::new());
        }

        #[test]
        fn a_rule_reads_back_from_its_own_text(
            action in "permit|deny",
            protocol in "tcp|udp|ip|gre|47",
            destination in "any|host 192\\.0\\.2\\.[1-9]|10\\.[0-9]\\.0\\.0 0\\.0\\.255\\.255",
            spaces in " {1,3}",
        ) {
            let text = format!("{action}{spaces}{protocol} any {destination}");
            let first = rule(&text, Family::Ipv4);
            prop_assert_eq!(rule(&first.text, Family::Ipv4), Rule { place: first.place.clone(), ..first });
        }
    }
}
