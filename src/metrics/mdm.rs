//! What is counted about one MDM server, and how it stands on the page.
//!
//! Owns the cells. `mdm` and the engine count; a reload keeps the cells of a server of the same name.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::limits;

use super::{
    cell::{Counter, Gauge, Histogram},
    engine::MORE,
    list,
    page::{Page, Source},
};

/// What came of a lookup: the label `result`.
pub const RESULTS: [&str; 8] =
    ["found", "not-found", "unreachable", "throttled", "late", "misconfigured", "not-ready", "ambiguous"];

/// Where the answer was from: the label `source`. The first is for lookups without an answer.
pub const SOURCES: [&str; 6] = ["none", "fresh", "live", "sync", "stale", "held"];

/// Lookups by [`RESULTS`], then by [`SOURCES`], of one shard. On cache lines of its own: every request is counted.
#[derive(Debug, Default)]
#[repr(align(128))]
struct LookupCells([[Counter; SOURCES.len()]; RESULTS.len()]);

/// The cells of one server. Several threads write them, but for the lookups, of which each shard counts its own.
#[derive(Debug)]
pub struct ServerCells {
    lookups: Box<[LookupCells]>,
    /// How long questions took.
    pub lookup_seconds: Histogram,
    /// HTTP requests that may be sent at once.
    pub budget_remaining: Gauge,
    /// Times that Microsoft asked to slow down.
    pub throttled: Counter,
    /// Unix time of the last complete sync.
    pub last_sync: Gauge,
    /// Unix time at which the credential expires; 0 if it does not, or is not known.
    pub credential_expiry: Gauge,
    /// Devices in the directory.
    pub devices: Gauge,
    /// New devices that found no room in the directory.
    pub devices_refused: Gauge,
    /// HTTP requests by [`Service`], then by [`CallOutcome`].
    pub calls: [[Counter; CallOutcome::ALL.len()]; Service::ALL.len()],
    /// 1 while a service is not asked after failures, by [`Service`].
    pub service_shut: [Gauge; Service::ALL.len()],
    /// Questions that wait or run.
    pub questions_queued: Gauge,
    /// Questions that joined one about the same device.
    pub questions_merged: Counter,
    /// Questions that could not be asked in time.
    pub questions_refused: Counter,
    /// Rows that were not what was asked for, and were ignored.
    pub rows_mismatched: Counter,
    /// Full lists that came in to their end.
    pub syncs_completed: Counter,
    /// Full lists that did not.
    pub syncs_failed: Counter,
    /// How far this machine's clock is ahead of the server's, in seconds.
    pub clock_offset: Gauge,
    /// Devices whose old answers the mass flip guard holds.
    pub held_devices: Gauge,
    /// Times that the mass flip guard began to hold old answers.
    pub mass_flips: Counter,
}

impl ServerCells {
    /// `shards`: how many count lookups.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            lookups: (0..shards).map(|_| LookupCells::default()).collect(),
            lookup_seconds: Histogram::default(),
            budget_remaining: Gauge::default(),
            throttled: Counter::default(),
            last_sync: Gauge::default(),
            credential_expiry: Gauge::default(),
            devices: Gauge::default(),
            devices_refused: Gauge::default(),
            calls: Default::default(),
            service_shut: Default::default(),
            questions_queued: Gauge::default(),
            questions_merged: Counter::default(),
            questions_refused: Counter::default(),
            rows_mismatched: Counter::default(),
            syncs_completed: Counter::default(),
            syncs_failed: Counter::default(),
            clock_offset: Gauge::default(),
            held_devices: Gauge::default(),
            mass_flips: Counter::default(),
        }
    }

    /// Counts one lookup; only the thread of `shard` may. `result`: a place in [`RESULTS`], `source`: one in [`SOURCES`];
    /// what is beyond them is not counted.
    pub fn count_lookup(&self, shard: u16, result: usize, source: usize) {
        let cells = self.lookups.get(usize::from(shard)).and_then(|cells| cells.0.get(result));
        if let Some(cell) = cells.and_then(|cells| cells.get(source)) {
            cell.increment_own();
        }
    }

    /// How many lookups were counted in all. `result`: a place in [`RESULTS`], `source`: one in [`SOURCES`].
    #[must_use]
    pub fn lookups(&self, result: usize, source: usize) -> u64 {
        let of_shard = |cells: &LookupCells| cells.0.get(result)?.get(source).map(Counter::value);
        self.lookups.iter().filter_map(of_shard).sum()
    }

    /// Counts one HTTP request.
    pub fn count_call(&self, service: Service, outcome: CallOutcome) {
        if let Some(cell) = self.calls.get(service as usize).and_then(|row| row.get(outcome as usize)) {
            cell.increment();
        }
        if outcome == CallOutcome::Throttled {
            self.throttled.increment();
        }
    }

    /// Notes whether a service is shut.
    pub fn note_shut(&self, service: Service, shut: bool) {
        if let Some(cell) = self.service_shut.get(service as usize) {
            cell.set(i64::from(shut));
        }
    }
}

impl Default for ServerCells {
    /// The cells of a server with one shard.
    fn default() -> Self {
        Self::new(1)
    }
}

/// The label `service` of calls. Each fails, is throttled and is refused on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Tokens for Graph.
    GraphToken,
    /// Tokens for the compliance retrieval service.
    IntuneToken,
    /// Devices in Graph.
    Graph,
    /// Where the compliance retrieval service is.
    Discovery,
    /// The compliance retrieval service.
    ComplianceRetrieval,
}

impl Service {
    /// All of them, in the order of their cells.
    pub const ALL: [Self; 5] =
        [Self::GraphToken, Self::IntuneToken, Self::Graph, Self::Discovery, Self::ComplianceRetrieval];

    /// The label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GraphToken => "graph-token",
            Self::IntuneToken => "intune-token",
            Self::Graph => "graph",
            Self::Discovery => "discovery",
            Self::ComplianceRetrieval => "compliance-retrieval",
        }
    }
}

/// The label `outcome` of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// A usable answer, whatever it said.
    Answered,
    /// None.
    Unreachable,
    /// Too many requests.
    Throttled,
    /// Refused: an admin must act.
    Misconfigured,
}

impl CallOutcome {
    /// All of them, in the order of their cells.
    pub const ALL: [Self; 4] = [Self::Answered, Self::Unreachable, Self::Throttled, Self::Misconfigured];

    /// The label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unreachable => "unreachable",
            Self::Throttled => "throttled",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// The cells of all servers by name.
///
/// Bound: as many as configurations ever named, at most eight times [`limits::MDM_SERVERS_MAX`]; beyond it new names
/// share the cells [`MORE`], which no configuration may name.
#[derive(Debug)]
pub struct ServerRegistry {
    shards: usize,
    servers: Mutex<Vec<(Box<str>, Arc<ServerCells>)>>,
}

impl ServerRegistry {
    /// `shards`: how many shards count.
    #[must_use]
    pub const fn new(shards: usize) -> Self {
        Self { shards, servers: Mutex::new(Vec::new()) }
    }

    /// The cells of the server called `name`; made if they don't exist yet.
    #[must_use]
    pub fn cells(&self, name: &str) -> Arc<ServerCells> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = servers.iter().any(|(known, _)| **known == *name);
        let name = if known || servers.len() < 8 * limits::MDM_SERVERS_MAX { name } else { MORE };
        if let Some((_, cells)) = servers.iter().find(|(known, _)| **known == *name) {
            return Arc::clone(cells);
        }
        let cells = Arc::new(ServerCells::new(self.shards));
        servers.push((name.into(), Arc::clone(&cells)));
        cells
    }
}

impl Source for Arc<ServerRegistry> {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let each = || servers.iter().map(|(name, cells)| (&**name, &**cells));
        page.counter(
            &list::MDM_LOOKUPS,
            each().flat_map(|(name, cells)| {
                RESULTS.iter().enumerate().flat_map(move |(at, result)| {
                    let series =
                        SOURCES.iter().enumerate().map(move |(place, source)| (*source, cells.lookups(at, place)));
                    series
                        .filter(|(_, number)| *number > 0)
                        .map(move |(source, number)| ([name, result, source], number))
                })
            }),
        )?;
        page.histogram(&list::MDM_LOOKUP_SECONDS, each().map(|(name, cells)| ([name], vec![&cells.lookup_seconds])))?;
        page.gauge(&list::MDM_BUDGET_REMAINING, each().map(|(name, cells)| ([name], cells.budget_remaining.value())))?;
        page.counter(&list::MDM_THROTTLED, each().map(|(name, cells)| ([name], cells.throttled.value())))?;
        page.gauge(&list::MDM_LAST_SYNC, each().map(|(name, cells)| ([name], cells.last_sync.value())))?;
        let expiries = each().filter(|(_, cells)| cells.credential_expiry.value() > 0);
        page.gauge(
            &list::MDM_CREDENTIAL_EXPIRY,
            expiries.map(|(name, cells)| ([name], cells.credential_expiry.value())),
        )?;
        page.gauge(&list::DIRECTORY_DEVICES, each().map(|(name, cells)| ([name], cells.devices.value())))?;
        page.gauge(&list::DIRECTORY_REFUSED, each().map(|(name, cells)| ([name], cells.devices_refused.value())))?;
        tell_calls(page, &servers)?;
        let gauge = |cell: fn(&ServerCells) -> &Gauge| each().map(move |(name, cells)| ([name], cell(cells).value()));
        page.gauge(&list::MDM_QUESTIONS_QUEUED, gauge(|cells| &cells.questions_queued))?;
        page.gauge(&list::MDM_CLOCK_OFFSET, gauge(|cells| &cells.clock_offset))?;
        page.gauge(&list::MDM_HELD_DEVICES, gauge(|cells| &cells.held_devices))?;
        let counter =
            |cell: fn(&ServerCells) -> &Counter| each().map(move |(name, cells)| ([name], cell(cells).value()));
        page.counter(&list::MDM_QUESTIONS_MERGED, counter(|cells| &cells.questions_merged))?;
        page.counter(&list::MDM_QUESTIONS_REFUSED, counter(|cells| &cells.questions_refused))?;
        page.counter(&list::MDM_ROWS_MISMATCHED, counter(|cells| &cells.rows_mismatched))?;
        page.counter(&list::MDM_MASS_FLIPS, counter(|cells| &cells.mass_flips))?;
        page.counter(
            &list::MDM_SYNCS,
            each().flat_map(|(name, cells)| {
                [([name, "ok"], cells.syncs_completed.value()), ([name, "failed"], cells.syncs_failed.value())]
            }),
        )
    }
}

/// HTTP requests, and which services are shut.
fn tell_calls(page: &mut Page<'_>, servers: &[(Box<str>, Arc<ServerCells>)]) -> fmt::Result {
    let series = |cells: &'_ ServerCells| -> Vec<(&'static str, &'static str, u64)> {
        let all = Service::ALL.iter().zip(&cells.calls);
        let each = all.flat_map(|(service, row)| {
            CallOutcome::ALL.iter().zip(row).map(|(outcome, cell)| (service.name(), outcome.name(), cell.value()))
        });
        each.filter(|(_, _, number)| *number > 0).collect()
    };
    page.counter(
        &list::MDM_CALLS,
        servers.iter().flat_map(|(name, cells)| {
            series(cells).into_iter().map(|(service, outcome, number)| ([&**name, service, outcome], number))
        }),
    )?;
    page.gauge(
        &list::MDM_SERVICE_SHUT,
        servers.iter().flat_map(|(name, cells)| {
            Service::ALL
                .iter()
                .zip(&cells.service_shut)
                .map(|(service, cell)| ([&**name, service.name()], cell.value()))
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::page::Exposition;

    #[test]
    fn lookups_stand_on_the_page_by_server_result_and_source() {
        let registry = Arc::new(ServerRegistry::new(2));
        let cells = registry.cells("corp");
        cells.count_lookup(0, 0, 4);
        cells.count_lookup(1, 0, 4);
        cells.count_lookup(1, 4, 0);
        // No such result, no such source, no such shard.
        for (shard, result, source) in [(0, 8, 0), (0, 0, 6), (2, 0, 0)] {
            cells.count_lookup(shard, result, source);
        }
        let text = Exposition::new(vec![Box::new(Arc::clone(&registry))]).text();
        let lookups: Vec<&str> = text.lines().filter(|line| line.starts_with("radmit_mdm_lookups_total{")).collect();
        assert_eq!(
            lookups,
            [
                r#"radmit_mdm_lookups_total{server="corp",result="found",source="stale"} 2"#,
                r#"radmit_mdm_lookups_total{server="corp",result="late",source="none"} 1"#,
            ]
        );
    }

    #[test]
    fn every_label_has_its_cell_at_its_place() {
        for (at, service) in Service::ALL.into_iter().enumerate() {
            assert_eq!(service as usize, at, "{}", service.name());
        }
        for (at, outcome) in CallOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at, "{}", outcome.name());
        }
    }

    #[test]
    fn throttled_calls_count_twice_as_calls_and_as_throttled() {
        let cells = ServerCells::default();
        cells.count_call(Service::Graph, CallOutcome::Throttled);
        let row = &cells.calls[Service::Graph as usize];
        assert_eq!((row[CallOutcome::Throttled as usize].value(), cells.throttled.value()), (1, 1));
    }
}
