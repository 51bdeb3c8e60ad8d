//! Arguments that several commands share.
//!
//! Owns their shapes; what they mean is each command's business.

use std::path::PathBuf;

/// The configuration file of a command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgument {
    /// The configuration [default: ./radmit.toml, then /etc/radmit/radmit.toml]
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
}
