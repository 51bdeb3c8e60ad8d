//! What one shard counts about its datagrams: [`ShardCells`].
//!
//! Owns the cells. What the kernel drops before a shard sees it is asked from the kernel (`udp`), and what the engine
//! drops is counted by the engine with its reason.

use super::cell::{Counter, Gauge};

/// The cells of one shard. On cache lines of their own, so that shards don't slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardCells {
    /// Datagrams received.
    pub received: Counter,
    /// Calls for datagrams that failed for another reason than that there were none.
    pub receive_failed: Counter,
    /// Replies sent.
    pub sent: Counter,
    /// Replies that the kernel refused: no route, no buffer, a local firewall, an address that is gone.
    pub send_failed: Counter,
    /// Times that the kernel would not take several replies as one piece.
    pub segments_refused: Counter,
    /// Replies beyond what a shard collects for one batch.
    pub replies_lost: Counter,
    /// Answers of device management beyond what a mailbox holds. Written by other threads.
    pub answers_lost: Counter,
    /// Datagrams that the kernel dropped while this shard had it turn new requests away.
    pub shed: Counter,
    /// How many of a hundred new requests the kernel turns away at the moment.
    pub shedding_percent: Gauge,
    /// Times that the kernel refused to turn requests away.
    pub filter_refused: Counter,
    /// Calls of the machine that panicked: the reason `bug` of dropped requests.
    pub bugs: Counter,
}
