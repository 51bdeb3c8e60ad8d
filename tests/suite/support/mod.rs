//! What tests share.

pub(crate) mod eap_keys;
pub(crate) mod eap_peer;
pub(crate) mod eap_talk;
pub(crate) mod pki;
pub(crate) mod policy;
pub(crate) mod world;
