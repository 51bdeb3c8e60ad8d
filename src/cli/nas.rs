//! What commands share that ask a server as a NAS does: its address, and the secret.
//!
//! Owns how both are written on a command line. What is asked is each command's business.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    path::Path,
};

use crate::radius::secret::Secret;

/// The address of a server: an address or a name, with its port if it is not 1812.
pub(super) fn resolve(text: &str) -> Result<SocketAddr, String> {
    let with_port = if text.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) {
        format!("[{text}]:1812")
    } else if text.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok()) && text.contains(':') {
        text.to_owned()
    } else {
        format!("{text}:1812")
    };
    with_port
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| format!("\"{text}\" is no address; write --server 192.0.2.1 or --server radius.example:1812"))
}

/// The secret in a file; one line break at its end doesn't belong to it.
pub(super) fn read_secret(file: &Path) -> Result<Secret, String> {
    let mut octets = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if octets.last() == Some(&b'\n') {
        octets.pop();
        if octets.last() == Some(&b'\r') {
            octets.pop();
        }
    }
    Secret::new(octets).map_err(|_| format!("{}: the secret is empty", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_1812_unless_it_is_given() {
        for (text, address) in [
            ("127.0.0.1", "127.0.0.1:1812"),
            ("127.0.0.1:99", "127.0.0.1:99"),
            ("::1", "[::1]:1812"),
            ("[::1]", "[::1]:1812"),
            ("[::1]:99", "[::1]:99"),
        ] {
            assert_eq!(resolve(text).map(|address| address.to_string()).as_deref(), Ok(address), "{text}");
        }
        assert!(resolve("no such name").is_err_and(|message| message.contains("is no address")));
    }
}
