//! How many HTTP requests may leave, and when.
//!
//! Owns one token bucket as plain arithmetic on given times. Who gets the next token is the desk's choice.

use std::time::Duration;

use crate::clock::{Mono, Now};

/// What Microsoft allows one app in one tenant, within any such time: 100 each second, but its bursts are not on top.
/// Source: Microsoft Graph, throttling limits, Intune devices.
const ALLOWED: u32 = 2_000;
const ALLOWED_WITHIN: Duration = Duration::from_secs(20);

/// A bucket that holds a quarter of a second's worth of requests, and never lets through more than Microsoft allows.
///
/// Kept as the time at which it would be empty ("virtual scheduling"), so that a place can also be booked ahead: in any
/// span of time there are at most `capacity + rate * span` requests, whatever the order of calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    interval: Duration,
    capacity: u32,
    /// When the next request would be due if all came evenly.
    due: Mono,
}

impl Budget {
    /// A full bucket. `per_second`: at least 1; 0 counts as 1.
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = per_second.clamp(1, ALLOWED / 20);
        let capacity = (per_second / 4).max(1);
        // A full bucket and what flows in after it must stay within the limit together; it is reached at 99 a second.
        let slowest = ALLOWED_WITHIN / (ALLOWED - capacity) + Duration::from_nanos(1);
        Self { interval: (Duration::from_secs(1) / per_second).max(slowest), capacity, due: Mono::from_nanos(i64::MIN) }
    }

    /// The same bucket with another rate: what was spent stays spent.
    pub(super) fn with_rate(self, now: Now, per_second: u32) -> Self {
        let other = Self::new(per_second);
        if (other.interval, other.capacity) == (self.interval, self.capacity) {
            return self;
        }
        let spent = self.spent(now);
        if spent == 0 {
            return other;
        }
        // As many tokens at hand as before, if they fit, and what is booked ahead.
        let lacking = other.capacity.saturating_sub(self.level(now));
        let ahead = spent.saturating_sub(self.capacity);
        Self { due: now.mono.plus(other.interval.saturating_mul(lacking.saturating_add(ahead))), ..other }
    }

    /// Takes one token, or says when there will be one.
    pub(super) fn take(&mut self, now: Now) -> Result<(), Mono> {
        let at = self.free_at(now);
        if at > now.mono {
            return Err(at);
        }
        self.book(now);
        Ok(())
    }

    /// Takes the next token there is; the request may leave at the returned time, not before.
    pub(super) fn book(&mut self, now: Now) -> Mono {
        let at = self.free_at(now);
        self.due = self.due.max(at).plus(self.interval);
        at
    }

    /// When a request could leave that has `ahead` others before it.
    pub(super) fn expect(&self, now: Now, ahead: usize) -> Mono {
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        // The first `level` of those ahead leave at once, each further one takes an interval.
        let later = self.interval.saturating_mul(ahead);
        self.due.max(now.mono).plus(later).minus(self.burst()).max(now.mono)
    }

    /// When `tokens` will be at hand, if nobody takes any before.
    pub(super) fn filled_at(&self, now: Now, tokens: u32) -> Mono {
        let lacking = self.capacity.saturating_sub(tokens.max(1));
        self.due.minus(self.interval * lacking).max(now.mono)
    }

    /// Tokens at hand.
    pub(super) fn level(&self, now: Now) -> u32 {
        self.capacity.saturating_sub(self.spent(now))
    }

    /// Tokens that are lacking or booked ahead.
    fn spent(&self, now: Now) -> u32 {
        let booked = self.due.since(now.mono);
        u32::try_from(booked.as_nanos().div_ceil(self.interval.as_nanos())).unwrap_or(u32::MAX)
    }

    /// Tokens that a full bucket has.
    pub(super) const fn capacity(&self) -> u32 {
        self.capacity
    }

    fn free_at(&self, now: Now) -> Mono {
        self.due.minus(self.burst()).max(now.mono)
    }

    fn burst(&self) -> Duration {
        self.interval * (self.capacity - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Now {
        Now { mono: Mono::from_nanos(1 << 40), ..Now::default() }
    }

    #[test]
    fn a_full_bucket_gives_a_quarter_of_a_second_at_once() {
        let mut budget = Budget::new(80);
        assert_eq!((budget.level(start()), budget.capacity()), (20, 20));
        let taken = (0..100).take_while(|_| budget.take(start()).is_ok()).count();
        assert_eq!(taken, 20);
        assert_eq!(budget.level(start()), 0);
        assert_eq!(budget.take(start()), Err(start().mono.plus(Duration::from_micros(12_500))));
    }

    #[test]
    fn the_slowest_budget_still_moves() {
        let mut budget = Budget::new(1);
        assert!(budget.take(start()).is_ok());
        assert_eq!(budget.take(start()), Err(start().mono.plus(Duration::from_secs(1))));
        assert!(budget.take(start().advanced(Duration::from_secs(1))).is_ok());
    }

    #[test]
    fn what_is_expected_is_what_booking_gives() {
        let mut budget = Budget::new(10);
        for ahead in 0..30 {
            let mut booked = budget;
            let last = (0..=ahead).map(|_| booked.book(start())).last();
            assert_eq!(Some(budget.expect(start(), ahead)), last, "{ahead}");
        }
        let _ = budget.take(start());
    }

    #[test]
    fn another_rate_brings_no_spent_token_back() {
        let mut budget = Budget::new(80);
        while budget.take(start()).is_ok() {}
        for per_second in [80, 40, 100] {
            assert_eq!(budget.with_rate(start(), per_second).level(start()), 0, "{per_second}");
        }
        assert_eq!(Budget::new(1).with_rate(start(), 80).level(start()), 20, "nothing was spent");
        let half_full = start().advanced(Duration::from_millis(125));
        assert_eq!(budget.with_rate(half_full, 100).level(half_full), 10);
    }

    #[test]
    fn the_bucket_fills_up_again() {
        let mut budget = Budget::new(8);
        while budget.take(start()).is_ok() {}
        for tokens in 1..=2 {
            let at = budget.filled_at(start(), tokens);
            let then = start().advanced(at.since(start().mono));
            assert_eq!(budget.level(then), tokens);
        }
    }

    #[test]
    fn no_setting_sends_more_than_microsoft_allows() {
        for per_second in [1, 40, 80, 98, 99, 100, 101, 200, u32::MAX] {
            let (mut budget, mut sent) = (Budget::new(per_second), Vec::new());
            // All that can be had: the full bucket, then each token as soon as it is there.
            while sent.last().is_none_or(|at: &Mono| at.since(start().mono) < 2 * ALLOWED_WITHIN) {
                sent.push(budget.book(start()));
            }
            let most = (0..sent.len())
                .map(|from| sent[from..].iter().take_while(|at| at.since(sent[from]) <= ALLOWED_WITHIN).count())
                .max();
            let allowed = usize::try_from(ALLOWED.min(per_second.saturating_mul(21))).expect("small");
            assert!(
                most.is_some_and(|most| most <= allowed && most + 50 > allowed * 19 / 21),
                "{per_second}: {most:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_span_of_time_has_more_than_capacity_and_rate_allow(
            rate in 1..200u32,
            steps in prop::collection::vec((0..400u64, any::<bool>()), 1..300),
        ) {
            let (mut budget, mut now, mut sent) = (Budget::new(rate), start(), Vec::new());
            for (millis, book) in steps {
                now = now.advanced(Duration::from_millis(millis / 8));
                if book {
                    sent.push(budget.book(now));
                } else if budget.take(now).is_ok() {
                    sent.push(now.mono);
                }
            }
            sent.sort();
            for (at, first) in sent.iter().enumerate() {
                for (further, last) in sent.iter().enumerate().skip(at) {
                    let allowed = f64::from(budget.capacity()) + f64::from(rate) * last.since(*first).as_secs_f64();
                    // One nanosecond per interval is lost to rounding.
                    let count = u32::try_from(further - at + 1).expect("few");
                    prop_assert!(f64::from(count) <= allowed + 0.001, "{count} in {:?}", last.since(*first));
                }
            }
        }
    }
}
