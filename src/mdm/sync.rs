//! Keeping the mirror of the fleet up to date behind the requests: lists, what checked in since, Ethernet addresses.
//!
//! Owns when what is fetched and when an index is complete. A list that breaks off, or is much shorter than the last, adds
//! what it brought and completes nothing; a device that a list lacks is asked by its id, and only its own "not found"
//! removes it.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use reqwest::Url;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use crate::{
    clock::{self, Mono, Wall},
    device::{
        directory::Told,
        identifier::IntuneId,
        question::{Failure, Medium},
        record::{Compliance, Origin},
    },
    limits,
    metrics::mdm::Service,
};

use super::{
    chance,
    explain::Complaint,
    intune::{
        BATCH_PARTS_MAX, Single, bare_record,
        client::{Client, Errand},
    },
    settings::{Api, Intune},
};

/// How far an incremental list reaches back before the last one: clocks differ, and Graph shows check-ins late.
const OVERLAP: Duration = Duration::from_secs(10 * 60);

/// The first pause after a failed list, doubled up to the last.
const RETRY: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_secs(10 * 60);

/// How often one page, or one batch of the Ethernet pass, is tried.
const TRIES: u32 = 5;

/// How often either waits for our own breaker in vain: somebody else's call may be the one that may try.
const REFUSALS: u32 = 20;

/// The broad question about devices that are not compliant is answered with 503 more often than this.
/// Source: Microsoft, "Integrate network access control with Intune".
const BROAD_INTERVAL: Duration = Duration::from_secs(4 * 3600);

/// Records that are put in before requests on the same core may come in between. At the usual priority: lookups wait for the same
/// lock.
const RECORDS_AT_ONCE: usize = 8;

/// For how long a list waits for spare time. On a machine whose cores others use up there would be a thousandth of one.
const SPARE_TIME_MAX: Duration = Duration::from_secs(60);

/// The background work of one server.
#[derive(Debug)]
pub(super) struct Sync {
    client: Arc<Client>,
    polling_interval: Duration,
    incremental_interval: Duration,
    /// A list came in: there may be devices to ask one by one.
    listed: Notify,
    /// When the last list that came to its end began; what it did not bring is asked by id.
    list_began: AtomicI64,
    /// Whether the last list failed: that is told once, not at every try.
    failing: AtomicBool,
}

impl Sync {
    pub(super) fn new(client: Arc<Client>, intune: &Intune) -> Arc<Self> {
        Arc::new(Self {
            client,
            polling_interval: intune.polling_interval,
            incremental_interval: intune.incremental_interval,
            listed: Notify::new(),
            list_began: AtomicI64::new(i64::MIN),
            failing: AtomicBool::new(false),
        })
    }

    // --- lists ----------------------------------------------------------------------------------------------------------

    /// Fetches lists for as long as the server runs.
    pub(super) async fn run_lists(self: Arc<Self>) {
        if !self.client.uses(Api::Graph) {
            self.run_broad().await;
            return;
        }
        // After a reload the last list still counts.
        let now = clock::now();
        let listed_at = self.client.intake().directory().listed_at();
        let mut reached = now.wall_at(listed_at.unwrap_or(now.mono)).minus(OVERLAP);
        let due = listed_at.map_or(now.mono, |at| at.plus(self.polling_interval));
        let mut full_due = (!self.polling_interval.is_zero()).then_some(due);
        let mut failures = 0u32;
        loop {
            let began = clock::now();
            let full = full_due.is_some_and(|due| due <= began.mono);
            if !full && self.incremental_interval.is_zero() && full_due.is_none() {
                return;
            }
            let listed = if full { self.fetch_all().await } else { self.fetch_since(reached).await };
            if listed.is_ok() {
                failures = 0;
                reached = began.wall.minus(OVERLAP);
                self.listed.notify_one();
            } else {
                failures = failures.saturating_add(1);
            }
            let mut pause = if listed.is_ok() { self.incremental_interval } else { backoff(failures) };
            if full && listed.is_ok() {
                full_due = Some(began.mono.plus(spread(self.polling_interval)));
            }
            if let Some(due) = full_due.filter(|_| listed.is_ok()) {
                let until_full = due.since(clock::now().mono);
                pause = if pause.is_zero() { until_full } else { pause.min(until_full) };
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The full list.
    async fn fetch_all(&self) -> Result<(), Complaint> {
        let began = clock::now();
        let fetched = self.fetch_pages(self.client.list_url()).await;
        let directory = self.client.intake().directory();
        let judged = fetched.and_then(|rows| {
            self.list_began.store(began.mono.as_nanos(), Relaxed);
            // What was found to be gone, one by one, is no reason to doubt a shorter list.
            let expected = directory.list_devices().min(directory.len());
            if is_shrunken(rows, expected) {
                self.listed.notify_one();
                let sentence = format!(
                    "the list has {rows} devices where {expected} were known; it is not believed, and the missing ones \
                     are asked one by one"
                );
                return Err(Complaint::new(Failure::Unreachable, sentence));
            }
            Ok(rows)
        });
        let metrics = self.client.line().metrics();
        let server = self.client.line().name();
        match judged {
            Ok(rows) => {
                directory.complete_list(rows);
                directory.note_listed(began.mono);
                metrics.syncs_completed.increment();
                metrics.last_sync.set(clock::now().wall.as_secs());
                let seconds = clock::now().mono.since(began.mono).as_secs();
                self.failing.store(false, Relaxed);
                info!(server, devices = rows, seconds, "the list of all devices is complete");
                Ok(())
            }
            Err(complaint) => {
                metrics.syncs_failed.increment();
                warn!(
                    server,
                    result = complaint.failure.name(),
                    "the list of all devices failed: {}",
                    complaint.sentence
                );
                Err(complaint)
            }
        }
    }

    /// What checked in since.
    async fn fetch_since(&self, since: Wall) -> Result<(), Complaint> {
        let fetched = self.fetch_pages(self.client.since_url(since)).await;
        match &fetched {
            Ok(_) => self.failing.store(false, Relaxed),
            Err(complaint) => self.complain("the list of changes", complaint),
        }
        fetched.map(|_| ())
    }

    /// Tells the first failure of several in a row.
    fn complain(&self, what: &str, complaint: &Complaint) {
        let (server, result) = (self.client.line().name(), complaint.failure.name());
        if self.failing.swap(true, Relaxed) {
            debug!(server, result, "{what} failed again: {}", complaint.sentence);
        } else {
            warn!(server, result, "{what} failed and is tried again: {}", complaint.sentence);
        }
    }

    /// Follows a list to its end and puts in every row on the way. Returns how many rows there were.
    async fn fetch_pages(&self, first: Url) -> Result<usize, Complaint> {
        let (mut rows, mut next, mut seen) = (0usize, Some(first), HashSet::new());
        let began = clock::now().mono;
        while let Some(url) = next {
            // A page that links to an earlier one would never end.
            if seen.len() >= limits::LIST_PAGES_MAX || !seen.insert(hash_of(url.as_str())) {
                return Err(Complaint::new(Failure::Unreachable, "the pages of the list go round in circles"));
            }
            let page = self.fetch_page(&url, began).await?;
            if page.broken_rows > 0 {
                let sentence = format!("{} rows of the list have no id", page.broken_rows);
                return Err(Complaint::new(Failure::Unreachable, sentence));
            }
            rows = rows.saturating_add(page.records.len());
            for (at, record) in page.records.into_iter().enumerate() {
                if at % RECORDS_AT_ONCE == 0 && self.has_time(began) {
                    self.client.line().spare_time().comes().await;
                }
                self.client.intake().keep(record, Told::AllButEthernet);
            }
            next = page.next;
            tokio::task::yield_now().await;
        }
        Ok(rows)
    }

    /// Whether a list that began then can wait for spare time.
    fn has_time(&self, began: Mono) -> bool {
        let is_first = !self.client.intake().directory().is_complete(Some(Medium::Wireless));
        can_wait(is_first, clock::now().mono.since(began))
    }

    /// One page of a list that began then, tried again after what passes.
    async fn fetch_page(&self, url: &Url, began: Mono) -> Result<super::intune::ListPage, Complaint> {
        let mut patience = Patience::default();
        loop {
            let mut errand = Errand::background().behind(self.has_time(began));
            let complaint = match self.client.graph_page(&mut errand, url.clone()).await {
                Ok(page) => return Ok(page),
                Err(complaint) => complaint,
            };
            let Some(pause) = patience.after(&complaint) else { return Err(complaint) };
            tokio::time::sleep(pause).await;
        }
    }

    // --- one by one -----------------------------------------------------------------------------------------------------

    /// After each list: Ethernet addresses that were never told, and devices that the list lacked.
    pub(super) async fn run_singles(self: Arc<Self>) {
        if !self.client.uses(Api::Graph) {
            return;
        }
        loop {
            self.listed.notified().await;
            let devices = self.devices_to_ask().await;
            let asked = devices.len();
            let began = clock::now();
            let missed = self.ask_singles(devices).await;
            let directory = self.client.intake().directory();
            if missed == 0 && directory.is_complete(Some(Medium::Wireless)) && self.devices_to_ask().await.is_empty() {
                directory.complete_ethernet();
            }
            if asked > 0 {
                let seconds = clock::now().mono.since(began.mono).as_secs();
                info!(
                    server = self.client.line().name(),
                    devices = asked,
                    missed,
                    seconds,
                    "devices were asked one by one"
                );
            }
        }
    }

    /// Whom to ask, those that checked in last first.
    async fn devices_to_ask(&self) -> Vec<IntuneId> {
        let now = clock::now().mono;
        let began = Mono::from_nanos(self.list_began.load(Relaxed));
        let directory = self.client.intake().directory();
        let mut found = Vec::new();
        for part in 0..directory.parts() {
            if self.has_time(now) {
                self.client.line().spare_time().comes().await;
            }
            for record in directory.part(part) {
                // What a held device's Ethernet address is, is told when the hold ends.
                let untold = !record.ethernet_told && record.origin != Origin::Held;
                if untold || directory.asked_at(&record) < began {
                    found.push((record.details.last_check_in, record.intune_id));
                }
            }
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// Asks in batches. Returns how many could not be asked.
    async fn ask_singles(&self, devices: Vec<IntuneId>) -> usize {
        let mut missed = 0;
        for batch in devices.chunks(BATCH_PARTS_MAX) {
            let (mut left, mut patience) = (batch.to_vec(), Patience::default());
            loop {
                let Err(complaint) = self.ask_batch(&mut left).await else { break };
                let Some(pause) = patience.after(&complaint) else { break };
                tokio::time::sleep(pause).await;
            }
            missed += left.len();
        }
        missed
    }

    /// Asks one batch; who could not be asked stays in `ids`.
    ///
    /// # Errors
    /// Why the batch, or what of it took the longest pause, failed.
    async fn ask_batch(&self, ids: &mut Vec<IntuneId>) -> Result<(), Complaint> {
        // Each part costs a token: none is taken for what will not be asked.
        self.client.line().refuse_if_shut(Service::Graph)?;
        self.client.line().pay_for_background(ids.len()).await;
        let parts = self.client.graph_batch(&mut Errand::prepaid().behind(true), ids).await?;
        ids.clear();
        let mut failed: Option<Complaint> = None;
        for (id, part) in parts {
            match part {
                Ok(Single::Device(record)) => {
                    self.client.intake().keep(*record, Told::Everything);
                }
                // The batch itself came from the right place.
                Ok(Single::Absent) => self.client.intake().forget(id),
                Err(complaint) => {
                    ids.push(id);
                    // One part that an admin must mend is no reason to give the others up.
                    let outweighs = |other: &Complaint| {
                        other.failure == Failure::Misconfigured || other.retry_after < complaint.retry_after
                    };
                    if failed.as_ref().is_none_or(outweighs) {
                        failed = Some(complaint);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    // --- without Graph --------------------------------------------------------------------------------------------------

    /// Where only the compliance retrieval service may be asked: who is not compliant, never twice within four hours. It
    /// refuses with 503 what comes sooner, as after a restart that lost the time, or from another server of the tenant.
    async fn run_broad(&self) {
        if self.polling_interval.is_zero() {
            return;
        }
        let interval = self.polling_interval.max(BROAD_INTERVAL);
        let directory = self.client.intake().directory();
        let metrics = self.client.line().metrics();
        let mut unasked = 0u32;
        loop {
            if let Some(asked_at) = self.broadly_asked_at() {
                let due = asked_at.plus(spread_later(interval));
                tokio::time::sleep(due.since(clock::now().mono)).await;
            }
            let server = self.client.line().name();
            // Before the answer, whatever it is: the service counts the question, and a reload may come in between.
            let before = directory.broadly_asked_at();
            directory.note_broadly_asked(Some(clock::now().mono));
            match self.fetch_noncompliant().await {
                Ok(devices) => {
                    self.failing.store(false, Relaxed);
                    metrics.syncs_completed.increment();
                    metrics.last_sync.set(clock::now().wall.as_secs());
                    info!(server, devices, "the list of devices that are not compliant came in");
                }
                Err(complaint) => {
                    metrics.syncs_failed.increment();
                    self.complain("the list of devices that are not compliant", &complaint);
                    if !complaint.asked {
                        // Nobody counted it, as while there is no token: four hours would be lost for nothing.
                        directory.note_broadly_asked(before);
                        unasked = unasked.saturating_add(1);
                        tokio::time::sleep(pause_after(&complaint, unasked)).await;
                        continue;
                    }
                }
            }
            unasked = 0;
            directory.note_broadly_asked(Some(clock::now().mono));
        }
    }

    /// When the list was last asked for. After a restart what it brought tells it, as far as it was kept: nothing but
    /// lists has this origin.
    fn broadly_asked_at(&self) -> Option<Mono> {
        let directory = self.client.intake().directory();
        directory.broadly_asked_at().or_else(|| {
            let mut newest = None;
            directory.for_each(|record| {
                if record.origin == Origin::Sync {
                    newest = newest.max(Some(record.answered_at));
                }
            });
            newest
        })
    }

    async fn fetch_noncompliant(&self) -> Result<usize, Complaint> {
        let (mut devices, mut next, mut seen) = (0, Some("0".to_owned()), HashSet::new());
        let began = clock::now().mono;
        while let Some(page) = next {
            if seen.len() >= limits::LIST_PAGES_MAX || !seen.insert(hash_of(&page)) {
                return Err(Complaint::new(Failure::Unreachable, "the pages of the list go round in circles"));
            }
            let asked_at = clock::now().mono;
            let mut errand = Errand::background().behind(can_wait(false, asked_at.since(began)));
            let listed = self.client.retrieval_noncompliant(&mut errand, &page).await;
            // With its first page the question was asked.
            let listed =
                listed.map_err(|complaint| Complaint { asked: complaint.asked || seen.len() > 1, ..complaint })?;
            devices += listed.devices.len();
            for id in listed.devices {
                let record = bare_record(id, Compliance::NonCompliant, asked_at, Origin::Sync);
                self.client.intake().keep(record, Told::ComplianceOnly);
            }
            next = listed.next;
        }
        Ok(devices)
    }
}

/// Whether a list that takes as long already can wait for spare time. The first one can't, since addresses that it may have are
/// not answered before, and what took long for want of time must come to its end.
fn can_wait(is_first: bool, lasted: Duration) -> bool {
    !is_first && lasted < SPARE_TIME_MAX
}

/// Whether a list of `rows` is more than a tenth shorter than what is expected.
fn is_shrunken(rows: usize, expected: usize) -> bool {
    rows.saturating_mul(10) < expected.saturating_mul(9)
}

/// Up to a tenth longer or shorter: many servers must not poll together.
fn spread(interval: Duration) -> Duration {
    interval - interval / 10 + interval / 5 * (chance::roll() & 0xff) / 256
}

/// Up to a tenth longer, and a minute at least: for what must not be asked any sooner.
fn spread_later(interval: Duration) -> Duration {
    interval + Duration::from_secs(60) + interval / 10 * (chance::roll() & 0xff) / 256
}

fn backoff(failures: u32) -> Duration {
    spread(RETRY.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(RETRY_MAX))
}

/// How often one page or batch was tried, and whether it is worth trying again.
#[derive(Debug, Default)]
struct Patience {
    tries: u32,
    refusals: u32,
}

impl Patience {
    /// How long to wait before the next try; none if this was the last. That our own breaker let nothing through is no try:
    /// its pause is longer than what the service asked for, and a list must not be given up for that.
    fn after(&mut self, complaint: &Complaint) -> Option<Duration> {
        if complaint.failure == Failure::Misconfigured {
            return None;
        }
        let count = if complaint.asked { &mut self.tries } else { &mut self.refusals };
        *count += 1;
        let more = self.tries < TRIES && self.refusals < REFUSALS;
        more.then(|| pause_after(complaint, self.tries))
    }
}

fn pause_after(complaint: &Complaint, tries: u32) -> Duration {
    let own = spread(Duration::from_millis(250).saturating_mul(1 << tries.min(8)));
    complaint.retry_after.map_or(own, |asked| asked.min(limits::RETRY_AFTER_MAX).max(own))
}

fn hash_of(page: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    page.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_be_a_tenth_shorter_than_the_last_but_not_more() {
        assert!(!is_shrunken(90, 100));
        assert!(is_shrunken(89, 100));
        assert!(!is_shrunken(0, 0));
        assert!(is_shrunken(0, 1));
    }

    #[test]
    fn a_list_that_requests_wait_for_is_not_left_to_spare_time() {
        assert!(!can_wait(true, Duration::ZERO), "nobody is known yet");
        assert!(can_wait(false, Duration::ZERO));
        assert!(!can_wait(false, SPARE_TIME_MAX), "there is none");
    }

    #[test]
    fn what_may_be_asked_once_in_four_hours_is_never_asked_sooner() {
        for _ in 0..1_000 {
            let pause = spread_later(BROAD_INTERVAL);
            assert!(pause > BROAD_INTERVAL && pause < BROAD_INTERVAL * 12 / 10, "{pause:?}");
        }
    }

    /// Trap 12: what our own breaker refuses meanwhile does not use up the tries of a list that was throttled.
    #[test]
    fn a_throttled_list_waits_for_our_own_breaker_and_is_not_thrown_away() {
        let second = Duration::from_secs(1);
        let throttled = Complaint { retry_after: Some(60 * second), ..Complaint::new(Failure::Throttled, "429") };
        let refused = Complaint { retry_after: Some(3 * second), ..throttled.clone() }.unasked();
        let mut patience = Patience::default();
        assert_eq!(patience.after(&throttled), Some(60 * second));
        for _ in 0..10 {
            assert_eq!(patience.after(&refused), Some(3 * second));
        }
        for _ in 2..TRIES {
            assert!(patience.after(&throttled).is_some());
        }
        assert_eq!(patience.after(&throttled), None, "the service itself refused as often as that");
        assert_eq!(Patience::default().after(&Complaint::new(Failure::Misconfigured, "403")), None);
        let mut patience = Patience::default();
        assert_eq!((0..100).take_while(|_| patience.after(&refused).is_some()).count(), 19, "not for ever");
    }

    #[test]
    fn pauses_grow_and_stay_within_their_bounds() {
        for failures in 1..40 {
            let pause = backoff(failures);
            assert!(pause >= RETRY * 9 / 10 && pause <= RETRY_MAX * 11 / 10, "{failures}: {pause:?}");
        }
        let asked = Complaint { retry_after: Some(Duration::from_secs(7)), ..Complaint::new(Failure::Throttled, "x") };
        assert_eq!(pause_after(&asked, 1), Duration::from_secs(7));
        // A part of a batch may ask for years.
        for failure in [Failure::Throttled, Failure::Unreachable] {
            let absurd = Complaint { retry_after: Some(Duration::MAX), ..Complaint::new(failure, "x") };
            assert_eq!(Patience::default().after(&absurd), Some(limits::RETRY_AFTER_MAX));
        }
    }
}
