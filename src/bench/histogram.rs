//! Latencies in a table of fixed size: percentiles with an error of at most one per cent, whatever was measured.
//!
//! Owns the table. It reads no clock and knows no requests.

use std::time::Duration;

/// How often each latency was seen, from a nanosecond to over an hour.
///
/// Values below 128 ns have a cell each; above, every doubling has 64 cells of equal width. A percentile is told as the
/// middle of its cell, so that it is wrong by at most 1/128 of itself. Smallest, largest and mean are exact.
#[derive(Clone)]
pub struct Histogram {
    cells: Box<[u64]>,
    count: u64,
    sum_nanos: u128,
    min_nanos: u64,
    max_nanos: u64,
}

/// Each doubling has 2^6 cells.
const CELL_BITS: u32 = 6;
const CELLS_OF_DOUBLING: usize = 1 << CELL_BITS;
/// What is longer counts as this long in the percentiles: 73 minutes.
const LONGEST_NANOS: u64 = (1 << LONGEST_BITS) - 1;
const LONGEST_BITS: u32 = 42;
const CELLS: usize = (LONGEST_BITS as usize - CELL_BITS as usize + 1) * CELLS_OF_DOUBLING;

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram").field("count", &self.count).field("max", &self.max()).finish_non_exhaustive()
    }
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { cells: vec![0; CELLS].into(), count: 0, sum_nanos: 0, min_nanos: u64::MAX, max_nanos: 0 }
    }

    /// Counts one latency.
    #[inline]
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(cell) = self.cells.get_mut(cell_of(nanos)) {
            *cell += 1;
        }
        self.count += 1;
        self.sum_nanos += u128::from(nanos);
        self.min_nanos = self.min_nanos.min(nanos);
        self.max_nanos = self.max_nanos.max(nanos);
    }

    /// Adds all that `other` counted.
    pub fn add(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            *cell += more;
        }
        self.count += other.count;
        self.sum_nanos += other.sum_nanos;
        self.min_nanos = self.min_nanos.min(other.min_nanos);
        self.max_nanos = self.max_nanos.max(other.max_nanos);
    }

    /// How many were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The latency that `share` (0 to 1) of all did not exceed: the nearest rank, within one per cent. Zero if there are
    /// none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let rank = rank(share, self.count);
        let mut passed = 0;
        for (place, cell) in self.cells.iter().enumerate() {
            passed += cell;
            if passed >= rank && *cell > 0 {
                return Duration::from_nanos(middle_of(place).clamp(self.min_nanos, self.max_nanos));
            }
        }
        Duration::ZERO
    }

    /// The longest.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max_nanos)
    }

    /// The shortest; zero if there are none.
    #[must_use]
    pub const fn min(&self) -> Duration {
        Duration::from_nanos(if self.count == 0 { 0 } else { self.min_nanos })
    }

    /// The mean; zero if there are none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let mean = self.sum_nanos.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }
}

/// The nearest rank from 1 to `count`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to 1 to `count` at once")]
fn rank(share: f64, count: u64) -> u64 {
    ((share * count as f64).ceil() as u64).clamp(1, count.max(1))
}

#[expect(clippy::cast_possible_truncation, reason = "shifted to below 128")]
const fn cell_of(nanos: u64) -> usize {
    let nanos = if nanos > LONGEST_NANOS { LONGEST_NANOS } else { nanos };
    let shift = (nanos | CELLS_OF_DOUBLING as u64).ilog2() - CELL_BITS;
    shift as usize * CELLS_OF_DOUBLING + (nanos >> shift) as usize
}

const fn middle_of(cell: usize) -> u64 {
    if cell < 2 * CELLS_OF_DOUBLING {
        return cell as u64;
    }
    let shift = cell / CELLS_OF_DOUBLING - 1;
    let first = ((cell - shift * CELLS_OF_DOUBLING) as u64) << shift;
    first + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHARES: [f64; 6] = [0.0, 0.5, 0.9, 0.99, 0.999, 1.0];

    fn exact(sorted: &[u64], share: f64) -> u64 {
        sorted[usize::try_from(rank(share, sorted.len() as u64)).unwrap() - 1]
    }

    proptest! {
        #[test]
        fn percentiles_are_within_one_per_cent_of_the_sorted_values(
            values in proptest::collection::vec((0u32..42, any::<u64>()), 1..400),
        ) {
            let mut sorted: Vec<u64> = values.iter().map(|(bits, seed)| seed % (1 << bits)).collect();
            let mut histogram = Histogram::new();
            sorted.iter().for_each(|nanos| histogram.record(Duration::from_nanos(*nanos)));
            sorted.sort_unstable();
            for share in SHARES {
                let (right, told) = (exact(&sorted, share), histogram.percentile(share).as_nanos());
                let off = u128::from(right).abs_diff(told);
                prop_assert!(off * 100 <= u128::from(right), "{share}: {told} for {right}");
            }
            prop_assert_eq!(histogram.max(), Duration::from_nanos(*sorted.last().unwrap()));
            prop_assert_eq!(histogram.min(), Duration::from_nanos(sorted[0]));
            let sum: u128 = sorted.iter().copied().map(u128::from).sum();
            prop_assert_eq!(histogram.mean().as_nanos(), sum / sorted.len() as u128);
        }

        #[test]
        fn two_that_are_added_are_as_one_that_saw_all(
            one in proptest::collection::vec(any::<u32>(), 0..100),
            other in proptest::collection::vec(any::<u32>(), 0..100),
        ) {
            let of = |values: &[u32]| {
                let mut histogram = Histogram::new();
                values.iter().for_each(|micros| histogram.record(Duration::from_micros((*micros).into())));
                histogram
            };
            let mut sum = of(&one);
            sum.add(&of(&other));
            let all = of(&[one, other].concat());
            prop_assert_eq!(&sum.cells, &all.cells);
            prop_assert_eq!((sum.count(), sum.min(), sum.max(), sum.mean()), (all.count(), all.min(), all.max(), all.mean()));
        }
    }

    #[test]
    fn cells_follow_each_other_without_gaps() {
        let mut last = 0;
        for nanos in (0..1_000_000).chain((20..LONGEST_BITS).flat_map(|bits| [(1 << bits) - 1, 1 << bits])) {
            let cell = cell_of(nanos);
            assert!(cell == last || cell == last + 1 || nanos > 1_000_000, "{nanos}: {last}, then {cell}");
            last = cell;
        }
        assert_eq!(cell_of(LONGEST_NANOS), CELLS - 1);
        assert_eq!(cell_of(u64::MAX), CELLS - 1);
    }

    #[test]
    fn an_empty_one_tells_zero() {
        let empty = Histogram::new();
        assert_eq!((empty.percentile(0.5), empty.min(), empty.max(), empty.mean()), Default::default());
    }

    #[test]
    fn what_is_longer_than_the_table_keeps_its_maximum() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_secs(100_000));
        assert_eq!(histogram.max(), Duration::from_secs(100_000));
        assert_eq!(histogram.percentile(1.0), Duration::from_secs(100_000));
    }
}
