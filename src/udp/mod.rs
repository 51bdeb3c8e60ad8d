//! Datagrams in and out: sockets shared by shards, batches, and the threads that drive one machine each.
//!
//! Owns sockets, the steering of datagrams to shards, the loop of a shard and the mailboxes through which other threads
//! reach it. It knows neither RADIUS nor policy: a [`Machine`](crate::engine::machine::Machine) gets the octets.
//!
//! - [`settings`]: where to listen, with how many shards
//! - [`server`]: bind, run, stop: [`Udp`] and [`Running`]
//! - [`shard`]: the loop of one thread
//! - [`mailbox`]: answers and the order to stop, from other threads
//! - [`socket`]: options, groups of sockets, steering by Identifier, waiting
//! - [`batch`]: recvmmsg and sendmmsg (elsewhere `portable`)
//! - [`replies`], [`flush`]: the replies of one batch, collected and sent
//! - [`echo`]: the yardstick of the benches
//! - [`error`]: why the sockets can't be had

#[cfg(target_os = "linux")]
pub mod batch;
pub mod echo;
pub mod error;
pub mod flush;
pub mod mailbox;
#[cfg(any(test, not(target_os = "linux")))]
pub mod portable;
pub mod replies;
pub mod server;
pub mod settings;
pub mod shard;
pub mod socket;

#[cfg(not(target_os = "linux"))]
pub use portable as batch;

pub use error::{BindError, ListenCause, StartError};
pub use mailbox::Mailbox;
pub use server::{KernelDrops, Listener, Running, Udp};
pub use settings::Settings;
