//! The compliance retrieval service: one device by Intune id or MAC, and the list of all of one state.
//!
//! Owns its queries. The rule against asking for the list too often needs memory and is kept by `cloud`.
//!
//! Source: Microsoft, "Integrate network access control with Intune"; Cisco, "Mobile Device Management APIs" v3.

use axum::http::StatusCode;

use crate::device::{
    file::FileDevice,
    identifier::{Guid, IntuneId, MacAddress},
    record::Compliance,
};

use super::{
    answer::Answer,
    bodies::{self, RETRIEVAL_PAGE, RetrievalRow, Spelling},
    call::{Call, RETRIEVAL_PATH},
    faults::FaultKind,
    fleet::Fleet,
    harm::Harm,
};

/// `…/ciscoise/mdminfo/`
pub(super) fn service_details(harm: &Harm) -> Answer {
    Answer::xml(StatusCode::OK, bodies::service_details(&format!("/{RETRIEVAL_PATH}"), spelling(harm)))
}

/// `…/cisco/devices/` with a criterion that names one device.
pub(super) fn device(call: &Call, fleet: &Fleet, harm: &Harm) -> Answer {
    let asked = call.parameter("value").unwrap_or("");
    let (found, mac) = match call.parameter("querycriteria") {
        Some("guid") => (Guid::parse(asked.as_bytes()).and_then(|guid| fleet.find(IntuneId(guid))), None),
        Some("macaddress") => {
            // Twelve digits without separators; anything else matches nobody.
            let mac = MacAddress::parse(asked.as_bytes()).filter(|mac| asked.len() == 12 && !mac.is_unusable());
            let owner = mac.and_then(|mac| {
                let carries = |device: &FileDevice| device.wifi_mac == Some(mac) || device.ethernet_mac == Some(mac);
                fleet.rows_by_mac(mac).filter_map(|row| fleet.at(row)).find(|device| carries(device))
            });
            (owner, mac)
        }
        _ => return Answer::text(StatusCode::BAD_REQUEST, "querycriteria is not supported"),
    };
    let spelling = spelling(harm);
    match found {
        Some(device) => {
            let rows = [retrieval_row(&device, mac)];
            Answer::xml(StatusCode::OK, bodies::compliance(&rows, None, spelling))
        }
        None if harm.has(FaultKind::UnknownIs404) => Answer::text(StatusCode::NOT_FOUND, ""),
        None if harm.has(FaultKind::UnknownIsUnregistered) => {
            Answer::xml(StatusCode::OK, bodies::unregistered(asked, spelling))
        }
        None => Answer::xml(StatusCode::OK, bodies::compliance(&[], None, spelling)),
    }
}

/// Whether a list request begins a list: only those are limited.
pub(super) fn is_first_page(call: &Call) -> bool {
    paging(call) == 0
}

/// `…/cisco/devices/` with the criterion `compliance`.
pub(super) fn list(call: &Call, fleet: &Fleet, harm: &Harm) -> Answer {
    let wanted = match call.parameter("value") {
        Some("false") => false,
        Some("true") => true,
        _ => return Answer::text(StatusCode::BAD_REQUEST, "value must be true or false"),
    };
    let by_mac = call.parameter("deviceidentifier") == Some("macaddress");
    let mut fitting = (paging(call)..fleet.rows())
        .filter(|row| fleet.compliance(*row).is_some_and(|state| counts_as_compliant(state) == wanted));
    let rows: Vec<RetrievalRow> = fitting
        .by_ref()
        .take(RETRIEVAL_PAGE)
        .filter_map(|row| fleet.at(row))
        .map(|device| {
            let mac = device.wifi_mac.or(device.ethernet_mac).filter(|_| by_mac);
            retrieval_row(&device, mac)
        })
        .collect();
    // Row 0 can't begin a second page, so that 0 is free to mean the end.
    let next = fitting.next().unwrap_or(0);
    Answer::xml(StatusCode::OK, bodies::compliance(&rows, Some(next), spelling(harm)))
}

fn paging(call: &Call) -> usize {
    call.parameter("paging").and_then(|paging| paging.parse().ok()).unwrap_or(0)
}

fn retrieval_row(device: &FileDevice, mac: Option<MacAddress>) -> RetrievalRow {
    RetrievalRow {
        id: device.intune_id,
        registered: device.managed,
        compliant: device.managed && counts_as_compliant(device.compliance),
        mac,
    }
}

/// The service knows yes and no only. That grace counts as yes is how Entra reads it; Microsoft does not document it.
const fn counts_as_compliant(state: Compliance) -> bool {
    matches!(state, Compliance::Compliant | Compliance::InGracePeriod)
}

fn spelling(harm: &Harm) -> Spelling {
    Spelling {
        old: harm.has(FaultKind::OldXml),
        doctype: harm.has(FaultKind::Doctype),
        busy: harm.has(FaultKind::Busy),
    }
}
