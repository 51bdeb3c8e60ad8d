//! What came of a run: [`Report`], its timeline, and both as JSON.
//!
//! Owns the names of the fields, which scripts rely on. Tables for people are the command's business.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    devices::Distribution,
    forged::Forged,
    histogram::Histogram,
    plan::Plan,
    schedule::Pace,
    tally::{Loss, Losses, Second, Tally, Verdict},
};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was carried out.
    pub plan: Plan,
    /// The measured part, from its beginning to the last request, answer or loss.
    pub elapsed: Duration,
    /// For how long of it requests became due; in a closed loop with a count, all of it. Rates are told over this, and made of
    /// what happened in it. None if there was nothing.
    pub measured: Option<Duration>,
    /// What became of the requests.
    pub tally: Tally,
    /// Whether the server verifies what it is asked.
    pub forged: Forged,
    /// The timeline.
    pub rows: Vec<Row>,
}

/// One second of the timeline. The last one may have been shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 0.
    pub second: u64,
    /// Requests sent, without retransmissions.
    pub sent: u64,
    /// Right answers received.
    pub answered: u64,
    /// Requests given up.
    pub lost: u64,
    /// Requests under way at its end.
    pub in_flight: u64,
    /// Half of the answers took no longer than this.
    pub p50: Duration,
    /// 99 of a hundred took no longer than this.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Row {
    pub(super) fn of(second: &Second) -> Self {
        Self {
            second: second.number,
            sent: second.sent,
            answered: second.answered,
            lost: second.lost,
            in_flight: second.in_flight,
            p50: second.latency.percentile(0.5),
            p99: second.latency.percentile(0.99),
            max: second.latency.max(),
        }
    }
}

/// The percentiles that are told: their names in JSON, and the shares.
pub const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

impl Report {
    /// Requests sent a second.
    #[must_use]
    pub fn sent_per_second(&self) -> f64 {
        per_second(self.tally.sent_in_time, self.measured.unwrap_or_default())
    }

    /// Right answers a second.
    #[must_use]
    pub fn answered_per_second(&self) -> f64 {
        per_second(self.tally.answered_in_time, self.measured.unwrap_or_default())
    }

    /// Whether at least one request was answered, no answer was wrong, and none came to a request with a wrong signature.
    /// Lost requests don't count here: to lose some may be what a run is for.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.tally.answered() > 0 && self.tally.wrong_answers() == 0 && self.forged.answered == 0
    }

    /// All of it as one object. Times are in microseconds, rates in units a second.
    #[must_use]
    pub fn json(&self) -> Value {
        let tally = &self.tally;
        let service = if self.plan.eap_tls.is_some() { "round-trip-us" } else { "latency-from-sending-us" };
        let verdicts = Verdict::ALL.map(|verdict| (verdict.label(), tally.answers(verdict)));
        json!({
            "server": self.plan.server.to_string(),
            "mode": mode(&self.plan),
            "elapsed-s": self.elapsed.as_secs_f64(),
            "measured-s": self.measured.unwrap_or_default().as_secs_f64(),
            "requests": {
                "due": tally.due,
                "sent": tally.sent,
                "retransmitted": tally.retransmitted,
                "sent-per-second": self.sent_per_second(),
            },
            "answers": {
                "total": tally.answered(),
                "per-second": self.answered_per_second(),
                "after-retransmission": tally.answered_after_retransmission,
                "by-code": object(verdicts),
            },
            "lost": causes(&tally.lost, |_| true),
            "replies": {
                "disbelieved": causes(&tally.disbelieved, Loss::is_wrong_answer),
                "duplicate": tally.duplicates,
                "late": tally.late,
                "unattributed": tally.unattributed,
                "stray": tally.strays,
                "refusals": tally.refusals,
                "dropped-here": tally.dropped_here,
            },
            "forged": { "sent": self.forged.sent, "answered": self.forged.answered },
            "latency-us": latencies(&tally.latency_of_all()),
            "latency-by-code-us": Verdict::ALL
                .into_iter()
                .zip(&tally.latency)
                .filter(|(_, of_verdict)| of_verdict.count() > 0)
                .map(|(verdict, of_verdict)| (verdict.label().to_owned(), latencies(of_verdict)))
                .collect::<Map<_, _>>(),
            service: latencies(&tally.service),
            "sent-after-due-us": latencies(&tally.lateness),
            "timeline": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "second": self.second,
            "sent": self.sent,
            "answered": self.answered,
            "lost": self.lost,
            "in-flight": self.in_flight,
            "p50-us": micros(self.p50),
            "p99-us": micros(self.p99),
            "max-us": micros(self.max),
        })
    }
}

fn mode(plan: &Plan) -> Value {
    let mut mode = match plan.pace {
        Pace::Window(window) => json!({ "pace": "closed-loop", "window": window }),
        Pace::Steady(rate) => json!({ "pace": "open-loop", "rate": rate }),
        Pace::Storm { rate, ramp } => json!({ "pace": "storm", "rate": rate, "ramp-s": ramp.as_secs_f64() }),
    };
    let kind = if plan.eap_tls.is_some() { "eap-tls".into() } else { mode["pace"].clone() };
    let distribution = match plan.distribution {
        Distribution::Uniform => "uniform".to_owned(),
        Distribution::Zipf(exponent) => format!("zipf:{exponent}"),
    };
    let more = json!({
        "kind": kind,
        "method": if plan.eap_tls.is_some() { "eap-tls" } else { "mab" },
        "latency-begins": if plan.pace.rate().is_some() { "due" } else { "sent" },
        "warm-up-s": plan.warm_up.as_secs_f64(),
        "duration-s": plan.duration.as_secs_f64(),
        "count": plan.count,
        "timeout-s": plan.timeout.as_secs_f64(),
        "retries": plan.retries,
        "sockets": plan.sockets,
        "threads": plan.threads,
        "devices": plan.devices.count(),
        "distribution": distribution,
    });
    if let (Some(mode), Value::Object(more)) = (mode.as_object_mut(), more) {
        mode.extend(more);
    }
    mode
}

fn causes(losses: &Losses, is_possible: fn(Loss) -> bool) -> Value {
    let possible = Loss::ALL.into_iter().filter(|cause| is_possible(*cause));
    json!({ "total": losses.total(), "by-cause": object(possible.map(|cause| (cause.label(), losses.of(cause)))) })
}

fn object<'n>(numbers: impl IntoIterator<Item = (&'n str, u64)>) -> Value {
    Value::Object(numbers.into_iter().map(|(name, number)| (name.to_owned(), number.into())).collect())
}

fn latencies(histogram: &Histogram) -> Value {
    let mut told = Map::new();
    told.insert("count".to_owned(), histogram.count().into());
    told.insert("min".to_owned(), micros(histogram.min()).into());
    told.insert("mean".to_owned(), micros(histogram.mean()).into());
    for (name, share) in PERCENTILES {
        told.insert(name.to_owned(), micros(histogram.percentile(share)).into());
    }
    told.insert("max".to_owned(), micros(histogram.max()).into());
    Value::Object(told)
}

fn micros(duration: Duration) -> f64 {
    // To the nanosecond: more digits would only be noise of the division.
    (duration.as_secs_f64() * 1e9).round() / 1e3
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { (count as f64 / elapsed.as_secs_f64() * 10.0).round() / 10.0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::radius::secret::Secret;

    #[test]
    fn the_fields_of_the_json_are_these() {
        let mut plan =
            Plan::new(([127, 0, 0, 1], 1812).into(), Arc::new(Secret::new(b"secret".to_vec()).expect("it has octets")));
        plan.pace = Pace::Storm { rate: 10.0, ramp: Duration::from_secs(1) };
        plan.distribution = Distribution::Zipf(1.0);
        let mut tally = Tally { due: 3, sent: 2, sent_in_time: 2, answered_in_time: 1, late: 1, ..Tally::default() };
        tally.latency[Verdict::Accept as usize].record(Duration::from_micros(100));
        tally.lost.count(Loss::NoAnswer);
        tally.lost.count(Loss::NoIdentifier);
        let mut second = Second { sent: 2, answered: 1, lost: 2, ..Second::new(0) };
        second.latency.record(Duration::from_micros(100));
        let (elapsed, measured) = (Duration::from_millis(700), Some(Duration::from_millis(500)));
        let forged = Forged { sent: 6, answered: 0 };
        let report = Report { plan, elapsed, measured, tally, forged, rows: vec![Row::of(&second)] };
        let json = report.json();
        let fields = json.as_object().unwrap().iter().map(|(name, value)| format!("{name} {value}"));
        insta::assert_snapshot!(fields.collect::<Vec<_>>().join("\n"), @r#"
        answers {"after-retransmission":0,"by-code":{"accept":1,"challenge":0,"other":0,"reject":0},"per-second":2.0,"total":1}
        elapsed-s 0.7
        forged {"answered":0,"sent":6}
        latency-by-code-us {"accept":{"count":1,"max":100.0,"mean":100.0,"min":100.0,"p50":100.0,"p90":100.0,"p99":100.0,"p99.9":100.0}}
        latency-from-sending-us {"count":0,"max":0.0,"mean":0.0,"min":0.0,"p50":0.0,"p90":0.0,"p99":0.0,"p99.9":0.0}
        latency-us {"count":1,"max":100.0,"mean":100.0,"min":100.0,"p50":100.0,"p90":100.0,"p99":100.0,"p99.9":100.0}
        lost {"by-cause":{"device":0,"generator-late":0,"malformed":0,"missing-message-authenticator":0,"no-answer":1,"no-device":0,"no-identifier":1,"refused":0,"send-failed":0,"unexpected":0,"wrong-authenticator":0,"wrong-code":0,"wrong-message-authenticator":0},"total":2}
        measured-s 0.5
        mode {"count":null,"devices":1,"distribution":"zipf:1","duration-s":10.0,"kind":"storm","latency-begins":"due","method":"mab","pace":"storm","ramp-s":1.0,"rate":10.0,"retries":0,"sockets":8,"threads":1,"timeout-s":3.0,"warm-up-s":0.0}
        replies {"disbelieved":{"by-cause":{"malformed":0,"missing-message-authenticator":0,"unexpected":0,"wrong-authenticator":0,"wrong-code":0,"wrong-message-authenticator":0},"total":0},"dropped-here":0,"duplicate":0,"late":1,"refusals":0,"stray":0,"unattributed":0}
        requests {"due":3,"retransmitted":0,"sent":2,"sent-per-second":4.0}
        sent-after-due-us {"count":0,"max":0.0,"mean":0.0,"min":0.0,"p50":0.0,"p90":0.0,"p99":0.0,"p99.9":0.0}
        server "127.0.0.1:1812"
        timeline [{"answered":1,"in-flight":0,"lost":2,"max-us":100.0,"p50-us":100.0,"p99-us":100.0,"second":0,"sent":2}]
        "#);
    }
}
