//! All shards together: [`Udp`] has the sockets, [`Running`] the threads.
//!
//! Owns the order of a start (sockets first, so that a port that can't be had is known before anything else runs) and of
//! a stop. What a shard does stands in `shard`.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::{self, JoinHandle},
};

use crate::{
    clock::Mono,
    engine::{action::Port, machine::Machine},
    limits,
    metrics::udp::ShardCells,
};

use super::{
    error::{BindError, ListenCause, Shortcoming, StartError},
    mailbox::Mailbox,
    settings::Settings,
    shard::Shard,
    socket::{Socket, bind_group},
};

/// Bound sockets that nobody reads yet. What arrives meanwhile waits in the kernel.
#[derive(Debug)]
pub struct Udp {
    listeners: Vec<Listener>,
    /// By shard, then by listener.
    sockets: Vec<Vec<Arc<Socket>>>,
    mailboxes: Vec<Arc<Mailbox>>,
    cells: Vec<Arc<ShardCells>>,
    steered: bool,
    /// The receive buffer that each socket asked for.
    asked_octets: usize,
}

/// One address that is listened on. Its place in the list is [`Route::listener`](crate::engine::action::Route).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The service.
    pub port: Port,
    /// The address, with the port that it really has.
    pub address: SocketAddr,
}

impl Udp {
    /// Binds every address of `settings` once for each shard: authentication first, then accounting, in their order.
    ///
    /// # Errors
    /// The first address that can't be had, with what to do about it.
    pub fn bind(settings: &Settings) -> Result<Self, BindError> {
        let wanted: Vec<_> = (settings.auth_listen.iter().map(|address| (Port::Auth, *address)))
            .chain(settings.acct_listen.iter().map(|address| (Port::Acct, *address)))
            .collect();
        let shards = settings.shards();
        refuse_impossible(&wanted, shards)?;
        let cells: Vec<_> = (0..shards).map(|_| Arc::<ShardCells>::default()).collect();
        let mailboxes =
            cells.iter().map(|cells| Mailbox::new(Arc::clone(cells)).map(Arc::new)).collect::<Result<_, _>>();
        let mut udp = Self {
            listeners: Vec::with_capacity(wanted.len()),
            sockets: (0..shards).map(|_| Vec::with_capacity(wanted.len())).collect(),
            mailboxes: mailboxes.map_err(BindError::Waker)?,
            cells,
            steered: true,
            asked_octets: settings.receive_octets,
        };
        for (place, (port, address)) in (0..).zip(wanted) {
            let group = bind_group(place, port, address, shards, settings.receive_octets)
                .map_err(|source| BindError::Listen { port, address, cause: ListenCause::of(&source), source })?;
            udp.steered &= group.steered || shards == 1;
            udp.listeners.extend(group.sockets.first().map(|socket| Listener { port, address: socket.local() }));
            for (shard, socket) in udp.sockets.iter_mut().zip(group.sockets) {
                socket.send_segments(settings.segmentation);
                shard.push(Arc::new(socket));
            }
        }
        Ok(udp)
    }

    /// How many shards there are, and so how many machines [`run`](Self::run) needs.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.sockets.len()
    }

    /// What is listened on, in the order of [`Route::listener`](crate::engine::action::Route).
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The mailbox of each shard, in their order.
    #[must_use]
    pub fn mailboxes(&self) -> &[Arc<Mailbox>] {
        &self.mailboxes
    }

    /// What each shard counts, in their order.
    #[must_use]
    pub fn cells(&self) -> &[Arc<ShardCells>] {
        &self.cells
    }

    /// What the kernel drops.
    #[must_use]
    pub fn kernel_drops(&self) -> KernelDrops {
        KernelDrops::of(self.sockets.iter().flatten())
    }

    /// Whether the Identifier chooses the shard. False on kernels that can't; everything works then, but all requests
    /// of one NAS socket go to one shard.
    #[must_use]
    pub const fn is_steered(&self) -> bool {
        self.steered
    }

    /// The smallest receive buffer that the kernel granted, in octets. If it is less than asked for, `net.core.rmem_max`
    /// is too low.
    #[must_use]
    pub fn receive_octets(&self) -> usize {
        self.sockets.iter().flatten().filter_map(|socket| socket.receive_octets().ok()).min().unwrap_or(0)
    }

    /// What the kernel did not give, for whoever starts the server to tell.
    #[must_use]
    pub fn shortcomings(&self) -> Vec<Shortcoming> {
        let (asked, granted) = (self.asked_octets, self.receive_octets());
        // A kernel may round; half is another order of rush.
        let buffer = (granted < asked / 2).then_some(Shortcoming::ReceiveBuffer { asked, granted });
        buffer.into_iter().chain((!self.steered).then_some(Shortcoming::Unsteered)).collect()
    }

    /// Starts one thread for each shard, named `radmit-shard-N`. `machines`: one for each shard, in their order.
    ///
    /// # Errors
    /// Not as many machines as shards, or no thread. No thread runs then.
    pub fn run(self, machines: Vec<Box<dyn Machine + Send>>) -> Result<Running, StartError> {
        if machines.len() != self.shards() {
            return Err(StartError::Machines { given: machines.len(), shards: self.shards() });
        }
        let kernel_drops = self.kernel_drops();
        let Self { listeners, sockets, mailboxes, cells, .. } = self;
        let lives: Vec<Arc<()>> = mailboxes.iter().map(|_| Arc::default()).collect();
        let shards = ShardLives(lives.iter().map(Arc::downgrade).collect());
        let mut running = Running { listeners, mailboxes, cells, kernel_drops, shards, threads: Vec::new() };
        let parts = sockets.into_iter().zip(&running.mailboxes).zip(&running.cells).zip(machines).zip(lives);
        for (number, ((((sockets, mailbox), cells), machine), life)) in parts.enumerate() {
            let shard = Shard::new(sockets, Arc::clone(mailbox), Arc::clone(cells), machine);
            let thread = thread::Builder::new().name(format!("radmit-shard-{number}")).spawn(move || {
                let _life = life;
                shard.run();
            });
            match thread {
                Ok(thread) => running.threads.push(thread),
                Err(source) => {
                    running.stop(Mono::from_nanos(i64::MIN));
                    running.join();
                    return Err(StartError::Thread(source));
                }
            }
        }
        Ok(running)
    }
}

/// Refuses what can't work whatever the system says.
fn refuse_impossible(wanted: &[(Port, SocketAddr)], shards: usize) -> Result<(), BindError> {
    if wanted.len() > limits::LISTENERS_MAX {
        return Err(BindError::TooManyListeners { given: wanted.len() });
    }
    if shards > limits::SHARDS_MAX {
        return Err(BindError::TooManyShards { given: shards });
    }
    for (place, (_, first)) in wanted.iter().enumerate() {
        if let Some((_, second)) = wanted.iter().skip(place + 1).find(|(_, second)| overlap(*first, *second)) {
            return Err(BindError::Overlap { first: *first, second: *second });
        }
    }
    Ok(())
}

fn overlap(first: SocketAddr, second: SocketAddr) -> bool {
    let covered = first == second || first.ip().is_unspecified() || second.ip().is_unspecified();
    first.port() != 0 && first.port() == second.port() && first.is_ipv4() == second.is_ipv4() && covered
}

/// Shards at work. If it is dropped they are told to end at once, and not waited for.
pub struct Running {
    listeners: Vec<Listener>,
    mailboxes: Vec<Arc<Mailbox>>,
    cells: Vec<Arc<ShardCells>>,
    kernel_drops: KernelDrops,
    shards: ShardLives,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// What is listened on, in the order of [`Route::listener`](crate::engine::action::Route).
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The mailbox of each shard, in their order.
    #[must_use]
    pub fn mailboxes(&self) -> &[Arc<Mailbox>] {
        &self.mailboxes
    }

    /// What each shard counts, in their order.
    #[must_use]
    pub fn cells(&self) -> &[Arc<ShardCells>] {
        &self.cells
    }

    /// What the kernel drops.
    #[must_use]
    pub const fn kernel_drops(&self) -> &KernelDrops {
        &self.kernel_drops
    }

    /// Which shards still work.
    #[must_use]
    pub const fn shards(&self) -> &ShardLives {
        &self.shards
    }

    /// Tells all shards to take nothing new, to answer what waits, and to end at `until` at the latest.
    pub fn stop(&self, until: Mono) {
        for mailbox in &self.mailboxes {
            mailbox.stop(until);
        }
    }

    /// Waits until all shards have ended after [`stop`](Self::stop). Returns how many ended by a bug of their loop.
    pub fn join(mut self) -> usize {
        std::mem::take(&mut self.threads).into_iter().map(|thread| usize::from(thread.join().is_err())).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(Mono::from_nanos(i64::MIN));
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

/// Asks the kernel how many datagrams it dropped before a shard saw them.
///
/// Doesn't keep the sockets open: those of a shard close when it ends, and what they had counted until it was last asked for
/// stays.
#[derive(Clone, Debug)]
pub struct KernelDrops(Arc<[Mutex<Dropped>]>);

/// The drops of one socket. The kernel counts modulo 2^32, and a counter must not go back.
#[derive(Debug)]
struct Dropped {
    socket: Weak<Socket>,
    last: u32,
    sum: u64,
}

impl KernelDrops {
    fn of<'s>(sockets: impl Iterator<Item = &'s Arc<Socket>>) -> Self {
        let watched = |socket| Mutex::new(Dropped { socket: Arc::downgrade(socket), last: 0, sum: 0 });
        Self(sockets.map(watched).collect())
    }

    /// The number since the sockets were bound.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|dropped| dropped.lock().unwrap_or_else(PoisonError::into_inner).ask()).sum()
    }
}

impl Dropped {
    fn ask(&mut self) -> u64 {
        if let Some(backlog) = self.socket.upgrade().and_then(|socket| socket.backlog()) {
            self.note(backlog.dropped);
        }
        self.sum
    }

    fn note(&mut self, counted: u32) {
        self.sum += u64::from(counted.wrapping_sub(self.last));
        self.last = counted;
    }
}

/// Tells which shards have ended, without keeping any alive.
#[derive(Clone, Debug)]
pub struct ShardLives(Arc<[Weak<()>]>);

impl ShardLives {
    /// What is wrong, as a sentence: one has ended although nobody stopped it, which is a bug. None if all work.
    #[must_use]
    pub fn ailment(&self) -> Option<String> {
        let numbered = self.0.iter().enumerate();
        let ended: Vec<String> =
            numbered.filter(|(_, life)| life.strong_count() == 0).map(|(number, _)| number.to_string()).collect();
        (!ended.is_empty()).then(|| {
            let (numbers, of) = (ended.join(", "), self.0.len());
            format!("of {of} shards these have ended with a bug, and answer nobody: {numbers}; restart radmit")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_added_up_beyond_what_the_kernel_can_count() {
        let mut dropped = Dropped { socket: Weak::new(), last: 0, sum: 0 };
        for counted in [5, u32::MAX - 1, 3] {
            dropped.note(counted);
        }
        assert_eq!(dropped.ask(), (1 << 32) + 3, "and it stays when the socket is gone");
    }

    #[test]
    fn a_shard_that_has_ended_is_named() {
        let mut lives: Vec<Arc<()>> = (0..3).map(|_| Arc::default()).collect();
        let shards = ShardLives(lives.iter().map(Arc::downgrade).collect());
        assert_eq!(shards.ailment(), None);
        lives.remove(1);
        let told = "of 3 shards these have ended with a bug, and answer nobody: 1; restart radmit";
        assert_eq!(shards.ailment().as_deref(), Some(told));
    }
}
