//! Why a conversation ended without access: a name for metrics, a sentence and a code for people.
//!
//! Owns the vocabulary above the methods. What policy said is known to whoever decided.

use std::fmt;

use super::{
    method::Wanted,
    packet::Broken,
    tls::{
        alert::{Alert, alert_name},
        evidence::Evidence,
        fault::TlsFault,
        flow::Cause,
    },
};

/// Why a conversation ended without access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A first packet that can't be used, or too many of them.
    Broken(Broken),
    /// The device sent a request, which only a server may.
    RequestFromDevice,
    /// A response without a conversation that it belongs to.
    NoConversation,
    /// No method is offered to this client or by this policy.
    NothingOffered,
    /// The device wants none of the offered methods.
    Refused(Wanted),
    /// More requests than [`crate::limits::EAP_ROUNDS_MAX`].
    TooManyRounds,
    /// EAP-TLS ended it.
    Tls(Cause),
    /// Policy said no, in another method than EAP-TLS.
    Denied,
}

impl Reason {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Broken(broken) => broken.label(),
            Self::RequestFromDevice => "eap-request-from-device",
            Self::NoConversation => "eap-no-conversation",
            Self::NothingOffered => "eap-nothing-offered",
            Self::Refused(_) => "eap-method-refused",
            Self::TooManyRounds => "eap-too-many-rounds",
            Self::Tls(Cause::Tls(TlsFault::Certificate(fault))) => fault.label(),
            Self::Tls(Cause::Tls(TlsFault::Handshake(fault))) => fault.label(),
            Self::Tls(Cause::Tls(TlsFault::Alert(_))) => "tls-alert-from-device",
            Self::Tls(Cause::Fragment(fault)) => fault.label(),
            Self::Tls(Cause::GaveUp) => "eap-device-gave-up",
            Self::Tls(Cause::Internal) => "eap-internal",
            Self::Denied | Self::Tls(Cause::Denied(_)) => "eap-denied",
        }
    }

    /// The code that operators search for, if this has one.
    #[must_use]
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Tls(Cause::Tls(TlsFault::Alert(_))) => Some("T201"),
            Self::Tls(Cause::Tls(TlsFault::Certificate(fault))) => fault.code(),
            _ => None,
        }
    }

    /// Whether it was policy, so that the decision's own reason says more.
    #[must_use]
    pub const fn is_denial(&self) -> bool {
        matches!(self, Self::Denied | Self::Tls(Cause::Denied(_)))
    }

    /// The whole message: code, what happened, what was seen, what to do.
    ///
    /// `evidence`: what the device's certificate says. `ours`: the subject of our own certificate.
    #[must_use]
    pub fn message(&self, evidence: Option<&Evidence>, ours: &str) -> String {
        let code = self.code().map(|code| format!("{code} ")).unwrap_or_default();
        let seen = evidence
            .map(|seen| format!(" (\"{}\", issued by \"{}\", serial {})", seen.subject, seen.issuer, seen.serial))
            .unwrap_or_default();
        match self {
            Self::Tls(Cause::Tls(TlsFault::Alert(number))) => {
                let advice = match number {
                    42 | 46 | 48 => {
                        "Its Wi-Fi or wired profile lacks our root certificate or our name. In Intune: the profile's certificate server names and root certificates for server validation"
                    }
                    44 | 45 => "Renew our certificate",
                    113 => "It wants a fresh OCSP response with our certificate; see ocsp-response",
                    40 | 47 | 51 | 70 | 71 => "Compare TLS versions and kinds of keys; see tls-max",
                    _ => "Look into the device's own log",
                };
                format!(
                    "{code}the device sent the alert {} after our certificate \"{ours}\". {advice}",
                    alert_name(*number)
                )
            }
            other => format!("{code}{other}{seen}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(broken) => broken.fmt(f),
            Self::RequestFromDevice => f.write_str("the device sent an EAP request"),
            Self::NoConversation => f.write_str("the EAP response belongs to no conversation"),
            Self::NothingOffered => f.write_str("no EAP method is offered here"),
            Self::Refused(wanted) => {
                f.write_str("the device refused the offered EAP method")?;
                for (at, method) in wanted.iter().enumerate() {
                    write!(f, "{} {}", if at == 0 { "; it wants" } else { "," }, method.name())?;
                }
                Ok(())
            }
            Self::TooManyRounds => f.write_str("the EAP conversation took too many rounds; raise fragment-size"),
            Self::Tls(Cause::Tls(TlsFault::Certificate(fault))) => fault.fmt(f),
            Self::Tls(Cause::Tls(TlsFault::Handshake(fault))) => fault.fmt(f),
            Self::Tls(Cause::Tls(TlsFault::Alert(number))) => {
                write!(f, "the device sent the TLS alert {}", alert_name(*number))
            }
            Self::Tls(Cause::Fragment(fault)) => fault.fmt(f),
            Self::Tls(Cause::GaveUp) => f.write_str("the device gave up in the middle of the handshake"),
            Self::Tls(Cause::Internal) => f.write_str("the keys of the session could not be derived"),
            Self::Denied | Self::Tls(Cause::Denied(_)) => f.write_str("policy denied access"),
        }
    }
}

/// What is decided about a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it in.
    Permit,
    /// Turn it away, and tell it why as far as its method can.
    Deny(Alert),
}
