//! A load generator: requests as switches send them, at a pace, every answer checked, latencies told as percentiles.
//!
//! Owns what `radmit bench` and the benches load servers with. It asks nothing of the server but RADIUS: any server
//! will do.
//!
//! - [`schedule`]: closed loop, steady rate, storm
//! - [`histogram`]: latencies in fixed memory

pub mod histogram;
pub mod schedule;
