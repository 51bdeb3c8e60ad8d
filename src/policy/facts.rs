//! What is known about one request: plain borrowed values that policy judges.
//!
//! Owns the shapes only. Which names a policy file may use is the catalogue's business, where the values come from is
//! the engine's. Building [`Facts`] allocates nothing, and what a request can tell by itself (`radius.*`, `time.*`) is
//! read only when a rule asks.

use std::{net::IpAddr, time::Duration};

use jiff::tz::TimeZone;

use crate::{clock::Now, radius::packet::Packet};

/// Everything that a rule may ask about one request.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `radius.*`: read from the packet when asked.
    pub packet: Packet<'a>,
    /// `client.*`.
    pub client: ClientFacts<'a>,
    /// `session.*`.
    pub session: SessionFacts<'a>,
    /// `identity.*`.
    pub identity: IdentityFacts,
    /// `certificate.*`; none without a verified certificate.
    pub certificate: Option<CertificateFacts<'a>>,
    /// `mdm.*`.
    pub mdm: MdmFacts<'a>,
    /// For `time.*`.
    pub now: Now,
    /// The server's `timezone`, for `time.*`.
    pub zone: &'a TimeZone,
}

/// The client that sent the request, as configured.
#[derive(Clone, Copy, Debug)]
pub struct ClientFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// The address it sent from.
    pub address: IpAddr,
    /// Its groups.
    pub groups: &'a [Box<str>],
    /// The name of its vendor table.
    pub vendor: &'a str,
}

/// How the device is connected and how it shows who it is.
#[derive(Clone, Copy, Debug)]
pub struct SessionFacts<'a> {
    /// How it shows who it is. [`Method::Eap`] while a set is chosen for an EAP conversation.
    pub method: Method,
    /// What it is connected by, if the request tells.
    pub medium: Option<Medium>,
    /// The wireless network's name.
    pub ssid: Option<&'a [u8]>,
    /// The port of the client.
    pub nas_port: Option<NasPort<'a>>,
}

/// The port of a client: its name where there is one, else its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NasPort<'a> {
    /// NAS-Port-Id.
    Id(&'a [u8]),
    /// NAS-Port.
    Number(u32),
}

/// Who the device says it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityFacts {
    /// Its MAC address, in transmission order. `identity.mac-randomised` follows from it.
    pub mac: Option<[u8; 6]>,
    /// Whether the id that was looked up came from a verified certificate or a trusted attribute. `None` when nothing
    /// identifies the device.
    pub proven: Option<bool>,
    /// The device id that was looked up, in printing order.
    pub device_id: Option<[u8; 16]>,
    /// Where the id that was looked up came from.
    pub device_id_source: Option<DeviceIdSource>,
}

/// The device's verified certificate.
#[derive(Clone, Copy, Debug)]
pub struct CertificateFacts<'a> {
    /// Common name of the subject.
    pub subject_cn: Option<&'a str>,
    /// Common name of the issuer.
    pub issuer_cn: Option<&'a str>,
    /// Subject alternative names that are URIs.
    pub san_uri: &'a [Box<str>],
    /// Subject alternative names that are DNS names.
    pub san_dns: &'a [Box<str>],
    /// Serial number, hexadecimal.
    pub serial: &'a str,
    /// Whole days until it expires.
    pub days_left: i64,
}

/// What device management says about the device, and how that was learnt.
#[derive(Clone, Copy, Debug, Default)]
pub struct MdmFacts<'a> {
    /// The name of the server that answered or was asked last.
    pub server: Option<&'a str>,
    /// What came of the lookup. `mdm.reachable` follows from it.
    pub lookup: Lookup,
    /// Whether the device is known and managed.
    pub registered: Option<bool>,
    /// Whether the server manages it.
    pub managed: Option<bool>,
    /// Whether it is compliant.
    pub compliant: Option<bool>,
    /// Its compliance state.
    pub compliance: Option<Compliance>,
    /// How the answer came.
    pub source: Option<Source>,
    /// How old the answer is.
    pub age: Option<Duration>,
    /// How long ago the newest answer was given, only if that one said compliant.
    pub last_compliant: Option<Duration>,
    /// `company`, `personal`, …
    pub owner: Option<&'a str>,
    /// `Windows`, `iOS`, …
    pub os: Option<&'a str>,
    /// Dotted numbers.
    pub os_version: Option<&'a str>,
    /// Manufacturer.
    pub manufacturer: Option<&'a str>,
    /// Model.
    pub model: Option<&'a str>,
    /// Serial number.
    pub serial: Option<&'a str>,
    /// The device's name.
    pub device_name: Option<&'a str>,
    /// The primary user's principal name.
    pub user: Option<&'a str>,
    /// Which agent manages it.
    pub management_agent: Option<&'a str>,
    /// What a threat defence partner reported.
    pub threat: Option<&'a str>,
    /// Whether its disk is encrypted.
    pub encrypted: Option<bool>,
    /// Whether it is jail-broken or rooted.
    pub jailbroken: Option<bool>,
    /// Whole days since it last spoke to the server.
    pub days_since_check_in: Option<i64>,
    /// Where a user enrols a device.
    pub enrolment_url: Option<&'a str>,
}

/// Declares an enumeration whose members have a name in policies and logs.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$member_doc])* $member,)+ }

        impl $name {
            /// All members.
            pub const ALL: &'static [Self] = &[$(Self::$member,)+];

            /// The names of all members, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($word,)+];

            /// The name in policies and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$member => $word,)+ }
            }

            /// The member of that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($word => Some(Self::$member),)+ _ => None }
            }
        }
    };
}

words! {
    /// How a device shows who it is.
    Method {
        /// MAC bypass: by its address alone.
        Mab = "mab",
        /// EAP-TLS: by a certificate.
        EapTls = "eap-tls",
        /// EAP-MD5: by its address, inside EAP.
        EapMd5 = "eap-md5",
        /// Another server has authenticated it already.
        AuthorizeOnly = "authorize-only",
        /// EAP of which the method is not agreed yet: only while a set is chosen.
        Eap = "eap",
    }
}

words! {
    /// What a device is connected by.
    Medium {
        /// A switch port.
        Wired = "wired",
        /// An access point.
        Wireless = "wireless",
        /// A VPN or anything virtual.
        Virtual = "virtual",
    }
}

words! {
    /// Where the id that was looked up came from.
    DeviceIdSource {
        /// A subject alternative name of the certificate.
        CertificateSan = "certificate-san",
        /// The subject's common name.
        CertificateCn = "certificate-cn",
        /// An attribute of a trusted client's request.
        Attribute = "attribute",
        /// The MAC address.
        Mac = "mac",
    }
}

words! {
    /// What came of a lookup.
    Lookup {
        /// The device is known.
        Found = "found",
        /// It is positively unknown.
        NotFound = "not-found",
        /// No connection, or no sensible answer.
        Unreachable = "unreachable",
        /// Microsoft's limit, or our own budget.
        Throttled = "throttled",
        /// No answer in time.
        Late = "late",
        /// Credentials, permissions or licences are wrong.
        Misconfigured = "misconfigured",
        /// The index that could tell is not complete yet.
        NotReady = "not-ready",
        /// Several devices fit.
        Ambiguous = "ambiguous",
        /// Nobody was asked.
        NotAsked = "not-asked",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro declares all word lists alike, none with a default member")]
impl Default for Lookup {
    fn default() -> Self {
        Self::NotAsked
    }
}

impl Lookup {
    /// The fact `mdm.reachable`: whether there is a usable answer; absent when nobody was asked.
    #[must_use]
    pub const fn reachable(self) -> Option<bool> {
        match self {
            Self::Found | Self::NotFound | Self::Ambiguous => Some(true),
            Self::Unreachable | Self::Throttled | Self::Late | Self::Misconfigured | Self::NotReady => Some(false),
            Self::NotAsked => None,
        }
    }
}

words! {
    /// States of compliance.
    Compliance {
        /// Compliant.
        Compliant = "compliant",
        /// Not compliant.
        NonCompliant = "noncompliant",
        /// Not compliant, but within the time in which that is forgiven.
        InGracePeriod = "in-grace-period",
        /// Not evaluated yet, or a state that this version doesn't know.
        Unknown = "unknown",
        /// Policies contradict each other.
        Conflict = "conflict",
        /// The evaluation failed.
        Error = "error",
        /// Configuration Manager decides.
        ConfigManager = "config-manager",
    }
}

words! {
    /// How an answer came.
    Source {
        /// From memory, young enough.
        Fresh = "fresh",
        /// The request waited for it.
        Live = "live",
        /// From memory, brought by the background sync.
        Sync = "sync",
        /// From memory, too old, because nobody could be asked.
        Stale = "stale",
        /// An older answer is kept although a newer one differs, because too many devices changed at once.
        Held = "held",
    }
}

words! {
    /// Days of the week.
    Weekday {
        /// Monday.
        Monday = "monday",
        /// Tuesday.
        Tuesday = "tuesday",
        /// Wednesday.
        Wednesday = "wednesday",
        /// Thursday.
        Thursday = "thursday",
        /// Friday.
        Friday = "friday",
        /// Saturday.
        Saturday = "saturday",
        /// Sunday.
        Sunday = "sunday",
    }
}
