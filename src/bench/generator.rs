//! MAC bypasses of one thread, without its sockets: what is sent when, and what each answer and each silence means.
//!
//! Owns requests from the moment they are due until they are answered or lost. Time and octets are arguments, so that
//! the tests move both by themselves.

use std::sync::Arc;

use crate::{
    clock::Mono,
    engine::{action::Outbox, chance::Chance},
    radius::error::Full,
};

use super::{
    devices::Draw,
    in_flight::{InFlight, Place, Request},
    judge::{is_anybodys, judge},
    plan::Plan,
    request::{Authenticators, Requests},
    schedule::Pace,
    tally::{Loss, Second, Verdict},
    work::{Ended, Ledger, Share, Work, peer},
};

/// Requests that are begun, or sent again, before answers are looked for.
const STEPS: usize = 256;

/// One thread's share of a run.
pub(super) struct Generator {
    plan: Arc<Plan>,
    share: Share,
    in_flight: InFlight,
    requests: Requests,
    authenticators: Authenticators,
    draw: Draw,
    chance: Chance,
    ledger: Ledger,
    /// Requests of this share under way at once; only in a closed loop.
    window: usize,
    /// Measured requests that may still become due.
    left: u64,
    /// Requests of this share that became due.
    arrivals: u64,
    /// When the next one is due, in an open loop.
    due: Mono,
    /// When one that was due last found no free Identifier.
    blocked_at: Option<Mono>,
    is_over: bool,
    /// When each source port was last told that nobody listens.
    refused_at: Vec<Option<Mono>>,
}

impl Generator {
    /// `start`: the same for all threads.
    pub(super) fn new(plan: Arc<Plan>, share: Share, start: Mono) -> Result<Self, Full> {
        let [first, second, third] = share.seeds;
        let window = match plan.pace {
            Pace::Window(window) => usize::try_from(share.part(window as u64)).unwrap_or(window),
            Pace::Steady(_) | Pace::Storm { .. } => usize::MAX,
        };
        let mut generator = Self {
            in_flight: InFlight::new(share.sockets),
            requests: Requests::new(Arc::clone(&plan.secret), share.nas, &plan.attributes)?,
            authenticators: Authenticators::new([first, second]),
            draw: Draw::new(plan.distribution, plan.devices.count()),
            chance: Chance::new(third),
            ledger: Ledger::new(&plan, start),
            window,
            left: share.part(plan.count.unwrap_or(u64::MAX)),
            arrivals: 0,
            due: start,
            blocked_at: None,
            is_over: false,
            refused_at: vec![None; share.sockets],
            plan,
            share,
        };
        generator.due = generator.next_due();
        Ok(generator)
    }

    /// When the next request that can leave now was due.
    fn next(&mut self, now: Mono) -> Option<Mono> {
        if self.is_over || now < self.ledger.start {
            return None;
        }
        let is_open = self.window == usize::MAX;
        let due = if is_open { self.due } else { now };
        if due >= self.ledger.end || (self.left == 0 && self.ledger.counts(due)) {
            self.is_over = true;
            return None;
        }
        if due > now || self.in_flight.count() >= self.window {
            return None;
        }
        if !self.in_flight.has_room() {
            self.blocked_at = Some(now);
            // In an open loop it stays due, and is older when it leaves, or is given up.
            return (is_open && now.since(due) > self.plan.timeout).then_some(due);
        }
        Some(due)
    }

    fn next_due(&self) -> Mono {
        let number = self.arrivals * self.share.of as u64 + self.share.number as u64;
        self.plan.pace.due(number).map_or(self.ledger.start, |after| self.ledger.start.plus(after))
    }

    fn send(&mut self, now: Mono, due: Mono, is_measured: bool, place: Place, out: &mut dyn Outbox) {
        let authenticator = self.authenticators.draw();
        let device = self.draw.next(&mut self.chance);
        let mac = self.plan.devices.mac(device);
        let octets = self.requests.write(place.identifier(), &authenticator, mac);
        out.send(&peer(&self.plan, place.socket()), octets);
        let request =
            Request { authenticator, device, due, sent: now, retransmissions: 0, is_measured, disbelieved: None };
        self.in_flight.start(place, request, now.plus(self.plan.timeout));
        if is_measured {
            self.ledger.sent(now, due);
        }
    }

    fn answered(&mut self, now: Mono, place: Place, verdict: Verdict) {
        let Some(request) = self.in_flight.finish(place, true).filter(|request| request.is_measured) else { return };
        self.ledger.answered(now, request.due, verdict);
        self.ledger.tally.service.record(now.since(request.sent));
        self.ledger.tally.answered_after_retransmission += u64::from(request.retransmissions > 0);
    }

    /// An answer that no present request waits for.
    fn unasked(&mut self, now: Mono, place: Place, octets: &[u8]) {
        let former = self.in_flight.former(place);
        let counted = u64::from(self.ledger.counts(now));
        match former.filter(|former| judge(octets, &former.authenticator, &self.plan).is_ok()) {
            Some(former) if former.was_answered => self.ledger.tally.duplicates += counted,
            Some(_) => self.ledger.tally.late += counted,
            None => self.ledger.stray(now),
        }
    }

    fn give_up(&mut self, place: Place, cause: Loss) {
        if self.in_flight.finish(place, false).is_some_and(|request| request.is_measured) {
            self.ledger.lost(cause);
        }
    }
}

impl Work for Generator {
    fn offer(&mut self, now: Mono, out: &mut dyn Outbox) {
        for _ in 0..STEPS {
            let Some(due) = self.next(now) else { return };
            let is_measured = self.ledger.counts(due);
            self.arrivals += 1;
            if is_measured {
                self.left -= 1;
                self.ledger.tally.due += 1;
            }
            if self.window == usize::MAX {
                self.due = self.next_due();
                if now.since(due) > self.plan.timeout {
                    // Nobody would wait for it any more. To leave it out keeps the rate for those that come after it.
                    let was_blocked = !self.in_flight.has_room() || self.blocked_at.is_some_and(|at| at >= due);
                    if is_measured {
                        let cause = if was_blocked { Loss::NoIdentifier } else { Loss::GeneratorLate };
                        self.ledger.skipped(now, cause);
                    }
                    continue;
                }
            }
            if let Some(place) = self.in_flight.take() {
                self.send(now, due, is_measured, place, out);
            }
        }
    }

    fn expire(&mut self, now: Mono, out: &mut dyn Outbox) {
        for _ in 0..STEPS {
            let Some((place, _)) = self.in_flight.earliest().filter(|(_, deadline)| *deadline <= now) else { return };
            let Some(request) = self.in_flight.request(place) else { return };
            if request.retransmissions < self.plan.retries {
                request.retransmissions += 1;
                self.ledger.tally.retransmitted += u64::from(request.is_measured);
                // The same parts give the same octets.
                let mac = self.plan.devices.mac(request.device);
                let octets = self.requests.write(place.identifier(), &request.authenticator, mac);
                out.send(&peer(&self.plan, place.socket()), octets);
                self.in_flight.postpone(place, now.plus(self.plan.timeout));
                continue;
            }
            let refused_at = self.refused_at.get(place.socket()).copied().flatten();
            let was_refused = refused_at.is_some_and(|at| at >= request.sent);
            let silence = if was_refused { Loss::Refused } else { Loss::NoAnswer };
            let cause = request.disbelieved.unwrap_or(silence);
            self.give_up(place, cause);
        }
    }

    fn receive(&mut self, now: Mono, socket: usize, octets: &[u8], _: &mut dyn Outbox) {
        let Some(identifier) = octets.get(1).filter(|_| socket < self.share.sockets) else {
            self.ledger.stray(now);
            return;
        };
        let place = Place::of(socket, *identifier);
        let former = self.in_flight.former(place);
        let Some(request) = self.in_flight.request(place) else {
            self.unasked(now, place, octets);
            return;
        };
        let cause = match judge(octets, &request.authenticator, &self.plan) {
            Ok(verdict) => return self.answered(now, place, verdict),
            Err(cause) => cause,
        };
        if is_anybodys(cause) && former.is_some_and(|former| judge(octets, &former.authenticator, &self.plan).is_ok()) {
            self.unasked(now, place, octets);
            return;
        }
        request.disbelieved = Some(cause);
        if request.is_measured {
            self.ledger.tally.disbelieved.count(cause);
        }
        if !is_anybodys(cause) {
            self.give_up(place, cause);
        }
    }

    fn refused(&mut self, now: Mono, socket: usize) {
        if let Some(at) = self.refused_at.get_mut(socket) {
            *at = Some(now);
            self.ledger.tally.refusals += 1;
        }
    }

    fn unsent(&mut self, socket: usize, identifier: u8) {
        self.give_up(Place::of(socket, identifier), Loss::SendFailed);
    }

    fn take_second(&mut self, now: Mono) -> Option<Second> {
        self.ledger.take_second(now, self.in_flight.count())
    }

    fn stop(&mut self) {
        self.is_over = true;
    }

    fn is_finished(&self) -> bool {
        self.is_over && self.in_flight.count() == 0
    }

    fn wake_at(&self, now: Mono) -> Mono {
        let mut at = self.ledger.end_of_second();
        if let Some((_, deadline)) = self.in_flight.earliest() {
            at = at.min(deadline);
        }
        if self.is_over {
            return at;
        }
        if self.window == usize::MAX {
            let next = if self.in_flight.has_room() { self.due } else { self.due.plus(self.plan.timeout) };
            return at.min(next);
        }
        let is_blocked = self.in_flight.count() >= self.window || !self.in_flight.has_room();
        at.min(if is_blocked { self.ledger.end } else { now.max(self.ledger.start) })
    }

    fn finish(self: Box<Self>) -> Ended {
        self.ledger.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        bench::{plan::Answers, tally::Tally},
        engine::action::Peer,
        radius::{code::Code, kind, packet::Packet, reply::ReplyBuffer, secret::Secret},
    };

    /// What left, by source port.
    #[derive(Default)]
    struct Sent(Vec<(usize, Vec<u8>)>);

    impl Outbox for Sent {
        fn send(&mut self, to: &Peer, octets: &[u8]) {
            self.0.push((to.route.listener.into(), octets.to_vec()));
        }
    }

    /// A generator, what it sent, and the time that the test moves.
    struct Toy {
        generator: Generator,
        sent: Sent,
        now: Mono,
    }

    fn secret() -> Arc<Secret> {
        Arc::new(Secret::new(b"a secret for the toy".to_vec()).unwrap())
    }

    fn plan() -> Plan {
        Plan { timeout: Duration::from_millis(100), ..Plan::new(([127, 0, 0, 1], 1812).into(), secret()) }
    }

    fn millis(millis: u64) -> Mono {
        Mono::default().plus(Duration::from_millis(millis))
    }

    impl Toy {
        fn new(plan: Plan) -> Self {
            let share = Share { number: 0, of: 1, sockets: plan.sockets, nas: [127, 0, 0, 1].into(), seeds: [1, 2, 3] };
            let generator = Generator::new(Arc::new(plan), share, Mono::default()).unwrap();
            Self { generator, sent: Sent::default(), now: Mono::default() }
        }

        /// Moves time and gives what is sent then.
        fn at(&mut self, now: u64) -> Vec<(usize, Vec<u8>)> {
            self.now = millis(now);
            self.generator.expire(self.now, &mut self.sent);
            self.generator.offer(self.now, &mut self.sent);
            std::mem::take(&mut self.sent.0)
        }

        fn answer(&mut self, request: &(usize, Vec<u8>)) {
            let reply = reply(&request.1, Code::ACCESS_ACCEPT, &secret());
            self.receive(request.0, &reply);
        }

        fn receive(&mut self, socket: usize, octets: &[u8]) {
            self.generator.receive(self.now, socket, octets, &mut self.sent);
        }

        fn tally(&self) -> &Tally {
            &self.generator.ledger.tally
        }
    }

    fn reply(request: &[u8], code: Code, secret: &Secret) -> Vec<u8> {
        let request = Packet::parse(request).unwrap();
        let mut buffer = ReplyBuffer::new();
        buffer.start(code, request.identifier());
        buffer.sign(request.authenticator(), secret).to_vec()
    }

    fn unsigned_reply(request: &[u8]) -> Vec<u8> {
        let request = Packet::parse(request).unwrap();
        let mut buffer = ReplyBuffer::new();
        buffer.start_unsigned(Code::ACCESS_ACCEPT, request.identifier());
        buffer.sign(request.authenticator(), &secret()).to_vec()
    }

    #[test]
    fn a_closed_loop_keeps_its_window_full_and_no_fuller() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(3), count: Some(5), ..plan() });
        let first = toy.at(0);
        assert_eq!((first.len(), toy.at(1).len()), (3, 0));
        toy.answer(&first[1]);
        let next = toy.at(2);
        assert_eq!(next.len(), 1);
        [&first[0], &first[2]].into_iter().for_each(|request| toy.answer(request));
        assert_eq!(toy.at(3).len(), 1, "five in all");
        toy.answer(&next[0]);
        assert!(!toy.generator.is_finished());
        toy.at(200);
        assert!(toy.generator.is_finished());
        assert_eq!((toy.tally().sent, toy.tally().answered(), toy.tally().lost.of(Loss::NoAnswer)), (5, 4, 1));
    }

    #[test]
    fn in_an_open_loop_latency_begins_when_the_request_was_due() {
        let mut toy = Toy::new(Plan { pace: Pace::Steady(1_000.0), ..plan() });
        // The generator comes 5 ms late: six are due, the first for 5 ms.
        let sent = toy.at(5);
        assert_eq!(sent.len(), 6);
        toy.now = millis(7);
        toy.answer(&sent[0]);
        let (latency, service) = (toy.tally().latency_of_all().max(), toy.tally().service.max());
        assert_eq!((latency, service), (Duration::from_millis(7), Duration::from_millis(2)));
        assert_eq!(toy.tally().lateness.max(), Duration::from_millis(5));
    }

    #[test]
    fn what_is_due_without_a_free_identifier_waits_and_is_lost_when_nobody_would_wait_any_more() {
        let mut toy = Toy::new(Plan { pace: Pace::Steady(10_000.0), sockets: 1, ..plan() });
        let sent: Vec<_> = (0..=90).flat_map(|now| toy.at(now)).collect();
        assert_eq!((sent.len(), toy.tally().lost.total()), (256, 0));
        // The 257th was due at 25.6 ms; it is answered late, but not lost.
        toy.answer(&sent[0]);
        assert_eq!(toy.at(91).len(), 1);
        assert_eq!(toy.tally().lateness.max(), Duration::from_micros(65_400));
        for now in 92..=400 {
            toy.at(now);
        }
        assert!(toy.tally().lost.of(Loss::NoIdentifier) > 500);
        assert_eq!(toy.tally().lost.of(Loss::GeneratorLate), 0);
    }

    #[test]
    fn a_generator_that_sleeps_too_long_says_so() {
        let mut toy = Toy::new(Plan { pace: Pace::Steady(100.0), ..plan() });
        let sent = toy.at(1_000);
        assert_eq!((sent.len(), toy.tally().lost.of(Loss::GeneratorLate)), (11, 90));
    }

    #[test]
    fn a_retransmission_has_the_same_octets_and_its_answer_is_counted_apart() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(1), retries: 2, count: Some(1), ..plan() });
        let (first, second, third) = (toy.at(0), toy.at(100), toy.at(200));
        assert_eq!((&first, &second), (&second, &third));
        toy.answer(&third[0]);
        let tally = toy.tally();
        assert_eq!((tally.sent, tally.retransmitted, tally.answered_after_retransmission), (1, 2, 1));
        assert_eq!(tally.latency_of_all().max(), Duration::from_millis(200));
    }

    #[test]
    fn every_kind_of_wrong_answer_is_its_own_cause() {
        let other = Secret::new(b"other".to_vec()).unwrap();
        type Spoil<'s> = &'s dyn Fn(&[u8]) -> Vec<u8>;
        let mend = |reply: &mut Vec<u8>, request: &[u8]| {
            // The Response Authenticator over whatever stands there now, so that only the Message-Authenticator is wrong.
            let parsed = Packet::parse(request).unwrap();
            let mut buffer = ReplyBuffer::new();
            buffer.start_unsigned(Code(reply[0]), reply[1]);
            buffer.push_encoded(&reply[20..]).unwrap();
            *reply = buffer.sign(parsed.authenticator(), &secret()).to_vec();
        };
        let cases: [(Loss, Spoil<'_>); 5] = [
            (Loss::WrongAuthenticator, &|request| reply(request, Code::ACCESS_ACCEPT, &other)),
            (Loss::WrongMessageAuthenticator, &|request| {
                let mut spoilt = reply(request, Code::ACCESS_ACCEPT, &secret());
                spoilt[25] ^= 1;
                mend(&mut spoilt, request);
                spoilt
            }),
            (Loss::MissingMessageAuthenticator, &|request| unsigned_reply(request)),
            (Loss::Malformed, &|request| vec![2, request[1], 0]),
            (Loss::WrongCode, &|request| reply(request, Code::COA_ACK, &secret())),
        ];
        for (cause, spoil) in cases {
            let mut toy = Toy::new(Plan { pace: Pace::Window(1), count: Some(1), ..plan() });
            let sent = toy.at(0);
            toy.receive(sent[0].0, &spoil(&sent[0].1));
            toy.at(100);
            let tally = toy.tally();
            assert_eq!((tally.lost.of(cause), tally.lost.total(), tally.answered()), (1, 1, 0), "{cause:?}");
            assert_eq!((tally.disbelieved.of(cause), tally.wrong_answers()), (1, 1), "{cause:?}");
            assert!(cause.is_wrong_answer());
        }
    }

    #[test]
    fn after_a_forged_answer_the_right_one_still_counts() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(1), count: Some(1), ..plan() });
        let sent = toy.at(0);
        let other = Secret::new(b"other".to_vec()).unwrap();
        toy.receive(sent[0].0, &reply(&sent[0].1, Code::ACCESS_ACCEPT, &other));
        toy.answer(&sent[0]);
        assert_eq!((toy.tally().answered(), toy.tally().lost.total(), toy.tally().wrong_answers()), (1, 0, 1));
    }

    #[test]
    fn unsigned_answers_are_taken_only_if_allowed() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(1), answers: Answers::MaybeUnsigned, ..plan() });
        let sent = toy.at(0);
        toy.receive(sent[0].0, &unsigned_reply(&sent[0].1));
        assert_eq!((toy.tally().answers(Verdict::Accept), toy.tally().lost.total()), (1, 0));
    }

    #[test]
    fn an_answer_that_fails_the_check_is_lost() {
        let answers = Answers::Checked(|reply| reply.has(kind::TUNNEL_TYPE));
        let mut toy = Toy::new(Plan { pace: Pace::Window(1), answers, count: Some(1), ..plan() });
        let sent = toy.at(0);
        toy.answer(&sent[0]);
        assert_eq!((toy.tally().lost.of(Loss::Unexpected), toy.tally().answered()), (1, 0));
    }

    #[test]
    fn repeated_late_and_stray_answers_are_told_apart() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(2), sockets: 1, ..plan() });
        let sent = toy.at(0);
        toy.answer(&sent[0]);
        toy.answer(&sent[0]);
        toy.at(100);
        toy.answer(&sent[1]);
        toy.receive(0, &[2]);
        toy.receive(0, &[2, 99, 0, 20]);
        let tally = toy.tally();
        assert_eq!((tally.answered(), tally.duplicates, tally.late, tally.strays), (1, 1, 1, 2));
        assert_eq!(tally.lost.of(Loss::NoAnswer), 1);
    }

    #[test]
    fn a_late_answer_is_no_wrong_answer_to_the_next_request_with_its_identifier() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(256), sockets: 1, ..plan() });
        let former = toy.at(0);
        let present = toy.at(100);
        assert_eq!((former.len(), present.len(), former[0].1[1]), (256, 256, present[0].1[1]));
        toy.answer(&former[0]);
        toy.answer(&present[0]);
        let tally = toy.tally();
        assert_eq!((tally.late, tally.answered(), tally.wrong_answers()), (1, 1, 0));
    }

    #[test]
    fn silence_after_a_refusal_is_a_refusal() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(1), count: Some(1), sockets: 1, ..plan() });
        toy.at(0);
        toy.generator.refused(millis(1), 0);
        toy.at(100);
        assert_eq!((toy.tally().lost.of(Loss::Refused), toy.tally().lost.total()), (1, 1));
    }

    #[test]
    fn the_warm_up_counts_nowhere() {
        let warm_up = Duration::from_millis(10);
        let mut toy = Toy::new(Plan { pace: Pace::Steady(1_000.0), warm_up, count: Some(4), ..plan() });
        let sent: Vec<_> = (0..=30).flat_map(|now| toy.at(now)).collect();
        assert_eq!((sent.len(), toy.tally().due, toy.tally().sent), (14, 4, 4));
        sent.iter().for_each(|request| toy.answer(request));
        assert_eq!((toy.tally().answered(), toy.tally().lost.total()), (4, 0));
        assert!(toy.generator.is_finished());
    }

    #[test]
    fn seconds_come_one_by_one_and_hold_what_happened_in_them() {
        let mut toy = Toy::new(Plan { pace: Pace::Steady(10.0), duration: Duration::from_secs(2), ..plan() });
        let mut seconds = Vec::new();
        for now in (0..=2_100).step_by(50) {
            for request in toy.at(now) {
                if now != 1_000 {
                    toy.answer(&request);
                }
            }
            seconds.extend(std::iter::from_fn(|| toy.generator.take_second(toy.now)));
        }
        // What happens at the very end of a second belongs to it.
        let told = seconds.iter().map(|second| (second.number, second.sent, second.answered, second.lost));
        assert_eq!(told.collect::<Vec<_>>(), [(0, 11, 10, 0), (1, 9, 9, 1)]);
        assert!(toy.generator.is_finished());
    }

    #[test]
    fn threads_take_turns_in_an_open_loop() {
        let plan = Arc::new(Plan { pace: Pace::Steady(30.0), threads: 3, ..plan() });
        let due = [0, 1, 2].map(|number| {
            let share = Share { number, of: 3, sockets: 1, nas: [127, 0, 0, 1].into(), seeds: [1, 2, 3] };
            Generator::new(Arc::clone(&plan), share, Mono::default()).unwrap().due.as_nanos() / 1_000_000
        });
        assert_eq!(due, [0, 33, 66]);
    }

    proptest! {
        #[test]
        fn every_request_that_was_due_is_answered_or_lost_once(
            steps in proptest::collection::vec((0u64..40, 0u8..6, any::<prop::sample::Index>()), 1..80),
            is_open in any::<bool>(), retries in 0u32..3,
        ) {
            let pace = if is_open { Pace::Steady(2_000.0) } else { Pace::Window(300) };
            let mut toy = Toy::new(Plan { pace, retries, sockets: 2, ..plan() });
            let mut seen: Vec<(usize, Vec<u8>)> = Vec::new();
            let mut now = 0;
            for (wait, what, which) in steps {
                now += wait;
                seen.extend(toy.at(now));
                if seen.is_empty() { continue }
                let request = seen[which.index(seen.len())].clone();
                match what {
                    0..3 => toy.answer(&request),
                    3 => toy.receive(request.0, &unsigned_reply(&request.1)),
                    4 => toy.receive(request.0, &request.1),
                    _ => toy.generator.unsent(request.0, request.1[1]),
                }
            }
            toy.generator.stop();
            while !toy.generator.is_finished() {
                now += 100;
                toy.at(now);
            }
            let tally = toy.tally();
            prop_assert_eq!(tally.due, tally.answered() + tally.lost.total());
            prop_assert!(tally.sent <= tally.due);
            prop_assert!(toy.generator.in_flight.earliest().is_none());
        }
    }
}
