//! Reloads of the real binary under load: no request is lost, none is answered by a mixture, and what is broken changes
//! nothing.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has to fail")]

#[path = "running/mod.rs"]
mod running;

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use radmit::{
    dictionary::{Path, values},
    radius::{
        code::Code,
        kind,
        packet::Packet,
        request::{RequestBuffer, verify_reply},
        secret::Secret,
    },
};
use running::{Folder, Radmit};

const SECRET: &str = "a secret for the lab";
/// Requests of one sender that are under way at once.
const WINDOW: u8 = 32;
const VERSIONS: u16 = 5;

const DEVICES: &str = r#"version = 1
[[device]]
name = "LT-1"
intune-id = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01"
ethernet-mac = "A4-C3-F0-11-22-33"
compliance = "compliant"
"#;

/// Writes every file in a version of its own: the policy says it as VLAN, the dictionary as the number of an attribute,
/// the client as its group; each version has its own certificate too.
fn write_version(folder: &Folder, version: u16) {
    folder.write(
        "radmit.toml",
        &format!(
            "version = 1\n[server]\nauth-listen = [\"127.0.0.1:0\"]\nacct-listen = []\nshards = 2\n\
             dictionaries = \"dictionaries\"\n[[client]]\nname = \"lab\"\naddress = [\"127.0.0.0/8\"]\n\
             secret = {{ file = \"secret\" }}\ngroups = [\"{version}\"]\n\
             [[mdm]]\nname = \"lab-inventory\"\nkind = \"inventory\"\nfile = \"devices.toml\"\n\
             [eap-tls]\ncertificate = \"certs-{0}/server.pem\"\nprivate-key = \"certs-{0}/server.key\"\n\
             client-ca = [\"certs-{0}/ca.pem\"]\n\
             [log]\ndecisions = \"off\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n",
            version % 2
        ),
    );
    folder.write(
        "policies/lab.toml",
        &format!(
            "version = 1\n[policy-set]\nname = \"Lab\"\n[[rule]]\nname = \"known\"\nwhen = {{ mdm.compliant = true }}\n\
             result = \"known\"\n[profile.known]\naccess = \"accept\"\nvlan = {}\n\
             attributes = {{ Lab-Version = \"x\", Reply-Message = \"{{client.group}}\" }}\n",
            100 + version
        ),
    );
    let number = version + 1;
    folder.write(
        "dictionaries/lab.dict",
        &format!("VENDOR Lab 64999\nBEGIN-VENDOR Lab\nATTRIBUTE Lab-Version {number} string\nEND-VENDOR Lab\n"),
    );
    folder.write("secret", SECRET);
    folder.write("devices.toml", DEVICES);
}

/// Breaks one file, each time another one; gives what the log must say of it.
fn break_something(folder: &Folder, version: u16) -> &'static str {
    let (file, from, to, said) = match version % 5 {
        0 => ("policies/lab.toml", "mdm.compliant", "mdm.complaint", "did you mean"),
        1 => ("dictionaries/lab.dict", "string", "strnig", "lab.dict:3"),
        2 => ("radmit.toml", "[\"127.0.0.0/8\"]", "[\"127.0.0.0/33\"]", "radmit.toml:9:12"),
        3 => ("radmit.toml", "/server.pem", "/nowhere.pem", "nowhere.pem"),
        _ => ("policies/lab.toml", "[policy-set]", "[policy-set", "lab.toml:2"),
    };
    let text = fs::read_to_string(folder.0.join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    folder.write(file, &text.replace(from, to));
    said
}

struct Sender {
    socket: UdpSocket,
    secret: Secret,
    round: u64,
}

impl Sender {
    fn new(server: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        // Never retransmitted: whatever gets no reply in this time is lost.
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { socket, secret: Secret::new(SECRET.into()).unwrap(), round: 0 }
    }

    /// Sends a window of requests and gives the versions that answered, all of them whole.
    fn round(&mut self, of: u8) -> BTreeSet<u16> {
        self.round += 1;
        let requests: Vec<Vec<u8>> = (0..of).map(|identifier| self.request(identifier)).collect();
        for request in &requests {
            assert_eq!(self.socket.send(request).unwrap(), request.len());
        }
        let (mut versions, mut answered) = (BTreeSet::new(), BTreeSet::new());
        let mut octets = [0; 4096];
        for _ in &requests {
            let length = self.socket.recv(&mut octets).expect("each request gets its reply");
            let reply = Packet::parse(&octets[..length]).unwrap();
            let request = Packet::parse(&requests[usize::from(reply.identifier())]).unwrap();
            verify_reply(&reply, &request, &self.secret).unwrap();
            assert!(answered.insert(reply.identifier()), "one reply to each");
            versions.insert(version_of(&reply));
        }
        versions
    }

    fn request(&self, identifier: u8) -> Vec<u8> {
        let mut authenticator = [identifier; 16];
        authenticator[..8].copy_from_slice(&self.round.to_be_bytes());
        let mut buffer = RequestBuffer::new();
        buffer.start_request(Code::ACCESS_REQUEST, identifier, &authenticator);
        buffer.push(kind::USER_NAME, b"a4c3f0112233").unwrap();
        buffer.push_password(b"a4c3f0112233", &self.secret).unwrap();
        buffer.push_u32(kind::SERVICE_TYPE, 10).unwrap();
        buffer.push_u32(kind::NAS_PORT_TYPE, 15).unwrap();
        buffer.sign(&self.secret).to_vec()
    }
}

/// The version that all parts of a reply agree on.
fn version_of(reply: &Packet<'_>) -> u16 {
    assert_eq!(reply.code(), Code::ACCESS_ACCEPT);
    let text = |kind| std::str::from_utf8(reply.first(kind).unwrap()).unwrap().parse::<u16>().unwrap();
    let of_policy = text(kind::TUNNEL_PRIVATE_GROUP_ID) - 100;
    let of_client = text(kind::REPLY_MESSAGE);
    let of_dictionary: Vec<u16> = (0..=VERSIONS)
        .filter(|version| {
            values(reply.attributes(), &Path::vendor(64999, u8::try_from(*version + 1).unwrap())).next().is_some()
        })
        .collect();
    assert_eq!((of_client, of_dictionary.as_slice()), (of_policy, &[of_policy][..]), "no mixture");
    of_policy
}

/// Ends the senders also when the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn address(said: &[String], of: &str) -> String {
    let line = said.iter().find(|line| line.contains(of)).unwrap();
    let at = line.find("127.0.0.1:").unwrap();
    line[at..].chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect()
}

fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn under_load_a_reload_loses_nothing_mixes_nothing_and_keeps_the_last_good_state() {
    let folder = Folder::new("reload-load");
    fs::create_dir_all(folder.0.join("dictionaries")).unwrap();
    for number in ["0", "1"] {
        let place = folder.0.join(format!("certs-{number}"));
        let made = Command::new(env!("CARGO_BIN_EXE_radmit")).arg("certs").arg(&place).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    write_version(&folder, 0);
    let radmit = Radmit::start(&["serve", "-c", &folder.config()]);
    let said = radmit.wait_for("is ready");
    let (auth, pages) = (address(&said, "authentication"), address(&said, "metrics and health"));
    let stop = AtomicBool::new(false);

    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut sender = Sender::new(&auth);
                    let (mut newest, mut requests) = (0, 0u64);
                    while !stop.load(Ordering::Relaxed) {
                        let versions = sender.round(WINDOW);
                        assert!(versions.first() >= Some(&newest), "what was replaced answers no more");
                        newest = *versions.last().unwrap();
                        requests += u64::from(WINDOW);
                    }
                    requests
                })
            })
            .collect();
        let stopping = Stop(&stop);
        let mut probe = Sender::new(&auth);
        for version in 1..=VERSIONS {
            write_version(&folder, version);
            radmit.signal("HUP");
            radmit.wait_for("reloaded");
            assert_eq!(probe.round(1), BTreeSet::from([version]));

            let reason = break_something(&folder, version);
            radmit.signal("HUP");
            let said = radmit.wait_for("not reloaded").join("\n");
            assert!(said.contains(reason), "{reason} is missing in\n{said}");
            assert_eq!(probe.round(1), BTreeSet::from([version]), "the last good state answers");
        }
        drop(stopping);
        let requests: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
        assert!(requests > 1_000, "{requests} requests are no load");
    });

    let page = metrics(&pages);
    for line in [
        format!("radmit_config_reload_total{{result=\"ok\"}} {VERSIONS}"),
        format!("radmit_config_reload_total{{result=\"failed\"}} {VERSIONS}"),
    ] {
        assert!(page.contains(&line), "{line} is missing in\n{page}");
    }
    let hits = "radmit_policy_rule_hits_total{set=\"Lab\",rule=\"known\",verdict=\"accept\"} ";
    let count: u64 = page.split(hits).nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!(count > 0, "the counters begin anew with each policy, and count");
    assert!(page.contains("radmit_policy_rule_hits_total{set=\"Lab\",rule=\"\",verdict=\"no-rule-matched\"} 0"));
    assert_eq!(radmit.stop(), Some(0));
}
