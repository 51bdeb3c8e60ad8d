//! What a plan says for people and logs: the settings as one line each, and the attributes as text.
//!
//! Owns no octets, and holds no secrets.

use std::fmt;

use serde::Serialize;

use crate::policy::profile::Vlan;

/// The settings that a reply carries, for the decision log and `radmit test`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// The VLAN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<SummaryVlan>,
    /// VLANs with their tag.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tagged_vlans: Vec<SummaryVlan>,
    /// Whether the device goes into the voice domain.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub voice: bool,
    /// The ACLs, by their names in the policy or on the client.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acl: Vec<Box<str>>,
    /// Where the browser is sent, as written in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Box<str>>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_timeout: Option<u32>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<u32>,
    /// Whether the device is asked again at the end of the session.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reauthenticate: bool,
    /// The security group tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sgt: Option<u16>,
    /// The role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Box<str>>,
}

/// A VLAN in a log: a number or a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SummaryVlan {
    /// Its number.
    Id(u16),
    /// Its name.
    Name(Box<str>),
}

impl From<&Vlan> for SummaryVlan {
    fn from(vlan: &Vlan) -> Self {
        match vlan {
            Vlan::Id(id) => Self::Id(*id),
            Vlan::Name(name) => Self::Name(name.clone()),
        }
    }
}

/// One attribute as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The attribute's name, with `:TAG` where it has one.
    pub attribute: Box<str>,
    /// Its value; of a secret `<hidden>`, of facts their names in braces.
    pub value: Box<str>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.attribute, self.value)
    }
}
