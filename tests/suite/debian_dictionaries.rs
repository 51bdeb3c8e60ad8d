//! The whole dictionary tree of Debian's package freeradius-common loads without an error.

use std::{fs, path::Path};

use radmit::{
    dictionary::{Builder, Dictionary},
    document::Source,
    problem::{Problems, Severity},
};

const TREE: &str = "/usr/share/freeradius/dictionary";

fn read(path: &Path) -> Option<Source> {
    // Some of the files name their authors in Latin-1.
    let text = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
    Some(Source::new(path.to_string_lossy().into_owned(), text))
}

fn load(mut builder: Builder) -> (Dictionary, Problems) {
    let source = read(Path::new(TREE))
        .unwrap_or_else(|| panic!("{TREE} is missing; install it with: apt-get install freeradius-common"));
    let mut problems = Problems::new();
    let mut include = |file: &str, from: &str| read(&Path::new(from).parent()?.join(file));
    builder.load(source, &mut include, &mut problems);
    (builder.finish(&mut problems), problems)
}

fn told(problems: &Problems, severity: Severity) -> Vec<String> {
    problems.sorted().iter().filter(|problem| problem.severity <= severity).map(ToString::to_string).collect()
}

#[test]
fn the_complete_tree_loads_without_a_problem() {
    let (dictionary, problems) = load(Builder::new());
    assert_eq!(told(&problems, Severity::Hint), [""; 0]);
    let counts = dictionary.counts();
    assert!(counts.vendors > 150 && counts.attributes > 7_000 && counts.values > 7_000, "{counts:?}");
    // One of each of the rarer forms.
    for (name, place) in [
        ("Tunnel-Type", "64"),
        ("USR-Last-Number-Dialed-Out", "26.429.102"),
        ("WiMAX-Release", "26.24757.1.1"),
        ("IP-Port-Range-End", "241.5.10"),
        ("FreeRADIUS-802.1X-Anonce", "245.26.11344.1"),
        ("3GPP-IMSI", "26.10415.1"),
        ("Auth-Type", "1000"),
    ] {
        assert_eq!(dictionary.attribute(name).map(|found| found.path().to_string()).as_deref(), Some(place), "{name}");
    }
}

#[test]
fn the_complete_tree_extends_the_shipped_dictionaries() {
    let shipped = Dictionary::builtin().counts();
    let (dictionary, problems) = load(Builder::with_builtin());
    assert_eq!(told(&problems, Severity::Warning), [""; 0]);
    assert!(dictionary.counts().attributes > shipped.attributes);
    // What only the shipped dictionaries know is still there.
    assert!(dictionary.attribute("Aruba-DPP-Passphrase").is_some());
}

#[test]
fn the_shipped_names_mean_the_same_as_in_debian() {
    let (debian, _) = load(Builder::new());
    let mut different = Vec::new();
    let mut compared = 0;
    for shipped in Dictionary::builtin().attributes() {
        let Some(known) = debian.attribute(shipped.name()) else { continue };
        let (ours, theirs) = ((shipped.path(), shipped.data_type()), (known.path(), known.data_type()));
        if ours != theirs {
            different.push(format!("{}: {} {}, there {} {}", shipped.name(), ours.0, ours.1, theirs.0, theirs.1));
        }
        for (name, number) in shipped.named_values() {
            if let Some(other) = known.value(name).filter(|other| *other != number) {
                different.push(format!("{} {name}: {number}, there {other}", shipped.name()));
            }
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
    // Corrected between FreeRADIUS 3.2.1, which Debian has, and 3.2.11, which the shipped dictionaries follow.
    assert_eq!(
        different,
        [
            "DS-Lite-Tunnel-Name: 144 octets, there 144 string",
            "H3C-Acct-IPv6-Input-Gigawords: 26.25506.148 integer, there 26.25506.146 integer",
            "H3C-Acct-IPv6-Output-Gigawords: 26.25506.149 integer, there 26.25506.147 integer",
        ]
    );
}
