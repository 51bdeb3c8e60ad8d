//! Golden replies: `tests/vectors/vendors/NAME.txt` holds a policy and what it sends to clients of that vendor.
//!
//! Owns comparing and, with `REGENERATE=1` in the environment, writing them. Only tests use it.

use std::{fmt::Write, fs, path::PathBuf};

use super::{FactId, FactNames, FactSource, Materials, Occasion, ReplyPlan, render};
use crate::{
    dictionary::{Dictionary, list},
    document::Source,
    policy::{
        acl::{Acl, Acls},
        profile::Profile,
        vendor::Vendors,
    },
    problem::{Place, Problems},
    radius::{attribute::Attributes, buffer::PacketBuffer, code::Code, hidden::Salt, secret::Secret},
};

/// Facts of tests: a name stands for itself, and the number is that of its first use.
#[derive(Default)]
pub(super) struct Names(Vec<String>);

impl FactNames for Names {
    fn resolve(&mut self, name: &str, _problems: &Problems) -> Result<FactId, String> {
        if name.contains("complaint") {
            return Err(format!("unknown fact \"{name}\"; did you mean \"mdm.compliant\"?"));
        }
        let known = self.0.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        Ok(FactId(u32::try_from(index).expect("a test has few facts")))
    }
}

impl FactSource for Names {
    fn write(&self, fact: FactId, out: &mut dyn Write) -> Result<bool, std::fmt::Error> {
        let name = usize::try_from(fact.0).ok().and_then(|index| self.0.get(index)).expect("a fact that was resolved");
        match name.as_str() {
            "identity.mac" => out.write_str("A4-C3-F0-11-22-33")?,
            "mdm.user" => out.write_str("ann@corp.example&x=1\n")?,
            "mdm.device-name" => return Ok(false),
            "radius.User-Name" => out.write_str(&"u".repeat(240))?,
            other => out.write_str(other)?,
        }
        Ok(true)
    }
}

/// A policy text, read.
pub(super) struct Fixture {
    pub(super) profiles: Vec<Profile>,
    pub(super) acls: Acls,
    pub(super) names: Names,
    pub(super) problems: Problems,
}

impl Fixture {
    pub(super) fn read(text: &str) -> Self {
        let mut problems = Problems::new();
        let source = Source::new("policy.toml", text);
        let (mut profiles, mut acls) = (Vec::new(), Acls::new());
        if let Some(tree) = source.parse(&mut problems) {
            let root = tree.root();
            for (key, is_profile) in [("profile", true), ("acl", false)] {
                let Some(table) = root.table(key, &mut problems) else { continue };
                for entry in table.entries() {
                    let Some(table) = entry.table(&mut problems) else { continue };
                    if is_profile {
                        profiles.push(Profile::read(entry.key(), &table, &mut problems));
                    } else {
                        acls.insert(Acl::read(entry.key(), &table, &mut problems), &mut problems);
                    }
                }
            }
        }
        Self { profiles, acls, names: Names::default(), problems }
    }

    /// The plan of all profiles merged.
    pub(super) fn plan(&mut self, vendor: &str) -> Option<ReplyPlan> {
        let vendors = Vendors::builtin();
        let vendor = vendors.find(vendor).expect("a compiled-in vendor");
        let all: Vec<&Profile> = self.profiles.iter().collect();
        let profile = Profile::merge(&all, &Place::whole("rule"), &mut self.problems)?;
        let mut materials = Materials { dictionary: Dictionary::builtin(), acls: &self.acls, facts: &mut self.names };
        render(&profile, vendor, &mut materials, &mut self.problems)
    }

    pub(super) fn problems(&self) -> String {
        self.problems.sorted().iter().map(|problem| format!("{problem}\n")).collect()
    }

    pub(super) fn reply(&self, plan: &ReplyPlan, beside_eap: bool) -> Result<Vec<u8>, crate::radius::error::Full> {
        let secret = Secret::new(b"golden".to_vec()).expect("a secret with octets");
        let mut buffer = PacketBuffer::new();
        buffer.start_unsigned(Code::ACCESS_ACCEPT, 1);
        let occasion = Occasion {
            facts: &self.names,
            beside_eap,
            request_authenticator: &[7; 16],
            secret: &secret,
            salt: Salt::new(1),
        };
        plan.write(&mut buffer, &occasion)?;
        Ok(buffer.octets()[20..].to_vec())
    }
}

/// What stands in a golden file behind the policy.
fn golden(vendor: &str, policy: &str) -> String {
    let mut fixture = Fixture::read(policy);
    let plan = fixture.plan(vendor);
    let mut text = fixture.problems();
    let Some(plan) = plan else { return text };
    let octets = fixture.reply(&plan, false).expect("it fits");
    let _ = write!(text, "\n# Attributes\n{}", list::print(Dictionary::builtin(), Attributes::new(&octets, 20)));
    let _ = write!(text, "\n# Octets\n{}", hex_lines(&octets));
    for download in plan.downloads() {
        let _ = write!(text, "\n# Download {}\n", download.name);
        text.push_str(&list::print(Dictionary::builtin(), Attributes::new(download.octets(), 20)));
    }
    text
}

/// One attribute to a line.
fn hex_lines(octets: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = octets;
    while let Some(length) = rest.get(1) {
        let (attribute, after) = rest.split_at(usize::from(*length));
        for octet in attribute {
            let _ = write!(text, "{octet:02x}");
        }
        text.push('\n');
        rest = after;
    }
    text
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/vendors")
}

#[test]
fn every_vendor_sends_its_golden_reply() {
    const END_OF_POLICY: &str = "# Problems\n";
    for vendor in Vendors::builtin().iter() {
        let path = folder().join(format!("{}.txt", vendor.name));
        let file = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} needs a golden reply", vendor.name));
        let (policy, expected) = file.split_once(END_OF_POLICY).unwrap_or((&file, ""));
        let got = golden(&vendor.name, policy);
        if std::env::var_os("REGENERATE").is_some() {
            fs::write(&path, format!("{policy}{END_OF_POLICY}{got}")).expect("the file can be written");
        } else {
            assert_eq!(got, expected, "{}", path.display());
        }
    }
}
