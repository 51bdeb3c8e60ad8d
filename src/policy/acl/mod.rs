//! Access lists: their text, their rules, and their download.
//!
//! Owns `[acl.NAME]`, checked as Cisco IOS reads it. Other vendors' spelling of a rule is data in `policies/vendor/`.

pub mod download;
mod list;
mod parse;
mod rule;
mod words;

pub use download::{Download, DownloadError, DownloadRequest, Downloads, recognise};
pub use list::{Acl, Acls};
pub use rule::{Action, Address, End, Extra, Family, Icmp, Ports, Protocol, Rule};
