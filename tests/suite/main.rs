//! All tests that need more than one folder, a socket or a file of vectors, linked as one program.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect has to fail; the exception in .clippy.toml covers test functions only"
)]

mod debian_dictionaries;
mod download;
mod eap;
mod eap_hostile;
mod eap_keys;
mod eap_refused;
mod eap_settings;
mod engine;
mod engine_batch;
mod engine_eap;
mod engine_odd;
mod engine_repeats;
mod fuzz;
mod fuzz_bodies;
mod malformed;
mod mdm;
mod radius_oracle;
mod radius_vectors;
mod replay;
mod schema;
mod sim;
mod simulation;
mod store;
mod supplicant;
mod support;
mod udp;
