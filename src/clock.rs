//! Time as a value: [`Now`] holds both clocks, read once for a batch of packets and handed down.
//!
//! This is the only file that reads a clock. Everything below layer 5 takes [`Now`] as an argument, so that tests and
//! simulations move time by themselves.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// For ages and deadlines: never jumps.
    pub mono: Mono,
    /// For people, logs and time conditions: may jump when the machine's clock is set.
    pub wall: Wall,
}

impl Now {
    /// The same moment on both clocks, `by` later.
    #[must_use]
    pub const fn advanced(self, by: Duration) -> Self {
        Self { mono: self.mono.plus(by), wall: self.wall.plus(by) }
    }

    /// The wall time at which the monotonic clock showed, or will show, `at`.
    #[must_use]
    pub const fn wall_at(self, at: Mono) -> Wall {
        Wall(self.wall.0.saturating_add((at.0.saturating_sub(self.mono.0)) / 1_000))
    }

    /// The monotonic time at which the wall clock showed `at`, as far as the wall clock was right then.
    ///
    /// A time in the future of the wall clock becomes the present: an age is never negative.
    #[must_use]
    pub const fn mono_at(self, at: Wall) -> Mono {
        let micros_ago = self.wall.0.saturating_sub(at.0);
        if micros_ago <= 0 {
            return self.mono;
        }
        Mono(self.mono.0.saturating_sub(micros_ago.saturating_mul(1_000)))
    }
}

/// A moment on the monotonic clock: nanoseconds since the process first asked for the time.
///
/// Negative for moments before the process started, such as the age of a record that was loaded from disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(i64);

impl Mono {
    /// Later than every deadline.
    pub const NEVER: Self = Self(i64::MAX);

    /// `nanos`: nanoseconds since the origin.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// This moment and `by`; saturates.
    #[must_use]
    pub const fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    /// This moment less `by`; saturates.
    #[must_use]
    pub const fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }

    /// How long after `earlier` this is; zero if it is not later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        let elapsed = self.0.saturating_sub(earlier.0);
        Duration::from_nanos(if elapsed > 0 { elapsed.unsigned_abs() } else { 0 })
    }
}

/// A moment on the wall clock: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(i64);

impl Wall {
    /// `micros`: microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// `secs`: seconds since the Unix epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment and `by`; saturates.
    #[must_use]
    pub const fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by) / 1_000))
    }

    /// This moment less `by`; saturates.
    #[must_use]
    pub const fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by) / 1_000))
    }

    /// How long after `earlier` this is; zero if it is not later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        let elapsed = self.0.saturating_sub(earlier.0);
        Duration::from_micros(if elapsed > 0 { elapsed.unsigned_abs() } else { 0 })
    }
}

/// Reads both clocks.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where clocks are read")]
pub fn now() -> Now {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => Wall(nanos(after) / 1_000),
        // A machine without a battery may start before 1970; the date is wrong, but nothing breaks.
        Err(_) => Wall(0),
    };
    Now { mono: Mono(nanos(origin.elapsed())), wall }
}

#[expect(clippy::cast_possible_truncation, reason = "compared with i64::MAX first")]
const fn nanos(duration: Duration) -> i64 {
    let nanos = duration.as_nanos();
    if nanos > i64::MAX as u128 { i64::MAX } else { nanos as i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_clocks_translate_into_each_other() {
        let now = Now { mono: Mono::from_nanos(5_000_000_000), wall: Wall::from_secs(1_700_000_000) };
        let hour_ago = now.mono.minus(Duration::from_secs(3600));
        assert_eq!(now.wall_at(hour_ago), Wall::from_secs(1_700_000_000 - 3600));
        assert_eq!(now.mono_at(now.wall_at(hour_ago)), hour_ago);
    }

    #[test]
    fn a_wall_time_in_the_future_is_not_younger_than_now() {
        let now = Now { mono: Mono::from_nanos(7), wall: Wall::from_secs(10) };
        assert_eq!(now.mono_at(Wall::from_secs(999)), now.mono);
    }

    #[test]
    fn time_differences_are_never_negative() {
        assert_eq!(Mono::from_nanos(1).since(Mono::from_nanos(9)), Duration::ZERO);
        assert_eq!(Mono::NEVER.plus(Duration::MAX), Mono::NEVER);
    }
}
