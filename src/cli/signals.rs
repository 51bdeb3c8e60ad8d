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

/// Reloads at every HUP, and returns at TERM or INT.
pub(super) async fn run_until_stopped(server: &Server) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut hangups) = signal(SignalKind::hangup()) else { return until_stopped().await };
        loop {
            tokio::select! {
                () = until_stopped() => return,
                _ = hangups.recv() => server.reload(),
            }
        }
    }
    #[cfg(not(unix))]
    until_stopped().await;
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
