//! Which devices were asked about lately, roughly: one word for many of them, written without a lock.
//!
//! Owns the marks. Devices whose ids fall on one word share it: then one is kept fresh that nobody asked about, which
//! costs a call and breaks nothing.

use std::{
    hash::BuildHasher,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use foldhash::fast::RandomState;

use crate::{clock::Mono, limits};

use super::identifier::IntuneId;

/// When devices were last asked about, in seconds since the process started.
pub(super) struct Marks {
    hasher: RandomState,
    seconds: Box<[AtomicU32]>,
}

impl Marks {
    /// For up to `devices`.
    pub(super) fn new(devices: usize) -> Self {
        let words = devices.clamp(1, limits::USED_DEVICES_MARKED);
        let seconds = (0..words).map(|_| AtomicU32::new(0)).collect();
        Self { hasher: RandomState::default(), seconds }
    }

    /// Notes that a device is asked about at `at`.
    pub(super) fn mark(&self, id: IntuneId, at: Mono) {
        let word = self.word(id);
        let seconds = seconds_of(at);
        // A load is free while the word is shared; packet threads would take a store from each other.
        if word.load(Relaxed) != seconds {
            word.store(seconds, Relaxed);
        }
    }

    /// Whether a device was asked about within `span` before `now`.
    pub(super) fn is_marked(&self, id: IntuneId, now: Mono, span: Duration) -> bool {
        let seconds = self.word(id).load(Relaxed);
        seconds > 0 && u64::from(seconds_of(now).saturating_sub(seconds)) <= span.as_secs()
    }

    fn word(&self, id: IntuneId) -> &AtomicU32 {
        let hash = usize::from_le_bytes(self.hasher.hash_one(id).to_le_bytes());
        self.seconds.get(hash % self.seconds.len()).expect("the rest of a division by the length is below it")
    }
}

/// Never zero, which means "never".
fn seconds_of(at: Mono) -> u32 {
    u32::try_from(at.as_nanos().max(0) / 1_000_000_000).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::identifier::Guid;

    #[test]
    fn a_device_counts_as_used_for_a_while() {
        let (marks, at) = (Marks::new(100), Mono::from_nanos(5_000_000_000));
        let id = IntuneId(Guid::new([1; 16]));
        assert!(!marks.is_marked(id, at, Duration::from_secs(60)));
        marks.mark(id, at);
        assert!(marks.is_marked(id, at.plus(Duration::from_secs(60)), Duration::from_secs(60)));
        assert!(!marks.is_marked(id, at.plus(Duration::from_secs(62)), Duration::from_secs(60)));
    }
}
