//! MAC bypasses of one thread, without its sockets: what is sent when, and what each answer and each silence means.
//!
//! Owns requests from the moment they are due until they are answered or lost. Time and octets are arguments, so that
//! the tests move both by themselves.

use std::sync::Arc;

use crate::{
    clock::Mono,
    engine::{
        action::{Outbox, Peer},
        chance::Chance,
    },
    radius::error::Full,
};

use super::{
    devices::Draw,
    in_flight::{Place, Request},
    plan::Plan,
    request::{Authenticators, Requests},
    tally::Verdict,
    traffic::{Load, Traffic},
    work::{Ended, Share, peer},
};

/// One thread's share of a run.
pub(super) struct Generator {
    traffic: Traffic<()>,
    requests: Requests,
    authenticators: Authenticators,
    draw: Draw,
    chance: Chance,
    /// To whom the requests go that wait to be signed.
    begun: Vec<Peer>,
}

impl Generator {
    /// `start`: the same for all threads.
    pub(super) fn new(plan: Arc<Plan>, share: Share, start: Mono) -> Result<Self, Full> {
        let [first, second, third] = share.seeds;
        Ok(Self {
            requests: Requests::new(Arc::clone(&plan.secret), share.nas, &plan.attributes)?,
            authenticators: Authenticators::new([first, second]),
            draw: Draw::new(plan.distribution, plan.devices.count()),
            chance: Chance::new(third),
            begun: Vec::new(),
            traffic: Traffic::new(plan, &share, start, usize::MAX),
        })
    }
}

impl Load for Generator {
    type Of = ();

    fn traffic(&self) -> &Traffic<()> {
        &self.traffic
    }

    fn traffic_mut(&mut self) -> &mut Traffic<()> {
        &mut self.traffic
    }

    fn into_ended(self) -> Ended {
        self.traffic.finish()
    }

    fn begin(&mut self, now: Mono, due: Mono, is_measured: bool, _: &mut dyn Outbox) {
        let Some(place) = self.traffic.in_flight.take() else { return };
        let authenticator = self.authenticators.draw();
        let device = self.draw.next(&mut self.chance);
        let mac = self.traffic.plan.devices.mac(device);
        self.requests.add(place.identifier(), &authenticator, mac);
        self.begun.push(peer(&self.traffic.plan, place.socket()));
        let (retransmissions, disbelieved) = (0, None);
        let request =
            Request { authenticator, device, due, sent: now, retransmissions, is_measured, disbelieved, of: () };
        self.traffic.start(now, place, request);
        if is_measured {
            self.traffic.ledger.sent(now, due);
        }
    }

    fn send_begun(&mut self, out: &mut dyn Outbox) {
        self.begun.drain(..).zip(self.requests.sign_all()).for_each(|(peer, octets)| out.send(&peer, octets));
        self.requests.clear();
    }

    fn send_again(&mut self, place: Place, out: &mut dyn Outbox) {
        let Some(request) = self.traffic.in_flight.request(place) else { return };
        // The same parts give the same octets.
        let mac = self.traffic.plan.devices.mac(request.device);
        let octets = self.requests.write(place.identifier(), &request.authenticator, mac);
        out.send(&peer(&self.traffic.plan, place.socket()), octets);
    }

    fn answered(&mut self, now: Mono, place: Place, verdict: Verdict, _: &[u8], _: &mut dyn Outbox) {
        let request = self.traffic.in_flight.finish(place, true);
        let Some(request) = request.filter(|request| request.is_measured) else { return };
        let ledger = &mut self.traffic.ledger;
        ledger.answered(now, request.due, verdict);
        ledger.tally.service.record(now.since(request.sent));
        ledger.tally.answered_after_retransmission += u64::from(request.retransmissions > 0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        bench::{
            plan::Answers,
            schedule::Pace,
            tally::{Loss, Tally},
            work::Work as _,
        },
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
            self.receive_all(socket, &[octets]);
        }

        /// They come together.
        fn receive_all(&mut self, socket: usize, datagrams: &[&[u8]]) {
            self.generator.see(socket, &mut datagrams.iter().copied());
            datagrams.iter().for_each(|octets| self.generator.receive(self.now, socket, octets, &mut self.sent));
        }

        fn tally(&self) -> &Tally {
            &self.generator.traffic.ledger.tally
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
    fn answers_that_come_together_are_judged_each_by_itself() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(4), sockets: 1, ..plan() });
        let sent = toy.at(0);
        let right: Vec<_> = sent.iter().map(|sent| reply(&sent.1, Code::ACCESS_ACCEPT, &secret())).collect();
        let wrong = reply(&sent[1].1, Code::ACCESS_ACCEPT, &Secret::new(b"another secret".to_vec()).unwrap());
        toy.receive_all(0, &[&[2], &right[0], &[2, 99, 0, 20], &wrong, &right[2], &right[0], &right[1]]);
        let tally = toy.tally();
        assert_eq!((tally.answered(), tally.duplicates, tally.strays), (3, 1, 2));
        assert_eq!(tally.disbelieved.of(Loss::WrongAuthenticator), 1);
        // What was seen ahead and the rest of another batch are not mixed up.
        toy.generator.see(0, &mut [&right[3][..], &right[3]].into_iter());
        toy.receive(0, &right[3]);
        assert_eq!((toy.tally().answered(), toy.tally().duplicates), (4, 1));
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
    fn answers_later_than_some_uses_of_their_identifier_do_not_count_as_wrong() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(256), sockets: 1, ..plan() });
        let uses: Vec<_> = (0..6).map(|number| toy.at(number * 100)).collect();
        // Three uses ago: it is remembered.
        toy.answer(&uses[2][0]);
        assert_eq!((toy.tally().late, toy.tally().wrong_answers()), (1, 0));
        // Nobody remembers that one, but answers are known to be as late as that.
        toy.answer(&uses[0][0]);
        assert_eq!((toy.tally().unattributed, toy.tally().wrong_answers()), (1, 0));
        toy.at(600);
        assert_eq!(
            toy.tally().lost.of(Loss::WrongAuthenticator),
            0,
            "its request lacks an answer, and has no wrong one"
        );
    }

    #[test]
    fn what_fits_no_request_counts_as_wrong_while_answers_are_prompt() {
        let mut toy = Toy::new(Plan { pace: Pace::Window(256), sockets: 1, ..plan() });
        let first = toy.at(0);
        toy.now = millis(1);
        toy.answer(&first[1]);
        let uses: Vec<_> = (1..6).map(|number| toy.at(number * 100)).collect();
        toy.answer(&first[0]);
        assert_eq!((toy.tally().unattributed, toy.tally().wrong_answers()), (0, 1));
        let other = Secret::new(b"other".to_vec()).unwrap();
        toy.receive(0, &reply(&uses[4][0].1, Code::ACCESS_ACCEPT, &other));
        assert_eq!((toy.tally().unattributed, toy.tally().wrong_answers()), (0, 2));
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
        toy.generator.refused(millis(9), 0);
        let sent: Vec<_> = (0..=30).flat_map(|now| toy.at(now)).collect();
        assert_eq!((sent.len(), toy.tally().due, toy.tally().sent, toy.tally().refusals), (14, 4, 4, 0));
        toy.generator.refused(millis(10), 0);
        assert_eq!(toy.tally().refusals, 1);
        sent.iter().for_each(|request| toy.answer(request));
        assert_eq!((toy.tally().answered(), toy.tally().lost.total()), (4, 0));
        assert!(toy.generator.is_finished());
    }

    /// What a whole run tells of rates, each request answered `after` so many milliseconds, or never.
    fn rates(plan: Plan, after: Option<u64>) -> (u64, u64, Duration, Duration) {
        let mut toy = Toy::new(plan);
        let mut waiting: Vec<(u64, (usize, Vec<u8>))> = Vec::new();
        for now in 0..100_000 {
            toy.now = millis(now);
            waiting.retain(|(due, request)| {
                if *due <= now {
                    toy.answer(request);
                }
                *due > now
            });
            let sent = toy.at(now);
            waiting.extend(sent.into_iter().filter_map(|request| Some((now + after?, request))));
            if toy.generator.is_finished() {
                break;
            }
        }
        let ended = Box::new(toy.generator).finish();
        (ended.tally.sent_in_time, ended.tally.answered_in_time, ended.measured, ended.elapsed)
    }

    #[test]
    fn rates_are_those_of_the_time_in_which_requests_were_due() {
        let second = Duration::from_secs(1);
        let plan = |pace| Plan { pace, duration: second, timeout: 5 * second, ..plan() };
        // What is answered only after the last request makes its rate no lower, and is in no rate of answers.
        let slow = rates(plan(Pace::Steady(100.0)), Some(1_020));
        assert_eq!(slow, (100, 0, second, Duration::from_millis(2_010)));
        assert_eq!(rates(plan(Pace::Steady(100.0)), Some(20)), (100, 99, second, Duration::from_millis(1_010)));
        // The last request is sent long before the end.
        let rare = Plan { duration: 2 * second, ..plan(Pace::Steady(1.0)) };
        assert_eq!(rates(rare, Some(1)), (2, 2, 2 * second, Duration::from_millis(1_001)));
        // Requests that are never answered take their time all the same.
        let dead = Plan { timeout: second / 10, duration: second / 5, ..plan(Pace::Window(64)) };
        assert_eq!(rates(dead, None), (128, 0, second / 5, second / 5));
    }

    #[test]
    fn a_count_ends_the_measured_time_when_the_next_request_would_be_due_or_the_last_is_over() {
        let plan = |pace, count| Plan { pace, count: Some(count), duration: Duration::from_secs(60), ..plan() };
        assert_eq!(rates(plan(Pace::Steady(100.0), 50), Some(1)).2, Duration::from_millis(500));
        assert_eq!(
            rates(plan(Pace::Window(10), 20), Some(7)),
            (20, 20, Duration::from_millis(14), Duration::from_millis(14))
        );
        let dead = rates(plan(Pace::Window(64), 128), None);
        assert_eq!(dead, (128, 0, Duration::from_millis(200), Duration::from_millis(200)));
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
                    _ => toy.generator.unsent(toy.now, request.0, request.1[1]),
                }
            }
            toy.generator.stop(toy.now);
            while !toy.generator.is_finished() {
                now += 100;
                toy.at(now);
            }
            let tally = toy.tally();
            prop_assert_eq!(tally.due, tally.answered() + tally.lost.total());
            prop_assert!(tally.sent <= tally.due);
            prop_assert!(toy.generator.traffic.in_flight.earliest().is_none());
        }
    }
}
