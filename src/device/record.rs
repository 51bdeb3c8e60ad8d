//! What device management said about one device.
//!
//! Owns the shape of the answer and the meaning of its states. How old an answer may be is the directory's judgement.

use std::{sync::Arc, time::Duration};

use crate::clock::{Mono, Now, Wall};

use super::{
    identifier::{EntraId, IntuneId, MacAddress},
    text::SharedText,
};

/// One managed device as it was last answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its id in Intune: the key of the directory.
    pub intune_id: IntuneId,
    /// Its device id in Entra, if it has one.
    pub entra_id: Option<EntraId>,
    /// The one Wi-Fi address that Intune keeps; none if it is null, empty or unusable.
    pub wifi_mac: Option<MacAddress>,
    /// The one Ethernet address that Intune keeps. `None` also when the answer can't tell (lists never do).
    pub ethernet_mac: Option<MacAddress>,
    /// Whether its Ethernet address was ever told, be it that there is none.
    pub ethernet_told: bool,
    /// Whether Microsoft manages it.
    pub managed: bool,
    /// Its compliance state.
    pub compliance: Compliance,
    /// Everything else that a policy may ask for; shared between equal devices where possible.
    pub details: Arc<DeviceDetails>,
    /// When this was answered.
    pub answered_at: Mono,
    /// How the answer came.
    pub origin: Origin,
}

impl DeviceRecord {
    /// How old the answer is.
    #[must_use]
    pub const fn age(&self, now: Now) -> Duration {
        now.mono.since(self.answered_at)
    }

    /// Whether the device owns `mac`, as far as Intune knows.
    #[must_use]
    pub fn carries(&self, mac: MacAddress) -> bool {
        self.wifi_mac == Some(mac) || self.ethernet_mac == Some(mac)
    }
}

/// Facts of a device beyond its compliance. Empty texts mean "not told".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceDetails {
    /// `company`, `personal` or `unknown`.
    pub owner: Option<SharedText>,
    /// `Windows`, `iOS`, `macOS`, `Android`, …
    pub os: Option<SharedText>,
    /// Dotted numbers.
    pub os_version: Option<SharedText>,
    /// Whether its disk is encrypted.
    pub encrypted: Option<bool>,
    /// Whether it is jail-broken or rooted; Intune's `Unknown` is none.
    pub jailbroken: Option<bool>,
    /// The manufacturer.
    pub manufacturer: Option<SharedText>,
    /// The model.
    pub model: Option<SharedText>,
    /// The serial number.
    pub serial: Option<Box<str>>,
    /// The device's name.
    pub device_name: Option<Box<str>>,
    /// The primary user's principal name.
    pub user: Option<Box<str>>,
    /// `mdm`, `easMdm`, `configurationManagerClient`, …
    pub management_agent: Option<SharedText>,
    /// When the device last spoke to Intune.
    pub last_check_in: Option<Wall>,
    /// What a threat defence partner reported: `secured`, `lowSeverity`, …
    pub threat: Option<SharedText>,
}

/// Intune's compliance states. New states that Microsoft adds parse as `Unknown` and are never compliant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Compliance {
    /// Newly enrolled and not yet evaluated, or a state that this version doesn't know.
    #[default]
    Unknown,
    /// Compliant.
    Compliant,
    /// Not compliant.
    NonCompliant,
    /// Not compliant, but within the time in which that is forgiven.
    InGracePeriod,
    /// Policies contradict each other.
    Conflict,
    /// The evaluation failed.
    Error,
    /// Configuration Manager decides.
    ConfigManager,
}

impl Compliance {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Compliant,
        Self::NonCompliant,
        Self::InGracePeriod,
        Self::Conflict,
        Self::Error,
        Self::ConfigManager,
    ];

    /// The name in policies, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Compliant => "compliant",
            Self::NonCompliant => "noncompliant",
            Self::InGracePeriod => "in-grace-period",
            Self::Conflict => "conflict",
            Self::Error => "error",
            Self::ConfigManager => "config-manager",
        }
    }

    /// Reads Graph's `complianceState` (`inGracePeriod`, …), or our own name; case does not matter.
    /// Source: Microsoft Graph v1.0, managedDevice, complianceState.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let plain: String = text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
        match plain.as_str() {
            "compliant" => Self::Compliant,
            "noncompliant" => Self::NonCompliant,
            "ingraceperiod" => Self::InGracePeriod,
            "conflict" => Self::Conflict,
            "error" => Self::Error,
            "configmanager" => Self::ConfigManager,
            _ => Self::Unknown,
        }
    }

    /// The truth value `mdm.compliant`. `grace_is_compliant`: the server's setting of that name.
    #[must_use]
    pub const fn is_compliant(self, grace_is_compliant: bool) -> bool {
        match self {
            Self::Compliant => true,
            Self::InGracePeriod => grace_is_compliant,
            Self::Unknown | Self::NonCompliant | Self::Conflict | Self::Error | Self::ConfigManager => false,
        }
    }
}

/// How an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A request waited for it, or it was refreshed behind one.
    Lookup,
    /// The background sync brought it.
    Sync,
    /// Too many devices turned non-compliant at once, and the guard holds the answer that was there before.
    Held,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_from_its_name() {
        for state in Compliance::ALL {
            assert_eq!(Compliance::parse(state.name()), state);
        }
    }

    #[test]
    fn a_state_that_microsoft_adds_later_is_unknown_and_not_compliant() {
        let state = Compliance::parse("quantumCompliant");
        assert_eq!(state, Compliance::Unknown);
        assert!(!state.is_compliant(true));
    }

    #[test]
    fn grace_counts_as_compliant_only_while_it_is_set_so() {
        assert!(Compliance::InGracePeriod.is_compliant(true));
        assert!(!Compliance::InGracePeriod.is_compliant(false));
    }
}
