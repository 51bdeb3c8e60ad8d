//! A request that nobody sent, made of a list of attributes: for cases and explanations.
//!
//! Owns only its octets. It is never signed and nothing in it is hidden, because it never leaves the program.

use crate::{
    dictionary::list::Pair,
    limits::{HEADER_OCTETS, PACKET_OCTETS_MAX},
    radius::{code::Code, error::Full},
};

/// The octets of an Access-Request with these attributes.
///
/// # Errors
/// [`Full`] if an attribute or all of them together don't fit.
pub fn datagram(pairs: &[Pair]) -> Result<Vec<u8>, Full> {
    let mut octets = vec![0; HEADER_OCTETS];
    for pair in pairs {
        pair.write(&mut octets)?;
    }
    if octets.len() > PACKET_OCTETS_MAX {
        return Err(Full::Packet);
    }
    let length = u16::try_from(octets.len()).map_err(|_| Full::Packet)?;
    if let Some(header) = octets.first_chunk_mut::<4>() {
        let [high, low] = length.to_be_bytes();
        *header = [Code::ACCESS_REQUEST.0, 0, high, low];
    }
    Ok(octets)
}
