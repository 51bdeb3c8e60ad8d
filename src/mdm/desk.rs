//! Who is asked about next: questions wait here, are merged by key, and get the tokens of the budget in a fair order.
//!
//! Owns the queue and its shares as plain data on given times. It makes no call and stores no answer.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{
    clock::{Mono, Now},
    device::question::{Failure, Key, Medium, Question},
    limits,
};

use super::budget::Budget;

/// The waiting questions of one server, and its budget.
///
/// Known devices come before strangers at least every second time; among strangers the asking clients take turns, so
/// that one client gets at most half of the strangers' half while others want it. Background work gets what is left, and
/// one token in sixteen when nothing is left.
#[derive(Debug)]
pub struct Desk {
    budget: Budget,
    waiting: HashMap<Key, Waiting>,
    known: VecDeque<Key>,
    strangers: Strangers,
    behind: VecDeque<Key>,
    /// Whether it is the strangers' turn.
    turn_of_strangers: bool,
    /// Inline questions since the last token for the background.
    inline_in_a_row: u32,
    in_flight: [usize; Class::COUNT],
}

/// Which questions come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nobody waits.
    Behind,
    /// Somebody waits, and the identity was never answered before.
    Stranger,
    /// Somebody waits for news of a known device.
    Known,
}

impl Class {
    const COUNT: usize = 3;

    const fn of(question: &Question) -> Self {
        match (question.deadline, question.never_seen) {
            (None, _) => Self::Behind,
            (Some(_), true) => Self::Stranger,
            (Some(_), false) => Self::Known,
        }
    }

    const fn at(self) -> usize {
        match self {
            Self::Behind => 0,
            Self::Stranger => 1,
            Self::Known => 2,
        }
    }

    /// How many of a class may run at a time: hanging calls about strangers leave room for known devices.
    const fn in_flight_max(self) -> usize {
        match self {
            Self::Behind => limits::LOOKUPS_IN_FLIGHT_MAX / 4,
            Self::Stranger => limits::LOOKUPS_IN_FLIGHT_MAX / 2,
            Self::Known => limits::LOOKUPS_IN_FLIGHT_MAX,
        }
    }

    /// How many questions may wait before one of this class is refused.
    const fn queued_max(self) -> usize {
        match self {
            Self::Behind => limits::QUESTIONS_QUEUED_MAX / 4,
            Self::Stranger => limits::QUESTIONS_QUEUED_MAX / 2,
            Self::Known => limits::QUESTIONS_QUEUED_MAX,
        }
    }
}

#[derive(Clone, Debug)]
struct Waiting {
    class: Class,
    medium: Option<Medium>,
    shards: Shards,
    /// When the last of those who wait gives up.
    deadline: Option<Mono>,
    asked_at: Mono,
    client: u32,
    started: bool,
}

/// A question whose turn it is; its token is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// What is asked.
    pub key: Key,
    /// Where a MAC address was seen; none if in several places.
    pub medium: Option<Medium>,
    /// When the last of those who wait gives up; none if nobody waits.
    pub deadline: Option<Mono>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask this.
    Start(Ticket),
    /// Nothing before this time.
    At(Mono),
    /// Nothing until something changes.
    Idle,
}

/// Whom to tell about a finished question.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// The shards that wait.
    pub shards: Shards,
    /// Who waited.
    pub class: Class,
    /// When it was first asked.
    pub asked_at: Mono,
}

impl Desk {
    /// Inline questions after which the background gets a token even if more are waiting.
    const BACKGROUND_SHARE: u32 = 15;

    /// How long the background waits before it asks again for a token that others want.
    const BACKGROUND_PATIENCE: Duration = Duration::from_millis(20);

    /// A desk with a full bucket.
    #[must_use]
    pub fn new(requests_per_second: u32) -> Self {
        Self {
            budget: Budget::new(requests_per_second),
            waiting: HashMap::new(),
            known: VecDeque::new(),
            strangers: Strangers::default(),
            behind: VecDeque::new(),
            turn_of_strangers: false,
            inline_in_a_row: 0,
            in_flight: [0; Class::COUNT],
        }
    }

    /// Queues a question, or joins it to one about the same key. `Err`: it can't be asked by its deadline. It then
    /// stays in the queue if there is room, because its answer is good for the next request.
    ///
    /// # Errors
    /// The failure to judge by.
    pub fn ask(&mut self, now: Now, question: &Question) -> Result<(), Failure> {
        let class = Class::of(question);
        let Some(waiting) = self.waiting.get_mut(&question.key) else {
            return self.add(now, question, class);
        };
        if waiting.medium != question.medium {
            waiting.medium = None;
        }
        if waiting.started {
            waiting.shards.add(question);
            return Ok(());
        }
        if class > waiting.class {
            waiting.class = class;
            waiting.client = question.client;
            self.enqueue(question, class);
        }
        self.promise(now, question)
    }

    fn add(&mut self, now: Now, question: &Question, class: Class) -> Result<(), Failure> {
        if self.waiting.len() >= class.queued_max() {
            return Err(Failure::Throttled);
        }
        let waiting = Waiting {
            class,
            medium: question.medium,
            shards: Shards::default(),
            deadline: None,
            asked_at: now.mono,
            client: question.client,
            started: false,
        };
        self.waiting.insert(question.key, waiting);
        self.enqueue(question, class);
        self.promise(now, question)
    }

    fn enqueue(&mut self, question: &Question, class: Class) {
        match class {
            Class::Known => self.known.push_back(question.key),
            Class::Stranger => self.strangers.push(question.client, question.key),
            Class::Behind => self.behind.push_back(question.key),
        }
    }

    /// Notes who waits, unless the turn comes too late for them.
    fn promise(&mut self, now: Now, question: &Question) -> Result<(), Failure> {
        let Some(deadline) = question.deadline else { return Ok(()) };
        let Some(waiting) = self.waiting.get_mut(&question.key) else { return Ok(()) };
        // Places are estimated from behind: who joins a question near the front may be refused although it comes in
        // time. Then the answer is there for the next request.
        let ahead = match waiting.class {
            Class::Known => {
                let before = self.known.len().saturating_sub(1);
                before + self.strangers.len().min(before)
            }
            Class::Stranger | Class::Behind => {
                let before = self.strangers.ahead_of(question.client);
                before + self.known.len().min(before + 1)
            }
        };
        if self.budget.expect(now, ahead) > deadline {
            return Err(Failure::Throttled);
        }
        waiting.shards.add(question);
        waiting.deadline = waiting.deadline.max(question.deadline);
        Ok(())
    }

    /// Whose turn it is now. `rest`: until when nothing is started that nobody waits for.
    pub fn next(&mut self, now: Now, rest: Option<Mono>) -> Next {
        self.drop_outdated();
        let Some(class) = self.choose(rest.is_some()) else {
            return if self.behind.is_empty() { Next::Idle } else { rest.map_or(Next::Idle, Next::At) };
        };
        if class == Class::Behind && self.inline_in_a_row < Self::BACKGROUND_SHARE {
            let at = self.budget.filled_at(now, self.background_level());
            if at > now.mono {
                return Next::At(at);
            }
        }
        if let Err(at) = self.budget.take(now) {
            return Next::At(at);
        }
        self.start(class).map_or(Next::Idle, Next::Start)
    }

    fn choose(&self, rest: bool) -> Option<Class> {
        let room = |class: Class| self.in_flight.get(class.at()).is_some_and(|count| *count < class.in_flight_max());
        let known = !self.known.is_empty() && room(Class::Known);
        let stranger = self.strangers.len() > 0 && room(Class::Stranger);
        let behind = !rest && !self.behind.is_empty() && room(Class::Behind);
        if behind && self.inline_in_a_row >= Self::BACKGROUND_SHARE {
            return Some(Class::Behind);
        }
        match (known, stranger) {
            (true, true) if self.turn_of_strangers => Some(Class::Stranger),
            (true, _) => Some(Class::Known),
            (false, true) => Some(Class::Stranger),
            (false, false) => behind.then_some(Class::Behind),
        }
    }

    fn start(&mut self, class: Class) -> Option<Ticket> {
        let key = match class {
            Class::Known => self.known.pop_front(),
            Class::Stranger => self.strangers.pop(),
            Class::Behind => self.behind.pop_front(),
        }?;
        self.turn_of_strangers = class == Class::Known;
        self.inline_in_a_row = if class == Class::Behind { 0 } else { self.inline_in_a_row.saturating_add(1) };
        if let Some(count) = self.in_flight.get_mut(class.at()) {
            *count += 1;
        }
        let waiting = self.waiting.get_mut(&key)?;
        waiting.started = true;
        Some(Ticket { key, medium: waiting.medium, deadline: waiting.deadline })
    }

    /// Questions that moved to a better queue leave their old place when it comes to the front.
    fn drop_outdated(&mut self) {
        let current = |waiting: &HashMap<Key, Waiting>, key: &Key, class: Class| {
            waiting.get(key).is_some_and(|waiting| waiting.class == class && !waiting.started)
        };
        while self.known.front().is_some_and(|key| !current(&self.waiting, key, Class::Known)) {
            self.known.pop_front();
        }
        while self.strangers.front().is_some_and(|key| !current(&self.waiting, &key, Class::Stranger)) {
            self.strangers.pop();
        }
        while self.behind.front().is_some_and(|key| !current(&self.waiting, key, Class::Behind)) {
            self.behind.pop_front();
        }
    }

    /// Ends a question that was started.
    pub fn finish(&mut self, key: &Key) -> Option<Finished> {
        let waiting = self.waiting.remove(key)?;
        if let Some(count) = self.in_flight.get_mut(waiting.class.at()) {
            *count = count.saturating_sub(1);
        }
        Some(Finished { shards: waiting.shards, class: waiting.class, asked_at: waiting.asked_at })
    }

    /// Books a further call of a lookup that runs: it may leave at the returned time.
    pub fn book(&mut self, now: Now) -> Mono {
        self.budget.book(now)
    }

    /// Whether a question about `key` waits or runs.
    pub fn has(&self, key: &Key) -> bool {
        self.waiting.contains_key(key)
    }

    /// Questions that wait and that nobody waits for.
    pub fn queued_behind(&self) -> usize {
        self.behind.len()
    }

    /// Whether lookups run.
    pub fn is_busy(&self) -> bool {
        self.in_flight.iter().any(|count| *count > 0)
    }

    /// Takes a token for background work.
    ///
    /// # Errors
    /// When to ask again.
    pub fn take_for_background(&mut self, now: Now) -> Result<(), Mono> {
        let inline = !self.known.is_empty() || self.strangers.len() > 0;
        if self.inline_in_a_row < Self::BACKGROUND_SHARE {
            let at = self.budget.filled_at(now, self.background_level());
            if at > now.mono {
                return Err(at);
            }
            if inline {
                return Err(now.mono.plus(Self::BACKGROUND_PATIENCE));
            }
        }
        self.budget.take(now)?;
        self.inline_in_a_row = 0;
        Ok(())
    }

    /// What the background leaves in the bucket for questions that come now.
    fn background_level(&self) -> u32 {
        (self.budget.capacity() / 2).max(1)
    }

    /// Tokens at hand.
    pub fn budget_level(&self, now: Now) -> u32 {
        self.budget.level(now)
    }

    /// Questions that wait or run.
    pub fn questions(&self) -> usize {
        self.waiting.len()
    }
}

/// The shards that want to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shards([u64; limits::SHARDS_MAX / 64]);

impl Shards {
    fn add(&mut self, question: &Question) {
        if question.deadline.is_some()
            && let Some(word) = self.0.get_mut(usize::from(question.shard / 64))
        {
            *word |= 1 << (question.shard % 64);
        }
    }

    /// Their numbers.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.0;
        (0..limits::SHARDS_MAX)
            .filter(move |shard| words.get(shard / 64).is_some_and(|word| word >> (shard % 64) & 1 == 1))
    }
}

/// Questions about identities that were never answered; the clients that ask take turns.
#[derive(Debug, Default)]
struct Strangers {
    queues: HashMap<u32, VecDeque<Key>>,
    /// Clients with questions, each once.
    turns: VecDeque<u32>,
    count: usize,
}

impl Strangers {
    fn push(&mut self, client: u32, key: Key) {
        let queue = self.queues.entry(client).or_default();
        if queue.is_empty() {
            self.turns.push_back(client);
        }
        queue.push_back(key);
        self.count += 1;
    }

    fn front(&self) -> Option<Key> {
        self.queues.get(self.turns.front()?)?.front().copied()
    }

    fn pop(&mut self) -> Option<Key> {
        let client = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&client)?;
        let key = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.count = self.count.saturating_sub(usize::from(key.is_some()));
        key
    }

    fn len(&self) -> usize {
        self.count
    }

    /// How many come before the last question of `client`.
    fn ahead_of(&self, client: u32) -> usize {
        let own = self.queues.get(&client).map_or(0, VecDeque::len);
        own.saturating_mul(self.turns.len()).min(self.count).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests;
