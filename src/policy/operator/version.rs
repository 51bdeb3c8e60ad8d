//! Versions of operating systems: numbers with dots, compared number by number.
//!
//! Owns their reading and order. `10.0.22631` is above `10.0.9`, and `17` is the same as `17.0`.

use std::{cmp::Ordering, fmt};

/// Dotted numbers. More parts than `Version::PARTS` are not compared.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    parts: [u64; Self::PARTS],
    count: usize,
}

impl Version {
    const PARTS: usize = 6;

    /// Reads what a device reports: the dotted numbers at the start; what follows them, such as ` (23F79)`, is left out.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let mut version = Self { parts: [0; Self::PARTS], count: 0 };
        for part in text.split(|octet| *octet == b'.') {
            let digits = part.iter().take_while(|octet| octet.is_ascii_digit()).count();
            if digits == 0 {
                break;
            }
            let number = part
                .iter()
                .take(digits)
                .fold(0u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
            let Some(place) = version.parts.get_mut(version.count) else { break };
            *place = number;
            version.count += 1;
            if digits < part.len() {
                break;
            }
        }
        (version.count > 0).then_some(version)
    }

    /// Reads what a policy says: dotted numbers and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.split('.').all(|part| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit()));
        let few = text.split('.').count() <= Self::PARTS;
        if plain && few { Self::read(text.as_bytes()) } else { None }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.parts.iter().take(self.count).enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("dotted numbers")
    }

    #[test]
    fn versions_compare_number_by_number() {
        assert!(version("10.0.22631") > version("10.0.9"));
        assert!(version("17.0.1") > version("17"));
        assert_eq!(version("17"), version("17.0.0"));
    }

    #[test]
    fn what_follows_the_numbers_of_a_device_is_left_out() {
        assert_eq!(Version::read(b"14.5 (23F79)"), Some(version("14.5")));
        assert_eq!(Version::read(b"10.0.22631.3155"), Some(version("10.0.22631.3155")));
        assert_eq!(Version::read(b"unknown"), None);
        assert_eq!(Version::read(b""), None);
    }

    #[test]
    fn a_policy_writes_plain_dotted_numbers() {
        for wrong in ["", "17.", ".1", "17.x", "v17", "1.2.3.4.5.6.7", "10.0 "] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }
}
