//! The cells in which is counted: [`Counter`], [`Gauge`], [`Histogram`].
//!
//! Owns the arithmetic. Names, labels and units stand in the list of metrics.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one. For cells that several threads write.
    pub fn increment(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Adds `by`. For cells that several threads write.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }

    /// Adds one to a cell that only the calling thread writes: a plain load and store, without a locked instruction.
    pub fn increment_own(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, to: i64) {
        self.0.store(to, Relaxed);
    }

    /// Adds `by`, which may be negative.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// The upper bounds of the buckets of every [`Histogram`], in microseconds: from 10 us to 10 s in steps of 1, 2.5 and 5.
pub const BUCKETS_US: [u64; 18] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// How long things took. Over the last bucket only sum and count know them.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one that took `elapsed`. For histograms that several threads write.
    pub fn observe(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(micros)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.sum_us.fetch_add(micros, Relaxed);
    }

    /// Counts one that took `elapsed`, in a histogram that only the calling thread writes.
    pub fn observe_own(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let add = |cell: &AtomicU64, by: u64| cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
        if let Some(bucket) = self.buckets.get(bucket_of(micros)) {
            add(bucket, 1);
        }
        add(&self.count, 1);
        add(&self.sum_us, micros);
    }

    /// The numbers of each bucket (not summed up), how many in all, and the sum in microseconds.
    #[must_use]
    pub fn values(&self) -> ([u64; BUCKETS_US.len()], u64, u64) {
        let mut buckets = [0; BUCKETS_US.len()];
        for (value, cell) in buckets.iter_mut().zip(&self.buckets) {
            *value = cell.load(Relaxed);
        }
        (buckets, self.count.load(Relaxed), self.sum_us.load(Relaxed))
    }
}

/// The first bucket whose bound is not below `micros`; one past the last if there is none.
fn bucket_of(micros: u64) -> usize {
    BUCKETS_US.partition_point(|bound| *bound < micros)
}

const _: () = {
    let mut at = 1;
    while at < BUCKETS_US.len() {
        assert!(BUCKETS_US[at - 1] < BUCKETS_US[at], "bucket bounds ascend");
        at += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 10, 11, 10_000_000, 99_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let (buckets, count, sum) = histogram.values();
        assert_eq!((buckets[0], buckets[1], buckets[17]), (2, 1, 1));
        assert_eq!((count, sum), (5, 109_000_021));
    }

    #[test]
    fn own_and_shared_observations_count_alike() {
        let (own, shared) = (Histogram::default(), Histogram::default());
        for micros in [3, 700, 5_000_000] {
            own.observe_own(Duration::from_micros(micros));
            shared.observe(Duration::from_micros(micros));
        }
        assert_eq!(own.values(), shared.values());
    }
}
