//! Judges compiled conditions by the facts of one request.
//!
//! Owns absent and repeated facts, and the memory of what was judged already. It allocates nothing: outcomes of tests
//! that several rules make are kept in a bitmap on the stack, so that each of them is made at most once for a request.

use std::cell::Cell;

use super::{
    arena::{Arena, Node, NodeId, Predicate, PredicateId, Question},
    facts::Facts,
    operator::test::Test,
    reading::{LocalTime, Reading},
    truth::Truth,
};

/// The judgement of one request.
#[derive(Debug)]
pub struct Evaluation<'e, 'a> {
    arena: &'e Arena,
    facts: &'e Facts<'a>,
    memory: Memory,
    local_time: Cell<Option<LocalTime>>,
}

impl<'e, 'a> Evaluation<'e, 'a> {
    /// Nothing is judged yet.
    #[must_use]
    pub fn new(arena: &'e Arena, facts: &'e Facts<'a>) -> Self {
        Self { arena, facts, memory: Memory::new(), local_time: Cell::new(None) }
    }

    /// The conditions that are judged.
    #[must_use]
    pub const fn arena(&self) -> &'e Arena {
        self.arena
    }

    /// The facts that are judged by.
    #[must_use]
    pub const fn facts(&self) -> &'e Facts<'a> {
        self.facts
    }

    /// What a condition comes to. Conditions are nested at most as deep as `limits` says, so this may recur.
    #[must_use]
    pub fn truth(&self, node: NodeId) -> Truth {
        match self.arena.node(node) {
            Node::Constant(value) => Truth::of(*value),
            Node::Test(predicate) => self.predicate(*predicate),
            Node::Not(inner) => self.truth(*inner).negated(),
            Node::All(parts) => self.join(parts, Truth::False),
            Node::Any(parts) => self.join(parts, Truth::True),
        }
    }

    /// `all` ends at the first false, `any` at the first true; otherwise one undefined part makes the whole undefined.
    fn join(&self, parts: &[NodeId], decisive: Truth) -> Truth {
        let mut joined = decisive.negated();
        for part in parts {
            let truth = self.truth(*part);
            if truth == decisive {
                return decisive;
            }
            if truth == Truth::Undefined {
                joined = Truth::Undefined;
            }
        }
        joined
    }

    /// What one comparison comes to.
    #[must_use]
    pub fn predicate(&self, id: PredicateId) -> Truth {
        let predicate = self.arena.predicate(id);
        let Some(slot) = predicate.slot else { return self.judge(predicate) };
        if let Some(known) = self.memory.recall(slot) {
            return known;
        }
        let truth = self.judge(predicate);
        self.memory.keep(slot, truth);
        truth
    }

    fn judge(&self, predicate: &Predicate) -> Truth {
        let subject = self.arena.subject(predicate.subject);
        match &predicate.question {
            Question::Present => Truth::of(subject.each_value(self.facts, || self.local_time(), &mut |_| true)),
            Question::Passes(tests) => {
                let mut passed = false;
                let mut understood = false;
                let there = subject.each_value(self.facts, || self.local_time(), &mut |reading| {
                    let outcome = passes_all(tests, reading);
                    understood |= outcome.is_some();
                    passed = outcome == Some(true);
                    passed
                });
                // A value that is no version, or no MAC address, tells as much as no value.
                if there && understood { Truth::of(passed) } else { subject.absent() }
            }
        }
    }

    /// The wall clock in the server's zone, converted at most once for a request.
    #[must_use]
    pub fn local_time(&self) -> LocalTime {
        let known = self.local_time.get().unwrap_or_else(|| LocalTime::of(self.facts));
        self.local_time.set(Some(known));
        known
    }
}

/// Whether a value passes all tests; `None` if one of them can't understand it.
fn passes_all(tests: &[Test], reading: Reading<'_>) -> Option<bool> {
    let mut passed = true;
    for test in tests {
        passed &= test.passes(reading)?;
    }
    Some(passed)
}

/// Two bits for each slot: 0 is not judged yet.
#[derive(Debug)]
struct Memory([Cell<u64>; Self::WORDS]);

impl Memory {
    const PER_WORD: u16 = 32;
    const WORDS: usize = Arena::SLOTS / Self::PER_WORD as usize;

    const fn new() -> Self {
        Self([const { Cell::new(0) }; Self::WORDS])
    }

    fn recall(&self, slot: u16) -> Option<Truth> {
        let (word, shift) = Self::place(slot);
        match self.0.get(word)?.get() >> shift & 3 {
            1 => Some(Truth::True),
            2 => Some(Truth::False),
            3 => Some(Truth::Undefined),
            _ => None,
        }
    }

    fn keep(&self, slot: u16, truth: Truth) {
        let (word, shift) = Self::place(slot);
        let bits = match truth {
            Truth::True => 1,
            Truth::False => 2,
            Truth::Undefined => 3,
        };
        if let Some(word) = self.0.get(word) {
            word.set(word.get() | bits << shift);
        }
    }

    fn place(slot: u16) -> (usize, u32) {
        (usize::from(slot / Self::PER_WORD), u32::from(slot % Self::PER_WORD) * 2)
    }
}
