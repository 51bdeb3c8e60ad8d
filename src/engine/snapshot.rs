//! Everything that a configuration says, ready for the packet path: immutable, shared, swapped whole.
//!
//! Owns the shape. A reload builds a new one and swaps it; a request keeps the one it came in under until it is answered,
//! so that no answer is a mixture of two configurations.

use std::{sync::Arc, time::Duration};

use jiff::tz::TimeZone;

use crate::{
    device::{
        directory::{Ages, Directory},
        question::ServerIndex,
    },
    dictionary::{Attribute, Dictionary},
    eap::tls::context::TlsContext,
    metrics::mdm::ServerCells,
    policy::{acl::Downloads, compiled::Policy, decision::SetIndex},
};

use super::{client::Clients, hits::Hits};

/// One configuration, loaded and checked.
#[derive(Debug)]
pub struct Snapshot {
    /// A hash over all files, for `radmit_config_info`.
    pub hash: Box<str>,
    /// Who may ask.
    pub clients: Clients,
    /// Names of attributes.
    pub dictionary: Arc<Dictionary>,
    /// The judgement.
    pub policy: Policy,
    /// The MDM servers that are enabled, in the order of the configuration.
    pub servers: Vec<MdmServer>,
    /// For each policy set, the servers that it asks: places in `servers`, in its order.
    pub servers_of_sets: Vec<Box<[usize]>>,
    /// The server's time zone.
    pub zone: TimeZone,
    /// EAP-TLS, if it is offered.
    pub eap_tls: Option<EapTls>,
    /// How long a reject is delayed.
    pub reject_delay: Duration,
    /// How often each set and rule decided.
    pub hits: Hits,
    /// The ACLs that clients can fetch.
    pub downloads: Downloads,
}

impl Snapshot {
    /// The servers that a policy set asks, in its order.
    pub fn servers_of(&self, set: SetIndex) -> impl Iterator<Item = &MdmServer> + Clone {
        let places = self.servers_of_sets.get(set.0 as usize).map_or(&[][..], |places| places);
        places.iter().filter_map(|at| self.servers.get(*at))
    }

    /// The server at `index`.
    #[must_use]
    pub fn server(&self, index: ServerIndex) -> Option<&MdmServer> {
        self.servers.iter().find(|server| server.index == index)
    }
}

/// `[eap-tls]` for the packet path.
#[derive(Clone, Debug)]
pub struct EapTls {
    /// Our certificate, whom we trust.
    pub context: Arc<TlsContext>,
    /// Common names or whole names of the authorities whose certificates may name devices; without any all may.
    pub device_id_issuers: Box<[Box<str>]>,
}

/// One MDM server as the packet path needs it.
#[derive(Debug)]
pub struct MdmServer {
    /// Its place among the servers that the worker serves.
    pub index: ServerIndex,
    /// Its name.
    pub name: Box<str>,
    /// What it is known to have said.
    pub directory: Arc<Directory>,
    /// How old that may be.
    pub ages: Ages,
    /// How long a request waits for an answer.
    pub lookup_timeout: Duration,
    /// Which identity is tried, in this order.
    pub identifiers: Vec<IdentifierKind>,
    /// Where `attribute` looks.
    pub device_id_attributes: Vec<Attribute>,
    /// Whether a device in its grace period counts as compliant.
    pub grace_is_compliant: bool,
    /// Where lookups are counted; all shards share it.
    pub cells: Arc<ServerCells>,
}

/// Kinds of identities that can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierKind {
    /// Subject alternative names of the certificate.
    CertificateSan,
    /// The common name of the certificate's subject.
    CertificateCn,
    /// Attributes of a trusted client.
    Attribute,
    /// The MAC address.
    Mac,
}
