//! Device ids in the names of a certificate.
//!
//! Owns the forms in which certificate profiles write them, and what to tell an admin whose profile went wrong. It reads no
//! certificates: names come as text, from whoever verified them.

use std::fmt;

use crate::limits;

use super::identifier::{self, Guid};

pub use super::identifier::Form;

/// The names of a certificate, each kind in the certificate's order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// Alternative names that are URIs.
    pub uri: &'a [Box<str>],
    /// Alternative names that are DNS names.
    pub dns: &'a [Box<str>],
    /// Alternative names that are user principal names.
    pub upn: &'a [Box<str>],
    /// Alternative names that are mail addresses.
    pub email: &'a [Box<str>],
    /// The subject's common name.
    pub common_name: Option<&'a str>,
}

/// Where a device id stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// An alternative name that is a URI.
    Uri,
    /// An alternative name that is a DNS name.
    Dns,
    /// An alternative name that is a user principal name.
    Upn,
    /// An alternative name that is a mail address.
    Email,
    /// The subject's common name.
    CommonName,
}

impl Place {
    /// Whether it is a subject alternative name; else it is the common name.
    #[must_use]
    pub const fn is_alternative_name(self) -> bool {
        !matches!(self, Self::CommonName)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Uri => "SAN URI",
            Self::Dns => "SAN DNS",
            Self::Upn => "SAN UPN",
            Self::Email => "SAN email",
            Self::CommonName => "CN",
        }
    }
}

/// A device id with the place where it stood and the text around it.
///
/// No form tells reliably whether it is the id of Intune or of Entra: profiles write either into each. Both are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateId {
    /// The id.
    pub guid: Guid,
    /// Where it stood.
    pub place: Place,
    /// How it was written.
    pub form: Form,
}

impl Form {
    const fn name(self) -> &'static str {
        match self {
            Self::IntuneDeviceId => "IntuneDeviceId://",
            Self::IdGuid => "ID:…:GUID:",
            Self::EntraDeviceId => "entra-device-id:",
            Self::Label => "<id>.<domain>",
            Self::Bare => "a bare GUID",
        }
    }
}

/// What the names of a certificate say about the device.
///
/// Bound: [`limits::CERTIFICATE_IDS_MAX`] different ids; more are only noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateIds {
    list: [Option<CertificateId>; limits::CERTIFICATE_IDS_MAX],
    has_more: bool,
    unsubstituted: Option<(Place, Box<str>)>,
    has_sid_tag: bool,
}

impl CertificateIds {
    /// Reads all names: URIs, DNS names, principal names, mail addresses, then the common name. Nothing is split at commas:
    /// the strong-mapping tag has one inside.
    ///
    /// Source: Microsoft, "Use SCEP certificate profiles with Intune" (variables, strong mapping); Cisco, "Integrate MDM
    /// and UEM servers with ISE" (the GUID forms).
    #[must_use]
    pub fn read(names: &Names<'_>) -> Self {
        let mut ids = Self::default();
        let lists =
            [(Place::Uri, names.uri), (Place::Dns, names.dns), (Place::Upn, names.upn), (Place::Email, names.email)];
        for (place, list) in lists {
            list.iter().for_each(|text| ids.push(place, text));
        }
        if let Some(text) = names.common_name {
            ids.push(Place::CommonName, text);
        }
        ids
    }

    fn push(&mut self, place: Place, text: &str) {
        if is_sid_tag(text) {
            self.has_sid_tag = true;
            return;
        }
        if let Some(variable) = variable_in(text) {
            self.unsubstituted.get_or_insert_with(|| (place, variable.into()));
            return;
        }
        let dotted = matches!(place, Place::Dns | Place::CommonName);
        let Some((guid, form)) = identifier::id_in(text.trim().as_bytes(), dotted) else { return };
        for slot in &mut self.list {
            match slot {
                Some(known)
                    if known.guid == guid && known.place.is_alternative_name() == place.is_alternative_name() =>
                {
                    return;
                }
                Some(_) => {}
                None => {
                    *slot = Some(CertificateId { guid, place, form });
                    return;
                }
            }
        }
        self.has_more = true;
    }

    /// The ids in order. One may come twice: from an alternative name and from the common name.
    pub fn iter(&self) -> impl Iterator<Item = CertificateId> + '_ {
        self.list.iter().map_while(|slot| *slot)
    }

    /// The first one that stands in an alternative name.
    #[must_use]
    pub fn in_alternative_name(&self) -> Option<CertificateId> {
        self.iter().find(|id| id.place.is_alternative_name())
    }

    /// The one that stands in the common name.
    #[must_use]
    pub fn in_common_name(&self) -> Option<CertificateId> {
        self.iter().find(|id| !id.place.is_alternative_name())
    }

    /// Whether there were more different ids than are kept.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.has_more
    }

    /// What an admin should hear about these names, whatever was decided.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        if let Some((place, variable)) = &self.unsubstituted {
            return Some(Finding::Unsubstituted { place: *place, variable: variable.clone() });
        }
        let Some(first) = self.iter().next() else { return self.has_sid_tag.then_some(Finding::OnlySid) };
        let second = self.iter().find(|id| id.guid != first.guid)?;
        Some(Finding::Several { first, second })
    }
}

/// Something about a certificate's names that an admin should hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// `I102`: a variable of a certificate profile stands in the certificate as it is.
    Unsubstituted {
        /// Where.
        place: Place,
        /// The variable with its braces.
        variable: Box<str>,
    },
    /// `I103`: the only thing that looks like an id is the tag of strong mapping.
    OnlySid,
    /// `I104`: two different ids. They may be the two ids of one device; that is known only once it is found.
    Several {
        /// The one that is used.
        first: CertificateId,
        /// The other.
        second: CertificateId,
    },
}

impl Finding {
    /// The code that operators search for.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unsubstituted { .. } => "I102",
            Self::OnlySid => "I103",
            Self::Several { .. } => "I104",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.code())?;
        match self {
            Self::Unsubstituted { place, variable } => write!(
                f,
                "the {} holds the literal text \"{variable}\"; the certificate profile was assigned to something that has no such \
                 value, such as a user instead of a device",
                place.name()
            ),
            Self::OnlySid => f.write_str(
                "the alternative names have only tag:microsoft.com,2022-09-14:sid:…; this is strong mapping, not a device id. \
                 Add a URI IntuneDeviceId://{{DeviceId}} to the certificate profile",
            ),
            Self::Several { first, second } => write!(
                f,
                "two different device ids: {} ({}) and {} ({}); if they are not the two ids of one device, access is not \
                 decided by either",
                first.guid,
                first.place.name(),
                second.guid,
                second.place.name()
            ),
        }
    }
}

/// `I101`: nobody knows the device that a certificate names, or it names none.
///
/// `common_name`: what the subject says, so that the admin finds the device.
#[must_use]
pub fn not_found_message(id: Option<CertificateId>, common_name: Option<&str>) -> String {
    let subject = common_name.map(|name| format!(" Subject CN is \"{name}\".")).unwrap_or_default();
    let advice =
        "Put {{DeviceId}} or {{AAD_Device_ID}} into a URI of the SCEP or PKCS profile: IntuneDeviceId://{{DeviceId}}";
    match id {
        Some(id) => format!(
            "I101 no device in Intune for {} (taken from {} {}). Tried as Intune device id and as Entra device id: not found.\
             {subject} {advice}",
            id.guid,
            id.place.name(),
            id.form.name(),
        ),
        None => format!("I101 the certificate names no device id.{subject} {advice}"),
    }
}

/// Strong mapping: `tag:microsoft.com,2022-09-14:sid:<SID>`. Of a later date too: the tag names when it was defined.
fn is_sid_tag(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let (scheme, authority, rest) = (parts.next(), parts.next(), parts.next());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("tag"))
        && authority.is_some_and(|authority| starts_ignoring_case(authority, "microsoft.com,"))
        && rest.is_some_and(|rest| starts_ignoring_case(rest, "sid:"))
}

/// The first `{{…}}`.
fn variable_in(text: &str) -> Option<&str> {
    let start = text.find("{{")?;
    let rest = text.get(start..)?;
    let end = rest.find("}}")? + 2;
    rest.get(..end)
}

fn starts_ignoring_case(text: &str, prefix: &str) -> bool {
    after_ignoring_case(text, prefix).is_some()
}

fn after_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";
    const TWO: &str = "9f1c0000-1111-4222-8333-444455556666";
    const SID: &str = "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1004336348-1177238915-682003330-512";

    fn list(texts: &[&str]) -> Vec<Box<str>> {
        texts.iter().map(|text| Box::from(*text)).collect()
    }

    fn of_uris(texts: &[&str]) -> CertificateIds {
        CertificateIds::read(&Names { uri: &list(texts), ..Names::default() })
    }

    fn only(ids: &CertificateIds) -> CertificateId {
        assert_eq!(ids.iter().count(), 1);
        ids.iter().next().unwrap()
    }

    fn guid(text: &str) -> Guid {
        Guid::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn every_form_in_use_is_read_in_any_case_and_with_braces() {
        for (form, expected) in [
            ("IntuneDeviceId://#", Form::IntuneDeviceId),
            ("IntuneDeviceID://#", Form::IntuneDeviceId),
            ("IntuneDeviceId://#/", Form::IntuneDeviceId),
            ("ID:Microsoft Endpoint Manager:GUID:#", Form::IdGuid),
            ("ID:Microsoft Endpoint Manager:GUID#", Form::IdGuid),
            ("ID:Intune:GUID:#", Form::IdGuid),
            ("ID:Another Product:GUID:#", Form::IdGuid),
            ("urn:contoso:entra-device-id:#", Form::EntraDeviceId),
            ("entra-device-id:#", Form::EntraDeviceId),
            ("#", Form::Bare),
        ] {
            for id in [ONE.to_owned(), ONE.to_uppercase(), format!("{{{ONE}}}")] {
                let text = form.replace('#', &id);
                for text in [text.clone(), text.to_lowercase(), format!(" {text} ")] {
                    let found = only(&of_uris(&[&text]));
                    assert_eq!((found.guid, found.form), (guid(ONE), expected), "{text}");
                }
            }
        }
    }

    #[test]
    fn other_kinds_of_names_carry_ids_too() {
        let (dns, upn, email) =
            (list(&[&format!("{ONE}.contoso.com")]), list(&[&format!("{ONE}@contoso.com")]), list(&[]));
        let names = Names { dns: &dns, ..Names::default() };
        assert_eq!(only(&CertificateIds::read(&names)).form, Form::Label);
        let names = Names { upn: &upn, email: &email, ..Names::default() };
        assert_eq!(only(&CertificateIds::read(&names)).place, Place::Upn);
        let names = Names { common_name: Some(ONE), ..Names::default() };
        let ids = CertificateIds::read(&names);
        assert_eq!(ids.in_common_name().map(|id| id.guid), Some(guid(ONE)));
        assert_eq!(ids.in_alternative_name(), None);
        let host = format!("host/{ONE}.contoso.com");
        assert_eq!(CertificateIds::read(&Names { common_name: Some(&host), ..Names::default() }).iter().count(), 0);
    }

    #[test]
    fn alternative_names_come_before_the_common_name() {
        let uri = list(&[&format!("IntuneDeviceId://{ONE}")]);
        let ids = CertificateIds::read(&Names { uri: &uri, common_name: Some(TWO), ..Names::default() });
        assert_eq!(ids.iter().map(|id| id.guid).collect::<Vec<_>>(), [guid(ONE), guid(TWO)]);
        assert!(matches!(ids.finding(), Some(Finding::Several { .. })));
        assert!(ids.finding().unwrap().to_string().starts_with("I104 two different device ids: 5b1f0c52"));
    }

    #[test]
    fn one_id_in_two_places_is_one_id() {
        let uri = list(&[SID, &format!("IntuneDeviceId://{ONE}"), ONE]);
        let ids = CertificateIds::read(&Names { uri: &uri, common_name: Some(ONE), ..Names::default() });
        assert_eq!(ids.finding(), None);
        assert_eq!(ids.in_alternative_name().map(|id| id.place), Some(Place::Uri));
        assert_eq!(ids.in_common_name().map(|id| id.guid), Some(guid(ONE)), "for those who ask only there");
        assert_eq!(ids.iter().count(), 2);
    }

    #[test]
    fn the_strong_mapping_tag_is_no_id() {
        for tag in [SID, "TAG:MICROSOFT.COM,2022-09-14:SID:S-1-5-21-1", "tag:microsoft.com,2030-01-01:sid:S-1"] {
            let ids = of_uris(&[tag]);
            assert_eq!(ids.iter().count(), 0);
            assert_eq!(ids.finding(), Some(Finding::OnlySid), "{tag}");
        }
        let mixed = of_uris(&[SID, &format!("IntuneDeviceId://{ONE}")]);
        assert_eq!(mixed.finding(), None);
        assert_eq!(only(&mixed).guid, guid(ONE));
    }

    #[test]
    fn a_variable_that_was_not_filled_in_is_named() {
        let ids = of_uris(&["IntuneDeviceId://{{DeviceId}}", "x:{{AAD_Device_ID}}"]);
        let finding = ids.finding().unwrap();
        assert_eq!(finding, Finding::Unsubstituted { place: Place::Uri, variable: "{{DeviceId}}".into() });
        assert!(finding.to_string().starts_with("I102 the SAN URI holds the literal text \"{{DeviceId}}\""));
    }

    #[test]
    fn more_ids_than_anybody_needs_are_noted() {
        let texts: Vec<String> = (0..9).map(|number| format!("{number}{}", &ONE[1..])).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let ids = of_uris(&texts);
        assert_eq!(ids.iter().count(), limits::CERTIFICATE_IDS_MAX);
        assert!(ids.has_more());
    }

    #[test]
    fn what_only_resembles_an_id_is_none() {
        for text in [
            "IntuneDeviceId://",
            "IntuneDeviceId://00000000-0000-0000-0000-000000000000",
            "ID:GUID:5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01",
            "https://contoso.com/5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01",
            "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c0",
            "spiffe://contoso.com/device",
        ] {
            assert_eq!(of_uris(&[text]).iter().count(), 0, "{text}");
        }
    }

    #[test]
    fn nobody_found_says_where_the_id_came_from_and_what_to_do() {
        let id = only(&of_uris(&[&format!("IntuneDeviceId://{ONE}")]));
        let message = not_found_message(Some(id), Some("jane@contoso.com"));
        assert!(
            message.starts_with(&format!("I101 no device in Intune for {ONE} (taken from SAN URI IntuneDeviceId://)"))
        );
        assert!(message.contains("Subject CN is \"jane@contoso.com\". Put {{DeviceId}}"), "{message}");
        assert!(not_found_message(None, None).starts_with("I101 the certificate names no device id."));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String, cn: String) {
            let uri = list(&[&text]);
            let ids = CertificateIds::read(&Names { uri: &uri, dns: &uri, common_name: Some(&cn), ..Names::default() });
            prop_assert!(ids.iter().count() <= 2);
            let _ = ids.finding().map(|finding| finding.to_string());
        }
    }
}
