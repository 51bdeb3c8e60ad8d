//! `radmit test`: runs the cases of the policy files.
//!
//! Owns the report. Running and comparing is `policy::trial`'s business.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use crate::{
    config::files::{Files, SystemFiles},
    daemon::load::{Loaded, load},
    policy::trial::CaseOutcome,
    problem::Problems,
};

use super::{arguments::ConfigArgument, output};

/// Arguments of `radmit test`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Only the cases of these files or folders [default: the whole policy folder]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let mut problems = Problems::new();
    let loaded = load(arguments.config.config.as_deref(), &files, &mut problems);
    let Some(loaded) = loaded else {
        output::problems(&problems, false);
        output::complain("radmit test: the policy can't be loaded");
        return ExitCode::FAILURE;
    };
    let (passed, failed) = report(&loaded, &arguments.paths);
    output::line(format!("{passed} passed, {failed} failed"));
    if failed == 0 && (passed > 0 || arguments.paths.is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(loaded: &Loaded, paths: &[PathBuf]) -> (usize, usize) {
    let (mut passed, mut failed) = (0, 0);
    for (at, case) in loaded.policy.cases().iter().enumerate() {
        let file = std::path::Path::new(&*case.place.file);
        if !paths.is_empty() && !paths.iter().any(|path| file.starts_with(path) || file.ends_with(path)) {
            continue;
        }
        match loaded.cases.failed.iter().find(|(place, _)| *place == at) {
            Some((_, outcome)) => {
                failed += 1;
                output::line(format!("{}: {} failed", case.place, case.name));
                show(outcome);
            }
            None => passed += 1,
        }
    }
    let rules = loaded.policy.rules();
    for uncovered in &loaded.cases.uncovered {
        if let Some(rule) = loaded.policy.rule(*uncovered) {
            output::line(format!("{}: no case reaches the rule \"{}\"", rule.place, rule.name));
        }
    }
    output::line(format!(
        "{} of {} rules are reached by cases",
        rules.len() - loaded.cases.uncovered.len(),
        rules.len()
    ));
    (passed, failed)
}

fn show(outcome: &CaseOutcome) {
    for difference in &outcome.differences {
        output::line(format!("    {}: expected {}, got {}", difference.what, difference.expected, difference.got));
    }
    for line in outcome.trace.to_string().lines() {
        output::line(format!("    {line}"));
    }
}
