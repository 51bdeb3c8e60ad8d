//! Who may know whom: layers, siblings, cycles, and files that nobody declares.
//!
//! Owns the table of layers. Bans of single words stand in `bans.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    Finding,
    source::{Tree, declared, folder_of},
};

/// Every folder of `src` with its layer. A new folder gets its row here, in the commit that adds it.
const LAYERS: [(&str, u8); 28] = [
    ("clock", 0),
    ("limits", 0),
    ("problem", 0),
    ("document", 0),
    ("escape", 0),
    ("radius", 1),
    ("eap", 1),
    ("device", 1),
    ("supplicant", 1),
    ("metrics", 1),
    ("dictionary", 2),
    ("policy", 3),
    ("engine", 4),
    ("udp", 5),
    ("mdm", 5),
    ("http", 5),
    ("audit", 5),
    ("store", 5),
    ("sim", 5),
    ("config", 6),
    // Beside the configuration: it drives sockets of `udp`, and nothing of a server's.
    ("bench", 6),
    ("daemon", 7),
    ("cli", 8),
    ("main", 8),
    // Reserved for what will stand beside udp.
    ("radsec", 5),
    ("coa", 5),
    ("session", 5),
    ("console", 5),
];

/// Folders that may know less than their layer allows: everything of layer 0, and these.
const NARROW: [(&str, &[&str]); 6] = [
    ("dictionary", &["radius"]),
    ("policy", &["dictionary", "radius"]),
    ("mdm", &["device", "metrics"]),
    ("store", &["device", "metrics"]),
    // One format of device files serves the simulated cloud and the inventory.
    ("sim", &["device"]),
    // A load generator that shared more with the server than codec and sockets would share its mistakes. Of the engine it
    // takes the shapes of datagrams and the stream of chance.
    ("bench", &["radius", "device", "supplicant", "engine", "udp"]),
];

pub(crate) fn layer_of(folder: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == folder).map(|(_, layer)| *layer)
}

/// Layers point downwards, and folders of one layer don't know each other.
pub(crate) fn layers(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, file) in tree.sources().filter(|(path, _)| *path != "src/lib.rs") {
        let Some(folder) = folder_of(path) else { continue };
        let Some(layer) = layer_of(&folder) else {
            let what = format!("\"{folder}\" has no layer; give it a row in LAYERS of tests/tidy/layers.rs");
            findings.push(Finding::new(path, 1, what));
            continue;
        };
        for used in &file.paths {
            let Some((full, target)) = tree.resolve(path, used) else { continue };
            let Some(to) = folder_of(target) else {
                let what = format!("{} goes through the crate's root; name its folder", used.written());
                findings.push(Finding::new(path, used.line, what));
                continue;
            };
            // A folder without a layer is reported where it stands.
            let Some(below) = layer_of(&to).filter(|_| to != folder) else { continue };
            if let Some(why) = refusal((&folder, layer), (&to, below), &full) {
                findings.push(Finding::new(path, used.line, format!("{} {why}", used.written())));
            }
        }
    }
    findings
}

fn refusal((from, layer): (&str, u8), (to, below): (&str, u8), full: &[String]) -> Option<String> {
    if below > layer {
        return Some(format!("leads up from layer {layer} to {below}; hand it down as an argument or move it below"));
    }
    if below == layer && layer != 0 && (from, to) != ("main", "cli") {
        return Some(format!("ties {from} to {to} of the same layer; let a layer above tie them"));
    }
    if let Some((_, allowed)) = NARROW.iter().find(|(name, _)| *name == from)
        && below != 0
        && !allowed.contains(&to)
    {
        return Some(format!("is closed to {from}, which knows only {} and layer 0", allowed.join(", ")));
    }
    let is_settings = full.iter().any(|segment| segment == "settings" || segment.ends_with("Settings"));
    if from == "config" && below == 5 && !is_settings {
        return Some("is more than settings; config knows only the `Settings` of layer 5".to_owned());
    }
    None
}

/// No two files know each other, not even over several steps.
pub(crate) fn cycles(tree: &Tree) -> Vec<Finding> {
    let mut edges: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (path, file) in tree.sources() {
        for used in file.paths.iter().filter(|used| !used.in_tests) {
            if let Some((_, target)) = tree.resolve(path, used) {
                edges.entry(path).or_default().entry(target).or_insert(used.line);
            }
        }
    }
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    let mut findings = Vec::new();
    for start in edges.keys().copied() {
        let Some(cycle) = shortest_cycle(&edges, start).filter(|_| !reported.contains(start)) else { continue };
        reported.extend(&cycle);
        let line = cycle.get(1).and_then(|next| edges.get(start)?.get(next)).copied().unwrap_or(1);
        let way = cycle.join(" -> ");
        findings.push(Finding::new(start, line, format!("import cycle {way}; move what both need into a third file")));
    }
    findings
}

fn shortest_cycle<'a>(edges: &BTreeMap<&'a str, BTreeMap<&'a str, usize>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &'a str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for next in edges.get(at).into_iter().flat_map(BTreeMap::keys).copied() {
            if next == start {
                let mut way = vec![start, at];
                while let Some(before) = way.last().and_then(|last| came_from.get(last)) {
                    way.push(before);
                }
                if way.last() != Some(&start) {
                    way.push(start);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}

/// Every Rust file is part of a program.
pub(crate) fn orphans(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in tree.files.keys().filter(|path| path.ends_with(".rs")) {
        let Some((folder, name)) = path.rsplit_once('/') else { continue };
        // What cargo finds by itself, and what a test program names by its path.
        let is_root = matches!(folder, "tests" | "benches" | "examples" | "tests/fuzz/fuzz_targets")
            || path == "src/lib.rs"
            || (path.starts_with("src/") == (folder == "src") && name == "main.rs");
        if is_root || is_named_by_path(tree, path) {
            continue;
        }
        let (module, parents) = parents_of(folder, name);
        let declares = |parent: &String| {
            tree.files.get(parent).is_some_and(|file| declared(&file.words).iter().any(|name| name == module))
        };
        if !parents.iter().any(declares) {
            let what = format!("no file says `mod {module};`; declare it in {} or delete it", parents.join(" or "));
            findings.push(Finding::new(path, 1, what));
        }
    }
    findings
}

fn is_named_by_path(tree: &Tree, path: &str) -> bool {
    tree.files.iter().filter(|(other, _)| other.ends_with(".rs")).any(|(other, file)| {
        let folder = other.rsplit_once('/').map_or("", |(folder, _)| folder);
        let below = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        below.is_some_and(|below| file.text.contains(&format!("#[path = \"{below}\"]")))
    })
}

/// The name of the module in a file, and the files that may declare it.
fn parents_of<'p>(folder: &'p str, name: &'p str) -> (&'p str, Vec<String>) {
    let stem = name.trim_end_matches(".rs");
    let (module, folder) = if stem == "mod" {
        folder.rsplit_once('/').map_or((folder, ""), |(above, last)| (last, above))
    } else {
        (stem, folder)
    };
    let parents = if folder == "src" {
        vec!["src/lib.rs".to_owned(), "src/main.rs".to_owned()]
    } else {
        vec![format!("{folder}/mod.rs"), format!("{folder}/main.rs"), format!("{folder}.rs")]
    };
    (module, parents)
}
