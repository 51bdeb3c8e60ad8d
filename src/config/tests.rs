//! What an operator reads after a mistake, and what the configuration is without one.
//!
//! Owns the messages as snapshots. Each mistake stands beside what is said of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    eap::tls::context::{TlsMax, TlsOptions},
    engine::client::{MabPassword, MacFrom, MessageAuthenticatorMode, Network},
    mdm::settings::{Credential, Kind},
    policy::facts::DeviceIdSource,
    problem::Problems,
};

use super::{
    configuration::{Configuration, CrlFailure, Decisions, LogFormat, LogLevel},
    file,
    files::MemoryFiles,
    reference,
};

const SECRET: &str = "a secret of a fair length";

fn machine() -> MemoryFiles {
    MemoryFiles::default()
        .with("policies/default.toml", "version = 1\n")
        .with("secrets/campus", format!("{SECRET}\n"))
        .with("certs/app.pem", "certificate")
        .with("certs/app.key", "key")
        .with("certs/server.pem", "certificate")
        .with("certs/server.key", "key")
        .with("certs/ca.pem", "certificate")
        .with("devices.toml", "version = 1\n")
}

fn load(files: MemoryFiles) -> (Option<Configuration>, Vec<String>) {
    let mut problems = Problems::new();
    let configuration = file::load(Path::new("radmit.toml"), &(Arc::new(files) as _), &mut problems);
    assert_eq!(configuration.is_none(), problems.has_errors(), "an error and nothing else refuses a configuration");
    (configuration, problems.sorted().iter().map(ToString::to_string).collect())
}

/// What is said of `text`, on the machine above.
fn said(text: &str) -> String {
    said_on(machine(), text)
}

fn said_on(files: MemoryFiles, text: &str) -> String {
    load(files.with("radmit.toml", format!("version = 1\n{text}"))).1.join("\n")
}

/// The configuration that `text` gives; it may have warnings, but no errors.
fn read(text: &str) -> Configuration {
    let (configuration, said) = load(machine().with("radmit.toml", format!("version = 1\n{text}")));
    configuration.unwrap_or_else(|| panic!("{}", said.join("\n")))
}

/// A client without mistakes, for files whose mistakes stand elsewhere.
const CLIENT: &str = "[[client]]\nname = \"switch\"\naddress = \"10.1.1.1\"\nsecret = { file = \"secrets/campus\" }\n";

const FULL: &str = r#"
[server]
auth-listen = ["192.0.2.1:1812", "[2001:db8::1]:1812"]
acct-listen = []
shards = 4
policies = "policies"
state-dir = "/var/lib/radmit"
decision-deadline = "3s"
reject-delay = "500ms"
udp-segmentation = false
timezone = "Europe/Berlin"

[[client]]
name = "campus-switches"
address = ["10.20.0.0/16", "2001:db8:20::/48"]
secret = { file = "secrets/campus" }
vendor = "cisco"
groups = ["wired", "campus", "lobby"]
message-authenticator = "learn"
trust-authorize-only = false
mab-password = { env = "MAB_PASSWORD" }
mac-from = "calling-station-id"
decision-deadline = "2s"

[[client]]
name = "one-switch"
address = "10.20.0.7"
secret = { env = "SWITCH_SECRET" }

[[mdm]]
name = "corp-intune"
kind = "intune"
tenant-id = "11112222-3333-4444-5555-666677778888"
client-id = "aaaa1111-bb22-cc33-dd44-eeee5555ffff"
cloud = "gcc-high"
credential = { certificate = "certs/app.pem", private-key = "certs/app.key", assertion = "rs256" }
trust-anchors = ["certs", "certs/ca.pem"]
only-trust-anchors = true
proxy = "http://proxy.example:3128"
lookup = ["compliance-retrieval", "graph"]
identifiers = ["certificate-cn", "mac"]
device-id-attributes = ["Cisco-AVPair", "Class"]
compliance-max-age = "10m"
stale-for = "1d"
negative-max-age = "2m"
grace-is-compliant = false
polling-interval = "1h"
incremental-interval = "0s"
lookup-timeout = "1s"
requests-per-second = 40
mass-flip-guard = { share = "20%", window = "10m", hold = "1h" }

[[mdm]]
name = "lab"
kind = "inventory"
enabled = false
file = "devices.toml"

[eap-tls]
certificate = "certs/server.pem"
private-key = "certs/server.key"
client-ca = "certs/ca.pem"
crl = ["certs/ca.pem"]
crl-failure = "open"
fragment-size = 1100
tls-max = "1.2"
session-lifetime = "0s"
tickets = 0
device-id-issuers = ["Contoso Issuing CA 1"]
ocsp-response = "certs/ca.pem"
sessions-max = 1000
client-sessions-max = 100
idle-timeout = "20s"
total-timeout = "40s"

[eap-tls.group.lobby]
tls-max = "1.3"

[eap-tls.group.campus]
fragment-size = 300
rsa-pss = false
eap-md5 = true

[log]
format = "json"
level = "debug"
decisions = "/var/log/radmit/decisions.json"

[metrics]
listen = "[::1]:9999"
"#;

fn full() -> Configuration {
    let files = machine()
        .with("radmit.toml", format!("version = 1\n{FULL}"))
        .with_variable("MAB_PASSWORD", "one password for all of them")
        .with_variable("SWITCH_SECRET", SECRET);
    let (configuration, said) = load(files);
    assert_eq!(said, Vec::<String>::new());
    configuration.unwrap()
}

#[test]
fn a_file_without_mistakes_is_read_without_a_word() {
    let full = full();
    assert_eq!(full.files, [PathBuf::from("radmit.toml")]);
    assert_eq!(full.server.auth_listen[1], "[2001:db8::1]:1812".parse().unwrap());
    assert_eq!((full.server.acct_listen.len(), full.server.shards), (0, 4));
    assert_eq!(full.server.state_dir, Path::new("/var/lib/radmit"));
    assert_eq!(full.server.reject_delay, Duration::from_millis(500));
    assert!(!full.server.udp_segmentation);
    assert_eq!(full.server.zone.iana_name(), Some("Europe/Berlin"));
    assert_eq!((full.log.format, full.log.level), (LogFormat::Json, LogLevel::Debug));
    assert_eq!(full.log.decisions, Decisions::File("/var/log/radmit/decisions.json".into()));
    assert_eq!(full.metrics.listen, Some("[::1]:9999".parse().unwrap()));
    let eap = full.eap_tls.unwrap();
    assert_eq!(
        (eap.crl_failure, eap.options.tls.max, eap.options.fragment_size),
        (CrlFailure::Open, TlsMax::Tls12, 1100)
    );
    assert_eq!((eap.bounds.sessions, eap.bounds.of_client), (1000, 100));
    assert_eq!((eap.bounds.idle, eap.bounds.total), (Duration::from_secs(20), Duration::from_secs(40)));
    assert_eq!(&*eap.device_id_issuers[0].text, "Contoso Issuing CA 1");
    assert!(eap.session_lifetime.is_zero() && !eap.tickets);
}

#[test]
fn a_group_of_clients_has_its_own_way_of_eap() {
    let eap = full().eap_tls.unwrap();
    let of = |groups: &[&str]| eap.options_of(&groups.iter().map(|group| Box::from(*group)).collect::<Vec<_>>());
    assert_eq!(of(&[]), eap.options);
    assert_eq!(of(&["elsewhere"]), eap.options);
    let campus = of(&["elsewhere", "campus", "lobby"]);
    assert_eq!(campus.tls, TlsOptions { max: TlsMax::Tls12, pss: false }, "TLS 1.3 has no other RSA signatures");
    assert_eq!((campus.fragment_size, campus.md5), (300, true));
    let lobby = of(&["lobby"]);
    assert_eq!((lobby.tls.max, lobby.fragment_size, lobby.md5), (TlsMax::Tls13, 1100, false));
    assert_eq!(eap.tls_max(), TlsMax::Tls13, "what any group may have must be possible");
}

#[test]
fn a_client_has_what_stands_in_the_file() {
    let clients = full().clients;
    let [campus, one] = &clients[..] else { panic!("{clients:?}") };
    assert_eq!((&*campus.name, &*campus.vendor.text, campus.groups.len()), ("campus-switches", "cisco", 3));
    assert_eq!(campus.networks, ["10.20.0.0/16", "2001:db8:20::/48"].map(|text| Network::parse(text).unwrap()));
    assert_eq!(campus.message_authenticator, MessageAuthenticatorMode::Learn);
    assert_eq!(campus.mac_from, MacFrom::CallingStationId);
    let MabPassword::Configured(password) = &campus.mab_password else { panic!("{:?}", campus.mab_password) };
    assert_eq!(password.as_slice(), b"one password for all of them");
    assert_eq!(campus.decision_deadline, Duration::from_secs(2));
    assert_eq!(one.decision_deadline, Duration::from_secs(3), "the server's");
    assert_eq!(one.message_authenticator, MessageAuthenticatorMode::Require, "the default");
    assert_eq!(&*one.vendor.text, "generic", "the default");
}

#[test]
fn an_mdm_server_has_what_stands_in_the_file() {
    let servers = full().mdm;
    let [corp, lab] = &servers[..] else { panic!("{servers:?}") };
    assert_eq!(corp.identifiers, [DeviceIdSource::CertificateCn, DeviceIdSource::Mac]);
    assert_eq!(corp.device_id_attributes.iter().map(|name| &*name.text).collect::<Vec<_>>(), ["Cisco-AVPair", "Class"]);
    assert_eq!(corp.settings.ages.stale_for, Duration::from_secs(86_400));
    assert!(!corp.settings.grace_is_compliant && corp.settings.mass_flip_guard.is_some());
    let Kind::Intune(intune) = &corp.settings.kind else { panic!("{corp:?}") };
    assert_eq!((intune.requests_per_second, intune.cloud.name(), intune.trust.anchors.len()), (40, "gcc-high", 2));
    assert!(intune.incremental_interval.is_zero() && intune.trust.only_anchors);
    assert!(matches!(lab.settings.kind, Kind::Inventory(_)) && !lab.settings.enabled);
    assert_eq!(lab.identifiers.len(), 4, "the default is all of them");
}

#[test]
fn what_is_not_said_has_its_default() {
    let read = read(CLIENT);
    assert_eq!(read.server.auth_listen.len(), 2);
    assert_eq!(read.server.auth_listen[1], "[::]:1812".parse().unwrap());
    assert_eq!(read.server.policies, Path::new("policies"));
    assert_eq!(read.server.dictionaries, None, "the folder is not there");
    assert_eq!(read.server.decision_deadline, Duration::from_secs(2));
    assert_eq!(read.log.decisions, Decisions::Stdout);
    assert_eq!(read.metrics.listen, Some("127.0.0.1:9812".parse().unwrap()));
    assert!(read.eap_tls.is_none() && read.mdm.is_empty());
    assert!(matches!(read.clients[0].mab_password, MabPassword::Mac));
}

#[test]
fn files_beside_are_added_in_the_order_of_their_names() {
    let (configuration, said) = load(
        machine()
            .with("radmit.toml", format!("version = 1\n[server]\nreject-delay = \"2s\"\nshards = 2\n{CLIENT}"))
            .with("conf.d/20-late.toml", "version = 1\n[server]\ndecision-deadline = \"4s\"\nreject-delay = \"3s\"\n")
            .with(
                "conf.d/10-early.toml",
                "version = 1\n[server]\ndecision-deadline = \"1s\"\n\
                 [[client]]\nname = \"b\"\naddress = \"10.1.1.2\"\nsecret = { file = \"campus\" }\n",
            )
            .with("conf.d/campus", SECRET)
            .with("conf.d/README.md", "not read")
            .with("conf.d/.20-late.toml.swp.toml", "not read"),
    );
    assert_eq!(said, Vec::<String>::new());
    let configuration = configuration.unwrap();
    let files = ["radmit.toml", "conf.d/10-early.toml", "conf.d/20-late.toml"];
    assert_eq!(configuration.files, files.map(PathBuf::from));
    assert_eq!(configuration.server.decision_deadline, Duration::from_secs(4), "the last file counts");
    assert_eq!((configuration.server.reject_delay, configuration.server.shards), (Duration::from_secs(3), 2));
    assert_eq!(configuration.clients.len(), 2);
}

#[test]
fn a_changed_file_has_another_hash() {
    let hash = |text: &str| read(&format!("{CLIENT}{text}")).hash;
    assert_eq!(hash(""), hash(""));
    assert_ne!(hash(""), hash("# changed\n"));
    assert_eq!(hash("").len(), 16);
}

#[test]
fn without_a_name_the_first_file_that_is_there_is_taken() {
    let there = MemoryFiles::default().with("/etc/radmit/radmit.toml", "");
    assert_eq!(file::find(None, &there).unwrap(), Path::new("/etc/radmit/radmit.toml"));
    assert_eq!(file::find(None, &there.with("radmit.toml", "")).unwrap(), Path::new("radmit.toml"));
    assert_eq!(file::find(Some(Path::new("x")), &machine()).unwrap(), Path::new("x"));
    let nowhere = file::find(None, &machine()).unwrap_err().to_string();
    assert_eq!(nowhere, "neither radmit.toml nor /etc/radmit/radmit.toml is there; name one with -c FILE");
}

#[test]
fn a_secret_keeps_all_but_one_trailing_line_break() {
    use crate::config::secret::Origin;
    for (content, secret) in [
        ("abc", "abc"),
        ("abc\n", "abc"),
        ("abc\r\n", "abc"),
        ("abc\n\n", "abc\n"),
        (" abc ", " abc "),
        ("abc\r", "abc\r"),
    ] {
        let files = MemoryFiles::default().with("s", content);
        assert_eq!(Origin::File("s".into()).read(&files).unwrap().as_slice(), secret.as_bytes(), "{content:?}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let text = format!(
        "{CLIENT}[[client]]\nname = \"b\"\naddress = \"10.1.1.2\"\nsecret = \"xyzzy-in-plain\"\nmab-password = \"xyzzy\"\n\
         [[client]]\nname = \"c\"\naddress = \"10.1.1.3\"\nsecret = {{ fiel = \"xyzzy\" }}\n\
         [[client]]\nname = \"d\"\naddress = \"10.1.1.4\"\nsecret = [\"xyzzy\"]\n"
    );
    let said = said(&text);
    assert!(!said.contains("xyzzy") && said.lines().count() >= 5, "{said}");
    let shown = format!("{:?}", full());
    assert!(!shown.contains(SECRET) && !shown.contains("one password for all"), "{shown}");
}

#[test]
fn unknown_vendors_and_attributes_are_reported_when_they_are_known() {
    let configuration = full();
    let mut problems = Problems::new();
    configuration.check_vendors(["generic", "cisco-wlc", "aruba"], &mut problems);
    configuration.check_attributes(|name| name == "Class", &mut problems);
    let said: Vec<String> = problems.sorted().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    radmit.toml:18:10: unknown vendor "cisco"; did you mean "cisco-wlc"?
    radmit.toml:43:25: unknown attribute "Cisco-AVPair"; write its name as in the dictionaries
    radmit.toml:54:1: unknown attribute "Cisco-AVPair"; write its name as in the dictionaries
    "#);
}

#[test]
fn mistakes_in_server() {
    insta::assert_snapshot!(said(&format!(r#"{CLIENT}
[server]
auth-listen = ["0.0.0.0", "10.0.0.1:1812", "10.0.0.1:1812", "localhost:1812", 7]
acct-listen = ["10.0.0.1:1812"]
shards = 1000
polices = "x"
policies = "nowhere"
dictionaries = "nowhere-either"
decision-deadline = "45s"
reject-delay = 1
timezone = "Mars/Olympus"
"#)), @r#"
    radmit.toml:8:16: "0.0.0.0" is no address to listen at; add the port: "0.0.0.0:1812"
    radmit.toml:8:44: 10.0.0.1:1812 stands here twice; leave one out
    radmit.toml:8:61: "localhost:1812" is no address to listen at; write an address and a port, such as "127.0.0.1:1812" or "[::1]:1812"
    radmit.toml:8:79: "server.auth-listen" is a whole number; write a text in quotes
    radmit.toml:9:15: 10.0.0.1:1812 is in auth-listen and in acct-listen; each needs its own port
    radmit.toml:10:10: "server.shards" must be between 0 and 256
    radmit.toml:11:1: unknown key "server.polices"; did you mean "policies"?
    radmit.toml:12:12: the folder nowhere does not exist; create it, or correct the path
    radmit.toml:13:16: the folder nowhere-either does not exist; create it, or correct the path
    radmit.toml:14:21: "server.decision-deadline" must be between 1ms and 30s
    radmit.toml:15:16: "server.reject-delay" is a whole number; write a duration with a unit (ms, s, m, h, d), such as "90s", "4h" or "7d"
    radmit.toml:16:12: unknown time zone "Mars/Olympus"; write "local", "UTC" or a name such as "Europe/Berlin"
    "#);
    insta::assert_snapshot!(said(&format!("{CLIENT}[server]\nauth-listen = []\nstate-dir = \"\"\nshards = -1\ndecision-deadline = \"0s\"\n")), @r#"
    radmit.toml:7:15: "server.auth-listen" is empty; write at least one address
    radmit.toml:8:13: "server.state-dir" is empty; write a path
    radmit.toml:9:10: "server.shards" must be between 0 and 256
    radmit.toml:10:21: "server.decision-deadline" must be between 1ms and 30s
    "#);
    insta::assert_snapshot!(said(&format!("server = 1\n{CLIENT}[servers]\nx = 1\n")), @r#"
    radmit.toml:2:10: "server" is a whole number; write a table, { … } or [ ] as a header
    radmit.toml:7:2: unknown key "servers"; did you mean "server"?
    "#);
}

#[test]
fn mistakes_in_files() {
    insta::assert_snapshot!(load(machine()).1.join("\n"), @r#"
    radmit.toml: the file does not exist; correct the path, or create the file
    "#);
    insta::assert_snapshot!(load(machine().with("radmit.toml", b"version = 1 # \xff".to_vec())).1.join("\n"), @r#"
    radmit.toml: the file is not UTF-8 text; save it as UTF-8
    "#);
    insta::assert_snapshot!(load(machine().with("radmit.toml", CLIENT)).1.join("\n"), @r#"
    radmit.toml:1:1: the file has no version; start it with: version = 1
    "#);
    insta::assert_snapshot!(said(""), @r#"
    radmit.toml: warning: there is no [[client]], so nobody may ask; add one for each switch, controller or network of them
    "#);
    insta::assert_snapshot!(said("[[client]\nname = x\nsecret = \"not closed\n"), @r#"
    radmit.toml:2:10: not valid TOML: unclosed array table, expected `]`
    "#);
    insta::assert_snapshot!(said("[client]\nname = \"a\"\n"), @r#"
    radmit.toml: warning: there is no [[client]], so nobody may ask; add one for each switch, controller or network of them
    radmit.toml:2:1: write [[client]] with two brackets; each one adds an entry
    "#);
    insta::assert_snapshot!(said_on(machine().with("conf.d/a.toml", "version = 2\n[log]\nlevle = 1\n").with("conf.d/b.toml", "= 1\n"), CLIENT), @r#"
    conf.d/a.toml:1:11: this version of the format is unknown; write: version = 1
    conf.d/a.toml:3:1: unknown key "log.levle"; did you mean "level"?
    conf.d/b.toml:1:1: not valid TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
    "#);
}

#[test]
fn mistakes_in_clients() {
    insta::assert_snapshot!(said(r#"
[[client]]
[[client]]
name = "a"
address = []
secret = { file = "secrets/campus" }
[[client]]
name = "a"
address = ["10.20.0.1/16", "10.20.0.0/33", "switch.example", "10.20.0.0/x", "::ffff:10.0.0.1", "2001:db8::1/32"]
secret = { file = "secrets/campus" }
vendor = 7
groups = ["x", " y "]
message-authenticator = "required"
trust-authorize-only = "yes"
mac-from = "either-or"
decision-deadline = "1m"
sceret = "x"
[[client]]
name = " c "
address = "10.30.0.0/16"
secret = { file = "secrets/campus" }
[[client]]
name = "d"
address = ["10.30.0.0/16", "10.30.0.0/17"]
secret = { file = "secrets/campus" }
trust-authorize-only = true
"#), @r#"
    radmit.toml:3:1: [client] has no "name"; write the name that policies, logs and metrics shall show
    radmit.toml:3:1: [client] has no "address"; write the addresses that it sends from, such as ["10.20.0.0/16"]
    radmit.toml:3:1: [client] has no "secret"; write secret = { file = "…" }
    radmit.toml:6:11: "client.address" is empty; write at least one address or network
    radmit.toml:9:8: a client called "a" stands at radmit.toml:5:8 already; rename one
    radmit.toml:10:12: "10.20.0.1/16" has bits behind its prefix; write "10.20.0.0/16", or "10.20.0.1" for the one address
    radmit.toml:10:28: "10.20.0.0/33" has a prefix longer than 32
    radmit.toml:10:44: "switch.example" is no address; write "10.20.0.0/16", "2001:db8::/32" or one address (names are not looked up)
    radmit.toml:10:62: "10.20.0.0/x" has no valid prefix length; write a number behind the slash
    radmit.toml:10:77: "::ffff:10.0.0.1" is an IPv4 address written as IPv6; write it as IPv4
    radmit.toml:10:96: "2001:db8::1/32" has bits behind its prefix; write "2001:db8::/32", or "2001:db8::1" for the one address
    radmit.toml:12:10: "client.vendor" is a whole number; write a text in quotes
    radmit.toml:13:16: "client.groups" must be 1 to 128 octets without spaces around it
    radmit.toml:14:25: "client.message-authenticator" can't be "required"; did you mean "require"?
    radmit.toml:15:24: "client.trust-authorize-only" is a text; write true or false
    radmit.toml:16:12: "client.mac-from" can't be "either-or"; did you mean "either"?
    radmit.toml:17:21: "client.decision-deadline" must be between 1ms and 30s
    radmit.toml:18:1: unknown key "client.sceret"; did you mean "secret"?
    radmit.toml:20:8: "client.name" must be 1 to 128 octets without spaces around it
    radmit.toml:25:12: 10.30.0.0/16 belongs to the client " c " at radmit.toml:21:11 already; leave one out
    radmit.toml:27:24: warning: everybody in 10.30.0.0/17 is believed to have authenticated the device; name the servers, or at most a /24
    "#);
}

#[test]
fn names_that_stand_for_others_in_metrics_are_refused() {
    let client = CLIENT.replace("switch", "(none)");
    let mdm = "[[mdm]]\nname = \"(more)\"\nkind = \"inventory\"\nfile = \"devices.toml\"\n";
    insta::assert_snapshot!(said(&format!("{client}{mdm}")), @r#"
    radmit.toml:3:8: "client.name" can't be "(none)", which stands for others in metrics; choose another name
    radmit.toml:7:8: "mdm.name" can't be "(more)", which stands for others in metrics; choose another name
    "#);
}

#[test]
fn mistakes_in_secrets() {
    let files = machine()
        .with("secrets/empty", "\n")
        .with("secrets/short", "testing123\n")
        .with_open("secrets/open", SECRET)
        .with_variable("EMPTY", "");
    let secrets = [
        r#""a secret in the file itself""#,
        r#"{ file = "secrets/empty" }"#,
        r#"{ file = "secrets/short" }"#,
        r#"{ file = "secrets/open" }"#,
        r#"{ file = "secrets/none" }"#,
        r#"{ env = "NONE" }"#,
        r#"{ env = "EMPTY" }"#,
        r#"{}"#,
        r#"{ file = "secrets/campus", env = "X" }"#,
        r#"{ path = "secrets/campus" }"#,
        r#"7"#,
    ];
    let clients = secrets
        .iter()
        .enumerate()
        .map(|(at, secret)| format!("[[client]]\nname = \"{at}\"\naddress = \"10.0.0.{at}\"\nsecret = {secret}\n"));
    insta::assert_snapshot!(said_on(files, &clients.collect::<String>()), @r#"
    radmit.toml:5:10: warning: the secret stands in the file itself; move it and write secret = { file = "…" }
    radmit.toml:9:10: the secret in "client.secret" is empty; put one there
    radmit.toml:13:10: warning: the secret in "client.secret" has 10 octets; use at least 16
    radmit.toml:17:10: warning: everybody on this machine can read secrets/open; chmod o-rwx it
    radmit.toml:21:10: secrets/none does not exist; create it with the secret in it, mode 0600
    radmit.toml:25:10: the environment variable NONE is not set; set it, or use a file
    radmit.toml:29:10: the secret in "client.secret" is empty; put one there
    radmit.toml:33:10: the secret has no place; write { file = "…" } or { env = "…" }
    radmit.toml:37:10: the secret has two places, file and env; leave one out
    radmit.toml:41:10: the secret has no place; write { file = "…" } or { env = "…" }
    radmit.toml:41:12: unknown key "client.secret.path"; in [client.secret] there are: env, file
    radmit.toml:45:10: "client.secret" is no secret; write { file = "…" } or { env = "…" }
    "#);
}

#[test]
fn mistakes_in_mdm_servers() {
    insta::assert_snapshot!(said(&format!(r#"{CLIENT}
[[mdm]]
[[mdm]]
name = "a"
kind = "entra"
[[mdm]]
name = "a"
kind = "inventory"
file = "nowhere.toml"
tenant-id = "x"
[[mdm]]
name = "b"
kind = "intune"
[[mdm]]
name = "b"
kind = "intune"
tenant-id = "common"
client-id = "radmit"
credential = {{ client-secret = "a-secret-in-the-file" }}
[[mdm]]
name = "c"
kind = "intune"
enabled = "yes"
tenant-id = "contoso.example"
client-id = "aaaa1111-bb22-cc33-dd44-eeee5555ffff"
cloud = "german"
credential = {{ client-secret = {{ file = "secrets/campus" }} }}
graph-url = "https://graph.windows.net/contoso"
trust-anchors = ["nowhere"]
lookup = ["graph", "graph", "sccm"]
identifiers = []
device-id-attributes = ["User-Name"]
compliance-max-age = "5 minutes"
stale-for = "2y"
polling-interval = "400d"
requests-per-second = 0
mass-flip-guard = {{ share = "a fifth", window = "10m" }}
"#)), @r#"
    radmit.toml:7:1: [mdm] has no "name"; write the name that policy sets shall use
    radmit.toml:7:1: [mdm] has no "tenant-id"; copy "Directory (tenant) ID" from the app registration
    radmit.toml:7:1: [mdm] has no "client-id"; copy "Application (client) ID" from the app registration
    radmit.toml:7:1: [mdm] has no "credential"; write credential = { certificate = "…", private-key = "…" }
    radmit.toml:10:8: "mdm.kind" can't be "entra"; write "intune" or "inventory"
    radmit.toml:12:8: an MDM server called "a" stands at radmit.toml:9:8 already; rename one
    radmit.toml:14:8: nowhere.toml does not exist; correct the path or create the file
    radmit.toml:15:1: unknown key "mdm.tenant-id"; in [mdm] there are: compliance-max-age, device-id-attributes, enabled, file, grace-is-compliant, identifiers, kind, lookup-timeout, mass-flip-guard, name, negative-max-age, stale-for
    radmit.toml:16:1: [mdm] has no "tenant-id"; copy "Directory (tenant) ID" from the app registration
    radmit.toml:16:1: [mdm] has no "client-id"; copy "Application (client) ID" from the app registration
    radmit.toml:16:1: [mdm] has no "credential"; write credential = { certificate = "…", private-key = "…" }
    radmit.toml:20:8: an MDM server called "b" stands at radmit.toml:17:8 already; rename one
    radmit.toml:22:13: "mdm.tenant-id" is not a tenant; write its id or one of its domains
    radmit.toml:23:13: "mdm.client-id" is not a GUID; copy "Application (client) ID" from the app registration
    radmit.toml:24:32: warning: the secret stands in the file itself; move it and write client-secret = { file = "…" }
    radmit.toml:28:11: "mdm.enabled" is a text; write true or false
    radmit.toml:31:9: "mdm.cloud" can't be "german"; write "global" or "gcc-high" or "dod" or "china"
    radmit.toml:33:13: "mdm.graph-url" retired, use https://graph.microsoft.com
    radmit.toml:34:18: nowhere does not exist; correct the path or create the file
    radmit.toml:35:20: "graph" stands here twice; leave one out
    radmit.toml:35:29: "mdm.lookup" can't be "sccm"; write "graph" or "compliance-retrieval"
    radmit.toml:36:15: "mdm.identifiers" is empty; choose of "certificate-san", "certificate-cn", "attribute", "mac"
    radmit.toml:37:25: warning: User-Name is what the device says of itself; list it only if the front server fills it from what it verified
    radmit.toml:38:22: "5 minutes" is no duration; write a duration with a unit (ms, s, m, h, d), such as "90s", "4h" or "7d"
    radmit.toml:39:13: "2y" is no duration; write a duration with a unit (ms, s, m, h, d), such as "90s", "4h" or "7d"
    radmit.toml:40:20: "mdm.polling-interval" must be between 0s and 366d
    radmit.toml:41:23: "mdm.requests-per-second" must be between 1 and 10000
    radmit.toml:42:19: [mdm.mass-flip-guard] has no "hold"; write { share = "20%", window = "10m", hold = "1h" }
    radmit.toml:42:29: "a fifth" is no share; write a percentage such as "20%"
    "#);
}

#[test]
fn a_managed_identity_needs_neither_tenant_nor_app() {
    let server = |rest: &str| {
        let text = format!("{CLIENT}\n[[mdm]]\nname = \"azure\"\nkind = \"intune\"\n{rest}");
        assert_eq!(said(&text), "", "{rest}");
        let Kind::Intune(intune) = read(&text).mdm[0].settings.kind.clone() else { panic!("{text}") };
        let Credential::ManagedIdentity { client_id, .. } = intune.credential else { panic!("{text}") };
        client_id
    };
    const ID: &str = "aaaa1111-bb22-cc33-dd44-eeee5555ffff";
    assert_eq!(server("credential = { managed-identity = true }"), None);
    let one = format!("client-id = \"{ID}\"\ncredential = {{ managed-identity = true }}");
    assert_eq!(server(&one).as_deref(), Some(ID), "of several identities");
    let inner = format!("credential = {{ managed-identity = {{ client-id = \"{ID}\" }} }}");
    assert_eq!(server(&inner).as_deref(), Some(ID));
}

#[test]
fn mistakes_in_how_intune_is_reached() {
    insta::assert_snapshot!(said(&format!(r#"{CLIENT}
[[mdm]]
name = "d"
kind = "intune"
tenant-id = "contoso.example"
client-id = "aaaa1111-bb22-cc33-dd44-eeee5555ffff"
credential = {{ client-secret = {{ file = "secrets/campus" }} }}
graph-url = "http://graph.example"
only-trust-anchors = true
proxy = "proxy.example"
compliance-max-age = "0s"
lookup = []
"#)), @r#"
    radmit.toml:13:13: "mdm.graph-url" http:// is allowed to loopback only; use https://
    radmit.toml:14:22: "mdm.only-trust-anchors" leaves nothing to trust; name the roots in trust-anchors
    radmit.toml:15:9: "mdm.proxy" is not a proxy; write http://HOST:PORT
    radmit.toml:16:22: warning: "0s" asks the cloud for every request; the default is "5m"
    radmit.toml:17:10: "mdm.lookup" is empty; choose of "graph", "compliance-retrieval"
    "#);
}

#[test]
fn mistakes_in_credentials() {
    let credentials = [
        r#"{}"#,
        r#"{ certificate = "certs/app.pem" }"#,
        r#"{ certificate = "certs/none.pem", private-key = "certs/app.key", assertion = "ps512" }"#,
        r#"{ certificate = "certs/app.pem", private-key = "certs/open.key" }"#,
        r#"{ client-secret = { file = "secrets/binary" } }"#,
        r#"{ client-secret = { file = "secrets/campus" }, managed-identity = true }"#,
        r#"{ managed-identity = false }"#,
        r#"{ managed-identity = { clientid = "x" } }"#,
        r#"{ federated-token-file = "nowhere" }"#,
        r#"{ password = "x" }"#,
        r#"[]"#,
        r#"[{ certificate = "certs/app.pem", private-key = "certs/app.key" }, { certificate = "certs/app.pem" }]"#,
        r#""certs/app.pem""#,
    ];
    let servers = credentials.iter().enumerate().map(|(at, credential)| {
        format!(
            "[[mdm]]\nname = \"{at}\"\nkind = \"intune\"\ntenant-id = \"t\"\n\
             client-id = \"aaaa1111-bb22-cc33-dd44-eeee5555ffff\"\ncredential = {credential}\n"
        )
    });
    let files =
        machine().with("secrets/binary", b"\xff\xfe binary octets here".to_vec()).with_open("certs/open.key", "key");
    insta::assert_snapshot!(said_on(files, &format!("{CLIENT}{}", servers.collect::<String>())), @r#"
    radmit.toml:11:14: the credential is empty; write { certificate = "…", private-key = "…" }, { client-secret = { file = "…" } }, { federated-token-file = "…" } or { managed-identity = true }
    radmit.toml:17:14: [mdm.credential] has no "private-key"; write the path of its private key, PEM
    radmit.toml:23:30: certs/none.pem does not exist; correct the path or create the file
    radmit.toml:23:91: "mdm.credential.assertion" can't be "ps512"; write "ps256" or "rs256"
    radmit.toml:29:61: warning: everybody on this machine can read certs/open.key; chmod o-rwx it
    radmit.toml:35:32: the client secret is not text; copy its value, not its id, from Entra
    radmit.toml:41:14: the credential is client-secret and managed-identity at once; leave one
    radmit.toml:47:35: managed-identity = false is no credential; leave it out
    radmit.toml:53:37: unknown key "mdm.credential.managed-identity.clientid"; did you mean "client-id"?
    radmit.toml:59:39: nowhere does not exist; correct the path or create the file
    radmit.toml:65:14: the credential is empty; write { certificate = "…", private-key = "…" }, { client-secret = { file = "…" } }, { federated-token-file = "…" } or { managed-identity = true }
    radmit.toml:65:16: unknown key "mdm.credential.password"; in [mdm.credential] there are: certificate, client-secret, federated-token-file, managed-identity
    radmit.toml:71:14: "mdm.credential" needs one certificate, or two while they are exchanged
    radmit.toml:77:81: [mdm.credential] has no "private-key"; write the path of its private key, PEM
    radmit.toml:83:14: "mdm.credential" is a text; write a table, { … } or [ ] as a header
    "#);
}

#[test]
fn mistakes_in_what_is_offered_and_told() {
    insta::assert_snapshot!(said(&format!(r#"{CLIENT}
[eap-tls]
private-key = "certs/none.key"
client-ca = []
crl = ["certs/none.crl"]
crl-failure = "soft"
fragment-size = 64
tls-max = 1.3
session-lifetime = "8d"
[log]
format = "xml"
level = "verbose"
decisions = ""
[metrics]
listen = "127.0.0.1"
path = "/metrics"
"#)), @r#"
    radmit.toml:7:1: [eap-tls] has no "certificate"; EAP-TLS needs certificate, private-key and client-ca
    radmit.toml:8:15: certs/none.key does not exist; correct the path or create the file
    radmit.toml:9:13: "eap-tls.client-ca" is empty; nobody could connect
    radmit.toml:10:8: certs/none.crl does not exist; correct the path or create the file
    radmit.toml:11:15: "eap-tls.crl-failure" can't be "soft"; write "closed" or "open"
    radmit.toml:12:17: "eap-tls.fragment-size" must be between 256 and 1496
    radmit.toml:13:11: "eap-tls.tls-max" is a decimal number; write a text in quotes
    radmit.toml:14:20: "eap-tls.session-lifetime" must be between 0s and 7d
    radmit.toml:16:10: "log.format" can't be "xml"; write "text" or "json"
    radmit.toml:17:9: "log.level" can't be "verbose"; write "error" or "warn" or "info" or "debug" or "trace"
    radmit.toml:18:13: "log.decisions" is empty; write a path
    radmit.toml:20:10: "127.0.0.1" is no address to listen at; add the port: "127.0.0.1:9812"
    radmit.toml:21:1: unknown key "metrics.path"; in [metrics] there are: listen
    "#);
    insta::assert_snapshot!(said(&format!(r#"{CLIENT}
[eap-tls]
certificate = "certs/server.pem"
private-key = "certs/server.key"
client-ca = "certs/ca.pem"
tickets = 2
idle-timeout = "1h"
sessions-max = 0
[eap-tls.group.nobody]
rsa-pss = false
tls-max = "1.3"
fragmentsize = 1000
[eap-tls.group]
flat = 1
"#)), @r#"
    radmit.toml:11:11: "eap-tls.tickets" must be between 0 and 1
    radmit.toml:12:16: "eap-tls.idle-timeout" must be between 1s and 2m
    radmit.toml:13:16: "eap-tls.sessions-max" must be between 1 and 16384
    radmit.toml:14:16: warning: no [[client]] is in the group "nobody", so this has no effect
    radmit.toml:16:11: TLS 1.3 has no RSA signatures but PSS; write tls-max = "1.2" beside rsa-pss = false
    radmit.toml:17:1: unknown key "eap-tls.group.nobody.fragmentsize"; did you mean "fragment-size"?
    radmit.toml:19:8: "eap-tls.group.flat" is a whole number; write a table, { … } or [ ] as a header
    "#);
    insta::assert_snapshot!(said(&format!("{CLIENT}[metrics]\nlisten = \"0.0.0.0:9812\"\n[log]\ndecisions = true\n")), @r#"
    radmit.toml:7:10: hint: the metrics and health pages have no password and name clients; let a firewall guard this port
    radmit.toml:9:13: "log.decisions" is true or false; write a text in quotes
    "#);
}

#[test]
fn contradictions_between_sections() {
    insta::assert_snapshot!(said(&format!(r#"
[server]
reject-delay = "3s"
decision-deadline = "6s"
{CLIENT}
decision-deadline = "1s"
trust-authorize-only = true
[[mdm]]
name = "a"
kind = "inventory"
file = "devices.toml"
identifiers = ["mac"]
stale-for = "1m"
[[mdm]]
name = "b"
kind = "inventory"
file = "devices.toml"
identifiers = ["mac"]
lookup-timeout = "6s"
[[mdm]]
name = "off"
enabled = false
kind = "inventory"
file = "devices.toml"
lookup-timeout = "6s"
"#)), @r#"
    radmit.toml:5:21: warning: 6s is longer than NASes commonly wait (5 s, some 2 to 3 s); lower it, or raise their timeouts too
    radmit.toml:11:21: lookup-timeout (1s500ms) must be below decision-deadline (1s) of this client, for "a"; lower it, or raise the deadline
    radmit.toml:11:21: warning: reject-delay (3s) is not below decision-deadline (1s), so rejects leave at the deadline; lower it
    radmit.toml:18:13: warning: "mdm.stale-for" is shorter than compliance-max-age, so no old answer is ever served; raise it, or say "0s" on purpose
    radmit.toml:24:18: lookup-timeout (6s) must be below decision-deadline (6s); lower it, or raise the deadline
    "#);
    insta::assert_snapshot!(said(&format!("[server]\nreject-delay = \"0s\"\n{CLIENT}")), @r#"
    radmit.toml:3:16: warning: rejects leave at once, so passwords and MACs can be tried fast; "1s" slows that down
    "#);
    insta::assert_snapshot!(said(&format!("[server]\nreject-delay = \"2s\"\n{CLIENT}")), @r#"
    radmit.toml:3:16: warning: reject-delay (2s) is not below decision-deadline (2s), so rejects leave at the deadline; lower it
    "#);
}

/// What is required, so that the defaults of a section can be written under its header.
fn required(section: &str) -> &'static str {
    match section {
        "[[client]]" => "name = \"switch\"\naddress = \"10.1.1.1\"\nsecret = { file = \"secrets/campus\" }\n",
        "[[mdm]]" => {
            "name = \"corp\"\ntenant-id = \"t\"\nclient-id = \"aaaa1111-bb22-cc33-dd44-eeee5555ffff\"\n\
             credential = { managed-identity = true }\n"
        }
        "[eap-tls]" => {
            "certificate = \"certs/server.pem\"\nprivate-key = \"certs/server.key\"\nclient-ca = \"certs/ca.pem\"\n"
        }
        _ => "",
    }
}

const HEADERS: [&str; 6] = ["[server]", "[[client]]", "[[mdm]]", "[eap-tls]", "[log]", "[metrics]"];

#[test]
fn the_reference_tells_the_defaults_that_are_used() {
    let keys = |header: &'static str| reference::KEYS.iter().filter(move |key| key.section.starts_with(header));
    let without: String = HEADERS.iter().map(|header| format!("{header}\n{}", required(header))).collect();
    let with: String = HEADERS
        .iter()
        .map(|header| {
            let defaults = keys(header).filter(|key| !key.default.is_empty());
            let lines: String = defaults.map(|key| format!("{} = {}\n", key.key, key.default)).collect();
            format!("{header}\n{}{lines}", required(header))
        })
        .collect();
    // Places and the hash differ, nothing else may.
    let places = regex::Regex::new(r"Place \{[^}]*\}|hash: \S+").unwrap();
    let shown = |text: &str| {
        let files = machine()
            .with("dictionaries/x", "")
            .with("certs/trust/x.pem", "")
            .with("radmit.toml", format!("version = 1\n{text}"));
        let (configuration, said) = load(files);
        assert!(configuration.is_some(), "{said:#?}");
        places.replace_all(&format!("{configuration:#?}"), "").into_owned()
    };
    pretty(&shown(&without), &shown(&with));
}

fn pretty(left: &str, right: &str) {
    for (left, right) in left.lines().zip(right.lines()) {
        assert_eq!(left, right);
    }
    assert_eq!(left.lines().count(), right.lines().count());
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    for header in HEADERS {
        let mut listed: Vec<&str> =
            reference::KEYS.iter().filter(|key| key.section.starts_with(header)).map(|key| key.key).collect();
        let mut known = Vec::new();
        let kinds = [required(header), "kind = \"inventory\"\nfile = \"devices.toml\"\n"];
        for lines in kinds.iter().take(if header == "[[mdm]]" { 2 } else { 1 }) {
            let said = said(&format!("{header}\n{lines}zzzzzzzz = 1\n"));
            let keys = said.lines().find_map(|line| line.split_once(" there are: ")).expect("the key is unknown").1;
            known.extend(keys.split(", ").map(str::to_owned));
        }
        known.sort();
        known.dedup();
        listed.sort_unstable();
        assert_eq!(listed, known, "{header}");
    }
}
