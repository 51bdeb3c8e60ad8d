//! Sets of values that a fact is looked up in: literals, lists, networks, MAC prefixes.
//!
//! Owns membership in constant time, whatever the size of the set. What the values mean for a rule is an operator's
//! matter.

use std::net::IpAddr;

use hashbrown::{Equivalent, HashSet};

use super::{
    mac::{self, MacPrefix},
    reading::Reading,
};

type Hasher = foldhash::fast::RandomState;

/// A value in the form in which equal values are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Anything that counts.
    Number(i128),
    /// Anything that is octets: text, MAC and IP addresses, device ids.
    Octets(Box<[u8]>),
}

/// A [`Key`] that borrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRef<'a> {
    /// See [`Key::Number`].
    Number(i128),
    /// See [`Key::Octets`].
    Octets(&'a [u8]),
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.borrow()
    }
}

impl Key {
    /// The same, borrowed.
    #[must_use]
    pub const fn borrow(&self) -> KeyRef<'_> {
        match self {
            Self::Number(number) => KeyRef::Number(*number),
            Self::Octets(octets) => KeyRef::Octets(octets),
        }
    }

    /// The key of a text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Octets(text.as_bytes().into())
    }

    /// The key of an address.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self::Octets(match address.to_canonical() {
            IpAddr::V4(address) => address.octets().into(),
            IpAddr::V6(address) => address.octets().into(),
        })
    }

    /// The key of a network.
    #[must_use]
    pub fn network(network: Cidr) -> Self {
        let Self::Octets(address) = Self::address(network.address) else { return Self::Number(0) };
        let mut octets = address.into_vec();
        octets.push(network.length);
        Self::Octets(octets.into())
    }
}

/// Calls `look` with the key of a reading; `None` if it has none.
pub fn with_key<T>(reading: Reading<'_>, look: impl FnOnce(KeyRef<'_>) -> T) -> Option<T> {
    Some(match reading {
        Reading::Number(number) => look(KeyRef::Number(number)),
        Reading::Text(text) => look(KeyRef::Octets(text)),
        Reading::Mac(octets) => look(KeyRef::Octets(&octets)),
        Reading::Guid(octets) => look(KeyRef::Octets(&octets)),
        Reading::Address(IpAddr::V4(address)) => look(KeyRef::Octets(&address.octets())),
        Reading::Address(IpAddr::V6(address)) => look(KeyRef::Octets(&address.octets())),
        Reading::Network(IpAddr::V4(address), length) => {
            let [a, b, c, d] = address.octets();
            look(KeyRef::Octets(&[a, b, c, d, length]))
        }
        Reading::Network(IpAddr::V6(address), length) => {
            let mut octets = [0; 17];
            if let Some((last, front)) = octets.split_last_mut() {
                front.copy_from_slice(&address.octets());
                *last = length;
            }
            look(KeyRef::Octets(&octets))
        }
        Reading::Opaque => return None,
    })
}

/// A network in CIDR notation; a single address is one, too. The bits behind the length are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The first address.
    pub address: IpAddr,
    /// The length of the prefix.
    pub length: u8,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, `10.1.2.3`. The second value tells whether bits behind the length were set.
    #[must_use]
    pub fn parse(text: &str) -> Option<(Self, bool)> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let width = width_of(address);
        let length = match length {
            None => width,
            Some(length) if length.bytes().all(|octet| octet.is_ascii_digit()) => length.parse().ok()?,
            Some(_) => return None,
        };
        if length > width {
            return None;
        }
        let bits = bits_of(address);
        let kept = masked(bits, width, length);
        let address = match address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(kept).ok()?.into()),
            IpAddr::V6(_) => IpAddr::V6(kept.into()),
        };
        Some((Self { address, length }, kept != bits))
    }
}

fn width_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The first `length` of `width` bits; the others zero.
fn masked(bits: u128, width: u8, length: u8) -> u128 {
    let dropped = u32::from(width - length.min(width));
    if dropped >= 128 { 0 } else { bits >> dropped << dropped }
}

/// Blocks of consecutive numbers that share their first bits: one hash lookup for each length that occurs.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    width: u8,
    lengths: Vec<u8>,
    // Bound: `limits::LIST_ENTRIES_MAX`.
    blocks: HashSet<(u8, u128), Hasher>,
}

impl Blocks {
    fn new(width: u8) -> Self {
        Self { width, ..Self::default() }
    }

    fn iter(&self) -> impl Iterator<Item = Block> {
        self.blocks.iter().map(|(length, bits)| Block { width: self.width, length: *length, bits: *bits })
    }

    fn insert(&mut self, bits: u128, length: u8) {
        if !self.lengths.contains(&length) {
            self.lengths.push(length);
        }
        self.blocks.insert((length, masked(bits, self.width, length)));
    }

    fn contains(&self, bits: u128) -> bool {
        self.lengths.iter().any(|length| self.blocks.contains(&(*length, masked(bits, self.width, *length))))
    }
}

/// One block: all numbers of `width` bits that share their first `length` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block {
    /// 48 for MAC addresses, 32 and 128 for IP addresses.
    pub width: u8,
    /// How many bits they share.
    pub length: u8,
    /// Those bits; the others are zero.
    pub bits: u128,
}

impl Block {
    /// The block of that shape in which the value lies, if the value has that many bits.
    #[must_use]
    pub fn around(reading: Reading<'_>, width: u8, length: u8) -> Option<Self> {
        let (own_width, bits) = match reading {
            Reading::Mac(octets) => (48, mac::bits_of(octets).into()),
            Reading::Address(address) => (width_of(address.to_canonical()), bits_of(address.to_canonical())),
            _ => return None,
        };
        (own_width == width).then(|| Self { width, length, bits: masked(bits, width, length) })
    }
}

/// A set of values of one kind.
#[derive(Clone, Debug)]
pub struct Members {
    // Bound: `limits::LIST_ENTRIES_MAX`.
    keys: HashSet<Key, Hasher>,
    /// The only key of sets of one, which most are: comparing is cheaper than hashing.
    single: Option<Key>,
    macs: Blocks,
    networks_v4: Blocks,
    networks_v6: Blocks,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            keys: HashSet::default(),
            single: None,
            macs: Blocks::new(48),
            networks_v4: Blocks::new(32),
            networks_v6: Blocks::new(128),
        }
    }
}

impl Members {
    /// Adds one value.
    pub fn insert(&mut self, key: Key) {
        self.keys.insert(key);
        self.single = if self.keys.len() == 1 { self.keys.iter().next().cloned() } else { None };
    }

    /// Adds all addresses that begin so.
    pub fn insert_mac(&mut self, prefix: MacPrefix) {
        match prefix.as_whole() {
            Some(octets) => self.insert(Key::Octets(octets.into())),
            None => self.macs.insert(prefix.bits().into(), prefix.bit_count()),
        }
    }

    /// Adds all addresses of a network.
    pub fn insert_network(&mut self, network: Cidr) {
        let blocks = if network.address.is_ipv4() { &mut self.networks_v4 } else { &mut self.networks_v6 };
        blocks.insert(bits_of(network.address), network.length);
    }

    /// The single values; `None` if there are also blocks, which can't be listed.
    #[must_use]
    pub fn as_keys(&self) -> Option<&HashSet<Key, Hasher>> {
        let blocks = [&self.macs, &self.networks_v4, &self.networks_v6];
        blocks.iter().all(|blocks| blocks.lengths.is_empty()).then_some(&self.keys)
    }

    /// The single values, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// The blocks, in no order.
    pub fn blocks(&self) -> impl Iterator<Item = Block> {
        [&self.macs, &self.networks_v4, &self.networks_v6].into_iter().flat_map(Blocks::iter)
    }

    /// How many values and blocks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
            + [&self.macs, &self.networks_v4, &self.networks_v6].map(|blocks| blocks.blocks.len()).iter().sum::<usize>()
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the value is in the set.
    #[must_use]
    pub fn contains(&self, reading: Reading<'_>) -> bool {
        with_key(reading, |key| self.contains_key(key)).unwrap_or(false)
            || match reading {
                Reading::Mac(octets) => self.macs.contains(mac::bits_of(octets).into()),
                Reading::Address(address) => self.contains_block(address),
                _ => false,
            }
    }

    /// Whether the MAC address that the text spells is in the set; `None` if it spells none.
    #[must_use]
    pub fn contains_mac(&self, reading: Reading<'_>) -> Option<bool> {
        match reading {
            Reading::Mac(_) => Some(self.contains(reading)),
            Reading::Text(text) => Some(self.contains(Reading::Mac(mac::parse(text)?))),
            _ => None,
        }
    }

    fn contains_key(&self, key: KeyRef<'_>) -> bool {
        match &self.single {
            Some(single) => key.equivalent(single),
            None => !self.keys.is_empty() && self.keys.contains(&key),
        }
    }

    fn contains_block(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(_) => self.networks_v4.contains(bits_of(address.to_canonical())),
            IpAddr::V6(_) => self.networks_v6.contains(bits_of(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_are_read_and_loose_bits_are_told() {
        let (network, loose) = Cidr::parse("10.9.8.7/8").expect("a network");
        assert_eq!((network.address.to_string().as_str(), network.length, loose), ("10.0.0.0", 8, true));
        assert_eq!(Cidr::parse("2001:db8::1").map(|(network, loose)| (network.length, loose)), Some((128, false)));
        assert_eq!(Cidr::parse("0.0.0.0/0").map(|(network, _)| network.length), Some(0));
        for wrong in ["10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/+8", "x", "10.0.0.0/"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_mac_is_in_a_list_as_itself_or_by_its_first_digits() {
        let mut members = Members::default();
        for entry in ["A4-C3-F0-66-66-66", "02:00:5E"] {
            members.insert_mac(MacPrefix::parse(entry.as_bytes()).expect("a prefix"));
        }
        assert!(members.contains(Reading::Mac([0xA4, 0xC3, 0xF0, 0x66, 0x66, 0x66])));
        assert!(members.contains(Reading::Mac([0x02, 0x00, 0x5E, 1, 2, 3])));
        assert!(!members.contains(Reading::Mac([0x02, 0x00, 0x5F, 1, 2, 3])));
        assert_eq!(members.contains_mac(Reading::Text(b"a4c3.f066.6666")), Some(true));
        assert_eq!(members.contains_mac(Reading::Text(b"printer")), None);
    }

    proptest! {
        #[test]
        fn an_address_is_in_a_network_exactly_if_its_first_bits_are(
            address in any::<u128>(), network in any::<u128>(), length in 0u8..=128,
        ) {
            let mut members = Members::default();
            let text = format!("{}/{length}", std::net::Ipv6Addr::from(network));
            members.insert_network(Cidr::parse(&text).expect("a network").0);
            let expected = length == 0 || (address ^ network) >> (128 - u32::from(length)) == 0;
            let reading = Reading::Address(IpAddr::V6(address.into()));
            // A mapped address is an IPv4 address and in no IPv6 network.
            prop_assume!(std::net::Ipv6Addr::from(address).to_ipv4_mapped().is_none());
            prop_assert_eq!(members.contains(reading), expected);
        }
    }
}
