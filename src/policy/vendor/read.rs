//! Reads a vendor table.
//!
//! Owns the keys of `policies/vendor/NAME.toml` and the names that its templates may use. Whether the attributes exist is
//! checked by `reply_plan`, which has the dictionary.

use super::{
    read_syntax,
    read_template::{read_template, read_templates, read_text_template},
    table::{
        AclForms, Coa, CoaCommand, Conflict, DownloadForm, DownloadTemplates, Form, InlineForm, NameForm, RedirectForm,
        Vendor, VlanForms, Voice,
    },
};
use crate::{
    document::{Source, Table, Value},
    policy::profile::AclForm,
    problem::Problems,
};

/// The port of a table that names none (RFC 5176 section 2.1).
const COA_PORT: u16 = 3799;

/// Reads one table. Nothing if it is not valid TOML or has no name; other mistakes are reported and left out.
pub(super) fn read(source: &Source, problems: &mut Problems) -> Option<Vendor> {
    let tree = source.parse(problems)?;
    let root = tree.root();
    root.require_version(problems);
    let name = read_name(&root, problems);
    let title = root.text("title", problems);
    if title.is_none() && root.ask("title").is_none() {
        root.missing("title", "say in a few words which clients are meant", problems);
    }
    let sources = read_sources(&root, problems);
    let vendor = Vendor {
        name: name?.into(),
        title: title.unwrap_or_default().into(),
        sources,
        vlan: read_vlan(root.table("vlan", problems), problems),
        tagged_vlans: read_vlan(root.table("tagged-vlans", problems), problems),
        voice: read_voice(&root, problems),
        redirect: read_redirect(&root, problems),
        sgt: read_form(&root, "sgt", &["sgt"], problems),
        role: read_form(&root, "role", &["role"], problems),
        session_timeout: read_form(&root, "session-timeout", &["seconds"], problems),
        idle_timeout: read_form(&root, "idle-timeout", &["seconds"], problems),
        reauthenticate: read_form(&root, "reauthenticate", &[], problems),
        acl: read_acl(&root, problems),
        conflicts: read_conflicts(&root, problems),
        coa: read_coa(&root, problems),
    };
    root.finish(problems);
    Some(vendor)
}

fn read_name<'t>(root: &Table<'t>, problems: &mut Problems) -> Option<&'t str> {
    let Some(value) = root.ask("name") else {
        root.missing("name", "write the word that stands behind vendor = in [[client]]", problems);
        return None;
    };
    let name = value.text(problems)?;
    let is_plain = !name.is_empty()
        && name.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-');
    if !is_plain {
        value.error(
            problems,
            "bad-name",
            format!("\"{name}\" can't be a vendor's name; use lower case letters, digits and \"-\""),
        );
        return None;
    }
    let file = root.source().name().rsplit('/').next().unwrap_or_default();
    if file.strip_suffix(".toml") != Some(name) {
        let message = format!("the file of the vendor \"{name}\" must be called {name}.toml; rename one of them");
        value.error(problems, "bad-name", message);
    }
    Some(name)
}

fn read_sources(root: &Table<'_>, problems: &mut Problems) -> Vec<Box<str>> {
    let sources = root.texts("sources", problems).unwrap_or_default();
    if sources.is_empty() {
        let advice = "name the documents that say so; a table without sources is a guess";
        root.missing("sources", advice, problems);
    }
    sources.iter().filter_map(Value::plain_text).map(Into::into).collect()
}

fn read_vlan(table: Option<Table<'_>>, problems: &mut Problems) -> Option<VlanForms> {
    let table = table?;
    let forms = VlanForms {
        id: read_templates(&table, "id", &["vlan"], problems),
        name: read_templates(&table, "name", &["vlan"], problems),
        characters_max: read_max(&table, "name-characters-max", problems),
    };
    table.finish(problems);
    Some(forms)
}

fn read_voice(root: &Table<'_>, problems: &mut Problems) -> Option<Voice> {
    let table = root.table("voice", problems)?;
    let send = read_templates(&table, "send", &[], problems);
    let vlan = read_vlan(table.table("vlan", problems), problems);
    table.finish(problems);
    Some(Voice { send, vlan })
}

fn read_redirect(root: &Table<'_>, problems: &mut Problems) -> Option<RedirectForm> {
    let table = root.table("redirect", problems)?;
    let form = RedirectForm {
        send: read_templates(&table, "send", &["url"], problems),
        acl: read_templates(&table, "acl", &["acl"], problems),
        acl_required: table.boolean("acl-required", problems).unwrap_or(false),
    };
    table.finish(problems);
    Some(form)
}

fn read_form(root: &Table<'_>, key: &'static str, names: &[&str], problems: &mut Problems) -> Option<Form> {
    let table = root.table(key, problems)?;
    let form = Form {
        send: read_templates(&table, "send", names, problems),
        max: read_max(&table, "max", problems).and_then(|max| u32::try_from(max).ok()),
        characters_max: read_max(&table, "characters-max", problems),
        // Only of roles is there more than one meaning for an attribute.
        unless_acl: key == "role" && table.boolean("unless-acl", problems).unwrap_or(false),
    };
    if form.send.is_empty() {
        table.missing("send", "write the attributes, such as send = [\"Session-Timeout = {seconds}\"]", problems);
    }
    table.finish(problems);
    Some(form)
}

fn read_acl(root: &Table<'_>, problems: &mut Problems) -> AclForms {
    let Some(table) = root.table("acl", problems) else { return AclForms::default() };
    let mut forms = AclForms {
        default: None,
        name: read_acl_names(&table, problems),
        inline: read_acl_inline(&table, problems),
        download: read_acl_download(&table, problems),
        syntax: read_syntax::read(&table, problems),
    };
    forms.default = read_default_form(&table, &forms, problems);
    table.finish(problems);
    forms
}

fn read_default_form(table: &Table<'_>, forms: &AclForms, problems: &mut Problems) -> Option<AclForm> {
    let known = forms.known();
    let Some(value) = table.ask("form") else {
        table.missing("form", "write which form is used where a profile says none", problems);
        return None;
    };
    let text = value.text(problems)?;
    let found = known.iter().copied().find(|form| form.name() == text);
    if found.is_none() {
        let names: Vec<&str> = known.iter().map(|form| form.name()).collect();
        let message = format!("\"{text}\" is not described in this file; there are: {}", names.join(", "));
        value.error(problems, "unknown-word", message);
    }
    found
}

fn read_acl_names(acl: &Table<'_>, problems: &mut Problems) -> Option<NameForm> {
    let table = acl.table("name", problems)?;
    let form = NameForm {
        send: read_templates(&table, "send", &["acl"], problems),
        count_max: read_max(&table, "count-max", problems),
        characters_max: read_max(&table, "characters-max", problems),
    };
    table.finish(problems);
    Some(form)
}

fn read_acl_inline(acl: &Table<'_>, problems: &mut Problems) -> Option<InlineForm> {
    let table = acl.table("inline", problems)?;
    let names = ["rule", "rules", "number"];
    let form = InlineForm {
        ipv4: table.ask("ipv4").and_then(|value| read_template(&value, &names, problems)),
        ipv6: table.ask("ipv6").and_then(|value| read_template(&value, &names, problems)),
        with_ipv6: read_templates(&table, "with-ipv6", &[], problems),
        first_number: read_first_number(&table, problems),
        rules_max: read_max(&table, "rules-max", problems),
        characters_max: read_max(&table, "rule-characters-max", problems),
        conditions_max: read_max(&table, "conditions-max", problems),
        // RFC 4849 section 2 puts NUL between rules.
        separator: table.text("separator", problems).unwrap_or("\0").into(),
        last_rule: table.text("last-rule", problems).map(Into::into),
    };
    table.finish(problems);
    Some(form)
}

fn read_acl_download(acl: &Table<'_>, problems: &mut Problems) -> Option<DownloadForm> {
    let table = acl.table("download", problems)?;
    let form = DownloadForm {
        ipv4: read_download(table.table("ipv4", problems), problems),
        ipv6: read_download(table.table("ipv6", problems), problems),
        first_number: read_first_number(&table, problems),
    };
    table.finish(problems);
    Some(form)
}

fn read_download(table: Option<Table<'_>>, problems: &mut Problems) -> Option<DownloadTemplates> {
    let table = table?;
    let name = table.ask("name").and_then(|value| read_text_template(&value, &["acl", "hash"], problems));
    let send = read_templates(&table, "send", &["name"], problems);
    let rule = table.ask("rule").and_then(|value| read_template(&value, &["rule", "number"], problems));
    for (key, is_there) in [("name", name.is_some()), ("send", !send.is_empty()), ("rule", rule.is_some())] {
        if !is_there
            && table
                .ask(if key == "name" {
                    "name"
                } else if key == "send" {
                    "send"
                } else {
                    "rule"
                })
                .is_none()
        {
            table.missing(key, "a download needs name, send and rule", problems);
        }
    }
    table.finish(problems);
    Some(DownloadTemplates { name: name?, send, rule: rule? })
}

fn read_first_number(table: &Table<'_>, problems: &mut Problems) -> u32 {
    let number = table.integer("first-number", 0, 1_000_000, problems);
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(1)
}

fn read_max(table: &Table<'_>, key: &'static str, problems: &mut Problems) -> Option<usize> {
    let max = table.integer(key, 1, u32::MAX.into(), problems)?;
    usize::try_from(max).ok()
}

fn read_conflicts(root: &Table<'_>, problems: &mut Problems) -> Vec<Conflict> {
    let side = |value: Option<&str>| {
        let (name, prefix) = value?.split_once('=').map_or((value?, ""), |(name, prefix)| (name.trim(), prefix.trim()));
        Some((name.into(), prefix.into()))
    };
    let mut conflicts = Vec::new();
    for table in root.tables("conflict", problems) {
        let (one, other) = (side(table.text("one", problems)), side(table.text("other", problems)));
        let why = table.text("why", problems);
        table.finish(problems);
        match (one, other, why) {
            (Some(one), Some(other), Some(why)) => conflicts.push(Conflict { one, other, why: why.into() }),
            _ => table.missing("why", "a conflict needs one, other and why", problems),
        }
    }
    conflicts
}

fn read_coa(root: &Table<'_>, problems: &mut Problems) -> Option<Coa> {
    let table = root.table("coa", problems)?;
    let port = table.integer("port", 1, u16::MAX.into(), problems).and_then(|port| u16::try_from(port).ok());
    let identify = table.texts("identify", problems).unwrap_or_default();
    let coa = Coa {
        port: port.unwrap_or(COA_PORT),
        identify: identify.iter().filter_map(Value::plain_text).map(Into::into).collect(),
        event_timestamp: table.boolean("event-timestamp", problems).unwrap_or(false),
        reauthenticate: read_coa_command(&table, "reauthenticate", problems),
        bounce: read_coa_command(&table, "bounce", problems),
        disconnect: read_coa_command(&table, "disconnect", problems),
    };
    table.finish(problems);
    Some(coa)
}

fn read_coa_command(coa: &Table<'_>, key: &'static str, problems: &mut Problems) -> Option<CoaCommand> {
    let table = coa.table(key, problems)?;
    let code = table.ask("code")?;
    let is_disconnect = match code.text(problems)? {
        "disconnect" => true,
        "coa" => false,
        other => {
            code.error(problems, "unknown-word", format!("\"{other}\" is no request; write \"coa\" or \"disconnect\""));
            return None;
        }
    };
    let send = read_templates(&table, "send", &[], problems);
    table.finish(problems);
    Some(CoaCommand { is_disconnect, send })
}
