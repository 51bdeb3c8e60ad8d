//! Facts in, decision out: the policy language.
//!
//! Owns the language of `policies/*.toml`: reading, checking, compiling, evaluating, testing and explaining it. It opens
//! no files, asks no clock and knows nothing of how facts are found out.

pub mod acl;
pub mod arena;
pub mod case;
pub mod catalogue;
pub mod check;
pub mod compile;
pub mod compiled;
pub mod decision;
pub mod digest;
pub mod draft;
pub mod evaluate;
pub mod explain;
pub mod facts;
pub mod facts_file;
pub mod file;
pub mod given;
pub mod index;
pub mod literal;
pub mod load;
pub mod mac;
pub mod manual;
pub mod members;
pub mod operator;
pub mod preview;
pub mod profile;
pub mod reading;
pub mod record;
pub mod reference;
pub mod replay;
pub mod reply_plan;
pub mod request;
pub mod rule;
pub mod sample;
pub mod schema;
pub mod servers;
pub mod subject;
pub mod template;
pub mod text_place;
mod told;
pub mod trial;
pub mod truth;
pub mod vendor;

#[cfg(test)]
mod language;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;
