//! Where other threads reach a shard: [`Mailbox`] takes answers, computed handshakes and the order to stop, and wakes the shard.
//!
//! Owns the queue, its bound and the waking. What an answer means is the machine's business.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use crate::{
    clock::Mono,
    device::question::{Answer, Answers},
    engine::{machine::Mail, work::Done},
    limits,
    metrics::udp::ShardCells,
};

/// The letter box of one shard.
///
/// The shard is woken only by the first answer of an empty box: whoever delivers the next ones knows that it was woken
/// already and has not yet taken everything. So a storm of answers costs a handful of system calls.
#[derive(Debug)]
pub struct Mailbox {
    mail: Mutex<VecDeque<Mail>>,
    stop_at: AtomicI64,
    waker: UnixStream,
    woken: UnixStream,
    cells: Arc<ShardCells>,
}

impl Mailbox {
    /// An empty box that counts what it can't hold in `cells`.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn new(cells: Arc<ShardCells>) -> io::Result<Self> {
        let (waker, woken) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        Ok(Self {
            mail: Mutex::new(VecDeque::new()),
            stop_at: AtomicI64::new(Mono::NEVER.as_nanos()),
            waker,
            woken,
            cells,
        })
    }

    /// Tells the shard to take nothing new, to answer what waits, and to end at `until` at the latest. The earliest of
    /// several orders counts.
    pub fn stop(&self, until: Mono) {
        self.stop_at.fetch_min(until.as_nanos(), Ordering::AcqRel);
        self.wake();
    }

    /// When the shard must end; [`Mono::NEVER`] while nobody asked for it.
    #[must_use]
    pub fn stop_at(&self) -> Mono {
        Mono::from_nanos(self.stop_at.load(Ordering::Acquire))
    }

    /// Moves up to [`limits::BATCH_DATAGRAMS`] of what came into `batch`, so that a flood of answers doesn't keep the shard
    /// from its sockets. True if there are more.
    pub fn take(&self, batch: &mut Vec<Mail>) -> bool {
        let mut mail = self.lock();
        let taken = mail.len().min(limits::BATCH_DATAGRAMS);
        batch.extend(mail.drain(..taken));
        if mail.is_empty() && mail.capacity() > KEPT_CAPACITY {
            mail.shrink_to(KEPT_CAPACITY);
        }
        !mail.is_empty()
    }

    /// Hands a computed handshake to the shard. How many there can be is bounded by how many are taken to compute.
    pub fn finish(&self, done: Done) {
        let mail = self.lock();
        self.put(mail, Mail::Done(Box::new(done)));
    }

    fn put(&self, mut mail: MutexGuard<'_, VecDeque<Mail>>, new: Mail) {
        let was_empty = mail.is_empty();
        mail.push_back(new);
        drop(mail);
        if was_empty {
            self.wake();
        }
    }

    /// The descriptor that is readable after the shard was woken.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.woken.as_raw_fd()
    }

    /// Makes [`descriptor`](Self::descriptor) unreadable again. To be called before [`take`](Self::take): an answer that
    /// comes in between is then either taken, or wakes again.
    pub fn acknowledge(&self) {
        let mut bin = [0; 64];
        while matches!((&self.woken).read(&mut bin), Ok(read) if read == bin.len()) {}
    }

    fn wake(&self) {
        // A full pipe means that the shard is being woken many times over. Other failures can't be mended here; the
        // requests then meet their deadlines.
        let _ = (&self.waker).write(&[1]);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Mail>> {
        // No call under this lock leaves the queue half changed.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers for Mailbox {
    fn deliver(&self, answer: Answer) {
        let mail = self.lock();
        if mail.len() >= limits::ANSWERS_QUEUED_MAX {
            drop(mail);
            self.cells.answers_lost.increment();
            return;
        }
        self.put(mail, Mail::Answer(answer));
    }
}

/// Answers for which the memory is kept after a flood.
const KEPT_CAPACITY: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{
        identifier::MacAddress,
        question::{Key, Outcome, ServerIndex},
    };

    fn answer() -> Answer {
        let mac = MacAddress::parse(b"02-00-5E-00-00-01").unwrap();
        Answer { server: ServerIndex(0), key: Key::Mac(mac), outcome: Outcome::NotFound }
    }

    fn mailbox() -> Mailbox {
        Mailbox::new(Arc::default()).unwrap()
    }

    fn wakes(mailbox: &Mailbox) -> usize {
        let mut bin = [0; 256];
        (&mailbox.woken).read(&mut bin).unwrap_or(0)
    }

    #[test]
    fn only_the_first_answer_of_an_empty_box_wakes() {
        let mailbox = mailbox();
        for _ in 0..10 {
            mailbox.deliver(answer());
        }
        assert_eq!(wakes(&mailbox), 1);
        assert!(!mailbox.take(&mut Vec::new()));
        mailbox.deliver(answer());
        assert_eq!(wakes(&mailbox), 1);
    }

    #[test]
    fn a_flood_is_taken_in_batches() {
        let mailbox = mailbox();
        for _ in 0..limits::BATCH_DATAGRAMS + 1 {
            mailbox.deliver(answer());
        }
        let mut batch = Vec::new();
        assert!(mailbox.take(&mut batch));
        assert_eq!(batch.len(), limits::BATCH_DATAGRAMS);
        batch.clear();
        assert!(!mailbox.take(&mut batch));
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn a_full_box_counts_what_it_loses() {
        let mailbox = mailbox();
        for _ in 0..limits::ANSWERS_QUEUED_MAX + 3 {
            mailbox.deliver(answer());
        }
        assert_eq!(mailbox.cells.answers_lost.value(), 3);
    }

    #[test]
    fn the_earliest_order_to_stop_counts() {
        let mailbox = mailbox();
        assert_eq!(mailbox.stop_at(), Mono::NEVER);
        mailbox.stop(Mono::from_nanos(500));
        mailbox.stop(Mono::from_nanos(900));
        assert_eq!(mailbox.stop_at(), Mono::from_nanos(500));
        mailbox.acknowledge();
        assert_eq!(wakes(&mailbox), 0);
    }
}
