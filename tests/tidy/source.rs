//! Source files as the rules see them: words without comments and texts, expanded imports, the tree of modules.
//!
//! Owns reading. What is allowed stands in the rules; this is no Rust parser, it knows just enough to find paths.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// An identifier, `::` or one character of punctuation.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path as it is used somewhere: `use a::{b, c}` counts as `a::b` and `a::c`.
#[derive(Clone, Debug)]
pub(crate) struct UsedPath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) in_tests: bool,
    /// How many modules within the file are around it: there, `super` is the file itself.
    depth: usize,
}

impl UsedPath {
    /// Whether the path leads to `wanted` or into it, whatever stands before.
    pub(crate) fn contains(&self, wanted: &[&str]) -> bool {
        self.segments.windows(wanted.len()).any(|window| window == wanted)
    }

    pub(crate) fn written(&self) -> String {
        self.segments.join("::")
    }
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) text: String,
    pub(crate) words: Vec<Word>,
    pub(crate) paths: Vec<UsedPath>,
    /// Index of the first word that is test code; the number of words if there is none.
    pub(crate) tests_from: usize,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let is_rust = path.ends_with(".rs");
        let words = if is_rust { words_of(text) } else { Vec::new() };
        let is_test_file = path.ends_with("/tests.rs") || path.contains("/tests/");
        let tests_from = if is_test_file { 0 } else { tests_from(&words) };
        let paths = paths_of(&words, tests_from);
        Self { text: text.to_owned(), words, paths, tests_from }
    }

    /// The words that are part of the product.
    pub(crate) fn product(&self) -> &[Word] {
        self.words.get(..self.tests_from).unwrap_or(&[])
    }

    /// Lines before the tests.
    pub(crate) fn product_lines(&self) -> usize {
        match self.words.get(self.tests_from) {
            Some(word) => word.line - 1,
            None => self.text.lines().count(),
        }
    }

    pub(crate) fn line(&self, number: usize) -> &str {
        self.text.lines().nth(number.wrapping_sub(1)).unwrap_or("")
    }
}

/// All files by their path from the root of the repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, File>,
    modules: BTreeMap<String, String>,
}

impl Tree {
    pub(crate) fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut files: BTreeMap<String, File> = files
            .into_iter()
            .map(|(path, text)| {
                let file = File::new(&path, &text);
                (path, file)
            })
            .collect();
        let modules: BTreeMap<String, String> =
            files.keys().filter_map(|path| Some((module_of(path)?.join("::"), path.clone()))).collect();
        for path in test_only(&files, &modules) {
            if let Some(file) = files.get_mut(&path) {
                file.tests_from = 0;
                file.paths.iter_mut().for_each(|used| used.in_tests = true);
            }
        }
        Self { files, modules }
    }

    /// Reads the repository at `root`: everything that people wrote.
    pub(crate) fn read(root: &Path) -> Self {
        let mut found = Vec::new();
        collect(root, root, &mut found);
        Self::new(found)
    }

    /// The Rust files of the product, without the program's own root.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&String, &File)> {
        self.files.iter().filter(|(path, _)| path.starts_with("src/") && path.ends_with(".rs"))
    }

    pub(crate) fn is_module(&self, module: &[String]) -> bool {
        self.modules.contains_key(&module.join("::"))
    }

    /// What a path in `file` leads to: the whole path from the crate's root, and the file that holds its longest module.
    /// `None` for other crates, for local names, and for what a file says of itself.
    pub(crate) fn resolve(&self, file: &str, used: &UsedPath) -> Option<(Vec<String>, &String)> {
        let own = module_of(file)?;
        let supers = used.segments.iter().take_while(|segment| *segment == "super").count();
        let mut rest = used.segments.iter().skip(supers.max(1));
        let mut full: Vec<String> = match used.segments.first()?.as_str() {
            "crate" => Vec::new(),
            "radmit" if file == "src/main.rs" => Vec::new(),
            "self" => own,
            "super" => own.get(..own.len().checked_sub(supers.saturating_sub(used.depth))?)?.to_vec(),
            name => {
                let child = [own.as_slice(), &[name.to_owned()]].concat();
                if used.depth > 0 || !self.is_module(&child) {
                    return None;
                }
                child
            }
        };
        full.extend(rest.by_ref().filter(|segment| !matches!(segment.as_str(), "self" | "*")).cloned());
        let longest = (0..=full.len()).rev().find_map(|length| self.modules.get(&full.get(..length)?.join("::")))?;
        (longest != file).then_some((full, longest))
    }
}

/// `src/a/b.rs` is `a::b`, `src/a/mod.rs` is `a`, `src/lib.rs` is the root.
fn module_of(path: &str) -> Option<Vec<String>> {
    if path == "src/main.rs" {
        return Some(vec!["main".to_owned()]);
    }
    let inner = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    Some(module)
}

/// The first segment below `src`: the folder or the single file that the layers speak of.
pub(crate) fn folder_of(path: &str) -> Option<String> {
    module_of(path)?.first().cloned()
}

/// Files that are declared only by test code: `#[cfg(test)] mod support;`.
fn test_only(files: &BTreeMap<String, File>, modules: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, file) in files {
        let Some(own) = module_of(path) else { continue };
        for name in declared(file.words.get(file.tests_from..).unwrap_or(&[])) {
            let child = [own.as_slice(), &[name]].concat().join("::");
            let below = format!("{child}::");
            found.extend(
                modules.iter().filter(|(at, _)| **at == child || at.starts_with(&below)).map(|(_, path)| path.clone()),
            );
        }
    }
    found
}

/// The names in `mod name;`.
pub(crate) fn declared(words: &[Word]) -> Vec<String> {
    words
        .windows(3)
        .filter(|three| three.first().is_some_and(|w| w.text == "mod") && three.last().is_some_and(|w| w.text == ";"))
        .filter_map(|three| Some(three.get(1)?.text.clone()))
        .collect()
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    // Build output, fuzz findings and the history of the repository were not written by people.
    const SKIPPED: [&str; 5] = ["target", ".git", "corpus", "artifacts", "Cargo.lock"];
    let entries = std::fs::read_dir(folder).expect("the repository's folders can be read");
    for entry in entries {
        let path = entry.expect("the repository's folders can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if SKIPPED.contains(&name) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, found);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let relative = path.strip_prefix(root).expect("the walk stays below the root");
            found.push((relative.to_string_lossy().replace('\\', "/"), text));
        }
    }
}

/// The place of `#[cfg(test)]` before a module.
fn tests_from(words: &[Word]) -> usize {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let starts = (0..texts.len()).filter(|at| texts.get(*at..at + mark.len()).is_some_and(|seen| seen == mark));
    starts
        .into_iter()
        .find(|at| {
            let mut next = at + mark.len();
            // Further attributes may stand between.
            while texts.get(next) == Some(&"#") {
                next += texts.iter().skip(next).position(|text| *text == "]").unwrap_or(0) + 1;
            }
            texts.iter().skip(next).take(5).any(|text| *text == "mod")
        })
        .unwrap_or(texts.len())
}

fn paths_of(words: &[Word], tests_from: usize) -> Vec<UsedPath> {
    let mut paths = Vec::new();
    let (mut at, mut braces, mut modules) = (0, 0usize, Vec::new());
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    while at < words.len() {
        match text(at) {
            "{" => {
                braces += 1;
                if at >= 2 && text(at - 2) == "mod" {
                    modules.push(braces);
                }
            }
            "}" => {
                modules.pop_if(|opened| *opened == braces);
                braces = braces.saturating_sub(1);
            }
            _ => {}
        }
        let depth = modules.len();
        let (line, in_tests) = (words.get(at).map_or(0, |word| word.line), at >= tests_from);
        if text(at) == "use" && text(at + 1) != "<" {
            let mut leaves = Vec::new();
            at = use_tree(words, at + 1, &[], &mut leaves);
            paths.extend(leaves.into_iter().map(|(segments, line)| UsedPath { segments, line, in_tests, depth }));
            continue;
        }
        let after = if at == 0 { "" } else { text(at - 1) };
        let visibility = after == "in" && at >= 2 && text(at - 2) == "(";
        if is_name(text(at)) && text(at + 1) == "::" && after != "::" && after != "." && !visibility {
            let mut segments = vec![text(at).to_owned()];
            while text(at + 1) == "::" && is_name(text(at + 2)) {
                segments.push(text(at + 2).to_owned());
                at += 2;
            }
            paths.push(UsedPath { segments, line, in_tests, depth });
        }
        at += 1;
    }
    paths
}

/// Expands one tree of a `use`, and returns where it ends.
fn use_tree(words: &[Word], mut at: usize, before: &[String], leaves: &mut Vec<(Vec<String>, usize)>) -> usize {
    let mut path = before.to_vec();
    let line = words.get(at).map_or(0, |word| word.line);
    while let Some(word) = words.get(at) {
        match word.text.as_str() {
            "{" => {
                at += 1;
                while words.get(at).is_some_and(|word| word.text != "}") {
                    at = use_tree(words, at, &path, leaves);
                    at += usize::from(words.get(at).is_some_and(|word| word.text == ","));
                }
                return at + 1;
            }
            "as" => at += 2,
            "," | "}" | ";" => break,
            "::" => at += 1,
            name => {
                path.push(name.to_owned());
                at += 1;
            }
        }
    }
    leaves.push((path, line));
    at
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Splits Rust into words; comments, texts and character literals are left out.
fn words_of(text: &str) -> Vec<Word> {
    let chars: Vec<char> = text.chars().collect();
    let peek = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let (mut words, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        let c = peek(at);
        if c == '/' && peek(at + 1) == '/' {
            while at < chars.len() && peek(at) != '\n' {
                at += 1;
            }
        } else if c == '/' && peek(at + 1) == '*' {
            at = block_comment_end(&chars, at);
        } else if let Some(end) = string_end(&chars, at) {
            at = end;
        } else if c == '\'' {
            at = character_end(&chars, at);
        } else if c.is_alphanumeric() || c == '_' {
            while peek(at).is_alphanumeric() || peek(at) == '_' {
                at += 1;
            }
            words.push(Word { text: chars.get(start..at).unwrap_or(&[]).iter().collect(), line });
        } else if c == ':' && peek(at + 1) == ':' {
            at += 2;
            words.push(Word { text: "::".to_owned(), line });
        } else {
            at += 1;
            if !c.is_whitespace() {
                words.push(Word { text: c.to_string(), line });
            }
        }
        line += chars.get(start..at).unwrap_or(&[]).iter().filter(|c| **c == '\n').count();
    }
    words
}

fn block_comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at < chars.len() {
        match (chars.get(at), chars.get(at + 1)) {
            (Some('/'), Some('*')) => (depth, at) = (depth + 1, at + 2),
            (Some('*'), Some('/')) => (depth, at) = (depth.saturating_sub(1), at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Where the text that begins at `at` ends, if one begins there: `"…"`, `b"…"`, `r#"…"#` and their like.
fn string_end(chars: &[char], at: usize) -> Option<usize> {
    if at > 0 && chars.get(at - 1).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
        return None;
    }
    let mut open = at;
    while chars.get(open).is_some_and(|c| matches!(c, 'b' | 'c' | 'r')) && open < at + 2 {
        open += 1;
    }
    let raw = chars.get(at..open)?.contains(&'r');
    let mut hashes = 0;
    while raw && chars.get(open) == Some(&'#') {
        (hashes, open) = (hashes + 1, open + 1);
    }
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let mut end = open + 1;
    while let Some(c) = chars.get(end) {
        end += 1;
        if *c == '\\' && !raw {
            end += 1;
        } else if *c == '"' && (0..hashes).all(|at| chars.get(end + at) == Some(&'#')) {
            break;
        }
    }
    Some((end + hashes).min(chars.len()))
}

/// Where a character literal ends; a lifetime ends before its name.
fn character_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let from = at + 3;
            from + chars.iter().skip(from).position(|c| *c == '\'').unwrap_or(0) + 1
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}
