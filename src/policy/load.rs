//! From the files of a policy folder to a policy, or to everything that is wrong with them.
//!
//! Owns the order of the steps. Files are opened by the caller.

use std::{rc::Rc, sync::Arc};

use super::{
    acl::{Acl, Acls},
    arena::ArenaBuilder,
    case::Case,
    compile::{
        case::CaseCompiler,
        condition::Conditions,
        fact::FactCompiler,
        list::{Lists, ReadList},
        name::Names,
        plan::{Client, References, meetings, plans},
        result::{PolicyResult, Results},
        set::{SetCompiler, SetParts},
    },
    compiled::{Policy, PolicyParts},
    draft::{File, Named, State},
    file,
    profile::Profile,
    rule::{Rule, Set},
    servers::Servers,
    vendor::{Vendor, Vendors},
};
use crate::{
    dictionary::Dictionary,
    document::{Source, Table, Tree},
    limits,
    problem::Problems,
};

/// What a policy is compiled against.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// The names of attributes.
    pub dictionary: &'c Dictionary,
    /// The MDM servers; `None` when the policy is looked at without a configuration, or with a broken one.
    pub mdm_servers: Option<&'c Servers>,
    /// All vendor tables.
    pub vendors: &'c Vendors,
    /// The clients of the configuration: replies are made for their vendors.
    pub clients: &'c [Client<'c>],
    /// Opens list files.
    pub read_list: ReadList<'c>,
}

/// Compiles the files of one policy folder; nothing if there are errors. Everything found is in `problems`.
#[must_use]
pub fn load(sources: &[Source], context: &Context<'_>, problems: &mut Problems) -> Option<Policy> {
    let mut own = Problems::new();
    let policy = load_checked(sources, context, &mut own);
    let usable = !own.has_errors();
    problems.append(own);
    policy.filter(|_| usable)
}

fn load_checked(sources: &[Source], context: &Context<'_>, problems: &mut Problems) -> Option<Policy> {
    if sources.len() > limits::FILES_MAX {
        let message =
            format!("{} policy files are more than the {} allowed; merge some", sources.len(), limits::FILES_MAX);
        problems.error("too-many-files", None, message);
        return None;
    }
    let trees: Vec<Tree<'_>> = sources.iter().filter_map(|source| parse(source, problems)).collect();
    let roots: Vec<Table<'_>> = trees.iter().map(Tree::root).collect();
    let files: Vec<File<'_>> = roots.iter().map(|root| file::read(root, problems)).collect();
    if trees.len() == sources.len() {
        return Some(compile(files, context, problems));
    }
    // What a broken file defines is missed everywhere else: those messages would only be noise.
    let mut found = Problems::new();
    let policy = compile(files, context, &mut found);
    problems.append(found.without(&OF_OTHER_FILES));
    Some(policy)
}

/// What is said of names that stand in no file, or that no file uses.
const OF_OTHER_FILES: [&str; 9] = [
    "unknown-profile",
    "unknown-condition",
    "unknown-list",
    "unknown-acl",
    "unknown-expectation",
    "unused-profile",
    "unused-condition",
    "unused-list",
    "no-policy-set",
];

/// Parses a file, and tells what to do about names that TOML can't take without quotes.
fn parse<'s>(source: &'s Source, problems: &mut Problems) -> Option<Tree<'s>> {
    let mut found = Problems::new();
    let tree = source.parse(&mut found);
    for problem in found.iter() {
        let mut problem = problem.clone();
        if problem.message.contains("unquoted key") {
            problem.message.push_str("; a name with other characters needs quotes, \"…\"");
        }
        problems.push(problem);
    }
    tree
}

fn compile(mut files: Vec<File<'_>>, context: &Context<'_>, problems: &mut Problems) -> Policy {
    let (mut profiles, mut conditions, mut lists) =
        (Names::new("profile"), Names::new("condition"), Names::new("list"));
    let mut acls = Acls::new();
    for file in &mut files {
        for Named { name, place, value } in file.profiles.drain(..) {
            let before = problems.error_count();
            let value = Some(Profile::read(name, &value, problems)).filter(|_| problems.error_count() == before);
            profiles.add(Named { name, place, value }, problems);
        }
        file.acls.drain(..).for_each(|named| acls.insert(Acl::read(named.name, &named.value, problems), problems));
        for Named { name, place, value } in file.conditions.drain(..) {
            conditions.add(Named { name, place, value: value.map(Rc::new) }, problems);
        }
        file.lists.drain(..).for_each(|list| lists.add(list, problems));
    }
    let mut compiler = SetCompiler {
        dictionary: context.dictionary,
        mdm_servers: context.mdm_servers,
        lists: Lists::new(lists, context.read_list),
        conditions: Conditions::new(conditions),
        results: Results::new(profiles),
        arena: ArenaBuilder::default(),
        problems,
    };
    let parts: Vec<SetParts<'_, '_>> = files
        .iter()
        .filter_map(|file| Some(SetParts { set: file.set.as_ref()?, exceptions: &file.exceptions, rules: &file.rules }))
        .collect();
    let global: Vec<_> = files.iter().filter(|file| file.set.is_none()).flat_map(|file| &file.exceptions).collect();
    let (sets, rules) = compiler.compile(&parts, &global);
    if sets.is_empty() && !compiler.problems.has_errors() {
        let message = "there is no enabled policy set, so everything is rejected; write one, see policies/README.md";
        compiler.problems.warning("no-policy-set", None, message);
    }
    report_unused(&mut compiler);
    let SetCompiler { mut arena, results, problems, .. } = compiler;
    let results = results.into_results();
    let cases = cases(&files, context, (&sets, &rules), &results, problems);
    let vendors = vendors_in_use(context, &cases, problems);
    let meetings = meetings(arena.arena(), &sets, &rules, context.clients, &vendors);
    let mut references = References { dictionary: context.dictionary, arena: &mut arena };
    let plans = plans(vendors, &meetings, &results, &acls, &mut references, problems);
    let servers = context.mdm_servers.cloned().unwrap_or_default();
    Policy::new(PolicyParts { arena: arena.finish(), sets, rules, results, plans, cases, servers })
}

fn cases(
    files: &[File<'_>],
    context: &Context<'_>,
    (sets, rules): (&[Set], &[Rule]),
    results: &[PolicyResult],
    problems: &mut Problems,
) -> Vec<Case> {
    let drafts: Vec<_> = files.iter().flat_map(|file| &file.cases).collect();
    if let Some(over) = drafts.get(limits::CASES_MAX) {
        let message = format!("more than {} cases; the rest is not read", limits::CASES_MAX);
        problems.error("too-many-cases", Some(over.place.clone()), message);
    }
    let profiles: Vec<Box<str>> = results.iter().flat_map(|result| result.profiles.iter().cloned()).collect();
    let disabled = files.iter().flat_map(|file| {
        let sets = file.set.iter().filter(|set| !set.is_enabled).map(|set| set.name);
        let rules = file.rules.iter().chain(&file.exceptions);
        // With its set, all of a file's rules are disabled.
        let is_off = file.set.as_ref().is_some_and(|set| !set.is_enabled);
        let rules = rules.filter(move |rule| is_off || rule.state == State::Disabled).map(|rule| rule.name);
        sets.chain(rules)
    });
    let disabled: Vec<&str> = disabled.collect();
    let mut found = Problems::new();
    let mut compiler = CaseCompiler {
        dictionary: context.dictionary,
        sets,
        rules,
        profiles: &profiles,
        clients: context.clients,
        disabled: &disabled,
        problems: &mut found,
    };
    let cases = drafts.into_iter().take(limits::CASES_MAX).filter_map(|draft| compiler.compile(draft)).collect();
    // Names of rules that don't exist because their rules have mistakes would be told twice.
    let told_already: &[&str] = if problems.has_errors() { &["unknown-expectation"] } else { &[] };
    problems.append(found.without(told_already));
    cases
}

/// The vendor tables that clients and cases use, in the order of their names.
fn vendors_in_use(context: &Context<'_>, cases: &[Case], problems: &mut Problems) -> Vec<Arc<Vendor>> {
    let of_cases = cases.iter().map(|case| case.given.vendor());
    let mut names: Vec<&str> = context.clients.iter().map(|client| client.vendor).chain(of_cases).collect();
    names.sort_unstable();
    names.dedup();
    let mut vendors = Vec::new();
    for name in names {
        match context.vendors.find(name) {
            Some(vendor) => vendors.push(Arc::clone(vendor)),
            // That of a client is the configuration's to tell, and a table with mistakes was told.
            None if context.clients.iter().any(|client| client.vendor == name) => {}
            None if context.vendors.is_broken(name) => {}
            None => {
                let place = cases.iter().find(|case| case.given.vendor() == name).map(|case| case.place.clone());
                let message = format!("there is no vendor \"{name}\"{}", context.vendors.advice(name));
                problems.error("unknown-vendor", place, message);
            }
        }
    }
    vendors
}

fn report_unused(compiler: &mut SetCompiler<'_, '_, '_>) {
    for (name, place) in compiler.results.unused() {
        let message = format!("no rule uses the profile \"{name}\"; remove it, or name it in a result");
        compiler.problems.warning("unused-profile", Some(place), message);
    }
    let mut facts = FactCompiler {
        dictionary: compiler.dictionary,
        lists: &mut compiler.lists,
        arena: &mut compiler.arena,
        problems: compiler.problems,
    };
    for (name, place) in compiler.conditions.compile_rest(&mut facts) {
        let message = format!("nothing uses the condition \"{name}\"; remove it, or write condition = \"{name}\"");
        facts.problems.warning("unused-condition", Some(place), message);
    }
    compiler.lists.read_rest(compiler.problems);
    for (name, place) in compiler.lists.unused() {
        let message = format!("nothing uses the list \"{name}\"; remove it, or write in-list = \"{name}\"");
        compiler.problems.warning("unused-list", Some(place.clone()), message);
    }
}
