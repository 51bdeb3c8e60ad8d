//! What is known about the services of one server and outlives a reload, beside its directory.
//!
//! Owns what of it a changed configuration takes over. What is in it belongs to its parts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    cloud::Endpoints,
    intune::client::{Client, Remembered},
    manners::Manners,
    settings::Intune,
    token::Tokens,
};

/// How one server's services stand with us. It belongs to the devices of one tenant, as their directory does.
#[derive(Debug, Default)]
pub struct Standing {
    pub(super) manners: Arc<Manners>,
    last: Mutex<Option<Last>>,
}

/// What the worker before was told, and what it came to know.
#[derive(Debug)]
struct Last {
    intune: Intune,
    endpoints: Endpoints,
    remembered: Remembered,
}

impl Standing {
    /// What of it counts under these settings: nothing of other addresses, and no tokens of another application or of
    /// another credential, so that a wrong one shows at once.
    pub(super) fn recall(&self, intune: &Intune, endpoints: &Endpoints) -> Remembered {
        let anew = || Tokens::new(intune.clone(), endpoints.clone());
        match &*self.last() {
            Some(last) if last.endpoints == *endpoints => {
                let is_same = last.intune.tenant_id == intune.tenant_id
                    && last.intune.client_id == intune.client_id
                    && last.intune.credential.is_same(&intune.credential);
                let tokens = if is_same { last.remembered.tokens.taken_over(intune.clone()) } else { anew() };
                Remembered { tokens, whereabouts: Arc::clone(&last.remembered.whereabouts) }
            }
            _ => Remembered { tokens: anew(), whereabouts: Arc::default() },
        }
    }

    /// The worker that begins now asks by `client`.
    pub(super) fn keep(&self, intune: &Intune, client: &Client) {
        let (endpoints, remembered) = (client.endpoints().clone(), client.remembered().clone());
        *self.last() = Some(Last { intune: intune.clone(), endpoints, remembered });
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
