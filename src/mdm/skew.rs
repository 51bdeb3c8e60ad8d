//! How far this machine's clock is off, as the other side's `Date` shows it, and when that is worth a line in the log.
//!
//! Owns the judgement as plain data on given times. It reads no clock and logs nothing.

use std::time::Duration;

use crate::clock::{Mono, Now};

/// Less than this is the way of the answer and the whole seconds of `Date`.
const TOLERATED_SECS: i64 = 10;

/// A clock that stays wrong is told again after this time.
const TOLD_EVERY: Duration = Duration::from_secs(3600);

/// The offset as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Skew {
    offset_secs: Option<i64>,
    told: Option<(i64, Mono)>,
}

/// What is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// This machine is ahead by so many seconds; behind, if negative.
    Wrong(i64),
    /// It was wrong, and is right again.
    RightAgain,
}

impl Skew {
    /// Seconds that this machine is ahead; none as long as nobody answered.
    pub(super) const fn offset_secs(&self) -> Option<i64> {
        self.offset_secs
    }

    /// Notes the offset that an answer showed. Something to tell: at each change, and once an hour.
    pub(super) fn note(&mut self, now: Now, offset_secs: i64) -> Option<Told> {
        self.offset_secs = Some(offset_secs);
        if offset_secs.saturating_abs() <= TOLERATED_SECS {
            return self.told.take().map(|_| Told::RightAgain);
        }
        let is_known = self.told.is_some_and(|(told, at)| {
            told.saturating_sub(offset_secs).saturating_abs() <= TOLERATED_SECS && now.mono.since(at) < TOLD_EVERY
        });
        if is_known {
            return None;
        }
        self.told = Some((offset_secs, now.mono));
        Some(Told::Wrong(offset_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trap 20: a wrong clock is told before it breaks assertions, and not at every answer.
    #[test]
    fn a_wrong_clock_is_told_at_each_change_and_once_an_hour() {
        let (mut skew, now) = (Skew::default(), Now::default());
        assert_eq!(skew.offset_secs(), None);
        for small in [0, 1, -10, 10] {
            assert_eq!(skew.note(now, small), None, "{small}");
        }
        assert_eq!(skew.note(now, 90), Some(Told::Wrong(90)));
        assert_eq!(skew.note(now.advanced(TOLD_EVERY / 2), 92), None);
        assert_eq!(skew.note(now.advanced(TOLD_EVERY / 2), -400), Some(Told::Wrong(-400)));
        assert_eq!(skew.note(now.advanced(TOLD_EVERY), -401), None);
        assert_eq!(skew.note(now.advanced(TOLD_EVERY * 2), -401), Some(Told::Wrong(-401)));
        assert_eq!(skew.note(now.advanced(TOLD_EVERY * 2), 0), Some(Told::RightAgain));
        assert_eq!((skew.note(now.advanced(TOLD_EVERY * 2), 0), skew.offset_secs()), (None, Some(0)));
        assert_eq!(skew.note(now, i64::MIN), Some(Told::Wrong(i64::MIN)), "an absurd date breaks nothing");
    }
}
