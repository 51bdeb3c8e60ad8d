//! `radmit lookup`: what the MDM servers say about one device now.
//!
//! Owns its arguments, what is printed and the exit code. It asks with a client of its own and touches no running server.

use std::{process::ExitCode, time::Duration};

use serde_json::{Value, json};

use crate::{
    clock::{self, Wall},
    device::{
        question::{Key, Outcome},
        record::DeviceRecord,
    },
    mdm::live::{LiveAnswer, look_up},
};

use super::{
    arguments::ConfigArgument,
    check::Format,
    device::{Asked, configuration, servers, wait_for},
    output,
};

/// The exit codes beside 0 for a device that was found.
const NOT_REGISTERED: u8 = 1;
const CANNOT_TELL: u8 = 2;

/// Arguments of `radmit lookup`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Only this server [default: every enabled one, in order, until one knows the device]
    #[arg(long, value_name = "NAME")]
    mdm: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The device
    #[arg(value_name = "MAC|GUID|CERT.PEM")]
    device: String,
}

/// What one server said.
struct Said {
    server: Box<str>,
    key: Key,
    grace_is_compliant: bool,
    answer: LiveAnswer,
    took: Duration,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match asked(arguments) {
        Ok(said) => {
            match arguments.format {
                Format::Text => said.iter().for_each(print),
                Format::Json => output::line(document(&said)),
            }
            code(&said)
        }
        Err(message) => {
            output::complain(format!("radmit lookup: {message}"));
            ExitCode::from(CANNOT_TELL)
        }
    }
}

/// Asks the servers in order, until one knows the device.
fn asked(arguments: &Arguments) -> Result<Vec<Said>, String> {
    let configuration = configuration(arguments.config.config.as_deref())?;
    let wanted = Asked::read(&arguments.device)?;
    let mut said = Vec::new();
    for server in servers(&configuration, arguments.mdm.as_deref())? {
        let settings = &server.settings;
        if arguments.mdm.is_none() && !settings.enabled {
            continue;
        }
        let Some(key) = wanted.key_for(server) else {
            output::complain(format!("{}: the certificate holds no id of a kind in its identifiers", settings.name));
            continue;
        };
        let asked_at = clock::now().mono;
        let mut answer = wait_for(look_up(settings, key))??;
        let took = clock::now().mono.since(asked_at);
        if let Outcome::Found(record) = &answer.outcome
            && !wanted.names_only(record)
        {
            answer.outcome = Outcome::Ambiguous;
            answer.why = Some("the certificate names another device too".to_owned());
        }
        let is_found = matches!(answer.outcome, Outcome::Found(_));
        let grace_is_compliant = settings.grace_is_compliant;
        said.push(Said { server: Box::from(&*settings.name), key, grace_is_compliant, answer, took });
        if is_found {
            break;
        }
    }
    if said.is_empty() {
        return Err("no server could be asked; is one enabled?".to_owned());
    }
    Ok(said)
}

/// "Not registered" needs a no from every server.
fn code(said: &[Said]) -> ExitCode {
    if said.iter().any(|said| matches!(said.answer.outcome, Outcome::Found(_))) {
        ExitCode::SUCCESS
    } else if said.iter().all(|said| matches!(said.answer.outcome, Outcome::NotFound)) {
        ExitCode::from(NOT_REGISTERED)
    } else {
        ExitCode::from(CANNOT_TELL)
    }
}

fn key_text(key: Key) -> String {
    match key {
        Key::Device(id) => id.to_string(),
        Key::Mac(mac) => mac.to_string(),
    }
}

const fn result(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Found(_) => "found",
        Outcome::NotFound => "not-found",
        Outcome::Ambiguous => "ambiguous",
        Outcome::Failed(failure) => failure.name(),
    }
}

fn print(said: &Said) {
    let (server, key) = (&said.server, key_text(said.key));
    let why = said.answer.why.as_deref();
    match &said.answer.outcome {
        Outcome::Found(record) => {
            output::line(format!("{server}: {key} is found"));
            for (name, value) in facts(said, record) {
                let text = match value {
                    Value::Null => continue,
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                output::line(format!("  {name:<20} {text}"));
            }
        }
        Outcome::NotFound => output::line(format!("{server}: {key} is not registered")),
        Outcome::Ambiguous => {
            let why = why.unwrap_or("several devices have it; retire the old enrolments in Intune");
            output::line(format!("{server}: {key} is ambiguous: {why}"));
        }
        Outcome::Failed(failure) => {
            let why = why.unwrap_or("only a complete list could tell");
            output::line(format!("{server}: it can't be told: {}: {why}", failure.name()));
        }
    }
}

/// Everything that is known, by the names that policies use where they have one.
fn facts(said: &Said, record: &DeviceRecord) -> Vec<(&'static str, Value)> {
    let (details, now) = (&*record.details, clock::now());
    let text = |text: Option<&str>| text.map_or(Value::Null, |text| json!(text));
    let millis = |span: Duration| json!(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    let days = |at: Wall| now.wall.since(at).as_secs() / 86_400;
    vec![
        ("found-by", text(said.answer.found_by)),
        ("api", text(said.answer.api.map(crate::mdm::settings::Api::name))),
        ("intune-id", json!(record.intune_id.to_string())),
        ("entra-id", record.entra_id.map_or(Value::Null, |id| json!(id.to_string()))),
        ("wifi-mac", record.wifi_mac.map_or(Value::Null, |mac| json!(mac.to_string()))),
        ("ethernet-mac", record.ethernet_mac.map_or(Value::Null, |mac| json!(mac.to_string()))),
        ("registered", json!(true)),
        ("managed", json!(record.managed)),
        ("compliant", json!(record.compliance.is_compliant(said.grace_is_compliant))),
        ("compliance", json!(record.compliance.name())),
        ("source", json!("live")),
        ("age-ms", millis(record.age(now))),
        ("took-ms", millis(said.took)),
        ("device-name", text(details.device_name.as_deref())),
        ("user", text(details.user.as_deref())),
        ("owner", text(details.owner.as_deref())),
        ("os", text(details.os.as_deref())),
        ("os-version", text(details.os_version.as_deref())),
        ("encrypted", details.encrypted.map_or(Value::Null, Value::Bool)),
        ("jailbroken", details.jailbroken.map_or(Value::Null, Value::Bool)),
        ("manufacturer", text(details.manufacturer.as_deref())),
        ("model", text(details.model.as_deref())),
        ("serial", text(details.serial.as_deref())),
        ("management-agent", text(details.management_agent.as_deref())),
        ("threat", text(details.threat.as_deref())),
        ("days-since-check-in", details.last_check_in.map_or(Value::Null, |at| json!(days(at)))),
    ]
}

/// The same as JSON; what is not known is null.
fn document(said: &[Said]) -> String {
    let servers: Vec<Value> = said
        .iter()
        .map(|said| {
            let record = match &said.answer.outcome {
                Outcome::Found(record) => {
                    let facts = facts(said, record).into_iter().map(|(name, value)| (name.to_owned(), value));
                    Value::Object(facts.collect())
                }
                _ => Value::Null,
            };
            json!({
                "server": &*said.server,
                "asked": key_text(said.key),
                "result": result(&said.answer.outcome),
                "why": said.answer.why,
                "record": record,
            })
        })
        .collect();
    serde_json::to_string_pretty(&json!({ "version": 1, "servers": servers })).unwrap_or_else(|_| "{}".to_owned())
}
