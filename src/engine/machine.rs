//! The machine that a shard's thread drives, and what other threads send to it.
//!
//! Owns the calls and their order. `udp` makes them; the engine is the machine, tests have smaller ones.

use crate::{
    clock::{Mono, Now},
    device::question::Answer,
};

use super::{action::Outbox, arrival::Arrival, work::Done};

/// What a shard's thread drives. Time comes with every call; nothing in here waits.
///
/// The order of calls: `begin`, then any number of `look`, `handle`, `resume` and `expire`, then `end`, and only after it
/// are the replies sent. `end` signs replies and hands the batch's events to the log; an acknowledgement of accounting
/// depends on that.
pub trait Machine {
    /// A batch begins: the machine looks whether the configuration was swapped.
    fn begin(&mut self, now: Now);
    /// Datagrams were received, each of which is handled next: what can be computed for all of them at once, may be now.
    /// They can be newer than the swap that `begin` came too early for, so the machine looks for it again.
    fn look(&mut self, batch: &mut [Option<Arrival<'_>>]) {
        let _ = batch;
    }
    /// A datagram was received.
    fn handle(&mut self, now: Now, arrival: &Arrival<'_>, out: &mut dyn Outbox);
    /// A question was answered.
    fn resume(&mut self, now: Now, answer: &Answer, out: &mut dyn Outbox);
    /// A handshake that was given to another thread is computed.
    fn finished(&mut self, now: Now, done: Done, out: &mut dyn Outbox);
    /// The time told by `wake_at` has come, or a batch was handled: deadlines and delayed rejects that are due.
    fn expire(&mut self, now: Now, out: &mut dyn Outbox);
    /// The batch ends.
    fn end(&mut self, now: Now, out: &mut dyn Outbox);
    /// When `expire` must be called at the latest.
    fn wake_at(&self) -> Mono;
    /// New requests are no longer taken; what waits is still answered.
    fn drain(&mut self);
    /// How many requests still wait for an answer or for the delay of a reject.
    fn waiting(&self) -> usize;
}

/// What other threads send to a shard.
#[derive(Debug)]
pub enum Mail {
    /// A question was answered.
    Answer(Answer),
    /// A handshake is computed.
    Done(Box<Done>),
}
