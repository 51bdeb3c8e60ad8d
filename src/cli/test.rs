//! `radmit test`: runs the cases of the policy files.
//!
//! Owns the report. Running and comparing is `policy::trial`'s business.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use crate::{
    config::{
        file::is_hidden,
        files::{Files, SystemFiles},
    },
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
    let chosen = match Chosen::of(&arguments.paths, &policy_files(&loaded, &*files)) {
        Ok(chosen) => chosen,
        Err(strange) => {
            let folder = loaded.configuration.server.policies.display();
            for path in strange {
                output::complain(format!("radmit test: {} is no policy file of {folder}", path.display()));
            }
            return ExitCode::FAILURE;
        }
    };
    let (passed, failed) = report(&loaded, &chosen);
    output::line(format!("{passed} passed, {failed} failed"));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The policy files as they were loaded.
fn policy_files(loaded: &Loaded, files: &dyn Files) -> Vec<PathBuf> {
    let mut found = files.list(&loaded.configuration.server.policies).unwrap_or_default();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml") && !is_hidden(path));
    found
}

/// The files whose cases are run.
#[derive(Debug, PartialEq, Eq)]
struct Chosen(Vec<PathBuf>);

impl Chosen {
    /// Those of `files` that are one of `paths` or in one of them; all if there are no paths. Else the paths that are none.
    fn of(paths: &[PathBuf], files: &[PathBuf]) -> Result<Self, Vec<PathBuf>> {
        if paths.is_empty() {
            return Ok(Self(files.to_vec()));
        }
        // The same file has many names: with dots, from another folder, through a link.
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_in = |file: &PathBuf, path: &PathBuf| real(file).starts_with(real(path)) || file.ends_with(path);
        let strange: Vec<PathBuf> =
            paths.iter().filter(|path| !files.iter().any(|file| is_in(file, path))).cloned().collect();
        if !strange.is_empty() {
            return Err(strange);
        }
        Ok(Self(files.iter().filter(|file| paths.iter().any(|path| is_in(file, path))).cloned().collect()))
    }

    fn has(&self, file: &Path) -> bool {
        self.0.iter().any(|chosen| chosen == file)
    }
}

fn report(loaded: &Loaded, chosen: &Chosen) -> (usize, usize) {
    let (mut passed, mut failed) = (0, 0);
    for (at, case) in loaded.policy.cases().iter().enumerate() {
        if !chosen.has(Path::new(&*case.place.file)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(path: &str) -> Result<usize, usize> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Tests run in the folder of the manifest.
        let files: Vec<PathBuf> =
            ["policies/default.toml", "policies/examples/x.toml"].iter().map(PathBuf::from).collect();
        let path = if let Some(rest) = path.strip_prefix("ROOT") {
            root.join(rest.trim_start_matches('/'))
        } else {
            path.into()
        };
        Chosen::of(&[path], &files).map(|chosen| chosen.0.len()).map_err(|strange| strange.len())
    }

    #[test]
    fn a_file_is_found_by_every_name_that_it_has() {
        for path in ["policies/default.toml", "./policies/default.toml", "src/../policies/default.toml", "default.toml"]
        {
            assert_eq!(chosen(path), Ok(1), "{path}");
        }
        assert_eq!(chosen("ROOT/policies/default.toml"), Ok(1));
        for folder in [".", "./policies", "ROOT/policies/"] {
            assert!(chosen(folder).is_ok(), "{folder}");
        }
    }

    #[test]
    fn a_path_that_is_no_policy_file_is_told() {
        for path in ["policies/gone.toml", "src", "/"] {
            assert_eq!(chosen(path).is_err(), path != "/", "{path}");
        }
    }
}
