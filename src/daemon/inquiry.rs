//! What the running server would know about a device, found out beside it.
//!
//! Owns the loop that the engine spreads over time: ask, note the answer, go on. Which server is asked what, and what
//! counts as an answer, is `engine::lookup`'s matter; how the answer is got is the caller's.

use std::time::Duration;

use crate::{
    clock::Now,
    device::question::{Failure, Key, Outcome},
    engine::{
        identity::Identity,
        lookup::{Known, Limits, Pursuit, Step, advance},
        snapshot::{MdmServer, Snapshot},
    },
    limits,
    policy::decision::SetIndex,
    radius::packet::Packet,
};

/// Nobody's switch waits here, so the answers may take their time.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Looks a device up as far as `ask` tells.
pub fn inquire(
    snapshot: &Snapshot,
    set: SetIndex,
    identity: &Identity,
    packet: &Packet<'_>,
    now: Now,
    ask: &mut dyn FnMut(&MdmServer, Key) -> Outcome,
) -> Known {
    let mut pursuit = Pursuit::default();
    let limits = Limits { decide_by: now.mono.plus(PATIENCE) };
    for _ in 0..=limits::MDM_SERVERS_MAX * 2 {
        match advance(&mut pursuit, snapshot.servers_of(set), identity, packet, now, limits) {
            Step::Known(known) => return known,
            Step::Ask { server, key, .. } => {
                let outcome = snapshot.server(server).map(|asked| ask(asked, key));
                pursuit.answered(server, &outcome.unwrap_or(Outcome::Failed(Failure::NotReady)));
            }
        }
    }
    debug_assert!(false, "a lookup settles a server in every turn");
    Known::nothing()
}
