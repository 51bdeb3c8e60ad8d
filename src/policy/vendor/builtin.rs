//! The vendor tables that are compiled in, and an operator's that replace them.
//!
//! Owns the list of them. The tables themselves are files.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use super::{read, table::Vendor};
use crate::{
    document::Source,
    limits,
    problem::{Place, Problems, did_you_mean},
};

/// Name and text of the tables that are compiled in.
const BUILTIN: [(&str, &str); 16] = [
    ("arista", include_str!("../../../policies/vendor/arista.toml")),
    ("aruba", include_str!("../../../policies/vendor/aruba.toml")),
    ("cisco", include_str!("../../../policies/vendor/cisco.toml")),
    ("cisco-wlc", include_str!("../../../policies/vendor/cisco-wlc.toml")),
    ("dell", include_str!("../../../policies/vendor/dell.toml")),
    ("extreme", include_str!("../../../policies/vendor/extreme.toml")),
    ("fortinet", include_str!("../../../policies/vendor/fortinet.toml")),
    ("generic", include_str!("../../../policies/vendor/generic.toml")),
    ("hpe", include_str!("../../../policies/vendor/hpe.toml")),
    ("huawei", include_str!("../../../policies/vendor/huawei.toml")),
    ("juniper", include_str!("../../../policies/vendor/juniper.toml")),
    ("meraki", include_str!("../../../policies/vendor/meraki.toml")),
    ("mikrotik", include_str!("../../../policies/vendor/mikrotik.toml")),
    ("mist", include_str!("../../../policies/vendor/mist.toml")),
    ("ruckus", include_str!("../../../policies/vendor/ruckus.toml")),
    ("ubiquiti", include_str!("../../../policies/vendor/ubiquiti.toml")),
];

/// All vendor tables by name.
#[derive(Clone, Debug)]
pub struct Vendors {
    by_name: BTreeMap<Arc<str>, Arc<Vendor>>,
    /// What the files of tables that could not be read are called. Bound: `limits::FILES_MAX`.
    broken: BTreeSet<Box<str>>,
}

impl Vendors {
    /// The tables that are compiled in, read once.
    #[must_use]
    pub fn builtin() -> Self {
        static TABLES: LazyLock<Vendors> = LazyLock::new(Vendors::read_builtin);
        TABLES.clone()
    }

    fn read_builtin() -> Self {
        let mut problems = Problems::new();
        let tables = BUILTIN.iter().filter_map(|(name, text)| {
            let source = Source::new(format!("(built in)/policies/vendor/{name}.toml"), *text);
            read::read(&source, &mut problems)
        });
        let by_name = tables.map(|vendor| (Arc::clone(&vendor.name), Arc::new(vendor))).collect();
        debug_assert!(problems.is_empty(), "the compiled-in tables are checked by a test");
        Self { by_name, broken: BTreeSet::new() }
    }

    /// Adds an operator's table, which replaces the compiled-in one of its name as a whole.
    pub fn read(&mut self, source: &Source, problems: &mut Problems) {
        let Some(vendor) = read::read(source, problems) else {
            let file = source.name().rsplit('/').next().unwrap_or_default();
            self.broken.insert(file.strip_suffix(".toml").unwrap_or(file).into());
            return;
        };
        if self.by_name.len() >= limits::VENDORS_MAX && !self.by_name.contains_key(&vendor.name) {
            let message = format!("there are more than {} vendor tables; remove some", limits::VENDORS_MAX);
            problems.error("too-many-vendors", Some(Place::whole(Arc::clone(source.name()))), message);
            return;
        }
        self.by_name.insert(Arc::clone(&vendor.name), Arc::new(vendor));
    }

    /// The table of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Vendor>> {
        self.by_name.get(name)
    }

    /// Whether there is a table that should have this name, and could not be read.
    #[must_use]
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
    }

    /// The names of tables that could not be read.
    pub fn broken(&self) -> impl Iterator<Item = &str> {
        self.broken.iter().map(|name| &**name)
    }

    /// All tables by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Vendor>> {
        self.by_name.values()
    }

    /// `; did you mean "…"?` for the name that is most like `wrong`, else the list of all.
    #[must_use]
    pub fn advice(&self, wrong: &str) -> String {
        let near = did_you_mean(wrong, self.by_name.keys().map(|name| &**name));
        if !near.is_empty() {
            return near;
        }
        let names: Vec<&str> = self.by_name.keys().map(|name| &**name).collect();
        format!("; there are: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_compiled_in_table_is_right_and_names_its_sources() {
        let mut problems = Problems::new();
        for (name, text) in BUILTIN {
            let vendor = read::read(&Source::new(format!("{name}.toml"), text), &mut problems).expect("a table");
            assert_eq!(&*vendor.name, name);
            assert!(!vendor.sources.is_empty(), "{name}");
        }
        assert!(problems.is_empty(), "{:?}", problems.sorted());
        assert_eq!(Vendors::builtin().iter().count(), BUILTIN.len());
    }

    #[test]
    fn every_table_in_the_folder_is_compiled_in_and_described() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/vendor");
        let readme = fs::read_to_string(folder.join("README.md")).expect("the folder has a README");
        let mut names: Vec<String> = fs::read_dir(&folder)
            .expect("the folder is there")
            .filter_map(|entry| entry.expect("the folder can be read").file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
            .collect();
        names.sort();
        let compiled_in: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, compiled_in, "add the file to BUILTIN, in the order of the names");
        for name in names {
            assert!(readme.contains(&format!("`{name}`")), "policies/vendor/README.md does not mention {name}");
        }
    }

    #[test]
    fn the_example_of_the_format_is_right() {
        let readme = include_str!("../../../policies/vendor/README.md");
        let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let mut problems = Problems::new();
        let vendor = read::read(&Source::new("acme.toml", example), &mut problems).expect("a table");
        assert!(problems.is_empty(), "{:?}", problems.sorted());
        assert!(vendor.acl.syntax.is_some() && vendor.coa.is_some());
    }

    #[test]
    fn an_operators_table_replaces_the_compiled_in_one() {
        let mut vendors = Vendors::builtin();
        let mut problems = Problems::new();
        let text = "version = 1\nname = \"generic\"\ntitle = \"ours\"\nsources = [\"a lab\"]\n";
        vendors.read(&Source::new("policies/vendor/generic.toml", text), &mut problems);
        assert!(problems.is_empty(), "{:?}", problems.sorted());
        let generic = vendors.find("generic").expect("it is there");
        assert_eq!(&*generic.title, "ours");
        assert!(generic.vlan.is_none());
        assert_eq!(vendors.advice("cicso"), "; did you mean \"cisco\"?");
    }

    #[test]
    fn every_mistake_in_a_table_is_told() {
        let mut problems = Problems::new();
        Vendors::builtin().read(&Source::new("vendor/acme.toml", MISTAKES), &mut problems);
        let shown: String = problems.sorted().iter().map(|problem| format!("{problem}\n")).collect();
        insta::assert_snapshot!(shown);
    }

    const MISTAKES: &str = r#"
version = 1
name = "akme"
color = "red"

[vlan]
id = ["Tunnel-Type VLAN", "Tunnel-Medium-Type:{tga} = IEEE-802", "Tunnel-Type:32 = VLAN", "Filter-Id = {vlna}"]
name = ["Filter-Id = {vlan:d}", "Filter-Id = {vlan", "Filter-Id = {acl}"]
name-characters-max = 0

[sgt]
max = 3

[voice]
send = ["Filter-Id = {vlan}"]

[acl]
form = "inline"

[acl.name]
send = 7

[acl.download.ipv4]
name = "{acl}-{hsah}"

[acl.rule]
line = "{action} {protocol} {source}"
permit = "allow"
source = { any = "any", net = "{address}" }
destination-port = { equal = "{prot}", range = " {from}-{to}" }

[[conflict]]
one = "Filter-Id"

[coa]
port = 0
bounce = { code = "reset" }
"#;
}
