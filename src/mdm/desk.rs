//! Who is asked about next: questions wait here, are merged by key, and get the tokens of the budget in a fair order.
//!
//! Owns the queue and its shares as plain data on given times. It makes no call and stores no answer.

use std::{collections::HashMap, time::Duration};

use crate::{
    clock::{Mono, Now},
    device::question::{Failure, Key, Medium, Question},
    limits,
};

use super::{
    budget::Budget,
    turns::{Place, Turns},
};

/// The waiting questions of one server, and its budget.
///
/// Known devices and strangers have half of the tokens each while both want them, whatever a lookup takes; among each of
/// them the asking clients take turns, so that one client gets at most half of the half while others want it. Background
/// work gets what is left, and one token in sixteen when nothing is left.
#[derive(Debug)]
pub struct Desk {
    budget: Budget,
    waiting: HashMap<Key, Waiting>,
    known: Lane,
    strangers: Lane,
    behind: Lane,
    /// Inline calls since the last token for the background.
    inline_in_a_row: u32,
    /// Questions that left for others and for which somebody waits.
    // Bound: `limits::QUESTIONS_QUEUED_MAX`; of more nobody is told, and their requests meet their deadline.
    evicted: Vec<(Key, Finished)>,
}

/// The questions of one class.
#[derive(Debug)]
struct Lane {
    turns: Turns,
    in_flight: usize,
    /// Calls of those that run.
    calls: usize,
    /// Tokens that it had, as far as it counts beside the other lane's.
    spent: u64,
    /// Calls that a question takes, in sixteenths: the mean of the last ones.
    cost: usize,
}

impl Default for Lane {
    fn default() -> Self {
        Self { turns: Turns::default(), in_flight: 0, calls: 0, spent: 0, cost: Self::CALL }
    }
}

impl Lane {
    /// One call of [`Self::cost`].
    const CALL: usize = 16;

    /// Tokens that a lane may save up while its calls hang.
    const CREDIT: u64 = 32;

    /// What questions that run will still take, in sixteenths of a call.
    fn outstanding(&self) -> usize {
        (self.in_flight * self.cost).saturating_sub(self.calls * Self::CALL)
    }

    fn learn(&mut self, calls: usize) {
        self.cost = (self.cost - self.cost / 16 + calls).max(Self::CALL);
    }
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
    const fn of(question: &Question) -> Self {
        match (question.deadline, question.never_seen) {
            (None, _) => Self::Behind,
            (Some(_), true) => Self::Stranger,
            (Some(_), false) => Self::Known,
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

    /// How many questions of this class may wait. Each has a room of its own: strangers never keep out who is known.
    const fn queued_max(self) -> usize {
        match self {
            Self::Stranger => limits::QUESTIONS_QUEUED_MAX / 2,
            Self::Behind | Self::Known => limits::QUESTIONS_QUEUED_MAX / 4,
        }
    }
}

#[derive(Clone, Debug)]
struct Waiting {
    class: Class,
    place: Place,
    medium: Option<Medium>,
    shards: Shards,
    /// When the last of those who wait gives up.
    deadline: Option<Mono>,
    asked_at: Mono,
    /// Calls that it took; none before it is started.
    calls: usize,
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
    /// Whose turn it was.
    pub client: u32,
    /// When it was first asked.
    pub asked_at: Mono,
}

impl Desk {
    /// Inline questions after which the background gets a token even if more are waiting.
    const BACKGROUND_SHARE: u32 = 15;

    /// How long the background waits before it asks again for a token that others want.
    const BACKGROUND_PATIENCE: Duration = Duration::from_millis(20);

    /// The client of questions that no client asked.
    pub const OURSELVES: u32 = u32::MAX;

    /// A desk with a full bucket.
    #[must_use]
    pub fn new(requests_per_second: u32) -> Self {
        Self {
            budget: Budget::new(requests_per_second),
            waiting: HashMap::new(),
            known: Lane::default(),
            strangers: Lane::default(),
            behind: Lane::default(),
            inline_in_a_row: 0,
            evicted: Vec::new(),
        }
    }

    /// Changes how many requests may leave; what was spent stays spent.
    pub fn set_rate(&mut self, now: Now, requests_per_second: u32) {
        self.budget = self.budget.with_rate(now, requests_per_second);
    }

    /// Queues a question, or joins it to one about the same key. `Err`: it can't be asked by its deadline. It then
    /// stays in the queue if there is room, because its answer is good for the next request. When there is none, the
    /// newest question of the client that has most leaves.
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
        if waiting.calls > 0 {
            waiting.shards.add(question);
            return Ok(());
        }
        let (old, place) = (waiting.class, waiting.place);
        let turns = &self.lane(old).turns;
        if class > old {
            self.make_room(class, question.client)?;
            self.move_to(question, class);
        } else if class == old && turns.len_of(question.client) < turns.len_of(place.client) {
            // Whoever has more questions must not keep back what another one waits for.
            self.move_to(question, class);
        }
        self.promise(now, question)
    }

    fn add(&mut self, now: Now, question: &Question, class: Class) -> Result<(), Failure> {
        self.make_room(class, question.client)?;
        let waiting = Waiting {
            class,
            place: self.lane_mut(class).turns.push(question.client, question.key),
            medium: question.medium,
            shards: Shards::default(),
            deadline: None,
            asked_at: now.mono,
            calls: 0,
        };
        self.waiting.insert(question.key, waiting);
        self.promise(now, question)
    }

    fn make_room(&mut self, class: Class, client: u32) -> Result<(), Failure> {
        let turns = &mut self.lane_mut(class).turns;
        if turns.len() < class.queued_max() {
            return Ok(());
        }
        let leaving =
            turns.newest_of_longest(client).and_then(|place| turns.remove(place)).ok_or(Failure::Throttled)?;
        if let Some(waiting) = self.waiting.remove(&leaving)
            && waiting.deadline.is_some()
            && self.evicted.len() < limits::QUESTIONS_QUEUED_MAX
        {
            self.evicted.push((leaving, waiting.finished()));
        }
        Ok(())
    }

    fn move_to(&mut self, question: &Question, class: Class) {
        let Some((old, place)) = self.waiting.get(&question.key).map(|waiting| (waiting.class, waiting.place)) else {
            return;
        };
        self.lane_mut(old).turns.remove(place);
        let place = self.lane_mut(class).turns.push(question.client, question.key);
        if let Some(waiting) = self.waiting.get_mut(&question.key) {
            (waiting.class, waiting.place) = (class, place);
        }
    }

    /// Notes who waits, unless the turn comes too late for them.
    fn promise(&mut self, now: Now, question: &Question) -> Result<(), Failure> {
        let Some(deadline) = question.deadline else { return Ok(()) };
        let Some(waiting) = self.waiting.get(&question.key) else { return Ok(()) };
        let ahead = self.calls_ahead_of(waiting);
        if self.budget.expect(now, ahead) > deadline {
            return Err(Failure::Throttled);
        }
        if let Some(waiting) = self.waiting.get_mut(&question.key) {
            waiting.shards.add(question);
            waiting.deadline = waiting.deadline.max(question.deadline);
        }
        Ok(())
    }

    /// Places are estimated from behind: who joins a question near the front may be refused although it comes in time. Then
    /// the answer is there for the next request.
    fn calls_ahead_of(&self, waiting: &Waiting) -> usize {
        let (own, other, first) = match waiting.class {
            Class::Known => (&self.known, &self.strangers, 0),
            Class::Stranger | Class::Behind => (&self.strangers, &self.known, Lane::CALL),
        };
        let before = own.turns.ahead_of(waiting.place.client) * own.cost;
        let beside = (other.turns.len() * other.cost).min(before + first);
        (before + beside + own.outstanding() + other.outstanding()).div_ceil(Lane::CALL)
    }

    /// Whose turn it is now. `rest`: until when nothing is started that nobody waits for.
    pub fn next(&mut self, now: Now, rest: Option<Mono>) -> Next {
        let Some(class) = self.choose(rest.is_some()) else {
            return if self.behind.turns.is_empty() { Next::Idle } else { rest.map_or(Next::Idle, Next::At) };
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
        let ready = |class: Class| {
            let lane = self.lane(class);
            !lane.turns.is_empty() && lane.in_flight < class.in_flight_max()
        };
        let (known, stranger) = (ready(Class::Known), ready(Class::Stranger));
        let behind = !rest && ready(Class::Behind);
        if behind && self.inline_in_a_row >= Self::BACKGROUND_SHARE {
            return Some(Class::Behind);
        }
        match (known, stranger) {
            (true, true) if self.strangers.spent < self.known.spent => Some(Class::Stranger),
            (true, _) => Some(Class::Known),
            (false, true) => Some(Class::Stranger),
            (false, false) => behind.then_some(Class::Behind),
        }
    }

    fn start(&mut self, class: Class) -> Option<Ticket> {
        let lane = self.lane_mut(class);
        let key = lane.turns.pop()?;
        lane.in_flight += 1;
        lane.calls += 1;
        self.charge(class);
        let waiting = self.waiting.get_mut(&key)?;
        waiting.calls = 1;
        Some(Ticket { key, medium: waiting.medium, deadline: waiting.deadline })
    }

    /// A token goes to a class. The other one saves none up while it wants none.
    fn charge(&mut self, class: Class) {
        let (own, other) = match class {
            Class::Known => (&mut self.known, &mut self.strangers),
            Class::Stranger => (&mut self.strangers, &mut self.known),
            Class::Behind => {
                self.inline_in_a_row = 0;
                return;
            }
        };
        self.inline_in_a_row = self.inline_in_a_row.saturating_add(1);
        own.spent += 1;
        let credit = if other.turns.is_empty() { 0 } else { Lane::CREDIT };
        other.spent = other.spent.max(own.spent.saturating_sub(credit));
    }

    /// Ends a question that was started.
    pub fn finish(&mut self, key: &Key) -> Option<Finished> {
        let waiting = self.waiting.remove(key)?;
        let lane = self.lane_mut(waiting.class);
        lane.in_flight = lane.in_flight.saturating_sub(1);
        lane.calls = lane.calls.saturating_sub(waiting.calls);
        lane.learn(waiting.calls);
        Some(waiting.finished())
    }

    /// The questions that left for others and for which somebody waits; each is told of once.
    pub fn take_evicted(&mut self) -> Vec<(Key, Finished)> {
        std::mem::take(&mut self.evicted)
    }

    /// Books a further call, of a lookup that runs if it is one: it may leave at the returned time. Its class and its
    /// client pay for it.
    pub fn book(&mut self, now: Now, asked: Option<Key>) -> Mono {
        let waiting = asked.and_then(|key| self.waiting.get_mut(&key)).filter(|waiting| waiting.calls > 0);
        if let Some(waiting) = waiting {
            waiting.calls += 1;
            let (class, client) = (waiting.class, waiting.place.client);
            let lane = self.lane_mut(class);
            lane.calls += 1;
            lane.turns.owe(client);
            self.charge(class);
        }
        self.budget.book(now)
    }

    /// Whether a question about `key` waits or runs.
    pub fn has(&self, key: &Key) -> bool {
        self.waiting.contains_key(key)
    }

    /// Questions of our own that wait and that nobody waits for.
    pub fn queued_behind(&self) -> usize {
        self.behind.turns.len_of(Self::OURSELVES)
    }

    /// Takes a token for background work.
    ///
    /// # Errors
    /// When to ask again.
    pub fn take_for_background(&mut self, now: Now) -> Result<(), Mono> {
        if self.inline_in_a_row < Self::BACKGROUND_SHARE {
            let at = self.budget.filled_at(now, self.background_level());
            if at > now.mono {
                return Err(at);
            }
            if self.is_waited_for() {
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

    /// Whether questions wait that somebody asked.
    pub const fn is_waited_for(&self) -> bool {
        !self.known.turns.is_empty() || !self.strangers.turns.is_empty()
    }

    const fn lane(&self, class: Class) -> &Lane {
        match class {
            Class::Known => &self.known,
            Class::Stranger => &self.strangers,
            Class::Behind => &self.behind,
        }
    }

    const fn lane_mut(&mut self, class: Class) -> &mut Lane {
        match class {
            Class::Known => &mut self.known,
            Class::Stranger => &mut self.strangers,
            Class::Behind => &mut self.behind,
        }
    }
}

impl Waiting {
    const fn finished(&self) -> Finished {
        Finished { shards: self.shards, class: self.class, client: self.place.client, asked_at: self.asked_at }
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

#[cfg(test)]
mod tests;
