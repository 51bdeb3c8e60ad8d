//! An event as a line of the decision log.
//!
//! Owns which fields stand there and in which order. A field that there is nothing to say about is left out.

use std::{io::Write, time::Duration};

use jiff::Timestamp;

use crate::{
    clock::{Now, Wall},
    engine::event::{AccountingEvent, DecisionEvent, DialogueEvent, DropEvent, Event, JudgedFacts, MdmEvent},
    policy::{facts::CertificateFacts, record::KeptValue},
};

use super::{
    attributes,
    digits::{LOWER, UPPER, six},
    json::{Line, Lines, Name, name},
};

/// Adds the event to `lines`. `false`: it did not fit.
pub(super) fn write(event: &Event<'_>, stamp: &mut Stamp, lines: &mut Lines) -> bool {
    lines.add(|line| match event {
        Event::Decision(decision) => {
            begin(line, stamp, decision.now, "decision");
            write_decision(line, decision);
        }
        Event::Drops(drops) => {
            begin(line, stamp, drops.now, "drop");
            write_drops(line, drops);
        }
        Event::Accounting(accounting) => {
            begin(line, stamp, accounting.now, "accounting");
            write_accounting(line, accounting);
        }
    })
}

#[inline(always)]
fn begin(line: &mut Line<'_>, stamp: &mut Stamp, now: Now, event: &'static str) {
    line.name(name!("time"));
    line.quoted(stamp.of(now.wall));
    word(line, name!("event"), event);
}

/// The last time as text: within one second only its fraction changes.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<i64>,
    text: [u8; 32],
    length: usize,
}

/// A microsecond, and the letter of the time zone behind it.
const FRACTION_AND_ZONE: usize = 7;

impl Stamp {
    #[inline]
    fn of(&mut self, time: Wall) -> &[u8] {
        let micros = time.as_micros();
        let second = micros.div_euclid(1_000_000);
        if self.second != Some(second) {
            self.begin(micros, second);
        }
        // Without a second it is a bare number, complete as it is.
        if self.second.is_some()
            && let Some(place) = self.length.checked_sub(FRACTION_AND_ZONE).and_then(|at| self.text.get_mut(at..))
            && let Some(place) = place.first_chunk_mut()
        {
            *place = six(micros.rem_euclid(1_000_000).unsigned_abs());
        }
        self.text.get(..self.length).unwrap_or_default()
    }

    #[cold]
    fn begin(&mut self, micros: i64, second: i64) {
        let mut rest = self.text.as_mut_slice();
        let written = match Timestamp::from_microsecond(micros) {
            Ok(time) => {
                self.second = Some(second);
                write!(rest, "{time:.6}")
            }
            // Before the year -9999 or after 9999; the number is all that can be said.
            Err(_) => {
                self.second = None;
                write!(rest, "{micros}")
            }
        };
        debug_assert!(written.is_ok(), "32 octets hold a time");
        let unused = rest.len();
        self.length = self.text.len() - unused;
    }
}

#[inline(always)]
fn member(line: &mut Line<'_>, name: Name, text: &str) {
    line.name(name);
    line.string(text);
}

/// A member whose value is a word of ours.
#[inline(always)]
fn word(line: &mut Line<'_>, name: Name, word: &'static str) {
    line.name(name);
    line.word(word);
}

#[inline(always)]
fn optional_word(line: &mut Line<'_>, name: Name, text: Option<&'static str>) {
    if let Some(text) = text {
        word(line, name, text);
    }
}

#[inline(always)]
fn optional_text(line: &mut Line<'_>, name: Name, text: Option<&str>) {
    if let Some(text) = text {
        member(line, name, text);
    }
}

#[inline(always)]
fn optional(line: &mut Line<'_>, name: Name, octets: Option<&[u8]>) {
    if let Some(octets) = octets {
        line.name(name);
        line.text(octets);
    }
}

/// Where the octets of a MAC address stand in its text.
const MAC_PLACES: [usize; 6] = [0, 3, 6, 9, 12, 15];
/// Where the octets of a device id stand in its text.
const GUID_PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
/// Where octets stand that are written one behind the other.
const SESSION_PLACES: [usize; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];

fn write_decision(line: &mut Line<'_>, event: &DecisionEvent<'_>) {
    member(line, name!("client"), event.client);
    line.name(name!("nas-ip"));
    line.address(event.nas_ip);
    optional(line, name!("nas-identifier"), event.nas_identifier);
    optional(line, name!("nas-port"), event.nas_port);
    line.name(name!("packet-id"));
    line.number(event.packet_id);
    word(line, name!("method"), event.method);
    optional(line, name!("user"), event.user);
    if let Some(mac) = event.mac {
        line.name(name!("mac"));
        line.hyphenated::<6, 17>(mac.octets(), &UPPER, MAC_PLACES);
    }
    if let Some(id) = event.device_id {
        line.name(name!("device-id"));
        line.hyphenated::<16, 36>(id.octets(), &LOWER, GUID_PLACES);
    }
    optional_word(line, name!("device-id-source"), event.device_id_source);
    if let Some(certificate) = &event.certificate {
        write_certificate(line, certificate);
    }
    if let Some(dialogue) = &event.dialogue {
        write_dialogue(line, dialogue);
    }
    if let Some(mdm) = &event.mdm {
        write_mdm(line, mdm);
    }
    line.json(event.outcome_json);
    write_monitored(line, event);
    word(line, name!("verdict"), event.verdict);
    word(line, name!("reason"), event.reason);
    optional_text(line, name!("detail"), event.detail);
    line.name(name!("reply"));
    line.json(if event.reply_json.is_empty() { "{}" } else { event.reply_json });
    if let Some(session) = event.session {
        line.name(name!("session"));
        line.hyphenated::<16, 32>(session, &LOWER, SESSION_PLACES);
    }
    line.name(name!("latency-us"));
    line.number(micros(event.latency));
    if !event.logged.is_empty() {
        line.name(name!("request"));
        line.open(b'{');
        attributes::chosen(line, event.logged, &event.request);
        line.end(b'}');
    }
    if let Some(judged) = &event.facts {
        write_facts(line, judged);
    }
}

fn write_monitored(line: &mut Line<'_>, event: &DecisionEvent<'_>) {
    if event.monitored_count == 0 {
        return;
    }
    line.name(name!("monitored"));
    line.open(b'[');
    for rule in event.monitored.iter().flatten() {
        line.open(b'{');
        member(line, name!("rule"), rule.rule);
        word(line, name!("verdict"), rule.verdict);
        texts(line, name!("profiles"), rule.profiles.iter().map(|profile| &**profile));
        line.end(b'}');
    }
    line.end(b']');
    let told = event.monitored.iter().flatten().count();
    if let Some(more) = usize::try_from(event.monitored_count).ok().and_then(|count| count.checked_sub(told))
        && more > 0
    {
        line.name(name!("monitored-more"));
        line.number(u64::try_from(more).unwrap_or(u64::MAX));
    }
}

/// What was known, so that the decision can be explained and judged by another policy. What stands elsewhere in the line
/// is not told twice.
fn write_facts(line: &mut Line<'_>, judged: &JudgedFacts<'_>) {
    line.name(name!("facts"));
    line.open(b'{');
    let mut list = None;
    judged.policy.each_kept(judged.facts, |kept| {
        if list.is_some() && list != Some(kept.name) {
            line.end(b']');
            list = None;
        }
        if list.is_none() {
            line.plain_name(kept.name);
        }
        if list.is_none() && kept.is_repeated {
            line.open(b'[');
            list = Some(kept.name);
        }
        match kept.value {
            KeptValue::Text(text) => line.text(text),
            KeptValue::Boolean(truth) => line.boolean(truth),
            KeptValue::Number(number) => line.signed(number),
            KeptValue::Age(micros) => line.seconds(micros),
            KeptValue::Word(word) => line.word(word),
            KeptValue::Shown(shown) => line.shown(shown),
        }
    });
    if list.is_some() {
        line.end(b']');
    }
    line.end(b'}');
}

fn write_certificate(line: &mut Line<'_>, certificate: &CertificateFacts<'_>) {
    line.name(name!("certificate"));
    line.open(b'{');
    optional_text(line, name!("subject-cn"), certificate.subject_cn);
    optional_text(line, name!("issuer-cn"), certificate.issuer_cn);
    member(line, name!("serial"), certificate.serial);
    for (name, list) in [(name!("san-uri"), certificate.san_uri), (name!("san-dns"), certificate.san_dns)] {
        if !list.is_empty() {
            texts(line, name, list.iter().map(|text| &**text));
        }
    }
    line.name(name!("days-left"));
    line.signed(certificate.days_left);
    line.end(b'}');
}

fn write_dialogue(line: &mut Line<'_>, dialogue: &DialogueEvent) {
    line.name(name!("eap"));
    line.open(b'{');
    if let Some(version) = dialogue.tls {
        word(line, name!("tls"), version);
        line.name(name!("resumed"));
        line.boolean(dialogue.resumed);
    }
    line.name(name!("rounds"));
    line.number(dialogue.rounds);
    line.end(b'}');
}

fn write_mdm(line: &mut Line<'_>, mdm: &MdmEvent<'_>) {
    line.name(name!("mdm"));
    line.open(b'{');
    optional_text(line, name!("server"), mdm.server);
    word(line, name!("lookup"), mdm.lookup);
    optional_word(line, name!("compliance"), mdm.compliance);
    optional_word(line, name!("source"), mdm.source);
    if let Some(age) = mdm.age {
        line.name(name!("age-ms"));
        line.number(millis(age));
    }
    line.name(name!("waited-ms"));
    line.number(millis(mdm.waited));
    line.end(b'}');
}

fn texts<'t>(line: &mut Line<'_>, name: Name, texts: impl Iterator<Item = &'t str>) {
    line.name(name);
    line.open(b'[');
    texts.for_each(|text| line.string(text));
    line.end(b']');
}

fn write_drops(line: &mut Line<'_>, event: &DropEvent<'_>) {
    word(line, name!("reason"), event.reason.label());
    optional_text(line, name!("detail"), event.detail);
    optional_text(line, name!("client"), event.client);
    // A sum over many senders has none.
    if !event.peer.is_unspecified() {
        line.name(name!("peer"));
        line.address(event.peer);
    }
    if let Some(address) = event.nas_ip {
        line.name(name!("nas-ip"));
        line.shown(address);
    }
    line.name(name!("count"));
    line.number(event.count);
    member(line, name!("hint"), event.reason.sentence());
}

fn write_accounting(line: &mut Line<'_>, event: &AccountingEvent<'_>) {
    member(line, name!("client"), event.client);
    line.name(name!("peer"));
    line.address(event.peer);
    line.name(name!("attributes"));
    line.open(b'{');
    attributes::all(line, event.dictionary, &event.request);
    line.end(b'}');
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
        clock::Mono,
        device::identifier::{Guid, MacAddress},
        dictionary::Dictionary,
        engine::event::{DropReason, MonitoredEvent},
        limits,
        policy::compiled::Policy,
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
        outcome_json: &'a str,
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
            rule: Some("Registered & Compliant"),
            outcome_json,
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
        let mut lines = Lines::with_room(limits::LOG_BUFFER_OCTETS);
        assert!(write(event, &mut Stamp::default(), &mut lines), "the line fits");
        String::from_utf8(lines.octets().to_vec()).expect("a line is text")
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
        let outcome = r#""policy-set":"Wired","rule":"Registered & Compliant","profiles":["employee","short"]"#;
        let event = decision(Packet::parse(&octets).unwrap(), &logged, outcome);
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
            rule: None,
            session: None,
            reply_json: "",
            verdict: "reject",
            reason: "no-credentials",
            monitored: [Some(guests), None, None, None],
            monitored_count: 3,
            ..decision(Packet::parse(&octets).unwrap(), &[], Policy::no_outcome_json())
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
        let detail = Some("further-senders");
        let others = DropEvent { detail, peer: "0.0.0.0".parse().unwrap(), nas_ip: None, ..event };
        insta::assert_snapshot!(written(&Event::Drops(&others)), @r#"
        {"time":"2026-11-22T22:20:00.123456Z","event":"drop","reason":"unknown-client","detail":"further-senders","count":412,"hint":"no [[client]] covers this address; add one, or look for address translation on the way"}
        "#);
    }

    #[test]
    fn times_of_one_stamp_are_those_of_the_calendar() {
        let mut stamp = Stamp::default();
        let second = NOW.wall.as_micros() - 123_456;
        for micros in [
            second,
            second + 1,
            second + 999_999,
            second + 1_000_000,
            second - 1,
            -1,
            -1_000_000,
            0,
            7,
            i64::MAX,
            7,
            i64::MIN,
        ] {
            let expected = Timestamp::from_microsecond(micros).map_or(micros.to_string(), |time| format!("{time:.6}"));
            assert_eq!(String::from_utf8_lossy(stamp.of(Wall::from_micros(micros))), expected);
        }
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
            let event = decision(Packet::parse(&octets).unwrap(), &all, Policy::no_outcome_json());
            for shown in [accounting(&octets)["attributes"].to_string(), written(&Event::Decision(&event))] {
                assert!(!shown.contains("nobody") && !shown.contains(&hex), "{shown}");
                assert!(shown.contains("\"User-Name\":\"visible\"") && shown.contains("psk=<hidden>"), "{shown}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_times_of_one_stamp_are_those_of_the_calendar(
            times in proptest::collection::vec(prop_oneof![any::<i64>(), -5_000_000_000i64..5_000_000_000], 1..20),
        ) {
            let mut stamp = Stamp::default();
            for micros in times {
                let expected = Timestamp::from_microsecond(micros).map_or(micros.to_string(), |time| format!("{time:.6}"));
                prop_assert_eq!(String::from_utf8_lossy(stamp.of(Wall::from_micros(micros))), expected);
            }
        }

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
