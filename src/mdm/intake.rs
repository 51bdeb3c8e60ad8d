//! The way of answers into the directory: past the mass flip guard, counted.
//!
//! Owns the order of these steps. It is the only writer of devices while the server runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::{
    clock::{self, Now},
    device::{
        directory::{Directory, Told},
        identifier::IntuneId,
        record::DeviceRecord,
    },
    metrics::mdm::ServerCells,
};

use super::{
    flip::{FlipGuard, Verdict},
    settings::Settings,
};

/// Puts answers into one directory.
#[derive(Debug)]
pub(super) struct Intake {
    name: Arc<str>,
    directory: Arc<Directory>,
    guard: Option<Mutex<FlipGuard>>,
    metrics: Arc<ServerCells>,
}

impl Intake {
    pub(super) fn new(settings: &Settings, directory: Arc<Directory>, metrics: Arc<ServerCells>) -> Self {
        let guard =
            settings.mass_flip_guard.map(|guard| Mutex::new(FlipGuard::new(guard, settings.grace_is_compliant)));
        Self { name: Arc::clone(&settings.name), directory, guard, metrics }
    }

    pub(super) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Puts an answer in. Returns what to decide by: it, or what is held in its place.
    pub(super) fn keep(&self, record: DeviceRecord, told: Told) -> Arc<DeviceRecord> {
        self.keep_at(clock::now(), record, told)
    }

    fn keep_at(&self, now: Now, record: DeviceRecord, told: Told) -> Arc<DeviceRecord> {
        let Some(mut guard) = self.guard() else { return self.directory.insert(record, told).into_record() };
        let old = self.directory.find(record.intune_id);
        match guard.judge(now, old.as_ref(), &record, told, self.directory.len()) {
            Verdict::Pass => self.directory.insert(record, told).into_record(),
            Verdict::Hold => self.hold(old, record, told),
            Verdict::Trip(before) => {
                self.metrics.mass_flips.increment();
                warn!(
                    server = %self.name, devices = before.len() + 1,
                    "so many devices turned non-compliant at once that their old answers are held; if that was meant, \
                     reload (HUP) to end it"
                );
                for old in before {
                    // Whoever turned compliant again meanwhile needs nothing held.
                    if let Some(newer) = self.directory.find(old.intune_id).filter(|newer| !guard.is_compliant(newer)) {
                        guard.hold_back(&newer);
                        self.directory.hold(&old, newer.answered_at);
                    }
                }
                self.hold(old, record, told)
            }
        }
    }

    fn hold(&self, old: Option<Arc<DeviceRecord>>, record: DeviceRecord, told: Told) -> Arc<DeviceRecord> {
        match old {
            Some(old) => self.directory.hold(&old, record.answered_at).unwrap_or(old),
            None => self.directory.insert(record, told).into_record(),
        }
    }

    /// Removes a device that is no more.
    pub(super) fn forget(&self, id: IntuneId) {
        if let Some(mut guard) = self.guard() {
            guard.forget(id);
        }
        self.directory.forget(id);
    }

    /// Ends a hold whose time is over, and brings the gauges up to date.
    pub(super) fn tick(&self, now: Now) {
        if let Some(mut guard) = self.guard() {
            if let Some(held) = guard.end(now) {
                self.put_in(held);
            }
            self.metrics.held_devices.set(i64::try_from(guard.held()).unwrap_or(i64::MAX));
        }
        self.metrics.devices.set(i64::try_from(self.directory.len()).unwrap_or(i64::MAX));
        self.metrics.devices_refused.set(i64::try_from(self.directory.refused()).unwrap_or(i64::MAX));
    }

    /// Ends a hold now: the server stops, or an admin wants it.
    pub(super) fn release(&self) {
        if let Some(mut guard) = self.guard() {
            let held = guard.release();
            self.put_in(held);
            self.metrics.held_devices.set(0);
        }
    }

    fn put_in(&self, held: Vec<(DeviceRecord, Told)>) {
        if held.is_empty() {
            return;
        }
        info!(server = %self.name, devices = held.len(), "old answers are no longer held");
        for (record, told) in held {
            self.directory.insert(record, told);
        }
    }

    fn guard(&self) -> Option<MutexGuard<'_, FlipGuard>> {
        self.guard.as_ref().map(|guard| guard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::{Mono, Wall},
        device::{
            directory::{Ages, Capacity, Knowledge},
            identifier::Guid,
            question::Key,
            record::{Compliance, DeviceDetails, Origin},
        },
        mdm::settings::{Inventory, Kind, MassFlipGuard},
    };

    const MINUTE: Duration = Duration::from_secs(60);

    fn start() -> Now {
        Now { mono: Mono::from_nanos(1 << 50), wall: Wall::from_secs(1_800_000_000) }
    }

    fn intake() -> Intake {
        let kind = Kind::Inventory(Inventory { file: "devices.toml".into() });
        let guard = MassFlipGuard { share_percent: 20, window: 10 * MINUTE, hold: 60 * MINUTE };
        let settings = Settings { mass_flip_guard: Some(guard), ..Settings::new("corp", kind) };
        Intake::new(&settings, Arc::new(Directory::new(Capacity::default())), Arc::default())
    }

    fn id(number: u8) -> IntuneId {
        IntuneId(Guid::new([number, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]))
    }

    fn answer(number: u8, now: Now, compliance: Compliance) -> DeviceRecord {
        DeviceRecord {
            intune_id: id(number),
            entra_id: None,
            wifi_mac: None,
            ethernet_mac: None,
            ethernet_told: true,
            managed: true,
            compliance,
            details: Arc::new(DeviceDetails::default()),
            answered_at: now.mono,
            origin: Origin::Lookup,
        }
    }

    /// 200 compliant devices, so that 40 may flip.
    fn fleet(now: Now) -> Intake {
        let intake = intake();
        for number in 0..200 {
            intake.keep_at(now, answer(number, now, Compliance::Compliant), Told::Everything);
        }
        intake
    }

    fn flip(intake: &Intake, now: Now, numbers: std::ops::Range<u8>) {
        for number in numbers {
            intake.keep_at(now, answer(number, now, Compliance::NonCompliant), Told::Everything);
        }
    }

    fn states(intake: &Intake) -> (usize, usize) {
        let (mut compliant, mut held) = (0, 0);
        intake.directory.for_each(|record| {
            compliant += usize::from(record.compliance == Compliance::Compliant);
            held += usize::from(record.origin == Origin::Held);
        });
        (compliant, held)
    }

    #[test]
    fn a_share_of_flips_passes_and_one_more_holds_them_all() {
        let now = start().advanced(MINUTE);
        let intake = fleet(start());
        flip(&intake, now, 0..40);
        assert_eq!(states(&intake), (160, 0));
        assert_eq!(intake.metrics.mass_flips.value(), 0);
        flip(&intake, now, 40..41);
        assert_eq!(states(&intake), (200, 41));
        flip(&intake, now.advanced(MINUTE), 41..60);
        assert_eq!(states(&intake), (200, 60));
        assert_eq!(intake.metrics.mass_flips.value(), 1, "the alarm is counted once");
    }

    #[test]
    fn the_hold_ends_by_itself_and_what_was_held_back_counts_then() {
        let now = start().advanced(MINUTE);
        let intake = fleet(start());
        flip(&intake, now, 0..50);
        intake.tick(now.advanced(59 * MINUTE));
        assert_eq!(states(&intake), (200, 50));
        intake.tick(now.advanced(60 * MINUTE));
        assert_eq!(states(&intake), (150, 0));
    }

    #[test]
    fn an_admin_can_end_it_at_once() {
        let intake = fleet(start());
        flip(&intake, start().advanced(MINUTE), 0..50);
        intake.release();
        assert_eq!(states(&intake), (150, 0));
    }

    #[test]
    fn flips_that_are_spread_out_hold_nothing() {
        let intake = fleet(start());
        for number in 0..120 {
            flip(&intake, start().advanced(MINUTE * (1 + u32::from(number))), number..number + 1);
        }
        assert_eq!(states(&intake), (80, 0));
    }

    #[test]
    fn a_device_that_turns_compliant_again_is_no_longer_held() {
        let now = start().advanced(MINUTE);
        let intake = fleet(start());
        flip(&intake, now, 0..50);
        let later = now.advanced(MINUTE);
        intake.keep_at(later, answer(3, later, Compliance::Compliant), Told::Everything);
        assert_eq!(states(&intake), (200, 49));
        intake.release();
        assert_eq!(states(&intake), (151, 0));
    }

    #[test]
    fn a_device_that_turned_back_before_the_guard_tripped_is_not_held() {
        let now = start().advanced(MINUTE);
        let intake = fleet(start());
        flip(&intake, now, 0..40);
        intake.keep_at(now.advanced(MINUTE), answer(3, now.advanced(MINUTE), Compliance::Compliant), Told::Everything);
        flip(&intake, now.advanced(MINUTE), 40..41);
        assert_eq!(states(&intake), (200, 40));
    }

    #[test]
    fn a_held_device_is_asked_again_and_another_no_keeps_what_is_held() {
        let now = start().advanced(MINUTE);
        let intake = fleet(start());
        flip(&intake, now, 0..50);
        let ages = Ages::default();
        let judged = |at: Now| intake.directory.judge(at, &Key::Device(id(7).0), None, &ages);
        let later = now.advanced(ages.compliance_max_age);
        assert!(matches!(judged(later), Knowledge::Aged { servable: true, .. }));
        let kept = intake.keep_at(later, answer(7, later, Compliance::NonCompliant), Told::Everything);
        assert_eq!((kept.origin, kept.compliance), (Origin::Held, Compliance::Compliant));
        assert!(matches!(judged(later), Knowledge::Fresh { .. }));
        assert_eq!(states(&intake), (200, 50));
    }

    #[test]
    fn a_device_that_is_gone_is_never_held() {
        let now = start().advanced(MINUTE);
        let intake = fleet(start());
        flip(&intake, now, 0..50);
        intake.forget(id(7));
        assert!(intake.directory.find(id(7)).is_none());
        intake.release();
        assert!(intake.directory.find(id(7)).is_none());
    }

    #[test]
    fn small_fleets_hold_nothing_below_twenty() {
        for devices in [20, 30] {
            let intake = intake();
            for number in 0..devices {
                intake.keep_at(start(), answer(number, start(), Compliance::Compliant), Told::Everything);
            }
            flip(&intake, start().advanced(MINUTE), 0..19);
            assert_eq!(states(&intake), (usize::from(devices) - 19, 0));
            flip(&intake, start().advanced(MINUTE), 19..20);
            assert_eq!(states(&intake), (usize::from(devices), 20));
        }
    }
}
