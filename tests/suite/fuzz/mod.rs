//! The fuzz bodies on stable Rust: over the seeds, and over seeded chance.
//!
//! A smoke test, the same every time. The long search belongs to `tests/fuzz/`, which shares bodies and seeds.

mod inputs;

use std::{fs, panic, path::Path};

use radmit::engine::chance::Chance;

use crate::fuzz_bodies;

/// What is done with one input.
type Body = fn(&[u8]);

/// A body with what it is fed.
struct Target {
    name: &'static str,
    body: Body,
    seeds: fn() -> Vec<Vec<u8>>,
    /// Words that chance alone would hardly find.
    words: &'static [&'static str],
    /// How many inputs chance makes here.
    rounds: u64,
}

const TARGETS: [Target; 7] = [
    Target {
        name: "packet",
        body: fuzz_bodies::packet::check,
        seeds: inputs::packets,
        words: &["\u{1}\u{2}", "\u{50}\u{12}", "\u{1a}\u{c}\0\0\0\u{9}\u{1}\u{6}", "\u{4f}\u{3}", "\u{20}\u{80}"],
        rounds: 15_000,
    },
    Target {
        name: "dictionary",
        body: fuzz_bodies::dictionary::check,
        seeds: inputs::dictionaries,
        words: &inputs::DICTIONARY_WORDS,
        rounds: 300,
    },
    Target { name: "eap", body: fuzz_bodies::eap::check, seeds: inputs::eap_steps, words: &[], rounds: 1_000 },
    Target {
        name: "eap_fragments",
        body: fuzz_bodies::eap_fragments::check,
        seeds: inputs::fragments,
        words: &["\u{40}", "\u{20}", "\0\0\u{10}"],
        rounds: 5_000,
    },
    Target {
        name: "certificate",
        body: fuzz_bodies::certificate::check,
        seeds: inputs::certificates,
        words: &["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "IntuneDeviceId://"],
        rounds: 1_000,
    },
    Target {
        name: "engine_steps",
        body: fuzz_bodies::engine_steps::check,
        seeds: inputs::engine_steps,
        words: &[],
        rounds: 500,
    },
    Target {
        name: "policy_file",
        body: fuzz_bodies::policy_file::check,
        seeds: inputs::policies,
        words: &inputs::POLICY_WORDS,
        rounds: 1_000,
    },
];

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

/// Runs the body; if it panics, shows the input that it panicked on.
fn run(target: &Target, input: &[u8]) {
    if let Err(cause) = panic::catch_unwind(|| (target.body)(input)) {
        let hex: String = input.iter().map(|octet| format!("{octet:02x}")).collect();
        eprintln!("the body \"{}\" panicked on {hex}\nwhich is {:?}", target.name, String::from_utf8_lossy(input));
        panic::resume_unwind(cause);
    }
}

/// The input that chance makes in this round.
fn made(target: &Target, seeds: &[Vec<u8>], round: u64) -> Vec<u8> {
    let mut chance = Chance::new(round);
    let mut input = inputs::mutated(seeds, target.words, &mut chance);
    if target.name == "packet" {
        inputs::mend_length(&mut input, &mut chance);
    }
    input
}

fn run_seeds(name: &str, at_least: usize) {
    let target = target(name);
    let seeds = (target.seeds)();
    assert!(seeds.len() >= at_least, "only {} seeds", seeds.len());
    for seed in &seeds {
        run(target, seed);
    }
}

fn run_chance(name: &str) {
    let target = target(name);
    let seeds = (target.seeds)();
    for round in 0..target.rounds {
        run(target, &made(target, &seeds, round));
    }
}

#[test]
fn every_recorded_packet_keeps_the_properties_of_the_codec() {
    run_seeds("packet", 150);
}

#[test]
fn changed_packets_keep_the_properties_of_the_codec() {
    run_chance("packet");
}

#[test]
fn every_shipped_dictionary_keeps_the_properties_of_dictionaries() {
    run_seeds("dictionary", 40);
}

#[test]
fn changed_dictionaries_keep_the_properties_of_dictionaries() {
    run_chance("dictionary");
}

#[test]
fn honest_and_stray_conversations_keep_the_properties_of_eap() {
    run_seeds("eap", 6);
    run_chance("eap");
}

#[test]
fn any_fragments_keep_the_properties_of_flights() {
    run_seeds("eap_fragments", 4);
    run_chance("eap_fragments");
}

#[test]
fn any_certificate_keeps_the_properties_of_trust() {
    run_seeds("certificate", 10);
    run_chance("certificate");
}

#[test]
fn any_steps_keep_the_properties_of_the_engine() {
    run_seeds("engine_steps", 6);
    run_chance("engine_steps");
}

#[test]
fn every_shipped_policy_keeps_the_properties_of_policies() {
    run_seeds("policy_file", 3);
}

#[test]
fn changed_policies_keep_the_properties_of_policies() {
    run_chance("policy_file");
}

#[test]
fn chance_reaches_what_the_seeds_do_not() {
    let seeds = inputs::packets();
    let made: Vec<_> = (0..300).map(|round| made(target("packet"), &seeds, round)).collect();
    let parsed = made.iter().filter(|input| radmit::radius::packet::Packet::parse(input).is_ok()).count();
    // Both sides of the first check must be visited often, else the properties behind it are never asked.
    assert!((30..=270).contains(&parsed), "{parsed} of 300 parse");
}

/// Each target has its program for the fuzzer, and each program its target here.
#[test]
fn every_fuzz_target_is_run_here_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/fuzz_targets");
    let mut programs: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    programs.sort();
    let mut targets: Vec<String> = TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    targets.sort();
    assert_eq!(programs, targets);
}

#[test]
#[ignore = "writes the seeds of the fuzz targets into tests/fuzz/corpus, for people who fuzz"]
fn write_the_seeds() {
    for target in &TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:04}")), seed).unwrap();
        }
    }
}
