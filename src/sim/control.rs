//! The control path `/_sim/…`: everything that can be switched and read while the simulated cloud runs.
//!
//! Owns its paths and bodies. It needs no token: the port is on loopback, and nothing behind it is secret.
//!
//! With `SIM=https://127.0.0.1:8443` and curl's `-k` (or `--cacert` with the printed CA):
//!
//! What can be switched, and which faults there are, with a sentence each:
//! ```sh
//! curl -k $SIM/_sim
//! curl -k $SIM/_sim/faults
//! ```
//! Switch a fault on. `surface` is a part, `graph` (managed devices, without discovery), `retrieval` or `all`; the other
//! keys may be left out. `after` requests pass first, then `times` are hit, of a hundred `percent`:
//! ```sh
//! curl -k $SIM/_sim/faults -d '{"surface": "graph", "fault": "status", "status": 503}'
//! curl -k $SIM/_sim/faults -d '{"surface": "graph-list", "fault": "delay", "delay": "150ms", "percent": 50}'
//! curl -k $SIM/_sim/faults -d '{"surface": "token", "fault": "throttle", "retry-after": "60s", "after": 1, "times": 2}'
//! ```
//! Switch faults off, those of one part or all:
//! ```sh
//! curl -k -X DELETE "$SIM/_sim/faults?surface=graph"
//! curl -k -X DELETE $SIM/_sim/faults
//! ```
//! See, change, add (as a device file) and remove a device; a changed device has just checked in:
//! ```sh
//! curl -k $SIM/_sim/devices/5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01
//! curl -k $SIM/_sim/devices/5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01 -X PATCH -d '{"compliance": "noncompliant"}'
//! curl -k $SIM/_sim/devices --data-binary @devices.toml
//! curl -k $SIM/_sim/devices/5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01 -X DELETE
//! ```
//! Give a share of all devices another state at once, as a changed compliance policy does:
//! ```sh
//! curl -k $SIM/_sim/flip -d '{"percent": 30, "compliance": "noncompliant"}'
//! ```
//! Expire the tokens that are out, or let new ones live shorter:
//! ```sh
//! curl -k $SIM/_sim/tokens -d '{"expire": true, "lifetime": "30s"}'
//! ```
//! Let time pass for tokens, limits and the four hours between lists; set the cloud's clock wrong:
//! ```sh
//! curl -k $SIM/_sim/time -d '{"advance": "4h"}'
//! curl -k $SIM/_sim/time -d '{"skew-secs": -600}'
//! ```
//! Set Graph's limit, and whether refused requests are told how long to wait:
//! ```sh
//! curl -k $SIM/_sim/limit -d '{"requests": 2000, "window": "20s", "retry-after": false}'
//! ```
//! Move compliance retrieval to another scale unit; the old one answers 404 (`not-found`) or not at all (`silent`):
//! ```sh
//! curl -k $SIM/_sim/scale-unit -d '{"old": "silent"}'
//! ```
//! What was asked and answered, the most requests in any window, and the last calls; `DELETE` sets the counts to zero:
//! ```sh
//! curl -k $SIM/_sim/statistics
//! curl -k -X DELETE $SIM/_sim/statistics
//! ```

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    clock::{Now, Wall},
    device::{
        file::{self, FileDevice},
        identifier::{Guid, IntuneId, MacAddress},
        record::Compliance,
    },
    document::{Source, parse_duration, write_duration},
    problem::{Problems, did_you_mean},
};

use super::{
    answer::Answer,
    call::Call,
    cloud::{Cloud, OldUnit},
    faults::{Fault, FaultKind},
    harm::ELSEWHERE,
    statistics::Statistics,
    surface::{Surface, Surfaces},
    throttle::Limit,
};

/// Answers a request to the control path; none if it is for the cloud.
pub(super) fn answer(cloud: &Cloud, now: Now, call: &Call) -> Option<Answer> {
    let path = call.path.strip_prefix("/_sim")?;
    if call.path.starts_with(ELSEWHERE) {
        return None;
    }
    let result = match (call.method.as_str(), path.trim_end_matches('/')) {
        ("GET", "") => return Some(Answer::text(StatusCode::OK, OVERVIEW)),
        ("GET", "/faults") => Ok(faults(cloud)),
        ("POST", "/faults") => add_fault(cloud, call),
        ("DELETE", "/faults") => clear_faults(cloud, call),
        ("POST", "/devices") => add_devices(cloud, call),
        ("POST", "/flip") => flip(cloud, now.wall, call),
        ("POST", "/tokens") => tokens(cloud, call),
        ("POST", "/time") => time(cloud, call),
        ("POST", "/limit") => limit(cloud, call),
        ("POST", "/scale-unit") => scale_unit(cloud, call),
        ("GET", "/statistics") => Ok(statistics(&cloud.statistics())),
        ("DELETE", "/statistics") => {
            cloud.reset_statistics();
            Ok(json!({}))
        }
        (_, path) => match path.strip_prefix("/devices/") {
            Some(id) => device(cloud, now.wall, call, id),
            None => Err(Refused(StatusCode::NOT_FOUND, format!("nothing here; {OVERVIEW}"))),
        },
    };
    Some(match result {
        Ok(body) => Answer::json(StatusCode::OK, &body),
        Err(Refused(status, why)) => Answer::new(status, "text/plain; charset=utf-8", format!("{why}\n")),
    })
}

const OVERVIEW: &str = "GET /_sim/faults /_sim/statistics /_sim/devices/ID; POST /_sim/faults /_sim/devices /_sim/flip /_sim/tokens \
                        /_sim/time /_sim/limit /_sim/scale-unit; PATCH /_sim/devices/ID; DELETE /_sim/faults \
                        /_sim/devices/ID /_sim/statistics\n";

/// Why a request to the control path is refused, in words for a person.
struct Refused(StatusCode, String);

impl Refused {
    fn bad(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Refused> {
    serde_json::from_slice(&call.body).map_err(|error| Refused::bad(error.to_string()))
}

fn duration(text: &str) -> Result<Duration, Refused> {
    parse_duration(text).ok_or_else(|| {
        Refused::bad(format!("\"{text}\" is no duration; write a number and a unit such as \"90s\" or \"150ms\""))
    })
}

fn surfaces(name: &str) -> Result<Surfaces, Refused> {
    Surfaces::parse(name).ok_or_else(|| {
        let nearest = did_you_mean(name, Surfaces::names());
        let all = Surfaces::names().collect::<Vec<_>>().join(", ");
        Refused::bad(format!("unknown surface \"{name}\"{nearest}; there are: {all}"))
    })
}

// --- faults ----------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct NewFault {
    surface: String,
    fault: String,
    status: Option<u16>,
    delay: Option<String>,
    retry_after: Option<String>,
    #[serde(default)]
    after: u64,
    times: Option<u64>,
    percent: Option<u8>,
}

fn add_fault(cloud: &Cloud, call: &Call) -> Result<Value, Refused> {
    let new: NewFault = body(call)?;
    let kind = FaultKind::parse(&new.fault).ok_or_else(|| {
        let nearest = did_you_mean(&new.fault, FaultKind::ALL.iter().map(|kind| kind.name()));
        Refused::bad(format!("unknown fault \"{}\"{nearest}; GET /_sim/faults lists them", new.fault))
    })?;
    let surfaces = surfaces(&new.surface)?.intersection(kind.surfaces());
    if surfaces.is_empty() {
        return Err(Refused::bad(format!("\"{}\" has no fault \"{}\"", new.surface, kind.name())));
    }
    let mut fault = Fault { after: new.after, times: new.times, ..Fault::new(surfaces, kind) };
    if let Some(status) = new.status {
        StatusCode::from_u16(status).map_err(|_| Refused::bad(format!("{status} is no HTTP status")))?;
        fault.status = status;
    }
    if let Some(text) = &new.delay {
        fault.delay = duration(text)?;
    }
    fault.retry_after = new.retry_after.as_deref().map(duration).transpose()?;
    fault.percent = new.percent.unwrap_or(100).min(100);
    if fault.times == Some(0) || !cloud.add_fault(fault) {
        return Err(Refused::bad("nothing was switched on: \"times\" is 0, or too many faults are on already"));
    }
    Ok(shown_fault(&fault))
}

fn clear_faults(cloud: &Cloud, call: &Call) -> Result<Value, Refused> {
    cloud.clear_faults(surfaces(call.parameter("surface").unwrap_or("all"))?);
    Ok(faults(cloud))
}

fn faults(cloud: &Cloud) -> Value {
    let known: Vec<Value> = FaultKind::ALL
        .iter()
        .map(|kind| {
            let surfaces: Vec<&str> = kind.surfaces().iter().map(Surface::name).collect();
            json!({ "fault": kind.name(), "does": kind.sentence(), "surfaces": surfaces })
        })
        .collect();
    let active: Vec<Value> = cloud.faults().iter().map(shown_fault).collect();
    json!({ "active": active, "known": known })
}

fn shown_fault(fault: &Fault) -> Value {
    json!({
        "fault": fault.kind.name(),
        "surfaces": fault.surfaces.iter().map(Surface::name).collect::<Vec<_>>(),
        "status": fault.status,
        "delay": write_duration(fault.delay),
        "retry-after": fault.retry_after.map(write_duration),
        "after": fault.after,
        "times": fault.times,
        "percent": fault.percent,
    })
}

// --- devices ---------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct DeviceChange {
    compliance: Option<String>,
    managed: Option<bool>,
    wifi_mac: Option<String>,
    ethernet_mac: Option<String>,
}

fn device(cloud: &Cloud, now: Wall, call: &Call, id: &str) -> Result<Value, Refused> {
    let none = || Refused(StatusCode::NOT_FOUND, format!("no device has the Intune id {id}"));
    let id = IntuneId(Guid::parse(id.as_bytes()).ok_or_else(none)?);
    match call.method {
        Method::GET => {}
        Method::PATCH => change_device(cloud, now, id, &body(call)?)?,
        Method::DELETE => return cloud.remove_device(id).then(|| json!({})).ok_or_else(none),
        _ => return Err(Refused(StatusCode::METHOD_NOT_ALLOWED, "use GET, PATCH or DELETE".to_owned())),
    }
    cloud.device(id).map(|device| shown_device(&device)).ok_or_else(none)
}

fn change_device(cloud: &Cloud, now: Wall, id: IntuneId, change: &DeviceChange) -> Result<(), Refused> {
    let mac = |text: &Option<String>| match text.as_deref() {
        None => Ok(None),
        Some(text) => match MacAddress::parse(text.as_bytes()) {
            Some(mac) => Ok(Some(mac)),
            None => Err(Refused::bad(format!("\"{text}\" is no MAC address"))),
        },
    };
    let wifi_mac = mac(&change.wifi_mac)?;
    let ethernet_mac = mac(&change.ethernet_mac)?;
    let compliance = change.compliance.as_deref().map(compliance).transpose()?;
    cloud.change_device(id, now, |device| {
        device.compliance = compliance.unwrap_or(device.compliance);
        device.managed = change.managed.unwrap_or(device.managed);
        device.wifi_mac = wifi_mac.or(device.wifi_mac);
        device.ethernet_mac = ethernet_mac.or(device.ethernet_mac);
    });
    Ok(())
}

fn compliance(text: &str) -> Result<Compliance, Refused> {
    let state = Compliance::parse(text);
    if state == Compliance::Unknown && text != Compliance::Unknown.name() {
        let all = Compliance::ALL.map(Compliance::name).join(", ");
        return Err(Refused::bad(format!("\"{text}\" is no compliance state; there are: {all}")));
    }
    Ok(state)
}

fn add_devices(cloud: &Cloud, call: &Call) -> Result<Value, Refused> {
    let text = std::str::from_utf8(&call.body).map_err(|_| Refused::bad("a device file is UTF-8 text"))?;
    let mut problems = Problems::new();
    let devices = file::read(&Source::new("devices.toml", text), &mut problems);
    if problems.has_errors() {
        let lines: Vec<String> = problems.sorted().iter().map(ToString::to_string).collect();
        return Err(Refused::bad(lines.join("\n")));
    }
    let added = devices.into_iter().filter(|device| cloud.add_device(device.clone())).count();
    Ok(json!({ "added": added }))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Flip {
    percent: u8,
    compliance: String,
}

fn flip(cloud: &Cloud, now: Wall, call: &Call) -> Result<Value, Refused> {
    let Flip { percent, compliance: state } = body(call)?;
    let changed = cloud.flip(percent, compliance(&state)?, now);
    Ok(json!({ "changed": changed }))
}

fn shown_device(device: &FileDevice) -> Value {
    json!({
        "name": device.name(),
        "intune-id": device.intune_id.to_string(),
        "entra-id": device.entra_id.map(|id| id.to_string()),
        "wifi-mac": device.wifi_mac.map(|mac| mac.to_string()),
        "ethernet-mac": device.ethernet_mac.map(|mac| mac.to_string()),
        "managed": device.managed,
        "compliance": device.compliance.name(),
    })
}

// --- the tenant ------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct TokenOrder {
    #[serde(default)]
    expire: bool,
    lifetime: Option<String>,
}

fn tokens(cloud: &Cloud, call: &Call) -> Result<Value, Refused> {
    let order: TokenOrder = body(call)?;
    if let Some(lifetime) = &order.lifetime {
        cloud.set_token_lifetime(duration(lifetime)?);
    }
    if order.expire {
        cloud.expire_tokens();
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct TimeOrder {
    advance: Option<String>,
    skew_secs: Option<i64>,
}

fn time(cloud: &Cloud, call: &Call) -> Result<Value, Refused> {
    let order: TimeOrder = body(call)?;
    if let Some(by) = &order.advance {
        cloud.advance(duration(by)?);
    }
    if let Some(skew_secs) = order.skew_secs {
        cloud.set_skew_secs(skew_secs);
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LimitOrder {
    requests: Option<usize>,
    window: Option<String>,
    retry_after: Option<bool>,
}

fn limit(cloud: &Cloud, call: &Call) -> Result<Value, Refused> {
    let order: LimitOrder = body(call)?;
    let published = Limit::default();
    cloud.set_limit(Limit {
        requests: order.requests.unwrap_or(published.requests),
        window: order.window.as_deref().map_or(Ok(published.window), duration)?,
        retry_after: order.retry_after.unwrap_or(published.retry_after),
    });
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct UnitOrder {
    old: String,
}

fn scale_unit(cloud: &Cloud, call: &Call) -> Result<Value, Refused> {
    let order: UnitOrder = body(call)?;
    let old = match order.old.as_str() {
        "not-found" => OldUnit::NotFound,
        "silent" => OldUnit::Silent,
        other => return Err(Refused::bad(format!("\"old\" is \"not-found\" or \"silent\", not \"{other}\""))),
    };
    cloud.move_scale_unit(old);
    Ok(json!({}))
}

fn statistics(statistics: &Statistics) -> Value {
    let surfaces: serde_json::Map<String, Value> = Surface::ALL
        .iter()
        .map(|surface| {
            let counts = statistics.of(*surface);
            let shown = json!({
                "requests": counts.requests,
                "answered": counts.answered,
                "throttled": counts.throttled,
                "refused": counts.refused,
                "failed": counts.failed,
                "faulted": counts.faulted,
            });
            (surface.name().to_owned(), shown)
        })
        .collect();
    let calls: Vec<Value> = statistics
        .calls
        .iter()
        .map(|call| {
            json!({ "surface": call.surface.name(), "method": call.method, "target": call.target, "status": call.status })
        })
        .collect();
    json!({
        "surfaces": surfaces,
        "strays": statistics.strays,
        "elsewhere": statistics.elsewhere,
        "elsewhere-with-token": statistics.elsewhere_with_token,
        "tokens-issued": statistics.tokens_issued,
        "over-limit": statistics.over_limit,
        "most-in-window": statistics.most_in_window,
        "most-in-window-of-all": statistics.most_in_window_of_all,
        "calls": calls,
    })
}
