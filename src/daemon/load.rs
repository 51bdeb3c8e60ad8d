//! Everything that a configuration names, read and checked: what `serve` starts with and `check` reports.
//!
//! Owns the order of reading and the one list of problems. It starts nothing; `serve` and `check` therefore never
//! disagree about what is wrong.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    clock,
    config::{
        configuration::Configuration,
        file::{self, is_hidden},
        files::{Files, reason},
    },
    device,
    dictionary::{Builder, Dictionary},
    document::Source,
    engine::client::MessageAuthenticatorMode,
    limits,
    mdm::settings::{Api, Kind, Settings},
    policy::{
        check::{Inspection, inspect},
        compile::plan::Client as PolicyClient,
        compiled::Policy,
        load::{Context, load as compile},
        reply_plan::VENDOR_ATTRIBUTE,
        servers::Servers,
        trial,
        vendor::Vendors,
    },
    problem::{Place, Problem, Problems, Severity},
    store::keeper::can_be_required,
};

use super::{
    eap_tls::{self, LoadedEapTls},
    recorder::Recorder,
};

/// A configuration with all that it names.
#[derive(Debug)]
pub struct Loaded {
    /// `radmit.toml` and `conf.d`.
    pub configuration: Configuration,
    /// The shipped dictionaries and the operator's.
    pub dictionary: Arc<Dictionary>,
    /// The compiled policy.
    pub policy: Policy,
    /// What came of the policy's cases.
    pub cases: trial::Report,
    /// What `[eap-tls]` names; `None`: EAP is not offered.
    pub eap_tls: Option<LoadedEapTls>,
}

/// Reads everything. `None` if there is an error; all problems are in `problems` either way.
#[must_use]
pub fn load(named: Option<&Path>, files: &Arc<dyn Files>, problems: &mut Problems) -> Option<Loaded> {
    load_with(named, None, files, problems)
}

/// The same with another folder of policies in place of the configured one.
#[must_use]
pub fn load_with(
    named: Option<&Path>,
    policies: Option<&Path>,
    files: &Arc<dyn Files>,
    problems: &mut Problems,
) -> Option<Loaded> {
    let path = match file::find(named, &**files) {
        Ok(path) => path,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    // With errors it can't be used, but what it names is read all the same: an operator wants to hear of all of it at once.
    let mut found = Problems::new();
    let loaded = load_all(&path, policies, files, &mut found);
    let usable = !found.has_errors();
    problems.append(found);
    loaded.filter(|_| usable)
}

fn load_all(path: &Path, policies: Option<&Path>, system: &Arc<dyn Files>, problems: &mut Problems) -> Option<Loaded> {
    let mut configuration = file::read(path, system, problems)?;
    if let Some(policies) = policies {
        configuration.server.policies = policies.to_owned();
    }
    let files = Recorder::new(&**system, &configuration.hash);
    let before = problems.error_count();
    let dictionary = load_dictionary(&configuration, &files, problems);
    let is_folder_missing =
        configuration.server.dictionaries.as_ref().is_some_and(|folder| files.list(folder).is_err());
    let is_dictionary_broken = is_folder_missing || problems.error_count() > before;
    let mut found = Problems::new();
    let vendors = load_vendors(&configuration, &dictionary, &files, &mut found);
    let names: Vec<&str> = vendors.iter().map(|vendor| &*vendor.name).chain(vendors.broken()).collect();
    configuration.check_vendors(names.iter().copied(), &mut found);
    tell_learnt(&configuration, &mut found);
    configuration.check_attributes(|name| dictionary.resolve(name).is_some(), &mut found);
    check_mdm_files(&configuration, &**system, &mut found);
    let eap_tls = configuration.eap_tls.as_ref();
    let eap_tls = eap_tls.and_then(|eap_tls| eap_tls::load(eap_tls, clock::now().wall, &files, &mut found));
    let folder = &configuration.server.policies;
    // The configured one was told with its key if it is not there.
    let is_told = policies.is_none() && files.list(folder).is_err();
    let sources = if is_told { None } else { read_policies(folder, &files, &mut found) };
    let policy =
        sources.and_then(|sources| load_policy(&configuration, &dictionary, &vendors, &sources, &files, &mut found));
    // What a broken dictionary defines is missed everywhere: those messages would only be noise.
    // An attribute that a vendor's table misspells was told where the table was read.
    let told_already: &[&str] =
        if is_dictionary_broken { &["unknown-attribute", VENDOR_ATTRIBUTE] } else { &[VENDOR_ATTRIBUTE] };
    problems.append(found.without(told_already));
    let policy = policy?;
    configuration.hash = files.hash();
    let cases = trial::run_all(&policy, &dictionary, &configuration.server.zone);
    inspect_policy(&configuration, &policy, &cases, problems);
    Some(Loaded { configuration, dictionary: Arc::new(dictionary), policy, cases, eap_tls })
}

/// The files that `[[mdm]]` blocks name. They are read again while the server runs, so they don't belong to the hash.
fn check_mdm_files(configuration: &Configuration, files: &dyn Files, problems: &mut Problems) {
    for server in configuration.mdm.iter().filter(|server| server.settings.enabled) {
        if let Kind::Inventory(inventory) = &server.settings.kind {
            let name = inventory.file.to_string_lossy().into_owned();
            match files.read(&inventory.file).map(String::from_utf8) {
                Ok(Ok(text)) => {
                    let _ = device::file::read(&Source::new(name, text), problems);
                }
                Ok(Err(_)) => {
                    let message = format!("{name} is not UTF-8 text; is it the right file?");
                    problems.error("not-utf8", Some(server.place_of("file")), message);
                }
                // That was told with the key.
                Err(_) => {}
            }
        }
        for problem in server.settings.file_problems(clock::now().wall) {
            let (place, message) = (server.place_of(problem.key), problem.message);
            match problem.severity {
                Severity::Error => problems.error("bad-mdm-file", Some(place), message),
                _ => problems.warning("bad-mdm-file", Some(place), message),
            }
        }
    }
}

/// Clients that learn, and have shown for long enough that they sign.
fn tell_learnt(configuration: &Configuration, problems: &mut Problems) {
    let learners =
        configuration.clients.iter().filter(|client| client.message_authenticator == MessageAuthenticatorMode::Learn);
    let mut learners = learners.peekable();
    if learners.peek().is_none() {
        return;
    }
    let able = can_be_required(&configuration.server.state_dir, clock::now().wall);
    for client in learners.filter(|client| able.contains(&client.name)) {
        let message = format!(
            "every request of client \"{}\" in seven days carried Message-Authenticator; set message-authenticator = \
             \"require\"",
            client.name
        );
        problems.warning("message-authenticator-learnt", Some(client.place.clone()), message);
    }
}

/// The shipped dictionaries, extended by the operator's folder.
fn load_dictionary(configuration: &Configuration, files: &dyn Files, problems: &mut Problems) -> Dictionary {
    // A folder that is named and not there was told with its key.
    let folder = configuration.server.dictionaries.as_ref().filter(|folder| files.list(folder).is_ok());
    let Some(folder) = folder else { return Dictionary::builtin().clone() };
    let mut builder = Builder::with_builtin();
    let (named, others): (Vec<PathBuf>, Vec<PathBuf>) =
        list(folder, files, problems).into_iter().filter(|path| !is_hidden(path)).partition(|path| is_dictionary(path));
    let mut included = Vec::new();
    for path in named {
        let Some(source) = read(&path, files, problems) else { continue };
        let mut include = |wanted: &str, from: &str| {
            let path = Path::new(from).parent().unwrap_or_else(|| Path::new("")).join(wanted);
            let text = String::from_utf8_lossy(&files.read(&path).ok()?).into_owned();
            included.push(path.clone());
            Some(Source::new(path.to_string_lossy().into_owned(), text))
        };
        builder.load(source, &mut include, problems);
    }
    for path in others.iter().filter(|path| !included.contains(path) && files.list(path).is_err()) {
        let message = "the file is not read as a dictionary; call it NAME.dict or dictionary.NAME, or move it away";
        problems.warning("not-a-dictionary", Some(Place::whole(path.to_string_lossy().into_owned())), message);
    }
    builder.finish(problems)
}

fn is_dictionary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    path.extension().is_some_and(|extension| extension == "dict") || name.starts_with("dictionary")
}

fn load_vendors(
    configuration: &Configuration,
    dictionary: &Dictionary,
    files: &dyn Files,
    problems: &mut Problems,
) -> Vendors {
    let folder = configuration.server.policies.join("vendor");
    let sources = if files.list(&folder).is_ok() {
        read_files(&folder, files, problems)
    } else {
        // The folder is optional: the shipped tables are compiled in.
        Vec::new()
    };
    let mut vendors = Vendors::builtin();
    for source in &sources {
        vendors.read(source, problems);
    }
    let is_used = |name: &str| configuration.clients.iter().any(|client| *client.vendor.text == *name);
    for vendor in vendors.iter().filter(|vendor| is_used(&vendor.name)) {
        vendor.check(dictionary, problems);
    }
    vendors
}

fn load_policy(
    configuration: &Configuration,
    dictionary: &Dictionary,
    vendors: &Vendors,
    sources: &[Source],
    files: &dyn Files,
    problems: &mut Problems,
) -> Option<Policy> {
    let servers = servers(configuration);
    // With a part of the configuration missing nobody knows which servers there are.
    let servers = configuration.is_complete.then_some(&servers);
    let clients: Vec<PolicyClient<'_>> = configuration
        .clients
        .iter()
        .map(|client| PolicyClient { name: &client.name, groups: &client.groups, vendor: &client.vendor.text })
        .collect();
    let read_list = |from: &Source, name: &str| -> Result<Source, String> {
        let path = Path::new(&**from.name()).parent().unwrap_or_else(|| Path::new("")).join(name);
        let octets = files.read(&path).map_err(|error| format!("{} {}", path.display(), reason(&error)))?;
        Ok(Source::new(path.to_string_lossy().into_owned(), String::from_utf8_lossy(&octets).into_owned()))
    };
    let context = Context { dictionary, mdm_servers: servers, vendors, clients: &clients, read_list: &read_list };
    compile(sources, &context, problems)
}

fn servers(configuration: &Configuration) -> Servers {
    let settings = || configuration.mdm.iter().map(|server| &server.settings);
    let names = |is_meant: fn(&Settings) -> bool| {
        settings().filter(|settings| is_meant(settings)).map(|settings| Box::from(&*settings.name)).collect()
    };
    Servers {
        enabled: names(|settings| settings.enabled),
        disabled: names(|settings| !settings.enabled),
        strict: names(|settings| settings.enabled && !settings.grace_is_compliant),
    }
}

/// Warnings and hints about what the policy probably does not mean.
fn inspect_policy(configuration: &Configuration, policy: &Policy, cases: &trial::Report, problems: &mut Problems) {
    let asks_only_compliance = |kind: &Kind| match kind {
        Kind::Intune(intune) => !intune.lookup.contains(&Api::Graph),
        Kind::Inventory(_) => false,
    };
    let terse: Vec<Box<str>> = configuration
        .mdm
        .iter()
        .filter(|server| server.settings.enabled && asks_only_compliance(&server.settings.kind))
        .map(|server| Box::from(&*server.settings.name))
        .collect();
    let covered = (!policy.cases().is_empty()).then_some(&cases.covered);
    let servers = servers(configuration).enabled;
    inspect(policy, &Inspection { covered, terse_servers: &terse, servers: &servers }, problems);
}

/// The files of the policy folder; nothing if there are none, which is reported.
fn read_policies(folder: &Path, files: &dyn Files, problems: &mut Problems) -> Option<Vec<Source>> {
    let before = problems.error_count();
    let sources = read_files(folder, files, problems);
    // A folder or a file that can't be read was told.
    if sources.is_empty() && problems.error_count() == before {
        problems.push(Problem::error(
            "no-policies",
            Some(Place::whole(folder.to_string_lossy().into_owned())),
            "the folder holds no policy file; put at least one NAME.toml there, or name another folder in server.policies",
        ));
    }
    Some(sources).filter(|sources| !sources.is_empty())
}

/// The TOML files of a folder in the order of their names.
fn read_files(folder: &Path, files: &dyn Files, problems: &mut Problems) -> Vec<Source> {
    let paths = list(folder, files, problems);
    let is_toml = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "toml") && !is_hidden(path);
    paths.iter().filter(is_toml).filter_map(|path| read(path, files, problems)).collect()
}

fn list(folder: &Path, files: &dyn Files, problems: &mut Problems) -> Vec<PathBuf> {
    match files.list(folder) {
        Ok(paths) if paths.len() > limits::FILES_MAX => {
            let place = Place::whole(folder.to_string_lossy().into_owned());
            problems.error(
                "too-many-files",
                Some(place),
                format!("the folder has more than {} files", limits::FILES_MAX),
            );
            Vec::new()
        }
        Ok(paths) => paths,
        Err(error) => {
            let place = Place::whole(folder.to_string_lossy().into_owned());
            problems.error("folder-unreadable", Some(place), format!("the folder {}", reason(&error)));
            Vec::new()
        }
    }
}

fn read(path: &Path, files: &dyn Files, problems: &mut Problems) -> Option<Source> {
    let name = path.to_string_lossy().into_owned();
    match files.read(path) {
        Ok(octets) => match String::from_utf8(octets) {
            Ok(text) => Some(Source::new(name, text)),
            Err(_) => {
                problems.error("not-utf8", Some(Place::whole(name)), "the file is not UTF-8; save it as UTF-8");
                None
            }
        },
        Err(error) => {
            problems.error("file-unreadable", Some(Place::whole(name)), format!("the file {}", reason(&error)));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::files::MemoryFiles;

    const POLICY: &str = "version = 1\n[policy-set]\nname = \"s\"\ndefault = \"deny\"\n";
    const CLIENT: &str = "[[client]]\nname = \"c\"\naddress = [\"10.0.0.0/8\"]\nsecret = { file = \"secret\" }\n";

    fn machine(radmit: &str) -> MemoryFiles {
        MemoryFiles::default()
            .with("radmit.toml", format!("version = 1\n[server]\ndictionaries = \"dictionaries\"\n{radmit}{CLIENT}"))
            .with("secret", "a secret of a fair length")
            .with("policies/a.toml", POLICY)
            .with("dictionaries/acme.dict", "VENDOR Acme 64000\n")
    }

    /// What is said of a machine's configuration, and whether it can be used.
    fn said(files: MemoryFiles) -> (bool, String) {
        let mut problems = Problems::new();
        let files: Arc<dyn Files> = Arc::new(files);
        let loaded = load(Some(Path::new("radmit.toml")), &files, &mut problems);
        let shown: Vec<String> = problems.sorted().iter().map(ToString::to_string).collect();
        assert_eq!(loaded.is_none(), problems.has_errors(), "{shown:?}");
        (loaded.is_some(), shown.join("\n"))
    }

    const INVENTORY: &str = "[[mdm]]\nname = \"lab\"\nkind = \"inventory\"\nfile = \"devices.toml\"\n";

    #[test]
    fn all_that_is_wrong_is_told_at_once_whichever_file_it_stands_in() {
        let files = machine("[metrics]\nlisten = \"nowhere\"\n")
            .with(
                "policies/a.toml",
                format!("{POLICY}[[rule]]\nname = \"r\"\nwhen = {{ mdm.complaint = true }}\nresult = \"staff\"\n"),
            )
            .with("policies/b.toml", "version = 1\n[profile.staff\n")
            .with(
                "policies/c.toml",
                "version = 1\n[[case]]\nname = \"x\"\nrequest = { User-Nam = \"x\" }\nexpect = { rule = \"q\" }\n",
            );
        insta::assert_snapshot!(said(files).1, @r#"
        policies/a.toml:7:14: unknown fact "mdm.complaint"; did you mean "mdm.compliant"?
        policies/b.toml:2:15: not valid TOML: unclosed table, expected `]`
        policies/c.toml:4:13: unknown attribute "User-Nam"; did you mean "User-Name"?
        radmit.toml:5:10: "nowhere" is no address to listen at; write an address and a port, such as "127.0.0.1:9812" or "[::1]:9812"
        "#);
    }

    #[test]
    fn names_that_a_broken_file_may_define_are_not_missed() {
        let files = machine("")
            .with("conf.d/mdm.toml", "version = 1\n[[mdm]\n")
            .with("dictionaries/acme.dict", "ATTRIBUTE Acme-Thing 1 strange\n")
            .with("policies/vendor/acme.toml", "version = 1\nname = acme\n")
            .with("policies/a.toml", format!("{POLICY}mdm = [\"corp\"]\n[[rule]]\nname = \"r\"\nwhen = {{ radius.Acme-Thing = \"x\" }}\nresult = \"permit\"\n"));
        let files = files.with(
            "radmit.toml",
            format!("version = 1\n[server]\ndictionaries = \"dictionaries\"\n{CLIENT}vendor = \"acme\"\n"),
        );
        insta::assert_snapshot!(said(files).1, @r#"
        conf.d/mdm.toml:2:7: not valid TOML: unclosed array table, expected `]`
        dictionaries/acme.dict:1:24: "strange" is no type; did you mean "string"?
        policies/vendor/acme.toml:2:8: not valid TOML: string values must be quoted, expected literal string
        "#);
    }

    #[test]
    fn an_unknown_vendor_is_told_once_with_its_place() {
        let files = machine("").with("radmit.toml", format!("version = 1\n{CLIENT}vendor = \"cicso\"\n"));
        insta::assert_snapshot!(said(files).1, @r#"radmit.toml:6:10: unknown vendor "cicso"; did you mean "cisco"?"#);
    }

    #[test]
    fn a_device_file_that_cannot_be_used_is_an_error_before_anything_starts() {
        let files = machine(INVENTORY).with("devices.toml", "version = 1\n[[device]]\nname = \"x\"\n");
        insta::assert_snapshot!(said(files).1, @r#"
        devices.toml:2:1: [device] has no "intune-id"; write the id that Intune shows as "Intune Device ID"
        devices.toml:2:1: [device] has no "compliance"; write one of: unknown, compliant, noncompliant, in-grace-period, conflict, error, config-manager
        "#);
        let files = machine(INVENTORY).with("devices.toml", [0xFF, 0xFE]);
        insta::assert_snapshot!(said(files).1, @"radmit.toml:7:8: devices.toml is not UTF-8 text; is it the right file?");
        assert!(said(machine(INVENTORY).with("devices.toml", "version = 1\n")).0);
    }

    #[test]
    fn a_certificate_and_roots_that_are_none_are_told_where_they_are_named() {
        let garbage = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let intune = format!(
            "[[mdm]]\nname = \"corp\"\ntenant-id = \"11112222-3333-4444-5555-666677778888\"\nclient-id = \"aaaa1111-bb22-cc33-dd44-eeee5555ffff\"\n\
             trust-anchors = [\"{garbage}\"]\ncredential = {{ certificate = \"{garbage}\", private-key = \"{garbage}\" }}\n"
        );
        let (usable, said) = said(machine(&intune).with(garbage, "[package]"));
        assert!(!usable);
        insta::assert_snapshot!(said.replace(env!("CARGO_MANIFEST_DIR"), ""), @"
        radmit.toml:8:17: /Cargo.toml: holds no certificate
        radmit.toml:9:14: /Cargo.toml holds no certificate; name a PEM file
        ");
    }

    #[test]
    fn a_disabled_server_that_a_set_names_is_a_warning() {
        let files = machine(&format!("{INVENTORY}enabled = false\n")).with("devices.toml", "version = 1\n");
        let files = files.with("policies/a.toml", format!("{POLICY}mdm = [\"lab\"]\n"));
        let (usable, said) = said(files);
        assert!(usable);
        insta::assert_snapshot!(said, @r#"policies/a.toml:5:8: warning: the [[mdm]] server "lab" is disabled, so nobody is asked; enable it, or take it out here"#);
    }

    #[test]
    fn what_two_readers_see_is_told_once() {
        let vendor = "version = 1\nname = \"acme\"\ntitle = \"x\"\nsources = [\"a lab\"]\n[role]\nsend = [\"Acme-Rol = {role}\"]\n";
        let policy =
            format!("{POLICY}[[rule]]\nname = \"r\"\nresult = \"p\"\n[profile.p]\naccess = \"accept\"\nrole = \"x\"\n");
        let files = machine("").with("policies/vendor/acme.toml", vendor).with("policies/a.toml", policy);
        insta::assert_snapshot!(said(files.with("radmit.toml", format!("version = 1\n{CLIENT}vendor = \"acme\"\n"))).1, @r#"policies/vendor/acme.toml:6:9: unknown attribute "Acme-Rol"; look it up in dictionaries/, or add it there"#);
        let files = MemoryFiles::default().with("secret", "a secret of a fair length");
        insta::assert_snapshot!(said(files.with("radmit.toml", format!("version = 1\n{CLIENT}"))).1, @"radmit.toml: the folder policies does not exist; create it, or correct the path");
    }

    #[test]
    fn hidden_files_are_not_read_and_strange_ones_in_dictionaries_are_told() {
        let files = machine("")
            .with("policies/.#a.toml", "garbage")
            .with("policies/vendor/.#x.toml", "garbage")
            .with("dictionaries/.hidden", "garbage")
            .with("dictionaries/dictionary.more", "$INCLUDE part\n")
            .with("dictionaries/part", "")
            .with("dictionaries/acme.txt", "");
        insta::assert_snapshot!(said(files).1, @"dictionaries/acme.txt: warning: the file is not read as a dictionary; call it NAME.dict or dictionary.NAME, or move it away");
    }
}
