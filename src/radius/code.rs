//! The first octet of a packet: what kind of packet it is.
//!
//! Owns numbers and names; which code is welcome on which port is the engine's matter.

use std::fmt;

/// What kind of packet it is. Any octet is a code; those with a name have a constant.
///
/// Source: RFC 2865 section 4, RFC 2866 section 4, RFC 5997 section 2, RFC 5176 section 2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u8);

impl Code {
    /// A NAS asks whether somebody gets in.
    pub const ACCESS_REQUEST: Self = Self(1);
    /// Yes.
    pub const ACCESS_ACCEPT: Self = Self(2);
    /// No.
    pub const ACCESS_REJECT: Self = Self(3);
    /// A NAS tells of a session.
    pub const ACCOUNTING_REQUEST: Self = Self(4);
    /// The server has kept what it was told.
    pub const ACCOUNTING_RESPONSE: Self = Self(5);
    /// The server needs another round.
    pub const ACCESS_CHALLENGE: Self = Self(11);
    /// A NAS asks whether the server lives.
    pub const STATUS_SERVER: Self = Self(12);
    /// The server ends a session.
    pub const DISCONNECT_REQUEST: Self = Self(40);
    /// The NAS ended it.
    pub const DISCONNECT_ACK: Self = Self(41);
    /// The NAS did not end it.
    pub const DISCONNECT_NAK: Self = Self(42);
    /// The server changes a session.
    pub const COA_REQUEST: Self = Self(43);
    /// The NAS changed it.
    pub const COA_ACK: Self = Self(44);
    /// The NAS did not change it.
    pub const COA_NAK: Self = Self(45);
    /// The answer to what cannot be processed.
    pub const PROTOCOL_ERROR: Self = Self(52);

    /// The name as the RFCs spell it, or `unknown`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ACCESS_REQUEST => "Access-Request",
            Self::ACCESS_ACCEPT => "Access-Accept",
            Self::ACCESS_REJECT => "Access-Reject",
            Self::ACCOUNTING_REQUEST => "Accounting-Request",
            Self::ACCOUNTING_RESPONSE => "Accounting-Response",
            Self::ACCESS_CHALLENGE => "Access-Challenge",
            Self::STATUS_SERVER => "Status-Server",
            Self::DISCONNECT_REQUEST => "Disconnect-Request",
            Self::DISCONNECT_ACK => "Disconnect-ACK",
            Self::DISCONNECT_NAK => "Disconnect-NAK",
            Self::COA_REQUEST => "CoA-Request",
            Self::COA_ACK => "CoA-ACK",
            Self::COA_NAK => "CoA-NAK",
            Self::PROTOCOL_ERROR => "Protocol-Error",
            _ => "unknown",
        }
    }

    /// Whether the header's authenticator is a hash over the request, rather than random octets.
    ///
    /// Source: RFC 2866 section 3, RFC 5176 section 2.3.
    #[must_use]
    pub const fn has_hashed_authenticator(self) -> bool {
        matches!(self, Self::ACCOUNTING_REQUEST | Self::DISCONNECT_REQUEST | Self::COA_REQUEST)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "unknown" => write!(f, "code {}", self.0),
            name => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_a_name_shows_its_number() {
        assert_eq!(Code(99).to_string(), "code 99");
        assert_eq!(Code(12).to_string(), "Status-Server");
    }
}
