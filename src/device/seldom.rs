//! [`Seldom`]: a bounded cache that costs those who ask nothing until something was put in.
//!
//! Owns the cache and the sign on its door. What it holds, and how old that may be, is the directory's matter.

use std::{
    hash::Hash,
    sync::atomic::{AtomicBool, Ordering},
};

use moka::sync::Cache;

/// A cache that many servers never use. Asking it takes locks and notes the question for its own order, which packet
/// threads share; so it is asked only after the first entry.
pub(super) struct Seldom<K, V> {
    /// Bound: its own capacity; the least useful entry leaves.
    cache: Cache<K, V>,
    is_used: AtomicBool,
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Seldom<K, V> {
    /// For so many entries.
    pub(super) fn new(entries: u64) -> Self {
        Self { cache: Cache::new(entries), is_used: AtomicBool::new(false) }
    }

    /// The entry of `key`.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        if self.is_used.load(Ordering::Acquire) { self.cache.get(key) } else { None }
    }

    /// Puts an entry in.
    pub(super) fn insert(&self, key: K, value: V) {
        self.is_used.store(true, Ordering::Release);
        self.cache.insert(key, value);
    }

    /// Takes an entry out.
    pub(super) fn invalidate(&self, key: &K) {
        self.cache.invalidate(key);
    }

    /// All entries.
    pub(super) fn cache(&self) -> &Cache<K, V> {
        &self.cache
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_until_it_is_taken_out() {
        let cache = Seldom::new(10);
        assert_eq!(cache.get(&1), None);
        cache.insert(1, "one");
        assert_eq!((cache.get(&1), cache.get(&2)), (Some("one"), None));
        cache.invalidate(&1);
        assert_eq!(cache.get(&1), None);
    }
}
