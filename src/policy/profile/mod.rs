//! What a rule gives: access, VLAN, ACLs, redirection and the rest, without any vendor's dialect.
//!
//! Owns `[profile.NAME]` and how several profiles become one. Which octets that makes is the matter of `reply_plan`.

mod merge;
mod read;
mod settings;

pub use settings::{
    AclForm, AttributeSetting, AttributeValue, FactText, List, Placed, Profile, Redirect, Setting, Vlan,
};
