//! Facts as texts, for attribute values that refer to them: `"{identity.mac}"`.
//!
//! Owns how a fact looks inside of an attribute. What an absent one means for the attribute is the reply plan's matter.

use std::fmt::{self, Write};

use super::{
    arena::{Arena, SubjectId},
    facts::Facts,
    reading::{LocalTime, Reading, Shown},
    reply_plan::{FactId, FactSource},
};

/// The facts of one request, by the numbers that a policy's reply plans know.
#[derive(Clone, Copy, Debug)]
pub struct FactTexts<'e, 'a> {
    pub(super) arena: &'e Arena,
    pub(super) facts: &'e Facts<'a>,
}

impl FactSource for FactTexts<'_, '_> {
    fn write(&self, fact: FactId, out: &mut dyn Write) -> Result<bool, fmt::Error> {
        let Some(subject) = self.arena.find_subject(SubjectId(fact.0)) else { return Ok(false) };
        let mut written = Ok(());
        // Of several values the first stands for all.
        let found = subject.each_value(self.facts, || LocalTime::of(self.facts), &mut |reading| {
            written = match reading {
                Reading::Text(text) => write_text(text, out),
                reading => write!(out, "{}", Shown { kind: subject.kind, reading }),
            };
            true
        });
        written.map(|()| found)
    }
}

/// Text in the form in which it came; octets that are no UTF-8 become `?`.
fn write_text(text: &[u8], out: &mut dyn Write) -> fmt::Result {
    for chunk in text.utf8_chunks() {
        out.write_str(chunk.valid())?;
        if !chunk.invalid().is_empty() {
            out.write_char('?')?;
        }
    }
    Ok(())
}
