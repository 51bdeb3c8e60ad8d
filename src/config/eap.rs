//! `[eap-tls]`: the server's certificate, whose certificates are believed, and how.
//!
//! Owns its keys and defaults. What stands in the certificates is read by those who use them.

use std::time::Duration;

use crate::{
    document::{Table, Value},
    eap::{
        sessions::Bounds,
        tls::context::{TlsMax, TlsOptions},
    },
    limits,
    problem::Problems,
};

use super::{
    configuration::{Client, CrlFailure, EapOptions, EapTls, FileAt, Named},
    files::Files,
    section::Section,
    value,
};

/// Fits into one Ethernet frame with everything that NASes put around it.
const FRAGMENT_SIZE: usize = 1024;
/// Smaller ones need more rounds than NASes allow; bigger ones don't pass IEEE 802.11.
const FRAGMENT_SIZES: (i64, i64) = (256, 1_496);
/// A working day.
const SESSION_LIFETIME: Duration = Duration::from_secs(8 * 3600);

/// Reads the section; `None` if it is absent or can't be used.
pub(super) fn read(section: &Section<'_>, files: &dyn Files, problems: &mut Problems) -> Option<EapTls> {
    if !section.is_there() {
        return None;
    }
    let certificate =
        required(section, "certificate", problems).and_then(|value| value::file_at(&value, files, problems));
    let private_key = required(section, "private-key", problems).and_then(|value| {
        let path = value::private(&value, files, problems)?;
        Some(FileAt { path, place: value.place() })
    });
    let client_ca = required(section, "client-ca", problems).map(|value| {
        let paths = list(&value, files, problems);
        if value.plain_text().is_none() && value::elements(&value, problems).is_empty() {
            value.error(problems, "list-empty", "\"eap-tls.client-ca\" is empty; nobody could connect");
        }
        paths
    });
    let crl = section.ask("crl").map(|value| list(&value, files, problems)).unwrap_or_default();
    let failures = [("closed", CrlFailure::Closed), ("open", CrlFailure::Open)];
    let crl_failure = section.ask("crl-failure").and_then(|value| value::choice(&value, &failures, problems));
    let ocsp_response = section.ask("ocsp-response").and_then(|value| value::file_at(&value, files, problems));
    let device_id_issuers = section.ask("device-id-issuers").map(|value| issuers(&value, problems));
    let session_lifetime = section
        .ask("session-lifetime")
        .and_then(|value| value::duration(&value, Duration::ZERO, limits::TLS_RESUMPTION_LIFETIME_MAX, problems));
    let tickets = section.ask("tickets").and_then(|value| value.integer(0, 1, problems)).unwrap_or(1);
    let bounds = bounds(section, problems);
    let without = EapOptions { tls: TlsOptions::default(), fragment_size: FRAGMENT_SIZE, md5: false };
    let options = options(|key| section.ask(key), without, problems);
    let groups = section.ask("group").map(|value| groups(&value, options, problems)).unwrap_or_default();
    section.finish(problems);
    Some(EapTls {
        certificate: certificate?,
        private_key: private_key?,
        client_ca: client_ca?,
        crl,
        crl_failure: crl_failure.unwrap_or_default(),
        ocsp_response,
        device_id_issuers: device_id_issuers.unwrap_or_default(),
        session_lifetime: session_lifetime.unwrap_or(SESSION_LIFETIME),
        tickets: tickets == 1,
        bounds,
        options,
        groups,
    })
}

fn required<'t>(section: &Section<'t>, key: &'static str, problems: &mut Problems) -> Option<Value<'t>> {
    let value = section.ask(key);
    if value.is_none() {
        section.missing(key, "EAP-TLS needs certificate, private-key and client-ca", problems);
    }
    value
}

fn list(value: &Value<'_>, files: &dyn Files, problems: &mut Problems) -> Vec<FileAt> {
    let elements = value::elements(value, problems);
    if elements.len() > limits::FILES_MAX {
        let message = format!("\"{}\" names more than {} files; merge some", value.path(), limits::FILES_MAX);
        value.error(problems, "too-many-files", message);
    }
    let used = elements.iter().take(limits::FILES_MAX);
    used.filter_map(|element| value::file_at(element, files, problems)).collect()
}

fn issuers(value: &Value<'_>, problems: &mut Problems) -> Vec<Named> {
    let elements = value::elements(value, problems);
    if elements.len() > limits::TLS_AUTHORITIES_MAX {
        let message = format!("\"{}\" has more than {} names", value.path(), limits::TLS_AUTHORITIES_MAX);
        value.error(problems, "too-many-issuers", message);
    }
    let used = elements.iter().take(limits::TLS_AUTHORITIES_MAX);
    used.filter_map(|element| value::named(element, problems)).collect()
}

fn bounds(section: &Section<'_>, problems: &mut Problems) -> Bounds {
    let fixed = Bounds::default();
    let mut number = |key, most: usize| {
        let value = section.ask(key)?;
        let number = value.integer(1, i64::try_from(most).unwrap_or(i64::MAX), problems)?;
        usize::try_from(number).ok()
    };
    let sessions = number("sessions-max", limits::EAP_SESSIONS_MAX).unwrap_or(fixed.sessions);
    let of_client = number("client-sessions-max", limits::EAP_SESSIONS_MAX).unwrap_or(fixed.of_client);
    let mut time = |key, most: Duration| {
        section.ask(key).and_then(|value| value::duration(&value, Duration::from_secs(1), most, problems))
    };
    let idle = time("idle-timeout", limits::EAP_TOTAL_MAX).unwrap_or(fixed.idle);
    let total = time("total-timeout", limits::EAP_TOTAL_MAX).unwrap_or(fixed.total);
    Bounds { sessions, of_client, idle, total }
}

/// What may differ between groups; what is not said is as in `before`.
fn options<'t>(
    ask: impl Fn(&'static str) -> Option<Value<'t>>,
    before: EapOptions,
    problems: &mut Problems,
) -> EapOptions {
    let fragment_size = ask("fragment-size")
        .and_then(|value| value.integer(FRAGMENT_SIZES.0, FRAGMENT_SIZES.1, problems))
        .and_then(|size| usize::try_from(size).ok());
    let versions = [TlsMax::Tls12, TlsMax::Tls13].map(|version| (version.name(), version));
    let max_value = ask("tls-max");
    let max = max_value.as_ref().and_then(|value| value::choice(value, &versions, problems));
    let pss = ask("rsa-pss").and_then(|value| value.boolean(problems)).unwrap_or(before.tls.pss);
    let md5 = ask("eap-md5").and_then(|value| value.boolean(problems)).unwrap_or(before.md5);
    if let Some(value) = max_value.filter(|_| !pss && max == Some(TlsMax::Tls13)) {
        let message = "TLS 1.3 has no RSA signatures but PSS; write tls-max = \"1.2\" beside rsa-pss = false";
        value.error(problems, "tls13-needs-pss", message);
    }
    // Without PSS a device with an RSA key has nothing to sign with in TLS 1.3.
    let max = if pss { max.unwrap_or(before.tls.max) } else { TlsMax::Tls12 };
    EapOptions { tls: TlsOptions { max, pss }, fragment_size: fragment_size.unwrap_or(before.fragment_size), md5 }
}

fn groups(value: &Value<'_>, before: EapOptions, problems: &mut Problems) -> Vec<(Named, EapOptions)> {
    let Some(table) = value.table(problems) else { return Vec::new() };
    let entries = table.entries();
    if entries.len() > limits::EAP_GROUPS_MAX {
        let message = format!("more than {} groups of their own; leave some out", limits::EAP_GROUPS_MAX);
        value.error(problems, "too-many-groups", message);
    }
    let used = entries.iter().take(limits::EAP_GROUPS_MAX);
    used.filter_map(|entry| {
        let own: Table<'_> = entry.table(problems)?;
        let options = options(|key| own.ask(key), before, problems);
        own.finish(problems);
        Some((Named { text: entry.key().into(), place: entry.key_place() }, options))
    })
    .collect()
}

/// Warns about groups that no client is in: the setting would be without effect.
pub(super) fn check_groups<'c>(
    eap: &EapTls,
    clients: impl Iterator<Item = &'c Client> + Clone,
    problems: &mut Problems,
) {
    for (group, _) in &eap.groups {
        if !clients.clone().any(|client| client.groups.contains(&group.text)) {
            let message = format!("no [[client]] is in the group \"{}\", so this has no effect", group.text);
            problems.warning("group-without-clients", Some(group.place.clone()), message);
        }
    }
}
