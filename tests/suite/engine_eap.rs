//! EAP through the whole engine: challenges, decisions, keys, and who may go on with a conversation.
//!
//! Owns what RADIUS and policy add to a conversation. The conversation itself is tested in `eap` and its neighbours.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use radmit::{
    audit::{log::Log, settings::Destination},
    clock::Mono,
    device::{
        question::{Failure, Key, Outcome, ServerIndex},
        record::Compliance,
    },
    eap::tls::context::{TlsMax, TlsOptions},
    engine::{
        action::Port,
        client::MabPassword,
        machine::Machine as _,
        snapshot::EapTls,
        work::{Work, Workers},
    },
    policy::replay,
    radius::{
        code::Code,
        hidden::{HiddenBuffer, reveal_salted},
        kind,
        packet::Packet,
        secret::Secret,
    },
};

use crate::support::{
    eap_peer::{End, Peer, Supplicant},
    eap_talk::{Server, world as talk_world},
    pki::{self, Authority, Kind},
    world::{SECRET, Setting, World, swap_client},
};

/// The MAC and the id of the device that the certificates of these tests name.
const STATION: &str = "A4-C3-F0-11-22-33";

const POLICY: &str = r#"
version = 1
[policy-set]
name = "eap"
methods = ["eap-tls", "eap-md5"]
default = "deny"

[[rule]]
name = "Compliant"
when = { session.method = "eap-tls", identity.proven = true, mdm.compliant = true, certificate.issuer-cn = "Contoso Root" }
result = "employee"
[[rule]]
name = "Phone"
when = { session.method = "eap-md5", mdm.compliant = true }
result = "phone"
[[rule]]
name = "Nothing said"
when = { mdm.compliance = "unknown" }
result = "silent"
[[rule]]
name = "Outage"
when = { mdm.reachable = false }
result = "quarantine"

[profile.employee]
access = "accept"
vlan = 20
[profile.employee.attributes]
User-Name = "{certificate.subject-cn}"
[profile.phone]
access = "accept"
vlan = 30
[profile.quarantine]
access = "accept"
vlan = 66
[profile.silent]
access = "ignore"
[profile.deny]
access = "reject"
[profile.deny.attributes]
Reply-Message = "no"
"#;

/// A toy world that offers EAP-TLS, and a device with a certificate of its authority.
struct Campus {
    world: World,
    supplicant: Supplicant,
    state: Option<Vec<u8>>,
    /// Proxy-States of every request.
    proxy_states: Vec<Vec<u8>>,
    port: u16,
}

impl Campus {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Setting)) -> Self {
        let (_, server, supplicant) = talk_world(Kind::P256);
        Self::of(&server, supplicant, change)
    }

    fn of(server: &Server, supplicant: Supplicant, change: impl FnOnce(&mut Setting)) -> Self {
        let eap_tls = EapTls { context: server.context(), device_id_issuers: Box::default() };
        let mut setting = Setting { policy: POLICY, eap_tls: Some(eap_tls), ..Setting::default() };
        change(&mut setting);
        let mut world = World::with(setting);
        world.now.wall = pki::now().wall;
        Self { world, supplicant, state: None, proxy_states: Vec::new(), port: 40_000 }
    }

    /// Puts the device of the certificate into the directory.
    fn know(&mut self, compliance: Compliance) {
        let mut record = self.world.record(STATION, compliance);
        record.intune_id = radmit::device::identifier::IntuneId(
            radmit::device::identifier::Guid::parse(b"5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01").unwrap(),
        );
        let _ = self.world.directory.insert(record, radmit::device::directory::Told::Everything);
    }

    fn request(&mut self, eap: &[u8]) -> Vec<u8> {
        let (state, proxy_states) = (self.state.clone(), &self.proxy_states);
        self.world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"anonymous@contoso.com").unwrap();
            buffer.push(kind::CALLING_STATION_ID, STATION.as_bytes()).unwrap();
            buffer.push_u32(kind::NAS_PORT_TYPE, 15).unwrap();
            buffer.push(kind::EAP_KEY_NAME, &[0]).unwrap();
            buffer.push_long(kind::EAP_MESSAGE, eap).unwrap();
            if let Some(state) = &state {
                buffer.push(kind::STATE, state).unwrap();
            }
            proxy_states.iter().for_each(|value| buffer.push(kind::PROXY_STATE, value).unwrap());
        })
    }

    /// Sends an EAP packet; the reply, if one came at once. The next one uses another port, as a restarted client would.
    fn exchange(&mut self, eap: &[u8]) -> Option<Vec<u8>> {
        let request = self.request(eap);
        self.port += 1;
        self.world.send_from(([127, 0, 0, 1], self.port).into(), Port::Auth, &request).pop()
    }

    /// A whole conversation. The last reply, the request that it answers, and the device as it came out of it; or nothing
    /// once the engine waits for an answer.
    fn talk(&mut self) -> (Peer, Option<Vec<u8>>) {
        self.state = None;
        let mut peer = self.supplicant.begin();
        let mut eap = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
        loop {
            let Some(reply) = self.exchange(&eap) else { return (peer, None) };
            let (code, request) = self.read(&reply);
            if code != Code::ACCESS_CHALLENGE {
                assert_eq!(peer.answer(&request), None);
                return (peer, Some(reply));
            }
            eap = peer.answer(&request).unwrap();
        }
    }

    /// The code and the EAP packet of a reply, whose State is kept.
    fn read(&mut self, reply: &[u8]) -> (Code, Vec<u8>) {
        let packet = Packet::parse(reply).unwrap();
        self.state = packet.first(kind::STATE).map(<[u8]>::to_vec);
        (packet.code(), packet.all(kind::EAP_MESSAGE).flatten().copied().collect())
    }

    fn secret() -> Secret {
        Secret::new(SECRET.into()).unwrap()
    }
}

fn vlan(reply: &[u8]) -> Option<String> {
    let packet = Packet::parse(reply).unwrap();
    packet.first(kind::TUNNEL_PRIVATE_GROUP_ID).map(|value| String::from_utf8_lossy(value).into_owned())
}

fn code(reply: &[u8]) -> Code {
    Packet::parse(reply).unwrap().code()
}

#[test]
fn a_compliant_device_gets_its_vlan_and_both_sides_have_the_same_keys() {
    for options in [TlsOptions::default(), TlsOptions { max: TlsMax::Tls12, pss: true }] {
        let mut campus = Campus::new();
        swap_client(&campus.world, |client| client.eap.tls = options);
        campus.know(Compliance::Compliant);
        let (peer, reply) = campus.talk();
        let reply = reply.unwrap();
        assert_eq!((code(&reply), peer.end), (Code::ACCESS_ACCEPT, Some(End::Success)));
        assert_eq!(vlan(&reply).as_deref(), Some("20"));
        let packet = Packet::parse(&reply).unwrap();
        assert_eq!(packet.first(kind::USER_NAME), Some(&b"LT-0042"[..]));
        let (msk, session_id) = peer.keys();
        assert_eq!(packet.first(kind::EAP_KEY_NAME), Some(&session_id[..]));
        let mut authenticator = [0x55; 16];
        authenticator[0] = packet.identifier();
        let keys: Vec<(u8, Vec<u8>)> = packet
            .all(kind::VENDOR_SPECIFIC)
            .map(|value| {
                assert_eq!(value[..4], 311_u32.to_be_bytes());
                let mut room: HiddenBuffer = [0; 253];
                let key = reveal_salted(&value[6..], &authenticator, &Campus::secret(), &mut room).unwrap();
                (value[4], key.to_vec())
            })
            .collect();
        assert_eq!(keys, [(16, msk[32..].to_vec()), (17, msk[..32].to_vec())]);
        assert_eq!(
            campus.world.line(),
            "accept rule eap-tls lookup=found source=fresh rule=Compliant",
            "one line for the whole conversation"
        );
    }
}

#[test]
fn a_denied_device_hears_why_and_the_log_does_not_wait_for_it() {
    let mut campus = Campus::new();
    campus.know(Compliance::NonCompliant);
    let (peer, reply) = campus.talk();
    assert_eq!((code(&reply.unwrap()), peer.end), (Code::ACCESS_REJECT, Some(End::Failure)));
    assert_eq!(peer.alert(), Some(49));
    assert_eq!(campus.world.line(), "reject default eap-tls lookup=found source=fresh rule=-");
}

#[test]
fn a_decision_by_certificate_can_be_made_again_from_its_line_in_the_log() {
    let place = std::env::temp_dir().join(format!("radmit-replay-eap-{}.log", std::process::id()));
    let (log, mut ends) = Log::start(&Destination::File(place.clone()), 1, Arc::default()).unwrap();
    let (_, server, supplicant) = talk_world(Kind::P256);
    let eap_tls = EapTls { context: server.context(), device_id_issuers: Box::default() };
    let setting = Setting { policy: POLICY, eap_tls: Some(eap_tls), ..Setting::default() };
    let mut campus = Campus {
        world: World::telling(setting, ends.pop().unwrap()),
        supplicant,
        state: None,
        proxy_states: Vec::new(),
        port: 40_000,
    };
    campus.world.now.wall = pki::now().wall;
    for state in [Compliance::Compliant, Compliance::NonCompliant] {
        campus.know(state);
        campus.talk();
    }
    let snapshot = campus.world.shared.load_full();
    drop((campus, log));
    let text = std::fs::read_to_string(&place).unwrap();
    std::fs::remove_file(&place).unwrap();
    let verdicts: Vec<String> = text
        .lines()
        .map(|line| {
            let mut logged = replay::read(line, &snapshot.dictionary).unwrap().expect("a decision of policy");
            logged.supply("client.vendor", ["generic"]).unwrap();
            let replayed = replay::judge(&snapshot.policy, &logged, &snapshot.zone).unwrap();
            assert_eq!(replayed.now, logged.was, "{line}\n{}", replayed.trace);
            replayed.now.rule.unwrap_or(replayed.now.reason)
        })
        .collect();
    assert_eq!(verdicts, ["Compliant", "default"], "{text}");
}

#[test]
fn a_device_that_is_ignored_hears_nothing_however_often_it_asks() {
    let mut campus = Campus::new();
    campus.know(Compliance::Unknown);
    let (_, reply) = campus.talk();
    assert_eq!(reply, None);
    assert_eq!(campus.world.line(), "ignore rule eap-tls lookup=found source=fresh rule=Nothing said");
    // The client asks again, under another Identifier too: nothing, and no reject behind the decision's back.
    assert_eq!(campus.exchange(&[2, 77, 0, 6, 13, 0]), None);
    assert!(campus.world.lines().is_empty());
}

#[test]
fn an_unknown_device_waits_for_its_answer_and_then_goes_on() {
    let mut campus = Campus::new();
    let (mut peer, reply) = campus.talk();
    assert_eq!(reply, None, "parked");
    let asked = campus.world.asked();
    let [question] = &asked[..] else { panic!("{asked:?}") };
    assert!(matches!(question.key, Key::Device(_)), "by its id, not by its MAC");
    let key = question.key;
    let mut record = campus.world.record(STATION, Compliance::Compliant);
    if let Key::Device(id) = key {
        record.intune_id = radmit::device::identifier::IntuneId(id);
    }
    let replies = campus.world.answer(ServerIndex(0), key, Outcome::Found(Arc::new(record)));
    let (challenge, commitment) = campus.read(&replies[0]);
    assert_eq!(challenge, Code::ACCESS_CHALLENGE);
    let last = peer.answer(&commitment).unwrap();
    let accept = campus.exchange(&last).unwrap();
    assert_eq!((code(&accept), vlan(&accept).as_deref()), (Code::ACCESS_ACCEPT, Some("20")));
    assert_eq!(campus.world.line(), "accept rule eap-tls lookup=found source=live rule=Compliant");
}

#[test]
fn an_outage_is_decided_by_the_deadline_as_for_mac_bypass() {
    let mut campus = Campus::new();
    let (mut peer, reply) = campus.talk();
    assert_eq!(reply, None);
    let replies = campus.world.advance(Duration::from_secs(2));
    let (challenge, commitment) = campus.read(&replies[0]);
    assert_eq!(challenge, Code::ACCESS_CHALLENGE);
    let last = peer.answer(&commitment).unwrap();
    let accept = campus.exchange(&last).unwrap();
    assert_eq!(vlan(&accept).as_deref(), Some("66"));
    assert_eq!(campus.world.line(), "accept rule eap-tls lookup=late source=- rule=Outage");
}

#[test]
fn a_device_that_cannot_be_asked_about_is_decided_at_once() {
    let mut campus = Campus::new();
    *campus.world.questions.refuse.lock().unwrap() = Some(Failure::Unreachable);
    let (_, reply) = campus.talk();
    assert_eq!(vlan(&reply.unwrap()).as_deref(), Some("66"));
}

#[test]
fn a_certificate_of_another_authority_is_told_and_logged_before_the_reject() {
    let (_, server, _) = talk_world(Kind::P256);
    let stranger = Authority::root("Stranger", Kind::P256);
    let own = Authority::root("Contoso Root", Kind::P256);
    let mut supplicant = Supplicant::new(Some(stranger.device(Kind::P256)), &[own.der()]);
    let (_, _, good) = talk_world(Kind::P256);
    supplicant.roots = good.roots;
    let mut campus = Campus::of(&server, supplicant, |_| {});
    let (peer, reply) = campus.talk();
    // Two worlds have two roots of one name: the device may be the first to object.
    assert_eq!(code(&reply.unwrap()), Code::ACCESS_REJECT);
    assert_eq!(peer.end, Some(End::Failure));
    let line = campus.world.line();
    assert!(line.starts_with("reject tls-") || line.starts_with("reject certificate-"), "{line}");
}

#[test]
fn a_repeated_request_gets_the_same_challenge_and_a_state_from_elsewhere_a_failure() {
    let mut campus = Campus::new();
    let mut peer = campus.supplicant.begin();
    let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
    let first = campus.exchange(&identity).unwrap();
    let (_, start) = campus.read(&first);
    let state = campus.state.clone();
    let hello = peer.answer(&start).unwrap();
    let answered = campus.exchange(&hello).unwrap();
    let (_, flight) = campus.read(&answered);
    let next = campus.state.clone();
    // The client has lost our answer and asks again under another Identifier.
    campus.state.clone_from(&state);
    let again = campus.exchange(&hello).unwrap();
    assert_eq!(campus.read(&again), (Code::ACCESS_CHALLENGE, flight));
    assert_eq!(campus.state, next);
    // Something else under the old State is nobody's.
    campus.state = state;
    let other = campus.exchange(&[2, 77, 0, 6, 13, 0]).unwrap();
    assert_eq!(campus.read(&other), (Code::ACCESS_REJECT, vec![4, 77, 0, 4]));
    assert_eq!(campus.world.line(), "reject eap-no-conversation eap lookup=- source=- rule=-");
}

#[test]
fn another_secret_after_a_reload_ends_the_conversation() {
    let mut campus = Campus::new();
    let mut peer = campus.supplicant.begin();
    let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
    let first = campus.exchange(&identity).unwrap();
    let (_, start) = campus.read(&first);
    let hello = peer.answer(&start).unwrap();
    swap_client(&campus.world, |client| client.mab_password = MabPassword::Any);
    let second = campus.exchange(&hello).unwrap();
    assert_eq!(code(&second), Code::ACCESS_CHALLENGE, "other changes wait until it is over");
    let (_, flight) = campus.read(&second);
    let answer = peer.answer(&flight).unwrap();
    swap_client(&campus.world, |client| {
        client.secret = Secret::new(b"another secret of this client".to_vec()).unwrap()
    });
    let request = campus.request(&answer);
    assert!(campus.world.send(&request).is_empty(), "signed with the old secret");
}

#[test]
fn a_device_that_falls_silent_is_told_of_once_and_forgotten() {
    let mut campus = Campus::new();
    let mut peer = campus.supplicant.begin();
    let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
    assert!(campus.exchange(&identity).is_some());
    campus.world.advance(Duration::from_secs(200));
    assert_eq!(campus.world.line(), "ignore eap-stalled eap-tls lookup=- source=- rule=-");
    campus.world.advance(Duration::from_secs(200));
    assert!(campus.world.lines().is_empty());
}

#[test]
fn eap_start_is_answered_with_the_question_who_it_is() {
    let mut campus = Campus::new();
    let request = campus.world.request(|buffer, _| {
        buffer.push(kind::USER_NAME, b"anonymous").unwrap();
        buffer.push_encoded(&[kind::EAP_MESSAGE, 2]).unwrap();
    });
    let reply = campus.world.send(&request).pop().unwrap();
    let (challenge, eap) = campus.read(&reply);
    assert_eq!((challenge, eap[0], eap[4]), (Code::ACCESS_CHALLENGE, 1, 1));
}

#[test]
fn md5_is_a_mac_bypass_on_wired_ports_where_it_is_switched_on() {
    for (is_on, medium, expected) in [(true, 15, true), (false, 15, false), (true, 19, false)] {
        let mut campus = Campus::with(|setting| setting.eap_tls = None);
        swap_client(&campus.world, |client| client.eap.md5 = is_on);
        campus.know(Compliance::Compliant);
        let (replies, password) = (md5(&mut campus, Some(medium), b"a4c3f0112233"), expected);
        let last = replies.last().unwrap();
        assert_eq!(vlan(last).as_deref() == Some("30"), password, "{is_on} {medium}");
        let line = campus.world.line();
        let reason = if expected { "accept rule eap-md5" } else { "reject eap-not-offered eap" };
        assert!(line.starts_with(reason), "{line}");
    }
    let mut campus = Campus::with(|setting| setting.eap_tls = None);
    swap_client(&campus.world, |client| client.eap.md5 = true);
    let replies = md5(&mut campus, Some(15), b"guessed");
    assert_eq!(code(replies.last().unwrap()), Code::ACCESS_REJECT);
    assert!(campus.world.line().starts_with("reject mab-password eap-md5"));
}

/// A conversation with EAP-MD5 of the device, with this password.
fn md5(campus: &mut Campus, port_type: Option<u32>, password: &[u8]) -> Vec<Vec<u8>> {
    use hmac::digest::Digest as _;
    let send = |campus: &mut Campus, eap: &[u8]| {
        let state = campus.state.clone();
        let request = campus.world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"a4c3f0112233").unwrap();
            buffer.push(kind::CALLING_STATION_ID, STATION.as_bytes()).unwrap();
            port_type.iter().for_each(|number| buffer.push_u32(kind::NAS_PORT_TYPE, *number).unwrap());
            buffer.push_long(kind::EAP_MESSAGE, eap).unwrap();
            if let Some(state) = &state {
                buffer.push(kind::STATE, state).unwrap();
            }
        });
        campus.world.send(&request).pop().unwrap()
    };
    let first = send(campus, b"\x02\x01\x00\x11\x01a4c3f0112233");
    let (got, challenge) = campus.read(&first);
    if got != Code::ACCESS_CHALLENGE {
        return vec![first];
    }
    assert_eq!((challenge[4], challenge[5]), (4, 16));
    let answer = md5::Md5::new().chain_update([challenge[1]]).chain_update(password).chain_update(&challenge[6..22]);
    let eap = [&[2, challenge[1], 0, 22, 4, 16][..], &answer.finalize()].concat();
    let last = send(campus, &eap);
    vec![first, last]
}

#[test]
fn no_conversation_is_begun_beyond_the_bound_and_mac_bypass_goes_on() {
    let mut campus = Campus::new();
    for number in 0..radmit::limits::EAP_SESSIONS_CLIENT_MAX + 10 {
        let station = format!("02-00-00-00-{:02X}-{:02X}", number / 256, number % 256);
        let request = campus.world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"anonymous").unwrap();
            buffer.push(kind::CALLING_STATION_ID, station.as_bytes()).unwrap();
            buffer.push_long(kind::EAP_MESSAGE, &[2, 1, 0, 5, 1]).unwrap();
        });
        let replies = campus.world.send(&request);
        assert_eq!(replies.is_empty(), number >= radmit::limits::EAP_SESSIONS_CLIENT_MAX, "{number}");
    }
    let request = campus.world.mab("a4c3f0112233");
    assert_eq!(campus.world.send(&request).len(), 1);
}

/// Keeps work until a test computes it, or has no room for any.
#[derive(Default)]
struct ToyWorkers {
    waiting: Mutex<Vec<Work>>,
    is_full: AtomicBool,
    is_behind: AtomicBool,
    begun: AtomicUsize,
}

impl Workers for ToyWorkers {
    fn may_begin(&self, _: Mono) -> bool {
        let may = !self.is_behind.load(Ordering::Relaxed);
        self.begun.fetch_add(usize::from(may), Ordering::Relaxed);
        may
    }

    fn take(&self, work: Box<Work>) -> Result<(), Box<Work>> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(work);
        }
        self.waiting.lock().unwrap().push(*work);
        Ok(())
    }
}

#[test]
fn a_handshake_that_another_thread_computes_ends_as_one_that_the_shard_computes() {
    let workers = Arc::<ToyWorkers>::default();
    let mut campus = Campus::with(|setting| setting.workers = Some(Arc::clone(&workers) as Arc<dyn Workers>));
    campus.know(Compliance::Compliant);
    let mut peer = campus.supplicant.begin();
    let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
    let start = campus.exchange(&identity).expect("cheap packets don't leave the shard");
    let (_, request) = campus.read(&start);
    let hello = peer.answer(&request).unwrap();
    // No room: as if the request had never come. Its repeat is taken.
    workers.is_full.store(true, Ordering::Relaxed);
    let datagram = campus.request(&hello);
    assert!(campus.world.send(&datagram).is_empty());
    workers.is_full.store(false, Ordering::Relaxed);
    assert!(campus.world.send(&datagram).is_empty());
    assert!(campus.world.send(&datagram).is_empty(), "a repeat meanwhile is silent");
    let mut computed = 0;
    loop {
        let Some(work) = workers.waiting.lock().unwrap().pop() else { break };
        computed += 1;
        assert_eq!(campus.world.engine.waiting(), 1);
        let mab = campus.world.mab("a4c3f0999999");
        assert!(campus.world.send(&mab).len() <= 1, "the shard goes on");
        let reply = campus.world.finish(work.run()).pop().unwrap();
        let (code, request) = campus.read(&reply);
        if code == Code::ACCESS_ACCEPT {
            break;
        }
        let mut eap = peer.answer(&request).unwrap();
        // Acknowledgements and fragments stay in the shard.
        while let Some(reply) = campus.exchange(&eap) {
            let (code, request) = campus.read(&reply);
            if code == Code::ACCESS_ACCEPT {
                assert_eq!(vlan(&reply).as_deref(), Some("20"));
                break;
            }
            eap = peer.answer(&request).unwrap();
        }
    }
    assert_eq!(computed, 2, "the hello, and the device's certificate");
    assert_eq!(campus.world.engine.waiting(), 0);
    let lines = campus.world.lines();
    assert!(lines.contains(&"accept rule eap-tls lookup=found source=fresh rule=Compliant".to_owned()), "{lines:?}");
}

#[test]
fn while_handshakes_wait_no_conversation_begins_and_those_that_have_begun_go_on() {
    let workers = Arc::<ToyWorkers>::default();
    let mut campus = Campus::with(|setting| setting.workers = Some(Arc::clone(&workers) as Arc<dyn Workers>));
    let mut peer = campus.supplicant.begin();
    let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
    let start = campus.exchange(&identity).unwrap();
    let (_, request) = campus.read(&start);
    workers.is_behind.store(true, Ordering::Relaxed);
    // Somebody else comes: no reply, whatever is repeated.
    let newcomer = campus.world.request(|buffer, _| {
        buffer.push(kind::USER_NAME, b"anonymous").unwrap();
        buffer.push(kind::CALLING_STATION_ID, b"02-00-00-00-00-01").unwrap();
        buffer.push_long(kind::EAP_MESSAGE, &[2, 1, 0, 5, 1]).unwrap();
    });
    assert!(campus.world.send(&newcomer).is_empty());
    assert!(campus.world.send(&newcomer).is_empty());
    let overload = radmit::engine::event::DropReason::Overload;
    let snapshot = campus.world.shared.load_full();
    let dropped = &snapshot.clients.list()[0].cells[0].drops[overload as usize];
    assert_eq!(dropped.value(), 2, "counted for the client, and not as a duplicate");
    assert_eq!(campus.world.lines(), ["drop overload - x1"]);
    // The one that has begun is not kept out.
    let hello = peer.answer(&request).unwrap();
    assert!(campus.exchange(&hello).is_none());
    let work = workers.waiting.lock().unwrap().pop().expect("its flight is computed");
    let reply = campus.world.finish(work.run()).pop().unwrap();
    assert_eq!(campus.read(&reply).0, Code::ACCESS_CHALLENGE);
    // A request that brings no handshake is none of their business.
    let mab = campus.world.mab("a4c3f0112233");
    assert_eq!(campus.world.send(&mab).len(), 1);
    // As soon as there is room the very same request is taken.
    workers.is_behind.store(false, Ordering::Relaxed);
    assert_eq!(campus.world.send(&newcomer).len(), 1);
    assert_eq!(workers.begun.load(Ordering::Relaxed), 2);
}

#[test]
fn an_accept_names_the_user_whom_the_request_named_unless_the_profile_does() {
    let mut campus = Campus::new();
    *campus.world.questions.refuse.lock().unwrap() = Some(Failure::Unreachable);
    let (_, reply) = campus.talk();
    let reply = reply.unwrap();
    assert_eq!(vlan(&reply).as_deref(), Some("66"));
    let names = |reply: &[u8]| -> Vec<Vec<u8>> {
        Packet::parse(reply).unwrap().all(kind::USER_NAME).map(<[u8]>::to_vec).collect()
    };
    assert_eq!(names(&reply), [b"anonymous@contoso.com".to_vec()], "RFC 3579 section 3");
    let mut campus = Campus::new();
    campus.know(Compliance::Compliant);
    assert_eq!(names(&campus.talk().1.unwrap()), [b"LT-0042".to_vec()]);
    // Neither a reject nor a MAC bypass has one.
    campus.know(Compliance::NonCompliant);
    assert!(names(&campus.talk().1.unwrap()).is_empty());
    let mut world = World::new();
    world.know("a4c3f0112233", Compliance::Compliant);
    let request = world.mab("a4c3f0112233");
    assert!(names(&world.send(&request)[0]).is_empty());
}

#[test]
fn a_handshake_whose_identifier_was_used_again_is_not_answered_and_the_conversation_goes_on() {
    let workers = Arc::<ToyWorkers>::default();
    let mut campus = Campus::with(|setting| setting.workers = Some(Arc::clone(&workers) as Arc<dyn Workers>));
    let mut peer = campus.supplicant.begin();
    let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
    let start = campus.exchange(&identity).unwrap();
    let (_, request) = campus.read(&start);
    let hello = peer.answer(&request).unwrap();
    let given_away = campus.request(&hello);
    assert!(campus.world.send(&given_away).is_empty());
    // The client uses the Identifier for something else meanwhile.
    let mut authenticator = [0x77; 16];
    authenticator[0] = given_away[1];
    let mut buffer = radmit::radius::request::RequestBuffer::new();
    buffer.start_request(Code::ACCESS_REQUEST, given_away[1], &authenticator);
    buffer.push(kind::USER_NAME, b"bob").unwrap();
    buffer.push_password(b"hello", &Campus::secret()).unwrap();
    let other = buffer.sign(&Campus::secret()).to_vec();
    assert_eq!(campus.world.send(&other).len(), 1);
    let work = workers.waiting.lock().unwrap().pop().expect("its flight is computed");
    assert!(campus.world.finish(work.run()).is_empty());
    assert_eq!(campus.world.engine.waiting(), 0);
    let again = campus.exchange(&hello).expect("the same response under the same State");
    assert_eq!(campus.read(&again).0, Code::ACCESS_CHALLENGE);
}

#[test]
fn whichever_shard_opens_a_conversation_tells_when_it_has_ended() {
    let mut campus = Campus::with(|setting| setting.shard = 1);
    let mut peer = campus.supplicant.begin();
    let identity = peer.answer(&[1, 9, 0, 5, 1]).unwrap();
    assert!(campus.exchange(&identity).is_some());
    campus.world.advance(Duration::from_secs(62));
    assert_eq!(campus.world.line(), "ignore eap-stalled eap-tls lookup=- source=- rule=-");
    assert_eq!(campus.world.engine.wake_at(), Mono::NEVER, "nothing is open any more");
}

#[test]
fn what_has_ended_makes_room_at_once_and_is_told() {
    let mut campus = Campus::new();
    let open = |campus: &mut Campus, number: usize| {
        let station = format!("02-00-00-00-{:02X}-{:02X}", number / 256, number % 256);
        let request = campus.world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"anonymous").unwrap();
            buffer.push(kind::CALLING_STATION_ID, station.as_bytes()).unwrap();
            buffer.push_long(kind::EAP_MESSAGE, &[2, 1, 0, 5, 1]).unwrap();
        });
        campus.world.send(&request).len()
    };
    let all = radmit::limits::EAP_SESSIONS_CLIENT_MAX;
    assert_eq!((0..all).map(|number| open(&mut campus, number)).sum::<usize>(), all);
    // The shard was busy and comes late: the newcomer is served before it looks for what has ended.
    campus.world.now = campus.world.now.advanced(radmit::limits::EAP_IDLE_MAX);
    assert_eq!(open(&mut campus, all), 1);
    let lines = campus.world.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("ignore eap-stalled")).count(), all);
}

#[test]
fn a_state_without_a_value_begins_a_conversation() {
    for eap in [&b""[..], &[2, 1, 0, 5, 1]] {
        let mut campus = Campus::new();
        let request = campus.world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"anonymous").unwrap();
            buffer.push_encoded(&[kind::STATE, 2]).unwrap();
            if eap.is_empty() {
                buffer.push_encoded(&[kind::EAP_MESSAGE, 2]).unwrap();
            } else {
                buffer.push(kind::EAP_MESSAGE, eap).unwrap();
            }
        });
        let reply = campus.world.send(&request).pop().unwrap();
        assert_eq!(campus.read(&reply).0, Code::ACCESS_CHALLENGE);
    }
}

#[test]
fn fragments_leave_room_for_the_proxy_state_that_comes_back() {
    let mut campus = Campus::new();
    swap_client(&campus.world, |client| client.eap.fragment_size = 1496);
    campus.know(Compliance::Compliant);
    campus.supplicant.fragment = 100;
    campus.proxy_states = vec![vec![7; 250]; 14];
    let (peer, reply) = campus.talk();
    let reply = reply.unwrap();
    assert_eq!((code(&reply), peer.end), (Code::ACCESS_ACCEPT, Some(End::Success)));
    assert!(peer.server_fragments > 0);
    assert_eq!(Packet::parse(&reply).unwrap().all(kind::PROXY_STATE).count(), 14);
}

#[test]
fn md5_is_offered_where_nothing_says_what_the_port_is() {
    for (medium, expected) in [(None, true), (Some(15), true), (Some(19), false), (Some(5), false), (Some(99), false)] {
        let mut campus = Campus::with(|setting| setting.eap_tls = None);
        swap_client(&campus.world, |client| client.eap.md5 = true);
        campus.know(Compliance::Compliant);
        let replies = md5(&mut campus, medium, b"a4c3f0112233");
        assert_eq!(vlan(replies.last().unwrap()).as_deref() == Some("30"), expected, "{medium:?}");
    }
}

#[test]
fn a_client_that_may_open_no_more_conversations_does_not_keep_others_out() {
    let workers = Arc::<ToyWorkers>::default();
    let mut campus = Campus::with(|setting| setting.workers = Some(Arc::clone(&workers) as Arc<dyn Workers>));
    let all = radmit::limits::EAP_SESSIONS_CLIENT_MAX;
    for number in 0..all + 10 {
        let station = format!("02-00-00-00-{:02X}-{:02X}", number / 256, number % 256);
        let request = campus.world.request(|buffer, _| {
            buffer.push(kind::USER_NAME, b"anonymous").unwrap();
            buffer.push(kind::CALLING_STATION_ID, station.as_bytes()).unwrap();
            buffer.push_long(kind::EAP_MESSAGE, &[2, 1, 0, 5, 1]).unwrap();
        });
        campus.world.send(&request);
    }
    assert_eq!(workers.begun.load(Ordering::Relaxed), all, "no flights are expected of those that were refused");
}
