//! The query options of Graph's collections: `$select`, `$filter`, `$top`, `$skiptoken`.
//!
//! Owns their syntax and what the real service silently ignores. Rows are found by `graph`.
//!
//! Source: Microsoft Graph v1.0 managedDevice reference; for what is ignored, reports of its users: filters on MAC
//! addresses and empty keys return every device.

use crate::{
    clock::Wall,
    device::identifier::{EntraId, Guid, IntuneId},
};

use super::{bodies, chance::Permutation};

/// Which properties are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// No `$select`.
    Default,
    /// Those that were named, which all exist.
    Named(Vec<&'static str>),
}

impl Selection {
    /// Reads `$select`. `Err`: the first name that is no property.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Self::Default) };
        let known = |name: &str| bodies::PROPERTIES.into_iter().find(|known| *known == name);
        text.split(',')
            .map(|name| known(name.trim()).ok_or_else(|| name.trim().to_owned()))
            .collect::<Result<_, _>>()
            .map(Self::Named)
    }

    pub(super) fn names(&self) -> &[&'static str] {
        match self {
            Self::Default => &bodies::PROPERTIES,
            Self::Named(names) => names,
        }
    }
}

/// Which rows are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// All of them: no filter, or one that the real service ignores.
    Everybody,
    /// A key that no device has, such as a text that is no GUID.
    Nobody,
    IntuneId(IntuneId),
    EntraId(EntraId),
    Serial(String),
    Name(String),
    /// Checked in after (`true`) or before this.
    CheckedIn {
        after: bool,
        at: Wall,
    },
}

impl Filter {
    /// Reads `$filter`. `Err`: it is not supported.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, ()> {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(Self::Everybody) };
        let (property, rest) = text.split_once(' ').ok_or(())?;
        let (operator, value) = rest.trim_start().split_once(' ').ok_or(())?;
        match (property, operator, value.trim()) {
            ("lastSyncDateTime", "gt" | "lt" | "ge" | "le", value) => {
                let at = value.parse::<jiff::Timestamp>().map_err(|_| ())?;
                Ok(Self::CheckedIn { after: operator.starts_with('g'), at: Wall::from_micros(at.as_microsecond()) })
            }
            (_, "eq", value) => Self::equal(property, &quoted(value).ok_or(())?),
            _ => Err(()),
        }
    }

    fn equal(property: &str, value: &str) -> Result<Self, ()> {
        let guid = Guid::parse(value.as_bytes());
        match property {
            "wiFiMacAddress" | "ethernetMacAddress" => Ok(Self::Everybody),
            "azureADDeviceId" | "id" | "serialNumber" | "deviceName" | "imei" if value.is_empty() => {
                Ok(Self::Everybody)
            }
            "azureADDeviceId" => Ok(guid.map_or(Self::Nobody, |guid| Self::EntraId(EntraId(guid)))),
            "id" => Ok(guid.map_or(Self::Nobody, |guid| Self::IntuneId(IntuneId(guid)))),
            "serialNumber" => Ok(Self::Serial(value.to_owned())),
            "deviceName" => Ok(Self::Name(value.to_owned())),
            "imei" => Ok(Self::Nobody),
            _ => Err(()),
        }
    }
}

/// The text between single quotes; two of them stand for one.
fn quoted(value: &str) -> Option<String> {
    let inner = value.strip_prefix('\'')?.strip_suffix('\'')?;
    let plain = inner.replace("''", "\u{0}");
    (!plain.contains('\'')).then(|| plain.replace('\u{0}', "'"))
}

/// Where the next page begins, in a form that nobody is tempted to compute.
#[derive(Clone, Copy, Debug)]
pub(super) struct SkipToken(Permutation);

impl SkipToken {
    pub(super) const fn new(seed: u64) -> Self {
        Self(Permutation::new(48, seed ^ 0x736b_6970))
    }

    pub(super) fn write(self, row: usize) -> String {
        format!("{:012X}{:012X}", self.0.apply(row as u64), self.0.apply(!(row as u64) >> 16))
    }

    /// The row; none if the token is not one of ours.
    pub(super) fn read(self, token: &str) -> Option<usize> {
        let row = self.0.invert(u64::from_str_radix(token.get(..12)?, 16).ok()?);
        let row = usize::try_from(row).ok()?;
        (self.write(row) == token).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "c0ffee00-1234-4abc-8def-001122334455";

    #[test]
    fn filters_on_macs_and_empty_keys_are_ignored_as_the_real_service_does() {
        for filter in [
            "",
            "  ",
            "wiFiMacAddress eq 'A4C3F0112233'",
            "ethernetMacAddress eq 'A4C3F0112233'",
            "azureADDeviceId eq ''",
            "serialNumber eq ''",
        ] {
            assert_eq!(Filter::parse(Some(filter)), Ok(Filter::Everybody), "{filter}");
        }
        assert_eq!(Filter::parse(None), Ok(Filter::Everybody));
    }

    #[test]
    fn keys_are_read_with_their_quotes() {
        let id = Guid::parse(GUID.as_bytes()).unwrap();
        assert_eq!(Filter::parse(Some(&format!("azureADDeviceId eq '{GUID}'"))), Ok(Filter::EntraId(EntraId(id))));
        assert_eq!(Filter::parse(Some(&format!("id eq '{GUID}'"))), Ok(Filter::IntuneId(IntuneId(id))));
        assert_eq!(Filter::parse(Some("deviceName eq 'Ada''s'")), Ok(Filter::Name("Ada's".to_owned())));
        assert_eq!(Filter::parse(Some("azureADDeviceId eq 'x'")), Ok(Filter::Nobody));
        let after = Filter::parse(Some("lastSyncDateTime gt 1970-01-01T00:00:09Z"));
        assert_eq!(after, Ok(Filter::CheckedIn { after: true, at: Wall::from_secs(9) }));
    }

    #[test]
    fn what_the_service_does_not_support_is_refused() {
        for filter in [
            "model eq 'x'",
            "azureADDeviceId eq x",
            "deviceName eq 'a' or deviceName eq 'b'",
            "contains(deviceName,'x')",
            "lastSyncDateTime gt yesterday",
            "deviceName",
        ] {
            assert_eq!(Filter::parse(Some(filter)), Err(()), "{filter}");
        }
    }

    #[test]
    fn a_property_that_does_not_exist_is_named() {
        assert_eq!(Selection::parse(Some("id,deviceNme")), Err("deviceNme".to_owned()));
        assert_eq!(Selection::parse(Some("id, osVersion")), Ok(Selection::Named(vec!["id", "osVersion"])));
        assert_eq!(Selection::parse(None), Ok(Selection::Default));
    }

    #[test]
    fn a_skip_token_leads_to_its_row_and_a_forged_one_nowhere() {
        let tokens = SkipToken::new(3);
        for row in [0, 1, 999, 1_999_999] {
            assert_eq!(tokens.read(&tokens.write(row)), Some(row));
        }
        for forged in ["", "2", "000000000001", &"0".repeat(24), "ü"] {
            assert_eq!(tokens.read(forged), None, "{forged}");
        }
    }
}
