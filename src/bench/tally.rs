//! What became of the requests: [`Tally`] of a whole run, [`Second`] of its timeline, [`Loss`] for every cause.
//!
//! Owns the numbers and their names. How they are printed is the report's business.

use super::histogram::Histogram;

/// Why a request counts as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing that could be an answer came within the time.
    NoAnswer,
    /// Only answers with a wrong Response Authenticator came: mostly another secret.
    WrongAuthenticator,
    /// The Response Authenticator was right and the Message-Authenticator wrong.
    WrongMessageAuthenticator,
    /// The answer was authentic and carried no Message-Authenticator.
    MissingMessageAuthenticator,
    /// Only octets that are no RADIUS packet came.
    Malformed,
    /// The answer was authentic and of a code that answers no Access-Request.
    WrongCode,
    /// The answer was authentic and not the one that was expected.
    Unexpected,
    /// The device turned the server away: its certificate, or its TLS.
    Device,
    /// The other side said that nobody listens at that port (ICMP).
    Refused,
    /// The system did not take the request.
    SendFailed,
    /// It was due and could not leave in time: all Identifiers of all source ports were under way.
    NoIdentifier,
    /// It was due and could not leave in time: all devices were in a conversation.
    NoDevice,
    /// It was due and could not leave in time: the generator was too slow.
    GeneratorLate,
}

/// How many causes there are.
const LOSSES: usize = Loss::ALL.len();

impl Loss {
    /// All causes, in the order of the reports.
    pub const ALL: [Self; 13] = [
        Self::NoAnswer,
        Self::WrongAuthenticator,
        Self::WrongMessageAuthenticator,
        Self::MissingMessageAuthenticator,
        Self::Malformed,
        Self::WrongCode,
        Self::Unexpected,
        Self::Device,
        Self::Refused,
        Self::SendFailed,
        Self::NoIdentifier,
        Self::NoDevice,
        Self::GeneratorLate,
    ];

    /// Its name in JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoAnswer => "no-answer",
            Self::WrongAuthenticator => "wrong-authenticator",
            Self::WrongMessageAuthenticator => "wrong-message-authenticator",
            Self::MissingMessageAuthenticator => "missing-message-authenticator",
            Self::Malformed => "malformed",
            Self::WrongCode => "wrong-code",
            Self::Unexpected => "unexpected",
            Self::Device => "device",
            Self::Refused => "refused",
            Self::SendFailed => "send-failed",
            Self::NoIdentifier => "no-identifier",
            Self::NoDevice => "no-device",
            Self::GeneratorLate => "generator-late",
        }
    }

    /// The cause as a sentence without its full stop, with what can be done about it.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NoAnswer => "no answer in time; overload, or an unknown client, or another secret",
            Self::WrongAuthenticator => "answers with a wrong Response Authenticator; the secrets probably differ",
            Self::WrongMessageAuthenticator => "answers with a wrong Message-Authenticator",
            Self::MissingMessageAuthenticator => {
                "answers without Message-Authenticator; --allow-unsigned takes them as they are"
            }
            Self::Malformed => "answers that are no RADIUS packets",
            Self::WrongCode => "answers with a code that answers no Access-Request",
            Self::Unexpected => "authentic answers, but not the expected ones",
            Self::Device => "the device turned the server away; is its authority in --ca",
            Self::Refused => "refused (ICMP); nobody listens at that port",
            Self::SendFailed => "the system did not take the request",
            Self::NoIdentifier => "due, but all Identifiers were under way; use more --sockets",
            Self::NoDevice => "due, but all devices were in a conversation; use more --devices",
            Self::GeneratorLate => "due, but the generator was too slow; use more --threads",
        }
    }

    /// Whether an answer came that must not be.
    #[must_use]
    pub const fn is_wrong_answer(self) -> bool {
        matches!(
            self,
            Self::WrongAuthenticator
                | Self::WrongMessageAuthenticator
                | Self::MissingMessageAuthenticator
                | Self::Malformed
                | Self::WrongCode
                | Self::Unexpected
        )
    }
}

/// Numbers by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses([u64; LOSSES]);

impl Losses {
    /// Counts one.
    pub fn count(&mut self, cause: Loss) {
        if let Some(count) = self.0.get_mut(cause as usize) {
            *count += 1;
        }
    }

    /// How many there are of a cause.
    #[must_use]
    pub fn of(&self, cause: Loss) -> u64 {
        self.0.get(cause as usize).copied().unwrap_or(0)
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
    }
}

/// What a right answer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Access-Accept.
    Accept,
    /// Access-Reject.
    Reject,
    /// Access-Challenge.
    Challenge,
    /// Protocol-Error, or the echo of a request where that is expected.
    Other,
}

impl Verdict {
    /// All of them, in the order of the reports.
    pub const ALL: [Self; 4] = [Self::Accept, Self::Reject, Self::Challenge, Self::Other];

    /// Its name in JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Challenge => "challenge",
            Self::Other => "other",
        }
    }
}

/// All numbers of a run, the warm-up left out.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests that were due. Of EAP-TLS a whole conversation counts as one request, here and below.
    pub due: u64,
    /// Of those, sent.
    pub sent: u64,
    /// Of those, sent while requests still became due: what the rate is made of.
    pub sent_in_time: u64,
    /// Right answers that came while requests still became due: what the rate is made of.
    pub answered_in_time: u64,
    /// Sent again.
    pub retransmitted: u64,
    /// Latencies of right answers by [`Verdict`], from the moment at which the request was due.
    pub latency: [Histogram; Verdict::ALL.len()],
    /// The same for all answers, from the moment at which the request was sent. Of EAP-TLS every round trip.
    pub service: Histogram,
    /// How long after their moment requests left.
    pub lateness: Histogram,
    /// Answers to requests that had been sent more than once: the server may have repeated a stored answer.
    pub answered_after_retransmission: u64,
    /// Requests without a right answer.
    pub lost: Losses,
    /// Answers that were not believed, by what was wrong. One request may draw several.
    pub disbelieved: Losses,
    /// Right answers to requests that were answered before.
    pub duplicates: u64,
    /// Right answers to requests that had been given up.
    pub late: u64,
    /// Answers that fit no request that is remembered, at Identifiers that were used again within the time that answers take:
    /// they may be right ones that came very late, so that they say nothing about the server.
    pub unattributed: u64,
    /// Datagrams that answer nothing that was sent lately.
    pub strays: u64,
    /// Notices that nobody listens there.
    pub refusals: u64,
    /// Answers that this machine's kernel dropped, because a source port's buffer was full: the generator was too slow.
    pub dropped_here: u64,
}

impl Tally {
    /// Requests with a right answer.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.latency.iter().map(Histogram::count).sum()
    }

    /// Latencies of all right answers, whatever they said.
    #[must_use]
    pub fn latency_of_all(&self) -> Histogram {
        let mut all = Histogram::new();
        self.latency.iter().for_each(|of_verdict| all.add(of_verdict));
        all
    }

    /// How many right answers said this.
    #[must_use]
    pub fn answers(&self, verdict: Verdict) -> u64 {
        self.latency.get(verdict as usize).map_or(0, Histogram::count)
    }

    /// Answers that must not be, of requests that were lost by them and of others.
    #[must_use]
    pub fn wrong_answers(&self) -> u64 {
        self.disbelieved.total() + self.strays
    }

    /// Adds the numbers of another thread.
    pub fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.sent_in_time += other.sent_in_time;
        self.answered_in_time += other.answered_in_time;
        self.retransmitted += other.retransmitted;
        self.latency.iter_mut().zip(&other.latency).for_each(|(sum, more)| sum.add(more));
        self.service.add(&other.service);
        self.lateness.add(&other.lateness);
        self.answered_after_retransmission += other.answered_after_retransmission;
        self.lost.add(&other.lost);
        self.disbelieved.add(&other.disbelieved);
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.unattributed += other.unattributed;
        self.strays += other.strays;
        self.refusals += other.refusals;
        self.dropped_here += other.dropped_here;
    }
}

/// One second of a run: what happened in it, whenever the requests were due.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// Its number, from 0.
    pub number: u64,
    /// Requests sent, without retransmissions.
    pub sent: u64,
    /// Right answers received.
    pub answered: u64,
    /// Requests given up.
    pub lost: u64,
    /// Requests under way at its end.
    pub in_flight: u64,
    /// Latencies of the right answers.
    pub latency: Histogram,
}

impl Second {
    /// An empty one.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// Adds the same second of another thread.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.lost += other.lost;
        self.in_flight += other.in_flight;
        self.latency.add(&other.latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_place_and_name() {
        let mut losses = Losses::default();
        for (times, cause) in Loss::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| losses.count(cause));
        }
        assert!(Loss::ALL.into_iter().enumerate().all(|(times, cause)| losses.of(cause) == times as u64));
        assert_eq!(losses.total(), (0..13).sum::<u64>());
        let names: std::collections::BTreeSet<_> = Loss::ALL.map(Loss::label).into_iter().collect();
        assert_eq!(names.len(), 13);
    }

    #[test]
    fn the_numbers_of_two_threads_add_up() {
        let mut one = Tally { due: 3, sent: 2, late: 1, ..Tally::default() };
        one.latency[Verdict::Reject as usize].record(std::time::Duration::from_millis(1));
        one.lost.count(Loss::Refused);
        let other = one.clone();
        one.add(&other);
        assert_eq!((one.due, one.sent, one.late, one.answered(), one.answers(Verdict::Reject)), (6, 4, 2, 2, 2));
        assert_eq!((one.lost.of(Loss::Refused), one.latency_of_all().count()), (2, 2));
    }
}
