//! A load generator: requests as switches send them, at a pace, every answer checked, latencies told as percentiles.
//!
//! Owns `radmit bench` behind its arguments, and what the benches load servers with. It asks nothing of the server but
//! RADIUS: any server will do.
//!
//! Every request is a new one. Its Request Authenticator was never used before ([`request::Authenticators`]), so that no
//! right answer can come from a server's store of replies, unless the request itself was sent again after its timeout
//! (`retries`, none by default); those answers are counted apart.
//!
//! In an open loop latency begins at the moment at which a request was due by the schedule, not when it was sent: a server
//! (or generator) that stands still for a second delays all requests of that second, and they tell so. Measured from
//! sending, one slow request would stand for thousands that could not be sent meanwhile (coordinated omission).
//!
//! - [`plan`]: what to load, how, for how long: [`Plan`]
//! - [`run()`] carries it out
//! - [`report`]: what came of it: [`Report`], a [`Row`] for each second, both as JSON
//! - [`schedule`]: closed loop, steady rate, storm
//! - [`devices`]: who asks, uniformly or by Zipf's law
//! - [`request`]: the requests
//! - `work`: what a thread's share is, without its sockets; `line`: its sockets
//! - `traffic`: what is under way, whatever it says; `timetable`: what is due; `in_flight`: Identifiers; `judge`: whether an
//!   answer is right
//! - `generator`: MAC bypasses
//! - `conversations`: whole conversations of EAP-TLS
//! - [`forged`]: whether the server verifies what it is asked; what one does that doesn't is no measure
//! - [`tally`]: what became of the requests
//! - [`histogram`]: latencies in fixed memory
//!
//! ```no_run
//! use std::{sync::Arc, time::Duration};
//! use radmit::{bench::{Pace, Plan, run}, radius::secret::Secret};
//!
//! let secret = Arc::new(Secret::new(b"radmit-demo-secret".to_vec())?);
//! let plan = Plan { pace: Pace::Steady(2_000.0), duration: Duration::from_secs(5), ..Plan::new(([127, 0, 0, 1], 1812).into(), secret) };
//! let report = run(&plan, &mut |row| println!("{}: {} answered", row.second, row.answered))?;
//! println!("p99 {:?}, {} lost", report.tally.latency_of_all().percentile(0.99), report.tally.lost.total());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod conversations;
pub mod devices;
pub mod forged;
mod generator;
pub mod histogram;
mod in_flight;
mod judge;
mod line;
pub mod plan;
pub mod report;
pub mod request;
pub mod run;
pub mod schedule;
pub mod tally;
mod timetable;
mod traffic;
mod work;

pub use devices::{Devices, Distribution};
pub use forged::Forged;
pub use histogram::Histogram;
pub use plan::{Answers, Plan, Refused};
pub use report::{Report, Row};
pub use run::run;
pub use schedule::Pace;
pub use tally::{Loss, Verdict};
