//! `radmit bench` against `radmit serve`, both as the real binary: what it tells is what the server did.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has to fail")]

#[path = "running/mod.rs"]
mod running;

use std::{
    fs,
    process::{Command, Output},
};

use running::{Folder, Radmit};
use serde_json::Value;

const SECRET: &str = "a secret for the lab";

const CONFIGURATION: &str = r#"version = 1
[server]
auth-listen = ["127.0.0.1:0", "[::1]:0"]
acct-listen = []
shards = 2
[[client]]
name = "lab"
address = ["127.0.0.0/8", "::1/128"]
secret = { file = "secret" }
[[mdm]]
name = "lab-inventory"
kind = "inventory"
file = "devices.toml"
[log]
decisions = "decisions.jsonl"
[metrics]
listen = "127.0.0.1:0"
"#;

/// Compliant devices are accepted; who is not known stays out.
const POLICY: &str = r#"version = 1
[policy-set]
name = "Lab"
default = "deny"
[[rule]]
name = "known"
when = { mdm.compliant = true }
result = "permit"
"#;

const DEVICES: &str = r#"version = 1
[[device]]
name = "LT-1"
intune-id = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01"
ethernet-mac = "A4-C3-F0-11-22-33"
compliance = "compliant"
[[device]]
name = "LT-2"
intune-id = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c02"
ethernet-mac = "A4-C3-F0-11-22-34"
compliance = "compliant"
"#;

struct Server {
    folder: Folder,
    radmit: Radmit,
    /// IPv4, then IPv6.
    addresses: [String; 2],
}

fn serve(name: &str) -> Server {
    serve_in(Folder::new(name), "")
}

/// `more`: of the configuration.
fn serve_in(folder: Folder, more: &str) -> Server {
    folder.write("radmit.toml", &format!("{CONFIGURATION}{more}"));
    folder.write("policies/lab.toml", POLICY);
    folder.write("devices.toml", DEVICES);
    folder.write("secret", SECRET);
    let radmit = Radmit::start(&["serve", "-c", &folder.config()]);
    let said = radmit.wait_for("is ready");
    let addresses = ["127.0.0.1:", "[::1]:"].map(|start| {
        let line = said.iter().find(|line| line.contains("authentication") && line.contains(start)).unwrap();
        let at = line.find(start).unwrap();
        let port = line[at + start.len()..].chars().take_while(char::is_ascii_digit);
        start.chars().chain(port).collect()
    });
    Server { folder, radmit, addresses }
}

fn bench(server: &str, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_radmit"));
    command.args(["bench", "--server", server]).args(arguments.split_whitespace()).env("RADMIT_SECRET", SECRET);
    for (option, value) in [("--first-mac", "a4c3f0112233"), ("--timeout", "20s")] {
        if !arguments.contains(option) {
            command.args([option, value]);
        }
    }
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn what_it_tells_is_what_the_server_did_over_both_families_in_both_loops() {
    let server = serve("bench-loops");
    let mut expected = 0;
    for address in &server.addresses {
        for arguments in [
            "--count 300 --window 32",
            "--count 300 --window 32 --threads 2 --distribution zipf",
            "--count 300 --rate 1000",
            "--count 300 --rate 1000 --storm --ramp 100ms",
        ] {
            let output = bench(address, &format!("{arguments} --devices 2 --json"));
            let told = json(&output);
            assert_eq!(told["answers"]["by-code"]["accept"], 300, "{address} {arguments}: {told}");
            assert_eq!(told["forged"], serde_json::json!({ "sent": 6, "answered": 0 }), "{told}");
            assert_eq!((&told["lost"]["total"], &told["requests"]["sent"]), (&0.into(), &300.into()), "{told}");
            let percentiles =
                ["min", "p50", "p90", "p99", "p99.9", "max"].map(|name| told["latency-us"][name].as_f64());
            assert!(percentiles.is_sorted() && percentiles[0] > Some(0.0), "{told}");
            let rows = told["timeline"].as_array().unwrap();
            assert_eq!(rows.iter().filter_map(|row| row["answered"].as_u64()).sum::<u64>(), 300, "{told}");
            assert_eq!(output.status.code(), Some(0));
            expected += 300;
        }
    }
    let Server { folder, radmit, .. } = server;
    assert_eq!(radmit.stop(), Some(0));
    // One decision for each answer: none of them came from the store of replies.
    let log = fs::read_to_string(folder.0.join("decisions.jsonl")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains(r#""event":"decision""#)).count(), expected);
}

#[test]
fn rejects_are_answers_and_attributes_reach_the_server() {
    let server = serve("bench-rejects");
    let output = bench(
        &server.addresses[0],
        "--first-mac a4c3f0112240 --count 4 --attribute NAS-Identifier=rack-7 --json --sockets 2",
    );
    let told = json(&output);
    assert_eq!((&told["answers"]["by-code"]["reject"], &told["lost"]["total"]), (&4.into(), &0.into()), "{told}");
    assert_eq!(output.status.code(), Some(0));
    let folder = server.folder;
    assert_eq!(server.radmit.stop(), Some(0));
    let log = fs::read_to_string(folder.0.join("decisions.jsonl")).unwrap();
    assert_eq!(log.matches(r#""nas-identifier":"rack-7""#).count(), 4, "{log}");
}

#[test]
fn with_another_secret_everything_is_lost_and_that_is_no_success() {
    let server = serve("bench-secret");
    let output = bench(&server.addresses[0], "--secret another --count 20 --timeout 300ms --json");
    let told = json(&output);
    assert_eq!((&told["answers"]["total"], &told["lost"]["by-cause"]["no-answer"]), (&0.into(), &20.into()), "{told}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(server.radmit.stop(), Some(0));
}

const EAP_TLS: &str = r#"[eap-tls]
certificate = "lab/server.pem"
private-key = "lab/server.key"
client-ca = ["lab/client-ca.pem"]
"#;

#[test]
fn devices_with_certificates_shake_hands() {
    let folder = Folder::new("bench-eap");
    let lab = folder.0.join("lab").to_string_lossy().into_owned();
    let devices = ["LT-1=5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01", "LT-2=5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c02"];
    let made = Radmit::start(&["certs", &lab, "--device", devices[0], "--device", devices[1]]);
    made.wait_for("openssl pkcs12");
    let server = serve_in(folder, EAP_TLS);
    for (address, tls) in [(&server.addresses[0], "--tls 1.2"), (&server.addresses[1], "--tls 1.3 --threads 2")] {
        let output = bench(address, &format!("--eap-tls --certs {lab} --count 12 --window 4 --json {tls}"));
        let told = json(&output);
        assert_eq!((&told["answers"]["by-code"]["accept"], &told["lost"]["total"]), (&12.into(), &0.into()), "{told}");
        // Identity, hello, certificate and the rest, one by one.
        assert!(told["round-trip-us"]["count"].as_u64() >= Some(12 * 4), "{told}");
        assert!(told["round-trip-us"]["p50"].as_f64() < told["latency-us"]["p50"].as_f64(), "{told}");
        assert_eq!(output.status.code(), Some(0));
    }
    for (pace, kind) in [("--rate 20", "open-loop"), ("--rate 20 --storm --ramp 500ms --threads 2", "storm")] {
        let output = bench(&server.addresses[0], &format!("--eap-tls --certs {lab} --count 10 {pace} --json"));
        let told = json(&output);
        assert_eq!((&told["answers"]["by-code"]["accept"], &told["lost"]["total"]), (&10.into(), &0.into()), "{told}");
        assert_eq!((&told["mode"]["kind"], &told["mode"]["pace"]), (&"eap-tls".into(), &kind.into()), "{told}");
        // The tenth of a steady rate is due at 450 ms; the ramp brings five within it and 20 a second after it.
        assert!(told["elapsed-s"].as_f64() >= Some(0.45), "{told}");
        assert_eq!((&told["requests"]["due"], &told["mode"]["latency-begins"]), (&10.into(), &"due".into()), "{told}");
        assert_eq!(output.status.code(), Some(0));
    }
    // A device of an authority that the server does not know; then a server that the device does not trust.
    let stranger = format!("--certificate {lab}/LT-1-stranger.pem --key {lab}/LT-1-stranger.key");
    let told = json(&bench(&server.addresses[0], &format!("--eap-tls {stranger} --ca {lab}/ca.pem --count 2 --json")));
    assert_eq!(told["answers"]["by-code"]["reject"], 2, "{told}");
    let told = json(&bench(
        &server.addresses[0],
        &format!("--eap-tls --certs {lab} --server-name other.example --count 2 --json"),
    ));
    assert_eq!((&told["lost"]["by-cause"]["device"], &told["answers"]["total"]), (&2.into(), &0.into()), "{told}");
    assert_eq!(server.radmit.stop(), Some(0));
}

#[test]
fn people_get_a_table_and_a_line_a_second() {
    let server = serve("bench-table");
    let output = bench(&server.addresses[1], "--count 10 --rate 100 --progress --timeline");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for said in ["open loop, 100 a second", "10 accept", "0 (0.000 %)", "p99.9", "timeline", "was due by the rate"] {
        assert!(out.contains(said), "{said}:\n{out}");
    }
    assert!(err.contains("10 answered"), "{err}");
    assert_eq!(server.radmit.stop(), Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_report_that_can_not_be_written_is_no_success() {
    let server = serve("bench-full");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_radmit"));
    command.args(["bench", "--server", &server.addresses[0], "--count", "2", "--json"]).env("RADMIT_SECRET", SECRET);
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("can't be written"), "{output:?}");
    assert_eq!(server.radmit.stop(), Some(0));
}

#[test]
fn what_can_not_run_ends_with_2_and_says_why() {
    for (server, arguments, said) in [
        ("192.0.2.1", "", "--i-own-this-server"),
        ("127.0.0.1", "--window 5 --rate 5", "cannot be used with"),
        ("127.0.0.1", "--rate 0", "a rate is above 0"),
        ("127.0.0.1", "--window 9999 --sockets 2", "256 for each source port"),
        ("127.0.0.1", "--rate 5 --eap-tls", "needs --certs DIR"),
        ("127.0.0.1:0", "", "nobody can be asked at port 0"),
        ("127.0.0.1", "--window 99999999", "a window is 1048576 at most"),
    ] {
        let output = bench(server, arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(said), "{arguments}: {error}");
    }
}
