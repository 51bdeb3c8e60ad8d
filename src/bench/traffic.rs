//! What is under way in one thread, whatever it says: [`Traffic`] knows when the next request leaves, which request an
//! answer belongs to, and what silence means.
//!
//! Owns the rules that MAC bypasses and EAP-TLS have in common. What is written into a request, and what an answer means for
//! it, stands in `generator` and `conversations`.

use std::{sync::Arc, time::Duration};

use crate::{clock::Mono, engine::action::Outbox};

use super::{
    in_flight::{InFlight, Place, Request},
    judge::{Judges, is_anybodys, judge},
    plan::Plan,
    schedule::Pace,
    tally::{Loss, Second, Verdict},
    timetable::{Next, Timetable},
    work::{Ended, Ledger, Share, Work},
};

/// Requests that are begun, or sent again, before answers are looked for.
const STEPS: usize = 256;

/// One kind of load: what is written into a request, and what an answer means for it. The rest is the same for all.
pub(super) trait Load: Send {
    /// What a request belongs to.
    type Of: Send;
    /// How many are begun before answers to others are looked for.
    const BEGUN_IN_A_ROW: usize = STEPS;

    fn traffic(&self) -> &Traffic<Self::Of>;

    fn traffic_mut(&mut self) -> &mut Traffic<Self::Of>;

    fn into_ended(self) -> Ended;

    /// Writes what is due, and sends it, unless that waits for [`send_begun`](Self::send_begun).
    fn begin(&mut self, now: Mono, due: Mono, is_measured: bool, out: &mut dyn Outbox);

    /// Sends what was only written.
    fn send_begun(&mut self, _: &mut dyn Outbox) {}

    /// Sends the request of this place with the same octets.
    fn send_again(&mut self, place: Place, out: &mut dyn Outbox);

    /// An authentic answer came to the request of this place.
    fn answered(&mut self, now: Mono, place: Place, verdict: Verdict, octets: &[u8], out: &mut dyn Outbox);

    /// Gives the request of this place up, if there is one.
    fn lose(&mut self, now: Mono, place: Place, cause: Loss) {
        self.traffic_mut().lose(now, place, cause);
    }
}

impl<L: Load> Work for L {
    fn offer(&mut self, now: Mono, out: &mut dyn Outbox) {
        let mut begun = 0;
        for _ in 0..STEPS {
            if begun == L::BEGUN_IN_A_ROW {
                break;
            }
            match self.traffic_mut().next(now) {
                Some(Next::Leave { due, is_measured }) => {
                    begun += 1;
                    self.begin(now, due, is_measured, out);
                }
                Some(Next::TooOld) => {}
                None => break,
            }
        }
        self.send_begun(out);
    }

    fn expire(&mut self, now: Mono, out: &mut dyn Outbox) {
        for _ in 0..STEPS {
            match self.traffic_mut().silent(now) {
                Some((place, Silence::Again)) => self.send_again(place, out),
                Some((place, Silence::Lost(cause))) => self.lose(now, place, cause),
                None => return,
            }
        }
    }

    fn see(&mut self, socket: usize, datagrams: &mut dyn Iterator<Item = &[u8]>) {
        self.traffic_mut().see(socket, datagrams);
    }

    fn receive(&mut self, now: Mono, socket: usize, octets: &[u8], out: &mut dyn Outbox) {
        match self.traffic_mut().receive(now, socket, octets) {
            Some((place, Ok(verdict))) => self.answered(now, place, verdict, octets, out),
            Some((place, Err(cause))) => self.lose(now, place, cause),
            None => {}
        }
    }

    fn refused(&mut self, now: Mono, socket: usize) {
        self.traffic_mut().refused(now, socket);
    }

    fn unsent(&mut self, now: Mono, socket: usize, identifier: u8) {
        self.lose(now, Place::of(socket, identifier), Loss::SendFailed);
    }

    fn take_second(&mut self, now: Mono) -> Option<Second> {
        self.traffic_mut().take_second(now)
    }

    fn stop(&mut self, now: Mono) {
        self.traffic_mut().stop(now);
    }

    fn is_finished(&self) -> bool {
        self.traffic().is_finished()
    }

    fn wake_at(&self, now: Mono) -> Mono {
        self.traffic().wake_at(now)
    }

    fn measured_from(&self) -> Mono {
        self.traffic().ledger.measured_from
    }

    fn finish(self: Box<Self>) -> Ended {
        self.into_ended()
    }
}

/// What is under way. `T`: what a request belongs to.
pub(super) struct Traffic<T> {
    pub(super) plan: Arc<Plan>,
    pub(super) in_flight: InFlight<T>,
    pub(super) ledger: Ledger,
    timetable: Timetable,
    /// Requests of this share under way at once.
    window: usize,
    judges: Judges,
    /// When each source port was last told that nobody listens.
    refused_at: Vec<Option<Mono>>,
    /// The longest that a right answer took after its request, those that came too late included.
    slowest: Duration,
}

/// What becomes of a request that has waited for its answer long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// It is sent again as it was, and waits again.
    Again,
    /// It has to be given up.
    Lost(Loss),
}

impl<T> Traffic<T> {
    /// `start`: the same for all threads; `most`: under way at once, whatever the pace.
    pub(super) fn new(plan: Arc<Plan>, share: &Share, start: Mono, most: usize) -> Self {
        let window = match plan.pace {
            Pace::Window(window) => usize::try_from(share.part(window as u64)).unwrap_or(window),
            Pace::Steady(_) | Pace::Storm { .. } => most,
        };
        Self {
            in_flight: InFlight::new(share.sockets),
            ledger: Ledger::new(&plan, start),
            timetable: Timetable::new(&plan, share, start),
            window: window.min(most),
            judges: Judges::default(),
            refused_at: vec![None; share.sockets],
            slowest: Duration::ZERO,
            plan,
        }
    }

    /// What becomes of the next request, if it is due.
    fn next(&mut self, now: Mono) -> Option<Next> {
        let room = self.room();
        self.timetable.next(now, room, &mut self.ledger)
    }

    fn room(&self) -> Result<(), Loss> {
        if !self.in_flight.has_room() {
            return Err(Loss::NoIdentifier);
        }
        // In an open loop nothing else bounds how many are under way. In a closed one nothing that waits is due.
        if self.in_flight.count() < self.window { Ok(()) } else { Err(Loss::NoDevice) }
    }

    /// `request` leaves from this place now, and waits for its answer.
    pub(super) fn start(&mut self, now: Mono, place: Place, request: Request<T>) {
        self.in_flight.start(place, request, now.plus(self.plan.timeout));
    }

    /// The next request that has waited long enough; one that is to be given up comes again until it is.
    fn silent(&mut self, now: Mono) -> Option<(Place, Silence)> {
        let (place, _) = self.in_flight.earliest().filter(|(_, deadline)| *deadline <= now)?;
        let request = self.in_flight.request(place)?;
        if request.retransmissions < self.plan.retries {
            request.retransmissions += 1;
            self.ledger.tally.retransmitted += u64::from(request.is_measured);
            self.in_flight.postpone(place, now.plus(self.plan.timeout));
            return Some((place, Silence::Again));
        }
        let refused_at = self.refused_at.get(place.socket()).copied().flatten();
        let was_refused = refused_at.is_some_and(|at| at >= request.sent);
        let silence = if was_refused { Loss::Refused } else { Loss::NoAnswer };
        Some((place, Silence::Lost(request.disbelieved.unwrap_or(silence))))
    }

    /// Datagrams came that will be [received](Self::receive) next, in this order.
    fn see(&mut self, socket: usize, datagrams: &mut dyn Iterator<Item = &[u8]>) {
        self.judges.begin();
        for octets in datagrams {
            let identifier = octets.get(1).filter(|_| socket < self.refused_at.len());
            let request = identifier.and_then(|identifier| self.in_flight.request(Place::of(socket, *identifier)));
            let authenticator = request.map(|request| request.authenticator);
            self.judges.see(octets, authenticator, &self.plan);
        }
        self.judges.run();
    }

    /// A datagram came: what it says to the request of this place, or why that has to be given up. None if it changes
    /// nothing.
    fn receive(&mut self, now: Mono, socket: usize, octets: &[u8]) -> Option<(Place, Result<Verdict, Loss>)> {
        let Some(identifier) = octets.get(1).filter(|_| socket < self.refused_at.len()) else {
            self.judges.pass_over();
            self.ledger.stray(now);
            return None;
        };
        let place = Place::of(socket, *identifier);
        let Some(request) = self.in_flight.request(place) else {
            self.judges.pass_over();
            if !self.is_of_former(now, place, octets) {
                self.ledger.stray(now);
            }
            return None;
        };
        let cause = match self.judges.judge_next(octets, &request.authenticator, &self.plan) {
            Ok(verdict) => {
                self.slowest = self.slowest.max(now.since(request.sent));
                return Some((place, Ok(verdict)));
            }
            Err(cause) => cause,
        };
        if is_anybodys(cause) && self.is_of_former(now, place, octets) {
            return None;
        }
        let request = self.in_flight.request(place)?;
        request.disbelieved = Some(cause);
        if request.is_measured {
            self.ledger.tally.disbelieved.count(cause);
        }
        (!is_anybodys(cause)).then_some((place, Err(cause)))
    }

    /// Whether an answer belongs, or may belong, to a request that had this place before; it is counted then.
    fn is_of_former(&mut self, now: Mono, place: Place, octets: &[u8]) -> bool {
        let formers = self.in_flight.formers(place);
        let counted = u64::from(self.ledger.counts(now));
        let right = formers.iter().flatten().find(|former| judge(octets, &former.authenticator, &self.plan).is_ok());
        if let Some(former) = right {
            self.slowest = self.slowest.max(now.since(former.sent));
            let tally = &mut self.ledger.tally;
            *if former.was_answered { &mut tally.duplicates } else { &mut tally.late } += counted;
            return true;
        }
        let [.., Some(oldest)] = formers else { return false };
        // Answers have taken about as long as this Identifier took to be used again so often: it may belong to a request
        // that nobody remembers. Twice, because what was seen so far need not be the longest.
        let is_reused_soon = now.since(oldest.sent) <= self.slowest.saturating_mul(2);
        let may_be_right =
            is_reused_soon && matches!(judge(octets, &oldest.authenticator, &self.plan), Err(Loss::WrongAuthenticator));
        self.ledger.tally.unattributed += if may_be_right { counted } else { 0 };
        may_be_right
    }

    /// Nobody listens where this source port sends to.
    fn refused(&mut self, now: Mono, socket: usize) {
        if let Some(at) = self.refused_at.get_mut(socket) {
            *at = Some(now);
            self.ledger.tally.refusals += u64::from(self.ledger.counts(now));
        }
    }

    /// Gives a request up; what it belonged to.
    pub(super) fn lose(&mut self, now: Mono, place: Place, cause: Loss) -> Option<T> {
        let request = self.in_flight.finish(place, false)?;
        if request.is_measured {
            self.ledger.lost(now, cause);
        }
        Some(request.of)
    }

    fn take_second(&mut self, now: Mono) -> Option<Second> {
        self.ledger.take_second(now, self.in_flight.count())
    }

    fn stop(&mut self, now: Mono) {
        self.timetable.stop(now, &mut self.ledger);
    }

    const fn is_finished(&self) -> bool {
        self.timetable.is_over() && self.in_flight.count() == 0
    }

    fn wake_at(&self, now: Mono) -> Mono {
        let next = self.timetable.wake_at(now, self.room().is_ok(), self.ledger.end);
        let deadline = self.in_flight.earliest().map_or(Mono::NEVER, |(_, deadline)| deadline);
        self.ledger.end_of_second().min(deadline).min(next)
    }

    pub(super) fn finish(self) -> Ended {
        self.ledger.finish()
    }
}
