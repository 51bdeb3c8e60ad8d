//! How a running server is ended and reloaded from outside, and with which code it ends.
//!
//! Owns signals; what a reload or a stop does is `daemon`'s business.

use std::process::ExitCode;

use crate::daemon::server::{Server, StartError};

use super::output;

/// The exit code when a port can't be had.
const NO_PORT: u8 = 2;

/// Says why the server did not start, and gives the exit code for it.
pub(super) fn report(error: &StartError) -> ExitCode {
    output::complain(format!("radmit: {error}"));
    match error {
        StartError::Port(_) | StartError::Metrics { .. } => ExitCode::from(NO_PORT),
        StartError::Other(_) => ExitCode::FAILURE,
    }
}

/// HUP, taken from the moment this exists: until then it ends the process, also one that has just said that it is ready.
pub(super) struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    /// Takes it. Call it inside of the runtime, before anybody can know that the server is there.
    pub(super) fn take() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            signal.recv().await;
            return;
        }
        std::future::pending().await
    }
}

/// Reloads at every HUP, and returns at TERM or INT.
pub(super) async fn run_until_stopped(server: &Server, mut hangups: Hangups) {
    loop {
        tokio::select! {
            () = until_stopped() => return,
            () = hangups.next() => server.reload(),
        }
    }
}

/// Returns at TERM or INT.
pub(super) async fn until_stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut terminated), Ok(mut interrupted)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
