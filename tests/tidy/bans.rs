//! What must not stand where: clocks, `unsafe`, I/O in the core, unbounded growth, leftovers; and sizes and heads of files.
//!
//! Owns single-file rules. Rules about two files stand in `layers.rs`.

use crate::{
    Finding,
    layers::layer_of,
    source::{File, Tree, Word, folder_of},
};

/// Only one file reads clocks.
pub(crate) fn clocks(tree: &Tree) -> Vec<Finding> {
    const READS: [[&str; 2]; 4] = [["Instant", "now"], ["SystemTime", "now"], ["Timestamp", "now"], ["Zoned", "now"]];
    let mut findings = Vec::new();
    for (path, file) in tree.sources().filter(|(path, _)| *path != "src/clock.rs") {
        for used in file.paths.iter().filter(|used| READS.iter().any(|read| used.contains(read))) {
            let what = format!("{} reads a clock; take `crate::clock::Now` as an argument", used.written());
            findings.push(Finding::new(path, used.line, what));
        }
    }
    findings
}

/// `unsafe` lives in two files.
pub(crate) fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    const ALLOWED: [&str; 2] = ["src/udp/batch.rs", "src/udp/socket.rs"];
    let sources = tree.sources().filter(|(path, _)| !ALLOWED.contains(&path.as_str()));
    let mut findings = Vec::new();
    for (path, file) in sources {
        for word in file.words.iter().filter(|word| word.text == "unsafe") {
            let what = format!("`unsafe` stands only in {}; use a crate that keeps it inside", ALLOWED.join(", "));
            findings.push(Finding::new(path, word.line, what));
        }
    }
    findings
}

/// Layers 0 to 4 open nothing, spawn nothing and wait for nothing.
pub(crate) fn io_in_the_core(tree: &Tree) -> Vec<Finding> {
    const BANNED: [&[&str]; 11] = [
        &["std", "fs"],
        &["std", "env"],
        &["std", "process"],
        &["std", "io", "stdout"],
        &["std", "io", "stderr"],
        &["UdpSocket"],
        &["TcpStream"],
        &["TcpListener"],
        &["thread", "spawn"],
        &["tokio"],
        &["reqwest"],
    ];
    let mut findings = Vec::new();
    for (path, file) in tree.sources() {
        if folder_of(path).and_then(|folder| layer_of(&folder)).is_none_or(|layer| layer > 4) {
            continue;
        }
        for used in file.paths.iter().filter(|used| !used.in_tests) {
            if BANNED.iter().any(|banned| used.contains(banned)) {
                let what = format!("{} is I/O in the core; take what it gives as an argument", used.written());
                findings.push(Finding::new(path, used.line, what));
            }
        }
        for word in file.product().iter().filter(|word| word.text == "async") {
            let what = "`async` in the core; park the request as data and resume it";
            findings.push(Finding::new(path, word.line, what));
        }
    }
    findings
}

/// Files stay short, and begin with what they own.
pub(crate) fn sizes_and_heads(tree: &Tree) -> Vec<Finding> {
    const LINES_MAX: usize = 500;
    let mut findings = Vec::new();
    for (path, file) in tree.files.iter().filter(|(path, _)| path.ends_with(".rs")) {
        let lines = file.product_lines();
        if path.starts_with("src/") && lines > LINES_MAX {
            let what = format!("{lines} lines before the tests are more than {LINES_MAX}; split it by what it owns");
            findings.push(Finding::new(path, LINES_MAX, what));
        }
        let head = file.text.trim_start();
        if !head.starts_with("//!") && !head.starts_with("#![doc = include_str!") {
            let what = "the file has no head; begin with //! and one line on what it owns, one on what it does not do";
            findings.push(Finding::new(path, 1, what));
        }
    }
    findings
}

/// Collections that outlive a call name their bound.
pub(crate) fn bounds(tree: &Tree) -> Vec<Finding> {
    const GROWING: [&str; 9] = [
        "HashMap",
        "HashSet",
        "HashTable",
        "BTreeMap",
        "BTreeSet",
        "VecDeque",
        "BinaryHeap",
        "Sender",
        "UnboundedSender",
    ];
    let mut findings = Vec::new();
    for (path, file) in tree.sources() {
        if folder_of(path).and_then(|folder| layer_of(&folder)).is_none_or(|layer| !(1..=5).contains(&layer)) {
            continue;
        }
        let names_limits = file.product().windows(2).any(|two| is(two, &["limits", "::"]));
        for word in file.product().iter().filter(|word| word.text == "unbounded_channel") {
            findings.push(Finding::new(path, word.line, "a channel without a bound; give it one of limits.rs"));
        }
        if names_limits {
            continue;
        }
        for word in struct_fields(file.product()).filter(|word| GROWING.contains(&word.text.as_str())) {
            if !says_bound(file, word.line) {
                let what = format!(
                    "a field of type {} in a file without a bound; use one of limits.rs, or say `// Bound: …`",
                    word.text
                );
                findings.push(Finding::new(path, word.line, what));
            }
        }
    }
    findings
}

fn is(words: &[Word], texts: &[&str]) -> bool {
    words.len() == texts.len() && words.iter().zip(texts).all(|(word, text)| word.text == *text)
}

/// The words inside the bodies of structs.
fn struct_fields(words: &[Word]) -> impl Iterator<Item = &Word> {
    let mut inside = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        if word.text != "struct" {
            continue;
        }
        let mut depth = 0usize;
        while let Some(word) = words.get(at) {
            match word.text.as_str() {
                "{" | "(" => depth += 1,
                "}" | ")" => depth = depth.saturating_sub(1),
                ";" if depth == 0 => break,
                _ if depth > 0 => inside.push(word),
                _ => {}
            }
            at += 1;
            if depth == 0 && word.text == "}" {
                break;
            }
        }
    }
    inside.into_iter()
}

/// Whether the line, or the comment directly above it, tells the bound.
fn says_bound(file: &File, line: usize) -> bool {
    let is_comment = |line: usize| file.line(line).trim_start().starts_with("//");
    let above = (1..line).rev().take_while(|line| is_comment(*line));
    std::iter::once(line).chain(above).any(|line| file.line(line).contains("Bound:"))
}

/// Nothing half done, and only `cli` speaks to the terminal.
pub(crate) fn leftovers(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, file) in tree.sources() {
        let may_print = path.starts_with("src/cli/") || matches!(path.as_str(), "src/cli.rs" | "src/main.rs");
        for (at, two) in file.words.windows(2).enumerate() {
            let [name, mark] = two else { continue };
            if mark.text != "!" {
                continue;
            }
            let what = match name.text.as_str() {
                "todo" | "unimplemented" | "dbg" => format!("`{}!` is unfinished work; finish it", name.text),
                "print" | "println" | "eprint" | "eprintln" if !may_print && at < file.tests_from => {
                    format!("`{}!` outside of cli; return the text, or use tracing", name.text)
                }
                _ => continue,
            };
            findings.push(Finding::new(path, name.line, what));
        }
    }
    findings
}

/// Drafts of the snapshot tool, of editors and of merges stay at home.
pub(crate) fn drafts(tree: &Tree) -> Vec<Finding> {
    const DRAFTS: [&str; 7] = [".pending-snap", ".snap.new", ".orig", ".rej", ".swp", ".bak", "~"];
    let drafts = tree.files.keys().filter(|path| DRAFTS.iter().any(|draft| path.ends_with(draft)));
    drafts.map(|path| Finding::new(path, 1, "a draft of some tool; take what is right in it, and delete it")).collect()
}

/// Notes to ourselves and paths of one machine don't belong into the repository.
pub(crate) fn private_words(tree: &Tree) -> Vec<Finding> {
    // Written in two halves, so that this file doesn't find itself.
    const WORDS: [(&str, &str); 2] = [("TO", "DO"), ("FIX", "ME")];
    const PATHS: [(&str, &str); 5] = [("/wo", "rk/"), ("/tmp", "/wt"), ("/ho", "me/"), ("/ro", "ot/"), ("/Us", "ers/")];
    let join = |(left, right): &(&str, &str)| format!("{left}{right}");
    let (words, paths) = (WORDS.each_ref().map(join), PATHS.each_ref().map(join));
    let mut findings = Vec::new();
    for (path, file) in &tree.files {
        for (at, line) in file.text.lines().enumerate() {
            for word in words.iter().filter(|word| has_word(line, word)) {
                let what = format!("\"{word}\" is a note to ourselves; do it, or open an issue");
                findings.push(Finding::new(path, at + 1, what));
            }
            // A path begins where no name stands before it: "https://host/work/" is an address.
            let begins = |start: usize| !line[..start].ends_with(|c: char| c.is_alphanumeric() || "._-}/".contains(c));
            for place in paths.iter().filter(|place| line.match_indices(*place).any(|(start, _)| begins(start))) {
                let what = format!("\"{place}\" is a path of one machine; use a relative path");
                findings.push(Finding::new(path, at + 1, what));
            }
        }
    }
    findings
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next()))
}
