//! A whole EAP conversation: the product on one side, a device of our own on the other, no sockets.
//!
//! Owns the loop between the two. What each of them is given is the tests' business.

use std::{sync::Arc, time::Duration};

use radmit::{
    clock::Now,
    eap::{
        chance::SeededChance,
        conversation::{Accepted, Begun, Offer, Outline, Question, Rejected, Shown, Step, begin},
        reason::{Reason, Verdict},
        tls::{
            context::{TlsContext, TlsMax, TlsOptions},
            fault::{CertificateFault, TlsFault},
            flow::{Cause, Proven, TlsOffer},
            resume::Resumptions,
            settings::{CrlFailure, File, Settings},
        },
    },
    problem::Problems,
};
use zeroize::Zeroizing;

use super::{
    eap_peer::{End, Peer, Supplicant},
    pki::{Authority, Kind, Leaf, now},
};

/// A server's side of a test.
pub(crate) struct Server {
    pub(crate) settings: Settings,
    pub(crate) resumptions: Arc<Resumptions>,
    pub(crate) options: TlsOptions,
    pub(crate) packet_octets_max: usize,
    pub(crate) verdict: Verdict,
    pub(crate) now: Now,
}

/// What came of a conversation.
pub(crate) struct Talk {
    pub(crate) peer: Peer,
    pub(crate) question: Option<Question>,
    pub(crate) end: Result<Accepted, Rejected>,
    pub(crate) outline: Outline,
}

impl Server {
    pub(crate) fn new(leaf: &Leaf, authorities: &[&Authority]) -> Self {
        let settings = Settings {
            certificate: file("server.pem", leaf.pem.as_bytes()),
            private_key: file("server.key", leaf.key.as_bytes()),
            client_ca: authorities.iter().map(|one| file("client-ca.pem", one.pem().as_bytes())).collect(),
            crl: Vec::new(),
            crl_failure: CrlFailure::Closed,
            ocsp_response: None,
            fragment_size: 1024,
            tls_max: TlsMax::Tls13,
            session_lifetime: Duration::from_secs(8 * 3600),
            tickets: true,
        };
        Self {
            settings,
            resumptions: Arc::default(),
            options: TlsOptions::default(),
            packet_octets_max: 1024,
            verdict: Verdict::Permit,
            now: now(),
        }
    }

    pub(crate) fn context(&self) -> Arc<TlsContext> {
        let mut problems = Problems::new();
        let context = TlsContext::from_settings(&self.settings, self.now.wall, self.resumptions.clone(), &mut problems);
        context.unwrap_or_else(|| panic!("{:?}", problems.sorted()))
    }

    pub(crate) fn offer(&self) -> Offer {
        let (options, packet_octets_max) = (self.options, self.packet_octets_max);
        Offer { tls: Some(TlsOffer { context: self.context(), options, packet_octets_max }), md5: false }
    }

    /// A whole conversation from the identity on.
    pub(crate) fn talk(&self, supplicant: &Supplicant) -> Talk {
        let mut chance = SeededChance::new(1);
        let mut peer = supplicant.begin();
        let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
        let Begun { mut conversation, request } = begin(self.offer(), &identity, &mut chance).unwrap();
        let mut question = None;
        let mut step = Step::Send(request);
        loop {
            step = match step {
                Step::Send(request) => {
                    assert!(request.len() <= self.packet_octets_max.max(100), "the packet fits");
                    let response = peer.answer(&request).unwrap();
                    conversation.step(self.now, &response, &mut chance)
                }
                Step::Decide(asked) => {
                    question = Some(*asked);
                    conversation.decide(self.verdict)
                }
                Step::Repeat(_, broken) => panic!("the device made no mistake: {broken}"),
                Step::Accept(accepted) => {
                    assert_eq!(peer.answer(&accepted.packet), None);
                    return Talk { peer, question, end: Ok(*accepted), outline: conversation.outline() };
                }
                Step::Reject(rejected) => {
                    assert_eq!(peer.answer(&rejected.packet), None);
                    return Talk { peer, question, end: Err(*rejected), outline: conversation.outline() };
                }
            };
        }
    }
}

impl Talk {
    /// It ended well, and both sides have the same keys.
    pub(crate) fn assert_success(&self) {
        let accepted = self.end.as_ref().unwrap_or_else(|rejected| panic!("{:?}", rejected.reason));
        assert_eq!(self.peer.end, Some(End::Success));
        assert_eq!(self.peer.error, None);
        let keys = accepted.keys.as_ref().unwrap();
        let (msk, session_id) = self.peer.keys();
        assert_eq!([keys.receive_key(), keys.send_key()].concat(), msk);
        assert_eq!(keys.session_id(), Some(&session_id[..]));
    }

    pub(crate) fn reason(&self) -> Reason {
        assert_eq!(self.peer.end, Some(End::Failure));
        match &self.end {
            Ok(_) => panic!("let in"),
            Err(rejected) => rejected.reason,
        }
    }

    pub(crate) fn fault(&self) -> CertificateFault {
        match self.reason() {
            Reason::Tls(Cause::Tls(TlsFault::Certificate(fault))) => fault,
            other => panic!("{other}"),
        }
    }

    pub(crate) fn proven(&self) -> &Proven {
        match self.question.as_ref().map(|question| &question.shown) {
            Some(Shown::Certificate(proven)) => proven,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn file(name: &str, octets: &[u8]) -> File {
    File { name: name.into(), place: None, octets: Zeroizing::new(octets.to_vec()) }
}

/// A root for both sides, a server, and a device, all of one kind of key.
pub(crate) fn world(kind: Kind) -> (Authority, Server, Supplicant) {
    let root = Authority::root("Contoso Root", kind);
    let server = Server::new(&root.server(kind), &[&root]);
    let supplicant = Supplicant::new(Some(root.device(kind)), &[root.der()]);
    (root, server, supplicant)
}
