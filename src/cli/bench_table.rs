//! What `radmit bench` shows to people: a line a second, and the table at the end.
//!
//! Owns their shape, which may change; scripts take the JSON.

use std::{fmt::Write as _, time::Duration};

use crate::bench::{
    Distribution, Forged, Histogram, Loss, Pace, Plan, Report, Row, Verdict, report::PERCENTILES, tally::Tally,
};

/// The line of one second.
pub(super) fn row(row: &Row) -> String {
    format!(
        "{:>6} s {:>9} sent {:>9} answered {:>7} lost {:>7} under way   p50 {:>9}  p99 {:>9}  max {:>9}",
        row.second + 1,
        row.sent,
        row.answered,
        row.lost,
        row.in_flight,
        time(row.answered, row.p50),
        time(row.answered, row.p99),
        time(row.answered, row.max)
    )
}

/// The table of a whole run.
pub(super) fn table(report: &Report, with_timeline: bool) -> String {
    let (plan, tally) = (&report.plan, &report.tally);
    let mut out = String::new();
    line(&mut out, "server", &format!("{}, {}", plan.server, load(plan)));
    line(&mut out, "requests", &requests(report));
    line(&mut out, "answers", &answers(report));
    let lost = tally.lost.total();
    line(&mut out, "lost", &format!("{lost} ({:.3} %)", share(lost, tally.due)));
    for cause in Loss::ALL.into_iter().filter(|cause| tally.lost.of(*cause) > 0) {
        line(&mut out, "", &format!("{:>9}  {}", tally.lost.of(cause), cause.sentence()));
    }
    others(&mut out, tally);
    if report.forged.answered > 0 {
        let Forged { sent, answered } = report.forged;
        let text =
            format!("{answered} of {sent} requests with a wrong Message-Authenticator were answered: the server");
        line(&mut out, "unsound", &format!("{text} does not verify, so that none of this counts"));
    }
    let is_open = plan.pace.rate().is_some();
    latencies(&mut out, plan, tally);
    if with_timeline {
        out.push_str("timeline\n");
        report.rows.iter().for_each(|second| {
            out.push_str(&row(second));
            out.push('\n');
        });
    }
    out.push_str(if is_open {
        "Latency begins when a request was due by the rate, not when it was sent."
    } else {
        "Closed loop: a slow server slows the load. For latencies at a given load use --rate."
    });
    out
}

fn load(plan: &Plan) -> String {
    let what = if plan.eap_tls.is_some() { "EAP-TLS, " } else { "" };
    let pace = match plan.pace {
        Pace::Window(window) => format!("{what}closed loop, {window} under way"),
        Pace::Steady(rate) => format!("{what}open loop, {rate} a second"),
        Pace::Storm { rate, ramp } => format!("{what}storm, to {rate} a second within {} s", ramp.as_secs_f64()),
    };
    let distribution = match plan.distribution {
        Distribution::Uniform => "uniform".to_owned(),
        Distribution::Zipf(exponent) => format!("zipf {exponent}"),
    };
    let threads = if plan.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", plan.threads) };
    let devices = match plan.devices.count() {
        1 => "1 device".to_owned(),
        count => format!("{count} devices, {distribution}"),
    };
    format!("{pace}; {} source ports, {threads}, {devices}", plan.sockets)
}

fn requests(report: &Report) -> String {
    let (tally, secs, rate) =
        (&report.tally, report.measured.unwrap_or_default().as_secs_f64(), report.sent_per_second());
    let mut text = format!("{} due in {secs:.2} s, {} sent ({rate:.0}/s)", tally.due, tally.sent);
    if tally.retransmitted > 0 {
        let _ = write!(text, ", {} sent again", tally.retransmitted);
    }
    text
}

fn answers(report: &Report) -> String {
    let tally = &report.tally;
    let mut text = format!("{} ({:.0}/s):", tally.answered(), report.answered_per_second());
    for verdict in Verdict::ALL.into_iter().filter(|verdict| tally.answers(*verdict) > 0) {
        let _ = write!(text, " {} {}", tally.answers(verdict), verdict.label());
    }
    if tally.answered_after_retransmission > 0 {
        let _ = write!(text, "; {} after a retransmission", tally.answered_after_retransmission);
    }
    text
}

/// Replies that belong to no request's result.
fn others(out: &mut String, tally: &Tally) {
    for (count, what) in [
        (tally.disbelieved.total(), "answers were wrong and not believed"),
        (tally.duplicates, "answers came twice"),
        (tally.late, "answers came after their request was given up"),
        (tally.unattributed, "answers came so late that their Identifiers were used again; use more --sockets"),
        (tally.strays, "datagrams answered nothing"),
        (tally.dropped_here, "answers were dropped by this machine, whose receive buffers were full"),
    ] {
        if count > 0 {
            line(out, "besides", &format!("{count:>9}  {what}"));
        }
    }
}

fn latencies(out: &mut String, plan: &Plan, tally: &Tally) {
    let (is_open, is_eap) = (plan.pace.rate().is_some(), plan.eap_tls.is_some());
    let mut head = String::new();
    for name in PERCENTILES.map(|(name, _)| name).into_iter().chain(["max", "mean"]) {
        let _ = write!(head, "{name:>10}");
    }
    line(out, "latency", &format!("{:<12}{head}", ""));
    let whole = match (is_open, is_eap) {
        (true, _) => "from due",
        (_, true) => "handshake",
        _ => "all",
    };
    let mut rows = vec![(whole, tally.latency_of_all())];
    if is_eap {
        rows.push(("round trip", tally.service.clone()));
    }
    if is_open {
        if !is_eap {
            rows.push(("from sending", tally.service.clone()));
        }
        rows.push(("sent late by", tally.lateness.clone()));
    }
    let told: Vec<Verdict> = Verdict::ALL.into_iter().filter(|verdict| tally.answers(*verdict) > 0).collect();
    if told.len() > 1 {
        // A delayed reject would hide what accepts take.
        let by_verdict =
            told.iter().filter_map(|verdict| Some((verdict.label(), tally.latency.get(*verdict as usize)?)));
        rows.extend(by_verdict.map(|(name, histogram)| (name, histogram.clone())));
    }
    for (name, histogram) in rows {
        line(out, "", &format!("{name:<12}{}", percentiles(&histogram)));
    }
}

fn percentiles(histogram: &Histogram) -> String {
    let shares = PERCENTILES.map(|(_, share)| histogram.percentile(share));
    let mut text = String::new();
    for latency in shares.into_iter().chain([histogram.max(), histogram.mean()]) {
        let _ = write!(text, "{:>10}", time(histogram.count(), latency));
    }
    text
}

fn line(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "{name:<10}{text}");
}

/// Three digits or so: the table is no more exact than one per cent. Of none there is no time.
fn time(count: u64, duration: Duration) -> String {
    if count == 0 {
        return "-".to_owned();
    }
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        ..1_000.0 => format!("{micros:.0} us"),
        ..10_000.0 => format!("{:.2} ms", micros / 1e3),
        ..100_000.0 => format!("{:.1} ms", micros / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::radius::secret::Secret;

    fn report(pace: Pace) -> Report {
        let secret = Arc::new(Secret::new(b"secret".to_vec()).unwrap());
        let plan = Plan { pace, ..Plan::new(([127, 0, 0, 1], 1812).into(), secret) };
        let (sent_in_time, answered_in_time) = (998, 970);
        let mut tally = Tally {
            due: 1_000,
            sent: 998,
            sent_in_time,
            answered_in_time,
            retransmitted: 4,
            late: 1,
            duplicates: 2,
            ..Tally::default()
        };
        for number in 1..=990 {
            let latency = Duration::from_micros(number * 20);
            tally.latency[usize::from(number > 980)].record(latency);
            tally.service.record(latency);
        }
        (0..8).for_each(|_| tally.lost.count(Loss::NoAnswer));
        (0..2).for_each(|_| tally.lost.count(Loss::NoIdentifier));
        let row = Row {
            second: 0,
            sent: 998,
            answered: 990,
            lost: 10,
            in_flight: 12,
            p50: Duration::from_micros(9_900),
            p99: Duration::from_micros(19_600),
            max: Duration::from_millis(1_980),
        };
        let (elapsed, measured) = (Duration::from_millis(4_250), Some(Duration::from_millis(1_250)));
        let forged = Forged { sent: 6, answered: 0 };
        Report { plan, elapsed, measured, tally, forged, rows: vec![row] }
    }

    #[test]
    fn the_table_of_a_rate_tells_both_beginnings_of_latency() {
        insta::assert_snapshot!(table(&report(Pace::Steady(800.0)), true), @r#"
        server    127.0.0.1:1812, open loop, 800 a second; 8 source ports, 1 thread, 1 device
        requests  1000 due in 1.25 s, 998 sent (798/s), 4 sent again
        answers   990 (776/s): 980 accept 10 reject
        lost      10 (1.000 %)
                          8  no answer in time; overload, or an unknown client, or another secret
                          2  due, but all Identifiers were under way; use more --sockets
        besides           2  answers came twice
        besides           1  answers came after their request was given up
        latency                      p50       p90       p99     p99.9       max      mean
                  from due       9.90 ms   17.7 ms   19.5 ms   19.8 ms   19.8 ms   9.91 ms
                  from sending   9.90 ms   17.7 ms   19.5 ms   19.8 ms   19.8 ms   9.91 ms
                  sent late by         -         -         -         -         -         -
                  accept         9.76 ms   17.7 ms   19.5 ms   19.5 ms   19.6 ms   9.81 ms
                  reject         19.8 ms   19.8 ms   19.8 ms   19.8 ms   19.8 ms   19.7 ms
        timeline
             1 s       998 sent       990 answered      10 lost      12 under way   p50   9.90 ms  p99   19.6 ms  max    1.98 s
        Latency begins when a request was due by the rate, not when it was sent.
        "#);
    }

    #[test]
    fn the_table_of_a_closed_loop_says_what_it_does_not_show() {
        insta::assert_snapshot!(table(&report(Pace::Window(64)), false), @r#"
        server    127.0.0.1:1812, closed loop, 64 under way; 8 source ports, 1 thread, 1 device
        requests  1000 due in 1.25 s, 998 sent (798/s), 4 sent again
        answers   990 (776/s): 980 accept 10 reject
        lost      10 (1.000 %)
                          8  no answer in time; overload, or an unknown client, or another secret
                          2  due, but all Identifiers were under way; use more --sockets
        besides           2  answers came twice
        besides           1  answers came after their request was given up
        latency                      p50       p90       p99     p99.9       max      mean
                  all            9.90 ms   17.7 ms   19.5 ms   19.8 ms   19.8 ms   9.91 ms
                  accept         9.76 ms   17.7 ms   19.5 ms   19.5 ms   19.6 ms   9.81 ms
                  reject         19.8 ms   19.8 ms   19.8 ms   19.8 ms   19.8 ms   19.7 ms
        Closed loop: a slow server slows the load. For latencies at a given load use --rate.
        "#);
    }

    #[test]
    fn a_server_that_does_not_verify_is_told_so() {
        let mut report = report(Pace::Window(64));
        assert!(!table(&report, false).contains("verify"));
        report.forged.answered = 2;
        let said = "unsound   2 of 6 requests with a wrong Message-Authenticator were answered: the server does not verify, \
                    so that none of this counts\n";
        assert!(table(&report, false).contains(said));
    }

    #[test]
    fn handshakes_are_told_whole_and_by_round_trips_in_both_loops() {
        let told = |pace| {
            let mut report = report(pace);
            report.plan.eap_tls = Some(Arc::from([]));
            let table = table(&report, false);
            let line =
                |word: &str| table.lines().find(|line| line.contains(word)).map(str::trim).unwrap_or("-").to_owned();
            [", EAP-TLS", "from due", "handshake  ", "round trip", "from sending", "sent late by"].map(line)
        };
        insta::assert_snapshot!(told(Pace::Steady(80.0)).join("\n"), @r"
        server    127.0.0.1:1812, EAP-TLS, open loop, 80 a second; 8 source ports, 1 thread, 1 device
        from due       9.90 ms   17.7 ms   19.5 ms   19.8 ms   19.8 ms   9.91 ms
        -
        round trip     9.90 ms   17.7 ms   19.5 ms   19.8 ms   19.8 ms   9.91 ms
        -
        sent late by         -         -         -         -         -         -
        ");
        insta::assert_snapshot!(told(Pace::Window(16)).join("\n"), @r"
        server    127.0.0.1:1812, EAP-TLS, closed loop, 16 under way; 8 source ports, 1 thread, 1 device
        -
        handshake      9.90 ms   17.7 ms   19.5 ms   19.8 ms   19.8 ms   9.91 ms
        round trip     9.90 ms   17.7 ms   19.5 ms   19.8 ms   19.8 ms   9.91 ms
        -
        -
        ");
    }
}
