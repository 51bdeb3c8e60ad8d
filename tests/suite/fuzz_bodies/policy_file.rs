//! Any text as the files of a policy folder: never a panic, every mistake with its place, and a policy that loads decides
//! as it explains and replies with whole packets.

use std::sync::LazyLock;

use jiff::tz::TimeZone;
use radmit::{
    clock::{Mono, Now, Wall},
    dictionary::{Dictionary, list},
    document::Source,
    limits::PROBLEMS_MAX,
    policy::{
        compile::plan::Client,
        compiled::Policy,
        decision::{Access, Reason},
        explain::explain,
        facts::Facts,
        given::GivenFacts,
        load::{Context, load},
        reply_plan::Occasion,
        sample,
        servers::Servers,
        trial,
        vendor::Vendors,
    },
    problem::{Problem, Problems},
    radius::{code::Code, hidden::Salt, packet::Packet, reply::ReplyBuffer, secret::Secret},
};

/// `input`: parts between NULs: a policy file, a second one, and list files that policies name as `2` and so on.
pub(crate) fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let parts: Vec<&str> = text.split('\0').collect();
    let files: Vec<Source> =
        ["first.toml", "second.toml"].into_iter().zip(&parts).map(|(name, part)| Source::new(name, *part)).collect();
    let (policy, problems) = load_with(&files, &parts);
    let (again, problems_again) = load_with(&files, &parts);
    assert_eq!(problems, problems_again, "the same files have the same problems");
    assert_eq!(policy.is_some(), again.is_some());
    let Some(policy) = policy else {
        assert!(!problems.is_empty(), "a policy that is refused is refused for something");
        return;
    };
    let _ = trial::run_all(&policy, Dictionary::builtin(), &TimeZone::UTC);
    for device in DEVICES {
        let mut given = GivenFacts::new();
        for (name, value) in *device {
            given.give(name, value).unwrap_or_else(|message| panic!("{name} = {value}: {message}"));
        }
        let packet = Packet::parse(&REQUEST).expect("it is well-formed");
        let now = Now { mono: Mono::from_nanos(0), wall: Wall::from_secs(1_795_348_800) };
        decides_soundly(&policy, &given.facts(packet, now, &TimeZone::UTC));
    }
}

/// What is known about some devices, from all about one to nothing about the last.
const DEVICES: &[&[(&str, &str)]] = &[
    &[
        ("client.vendor", "cisco"),
        ("session.method", "mab"),
        ("session.medium", "wired"),
        ("identity.mac", "A4-C3-F0-11-22-33"),
        ("identity.proven", "false"),
        ("mdm.lookup", "found"),
        ("mdm.registered", "true"),
        ("mdm.compliant", "true"),
        ("mdm.compliance", "compliant"),
        ("mdm.source", "fresh"),
        ("mdm.age", "10s"),
        ("mdm.os", "Windows"),
        ("mdm.os-version", "10.0.26100.1"),
    ],
    &[
        ("client.vendor", "generic"),
        ("session.method", "mab"),
        ("identity.mac", "A4-C3-F0-11-22-34"),
        ("mdm.lookup", "found"),
        ("mdm.registered", "true"),
        ("mdm.compliant", "false"),
        ("mdm.compliance", "noncompliant"),
    ],
    &[
        ("session.method", "mab"),
        ("identity.mac", "A4-C3-F0-99-99-99"),
        ("mdm.lookup", "not-found"),
        ("mdm.registered", "false"),
    ],
    &[("session.method", "eap-tls"), ("mdm.lookup", "unreachable"), ("mdm.last-compliant", "3h")],
    &[("session.method", "authorize-only"), ("mdm.lookup", "throttled")],
    &[],
];

/// A request from a switch.
static REQUEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let list = r#"User-Name = "a4c3f0112233", NAS-Port-Type = Ethernet, Calling-Station-Id = "A4-C3-F0-11-22-33"
        Service-Type = Call-Check, NAS-Port = 50124, NAS-Port-Id = "GigabitEthernet1/0/24", Cisco-AVPair = "method=mab""#;
    let mut problems = Problems::new();
    let pairs = list::parse(&Source::new("request", list), Dictionary::builtin(), &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.sorted());
    sample::datagram(&pairs).expect("there are few attributes")
});

fn load_with(files: &[Source], parts: &[&str]) -> (Option<Policy>, Vec<Problem>) {
    static VENDORS: LazyLock<Vendors> = LazyLock::new(Vendors::builtin);
    let servers = Servers::enabled(&["corp-intune".into(), "lab".into()]);
    let groups: [Box<str>; 1] = ["wired".into()];
    let context = Context {
        dictionary: Dictionary::builtin(),
        mdm_servers: Some(&servers),
        vendors: &VENDORS,
        clients: &[
            Client { name: "campus", groups: &groups, vendor: "cisco" },
            Client { name: "other", groups: &[], vendor: "generic" },
        ],
        read_list: &|_, name| {
            let part = name.parse::<usize>().ok().and_then(|at| parts.get(at));
            part.map(|part| Source::new(name, *part)).ok_or_else(|| "no such file".to_owned())
        },
    };
    let mut problems = Problems::new();
    let policy = load(files, &context, &mut problems);
    assert_eq!(policy.is_none(), problems.has_errors(), "{:?}", problems.sorted());
    assert!(problems.iter().count() <= PROBLEMS_MAX);
    for Problem { place, message, .. } in problems.iter() {
        assert!(!message.contains('\n'), "{message:?}");
        // A problem of a whole file has neither.
        assert!(place.as_ref().is_none_or(|place| (place.line > 0) == (place.column > 0)), "{place:?}: {message}");
    }
    (policy, problems.iter().cloned().collect())
}

fn decides_soundly(policy: &Policy, facts: &Facts<'_>) {
    let decision = policy.decide(policy.choose_set(facts), facts);
    let (explained, _) = explain(policy, facts);
    assert_eq!(explained, decision, "what is explained is what is decided");
    let result = policy.result(decision.result).expect("a decision names a result of its policy");
    assert_eq!(result.access, decision.access);
    let is_meant = matches!(decision.reason, Reason::Rule | Reason::Default);
    assert!(decision.access != Access::Accept || is_meant, "nobody wrote that {:?} accepts", decision.reason);
    assert!(decision.reason != Reason::Rule || decision.rule.is_some());
    let secret = Secret::new(b"a shared secret".to_vec()).expect("it is not empty");
    for vendor in ["cisco", "generic"].into_iter().filter_map(|name| policy.vendor(name)) {
        let json = policy.reply_json(decision.result, vendor);
        assert!(serde_json::from_str::<serde_json::Value>(json).is_ok_and(|value| value.is_object()), "{json}");
        let Some(plan) = policy.reply(decision.result, vendor) else { continue };
        assert_eq!(plan.access(), decision.access);
        let authenticator = facts.packet.authenticator();
        let mut reply = ReplyBuffer::new();
        reply.start(Code::ACCESS_ACCEPT, 7);
        let texts = policy.fact_texts(facts);
        let salt = Salt::new(7);
        let occasion =
            Occasion { facts: &texts, beside_eap: false, request_authenticator: authenticator, secret: &secret, salt };
        if plan.write(&mut reply, &occasion).is_ok() {
            Packet::parse(reply.sign(authenticator, &secret)).expect("what is written is a whole packet");
        }
    }
}
