//! The running server: started from what was loaded, reloaded as a whole, stopped in order.
//!
//! Owns the life of sockets, shards, workers and logs. It reads no arguments and no signals.

use std::{
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{runtime::Handle, sync::watch};
use tracing::{error, info, warn};

use crate::{
    audit::log::Log,
    clock,
    config::{
        configuration::{Configuration, Server as ServerSettings},
        files::Files,
    },
    device::question::{Answers, Questions, ServerIndex},
    eap::tls::expiry::Expiry,
    engine::{
        Engine, Parts, Room, action::Port, client::MessageAuthenticatorMode, machine::Machine, snapshot::Snapshot,
    },
    http::{
        readiness::{Readiness, Stage},
        server::Server as Pages,
    },
    limits,
    mdm::worker::{self, ServerSetup, StartError as MdmError},
    metrics::{
        cell::Counter,
        engine::{ClientCells, ShardCells},
        list,
        packets::Packets,
        page::{Exposition, Page, Source},
        process::ProcessCells,
    },
    problem::{Problems, Severity},
    store::keeper::Count,
    udp::{self, Running, Udp},
};

use super::{
    expiry::Expiries,
    handshakes::Handshakes,
    load::{Loaded, load},
    snapshot::{Lasting, LastingServer, build},
    switch::{Behind, Switch, Translated},
};

/// How long a worker that was replaced may still answer what it was asked.
const OLD_WORKER_GRACE: Duration = Duration::from_secs(5);

/// A running server.
pub struct Server {
    named: Option<PathBuf>,
    files: Arc<dyn Files>,
    handle: Handle,
    lasting: Arc<Lasting>,
    shared: Arc<ArcSwap<Snapshot>>,
    switch: Arc<Switch>,
    process: Arc<ProcessCells>,
    expiries: Arc<Expiries>,
    log: Log,
    readiness: Arc<Readiness>,
    running: Running,
    /// After the shards, which use them to their end.
    _handshakes: Handshakes,
    metrics: Option<SocketAddr>,
    stop_pages: watch::Sender<bool>,
    configuration: Mutex<Configuration>,
}

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// A RADIUS port can't be had.
    Port(udp::BindError),
    /// The port of metrics and health can't be had.
    Metrics {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Anything else, as a sentence.
    Other(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(error) => error.fmt(f),
            Self::Metrics { address, source } => {
                write!(f, "metrics.listen {address} can't be had: {source}; name another address, or \"off\"")
            }
            Self::Other(sentence) => f.write_str(sentence),
        }
    }
}

impl Server {
    /// Binds, starts and serves. `named`: the configuration file as the operator named it, for reloads.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub fn start(
        loaded: Loaded,
        named: Option<PathBuf>,
        files: Arc<dyn Files>,
        handle: &Handle,
    ) -> Result<Self, StartError> {
        let udp = bind_udp(&loaded.configuration.server).map_err(StartError::Port)?;
        let pages = bind_pages(&loaded.configuration, handle)?;
        let shards = udp.shards();
        let bounds = loaded.configuration.eap_tls.as_ref().map(|eap| eap.bounds).unwrap_or_default();
        let lasting = Arc::new(Lasting::new(shards, bounds, &loaded.configuration.server.state_dir));
        let process = Arc::new(ProcessCells::default());
        let (log, events) = Log::start(&loaded.configuration.log.decisions, shards, Arc::clone(&process))
            .map_err(|error| StartError::Other(format!("log.decisions can't be written: {error}")))?;
        let expiries = Arc::new(Expiries::default());
        expiries.set(expiries_of(&loaded));
        let (snapshot, configuration) = build(loaded, &lasting);
        process.set_configuration(&snapshot.hash, expiries.ends());
        let shared = Arc::new(ArcSwap::from_pointee(snapshot));
        let switch = Arc::new(Switch::default());
        let answers: Vec<Arc<dyn Answers>> =
            udp.mailboxes().iter().map(|mailbox| Arc::clone(mailbox) as Arc<dyn Answers>).collect();
        let behind = start_worker(&configuration, &lasting, &answers, handle);
        switch.swap(behind.map_err(|error| StartError::Other(error.to_string()))?);
        let cells: Vec<Arc<ShardCells>> = (0..shards).map(|_| Arc::default()).collect();
        let handshakes = Handshakes::start(udp.mailboxes().to_vec())
            .map_err(|error| StartError::Other(format!("no threads for handshakes: {error}")))?;
        let mut machines: Vec<Box<dyn Machine + Send>> = Vec::new();
        for ((shard, events), cells) in (0u16..).zip(events).zip(&cells) {
            machines.push(Box::new(Engine::new(Parts {
                shard,
                shared: Arc::clone(&shared),
                dialogues: Arc::clone(&lasting.dialogues),
                workers: Some(handshakes.workers()),
                questions: Arc::clone(&switch) as Arc<dyn Questions>,
                events,
                cells: Arc::clone(cells),
                seed: seed()?,
                pseudonyms: lasting.pseudonyms.clone(),
                room: Room::default(),
            })));
        }
        let running = udp.run(machines).map_err(|error| StartError::Other(error.to_string()))?;
        let readiness = Arc::new(Readiness::default());
        let (stop_pages, stopped) = watch::channel(false);
        let server = Self {
            named,
            files,
            handle: handle.clone(),
            lasting,
            shared,
            switch,
            process,
            expiries,
            log,
            readiness,
            running,
            _handshakes: handshakes,
            metrics: pages.as_ref().map(Pages::address),
            stop_pages,
            configuration: Mutex::new(configuration),
        };
        handle.spawn(Arc::clone(&server.expiries).warn_daily(stopped.clone()));
        if let Some(pages) = pages {
            server.serve_pages(pages, cells, stopped);
        }
        server.start_store();
        server.readiness.set(Stage::Ready);
        server.tell_started();
        Ok(server)
    }

    fn serve_pages(&self, pages: Pages, cells: Vec<Arc<ShardCells>>, mut stopped: watch::Receiver<bool>) {
        let packets = Packets {
            clients: Arc::clone(&self.lasting.clients),
            shards: cells,
            sockets: self.running.cells().to_vec(),
            kernel_drops: {
                let drops = self.running.kernel_drops().clone();
                Box::new(move || drops.total())
            },
        };
        let shared = Arc::clone(&self.shared);
        let hits = move |page: &mut Page<'_>| rule_hits(&shared.load(), page);
        let sources: Vec<Box<dyn Source>> = vec![
            Box::new(packets),
            Box::new(hits),
            Box::new(Arc::clone(&self.lasting.mdm)),
            Box::new(Arc::clone(&self.lasting.stored)),
            Box::new(Arc::clone(&self.process)),
        ];
        let exposition = Arc::new(Exposition::new(sources));
        let stop = async move {
            // An error means that the server is gone, which is a stop as well.
            drop(stopped.wait_for(|stopped| *stopped).await);
        };
        let shards = self.running.shards().clone();
        let ailment = Arc::new(move || shards.ailment());
        let serving = pages.serve(exposition, Arc::clone(&self.readiness), ailment, stop);
        self.handle.spawn(async move {
            if let Err(error) = serving.await {
                error!(%error, "the pages for metrics and health ended");
            }
        });
    }

    fn start_store(&self) {
        let shared = Arc::clone(&self.shared);
        self.lasting.store.start(Box::new(move || counts_of_learners(&shared.load())));
    }

    fn tell_started(&self) {
        for listener in self.running.listeners() {
            let port = if listener.port == Port::Auth { "authentication" } else { "accounting" };
            info!(address = %listener.address, port, "listening");
        }
        if let Some(address) = self.metrics {
            info!(%address, "metrics and health");
        }
        let snapshot = self.shared.load();
        info!(
            clients = snapshot.clients.list().len(),
            rules = snapshot.policy.rules().len(),
            mdm = snapshot.servers.len(),
            config = %snapshot.hash,
            "radmit {} is ready", env!("CARGO_PKG_VERSION")
        );
    }

    /// Loads everything anew and swaps it in as a whole. If anything is wrong, it says what, and nothing changes.
    pub fn reload(&self) {
        self.log.reopen();
        let mut problems = Problems::new();
        let loaded = load(self.named.as_deref(), &self.files, &mut problems);
        for problem in problems.sorted() {
            match problem.severity {
                Severity::Error => error!("{problem}"),
                Severity::Warning => warn!("{problem}"),
                Severity::Hint => {}
            }
        }
        let Some(loaded) = loaded else {
            self.process.reloads_failed.increment();
            error!("not reloaded: the configuration of before stays in force");
            return;
        };
        let mut current = self.configuration.lock().unwrap_or_else(PoisonError::into_inner);
        warn_about_restarts(&current, &loaded.configuration);
        let expiries = expiries_of(&loaded);
        let (mut snapshot, configuration) = build(loaded, &self.lasting);
        let downloads = std::mem::take(&mut snapshot.downloads);
        let kept = limits::DOWNLOADS_KEPT;
        snapshot.downloads = downloads.after(&self.shared.load().downloads, clock::now().mono, kept);
        let answers: Vec<Arc<dyn Answers>> =
            self.running.mailboxes().iter().map(|mailbox| Arc::clone(mailbox) as Arc<dyn Answers>).collect();
        match start_worker(&configuration, &self.lasting, &answers, &self.handle) {
            Ok(behind) => {
                if let Some(old) = self.switch.swap(behind) {
                    self.handle.spawn(async move { old.worker.clone().shutdown(OLD_WORKER_GRACE).await });
                }
            }
            Err(error) => {
                self.process.reloads_failed.increment();
                error!(%error, "not reloaded: the configuration of before stays in force");
                return;
            }
        }
        self.expiries.set(expiries);
        self.process.set_configuration(&snapshot.hash, self.expiries.ends());
        let hash = snapshot.hash.clone();
        self.shared.store(Arc::new(snapshot));
        *current = configuration;
        self.process.reloads.increment();
        // Told when it is true: whoever waits for this line may ask at once.
        info!(config = %hash, "reloaded");
    }

    /// Stops taking requests, answers those that wait (for at most their deadline), and ends.
    pub fn stop(self) {
        self.readiness.set(Stage::Draining);
        let deadline = self.configuration.lock().unwrap_or_else(PoisonError::into_inner).server.decision_deadline;
        info!("stopping: what waits for an answer gets it within {} ms", deadline.as_millis());
        self.running.stop(clock::now().mono.plus(deadline));
        let broken = self.running.join();
        if broken > 0 {
            error!(shards = broken, "some shards had ended with a bug");
        }
        if let Some(behind) = self.switch.take() {
            behind.worker.release();
        }
        self.lasting.store.stop();
        self.stop_pages.send_replace(true);
        drop(self.log);
        info!("stopped");
    }

    /// Whether every enabled MDM server has completed a list since start.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.shared
            .load()
            .servers
            .iter()
            .all(|server| server.directory.is_complete(Some(crate::device::question::Medium::Wireless)))
    }

    /// Where Access-Requests are taken: the first such address.
    #[must_use]
    pub fn auth_address(&self) -> Option<SocketAddr> {
        self.address_of(Port::Auth)
    }

    /// Where Accounting-Requests are taken: the first such address.
    #[must_use]
    pub fn acct_address(&self) -> Option<SocketAddr> {
        self.address_of(Port::Acct)
    }

    fn address_of(&self, port: Port) -> Option<SocketAddr> {
        self.running.listeners().iter().find(|listener| listener.port == port).map(|listener| listener.address)
    }

    /// Where metrics and health are served.
    #[must_use]
    pub const fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }
}

fn expiries_of(loaded: &Loaded) -> Vec<Expiry> {
    loaded.eap_tls.as_ref().map(|eap_tls| eap_tls.expiries.clone()).unwrap_or_default()
}

/// Tells too what the kernel did not give.
fn bind_udp(server: &ServerSettings) -> Result<Udp, udp::BindError> {
    let udp = Udp::bind(&udp::Settings {
        auth_listen: server.auth_listen.clone(),
        acct_listen: server.acct_listen.clone(),
        shards: server.shards,
        segmentation: server.udp_segmentation,
        ..udp::Settings::default()
    })?;
    udp.shortcomings().iter().for_each(|shortcoming| warn!("{shortcoming}"));
    Ok(udp)
}

fn bind_pages(configuration: &Configuration, handle: &Handle) -> Result<Option<Pages>, StartError> {
    let Some(address) = configuration.metrics.listen else { return Ok(None) };
    // Binding does not wait; the runtime is only needed to register the socket.
    let bound = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let _entered = handle.enter();
        Pages::from_std(listener)
    });
    bound.map(Some).map_err(|source| StartError::Metrics { address, source })
}

fn start_worker(
    configuration: &Configuration,
    lasting: &Lasting,
    answers: &[Arc<dyn Answers>],
    handle: &Handle,
) -> Result<Behind, MdmError> {
    let mut places: Vec<ServerIndex> = Vec::new();
    let mut setups = Vec::new();
    for server in configuration.mdm.iter().filter(|server| server.settings.enabled) {
        let Some(LastingServer { index, directory, standing }) = lasting.server(&server.settings) else { continue };
        places.push(index);
        let metrics = lasting.mdm.cells(&server.settings.name);
        setups.push(ServerSetup { settings: server.settings.clone(), directory, metrics, standing });
    }
    let of_shards: Arc<[ServerIndex]> = places.clone().into();
    let answers = answers
        .iter()
        .map(|shard| {
            Arc::new(Translated { shard: Arc::clone(shard), places: Arc::clone(&of_shards) }) as Arc<dyn Answers>
        })
        .collect();
    Ok(Behind { worker: worker::start(setups, answers, handle)?, places })
}

fn warn_about_restarts(before: &Configuration, after: &Configuration) {
    let (old, new) = (&before.server, &after.server);
    if old.auth_listen != new.auth_listen || old.acct_listen != new.acct_listen || old.shards != new.shards {
        warn!("listen addresses or shards changed: that needs a restart; everything else is reloaded");
    }
    if before.metrics.listen != after.metrics.listen
        || before.log.decisions != after.log.decisions
        || old.state_dir != new.state_dir
        || old.udp_segmentation != new.udp_segmentation
    {
        warn!(
            "metrics.listen, log.decisions, state-dir or udp-segmentation changed: that needs a restart; everything else is reloaded"
        );
    }
}

fn rule_hits(snapshot: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    page.counter(&list::RULE_HITS, snapshot.hits.lines(&snapshot.policy))
}

/// What the clients sent of which is to be learnt whether they sign.
fn counts_of_learners(snapshot: &Snapshot) -> Vec<Count> {
    let learners = snapshot.clients.list().iter();
    let learners = learners.filter(|client| client.message_authenticator == MessageAuthenticatorMode::Learn);
    learners
        .map(|client| {
            let sum = |cell: fn(&ClientCells) -> &Counter| client.cells.iter().map(|cells| cell(cells).value()).sum();
            let (signed, unsigned) = (sum(|cells| &cells.signed), sum(|cells| &cells.unsigned));
            Count { client: client.name.clone(), signed, unsigned }
        })
        .collect()
}

fn seed() -> Result<u64, StartError> {
    let mut seed = [0; 8];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| StartError::Other("the system gives no random numbers".to_owned()))?;
    Ok(u64::from_be_bytes(seed))
}
