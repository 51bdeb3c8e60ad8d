//! An outage of an hour on a toy clock: directory, desk and breaker together, without sockets.
//!
//! Owns one story and its claims. The parts have claims of their own.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use crate::{
    clock::{Mono, Now, Wall},
    device::{
        directory::{Ages, Capacity, Directory, Knowledge, Told},
        identifier::{Guid, IntuneId},
        question::{Failure, Key, Question, ServerIndex},
        record::{Compliance, DeviceRecord, Origin},
    },
};

use super::{
    breaker::{Breaker, Report},
    desk::{Desk, Next},
};

/// One asks each second, so that each comes back after ten minutes with an answer older than `compliance-max-age`.
const DEVICES: u32 = 600;
const RATE: u32 = 20;
const TICK: Duration = Duration::from_millis(20);
const LATENCY: Duration = Duration::from_millis(150);
const OUTAGE_BEGINS: Duration = Duration::from_secs(700);
const OUTAGE_ENDS: Duration = Duration::from_secs(700 + 3_600);
const END: Duration = Duration::from_secs(700 + 3_600 + 900);

/// What the requests of the story were decided by.
#[derive(Clone, Copy, Debug, Default)]
struct Decided {
    fresh_or_live: u32,
    stale: u32,
    unreachable: u32,
}

struct Story {
    now: Now,
    directory: Directory,
    ages: Ages,
    desk: Desk,
    breaker: Breaker,
    /// Calls that run: when they end, about whom, and whether they are answered.
    running: BinaryHeap<Reverse<(Mono, Key, bool)>>,
    /// Requests that wait for an answer.
    parked: HashMap<Key, Mono>,
    sent: Vec<Mono>,
    during: Decided,
    after: Decided,
}

fn device(number: u32) -> Key {
    let mut octets = [9; 16];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    Key::Device(Guid::new(octets))
}

impl Story {
    fn begin() -> Self {
        Self {
            now: Now { mono: Mono::from_nanos(1 << 50), wall: Wall::from_secs(1_800_000_000) },
            directory: Directory::new(Capacity { devices: 10_000, outside: 1_000 }),
            ages: Ages::default(),
            desk: Desk::new(RATE),
            breaker: Breaker::default(),
            running: BinaryHeap::new(),
            parked: HashMap::new(),
            sent: Vec::new(),
            during: Decided::default(),
            after: Decided::default(),
        }
    }

    fn request(&mut self, key: Key, tell: Option<fn(&mut Self) -> &mut Decided>) {
        let known = self.directory.judge(self.now, &key, None, &self.ages);
        let Knowledge::Fresh { .. } = known else {
            let deadline = self.now.mono.plus(Duration::from_millis(1_500));
            let question = Question {
                server: ServerIndex(0),
                key,
                medium: None,
                deadline: Some(deadline),
                shard: 0,
                client: 0,
                never_seen: matches!(known, Knowledge::Unknown),
            };
            let asked = match self.breaker.shut(self.now) {
                Some((failure, _)) => Err(failure),
                None => self.desk.ask(self.now, &question),
            };
            if asked.is_ok() {
                self.parked.insert(key, deadline);
            } else {
                self.decide(&known, tell);
            }
            return;
        };
        self.decide(&known, tell);
    }

    fn decide(&mut self, known: &Knowledge, tell: Option<fn(&mut Self) -> &mut Decided>) {
        let Some(tell) = tell else { return };
        let decided = tell(self);
        match known {
            Knowledge::Fresh { .. } => decided.fresh_or_live += 1,
            Knowledge::Aged { servable: true, .. } => decided.stale += 1,
            Knowledge::Unknown => decided.unreachable += 1,
            other => panic!("never in this story: {other:?}"),
        }
    }

    fn tick(&mut self, up: bool, tell: Option<fn(&mut Self) -> &mut Decided>) {
        while let Some(Reverse((_, key, answered))) =
            self.running.peek().copied().filter(|next| next.0.0 <= self.now.mono)
        {
            self.running.pop();
            self.desk.finish(&key);
            let report = if answered { Report::Answered } else { Report::Unreachable { retry_after: None } };
            self.breaker.note(self.now, report, 0);
            if let Key::Device(guid) = key
                && answered
            {
                self.directory.insert(record(guid, self.now), Told::Everything);
            }
            if self.parked.remove(&key).is_some() {
                let known = self.directory.judge(self.now, &key, None, &self.ages);
                self.decide(&known, tell);
            }
        }
        let late: Vec<Key> = self.parked.iter().filter(|(_, at)| **at <= self.now.mono).map(|(key, _)| *key).collect();
        for key in late {
            self.parked.remove(&key);
            let known = self.directory.judge(self.now, &key, None, &self.ages);
            self.decide(&known, tell);
        }
        while let Next::Start(ticket) = self.desk.next(self.now, None) {
            if self.breaker.admit(self.now).is_err() {
                self.running.push(Reverse((self.now.mono, ticket.key, false)));
                continue;
            }
            self.sent.push(self.now.mono);
            // While it is down it hangs: the worst kind of outage.
            let takes = if up { LATENCY } else { Duration::from_secs(10) };
            self.running.push(Reverse((self.now.mono.plus(takes), ticket.key, up)));
        }
    }
}

fn record(guid: Guid, now: Now) -> DeviceRecord {
    DeviceRecord {
        intune_id: IntuneId(guid),
        entra_id: None,
        wifi_mac: None,
        ethernet_mac: None,
        ethernet_told: true,
        managed: true,
        compliance: Compliance::Compliant,
        details: std::sync::Arc::default(),
        answered_at: now.mono,
        origin: Origin::Lookup,
    }
}

fn during(story: &mut Story) -> &mut Decided {
    &mut story.during
}

fn after(story: &mut Story) -> &mut Decided {
    &mut story.after
}

#[test]
fn an_hour_without_the_cloud_takes_no_known_device_off_the_network() {
    let mut story = Story::begin();
    let begin = story.now;
    let mut tick = 0u32;
    let mut strangers = 0;
    loop {
        let passed = TICK * tick;
        if passed >= END {
            break;
        }
        let outage = passed >= OUTAGE_BEGINS && passed < OUTAGE_ENDS;
        // Parked before it began or not yet settled after its end: the first seconds belong to neither.
        let settled = Duration::from_secs(75);
        let tell: Option<fn(&mut Story) -> &mut Decided> = if outage && passed >= OUTAGE_BEGINS + settled {
            Some(during)
        } else if passed >= OUTAGE_ENDS + settled {
            Some(after)
        } else {
            None
        };
        story.now = begin.advanced(passed);
        story.tick(!outage, tell);
        // One device a second, in turn; and during the outage a stranger a minute.
        if tick.is_multiple_of(50) {
            let second = tick / 50;
            story.request(device(second % DEVICES), tell);
            if outage && second.is_multiple_of(60) {
                story.request(device(1_000_000 + second), tell);
                strangers += 1;
            }
        }
        tick += 1;
    }
    let (during, after) = (story.during, story.after);
    assert_eq!((during.fresh_or_live, during.unreachable + 2 >= strangers), (0, true), "{during:?}");
    assert!(during.stale >= 3_500, "every known device kept its answer: {during:?}");
    assert_eq!((after.stale, after.unreachable), (0, 0), "{after:?}");
    assert!(after.fresh_or_live >= 800, "{after:?}");
    let in_the_outage = story.sent.iter().filter(|at| {
        let passed = at.since(begin.mono);
        passed >= OUTAGE_BEGINS && passed < OUTAGE_ENDS
    });
    // The first fifteen seconds of requests, then one try a minute or so.
    assert!(in_the_outage.count() < 120, "a dead service is left alone");
    let recovery = story.sent.iter().filter(|at| at.since(begin.mono) >= OUTAGE_ENDS).copied().collect::<Vec<_>>();
    for second in recovery.windows(RATE as usize + RATE as usize / 4 + 1) {
        let span = second.last().expect("it is not empty").since(second[0]);
        assert!(span >= Duration::from_secs(1), "no thundering herd: more than the budget within {span:?}");
    }
    let unanswered = story.breaker.shut(story.now).map(|(failure, _)| failure);
    assert_eq!(unanswered, None::<Failure>);
}
