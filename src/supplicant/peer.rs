//! A device in one conversation: requests of the server in, its responses out.
//!
//! Owns packets, fragments and their order. What TLS says inside of them is rustls's business.
//!
//! Source: RFC 3748 section 4, RFC 5216 section 3, RFC 9190 section 2.

use std::{fmt, io::Read as _};

use rustls::ClientConnection;

use crate::limits;

/// Octets of TLS in one response: what fits into a packet of 1,400 octets.
const FRAGMENT: usize = 1_390;
const IDENTITY: u8 = 1;
const NOTIFICATION: u8 = 2;
const NAK: u8 = 3;
const EAP_TLS: u8 = 13;
const LENGTH_INCLUDED: u8 = 0x80;
const MORE_FRAGMENTS: u8 = 0x40;
const START: u8 = 0x20;

/// What a device does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It answers.
    Respond(Vec<u8>),
    /// It was let in.
    Success,
    /// It was turned away.
    Failure,
}

/// A device in a conversation.
pub struct Peer {
    identity: Vec<u8>,
    tls: ClientConnection,
    /// The flight of the server, as far as it came.
    incoming: Vec<u8>,
    /// The flight of the device, of which `sent` octets have left.
    outgoing: Vec<u8>,
    sent: usize,
    error: Option<rustls::Error>,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("error", &self.error).finish_non_exhaustive()
    }
}

impl Peer {
    pub(super) const fn new(identity: Vec<u8>, tls: ClientConnection) -> Self {
        Self { identity, tls, incoming: Vec::new(), outgoing: Vec::new(), sent: 0, error: None }
    }

    /// What it says when the switch asks who it is: the first packet that the server sees.
    #[must_use]
    pub fn identity(&self, identifier: u8) -> Vec<u8> {
        identity_response(identifier, &self.identity)
    }

    /// What it does with a packet of the server.
    ///
    /// # Errors
    /// [`Broken`]: a server must not send this.
    pub fn take(&mut self, packet: &[u8]) -> Result<Turn, Broken> {
        let [code, identifier, high, low, data @ ..] = packet else { return Err(Broken::Header) };
        if usize::from(u16::from_be_bytes([*high, *low])) != packet.len() {
            return Err(Broken::Header);
        }
        match (code, data) {
            (1, [IDENTITY, ..]) => Ok(Turn::Respond(self.identity(*identifier))),
            (1, [NOTIFICATION, ..]) => Ok(Turn::Respond(response(*identifier, NOTIFICATION, &[]))),
            (1, [EAP_TLS, flags, rest @ ..]) => {
                let data = self.tls_request(*flags, rest)?;
                Ok(Turn::Respond(response(*identifier, EAP_TLS, &data)))
            }
            // Another method, while this one speaks EAP-TLS only.
            (1, [_, ..]) => Ok(Turn::Respond(response(*identifier, NAK, &[EAP_TLS]))),
            // Anybody could say so in clear; a device that believed it before TLS is done could be lured anywhere.
            (3, []) if self.tls.is_handshaking() || self.error.is_some() => Err(Broken::EarlySuccess),
            (3, []) => Ok(Turn::Success),
            (4, []) => Ok(Turn::Failure),
            _ => Err(Broken::Header),
        }
    }

    /// Flags and data of the response.
    fn tls_request(&mut self, flags: u8, data: &[u8]) -> Result<Vec<u8>, Broken> {
        if flags & START != 0 {
            self.collect()?;
            return Ok(self.next_fragment());
        }
        if !self.outgoing.is_empty() {
            // A flight of the device is under way: only an acknowledgement asks for more of it.
            return if data.is_empty() { Ok(self.next_fragment()) } else { Err(Broken::Fragment) };
        }
        let data = if flags & LENGTH_INCLUDED == 0 { data } else { data.get(4..).ok_or(Broken::Fragment)? };
        if self.incoming.len() + data.len() > limits::TLS_MESSAGE_OCTETS_MAX {
            return Err(Broken::Fragment);
        }
        self.incoming.extend_from_slice(data);
        if flags & MORE_FRAGMENTS != 0 {
            return Ok(vec![0]);
        }
        self.feed();
        self.collect()?;
        Ok(self.next_fragment())
    }

    /// Gives the server's flight to TLS. A failure leaves an alert to be sent, and the server then ends it.
    fn feed(&mut self) {
        let flight = std::mem::take(&mut self.incoming);
        let mut rest = &flight[..];
        while !rest.is_empty() && self.error.is_none() {
            if self.tls.read_tls(&mut rest).is_err() {
                self.error = Some(rustls::Error::General("more than TLS takes at once".to_owned()));
                return;
            }
            match self.tls.process_new_packets() {
                // The octet by which TLS 1.3 says that no more follows.
                Ok(state) if state.plaintext_bytes_to_read() > 0 => {
                    let mut octets = [0; 16];
                    while self.tls.reader().read(&mut octets).is_ok_and(|count| count > 0) {}
                }
                Ok(_) => {}
                Err(error) => self.error = Some(error),
            }
        }
    }

    fn collect(&mut self) -> Result<(), Broken> {
        while self.tls.wants_write() {
            // Memory takes everything.
            self.tls.write_tls(&mut self.outgoing).map_err(|_| Broken::Fragment)?;
        }
        Ok(())
    }

    fn next_fragment(&mut self) -> Vec<u8> {
        let rest = self.outgoing.get(self.sent..).unwrap_or_default();
        let part = rest.get(..FRAGMENT).unwrap_or(rest);
        let has_more = part.len() < rest.len();
        let mut data = vec![if has_more { MORE_FRAGMENTS } else { 0 }];
        if has_more && self.sent == 0 {
            data = vec![MORE_FRAGMENTS | LENGTH_INCLUDED];
            data.extend_from_slice(&u32::try_from(rest.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        data.extend_from_slice(part);
        self.sent += part.len();
        if !has_more {
            self.outgoing.clear();
            self.sent = 0;
        }
        data
    }

    /// What its TLS did not like, if anything.
    #[must_use]
    pub const fn error(&self) -> Option<&rustls::Error> {
        self.error.as_ref()
    }

    /// The version of TLS, once it is known.
    #[must_use]
    pub fn version(&self) -> Option<rustls::ProtocolVersion> {
        self.tls.protocol_version()
    }
}

/// Who it is.
pub(super) fn identity_response(identifier: u8, identity: &[u8]) -> Vec<u8> {
    response(identifier, IDENTITY, identity)
}

fn response(identifier: u8, kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 5).unwrap_or(u16::MAX).to_be_bytes();
    [&[2, identifier], &length[..], &[kind], data].concat()
}

/// Why a packet of the server can't be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// No EAP packet, or one that a server does not send.
    Header,
    /// A part of a flight that can't be, or a flight beyond all bounds.
    Fragment,
    /// Success before TLS was done.
    EarlySuccess,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "no EAP packet that a server sends",
            Self::Fragment => "a part of a TLS flight that can't be",
            Self::EarlySuccess => "success before TLS was done",
        })
    }
}

impl std::error::Error for Broken {}
