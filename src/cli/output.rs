//! Printing: the only place that writes to standard output and standard error.
//!
//! Owns nothing but that. A closed pipe is no failure: `radmit … | head` ends quietly.

use std::io::Write as _;

use crate::problem::{Problems, Severity};

/// Prints a line on standard output.
pub fn line(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.as_ref());
}

/// Prints a line on standard output that whoever asked for it relies on.
///
/// # Errors
/// What the system says, but for a closed pipe.
pub fn report(text: impl AsRef<str>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a line on standard error.
pub fn complain(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}

/// Prints problems on standard error, in the order of files and lines; hints only if they are wanted.
pub fn problems(problems: &Problems, with_hints: bool) {
    for problem in problems.sorted() {
        if with_hints || problem.severity != Severity::Hint {
            complain(problem.to_string());
        }
    }
    if problems.left_out() > 0 {
        complain(format!("and {} more problems", problems.left_out()));
    }
}
