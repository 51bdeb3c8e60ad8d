//! The end of a batch: its replies go out.
//!
//! Owns what happens to replies that the kernel refuses: a row is sent again one by one, a single reply is counted, and
//! nothing else. The client's retransmission draws the stored reply.

use std::{io, sync::Arc};

use crate::{limits, metrics::udp::ShardCells};

use super::{
    batch,
    replies::{Entry, Replies},
    rows::Rows,
    socket,
    socket::Socket,
};

/// Sends all `replies`, each by the socket of its listener, and empties them.
///
/// `sockets`: those of this shard, in the order of the listeners.
pub fn flush(sockets: &[Arc<Socket>], replies: &mut Replies, cells: &ShardCells) {
    cells.replies_lost.add(replies.take_lost());
    if replies.entries().is_empty() {
        return;
    }
    replies.sort_by_listener();
    let mut told = Told { patient: true, sent: 0, failed: 0, refused: 0 };
    let mut rest = replies.entries();
    while let Some(first) = rest.first() {
        let listener = first.to.route.listener;
        let run = rest.iter().take(limits::BATCH_DATAGRAMS).take_while(|entry| entry.to.route.listener == listener);
        let (run, after) = rest.split_at(run.count());
        rest = after;
        if let Some(socket) = sockets.get(usize::from(listener)) {
            send(socket, replies, run, &mut told);
        } else {
            debug_assert!(false, "a reply for listener {listener} of {}", sockets.len());
            told.failed += run.len();
        }
    }
    cells.sent.add(told.sent as u64);
    cells.send_failed.add(told.failed as u64);
    cells.segments_refused.add(told.refused);
    replies.clear();
}

/// What became of the replies so far, and whether a line that stands still will be waited for.
struct Told {
    patient: bool,
    sent: usize,
    failed: usize,
    /// Sockets that sent rows until now.
    refused: u64,
}

/// Sends a run of replies by their socket, in rows if it may.
fn send(socket: &Socket, replies: &Replies, run: &[Entry], told: &mut Told) {
    let mut rows = if socket.sends_segments() { Rows::of(run) } else { Rows::of_single(run) };
    let mut row = 0;
    while row < rows.len() {
        match batch::send_rows(socket, replies, run, &rows, row) {
            Ok(count @ 1..) => {
                told.sent += (row..row + count).map(|row| rows.row(row).len()).sum::<usize>();
                row += count;
            }
            // A full send buffer empties as fast as the line takes it. A line that stands still is waited for once.
            Err(error) if told.patient && error.kind() == io::ErrorKind::WouldBlock => {
                told.patient = socket::wait_for_room(socket, limits::SEND_PATIENCE);
            }
            Ok(0) | Err(_) if rows.row(row).len() > 1 => {
                // Nothing is wrong with the replies: an interface, or IPsec, can't do this.
                socket.send_segments(false);
                told.refused += 1;
                rows = rows.parted_from(row);
            }
            Ok(0) | Err(_) => {
                told.failed += 1;
                row += 1;
            }
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
        time::Duration,
    };

    use super::*;
    use crate::{
        engine::action::{Outbox as _, Peer, Port, Route},
        udp::socket::bind_group,
    };

    /// Sends replies of these lengths to one client, the way back through `local`; returns what it gets, sorted.
    fn sent(server: IpAddr, local: IpAddr, prepare: impl Fn(&Socket)) -> (Vec<Vec<u8>>, Arc<ShardCells>) {
        const LENGTHS: [usize; 9] = [84, 84, 20, 84, 1_500, 84, 20, 1_500, 84];
        let group = bind_group(0, Port::Auth, (server, 0).into(), 1, 65_536).unwrap();
        let sockets: Vec<_> = group.sockets.into_iter().map(Arc::new).collect();
        sockets.iter().for_each(|socket| prepare(socket));
        let client = UdpSocket::bind((local, 0)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (mut replies, cells) = (Replies::new(), Arc::<ShardCells>::default());
        let route = Route { listener: 0, local: Some(local), interface: 0 };
        for (number, length) in (0_u8..).zip(LENGTHS) {
            replies.send(&Peer { address: client.local_addr().unwrap(), route }, &vec![number; length]);
        }
        flush(&sockets, &mut replies, &cells);
        let mut got: Vec<Vec<u8>> = LENGTHS
            .iter()
            .map(|_| {
                let mut octets = vec![0; 2_000];
                let (length, from) = client.recv_from(&mut octets).unwrap();
                assert_eq!(from.ip(), local, "a reply leaves from the address that was asked");
                octets.truncate(length);
                octets
            })
            .collect();
        got.sort();
        let expected: Vec<Vec<u8>> = (0_u8..).zip(LENGTHS).map(|(number, length)| vec![number; length]).collect();
        assert_eq!(got, expected);
        (got, cells)
    }

    #[test]
    fn replies_that_leave_as_one_piece_arrive_one_by_one() {
        let families: [[IpAddr; 2]; 2] = [
            [Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into()],
            [Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into()],
        ];
        for [wildcard, local] in families {
            for server in [wildcard, local] {
                for may in [true, false] {
                    let (_, cells) = sent(server, local, |socket| socket.send_segments(may));
                    let counted = [&cells.sent, &cells.send_failed, &cells.segments_refused].map(|cell| cell.value());
                    assert_eq!(counted, [9, 0, 0], "{server} {may}");
                }
            }
        }
    }

    #[test]
    fn replies_that_the_kernel_will_not_cut_leave_one_by_one() {
        let refusing = |socket: &Socket| {
            socket.send_segments(true);
            socket.send_no_checksums();
        };
        let local = Ipv4Addr::LOCALHOST.into();
        let (_, cells) = sent(local, local, refusing);
        let counted = [&cells.sent, &cells.send_failed, &cells.segments_refused].map(|cell| cell.value());
        assert_eq!(counted, [9, 0, 1]);
    }
}
