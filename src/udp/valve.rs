//! How many new requests a socket takes in while more come than its shard can work off.
//!
//! Owns the decision, from how full the kernel's queue is, and the numbers about it. The program that does it in the kernel
//! is `filter`.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use crate::{clock::Mono, engine::action::Port, limits::BATCH_DATAGRAMS, metrics::udp::ShardCells};

use super::{
    filter::ALL,
    socket::{Backlog, Socket},
};

/// How often the queue is looked at while there is load. In this time 100,000 requests a second fill a twentieth of the
/// usual one.
const INTERVAL: Duration = Duration::from_millis(4);

/// For how long flows are measured before the valve is set by them. It holds several turns of a shard that shares its core.
/// To set the valve costs the kernel a compilation and both cores their instruction caches, about 100 microseconds, so it
/// has to be seldom.
const WINDOW: Duration = Duration::from_millis(25);

/// So many windows in a row must have been slow before a shard counts as slow. One may have been when its core was taken away
/// for a moment, and what waits then is worked off sooner than the window makes believe.
const WINDOWS: usize = 4;

/// What lies in the queue for longer than this may no longer be waited for when it is answered, for clients ask again after
/// two seconds: half of it is the most that is let in, and bursts that are worked off sooner are not touched. A fast
/// shard's queue is full before; a slow one's would hold seconds.
const QUEUE_TIME: Duration = Duration::from_millis(500);

/// What a request takes in the kernel's books, roughly.
const QUEUED_OCTETS: u64 = 1_024;

/// For how long the same requests are let in and the same ones not. Clients ask again after a second or more, and then have
/// a new chance.
const SALT_TIME: Duration = Duration::from_millis(500);

/// The least that is taken in while the kernel's queue is too full: one in a thousand, so that this can grow again.
const LEAST: u16 = ALL / 1_024;

/// The valve of one socket. Open, it is not there at all.
#[derive(Debug)]
pub struct Valve {
    course: Course,
    look_at: Mono,
    looked_at: Mono,
    /// Full batches since then.
    batches: u64,
    /// What the kernel had dropped when it was last looked at.
    dropped: u32,
    /// The kernel doesn't want programs.
    is_refused: bool,
    /// Chooses whom the program lets in, and when it did so last.
    salts: Salts,
    salted_at: Mono,
}

impl Valve {
    /// Open.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            course: Course::new(),
            look_at: Mono::NEVER,
            looked_at: Mono::NEVER,
            batches: 0,
            dropped: 0,
            is_refused: false,
            salts: Salts::new(),
            salted_at: Mono::NEVER,
        }
    }

    /// How many of a hundred new requests are turned away.
    #[must_use]
    pub fn percent_shed(&self) -> i64 {
        i64::from((u32::from(ALL - self.course.admitted) * 100).div_ceil(u32::from(ALL)))
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
            self.course.begin();
            self.look_next(now);
            return;
        }
        self.batches += 1;
        if now < self.look_at {
            return;
        }
        let Some(backlog) = socket.backlog() else { return };
        self.count(&backlog, cells);
        let look = Look {
            used: backlog.used,
            room: backlog.limit,
            worked_off: self.batches * BATCH_DATAGRAMS as u64,
            elapsed: now.since(self.looked_at),
        };
        self.look_next(now);
        let next = self.course.next(look);
        if let Some(admitted) = self.due(next, now) {
            self.salted_at = now;
            self.set(admitted, socket, cells);
        }
    }

    /// What is to be set: the next share, or the same with a new salt after the one that is there chose for long enough.
    fn due(&self, next: Option<u16>, now: Mono) -> Option<u16> {
        let is_old = self.course.admitted < ALL && now.since(self.salted_at) >= SALT_TIME;
        next.or_else(|| is_old.then_some(self.course.admitted))
    }

    fn look_next(&mut self, now: Mono) {
        (self.look_at, self.looked_at, self.batches) = (now.plus(INTERVAL), now, 0);
    }

    fn open(&mut self, socket: &Socket, cells: &ShardCells) {
        self.look_at = Mono::NEVER;
        if self.course.admitted < ALL {
            if let Some(backlog) = socket.backlog() {
                self.count(&backlog, cells);
            }
            self.set(ALL, socket, cells);
        }
    }

    /// Adds what was dropped while the valve was not open.
    fn count(&mut self, backlog: &Backlog, cells: &ShardCells) {
        if self.course.admitted < ALL {
            cells.shed.add(u64::from(backlog.dropped.wrapping_sub(self.dropped)));
        }
        self.dropped = backlog.dropped;
    }

    fn set(&mut self, admitted: u16, socket: &Socket, cells: &ShardCells) {
        match socket.admit(admitted, self.salts.next()) {
            Ok(()) => self.course.admitted = admitted,
            // Then the kernel drops whatever finds its queue full, as it does without us. A program that can't be removed
            // is tried again; one that can't be put there is not.
            Err(_) if self.course.admitted == ALL => {
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

/// Numbers that nobody outside can foresee.
#[derive(Debug)]
struct Salts(u64);

impl Salts {
    const fn new() -> Self {
        Self(0)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a part of a hash")]
    fn next(&mut self) -> u32 {
        self.0 += 1;
        // With a key of its own for each, which comes from the system once.
        RandomState::new().hash_one(self.0) as u32
    }
}

/// What is seen at a look.
#[derive(Clone, Copy)]
struct Look {
    /// Octets in the kernel's queue, and the most that it takes.
    used: u32,
    room: u32,
    /// Datagrams that left it since the look before, and how long that was.
    worked_off: u64,
    elapsed: Duration,
}

/// How many are admitted, from one look to the next.
///
/// The queue is kept between an eighth and a half: never empty, so that no time is lost, and never full, so that nothing is
/// dropped that the program would have let in. The flows of a window tell which share would keep it as it is; from there it
/// goes a little down or up again, until the queue reaches the other mark. Between the marks nothing changes, and a program
/// in place costs the shard nothing.
#[derive(Debug)]
struct Course {
    admitted: u16,
    /// The most that the queue should hold, by each of the last windows.
    limits: [u32; WINDOWS],
    /// What was in it at the last look.
    seen: u32,
    /// Of this window: what was in the queue at its begin, what left since, and how long it is.
    at_begin: u32,
    worked_off: u64,
    elapsed: Duration,
}

impl Course {
    const fn new() -> Self {
        Self {
            admitted: ALL,
            limits: [u32::MAX; WINDOWS],
            seen: 0,
            at_begin: 0,
            worked_off: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// There is load from here on.
    fn begin(&mut self) {
        *self = Self { admitted: self.admitted, ..Self::new() };
    }

    /// The share that should be admitted from now on, if it is another one.
    fn next(&mut self, look: Look) -> Option<u16> {
        self.worked_off += look.worked_off;
        self.elapsed += look.elapsed;
        let is_whole = self.elapsed >= WINDOW;
        if is_whole {
            self.limits.rotate_right(1);
            let [last, ..] = &mut self.limits;
            *last = limit_in_time(self.worked_off, self.elapsed);
        }
        let limit = u64::from(self.limits.iter().fold(0, |most, limit| most.max(*limit)).min(look.room));
        let is_falling = look.used < self.seen;
        self.seen = look.used;
        let used = u64::from(look.used);
        let admitted = if used * 4 >= limit * 3 && !is_falling {
            // No time to measure: what comes next would be dropped.
            self.admitted / 2
        } else if !is_whole {
            return None;
        } else if used * 2 >= limit {
            less(self.balanced(look.used))
        } else if used * 8 <= limit && self.admitted < ALL {
            more(self.balanced(look.used))
        } else {
            self.admitted
        };
        (self.at_begin, self.worked_off, self.elapsed) = (look.used, 0, Duration::ZERO);
        let admitted = admitted.max(LEAST);
        (admitted != self.admitted).then_some(admitted)
    }

    /// The share that would have kept the queue as it was in this window, at the end of which it holds `used` octets.
    fn balanced(&self, used: u32) -> u16 {
        let out = i128::from(self.worked_off * QUEUED_OCTETS);
        let inward = (out + i128::from(used) - i128::from(self.at_begin)).max(1);
        let share = (i128::from(self.admitted) * out / inward).min(i128::from(ALL));
        u16::try_from(share).unwrap_or(LEAST)
    }
}

const fn less(admitted: u16) -> u16 {
    admitted - admitted / 8
}

const fn more(admitted: u16) -> u16 {
    // At least one, or the least would never grow.
    admitted.saturating_add(admitted / 8).saturating_add(1)
}

/// The octets of [`QUEUE_TIME`] in the kernel's queue, for a shard that worked off so many datagrams in this time.
fn limit_in_time(worked_off: u64, elapsed: Duration) -> u32 {
    let (of, to) = (elapsed.as_micros().max(1), QUEUE_TIME.as_micros());
    u32::try_from(u128::from(worked_off * QUEUED_OCTETS) * to / of).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What became of a load: the fewest and the most that were ever in the queue, how many left it in each interval, and
    /// how often the valve was set. After a while, so that the beginning isn't in it.
    struct Settled {
        fewest: f64,
        most: f64,
        left: f64,
        sets: u32,
    }

    /// A queue with room for 10,000, to which `offered` come in an interval, of which `capacity` leave. The shard has its
    /// core in every `turns`th interval only, and as much longer for its work then.
    fn settle(offered: f64, capacity: f64, turns: u32) -> Settled {
        const ROOM: f64 = 10_000.0;
        let mut course = Course::new();
        let (mut queue, mut settled) = (0.0_f64, Settled { fewest: ROOM, most: 0.0, left: 0.0, sets: 0 });
        for interval in 0..8_000_u32 {
            queue = (queue + offered * f64::from(course.admitted) / f64::from(ALL)).min(ROOM);
            if interval % turns != 0 {
                continue;
            }
            let leaving = queue.min(capacity * f64::from(turns));
            queue -= leaving;
            if interval >= 4_000 {
                (settled.fewest, settled.most) = (settled.fewest.min(queue), settled.most.max(queue));
                settled.left += leaving;
            }
            if queue < 64.0 {
                // A batch that isn't full.
                course = Course::new();
                continue;
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and its room")]
            let (used, worked_off) = (queue as u32 * 1_024, leaving as u64);
            let elapsed = INTERVAL * turns;
            if let Some(admitted) = course.next(Look { used, room: 10_000 * 1_024, worked_off, elapsed }) {
                course.admitted = admitted;
                settled.sets += u32::from(interval >= 4_000);
            }
        }
        settled.left /= 4_000.0;
        settled
    }

    #[test]
    fn under_overload_the_queue_is_neither_empty_nor_full_and_the_valve_rests() {
        for (offered, capacity) in
            [(300.0, 100.0), (300.0, 200.0), (30.0, 10.0), (1_000.0, 100.0), (600.0, 400.0), (3_000.0, 1_000.0)]
        {
            for turns in [1, 3] {
                let Settled { fewest, most, left, sets } = settle(offered, capacity, turns);
                let told = format!("{offered} to {capacity} in {turns}: {fewest} to {most}, {left}, set {sets} times");
                assert!(fewest > 0.0 && most < 9_500.0, "{told}");
                assert!(left > 0.999 * capacity, "{told}");
                // Of 4,000 looks, or of a third of them.
                assert!(sets < 400, "{told}");
            }
        }
    }

    #[test]
    fn a_load_that_can_be_done_meets_an_open_valve() {
        let Settled { most, left, sets, .. } = settle(90.0, 100.0, 1);
        assert!(most < 100.0 && (89.9..90.1).contains(&left) && sets == 0, "{most} {left} {sets}");
    }

    #[test]
    fn a_slow_shards_queue_is_full_by_time() {
        // 8,000 a second: 500 ms are 4,000 requests.
        let limit = limit_in_time(64, Duration::from_millis(8));
        assert_eq!(limit, 4_000 * 1_024);
        assert!(limit_in_time(u64::MAX >> 20, Duration::ZERO) == u32::MAX);
        let after_windows = |waiting: u32| {
            let (mut course, elapsed) = (Course::new(), Duration::from_millis(32));
            let look = Look { used: waiting * 1_024, room: u32::MAX, worked_off: 256, elapsed };
            (0..WINDOWS).map(|_| course.next(look)).collect::<Vec<_>>()
        };
        let of_many = after_windows(2_100);
        assert!(of_many.iter().flatten().any(|admitted| *admitted < ALL), "more than a quarter of a second waits");
        assert!(after_windows(1_900).iter().all(Option::is_none));
    }

    #[test]
    fn a_shard_that_was_kept_from_its_core_for_a_moment_turns_nobody_away() {
        // 512 requests are always under way, and all of them wait when the shard comes back.
        let look = |worked_off, millis| {
            let elapsed = Duration::from_millis(millis);
            Look { used: 512 * 1_024, room: 8_192 * 1_024, worked_off, elapsed }
        };
        for stall in [25, 40, 200] {
            let mut course = Course::new();
            let windows = [look(64, stall), look(7_500, 25), look(64, stall), look(7_500, 25), look(64, stall)];
            assert!(windows.into_iter().all(|window| course.next(window).is_none()), "after {stall} ms");
        }
        // Where it is like that all the time, the shard is slow.
        let mut course = Course::new();
        assert!((0..WINDOWS).any(|_| course.next(look(64, 40)).is_some()));
    }

    #[test]
    fn a_queue_that_is_about_to_be_full_is_not_waited_for() {
        let mut course = Course::new();
        let look = |used| Look { used, room: 8_000, worked_off: 64, elapsed: INTERVAL };
        assert_eq!(course.next(look(5_000)), None, "there is time to measure");
        assert_eq!(course.next(look(6_000)), Some(ALL / 2));
        assert_eq!(course.next(look(5_999)), None, "it is going down");
    }

    #[test]
    fn the_same_are_not_turned_away_for_longer_than_clients_wait() {
        let set_at = Mono::from_nanos(1);
        let valve =
            |admitted| Valve { course: Course { admitted, ..Course::new() }, salted_at: set_at, ..Valve::new() };
        let due = |admitted, next, after| valve(admitted).due(next, set_at.plus(Duration::from_millis(after)));
        assert_eq!(due(1_000, None, 499), None, "nothing changes that often");
        assert_eq!(due(1_000, None, 500), Some(1_000), "the same share of others");
        assert_eq!(due(1_000, Some(900), 0), Some(900));
        assert_eq!(due(ALL, None, 60_000), None, "an open valve chooses nobody");
        let mut salts = Salts::new();
        assert_ne!(salts.next(), salts.next());
    }

    #[test]
    fn a_share_is_told_in_percent() {
        let told = |admitted| Valve { course: Course { admitted, ..Course::new() }, ..Valve::new() }.percent_shed();
        assert_eq!((told(ALL), told(ALL - 1), told(0x8000), told(0)), (0, 1, 50, 100));
    }
}
