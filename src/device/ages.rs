//! How long answers about devices count.
//!
//! Owns the ages that an operator chooses. What is so old is the directory's business.

use std::time::Duration;

use super::identifier::IntuneId;

/// How long answers count; see the `[[mdm]]` keys of the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// Younger answers are used at once.
    pub compliance_max_age: Duration,
    /// For how long "no such device" is believed.
    pub negative_max_age: Duration,
    /// For how long an old answer may be served while the cloud can't be asked.
    pub stale_for: Duration,
    /// Whether a MAC address that is not in the index can be asked (from the compliance retrieval service).
    pub mac_can_be_asked: bool,
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            compliance_max_age: Duration::from_secs(5 * 60),
            negative_max_age: Duration::from_secs(60),
            stale_for: Duration::from_secs(8 * 3600),
            mac_can_be_asked: false,
        }
    }
}

impl Ages {
    /// The age from which a use refreshes behind: within the last fifth, spread over half of it so that devices that were
    /// answered together are not asked again together.
    pub(super) fn refresh_age(&self, id: IntuneId) -> Duration {
        let spread = u32::from(id.0.octets()[15]);
        let fifth = self.compliance_max_age / 5;
        self.compliance_max_age - fifth + fifth / 2 * spread / 256
    }
}
