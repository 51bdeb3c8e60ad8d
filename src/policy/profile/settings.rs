//! The shapes of a profile.
//!
//! Owns what a profile can say and nothing else; `read` makes it from a file, `merge` makes one of several.

use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::{
    policy::{decision::Access, template::Template},
    problem::Place,
};

/// The verdict and what goes with it, as `[profile.NAME]` or several of them say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its name; of merged profiles all names, joined with `+`.
    pub name: Arc<str>,
    /// Where it stands; built-in profiles have none.
    pub place: Option<Place>,
    /// `access`; a profile that only adds to others has none.
    pub access: Option<Placed<Access>>,
    /// `vlan`
    pub vlan: Option<Placed<Vlan>>,
    /// `vlan-tag`: the tag of the tunnel attributes, 0 to 31; 0 is untagged.
    pub vlan_tag: Option<Placed<u8>>,
    /// `tagged-vlans`: VLANs that the port also carries, with their tag.
    pub tagged_vlans: List<Vlan>,
    /// `voice`: the device belongs into the voice domain.
    pub voice: Option<Placed<bool>>,
    /// `acl`: names of `[acl.NAME]`, or of ACLs that the client has.
    pub acls: List<Box<str>>,
    /// `acl-form`: how ACLs are sent, where the vendor knows several ways.
    pub acl_form: Option<Placed<AclForm>>,
    /// `redirect`
    pub redirect: Option<Placed<Redirect>>,
    /// `session-timeout` in seconds.
    pub session_timeout: Option<Placed<u32>>,
    /// `idle-timeout` in seconds.
    pub idle_timeout: Option<Placed<u32>>,
    /// `reauthenticate`: at the end of the session the device is asked again instead of being cut off.
    pub reauthenticate: Option<Placed<bool>>,
    /// `sgt`: the security group tag.
    pub sgt: Option<Placed<u16>>,
    /// `role`
    pub role: Option<Placed<Box<str>>>,
    /// `attributes`, in the order of the file.
    pub attributes: Vec<AttributeSetting>,
    /// `optional`: settings that may be left out where a vendor can't express them. Bound: there are ten.
    pub optional: BTreeSet<Setting>,
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// Values that can be one text or a list. When profiles are merged, one value replaces and a list appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T> {
    /// The values in the order of the file.
    pub values: Vec<Placed<T>>,
    /// Whether it was written without a list.
    pub single: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { values: Vec::new(), single: false }
    }
}

/// A VLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vlan {
    /// 1 to 4094.
    Id(u16),
    /// The name that it has on the client.
    Name(Box<str>),
}

impl fmt::Display for Vlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// How ACLs are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AclForm {
    /// The client has the ACL; its name is sent.
    Name,
    /// The rules stand in the reply.
    Inline,
    /// The client downloads the rules in an exchange of its own.
    Download,
}

impl AclForm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Name, Self::Inline, Self::Download];

    /// The name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Inline => "inline",
            Self::Download => "download",
        }
    }
}

/// Where the device's browser is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The page; facts in it are written with percent escapes.
    pub url: Placed<FactText>,
    /// The ACL on the client that says which traffic is redirected.
    pub acl: Option<Placed<Box<str>>>,
}

/// A text that can refer to facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactText {
    /// The text.
    pub template: Template,
    /// Where the references stand, in their order.
    pub places: Vec<Place>,
}

/// One attribute of `attributes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeSetting {
    /// Its name, with `:TAG` where it has one.
    pub name: Box<str>,
    /// Where the name stands.
    pub place: Place,
    /// Its values.
    pub values: List<AttributeValue>,
}

/// A value of `attributes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text, or anything else that the dictionary reads from a text.
    Text(FactText),
    /// A number.
    Integer(i64),
}

/// The settings of a profile that a vendor may or may not be able to express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Setting {
    /// `vlan`
    Vlan,
    /// `tagged-vlans`
    TaggedVlans,
    /// `voice`
    Voice,
    /// `acl`
    Acl,
    /// `redirect`
    Redirect,
    /// `session-timeout`
    SessionTimeout,
    /// `idle-timeout`
    IdleTimeout,
    /// `reauthenticate`
    Reauthenticate,
    /// `sgt`
    Sgt,
    /// `role`
    Role,
}

impl Setting {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Vlan,
        Self::TaggedVlans,
        Self::Voice,
        Self::Acl,
        Self::Redirect,
        Self::SessionTimeout,
        Self::IdleTimeout,
        Self::Reauthenticate,
        Self::Sgt,
        Self::Role,
    ];

    /// The key in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vlan => "vlan",
            Self::TaggedVlans => "tagged-vlans",
            Self::Voice => "voice",
            Self::Acl => "acl",
            Self::Redirect => "redirect",
            Self::SessionTimeout => "session-timeout",
            Self::IdleTimeout => "idle-timeout",
            Self::Reauthenticate => "reauthenticate",
            Self::Sgt => "sgt",
            Self::Role => "role",
        }
    }
}
