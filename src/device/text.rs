//! Texts that many devices have in common: versions, models, manufacturers.
//!
//! Owns the shape only; which texts are shared is decided where answers are joined.

use std::{borrow::Borrow, fmt, hash::Hash, ops::Deref, sync::Arc};

/// A text that devices may share. It takes one word where it is used, an `Arc<str>` would take two: a record has seven of
/// them, and there are a million records.
#[derive(Clone)]
pub struct SharedText(Arc<Box<str>>);

impl SharedText {
    /// Whether somebody else holds the very same one.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Whether two are one, not only equal.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SharedText {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        Self(Arc::new(text.into()))
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        Self(Arc::new(text.into()))
    }
}

impl PartialEq for SharedText {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || **self == **other
    }
}

impl Eq for SharedText {}

impl Hash for SharedText {
    /// As the text itself, so that one is found by the other.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

const _: () = assert!(size_of::<Option<SharedText>>() == size_of::<usize>(), "one word, also where there is none");

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn equal_texts_are_found_by_their_letters() {
        let texts: HashSet<SharedText> = HashSet::from(["Windows".into(), SharedText::from("macOS".to_owned())]);
        let found = texts.get("Windows").unwrap().clone();
        assert!(found.is_shared() && found == SharedText::from("Windows") && !found.is_same(&"Windows".into()));
    }
}
