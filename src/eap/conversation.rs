//! One EAP conversation: packets in, requests and the end out, with a stop where policy decides.
//!
//! Owns identifiers, rounds, Naks and the choice of the method. Which session a packet belongs to is known by `sessions`,
//! what the network says around it by whoever calls.
//!
//! ```text
//! begin -> Send … step -> Send … step -> Decide, decide -> Send … step -> Accept
//!                  step -> Reject                  decide -> Send (alert) … step -> Reject
//! ```

use std::{sync::Arc, time::Duration};

use crate::{clock::Now, limits};

use super::{
    chance::Chance,
    md5::{Challenge, Md5Proof},
    method::{Method, Wanted},
    packet::{self, Broken, Code, Packet, Response},
    reason::{Reason, Verdict},
    tls::{
        context::TlsMax,
        evidence::Evidence,
        flow::{Ending, Flow, Proven, TlsOffer, Turn},
        keys::Keys,
    },
};

/// What may be used with a device.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// EAP-TLS. Tried first.
    pub tls: Option<TlsOffer>,
    /// EAP-MD5: only for MAC bypass, never on the air.
    pub md5: bool,
}

/// A conversation that has begun.
#[derive(Debug)]
pub struct Conversation {
    offer: Offer,
    state: State,
    method: Option<Method>,
    identity: Vec<u8>,
    // Of the last request, which the next response must answer.
    identifier: u8,
    last: Arc<[u8]>,
    rounds: u16,
    invalid: u8,
    octets_in: usize,
    octets_out: usize,
}

#[derive(Debug)]
enum State {
    /// We asked who it is.
    Identifying,
    /// EAP-MD5: a challenge is out.
    Challenged(Challenge),
    /// EAP-MD5: policy is being asked.
    JudgingMd5,
    /// EAP-TLS, at whatever point it is.
    Tls(Box<Flow>),
    /// It is over.
    Over,
}

/// A conversation and its first request.
#[derive(Debug)]
pub struct Begun {
    /// To be kept with the session.
    pub conversation: Box<Conversation>,
    /// The EAP-Request to send.
    pub request: Arc<[u8]>,
}

/// What follows a packet or a verdict.
#[derive(Debug)]
pub enum Step {
    /// Send this EAP-Request.
    Send(Arc<[u8]>),
    /// The packet can't be used; send the last EAP-Request again, which asks for a better one.
    Repeat(Arc<[u8]>, Broken),
    /// Decide, then call [`Conversation::decide`]. There is no hurry but the client's.
    Decide(Box<Question>),
    /// Let the device in.
    Accept(Box<Accepted>),
    /// Turn the device away.
    Reject(Box<Rejected>),
}

/// What policy has to judge.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the device calls itself. Nobody has checked it, and it may be empty or anonymous: never authorize by it.
    pub identity: Box<[u8]>,
    /// What the device has shown.
    pub shown: Shown,
}

/// What a device has shown.
#[derive(Clone, Debug)]
pub enum Shown {
    /// A certificate that is good, and that it has its key.
    Certificate(Proven),
    /// An answer to hold against passwords.
    Md5(Md5Proof),
}

/// The end with access.
#[derive(Debug)]
pub struct Accepted {
    /// The EAP-Success.
    pub packet: Vec<u8>,
    /// The keys of EAP-TLS; EAP-MD5 has none.
    pub keys: Option<Keys>,
}

/// The end without access.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// The EAP-Failure; for a request from the device a Nak.
    pub packet: Vec<u8>,
    /// Why.
    pub reason: Reason,
    /// What the device's certificate says, as far as it was presented.
    pub evidence: Option<Arc<Evidence>>,
}

/// What a conversation was about, for logs and counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The method, once it is chosen.
    pub method: Option<Method>,
    /// The version of TLS, once the handshake succeeded.
    pub version: Option<TlsMax>,
    /// Whether a session was resumed.
    pub is_resumed: bool,
    /// Requests that were sent.
    pub rounds: u16,
    /// Octets of EAP that came.
    pub octets_in: usize,
    /// Octets of EAP that went.
    pub octets_out: usize,
}

impl Outline {
    /// `T210`: what to tell about a conversation whose device fell silent for `silent`.
    #[must_use]
    pub fn stalled_message(&self, silent: Duration) -> String {
        format!(
            "T210 the handshake stalled after {} octets, round {}, no reply in {} s. If others behind this client stall at the \
             same place, something between here and there drops large packets: try a smaller fragment-size",
            self.octets_out,
            self.rounds,
            silent.as_secs(),
        )
    }
}

/// Begins a conversation with a device's first packet. An empty packet is EAP-Start: we ask who it is.
///
/// Source: RFC 3579 section 2.1; section 2.6.2 for a request from the device.
///
/// # Errors
/// The end, if there is nothing to begin with.
pub fn begin(offer: Offer, octets: &[u8], chance: &mut dyn Chance) -> Result<Begun, Box<Rejected>> {
    let mut first = [0];
    chance.fill(&mut first);
    let mut conversation = Box::new(Conversation {
        offer,
        state: State::Identifying,
        method: None,
        identity: Vec::new(),
        identifier: first[0],
        last: Arc::default(),
        rounds: 0,
        invalid: 0,
        octets_in: octets.len(),
        octets_out: 0,
    });
    if octets.is_empty() {
        let request = conversation.request(Method::IDENTITY, &[]);
        return Ok(Begun { conversation, request });
    }
    let identifier = octets.get(1).copied().unwrap_or_default();
    let packet = Packet::parse(octets).map_err(|broken| ended(identifier, Reason::Broken(broken)))?;
    if packet.code == Code::Request {
        return Err(request_from_device(packet.identifier));
    }
    if packet.code != Code::Response {
        return Err(ended(identifier, Reason::Broken(Broken::NotAResponse)));
    }
    let response = Response::parse(packet.data).map_err(|broken| ended(identifier, Reason::Broken(broken)))?;
    let Response::Method(Method::IDENTITY, identity) = response else {
        return Err(ended(identifier, Reason::NoConversation));
    };
    conversation.identifier = identifier;
    match conversation.identified(identity, chance) {
        Step::Send(request) => Ok(Begun { conversation, request }),
        Step::Reject(rejected) => Err(rejected),
        Step::Repeat(_, broken) => Err(ended(identifier, Reason::Broken(broken))),
        // An identity alone decides nothing.
        Step::Decide(_) | Step::Accept(_) => Err(ended(identifier, Reason::NoConversation)),
    }
}

/// The end for a response whose session is not known, such as one with an old or a foreign State.
#[must_use]
pub fn without_session(octets: &[u8]) -> Box<Rejected> {
    let identifier = octets.get(1).copied().unwrap_or_default();
    match Packet::parse(octets) {
        Ok(packet) if packet.code == Code::Request => request_from_device(packet.identifier),
        Ok(packet) if packet.code == Code::Response => ended(identifier, Reason::NoConversation),
        Ok(_) => ended(identifier, Reason::Broken(Broken::NotAResponse)),
        Err(broken) => ended(identifier, Reason::Broken(broken)),
    }
}

impl Conversation {
    /// Takes the device's next packet.
    pub fn step(&mut self, now: Now, octets: &[u8], chance: &mut dyn Chance) -> Step {
        self.octets_in = self.octets_in.saturating_add(octets.len());
        let packet = match Packet::parse(octets) {
            Ok(packet) => packet,
            Err(broken) => return self.invalid(broken),
        };
        match packet.code {
            Code::Response if packet.identifier == self.identifier => {}
            Code::Response => return self.invalid(Broken::WrongIdentifier),
            Code::Request => {
                self.state = State::Over;
                return Step::Reject(request_from_device(packet.identifier));
            }
            Code::Success | Code::Failure => return self.invalid(Broken::NotAResponse),
        }
        match Response::parse(packet.data) {
            Ok(Response::Nak(wanted)) => self.refused(wanted, chance),
            Ok(Response::Method(method, data)) => self.answered(now, method, data, chance),
            Ok(Response::Vendor) => self.invalid(Broken::WrongMethod),
            Err(broken) => self.invalid(broken),
        }
    }

    /// Goes on after [`Step::Decide`].
    ///
    /// A denial in EAP-TLS first tells the device why: one more request, and the end follows its answer.
    pub fn decide(&mut self, verdict: Verdict) -> Step {
        if let State::Tls(flow) = &mut self.state {
            let turn = flow.decide(match verdict {
                Verdict::Permit => Ok(()),
                Verdict::Deny(alert) => Err(alert),
            });
            return self.turned(turn);
        }
        let was_asked = matches!(self.state, State::JudgingMd5);
        self.state = State::Over;
        match verdict {
            Verdict::Permit if was_asked => self.accept(None),
            _ => Step::Reject(ended(self.identifier, Reason::Denied)),
        }
    }

    /// Whether the packet completes a flight of a handshake: signatures are made and verified then, which takes a hundred
    /// times as long as anything else here.
    #[must_use]
    pub fn is_costly(&self, octets: &[u8]) -> bool {
        let State::Tls(flow) = &self.state else { return false };
        let Ok(packet) = Packet::parse(octets) else { return false };
        match Response::parse(packet.data) {
            Ok(Response::Method(Method::TLS, data)) => flow.is_costly(data),
            _ => false,
        }
    }

    /// What the device calls itself.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// The last EAP-Request, for devices that ask again.
    #[must_use]
    pub const fn last_request(&self) -> &Arc<[u8]> {
        &self.last
    }

    /// What it was about so far.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let (version, is_resumed) = match &self.state {
            State::Tls(flow) => (flow.version(), flow.is_resumed()),
            _ => (None, false),
        };
        let Self { method, rounds, octets_in, octets_out, .. } = *self;
        Outline { method, version, is_resumed, rounds, octets_in, octets_out }
    }

    /// Why it is about to end without access, while the device has still to hear of it.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        if let State::Tls(flow) = &self.state { flow.ending() } else { None }
    }

    fn answered(&mut self, now: Now, method: Method, data: &[u8], chance: &mut dyn Chance) -> Step {
        match (&mut self.state, method) {
            (State::Identifying, Method::IDENTITY) => self.identified(data, chance),
            (State::Challenged(challenge), Method::MD5) => match challenge.answered(self.identifier, data) {
                Ok(proof) => {
                    self.state = State::JudgingMd5;
                    self.ask_policy(Shown::Md5(proof))
                }
                Err(broken) => self.invalid(broken),
            },
            (State::Tls(flow), Method::TLS) => {
                let turn = flow.respond(now, data);
                self.turned(turn)
            }
            (State::JudgingMd5 | State::Over, _) => self.invalid(Broken::NotExpected),
            _ => self.invalid(Broken::WrongMethod),
        }
    }

    fn identified(&mut self, identity: &[u8], chance: &mut dyn Chance) -> Step {
        if identity.len() > limits::EAP_IDENTITY_OCTETS_MAX {
            return self.invalid(Broken::IdentityTooLong);
        }
        self.identity = identity.to_vec();
        if let Some(offer) = self.offer.tls.clone() {
            let (flow, data) = Flow::start(offer);
            self.state = State::Tls(Box::new(flow));
            self.method = Some(Method::TLS);
            return self.ask(Method::TLS, &data);
        }
        if self.offer.md5 {
            return self.challenge(chance);
        }
        self.reject(Reason::NothingOffered, None)
    }

    /// A Nak counts only before the method has begun.
    ///
    /// Source: RFC 3748 section 5.3.1.
    fn refused(&mut self, wanted: Wanted, chance: &mut dyn Chance) -> Step {
        match &self.state {
            State::Tls(flow) if flow.may_be_refused() => {
                if self.offer.md5 && wanted.contains(Method::MD5) {
                    return self.challenge(chance);
                }
                self.reject(Reason::Refused(wanted), None)
            }
            State::Challenged(_) => self.reject(Reason::Refused(wanted), None),
            _ => self.invalid(Broken::LateNak),
        }
    }

    fn challenge(&mut self, chance: &mut dyn Chance) -> Step {
        let challenge = Challenge::new(chance);
        let data = challenge.data();
        self.state = State::Challenged(challenge);
        self.method = Some(Method::MD5);
        self.ask(Method::MD5, &data)
    }

    fn turned(&mut self, turn: Turn) -> Step {
        match turn {
            Turn::Ask(data) => self.ask(Method::TLS, &data),
            Turn::Decide(proven) => self.ask_policy(Shown::Certificate(*proven)),
            Turn::Accept(keys) => self.accept(Some(keys)),
            Turn::Reject(ending) => self.reject(Reason::Tls(ending.cause), ending.evidence),
            Turn::Broken(broken) => self.invalid(broken),
        }
    }

    fn ask_policy(&self, shown: Shown) -> Step {
        Step::Decide(Box::new(Question { identity: self.identity.clone().into(), shown }))
    }

    /// A conversation that only goes round in circles ends before its client gives up on us.
    fn ask(&mut self, method: Method, data: &[u8]) -> Step {
        if self.rounds >= limits::EAP_ROUNDS_MAX {
            return self.reject(Reason::TooManyRounds, None);
        }
        Step::Send(self.request(method, data))
    }

    fn request(&mut self, method: Method, data: &[u8]) -> Arc<[u8]> {
        self.rounds += 1;
        self.identifier = self.identifier.wrapping_add(1);
        self.last = packet::request(self.identifier, method, data).into();
        self.octets_out = self.octets_out.saturating_add(self.last.len());
        self.last.clone()
    }

    /// Source: RFC 3579 section 2.2.
    fn invalid(&mut self, broken: Broken) -> Step {
        self.invalid += 1;
        if self.invalid > limits::EAP_INVALID_MAX || matches!(self.state, State::Over) {
            return self.reject(Reason::Broken(broken), None);
        }
        Step::Repeat(self.last.clone(), broken)
    }

    /// Source: RFC 3748 section 4.2: the identifier of the response that is answered.
    fn accept(&self, keys: Option<Keys>) -> Step {
        Step::Accept(Box::new(Accepted { packet: packet::success(self.identifier), keys }))
    }

    fn reject(&self, reason: Reason, evidence: Option<Arc<Evidence>>) -> Step {
        Step::Reject(Box::new(Rejected { packet: packet::failure(self.identifier), reason, evidence }))
    }
}

fn ended(identifier: u8, reason: Reason) -> Box<Rejected> {
    Box::new(Rejected { packet: packet::failure(identifier), reason, evidence: None })
}

fn request_from_device(identifier: u8) -> Box<Rejected> {
    let packet = packet::nak_to_a_request(identifier);
    Box::new(Rejected { packet, reason: Reason::RequestFromDevice, evidence: None })
}
