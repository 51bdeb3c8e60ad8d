//! The way of an Access-Request with EAP: found or begun, stepped, decided, answered.
//!
//! Owns what each step of a conversation means for the request, the policy and the log. Packets of EAP and handshakes
//! are `eap`'s matter; the lookup between a verified certificate and the decision is in `way`.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Now,
    eap::{
        chance::SystemChance,
        conversation::{Accepted, Begun, Offer, Question, Rejected, Shown, Step, begin, without_session},
        md5::Md5Proof,
        reason::{Reason as EapReason, Verdict},
        sessions::{Claim, Found, Token},
        tls::{
            alert::Alert,
            flow::{Proven, TlsOffer},
            fragment::packet_octets_max,
        },
    },
    metrics::engine::EapResult,
    policy::{
        decision::{Access, Decision, Reason, SetIndex},
        facts::{Medium, Method},
        request,
    },
    radius::{kind, packet::Packet},
};

use super::{
    action::Outbox,
    authenticate::eap_md5_device,
    decide::RequestPlace,
    dialogue::{Dialogue, Settled, Talk, detail_of, identity_by_certificate, owner_of, station_of},
    event::{DropReason, RejectReason},
    identity::{DeviceIds, Identity, integer, medium_of},
    lookup::{Known, Pursuit},
    pass::Pass,
    record::{Line, Outcome},
    reply::{EapPart, eap_octets_beside},
    state::State,
    way::count_lookup,
    work::{Done, Work, Workers},
};

impl State {
    /// An Access-Request with EAP came.
    pub(super) fn converse(&mut self, pass: Pass<'_>, now: Now, out: &mut dyn Outbox) {
        let response = joined(&pass.packet);
        let Some(state) = pass.packet.value(kind::STATE) else { return self.begin_dialogue(pass, &response, now, out) };
        match self.dialogues.find(now, &owner_of(pass.client, &pass.packet), state, &response) {
            Found::Session(claim, dialogue) => {
                // A reload in the middle changes nothing but the secret: a reply under the old one would be no reply.
                if !dialogue.client.secret.is_same(&pass.client.secret) {
                    self.dialogues.close(claim);
                    return self.end_without_dialogue(pass, &response, now, out);
                }
                let (snapshot, client) = (Arc::clone(&dialogue.snapshot), Arc::clone(&dialogue.client));
                let pass = Pass { snapshot: &snapshot, client: &client, ..pass };
                let mut talk = Box::new(Talk { claim, dialogue, evidence: None });
                if let Some(workers) = self.workers.clone()
                    && talk.dialogue.conversation.is_costly(&response)
                {
                    return self.give_away(pass, talk, &response, &*workers, now);
                }
                let step = talk.dialogue.conversation.step(now, &response, &mut SystemChance);
                self.stride(pass, talk, step, now, out);
            }
            Found::Repeated(request, token) => self.challenge(pass, &request, &token, false, now, out),
            Found::Busy => {
                // The answer comes from where it is worked on; a later repeat must find it.
                self.duplicates.forget(pass.ticket);
                self.count_drop(Some(pass.client), DropReason::Duplicate);
            }
            Found::Unknown => self.end_without_dialogue(pass, &response, now, out),
        }
    }

    /// Lets another thread compute. If there is no room the request is dropped as if it had never come: its repeat finds
    /// the conversation as it was.
    fn give_away(&mut self, pass: Pass<'_>, talk: Box<Talk>, response: &[u8], workers: &dyn Workers, now: Now) {
        let work = Work {
            shard: self.shard,
            octets: pass.packet.octets().into(),
            peer: pass.peer,
            client: Arc::clone(pass.client),
            snapshot: Arc::clone(pass.snapshot),
            arrived: pass.arrived,
            ticket: pass.ticket,
            talk,
            response: response.into(),
        };
        match workers.take(Box::new(work)) {
            Ok(()) => self.computing += 1,
            Err(work) => {
                let Talk { claim, dialogue, .. } = *work.talk;
                let last = Arc::clone(dialogue.conversation.last_request());
                self.dialogues.put_back(claim, dialogue, last);
                self.shed(pass, now);
            }
        }
        self.update_inflight();
    }

    /// A handshake that another thread computed.
    pub(super) fn go_on_conversing(&mut self, now: Now, done: Done, out: &mut dyn Outbox) {
        self.computing = self.computing.saturating_sub(1);
        let Done { work, step } = done;
        let Work { octets, peer, client, snapshot, arrived, ticket, talk, .. } = work;
        // It was checked when it came, and the octets are the same.
        let Ok(packet) = Packet::parse(&octets) else { return };
        let place = RequestPlace::of(&packet);
        let pass = Pass { snapshot: &snapshot, client: &client, packet, peer, ticket, arrived, place };
        if let Some(step) = step {
            return self.stride(pass, talk, step, now, out);
        }
        self.dialogues.close(talk.claim);
        self.duplicates.forget(ticket);
        self.count_drop(Some(&client), DropReason::Bug);
        self.update_inflight();
    }

    /// The first packet of a device: chooses the policy set and offers what it allows.
    fn begin_dialogue(&mut self, pass: Pass<'_>, response: &[u8], now: Now, out: &mut dyn Outbox) {
        let identity = Identity {
            method: Method::Eap,
            mac: station_of(&pass.packet),
            device_ids: DeviceIds::default(),
            medium: medium_of(&pass.packet),
        };
        let Some(set) = pass.case(now, &identity, None).choose_set() else {
            let decision = Decision::reject(None, Reason::NoRuleMatched);
            return self.conclude_unasked(pass, &identity, &decision, now, out);
        };
        let methods = pass.snapshot.policy.set(set).map(|set| set.methods);
        let allows = |method| methods.is_some_and(|methods| methods.allows(method));
        if !allows(Method::Eap) {
            let decision = Decision::reject(Some(set), Reason::MethodNotAllowed);
            return self.conclude_unasked(pass, &identity, &decision, now, out);
        }
        let offer = Offer {
            tls: allows(Method::EapTls).then(|| tls_offer(&pass)).flatten(),
            md5: pass.client.eap.md5 && allows(Method::EapMd5) && may_be_wired(&pass.packet),
        };
        if offer.tls.is_none() && !offer.md5 {
            let outcome = Outcome::Refused(RejectReason::EapNotOffered);
            let line = Line { method: Method::Eap.name(), mac: identity.mac, outcome, ..Line::new(pass.arrived) };
            return self.reject_bare(pass, now, line, out);
        }
        let brings_work = offer.tls.is_some();
        let Begun { conversation, request } = match begin(offer, response, &mut SystemChance) {
            Ok(begun) => begun,
            Err(rejected) => return self.turn_away_stranger(pass, &rejected, now, out),
        };
        let Some(claim) = self.open_dialogue(pass, now) else { return self.shed(pass, now) };
        // Asked last: the workers reckon with the flights of what may begin.
        if brings_work && self.workers.as_ref().is_some_and(|workers| !workers.may_begin(now.mono)) {
            self.dialogues.close(claim);
            return self.shed(pass, now);
        }
        let dialogue = Dialogue {
            conversation,
            snapshot: Arc::clone(pass.snapshot),
            client: Arc::clone(pass.client),
            set,
            settled: None,
            is_told: false,
            first: pass.packet.octets().into(),
            peer: pass.peer,
        };
        self.hold(pass, Box::new(Talk { claim, dialogue, evidence: None }), request, false, now, out);
    }

    /// Room for a conversation. What has ended makes some, and is told of like all that ends.
    fn open_dialogue(&mut self, pass: Pass<'_>, now: Now) -> Option<Claim> {
        let owner = owner_of(pass.client, &pass.packet);
        if let Ok(claim) = self.dialogues.open(now, owner.clone(), &mut SystemChance) {
            return Some(claim);
        }
        self.sweep_dialogues(now);
        self.dialogues.open(now, owner, &mut SystemChance).ok()
    }

    /// What a step means.
    fn stride(&mut self, pass: Pass<'_>, mut talk: Box<Talk>, step: Step, now: Now, out: &mut dyn Outbox) {
        match step {
            Step::Send(request) => {
                self.tell_ending(pass, &mut talk, now);
                self.hold(pass, talk, request, false, now, out);
            }
            Step::Repeat(request, _) => self.hold(pass, talk, request, true, now, out),
            Step::Decide(question) => self.examine(pass, talk, *question, now, out),
            Step::Accept(accepted) => self.let_in(pass, talk, &accepted, now, out),
            Step::Reject(rejected) => self.turn_away(pass, talk, &rejected, now, out),
        }
    }

    /// Keeps the conversation and sends its next request.
    fn hold(
        &mut self,
        pass: Pass<'_>,
        talk: Box<Talk>,
        request: Arc<[u8]>,
        is_repeat: bool,
        now: Now,
        out: &mut dyn Outbox,
    ) {
        let Talk { claim, dialogue, .. } = *talk;
        match self.dialogues.keep(now, claim, dialogue, Arc::clone(&request), &mut SystemChance) {
            Some(token) => self.challenge(pass, &request, &token, is_repeat, now, out),
            // The device has begun anew meanwhile: this answer would only confuse it.
            None => {
                self.duplicates.forget(pass.ticket);
                self.count_drop(Some(pass.client), DropReason::Duplicate);
                self.update_inflight();
            }
        }
    }

    fn challenge(
        &mut self,
        pass: Pass<'_>,
        request: &[u8],
        token: &Token,
        is_repeat: bool,
        now: Now,
        out: &mut dyn Outbox,
    ) {
        let eap = EapPart { packet: Some(request), keys: None };
        if pass.draft(eap).write_challenge(&mut self.buffer, token.octets(), is_repeat).is_ok() {
            return self.send(pass, now, out);
        }
        self.shed(pass, now);
    }

    /// The device has shown what it has; policy is next, after the lookup.
    fn examine(&mut self, pass: Pass<'_>, mut talk: Box<Talk>, question: Question, now: Now, out: &mut dyn Outbox) {
        let set = talk.dialogue.set;
        match question.shown {
            Shown::Certificate(Proven { evidence, .. }) => {
                let Some(settings) = &pass.snapshot.eap_tls else {
                    debug_assert!(false, "it was offered");
                    return self.dialogues.close(talk.claim);
                };
                let (identity, _) = identity_by_certificate(&pass.packet, &evidence, settings);
                talk.evidence = Some(evidence);
                self.pursue(pass, &identity, Some(talk), set, Pursuit::default(), now, out);
            }
            Shown::Md5(proof) => self.examine_md5(pass, talk, proof, set, now, out),
        }
    }

    /// EAP-MD5 is a MAC bypass inside of EAP: what holds for its password holds here.
    fn examine_md5(
        &mut self,
        pass: Pass<'_>,
        mut talk: Box<Talk>,
        proof: Md5Proof,
        set: SetIndex,
        now: Now,
        out: &mut dyn Outbox,
    ) {
        let matches = |password: &[u8]| proof.matches(password);
        match eap_md5_device(&pass.packet, pass.client, talk.dialogue.conversation.identity(), matches) {
            Ok(identity) => self.pursue(pass, &identity, Some(talk), set, Pursuit::default(), now, out),
            Err((reason, mac)) => {
                let line = Line {
                    method: Method::EapMd5.name(),
                    mac,
                    outcome: Outcome::Refused(reason),
                    dialogue: Some(talk.dialogue.event()),
                    ..Line::new(pass.arrived)
                };
                self.tell(pass, &line, now);
                talk.dialogue.is_told = true;
                let step = talk.dialogue.conversation.decide(Verdict::Deny(Alert::AccessDenied));
                self.stride(pass, talk, step, now, out);
            }
        }
    }

    /// Policy has decided about the device of a conversation.
    #[expect(clippy::too_many_arguments, reason = "the whole of what is known about a request ends here")]
    pub(super) fn settle(
        &mut self,
        pass: Pass<'_>,
        identity: &Identity,
        mut talk: Box<Talk>,
        decision: Decision,
        known: Known,
        waited: Duration,
        now: Now,
        out: &mut dyn Outbox,
    ) {
        self.count_decision(pass, identity.method, &decision, now);
        count_lookup(self.shard, pass, &known);
        let detail = match (&talk.evidence, &pass.snapshot.eap_tls) {
            (Some(evidence), Some(settings)) => {
                let (_, ids) = identity_by_certificate(&pass.packet, evidence, settings);
                detail_of(evidence, &ids, &known)
            }
            _ => None,
        };
        let (identity, evidence, access) = (*identity, talk.evidence.take(), decision.access);
        let settled = Settled { identity, evidence, decision, known, waited, detail };
        if access != Access::Accept {
            // A device that is denied may never come for its reject; the log gets its line now.
            let case = pass.case(now, &settled.identity, settled.evidence.as_deref());
            let facts = case.facts(&settled.known);
            let line = Line { facts: Some(&facts), ..line_of(&settled, &talk.dialogue, pass.arrived) };
            self.tell(pass, &line, now);
            talk.dialogue.is_told = true;
        }
        talk.dialogue.settled = Some(settled);
        let verdict = match access {
            Access::Accept => Verdict::Permit,
            Access::Reject => Verdict::Deny(Alert::AccessDenied),
            Access::Ignore => {
                // The session stays claimed until its time is over, so that repeats are met with silence too.
                self.count_eap(&talk.dialogue, EapResult::Reject);
                self.duplicates.forget(pass.ticket);
                return self.update_inflight();
            }
        };
        let step = talk.dialogue.conversation.decide(verdict);
        self.stride(pass, talk, step, now, out);
    }

    /// The device has what it needs: the accept with the profile and the keys.
    fn let_in(&mut self, pass: Pass<'_>, talk: Box<Talk>, accepted: &Accepted, now: Now, out: &mut dyn Outbox) {
        let Talk { claim, dialogue, .. } = *talk;
        self.dialogues.close(claim);
        let Some(settled) = &dialogue.settled else {
            debug_assert!(false, "nothing is accepted before policy has decided");
            return self.duplicates.forget(pass.ticket);
        };
        let eap = EapPart { packet: Some(&accepted.packet), keys: accepted.keys.as_ref() };
        let mut line = line_of(settled, &dialogue, pass.arrived);
        let Settled { identity, evidence, decision, known, .. } = settled;
        let case = pass.case(now, identity, evidence.as_deref());
        let facts = case.facts(known);
        line.facts = Some(&facts);
        let session = self.session();
        if !self.write_result(pass, &facts, decision, eap, Some(&session)) {
            line.outcome = Outcome::Refused(RejectReason::ReplyTooLarge);
            self.count_eap(&dialogue, EapResult::Reject);
            return self.reject_bare(pass, now, line, out);
        }
        line.session = Some(session);
        self.tell(pass, &line, now);
        self.count_eap(&dialogue, EapResult::Accept);
        self.send(pass, now, out);
    }

    /// The end without access. The log has its line already if the device was told why by an alert.
    fn turn_away(&mut self, pass: Pass<'_>, talk: Box<Talk>, rejected: &Rejected, now: Now, out: &mut dyn Outbox) {
        let Talk { claim, mut dialogue, .. } = *talk;
        self.dialogues.close(claim);
        self.count_eap(&dialogue, EapResult::Reject);
        if !dialogue.is_told {
            dialogue.is_told = true;
            self.tell_end(pass, &dialogue, rejected.reason, rejected.evidence.as_deref(), now);
        }
        self.answer_failure(pass, &rejected.packet, now, out);
    }

    /// A handshake that failed, before the device has acknowledged the alert: some never do.
    fn tell_ending(&mut self, pass: Pass<'_>, talk: &mut Talk, now: Now) {
        let Some(ending) = talk.dialogue.conversation.ending() else { return };
        if talk.dialogue.is_told {
            return;
        }
        let (reason, evidence) = (EapReason::Tls(ending.cause), ending.evidence.clone());
        talk.dialogue.is_told = true;
        self.tell_end(pass, &talk.dialogue, reason, evidence.as_deref(), now);
    }

    fn tell_end(
        &mut self,
        pass: Pass<'_>,
        dialogue: &Dialogue,
        reason: EapReason,
        evidence: Option<&crate::eap::tls::evidence::Evidence>,
        now: Now,
    ) {
        let ours = pass.snapshot.eap_tls.as_ref().map_or("", |settings| settings.context.subject());
        let detail = reason.message(evidence, ours);
        let line = Line {
            method: dialogue.method().name(),
            mac: station_of(&pass.packet),
            outcome: Outcome::Ended(reason),
            evidence,
            dialogue: Some(dialogue.event()),
            detail: Some(&detail),
            ..Line::new(pass.arrived)
        };
        self.tell(pass, &line, now);
    }

    /// A State that leads nowhere, or none where one is needed.
    fn end_without_dialogue(&mut self, pass: Pass<'_>, response: &[u8], now: Now, out: &mut dyn Outbox) {
        self.turn_away_stranger(pass, &without_session(response), now, out);
    }

    fn turn_away_stranger(&mut self, pass: Pass<'_>, rejected: &Rejected, now: Now, out: &mut dyn Outbox) {
        let detail = rejected.reason.message(None, "");
        let line = Line {
            method: Method::Eap.name(),
            mac: station_of(&pass.packet),
            outcome: Outcome::Ended(rejected.reason),
            detail: Some(&detail),
            ..Line::new(pass.arrived)
        };
        self.tell(pass, &line, now);
        self.answer_failure(pass, &rejected.packet, now, out);
    }

    /// An Access-Reject with this EAP packet, after the delay of rejects.
    fn answer_failure(&mut self, pass: Pass<'_>, packet: &[u8], now: Now, out: &mut dyn Outbox) {
        let eap = EapPart { packet: Some(packet), keys: None };
        if pass.draft(eap).write_bare_reject(&mut self.buffer).is_err() {
            return self.shed(pass, now);
        }
        self.delay(pass, now, out);
    }

    pub(super) fn count_eap(&self, dialogue: &Dialogue, result: EapResult) {
        let event = dialogue.event();
        self.cells.eap.cell(result, event.tls, event.resumed).increment_own();
    }
}

fn line_of<'a>(settled: &'a Settled, dialogue: &Dialogue, arrived: Now) -> Line<'a> {
    Line {
        method: settled.identity.method.name(),
        mac: settled.identity.mac,
        outcome: Outcome::Decided(&settled.decision),
        known: Some(&settled.known),
        waited: settled.waited,
        evidence: settled.evidence.as_deref(),
        dialogue: Some(dialogue.event()),
        detail: settled.detail.as_deref(),
        ..Line::new(arrived)
    }
}

/// Whether the port is one for cables, or nothing is said about it: some switches leave NAS-Port-Type out.
///
/// On the air anybody could listen and try passwords; a MAC bypass has no business there.
fn may_be_wired(packet: &Packet<'_>) -> bool {
    packet.value(kind::NAS_PORT_TYPE).is_none() || request::medium(packet) == Some(Medium::Wired)
}

fn tls_offer(pass: &Pass<'_>) -> Option<TlsOffer> {
    let settings = pass.snapshot.eap_tls.as_ref()?;
    let framed_mtu = pass.packet.value(kind::FRAMED_MTU).and_then(integer);
    let fragment_size = pass.client.eap.fragment_size.min(eap_octets_beside(&pass.packet));
    Some(TlsOffer {
        context: Arc::clone(&settings.context),
        options: pass.client.eap.tls,
        packet_octets_max: packet_octets_max(fragment_size, framed_mtu),
    })
}

/// The EAP packet, which may be cut over several attributes.
///
/// Source: RFC 3579 section 3.1.
fn joined(packet: &Packet<'_>) -> Vec<u8> {
    let mut octets = Vec::with_capacity(packet.octets().len());
    packet.all(kind::EAP_MESSAGE).for_each(|part| octets.extend_from_slice(part));
    octets
}
