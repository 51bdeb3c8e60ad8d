//! The calls to Intune's interfaces: each with its token, judged, noted, and its answer put into the directory.
//!
//! Owns what every call has in common. In which order calls make up a lookup is `lookup`'s business.

use std::{sync::Arc, time::Duration};

use reqwest::Url;

use crate::{
    clock::{self, Mono, Now, Wall},
    device::{
        identifier::{EntraId, IntuneId, MacAddress},
        question::Failure,
        record::{DeviceRecord, Origin},
    },
    limits,
    metrics::mdm::Service,
};

use super::{
    super::{
        cloud::Endpoints,
        explain::Complaint,
        intake::Intake,
        line::{Line, Payment},
        settings::{Api, Intune, Settings},
        spare_time::SpareTime,
        token::{Audience, Tokens},
        transport::{Bearer, Body, Call, Reply},
    },
    compliance::{self, About, NonCompliant, Said},
    discovery,
    graph::{self, Asked, ListPage, Part, Single},
    whereabouts::Whereabouts,
};

/// A base that answered within this time is right, and its "not found" counts.
const PROOF_LASTS: Duration = Duration::from_secs(5 * 60);

/// Everything that asks one Intune.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) line: Arc<Line>,
    pub(super) endpoints: Endpoints,
    pub(super) intake: Arc<Intake>,
    pub(super) lookup: Vec<Api>,
    pub(super) lookup_timeout: Duration,
    remembered: Remembered,
}

/// What is remembered between calls, and over a reload.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    pub(in super::super) tokens: Arc<Tokens>,
    pub(in super::super) whereabouts: Arc<Whereabouts>,
}

/// How one call, or several in a row, may be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    /// Until when.
    pub(super) until: Mono,
    pub(super) payment: Payment,
    pub(super) origin: Origin,
    /// Whether it is made in spare time.
    pub(super) is_behind: bool,
}

impl Errand {
    /// For work that no request waits for.
    pub(in super::super) fn background() -> Self {
        Self { until: Mono::NEVER, payment: Payment::Background, origin: Origin::Sync, is_behind: false }
    }

    /// The same, and if `is_behind`, in spare time.
    pub(in super::super) fn behind(self, is_behind: bool) -> Self {
        Self { is_behind, ..self }
    }

    /// For one call by itself, that somebody waits for.
    pub(in super::super) fn soon() -> Self {
        let until = clock::now().mono.plus(limits::CALL_TIMEOUT_MAX);
        Self { until, payment: Payment::Inline, origin: Origin::Lookup, is_behind: false }
    }

    /// For background work whose tokens are taken already.
    pub(in super::super) fn prepaid() -> Self {
        Self { payment: Payment::Paid, ..Self::background() }
    }

    /// How the next call is paid; the token of a question is good for one.
    fn pay(&mut self) -> Payment {
        let payment = self.payment;
        self.payment = payment.next();
        payment
    }

    fn left(&self, now: Now) -> Duration {
        self.until.since(now.mono)
    }

    pub(super) fn asked(&self) -> Asked {
        Asked { at: clock::now().mono, origin: self.origin }
    }
}

/// What is asked of a service, apart from the token.
struct Ask {
    service: Service,
    audience: Audience,
    url: Url,
    accept: &'static str,
    body: Option<Vec<u8>>,
    list: bool,
}

impl Ask {
    fn graph(url: Url) -> Self {
        let (service, audience) = (Service::Graph, Audience::Graph);
        Self { service, audience, url, accept: "application/json", body: None, list: false }
    }

    fn retrieval(url: Url) -> Self {
        let (service, audience) = (Service::ComplianceRetrieval, Audience::Intune);
        Self { service, audience, url, accept: "application/xml", body: None, list: false }
    }

    fn call(&self, bearer: Bearer, left: Duration) -> Call {
        let most = if self.list { limits::LIST_CALL_TIMEOUT } else { limits::CALL_TIMEOUT_MAX };
        let mut call = Call::get(self.url.clone(), Some(bearer), self.accept, left.min(most));
        if self.list {
            call.octets_max = limits::HTTP_ANSWER_OCTETS_MAX;
        }
        if let Some(body) = &self.body {
            call.body = Body::Json(body.clone());
        }
        call
    }
}

impl Client {
    pub(in super::super) fn new(
        settings: &Settings,
        intune: &Intune,
        endpoints: Endpoints,
        line: Arc<Line>,
        intake: Arc<Intake>,
        remembered: Remembered,
    ) -> Arc<Self> {
        let known = endpoints.intune_scope.is_some();
        let lookup = intune.lookup.iter().copied().filter(|api| *api != Api::ComplianceRetrieval || known).collect();
        Arc::new(Self { line, endpoints, intake, lookup, lookup_timeout: settings.lookup_timeout, remembered })
    }

    pub(in super::super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    pub(in super::super) const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    pub(in super::super) const fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    pub(in super::super) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// How long one lookup may take in all.
    pub(in super::super) const fn lookup_timeout(&self) -> Duration {
        self.lookup_timeout
    }

    /// Whether an API is asked at all.
    pub(in super::super) fn uses(&self, api: Api) -> bool {
        self.lookup.contains(&api)
    }

    /// Fetches a token, to see whether it can be had.
    pub(in super::super) async fn token(&self, audience: Audience) -> Result<Bearer, Complaint> {
        self.bearer(&Errand::soon(), audience).await
    }

    /// Renews tokens ahead of their end.
    pub(in super::super) fn keep_tokens(&self) {
        for audience in [Audience::Graph, Audience::Intune] {
            self.remembered.tokens.keep(audience, &self.line);
        }
    }

    // --- Graph ----------------------------------------------------------------------------------------------------------

    /// One device by its Intune id. `Absent` counts only with [`Self::prove_graph`].
    pub(super) async fn graph_device(&self, errand: &mut Errand, id: IntuneId) -> Result<Single, Complaint> {
        let asked = errand.asked();
        let reply = self.send(errand, Ask::graph(graph::device_url(&self.endpoints.graph, id))).await?;
        self.settle_graph(asked.at, reply.status, graph::judge_single(&reply, id, asked))
    }

    /// The devices that have an Entra id.
    pub(super) async fn graph_entra(&self, errand: &mut Errand, id: EntraId) -> Result<Vec<DeviceRecord>, Complaint> {
        let asked = errand.asked();
        let reply = self.send(errand, Ask::graph(graph::entra_url(&self.endpoints.graph, id))).await?;
        let judged = graph::judge_entra(&reply, &self.endpoints.graph, id, asked);
        let (rows, mismatched) = self.settle_graph(asked.at, reply.status, judged)?;
        self.line.metrics().rows_mismatched.add(u64::try_from(mismatched).unwrap_or(0));
        Ok(rows)
    }

    /// Where the list of all devices begins.
    pub(in super::super) fn list_url(&self) -> Url {
        graph::list_url(&self.endpoints.graph)
    }

    /// Where the list of the devices that checked in after `since` begins.
    pub(in super::super) fn since_url(&self, since: Wall) -> Url {
        graph::since_url(&self.endpoints.graph, since)
    }

    /// One page of a list.
    pub(in super::super) async fn graph_page(&self, errand: &mut Errand, url: Url) -> Result<ListPage, Complaint> {
        let asked = errand.asked();
        let reply = self.send(errand, Ask { list: true, ..Ask::graph(url) }).await?;
        let (status, base) = (reply.status, self.endpoints.graph.clone());
        let judged = self.spare_time(errand).run(async move { graph::judge_page(&reply, &base, asked) }).await;
        self.settle_graph(asked.at, status, judged)
    }

    /// Single GETs of up to twenty devices at once; each is paid for.
    pub(in super::super) async fn graph_batch(
        &self,
        errand: &mut Errand,
        ids: &[IntuneId],
    ) -> Result<Vec<Part>, Complaint> {
        let asked = errand.asked();
        let body = Some(graph::batch_body(ids));
        let ask = Ask { body, ..Ask::graph(graph::batch_url(&self.endpoints.graph)) };
        let reply = self.send(errand, ask).await?;
        let (status, ids) = (reply.status, ids.to_vec());
        let judged = self.spare_time(errand).run(async move { graph::judge_batch(&reply, &ids, asked) }).await;
        let parts = self.settle_graph(asked.at, status, judged)?;
        for complaint in parts.iter().filter_map(|(_, part)| part.as_ref().err()) {
            // A batch that is right as a whole may hide that we are throttled; single parts that fail shut nothing.
            if complaint.failure == Failure::Throttled {
                self.line.note(Service::Graph, Err(complaint));
            } else {
                self.line.count(Service::Graph, Err(complaint));
            }
        }
        Ok(parts)
    }

    /// Whether Graph's "not found" counts: it answered lately, or does now.
    pub(in super::super) async fn prove_graph(&self, errand: &mut Errand) -> Result<(), Complaint> {
        let answered_at = self.remembered.whereabouts.graph_answered_at();
        if answered_at.is_some_and(|at| clock::now().mono.since(at) < PROOF_LASTS) {
            return Ok(());
        }
        let asked = errand.asked();
        let reply = self.send(errand, Ask::graph(graph::proof_url(&self.endpoints.graph))).await?;
        self.settle_graph(asked.at, reply.status, graph::judge_proof(&reply, &self.endpoints.graph))
    }

    fn settle_graph<T>(&self, asked_at: Mono, status: u16, judged: Result<T, Complaint>) -> Result<T, Complaint> {
        self.line.note(Service::Graph, judged.as_ref().map(|_| ()));
        if judged.is_ok() && status == 200 {
            self.remembered.whereabouts.note_graph(asked_at);
        }
        judged
    }

    // --- compliance retrieval -------------------------------------------------------------------------------------------

    /// One device by its Intune id.
    pub(in super::super) async fn retrieval_device(
        &self,
        errand: &mut Errand,
        id: IntuneId,
    ) -> Result<Said, Complaint> {
        let url = |base: &Url| compliance::device_url(base, id);
        self.ask_retrieval_service(errand, url, |reply, asked| compliance::judge_device(reply, id, asked)).await
    }

    /// The device that has a MAC address.
    pub(super) async fn retrieval_mac(&self, errand: &mut Errand, mac: MacAddress) -> Result<Said, Complaint> {
        let url = |base: &Url| compliance::mac_url(base, mac);
        self.ask_retrieval_service(errand, url, |reply, asked| compliance::judge_mac(reply, mac, asked)).await
    }

    /// Asks about a device, a second time if the service turned out to have moved meanwhile. Never [`Said::Absent`].
    async fn ask_retrieval_service(
        &self,
        errand: &mut Errand,
        url: impl Fn(&Url) -> Url,
        judge: impl Fn(&Reply, Asked) -> Result<Said, Complaint>,
    ) -> Result<Said, Complaint> {
        for _ in 0..2 {
            // Where a service is that may not be asked is of no use.
            self.line.refuse_if_shut(Service::ComplianceRetrieval)?;
            let asked = errand.asked();
            let base = self.discover(errand).await?;
            let reply = self.send(errand, Ask::retrieval(url(&base))).await;
            let said = self.settle_retrieval(&base, asked.at, &reply, |reply| judge(reply, asked))?;
            if said != Said::Absent {
                return Ok(said);
            }
            if self.is_proven(errand, &base, asked.at).await? {
                return Ok(Said::NotRegistered);
            }
        }
        let sentence = "compliance retrieval was moved while it was asked; the next question finds its new place";
        Err(Complaint::new(Failure::Unreachable, sentence))
    }

    /// What the service says about itself.
    pub(in super::super) async fn retrieval_about(&self, errand: &mut Errand) -> Result<About, Complaint> {
        self.line.refuse_if_shut(Service::ComplianceRetrieval)?;
        let base = self.discover(errand).await?;
        self.retrieval_about_at(errand, &base).await
    }

    async fn retrieval_about_at(&self, errand: &mut Errand, base: &Url) -> Result<About, Complaint> {
        let asked = errand.asked();
        let reply = self.send(errand, Ask::retrieval(compliance::about_url(base))).await;
        self.settle_retrieval(base, asked.at, &reply, compliance::judge_about)
    }

    /// One page of all devices that are not compliant. At most once in four hours: the service refuses more, and that
    /// must not stand in the way of questions about single devices, so the breaker is not told.
    pub(in super::super) async fn retrieval_noncompliant(
        &self,
        errand: &mut Errand,
        page: &str,
    ) -> Result<NonCompliant, Complaint> {
        self.line.refuse_if_shut(Service::ComplianceRetrieval)?;
        let base = self.discover(errand).await.map_err(Complaint::unasked)?;
        let ask = Ask { list: true, ..Ask::retrieval(compliance::noncompliant_url(&base, page)) };
        let reply = self.send(errand, ask).await?;
        let judged = self.spare_time(errand).run(async move { compliance::judge_noncompliant(&reply) }).await;
        self.line.count(Service::ComplianceRetrieval, judged.as_ref().map(|_| ()));
        judged
    }

    /// Whether the 404 of `base` to what was asked at `asked_at` means that there is no such device: it is still where the
    /// service is, and the same base answers something else right now. When a tenant is moved, its old scale unit says 404
    /// to everything, and minutes before it was right; what the new one answers says nothing about the 404 of the old one.
    async fn is_proven(&self, errand: &mut Errand, base: &Url, asked_at: Mono) -> Result<bool, Complaint> {
        match self.remembered.whereabouts.answered_at(base) {
            None => return Ok(false),
            Some(Some(at)) if at > asked_at => return Ok(true),
            Some(_) => {}
        }
        self.retrieval_about_at(errand, base).await?;
        Ok(self.remembered.whereabouts.answered_at(base).is_some())
    }

    /// Notes what `base` answered, or that it did not. What an older base did says nothing about the one that is known now.
    fn settle_retrieval<T>(
        &self,
        base: &Url,
        asked_at: Mono,
        reply: &Result<Reply, Complaint>,
        judge: impl FnOnce(&Reply) -> Result<T, Complaint>,
    ) -> Result<T, Complaint> {
        let judged = match reply {
            Ok(reply) => {
                let judged = judge(reply);
                self.line.note(Service::ComplianceRetrieval, judged.as_ref().map(|_| ()));
                judged
            }
            Err(complaint) => Err(complaint.clone()),
        };
        match &judged {
            Ok(_) if reply.as_ref().is_ok_and(|reply| reply.status == 200) => {
                self.remembered.whereabouts.note_answer(base, asked_at);
            }
            // The tenant may have been moved to another scale unit. That we did not ask says nothing about it.
            Err(complaint) if complaint.failure == Failure::Unreachable && complaint.asked => {
                self.remembered.whereabouts.doubt(base);
            }
            _ => {}
        }
        judged
    }

    /// Where the service is: as remembered, or asked by one at a time.
    pub(in super::super) async fn discover(&self, errand: &mut Errand) -> Result<Url, Complaint> {
        if let Some(base) = self.remembered.whereabouts.retrieval() {
            return Ok(base);
        }
        let _one = self.remembered.whereabouts.discovering.lock().await;
        match self.remembered.whereabouts.retrieval() {
            Some(base) => Ok(base),
            None => self.ask_discovery(errand).await,
        }
    }

    /// Asks again where the service is, once a day and behind: it is where it was until there is an answer.
    pub(in super::super) fn keep_discovery(self: &Arc<Self>) {
        if !self.uses(Api::ComplianceRetrieval) || !self.remembered.whereabouts.is_due(clock::now()) {
            return;
        }
        let client = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(_one) = client.remembered.whereabouts.discovering.try_lock() else { return };
            // Lookups may come to wait for it, so it does not wait behind them. What goes wrong is logged by the line.
            let _ = client.ask_discovery(&mut Errand::soon()).await;
        });
    }

    async fn ask_discovery(&self, errand: &mut Errand) -> Result<Url, Complaint> {
        let ask = Ask { service: Service::Discovery, ..Ask::graph(discovery::url(&self.endpoints.graph)) };
        let reply = self.send(errand, ask).await?;
        let judged = discovery::judge(&reply, &self.endpoints);
        self.line.note(Service::Discovery, judged.as_ref().map(|_| ()));
        let base = judged?;
        self.remembered.whereabouts.note_retrieval(base.clone(), clock::now());
        Ok(base)
    }

    // --- both -----------------------------------------------------------------------------------------------------------

    /// Sends with a token; one that is refused is replaced once.
    async fn send(&self, errand: &mut Errand, ask: Ask) -> Result<Reply, Complaint> {
        let mut refused = false;
        loop {
            let bearer = self.bearer(errand, ask.audience).await?;
            let left = errand.left(clock::now());
            if left.is_zero() {
                return Err(late(ask.service).unasked());
            }
            let call = Call { is_behind: errand.is_behind, ..ask.call(bearer.clone(), left) };
            let reply = self.line.send(ask.service, call, errand.pay()).await?;
            if reply.status != 401 || refused {
                return Ok(reply);
            }
            refused = true;
            self.remembered.tokens.refuse(ask.audience, &bearer);
        }
    }

    /// Where what an errand brought is read.
    fn spare_time(&self, errand: &Errand) -> SpareTime {
        if errand.is_behind { self.line.spare_time().clone() } else { SpareTime::none() }
    }

    async fn bearer(&self, errand: &Errand, audience: Audience) -> Result<Bearer, Complaint> {
        let left = errand.left(clock::now());
        let bearer = tokio::time::timeout(left, self.remembered.tokens.bearer(audience, &self.line)).await;
        bearer.unwrap_or_else(|_| Err(late(audience.service()))).map_err(Complaint::unasked)
    }

    /// Why no question can be answered now, and until when, as far as is known without asking: every interface is shut.
    pub(in super::super) fn refuses(&self, now: Now) -> Option<(Failure, Mono)> {
        let mut refused = None;
        for api in &self.lookup {
            let (failure, until) = self.is_shut(*api, now)?;
            // The failure of the interface that comes first is the one to tell.
            let (first, earliest) = refused.unwrap_or((failure, until));
            refused = Some((first, until.min(earliest)));
        }
        refused
    }

    /// Whether an API can't answer now, as far as is known without asking.
    pub(super) fn is_shut(&self, api: Api, now: Now) -> Option<(Failure, Mono)> {
        match api {
            Api::Graph => self.line.shut(Service::Graph, now).or_else(|| self.lacks_token(Audience::Graph, now)),
            Api::ComplianceRetrieval => {
                let discovered = self.remembered.whereabouts.retrieval().is_some();
                self.line
                    .shut(Service::ComplianceRetrieval, now)
                    .or_else(|| self.lacks_token(Audience::Intune, now))
                    .or_else(|| self.line.shut(Service::Discovery, now).filter(|_| !discovered))
            }
        }
    }

    /// Why there is no token, if there is none and none can be fetched.
    fn lacks_token(&self, audience: Audience, now: Now) -> Option<(Failure, Mono)> {
        self.line.shut(audience.service(), now).filter(|_| !self.remembered.tokens.has(audience, now))
    }
}

fn late(service: Service) -> Complaint {
    Complaint::new(Failure::Late, format!("{} was not answered in time", service.name()))
}
