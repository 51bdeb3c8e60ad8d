//! The way of an Access-Request from authentication to its reply.
//!
//! Owns the order of the phases and what becomes of each outcome. Each phase itself stands in its own file; what a shard
//! remembers, sends and counts is in `state`.

use std::time::Duration;

use crate::{
    clock::{Mono, Now},
    device::question::{Failure, Key, Question, ServerIndex},
    limits,
    policy::{
        decision::{Access, Decision, Reason, SetIndex},
        facts::{Facts, Method},
    },
    radius::{code::Code, kind, packet::Packet},
};

use super::{
    action::Outbox,
    admit::Admitted,
    authenticate::{Authenticated, Macs, authenticate},
    client::MessageAuthenticatorMode,
    decide::RequestPlace,
    dialogue::Talk,
    event::{DropReason, RejectReason},
    identity::Identity,
    lookup::{Known, Limits, Pursuit, Step, advance},
    parked::Parked,
    pass::Pass,
    record::{Line, Outcome},
    reply::{EapPart, Marks},
    state::State,
};

/// A request that was judged, and by what.
#[derive(Clone, Copy)]
struct Judged<'a> {
    identity: &'a Identity,
    decision: &'a Decision,
    known: &'a Known,
    /// What policy judged.
    facts: &'a Facts<'a>,
    /// How long device management was waited for.
    waited: Duration,
}

impl State {
    /// `macs`: those of the request, if they were read already.
    pub(super) fn access(
        &mut self,
        pass: Pass<'_>,
        admitted: &Admitted<'_>,
        macs: Option<Macs>,
        now: Now,
        out: &mut dyn Outbox,
    ) {
        if pass.client.message_authenticator != MessageAuthenticatorMode::Require
            && let Some(cells) = self.cells_of(pass.client)
        {
            let cell = if admitted.is_signed { &cells.signed } else { &cells.unsigned };
            cell.increment_own();
        }
        if self.download(pass, admitted, now, out) {
            return;
        }
        if pass.packet.has(kind::EAP_MESSAGE) {
            return self.converse(pass, now, out);
        }
        let macs = macs.unwrap_or_else(|| Macs::read(&pass.packet));
        match authenticate(admitted, &macs, pass.client) {
            Authenticated::Rejected { reason, method, mac } => {
                let line = Line { method, mac, outcome: Outcome::Refused(reason), ..Line::new(pass.arrived) };
                self.reject_bare(pass, now, line, out);
            }
            Authenticated::Device(identity) => self.judge(pass, &identity, now, out),
        }
    }

    /// Chooses the policy set, and looks the device up if the set allows the method.
    fn judge(&mut self, pass: Pass<'_>, identity: &Identity, now: Now, out: &mut dyn Outbox) {
        let case = pass.case(now, identity, None);
        let Some(set) = case.choose_set() else {
            let decision = Decision::reject(None, Reason::NoRuleMatched);
            return self.conclude_unasked(pass, identity, &decision, now, out);
        };
        if !pass.snapshot.policy.set(set).is_some_and(|set| set.methods.allows(identity.method)) {
            let decision = Decision::reject(Some(set), Reason::MethodNotAllowed);
            return self.conclude_unasked(pass, identity, &decision, now, out);
        }
        self.pursue(pass, identity, None, set, Pursuit::default(), now, out);
    }

    /// A parked request has an answer, or its deadline has come.
    pub(super) fn go_on(&mut self, now: Now, parked: Parked, out: &mut dyn Outbox) {
        let Parked { octets, peer, client, snapshot, arrived, ticket, identity, talk, set, pursuit } = parked;
        // It was checked when it came, and the octets are the same.
        let Ok(packet) = Packet::parse(&octets) else { return };
        let place = RequestPlace::of(&packet);
        let pass = Pass { snapshot: &snapshot, client: &client, packet, peer, ticket, arrived, place };
        // A conversation goes on all the same: its device comes back for the reply under another Identifier.
        if talk.is_none() && self.drop_superseded(pass) {
            return;
        }
        self.pursue(pass, &identity, talk, set, pursuit, now, out);
    }

    /// Looks the device up as far as that goes without waiting; then decides, or parks the request.
    #[expect(clippy::too_many_arguments, reason = "where a lookup stands, and what it is for")]
    pub(super) fn pursue(
        &mut self,
        pass: Pass<'_>,
        identity: &Identity,
        talk: Option<Box<Talk>>,
        set: SetIndex,
        mut pursuit: Pursuit,
        now: Now,
        out: &mut dyn Outbox,
    ) {
        let decide_by = pass.arrived.mono.plus(pass.client.decision_deadline);
        // Every turn settles one server, so the loop ends; the bound only guards against a mistake in `advance`.
        for _ in 0..=limits::MDM_SERVERS_MAX * 2 {
            let servers = pass.snapshot.servers_of(set);
            match advance(&mut pursuit, servers, identity, &pass.packet, now, Limits { decide_by }) {
                Step::Known(known) => {
                    if let Some((server, key)) = known.refresh {
                        let question = self.question(pass, identity, server, key, None, false);
                        // Nobody waits for it: if it can't be asked now, the next use asks again.
                        let _ = self.questions.ask(question);
                    }
                    let evidence = talk.as_ref().and_then(|talk| talk.evidence.as_deref());
                    let case = pass.case(now, identity, evidence);
                    let facts = case.facts(&known);
                    let decision = pass.snapshot.policy.decide(Some(set), &facts);
                    if let Some(talk) = talk {
                        let waited = waited_since(pursuit.started, now);
                        return self.settle(pass, identity, talk, decision, known, waited, now, out);
                    }
                    let waited = waited_since(pursuit.started, now);
                    let judged = Judged { identity, decision: &decision, known: &known, facts: &facts, waited };
                    return self.conclude(pass, judged, now, out);
                }
                Step::Ask { server, key, deadline, never_seen } => {
                    if deadline <= now.mono || !self.parked.has_room() {
                        pursuit.failed(server, Failure::Late);
                        continue;
                    }
                    let question = self.question(pass, identity, server, key, Some(deadline), never_seen);
                    if let Err(failure) = self.questions.ask(question) {
                        pursuit.failed(server, failure);
                        continue;
                    }
                    pursuit.started.get_or_insert(now.mono);
                    pursuit.waiting = Some((server, key));
                    let parked = pass.park(*identity, talk, set, pursuit);
                    self.parked.park(parked, server, key, deadline);
                    self.update_inflight();
                    return;
                }
            }
        }
        debug_assert!(false, "a lookup settles a server in every turn");
    }

    fn question(
        &self,
        pass: Pass<'_>,
        identity: &Identity,
        server: ServerIndex,
        key: Key,
        deadline: Option<Mono>,
        never_seen: bool,
    ) -> Question {
        Question {
            server,
            key,
            medium: identity.medium,
            deadline,
            shard: self.shard,
            client: pass.client.index,
            never_seen,
        }
    }

    /// The same for a decision that needs no device management.
    pub(super) fn conclude_unasked(
        &mut self,
        pass: Pass<'_>,
        identity: &Identity,
        decision: &Decision,
        now: Now,
        out: &mut dyn Outbox,
    ) {
        let known = Known::nothing();
        let case = pass.case(now, identity, None);
        let facts = case.facts(&known);
        let judged = Judged { identity, decision, known: &known, facts: &facts, waited: Duration::ZERO };
        self.conclude(pass, judged, now, out);
    }

    /// Writes the reply of a decision and sends it, delays it, or stays silent.
    fn conclude(&mut self, pass: Pass<'_>, judged: Judged<'_>, now: Now, out: &mut dyn Outbox) {
        let Judged { identity, decision, known, facts, waited } = judged;
        self.count_decision(pass, identity.method, decision, now);
        count_lookup(self.shard, pass, known);
        let mut line = Line {
            method: identity.method.name(),
            mac: identity.mac,
            outcome: Outcome::Decided(decision),
            known: Some(known),
            facts: Some(facts),
            waited,
            ..Line::new(pass.arrived)
        };
        match decision.access {
            Access::Ignore => {
                self.tell(pass, &line, now);
                self.duplicates.forget(pass.ticket);
                self.update_inflight();
            }
            Access::Accept | Access::Reject => {
                let is_accept = decision.access == Access::Accept;
                let session = is_accept.then(|| self.session());
                let is_written = self.write_result(pass, facts, decision, EapPart::default(), session.as_ref());
                if !is_written {
                    line.outcome = Outcome::Refused(RejectReason::ReplyTooLarge);
                    return self.reject_bare(pass, now, line, out);
                }
                line.session = session;
                self.tell(pass, &line, now);
                if is_accept {
                    self.send(pass, now, out);
                } else {
                    self.delay(pass, now, out);
                }
            }
        }
    }

    /// Writes the reply of a decision. `false`: it does not fit.
    pub(super) fn write_result(
        &mut self,
        pass: Pass<'_>,
        facts: &Facts<'_>,
        decision: &Decision,
        eap: EapPart<'_>,
        session: Option<&[u8; 16]>,
    ) -> bool {
        let code = if decision.access == Access::Accept { Code::ACCESS_ACCEPT } else { Code::ACCESS_REJECT };
        // A vendor for which there is no plan can't meet this result: that was checked when the policy was loaded.
        let policy = &pass.snapshot.policy;
        let plan = policy.reply(decision.result, pass.client.vendor);
        let texts = policy.fact_texts(facts);
        let salt = salt_of(self.chance.next());
        // An empty one asks for it too (RFC 4372 section 2.1), and nobody gets it unasked.
        let is_asked = code == Code::ACCESS_ACCEPT && pass.packet.has(kind::CHARGEABLE_USER_IDENTITY);
        let user_name = pass.packet.value(kind::USER_NAME).unwrap_or_default();
        let pseudonym = is_asked.then(|| self.pseudonyms.name(&pass.client.name, &facts.identity, user_name));
        let marks = Marks { session, pseudonym: pseudonym.as_ref() };
        plan.is_some_and(|plan| pass.draft(eap).write(&mut self.buffer, code, plan, &texts, marks, salt).is_ok())
    }

    /// An Access-Reject without a profile.
    pub(super) fn reject_bare(&mut self, pass: Pass<'_>, now: Now, line: Line<'_>, out: &mut dyn Outbox) {
        self.tell(pass, &line, now);
        if pass.draft(EapPart::default()).write_bare_reject(&mut self.buffer).is_err() {
            // Not even the echo of Proxy-State fits: nothing can be answered that the client would take.
            self.duplicates.forget(pass.ticket);
            self.count_drop(Some(pass.client), DropReason::Overload);
            return;
        }
        self.delay(pass, now, out);
    }

    pub(super) fn tell(&mut self, pass: Pass<'_>, line: &Line<'_>, now: Now) {
        let told = line.tell(pass.snapshot, pass.client, &pass.packet, pass.peer, now, &mut *self.events);
        if !told {
            self.cells.events_lost.increment_own();
        }
    }

    pub(super) fn count_decision(&self, pass: Pass<'_>, method: Method, decision: &Decision, now: Now) {
        let at = match method {
            Method::Mab => 0,
            Method::EapTls => 1,
            Method::EapMd5 => 2,
            Method::AuthorizeOnly => 3,
            Method::Eap => 4,
        };
        if let Some(histogram) = self.cells.decisions.get(at) {
            histogram.observe_own(now.mono.since(pass.arrived.mono));
        }
        pass.snapshot.hits.count(self.shard, decision);
    }
}

/// Counts what came of asking the server that settled a request.
pub(super) fn count_lookup(shard: u16, pass: Pass<'_>, known: &Known) {
    if let Some(server) = known.server.and_then(|index| pass.snapshot.server(index)) {
        // The cells stand in the order of these names; the first source is that of lookups without an answer.
        let source = known.source.map_or(0, |source| source as usize + 1);
        server.cells.count_lookup(shard, known.lookup as usize, source);
    }
}

fn waited_since(asked_at: Option<Mono>, now: Now) -> Duration {
    asked_at.map_or(Duration::ZERO, |at| now.mono.since(at))
}

#[expect(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]
const fn salt_of(random: u64) -> u16 {
    random as u16
}

#[cfg(test)]
mod tests {
    use crate::{
        metrics::mdm::{RESULTS, SOURCES},
        policy::facts::{Lookup, Source},
    };

    #[test]
    fn lookups_stand_in_the_order_of_their_cells() {
        for (at, lookup) in Lookup::ALL.iter().enumerate() {
            assert_eq!(*lookup as usize, at);
            // Nothing came of a lookup that nobody was asked for.
            assert_eq!(RESULTS.get(at).copied(), Some(lookup.name()).filter(|_| *lookup != Lookup::NotAsked));
        }
        for (at, source) in Source::ALL.iter().enumerate() {
            assert_eq!((*source as usize, SOURCES[at + 1]), (at, source.name()));
        }
        assert_eq!((RESULTS.len(), SOURCES.len()), (Lookup::ALL.len() - 1, Source::ALL.len() + 1));
    }
}
