//! Which devices ask: [`Devices`], and how often each does: [`Distribution`].
//!
//! Owns their MAC addresses and the choice among them. Where a list of addresses comes from is the caller's business.

use std::sync::Arc;

use crate::{device::identifier::MacAddress, engine::chance::Chance};

/// The devices that a run may ask for, by number from 0.
#[derive(Clone, Debug)]
pub enum Devices {
    /// So many addresses, counted up from the first.
    Counted {
        /// The address of number 0.
        first: MacAddress,
        /// How many; at least one.
        count: u64,
    },
    /// These.
    Listed(Arc<[MacAddress]>),
}

impl Devices {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Counted { count, .. } => *count,
            Self::Listed(macs) => macs.len() as u64,
        }
    }

    /// The address of a device. Numbers beyond the last start again.
    #[must_use]
    pub fn mac(&self, number: u64) -> MacAddress {
        match self {
            Self::Counted { first, count } => {
                let [a, b, c, d, e, f] = first.octets();
                let base = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
                let [_, _, octets @ ..] = base.wrapping_add(number % (*count).max(1)).to_be_bytes();
                MacAddress::new(octets)
            }
            Self::Listed(macs) => {
                let place = usize::try_from(number % (macs.len() as u64).max(1)).unwrap_or(0);
                macs.get(place).copied().unwrap_or(MacAddress::new([0; 6]))
            }
        }
    }
}

/// How often each device asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// All alike, in random order.
    Uniform,
    /// Zipf's law with this exponent (above 0): device number `n` asks as often as `1 / (n + 1)^exponent` says, so that a
    /// few ask most of the time. 1 is the usual exponent.
    Zipf(f64),
}

/// Draws numbers of devices.
#[derive(Clone, Debug)]
pub(super) enum Draw {
    Uniform(u64),
    Zipf(Zipf),
}

impl Draw {
    /// `count`: at least 1.
    pub(super) fn new(distribution: Distribution, count: u64) -> Self {
        match distribution {
            Distribution::Uniform => Self::Uniform(count),
            Distribution::Zipf(exponent) => Self::Zipf(Zipf::new(count, exponent)),
        }
    }

    pub(super) fn next(&self, chance: &mut Chance) -> u64 {
        match self {
            Self::Uniform(count) => chance.below(*count),
            Self::Zipf(zipf) => zipf.next(chance),
        }
    }
}

/// Numbers by Zipf's law, without a table: the time for one doesn't depend on how many there are.
///
/// Source: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", 1996.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    count: f64,
    exponent: f64,
    /// The area under the curve from 1/2 less than the first rank, and up to 1/2 more than the last.
    area: (f64, f64),
    /// A draw this near below its rank is accepted without a look at the curve.
    near: f64,
}

impl Zipf {
    fn new(count: u64, exponent: f64) -> Self {
        let mut zipf = Self { count: count.max(1) as f64, exponent, area: (0.0, 0.0), near: 0.0 };
        zipf.area = (zipf.integral(1.5) - 1.0, zipf.integral(zipf.count + 0.5));
        zipf.near = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.height(2.0));
        zipf
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is 1 to `count`")]
    fn next(&self, chance: &mut Chance) -> u64 {
        loop {
            let share = (chance.next() >> 11) as f64 / (1_u64 << 53) as f64;
            let under = self.area.1 + share * (self.area.0 - self.area.1);
            let exact = self.inverse(under);
            let rank = exact.round().clamp(1.0, self.count);
            if rank - exact <= self.near || under >= self.integral(rank + 0.5) - self.height(rank) {
                return rank as u64 - 1;
            }
        }
    }

    fn height(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// The integral of the height, 0 at 1.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let bend = (1.0 - self.exponent) * log;
        // (e^bend - 1) / bend, which goes to 1 where the exponent is 1.
        log * if bend.abs() > 1e-8 { bend.exp_m1() / bend } else { 1.0 + bend / 2.0 }
    }

    fn inverse(&self, area: f64) -> f64 {
        let bend = (area * (1.0 - self.exponent)).max(-1.0);
        (area * if bend.abs() > 1e-8 { bend.ln_1p() / bend } else { 1.0 - bend / 2.0 }).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_draws_every_rank_as_often_as_the_law_says() {
        const DRAWS: u32 = 50_000;
        for (count, exponent) in [(1_u64, 1.0), (2, 1.0), (10, 0.5), (10, 1.0), (10, 2.0), (1_000, 1.0), (1_000, 1.2)] {
            let draw = Draw::new(Distribution::Zipf(exponent), count);
            let mut chance = Chance::new(7);
            let mut seen = vec![0_u32; usize::try_from(count).unwrap()];
            for _ in 0..DRAWS {
                seen[usize::try_from(draw.next(&mut chance)).unwrap()] += 1;
            }
            let weights: Vec<f64> = (1..=count).map(|rank| (rank as f64).powf(-exponent)).collect();
            let all: f64 = weights.iter().sum();
            for (rank, (seen, weight)) in seen.iter().zip(&weights).enumerate() {
                let expected = f64::from(DRAWS) * weight / all;
                // Five times the standard deviation of a count.
                let tolerance = 5.0 * expected.sqrt() + 1.0;
                assert!(
                    (f64::from(*seen) - expected).abs() < tolerance,
                    "{count} {exponent} {rank}: {seen}, {expected}"
                );
            }
        }
    }

    #[test]
    fn zipf_stays_within_a_huge_fleet() {
        for exponent in [0.2, 1.0, 3.0] {
            let draw = Draw::new(Distribution::Zipf(exponent), 1_000_000_000);
            let mut chance = Chance::new(1);
            assert!((0..10_000).all(|_| draw.next(&mut chance) < 1_000_000_000));
        }
    }

    #[test]
    fn uniform_asks_for_all() {
        let draw = Draw::new(Distribution::Uniform, 50);
        let mut chance = Chance::new(1);
        let seen: std::collections::BTreeSet<u64> = (0..2_000).map(|_| draw.next(&mut chance)).collect();
        assert_eq!(seen.len(), 50);
    }

    #[test]
    fn addresses_count_up_from_the_first_over_its_octets() {
        let first = MacAddress::new([0xa4, 0xc3, 0xf0, 0x11, 0x22, 0xfe]);
        let devices = Devices::Counted { first, count: 3 };
        let macs: Vec<String> = (0..4).map(|number| devices.mac(number).to_string()).collect();
        assert_eq!(macs, ["A4-C3-F0-11-22-FE", "A4-C3-F0-11-22-FF", "A4-C3-F0-11-23-00", "A4-C3-F0-11-22-FE"]);
        let listed = Devices::Listed(Arc::from([first]));
        assert_eq!((listed.count(), listed.mac(0), listed.mac(9)), (1, first, first));
    }
}
