//! The `[[mdm]]` servers of the configuration, as far as a policy cares.
//!
//! Owns their names and what a case must know of them. Asking them is not policy's business.

/// The servers by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// Those that are asked, in the order of the files.
    pub enabled: Vec<Box<str>>,
    /// Those that stand in the configuration and are not asked.
    pub disabled: Vec<Box<str>>,
    /// Those among the enabled ones for which a device in its grace period is not compliant.
    pub strict: Vec<Box<str>>,
}

impl Servers {
    /// Enabled servers, and nothing else.
    #[must_use]
    pub fn enabled(names: &[Box<str>]) -> Self {
        Self { enabled: names.to_vec(), ..Self::default() }
    }
}
