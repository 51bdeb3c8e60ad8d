//! Compiled conditions: nodes that share their tests.
//!
//! Owns the storage. A test that several rules make is stored once, so that one request evaluates it at most once.

use std::collections::HashMap;

use super::{operator::test::Test, subject::Subject};

/// The place of a [`Node`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

/// The place of a [`Predicate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PredicateId(u32);

/// The place of a [`Subject`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectId(pub u32);

/// A part of a condition.
#[derive(Clone, Debug)]
pub enum Node {
    /// Always or never.
    Constant(bool),
    /// One fact is compared.
    Test(PredicateId),
    /// The opposite.
    Not(NodeId),
    /// All of them.
    All(Box<[NodeId]>),
    /// One of them.
    Any(Box<[NodeId]>),
}

/// One comparison of one fact.
#[derive(Clone, Debug)]
pub struct Predicate {
    /// What is compared.
    pub subject: SubjectId,
    /// With what.
    pub question: Question,
    /// As a policy would write it; long lists are cut.
    pub text: Box<str>,
    /// Where the outcome is kept while a request is judged; only for tests that are made more than once.
    pub slot: Option<u16>,
}

/// What a comparison asks.
#[derive(Clone, Debug)]
pub enum Question {
    /// Whether there is a value.
    Present,
    /// Whether one value passes all tests.
    Passes(Box<[Test]>),
}

/// All nodes, predicates and subjects of a policy.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    nodes: Vec<Node>,
    predicates: Vec<Predicate>,
    subjects: Vec<Subject>,
}

impl Arena {
    /// Outcomes that are kept during one request. Tests beyond are made as often as they are asked.
    pub const SLOTS: usize = 2_048;

    /// The node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0 as usize).unwrap_or(&Node::Constant(false))
    }

    /// The predicate.
    ///
    /// # Panics
    /// Never: ids are given only by the builder of this arena.
    #[must_use]
    pub fn predicate(&self, id: PredicateId) -> &Predicate {
        self.predicates.get(id.0 as usize).expect("ids come from the builder of this arena")
    }

    /// The subject.
    ///
    /// # Panics
    /// Never: ids are given only by the builder of this arena.
    #[must_use]
    pub fn subject(&self, id: SubjectId) -> &Subject {
        self.subjects.get(id.0 as usize).expect("ids come from the builder of this arena")
    }

    /// The subject of that number, if there is one.
    #[must_use]
    pub fn find_subject(&self, id: SubjectId) -> Option<&Subject> {
        self.subjects.get(id.0 as usize)
    }

    /// All subjects.
    #[must_use]
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// All predicates below a node, each as often as it stands there.
    pub fn visit_predicates(&self, id: NodeId, visit: &mut dyn FnMut(PredicateId)) {
        match self.node(id) {
            Node::Constant(_) => {}
            Node::Test(predicate) => visit(*predicate),
            Node::Not(inner) => self.visit_predicates(*inner, visit),
            Node::All(inner) | Node::Any(inner) => inner.iter().for_each(|inner| self.visit_predicates(*inner, visit)),
        }
    }
}

/// An [`Arena`] in the making.
#[derive(Debug, Default)]
pub struct ArenaBuilder {
    arena: Arena,
    /// Bound: what the files hold.
    subject_ids: HashMap<Box<str>, SubjectId>,
    /// Bound: what the files hold.
    predicate_ids: HashMap<String, PredicateId>,
    uses: Vec<u32>,
}

impl ArenaBuilder {
    /// What was built so far.
    #[must_use]
    pub const fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Adds a node.
    pub fn node(&mut self, node: Node) -> NodeId {
        self.arena.nodes.push(node);
        NodeId(place(self.arena.nodes.len()))
    }

    /// Adds a subject, or finds the one of that name.
    pub fn subject(&mut self, subject: Subject) -> SubjectId {
        if let Some(known) = self.subject_ids.get(&subject.name) {
            return *known;
        }
        let name = subject.name.clone();
        self.arena.subjects.push(subject);
        let id = SubjectId(place(self.arena.subjects.len()));
        self.subject_ids.insert(name, id);
        id
    }

    /// Adds a predicate, or finds the one that says the same. `text`: the whole comparison, which tells it from all
    /// others.
    pub fn predicate(&mut self, subject: SubjectId, question: Question, text: String) -> PredicateId {
        if let Some(known) = self.predicate_ids.get(&text).copied() {
            self.count_use(known);
            return known;
        }
        let shown = shortened(&text).into();
        self.arena.predicates.push(Predicate { subject, question, text: shown, slot: None });
        self.uses.push(1);
        let id = PredicateId(place(self.arena.predicates.len()));
        self.predicate_ids.insert(text, id);
        id
    }

    /// Counts the tests of a named condition once more, because another rule uses it.
    pub fn count_uses(&mut self, node: NodeId) {
        let mut below = Vec::new();
        self.arena.visit_predicates(node, &mut |predicate| below.push(predicate));
        below.into_iter().for_each(|predicate| self.count_use(predicate));
    }

    fn count_use(&mut self, predicate: PredicateId) {
        if let Some(uses) = self.uses.get_mut(predicate.0 as usize) {
            *uses += 1;
        }
    }

    /// The finished arena: the tests that are made most often get the slots.
    #[must_use]
    pub fn finish(mut self) -> Arena {
        let mut shared: Vec<(u32, usize)> =
            self.uses.iter().enumerate().filter(|(_, uses)| **uses > 1).map(|(at, uses)| (*uses, at)).collect();
        shared.sort_by_key(|(uses, at)| (std::cmp::Reverse(*uses), *at));
        for (slot, (_, at)) in (0u16..).zip(shared.into_iter().take(Arena::SLOTS)) {
            if let Some(predicate) = self.arena.predicates.get_mut(at) {
                predicate.slot = Some(slot);
            }
        }
        self.arena
    }
}

/// The index of the last of `count` things.
fn place(count: usize) -> u32 {
    // Four thousand million tests don't fit into the files that are allowed.
    u32::try_from(count).unwrap_or(u32::MAX).saturating_sub(1)
}

/// A comparison as it is shown: people read the first few of a thousand values.
fn shortened(text: &str) -> String {
    const OCTETS_MAX: usize = 160;
    if text.len() <= OCTETS_MAX {
        return text.to_owned();
    }
    let end = (0..=OCTETS_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}
