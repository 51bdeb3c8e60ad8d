//! Sessions that devices can resume instead of proving everything again.
//!
//! Owns their keeping: how many, how long, and under which trust. rustls by itself resumes for ever and asks nobody.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hashbrown::HashMap;
use zeroize::Zeroizing;

use crate::{
    clock::{Mono, Now},
    limits,
};

use super::{evidence::Evidence, verify::Verified};

/// All sessions that can be resumed. Only of EAP-TLS: nothing else shares it.
///
/// One table for all threads: an access takes well under a microsecond, the handshake around it fifty at least. Kept
/// through reloads: what is trusted is compared when a session is resumed. Bound: [`limits::TLS_RESUMPTIONS_MAX`]; when
/// full the oldest leaves.
#[derive(Default)]
pub struct Resumptions {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_key: HashMap<Box<[u8]>, Kept, foldhash::fast::RandomState>,
    // In the order of insertion, which is the order of expiry as long as the lifetime does not change. A key may stand
    // here although its session was taken; it is then passed over. Bound: twice the table's.
    order: VecDeque<(u64, Box<[u8]>)>,
    inserted: u64,
    evicted: u64,
}

struct Kept {
    number: u64,
    value: Zeroizing<Vec<u8>>,
    proof: Proof,
}

/// What the full handshake behind a session proved.
#[derive(Clone, Debug)]
pub struct Proof {
    /// When the device proved that it has the key.
    pub at: Mono,
    /// Until when that holds, and what was trusted for it.
    pub verified: Verified,
    /// What the certificate says.
    pub evidence: Arc<Evidence>,
}

impl Proof {
    /// Whether it may still stand for a handshake: not too old, under the same trust, and nothing has ended since.
    #[must_use]
    pub fn holds(&self, now: Now, lifetime: Duration, trust: &[u8; 32]) -> bool {
        now.mono.since(self.at) < lifetime && self.verified.fingerprint == *trust && now.wall < self.verified.until
    }
}

impl Resumptions {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a session. Called only when the device was permitted.
    pub(super) fn keep(&self, key: &[u8], value: Zeroizing<Vec<u8>>, proof: Proof) {
        let mut table = self.lock();
        table.inserted += 1;
        let number = table.inserted;
        table.by_key.insert(key.into(), Kept { number, value, proof });
        table.order.push_back((number, key.into()));
        while table.by_key.len() > limits::TLS_RESUMPTIONS_MAX || table.order.len() > 2 * limits::TLS_RESUMPTIONS_MAX {
            let Some((number, oldest)) = table.order.pop_front() else { break };
            if table.by_key.get(&oldest).is_some_and(|kept| kept.number == number) {
                table.by_key.remove(&oldest);
                table.evicted += 1;
            }
        }
    }

    /// A session that stays: TLS 1.2 ids may be used again.
    pub(super) fn find(&self, key: &[u8]) -> Option<(Zeroizing<Vec<u8>>, Proof)> {
        self.lock().by_key.get(key).map(|kept| (kept.value.clone(), kept.proof.clone()))
    }

    /// A session that leaves: a TLS 1.3 ticket serves once.
    pub(super) fn take(&self, key: &[u8]) -> Option<(Zeroizing<Vec<u8>>, Proof)> {
        self.lock().by_key.remove(key).map(|kept| (kept.value, kept.proof))
    }

    /// Drops what has ended.
    pub fn sweep(&self, now: Now, lifetime: Duration) {
        let mut table = self.lock();
        let Table { by_key, order, .. } = &mut *table;
        by_key.retain(|_, kept| now.mono.since(kept.proof.at) < lifetime && now.wall < kept.proof.verified.until);
        order.retain(|(number, key)| by_key.get(key).is_some_and(|kept| kept.number == *number));
    }

    /// How many can be resumed, and how many had to leave because of the bound.
    #[must_use]
    pub fn counts(&self) -> (usize, u64) {
        let table = self.lock();
        (table.by_key.len(), table.evicted)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A thread that panicked left a table that is whole: every change is one call on a map.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Resumptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resumptions({})", self.counts().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;

    fn proof(at: Mono, until: Wall) -> Proof {
        let evidence = Evidence {
            subject: "".into(),
            subject_cn: None,
            has_several_cns: false,
            issuer: "".into(),
            issuer_cn: None,
            serial: "1".into(),
            not_before: Wall::default(),
            not_after: until,
            san_uri: Box::default(),
            san_dns: Box::default(),
            san_email: Box::default(),
            san_upn: Box::default(),
            has_unreadable_names: false,
            fingerprint: [0; 32],
            chain_fingerprint: [0; 32],
        };
        Proof { at, verified: Verified { until, fingerprint: [1; 32] }, evidence: Arc::new(evidence) }
    }

    fn now(secs: i64) -> Now {
        Now { mono: Mono::from_nanos(secs * 1_000_000_000), wall: Wall::from_secs(secs) }
    }

    #[test]
    fn a_proof_ends_by_age_by_date_and_by_another_trust() {
        let proof = proof(now(100).mono, Wall::from_secs(1_000));
        let hour = Duration::from_secs(3600);
        assert!(proof.holds(now(999), hour, &[1; 32]));
        assert!(!proof.holds(now(1_000), hour, &[1; 32]), "a certificate or a revocation list has ended");
        assert!(!proof.holds(now(999), Duration::from_secs(899), &[1; 32]), "too old");
        assert!(!proof.holds(now(999), hour, &[2; 32]), "authorities or revocation lists were replaced");
        assert!(!proof.holds(now(100), Duration::ZERO, &[1; 32]), "resumption is off");
    }

    #[test]
    fn a_full_table_loses_its_oldest() {
        let table = Resumptions::new();
        let extra = 3;
        for number in 0..limits::TLS_RESUMPTIONS_MAX + extra {
            table.keep(&number.to_be_bytes(), Zeroizing::new(vec![0]), proof(Mono::default(), Wall::from_secs(9)));
        }
        assert_eq!(table.counts(), (limits::TLS_RESUMPTIONS_MAX, extra as u64));
        assert!(table.find(&0usize.to_be_bytes()).is_none());
        assert!(table.find(&extra.to_be_bytes()).is_some());
    }

    #[test]
    fn taking_and_keeping_for_ever_stays_bounded() {
        let table = Resumptions::new();
        for number in 0..3 * limits::TLS_RESUMPTIONS_MAX {
            let key = number.to_be_bytes();
            table.keep(&key, Zeroizing::new(vec![0]), proof(Mono::default(), Wall::from_secs(9)));
            assert!(table.take(&key).is_some());
            assert!(table.take(&key).is_none(), "a ticket serves once");
        }
        assert!(table.lock().order.len() <= 2 * limits::TLS_RESUMPTIONS_MAX);
    }

    #[test]
    fn what_has_ended_is_swept() {
        let table = Resumptions::new();
        table.keep(b"old", Zeroizing::new(vec![0]), proof(now(0).mono, Wall::from_secs(1_000)));
        table.keep(b"new", Zeroizing::new(vec![0]), proof(now(90).mono, Wall::from_secs(1_000)));
        table.sweep(now(100), Duration::from_secs(60));
        assert_eq!(table.counts().0, 1);
        assert!(table.find(b"new").is_some());
        assert_eq!(table.lock().order.len(), 1);
    }
}
