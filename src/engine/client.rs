//! The clients (NASes) that may ask, found by the address they send from.
//!
//! Owns a client's settings as the packet path needs them and the longest-prefix search. Reading them from a file is
//! `config`'s business.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use hashbrown::HashMap;

use crate::{
    eap::tls::context::TlsOptions, metrics::engine::ClientCells, policy::decision::VendorIndex, radius::secret::Secret,
};

/// One client as the packet path needs it.
#[derive(Debug)]
pub struct Client {
    /// Its place in the configuration.
    pub index: u32,
    /// Its name.
    pub name: Box<str>,
    /// Its shared secret.
    pub secret: Secret,
    /// How attributes are written for it.
    pub vendor: VendorIndex,
    /// The name of that vendor.
    pub vendor_name: Box<str>,
    /// Its groups.
    pub groups: Box<[Box<str>]>,
    /// What is asked of its requests' Message-Authenticator.
    pub message_authenticator: MessageAuthenticatorMode,
    /// Whether it has authenticated devices itself and may ask for authorization only.
    pub trust_authorize_only: bool,
    /// Which password a MAC bypass must carry.
    pub mab_password: MabPassword,
    /// Which attribute names the MAC.
    pub mac_from: MacFrom,
    /// How its devices come with EAP.
    pub eap: EapOptions,
    /// When an answer must have left.
    pub decision_deadline: Duration,
    /// Its counters, one set for each shard.
    pub cells: Arc<[ClientCells]>,
}

impl Client {
    /// Reads what each request needs of it on this shard, so that it is in the processor's caches by then.
    pub(super) fn read_ahead(&self, shard: u16) {
        black_box((self.index, self.vendor, self.message_authenticator, self.mac_from, self.decision_deadline));
        black_box((self.name.as_bytes().first().copied(), self.groups.first().map(|group| group.len())));
        self.secret.read_ahead();
        if let Some(cells) = self.cells.get(usize::from(shard)) {
            cells.read_ahead();
        }
    }
}

/// What may differ in EAP from one group of clients to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EapOptions {
    /// The newest TLS version, and whether devices may sign with RSA-PSS.
    pub tls: TlsOptions,
    /// The longest EAP packet, in octets; Framed-MTU can make it shorter.
    pub fragment_size: usize,
    /// Whether MAC bypass may come as EAP-MD5.
    pub md5: bool,
}

impl Default for EapOptions {
    fn default() -> Self {
        Self { tls: TlsOptions::default(), fragment_size: 1_024, md5: false }
    }
}

/// What is asked of the Message-Authenticator of an Access-Request (CONTRACT 2.3, CVE-2024-3596).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageAuthenticatorMode {
    /// Requests without it are dropped.
    Require,
    /// Requests without it are taken and counted, until it is known that it can be required.
    Learn,
    /// Requests without it are taken.
    Optional,
}

/// Which password the request of a MAC bypass must carry.
#[derive(Debug)]
pub enum MabPassword {
    /// The MAC in any spelling, the User-Name itself, or nothing.
    Mac,
    /// Anything.
    Any,
    /// This one.
    Configured(zeroize::Zeroizing<Vec<u8>>),
}

/// Which attribute names the MAC of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacFrom {
    /// User-Name's MAC, else Calling-Station-Id's; two different ones are a mismatch.
    Either,
    /// User-Name's.
    UserName,
    /// Calling-Station-Id's.
    CallingStationId,
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or a bare address. Bits behind the prefix must be zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, Some(bits.parse::<u8>().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let widest = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
        let network = Self { address, bits: bits.unwrap_or(widest) };
        (network.bits <= widest && mask(address, network.bits) == address).then_some(network)
    }

    /// How many leading bits count.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// Whether it is an IPv4 network.
    #[must_use]
    pub const fn is_ipv4(self) -> bool {
        matches!(self.address, IpAddr::V4(_))
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4() && mask(address, self.bits) == self.address
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// All clients, by network.
///
/// One hash table for each prefix length in use, the longest first: the search costs as many probes as there are
/// different lengths, and does not grow with the number of clients. Bound: the configuration, at most
/// [`crate::limits::CLIENTS_MAX`] clients.
#[derive(Debug, Default)]
pub struct Clients {
    /// Bound: [`crate::limits::CLIENTS_MAX`].
    list: Vec<Arc<Client>>,
    // Bound: the networks of the configuration.
    v4: Vec<(u8, HashMap<IpAddr, u32, foldhash::fast::RandomState>)>,
    // Bound: the same.
    v6: Vec<(u8, HashMap<IpAddr, u32, foldhash::fast::RandomState>)>,
}

impl Clients {
    /// `clients` with their networks. Of two clients with the very same network the first is used; `config` reports it.
    #[must_use]
    pub fn new(clients: Vec<(Client, Vec<Network>)>) -> Self {
        let mut all = Self::default();
        for (client, networks) in clients {
            let index = client.index;
            for network in networks {
                let tables = if network.is_ipv4() { &mut all.v4 } else { &mut all.v6 };
                let at = tables.iter().position(|(bits, _)| *bits == network.bits).unwrap_or_else(|| {
                    tables.push((network.bits, HashMap::default()));
                    tables.len() - 1
                });
                if let Some((_, table)) = tables.get_mut(at) {
                    table.entry(network.address).or_insert(index);
                }
            }
            all.list.push(Arc::new(client));
        }
        all.list.sort_by_key(|client| client.index);
        all.v4.sort_by_key(|(bits, _)| std::cmp::Reverse(*bits));
        all.v6.sort_by_key(|(bits, _)| std::cmp::Reverse(*bits));
        all
    }

    /// The client that `address` belongs to: the longest prefix wins.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&Arc<Client>> {
        let address = address.to_canonical();
        let tables = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let index = tables.iter().find_map(|(bits, table)| table.get(&mask(address, *bits)))?;
        self.list.get(*index as usize)
    }

    /// All of them in the order of the configuration.
    #[must_use]
    pub fn list(&self) -> &[Arc<Client>] {
        &self.list
    }
}

/// `address` with all but its first `bits` bits zero.
fn mask(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let kept = u32::MAX.checked_shl(32u32.saturating_sub(u32::from(bits))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & kept))
        }
        IpAddr::V6(address) => {
            let kept = u128::MAX.checked_shl(128u32.saturating_sub(u32::from(bits))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & kept))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A client with the defaults of the configuration.
    pub(in crate::engine) fn client(index: u32, name: &str) -> Client {
        Client {
            index,
            name: name.into(),
            secret: Secret::new(b"testing123".to_vec()).unwrap(),
            vendor: VendorIndex(0),
            vendor_name: "generic".into(),
            groups: Box::default(),
            message_authenticator: MessageAuthenticatorMode::Require,
            trust_authorize_only: false,
            mab_password: MabPassword::Mac,
            mac_from: MacFrom::Either,
            eap: EapOptions::default(),
            decision_deadline: Duration::from_secs(2),
            cells: Arc::new([ClientCells::default()]),
        }
    }

    fn clients(networks: &[&str]) -> Clients {
        Clients::new(
            networks
                .iter()
                .enumerate()
                .map(|(at, network)| {
                    (client(u32::try_from(at).unwrap(), network), vec![Network::parse(network).unwrap()])
                })
                .collect(),
        )
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        let clients = clients(&["0.0.0.0/0", "10.20.0.0/16", "10.0.0.0/8", "10.20.30.40", "::/0", "2001:db8::/32"]);
        for (address, expected) in [
            ("10.20.30.40", "10.20.30.40"),
            ("10.20.30.41", "10.20.0.0/16"),
            ("10.21.0.1", "10.0.0.0/8"),
            ("192.0.2.1", "0.0.0.0/0"),
            ("2001:db8::1", "2001:db8::/32"),
            ("2001:db9::1", "::/0"),
            ("::ffff:10.20.30.40", "10.20.30.40"),
        ] {
            assert_eq!(&*clients.find(address.parse().unwrap()).unwrap().name, expected, "{address}");
        }
    }

    #[test]
    fn an_address_outside_of_all_networks_belongs_to_nobody() {
        let clients = clients(&["10.0.0.0/8"]);
        assert!(clients.find("11.0.0.1".parse().unwrap()).is_none());
        assert!(clients.find("::1".parse().unwrap()).is_none());
    }

    #[test]
    fn networks_are_read_strictly() {
        for wrong in ["10.0.0.0/33", "10.0.0.1/8", "10.0.0/8", "::1/129", "10.0.0.0/", "host", "2001:db8::1/32"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Network::parse("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
    }
}
