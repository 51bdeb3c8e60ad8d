//! Conversations whose devices fell silent: found, told of, forgotten.
//!
//! Owns what the log and the counters get of them. When a conversation has ended is `eap::sessions`' matter.

use std::{sync::Arc, time::Duration};

use crate::{clock::Now, metrics::engine::EapResult, radius::packet::Packet};

use super::{
    dialogue::{Dialogue, station_of},
    record::{Line, Outcome},
    state::State,
};

impl State {
    /// Ends the conversations whose devices fell silent, and tells of them, whichever shard they came to; if it is time.
    pub(super) fn sweep_dialogues(&mut self, now: Now) {
        let mut silent = Vec::new();
        let dialogues = Arc::clone(&self.dialogues);
        dialogues.sweep_if_due(now, &mut |ended| {
            let silence = now.mono.since(ended.touched);
            silent.extend(ended.item.map(|dialogue| (dialogue, silence)));
        });
        for (dialogue, silence) in silent {
            self.tell_silence(&dialogue, silence, now);
        }
    }

    fn tell_silence(&mut self, dialogue: &Dialogue, silence: Duration, now: Now) {
        self.count_eap(dialogue, EapResult::Timeout);
        if dialogue.is_told {
            return;
        }
        let Ok(packet) = Packet::parse(&dialogue.first) else { return };
        let detail = dialogue.conversation.outline().stalled_message(silence);
        let line = Line {
            method: dialogue.method().name(),
            mac: station_of(&packet),
            outcome: Outcome::Stalled,
            dialogue: Some(dialogue.event()),
            detail: Some(&detail),
            ..Line::new(now)
        };
        let told = line.tell(&dialogue.snapshot, &dialogue.client, &packet, dialogue.peer, now, &mut *self.events);
        if !told {
            self.cells.events_lost.increment_own();
        }
    }
}
