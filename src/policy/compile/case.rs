//! `[[case]]` blocks: the request becomes octets, facts become values, expectations are looked up.
//!
//! Owns the reading only; `policy::case` runs them.

use super::super::{
    case::{Case, Expect, ExpectedAttribute, Moment},
    decision::Reason,
    draft::{CaseDraft, ExpectDraft},
    facts_file,
    given::GivenFacts,
    reply_plan::SummaryVlan,
    rule::{Rule, Set},
    sample,
};
use super::plan::Client;
use crate::{
    dictionary::{Attribute, Dictionary, list::Pair},
    document::{Kind, Value},
    problem::Problems,
    radius::tag::Tag,
};

/// What cases are read with.
pub struct CaseCompiler<'c> {
    /// The names of attributes.
    pub dictionary: &'c Dictionary,
    /// The sets that may be expected.
    pub sets: &'c [Set],
    /// The rules that may be expected.
    pub rules: &'c [Rule],
    /// The names of all profiles that rules name.
    pub profiles: &'c [Box<str>],
    /// The clients of the configuration, one of which the case is about.
    pub clients: &'c [Client<'c>],
    /// The names of rules and sets that are disabled.
    pub disabled: &'c [&'c str],
    /// Where mistakes go.
    pub problems: &'c mut Problems,
}

impl CaseCompiler<'_> {
    /// Reads one case; nothing if there are mistakes, which are reported.
    pub fn compile(&mut self, draft: &CaseDraft<'_>) -> Option<Case> {
        let request = self.request(draft);
        let given = self.given(draft);
        let moment = draft.now.as_ref().map_or(Some(Moment::default()), |now| self.moment(now));
        let expect = self.expect(&draft.expect);
        Some(Case {
            name: draft.name.into(),
            place: draft.place.clone(),
            request: request?,
            given: given?,
            moment: moment?,
            expect: expect?,
        })
    }

    fn request(&mut self, draft: &CaseDraft<'_>) -> Option<Box<[u8]>> {
        let mut pairs = Vec::new();
        let mut complete = true;
        for value in &draft.request {
            match self.attribute(value) {
                Some((attribute, tag, contents)) => {
                    let more = contents.into_iter().map(|content| Pair { attribute: attribute.clone(), tag, content });
                    pairs.extend(more);
                }
                None => complete = false,
            }
        }
        if !complete {
            return None;
        }
        match sample::datagram(&pairs) {
            Ok(octets) if crate::radius::packet::Packet::parse(&octets).is_ok() => Some(octets.into()),
            _ => {
                let message = "these attributes don't make a packet; there are too many, or one is empty";
                self.problems.error("bad-request", Some(draft.place.clone()), message);
                None
            }
        }
    }

    /// An attribute with its tag and its values as they stand in a packet.
    fn attribute(&mut self, value: &Value<'_>) -> Option<(Attribute, Option<Tag>, Vec<Vec<u8>>)> {
        let (attribute, tag) = self.name(value)?;
        let values = if value.kind() == Kind::Array { value.array(self.problems) } else { vec![value.clone()] };
        let mut contents = Vec::new();
        for value in &values {
            let Some(text) = facts_file::scalar(value) else {
                let message = format!("a value of {} is a text, a number, true or false", attribute.name());
                value.error(self.problems, "wrong-literal", message);
                return None;
            };
            match attribute.encode(tag, &text) {
                Ok(content) => contents.push(content),
                Err(error) => value.error(self.problems, "bad-value", error.message(&attribute, &text)),
            }
        }
        (contents.len() == values.len()).then_some((attribute, tag, contents))
    }

    fn name(&mut self, value: &Value<'_>) -> Option<(Attribute, Option<Tag>)> {
        let name = value.key();
        if let Some(attribute) = self.dictionary.resolve(name) {
            return Some((attribute, None));
        }
        let tagged = name.rsplit_once(':').and_then(|(name, tag)| Some((name, Tag::new(tag.parse().ok()?)?)));
        if let Some((name, tag)) = tagged
            && let Some(attribute) = self.dictionary.resolve(name)
        {
            return Some((attribute, Some(tag)));
        }
        let nearest = if self.problems.may_suggest() { self.dictionary.nearest(name) } else { None };
        let advice = match nearest {
            Some(nearest) => format!("; did you mean \"{nearest}\"?"),
            None => "; add it to dictionaries/, or write its number: \"Attr-26.9.1\"".to_owned(),
        };
        value.error_at_key(self.problems, "unknown-attribute", format!("unknown attribute \"{name}\"{advice}"));
        None
    }

    fn given(&mut self, draft: &CaseDraft<'_>) -> Option<GivenFacts> {
        let mut given = GivenFacts::new();
        let mut complete = true;
        for (family, value) in &draft.given {
            complete &= facts_file::give(&mut given, family, value, self.problems);
        }
        if let Some(message) = given.contradiction().filter(|_| complete) {
            self.problems.error("contradiction", Some(draft.place.clone()), message);
            return None;
        }
        self.give_client(&mut given);
        complete.then_some(given)
    }

    /// What the configuration says of the client where the case does not: of the one that it names, else the vendor that
    /// all of them have.
    fn give_client(&self, given: &mut GivenFacts) {
        let named = given.client().and_then(|name| self.clients.iter().find(|client| client.name == name));
        if let Some(client) = named.filter(|_| !given.has("client.group")) {
            for group in client.groups {
                let _ = given.give("client.group", group);
            }
        }
        let mut vendors = self.clients.iter().map(|client| client.vendor);
        let shared = vendors.next().filter(|first| vendors.all(|vendor| vendor == *first));
        if let Some(vendor) = named.map(|client| client.vendor).or(shared).filter(|_| !given.has("client.vendor")) {
            let _ = given.give("client.vendor", vendor);
        }
    }

    fn moment(&mut self, value: &Value<'_>) -> Option<Moment> {
        let text = value.plain_text().unwrap_or_else(|| value.as_written());
        if let Ok(timestamp) = text.parse() {
            return Some(Moment::Absolute(timestamp));
        }
        if let Ok(local) = text.parse() {
            return Some(Moment::Local(local));
        }
        let message = format!(
            "{text:?} is no time; write \"2026-12-24T08:00\" for the server's zone, or add an offset: \"…+01:00\""
        );
        value.error(self.problems, "bad-time", message);
        None
    }

    fn expect(&mut self, draft: &ExpectDraft<'_>) -> Option<Expect> {
        let errors = self.problems.error_count();
        let sets: Vec<&str> = self.sets.iter().map(|set| &*set.name).collect();
        let rules: Vec<&str> = self.rules.iter().map(|rule| &*rule.name).collect();
        let profiles: Vec<&str> = self.profiles.iter().map(|name| &**name).chain(["permit", "deny"]).collect();
        let mut attributes = Vec::new();
        for value in &draft.attributes {
            attributes.extend(self.expected(value));
        }
        let reply = draft.reply.as_ref();
        let reply = reply.map(|values| values.iter().filter_map(|value| self.expected(value)).collect());
        let expect = Expect {
            set: draft.set.as_ref().and_then(|value| self.known(value, "policy set", &sets)),
            rule: draft.rule.as_ref().and_then(|value| self.known(value, "rule", &rules)),
            reason: draft.reason.as_ref().and_then(|value| self.reason(value)),
            access: draft.access,
            profiles: draft.profiles.as_ref().map(|names| self.all_known(names, "profile", &profiles)),
            monitored: draft.monitored.as_ref().map(|names| self.all_known(names, "rule", &rules)),
            vlan: draft.vlan.as_ref().and_then(|value| self.vlan(value)),
            acl: draft.acl.as_ref().map(|names| names.iter().filter_map(Value::plain_text).map(Box::from).collect()),
            session_timeout: draft.session_timeout,
            attributes,
            reply,
        };
        (self.problems.error_count() == errors).then_some(expect)
    }

    fn expected(&mut self, value: &Value<'_>) -> Option<ExpectedAttribute> {
        let (attribute, _, contents) = self.attribute(value)?;
        Some(ExpectedAttribute { attribute, contents })
    }

    fn all_known(&mut self, values: &[Value<'_>], what: &str, known: &[&str]) -> Vec<Box<str>> {
        values.iter().filter_map(|value| self.known(value, what, known)).collect()
    }

    /// A name that is to come out. One that can't come out makes the case fail, and not the policy unusable: whoever
    /// disables a rule in a hurry must not be kept from it by a test.
    fn known(&mut self, value: &Value<'_>, what: &str, known: &[&str]) -> Option<Box<str>> {
        let name = value.plain_text()?;
        if known.contains(&name) {
            return Some(name.into());
        }
        let message = if self.disabled.contains(&name) {
            format!("the {what} \"{name}\" is disabled, so the case fails; enable it, or change the case")
        } else {
            let nearest = self.problems.suggest(name, known.iter().copied());
            let advice = if nearest.is_empty() { "; correct the name".to_owned() } else { nearest };
            format!("there is no {what} \"{name}\", so the case fails{advice}")
        };
        value.warning(self.problems, "unknown-expectation", message);
        Some(name.into())
    }

    fn reason(&mut self, value: &Value<'_>) -> Option<Box<str>> {
        let name = value.plain_text()?;
        let reasons = Reason::ALL.map(Reason::name);
        if reasons.contains(&name) {
            return Some(name.into());
        }
        let nearest = self.problems.suggest(name, reasons);
        let advice = if nearest.is_empty() { format!("; there are: {}", reasons.join(", ")) } else { nearest };
        value.error(self.problems, "unknown-reason", format!("there is no reason \"{name}\"{advice}"));
        None
    }

    fn vlan(&mut self, value: &Value<'_>) -> Option<SummaryVlan> {
        if let Some(id) = value.plain_integer().and_then(|id| u16::try_from(id).ok()) {
            return Some(SummaryVlan::Id(id));
        }
        // A VLAN "20" is the number 20, as in profiles.
        let name = value.text(self.problems)?;
        Some(name.parse().map_or_else(|_| SummaryVlan::Name(name.into()), SummaryVlan::Id))
    }
}
