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
    list,
    page::{Page, Source},
};

/// What came of a lookup: the label `result`.
pub const RESULTS: [&str; 8] =
    ["found", "not-found", "unreachable", "throttled", "late", "misconfigured", "not-ready", "ambiguous"];

/// Where the answer was from: the label `source`. The first is for lookups without an answer.
pub const SOURCES: [&str; 5] = ["none", "fresh", "live", "sync", "stale"];

/// The cells of one server. Several threads write them.
#[derive(Debug, Default)]
pub struct ServerCells {
    /// Lookups by [`RESULTS`], then by [`SOURCES`].
    pub lookups: [[Counter; SOURCES.len()]; RESULTS.len()],
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
}

impl ServerCells {
    /// Counts one lookup. Names that are not in the lists are not counted.
    pub fn count_lookup(&self, result: &str, source: Option<&str>) {
        let place = |names: &[&str], name| names.iter().position(|known| *known == name);
        let result = place(&RESULTS, result).and_then(|at| self.lookups.get(at));
        let source = place(&SOURCES, source.unwrap_or("none"));
        if let Some(cell) = result.zip(source).and_then(|(cells, at)| cells.get(at)) {
            cell.increment();
        }
    }
}

/// The cells of all servers by name.
///
/// Bound: as many as configurations ever named, at most eight times [`limits::MDM_SERVERS_MAX`]; beyond it new names
/// share the cells `(more)`.
#[derive(Debug, Default)]
pub struct ServerRegistry(Mutex<Vec<(Box<str>, Arc<ServerCells>)>>);

impl ServerRegistry {
    /// The cells of the server called `name`; made if they don't exist yet.
    #[must_use]
    pub fn cells(&self, name: &str) -> Arc<ServerCells> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = servers.iter().any(|(known, _)| **known == *name);
        let name = if known || servers.len() < 8 * limits::MDM_SERVERS_MAX { name } else { "(more)" };
        if let Some((_, cells)) = servers.iter().find(|(known, _)| **known == *name) {
            return Arc::clone(cells);
        }
        let cells = Arc::<ServerCells>::default();
        servers.push((name.into(), Arc::clone(&cells)));
        cells
    }
}

impl Source for Arc<ServerRegistry> {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let each = || servers.iter().map(|(name, cells)| (&**name, &**cells));
        page.counter(
            &list::MDM_LOOKUPS,
            each().flat_map(|(name, cells)| {
                RESULTS.iter().zip(&cells.lookups).flat_map(move |(result, cells)| {
                    let series = SOURCES.iter().zip(cells).map(|(source, cell)| (*source, cell.value()));
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
        page.gauge(&list::DIRECTORY_DEVICES, each().map(|(name, cells)| ([name], cells.devices.value())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::page::Exposition;

    #[test]
    fn lookups_stand_on_the_page_by_server_result_and_source() {
        let registry = Arc::<ServerRegistry>::default();
        registry.cells("corp").count_lookup("found", Some("stale"));
        registry.cells("corp").count_lookup("late", None);
        registry.cells("corp").count_lookup("no such result", None);
        let text = Exposition::new(vec![Box::new(Arc::clone(&registry))]).text();
        let lookups: Vec<&str> = text.lines().filter(|line| line.starts_with("radmit_mdm_lookups_total{")).collect();
        assert_eq!(
            lookups,
            [
                r#"radmit_mdm_lookups_total{server="corp",result="found",source="stale"} 1"#,
                r#"radmit_mdm_lookups_total{server="corp",result="late",source="none"} 1"#,
            ]
        );
    }
}
