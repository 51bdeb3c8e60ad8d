//! What an operator writes in `radmit.toml` and `conf.d/*.toml`, read, checked and resolved to plain values.
//!
//! Owns keys, defaults, paths, secrets, and what contradicts itself between sections. It starts nothing, and policies,
//! dictionaries and certificates are read by those who use them.
//!
//! | file | what |
//! | --- | --- |
//! | [`mod@file`] | which file, merging, and the way from text to [`Configuration`] |
//! | [`configuration`] | the result |
//! | [`files`] | the file system as a value, so that tests need none |
//! | `section`, `value`, `secret` | tables of several files as one; paths, choices, addresses; secrets |
//! | `server`, `client`, `mdm`, `eap`, `output` | one section each |
//! | `contradiction` | what is wrong only between sections |
//! | [`mod@reference`] | every key with default and meaning |
//! | [`schema`] | the same for editors |

mod client;
pub mod configuration;
mod contradiction;
mod eap;
pub mod file;
pub mod files;
mod mdm;
mod output;
pub mod reference;
pub mod schema;
mod secret;
mod section;
mod server;
mod value;

pub use configuration::Configuration;

#[cfg(test)]
mod tests;
