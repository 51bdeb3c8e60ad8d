//! What an operator says about the pages for monitoring.
//!
//! Owns the values; reading them from a file is the work of `config`.

use std::net::SocketAddr;

/// Where the pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address; none: nowhere. Port 0 takes a free one.
    pub listen: Option<SocketAddr>,
}
