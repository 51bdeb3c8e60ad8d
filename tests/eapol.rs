//! EAP-TLS with a real peer: wpa_supplicant's `eapol_test` against `radmit serve`, with certificates of `radmit certs`.
//!
//! Without `eapol_test` and `openssl` these tests fail: a check that skips itself proves nothing. What it can't send (bad fragments,
//! a State from elsewhere, no certificate inside the handshake) stands in the suite.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has to fail")]

#[path = "running/mod.rs"]
mod running;

use std::{fs, path::PathBuf, process::Command};

use running::{Folder, Radmit, auth_address};

const SECRET: &str = "a secret for the lab";
/// An id that no device of [`DEVICES`] has.
const NOBODY: &str = "nobody=5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c99";

const DEVICES: &str = r#"version = 1
[[device]]
name = "LT-0042"
intune-id = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01"
entra-id = "c0ffee00-1234-4abc-8def-001122334455"
ethernet-mac = "A4-C3-F0-11-22-33"
compliance = "compliant"
"#;

const POLICY: &str = r#"version = 1
[policy-set]
name = "Lab"
rank = 1
[[rule]]
name = "compliant"
when = { mdm.compliant = true }
result = "known"
[profile.known]
access = "accept"
vlan = 20
"#;

/// Both versions of TLS as wpa_supplicant is told to speak only one of them. OpenSSL knows no gaps: what lies below the
/// version must be switched off too.
const VERSIONS: [(&str, &str); 2] = [
    ("1.2", "tls_disable_tlsv1_3=1"),
    ("1.3", "tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_2=1 tls_disable_tlsv1_3=0"),
];

/// Certificates and the files of a server.
struct Lab {
    folder: Folder,
}

impl Lab {
    /// `more`: arguments of `radmit certs`.
    fn new(name: &str, more: &[&str]) -> Self {
        let folder = Folder::new(name);
        let output = Command::new(env!("CARGO_BIN_EXE_radmit"))
            .arg("certs")
            .arg(folder.0.join("pki"))
            .args(["--device", "LT-0042=5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01,c0ffee00-1234-4abc-8def-001122334455"])
            .args(["--device", NOBODY])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        folder.write("devices.toml", DEVICES);
        folder.write("policies/lab.toml", POLICY);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join("pki").join(name)
    }

    /// `more`: further lines of `[eap-tls]`.
    fn configure(&self, more: &str) {
        let head = format!(
            "version = 1\n[server]\nauth-listen = [\"127.0.0.1:0\"]\nacct-listen = []\nshards = 1\nreject-delay = \"0s\"\n\
             [[client]]\nname = \"lab\"\naddress = [\"127.0.0.1\"]\nsecret = \"{SECRET}\"\ngroups = [\"lab\"]\n\
             [[mdm]]\nname = \"inventory\"\nkind = \"inventory\"\nfile = \"devices.toml\"\n[metrics]\nlisten = \"off\"\n\
             [eap-tls]\ncertificate = \"pki/server.pem\"\nprivate-key = \"pki/server.key\"\nclient-ca = \"pki/client-ca.pem\"\n\
             crl = \"pki/client-ca.crl\"\n{more}\n"
        );
        self.folder.write("radmit.toml", &head);
    }

    fn serve(&self, more: &str) -> Server {
        self.configure(more);
        self.serve_as_configured()
    }

    fn serve_as_configured(&self) -> Server {
        let radmit = Radmit::start(&["serve", "-c", &self.folder.config()]);
        let address = auth_address(&radmit);
        let port = address.rsplit(':').next().unwrap().to_owned();
        Server { radmit, port }
    }

    /// The configuration of `client` with some lines in the place of, or beside, what `radmit certs` wrote.
    fn device(&self, client: &str, lines: &[(&str, &str)]) -> PathBuf {
        let written = fs::read_to_string(self.path(&format!("{client}.conf"))).unwrap();
        let is_replaced = |line: &str| lines.iter().any(|(key, _)| line.trim_start().starts_with(&format!("{key}=")));
        let mut text: String =
            written.lines().filter(|line| !is_replaced(line) && *line != "}").map(|line| format!("{line}\n")).collect();
        for (key, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
            text += &format!("    {key}={value}\n");
        }
        text += "}\n";
        let path = self.path("changed.conf");
        fs::write(&path, text).unwrap();
        path
    }
}

struct Server {
    radmit: Radmit,
    port: String,
}

/// What `eapol_test` printed.
struct Talk {
    text: String,
}

impl Server {
    /// `more`: arguments of `eapol_test`.
    fn talk(&self, configuration: &PathBuf, more: &[&str]) -> Talk {
        let output = Command::new("eapol_test")
            .arg("-c")
            .arg(configuration)
            .args(["-a", "127.0.0.1", "-p", &self.port, "-s", SECRET, "-t", "10"])
            .args(more)
            .output()
            .expect("eapol_test is missing: install the package eapoltest");
        Talk { text: String::from_utf8_lossy(&output.stdout).into_owned() }
    }

    /// The next line of the decision log.
    fn decision(&self) -> String {
        self.radmit.wait_for("\"event\":\"decision\"").pop().unwrap()
    }

    /// A good device gets in, so whatever was before did no harm.
    fn assert_alive(&self, lab: &Lab) {
        self.talk(&lab.path("LT-0042.conf"), &[]).assert_success();
        assert!(self.decision().contains(r#""verdict":"accept""#));
    }
}

impl Talk {
    /// The device is in, and has the keys that the switch got.
    fn assert_success(&self) {
        assert!(self.text.trim_end().ends_with("SUCCESS"), "{}", self.text);
        assert!(self.text.contains("mismatch: 0"), "{}", self.text);
    }

    fn assert_failure(&self) {
        assert!(self.text.trim_end().ends_with("FAILURE"), "{}", self.text);
        assert!(self.text.contains("code=3 (Access-Reject)"), "an answer came, not silence: {}", self.text);
    }
}

fn assert_has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part:?} is missing in {line}");
    }
}

#[test]
fn both_versions_with_both_kinds_of_keys_end_with_the_same_keys_on_both_sides() {
    for kind in ["ecdsa", "rsa"] {
        let lab = Lab::new(&format!("eapol-{kind}"), &["--key", kind]);
        let server = lab.serve("");
        for (version, phase1) in VERSIONS {
            let device = lab.device("LT-0042", &[("phase1", &format!("\"{phase1}\""))]);
            let talk = server.talk(&device, &["-e"]);
            talk.assert_success();
            assert_has(&talk.text, &["Locally derived EAP Session-Id matches EAP-Key-Name"]);
            assert_has(&talk.text, &[&format!("Using TLS version TLSv{version}")]);
            let line = server.decision();
            assert_has(&line, &[r#""method":"eap-tls""#, r#""verdict":"accept""#, r#""vlan":20"#]);
            assert_has(&line, &[&format!(r#""tls":"{version}""#), r#""device-id-source":"certificate-san""#]);
        }
        assert_eq!(server.radmit.stop(), Some(0));
    }
}

#[test]
fn the_kinds_of_both_sides_keys_may_differ() {
    let labs = [Lab::new("eapol-mixed-ecdsa", &["--key", "ecdsa"]), Lab::new("eapol-mixed-rsa", &["--key", "rsa"])];
    for (ours, theirs) in [(&labs[0], &labs[1]), (&labs[1], &labs[0])] {
        let path = |name: &str| theirs.path(name).to_string_lossy().into_owned();
        ours.configure("");
        let text = fs::read_to_string(ours.folder.config()).unwrap();
        let text = ["client-ca.pem", "client-ca.crl"]
            .iter()
            .fold(text, |text, name| text.replace(&format!("pki/{name}"), &path(name)));
        ours.folder.write("radmit.toml", &text);
        let server = ours.serve_as_configured();
        let ca = format!("\"{}\"", ours.path("ca.pem").display());
        for (version, phase1) in VERSIONS {
            let phase1 = format!("\"{phase1}\"");
            let device = theirs.device("LT-0042", &[("ca_cert", &ca), ("phase1", &phase1)]);
            server.talk(&device, &[]).assert_success();
            assert_has(&server.decision(), &[r#""verdict":"accept""#, &format!(r#""tls":"{version}""#)]);
        }
    }
}

#[test]
fn every_form_of_a_device_id_finds_the_device() {
    let forms = ["ise", "intune-device-id", "cn", "entra-cn", "entra-dns"];
    let arguments: Vec<&str> = forms.iter().flat_map(|form| ["--form", form]).collect();
    // The second device has no Entra id, and is not asked for here.
    let folder = Folder::new("eapol-forms");
    let output = Command::new(env!("CARGO_BIN_EXE_radmit"))
        .arg("certs")
        .arg(folder.0.join("pki"))
        .args(["--device", "LT-0042=5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01,c0ffee00-1234-4abc-8def-001122334455"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    folder.write("devices.toml", DEVICES);
    folder.write("policies/lab.toml", POLICY);
    let lab = Lab { folder };
    let server = lab.serve("");
    for form in forms {
        server.talk(&lab.path(&format!("LT-0042-{form}.conf")), &[]).assert_success();
        let source = if form.ends_with("cn") { "certificate-cn" } else { "certificate-san" };
        assert_has(&server.decision(), &[r#""lookup":"found""#, &format!(r#""device-id-source":"{source}""#)]);
    }
}

#[test]
fn chains_with_an_intermediate_are_completed_on_both_sides() {
    for kind in ["ecdsa", "rsa"] {
        let lab = Lab::new(&format!("eapol-chain-{kind}"), &["--key", kind, "--intermediate"]);
        let server = lab.serve("");
        server.assert_alive(&lab);
        // Windows often sends its own certificate alone.
        let chain = fs::read_to_string(lab.path("LT-0042.pem")).unwrap();
        let end = "-----END CERTIFICATE-----\n";
        assert_eq!(chain.matches(end).count(), 2);
        fs::write(lab.path("alone.pem"), chain.split_inclusive(end).next().unwrap()).unwrap();
        let alone = format!("\"{}\"", lab.path("alone.pem").display());
        server.talk(&lab.device("LT-0042", &[("client_cert", &alone)]), &[]).assert_success();
        assert_has(&server.decision(), &[r#""verdict":"accept""#]);
    }
}

#[test]
fn fragments_of_all_sizes_pass_both_ways() {
    let lab = Lab::new("eapol-fragments", &["--key", "rsa", "--intermediate"]);
    for of_server in [300, 700, 1_000, 1_400] {
        let server = lab.serve(&format!("fragment-size = {of_server}"));
        for of_client in ["100", "1398"] {
            for (version, phase1) in VERSIONS {
                let phase1 = format!("\"{phase1}\"");
                let device = lab.device("LT-0042", &[("fragment_size", of_client), ("phase1", &phase1)]);
                server.talk(&device, &[]).assert_success();
                assert_has(&server.decision(), &[r#""verdict":"accept""#, &format!(r#""tls":"{version}""#)]);
            }
        }
    }
}

#[test]
fn a_session_is_resumed_and_decided_again() {
    let lab = Lab::new("eapol-resume", &[]);
    let server = lab.serve("");
    for (_, phase1) in VERSIONS {
        let device = lab.device("LT-0042", &[("phase1", &format!("\"{phase1}\""))]);
        let talk = server.talk(&device, &["-r", "1"]);
        talk.assert_success();
        assert!(talk.text.contains("Handshake finished - resumed=1"), "{}", talk.text);
        assert_has(&server.decision(), &[r#""resumed":false"#, r#""verdict":"accept""#]);
        let again = server.decision();
        assert_has(
            &again,
            &[r#""resumed":true"#, r#""verdict":"accept""#, r#""lookup":"found""#, r#""rule":"compliant""#],
        );
    }
}

#[test]
fn no_session_is_resumed_where_none_is_kept() {
    let lab = Lab::new("eapol-no-resume", &[]);
    let server = lab.serve("session-lifetime = \"0s\"");
    for (_, phase1) in VERSIONS {
        let device = lab.device("LT-0042", &[("phase1", &format!("\"{phase1}\""))]);
        let talk = server.talk(&device, &["-r", "1"]);
        talk.assert_success();
        assert!(!talk.text.contains("resumed=1"), "{}", talk.text);
        for _ in 0..2 {
            assert_has(&server.decision(), &[r#""resumed":false"#]);
        }
    }
}

#[test]
fn without_tickets_tls_13_always_starts_anew() {
    let lab = Lab::new("eapol-no-tickets", &[]);
    let server = lab.serve("tickets = 0");
    for (version, phase1) in VERSIONS {
        let device = lab.device("LT-0042", &[("phase1", &format!("\"{phase1}\""))]);
        let talk = server.talk(&device, &["-r", "1"]);
        talk.assert_success();
        assert_eq!(talk.text.contains("resumed=1"), version == "1.2", "TLS 1.2 resumes by session id");
    }
}

#[test]
fn an_ocsp_response_is_sent_to_devices_that_insist_on_one() {
    let lab = Lab::new("eapol-ocsp", &[]);
    let file = |name: &str| lab.path(name).to_string_lossy().into_owned();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().expect("openssl is missing: install it");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = openssl(&["x509", "-in", &file("server.pem"), "-noout", "-serial"]);
    let serial = said.trim().trim_start_matches("serial=");
    fs::write(lab.path("index"), format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN=radius.example\n")).unwrap();
    let (index, ca, key, server, response) =
        (file("index"), file("ca.pem"), file("ca.key"), file("server.pem"), file("server.ocsp"));
    let signed = ["ocsp", "-index", &index, "-rsigner", &ca, "-rkey", &key, "-CA", &ca, "-issuer", &ca];
    let about = ["-cert", &server, "-ndays", "30", "-respout", &response];
    openssl(&[&signed[..], &about[..]].concat());

    let server = lab.serve("ocsp-response = \"pki/server.ocsp\"");
    for (_, phase1) in VERSIONS {
        let insists = lab.device("LT-0042", &[("ocsp", "2"), ("phase1", &format!("\"{phase1}\""))]);
        server.talk(&insists, &[]).assert_success();
        assert_has(&server.decision(), &[r#""verdict":"accept""#]);
    }
    lab.configure("");
    server.radmit.signal("HUP");
    server.radmit.wait_for("reloaded");
    server.talk(&lab.device("LT-0042", &[("ocsp", "2")]), &[]).assert_failure();
    assert_has(&server.decision(), &["the alert bad_certificate_status_response", "see ocsp-response"]);
}

#[test]
fn a_certificate_that_must_not_get_in_is_told_why_and_the_server_lives_on() {
    let lab = Lab::new("eapol-refused", &[]);
    let server = lab.serve("");
    for (_, phase1) in VERSIONS {
        for (client, reason, code, alert) in [
            ("LT-0042-stranger", "certificate-unknown-issuer", "T204", "unknown CA"),
            ("LT-0042-expired", "certificate-expired", "T206", "certificate expired"),
            ("LT-0042-revoked", "certificate-revoked", "T207", "certificate revoked"),
        ] {
            let talk = server.talk(&lab.device(client, &[("phase1", &format!("\"{phase1}\""))]), &[]);
            talk.assert_failure();
            assert!(talk.text.contains(alert), "{client} hears {alert:?}: {}", talk.text);
            let line = server.decision();
            assert_has(&line, &[r#""verdict":"reject""#, &format!(r#""reason":"{reason}""#), &format!("{code} ")]);
            server.assert_alive(&lab);
        }
    }
    assert_eq!(server.radmit.stop(), Some(0));
}

#[test]
fn a_device_that_nobody_knows_is_denied_by_policy_with_an_alert() {
    let lab = Lab::new("eapol-nobody", &[]);
    let server = lab.serve("");
    for (_, phase1) in VERSIONS {
        let talk = server.talk(&lab.device("nobody", &[("phase1", &format!("\"{phase1}\""))]), &[]);
        talk.assert_failure();
        assert!(talk.text.contains("access denied"), "{}", talk.text);
        let line = server.decision();
        assert_has(&line, &[r#""lookup":"not-found""#, r#""verdict":"reject""#, "I101 no device in Intune for"]);
        server.assert_alive(&lab);
    }
}

#[test]
fn a_device_that_distrusts_the_server_says_so() {
    let lab = Lab::new("eapol-distrust", &[]);
    let other = Lab::new("eapol-distrust-other", &[]);
    let server = lab.serve("");
    let ca = format!("\"{}\"", other.path("ca.pem").display());
    for lines in [[("ca_cert", ca.as_str())], [("domain_match", "\"another.example\"")]] {
        let talk = server.talk(&lab.device("LT-0042", &lines), &[]);
        talk.assert_failure();
        assert_has(&server.decision(), &[r#""reason":"tls-alert-from-device""#, "T201 the device sent the alert"]);
        server.assert_alive(&lab);
    }
}

#[test]
fn a_device_that_wants_another_method_is_told_no() {
    let lab = Lab::new("eapol-nak", &[]);
    let server = lab.serve("");
    let password = ("password", "\"secret\"");
    for (method, wanted) in [("PEAP", "PEAP"), ("TTLS", "EAP-TTLS"), ("MD5", "EAP-MD5")] {
        let talk = server.talk(&lab.device("LT-0042", &[("eap", method), password]), &["-n"]);
        talk.assert_failure();
        assert_has(&server.decision(), &[r#""reason":"eap-method-refused""#, wanted]);
    }
    // Without a key wpa_supplicant has no EAP-TLS, and wants nothing at all.
    let talk = server.talk(&lab.device("LT-0042", &[("private_key", ""), ("client_cert", "")]), &[]);
    talk.assert_failure();
    assert_has(&server.decision(), &[r#""reason":"eap-method-refused""#]);
    server.assert_alive(&lab);
}

#[test]
fn a_device_with_an_old_tls_is_told_apart() {
    let lab = Lab::new("eapol-old", &[]);
    let server = lab.serve("");
    let old = "\"tls_disable_tlsv1_2=1 tls_disable_tlsv1_3=1\"";
    let talk = server.talk(&lab.device("LT-0042", &[("phase1", old)]), &[]);
    talk.assert_failure();
    assert_has(&server.decision(), &[r#""reason":"tls-too-old""#]);
    server.assert_alive(&lab);
}

#[test]
fn mac_bypass_may_come_as_eap_md5_where_it_is_switched_on_and_wired() {
    const MAC: &str = "\"a4c3f0112233\"";
    let lab = Lab::new("eapol-md5", &[]);
    let server = lab.serve("[eap-tls.group.lab]\neap-md5 = true");
    let wired = ["-n", "-M", "a4:c3:f0:11:22:33", "-N", "61:d:15"];
    let ask = |password: &str, arguments: &[&str]| {
        let lines = [("eap", "MD5"), ("identity", MAC), ("password", password)];
        server.talk(&lab.device("LT-0042", &lines), arguments)
    };
    ask(MAC, &wired).assert_success();
    assert_has(&server.decision(), &[r#""method":"eap-md5""#, r#""verdict":"accept""#, r#""vlan":20"#]);
    ask("\"another\"", &wired).assert_failure();
    assert_has(&server.decision(), &[r#""reason":"mab-password""#]);
    ask(MAC, &["-n", "-M", "a4:c3:f0:11:22:34", "-N", "61:d:15"]).assert_failure();
    assert_has(&server.decision(), &[r#""reason":"mac-mismatch""#]);
    // NAS-Port-Type is Wireless-802.11 where nothing else is said.
    ask(MAC, &["-n", "-M", "a4:c3:f0:11:22:33"]).assert_failure();
    assert_has(&server.decision(), &[r#""reason":"eap-method-refused""#]);
    server.assert_alive(&lab);
}

#[test]
fn settings_for_a_group_reach_its_devices() {
    let lab = Lab::new("eapol-group", &["--key", "rsa"]);
    let server = lab.serve("[eap-tls.group.lab]\nrsa-pss = false\nfragment-size = 300");
    server.talk(&lab.path("LT-0042.conf"), &[]).assert_success();
    let line = server.decision();
    assert_has(&line, &[r#""tls":"1.2""#]);
    let (_, only_13) = VERSIONS[1];
    let talk = server.talk(&lab.device("LT-0042", &[("phase1", &format!("\"{only_13}\""))]), &[]);
    talk.assert_failure();
    assert_has(&server.decision(), &[r#""verdict":"reject""#, "tls-"]);
    server.assert_alive(&lab);
}

#[test]
fn only_named_issuers_may_name_devices() {
    let lab = Lab::new("eapol-issuers", &[]);
    let server = lab.serve("device-id-issuers = [\"Another CA\"]");
    server.radmit.signal("HUP");
    server.radmit.wait_for("reloaded");
    let talk = server.talk(&lab.path("LT-0042.conf"), &[]);
    talk.assert_failure();
    let line = server.decision();
    assert_has(&line, &[r#""verdict":"reject""#]);
    assert!(!line.contains(r#""device-id-source":"certificate"#), "{line}");
}

#[test]
fn certificates_are_reloaded_and_broken_ones_change_nothing() {
    let lab = Lab::new("eapol-reload", &[]);
    let other = Lab::new("eapol-reload-other", &[]);
    let server = lab.serve("");
    server.assert_alive(&lab);

    let good = fs::read(lab.path("server.pem")).unwrap();
    fs::write(lab.path("server.pem"), fs::read(other.path("server.pem")).unwrap()).unwrap();
    server.radmit.signal("HUP");
    let said = server.radmit.wait_for("not reloaded").join("\n");
    assert_has(&said, &["server.key: T202 the key is not that of the certificate in"]);
    server.assert_alive(&lab);

    // The whole of another lab: its devices get in, those of before don't, also by a session that was kept.
    fs::write(lab.path("server.pem"), good).unwrap();
    for name in ["client-ca.pem", "client-ca.crl"] {
        fs::copy(other.path(name), lab.path(name)).unwrap();
    }
    server.radmit.signal("HUP");
    server.radmit.wait_for("reloaded");
    let theirs = |client: &str| {
        // The server kept its certificate, so it is the first lab's root that must be trusted.
        let ca = format!("\"{}\"", lab.path("ca.pem").display());
        other.device(client, &[("ca_cert", ca.as_str())])
    };
    server.talk(&theirs("LT-0042"), &[]).assert_success();
    assert_has(&server.decision(), &[r#""verdict":"accept""#]);
    server.talk(&lab.path("LT-0042.conf"), &[]).assert_failure();
    // Both authorities have the same name, so it is the signature that tells them apart.
    assert_has(&server.decision(), &[r#""reason":"certificate-wrong-signature""#]);
}

#[test]
fn the_lines_that_the_demo_prints_do_what_they_say() {
    use running::LOOPBACK;

    let addresses = ["--auth-listen", "--acct-listen", "--metrics-listen", "--sim-listen"];
    let arguments: Vec<&str> =
        ["demo"].into_iter().chain(addresses.iter().flat_map(|name| [*name, LOOPBACK])).collect();
    let radmit = Radmit::start(&arguments);
    let said = radmit.wait_for("Each decision is printed below");
    let lines: Vec<&String> = said.iter().filter(|line| line.trim_start().starts_with("eapol_test ")).collect();
    assert_eq!(lines.len(), 6);
    for (line, wanted) in
        lines.iter().zip([r#""vlan":20"#, r#""vlan":66"#, r#""vlan":20"#, r#""vlan":99"#, "T207", "T206"])
    {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let output = Command::new("eapol_test").args(words).output().unwrap();
        assert_eq!(output.status.success(), wanted.starts_with(r#""vlan"#), "{line}");
        assert_has(&radmit.wait_for("\"event\":\"decision\"").pop().unwrap(), &[wanted]);
    }
    assert_eq!(radmit.stop(), Some(0));
}
