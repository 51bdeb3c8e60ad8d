//! Facts in, decision out: the policy language.
//!
//! Owns the language of `policies/*.toml`: reading, checking, compiling, evaluating, testing and explaining it. It opens
//! no files, asks no clock and knows nothing of how facts are found out.

pub mod acl;
pub mod decision;
pub mod facts;
pub mod profile;
pub mod reply_plan;
pub mod template;
pub mod text_place;
pub mod vendor;
