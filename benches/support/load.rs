//! Load over loopback: requests that are always in flight, and the check of every answer.
//!
//! Owns the generator. It sends and receives with the server's own batches, signs before a round and checks after it, so that
//! it is not the slower side even of an echo; `radmit::bench` does both on the way, as a switch has to.

#![allow(dead_code, reason = "each bench uses its part")]

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use radmit::{
    clock::{self, Mono},
    engine::{
        action::{Outbox, Peer, Port, Route},
        chance::Chance,
    },
    limits,
    metrics::udp::ShardCells,
    radius::{code::Code, kind, packet::Packet, request::verify_reply, secret::Secret},
    udp::{
        batch::Inbound,
        flush::flush,
        replies::Replies,
        socket::{Socket, bind_group},
    },
};

use super::{nas, process};

/// Source ports; each has 256 Identifiers.
const SOCKETS: usize = 8;
/// Different requests for one port and Identifier: 131,072 in all, which is twice what four shards keep replies for.
const VARIANTS: usize = 64;
const IDENTIFIERS: usize = 256;
/// After this a request counts as lost.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether an answer is the right one to a request.
pub(crate) type Check = fn(request: &[u8], reply: &[u8], secret: &Secret) -> bool;

pub(crate) fn is_echoed(request: &[u8], reply: &[u8], _: &Secret) -> bool {
    request == reply
}

/// A signed accept into VLAN 20.
pub(crate) fn is_accepted(request: &[u8], reply: &[u8], secret: &Secret) -> bool {
    let (Ok(request), Ok(reply)) = (Packet::parse(request), Packet::parse(reply)) else { return false };
    reply.code() == Code::ACCESS_ACCEPT
        && reply.message_authenticator().is_some()
        && reply.first(kind::TUNNEL_PRIVATE_GROUP_ID) == Some(b"20")
        && verify_reply(&reply, &request, secret).is_ok()
}

/// What one server did in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    elapsed: Duration,
    cpu: Duration,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.count() / self.elapsed.as_secs_f64()
    }

    /// CPU time of the server's threads for one request, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.count()
    }

    fn count(&self) -> f64 {
        f64::from(u32::try_from(self.answered).expect("a round is shorter than an hour"))
    }
}

/// Makes the load.
pub(crate) struct Generator {
    sockets: Vec<Arc<Socket>>,
    /// Where requests come from, in turn.
    sources: Vec<IpAddr>,
    secret: Secret,
    /// By socket, variant and Identifier.
    requests: Vec<Vec<u8>>,
    slots: Vec<Slot>,
    /// Each of the sockets' next place in its turn through variants and Identifiers.
    next: Vec<usize>,
    /// The same for each server that was loaded before: it goes on where it was, so that nothing comes twice while a
    /// server could still have the reply.
    left_off: HashMap<SocketAddr, Vec<usize>>,
    in_flight: Vec<usize>,
    window: usize,
    out: Replies,
    inbound: Inbound,
    cells: ShardCells,
    kept: Kept,
    checked: u64,
}

/// What is in flight for one socket and Identifier: which request, since when.
#[derive(Clone, Copy, Default)]
struct Slot(Option<(usize, Mono)>);

/// Answers to check after the round, because checking costs as much as serving.
#[derive(Default)]
struct Kept {
    octets: Vec<u8>,
    /// The request, and where its answer ends.
    ends: Vec<(usize, usize)>,
}

impl Generator {
    /// `window`: requests in flight, at most 256 for each of the eight sockets; `devices`: of the fleet.
    ///
    /// # Errors
    /// What the system says about sockets.
    pub(crate) fn new(window: usize, devices: u64) -> io::Result<Self> {
        Self::with_sources(window, devices, &[Ipv4Addr::LOCALHOST])
    }

    /// The same from many addresses of the loopback network, in turn.
    ///
    /// # Errors
    /// What the system says about sockets.
    pub(crate) fn with_sources(window: usize, devices: u64, sources: &[Ipv4Addr]) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for number in 0..SOCKETS {
            let place = u16::try_from(number).expect("there are few");
            // A socket of the wildcard may send from any address of the machine, which all of 127.0.0.0/8 are.
            let address = if sources.len() > 1 { Ipv4Addr::UNSPECIFIED } else { sources[0] };
            let address = (address, 0).into();
            let group = bind_group(place, Port::Auth, address, 1, limits::SOCKET_RECEIVE_OCTETS)?;
            sockets.extend(group.sockets.into_iter().map(Arc::new));
        }
        let secret = nas::secret();
        let mut switch = nas::Switch::new(1);
        let mut chance = Chance::new(devices);
        let requests = (0..SOCKETS * VARIANTS * IDENTIFIERS)
            .map(|number| {
                let identifier = u8::try_from(number % IDENTIFIERS).expect("there are 256");
                switch.mac_bypass(identifier, nas::mac(chance.below(devices)), &secret).to_vec()
            })
            .collect();
        Ok(Self {
            sockets,
            sources: sources.iter().map(|source| IpAddr::V4(*source)).collect(),
            secret,
            requests,
            slots: vec![Slot::default(); SOCKETS * IDENTIFIERS],
            next: vec![0; SOCKETS],
            left_off: HashMap::new(),
            in_flight: vec![0; SOCKETS],
            window: window.clamp(SOCKETS, SOCKETS * IDENTIFIERS) / SOCKETS,
            out: Replies::new(),
            inbound: Inbound::new(),
            cells: ShardCells::default(),
            kept: Kept::default(),
            checked: 0,
        })
    }

    /// Requests in flight.
    pub(crate) fn window(&self) -> usize {
        self.window * SOCKETS
    }

    /// How many answers were right so far, those from before the time was taken included.
    pub(crate) fn checked(&self) -> u64 {
        self.checked
    }

    /// One round: loads `server` until `duration` has passed, then waits for the last answers.
    ///
    /// `cpu_time`: what the server has used so far.
    pub(crate) fn run(
        &mut self,
        server: SocketAddr,
        cpu_time: &dyn Fn() -> Duration,
        duration: Duration,
        check: Check,
    ) -> Measured {
        self.next = self.left_off.get(&server).cloned().unwrap_or_else(|| vec![0; SOCKETS]);
        // Caches, pages and branch predictors are the server's before its time is taken.
        self.turn(server, duration / 10);
        self.drain();
        self.check_all(check);
        let (began, cpu) = (clock::now().mono, cpu_time());
        self.turn(server, duration);
        let lost = self.drain();
        self.left_off.insert(server, self.next.clone());
        let measured = Measured {
            answered: self.kept.ends.len() as u64,
            lost,
            elapsed: clock::now().mono.since(began),
            cpu: cpu_time().saturating_sub(cpu),
        };
        self.check_all(check);
        measured
    }

    /// The same with a generator of its own on each of these cores, all at once: what they measured together.
    ///
    /// A generator that has nothing to do leaves its core to whoever shares it.
    pub(crate) fn run_together(
        generators: &mut [(&mut Self, u32)],
        server: SocketAddr,
        cpu_time: &dyn Fn() -> Duration,
        duration: Duration,
        check: Check,
    ) -> Measured {
        let each = |generators: &mut [(&mut Self, u32)], work: &(dyn Fn(&mut Self) -> u64 + Sync)| -> u64 {
            std::thread::scope(|scope| {
                let running: Vec<_> = generators
                    .iter_mut()
                    .map(|(generator, core)| {
                        let core = *core;
                        scope.spawn(move || {
                            assert!(process::pin_own_thread(core), "threads can be given their cores");
                            work(generator)
                        })
                    })
                    .collect();
                running.into_iter().map(|thread| thread.join().expect("every answer is right")).sum()
            })
        };
        for (generator, _) in &mut *generators {
            generator.next = generator.left_off.get(&server).cloned().unwrap_or_else(|| vec![0; SOCKETS]);
        }
        each(generators, &|generator| {
            generator.turn(server, duration / 10);
            generator.drain()
        });
        generators.iter_mut().for_each(|(generator, _)| generator.check_all(check));
        let (began, cpu) = (clock::now().mono, cpu_time());
        let lost = each(generators, &|generator| {
            generator.turn(server, duration);
            generator.drain()
        });
        let measured = Measured {
            answered: generators.iter().map(|(generator, _)| generator.kept.ends.len() as u64).sum(),
            lost,
            elapsed: clock::now().mono.since(began),
            cpu: cpu_time().saturating_sub(cpu),
        };
        for (generator, _) in generators {
            generator.left_off.insert(server, generator.next.clone());
            generator.check_all(check);
        }
        measured
    }

    fn turn(&mut self, server: SocketAddr, duration: Duration) {
        let end = clock::now().mono.plus(duration);
        loop {
            let now = clock::now().mono;
            if now >= end {
                break;
            }
            let mut is_idle = true;
            for socket in 0..SOCKETS {
                is_idle &= !self.fill(socket, server, now);
                flush(&self.sockets, &mut self.out, &self.cells);
                is_idle &= !self.receive(socket);
            }
            if is_idle {
                std::thread::yield_now();
            }
        }
    }

    /// Returns whether there was anything to send.
    fn fill(&mut self, socket: usize, server: SocketAddr, now: Mono) -> bool {
        let mut is_any = false;
        let listener = u16::try_from(socket).expect("there are few");
        for _ in self.in_flight[socket]..self.window {
            let place = self.next[socket];
            let slot = &mut self.slots[socket * IDENTIFIERS + place % IDENTIFIERS];
            if slot.0.is_some() {
                break;
            }
            let number = socket * VARIANTS * IDENTIFIERS + place;
            *slot = Slot(Some((number, now)));
            let local = Some(self.sources[number % self.sources.len()]);
            let to = Peer { address: server, route: Route { listener, local, interface: 0 } };
            self.out.send(&to, &self.requests[number]);
            self.next[socket] = (place + 1) % (VARIANTS * IDENTIFIERS);
            self.in_flight[socket] += 1;
            is_any = true;
        }
        is_any
    }

    /// Returns whether anything came.
    fn receive(&mut self, socket: usize) -> bool {
        let mut is_any = false;
        // What can't be received now is asked for again in the next turn, or counts as lost.
        let _ = self.inbound.receive(&self.sockets[socket]);
        for datagram in self.inbound.datagrams() {
            is_any = true;
            let Some(identifier) = datagram.octets.get(1) else { continue };
            let slot = &mut self.slots[socket * IDENTIFIERS + usize::from(*identifier)];
            let Some((number, _)) = slot.0.take() else { continue };
            self.in_flight[socket] -= 1;
            self.kept.octets.extend_from_slice(datagram.octets);
            self.kept.ends.push((number, self.kept.octets.len()));
        }
        is_any
    }

    /// Waits for what is in flight; returns how many never came.
    fn drain(&mut self) -> u64 {
        let until = clock::now().mono.plus(PATIENCE);
        while self.in_flight.iter().any(|count| *count > 0) && clock::now().mono < until {
            let is_any = (0..SOCKETS).map(|socket| self.receive(socket)).fold(false, |any, some| any | some);
            if !is_any {
                std::thread::yield_now();
            }
        }
        let lost: usize = self.in_flight.iter().sum();
        self.in_flight.fill(0);
        self.slots.fill(Slot::default());
        lost as u64
    }

    fn check_all(&mut self, check: Check) {
        let mut start = 0;
        for (number, end) in self.kept.ends.drain(..) {
            let (request, reply) = (&self.requests[number], &self.kept.octets[start..end]);
            assert!(check(request, reply, &self.secret), "a wrong answer: {reply:02x?}");
            start = end;
            self.checked += 1;
        }
        self.kept.octets.clear();
    }
}
