//! What is counted about what survives a restart, and what was learnt about clients.
//!
//! Owns the cells. `store` counts.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    cell::{Counter, Gauge},
    list,
    page::{Page, Source},
};

/// The cells of the store.
#[derive(Debug, Default)]
pub struct StoreCells {
    /// Unix time of the last time that everything was saved.
    pub saved: Gauge,
    /// Attempts that failed.
    pub failed: Counter,
    clients: Mutex<Vec<(Box<str>, bool)>>,
}

impl StoreCells {
    /// Tells for each client that learns whether Message-Authenticator can be required of it.
    pub fn set_clients(&self, clients: Vec<(Box<str>, bool)>) {
        *self.clients.lock().unwrap_or_else(PoisonError::into_inner) = clients;
    }
}

impl Source for Arc<StoreCells> {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(&list::STORE_SAVED, [([], self.saved.value())])?;
        page.counter(&list::STORE_FAILED, [([], self.failed.value())])?;
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner).clone();
        page.gauge(&list::CAN_BE_REQUIRED, clients.iter().map(|(name, can)| ([&**name], i64::from(*can))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::page::Exposition;

    #[test]
    fn each_client_that_learns_stands_on_the_page() {
        let cells = Arc::<StoreCells>::default();
        cells.set_clients(vec![("campus".into(), true), ("attic".into(), false)]);
        let text = Exposition::new(vec![Box::new(Arc::clone(&cells))]).text();
        for line in [
            r#"radmit_message_authenticator_can_be_required{client="campus"} 1"#,
            r#"radmit_message_authenticator_can_be_required{client="attic"} 0"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
