//! One lookup: which interface is asked what, in which order, and what the answers come to.
//!
//! Owns the order. Every answer is in the directory before this returns. Calls, tokens and judgements are the client's.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{self, Mono},
    device::{
        directory::{Match, Told},
        identifier::{EntraId, Guid, IntuneId, MacAddress},
        question::{Failure, Key, Medium, Outcome},
        record::{DeviceRecord, Origin},
    },
    limits,
};

use super::{
    super::{explain::Complaint, line::Payment, settings::Api},
    client::{Client, Errand},
    compliance::Said,
    graph::Single,
};

/// What came of a lookup.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    /// The outcome, as everybody is told.
    pub(crate) outcome: Outcome,
    /// What knew it.
    pub(crate) api: Option<Api>,
    /// By which name it was found.
    pub(crate) query: Option<Query>,
    /// Why there is no usable answer.
    pub(crate) complaint: Option<Complaint>,
}

/// By which name a device was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// Its id in Intune.
    IntuneId,
    /// Its id in Entra.
    EntraId,
    /// A MAC address, asked from the compliance retrieval service.
    Mac,
    /// A MAC address that the index translated into its id in Intune.
    IndexedMac,
}

impl Query {
    /// How people read it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::IntuneId => "Intune id",
            Self::EntraId => "Entra id",
            Self::Mac => "MAC address",
            Self::IndexedMac => "MAC address, by the index",
        }
    }
}

impl Looked {
    fn found(record: Arc<DeviceRecord>, api: Api, query: Query) -> Self {
        Self { outcome: Outcome::Found(record), api: Some(api), query: Some(query), complaint: None }
    }

    const fn plain(outcome: Outcome, api: Option<Api>) -> Self {
        Self { outcome, api, query: None, complaint: None }
    }

    pub(crate) fn failed(complaint: Complaint) -> Self {
        let outcome = Outcome::Failed(complaint.failure);
        Self { outcome, api: None, query: None, complaint: Some(complaint) }
    }
}

/// How long a lookup may take, and how its first call is paid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// When whoever waits gives up.
    pub(crate) deadline: Mono,
    /// How the first call is paid.
    pub(crate) payment: Payment,
}

impl Client {
    /// Asks about `key`.
    pub(crate) async fn look_up(self: &Arc<Self>, key: Key, medium: Option<Medium>, terms: Terms) -> Looked {
        let asked_at = clock::now().mono;
        let looked = match key {
            Key::Device(guid) => self.look_up_device(guid, terms).await,
            Key::Mac(mac) => self.look_up_mac(mac, medium, terms).await,
        };
        let directory = self.intake.directory();
        match &looked.outcome {
            // Where only the index can tell, it is the index that remembers.
            Outcome::NotFound if looked.api.is_some() || self.uses(Api::ComplianceRetrieval) => {
                directory.deny(key, asked_at)
            }
            Outcome::Ambiguous if matches!(key, Key::Device(_)) || looked.api.is_some() => {
                directory.doubt(key, asked_at)
            }
            _ => {}
        }
        looked
    }

    // --- by the id of a device ------------------------------------------------------------------------------------------

    async fn look_up_device(self: &Arc<Self>, guid: Guid, mut terms: Terms) -> Looked {
        let now = clock::now();
        let directory = self.intake.directory();
        let known = directory.find(IntuneId(guid)).or_else(|| match directory.find_by_entra_id(now, EntraId(guid)) {
            Match::One(record) => Some(record),
            Match::Nobody | Match::Ambiguous(_) => None,
        });
        let mut first = None;
        let order = self.order();
        for (at, api) in order.iter().enumerate() {
            let share = self.share(terms, at + 1 == order.len());
            let (client, api, known, mut errand) = (Arc::clone(self), *api, known.clone(), errand(&mut terms));
            let asked = within(share, async move {
                match api {
                    Api::Graph => client.ask_graph(&mut errand, guid, known.as_deref()).await,
                    Api::ComplianceRetrieval => client.ask_retrieval(&mut errand, guid, known.as_deref()).await,
                }
            });
            match asked.await {
                Ok(looked) => return looked,
                Err(complaint) => first = first.or(Some(complaint)),
            }
        }
        Looked::failed(first.unwrap_or_else(|| Complaint::new(Failure::Misconfigured, "no interface is configured")))
    }

    /// As Intune id, then as Entra id: nothing in a certificate tells which it is.
    async fn ask_graph(
        &self,
        errand: &mut Errand,
        guid: Guid,
        known: Option<&DeviceRecord>,
    ) -> Result<Looked, Complaint> {
        let id = known.map_or(IntuneId(guid), |known| known.intune_id);
        let mut forget = None;
        match self.graph_device(errand, id).await? {
            Single::Device(record) if record.intune_id.0 == guid => {
                let record = self.intake.keep(*record, Told::Everything);
                return Ok(Looked::found(record, Api::Graph, Query::IntuneId));
            }
            Single::Device(record) => {
                let fits = record.entra_id == Some(EntraId(guid));
                let record = self.intake.keep(*record, Told::Everything);
                if fits {
                    return Ok(Looked::found(record, Api::Graph, Query::EntraId));
                }
            }
            Single::Absent => forget = known.map(|known| known.intune_id),
        }
        // Its answer, whatever it is, proves the base, and with it the "not found" above.
        let rows = self.graph_entra(errand, EntraId(guid)).await?;
        if let Some(id) = forget {
            self.intake.forget(id);
        }
        let now = clock::now();
        let mut found = Match::Nobody;
        for row in rows {
            found = found.consider(&self.intake.keep(row, Told::AllButEthernet), now.wall);
        }
        Ok(match found {
            Match::One(record) => Looked::found(record, Api::Graph, Query::EntraId),
            Match::Ambiguous(_) => Looked::plain(Outcome::Ambiguous, Some(Api::Graph)),
            Match::Nobody => Looked::plain(Outcome::NotFound, Some(Api::Graph)),
        })
    }

    /// This service knows Intune ids only: its "no" to an id that may be Entra's says nothing if Graph could tell.
    async fn ask_retrieval(
        &self,
        errand: &mut Errand,
        guid: Guid,
        known: Option<&DeviceRecord>,
    ) -> Result<Looked, Complaint> {
        let id = known.map_or(IntuneId(guid), |known| known.intune_id);
        let query = if id.0 == guid { Query::IntuneId } else { Query::EntraId };
        match self.retrieval_device(errand, id).await? {
            Said::Device(record) => {
                let record = self.intake.keep(*record, Told::ComplianceOnly);
                Ok(Looked::found(record, Api::ComplianceRetrieval, query))
            }
            Said::NotRegistered if !self.uses(Api::Graph) || (known.is_some() && query == Query::IntuneId) => {
                self.intake.forget(id);
                Ok(Looked::plain(Outcome::NotFound, Some(Api::ComplianceRetrieval)))
            }
            // A device that was enrolled again has another Intune id: the no to the old one is not one to its Entra id.
            Said::NotRegistered if known.is_some() => {
                self.intake.forget(id);
                let sentence = "compliance retrieval does not know the old Intune id of this Entra id any more; Graph \
                                knows whether there is a new one";
                Err(Complaint::new(Failure::Unreachable, sentence))
            }
            Said::Ambiguous => Ok(Looked::plain(Outcome::Ambiguous, Some(Api::ComplianceRetrieval))),
            Said::NotRegistered | Said::Absent => {
                let sentence =
                    "compliance retrieval does not know the id, but it may be an Entra id, which only Graph knows";
                Err(Complaint::new(Failure::Unreachable, sentence))
            }
        }
    }

    // --- by MAC address -------------------------------------------------------------------------------------------------

    async fn look_up_mac(self: &Arc<Self>, mac: MacAddress, medium: Option<Medium>, mut terms: Terms) -> Looked {
        // A second round, if the first candidate turned out to have the address no more and another one has it.
        for _ in 0..2 {
            let indexed = match self.intake.directory().find_by_mac(clock::now(), mac) {
                Match::One(record) => record,
                Match::Ambiguous(_) => return Looked::plain(Outcome::Ambiguous, None),
                Match::Nobody => break,
            };
            match self.ask_indexed(&indexed, mac, &mut terms).await {
                Ok(Some(looked)) => return looked,
                Ok(None) => {}
                Err(complaint) => return Looked::failed(complaint),
            }
        }
        self.look_up_unlisted_mac(mac, medium, terms).await
    }

    /// The device that the index names. None if it is gone, or has another address now.
    async fn ask_indexed(
        self: &Arc<Self>,
        indexed: &DeviceRecord,
        mac: MacAddress,
        terms: &mut Terms,
    ) -> Result<Option<Looked>, Complaint> {
        let mut first = None;
        let order = self.order();
        for (at, api) in order.iter().enumerate() {
            let share = self.share(*terms, at + 1 == order.len());
            let (client, api, id, mut errand) = (Arc::clone(self), *api, indexed.intune_id, errand(terms));
            match within(share, async move { client.ask_by_id(&mut errand, api, id).await }).await {
                Ok(Some(record)) if record.carries(mac) => {
                    return Ok(Some(Looked::found(record, api, Query::IndexedMac)));
                }
                Ok(Some(_)) => return Ok(None),
                Ok(None) => {
                    self.intake.forget(indexed.intune_id);
                    return Ok(None);
                }
                Err(complaint) => first = first.or(Some(complaint)),
            }
        }
        Err(first.unwrap_or_else(|| Complaint::new(Failure::Misconfigured, "no interface is configured")))
    }

    /// A device that is known by its Intune id. None: a positive "no such device".
    async fn ask_by_id(
        &self,
        errand: &mut Errand,
        api: Api,
        id: IntuneId,
    ) -> Result<Option<Arc<DeviceRecord>>, Complaint> {
        match api {
            Api::Graph => match self.graph_device(errand, id).await? {
                Single::Device(record) => Ok(Some(self.intake.keep(*record, Told::Everything))),
                Single::Absent => self.prove_graph(errand).await.map(|()| None),
            },
            Api::ComplianceRetrieval => match self.retrieval_device(errand, id).await? {
                Said::Device(record) => Ok(Some(self.intake.keep(*record, Told::ComplianceOnly))),
                Said::NotRegistered => Ok(None),
                Said::Ambiguous | Said::Absent => {
                    Err(Complaint::new(Failure::Unreachable, "compliance retrieval contradicts itself"))
                }
            },
        }
    }

    async fn look_up_unlisted_mac(
        self: &Arc<Self>,
        mac: MacAddress,
        medium: Option<Medium>,
        mut terms: Terms,
    ) -> Looked {
        if self.uses(Api::ComplianceRetrieval) && !mac.is_unusable() {
            let mut errand = errand(&mut terms);
            match self.ask_retrieval_mac(&mut errand, mac, terms.deadline).await {
                Ok(looked) => return looked,
                // What is not permitted is as if it were not there.
                Err(complaint) if complaint.failure == Failure::Misconfigured => {}
                Err(complaint) => return Looked::failed(complaint),
            }
        }
        if mac.is_unusable() || self.intake.directory().is_complete(medium) {
            return Looked::plain(Outcome::NotFound, None);
        }
        Looked::plain(Outcome::Failed(Failure::NotReady), None)
    }

    async fn ask_retrieval_mac(
        self: &Arc<Self>,
        errand: &mut Errand,
        mac: MacAddress,
        deadline: Mono,
    ) -> Result<Looked, Complaint> {
        let asked_at = clock::now().mono;
        Ok(match self.retrieval_mac(errand, mac).await? {
            Said::Device(bare) => {
                let id = bare.intune_id;
                let mut record = self.intake.keep(*bare, Told::ComplianceOnly);
                self.intake.directory().link(mac, id, asked_at);
                // The other facts, if Graph comes first anyway. What is known already must not come too late for them, and
                // Graph gets all the time that it needs behind.
                let patience = deadline.since(clock::now().mono) / 2;
                if self.lookup.first() == Some(&Api::Graph) && !patience.is_zero() {
                    let (client, mut errand) = (Arc::clone(self), *errand);
                    let full = within(Some(patience), async move { client.ask_facts(&mut errand, id).await });
                    record = full.await.unwrap_or(record);
                }
                Looked::found(record, Api::ComplianceRetrieval, Query::Mac)
            }
            Said::NotRegistered | Said::Absent => Looked::plain(Outcome::NotFound, Some(Api::ComplianceRetrieval)),
            Said::Ambiguous => Looked::plain(Outcome::Ambiguous, Some(Api::ComplianceRetrieval)),
        })
    }

    /// Every fact of a device that compliance retrieval knows.
    async fn ask_facts(&self, errand: &mut Errand, id: IntuneId) -> Result<Arc<DeviceRecord>, Complaint> {
        match self.graph_device(errand, id).await? {
            Single::Device(full) => Ok(self.intake.keep(*full, Told::Everything)),
            Single::Absent => Err(Complaint::new(Failure::Unreachable, "Graph and compliance retrieval disagree")),
        }
    }

    // --- time -----------------------------------------------------------------------------------------------------------

    /// The interfaces that may answer now, in their order; all of them, if none may.
    fn order(&self) -> Vec<Api> {
        let now = clock::now();
        let open: Vec<Api> = self.lookup.iter().copied().filter(|api| self.is_shut(*api, now).is_none()).collect();
        if open.is_empty() { self.lookup.clone() } else { open }
    }

    /// How long the next interface may keep the others waiting: each but the last gets at most half of what is left.
    fn share(&self, terms: Terms, last: bool) -> Option<Duration> {
        let left = terms.deadline.since(clock::now().mono).max(self.lookup_timeout / 4);
        (!last).then_some(left / 2)
    }
}

/// The errand of one interface. It may take longer than anybody waits: its answer is good for the next request.
fn errand(terms: &mut Terms) -> Errand {
    let until = terms.deadline.max(clock::now().mono.plus(limits::CALL_TIMEOUT_MAX));
    let payment = terms.payment;
    terms.payment = payment.next();
    Errand { until, payment, origin: Origin::Lookup, is_behind: false }
}

/// Waits for `work` no longer than `share`. It goes on behind, and what it learns goes into the directory.
async fn within<T: Send + 'static>(
    share: Option<Duration>,
    work: impl Future<Output = Result<T, Complaint>> + Send + 'static,
) -> Result<T, Complaint> {
    let Some(share) = share else { return work.await };
    match tokio::time::timeout(share, tokio::spawn(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(Complaint::new(Failure::Unreachable, "the lookup ended by itself")),
        Err(_) => Err(Complaint::new(Failure::Late, "no answer within its half of lookup-timeout")),
    }
}
