//! Inputs for the fuzz bodies: seeds from the vectors and the shipped files, and changes to them by seeded chance.
//!
//! Owns where inputs come from; what must hold for them is the matter of the bodies.

use std::{fs, path::Path};

use radmit::{engine::chance::Chance, limits::PACKET_OCTETS_MAX};
use serde_json::Value;

use crate::support::pki::{Authority, Kind};

/// Inputs longer than this are cut: longer ones are slower and tell nothing new.
const INPUT_OCTETS_MAX: usize = 2 * PACKET_OCTETS_MAX;

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The paths of all files in a folder, in order.
fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap())).collect();
    names.sort();
    names
}

/// All packets of all vectors; single attributes of vectors in a packet of their own.
pub(crate) fn packets() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for path in files("tests/vectors").iter().filter(|path| path.ends_with(".json")) {
        let Value::Array(vectors) = serde_json::from_str(&text(path)).unwrap() else { continue };
        for vector in &vectors {
            packets.extend([&vector["request_hex"], &vector["response_hex"]].into_iter().filter_map(unhex));
            packets.extend(unhex(&vector["attribute_hex"]).map(|attribute| in_a_packet(&attribute)));
        }
    }
    packets
}

fn unhex(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn in_a_packet(attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + attributes.len()).unwrap().to_be_bytes();
    [&[1, 7], &length[..], &[0x5a; 16], attributes].concat()
}

/// Fragments: whole flights, flights in pieces, and broken ones.
pub(crate) fn fragments() -> Vec<Vec<u8>> {
    let whole = [&[4, 0, 5, 120, 4, 0][..], b"abc"].concat();
    let pieces = [&[1, 44, 0, 0, 8, 0xc0, 0, 0, 0, 6][..], b"abc", &[4, 0x00], b"def"].concat();
    let told_twice = [&[0, 100, 0, 7, 8, 0xc0, 0, 0, 0, 6][..], b"abc", &[8, 0x80, 0, 0, 0, 7], b"def"].concat();
    let endless = [&[5, 220, 5, 220][..], &[7, 0xc0, 0, 0, 0x7f, 0xff, 1, 2].repeat(40)].concat();
    vec![whole, pieces, told_twice, endless]
}

/// Certificates of devices and servers, keys and lists, each as everything that it can be taken as.
pub(crate) fn certificates() -> Vec<Vec<u8>> {
    let root = Authority::root("Contoso Root", Kind::P256);
    let (device, server) = (root.device(Kind::P256), root.server(Kind::P256));
    let files: [Vec<u8>; 6] = [
        device.chain[0].to_vec(),
        device.pem.into_bytes(),
        server.pem.into_bytes(),
        server.key.into_bytes(),
        root.pem().into_bytes(),
        root.revocation_list(&[7]),
    ];
    files.iter().flat_map(|octets| (0..6).map(|kind| [&[kind], &octets[..]].concat())).collect()
}

/// Steps of EAP conversations: a whole handshake with every offer and both verdicts, and handshakes that go astray.
pub(crate) fn eap_steps() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        (0..4).flat_map(|offer| [0, 1].map(|first| [&[offer, first][..], &[0; 20]].concat())).collect();
    seeds.push([&[0, 0][..], &[0; 5], &[1; 10]].concat());
    seeds.push([&[0, 0][..], &[4, 30, 7, 0, 0, 4, 60, 1, 0, 0]].concat());
    seeds.push([&[2, 0][..], &[22, 2, 3, 4, 0], &[22, 18, 4, 16], &[7; 16], &[0]].concat());
    seeds.push([&[1, 2, 2, 9, 0, 6, 1, b'x'][..], &[6, 4, 0x80, 0, 0, 0], &[5, 4, 4, 1, 0, 4]].concat());
    seeds
}

/// Steps in the toy world: every shape of a request, each answered, repeated and left alone; then chance.
pub(crate) fn engine_steps() -> Vec<Vec<u8>> {
    let request = |shape: u8, device: u8| [0, device, shape, shape, 0, 0, 0];
    let mut seeds = Vec::new();
    for kind in 0..6 {
        let shapes = (0..16).flat_map(|shape| request(shape, kind)).collect::<Vec<_>>();
        seeds.push([&[kind][..], &shapes, &[7, 0, 0, 1, 10, 3, 5, 0, 0, 5, 2, 0, 11, 8]].concat());
        let answered =
            [&request(9, kind)[..], &[7, 0, kind, 0, 10, 9], &request(10, kind), &[8, 0, 5, 1, 10, 11]].concat();
        seeds.push([&[kind][..], &answered.repeat(3)].concat());
        // A device that is known or not begins a conversation, answers, and is repeated.
        let eap = |identifier: u8, which: u8| [0, kind, 4, identifier, 0, 0, which];
        let learnt = [12, kind, kind];
        let talk = [&learnt[..], &eap(1, 6), &eap(2, 0), &[5, 0, 0], &eap(3, 4), &[10, 3, 7, 0, 0, 1, 10, 7]].concat();
        seeds.push([&[kind][..], &talk.repeat(2)].concat());
        // The same shapes at once, each twice; and a conversation that goes on beside who begins one.
        let together = |octets: &[u8]| [&[octets[0] | 0x80], &octets[1..]].concat();
        let mut batches: Vec<u8> = [9, 10, 4, 2, 0, 9]
            .into_iter()
            .flat_map(|shape| [together(&request(shape, kind)), together(&[5, 0, 0])].concat())
            .collect();
        batches.extend([&eap(9, 6)[..], &[7, 0, 0, 1], &together(&eap(10, 6)), &together(&[15, 9, 30, 1])].concat());
        batches.extend([&together(&request(9, kind)), &eap(11, 0)[..], &[10, 3]].concat());
        seeds.push([&[kind][..], &batches.repeat(2)].concat());
        let mut chance = Chance::new(kind.into());
        seeds.push((0..400).map(|_| octet(&mut chance)).collect());
    }
    seeds
}

/// The shipped dictionaries, each with a list of attributes behind it.
pub(crate) fn dictionaries() -> Vec<Vec<u8>> {
    let shipped = files("dictionaries/rfc").into_iter().chain(files("dictionaries/vendor"));
    let mut seeds: Vec<Vec<u8>> = shipped.map(|path| format!("{}\0{LIST}", text(&path)).into_bytes()).collect();
    seeds.push(format!("{ALL_SYNTAX}\0{LIST}\0ATTRIBUTE Included 9 byte\n").into_bytes());
    seeds
}

/// The shipped policies, and small ones that use the whole language.
pub(crate) fn policies() -> Vec<Vec<u8>> {
    let shipped = files("policies").into_iter().chain(files("policies/examples"));
    let shipped = shipped.filter(|path| path.ends_with(".toml"));
    let mut seeds: Vec<Vec<u8>> = shipped.map(|path| text(&path).into_bytes()).collect();
    seeds.push(ALL_CONDITIONS.as_bytes().to_vec());
    // Two files, and a list file that the second names.
    seeds.push(format!("{ALL_CONDITIONS}\0{EXCEPTIONS}\0a4c3f0666666\n# a comment\n02:00:5e\n").into_bytes());
    seeds
}

const ALL_CONDITIONS: &str = r#"version = 1
[policy-set]
name = "Wired"
rank = 20
methods = ["mab", "eap-tls"]
when = { session.medium = ["wired", "virtual"], client.group = "wired" }
default = "deny"
mdm = ["corp-intune"]
[[rule]]
name = "Blocked"
when.identity.mac = { in-list = "blocked" }
result = "deny"
[[rule]]
name = "Everything"
state = "monitor"
when = { any = [{ mdm.os-version = { at-least = "10.0.22000" } }, { not = { radius.NAS-Port-Id = { starts-with = "Gi", not = "Gi0" } } }], mdm.age = { below = "5m" }, client.address = { network = "10.0.0.0/8" }, radius.User-Name = { matches = "^[0-9a-f]{12}$" }, time.hour = { in = [8, 9] }, time.weekday = "sunday" }
result = ["employee", "short"]
[[rule]]
name = "Compliant"
when = { condition = "good", mdm.last-compliant = { within = "24h" } }
result = ["employee"]
[condition.good]
when = { mdm.registered = true, mdm.compliant = true, identity.mac = { present = true } }
[list.blocked]
values = ["A4-C3-F0-66-66-66", "02:00:5E:00:00"]
[acl.corp]
ipv4 = ["permit udp any any eq 53", "deny ip any 10.9.0.0 0.0.255.255", "permit ip any any"]
[profile.employee]
access = "accept"
vlan = 20
acl = "corp"
session-timeout = "8h"
reauthenticate = true
attributes = { Reply-Message = "Welcome {mdm.device-name}", Cisco-AVPair = ["profile-name=corp"] }
[profile.short]
session-timeout = "1h"
[[case]]
name = "a compliant laptop gets VLAN 20"
request = { User-Name = "a4c3f0112233", Service-Type = "Call-Check", NAS-Port-Type = "Ethernet" }
client = { vendor = "cisco" }
mdm = { registered = true, compliant = true, last-compliant = "3h" }
expect = { rule = "Compliant", access = "accept", vlan = 20 }
"#;

const EXCEPTIONS: &str = r#"version = 1
[policy-set]
name = "Rest"
rank = 90
[[rule]]
name = "Late"
when = { mdm.reachable = false }
result = "silent"
[profile.silent]
access = "ignore"
[list.stolen]
file = "2"
[[exception]]
name = "Stolen"
when = { identity.mac = { in-list = "stolen" } }
result = "deny"
"#;

pub(crate) const POLICY_WORDS: [&str; 46] = [
    "\0",
    "\n",
    "version = 1\n",
    "[[rule]]\n",
    "[policy-set]\n",
    "[profile.x]\n",
    "[acl.x]\n",
    "[list.x]\n",
    "[condition.x]\n",
    "[[case]]\n",
    "[[exception]]\n",
    "name = \"x\"\n",
    "result = \"deny\"\n",
    "state = \"disabled\"\n",
    "default = \"x\"\n",
    "when = { ",
    " }",
    "any = [",
    "all = [",
    "not = { ",
    "]",
    "condition = \"x\"",
    "in-list = \"x\"",
    "matches = \"(\"",
    "within = \"1h\"",
    "network = \"::/0\"",
    "present = false",
    "at-least = \"1.2\"",
    "mac = \"02\"",
    "radius.\"Attr-26.9.1\" = ",
    "mdm.compliant",
    "mdm.lookup = \"late\"",
    "session.method = \"eap\"",
    "time.date",
    "true",
    "-1",
    "1e9",
    "\"\"",
    "\"0x00\"",
    "{mdm.user}",
    "vlan = 4095\n",
    "vlan = \"{mdm.os}\"\n",
    "acl = \"x\"\n",
    "access = \"accept\"\n",
    "optional = [\"acl\"]\n",
    "attributes = { User-Name = \"{identity.mac}\" }\n",
];

const LIST: &str = r#"(12)  User-Name = "a4c3f0112233", NAS-IP-Address = 192.0.2.1
Service-Type := Call-Check # a comment
Tunnel-Type:1 = VLAN, Tunnel-Private-Group-Id:1 += '20'
Cisco-AVPair == "profile-name=\"corp\"\n\x41\101"
Framed-IPv6-Prefix = 2001:db8::/32
Event-Timestamp = "Nov 22 2026 10:00:00 UTC"
Attr-26.9.200 = 0x0102, Attr-241.1 = 0xff, Framed-Interface-Id = 0:11:22ff:33
"#;

const ALL_SYNTAX: &str = "VENDOR Example 32473 format=1,1
VENDOR Wide 32474 format=4,2
VENDOR Cut 24757 format=1,1,c
$INCLUDE 2
$INCLUDE- 7
ATTRIBUTE Plain 1 string
ATTRIBUTE Secret 2 string encrypt=1
ATTRIBUTE Tagged 64 integer has_tag
ATTRIBUTE Sized 3 octets[16]
VALUE Tagged VLAN 13
ATTRIBUTE Extended-Attribute-1 241 extended
ATTRIBUTE Inside 241.1 ipaddr
BEGIN-VENDOR Example
ATTRIBUTE Box 1 tlv
BEGIN-TLV Box
ATTRIBUTE Box-Number 1 integer64
END-TLV Box
ATTRIBUTE Box-Text 1.2 string concat
END-VENDOR Example
";

pub(crate) const DICTIONARY_WORDS: [&str; 44] = [
    "ATTRIBUTE ",
    "VALUE ",
    "VENDOR ",
    "BEGIN-VENDOR ",
    "END-VENDOR ",
    "BEGIN-TLV ",
    "END-TLV ",
    "$INCLUDE 2\n",
    "$INCLUDE- 0\n",
    "FLAGS ",
    "PROTOCOL ",
    "\0",
    "\n",
    "\t",
    "#",
    ",",
    "=",
    "\"",
    "'",
    "\\",
    ":1",
    "0x",
    "0x7f",
    "4294967296",
    "18446744073709551615",
    "-1",
    " string",
    " octets[3]",
    " integer",
    " ipv6prefix",
    " tlv",
    " evs",
    " long-extended",
    " has_tag",
    " encrypt=2",
    " concat",
    " secret",
    "format=2,0",
    "format=1,1,c",
    "26.9.1",
    "241.26.9.1",
    "Attr-26.32473.1",
    "2001:db8::/129",
    "\u{feff}",
];

/// An input made of the seeds by one to four changes.
pub(crate) fn mutated(seeds: &[Vec<u8>], words: &[&str], chance: &mut Chance) -> Vec<u8> {
    let mut input = pick(seeds, chance).cloned().unwrap_or_default();
    for _ in 0..=chance.below(4) {
        change(&mut input, seeds, words, chance);
        input.truncate(INPUT_OCTETS_MAX);
    }
    input
}

/// A packet whose Length says something else is refused at once: mends it most of the time.
pub(crate) fn mend_length(packet: &mut [u8], chance: &mut Chance) {
    let length = u16::try_from(packet.len().min(PACKET_OCTETS_MAX)).unwrap().to_be_bytes();
    if packet.len() >= 20 && chance.below(4) > 0 {
        packet[2..4].copy_from_slice(&length);
    }
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], chance: &mut Chance) {
    let at = below(input.len() + 1, chance);
    let to = at + below((input.len() - at).min(64) + 1, chance);
    match chance.below(8) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..to)),
        2 => {
            let copied = input[at..to].to_vec();
            let into = below(input.len() + 1, chance);
            input.splice(into..into, copied);
        }
        3 => {
            let other = pick(seeds, chance).cloned().unwrap_or_default();
            let from = below(other.len() + 1, chance);
            let until = from + below((other.len() - from).min(300) + 1, chance);
            input.splice(at..to, other[from..until].iter().copied());
        }
        4 => {
            let word = pick(words, chance).copied().unwrap_or_default();
            input.splice(at..at, word.bytes());
        }
        5 => {
            let made: Vec<u8> = (0..chance.below(8)).map(|_| octet(chance)).collect();
            input.splice(at..at, made);
        }
        _ => {
            let made = octet(chance);
            if let Some(changed) = input.get_mut(at) {
                *changed = if chance.below(2) == 0 { made } else { *changed ^ (1 << (made & 7)) };
            }
        }
    }
}

fn below(bound: usize, chance: &mut Chance) -> usize {
    usize::try_from(chance.below(bound as u64)).unwrap()
}

fn pick<'a, T>(from: &'a [T], chance: &mut Chance) -> Option<&'a T> {
    from.get(below(from.len().max(1), chance))
}

fn octet(chance: &mut Chance) -> u8 {
    u8::try_from(chance.below(256)).unwrap()
}
