//! Fuzz target: any octets in place of certificates, keys and revocation lists. What must hold stands in the body, which the suite runs too.

#![no_main]
#![allow(dead_code, reason = "the suite's support has more than a body needs")]

#[path = "../../suite/support/mod.rs"]
mod support;

#[path = "../../suite/fuzz_bodies/certificate.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::check(input));
