//! Octets into EAP packets and back: requests, responses, success and failure.
//!
//! Owns RFC 3748 section 4. What the data of a method means stands with the method.

use std::fmt;

use super::method::{Method, Wanted};

/// Octets before a packet's data: code, identifier, length.
pub const HEADER_OCTETS: usize = 4;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// From the server: 1.
    Request,
    /// From the device: 2.
    Response,
    /// From the server, at the end: 3.
    Success,
    /// From the server, at the end: 4.
    Failure,
}

/// A packet whose length fits: `data` is what follows the header, without padding behind the packet.
///
/// Source: RFC 3748 section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub code: Code,
    /// Ties a response to its request.
    pub identifier: u8,
    /// Everything behind the header.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet. Octets behind its length are padding of the link and are ignored.
    ///
    /// # Errors
    /// [`Broken`], with the rule that does not hold.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Broken> {
        let [code, identifier, high, low, ..] = *octets else { return Err(Broken::TooShort) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < HEADER_OCTETS {
            return Err(Broken::LengthTooSmall);
        }
        let Some(data) = octets.get(HEADER_OCTETS..length) else { return Err(Broken::LengthBeyondOctets) };
        let code = match code {
            1 => Code::Request,
            2 => Code::Response,
            3 => Code::Success,
            4 => Code::Failure,
            _ => return Err(Broken::UnknownCode),
        };
        Ok(Self { code, identifier, data })
    }
}

/// What a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// Not the method of the request, but one of these.
    Nak(Wanted),
    /// Data of a method. An expanded type of vendor 0 is the plain one of that number (RFC 3748 section 5.7).
    Method(Method, &'a [u8]),
    /// An expanded type of a vendor, of which we know none.
    Vendor,
}

impl<'a> Response<'a> {
    /// Reads the data of a response packet.
    ///
    /// # Errors
    /// [`Broken::NoType`] and [`Broken::ExpandedTypeCut`].
    pub fn parse(data: &'a [u8]) -> Result<Self, Broken> {
        let (kind, rest) = data.split_first().ok_or(Broken::NoType)?;
        match Method(*kind) {
            Method::EXPANDED => {
                let Some(([0, 0, 0, one, two, three, four], rest)) = rest.split_first_chunk() else {
                    return if rest.len() < 7 { Err(Broken::ExpandedTypeCut) } else { Ok(Self::Vendor) };
                };
                match u32::from_be_bytes([*one, *two, *three, *four]) {
                    3 => Ok(Self::Nak(Wanted::expanded(rest))),
                    number => Ok(u8::try_from(number).map_or(Self::Vendor, |n| Self::Method(Method(n), rest))),
                }
            }
            Method::NAK => Ok(Self::Nak(Wanted::legacy(rest))),
            method => Ok(Self::Method(method, rest)),
        }
    }
}

/// A request of `method` with `data`.
///
/// `data` is at most [`crate::limits::EAP_PACKET_OCTETS_MAX`] less five octets, or 16 octets and a name for EAP-MD5;
/// more would not fit its length field and is cut.
#[must_use]
pub fn request(identifier: u8, method: Method, data: &[u8]) -> Vec<u8> {
    let data = data.get(..usize::from(u16::MAX) - HEADER_OCTETS - 1).unwrap_or(data);
    let mut packet = header(1, identifier, HEADER_OCTETS + 1 + data.len());
    packet.push(method.0);
    packet.extend_from_slice(data);
    packet
}

/// The end with access. `identifier`: that of the response that it answers.
///
/// Source: RFC 3748 section 4.2.
#[must_use]
pub fn success(identifier: u8) -> Vec<u8> {
    header(3, identifier, HEADER_OCTETS)
}

/// The end without access. `identifier`: that of the response that it answers.
///
/// Source: RFC 3748 section 4.2.
#[must_use]
pub fn failure(identifier: u8) -> Vec<u8> {
    header(4, identifier, HEADER_OCTETS)
}

/// What a server answers to a request: that it wants no method at all.
///
/// Source: RFC 3579 section 2.6.2.
#[must_use]
pub fn nak_to_a_request(identifier: u8) -> Vec<u8> {
    let mut packet = header(2, identifier, HEADER_OCTETS + 2);
    packet.extend_from_slice(&[Method::NAK.0, 0]);
    packet
}

fn header(code: u8, identifier: u8, length: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = Vec::with_capacity(length);
    packet.extend_from_slice(&[code, identifier, high, low]);
    packet
}

/// The rule of EAP that a device's packet broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// Fewer than four octets.
    TooShort,
    /// A length below four.
    LengthTooSmall,
    /// A length beyond the octets that came.
    LengthBeyondOctets,
    /// A code that does not exist.
    UnknownCode,
    /// A success or failure, which only a server may send.
    NotAResponse,
    /// A response without a type.
    NoType,
    /// An expanded type that ends early.
    ExpandedTypeCut,
    /// The identifier is not that of the last request.
    WrongIdentifier,
    /// The type is not that of the last request.
    WrongMethod,
    /// A Nak after the method had begun.
    LateNak,
    /// An identity of more than 1,020 octets.
    IdentityTooLong,
    /// An MD5 answer that is not one of 16 octets.
    Md5AnswerCut,
    /// TLS data without flags, or with a length that ends early.
    FragmentCut,
    /// A fragment that announces more and holds nothing.
    EmptyFragment,
    /// Data where an acknowledgement was due.
    AcknowledgementExpected,
    /// A packet while a decision was pending.
    NotExpected,
}

impl Broken {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooShort => "eap-too-short",
            Self::LengthTooSmall => "eap-length-too-small",
            Self::LengthBeyondOctets => "eap-length-beyond-octets",
            Self::UnknownCode => "eap-unknown-code",
            Self::NotAResponse => "eap-not-a-response",
            Self::NoType => "eap-no-type",
            Self::ExpandedTypeCut => "eap-expanded-type-cut",
            Self::WrongIdentifier => "eap-wrong-identifier",
            Self::WrongMethod => "eap-wrong-method",
            Self::LateNak => "eap-late-nak",
            Self::IdentityTooLong => "eap-identity-too-long",
            Self::Md5AnswerCut => "eap-md5-answer-cut",
            Self::FragmentCut => "eap-fragment-cut",
            Self::EmptyFragment => "eap-empty-fragment",
            Self::AcknowledgementExpected => "eap-acknowledgement-expected",
            Self::NotExpected => "eap-not-expected",
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "the EAP packet has fewer than four octets",
            Self::LengthTooSmall => "the EAP packet says that it is shorter than its header",
            Self::LengthBeyondOctets => "the EAP packet says that it is longer than what came",
            Self::UnknownCode => "the EAP packet has a code that does not exist",
            Self::NotAResponse => "a device may send neither EAP-Success nor EAP-Failure",
            Self::NoType => "the EAP response has no type",
            Self::ExpandedTypeCut => "the expanded EAP type ends early",
            Self::WrongIdentifier => "the EAP response answers another request than the last",
            Self::WrongMethod => "the EAP response is of another method than the request",
            Self::LateNak => "the device refused the method after it had begun",
            Self::IdentityTooLong => "the EAP identity has more than 1,020 octets",
            Self::Md5AnswerCut => "the EAP-MD5 answer is not one of 16 octets",
            Self::FragmentCut => "the EAP-TLS flags or length end early",
            Self::EmptyFragment => "an EAP-TLS fragment announces more and is empty",
            Self::AcknowledgementExpected => "the device sent data where it had to acknowledge a fragment",
            Self::NotExpected => "a packet came while the decision was pending",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn octets_behind_the_length_are_ignored() {
        let packet = Packet::parse(&[2, 7, 0, 6, 1, b'a', 0, 0, 0]).unwrap();
        assert_eq!(packet, Packet { code: Code::Response, identifier: 7, data: &[1, b'a'] });
    }

    #[test]
    fn a_length_that_does_not_fit_is_broken() {
        assert_eq!(Packet::parse(&[2, 7, 0]), Err(Broken::TooShort));
        assert_eq!(Packet::parse(&[2, 7, 0, 3]), Err(Broken::LengthTooSmall));
        assert_eq!(Packet::parse(&[2, 7, 0, 9, 1, 1]), Err(Broken::LengthBeyondOctets));
        assert_eq!(Packet::parse(&[2, 7, 0xff, 0xff, 1, 1]), Err(Broken::LengthBeyondOctets));
        assert_eq!(Packet::parse(&[5, 7, 0, 5, 1]), Err(Broken::UnknownCode));
        assert_eq!(Packet::parse(&[0, 7, 0, 5, 1]), Err(Broken::UnknownCode));
    }

    #[test]
    fn an_expanded_type_of_vendor_zero_is_the_plain_one() {
        assert_eq!(
            Response::parse(&[254, 0, 0, 0, 0, 0, 0, 13, 0x80]),
            Ok(Response::Method(Method::TLS, &[0x80])),
            "type 13"
        );
        assert_eq!(Response::parse(&[254, 0, 0, 9, 0, 0, 0, 13]), Ok(Response::Vendor));
        assert_eq!(Response::parse(&[254, 0, 0, 0, 0, 0, 1, 13]), Ok(Response::Vendor));
        assert_eq!(Response::parse(&[254, 0, 0, 0, 0, 0, 0]), Err(Broken::ExpandedTypeCut));
        assert_eq!(Response::parse(&[]), Err(Broken::NoType));
    }

    #[test]
    fn both_forms_of_nak_are_read() {
        let wanted = Wanted::legacy(&[4]);
        assert_eq!(Response::parse(&[3, 4]), Ok(Response::Nak(wanted)));
        let expanded = [254, 0, 0, 0, 0, 0, 0, 3, 254, 0, 0, 0, 0, 0, 0, 4];
        assert_eq!(Response::parse(&expanded), Ok(Response::Nak(wanted)));
    }

    #[test]
    fn the_ends_have_four_octets() {
        assert_eq!(success(9), [3, 9, 0, 4]);
        assert_eq!(failure(255), [4, 255, 0, 4]);
        assert_eq!(nak_to_a_request(2), [2, 2, 0, 6, 3, 0]);
    }

    proptest! {
        #[test]
        fn a_written_request_reads_back(identifier: u8, method in 1u8..=253, data in prop::collection::vec(any::<u8>(), 0..1500)) {
            let octets = request(identifier, Method(method), &data);
            let packet = Packet::parse(&octets).unwrap();
            prop_assert_eq!(packet.code, Code::Request);
            prop_assert_eq!(packet.identifier, identifier);
            prop_assert_eq!(packet.data.split_first(), Some((&method, &data[..])));
        }

        #[test]
        fn no_octets_make_the_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(packet) = Packet::parse(&octets) {
                prop_assert!(packet.data.len() + HEADER_OCTETS <= octets.len());
                let _ = Response::parse(packet.data);
            }
        }
    }
}
