//! The keeper: loads what was kept when a server starts, and saves what changed behind the packets.
//!
//! Owns the thread, the order of its work and its lines in the log. The shape of the file is `database`'s.

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tracing::{debug, error, info, warn};

use crate::{clock, clock::Wall, device::directory::Directory, limits, metrics::store::StoreCells};

use super::{
    codec,
    database::{self, Database, Fault},
    learn::Learnt,
    moment::Clocks,
    part::{self, Eye, Fingerprints, PARTS},
};

/// Before the first time that something is saved: a first list of a small fleet is in by then.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// A round that takes a second is followed by a pause of at least twenty: saving takes a twentieth of one core at most.
const PAUSE_PER_ROUND: u32 = 20;
/// Parts that are in memory at once while they are saved: a quarter of a directory.
const PARTS_AT_ONCE: usize = 1024;
/// Parts that are written in one transaction.
const PARTS_PER_WRITE: usize = 64;

/// How many Access-Requests of a client came since the process started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The client's name.
    pub client: Box<str>,
    /// With Message-Authenticator.
    pub signed: u64,
    /// Without.
    pub unsigned: u64,
}

/// Tells the counts of the clients that learn.
pub type Counts = Box<dyn Fn() -> Vec<Count> + Send>;

/// What survives a restart. If its folder can't be used it keeps nothing, and says so once.
pub struct Store {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    stopping: Mutex<bool>,
    wake: Condvar,
    cells: Arc<StoreCells>,
}

#[derive(Default)]
struct State {
    database: Option<Database>,
    /// Something in the file did not verify: it goes out of the way before the next write.
    is_damaged: bool,
    // Bound: `limits::MDM_SERVERS_MAX`, by the places that servers have.
    servers: Vec<Kept>,
    // Bound: the clients that learn, `limits::CLIENTS_MAX`.
    clients: HashMap<Box<str>, Client>,
    eye: Eye,
    /// Whether the last round failed: that is told once, not in every round.
    is_failing: bool,
}

/// A directory that is kept.
struct Kept {
    id: i64,
    name: Box<str>,
    identity: Box<str>,
    directory: Arc<Directory>,
    saved: Fingerprints,
}

/// A client that learns.
struct Client {
    learnt: Learnt,
    /// What this process had counted of it at the last round.
    counted: (u64, u64),
    is_told: bool,
}

impl Store {
    /// Opens the file in `folder`, or makes it.
    #[must_use]
    pub fn open(folder: &Path, cells: Arc<StoreCells>) -> Self {
        let mut state = State::default();
        match Database::open(folder) {
            Ok((database, set_aside)) => {
                if let Some(why) = set_aside {
                    warn!(folder = %folder.display(), "the kept devices can't be used and were set aside: {why}");
                }
                state.recall_clients(&database);
                state.database = Some(database);
            }
            Err(fault) => warn!(
                folder = %folder.display(),
                "devices are not kept over a restart: {}; make the folder writable for radmit, or name another one in \
                 server.state-dir",
                fault.sentence()
            ),
        }
        Self::of(state, cells)
    }

    /// Keeps nothing: for whoever only looks at a configuration, perhaps beside a server that runs.
    #[must_use]
    pub fn none() -> Self {
        Self::of(State::default(), Arc::default())
    }

    fn of(state: State, cells: Arc<StoreCells>) -> Self {
        let shared = Shared { state: Mutex::new(state), stopping: Mutex::new(false), wake: Condvar::new(), cells };
        Self { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Loads what was kept of a server into `directory`, and keeps it from now on. `identity`: whose devices they are;
    /// those of another one with the same name are not loaded, but removed.
    pub fn keep(&self, name: &str, identity: &str, directory: &Arc<Directory>) {
        let mut state = self.shared.state();
        let began = clock::now().mono;
        let (id, is_damaged) = match state.load(name, identity, directory) {
            Ok(loaded) => loaded,
            Err(fault) => {
                warn!(server = name, "the kept devices can't be read: {}", fault.sentence());
                (0, matches!(fault, Fault::Unusable(_)))
            }
        };
        if is_damaged {
            warn!(server = name, devices = directory.len(), "the kept devices are damaged: what is sound is used");
            state.is_damaged = true;
        }
        if !directory.is_empty() {
            let took_ms = clock::now().mono.since(began).as_millis();
            info!(server = name, devices = directory.len(), took_ms, "devices of before the restart are known");
        }
        // What is in memory and verified is saved already.
        let saved = if is_damaged { Fingerprints::new() } else { state.eye.look(directory) };
        let directory = Arc::clone(directory);
        state.servers.retain(|kept| *kept.name != *name);
        state.servers.push(Kept { id, name: name.into(), identity: identity.into(), directory, saved });
    }

    /// Begins to save what changes.
    pub fn start(&self, counts: Counts) {
        let shared = Arc::clone(&self.shared);
        let started = std::thread::Builder::new().name("radmit-store".to_owned()).spawn(move || shared.run(&counts));
        match started {
            Ok(thread) => *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread),
            Err(error) => warn!(%error, "devices are not kept over a restart: no thread"),
        }
    }

    /// Saves what changed, a last time, and closes the file.
    pub fn stop(&self) {
        *self.shared.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("saving ended with a bug, please report this");
        }
        self.shared.state().database = None;
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// The clients of which the file in `folder` says that Message-Authenticator can be required. Reads beside a server that
/// may be running; what can't be read is nobody.
#[must_use]
pub fn can_be_required(folder: &Path, now: Wall) -> Vec<Box<str>> {
    let learnt = database::read_learnt(folder).unwrap_or_default();
    learnt.into_iter().filter(|(_, learnt)| learnt.can_be_required(now)).map(|(name, _)| name).collect()
}

/// Loads what the file in `folder` keeps of a server into `directory`, beside a server that may be running. False: there is
/// nothing.
///
/// # Errors
/// Why it can't be read, as a sentence.
pub fn recall(folder: &Path, name: &str, identity: &str, directory: &Directory) -> Result<bool, String> {
    let recalled = || -> Result<bool, Fault> {
        let Some(database) = Database::open_to_read(folder)? else { return Ok(false) };
        let Some(id) = database.find_server(name, identity)? else { return Ok(false) };
        // What does not verify is left out; whoever keeps the file tells of it.
        restore(&database, id, (&Clocks::read(), database.newest()?), directory)?;
        Ok(true)
    };
    recalled().map_err(|fault| fault.sentence().to_owned())
}

/// Puts what is kept of a server into `directory`. Returns whether something did not verify.
fn restore(
    database: &Database,
    id: i64,
    (clocks, newest): (&Clocks, Wall),
    directory: &Directory,
) -> Result<bool, Fault> {
    let mut is_damaged = false;
    let read = database.each_part(id, |row| {
        let away = clocks.since(row.saved, newest);
        if !row.is_sound || row.part >= PARTS {
            is_damaged = true;
        } else if part::holds_links(row.part) {
            match codec::read_links(row.octets, away, clocks.now) {
                Ok(links) => links.iter().for_each(|link| directory.link(link.mac, link.device, link.at)),
                Err(codec::Torn) => is_damaged = true,
            }
        } else {
            match codec::read_devices(row.octets, away, clocks.now) {
                Ok(records) => records.into_iter().for_each(|record| directory.restore(record)),
                Err(codec::Torn) => is_damaged = true,
            }
        }
    });
    match read {
        Err(Fault::Unusable(_)) => is_damaged = true,
        read => read?,
    }
    if let Some(url) = database.enrolment_url(id).unwrap_or_default() {
        directory.note_enrolment_url(&url);
    }
    Ok(is_damaged)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, counts: &Counts) {
        let mut pause = FIRST_PAUSE;
        loop {
            let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.wake.wait_timeout_while(stopping, pause, |stopping| !*stopping);
            let is_last = *waited.unwrap_or_else(PoisonError::into_inner).0;
            let began = clock::now().mono;
            self.round(counts);
            if is_last {
                return;
            }
            pause = limits::STORE_INTERVAL.max(clock::now().mono.since(began) * PAUSE_PER_ROUND);
        }
    }

    fn round(&self, counts: &Counts) {
        let mut state = self.state();
        let now = clock::now().wall;
        state.learn(now, counts());
        self.cells.set_clients(
            state.clients.iter().map(|(name, client)| (name.clone(), client.learnt.can_be_required(now))).collect(),
        );
        if state.database.is_none() {
            return;
        }
        let mut saved = state.save(now);
        if let Err(Fault::Unusable(why)) = &saved {
            warn!("the kept devices can't be used any more and are set aside: {why}");
            state.is_damaged = true;
            saved = state.save(now);
        }
        let was_failing = std::mem::replace(&mut state.is_failing, saved.is_err());
        match saved {
            Ok(()) => self.cells.saved.set(now.as_secs()),
            Err(fault) => {
                self.cells.failed.increment();
                if was_failing {
                    debug!("devices were not saved again: {}", fault.sentence());
                } else {
                    warn!("devices could not be saved and it is tried again: {}", fault.sentence());
                }
            }
        }
    }
}

impl State {
    fn recall_clients(&mut self, database: &Database) {
        match database.learnt() {
            Ok(clients) => {
                let client = |learnt| Client { learnt, counted: (0, 0), is_told: false };
                self.clients = clients.into_iter().map(|(name, learnt)| (name, client(learnt))).collect();
            }
            Err(fault) => {
                warn!("what was learnt about Message-Authenticator can't be read: {}", fault.sentence());
                self.is_damaged |= matches!(fault, Fault::Unusable(_));
            }
        }
    }

    /// Loads a server's devices. Returns its number, and whether something did not verify.
    fn load(&mut self, name: &str, identity: &str, directory: &Directory) -> Result<(i64, bool), Fault> {
        let Some(database) = &mut self.database else { return Ok((0, false)) };
        let clocks = Clocks::read();
        let newest = database.newest()?;
        let id = database.server(name, identity, clocks.moment.wall)?;
        Ok((id, restore(database, id, (&clocks, newest), directory)?))
    }

    /// Saves everything that changed.
    fn save(&mut self, now: Wall) -> Result<(), Fault> {
        let Some(database) = &mut self.database else { return Ok(()) };
        if self.is_damaged {
            database.begin_anew()?;
            self.servers.iter_mut().for_each(|kept| kept.saved.clear());
            self.is_damaged = false;
        }
        for kept in &mut self.servers {
            // Asked each time: another start of this file may have given it another number.
            kept.id = database.server(&kept.name, &kept.identity, now)?;
            save_server(kept, database, &self.eye)?;
            database.note_saved(kept.id, now, kept.directory.enrolment_url())?;
        }
        database.write_learnt(self.clients.iter().map(|(name, client)| (&**name, &client.learnt)))?;
        database.note_clock(now)
    }

    /// Adds what came since the last round. Clients that learn no more are forgotten.
    fn learn(&mut self, now: Wall, counts: Vec<Count>) {
        let mut before = std::mem::take(&mut self.clients);
        for Count { client: name, signed, unsigned } in counts {
            let fresh = || Client { learnt: Learnt::new(now), counted: (0, 0), is_told: false };
            let mut client = before.remove(&name).unwrap_or_else(fresh);
            let (signed_before, unsigned_before) = std::mem::replace(&mut client.counted, (signed, unsigned));
            client.learnt.add(now, signed.saturating_sub(signed_before), unsigned.saturating_sub(unsigned_before));
            let can = client.learnt.can_be_required(now);
            if can && !client.is_told {
                info!(
                    client = %name,
                    "every request of seven days carried Message-Authenticator; set message-authenticator = \"require\""
                );
            }
            client.is_told = can;
            self.clients.insert(name, client);
        }
    }
}

/// Writes the parts of a directory that changed.
fn save_server(kept: &mut Kept, database: &mut Database, eye: &Eye) -> Result<(), Fault> {
    let prints = eye.look(&kept.directory);
    kept.saved.resize(PARTS, 0);
    let changed: Vec<usize> = (0..PARTS).filter(|at| prints.get(*at) != kept.saved.get(*at)).collect();
    for at_once in changed.chunks(PARTS_AT_ONCE) {
        let mut wanted = vec![false; PARTS];
        at_once.iter().for_each(|at| wanted[*at] = true);
        let clocks = Clocks::read();
        let contents = eye.take(&kept.directory, &wanted, clocks.now);
        for together in at_once.chunks(PARTS_PER_WRITE) {
            let parts = together.iter().filter_map(|at| Some((*at, &*contents.get(*at)?.octets)));
            database.write_parts(kept.id, clocks.moment, parts)?;
            for at in together {
                if let (Some(saved), Some(content)) = (kept.saved.get_mut(*at), contents.get(*at)) {
                    *saved = content.print;
                }
            }
        }
    }
    Ok(())
}
