//! What survives a restart: the directories of devices, and which clients still send requests without
//! Message-Authenticator.
//!
//! Owns one SQLite file in `state-dir`: its shape, its version, its checksums, and the thread that writes it behind the
//! packets. A file that is torn, foreign or of a later version is set aside with a message; nothing here keeps the server
//! from starting. How old an answer may be is the directory's judgement: here its age only goes on counting.

mod codec;
mod database;
pub mod keeper;
pub mod learn;
mod moment;
mod part;
