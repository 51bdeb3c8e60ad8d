//! The ACLs of a plan, in the form that the vendor or the profile chooses.
//!
//! Owns names, inline rules and downloads. The text of a rule was checked when the ACL was read.

use std::sync::Arc;

use super::{
    build::report_once,
    express::{Filling, Render},
};
use crate::{
    policy::{
        acl::{Acl, Acls, Download, Family, Rule, download::content_hash},
        profile::{AclForm, Placed, Setting},
        vendor::{AttributeTemplate, DownloadForm, InlineForm, Line, NameForm},
    },
    problem::Place,
};

/// Adds the ACLs of the profile. The result: what the client will fetch.
pub(super) fn render(render: &mut Render<'_>, acls: &Acls) -> Vec<Arc<Download>> {
    let (profile, vendor) = (render.profile, render.vendor);
    let Some(first) = profile.acls.values.first() else { return Vec::new() };
    let Some(default) = vendor.acl.default else {
        let advice = "leave it out, or add optional = [\"acl\"] to the profile to leave it out where it can't be sent";
        render.inexpressible(Setting::Acl, &first.place, "there is no way to express \"acl\"", advice);
        return Vec::new();
    };
    let form = profile.acl_form.as_ref().map_or(default, |form| form.value);
    let problems_before = render.problems.iter().count();
    let lines_before = render.build.lines.len();
    let mut downloads = Vec::new();
    let acl = &vendor.acl;
    match (form, &acl.name, &acl.inline, &acl.download) {
        (AclForm::Name, Some(form), ..) => by_name(render, form),
        (AclForm::Inline, _, Some(form), _) => inline(render, form, acls),
        (AclForm::Download, .., Some(form)) => downloads = by_download(render, form, acls),
        _ => {
            let known: Vec<&str> = acl.known().into_iter().map(AclForm::name).collect();
            let place = profile.acl_form.as_ref().map_or(&first.place, |form| &form.place);
            let what = format!("ACLs can't be sent in the form \"{}\"", form.name());
            render.inexpressible(Setting::Acl, place, &what, &format!("there are: {}", known.join(", ")));
            return Vec::new();
        }
    }
    // One that is optional may have been left out without a word.
    if render.problems.iter().count() == problems_before && render.build.lines.len() > lines_before {
        render.summary.acl = profile.acls.values.iter().map(|acl| acl.value.clone()).collect();
    }
    downloads
}

fn by_name(render: &mut Render<'_>, form: &NameForm) {
    let profile = render.profile;
    for (index, acl) in profile.acls.values.iter().enumerate() {
        if form.count_max.is_some_and(|max| index >= max) {
            let what = format!("a reply can name at most {index} ACL");
            render.inexpressible(Setting::Acl, &acl.place, &what, "name one of them only");
            return;
        }
        if let Some(max) = form.characters_max.filter(|max| acl.value.chars().count() > *max) {
            let what = format!("names of ACLs have at most {max} characters");
            render.inexpressible(Setting::Acl, &acl.place, &what, "shorten it there and here");
            return;
        }
        render.send(&form.send, &acl.place, |_| Some(Filling::text(&acl.value)));
    }
}

/// The ACL of this name; an unknown one is reported.
fn find<'a>(render: &mut Render<'_>, name: &Placed<Box<str>>, acls: &'a Acls) -> Option<&'a Arc<Acl>> {
    let found = acls.find(&name.value);
    if found.is_none() {
        let near = render.problems.suggest(&name.value, acls.names());
        let advice = if near.is_empty() {
            format!("; write [acl.{}], or acl-form = \"name\" if it stands on the client", name.value)
        } else {
            near
        };
        let message = format!("unknown ACL \"{}\"{advice}", name.value);
        report_once(render.problems, "unknown-acl", Some(&name.place), message);
    }
    found
}

fn inline(render: &mut Render<'_>, form: &InlineForm, acls: &Acls) {
    let mut found = Vec::new();
    for name in &render.profile.acls.values {
        found.extend(find(render, name, acls).map(|acl| (acl, &name.place)));
    }
    // All or nothing: an ACL with a rule missing in its middle may let pass what it should not.
    let mut families = Vec::new();
    for family in Family::ALL {
        let Some(lines) = lines_of_family(render, form, family, &found) else { return };
        families.push((family, lines));
    }
    let count: usize = families.iter().map(|(_, lines)| lines.len()).sum();
    let Some((_, place)) = found.first() else { return };
    if let Some(max) = form.rules_max.filter(|max| count > *max) {
        let what = format!("{count} rules are more than the {max} that a client takes");
        return render.inexpressible(Setting::Acl, place, &what, "shorten the ACL");
    }
    let conditions: usize = families.iter().flat_map(|(_, lines)| lines).map(|(line, _)| line.conditions).sum();
    if let Some(max) = form.conditions_max.filter(|max| conditions > *max) {
        let what = format!("{conditions} conditions in the rules are more than the {max} that a client takes");
        return render.inexpressible(Setting::Acl, place, &what, "shorten the ACL");
    }
    if families.iter().any(|(family, lines)| *family == Family::Ipv6 && !lines.is_empty()) {
        render.send(&form.with_ipv6, place, |_| None);
    }
    for (template, lines) in by_template(form, families) {
        send_rules(render, template, form, &lines);
    }
}

/// The rules with the attributes that take them: one text of all, where both families go into one such text.
fn by_template(form: &InlineForm, families: Vec<(Family, Lines)>) -> Vec<(&AttributeTemplate, Lines)> {
    let mut sends: Vec<(&AttributeTemplate, Lines)> = Vec::new();
    for (family, lines) in families.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        let Some(template) = form.rule(family) else { continue };
        match sends.last_mut() {
            Some((before, all)) if is_one_text(template) && before.name == template.name => all.extend(lines),
            _ => sends.push((template, lines)),
        }
    }
    sends
}

/// Rules with their places.
type Lines = Vec<(Line, Place)>;

fn is_one_text(template: &AttributeTemplate) -> bool {
    template.value.references().any(|reference| &*reference.name == "rules")
}

/// All rules of a family in the vendor's words, each with its place; none if one of them can't be expressed.
fn lines_of_family(
    render: &mut Render<'_>,
    form: &InlineForm,
    family: Family,
    acls: &[(&Arc<Acl>, &Place)],
) -> Option<Lines> {
    let mut lines = Vec::new();
    let mut all_expressed = true;
    let rules = || acls.iter().flat_map(|(acl, _)| acl.rules(family));
    for rule in rules() {
        if form.rule(family).is_none() {
            let what = format!("{} rules can't be sent", family.title());
            let advice = "leave them out, or use another ACL for these clients";
            render.inexpressible(Setting::Acl, &rule.place, &what, advice);
            return None;
        }
        match lines_of(render, rule, form, family) {
            Some(expressed) => lines.extend(expressed.into_iter().map(|line| (line, rule.place.clone()))),
            None => all_expressed = false,
        }
    }
    // Cisco's switches drop what no rule is about, and an ACL is written with that in mind.
    if let (Some(last), Some(words)) = (rules().last(), &form.last_rule)
        && !last.matches_all()
    {
        lines.push((Line { text: words.to_string(), conditions: 1 }, last.place.clone()));
    }
    all_expressed.then_some(lines)
}

/// The rule in the vendor's words; none if it can't be expressed, which is reported.
fn lines_of(render: &mut Render<'_>, rule: &Rule, form: &InlineForm, family: Family) -> Option<Vec<Line>> {
    let lines = match &render.vendor.acl.syntax {
        None => vec![Line { text: rule.text.to_string(), conditions: 1 }],
        Some(syntax) => match syntax.write(rule, family) {
            Ok(lines) => lines,
            Err(inexpressible) => {
                let (what, advice) = inexpressible.words();
                render.inexpressible(Setting::Acl, &rule.place, &format!("rules can't have {what}"), advice);
                return None;
            }
        },
    };
    if let Some(max) = form.characters_max
        && let Some(line) = lines.iter().find(|line| line.text.chars().count() > max)
    {
        let what = format!("\"{}\" is longer than the {max} characters that a rule can have", line.text);
        render.inexpressible(Setting::Acl, &rule.place, &what, "make the rule simpler");
        return None;
    }
    Some(lines)
}

fn send_rules(render: &mut Render<'_>, template: &AttributeTemplate, form: &InlineForm, rules: &[(Line, Place)]) {
    let Some((_, place)) = rules.first() else { return };
    if is_one_text(template) {
        let lines: Vec<&str> = rules.iter().map(|(line, _)| line.text.as_str()).collect();
        let sent = render
            .build
            .attribute(&template.name, render.problems)
            .and_then(|attribute| render.build.push_long(&attribute, &lines.join(&form.separator)));
        if let Err(message) = sent {
            let message = format!("profile \"{}\", vendor \"{}\": {message}", render.profile.name, render.vendor.name);
            render.problems.error("bad-value", Some(place.clone()), message);
        }
        return;
    }
    for ((line, place), number) in rules.iter().zip(form.first_number..) {
        let sent = render.send(std::slice::from_ref(template), place, |name| {
            Some(if name == "number" { Filling::Number(number) } else { Filling::text(&line.text) })
        });
        if !sent {
            return;
        }
    }
}

fn by_download(render: &mut Render<'_>, form: &DownloadForm, acls: &Acls) -> Vec<Arc<Download>> {
    let mut downloads = Vec::new();
    let mut names = render.profile.acls.values.iter();
    let Some(name) = names.next() else { return downloads };
    if let Some(second) = names.next() {
        render.inexpressible(
            Setting::Acl,
            &second.place,
            "only one ACL can be downloaded",
            "put the rules into one ACL",
        );
        return downloads;
    }
    let Some(acl) = find(render, name, acls) else { return downloads };
    // All or nothing, as above.
    for family in Family::ALL {
        if let (Some(rule), None) = (acl.rules(family).first(), form.templates(family)) {
            let what = format!("{} rules can't be downloaded", family.title());
            render.inexpressible(Setting::Acl, &rule.place, &what, "leave them out");
            return downloads;
        }
    }
    for family in Family::ALL {
        let rules = acl.rules(family);
        let (false, Some(templates)) = (rules.is_empty(), form.templates(family)) else { continue };
        let hash = content_hash(family, rules);
        let mut full_name = String::new();
        let written = templates.name.write(&mut full_name, |key, out| {
            out.push_str(if key == "hash" { &hash } else { &acl.name });
            Ok(())
        });
        debug_assert!(written.is_ok(), "a string takes everything");
        render.send(&templates.send, &name.place, |_| Some(Filling::text(&full_name)));
        let Some((octets, ends)) = encode_rules(render, &templates.rule, rules, form.first_number) else { continue };
        downloads.push(Arc::new(Download::new(full_name, Arc::clone(&acl.name), family, octets, ends)));
    }
    downloads
}

/// The attributes of a download, and where each of them ends.
fn encode_rules(
    render: &mut Render<'_>,
    template: &AttributeTemplate,
    rules: &[Rule],
    first_number: u32,
) -> Option<(Vec<u8>, Vec<usize>)> {
    let mut ends = Vec::new();
    // A download is a reply of its own: what was collected for the plan is put aside meanwhile.
    let fixed = std::mem::take(&mut render.build.fixed);
    let lines = std::mem::take(&mut render.build.lines);
    let all_sent = rules.iter().zip(first_number..).all(|(rule, number)| {
        let sent = render.send(std::slice::from_ref(template), &rule.place, |name| {
            Some(if name == "number" { Filling::Number(number) } else { Filling::text(&rule.text) })
        });
        ends.push(render.build.fixed.len());
        sent
    });
    let octets = std::mem::replace(&mut render.build.fixed, fixed);
    render.build.lines = lines;
    all_sent.then_some((octets, ends))
}
