//! `[[mdm]]`: which device management is asked, as whom, how often, and how long its answers are believed.
//!
//! Owns the keys. What the values mean and which of them contradict each other is said by `mdm`'s own settings.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    device::directory::Ages,
    document::{Kind as ValueKind, Table, Value},
    mdm::settings::{
        Api, Assertion, CertificatePair, Cloud, Credential, Intune, Inventory, Kind, MassFlipGuard, Pem, Proxy,
        SecretText, Settings, SettingsProblem, Trust,
    },
    policy::facts::DeviceIdSource,
    problem::{Place, Problems, Severity},
};

use super::{
    client::checked_label,
    configuration::{MdmServer, Named, SharedFiles},
    secret, value,
};

/// Where Cisco ISE and its front servers put the id; ours reads it in every form.
const DEVICE_ID_ATTRIBUTES: [&str; 1] = ["Cisco-AVPair"];
/// The folder for roots of proxies that look into TLS, and of labs.
const TRUST_ANCHORS: &str = "certs/trust";
/// The keys whose files are read once everything stands.
const FILE_KEYS: [&str; 3] = ["credential", "trust-anchors", "file"];
/// A year: longer ages are slips of the pen.
const AGE_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Reads one server. What is missing is reported and replaced by something harmless, so that the rest is checked too;
/// with an error the configuration is not used. `None` where not even the kind is known. `main`: the file that defaults are
/// relative to.
pub(super) fn read(
    table: &Table<'_>,
    main: &str,
    files: &SharedFiles,
    taken: &mut HashMap<Box<str>, Place>,
    problems: &mut Problems,
) -> Option<MdmServer> {
    let name = name(table, taken, problems);
    let kinds = [("intune", true), ("inventory", false)];
    let kind = match table.ask("kind") {
        None => Some(true),
        Some(value) => value::choice(&value, &kinds, problems),
    };
    let kind = match kind {
        Some(true) => Kind::Intune(Box::new(intune(table, main, files, problems))),
        Some(false) => Kind::Inventory(inventory(table, files, problems)),
        // Of an unknown kind nobody knows which keys there are.
        None => return None,
    };
    let identifiers: Vec<(&str, DeviceIdSource)> =
        DeviceIdSource::ALL.iter().map(|source| (source.name(), *source)).collect();
    let identifiers = match table.ask("identifiers") {
        Some(value) => value::choices(&value, &identifiers, problems),
        None => Some(DeviceIdSource::ALL.to_vec()),
    };
    let device_id_attributes = device_id_attributes(table, problems);
    let shared = Shared::read(table, problems);
    table.finish(problems);
    let mut settings = Settings::new(name.as_deref().unwrap_or("?"), kind);
    shared.put_into(&mut settings);
    for problem in settings.problems() {
        report(table, &problem, problems);
    }
    let identifiers = identifiers.unwrap_or_default();
    let place_of = |key| table.ask(key).map_or_else(|| table.place(), |value| value.place());
    let file_places = FILE_KEYS.map(|key| (key, place_of(key))).into();
    Some(MdmServer { place: table.place(), settings, identifiers, device_id_attributes, file_places })
}

fn report(table: &Table<'_>, problem: &SettingsProblem, problems: &mut Problems) {
    let is_reported =
        ["tenant-id", "client-id", "credential"].contains(&problem.key) && table.ask(problem.key).is_none();
    if is_reported {
        return;
    }
    let place = table.ask(problem.key).map_or_else(|| table.place(), |value| value.place());
    let message = format!("\"mdm.{}\" {}", problem.key, problem.message);
    match problem.severity {
        Severity::Error => problems.error("bad-mdm-setting", Some(place), message),
        Severity::Warning => problems.warning("doubtful-mdm-setting", Some(place), message),
        Severity::Hint => problems.hint("doubtful-mdm-setting", Some(place), message),
    }
}

fn name(table: &Table<'_>, taken: &mut HashMap<Box<str>, Place>, problems: &mut Problems) -> Option<Box<str>> {
    let Some(value) = table.ask("name") else {
        table.missing("name", "write the name that policy sets shall use", problems);
        return None;
    };
    let name = checked_label(&value, problems)?;
    if let Some(first) = taken.get(&name) {
        value.error(
            problems,
            "twice",
            format!("an MDM server called \"{name}\" stands at {first} already; rename one"),
        );
        return None;
    }
    taken.insert(name.clone(), value.place());
    Some(name)
}

/// The keys that every kind of server has.
struct Shared {
    enabled: Option<bool>,
    compliance_max_age: Option<Duration>,
    stale_for: Option<Duration>,
    negative_max_age: Option<Duration>,
    lookup_timeout: Option<Duration>,
    grace_is_compliant: Option<bool>,
    mass_flip_guard: Option<MassFlipGuard>,
}

impl Shared {
    fn read(table: &Table<'_>, problems: &mut Problems) -> Self {
        Self {
            enabled: table.boolean("enabled", problems),
            compliance_max_age: age(table, "compliance-max-age", problems),
            stale_for: age(table, "stale-for", problems),
            negative_max_age: age(table, "negative-max-age", problems),
            lookup_timeout: table.duration("lookup-timeout", problems),
            grace_is_compliant: table.boolean("grace-is-compliant", problems),
            mass_flip_guard: table.ask("mass-flip-guard").and_then(|value| mass_flip_guard(&value, problems)),
        }
    }

    fn put_into(self, settings: &mut Settings) {
        let Ages { compliance_max_age, negative_max_age, stale_for, mac_can_be_asked } = settings.ages;
        settings.ages = Ages {
            compliance_max_age: self.compliance_max_age.unwrap_or(compliance_max_age),
            negative_max_age: self.negative_max_age.unwrap_or(negative_max_age),
            stale_for: self.stale_for.unwrap_or(stale_for),
            mac_can_be_asked,
        };
        settings.enabled = self.enabled.unwrap_or(settings.enabled);
        settings.lookup_timeout = self.lookup_timeout.unwrap_or(settings.lookup_timeout);
        settings.grace_is_compliant = self.grace_is_compliant.unwrap_or(settings.grace_is_compliant);
        settings.mass_flip_guard = self.mass_flip_guard;
    }
}

fn age(table: &Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Duration> {
    table.ask(key).and_then(|value| value::duration(&value, Duration::ZERO, AGE_MAX, problems))
}

fn mass_flip_guard(value: &Value<'_>, problems: &mut Problems) -> Option<MassFlipGuard> {
    let table = value.table(problems)?;
    let share = table.ask("share").and_then(|share| {
        let text = share.text(problems)?;
        let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
        if percent.is_none() {
            share.error(problems, "bad-share", format!("\"{text}\" is no share; write a percentage such as \"20%\""));
        }
        percent
    });
    let (window, hold) = (table.duration("window", problems), table.duration("hold", problems));
    table.finish(problems);
    for key in ["share", "window", "hold"] {
        if table.ask(key).is_none() {
            table.missing(key, "write { share = \"20%\", window = \"10m\", hold = \"1h\" }", problems);
        }
    }
    Some(MassFlipGuard { share_percent: share?, window: window?, hold: hold? })
}

fn device_id_attributes(table: &Table<'_>, problems: &mut Problems) -> Vec<Named> {
    let Some(value) = table.ask("device-id-attributes") else {
        let place = table.place();
        return DEVICE_ID_ATTRIBUTES.iter().map(|name| Named { text: (*name).into(), place: place.clone() }).collect();
    };
    let names: Vec<Named> =
        value::elements(&value, problems).iter().filter_map(|value| value::named(value, problems)).collect();
    for name in names.iter().filter(|name| name.text.eq_ignore_ascii_case("user-name")) {
        problems.warning(
            "device-id-from-user-name",
            Some(name.place.clone()),
            "User-Name is what the device says of itself; list it only if the front server fills it from what it verified",
        );
    }
    names
}

fn inventory(table: &Table<'_>, files: &SharedFiles, problems: &mut Problems) -> Inventory {
    let Some(value) = table.ask("file") else {
        table.missing("file", "write the device file, such as file = \"devices.toml\"", problems);
        return Inventory { file: PathBuf::new() };
    };
    Inventory { file: value::readable(&value, &**files, problems).unwrap_or_default() }
}

fn intune(table: &Table<'_>, main: &str, files: &SharedFiles, problems: &mut Problems) -> Intune {
    let text = |key, problems: &mut Problems| table.text(key, problems).map(str::to_owned);
    let stated = table.ask("credential");
    let credential = stated.as_ref().and_then(|value| credential(value, files, problems));
    // Azure knows the tenant of its machine, and which identity it has.
    let is_managed = matches!(credential, Some(Credential::ManagedIdentity { .. }));
    let named = |key, advice, problems: &mut Problems| {
        if table.ask(key).is_none() && !is_managed {
            table.missing(key, advice, problems);
        }
        table.text(key, problems).unwrap_or_default().to_owned()
    };
    let tenant_id = named("tenant-id", "copy \"Directory (tenant) ID\" from the app registration", problems);
    let client_id = named("client-id", "copy \"Application (client) ID\" from the app registration", problems);
    if stated.is_none() {
        table.missing("credential", "write credential = { certificate = \"…\", private-key = \"…\" }", problems);
    }
    let credential = credential.map(|credential| of_several_identities(credential, &client_id));
    let clouds = Cloud::ALL.map(|cloud| (cloud.name(), cloud));
    let apis = Api::ALL.map(|api| (api.name(), api));
    let cloud = table.ask("cloud").and_then(|value| value::choice(&value, &clouds, problems));
    let lookup = table.ask("lookup").and_then(|value| value::choices(&value, &apis, problems));
    let overrides = ["token-url", "graph-url", "graph-scope", "intune-scope"].map(|key| text(key, problems));
    let trust = trust(table, main, files, problems);
    let proxy = text("proxy", problems).map(Proxy::new);
    let intervals = ["polling-interval", "incremental-interval"].map(|key| age(table, key, problems));
    let rate = table.integer("requests-per-second", 1, 10_000, problems);

    let nobody = Credential::ManagedIdentity { url: None, client_id: None };
    let mut intune = Intune::new(tenant_id, client_id, credential.unwrap_or(nobody));
    intune.cloud = cloud.unwrap_or(intune.cloud);
    intune.lookup = lookup.unwrap_or(intune.lookup);
    [intune.token_url, intune.graph_url, intune.graph_scope, intune.intune_scope] = overrides;
    intune.trust = trust;
    intune.proxy = proxy;
    intune.polling_interval = intervals[0].unwrap_or(intune.polling_interval);
    intune.incremental_interval = intervals[1].unwrap_or(intune.incremental_interval);
    intune.requests_per_second = rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(intune.requests_per_second);
    intune
}

/// A machine with several identities is told which one by the credential's own `client-id`, or the server's.
fn of_several_identities(credential: Credential, named: &str) -> Credential {
    match credential {
        Credential::ManagedIdentity { url, client_id: None } if !named.is_empty() => {
            Credential::ManagedIdentity { url, client_id: Some(named.to_owned()) }
        }
        other => other,
    }
}

/// Roots beside the system's: what is named must be there, the default folder may be absent.
fn trust(table: &Table<'_>, main: &str, files: &SharedFiles, problems: &mut Problems) -> Trust {
    let mut anchors = Vec::new();
    let usual = value::beside(main, TRUST_ANCHORS);
    if let Some(value) = table.ask("trust-anchors") {
        for element in value::elements(&value, problems) {
            let Some(path) = value::path(&element, problems) else { continue };
            if files.list(&path).is_ok() {
                anchors.push(Pem::File(path));
            } else if let Some(path) = value::readable(&element, &**files, problems) {
                anchors.push(Pem::File(path));
            }
        }
    } else if files.list(&usual).is_ok() {
        anchors.push(Pem::File(usual));
    }
    Trust { anchors, only_anchors: table.boolean("only-trust-anchors", problems).unwrap_or(false) }
}

fn credential(value: &Value<'_>, files: &SharedFiles, problems: &mut Problems) -> Option<Credential> {
    const FORMS: &str = "write { certificate = \"…\", private-key = \"…\" }, { client-secret = { file = \"…\" } }, \
                         { federated-token-file = \"…\" } or { managed-identity = true }";
    if value.kind() == ValueKind::Array {
        // Two certificates while they are exchanged; the first one's way of signing counts for both.
        let mut assertion = None;
        let mut pairs = Vec::new();
        for element in value.array(problems) {
            let table = element.table(problems)?;
            let (pair, signed) = certificate(&table, files, problems);
            table.finish(problems);
            assertion = assertion.or(signed);
            pairs.push(pair?);
        }
        return Some(Credential::Certificate { pairs, assertion: assertion.unwrap_or_default() });
    }
    let table = value.table(problems)?;
    let forms = ["certificate", "client-secret", "federated-token-file", "managed-identity"];
    let given: Vec<&str> = forms.into_iter().filter(|form| table.ask(form).is_some()).collect();
    let credential = match given.as_slice() {
        ["certificate"] => {
            let (pair, assertion) = certificate(&table, files, problems);
            pair.map(|pair| Credential::Certificate { pairs: vec![pair], assertion: assertion.unwrap_or_default() })
        }
        ["client-secret"] => table.ask("client-secret").and_then(|value| client_secret(&value, files, problems)),
        ["federated-token-file"] => table
            .ask("federated-token-file")
            .and_then(|value| value::private(&value, &**files, problems))
            .map(Credential::FederatedTokenFile),
        ["managed-identity"] => table.ask("managed-identity").and_then(|value| managed_identity(&value, problems)),
        [] => {
            value.error(problems, "credential-missing", format!("the credential is empty; {FORMS}"));
            None
        }
        several => {
            let message = format!("the credential is {} at once; leave one", several.join(" and "));
            value.error(problems, "credential-twice", message);
            return None;
        }
    };
    table.finish(problems);
    credential
}

fn certificate(
    table: &Table<'_>,
    files: &SharedFiles,
    problems: &mut Problems,
) -> (Option<CertificatePair>, Option<Assertion>) {
    for (key, what) in [("certificate", "the certificate, PEM"), ("private-key", "its private key, PEM")] {
        if table.ask(key).is_none() {
            table.missing(key, &format!("write the path of {what}"), problems);
        }
    }
    let certificate = table.ask("certificate").and_then(|value| value::readable(&value, &**files, problems));
    let private_key = table.ask("private-key").and_then(|value| value::private(&value, &**files, problems));
    let assertions = Assertion::ALL.map(|assertion| (assertion.name(), assertion));
    let assertion = table.ask("assertion").and_then(|value| value::choice(&value, &assertions, problems));
    let pair = match (certificate, private_key) {
        (Some(certificate), Some(private_key)) => {
            Some(CertificatePair { certificate: Pem::File(certificate), private_key: Pem::File(private_key) })
        }
        _ => None,
    };
    (pair, assertion)
}

fn client_secret(value: &Value<'_>, files: &SharedFiles, problems: &mut Problems) -> Option<Credential> {
    let (origin, secret) = secret::read(value, files, problems)?;
    if std::str::from_utf8(&secret).is_err() {
        value.error(
            problems,
            "secret-not-text",
            "the client secret is not text; copy its value, not its id, from Entra",
        );
        return None;
    }
    let files = Arc::clone(files);
    Some(Credential::Secret(SecretText::new(move || origin.read_text(&*files))))
}

fn managed_identity(value: &Value<'_>, problems: &mut Problems) -> Option<Credential> {
    if value.kind() != ValueKind::Table {
        if value.boolean(problems)? {
            return Some(Credential::ManagedIdentity { url: None, client_id: None });
        }
        value.error(problems, "credential-missing", "managed-identity = false is no credential; leave it out");
        return None;
    }
    let table = value.table(problems)?;
    let [url, client_id] = ["url", "client-id"].map(|key| table.text(key, problems).map(str::to_owned));
    table.finish(problems);
    Some(Credential::ManagedIdentity { url, client_id })
}
