//! What can be said about a key, and how the age of a record turns into that.
//!
//! Owns the answers of the directory and the judgement of one record. Which record belongs to a key is the directory's
//! business.

use std::sync::Arc;

use crate::clock::{Mono, Now};

use super::{ages::Ages, record::DeviceRecord};

/// What the directory can say about a key.
#[derive(Clone, Debug)]
pub enum Knowledge {
    /// Young enough to decide by. `refresh`: it nears its age and should be asked again behind the request.
    Fresh {
        /// The answer.
        record: Arc<DeviceRecord>,
        /// Whether to ask again behind.
        refresh: bool,
    },
    /// Too old to decide by without asking. It stays, because it tells when the device was last compliant.
    Aged {
        /// The answer.
        record: Arc<DeviceRecord>,
        /// Whether it may be used if nobody answers.
        servable: bool,
    },
    /// A positive "no such device", still believed; or a MAC address that a complete index does not hold.
    NotRegistered,
    /// Several devices fit.
    Ambiguous,
    /// The index that could tell is not complete, and nobody can be asked.
    NotReady,
    /// Nothing: ask.
    Unknown,
}

impl Knowledge {
    /// What a record comes to. `asked_at`: when the oldest was asked of all that says that this record is the one.
    pub(super) fn of(record: Arc<DeviceRecord>, asked_at: Mono, now: Now, ages: &Ages) -> Self {
        let age = now.mono.since(asked_at);
        if age < ages.compliance_max_age {
            let refresh = age >= ages.refresh_age(record.intune_id);
            Self::Fresh { record, refresh }
        } else {
            Self::Aged { record, servable: age < ages.stale_for }
        }
    }
}
