//! [`RareText`]: a text that every request reads and that hardly ever changes.
//!
//! Owns the texts that there were and which of them counts. It knows nothing of what they mean.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use crate::limits::RARE_TEXTS_KEPT;

/// A text that is read without a lock and without counting its readers: packet threads would take the lock, or the
/// count, from each other at every request. In exchange each different text stays in memory until the end.
#[derive(Debug, Default)]
pub(super) struct RareText {
    /// Bound: [`RARE_TEXTS_KEPT`]; a further text is not taken, and the one before it still counts.
    texts: [OnceLock<Box<str>>; RARE_TEXTS_KEPT],
    /// The place of the text that counts, plus one; 0: there is none.
    current: AtomicUsize,
}

impl RareText {
    /// The text of now.
    pub(super) fn read(&self) -> Option<&str> {
        let at = self.current.load(Ordering::Acquire).checked_sub(1)?;
        self.texts.get(at)?.get().map(|text| &**text)
    }

    /// From now on `text` counts. False if it found no room.
    pub(super) fn note(&self, text: &str) -> bool {
        let found = self.texts.iter().position(|place| **place.get_or_init(|| text.into()) == *text);
        if let Some(at) = found {
            self.current.store(at + 1, Ordering::Release);
        }
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_text_counts_and_an_old_one_can_come_back() {
        let text = RareText::default();
        assert_eq!(text.read(), None);
        for told in ["a", "b", "a", "c", "c"] {
            assert!(text.note(told));
            assert_eq!(text.read(), Some(told));
        }
    }

    #[test]
    fn a_text_that_finds_no_room_changes_nothing() {
        let text = RareText::default();
        for number in 0..RARE_TEXTS_KEPT {
            assert!(text.note(&number.to_string()));
        }
        let last = text.read();
        assert!(!text.note("one more") && text.read() == last);
        assert!(text.note("0") && text.read() == Some("0"));
    }
}
