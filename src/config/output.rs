//! `[log]` and `[metrics]`: what radmit tells, and where.
//!
//! Owns their keys and defaults. Writing is the work of others.

use std::net::{Ipv4Addr, SocketAddr};

use crate::problem::Problems;

use super::{
    configuration::{Decisions, Log, LogFormat, LogLevel, Metrics},
    section::Section,
    value,
};

/// Loopback, because the pages have no password.
const METRICS_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), METRICS_PORT);
const METRICS_PORT: u16 = 9812;

/// Reads `[log]`.
pub(super) fn log(section: &Section<'_>, problems: &mut Problems) -> Log {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    let format = section.ask("format").and_then(|value| value::choice(&value, &formats, problems));
    let levels = levels.map(|level| (level.name(), level));
    let level = section.ask("level").and_then(|value| value::choice(&value, &levels, problems));
    let decisions = section.ask("decisions").and_then(|value| match value.plain_text() {
        Some("stdout") => Some(Decisions::Stdout),
        Some("off") => Some(Decisions::Off),
        _ => value::path(&value, problems).map(Decisions::File),
    });
    section.finish(problems);
    Log {
        format: format.unwrap_or(LogFormat::Text),
        level: level.unwrap_or(LogLevel::Info),
        decisions: decisions.unwrap_or(Decisions::Stdout),
    }
}

/// Reads `[metrics]`.
pub(super) fn metrics(section: &Section<'_>, problems: &mut Problems) -> Metrics {
    let Some(value) = section.ask("listen") else {
        section.finish(problems);
        return Metrics { listen: Some(METRICS_LISTEN) };
    };
    section.finish(problems);
    if value.plain_text() == Some("off") {
        return Metrics { listen: None };
    }
    let listen = value::socket_address(&value, METRICS_PORT, problems);
    if listen.is_some_and(|address| !address.ip().is_loopback()) {
        let message = "the metrics and health pages have no password and name clients; let a firewall guard this port";
        value.hint(problems, "metrics-open", message);
    }
    Metrics { listen }
}
