//! From an identity to what device management knows: which server is asked what, and what counts as the answer.
//!
//! Owns the order of servers and identities and the rules of CONTRACT 2.3 about age, failure and conflict. It asks
//! nobody: it says whom to ask, and goes on when the answer or the deadline has come.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{Mono, Now},
    device::{
        directory::Knowledge,
        identifier::Guid,
        question::{Failure, Key, Medium, Outcome, ServerIndex},
        record::{DeviceRecord, Origin},
    },
    limits::MDM_SERVERS_MAX,
    policy::facts::{DeviceIdSource, Lookup, Method, Source},
    radius::packet::Packet,
};

use super::{
    identity::{DeviceIds, IdSource, Identity, device_ids_in_attributes},
    snapshot::{IdentifierKind, MdmServer},
};

/// How far a request's lookup has come. Plain data, so that it can be parked.
#[derive(Clone, Debug, Default)]
pub struct Pursuit {
    outcomes: [Told; MDM_SERVERS_MAX],
    /// When the first question was asked.
    pub started: Option<Mono>,
    /// The question that is waited for.
    pub waiting: Option<(ServerIndex, Key)>,
}

/// What one server told this request.
#[derive(Clone, Debug, Default)]
enum Told {
    /// Not asked by this request.
    #[default]
    Nothing,
    /// It knows the device.
    Record(Arc<DeviceRecord>),
    /// It positively does not know it.
    No,
    /// Several devices fit.
    Ambiguous,
    /// It could not tell.
    Failed(Failure),
}

impl Pursuit {
    /// Notes an answer to the question that is waited for.
    pub fn answered(&mut self, server: ServerIndex, outcome: &Outcome) {
        self.waiting = None;
        if let Some(place) = self.outcomes.get_mut(usize::from(server.0)) {
            *place = match outcome {
                Outcome::Found(record) => Told::Record(Arc::clone(record)),
                Outcome::NotFound => Told::No,
                Outcome::Ambiguous => Told::Ambiguous,
                Outcome::Failed(failure) => Told::Failed(*failure),
            };
        }
    }

    /// Notes that `server` could not be asked or did not answer in time.
    pub fn failed(&mut self, server: ServerIndex, failure: Failure) {
        self.answered(server, &Outcome::Failed(failure));
    }

    fn told(&self, server: ServerIndex) -> &Told {
        self.outcomes.get(usize::from(server.0)).unwrap_or(&Told::Nothing)
    }
}

/// What to do next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Everything that can be known is known.
    Known(Known),
    /// Ask, and wait until `deadline`.
    Ask {
        /// Whom.
        server: ServerIndex,
        /// What.
        key: Key,
        /// How long.
        deadline: Mono,
        /// Whether nothing was ever known about it.
        never_seen: bool,
    },
}

/// The result of a lookup.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who answered, or failed last.
    pub server: Option<ServerIndex>,
    /// What came of it.
    pub lookup: Lookup,
    /// The device, if it is known and its answer may be used.
    pub record: Option<Arc<DeviceRecord>>,
    /// How that answer came.
    pub source: Option<Source>,
    /// An old answer that may not be used for anything but `mdm.last-compliant`.
    pub outdated: Option<Arc<DeviceRecord>>,
    /// What was looked up.
    pub key: Option<Key>,
    /// Where that came from.
    pub key_source: Option<DeviceIdSource>,
    /// The question to ask behind the answer, because the record is about to be too old.
    pub refresh: Option<(ServerIndex, Key)>,
}

impl Known {
    /// Nobody was asked.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            server: None,
            lookup: Lookup::NotAsked,
            record: None,
            source: None,
            outdated: None,
            key: None,
            key_source: None,
            refresh: None,
        }
    }

    /// The device id that was looked up.
    #[must_use]
    pub const fn device_id(&self) -> Option<Guid> {
        match self.key {
            Some(Key::Device(id)) => Some(id),
            _ => None,
        }
    }
}

/// The limits of one lookup.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When the request must have been answered.
    pub decide_by: Mono,
}

/// Goes on with a lookup as far as possible without waiting.
///
/// `servers`: those that the policy set names, in its order. The first of them that has known the device comes before the
/// others: they said no already, and need not be asked each time that its answer has grown old.
#[must_use]
pub fn advance<'s>(
    pursuit: &mut Pursuit,
    servers: impl Iterator<Item = &'s MdmServer> + Clone,
    identity: &Identity,
    packet: &Packet<'_>,
    now: Now,
    limits: Limits,
) -> Step {
    let mut result = Known::nothing();
    let last = servers.clone().count().saturating_sub(1);
    let remembered = if last > 0 { remembered(servers.clone(), identity, packet, now) } else { None };
    let others = servers.filter(|server| remembered.is_none_or(|first| first.index != server.index));
    for (at, server) in remembered.into_iter().chain(others).enumerate() {
        let ids = device_ids_for(server, identity, packet);
        let Some((key, source)) = key_for(server, identity, &ids) else { continue };
        let knowledge = server.directory.judge(now, &key, identity.medium, &server.ages);
        let met = Met { server, key, source };
        match met.weigh(pursuit.told(server.index), knowledge) {
            Weighed::Settled(known) => return Step::Known(met.check_conflicts(known, &ids)),
            Weighed::No => {
                if result.lookup == Lookup::NotAsked {
                    result = met.known(Lookup::NotFound);
                }
            }
            Weighed::Failed(failure, outdated) => {
                // A failure outweighs every no: "not registered" needs a no from every server.
                let outdated = outdated.or(result.outdated.take());
                if result.lookup.reachable() != Some(false) {
                    result = met.known(lookup_of(failure));
                }
                result.outdated = outdated;
            }
            Weighed::Ask { never_seen } => {
                let deadline = deadline_of(server, at < last, pursuit.started.unwrap_or(now.mono), now, limits);
                return Step::Ask { server: server.index, key, deadline, never_seen };
            }
        }
    }
    Step::Known(result)
}

/// The first server whose directory holds the device, however old that answer is.
fn remembered<'s>(
    mut servers: impl Iterator<Item = &'s MdmServer>,
    identity: &Identity,
    packet: &Packet<'_>,
    now: Now,
) -> Option<&'s MdmServer> {
    servers.find(|server| {
        let key = key_for(server, identity, &device_ids_for(server, identity, packet));
        key.is_some_and(|(key, _)| server.directory.holds(now, &key))
    })
}

/// What one server's word is worth for one request.
enum Weighed {
    Settled(Known),
    No,
    Failed(Failure, Option<Arc<DeviceRecord>>),
    Ask { never_seen: bool },
}

/// A server, and what it is asked.
struct Met<'s> {
    server: &'s MdmServer,
    key: Key,
    source: DeviceIdSource,
}

impl Met<'_> {
    fn weigh(&self, told: &Told, knowledge: Knowledge) -> Weighed {
        match told {
            Told::Record(record) => {
                return Weighed::Settled(self.found(Arc::clone(record), source_of(record, Source::Live)));
            }
            Told::No => return Weighed::No,
            Told::Ambiguous => return Weighed::Settled(self.known(Lookup::Ambiguous)),
            Told::Failed(failure) => return self.without_answer(*failure, knowledge),
            Told::Nothing => {}
        }
        match knowledge {
            Knowledge::Fresh { record, refresh } => {
                let source = source_of(&record, Source::Fresh);
                let mut known = self.found(record, source);
                known.refresh = refresh.then_some((self.server.index, self.key));
                Weighed::Settled(known)
            }
            Knowledge::NotRegistered => Weighed::No,
            Knowledge::Ambiguous => Weighed::Settled(self.known(Lookup::Ambiguous)),
            Knowledge::NotReady => Weighed::Failed(Failure::NotReady, None),
            Knowledge::Aged { .. } => Weighed::Ask { never_seen: false },
            Knowledge::Unknown => Weighed::Ask { never_seen: true },
        }
    }

    /// The server was asked and could not tell: an old record may serve, if it is not too old.
    fn without_answer(&self, failure: Failure, knowledge: Knowledge) -> Weighed {
        match knowledge {
            Knowledge::Aged { record, servable: true } => Weighed::Settled(self.found(record, Source::Stale)),
            // Somebody else's question was answered meanwhile.
            Knowledge::Fresh { record, .. } => {
                let source = source_of(&record, Source::Fresh);
                Weighed::Settled(self.found(record, source))
            }
            Knowledge::Aged { record, servable: false } => Weighed::Failed(failure, Some(record)),
            Knowledge::NotRegistered => Weighed::No,
            Knowledge::Ambiguous => Weighed::Settled(self.known(Lookup::Ambiguous)),
            Knowledge::NotReady | Knowledge::Unknown => Weighed::Failed(failure, None),
        }
    }

    fn known(&self, lookup: Lookup) -> Known {
        Known {
            server: Some(self.server.index),
            lookup,
            key: Some(self.key),
            key_source: Some(self.source),
            ..Known::nothing()
        }
    }

    fn found(&self, record: Arc<DeviceRecord>, source: Source) -> Known {
        Known { record: Some(record), source: Some(source), ..self.known(Lookup::Found) }
    }

    /// A further device id is a conflict only if it names neither the Intune nor the Entra id of the record found.
    fn check_conflicts(&self, known: Known, ids: &DeviceIds) -> Known {
        let Some(record) = &known.record else { return known };
        if matches!(self.key, Key::Mac(_)) {
            return known;
        }
        let names_it = |id: Guid| record.intune_id.0 == id || record.entra_id.is_some_and(|entra| entra.0 == id);
        if ids.has_more() || !ids.iter().all(|(id, _)| names_it(id)) {
            return self.known(Lookup::Ambiguous);
        }
        known
    }
}

/// How an answer that may be used came. `otherwise`: for one that a lookup brought.
const fn source_of(record: &DeviceRecord, otherwise: Source) -> Source {
    match (record.origin, otherwise) {
        // Also where somebody waited: what the guard gave them is the old answer.
        (Origin::Held, _) => Source::Held,
        (Origin::Sync, Source::Fresh) => Source::Sync,
        _ => otherwise,
    }
}

/// The device ids that count for `server`: those of the certificate, or those in the attributes that it names, the latter
/// only from a client that is trusted to have verified them.
fn device_ids_for(server: &MdmServer, identity: &Identity, packet: &Packet<'_>) -> DeviceIds {
    if identity.method == Method::AuthorizeOnly {
        return device_ids_in_attributes(packet, &server.device_id_attributes);
    }
    identity.device_ids
}

/// The identity that `server` is asked about: the first of its `identifiers` that the request carries. A MAC only if
/// the request carries no device id at all.
fn key_for(server: &MdmServer, identity: &Identity, ids: &DeviceIds) -> Option<(Key, DeviceIdSource)> {
    server.identifiers.iter().find_map(|kind| {
        let device = |source: IdSource| ids.first_from(source).map(|id| (Key::Device(id), source.fact()));
        match kind {
            IdentifierKind::CertificateSan => device(IdSource::CertificateSan),
            IdentifierKind::CertificateCn => device(IdSource::CertificateCn),
            IdentifierKind::Attribute => device(IdSource::Attribute),
            IdentifierKind::Mac if ids.is_empty() => identity.mac.map(|mac| (Key::Mac(mac), DeviceIdSource::Mac)),
            IdentifierKind::Mac => None,
        }
    })
}

/// Until when a server may be waited for: each but the last gets at most half of the whole lookup, and all of them
/// together end a little before the request must be answered.
fn deadline_of(server: &MdmServer, is_followed: bool, started: Mono, now: Now, limits: Limits) -> Mono {
    let whole = started.plus(server.lookup_timeout).min(limits.decide_by.minus(ANSWER_MARGIN));
    if !is_followed {
        return whole;
    }
    now.mono.plus(whole.since(now.mono) / 2)
}

/// What deciding, signing and sending take at most, taken off the deadline of the lookup.
const ANSWER_MARGIN: Duration = Duration::from_millis(20);

const fn lookup_of(failure: Failure) -> Lookup {
    match failure {
        Failure::Unreachable => Lookup::Unreachable,
        Failure::Throttled => Lookup::Throttled,
        Failure::Late => Lookup::Late,
        Failure::Misconfigured => Lookup::Misconfigured,
        Failure::NotReady => Lookup::NotReady,
    }
}

/// The medium for policy.
#[must_use]
pub const fn medium_fact(medium: Medium) -> crate::policy::facts::Medium {
    match medium {
        Medium::Wired => crate::policy::facts::Medium::Wired,
        Medium::Wireless => crate::policy::facts::Medium::Wireless,
        Medium::Virtual => crate::policy::facts::Medium::Virtual,
    }
}
