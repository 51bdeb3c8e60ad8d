//! FreeRADIUS as the rival: the same requests, the same answers, its compliance from REST behind a cache, a line for each
//! decision.
//!
//! Owns its process, its configuration (`freeradius/`), and the REST service that it asks. Measures nothing.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead as _, BufReader, ErrorKind, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use radmit::radius::{kind, packet::Packet, secret::Secret};

use super::{load, nas, process};

/// What the program is called: by Debian, and by its authors.
const PROGRAMS: [&str; 2] = ["freeradius", "radiusd"];
const CONFIGURATION: &str = include_str!("freeradius/radiusd.conf");
const DICTIONARY: &str = include_str!("freeradius/dictionary");

/// How long one answer may take before it is asked for again, and how often.
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: usize = 15;

/// The ways to run it that compete: all in the thread that receives (`-s`), one thread behind it, and the pool as it comes;
/// decisions told by rlm_linelog, which may write anything, or in the server's own log, which costs less.
pub(crate) const KINDS: [Kind; 5] = [
    Kind { name: "FreeRADIUS -s, no log", argument: Some("-s"), threads: [1; 4], log: None },
    Kind { name: "FreeRADIUS -s, linelog", argument: Some("-s"), threads: [1; 4], log: Some(Log::Linelog) },
    Kind { name: "FreeRADIUS -s, own log", argument: Some("-s"), threads: [1; 4], log: Some(Log::Own) },
    Kind { name: "FreeRADIUS, 1 thread", argument: None, threads: [1; 4], log: Some(Log::Own) },
    Kind { name: "FreeRADIUS, its pool", argument: None, threads: [5, 32, 3, 10], log: Some(Log::Own) },
];

/// One of those ways.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// For the command line.
    argument: Option<&'static str>,
    /// At the start, at most, spare at least, spare at most.
    threads: [u32; 4],
    /// Where decisions are told.
    pub(crate) log: Option<Log>,
}

/// A log of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Linelog,
    Own,
}

impl Log {
    /// The file, and what stands in a line if it is a decision's.
    const fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Linelog => ("decisions.log", "verdict=Access-Accept "),
            Self::Own => (OWN_LOG, " Auth: "),
        }
    }
}

/// The server's own log.
const OWN_LOG: &str = "server.log";

/// The program, and which version of it.
///
/// # Errors
/// It is not installed; what to do.
pub(crate) fn find() -> Result<(&'static str, String), String> {
    let version = |program: &str| {
        let told = Command::new(program).arg("-v").output().ok()?;
        let line = String::from_utf8_lossy(&told.stdout).lines().find_map(|line| {
            line.split_once("Version ").map(|(_, rest)| rest.split(',').next().unwrap_or_default().to_owned())
        });
        Some(line.unwrap_or_default())
    };
    let found = PROGRAMS.iter().find_map(|program| Some((*program, version(program)?)));
    found.ok_or_else(|| "--freeradius: there is no freeradius here; install freeradius and freeradius-rest".to_owned())
}

/// A running server.
pub(crate) struct FreeRadius {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
    log: Option<Log>,
    lines_before: u64,
}

impl FreeRadius {
    /// Starts it on this core, or on all.
    ///
    /// `acl`: the Cisco-AVPair of an accept.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn start(
        program: &str,
        kind: &Kind,
        acl: &str,
        rest: &Compliance,
        core: Option<u32>,
    ) -> io::Result<Self> {
        // It wants to know its port beforehand: one that was free a moment ago.
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let name = format!("radmit-bench-{}-{}", std::process::id(), address.port());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("radiusd.conf"), CONFIGURATION)?;
        fs::write(folder.join("dictionary"), DICTIONARY)?;
        fs::write(folder.join("bench.conf"), values(&folder, address, kind, acl, rest))?;
        let mut command = match core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string(), program]);
                command
            }
            None => Command::new(program),
        };
        let output = fs::File::create(folder.join("output"))?;
        let child = command
            .args(["-f", "-d"])
            .arg(&folder)
            .args(kind.argument)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { child, folder, address, log: kind.log, lines_before: 0 })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time of all of its threads so far.
    pub(crate) fn cpu_time(&self) -> Duration {
        process::cpu_time_of(self.child.id())
    }

    /// Asks for every device once, so that all of them are in its cache; the first request waits until it has started.
    ///
    /// # Panics
    /// It does not start, or answers otherwise than radmit.
    pub(crate) fn warm_up(&mut self, devices: u64) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        socket.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        let (mut switch, secret) = (nas::Switch::new(self.address.port().into()), nas::secret());
        for number in 0..devices {
            let identifier = u8::try_from(number % 256).expect("it is below 256");
            let request = switch.mac_bypass(identifier, nas::mac(number), &secret).to_vec();
            let runs = |child: &mut Child| child.try_wait().is_ok_and(|ended| ended.is_none());
            let mut tries = (0..TRIES).take_while(|_| runs(&mut self.child));
            let reply = tries.find_map(|_| exchange(&socket, self.address, &request));
            let Some(reply) = reply else { panic!("{} does not answer: {}", self.address, self.complaint()) };
            assert!(is_same_accept(&request, &reply, &secret), "a wrong answer: {reply:02x?}; {}", self.complaint());
        }
        self.lines_before = self.lines();
    }

    /// How many decisions it has logged since it was warmed up.
    pub(crate) fn lines_since(&self) -> u64 {
        self.lines() - self.lines_before
    }

    fn lines(&self) -> u64 {
        let Some((name, mark)) = self.log.map(Log::file) else { return 0 };
        let Ok(file) = fs::File::open(self.folder.join(name)) else { return 0 };
        BufReader::new(file).lines().map_while(Result::ok).filter(|line| line.contains(mark)).count() as u64
    }

    /// The end of its log, or of what it said before it had one.
    fn complaint(&self) -> String {
        let told = [OWN_LOG, "output"].map(|file| fs::read_to_string(self.folder.join(file)).unwrap_or_default());
        let lines =
            told.iter().find(|text| !text.is_empty()).map(|text| text.lines().rev().take(3).collect::<Vec<_>>());
        lines.unwrap_or_default().join("; ")
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What its configuration leaves open.
fn values(folder: &Path, address: SocketAddr, kind: &Kind, acl: &str, rest: &Compliance) -> String {
    let [start, most, spare_least, spare_most] = kind.threads;
    let secret = String::from_utf8_lossy(nas::SECRET);
    let is = |log| if kind.log == Some(log) { "yes" } else { "no" };
    format!(
        "folder = \"{}\"\nport = {}\nsecret = \"{secret}\"\nrest_url = \"http://{}\"\nacl = \"{acl}\"\n\
         linelog = \"{}\"\nmain_log = {}\n\
         threads_start = {start}\nthreads_max = {most}\nthreads_spare_min = {spare_least}\n\
         threads_spare_max = {spare_most}\n",
        folder.display(),
        address.port(),
        rest.address,
        is(Log::Linelog),
        is(Log::Own),
    )
}

/// Sends once and waits for the answer; `None`: none came. A reply to an earlier try is passed over by its Identifier.
fn exchange(socket: &UdpSocket, server: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut octets = [0; 4096];
    socket.send_to(request, server).ok()?;
    loop {
        let length = socket.recv(&mut octets).ok()?;
        if octets.get(1) == request.get(1) {
            return octets.get(..length).map(<[u8]>::to_vec);
        }
    }
}

// --- the answer that all must give ------------------------------------------------------------------------------------

/// Attributes of an accept, without their order: type and value.
type Attributes = BTreeSet<(u8, Vec<u8>)>;

static ACCEPT: OnceLock<Attributes> = OnceLock::new();

/// Asks radmit for its accept: from now on every answer must have the same attributes. Returns its Cisco-AVPair.
///
/// # Panics
/// It is no accept, or has none.
pub(crate) fn learn_accept(radmit: SocketAddr) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    socket.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let secret = nas::secret();
    let request = nas::Switch::new(0).mac_bypass(0, nas::mac(0), &secret).to_vec();
    let reply = exchange(&socket, radmit, &request).expect("radmit answers");
    assert!(load::is_accepted(&request, &reply, &secret), "radmit accepts");
    let reply = Packet::parse(&reply).expect("it was parsed above");
    // Vendor 9 in four octets, type 1, length.
    let pair = reply.first(kind::VENDOR_SPECIFIC).and_then(|value| value.get(6..)).expect("the policy gives an ACL");
    let acl = String::from_utf8(pair.to_vec()).expect("an ACL is named in ASCII");
    ACCEPT.get_or_init(|| attributes(&reply));
    acl
}

/// A signed accept into VLAN 20, with the very attributes that radmit gives.
pub(crate) fn is_same_accept(request: &[u8], reply: &[u8], secret: &Secret) -> bool {
    load::is_accepted(request, reply, secret)
        && Packet::parse(reply).is_ok_and(|reply| ACCEPT.get() == Some(&attributes(&reply)))
}

/// Signature and session differ from reply to reply; that they are there, and as long, must not.
fn attributes(reply: &Packet<'_>) -> Attributes {
    let each = reply.attributes().map(|attribute| match attribute.kind {
        kind::MESSAGE_AUTHENTICATOR | kind::CLASS => (attribute.kind, vec![0; attribute.value.len()]),
        kind => (kind, attribute.value.to_vec()),
    });
    each.collect()
}

// --- whom it asks -----------------------------------------------------------------------------------------------------

/// A REST service that says of every device that it is compliant. Its threads end with the process.
pub(crate) struct Compliance {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
}

impl Compliance {
    /// # Errors
    /// What the system says about sockets.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, asked) = (listener.local_addr()?, Arc::<AtomicU64>::default());
        let counts = Arc::clone(&asked);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let counts = Arc::clone(&counts);
                std::thread::spawn(move || serve(&connection, &counts));
            }
        });
        Ok(Self { address, asked })
    }

    /// How many questions it was asked so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Relaxed)
    }
}

/// Answers every request of a connection, in HTTP/1.1 and in the JSON that rlm_rest reads.
fn serve(connection: &TcpStream, asked: &AtomicU64) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let (mut lines, mut out) = (BufReader::new(connection).lines(), connection);
    while let Some(line) = lines.next().transpose()? {
        if !line.starts_with("GET /devices/") {
            return Err(ErrorKind::InvalidData.into());
        }
        // A GET ends with its head.
        while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
        asked.fetch_add(1, Relaxed);
        let body = r#"{"control:Mdm-Compliance":{"do_xlat":false,"value":["compliant"]}}"#;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
        out.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    }
    Ok(())
}
