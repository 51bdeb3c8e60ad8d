//! Short names for contents: the same for the same content, another for any other.
//!
//! Owns their form. They tell contents apart; they protect nothing.

use std::fmt::Write as _;

use aws_lc_rs::digest;

/// The first 8 hexadecimal digits of the SHA-256 of the lines, joined by line feeds.
#[must_use]
pub fn of_lines<'l>(lines: impl IntoIterator<Item = &'l str>) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for (index, line) in lines.into_iter().enumerate() {
        if index > 0 {
            hash.update(b"\n");
        }
        hash.update(line.as_bytes());
    }
    let mut text = String::new();
    for octet in hash.finish().as_ref().iter().take(4) {
        // A string takes everything.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_beginning_of_the_sha256_of_the_lines() {
        // printf 'permit udp any any eq 53\npermit ip any any' | sha256sum
        assert_eq!(of_lines(["permit udp any any eq 53", "permit ip any any"]), "6a0079e5");
        assert_ne!(of_lines(["permit udp any any eq 53"]), of_lines(["permit udp any any eq 53", ""]));
    }
}
