//! Facts that are given by name instead of being found out: for cases, explanations and replays.
//!
//! Owns the way from names and texts to [`Facts`]. What a request tells by itself is taken from it, unless the fact was
//! given; what follows from a given fact in every real request follows here too, so that nobody tests with facts that
//! can't occur.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use jiff::tz::TimeZone;

use super::{
    catalogue::{self, Fact, Family, Kind, Row},
    facts::{
        CertificateFacts, ClientFacts, Compliance, DeviceIdSource, Facts, IdentityFacts, Lookup, MdmFacts, Medium,
        Method, NasPort, SessionFacts, Source,
    },
    literal, mac, request,
};
use crate::{clock::Now, document, problem::did_you_mean, radius::packet::Packet};

/// Facts by name, as a case, a command line or a log gives them.
#[derive(Clone, Debug, Default)]
pub struct GivenFacts {
    /// Bound: the facts of the catalogue.
    texts: BTreeMap<Fact, Vec<Box<str>>>,
    /// Bound: the facts of the catalogue.
    numbers: BTreeMap<Fact, i64>,
    address: Option<IpAddr>,
    mac: Option<[u8; 6]>,
    device_id: Option<[u8; 16]>,
    /// Whether what was not given is absent, rather than what a real request would bring with the rest.
    is_complete: bool,
    /// Whether a device in its grace period is not compliant.
    is_strict: bool,
}

impl GivenFacts {
    /// Nothing is given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing is given yet, and what will not be given is absent: nothing is taken from the request or follows from
    /// other facts. For facts that were written down while a request was judged.
    #[must_use]
    pub fn complete() -> Self {
        Self { is_complete: true, ..Self::default() }
    }

    /// Whether the fact of this name was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        catalogue::find(name).is_some_and(|row| match row.kind {
            Kind::Mac => self.mac.is_some(),
            Kind::Guid => self.device_id.is_some(),
            Kind::Address => self.address.is_some(),
            _ => self.texts.contains_key(&row.fact) || self.numbers.contains_key(&row.fact),
        })
    }

    /// Gives an age by its seconds with up to six decimals.
    ///
    /// # Errors
    /// As with [`GivenFacts::give`].
    pub fn give_seconds(&mut self, name: &str, seconds: &str) -> Result<(), String> {
        let row = find(name)?;
        let (whole, decimals) = seconds.split_once('.').unwrap_or((seconds, "0"));
        let millionths = whole.parse::<i64>().ok().zip(format!("{decimals:0<6}").parse::<i64>().ok());
        let micros = millionths
            .filter(|(_, decimals)| (0..1_000_000).contains(decimals))
            .and_then(|(whole, decimals)| whole.checked_mul(1_000_000)?.checked_add(decimals))
            .filter(|micros| row.kind == Kind::Age && *micros >= 0);
        let micros = micros.ok_or_else(|| format!("{} is no age of \"{seconds}\" seconds", row.name))?;
        self.numbers.insert(row.fact, micros);
        Ok(())
    }

    /// Gives the fact of this name one value; facts with several values collect them.
    ///
    /// Truth values are `true` and `false`, ages durations such as `3h`.
    ///
    /// # Errors
    /// What is wrong with the name or the value, and after a semicolon what to do.
    pub fn give(&mut self, name: &str, value: &str) -> Result<(), String> {
        let row = find(name)?;
        let wrong = |what: &str| format!("{} is {}, and \"{value}\" is not; write {what}", row.name, row.kind.name());
        match row.kind {
            Kind::Text | Kind::Version => {
                let values = self.texts.entry(row.fact).or_default();
                if !is_repeated(row.fact) {
                    values.clear();
                }
                values.push(value.into());
            }
            Kind::Mac => self.mac = Some(mac::parse(value.as_bytes()).ok_or_else(|| wrong("A4-C3-F0-11-22-33"))?),
            Kind::Guid => {
                let octets = literal::parse_guid(value);
                self.device_id = Some(octets.ok_or_else(|| wrong("5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01"))?);
            }
            Kind::Address => self.address = Some(value.parse().map_err(|_| wrong("10.1.2.3"))?),
            Kind::Boolean => {
                let truth: bool = value.parse().map_err(|_| wrong("true or false"))?;
                self.numbers.insert(row.fact, truth.into());
            }
            Kind::Age => {
                let age = document::parse_duration(value).ok_or_else(|| wrong("how long ago it was, such as 3h"))?;
                self.numbers.insert(row.fact, i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
            }
            Kind::Words(words) => {
                let place = words.iter().position(|word| *word == value);
                let place = place.ok_or_else(|| wrong(&format!("one of: {}", words.join(", "))))?;
                self.numbers.insert(row.fact, i64::try_from(place).unwrap_or(0));
            }
            Kind::Number => {
                self.numbers.insert(row.fact, value.parse().map_err(|_| wrong("digits"))?);
            }
            Kind::Hour | Kind::Date | Kind::Network | Kind::Opaque => return Err(wrong("now = \"…\" instead")),
        }
        Ok(())
    }

    /// The client's vendor.
    #[must_use]
    pub fn vendor(&self) -> &str {
        self.text(Fact::ClientVendor).unwrap_or("generic")
    }

    /// The client's name, if one was given.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.text(Fact::ClientName)
    }

    /// Says whether a device in its grace period is compliant, which is a matter of the server that is asked; without
    /// this it is.
    pub fn set_grace_is_compliant(&mut self, grace: bool) {
        self.is_strict = !grace;
    }

    /// Takes a fact back.
    pub fn forget(&mut self, name: &str) {
        let Some(row) = catalogue::find(name) else { return };
        self.texts.remove(&row.fact);
        self.numbers.remove(&row.fact);
        match row.kind {
            Kind::Mac => self.mac = None,
            Kind::Guid => self.device_id = None,
            Kind::Address => self.address = None,
            _ => {}
        }
    }

    /// What contradicts itself among the given facts, if anything does.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        let reachable = self.truth(Fact::MdmReachable);
        let lookup = self.word(Fact::MdmLookup, Lookup::ALL);
        if let (Some(reachable), Some(lookup)) = (reachable, lookup)
            && lookup.reachable() != Some(reachable)
        {
            return Some(format!("mdm.reachable = {reachable} can't be with mdm.lookup = \"{}\"", lookup.name()));
        }
        let is_given = |fact: &Fact| self.numbers.contains_key(fact);
        let known = [Fact::MdmRegistered, Fact::MdmCompliant, Fact::MdmCompliance];
        let name = |fact: Fact| catalogue::row(fact).name;
        if self.lookup().reachable() == Some(false)
            && let Some(fact) = known.into_iter().find(is_given)
        {
            return Some(format!("{} is absent while mdm.reachable is false; remove one of them", name(fact)));
        }
        let registered = self.truth(Fact::MdmRegistered);
        match (lookup, registered) {
            (Some(Lookup::Ambiguous | Lookup::NotAsked), _) => {
                let fact = known.into_iter().find(is_given)?;
                let lookup = self.lookup().name();
                Some(format!("{} is absent with mdm.lookup = \"{lookup}\"; remove one of them", name(fact)))
            }
            (Some(lookup @ (Lookup::Found | Lookup::NotFound)), Some(registered))
                if registered != (lookup == Lookup::Found) =>
            {
                Some(format!("mdm.registered = {registered} can't be with mdm.lookup = \"{}\"", lookup.name()))
            }
            _ => self.compliance_contradiction(known),
        }
    }

    /// Only of a device that is registered anybody knows whether it is compliant, and the state says so, too.
    fn compliance_contradiction(&self, known: [Fact; 3]) -> Option<String> {
        let [_, compliant, compliance] = known;
        if self.lookup() == Lookup::NotFound {
            let fact = [compliant, compliance].into_iter().find(|fact| self.numbers.contains_key(fact))?;
            let name = catalogue::row(fact).name;
            return Some(format!("{name} is absent of a device that is not registered; remove one of them"));
        }
        let (truth, state) = (self.truth(compliant)?, self.word(compliance, Compliance::ALL)?);
        // What a grace period comes to is a matter of the server.
        let agrees = state == Compliance::InGracePeriod || truth == (state == Compliance::Compliant);
        (!agrees).then(|| format!("mdm.compliant = {truth} can't be with mdm.compliance = \"{}\"", state.name()))
    }

    /// The facts, with what the request tells where nothing else was given.
    #[must_use]
    pub fn facts<'a>(&'a self, packet: Packet<'a>, now: Now, zone: &'a TimeZone) -> Facts<'a> {
        if self.is_complete {
            return self.complete_facts(packet, now, zone);
        }
        let mac = self.mac.or_else(|| request::mac_address(&packet));
        let given_port = self.text(Fact::SessionNasPort).map(|port| NasPort::Id(port.as_bytes()));
        Facts {
            packet,
            client: ClientFacts {
                name: self.text(Fact::ClientName).unwrap_or("client"),
                address: self.address.unwrap_or(IpAddr::from([127, 0, 0, 1])),
                groups: self.list(Fact::ClientGroup),
                vendor: self.vendor(),
            },
            session: SessionFacts {
                method: self.method(&packet),
                medium: self.word(Fact::SessionMedium, Medium::ALL).or_else(|| request::medium(&packet)),
                ssid: self.text(Fact::SessionSsid).map(str::as_bytes).or_else(|| request::ssid(&packet)),
                nas_port: given_port.or_else(|| request::nas_port(&packet)),
            },
            identity: self.identity(mac),
            certificate: self.certificate(),
            mdm: self.mdm(),
            now,
            zone,
        }
    }

    /// The facts without anything that was not given.
    fn complete_facts<'a>(&'a self, packet: Packet<'a>, now: Now, zone: &'a TimeZone) -> Facts<'a> {
        Facts {
            packet,
            client: ClientFacts {
                name: self.text(Fact::ClientName).unwrap_or_default(),
                address: self.address.unwrap_or(IpAddr::from([0, 0, 0, 0])),
                groups: self.list(Fact::ClientGroup),
                vendor: self.vendor(),
            },
            session: SessionFacts {
                method: self.word(Fact::SessionMethod, Method::ALL).unwrap_or_else(|| request::method(&packet)),
                medium: self.word(Fact::SessionMedium, Medium::ALL),
                ssid: self.text(Fact::SessionSsid).map(str::as_bytes),
                nas_port: self.text(Fact::SessionNasPort).map(|port| NasPort::Id(port.as_bytes())),
            },
            identity: IdentityFacts {
                mac: self.mac,
                proven: self.truth(Fact::IdentityProven),
                device_id: self.device_id,
                device_id_source: self.word(Fact::IdentityDeviceIdSource, DeviceIdSource::ALL),
            },
            certificate: self.certificate(),
            mdm: MdmFacts {
                lookup: self.word(Fact::MdmLookup, Lookup::ALL).unwrap_or(Lookup::NotAsked),
                registered: self.truth(Fact::MdmRegistered),
                managed: self.truth(Fact::MdmManaged),
                compliant: self.truth(Fact::MdmCompliant),
                compliance: self.word(Fact::MdmCompliance, Compliance::ALL),
                source: self.word(Fact::MdmSource, Source::ALL),
                age: self.age(Fact::MdmAge),
                last_compliant: self.age(Fact::MdmLastCompliant),
                ..self.mdm_details()
            },
            now,
            zone,
        }
    }

    /// How the request shows who it is about: a certificate is only there with EAP-TLS.
    fn method(&self, packet: &Packet<'_>) -> Method {
        let given = self.word(Fact::SessionMethod, Method::ALL);
        given.or_else(|| self.certificate().map(|_| Method::EapTls)).unwrap_or_else(|| request::method(packet))
    }

    fn identity(&self, mac: Option<[u8; 6]>) -> IdentityFacts {
        let is_asked = self.lookup() != Lookup::NotAsked;
        // The id of a certificate is known once it was looked up.
        let from_certificate = self.certificate_id().filter(|_| is_asked && self.device_id.is_none());
        let device_id = self.device_id.or(from_certificate.map(|(id, _)| id));
        let source = match (device_id, mac) {
            (Some(_), _) => Some(from_certificate.map_or(DeviceIdSource::CertificateSan, |(_, source)| source)),
            (None, Some(_)) => Some(DeviceIdSource::Mac),
            (None, None) => None,
        };
        let given = self.word(Fact::IdentityDeviceIdSource, DeviceIdSource::ALL);
        let proven = given.or(source).map(|source| source != DeviceIdSource::Mac);
        IdentityFacts {
            mac,
            proven: self.truth(Fact::IdentityProven).or(proven),
            device_id,
            // Where an id came from that was not looked up, nobody says.
            device_id_source: given.or(source.filter(|_| is_asked)),
        }
    }

    /// The device id in the certificate, and where it stands: an alternative name first.
    fn certificate_id(&self) -> Option<([u8; 16], DeviceIdSource)> {
        let in_text = |text: &str| literal::guid_in(text);
        let in_name = self.list(Fact::CertificateSanUri).iter().find_map(|uri| in_text(uri));
        let in_subject = || self.text(Fact::CertificateSubjectCn).and_then(in_text);
        let found = in_name.map(|id| (id, DeviceIdSource::CertificateSan));
        found.or_else(|| in_subject().map(|id| (id, DeviceIdSource::CertificateCn)))
    }

    fn certificate(&self) -> Option<CertificateFacts<'_>> {
        let is_given = |fact: &Fact| catalogue::row(*fact).family() == Family::Certificate;
        if !self.texts.keys().chain(self.numbers.keys()).any(is_given) {
            return None;
        }
        Some(CertificateFacts {
            subject_cn: self.text(Fact::CertificateSubjectCn),
            issuer_cn: self.text(Fact::CertificateIssuerCn),
            san_uri: self.list(Fact::CertificateSanUri),
            san_dns: self.list(Fact::CertificateSanDns),
            serial: self.text(Fact::CertificateSerial).unwrap_or("01"),
            days_left: self.numbers.get(&Fact::CertificateDaysLeft).copied().unwrap_or(365),
        })
    }

    /// What came of the lookup: as given, or as the other facts imply.
    fn lookup(&self) -> Lookup {
        let given = self.word(Fact::MdmLookup, Lookup::ALL);
        given.unwrap_or_else(|| match (self.truth(Fact::MdmReachable), self.truth(Fact::MdmRegistered)) {
            (Some(false), _) => Lookup::Unreachable,
            (_, Some(false)) => Lookup::NotFound,
            (Some(true), _) | (_, Some(true)) => Lookup::Found,
            (None, None) if self.has_mdm_facts() => Lookup::Found,
            (None, None) => Lookup::NotAsked,
        })
    }

    fn has_mdm_facts(&self) -> bool {
        let is_mdm = |fact: &Fact| catalogue::row(*fact).family() == Family::Mdm;
        self.texts.keys().chain(self.numbers.keys()).any(is_mdm)
    }

    fn mdm(&self) -> MdmFacts<'_> {
        let lookup = self.lookup();
        let found = lookup == Lookup::Found;
        let compliance = self.word(Fact::MdmCompliance, Compliance::ALL);
        let is_compliant = |state| match state {
            Compliance::Compliant => true,
            Compliance::InGracePeriod => !self.is_strict,
            _ => false,
        };
        let compliant = self.truth(Fact::MdmCompliant).or_else(|| compliance.map(is_compliant));
        let implied = compliant.map(|truth| if truth { Compliance::Compliant } else { Compliance::NonCompliant });
        let registered = match lookup {
            Lookup::Found => Some(true),
            Lookup::NotFound => Some(false),
            _ => None,
        };
        let age = self.age(Fact::MdmAge).or_else(|| found.then_some(Duration::ZERO));
        let last_compliant = if compliant == Some(true) { age } else { None };
        MdmFacts {
            lookup,
            registered: self.truth(Fact::MdmRegistered).or(registered),
            managed: self.truth(Fact::MdmManaged).or(registered),
            compliant,
            compliance: compliance.or(implied),
            source: self.word(Fact::MdmSource, Source::ALL).or_else(|| found.then_some(Source::Fresh)),
            age,
            last_compliant: self.age(Fact::MdmLastCompliant).or(last_compliant),
            ..self.mdm_details()
        }
    }

    fn mdm_details(&self) -> MdmFacts<'_> {
        MdmFacts {
            server: self.text(Fact::MdmServer),
            owner: self.text(Fact::MdmOwner),
            os: self.text(Fact::MdmOs),
            os_version: self.text(Fact::MdmOsVersion),
            manufacturer: self.text(Fact::MdmManufacturer),
            model: self.text(Fact::MdmModel),
            serial: self.text(Fact::MdmSerial),
            device_name: self.text(Fact::MdmDeviceName),
            user: self.text(Fact::MdmUser),
            management_agent: self.text(Fact::MdmManagementAgent),
            threat: self.text(Fact::MdmThreat),
            encrypted: self.truth(Fact::MdmEncrypted),
            jailbroken: self.truth(Fact::MdmJailbroken),
            days_since_check_in: self.numbers.get(&Fact::MdmDaysSinceCheckIn).copied(),
            enrolment_url: self.text(Fact::MdmEnrolmentUrl),
            ..MdmFacts::default()
        }
    }

    fn text(&self, fact: Fact) -> Option<&str> {
        self.list(fact).first().map(|text| &**text)
    }

    fn list(&self, fact: Fact) -> &[Box<str>] {
        self.texts.get(&fact).map_or(&[], Vec::as_slice)
    }

    fn truth(&self, fact: Fact) -> Option<bool> {
        self.numbers.get(&fact).map(|number| *number != 0)
    }

    fn age(&self, fact: Fact) -> Option<Duration> {
        self.numbers.get(&fact).map(|micros| Duration::from_micros(micros.unsigned_abs()))
    }

    fn word<T: Copy>(&self, fact: Fact, all: &[T]) -> Option<T> {
        let place = usize::try_from(*self.numbers.get(&fact)?).ok()?;
        all.get(place).copied()
    }
}

fn find(name: &str) -> Result<&'static Row, String> {
    catalogue::find(name).ok_or_else(|| {
        let nearest = did_you_mean(name, catalogue::ROWS.iter().map(|row| row.name));
        let advice = if nearest.is_empty() { "; policies/README.md lists all facts".to_owned() } else { nearest };
        format!("unknown fact \"{name}\"{advice}")
    })
}

/// Whether the fact can have several values.
#[must_use]
pub const fn is_repeated(fact: Fact) -> bool {
    matches!(fact, Fact::ClientGroup | Fact::CertificateSanUri | Fact::CertificateSanDns)
}
