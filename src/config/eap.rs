//! `[eap-tls]`: the server's certificate, whose certificates are believed, and how.
//!
//! Owns its keys and defaults. What stands in the certificates is read by those who use them.

use std::{path::PathBuf, time::Duration};

use crate::problem::Problems;

use super::{
    configuration::{CrlFailure, EapTls, TlsVersion},
    files::Files,
    section::Section,
    value,
};

/// Fits into one Ethernet frame with everything that NASes put around it.
const FRAGMENT_SIZE: i64 = 1024;
/// Smaller ones need more rounds than NASes allow; bigger ones don't fit into a RADIUS packet beside its attributes.
const FRAGMENT_SIZES: (i64, i64) = (256, 3_500);
/// A working day.
const SESSION_LIFETIME: Duration = Duration::from_secs(8 * 3600);
/// Source: RFC 8446 section 4.6.1.
const SESSION_LIFETIME_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Reads the section; `None` if it is absent or can't be used.
pub(super) fn read(section: &Section<'_>, files: &dyn Files, problems: &mut Problems) -> Option<EapTls> {
    if !section.is_there() {
        return None;
    }
    let certificate =
        required(section, "certificate", problems).and_then(|value| value::readable(&value, files, problems));
    let private_key =
        required(section, "private-key", problems).and_then(|value| value::private(&value, files, problems));
    let client_ca = required(section, "client-ca", problems).map(|value| {
        let paths = value::readable_list(&value, files, problems);
        if value.plain_text().is_none() && value::elements(&value, problems).is_empty() {
            value.error(problems, "list-empty", "\"eap-tls.client-ca\" is empty; nobody could connect");
        }
        paths
    });
    let crl: Vec<PathBuf> =
        section.ask("crl").map(|value| value::readable_list(&value, files, problems)).unwrap_or_default();
    let failures = [("closed", CrlFailure::Closed), ("open", CrlFailure::Open)];
    let crl_failure = section.ask("crl-failure").and_then(|value| value::choice(&value, &failures, problems));
    let fragment_size = section
        .ask("fragment-size")
        .and_then(|value| value.integer(FRAGMENT_SIZES.0, FRAGMENT_SIZES.1, problems))
        .unwrap_or(FRAGMENT_SIZE);
    let versions = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
    let tls_max = section.ask("tls-max").and_then(|value| value::choice(&value, &versions, problems));
    let session_lifetime = section
        .ask("session-lifetime")
        .and_then(|value| value::duration(&value, Duration::ZERO, SESSION_LIFETIME_MAX, problems));
    section.finish(problems);
    Some(EapTls {
        certificate: certificate?,
        private_key: private_key?,
        client_ca: client_ca?,
        crl,
        crl_failure: crl_failure.unwrap_or(CrlFailure::Closed),
        fragment_size: usize::try_from(fragment_size).unwrap_or(0),
        tls_max: tls_max.unwrap_or(TlsVersion::Tls13),
        session_lifetime: session_lifetime.unwrap_or(SESSION_LIFETIME),
    })
}

fn required<'t>(
    section: &Section<'t>,
    key: &'static str,
    problems: &mut Problems,
) -> Option<crate::document::Value<'t>> {
    let value = section.ask(key);
    if value.is_none() {
        section.missing(key, "EAP-TLS needs certificate, private-key and client-ca", problems);
    }
    value
}
