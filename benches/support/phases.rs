//! The phases of a MAC bypass, one by one, over requests of full batches.
//!
//! Owns what each phase needs from the one before, made outside of what is measured. The engine does the same with its
//! tables around it.

use std::{hint::black_box, sync::Arc, time::Duration};

use radmit::{
    clock::{self, Now},
    engine::{
        action::{Peer, Port, Route},
        admit::{Admitted, admit},
        authenticate::{Authenticated, Macs, authenticate},
        client::Client,
        decide::{Case, RequestPlace},
        identity::Identity,
        lookup::{Known, Limits, Pursuit, Step, advance},
        reply::{Draft, EapPart, Marks},
        snapshot::Snapshot,
    },
    limits::BATCH_DATAGRAMS,
    policy::decision::SetIndex,
    radius::{checks::Checks, code::Code, packet::Packet, reply::ReplyBuffer, signing::Signing},
};

use super::{fleet, measured, nas, server::Server};

/// Requests, and the configuration under which they come.
struct Stand {
    now: Now,
    snapshot: Arc<Snapshot>,
    requests: Vec<Vec<u8>>,
}

impl Stand {
    fn new(calls: u64) -> Self {
        let now = clock::now();
        let (secret, mut switch) = (nas::secret(), nas::Switch::new(1));
        let mut request = |number: u64| {
            let identifier = u8::try_from(number % 256).expect("it is below 256");
            switch.mac_bypass(identifier, nas::mac(number), &secret).to_vec()
        };
        let requests = (0..calls).map(&mut request).collect();
        let server = Server::new(Arc::new(fleet::directory(calls, now)), 1, 1);
        Self { now, snapshot: server.shared.load_full(), requests }
    }

    fn client(&self) -> &Arc<Client> {
        self.snapshot.clients.find([127, 0, 0, 1].into()).expect("it covers loopback")
    }

    fn packet(&self, number: u64) -> Packet<'_> {
        let octets = &self.requests[usize::try_from(number).expect("there are few")];
        Packet::parse(octets).expect("it was just written")
    }

    fn all_admitted(&self) -> Vec<Admitted<'_>> {
        let (client, mut checks) = (self.client(), Checks::new());
        let packets: Vec<_> = (0..self.requests.len() as u64).map(|number| self.packet(number)).collect();
        let added: Vec<_> = packets.iter().map(|packet| checks.add(packet, &client.secret)).collect();
        checks.run();
        let admitted = packets.into_iter().zip(added).map(|(packet, added)| {
            let proof = checks.proof(added, &packet).expect("it was added");
            admit(packet, Port::Auth, client, proof).expect("it is signed")
        });
        admitted.collect()
    }

    fn identity(&self, admitted: &Admitted<'_>) -> Identity {
        match authenticate(admitted, &Macs::read(&admitted.packet), self.client()) {
            Authenticated::Device(identity) => identity,
            rejected @ Authenticated::Rejected { .. } => panic!("{rejected:?}"),
        }
    }

    fn case<'a>(&'a self, packet: Packet<'a>, identity: &'a Identity) -> Case<'a> {
        Case {
            now: self.now,
            snapshot: &self.snapshot,
            packet,
            peer: Peer {
                address: ([127, 0, 0, 1], 40_000).into(),
                route: Route { listener: 0, local: None, interface: 0 },
            },
            client: self.client(),
            place: RequestPlace::of(&packet),
            identity,
            evidence: None,
        }
    }

    fn known(&self, set: SetIndex, packet: &Packet<'_>, identity: &Identity) -> Known {
        let decide_by = self.now.mono.plus(Duration::from_secs(3));
        let servers = self.snapshot.servers_of(set);
        match advance(&mut Pursuit::default(), servers, identity, packet, self.now, Limits { decide_by }) {
            Step::Known(known) => known,
            asking @ Step::Ask { .. } => panic!("all devices are known: {asking:?}"),
        }
    }
}

/// Calls `one` with the first number of each full batch.
fn in_batches(calls: u64, one: &mut dyn FnMut(u64)) {
    let batch = BATCH_DATAGRAMS as u64;
    measured(calls / batch, &mut |at| one(at * batch));
}

/// Parsing, the hashes of the batch, and the rules of admission.
pub(crate) fn admit_all(calls: u64) {
    let stand = Stand::new(calls);
    let (client, mut checks) = (stand.client(), Checks::new());
    in_batches(calls, &mut |first| {
        checks.clear();
        let mut packets = [const { None }; BATCH_DATAGRAMS];
        for (place, number) in packets.iter_mut().zip(first..) {
            let packet = stand.packet(number);
            *place = Some((packet, checks.add(&packet, &client.secret)));
        }
        checks.run();
        for (packet, number) in packets.into_iter().flatten() {
            let proof = checks.proof(number, &packet).expect("it was added");
            assert!(admit(packet, Port::Auth, client, proof).is_ok());
        }
    });
}

/// From an admitted request to an identity.
pub(crate) fn authenticate_all(calls: u64) {
    let stand = Stand::new(calls);
    let (client, admitted) = (stand.client(), stand.all_admitted());
    measured(calls, &mut |number| {
        let admitted = &admitted[usize::try_from(number).expect("there are few")];
        let macs = Macs::read(&black_box(admitted).packet);
        assert!(matches!(authenticate(admitted, &macs, client), Authenticated::Device(_)));
    });
}

/// From an identity to what device management knows.
pub(crate) fn look_up_all(calls: u64) {
    let stand = Stand::new(calls);
    let admitted = stand.all_admitted();
    let identities: Vec<_> = admitted.iter().map(|admitted| stand.identity(admitted)).collect();
    let set = stand.case(admitted[0].packet, &identities[0]).choose_set().expect("there is a set for switches");
    measured(calls, &mut |number| {
        let at = usize::try_from(number).expect("there are few");
        assert!(black_box(stand.known(set, &admitted[at].packet, &identities[at])).record.is_some());
    });
}

/// The policy set, and the first rule of it that holds.
pub(crate) fn decide_all(calls: u64) {
    let stand = Stand::new(calls);
    let admitted = stand.all_admitted();
    let (packet, identity) = (admitted[0].packet, stand.identity(&admitted[0]));
    let set = stand.case(packet, &identity).choose_set().expect("there is a set for switches");
    let known = stand.known(set, &packet, &identity);
    measured(calls, &mut |_| {
        let case = stand.case(packet, &identity);
        let set = case.choose_set();
        let decision = stand.snapshot.policy.decide(set, &case.facts(black_box(&known)));
        assert!(black_box(decision).rule.is_some());
    });
}

/// The attributes of the reply, and the signatures of the batch.
pub(crate) fn reply_to_all(calls: u64) {
    let stand = Stand::new(calls);
    let admitted = stand.all_admitted();
    let (packet, identity) = (admitted[0].packet, stand.identity(&admitted[0]));
    let case = stand.case(packet, &identity);
    let known = stand.known(case.choose_set().expect("there is a set for switches"), &packet, &identity);
    let facts = case.facts(&known);
    let (policy, client) = (&stand.snapshot.policy, stand.client());
    let decision = policy.decide(case.choose_set(), &facts);
    let (mut buffer, mut signing) = (ReplyBuffer::new(), Signing::new());
    let marks = Marks { session: Some(&[7; 16]), pseudonym: None };
    in_batches(calls, &mut |_| {
        signing.clear();
        for _ in 0..BATCH_DATAGRAMS {
            let plan = policy.reply(black_box(decision.result), client.vendor).expect("the vendor can say it");
            let draft = Draft { packet, client, eap: EapPart::default() };
            draft.write(&mut buffer, Code::ACCESS_ACCEPT, plan, &policy.fact_texts(&facts), marks, 1).expect("it fits");
            signing.add(&mut buffer, packet.authenticator(), &client.secret);
        }
        signing.run();
    });
}
