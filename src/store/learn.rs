//! Which clients could be asked to sign: what is counted about each client with `message-authenticator = "learn"`.
//!
//! Owns the counting and when it is enough. It changes no client: a person decides.

use crate::{clock::Wall, limits};

/// What is known about one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// When the counting began.
    pub since: Wall,
    /// When the last Access-Request without Message-Authenticator came.
    pub unsigned_at: Option<Wall>,
    /// How many came without it in all.
    pub unsigned: u64,
    /// How many came with it since the last one without.
    pub signed: u64,
}

impl Learnt {
    /// Nothing yet.
    #[must_use]
    pub const fn new(now: Wall) -> Self {
        Self { since: now, unsigned_at: None, unsigned: 0, signed: 0 }
    }

    /// Adds what came since the last time.
    pub fn add(&mut self, now: Wall, signed: u64, unsigned: u64) {
        if unsigned > 0 {
            self.unsigned_at = Some(now);
            self.unsigned = self.unsigned.saturating_add(unsigned);
            self.signed = 0;
        } else {
            self.signed = self.signed.saturating_add(signed);
        }
    }

    /// Whether it can be required: for seven days none came without it, and enough came with it. A clock that was set
    /// back only makes it take longer.
    #[must_use]
    pub fn can_be_required(&self, now: Wall) -> bool {
        let quiet = now.since(self.unsigned_at.unwrap_or(self.since).max(self.since));
        quiet >= limits::LEARN_FOR && self.signed >= limits::LEARN_REQUESTS_MIN
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn seven_days_of_signed_requests_are_enough() {
        let begin = Wall::from_secs(1_800_000_000);
        let mut learnt = Learnt::new(begin);
        learnt.add(begin.plus(DAY), 1_000, 0);
        assert!(!learnt.can_be_required(begin.plus(DAY * 7).minus(Duration::from_secs(1))));
        assert!(learnt.can_be_required(begin.plus(DAY * 7)));
    }

    #[test]
    fn one_request_without_it_begins_the_seven_days_anew() {
        let begin = Wall::from_secs(1_800_000_000);
        let mut learnt = Learnt::new(begin);
        learnt.add(begin.plus(DAY * 6), 1_000, 1);
        learnt.add(begin.plus(DAY * 8), 1_000, 0);
        assert!(!learnt.can_be_required(begin.plus(DAY * 12)));
        assert!(learnt.can_be_required(begin.plus(DAY * 13)));
        assert_eq!(learnt.unsigned, 1);
    }

    #[test]
    fn silence_and_a_single_packet_show_nothing() {
        let begin = Wall::from_secs(1_800_000_000);
        let mut learnt = Learnt::new(begin);
        assert!(!learnt.can_be_required(begin.plus(DAY * 30)));
        learnt.add(begin.plus(DAY), 1, 0);
        assert!(!learnt.can_be_required(begin.plus(DAY * 30)));
    }

    #[test]
    fn a_clock_set_back_decides_nothing_early() {
        let begin = Wall::from_secs(1_800_000_000);
        let mut learnt = Learnt::new(begin);
        learnt.add(begin.plus(DAY), 1_000, 1);
        learnt.add(begin.minus(DAY), 1_000, 0);
        assert!(!learnt.can_be_required(begin.minus(DAY)));
    }
}
