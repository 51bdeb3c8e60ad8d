//! Requests in a sliding window: Microsoft's limit, and the proof of who stayed below it.
//!
//! Owns exact counting. Which requests count, and what a refused one is told, is decided by the caller.
//!
//! Source: Microsoft Graph, "Intune service limits": 2,000 requests in 20 seconds for one application and tenant.

use std::{collections::VecDeque, time::Duration};

use crate::{clock::Mono, limits};

/// The requests of the last so many seconds.
///
/// Bound: [`limits::SIM_WINDOW_REQUESTS_MAX`]; beyond it the oldest is forgotten, which only lowers a count that is a
/// hundred times over the limit already.
#[derive(Debug)]
pub(super) struct Window {
    span: Duration,
    times: VecDeque<Mono>,
    most: usize,
}

impl Window {
    pub(super) const fn new(span: Duration) -> Self {
        Self { span, times: VecDeque::new(), most: 0 }
    }

    /// Counts one request and tells how many there were in the window that ends with it.
    pub(super) fn count(&mut self, now: Mono) -> usize {
        self.forget(now);
        if self.times.len() >= limits::SIM_WINDOW_REQUESTS_MAX {
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.most = self.most.max(self.times.len());
        self.times.len()
    }

    /// How long until the window holds less than `limit`.
    pub(super) fn wait_for(&mut self, limit: usize, now: Mono) -> Duration {
        self.forget(now);
        let Some(at) = self.times.len().checked_sub(limit.max(1)) else { return Duration::ZERO };
        self.times.get(at).map_or(Duration::ZERO, |time| time.plus(self.span).since(now))
    }

    /// The most that any window held since the last [`Window::reset_most`].
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    pub(super) const fn span(&self) -> Duration {
        self.span
    }

    pub(super) fn set_span(&mut self, span: Duration) {
        self.span = span;
        self.most = 0;
    }

    /// Forgets the maximum, but not the requests.
    pub(super) fn reset_most(&mut self) {
        self.most = self.times.len();
    }

    fn forget(&mut self, now: Mono) {
        while self.times.front().is_some_and(|time| time.plus(self.span) <= now) {
            self.times.pop_front();
        }
    }
}

/// A limit on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many requests in one window are answered.
    pub requests: usize,
    /// The window.
    pub window: Duration,
    /// Whether a refused request is told how long to wait.
    pub retry_after: bool,
}

impl Default for Limit {
    /// The published limit.
    fn default() -> Self {
        Self { requests: 2_000, window: Duration::from_secs(20), retry_after: true }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_request_leaves_the_window_when_it_is_over() {
        let mut window = Window::new(Duration::from_secs(20));
        assert_eq!(window.count(at(0)), 1);
        assert_eq!(window.count(at(19_999)), 2);
        assert_eq!(window.count(at(20_000)), 2);
        assert_eq!(window.most(), 2);
    }

    #[test]
    fn the_wait_ends_when_a_request_would_fit() {
        let mut window = Window::new(Duration::from_secs(20));
        for millis in [0, 1_000, 2_000] {
            window.count(at(millis));
        }
        assert_eq!(window.wait_for(4, at(3_000)), Duration::ZERO);
        assert_eq!(window.wait_for(3, at(3_000)), Duration::from_secs(17));
        assert_eq!(window.wait_for(2, at(3_000)), Duration::from_secs(18));
    }

    proptest! {
        #[test]
        fn the_most_is_what_counting_every_window_gives(mut millis in proptest::collection::vec(0i64..60_000, 1..200)) {
            millis.sort_unstable();
            let mut window = Window::new(Duration::from_secs(20));
            for time in &millis {
                window.count(at(*time));
            }
            let slow = millis.iter().enumerate()
                .map(|(last, end)| millis[..=last].iter().filter(|start| **start > end - 20_000).count())
                .max();
            prop_assert_eq!(Some(window.most()), slow);
        }
    }
}
