//! What the language promises, sentence by sentence.
//!
//! Owns claims about whole policies; the parts have their own tests beside them.

use super::{
    decision::{Access, Reason},
    testing::{decide, load_files, matched, policy},
};

const WIRED: &str = "User-Name = a4c3f0112233\nService-Type = Call-Check\nNAS-Port-Type = Ethernet";

fn set(name: &str, head: &str, rules: &str) -> String {
    format!("version = 1\n[policy-set]\nname = \"{name}\"\n{head}\n{rules}")
}

fn rule(kind: &str, name: &str, when: &str, result: &str) -> String {
    format!("[[{kind}]]\nname = \"{name}\"\nwhen = {when}\nresult = {result}\n")
}

/// The rule that matches in a policy of these files.
fn matched_in(files: &[String], request: &str, given: &[&str]) -> String {
    let named: Vec<(String, &str)> =
        files.iter().enumerate().map(|(at, text)| (format!("{at}.toml"), text.as_str())).collect();
    let named: Vec<(&str, &str)> = named.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let (policy, problems) = load_files(&named);
    matched(&policy.unwrap_or_else(|| panic!("{problems:?}")), request, given)
}

/// Whether a rule with this condition matches.
fn holds(when: &str, request: &str, given: &[&str]) -> bool {
    matched(&policy(&set("s", "", &rule("rule", "r", when, "\"permit\""))), request, given) == "r"
}

#[test]
fn sets_are_tried_by_rank_and_the_one_without_rank_comes_last() {
    let files = [
        set("rest", "", &rule("rule", "rest", "{}", "\"permit\"")),
        set("second", "rank = 20\nwhen = { session.medium = \"wired\" }", &rule("rule", "second", "{}", "\"permit\"")),
        set("first", "rank = 10\nwhen = { client.group = \"a\" }", &rule("rule", "first", "{}", "\"permit\"")),
    ];
    assert_eq!(matched_in(&files, WIRED, &["client.group=a"]), "first");
    assert_eq!(matched_in(&files, WIRED, &["client.group=b"]), "second");
    assert_eq!(matched_in(&files, "NAS-Port-Type = Virtual", &[]), "rest");
}

#[test]
fn a_set_that_was_chosen_is_not_left_again() {
    let files = [
        set("first", "rank = 10", &rule("rule", "never", "{ client.group = \"x\" }", "\"permit\"")),
        set("rest", "", &rule("rule", "rest", "{}", "\"permit\"")),
    ];
    assert_eq!(matched_in(&files, WIRED, &[]), "no-rule-matched");
}

#[test]
fn a_disabled_set_is_checked_and_not_used() {
    let disabled = set("off", "rank = 1\nstate = \"disabled\"", &rule("rule", "off", "{}", "\"permit\""));
    let files = [disabled, set("rest", "", &rule("rule", "rest", "{}", "\"permit\""))];
    assert_eq!(matched_in(&files, WIRED, &[]), "rest");
    let (_, problems) =
        load_files(&[("a.toml", &set("off", "state = \"disabled\"", "[[rule]]\nname = \"r\"\nresult = \"x\"\n"))]);
    assert!(problems.iter().any(|problem| problem.contains("unknown-profile")), "{problems:?}");
}

#[test]
fn own_exceptions_go_before_everybodys_and_those_before_rules() {
    let global =
        format!("version = 1\n{}", rule("exception", "global", "{ client.group = [\"a\", \"b\"] }", "\"deny\""));
    let own = rule("exception", "own", "{ client.group = \"a\" }", "\"permit\"");
    let files = [set("s", "", &format!("{}{own}", rule("rule", "rule", "{}", "\"permit\""))), global];
    assert_eq!(matched_in(&files, WIRED, &["client.group=a"]), "own");
    assert_eq!(matched_in(&files, WIRED, &["client.group=b"]), "global");
    assert_eq!(matched_in(&files, WIRED, &[]), "rule");
}

#[test]
fn a_global_exception_has_a_counter_in_each_set() {
    let global = format!("version = 1\n{}", rule("exception", "global", "{ client.group = \"a\" }", "\"deny\""));
    let first = set("first", "rank = 1\nwhen = { session.medium = \"wired\" }", "");
    let rest = set("rest", "", "");
    let (policy, _) = load_files(&[("a.toml", &first), ("b.toml", &rest), ("c.toml", &global)]);
    let policy = policy.expect("no errors");
    let wired = decide(&policy, WIRED, &["client.group=a"]);
    let other = decide(&policy, "NAS-Port-Type = Virtual", &["client.group=a"]);
    assert_eq!(policy.rules().len(), 2);
    assert_ne!(wired.rule, other.rule);
}

#[test]
fn disabled_rules_are_left_out_and_monitored_ones_only_noted() {
    let watched =
        "[[rule]]\nname = \"watched\"\nstate = \"monitor\"\nwhen = { session.medium = \"wired\" }\nresult = \"deny\"\n";
    let off = "[[rule]]\nname = \"off\"\nstate = \"disabled\"\nresult = \"deny\"\n";
    let policy = policy(&set(
        "s",
        "",
        &format!("{watched}{off}{}{watched}", rule("rule", "on", "{}", "\"permit\"")).replacen("watched", "first", 1),
    ));
    let decision = decide(&policy, WIRED, &[]);
    let name = |rule| policy.rule(rule).map(|rule| &*rule.name);
    assert_eq!((decision.access, decision.rule.and_then(name)), (Access::Accept, Some("on")));
    assert_eq!(decision.monitored.rules().iter().filter_map(|rule| name(*rule)).collect::<Vec<_>>(), ["first"]);
    assert_eq!(decision.monitored.count(), 1);
}

#[test]
fn more_monitored_rules_than_are_kept_are_counted() {
    let rules: String =
        (0..6).map(|at| format!("[[rule]]\nname = \"m{at}\"\nstate = \"monitor\"\nresult = \"deny\"\n")).collect();
    let decision = decide(&policy(&set("s", "", &rules)), WIRED, &[]);
    assert_eq!((decision.monitored.rules().len(), decision.monitored.count()), (4, 6));
}

#[test]
fn of_merged_profiles_the_later_ones_win() {
    let profiles =
        "[profile.a]\naccess = \"accept\"\nvlan = 1\nsession-timeout = \"8h\"\n[profile.b]\nsession-timeout = \"1h\"\n";
    let policy = policy(&set("s", "", &format!("{}{profiles}", rule("rule", "r", "{}", "[\"a\", \"b\"]"))));
    let decision = decide(&policy, WIRED, &[]);
    let result = policy.result(decision.result).expect("a result");
    assert_eq!(result.profiles, ["a".into(), "b".into()]);
    assert_eq!(result.profile.session_timeout.as_ref().map(|seconds| seconds.value), Some(3600));
    let vendor = policy.vendor("cisco").expect("a client has it");
    assert_eq!(policy.reply_json(decision.result, vendor), r#"{"vlan":1,"session-timeout":3600,"digest":"b33b1e0c"}"#);
}

#[test]
fn built_in_profiles_can_be_redefined() {
    let own = "[profile.permit]\naccess = \"accept\"\nvlan = 7\n";
    let policy = policy(&set("s", "", &format!("{}{own}", rule("rule", "r", "{}", "\"permit\""))));
    let result = policy.result(decide(&policy, WIRED, &[]).result).expect("a result");
    assert!(result.profile.vlan.is_some());
}

#[test]
fn ignore_is_a_verdict_of_its_own() {
    let policy = policy(&set("s", "default = \"quiet\"", "[profile.quiet]\naccess = \"ignore\"\n"));
    let decision = decide(&policy, WIRED, &[]);
    assert_eq!((decision.access, decision.reason), (Access::Ignore, Reason::Default));
}

#[test]
fn eap_stands_for_both_eap_methods_and_for_the_one_that_is_not_agreed_yet() {
    for (method, expected) in
        [("eap", true), ("eap-tls", true), ("eap-md5", true), ("mab", false), ("authorize-only", false)]
    {
        assert_eq!(
            holds("{ session.method = \"eap\" }", WIRED, &[&format!("session.method={method}")]),
            expected,
            "{method}"
        );
    }
    assert!(holds("{ session.method = [\"eap\", \"mab\"] }", WIRED, &["session.method=mab"]));
    let by_method = policy(&set("s", "methods = [\"eap-tls\"]", &rule("rule", "r", "{}", "\"permit\"")));
    for (method, expected) in [("eap", true), ("eap-tls", true), ("eap-md5", false), ("mab", false)] {
        assert_eq!(
            by_method.sets()[0].methods.allows(super::facts::Method::parse(method).expect("a method")),
            expected
        );
    }
}

#[test]
fn when_may_be_written_in_lines() {
    let lines =
        "[[rule]]\nname = \"r\"\nwhen.mdm.compliant = true\nwhen.mdm.os = [\"iOS\", \"macOS\"]\nresult = \"permit\"\n";
    let policy = policy(&set("s", "", lines));
    assert_eq!(matched(&policy, WIRED, &["mdm.compliant=true", "mdm.os=macOS"]), "r");
    assert_eq!(matched(&policy, WIRED, &["mdm.compliant=true", "mdm.os=Windows"]), "no-rule-matched");
}

#[test]
fn repeated_attributes_match_by_any_value_and_are_excluded_by_any() {
    let pairs = "Cisco-AVPair = \"method=mab\"\nCisco-AVPair = \"service-type=Call Check\"";
    assert!(holds("{ radius.Cisco-AVPair = \"method=mab\" }", pairs, &[]));
    assert!(!holds("{ radius.Cisco-AVPair = { not = \"method=mab\" } }", pairs, &[]));
    assert!(holds("{ radius.Cisco-AVPair = { not = \"method=dot1x\" } }", pairs, &[]));
    assert!(holds("{ radius.Cisco-AVPair = { starts-with = \"method=\", ends-with = \"mab\" } }", pairs, &[]));
    assert!(
        !holds("{ radius.Cisco-AVPair = { starts-with = \"method=\", ends-with = \"Check\" } }", pairs, &[]),
        "one value must pass both"
    );
}

#[test]
fn an_absent_attribute_differs_from_every_value_and_an_absent_answer_from_none() {
    assert!(!holds("{ radius.Filter-Id = \"x\" }", WIRED, &[]));
    assert!(holds("{ radius.Filter-Id = { not = \"x\" } }", WIRED, &[]));
    assert!(holds("{ not = { radius.Filter-Id = \"x\" } }", WIRED, &[]));
    assert!(holds("{ radius.Filter-Id = { present = false } }", WIRED, &[]));
    for unknown in [
        "mdm.os = \"x\"",
        "mdm.os = { not = \"x\" }",
        "mdm.os = { not-in = [\"x\"] }",
        "mdm.os-version = { below = \"9\" }",
    ] {
        assert!(!holds(&format!("{{ {unknown} }}"), WIRED, &[]), "{unknown}");
        assert!(!holds(&format!("{{ not = {{ {unknown} }} }}"), WIRED, &[]), "not {unknown}");
    }
    assert!(holds("{ mdm.os = { present = false } }", WIRED, &[]));
    assert!(holds("{ any = [ { mdm.os = \"x\" }, { session.medium = \"wired\" } ] }", WIRED, &[]));
}

#[test]
fn an_attribute_with_a_tag_is_compared_with_that_tag_only() {
    let holds = |condition: &str, request: &str| {
        let policy = policy(&format!(
            "version = 1\n[policy-set]\nname = \"s\"\ndefault = \"deny\"\n[[rule]]\nname = \"r\"\nwhen = {{ {condition} }}\nresult = \"permit\"\n"
        ));
        matched(&policy, request, &[]) == "r"
    };
    let request = "Tunnel-Private-Group-Id:1 = \"20\"\nTunnel-Private-Group-Id:2 = \"30\"";
    assert!(holds("radius.\"Tunnel-Private-Group-Id:1\" = \"20\"", request));
    assert!(!holds("radius.\"Tunnel-Private-Group-Id:1\" = \"30\"", request));
    assert!(!holds("radius.\"Tunnel-Private-Group-Id:0\" = \"20\"", request));
    assert!(holds("radius.\"Tunnel-Private-Group-Id:3\" = { present = false }", request));
    assert!(holds("radius.Tunnel-Private-Group-Id = \"30\"", request));
}

#[test]
fn values_of_attributes_compare_by_name_and_number_in_their_types() {
    let request = "NAS-Port-Type = Ethernet\nFramed-IP-Address = 10.1.2.3\nFramed-MTU = 1500\nClass = 0x0a0b\nNAS-IPv6-Address = 2001:db8::7";
    for when in [
        "{ radius.NAS-Port-Type = \"Ethernet\" }",
        "{ radius.NAS-Port-Type = 15 }",
        "{ radius.NAS-Port-Type = [\"Virtual\", 15] }",
        "{ radius.Framed-IP-Address = \"10.1.2.3\" }",
        "{ radius.Framed-IP-Address = { network = [\"192.0.2.0/24\", \"10.1.0.0/16\"] } }",
        "{ radius.NAS-IPv6-Address = { network = \"2001:db8::/32\" } }",
        "{ radius.Framed-MTU = { at-least = 1400, at-most = 1500 } }",
        "{ radius.Class = \"0x0a0b\" }",
        "{ radius.\"Attr-61\" = \"Ethernet\" }",
    ] {
        assert!(holds(when, request, &[]), "{when}");
    }
}

#[test]
fn mac_addresses_compare_in_any_spelling_and_by_their_first_digits() {
    let request = "User-Name = ann\nCalling-Station-Id = \"a4c3.f011.2233\"";
    for when in [
        "{ identity.mac = \"A4-C3-F0-11-22-33\" }",
        "{ identity.mac = { mac = [\"02-00-5E\", \"a4:c3:f0\"] } }",
        "{ radius.Calling-Station-Id = { mac = \"A4C3F0-112233\" } }",
        "{ radius.Calling-Station-Id = { mac = \"A4-C3\" } }",
        "{ identity.mac-randomised = false, identity.proven = false }",
    ] {
        assert!(holds(when, request, &[]), "{when}");
    }
    assert!(!holds("{ radius.User-Name = { mac = \"A4-C3\" } }", request, &[]), "a name is no address");
    assert!(holds("{ identity.mac-randomised = true }", "User-Name = da-a1-19-00-00-01", &[]));
}

#[test]
fn times_are_those_of_the_server() {
    // The clock of the tests shows Sunday, 2026-11-22 12:00.
    for (when, expected) in [
        ("{ time.weekday = [\"saturday\", \"sunday\"] }", true),
        ("{ time.hour = 12 }", true),
        ("{ time.hour = { at-least = 8, below = 12 } }", false),
        ("{ time.hour = { at-least = 8, at-most = 12 } }", true),
        ("{ time.hour = { above = 11, below = \"12:01\" } }", true),
        ("{ time.hour = { above = 12 } }", false),
        ("{ time.date = 2026-11-22 }", true),
        ("{ time.date = { above = \"2026-11-21\", below = 2026-12-01 } }", true),
        ("{ time.date = { not = 2026-11-22 } }", false),
    ] {
        assert_eq!(holds(when, WIRED, &[]), expected, "{when}");
    }
}

#[test]
fn ages_versions_ids_and_counts_compare_as_what_they_are() {
    let id = "identity.device-id=5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";
    let given = ["mdm.age=90m", "mdm.os-version=10.0.22631.3155 (x)", "mdm.days-since-check-in=3", id];
    for (when, expected) in [
        ("{ mdm.age = { within = \"90m\" } }", true),
        ("{ mdm.age = { within = \"89m\" } }", false),
        ("{ mdm.age = { above = \"1h\", below = \"2h\" } }", true),
        ("{ mdm.os-version = { at-least = \"10.0.22631\" } }", true),
        ("{ mdm.os-version = { above = \"10.0.9\", below = \"11\" } }", true),
        ("{ mdm.os-version = { starts-with = \"10.0.\" } }", true),
        ("{ mdm.os-version = [\"9\", \"10.0.22631.3155.0\"] }", true),
        ("{ identity.device-id = \"5B1F0C52-7D1E-4A39-9A3B-2F6F0A9D1C01\" }", true),
        ("{ mdm.days-since-check-in = { not-in = [3, 4] } }", false),
    ] {
        assert_eq!(holds(when, WIRED, &given), expected, "{when}");
    }
    assert!(
        !holds("{ mdm.os-version = { below = \"99\" } }", WIRED, &["mdm.os-version=unknown"]),
        "no version is none"
    );
    assert!(!holds("{ not = { mdm.os-version = { below = \"99\" } } }", WIRED, &["mdm.os-version=unknown"]));
}

#[test]
fn lists_hold_what_their_fact_is_compared_with() {
    let lists = "[list.l]\nvalues = [\"wired\", \"campus\"]\n[list.nets]\nvalues = [\"10.0.0.0/8\", \"192.0.2.7\"]\n[list.m]\nfile = \"blocked.txt\"\n";
    let matches = |when: &str, given: &[&str]| {
        let policy = policy(&set("s", "", &format!("{}{lists}", rule("rule", "r", when, "\"permit\""))));
        matched(&policy, WIRED, given) == "r"
    };
    assert!(matches("{ client.group = { in-list = \"l\" } }", &["client.group=x", "client.group=campus"]));
    assert!(matches("{ client.address = { in-list = \"nets\" } }", &["client.address=10.9.8.7"]));
    assert!(matches("{ identity.mac = { in-list = \"m\" } }", &["identity.mac=02005e112233"]));
    assert!(matches("{ client.name = { in-list = [\"l\", \"nets\"] } }", &["client.name=wired"]));
    assert!(!matches("{ client.group = { not = { in-list = \"l\" } } }", &["client.group=x", "client.group=campus"]));
}
