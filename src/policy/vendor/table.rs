//! The shape of a vendor table: how each setting of a profile is written as attributes.
//!
//! Owns no knowledge of any vendor; that is in `policies/vendor/*.toml`, which `read` turns into these shapes.

use std::sync::Arc;

use super::syntax::RuleSyntax;
use crate::{
    policy::{
        acl::Family,
        profile::{AclForm, Setting},
        template::Template,
    },
    problem::Place,
};

/// How clients of one kind want things written.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// The word behind `vendor =` in `[[client]]`.
    pub name: Arc<str>,
    /// What it stands for, for people.
    pub title: Box<str>,
    /// Where the knowledge comes from.
    pub sources: Vec<Box<str>>,
    /// `[vlan]`
    pub vlan: Option<VlanForms>,
    /// `[tagged-vlans]`, for each of them.
    pub tagged_vlans: Option<VlanForms>,
    /// `[voice]`
    pub voice: Option<Voice>,
    /// `[redirect]`
    pub redirect: Option<RedirectForm>,
    /// `[sgt]`
    pub sgt: Option<Form>,
    /// `[role]`
    pub role: Option<Form>,
    /// `[session-timeout]`
    pub session_timeout: Option<Form>,
    /// `[idle-timeout]`
    pub idle_timeout: Option<Form>,
    /// `[reauthenticate]`
    pub reauthenticate: Option<Form>,
    /// `[acl]`
    pub acl: AclForms,
    /// `conflicts`: what may not stand in one reply.
    pub conflicts: Vec<Conflict>,
    /// `[coa]`
    pub coa: Option<Coa>,
}

impl Vendor {
    /// Whether the vendor has any way to express the setting.
    #[must_use]
    pub const fn knows(&self, setting: Setting) -> bool {
        match setting {
            Setting::Vlan => self.vlan.is_some(),
            Setting::TaggedVlans => self.tagged_vlans.is_some(),
            Setting::Voice => self.voice.is_some(),
            Setting::Acl => self.acl.default.is_some(),
            Setting::Redirect => self.redirect.is_some(),
            Setting::SessionTimeout => self.session_timeout.is_some(),
            Setting::IdleTimeout => self.idle_timeout.is_some(),
            Setting::Reauthenticate => self.reauthenticate.is_some(),
            Setting::Sgt => self.sgt.is_some(),
            Setting::Role => self.role.is_some(),
        }
    }
}

/// An attribute with places to fill: `Tunnel-Private-Group-Id:{tag} = {vlan}`.
#[derive(Clone, Debug)]
pub struct AttributeTemplate {
    /// The attribute's name.
    pub name: Box<str>,
    /// Its tag.
    pub tag: Tag,
    /// Its value.
    pub value: Template,
    /// Where it stands.
    pub place: Place,
}

/// The tag of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// No tag was written.
    None,
    /// `:{tag}`, the profile's `vlan-tag`.
    OfProfile,
    /// A number.
    Fixed(u8),
}

/// A setting that is always written in one way.
#[derive(Clone, Debug)]
pub struct Form {
    /// The attributes.
    pub send: Vec<AttributeTemplate>,
    /// The largest number that the client takes.
    pub max: Option<u32>,
    /// The longest text that the client takes.
    pub characters_max: Option<usize>,
    /// Whether it is left out beside an ACL, because both would go into one attribute.
    pub unless_acl: bool,
}

/// How VLANs are written.
#[derive(Clone, Debug)]
pub struct VlanForms {
    /// By number; empty if that can't be expressed.
    pub id: Vec<AttributeTemplate>,
    /// By name; empty if that can't be expressed.
    pub name: Vec<AttributeTemplate>,
    /// The longest name.
    pub characters_max: Option<usize>,
}

/// How a device gets into the voice domain.
#[derive(Clone, Debug)]
pub struct Voice {
    /// The attributes besides the VLAN's.
    pub send: Vec<AttributeTemplate>,
    /// How its VLAN is written, if otherwise than that of other devices.
    pub vlan: Option<VlanForms>,
}

/// How a browser is sent to a page.
#[derive(Clone, Debug)]
pub struct RedirectForm {
    /// The attributes for the page.
    pub send: Vec<AttributeTemplate>,
    /// The attributes for the ACL that says what is redirected; empty if the vendor has none.
    pub acl: Vec<AttributeTemplate>,
    /// Whether the ACL must be there.
    pub acl_required: bool,
}

/// How ACLs are sent.
#[derive(Clone, Debug, Default)]
pub struct AclForms {
    /// The form that is used where the profile says none; without it the vendor has no ACLs.
    pub default: Option<AclForm>,
    /// By the name that they have on the client.
    pub name: Option<NameForm>,
    /// Rule by rule.
    pub inline: Option<InlineForm>,
    /// By a name under which the client fetches the rules.
    pub download: Option<DownloadForm>,
    /// The spelling of a rule; without it that of Cisco IOS.
    pub syntax: Option<RuleSyntax>,
}

impl AclForms {
    /// The forms that there are.
    #[must_use]
    pub fn known(&self) -> Vec<AclForm> {
        let is_known = |form: &AclForm| match form {
            AclForm::Name => self.name.is_some(),
            AclForm::Inline => self.inline.is_some(),
            AclForm::Download => self.download.is_some(),
        };
        AclForm::ALL.into_iter().filter(is_known).collect()
    }
}

/// ACLs by name.
#[derive(Clone, Debug)]
pub struct NameForm {
    /// The attributes for each ACL.
    pub send: Vec<AttributeTemplate>,
    /// How many ACLs one reply can name.
    pub count_max: Option<usize>,
    /// The longest name.
    pub characters_max: Option<usize>,
}

/// ACLs rule by rule.
#[derive(Clone, Debug)]
pub struct InlineForm {
    /// The attribute for an IPv4 rule.
    pub ipv4: Option<AttributeTemplate>,
    /// The attribute for an IPv6 rule.
    pub ipv6: Option<AttributeTemplate>,
    /// Attributes before the rules if any of them is about IPv6.
    pub with_ipv6: Vec<AttributeTemplate>,
    /// The number of the first rule of each family.
    pub first_number: u32,
    /// How many rules one reply can have.
    pub rules_max: Option<usize>,
    /// The longest rule.
    pub characters_max: Option<usize>,
    /// How many conditions all rules together can have.
    pub conditions_max: Option<usize>,
    /// What stands between the rules of `{rules}`.
    pub separator: Box<str>,
    /// A rule that is added at the end of an ACL that says nothing about the rest, because this vendor lets it pass.
    pub last_rule: Option<Box<str>>,
}

impl InlineForm {
    /// The attribute for a rule of the family.
    #[must_use]
    pub const fn rule(&self, family: Family) -> Option<&AttributeTemplate> {
        match family {
            Family::Ipv4 => self.ipv4.as_ref(),
            Family::Ipv6 => self.ipv6.as_ref(),
        }
    }
}

/// ACLs that the client fetches.
#[derive(Clone, Debug)]
pub struct DownloadForm {
    /// For IPv4.
    pub ipv4: Option<DownloadTemplates>,
    /// For IPv6.
    pub ipv6: Option<DownloadTemplates>,
    /// The number of the first rule.
    pub first_number: u32,
}

impl DownloadForm {
    /// The templates of the family.
    #[must_use]
    pub const fn templates(&self, family: Family) -> Option<&DownloadTemplates> {
        match family {
            Family::Ipv4 => self.ipv4.as_ref(),
            Family::Ipv6 => self.ipv6.as_ref(),
        }
    }
}

/// How one family of an ACL is fetched.
#[derive(Clone, Debug)]
pub struct DownloadTemplates {
    /// The name by which the client asks.
    pub name: Template,
    /// The attributes that tell it the name.
    pub send: Vec<AttributeTemplate>,
    /// The attribute for each rule of the answer.
    pub rule: AttributeTemplate,
}

/// Two things that may not stand in one reply.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// An attribute, or an attribute and the beginning of its value.
    pub one: (Box<str>, Box<str>),
    /// The other.
    pub other: (Box<str>, Box<str>),
    /// What happens otherwise.
    pub why: Box<str>,
}

/// How a session is changed later. Nothing sends it yet.
#[derive(Clone, Debug)]
pub struct Coa {
    /// The port on the client.
    pub port: u16,
    /// The attributes of a session that find it again.
    pub identify: Vec<Box<str>>,
    /// Whether requests without a valid Event-Timestamp are dropped.
    pub event_timestamp: bool,
    /// The device is asked again.
    pub reauthenticate: Option<CoaCommand>,
    /// Its port goes down for a moment.
    pub bounce: Option<CoaCommand>,
    /// The session ends.
    pub disconnect: Option<CoaCommand>,
}

/// One request to the client.
#[derive(Clone, Debug)]
pub struct CoaCommand {
    /// Whether it is a Disconnect-Request; else a CoA-Request.
    pub is_disconnect: bool,
    /// The attributes besides those of the session.
    pub send: Vec<AttributeTemplate>,
}
