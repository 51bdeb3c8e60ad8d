//! Numbers about what radmit does: counters, gauges and histograms without I/O.
//!
//! Owns the cells that the running parts count in and the list of metrics with their units. It serves no page (`http`
//! does), and nothing here waits or locks: a shard writes its own cells, the page adds them up.

pub mod cell;
pub mod engine;
pub mod list;
pub mod mdm;
pub mod packets;
pub mod page;
pub mod process;
pub mod store;
pub mod udp;
