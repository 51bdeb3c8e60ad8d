//! The log for people: what happened to the process, not to packets.
//!
//! Owns its format and its level. Decisions have a log of their own (`audit`).

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::configuration::{Log, LogFormat};

/// Starts the log. `RADMIT_LOG` overrides the level, in the syntax of tracing: `info,radmit::mdm=debug`.
///
/// It goes to standard error, so that the decisions on standard output stay one JSON line each.
pub fn start(settings: &Log) {
    let filter = std::env::var("RADMIT_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(settings.level.name()));
    let registry = tracing_subscriber::registry().with(filter);
    let set = match settings.format {
        LogFormat::Text => registry
            .with(
                fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(std::io::stderr().is_terminal()),
            )
            .try_init(),
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init(),
    };
    // A log that is there already stays: it belongs to whoever embeds the server.
    drop(set);
    quieten_panics();
}

/// A mistake of ours that many packets reach must not fill the log: the first ones are told in full, the rest counted in
/// `radmit_dropped_total{reason="bug"}`.
fn quieten_panics() {
    const TOLD_MAX: u64 = 10;
    static TOLD: AtomicU64 = AtomicU64::new(0);
    let told_before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if TOLD.fetch_add(1, Relaxed) < TOLD_MAX {
            told_before(panic);
        }
    }));
}
