//! Threads that do nothing, so that a server has only a part of its core.
//!
//! Owns them. Measures nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::process;

/// A thread that keeps its core busy, and shares it fairly with the others there.
pub(crate) struct Idler(Arc<AtomicBool>);

impl Idler {
    /// Takes its share of this core until it is dropped.
    pub(crate) fn start(core: u32) -> Self {
        let (ends, ready) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (of_thread, told) = (Arc::clone(&ends), Arc::clone(&ready));
        std::thread::spawn(move || {
            let _ = process::pin_own_thread(core);
            told.store(true, Relaxed);
            while !of_thread.load(Relaxed) {
                std::hint::spin_loop();
            }
        });
        while !ready.load(Relaxed) {
            std::thread::yield_now();
        }
        Self(ends)
    }
}

impl Drop for Idler {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
