//! The ACLs of a policy folder, by name.
//!
//! Owns `[acl.NAME]`. How a client learns of an ACL is the matter of vendor tables and of `download`.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    parse::{self, Line, Mistake},
    rule::{Address, Family, Ports, Protocol, Rule},
};
use crate::{
    document::{Kind, Table, Value},
    limits,
    policy::text_place::place_in,
    problem::{Place, Problems, did_you_mean},
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
            let message = format!("there are two ACLs \"{}\"; the other one stands at {}", acl.name, first.place);
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

    /// `; did you mean "…"?` for the name that is most like `wrong`, or nothing.
    #[must_use]
    pub fn did_you_mean(&self, wrong: &str) -> String {
        did_you_mean(wrong, self.by_name.keys().map(|name| &**name))
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
    let Some(all) = rules.iter().position(matches_all) else { return };
    if let (Some(rule), Some(next)) = (rules.get(all), rules.get(all + 1)) {
        let message = format!("this rule is never reached, because \"{}\" stands before it", rule.text);
        problems.warning("rule-unreachable", Some(next.place.clone()), message);
    }
}

fn matches_all(rule: &Rule) -> bool {
    rule.protocol == Protocol::Any
        && [&rule.source, &rule.destination].iter().all(|end| end.address == Address::Any && end.ports == Ports::Any)
        && rule.extras.is_empty()
}
