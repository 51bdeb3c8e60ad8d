//! A packet being written: 4096 octets that are reused, and attributes appended to them.
//!
//! Owns sizes and places; `reply` and `request` know how a finished packet is signed.

use super::{
    attribute::{Attributes, encoded_length},
    code::Code,
    error::Full,
    kind,
};
use crate::limits::{HEADER_OCTETS, PACKET_OCTETS_MAX, VALUE_OCTETS_MAX};

const MESSAGE_AUTHENTICATOR_AT: usize = HEADER_OCTETS + 2;

/// A packet being written, without allocation.
///
/// What does not fit is refused and leaves the packet as it was; nothing is ever cut.
pub struct PacketBuffer {
    octets: [u8; PACKET_OCTETS_MAX],
    length: usize,
    is_signed: bool,
}

/// A place in a [`PacketBuffer`] to return to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

impl PacketBuffer {
    /// A buffer with an empty packet of code 0; start it before use.
    #[must_use]
    pub const fn new() -> Self {
        Self { octets: [0; PACKET_OCTETS_MAX], length: HEADER_OCTETS, is_signed: false }
    }

    /// Begins a packet and forgets the one before. Its first attribute is a Message-Authenticator, to be filled when signing.
    ///
    /// It stands first because the chosen-prefix attack on the header's authenticator (CVE-2024-3596) needs octets of
    /// the attacker in front of everything that it cannot know.
    /// Source: draft-ietf-radext-deprecating-radius section 5.3.5.
    pub fn start(&mut self, code: Code, identifier: u8) {
        self.start_unsigned(code, identifier);
        self.is_signed = true;
        // Zeros stand in for the value until the packet is signed.
        self.push(kind::MESSAGE_AUTHENTICATOR, &[0; 16]).expect("an empty packet has room for 18 octets");
    }

    /// Begins a packet without Message-Authenticator.
    ///
    /// For the Accounting-Response to an Accounting-Request: FreeRADIUS and its `radclient` hash the attribute there with
    /// zeros in place of the request's authenticator, and drop a reply that follows RFC 3579 section 3.2 (seen with 3.2.1).
    /// The attack that the attribute protects from needs a request whose authenticator is random, which this one's is not.
    /// Also for tests of what old peers send.
    pub fn start_unsigned(&mut self, code: Code, identifier: u8) {
        self.octets[0] = code.0;
        self.octets[1] = identifier;
        self.length = HEADER_OCTETS;
        self.is_signed = false;
    }

    /// Appends one attribute with a value of 1 to 253 octets.
    ///
    /// # Errors
    /// [`Full`]; the packet is as before then.
    #[inline]
    pub fn push(&mut self, kind: u8, value: &[u8]) -> Result<(), Full> {
        let length = encoded_length(value.len())?;
        let end = self.length + usize::from(length);
        let Some([to_kind, to_length, to_value @ ..]) = self.octets.get_mut(self.length..end) else {
            return Err(Full::Packet);
        };
        *to_kind = kind;
        *to_length = length;
        to_value.copy_from_slice(value);
        self.length = end;
        Ok(())
    }

    /// Appends one attribute with four octets, such as an integer or an IPv4 address.
    ///
    /// # Errors
    /// [`Full::Packet`]; the packet is as before then.
    pub fn push_u32(&mut self, kind: u8, value: u32) -> Result<(), Full> {
        self.push(kind, &value.to_be_bytes())
    }

    /// Appends a value of any length as consecutive attributes of up to 253 octets, all of them or none.
    ///
    /// For EAP-Message (RFC 3579 section 3.1) and NAS-Filter-Rule (RFC 4849 section 2).
    ///
    /// # Errors
    /// [`Full`]; the packet is as before then.
    pub fn push_long(&mut self, kind: u8, value: &[u8]) -> Result<(), Full> {
        if value.is_empty() {
            return Err(Full::ValueEmpty);
        }
        let mark = self.mark();
        for part in value.chunks(VALUE_OCTETS_MAX) {
            if let Err(full) = self.push(kind, part) {
                self.rewind(mark);
                return Err(full);
            }
        }
        Ok(())
    }

    /// Appends attributes that were encoded before, all of them or none.
    ///
    /// `attributes` must be whole attributes with types above 0; they are not checked again in a release build.
    ///
    /// # Errors
    /// [`Full::Packet`]; the packet is as before then.
    #[inline]
    pub fn push_encoded(&mut self, attributes: &[u8]) -> Result<(), Full> {
        debug_assert!(Attributes::new(attributes, 0).is_well_formed(), "encoded attributes are whole");
        let end = self.length + attributes.len();
        let Some(room) = self.octets.get_mut(self.length..end) else { return Err(Full::Packet) };
        room.copy_from_slice(attributes);
        self.length = end;
        Ok(())
    }

    /// Octets that attributes can still take, their types and lengths included.
    #[inline]
    #[must_use]
    pub const fn remaining(&self) -> usize {
        PACKET_OCTETS_MAX - self.length
    }

    /// The end of what was written so far.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark(self.length)
    }

    /// Takes back what was written after `mark`, which must be from this packet.
    ///
    /// A mark beyond the end changes nothing.
    pub fn rewind(&mut self, mark: Mark) {
        let smallest = if self.is_signed { MESSAGE_AUTHENTICATOR_AT + 16 } else { HEADER_OCTETS };
        self.length = self.length.min(mark.0.max(smallest));
    }

    /// Whether an attribute of this type was appended.
    #[must_use]
    pub fn has(&self, kind: u8) -> bool {
        let written = self.octets().get(HEADER_OCTETS..).unwrap_or_default();
        Attributes::new(written, HEADER_OCTETS).any(|attribute| attribute.kind == kind)
    }

    /// What kind of packet it is.
    #[inline]
    #[must_use]
    pub const fn code(&self) -> Code {
        Code(self.octets[0])
    }

    /// What was written so far, or the whole packet after signing.
    #[inline]
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    pub(super) const fn message_authenticator(&self) -> Option<usize> {
        if self.is_signed { Some(MESSAGE_AUTHENTICATOR_AT) } else { None }
    }

    pub(super) fn authenticator_mut(&mut self) -> &mut [u8; 16] {
        self.octets
            .get_mut(4..HEADER_OCTETS)
            .and_then(<[u8]>::first_chunk_mut::<16>)
            .expect("the buffer is longer than a header")
    }

    /// The whole packet with its Length written.
    pub(super) fn finished(&mut self) -> &mut [u8] {
        #[expect(clippy::cast_possible_truncation, reason = "at most 4096")]
        let [high, low] = (self.length as u16).to_be_bytes();
        self.octets[2] = high;
        self.octets[3] = low;
        self.octets.get_mut(..self.length).unwrap_or_default()
    }
}

impl Default for PacketBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for PacketBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketBuffer").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> PacketBuffer {
        let mut buffer = PacketBuffer::new();
        buffer.start(Code::ACCESS_ACCEPT, 9);
        buffer
    }

    #[test]
    fn the_message_authenticator_stands_first() {
        let mut buffer = started();
        buffer.push(kind::USER_NAME, b"bob").unwrap();
        assert_eq!(buffer.octets()[20..22], [80, 18]);
        assert_eq!(buffer.octets()[38..], [1, 5, b'b', b'o', b'b']);
    }

    #[test]
    fn what_does_not_fit_leaves_the_packet_as_it_was() {
        let mut buffer = started();
        let value = [0; 253];
        while buffer.push(kind::PROXY_STATE, &value).is_ok() {}
        let (before, remaining) = (buffer.octets().to_vec(), buffer.remaining());
        assert!(remaining < 255);
        assert_eq!(buffer.push(kind::PROXY_STATE, &value), Err(Full::Packet));
        assert_eq!(buffer.push_encoded(&[33, 2].repeat(remaining / 2 + 1)), Err(Full::Packet));
        assert_eq!(buffer.push_long(kind::EAP_MESSAGE, &vec![1; remaining]), Err(Full::Packet));
        assert_eq!(buffer.octets(), before);
        buffer.push(kind::CLASS, &vec![1; remaining - 2]).unwrap();
        assert_eq!(buffer.remaining(), 0);
        assert_eq!(buffer.octets().len(), 4096);
    }

    #[test]
    fn what_was_appended_is_found_by_its_type() {
        let mut buffer = started();
        assert!(!buffer.has(kind::USER_NAME) && buffer.has(kind::MESSAGE_AUTHENTICATOR));
        let mark = buffer.mark();
        buffer.push(kind::USER_NAME, b"bob").unwrap();
        assert!(buffer.has(kind::USER_NAME));
        buffer.rewind(mark);
        assert!(!buffer.has(kind::USER_NAME));
    }

    #[test]
    fn a_value_has_1_to_253_octets() {
        let mut buffer = started();
        assert_eq!(buffer.push(kind::CLASS, &[]), Err(Full::ValueEmpty));
        assert_eq!(buffer.push(kind::CLASS, &[0; 254]), Err(Full::ValueTooLong));
        assert_eq!(buffer.push_long(kind::EAP_MESSAGE, &[]), Err(Full::ValueEmpty));
    }

    #[test]
    fn a_long_value_is_cut_into_neighbours() {
        let mut buffer = started();
        buffer.push_long(kind::EAP_MESSAGE, &[7; 300]).unwrap();
        let walk = Attributes::new(&buffer.octets()[38..], 38);
        assert_eq!(walk.map(|a| (a.kind, a.value.len())).collect::<Vec<_>>(), [(79, 253), (79, 47)]);
    }

    #[test]
    fn rewinding_keeps_the_message_authenticator_whatever_the_mark() {
        let mut buffer = PacketBuffer::new();
        let empty = buffer.mark();
        buffer.start(Code::ACCESS_ACCEPT, 9);
        let mark = buffer.mark();
        buffer.push(kind::CLASS, b"x").unwrap();
        let later = buffer.mark();
        buffer.rewind(mark);
        assert_eq!(buffer.octets().len(), 38);
        buffer.rewind(later);
        assert_eq!(buffer.octets().len(), 38);
        buffer.rewind(empty);
        assert_eq!(buffer.octets().len(), 38);
    }
}
