//! Where answers are handed to the shards.
//!
//! Owns nothing but their mailboxes.

use std::{fmt, sync::Arc};

use crate::device::question::{Answer, Answers};

/// The mailboxes of all shards.
#[derive(Clone)]
pub(super) struct Board(Arc<[Arc<dyn Answers>]>);

impl Board {
    pub(super) fn new(mailboxes: Vec<Arc<dyn Answers>>) -> Self {
        Self(mailboxes.into())
    }

    /// Hands `answer` to one shard. A shard that is no more (after a reload) gets nothing.
    pub(super) fn deliver(&self, shard: usize, answer: Answer) {
        if let Some(mailbox) = self.0.get(shard) {
            mailbox.deliver(answer);
        }
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("shards", &self.0.len()).finish()
    }
}
