//! The decision log: one JSON object a line for every decision, told drop and accounting record.
//!
//! Owns the lines, the way to the writer, and what is lost and counted when the writer is too slow. It never blocks a
//! shard, and it decides nothing; what an event says is the engine's.
//!
//! Each shard formats its lines into a buffer of its own, allocated once. A single thread swaps the buffers for an empty
//! one and writes them, every [`crate::limits::LOG_DELAY`] or when one is half full. The lock around a buffer is held by
//! the thread for a swap only, and the shard doesn't wait for it.
//!
//! | file | what |
//! | --- | --- |
//! | [`settings`] | where the log goes |
//! | [`log`] | the thread, the shards' ends, reopening |
//! | `output` | standard output or a file |
//! | `line` | an event as a line |
//! | `attributes` | attributes of a request in a line, and which are never shown |
//! | `json` | writing JSON without allocating |
//! | `digits` | numbers, addresses and octets as digits |

mod attributes;
mod digits;
mod json;
mod line;
pub mod log;
mod output;
pub mod settings;
