//! One thread's share of a run: what drives it ([`Work`]), which part of the whole it is ([`Share`]), and its books
//! ([`Ledger`]).
//!
//! Owns the frame that all kinds of load have in common. What is sent stands in `generator` and `conversations`.

use std::{net::IpAddr, time::Duration};

use crate::{
    clock::Mono,
    engine::action::{Outbox, Peer, Route},
};

use super::{
    plan::Plan,
    tally::{Loss, Second, Tally, Verdict},
};

const SECOND: Duration = Duration::from_secs(1);

/// A share of a run, without its sockets.
pub(super) trait Work: Send {
    /// Sends again, or gives up, what has waited long enough; at most some hundred.
    fn expire(&mut self, now: Mono, out: &mut dyn Outbox);

    /// Sends requests that are due, at most some hundred; fewer of those that take long to write.
    fn offer(&mut self, now: Mono, out: &mut dyn Outbox);

    /// Looks at datagrams that came to one of the source ports and are about to be [received](Self::receive), in this order:
    /// what can be computed for all of them at once is.
    fn see(&mut self, socket: usize, datagrams: &mut dyn Iterator<Item = &[u8]>);

    /// Takes a datagram that came to one of the source ports, and may answer it.
    fn receive(&mut self, now: Mono, socket: usize, octets: &[u8], out: &mut dyn Outbox);

    /// The system says that nobody listens where this source port sends to.
    fn refused(&mut self, now: Mono, socket: usize);

    /// The system did not take the request of this Identifier.
    fn unsent(&mut self, now: Mono, socket: usize, identifier: u8);

    /// A second that is over; to be asked again until there is none.
    fn take_second(&mut self, now: Mono) -> Option<Second>;

    /// Ends it: nothing more becomes due.
    fn stop(&mut self, now: Mono);

    /// Whether nothing more becomes due and nothing is under way.
    fn is_finished(&self) -> bool;

    /// When something has to be done again, if nothing comes before.
    fn wake_at(&self, now: Mono) -> Mono;

    /// When the warm-up ends.
    fn measured_from(&self) -> Mono;

    /// What became of all requests.
    fn finish(self: Box<Self>) -> Ended;
}

/// What a share tells when it ends.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) tally: Tally,
    /// The last second, which may not have been whole.
    pub(super) last: Second,
    /// From the beginning of the measured part to the last request, answer or loss.
    pub(super) elapsed: Duration,
    /// For how long requests became due, the warm-up not included: what rates are told over.
    pub(super) measured: Duration,
}

/// Which share of a run a thread has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Its number, from 0.
    pub(super) number: usize,
    /// How many threads there are.
    pub(super) of: usize,
    /// Its source ports.
    pub(super) sockets: usize,
    /// The address that its switch tells.
    pub(super) nas: IpAddr,
    /// Unpredictable: two for authenticators, one for the choice of devices.
    pub(super) seeds: [u64; 3],
}

impl Share {
    /// The part of `whole` that is this thread's.
    pub(super) const fn part(&self, whole: u64) -> u64 {
        let (number, of) = (self.number as u64, self.of as u64);
        whole / of + if number < whole % of { 1 } else { 0 }
    }
}

/// Where a source port sends to.
pub(super) fn peer(plan: &Plan, socket: usize) -> Peer {
    let listener = u16::try_from(socket).unwrap_or(u16::MAX);
    Peer { address: plan.server, route: Route { listener, local: None, interface: 0 } }
}

/// The moments of a run, and what happened.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The end of the warm-up.
    pub(super) measured_from: Mono,
    /// From here on nothing becomes due.
    pub(super) end: Mono,
    pub(super) tally: Tally,
    second: Second,
    last_event: Mono,
    /// When nothing more became due.
    until: Option<Mono>,
}

impl Ledger {
    /// `start`: the same for all threads.
    pub(super) fn new(plan: &Plan, start: Mono) -> Self {
        let measured_from = start.plus(plan.warm_up);
        Self {
            measured_from,
            end: measured_from.plus(plan.duration),
            tally: Tally::default(),
            second: Second::new(0),
            last_event: measured_from,
            until: None,
        }
    }

    /// From `at` on nothing becomes due. [`Mono::NEVER`]: a closed loop has sent as many as it may; it lasts as long as its
    /// last request, since each of them waited for one before.
    pub(super) fn over(&mut self, at: Mono) {
        self.until.get_or_insert(at);
    }

    /// Whether what happens now happens while requests become due. Answers to the last ones would make rates too high, or, if
    /// their time counted too, too low.
    fn is_in_time(&self, now: Mono) -> bool {
        now <= self.until.unwrap_or(self.end)
    }

    /// What becomes due now counts.
    pub(super) fn counts(&self, due: Mono) -> bool {
        due >= self.measured_from
    }

    /// A request that counts was sent.
    pub(super) fn sent(&mut self, now: Mono, due: Mono) {
        self.tally.sent += 1;
        self.tally.sent_in_time += u64::from(self.is_in_time(now));
        self.tally.lateness.record(now.since(due));
        self.second.sent += 1;
        self.last_event = now;
    }

    /// A request that counts was answered.
    pub(super) fn answered(&mut self, now: Mono, due: Mono, verdict: Verdict) {
        let latency = now.since(due);
        if let Some(histogram) = self.tally.latency.get_mut(verdict as usize) {
            histogram.record(latency);
        }
        self.tally.answered_in_time += u64::from(self.is_in_time(now));
        self.second.answered += 1;
        self.second.latency.record(latency);
        self.last_event = self.last_event.max(now);
    }

    /// A request that counts was lost.
    pub(super) fn lost(&mut self, now: Mono, cause: Loss) {
        self.tally.lost.count(cause);
        self.second.lost += 1;
        self.last_event = self.last_event.max(now);
    }

    /// A request that counts was given up before it was sent.
    pub(super) fn skipped(&mut self, now: Mono, cause: Loss) {
        self.lost(now.min(self.end), cause);
    }

    /// A datagram came that answers nothing.
    pub(super) fn stray(&mut self, now: Mono) {
        self.tally.strays += u64::from(self.counts(now));
    }

    pub(super) fn take_second(&mut self, now: Mono, in_flight: usize) -> Option<Second> {
        (now >= self.end_of_second()).then(|| {
            let next = Second::new(self.second.number + 1);
            self.second.in_flight = in_flight as u64;
            std::mem::replace(&mut self.second, next)
        })
    }

    pub(super) fn end_of_second(&self) -> Mono {
        self.measured_from.plus(SECOND.saturating_mul(u32::try_from(self.second.number + 1).unwrap_or(u32::MAX)))
    }

    pub(super) fn finish(self) -> Ended {
        let until = self.until.filter(|until| *until != Mono::NEVER).unwrap_or(self.last_event);
        let (elapsed, measured) = (self.last_event.since(self.measured_from), until.since(self.measured_from));
        Ended { tally: self.tally, last: self.second, elapsed, measured }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_several_threads_are_the_whole() {
        let share = |number| Share { number, of: 3, sockets: 1, nas: [127, 0, 0, 1].into(), seeds: [1, 2, 3] };
        assert_eq!([0, 1, 2].map(|number| share(number).part(11)), [4, 4, 3]);
    }
}
