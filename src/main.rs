//! The command `radmit`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    radmit::cli::run()
}
