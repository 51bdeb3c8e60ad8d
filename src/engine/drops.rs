//! Dropped datagrams, told at a bounded rate: strangers can make us count, but not fill a log.
//!
//! Owns the sums of one interval. The counters of the metrics are elsewhere and see every drop.

use std::{cmp::Reverse, net::IpAddr};

use hashbrown::HashMap;

use crate::{
    clock::{Mono, Now},
    limits,
};

use super::event::{DropEvent, DropReason, Event, EventSink};

/// The drops of one shard in the running interval.
///
/// Bound: [`limits::DROP_LOG_SENDERS_MAX`] senders with what they did; what further senders do is told as one sum for each
/// reason, without a sender.
#[derive(Debug, Default)]
pub struct DropLog {
    sums: HashMap<Key, Sum, foldhash::quality::RandomState>,
    /// What further senders did, by reason.
    others: [u64; DropReason::ALL.len()],
    /// Lines that this interval has told at once.
    told: usize,
    since: Option<Now>,
}

/// What is told in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    reason: DropReason,
    /// Of the key, so that no rule is told with the count of another.
    detail: Option<&'static str>,
    /// The client's place.
    client: Option<u32>,
    peer: IpAddr,
}

#[derive(Debug)]
struct Sum {
    count: u64,
    client: Option<Box<str>>,
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
        let Dropped { reason, detail, peer, client, nas_ip } = dropped;
        let key = Key { reason, detail, client: client.map(|(index, _)| index), peer };
        if let Some(sum) = self.sums.get_mut(&key) {
            sum.count += 1;
            sum.nas_ip = nas_ip.or(sum.nas_ip);
            return;
        }
        if self.sums.len() >= limits::DROP_LOG_SENDERS_MAX {
            self.count_other(reason, 1);
            return;
        }
        // Repeats are what RADIUS does: their sum is enough, and leaves the first lines to what somebody may have to mend.
        let is_told_at_once = self.told < limits::DROP_LOG_LINES_MAX && reason != DropReason::Duplicate;
        let name = client.map(|(_, name)| name);
        if is_told_at_once {
            self.told += 1;
            events.tell(&Event::Drops(&DropEvent { now, reason, detail, client: name, peer, count: 1, nas_ip }));
        }
        let sum = Sum { count: u64::from(!is_told_at_once), client: name.map(Into::into), nas_ip };
        self.sums.insert(key, sum);
    }

    fn count_other(&mut self, reason: DropReason, count: u64) {
        if let Some(others) = self.others.get_mut(reason as usize) {
            *others += count;
        }
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
        self.told = 0;
        let mut sums: Vec<(Key, Sum)> = self.sums.drain().filter(|(_, sum)| sum.count > 0).collect();
        // The greatest have lines of their own, those of repeats after all others.
        sums.sort_unstable_by_key(|(key, sum)| (key.reason == DropReason::Duplicate, Reverse(sum.count)));
        for (place, (key, sum)) in sums.into_iter().enumerate() {
            if place >= limits::DROP_LOG_LINES_MAX {
                self.count_other(key.reason, sum.count);
                continue;
            }
            events.tell(&Event::Drops(&DropEvent {
                now,
                reason: key.reason,
                detail: key.detail,
                client: sum.client.as_deref(),
                peer: key.peer,
                count: sum.count,
                nas_ip: sum.nas_ip,
            }));
        }
        for (reason, count) in DropReason::ALL.into_iter().zip(std::mem::take(&mut self.others)) {
            if count > 0 {
                let (detail, peer) = (Some(FURTHER_SENDERS), NOBODY);
                events.tell(&Event::Drops(&DropEvent { now, reason, detail, client: None, peer, count, nas_ip: None }));
            }
        }
    }
}

/// The detail of a sum over senders that have no line of their own.
const FURTHER_SENDERS: &str = "further-senders";

/// The sender of such a sum: no datagram comes from this address.
const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;

    type Line = (DropReason, Option<&'static str>, IpAddr, u64);

    #[derive(Default)]
    struct Told(Vec<Line>);

    impl EventSink for Told {
        fn tell(&mut self, event: &Event<'_>) -> bool {
            if let Event::Drops(drops) = event {
                self.0.push((drops.reason, drops.detail, drops.peer, drops.count));
            }
            true
        }

        fn flush(&mut self, _: Now) {}
    }

    /// Counts drops, and what was told of them: at once, and when the interval is over.
    fn told(drops: impl IntoIterator<Item = (DropReason, Option<&'static str>, IpAddr)>) -> (Vec<Line>, Vec<Line>) {
        let (mut log, mut told, start) = (DropLog::default(), Told::default(), Now::default());
        for (reason, detail, peer) in drops {
            log.count(start, Dropped { reason, detail, peer, client: None, nas_ip: None }, &mut told);
        }
        let at_once = std::mem::take(&mut told.0);
        log.tell_if_due(start.advanced(limits::DROP_LOG_INTERVAL), &mut told);
        (at_once, told.0)
    }

    fn peer(number: u16) -> IpAddr {
        let [high, low] = number.to_be_bytes();
        [192, 0, high, low].into()
    }

    #[test]
    fn every_rule_is_told_with_its_own_count() {
        let rules = ["acct-status-type-missing", "acct-session-id-missing", "acct-session-id-missing"];
        let (at_once, later) = told(rules.map(|rule| (DropReason::Malformed, Some(rule), peer(1))));
        let line = |rule, count| (DropReason::Malformed, Some(rule), peer(1), count);
        assert_eq!(at_once, [line(rules[0], 1), line(rules[1], 1)]);
        assert_eq!(later, [line(rules[1], 1)]);
    }

    #[test]
    fn what_further_senders_do_is_told_with_its_own_reason() {
        let senders = u16::try_from(limits::DROP_LOG_SENDERS_MAX).unwrap();
        let strangers = (0..senders + 50).map(|number| (DropReason::UnknownClient, None, peer(number)));
        let broken = (0..7).map(|number| (DropReason::BadAuthenticator, None, peer(1_000 + number)));
        let (at_once, later) = told(strangers.chain(broken));
        assert_eq!(at_once.len(), limits::DROP_LOG_LINES_MAX);
        assert_eq!(later.len(), limits::DROP_LOG_LINES_MAX + 2);
        let rest = u64::from(senders) + 50 - 2 * limits::DROP_LOG_LINES_MAX as u64;
        let further = |reason, count| (reason, Some("further-senders"), NOBODY, count);
        assert_eq!(
            later[limits::DROP_LOG_LINES_MAX..],
            [further(DropReason::UnknownClient, rest), further(DropReason::BadAuthenticator, 7)]
        );
    }

    #[test]
    fn repeats_are_told_as_a_sum_after_what_somebody_may_have_to_mend() {
        let repeats = (0..20).flat_map(|number| [(DropReason::Duplicate, None, peer(number)); 3]);
        let broken = [(DropReason::BadAuthenticator, None, peer(99)); 2];
        let (at_once, later) = told(repeats.chain(broken));
        assert_eq!(at_once, [(DropReason::BadAuthenticator, None, peer(99), 1)]);
        assert_eq!(later[0], (DropReason::BadAuthenticator, None, peer(99), 1));
        assert_eq!(later.iter().map(|(.., count)| count).sum::<u64>(), 61, "{later:?}");
        assert_eq!(later.len(), limits::DROP_LOG_LINES_MAX + 1);
    }

    #[test]
    fn the_next_interval_tells_first_ones_at_once_again() {
        let (mut log, mut told, mut now) = (DropLog::default(), Told::default(), Now::default());
        for _ in 0..3 {
            for number in 0..20 {
                let (reason, detail) = (DropReason::UnknownClient, None);
                let dropped = Dropped { reason, detail, peer: peer(number), client: None, nas_ip: None };
                log.count(now, dropped, &mut told);
            }
            assert_eq!(told.0.len(), limits::DROP_LOG_LINES_MAX);
            now = now.advanced(limits::DROP_LOG_INTERVAL);
            log.tell_if_due(now, &mut told);
            told.0.clear();
        }
    }
}
