//! Conditions with their nesting and the conditions that they name.
//!
//! Owns named conditions: each is compiled once, loops are found, and what they add up to is bounded.

use std::{collections::HashMap, rc::Rc};

use super::{
    super::{
        arena::{Node, NodeId},
        draft::Condition,
    },
    fact::FactCompiler,
    name::Names,
};
use crate::{
    document::Value,
    limits,
    problem::{Place, Problems},
};

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What it comes to.
    pub node: NodeId,
    /// How many tests it makes at most, named conditions counted each time.
    pub tests: usize,
    /// How deep it is nested, named conditions included.
    pub depth: usize,
    /// Facts in it that are not known before a set is chosen: where they stand, and why.
    pub late: Vec<(Place, String)>,
}

/// All `[condition.NAME]`.
pub struct Conditions<'t> {
    drafts: Names<Option<Rc<Condition<'t>>>>,
    compiled: HashMap<Box<str>, State>,
}

#[derive(Clone)]
enum State {
    /// Being compiled: to meet it again is a loop.
    Open,
    /// Compiled; nothing if it had mistakes, which were reported.
    Done(Option<Compiled>),
}

impl<'t> Conditions<'t> {
    /// The conditions of all files.
    #[must_use]
    pub fn new(drafts: Names<Option<Rc<Condition<'t>>>>) -> Self {
        Self { drafts, compiled: HashMap::new() }
    }

    /// Compiles those that nobody has used, so that their mistakes are told too; gives their names and places.
    pub fn compile_rest(&mut self, facts: &mut FactCompiler<'_, '_, '_>) -> Vec<(String, Place)> {
        let unused: Vec<(String, Place)> = self
            .drafts
            .iter()
            .filter(|(name, _, draft)| draft.is_some() && !self.compiled.contains_key(*name))
            .map(|(name, place, _)| (name.to_owned(), place.clone()))
            .collect();
        for (name, place) in &unused {
            self.named(name, place, facts);
        }
        unused
    }

    /// Compiles a `when`; nothing if there are mistakes, which are reported.
    pub fn compile(&mut self, condition: &Condition<'_>, facts: &mut FactCompiler<'_, '_, '_>) -> Option<Compiled> {
        match condition {
            Condition::All(parts) => self.several(parts, Node::All, facts),
            Condition::Any(parts) => self.several(parts, Node::Any, facts),
            Condition::Not(inner) => {
                let inner = self.compile(inner, facts)?;
                let node = facts.arena.node(Node::Not(inner.node));
                Some(Compiled { node, depth: inner.depth + 1, ..inner })
            }
            Condition::Named(name) => self.by_name(name, facts),
            Condition::Broken => None,
            Condition::Fact(draft) => {
                let fact = facts.compile(draft)?;
                let late = fact.late.map(|why| (draft.value.key_place(), why)).into_iter().collect();
                Some(Compiled { node: fact.node, tests: fact.tests, depth: 1, late })
            }
        }
    }

    fn several(
        &mut self,
        parts: &[Condition<'_>],
        join: impl FnOnce(Box<[NodeId]>) -> Node,
        facts: &mut FactCompiler<'_, '_, '_>,
    ) -> Option<Compiled> {
        let compiled: Vec<Compiled> = parts.iter().filter_map(|part| self.compile(part, facts)).collect();
        if compiled.len() < parts.len() {
            return None;
        }
        let nodes: Box<[NodeId]> = compiled.iter().map(|part| part.node).collect();
        let tests = compiled.iter().map(|part| part.tests).sum();
        let depth = compiled.iter().map(|part| part.depth).max().unwrap_or(0) + 1;
        let late = compiled.into_iter().flat_map(|part| part.late).collect();
        Some(Compiled { node: facts.arena.node(join(nodes)), tests, depth, late })
    }

    fn by_name(&mut self, value: &Value<'_>, facts: &mut FactCompiler<'_, '_, '_>) -> Option<Compiled> {
        let name = value.plain_text()?;
        let compiled = self.named(name, &value.place(), facts)?;
        facts.arena.count_uses(compiled.node);
        Some(Compiled { depth: compiled.depth + 1, ..compiled })
    }

    fn named(&mut self, name: &str, place: &Place, facts: &mut FactCompiler<'_, '_, '_>) -> Option<Compiled> {
        match self.compiled.get(name) {
            Some(State::Done(compiled)) => return compiled.clone(),
            Some(State::Open) => {
                let message = format!("the condition \"{name}\" leads back to itself; take it out of one of them");
                facts.problems.error("condition-loop", Some(place.clone()), message);
                return None;
            }
            None => {}
        }
        let Some(draft) = self.drafts.find(name).cloned() else {
            let message = self.drafts.unknown(name, &[], facts.problems);
            facts.problems.error("unknown-condition", Some(place.clone()), message);
            return None;
        };
        self.compiled.insert(name.into(), State::Open);
        let compiled = draft.and_then(|draft| self.compile(&draft, facts));
        let compiled = compiled.filter(|compiled| is_within_bounds(compiled, place, facts.problems));
        self.compiled.insert(name.into(), State::Done(compiled.clone()));
        compiled
    }
}

/// Whether a condition is small enough; if not, it is reported.
pub fn is_within_bounds(compiled: &Compiled, place: &Place, problems: &mut Problems) -> bool {
    if compiled.tests > limits::CONDITION_TESTS_MAX {
        let message = format!(
            "the condition makes {} tests, named conditions counted each time; more than {} are too many, use lists",
            compiled.tests,
            limits::CONDITION_TESTS_MAX
        );
        problems.error("condition-too-large", Some(place.clone()), message);
        return false;
    }
    if compiled.depth > 2 * limits::CONDITION_DEPTH_MAX {
        let message = "conditions that name conditions are nested too deep here; name the innermost ones directly";
        problems.error("condition-too-deep", Some(place.clone()), message);
        return false;
    }
    true
}
