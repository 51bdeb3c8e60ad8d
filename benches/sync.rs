//! Fresh answers while the fleet is synchronised: how much later the slowest ones come.
//!
//! `cargo bench --bench sync -- --devices 100000 --rate 2000 --seconds 10 --rounds 3`
//!
//! A simulated cloud runs as a process of its own at the lowest priority, because Microsoft does not share the machine. One
//! list after the other is fetched, over real HTTPS, into the directory that answers the requests; every device that is
//! asked about is replaced meanwhile. The load is open: a request leaves when its time has come, whether the one before was
//! answered or not, and every reply is verified.

#[path = "support/nas.rs"]
mod nas;
#[path = "support/server.rs"]
mod server;

use std::{
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use radmit::{
    audit::{log::Log, settings::Destination},
    clock::{self, Mono},
    device::{
        directory::{Capacity, Directory},
        identifier::MacAddress,
        question::{Answer, Answers, Medium},
    },
    engine::{chance::Chance, event::EventSink},
    mdm::{
        settings::{Api, Credential, Intune, Kind, Pem, SecretText, Settings, Trust},
        worker::{self, ServerSetup, Worker},
    },
    metrics::{mdm::ServerCells, process::ProcessCells},
    radius::{packet::Packet, request::verify_reply, secret::Secret},
    sim::{EXAMPLE_CLIENT, EXAMPLE_TENANT},
    udp::{Running, Settings as UdpSettings, Udp},
};
use server::Server;

/// How long the first list may take.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    let devices: u64 = option("--devices", 100_000);
    let rate: u32 = option("--rate", 2_000);
    let seconds: u32 = option("--seconds", 10);
    let rounds: usize = option("--rounds", 3);
    let cloud = Cloud::start(devices);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let directory = Arc::new(Directory::new(Capacity::default()));
    let metrics = Arc::<ServerCells>::default();
    let sync = |every: Duration| start(&cloud, &directory, &metrics, every, runtime.handle());
    let first = sync(Duration::from_secs(4 * 3600));
    until(|| directory.is_complete(Some(Medium::Wireless)));
    runtime.block_on(first.shutdown(Duration::from_secs(1)));
    let mut macs = Vec::new();
    directory.for_each(|record| macs.extend(record.wifi_mac));
    println!("{} devices, {rate} requests a second, {rounds} rounds of {seconds} s each", directory.len());

    let server = Server::new(Arc::clone(&directory), 1, 1);
    let (log, mut ends) = Log::start(&Destination::Off, 1, Arc::<ProcessCells>::default()).expect("nothing is opened");
    let running = serve(&server, ends.remove(0));
    let address = running.listeners()[0].address;
    let mut load = Load { to: address, macs, chance: Chance::new(1), rate };
    let mut ratios = Vec::new();
    println!(
        "{:<10} {:>9} {:>6} {:>8} {:>8} {:>8} {:>8}",
        "", "answered", "lost", "lists", "p50 us", "p99 us", "p99.9 us"
    );
    // Sockets, caches and pages are the server's before its time is taken.
    load.run(Duration::from_secs(1));
    for _ in 0..rounds {
        let quiet = load.run(Duration::from_secs(seconds.into()));
        quiet.print("quiet", 0);
        let before = metrics.syncs_completed.value();
        let worker = sync(Duration::from_millis(1));
        let busy = load.run(Duration::from_secs(seconds.into()));
        runtime.block_on(worker.shutdown(Duration::from_secs(1)));
        let lists = metrics.syncs_completed.value() - before;
        busy.print("syncing", lists);
        ratios.push(busy.at(0.99).as_secs_f64() / quiet.at(0.99).as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!("p99 while syncing / p99 quiet: {ratios:.2?}");
    running.stop(clock::now().mono);
    assert_eq!(running.join(), 0, "no shard ended by a bug");
    drop(log);
}

/// The simulated cloud, as a process.
struct Cloud {
    child: Child,
    token_url: String,
    graph_url: String,
    ca: String,
}

impl Cloud {
    fn start(devices: u64) -> Self {
        let ca = std::env::temp_dir().join(format!("radmit-bench-{}.pem", std::process::id()));
        let mut child = Command::new("nice")
            .args(["-n", "19", env!("CARGO_BIN_EXE_radmit"), "sim", "--listen", "127.0.0.1:0", "--devices"])
            .arg(devices.to_string())
            .arg("--ca-out")
            .arg(&ca)
            .stdout(Stdio::piped())
            .spawn()
            .expect("nice is there");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let mut urls = lines.filter_map(|line| Some(line.split_once("url = \"")?.1.trim_end_matches('"').to_owned()));
        let (token_url, graph_url) = (urls.next().expect("it tells"), urls.next().expect("it tells"));
        let text = std::fs::read_to_string(&ca).expect("it was written before");
        let _ = std::fs::remove_file(ca);
        Self { child, token_url, graph_url, ca: text }
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Nobody;

impl Answers for Nobody {
    fn deliver(&self, _: Answer) {}
}

fn start(
    cloud: &Cloud,
    directory: &Arc<Directory>,
    metrics: &Arc<ServerCells>,
    every: Duration,
    handle: &tokio::runtime::Handle,
) -> Worker {
    let secret = Credential::Secret(SecretText::fixed("sim-secret".to_owned().into()));
    let mut intune = Intune::new(EXAMPLE_TENANT, EXAMPLE_CLIENT, secret);
    intune.token_url = Some(cloud.token_url.clone());
    intune.graph_url = Some(cloud.graph_url.clone());
    intune.trust =
        Trust { anchors: vec![Pem::Text(Arc::new(cloud.ca.clone().into_bytes().into()))], only_anchors: true };
    intune.lookup = vec![Api::Graph];
    intune.polling_interval = every;
    let settings = Settings::new("corp-intune", Kind::Intune(Box::new(intune)));
    let setup = ServerSetup { settings, directory: Arc::clone(directory), metrics: Arc::clone(metrics) };
    worker::start(vec![setup], vec![Arc::new(Nobody)], handle).expect("the settings are right")
}

fn serve(server: &Server, events: Box<dyn EventSink>) -> Running {
    let settings = UdpSettings {
        auth_listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        acct_listen: Vec::new(),
        shards: 1,
        ..UdpSettings::default()
    };
    let udp = Udp::bind(&settings).expect("loopback has free ports");
    udp.run(vec![Box::new(server.engine(0, events))]).expect("there is one machine for the one shard")
}

/// Requests at a steady rate.
struct Load {
    to: SocketAddr,
    macs: Vec<MacAddress>,
    chance: Chance,
    rate: u32,
}

/// What is on its way, by Identifier.
type Open = Mutex<Vec<Option<(Vec<u8>, Mono)>>>;

impl Load {
    fn run(&mut self, duration: Duration) -> Latencies {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        socket.connect(self.to).expect("it is an address");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("it is not zero");
        let (open, is_over): (Open, _) = (Mutex::new(vec![None; 256]), AtomicBool::new(false));
        let (mut switch, secret) = (nas::Switch::new(self.chance.next()), nas::secret());
        let (sender, taken) = mpsc::channel();
        let mut lost = 0u64;
        std::thread::scope(|scope| {
            scope.spawn(|| receive(&socket, &open, &is_over, &secret, &sender));
            let begin = clock::now().mono;
            let mut number = 0u32;
            loop {
                let due = begin.plus(Duration::from_secs(1) * number / self.rate);
                if due.since(begin) >= duration {
                    break;
                }
                let wait = due.since(clock::now().mono);
                if !wait.is_zero() {
                    std::thread::park_timeout(wait);
                    continue;
                }
                let place = self.chance.below(self.macs.len() as u64);
                let mac = self.macs[usize::try_from(place).expect("it is below a length")];
                let [.., identifier] = number.to_be_bytes();
                let octets = switch.mac_bypass(identifier, mac, &secret);
                let before = open.lock().expect("nobody panics")[usize::from(identifier)]
                    .replace((octets.to_vec(), clock::now().mono));
                lost += u64::from(before.is_some());
                socket.send(octets).expect("loopback takes it");
                number += 1;
            }
            std::thread::park_timeout(Duration::from_millis(300));
            is_over.store(true, Relaxed);
        });
        lost += open.lock().expect("nobody panics").iter().flatten().count() as u64;
        drop(sender);
        let mut all: Vec<Duration> = taken.into_iter().collect();
        all.sort();
        assert!(lost * 1_000 <= all.len() as u64, "more than one in a thousand was lost: {lost}");
        Latencies { all, lost }
    }
}

fn receive(socket: &UdpSocket, open: &Open, is_over: &AtomicBool, secret: &Secret, out: &mpsc::Sender<Duration>) {
    let mut octets = [0; 4096];
    while !is_over.load(Relaxed) {
        let Ok(length) = socket.recv(&mut octets) else { continue };
        let at = clock::now().mono;
        let reply = Packet::parse(&octets[..length]).expect("the server sends packets");
        let asked = open.lock().expect("nobody panics")[usize::from(reply.identifier())].take();
        let Some((request, sent)) = asked else { continue };
        let request = Packet::parse(&request).expect("it was made here");
        verify_reply(&reply, &request, secret).expect("the reply is to this request");
        out.send(at.since(sent)).expect("it is read after the round");
    }
}

/// How long answers took, in order.
struct Latencies {
    all: Vec<Duration>,
    lost: u64,
}

impl Latencies {
    fn at(&self, share: f64) -> Duration {
        let last = self.all.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
        let place = (last as f64 * share) as usize;
        self.all.get(place).copied().unwrap_or_default()
    }

    fn print(&self, name: &str, lists: u64) {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| self.at(share).as_micros());
        println!("{name:<10} {:>9} {:>6} {lists:>8} {p50:>8} {p99:>8} {p999:>8}", self.all.len(), self.lost);
    }
}

fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = clock::now().mono.plus(PATIENCE);
    while !is_so() {
        assert!(clock::now().mono < deadline, "the first list did not come");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The value behind this option, or its default. `cargo bench` adds options of its own, which are passed over.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1);
    value.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} {text}: that is no such number")))
}
