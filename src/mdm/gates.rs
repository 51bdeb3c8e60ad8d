//! The breakers of one server's services, and what shut each of them.
//!
//! Owns that a refusal says why and for how long. When a breaker shuts is its own judgement, what is logged is the line's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    clock::{Mono, Now},
    device::question::Failure,
    metrics::mdm::Service,
};

use super::{
    breaker::{Breaker, Change, Report},
    chance,
    explain::Complaint,
};

/// The breakers of all services of one server.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<[Gate; Service::ALL.len()]>);

#[derive(Debug, Default)]
struct Gate {
    breaker: Breaker,
    /// The sentence of what shut it last.
    sentence: Option<Arc<str>>,
}

impl Gates {
    /// Why a service is not asked now, and until when.
    pub(super) fn shut(&self, service: Service, now: Now) -> Option<(Failure, Mono)> {
        self.gates().get(service as usize)?.breaker.shut(now)
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// What shut the breaker, and when a call may try again.
    pub(super) fn admit(&self, service: Service, now: Now) -> Result<(), Complaint> {
        let mut gates = self.gates();
        let Some(gate) = gates.get_mut(service as usize) else { return Ok(()) };
        gate.breaker.admit(now).map_err(|(failure, until)| gate.refusal(service, failure, until.since(now.mono)))
    }

    /// Refuses what [`Self::admit`] would, without taking the place of the one call that may try.
    ///
    /// # Errors
    /// As there.
    pub(super) fn refuse_if_shut(&self, service: Service, now: Now) -> Result<(), Complaint> {
        let gates = self.gates();
        let Some(gate) = gates.get(service as usize) else { return Ok(()) };
        let shut = gate.breaker.shut(now);
        shut.map_or(Ok(()), |(failure, until)| Err(gate.refusal(service, failure, until.since(now.mono))))
    }

    /// Notes what came of a call.
    pub(super) fn note(
        &self,
        service: Service,
        now: Now,
        report: Report,
        complaint: Option<&Complaint>,
    ) -> Option<Change> {
        let mut gates = self.gates();
        let gate = gates.get_mut(service as usize)?;
        let change = gate.breaker.note(now, report, chance::roll());
        if let (Some((because, _)), Some(complaint)) = (gate.breaker.shut(now), complaint)
            && because == complaint.failure
        {
            gate.sentence = Some(Arc::clone(&complaint.sentence));
        }
        change
    }

    /// Forgets what was refused, as an admin may have mended.
    pub(super) fn forgive_refusals(&self) {
        for gate in self.gates().iter_mut() {
            gate.breaker.forgive_refusal();
        }
    }

    fn gates(&self) -> MutexGuard<'_, [Gate; Service::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// The complaint of a shut breaker: what shut it, because that holds what to do, and for how long.
    fn refusal(&self, service: Service, failure: Failure, wait: Duration) -> Complaint {
        let (name, seconds) = (service.name(), wait.as_millis().div_ceil(1000));
        let sentence = match &self.sentence {
            Some(sentence) => format!("{sentence} ({name} is asked again in {seconds} s)"),
            None => format!("{name} is not asked after failures, and again in {seconds} s"),
        };
        Complaint { retry_after: Some(wait), ..Complaint::new(failure, sentence) }.unasked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_repeats_what_shut_the_service_and_says_when_it_is_asked_again() {
        let (gates, now) = (Gates::default(), Now::default());
        let wrong = Complaint::new(Failure::Misconfigured, "Entra does not know the secret; make a new one");
        gates.note(Service::GraphToken, now, Report::Refused, Some(&wrong));
        // What another call meets meanwhile is not what shut it.
        let down = Complaint::new(Failure::Unreachable, "nobody answers");
        gates.note(Service::GraphToken, now, Report::Unreachable { retry_after: None }, Some(&down));
        let refused = [gates.admit(Service::GraphToken, now), gates.refuse_if_shut(Service::GraphToken, now)];
        for refusal in refused.map(|refused| refused.expect_err("it is shut")) {
            let (said, asked) = (refusal.sentence.to_string(), refusal.asked);
            let head = "Entra does not know the secret; make a new one (graph-token is asked again in 1";
            assert!(said.starts_with(head) && said.ends_with(" s)") && !asked, "{said}");
        }
        assert!(gates.admit(Service::Graph, now).is_ok());
    }
}
