//! Random numbers for jitter and request ids.
//!
//! Owns nothing but the call to the system's generator.

use crate::device::identifier::Guid;

/// Any number.
pub(super) fn roll() -> u32 {
    u32::from_ne_bytes(octets())
}

/// A random GUID (version 4).
pub(super) fn guid() -> Guid {
    let mut octets: [u8; 16] = octets();
    octets[6] = octets[6] & 0x0f | 0x40;
    octets[8] = octets[8] & 0x3f | 0x80;
    Guid::new(octets)
}

fn octets<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    // Without entropy there is no TLS either; constant jitter and ids are the least of the troubles then.
    let _ = aws_lc_rs::rand::fill(&mut octets);
    octets
}
