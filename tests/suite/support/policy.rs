//! Policies from a text, compiled as the server compiles them.

use std::sync::LazyLock;

use radmit::{
    dictionary::Dictionary,
    document::Source,
    policy::{
        compile::plan::Client,
        compiled::Policy,
        load::{Context, load},
        servers::Servers,
        vendor::Vendors,
    },
    problem::Problems,
};

/// What is wrong with one policy file.
pub(crate) fn problems_of(text: &str) -> Vec<String> {
    let mut problems = Problems::new();
    compile(text, &[], &mut problems);
    problems.sorted().iter().map(ToString::to_string).collect()
}

/// Compiles one policy file for clients of the vendors `generic` and `cisco`.
pub(crate) fn policy_of(text: &str, servers: &[Box<str>]) -> Policy {
    let mut problems = Problems::new();
    let policy = compile(text, servers, &mut problems);
    policy.unwrap_or_else(|| panic!("{:?}", problems.sorted()))
}

fn compile(text: &str, servers: &[Box<str>], problems: &mut Problems) -> Option<Policy> {
    // Reading the tables takes longer than everything else here.
    static VENDORS: LazyLock<Vendors> = LazyLock::new(Vendors::builtin);
    let clients = ["generic", "cisco"].map(|vendor| Client { name: "switches", vendor, groups: &[] });
    let context = Context {
        dictionary: Dictionary::builtin(),
        mdm_servers: Some(&Servers::enabled(servers)),
        vendors: &VENDORS,
        clients: &clients,
        read_list: &|_, name| Err(format!("no {name}")),
    };
    load(&[Source::new("test.toml", text)], &context, problems)
}
