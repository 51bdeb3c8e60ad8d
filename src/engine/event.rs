//! What the engine tells the decision log: borrowed facts about one decision, drop or accounting record.
//!
//! Owns the shapes and the reasons' names. How a line looks is `audit`'s business; nothing is formatted or kept here.

use std::{net::IpAddr, time::Duration};

use crate::{
    clock::Now,
    device::identifier::{Guid, MacAddress},
    dictionary::Dictionary,
    policy::{
        compiled::Policy,
        facts::{CertificateFacts, Facts},
    },
    radius::packet::Packet,
};

/// Takes events. One for each shard; implemented by `audit`.
pub trait EventSink: Send {
    /// Takes one event, or loses and counts it if there is no room. `false` means lost: an accounting request is then
    /// not acknowledged (RFC 2866 section 2).
    fn tell(&mut self, event: &Event<'_>) -> bool;

    /// The batch ends: what was taken is handed on if there is enough of it or if it waited long enough.
    fn flush(&mut self, now: Now);
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A request was decided.
    Decision(&'a DecisionEvent<'a>),
    /// Datagrams were dropped.
    Drops(&'a DropEvent<'a>),
    /// An accounting record came.
    Accounting(&'a AccountingEvent<'a>),
}

/// One decision (CONTRACT section 4).
#[derive(Clone, Copy, Debug)]
pub struct DecisionEvent<'a> {
    /// When the decision was made.
    pub now: Now,
    /// The client's name.
    pub client: &'a str,
    /// The NAS as it names itself, else the address it sent from.
    pub nas_ip: IpAddr,
    /// NAS-Identifier.
    pub nas_identifier: Option<&'a [u8]>,
    /// NAS-Port-Id, else NAS-Port as digits.
    pub nas_port: Option<&'a [u8]>,
    /// The packet's Identifier.
    pub packet_id: u8,
    /// `mab`, `authorize-only`, `eap-tls`, `pap`, …
    pub method: &'static str,
    /// User-Name as it came.
    pub user: Option<&'a [u8]>,
    /// The device's MAC.
    pub mac: Option<MacAddress>,
    /// The device id that was looked up.
    pub device_id: Option<Guid>,
    /// Where the identity that was looked up came from.
    pub device_id_source: Option<&'static str>,
    /// The device's certificate, once it was verified.
    pub certificate: Option<CertificateFacts<'a>>,
    /// The EAP conversation that ended.
    pub dialogue: Option<DialogueEvent>,
    /// What device management said; absent if policy was not asked.
    pub mdm: Option<MdmEvent<'a>>,
    /// The rule that matched.
    pub rule: Option<&'a str>,
    /// The set that was chosen, the rule that matched and the profiles that were applied: members of a JSON object, made
    /// when the policy was loaded.
    pub outcome_json: &'a str,
    /// Rules in state `monitor` that would have matched before the one that did: the first few.
    pub monitored: [Option<MonitoredEvent<'a>>; 4],
    /// How many there were in all.
    pub monitored_count: u32,
    /// `accept`, `reject`, `ignore`, `challenge`.
    pub verdict: &'static str,
    /// Why, by name.
    pub reason: &'static str,
    /// What an admin should know beyond the reason.
    pub detail: Option<&'a str>,
    /// What the reply carries, as a JSON object made when the policy was loaded.
    pub reply_json: &'a str,
    /// The session id that Class carries.
    pub session: Option<[u8; 16]>,
    /// From arrival to decision.
    pub latency: Duration,
    /// The request, for the attributes that `replay` needs.
    pub request: Packet<'a>,
    /// Which attributes those are.
    pub logged: &'a [crate::dictionary::Attribute],
    /// Their names.
    pub dictionary: &'a Dictionary,
    /// What was known besides, if policy was asked: `explain` and `replay` need it.
    pub facts: Option<JudgedFacts<'a>>,
}

/// The facts that were judged, and the policy that knows which of them are worth a place in the log.
#[derive(Clone, Copy, Debug)]
pub struct JudgedFacts<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The facts.
    pub facts: &'a Facts<'a>,
}

/// A rule in state `monitor`, and what it would have done.
#[derive(Clone, Copy, Debug)]
pub struct MonitoredEvent<'a> {
    /// Its name.
    pub rule: &'a str,
    /// `accept`, `reject` or `ignore`.
    pub verdict: &'static str,
    /// The profiles that would have been applied.
    pub profiles: &'a [Box<str>],
}

/// An EAP conversation that ended, for a decision's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialogueEvent {
    /// The version of TLS, once the handshake succeeded.
    pub tls: Option<&'static str>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Requests that were sent.
    pub rounds: u16,
}

/// What device management said, for a decision's line.
#[derive(Clone, Copy, Debug)]
pub struct MdmEvent<'a> {
    /// Who said it.
    pub server: Option<&'a str>,
    /// `found`, `not-found`, `unreachable`, …
    pub lookup: &'static str,
    /// The compliance state.
    pub compliance: Option<&'static str>,
    /// `fresh`, `live`, `sync`, `stale`.
    pub source: Option<&'static str>,
    /// How old the answer is.
    pub age: Option<Duration>,
    /// How long the request waited for it.
    pub waited: Duration,
}

/// Datagrams that were dropped for one reason, from one sender, in one interval.
#[derive(Clone, Copy, Debug)]
pub struct DropEvent<'a> {
    /// When this is told.
    pub now: Now,
    /// Why.
    pub reason: DropReason,
    /// Which rule was broken, for `malformed`.
    pub detail: Option<&'static str>,
    /// The client, if the sender is one.
    pub client: Option<&'a str>,
    /// The sender.
    pub peer: IpAddr,
    /// How many.
    pub count: u64,
    /// NAS-IP-Address of the last one, for the hint about address translation.
    pub nas_ip: Option<IpAddr>,
}

/// One accounting record.
#[derive(Clone, Copy, Debug)]
pub struct AccountingEvent<'a> {
    /// When it came.
    pub now: Now,
    /// The client's name.
    pub client: &'a str,
    /// The address it sent from.
    pub peer: IpAddr,
    /// The record. Passwords and other secrets in it are not logged.
    pub request: Packet<'a>,
    /// Names of its attributes.
    pub dictionary: &'a Dictionary,
}

/// Why a datagram was dropped. The order is that of [`crate::metrics::engine::DROP_REASONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// No `[[client]]` covers the sender's address.
    UnknownClient,
    /// The authenticator of an Accounting-Request is wrong.
    BadAuthenticator,
    /// The Message-Authenticator is wrong.
    BadMessageAuthenticator,
    /// There is no Message-Authenticator, and there must be one.
    MissingMessageAuthenticator,
    /// Proxy-State without Message-Authenticator.
    ProxyState,
    /// A rule of the packet format was broken.
    Malformed,
    /// A code that this port does not serve.
    UnexpectedCode,
    /// A repeat of a request that is still being worked on.
    Duplicate,
    /// No room.
    Overload,
    /// A mistake of ours.
    Bug,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::UnknownClient,
        Self::BadAuthenticator,
        Self::BadMessageAuthenticator,
        Self::MissingMessageAuthenticator,
        Self::ProxyState,
        Self::Malformed,
        Self::UnexpectedCode,
        Self::Duplicate,
        Self::Overload,
        Self::Bug,
    ];

    /// The label in metrics and in the log.
    #[must_use]
    pub fn label(self) -> &'static str {
        crate::metrics::engine::DROP_REASONS.get(self as usize).copied().unwrap_or("bug")
    }

    /// What an admin should know and do.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::UnknownClient => {
                "no [[client]] covers this address; add one, or look for address translation on the way"
            }
            Self::BadAuthenticator => "the authenticator does not verify, so the shared secrets differ",
            Self::BadMessageAuthenticator => "Message-Authenticator does not verify, so the shared secrets differ",
            Self::MissingMessageAuthenticator => {
                "no Message-Authenticator (CVE-2024-3596); update the NAS, or set message-authenticator = \"learn\" for this client"
            }
            Self::ProxyState => "Proxy-State without Message-Authenticator is how CVE-2024-3596 is exploited",
            Self::Malformed => "the packet breaks a rule of the format",
            Self::UnexpectedCode => "this port does not serve such packets; are the two ports swapped on the NAS?",
            Self::Duplicate => "a repeat of a request that is still being worked on",
            Self::Overload => "there was no room for it",
            Self::Bug => "a mistake in radmit; please report it",
        }
    }
}

/// Why a request was rejected before policy, or decided without a rule. Rules' own reasons are in policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// PAP or CHAP of somebody that is no device: radmit keeps no passwords.
    NoPasswordUsers,
    /// User-Name and Calling-Station-Id are two different MACs.
    MacMismatch,
    /// The password of a MAC bypass is neither the MAC nor empty.
    MabPassword,
    /// More than one of User-Password, CHAP-Password and the like.
    TwoCredentials,
    /// A password attribute of a size that RFC 2865 does not allow, or ARAP-Password.
    BadPasswordAttribute,
    /// Nothing that could authenticate anybody.
    NoCredentials,
    /// EAP, and there is no `[eap-tls]`.
    EapNotOffered,
    /// An EAP packet that breaks the rules of RFC 3748.
    EapMalformed,
    /// Authorize-Only from a client without `trust-authorize-only`.
    AuthorizeOnlyNotTrusted,
    /// The attributes of an accept and the echoed Proxy-State don't fit into one packet.
    ReplyTooLarge,
    /// The request for an ACL without the pair that says what it is.
    AclPairMissing,
    /// The request for an ACL without Message-Authenticator.
    AclUnsigned,
    /// The request for an ACL that no policy has.
    AclUnknown,
    /// The request for an ACL with rules of before.
    AclOutdated,
    /// The request for a further part of an ACL, with a State that names none.
    AclState,
}

impl RejectReason {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::NoPasswordUsers,
        Self::MacMismatch,
        Self::MabPassword,
        Self::TwoCredentials,
        Self::BadPasswordAttribute,
        Self::NoCredentials,
        Self::EapNotOffered,
        Self::EapMalformed,
        Self::AuthorizeOnlyNotTrusted,
        Self::ReplyTooLarge,
        Self::AclPairMissing,
        Self::AclUnsigned,
        Self::AclUnknown,
        Self::AclOutdated,
        Self::AclState,
    ];

    /// The name in logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoPasswordUsers => "no-password-users",
            Self::MacMismatch => "mac-mismatch",
            Self::MabPassword => "mab-password",
            Self::TwoCredentials => "two-credentials",
            Self::BadPasswordAttribute => "bad-password-attribute",
            Self::NoCredentials => "no-credentials",
            Self::EapNotOffered => "eap-not-offered",
            Self::EapMalformed => "eap-malformed",
            Self::AuthorizeOnlyNotTrusted => "authorize-only-not-trusted",
            Self::ReplyTooLarge => "reply-too-large",
            Self::AclPairMissing => "acl-pair-missing",
            Self::AclUnsigned => "acl-unsigned",
            Self::AclUnknown => "acl-unknown",
            Self::AclOutdated => "acl-outdated",
            Self::AclState => "acl-state",
        }
    }

    /// What an admin should know and do.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NoPasswordUsers => {
                "radmit keeps no passwords of people; use EAP-TLS, or MAC bypass with the MAC as User-Name"
            }
            Self::MacMismatch => "User-Name and Calling-Station-Id are different MACs; set mac-from for this client",
            Self::MabPassword => "the password is neither the MAC nor empty; set mab-password for this client",
            Self::TwoCredentials => "the request carries two kinds of credentials (RFC 3579 section 3.3)",
            Self::BadPasswordAttribute => {
                "a password attribute has a length that RFC 2865 does not allow, or it is ARAP-Password, which nobody here can check"
            }
            Self::NoCredentials => "the request carries nothing that authenticates a device",
            Self::EapNotOffered => "the client asks for EAP, and there is no [eap-tls] in the configuration",
            Self::EapMalformed => "the EAP packet breaks the rules of RFC 3748",
            Self::AuthorizeOnlyNotTrusted => "Authorize-Only needs trust-authorize-only = true for this client",
            Self::ReplyTooLarge => "the profile's attributes and the echoed Proxy-State exceed 4096 octets",
            Self::AclPairMissing => {
                "the name is that of an ACL, but there is no Cisco-AVPair = \"aaa:event=acl-download\" beside it"
            }
            Self::AclUnsigned => "the request for an ACL carries no Message-Authenticator",
            Self::AclUnknown => "no ACL of the policy has that name; another server may have told it to the client",
            Self::AclOutdated => {
                "the policy has that ACL with other rules, and the old ones are not kept any more; the client must ask \
                 for authorization again"
            }
            Self::AclState => "the State names no part of that ACL; the client must begin the download anew",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::engine::DROP_REASONS;

    #[test]
    fn drop_reasons_stand_in_the_order_of_their_cells() {
        for (at, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
            assert_eq!(reason.label(), DROP_REASONS[at]);
        }
    }

    #[test]
    fn every_reject_reason_has_a_label_of_its_own() {
        let labels: std::collections::HashSet<_> = RejectReason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), RejectReason::ALL.len());
    }
}
