//! Fresh answers while the fleet is synchronised: how much later the slowest ones come.
//!
//! `cargo bench --bench sync -- --devices 100000 --rate 2000 --seconds 4 --rounds 5`
//!
//! Each round measures three times: `quiet`, `neighbour`, `syncing`. While syncing, one list after the other is fetched
//! from a simulated cloud, over real HTTPS, into the directory that answers the requests, so that every device that is asked
//! about is replaced meanwhile. As neighbour, the same cloud sends the same pages to a reader that throws them away. The
//! ratio of those two is what radmit's own work costs its answers; the ratio to `quiet` holds the machine's share too.
//!
//! Microsoft does not share the machine, and a bench must not measure how long its own threads wait. So core 1 has the cloud
//! and the reader, at the lowest priority, and the generator, at real-time priority. Core 0 has radmit: the shard and all
//! that works behind it. That is its worst case, a machine without a core to spare. Both cores are kept awake. With
//! `--loose` nothing is pinned and nobody has another priority than usual, but the cloud; then it is measured who waits for
//! whom as well.
//!
//! The load is open: a request leaves when its time has come, whether the one before was answered or not, and every reply
//! is verified.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/cloud.rs"]
mod cloud;
#[path = "support/nas.rs"]
mod nas;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use cloud::Cloud;
use radmit::{
    audit::{log::Log, settings::Destination},
    clock::{self, Mono},
    device::{
        directory::{Capacity, Directory},
        identifier::MacAddress,
        question::Medium,
    },
    engine::{chance::Chance, event::EventSink},
    metrics::{cell::Counter, mdm::ServerCells, process::ProcessCells},
    radius::{packet::Packet, request::verify_reply, secret::Secret},
    sim::EXAMPLE_CLIENT,
    udp::{Running, Settings as UdpSettings, Udp},
};
use server::Server;

/// Between two pages of the neighbour: as many calls in a second as radmit allows itself.
const BETWEEN_PAGES: Duration = Duration::from_micros(12_500);
/// How long the first list may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The core of radmit, and the core of everybody else.
const OURS: u32 = 0;
const OTHERS: u32 = 1;

fn main() {
    let devices: u64 = option("--devices", 100_000);
    let seconds: u64 = option("--seconds", 4);
    let rounds: usize = option("--rounds", 5);
    let rate: u32 = option("--rate", 2_000);
    let loose = std::env::args().any(|argument| argument == "--loose");
    let everywhere = format!("{OURS},{OTHERS}");
    let cloud = Cloud::start(devices, if loose { &everywhere } else { "1" });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let neighbour = Neighbour::new(&cloud);
    let directory = Arc::new(Directory::new(Capacity::default()));
    let metrics = Arc::<ServerCells>::default();
    let sync = |every: Duration| cloud::start(&cloud, &directory, &metrics, every, runtime.handle());
    let first = sync(Duration::from_secs(4 * 3600));
    until(|| directory.is_complete(Some(Medium::Wireless)));
    runtime.block_on(first.shutdown(Duration::from_secs(1)));
    let mut macs = Vec::new();
    directory.for_each(|record| macs.extend(record.wifi_mac));

    let server = Server::new(Arc::clone(&directory), 1, 1);
    let (log, mut ends) = Log::start(&Destination::Off, 1, Arc::<ProcessCells>::default()).expect("nothing is opened");
    let running = serve(&server, ends.remove(0));
    let awake = if loose { None } else { process::Awake::keep() };
    let placed = !loose && place();
    println!("{} devices, {rate} requests a second, {rounds} rounds of {seconds} s each", directory.len());
    println!("radmit on core {OURS}, the rest on core {OTHERS}: {placed}; awake: {}", awake.is_some());
    let mut load = Load { to: running.listeners()[0].address, macs, chance: Chance::new(1), rate };
    let duration = Duration::from_secs(seconds);
    let (mut to_neighbour, mut to_quiet) = (Vec::new(), Vec::new());
    println!(
        "{:<10} {:>9} {:>6} {:>8} {:>8} {:>8} {:>8}",
        "", "answered", "lost", "calls", "p50 us", "p99 us", "p99.9 us"
    );
    // Sockets, caches and pages are the server's before its time is taken.
    load.run(Duration::from_secs(1));
    for _ in 0..rounds {
        let quiet = load.run(duration);
        quiet.print("quiet", 0);
        let (beside, pages) = neighbour.read_while(|| load.run(duration));
        beside.print("neighbour", pages);
        let before = calls(&metrics);
        let worker = sync(Duration::from_millis(1));
        assert!(!placed || process::pin_to_core(cloud::LISTS, OURS), "a thread for lists was just started");
        let syncing = load.run(duration);
        runtime.block_on(worker.shutdown(Duration::from_secs(1)));
        syncing.print("syncing", calls(&metrics) - before);
        to_neighbour.push(ratio(&syncing, &beside));
        to_quiet.push(ratio(&syncing, &quiet));
    }
    print_ratios("neighbour", &mut to_neighbour);
    print_ratios("quiet", &mut to_quiet);
    running.stop(clock::now().mono);
    assert_eq!(running.join(), 0, "no shard ended by a bug");
    drop(log);
}

/// Gives everybody a core. False if it can't be done; then the numbers tell less.
fn place() -> bool {
    process::pin_to_core("radmit-", OURS)
        && process::pin_to_core("tokio", OURS)
        && process::pin_to_core(Neighbour::THREADS, OTHERS)
        && process::make_idle(Neighbour::THREADS)
        && process::pin_own_thread(OTHERS)
        && process::make_own_thread_real_time()
}

/// Calls of radmit's that the cloud answered.
fn calls(metrics: &ServerCells) -> u64 {
    metrics.calls.iter().flat_map(|of_service| of_service.first()).map(Counter::value).sum()
}

fn ratio(one: &Latencies, other: &Latencies) -> f64 {
    one.at(0.99).as_secs_f64() / other.at(0.99).as_secs_f64()
}

fn print_ratios(to: &str, ratios: &mut [f64]) {
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
    println!("p99 while syncing / p99 {to}: median {median:.2}, {ratios:.2?}");
}

/// Whoever reads the cloud's pages and throws them away.
struct Neighbour {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    token_url: String,
    list_url: String,
}

impl Neighbour {
    const THREADS: &str = "neighbour";

    fn new(cloud: &Cloud) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(Self::THREADS)
            .enable_all()
            .build()
            .expect("a runtime");
        let ca = reqwest::Certificate::from_pem(cloud.ca.as_bytes()).expect("the cloud wrote it");
        let client = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().expect("there is TLS");
        let list_url = format!("{}/v1.0/deviceManagement/managedDevices?$top=999&$select={FACTS}", cloud.graph_url);
        Self { runtime, client, token_url: cloud.token_url.clone(), list_url }
    }

    /// Reads for as long as `measure` runs. Returns how many pages there were, too.
    fn read_while<R>(&self, measure: impl FnOnce() -> R) -> (R, u64) {
        let token = self.runtime.block_on(self.token());
        let pages = Arc::new(AtomicU64::new(0));
        let (client, url, counted) = (self.client.clone(), self.list_url.clone(), Arc::clone(&pages));
        let reading = self.runtime.spawn(async move {
            let mut next = url.clone();
            loop {
                let page = client.get(&next).bearer_auth(&token).send().await.expect("the cloud is there");
                assert!(page.status().is_success(), "{}", page.status());
                let text = page.text().await.expect("the cloud ends what it begins");
                let link = text.split_once("@odata.nextLink\":\"").and_then(|(_, link)| link.split_once('"'));
                next = link.map_or_else(|| url.clone(), |(link, _)| link.to_owned());
                counted.fetch_add(1, Relaxed);
                tokio::time::sleep(BETWEEN_PAGES).await;
            }
        });
        let measured = measure();
        reading.abort();
        (measured, pages.load(Relaxed))
    }

    async fn token(&self) -> String {
        let scope = "https://graph.microsoft.com/.default";
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", EXAMPLE_CLIENT),
            ("client_secret", cloud::SECRET),
            ("scope", scope),
        ];
        let reply = self.client.post(&self.token_url).form(&form).send().await.expect("the cloud is there");
        let told: serde_json::Value = reply.json().await.expect("it is JSON");
        told["access_token"].as_str().expect("the secret is right").to_owned()
    }
}

/// What radmit asks of each device.
const FACTS: &str = "id,azureADDeviceId,wiFiMacAddress,complianceState,managedDeviceOwnerType,operatingSystem,osVersion,\
    isEncrypted,jailBroken,manufacturer,model,serialNumber,deviceName,userPrincipalName,managementAgent,\
    lastSyncDateTime,partnerReportedThreatState";

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
        let slot = usize::from(reply.identifier());
        let Some((request, sent)) = open.lock().expect("nobody panics")[slot].take() else { continue };
        let packet = Packet::parse(&request).expect("it was made here");
        if verify_reply(&reply, &packet, secret).is_ok() {
            out.send(at.since(sent)).expect("it is read after the round");
        } else {
            // To the request before with this Identifier, which counts as lost. A wrong answer would do so as well.
            open.lock().expect("nobody panics")[slot].get_or_insert((request, sent));
        }
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

    fn print(&self, name: &str, calls: u64) {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| self.at(share).as_micros());
        println!("{name:<10} {:>9} {:>6} {calls:>8} {p50:>8} {p99:>8} {p999:>8}", self.all.len(), self.lost);
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
