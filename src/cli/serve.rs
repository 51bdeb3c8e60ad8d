//! `radmit serve`: the daemon.
//!
//! Owns arguments, signals and exit codes. What runs is `daemon`'s business.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use crate::{
    config::files::{Files, SystemFiles},
    daemon::{load::load, log, server::Server},
    problem::Problems,
};

use super::{arguments::ConfigArgument, output, signals};

/// Arguments of `radmit serve`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let mut problems = Problems::new();
    let loaded = load(arguments.config.config.as_deref(), &files, &mut problems);
    output::problems(&problems, false);
    let Some(loaded) = loaded else {
        output::complain("radmit serve: not started; `radmit check` shows the same problems");
        return ExitCode::FAILURE;
    };
    log::start(&loaded.configuration.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(format!("radmit serve: no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let hangups = {
        let _entered = runtime.enter();
        signals::Hangups::take()
    };
    let named: Option<PathBuf> = arguments.config.config.clone();
    let server = match Server::start(loaded, named, files, runtime.handle()) {
        Ok(server) => server,
        Err(error) => return signals::report(&error),
    };
    runtime.block_on(signals::run_until_stopped(&server, hangups));
    server.stop();
    ExitCode::SUCCESS
}
