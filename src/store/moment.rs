//! When something was saved, so that its age goes on counting over a restart.
//!
//! Owns the comparison of two moments of different processes. The wall clock may have been set meanwhile; what the kernel
//! counts since it started can't be, except in containers.

use std::{fs, time::Duration};

use crate::{
    clock::{self, Now, Wall},
    device::identifier::Guid,
};

/// The age of an answer when nobody knows how long radmit was away: too old for anything but knowing whom to ask.
const AGE_UNKNOWN: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A moment as it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// What the wall clock showed.
    pub(super) wall: Wall,
    /// Which start of the kernel it was, and how long ago; if the system tells.
    pub(super) boot: Option<(BootId, Duration)>,
}

/// One start of the kernel.
pub(super) type BootId = [u8; 16];

/// Both clocks of this process and the kernel's, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// This process's.
    pub(super) now: Now,
    /// The same moment as it is written down.
    pub(super) moment: Moment,
}

impl Clocks {
    /// Reads them.
    pub(super) fn read() -> Self {
        let now = clock::now();
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let id = id.and_then(|text| Guid::parse(text.trim().as_bytes())).map(Guid::octets);
        let uptime = fs::read_to_string("/proc/uptime").ok();
        let uptime = uptime.and_then(|text| text.split_ascii_whitespace().next()?.parse::<f64>().ok());
        let uptime = uptime.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
        Self { now, moment: Moment { wall: now.wall, boot: id.zip(uptime) } }
    }

    /// How long ago `saved` was: what the wall clock or the kernel tells, whichever is longer. A wall clock may have been
    /// set back, and the count of the kernel begins anew in a container that was restarted; nothing may look younger by
    /// that. `newest`: the latest wall time that was ever written down. If the wall clock shows an earlier one and the
    /// kernel can't tell, nobody knows, and it is very long.
    pub(super) fn since(&self, saved: Moment, newest: Wall) -> Duration {
        if let (Some((id, then)), Some((current, uptime))) = (saved.boot, self.moment.boot)
            && id == current
            && uptime >= then
        {
            return (uptime - then).max(self.moment.wall.since(saved.wall));
        }
        if self.moment.wall < newest.max(saved.wall) {
            return AGE_UNKNOWN;
        }
        self.moment.wall.since(saved.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn clocks(wall_secs: i64, boot: u8, uptime: Duration) -> Clocks {
        let wall = Wall::from_secs(wall_secs);
        let now = Now { wall, ..Now::default() };
        Clocks { now, moment: Moment { wall, boot: Some(([boot; 16], uptime)) } }
    }

    #[test]
    fn a_clock_that_is_set_back_changes_no_age_while_the_kernel_runs_on() {
        let saved = clocks(10_000, 1, HOUR).moment;
        assert_eq!(clocks(1_000, 1, 2 * HOUR).since(saved, saved.wall), HOUR);
    }

    #[test]
    fn a_container_that_was_restarted_makes_nothing_younger() {
        // It shows the start of the machine, but its own uptime.
        let saved = clocks(10_000, 1, 9 * HOUR).moment;
        assert_eq!(clocks(13_600, 1, Duration::ZERO).since(saved, saved.wall), HOUR);
        let saved = clocks(10_000, 1, HOUR / 60).moment;
        assert_eq!(clocks(13_600, 1, HOUR / 30).since(saved, saved.wall), HOUR);
        assert_eq!(clocks(1_000, 1, Duration::ZERO).since(saved, saved.wall), AGE_UNKNOWN);
    }

    #[test]
    fn after_another_start_of_the_kernel_the_wall_clock_counts() {
        let saved = clocks(10_000, 1, 9 * HOUR).moment;
        assert_eq!(clocks(13_600, 2, Duration::ZERO).since(saved, saved.wall), HOUR);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_younger() {
        let (old, newest) = (clocks(10_000, 1, HOUR).moment, Wall::from_secs(20_000));
        assert_eq!(clocks(15_000, 2, Duration::ZERO).since(old, newest), AGE_UNKNOWN);
        assert_eq!(clocks(5_000, 2, Duration::ZERO).since(old, Wall::from_secs(0)), AGE_UNKNOWN);
    }

    #[test]
    fn where_the_kernel_tells_nothing_the_wall_clock_counts() {
        let saved = Moment { wall: Wall::from_secs(10), boot: None };
        assert_eq!(clocks(3_610, 2, HOUR).since(saved, saved.wall), HOUR);
    }
}
