//! The simulated Microsoft cloud: an HTTPS server on loopback that stands in for Entra, Graph and Intune.
//!
//! Owns everything that a client of those services can meet, their errors and oddities included, and a control path by
//! which all of it can be switched at run time. For tests, drills and the demo; it knows nothing of RADIUS, policies or
//! the client under test, and it never leaves loopback.
//!
//! * `server` starts and stops it; `settings` is what it starts with; `tls` and `line` carry it.
//! * `cloud` answers: `token` (with `assertion`), `graph` (with `odata` and `batch`), `retrieval`.
//!   `call` reads requests, `bodies` writes answers, `surface` names the parts.
//! * `fleet` holds the devices, `generated` makes some up.
//! * `faults` lists what can go wrong, `harm` does it, `throttle` counts, `statistics` remembers,
//!   `control` switches.

mod answer;
mod assertion;
mod batch;
mod bodies;
mod call;
mod chance;
mod cloud;
mod control;
mod faults;
mod fleet;
mod generated;
mod graph;
mod harm;
mod line;
mod odata;
mod retrieval;
mod server;
mod settings;
mod statistics;
mod surface;
mod throttle;
mod tls;
mod token;

pub use cloud::{Cloud, OldUnit};
pub use faults::{Fault, FaultKind};
pub use fleet::Fleet;
pub use server::Sim;
pub use settings::{Credentials, EXAMPLE_CLIENT, EXAMPLE_TENANT, Settings, StartError, TlsSource};
pub use statistics::{Called, Counts, Statistics};
pub use surface::{Surface, Surfaces};
pub use throttle::Limit;
