//! A server that does nothing: every datagram goes back as it came.
//!
//! Owns the yardstick of the benches: what receiving and sending cost with the same sockets, the same waiting and the
//! same batches as a shard's, but without a machine. Not part of the product.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
};

use crate::{
    clock::Mono,
    engine::action::{Outbox, Port},
    limits,
    metrics::udp::ShardCells,
};

use super::{
    batch::Inbound,
    flush::flush,
    mailbox::Mailbox,
    replies::Replies,
    socket::{Readiness, Socket, bind_group},
};

/// A running echo. Its threads are named `radmit-echo-N`, so that a bench can tell their CPU time from its own.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    threads: Vec<(Arc<Mailbox>, JoinHandle<()>)>,
    cells: Arc<ShardCells>,
}

impl Echo {
    /// Starts `shards` (1 or more) threads that share the port of `address`; port 0 takes a free one. Each datagram goes
    /// back alone.
    ///
    /// # Errors
    /// What the system says about sockets and threads.
    pub fn start(address: SocketAddr, shards: usize) -> io::Result<Self> {
        Self::start_with(address, shards, false)
    }

    /// The same; with `segments` datagrams of one length go back to one peer as one piece, as replies of a server do.
    ///
    /// # Errors
    /// What the system says about sockets and threads.
    pub fn start_with(address: SocketAddr, shards: usize, segments: bool) -> io::Result<Self> {
        let group = bind_group(0, Port::Auth, address, shards, limits::SOCKET_RECEIVE_OCTETS)?;
        let cells = Arc::<ShardCells>::default();
        let mut echo = Self { address, threads: Vec::with_capacity(shards), cells: Arc::clone(&cells) };
        for (number, socket) in group.sockets.into_iter().enumerate() {
            echo.address = socket.local();
            socket.send_segments(segments);
            let mailbox = Arc::new(Mailbox::new(Arc::clone(&cells))?);
            let (own, cells) = (Arc::clone(&mailbox), Arc::clone(&cells));
            let work = move || serve(&[Arc::new(socket)], &own, &cells);
            echo.threads.push((mailbox, thread::Builder::new().name(format!("radmit-echo-{number}")).spawn(work)?));
        }
        Ok(echo)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What all of its threads count together.
    #[must_use]
    pub fn cells(&self) -> &ShardCells {
        &self.cells
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        for (mailbox, thread) in self.threads.drain(..) {
            mailbox.stop(Mono::default());
            // A thread that panicked has told so on stderr.
            let _ = thread.join();
        }
    }
}

fn serve(sockets: &[Arc<Socket>; 1], mailbox: &Mailbox, cells: &ShardCells) {
    let [socket] = sockets;
    let mut ready = Readiness::of([socket.descriptor(), mailbox.descriptor()]);
    let (mut inbound, mut replies) = (Inbound::new(), Replies::new());
    while mailbox.stop_at() == Mono::NEVER {
        if ready.wait(None).is_err() || !ready.is_ready(0) {
            continue;
        }
        let received = inbound.receive(socket).unwrap_or(0);
        cells.received.add(received as u64);
        for datagram in inbound.datagrams() {
            replies.send(&datagram.peer, datagram.octets);
        }
        flush(sockets, &mut replies, cells);
    }
}
