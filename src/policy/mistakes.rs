//! The mistakes that people make in policies, and what they are told.
//!
//! Owns the wording: a message says where, what, and what to do, and an admin should thank us for it.

use super::testing::{load_files, load_text};

/// Problems of a whole file.
fn file(text: &str) -> String {
    load_text(text).1.join("\n")
}

/// Problems of a file with one set and this text behind it.
fn with_set(text: &str) -> String {
    file(&format!("version = 1\n[policy-set]\nname = \"s\"\ndefault = \"deny\"\n{text}"))
}

/// Problems of a rule with this condition, which stands in line 7 from column 8 on.
fn when(condition: &str) -> String {
    with_set(&format!("[[rule]]\nname = \"r\"\nwhen = {condition}\nresult = \"permit\"\n"))
}

#[test]
fn files() {
    insta::assert_snapshot!(file("[policy-set]\nname = \"s\"\n"), @"x.toml:1:1: the file has no version; start it with: version = 1 [version-missing]");
    insta::assert_snapshot!(file("version = 2\n[policy-set]\nname = \"s\"\n"), @"x.toml:1:11: this version of the format is unknown; write: version = 1 [version-unknown]");
    insta::assert_snapshot!(file("version = 1\nrule = 5\n[policy-sets]\nname = \"s\"\n"), @r#"
    x.toml:2:8: write [[rule]] with two brackets; each one adds an entry [wrong-type]
    x.toml:3:2: unknown key "policy-sets"; did you mean "policy-set"? [unknown-key]
    "#);
    insta::assert_snapshot!(file("version = 1\n[[rule]]\nname = \"r\"\nresult = \"permit\"\n"), @"x.toml:2:1: this file has rules, but no policy set; add [policy-set], or write [[exception]] for a rule of all sets [rule-without-set]");
    insta::assert_snapshot!(file("version = 1\n[[policy-set]]\nname = \"a\"\n[[policy-set]]\nname = \"b\"\n"), @"x.toml:2:3: a file holds one policy set; write [policy-set] with single brackets, and move others to files of their own [several-sets]");
    insta::assert_snapshot!(file("version = 1\n[policy-set\nname = \"s\"\n"), @"x.toml:2:12: not valid TOML: unclosed table, expected `]` [syntax]");
    insta::assert_snapshot!(file("version = 1\n"), @"warning: there is no enabled policy set, so everything is rejected; write one, see policies/README.md [no-policy-set]");
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nwhen = { radius.Cisco:Thing = \"x\" }\nresult = \"permit\"\n"), @r#"x.toml:7:22: not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`; a name with other characters needs quotes, "…" [syntax]"#);
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nwhen = {\n  mdm.compliant = true,\n}\nresult = \"permit\"\n"), @"");
}

#[test]
fn sets() {
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nrank = 1\n"), @r#"x.toml:2:1: [policy-set] has no "name"; the log and the metrics call the policy-set by it [key-missing]"#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nwhen = { session.medium = \"wired\" }\n"), @r#"x.toml:2:1: [policy-set] has no "rank"; sets are tried from low to high: rank = 10 [key-missing]"#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nrank = 1\nwhen = { mdm.compliant = true }\n"), @"x.toml:5:14: a set is chosen before that: mdm.compliant is not known yet; ask it in the set's rules [fact-too-late]");
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nrank = 1\nwhen = { session.method = \"eap-tls\" }\n"), @r#"x.toml:5:18: a set is chosen before that: of EAP, the method is not agreed yet, so write session.method = "eap"; ask it in the set's rules [fact-too-late]"#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nstate = \"monitor\"\n"), @r#"x.toml:4:9: a set is used or not; write state = "monitor" at its rules instead [monitored-set]"#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nstate = \"enable\"\n"), @r#"x.toml:4:9: there is no state "enable"; did you mean "enabled"? [unknown-state]"#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nmethods = [\"mab\", \"eap-tsl\", \"peap\"]\n"), @r#"
    x.toml:4:19: there is no method "eap-tsl"; did you mean "eap-tls"? [unknown-method]
    x.toml:4:30: "peap" asks for passwords, and radmit keeps none; there are: mab, eap-tls, eap-md5, authorize-only, eap [unknown-method]
    "#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nmdm = [\"corp-intunes\", \"jamf\"]\n"), @r#"
    x.toml:4:8: there is no [[mdm]] server "corp-intunes"; did you mean "corp-intune"? [unknown-mdm]
    x.toml:4:24: there is no [[mdm]] server "jamf"; configured are: corp-intune, old, retired [unknown-mdm]
    "#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nrank = -1\ndefault = \"reject\"\n"), @r#"
    x.toml:4:8: "policy-set.rank" must be between 0 and 4294967295 [out-of-range]
    x.toml:5:11: there is no profile "reject"; there are: permit, deny; or define [profile.reject] [unknown-profile]
    "#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nrank = 1\n[policy-set.when]\nsession.medium = \"wired\"\nmdm = [\"corp-intune\"]\ndefault = \"deny\"\n"), @r#"
    x.toml:7:1: "mdm" stands below the header [policy-set.when] and so became a part of the condition; move it above that header, or write the condition as lines such as when.mdm.registered = true [swallowed-key]
    x.toml:8:1: "default" stands below the header [policy-set.when] and so became a part of the condition; move it above that header, or write the condition as lines such as when.mdm.registered = true [swallowed-key]
    "#);
}

#[test]
fn rules() {
    insta::assert_snapshot!(with_set("[[rule]]\nwhen = { mdm.compliant = true }\n"), @r#"
    x.toml:5:1: [rule] has no "name"; the log and the metrics call the rule by it [key-missing]
    x.toml:5:1: [rule] has no "result"; name the profile that applies: result = "permit" [key-missing]
    "#);
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nresult = []\n"), @r#"x.toml:7:10: the list is empty; name at least one profile: result = "permit" [empty-result]"#);
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nresult = \"permitt\"\nresults = \"deny\"\n"), @r#"
    x.toml:7:10: there is no profile "permitt"; did you mean "permit"? [unknown-profile]
    x.toml:8:1: unknown key "rule.results"; did you mean "result"? [unknown-key]
    "#);
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nresult = \"quarantine\"\nif = { mdm.compliant = true }\n"), @r#"
    x.toml:7:10: there is no profile "quarantine"; there are: permit, deny; or define [profile.quarantine] [unknown-profile]
    x.toml:8:1: unknown key "rule.if"; in [rule] there are: name, result, state, when [unknown-key]
    "#);
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nresult = [\"permit\", \"deny\"]\n"), @r#"x.toml:7:11: profile "permit" says access = "accept", and "deny" says "reject"; a result can have one access only [access-conflict]"#);
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nresult = \"fast\"\n[profile.fast]\nsession-timeout = \"1h\"\n"), @r#"x.toml:7:10: profile "fast" says nothing about access; write access = "accept" into [profile.fast] [access-missing]"#);
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nresult = \"permit\"\n[[rule]]\nname = \"r\"\nresult = \"deny\"\n"), @r#"x.toml:8:1: a rule "r" stands already at x.toml:5:1; the log and the metrics could not tell them apart, rename one [duplicate-name]"#);
    insta::assert_snapshot!(with_set("[rule]\nname = \"r\"\nresult = \"permit\"\n"), @"x.toml:5:1: write [[rule]] with two brackets; each one adds an entry [wrong-type]");
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\n[rule.when]\nmdm.registered = true\nresult = \"permit\"\n"), @r#"x.toml:9:1: "result" stands below the header [rule.when] and so became a part of the condition; move it above that header, or write the condition as lines such as when.mdm.registered = true [swallowed-key]"#);
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nstate = \"off\"\nresult = \"permit\"\n"), @r#"x.toml:7:9: there is no state "off"; write "enabled", "disabled" or "monitor" [unknown-state]"#);
    insta::assert_snapshot!(with_set("[profile.staff]\naccess = \"allow\"\n[[rule]]\nname = \"r\"\nresult = \"staff\"\n"), @r#"x.toml:6:10: "profile.staff.access" can't be "allow"; write one of: accept, reject, ignore [unknown-word]"#);
    insta::assert_snapshot!(with_set("[profile]\nvlan = 20\n"), @r#"x.toml:6:1: [profile] itself has no settings; put "vlan" under a name: [profile.my-name] [unnamed]"#);
    insta::assert_snapshot!(with_set("[[profile]]\nname = \"x\"\nvlan = 20\n"), @"x.toml:5:3: [[profile]] with two brackets is not known; give it a name: [profile.my-name] [unnamed]");
    insta::assert_snapshot!(with_set("[profile.staff]\naccess = \"accept\"\nattributes = { Reply-Message = \"{mdm.usr}\" }\n[[rule]]\nname = \"r\"\nresult = \"staff\"\n"), @r#"x.toml:7:34: unknown fact "mdm.usr"; did you mean "mdm.user"? [unknown-fact]"#);
}

#[test]
fn facts() {
    insta::assert_snapshot!(when("{ mdm.complaint = true }"), @r#"x.toml:7:14: unknown fact "mdm.complaint"; did you mean "mdm.compliant"? [unknown-fact]"#);
    insta::assert_snapshot!(when("{ mdm.quux = true }"), @r#"x.toml:7:14: unknown fact "mdm.quux"; of this family there are: server, lookup, reachable, registered, managed, compliant, compliance, source, age, last-compliant, owner, os, os-version, encrypted, jailbroken, manufacturer, model, serial, device-name, user, management-agent, days-since-check-in, threat, enrolment-url [unknown-fact]"#);
    insta::assert_snapshot!(when("{ compliant = true }"), @"x.toml:7:10: facts have a family before the dot; write mdm.compliant = … [unknown-fact]");
    insta::assert_snapshot!(when("{ intune.compliant = true }"), @r#"x.toml:7:10: a condition has no "intune"; there are: radius, client, session, identity, certificate, mdm, time, any, all, not, condition [unknown-fact]"#);
    insta::assert_snapshot!(when("{ \"mdm.compliant\" = true }"), @r#"x.toml:7:10: "mdm.compliant" is quoted as a whole; write mdm.compliant = … [quoted-name]"#);
    insta::assert_snapshot!(when("{ mdm = true }"), @r#"x.toml:7:10: "mdm" is a family of facts; name one: mdm.… = … [family-alone]"#);
    insta::assert_snapshot!(when("{ radius.NAS-Port-Typ = \"Ethernet\" }"), @r#"x.toml:7:17: unknown attribute "NAS-Port-Typ"; did you mean "NAS-Port-Type"? [unknown-attribute]"#);
    insta::assert_snapshot!(when("{ radius.Foundry-802.1x-Valid-Lookup = 1 }"), @r#"x.toml:7:17: a name with dots needs quotes; write radius."Foundry-802.1x-Valid-Lookup" [unquoted-name]"#);
    insta::assert_snapshot!(when("{ radius.Attr-26.9.1 = \"x\" }"), @r#"x.toml:7:17: a name with dots needs quotes; write radius."Attr-26.9.1" [unquoted-name]"#);
    insta::assert_snapshot!(when("{ radius.User-Password = \"x\" }"), @"x.toml:7:33: radius.User-Password is a secret, so only { present = true } or { present = false } can be asked [only-presence]");
    insta::assert_snapshot!(when("{ radius = { } }"), @r#"x.toml:7:19: "radius" is empty; name a fact and what it is to be [empty-condition]"#);
    insta::assert_snapshot!(when("{ identity.mac = { } }"), @"x.toml:7:25: nothing is asked about identity.mac; write a value, or { present = true } [empty-condition]");
    insta::assert_snapshot!(when("{ condition = \"wired\" }"), @r#"x.toml:7:22: there is no condition "wired"; define it: [condition.wired] [unknown-condition]"#);
    insta::assert_snapshot!(when("{ any = { mdm.compliant = true } }"), @r#"x.toml:7:16: "any" takes a list of conditions; write any = [ { … }, { … } ] [wrong-type]"#);
    insta::assert_snapshot!(when("{ any = [ ] }"), @r#"x.toml:7:16: "any" has no conditions; add some or remove it [empty-list]"#);
    insta::assert_snapshot!(when("{ not = true }"), @r#"x.toml:7:16: "rule.when.not" is true or false; write a table, { … } or [ ] as a header [wrong-type]"#);
}

#[test]
fn literals() {
    insta::assert_snapshot!(when("{ mdm.compliant = \"true\" }"), @"x.toml:7:26: mdm.compliant is true or false, but this is a text; write it without quotes [wrong-literal]");
    insta::assert_snapshot!(when("{ mdm.compliant = \"yes\" }"), @"x.toml:7:26: mdm.compliant is true or false, but this is a text; write true or false, without quotes [wrong-literal]");
    insta::assert_snapshot!(when("{ session.method = \"mba\" }"), @r#"x.toml:7:27: session.method is never "mba"; did you mean "mab"? [unknown-word]"#);
    insta::assert_snapshot!(when("{ session.medium = \"lan\" }"), @r#"x.toml:7:27: session.medium is never "lan"; it is one of: wired, wireless, virtual [unknown-word]"#);
    insta::assert_snapshot!(when("{ radius.NAS-Port-Type = \"Ethernt\" }"), @r#"x.toml:7:33: radius.NAS-Port-Type has no value "Ethernt"; did you mean "Ethernet"? [unknown-value]"#);
    insta::assert_snapshot!(when("{ radius.NAS-Port-Type = \"15\" }"), @r#"x.toml:7:33: radius.NAS-Port-Type has no value "15"; a number stands without quotes: 15 [unknown-value]"#);
    insta::assert_snapshot!(when("{ radius.NAS-Port = \"abc\" }"), @"x.toml:7:28: radius.NAS-Port is a whole number, but this is a text; write digits without quotes [wrong-literal]");
    insta::assert_snapshot!(when("{ radius.NAS-Identifier = 7 }"), @r#"x.toml:7:34: radius.NAS-Identifier is a text, but this is a whole number; put it in quotes: "7" [wrong-literal]"#);
    insta::assert_snapshot!(when("{ identity.mac = \"A4-C3-F0\" }"), @r#"x.toml:7:25: "A4-C3-F0" is only the beginning of a MAC address; for all that begin so write { mac = "A4-C3-F0" } [mac-prefix]"#);
    insta::assert_snapshot!(when("{ identity.mac = \"A4-C3-F0-11-22-3G\" }"), @r#"x.toml:7:25: "A4-C3-F0-11-22-3G" is no MAC address; write twelve hexadecimal digits such as A4-C3-F0-11-22-33 [bad-mac]"#);
    insta::assert_snapshot!(when("{ identity.device-id = \"LT-0042\" }"), @r#"x.toml:7:31: "LT-0042" is no device id; write it as "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01", in any case [bad-device-id]"#);
    insta::assert_snapshot!(when("{ client.address = \"10.0.0.0/8\" }"), @r#"x.toml:7:27: "10.0.0.0/8" is a network; for the addresses in it write { network = "10.0.0.0/8" } [network-as-address]"#);
    insta::assert_snapshot!(when("{ client.address = { network = \"10.1.2.3/8\" } }"), @r#"x.toml:7:39: "10.1.2.3/8" names a network by an address inside of it; write "10.0.0.0/8" [loose-network]"#);
    insta::assert_snapshot!(when("{ client.address = { network = \"10.1.2\" } }"), @r#"x.toml:7:39: "10.1.2" is no IP address or network; write "10.1.2.3" or "10.0.0.0/8" [bad-address]"#);
    insta::assert_snapshot!(when("{ mdm.os-version = 17.5 }"), @r#"x.toml:7:27: mdm.os-version is a version, but this is a decimal number; put it in quotes: "17.5" [wrong-literal]"#);
    insta::assert_snapshot!(when("{ mdm.os-version = { at-least = \"17.x\" } }"), @r#"x.toml:7:40: "17.x" is no version; write dotted numbers such as "10.0.22631" [bad-version]"#);
    insta::assert_snapshot!(when("{ mdm.age = \"1h\" }"), @r#"x.toml:7:20: mdm.age is never exactly that old; write { within = "24h" } [exact-age]"#);
    insta::assert_snapshot!(when("{ mdm.last-compliant = { within = 24 } }"), @r#"x.toml:7:42: mdm.last-compliant is a duration, but this is a whole number; write a duration with a unit (s, m, h, d), such as "90s", "24h" or "7d" [wrong-literal]"#);
    insta::assert_snapshot!(when("{ mdm.last-compliant = { within = \"24 hours\" } }"), @r#"x.toml:7:42: "24 hours" is no duration; write a duration with a unit (s, m, h, d), such as "90s", "24h" or "7d" [bad-duration]"#);
    insta::assert_snapshot!(when("{ time.hour = 24 }"), @r#"x.toml:7:22: 24 is no hour; write a whole hour from 0 to 23, or a time such as "08:30" [bad-hour]"#);
    insta::assert_snapshot!(when("{ time.hour = { at-least = \"8:5\" } }"), @r#"x.toml:7:35: "8:5" is no time of day; write a whole hour from 0 to 23, or a time such as "08:30" [bad-hour]"#);
    insta::assert_snapshot!(when("{ time.date = \"24.12.2026\" }"), @r#"x.toml:7:22: "24.12.2026" is no day of the calendar; write it as 2026-12-24 [bad-date]"#);
    insta::assert_snapshot!(when("{ time.weekday = \"Monday\" }"), @r#"x.toml:7:25: time.weekday is never "Monday"; did you mean "monday"? [unknown-word]"#);
    insta::assert_snapshot!(when("{ mdm.owner = [ ] }"), @"x.toml:7:22: the list is empty, so mdm.owner is never in it [empty-list]");
    insta::assert_snapshot!(when("{ mdm.owner = [ { not = \"personal\" } ] }"), @"x.toml:7:24: a list holds plain values; for operators write any = [ { … }, { … } ] [wrong-literal]");
}

#[test]
fn operators() {
    insta::assert_snapshot!(when("{ mdm.os = { equals = \"iOS\" } }"), @r#"x.toml:7:21: unknown operator "equals"; write the value without an operator [unknown-operator]"#);
    insta::assert_snapshot!(when("{ mdm.os-version = { gte = \"17\" } }"), @r#"x.toml:7:29: unknown operator "gte"; write at-least [unknown-operator]"#);
    insta::assert_snapshot!(when("{ mdm.os = { start-with = \"i\" } }"), @r#"x.toml:7:21: unknown operator "start-with"; did you mean "starts-with"? [unknown-operator]"#);
    insta::assert_snapshot!(when("{ mdm.os = { at-least = 3 } }"), @r#"x.toml:7:21: mdm.os is a text, and "at-least" makes no sense there; it takes: not, in, not-in, in-list, contains, starts-with, ends-with, matches, mac, present [wrong-operator]"#);
    insta::assert_snapshot!(when("{ mdm.compliant = { matches = \"t.*\" } }"), @r#"x.toml:7:28: mdm.compliant is true or false, and "matches" makes no sense there; it takes: not, in, not-in, present [wrong-operator]"#);
    insta::assert_snapshot!(when("{ identity.mac = { in = \"blocked\" } }"), @r#"x.toml:7:32: "in" takes a list of values; write in = [ … ] [wrong-literal]"#);
    insta::assert_snapshot!(when("{ identity.mac = { in-list = \"blocked\" } }"), @r#"x.toml:7:37: there is no list "blocked"; define it: [list.blocked] [unknown-list]"#);
    insta::assert_snapshot!(when("{ radius.User-Name = { matches = \"(\" } }"), @"x.toml:7:41: not a regular expression: unclosed group; in TOML, backslashes stay as they are only in 'single quotes' [bad-regex]");
    insta::assert_snapshot!(when("{ radius.User-Name = { matches = \"(?=x)y\" } }"), @"x.toml:7:41: not a regular expression: look-around, including look-ahead and look-behind, is not supported; write two conditions instead [bad-regex]");
    insta::assert_snapshot!(when("{ radius.User-Name = { matches = '(\\w{1,500}){1,500}' } }"), @"x.toml:7:41: this expression would need more than 256 KB; repeat less, or use contains, starts-with or a list [regex-too-large]");
    insta::assert_snapshot!(when("{ radius.User-Name = { contains = \"\" } }"), @"x.toml:7:42: every text has an empty part, so this says nothing; write { present = true } instead [empty-text]");
    insta::assert_snapshot!(when("{ mdm.user = { present = \"yes\" } }"), @r#"x.toml:7:33: "rule.when.mdm.user.present" is a text; write true or false [wrong-type]"#);
    insta::assert_snapshot!(when("{ time.hour = { at-least = 22, below = 6 } }"), @"x.toml:7:22: warning: time.hour can't be all of this at once, so the condition never holds; over midnight write any = [ { time.hour = { at-least = 22 } }, { time.hour = { below = 6 } } ] [never-true]");
    insta::assert_snapshot!(when("{ mdm.days-since-check-in = { above = 9, below = 9 } }"), @"x.toml:7:36: warning: mdm.days-since-check-in can't be all of this at once, so the condition never holds; exchange the ends [never-true]");
}

#[test]
fn lists_and_conditions() {
    let list = |list: &str| {
        with_set(&format!(
            "[[rule]]\nname = \"r\"\nwhen = {{ identity.mac = {{ in-list = \"l\" }} }}\nresult = \"permit\"\n[list.l]\n{list}\n"
        ))
    };
    insta::assert_snapshot!(list(""), @r#"x.toml:9:1: [list.l] has no "values"; write values = [ … ], or file = "….txt" with one value to a line [key-missing]"#);
    insta::assert_snapshot!(list("values = []"), @r#"x.toml:9:7: warning: the list "l" is empty; nothing is in it [empty-list]"#);
    insta::assert_snapshot!(list("values = [\"printer\", 7]"), @r#"
    x.toml:10:11: "printer" is no MAC address; write twelve hexadecimal digits, or the first ones; the list is compared with identity.mac [bad-list-entry]
    x.toml:10:22: identity.mac is a MAC address, but this is a whole number; write the MAC address in quotes: "A4-C3-F0-11-22-33" [wrong-literal]
    "#);
    insta::assert_snapshot!(list("values = [\"02:00:5E\"]\nfile = \"blocked.txt\""), @"x.toml:11:1: a list has either values or a file; keep one of them [list-twice]");
    insta::assert_snapshot!(list("file = \"missing.txt\""), @r#"x.toml:10:8: the list "missing.txt" can't be read: no such file [list-file]"#);
    insta::assert_snapshot!(list("file = \"broken.txt\""), @r#"broken.txt:2:3: "printer-7" is no MAC address; write twelve hexadecimal digits, or the first ones; the list is compared with identity.mac [bad-list-entry]"#);
    insta::assert_snapshot!(list("file = \"blocked.txt\"\n[list.m]\nvalues = [1]"), @r#"x.toml:11:7: warning: nothing uses the list "m"; remove it, or write in-list = "m" [unused-list]"#);
    insta::assert_snapshot!(
        with_set("[[rule]]\nname = \"r\"\nwhen = { radius.Calling-Station-Id = { in-list = \"l\" } }\nresult = \"permit\"\n[list.l]\nvalues = [\"A4-C3-F0-66-66-66\"]\n"),
        @r#"x.toml:9:7: warning: the list "l" holds MAC addresses, but radius.Calling-Station-Id is compared with it as text, in one spelling only; ask identity.mac [list-of-macs]"#
    );
    insta::assert_snapshot!(
        with_set("[[rule]]\nname = \"r\"\nwhen = { condition = \"a\" }\nresult = \"permit\"\n[condition.a]\nwhen = { condition = \"b\" }\n[condition.b]\nwhen = { not = { condition = \"a\" } }\n"),
        @r#"x.toml:12:30: the condition "a" leads back to itself; take it out of one of them [condition-loop]"#
    );
    insta::assert_snapshot!(
        with_set("[condition.a]\nsession.medium = \"wired\"\n[condition.b]\nwhen = { session.medium = \"lan\" }\n[condition.c]\nwhen = { session.medium = \"wired\" }\n"),
        @r#"
    x.toml:5:1: [condition.a] has no "when"; write the facts behind it: when = { session.medium = "wired" } [key-missing]
    x.toml:7:12: warning: nothing uses the condition "b"; remove it, or write condition = "b" [unused-condition]
    x.toml:8:27: session.medium is never "lan"; it is one of: wired, wireless, virtual [unknown-word]
    x.toml:9:12: warning: nothing uses the condition "c"; remove it, or write condition = "c" [unused-condition]
    "#
    );
    let doubling: String = (1..14)
        .map(|at| {
            format!(
                "[condition.c{at}]\nwhen = {{ all = [ {{ condition = \"c{0}\" }}, {{ condition = \"c{0}\" }} ] }}\n",
                at - 1
            )
        })
        .collect();
    insta::assert_snapshot!(
        with_set(&format!("[[rule]]\nname = \"r\"\nwhen = {{ condition = \"c13\" }}\nresult = \"permit\"\n[condition.c0]\nwhen = {{ mdm.compliant = true }}\n{doubling}")),
        @"x.toml:7:22: the condition makes 8192 tests, named conditions counted each time; more than 4096 are too many, use lists [condition-too-large]"
    );
    let deep = format!("{}mdm.compliant = true{}", "not = { ".repeat(20), " }".repeat(20));
    insta::assert_snapshot!(when(&format!("{{ {deep} }}")), @"x.toml:7:144: conditions are nested more than 16 deep; give parts of it a name: [condition.my-name] [condition-too-deep]");
}

#[test]
fn cases() {
    let case = |case: &str| {
        with_set(&format!(
            "[[rule]]\nname = \"Compliant\"\nwhen = {{ mdm.compliant = true }}\nresult = \"permit\"\n[[case]]\nname = \"c\"\n{case}\n"
        ))
    };
    insta::assert_snapshot!(case(""), @r#"x.toml:9:1: [case] has no "expect"; say what should come out: expect = { access = "accept", vlan = 20 } [key-missing]"#);
    insta::assert_snapshot!(case("expect = { }"), @r#"x.toml:11:10: expect is empty, so the case can't fail; write for example expect = { access = "accept" } [empty-expect]"#);
    insta::assert_snapshot!(case("expect = { rule = \"Complaint\" }"), @r#"x.toml:11:19: warning: there is no rule "Complaint", so the case fails; did you mean "Compliant"? [unknown-expectation]"#);
    insta::assert_snapshot!(case("expect = { access = \"allow\", vlam = 20 }"), @r#"
    x.toml:11:21: there is no access "allow"; write "accept", "reject" or "ignore" [unknown-access]
    x.toml:11:30: unknown key "case.expect.vlam"; did you mean "vlan"? [unknown-key]
    "#);
    insta::assert_snapshot!(case("request = { User-Nam = \"x\", NAS-Port-Type = \"Ethernt\" }\nexpect = { access = \"reject\" }"), @r#"
    x.toml:11:13: unknown attribute "User-Nam"; did you mean "User-Name"? [unknown-attribute]
    x.toml:11:45: "Ethernt" is no value of NAS-Port-Type; did you mean "Ethernet"? [bad-value]
    "#);
    insta::assert_snapshot!(case("mdm = { complaint = true }\nexpect = { access = \"reject\" }"), @r#"x.toml:11:9: unknown fact "mdm.complaint"; did you mean "mdm.compliant"? [unknown-fact]"#);
    insta::assert_snapshot!(case("mdm = { compliant = \"maybe\", last-compliant = \"yesterday\" }\nexpect = { access = \"reject\" }"), @r#"
    x.toml:11:21: mdm.compliant is true or false, and "maybe" is not; write true or false [wrong-literal]
    x.toml:11:47: mdm.last-compliant is a duration, and "yesterday" is not; write how long ago it was, such as 3h [wrong-literal]
    "#);
    insta::assert_snapshot!(case("mdm = { reachable = false, compliant = true }\nexpect = { access = \"reject\" }"), @"x.toml:9:1: mdm.compliant is absent while mdm.reachable is false; remove one of them [contradiction]");
    insta::assert_snapshot!(case("client = { vendor = \"cicso\" }\nexpect = { access = \"reject\" }"), @r#"x.toml:9:1: there is no vendor "cicso"; did you mean "cisco"? [unknown-vendor]"#);
    insta::assert_snapshot!(case("now = \"noon\"\nexpect = { access = \"reject\" }"), @r#"x.toml:11:7: "noon" is no time; write "2026-12-24T08:00" for the server's zone, or add an offset: "…+01:00" [bad-time]"#);
}

#[test]
fn replies() {
    let profile = |profile: &str| {
        with_set(&format!("[[rule]]\nname = \"r\"\nresult = \"p\"\n[profile.p]\naccess = \"accept\"\n{profile}\n"))
    };
    insta::assert_snapshot!(profile("redirect = { url = \"https://portal.example/\", acl = \"R\" }"), @r#"x.toml:10:1: profile "p", vendor "generic": there is no way to express "redirect"; leave it out, or add optional = ["redirect"] to the profile to leave it out where it can't be sent [vendor-inexpressible]"#);
    insta::assert_snapshot!(profile("vlan = 4095"), @r#"x.toml:10:8: "profile.p.vlan" must be between 1 and 4094 [out-of-range]"#);
    insta::assert_snapshot!(profile("acl = \"corp\"\n[acl.corp]\nipv4 = [\"permit tpc any any\"]"), @r#"x.toml:12:17: unknown protocol "tpc"; did you mean "tcp"? [bad-rule]"#);
    insta::assert_snapshot!(
        with_set("[[rule]]\nname = \"r\"\nwhen = { client.group = \"wired\" }\nresult = \"p\"\n[profile.p]\naccess = \"accept\"\nredirect = { url = \"https://portal.example/\", acl = \"R\" }\n"),
        @""
    );
}

#[test]
fn one_mistake_in_a_condition_does_not_hide_the_others() {
    insta::assert_snapshot!(when("{ intune = 1, mdm.complaint = true, not = { radius.NAS-Port-Typ = 1 }, any = [ { quux = 1 }, { mdm.os-version = { at-leest = 1 } } ] }"), @r#"
    x.toml:7:10: a condition has no "intune"; there are: radius, client, session, identity, certificate, mdm, time, any, all, not, condition [unknown-fact]
    x.toml:7:26: unknown fact "mdm.complaint"; did you mean "mdm.compliant"? [unknown-fact]
    x.toml:7:59: unknown attribute "NAS-Port-Typ"; did you mean "NAS-Port-Type"? [unknown-attribute]
    x.toml:7:89: a condition has no "quux"; there are: radius, client, session, identity, certificate, mdm, time, any, all, not, condition [unknown-fact]
    x.toml:7:122: unknown operator "at-leest"; did you mean "at-least"? [unknown-operator]
    "#);
    insta::assert_snapshot!(with_set("[[rule]]\nwhen = { mdm.complaint = true }\nresult = \"staff\"\n[condition.c]\nwhen = { x = 1, mdm.quux = 1 }\n"), @r#"
    x.toml:5:1: [rule] has no "name"; the log and the metrics call the rule by it [key-missing]
    x.toml:6:14: unknown fact "mdm.complaint"; did you mean "mdm.compliant"? [unknown-fact]
    x.toml:7:10: there is no profile "staff"; there are: permit, deny; or define [profile.staff] [unknown-profile]
    x.toml:8:12: warning: nothing uses the condition "c"; remove it, or write condition = "c" [unused-condition]
    x.toml:9:10: a condition has no "x"; there are: radius, client, session, identity, certificate, mdm, time, any, all, not, condition [unknown-fact]
    x.toml:9:21: unknown fact "mdm.quux"; of this family there are: server, lookup, reachable, registered, managed, compliant, compliance, source, age, last-compliant, owner, os, os-version, encrypted, jailbroken, manufacturer, model, serial, device-name, user, management-agent, days-since-check-in, threat, enrolment-url [unknown-fact]
    "#);
}

#[test]
fn a_case_that_expects_what_cannot_come_is_a_warning() {
    let text = "[[rule]]\nname = \"off\"\nstate = \"disabled\"\nresult = \"permit\"\n[[rule]]\nname = \"on\"\nresult = \"permit\"\n";
    let case = |expect: &str| with_set(&format!("{text}[[case]]\nname = \"c\"\nexpect = {{ {expect} }}\n"));
    insta::assert_snapshot!(case("rule = \"off\""), @r#"x.toml:14:19: warning: the rule "off" is disabled, so the case fails; enable it, or change the case [unknown-expectation]"#);
    insta::assert_snapshot!(case("set = \"t\", monitored = \"onn\", profiles = \"stuff\", reason = \"rul\""), @r#"
    x.toml:14:18: warning: there is no policy set "t", so the case fails; correct the name [unknown-expectation]
    x.toml:14:35: warning: there is no rule "onn", so the case fails; did you mean "on"? [unknown-expectation]
    x.toml:14:53: warning: there is no profile "stuff", so the case fails; correct the name [unknown-expectation]
    x.toml:14:71: there is no reason "rul"; did you mean "rule"? [unknown-reason]
    "#);
}

#[test]
fn lists_of_macs_beside_text() {
    let list = |value: &str| {
        with_set(&format!(
            "[[rule]]\nname = \"r\"\nwhen = {{ radius.Calling-Station-Id = {{ in-list = \"l\" }} }}\nresult = \"deny\"\n[list.l]\nvalues = [{value}]\n"
        ))
    };
    insta::assert_snapshot!(list("\"A4-C3-F0-66-66-66\", \"02:00:5E:00:00\""), @r#"x.toml:9:7: warning: the list "l" holds MAC addresses, but radius.Calling-Station-Id is compared with it as text, in one spelling only; ask identity.mac [list-of-macs]"#);
    insta::assert_snapshot!(list("\"printer-1\", \"02:00:5E:00:00\""), @"");
    insta::assert_snapshot!(with_set("[list.l]\nfile = \"gone.txt\"\n"), @r#"
    x.toml:5:7: warning: nothing uses the list "l"; remove it, or write in-list = "l" [unused-list]
    x.toml:6:8: the list "gone.txt" can't be read: no such file [list-file]
    "#);
}

#[test]
fn empty_lists_in_sets() {
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nmethods = []\ndefault = []\n"), @r#"
    x.toml:4:11: warning: the list is empty: no method is allowed, so everything is rejected; name some, or leave it out to allow all [empty-list]
    x.toml:5:11: warning: the list is empty: it names no profile and counts for nothing; write default = "deny", or leave it out [empty-list]
    "#);
    insta::assert_snapshot!(with_set("[[rule]]\nname = \"r\"\nresult = 3\n"), @r#"x.toml:7:10: "rule.result" is a whole number; write a text in quotes [wrong-type]"#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nmdm = [\"retired\", \"old\"]\n"), @r#"x.toml:4:8: warning: the [[mdm]] server "retired" is disabled, so the others are asked; enable it, or take it out here [disabled-mdm]"#);
    insta::assert_snapshot!(file("version = 1\n[policy-set]\nname = \"s\"\nmdm = [\"retired\"]\n"), @r#"x.toml:4:8: warning: the [[mdm]] server "retired" is disabled, so nobody is asked; enable it, or take it out here [disabled-mdm]"#);
}

#[test]
fn two_acls_of_one_name() {
    insta::assert_snapshot!(with_set("[acl.a]\nipv4 = [\"permit ip any any\"]\n"), @"");
    let other = "version = 1\n[acl.a]\nipv4 = [\"permit ip any any\"]\n";
    let text = "version = 1\n[policy-set]\nname = \"s\"\n[acl.a]\nipv4 = [\"permit ip any any\"]\n";
    insta::assert_snapshot!(load_files(&[("x.toml", text), ("y.toml", other)]).1.join("\n"), @r#"y.toml:2:1: an ACL "a" stands already at x.toml:4:1; rename one of them [defined-twice]"#);
}

#[test]
fn a_file_with_a_syntax_error_does_not_hide_what_is_wrong_in_others() {
    let text = "version = 1\n[policy-set]\nname = \"s\"\n[[rule]]\nname = \"r\"\nwhen = { condition = \"c\", mdm.complaint = true }\nresult = \"p\"\n";
    insta::assert_snapshot!(load_files(&[("x.toml", text), ("y.toml", "version = 1\n[profile.p\n")]).1.join("\n"), @r#"
    x.toml:6:31: unknown fact "mdm.complaint"; did you mean "mdm.compliant"? [unknown-fact]
    y.toml:2:11: not valid TOML: unclosed table, expected `]` [syntax]
    "#);
}

#[test]
fn tags_in_conditions() {
    insta::assert_snapshot!(when("{ radius.\"User-Name:1\" = \"x\", radius.\"Tunnel-Type:40\" = \"VLAN\", radius.\"Tunel-Type:1\" = \"VLAN\" }"), @r#"
    x.toml:7:17: User-Name has no tag; write its name without the colon [bad-tag]
    x.toml:7:45: "40" is no tag; write a number from 1 to 31 behind the colon, or 0 for none [bad-tag]
    x.toml:7:79: unknown attribute "Tunel-Type:1"; did you mean "Tunnel-Type"? [unknown-attribute]
    "#);
}

#[test]
fn facts_of_a_case_that_exclude_each_other() {
    let case = |mdm: &str| {
        with_set(&format!("[[case]]\nname = \"c\"\nmdm = {{ {mdm} }}\nexpect = {{ access = \"reject\" }}\n"))
    };
    insta::assert_snapshot!(case("lookup = \"ambiguous\", compliant = true"), @r#"x.toml:5:1: mdm.compliant is absent with mdm.lookup = "ambiguous"; remove one of them [contradiction]"#);
    insta::assert_snapshot!(case("registered = false, compliance = \"unknown\""), @"x.toml:5:1: mdm.compliance is absent of a device that is not registered; remove one of them [contradiction]");
    insta::assert_snapshot!(case("lookup = \"not-found\", registered = true"), @r#"x.toml:5:1: mdm.registered = true can't be with mdm.lookup = "not-found" [contradiction]"#);
    insta::assert_snapshot!(case("compliant = true, compliance = \"noncompliant\""), @r#"x.toml:5:1: mdm.compliant = true can't be with mdm.compliance = "noncompliant" [contradiction]"#);
    insta::assert_snapshot!(case("compliant = false, compliance = \"in-grace-period\""), @"");
}
