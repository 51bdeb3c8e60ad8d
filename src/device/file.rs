//! The device file: devices written down by hand, one format for the simulated cloud and for inventory servers.
//!
//! Owns the keys and what they may hold. It opens no file; who reads one decides what its devices are for.
//!
//! ```
//! use radmit::{device::file, document::Source, problem::Problems};
//!
//! let text = r#"
//! version = 1
//!
//! [[device]]
//! name = "LT-0042"
//! intune-id = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01"
//! wifi-mac = "A4-C3-F0-11-22-33"
//! compliance = "compliant"
//! last-check-in = "3h"            # or "2026-01-02T01:00:00Z"
//! "#;
//! let mut problems = Problems::new();
//! let devices = file::read(&Source::new("devices.toml", text), &mut problems);
//! assert_eq!((devices.len(), problems.is_empty()), (1, true));
//! ```

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use crate::{
    clock::{Now, Wall},
    document::{Kind, Source, Table, Value, parse_duration},
    limits,
    problem::{Place, Problems},
};

use super::{
    identifier::{EntraId, Guid, IntuneId, MacAddress},
    record::{Compliance, DeviceDetails, DeviceRecord, Origin},
    text::SharedText,
};

/// Reads the devices of one file. What is wrong is reported; a device with an error is left out.
///
/// Keys of a `[[device]]`: `name`, `intune-id` and `compliance` are required; `entra-id`, `wifi-mac`, `ethernet-mac`,
/// `managed` (true), `owner`, `os`, `os-version`, `encrypted`, `jailbroken`, `manufacturer`, `model`, `serial`, `user`,
/// `management-agent`, `last-check-in` and `threat` may be absent.
/// Bound: [`limits::DEVICE_FILE_DEVICES_MAX`]; one more is an error.
#[must_use]
pub fn read(source: &Source, problems: &mut Problems) -> Vec<FileDevice> {
    let Some(tree) = source.parse(problems) else { return Vec::new() };
    let root = tree.root();
    root.require_version(problems);
    let mut seen = Seen::default();
    let mut devices = Vec::new();
    let tables = root.tables("device", problems);
    if let Some(first_over) = tables.get(limits::DEVICE_FILE_DEVICES_MAX) {
        let message = format!("more than {} devices; split the file", limits::DEVICE_FILE_DEVICES_MAX);
        problems.error("too-many-devices", Some(first_over.place()), message);
    }
    for table in tables.iter().take(limits::DEVICE_FILE_DEVICES_MAX) {
        devices.extend(read_device(table, &mut seen, problems));
    }
    root.finish(problems);
    devices
}

/// One device of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDevice {
    /// Its id in Intune.
    pub intune_id: IntuneId,
    /// Its device id in Entra.
    pub entra_id: Option<EntraId>,
    /// The Wi-Fi address that Intune knows.
    pub wifi_mac: Option<MacAddress>,
    /// The Ethernet address that Intune knows.
    pub ethernet_mac: Option<MacAddress>,
    /// Whether it is managed.
    pub managed: bool,
    /// Its compliance state.
    pub compliance: Compliance,
    /// The other facts. `last_check_in` stays empty here: see [`FileDevice::last_check_in`].
    pub details: DeviceDetails,
    /// When it last spoke to Intune.
    pub last_check_in: Option<CheckIn>,
}

impl FileDevice {
    /// The record of the device as if it had been answered at `now`.
    #[must_use]
    pub fn record(&self, now: Now, origin: Origin) -> DeviceRecord {
        let mut details = self.details.clone();
        details.last_check_in = self.last_check_in.map(|check_in| check_in.wall(now.wall));
        DeviceRecord {
            intune_id: self.intune_id,
            entra_id: self.entra_id,
            wifi_mac: self.wifi_mac,
            ethernet_mac: self.ethernet_mac,
            ethernet_told: true,
            managed: self.managed,
            compliance: self.compliance,
            details: Arc::new(details),
            answered_at: now.mono,
            origin,
        }
    }

    /// The device's name; empty if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.details.device_name.as_deref().unwrap_or("")
    }
}

/// When a device last spoke to Intune.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckIn {
    /// At this moment.
    At(Wall),
    /// So long before the file is used: such a file does not grow old.
    Ago(Duration),
}

impl CheckIn {
    /// The moment, for a file that is used at `wall`.
    #[must_use]
    pub const fn wall(self, wall: Wall) -> Wall {
        match self {
            Self::At(at) => at,
            Self::Ago(age) => wall.minus(age),
        }
    }
}

/// What earlier devices of the file used, to find doubles; and texts that many devices share.
#[derive(Default)]
struct Seen {
    intune_ids: HashMap<IntuneId, Place>,
    entra_ids: HashMap<EntraId, Place>,
    macs: HashMap<MacAddress, Place>,
    texts: HashMap<String, SharedText>,
}

impl Seen {
    fn shared(&mut self, text: &str) -> SharedText {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let shared = SharedText::from(text);
        self.texts.insert(text.to_owned(), shared.clone());
        shared
    }
}

fn read_device(table: &Table<'_>, seen: &mut Seen, problems: &mut Problems) -> Option<FileDevice> {
    let name = required_text(table, "name", "write what people call the device", problems);
    let intune_id = read_intune_id(table, seen, problems);
    let compliance = read_compliance(table, problems);
    let entra_id = read_entra_id(table, seen, problems);
    let wifi_mac = read_mac(table, "wifi-mac", seen, problems);
    let ethernet_mac = read_mac(table, "ethernet-mac", seen, problems);
    let managed = table.boolean("managed", problems).unwrap_or(true);
    let mut shared = |key: &'static str, known: Option<&[&str]>, problems: &mut Problems| {
        let text = text(table, key, problems)?;
        if let Some(known) = known {
            warn_unless_known(table, key, text, known, problems);
        }
        Some(seen.shared(text))
    };
    let details = DeviceDetails {
        owner: shared("owner", Some(&OWNERS), problems),
        os: shared("os", None, problems),
        os_version: shared("os-version", None, problems),
        encrypted: table.boolean("encrypted", problems),
        jailbroken: table.boolean("jailbroken", problems),
        manufacturer: shared("manufacturer", None, problems),
        model: shared("model", None, problems),
        serial: text(table, "serial", problems).map(Box::from),
        device_name: name.map(Box::from),
        user: text(table, "user", problems).map(Box::from),
        management_agent: shared("management-agent", Some(&MANAGEMENT_AGENTS), problems),
        last_check_in: None,
        threat: shared("threat", Some(&THREATS), problems),
    };
    let last_check_in = table.ask("last-check-in").and_then(|value| read_check_in(&value, problems));
    table.finish(problems);
    name?;
    Some(FileDevice {
        intune_id: intune_id?,
        entra_id,
        wifi_mac,
        ethernet_mac,
        managed,
        compliance: compliance?,
        details,
        last_check_in,
    })
}

/// The values of Graph's `managedDeviceOwnerType`.
const OWNERS: [&str; 3] = ["company", "personal", "unknown"];

/// The values of Graph's `managementAgent` (Microsoft adds some now and then, so that others are only warned about).
const MANAGEMENT_AGENTS: [&str; 11] = [
    "eas",
    "mdm",
    "easMdm",
    "intuneClient",
    "easIntuneClient",
    "configurationManagerClient",
    "configurationManagerClientMdm",
    "configurationManagerClientMdmEas",
    "unknown",
    "jamf",
    "googleCloudDevicePolicyController",
];

/// The values of Graph's `partnerReportedThreatState`.
const THREATS: [&str; 10] = [
    "unknown",
    "activated",
    "deactivated",
    "secured",
    "lowSeverity",
    "mediumSeverity",
    "highSeverity",
    "unresponsive",
    "compromised",
    "misconfigured",
];

fn required_text<'t>(table: &Table<'t>, key: &'static str, advice: &str, problems: &mut Problems) -> Option<&'t str> {
    if table.ask(key).is_none() {
        table.missing(key, advice, problems);
        return None;
    }
    text(table, key, problems)
}

fn text<'t>(table: &Table<'t>, key: &'static str, problems: &mut Problems) -> Option<&'t str> {
    let value = table.ask(key)?;
    let text = value.text(problems)?;
    if text.is_empty() {
        value.error(problems, "empty-text", format!("\"{key}\" is empty; leave the line out if it is not known"));
        return None;
    }
    if text.len() > limits::DEVICE_TEXT_OCTETS_MAX {
        let message = format!("\"{key}\" has over {} octets; shorten it", limits::DEVICE_TEXT_OCTETS_MAX);
        value.error(problems, "text-too-long", message);
        return None;
    }
    Some(text)
}

fn warn_unless_known(table: &Table<'_>, key: &'static str, text: &str, known: &[&str], problems: &mut Problems) {
    if known.contains(&text) {
        return;
    }
    let nearest = problems.suggest(text, known.iter().copied());
    let advice = if nearest.is_empty() { format!("; Intune says: {}", known.join(", ")) } else { nearest };
    if let Some(value) = table.ask(key) {
        value.warning(problems, "unknown-value", format!("\"{text}\" is no {key} that Intune reports{advice}"));
    }
}

fn read_guid(value: &Value<'_>, problems: &mut Problems) -> Option<Guid> {
    let text = value.text(problems)?;
    let guid = Guid::parse(text.as_bytes());
    if guid.is_none() {
        let message = format!(
            "\"{text}\" is no device id; write 32 hexadecimal digits such as 5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01"
        );
        value.error(problems, "bad-guid", message);
    }
    guid
}

fn read_intune_id(table: &Table<'_>, seen: &mut Seen, problems: &mut Problems) -> Option<IntuneId> {
    let Some(value) = table.ask("intune-id") else {
        table.missing("intune-id", "write the id that Intune shows as \"Intune Device ID\"", problems);
        return None;
    };
    let id = IntuneId(read_guid(&value, problems)?);
    if let Some(first) = first_use(&mut seen.intune_ids, id, &value) {
        let message = format!("the intune-id {id} is used already at {first}; every device has its own");
        value.error(problems, "duplicate-id", message);
        return None;
    }
    Some(id)
}

// Two devices with one Entra id or one MAC exist in the field: re-enrolments and shared docks. A lab may want them, so
// they are warnings; nothing can tell two devices with one Intune id apart, so that is an error.

fn read_entra_id(table: &Table<'_>, seen: &mut Seen, problems: &mut Problems) -> Option<EntraId> {
    let value = table.ask("entra-id")?;
    let id = EntraId(read_guid(&value, problems)?);
    if let Some(first) = first_use(&mut seen.entra_ids, id, &value) {
        let message = format!("the entra-id {id} is used already at {first}; a lookup by it may be ambiguous");
        value.warning(problems, "duplicate-id", message);
    }
    Some(id)
}

fn read_mac(table: &Table<'_>, key: &'static str, seen: &mut Seen, problems: &mut Problems) -> Option<MacAddress> {
    let value = table.ask(key)?;
    let text = value.text(problems)?;
    let Some(mac) = MacAddress::parse(text.as_bytes()) else {
        value.error(
            problems,
            "bad-mac",
            format!("\"{text}\" is no MAC address; write six octets such as A4-C3-F0-11-22-33"),
        );
        return None;
    };
    if mac.is_unusable() {
        let message = format!("no device can own {mac}; write the address of its adapter, or leave the line out");
        value.error(problems, "unusable-mac", message);
        return None;
    }
    if mac.is_locally_administered() {
        let message = format!("{mac} is a made-up (private) address; write the one of the adapter itself");
        value.warning(problems, "private-mac", message);
    }
    if let Some(first) = first_use(&mut seen.macs, mac, &value) {
        let message = format!("{mac} is used already at {first}; a lookup by it may be ambiguous");
        value.warning(problems, "duplicate-mac", message);
    }
    Some(mac)
}

fn first_use<K: Eq + Hash>(used: &mut HashMap<K, Place>, key: K, value: &Value<'_>) -> Option<Place> {
    if let Some(first) = used.get(&key) {
        return Some(first.clone());
    }
    used.insert(key, value.place());
    None
}

fn read_compliance(table: &Table<'_>, problems: &mut Problems) -> Option<Compliance> {
    let names = || Compliance::ALL.iter().map(|state| state.name());
    let all = || names().collect::<Vec<_>>().join(", ");
    let Some(value) = table.ask("compliance") else {
        table.missing("compliance", &format!("write one of: {}", all()), problems);
        return None;
    };
    let text = value.text(problems)?;
    let state = Compliance::parse(text);
    // Microsoft's new states read as unknown; in a file such a word is a slip of the pen.
    if state == Compliance::Unknown && text != Compliance::Unknown.name() {
        let nearest = problems.suggest(text, names());
        let advice = if nearest.is_empty() { format!("; write one of: {}", all()) } else { nearest };
        value.error(problems, "unknown-state", format!("\"{text}\" is no compliance state{advice}"));
        return None;
    }
    Some(state)
}

fn read_check_in(value: &Value<'_>, problems: &mut Problems) -> Option<CheckIn> {
    const ADVICE: &str = "a time such as \"2026-01-02T01:00:00Z\" or an age such as \"3h\"";
    let text = match value.kind() {
        Kind::Text => value.plain_text()?,
        Kind::Date => value.as_written(),
        other => {
            let message = format!("\"last-check-in\" is {}; write {ADVICE}", other.name());
            value.error(problems, "wrong-type", message);
            return None;
        }
    };
    if let Some(age) = parse_duration(text) {
        return Some(CheckIn::Ago(age));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(CheckIn::At(Wall::from_micros(at.as_microsecond())));
    }
    value.error(problems, "bad-time", format!("\"{text}\" is no time; write {ADVICE}"));
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Mono;

    fn read_text(text: &str) -> (Vec<FileDevice>, Vec<String>) {
        let mut problems = Problems::new();
        let devices = read(&Source::new("d.toml", text), &mut problems);
        (devices, problems.sorted().iter().map(ToString::to_string).collect())
    }

    const FULL: &str = r#"version = 1
[[device]]
name = "LT-0042"
intune-id = "{5B1F0C52-7d1e-4a39-9a3b-2f6f0a9d1c01}"
entra-id = "c0ffee00-1234-4abc-8def-001122334455"
wifi-mac = "a4c3.f011.2233"
ethernet-mac = "A4:C3:F0:44:55:66"
compliance = "in-grace-period"
managed = false
owner = "company"
os = "Windows"
os-version = "10.0.26100.2314"
encrypted = true
jailbroken = false
manufacturer = "Contoso"
model = "Model 14"
serial = "SN000042"
user = "ada@example.test"
management-agent = "mdm"
last-check-in = "3h"
threat = "secured"
"#;

    #[test]
    fn every_key_arrives_in_the_record() {
        let (devices, problems) = read_text(FULL);
        assert_eq!(problems, Vec::<String>::new());
        let now = Now { mono: Mono::from_nanos(7), wall: Wall::from_secs(1_000_000) };
        let record = devices[0].record(now, Origin::Sync);
        assert_eq!(record.intune_id.to_string(), "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01");
        assert_eq!(record.entra_id.unwrap().to_string(), "c0ffee00-1234-4abc-8def-001122334455");
        assert_eq!(record.wifi_mac.unwrap().to_string(), "A4-C3-F0-11-22-33");
        assert_eq!(record.ethernet_mac.unwrap().to_string(), "A4-C3-F0-44-55-66");
        assert_eq!((record.managed, record.compliance), (false, Compliance::InGracePeriod));
        assert_eq!((record.answered_at, record.origin), (now.mono, Origin::Sync));
        let details = &record.details;
        assert_eq!(details.owner.as_deref(), Some("company"));
        assert_eq!(details.os.as_deref(), Some("Windows"));
        assert_eq!(details.os_version.as_deref(), Some("10.0.26100.2314"));
        assert_eq!((details.encrypted, details.jailbroken), (Some(true), Some(false)));
        assert_eq!(details.manufacturer.as_deref(), Some("Contoso"));
        assert_eq!(details.model.as_deref(), Some("Model 14"));
        assert_eq!(details.serial.as_deref(), Some("SN000042"));
        assert_eq!(details.device_name.as_deref(), Some("LT-0042"));
        assert_eq!(details.user.as_deref(), Some("ada@example.test"));
        assert_eq!(details.management_agent.as_deref(), Some("mdm"));
        assert_eq!(details.last_check_in, Some(Wall::from_secs(1_000_000 - 3 * 3600)));
        assert_eq!(details.threat.as_deref(), Some("secured"));
    }

    #[test]
    fn a_device_needs_a_name_an_id_and_a_state_only() {
        let (devices, problems) = read_text(
            "version = 1\n[[device]]\nname = \"A\"\nintune-id = \"5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01\"\ncompliance = \"compliant\"\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert!(devices[0].managed);
        assert_eq!(devices[0].record(Now::default(), Origin::Lookup).details.last_check_in, None);
    }

    #[test]
    fn every_mistake_of_a_device_is_told_at_once_with_its_place() {
        let (devices, problems) = read_text(
            r#"version = 1
[[device]]
name = ""
intune-id = "5b1f0c52"
compliance = "complaint"
wifi-mac = "A4-C3-F0"
ethernet-mac = "FF-FF-FF-FF-FF-FF"
last-check-in = "yesterday"
encrypted = "yes"
serail = "SN1"
"#,
        );
        assert!(devices.is_empty());
        assert_eq!(
            problems,
            [
                "d.toml:3:8: \"name\" is empty; leave the line out if it is not known",
                "d.toml:4:13: \"5b1f0c52\" is no device id; write 32 hexadecimal digits such as 5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01",
                "d.toml:5:14: \"complaint\" is no compliance state; did you mean \"compliant\"?",
                "d.toml:6:12: \"A4-C3-F0\" is no MAC address; write six octets such as A4-C3-F0-11-22-33",
                "d.toml:7:16: no device can own FF-FF-FF-FF-FF-FF; write the address of its adapter, or leave the line out",
                "d.toml:8:17: \"yesterday\" is no time; write a time such as \"2026-01-02T01:00:00Z\" or an age such as \"3h\"",
                "d.toml:9:13: \"device.encrypted\" is a text; write true or false",
                "d.toml:10:1: unknown key \"device.serail\"; did you mean \"serial\"?",
            ]
        );
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let (_, problems) = read_text("version = 1\n[[device]]\nmodel = \"M\"\n");
        assert_eq!(problems.len(), 3);
        assert!(problems.iter().any(|problem| problem.contains("no \"intune-id\"; write the id that Intune shows")));
        assert!(problems.iter().any(|problem| problem.contains("no \"compliance\"; write one of: unknown, compliant")));
    }

    #[test]
    fn an_intune_id_used_twice_is_an_error_and_a_shared_mac_or_entra_id_is_a_warning() {
        let device = |intune: u8| {
            format!(
                "[[device]]\nname = \"A\"\nintune-id = \"5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c0{intune}\"\n\
                 compliance = \"compliant\"\nentra-id = \"c0ffee00-1234-4abc-8def-001122334455\"\nwifi-mac = \"A4-C3-F0-11-22-33\"\n"
            )
        };
        let (devices, problems) = read_text(&format!("version = 1\n{}{}", device(1), device(2)));
        assert_eq!(devices.len(), 2);
        assert!(problems.iter().all(|problem| problem.contains("warning: ") && problem.contains("may be ambiguous")));
        assert_eq!(problems.len(), 2);
        let (devices, problems) = read_text(&format!("version = 1\n{}{}", device(1), device(1)));
        assert_eq!(devices.len(), 1);
        assert!(problems[0].contains("is used already at d.toml:4:13; every device has its own"), "{}", problems[0]);
    }

    #[test]
    fn a_check_in_is_a_time_a_bare_toml_time_or_an_age() {
        for (written, expected) in [
            ("\"2026-01-02T01:00:00Z\"", CheckIn::At(Wall::from_secs(1_767_315_600))),
            ("2026-01-02T03:00:00+02:00", CheckIn::At(Wall::from_secs(1_767_315_600))),
            ("\"1h30m\"", CheckIn::Ago(Duration::from_secs(5400))),
        ] {
            let text = FULL.replace("\"3h\"", written);
            let (devices, problems) = read_text(&text);
            assert_eq!(problems, Vec::<String>::new(), "{written}");
            assert_eq!(devices[0].last_check_in, Some(expected), "{written}");
        }
    }

    #[test]
    fn a_private_mac_and_a_word_that_intune_does_not_use_are_warnings() {
        let text = FULL.replace("a4c3.f011.2233", "02c3.f011.2233").replace("\"secured\"", "\"secure\"");
        let (devices, problems) = read_text(&text);
        assert_eq!(devices.len(), 1);
        assert_eq!(
            problems,
            [
                "d.toml:6:12: warning: 02-C3-F0-11-22-33 is a made-up (private) address; write the one of the adapter itself",
                "d.toml:21:10: warning: \"secure\" is no threat that Intune reports; did you mean \"secured\"?",
            ]
        );
    }
}
