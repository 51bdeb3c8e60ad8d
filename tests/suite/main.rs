//! All tests that need more than one folder, a socket or a file of vectors, linked as one program.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect has to fail; the exception in .clippy.toml covers test functions only"
    reason = "a test that can't go on panics; the exception in .clippy.toml covers test functions only"
)]

mod debian_dictionaries;
mod radius_oracle;
mod radius_vectors;
mod udp;
//! The suite: claims about radmit that need more than one part of it, in one linked program.
//!
//! Owns what is seen from outside of a folder. Claims about one file stand in that file.

mod sim;
