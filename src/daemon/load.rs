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
        servers::Servers,
        trial,
        vendor::Vendors,
    },
    problem::{Place, Problem, Problems},
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
    let mut configuration = file::load(&path, files, problems)?;
    if let Some(policies) = policies {
        configuration.server.policies = policies.to_owned();
    }
    let files = Recorder::new(&**files, &configuration.hash);
    let dictionary = load_dictionary(&configuration, &files, problems);
    let vendors = load_vendors(&configuration, &dictionary, &files, problems);
    let names: Vec<&str> = vendors.iter().map(|vendor| &*vendor.name).collect();
    configuration.check_vendors(names.iter().copied(), problems);
    tell_learnt(&configuration, problems);
    configuration.check_attributes(|name| dictionary.resolve(name).is_some(), problems);
    let eap_tls =
        configuration.eap_tls.as_ref().and_then(|eap_tls| eap_tls::load(eap_tls, clock::now().wall, &files, problems));
    let sources = read_policies(&configuration.server.policies, &files, problems)?;
    let policy = load_policy(&configuration, &dictionary, &vendors, &sources, &files, problems)?;
    configuration.hash = files.hash();
    let cases = trial::run_all(&policy, &dictionary, &configuration.server.zone);
    inspect_policy(&configuration, &policy, &cases, problems);
    if problems.has_errors() {
        return None;
    }
    Some(Loaded { configuration, dictionary: Arc::new(dictionary), policy, cases, eap_tls })
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
    let Some(folder) = &configuration.server.dictionaries else { return Dictionary::builtin().clone() };
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
