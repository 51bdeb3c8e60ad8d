//! Rules that let somebody in because device management can't be asked.
//!
//! Owns the question, not the answer: who writes `mdm.reachable = false` has thought about it and is not warned. Who
//! writes that a fact must be absent, or that a lookup did not fail in one way, has probably not.

use super::super::{
    arena::{Arena, Node, NodeId, PredicateId, Question},
    catalogue::{Fact, Family, row},
    facts::Lookup,
    truth::Truth,
};
use super::pattern::{accepts, is_failed_lookup, subject};

/// Whether the condition can be true in an outage, only because of the outage, and does not say so.
#[must_use]
pub(super) fn is_opened(arena: &Arena, condition: NodeId) -> bool {
    let failing = Lookup::ALL.iter().copied().filter(|lookup| lookup.reachable() == Some(false));
    let opened = |lookup| {
        let outage = Outage { arena, lookup, without_absence: false };
        let calm = Outage { arena, lookup, without_absence: true };
        outage.outcomes(condition, false).can_be_true && !calm.outcomes(condition, false).can_be_true
    };
    !says_so(arena, condition) && failing.into_iter().any(opened)
}

/// Whether the condition asks for the outage by name.
fn says_so(arena: &Arena, condition: NodeId) -> bool {
    match arena.node(condition) {
        Node::Test(predicate) => {
            is_failed_lookup(arena, *predicate)
                || subject(arena, *predicate) == Some(Fact::MdmReachable) && accepts(arena, *predicate, 0)
        }
        Node::All(parts) | Node::Any(parts) => parts.iter().any(|part| says_so(arena, *part)),
        Node::Constant(_) | Node::Not(_) => false,
    }
}

/// A world in which the server can't be asked, and nothing was ever heard of the device.
struct Outage<'o> {
    arena: &'o Arena,
    lookup: Lookup,
    /// Whether comparisons that are true because of the outage count as false.
    without_absence: bool,
}

/// What a condition can come to, whatever the facts are that have nothing to do with the outage.
#[derive(Clone, Copy)]
struct Outcomes {
    can_be_true: bool,
    can_be_false: bool,
}

impl Outage<'_> {
    fn outcomes(&self, node: NodeId, negated: bool) -> Outcomes {
        match self.arena.node(node) {
            Node::Constant(value) => only(Truth::of(*value != negated)),
            Node::Test(predicate) => self.comparison(*predicate, negated),
            Node::Not(inner) => self.outcomes(*inner, !negated),
            Node::All(parts) => self.join(parts, negated, !negated),
            Node::Any(parts) => self.join(parts, negated, negated),
        }
    }

    /// `all`: whether all parts must be true for the whole to be.
    fn join(&self, parts: &[NodeId], negated: bool, all: bool) -> Outcomes {
        let mut joined = Outcomes { can_be_true: all, can_be_false: !all };
        for part in parts {
            let part = self.outcomes(*part, negated);
            if all {
                joined.can_be_true &= part.can_be_true;
                joined.can_be_false |= part.can_be_false;
            } else {
                joined.can_be_true |= part.can_be_true;
                joined.can_be_false &= part.can_be_false;
            }
        }
        joined
    }

    fn comparison(&self, id: PredicateId, negated: bool) -> Outcomes {
        let predicate = self.arena.predicate(id);
        let fact = subject(self.arena, id).filter(|fact| row(*fact).family() == Family::Mdm);
        let truth = match (fact, &predicate.question) {
            (None, _) => return Outcomes { can_be_true: true, can_be_false: true },
            (Some(Fact::MdmLookup | Fact::MdmReachable), Question::Present) => Truth::True,
            (Some(Fact::MdmLookup), _) => Truth::of(accepts(self.arena, id, self.lookup as i128)),
            (Some(Fact::MdmReachable), _) => Truth::of(accepts(self.arena, id, 0)),
            (Some(_), Question::Present) => Truth::False,
            (Some(_), Question::Passes(_)) => Truth::Undefined,
        };
        let truth = if negated { truth.negated() } else { truth };
        if truth == Truth::True && self.without_absence {
            return only(Truth::False);
        }
        only(truth)
    }
}

fn only(truth: Truth) -> Outcomes {
    Outcomes { can_be_true: truth == Truth::True, can_be_false: truth == Truth::False }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::policy;
    use super::*;

    fn opened(condition: &str) -> bool {
        let policy = policy(&format!(
            "version = 1\n[policy-set]\nname = \"s\"\n[[rule]]\nname = \"a\"\nwhen = {condition}\nresult = \"permit\"\n"
        ));
        is_opened(policy.arena(), policy.rules()[0].when)
    }

    #[test]
    fn absence_of_an_answer_opens_rules_that_ask_for_it() {
        assert!(opened("{ mdm.compliant = { present = false } }"));
        assert!(opened("{ mdm.lookup = { not = \"not-found\" } }"));
        assert!(opened("{ not = { mdm.lookup = [\"found\", \"not-found\"] } }"));
        assert!(opened(
            "{ client.group = \"lab\", any = [ { mdm.compliant = true }, { mdm.registered = { present = false } } ] }"
        ));
    }

    #[test]
    fn a_rule_that_needs_an_answer_or_names_the_outage_is_not_opened() {
        for condition in [
            "{ mdm.compliant = true }",
            "{ mdm.compliant = { not = false } }",
            "{ not = { mdm.compliant = false } }",
            "{ mdm.reachable = false }",
            "{ mdm.lookup = [\"late\", \"throttled\"] }",
            "{ identity.mac = { mac = \"02-00-5E\" } }",
            "{ any = [ { mdm.compliant = true }, { identity.mac = { mac = \"02-00-5E\" } } ] }",
        ] {
            assert!(!opened(condition), "{condition}");
        }
    }
}
