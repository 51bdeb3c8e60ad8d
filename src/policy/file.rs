//! Reads a policy file: keys, types and nesting; names and literals are looked up by `compile`.
//!
//! Owns the syntax of `policies/*.toml` beyond TOML itself.

use super::{
    catalogue::Family,
    decision::Access,
    draft::{CaseDraft, Condition, ExpectDraft, FactDraft, File, ListDraft, Named, RuleDraft, SetDraft, State},
    facts_file::FAMILIES,
    operator::row::Operator,
};
use crate::{
    document::{Kind, Table, Value},
    limits,
    problem::Problems,
};

/// Reads a whole file.
pub fn read<'t>(root: &Table<'t>, problems: &mut Problems) -> File<'t> {
    root.require_version(problems);
    let set = root.ask("policy-set").and_then(|value| policy_set(&value, problems));
    let has_set = root.ask("policy-set").is_some();
    let rules = rules(root, "rule", problems);
    if let Some(first) = rules.first().filter(|_| !has_set) {
        let message =
            "this file has rules, but no policy set; add [policy-set], or write [[exception]] for a rule of all sets";
        problems.error("rule-without-set", Some(first.place.clone()), message);
    }
    let file = File {
        set,
        rules,
        exceptions: self::rules(root, "exception", problems),
        profiles: named(root, "profile", problems, |value, problems| value.table(problems)),
        acls: named(root, "acl", problems, |value, problems| value.table(problems)),
        conditions: named(root, "condition", problems, |value, problems| Some(condition(value, problems))),
        lists: named(root, "list", problems, |value, problems| Some(list(value, problems))),
        cases: root.tables("case", problems).iter().map(|table| case(table, problems)).collect(),
    };
    root.finish(problems);
    file
}

fn named<'t, T>(
    root: &Table<'t>,
    key: &'static str,
    problems: &mut Problems,
    mut read: impl FnMut(&Value<'t>, &mut Problems) -> Option<T>,
) -> Vec<Named<'t, T>> {
    let Some(value) = root.ask(key) else { return Vec::new() };
    if value.kind() == Kind::Array {
        let message = format!("[[{key}]] with two brackets is not known; give it a name: [{key}.my-name]");
        value.error_at_key(problems, "unnamed", message);
        return Vec::new();
    }
    let Some(table) = value.table(problems) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in table.entries() {
        if entry.kind() != Kind::Table {
            let message =
                format!("[{key}] itself has no settings; put \"{}\" under a name: [{key}.my-name]", entry.key());
            entry.error_at_key(problems, "unnamed", message);
            continue;
        }
        let Some(value) = read(&entry, problems) else { continue };
        found.push(Named { name: entry.key(), place: entry.key_place(), value });
    }
    found
}

fn policy_set<'t>(value: &Value<'t>, problems: &mut Problems) -> Option<SetDraft<'t>> {
    if value.kind() == Kind::Array {
        let message = "a file holds one policy set; write [policy-set] with single brackets, and move others to files of their own";
        value.error_at_key(problems, "several-sets", message);
        return None;
    }
    let table = value.table(problems)?;
    let name = name_of(&table, "policy-set", problems);
    let when = table.ask("when").map(|value| when(&value, problems));
    let rank = table.integer("rank", 0, i64::from(u32::MAX), problems);
    if rank.is_none() && table.ask("rank").is_none() && table.ask("when").is_some() {
        table.missing("rank", "sets are tried from low to high: rank = 10", problems);
    }
    let state = state(&table, problems);
    if state == State::Monitor {
        let message = "a set is used or not; write state = \"monitor\" at its rules instead";
        table.ask("state")?.error(problems, "monitored-set", message);
    }
    let draft = SetDraft {
        name: name.unwrap_or(""),
        place: value.key_place(),
        rank,
        is_enabled: state != State::Disabled,
        when,
        methods: table.texts("methods", problems),
        mdm: table.texts("mdm", problems),
        default: table.texts("default", problems).unwrap_or_default(),
    };
    table.finish(problems);
    for (key, means) in [
        ("methods", "no method is allowed, so everything is rejected; name some, or leave it out to allow all"),
        ("default", "it names no profile and counts for nothing; write default = \"deny\", or leave it out"),
    ] {
        if let Some(value) = table.ask(key).filter(is_empty_list) {
            value.warning(problems, "empty-list", format!("the list is empty: {means}"));
        }
    }
    // Without a name it is not used, but its rules are still checked.
    Some(draft)
}

/// The `name` of a table: present, not empty, one line.
fn name_of<'t>(table: &Table<'t>, what: &str, problems: &mut Problems) -> Option<&'t str> {
    let Some(value) = table.ask("name") else {
        table.missing("name", &format!("the log and the metrics call the {what} by it"), problems);
        return None;
    };
    let name = value.text(problems)?;
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        value.error(problems, "bad-name", "a name is a text on one line that is not empty");
        return None;
    }
    Some(name)
}

fn state(table: &Table<'_>, problems: &mut Problems) -> State {
    const STATES: [State; 3] = [State::Enabled, State::Disabled, State::Monitor];
    let Some(value) = table.ask("state") else { return State::Enabled };
    let Some(text) = value.text(problems) else { return State::Enabled };
    STATES.into_iter().find(|state| state.name() == text).unwrap_or_else(|| {
        let nearest = problems.suggest(text, STATES.map(State::name));
        let advice =
            if nearest.is_empty() { "; write \"enabled\", \"disabled\" or \"monitor\"".into() } else { nearest };
        value.error(problems, "unknown-state", format!("there is no state \"{text}\"{advice}"));
        State::Enabled
    })
}

fn rules<'t>(root: &Table<'t>, key: &'static str, problems: &mut Problems) -> Vec<RuleDraft<'t>> {
    root.tables(key, problems).iter().map(|table| rule(table, key, problems)).collect()
}

/// What could not be read of it was reported; a condition that could not be read never holds.
fn rule<'t>(table: &Table<'t>, what: &str, problems: &mut Problems) -> RuleDraft<'t> {
    let name = name_of(table, what, problems);
    let when_value = table.ask("when");
    let when = when_value.as_ref().map(|value| when(value, problems));
    let result = table.texts("result", problems);
    // A `result` that a [rule.when] header swallowed was told there already.
    let swallowed = when_value.as_ref().is_some_and(|value| has_key(value, "result"));
    if result.is_none() && table.ask("result").is_none() && !swallowed {
        table.missing("result", "name the profile that applies: result = \"permit\"", problems);
    }
    if let Some(value) = table.ask("result").filter(is_empty_list) {
        value.error(problems, "empty-result", "the list is empty; name at least one profile: result = \"permit\"");
    }
    let state = state(table, problems);
    table.finish(problems);
    RuleDraft { name: name.unwrap_or_default(), place: table.place(), state, when, result: result.unwrap_or_default() }
}

fn is_empty_list(value: &Value<'_>) -> bool {
    value.kind() == Kind::Array && value.array(&mut Problems::unread()).is_empty()
}

fn has_key(value: &Value<'_>, key: &str) -> bool {
    value.table(&mut Problems::new()).is_some_and(|table| table.entries().iter().any(|entry| entry.key() == key))
}

fn condition<'t>(value: &Value<'t>, problems: &mut Problems) -> Option<Condition<'t>> {
    let table = value.table(problems)?;
    let Some(condition) = table.ask("when") else {
        table.missing("when", "write the facts behind it: when = { session.medium = \"wired\" }", problems);
        return None;
    };
    let condition = when(&condition, problems);
    table.finish(problems);
    Some(condition)
}

/// Reads a `when` table.
fn when<'t>(value: &Value<'t>, problems: &mut Problems) -> Condition<'t> {
    condition_table(value, 0, problems)
}

fn condition_table<'t>(value: &Value<'t>, depth: usize, problems: &mut Problems) -> Condition<'t> {
    if depth > limits::CONDITION_DEPTH_MAX {
        let message = format!(
            "conditions are nested more than {} deep; give parts of it a name: [condition.my-name]",
            limits::CONDITION_DEPTH_MAX
        );
        value.error(problems, "condition-too-deep", message);
        return Condition::Broken;
    }
    let Some(table) = value.table(problems) else { return Condition::Broken };
    let mut parts = Vec::new();
    for entry in table.entries() {
        if !condition_entry(&entry, depth, &mut parts, problems) {
            parts.push(Condition::Broken);
        }
    }
    match parts.len() {
        1 => parts.remove(0),
        _ => Condition::All(parts),
    }
}

/// Reads one key of a condition; false if it could not be read.
fn condition_entry<'t>(
    entry: &Value<'t>,
    depth: usize,
    parts: &mut Vec<Condition<'t>>,
    problems: &mut Problems,
) -> bool {
    match entry.key() {
        "any" | "all" => {
            let Some(inner) = several(entry, depth, problems) else { return false };
            parts.push(if entry.key() == "any" { Condition::Any(inner) } else { Condition::All(inner) });
            true
        }
        "not" => {
            parts.push(Condition::Not(Box::new(condition_table(entry, depth + 1, problems))));
            true
        }
        "condition" => {
            let values = if entry.kind() == Kind::Array { entry.array(problems) } else { vec![entry.clone()] };
            let mut named = Vec::new();
            for value in values {
                if value.text(problems).is_none() {
                    return false;
                }
                named.push(Condition::Named(value));
            }
            parts.push(if entry.kind() == Kind::Array { Condition::Any(named) } else { named.remove(0) });
            true
        }
        family => match Family::parse(family) {
            // Below a [policy-set.when] header, the set's own `mdm = [ … ]` looks like the family.
            Some(Family::Mdm) if entry.kind() == Kind::Array => unknown_entry(entry, problems),
            Some(family) => facts(entry, family, parts, problems),
            None => unknown_entry(entry, problems),
        },
    }
}

fn several<'t>(entry: &Value<'t>, depth: usize, problems: &mut Problems) -> Option<Vec<Condition<'t>>> {
    let key = entry.key();
    if entry.kind() != Kind::Array {
        let message = format!("\"{key}\" takes a list of conditions; write {key} = [ {{ … }}, {{ … }} ]");
        entry.error(problems, "wrong-type", message);
        return None;
    }
    let values = entry.array(problems);
    if values.is_empty() {
        entry.error(problems, "empty-list", format!("\"{key}\" has no conditions; add some or remove it"));
        return None;
    }
    Some(values.iter().map(|value| condition_table(value, depth + 1, problems)).collect())
}

/// Reads `family = { name = …, … }`.
fn facts<'t>(entry: &Value<'t>, family: Family, parts: &mut Vec<Condition<'t>>, problems: &mut Problems) -> bool {
    if entry.kind() != Kind::Table {
        let message = format!("\"{0}\" is a family of facts; name one: {0}.… = …", family.name());
        entry.error_at_key(problems, "family-alone", message);
        return false;
    }
    let Some(table) = entry.table(problems) else { return false };
    if table.entries().is_empty() {
        let message = format!("\"{}\" is empty; name a fact and what it is to be", family.name());
        entry.error(problems, "empty-condition", message);
        return false;
    }
    for value in table.entries() {
        let place = value.key_place();
        let (name, value) = dotted(value);
        parts.push(Condition::Fact(FactDraft { family: family.name(), name, place, value }));
    }
    true
}

/// Follows a name that was meant as one, but was written with unquoted dots: `radius.Attr-26.9.1`.
fn dotted<'t>(value: Value<'t>) -> (String, Value<'t>) {
    let mut name = value.key().to_owned();
    let mut value = value;
    // Deeper than any dotted name of the dictionary.
    for _ in 0..limits::TLV_DEPTH_MAX + 4 {
        let Some(table) = (value.kind() == Kind::Table).then(|| value.table(&mut Problems::new())).flatten() else {
            break;
        };
        let entries = table.entries();
        let [only] = entries.as_slice() else { break };
        if Operator::parse(only.key()).is_some() || !looks_like_a_part(only.key()) {
            break;
        }
        name.push('.');
        name.push_str(only.key());
        value = only.clone();
    }
    (name, value)
}

/// Names of attributes go on behind a dot with a digit (`Foundry-802.1x-…`, `Attr-26.9.1`); operators never start so.
fn looks_like_a_part(key: &str) -> bool {
    key.starts_with(|character: char| character.is_ascii_digit())
}

fn unknown_entry(entry: &Value<'_>, problems: &mut Problems) -> bool {
    let key = entry.key();
    if let Some((family, rest)) = key.split_once('.')
        && Family::parse(family).is_some()
    {
        let name = if rest.contains(['.', ':']) { format!("{family}.\"{rest}\"") } else { key.to_owned() };
        let message = format!("\"{key}\" is quoted as a whole; write {name} = …");
        entry.error_at_key(problems, "quoted-name", message);
        return false;
    }
    if matches!(key, "result" | "name" | "state" | "default" | "rank" | "methods" | "mdm") {
        let header = entry.path().rsplit_once('.').map_or("when", |(header, _)| header);
        let message = format!(
            "\"{key}\" stands below the header [{header}] and so became a part of the condition; move it above that header, \
             or write the condition as lines such as when.mdm.registered = true"
        );
        entry.error_at_key(problems, "swallowed-key", message);
        return false;
    }
    if let Some(row) = super::catalogue::ROWS.iter().find(|row| row.short_name() == key) {
        let message = format!("facts have a family before the dot; write {} = …", row.name);
        entry.error_at_key(problems, "unknown-fact", message);
        return false;
    }
    let known = Family::ALL.map(Family::name).into_iter().chain(["any", "all", "not", "condition"]);
    let nearest = problems.suggest(key, known.clone());
    let advice =
        if nearest.is_empty() { format!("; there are: {}", known.collect::<Vec<_>>().join(", ")) } else { nearest };
    entry.error_at_key(problems, "unknown-fact", format!("a condition has no \"{key}\"{advice}"));
    false
}

fn list<'t>(value: &Value<'t>, problems: &mut Problems) -> Option<ListDraft<'t>> {
    let table = value.table(problems)?;
    let values = table.ask("values");
    let file = table.ask("file");
    let draft = match (values, file) {
        (Some(values), None) => Some(ListDraft::Values(values.array(problems))),
        (None, Some(file)) => file.text(problems).map(|_| ListDraft::File(file)),
        (Some(_), Some(file)) => {
            file.error_at_key(problems, "list-twice", "a list has either values or a file; keep one of them");
            None
        }
        (None, None) => {
            table.missing("values", "write values = [ … ], or file = \"….txt\" with one value to a line", problems);
            None
        }
    };
    table.finish(problems);
    draft
}

fn case<'t>(table: &Table<'t>, problems: &mut Problems) -> CaseDraft<'t> {
    let name = name_of(table, "case", problems);
    let request = table.table("request", problems).map(|request| request.entries()).unwrap_or_default();
    let mut given = Vec::new();
    for family in FAMILIES {
        let Some(facts) = table.table(family, problems) else { continue };
        given.extend(facts.entries().into_iter().map(|value| (family, value)));
    }
    let now = table.ask("now");
    if table.ask("expect").is_none() {
        table.missing("expect", "say what should come out: expect = { access = \"accept\", vlan = 20 }", problems);
    }
    let expect = table.table("expect", problems).map(|table| expect(&table, problems)).unwrap_or_default();
    table.finish(problems);
    CaseDraft { name: name.unwrap_or_default(), place: table.place(), request, given, now, expect }
}

fn expect<'t>(table: &Table<'t>, problems: &mut Problems) -> ExpectDraft<'t> {
    if table.entries().is_empty() {
        let message = "expect is empty, so the case can't fail; write for example expect = { access = \"accept\" }";
        problems.error("empty-expect", Some(table.place()), message);
    }
    let texts = |key| table.ask(key).filter(|value| value.text(&mut Problems::new()).is_some());
    for key in ["set", "rule", "reason"] {
        table.text(key, problems);
    }
    let access = table.ask("access").and_then(|value| access(&value, problems));
    let draft = ExpectDraft {
        set: texts("set"),
        rule: texts("rule"),
        reason: texts("reason"),
        access,
        profiles: table.texts("profiles", problems),
        monitored: table.texts("monitored", problems),
        vlan: table.ask("vlan"),
        acl: table.texts("acl", problems),
        session_timeout: table.duration("session-timeout", problems).map(|duration| duration.as_secs()),
        attributes: table.table("attributes", problems).map(|table| table.entries()).unwrap_or_default(),
        reply: table.table("reply", problems).map(|table| table.entries()),
    };
    table.finish(problems);
    draft
}

fn access(value: &Value<'_>, problems: &mut Problems) -> Option<Access> {
    let text = value.text(problems)?;
    let found = Access::ALL.into_iter().find(|access| access.name() == text);
    if found.is_none() {
        let nearest = problems.suggest(text, Access::ALL.map(Access::name));
        let advice = if nearest.is_empty() { "; write \"accept\", \"reject\" or \"ignore\"".into() } else { nearest };
        value.error(problems, "unknown-access", format!("there is no access \"{text}\"{advice}"));
    }
    found
}
