//! The threads that compute TLS handshakes for the shards.
//!
//! Owns the queue, its bounds and the threads. What is computed is the engine's matter.
//!
//! After a power cut ten thousand devices come back within seconds, and a core does some hundred handshakes in each. If
//! all of them were begun, each would find its next flight dropped for want of room, would be given up half-way by client
//! or device, and begun anew: a server at full load of which nobody has anything. So a new conversation is not begun while
//! there is more to do than a fraction of a second takes, and whoever has begun comes to the end.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use crate::{
    clock::Mono,
    engine::work::{Work, Workers},
    limits,
    udp::mailbox::Mailbox,
};

/// The threads. They end when this is dropped; what waits then is forgotten, and its devices begin anew.
#[derive(Debug)]
pub struct Handshakes {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    threads: usize,
    mailboxes: Vec<Arc<Mailbox>>,
}

#[derive(Debug, Default)]
struct State {
    // Bound: `limits::EAP_FLIGHTS_THREAD_MAX` for each thread; what is beyond is given back.
    waiting: VecDeque<Box<Work>>,
    expected: Expected,
    is_stopping: bool,
}

/// Flights that conversations will send which were begun a short while ago.
///
/// Without them all devices that come within one round trip would be let in while the queue is still empty. A device that
/// never sends its flights is forgotten soon, so that half-open conversations keep nobody out.
#[derive(Debug, Default)]
struct Expected {
    recent: usize,
    older: usize,
    shift_at: Mono,
}

impl Expected {
    fn begin(&mut self) {
        self.recent += limits::EAP_FLIGHTS_OF_HANDSHAKE;
    }

    /// A flight came; which conversation's is all the same.
    fn came(&mut self) {
        let from = if self.older > 0 { &mut self.older } else { &mut self.recent };
        *from = from.saturating_sub(1);
    }

    fn count(&mut self, now: Mono) -> usize {
        if now >= self.shift_at {
            let is_long_ago = now.since(self.shift_at) >= limits::EAP_FLIGHT_EXPECTED;
            self.older = if is_long_ago { 0 } else { self.recent };
            self.recent = 0;
            self.shift_at = now.plus(limits::EAP_FLIGHT_EXPECTED);
        }
        self.recent + self.older
    }
}

impl State {
    fn may_begin(&mut self, threads: usize, now: Mono) -> bool {
        let (waiting, expected) = (self.waiting.len(), self.expected.count(now));
        let may = waiting < threads * limits::EAP_FLIGHTS_WAITING_THREAD_MAX
            && waiting + expected < threads * limits::EAP_FLIGHTS_THREAD_MAX;
        if may {
            self.expected.begin();
        }
        may
    }
}

impl Handshakes {
    /// As many threads as there are cores, for the shards with these mailboxes.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(mailboxes: Vec<Arc<Mailbox>>) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let queue = Arc::new(Queue { state: Mutex::default(), wake: Condvar::new(), threads: cores, mailboxes });
        let start = |number: usize| {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(format!("radmit-tls-{number}")).spawn(move || queue.work())
        };
        let threads = (0..cores).map(start).collect::<io::Result<_>>()?;
        Ok(Self { queue, threads })
    }

    /// Where shards give their work.
    #[must_use]
    pub fn workers(&self) -> Arc<dyn Workers> {
        Arc::clone(&self.queue) as Arc<dyn Workers>
    }
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.is_stopping = true;
        state.waiting.clear();
        drop(state);
        self.queue.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A panic in the work is caught there; one elsewhere has nothing left to lose.
            let _ = thread.join();
        }
    }
}

impl Workers for Queue {
    fn take(&self, work: Box<Work>) -> Result<(), Box<Work>> {
        let mut state = self.state();
        state.expected.came();
        if state.is_stopping || state.waiting.len() >= self.threads * limits::EAP_FLIGHTS_THREAD_MAX {
            return Err(work);
        }
        state.waiting.push_back(work);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    fn may_begin(&self, now: Mono) -> bool {
        self.state().may_begin(self.threads, now)
    }
}

impl Queue {
    fn work(&self) {
        while let Some(work) = self.next() {
            let shard = usize::from(work.shard());
            let done = work.run();
            if let Some(mailbox) = self.mailboxes.get(shard) {
                mailbox.finish(done);
            }
        }
    }

    /// What to compute next, once there is something; `None` at the end.
    fn next(&self) -> Option<Box<Work>> {
        let mut state = self.state();
        loop {
            if state.is_stopping {
                return None;
            }
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No call under this lock leaves the queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = limits::EAP_FLIGHTS_THREAD_MAX / limits::EAP_FLIGHTS_OF_HANDSHAKE;

    fn begun(state: &mut State, now: Mono) -> usize {
        (0..10 * MOST).take_while(|_| state.may_begin(2, now)).count()
    }

    #[test]
    fn only_as_many_conversations_begin_at_once_as_find_room_for_their_flights() {
        let mut state = State::default();
        assert_eq!(begun(&mut state, Mono::from_nanos(1)), 2 * MOST);
    }

    #[test]
    fn a_flight_that_came_makes_room_and_one_that_never_comes_is_forgotten() {
        let (mut state, now) = (State::default(), Mono::from_nanos(1));
        begun(&mut state, now);
        (0..20).for_each(|_| state.expected.came());
        assert_eq!(begun(&mut state, now), 20 / limits::EAP_FLIGHTS_OF_HANDSHAKE);
        let soon = now.plus(limits::EAP_FLIGHT_EXPECTED);
        assert_eq!(begun(&mut state, soon), 0, "they are still expected");
        assert_eq!(begun(&mut state, soon.plus(limits::EAP_FLIGHT_EXPECTED)), 2 * MOST);
        assert_eq!(begun(&mut state, soon.plus(limits::EAP_FLIGHT_EXPECTED * 10)), 2 * MOST);
    }
}
