//! Every metric: its name, kind, labels and what it tells.
//!
//! Owns the names that dashboards and alerts rely on. The numbers are in the cells, the page is written by
//! [`super::page`].

use std::fmt::Write;

/// One metric with all its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name of its series on the page. Counters end in `_total`, texts in `_info`, and units stand before that.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Its labels. All of them have few values: never a MAC, a user or a device id.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence.
    pub help: &'static str,
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How long things took.
    Histogram,
    /// A text in a label, with the number 1.
    Info,
}

impl Kind {
    /// The name in the reference.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

macro_rules! families {
    ($($ident:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub const $ident: Family =
                Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )+

        /// All of them, in the order of the page.
        pub const ALL: &[Family] = &[$($ident),+];
    };
}

families! {
    REQUESTS = Counter "radmit_requests_total" ["code", "client"] "Requests that were taken, by the name of their code.";
    RESPONSES = Counter "radmit_responses_total" ["code", "client"] "Replies that were sent, repeats included.";
    DROPPED = Counter "radmit_dropped_total" ["reason", "client"] "Datagrams that were dropped; client is (none) for strangers.";
    UNSIGNED = Counter "radmit_unsigned_requests_total" ["client"] "Access-Requests taken without Message-Authenticator, because the client is not set to require it.";
    DECISION_SECONDS = Histogram "radmit_decision_seconds" ["method"] "Time from the arrival of a request to its decision.";
    INFLIGHT = Gauge "radmit_inflight" [] "Requests that wait for device management or for the delay of a reject.";
    RECEIVED = Counter "radmit_datagrams_received_total" [] "Datagrams received, whatever became of them.";
    SOCKET_DROPPED = Counter "radmit_socket_dropped_total" [] "Datagrams that the kernel dropped: radmit did not fetch them in time, or had new requests turned away.";
    SOCKET_SHED = Counter "radmit_socket_shed_total" [] "Of those, the ones that were dropped while new requests were turned away, so that conversations that have begun and Status-Server get through.";
    SOCKET_SHEDDING = Gauge "radmit_socket_shedding_percent" ["shard"] "How many of a hundred new requests are turned away at the moment, because more come than the shard can do.";
    SOCKET_FILTER_REFUSED = Counter "radmit_socket_filter_refused_total" [] "Times that the kernel refused to turn requests away; it then drops whatever comes when its queue is full.";
    RECEIVE_FAILED = Counter "radmit_receive_failed_total" [] "Calls for datagrams that failed.";
    SEND_FAILED = Counter "radmit_send_failed_total" [] "Replies that the kernel refused.";
    SEGMENTS_REFUSED = Counter "radmit_segmentation_refused_total" [] "Times that the kernel refused to send several replies of one length to one peer as one piece (UDP_SEGMENT); that socket sends them one by one from then on.";
    REPLIES_LOST = Counter "radmit_replies_lost_total" [] "Replies beyond what a shard collects for one batch.";
    EAP = Counter "radmit_eap_total" ["result", "tls", "resumed"] "EAP conversations that ended.";
    RULE_HITS = Counter "radmit_policy_rule_hits_total" ["set", "rule", "verdict"] "Decisions by the rule that made them, since the last reload; without a rule: defaults, and what a set refused; would-accept and the like: rules in state monitor.";
    MDM_LOOKUPS = Counter "radmit_mdm_lookups_total" ["server", "result", "source"] "Lookups by what came of them and where the answer was from.";
    MDM_LOOKUP_SECONDS = Histogram "radmit_mdm_lookup_seconds" ["server"] "Time that one question took, from the queue to its answer.";
    MDM_BUDGET_REMAINING = Gauge "radmit_mdm_budget_remaining" ["server"] "HTTP requests that may be sent at once.";
    MDM_THROTTLED = Counter "radmit_mdm_throttled_total" ["server"] "Times that Microsoft asked to slow down.";
    MDM_ANSWERS_LOST = Counter "radmit_mdm_answers_lost_total" [] "Answers beyond what a shard's mailbox holds; their requests met their deadline.";
    MDM_LAST_SYNC = Gauge "radmit_mdm_last_sync_timestamp_seconds" ["server"] "Unix time of the last complete background sync; 0 if there was none.";
    MDM_CREDENTIAL_EXPIRY = Gauge "radmit_mdm_credential_expiry_seconds" ["server"] "Unix time at which the credential expires.";
    DIRECTORY_DEVICES = Gauge "radmit_directory_devices" ["server"] "Devices that are known.";
    DIRECTORY_REFUSED = Gauge "radmit_directory_refused" ["server"] "New devices that found no room.";
    MDM_CALLS = Counter "radmit_mdm_calls_total" ["server", "service", "outcome"] "HTTP requests by the service that was asked and what came of them.";
    MDM_SERVICE_SHUT = Gauge "radmit_mdm_service_shut" ["server", "service"] "1 while a service is not asked after failures.";
    MDM_QUESTIONS_QUEUED = Gauge "radmit_mdm_questions_queued" ["server"] "Questions that wait or run.";
    MDM_CLOCK_OFFSET = Gauge "radmit_mdm_clock_offset_seconds" ["server"] "How far the clock here is ahead of Microsoft's.";
    MDM_HELD_DEVICES = Gauge "radmit_mdm_held_devices" ["server"] "Devices whose old answers the mass flip guard holds.";
    MDM_MASS_FLIPS = Counter "radmit_mdm_mass_flips_total" ["server"] "Times that the mass flip guard began to hold old answers.";
    MDM_QUESTIONS_MERGED = Counter "radmit_mdm_questions_merged_total" ["server"] "Questions that joined one about the same device.";
    MDM_QUESTIONS_REFUSED = Counter "radmit_mdm_questions_refused_total" ["server"] "Questions that could not be asked in time.";
    MDM_ROWS_MISMATCHED = Counter "radmit_mdm_rows_mismatched_total" ["server"] "Devices in answers that were not asked for, and were ignored.";
    MDM_SYNCS = Counter "radmit_mdm_syncs_total" ["server", "result"] "Full lists that came in to their end (ok) and that did not (failed).";
    STORE_SAVED = Gauge "radmit_store_saved_timestamp_seconds" [] "Unix time at which what survives a restart was last saved; 0 if it was not.";
    STORE_FAILED = Counter "radmit_store_failed_total" [] "Attempts to save it that failed.";
    CAN_BE_REQUIRED = Gauge "radmit_message_authenticator_can_be_required" ["client"] "For clients that learn: 1 once no request without Message-Authenticator came for seven days.";
    TLS_CERT_EXPIRY = Gauge "radmit_tls_cert_expiry_seconds" ["use"] "Unix time at which the next of eap-server (our certificate and its chain), eap-client-ca, eap-crl or eap-ocsp expires.";
    CONFIG_INFO = Info "radmit_config_info" ["hash"] "Which configuration is running.";
    CONFIG_RELOAD = Counter "radmit_config_reload_total" ["result"] "Reloads that were taken (ok) and refused (failed).";
    LOG_LINES = Counter "radmit_log_lines_total" [] "Lines of the decision log that were written.";
    LOG_LOST = Counter "radmit_log_lost_total" [] "Events that did not get into the decision log, because it is too slow.";
    LOG_WRITE_FAILED = Counter "radmit_log_write_failed_total" [] "Writes of the decision log that failed.";
    BUILD_INFO = Info "radmit_build_info" ["version"] "Which version is running.";
}

/// The reference of all metrics as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "<!-- Written by `REGENERATE=1 cargo test --test tidy` from list.rs. -->\n\n\
         # Metrics\n\n\
         Served as OpenMetrics text at `/metrics` on `[metrics] listen`. MACs, users and device ids are never labels.\n\n\
         | name | kind | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for family in ALL {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (family.name, family.kind.name());
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {} |", labels.join(", "), family.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_are() {
        for family in ALL {
            assert!(family.name.starts_with("radmit_"), "{}", family.name);
            assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
            assert_eq!(family.name.ends_with("_info"), family.kind == Kind::Info, "{}", family.name);
            assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{}", family.name);
        }
    }

    #[test]
    fn no_name_is_used_twice() {
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn the_promised_metrics_are_there_with_their_labels() {
        let promised = "requests_total{code,client} responses_total{code,client} dropped_total{reason,client} \
            decision_seconds{method} inflight{} socket_dropped_total{} eap_total{result,tls,resumed} \
            policy_rule_hits_total{set,rule,verdict} mdm_lookups_total{server,result,source} mdm_lookup_seconds{server} \
            mdm_budget_remaining{server} mdm_throttled_total{server} mdm_last_sync_timestamp_seconds{server} \
            mdm_credential_expiry_seconds{server} directory_devices{server} tls_cert_expiry_seconds{use} \
            config_info{hash} config_reload_total{result}";
        let there: Vec<String> =
            ALL.iter().map(|family| format!("{}{{{}}}", family.name, family.labels.join(","))).collect();
        for metric in promised.split_whitespace() {
            assert!(there.contains(&format!("radmit_{metric}")), "{metric}");
        }
    }
}
