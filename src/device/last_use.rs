//! [`LastUse`]: when a device was last asked about, to the second.
//!
//! Owns how that is written without a lock and without taking the word from other threads at every request. What follows
//! from it is the directory's business.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use crate::clock::Mono;

/// When a device was last asked about, in seconds since the process started; zero is never.
#[derive(Debug, Default)]
pub(super) struct LastUse(AtomicU32);

impl LastUse {
    /// Notes that the device is asked about at `at`.
    pub(super) fn note(&self, at: Mono) {
        let seconds = seconds_of(at);
        // A load is free while the word is shared; packet threads would take a store from each other.
        if self.0.load(Relaxed) != seconds {
            self.0.store(seconds, Relaxed);
        }
    }

    /// Whether the device was asked about within `span` before `now`.
    pub(super) fn is_within(&self, now: Mono, span: Duration) -> bool {
        let seconds = self.seconds();
        seconds > 0 && u64::from(seconds_of(now).saturating_sub(seconds)) <= span.as_secs()
    }

    /// The device is another one.
    pub(super) fn forget(&self) {
        self.0.store(0, Relaxed);
    }

    /// The word itself.
    pub(super) fn seconds(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// Never zero, which means "never".
fn seconds_of(at: Mono) -> u32 {
    u32::try_from(at.as_nanos().max(0) / 1_000_000_000).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_counts_as_used_for_a_while() {
        let (last_use, at) = (LastUse::default(), Mono::from_nanos(5_000_000_000));
        let minute = Duration::from_secs(60);
        assert!(!last_use.is_within(at, minute));
        last_use.note(at);
        assert!(last_use.is_within(at.plus(minute), minute));
        assert!(!last_use.is_within(at.plus(minute).plus(Duration::from_secs(2)), minute));
        last_use.forget();
        assert!(!last_use.is_within(at, minute));
    }
}
