//! Replies that leave together: [`Rows`] finds those of one run that go to one peer and are equally long.
//!
//! Owns the order in which a run is sent. The kernel takes a row as one piece, finds its way once, and cuts it into
//! datagrams at the end (UDP_SEGMENT): that takes a third of what as many single datagrams take. Handing rows to the kernel
//! is the work of `batch`, and what happens if it refuses that of `flush`.

use crate::limits::{BATCH_DATAGRAMS, SEGMENT_OCTETS_MAX};

use super::replies::Entry;

/// A run of up to [`BATCH_DATAGRAMS`] replies by one socket, put into rows. More are left for the next run.
pub(super) struct Rows {
    /// Places in the run, row after row.
    order: [u8; BATCH_DATAGRAMS],
    /// For each row, where it ends in `order`.
    ends: [u8; BATCH_DATAGRAMS],
    rows: usize,
}

const _: () = assert!(BATCH_DATAGRAMS < END as usize, "places in a run are counted with eight bits");
/// Behind the last place of a chain.
const END: u8 = u8::MAX;

/// A row while it grows: a chain of places.
#[derive(Clone, Copy, Default)]
struct Growing {
    key: u64,
    first: u8,
    last: u8,
}

impl Rows {
    /// Each reply is a row of its own.
    pub(super) fn of_single(run: &[Entry]) -> Self {
        let numbers = |from: u8| {
            let mut next = from;
            [0; BATCH_DATAGRAMS].map(|_: u8| {
                let number = next;
                next += 1;
                number
            })
        };
        Self { order: numbers(0), ends: numbers(1), rows: run.len().min(BATCH_DATAGRAMS) }
    }

    /// Replies of a row go to one peer by one way, are equally long and not too long to be one datagram on every link.
    pub(super) fn of(run: &[Entry]) -> Self {
        let mut growing = [Growing::default(); BATCH_DATAGRAMS];
        let mut after = [END; BATCH_DATAGRAMS];
        let mut rows = 0;
        for (place, entry) in (0_u8..).zip(run.iter().take(BATCH_DATAGRAMS)) {
            let key = key_of(entry);
            let is_same = |row: &&mut Growing| {
                let first = run.get(usize::from(row.first));
                row.key == key && first.is_some_and(|first| first.to == entry.to && first.len() == entry.len())
            };
            let open = growing.get_mut(..rows).unwrap_or_default();
            match open.iter_mut().filter(|_| entry.len() <= SEGMENT_OCTETS_MAX).find(is_same) {
                Some(row) => {
                    after[usize::from(row.last)] = place;
                    row.last = place;
                }
                None => {
                    growing[rows] = Growing { key, first: place, last: place };
                    rows += 1;
                }
            }
        }
        let mut made = Self { order: [0; BATCH_DATAGRAMS], ends: [0; BATCH_DATAGRAMS], rows };
        let mut filled = 0_u8;
        for (row, end) in growing.iter().zip(&mut made.ends).take(rows) {
            let mut place = row.first;
            while let Some(next) = after.get(usize::from(place)) {
                made.order[usize::from(filled)] = place;
                filled += 1;
                place = *next;
            }
            *end = filled;
        }
        made
    }

    /// The same with each reply of row `from` and of those behind it in a row of its own.
    pub(super) fn parted_from(mut self, from: usize) -> Self {
        let place_of = |row: usize| self.ends.get(row).map(|end| usize::from(*end));
        let start = from.checked_sub(1).and_then(place_of).unwrap_or(0);
        let all = self.rows.checked_sub(1).and_then(place_of).unwrap_or(0);
        let first = u8::try_from(start).unwrap_or(END);
        for (end, place) in self.ends.iter_mut().skip(from).zip(first..) {
            *end = place.saturating_add(1);
        }
        self.rows = from + all.saturating_sub(start);
        self
    }

    /// How many rows there are.
    pub(super) const fn len(&self) -> usize {
        self.rows
    }

    /// The places of a row's replies in the run; none for a row that there isn't.
    pub(super) fn row(&self, at: usize) -> &[u8] {
        let end_of = |row: usize| self.ends.get(row).map(|end| usize::from(*end));
        let start = at.checked_sub(1).map_or(Some(0), end_of);
        let range = start.zip(end_of(at).filter(|_| at < self.rows));
        range.and_then(|(start, end)| self.order.get(start..end)).unwrap_or_default()
    }
}

/// What differs between rows, as far as it fits: port and length, and the address or what is left of it.
fn key_of(entry: &Entry) -> u64 {
    let address = match entry.to.address.ip() {
        std::net::IpAddr::V4(address) => address.to_bits(),
        std::net::IpAddr::V6(address) => {
            let bits = address.to_bits();
            #[expect(clippy::cast_possible_truncation, reason = "the four parts are folded; equality is checked apart")]
            [bits >> 96, bits >> 64, bits >> 32, bits].into_iter().fold(0, |sum, part| sum ^ part as u32)
        }
    };
    u64::from(address) << 32 | u64::from(entry.to.address.port()) << 16 | (entry.len() as u64 & 0xffff)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        engine::action::{Outbox, Peer, Route},
        udp::replies::Replies,
    };

    fn rows_of(rows: &Rows) -> Vec<Vec<u8>> {
        (0..rows.len()).map(|row| rows.row(row).to_vec()).collect()
    }

    fn run(replies: &[(u16, usize)]) -> Replies {
        let mut run = Replies::new();
        for (port, length) in replies {
            let route = Route { listener: 0, local: None, interface: 0 };
            let ip = if port % 2 == 0 { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
            run.send(&Peer { address: SocketAddr::new(ip, *port), route }, &vec![0; *length]);
        }
        run
    }

    #[test]
    fn replies_to_one_peer_of_one_length_are_a_row() {
        let run = run(&[(2, 20), (4, 20), (2, 20), (3, 20), (2, 21), (4, 20), (3, 20)]);
        let rows = Rows::of(run.entries());
        assert_eq!(rows_of(&rows), [vec![0, 2], vec![1, 5], vec![3, 6], vec![4]]);
        assert!(rows.row(4).is_empty() && rows.row(usize::MAX).is_empty());
        assert_eq!(rows_of(&Rows::of_single(run.entries())).len(), 7);
    }

    #[test]
    fn rows_can_be_parted_from_some_row_on() {
        let run = run(&[(2, 20), (4, 20), (2, 20), (4, 20), (2, 20), (6, 20)]);
        let parted = |from| rows_of(&Rows::of(run.entries()).parted_from(from));
        assert_eq!(parted(0), [[0], [2], [4], [1], [3], [5]]);
        assert_eq!(parted(1), [vec![0, 2, 4], vec![1], vec![3], vec![5]]);
        assert_eq!(parted(3), rows_of(&Rows::of(run.entries())));
    }

    #[test]
    fn replies_that_a_link_might_have_to_fragment_stay_alone() {
        let run = run(&[(2, SEGMENT_OCTETS_MAX), (2, SEGMENT_OCTETS_MAX), (2, 4_096), (2, 4_096)]);
        assert_eq!(rows_of(&Rows::of(run.entries())), [vec![0, 1], vec![2], vec![3]]);
    }

    proptest! {
        #[test]
        fn every_reply_is_in_one_row_and_rows_are_uniform(
            replies in proptest::collection::vec((1_u16..6, 20_usize..23), 0..90),
        ) {
            let run = run(&replies);
            for rows in [Rows::of(run.entries()), Rows::of_single(run.entries())] {
                let mut seen: Vec<u8> = rows_of(&rows).concat();
                for row in rows_of(&rows) {
                    prop_assert!(row.windows(2).all(|pair| pair[0] < pair[1]));
                    prop_assert!(row.iter().all(|at| replies[usize::from(*at)] == replies[usize::from(row[0])]));
                }
                seen.sort_unstable();
                let expected: Vec<u8> = (0..64).take(replies.len()).collect();
                prop_assert_eq!(seen, expected);
            }
        }
    }
}
