//! What the running configuration's certificates and lists say about their end, told every day and in metrics.
//!
//! Owns the repetition. The dates come from whoever read the files; at start and at each reload the problems tell them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tracing::warn;

use crate::{
    clock,
    eap::tls::expiry::{Expiry, next_ends},
};

/// Often enough that nobody misses it, seldom enough that nobody filters it out.
const EVERY: Duration = Duration::from_secs(86_400);

/// What ends, of the configuration that is running.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    current: Mutex<Vec<Expiry>>,
}

impl Expiries {
    /// Takes those of another configuration.
    pub(super) fn set(&self, expiries: Vec<Expiry>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = expiries;
    }

    /// The next end of each use, for metrics: its name and the Unix time.
    pub(super) fn ends(&self) -> Vec<(&'static str, i64)> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        next_ends(&current).map(|(role, ends)| (role.label(), ends.as_secs())).collect()
    }

    /// Tells what is near its end, every day until `stopped`.
    pub(super) async fn warn_daily(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                // An error means that the server is gone, which is a stop as well.
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            for warning in self.warnings() {
                warn!("{warning}");
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        let now = clock::now().wall;
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.iter().filter_map(|expiry| expiry.warning(now)).collect()
    }
}
