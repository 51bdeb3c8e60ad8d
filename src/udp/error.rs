//! Why radmit can't listen: [`BindError`], with what to do about it, and [`StartError`]; what it listens without:
//! [`Shortcoming`].
//!
//! Owns the sentences. What happens to a single datagram is counted instead (`metrics::udp`).

use std::{error::Error, fmt, io, net::SocketAddr};

use crate::{engine::action::Port, limits};

/// Why the sockets can't be had.
#[derive(Debug)]
pub enum BindError {
    /// An address can't be listened on.
    Listen {
        /// The service it is for.
        port: Port,
        /// The address as the operator wrote it.
        address: SocketAddr,
        /// The rule that was broken.
        cause: ListenCause,
        /// What the system said.
        source: io::Error,
    },
    /// Two addresses of the settings take the same port of the same address.
    Overlap {
        /// The address that comes first.
        first: SocketAddr,
        /// The address that is covered by it, or covers it.
        second: SocketAddr,
    },
    /// More addresses than [`limits::LISTENERS_MAX`].
    TooManyListeners {
        /// How many there are.
        given: usize,
    },
    /// More shards than [`limits::SHARDS_MAX`].
    TooManyShards {
        /// How many were asked for.
        given: usize,
    },
    /// No pair of descriptors for waking a shard.
    Waker(io::Error),
}

/// Why one address can't be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenCause {
    /// Somebody else has it.
    InUse,
    /// The system doesn't let us.
    NotPermitted,
    /// No interface has this address.
    NotOurs,
    /// The kernel doesn't speak IPv6 (or IPv4).
    NoSuchFamily,
    /// Anything else; the source tells.
    Other,
}

impl ListenCause {
    /// The cause behind what the system said.
    #[must_use]
    pub fn of(source: &io::Error) -> Self {
        if source.raw_os_error() == Some(libc::EAFNOSUPPORT) {
            return Self::NoSuchFamily;
        }
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse,
            io::ErrorKind::PermissionDenied => Self::NotPermitted,
            io::ErrorKind::AddrNotAvailable => Self::NotOurs,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { port, address, cause, source } => {
                let key = listen_key(*port);
                write!(f, "can't listen on {address} ({key}): ")?;
                advise(f, *address, *cause, source, key)
            }
            Self::Overlap { first, second } => {
                write!(f, "the listen addresses {first} and {second} overlap; keep one of them")
            }
            Self::TooManyListeners { given } => {
                write!(f, "{given} listen addresses; at most {} are possible: use a wildcard", limits::LISTENERS_MAX)
            }
            Self::TooManyShards { given } => write!(f, "{given} shards; at most {} are possible", limits::SHARDS_MAX),
            Self::Waker(source) => write!(f, "no descriptors to wake a shard: {source}; raise the limit of open files"),
        }
    }
}

fn listen_key(port: Port) -> &'static str {
    match port {
        Port::Auth => "auth-listen",
        Port::Acct => "acct-listen",
    }
}

fn advise(
    f: &mut fmt::Formatter<'_>,
    address: SocketAddr,
    cause: ListenCause,
    source: &io::Error,
    key: &str,
) -> fmt::Result {
    let port = address.port();
    match cause {
        ListenCause::InUse => write!(
            f,
            "another program has this port; `ss -ulpn sport = :{port}` names it: stop it, or choose another {key}"
        ),
        ListenCause::NotPermitted if port < 1024 => {
            write!(f, "not permitted; a port below 1024 needs CAP_NET_BIND_SERVICE, or choose another {key}")
        }
        ListenCause::NotPermitted => {
            write!(f, "not permitted; look for a sandbox or a security module that forbids this port")
        }
        ListenCause::NotOurs => {
            write!(f, "no interface of this machine has this address; `ip address` lists them: choose another {key}")
        }
        ListenCause::NoSuchFamily => {
            let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
            write!(f, "this kernel has no {family}; remove the address from {key}")
        }
        ListenCause::Other => write!(f, "{source}"),
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::Waker(source) => Some(source),
            Self::Overlap { .. } | Self::TooManyListeners { .. } | Self::TooManyShards { .. } => None,
        }
    }
}

/// Why the shards can't run.
#[derive(Debug)]
pub enum StartError {
    /// Not one machine for each shard.
    Machines {
        /// How many machines were given.
        given: usize,
        /// How many shards there are.
        shards: usize,
    },
    /// The system gave no thread.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machines { given, shards } => write!(f, "{given} machines for {shards} shards"),
            Self::Thread(source) => write!(f, "no thread for a shard: {source}; raise the limit of processes"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Machines { .. } => None,
            Self::Thread(source) => Some(source),
        }
    }
}

/// What the kernel did not give. Everything works without, less well under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcoming {
    /// Receive buffers that overflow in a short rush.
    ReceiveBuffer {
        /// What each socket asked for, in octets.
        asked: usize,
        /// The smallest that was granted.
        granted: usize,
    },
    /// The Identifier does not choose the shard.
    Unsteered,
}

impl fmt::Display for Shortcoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReceiveBuffer { asked, granted } => write!(
                f,
                "the kernel gives sockets {} KiB to receive in instead of {}, so that a short rush is dropped; \
                 `sysctl net.core.rmem_max={asked}` allows more from the next start on, or give radmit CAP_NET_ADMIN",
                granted / 1024,
                asked / 1024
            ),
            Self::Unsteered => f.write_str(
                "the kernel can't spread requests over shards by their Identifier, so all of one NAS port go to one \
                 shard; Linux 4.5 and later can, unless a sandbox forbids SO_ATTACH_REUSEPORT_CBPF",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(cause: ListenCause, address: &str) -> String {
        BindError::Listen {
            port: Port::Auth,
            address: address.parse().unwrap(),
            cause,
            source: io::Error::from_raw_os_error(libc::EBUSY),
        }
        .to_string()
    }

    #[test]
    fn every_refusal_names_the_address_the_key_and_what_to_do() {
        assert_eq!(
            message(ListenCause::InUse, "0.0.0.0:1812"),
            "can't listen on 0.0.0.0:1812 (auth-listen): another program has this port; `ss -ulpn sport = :1812` names \
             it: stop it, or choose another auth-listen"
        );
        assert!(message(ListenCause::NotPermitted, "0.0.0.0:812").contains("CAP_NET_BIND_SERVICE"));
        assert!(message(ListenCause::NotPermitted, "0.0.0.0:1812").contains("security module"));
        assert!(message(ListenCause::NotOurs, "203.0.113.9:1812").contains("`ip address`"));
        assert!(message(ListenCause::NoSuchFamily, "[::]:1812").contains("no IPv6; remove the address"));
        assert!(message(ListenCause::Other, "[::]:1812").contains("busy"));
    }

    #[test]
    fn a_small_buffer_is_told_with_the_line_that_mends_it() {
        let told = Shortcoming::ReceiveBuffer { asked: 4_194_304, granted: 212_992 }.to_string();
        assert_eq!(
            told,
            "the kernel gives sockets 208 KiB to receive in instead of 4096, so that a short rush is dropped; \
             `sysctl net.core.rmem_max=4194304` allows more from the next start on, or give radmit CAP_NET_ADMIN"
        );
    }

    #[test]
    fn the_systems_words_become_causes() {
        for (errno, cause) in [
            (libc::EADDRINUSE, ListenCause::InUse),
            (libc::EACCES, ListenCause::NotPermitted),
            (libc::EPERM, ListenCause::NotPermitted),
            (libc::EADDRNOTAVAIL, ListenCause::NotOurs),
            (libc::EAFNOSUPPORT, ListenCause::NoSuchFamily),
            (libc::EMFILE, ListenCause::Other),
        ] {
            assert_eq!(ListenCause::of(&io::Error::from_raw_os_error(errno)), cause);
        }
    }
}
