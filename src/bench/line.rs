//! One thread of a run: its source ports, driven until its share is done.
//!
//! Owns sockets, waiting and sending. What is sent and what an answer means is the work's business.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed, mpsc::SyncSender},
    time::Duration,
};

use crate::{
    clock::{self, Mono},
    limits,
    udp::{
        batch::{self, Inbound},
        ready_list::ReadyList,
        replies::Replies,
        socket::{self, Socket},
    },
};

use super::{
    plan::Plan,
    tally::Second,
    work::{Ended, Work},
};

/// A thread's share of a run with all that it needs.
pub(super) struct Line {
    plan: Arc<Plan>,
    sockets: Vec<Socket>,
    work: Box<dyn Work>,
    inbound: Inbound,
    out: Replies,
    ready: ReadyList,
    /// Nothing new is sent before.
    pause_until: Mono,
    seconds: SyncSender<Second>,
}

/// How often in a row a source port may say that nobody listens before a request counts as not sent.
const REFUSALS_IN_A_ROW: u32 = 3;

impl Line {
    /// `sockets`: in the order of the work's source ports.
    ///
    /// # Errors
    /// What the system says when it shall watch them.
    pub(super) fn new(
        plan: Arc<Plan>,
        sockets: Vec<Socket>,
        work: Box<dyn Work>,
        seconds: SyncSender<Second>,
    ) -> io::Result<Self> {
        let ready = ReadyList::of(sockets.iter().map(Socket::descriptor))?;
        Ok(Self {
            plan,
            sockets,
            work,
            inbound: Inbound::new(),
            out: Replies::new(),
            ready,
            pause_until: Mono::default(),
            seconds,
        })
    }

    /// Runs until all is answered or lost.
    pub(super) fn run(mut self) -> Ended {
        let mut now = clock::now().mono;
        // What each source port's buffer had dropped when the warm-up ended.
        let mut dropped_before: Option<Vec<u32>> = None;
        while !self.work.is_finished() {
            if self.plan.stop.load(Relaxed) {
                self.work.stop(now);
            }
            self.wait(now);
            self.receive();
            now = clock::now().mono;
            if dropped_before.is_none() && now >= self.work.measured_from() {
                dropped_before = Some(self.dropped());
            }
            self.work.expire(now, &mut self.out);
            if now >= self.pause_until {
                self.work.offer(now, &mut self.out);
            }
            self.flush(now);
            while let Some(second) = self.work.take_second(now) {
                // Nobody listens any more when the run was given up.
                let _ = self.seconds.send(second);
            }
        }
        let dropped_before = dropped_before.unwrap_or_else(|| self.dropped());
        // The kernel counts modulo 2^32.
        let dropped = self.dropped().into_iter().zip(dropped_before).map(|(now, before)| now.wrapping_sub(before));
        let dropped_here = dropped.map(u64::from).sum();
        let mut ended = self.work.finish();
        ended.tally.dropped_here = dropped_here;
        let _ = self.seconds.send(ended.last.clone());
        ended
    }

    /// What each source port's buffer has dropped since it was bound, modulo 2^32.
    fn dropped(&self) -> Vec<u32> {
        self.sockets.iter().map(Socket::kernel_drops).collect()
    }

    fn wait(&mut self, now: Mono) {
        // In a pause what is due waits, and so does what became too late; it is short.
        let wake_at = self.work.wake_at(now).max(self.pause_until);
        let timeout = if self.plan.is_spinning { Duration::ZERO } else { wake_at.since(now) };
        // A signal interrupts; the next turn waits again.
        let _ = self.ready.wait(timeout);
    }

    fn receive(&mut self) {
        for number in self.ready.ready().iter().copied() {
            let Some(socket) = self.sockets.get(number) else { continue };
            match self.inbound.receive(socket) {
                Ok(_) => {
                    // Where the kernel doesn't tell, one moment for the whole batch: it had arrived by then.
                    let now = clock::now();
                    self.work.see(number, &mut self.inbound.datagrams().map(|datagram| datagram.octets));
                    for (datagram, arrival) in self.inbound.datagrams().zip(self.inbound.arrivals()) {
                        let at = arrival.map_or(now.mono, |at| now.mono_at(at));
                        self.work.receive(at, number, datagram.octets, &mut self.out);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.work.refused(clock::now().mono, number);
                }
                // What can't be received now is asked for again in the next turn, or counts as lost.
                Err(_) => {}
            }
        }
    }

    /// Sends what was written.
    fn flush(&mut self, now: Mono) {
        self.out.sort_by_listener();
        let (mut is_patient, mut refusals) = (true, 0);
        let mut rest = self.out.entries();
        while let Some(first) = rest.first() {
            let number = usize::from(first.to.route.listener);
            let run = rest.iter().take(limits::BATCH_DATAGRAMS);
            let run = run.take_while(|entry| entry.to.route.listener == first.to.route.listener).count();
            let (run, after) = rest.split_at(run);
            let Some(socket) = self.sockets.get(number) else {
                debug_assert!(false, "a request for source port {number} of {}", self.sockets.len());
                rest = after;
                continue;
            };
            let done = match batch::send_alike(socket, &self.out, run) {
                Ok(count @ 1..) => {
                    refusals = 0;
                    count
                }
                Err(error) if is_patient && error.kind() == io::ErrorKind::WouldBlock => {
                    is_patient = socket::wait_for_room(socket, limits::SEND_PATIENCE);
                    0
                }
                // It is about a request that left before.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && refusals < REFUSALS_IN_A_ROW => {
                    refusals += 1;
                    self.work.refused(now, number);
                    0
                }
                // Perhaps it is about their going together.
                Ok(0) | Err(_) if socket.sends_segments() => {
                    socket.send_segments(false);
                    0
                }
                Ok(0) | Err(_) => {
                    self.pause_until = now.plus(limits::BENCH_SEND_PAUSE);
                    if let Some(identifier) = self.out.octets(first).get(1) {
                        self.work.unsent(now, number, *identifier);
                    }
                    1
                }
            };
            rest = rest.get(done..).unwrap_or_default();
        }
        self.out.clear();
    }
}
