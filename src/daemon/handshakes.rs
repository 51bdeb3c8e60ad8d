//! The threads that compute TLS handshakes for the shards.
//!
//! Owns the queue, its bound and the threads. What is computed is the engine's matter.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use crate::{
    engine::work::{Work, Workers},
    limits,
    udp::mailbox::Mailbox,
};

/// The threads. They end when this is dropped; what waits then is forgotten, and its devices begin anew.
#[derive(Debug)]
pub struct Handshakes {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    mailboxes: Vec<Arc<Mailbox>>,
}

#[derive(Debug, Default)]
struct State {
    // Bound: `limits::EAP_HANDSHAKES_QUEUED_MAX`; what is beyond is given back.
    waiting: VecDeque<Box<Work>>,
    is_stopping: bool,
}

impl Handshakes {
    /// As many threads as there are cores, for the shards with these mailboxes.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(mailboxes: Vec<Arc<Mailbox>>) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let queue = Arc::new(Queue { state: Mutex::default(), wake: Condvar::new(), mailboxes });
        let start = |number: usize| {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(format!("radmit-tls-{number}")).spawn(move || queue.work())
        };
        let threads = (0..cores).map(start).collect::<io::Result<_>>()?;
        Ok(Self { queue, threads })
    }

    /// Where shards give their work.
    #[must_use]
    pub fn workers(&self) -> Arc<dyn Workers> {
        Arc::clone(&self.queue) as Arc<dyn Workers>
    }
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.is_stopping = true;
        state.waiting.clear();
        drop(state);
        self.queue.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A panic in the work is caught there; one elsewhere has nothing left to lose.
            let _ = thread.join();
        }
    }
}

impl Workers for Queue {
    fn take(&self, work: Box<Work>) -> Result<(), Box<Work>> {
        let mut state = self.state();
        if state.is_stopping || state.waiting.len() >= limits::EAP_HANDSHAKES_QUEUED_MAX {
            return Err(work);
        }
        state.waiting.push_back(work);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }
}

impl Queue {
    fn work(&self) {
        while let Some(work) = self.next() {
            let shard = usize::from(work.shard());
            let done = work.run();
            if let Some(mailbox) = self.mailboxes.get(shard) {
                mailbox.finish(done);
            }
        }
    }

    /// What to compute next, once there is something; `None` at the end.
    fn next(&self) -> Option<Box<Work>> {
        let mut state = self.state();
        loop {
            if state.is_stopping {
                return None;
            }
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No call under this lock leaves the queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
