//! What a rule gives: access, VLAN, ACLs, redirection and the rest, without any vendor's dialect.
//!
//! Owns `[profile.NAME]` and how several profiles become one. Which octets that makes is the matter of `reply_plan`.

mod merge;
mod read;
mod settings;

pub use settings::{
    AclForm, AttributeSetting, AttributeValue, FactText, List, Placed, Profile, Redirect, Setting, Vlan,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        document::Source,
        policy::decision::Access,
        problem::{Place, Problems},
    };

    fn read(text: &str) -> (Vec<Profile>, Problems) {
        let source = Source::new("p.toml", text);
        let mut problems = Problems::new();
        let tree = source.parse(&mut problems).expect("valid TOML");
        let table = tree.root().table("profile", &mut problems).expect("a table");
        let entries = table.entries();
        let read = |entry: &crate::document::Value<'_>, problems: &mut Problems| {
            Profile::read(entry.key(), &entry.table(problems).expect("a table"), problems)
        };
        (entries.iter().map(|entry| read(entry, &mut problems)).collect(), problems)
    }

    fn shown(problems: &Problems) -> String {
        problems.sorted().iter().map(|problem| format!("{problem}\n")).collect()
    }

    fn merged(text: &str) -> (Option<Profile>, String) {
        let (profiles, mut problems) = read(text);
        let all: Vec<&Profile> = profiles.iter().collect();
        let place = Place { file: "p.toml".into(), line: 99, column: 10 };
        let merged = Profile::merge(&all, &place, &mut problems);
        (merged, shown(&problems))
    }

    #[test]
    fn the_later_profile_wins_and_lists_append() {
        let (profile, problems) = merged(
            r#"
            [profile.a]
            access = "accept"
            vlan = 20
            acl = ["one"]
            session-timeout = "8h"
            attributes = { Class = "a", Cisco-AVPair = ["x=1"] }
            [profile.b]
            vlan = "GUEST"
            acl = ["two"]
            session-timeout = "90s"
            attributes = { cisco-avpair = ["y=2"], Class = "b", Reply-Message = "hello" }
            "#,
        );
        assert_eq!(problems, "");
        let profile = profile.expect("they go together");
        assert_eq!((&*profile.name, profile.access.expect("a says").value), ("a+b", Access::Accept));
        assert_eq!(profile.vlan.expect("both say").value, Vlan::Name("GUEST".into()));
        assert_eq!(profile.session_timeout.expect("both say").value, 90);
        let acls: Vec<&str> = profile.acls.values.iter().map(|acl| &*acl.value).collect();
        assert_eq!(acls, ["one", "two"]);
        let values: Vec<(&str, usize)> =
            profile.attributes.iter().map(|setting| (&*setting.name, setting.values.values.len())).collect();
        assert_eq!(values, [("Class", 1), ("Cisco-AVPair", 2), ("Reply-Message", 1)]);
    }

    #[test]
    fn one_acl_without_a_list_replaces_those_before() {
        let (profile, _) = merged(
            "[profile.a]\naccess = \"accept\"\nacl = [\"one\", \"two\"]\n[profile.b]\nacl = \"three\"\n[profile.c]\nacl = [\"four\"]",
        );
        let acls: Vec<Box<str>> =
            profile.expect("they go together").acls.values.into_iter().map(|acl| acl.value).collect();
        assert_eq!(acls, ["three".into(), "four".into()]);
    }

    #[test]
    fn profiles_with_different_access_or_none_are_errors() {
        let (profile, problems) = merged("[profile.a]\naccess = \"accept\"\n[profile.b]\naccess = \"reject\"");
        assert_eq!(profile, None);
        insta::assert_snapshot!(problems, @r#"p.toml:99:10: profile "a" says access = "accept", and "b" says "reject"; a result can have one access only"#);
        let (profile, problems) = merged("[profile.a]\nvlan = 1\n[profile.b]\nvlan = 2");
        assert_eq!(profile, None);
        insta::assert_snapshot!(problems, @r#"p.toml:99:10: profile "a+b" says nothing about access; write access = "accept" into [profile.a]"#);
    }

    #[test]
    fn the_built_in_profiles_merge_like_others() {
        let (permit, deny) = (Profile::permit(), Profile::deny());
        let mut problems = Problems::new();
        let place = Place::whole("p.toml");
        assert_eq!(
            Profile::merge(&[&permit], &place, &mut problems).map(|profile| profile.name),
            Some("permit".into())
        );
        assert_eq!(Profile::merge(&[&permit, &deny], &place, &mut problems), None);
    }

    #[test]
    fn a_vlan_of_digits_is_a_number_also_in_quotes() {
        let (profiles, problems) = read("[profile.a]\nvlan = \"20\"\ntagged-vlans = [30, \"VOICE\"]");
        assert!(problems.is_empty());
        assert_eq!(profiles[0].vlan.as_ref().map(|vlan| &vlan.value), Some(&Vlan::Id(20)));
        assert_eq!(profiles[0].tagged_vlans.values.len(), 2);
    }

    #[test]
    fn every_mistake_in_a_profile_is_told() {
        let (_, problems) = read(MISTAKES);
        insta::assert_snapshot!(shown(&problems));
    }

    const MISTAKES: &str = r#"
[profile.a]
access = "acept"
vlan = 4095
vlan-tag = 32
voice = "yes"
acl = ["ok", ""]
acl-form = "dacl"
session-timeout = 3600
idle-timeout = "1500ms"
reauthenticate = 1
sgt = 0
role = "a\tb"
timeout = "8h"
optional = ["sgd", "access"]
redirect = { url = "portal.example", acls = "X" }

[profile.b]
access = "allow"
vlan = "4095"
tagged-vlans = [0, 1.5]
vlna = 20
session-timeout = "0s"
redirect = { acl = "X" }
attributes = { Reply-Message = "hello {identity.mac", Class = ["}", true], Filter-Id = "{}" }

[profile.c]
redirect = "https://portal.example"
attributes = ["Class"]
session-timeout = "8 hours"
sgt = 65536
"#;
}
