//! What an OCSP response says that is sent with our certificate: about which certificate, what, and until when.
//!
//! Owns the reading. Its signature is for devices to check; we only keep an operator from sending what is plainly wrong.

use x509_parser::{
    asn1_rs::Any,
    der_parser::{ber::Class, der::Tag},
    prelude::FromDer as _,
    time::ASN1Time,
};

use crate::limits;

/// What a response says about one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Single<'a> {
    /// The certificate's serial number, as its octets stand in DER.
    pub(super) serial: &'a [u8],
    /// What is said.
    pub(super) status: Status,
    /// From then on.
    pub(super) begins: ASN1Time,
    /// Until then, if an end is named.
    pub(super) ends: Option<ASN1Time>,
}

/// What is said about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It holds.
    Good,
    /// It was revoked.
    Revoked,
    /// The responder does not know it.
    Unknown,
}

/// Reads a response in DER, in the order of its answers; none if it can't be read or the responder could not answer.
///
/// Bound: [`limits::TLS_CERTIFICATES_MAX`] answers.
/// Source: RFC 6960 section 4.2.1.
pub(super) fn read(der: &[u8]) -> Vec<Single<'_>> {
    let Some(mut answers) = answers(der) else { return Vec::new() };
    std::iter::from_fn(|| single(next(&mut answers, SEQUENCE)?)).take(limits::TLS_CERTIFICATES_MAX).collect()
}

const SEQUENCE: (Class, Tag) = (Class::Universal, Tag::Sequence);

/// OCSPResponse, of its BasicOCSPResponse the ResponseData, and of that the answers.
fn answers(mut der: &[u8]) -> Option<&[u8]> {
    let mut response = next(&mut der, SEQUENCE)?;
    let status = next(&mut response, (Class::Universal, Tag::Enumerated))?;
    if status != [0] {
        return None;
    }
    let mut bytes = next(&mut response, explicit(0))?;
    let mut bytes = next(&mut bytes, SEQUENCE)?;
    next(&mut bytes, (Class::Universal, Tag::Oid))?;
    let mut basic = next(&mut bytes, (Class::Universal, Tag::OctetString))?;
    let mut basic = next(&mut basic, SEQUENCE)?;
    let mut data = next(&mut basic, SEQUENCE)?;
    // Version, responder and date stand before; none of them is a sequence by its own tag.
    for _ in 0..4 {
        if let Some(found) = next(&mut data, SEQUENCE) {
            return Some(found);
        }
        let (rest, _) = Any::from_der(data).ok()?;
        data = rest;
    }
    None
}

fn single(mut single: &[u8]) -> Option<Single<'_>> {
    let mut about = next(&mut single, SEQUENCE)?;
    next(&mut about, SEQUENCE)?;
    next(&mut about, (Class::Universal, Tag::OctetString))?;
    next(&mut about, (Class::Universal, Tag::OctetString))?;
    let serial = next(&mut about, (Class::Universal, Tag::Integer))?;
    let (rest, said) = Any::from_der(single).ok()?;
    let status = match said.header.tag() {
        Tag(0) => Status::Good,
        Tag(1) => Status::Revoked,
        _ => Status::Unknown,
    };
    let (mut rest, begins) = ASN1Time::from_der(rest).ok()?;
    let ends = next(&mut rest, explicit(0)).and_then(|date| ASN1Time::from_der(date).ok()).map(|(_, date)| date);
    Some(Single { serial, status, begins, ends })
}

const fn explicit(number: u32) -> (Class, Tag) {
    (Class::ContextSpecific, Tag(number))
}

/// The content of the next element, if it is a `wanted` one.
fn next<'a>(rest: &mut &'a [u8], wanted: (Class, Tag)) -> Option<&'a [u8]> {
    let (after, element) = Any::from_der(rest).ok()?;
    if (element.header.class(), element.header.tag()) != wanted {
        return None;
    }
    *rest = after;
    Some(element.data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An element of a length below 128.
    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).unwrap();
        if length < 128 {
            [&[tag, length][..], &content].concat()
        } else {
            [&[tag, 0x81, length][..], &content].concat()
        }
    }

    /// A response about serial number 0x1234.
    fn response(result: u8, status: u8, next_update: bool) -> Vec<u8> {
        let (sequence, octets, date) = (0x30, 0x04, 0x18);
        let serial = tlv(2, &[&[0x12, 0x34]]);
        let about = tlv(sequence, &[&tlv(sequence, &[]), &tlv(octets, &[b"n"]), &tlv(octets, &[b"k"]), &serial]);
        let this = tlv(date, &[b"20300101000000Z"]);
        let next = if next_update { tlv(0xa0, &[&tlv(date, &[b"20300108000000Z"])]) } else { Vec::new() };
        let single = tlv(sequence, &[&about, &tlv(0x80 | status, &[]), &this, &next]);
        let responder = tlv(0xa2, &[&tlv(octets, &[b"key"])]);
        let data = tlv(sequence, &[&responder, &this, &tlv(sequence, &[&single])]);
        let basic = tlv(sequence, &[&data, &tlv(sequence, &[]), &tlv(3, &[&[0]])]);
        let bytes = tlv(sequence, &[&tlv(6, &[&[0x2b, 1]]), &tlv(octets, &[&basic])]);
        tlv(sequence, &[&tlv(10, &[&[result]]), &tlv(0xa0, &[&bytes])])
    }

    #[test]
    fn an_answer_says_about_what_and_until_when() {
        let der = response(0, 0, true);
        let [one] = read(&der)[..] else { panic!("one answer") };
        assert_eq!((one.serial, one.status), (&[0x12, 0x34][..], Status::Good));
        assert_eq!(one.ends.unwrap().timestamp() - one.begins.timestamp(), 7 * 86_400);
        assert_eq!(read(&response(0, 2, false))[0].status, Status::Unknown);
        assert_eq!(read(&response(0, 2, false))[0].ends, None);
    }

    #[test]
    fn a_responder_that_could_not_answer_says_nothing() {
        assert_eq!(read(&response(6, 0, true)), []);
        assert_eq!(read(b"-----BEGIN"), []);
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_panic(octets: Vec<u8>, at in 0usize..200, with: u8) {
            let _ = read(&octets);
            let mut der = response(0, 1, true);
            if let Some(octet) = der.get_mut(at) {
                *octet = with;
            }
            prop_assert!(read(&der).len() <= limits::TLS_CERTIFICATES_MAX);
        }
    }
}
