//! When requests are due: [`Pace`]. Of EAP-TLS whole conversations are meant.
//!
//! Owns the arithmetic of rates and ramps. It reads no clock: a moment is a distance from the start.

use std::time::Duration;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Closed loop: so many are always under way, and the next one leaves when one is answered or lost. A slow server
    /// slows the load, so the latencies say nothing about what happens at a given load.
    Window(usize),
    /// Open loop: so many a second, whatever the server does.
    Steady(f64),
    /// Open loop: from none to `rate` a second within `ramp`, growing linearly, and steady from then on.
    Storm {
        /// Requests a second after the ramp.
        rate: f64,
        /// How long it grows.
        ramp: Duration,
    },
}

impl Pace {
    /// When the request with this number, from 0, is due after the start. None in a closed loop: when there is room.
    #[must_use]
    pub fn due(self, number: u64) -> Option<Duration> {
        let number = number as f64;
        let secs = match self {
            Self::Window(_) => return None,
            Self::Steady(rate) => number / rate,
            Self::Storm { rate, ramp } => {
                let ramp = ramp.as_secs_f64();
                // The area of a triangle: while it grows, rate * t^2 / (2 * ramp) are due by t.
                let of_ramp = rate * ramp / 2.0;
                if number < of_ramp { (2.0 * ramp * number / rate).sqrt() } else { ramp + (number - of_ramp) / rate }
            }
        };
        // What is due after the end of time is never due.
        Some(Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX))
    }

    /// Requests a second at its height. None in a closed loop.
    #[must_use]
    pub const fn rate(self) -> Option<f64> {
        match self {
            Self::Window(_) => None,
            Self::Steady(rate) | Self::Storm { rate, .. } => Some(rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn due_before(pace: Pace, secs: f64) -> u64 {
        (0..).take_while(|number| pace.due(*number).unwrap() < Duration::from_secs_f64(secs)).count() as u64
    }

    #[test]
    fn a_steady_rate_is_due_at_even_distances() {
        let pace = Pace::Steady(4.0);
        let due: Vec<u128> = (0..5).map(|number| pace.due(number).unwrap().as_millis()).collect();
        assert_eq!(due, [0, 250, 500, 750, 1_000]);
    }

    #[test]
    fn a_storm_grows_linearly_and_stays() {
        let pace = Pace::Storm { rate: 1_000.0, ramp: Duration::from_secs(10) };
        // Half of the rate at half of the ramp, so a quarter of its requests by then.
        assert_eq!([1.0, 5.0, 10.0, 11.0, 12.0].map(|secs| due_before(pace, secs)), [50, 1_250, 5_000, 6_000, 7_000]);
    }

    #[test]
    fn a_closed_loop_has_no_schedule() {
        assert_eq!(Pace::Window(8).due(0), None);
    }

    proptest! {
        #[test]
        fn what_comes_later_is_due_later(
            rate in 0.1f64..1e6, ramp in 0u64..1_000, number in 0u64..1_000_000_000,
        ) {
            for pace in [Pace::Steady(rate), Pace::Storm { rate, ramp: Duration::from_secs(ramp) }] {
                let (this, next) = (pace.due(number).unwrap(), pace.due(number + 1).unwrap());
                prop_assert!(this <= next);
                // No gap is longer than the first of the ramp, and after the ramp none is longer than that of the rate.
                let after_ramp = matches!(pace, Pace::Steady(_)) || this >= Duration::from_secs(ramp);
                prop_assert!(!after_ramp || (next - this).as_secs_f64() <= 1.001 / rate + 1e-5);
            }
        }
    }
}
