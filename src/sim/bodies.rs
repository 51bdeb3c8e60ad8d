//! Every body that the simulated cloud sends, in one place.
//!
//! Owns wording and shape, as Microsoft's services have them. When each is sent is decided elsewhere.
//!
//! Source: Microsoft Graph v1.0 reference (managedDevice, error responses, JSON batching), Microsoft identity platform
//! (client credentials, error codes), and for the compliance retrieval service what its public clients show of it.

use serde_json::{Map, Value, json};

use crate::{
    clock::Wall,
    device::{
        file::FileDevice,
        identifier::{IntuneId, MacAddress},
        record::Compliance,
        text::SharedText,
    },
};

use super::call::{INTUNE_APPLICATION, retrieval_base};

/// What every error body names besides the error.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    pub(super) wall: Wall,
    pub(super) request_id: String,
    pub(super) client_request_id: String,
}

// --- Entra -----------------------------------------------------------------------------------------------------------

/// An access token of the v2 endpoint.
pub(super) fn token_v2(token: &str, lifetime_secs: u64) -> Value {
    json!({
        "token_type": "Bearer",
        "expires_in": lifetime_secs,
        "ext_expires_in": lifetime_secs,
        "access_token": token,
    })
}

/// An access token of the v1 endpoint and of managed identities: the numbers are texts.
pub(super) fn token_v1(token: &str, resource: &str, lifetime_secs: u64, wall: Wall) -> Value {
    let from = wall.as_secs();
    let to = from.saturating_add_unsigned(lifetime_secs);
    json!({
        "token_type": "Bearer",
        "expires_in": lifetime_secs.to_string(),
        "ext_expires_in": lifetime_secs.to_string(),
        "expires_on": to.to_string(),
        "not_before": from.to_string(),
        "resource": resource,
        "access_token": token,
    })
}

/// A refusal of the token endpoint. `number`: the AADSTS code.
pub(super) fn token_error(error: &str, number: u32, text: &str, stamp: &Stamp) -> Value {
    let time = date_time(stamp.wall).replace('T', " ");
    let (trace, correlation) = (&stamp.request_id, &stamp.client_request_id);
    json!({
        "error": error,
        "error_description": format!(
            "AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"
        ),
        "error_codes": [number],
        "timestamp": time,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("https://login.example/error?code={number}"),
    })
}

// --- Graph -----------------------------------------------------------------------------------------------------------

/// An error as Graph itself reports it.
pub(super) fn graph_error(code: &str, message: &str, stamp: &Stamp) -> Value {
    let date = date_time(stamp.wall);
    json!({"error": {
        "code": code,
        "message": message,
        "innerError": {
            "date": date.trim_end_matches('Z'),
            "request-id": stamp.request_id,
            "client-request-id": stamp.client_request_id,
        },
    }})
}

/// An error as Intune reports it through Graph: the message is a JSON document in a text, with line breaks.
pub(super) fn intune_error(code: &str, sentence: &str, stamp: &Stamp) -> Value {
    let told = format!(
        "{sentence} - Operation ID (for customer support): 00000000-0000-0000-0000-000000000000 - Activity ID: {} - \
         Url: https://fef.test.manage.microsoft.com/DeviceFE/StatelessDeviceFEService/deviceManagement/managedDevices\
         ?api-version=2024-06-14",
        stamp.request_id
    );
    let message = format!(
        "{{\r\n  \"_version\": 3,\r\n  \"Message\": {},\r\n  \"CustomApiErrorPhrase\": \"\",\r\n  \"RetryAfter\": null,\r\n  \
         \"ErrorSourceService\": \"\",\r\n  \"HttpHeaders\": \"{{}}\"\r\n}}",
        Value::String(told)
    );
    graph_error(code, &message, stamp)
}

/// The permission for managed devices is missing.
pub(super) fn no_device_permission(stamp: &Stamp) -> Value {
    let sentence = "Application is not authorized to perform this operation. Application must have one of the following \
                    scopes: DeviceManagementManagedDevices.Read.All, DeviceManagementManagedDevices.ReadWrite.All";
    intune_error("Forbidden", sentence, stamp)
}

/// The permission for service principals is missing.
pub(super) fn no_directory_permission(stamp: &Stamp) -> Value {
    graph_error("Authorization_RequestDenied", "Insufficient privileges to complete the operation.", stamp)
}

/// The list of a tenant's Intune services, with what a client must not fall for: names without an address, and the
/// retired service that is still listed.
pub(super) fn discovery(base: &str, unit: u32, with_retrieval: bool, odd_case: bool) -> Value {
    let entry = |number: u32, name: &str, uri: String| {
        json!({
            "id": format!("00000000-aaaa-0000-0000-{number:012}"),
            "deletedDateTime": null,
            "capability": name,
            "providerId": INTUNE_APPLICATION,
            "providerName": name,
            "providerResourceId": format!("00000000-bbbb-0000-0000-{number:012}"),
            "uri": uri,
        })
    };
    let mut entries = vec![
        entry(1, "ASUName", format!("TESTASU{unit:02}")),
        entry(2, "NACAPIService", format!("{base}/StatelessNACService")),
        entry(3, "NACAPIServiceBackup", format!("{base}/StatelessNACService")),
    ];
    if with_retrieval {
        let name = if odd_case { "compliancERetrievalSERVICE" } else { "ComplianceRetrievalService" };
        entries.push(entry(4, name, retrieval_base(base, unit)));
    }
    entries.push(entry(5, "ScepRequestValidationFEService", format!("{base}/StatelessScepService")));
    let id = INTUNE_APPLICATION;
    json!({
        "@odata.context": format!("{METADATA}#servicePrincipals('appId%3D{id}')/endpoints"),
        "value": entries,
    })
}

/// One managed device. `row`: what [`property`] made.
pub(super) fn device(row: Map<String, Value>) -> Value {
    let mut object = row;
    object.insert("@odata.context".to_owned(), format!("{METADATA}#{DEVICES}/$entity").into());
    Value::Object(object)
}

/// A page of managed devices. The count is the page's, not the tenant's, as the real one's.
pub(super) fn devices(rows: Vec<Value>, next: Option<String>) -> Value {
    let mut object = json!({
        "@odata.context": format!("{METADATA}#{DEVICES}"),
        "@odata.count": rows.len(),
        "value": rows,
    });
    if let (Some(next), Value::Object(object)) = (next, &mut object) {
        object.insert("@odata.nextLink".to_owned(), next.into());
    }
    object
}

const METADATA: &str = "https://graph.microsoft.com/v1.0/$metadata";
const DEVICES: &str = "deviceManagement/managedDevices";

/// What a row shows besides its device.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// When the fleet was started: ages of check-ins count from here.
    pub(super) started: Wall,
    /// Whether fields that exist only in a single answer are filled.
    pub(super) single: bool,
    /// Words that no client knows yet.
    pub(super) unknown_values: bool,
    /// MAC addresses that are none: null, empty, zeros.
    pub(super) broken_macs: bool,
}

/// The properties that a row can have. Others in `$select` are an error.
pub(super) const PROPERTIES: [&str; 35] = [
    "id",
    "userId",
    "deviceName",
    "managedDeviceName",
    "managedDeviceOwnerType",
    "enrolledDateTime",
    "lastSyncDateTime",
    "operatingSystem",
    "osVersion",
    "complianceState",
    "complianceGracePeriodExpirationDateTime",
    "jailBroken",
    "managementAgent",
    "deviceEnrollmentType",
    "azureADRegistered",
    "azureADDeviceId",
    "deviceRegistrationState",
    "deviceCategoryDisplayName",
    "isEncrypted",
    "isSupervised",
    "userPrincipalName",
    "userDisplayName",
    "emailAddress",
    "model",
    "manufacturer",
    "serialNumber",
    "wiFiMacAddress",
    "ethernetMacAddress",
    "partnerReportedThreatState",
    "easActivationDateTime",
    "udid",
    "iccid",
    "imei",
    "meid",
    "notes",
];

/// The value of one property; none if there is no such property.
pub(super) fn property(name: &str, device: &FileDevice, view: View) -> Option<Value> {
    let details = &device.details;
    let text = |text: &Option<SharedText>| Value::from(text.as_deref().unwrap_or(""));
    let own = |text: &Option<Box<str>>| Value::from(text.as_deref().unwrap_or(""));
    let value = match name {
        "id" => device.intune_id.to_string().into(),
        "deviceName" | "managedDeviceName" => own(&details.device_name),
        "managedDeviceOwnerType" => details.owner.as_deref().unwrap_or("unknown").into(),
        "enrolledDateTime" => date_time(view.started.minus(YEAR)).into(),
        "lastSyncDateTime" => device.last_check_in.map_or(NEVER.into(), |at| date_time(at.wall(view.started)).into()),
        "operatingSystem" => text(&details.os),
        "osVersion" => text(&details.os_version),
        "complianceState" if view.unknown_values => "quantumCompliant".into(),
        "complianceState" => graph_state(device.compliance).into(),
        "complianceGracePeriodExpirationDateTime" => grace_ends(device, view).into(),
        // A text, not a truth value, and its case varies in the field.
        "jailBroken" => details.jailbroken.map_or("Unknown", |is| if is { "True" } else { "False" }).into(),
        "managementAgent" => details.management_agent.as_deref().unwrap_or("mdm").into(),
        "deviceEnrollmentType" => "windowsAzureADJoin".into(),
        "azureADRegistered" => device.entra_id.is_some().into(),
        "azureADDeviceId" => device.entra_id.map_or(NIL_GUID.to_owned(), |id| id.to_string()).into(),
        "deviceRegistrationState" => if device.managed { "registered" } else { "notRegistered" }.into(),
        "isEncrypted" => details.encrypted.unwrap_or(false).into(),
        "isSupervised" => false.into(),
        "userPrincipalName" | "emailAddress" | "userDisplayName" => own(&details.user),
        "userId" => "99990000-1111-2222-3333-444455556666".into(),
        "model" => text(&details.model),
        "manufacturer" => text(&details.manufacturer),
        "serialNumber" => own(&details.serial),
        "wiFiMacAddress" | "ethernetMacAddress" if view.broken_macs => broken_mac(device.intune_id),
        "wiFiMacAddress" => device.wifi_mac.map_or(String::new(), plain_mac).into(),
        "ethernetMacAddress" if view.single => device.ethernet_mac.map(plain_mac).into(),
        "partnerReportedThreatState" if view.unknown_values => "shinyThreat".into(),
        "partnerReportedThreatState" => details.threat.as_deref().unwrap_or("unknown").into(),
        "easActivationDateTime" => NEVER.into(),
        "imei" | "meid" | "deviceCategoryDisplayName" => "".into(),
        "ethernetMacAddress" | "udid" | "iccid" | "notes" => Value::Null,
        _ => return None,
    };
    Some(value)
}

const YEAR: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);
const NEVER: &str = "0001-01-01T00:00:00Z";
const FOREVER: &str = "9999-12-31T23:59:59Z";
const NIL_GUID: &str = "00000000-0000-0000-0000-000000000000";

fn grace_ends(device: &FileDevice, view: View) -> String {
    match device.compliance {
        Compliance::InGracePeriod => date_time(view.started.plus(std::time::Duration::from_secs(3 * 86_400))),
        _ => FOREVER.to_owned(),
    }
}

fn broken_mac(id: IntuneId) -> Value {
    match id.0.octets()[15] % 3 {
        0 => Value::Null,
        1 => "".into(),
        _ => "000000000000".into(),
    }
}

/// The state as Graph spells it.
pub(super) const fn graph_state(state: Compliance) -> &'static str {
    match state {
        Compliance::Unknown => "unknown",
        Compliance::Compliant => "compliant",
        Compliance::NonCompliant => "noncompliant",
        Compliance::InGracePeriod => "inGracePeriod",
        Compliance::Conflict => "conflict",
        Compliance::Error => "error",
        Compliance::ConfigManager => "configManager",
    }
}

/// `A4C3F0112233`.
fn plain_mac(mac: MacAddress) -> String {
    mac.octets().iter().map(|octet| format!("{octet:02X}")).collect()
}

/// `2026-01-02T03:04:05Z`.
pub(super) fn date_time(wall: Wall) -> String {
    jiff::Timestamp::from_microsecond(wall.as_micros())
        .map_or_else(|_| NEVER.to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

// --- compliance retrieval --------------------------------------------------------------------------------------------

/// How the service spells its XML.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spelling {
    /// Lower case and no namespace, as version 2 wrote it.
    pub(super) old: bool,
    /// A document type in front, and its entity where the state should be.
    pub(super) doctype: bool,
    /// An element that asks the client to wait.
    pub(super) busy: bool,
}

/// What the service says of itself.
pub(super) fn service_details(path: &str, spelling: Spelling) -> String {
    let inner = format!(
        "<name>mdminfo</name><api_version>3</api_version><api_path>{path}/cisco</api_path>\
         <redirect_url>https://portal.manage.microsoft.com/networkaccesscontrol/index</redirect_url>\
         <query_max_size>{RETRIEVAL_PAGE}</query_max_size><messaging_support>false</messaging_support>\
         <vendor>Microsoft</vendor><product_name>Microsoft Intune</product_name><product_version>5.0</product_version>"
    );
    document(&inner, spelling)
}

/// Devices in one compliance list.
pub(super) const RETRIEVAL_PAGE: usize = 100;

/// One device of the service's answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetrievalRow {
    pub(super) id: IntuneId,
    pub(super) registered: bool,
    pub(super) compliant: bool,
    /// Shown if the device was asked for by it.
    pub(super) mac: Option<MacAddress>,
}

/// An answer about devices. `paging`: only lists have it, and 0 is their end.
pub(super) fn compliance(rows: &[RetrievalRow], paging: Option<usize>, spelling: Spelling) -> String {
    let (attributes, state) = if spelling.old { ("attributes", "compliance") } else { ("Attributes", "Compliance") };
    let mut inner = "<name>attributes</name><api_version>3</api_version>".to_owned();
    if let Some(next) = paging {
        inner.push_str(&format!("<paging_info>{next}</paging_info>"));
    }
    if rows.is_empty() {
        inner.push_str("<deviceList/>");
        return document(&inner, spelling);
    }
    inner.push_str("<deviceList>");
    for RetrievalRow { id, registered, compliant, mac } in rows {
        let mac = mac.map(|mac| format!("<macaddress>{}</macaddress>", plain_mac(mac))).unwrap_or_default();
        let status = if spelling.doctype { "&yes;".to_owned() } else { compliant.to_string() };
        inner.push_str(&format!(
            "<device><guid>{id}</guid>{mac}<{attributes}><guid>{id}</guid><register_status>{registered}</register_status>\
             <{state}><status>{status}</status></{state}></{attributes}></device>"
        ));
    }
    inner.push_str("</deviceList>");
    document(&inner, spelling)
}

/// An answer that knows nobody of that id, but says so in a row.
pub(super) fn unregistered(asked: &str, spelling: Spelling) -> String {
    let asked: String = asked.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let attributes = if spelling.old { "attributes" } else { "Attributes" };
    let inner = format!(
        "<name>attributes</name><api_version>3</api_version><deviceList><device><guid>{asked}</guid><{attributes}>\
         <register_status>false</register_status></{attributes}></device></deviceList>"
    );
    document(&inner, spelling)
}

fn document(inner: &str, spelling: Spelling) -> String {
    let doctype = if spelling.doctype { "<!DOCTYPE ise_api [<!ENTITY yes \"true\">]>" } else { "" };
    let wait = if spelling.busy { "<server_busy_wait_seconds>30</server_busy_wait_seconds>" } else { "" };
    let spaces = if spelling.old {
        ""
    } else {
        " xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns=\"http://schemas.datacontract.org/2004/07/\
         Microsoft.Intune.ResourceAccess.ComplianceRetrievalService.Model\""
    };
    format!("{doctype}<ise_api{spaces}>{wait}{inner}</ise_api>")
}

// --- what is not the cloud -------------------------------------------------------------------------------------------

/// The page of a captive portal.
pub(super) const PORTAL: &str =
    "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Sign in to use this network</h1></body></html>";

/// The page of a front door that has no such path.
pub(super) const NOT_FOUND: &str =
    "<!DOCTYPE html><html><head><title>404 - File or directory not found.</title></head><body>404</body></html>";

/// The page of a front door whose service is down.
pub(super) const UNAVAILABLE: &str = "<html><body><h2>Our services aren't available right now</h2><p>We're working to restore all services.</p></body></html>";

/// `Fri, 02 Jan 2026 03:04:05 GMT`, so many seconds wrong.
pub(super) fn http_date(wall: Wall, skew_secs: i64) -> String {
    let micros = wall.as_micros().saturating_add(skew_secs.saturating_mul(1_000_000));
    jiff::Timestamp::from_microsecond(micros)
        .map(|at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}
