//! The keys of EAP-TLS, derived a second time from the secrets that a TLS client can log.
//!
//! Owns a PRF (RFC 5246 section 5) and an exporter (RFC 8446 section 7.5) of its own, so that the product's keys are held
//! against something other than rustls's exporter.

use aws_lc_rs::{
    digest,
    hmac::{self, HMAC_SHA256, HMAC_SHA384, Key},
};

/// The hash of a cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    fn sign(self, key: &[u8], data: &[&[u8]]) -> Vec<u8> {
        let algorithm = if self == Self::Sha256 { HMAC_SHA256 } else { HMAC_SHA384 };
        hmac::sign(&Key::new(algorithm, key), &data.concat()).as_ref().to_vec()
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        let algorithm = if self == Self::Sha256 { &digest::SHA256 } else { &digest::SHA384 };
        digest::digest(algorithm, data).as_ref().to_vec()
    }
}

/// The PRF of TLS 1.2. A `context` is put behind the seed as RFC 5705 section 4 says, with its length.
pub(crate) fn tls12(
    hash: Hash,
    master: &[u8],
    label: &str,
    randoms: &[u8],
    context: Option<&[u8]>,
    size: usize,
) -> Vec<u8> {
    let context = context.map(|context| [&u16::try_from(context.len()).unwrap().to_be_bytes()[..], context].concat());
    let seed = [label.as_bytes(), randoms, &context.unwrap_or_default()].concat();
    let (mut a, mut out) = (seed.clone(), Vec::new());
    while out.len() < size {
        a = hash.sign(master, &[&a]);
        out.extend(hash.sign(master, &[&a, &seed]));
    }
    out.truncate(size);
    out
}

/// The exporter of TLS 1.3.
pub(crate) fn tls13(hash: Hash, exporter_secret: &[u8], label: &str, context: &[u8], size: usize) -> Vec<u8> {
    let empty = hash.digest(&[]);
    let derived = expand_label(hash, exporter_secret, label, &empty, empty.len());
    expand_label(hash, &derived, "exporter", &hash.digest(context), size)
}

fn expand_label(hash: Hash, secret: &[u8], label: &str, context: &[u8], size: usize) -> Vec<u8> {
    let label = [b"tls13 ", label.as_bytes()].concat();
    let mut info = u16::try_from(size).unwrap().to_be_bytes().to_vec();
    for part in [&label[..], context] {
        info.push(u8::try_from(part.len()).unwrap());
        info.extend_from_slice(part);
    }
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for number in 1u8.. {
        block = hash.sign(secret, &[&block, &info, &[number]]);
        out.extend_from_slice(&block);
        if out.len() >= size {
            break;
        }
    }
    out.truncate(size);
    out
}
