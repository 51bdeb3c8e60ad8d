//! The JSON Schemas of the files, held to the files that are shipped and to what the readers take.

use std::{collections::BTreeSet, fs, path::Path};

use radmit::{config, policy};
use serde_json::{Map, Value};

use crate::support::policy::problems_of;

/// Why `value` is not what `schema` describes; nothing if it is. A keyword that is not known here is a mistake of the
/// schema: none may be passed over.
fn violation(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    schema.as_object().unwrap().iter().find_map(|(keyword, operand)| {
        let wrong = |what: &str| Some(format!("{at}: {value} {what} {operand}"));
        let count = |operand: &Value| usize::try_from(operand.as_u64().unwrap()).unwrap();
        match keyword.as_str() {
            "$schema" | "title" | "description" | "definitions" => None,
            "$ref" => {
                let definition = root.pointer(operand.as_str().unwrap().trim_start_matches('#')).unwrap();
                violation(root, definition, value, at)
            }
            "anyOf" => {
                let tried: Vec<_> =
                    operand.as_array().unwrap().iter().map(|one| violation(root, one, value, at)).collect();
                tried
                    .iter()
                    .all(Option::is_some)
                    .then(|| tried.into_iter().flatten().collect::<Vec<_>>().join("\n or "))
            }
            "const" if value == operand => None,
            "enum" if operand.as_array().unwrap().contains(value) => None,
            "const" | "enum" => wrong("is not"),
            "type" => {
                let names = operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
                let fits = names.iter().any(|name| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    other => panic!("unknown type {other}"),
                });
                if fits { None } else { wrong("is no") }
            }
            "pattern" => {
                let pattern = regex::Regex::new(operand.as_str().unwrap()).unwrap();
                if value.as_str().is_none_or(|text| pattern.is_match(text)) { None } else { wrong("does not match") }
            }
            "minLength" if value.as_str().is_none_or(|text| text.len() >= count(operand)) => None,
            "minItems" if value.as_array().is_none_or(|items| items.len() >= count(operand)) => None,
            "maxItems" if value.as_array().is_none_or(|items| items.len() <= count(operand)) => None,
            "minProperties" if value.as_object().is_none_or(|keys| keys.len() >= count(operand)) => None,
            "minimum" if value.as_i64().is_none_or(|number| number >= operand.as_i64().unwrap()) => None,
            "maximum" if value.as_i64().is_none_or(|number| number <= operand.as_i64().unwrap()) => None,
            "minLength" | "minItems" | "maxItems" | "minProperties" | "minimum" | "maximum" => wrong(keyword),
            "required" => {
                let missing = operand.as_array().unwrap().iter().find(|key| value.get(key.as_str().unwrap()).is_none());
                missing.filter(|_| value.is_object()).map(|key| format!("{at}: {key} is missing"))
            }
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .find_map(|(number, item)| violation(root, operand, item, &format!("{at}[{number}]"))),
            // Both are judged where the object says what else it takes.
            "properties" if schema.get("additionalProperties").is_some() => None,
            "properties" | "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
                let more = schema.get("additionalProperties").unwrap_or(&Value::Null);
                value.as_object().into_iter().flatten().find_map(|(key, item)| {
                    let at = format!("{at}.{key}");
                    match (known.get(key), more) {
                        (Some(schema), _) | (None, schema @ Value::Object(_)) => violation(root, schema, item, &at),
                        (None, Value::Bool(false)) => Some(format!("{at} is unknown")),
                        _ => None,
                    }
                })
            }
            other => panic!("the schema uses {other}"),
        }
    })
}

fn json_of(toml: &toml::Value) -> Value {
    match toml {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            let members: Map<String, Value> = table.iter().map(|(key, value)| (key.clone(), json_of(value))).collect();
            members.into()
        }
    }
}

fn violation_of(schema: &Value, text: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(text).unwrap();
    violation(schema, schema, &json_of(&toml::Value::Table(table)), "")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All TOML files below a folder.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
}

#[test]
fn every_shipped_policy_is_what_the_schema_describes() {
    let schema = policy::schema::schema();
    let mut paths = vec![root().join("policies/default.toml")];
    files(&root().join("policies/examples"), &mut paths);
    assert!(paths.len() > 7, "{paths:?}");
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(violation_of(&schema, &text), None, "{}", path.display());
    }
}

const CONFIGURATION: &str = r#"
version = 1
[server]
auth-listen = ["0.0.0.0:1812", "[::]:1812"]
acct-listen = []
shards = 2
reject-delay = "1s"
[[client]]
name = "campus"
address = ["10.20.0.0/16", "2001:db8:20::/48"]
secret = { file = "secrets/campus" }
vendor = "cisco"
groups = ["wired"]
message-authenticator = "learn"
mab-password = { env = "MAB" }
decision-deadline = "1s500ms"
[[client]]
name = "one"
address = "10.0.0.1"
secret = "plain"
mab-password = "any"
[[mdm]]
name = "corp"
tenant-id = "t"
client-id = "c"
credential = [{ certificate = "a.pem", private-key = "a.key" }, { certificate = "b.pem", private-key = "b.key" }]
lookup = ["graph"]
mass-flip-guard = { share = "20%", window = "10m", hold = "1h" }
[[mdm]]
name = "lab"
kind = "inventory"
file = "devices.toml"
[eap-tls]
certificate = "server.pem"
private-key = "server.key"
client-ca = ["ca.pem"]
tls-max = "1.3"
[eap-tls.group.old]
tls-max = "1.2"
rsa-pss = false
[log]
level = "debug"
[metrics]
listen = "off"
"#;

#[test]
fn a_configuration_is_what_the_schema_describes_and_slips_of_the_pen_are_not() {
    let schema = config::schema::schema();
    assert_eq!(violation_of(&schema, CONFIGURATION), None);
    for (right, wrong) in [
        ("shards = 2", "shrads = 2"),
        ("shards = 2", "shards = \"2\""),
        ("\"1s500ms\"", "\"1.5s\""),
        ("\"learn\"", "\"lern\""),
        ("{ env = \"MAB\" }", "{ env = \"MAB\", file = \"x\" }"),
        ("address = \"10.0.0.1\"\n", ""),
        ("rsa-pss = false", "rsa-psk = false"),
        ("share = \"20%\", ", ""),
        ("[metrics]", "[metric]"),
    ] {
        assert!(CONFIGURATION.contains(right));
        assert!(violation_of(&schema, &CONFIGURATION.replacen(right, wrong, 1)).is_some(), "{wrong}");
    }
}

const POLICY: &str = r#"
version = 1
[policy-set]
name = "s"
rank = 1
when = { session.medium = "wired", radius.Attr-26.9.1 = "x" }
methods = ["mab"]
mdm = []
[[rule]]
name = "r"
when = { any = [{ mdm.age = { within = "1h" } }, { not = { mdm.os = ["iOS", "macOS"] } }], time.hour = { at-least = 8 } }
result = ["permit", "p"]
state = "monitor"
[profile.p]
vlan = 20
redirect = { url = "https://x/", acl = "R" }
attributes = { Class = ["a", 7] }
"#;

#[test]
fn slips_of_the_pen_in_a_policy_are_not_what_the_schema_describes() {
    let schema = policy::schema::schema();
    assert_eq!(violation_of(&schema, POLICY), None);
    for (right, wrong) in [
        ("\"wired\"", "\"wire\""),
        ("[\"mab\"]", "[\"mbp\"]"),
        ("mdm.age", "mdm.ages"),
        ("within", "in-list"),
        ("\"1h\"", "3600"),
        ("\"monitor\"", "\"watch\""),
        ("vlan = 20", "vlan = 5000"),
        ("url = \"https://x/\", ", ""),
        ("result = [\"permit\", \"p\"]\n", ""),
        ("at-least = 8", "at-lest = 8"),
    ] {
        assert!(POLICY.contains(right));
        assert!(violation_of(&schema, &POLICY.replacen(right, wrong, 1)).is_some(), "{wrong}");
    }
}

#[test]
fn the_schema_has_exactly_the_keys_that_the_readers_ask_for() {
    let set = "version = 1\n[policy-set]\nname = \"s\"\n";
    let schema = policy::schema::schema();
    for (head, pointer) in [
        ("version = 1\n", "/properties"),
        (set, "/properties/policy-set/properties"),
        (&format!("{set}[[rule]]\nname = \"r\"\nresult = \"permit\"\n"), "/definitions/rule/properties"),
        ("version = 1\n[profile.p]\n", "/definitions/profile/properties"),
        (
            "version = 1\n[profile.p.redirect]\nurl = \"https://x/\"\n",
            "/definitions/profile/properties/redirect/properties",
        ),
        ("version = 1\n[acl.a]\nipv4 = [\"permit ip any any\"]\n", "/properties/acl/additionalProperties/properties"),
        ("version = 1\n[condition.c]\nwhen = {}\n", "/properties/condition/additionalProperties/properties"),
        ("version = 1\n[list.l]\nvalues = []\n", "/properties/list/additionalProperties/properties"),
        ("version = 1\n[[case]]\nname = \"c\"\nexpect = { vlan = 1 }\n", "/definitions/case/properties"),
        (
            "version = 1\n[[case]]\nname = \"c\"\n[case.expect]\nvlan = 1\n",
            "/definitions/case/properties/expect/properties",
        ),
    ] {
        let problems = problems_of(&format!("{head}zzzzzz = 1\n"));
        let said = problems.iter().find(|problem| problem.contains("zzzzzz")).unwrap_or_else(|| panic!("{problems:?}"));
        let read: BTreeSet<&str> = said.split("there are: ").nth(1).unwrap().split(", ").collect();
        let described = schema.pointer(pointer).unwrap().as_object().unwrap();
        assert_eq!(described.keys().map(String::as_str).collect::<BTreeSet<_>>(), read, "{pointer}");
    }
}
