//! `[server]`: where radmit listens, where its files are, and how long it takes at most.
//!
//! Owns its keys and defaults. Opening sockets and folders is the work of others.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::tz::TimeZone;

use crate::{
    document::Value,
    limits,
    problem::{Place, Problems},
};

use super::{configuration::Server, files, files::Files, section::Section, value};

/// The ports of RFC 2865 and RFC 2866.
const AUTH_PORT: u16 = 1812;
const ACCT_PORT: u16 = 1813;
/// Below what NASes wait: commonly 5 s, some 2 to 3 s.
pub(super) const DECISION_DEADLINE: Duration = Duration::from_secs(2);
/// Slows guessing down; the same as FreeRADIUS, so that NASes are used to it.
const REJECT_DELAY: Duration = Duration::from_secs(1);
const POLICIES: &str = "policies";
const DICTIONARIES: &str = "dictionaries";
const STATE_DIR: &str = "state";

/// Reads the section. What is missing has its default; `main` is the file that defaults are relative to.
pub(super) fn read(section: &Section<'_>, main: &str, files: &dyn Files, problems: &mut Problems) -> Server {
    let duration = |key, least, default, problems: &mut Problems| {
        let value = section.ask(key)?;
        Some(value::duration(&value, least, limits::DECISION_DEADLINE_MAX, problems).unwrap_or(default))
    };
    let auth = section.ask("auth-listen");
    let auth_listen = match &auth {
        Some(value) => value::socket_addresses(value, AUTH_PORT, problems),
        None => everywhere(AUTH_PORT),
    };
    if let Some(value) =
        auth.filter(|value| value.kind() == crate::document::Kind::Array && value.array(problems).is_empty())
    {
        value.error(problems, "list-empty", "\"server.auth-listen\" is empty; write at least one address");
    }
    let acct = section.ask("acct-listen");
    let acct_listen = match &acct {
        Some(value) => value::socket_addresses(value, ACCT_PORT, problems),
        None => everywhere(ACCT_PORT),
    };
    if let Some(both) = acct_listen.iter().find(|address| address.port() != 0 && auth_listen.contains(address)) {
        let place = acct.map(|value| value.place()).or_else(|| section.place());
        problems.error("twice", place, format!("{both} is in auth-listen and in acct-listen; each needs its own port"));
    }
    let shards_max = i64::try_from(limits::SHARDS_MAX).unwrap_or(i64::MAX);
    let shards = section.ask("shards").and_then(|value| value.integer(0, shards_max, problems)).unwrap_or(0);
    let server = Server {
        auth_listen,
        acct_listen,
        shards: usize::try_from(shards).unwrap_or(0),
        policies: folder(section.ask("policies"), main, POLICIES, problems),
        dictionaries: dictionaries(section, main, files, problems),
        state_dir: folder(section.ask("state-dir"), main, STATE_DIR, problems),
        decision_deadline: duration("decision-deadline", Duration::from_millis(1), DECISION_DEADLINE, problems)
            .unwrap_or(DECISION_DEADLINE),
        reject_delay: duration("reject-delay", Duration::ZERO, REJECT_DELAY, problems).unwrap_or(REJECT_DELAY),
        udp_segmentation: section.ask("udp-segmentation").and_then(|value| value.boolean(problems)).unwrap_or(true),
        zone: zone(section.ask("timezone"), problems),
    };
    section.finish(problems);
    let place = section.ask("policies").map(|value| value.place()).or_else(|| section.place());
    must_be_there(place.unwrap_or_else(|| Place::whole(main)), &server.policies, files, problems);
    server
}

fn everywhere(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]
}

fn folder(value: Option<Value<'_>>, main: &str, default: &str, problems: &mut Problems) -> PathBuf {
    value.and_then(|value| value::path(&value, problems)).unwrap_or_else(|| value::beside(main, default))
}

fn must_be_there(place: Place, folder: &Path, files: &dyn Files, problems: &mut Problems) {
    if let Err(error) = files.list(folder) {
        let message =
            format!("the folder {} {}; create it, or correct the path", folder.display(), files::reason(&error));
        problems.error("folder-unreadable", Some(place), message);
    }
}

/// The operator's dictionaries: a folder that is named must be there, the default one may be absent.
fn dictionaries(section: &Section<'_>, main: &str, files: &dyn Files, problems: &mut Problems) -> Option<PathBuf> {
    if let Some(value) = section.ask("dictionaries") {
        let folder = value::path(&value, problems)?;
        must_be_there(value.place(), &folder, files, problems);
        return Some(folder);
    }
    let folder = value::beside(main, DICTIONARIES);
    files.list(&folder).is_ok().then_some(folder)
}

fn zone(value: Option<Value<'_>>, problems: &mut Problems) -> TimeZone {
    let Some(value) = value else { return TimeZone::system() };
    match value.text(problems) {
        None | Some("local") => TimeZone::system(),
        Some(name) => TimeZone::get(name).unwrap_or_else(|_| {
            let message =
                format!("unknown time zone \"{name}\"; write \"local\", \"UTC\" or a name such as \"Europe/Berlin\"");
            value.error(problems, "unknown-time-zone", message);
            TimeZone::UTC
        }),
    }
}
