//! The format of `radmit.toml` as a JSON Schema, so that editors complete and validate while one writes.
//!
//! Owns the types; keys, defaults and meanings are those of `reference`. Whether files, names and secrets are there is
//! `check`'s matter.

use serde_json::{Map, Value, json};

use super::reference::{KEYS, Key};

const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// A duration such as `"90s"` or `"1h30m"`.
const DURATION: &str = "^([0-9]+(ms|s|m|h|d))+$";

/// The schema of `radmit.toml` and `conf.d/*.toml`.
#[must_use]
pub fn schema() -> Value {
    let list = |of: Value| json!({ "type": "array", "items": of });
    let mut eap_tls = section(&["[eap-tls]"], &["certificate", "private-key", "client-ca"]);
    if let Some(group) = eap_tls.pointer_mut("/properties/group").and_then(Value::as_object_mut) {
        group.insert("type".to_owned(), "object".into());
        group.insert("additionalProperties".to_owned(), section(&["[eap-tls.group.NAME]"], &[]));
    }
    let mdm = ["[[mdm]]", "[[mdm]], kind = \"intune\"", "[[mdm]], kind = \"inventory\""];
    json!({
        "$schema": DIALECT,
        "title": "The configuration of radmit",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": {
            "version": { "const": 1 },
            "server": section(&["[server]"], &[]),
            "client": list(section(&["[[client]]"], &["name", "address", "secret"])),
            "mdm": list(section(&mdm, &["name"])),
            "eap-tls": eap_tls,
            "log": section(&["[log]"], &[]),
            "metrics": section(&["[metrics]"], &[]),
        },
        "definitions": {
            "texts": { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
            "duration": { "type": "string", "pattern": DURATION },
            "secret": secret(),
            "secret-place": secret_place(),
            "certificate": certificate(),
        },
    })
}

/// A table with the keys of these sections of the reference.
fn section(names: &[&str], required: &[&str]) -> Value {
    let mut properties = Map::new();
    for key in KEYS.iter().filter(|key| names.contains(&key.section)) {
        let mut value = shape(key);
        if let Some(value) = value.as_object_mut() {
            value.insert("description".to_owned(), key.about.into());
        }
        properties.insert(key.key.to_owned(), value);
    }
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn shape(key: &Key) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/definitions/{name}") });
    let words = |words: &[&str]| json!({ "enum": words });
    let several = |words: &[&str]| json!({ "type": "array", "items": { "enum": words } });
    match key.key {
        "secret" => reference("secret"),
        "mab-password" => json!({ "anyOf": [words(&["mac", "any"]), reference("secret-place")] }),
        "credential" => credential(),
        "mass-flip-guard" => flip_guard(),
        "message-authenticator" => words(&["require", "learn", "optional"]),
        "mac-from" => words(&["either", "user-name", "calling-station-id"]),
        "kind" => words(&["intune", "inventory"]),
        "cloud" => words(&["global", "gcc-high", "dod", "china"]),
        "crl-failure" => words(&["closed", "open"]),
        "tls-max" => words(&["1.2", "1.3"]),
        "format" => words(&["text", "json"]),
        "level" => words(&["error", "warn", "info", "debug", "trace"]),
        "identifiers" => several(&["certificate-san", "certificate-cn", "attribute", "mac"]),
        "lookup" => several(&["graph", "compliance-retrieval"]),
        "group" => json!({}),
        "auth-listen"
        | "acct-listen"
        | "address"
        | "groups"
        | "device-id-attributes"
        | "trust-anchors"
        | "client-ca"
        | "crl"
        | "device-id-issuers" => reference("texts"),
        "decision-deadline"
        | "reject-delay"
        | "compliance-max-age"
        | "stale-for"
        | "negative-max-age"
        | "lookup-timeout"
        | "polling-interval"
        | "incremental-interval"
        | "session-lifetime"
        | "idle-timeout"
        | "total-timeout" => reference("duration"),
        "trust-authorize-only"
        | "udp-segmentation"
        | "enabled"
        | "grace-is-compliant"
        | "only-trust-anchors"
        | "rsa-pss"
        | "eap-md5" => json!({ "type": "boolean" }),
        "shards" | "requests-per-second" | "tickets" | "sessions-max" | "client-sessions-max" | "fragment-size" => {
            json!({ "type": "integer", "minimum": 0 })
        }
        _ => json!({ "type": "string" }),
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn secret() -> Value {
    json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/definitions/secret-place" }] })
}

fn secret_place() -> Value {
    let of = |key: &str| object(json!({ key: { "type": "string" } }), &[key]);
    json!({ "anyOf": [of("file"), of("env")] })
}

fn certificate() -> Value {
    let keys = json!({
        "certificate": { "type": "string" },
        "private-key": { "type": "string" },
        "assertion": { "enum": ["ps256", "rs256"] },
    });
    object(keys, &["certificate", "private-key"])
}

fn credential() -> Value {
    let identity = json!({ "url": { "type": "string" }, "client-id": { "type": "string" } });
    let managed = json!({ "anyOf": [{ "const": true }, object(identity, &[])] });
    json!({ "anyOf": [
        { "$ref": "#/definitions/certificate" },
        { "type": "array", "items": { "$ref": "#/definitions/certificate" }, "minItems": 1, "maxItems": 2 },
        object(json!({ "client-secret": { "$ref": "#/definitions/secret" } }), &["client-secret"]),
        object(json!({ "federated-token-file": { "type": "string" } }), &["federated-token-file"]),
        object(json!({ "managed-identity": managed }), &["managed-identity"]),
    ] })
}

fn flip_guard() -> Value {
    let keys = json!({
        "share": { "type": "string", "pattern": "^[0-9]+%$" },
        "window": { "$ref": "#/definitions/duration" },
        "hold": { "$ref": "#/definitions/duration" },
    });
    object(keys, &["share", "window", "hold"])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of which nobody thought here would be taken for a text; the default tells what it is.
    #[test]
    fn every_default_is_of_the_type_that_its_key_has() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            let shape = shape(key);
            let kind = shape.get("type").and_then(Value::as_str).unwrap_or("");
            let reference = shape.get("$ref").and_then(Value::as_str).unwrap_or("");
            let fits = match key.default {
                "true" | "false" => kind == "boolean",
                list if list.starts_with('[') => kind == "array" || reference.ends_with("/texts"),
                text if text.starts_with('"') => {
                    let is_duration = crate::document::parse_duration(text.trim_matches('"')).is_some();
                    is_duration == reference.ends_with("/duration") && kind != "integer" && kind != "boolean"
                        || reference.ends_with("/texts")
                }
                _ => kind == "integer",
            };
            assert!(fits, "{} = {} is {shape}", key.key, key.default);
        }
    }

    #[test]
    fn the_default_of_a_choice_is_one_of_its_words() {
        for key in KEYS.iter().filter(|key| key.default.starts_with('"')) {
            if let Some(words) = shape(key).get("enum").and_then(Value::as_array) {
                assert!(words.contains(&key.default.trim_matches('"').into()), "{}", key.key);
            }
        }
    }
}
