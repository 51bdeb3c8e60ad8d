//! A file of devices in place of a cloud, for labs and outage drills.
//!
//! Owns the reading of the file and the answers from it. A file that can't be read is a server that can't be reached: its
//! devices grow old as in an outage.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, SystemTime},
};

use tracing::{info, warn};

use crate::{
    clock::{self, Now},
    device::{
        directory::{Match, Told},
        file,
        identifier::{EntraId, IntuneId},
        question::{Answer, Failure, Key, Outcome, Question},
        record::{DeviceRecord, Origin},
    },
    document::Source,
    limits,
    problem::Problems,
};

use super::{board::Board, intake::Intake};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A file that is asked.
#[derive(Debug)]
pub(super) struct Inventory {
    name: Arc<str>,
    path: PathBuf,
    intake: Arc<Intake>,
    board: Board,
    /// What the file was when it was read; none while it can't be.
    seen: Option<Stamp>,
    /// Whether it was said already that it can't be.
    complained: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    octets: u64,
    changed: Option<SystemTime>,
}

impl Inventory {
    pub(super) fn new(name: Arc<str>, path: PathBuf, intake: Arc<Intake>, board: Board) -> Self {
        Self { name, path, intake, board, seen: None, complained: false }
    }

    /// Answers questions until nobody can ask any more. Blocks: it has a thread of its own.
    pub(super) fn run(mut self, questions: &Receiver<Question>) {
        let mut looked_at = clock::now();
        loop {
            let question = match questions.recv_timeout(LOOK_EVERY) {
                Ok(question) => Some(question),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = clock::now();
            if now.mono.since(looked_at.mono) >= LOOK_EVERY {
                self.look(now);
                looked_at = now;
            }
            self.intake.tick(now);
            if let Some(question) = question {
                let outcome = self.answer(now, question.key);
                if question.deadline.is_some() {
                    let answer = Answer { server: question.server, key: question.key, outcome };
                    self.board.deliver(usize::from(question.shard), answer);
                }
            }
        }
    }

    /// The answer from the file, put into the directory like any other.
    fn answer(&self, now: Now, key: Key) -> Outcome {
        if self.seen.is_none() {
            return Outcome::Failed(Failure::Unreachable);
        }
        let directory = self.intake.directory();
        let found = match key {
            Key::Device(guid) => match directory.find(IntuneId(guid)) {
                Some(record) => Match::One(record),
                None => directory.find_by_entra_id(now, EntraId(guid)),
            },
            Key::Mac(mac) => directory.find_by_mac(now, mac),
        };
        match found {
            Match::One(record) => {
                let renewed = DeviceRecord { answered_at: now.mono, origin: Origin::Lookup, ..(*record).clone() };
                Outcome::Found(self.intake.keep(renewed, Told::Everything))
            }
            Match::Ambiguous(_) => {
                directory.doubt(key, now.mono);
                Outcome::Ambiguous
            }
            Match::Nobody => {
                directory.deny(key, now.mono);
                Outcome::NotFound
            }
        }
    }

    /// Reads the file if it changed since it was last looked at. Before the first look nothing is known of it.
    pub(super) fn look(&mut self, now: Now) {
        let stamp = stamp(&self.path);
        if stamp.is_some() && stamp == self.seen {
            return;
        }
        match self.read(now) {
            Ok(devices) => {
                info!(server = %self.name, devices, "the device file was read");
                self.seen = stamp;
                self.complained = false;
            }
            Err(why) => {
                if !self.complained {
                    warn!(server = %self.name, "the device file can't be used, its devices grow old: {why}");
                }
                self.seen = None;
                self.complained = true;
            }
        }
    }

    fn read(&self, now: Now) -> Result<usize, String> {
        let devices = read_devices(&self.path)?;
        let directory = self.intake.directory();
        let mut listed = HashSet::with_capacity(devices.len());
        for device in &devices {
            listed.insert(device.intune_id);
            self.intake.keep(device.record(now, Origin::Sync), Told::Everything);
        }
        let mut gone = Vec::new();
        directory.for_each(|record| {
            if !listed.contains(&record.intune_id) {
                gone.push(record.intune_id);
            }
        });
        // Unlike a list of the cloud's, the file is all there is.
        gone.into_iter().for_each(|id| self.intake.forget(id));
        directory.complete_list(devices.len());
        directory.complete_ethernet();
        Ok(devices.len())
    }
}

/// Reads a device file.
///
/// # Errors
/// The first problem with its place, and how many there are.
pub(super) fn read_devices(path: &Path) -> Result<Vec<file::FileDevice>, String> {
    let name = path.display().to_string();
    let length = std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?.len();
    if length > u64::try_from(limits::FILE_OCTETS_MAX).unwrap_or(u64::MAX) {
        return Err(format!("{name}: more than {} octets; split it", limits::FILE_OCTETS_MAX));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let mut problems = Problems::new();
    let devices = file::read(&Source::new(name, text), &mut problems);
    match problems.iter().next() {
        Some(first) if problems.has_errors() => Err(first.to_string()),
        _ => Ok(devices),
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { octets: metadata.len(), changed: metadata.modified().ok() })
}
