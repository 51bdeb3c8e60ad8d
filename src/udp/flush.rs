//! The end of a batch: its replies go out.
//!
//! Owns what happens to replies that the kernel refuses: they are counted, and nothing else. The client's
//! retransmission draws the stored reply.

use std::{io, sync::Arc};

use crate::{limits, metrics::udp::ShardCells};

use super::{batch, replies::Replies, socket, socket::Socket};

/// Sends all `replies`, each by the socket of its listener, and empties them.
///
/// `sockets`: those of this shard, in the order of the listeners.
pub fn flush(sockets: &[Arc<Socket>], replies: &mut Replies, cells: &ShardCells) {
    cells.replies_lost.add(replies.take_lost());
    if replies.entries().is_empty() {
        return;
    }
    replies.sort_by_listener();
    let (mut sent, mut failed, mut patient) = (0, 0, true);
    let mut rest = replies.entries();
    while let Some(first) = rest.first() {
        let listener = first.to.route.listener;
        let run = rest.iter().take(limits::BATCH_DATAGRAMS).take_while(|entry| entry.to.route.listener == listener);
        let (run, after) = rest.split_at(run.count());
        let Some(socket) = sockets.get(usize::from(listener)) else {
            debug_assert!(false, "a reply for listener {listener} of {}", sockets.len());
            failed += run.len();
            rest = after;
            continue;
        };
        let done = match batch::send(socket, replies, run) {
            Ok(count @ 1..) => {
                sent += count;
                count
            }
            // A full send buffer empties as fast as the line takes it. A line that stands still is waited for once.
            Err(error) if patient && error.kind() == io::ErrorKind::WouldBlock => {
                patient = socket::wait_for_room(socket, limits::SEND_PATIENCE);
                0
            }
            Ok(0) | Err(_) => {
                failed += 1;
                1
            }
        };
        rest = rest.get(done..).unwrap_or_default();
    }
    cells.sent.add(sent as u64);
    cells.send_failed.add(failed as u64);
    replies.clear();
}
