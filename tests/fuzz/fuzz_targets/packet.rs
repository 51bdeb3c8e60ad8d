//! Fuzz target: any octets as a datagram. What must hold stands in the body, which the suite runs too.

#![no_main]

#[path = "../../suite/fuzz_bodies/packet.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::check(input));
