//! The format of policy files as a JSON Schema, so that editors complete and validate while one writes.
//!
//! Owns the description. The readers are the truth, and tests hold this to them; what only a whole folder can tell (names
//! of profiles, vendors, attributes) is `check`'s matter.

use serde_json::{Map, Value, json};

use super::{
    acl::Family as AclFamily,
    catalogue::{Family, Kind, ROWS, Row},
    decision::Access,
    facts::Method,
    facts_file::FAMILIES,
    operator::row::{self, Operator},
    profile::{AclForm, Setting},
};

/// The dialect that the schema is written in.
pub const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// A duration such as `"90s"` or `"1h30m"`.
pub const DURATION: &str = "^([0-9]+(ms|s|m|h|d))+$";

/// The schema of `policies/*.toml`.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    for (name, value) in [
        ("texts", texts()),
        ("duration", json!({ "type": "string", "pattern": DURATION, "description": "90s, 4h, 7d, 1h30m" })),
        (
            "vlan",
            json!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 4094 }, { "type": "string", "minLength": 1 }] }),
        ),
        ("scalar", json!({ "type": ["string", "integer", "number", "boolean"] })),
        ("scalars", json!({ "anyOf": [reference("scalar"), { "type": "array", "items": reference("scalar") }] })),
        ("state", json!({ "enum": ["enabled", "disabled", "monitor"] })),
        ("condition", condition()),
        ("rule", rule()),
        ("profile", profile()),
        ("case", case()),
    ] {
        definitions.insert(name.to_owned(), value);
    }
    json!({
        "$schema": DIALECT,
        "title": "A policy file of radmit",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": {
            "version": { "const": 1 },
            "policy-set": policy_set(),
            "rule": { "type": "array", "items": reference("rule") },
            "exception": { "type": "array", "items": reference("rule") },
            "profile": named(&reference("profile")),
            "acl": named(&acl()),
            "condition": named(&object(&[("when", reference("condition"), "The facts behind the name.")], &["when"])),
            "list": named(&list()),
            "case": { "type": "array", "items": reference("case") },
        },
        "definitions": definitions,
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// One text, or a list of them.
fn texts() -> Value {
    json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
}

/// A table with these keys and no others.
fn object(keys: &[(&str, Value, &str)], required: &[&str]) -> Value {
    let mut properties = Map::new();
    for (key, value, about) in keys {
        let mut value = value.clone();
        if let Some(value) = value.as_object_mut().filter(|_| !about.is_empty()) {
            value.insert("description".to_owned(), (*about).into());
        }
        properties.insert((*key).to_owned(), value);
    }
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn named(of: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": of })
}

fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn policy_set() -> Value {
    let rank = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let methods = json!({ "type": "array", "items": { "enum": Method::NAMES } });
    object(
        &[
            ("name", text(), "Its name in logs and metrics; unique."),
            ("rank", rank, "Sets are tried from low to high; the first whose `when` holds is used."),
            ("state", json!({ "enum": ["enabled", "disabled"] }), ""),
            ("when", reference("condition"), "Asked before any lookup: radius, client, session, time, identity.mac."),
            ("methods", methods, "Other methods are rejected. Default: all."),
            ("mdm", reference("texts"), "The [[mdm]] servers that are asked, in order; []: nobody."),
            ("default", reference("texts"), "The profile when no rule matches."),
        ],
        &["name"],
    )
}

fn rule() -> Value {
    object(
        &[
            ("name", text(), "Its name in logs and metrics."),
            ("when", reference("condition"), "All of these facts must hold; without it the rule always matches."),
            ("result", reference("texts"), "One profile, or several that are merged in order."),
            ("state", reference("state"), "monitor: evaluated and logged, never applied."),
        ],
        &["name", "result"],
    )
}

fn condition() -> Value {
    let conditions = json!({ "type": "array", "minItems": 1, "items": reference("condition") });
    let mut keys = vec![
        ("any", conditions.clone(), "One of these holds."),
        ("all", conditions, "All of these hold."),
        ("not", reference("condition"), "This does not hold."),
        ("condition", reference("texts"), "A [condition.NAME], or one of several."),
    ];
    // Names of attributes are the dictionary's, and an unquoted dot in one makes another table.
    let attributes = json!({ "type": "object", "minProperties": 1 });
    for family in Family::ALL {
        let facts = if family == Family::Radius { attributes.clone() } else { facts(family) };
        keys.push((family.name(), facts, ""));
    }
    object(&keys, &[])
}

fn facts(family: Family) -> Value {
    let rows = ROWS.iter().filter(|row| row.family() == family);
    let keys: Vec<_> = rows.map(|row| (row.short_name(), fact(row), row.about)).collect();
    object(&keys, &[])
}

/// A literal, a list of literals, or a table of operators.
fn fact(row: &Row) -> Value {
    let operators: Vec<_> = row::ROWS
        .iter()
        .filter(|operator| operator.operator.fits(row.kind))
        .map(|operator| (operator.name, operand(operator.operator, row.kind), operator.about))
        .collect();
    let mut forms = vec![object(&operators, &[])];
    if Operator::In.fits(row.kind) {
        forms.insert(0, literal(row.kind));
        forms.insert(1, json!({ "type": "array", "items": literal(row.kind) }));
    }
    json!({ "anyOf": forms })
}

fn literal(kind: Kind) -> Value {
    match kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Number => json!({ "type": "integer" }),
        Kind::Age => reference("duration"),
        Kind::Words(words) => json!({ "enum": words }),
        Kind::Hour => json!({ "type": ["integer", "string"] }),
        Kind::Version => json!({ "type": ["string", "integer", "number"] }),
        Kind::Text | Kind::Mac | Kind::Guid | Kind::Address | Kind::Network | Kind::Date | Kind::Opaque => {
            json!({ "type": "string" })
        }
    }
}

fn operand(operator: Operator, kind: Kind) -> Value {
    let literal = literal(kind);
    match operator {
        Operator::Not => json!({ "anyOf": [
            literal, { "type": "array", "items": literal }, { "type": "object", "minProperties": 1 },
        ] }),
        Operator::In | Operator::NotIn => json!({ "anyOf": [literal, { "type": "array", "items": literal }] }),
        Operator::AtLeast | Operator::AtMost | Operator::Above | Operator::Below => literal,
        Operator::Within => reference("duration"),
        Operator::Present => json!({ "type": "boolean" }),
        Operator::InList
        | Operator::Contains
        | Operator::StartsWith
        | Operator::EndsWith
        | Operator::Matches
        | Operator::Network
        | Operator::Mac => reference("texts"),
    }
}

fn profile() -> Value {
    let vlans = json!({ "anyOf": [reference("vlan"), { "type": "array", "items": reference("vlan") }] });
    let redirect = object(
        &[
            ("url", json!({ "type": "string" }), "The page; facts may stand in it, {identity.mac}."),
            ("acl", text(), "An ACL on the client that says what is redirected."),
        ],
        &["url"],
    );
    let values = json!({ "type": ["string", "integer"] });
    let attributes = json!({ "anyOf": [values, { "type": "array", "items": values }] });
    let optional = json!({ "type": "array", "items": { "enum": Setting::ALL.map(Setting::name) } });
    object(
        &[
            ("access", json!({ "enum": Access::ALL.map(Access::name) }), "ignore: no answer at all."),
            ("vlan", reference("vlan"), "A number or a name."),
            (
                "vlan-tag",
                json!({ "type": "integer", "minimum": 0, "maximum": 31 }),
                "The tag of the tunnel attributes.",
            ),
            ("tagged-vlans", vlans, "VLANs that the port also carries, with their tag."),
            ("voice", json!({ "type": "boolean" }), "The device belongs into the voice domain."),
            ("acl", reference("texts"), "An [acl.NAME], or one that the client has."),
            (
                "acl-form",
                json!({ "enum": AclForm::ALL.map(AclForm::name) }),
                "How it is sent; default: as the vendor's table says.",
            ),
            ("redirect", redirect, "Where a browser is sent."),
            ("session-timeout", reference("duration"), ""),
            ("idle-timeout", reference("duration"), ""),
            ("reauthenticate", json!({ "type": "boolean" }), "At the end of the session the device is asked again."),
            ("sgt", json!({ "type": "integer", "minimum": 1, "maximum": 65535 }), "The security group tag."),
            ("role", text(), "A role on the client."),
            (
                "attributes",
                json!({ "type": "object", "additionalProperties": attributes }),
                "Any attribute by its name.",
            ),
            ("optional", optional, "What may be left out where a vendor can't express it."),
        ],
        &[],
    )
}

fn acl() -> Value {
    let about = "Rules as Cisco IOS writes them; other vendors' spelling is made from them.";
    object(&AclFamily::ALL.map(|family| (family.name(), reference("texts"), about)), &[])
}

fn list() -> Value {
    let values = json!({ "type": "array", "items": { "type": ["string", "integer"] } });
    object(&[("values", values, ""), ("file", text(), "A file with one value to a line.")], &[])
}

fn case() -> Value {
    let given = json!({ "type": "object", "additionalProperties": reference("scalars") });
    let mut keys = vec![
        ("name", text(), "What it claims."),
        ("request", given.clone(), "Attributes by their names."),
        ("now", json!({ "type": "string" }), "The clock: 2026-11-22T12:00:00Z or a local time."),
        ("expect", expect(&given), "What should come out."),
    ];
    for family in FAMILIES {
        keys.push((
            family,
            given_facts(family),
            "Facts by their short names; what is left out is as in a real request.",
        ));
    }
    object(&keys, &["name", "expect"])
}

fn given_facts(family: &str) -> Value {
    let rows = ROWS.iter().filter(|row| row.family().name() == family);
    let mut keys: Vec<_> = rows.map(|row| (row.short_name(), reference("scalars"), row.about)).collect();
    if family == Family::Client.name() {
        keys.push(("groups", reference("scalars"), "The same as group."));
    }
    object(&keys, &[])
}

fn expect(given: &Value) -> Value {
    object(
        &[
            ("set", text(), ""),
            ("rule", text(), ""),
            ("reason", text(), ""),
            ("access", json!({ "enum": Access::ALL.map(Access::name) }), ""),
            ("profiles", reference("texts"), ""),
            ("monitored", reference("texts"), "Rules in state monitor that would have matched."),
            ("vlan", reference("vlan"), ""),
            ("acl", reference("texts"), "The names of the ACLs."),
            ("session-timeout", reference("duration"), ""),
            ("attributes", given.clone(), "Attributes that the reply must carry, beside others."),
            ("reply", given.clone(), "All attributes of the reply."),
        ],
        &[],
    )
}
