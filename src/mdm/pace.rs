//! Long work that leaves room for short work: after each small part of it, whoever waits for the core may have it.
//!
//! Owns the rhythm. What the work is, and how large its parts are, is said where it is done.

/// Counts parts of a long piece of work, and gives way now and then.
///
/// A page of a list is some milliseconds of work, and a packet thread that is woken meanwhile on the same core would wait
/// for the end of it: the scheduler seldom takes a core away before the next tick, 4 ms later. Giving way costs less than
/// a microsecond where nobody waits.
#[derive(Debug)]
pub(super) struct Pace {
    every: u32,
    done: u32,
}

impl Pace {
    /// Gives way after `every` (1 or more) steps; together they should take about 50 microseconds.
    pub(super) const fn every(every: u32) -> Self {
        Self { every, done: 0 }
    }

    /// One step is done. Whether it was the last of its part.
    pub(super) fn step(&mut self) -> bool {
        self.done += 1;
        let is_part = self.done >= self.every;
        if is_part {
            self.done = 0;
            std::thread::yield_now();
        }
        is_part
    }
}
