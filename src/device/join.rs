//! Joins a new answer with what was known before, and shares the texts that devices have in common.
//!
//! Owns what each kind of answer can and can't tell. Where records are kept is the directory's business.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::limits;

use super::{
    record::{DeviceDetails, DeviceRecord, Origin},
    text::SharedText,
};

/// How much of a device an answer could tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// All that a record holds: a single GET.
    Everything,
    /// All but the Ethernet address: a row of a list.
    AllButEthernet,
    /// Registered, managed and compliant only: the compliance retrieval service.
    ComplianceOnly,
}

/// Answers to questions that were asked so close to each other count as one.
const TOGETHER: Duration = Duration::from_secs(60);

/// Whether only facts are there that don't age: the answer told compliance only.
fn is_bare(details: &DeviceDetails) -> bool {
    let lasting = DeviceDetails {
        serial: details.serial.clone(),
        last_check_in: details.last_check_in,
        ..DeviceDetails::default()
    };
    *details == lasting
}

/// Joins answers. Writers of the directory use it one at a time.
#[derive(Default)]
pub(super) struct Joiner {
    texts: HashSet<SharedText>,
    /// Whether the last attempt to make room for texts was in vain; not tried again before the next full list.
    texts_crowded: bool,
    blank: Arc<DeviceDetails>,
}

impl Joiner {
    /// A new full list came in: texts may have fallen out of use.
    pub(super) const fn expect_room(&mut self) {
        self.texts_crowded = false;
    }

    /// The answer, completed by what it could not tell, with common texts shared.
    pub(super) fn join(&mut self, mut record: DeviceRecord, old: Option<&DeviceRecord>, told: Told) -> DeviceRecord {
        match told {
            Told::Everything => record.ethernet_told = true,
            Told::AllButEthernet => {
                record.ethernet_mac = old.and_then(|old| old.ethernet_mac);
                record.ethernet_told = old.is_some_and(|old| old.ethernet_told);
            }
            Told::ComplianceOnly => {
                record.entra_id = old.and_then(|old| old.entra_id);
                record.wifi_mac = old.and_then(|old| old.wifi_mac);
                record.ethernet_mac = old.and_then(|old| old.ethernet_mac);
                record.ethernet_told = old.is_some_and(|old| old.ethernet_told);
                record.details = self.lasting(old);
            }
        }
        // Such addresses name nobody; indexed, they would make strangers look like one device.
        record.wifi_mac = record.wifi_mac.filter(|mac| !mac.is_unusable());
        record.ethernet_mac = record.ethernet_mac.filter(|mac| !mac.is_unusable());
        record.details = match old {
            Some(old) if old.details == record.details => Arc::clone(&old.details),
            _ => self.share(record.details),
        };
        record
    }

    /// A newer answer that told compliance only, completed by an older one that told everything and was overtaken.
    pub(super) fn complete(&mut self, newer: &DeviceRecord, older: DeviceRecord, told: Told) -> Option<DeviceRecord> {
        let together = newer.answered_at.since(older.answered_at) < TOGETHER;
        if !together || told == Told::ComplianceOnly || newer.origin == Origin::Held || !is_bare(&newer.details) {
            return None;
        }
        let joined = self.join(older, Some(newer), told);
        Some(DeviceRecord {
            managed: newer.managed,
            compliance: newer.compliance,
            answered_at: newer.answered_at,
            origin: newer.origin,
            ..joined
        })
    }

    /// Of the facts that were known, those that don't age: who of two devices with one address is meant depends on them.
    fn lasting(&self, old: Option<&DeviceRecord>) -> Arc<DeviceDetails> {
        match old {
            Some(old) if old.details.serial.is_some() || old.details.last_check_in.is_some() => {
                Arc::new(DeviceDetails {
                    serial: old.details.serial.clone(),
                    last_check_in: old.details.last_check_in,
                    ..DeviceDetails::default()
                })
            }
            _ => Arc::clone(&self.blank),
        }
    }

    fn share(&mut self, details: Arc<DeviceDetails>) -> Arc<DeviceDetails> {
        if Arc::ptr_eq(&details, &self.blank) {
            return details;
        }
        if *details == *self.blank {
            return Arc::clone(&self.blank);
        }
        let mut details = Arc::unwrap_or_clone(details);
        let common = [
            &mut details.owner,
            &mut details.os,
            &mut details.os_version,
            &mut details.manufacturer,
            &mut details.model,
            &mut details.management_agent,
            &mut details.threat,
        ];
        for text in common.into_iter().flatten() {
            if let Some(known) = self.texts.get(&**text) {
                *text = known.clone();
            } else if self.make_room() {
                self.texts.insert(text.clone());
            }
        }
        Arc::new(details)
    }

    /// Whether one more text can be shared. Texts that no device uses any more make room.
    fn make_room(&mut self) -> bool {
        if self.texts.len() >= limits::SHARED_TEXTS_MAX && !self.texts_crowded {
            self.texts.retain(SharedText::is_shared);
            self.texts_crowded = self.texts.len() >= limits::SHARED_TEXTS_MAX / 8 * 7;
        }
        self.texts.len() < limits::SHARED_TEXTS_MAX
    }
}
