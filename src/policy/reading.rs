//! Reads the values of facts while a request is judged.
//!
//! Owns the way from a fact's name to its values, and how a value looks to people. It compares nothing.

use std::{fmt, net::IpAddr, time::Duration};

use jiff::Timestamp;

use super::{
    catalogue::{Fact, Kind},
    facts::{CertificateFacts, Facts, NasPort, Weekday},
    mac::{self, MacPrefix},
};
use crate::document::write_duration;

/// One value of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// Text, or plain octets.
    Text(&'a [u8]),
    /// Whatever can be counted: numbers, truth values (0, 1), the place of a word in its list, ages in microseconds,
    /// minutes of the day, dates as 20261224.
    Number(i128),
    /// A MAC address.
    Mac([u8; 6]),
    /// A device id.
    Guid([u8; 16]),
    /// An IP address.
    Address(IpAddr),
    /// An IP network: address and prefix length.
    Network(IpAddr, u8),
    /// Something is there, and that is all that can be said.
    Opaque,
}

/// The wall clock in the server's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    weekday: Weekday,
    minute: u16,
    date: u32,
}

impl LocalTime {
    /// What the clock on the wall shows at the request.
    #[must_use]
    pub fn of(facts: &Facts<'_>) -> Self {
        // Outside of the years -9999 to 9999 there is no calendar; 1970 is as wrong as any other year.
        let timestamp = Timestamp::from_microsecond(facts.now.wall.as_micros()).unwrap_or_default();
        let local = facts.zone.to_datetime(timestamp);
        let weekday = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        Self {
            weekday: Weekday::ALL.get(weekday).copied().unwrap_or(Weekday::Monday),
            minute,
            date: date_number(local.date()),
        }
    }
}

/// A date as a number that sorts and reads: 20261224.
#[must_use]
pub fn date_number(date: jiff::civil::Date) -> u32 {
    let year = u32::from(date.year().unsigned_abs());
    year * 10_000 + u32::from(date.month().unsigned_abs()) * 100 + u32::from(date.day().unsigned_abs())
}

/// Calls `visit` with each value of `fact` until it says that this is enough. Whether there was a value at all.
///
/// `local_time` is asked only for `time.*`.
#[inline]
pub fn each_value(
    fact: Fact,
    facts: &Facts<'_>,
    local_time: impl FnOnce() -> LocalTime,
    visit: &mut (impl FnMut(Reading<'_>) -> bool + ?Sized),
) -> bool {
    let texts = match fact {
        Fact::ClientGroup => facts.client.groups,
        Fact::CertificateSanUri => facts.certificate.map_or(&[][..], |certificate| certificate.san_uri),
        Fact::CertificateSanDns => facts.certificate.map_or(&[][..], |certificate| certificate.san_dns),
        Fact::SessionNasPort => return nas_port(facts.session.nas_port, &mut |reading| visit(reading)),
        Fact::TimeWeekday | Fact::TimeHour | Fact::TimeDate => {
            visit(of_time(fact, local_time()));
            return true;
        }
        _ => {
            return single(fact, facts).map(visit).is_some();
        }
    };
    for text in texts {
        if visit(Reading::Text(text.as_bytes())) {
            break;
        }
    }
    !texts.is_empty()
}

/// The value of a fact that has at most one.
fn single<'a>(fact: Fact, facts: &Facts<'a>) -> Option<Reading<'a>> {
    // The catalogue lists the families one after the other.
    if (fact as u8) < Fact::IdentityMac as u8 {
        of_session(fact, facts)
    } else if (fact as u8) < Fact::CertificateSubjectCn as u8 {
        of_identity(fact, facts)
    } else if (fact as u8) < Fact::MdmServer as u8 {
        of_certificate(fact, facts.certificate?)
    } else {
        of_mdm(fact, facts)
    }
}

fn nas_port(port: Option<NasPort<'_>>, visit: &mut dyn FnMut(Reading<'_>) -> bool) -> bool {
    match port {
        None => return false,
        Some(NasPort::Id(id)) => visit(Reading::Text(id)),
        Some(NasPort::Number(number)) => {
            let mut digits = [0u8; 10];
            let mut left = number;
            let mut start = digits.len();
            for (at, place) in digits.iter_mut().enumerate().rev() {
                *place = b'0' + u8::try_from(left % 10).unwrap_or(0);
                left /= 10;
                start = at;
                if left == 0 {
                    break;
                }
            }
            visit(Reading::Text(digits.get(start..).unwrap_or_default()))
        }
    };
    true
}

fn of_time(fact: Fact, time: LocalTime) -> Reading<'static> {
    match fact {
        Fact::TimeHour => Reading::Number(time.minute.into()),
        Fact::TimeDate => Reading::Number(time.date.into()),
        _ => Reading::Number(time.weekday as i128),
    }
}

fn of_session<'a>(fact: Fact, facts: &Facts<'a>) -> Option<Reading<'a>> {
    Some(match fact {
        Fact::ClientName => text(facts.client.name),
        Fact::ClientAddress => Reading::Address(facts.client.address.to_canonical()),
        Fact::ClientVendor => text(facts.client.vendor),
        Fact::SessionMethod => Reading::Number(facts.session.method as i128),
        Fact::SessionMedium => Reading::Number(facts.session.medium? as i128),
        Fact::SessionSsid => Reading::Text(facts.session.ssid?),
        _ => return None,
    })
}

fn of_identity<'a>(fact: Fact, facts: &Facts<'a>) -> Option<Reading<'a>> {
    let identity = &facts.identity;
    Some(match fact {
        Fact::IdentityMac => Reading::Mac(identity.mac?),
        Fact::IdentityMacRandomised => boolean(mac::is_randomised(identity.mac?)),
        Fact::IdentityProven => boolean(identity.proven?),
        Fact::IdentityDeviceId => Reading::Guid(identity.device_id?),
        Fact::IdentityDeviceIdSource => Reading::Number(identity.device_id_source? as i128),
        _ => return None,
    })
}

fn of_certificate(fact: Fact, certificate: CertificateFacts<'_>) -> Option<Reading<'_>> {
    Some(match fact {
        Fact::CertificateSubjectCn => text(certificate.subject_cn?),
        Fact::CertificateIssuerCn => text(certificate.issuer_cn?),
        Fact::CertificateSerial => text(certificate.serial),
        Fact::CertificateDaysLeft => Reading::Number(certificate.days_left.into()),
        _ => return None,
    })
}

fn of_mdm<'a>(fact: Fact, facts: &Facts<'a>) -> Option<Reading<'a>> {
    let mdm = &facts.mdm;
    Some(match fact {
        Fact::MdmLookup => Reading::Number(mdm.lookup as i128),
        Fact::MdmReachable => boolean(mdm.lookup.reachable()?),
        Fact::MdmRegistered => boolean(mdm.registered?),
        Fact::MdmManaged => boolean(mdm.managed?),
        Fact::MdmCompliant => boolean(mdm.compliant?),
        Fact::MdmCompliance => Reading::Number(mdm.compliance? as i128),
        Fact::MdmSource => Reading::Number(mdm.source? as i128),
        Fact::MdmAge => age(mdm.age?),
        Fact::MdmLastCompliant => age(mdm.last_compliant?),
        Fact::MdmEncrypted => boolean(mdm.encrypted?),
        Fact::MdmJailbroken => boolean(mdm.jailbroken?),
        Fact::MdmDaysSinceCheckIn => Reading::Number(mdm.days_since_check_in?.into()),
        Fact::MdmServer => text(mdm.server?),
        Fact::MdmOwner => text(mdm.owner?),
        Fact::MdmOs => text(mdm.os?),
        Fact::MdmOsVersion => text(mdm.os_version?),
        Fact::MdmManufacturer => text(mdm.manufacturer?),
        Fact::MdmModel => text(mdm.model?),
        Fact::MdmSerial => text(mdm.serial?),
        Fact::MdmDeviceName => text(mdm.device_name?),
        Fact::MdmUser => text(mdm.user?),
        Fact::MdmManagementAgent => text(mdm.management_agent?),
        Fact::MdmThreat => text(mdm.threat?),
        Fact::MdmEnrolmentUrl => text(mdm.enrolment_url?),
        _ => return None,
    })
}

const fn text(text: &str) -> Reading<'_> {
    Reading::Text(text.as_bytes())
}

fn boolean(value: bool) -> Reading<'static> {
    Reading::Number(value.into())
}

/// An age as the number that is compared.
#[must_use]
pub fn age(age: Duration) -> Reading<'static> {
    Reading::Number(i128::try_from(age.as_micros()).unwrap_or(i128::MAX))
}

/// A value for people: texts bare, everything else as a policy would write it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// What kind of fact it is a value of.
    pub kind: Kind,
    /// The value.
    pub reading: Reading<'a>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reading {
            Reading::Text(text) => write_text(text, f),
            Reading::Number(number) => write_number(self.kind, number, f),
            Reading::Mac(octets) => write!(f, "{}", MacPrefix::whole(octets)),
            Reading::Guid(octets) => write_guid(octets, f),
            Reading::Address(address) => write!(f, "{address}"),
            Reading::Network(address, length) => write!(f, "{address}/{length}"),
            Reading::Opaque => f.write_str("present"),
        }
    }
}

fn write_text(text: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match std::str::from_utf8(text) {
        // Control characters of a stranger must not reach a terminal.
        Ok(text) if !text.chars().any(char::is_control) => f.write_str(text),
        _ => {
            f.write_str("0x")?;
            text.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
        }
    }
}

fn write_number(kind: Kind, number: i128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::Boolean => write!(f, "{}", number != 0),
        Kind::Words(words) => {
            let word = usize::try_from(number).ok().and_then(|at| words.get(at));
            f.write_str(word.copied().unwrap_or("?"))
        }
        Kind::Age => {
            let micros = u64::try_from(number).unwrap_or(u64::MAX);
            f.write_str(&write_duration(Duration::from_millis(micros / 1_000)))
        }
        Kind::Hour => write!(f, "{:02}:{:02}", number / 60, number % 60),
        Kind::Date => write!(f, "{:04}-{:02}-{:02}", number / 10_000, number / 100 % 100, number % 100),
        _ => write!(f, "{number}"),
    }
}

fn write_guid(octets: [u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, octet) in octets.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{octet:02x}")?;
    }
    Ok(())
}
