//! EAP-TLS conversations of one thread, without its sockets: devices that shake hands.
//!
//! Owns conversations from the moment they are due until the device is let in, turned away, or given up. One has a single
//! request under way at a time, always from the same source port. What a device says stands in `supplicant`.

use std::{collections::HashSet, sync::Arc};

use crate::{
    clock::Mono,
    device::identifier::MacAddress,
    engine::{action::Outbox, chance::Chance},
    radius::{error::Full, kind, packet::Packet},
    supplicant::{Peer, Supplicant, Turn},
};

use super::{
    devices::Draw,
    in_flight::{Place, Request},
    plan::Plan,
    request::{Authenticators, Requests},
    tally::{Loss, Verdict},
    traffic::{Load, Traffic},
    work::{Ended, Share, peer},
};

/// One thread's share of a run.
pub(super) struct Conversations {
    traffic: Traffic<Box<Talk>>,
    supplicants: Arc<[Supplicant]>,
    requests: Requests,
    authenticators: Authenticators,
    draw: Draw,
    chance: Chance,
    share: Share,
    /// Devices that are in a conversation.
    // Bound: the Identifiers of all source ports, for each conversation has one.
    busy: HashSet<u64>,
}

/// A conversation that is under way.
pub(super) struct Talk {
    /// The place of its supplicant.
    who: usize,
    /// From the first answer on: what is never answered costs the generator nothing but a packet, so that it can begin far
    /// more conversations than it could end.
    device: Option<Peer>,
    mac: MacAddress,
    /// The present request, to be sent again as it is.
    octets: Vec<u8>,
    is_repeated: bool,
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
        let devices = usize::try_from(share.part(plan.devices.count())).unwrap_or(usize::MAX);
        Ok(Self {
            requests: Requests::with_eap(Arc::clone(&plan.secret), share.nas, &plan.attributes)?,
            supplicants,
            authenticators: Authenticators::new([first, second]),
            draw: Draw::new(plan.distribution, plan.devices.count()),
            chance: Chance::new(third),
            busy: HashSet::new(),
            traffic: Traffic::new(plan, &share, start, devices),
            share,
        })
    }

    /// A device that is in no conversation: one that begins anew has given up the one before, and servers know that.
    fn idle_device(&mut self) -> u64 {
        let (of_thread, of) = (self.share.number as u64, self.share.of as u64);
        // Threads don't know of each other, so each has devices of its own.
        let count = self.share.part(self.traffic.plan.devices.count()).max(1);
        let drawn = self.draw.next(&mut self.chance) % count;
        let mut numbers = (0..count).map(|step| (drawn + step) % count * of + of_thread).take(self.busy.len() + 1);
        // There are more devices than conversations, or none would begin.
        numbers.find(|number| !self.busy.contains(number)).unwrap_or(drawn * of + of_thread)
    }

    /// Sends the next request of a conversation.
    fn send(
        &mut self,
        now: Mono,
        place: Place,
        mut request: Request<Box<Talk>>,
        eap: &[u8],
        state: Option<&[u8]>,
        out: &mut dyn Outbox,
    ) {
        let Talk { who, mac, octets, .. } = &mut *request.of;
        let name = self.supplicants.get(*who).map(Supplicant::identity).unwrap_or_default();
        let written = self.requests.write_eap(place.identifier(), &request.authenticator, *mac, name, eap, state);
        octets.clear();
        let has_room = written.map(|written| octets.extend_from_slice(written)).is_ok();
        if has_room {
            out.send(&peer(&self.traffic.plan, place.socket()), octets);
        }
        self.traffic.start(now, place, request);
        if !has_room {
            // The server's State leaves none.
            self.lose(now, place, Loss::SendFailed);
        }
    }
}

/// The device, made now if this is the first answer. None if its configuration can't be used.
fn device_of<'d>(device: &'d mut Option<Peer>, supplicant: Option<&Supplicant>) -> Option<&'d mut Peer> {
    if device.is_none() {
        *device = supplicant?.begin().ok();
    }
    device.as_mut()
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

impl Load for Conversations {
    type Of = Box<Talk>;
    /// To begin one takes as long as some answers.
    const BEGUN_IN_A_ROW: usize = 8;

    fn traffic(&self) -> &Traffic<Box<Talk>> {
        &self.traffic
    }

    fn traffic_mut(&mut self) -> &mut Traffic<Box<Talk>> {
        &mut self.traffic
    }

    fn into_ended(self) -> Ended {
        self.traffic.finish()
    }

    fn begin(&mut self, now: Mono, due: Mono, is_measured: bool, out: &mut dyn Outbox) {
        let number = self.idle_device();
        let who = usize::try_from(number % (self.supplicants.len() as u64).max(1)).unwrap_or(0);
        // There was room for it.
        let (Some(supplicant), Some(place)) = (self.supplicants.get(who), self.traffic.in_flight.take()) else {
            return;
        };
        let eap = supplicant.identity_response(1);
        let mac = self.traffic.plan.devices.mac(number);
        let talk = Box::new(Talk { who, device: None, mac, octets: Vec::new(), is_repeated: false });
        if is_measured {
            self.traffic.ledger.sent(now, due);
        }
        self.busy.insert(number);
        let authenticator = self.authenticators.draw();
        let request = Request {
            authenticator,
            device: number,
            due,
            sent: now,
            retransmissions: 0,
            is_measured,
            disbelieved: None,
            of: talk,
        };
        self.send(now, place, request, &eap, None, out);
    }

    fn send_again(&mut self, place: Place, out: &mut dyn Outbox) {
        let Some(request) = self.traffic.in_flight.request(place) else { return };
        request.of.is_repeated = true;
        out.send(&peer(&self.traffic.plan, place.socket()), &request.of.octets);
    }

    /// An authentic answer came.
    fn answered(&mut self, now: Mono, place: Place, verdict: Verdict, octets: &[u8], out: &mut dyn Outbox) {
        let Some(mut request) = self.traffic.in_flight.finish(place, true) else { return };
        let ledger = &mut self.traffic.ledger;
        if request.is_measured {
            ledger.tally.service.record(now.since(request.sent));
        }
        let Talk { who, device, .. } = &mut *request.of;
        let step = match device_of(device, self.supplicants.get(*who)) {
            Some(device) => follow(device, verdict, octets),
            None => Step::Lost(Loss::Device),
        };
        match step {
            Step::Next { eap, state } => {
                // One was freed above.
                let Some(place) = self.traffic.in_flight.take_at(place.socket()) else { return };
                (request.authenticator, request.sent) = (self.authenticators.draw(), now);
                (request.retransmissions, request.disbelieved) = (0, None);
                return self.send(now, place, request, &eap, state.as_deref(), out);
            }
            Step::End(verdict) if request.is_measured => {
                ledger.answered(now, request.due, verdict);
                ledger.tally.answered_after_retransmission += u64::from(request.of.is_repeated);
            }
            Step::Lost(cause) if request.is_measured => {
                if cause.is_wrong_answer() {
                    ledger.tally.disbelieved.count(cause);
                }
                ledger.lost(now, cause);
            }
            Step::End(_) | Step::Lost(_) => {}
        }
        self.busy.remove(&request.device);
    }

    fn lose(&mut self, now: Mono, place: Place, cause: Loss) {
        let device = self.traffic.in_flight.request(place).map(|request| request.device);
        device.map(|device| self.busy.remove(&device));
        self.traffic.lose(now, place, cause);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

    use proptest::prelude::*;
    use rustls::pki_types::PrivateKeyDer;

    use super::*;
    use crate::{
        bench::{
            devices::{Devices, Distribution},
            schedule::Pace,
            tally::Tally,
            work::Work as _,
        },
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
        now: Mono,
    }

    fn secret() -> Arc<Secret> {
        Arc::new(Secret::new(b"a secret for the toy".to_vec()).unwrap())
    }

    static SUPPLICANTS: LazyLock<Arc<[Supplicant]>> = LazyLock::new(|| {
        let made = rcgen::generate_simple_self_signed(["device".to_owned()]).unwrap();
        let chain = vec![made.cert.der().clone()];
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let (identity, roots) = (b"anonymous".to_vec(), chain.clone());
        let versions = Versions::Both;
        Arc::from([Supplicant::new(Credentials { identity, chain, key, roots, server_name: None, versions }).unwrap()])
    });

    /// So many devices; an answer is waited for twice, 100 ms each time.
    fn plan(pace: Pace, devices: u64) -> Plan {
        let first = MacAddress::new([0xa4, 0xc3, 0, 0, 0, 0]);
        Plan {
            pace,
            timeout: Duration::from_millis(100),
            retries: 1,
            devices: Devices::Counted { first, count: devices },
            distribution: Distribution::Zipf(2.0),
            eap_tls: Some(Arc::clone(&SUPPLICANTS)),
            ..Plan::new(([127, 0, 0, 1], 1812).into(), secret())
        }
    }

    const CHALLENGE: (Code, &[u8]) = (Code::ACCESS_CHALLENGE, &[1, 2, 0, 6, 13, 0x20]);
    const ACCEPT: (Code, &[u8]) = (Code::ACCESS_ACCEPT, &[3, 2, 0, 4]);
    const REJECT: (Code, &[u8]) = (Code::ACCESS_REJECT, &[4, 2, 0, 4]);

    impl Toy {
        fn closed(conversations: usize, count: u64) -> Self {
            Self::new(Plan { count: Some(count), ..plan(Pace::Window(conversations), conversations as u64) })
        }

        fn new(plan: Plan) -> Self {
            plan.check().unwrap();
            let share = Share { number: 0, of: 1, sockets: plan.sockets, nas: [127, 0, 0, 1].into(), seeds: [1, 2, 3] };
            let talks = Conversations::new(Arc::new(plan), Arc::clone(&SUPPLICANTS), share, Mono::default()).unwrap();
            Self { talks, sent: Sent::default(), now: Mono::default() }
        }

        fn at(&mut self, millis: u64) -> Vec<(usize, Vec<u8>)> {
            self.now = Mono::default().plus(Duration::from_millis(millis));
            self.talks.expire(self.now, &mut self.sent);
            (0..40).for_each(|_| self.talks.offer(self.now, &mut self.sent));
            std::mem::take(&mut self.sent.0)
        }

        /// What is sent in answer to this.
        fn answer(&mut self, request: &(usize, Vec<u8>), (code, eap): (Code, &[u8])) -> Vec<(usize, Vec<u8>)> {
            let packet = Packet::parse(&request.1).unwrap();
            let mut buffer = ReplyBuffer::new();
            buffer.start(code, packet.identifier());
            buffer.push_long(kind::EAP_MESSAGE, eap).unwrap();
            buffer.push(kind::STATE, b"state").unwrap();
            let octets = buffer.sign(packet.authenticator(), &secret()).to_vec();
            self.talks.receive(self.now, request.0, &octets, &mut self.sent);
            std::mem::take(&mut self.sent.0)
        }

        fn tally(&self) -> &Tally {
            &self.talks.traffic.ledger.tally
        }

        fn losses(&self) -> [u64; 3] {
            [Loss::NoAnswer, Loss::Unexpected, Loss::Device].map(|cause| self.tally().lost.of(cause))
        }
    }

    fn stations(sent: &[(usize, Vec<u8>)]) -> BTreeSet<Vec<u8>> {
        let station =
            |octets: &[u8]| Packet::parse(octets).unwrap().first(kind::CALLING_STATION_ID).map(<[u8]>::to_vec);
        sent.iter().filter_map(|(_, octets)| station(octets)).collect()
    }

    #[test]
    fn no_device_is_in_two_conversations_and_each_request_has_its_identifier() {
        let mut toy = Toy::closed(5, 100);
        let sent = toy.at(0);
        let places: BTreeSet<(usize, u8)> = sent.iter().map(|(socket, octets)| (*socket, octets[1])).collect();
        assert_eq!((sent.len(), stations(&sent).len(), places.len()), (5, 5, 5));
        // The one that has ended begins again, for it is the only one that is idle.
        toy.answer(&sent[2], REJECT);
        assert_eq!(stations(&toy.at(1)), stations(&sent[2..3]));
    }

    #[test]
    fn silence_is_answered_by_the_same_octets_and_then_lost() {
        let mut toy = Toy::closed(1, 1);
        let first = toy.at(0);
        assert_eq!(toy.at(100), first);
        assert_eq!(toy.at(200), []);
        assert!(toy.talks.is_finished());
        assert_eq!((toy.losses(), toy.tally().retransmitted), ([1, 0, 0], 1));
    }

    #[test]
    fn the_state_comes_back_with_the_next_packet_from_the_same_port() {
        let mut toy = Toy::closed(1, 1);
        let first = toy.at(0);
        let next = toy.answer(&first[0], CHALLENGE);
        let packet = Packet::parse(&next[0].1).unwrap();
        assert_eq!((next[0].0, packet.first(kind::STATE)), (first[0].0, Some(&b"state"[..])));
        assert!(packet.authenticator() != Packet::parse(&first[0].1).unwrap().authenticator());
        assert_eq!(packet.first(kind::EAP_MESSAGE).and_then(|eap| eap.first()), Some(&2));
    }

    #[test]
    fn an_answer_that_comes_twice_or_late_is_no_wrong_one() {
        let mut toy = Toy::closed(1, 1);
        let first = toy.at(0);
        let next = toy.answer(&first[0], CHALLENGE);
        assert_eq!(toy.answer(&first[0], CHALLENGE), []);
        [100, 200].into_iter().for_each(|now| drop(toy.at(now)));
        assert_eq!(toy.answer(&next[0], CHALLENGE), []);
        let tally = toy.tally();
        assert_eq!((tally.duplicates, tally.late, tally.wrong_answers(), toy.losses()), (1, 1, 0, [1, 0, 0]));
    }

    #[test]
    fn an_accept_before_tls_is_done_is_no_success() {
        let mut toy = Toy::closed(1, 1);
        let first = toy.at(0);
        toy.answer(&first[0], ACCEPT);
        assert_eq!((toy.losses(), toy.tally().answered(), toy.tally().wrong_answers()), ([0, 1, 0], 0, 1));
    }

    #[test]
    fn a_reject_is_an_answer() {
        let mut toy = Toy::closed(1, 1);
        let first = toy.at(0);
        toy.answer(&first[0], REJECT);
        assert_eq!((toy.losses(), toy.tally().answers(Verdict::Reject)), ([0, 0, 0], 1));
        toy.at(1);
        assert!(toy.talks.is_finished());
    }

    #[test]
    fn in_an_open_loop_they_begin_whatever_the_server_does_and_latency_begins_when_they_were_due() {
        let mut toy = Toy::new(Plan { count: Some(7), ..plan(Pace::Steady(1_000.0), 100) });
        // The generator comes 5 ms late: six are due.
        let sent = toy.at(5);
        assert_eq!((sent.len(), toy.tally().lateness.max()), (6, Duration::from_millis(5)));
        toy.now = Mono::default().plus(Duration::from_millis(6));
        let next = toy.answer(&sent[0], CHALLENGE);
        toy.now = Mono::default().plus(Duration::from_millis(9));
        toy.answer(&next[0], REJECT);
        assert_eq!(toy.tally().latency_of_all().max(), Duration::from_millis(9));
        assert_eq!(toy.tally().service.max(), Duration::from_millis(3), "of a round trip");
        assert_eq!((toy.at(9).len(), toy.at(10).len()), (1, 0), "seven in all");
    }

    #[test]
    fn a_storm_grows() {
        let pace = Pace::Storm { rate: 400.0, ramp: Duration::from_secs(1) };
        let mut toy = Toy::new(Plan { retries: 0, ..plan(pace, 1_000) });
        let begun = [250, 500, 750, 1_000].map(|end| (end - 250..end).map(|now| toy.at(now).len()).sum::<usize>());
        // A quarter of a triangle's area of 200, and so on.
        assert_eq!(begun, [13, 37, 63, 87]);
    }

    #[test]
    fn what_is_due_without_a_device_or_an_identifier_waits_and_is_lost_for_want_of_it() {
        for (devices, cause, most) in [(3, Loss::NoDevice, 3_u32), (1_000, Loss::NoIdentifier, 256)] {
            let mut toy = Toy::new(Plan { sockets: 1, retries: 10, ..plan(Pace::Steady(5_000.0), devices) });
            let mut first = Vec::new();
            (0..=90).for_each(|now| first.extend(toy.at(now)));
            assert_eq!((first.len(), toy.tally().lost.total()), (most as usize, 0), "{cause:?}");
            // One that waited leaves, and tells how long.
            toy.answer(&first[0], REJECT);
            assert_eq!(toy.at(91).len(), 1);
            assert_eq!(toy.tally().lateness.max(), Duration::from_millis(91) - Duration::from_secs(1) * most / 5_000);
            (92..=400).for_each(|now| drop(toy.at(now)));
            let lost = &toy.tally().lost;
            assert!(lost.of(cause) > 500 && lost.of(cause) == lost.total(), "{cause:?} {lost:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_conversation_that_was_due_is_answered_or_lost_once(
            steps in proptest::collection::vec((0u64..40, 0u8..9, any::<prop::sample::Index>()), 1..60),
            is_open in any::<bool>(), retries in 0u32..3, devices in 20u64..200,
        ) {
            let pace = if is_open { Pace::Steady(150.0) } else { Pace::Window(20) };
            let mut toy = Toy::new(Plan { retries, sockets: 2, ..plan(pace, devices) });
            let mut seen: Vec<(usize, Vec<u8>)> = Vec::new();
            let mut now = 0;
            for (wait, what, which) in steps {
                now += wait;
                seen.extend(toy.at(now));
                if seen.is_empty() { continue }
                let request = seen[which.index(seen.len())].clone();
                match what {
                    0..4 => { let next = toy.answer(&request, CHALLENGE); seen.extend(next); }
                    4 | 5 => drop(toy.answer(&request, REJECT)),
                    6 => drop(toy.answer(&request, ACCEPT)),
                    7 => toy.talks.receive(toy.now, request.0, &request.1, &mut toy.sent),
                    _ => toy.talks.unsent(toy.now, request.0, request.1[1]),
                }
                prop_assert_eq!(toy.talks.busy.len(), toy.talks.traffic.in_flight.count());
            }
            toy.talks.stop(toy.now);
            while !toy.talks.is_finished() {
                now += 100;
                toy.at(now);
            }
            let tally = toy.tally();
            prop_assert_eq!(tally.due, tally.answered() + tally.lost.total());
            prop_assert!(tally.sent <= tally.due);
            prop_assert!(toy.talks.busy.is_empty() && toy.talks.traffic.in_flight.earliest().is_none());
        }
    }
}
