//! What is wrong in a file that an operator wrote: where, what, and what to do about it.
//!
//! Owns the shape and the order of such messages; it reads no files and decides nothing.

use std::{fmt, sync::Arc};

use crate::limits;

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name for scripts, in kebab-case, such as `unknown-fact`.
    pub code: &'static str,
    /// Where it stands; problems of the whole have none.
    pub place: Option<Place>,
    /// What is wrong, and after a semicolon what to do. One line.
    pub message: String,
}

impl Problem {
    /// An error: the file is not used.
    #[must_use]
    pub fn error(code: &'static str, place: Option<Place>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, place, message: one_line(message.into()) }
    }

    /// A warning: the file is used, but is probably not what was meant.
    #[must_use]
    pub fn warning(code: &'static str, place: Option<Place>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code, place, message: one_line(message.into()) }
    }

    /// A hint: shown only by `check --pedantic`.
    #[must_use]
    pub fn hint(code: &'static str, place: Option<Place>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Hint, code, place, message: one_line(message.into()) }
    }
}

/// The message with control characters written as escapes: it may repeat a piece of a file, which must neither begin a
/// line of its own nor drive the terminal.
fn one_line(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let mut line = String::with_capacity(message.len() + 8);
    for c in message.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        match self.severity {
            Severity::Error => {}
            Severity::Warning => f.write_str("warning: ")?,
            Severity::Hint => f.write_str("hint: ")?,
        }
        f.write_str(&self.message)
    }
}

/// How bad a [`Problem`] is. The order is from bad to harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used.
    Warning,
    /// A matter of taste or of extra caution.
    Hint,
}

/// A place in a file. Lines and columns count from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as the operator would name it.
    pub file: Arc<str>,
    /// Line, from 1; 0 means the whole file.
    pub line: u32,
    /// Column in characters, from 1; 0 means the whole line.
    pub column: u32,
}

impl Place {
    /// The whole of `file`.
    #[must_use]
    pub fn whole(file: impl Into<Arc<str>>) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// All problems of a load, bounded by [`limits::PROBLEMS_MAX`]; what is over the bound is only counted.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    left_out: usize,
    errors: usize,
    is_unread: bool,
}

impl Problems {
    /// No problems yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No problems yet, and nobody will read those that come: no time is spent on advice.
    #[must_use]
    pub fn unread() -> Self {
        Self { is_unread: true, ..Self::default() }
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.errors += usize::from(problem.severity == Severity::Error);
        if self.list.len() < limits::PROBLEMS_MAX {
            self.list.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    /// Adds an error at `place`.
    pub fn error(&mut self, code: &'static str, place: Option<Place>, message: impl Into<String>) {
        self.push(Problem::error(code, place, message));
    }

    /// Adds a warning at `place`.
    pub fn warning(&mut self, code: &'static str, place: Option<Place>, message: impl Into<String>) {
        self.push(Problem::warning(code, place, message));
    }

    /// Adds a hint at `place`.
    pub fn hint(&mut self, code: &'static str, place: Option<Place>, message: impl Into<String>) {
        self.push(Problem::hint(code, place, message));
    }

    /// Adds all of `others`.
    pub fn append(&mut self, others: Self) {
        let listed = others.list.iter().filter(|problem| problem.severity == Severity::Error).count();
        // Errors that the others counted and did not list are errors all the same.
        self.errors += others.errors.saturating_sub(listed);
        self.left_out += others.left_out;
        for problem in others.list {
            self.push(problem);
        }
    }

    /// Those whose code is none of `codes`.
    #[must_use]
    pub fn without(self, codes: &[&str]) -> Self {
        let mut kept = Self { left_out: self.left_out, is_unread: self.is_unread, ..Self::default() };
        let listed = self.list.iter().filter(|problem| problem.severity == Severity::Error).count();
        // What was only counted has no code to look at.
        kept.errors = self.errors - listed;
        for problem in self.list.into_iter().filter(|problem| !codes.contains(&problem.code)) {
            kept.push(problem);
        }
        kept
    }

    /// Whether any of them is an error.
    #[must_use]
    pub const fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many of them are errors.
    #[must_use]
    pub const fn error_count(&self) -> usize {
        self.errors
    }

    /// Whether there are so few yet that looking for the nearest right name is worth the time.
    ///
    /// Among thousands of attributes it takes milliseconds; a file with thousands of mistakes must not take minutes.
    #[must_use]
    pub const fn may_suggest(&self) -> bool {
        !self.is_unread && self.list.len() < limits::SUGGESTIONS_MAX
    }

    /// [`did_you_mean`], as long as there are few problems.
    #[must_use]
    pub fn suggest<'a>(&self, wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
        if self.may_suggest() { did_you_mean(wrong, candidates) } else { String::new() }
    }

    /// How many were over the bound and are not in the list.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// The problems in the order of files, lines and columns; those without a place first.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut sorted: Vec<&Problem> = self.list.iter().collect();
        sorted.sort_by(|a, b| a.place.cmp(&b.place).then(a.severity.cmp(&b.severity)));
        sorted
    }

    /// The problems in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Whether there are none at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty() && self.left_out == 0
    }
}

/// The candidate that is most like `wrong`, if any is like it: `"mdm.complaint"` gives `"mdm.compliant"`.
#[must_use]
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes a name of this length, and comparing costs the product of both lengths.
    if !(2..=limits::SUGGESTED_NAME_OCTETS_MAX).contains(&wrong.len()) {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let wrong_chars = wrong.chars().count();
    candidates
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let likeness = strsim::jaro_winkler(&wrong, &lower);
            // Two changes can't bridge a larger difference, and most names differ by more.
            let near = likeness > 0.87
                || (wrong_chars.abs_diff(lower.chars().count()) <= 2
                    && strsim::damerau_levenshtein(&wrong, &lower) <= 2);
            near.then_some((likeness, candidate))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "…"?` for the nearest candidate, or an empty text.
#[must_use]
pub fn did_you_mean<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wrong, candidates).map(|right| format!("; did you mean \"{right}\"?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_where_what_and_what_to_do() {
        let place = Place { file: "wifi.toml".into(), line: 12, column: 9 };
        let message = format!(
            "unknown fact \"mdm.complaint\"{}",
            did_you_mean("mdm.complaint", ["mdm.managed", "mdm.compliant"])
        );
        let problem = Problem::error("unknown-fact", Some(place), message);
        assert_eq!(
            problem.to_string(),
            "wifi.toml:12:9: unknown fact \"mdm.complaint\"; did you mean \"mdm.compliant\"?"
        );
    }

    #[test]
    fn a_message_is_one_line_whatever_it_repeats() {
        let problem = Problem::error("x", None, "\"a\nb\u{1b}[2J\" is no date");
        assert_eq!(problem.to_string(), r#""a\nb\u{1b}[2J" is no date"#);
        assert_eq!(Problem::hint("x", None, "\"zwölf\" is \\n").message, "\"zwölf\" is \\n");
    }

    #[test]
    fn nothing_is_suggested_where_nothing_is_near() {
        assert_eq!(nearest("quux", ["session-timeout", "vlan"]), None);
    }

    #[test]
    fn a_word_of_any_length_is_compared_in_no_time() {
        let names = ["Session-Timeout"; 1_000];
        assert_eq!(nearest(&"x".repeat(1 << 20), names), None);
        assert_eq!(nearest(&"Session-Timeout".repeat(1_000), names), None);
        assert_eq!(nearest("Sesion-Timeout", names), Some("Session-Timeout"));
        assert_eq!(nearest("Timeuot", ["Timeout"]), Some("Timeout"));
    }

    #[test]
    fn errors_that_were_only_counted_are_still_errors_after_appending() {
        let mut others = Problems::new();
        for _ in 0..limits::PROBLEMS_MAX {
            others.hint("x", None, "x");
        }
        others.error("x", None, "x");
        let mut all = Problems::new();
        all.append(others);
        assert!(all.has_errors());
        assert_eq!(all.left_out(), 1);
    }

    #[test]
    fn problems_beyond_the_bound_are_counted() {
        let mut problems = Problems::new();
        for _ in 0..limits::PROBLEMS_MAX + 3 {
            problems.error("x", None, "x");
        }
        assert_eq!(problems.left_out(), 3);
        assert!(problems.has_errors());
    }
}
