//! `radmit check`: everything that `serve` would load, and what is wrong with it.
//!
//! Owns the presentation of problems and the exit code. Finding them is the work of `daemon::load`.

use std::{process::ExitCode, sync::Arc};

use crate::{
    config::{
        files::{Files, SystemFiles},
        schema::schema as radmit_schema,
    },
    daemon::load::load,
    policy::schema::schema as policy_schema,
    problem::{Problem, Problems, Severity},
};

use super::{arguments::ConfigArgument, output};

/// Arguments of `radmit check`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Also print hints, such as accept rules that a made-up MAC address could match
    #[arg(long)]
    pedantic: bool,
    /// Instead: print the JSON Schema of the files, of one kind or of both
    #[arg(long, value_enum, value_name = "FILES", num_args = 0..=1, require_equals = true, default_missing_value = "both")]
    schema: Option<Schema>,
}

/// Whose schema is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Schema {
    /// `policies/*.toml`.
    Policy,
    /// `radmit.toml` and `conf.d/*.toml`.
    Radmit,
    /// Both, under these two names.
    Both,
}

impl Schema {
    fn print(self) {
        let (policy, radmit) = (policy_schema(), radmit_schema());
        let shown = match self {
            Self::Policy => policy,
            Self::Radmit => radmit,
            Self::Both => serde_json::json!({ "policy": policy, "radmit": radmit }),
        };
        output::line(serde_json::to_string_pretty(&shown).unwrap_or_default());
    }
}

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    if let Some(schema) = arguments.schema {
        schema.print();
        return ExitCode::SUCCESS;
    }
    let mut problems = Problems::new();
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let loaded = load(arguments.config.config.as_deref(), &files, &mut problems);
    let shown: Vec<&Problem> = problems
        .sorted()
        .into_iter()
        .filter(|problem| arguments.pedantic || problem.severity != Severity::Hint)
        .collect();
    let count = |severity| shown.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match arguments.format {
        Format::Text => {
            for problem in &shown {
                output::line(problem.to_string());
            }
            if problems.left_out() > 0 {
                output::line(format!("and {} more", problems.left_out()));
            }
            if let Some(loaded) = &loaded {
                output::line(summary(loaded));
            }
            output::line(format!("{errors} errors, {warnings} warnings"));
        }
        Format::Json => output::line(json(&shown, problems.left_out())),
    }
    let failed = loaded.is_none() || errors > 0 || (arguments.deny_warnings && warnings > 0);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn summary(loaded: &crate::daemon::load::Loaded) -> String {
    let counts = loaded.dictionary.counts();
    format!(
        "{} clients, {} MDM servers, {} policy sets with {} rules, {} attributes in the dictionaries",
        loaded.configuration.clients.len(),
        loaded.configuration.mdm.iter().filter(|server| server.settings.enabled).count(),
        loaded.policy.sets().len(),
        loaded.policy.rules().len(),
        counts.attributes,
    )
}

/// The problems as one JSON document. Codes are stable; messages may be reworded.
fn json(problems: &[&Problem], left_out: usize) -> String {
    let list: Vec<serde_json::Value> = problems
        .iter()
        .map(|problem| {
            let place = problem.place.as_ref();
            serde_json::json!({
                "severity": match problem.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                    Severity::Hint => "hint",
                },
                "code": problem.code,
                "file": place.map(|place| &*place.file),
                "line": place.map(|place| place.line),
                "column": place.map(|place| place.column),
                "message": problem.message,
            })
        })
        .collect();
    serde_json::to_string_pretty(&serde_json::json!({ "version": 1, "problems": list, "left-out": left_out }))
        .unwrap_or_else(|_| "{}".to_owned())
}
