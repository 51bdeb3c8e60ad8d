//! Reads dictionary files in the syntax of FreeRADIUS 3: files, includes, scopes and lines.
//!
//! Opens no files: the caller gives the text of what `$INCLUDE` names. What a single statement means is in `statement`,
//! which definition holds when there are two is in `build`.

use crate::{
    dictionary::{
        build::Builder,
        statement::{self, Line, Scope, Token, Wanted},
    },
    document::Source,
    limits,
    problem::{Place, Problems},
};

/// Gives the text of an included file: what stands behind `$INCLUDE`, and the name of the file it stands in.
///
/// Names are compared to find loops, so the same file must always get the same name.
pub type Include<'i> = &'i mut dyn FnMut(&str, &str) -> Option<Source>;

impl Builder {
    /// Reads a file and all that it includes. Every mistake becomes a problem with its place; the rest is kept.
    pub fn load(&mut self, source: Source, include: Include<'_>, problems: &mut Problems) {
        let mut frames = Vec::new();
        let mut files = 0;
        push(&mut frames, source, problems);
        // A stack of its own instead of recursion: how deep files nest is the operator's choice.
        while let Some(frame) = frames.last_mut() {
            let Some(wanted) = frame.run(self, problems) else {
                frame.close(problems);
                frames.pop();
                continue;
            };
            files += 1;
            if files > limits::FILES_MAX {
                let message = format!("more than {} files are included; load fewer", limits::FILES_MAX);
                problems.error("too-many-files", Some(wanted.place), message);
                return;
            }
            if let Some(source) = open(wanted, &frames, include, problems) {
                push(&mut frames, source, problems);
            }
        }
    }
}

fn push(frames: &mut Vec<Frame>, source: Source, problems: &mut Problems) {
    if source.text().len() > limits::FILE_OCTETS_MAX {
        let message = format!(
            "{} octets are more than the {} allowed; split the file",
            source.text().len(),
            limits::FILE_OCTETS_MAX
        );
        problems.error("file-too-large", Some(Place::whole(source.name().as_ref())), message);
        return;
    }
    frames.push(Frame { source, next: 0, scope: Scope::default() });
}

/// One file that is being read.
struct Frame {
    source: Source,
    /// The octet at which the next line starts.
    next: usize,
    scope: Scope,
}

impl Frame {
    /// Reads lines up to the next include or the end of the file.
    fn run(&mut self, builder: &mut Builder, problems: &mut Problems) -> Option<Wanted> {
        let Self { source, next, scope } = self;
        loop {
            let rest = source.text().get(*next..).filter(|rest| !rest.is_empty())?;
            let length = rest.find('\n').map_or(rest.len(), |at| at + 1);
            let line = Line { source, tokens: tokens(rest.get(..length)?, *next) };
            *next += length;
            if let Some(wanted) = statement::read(&line, scope, builder, problems) {
                return Some(wanted);
            }
        }
    }

    /// Reports blocks that were not closed.
    fn close(&self, problems: &mut Problems) {
        for (name, _, place) in &self.scope.tlvs {
            let message = format!("the block is not closed; end it with: END-TLV {name}");
            problems.error("not-closed", Some(place.clone()), message);
        }
        if let Some(vendor) = &self.scope.vendor {
            let message = format!("the block is not closed; end it with: END-VENDOR {}", vendor.name);
            problems.error("not-closed", Some(vendor.place.clone()), message);
        }
    }
}

fn open(wanted: Wanted, frames: &[Frame], include: Include<'_>, problems: &mut Problems) -> Option<Source> {
    if frames.len() > limits::INCLUDE_DEPTH_MAX {
        let message = format!("files include each other more than {} deep", limits::INCLUDE_DEPTH_MAX);
        problems.error("include-depth", Some(wanted.place), format!("{message}; include them from one file"));
        return None;
    }
    let from = frames.last().map_or("", |frame| frame.source.name());
    let Some(source) = include(&wanted.file, from) else {
        if !wanted.optional {
            let message = format!(
                "the file \"{}\" can't be read; correct its name, or write $INCLUDE- if it may be missing",
                wanted.file
            );
            problems.error("include-missing", Some(wanted.place), message);
        }
        return None;
    };
    if frames.iter().any(|frame| frame.source.name() == source.name()) {
        let message = format!("\"{}\" includes itself in the end; remove one of the lines", source.name());
        problems.error("include-loop", Some(wanted.place), message);
        return None;
    }
    Some(source)
}

/// The words of a line without its comment; `at`: the octet at which the line starts.
fn tokens(line: &str, at: usize) -> Vec<Token<'_>> {
    let line = line.split('#').next().unwrap_or("");
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let mut tokens = Vec::new();
    let mut from = 0;
    while let Some(start) = line.get(from..).and_then(|rest| rest.find(|c| !blank(c))).map(|skip| from + skip) {
        let rest = line.get(start..).unwrap_or("");
        let text = rest.split(blank).next().unwrap_or("");
        tokens.push(Token { text, at: at + start });
        from = start + text.len();
    }
    tokens
}
