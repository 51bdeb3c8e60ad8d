//! What the services of one server are owed whoever asks them: who waits, the budget, and which are left alone for a while.
//!
//! Owns these for as long as the process runs: a reload must neither forget a `Retry-After`, nor spend a full bucket once
//! more, nor lose who waits. It makes no call.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::sync::Notify;

use crate::clock::Now;

use super::{desk::Desk, gates::Gates};

/// What the services of one server are owed.
#[derive(Debug)]
pub(super) struct Manners {
    desk: Mutex<Desk>,
    pub(super) gates: Gates,
    /// Something may be started.
    pub(super) wake: Notify,
    shift: AtomicU64,
}

/// Who takes the questions off the desk: the worker that was started last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift(u64);

impl Manners {
    /// A worker begins, with so many requests a second. What was refused may have been mended meanwhile, and is tried.
    pub(super) fn begin(&self, now: Now, requests_per_second: u32) -> Shift {
        self.desk().set_rate(now, requests_per_second);
        self.gates.forgive_refusals();
        let shift = Shift(self.shift.fetch_add(1, Relaxed) + 1);
        // Who was there before leaves, and passes this on.
        self.wake.notify_one();
        shift
    }

    /// Whether no other worker began since.
    pub(super) fn is_on(&self, shift: Shift) -> bool {
        self.shift.load(Relaxed) == shift.0
    }

    /// The questions that wait.
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Manners {
    /// Nobody waits; the bucket gets its size when a worker begins.
    fn default() -> Self {
        Self { desk: Mutex::new(Desk::new(1)), gates: Gates::default(), wake: Notify::new(), shift: AtomicU64::new(0) }
    }
}
