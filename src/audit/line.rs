//! An event as a line of the decision log.
//!
//! Owns which fields stand there and in which order. A field that there is nothing to say about is left out.

use std::{io::Write, time::Duration};

use jiff::Timestamp;

use crate::{
    clock::Wall,
    engine::event::{AccountingEvent, DecisionEvent, DialogueEvent, DropEvent, Event, JudgedFacts, MdmEvent},
    policy::{facts::CertificateFacts, record::KeptValue},
};

use super::{
    attributes,
    json::{LOWER, Line, UPPER},
};

/// Writes the event at the end of `out`. `false`: it did not fit, and `out` is as before.
pub(super) fn write(event: &Event<'_>, stamp: &mut Stamp, out: &mut Vec<u8>) -> bool {
    let mut line = Line::begin(out);
    let (now, name) = match event {
        Event::Decision(decision) => (decision.now, "decision"),
        Event::Drops(drops) => (drops.now, "drop"),
        Event::Accounting(accounting) => (accounting.now, "accounting"),
    };
    line.name("time");
    line.text(stamp.of(now.wall));
    member(&mut line, "event", name);
    match event {
        Event::Decision(decision) => write_decision(&mut line, decision),
        Event::Drops(drops) => write_drops(&mut line, drops),
        Event::Accounting(accounting) => write_accounting(&mut line, accounting),
    }
    line.end()
}

/// The last time as text: the events of one batch have the same.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    time: Option<Wall>,
    text: [u8; 32],
    length: usize,
}

impl Stamp {
    fn of(&mut self, time: Wall) -> &[u8] {
        if self.time != Some(time) {
            let mut rest = self.text.as_mut_slice();
            let written = match Timestamp::from_microsecond(time.as_micros()) {
                Ok(time) => write!(rest, "{time:.6}"),
                // Before the year -9999 or after 9999; the number is all that can be said.
                Err(_) => write!(rest, "{}", time.as_micros()),
            };
            debug_assert!(written.is_ok(), "32 octets hold a time");
            let unused = rest.len();
            self.length = self.text.len() - unused;
            self.time = Some(time);
        }
        self.text.get(..self.length).unwrap_or_default()
    }
}

fn member(line: &mut Line<'_>, name: &str, text: &str) {
    line.name(name);
    line.string(text);
}

fn optional_text(line: &mut Line<'_>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        member(line, name, text);
    }
}

fn optional(line: &mut Line<'_>, name: &str, octets: Option<&[u8]>) {
    if let Some(octets) = octets {
        line.name(name);
        line.text(octets);
    }
}

fn write_decision(line: &mut Line<'_>, event: &DecisionEvent<'_>) {
    member(line, "client", event.client);
    line.name("nas-ip");
    line.address(event.nas_ip);
    optional(line, "nas-identifier", event.nas_identifier);
    optional(line, "nas-port", event.nas_port);
    line.name("packet-id");
    line.number(event.packet_id);
    member(line, "method", event.method);
    optional(line, "user", event.user);
    if let Some(mac) = event.mac {
        line.name("mac");
        line.grouped_hex(&mac.octets(), UPPER, &[1, 2, 3, 4, 5]);
    }
    if let Some(id) = event.device_id {
        line.name("device-id");
        line.grouped_hex(&id.octets(), LOWER, &[4, 6, 8, 10]);
    }
    optional_text(line, "device-id-source", event.device_id_source);
    if let Some(certificate) = &event.certificate {
        write_certificate(line, certificate);
    }
    if let Some(dialogue) = &event.dialogue {
        write_dialogue(line, dialogue);
    }
    if let Some(mdm) = &event.mdm {
        write_mdm(line, mdm);
    }
    optional_text(line, "policy-set", event.policy_set);
    optional_text(line, "rule", event.rule);
    texts(line, "profiles", event.profiles.iter().map(|profile| &**profile));
    write_monitored(line, event);
    member(line, "verdict", event.verdict);
    member(line, "reason", event.reason);
    optional_text(line, "detail", event.detail);
    line.name("reply");
    line.json(if event.reply_json.is_empty() { "{}" } else { event.reply_json });
    if let Some(session) = event.session {
        line.name("session");
        line.grouped_hex(&session, LOWER, &[]);
    }
    line.name("latency-us");
    line.number(micros(event.latency));
    if !event.logged.is_empty() {
        line.name("request");
        line.open(b"{");
        attributes::chosen(line, event.logged, &event.request);
        line.close(b"}");
    }
    if let Some(judged) = &event.facts {
        write_facts(line, judged);
    }
}

fn write_monitored(line: &mut Line<'_>, event: &DecisionEvent<'_>) {
    if event.monitored_count == 0 {
        return;
    }
    line.name("monitored");
    line.open(b"[");
    for rule in event.monitored.iter().flatten() {
        line.open(b"{");
        member(line, "rule", rule.rule);
        member(line, "verdict", rule.verdict);
        texts(line, "profiles", rule.profiles.iter().map(|profile| &**profile));
        line.close(b"}");
    }
    line.close(b"]");
    let told = event.monitored.iter().flatten().count();
    if let Some(more) = usize::try_from(event.monitored_count).ok().and_then(|count| count.checked_sub(told))
        && more > 0
    {
        line.name("monitored-more");
        line.number(u64::try_from(more).unwrap_or(u64::MAX));
    }
}

/// What was known, so that the decision can be explained and judged by another policy. What stands elsewhere in the line
/// is not told twice.
fn write_facts(line: &mut Line<'_>, judged: &JudgedFacts<'_>) {
    line.name("facts");
    line.open(b"{");
    let mut list = None;
    judged.policy.each_kept(judged.facts, &mut |kept| {
        if list != Some(kept.name) {
            if list.take().is_some() {
                line.close(b"]");
            }
            line.name(kept.name);
            if kept.is_repeated {
                line.open(b"[");
                list = Some(kept.name);
            }
        }
        match kept.value {
            KeptValue::Text(text) => line.text(text),
            KeptValue::Boolean(truth) => line.boolean(truth),
            KeptValue::Number(number) => line.signed(number),
            KeptValue::Age(micros) => line.seconds(micros),
            KeptValue::Shown(shown) => line.shown(shown),
        }
    });
    if list.is_some() {
        line.close(b"]");
    }
    line.close(b"}");
}

fn write_certificate(line: &mut Line<'_>, certificate: &CertificateFacts<'_>) {
    line.name("certificate");
    line.open(b"{");
    optional_text(line, "subject-cn", certificate.subject_cn);
    optional_text(line, "issuer-cn", certificate.issuer_cn);
    member(line, "serial", certificate.serial);
    for (name, list) in [("san-uri", certificate.san_uri), ("san-dns", certificate.san_dns)] {
        if !list.is_empty() {
            texts(line, name, list.iter().map(|text| &**text));
        }
    }
    line.name("days-left");
    line.json(&certificate.days_left.to_string());
    line.close(b"}");
}

fn write_dialogue(line: &mut Line<'_>, dialogue: &DialogueEvent) {
    line.name("eap");
    line.open(b"{");
    if let Some(version) = dialogue.tls {
        member(line, "tls", version);
        line.name("resumed");
        line.json(if dialogue.resumed { "true" } else { "false" });
    }
    line.name("rounds");
    line.number(dialogue.rounds);
    line.close(b"}");
}

fn write_mdm(line: &mut Line<'_>, mdm: &MdmEvent<'_>) {
    line.name("mdm");
    line.open(b"{");
    optional_text(line, "server", mdm.server);
    member(line, "lookup", mdm.lookup);
    optional_text(line, "compliance", mdm.compliance);
    optional_text(line, "source", mdm.source);
    if let Some(age) = mdm.age {
        line.name("age-ms");
        line.number(millis(age));
    }
    line.name("waited-ms");
    line.number(millis(mdm.waited));
    line.close(b"}");
}

fn texts<'t>(line: &mut Line<'_>, name: &str, texts: impl Iterator<Item = &'t str>) {
    line.name(name);
    line.open(b"[");
    texts.for_each(|text| line.string(text));
    line.close(b"]");
}

fn write_drops(line: &mut Line<'_>, event: &DropEvent<'_>) {
    member(line, "reason", event.reason.label());
    optional_text(line, "detail", event.detail);
    optional_text(line, "client", event.client);
    line.name("peer");
    line.address(event.peer);
    if let Some(address) = event.nas_ip {
        line.name("nas-ip");
        line.shown(address);
    }
    line.name("count");
    line.number(event.count);
    member(line, "hint", event.reason.sentence());
}

fn write_accounting(line: &mut Line<'_>, event: &AccountingEvent<'_>) {
    member(line, "client", event.client);
    line.name("peer");
    line.address(event.peer);
    line.name("attributes");
    line.open(b"{");
    attributes::all(line, event.dictionary, &event.request);
    line.close(b"}");
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        clock::{Mono, Now},
        device::identifier::{Guid, MacAddress},
        dictionary::Dictionary,
        engine::event::{DropReason, MonitoredEvent},
        limits,
        radius::{attribute, code::Code, packet::Packet},
    };

    const NOW: Now = Now { mono: Mono::from_nanos(0), wall: Wall::from_micros(1_795_386_000_123_456) };

    /// A packet with these attributes; what must not be shown is in it too.
    pub(in crate::audit) fn packet(code: Code, attributes: &[(u8, &[u8])]) -> Vec<u8> {
        let mut octets = vec![code.0, 7, 0, 0];
        octets.extend_from_slice(&[0; 16]);
        for (kind, value) in attributes {
            attribute::encode(*kind, value, &mut octets).expect("the attribute fits");
        }
        let length = u16::try_from(octets.len()).expect("the packet fits").to_be_bytes();
        octets[2..4].copy_from_slice(&length);
        octets
    }

    fn vendor(vendor: u32, number: u8, value: &[u8]) -> Vec<u8> {
        let mut octets = vendor.to_be_bytes().to_vec();
        octets.push(number);
        octets.push(u8::try_from(value.len() + 2).expect("the value fits"));
        octets.extend_from_slice(value);
        octets
    }

    /// A decision about `request` with everything that a line can hold.
    pub(in crate::audit) fn decision<'a>(
        request: Packet<'a>,
        logged: &'a [crate::dictionary::Attribute],
        profiles: &'a [Box<str>],
    ) -> DecisionEvent<'a> {
        DecisionEvent {
            now: NOW,
            client: "campus",
            nas_ip: "192.0.2.1".parse().unwrap(),
            nas_identifier: Some(b"sw-3"),
            nas_port: Some(b"Gi1/0/12"),
            packet_id: 7,
            method: "mab",
            user: Some(b"a4c3f0112233"),
            mac: MacAddress::parse(b"a4c3f0112233"),
            device_id: Guid::parse(b"5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01"),
            device_id_source: Some("mac"),
            mdm: Some(MdmEvent {
                server: Some("corp-intune"),
                lookup: "found",
                compliance: Some("compliant"),
                source: Some("fresh"),
                age: Some(Duration::from_millis(1500)),
                waited: Duration::ZERO,
            }),
            certificate: None,
            dialogue: None,
            policy_set: Some("Wired"),
            rule: Some("Registered & Compliant"),
            profiles,
            monitored: [None; 4],
            monitored_count: 0,
            verdict: "accept",
            reason: "rule",
            detail: None,
            reply_json: r#"{"vlan":"20"}"#,
            session: Some([0xab; 16]),
            latency: Duration::from_micros(321),
            request,
            logged,
            dictionary: Dictionary::builtin(),
            facts: None,
        }
    }

    fn written(event: &Event<'_>) -> String {
        let mut out = Vec::with_capacity(limits::LOG_BUFFER_OCTETS);
        assert!(write(event, &mut Stamp::default(), &mut out), "the line fits");
        String::from_utf8(out).expect("a line is text")
    }

    fn logged(names: &[&str]) -> Vec<crate::dictionary::Attribute> {
        names.iter().map(|name| Dictionary::builtin().attribute(name).expect("it is known").clone()).collect()
    }

    #[test]
    fn a_decision_has_the_promised_fields_in_their_order() {
        let avpairs = [vendor(9, 1, b"a=1"), vendor(9, 1, b"b=2")];
        let octets = packet(
            Code::ACCESS_REQUEST,
            &[(1, b"a4c3f0112233"), (61, &[0, 0, 0, 15]), (26, &avpairs[0]), (26, &avpairs[1]), (4, &[192, 0, 2, 1])],
        );
        let logged = logged(&["NAS-Port-Type", "Cisco-AVPair", "NAS-IP-Address", "Called-Station-Id"]);
        let profiles = ["employee".into(), "short".into()];
        let event = decision(Packet::parse(&octets).unwrap(), &logged, &profiles);
        insta::assert_snapshot!(written(&Event::Decision(&event)), @r#"
        {"time":"2026-11-22T22:20:00.123456Z","event":"decision","client":"campus","nas-ip":"192.0.2.1","nas-identifier":"sw-3","nas-port":"Gi1/0/12","packet-id":7,"method":"mab","user":"a4c3f0112233","mac":"A4-C3-F0-11-22-33","device-id":"5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01","device-id-source":"mac","mdm":{"server":"corp-intune","lookup":"found","compliance":"compliant","source":"fresh","age-ms":1500,"waited-ms":0},"policy-set":"Wired","rule":"Registered & Compliant","profiles":["employee","short"],"verdict":"accept","reason":"rule","reply":{"vlan":"20"},"session":"abababababababababababababababab","latency-us":321,"request":{"NAS-Port-Type":"Ethernet","Cisco-AVPair":["a=1","b=2"],"NAS-IP-Address":"192.0.2.1"}}
        "#);
    }

    #[test]
    fn what_there_is_nothing_to_say_about_is_left_out() {
        let octets = packet(Code::ACCESS_REQUEST, &[]);
        let profiles = ["guest".into()];
        let guests = MonitoredEvent { rule: "Guests", verdict: "accept", profiles: &profiles };
        let event = DecisionEvent {
            nas_identifier: None,
            nas_port: None,
            user: None,
            mac: None,
            device_id: None,
            device_id_source: None,
            mdm: None,
            policy_set: None,
            rule: None,
            session: None,
            reply_json: "",
            verdict: "reject",
            reason: "no-credentials",
            monitored: [Some(guests), None, None, None],
            monitored_count: 3,
            ..decision(Packet::parse(&octets).unwrap(), &[], &[])
        };
        insta::assert_snapshot!(written(&Event::Decision(&event)), @r#"
        {"time":"2026-11-22T22:20:00.123456Z","event":"decision","client":"campus","nas-ip":"192.0.2.1","packet-id":7,"method":"mab","profiles":[],"monitored":[{"rule":"Guests","verdict":"accept","profiles":["guest"]}],"monitored-more":2,"verdict":"reject","reason":"no-credentials","reply":{},"latency-us":321}
        "#);
    }

    #[test]
    fn drops_tell_what_to_do() {
        let event = DropEvent {
            now: NOW,
            reason: DropReason::UnknownClient,
            detail: None,
            client: None,
            peer: "172.17.0.1".parse().unwrap(),
            count: 412,
            nas_ip: Some("10.1.2.3".parse().unwrap()),
        };
        insta::assert_snapshot!(written(&Event::Drops(&event)), @r#"
        {"time":"2026-11-22T22:20:00.123456Z","event":"drop","reason":"unknown-client","peer":"172.17.0.1","nas-ip":"10.1.2.3","count":412,"hint":"no [[client]] covers this address; add one, or look for address translation on the way"}
        "#);
    }

    fn accounting(octets: &[u8]) -> Value {
        let event = AccountingEvent {
            now: NOW,
            client: "campus",
            peer: "2001:db8::1".parse().unwrap(),
            request: Packet::parse(octets).unwrap(),
            dictionary: Dictionary::builtin(),
        };
        serde_json::from_str(&written(&Event::Accounting(&event))).expect("a line is JSON")
    }

    #[test]
    fn accounting_has_all_attributes_and_repeated_ones_as_a_list() {
        let octets = packet(
            Code::ACCOUNTING_REQUEST,
            &[
                (40, &[0, 0, 0, 1]),
                (44, b"0000A1"),
                (25, &[1, 2, 0xff]),
                (26, &vendor(9, 1, b"a=1")),
                (31, b"A4-C3-F0-11-22-33"),
                (26, &vendor(9, 1, b"b=2")),
                (55, &[0x65, 0, 0, 0]),
                (168, &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]),
                (8, &[10, 0, 0]),
                (26, &vendor(9999, 7, b"?")),
            ],
        );
        let line = accounting(&octets);
        assert_eq!((&line["event"], &line["peer"]), (&json!("accounting"), &json!("2001:db8::1")));
        assert_eq!(
            line["attributes"],
            json!({
                "Acct-Status-Type": "Start",
                "Acct-Session-Id": "0000A1",
                "Class": "0x0102ff",
                "Cisco-AVPair": ["a=1", "b=2"],
                "Calling-Station-Id": "A4-C3-F0-11-22-33",
                "Event-Timestamp": 0x6500_0000,
                "Framed-IPv6-Address": "2001:db8::9",
                "Framed-IP-Address": "0x0a0000",
                "Attr-26.9999.7": "0x3f",
            })
        );
    }

    #[test]
    fn credentials_keys_and_states_are_never_written() {
        let hidden = b"a-text-nobody-may-see";
        let vendors = [
            vendor(311, 1, hidden),
            vendor(311, 11, hidden),
            vendor(311, 16, hidden),
            vendor(311, 25, hidden),
            vendor(9, 1, b"psk=a-text-nobody-may-see"),
            vendor(9, 1, b"x PSK=a-text-nobody-may-see"),
            vendor(9, 1, b"psk=a-text-nobody-may-see \xff"),
            vendor(14988, 16, hidden),
        ];
        let [one, other] = [(2, &hidden[..16]), (79, &hidden[..])].map(|credential| {
            let fixed: [(u8, &[u8]); 8] = [
                (1, b"visible"),
                credential,
                (24, hidden),
                (33, hidden),
                (60, hidden),
                (69, hidden),
                (70, &hidden[..16]),
                (80, &hidden[..16]),
            ];
            // An EAP-Message stands beside no password.
            let fixed = fixed.into_iter().filter(|(kind, _)| credential.0 != 79 || *kind != 70);
            let attributes: Vec<(u8, &[u8])> =
                fixed.chain(vendors.iter().map(|value| (26, value.as_slice()))).collect();
            packet(Code::ACCESS_REQUEST, &attributes)
        });
        let chap = packet(Code::ACCESS_REQUEST, &[(1, b"visible"), (3, &hidden[..17]), (26, &vendors[4])]);
        let hex: String = hidden[..6].iter().map(|octet| format!("{octet:02x}")).collect();
        let all: Vec<_> = Dictionary::builtin().attributes().cloned().collect();
        for octets in [one, other, chap] {
            let event = decision(Packet::parse(&octets).unwrap(), &all, &[]);
            for shown in [accounting(&octets)["attributes"].to_string(), written(&Event::Decision(&event))] {
                assert!(!shown.contains("nobody") && !shown.contains(&hex), "{shown}");
                assert!(shown.contains("\"User-Name\":\"visible\"") && shown.contains("psk=<hidden>"), "{shown}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_accounting_record_makes_a_line_of_json(
            attributes in proptest::collection::vec((1u8..=255, proptest::collection::vec(any::<u8>(), 1..40)), 0..30),
        ) {
            let attributes: Vec<(u8, &[u8])> = attributes.iter().map(|(kind, value)| (*kind, value.as_slice())).collect();
            let octets = packet(Code::ACCOUNTING_REQUEST, &attributes);
            if Packet::parse(&octets).is_ok() {
                prop_assert!(accounting(&octets)["attributes"].is_object());
            }
        }
    }
}
