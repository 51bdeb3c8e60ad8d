//! The guard against a mass flip: when many devices turn non-compliant at once, it is rather the cloud that is ill.
//!
//! Owns the counting and what is held back, as plain data on given times. It puts nothing into the directory itself. It
//! also delays a deliberate change of a compliance policy, and is therefore off by default.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    clock::{Mono, Now},
    device::{directory::Told, identifier::IntuneId, record::DeviceRecord},
};

use super::settings::MassFlipGuard;

/// Fewer flips than this never hold anything.
const FLIPS_MIN: usize = 20;

/// Watches the answers of one server.
#[derive(Debug)]
pub(super) struct FlipGuard {
    settings: MassFlipGuard,
    grace_is_compliant: bool,
    /// Devices that turned non-compliant within the window, with the answers before.
    // Bound: the share of the known devices that trips the guard.
    flips: VecDeque<(Mono, Arc<DeviceRecord>)>,
    /// The newest answers of devices whose old ones are held.
    // Bound: the devices of the directory, `limits::DEVICES_MAX`.
    held: HashMap<IntuneId, (DeviceRecord, Told)>,
    until: Option<Mono>,
}

/// What to do with a new answer.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Put it in.
    Pass,
    /// Keep the old one; the new one is kept here.
    Hold,
    /// The guard trips with this answer: keep its old one, and put these old ones back.
    Trip(Vec<Arc<DeviceRecord>>),
}

impl FlipGuard {
    pub(super) fn new(settings: MassFlipGuard, grace_is_compliant: bool) -> Self {
        Self { settings, grace_is_compliant, flips: VecDeque::new(), held: HashMap::new(), until: None }
    }

    /// Judges a new answer about a device. `known`: how many devices there are.
    pub(super) fn judge(
        &mut self,
        now: Now,
        old: Option<&Arc<DeviceRecord>>,
        new: &DeviceRecord,
        told: Told,
        known: usize,
    ) -> Verdict {
        let compliant = |record: &DeviceRecord| record.compliance.is_compliant(self.grace_is_compliant);
        let Some(old) = old.filter(|old| compliant(old) && !compliant(new) && old.answered_at <= new.answered_at)
        else {
            self.held.remove(&new.intune_id);
            return Verdict::Pass;
        };
        if self.until.is_some() {
            self.held.insert(new.intune_id, (new.clone(), told));
            return Verdict::Hold;
        }
        let begin = now.mono.minus(self.settings.window);
        while self.flips.front().is_some_and(|(at, _)| *at < begin) {
            self.flips.pop_front();
        }
        let allowed = known.saturating_mul(usize::from(self.settings.share_percent)) / 100;
        let flips = self.flips.len() + 1;
        if flips < FLIPS_MIN || flips <= allowed {
            self.flips.push_back((now.mono, Arc::clone(old)));
            return Verdict::Pass;
        }
        self.until = Some(now.mono.plus(self.settings.hold));
        self.held.insert(new.intune_id, (new.clone(), told));
        Verdict::Trip(self.flips.drain(..).map(|(_, old)| old).collect())
    }

    /// Whether a record counts as compliant here.
    pub(super) const fn is_compliant(&self, record: &DeviceRecord) -> bool {
        record.compliance.is_compliant(self.grace_is_compliant)
    }

    /// Keeps the answer that came after one that was put back.
    pub(super) fn hold_back(&mut self, newer: &DeviceRecord) {
        self.held.insert(newer.intune_id, (newer.clone(), Told::Everything));
    }

    /// A device was answered with "no such device": that is never held.
    pub(super) fn forget(&mut self, id: IntuneId) {
        self.held.remove(&id);
    }

    /// The answers that were held back, if their time is over.
    pub(super) fn end(&mut self, now: Now) -> Option<Vec<(DeviceRecord, Told)>> {
        self.until.is_some_and(|until| now.mono >= until).then(|| self.release())
    }

    /// Ends the hold now.
    pub(super) fn release(&mut self) -> Vec<(DeviceRecord, Told)> {
        self.until = None;
        self.flips.clear();
        self.held.drain().map(|(_, held)| held).collect()
    }

    /// How many devices are held.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }
}
