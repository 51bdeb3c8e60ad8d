//! The worker: takes questions from packet threads, has them asked, and tells the shards.
//!
//! Owns the tasks of all servers, their start and their end. What is asked in which order is the desk's choice, how a
//! lookup goes is `intune/lookup`'s.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch};
use tracing::{error, warn};

use crate::{
    clock,
    device::{
        directory::Directory,
        question::{Answer, Answers, Failure, Key, Outcome, Question, Questions, ServerIndex},
    },
    limits,
    metrics::mdm::ServerCells,
};

use super::{
    board::Board,
    cloud::Endpoints,
    desk::{Class, Next, Shards, Ticket},
    explain::Complaint,
    intake::Intake,
    intune::{
        client::Client,
        lookup::{Looked, Terms},
    },
    inventory::Inventory,
    line::{Line, Payment},
    manners::Shift,
    settings::{Intune, Kind, Settings},
    spare_time::SpareTime,
    standing::Standing,
    sync::Sync,
    tend::Tend,
    transport::Transport,
};

/// One server as it is started.
#[derive(Clone, Debug)]
pub struct ServerSetup {
    /// What the file says.
    pub settings: Settings,
    /// Where its answers go; it outlives the worker.
    pub directory: Arc<Directory>,
    /// Where it counts.
    pub metrics: Arc<ServerCells>,
    /// What the worker before knew of its services; it outlives the worker as well.
    pub standing: Arc<Standing>,
}

/// Why a server can't be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// Its name.
    pub server: Arc<str>,
    /// What is wrong, and what to do.
    pub sentence: String,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mdm server \"{}\": {}", self.server, self.sentence)
    }
}

impl std::error::Error for StartError {}

/// Starts asking. `answers`: the mailbox of each shard, by its number. A server that is not enabled keeps its place.
///
/// # Errors
/// The first server whose addresses, roots of trust or proxy can't be used.
pub fn start(servers: Vec<ServerSetup>, answers: Vec<Arc<dyn Answers>>, handle: &Handle) -> Result<Worker, StartError> {
    let _entered = handle.enter();
    let board = Board::new(answers);
    let (stop, stage) = watch::channel(Stage::Asking);
    // First whatever can go wrong: the worker before goes on then.
    let spare_time = spare_time(&servers);
    let mut prepared = Vec::new();
    for setup in servers.into_iter().take(limits::MDM_SERVERS_MAX) {
        let name = Arc::clone(&setup.settings.name);
        prepared.push(Prepared::new(setup, &spare_time).map_err(|sentence| StartError { server: name, sentence })?);
    }
    let mut started = Vec::new();
    for (at, prepared) in prepared.into_iter().enumerate() {
        let index = ServerIndex(u8::try_from(at).expect("there are at most 16 servers"));
        started.push(prepared.start(index, board.clone(), &stage, handle));
    }
    Ok(Worker { servers: started.into(), stop: Arc::new(stop) })
}

/// The thread for the lists of all servers, if one has lists.
fn spare_time(servers: &[ServerSetup]) -> SpareTime {
    let has_lists = |setup: &ServerSetup| setup.settings.enabled && matches!(setup.settings.kind, Kind::Intune(_));
    if !servers.iter().any(has_lists) {
        return SpareTime::none();
    }
    SpareTime::start().unwrap_or_else(|error| {
        warn!("there is no thread for lists, so they are read beside lookups: {error}");
        SpareTime::none()
    })
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Asking,
    /// Only those are asked about for whom somebody waits.
    Draining,
    Stopped,
}

/// All servers that are asked. Cloning is cheap; the last one that is dropped stops them.
#[derive(Clone, Debug)]
pub struct Worker {
    servers: Arc<[Server]>,
    stop: Arc<watch::Sender<Stage>>,
}

impl Worker {
    /// Stops asking: background work ends, and who waits is asked about until `grace` is over, unless another worker took
    /// that over. What a guard held back is put in.
    pub async fn shutdown(self, grace: Duration) {
        self.stop.send_replace(Stage::Draining);
        let until = clock::now().mono.plus(grace);
        for running in self.running() {
            while running.is_busy() && clock::now().mono < until {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        self.stop.send_replace(Stage::Stopped);
        self.release();
    }

    /// Puts in what guards held back: what is saved now must be what the servers said.
    pub fn release(&self) {
        for running in self.running() {
            running.client.intake().release();
        }
    }

    fn running(&self) -> impl Iterator<Item = &Running> {
        self.servers.iter().filter_map(|server| match server {
            Server::Intune(running) => Some(&**running),
            Server::Inventory(_) | Server::Disabled => None,
        })
    }
}

impl Questions for Worker {
    fn ask(&self, question: Question) -> Result<(), Failure> {
        match self.servers.get(usize::from(question.server.0)) {
            Some(Server::Intune(running)) => running.ask(&question),
            Some(Server::Inventory(questions)) => questions.try_send(question).map_err(|_| Failure::Throttled),
            Some(Server::Disabled) | None => Err(Failure::Misconfigured),
        }
    }
}

#[derive(Debug)]
enum Server {
    Intune(Box<Running>),
    Inventory(std::sync::mpsc::SyncSender<Question>),
    Disabled,
}

/// A server whose settings turned out to be usable.
struct Prepared {
    settings: Settings,
    intake: Arc<Intake>,
    standing: Arc<Standing>,
    /// Of an Intune that is asked.
    client: Option<Arc<Client>>,
}

impl Prepared {
    fn new(setup: ServerSetup, spare_time: &SpareTime) -> Result<Self, String> {
        let ServerSetup { settings, directory, metrics, standing } = setup;
        let intake = Arc::new(Intake::new(&settings, directory, Arc::clone(&metrics)));
        let client = match &settings.kind {
            Kind::Intune(intune) if settings.enabled => {
                Some(connect(&settings, intune, Arc::clone(&intake), metrics, &standing, spare_time.clone())?)
            }
            Kind::Intune(_) | Kind::Inventory(_) => None,
        };
        Ok(Self { settings, intake, standing, client })
    }

    fn start(self, index: ServerIndex, board: Board, stage: &watch::Receiver<Stage>, handle: &Handle) -> Server {
        let Self { settings, intake, standing, client } = self;
        match (&settings.kind, client) {
            (Kind::Intune(intune), Some(client)) => {
                standing.keep(intune, &client);
                Server::Intune(Box::new(Running::start(index, &settings, intune, client, board, stage)))
            }
            (Kind::Inventory(inventory), _) if settings.enabled => {
                let (sender, questions) = std::sync::mpsc::sync_channel(limits::INVENTORY_QUESTIONS_MAX);
                let mut inventory = Inventory::new(Arc::clone(&settings.name), inventory.file.clone(), intake, board);
                // Here and not in its thread: who is told that the server is ready may ask at once.
                inventory.look(clock::now());
                handle.spawn_blocking(move || inventory.run(&questions));
                Server::Inventory(sender)
            }
            _ => Server::Disabled,
        }
    }
}

/// Builds what asks one Intune; it asks nothing yet.
///
/// # Errors
/// A sentence: which setting can't be used.
pub(super) fn connect(
    settings: &Settings,
    intune: &Intune,
    intake: Arc<Intake>,
    metrics: Arc<ServerCells>,
    standing: &Standing,
    spare_time: SpareTime,
) -> Result<Arc<Client>, String> {
    let endpoints = Endpoints::resolve(intune).map_err(|problem| format!("{} {}", problem.key, problem.message))?;
    let transport = Transport::new(intune, spare_time)?;
    let remembered = standing.recall(intune, &endpoints);
    let line = Line::new(Arc::clone(&settings.name), transport, Arc::clone(&standing.manners), metrics);
    Ok(Client::new(settings, intune, endpoints, Arc::new(line), intake, remembered))
}

/// An Intune that is asked.
#[derive(Debug)]
struct Running {
    client: Arc<Client>,
    shift: Shift,
    /// Lookups that were started here.
    lookups: Arc<AtomicUsize>,
}

impl Running {
    fn start(
        index: ServerIndex,
        settings: &Settings,
        intune: &Intune,
        client: Arc<Client>,
        board: Board,
        stage: &watch::Receiver<Stage>,
    ) -> Self {
        let (name, lookups) = (&settings.name, Arc::default());
        let shift = client.line().begin(intune.requests_per_second);
        let dispatch = Arc::new(Dispatch {
            index,
            client: Arc::clone(&client),
            board,
            shift,
            lookups: Arc::clone(&lookups),
            lookup_timeout: settings.lookup_timeout,
        });
        let sync = Sync::new(Arc::clone(&client), intune);
        let lists = Arc::clone(&sync);
        let tend = Tend::new(index, settings, intune, Arc::clone(&client));
        spawn_until(stage, Stage::Stopped, name, move || Arc::clone(&dispatch).run());
        spawn_until(stage, Stage::Draining, name, move || Arc::clone(&lists).run_lists());
        spawn_until(stage, Stage::Draining, name, move || Arc::clone(&sync).run_singles());
        spawn_until(stage, Stage::Draining, name, move || tend.clone().run());
        Self { client, shift, lookups }
    }

    /// Whether somebody waits for this very worker.
    fn is_busy(&self) -> bool {
        let manners = self.client.line().manners();
        self.lookups.load(Relaxed) > 0 || (manners.is_on(self.shift) && manners.desk().is_waited_for())
    }

    fn ask(&self, question: &Question) -> Result<(), Failure> {
        let now = clock::now();
        let line = self.client.line();
        let metrics = line.metrics();
        let refused = self.client.refuses(now);
        let mut desk = line.desk();
        let merged = desk.has(&question.key);
        let asked = match refused {
            None => desk.ask(now, question),
            // It stays in the queue: throttling ends, and the answer is good for the next request.
            Some((Failure::Throttled, _)) => {
                let _ = desk.ask(now, &Question { deadline: None, ..*question });
                Err(Failure::Throttled)
            }
            Some((failure, _)) => Err(failure),
        };
        metrics.questions_queued.set(i64::try_from(desk.questions()).unwrap_or(i64::MAX));
        drop(desk);
        if merged {
            metrics.questions_merged.increment();
        }
        if asked.is_err() {
            metrics.questions_refused.increment();
        }
        line.manners().wake.notify_one();
        asked
    }
}

/// Runs `work` until it ends or the worker is at its `end`. If it panics that is told, and it begins anew: one bug must not stop all
/// lookups until somebody restarts the process.
fn spawn_until<W: Future<Output = ()> + Send + 'static>(
    stage: &watch::Receiver<Stage>,
    end: Stage,
    server: &Arc<str>,
    work: impl Fn() -> W + Send + 'static,
) {
    let (mut stage, server) = (stage.clone(), Arc::clone(server));
    tokio::spawn(async move {
        loop {
            let mut task = tokio::spawn(work());
            tokio::select! {
                ended = &mut task => match ended {
                    Ok(()) => return,
                    Err(failed) => error!(%server, "work in the background ended by itself, please report this: {failed}"),
                },
                // An error means that the worker was dropped.
                _ = stage.wait_for(|stage| *stage >= end) => {
                    task.abort();
                    return;
                }
            }
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    });
}

/// Before something that panicked begins anew.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Starts lookups when it is their turn.
struct Dispatch {
    index: ServerIndex,
    client: Arc<Client>,
    board: Board,
    shift: Shift,
    lookups: Arc<AtomicUsize>,
    lookup_timeout: Duration,
}

impl Dispatch {
    async fn run(self: Arc<Self>) {
        let manners = self.client.line().manners();
        loop {
            if !manners.is_on(self.shift) {
                // Another worker takes the questions now. What woke this one was meant for it.
                manners.wake.notify_one();
                return;
            }
            let now = clock::now();
            // Who waits is let through and told at once; what nobody waits for rests until the services answer again.
            let rest = self.client.refuses(now).map(|(_, until)| until);
            let (next, evicted) = {
                let mut desk = manners.desk();
                (desk.next(now, rest), desk.take_evicted())
            };
            for (key, finished) in evicted {
                tell(self.index, &self.board, key, finished.shards, &Outcome::Failed(Failure::Throttled));
            }
            match next {
                Next::Start(ticket) => self.begin(ticket),
                Next::Idle => manners.wake.notified().await,
                Next::At(at) => {
                    let pause = at.since(clock::now().mono);
                    // Woken or not: the desk says again what is next.
                    let _ = tokio::time::timeout(pause, manners.wake.notified()).await;
                }
            }
        }
    }

    fn begin(&self, ticket: Ticket) {
        let client = Arc::clone(&self.client);
        let now = clock::now();
        let deadline = ticket.deadline.unwrap_or_else(|| now.mono.plus(self.lookup_timeout));
        let terms = Terms { deadline, payment: Payment::Turn(ticket.key) };
        let asked = tokio::spawn(async move { client.look_up(ticket.key, ticket.medium, terms).await });
        let (index, client, board) = (self.index, Arc::clone(&self.client), self.board.clone());
        let lookups = Arc::clone(&self.lookups);
        lookups.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            let looked = asked.await.unwrap_or_else(|failed| {
                // Ours: the one lookup is lost, the worker goes on.
                error!(server = client.line().name(), "a lookup ended by itself, please report this: {failed}");
                Looked::failed(Complaint::new(Failure::Unreachable, "the lookup ended by itself"))
            });
            end(index, &client, &board, ticket, &looked.outcome);
            lookups.fetch_sub(1, Relaxed);
            client.line().manners().wake.notify_one();
        });
    }
}

/// Ends a question that was asked.
fn end(index: ServerIndex, client: &Client, board: &Board, ticket: Ticket, outcome: &Outcome) {
    let now = clock::now();
    let mut desk = client.line().desk();
    let Some(finished) = desk.finish(&ticket.key) else { return };
    if matches!(outcome, Outcome::Failed(Failure::Throttled)) {
        // Throttling ends, and the answer is good for the next request.
        let behind = Question {
            server: index,
            key: ticket.key,
            medium: ticket.medium,
            deadline: None,
            shard: 0,
            client: finished.client,
            never_seen: false,
        };
        let _ = desk.ask(now, &behind);
    }
    drop(desk);
    if finished.class != Class::Behind {
        client.line().metrics().lookup_seconds.observe(now.mono.since(finished.asked_at));
    }
    tell(index, board, ticket.key, finished.shards, outcome);
}

fn tell(index: ServerIndex, board: &Board, key: Key, shards: Shards, outcome: &Outcome) {
    for shard in shards.iter() {
        board.deliver(shard, Answer { server: index, key, outcome: outcome.clone() });
    }
}
