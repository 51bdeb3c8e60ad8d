//! Placeholder until the engine's client is here.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
