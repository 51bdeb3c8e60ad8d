//! Claims about the Intune client, made against the simulated cloud over real HTTPS.

mod doctor;
mod failures;
mod lookups;
mod manners;
mod syncing;
mod tokens;

use std::{
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};

use radmit::{
    clock,
    device::{
        directory::{Ages, Capacity, Directory, Knowledge},
        identifier::{EntraId, Guid, IntuneId, MacAddress},
        question::{Answer, Answers, Failure, Key, Medium, Outcome, Question, Questions, ServerIndex},
        record::DeviceRecord,
    },
    mdm::{
        settings::{Api, Assertion, CertificatePair, Credential, Intune, Kind, Pem, SecretText, Settings, Trust},
        standing::Standing,
        worker::{self, ServerSetup, Worker},
    },
    metrics::mdm::ServerCells,
    sim::{self, Cloud, Credentials, EXAMPLE_CLIENT, EXAMPLE_TENANT, Fleet, Sim},
};

const SECRET: &str = "a secret of the simulated application";
const FEDERATED: &str = "a token of a federated issuer";
const LT_0042: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";
const LT_0043: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c02";
const LT_0042_ENTRA: &str = "c0ffee00-1234-4abc-8def-001122334455";
const NOBODY: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9dffff";
const WIFI: &str = "A4-C3-F0-11-22-33";
const ETHERNET: &str = "A4-C3-F0-44-55-66";
const STRANGE_MAC: &str = "A4-C3-F0-99-99-99";

/// Nothing here takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulated cloud, a worker that asks it, and one shard that is told.
struct World {
    sim: Sim,
    worker: Worker,
    directory: Arc<Directory>,
    metrics: Arc<ServerCells>,
    standing: Arc<Standing>,
    settings: Settings,
    answers: mpsc::Receiver<Answer>,
}

struct Mailbox(mpsc::Sender<Answer>);

impl Answers for Mailbox {
    fn deliver(&self, answer: Answer) {
        let _ = self.0.send(answer);
    }
}

impl World {
    /// The demo fleet, asked without a background sync.
    async fn quiet() -> Self {
        Self::with(Fleet::demo(), |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
        })
        .await
    }

    /// The same, from Graph alone.
    async fn quiet_graph() -> Self {
        Self::with(Fleet::demo(), |intune| {
            intune.polling_interval = Duration::ZERO;
            intune.incremental_interval = Duration::ZERO;
            intune.lookup = vec![Api::Graph];
        })
        .await
    }

    async fn with(fleet: Fleet, change: impl FnOnce(&mut Intune)) -> Self {
        Self::of(start_sim(fleet).await, change, |_| {})
    }

    fn of(sim: Sim, change: impl FnOnce(&mut Intune), also: impl FnOnce(&mut Settings)) -> Self {
        let mut intune = intune_of(&sim);
        change(&mut intune);
        let mut settings = Settings::new("corp", Kind::Intune(Box::new(intune)));
        also(&mut settings);
        let directory = Arc::new(Directory::new(Capacity::default()));
        Self::start(sim, settings, directory)
    }

    fn start(sim: Sim, settings: Settings, directory: Arc<Directory>) -> Self {
        Self::start_again(sim, settings, directory, Arc::default(), Arc::default())
    }

    /// A worker after another one, as a reload starts it.
    fn start_again(
        sim: Sim,
        settings: Settings,
        directory: Arc<Directory>,
        metrics: Arc<ServerCells>,
        standing: Arc<Standing>,
    ) -> Self {
        let (sender, answers) = mpsc::channel();
        let setup = ServerSetup {
            settings: settings.clone(),
            directory: Arc::clone(&directory),
            metrics: Arc::clone(&metrics),
            standing: Arc::clone(&standing),
        };
        let mailbox: Arc<dyn Answers> = Arc::new(Mailbox(sender));
        let worker = worker::start(vec![setup], vec![mailbox], &tokio::runtime::Handle::current());
        let worker = worker.expect("the settings are right");
        Self { sim, worker, directory, metrics, standing, settings, answers }
    }

    fn cloud(&self) -> &Cloud {
        self.sim.cloud()
    }

    /// As HUP: another worker with changed settings, and then the end of this one, which goes on answering here.
    fn reload(self, change: impl FnOnce(&mut Intune)) -> (Self, Worker, mpsc::Receiver<Answer>) {
        let Self { sim, worker, directory, metrics, standing, mut settings, answers } = self;
        if let Kind::Intune(intune) = &mut settings.kind {
            change(intune);
        }
        let world = Self::start_again(sim, settings, directory, metrics, standing);
        (world, worker, answers)
    }

    fn put(&self, key: Key, medium: Medium) -> Result<(), Failure> {
        self.worker.ask(question(key, medium))
    }

    /// Asks and waits for the answer.
    async fn ask(&self, key: Key) -> Outcome {
        self.ask_on(key, Medium::Wireless).await
    }

    async fn ask_on(&self, key: Key, medium: Medium) -> Outcome {
        if let Err(failure) = self.put(key, medium) {
            return Outcome::Failed(failure);
        }
        self.answer().await.outcome
    }

    async fn answer(&self) -> Answer {
        let mut answer = None;
        until("an answer", || {
            answer = self.answers.try_recv().ok();
            answer.is_some()
        })
        .await;
        answer.expect("it came")
    }

    fn judge(&self, key: Key, medium: Medium) -> Knowledge {
        self.directory.judge(clock::now(), &key, Some(medium), &self.settings.ages)
    }
}

fn question(key: Key, medium: Medium) -> Question {
    Question {
        server: ServerIndex(0),
        key,
        medium: Some(medium),
        deadline: Some(clock::now().mono.plus(PATIENCE)),
        shard: 0,
        client: 0,
        never_seen: false,
    }
}

async fn start_sim(fleet: Fleet) -> Sim {
    let credentials = Credentials {
        certificates: vec![application().certificate.clone()],
        federated_tokens: vec![FEDERATED.to_owned()],
        ..Credentials::secret(SECRET)
    };
    Sim::start(sim::Settings { credentials, ..sim::Settings::loopback(fleet) }).await.expect("the cloud starts")
}

fn intune_of(sim: &Sim) -> Intune {
    let secret = Credential::Secret(SecretText::fixed(SECRET.to_owned().into()));
    let mut intune = Intune::new(EXAMPLE_TENANT, EXAMPLE_CLIENT, secret);
    intune.token_url = Some(sim.token_url());
    intune.graph_url = Some(sim.base_url.clone());
    intune.trust = Trust { anchors: vec![pem(&sim.ca_pem)], only_anchors: true };
    intune
}

fn pem(text: &str) -> Pem {
    Pem::Text(Arc::new(text.as_bytes().to_vec().into()))
}

/// Looks again and again until something is so. It moves nothing and fails only if it never comes.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = clock::now().mono.plus(PATIENCE);
    while !is_so() {
        assert!(clock::now().mono < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn device(text: &str) -> Key {
    Key::Device(Guid::parse(text.as_bytes()).expect("it is one"))
}

fn intune_id(text: &str) -> IntuneId {
    IntuneId(Guid::parse(text.as_bytes()).expect("it is one"))
}

fn mac(text: &str) -> Key {
    Key::Mac(MacAddress::parse(text.as_bytes()).expect("it is one"))
}

fn found(outcome: Outcome) -> Arc<DeviceRecord> {
    match outcome {
        Outcome::Found(record) => record,
        other => panic!("not found: {other:?}"),
    }
}

fn failure(outcome: &Outcome) -> Option<Failure> {
    match outcome {
        Outcome::Failed(failure) => Some(*failure),
        _ => None,
    }
}

/// A certificate for an RSA key.
struct Application {
    certificate: Vec<u8>,
    pair: CertificatePair,
}

/// Made once for all tests: RSA keys take a while.
fn application() -> &'static Application {
    static APPLICATION: OnceLock<Application> = OnceLock::new();
    APPLICATION.get_or_init(new_application)
}

fn new_application() -> Application {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).expect("an RSA key");
    let parameters = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names are valid names");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    let pair = CertificatePair { certificate: pem(&certificate.pem()), private_key: pem(&key.serialize_pem()) };
    Application { certificate: certificate.der().to_vec(), pair }
}

#[test]
fn every_trap_of_intune_is_named_by_a_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for folder in ["src/mdm", "src/mdm/intune", "src/device", "tests/suite/mdm"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(path).expect("it can be read"));
            }
        }
    }
    let named: std::collections::HashSet<u32> = text
        .lines()
        .filter(|line| line.trim_start().starts_with("/// Trap"))
        .filter_map(|line| line.split_once(':').or_else(|| line.split_once(" of ")))
        .flat_map(|(head, _)| head.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()))
        .collect();
    let list = std::fs::read_to_string(root.join("src/mdm/intune/traps.md")).expect("the list is there");
    let numbers: Vec<u32> = list.lines().filter_map(|line| line.split_once(". ")?.0.parse().ok()).collect();
    assert_eq!(numbers, (1..=28).collect::<Vec<_>>());
    let missing: Vec<_> = numbers.iter().filter(|number| !named.contains(number)).collect();
    assert!(missing.is_empty(), "no test names the traps {missing:?}");
}
