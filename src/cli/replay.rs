//! `radmit replay`: yesterday's decisions against a draft of the policy.
//!
//! Owns the reading of the log, what is printed and the exit code. Judging a logged decision again is `policy::replay`'s
//! business.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    config::files::{Files, SystemFiles},
    daemon::load::{Loaded, load_with},
    limits,
    policy::replay::{self, LoggedDecision, Summary, Verdict},
    problem::Problems,
};

use super::{arguments::ConfigArgument, check::Format, output};

/// The exit codes beside 0 for no change.
const CHANGED: u8 = 1;
const UNUSABLE: u8 = 2;

/// Devices and lines that are named in the text; JSON has all of them.
const SHOWN_MAX: usize = 100;

/// Arguments of `radmit replay`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The decision log; - reads standard input
    #[arg(long, value_name = "DECISIONS|-")]
    log: PathBuf,
    /// The folder of the draft [default: the policies of the configuration]
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match replayed(arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(CHANGED),
        Err(message) => {
            output::complain(format!("radmit replay: {message}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

/// How many decisions change.
fn replayed(arguments: &Arguments) -> Result<u64, String> {
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let mut problems = Problems::new();
    let loaded = load_with(arguments.config.config.as_deref(), arguments.policies.as_deref(), &files, &mut problems);
    let Some(loaded) = loaded else {
        output::problems(&problems, false);
        return Err("the draft can't be loaded".to_owned());
    };
    let mut replay =
        Replay { loaded: &loaded, summary: Summary::default(), others: 0, unreadable: Vec::new(), broken: 0 };
    replay.read(&arguments.log).map_err(|error| format!("{}: {error}", arguments.log.display()))?;
    if replay.summary.decisions == 0 && replay.broken > 0 {
        replay.complain();
        return Err(format!("{} holds no decision that a policy made", arguments.log.display()));
    }
    match arguments.format {
        Format::Text => {
            replay.complain();
            output::line(replay.text().trim_end());
        }
        Format::Json => output::line(serde_json::to_string_pretty(&replay.json()).unwrap_or_default()),
    }
    Ok(replay.summary.changed)
}

struct Replay<'l> {
    loaded: &'l Loaded,
    summary: Summary,
    /// Lines about something else: drops, accounting, rejects before policy.
    others: u64,
    /// The first lines that can't be used, with the reason. Bound: [`SHOWN_MAX`].
    unreadable: Vec<(u64, String)>,
    broken: u64,
}

impl Replay<'_> {
    fn read(&mut self, path: &Path) -> io::Result<()> {
        if path == Path::new("-") {
            self.read_lines(io::stdin().lock())
        } else {
            self.read_lines(BufReader::new(File::open(path)?))
        }
    }

    fn read_lines(&mut self, mut lines: impl BufRead) -> io::Result<()> {
        // No line of ours is longer than what the log collects of one shard.
        let most = u64::try_from(limits::LOG_BUFFER_OCTETS).unwrap_or(u64::MAX);
        let mut octets = Vec::new();
        for number in 1u64.. {
            octets.clear();
            if lines.by_ref().take(most).read_until(b'\n', &mut octets)? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&octets);
            if !text.trim().is_empty() {
                self.line(number, text.trim());
            }
        }
        Ok(())
    }

    fn line(&mut self, number: u64, line: &str) {
        match replay::read(line, &self.loaded.dictionary) {
            Ok(None) => self.others += 1,
            Ok(Some(logged)) => {
                if let Err(why) = self.judge(logged) {
                    self.refuse(number, why);
                }
            }
            Err(why) => self.refuse(number, why),
        }
    }

    fn judge(&mut self, mut logged: LoggedDecision) -> Result<(), String> {
        let configuration = &self.loaded.configuration;
        let client = configuration.clients.iter().find(|client| Some(&*client.name) == logged.client());
        if let Some(client) = client {
            logged.supply("client.vendor", [&*client.vendor.text])?;
            logged.supply("client.group", client.groups.iter().map(|group| &**group))?;
        }
        let replayed = replay::judge(&self.loaded.policy, &logged, &configuration.server.zone)
            .ok_or("the request's attributes make no packet")?;
        self.summary.add(&logged, &replayed);
        Ok(())
    }

    fn refuse(&mut self, number: u64, why: String) {
        self.broken += 1;
        if self.unreadable.len() < SHOWN_MAX {
            self.unreadable.push((number, why));
        }
    }

    fn complain(&self) {
        for (number, why) in self.unreadable.iter().take(3) {
            output::complain(format!("radmit replay: line {number} can't be used: {why}"));
        }
        if self.broken > 3 {
            output::complain(format!("radmit replay: {} lines can't be used", self.broken));
        }
    }

    fn text(&self) -> String {
        let summary = &self.summary;
        let mut text = format!("{} decisions, {} change\n", summary.decisions, summary.changed);
        if summary.decisions == 0 {
            let _ = writeln!(text, "the log holds no decision that a policy made, and {} other lines", self.others);
            return text;
        }
        if summary.changed > 0 {
            text.push_str("by rule:\n");
        }
        for (was, now, count) in by_number(summary).into_iter().take(SHOWN_MAX) {
            let _ = writeln!(text, "  {count} times {}\n      becomes {}", said(was, now), said(now, was));
        }
        if !summary.devices.is_empty() {
            text.push_str("by device:\n");
        }
        for (device, (was, now)) in summary.devices.iter().take(SHOWN_MAX) {
            let _ = writeln!(text, "  {device}: {} becomes {}", said(was, now), said(now, was));
        }
        let more = summary.devices.len().saturating_sub(SHOWN_MAX);
        if more > 0 || summary.devices_left_out > 0 {
            let _ = writeln!(text, "  and {} more; --format json has them", more as u64 + summary.devices_left_out);
        }
        let never = summary.never_seen(&self.loaded.policy);
        if !never.is_empty() {
            let _ = writeln!(
                text,
                "the draft asks for what no line holds, so it counted as absent: {}; the log holds what the running policy \
                 asks for",
                never.join(", ")
            );
        }
        text
    }

    fn json(&self) -> Value {
        let summary = &self.summary;
        let rules: Vec<Value> = by_number(summary)
            .into_iter()
            .map(|(was, now, count)| json!({ "count": count, "was": verdict(was), "now": verdict(now) }))
            .collect();
        let devices: Vec<Value> = summary
            .devices
            .iter()
            .map(|(device, (was, now))| json!({ "device": device, "was": verdict(was), "now": verdict(now) }))
            .collect();
        let unreadable: Vec<Value> =
            self.unreadable.iter().map(|(line, why)| json!({ "line": line, "why": why })).collect();
        json!({
            "version": 1,
            "decisions": summary.decisions,
            "changed": summary.changed,
            "rules": rules,
            "devices": devices,
            "devices-left-out": summary.devices_left_out,
            "never-seen": summary.never_seen(&self.loaded.policy),
            "other-lines": self.others,
            "unreadable-lines": self.broken,
            "unreadable": unreadable,
        })
    }
}

/// The changes, the most frequent first.
fn by_number(summary: &Summary) -> Vec<(&Verdict, &Verdict, u64)> {
    let mut changes: Vec<_> = summary.changes.iter().map(|((was, now), count)| (was, now, *count)).collect();
    changes.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    changes
}

/// `accept (employee) by the rule "Compliant"`; the reply only where nothing else tells the two apart.
fn said(verdict: &Verdict, other: &Verdict) -> String {
    let mut text = verdict.access.clone();
    if !verdict.profiles.is_empty() {
        let _ = write!(text, " ({})", verdict.profiles.join(" + "));
    }
    match &verdict.rule {
        Some(rule) => {
            let _ = write!(text, " by the rule \"{rule}\"");
        }
        None => {
            let _ = write!(text, " by {}", verdict.reason);
        }
    }
    let is_alike = verdict.access == other.access && verdict.profiles == other.profiles;
    if let Some(reply) = verdict.reply.as_ref().filter(|_| is_alike) {
        let _ = write!(text, " with {reply}");
    }
    text
}

fn verdict(verdict: &Verdict) -> Value {
    let reply: Option<Value> = verdict.reply.as_deref().and_then(|reply| serde_json::from_str(reply).ok());
    json!({
        "verdict": verdict.access,
        "profiles": verdict.profiles,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "reply": reply,
    })
}
