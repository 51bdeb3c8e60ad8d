//! The list of all facts: names, kinds and what each one tells.
//!
//! Owns the names that a policy may use besides `radius.*`, whose names are the dictionary's. The values are read in
//! `reading`.

use super::{
    facts::{Compliance, DeviceIdSource, Lookup, Medium, Method, Source, Weekday},
    truth::Truth,
};

/// What kind of value a fact has; it decides how literals are read and which operators fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text, compared exactly.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Number,
    /// How long ago something was: a duration.
    Age,
    /// A MAC address.
    Mac,
    /// A device id.
    Guid,
    /// An IP address.
    Address,
    /// An IP network.
    Network,
    /// Dotted numbers.
    Version,
    /// One of a few words.
    Words(&'static [&'static str]),
    /// The time of day.
    Hour,
    /// The day.
    Date,
    /// Something that can only be present or absent.
    Opaque,
}

impl Kind {
    /// The kind in the reference table and in messages, with its article.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Boolean => "true or false",
            Self::Number => "a whole number",
            Self::Age => "a duration",
            Self::Mac => "a MAC address",
            Self::Guid => "a device id",
            Self::Address => "an IP address",
            Self::Network => "a network",
            Self::Version => "a version",
            Self::Words(_) => "a word",
            Self::Hour => "an hour",
            Self::Date => "a date",
            Self::Opaque => "present or absent",
        }
    }
}

/// A fact that has a fixed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each one is described in ROWS, where the reference is made from")]
pub enum Fact {
    ClientName,
    ClientAddress,
    ClientGroup,
    ClientVendor,
    SessionMethod,
    SessionMedium,
    SessionSsid,
    SessionNasPort,
    IdentityMac,
    IdentityMacRandomised,
    IdentityProven,
    IdentityDeviceId,
    IdentityDeviceIdSource,
    CertificateSubjectCn,
    CertificateIssuerCn,
    CertificateSanUri,
    CertificateSanDns,
    CertificateSerial,
    CertificateDaysLeft,
    MdmServer,
    MdmLookup,
    MdmReachable,
    MdmRegistered,
    MdmManaged,
    MdmCompliant,
    MdmCompliance,
    MdmSource,
    MdmAge,
    MdmLastCompliant,
    MdmOwner,
    MdmOs,
    MdmOsVersion,
    MdmEncrypted,
    MdmJailbroken,
    MdmManufacturer,
    MdmModel,
    MdmSerial,
    MdmDeviceName,
    MdmUser,
    MdmManagementAgent,
    MdmDaysSinceCheckIn,
    MdmThreat,
    MdmEnrolmentUrl,
    TimeWeekday,
    TimeHour,
    TimeDate,
}

/// What is to know about a fact.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The fact.
    pub fact: Fact,
    /// Its name in policies, `family.name`.
    pub name: &'static str,
    /// What kind of value it has.
    pub kind: Kind,
    /// What it tells, for the reference.
    pub about: &'static str,
}

impl Row {
    /// The family: the part before the dot.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::ALL
            .into_iter()
            .find(|family| self.name.split('.').next() == Some(family.name()))
            .unwrap_or(Family::Time)
    }

    /// The part after the dot.
    #[must_use]
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, short)| short)
    }

    /// Whether it is known before a policy set is chosen.
    #[must_use]
    pub fn is_known_early(&self) -> bool {
        match self.family() {
            Family::Radius | Family::Client | Family::Session | Family::Time => true,
            Family::Identity => matches!(self.fact, Fact::IdentityMac | Fact::IdentityMacRandomised),
            Family::Certificate | Family::Mdm => false,
        }
    }
}

/// The families of facts: the part of a name before the dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Attributes of the request.
    Radius,
    /// The client.
    Client,
    /// The way of the device into the network.
    Session,
    /// Who the device is.
    Identity,
    /// Its certificate.
    Certificate,
    /// What device management says.
    Mdm,
    /// When it is.
    Time,
}

impl Family {
    /// All families in the order of the reference.
    pub const ALL: [Self; 7] =
        [Self::Radius, Self::Client, Self::Session, Self::Identity, Self::Certificate, Self::Mdm, Self::Time];

    /// The name before the dot.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Radius => "radius",
            Self::Client => "client",
            Self::Session => "session",
            Self::Identity => "identity",
            Self::Certificate => "certificate",
            Self::Mdm => "mdm",
            Self::Time => "time",
        }
    }

    /// The family of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// What a comparison with an absent fact of this family comes to.
    ///
    /// What a request does not carry is simply not there; what nobody could find out is unknown, and then neither a
    /// rule nor its negation may fire.
    #[must_use]
    pub const fn absent(self) -> Truth {
        match self {
            Self::Radius | Self::Client | Self::Session | Self::Time => Truth::False,
            Self::Identity | Self::Certificate | Self::Mdm => Truth::Undefined,
        }
    }
}

/// The row of the fact `family.name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// The row of `fact`.
#[must_use]
pub fn row(fact: Fact) -> &'static Row {
    ROWS.get(fact as usize).expect("a test holds that the rows stand in the order of the facts")
}

const fn fact(fact: Fact, name: &'static str, kind: Kind, about: &'static str) -> Row {
    Row { fact, name, kind, about }
}

/// All facts in the order of the reference.
pub const ROWS: &[Row] = &[
    fact(Fact::ClientName, "client.name", Kind::Text, "the name of the `[[client]]`"),
    fact(Fact::ClientAddress, "client.address", Kind::Address, "the address that the request came from"),
    fact(Fact::ClientGroup, "client.group", Kind::Text, "each of the client's `groups`"),
    fact(Fact::ClientVendor, "client.vendor", Kind::Text, "the client's `vendor`"),
    fact(
        Fact::SessionMethod,
        "session.method",
        Kind::Words(Method::NAMES),
        "how the device shows who it is; `eap` stands for both EAP methods, and is all that a set's `when` can ask",
    ),
    fact(Fact::SessionMedium, "session.medium", Kind::Words(Medium::NAMES), "what the device is connected by"),
    fact(Fact::SessionSsid, "session.ssid", Kind::Text, "the name of the wireless network"),
    fact(Fact::SessionNasPort, "session.nas-port", Kind::Text, "the client's port: NAS-Port-Id, else NAS-Port"),
    fact(Fact::IdentityMac, "identity.mac", Kind::Mac, "the device's MAC address"),
    fact(
        Fact::IdentityMacRandomised,
        "identity.mac-randomised",
        Kind::Boolean,
        "whether the device made its MAC address up, as phones do for privacy",
    ),
    fact(
        Fact::IdentityProven,
        "identity.proven",
        Kind::Boolean,
        "whether the id that was looked up came from a verified certificate or a trusted attribute; false for every MAC",
    ),
    fact(Fact::IdentityDeviceId, "identity.device-id", Kind::Guid, "the device id that was looked up"),
    fact(
        Fact::IdentityDeviceIdSource,
        "identity.device-id-source",
        Kind::Words(DeviceIdSource::NAMES),
        "where the id that was looked up came from",
    ),
    fact(Fact::CertificateSubjectCn, "certificate.subject-cn", Kind::Text, "the common name of the certificate"),
    fact(Fact::CertificateIssuerCn, "certificate.issuer-cn", Kind::Text, "the common name of its issuer"),
    fact(Fact::CertificateSanUri, "certificate.san-uri", Kind::Text, "each URI among its alternative names"),
    fact(Fact::CertificateSanDns, "certificate.san-dns", Kind::Text, "each DNS name among its alternative names"),
    fact(Fact::CertificateSerial, "certificate.serial", Kind::Text, "its serial number, hexadecimal"),
    fact(Fact::CertificateDaysLeft, "certificate.days-left", Kind::Number, "whole days until it expires"),
    fact(Fact::MdmServer, "mdm.server", Kind::Text, "the name of the `[[mdm]]` server that answered"),
    fact(Fact::MdmLookup, "mdm.lookup", Kind::Words(Lookup::NAMES), "what came of the lookup; always known"),
    fact(Fact::MdmReachable, "mdm.reachable", Kind::Boolean, "whether there is a usable answer"),
    fact(Fact::MdmRegistered, "mdm.registered", Kind::Boolean, "whether the device is known and managed"),
    fact(Fact::MdmManaged, "mdm.managed", Kind::Boolean, "whether the server manages it"),
    fact(Fact::MdmCompliant, "mdm.compliant", Kind::Boolean, "whether it is compliant"),
    fact(Fact::MdmCompliance, "mdm.compliance", Kind::Words(Compliance::NAMES), "the state of compliance itself"),
    fact(Fact::MdmSource, "mdm.source", Kind::Words(Source::NAMES), "how the answer came"),
    fact(Fact::MdmAge, "mdm.age", Kind::Age, "how old the answer is"),
    fact(
        Fact::MdmLastCompliant,
        "mdm.last-compliant",
        Kind::Age,
        "how long ago the newest answer was given, only if it said compliant",
    ),
    fact(Fact::MdmOwner, "mdm.owner", Kind::Text, "`company`, `personal` or `unknown`"),
    fact(Fact::MdmOs, "mdm.os", Kind::Text, "the operating system: `Windows`, `iOS`, `macOS`, `Android`, …"),
    fact(Fact::MdmOsVersion, "mdm.os-version", Kind::Version, "its version"),
    fact(Fact::MdmEncrypted, "mdm.encrypted", Kind::Boolean, "whether its disk is encrypted"),
    fact(Fact::MdmJailbroken, "mdm.jailbroken", Kind::Boolean, "whether it is jail-broken or rooted"),
    fact(Fact::MdmManufacturer, "mdm.manufacturer", Kind::Text, "its manufacturer"),
    fact(Fact::MdmModel, "mdm.model", Kind::Text, "its model"),
    fact(Fact::MdmSerial, "mdm.serial", Kind::Text, "its serial number"),
    fact(Fact::MdmDeviceName, "mdm.device-name", Kind::Text, "its name"),
    fact(Fact::MdmUser, "mdm.user", Kind::Text, "its primary user"),
    fact(Fact::MdmManagementAgent, "mdm.management-agent", Kind::Text, "which agent manages it"),
    fact(
        Fact::MdmDaysSinceCheckIn,
        "mdm.days-since-check-in",
        Kind::Number,
        "whole days since it last spoke to the server",
    ),
    fact(Fact::MdmThreat, "mdm.threat", Kind::Text, "what a threat defence partner reported"),
    fact(Fact::MdmEnrolmentUrl, "mdm.enrolment-url", Kind::Text, "where its user enrols it"),
    fact(Fact::TimeWeekday, "time.weekday", Kind::Words(Weekday::NAMES), "the day of the week"),
    fact(Fact::TimeHour, "time.hour", Kind::Hour, "the time of day: whole hours such as `8`, or `\"08:30\"`"),
    fact(Fact::TimeDate, "time.date", Kind::Date, "the day, such as `2026-12-24`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_one_row_in_the_order_of_the_enumeration() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.fact as usize, index, "{}", row.name);
            assert_eq!(find(row.name).map(|found| found.fact), Some(row.fact));
            assert!(row.name.starts_with(&format!("{}.", row.family().name())), "{}", row.name);
        }
        assert_eq!(ROWS.len(), Fact::TimeDate as usize + 1);
    }
}
