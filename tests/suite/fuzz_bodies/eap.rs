//! Any packets of a device in an EAP conversation: never a panic, an end after a bounded number of rounds, and never an
//! accept that policy did not give to a device that showed who it is.
//!
//! Honest answers of a device of our own lead into the handshake; from anywhere in it the input goes astray.

use std::sync::{Arc, LazyLock};

use radmit::{
    eap::{
        chance::SeededChance,
        conversation::{Begun, Conversation, Offer, Step, begin, without_session},
        packet::{Code, Packet, Response},
        reason::Verdict,
        tls::{
            alert::Alert,
            fragment::{Assembled, Assembly, Fragment},
        },
    },
    limits::{EAP_INVALID_MAX, EAP_ROUNDS_MAX, TLS_MESSAGE_OCTETS_MAX},
};

use crate::support::{
    eap_peer::{Peer, Supplicant, response},
    eap_talk::{Server, world},
    pki::{Kind, now},
};

/// `input`: what is offered, what the first packet is, then steps, each an octet that says which and the octets that it
/// needs; what is missing is 0.
pub(crate) fn check(input: &[u8]) {
    look_inside(input);
    let mut octets = Octets(input);
    let Some(mut play) = Play::begin(&mut octets) else { return };
    while !octets.0.is_empty() && !play.is_over {
        play.step(&mut octets);
    }
}

/// What reads the octets of devices, without a conversation around it.
fn look_inside(octets: &[u8]) {
    let rejected = without_session(octets);
    assert!(Packet::parse(&rejected.packet).is_ok());
    if let Ok(packet) = Packet::parse(octets) {
        assert!(packet.data.len() <= octets.len());
        let _ = Response::parse(packet.data);
    }
    let mut assembly = Assembly::default();
    for data in octets.chunks(7) {
        let Ok(fragment) = Fragment::parse(data) else { continue };
        match assembly.push(&fragment) {
            Ok(Assembled::Whole(whole)) => assert!(whole.len() <= TLS_MESSAGE_OCTETS_MAX),
            Ok(Assembled::Partly) => {}
            Err(_) => return,
        }
    }
}

/// A server and a device with certificates, made once: keys are dear.
static WORLD: LazyLock<(Server, Supplicant, Offer)> = LazyLock::new(|| {
    let (_, server, supplicant) = world(Kind::P256);
    let offer = server.offer();
    (server, supplicant, offer)
});

struct Octets<'i>(&'i [u8]);

impl<'i> Octets<'i> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> &'i [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct Play {
    conversation: Box<Conversation>,
    chance: SeededChance,
    peer: Peer,
    /// What the honest device answers to the last request; `None` once the input went astray with success.
    honest: Option<Vec<u8>>,
    last: Arc<[u8]>,
    packet_octets_max: usize,
    /// Whether policy was asked, and has not answered.
    is_asked: bool,
    /// What policy answered last.
    is_permitted: bool,
    /// How often the same request was given again.
    repeats: u16,
    is_over: bool,
}

impl Play {
    fn begin(octets: &mut Octets<'_>) -> Option<Self> {
        let (server, supplicant, offer) = &*WORLD;
        let kind = octets.next();
        let offer = Offer { tls: offer.tls.clone().filter(|_| kind & 1 == 0), md5: kind & 2 != 0 };
        let first = match octets.next() % 3 {
            0 => response(9, &[1, b'x']),
            1 => Vec::new(),
            _ => octets.take(20).to_vec(),
        };
        let mut chance = SeededChance::new(kind.into());
        let begun = match begin(offer, &first, &mut chance) {
            Ok(begun) => begun,
            Err(rejected) => {
                assert!(Packet::parse(&rejected.packet).is_ok());
                return None;
            }
        };
        let Begun { conversation, request } = begun;
        let mut play = Self {
            conversation,
            chance,
            peer: supplicant.begin(),
            honest: Some(Vec::new()),
            last: Arc::clone(&request),
            packet_octets_max: server.packet_octets_max,
            is_asked: false,
            is_permitted: false,
            repeats: 0,
            is_over: false,
        };
        play.answer_honestly(&request);
        Some(play)
    }

    fn answer_honestly(&mut self, request: &Arc<[u8]>) {
        let packet = Packet::parse(request).expect("what is sent is a whole packet");
        assert_eq!((packet.code, request.len()), (Code::Request, packet.data.len() + 4));
        assert!(request.len() <= self.packet_octets_max);
        self.last = Arc::clone(request);
        self.honest = self.honest.is_some().then(|| self.peer.answer(request)).flatten();
    }

    fn step(&mut self, octets: &mut Octets<'_>) {
        let kind = octets.next();
        if self.is_asked && kind % 4 != 3 {
            self.is_asked = false;
            self.is_permitted = kind.is_multiple_of(4);
            let verdict = if self.is_permitted { Verdict::Permit } else { Verdict::Deny(Alert::AccessDenied) };
            let step = self.conversation.decide(verdict);
            return self.follow(step, true);
        }
        let identifier = self.last[1];
        let (packet, is_honest) = match (kind % 8, self.honest.clone()) {
            (0..=3, Some(honest)) => (honest, true),
            (4, Some(mut honest)) => {
                let at = usize::from(octets.next()) % honest.len();
                honest[at] ^= octets.next() | 1;
                (honest, false)
            }
            (5, _) => {
                let count = usize::from(octets.next());
                (octets.take(count).to_vec(), false)
            }
            _ => {
                let count = usize::from(octets.next());
                let data = octets.take(count);
                let method: &[u8] = if kind & 0x10 == 0 { &[13] } else { &[] };
                (response(identifier, &[method, data].concat()), false)
            }
        };
        let step = self.conversation.step(now(), &packet, &mut self.chance);
        self.follow(step, is_honest);
    }

    fn follow(&mut self, step: Step, is_honest: bool) {
        match step {
            Step::Send(request) => {
                assert_eq!(request[1], self.last[1].wrapping_add(1), "each request has the next identifier");
                if !is_honest {
                    self.honest = None;
                }
                self.answer_honestly(&request);
            }
            Step::Repeat(request, _) => {
                assert_eq!(request, self.last, "the last request is given again");
                self.repeats += 1;
                assert!(self.repeats <= EAP_INVALID_MAX.into());
            }
            Step::Decide(_) => self.is_asked = true,
            Step::Accept(accepted) => {
                assert!(self.is_permitted, "policy did not let it in");
                assert_eq!(Packet::parse(&accepted.packet).map(|packet| packet.code), Ok(Code::Success));
                self.is_over = true;
            }
            Step::Reject(rejected) => {
                assert!(Packet::parse(&rejected.packet).is_ok_and(|packet| packet.code != Code::Success));
                self.is_over = true;
            }
        }
        assert!(self.conversation.outline().rounds <= EAP_ROUNDS_MAX);
    }
}
