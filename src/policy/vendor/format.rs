//! The form of a number in a template: `{sgt:04x}` is hexadecimal with at least four digits.
//!
//! Owns this one notation.

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberFormat {
    digits: usize,
    hexadecimal: bool,
}

impl NumberFormat {
    /// Reads `04x` or `03`: the digits at least, and `x` for hexadecimal.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, hexadecimal) = text.strip_suffix('x').map_or((text, false), |digits| (digits, true));
        let digits = if digits.is_empty() { 0 } else { digits.parse().ok().filter(|digits| *digits <= 16)? };
        Some(Self { digits, hexadecimal })
    }

    /// Writes the number.
    #[must_use]
    pub fn write(self, number: u32) -> String {
        let digits = self.digits;
        if self.hexadecimal { format!("{number:0digits$x}") } else { format!("{number:0digits$}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_fills_up_with_zeros() {
        let write = |format, number| NumberFormat::parse(format).map(|format| format.write(number));
        assert_eq!(write("04x", 16).as_deref(), Some("0010"));
        assert_eq!(write("03x", 4094).as_deref(), Some("ffe"));
        assert_eq!(write("5", 42).as_deref(), Some("00042"));
        assert_eq!(write("x", 255).as_deref(), Some("ff"));
        for wrong in ["4X", "d", "99", "-1", "0 4"] {
            assert_eq!(write(wrong, 1), None, "{wrong}");
        }
    }
}
