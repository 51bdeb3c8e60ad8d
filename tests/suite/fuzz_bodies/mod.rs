//! What must hold for any input whatever, as plain functions: the bodies of the fuzz targets in `tests/fuzz/`.
//!
//! Each file stands alone, because a fuzz target includes just its own. They panic when a property is broken; where
//! inputs come from is not their matter (a fuzzer's guesses there, seeds and seeded chance in `fuzz` here).

pub(crate) mod certificate;
pub(crate) mod dictionary;
pub(crate) mod eap;
pub(crate) mod eap_fragments;
pub(crate) mod engine_steps;
pub(crate) mod packet;
pub(crate) mod policy_file;
