//! Repeatable chance: numbers and permutations that follow from a seed alone.
//!
//! Owns nothing that is secret: whoever knows the seed knows every number. Real keys come from the TLS library.

/// A stream of numbers from a seed (SplitMix64).
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// `count` hexadecimal digits.
    pub(super) fn hex(&mut self, count: usize) -> String {
        let mut digits = String::with_capacity(count + 16);
        while digits.len() < count {
            digits.push_str(&format!("{:016x}", self.next()));
        }
        digits.truncate(count);
        digits
    }
}

/// Spreads the bits of `number` over all 64.
pub(super) const fn mixed(number: u64) -> u64 {
    let a = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

/// A one-to-one scrambling of the numbers of so many bits, so that a million ids can be found again without a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permutation {
    bits: u32,
    key: u64,
}

impl Permutation {
    /// `bits`: an even number up to 62.
    pub(super) const fn new(bits: u32, key: u64) -> Self {
        Self { bits, key: mixed(key) }
    }

    const fn mask(self) -> u64 {
        (1 << self.bits) - 1
    }

    const fn fold(self, number: u64) -> u64 {
        // Shifting by half of the bits is its own inverse.
        number ^ (number >> (self.bits / 2))
    }

    pub(super) const fn apply(self, number: u64) -> u64 {
        let keyed = (number ^ self.key) & self.mask();
        let once = keyed.wrapping_mul(ODD) & self.mask();
        self.fold(once).wrapping_mul(ODD) & self.mask()
    }

    pub(super) const fn invert(self, scrambled: u64) -> u64 {
        let once = self.fold(scrambled.wrapping_mul(ODD_INVERSE) & self.mask());
        let keyed = once.wrapping_mul(ODD_INVERSE) & self.mask();
        (keyed ^ self.key) & self.mask()
    }
}

const ODD: u64 = 0xd6e8_feb8_6659_fd93;
const ODD_INVERSE: u64 = inverse(ODD);

/// The number that multiplied with the odd `number` gives 1 (Newton's iteration doubles the right bits each time).
const fn inverse(number: u64) -> u64 {
    let mut guess = number;
    let mut round = 0;
    while round < 6 {
        guess = guess.wrapping_mul(2u64.wrapping_sub(number.wrapping_mul(guess)));
        round += 1;
    }
    guess
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_is_undone_by_its_inverse() {
        for bits in [24, 48] {
            let permutation = Permutation::new(bits, 7);
            for number in (0..1 << 20).step_by(997).chain([(1 << bits) - 1]) {
                let scrambled = permutation.apply(number);
                assert!(scrambled < 1 << bits);
                assert_eq!(permutation.invert(scrambled), number);
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_digits() {
        assert_eq!(Chance::new(3).hex(20), Chance::new(3).hex(20));
        assert_ne!(Chance::new(3).hex(20), Chance::new(4).hex(20));
        assert_eq!(Chance::new(3).hex(20).len(), 20);
    }
}
