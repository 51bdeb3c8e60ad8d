//! What an operator types: one command, one file.
//!
//! Owns arguments, what is printed and exit codes. What the commands do, the folders below do.

pub mod arguments;
pub mod bench;
mod bench_devices;
mod bench_table;
pub mod certs;
pub mod check;
pub mod demo;
mod device;
pub mod doctor;
mod eapol;
pub mod explain;
mod explanation;
pub mod lookup;
mod nas;
pub mod output;
pub mod probe;
pub mod replay;
mod request;
pub mod serve;
mod signals;
pub mod sim;
pub mod test;
mod test_ca;

use std::{process::ExitCode, sync::LazyLock};

use clap::{Parser, Subcommand};

/// RADIUS authorization by device compliance: who gets onto the network, and into which part of it.
#[derive(Debug, Parser)]
#[command(name = "radmit", version, long_version = long_version(), max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole product on loopback with nothing to prepare: simulated cloud, server, a small fleet
    Demo(demo::Arguments),
    /// Run the server
    Serve(serve::Arguments),
    /// Check everything that `serve` would load, and say what is wrong where
    Check(check::Arguments),
    /// Run the `case` blocks of the policy files
    Test(test::Arguments),
    /// Say why a request is decided as it is, offline
    Explain(explain::Arguments),
    /// Judge yesterday's decisions by a draft of the policy, and say which would change
    Replay(replay::Arguments),
    /// Test the connection to every MDM server, and say what to do about what does not work
    Doctor(doctor::Arguments),
    /// Ask the MDM servers about one device now
    Lookup(lookup::Arguments),
    /// Run only the simulated Microsoft cloud, on loopback
    Sim(sim::Arguments),
    /// Make a throw-away CA with server and client certificates, for tests and labs
    Certs(certs::Arguments),
    /// Send one request as a switch would, and exit as a Nagios check
    Probe(probe::Arguments),
    /// Load a server with requests as switches send them, and tell latencies and losses
    Bench(Box<bench::Arguments>),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Lookup(arguments) => lookup::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Certs(arguments) => certs::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    }
}

/// Says what is wrong with the arguments. Nagios takes 2 for "critical", so `probe` ends with 3 then.
fn refuse(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let is_probe = std::env::args_os().nth(1).is_some_and(|command| command == "probe");
    ExitCode::from(if is_probe { 3 } else { 2 })
}

fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(describe_version);
    &TEXT
}

fn describe_version() -> String {
    let counts = crate::dictionary::Dictionary::builtin().counts();
    format!(
        "{}\nTLS: rustls with aws-lc-rs\ndictionaries: {} attributes, {} values, {} vendors",
        env!("CARGO_PKG_VERSION"),
        counts.attributes,
        counts.values,
        counts.vendors
    )
}
