//! What of one thread's share is due, and what has waited for so long that nobody would wait for it any more: [`Timetable`].
//!
//! Owns the numbers of requests and their moments. It neither sends anything nor knows what a request says.

use std::time::Duration;

use crate::clock::Mono;

use super::{
    plan::Plan,
    schedule::Pace,
    tally::Loss,
    work::{Ledger, Share},
};

/// The requests of one thread that become due.
#[derive(Debug)]
pub(super) struct Timetable {
    pace: Pace,
    timeout: Duration,
    start: Mono,
    /// The thread's number, and how many there are.
    turn: (u64, u64),
    /// Requests of this share that became due.
    count: u64,
    /// Measured requests that may still become due.
    left: u64,
    /// When the next one is due; none in a closed loop.
    due: Option<Mono>,
    /// When one that was due last could not leave, and for want of what.
    blocked: Option<(Mono, Loss)>,
    is_over: bool,
}

/// What becomes of the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It leaves now.
    Leave {
        /// When it should have left.
        due: Mono,
        /// Not of the warm-up.
        is_measured: bool,
    },
    /// It was given up, and counted as lost if it counts.
    TooOld,
}

impl Timetable {
    /// `start`: the same for all threads.
    pub(super) fn new(plan: &Plan, share: &Share, start: Mono) -> Self {
        let mut timetable = Self {
            pace: plan.pace,
            timeout: plan.timeout,
            start,
            turn: (share.number as u64, share.of as u64),
            count: 0,
            left: share.part(plan.count.unwrap_or(u64::MAX)),
            due: None,
            blocked: None,
            is_over: false,
        };
        timetable.due = timetable.next_due();
        timetable
    }

    /// What becomes of the next request; none if it is not due, or has to wait. `room`: whether one can leave, or what it
    /// would be lost for.
    pub(super) fn next(&mut self, now: Mono, room: Result<(), Loss>, ledger: &mut Ledger) -> Option<Next> {
        if self.is_over || now < self.start {
            return None;
        }
        let due = self.due.unwrap_or(now);
        if due >= ledger.end || (self.left == 0 && ledger.counts(due)) {
            self.is_over = true;
            ledger.over(if due >= ledger.end { ledger.end } else { self.due.unwrap_or(Mono::NEVER) });
            return None;
        }
        if due > now {
            return None;
        }
        // Nobody would wait for it any more. To leave it out keeps the rate for those that come after it.
        let is_too_old = now.since(due) > self.timeout;
        if let Err(cause) = room {
            self.blocked = Some((now, cause));
            if !is_too_old {
                // In an open loop it stays due, and is older when it leaves, or is given up.
                return None;
            }
        }
        let is_measured = ledger.counts(due);
        self.count += 1;
        if is_measured {
            self.left -= 1;
            ledger.tally.due += 1;
        }
        self.due = self.next_due();
        if !is_too_old {
            return Some(Next::Leave { due, is_measured });
        }
        if is_measured {
            let blocked = self.blocked.filter(|(at, _)| *at >= due);
            ledger.skipped(now, blocked.map_or(Loss::GeneratorLate, |(_, cause)| cause));
        }
        Some(Next::TooOld)
    }

    /// When the next request has to be looked at. `has_room`: whether one could leave now.
    pub(super) fn wake_at(&self, now: Mono, has_room: bool, end: Mono) -> Mono {
        match (self.is_over, self.due, has_room) {
            (true, ..) => Mono::NEVER,
            (_, Some(due), true) => due,
            (_, Some(due), false) => due.plus(self.timeout),
            (_, None, true) => now.max(self.start),
            (_, None, false) => end,
        }
    }

    /// Ends it: nothing more becomes due.
    pub(super) fn stop(&mut self, now: Mono, ledger: &mut Ledger) {
        self.is_over = true;
        ledger.over(now.min(ledger.end));
    }

    /// Whether nothing more becomes due.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Threads take turns, so that all of them together keep the pace.
    fn next_due(&self) -> Option<Mono> {
        let (number, of) = self.turn;
        self.pace.due(self.count * of + number).map(|after| self.start.plus(after))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::radius::secret::Secret;

    fn plan(pace: Pace) -> Plan {
        let secret = Arc::new(Secret::new(b"a secret for the toy".to_vec()).unwrap());
        Plan { pace, timeout: Duration::from_millis(100), ..Plan::new(([127, 0, 0, 1], 1812).into(), secret) }
    }

    fn share(number: usize, of: usize) -> Share {
        Share { number, of, sockets: 1, nas: [127, 0, 0, 1].into(), seeds: [1, 2, 3] }
    }

    fn millis(millis: u64) -> Mono {
        Mono::default().plus(Duration::from_millis(millis))
    }

    #[test]
    fn threads_take_turns_in_an_open_loop() {
        let due = [0, 1, 2].map(|number| {
            let timetable = Timetable::new(&plan(Pace::Steady(30.0)), &share(number, 3), Mono::default());
            timetable.due.unwrap().as_nanos() / 1_000_000
        });
        assert_eq!(due, [0, 33, 66]);
    }

    #[test]
    fn what_waits_keeps_its_moment_and_is_given_up_for_want_of_what_it_waited_for() {
        let plan = plan(Pace::Steady(100.0));
        let mut ledger = Ledger::new(&plan, Mono::default());
        let mut timetable = Timetable::new(&plan, &share(0, 1), Mono::default());
        let mut next = |now, room| timetable.next(millis(now), room, &mut ledger);
        assert_eq!(next(0, Err(Loss::NoDevice)), None);
        assert_eq!(next(90, Ok(())), Some(Next::Leave { due: millis(0), is_measured: true }));
        assert_eq!(next(90, Err(Loss::NoDevice)), None);
        // The second was due at 10 ms. What was due while nothing could leave is lost for that; what was due later, while the
        // generator slept, is lost by the generator.
        for now in std::iter::repeat_n(205, 10) {
            assert_eq!(next(now, Ok(())), Some(Next::TooOld));
        }
        assert_eq!(next(205, Ok(())), Some(Next::Leave { due: millis(110), is_measured: true }));
        let tally = ledger.tally;
        assert_eq!((tally.due, tally.lost.of(Loss::NoDevice), tally.lost.of(Loss::GeneratorLate)), (12, 9, 1));
    }
}
