//! Fuzz target: any text as dictionary files and a list of attributes. What must hold stands in the body, which the suite runs too.

#![no_main]

#[path = "../../suite/fuzz_bodies/dictionary.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::check(input));
