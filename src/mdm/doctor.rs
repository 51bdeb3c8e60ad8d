//! "Test connection": everything between radmit and one server, looked at one by one, each with what to do about it.
//!
//! Owns the order of the checks and their words. It changes nothing at Microsoft, and asks what the worker would ask.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::Url;

use crate::{
    clock::{self, Wall},
    device::{
        identifier::{Guid, IntuneId},
        question::{Key, Outcome},
    },
    metrics::mdm::ServerCells,
};

use super::{
    chance,
    cloud::Endpoints,
    credential,
    explain::Complaint,
    intune::client::{Client, Errand},
    inventory::read_devices,
    live,
    settings::{Api, Credential, Intune, Kind, Settings},
    token::Audience,
    wire_tap,
};

/// How far this machine's clock may be off before assertions and tokens are refused, in seconds.
const CLOCK_OFFSET_WARNED: u64 = 60;
const CLOCK_OFFSET_MAX: u64 = 300;

/// How long before its end a certificate is warned about.
const EXPIRY_WARNED: Duration = Duration::from_secs(30 * 24 * 3600);

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What, in two or three words.
    pub subject: String,
    /// How it is.
    pub state: State,
    /// What was seen; for what is not good, after a semicolon what to do.
    pub finding: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// It works, but something should be done.
    Warning,
    /// It does not work.
    Bad,
    /// It could not be looked at, or is not used.
    Skipped,
}

impl State {
    /// The word in front of the line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8} {}: {}", self.state.name(), self.subject, self.finding)
    }
}

fn check(subject: impl Into<String>, state: State, finding: impl Into<String>) -> Check {
    Check { subject: subject.into(), state, finding: finding.into() }
}

fn judged<T>(subject: impl Into<String>, outcome: &Result<T, Complaint>, good: impl Into<String>) -> Check {
    match outcome {
        Ok(_) => check(subject, State::Good, good),
        Err(complaint) => check(subject, State::Bad, complaint.sentence.to_string()),
    }
}

/// Looks at one server. `sample`: a device to ask about. Needs a tokio runtime; takes seconds.
pub async fn examine(settings: &Settings, sample: Option<Key>) -> Vec<Check> {
    let mut checks: Vec<Check> = settings
        .problems()
        .into_iter()
        .map(|problem| {
            let bad = problem.severity == crate::problem::Severity::Error;
            let state = if bad { State::Bad } else { State::Warning };
            check(format!("setting {}", problem.key), state, problem.message)
        })
        .collect();
    match &settings.kind {
        Kind::Intune(intune) => examine_intune(settings, intune, sample, &mut checks).await,
        Kind::Inventory(inventory) => {
            let read = read_devices(&inventory.file);
            checks.push(match &read {
                Ok(devices) => check("device file", State::Good, format!("{} devices", devices.len())),
                Err(why) => check("device file", State::Bad, why.clone()),
            });
            if let Some(key) = sample.filter(|_| read.is_ok()) {
                checks.push(match live::look_up(settings, key).await {
                    Ok(answer) => sample_check(&answer),
                    Err(why) => check("sample lookup", State::Bad, why),
                });
            }
        }
    }
    checks
}

async fn examine_intune(settings: &Settings, intune: &Intune, sample: Option<Key>, checks: &mut Vec<Check>) {
    checks.extend(examine_credential(&intune.credential, clock::now().wall));
    let Ok(endpoints) = Endpoints::resolve(intune) else { return };
    checks.extend(examine_way(intune, &endpoints).await);
    let client = match live::client(settings, intune, &Arc::<ServerCells>::default()) {
        Ok(client) => client,
        Err(why) => {
            checks.push(check("HTTPS", State::Bad, why));
            return;
        }
    };
    let graph = examine_graph(&client, checks).await;
    let retrieval = client.uses(Api::ComplianceRetrieval) && examine_retrieval(&client, checks).await;
    checks.push(examine_clock(client.line().clock_offset_secs()));
    checks.push(summary((client.uses(Api::Graph), graph), (client.uses(Api::ComplianceRetrieval), retrieval)));
    if let Some(key) = sample {
        checks.push(sample_check(&live::ask(&client, settings, key).await));
    }
}

/// Certificates and when they end.
fn examine_credential(credential: &Credential, wall: Wall) -> Vec<Check> {
    let Credential::Certificate { pairs, .. } = credential else {
        let finding = match credential {
            Credential::Secret(secret) => match secret.read() {
                Ok(_) => "a client secret; Entra does not tell when it expires, a certificate would",
                Err(_) => {
                    return vec![check("credential", State::Bad, "the client secret can't be read; check its file")];
                }
            },
            Credential::FederatedTokenFile(path) => match std::fs::metadata(path) {
                Ok(_) => "a federated token",
                Err(error) => {
                    return vec![check("credential", State::Bad, format!("{}: {error}", path.display()))];
                }
            },
            Credential::ManagedIdentity { .. } | Credential::Certificate { .. } => "the identity of this machine",
        };
        return vec![check("credential", State::Good, finding)];
    };
    let describe = |pair| match credential::read_validity(pair) {
        Err(complaint) => check("credential", State::Bad, complaint.sentence.to_string()),
        Ok(validity) => {
            let name = pair.certificate.name();
            let days = validity.ends.since(wall).as_secs() / 86_400;
            if wall < validity.begins {
                check("credential", State::Bad, format!("{name} does not count yet; check this machine's clock"))
            } else if validity.ends <= wall {
                check("credential", State::Bad, format!("{name} has expired; upload a new one to the app registration"))
            } else if validity.ends.since(wall) < EXPIRY_WARNED {
                check("credential", State::Warning, format!("{name} ends in {days} days; add its successor now"))
            } else {
                check("credential", State::Good, format!("{name}, {days} days left"))
            }
        }
    };
    pairs.iter().map(describe).collect()
}

/// Names, routes and TLS to the two fixed hosts.
async fn examine_way(intune: &Intune, endpoints: &Endpoints) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(proxy) = &intune.proxy {
        checks.push(check("proxy", State::Good, format!("{} is used for all but loopback", proxy.host())));
    }
    let managed = matches!(intune.credential, Credential::ManagedIdentity { .. });
    let mut hosts: Vec<(&str, &Url)> = vec![("Graph", &endpoints.graph)];
    if !managed {
        hosts.insert(0, ("Entra", &endpoints.token));
    }
    for (service, url) in hosts {
        let subject = format!("way to {service}");
        let host = url.host_str().unwrap_or("");
        checks.push(match wire_tap::look(url, intune.proxy.as_ref()).await {
            Ok(seen) => check(subject, State::Good, format!("{host}: {seen}")),
            Err(why) => check(subject, State::Bad, format!("{host}: {why}")),
        });
    }
    checks
}

async fn examine_graph(client: &Arc<Client>, checks: &mut Vec<Check>) -> bool {
    let token = client.token(Audience::Graph).await;
    checks.push(judged("token for Graph", &token, "issued"));
    if token.is_err() || !client.uses(Api::Graph) {
        return false;
    }
    let proof = client.prove_graph(&mut Errand::soon()).await;
    checks.push(judged("devices in Graph", &proof, "may be read (DeviceManagementManagedDevices.Read.All)"));
    proof.is_ok()
}

async fn examine_retrieval(client: &Arc<Client>, checks: &mut Vec<Check>) -> bool {
    let token = client.token(Audience::Intune).await;
    checks.push(judged("token for Intune", &token, "issued"));
    let base = client.discover(&mut Errand::soon()).await;
    let place = base.as_ref().map(|base| format!("at {}", base.host_str().unwrap_or(""))).unwrap_or_default();
    checks.push(judged("service discovery", &base, place));
    if token.is_err() || base.is_err() {
        return false;
    }
    let about = client.retrieval_about(&mut Errand::soon()).await;
    checks.push(judged("compliance retrieval", &about, "answers"));
    // A token is issued without any permission; only a question shows whether there is one. Nobody has this id.
    let id: Guid = chance::guid();
    let asked = client.retrieval_device(&mut Errand::soon(), IntuneId(id)).await;
    checks.push(judged("devices in compliance retrieval", &asked, "may be asked (get_device_compliance)"));
    asked.is_ok()
}

fn examine_clock(offset_secs: Option<i64>) -> Check {
    let Some(offset_secs) = offset_secs else {
        return check("clock", State::Skipped, "nobody at Microsoft answered, so there is nothing to compare it with");
    };
    let far = offset_secs.unsigned_abs();
    let finding = format!("{far} s {} Microsoft's", if offset_secs < 0 { "behind" } else { "ahead of" });
    match far {
        0..CLOCK_OFFSET_WARNED => check("clock", State::Good, finding),
        CLOCK_OFFSET_WARNED..=CLOCK_OFFSET_MAX => {
            check("clock", State::Warning, format!("{finding}; set it, with NTP"))
        }
        _ => check("clock", State::Bad, format!("{finding}; assertions are refused: set it, with NTP")),
    }
}

/// What can be told in the end. For each interface: whether it is asked at all, and whether it answered.
fn summary((asks_graph, graph): (bool, bool), (asks_retrieval, retrieval): (bool, bool)) -> Check {
    let (state, finding) = match (graph, retrieval) {
        (true, true) => (State::Good, "devices are found by Intune id, Entra id and any MAC address, with every fact"),
        (true, false) if !asks_retrieval => (
            State::Good,
            "devices are found by Intune id, Entra id, and those MAC addresses that Graph lists; docks and further \
             adapters are not, because lookup leaves compliance retrieval out",
        ),
        (true, false) => (
            State::Warning,
            "devices are found by Intune id, Entra id, and those MAC addresses that Graph lists; docks and further \
             adapters are not: grant what compliance retrieval needs, or leave it out of lookup",
        ),
        (false, true) if !asks_graph => (
            State::Good,
            "devices are found by Intune id and MAC address; only registered and compliant are told, because lookup \
             leaves Graph out",
        ),
        (false, true) => (
            State::Warning,
            "devices are found by Intune id and MAC address; only registered and compliant are told: grant \
             DeviceManagementManagedDevices.Read.All for the other facts",
        ),
        (false, false) => (State::Bad, "no device can be found; mend the first thing above that failed"),
    };
    check("what can be told", state, finding)
}

fn sample_check(answer: &live::LiveAnswer) -> Check {
    let by = answer.found_by.unwrap_or("file");
    let (state, finding) = match &answer.outcome {
        Outcome::Found(record) => {
            let name = record.details.device_name.as_deref().unwrap_or("a device without a name");
            (State::Good, format!("{name} is {}, found by {by}", record.compliance.name()))
        }
        Outcome::NotFound => (State::Good, "not registered".to_owned()),
        Outcome::Ambiguous => {
            (State::Warning, "several devices have this name; retire the old enrolments in Intune".to_owned())
        }
        Outcome::Failed(failure) => {
            let why = answer.why.clone().unwrap_or_else(|| "only a complete list could tell".to_owned());
            (State::Bad, format!("{}: {why}", failure.name()))
        }
    };
    check("sample lookup", state, finding)
}
