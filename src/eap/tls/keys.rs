//! What a finished handshake gives to the network: the keys between device and client, and the session's id.
//!
//! Owns the derivation. Hiding the keys in a reply is not its business.

use std::fmt;

use rustls::{ProtocolVersion, ServerConnection};
use zeroize::Zeroizing;

/// The EAP type in front of every session id.
const TYPE: u8 = 13;
/// MSK and EMSK.
const MATERIAL_OCTETS: usize = 128;

/// The master session key and the session's id. Neither is ever printed.
pub struct Keys {
    msk: Zeroizing<[u8; 64]>,
    session_id: Option<Box<[u8]>>,
}

impl Keys {
    /// `material`: what the exporter gave; its second half is the EMSK, which stays here and is dropped.
    #[must_use]
    pub fn from_material(material: &Zeroizing<[u8; MATERIAL_OCTETS]>, session_id: Option<Box<[u8]>>) -> Self {
        let mut msk = Zeroizing::new([0; 64]);
        for (to, from) in msk.iter_mut().zip(material.iter()) {
            *to = *from;
        }
        Self { msk, session_id }
    }

    /// From a finished handshake. `randoms`: both randoms of the hellos, which TLS 1.2 needs for the session's id.
    ///
    /// Source: RFC 5216 section 2.3 (TLS 1.2: an exporter without context), RFC 9190 section 2.3 (TLS 1.3).
    pub(super) fn export(connection: &ServerConnection, randoms: Option<[u8; 64]>) -> Option<Self> {
        let material = Zeroizing::new([0; MATERIAL_OCTETS]);
        if connection.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
            let context = Some(&[TYPE][..]);
            // All 128 octets are asked for: another length gives other octets.
            let material =
                connection.export_keying_material(material, b"EXPORTER_EAP_TLS_Key_Material", context).ok()?;
            let id = connection.export_keying_material([0; 64], b"EXPORTER_EAP_TLS_Method-Id", context).ok()?;
            return Some(Self::from_material(&material, Some(session_id(&id))));
        }
        let material = connection.export_keying_material(material, b"client EAP encryption", None).ok()?;
        Some(Self::from_material(&material, randoms.map(|randoms| session_id(&randoms))))
    }

    /// The key for what the device sends: MS-MPPE-Recv-Key, the first half of the MSK.
    #[must_use]
    pub fn receive_key(&self) -> &[u8] {
        self.msk.split_at(32).0
    }

    /// The key for what the device receives: MS-MPPE-Send-Key, the second half of the MSK.
    #[must_use]
    pub fn send_key(&self) -> &[u8] {
        self.msk.split_at(32).1
    }

    /// The EAP Session-Id, 65 octets: the value of EAP-Key-Name. `None` if the hellos could not be read.
    #[must_use]
    pub fn session_id(&self) -> Option<&[u8]> {
        self.session_id.as_deref()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(hidden)")
    }
}

fn session_id(method_id: &[u8; 64]) -> Box<[u8]> {
    let mut id = Vec::with_capacity(65);
    id.push(TYPE);
    id.extend_from_slice(method_id);
    id.into()
}

/// Reads the random out of the first hello of one side, which stands in the clear.
///
/// rustls keeps the randoms to itself; RFC 5216 needs both of them for the session's id.
#[derive(Debug, Default)]
pub(super) struct HelloRandom {
    // Type, length, version and random. Bound: 38 octets.
    handshake: Vec<u8>,
    given_up: bool,
}

impl HelloRandom {
    /// Octets of a hello up to the end of its random: type 1, length 3, version 2, random 32.
    const OCTETS: usize = 38;

    /// Looks at a flight. `kind`: 1 for the client's hello, 2 for the server's.
    pub(super) fn observe(&mut self, kind: u8, mut flight: &[u8]) {
        while self.handshake.len() < Self::OCTETS && !self.given_up && !flight.is_empty() {
            let [22, _, _, high, low, rest @ ..] = flight else {
                self.given_up = true;
                return;
            };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let record = rest.get(..length).unwrap_or(rest);
            let wanted = record.get(..Self::OCTETS - self.handshake.len()).unwrap_or(record);
            self.handshake.extend_from_slice(wanted);
            flight = rest.get(length..).unwrap_or_default();
        }
        self.given_up |= self.handshake.first().is_some_and(|first| *first != kind);
    }

    /// The random, once the hello was seen.
    pub(super) fn random(&self) -> Option<[u8; 32]> {
        if self.given_up { None } else { self.handshake.get(6..)?.try_into().ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(kind: u8) -> Vec<u8> {
        let mut message = vec![kind, 0, 0, 60, 3, 3];
        message.extend(1..=32);
        message.extend([0; 20]);
        message
    }

    fn record(octets: &[u8]) -> Vec<u8> {
        let mut record = vec![22, 3, 1];
        record.extend(u16::try_from(octets.len()).unwrap().to_be_bytes());
        record.extend_from_slice(octets);
        record
    }

    #[test]
    fn the_random_is_read_from_one_or_many_records() {
        let expected: [u8; 32] = std::array::from_fn(|at| u8::try_from(at + 1).unwrap());
        let hello = hello(1);
        for size in [1, 5, 37, 38, 58] {
            let flight: Vec<u8> = hello.chunks(size).flat_map(record).collect();
            let mut random = HelloRandom::default();
            random.observe(1, &flight);
            assert_eq!(random.random(), Some(expected), "records of {size}");
        }
    }

    #[test]
    fn what_is_no_hello_has_no_random() {
        for flight in [record(&hello(2)), vec![21, 3, 1, 0, 2, 2, 40], vec![22], record(&[1, 0, 0])] {
            let mut random = HelloRandom::default();
            random.observe(1, &flight);
            assert_eq!(random.random(), None);
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let keys = Keys::from_material(&Zeroizing::new([0xab; 128]), None);
        assert_eq!(format!("{keys:?}"), "Keys(hidden)");
    }
}
