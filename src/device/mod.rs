//! Who is asking, and what device management last said about them.
//!
//! Owns identifiers (MAC, Intune id, Entra id) and where they stand in certificates, the record of a device, the
//! directory that holds records and judges their age, and the words in which the engine asks and is answered. It asks
//! nobody itself: `mdm` does, and puts the answers in here. It knows neither RADIUS nor policy.

mod ages;
pub mod certificate;
pub mod directory;
pub mod file;
mod fleet;
pub mod identifier;
mod index;
mod join;
mod knowledge;
mod last_use;
pub mod question;
mod rare_text;
pub mod record;
mod seldom;
pub mod text;
