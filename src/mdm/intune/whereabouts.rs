//! Where the compliance retrieval service is, and which bases answered lately.
//!
//! Owns what is remembered between calls, as plain data on given times. It outlives a reload. It asks nobody.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::Url;

use crate::clock::{Mono, Now};

/// Where the service is, is asked again after this time.
const DISCOVERY_LASTS: Duration = Duration::from_secs(24 * 3600);

/// When it is asked again if that failed. Meanwhile it is where it was.
const DISCOVERY_RETRY: Duration = Duration::from_secs(5 * 60);

/// What is known about the places of Intune's interfaces.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    graph_answered_at: Mutex<Option<Mono>>,
    retrieval: Mutex<Option<Retrieval>>,
    /// Held by the one that asks where the service is.
    pub(super) discovering: tokio::sync::Mutex<()>,
}

/// The compliance retrieval service as it was discovered.
#[derive(Clone, Debug)]
struct Retrieval {
    base: Url,
    renew_at: Mono,
    answered_at: Option<Mono>,
}

impl Whereabouts {
    /// When Graph last answered.
    pub(super) fn graph_answered_at(&self) -> Option<Mono> {
        *lock(&self.graph_answered_at)
    }

    /// Graph answered what was asked at `asked_at`.
    pub(super) fn note_graph(&self, asked_at: Mono) {
        *lock(&self.graph_answered_at) = Some(asked_at);
    }

    /// Where the compliance retrieval service is, as far as it is known. An old place is one as well: when the service has
    /// moved, that shows.
    pub(super) fn retrieval(&self) -> Option<Url> {
        lock(&self.retrieval).as_ref().map(|known| known.base.clone())
    }

    /// The service was discovered at `base`.
    pub(super) fn note_retrieval(&self, base: Url, now: Now) {
        let mut retrieval = lock(&self.retrieval);
        // What proved the base proves it still.
        let answered_at = retrieval.take().filter(|known| known.base == base).and_then(|known| known.answered_at);
        *retrieval = Some(Retrieval { base, renew_at: now.mono.plus(DISCOVERY_LASTS), answered_at });
    }

    /// Whether to ask again where the service is. Says so once; if nothing comes of it, again after a while.
    pub(super) fn is_due(&self, now: Now) -> bool {
        let mut retrieval = lock(&self.retrieval);
        let Some(known) = retrieval.as_mut().filter(|known| known.renew_at <= now.mono) else { return false };
        known.renew_at = now.mono.plus(DISCOVERY_RETRY);
        true
    }

    /// When `base` last answered; none if the service is not there any more.
    pub(super) fn answered_at(&self, base: &Url) -> Option<Option<Mono>> {
        lock(&self.retrieval).as_ref().filter(|known| known.base == *base).map(|known| known.answered_at)
    }

    /// `base` answered what was asked at `asked_at`. What an older base does says nothing about the one that is known now.
    pub(super) fn note_answer(&self, base: &Url, asked_at: Mono) {
        if let Some(known) = lock(&self.retrieval).as_mut().filter(|known| known.base == *base) {
            known.answered_at = Some(asked_at);
        }
    }

    /// `base` did not answer: the tenant may have been moved to another scale unit.
    pub(super) fn doubt(&self, base: &Url) {
        lock(&self.retrieval).take_if(|known| known.base == *base);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str) -> Url {
        Url::parse(&format!("https://{host}.manage.microsoft.com/")).expect("a URL")
    }

    /// Trap 5: an old place is served until there is a new one, and what proved it goes on proving it.
    #[test]
    fn an_old_place_of_the_service_is_used_until_the_next_one_is_known() {
        let (places, found_at) = (Whereabouts::default(), Now::default());
        assert!(!places.is_due(found_at), "nothing is known: whoever needs it asks");
        places.note_retrieval(url("a"), found_at);
        places.note_answer(&url("a"), found_at.mono);
        let almost = found_at.advanced(DISCOVERY_LASTS - Duration::from_secs(1));
        assert!(!places.is_due(almost));
        let due = found_at.advanced(DISCOVERY_LASTS);
        assert!(places.is_due(due) && !places.is_due(due), "one asks");
        assert_eq!(places.retrieval(), Some(url("a")), "it is served meanwhile");
        let later = due.advanced(DISCOVERY_RETRY);
        assert!(places.is_due(later), "nothing came of it");
        places.note_retrieval(url("a"), later);
        assert_eq!(places.answered_at(&url("a")), Some(Some(found_at.mono)));
        assert!(!places.is_due(later));
        places.note_retrieval(url("b"), later);
        assert_eq!((places.answered_at(&url("a")), places.answered_at(&url("b"))), (None, Some(None)));
        places.doubt(&url("a"));
        assert_eq!(places.retrieval(), Some(url("b")));
        places.doubt(&url("b"));
        assert_eq!(places.retrieval(), None);
    }
}
