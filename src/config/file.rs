//! From the command line's `-c` to a [`Configuration`]: which file, which others beside it, every problem at once.
//!
//! Owns the order of things. What stands in a section is read by the section's file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    document::{Source, Table, Tree},
    limits,
    problem::{Place, Problem, Problems},
};

use super::{
    client,
    configuration::{Client, Configuration, MdmServer, Server, SharedFiles},
    contradiction, eap,
    files::{self, Files},
    mdm, output,
    section::Section,
    server,
};

/// Where the configuration is looked for if nobody names it.
pub const PLACES: [&str; 2] = ["radmit.toml", "/etc/radmit/radmit.toml"];
/// The folder beside it whose files are added in the order of their names.
pub const FOLDER: &str = "conf.d";

/// The file to load: the one named, else the first of [`PLACES`] that is there.
///
/// # Errors
/// None is there.
pub fn find(named: Option<&Path>, files: &dyn Files) -> Result<PathBuf, Problem> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let place = PLACES.iter().map(PathBuf::from).find(|place| {
        // One that is there and can't be read must be reported, not passed over.
        files.read(place).map_or_else(|error| error.kind() != std::io::ErrorKind::NotFound, |_| true)
    });
    place.ok_or_else(|| {
        let message = format!("neither {} is there; name one with -c FILE", PLACES.join(" nor "));
        Problem::error("no-configuration", None, message)
    })
}

/// Reads `path` and `conf.d/*.toml` beside it. `None` if there is an error; every problem is in `problems`.
#[must_use]
pub fn load(path: &Path, files: &SharedFiles, problems: &mut Problems) -> Option<Configuration> {
    let mut mine = Problems::new();
    let configuration = read(path, files, &mut mine);
    let usable = !mine.has_errors();
    problems.append(mine);
    configuration.filter(|_| usable)
}

/// The same with whatever could be read, errors or not: for finding what is wrong with everything that it names. `None` if
/// not even the first file could be read.
#[must_use]
pub fn read(path: &Path, files: &SharedFiles, problems: &mut Problems) -> Option<Configuration> {
    let (paths, sources): (Vec<PathBuf>, Vec<Source>) = sources(path, &**files, problems)?.into_iter().unzip();
    // A file with a syntax error is left out; the others are still read, for their problems.
    let trees: Vec<Tree<'_>> = sources.iter().filter_map(|source| source.parse(problems)).collect();
    let roots: Vec<Table<'_>> = trees.iter().map(Tree::root).collect();
    for root in &roots {
        root.require_version(problems);
    }
    let main = path.to_string_lossy();
    let section = Section::of("server", &roots, problems);
    let server = server::read(&section, &main, &**files, problems);
    let client_tables: Vec<Table<'_>> = roots.iter().flat_map(|root| root.tables("client", problems)).collect();
    let mdm_tables: Vec<Table<'_>> = roots.iter().flat_map(|root| root.tables("mdm", problems)).collect();
    let clients = clients(&client_tables, &server, files, problems);
    let mdm = mdm_servers(&mdm_tables, &main, files, problems);
    let eap_tls = eap::read(&Section::of("eap-tls", &roots, problems), &**files, problems);
    if let Some(eap_tls) = &eap_tls {
        eap::check_groups(eap_tls, clients.iter().map(|(client, _)| client), problems);
    }
    let log = output::log(&Section::of("log", &roots, problems), problems);
    let metrics = output::metrics(&Section::of("metrics", &roots, problems), problems);
    for root in &roots {
        root.finish(problems);
    }
    if client_tables.is_empty() && trees.len() == sources.len() {
        let message =
            "there is no [[client]], so nobody may ask; add one for each switch, controller or network of them";
        problems.warning("no-clients", Some(Place::whole(&*main)), message);
    }
    let sections = contradiction::Sections { section: &section, server: &server, clients: &clients, mdm: &mdm };
    contradiction::report(&sections, problems);
    let first =
        roots.first().filter(|root| sources.first().is_some_and(|source| source.name() == root.source().name()));
    // Without the first file not even the folder of policies is known.
    first?;
    // A server without a usable name is kept, and nobody can mean it.
    let is_complete = trees.len() == sources.len()
        && mdm.len() == mdm_tables.len()
        && mdm.iter().all(|(server, _)| &*server.settings.name != "?");
    let clients = clients.into_iter().map(|(client, _)| client).collect();
    let mdm = mdm.into_iter().map(|(server, _)| server).collect();
    Some(Configuration { files: paths, hash: hash(&sources), server, clients, mdm, eap_tls, log, metrics, is_complete })
}

fn clients<'s, 't>(
    tables: &'s [Table<'t>],
    server: &Server,
    files: &SharedFiles,
    problems: &mut Problems,
) -> Vec<(Client, &'s Table<'t>)> {
    if let Some(first_over) = tables.get(limits::CLIENTS_MAX) {
        let message = format!("more than {} clients; give groups of them one network", limits::CLIENTS_MAX);
        problems.error("too-many-clients", Some(first_over.place()), message);
    }
    let mut taken = client::Taken::default();
    let used = tables.iter().take(limits::CLIENTS_MAX);
    used.filter_map(|table| Some((client::read(table, server, files, &mut taken, problems)?, table))).collect()
}

fn mdm_servers<'s, 't>(
    tables: &'s [Table<'t>],
    main: &str,
    files: &SharedFiles,
    problems: &mut Problems,
) -> Vec<(MdmServer, &'s Table<'t>)> {
    if let Some(first_over) = tables.get(limits::MDM_SERVERS_MAX) {
        let message = format!("more than {} MDM servers; leave some out", limits::MDM_SERVERS_MAX);
        problems.error("too-many-mdm-servers", Some(first_over.place()), message);
    }
    let mut taken = HashMap::new();
    let used = tables.iter().take(limits::MDM_SERVERS_MAX);
    used.filter_map(|table| Some((mdm::read(table, main, files, &mut taken, problems)?, table))).collect()
}

/// The texts of all files. `None` if the first one can't be read.
fn sources(path: &Path, files: &dyn Files, problems: &mut Problems) -> Option<Vec<(PathBuf, Source)>> {
    let mut sources = vec![(path.to_owned(), source(path, files, problems)?)];
    let folder = path.parent().unwrap_or(Path::new("")).join(FOLDER);
    let mut beside: Vec<PathBuf> = match files.list(&folder) {
        Ok(paths) => paths,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let message = format!("the folder {}", files::reason(&error));
            problems.error("folder-unreadable", Some(Place::whole(&*folder.to_string_lossy())), message);
            Vec::new()
        }
    };
    beside.retain(|path| path.extension().is_some_and(|extension| extension == "toml") && !is_hidden(path));
    beside.sort();
    if beside.len() > limits::FILES_MAX {
        let message = format!("more than {} files; merge some", limits::FILES_MAX);
        problems.error("too-many-files", Some(Place::whole(&*folder.to_string_lossy())), message);
        beside.truncate(limits::FILES_MAX);
    }
    for path in beside {
        if let Some(source) = source(&path, files, problems) {
            sources.push((path, source));
        }
    }
    Some(sources)
}

/// Whether a file is hidden: editors keep their drafts in such ones.
#[must_use]
pub fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn source(path: &Path, files: &dyn Files, problems: &mut Problems) -> Option<Source> {
    let name: Arc<str> = path.to_string_lossy().into();
    let error = match files.read(path).map(String::from_utf8) {
        Ok(Ok(text)) => return Some(Source::new(name, text)),
        Ok(Err(_)) => "is not UTF-8 text; save it as UTF-8".to_owned(),
        Err(error) => format!("{}; correct the path, or create the file", files::reason(&error)),
    };
    problems.error("file-unreadable", Some(Place::whole(name)), format!("the file {error}"));
    None
}

fn hash(sources: &[Source]) -> String {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut context = Context::new(&SHA256);
    for source in sources {
        // Names and lengths keep one text in two files apart from two halves of it.
        context.update(source.name().as_bytes());
        context.update(&u64::try_from(source.text().len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(source.text().as_bytes());
    }
    context.finish().as_ref().iter().take(8).map(|octet| format!("{octet:02x}")).collect()
}
