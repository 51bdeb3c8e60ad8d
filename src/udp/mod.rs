//! Datagrams in and out: sockets shared by shards, batches, and the threads that drive one machine each.
//!
//! Owns sockets, the steering of datagrams to shards, the loop of a shard and the mailboxes through which other threads
//! reach it. It knows neither RADIUS nor policy: a [`Machine`](crate::engine::machine::Machine) gets the octets.
//!
//! - [`settings`]: where to listen, with how many shards
//! - [`server`]: bind, run, stop: [`Udp`] and [`Running`]
//! - [`shard`]: the loop of one thread
//! - [`mailbox`]: answers and the order to stop, from other threads
//! - [`valve`], [`filter`]: what an overloaded socket turns away in the kernel
//! - [`socket`]: options, groups of sockets, steering by Identifier, waiting
//! - [`batch`]: recvmmsg and sendmmsg (elsewhere `portable`)
//! - [`replies`], `rows`, [`flush`]: the replies of one batch, collected, put side by side and sent
//! - [`echo`]: the yardstick of the benches
//! - [`error`]: why the sockets can't be had
//!
//! # More than can be done
//!
//! When three times as much comes as a shard can work off, the kernel's queue is full, and two thirds of all datagrams are
//! dropped whatever they are. For a MAC bypass that is fair: every third is answered at once. A handshake of ten round trips
//! would have to be lucky ten times, and a client that asks with Status-Server whether the server lives would go elsewhere
//! two times of three. So while batches are full a shard looks how full the queue is, and before it overflows the socket
//! gets a program (`SO_ATTACH_FILTER`, which needs no privilege) that lets conversations and Status-Server through and, of
//! everything that would begin something, as much as keeps the queue between a quarter and a half, or, of a slow shard,
//! between an eighth and a quarter of a second. It chooses by client and by Identifiers in a row, other ones every half second
//! or sooner, so that what it lets in is answered together, and who asks again has a new chance. The first batch that is not full removes it. What it turns away is counted
//! by the kernel with what finds no room, and apart in `radmit_socket_shed_total`; `radmit_socket_shedding_percent` tells
//! how much of it there is now.
//!
//! The program verifies nothing: who wants to flood a server can send States as well. It is for honest clients after a power
//! cut, and it makes a flood no worse than it is without it.

#[cfg(target_os = "linux")]
pub mod batch;
pub mod echo;
pub mod error;
pub mod filter;
pub mod flush;
pub mod mailbox;
#[cfg(any(test, not(target_os = "linux")))]
pub mod portable;
pub mod ready_list;
pub mod replies;
mod rows;
pub mod server;
pub mod settings;
pub mod shard;
pub mod socket;
pub mod valve;

#[cfg(not(target_os = "linux"))]
pub use portable as batch;

pub use error::{BindError, ListenCause, Shortcoming, StartError};
pub use mailbox::Mailbox;
pub use server::{KernelDrops, Listener, Running, ShardLives, Udp};
pub use settings::Settings;
