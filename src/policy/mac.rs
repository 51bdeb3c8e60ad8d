//! MAC addresses as policies write them: whole, or only the first digits.
//!
//! Owns their spelling. Where a request's MAC comes from is the engine's business.

use std::fmt;

/// The first hexadecimal digits of MAC addresses; with twelve digits it names one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacPrefix {
    /// The digits, left-aligned in 48 bits.
    bits: u64,
    digits: u8,
}

impl MacPrefix {
    /// One whole address.
    #[must_use]
    pub fn whole(octets: [u8; 6]) -> Self {
        Self { bits: bits_of(octets), digits: 12 }
    }

    /// Reads up to twelve digits in any spelling: `A4-C3-F0-11-22-33`, `a4c3.f011.2233`, `02:00:5E`, `02005e1`.
    ///
    /// The separators `-`, `:` and `.` may stand between octets, one kind in one text, also one at the end
    /// (`02:00:5E:`).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > 17 {
            return None;
        }
        let mut bits = 0u64;
        let mut digits = 0u8;
        let mut separator = None;
        let mut after_separator = true;
        for &octet in text {
            if let Some(digit) = char::from(octet).to_digit(16) {
                if digits == 12 {
                    return None;
                }
                bits = bits << 4 | u64::from(digit);
                digits += 1;
                after_separator = false;
                continue;
            }
            let known = matches!(octet, b'-' | b':' | b'.') && *separator.get_or_insert(octet) == octet;
            if !known || after_separator || !digits.is_multiple_of(2) || digits == 12 {
                return None;
            }
            after_separator = true;
        }
        Some(Self { bits: bits << (4 * u32::from(12 - digits)), digits })
    }

    /// The address, if all twelve digits are there.
    #[must_use]
    pub fn as_whole(self) -> Option<[u8; 6]> {
        let [_, _, octets @ ..] = self.bits.to_be_bytes();
        (self.digits == 12).then_some(octets)
    }

    /// How many bits are given, 4 to 48.
    #[must_use]
    pub const fn bit_count(self) -> u8 {
        self.digits * 4
    }

    /// The given bits, left-aligned in the low 48 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.bits
    }
}

impl fmt::Display for MacPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for at in 0..self.digits {
            if at > 0 && at.is_multiple_of(2) {
                f.write_str("-")?;
            }
            write!(f, "{:X}", self.bits >> (4 * u32::from(11 - at)) & 0xF)?;
        }
        Ok(())
    }
}

/// The 48 bits of an address as a number.
#[must_use]
pub fn bits_of(octets: [u8; 6]) -> u64 {
    let [a, b, c, d, e, g] = octets;
    u64::from_be_bytes([0, 0, a, b, c, d, e, g])
}

/// Reads one whole address in any spelling.
#[must_use]
pub fn parse(text: &[u8]) -> Option<[u8; 6]> {
    MacPrefix::parse(text).filter(|_| text.last().is_some_and(u8::is_ascii_hexdigit)).and_then(MacPrefix::as_whole)
}

/// Whether the device made the address up ("locally administered"), as private Wi-Fi addresses are.
#[must_use]
pub const fn is_randomised(octets: [u8; 6]) -> bool {
    octets[0] & 0x02 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_names_the_same_address() {
        for spelling in ["A4-C3-F0-11-22-33", "a4c3f0112233", "a4:c3:f0:11:22:33", "a4c3.f011.2233", "A4C3F0-112233"] {
            assert_eq!(parse(spelling.as_bytes()), Some([0xA4, 0xC3, 0xF0, 0x11, 0x22, 0x33]), "{spelling}");
        }
    }

    #[test]
    fn a_prefix_may_end_anywhere_and_prints_as_it_would_be_written() {
        for (spelling, printed, bits) in
            [("02:00:5e", "02-00-5E", 24), ("02005E:", "02-00-5E", 24), ("a4c3f", "A4-C3-F", 20)]
        {
            let prefix = MacPrefix::parse(spelling.as_bytes()).expect("a prefix");
            assert_eq!((prefix.to_string().as_str(), prefix.bit_count()), (printed, bits));
            assert_eq!(prefix.as_whole(), None);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in ["", "-", "a4--c3", "a-4", "a4-c3:f0", "xx", "a4c3f01122334", "a4c3f0112233-", "a4 c3"] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(MacPrefix::parse(b"a4-c3:f0"), None);
    }
}
