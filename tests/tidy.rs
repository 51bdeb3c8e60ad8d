//! The architecture as a test: layers, cycles, clocks, `unsafe`, I/O in the core, bounds, sizes, heads, leftovers.
//!
//! Each rule says file, line, what, and what to do, and carries examples that break it, so that no rule can silently
//! stop working. It does not judge style; rustfmt and clippy do.
//!
//! `REGENERATE=1 cargo test --test tidy` rewrites the generated references instead of comparing them.

#[path = "tidy/bans.rs"]
mod bans;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/source.rs"]
mod source;

use std::{fmt, path::Path};

use source::Tree;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A rule, and small trees that break it.
struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
    broken_by: &'static [Broken],
}

/// Files, and how the finding about them begins.
struct Broken {
    files: &'static [(&'static str, &'static str)],
    finding: &'static str,
}

const RULES: [Rule; 10] = [
    Rule {
        name: "layers",
        check: layers::layers,
        broken_by: &[
            Broken {
                files: &[
                    ("src/radius/mod.rs", "//! x\nuse crate::{\n    clock::Now,\n    engine::Engine,\n};"),
                    ("src/engine/mod.rs", "//! x"),
                    ("src/clock.rs", "//! x"),
                ],
                finding: "src/radius/mod.rs:4: crate::engine::Engine leads up from layer 1 to 4",
            },
            Broken {
                files: &[("src/mdm/mod.rs", "//! x\nfn f() { crate::audit::write(); }"), ("src/audit/mod.rs", "//! x")],
                finding: "src/mdm/mod.rs:2: crate::audit::write ties mdm to audit of the same layer",
            },
            Broken {
                files: &[("src/sim/fleet.rs", "use crate::metrics::cell::Counter;"), ("src/metrics/cell.rs", "")],
                finding: "src/sim/fleet.rs:1: crate::metrics::cell::Counter is closed to sim",
            },
            Broken {
                files: &[
                    ("src/metrics/mod.rs", "use super::device::record;"),
                    ("src/device/record.rs", ""),
                    ("src/device/mod.rs", ""),
                ],
                finding: "src/metrics/mod.rs:1: super::device::record ties metrics to device",
            },
            Broken {
                files: &[
                    ("src/config/mod.rs", "use crate::udp::{shard::Shard, settings::Settings};"),
                    ("src/udp/mod.rs", ""),
                ],
                finding: "src/config/mod.rs:1: crate::udp::shard::Shard is more than settings",
            },
            Broken {
                files: &[("src/engine/mod.rs", "use crate::Packet;"), ("src/lib.rs", "")],
                finding: "src/engine/mod.rs:1: crate::Packet goes through the crate's root",
            },
            Broken { files: &[("src/utils/mod.rs", "")], finding: "src/utils/mod.rs:1: \"utils\" has no layer" },
        ],
    },
    Rule {
        name: "cycles",
        check: layers::cycles,
        broken_by: &[
            Broken {
                files: &[
                    ("src/engine/a.rs", "use super::b::B;"),
                    ("src/engine/b.rs", "\nfn f() { super::c::g() }"),
                    ("src/engine/c.rs", "use crate::engine::a;"),
                ],
                finding: "src/engine/a.rs:1: import cycle src/engine/a.rs -> src/engine/b.rs -> src/engine/c.rs -> src/engine/a.rs",
            },
            Broken {
                files: &[
                    ("src/radius/mod.rs", "mod packet;\npub use packet::Packet;"),
                    ("src/radius/packet.rs", "use crate::radius::Code;"),
                ],
                finding: "src/radius/mod.rs:2: import cycle",
            },
            Broken {
                files: &[
                    ("src/radius/mod.rs", "mod packet;\nfn f() { packet::read() }"),
                    ("src/radius/packet.rs", "use super::Code;"),
                ],
                finding: "src/radius/mod.rs:2: import cycle",
            },
        ],
    },
    Rule {
        name: "orphans",
        check: layers::orphans,
        broken_by: &[
            Broken {
                files: &[
                    ("src/lib.rs", "pub mod radius;"),
                    ("src/radius/mod.rs", "// mod packet;"),
                    ("src/radius/packet.rs", ""),
                ],
                finding: "src/radius/packet.rs:1: no file says `mod packet;`",
            },
            Broken {
                files: &[("tests/suite/main.rs", "mod wire;"), ("tests/suite/replies.rs", "")],
                finding: "tests/suite/replies.rs:1: no file says `mod replies;`",
            },
        ],
    },
    Rule {
        name: "clocks",
        check: bans::clocks,
        broken_by: &[
            Broken {
                files: &[("src/mdm/mod.rs", "\nlet t = std::time::Instant::now();")],
                finding: "src/mdm/mod.rs:2: std::time::Instant::now reads a clock",
            },
            Broken {
                files: &[("src/cli/mod.rs", "SystemTime::now()")],
                finding: "src/cli/mod.rs:1: SystemTime::now reads a clock",
            },
            Broken {
                files: &[("src/cli/mod.rs", "jiff::Zoned::now()")],
                finding: "src/cli/mod.rs:1: jiff::Zoned::now reads a clock",
            },
            Broken {
                files: &[("src/cli/mod.rs", "Timestamp::now()")],
                finding: "src/cli/mod.rs:1: Timestamp::now reads a clock",
            },
        ],
    },
    Rule {
        name: "unsafe",
        check: bans::unsafe_code,
        broken_by: &[Broken {
            files: &[
                ("src/udp/batch.rs", "unsafe {}"),
                ("src/udp/shard.rs", "/* unsafe */ let s = \"unsafe\";\nunsafe {}"),
            ],
            finding: "src/udp/shard.rs:2: `unsafe` stands only in",
        }],
    },
    Rule {
        name: "no I/O in the core",
        check: bans::io_in_the_core,
        broken_by: &[
            Broken {
                files: &[("src/policy/file.rs", "use std::{fmt, fs::File};")],
                finding: "src/policy/file.rs:1: std::fs::File is I/O in the core",
            },
            Broken {
                files: &[("src/engine/mod.rs", "\npub async fn handle() {}")],
                finding: "src/engine/mod.rs:2: `async` in the core",
            },
            Broken {
                files: &[("src/engine/mod.rs", "std::thread::spawn(f)")],
                finding: "src/engine/mod.rs:1: std::thread::spawn is I/O",
            },
            Broken {
                files: &[("src/radius/mod.rs", "use std::net::{IpAddr, UdpSocket};")],
                finding: "src/radius/mod.rs:1: std::net::UdpSocket is I/O",
            },
        ],
    },
    Rule {
        name: "bounds",
        check: bans::bounds,
        broken_by: &[
            Broken {
                files: &[("src/engine/parked.rs", "struct Parked {\n    waiting: VecDeque<u8>,\n}")],
                finding: "src/engine/parked.rs:2: a field of type VecDeque in a file without a bound",
            },
            Broken {
                files: &[("src/mdm/worker.rs", "pub struct Worker<T>(Option<HashMap<T, u8>>);")],
                finding: "src/mdm/worker.rs:1: a field of type HashMap",
            },
            Broken {
                files: &[("src/mdm/worker.rs", "use crate::limits::X;\nlet (a, b) = unbounded_channel();")],
                finding: "src/mdm/worker.rs:2: a channel without a bound",
            },
        ],
    },
    Rule {
        name: "sizes and heads",
        check: bans::sizes_and_heads,
        broken_by: &[Broken {
            files: &[("src/engine/mod.rs", "// no head\n")],
            finding: "src/engine/mod.rs:1: the file has no head",
        }],
    },
    Rule {
        name: "drafts",
        check: bans::drafts,
        broken_by: &[Broken {
            files: &[("src/udp/.mod.rs.pending-snap", "{}"), ("src/udp/mod.rs", "")],
            finding: "src/udp/.mod.rs.pending-snap:1: a draft of some tool",
        }],
    },
    Rule {
        name: "leftovers",
        check: bans::leftovers,
        broken_by: &[
            Broken {
                files: &[("src/engine/mod.rs", "fn f() {\n    todo!()\n}")],
                finding: "src/engine/mod.rs:2: `todo!` is unfinished work",
            },
            Broken {
                files: &[("src/cli/mod.rs", "println!(); unimplemented!()")],
                finding: "src/cli/mod.rs:1: `unimplemented!` is unfinished work",
            },
            Broken { files: &[("src/cli/mod.rs", "dbg!(x)")], finding: "src/cli/mod.rs:1: `dbg!`" },
            Broken {
                files: &[("src/daemon/mod.rs", "println!(\"hello\")")],
                finding: "src/daemon/mod.rs:1: `println!` outside of cli",
            },
        ],
    },
];

/// Files that are written by the program itself: their path, and what must stand in them.
fn generated() -> Vec<(&'static str, String)> {
    vec![
        ("src/config/README.md", radmit::config::reference::markdown()),
        ("src/metrics/README.md", radmit::metrics::list::markdown()),
        ("policies/schema/policy.json", pretty(&radmit::policy::schema::schema())),
        ("policies/schema/radmit.json", pretty(&radmit::config::schema::schema())),
    ]
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).expect("a value of JSON can be written") + "\n"
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tree_of(files: &[(&str, &str)]) -> Tree {
    Tree::new(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))
}

fn found(check: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    check(&tree_of(files)).iter().map(ToString::to_string).collect()
}

#[test]
fn the_tree_keeps_its_rules() {
    let tree = Tree::read(root());
    assert!(tree.files.contains_key("src/lib.rs"), "the walk found no sources");
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| (rule.check)(&tree)).collect();
    findings.extend(bans::private_words(&tree));
    findings.sort();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} to mend:\n{}\n", lines.len(), lines.join("\n"));
}

#[test]
fn every_rule_finds_what_breaks_it() {
    for rule in RULES {
        assert!(!rule.broken_by.is_empty(), "the rule \"{}\" has no example", rule.name);
        for broken in rule.broken_by {
            let found = found(rule.check, broken.files);
            let as_said = found.len() == 1 && found.iter().all(|finding| finding.starts_with(broken.finding));
            assert!(as_said, "\"{}\" should say {:?}, and says {found:#?}", rule.name, broken.finding);
        }
    }
}

#[test]
fn what_keeps_the_rules_is_not_found() {
    let files = [
        ("src/lib.rs", "//! x\npub mod clock;\npub mod device;\npub mod engine;\npub mod cli;\npub mod limits;"),
        ("src/main.rs", "//! x\nfn main() { radmit::cli::run() }"),
        ("src/clock.rs", "//! x\nfn now() { Instant::now() }"),
        ("src/limits.rs", "//! x"),
        ("src/cli.rs", "//! x\nfn run() { println!(); }"),
        ("src/device/mod.rs", "//! x\npub mod record;\nuse record::Record;"),
        (
            "src/device/record.rs",
            "//! x\n// Instant::now() in words\nuse crate::clock;\nlet c = '\"'; struct Record<'a>(&'a u8);",
        ),
        (
            "src/engine/mod.rs",
            "//! x\nuse crate::device::Record;\nstruct A {\n    // Bound: the number of shards.\n    a: Vec<HashMap<u8, u8>>,\n}\n\
             #[cfg(test)]\nmod tests {\n    use std::fs;\n    async fn f() { println!() }\n}",
        ),
    ];
    for rule in RULES {
        assert_eq!(found(rule.check, &files), Vec::<String>::new(), "{}", rule.name);
    }
}

#[test]
fn a_file_that_only_tests_declare_counts_as_a_test() {
    let files =
        [("src/engine/mod.rs", "//! x\n#[cfg(test)]\nmod support;"), ("src/engine/support.rs", "//! x\nuse std::fs;")];
    assert_eq!(found(bans::io_in_the_core, &files), Vec::<String>::new());
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let short = format!("//! x\n{}#[cfg(test)]\nmod tests {{\n{}}}\n", "// a\n".repeat(498), "// b\n".repeat(900));
    assert_eq!(found(bans::sizes_and_heads, &[("src/udp/mod.rs", &short)]), Vec::<String>::new());
    let long = format!("//! x\n{}#[cfg(test)]\nmod tests {{}}\n", "// a\n".repeat(500));
    let said = found(bans::sizes_and_heads, &[("src/udp/mod.rs", &long)]);
    assert_eq!(said, ["src/udp/mod.rs:500: 501 lines before the tests are more than 500; split it by what it owns"]);
}

#[test]
fn private_words_are_found_in_every_file() {
    let note = ["TO", "DO"].concat();
    let place = ["/ho", "me/", "me"].concat();
    let text = format!("a\n# {note}: later\nsee {place}\nhttps://host{place}\n{note}S\n");
    let said = found(bans::private_words, &[("policies/x.toml", &text)]);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].starts_with("policies/x.toml:2: ") && said[1].starts_with("policies/x.toml:3: "), "{said:#?}");
}

#[test]
fn generated_references_are_up_to_date() {
    let rewrite = std::env::var_os("REGENERATE").is_some_and(|value| value == "1");
    for (path, text) in generated() {
        let place = root().join(path);
        if rewrite {
            std::fs::write(&place, &text).expect("the repository can be written");
        }
        let there = std::fs::read_to_string(&place).unwrap_or_default();
        assert!(there == text, "{path} is out of date; run: REGENERATE=1 cargo test --test tidy");
    }
}
