//! Graph's JSON: devices, lists, batches, read tolerantly.
//!
//! Owns the shapes. A field of an unexpected type counts as absent, an unknown state as unknown; what is no JSON of
//! Graph's at all is an error. Whether a device is the one that was asked for is judged elsewhere.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    clock::{Mono, Wall},
    device::{
        identifier::{EntraId, Guid, IntuneId, MacAddress},
        record::{Compliance, DeviceDetails, DeviceRecord, Origin},
        text::SharedText,
    },
    limits,
};

use super::super::explain::GraphError;

/// What is asked of every device, in lists too. `ethernetMacAddress` is asked in single GETs only: lists never fill it.
/// Source: Microsoft Graph v1.0, managedDevice.
pub(super) const FACTS: &str = "id,azureADDeviceId,wiFiMacAddress,complianceState,managedDeviceOwnerType,\
    operatingSystem,osVersion,isEncrypted,jailBroken,manufacturer,model,serialNumber,deviceName,userPrincipalName,\
    managementAgent,lastSyncDateTime,partnerReportedThreatState";

/// One device as Graph writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Row<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, rename = "azureADDeviceId")]
    azure_ad_device_id: Text<'a>,
    #[serde(borrow)]
    wi_fi_mac_address: Text<'a>,
    #[serde(borrow)]
    ethernet_mac_address: Text<'a>,
    #[serde(borrow)]
    compliance_state: Text<'a>,
    #[serde(borrow)]
    managed_device_owner_type: Text<'a>,
    #[serde(borrow)]
    operating_system: Text<'a>,
    #[serde(borrow)]
    os_version: Text<'a>,
    #[serde(borrow)]
    is_encrypted: Text<'a>,
    #[serde(borrow)]
    jail_broken: Text<'a>,
    #[serde(borrow)]
    manufacturer: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    serial_number: Text<'a>,
    #[serde(borrow)]
    device_name: Text<'a>,
    #[serde(borrow)]
    user_principal_name: Text<'a>,
    #[serde(borrow)]
    management_agent: Text<'a>,
    #[serde(borrow)]
    last_sync_date_time: Text<'a>,
    #[serde(borrow)]
    partner_reported_threat_state: Text<'a>,
    /// Some answers with status 200 are errors.
    error: Option<GraphError>,
}

impl Row<'_> {
    /// Whether it is an error in place of a device.
    pub(super) const fn is_error(&self) -> bool {
        self.error.is_some()
    }

    /// The record; none if there is no id in it.
    pub(super) fn record(&self, answered_at: Mono, origin: Origin) -> Option<DeviceRecord> {
        let id = IntuneId(self.id.guid()?);
        Some(DeviceRecord {
            intune_id: id,
            entra_id: self.azure_ad_device_id.guid().map(EntraId),
            wifi_mac: self.wi_fi_mac_address.mac(),
            ethernet_mac: self.ethernet_mac_address.mac(),
            ethernet_told: false,
            managed: true,
            compliance: Compliance::parse(self.compliance_state.plain().unwrap_or("")),
            details: Arc::new(self.details()),
            answered_at,
            origin,
        })
    }

    fn details(&self) -> DeviceDetails {
        DeviceDetails {
            owner: self.managed_device_owner_type.shared(),
            os: self.operating_system.shared(),
            os_version: self.os_version.shared(),
            encrypted: self.is_encrypted.truth(),
            jailbroken: self.jail_broken.truth(),
            manufacturer: self.manufacturer.shared(),
            model: self.model.shared(),
            serial: self.serial_number.own(),
            device_name: self.device_name.own(),
            user: self.user_principal_name.own(),
            management_agent: self.management_agent.shared(),
            last_check_in: self.last_sync_date_time.moment(),
            threat: self.partner_reported_threat_state.shared(),
        }
    }
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub(super) value: Rows<'a>,
    #[serde(borrow, rename = "@odata.nextLink", default)]
    pub(super) next: Text<'a>,
    /// Some answers with status 200 are errors, and an empty list beside one says nothing.
    #[serde(default)]
    pub(super) error: Option<GraphError>,
}

/// The devices of one page, at most [`limits::LIST_ROWS_MAX`]: more is an error, before it takes memory.
#[derive(Debug)]
pub(super) struct Rows<'a>(pub(super) Vec<Row<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Rows<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RowsVisitor)
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Rows<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of devices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = items.next_element()? {
            if rows.len() >= limits::LIST_ROWS_MAX {
                return Err(serde::de::Error::custom("more devices than a page may have"));
            }
            rows.push(row);
        }
        Ok(Rows(rows))
    }
}

/// The reply to a batch. Each part is read by itself: one that is odd spoils no other.
#[derive(Debug, Deserialize)]
pub(super) struct Batch {
    pub(super) responses: Vec<serde_json::Value>,
}

/// One reply in a batch. The order is not that of the requests.
#[derive(Debug)]
pub(super) struct BatchPart<'a> {
    /// The place of the request; a number counts as its text.
    pub(super) id: Cow<'a, str>,
    part: &'a serde_json::Value,
}

impl<'a> BatchPart<'a> {
    /// Reads a part; none if nothing tells to which request it belongs.
    pub(super) fn read(part: &'a serde_json::Value) -> Option<Self> {
        let id = match part.get("id")? {
            serde_json::Value::String(text) => Cow::Borrowed(text.as_str()),
            serde_json::Value::Number(number) => Cow::Owned(number.to_string()),
            _ => return None,
        };
        Some(Self { id, part })
    }

    /// The status; 0 if there is none.
    pub(super) fn status(&self) -> u16 {
        self.part
            .get("status")
            .and_then(serde_json::Value::as_u64)
            .and_then(|status| status.try_into().ok())
            .unwrap_or(0)
    }

    /// A header by its name, whatever its case is.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.part.get("headers")?.as_object()?;
        headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1.as_str()
    }

    /// The body as text.
    pub(super) fn body(&self) -> Vec<u8> {
        self.part.get("body").map(serde_json::Value::to_string).unwrap_or_default().into_bytes()
    }
}

/// An error in place of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub(super) error: GraphError,
}

/// A text that may be absent, null, or something else entirely, which then counts as absent.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    /// The text; an empty one is none.
    pub(super) fn plain(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    fn limited(&self) -> Option<&str> {
        let text = self.plain()?;
        let mut end = text.len().min(limits::DEVICE_TEXT_OCTETS_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.get(..end)
    }

    fn shared(&self) -> Option<SharedText> {
        self.limited().map(SharedText::from)
    }

    fn own(&self) -> Option<Box<str>> {
        self.limited().map(Box::from)
    }

    /// A GUID; the nil one names nothing.
    pub(super) fn guid(&self) -> Option<Guid> {
        Guid::parse(self.plain()?.as_bytes())
    }

    fn mac(&self) -> Option<MacAddress> {
        MacAddress::parse(self.plain()?.as_bytes()).filter(|mac| !mac.is_unusable())
    }

    fn truth(&self) -> Option<bool> {
        let text = self.plain()?;
        if text.eq_ignore_ascii_case("true") {
            Some(true)
        } else if text.eq_ignore_ascii_case("false") {
            Some(false)
        } else {
            None
        }
    }

    /// A moment; what lies before 1970 is Graph's way to say "never".
    fn moment(&self) -> Option<Wall> {
        let moment: jiff::Timestamp = self.plain()?.parse().ok()?;
        (moment.as_second() > 0).then(|| Wall::from_micros(moment.as_microsecond()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(if truth { "true" } else { "false" }))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_i64<E>(self, _number: i64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_u64<E>(self, _number: u64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_f64<E>(self, _number: f64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const DEVICE: &str = r#"{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#deviceManagement/managedDevices/$entity",
        "id":"5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01","deviceName":"LT-0042","managedDeviceOwnerType":"company",
        "lastSyncDateTime":"2026-01-02T01:00:00Z","operatingSystem":"Windows","osVersion":"10.0.26100.2314",
        "complianceState":"compliant","jailBroken":"Unknown","managementAgent":"mdm",
        "azureADDeviceId":"c0ffee00-1234-4abc-8def-001122334455","isEncrypted":true,"userPrincipalName":"ada@example.test",
        "model":"Model 14","manufacturer":"Contoso","serialNumber":"SN000042","wiFiMacAddress":"A4C3F0112233",
        "ethernetMacAddress":"A4C3F0445566","partnerReportedThreatState":"unknown","imei":""}"#;

    fn record(text: &str) -> Option<DeviceRecord> {
        serde_json::from_str::<Row<'_>>(text).ok()?.record(Mono::default(), Origin::Lookup)
    }

    fn with(field: &str, value: &str) -> DeviceRecord {
        let text = format!(r#"{{"id":"5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01","{field}":{value}}}"#);
        record(&text).unwrap_or_else(|| panic!("{text} has an id"))
    }

    #[test]
    fn a_device_is_read_with_all_its_facts() {
        let record = record(DEVICE).expect("it is a device");
        assert_eq!(record.wifi_mac, MacAddress::parse(b"A4-C3-F0-11-22-33"));
        assert_eq!(record.ethernet_mac, MacAddress::parse(b"A4-C3-F0-44-55-66"));
        assert_eq!(record.entra_id.map(|id| id.to_string()).as_deref(), Some("c0ffee00-1234-4abc-8def-001122334455"));
        assert_eq!((record.compliance, record.managed), (Compliance::Compliant, true));
        let details = &record.details;
        assert_eq!((details.encrypted, details.jailbroken), (Some(true), None));
        assert_eq!(details.last_check_in, Some(Wall::from_secs(1_767_315_600)));
        assert_eq!(details.device_name.as_deref(), Some("LT-0042"));
    }

    /// Traps 13 and 14: unknown states, texts for truths, dates that mean never, empty and null addresses.
    #[test]
    fn what_means_nothing_is_absent() {
        assert_eq!(with("complianceState", r#""futureCompliant""#).compliance, Compliance::Unknown);
        assert_eq!(with("complianceState", "null").compliance, Compliance::Unknown);
        assert_eq!(with("complianceState", "7").compliance, Compliance::Unknown);
        assert_eq!(with("jailBroken", r#""True""#).details.jailbroken, Some(true));
        assert_eq!(with("jailBroken", r#""FALSE""#).details.jailbroken, Some(false));
        for nothing in
            [r#""""#, "null", r#""000000000000""#, r#""FFFFFFFFFFFF""#, "12", "[1,[2]]", r#"{"a":{}}"#, r#""A4C3""#]
        {
            assert_eq!(with("wiFiMacAddress", nothing).wifi_mac, None, "{nothing}");
        }
        for never in [r#""0001-01-01T00:00:00Z""#, r#""soon""#, "null"] {
            assert_eq!(with("lastSyncDateTime", never).details.last_check_in, None, "{never}");
        }
        assert_eq!(with("azureADDeviceId", r#""00000000-0000-0000-0000-000000000000""#).entra_id, None);
        assert_eq!(with("model", r#""""#).details.model, None);
    }

    #[test]
    fn a_device_without_an_id_is_none() {
        assert_eq!(record("{}"), None);
        assert_eq!(record(r#"{"id":""}"#), None);
        assert_eq!(record(r#"{"id":null}"#), None);
    }

    #[test]
    fn a_text_of_any_length_is_cut_between_characters() {
        let long = "ä".repeat(300);
        let model = with("model", &format!("\"x{long}\"")).details.model.clone().expect("it has one");
        assert_eq!(model.len(), limits::DEVICE_TEXT_OCTETS_MAX - 1);
    }

    #[test]
    fn a_page_of_more_rows_than_allowed_is_refused() {
        let page = |rows| format!(r#"{{"value":[{}]}}"#, vec!["{}"; rows].join(","));
        assert!(serde_json::from_str::<Page<'_>>(&page(limits::LIST_ROWS_MAX)).is_ok());
        assert!(serde_json::from_str::<Page<'_>>(&page(limits::LIST_ROWS_MAX + 1)).is_err());
    }

    #[test]
    fn an_escaped_text_is_read_too() {
        assert_eq!(with("model", r#""a\"b\u00e4""#).details.model.as_deref(), Some("a\"bä"));
    }
}
