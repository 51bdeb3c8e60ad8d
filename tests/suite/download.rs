//! ACLs that switches fetch in an exchange of their own.

use std::{sync::LazyLock, time::Duration};

use radmit::{
    device::record::Compliance,
    dictionary::{Path, values},
    engine::client::{Client, MessageAuthenticatorMode},
    radius::{code::Code, kind, packet::Packet, request::RequestBuffer, secret::Secret},
};

use crate::support::world::{LAPTOP, Setting, World, code_of, swap_policy};

const PAIR: Path = Path::vendor(9, 1);

fn policy(acl: &str) -> String {
    format!(
        "version = 1\n[policy-set]\nname = \"All\"\n[[rule]]\nname = \"Compliant\"\nwhen = {{ mdm.compliant = true }}\n\
         result = \"employee\"\n[profile.employee]\naccess = \"accept\"\nvlan = 20\nacl = \"corp\"\n{acl}"
    )
}

/// Three rules of IPv4 and one of IPv6.
static SHORT: LazyLock<String> = LazyLock::new(|| {
    policy(
        "[acl.corp]\nipv4 = [\"permit udp any any eq 53\", \"deny ip any 10.9.0.0 0.0.255.255\", \"permit ip any any\"]\n\
         ipv6 = [\"permit ipv6 any any\"]\n",
    )
});

/// The first rule changed.
static CHANGED: LazyLock<String> = LazyLock::new(|| SHORT.replace("eq 53", "eq 853"));

/// Five hundred rules: about 25 kB.
static LONG: LazyLock<String> = LazyLock::new(|| {
    let rules: Vec<String> =
        (0..500).map(|at| format!("\"permit tcp any host 10.{}.{}.7 eq 443\"", at / 250, at % 250)).collect();
    policy(&format!("[acl.corp]\nipv4 = [{}]\n", rules.join(", ")))
});

fn world(policy: &'static str) -> World {
    // The mode that asks for the least: what is asked of these requests is asked in every mode.
    let client = |client: &mut Client| client.message_authenticator = MessageAuthenticatorMode::Optional;
    World::with(Setting { policy, client, vendor: "cisco", ..Setting::default() })
}

fn pairs(reply: &[u8]) -> Vec<String> {
    let packet = Packet::parse(reply).unwrap();
    values(packet.attributes(), &PAIR).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

/// The names of the ACLs that a compliant laptop is told.
fn told(world: &mut World) -> Vec<String> {
    world.know(LAPTOP, Compliance::Compliant);
    let request = world.mab(LAPTOP);
    let replies = world.send(&request);
    assert_eq!(code_of(&replies, &request), Code::ACCESS_ACCEPT);
    world.lines();
    let names = pairs(&replies[0]).into_iter().filter_map(|pair| Some(pair.split_once("Defined-ACL=")?.1.to_owned()));
    names.collect()
}

fn push_pair(buffer: &mut RequestBuffer, pair: &str) {
    let mut value = 9u32.to_be_bytes().to_vec();
    value.extend([1, u8::try_from(pair.len() + 2).unwrap()]);
    value.extend(pair.as_bytes());
    buffer.push(kind::VENDOR_SPECIFIC, &value).unwrap();
}

/// The request as a switch sends it; `state`: what the challenge before carried.
fn ask(world: &mut World, name: &str, state: Option<&[u8]>) -> Vec<u8> {
    world.request(|buffer, secret| {
        buffer.push(kind::USER_NAME, name.as_bytes()).unwrap();
        buffer.push_password(b"", secret).unwrap();
        push_pair(buffer, "aaa:service=ip_admission");
        push_pair(buffer, "aaa:event=acl-download");
        if let Some(state) = state {
            buffer.push(kind::STATE, state).unwrap();
        }
    })
}

/// The whole ACL, and in how many parts it came.
fn fetch(world: &mut World, name: &str) -> (Vec<String>, usize) {
    let (mut rules, mut state) = (Vec::new(), None::<Vec<u8>>);
    for part in 1.. {
        let request = ask(world, name, state.as_deref());
        let replies = world.send(&request);
        let code = code_of(&replies, &request);
        rules.extend(pairs(&replies[0]));
        if code == Code::ACCESS_ACCEPT {
            return (rules, part);
        }
        assert_eq!(code, Code::ACCESS_CHALLENGE);
        state = Packet::parse(&replies[0]).unwrap().first(kind::STATE).map(<[u8]>::to_vec);
        assert!(state.is_some() && part < 100);
    }
    unreachable!("the loop ends with an accept")
}

#[test]
fn a_state_without_a_value_asks_for_the_first_part() {
    let mut world = world(&SHORT);
    let name = told(&mut world).swap_remove(0);
    let request = world.request(|buffer, secret| {
        buffer.push(kind::USER_NAME, name.as_bytes()).unwrap();
        buffer.push_password(b"", secret).unwrap();
        push_pair(buffer, "aaa:event=acl-download");
        buffer.push_encoded(&[kind::STATE, 2]).unwrap();
    });
    let replies = world.send(&request);
    assert_eq!(code_of(&replies, &request), Code::ACCESS_ACCEPT);
    assert_eq!(pairs(&replies[0]).len(), 3);
}

#[test]
fn an_accept_names_the_acl_and_the_second_request_fetches_its_rules() {
    let mut world = world(&SHORT);
    let names = told(&mut world);
    assert_eq!(names.len(), 2, "one for each family: {names:?}");
    // printf 'permit udp any any eq 53\ndeny ip any 10.9.0.0 0.0.255.255\npermit ip any any' | sha256sum
    assert_eq!(names[0], "#ACSACL#-IP-corp-35d3c60a");
    let (rules, parts) = fetch(&mut world, &names[0]);
    assert_eq!(parts, 1);
    assert_eq!(
        rules,
        [
            "ip:inacl#1=permit udp any any eq 53",
            "ip:inacl#2=deny ip any 10.9.0.0 0.0.255.255",
            "ip:inacl#3=permit ip any any"
        ]
    );
    assert_eq!(world.line(), "accept acl-download acl-download lookup=- source=- rule=-");
    assert_eq!(fetch(&mut world, &names[1]).0, ["ipv6:inacl#1=permit ipv6 any any"]);
    assert_eq!(world.lines().len(), 1);
}

#[test]
fn a_long_acl_comes_in_parts_that_are_the_whole() {
    let mut world = world(&LONG);
    let names = told(&mut world);
    let (rules, parts) = fetch(&mut world, &names[0]);
    assert_eq!((rules.len(), parts), (500, 8), "of about 4 kB each");
    for (at, rule) in rules.iter().enumerate() {
        assert_eq!(*rule, format!("ip:inacl#{}=permit tcp any host 10.{}.{}.7 eq 443", at + 1, at / 250, at % 250));
    }
    assert_eq!(world.lines().len(), 1, "the log has one line for the whole");
}

#[test]
fn a_repeated_request_for_a_part_gets_the_same_part() {
    let mut world = world(&LONG);
    let names = told(&mut world);
    let request = ask(&mut world, &names[0], None);
    let first = world.send(&request);
    assert_eq!(world.send(&request), first);
}

#[test]
fn each_refusal_has_its_own_reason() {
    let mut world = world(&SHORT);
    let names = told(&mut world);
    let request = ask(&mut world, "#ACSACL#-IP-guest-00000000", None);
    assert_eq!(code_of(&world.send(&request), &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject acl-unknown acl-download"));

    let request = ask(&mut world, "#ACSACL#-IP-corp-00000000", None);
    assert_eq!(code_of(&world.send(&request), &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject acl-outdated"));

    for state in [&b"x"[..], &[0xac; 13], &[0; 21]] {
        let request = ask(&mut world, &names[0], Some(state));
        assert_eq!(code_of(&world.send(&request), &request), Code::ACCESS_REJECT);
        assert!(world.line().starts_with("reject acl-state"));
    }

    let request = world.request(|buffer, secret| {
        buffer.push(kind::USER_NAME, names[0].as_bytes()).unwrap();
        buffer.push_password(b"", secret).unwrap();
    });
    assert_eq!(code_of(&world.send(&request), &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject acl-pair-missing"));
}

#[test]
fn without_a_message_authenticator_no_acl_is_told_in_any_mode() {
    let mut world = world(&SHORT);
    let names = told(&mut world);
    let secret = Secret::new(crate::support::world::SECRET.into()).unwrap();
    let mut buffer = RequestBuffer::new();
    buffer.start_unsigned_request(Code::ACCESS_REQUEST, 200, &[9; 16]);
    buffer.push(kind::USER_NAME, names[0].as_bytes()).unwrap();
    buffer.push_password(b"", &secret).unwrap();
    push_pair(&mut buffer, "aaa:event=acl-download");
    let request = buffer.sign(&secret).to_vec();
    let replies = world.send(&request);
    assert_eq!(code_of(&replies, &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject acl-unsigned"));
    assert!(pairs(&replies[0]).is_empty());
}

#[test]
fn the_rules_of_before_can_be_fetched_for_a_while_after_a_reload() {
    let mut world = world(&SHORT);
    let old = told(&mut world);
    swap_policy(&mut world, &CHANGED);
    let new = told(&mut world);
    assert_ne!(old[0], new[0]);
    assert_eq!(old[1], new[1], "what did not change keeps its name");
    assert!(fetch(&mut world, &old[0]).0[0].contains("eq 53"));
    assert!(fetch(&mut world, &new[0]).0[0].contains("eq 853"));
    world.lines();
    world.advance(Duration::from_secs(3_601));
    let request = ask(&mut world, &old[0], None);
    assert_eq!(code_of(&world.send(&request), &request), Code::ACCESS_REJECT);
    assert!(world.line().starts_with("reject acl-outdated"));
    assert!(fetch(&mut world, &new[0]).0[0].contains("eq 853"));
}

#[test]
fn a_part_ends_before_a_rule_whose_place_the_clients_proxy_state_takes() {
    let mut world = world(&LONG);
    let names = told(&mut world);
    let request = world.request(|buffer, secret| {
        buffer.push(kind::USER_NAME, names[0].as_bytes()).unwrap();
        buffer.push_password(b"", secret).unwrap();
        push_pair(buffer, "aaa:event=acl-download");
        for _ in 0..4 {
            buffer.push(kind::PROXY_STATE, &[7; 250]).unwrap();
        }
    });
    let replies = world.send(&request);
    assert_eq!(code_of(&replies, &request), Code::ACCESS_CHALLENGE);
    let packet = Packet::parse(&replies[0]).unwrap();
    assert_eq!(packet.all(kind::PROXY_STATE).count(), 4);
    assert!(pairs(&replies[0]).len() > 50);
}
