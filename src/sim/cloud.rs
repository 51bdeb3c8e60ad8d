//! The simulated cloud without its wire: one request in, one answer out, and everything that can be switched.
//!
//! Owns the state of the tenant: devices, tokens, faults, limits, counts. It reads no socket and no clock.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use axum::http::StatusCode;

use crate::{
    clock::{Mono, Now, Wall},
    device::{
        file::{CheckIn, FileDevice},
        identifier::IntuneId,
        record::Compliance,
    },
};

use super::{
    answer::{Answer, Ending},
    batch,
    bodies::{self, Stamp},
    call::{Call, FIRST_UNIT, Route},
    chance::{Chance, mixed},
    faults::{Fault, Faults},
    fleet::Fleet,
    graph::Graph,
    harm::{self, Harm},
    odata::SkipToken,
    retrieval,
    settings::{Settings, StartError},
    statistics::{Called, Statistics},
    surface::{Surface, Surfaces},
    throttle::{Limit, Window},
    token::{Audience, BadToken, TokenIssuer, Tokens},
};

/// The simulated cloud. Everything that can be switched can be switched while it answers.
#[derive(Debug)]
pub struct Cloud {
    issuer: TokenIssuer,
    fleet: RwLock<Fleet>,
    state: Mutex<State>,
    started: Wall,
    skip_token: SkipToken,
}

impl Cloud {
    pub(super) fn new(settings: Settings, now: Now) -> Result<Self, StartError> {
        let Settings { fleet, tenant, client_id, credentials, seed, .. } = settings;
        Ok(Self {
            issuer: TokenIssuer::new(tenant, client_id, credentials)?,
            fleet: RwLock::new(fleet),
            state: Mutex::new(State::new(seed)),
            started: now.wall,
            skip_token: SkipToken::new(seed),
        })
    }

    /// Answers one request that arrived at `now`.
    pub(super) fn answer(&self, now: Now, call: &Call) -> Answer {
        if call.path.starts_with(harm::ELSEWHERE) {
            return self.state().elsewhere(call);
        }
        let Some(route) = call.route() else {
            self.state().statistics.strays += 1;
            return Answer::html(StatusCode::NOT_FOUND, bodies::NOT_FOUND);
        };
        let surface = route.surface();
        let Arrival { mono, stamp, harm, over_limit } = self.state().begin(now, surface, call);
        let mut answer = harm
            .instead(surface, &call.host, &call.path, &stamp)
            .or_else(|| over_limit.map(|OverLimit { wait }| harm::throttled(surface, wait, &stamp)))
            .unwrap_or_else(|| self.right_answer(now, mono, &route, call, &harm, &stamp));
        harm.apply(&mut answer);
        self.state().end(surface, call, &answer, !harm.is_none());
        answer.with("request-id", stamp.request_id).with("client-request-id", stamp.client_request_id)
    }

    fn right_answer(&self, now: Now, mono: Mono, route: &Route, call: &Call, harm: &Harm, stamp: &Stamp) -> Answer {
        let surface = route.surface();
        if let Some(unit) = route.unit()
            && let Some(answer) = self.state().moved(unit)
        {
            return answer;
        }
        if let Some(audience) = audience(surface)
            && let Err(flaw) = self.state().tokens.check(call.bearer(), audience, mono)
        {
            return refused(surface, flaw, stamp);
        }
        match route {
            Route::Token { tenant, version } => {
                let tokens = &mut self.state().tokens;
                self.issuer.answer(call, tenant, *version, tokens, mono, stamp)
            }
            Route::ManagedIdentity => TokenIssuer::answer_identity(call, &mut self.state().tokens, mono, stamp),
            Route::Discovery => self.discovery(call, harm),
            Route::Device { id } => self.graph(&self.read_fleet(), harm, stamp).device(call, id),
            Route::Devices { .. } => self.graph(&self.read_fleet(), harm, stamp).devices(call),
            Route::Batch => {
                let order = self.state().chance.next();
                batch::answer(call, stamp, order, |part| self.answer(now, part))
            }
            Route::ServiceDetails { .. } => retrieval::service_details(harm),
            Route::Compliance { of_all: false, .. } => retrieval::device(call, &self.read_fleet(), harm),
            Route::Compliance { of_all: true, .. } => {
                if retrieval::is_first_page(call) && !self.state().may_list(mono) {
                    return Answer::html(StatusCode::SERVICE_UNAVAILABLE, bodies::UNAVAILABLE);
                }
                retrieval::list(call, &self.read_fleet(), harm)
            }
        }
    }

    fn discovery(&self, call: &Call, harm: &Harm) -> Answer {
        use super::faults::FaultKind::{NoService, OddCase};
        let unit = self.state().unit;
        let body = bodies::discovery(&call.base(), unit, !harm.has(NoService), harm.has(OddCase));
        Answer::json(StatusCode::OK, &body)
    }

    const fn graph<'a>(&self, fleet: &'a Fleet, harm: &'a Harm, stamp: &'a Stamp) -> Graph<'a> {
        Graph { fleet, started: self.started, skip_token: self.skip_token, harm, stamp }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_fleet(&self) -> RwLockReadGuard<'_, Fleet> {
        self.fleet.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_fleet(&self) -> RwLockWriteGuard<'_, Fleet> {
        self.fleet.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be switched at run time. The control path offers the same.
impl Cloud {
    /// The tenant's id.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.issuer.tenant()
    }

    /// Switches a fault on. `false`: [`crate::limits::SIM_FAULTS_MAX`] are on already.
    pub fn add_fault(&self, fault: Fault) -> bool {
        self.state().faults.add(fault)
    }

    /// Switches off every fault that is on for any of `surfaces`.
    pub fn clear_faults(&self, surfaces: Surfaces) {
        self.state().faults.clear(surfaces);
    }

    /// The faults that are on.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.state().faults.active().to_vec()
    }

    /// The device with this id.
    #[must_use]
    pub fn device(&self, id: IntuneId) -> Option<FileDevice> {
        self.read_fleet().find(id).map(std::borrow::Cow::into_owned)
    }

    /// Gives a device another state, as if it had just checked in at `now`. `false`: there is none with this id.
    pub fn set_compliance(&self, id: IntuneId, compliance: Compliance, now: Wall) -> bool {
        self.change_device(id, now, |device| device.compliance = compliance)
    }

    /// Changes a device, as if it had just checked in at `now`. `false`: there is none with this id.
    pub fn change_device(&self, id: IntuneId, now: Wall, change: impl FnOnce(&mut FileDevice)) -> bool {
        self.write_fleet().change(id, |device| {
            device.last_check_in = Some(CheckIn::At(now));
            change(device);
        })
    }

    /// Gives so many of a hundred devices another state at once, as a changed compliance policy does. Returns how many.
    pub fn flip(&self, percent: u8, compliance: Compliance, now: Wall) -> usize {
        let mut fleet = self.write_fleet();
        let chosen = |row: &usize| mixed(*row as u64) % 100 < u64::from(percent);
        let ids: Vec<IntuneId> =
            (0..fleet.rows()).filter(chosen).filter_map(|row| Some(fleet.at(row)?.intune_id)).collect();
        for id in &ids {
            fleet.change(*id, |device| {
                device.last_check_in = Some(CheckIn::At(now));
                device.compliance = compliance;
            });
        }
        ids.len()
    }

    /// Adds a device, or replaces the one with its Intune id. `false`: the fleet is full.
    pub fn add_device(&self, device: FileDevice) -> bool {
        self.write_fleet().add(device)
    }

    /// Removes a device. `false`: there is none with this id.
    pub fn remove_device(&self, id: IntuneId) -> bool {
        self.write_fleet().remove(id)
    }

    /// Makes every token that is out expired.
    pub fn expire_tokens(&self) {
        self.state().tokens.expire_all();
    }

    /// How long tokens live that are issued from now on.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.state().tokens.lifetime = lifetime;
    }

    /// Moves the cloud's time forward by `by`: for the age of tokens, for limits, for the four hours of lists.
    /// Dates in answers stay, so that clients' assertions go on being valid.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.advanced = state.advanced.saturating_add(by);
    }

    /// Sets the cloud's clock wrong: its dates differ from the machine's by so many seconds. The `Date` header and the
    /// check of assertions follow it.
    pub fn set_skew_secs(&self, skew_secs: i64) {
        self.state().skew_secs = skew_secs;
    }

    /// How wrong the cloud's clock is, in seconds.
    #[must_use]
    pub fn skew_secs(&self) -> i64 {
        self.state().skew_secs
    }

    /// Sets Graph's limit for managed devices.
    pub fn set_limit(&self, limit: Limit) {
        let mut state = self.state();
        if state.window.span() != limit.window {
            state.window.set_span(limit.window);
        }
        state.limit = limit;
    }

    /// Moves the tenant's compliance retrieval service to another scale unit: discovery names the new place.
    pub fn move_scale_unit(&self, old: OldUnit) {
        let mut state = self.state();
        state.unit = state.unit.saturating_add(1);
        state.old_unit = old;
    }

    /// What was asked and answered.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let state = self.state();
        let mut statistics = state.statistics.clone();
        statistics.tokens_issued = state.tokens.count;
        statistics.most_in_window = state.window.most();
        statistics.most_in_window_of_all = state.window_of_all.most();
        statistics
    }

    /// Sets every count to zero. What is in a window goes on counting against the limit.
    pub fn reset_statistics(&self) {
        let mut state = self.state();
        state.statistics = Statistics::default();
        state.tokens.count = 0;
        state.window.reset_most();
        state.window_of_all.reset_most();
    }
}

/// What the scale unit does that the tenant was moved away from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldUnit {
    /// Its front door answers 404.
    NotFound,
    /// It resets connections.
    Silent,
}

/// A request that was counted.
struct Arrival {
    /// The cloud's time.
    mono: Mono,
    stamp: Stamp,
    harm: Harm,
    over_limit: Option<OverLimit>,
}

/// The request is over Graph's limit.
struct OverLimit {
    /// What it is told to wait, if it is told.
    wait: Option<Duration>,
}

#[derive(Debug)]
struct State {
    tokens: Tokens,
    faults: Faults,
    window: Window,
    window_of_all: Window,
    limit: Limit,
    statistics: Statistics,
    unit: u32,
    old_unit: OldUnit,
    listed_at: Option<Mono>,
    advanced: Duration,
    skew_secs: i64,
    chance: Chance,
}

impl State {
    fn new(seed: u64) -> Self {
        let limit = Limit::default();
        Self {
            tokens: Tokens::new(seed),
            faults: Faults::new(seed),
            window: Window::new(limit.window),
            window_of_all: Window::new(limit.window),
            limit,
            statistics: Statistics::default(),
            unit: FIRST_UNIT,
            old_unit: OldUnit::NotFound,
            listed_at: None,
            advanced: Duration::ZERO,
            skew_secs: 0,
            chance: Chance::new(seed),
        }
    }

    /// Counts a request and finds out what will become of it.
    fn begin(&mut self, now: Now, surface: Surface, call: &Call) -> Arrival {
        let mono = now.mono.plus(self.advanced);
        let stamp = self.stamp(now.wall, call);
        let harm = Harm::new(self.faults.strike(surface));
        if surface != Surface::Batch {
            self.window_of_all.count(mono);
        }
        // A refused request counts too, as Microsoft warns: who goes on asking at once goes on being refused.
        let over = surface.is_managed_devices() && self.window.count(mono) > self.limit.requests;
        let over_limit = over.then(|| {
            self.statistics.over_limit += 1;
            OverLimit { wait: self.limit.retry_after.then(|| self.window.wait_for(self.limit.requests, mono)) }
        });
        Arrival { mono, stamp, harm, over_limit }
    }

    fn end(&mut self, surface: Surface, call: &Call, answer: &Answer, faulted: bool) {
        let unanswered = matches!(answer.ending, Ending::Reset | Ending::Hang);
        let query: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let separator = if query.is_empty() { "" } else { "?" };
        let called = Called {
            surface,
            method: call.method.to_string(),
            target: format!("{}{separator}{}", call.path, query.join("&")),
            status: if unanswered { 0 } else { answer.status.as_u16() },
        };
        self.statistics.count(called, faulted);
    }

    fn stamp(&mut self, wall: Wall, call: &Call) -> Stamp {
        let wall = Wall::from_micros(wall.as_micros().saturating_add(self.skew_secs.saturating_mul(1_000_000)));
        let digits = self.chance.hex(32);
        let request_id =
            format!("{}-{}-4{}-8{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..]);
        let client_request_id = call.header("client-request-id").unwrap_or(&request_id).to_owned();
        Stamp { wall, client_request_id, request_id }
    }

    fn elsewhere(&mut self, call: &Call) -> Answer {
        self.statistics.elsewhere += 1;
        self.statistics.elsewhere_with_token += u64::from(call.bearer().is_some());
        Answer::text(StatusCode::OK, "a client must not follow links to another host with its token")
    }

    /// The answer of a scale unit that the tenant is not in.
    fn moved(&self, unit: u32) -> Option<Answer> {
        if unit == self.unit {
            return None;
        }
        let answer = Answer::html(StatusCode::NOT_FOUND, bodies::NOT_FOUND);
        match self.old_unit {
            OldUnit::Silent if unit < self.unit => Some(Answer { ending: Ending::Reset, ..answer }),
            OldUnit::Silent | OldUnit::NotFound => Some(answer),
        }
    }

    /// Whether a list of everybody may begin now; if so, the next one may four hours later.
    fn may_list(&mut self, now: Mono) -> bool {
        let may = self.listed_at.is_none_or(|at| now.since(at) >= LIST_INTERVAL);
        if may {
            self.listed_at = Some(now);
        }
        may
    }
}

/// Source: Microsoft, "Integrate network access control with Intune": broad queries at most once in four hours.
const LIST_INTERVAL: Duration = Duration::from_secs(4 * 3600);

const fn audience(surface: Surface) -> Option<Audience> {
    match surface {
        Surface::Token | Surface::ManagedIdentity => None,
        Surface::Discovery | Surface::Device | Surface::Search | Surface::List | Surface::Batch => {
            Some(Audience::Graph)
        }
        Surface::ServiceDetails | Surface::Compliance | Surface::ComplianceList => Some(Audience::Intune),
    }
}

fn refused(surface: Surface, flaw: BadToken, stamp: &Stamp) -> Answer {
    let message = match flaw {
        BadToken::Missing => "Access token is empty.",
        BadToken::Unknown => "Access token could not be read.",
        BadToken::Expired => harm::EXPIRED,
        BadToken::OtherAudience => "Access token validation failure. Invalid audience.",
    };
    harm::unauthorized(surface, message, stamp)
}
