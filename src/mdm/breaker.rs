//! Whether a service may be asked now: shut after failures, after throttling and after a refusal, tried again by one.
//!
//! Owns the states as plain data on given times and chances. It makes no call; one breaker guards one service.

use std::time::Duration;

use crate::{
    clock::{Mono, Now},
    device::question::Failure,
    limits,
};

/// Guards one service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    state: State,
    /// Failures in a row.
    failures: u32,
    /// Times in a row that it was shut.
    shuts: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Flowing,
    Shut {
        until: Mono,
        because: Failure,
    },
    /// One call tries whether it is over; if it is lost, another may try at `until`.
    Probing {
        until: Mono,
        because: Failure,
    },
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The service answered, whatever it said about the device.
    Answered,
    /// It did not, or not usefully.
    Unreachable {
        /// What its header asked for.
        retry_after: Option<Duration>,
    },
    /// It said: too many requests.
    Throttled {
        /// What its header asked for; Intune sometimes leaves it out.
        retry_after: Option<Duration>,
    },
    /// It refused us because of credentials, permissions or licences.
    Refused,
}

/// A change that is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not asked for so long.
    Shut(Failure, Duration),
    /// It answers again.
    Flows,
}

impl Breaker {
    /// Failures in a row after which a service counts as down: one lost packet must not shut it.
    const FAILURES_ALLOWED: u32 = 5;
    /// The first pause, doubled each time.
    const PAUSE: Duration = Duration::from_secs(1);
    const PAUSE_MAX: Duration = Duration::from_secs(60);
    /// A permission does not appear within seconds.
    const REFUSED_PAUSE: Duration = Duration::from_secs(15);
    const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(300);

    /// Lets a call through.
    ///
    /// # Errors
    /// Why not, and until when.
    pub fn admit(&mut self, now: Now) -> Result<(), (Failure, Mono)> {
        if let Some(shut) = self.shut(now) {
            return Err(shut);
        }
        if let State::Shut { because, .. } | State::Probing { because, .. } = self.state {
            self.state = State::Probing { until: now.mono.plus(limits::CALL_TIMEOUT_MAX), because };
        }
        Ok(())
    }

    /// Why a call would not be let through now, and until when. Changes nothing.
    pub fn shut(&self, now: Now) -> Option<(Failure, Mono)> {
        match self.state {
            State::Shut { until, because } | State::Probing { until, because } if now.mono < until => {
                Some((because, until))
            }
            _ => None,
        }
    }

    /// Notes what came of a call. `chance`: any number; it spreads the pauses of many servers.
    pub fn note(&mut self, now: Now, report: Report, chance: u32) -> Option<Change> {
        match report {
            Report::Answered => self.note_answer(),
            Report::Unreachable { retry_after } => {
                self.failures = self.failures.saturating_add(1);
                let probing = matches!(self.state, State::Probing { .. });
                if self.failures < Self::FAILURES_ALLOWED && !probing && retry_after.is_none() {
                    return None;
                }
                self.shut_for(now, Failure::Unreachable, retry_after, chance)
            }
            Report::Throttled { retry_after } => self.shut_for(now, Failure::Throttled, retry_after, chance),
            Report::Refused => self.shut_for(now, Failure::Misconfigured, None, chance),
        }
    }

    /// Forgets that the service refused us: an admin may have mended that. What the service asked for is not forgotten.
    pub fn forgive_refusal(&mut self) {
        if let State::Shut { because: Failure::Misconfigured, .. }
        | State::Probing { because: Failure::Misconfigured, .. } = self.state
        {
            *self = Self::default();
        }
    }

    fn note_answer(&mut self) -> Option<Change> {
        self.failures = 0;
        match self.state {
            State::Flowing => None,
            // An answer to a call from before the throttling says nothing about whether it is over.
            State::Shut { because: Failure::Throttled, .. } => None,
            State::Shut { .. } | State::Probing { .. } => {
                *self = Self::default();
                Some(Change::Flows)
            }
        }
    }

    fn shut_for(&mut self, now: Now, because: Failure, asked: Option<Duration>, chance: u32) -> Option<Change> {
        let first = matches!(self.state, State::Flowing);
        if let State::Shut { until, because: before } = &mut self.state
            && now.mono < *until
        {
            // Answers to calls that were on their way: they are one event, but the longest wish counts.
            if because == Failure::Throttled && *before == Failure::Throttled {
                *until = asked.map_or(*until, |asked| (*until).max(now.mono.plus(asked.min(limits::RETRY_AFTER_MAX))));
            }
            if because == *before || because == Failure::Unreachable {
                return None;
            }
        }
        let (pause, most) = match because {
            Failure::Misconfigured => (Self::REFUSED_PAUSE, Self::REFUSED_PAUSE_MAX),
            _ => (Self::PAUSE, Self::PAUSE_MAX),
        };
        let backed_off = pause.saturating_mul(1 << self.shuts.min(16)).min(most);
        self.shuts = self.shuts.saturating_add(1);
        // Up to a quarter longer, never shorter than what was asked for, nor than without a wish: with `Retry-After: 0` each
        // refusal would be followed by the next try at once.
        let base = asked.map_or(backed_off, |asked| asked.max(backed_off)).min(limits::RETRY_AFTER_MAX);
        let pause = base + base / 4 * (chance & 0xff) / 256;
        self.state = State::Shut { until: now.mono.plus(pause), because };
        first.then_some(Change::Shut(because, pause))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const DOWN: Report = Report::Unreachable { retry_after: None };

    fn start() -> Now {
        Now { mono: Mono::from_nanos(1 << 40), ..Now::default() }
    }

    fn shut_by_failures(breaker: &mut Breaker, now: Now) {
        for _ in 0..Breaker::FAILURES_ALLOWED {
            breaker.note(now, DOWN, 0);
        }
    }

    #[test]
    fn single_failures_do_not_shut_it() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 1..Breaker::FAILURES_ALLOWED {
                assert_eq!(breaker.note(start(), DOWN, 0), None);
            }
            breaker.note(start(), Report::Answered, 0);
        }
        assert!(breaker.admit(start()).is_ok());
    }

    #[test]
    fn after_the_pause_exactly_one_call_tries() {
        let mut breaker = Breaker::default();
        shut_by_failures(&mut breaker, start());
        assert_eq!(breaker.admit(start()).map_err(|(failure, _)| failure), Err(Failure::Unreachable));
        let later = start().advanced(SECOND);
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later).is_err());
        assert_eq!(breaker.note(later, Report::Answered, 0), Some(Change::Flows));
        assert!(breaker.admit(later).is_ok() && breaker.admit(later).is_ok());
    }

    #[test]
    fn a_failed_try_waits_twice_as_long_up_to_a_minute() {
        let (mut breaker, mut now) = (Breaker::default(), start());
        shut_by_failures(&mut breaker, now);
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (_, until) = breaker.shut(now).expect("it is shut");
            assert_eq!(until.since(now.mono), SECOND * expected);
            now = now.advanced(SECOND * expected);
            assert!(breaker.admit(now).is_ok());
            // Only the first of an outage is told.
            assert_eq!(breaker.note(now, DOWN, 0), None);
        }
    }

    #[test]
    fn a_try_that_is_lost_does_not_keep_it_shut_for_ever() {
        let mut breaker = Breaker::default();
        shut_by_failures(&mut breaker, start());
        let later = start().advanced(SECOND);
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later.advanced(limits::CALL_TIMEOUT_MAX)).is_ok());
    }

    #[test]
    fn retry_after_is_obeyed_to_the_second_and_throttling_without_it_backs_off() {
        let mut breaker = Breaker::default();
        let asked = Report::Throttled { retry_after: Some(SECOND * 7) };
        assert_eq!(breaker.note(start(), asked, 0), Some(Change::Shut(Failure::Throttled, SECOND * 7)));
        assert!(breaker.admit(start().advanced(SECOND * 7 - Duration::from_nanos(1))).is_err());
        assert!(breaker.admit(start().advanced(SECOND * 7)).is_ok());
        let mut breaker = Breaker::default();
        breaker.note(start(), Report::Throttled { retry_after: None }, 0);
        assert_eq!(breaker.shut(start()), Some((Failure::Throttled, start().mono.plus(SECOND))));
    }

    #[test]
    fn a_retry_after_of_nothing_backs_off_as_if_there_were_none() {
        let (mut breaker, mut now) = (Breaker::default(), start());
        for expected in [1, 2, 4, 8] {
            breaker.note(now, Report::Throttled { retry_after: Some(Duration::ZERO) }, 0);
            assert_eq!(breaker.shut(now), Some((Failure::Throttled, now.mono.plus(SECOND * expected))));
            now = now.advanced(SECOND * expected);
            assert!(breaker.admit(now).is_ok());
        }
    }

    #[test]
    fn answers_from_before_the_throttling_do_not_end_it_and_longer_wishes_extend_it() {
        let mut breaker = Breaker::default();
        breaker.note(start(), Report::Throttled { retry_after: Some(SECOND * 5) }, 0);
        breaker.note(start(), Report::Answered, 0);
        breaker.note(start(), Report::Throttled { retry_after: Some(SECOND * 9) }, 0);
        breaker.note(start(), Report::Throttled { retry_after: Some(SECOND * 2) }, 0);
        assert_eq!(breaker.shut(start()), Some((Failure::Throttled, start().mono.plus(SECOND * 9))));
    }

    #[test]
    fn a_refusal_is_not_asked_again_at_once() {
        let mut breaker = Breaker::default();
        breaker.note(start(), Report::Refused, 0);
        assert_eq!(breaker.admit(start()).map_err(|(failure, _)| failure), Err(Failure::Misconfigured));
        assert!(breaker.admit(start().advanced(SECOND * 15)).is_ok());
    }

    #[test]
    fn a_refusal_can_be_forgiven_and_throttling_can_not() {
        let mut breaker = Breaker::default();
        breaker.note(start(), Report::Refused, 0);
        breaker.forgive_refusal();
        assert_eq!(breaker.shut(start()), None);
        breaker.note(start(), Report::Throttled { retry_after: Some(SECOND * 30) }, 0);
        breaker.forgive_refusal();
        assert_eq!(breaker.shut(start()), Some((Failure::Throttled, start().mono.plus(SECOND * 30))));
    }

    #[test]
    fn a_hundred_refusals_at_once_are_one_refusal() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            breaker.note(start(), Report::Refused, 0);
        }
        assert_eq!(breaker.shut(start()), Some((Failure::Misconfigured, start().mono.plus(SECOND * 15))));
    }

    proptest! {
        #[test]
        fn it_never_stays_shut_longer_than_its_bound(
            steps in prop::collection::vec((0..4u8, 0..100_000u64, any::<u32>(), 0..90u64), 1..200),
        ) {
            let (mut breaker, mut now) = (Breaker::default(), start());
            for (kind, millis, chance, seconds) in steps {
                now = now.advanced(Duration::from_millis(millis));
                let retry_after = (seconds > 30).then(|| SECOND * u32::try_from(seconds).expect("small"));
                if breaker.admit(now).is_ok() {
                    breaker.note(now, match kind {
                        0 => Report::Answered,
                        1 => Report::Unreachable { retry_after },
                        2 => Report::Throttled { retry_after },
                        _ => Report::Refused,
                    }, chance);
                }
                if let Some((_, until)) = breaker.shut(now) {
                    prop_assert!(until.since(now.mono) <= Breaker::REFUSED_PAUSE_MAX * 5 / 4);
                }
            }
        }
    }
}
