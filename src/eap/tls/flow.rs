//! EAP-TLS from its start to its end: one type for each state, each with what may come next.
//!
//! Owns the order of fragments, acknowledgements, handshake and decision. Identifiers, rounds and Naks stand above.

use std::sync::Arc;

use crate::clock::Now;

use super::{
    alert::Alert,
    context::{TlsContext, TlsMax, TlsOptions},
    evidence::Evidence,
    fault::TlsFault,
    fragment::{ACKNOWLEDGEMENT, Assembled, Assembly, Fragment, FragmentFault, Outgoing, START_DATA},
    handshake::{Established, Failed, Handshake, Progress, begin},
    keys::Keys,
};

use super::super::packet::Broken;

/// What a conversation brings into EAP-TLS.
#[derive(Clone, Debug)]
pub struct TlsOffer {
    /// Our certificate, whom we trust.
    pub context: Arc<TlsContext>,
    /// What this client's devices can do.
    pub options: TlsOptions,
    /// The longest EAP packet, from [`super::fragment::packet_octets_max`].
    pub packet_octets_max: usize,
}

/// An EAP-TLS conversation.
#[derive(Debug)]
pub struct Flow {
    offer: TlsOffer,
    phase: Phase,
    version: Option<TlsMax>,
    is_resumed: bool,
    sent: usize,
}

#[derive(Debug)]
enum Phase {
    /// We said "start" and nothing came yet.
    Started,
    /// The device is sending a flight in pieces.
    Receiving(Receiving),
    /// We are sending a flight in pieces.
    Sending(Sending),
    /// Our flight is out; the device's next is due.
    Waiting(Box<Handshake>),
    /// Policy is being asked.
    Deciding(Box<Established>),
    /// We have promised success; the device has to acknowledge it.
    Committed(Committed),
    /// We have said why not; anything ends it.
    Alerted(Box<Ending>),
    /// It is over.
    Over,
}

#[derive(Debug)]
struct Receiving {
    assembly: Assembly,
    // None while the first flight comes.
    handshake: Option<Box<Handshake>>,
}

#[derive(Debug)]
struct Sending {
    outgoing: Outgoing,
    after: After,
}

#[derive(Debug)]
struct Committed {
    keys: Keys,
    handshake: Box<Handshake>,
}

/// What follows when a flight is out.
#[derive(Debug)]
enum After {
    Wait(Box<Handshake>),
    Commit(Committed),
    End(Box<Ending>),
}

/// Why it ends without access.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Why.
    pub cause: Cause,
    /// What the device's certificate says, as far as it was presented.
    pub evidence: Option<Arc<Evidence>>,
}

/// Why EAP-TLS ends without access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The handshake.
    Tls(TlsFault),
    /// The fragments.
    Fragment(FragmentFault),
    /// The device has nothing more to say, although it was its turn.
    GaveUp,
    /// Policy.
    Denied(Alert),
    /// A fault of ours.
    Internal,
}

/// What comes of a response.
#[derive(Debug)]
pub enum Turn {
    /// Ask with these data.
    Ask(Vec<u8>),
    /// Ask policy, then call [`Flow::decide`].
    Decide(Box<Proven>),
    /// Let the device in.
    Accept(Keys),
    /// Turn the device away.
    Reject(Box<Ending>),
    /// Not a response that can be used; nothing has changed.
    Broken(Broken),
}

/// What the device has proven.
#[derive(Clone, Debug)]
pub struct Proven {
    /// What its certificate says.
    pub evidence: Arc<Evidence>,
    /// The version of TLS.
    pub version: TlsMax,
    /// Whether the proof is from an earlier conversation.
    pub is_resumed: bool,
}

impl Flow {
    /// A conversation, and the data of the request that begins it.
    #[must_use]
    pub fn start(offer: TlsOffer) -> (Self, Vec<u8>) {
        (Self { offer, phase: Phase::Started, version: None, is_resumed: false, sent: 0 }, START_DATA.to_vec())
    }

    /// Whether the device may still refuse the method.
    #[must_use]
    pub const fn may_be_refused(&self) -> bool {
        matches!(self.phase, Phase::Started)
    }

    /// The version of TLS, once the handshake succeeded.
    #[must_use]
    pub const fn version(&self) -> Option<TlsMax> {
        self.version
    }

    /// Whether a session was resumed.
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Octets of TLS that were sent so far.
    #[must_use]
    pub const fn sent(&self) -> usize {
        self.sent
    }

    /// Why it is about to end without access, if it is.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        match &self.phase {
            Phase::Alerted(ending) | Phase::Sending(Sending { after: After::End(ending), .. }) => Some(ending),
            _ => None,
        }
    }

    /// Whether the data complete a flight of the handshake.
    #[must_use]
    pub fn is_costly(&self, data: &[u8]) -> bool {
        let expects_flight = matches!(self.phase, Phase::Started | Phase::Receiving(_) | Phase::Waiting(_));
        expects_flight && Fragment::parse(data).is_ok_and(|fragment| !fragment.more && !fragment.is_acknowledgement())
    }

    /// Takes the data of a response.
    pub fn respond(&mut self, now: Now, data: &[u8]) -> Turn {
        if matches!(self.phase, Phase::Deciding(_) | Phase::Over) {
            return Turn::Broken(Broken::NotExpected);
        }
        let fragment = match Fragment::parse(data) {
            Ok(fragment) => fragment,
            Err(broken) => return Turn::Broken(broken),
        };
        if matches!(self.phase, Phase::Sending(_)) && !fragment.is_acknowledgement() {
            return Turn::Broken(Broken::AcknowledgementExpected);
        }
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Started => {
                self.receive(now, Receiving { assembly: Assembly::default(), handshake: None }, &fragment)
            }
            Phase::Receiving(receiving) => self.receive(now, receiving, &fragment),
            Phase::Waiting(handshake) => {
                self.receive(now, Receiving { assembly: Assembly::default(), handshake: Some(handshake) }, &fragment)
            }
            Phase::Sending(sending) => self.send(sending),
            Phase::Committed(committed) if fragment.is_acknowledgement() => Turn::Accept(committed.keys),
            Phase::Committed(committed) => reject(Cause::Tls(committed.handshake.last_words(fragment.octets)), None),
            Phase::Alerted(ending) => Turn::Reject(ending),
            Phase::Deciding(_) | Phase::Over => Turn::Broken(Broken::NotExpected),
        }
    }

    fn receive(&mut self, now: Now, mut receiving: Receiving, fragment: &Fragment<'_>) -> Turn {
        // Where a flight is due, nothing at all means that the device has given up: some acknowledge our Finished so
        // when they don't like it.
        if fragment.is_acknowledgement() {
            return reject(Cause::GaveUp, None);
        }
        match receiving.assembly.push(fragment) {
            Ok(Assembled::Partly) => {
                self.phase = Phase::Receiving(receiving);
                Turn::Ask(ACKNOWLEDGEMENT.to_vec())
            }
            Ok(Assembled::Whole(flight)) => {
                let progress = match receiving.handshake {
                    Some(handshake) => handshake.feed(now, &flight),
                    None => begin(&self.offer.context, self.offer.options, now, &flight),
                };
                self.proceed(progress)
            }
            Err(fault) => reject(Cause::Fragment(fault), None),
        }
    }

    fn proceed(&mut self, progress: Progress) -> Turn {
        match progress {
            Progress::Flight(flight, handshake) => self.begin_sending(flight, After::Wait(handshake)),
            Progress::Established(established) => {
                self.version = Some(established.version());
                self.is_resumed = established.is_resumed();
                let proven = Proven {
                    evidence: established.proof().evidence.clone(),
                    version: established.version(),
                    is_resumed: established.is_resumed(),
                };
                self.phase = Phase::Deciding(established);
                Turn::Decide(Box::new(proven))
            }
            Progress::Failed(Failed { alert, fault, evidence }) => {
                self.end(alert, Ending { cause: Cause::Tls(fault), evidence })
            }
        }
    }

    /// Goes on after [`Turn::Decide`]. `Err`: the alert to deny with.
    pub fn decide(&mut self, verdict: Result<(), Alert>) -> Turn {
        let established = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Deciding(established) => established,
            other => {
                self.phase = other;
                return Turn::Broken(Broken::NotExpected);
            }
        };
        let evidence = Some(established.proof().evidence.clone());
        if let Err(alert) = verdict {
            return self.end(established.deny(alert), Ending { cause: Cause::Denied(alert), evidence });
        }
        let Some(permitted) = established.permit() else { return reject(Cause::Internal, evidence) };
        if permitted.flight.is_empty() {
            // TLS 1.2, resumed: the device's Finished was the last word.
            return Turn::Accept(permitted.keys);
        }
        let committed = Committed { keys: permitted.keys, handshake: permitted.handshake };
        self.begin_sending(permitted.flight, After::Commit(committed))
    }

    fn end(&mut self, alert: Vec<u8>, ending: Ending) -> Turn {
        if alert.is_empty() {
            return Turn::Reject(Box::new(ending));
        }
        self.begin_sending(alert, After::End(Box::new(ending)))
    }

    fn begin_sending(&mut self, flight: Vec<u8>, after: After) -> Turn {
        self.send(Sending { outgoing: Outgoing::new(flight, self.offer.packet_octets_max), after })
    }

    fn send(&mut self, mut sending: Sending) -> Turn {
        let before = sending.outgoing.sent();
        let data = sending.outgoing.next_data();
        self.sent += sending.outgoing.sent() - before;
        self.phase = if sending.outgoing.is_sent() {
            match sending.after {
                After::Wait(handshake) => Phase::Waiting(handshake),
                After::Commit(committed) => Phase::Committed(committed),
                After::End(ending) => Phase::Alerted(ending),
            }
        } else {
            Phase::Sending(sending)
        };
        Turn::Ask(data)
    }
}

fn reject(cause: Cause, evidence: Option<Arc<Evidence>>) -> Turn {
    Turn::Reject(Box::new(Ending { cause, evidence }))
}
