//! Makes the plan for one profile and one vendor.
//!
//! Owns the order of settings, and what is said about those that a vendor can't express. ACLs are in `render_acl`.

use super::{
    build::{Build, Content, is_reply_message, report_once, reserved},
    express::{Filling, Render},
    plan::{FactNames, ReplyPlan},
    render_acl,
    summary::{Summary, SummaryVlan},
};
use crate::{
    dictionary::Dictionary,
    limits,
    policy::{
        acl::Acls,
        decision::Access,
        profile::{AttributeSetting, AttributeValue, Placed, Profile, Redirect, Setting, Vlan},
        vendor::{Form, Vendor, VlanForms},
    },
    problem::{Place, Problem, Problems},
};

/// What plans are made with, besides the profile and the vendor.
pub struct Materials<'a> {
    /// The names of attributes.
    pub dictionary: &'a Dictionary,
    /// The ACLs of the policy folder.
    pub acls: &'a Acls,
    /// The names of facts.
    pub facts: &'a mut dyn FactNames,
}

/// Makes the plan for the clients of `vendor`.
///
/// Nothing if anything in the profile can't be sent to them; it is reported where it stands.
pub fn render(
    profile: &Profile,
    vendor: &Vendor,
    materials: &mut Materials<'_>,
    problems: &mut Problems,
) -> Option<ReplyPlan> {
    let access = profile.access.as_ref().map_or(Access::Reject, |access| access.value);
    let mut found = Problems::new();
    let build = Build::new(materials.dictionary);
    let mut render = Render { profile, vendor, build, summary: Summary::default(), problems: &mut found };
    let mut downloads = Vec::new();
    match access {
        Access::Accept => {
            render.vlans();
            downloads = render_acl::render(&mut render, materials.acls);
            render.redirect(materials.facts);
            render.plain_settings();
            render.attributes(access, materials.facts);
            render.warn_about_second_vlan();
            render.conflicts();
        }
        Access::Reject => {
            render.warn_about_unused("a reject carries only Reply-Message", Setting::ALL.as_slice());
            render.attributes(access, materials.facts);
        }
        Access::Ignore => {
            render.warn_about_unused("without an answer nothing is sent", Setting::ALL.as_slice());
            render.attributes(access, materials.facts);
        }
    }
    let octets_max = render.check_size();
    let Render { build, summary, problems: found, .. } = render;
    let plan = (!found.has_errors()).then(|| ReplyPlan {
        access,
        fixed: build.fixed.into(),
        inserts: build.inserts.into(),
        octets_max,
        summary,
        lines: build.lines.into(),
        downloads: downloads.into(),
    });
    for problem in found.iter() {
        if !problems.iter().any(|known| is_same(known, problem)) {
            problems.push(problem.clone());
        }
    }
    plan
}

/// Whether both say the same of one place and one vendor: a profile is merged into several results, and each of them has a
/// name of its own.
fn is_same(one: &Problem, other: &Problem) -> bool {
    const AFTER_PROFILE: &str = "\", vendor \"";
    let told = |problem: &Problem| {
        let behind = problem.message.split_once(AFTER_PROFILE).map(|(_, told)| told.to_owned());
        behind.filter(|_| problem.place.as_ref().is_some_and(|place| place.line > 0))
    };
    one.code == other.code
        && one.place == other.place
        && (one.message == other.message || told(one).is_some_and(|told_of_one| Some(told_of_one) == told(other)))
}

impl Render<'_> {
    fn vlans(&mut self) {
        let (profile, vendor) = (self.profile, self.vendor);
        let voice = profile.voice.as_ref().filter(|voice| voice.value);
        if let Some(vlan) = &profile.vlan {
            let of_voice = vendor.voice.as_ref().filter(|_| voice.is_some()).and_then(|voice| voice.vlan.as_ref());
            if self.vlan(Setting::Vlan, vlan, of_voice.or(vendor.vlan.as_ref())) {
                self.summary.vlan = Some((&vlan.value).into());
            }
        }
        for vlan in &profile.tagged_vlans.values {
            if self.vlan(Setting::TaggedVlans, vlan, vendor.tagged_vlans.as_ref()) {
                self.summary.tagged_vlans.push(SummaryVlan::from(&vlan.value));
            }
        }
        if let Some(voice) = voice {
            match &vendor.voice {
                None => self.no_way(Setting::Voice, &voice.place),
                Some(form) => {
                    if form.send.is_empty() && profile.vlan.is_none() {
                        let advice = "write the voice VLAN, vlan = NUMBER";
                        self.inexpressible(Setting::Voice, &voice.place, "\"voice\" needs a VLAN", advice);
                    }
                    self.summary.voice = self.send(&form.send, &voice.place, |_| None);
                }
            }
        }
    }

    fn vlan(&mut self, setting: Setting, vlan: &Placed<Vlan>, forms: Option<&VlanForms>) -> bool {
        let Some(forms) = forms else {
            self.no_way(setting, &vlan.place);
            return false;
        };
        let (templates, kind, other) = match &vlan.value {
            Vlan::Id(_) => (&forms.id, "number", "name"),
            Vlan::Name(_) => (&forms.name, "name", "number"),
        };
        if templates.is_empty() {
            let what = format!("VLANs can't be sent by {kind}");
            self.inexpressible(setting, &vlan.place, &what, &format!("write the VLAN's {other}"));
            return false;
        }
        if let (Vlan::Name(name), Some(max)) = (&vlan.value, forms.characters_max)
            && name.chars().count() > max
        {
            let what = format!("names of VLANs have at most {max} characters");
            self.inexpressible(setting, &vlan.place, &what, "shorten it there and here, or write the number");
            return false;
        }
        let filling = match &vlan.value {
            Vlan::Id(id) => Filling::Number((*id).into()),
            Vlan::Name(name) => Filling::text(name),
        };
        self.send(templates, &vlan.place, |_| Some(filling.clone()))
    }

    fn redirect(&mut self, facts: &mut dyn FactNames) {
        let Some(Placed { value: Redirect { url, acl }, place }) = &self.profile.redirect else { return };
        let Some(form) = &self.vendor.redirect else {
            self.no_way(Setting::Redirect, place);
            return;
        };
        match acl {
            Some(acl) if form.acl.is_empty() => {
                let message = format!("vendor \"{}\" has no ACL for redirections; it is not sent", self.vendor.name);
                self.problems.hint("setting-unused", Some(acl.place.clone()), message);
            }
            None if form.acl_required => {
                let advice = "write redirect = { url = \"…\", acl = \"NAME\" }; the ACL stands on the client";
                self.inexpressible(
                    Setting::Redirect,
                    place,
                    "a redirection needs an ACL that says what is redirected",
                    advice,
                );
                return;
            }
            _ => {}
        }
        let Some(content) = Content::of_facts(&url.value, facts, self.problems) else { return };
        let filling = Filling::Content(content);
        let url_sent = self.send(&form.send, &url.place, |_| Some(filling.clone()));
        let acl_sent = match acl {
            Some(acl) => self.send(&form.acl, &acl.place, |_| Some(Filling::text(&acl.value))),
            None => true,
        };
        if url_sent && acl_sent {
            self.summary.redirect = Some(url.value.template.to_string().into());
        }
    }

    fn plain_settings(&mut self) {
        let (profile, vendor) = (self.profile, self.vendor);
        if let Some(sgt) = &profile.sgt
            && self.number(Setting::Sgt, vendor.sgt.as_ref(), sgt.value.into(), &sgt.place)
        {
            self.summary.sgt = Some(sgt.value);
        }
        if let Some(role) = &profile.role
            && self.role(vendor.role.as_ref(), role)
        {
            self.summary.role = Some(role.value.clone());
        }
        if let Some(seconds) = &profile.session_timeout
            && self.number(Setting::SessionTimeout, vendor.session_timeout.as_ref(), seconds.value, &seconds.place)
        {
            self.summary.session_timeout = Some(seconds.value);
        }
        if let Some(seconds) = &profile.idle_timeout
            && self.number(Setting::IdleTimeout, vendor.idle_timeout.as_ref(), seconds.value, &seconds.place)
        {
            self.summary.idle_timeout = Some(seconds.value);
        }
        if let Some(again) = profile.reauthenticate.as_ref().filter(|again| again.value) {
            match &vendor.reauthenticate {
                None => self.no_way(Setting::Reauthenticate, &again.place),
                Some(form) => self.summary.reauthenticate = self.send(&form.send, &again.place, |_| None),
            }
        }
    }

    fn number(&mut self, setting: Setting, form: Option<&Form>, number: u32, place: &Place) -> bool {
        let Some(form) = form else {
            self.no_way(setting, place);
            return false;
        };
        if let Some(max) = form.max.filter(|max| number > *max) {
            let what = format!("\"{}\" can be at most {max}", setting.name());
            self.inexpressible(setting, place, &what, "write a smaller value");
            return false;
        }
        self.send(&form.send, place, |_| Some(Filling::Number(number)))
    }

    fn role(&mut self, form: Option<&Form>, role: &Placed<Box<str>>) -> bool {
        let Some(form) = form else {
            self.no_way(Setting::Role, &role.place);
            return false;
        };
        if let Some(max) = form.characters_max.filter(|max| role.value.chars().count() > *max) {
            let what = format!("names of roles have at most {max} characters");
            self.inexpressible(Setting::Role, &role.place, &what, "shorten it there and here");
            return false;
        }
        if form.unless_acl && !self.summary.acl.is_empty() {
            let message = format!(
                "vendor \"{}\" takes a role and an ACL in the same place, so beside the ACL the role is not sent",
                self.vendor.name
            );
            self.problems.hint("setting-unused", Some(role.place.clone()), message);
            return false;
        }
        self.send(&form.send, &role.place, |_| Some(Filling::text(&role.value)))
    }

    fn attributes(&mut self, access: Access, facts: &mut dyn FactNames) {
        for setting in &self.profile.attributes {
            self.attribute(setting, access, facts);
        }
    }

    fn attribute(&mut self, setting: &AttributeSetting, access: Access, facts: &mut dyn FactNames) {
        let place = Some(&setting.place);
        let (name, tag) = match setting.name.split_once(':') {
            None => (&*setting.name, 0),
            Some((name, tag)) => match tag.parse() {
                Ok(tag @ 0..=31) => (name, tag),
                _ => {
                    let message = format!("\"{tag}\" is no tag; write a number from 1 to 31 behind the colon");
                    return report_once(self.problems, "bad-tag", place, message);
                }
            },
        };
        let attribute = match self.build.attribute(name, self.problems) {
            Ok(attribute) => attribute,
            Err(message) => return report_once(self.problems, "unknown-attribute", place, message),
        };
        if let Some(why) = reserved(&attribute) {
            let message = format!("{} can't be set by a profile: {why}; leave it out", attribute.name());
            return report_once(self.problems, "attribute-reserved", place, message);
        }
        if access == Access::Ignore || (access == Access::Reject && !is_reply_message(&attribute)) {
            let why = if access == Access::Ignore {
                "without an answer nothing is sent"
            } else {
                "a reject carries only Reply-Message"
            };
            self.problems.warning("setting-unused", place.cloned(), format!("{why}; leave it out"));
            return;
        }
        for value in &setting.values.values {
            let content = match &value.value {
                AttributeValue::Integer(number) => Some(Content::constant(number.to_string())),
                AttributeValue::Text(text) => Content::of_facts(text, facts, self.problems),
            };
            let Some(content) = content else { continue };
            if let Err(message) = self.build.push(&attribute, tag, &content, false) {
                report_once(self.problems, "bad-value", Some(&value.place), message);
            }
        }
    }

    /// A VLAN is sent by its setting; of a second one nobody knows which of them a client takes.
    fn warn_about_second_vlan(&mut self) {
        const NAME: &str = "Tunnel-Private-Group-Id";
        if self.profile.vlan.is_none() {
            return;
        }
        let is_vlan = |setting: &&AttributeSetting| {
            setting.name.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case(NAME))
        };
        for setting in self.profile.attributes.iter().filter(is_vlan) {
            let message = format!("\"vlan\" sends {NAME} too, so there would be two VLANs; leave one of them out");
            self.problems.warning("second-vlan", Some(setting.place.clone()), message);
        }
    }

    fn conflicts(&mut self) {
        for conflict in &self.vendor.conflicts {
            let has = |side: &(Box<str>, Box<str>)| {
                self.build.lines.iter().any(|line| {
                    line.attribute.eq_ignore_ascii_case(&side.0)
                        && line.value.trim_start_matches('"').starts_with(&*side.1)
                })
            };
            if has(&conflict.one) && has(&conflict.other) {
                let side = |side: &(Box<str>, Box<str>)| format!("{} {}", side.0, side.1).trim_end().to_owned();
                let message = format!(
                    "profile \"{}\", vendor \"{}\": {} and {} can't stand together: {}; leave one of them out",
                    self.profile.name,
                    self.vendor.name,
                    side(&conflict.one),
                    side(&conflict.other),
                    conflict.why
                );
                self.problems.error("vendor-conflict", self.profile.place.clone(), message);
            }
        }
    }

    fn warn_about_unused(&mut self, why: &str, settings: &[Setting]) {
        for setting in settings {
            if let Some(place) = place_of(self.profile, *setting) {
                let message = format!("\"{}\" is not sent: {why}; leave it out", setting.name());
                self.problems.warning("setting-unused", Some(place.clone()), message);
            }
        }
    }

    /// The octets of the reply at most; too many are reported.
    fn check_size(&mut self) -> usize {
        let octets = self.build.fixed.len() + self.build.inserts_max;
        let room = limits::PACKET_OCTETS_MAX - limits::HEADER_OCTETS - limits::REPLY_OCTETS_RESERVED;
        if octets > room {
            let advice = if self.vendor.acl.download.is_some() {
                "write acl-form = \"download\", or shorten the ACL"
            } else {
                "shorten the ACL"
            };
            let message = format!(
                "profile \"{}\", vendor \"{}\": the reply takes up to {octets} octets, and {room} are free in a packet; {advice}",
                self.profile.name, self.vendor.name
            );
            self.problems.error("reply-too-long", self.profile.place.clone(), message);
        }
        octets
    }
}

fn place_of(profile: &Profile, setting: Setting) -> Option<&Place> {
    match setting {
        Setting::Vlan => profile.vlan.as_ref().map(|setting| &setting.place),
        Setting::TaggedVlans => profile.tagged_vlans.values.first().map(|setting| &setting.place),
        Setting::Voice => profile.voice.as_ref().filter(|voice| voice.value).map(|setting| &setting.place),
        Setting::Acl => profile.acls.values.first().map(|setting| &setting.place),
        Setting::Redirect => profile.redirect.as_ref().map(|setting| &setting.place),
        Setting::SessionTimeout => profile.session_timeout.as_ref().map(|setting| &setting.place),
        Setting::IdleTimeout => profile.idle_timeout.as_ref().map(|setting| &setting.place),
        Setting::Reauthenticate => {
            profile.reauthenticate.as_ref().filter(|again| again.value).map(|setting| &setting.place)
        }
        Setting::Sgt => profile.sgt.as_ref().map(|setting| &setting.place),
        Setting::Role => profile.role.as_ref().map(|setting| &setting.place),
    }
}
