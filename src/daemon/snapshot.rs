//! From what was loaded to the snapshot that the packet path runs on.
//!
//! Owns the translation and what outlives a reload: directories of devices, counters of clients, places of servers.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    config::configuration::{self, Configuration},
    device::{
        directory::{Capacity, Directory},
        question::ServerIndex,
    },
    dictionary::{Attribute, Dictionary},
    eap::{chance::SystemChance, sessions::Bounds, tls::resume::Resumptions},
    engine::{
        client::{Client, Clients},
        dialogue::Dialogues,
        hits::Hits,
        pseudonym::Pseudonyms,
        snapshot::{EapTls, IdentifierKind, MdmServer, Snapshot},
    },
    limits,
    mdm::{settings::Settings, standing::Standing},
    metrics::{engine::ClientRegistry, mdm::ServerRegistry, store::StoreCells},
    policy::{acl::Downloads, decision::VendorIndex, facts::DeviceIdSource},
    store::keeper::Store,
};

use super::load::Loaded;

/// What outlives every reload.
#[derive(Debug)]
pub struct Lasting {
    /// How many shards there are.
    pub shards: usize,
    /// The counters of clients.
    pub clients: Arc<ClientRegistry>,
    /// The EAP conversations. Each keeps the configuration that it began under.
    pub dialogues: Arc<Dialogues>,
    /// The names that clients get for devices.
    pub pseudonyms: Pseudonyms,
    /// The TLS sessions that can be resumed.
    pub resumptions: Arc<Resumptions>,
    /// The counters of MDM servers.
    pub mdm: Arc<ServerRegistry>,
    /// What survives a restart.
    pub store: Store,
    /// The counters of the store.
    pub stored: Arc<StoreCells>,
    /// The directory of each MDM server by its name and by whose devices they are, and the place that was given to it.
    servers: Mutex<HashMap<ServerName, LastingServer>>,
}

/// A server's name, and whose devices it knows; the latter only where they are kept over a restart.
type ServerName = (Box<str>, Option<String>);

/// What outlives a reload of one MDM server.
#[derive(Clone, Debug)]
pub struct LastingServer {
    /// Its place.
    pub index: ServerIndex,
    /// What it is known to have said.
    pub directory: Arc<Directory>,
    /// How its services stand with us.
    pub standing: Arc<Standing>,
}

impl Lasting {
    /// Nothing yet but what the store in `state_dir` kept.
    #[must_use]
    pub fn new(shards: usize, bounds: Bounds, state_dir: &Path) -> Self {
        let stored = Arc::<StoreCells>::default();
        Self::of(shards, bounds, Store::open(state_dir, Arc::clone(&stored)), stored)
    }

    /// Nothing at all, and nothing is kept: for whoever only looks at a configuration.
    #[must_use]
    pub fn nothing(shards: usize) -> Self {
        Self::of(shards, Bounds::default(), Store::none(), Arc::default())
    }

    fn of(shards: usize, bounds: Bounds, store: Store, stored: Arc<StoreCells>) -> Self {
        Self {
            shards,
            clients: Arc::new(ClientRegistry::new(shards)),
            mdm: Arc::new(ServerRegistry::new(shards)),
            dialogues: Arc::new(Dialogues::new(bounds)),
            pseudonyms: Pseudonyms::new(&mut SystemChance),
            resumptions: Arc::new(Resumptions::new()),
            store,
            stored,
            servers: Mutex::default(),
        }
    }

    /// The place and the directory of a server. They stay its own for as long as the process runs, so that an answer to
    /// a question of the time before a reload can't reach another server's. A name that a reload gave to another tenant
    /// is another server: what was known about its devices is not said about theirs.
    ///
    /// Bound: [`limits::MDM_SERVERS_MAX`] servers; beyond it there is none, and the server needs a restart.
    #[must_use]
    pub fn server(&self, settings: &Settings) -> Option<LastingServer> {
        let key = (Box::from(&*settings.name), settings.identity());
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.get(&key) {
            return Some(known.clone());
        }
        let index = u8::try_from(servers.len()).ok().filter(|index| usize::from(*index) < limits::MDM_SERVERS_MAX)?;
        let directory = Arc::new(Directory::new(Capacity::default()));
        if let Some(identity) = &key.1 {
            self.store.keep(&settings.name, identity, &directory);
        }
        let server = LastingServer { index: ServerIndex(index), directory, standing: Arc::default() };
        servers.insert(key, server.clone());
        Some(server)
    }
}

/// Builds the snapshot. Everything was checked when it was loaded.
#[must_use]
pub fn build(loaded: Loaded, lasting: &Lasting) -> (Snapshot, Configuration) {
    let Loaded { mut configuration, dictionary, policy, eap_tls, .. } = loaded;
    let servers = servers_of(&configuration, &dictionary, lasting);
    let servers_of_sets = policy
        .sets()
        .iter()
        .map(|set| match &set.mdm {
            None => (0..servers.len()).collect(),
            Some(names) => {
                names.iter().filter_map(|name| servers.iter().position(|server| server.name == *name)).collect()
            }
        })
        .collect();
    let names: Vec<Box<str>> = configuration.clients.iter().map(|client| client.name.clone()).collect();
    let cells = lasting.clients.cells(names.iter().map(|name| &**name));
    let clients = std::mem::take(&mut configuration.clients)
        .into_iter()
        .zip(cells)
        .enumerate()
        .map(|(at, (client, cells))| {
            let configuration::Client { name, networks, secret, vendor, groups, .. } = client;
            let eap_options = configuration.eap_tls.as_ref().map(|eap| eap.options_of(&groups)).unwrap_or_default();
            let client = Client {
                index: u32::try_from(at).unwrap_or(u32::MAX),
                name,
                secret,
                vendor: policy.vendor(&vendor.text).unwrap_or(VendorIndex(0)),
                vendor_name: vendor.text,
                groups: groups.into(),
                message_authenticator: client.message_authenticator,
                trust_authorize_only: client.trust_authorize_only,
                mab_password: client.mab_password,
                mac_from: client.mac_from,
                eap: eap_options,
                decision_deadline: client.decision_deadline,
                cells,
            };
            (client, networks)
        })
        .collect();
    let hits = Hits::new(&policy, lasting.shards);
    let downloads = Downloads::new(policy.downloads().map(Arc::clone));
    let snapshot = Snapshot {
        hash: configuration.hash.as_str().into(),
        clients: Clients::new(clients),
        dictionary,
        policy,
        servers,
        servers_of_sets,
        zone: configuration.server.zone.clone(),
        eap_tls: eap_tls.map(|read| EapTls {
            context: Arc::new(read.context.with_resumptions(Arc::clone(&lasting.resumptions))),
            device_id_issuers: configuration
                .eap_tls
                .iter()
                .flat_map(|eap| &eap.device_id_issuers)
                .map(|name| name.text.clone())
                .collect(),
        }),
        reject_delay: configuration.server.reject_delay,
        hits,
        downloads,
    };
    (snapshot, configuration)
}

fn servers_of(configuration: &Configuration, dictionary: &Dictionary, lasting: &Lasting) -> Vec<MdmServer> {
    configuration
        .mdm
        .iter()
        .filter(|server| server.settings.enabled)
        .filter_map(|server| {
            let LastingServer { index, directory, .. } = lasting.server(&server.settings)?;
            Some(MdmServer {
                index,
                name: Box::from(&*server.settings.name),
                directory,
                ages: server.settings.ages,
                lookup_timeout: server.settings.lookup_timeout,
                identifiers: server.identifiers.iter().map(|source| kind_of(*source)).collect(),
                device_id_attributes: attributes_of(server, dictionary),
                grace_is_compliant: server.settings.grace_is_compliant,
                cells: lasting.mdm.cells(&server.settings.name),
            })
        })
        .collect()
}

fn attributes_of(server: &configuration::MdmServer, dictionary: &Dictionary) -> Vec<Attribute> {
    server.device_id_attributes.iter().filter_map(|name| dictionary.resolve(&name.text)).collect()
}

const fn kind_of(source: DeviceIdSource) -> IdentifierKind {
    match source {
        DeviceIdSource::CertificateSan => IdentifierKind::CertificateSan,
        DeviceIdSource::CertificateCn => IdentifierKind::CertificateCn,
        DeviceIdSource::Attribute => IdentifierKind::Attribute,
        DeviceIdSource::Mac => IdentifierKind::Mac,
    }
}
