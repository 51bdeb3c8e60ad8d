//! What is under way in one thread, whatever it says: [`Traffic`] knows when the next request leaves, which request an
//! answer belongs to, and what silence means.
//!
//! Owns the rules that MAC bypasses and EAP-TLS have in common. What is written into a request, and what an answer means for
//! it, stands in `generator` and `conversations`.

use std::sync::Arc;

use crate::clock::Mono;

use super::{
    in_flight::{InFlight, Place, Request},
    judge::{is_anybodys, judge},
    plan::Plan,
    schedule::Pace,
    tally::{Loss, Second, Verdict},
    timetable::{Next, Timetable},
    work::{Ended, Ledger, Share},
};

/// Requests that are begun, or sent again, before answers are looked for.
pub(super) const STEPS: usize = 256;

/// What is under way. `T`: what a request belongs to.
pub(super) struct Traffic<T> {
    pub(super) plan: Arc<Plan>,
    pub(super) in_flight: InFlight<T>,
    pub(super) ledger: Ledger,
    timetable: Timetable,
    /// Requests of this share under way at once.
    window: usize,
    /// When each source port was last told that nobody listens.
    refused_at: Vec<Option<Mono>>,
}

/// What becomes of a request that has waited for its answer long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
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
            refused_at: vec![None; share.sockets],
            plan,
        }
    }

    /// What becomes of the next request, if it is due.
    pub(super) fn next(&mut self, now: Mono) -> Option<Next> {
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
    pub(super) fn silent(&mut self, now: Mono) -> Option<(Place, Silence)> {
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

    /// A datagram came: what it says to the request of this place, or why that has to be given up. None if it changes
    /// nothing.
    pub(super) fn receive(
        &mut self,
        now: Mono,
        socket: usize,
        octets: &[u8],
    ) -> Option<(Place, Result<Verdict, Loss>)> {
        let Some(identifier) = octets.get(1).filter(|_| socket < self.refused_at.len()) else {
            self.ledger.stray(now);
            return None;
        };
        let place = Place::of(socket, *identifier);
        let former = self.in_flight.former(place);
        let Some(request) = self.in_flight.request(place) else {
            self.unasked(now, place, octets);
            return None;
        };
        let cause = match judge(octets, &request.authenticator, &self.plan) {
            Ok(verdict) => return Some((place, Ok(verdict))),
            Err(cause) => cause,
        };
        if is_anybodys(cause) && former.is_some_and(|former| judge(octets, &former.authenticator, &self.plan).is_ok()) {
            self.unasked(now, place, octets);
            return None;
        }
        request.disbelieved = Some(cause);
        if request.is_measured {
            self.ledger.tally.disbelieved.count(cause);
        }
        (!is_anybodys(cause)).then_some((place, Err(cause)))
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

    /// Nobody listens where this source port sends to.
    pub(super) fn refused(&mut self, now: Mono, socket: usize) {
        if let Some(at) = self.refused_at.get_mut(socket) {
            *at = Some(now);
            self.ledger.tally.refusals += 1;
        }
    }

    /// Gives a request up; what it belonged to.
    pub(super) fn lose(&mut self, place: Place, cause: Loss) -> Option<T> {
        let request = self.in_flight.finish(place, false)?;
        if request.is_measured {
            self.ledger.lost(cause);
        }
        Some(request.of)
    }

    pub(super) fn take_second(&mut self, now: Mono) -> Option<Second> {
        self.ledger.take_second(now, self.in_flight.count())
    }

    pub(super) const fn stop(&mut self) {
        self.timetable.stop();
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.timetable.is_over() && self.in_flight.count() == 0
    }

    pub(super) fn wake_at(&self, now: Mono) -> Mono {
        let next = self.timetable.wake_at(now, self.room().is_ok(), self.ledger.end);
        let deadline = self.in_flight.earliest().map_or(Mono::NEVER, |(_, deadline)| deadline);
        self.ledger.end_of_second().min(deadline).min(next)
    }

    pub(super) fn finish(self) -> Ended {
        self.ledger.finish()
    }
}
