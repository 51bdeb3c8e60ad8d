//! The way to one server's services: every call pays from the budget, passes its breaker, and is counted.
//!
//! Owns the order of these steps and the line in the log when a service falls silent or answers again. What a reply means
//! is judged by whoever called.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tracing::{info, warn};

use crate::{
    clock::{self, Mono, Now},
    device::question::{Failure, Key},
    metrics::mdm::{CallOutcome, ServerCells, Service},
};

use super::{
    breaker::{Change, Report},
    desk::Desk,
    explain::Complaint,
    manners::{Manners, Shift},
    skew::{Skew, Told},
    spare_time::SpareTime,
    transport::{Broken, Call, Reply, Transport},
};

/// A service that does not answer within less than this is not to blame: its breaker hears nothing of it.
const FAIR_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to one server's services.
#[derive(Debug)]
pub(super) struct Line {
    name: Arc<str>,
    transport: Transport,
    manners: Arc<Manners>,
    skew: Mutex<Skew>,
    metrics: Arc<ServerCells>,
}

/// Who pays for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payment {
    /// The token of the question about this key was taken already.
    Turn(Key),
    /// The next token there is, on the account of this question: somebody waits for this call.
    Further(Key),
    /// The token was taken already.
    Paid,
    /// The next token there is: somebody waits for this call.
    Inline,
    /// A token that nobody else wants.
    Background,
}

impl Payment {
    /// How the call after this one is paid.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Turn(key) | Self::Further(key) => Self::Further(key),
            Self::Paid | Self::Inline => Self::Inline,
            Self::Background => Self::Background,
        }
    }
}

impl Line {
    pub(super) fn new(name: Arc<str>, transport: Transport, manners: Arc<Manners>, metrics: Arc<ServerCells>) -> Self {
        Self { name, transport, manners, skew: Mutex::default(), metrics }
    }

    /// From now on it is this line that asks.
    pub(super) fn begin(&self, requests_per_second: u32) -> Shift {
        let now = clock::now();
        let shift = self.manners.begin(now, requests_per_second);
        for service in Service::ALL {
            self.metrics.note_shut(service, self.shut(service, now).is_some());
        }
        shift
    }

    pub(super) fn manners(&self) -> &Manners {
        &self.manners
    }

    /// Where what nobody waits for is done.
    pub(super) const fn spare_time(&self) -> &SpareTime {
        self.transport.spare_time()
    }

    /// The name of the server, for the log.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn metrics(&self) -> &ServerCells {
        &self.metrics
    }

    /// The questions that wait.
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.manners.desk()
    }

    /// Why a service is not asked now, and until when.
    pub(super) fn shut(&self, service: Service, now: Now) -> Option<(Failure, Mono)> {
        self.manners.gates.shut(service, now)
    }

    /// Sends one call. The caller judges the reply and must [`Self::note`] what it is worth.
    ///
    /// # Errors
    /// The service is shut, the budget is empty for too long, or nothing came back; noted already.
    pub(super) async fn send(&self, service: Service, call: Call, payment: Payment) -> Result<Reply, Complaint> {
        let name = service.name();
        // Paid before it is let through: whoever has the place of the one call that may try must not wait or give up.
        self.refuse_if_shut(service)?;
        self.pay(payment, &call, name).await?;
        self.manners.gates.admit(service, clock::now())?;
        let host = call.url.host_str().unwrap_or("").to_owned();
        let is_fair = call.timeout >= FAIR_TIMEOUT;
        match self.transport.send(call).await {
            Ok(reply) => {
                self.compare_clocks(&reply);
                Ok(reply)
            }
            Err(Broken::TimedOut) if !is_fair => {
                let complaint = Complaint::new(Failure::Late, format!("{name} had too little time left to answer"));
                self.count(service, Err(&complaint));
                Err(complaint)
            }
            Err(broken) => {
                let complaint = Complaint::broken(name, &host, &broken);
                self.note(service, Err(&complaint));
                Err(complaint)
            }
        }
    }

    /// Notes what came of a call.
    pub(super) fn note(&self, service: Service, outcome: Result<(), &Complaint>) {
        let now = clock::now();
        let report = self.count(service, outcome);
        let change = self.manners.gates.note(service, now, report, outcome.err());
        match (change, outcome) {
            (Some(Change::Shut(failure, pause)), Err(complaint)) => {
                self.metrics.note_shut(service, true);
                warn!(
                    server = %self.name, service = service.name(), result = failure.name(), pause_ms = pause.as_millis(),
                    "{}", complaint.sentence
                );
            }
            (Some(Change::Flows), _) => {
                self.metrics.note_shut(service, false);
                info!(server = %self.name, service = service.name(), "answers again");
            }
            _ => {}
        }
    }

    /// Counts a call without telling the breaker of its service.
    pub(super) fn count(&self, service: Service, outcome: Result<(), &Complaint>) -> Report {
        let report = outcome.map_or_else(Complaint::report, |()| Report::Answered);
        let counted = match report {
            Report::Answered => CallOutcome::Answered,
            Report::Unreachable { .. } => CallOutcome::Unreachable,
            Report::Throttled { .. } => CallOutcome::Throttled,
            Report::Refused => CallOutcome::Misconfigured,
        };
        self.metrics.count_call(service, counted);
        report
    }

    /// Refuses if a service is not asked now, without taking the place of the one call that may try.
    ///
    /// # Errors
    /// As [`Self::send`] would.
    pub(super) fn refuse_if_shut(&self, service: Service) -> Result<(), Complaint> {
        self.manners.gates.refuse_if_shut(service, clock::now())
    }

    async fn pay(&self, payment: Payment, call: &Call, service: &str) -> Result<(), Complaint> {
        let asked = match payment {
            Payment::Turn(_) | Payment::Paid => return Ok(()),
            Payment::Background => {
                self.pay_for_background(1).await;
                return Ok(());
            }
            Payment::Further(key) => Some(key),
            Payment::Inline => None,
        };
        let now = clock::now();
        let wait = self.desk().book(now, asked).since(now.mono);
        if wait > call.timeout {
            let sentence = format!("{service} could not be asked in time within requests-per-second");
            return Err(Complaint::new(Failure::Throttled, sentence).unasked());
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Takes the tokens for `calls` calls that nobody waits for.
    pub(super) async fn pay_for_background(&self, calls: usize) {
        for _ in 0..calls {
            loop {
                let now = clock::now();
                let taken = self.desk().take_for_background(now);
                let Err(at) = taken else { break };
                tokio::time::sleep(at.since(now.mono)).await;
            }
        }
    }

    /// Assertions and tokens have times in them: a wrong clock shows here first.
    fn compare_clocks(&self, reply: &Reply) {
        let Some(offset_secs) = reply.offset_secs else { return };
        self.metrics.clock_offset.set(offset_secs);
        let told = self.skew().note(clock::now(), offset_secs);
        match told {
            Some(Told::Wrong(offset_secs)) => warn!(
                server = %self.name, offset_secs,
                "this machine's clock and Microsoft's differ; set it, with NTP: beyond some minutes tokens are refused"
            ),
            Some(Told::RightAgain) => info!(server = %self.name, "this machine's clock agrees with Microsoft's again"),
            None => {}
        }
    }

    /// Seconds that this machine's clock is ahead of Microsoft's; none as long as nobody answered.
    pub(super) fn clock_offset_secs(&self) -> Option<i64> {
        self.skew().offset_secs()
    }

    fn skew(&self) -> MutexGuard<'_, Skew> {
        self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::*;
    use crate::mdm::settings::{Credential, Intune, SecretText};

    fn line() -> Line {
        let secret = Credential::Secret(SecretText::fixed("x".to_owned().into()));
        let intune = Intune::new("t", "aaaa1111-bb22-cc33-dd44-eeee5555ffff", secret);
        let transport = Transport::new(&intune, SpareTime::none()).expect("the defaults are right");
        Line::new("corp".into(), transport, Arc::default(), Arc::default())
    }

    /// Trap 18: the end of our own patience is not the service's fault.
    #[tokio::test]
    async fn a_call_that_had_too_little_time_is_no_failure_of_the_service() {
        // Its connections are made by the kernel; nobody ever answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let url = format!("http://{}/", silent.local_addr().expect("it is bound"));
        let line = line();
        for _ in 0..10 {
            let url = Url::parse(&url).expect("a URL");
            let call = Call::get(url, None, "application/json", Duration::from_millis(20));
            let complaint = line.send(Service::Graph, call, Payment::Paid).await.expect_err("nobody answers");
            assert_eq!(complaint.failure, Failure::Late);
        }
        assert_eq!(line.shut(Service::Graph, clock::now()), None);
    }

    #[tokio::test]
    async fn a_call_that_can_not_be_paid_does_not_take_the_place_of_the_one_that_may_try() {
        let line = line();
        let now = clock::now();
        let long_ago = Now { mono: now.mono.minus(Duration::from_secs(60)), ..now };
        line.manners.gates.note(Service::Graph, long_ago, Report::Throttled { retry_after: None }, None);
        for _ in 0..200 {
            line.desk().book(clock::now(), None);
        }
        let url = Url::parse("http://127.0.0.1:1/").expect("a URL");
        let call = Call::get(url, None, "application/json", Duration::from_millis(100));
        let complaint = line.send(Service::Graph, call, Payment::Inline).await.expect_err("the budget is empty");
        assert!(complaint.sentence.contains("requests-per-second"), "{}", complaint.sentence);
        assert_eq!(line.shut(Service::Graph, clock::now()), None, "the next one may try");
    }

    #[tokio::test]
    async fn a_shut_breaker_says_for_how_long_and_that_nobody_was_asked() {
        let line = line();
        let asked = Duration::from_secs(60);
        let throttled = Complaint { retry_after: Some(asked), ..Complaint::new(Failure::Throttled, "429") };
        line.note(Service::Graph, Err(&throttled));
        let url = Url::parse("http://127.0.0.1:1/").expect("a URL");
        let call = Call::get(url, None, "application/json", asked);
        let complaint = line.send(Service::Graph, call, Payment::Paid).await.expect_err("it is shut");
        let wait = complaint.retry_after.expect("it is known");
        assert!(wait > asked * 9 / 10 && wait <= asked * 5 / 4, "{wait:?}");
        assert_eq!((complaint.failure, complaint.asked), (Failure::Throttled, false));
    }
}
