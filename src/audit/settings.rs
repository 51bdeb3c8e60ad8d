//! What an operator says about the decision log.
//!
//! Owns the values; reading them from a file is the work of `config`.

use std::path::PathBuf;

/// Where the decision log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// A file, made with mode 0640 and reopened on HUP.
    File(PathBuf),
}
