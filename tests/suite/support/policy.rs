//! Policies from a text, compiled as the server compiles them.

use std::sync::LazyLock;

use radmit::{
    dictionary::Dictionary,
    document::Source,
    policy::{
        compile::plan::Client,
        compiled::Policy,
        load::{Context, load},
        vendor::Vendors,
    },
    problem::Problems,
};

/// Compiles one policy file for clients of the vendors `generic` and `cisco`.
pub(crate) fn policy_of(text: &str, servers: &[Box<str>]) -> Policy {
    // Reading the tables takes longer than everything else here.
    static VENDORS: LazyLock<Vendors> = LazyLock::new(Vendors::builtin);
    let mut problems = Problems::new();
    let clients = ["generic", "cisco"].map(|vendor| Client { name: "switches", vendor, groups: &[] });
    let context = Context {
        dictionary: Dictionary::builtin(),
        mdm_servers: Some(servers),
        vendors: &VENDORS,
        clients: &clients,
        read_list: &|_, name| Err(format!("no {name}")),
    };
    let policy = load(&[Source::new("test.toml", text)], &context, &mut problems);
    policy.unwrap_or_else(|| panic!("{:?}", problems.sorted()))
}
