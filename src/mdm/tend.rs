//! What must be done every now and then: renew tokens, keep used devices fresh, end holds, bring gauges up to date.
//!
//! Owns the rhythm. Each of the things is done elsewhere.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tracing::{debug, warn};

use crate::{
    clock::{self, Now},
    device::{
        directory::Ages,
        identifier::MacAddress,
        question::{Key, Question, ServerIndex},
    },
    limits,
};

use super::{
    desk::Desk,
    intune::{
        About,
        client::{Client, Errand},
    },
    settings::{Api, Intune, Settings},
};

/// How often it looks.
const BEAT: Duration = Duration::from_millis(100);

/// How often the compliance retrieval service is asked about itself.
const ABOUT_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Half of the first pause after a failure; each next one is twice as long, up to the last.
const ABOUT_RETRY: Duration = Duration::from_millis(500);
const ABOUT_RETRY_MAX: Duration = Duration::from_secs(10 * 60);

/// Looks after one server.
#[derive(Clone, Debug)]
pub(super) struct Tend {
    index: ServerIndex,
    ages: Ages,
    client: Arc<Client>,
    /// Devices that may be refreshed in one second: half of the budget, the lists need the other half.
    refreshed_per_second: usize,
    /// The part of the directory that is looked at next, and the part of a beat that is left over.
    part: usize,
    parts_owed: f64,
    /// MAC addresses that are asked about next.
    // Bound: the links of the directory, `limits::OUTSIDE_ANSWERS_MAX`.
    links: VecDeque<MacAddress>,
}

impl Tend {
    pub(super) fn new(index: ServerIndex, settings: &Settings, intune: &Intune, client: Arc<Client>) -> Self {
        let refreshed_per_second = usize::try_from(intune.requests_per_second / 2).unwrap_or(usize::MAX).max(1);
        let ages = settings.ages;
        Self { index, ages, client, refreshed_per_second, part: 0, parts_owed: 0.0, links: VecDeque::new() }
    }

    pub(super) async fn run(self) {
        tokio::join!(self.clone().beat(), self.keep_about());
    }

    async fn beat(mut self) {
        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let now = clock::now();
            self.refresh_used(now);
            self.client.intake().tick(now);
            self.client.keep_tokens();
            self.client.keep_discovery();
            self.show(now);
        }
    }

    fn show(&self, now: Now) {
        let line = self.client.line();
        let (level, queued) = {
            let desk = line.desk();
            (desk.budget_level(now), desk.questions())
        };
        line.metrics().budget_remaining.set(i64::from(level));
        line.metrics().questions_queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
    }

    /// Asks again about devices that were used lately and near their age, a part of the directory at a time, so that a
    /// whole round takes a tenth of that age and nothing is asked in bursts.
    fn refresh_used(&mut self, now: Now) {
        if self.ages.compliance_max_age < limits::REFRESHED_AGE_MIN {
            return;
        }
        let directory = Arc::clone(self.client.intake().directory());
        let round = (self.ages.compliance_max_age / 10).max(BEAT);
        let parts = u32::try_from(directory.parts()).unwrap_or(u32::MAX);
        self.parts_owed += f64::from(parts) * BEAT.as_secs_f64() / round.as_secs_f64();
        let most = self.refreshed_per_second / 10 + 1;
        while self.parts_owed >= 1.0 {
            self.parts_owed -= 1.0;
            self.part = (self.part + 1) % directory.parts().max(1);
            if self.part == 0 && self.links.is_empty() {
                self.links.extend(directory.due_links(now, self.ages));
            }
            // What is asked behind is served last; a queue of it would only grow old.
            if self.client.line().desk().queued_behind() >= most || self.client.refuses(now).is_some() {
                return;
            }
            for id in directory.due_in_part(self.part, now, self.ages).take(most) {
                ask_behind(&self.client, self.index, now, Key::Device(id.0));
            }
            let links = self.links.len().min(most);
            for mac in self.links.drain(..links) {
                ask_behind(&self.client, self.index, now, Key::Mac(mac));
            }
            self.client.line().manners().wake.notify_one();
        }
    }

    /// Once a day: where the service sends users who must enrol. After a failure sooner.
    async fn keep_about(&self) {
        if !self.client.uses(Api::ComplianceRetrieval) {
            return;
        }
        let mut failures = 0u32;
        loop {
            let pause = match self.client.retrieval_about(&mut Errand::background()).await {
                Ok(about) => {
                    failures = 0;
                    self.note_about(&about);
                    ABOUT_EVERY
                }
                Err(complaint) => {
                    failures = failures.saturating_add(1);
                    debug!(server = self.client.line().name(), "no mdminfo: {}", complaint.sentence);
                    ABOUT_RETRY.saturating_mul(1 << failures.min(16)).min(ABOUT_RETRY_MAX)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn note_about(&self, about: &About) {
        let directory = self.client.intake().directory();
        if about.redirect_url.as_ref().is_some_and(|url| !directory.note_enrolment_url(url)) {
            warn!(
                server = self.client.line().name(),
                "the service names too many places to enrol; an earlier one stays"
            );
        }
    }
}

fn ask_behind(client: &Client, server: ServerIndex, now: Now, key: Key) {
    let client_index = Desk::OURSELVES;
    let question =
        Question { server, key, medium: None, deadline: None, shard: 0, client: client_index, never_seen: false };
    // If there is no room, the next round asks.
    let _ = client.line().desk().ask(now, &question);
}
