//! The command `radmit`: arguments in, exit code out.

use std::process::ExitCode;

/// Of the program only: whoever uses the library brings an allocator of his own, as the tests do that count.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    radmit::cli::run()
}
