//! What one shard remembers, and what happens to a datagram around its decision: received, answered, delayed, counted.
//!
//! Owns the order of admission, duplicates and the kinds of requests. The way of an Access-Request to its decision is in
//! `pass`.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{Mono, Now},
    device::question::Questions,
    limits,
    metrics::{
        cell::Counter,
        engine::{CODES, ClientCells, ShardCells},
    },
    radius::{
        authenticator::Signature,
        checks::{Checks, Proof},
        code::Code,
        kind,
        packet::Packet,
        reply::ReplyBuffer,
    },
};

use super::{
    action::{Datagram, Outbox, Port},
    admit::{Refused, admit, check_lengths},
    arrival::{Arrival, Glimpse},
    authenticate::Macs,
    chance::Chance,
    client::Client,
    decide::RequestPlace,
    delayed::{Delayed, DelayedRejects},
    dialogue::Dialogues,
    drops::{DropLog, Dropped},
    duplicate::{DuplicateTable, RequestKey, Seen},
    event::{AccountingEvent, DropReason, Event, EventSink},
    outgoing::Outgoing,
    parked::ParkedRequests,
    parts::Parts,
    pass::Pass,
    pseudonym::Pseudonyms,
    record::claimed_nas,
    reply::echo_proxy_state,
    snapshot::Snapshot,
    work::Workers,
};

/// Everything that one shard remembers between packets.
pub(super) struct State {
    pub(super) shard: u16,
    pub(super) duplicates: DuplicateTable,
    pub(super) parked: ParkedRequests,
    pub(super) delayed: DelayedRejects,
    drops: DropLog,
    checks: Checks,
    pub(super) buffer: ReplyBuffer,
    pub(super) outgoing: Outgoing,
    pub(super) chance: Chance,
    pub(super) pseudonyms: Pseudonyms,
    sessions: u64,
    pub(super) dialogues: Arc<Dialogues>,
    pub(super) workers: Option<Arc<dyn Workers>>,
    /// Handshakes that others compute for this shard.
    pub(super) computing: usize,
    pub(super) questions: Arc<dyn Questions>,
    pub(super) events: Box<dyn EventSink>,
    pub(super) cells: Arc<ShardCells>,
    pub(super) is_draining: bool,
}

impl State {
    pub(super) fn new(parts: Parts) -> Self {
        let mut chance = Chance::new(parts.seed);
        Self {
            shard: parts.shard,
            duplicates: DuplicateTable::new(parts.room.replies),
            parked: ParkedRequests::new(parts.room.parked),
            delayed: DelayedRejects::new(parts.room.delayed),
            drops: DropLog::default(),
            checks: Checks::new(),
            buffer: ReplyBuffer::new(),
            outgoing: Outgoing::default(),
            sessions: chance.next(),
            chance,
            pseudonyms: parts.pseudonyms,
            dialogues: parts.dialogues,
            workers: parts.workers,
            computing: 0,
            questions: parts.questions,
            events: parts.events,
            cells: parts.cells,
            is_draining: false,
        }
    }

    /// Finds the clients, checks the hashes of a batch side by side, and reads ahead what will be looked up. A datagram alone
    /// is not worth it.
    pub(super) fn look<'a>(&mut self, snapshot: &Snapshot, batch: &mut [Option<Arrival<'a>>]) {
        if batch.len() < 2 {
            return;
        }
        self.checks.clear();
        let clients = self.clients(snapshot, batch);
        for (arrival, client) in batch.iter_mut().zip(clients) {
            if let (Some(arrival), Some(client)) = (arrival, client) {
                arrival.glimpse = self.glimpse(client, arrival.datagram);
            }
        }
        self.checks.run();
        for glimpse in batch.iter_mut().flatten().filter_map(|arrival| arrival.glimpse.as_mut()) {
            glimpse.proof = self.checks.proof(glimpse.number, &glimpse.packet);
        }
        self.read_ahead(snapshot, batch);
    }

    /// Each request looks for a place in the table of requests and for a device. What is read there has seldom been read
    /// lately, and one after the other all of them would wait for memory; it was half of what a request takes.
    fn read_ahead(&self, snapshot: &Snapshot, batch: &[Option<Arrival<'_>>]) {
        // Who can't sign makes us look at nothing.
        let is_plausible = |glimpse: &&Glimpse<'_>| glimpse.proof.is_some_and(|it| it.signature != Signature::Wrong);
        let glimpses = || batch.iter().flatten().filter_map(|arrival| arrival.glimpse.as_ref()).filter(is_plausible);
        self.duplicates.read_ahead(glimpses().map(|glimpse| glimpse.key));
        for server in &snapshot.servers {
            server.directory.read_ahead(glimpses().filter_map(|glimpse| {
                let client = snapshot.clients.list().get(glimpse.client as usize)?;
                glimpse.macs?.likely(client.mac_from)
            }));
        }
    }

    /// Whose the datagrams of a batch are. Each may be another's, and all are found and read ahead before the first is worked
    /// on, so that their memory is waited for at once.
    fn clients<'s>(
        &self,
        snapshot: &'s Snapshot,
        batch: &[Option<Arrival<'_>>],
    ) -> [Option<&'s Client>; limits::BATCH_DATAGRAMS] {
        let mut clients = [None; limits::BATCH_DATAGRAMS];
        for (client, arrival) in clients.iter_mut().zip(batch) {
            *client =
                arrival.as_ref().and_then(|it| snapshot.clients.find(it.datagram.peer.address.ip())).map(Arc::as_ref);
        }
        for client in clients.iter().flatten() {
            client.read_ahead(self.shard);
        }
        clients
    }

    /// What is refused later is not looked at.
    fn glimpse<'a>(&mut self, client: &Client, datagram: Datagram<'a>) -> Option<Glimpse<'a>> {
        let packet = Packet::parse(datagram.octets).ok()?;
        let number = self.checks.add(&packet, &client.secret);
        let is_plain = packet.code() == Code::ACCESS_REQUEST && !packet.has(kind::EAP_MESSAGE);
        let macs = is_plain.then(|| Macs::read(&packet));
        let key = self.duplicates.hash(&RequestKey::of(&datagram, &packet));
        Some(Glimpse { client: client.index, packet, number, proof: None, key, macs })
    }

    /// A datagram came.
    pub(super) fn receive(&mut self, snapshot: &Arc<Snapshot>, now: Now, arrival: &Arrival<'_>, out: &mut dyn Outbox) {
        let datagram = &arrival.datagram;
        let client = match &arrival.glimpse {
            Some(glimpse) => snapshot.clients.list().get(glimpse.client as usize),
            None => snapshot.clients.find(datagram.peer.address.ip()),
        };
        let refused = match (check_lengths(datagram.octets), client) {
            (Err(refused), _) => refused,
            (Ok(()), None) => DropReason::UnknownClient.into(),
            (Ok(()), Some(client)) => match self.serve(snapshot, client, now, arrival, out) {
                Ok(()) => return,
                Err(refused) => refused,
            },
        };
        self.refuse(now, datagram, client, refused);
    }

    fn serve(
        &mut self,
        snapshot: &Arc<Snapshot>,
        client: &Arc<Client>,
        now: Now,
        arrival: &Arrival<'_>,
        out: &mut dyn Outbox,
    ) -> Result<(), Refused> {
        let datagram = arrival.datagram;
        // Counted before it is checked (RFC 5080 section 2.3.5).
        if let (Some(cells), Some(code)) = (self.cells_of(client), datagram.octets.first()) {
            count_code(&cells.requests, Code(*code));
        }
        let (packet, proof, key, macs) = match arrival.glimpse {
            Some(Glimpse { packet, proof: Some(proof), key, macs, .. }) => (packet, proof, key, macs),
            _ => {
                let packet = Packet::parse(datagram.octets)?;
                let key = self.duplicates.hash(&RequestKey::of(&datagram, &packet));
                (packet, Proof::of(&packet, &client.secret), key, None)
            }
        };
        let admitted = admit(packet, datagram.port, client, proof)?;
        if packet.code() == Code::STATUS_SERVER {
            return self.answer_status(client, datagram, packet, now, out);
        }
        let fingerprint = self.duplicates.fingerprint(packet.octets());
        let ticket = match self.duplicates.admit(now, key, fingerprint) {
            Seen::InProgress => return Err(DropReason::Duplicate.into()),
            Seen::Answered(octets) => {
                out.send(&datagram.peer, octets);
                let code = Code(octets.first().copied().unwrap_or(0));
                if let Some(cells) = client.cells.get(usize::from(self.shard)) {
                    count_code(&cells.responses, code);
                }
                return Ok(());
            }
            Seen::New(ticket) => ticket,
        };
        if self.is_draining {
            self.duplicates.forget(ticket);
            return Err(DropReason::Overload.into());
        }
        let place = RequestPlace::of(&packet);
        let pass = Pass { snapshot, client, packet, peer: datagram.peer, ticket, arrived: now, place };
        if packet.code() == Code::ACCOUNTING_REQUEST {
            return self.account(pass, now, out);
        }
        self.access(pass, &admitted, macs, now, out);
        Ok(())
    }

    /// Status-Server: alive. Never stored, because the client takes a new Identifier each time (RFC 5997 section 3).
    fn answer_status(
        &mut self,
        client: &Client,
        datagram: Datagram<'_>,
        packet: Packet<'_>,
        now: Now,
        out: &mut dyn Outbox,
    ) -> Result<(), Refused> {
        if self.is_draining {
            return Err(DropReason::Overload.into());
        }
        let code = match datagram.port {
            Port::Auth => Code::ACCESS_ACCEPT,
            Port::Acct => Code::ACCOUNTING_RESPONSE,
        };
        self.buffer.start(code, packet.identifier());
        echo_proxy_state(&packet, &mut self.buffer).map_err(|_| Refused::from(DropReason::Overload))?;
        if let Some(cells) = client.cells.get(usize::from(self.shard)) {
            count_code(&cells.responses, code);
        }
        let way = (datagram.peer, None, None);
        if self.outgoing.add(&mut self.buffer, packet.authenticator(), &client.secret, way) {
            self.send_signed(now, out);
        }
        Ok(())
    }

    /// Acknowledges an accounting record once the log has taken it (RFC 2866 section 2), and not otherwise.
    fn account(&mut self, pass: Pass<'_>, now: Now, out: &mut dyn Outbox) -> Result<(), Refused> {
        // Without Message-Authenticator: widely deployed clients (FreeRADIUS 3.2's radclient among them) hash it here with
        // zeros instead of the request's authenticator (RFC 3579 section 3.2) and drop the right one. The response
        // authenticator protects this reply, because an Accounting-Request is authenticated itself.
        self.buffer.start_unsigned(Code::ACCOUNTING_RESPONSE, pass.packet.identifier());
        if echo_proxy_state(&pass.packet, &mut self.buffer).is_err() {
            // Without a reply the record would come again, and stand in the log twice.
            self.duplicates.forget(pass.ticket);
            return Err(DropReason::Overload.into());
        }
        let event = AccountingEvent {
            now,
            client: &pass.client.name,
            peer: pass.peer.address.ip(),
            request: pass.packet,
            dictionary: &pass.snapshot.dictionary,
        };
        if !self.events.tell(&Event::Accounting(&event)) {
            self.cells.events_lost.increment_own();
            // Forgotten, so that the retransmission is taken as new.
            self.duplicates.forget(pass.ticket);
            return Err(DropReason::Overload.into());
        }
        self.send(pass, now, out);
        Ok(())
    }

    /// Sends the reply in the buffer with this batch, and stores it for repeats; unless nobody waits for it any more.
    pub(super) fn send(&mut self, pass: Pass<'_>, now: Now, out: &mut dyn Outbox) {
        if self.drop_superseded(pass) {
            return;
        }
        if let Some(cells) = pass.client.cells.get(usize::from(self.shard)) {
            count_code(&cells.responses, self.buffer.code());
        }
        self.leave(pass, None, now, out);
    }

    /// Gives a request up whose Identifier the client has used again meanwhile, and counts it. `false`: it is still wanted.
    pub(super) fn drop_superseded(&self, pass: Pass<'_>) -> bool {
        let is_superseded = self.duplicates.is_superseded(pass.ticket);
        if is_superseded {
            self.count_drop(Some(pass.client), DropReason::Duplicate);
            self.update_inflight();
        }
        is_superseded
    }

    fn leave(&mut self, pass: Pass<'_>, delay: Option<(Mono, Arc<Client>)>, now: Now, out: &mut dyn Outbox) {
        let way = (pass.peer, Some(pass.ticket), delay);
        if self.outgoing.add(&mut self.buffer, pass.packet.authenticator(), &pass.client.secret, way) {
            self.send_signed(now, out);
        }
    }

    /// Signs the replies of this batch; each is then sent, or delayed.
    fn send_signed(&mut self, now: Now, out: &mut dyn Outbox) {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        outgoing.sign(|waiting, octets| match (waiting.delay, waiting.ticket) {
            (Some((due, client)), Some(ticket)) => {
                if let Some(early) = self.delayed.push(due, waiting.peer, ticket, client, octets) {
                    self.release(early, now, out);
                }
            }
            (_, ticket) => {
                // It was wanted when it was decided. A request of the same batch that has replaced it since comes after
                // it, as if each had come alone.
                out.send(&waiting.peer, octets);
                if let Some(ticket) = ticket {
                    self.duplicates.answer(now, ticket, octets);
                }
            }
        });
        self.outgoing = outgoing;
    }

    /// Keeps the reject in the buffer until arrival plus delay, with up to a fifth of jitter, but not beyond the deadline
    /// of the decision.
    pub(super) fn delay(&mut self, pass: Pass<'_>, now: Now, out: &mut dyn Outbox) {
        let delay = pass.snapshot.reject_delay;
        let jitter = Duration::from_nanos(
            self.chance.below(u64::try_from((delay / 5).as_nanos()).unwrap_or(u64::MAX).saturating_add(1)),
        );
        let latest = pass.arrived.mono.plus(pass.client.decision_deadline);
        let due = pass.arrived.mono.plus(delay).plus(jitter).min(latest);
        if due <= now.mono || self.is_draining {
            return self.send(pass, now, out);
        }
        self.leave(pass, Some((due, Arc::clone(pass.client))), now, out);
    }

    /// Sends the rejects whose delay is over.
    pub(super) fn release_rejects(&mut self, now: Now, out: &mut dyn Outbox) {
        let until = if self.is_draining { Mono::NEVER } else { now.mono };
        while let Some(delayed) = self.delayed.pop_due(until) {
            self.release(delayed, now, out);
        }
        self.drops.tell_if_due(now, &mut *self.events);
        self.sweep_dialogues(now);
    }

    fn release(&mut self, delayed: Delayed, now: Now, out: &mut dyn Outbox) {
        if self.duplicates.answer(now, delayed.ticket, &delayed.octets) {
            out.send(&delayed.peer, &delayed.octets);
            if let Some(cells) = delayed.client.cells.get(usize::from(self.shard)) {
                count_code(&cells.responses, Code::ACCESS_REJECT);
            }
        } else {
            self.count_drop(Some(&delayed.client), DropReason::Duplicate);
        }
        self.delayed.recycle(delayed);
        self.update_inflight();
    }

    /// The batch is over.
    pub(super) fn end(&mut self, now: Now, out: &mut dyn Outbox) {
        self.send_signed(now, out);
        self.events.flush(now);
        self.update_inflight();
    }

    pub(super) fn wake_at(&self) -> Mono {
        let parked = self.parked.wake_at().unwrap_or(Mono::NEVER);
        let delayed = self.delayed.next_due().unwrap_or(Mono::NEVER);
        parked.min(delayed).min(self.dialogues.sweep_at()).min(self.drops.wake_at().unwrap_or(Mono::NEVER))
    }

    /// A session id that no other shard and no earlier run gives: random once, then counted.
    pub(super) fn session(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        let (random, counted) = id.split_at_mut(8);
        random.copy_from_slice(&self.sessions.to_be_bytes());
        counted.copy_from_slice(&self.chance.next().to_be_bytes());
        self.sessions = self.sessions.wrapping_add(1);
        id
    }

    fn refuse(&mut self, now: Now, datagram: &Datagram<'_>, client: Option<&Arc<Client>>, refused: Refused) {
        self.count_drop(client, refused.reason);
        let dropped = Dropped {
            reason: refused.reason,
            detail: refused.detail,
            peer: datagram.peer.address.ip(),
            client: client.map(|client| (client.index, &*client.name)),
            nas_ip: claimed_nas(datagram.octets),
        };
        self.drops.count(now, dropped, &mut *self.events);
    }

    /// Drops a request for which there is no room, as if it had never come: its repeat is taken as new.
    pub(super) fn shed(&mut self, pass: Pass<'_>, now: Now) {
        self.duplicates.forget(pass.ticket);
        let datagram = Datagram { octets: pass.packet.octets(), peer: pass.peer, port: Port::Auth };
        self.refuse(now, &datagram, Some(pass.client), DropReason::Overload.into());
    }

    pub(super) fn count_drop(&self, client: Option<&Arc<Client>>, reason: DropReason) {
        let cells = client.map_or(Some(&self.cells.strangers), |client| self.cells_of(client));
        if let Some(cell) = cells.and_then(|cells| cells.drops.get(reason as usize)) {
            cell.increment_own();
        }
    }

    pub(super) fn cells_of<'c>(&self, client: &'c Client) -> Option<&'c ClientCells> {
        client.cells.get(usize::from(self.shard))
    }

    pub(super) fn update_inflight(&self) {
        self.cells
            .inflight
            .set(i64::try_from(self.parked.len() + self.delayed.len() + self.computing).unwrap_or(i64::MAX));
    }
}

/// Counts a packet by its code, if it is one that is counted by name.
fn count_code(cells: &[Counter; CODES.len()], code: Code) {
    let at = match code {
        Code::ACCESS_REQUEST => 0,
        Code::ACCESS_ACCEPT => 1,
        Code::ACCESS_REJECT => 2,
        Code::ACCOUNTING_REQUEST => 3,
        Code::ACCOUNTING_RESPONSE => 4,
        Code::ACCESS_CHALLENGE => 5,
        Code::STATUS_SERVER => 6,
        _ => return,
    };
    cells[at].increment_own();
}
