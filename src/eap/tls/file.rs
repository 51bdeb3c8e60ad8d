//! A file of certificates, keys or revocation lists, as it was read.
//!
//! Owns the two forms in which they come, PEM and DER. What stands in them is not looked at.

use std::fmt;

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use zeroize::Zeroizing;

use crate::problem::Place;

/// A file and where the configuration names it. The octets are wiped afterwards and never printed.
#[derive(Clone)]
pub struct File {
    /// Its path as the operator wrote it.
    pub name: Box<str>,
    /// Where the configuration names it.
    pub place: Option<Place>,
    /// What is in it.
    pub octets: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({})", self.name)
    }
}

/// All sections of a kind, and whether the PEM is broken somewhere. What begins as DER is taken whole.
pub(super) fn sections(octets: &[u8], kind: SectionKind) -> (Vec<Vec<u8>>, bool) {
    if octets.first() == Some(&0x30) {
        return (vec![octets.to_vec()], false);
    }
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(octets) {
        match section {
            Ok((is, der)) if is == kind => found.push(der),
            Ok(_) => {}
            Err(_) => return (found, true),
        }
    }
    (found, false)
}
