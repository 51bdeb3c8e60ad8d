//! `family.name = value`: one fact and everything that is asked about it.
//!
//! Owns the lookup of facts, attributes and operators by name, and the join of several operators into one predicate.

use super::{
    super::{
        arena::{ArenaBuilder, Node, NodeId, Question, SubjectId},
        catalogue::{self, Fact, Kind},
        draft::FactDraft,
        facts::Method,
        operator::{
            membership::{self, Written},
            order,
            row::{self, Operator},
            test::Test,
            text,
        },
        subject::Subject,
    },
    list::Lists,
};
use crate::{
    dictionary::{Attribute, Dictionary},
    document::{self, Value},
    problem::Problems,
    radius::tag::Tag,
};

/// What the compilation of facts needs.
pub struct FactCompiler<'f, 't, 'c> {
    /// For names of attributes.
    pub dictionary: &'f Dictionary,
    /// For `in-list`.
    pub lists: &'f mut Lists<'t, 'c>,
    /// Where the outcome goes.
    pub arena: &'f mut ArenaBuilder,
    /// Where mistakes go.
    pub problems: &'f mut Problems,
}

/// A compiled comparison.
#[derive(Clone, Debug)]
pub struct CompiledFact {
    /// What it comes to.
    pub node: NodeId,
    /// How many tests it makes.
    pub tests: usize,
    /// Why it can't be asked before a set is chosen.
    pub late: Option<String>,
}

impl FactCompiler<'_, '_, '_> {
    /// Compiles one comparison; nothing if there are mistakes, which are reported.
    pub fn compile(&mut self, draft: &FactDraft<'_>) -> Option<CompiledFact> {
        let subject = self.subject(draft)?;
        let late = (!subject.is_known_early()).then(|| format!("{} is not known yet", subject.name));
        let late = late.or_else(|| method_not_known_yet(&subject, &draft.value));
        let id = self.arena.subject(subject.clone());
        let nodes = self.value(&subject, id, &draft.value)?;
        let tests = nodes.len();
        let node = match <[NodeId; 1]>::try_from(nodes) {
            Ok([only]) => only,
            Err(nodes) => self.arena.node(Node::All(nodes.into())),
        };
        Some(CompiledFact { node, tests, late })
    }

    fn subject(&mut self, draft: &FactDraft<'_>) -> Option<Subject> {
        if draft.family == "radius" {
            return self.attribute(draft);
        }
        let name = format!("{}.{}", draft.family, draft.name);
        if let Some(row) = catalogue::find(&name) {
            return Some(Subject::of_row(row));
        }
        let all = catalogue::ROWS.iter().map(|row| row.name);
        let nearest = self.problems.suggest(&name, all.clone().filter(|known| known.starts_with(draft.family)));
        let nearest = if nearest.is_empty() { self.problems.suggest(&name, all.clone()) } else { nearest };
        let advice = if nearest.is_empty() {
            let family = format!("{}.", draft.family);
            let known: Vec<&str> = all.filter_map(|known| known.strip_prefix(&family)).collect();
            format!("; of this family there are: {}", known.join(", "))
        } else {
            nearest
        };
        draft.value.error_at_key(self.problems, "unknown-fact", format!("unknown fact \"{name}\"{advice}"));
        None
    }

    fn attribute(&mut self, draft: &FactDraft<'_>) -> Option<Subject> {
        let name = draft.name.as_str();
        let found = self.dictionary.resolve(name);
        if name != draft.value.key() {
            // Only the last part of an unquoted name is the key of the value.
            let known = if found.is_some() { "" } else { " (but the dictionary has no such attribute)" };
            let message = format!("a name with dots needs quotes; write radius.\"{name}\"{known}");
            self.problems.error("unquoted-name", Some(draft.place.clone()), message);
            return None;
        }
        if let Some(attribute) = found {
            if attribute.is_on_the_wire() {
                return Some(Subject::of_attribute(attribute));
            }
            let message = format!("{name} never stands in a packet; FreeRADIUS uses it inside only");
            draft.value.error_at_key(self.problems, "internal-attribute", message);
            return None;
        }
        if let Some((name, tag)) = name.rsplit_once(':')
            && let Some(attribute) = self.dictionary.resolve(name)
        {
            return self.tagged(attribute, tag, &draft.value);
        }
        let nearest = if self.problems.may_suggest() { self.dictionary.nearest(name) } else { None };
        let advice = match nearest {
            Some(nearest) if nearest.contains(['.', ':']) => format!("; did you mean \"{nearest}\" (with quotes)?"),
            Some(nearest) => format!("; did you mean \"{nearest}\"?"),
            None => "; add it to dictionaries/, or write its number: \"Attr-26.9.1\"".to_owned(),
        };
        draft.value.error_at_key(self.problems, "unknown-attribute", format!("unknown attribute \"{name}\"{advice}"));
        None
    }

    /// `radius."Tunnel-Private-Group-Id:1"`: the values with that tag.
    fn tagged(&mut self, attribute: Attribute, tag: &str, value: &Value<'_>) -> Option<Subject> {
        let message = match tag.parse().ok().and_then(Tag::new) {
            Some(tag) if attribute.flags().tagged && attribute.is_on_the_wire() => {
                return Some(Subject::of_tagged_attribute(attribute, tag));
            }
            Some(_) => format!("{} has no tag; write its name without the colon", attribute.name()),
            None => format!("\"{tag}\" is no tag; write a number from 1 to 31 behind the colon, or 0 for none"),
        };
        value.error_at_key(self.problems, "bad-tag", message);
        None
    }

    /// Literal, list or table of operators.
    fn value(&mut self, subject: &Subject, id: SubjectId, value: &Value<'_>) -> Option<Vec<NodeId>> {
        if value.kind() == document::Kind::Table {
            return self.operators(subject, id, value);
        }
        let written = self.equal(subject, value)?;
        Some(vec![self.passes(subject, id, vec![written])])
    }

    fn equal(&mut self, subject: &Subject, value: &Value<'_>) -> Option<Written> {
        let mut values =
            if value.kind() == document::Kind::Array { value.array(self.problems) } else { vec![value.clone()] };
        if values.is_empty() {
            value.error(self.problems, "empty-list", format!("the list is empty, so {} is never in it", subject.name));
            return None;
        }
        if let Some(inner) =
            values.iter().find(|value| matches!(value.kind(), document::Kind::Table | document::Kind::Array))
        {
            let message = "a list holds plain values; for operators write any = [ { … }, { … } ]";
            inner.error(self.problems, "wrong-literal", message);
            return None;
        }
        if subject.fact() == Some(Fact::SessionMethod) && values.iter().any(|value| value.plain_text() == Some("eap")) {
            values.retain(|value| value.plain_text() != Some("eap"));
            let mut written = membership::words(subject, &values, self.problems)?;
            written.extend([Method::Eap, Method::EapTls, Method::EapMd5].map(|method| method as i128));
            return Some(membership::numbers(written, value.as_written()));
        }
        membership::equal(subject, &values, self.problems)
    }

    fn operators(&mut self, subject: &Subject, id: SubjectId, value: &Value<'_>) -> Option<Vec<NodeId>> {
        let entries = value.table(self.problems)?.entries();
        if entries.is_empty() {
            let message = format!("nothing is asked about {}; write a value, or {{ present = true }}", subject.name);
            value.error(self.problems, "empty-condition", message);
            return None;
        }
        let mut nodes = Vec::new();
        let mut positive = Vec::new();
        let mut complete = true;
        for entry in &entries {
            let outcome = self.operator(subject, id, entry);
            match outcome {
                Some(Outcome::Positive(written)) => positive.push(written),
                Some(Outcome::Node(node)) => nodes.push(node),
                None => complete = false,
            }
        }
        if !complete {
            return None;
        }
        if never_true(&positive) {
            let message = format!(
                "{} can't be all of this at once, so the condition never holds{}",
                subject.name,
                night(subject)
            );
            value.warning(self.problems, "never-true", message);
        }
        if !positive.is_empty() {
            // The same value must pass all of them.
            nodes.insert(0, self.passes(subject, id, positive));
        }
        Some(nodes)
    }

    fn operator(&mut self, subject: &Subject, id: SubjectId, entry: &Value<'_>) -> Option<Outcome> {
        let operator = self.find_operator(subject, entry)?;
        let several = || {
            if entry.kind() == document::Kind::Array { entry.array(&mut Problems::new()) } else { vec![entry.clone()] }
        };
        if entry.kind() == document::Kind::Array && several().is_empty() {
            entry.error(
                self.problems,
                "empty-list",
                format!("\"{}\" has an empty list; add values or remove it", entry.key()),
            );
            return None;
        }
        let written = match operator {
            Operator::Present => {
                let present = entry.boolean(self.problems)?;
                let text = format!("{} present", subject.name);
                let predicate = self.arena.predicate(id, Question::Present, text);
                let node = self.arena.node(Node::Test(predicate));
                return Some(Outcome::Node(if present { node } else { self.arena.node(Node::Not(node)) }));
            }
            Operator::Not => return self.negated(subject, id, entry),
            Operator::In | Operator::NotIn if entry.kind() != document::Kind::Array => {
                self.refuse_single(entry);
                return None;
            }
            Operator::NotIn => return self.negated(subject, id, entry),
            Operator::In => self.equal(subject, entry),
            Operator::InList => self.in_list(subject, &several()),
            Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
                text::part(operator, subject, &several(), self.problems)
            }
            Operator::Matches => text::matches(subject, &several(), self.problems),
            Operator::Network => membership::network(subject, &several(), self.problems),
            Operator::Mac => membership::mac(subject, &several(), self.problems),
            Operator::AtLeast | Operator::AtMost | Operator::Above | Operator::Below | Operator::Within => {
                order::order(operator, subject, entry, self.problems)
            }
        };
        written.map(Outcome::Positive)
    }

    fn find_operator(&mut self, subject: &Subject, entry: &Value<'_>) -> Option<Operator> {
        let key = entry.key();
        let Some(operator) = Operator::parse(key) else {
            let nearest = self.problems.suggest(key, row::ROWS.iter().map(|row| row.name));
            let fitting: Vec<&str> = Operator::fitting(subject.kind).collect();
            let advice = match synonym(key) {
                Some(right) => format!("; write {right}"),
                None if nearest.is_empty() => format!("; {} takes: {}", subject.name, fitting.join(", ")),
                None => nearest,
            };
            entry.error_at_key(self.problems, "unknown-operator", format!("unknown operator \"{key}\"{advice}"));
            return None;
        };
        if !operator.fits(subject.kind) {
            let fitting: Vec<&str> = Operator::fitting(subject.kind).collect();
            let message = format!(
                "{} is {}, and \"{key}\" makes no sense there; it takes: {}",
                subject.name,
                subject.kind.name(),
                fitting.join(", ")
            );
            entry.error_at_key(self.problems, "wrong-operator", message);
            return None;
        }
        Some(operator)
    }

    fn negated(&mut self, subject: &Subject, id: SubjectId, entry: &Value<'_>) -> Option<Outcome> {
        let nodes = self.value(subject, id, entry)?;
        let inner = match <[NodeId; 1]>::try_from(nodes) {
            Ok([only]) => only,
            Err(nodes) => self.arena.node(Node::All(nodes.into())),
        };
        Some(Outcome::Node(self.arena.node(Node::Not(inner))))
    }

    fn refuse_single(&mut self, entry: &Value<'_>) {
        let key = entry.key();
        let advice = match entry.plain_text().filter(|text| self.lists.is_known(text)) {
            Some(list) if key == "in" => format!("; for the list of that name write in-list = \"{list}\""),
            Some(list) => format!("; for the list of that name write not = {{ in-list = \"{list}\" }}"),
            None => format!("; write {key} = [ … ]"),
        };
        entry.error(self.problems, "wrong-literal", format!("\"{key}\" takes a list of values{advice}"));
    }

    fn in_list(&mut self, subject: &Subject, names: &[Value<'_>]) -> Option<Written> {
        let mut lists = Vec::new();
        for name in names {
            lists.push(self.lists.members(name, subject, self.problems));
        }
        let lists: Vec<_> = lists.into_iter().collect::<Option<_>>()?;
        let texts: Vec<String> = names.iter().filter_map(Value::plain_text).map(|name| format!("{name:?}")).collect();
        let text = match texts.as_slice() {
            [only] => format!("in-list {only}"),
            _ => format!("in-list [{}]", texts.join(", ")),
        };
        let test = match <[_; 1]>::try_from(lists) {
            Ok([only]) => Test::Member(only),
            Err(lists) => Test::MemberOfAny(lists.into()),
        };
        Some(Written { test, text })
    }

    fn passes(&mut self, subject: &Subject, id: SubjectId, written: Vec<Written>) -> NodeId {
        let (tests, texts): (Vec<Test>, Vec<String>) =
            written.into_iter().map(|written| (written.test, written.text)).unzip();
        let text = format!("{} {}", subject.name, texts.join(" and "));
        let predicate = self.arena.predicate(id, Question::Passes(tests.into()), text);
        self.arena.node(Node::Test(predicate))
    }
}

/// What an operator comes to.
enum Outcome {
    /// A test that one value must pass together with the other positive ones.
    Positive(Written),
    /// Something that all values decide.
    Node(NodeId),
}

/// A set is chosen with the first packet of an EAP conversation, before the method is agreed.
fn method_not_known_yet(subject: &Subject, value: &Value<'_>) -> Option<String> {
    let asks = subject.fact() == Some(Fact::SessionMethod) && value.as_written().contains("eap-");
    asks.then(|| "of EAP, the method is not agreed yet, so write session.method = \"eap\"".to_owned())
}

fn synonym(key: &str) -> Option<&'static str> {
    Some(match key {
        "eq" | "is" | "equals" | "equal" | "==" | "=" => "the value without an operator",
        "ne" | "neq" | "not-equals" | "not-equal" | "!=" => "not",
        "ge" | "gte" | ">=" | "min" => "at-least",
        "le" | "lte" | "<=" | "max" => "at-most",
        "gt" | ">" | "greater-than" => "above",
        "lt" | "<" | "less-than" => "below",
        "regex" | "regexp" | "=~" | "like" | "match" => "matches",
        "prefix" | "begins-with" => "starts-with",
        "suffix" => "ends-with",
        "list" => "in-list",
        "exists" => "present",
        "subnet" | "cidr" => "network",
        "younger-than" | "since" | "newer-than" => "within",
        _ => return None,
    })
}

/// Whether ranges exclude each other.
fn never_true(written: &[Written]) -> bool {
    let mut spans = written.iter().filter_map(|written| match &written.test {
        Test::Spans(spans) => <[(i128, i128); 1]>::try_from(&**spans).ok(),
        _ => None,
    });
    let Some([first]) = spans.next() else { return false };
    let (from, to) = spans.fold(first, |(from, to), [other]| (from.max(other.0), to.min(other.1)));
    from > to
}

fn night(subject: &Subject) -> &'static str {
    if subject.kind == Kind::Hour {
        "; over midnight write any = [ { time.hour = { at-least = 22 } }, { time.hour = { below = 6 } } ]"
    } else {
        "; exchange the ends"
    }
}
