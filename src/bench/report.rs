//! What came of a run: [`Report`], its timeline, and both as JSON.
//!
//! Owns the names of the fields, which scripts rely on. Tables for people are the command's business.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    devices::Distribution,
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
    /// The measured part, from its beginning to the last request or answer.
    pub elapsed: Duration,
    /// What became of the requests.
    pub tally: Tally,
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
    /// Right answers a second.
    #[must_use]
    pub fn answered_per_second(&self) -> f64 {
        per_second(self.tally.answered(), self.elapsed)
    }

    /// Whether at least one request was answered and no answer was wrong. Lost requests don't count here: to lose some
    /// may be what a run is for.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.tally.answered() > 0 && self.tally.wrong_answers() == 0
    }

    /// All of it as one object. Times are in microseconds, rates in units a second.
    #[must_use]
    pub fn json(&self) -> Value {
        let tally = &self.tally;
        let verdicts = Verdict::ALL.map(|verdict| (verdict.label(), tally.answers(verdict)));
        json!({
            "server": self.plan.server.to_string(),
            "mode": mode(&self.plan),
            "elapsed-s": self.elapsed.as_secs_f64(),
            "requests": {
                "due": tally.due,
                "sent": tally.sent,
                "retransmitted": tally.retransmitted,
                "sent-per-second": per_second(tally.sent, self.elapsed),
            },
            "answers": {
                "total": tally.answered(),
                "per-second": self.answered_per_second(),
                "after-retransmission": tally.answered_after_retransmission,
                "by-code": object(verdicts),
            },
            "lost": causes(&tally.lost),
            "replies": {
                "disbelieved": causes(&tally.disbelieved),
                "duplicate": tally.duplicates,
                "late": tally.late,
                "stray": tally.strays,
                "refusals": tally.refusals,
            },
            "latency-us": latencies(&tally.latency_of_all()),
            "latency-by-code-us": Verdict::ALL
                .into_iter()
                .zip(&tally.latency)
                .filter(|(_, of_verdict)| of_verdict.count() > 0)
                .map(|(verdict, of_verdict)| (verdict.label().to_owned(), latencies(of_verdict)))
                .collect::<Map<_, _>>(),
            "latency-from-sending-us": latencies(&tally.service),
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
        Pace::Window(window) => json!({ "kind": "closed-loop", "window": window }),
        Pace::Steady(rate) => json!({ "kind": "open-loop", "rate": rate }),
        Pace::Storm { rate, ramp } => json!({ "kind": "storm", "rate": rate, "ramp-s": ramp.as_secs_f64() }),
    };
    let distribution = match plan.distribution {
        Distribution::Uniform => "uniform".to_owned(),
        Distribution::Zipf(exponent) => format!("zipf:{exponent}"),
    };
    let more = json!({
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

fn causes(losses: &Losses) -> Value {
    let by_cause = Loss::ALL.map(|cause| (cause.label(), losses.of(cause)));
    json!({ "total": losses.total(), "by-cause": object(by_cause) })
}

fn object<const N: usize>(numbers: [(&str, u64); N]) -> Value {
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
