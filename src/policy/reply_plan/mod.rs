//! From a profile and a vendor to attributes, and from a plan to the octets of one reply.
//!
//! Owns what a vendor can't express, sizes, and the parts of a reply that only the request makes complete. How a vendor
//! writes things is data (`vendor`); signing and sending are the engine's.

mod build;
mod express;
mod plan;
mod render;
mod render_acl;
mod summary;

pub use express::VENDOR_ATTRIBUTE;
pub use plan::{FactId, FactNames, FactSource, Occasion, ReplyPlan};
pub use render::{Materials, render};
pub use summary::{Line, Summary, SummaryVlan};

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::golden::Fixture;
    use crate::{
        dictionary::{Dictionary, list},
        limits,
        policy::{decision::Access, vendor::Vendors},
        radius::{
            attribute::Attributes,
            error::Full,
            hidden::{HiddenBuffer, reveal_salted},
            secret::Secret,
        },
    };

    /// What `vendor` is told about the policy, or the attributes it gets.
    fn outcome(vendor: &str, policy: &str) -> String {
        let mut fixture = Fixture::read(policy);
        match fixture.plan(vendor) {
            Some(plan) => {
                let octets = fixture.reply(&plan, false).expect("it fits");
                fixture.problems() + &list::print(Dictionary::builtin(), Attributes::new(&octets, 20))
            }
            None => fixture.problems(),
        }
    }

    #[test]
    fn what_a_vendor_cannot_express_is_told_with_the_place_of_the_setting() {
        insta::assert_snapshot!(outcome(
            "generic",
            r#"
            [profile.a]
            access = "accept"
            sgt = 16
            role = "staff"
            voice = true
            redirect = { url = "https://portal.example/" }
            acl = "corp"
            acl-form = "inline"
            "#
        ));
        insta::assert_snapshot!(outcome(
            "cisco",
            r#"
            [profile.a]
            access = "accept"
            vlan = "A-NAME-LONGER-THAN-WHAT-IOS-TAKES-FOR-ONE"
            tagged-vlans = [30]
            acl = ["corp", "crop"]
            acl-form = "inline"
            redirect = { url = "https://portal.example/" }
            role = "staff"
            [acl.corp]
            ipv4 = ["permit ip any any"]
            "#
        ));
    }

    #[test]
    fn a_switch_that_fetches_acls_gets_the_rules_themselves_where_a_profile_says_so() {
        let policy = |form: &str| {
            format!(
                "[profile.a]\naccess = \"accept\"\nacl = \"corp\"\n{form}[acl.corp]\n\
                 ipv4 = [\"permit udp any any eq 53\", \"permit ip any any\"]\nipv6 = [\"permit ipv6 any any\"]"
            )
        };
        insta::assert_snapshot!(outcome("cisco", &policy("")), @r#"
        Cisco-AVPair = "ACS:CiscoSecure-Defined-ACL=#ACSACL#-IP-corp-6a0079e5"
        Cisco-AVPair = "ipv6:CiscoSecure-Defined-ACL=#ACSACL#-IP-corp-26fea6e5"
        "#);
        insta::assert_snapshot!(outcome("cisco", &policy("acl-form = \"inline\"\n")), @r#"
        Cisco-AVPair = "ip:inacl#1=permit udp any any eq 53"
        Cisco-AVPair = "ip:inacl#2=permit ip any any"
        Cisco-AVPair = "ipv6:inacl#1=permit ipv6 any any"
        "#);
    }

    #[test]
    fn a_role_goes_where_an_acl_would_go_only_if_there_is_none() {
        let policy = |acl: &str| format!("[profile.a]\naccess = \"accept\"\nrole = \"staff\"\n{acl}");
        insta::assert_snapshot!(outcome("cisco", &policy("")), @r#"Filter-Id = "staff.in""#);
        insta::assert_snapshot!(outcome("cisco", &policy("acl = \"corp\"\n[acl.corp]\nipv4 = [\"permit ip any any\"]")), @r#"
        policy.toml:3:8: hint: vendor "cisco" takes a role and an ACL in the same place, so beside the ACL the role is not sent
        Cisco-AVPair = "ACS:CiscoSecure-Defined-ACL=#ACSACL#-IP-corp-ba3efdc0"
        "#);
        // An ACL that is left out is in nobody's way.
        let policy = "optional = [\"acl\"]\nacl-form = \"download\"\nacl = [\"a\", \"b\"]\n[acl.a]\nipv4 = [\"permit ip any any\"]\n[acl.b]\nipv4 = [\"permit ip any any\"]";
        let policy = format!("[profile.a]\naccess = \"accept\"\nrole = \"staff\"\n{policy}");
        insta::assert_snapshot!(outcome("cisco", &policy), @r#"Filter-Id = "staff.in""#);
    }

    #[test]
    fn a_wireless_controller_gets_the_name_of_a_vlan_by_the_tunnel_attributes_too() {
        let policy = "[profile.a]\naccess = \"accept\"\nvlan = \"STAFF\"\nvlan-tag = 3";
        insta::assert_snapshot!(outcome("cisco-wlc", policy), @r#"
        Tunnel-Type:3 = VLAN
        Tunnel-Medium-Type:3 = IEEE-802
        Tunnel-Private-Group-Id:3 = "STAFF"
        Airespace-Interface-Name = "STAFF"
        "#);
    }

    #[test]
    fn what_a_vendor_cannot_express_is_told_once_however_often_a_profile_is_merged() {
        let mut fixture = Fixture::read("[profile.a]\naccess = \"accept\"\nsgt = 16\n[profile.b]\nvlan = 20");
        assert!(fixture.plan("generic").is_none());
        let once = fixture.problems();
        fixture.profiles.truncate(1);
        assert!(fixture.plan("generic").is_none());
        assert_eq!(fixture.problems(), once);
        assert!(fixture.plan("aruba").is_none());
        assert_ne!(fixture.problems(), once);
    }

    #[test]
    fn a_vlan_that_would_be_sent_twice_is_told() {
        let policy =
            "[profile.a]\naccess = \"accept\"\nvlan = 20\nattributes = { \"Tunnel-Private-Group-Id:1\" = \"30\" }";
        insta::assert_snapshot!(outcome("generic", policy), @r#"
        policy.toml:4:16: warning: "vlan" sends Tunnel-Private-Group-Id too, so there would be two VLANs; leave one of them out
        Tunnel-Type = VLAN
        Tunnel-Medium-Type = IEEE-802
        Tunnel-Private-Group-Id = "20"
        Tunnel-Private-Group-Id:1 = "30"
        "#);
    }

    #[test]
    fn a_rule_has_one_blank_between_its_words_whatever_it_asks() {
        let policy = "[profile.a]\naccess = \"accept\"\nacl = \"corp\"\n[acl.corp]\nipv4 = [\"permit tcp any any\", \"permit ip any any\"]";
        insta::assert_snapshot!(outcome("mikrotik", policy), @r#"Mikrotik-Switching-Filter = "mac-protocol 2048 protocol 6 action allow, mac-protocol 2048 action allow""#);
    }

    #[test]
    fn optional_settings_are_left_out_where_they_cannot_be_sent() {
        let policy =
            "[profile.a]\naccess = \"accept\"\nvlan = 20\nsgt = 16\nrole = \"staff\"\noptional = [\"role\", \"sgt\"]";
        insta::assert_snapshot!(outcome("generic", policy), @r#"
        Tunnel-Type = VLAN
        Tunnel-Medium-Type = IEEE-802
        Tunnel-Private-Group-Id = "20"
        "#);
    }

    #[test]
    fn attributes_of_the_operator_are_checked_by_the_dictionary() {
        insta::assert_snapshot!(outcome(
            "generic",
            r#"
            [profile.a]
            access = "accept"
            [profile.a.attributes]
            Sesion-Timeout = 7
            Session-Timeout = "a day"
            Framed-IP-Address = "300.1.1.1"
            "Filter-Id:1" = "x"
            "Tunnel-Type:40" = "VLAN"
            Reply-Message = ""
            State = "x"
            MS-MPPE-Recv-Key = "0x00"
            Framed-MTU = "{identity.mac}"
            Tunnel-Password = "{identity.mac}"
            Class = "{mdm.complaint}"
            Termination-Action = "RADIUS-Reqest"
            "#
        ));
    }

    #[test]
    fn a_wrong_attribute_is_told_once_for_all_vendors() {
        let mut fixture = Fixture::read("[profile.a]\naccess = \"accept\"\nattributes = { Sesion-Timeout = 7 }");
        assert!(fixture.plan("generic").is_none());
        let once = fixture.problems();
        assert!(fixture.plan("cisco").is_none());
        assert_eq!(fixture.problems(), once);
    }

    #[test]
    fn a_reject_carries_only_reply_message_and_no_answer_carries_nothing() {
        let policy = |access: &str| {
            format!(
                "[profile.a]\naccess = \"{access}\"\nvlan = 20\nattributes = {{ Reply-Message = \"No\", Class = \"x\" }}"
            )
        };
        insta::assert_snapshot!(outcome("cisco", &policy("reject")), @r#"
        policy.toml:3:8: warning: "vlan" is not sent: a reject carries only Reply-Message; leave it out
        policy.toml:4:38: warning: a reject carries only Reply-Message; leave it out
        Reply-Message = "No"
        "#);
        insta::assert_snapshot!(outcome("cisco", &policy("ignore")), @r#"
        policy.toml:3:8: warning: "vlan" is not sent: without an answer nothing is sent; leave it out
        policy.toml:4:16: warning: without an answer nothing is sent; leave it out
        policy.toml:4:38: warning: without an answer nothing is sent; leave it out
        "#);
    }

    #[test]
    fn an_acl_that_does_not_fit_into_a_reply_is_told_at_load_time() {
        let rules: Vec<String> =
            (0..100).map(|number| format!("\"permit tcp any host 192.0.2.{number} eq 443\"")).collect();
        let policy = |form: &str| {
            format!(
                "[profile.a]\naccess = \"accept\"\nacl = \"big\"\nacl-form = \"{form}\"\n[acl.big]\nipv4 = [{}]",
                rules.join(",")
            )
        };
        insta::assert_snapshot!(outcome("cisco", &policy("inline")), @r#"policy.toml:1:1: profile "a", vendor "cisco": the reply takes up to 5682 octets, and 3564 are free in a packet; write acl-form = "download", or shorten the ACL"#);

        let mut fixture = Fixture::read(&policy("download"));
        let plan = fixture.plan("cisco").expect("it is small");
        let download = plan.downloads().first().expect("one for IPv4").clone();
        assert_eq!(download.attributes().len(), 100);
        let room = limits::PACKET_OCTETS_MAX - limits::HEADER_OCTETS - 60;
        let first = download.part(0, room).expect("some fit");
        let second = download.part(first.next.expect("not all fit"), room).expect("the rest");
        assert_eq!(second.next, None);
        let name = format!("ACS:CiscoSecure-Defined-ACL={}", download.name);
        assert!(plan.fixed_octets().ends_with(name.as_bytes()));
    }

    #[test]
    fn rules_that_a_vendor_has_no_words_for_are_told_where_they_stand() {
        let policy = r#"
            [profile.a]
            access = "accept"
            acl = "corp"
            [acl.corp]
            ipv4 = """
permit tcp any any eq 80 443
permit tcp any any range 80 443
permit tcp host 192.0.2.1 any
permit tcp any eq 7 any
permit ip any 10.0.0.0 0.255.0.255
permit tcp any any established
permit icmp any any echo
permit 47 any any
permit ip any any log
permit ip any any dscp ef"""
            ipv6 = ["permit ipv6 any any"]
            "#;
        insta::assert_snapshot!(outcome("juniper", policy));
        insta::assert_snapshot!(outcome("aruba", policy));
        insta::assert_snapshot!(outcome("mikrotik", policy));
    }

    #[test]
    fn an_acl_with_one_inexpressible_rule_is_left_out_as_a_whole_where_it_is_optional() {
        let policy = "[profile.a]\naccess = \"accept\"\nvlan = 1\nacl = \"corp\"\noptional = [\"acl\"]\n[acl.corp]\nipv4 = [\"deny 47 any any\", \"permit ip any any\"]";
        insta::assert_snapshot!(outcome("aruba", policy), @r#"
        Tunnel-Type = VLAN
        Tunnel-Medium-Type = IEEE-802
        Tunnel-Private-Group-Id = "1"
        "#);
    }

    #[test]
    fn limits_of_a_vendor_are_kept() {
        let policy = |rules: usize| {
            let rules: Vec<String> =
                (0..rules).map(|number| format!("\"permit tcp any host 192.0.2.{number} eq 443\"")).collect();
            format!(
                "[profile.a]\naccess = \"accept\"\nacl = \"big\"\nacl-form = \"inline\"\n[acl.big]\nipv4 = [{}]",
                rules.join(",")
            )
        };
        insta::assert_snapshot!(outcome("juniper", &policy(7)), @r#"policy.toml:3:7: profile "a", vendor "juniper": 22 conditions in the rules are more than the 20 that a client takes; shorten the ACL"#);
        insta::assert_snapshot!(outcome("huawei", &policy(64)), @r#"policy.toml:3:7: profile "a", vendor "huawei": 65 rules are more than the 64 that a client takes; shorten the ACL"#);
        insta::assert_snapshot!(outcome("mikrotik", &policy(4)), @r#"policy.toml:6:10: profile "a", vendor "mikrotik": Mikrotik-Switching-Filter can't hold the 353 octets of all rules together; shorten the ACL"#);
        assert!(outcome("huawei", &policy(63)).contains("\"$64 deny\""));
        assert!(outcome("juniper", &policy(6)).contains("Match Destination-ip 0.0.0.0/0 Action deny"));
    }

    #[test]
    fn a_rule_that_is_too_long_for_its_attribute_is_told_where_it_stands() {
        let ports = "permit tcp 2001:db8:1111:2222:3333:4444:5555:6666/128 eq 60000 60001 60002 60003 60004 60005 60006 60007 60008 60009 2001:db8:1111:2222:3333:4444:5555:7777/128 eq 60010 60011 60012 60013 60014 60015 60016 60017 60018 60019 dscp default log";
        let policy = format!("[profile.a]\naccess = \"accept\"\nacl = \"big\"\n[acl.big]\nipv6 = [\"{ports}\"]");
        insta::assert_snapshot!(outcome("cisco", &policy), @r#"policy.toml:5:10: profile "a", vendor "cisco": the value of Cisco-AVPair is longer than the attribute can hold; shorten it"#);
    }

    proptest! {
        #[test]
        fn a_plan_that_was_made_can_be_written_and_is_as_long_as_it_says(
            vendor in 0usize..16,
            vlan in prop::option::of("[1-9][0-9]{0,2}|\"[A-Z]{1,20}\""),
            tag in 0u8..32,
            seconds in 1u32..100_000,
            role in prop::option::of("[a-z]{1,20}"),
            rules in prop::collection::vec("(permit|deny) (ip|tcp|udp|icmp|47) any (any|host 192\\.0\\.2\\.[1-9]|10\\.[0-9]\\.0\\.0 0\\.0\\.255\\.255)", 0..30),
            optional in any::<bool>(),
            beside_eap in any::<bool>(),
        ) {
            let vendors = Vendors::builtin();
            let name = vendors.iter().nth(vendor).expect("there are sixteen").name.to_string();
            let mut policy = format!("[profile.a]\naccess = \"accept\"\nvlan-tag = {tag}\nsession-timeout = \"{seconds}s\"\n");
            policy += "attributes = { Reply-Message = \"hello {identity.mac}\", \"Tunnel-Password:1\" = \"secret\" }\n";
            policy += &vlan.map(|vlan| format!("vlan = {vlan}\n")).unwrap_or_default();
            policy += &role.map(|role| format!("role = \"{role}\"\n")).unwrap_or_default();
            if optional {
                policy += "optional = [\"vlan\", \"role\", \"acl\"]\n";
            }
            if !rules.is_empty() {
                policy += &format!("acl = \"corp\"\n[acl.corp]\nipv4 = {rules:?}\n");
            }
            let mut fixture = Fixture::read(&policy);
            let plan = fixture.plan(&name);
            prop_assert_eq!(plan.is_none(), fixture.problems.has_errors(), "{}", fixture.problems());
            if let Some(plan) = plan {
                let octets = fixture.reply(&plan, beside_eap).expect("a plan leaves room");
                prop_assert!(octets.len() <= plan.octets_max());
                prop_assert!(Attributes::new(&octets, 0).is_well_formed());
                let fixed = Attributes::new(plan.fixed_octets(), 0);
                prop_assert!(fixed.is_well_formed());
            }
        }
    }

    #[test]
    fn what_may_not_stand_together_is_told() {
        let policy = "[profile.a]\naccess = \"accept\"\nacl = \"corp\"\nattributes = { Filter-Id = \"other.in\" }\n[acl.corp]\nipv4 = [\"permit ip any any\"]";
        insta::assert_snapshot!(outcome("dell", policy), @r#"policy.toml:1:1: profile "a", vendor "dell": Filter-Id and Cisco-AVPair ip:inacl can't stand together: the switch treats such an Access-Accept as a reject; leave one of them out"#);
    }

    #[test]
    fn beside_eap_there_is_no_reply_message() {
        let mut fixture = Fixture::read(
            "[profile.a]\naccess = \"accept\"\nvlan = 20\nattributes = { Reply-Message = [\"a\", \"{identity.mac}\"], Class = \"c\" }",
        );
        let plan = fixture.plan("generic").expect("a plan");
        let alone = fixture.reply(&plan, false).expect("it fits");
        let alone = list::print(Dictionary::builtin(), Attributes::new(&alone, 20));
        let beside = fixture.reply(&plan, true).expect("it fits");
        let beside = list::print(Dictionary::builtin(), Attributes::new(&beside, 20));
        assert_eq!(alone.matches("Reply-Message").count(), 2);
        assert_eq!(
            beside,
            alone
                .lines()
                .filter(|line| !line.contains("Reply-Message"))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        );
    }

    #[test]
    fn facts_cannot_add_parameters_to_an_address_nor_lines_to_a_text() {
        let policy = "[profile.a]\naccess = \"accept\"\nredirect = { url = \"https://p/?u={mdm.user}\", acl = \"R\" }\nattributes = { Filter-Id = \"{mdm.user}\" }";
        insta::assert_snapshot!(outcome("cisco", policy), @r#"
        Cisco-AVPair = "url-redirect=https://p/?u=ann%40corp.example%26x%3D1%0A"
        Cisco-AVPair = "url-redirect-acl=R"
        Filter-Id = "ann@corp.example&x=1?"
        "#);
    }

    #[test]
    fn an_attribute_of_absent_facts_alone_is_left_out() {
        let policy =
            "[profile.a]\naccess = \"accept\"\nattributes = { Filter-Id = \"{mdm.device-name}\", Class = \"c\" }";
        insta::assert_snapshot!(outcome("generic", policy), @"Class = 0x63");
    }

    #[test]
    fn a_value_that_grows_too_long_fails_the_whole_reply() {
        let mut fixture = Fixture::read(
            "[profile.a]\naccess = \"accept\"\nvlan = 20\nredirect = { url = \"https://portal.example/{radius.User-Name}\", acl = \"R\" }",
        );
        let plan = fixture.plan("cisco").expect("a plan");
        assert_eq!(fixture.reply(&plan, false), Err(Full::ValueTooLong));
    }

    #[test]
    fn a_hidden_attribute_can_be_revealed_and_is_never_shown() {
        let mut fixture = Fixture::read(
            "[profile.a]\naccess = \"accept\"\nattributes = { \"Tunnel-Password:3\" = [\"one secret\", \"two secret\"], Cisco-AVPair = \"psk=three secret\" }",
        );
        let plan = fixture.plan("cisco").expect("a plan");
        assert!(!format!("{plan} {plan:?}").contains("secret"), "{plan} {plan:?}");
        let octets = fixture.reply(&plan, false).expect("it fits");
        let secret = Secret::new(b"golden".to_vec()).expect("a secret with octets");
        let mut revealed = Vec::new();
        let mut salts = Vec::new();
        let mut rest = octets.as_slice();
        while let [69, length, 3, value @ ..] = rest {
            let (value, after) = value.split_at(usize::from(*length) - 3);
            let mut room: HiddenBuffer = [0; limits::VALUE_OCTETS_MAX];
            revealed.push(reveal_salted(value, &[7; 16], &secret, &mut room).expect("it was hidden so").to_vec());
            salts.push(value[..2].to_vec());
            rest = after;
        }
        assert_eq!(revealed, [b"one secret", b"two secret"]);
        assert_ne!(salts[0], salts[1]);
    }

    #[test]
    fn the_summary_is_what_the_log_says() {
        let mut fixture = Fixture::read(
            "[profile.a]\naccess = \"accept\"\nvlan = 20\nacl = \"corp\"\nsgt = 16\nsession-timeout = \"1h\"\nreauthenticate = true\nredirect = { url = \"https://p/?m={identity.mac}\", acl = \"R\" }\n[acl.corp]\nipv4 = [\"permit ip any any\"]",
        );
        let plan = fixture.plan("cisco").expect("a plan");
        assert_eq!(plan.access(), Access::Accept);
        let json = serde_json::to_string(plan.summary()).expect("it is plain");
        insta::assert_snapshot!(json, @r#"{"vlan":20,"acl":["corp"],"redirect":"https://p/?m={identity.mac}","session-timeout":3600,"reauthenticate":true,"sgt":16}"#);
    }

    #[test]
    fn a_plan_without_facts_and_secrets_is_constant() {
        let mut fixture = Fixture::read("[profile.a]\naccess = \"accept\"\nvlan = 20");
        let plan = fixture.plan("cisco").expect("a plan");
        assert!(plan.is_constant());
        assert_eq!(fixture.reply(&plan, true).expect("it fits"), plan.fixed_octets());
        assert_eq!(plan.octets_max(), plan.fixed_octets().len());
    }
}
