//! How many new requests a socket takes in while more come than its shard can work off.
//!
//! Owns the decision, from how full the kernel's queue is, and the numbers about it. The program that does it in the kernel
//! is `filter`.

use std::time::Duration;

use crate::{clock::Mono, engine::action::Port, limits::BATCH_DATAGRAMS, metrics::udp::ShardCells};

use super::{
    filter::ALL,
    socket::{Backlog, Socket},
};

/// How often it is looked at while there is load. In this time 100,000 requests a second fill a tenth of the usual queue.
const INTERVAL: Duration = Duration::from_millis(2);

/// What lies in the queue for longer than this may no longer be waited for when it is answered, for clients ask again after
/// two seconds: half of it is the most that is let in, and bursts that are worked off sooner are not touched. A fast
/// shard's queue is full before; a slow one's would hold seconds.
const QUEUE_TIME: Duration = Duration::from_millis(500);

/// What a request takes in the kernel's books, roughly.
const QUEUED_OCTETS: u64 = 1_024;

/// The least that is taken in while the kernel's queue is too full: one in a thousand, so that this can grow again.
const LEAST: u16 = ALL / 1_024;

/// The valve of one socket. Open, it is not there at all.
#[derive(Debug)]
pub struct Valve {
    admitted: u16,
    look_at: Mono,
    looked_at: Mono,
    /// Full batches since then.
    batches: u64,
    /// What the kernel had dropped when it was last looked at.
    dropped: u32,
    /// The kernel doesn't want programs.
    is_refused: bool,
}

impl Valve {
    /// Open.
    #[must_use]
    pub const fn new() -> Self {
        Self { admitted: ALL, look_at: Mono::NEVER, looked_at: Mono::NEVER, batches: 0, dropped: 0, is_refused: false }
    }

    /// How many of a hundred new requests are turned away.
    #[must_use]
    pub fn percent_shed(&self) -> i64 {
        i64::from((u32::from(ALL - self.admitted) * 100).div_ceil(u32::from(ALL)))
    }

    /// A batch was received, full or not, or there was none. What isn't full ends the overload: the valve opens at once.
    pub fn turn(&mut self, is_full: bool, now: Mono, socket: &Socket, cells: &ShardCells) {
        if !is_full {
            return self.open(socket, cells);
        }
        if socket.port() != Port::Auth || self.is_refused {
            return;
        }
        if self.look_at == Mono::NEVER {
            // Bursts that end soon cost nothing.
            self.look_next(now);
            return;
        }
        self.batches += 1;
        if now < self.look_at {
            return;
        }
        let Some(backlog) = socket.backlog() else { return };
        self.count(&backlog, cells);
        let worked_off = self.batches * BATCH_DATAGRAMS as u64;
        let limit = backlog.limit.min(limit_in_time(worked_off, now.since(self.looked_at)));
        self.look_next(now);
        let admitted = next(self.admitted, &Backlog { limit, ..backlog });
        if admitted != self.admitted {
            self.set(admitted, socket, cells);
        }
    }

    fn look_next(&mut self, now: Mono) {
        (self.look_at, self.looked_at, self.batches) = (now.plus(INTERVAL), now, 0);
    }

    fn open(&mut self, socket: &Socket, cells: &ShardCells) {
        self.look_at = Mono::NEVER;
        if self.admitted < ALL {
            if let Some(backlog) = socket.backlog() {
                self.count(&backlog, cells);
            }
            self.set(ALL, socket, cells);
        }
    }

    /// Adds what was dropped while the valve was not open.
    fn count(&mut self, backlog: &Backlog, cells: &ShardCells) {
        if self.admitted < ALL {
            cells.shed.add(u64::from(backlog.dropped.wrapping_sub(self.dropped)));
        }
        self.dropped = backlog.dropped;
    }

    fn set(&mut self, admitted: u16, socket: &Socket, cells: &ShardCells) {
        match socket.admit(admitted) {
            Ok(()) => self.admitted = admitted,
            // Then the kernel drops whatever finds its queue full, as it does without us. A program that can't be removed
            // is tried again; one that can't be put there is not.
            Err(_) if self.admitted == ALL => {
                self.is_refused = true;
                cells.filter_refused.increment_own();
            }
            Err(_) => cells.filter_refused.increment_own(),
        }
    }
}

impl Default for Valve {
    fn default() -> Self {
        Self::new()
    }
}

/// The octets of [`QUEUE_TIME`] in the kernel's queue, for a shard that worked off so many datagrams in this time.
fn limit_in_time(worked_off: u64, elapsed: Duration) -> u32 {
    let (of, to) = (elapsed.as_micros().max(1), QUEUE_TIME.as_micros());
    u32::try_from(u128::from(worked_off * QUEUED_OCTETS) * to / of).unwrap_or(u32::MAX)
}

/// How many are admitted next.
///
/// The queue is kept between a quarter and a half: never empty, so that no time is lost, and never full, so that nothing is
/// dropped that the program would have let in. What is asked for without being needed is not asked for: between these marks
/// nothing changes, and a program in place costs the shard nothing.
fn next(admitted: u16, backlog: &Backlog) -> u16 {
    let quarters = |number: u64| u64::from(backlog.limit) * number / 4;
    let (used, admitted) = (u64::from(backlog.used), u32::from(admitted));
    let next = if used >= quarters(3) {
        admitted / 2
    } else if used >= quarters(2) {
        admitted - admitted / 8
    } else if used <= quarters(1) / 2 {
        admitted + admitted / 2
    } else if used <= quarters(1) {
        admitted + admitted / 8
    } else {
        admitted
    };
    u16::try_from(next).unwrap_or(ALL).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue with room for so many, to which `offered` come in an interval, of which `capacity` leave. Runs for a while;
    /// then the fewest and the most that were ever in it, and how many left in each interval.
    fn settle(offered: f64, capacity: f64) -> (f64, f64, f64) {
        const ROOM: f64 = 10_000.0;
        let (mut admitted, mut queue, mut left) = (ALL, 0.0_f64, 0.0);
        let (mut fewest, mut most) = (ROOM, 0.0_f64);
        for interval in 0..4_000 {
            queue = (queue + offered * f64::from(admitted) / f64::from(ALL)).min(ROOM);
            let leaving = queue.min(capacity);
            queue -= leaving;
            if interval >= 2_000 {
                (fewest, most) = (fewest.min(queue), most.max(queue));
                left += leaving;
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and its room")]
            let backlog = Backlog { used: queue as u32, limit: 10_000, dropped: 0 };
            // A batch that isn't full.
            admitted = if queue < 64.0 { ALL } else { next(admitted, &backlog) };
        }
        (fewest, most, left / 2_000.0)
    }

    #[test]
    fn under_overload_the_queue_is_neither_empty_nor_full() {
        for (offered, capacity) in
            [(300.0, 100.0), (300.0, 200.0), (30.0, 10.0), (1_000.0, 100.0), (3.0, 1.0), (600.0, 400.0)]
        {
            let (fewest, most, left) = settle(offered, capacity);
            assert!(fewest > 0.0 && most < 9_000.0, "{offered} to {capacity}: {fewest} to {most}");
            assert!(left > 0.999 * capacity, "{offered} to {capacity}: {left}");
        }
    }

    #[test]
    fn a_load_that_can_be_done_meets_an_open_valve() {
        let (_, most, left) = settle(90.0, 100.0);
        assert!(most < 100.0 && (89.9..90.1).contains(&left), "{most} {left}");
    }

    #[test]
    fn a_slow_shards_queue_is_full_by_time() {
        // 8,000 a second: 500 ms are 4,000 requests.
        let limit = limit_in_time(64, Duration::from_millis(8));
        assert_eq!(limit, 4_000 * 1_024);
        let waiting = |requests: u32| Backlog { used: requests * 1_024, limit, dropped: 0 };
        assert!(next(ALL, &waiting(2_100)) < ALL, "more than a quarter of a second waits");
        assert_eq!(next(ALL, &waiting(1_900)), ALL);
        assert!(limit_in_time(u64::MAX >> 20, Duration::ZERO) == u32::MAX);
    }

    #[test]
    fn a_share_is_told_in_percent() {
        let told = |admitted| Valve { admitted, ..Valve::new() }.percent_shed();
        assert_eq!((told(ALL), told(ALL - 1), told(0x8000), told(0)), (0, 1, 50, 100));
    }
}
