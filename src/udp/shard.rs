//! The loop of one shard: wait, receive, let the machine work, send.
//!
//! Owns the order of a turn and what a shard survives: bugs of the machine and failures of the kernel. It decides
//! nothing about requests.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::{self, Mono, Now},
    engine::{
        action::Outbox,
        arrival::Arrival,
        machine::{Machine, Mail},
    },
    limits,
    metrics::udp::ShardCells,
};

use super::{
    batch::Inbound,
    flush::flush,
    mailbox::Mailbox,
    replies::Replies,
    socket::{Readiness, Socket},
    valve::Valve,
};

/// One shard: its sockets, its machine, and what reaches it from other threads.
pub struct Shard {
    sockets: Vec<Arc<Socket>>,
    valves: Vec<Valve>,
    mailbox: Arc<Mailbox>,
    cells: Arc<ShardCells>,
    ready: Readiness,
    inbound: Inbound,
    mail: Vec<Mail>,
    hand: Hand,
    draining: bool,
    busy: bool,
    more_answers: bool,
}

impl Shard {
    /// `sockets`: one for each listener, in their order.
    #[must_use]
    pub fn new(
        sockets: Vec<Arc<Socket>>,
        mailbox: Arc<Mailbox>,
        cells: Arc<ShardCells>,
        machine: Box<dyn Machine + Send>,
    ) -> Self {
        let watched = sockets.iter().map(|socket| socket.descriptor()).chain([mailbox.descriptor()]);
        Self {
            ready: Readiness::of(watched),
            inbound: Inbound::new(),
            mail: Vec::with_capacity(limits::BATCH_DATAGRAMS),
            hand: Hand { machine, replies: Replies::new(), cells: Arc::clone(&cells), timers_rest_until: None },
            draining: false,
            busy: false,
            more_answers: false,
            valves: sockets.iter().map(|_| Valve::new()).collect(),
            sockets,
            mailbox,
            cells,
        }
    }

    /// Works until the mailbox says stop and nothing waits any more, or until the time that it says.
    pub fn run(mut self) {
        loop {
            let timeout = self.timeout();
            if self.ready.wait(timeout).is_err_and(|error| error.kind() != std::io::ErrorKind::Interrupted) {
                self.cells.receive_failed.increment_own();
            }
            let now = clock::now();
            self.turn(now);
            if self.is_done(now.mono) {
                return;
            }
        }
    }

    /// How long to wait for datagrams and answers; `None` is for ever.
    fn timeout(&mut self) -> Option<Duration> {
        if self.busy {
            // There is more. The sockets are still asked which of them, so that a flood on one
            // doesn't keep the shard from the others.
            return Some(Duration::ZERO);
        }
        let now = clock::now().mono;
        let wake_at = self.hand.wake_at(now).min(self.mailbox.stop_at());
        (wake_at != Mono::NEVER).then(|| wake_at.since(now))
    }

    /// One batch: at most [`limits::BATCH_DATAGRAMS`] from each socket and as many answers, so that neither
    /// authentication nor accounting nor answers can starve the others.
    fn turn(&mut self, now: Now) {
        self.busy = false;
        self.hand.call(|machine, _| machine.begin(now));
        for place in 0..self.sockets.len() {
            let is_full = self.ready.is_ready(place) && self.receive(now, place);
            self.busy |= is_full;
            if let (Some(valve), Some(socket)) = (self.valves.get_mut(place), self.sockets.get(place)) {
                valve.turn(is_full, now.mono, socket, &self.cells);
            }
        }
        self.cells.shedding_percent.set(self.valves.iter().map(Valve::percent_shed).max().unwrap_or(0));
        if self.more_answers || self.ready.is_ready(self.sockets.len()) {
            self.resume(now);
        }
        if !self.draining && self.mailbox.stop_at() != Mono::NEVER {
            self.draining = true;
            self.hand.call(|machine, _| machine.drain());
        }
        self.hand.expire(now);
        self.hand.end(now);
        flush(&self.sockets, &mut self.hand.replies, &self.cells);
    }

    /// Receives a batch and works on it. True if it was full: a full batch means that there is more.
    fn receive(&mut self, now: Now, place: usize) -> bool {
        let Some(socket) = self.sockets.get(place) else { return false };
        let Ok(received) = self.inbound.receive(socket) else {
            self.cells.receive_failed.increment_own();
            return false;
        };
        self.cells.received.add(received as u64);
        let mut batch = [const { None }; limits::BATCH_DATAGRAMS];
        let mut count = 0;
        for (place, datagram) in batch.iter_mut().zip(self.inbound.datagrams()) {
            *place = Some(Arrival::from(datagram));
            count += 1;
        }
        let batch = batch.get_mut(..count).unwrap_or_default();
        // If looking ahead meets a bug, each datagram is still handled alone, so that one of them doesn't take the rest
        // along.
        self.hand.call(|machine, _| machine.look(batch));
        for arrival in Arrival::in_turn(batch) {
            self.hand.call(|machine, out| machine.handle(now, arrival, out));
        }
        received == limits::BATCH_DATAGRAMS
    }

    fn resume(&mut self, now: Now) {
        self.mailbox.acknowledge();
        self.more_answers = self.mailbox.take(&mut self.mail);
        self.busy |= self.more_answers;
        for mail in self.mail.drain(..) {
            self.hand.call(|machine, out| match mail {
                Mail::Answer(answer) => machine.resume(now, &answer, out),
                Mail::Done(done) => machine.finished(now, *done, out),
            });
        }
    }

    fn is_done(&mut self, now: Mono) -> bool {
        self.draining && (now >= self.mailbox.stop_at() || self.hand.waiting() == 0)
    }
}

/// The machine behind a wall: whatever panics in it stays in it.
///
/// A panic is a bug of ours, and a stranger may have found the datagram that triggers it. If it ended the thread, one
/// datagram would silence a share of all clients until somebody restarts the server. So the call is given up, counted as
/// the drop reason `bug`, and the request gets no answer: a reject would look healthy to the NAS and defeat its failover
/// to another server.
///
/// Going on with the same machine is memory-safe, since no machine holds `unsafe` code. What a call that was given up
/// half-way can leave behind is an entry that the rest of the call would have completed or removed: a machine's tables
/// are bounded and their entries have deadlines, so that it goes by itself in seconds.
struct Hand {
    machine: Box<dyn Machine + Send>,
    replies: Replies,
    cells: Arc<ShardCells>,
    timers_rest_until: Option<Mono>,
}

impl Hand {
    /// Makes one call. If it panics the replies that it queued are forgotten, and `None` is returned.
    fn call<R>(&mut self, call: impl FnOnce(&mut dyn Machine, &mut dyn Outbox) -> R) -> Option<R> {
        let before = self.replies.mark();
        let result = panic::catch_unwind(AssertUnwindSafe(|| call(&mut *self.machine, &mut self.replies)));
        if result.is_err() {
            self.replies.rewind(before);
            self.cells.bugs.increment_own();
        }
        result.ok()
    }

    fn expire(&mut self, now: Now) {
        if self.timers_rest_until.is_some_and(|until| now.mono < until) {
            return;
        }
        let result = self.call(|machine, out| machine.expire(now, out));
        self.timers_rest_until = result.is_none().then(|| now.mono.plus(limits::BUG_PAUSE));
    }

    fn end(&mut self, now: Now) {
        if self.call(|machine, out| machine.end(now, out)).is_none() {
            // The events of this batch may not have reached the log, so nothing of it may be acknowledged.
            self.replies.clear();
        }
    }

    fn wake_at(&mut self, now: Mono) -> Mono {
        if let Some(until) = self.timers_rest_until {
            return until;
        }
        self.call(|machine, _| machine.wake_at()).unwrap_or_else(|| now.plus(limits::BUG_PAUSE))
    }

    /// How many requests still wait. A machine that can't tell is not waited for.
    fn waiting(&mut self) -> usize {
        self.call(|machine, _| machine.waiting()).unwrap_or(0)
    }
}
