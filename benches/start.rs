//! Start of the real program: from its execution to the first answer, and what it occupies then.
//!
//! `cargo bench --bench start -- --starts 20`
//!
//! Each start is `radmit serve` with files of its own and no device that is known. Status-Server is asked every half
//! millisecond until it is answered. The memory is what is resident one second later, code that was touched included.

#[path = "support/nas.rs"]
mod nas;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    time::Duration,
};

use radmit::{
    clock::{self, Mono},
    radius::{
        code::Code,
        packet::Packet,
        request::{RequestBuffer, verify_reply},
    },
};

/// How long one start may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// From the first answer to the look at the memory.
const SETTLING: Duration = Duration::from_secs(1);
const ASKING_PAUSE: Duration = Duration::from_micros(500);

fn main() {
    let starts: usize = option("--starts", 20);
    println!("{starts} starts each; 1 client, 1 MDM server, the shipped policy, no device");
    println!(
        "{:<16} {:>12} {:>12} {:>12} {:>14} {:>14}",
        "", "median ms", "fastest ms", "slowest ms", "resident MiB", "of it own MiB"
    );
    for (name, with_eap) in [("MAC bypass", false), ("with EAP-TLS", true)] {
        let folder = Folder::new(with_eap);
        let mut rows: Vec<Started> = (0..starts).map(|_| start(&folder)).collect();
        rows.sort_by_key(|row| row.took);
        let took = |place: usize| rows.get(place).map_or(0.0, |row| row.took.as_secs_f64() * 1e3);
        let (resident, own) = (most(&rows, |row| row.resident_kib), most(&rows, |row| row.own_kib));
        println!(
            "{name:<16} {:>12.1} {:>12.1} {:>12.1} {resident:>14.1} {own:>14.1}",
            took(starts / 2),
            took(0),
            took(starts.saturating_sub(1))
        );
    }
}

/// One start.
struct Started {
    took: Duration,
    resident_kib: u32,
    own_kib: u32,
}

fn most(rows: &[Started], of: fn(&Started) -> u32) -> f64 {
    f64::from(rows.iter().map(of).max().unwrap_or(0)) / 1024.0
}

fn start(folder: &Folder) -> Started {
    let began = clock::now().mono;
    let child = Command::new(env!("CARGO_BIN_EXE_radmit"))
        .arg("serve")
        .arg("--config")
        .arg(folder.path.join("radmit.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program is there");
    let mut running = Running(child);
    let answered = wait_for_answer(folder.server, began, &mut running);
    std::thread::park_timeout(SETTLING);
    let status = fs::read_to_string(format!("/proc/{}/status", running.0.id())).unwrap_or_default();
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    Started { took: answered.since(began), resident_kib: kib("VmRSS:"), own_kib: kib("RssAnon:") }
}

/// Asks until there is an answer; gives the moment when it came.
fn wait_for_answer(server: SocketAddr, began: Mono, running: &mut Running) -> Mono {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    socket.connect(server).expect("it is an address");
    socket.set_read_timeout(Some(ASKING_PAUSE)).expect("it is not zero");
    let secret = nas::secret();
    let mut buffer = RequestBuffer::new();
    buffer.start_request(Code::STATUS_SERVER, 1, &[0x5a; 16]);
    let request = buffer.sign(&secret).to_vec();
    let request_packet = Packet::parse(&request).expect("it was just written");
    let mut octets = [0; 4096];
    loop {
        // Before the port is there the system refuses at once, which the next call tells.
        let _ = socket.send(&request);
        match socket.recv(&mut octets) {
            Ok(length) => {
                let now = clock::now().mono;
                let reply = Packet::parse(&octets[..length]).expect("the server sends packets");
                verify_reply(&reply, &request_packet, &secret).expect("it knows the secret");
                return now;
            }
            Err(_) => std::thread::park_timeout(ASKING_PAUSE / 2),
        }
        assert!(clock::now().mono.since(began) < PATIENCE, "it does not answer");
        assert!(running.0.try_wait().is_ok_and(|ended| ended.is_none()), "it ended");
    }
}

/// The process; ended as an operator would.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let asked = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status();
        if !asked.is_ok_and(|done| done.success()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

/// Configuration, policy and secrets, gone at the end.
struct Folder {
    path: PathBuf,
    server: SocketAddr,
}

impl Folder {
    fn new(with_eap: bool) -> Self {
        let path = std::env::temp_dir().join(format!("radmit-bench-start-{}-{with_eap}", std::process::id()));
        let folder = Self { server: free_port(), path };
        for name in ["policies", "secrets", "state"] {
            fs::create_dir_all(folder.path.join(name)).expect("the folder for temporary files can be written");
        }
        write(&folder.path.join("policies/default.toml"), include_str!("../policies/default.toml"));
        let secret = String::from_utf8_lossy(nas::SECRET);
        write(&folder.path.join("secrets/nas"), &secret);
        write(&folder.path.join("secrets/intune"), &secret);
        // Nobody listens there: the cloud is not what is measured.
        let nobody = free_port();
        let mut text = format!(
            r#"version = 1

[server]
auth-listen = ["{}"]
acct-listen = ["127.0.0.1:0"]
state-dir = "state"

[[client]]
name = "switches"
address = ["127.0.0.0/8"]
secret = {{ file = "secrets/nas" }}
vendor = "cisco"

[[mdm]]
name = "corp-intune"
kind = "intune"
tenant-id = "11111111-2222-4333-8444-555555555555"
client-id = "11111111-2222-4333-8444-666666666666"
token-url = "http://{nobody}/token"
graph-url = "http://{nobody}"
credential = {{ client-secret = {{ file = "secrets/intune" }} }}

[metrics]
listen = "127.0.0.1:0"
"#,
            folder.server
        );
        if with_eap {
            let made = Command::new(env!("CARGO_BIN_EXE_radmit")).arg("certs").arg(folder.path.join("eap")).output();
            assert!(made.is_ok_and(|made| made.status.success()), "certificates can be made");
            text.push_str(
                r#"
[eap-tls]
certificate = "eap/server.pem"
private-key = "eap/server.key"
client-ca = "eap/client-ca.pem"
crl = "eap/client-ca.crl"
"#,
            );
        }
        write(&folder.path.join("radmit.toml"), &text);
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("the folder was just made");
}

/// A port that is free now: it has to be known before the program has it.
fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    socket.local_addr().expect("it is bound")
}

/// The value behind this option, or its default. `cargo bench` adds options of its own, which are passed over.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1);
    value.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} {text}: that is no such number")))
}
