//! The threads that compute TLS handshakes for the shards.
//!
//! Owns the queue, its bounds and the threads. What is computed is the engine's matter.
//!
//! After a power cut ten thousand devices come back within seconds, and a core does some hundred handshakes in each. If
//! all of them were begun, each would find its next flight dropped for want of room, would be given up half-way by client
//! or device, and begun anew: a server at full load of which nobody has anything. So a new conversation is not begun while
//! there is more to do than a fraction of a second takes, and whoever has begun comes to the end.
//!
//! How much that is depends on what a flight takes: a full handshake takes twenty times of a resumed one. So it is
//! measured. A bound in numbers that suits the former lets through a sixteenth of what the threads could do of the latter,
//! and too few where devices take half a second for an answer, as those do that ask a chip for their key.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    clock::{self, Mono},
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
    flight_time: FlightTime,
    is_stopping: bool,
}

/// How long a thread computes for a flight: a moving average.
#[derive(Clone, Copy, Debug)]
struct FlightTime(Duration);

impl Default for FlightTime {
    fn default() -> Self {
        Self(limits::EAP_FLIGHT_TIME_FIRST)
    }
}

impl FlightTime {
    fn took(&mut self, time: Duration) {
        self.0 = self.0 - self.0 / PART + time.min(limits::EAP_FLIGHT_TIME_MAX) / PART;
    }

    /// The time of so many flights.
    fn of(self, flights: usize, threads: usize) -> Duration {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.0.saturating_mul(count(flights)) / count(threads).max(1)
    }
}

/// In the average a flight counts for one part of so many. With fewer it wavers where a thread loses its core every tenth
/// flight or so, and as many are let in as its lowest point allows.
const PART: u32 = 128;

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

/// Whether a conversation may begin while so many flights wait, and so many are expected beside them.
fn has_room(waiting: usize, expected: usize, threads: usize, flight_time: FlightTime) -> bool {
    flight_time.of(waiting, threads) < limits::EAP_WORK_WAITING_MAX
        && flight_time.of(waiting + expected, threads) < limits::EAP_WORK_AHEAD_MAX
        && waiting < threads * limits::EAP_FLIGHTS_THREAD_MAX / 2
}

impl State {
    fn may_begin(&mut self, threads: usize, now: Mono) -> bool {
        let may = has_room(self.waiting.len(), self.expected.count(now), threads, self.flight_time);
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
        let mut took = None;
        while let Some(work) = self.next(took) {
            let shard = usize::from(work.shard());
            let began = clock::now().mono;
            let done = work.run();
            took = Some(clock::now().mono.since(began));
            if let Some(mailbox) = self.mailboxes.get(shard) {
                mailbox.finish(done);
            }
        }
    }

    /// What to compute next, once there is something; `None` at the end. `took`: what the thread computed before.
    fn next(&self, took: Option<Duration>) -> Option<Box<Work>> {
        let mut state = self.state();
        if let Some(took) = took {
            state.flight_time.took(took);
        }
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
    use std::{cmp::Reverse, collections::BinaryHeap};

    use super::*;
    use crate::engine::chance::Chance;

    /// What may begin at once while nothing is known about this machine.
    const FIRST: u128 = limits::EAP_WORK_AHEAD_MAX.as_nanos()
        / limits::EAP_FLIGHT_TIME_FIRST.as_nanos()
        / limits::EAP_FLIGHTS_OF_HANDSHAKE as u128;

    fn begun(state: &mut State, now: Mono) -> u128 {
        (0..100_000).take_while(|_| state.may_begin(2, now)).count() as u128
    }

    #[test]
    fn only_as_many_conversations_begin_at_once_as_their_flights_can_be_computed_in_time() {
        let mut state = State::default();
        assert_eq!(begun(&mut state, Mono::from_nanos(1)), 2 * FIRST);
    }

    #[test]
    fn a_flight_that_came_makes_room_and_one_that_never_comes_is_forgotten() {
        let (mut state, now) = (State::default(), Mono::from_nanos(1));
        begun(&mut state, now);
        (0..20).for_each(|_| state.expected.came());
        assert_eq!(begun(&mut state, now), 20 / limits::EAP_FLIGHTS_OF_HANDSHAKE as u128);
        let soon = now.plus(limits::EAP_FLIGHT_EXPECTED);
        assert_eq!(begun(&mut state, soon), 0, "they are still expected");
        assert_eq!(begun(&mut state, soon.plus(limits::EAP_FLIGHT_EXPECTED)), 2 * FIRST);
        assert_eq!(begun(&mut state, soon.plus(limits::EAP_FLIGHT_EXPECTED * 10)), 2 * FIRST);
    }

    #[test]
    fn a_pause_of_the_machine_keeps_nobody_out_for_long() {
        let mut time = FlightTime::default();
        (0..1_000).for_each(|_| time.took(Duration::from_secs(3_600)));
        assert!(has_room(0, 0, 1, time) && !has_room(0, 100, 1, time));
        (0..700).for_each(|_| time.took(Duration::from_micros(300)));
        assert!(has_room(0, 1_000, 1, time), "{time:?}");
    }

    #[test]
    fn the_average_hardly_wavers_where_a_thread_loses_its_core_now_and_then() {
        let mut time = FlightTime::default();
        let each = |number: u32| Duration::from_micros(if number.is_multiple_of(32) { 9_300 } else { 300 });
        let told: Vec<Duration> = (0..4_000).map(|number| (time.took(each(number)), time.0).1).skip(2_000).collect();
        let (least, most) = (told.iter().min().unwrap(), told.iter().max().unwrap());
        // On average 581 us.
        assert!(*least > Duration::from_micros(520) && *most < Duration::from_micros(640), "{least:?} to {most:?}");
    }

    /// A thread, and three times the devices that it can serve. Time is nanoseconds.
    struct Rush {
        /// What a flight takes to compute, how many a device sends, and how long it takes itself for each.
        compute: i64,
        flights: u8,
        device: i64,
    }

    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Happens {
        Asked,
        Came(u8),
        Computed(u8),
    }

    impl Rush {
        /// For ten seconds: completed in the last seven as a part of what could be, and the longest queue.
        fn run(&self) -> (f64, usize) {
            const SECOND: i64 = 1_000_000_000;
            let (mut chance, mut expected, mut time) = (Chance::new(5), Expected::default(), FlightTime::default());
            let mut waits = |mean: i64| mean / 2 + i64::try_from(chance.below(mean.unsigned_abs())).unwrap();
            let (mut queue, mut is_busy, mut done, mut longest) = (VecDeque::new(), false, 0_i64, 0);
            let each = self.compute * i64::from(self.flights);
            let mut events = BinaryHeap::from([Reverse((0, Happens::Asked))]);
            while let Some(Reverse((at, happens))) = events.pop().filter(|Reverse((at, _))| *at < 10 * SECOND) {
                let mut then = |after: i64, what| events.push(Reverse((at + after, what)));
                match happens {
                    Happens::Asked => {
                        then(each / 3, Happens::Asked);
                        if has_room(queue.len(), expected.count(Mono::from_nanos(at)), 1, time) {
                            expected.begin();
                            then(waits(self.device), Happens::Came(1));
                        }
                    }
                    Happens::Came(number) => {
                        expected.came();
                        queue.push_back(number);
                    }
                    Happens::Computed(number) => {
                        is_busy = false;
                        time.took(Duration::from_nanos(self.compute.unsigned_abs()));
                        if number < self.flights {
                            then(waits(self.device), Happens::Came(number + 1));
                        } else if at >= 3 * SECOND {
                            done += 1;
                        }
                    }
                }
                if !is_busy && let Some(number) = queue.pop_front() {
                    is_busy = true;
                    events.push(Reverse((at + self.compute, Happens::Computed(number))));
                }
                longest = longest.max(queue.len());
            }
            (done as f64 * each as f64 / (7 * SECOND) as f64, longest)
        }
    }

    #[test]
    fn threads_are_kept_busy_and_no_flight_is_dropped_whatever_a_flight_takes_and_a_device_takes() {
        const MILLI: i64 = 1_000_000;
        // A resumed handshake, a full one, and one on a quarter of a core; devices by wire, by radio, with a chip.
        for (compute, flights) in [(60_000, 1), (300_000, 2), (1_200_000, 2)] {
            for device in [1, 20, 50, 100, 200, 500].map(|millis| millis * MILLI) {
                let (done, longest) = Rush { compute, flights, device }.run();
                let least = if device > 100 * MILLI { 0.85 } else { 0.95 };
                assert!(done > least, "{compute} ns, {device} ns: {done:.2}");
                assert!(longest < limits::EAP_FLIGHTS_THREAD_MAX, "{compute} ns, {device} ns: {longest}");
                // Clients are more patient than that.
                assert!(longest as i64 * compute < 1_000 * MILLI, "{compute} ns, {device} ns: {longest} wait");
            }
        }
    }
}
