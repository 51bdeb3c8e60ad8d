//! Numbers, addresses and octets as digits, by tables: `Display` takes several times as long, and lines are full of them.
//!
//! Owns how they are spelt. Which of them stand in a line is said by `line` and `attributes`.

use std::net::Ipv4Addr;

/// Every octet as two hexadecimal digits.
pub(super) type HexTable = [[u8; 2]; 256];

/// In lower case.
pub(super) static LOWER: HexTable = hex_table(b"0123456789abcdef");
/// In upper case.
pub(super) static UPPER: HexTable = hex_table(b"0123456789ABCDEF");

/// 00 to 99.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let (mut at, mut pair) = (0, *b"00");
    while at < pairs.len() {
        pairs[at] = pair;
        pair = if pair[1] == b'9' { [pair[0] + 1, b'0'] } else { [pair[0], pair[1] + 1] };
        at += 1;
    }
    pairs
};

/// Every octet in decimal digits with a dot behind, and how long that is.
static DOTTED: [([u8; 4], usize); 256] = {
    let mut all = [([b'.'; 4], 2); 256];
    let (mut at, mut digits) = (0, *b"000");
    while at < all.len() {
        let [hundreds, tens, ones] = digits;
        all[at] = match at {
            0..10 => ([ones, b'.', 0, 0], 2),
            10..100 => ([tens, ones, b'.', 0], 3),
            _ => ([hundreds, tens, ones, b'.'], 4),
        };
        digits = match digits {
            [hundreds, b'9', b'9'] => [hundreds + 1, b'0', b'0'],
            [hundreds, tens, b'9'] => [hundreds, tens + 1, b'0'],
            [hundreds, tens, ones] => [hundreds, tens, ones + 1],
        };
        at += 1;
    }
    all
};

const fn hex_table(digits: &[u8; 16]) -> HexTable {
    let mut table = [[0; 2]; 256];
    let mut at = 0;
    while at < table.len() {
        table[at] = [digits[at >> 4], digits[at & 0x0f]];
        at += 1;
    }
    table
}

/// A number in decimal digits, with a comma behind.
pub(super) struct Decimal {
    octets: [u8; DIGITS_MAX + 1],
    from: usize,
}

/// Digits of the greatest number.
const DIGITS_MAX: usize = 20;

impl Decimal {
    pub(super) fn of(number: u64) -> Self {
        let mut octets = [b','; DIGITS_MAX + 1];
        let (mut rest, mut from) = (number, DIGITS_MAX);
        while rest >= 100 {
            from -= 2;
            put(&mut octets, from, &pair(rest % 100));
            rest /= 100;
        }
        let [tens, ones] = pair(rest);
        if rest >= 10 {
            from -= 2;
            put(&mut octets, from, &[tens, ones]);
        } else {
            from -= 1;
            put(&mut octets, from, &[ones]);
        }
        Self { octets, from }
    }

    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(self.from..DIGITS_MAX).unwrap_or_default()
    }

    pub(super) fn with_comma(&self) -> &[u8] {
        self.octets.get(self.from..).unwrap_or_default()
    }
}

/// An IPv4 address. Its dots are of the table, so it ends before the last of them.
pub(super) struct Dotted {
    octets: [u8; 16],
    length: usize,
}

impl Dotted {
    pub(super) fn of(address: Ipv4Addr) -> Self {
        let (mut octets, mut length) = ([0; 16], 0);
        for octet in address.octets() {
            let (digits, count) = DOTTED[usize::from(octet)];
            put(&mut octets, length, &digits);
            length += count;
        }
        Self { octets, length: length - 1 }
    }

    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

/// A number below a million in six digits.
pub(super) fn six(number: u64) -> [u8; 6] {
    let [[a, b], [c, d], [e, f]] = [number / 10_000, number / 100 % 100, number % 100].map(pair);
    [a, b, c, d, e, f]
}

/// Octets in hexadecimal digits, each at its place; between them there are hyphens.
// Always inlined: the places are known when it is compiled.
#[inline(always)]
pub(super) fn hyphenated<const OCTETS: usize, const TEXT: usize>(
    octets: [u8; OCTETS],
    digits: &HexTable,
    places: [usize; OCTETS],
) -> [u8; TEXT] {
    let mut text = [b'-'; TEXT];
    for (octet, place) in octets.into_iter().zip(places) {
        put(&mut text, place, &digits[usize::from(octet)]);
    }
    text
}

fn pair(number: u64) -> [u8; 2] {
    let at = usize::try_from(number).unwrap_or(usize::MAX);
    PAIRS.get(at).copied().unwrap_or(*b"??")
}

/// Puts `what` at `at`; nothing if it has no room there.
#[inline]
fn put(octets: &mut [u8], at: usize, what: &[u8]) {
    if let Some(place) = octets.get_mut(at..at + what.len()) {
        place.copy_from_slice(what);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(number: u64) -> String {
        String::from_utf8(Decimal::of(number).octets().to_vec()).expect("digits are text")
    }

    #[test]
    fn numbers_of_every_length_are_spelt_as_display_spells_them() {
        for exponent in 0..20 {
            let power = 10u64.pow(exponent);
            for number in [power - 1, power, power + 1] {
                assert_eq!(decimal(number), number.to_string());
            }
        }
        assert_eq!(decimal(u64::MAX), u64::MAX.to_string());
        assert_eq!(Decimal::of(70).with_comma(), b"70,");
    }

    #[test]
    fn every_octet_has_its_digits() {
        for octet in 0..=u8::MAX {
            let address = Ipv4Addr::new(octet, 0, 10, octet);
            assert_eq!(Dotted::of(address).octets(), address.to_string().as_bytes());
            assert_eq!(LOWER[usize::from(octet)], *format!("{octet:02x}").as_bytes());
            assert_eq!(UPPER[usize::from(octet)], *format!("{octet:02X}").as_bytes());
        }
    }

    proptest! {
        #[test]
        fn digits_are_those_of_display(number: u64, address: [u8; 4], below in 0u64..1_000_000) {
            prop_assert_eq!(decimal(number), number.to_string());
            let address = Ipv4Addr::from(address);
            let [dotted, display] = [Dotted::of(address).octets().to_vec(), address.to_string().into_bytes()];
            prop_assert_eq!(dotted, display);
            prop_assert_eq!(six(below).to_vec(), format!("{below:06}").into_bytes());
        }
    }
}
