//! Octets that nobody can guess, as an argument: challenges, identifiers, tokens.
//!
//! Owns the way in which they are asked for. What TLS needs by itself comes from its own provider.

/// A source of octets.
pub trait Chance {
    /// Fills `octets`.
    fn fill(&mut self, octets: &mut [u8]);
}

/// The operating system's octets, by way of AWS-LC.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn fill(&mut self, octets: &mut [u8]) {
        aws_lc_rs::rand::fill(octets).expect("AWS-LC ends the process rather than going on without random octets");
    }
}

/// The same octets for the same seed. Only for tests and simulations: everybody can guess them.
#[derive(Clone, Debug)]
pub struct SeededChance(u64);

impl SeededChance {
    /// A stream.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Chance for SeededChance {
    fn fill(&mut self, octets: &mut [u8]) {
        for octet in octets {
            // SplitMix64, of which one octet is used.
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *octet = mixed.to_le_bytes()[3];
        }
    }
}
