//! The real binary and the real peers: `radclient` against `radmit demo` and `radmit serve`.
//!
//! Without `radclient` these tests fail: a check that skips itself proves nothing.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has to fail")]

#[path = "running/mod.rs"]
mod running;

use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
    sync::Arc,
};

use radmit::store::keeper::{Count, Store};
use running::{Folder, LOOPBACK, Radmit, auth_address};

/// Sends one list of attributes and gives everything that `radclient` prints.
fn radclient(address: &str, command: &str, secret: &str, attributes: &str) -> String {
    let mut child = Command::new("radclient")
        .args(["-x", "-r", "1", "-t", "5", address, command, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("radclient is missing: install the package freeradius-utils");
    child.stdin.take().unwrap().write_all(attributes.as_bytes()).unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    text
}

fn mab(mac: &str) -> String {
    format!(
        "User-Name = \"{mac}\", User-Password = \"{mac}\", Service-Type = Call-Check, NAS-Port-Type = Ethernet, \
         Message-Authenticator = 0x00\n"
    )
}

struct Demo {
    radmit: Radmit,
    auth: String,
    acct: String,
}

fn demo() -> Demo {
    let radmit = Radmit::start(&[
        "demo",
        "--auth-listen",
        LOOPBACK,
        "--acct-listen",
        LOOPBACK,
        "--metrics-listen",
        LOOPBACK,
        "--sim-listen",
        LOOPBACK,
    ]);
    let said = radmit.wait_for("Each decision is printed below");
    let ports = said.iter().find(|line| line.contains("(authentication)")).unwrap();
    let mut words = ports.split_whitespace().filter(|word| word.starts_with("127.0.0.1:"));
    let (auth, acct) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    Demo { radmit, auth, acct }
}

#[test]
fn the_demo_fleet_gets_the_answers_that_the_cloud_decides() {
    let demo = demo();
    let ask = |mac: &str| radclient(&demo.auth, "auth", "radmit-demo-secret", &mab(mac));
    for (mac, wanted) in [
        (
            "a4c3f0112233",
            vec![
                "Access-Accept",
                "Tunnel-Private-Group-Id:0 = \"20\"",
                "ACS:CiscoSecure-Defined-ACL=#ACSACL#-IP-corp-35d3c60a",
                "Session-Timeout = 28800",
            ],
        ),
        ("a4c3f0112234", vec!["Access-Accept", "Tunnel-Private-Group-Id:0 = \"66\"", "url-redirect="]),
        ("a4c3f0112235", vec!["Access-Accept", "Tunnel-Private-Group-Id:0 = \"20\"", "Session-Timeout = 3600"]),
        ("a4c3f0999999", vec!["Access-Accept", "Tunnel-Private-Group-Id:0 = \"99\"", "url-redirect="]),
        ("a4c3f0666666", vec!["Access-Reject"]),
    ] {
        let got = ask(mac);
        for part in wanted {
            assert!(got.contains(part), "{mac}: {part:?} is missing in\n{got}");
        }
    }
    assert_eq!(demo.radmit.stop(), Some(0));
}

#[test]
fn status_server_and_accounting_are_answered_so_that_radclient_believes_them() {
    let demo = demo();
    let status = radclient(&demo.auth, "status", "radmit-demo-secret", "Message-Authenticator = 0x00\n");
    assert!(status.contains("Received Access-Accept"), "{status}");
    let record = "Acct-Status-Type = Start, Acct-Session-Id = \"1\", User-Name = \"a4c3f0112233\"\n";
    let acct = radclient(&demo.acct, "acct", "radmit-demo-secret", record);
    assert!(acct.contains("Received Accounting-Response"), "{acct}");
    let line = demo.radmit.wait_for("\"event\":\"accounting\"").pop().unwrap();
    assert!(line.contains("\"Acct-Session-Id\":\"1\""), "{line}");
}

#[test]
fn a_wrong_secret_is_silence_and_a_line_that_says_so() {
    let demo = demo();
    let got = radclient(&demo.auth, "auth", "another secret", &mab("a4c3f0112233"));
    assert!(got.contains("No reply"), "{got}");
    let line = demo.radmit.wait_for("\"event\":\"drop\"").pop().unwrap();
    assert!(line.contains("bad-message-authenticator"), "{line}");
}

const CONFIGURATION: &str = r#"version = 1
[server]
auth-listen = ["127.0.0.1:0"]
acct-listen = ["127.0.0.1:0"]
[[client]]
name = "lab"
address = ["127.0.0.0/8"]
secret = "a secret for the lab"
[[mdm]]
name = "lab-inventory"
kind = "inventory"
file = "devices.toml"
[log]
decisions = "off"
[metrics]
listen = "127.0.0.1:0"
"#;

const DEVICES: &str = r#"version = 1
[[device]]
name = "LT-1"
intune-id = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01"
ethernet-mac = "A4-C3-F0-11-22-33"
compliance = "compliant"
"#;

fn policy(vlan: u16) -> String {
    format!(
        "version = 1\n[policy-set]\nname = \"Lab\"\nrank = 1\n[[rule]]\nname = \"known\"\n\
         when = {{ mdm.compliant = true }}\nresult = \"known\"\n[profile.known]\naccess = \"accept\"\nvlan = {vlan}\n"
    )
}

#[test]
fn a_reload_swaps_everything_and_a_broken_file_changes_nothing() {
    let folder = Folder::new("reload");
    folder.write("radmit.toml", CONFIGURATION);
    folder.write("devices.toml", DEVICES);
    folder.write("policies/lab.toml", &policy(20));
    let radmit = Radmit::start(&["serve", "-c", &folder.config()]);
    let auth = auth_address(&radmit);
    let vlan = || radclient(&auth, "auth", "a secret for the lab", &mab("a4c3f0112233"));
    assert!(vlan().contains("= \"20\""), "{}", vlan());

    let hash = |said: &[String]| said.last().unwrap().split("config=").nth(1).unwrap()[..16].to_owned();
    radmit.signal("HUP");
    let before = hash(&radmit.wait_for("reloaded"));
    folder.write("policies/lab.toml", &policy(21));
    radmit.signal("HUP");
    assert_ne!(hash(&radmit.wait_for("reloaded")), before, "another policy is another configuration");
    assert!(vlan().contains("= \"21\""), "{}", vlan());

    folder.write("policies/lab.toml", &policy(22).replace("mdm.compliant", "mdm.complaint"));
    radmit.signal("HUP");
    let said = radmit.wait_for("not reloaded").join("\n");
    assert!(said.contains("lab.toml:7:14: unknown fact \"mdm.complaint\"; did you mean \"mdm.compliant\"?"), "{said}");
    assert!(vlan().contains("= \"21\""), "{}", vlan());
    assert_eq!(radmit.stop(), Some(0));
}

/// The simulated cloud as a program of its own, so that it can be gone while the server runs.
fn cloud(folder: &Folder) -> (Radmit, String) {
    let ca = folder.0.join("certs/trust/sim.pem");
    fs::create_dir_all(ca.parent().unwrap()).unwrap();
    let radmit = Radmit::start(&["sim", "--listen", LOOPBACK, "--ca-out", &ca.to_string_lossy()]);
    let said = radmit.wait_for("graph-url");
    let setting = |key: &str| said.iter().find(|line| line.trim_start().starts_with(key)).unwrap().trim().to_owned();
    let server = format!(
        "[[mdm]]\nname = \"lab-intune\"\nkind = \"intune\"\ntenant-id = \"11112222-3333-4444-5555-666677778888\"\n\
         client-id = \"aaaa1111-bb22-cc33-dd44-eeee5555ffff\"\ncredential = {{ client-secret = \"sim-secret\" }}\n\
         only-trust-anchors = true\ntrust-anchors = [\"certs/trust\"]\n{}\n{}\n",
        setting("token-url"),
        setting("graph-url"),
    );
    (radmit, server)
}

/// The address of the authentication port, as the server says it when it starts.
#[test]
fn a_known_device_keeps_its_answer_over_a_restart_without_the_cloud() {
    let folder = Folder::new("restart");
    let (cloud, server) = cloud(&folder);
    let head = CONFIGURATION.split("[[mdm]]").next().unwrap();
    let write = |more: &str| {
        folder.write("radmit.toml", &format!("{head}{server}{more}[metrics]\nlisten = \"off\"\n"));
    };
    write("");
    folder.write("policies/lab.toml", &policy(20));
    let first = Radmit::start(&["serve", "-c", &folder.config()]);
    first.wait_for("the list of all devices is complete");
    assert_eq!(first.stop(), Some(0));
    assert_eq!(cloud.stop(), Some(0));

    // As young as it is it counts; too old, the cloud is asked, and the old answer serves.
    for (ages, source) in [("", "sync"), ("compliance-max-age = \"1s\"\nnegative-max-age = \"1s\"\n", "stale")] {
        write(ages);
        let again = Radmit::start(&["serve", "-c", &folder.config()]);
        let auth = auth_address(&again);
        let wanted = format!("\"source\":\"{source}\"");
        let sources = std::iter::from_fn(|| {
            let got = radclient(&auth, "auth", "a secret for the lab", &mab("a4c3f0112233"));
            assert!(got.contains("Access-Accept") && got.contains("= \"20\""), "{got}");
            again.wait_for("\"event\":\"decision\"").pop()
        });
        // Within a second or two it is too old; each round is a program that starts and ends.
        let found = sources.take(1_000).find(|line| line.contains(&wanted));
        assert!(found.is_some(), "{wanted} never came");
        let got = radclient(&auth, "auth", "a secret for the lab", &mab("a4c3f0999999"));
        assert!(got.contains("Access-Reject"), "nothing is said about a device that was never known: {got}");
        let line = again.wait_for("\"event\":\"decision\"").pop().unwrap();
        assert!(!line.contains("not-found"), "{line}");
        assert_eq!(again.stop(), Some(0));
    }
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_radmit")).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.code(), text)
}

#[test]
fn doctor_is_green_where_all_is_well_and_says_what_to_do_where_it_is_not() {
    let folder = Folder::new("doctor");
    let (cloud, server) = cloud(&folder);
    let head = CONFIGURATION.split("[[mdm]]").next().unwrap();
    let other = server
        .replace("lab-intune", "old-intune")
        .replace("sim-secret", "wrong")
        .replace("kind", "enabled = false\nkind");
    folder.write("radmit.toml", &format!("{head}{server}{other}"));
    let config = folder.config();

    let (code, said) = run(&["doctor", "-c", &config, "--mdm", "lab-intune", "--device", "A4-C3-F0-11-22-33"]);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "lab-intune (intune)",
        "ok       devices in Graph: may be read (DeviceManagementManagedDevices.Read.All)",
        "ok       devices in compliance retrieval: may be asked (get_device_compliance)",
        "ok       sample lookup: LT-0042 is compliant, found by MAC address",
        "0 failed, 0 warnings",
    ] {
        assert!(said.contains(line), "{line:?} is missing in\n{said}");
    }

    let (code, said) = run(&["doctor", "-c", &config]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("old-intune (intune, disabled)"), "{said}");
    assert!(said.contains("FAILED   token for Graph: ") && said.contains("configure the secret's value"), "{said}");

    let (code, said) = run(&["doctor", "-c", &config, "--mdm", "nobody"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there are: lab-intune, old-intune"), "{said}");

    assert_eq!(cloud.stop(), Some(0));
    let (code, said) = run(&["doctor", "-c", &config, "--mdm", "lab-intune"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("check DNS and firewall, or set proxy"), "{said}");
}

/// A certificate of somebody who is nobody's CA, with these URIs.
fn certificate(folder: &Folder, name: &str, uris: &[&str]) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    let uri = |text: &&str| rcgen::SanType::URI((*text).to_owned().try_into().unwrap());
    parameters.subject_alt_names = uris.iter().map(uri).collect();
    folder.write(name, &parameters.self_signed(&key).unwrap().pem());
    folder.0.join(name).to_string_lossy().into_owned()
}

#[test]
fn lookup_shows_the_record_and_ends_with_what_is_known() {
    let folder = Folder::new("lookup");
    let (cloud, server) = cloud(&folder);
    let head = CONFIGURATION.split("[[mdm]]").next().unwrap();
    folder.write("radmit.toml", &format!("{head}{server}"));
    let config = folder.config();
    let lookup = |more: &[&str]| run(&[&["lookup", "-c", &config], more].concat());

    let (code, said) = lookup(&["A4-C3-F0-11-22-33"]);
    assert_eq!(code, Some(0), "{said}");
    for part in [
        "found-by             MAC address",
        "intune-id            5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01",
        "entra-id             c0ffee00-1234-4abc-8def-001122334455",
        "compliance           compliant",
        "source               live",
        "age-ms               ",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }

    let id = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c02";
    let (code, said) = lookup(&["--format", "json", id]);
    assert_eq!(code, Some(0), "{said}");
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(document["servers"][0]["record"]["compliance"], "noncompliant");
    assert_eq!(document["servers"][0]["record"]["found-by"], "Intune id");

    let known = certificate(&folder, "laptop.pem", &[&format!("IntuneDeviceId://{id}")]);
    assert_eq!(lookup(&[&known]).0, Some(0));
    let two = ["IntuneDeviceId://5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01", &format!("ID:Intune:GUID:{id}")];
    let (code, said) = lookup(&[&certificate(&folder, "two.pem", &two)]);
    assert!(code == Some(2) && said.contains("the certificate names another device too"), "{said}");

    let (code, said) = lookup(&["a4c3f0999999"]);
    assert!(code == Some(1) && said.contains("A4-C3-F0-99-99-99 is not registered"), "{said}");
    assert_eq!(lookup(&["5b1f0c52-7d1e-4a39-9a3b-2f6f0a9dffff"]).0, Some(1));
    let (code, said) = lookup(&["nonsense"]);
    assert!(code == Some(2) && said.contains("is no MAC address, no device id and no certificate file"), "{said}");

    assert_eq!(cloud.stop(), Some(0));
    let (code, said) = lookup(&["a4c3f0112233"]);
    assert!(code == Some(2) && said.contains("it can't be told: unreachable"), "{said}");
}

#[test]
fn replay_tells_which_of_yesterdays_decisions_a_draft_would_change() {
    let folder = Folder::new("replay");
    folder.write("radmit.toml", &CONFIGURATION.replace("\"off\"", "\"decisions.jsonl\""));
    folder.write("devices.toml", DEVICES);
    folder.write("policies/lab.toml", &policy(20));
    let radmit = Radmit::start(&["serve", "-c", &folder.config()]);
    let auth = auth_address(&radmit);
    for mac in ["a4c3f0112233", "a4c3f0999999"] {
        radclient(&auth, "auth", "a secret for the lab", &mab(mac));
    }
    assert_eq!(radmit.stop(), Some(0));

    let path = |name: &str| folder.0.join(name).to_string_lossy().into_owned();
    let replay_of = |log: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_radmit"));
        command.args(["replay", "-c", &folder.config(), "--log", &path(log)]).args(more).output().unwrap()
    };
    let replay = |more: &[&str]| replay_of("decisions.jsonl", more);
    let same = replay(&[]);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    assert!(String::from_utf8_lossy(&same.stdout).starts_with("2 decisions, 0 change"), "{same:?}");

    fs::create_dir_all(path("draft")).unwrap();
    folder.write("draft/lab.toml", &policy(21));
    let other = replay(&["--policies", &path("draft")]);
    let said = String::from_utf8_lossy(&other.stdout);
    assert_eq!(other.status.code(), Some(1), "{other:?}");
    assert!(said.contains("2 decisions, 1 change") && said.contains("A4-C3-F0-11-22-33: accept (known)"), "{said}");
    let json = replay(&["--policies", &path("draft"), "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["changed"], &json["rules"][0]["now"]["reply"]["vlan"]), (&1.into(), &21.into()), "{json}");

    folder.write("draft/lab.toml", &policy(21).replace("mdm.compliant", "mdm.complaint"));
    assert_eq!(replay(&["--policies", &path("draft")]).status.code(), Some(2));
    fs::write(path("empty.jsonl"), "{\"event\":\"drop\"}\nbroken\n").unwrap();
    let nothing = replay_of("empty.jsonl", &[]);
    assert_eq!(nothing.status.code(), Some(2));
    let said = String::from_utf8_lossy(&nothing.stderr);
    assert!(said.contains("line 2 can't be used: no JSON") && said.contains("holds no decision"), "{said}");
}

#[test]
fn check_says_which_client_has_signed_everything_for_seven_days() {
    let folder = Folder::new("learnt");
    let learning = CONFIGURATION.replace("[[mdm]]", "message-authenticator = \"learn\"\n[[mdm]]");
    folder.write("radmit.toml", &learning);
    folder.write("devices.toml", DEVICES);
    folder.write("policies/lab.toml", &policy(20));
    let state = folder.0.join("state");
    let store = Store::open(&state, Arc::default());
    store.start(Box::new(|| vec![Count { client: "lab".into(), signed: 500, unsigned: 0 }]));
    store.stop();
    let (code, said) = run(&["check", "-c", &folder.config()]);
    assert!(code == Some(0) && !said.contains("seven days"), "it has only begun: {said}");

    let earlier = "UPDATE client SET since = since - 8 * 24 * 3600 * 1000000";
    rusqlite::Connection::open(state.join("devices.db")).unwrap().execute(earlier, []).unwrap();
    let (code, said) = run(&["check", "-c", &folder.config()]);
    assert_eq!(code, Some(0), "{said}");
    let wanted = "every request of client \"lab\" in seven days carried Message-Authenticator";
    assert!(said.contains("radmit.toml:5:") && said.contains(wanted), "{said}");
}

#[test]
fn a_broken_configuration_ends_with_1_and_a_taken_port_with_2() {
    let folder = Folder::new("broken");
    folder.write("radmit.toml", &CONFIGURATION.replace("[server]", "[sever]"));
    let code = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_radmit")).args(arguments).output().unwrap();
    let output = code(&["serve", "-c", &folder.config()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("radmit.toml:2:2"), "{output:?}");
    assert_eq!(code(&["check", "-c", &folder.config()]).status.code(), Some(1));

    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.write("radmit.toml", &CONFIGURATION.replacen("127.0.0.1:0", &address, 1));
    folder.write("devices.toml", DEVICES);
    folder.write("policies/lab.toml", &policy(20));
    assert_eq!(code(&["serve", "-c", &folder.config()]).status.code(), Some(2));
}

#[test]
fn probe_gives_the_exit_codes_of_a_nagios_check() {
    let demo = demo();
    let folder = Folder::new("probe");
    folder.write("secret", "radmit-demo-secret\n");
    let secret = folder.0.join("secret");
    let ask = |server: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_radmit"));
        command.args(["probe", "--server", server, "--secret-file"]).arg(&secret).args(more);
        command.output().unwrap().status.code()
    };
    let probe = |more: &[&str]| ask(&demo.auth, more);
    assert_eq!(probe(&["--mac", "a4c3f0112233"]), Some(0));
    assert_eq!(probe(&["--mac", "a4c3f0666666"]), Some(1));
    assert_eq!(probe(&["--status"]), Some(0));
    assert_eq!(probe(&["--mac", "nonsense"]), Some(3));
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = free.local_addr().unwrap().to_string();
    assert_eq!(ask(&silent, &["--tries", "1", "--timeout", "100ms"]), Some(2));
    assert_eq!(probe(&["--no-such-option"]), Some(3));
}

#[test]
fn explain_says_why_and_shows_the_reply_in_the_dialect_of_the_client() {
    let folder = Folder::new("explain");
    folder.write("radmit.toml", &CONFIGURATION.replace("[[mdm]]", "vendor = \"cisco\"\n[[mdm]]"));
    folder.write("devices.toml", DEVICES);
    folder.write("policies/lab.toml", &policy(20));
    folder.write("request", &mab("a4c3f0112233").replace(", Message-Authenticator = 0x00", ""));
    folder.write("facts.toml", "version = 1\n[mdm]\nregistered = true\ncompliant = true\n");
    let path = |name: &str| folder.0.join(name).to_string_lossy().into_owned();
    let explain = |more: &[&str]| {
        let config = folder.config();
        let mut command = Command::new(env!("CARGO_BIN_EXE_radmit"));
        command.args(["explain", "-c", &config, "--request", &path("request")]).args(more).output().unwrap()
    };
    let output = explain(&["--mdm", &path("facts.toml")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said.contains("by the rule \"known\" of \"Lab\""), "{said}");
    assert!(
        said.contains("as vendor \"cisco\" takes it") && said.contains("Tunnel-Private-Group-Id = \"20\""),
        "{said}"
    );

    let output = explain(&[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("needs mdm.compliant = true; it is not known"), "{said}");
}

#[test]
fn explain_asks_live_takes_fields_and_reads_a_line_of_the_log() {
    let folder = Folder::new("explain-live");
    folder.write("radmit.toml", CONFIGURATION);
    folder.write("devices.toml", DEVICES);
    folder.write("policies/lab.toml", &policy(20));
    let explain = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_radmit"));
        let output = command.args(["explain", "-c", &folder.config()]).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said + &String::from_utf8_lossy(&output.stderr))
    };
    let fields = ["-a", "User-Name = a4c3f0112233, User-Password = a4c3f0112233", "-a", "Service-Type = Call-Check"];

    let (code, said) = explain(&[&fields[..], &["--live"]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("identity: MAC A4-C3-F0-11-22-33 (User-Name), by mab, not proven"), "{said}");
    assert!(said.contains("asked lab-inventory about MAC A4-C3-F0-11-22-33: found"), "{said}");
    assert!(said.contains("mdm.lookup = found") && said.contains("by the rule \"known\" of \"Lab\""), "{said}");

    let (code, said) = explain(&[&fields[..], &["--fact", "mdm.compliant=false"]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("needs mdm.compliant = true; it is false"), "{said}");

    let (code, said) = explain(&["-a", "User-Name = a4c3f0112233, User-Password = other", "--live"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("rejected before policy: mab-password"), "{said}");

    let line = r#"{"time":"2026-11-22T10:00:00Z","event":"decision","client":"lab","method":"mab","mac":"A4-C3-F0-11-22-33",
        "mdm":{"lookup":"throttled"},"profiles":[],"verdict":"reject","reason":"no-rule-matched","reply":{},
        "facts":{"identity.proven":false}}"#;
    folder.write("line", &line.replace('\n', ""));
    let path = folder.0.join("line").to_string_lossy().into_owned();
    let (code, said) = explain(&["--decision", &path, "--format", "json"]);
    assert_eq!(code, Some(1), "{said}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["trace"]["rules"][0]["why"][0]["fact"], "mdm.compliant", "{said}");
    assert_eq!(explain(&[]).0, Some(2));
}

#[test]
fn explain_takes_what_a_stopped_or_running_server_has_saved() {
    let folder = Folder::new("explain-saved");
    let (cloud, server) = cloud(&folder);
    let head = CONFIGURATION.split("[[mdm]]").next().unwrap();
    folder.write("radmit.toml", &format!("{head}{server}[metrics]\nlisten = \"off\"\n"));
    folder.write("policies/lab.toml", &policy(20));
    let explain = |mac: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_radmit"));
        command.args(["explain", "-c", &folder.config(), "--saved", "-a", &format!("User-Name = {mac}")]);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(explain("a4c3f0112233").0, Some(1), "nothing is saved yet");
    let radmit = Radmit::start(&["serve", "-c", &folder.config()]);
    radmit.wait_for("the list of all devices is complete");
    assert_eq!(radmit.stop(), Some(0));
    assert_eq!(cloud.stop(), Some(0));

    let again = Radmit::start(&["serve", "-c", &folder.config()]);
    auth_address(&again);
    let (code, said) = explain("a4c3f0112233");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("mdm.lookup = found") && said.contains("by the rule \"known\""), "{said}");
    let (code, said) = explain("a4c3f0999999");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not-ready: the running server would ask; --live does"), "{said}");
    assert_eq!(again.stop(), Some(0));
}

#[test]
fn an_acl_is_fetched_by_the_name_that_the_accept_tells() {
    let demo = demo();
    let accept = radclient(&demo.auth, "auth", "radmit-demo-secret", &mab("a4c3f0112233"));
    let name = accept.split("CiscoSecure-Defined-ACL=").nth(1).unwrap().split('"').next().unwrap();
    let fetch = |name: &str, more: &str| {
        let request = format!(
            "User-Name = \"{name}\", User-Password = \"\", Cisco-AVPair = \"aaa:service=ip_admission\"{more}, \
             Message-Authenticator = 0x00\n"
        );
        radclient(&demo.auth, "auth", "radmit-demo-secret", &request)
    };
    let event = ", Cisco-AVPair += \"aaa:event=acl-download\"";
    let got = fetch(name, event);
    for part in ["Access-Accept", "ip:inacl#1=permit udp any any eq 53", "ip:inacl#3=permit ip any any"] {
        assert!(got.contains(part), "{part:?} is missing in\n{got}");
    }
    for (name, more, reason) in [
        (name, "", "acl-pair-missing"),
        ("#ACSACL#-IP-corp-00000000", event, "acl-outdated"),
        ("#ACSACL#-IP-guest-00000000", event, "acl-unknown"),
    ] {
        let got = fetch(name, more);
        assert!(got.contains("Access-Reject"), "{got}");
        demo.radmit.wait_for(&format!("\"reason\":\"{reason}\""));
    }
}

#[test]
fn check_prints_the_schemas_that_editors_use() {
    let schema = |arguments: &[&str]| -> serde_json::Value {
        let output = Command::new(env!("CARGO_BIN_EXE_radmit")).arg("check").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let both = schema(&["--schema"]);
    assert_eq!(both["policy"], schema(&["--schema=policy"]));
    assert_eq!(both["radmit"]["title"], "The configuration of radmit");
}
