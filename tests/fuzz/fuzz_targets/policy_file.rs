//! Fuzz target: any text as the files of a policy folder. What must hold stands in the body, which the suite runs too.

#![no_main]

#[path = "../../suite/fuzz_bodies/policy_file.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::check(input));
