//! Whether requests are answered: what `/readyz` and `/healthz` say.
//!
//! Owns the state. The daemon sets it, and says what is broken.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

/// A stage in the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The configuration is being loaded, or sockets are being opened.
    Starting,
    /// Requests are answered.
    Ready,
    /// What waits is still answered; new requests are not.
    Draining,
}

impl Stage {
    /// What the page says.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// Tells what is broken, as a sentence; none if nothing is. What `/healthz` says, but for [`Stage::Draining`].
pub type Ailment = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// The stage, shared between the daemon and the page.
#[derive(Debug)]
pub struct Readiness(AtomicU8);

impl Default for Readiness {
    fn default() -> Self {
        let readiness = Self(AtomicU8::new(0));
        readiness.set(Stage::Starting);
        readiness
    }
}

impl Readiness {
    /// Enters a stage.
    pub fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Relaxed);
    }

    /// The stage now.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let stages = [Stage::Starting, Stage::Ready, Stage::Draining];
        stages.into_iter().find(|stage| *stage as u8 == self.0.load(Relaxed)).unwrap_or(Stage::Starting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_reads_back() {
        let readiness = Readiness::default();
        assert_eq!(readiness.stage(), Stage::Starting);
        for stage in [Stage::Ready, Stage::Draining, Stage::Starting] {
            readiness.set(stage);
            assert_eq!(readiness.stage(), stage);
        }
    }
}
