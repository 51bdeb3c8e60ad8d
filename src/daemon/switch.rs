//! The two ends of lookups across reloads: engines ask one [`Switch`], whichever worker stands behind it.
//!
//! Owns the translation between the places that servers keep for as long as the process runs and those that they have in
//! one worker. It asks nothing itself.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::{
    device::question::{Answer, Answers, Failure, Question, Questions, ServerIndex},
    mdm::worker::Worker,
};

/// Where engines ask.
#[derive(Debug, Default)]
pub(super) struct Switch {
    current: ArcSwapOption<Behind>,
}

/// A worker, and which lasting place each of its servers has.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) worker: Worker,
    pub(super) places: Vec<ServerIndex>,
}

impl Switch {
    /// Puts another worker behind; gives back the one before.
    pub(super) fn swap(&self, behind: Behind) -> Option<Arc<Behind>> {
        self.current.swap(Some(Arc::new(behind)))
    }

    /// Takes the worker away.
    pub(super) fn take(&self) -> Option<Arc<Behind>> {
        self.current.swap(None)
    }
}

impl Questions for Switch {
    fn ask(&self, question: Question) -> Result<(), Failure> {
        let current = self.current.load();
        let Some(behind) = current.as_ref() else { return Err(Failure::NotReady) };
        let place = behind.places.iter().position(|place| *place == question.server);
        // A server that the last reload removed is no longer asked.
        let server = place.and_then(|at| u8::try_from(at).ok()).map(ServerIndex).ok_or(Failure::Misconfigured)?;
        behind.worker.ask(Question { server, ..question })
    }
}

/// Where a worker's answers go: the same shard, with the server's lasting place.
pub(super) struct Translated {
    pub(super) shard: Arc<dyn Answers>,
    pub(super) places: Arc<[ServerIndex]>,
}

impl Answers for Translated {
    fn deliver(&self, answer: Answer) {
        if let Some(server) = self.places.get(usize::from(answer.server.0)) {
            self.shard.deliver(Answer { server: *server, ..answer });
        }
    }
}
