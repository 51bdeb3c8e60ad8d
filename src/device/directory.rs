//! How old an answer about a device may be.
//!
//! Owns the ages that an operator chooses; it keeps no answers.

use std::time::Duration;
/// How long answers count; see the `[[mdm]]` keys of the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// Younger answers are used at once.
    pub compliance_max_age: Duration,
    /// For how long "no such device" is believed.
    pub negative_max_age: Duration,
    /// For how long an old answer may be served while the cloud can't be asked.
    pub stale_for: Duration,
    /// Whether a MAC address that is not in the index can be asked.
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
