//! What is wrong only between sections: budgets of time that don't fit into each other, nobody who may ask.
//!
//! Owns these checks. What one value may be is said where it is read.

use std::time::Duration;

use crate::{
    document::{Table, write_duration},
    problem::{Place, Problems},
};

use super::{
    configuration::{Client, MdmServer, Server},
    section::Section,
};

/// What NASes commonly wait before they ask again or elsewhere.
const PATIENCE_OF_NASES: Duration = Duration::from_secs(5);

/// The values and where they stand.
pub(super) struct Sections<'s, 't> {
    pub(super) section: &'s Section<'t>,
    pub(super) server: &'s Server,
    pub(super) clients: &'s [(Client, &'s Table<'t>)],
    pub(super) mdm: &'s [(MdmServer, &'s Table<'t>)],
}

/// Reports all of them.
pub(super) fn report(sections: &Sections<'_, '_>, problems: &mut Problems) {
    reject_delay(sections, problems);
    deadlines(sections, problems);
    lookup_timeouts(sections, problems);
    zeros(sections, problems);
    trust_without_effect(sections, problems);
}

fn reject_delay(sections: &Sections<'_, '_>, problems: &mut Problems) {
    let delay = sections.server.reject_delay;
    let place = sections.section.ask("reject-delay").map(|value| value.place()).or_else(|| sections.section.place());
    if delay.is_zero() {
        let message = "rejects leave at once, so passwords and MACs can be tried fast; \"1s\" slows that down";
        problems.warning("no-reject-delay", place, message);
        return;
    }
    if delay >= sections.server.decision_deadline {
        problems.warning(
            "reject-delay-too-long",
            place.clone(),
            delay_message(delay, sections.server.decision_deadline),
        );
        return;
    }
    for (client, table) in sections.clients.iter().filter(|(client, _)| delay >= client.decision_deadline) {
        let message = delay_message(delay, client.decision_deadline);
        problems.warning("reject-delay-too-long", deadline_place(table), message);
    }
}

fn delay_message(delay: Duration, deadline: Duration) -> String {
    format!(
        "reject-delay ({}) is not below decision-deadline ({}), so rejects leave at the deadline; lower it",
        write_duration(delay),
        write_duration(deadline)
    )
}

fn deadline_place(table: &Table<'_>) -> Option<Place> {
    Some(table.ask("decision-deadline").map_or_else(|| table.place(), |value| value.place()))
}

fn deadlines(sections: &Sections<'_, '_>, problems: &mut Problems) {
    let server =
        sections.section.ask("decision-deadline").map(|value| (sections.server.decision_deadline, value.place()));
    let clients = sections
        .clients
        .iter()
        .filter_map(|(client, table)| Some((client.decision_deadline, table.ask("decision-deadline")?.place())));
    for (deadline, place) in server.into_iter().chain(clients).filter(|(deadline, _)| *deadline > PATIENCE_OF_NASES) {
        let message = format!(
            "{} is longer than NASes commonly wait (5 s, some 2 to 3 s); lower it, or raise their timeouts too",
            write_duration(deadline)
        );
        problems.warning("long-deadline", Some(place), message);
    }
}

/// A lookup that takes its time must leave some for the answer.
fn lookup_timeouts(sections: &Sections<'_, '_>, problems: &mut Problems) {
    let servers = sections.mdm.iter().filter(|(server, _)| server.settings.enabled);
    for (server, table) in servers {
        let timeout = server.settings.lookup_timeout;
        let place = table.ask("lookup-timeout").map_or_else(|| table.place(), |value| value.place());
        let message = |deadline, whose: &str| {
            format!(
                "lookup-timeout ({}) must be below decision-deadline ({}){whose}; lower it, or raise the deadline",
                write_duration(timeout),
                write_duration(deadline)
            )
        };
        if timeout >= sections.server.decision_deadline {
            let message = message(sections.server.decision_deadline, "");
            problems.error("lookup-timeout-too-long", Some(place), message);
            continue;
        }
        for (client, client_table) in sections.clients.iter().filter(|(client, _)| timeout >= client.decision_deadline)
        {
            let whose = format!(" of this client, for \"{}\"", server.settings.name);
            let message = message(client.decision_deadline, &whose);
            problems.error("lookup-timeout-too-long", deadline_place(client_table), message);
        }
    }
}

fn zeros(sections: &Sections<'_, '_>, problems: &mut Problems) {
    for (server, table) in sections.mdm {
        if server.settings.ages.compliance_max_age.is_zero() {
            let place = table.ask("compliance-max-age").map(|value| value.place());
            let message = "\"0s\" asks the cloud for every request; the default is \"5m\"";
            problems.warning("no-compliance-max-age", place, message);
        }
    }
}

/// `attribute` counts only for trusted clients.
fn trust_without_effect(sections: &Sections<'_, '_>, problems: &mut Problems) {
    let Some((client, table)) = sections.clients.iter().find(|(client, _)| client.trust_authorize_only) else { return };
    let reads = |server: &MdmServer| server.identifiers.contains(&crate::policy::facts::DeviceIdSource::Attribute);
    if !sections.mdm.is_empty() && !sections.mdm.iter().any(|(server, _)| reads(server)) {
        let place = table.ask("trust-authorize-only").map(|value| value.place());
        let message = format!(
            "no [[mdm]] has \"attribute\" in identifiers, so the ids that \"{}\" sends are not read",
            client.name
        );
        problems.hint("trust-without-effect", place, message);
    }
}
