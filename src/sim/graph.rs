//! Graph: managed devices by id, by filter and as a list, and the discovery of Intune's services.
//!
//! Owns which rows an answer has, the real service's oddities included. Tokens and limits were checked before.
//!
//! Source: Microsoft Graph v1.0, managedDevice (get, list); for the oddities see `odata` and `bodies`.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::{
    clock::Wall,
    device::{
        file::FileDevice,
        identifier::{Guid, IntuneId},
    },
};

use super::{
    answer::Answer,
    bodies::{self, Stamp, View},
    call::Call,
    faults::FaultKind,
    fleet::Fleet,
    harm::{Harm, elsewhere},
    odata::{Filter, Selection, SkipToken},
};

/// What an answer is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Graph<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) started: Wall,
    pub(super) skip_token: SkipToken,
    pub(super) harm: &'a Harm,
    pub(super) stamp: &'a Stamp,
}

impl Graph<'_> {
    /// `GET …/managedDevices/{id}`
    pub(super) fn device(self, call: &Call, id: &str) -> Answer {
        let selection = match Selection::parse(call.parameter("$select")) {
            Ok(selection) => selection,
            Err(name) => return self.unknown_property(&name),
        };
        let Some(guid) = Guid::parse(id.as_bytes()) else {
            return self.bad_request("The id of a managed device must be a GUID.");
        };
        let found = match self.fleet.find(IntuneId(guid)) {
            Some(_) if self.harm.has(FaultKind::WrongDevice) => self.other_than(IntuneId(guid)),
            found => found.map(std::borrow::Cow::into_owned),
        };
        let Some(device) = found else {
            let body = bodies::intune_error("ResourceNotFound", "An error has occurred", self.stamp);
            return Answer::json(StatusCode::NOT_FOUND, &body);
        };
        // Fields such as ethernetMacAddress are filled only if they are named.
        let view = View { single: selection != Selection::Default, ..self.view() };
        Answer::json(StatusCode::OK, &bodies::device(row(&device, &selection, view)))
    }

    /// `GET …/managedDevices`
    pub(super) fn devices(self, call: &Call) -> Answer {
        let unknown = call.query.iter().find(|(name, _)| name.starts_with('$') && !OPTIONS.contains(&name.as_str()));
        if let Some((name, _)) = unknown {
            return self.bad_request(&format!("The query parameter '{name}' is not supported."));
        }
        let selection = match Selection::parse(call.parameter("$select")) {
            Ok(selection) => selection,
            Err(name) => return self.unknown_property(&name),
        };
        let Ok(filter) = Filter::parse(call.parameter("$filter")) else {
            return self.bad_request("The filter is not supported.");
        };
        let Some(top) = call.parameter("$top").map_or(Some(PAGE), |top| top.parse().ok().filter(|top| *top > 0)) else {
            return self.bad_request("$top must be a positive number.");
        };
        let first = match call.parameter("$skiptoken") {
            None => 0,
            Some(token) => match self.skip_token.read(token) {
                Some(row) => row,
                None => return self.bad_request("The skip token is not valid."),
            },
        };
        let (mut rows, next) = self.page(&filter, first, top.min(PAGE));
        if self.harm.has(FaultKind::WrongDevice) {
            rows.iter_mut().for_each(|row| *row = (*row + 1) % self.fleet.rows().max(1));
        }
        self.list(call, &selection, rows, first, next)
    }

    fn list(
        self,
        call: &Call,
        selection: &Selection,
        mut rows: Vec<usize>,
        first: usize,
        next: Option<usize>,
    ) -> Answer {
        let mut link = next.map(|row| self.next_link(call, row));
        if self.harm.has(FaultKind::ShortList) {
            rows.truncate(rows.len().div_ceil(2));
            link = None;
        }
        if self.harm.has(FaultKind::EndlessPages) {
            link = Some(self.next_link(call, first));
        }
        if self.harm.has(FaultKind::ForeignPage) {
            link = Some(elsewhere(&call.host, &call.path));
        }
        let values = rows
            .iter()
            .filter_map(|at| self.fleet.at(*at))
            .map(|device| Value::Object(row(&device, selection, self.view())))
            .collect();
        Answer::json(StatusCode::OK, &bodies::devices(values, link))
    }

    /// Up to `top` rows from row `first` on, and where the next page begins.
    fn page(self, filter: &Filter, first: usize, top: usize) -> (Vec<usize>, Option<usize>) {
        let fleet = self.fleet;
        let is = |wanted: &dyn Fn(&FileDevice) -> bool, at: &usize| fleet.at(*at).is_some_and(|device| wanted(&device));
        match filter {
            Filter::Nobody => (Vec::new(), None),
            Filter::Everybody => self.take((first..fleet.rows()).filter(|at| fleet.is_taken(*at)), top),
            Filter::CheckedIn { after, at: than } => {
                let fits = |at: &usize| {
                    let checked_in = fleet.checked_in(*at, self.started);
                    checked_in.is_some_and(|at| if *after { at > *than } else { at < *than })
                };
                self.take((first..fleet.rows()).filter(fits), top)
            }
            Filter::IntuneId(id) => {
                let found: Vec<usize> = fleet.row_of(*id).into_iter().collect();
                self.take(found.into_iter(), top)
            }
            Filter::EntraId(id) => {
                let rows = fleet.rows_by_entra_id(*id).filter(|at| *at >= first);
                self.take(rows.filter(|at| is(&|device| device.entra_id == Some(*id), at)), top)
            }
            Filter::Serial(serial) => {
                let same = |device: &FileDevice| device.details.serial.as_deref() == Some(serial);
                let rows = fleet.rows_by_serial(serial).filter(|at| *at >= first);
                self.take(rows.filter(|at| is(&same, at)), top)
            }
            Filter::Name(name) => {
                let rows = fleet.rows_by_name(name).filter(|at| *at >= first);
                self.take(rows.filter(|at| is(&|device| device.name() == name, at)), top)
            }
        }
    }

    fn take(self, mut rows: impl Iterator<Item = usize>, top: usize) -> (Vec<usize>, Option<usize>) {
        let page: Vec<usize> = rows.by_ref().take(top).collect();
        (page, rows.next())
    }

    /// The query as it came, and where the next page begins.
    fn next_link(self, call: &Call, row: usize) -> String {
        let mut link = format!("{}{}?", call.base(), call.path.trim_end_matches('/'));
        for (name, value) in call.query.iter().filter(|(name, _)| name != "$skiptoken") {
            link.push_str(&format!("{name}={}&", encoded(value)));
        }
        link.push_str("$skiptoken=");
        link.push_str(&self.skip_token.write(row));
        link
    }

    fn view(self) -> View {
        View {
            started: self.started,
            single: false,
            unknown_values: self.harm.has(FaultKind::UnknownValues),
            broken_macs: self.harm.has(FaultKind::BrokenMacs),
        }
    }

    fn other_than(self, id: IntuneId) -> Option<FileDevice> {
        let mut others = (0..self.fleet.rows()).filter_map(|at| self.fleet.at(at));
        others.find(|device| device.intune_id != id).map(std::borrow::Cow::into_owned)
    }

    fn unknown_property(self, name: &str) -> Answer {
        self.bad_request(&format!("Could not find a property named '{name}' on type 'microsoft.graph.managedDevice'."))
    }

    fn bad_request(self, message: &str) -> Answer {
        Answer::json(StatusCode::BAD_REQUEST, &bodies::graph_error("BadRequest", message, self.stamp))
    }
}

/// The most rows of one page.
const PAGE: usize = 1_000;
const OPTIONS: [&str; 5] = ["$select", "$filter", "$top", "$skiptoken", "$count"];

fn row(device: &FileDevice, selection: &Selection, view: View) -> Map<String, Value> {
    let pairs = selection.names().iter();
    pairs.filter_map(|name| Some(((*name).to_owned(), bodies::property(name, device, view)?))).collect()
}

fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for octet in value.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' | b'\'' => {
                text.push(char::from(octet));
            }
            _ => text.push_str(&format!("%{octet:02X}")),
        }
    }
    text
}
