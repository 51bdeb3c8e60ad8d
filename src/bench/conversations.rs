//! EAP-TLS conversations of one thread, without its sockets: devices that shake hands one after the other.
//!
//! Owns conversations from their first packet until the device is let in, turned away, or given up. Each has a source port
//! of its own. What a device says stands in `supplicant`.

use std::sync::Arc;

use crate::{
    clock::Mono,
    device::identifier::MacAddress,
    engine::{action::Outbox, chance::Chance},
    radius::{error::Full, kind, packet::Packet},
    supplicant::{Peer, Supplicant, Turn},
};

use super::{
    devices::Draw,
    judge::{is_anybodys, judge},
    plan::Plan,
    request::{Authenticators, Requests},
    schedule::Pace,
    tally::{Loss, Second, Verdict},
    work::{Ended, Ledger, Share, Work, peer},
};

/// One thread's share of a run.
pub(super) struct Conversations {
    plan: Arc<Plan>,
    supplicants: Arc<[Supplicant]>,
    requests: Requests,
    authenticators: Authenticators,
    draw: Draw,
    chance: Chance,
    ledger: Ledger,
    share: Share,
    /// By source port.
    slots: Vec<Slot>,
    /// Conversations of this share at once.
    window: usize,
    open: usize,
    /// Measured conversations that may still begin.
    left: u64,
    is_over: bool,
}

#[derive(Default)]
struct Slot {
    talk: Option<Talk>,
    /// Of its last request.
    identifier: u8,
    refused_at: Option<Mono>,
}

/// A conversation that is under way.
struct Talk {
    device: Peer,
    name: Vec<u8>,
    number: u64,
    mac: MacAddress,
    began: Mono,
    is_measured: bool,
    authenticator: [u8; 16],
    /// The present request, to be sent again as it is.
    octets: Vec<u8>,
    sent: Mono,
    deadline: Mono,
    retransmissions: u32,
    is_repeated: bool,
    disbelieved: Option<Loss>,
}

/// What follows from an answer.
enum Step {
    /// The device goes on.
    Next {
        eap: Vec<u8>,
        state: Option<Vec<u8>>,
    },
    End(Verdict),
    Lost(Loss),
}

impl Conversations {
    /// `start`: the same for all threads.
    pub(super) fn new(
        plan: Arc<Plan>,
        supplicants: Arc<[Supplicant]>,
        share: Share,
        start: Mono,
    ) -> Result<Self, Full> {
        let [first, second, third] = share.seeds;
        let window = match plan.pace {
            Pace::Window(window) => usize::try_from(share.part(window as u64)).unwrap_or(window),
            Pace::Steady(_) | Pace::Storm { .. } => share.sockets,
        };
        Ok(Self {
            requests: Requests::with_eap(Arc::clone(&plan.secret), share.nas, &plan.attributes)?,
            supplicants,
            authenticators: Authenticators::new([first, second]),
            draw: Draw::new(plan.distribution, plan.devices.count()),
            chance: Chance::new(third),
            ledger: Ledger::new(&plan, start),
            slots: (0..share.sockets).map(|_| Slot::default()).collect(),
            window: window.min(share.sockets),
            share,
            open: 0,
            left: share.part(plan.count.unwrap_or(u64::MAX)),
            is_over: false,
            plan,
        })
    }

    fn begin(&mut self, now: Mono, socket: usize, is_measured: bool, out: &mut dyn Outbox) {
        let number = self.idle_device();
        let place = usize::try_from(number % (self.supplicants.len() as u64).max(1)).unwrap_or(0);
        let Some(supplicant) = self.supplicants.get(place) else { return };
        let Ok(device) = supplicant.begin() else {
            if is_measured {
                self.ledger.skipped(now, Loss::Device);
            }
            return;
        };
        let eap = device.identity(1);
        let talk = Talk {
            device,
            name: supplicant.identity().to_vec(),
            number,
            mac: self.plan.devices.mac(number),
            began: now,
            is_measured,
            authenticator: [0; 16],
            octets: Vec::new(),
            sent: now,
            deadline: now,
            retransmissions: 0,
            is_repeated: false,
            disbelieved: None,
        };
        if is_measured {
            self.ledger.sent(now, now);
        }
        self.open += 1;
        self.send(now, socket, talk, &eap, None, out);
    }

    /// A device that is in no conversation: one that begins anew has given up the one before, and servers know that.
    fn idle_device(&mut self) -> u64 {
        let (of_thread, of) = (self.share.number as u64, self.share.of as u64);
        // Threads don't know of each other, so each has devices of its own.
        let count = self.share.part(self.plan.devices.count()).max(1);
        let drawn = self.draw.next(&mut self.chance) % count;
        let numbers = (0..count).map(|step| (drawn + step) % count * of + of_thread);
        let is_idle = |number: &u64| self.slots.iter().flat_map(|slot| &slot.talk).all(|talk| talk.number != *number);
        // There are as many devices as conversations at once, so that one is idle.
        numbers.take(self.window).find(is_idle).unwrap_or(drawn * of + of_thread)
    }

    /// Sends the next request of a conversation.
    fn send(
        &mut self,
        now: Mono,
        socket: usize,
        mut talk: Talk,
        eap: &[u8],
        state: Option<&[u8]>,
        out: &mut dyn Outbox,
    ) {
        let Some(slot) = self.slots.get_mut(socket) else { return };
        slot.identifier = slot.identifier.wrapping_add(1);
        talk.authenticator = self.authenticators.draw();
        let written = self.requests.write_eap(slot.identifier, &talk.authenticator, talk.mac, &talk.name, eap, state);
        let Ok(octets) = written else {
            slot.talk = Some(talk);
            self.lose(socket, Loss::SendFailed);
            return;
        };
        talk.octets.clear();
        talk.octets.extend_from_slice(octets);
        (talk.sent, talk.deadline) = (now, now.plus(self.plan.timeout));
        (talk.retransmissions, talk.disbelieved) = (0, None);
        out.send(&peer(&self.plan, socket), &talk.octets);
        slot.talk = Some(talk);
    }

    /// Frees a source port; gives its conversation if it counts.
    fn close(&mut self, socket: usize) -> Option<Talk> {
        let talk = self.slots.get_mut(socket)?.talk.take()?;
        self.open -= 1;
        Some(talk).filter(|talk| talk.is_measured)
    }

    fn ended(&mut self, now: Mono, socket: usize, verdict: Verdict) {
        if let Some(talk) = self.close(socket) {
            self.ledger.answered(now, talk.began, verdict);
            self.ledger.tally.answered_after_retransmission += u64::from(talk.is_repeated);
        }
    }

    fn lose(&mut self, socket: usize, cause: Loss) {
        if self.close(socket).is_some() {
            self.ledger.lost(cause);
        }
    }

    /// A free source port, if another conversation may begin.
    fn free(&self) -> Option<usize> {
        if self.open >= self.window {
            return None;
        }
        self.slots.iter().position(|slot| slot.talk.is_none())
    }
}

/// What the device does with an authentic answer.
fn follow(device: &mut Peer, verdict: Verdict, octets: &[u8]) -> Step {
    let Ok(reply) = Packet::parse(octets) else { return Step::Lost(Loss::Malformed) };
    let mut eap = Vec::new();
    reply.join(kind::EAP_MESSAGE, &mut eap);
    match (verdict, device.take(&eap)) {
        (Verdict::Challenge, Ok(Turn::Respond(eap))) => {
            Step::Next { eap, state: reply.first(kind::STATE).map(<[u8]>::to_vec) }
        }
        (Verdict::Accept, Ok(Turn::Success)) => Step::End(Verdict::Accept),
        // The device has turned the server away, so that it is not the server's decision.
        (Verdict::Reject, _) if device.error().is_some_and(is_own) => Step::Lost(Loss::Device),
        (Verdict::Reject, Ok(Turn::Failure)) => Step::End(Verdict::Reject),
        _ => Step::Lost(Loss::Unexpected),
    }
}

/// Whether it was the device that did not like something. An alert is what the server did not like.
const fn is_own(error: &rustls::Error) -> bool {
    !matches!(error, rustls::Error::AlertReceived(_))
}

impl Work for Conversations {
    fn offer(&mut self, now: Mono, out: &mut dyn Outbox) {
        // One at a time: to begin one takes long enough for answers to others to arrive.
        if self.is_over || now < self.ledger.start {
            return;
        }
        if now >= self.ledger.end || (self.left == 0 && self.ledger.counts(now)) {
            self.is_over = true;
            return;
        }
        let Some(socket) = self.free() else { return };
        let is_measured = self.ledger.counts(now);
        if is_measured {
            self.left -= 1;
            self.ledger.tally.due += 1;
        }
        self.begin(now, socket, is_measured, out);
    }

    fn expire(&mut self, now: Mono, out: &mut dyn Outbox) {
        for socket in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(socket) else { return };
            let refused_at = slot.refused_at;
            let Some(talk) = slot.talk.as_mut().filter(|talk| talk.deadline <= now) else { continue };
            if talk.retransmissions < self.plan.retries {
                talk.retransmissions += 1;
                talk.is_repeated = true;
                talk.deadline = now.plus(self.plan.timeout);
                self.ledger.tally.retransmitted += u64::from(talk.is_measured);
                out.send(&peer(&self.plan, socket), &talk.octets);
                continue;
            }
            let was_refused = refused_at.is_some_and(|at| at >= talk.sent);
            let silence = if was_refused { Loss::Refused } else { Loss::NoAnswer };
            let cause = talk.disbelieved.unwrap_or(silence);
            self.lose(socket, cause);
        }
    }

    fn receive(&mut self, now: Mono, socket: usize, octets: &[u8], out: &mut dyn Outbox) {
        let Some(slot) = self.slots.get_mut(socket) else { return };
        let is_present = octets.get(1) == Some(&slot.identifier);
        let Some(mut talk) = slot.talk.take_if(|_| is_present) else {
            // Mostly the second answer to a request that was sent twice.
            self.ledger.tally.late += u64::from(self.ledger.counts(now));
            return;
        };
        let step = match judge(octets, &talk.authenticator, &self.plan) {
            Ok(verdict) => {
                if talk.is_measured {
                    self.ledger.tally.service.record(now.since(talk.sent));
                }
                let step = follow(&mut talk.device, verdict, octets);
                if let Step::Lost(cause @ (Loss::Unexpected | Loss::Malformed)) = step
                    && talk.is_measured
                {
                    self.ledger.tally.disbelieved.count(cause);
                }
                step
            }
            Err(cause) => {
                if talk.is_measured {
                    self.ledger.tally.disbelieved.count(cause);
                }
                talk.disbelieved = Some(cause);
                if is_anybodys(cause) {
                    slot.talk = Some(talk);
                    return;
                }
                Step::Lost(cause)
            }
        };
        match step {
            Step::Next { eap, state } => self.send(now, socket, talk, &eap, state.as_deref(), out),
            Step::End(verdict) => {
                slot.talk = Some(talk);
                self.ended(now, socket, verdict);
            }
            Step::Lost(cause) => {
                slot.talk = Some(talk);
                self.lose(socket, cause);
            }
        }
    }

    fn refused(&mut self, now: Mono, socket: usize) {
        if let Some(slot) = self.slots.get_mut(socket) {
            slot.refused_at = Some(now);
            self.ledger.tally.refusals += 1;
        }
    }

    fn unsent(&mut self, socket: usize, identifier: u8) {
        if self.slots.get(socket).is_some_and(|slot| slot.identifier == identifier) {
            self.lose(socket, Loss::SendFailed);
        }
    }

    fn take_second(&mut self, now: Mono) -> Option<Second> {
        self.ledger.take_second(now, self.open)
    }

    fn stop(&mut self) {
        self.is_over = true;
    }

    fn is_finished(&self) -> bool {
        self.is_over && self.open == 0
    }

    fn wake_at(&self, now: Mono) -> Mono {
        let deadlines = self.slots.iter().filter_map(|slot| Some(slot.talk.as_ref()?.deadline));
        let at = deadlines.fold(self.ledger.end_of_second(), Mono::min);
        match (self.is_over, self.free()) {
            (true, _) => at,
            (false, Some(_)) => at.min(now.max(self.ledger.start)),
            (false, None) => at.min(self.ledger.end),
        }
    }

    fn finish(self: Box<Self>) -> Ended {
        self.ledger.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use rustls::pki_types::PrivateKeyDer;

    use super::*;
    use crate::{
        bench::devices::{Devices, Distribution},
        engine::action,
        radius::{code::Code, reply::ReplyBuffer, secret::Secret},
        supplicant::{Credentials, Versions},
    };

    #[derive(Default)]
    struct Sent(Vec<(usize, Vec<u8>)>);

    impl Outbox for Sent {
        fn send(&mut self, to: &action::Peer, octets: &[u8]) {
            self.0.push((to.route.listener.into(), octets.to_vec()));
        }
    }

    struct Toy {
        talks: Conversations,
        sent: Sent,
    }

    fn secret() -> Arc<Secret> {
        Arc::new(Secret::new(b"a secret for the toy".to_vec()).unwrap())
    }

    fn supplicant() -> Supplicant {
        let made = rcgen::generate_simple_self_signed(["device".to_owned()]).unwrap();
        let chain = vec![made.cert.der().clone()];
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let (identity, roots) = (b"anonymous".to_vec(), chain.clone());
        let versions = Versions::Both;
        Supplicant::new(Credentials { identity, chain, key, roots, server_name: None, versions }).unwrap()
    }

    impl Toy {
        fn new(conversations: usize, count: u64) -> Self {
            let supplicants: Arc<[Supplicant]> = Arc::from([supplicant()]);
            let first = MacAddress::new([0xa4, 0xc3, 0, 0, 0, 0]);
            let plan = Plan {
                pace: Pace::Window(conversations),
                count: Some(count),
                timeout: Duration::from_millis(100),
                retries: 1,
                devices: Devices::Counted { first, count: conversations as u64 },
                distribution: Distribution::Zipf(2.0),
                eap_tls: Some(Arc::clone(&supplicants)),
                ..Plan::new(([127, 0, 0, 1], 1812).into(), secret())
            };
            plan.check().unwrap();
            let share = Share { number: 0, of: 1, sockets: plan.sockets, nas: [127, 0, 0, 1].into(), seeds: [1, 2, 3] };
            let talks = Conversations::new(Arc::new(plan), supplicants, share, Mono::default()).unwrap();
            Self { talks, sent: Sent::default() }
        }

        fn at(&mut self, millis: u64) -> Vec<(usize, Vec<u8>)> {
            let now = Mono::default().plus(Duration::from_millis(millis));
            self.talks.expire(now, &mut self.sent);
            (0..10).for_each(|_| self.talks.offer(now, &mut self.sent));
            std::mem::take(&mut self.sent.0)
        }

        fn answer(&mut self, request: &(usize, Vec<u8>), code: Code, eap: &[u8]) {
            let packet = Packet::parse(&request.1).unwrap();
            let mut buffer = ReplyBuffer::new();
            buffer.start(code, packet.identifier());
            buffer.push_long(kind::EAP_MESSAGE, eap).unwrap();
            buffer.push(kind::STATE, b"state").unwrap();
            let octets = buffer.sign(packet.authenticator(), &secret()).to_vec();
            self.talks.receive(Mono::default(), request.0, &octets, &mut self.sent);
        }

        fn losses(&self) -> [u64; 3] {
            [Loss::NoAnswer, Loss::Unexpected, Loss::Device].map(|cause| self.talks.ledger.tally.lost.of(cause))
        }
    }

    #[test]
    fn no_device_is_in_two_conversations_and_each_has_its_port() {
        let mut toy = Toy::new(5, 100);
        let sent = toy.at(0);
        let stations: BTreeSet<Vec<u8>> = sent
            .iter()
            .filter_map(|(_, octets)| {
                Packet::parse(octets).unwrap().first(kind::CALLING_STATION_ID).map(<[u8]>::to_vec)
            })
            .collect();
        let ports: BTreeSet<usize> = sent.iter().map(|(socket, _)| *socket).collect();
        assert_eq!((sent.len(), stations.len(), ports.len()), (5, 5, 5));
    }

    #[test]
    fn silence_is_answered_by_the_same_octets_and_then_lost() {
        let mut toy = Toy::new(1, 1);
        let first = toy.at(0);
        assert_eq!(toy.at(100), first);
        assert_eq!(toy.at(200), []);
        assert!(toy.talks.is_finished());
        assert_eq!((toy.losses(), toy.talks.ledger.tally.retransmitted), ([1, 0, 0], 1));
    }

    #[test]
    fn the_state_comes_back_with_the_next_packet() {
        let mut toy = Toy::new(1, 1);
        let first = toy.at(0);
        toy.answer(&first[0], Code::ACCESS_CHALLENGE, &[1, 2, 0, 6, 13, 0x20]);
        let next = std::mem::take(&mut toy.sent.0);
        let packet = Packet::parse(&next[0].1).unwrap();
        assert_eq!(packet.first(kind::STATE), Some(&b"state"[..]));
        assert!(packet.authenticator() != Packet::parse(&first[0].1).unwrap().authenticator());
        assert_eq!(packet.first(kind::EAP_MESSAGE).and_then(|eap| eap.first()), Some(&2));
    }

    #[test]
    fn an_accept_before_tls_is_done_is_no_success() {
        let mut toy = Toy::new(1, 1);
        let first = toy.at(0);
        toy.answer(&first[0], Code::ACCESS_ACCEPT, &[3, 2, 0, 4]);
        let tally = &toy.talks.ledger.tally;
        assert_eq!((toy.losses(), tally.answered(), tally.wrong_answers()), ([0, 1, 0], 0, 1));
    }

    #[test]
    fn a_reject_is_an_answer() {
        let mut toy = Toy::new(1, 1);
        let first = toy.at(0);
        toy.answer(&first[0], Code::ACCESS_REJECT, &[4, 2, 0, 4]);
        assert_eq!((toy.losses(), toy.talks.ledger.tally.answers(Verdict::Reject)), ([0, 0, 0], 1));
        toy.at(1);
        assert!(toy.talks.is_finished());
    }
}
