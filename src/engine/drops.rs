//! Dropped datagrams, told at a bounded rate: strangers can make us count, but not fill a log.
//!
//! Owns the sums of one interval. The counters of the metrics are elsewhere and see every drop.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::{
    clock::{Mono, Now},
    limits,
};

use super::event::{DropEvent, DropReason, Event, EventSink};

/// The drops of one shard in the running interval.
///
/// Bound: [`limits::DROP_LOG_SENDERS_MAX`] senders; what further senders do is told as one sum without a sender.
#[derive(Debug, Default)]
pub struct DropLog {
    sums: HashMap<(DropReason, Option<u32>, IpAddr), Sum, foldhash::quality::RandomState>,
    others: u64,
    since: Option<Now>,
}

#[derive(Debug)]
struct Sum {
    count: u64,
    client: Option<Box<str>>,
    detail: Option<&'static str>,
    nas_ip: Option<IpAddr>,
}

/// One drop.
#[derive(Clone, Copy, Debug)]
pub struct Dropped<'a> {
    /// Why.
    pub reason: DropReason,
    /// Which rule was broken.
    pub detail: Option<&'static str>,
    /// The sender.
    pub peer: IpAddr,
    /// The client, if it is one: its place and its name.
    pub client: Option<(u32, &'a str)>,
    /// NAS-IP-Address, as far as it could be read.
    pub nas_ip: Option<IpAddr>,
}

impl DropLog {
    /// Counts one drop. The first of a sender in an interval is told at once, so that an admin who watches the log while
    /// trying something need not wait.
    pub fn count(&mut self, now: Now, dropped: Dropped<'_>, events: &mut dyn EventSink) {
        let since = *self.since.get_or_insert(now);
        if now.mono.since(since.mono) >= limits::DROP_LOG_INTERVAL {
            self.tell(now, events);
            self.since = Some(now);
        }
        let key = (dropped.reason, dropped.client.map(|(index, _)| index), dropped.peer);
        if let Some(sum) = self.sums.get_mut(&key) {
            sum.count += 1;
            sum.nas_ip = dropped.nas_ip.or(sum.nas_ip);
            return;
        }
        if self.sums.len() >= limits::DROP_LOG_SENDERS_MAX {
            self.others += 1;
            return;
        }
        let is_told_at_once = self.sums.len() < limits::DROP_LOG_LINES_MAX;
        if is_told_at_once {
            events.tell(&Event::Drops(&DropEvent {
                now,
                reason: dropped.reason,
                detail: dropped.detail,
                client: dropped.client.map(|(_, name)| name),
                peer: dropped.peer,
                count: 1,
                nas_ip: dropped.nas_ip,
            }));
        }
        let client = dropped.client.map(|(_, name)| name.into());
        let sum = Sum { count: u64::from(!is_told_at_once), client, detail: dropped.detail, nas_ip: dropped.nas_ip };
        self.sums.insert(key, sum);
    }

    /// Tells the sums of an interval that is over. Call it now and then.
    pub fn tell_if_due(&mut self, now: Now, events: &mut dyn EventSink) {
        if self.since.is_some_and(|since| now.mono.since(since.mono) >= limits::DROP_LOG_INTERVAL) {
            self.tell(now, events);
            self.since = None;
        }
    }

    /// When the sums should be told.
    #[must_use]
    pub fn wake_at(&self) -> Option<Mono> {
        self.since.map(|since| since.mono.plus(limits::DROP_LOG_INTERVAL))
    }

    fn tell(&mut self, now: Now, events: &mut dyn EventSink) {
        let mut lines = 0;
        for ((reason, _, peer), sum) in self.sums.drain() {
            if sum.count == 0 {
                continue;
            }
            if lines >= limits::DROP_LOG_LINES_MAX {
                self.others += sum.count;
                continue;
            }
            lines += 1;
            events.tell(&Event::Drops(&DropEvent {
                now,
                reason,
                detail: sum.detail,
                client: sum.client.as_deref(),
                peer,
                count: sum.count,
                nas_ip: sum.nas_ip,
            }));
        }
        if self.others > 0 {
            events.tell(&Event::Drops(&DropEvent {
                now,
                reason: DropReason::Overload,
                detail: Some("further-senders"),
                client: None,
                peer: IpAddr::from([0, 0, 0, 0]),
                count: self.others,
                nas_ip: None,
            }));
            self.others = 0;
        }
    }
}
