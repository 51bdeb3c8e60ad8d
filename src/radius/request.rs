//! A request being written and signed, and the check of the reply to it: the NAS's side.
//!
//! For probes, benches and tests, and for what the server itself asks of a NAS. It sends nothing and repeats nothing.

use std::{
    error, fmt,
    ops::{Deref, DerefMut},
};

use super::{
    authenticator::{self, Signature, check_reply_signature, is_response_authenticator_valid},
    buffer::PacketBuffer,
    code::Code,
    error::Full,
    hidden::{self, HiddenBuffer},
    kind,
    packet::Packet,
    secret::Secret,
};
use crate::limits::VALUE_OCTETS_MAX;

/// A request being written. It is one [`PacketBuffer`], reused from request to request, that knows how requests are signed.
#[derive(Debug, Default)]
pub struct RequestBuffer {
    packet: PacketBuffer,
    /// Where a password stands that is still to be hidden.
    clear_password: Option<usize>,
}

impl RequestBuffer {
    /// A buffer without a request; begin one with [`start_request`](Self::start_request).
    #[must_use]
    pub const fn new() -> Self {
        Self { packet: PacketBuffer::new(), clear_password: None }
    }

    /// Begins a request.
    ///
    /// All but an Accounting-Request start with a Message-Authenticator. `authenticator`: 16 random octets, never used
    /// before with the same secret; an Accounting-, CoA- or Disconnect-Request replaces them when it is signed.
    /// Source: RFC 2865 section 3, RFC 3579 section 3.2, RFC 5997 section 3.
    pub fn start_request(&mut self, code: Code, identifier: u8, authenticator: &[u8; 16]) {
        if code == Code::ACCOUNTING_REQUEST {
            self.packet.start_unsigned(code, identifier);
        } else {
            self.packet.start(code, identifier);
        }
        *self.packet.authenticator_mut() = *authenticator;
        self.clear_password = None;
    }

    /// Begins a request without Message-Authenticator, as old NASes send it.
    pub fn start_unsigned_request(&mut self, code: Code, identifier: u8, authenticator: &[u8; 16]) {
        self.packet.start_unsigned(code, identifier);
        *self.packet.authenticator_mut() = *authenticator;
        self.clear_password = None;
    }

    /// Appends a hidden User-Password of 0 to 128 octets.
    ///
    /// Source: RFC 2865 section 5.2.
    ///
    /// # Errors
    /// [`Full`]; the request is as before then.
    pub fn push_password(&mut self, password: &[u8], secret: &Secret) -> Result<(), Full> {
        let authenticator = *self.packet.authenticator_mut();
        let mut out: HiddenBuffer = [0; VALUE_OCTETS_MAX];
        let hidden = hidden::hide_password(password, &authenticator, secret, &mut out)?;
        self.packet.push(kind::USER_PASSWORD, hidden)
    }

    /// Appends a User-Password of 0 to 16 octets, the only one, which is hidden when the request is signed. Many can be hidden
    /// side by side then, by [`RequestSigning`](super::request_signing::RequestSigning).
    ///
    /// Source: RFC 2865 section 5.2.
    ///
    /// # Errors
    /// [`Full`]; the request is as before then.
    pub fn push_clear_password(&mut self, password: &[u8]) -> Result<(), Full> {
        let mut padded = [0; 16];
        padded.get_mut(..password.len()).ok_or(Full::ValueTooLong)?.copy_from_slice(password);
        self.packet.push(kind::USER_PASSWORD, &padded)?;
        self.clear_password = self.packet.octets().len().checked_sub(padded.len());
        Ok(())
    }

    /// Appends a CHAP-Password; the challenge is the authenticator of the header.
    ///
    /// Source: RFC 2865 section 5.3.
    ///
    /// # Errors
    /// [`Full::Packet`]; the request is as before then.
    pub fn push_chap_password(&mut self, chap_identifier: u8, password: &[u8]) -> Result<(), Full> {
        let challenge = *self.packet.authenticator_mut();
        let mut value = [chap_identifier; 17];
        if let Some(response) = value.last_chunk_mut::<16>() {
            *response = hidden::chap_response(chap_identifier, &challenge, password);
        }
        self.packet.push(kind::CHAP_PASSWORD, &value)
    }

    /// Finishes the request and gives its octets.
    ///
    /// Source: RFC 3579 section 3.2, RFC 2866 section 3, RFC 5176 sections 2.3 and 3.4.
    pub fn sign(&mut self, secret: &Secret) -> &[u8] {
        let at = self.packet.message_authenticator();
        let octets = self.packet.finished();
        if let Some(password) = self.clear_password.take() {
            hidden::hide_in_place(octets, password, secret);
        }
        authenticator::sign_request(octets, at, secret);
        octets
    }

    /// The whole request with its Length, a password that is not hidden, and zeros as its Message-Authenticator; and where the
    /// values of both start.
    pub(super) fn unsigned(&mut self) -> Unsigned<'_> {
        let signature = self.packet.message_authenticator();
        let octets = self.packet.finished();
        if let Some(place) = signature.and_then(|at| octets.get_mut(at..)).and_then(<[u8]>::first_chunk_mut::<16>) {
            *place = [0; 16];
        }
        Unsigned { octets, password: self.clear_password, signature }
    }
}

/// A request that is neither signed nor hidden.
pub(super) struct Unsigned<'a> {
    pub(super) octets: &'a [u8],
    pub(super) password: Option<usize>,
    pub(super) signature: Option<usize>,
}

impl Deref for RequestBuffer {
    type Target = PacketBuffer;

    fn deref(&self) -> &PacketBuffer {
        &self.packet
    }
}

impl DerefMut for RequestBuffer {
    fn deref_mut(&mut self) -> &mut PacketBuffer {
        &mut self.packet
    }
}

/// Checks that `reply` is an authentic reply to `request`.
///
/// The Message-Authenticator must be right if there is one; whether it must be there is for the caller to ask of
/// [`Packet::message_authenticator`].
/// Source: RFC 2865 section 3, RFC 3579 section 3.2.
///
/// # Errors
/// [`Untrusted`]: the first check that failed.
pub fn verify_reply(reply: &Packet<'_>, request: &Packet<'_>, secret: &Secret) -> Result<(), Untrusted> {
    if reply.identifier() != request.identifier() {
        return Err(Untrusted::Identifier);
    }
    if !is_reply_to(reply.code(), request.code()) {
        return Err(Untrusted::Code);
    }
    if !is_response_authenticator_valid(reply, request.authenticator(), secret) {
        return Err(Untrusted::Authenticator);
    }
    match check_reply_signature(reply, request.authenticator(), secret) {
        Signature::Wrong => Err(Untrusted::MessageAuthenticator),
        Signature::Valid | Signature::Missing => Ok(()),
    }
}

fn is_reply_to(reply: Code, request: Code) -> bool {
    match request {
        Code::ACCESS_REQUEST => {
            matches!(reply, Code::ACCESS_ACCEPT | Code::ACCESS_REJECT | Code::ACCESS_CHALLENGE | Code::PROTOCOL_ERROR)
        }
        Code::STATUS_SERVER => matches!(reply, Code::ACCESS_ACCEPT | Code::ACCOUNTING_RESPONSE | Code::PROTOCOL_ERROR),
        Code::ACCOUNTING_REQUEST => matches!(reply, Code::ACCOUNTING_RESPONSE | Code::PROTOCOL_ERROR),
        Code::COA_REQUEST => matches!(reply, Code::COA_ACK | Code::COA_NAK | Code::PROTOCOL_ERROR),
        Code::DISCONNECT_REQUEST => {
            matches!(reply, Code::DISCONNECT_ACK | Code::DISCONNECT_NAK | Code::PROTOCOL_ERROR)
        }
        _ => false,
    }
}

/// Why a reply is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untrusted {
    /// It belongs to another request.
    Identifier,
    /// Its code answers no request of this kind.
    Code,
    /// The authenticator of its header is wrong: mostly another secret.
    Authenticator,
    /// Its Message-Authenticator is wrong.
    MessageAuthenticator,
}

impl Untrusted {
    /// Why, as a sentence without its full stop.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Identifier => "the reply has another identifier than the request",
            Self::Code => "the reply has a code that answers no such request",
            Self::Authenticator => "the authenticator of the reply is wrong; the secrets probably differ",
            Self::MessageAuthenticator => "the Message-Authenticator of the reply is wrong",
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl error::Error for Untrusted {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::{
        authenticator::{check_request_signature, is_request_authenticator_valid},
        reply::ReplyBuffer,
    };

    fn secret() -> Secret {
        Secret::new(b"testing123".to_vec()).unwrap()
    }

    #[test]
    fn a_reply_is_believed_only_for_its_own_request() {
        let mut request = RequestBuffer::new();
        request.start_request(Code::ACCESS_REQUEST, 7, &[9; 16]);
        let request = request.sign(&secret()).to_vec();
        let request = Packet::parse(&request).unwrap();
        let mut reply = ReplyBuffer::new();
        let mut verdict = |code, identifier, authenticator: &[u8; 16], secret_of_reply: &Secret| {
            reply.start(code, identifier);
            verify_reply(&Packet::parse(reply.sign(authenticator, secret_of_reply)).unwrap(), &request, &secret())
        };
        let other = Secret::new(b"other".to_vec()).unwrap();
        assert_eq!(verdict(Code::ACCESS_ACCEPT, 7, &[9; 16], &secret()), Ok(()));
        assert_eq!(verdict(Code::ACCESS_ACCEPT, 8, &[9; 16], &secret()), Err(Untrusted::Identifier));
        assert_eq!(verdict(Code::COA_ACK, 7, &[9; 16], &secret()), Err(Untrusted::Code));
        assert_eq!(verdict(Code::ACCESS_ACCEPT, 7, &[8; 16], &secret()), Err(Untrusted::Authenticator));
        assert_eq!(verdict(Code::ACCESS_ACCEPT, 7, &[9; 16], &other), Err(Untrusted::Authenticator));
    }

    #[test]
    fn a_reply_with_a_wrong_message_authenticator_is_not_believed_though_its_authenticator_is_right() {
        let mut request = RequestBuffer::new();
        request.start_request(Code::ACCESS_REQUEST, 7, &[9; 16]);
        let request = request.sign(&secret()).to_vec();
        let mut reply = ReplyBuffer::new();
        reply.start_unsigned(Code::ACCESS_ACCEPT, 7);
        reply.push(kind::MESSAGE_AUTHENTICATOR, &[1; 16]).unwrap();
        let reply = reply.sign(&[9; 16], &secret()).to_vec();
        assert_eq!(
            verify_reply(&Packet::parse(&reply).unwrap(), &Packet::parse(&request).unwrap(), &secret()),
            Err(Untrusted::MessageAuthenticator)
        );
    }

    #[test]
    fn every_kind_of_request_is_signed_as_its_rfc_says() {
        let mut buffer = RequestBuffer::new();
        for (code, signature, is_hashed) in [
            (Code::ACCESS_REQUEST, Signature::Valid, false),
            (Code::STATUS_SERVER, Signature::Valid, false),
            (Code::ACCOUNTING_REQUEST, Signature::Missing, true),
            (Code::COA_REQUEST, Signature::Valid, true),
            (Code::DISCONNECT_REQUEST, Signature::Valid, true),
        ] {
            buffer.start_request(code, 1, &[3; 16]);
            buffer.push(kind::NAS_IDENTIFIER, b"probe").unwrap();
            let packet = Packet::parse(buffer.sign(&secret())).unwrap();
            assert_eq!(check_request_signature(&packet, &secret()), signature, "{code}");
            assert_eq!(is_request_authenticator_valid(&packet, &secret()), is_hashed, "{code}");
            assert_eq!(packet.authenticator() == &[3; 16], !is_hashed, "{code}");
        }
    }

    proptest! {
        #[test]
        fn what_a_request_says_is_read_back(
            secret in proptest::collection::vec(any::<u8>(), 1..100),
            authenticator in any::<[u8; 16]>(),
            name in proptest::collection::vec(any::<u8>(), 1..=253),
            password in proptest::collection::vec(1u8..=255, 0..=128),
            chap_identifier in any::<u8>(),
        ) {
            let secret = Secret::new(secret).unwrap();
            let mut buffer = RequestBuffer::new();
            buffer.start_request(Code::ACCESS_REQUEST, 200, &authenticator);
            buffer.push(kind::USER_NAME, &name).unwrap();
            buffer.push_password(&password, &secret).unwrap();
            let packet = Packet::parse(buffer.sign(&secret)).unwrap();
            prop_assert_eq!(packet.identifier(), 200);
            prop_assert_eq!(packet.first(kind::USER_NAME), Some(&name[..]));
            let mut out: HiddenBuffer = [0; VALUE_OCTETS_MAX];
            let hidden = packet.first(kind::USER_PASSWORD).unwrap();
            let revealed = hidden::reveal_password(hidden, packet.authenticator(), &secret, &mut out).unwrap();
            prop_assert_eq!(revealed, &password[..]);

            buffer.start_unsigned_request(Code::ACCESS_REQUEST, 201, &authenticator);
            buffer.push_chap_password(chap_identifier, &password).unwrap();
            let packet = Packet::parse(buffer.sign(&secret)).unwrap();
            prop_assert!(!packet.has(kind::MESSAGE_AUTHENTICATOR));
            let chap = packet.first(kind::CHAP_PASSWORD).unwrap();
            prop_assert!(hidden::chap_matches(chap, packet.authenticator(), &password));
        }
    }
}
