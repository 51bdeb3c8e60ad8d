//! Facts in, decision out: the policy language.
//!
//! Owns the language of `policies/*.toml`: reading, checking, compiling, evaluating, testing and explaining it. It opens
//! no files, asks no clock and knows nothing of how facts are found out.

pub mod acl;
pub mod catalogue;
pub mod decision;
pub mod facts;
pub mod literal;
pub mod mac;
pub mod members;
pub mod operator;
pub mod profile;
pub mod reading;
pub mod reply_plan;
pub mod subject;
pub mod template;
pub mod text_place;
pub mod truth;
pub mod vendor;
