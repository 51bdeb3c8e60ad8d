//! What an operator says about sockets: [`Settings`].
//!
//! Owns the values and their defaults. Reading them from a file is the work of `config`.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
};

use crate::limits;

/// Where to listen, and with how many shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Addresses for authentication (`auth-listen`). Port 0 takes a free one.
    pub auth_listen: Vec<SocketAddr>,
    /// Addresses for accounting (`acct-listen`).
    pub acct_listen: Vec<SocketAddr>,
    /// Threads, each with a socket of its own for every address. 0: one for each core.
    pub shards: usize,
    /// Receive buffer that each socket asks for, in octets. The kernel may grant less.
    pub receive_octets: usize,
    /// Whether replies of one length to one peer are handed to the kernel as one piece (`udp-segmentation`).
    pub segmentation: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let wildcards = |port| {
            vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))]
        };
        Self {
            auth_listen: wildcards(1812),
            acct_listen: wildcards(1813),
            shards: 0,
            receive_octets: limits::SOCKET_RECEIVE_OCTETS,
            segmentation: true,
        }
    }
}

impl Settings {
    /// How many shards these settings mean on this machine.
    ///
    /// Only Linux lets sockets share a port in a way that keeps the retransmissions of a request together; elsewhere it
    /// is always one.
    #[must_use]
    pub fn shards(&self) -> usize {
        if !cfg!(target_os = "linux") {
            return 1;
        }
        match self.shards {
            0 => thread::available_parallelism().map_or(1, usize::from).min(limits::SHARDS_MAX),
            shards => shards,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_shards_means_one_for_each_core() {
        assert!(Settings::default().shards() >= 1);
        if cfg!(target_os = "linux") {
            assert_eq!(Settings { shards: 3, ..Settings::default() }.shards(), 3);
        }
    }
}
