//! Writes settings by a vendor's templates, and reports those that it can't express.
//!
//! Owns filling templates. Which setting is written when is the matter of `render` and `render_acl`.

use super::{
    build::{Build, Content, report_once},
    summary::Summary,
};
use crate::{
    policy::{
        profile::{Profile, Setting},
        template::Piece,
        vendor::{AttributeTemplate, NumberFormat, Tag, Vendor},
    },
    problem::{Place, Problems},
};

/// The code of a problem that the check of a vendor's table tells too.
pub const VENDOR_ATTRIBUTE: &str = "unknown-vendor-attribute";

/// A plan in the making.
pub(super) struct Render<'r> {
    pub(super) profile: &'r Profile,
    pub(super) vendor: &'r Vendor,
    pub(super) build: Build<'r>,
    pub(super) summary: Summary,
    pub(super) problems: &'r mut Problems,
}

impl Render<'_> {
    /// Reports that the vendor can't express something, unless the profile says that it may be left out.
    pub(super) fn inexpressible(&mut self, setting: Setting, place: &Place, what: &str, advice: &str) {
        if self.profile.optional.contains(&setting) {
            return;
        }
        let message = format!("profile \"{}\", vendor \"{}\": {what}; {advice}", self.profile.name, self.vendor.name);
        self.problems.error("vendor-inexpressible", Some(place.clone()), message);
    }

    /// Reports that the vendor has nothing at all for the setting.
    pub(super) fn no_way(&mut self, setting: Setting, place: &Place) {
        let name = setting.name();
        let what = format!("there is no way to express \"{name}\"");
        let advice = format!(
            "leave it out, or add optional = [\"{name}\"] to the profile to leave it out where it can't be sent"
        );
        self.inexpressible(setting, place, &what, &advice);
    }

    /// Adds the attributes of templates; false if one of them was refused.
    pub(super) fn send(
        &mut self,
        templates: &[AttributeTemplate],
        place: &Place,
        fill: impl Fn(&str) -> Option<Filling>,
    ) -> bool {
        let tag = self.profile.vlan_tag.as_ref().map_or(0, |tag| tag.value);
        for template in templates {
            let attribute = match self.build.attribute(&template.name, self.problems) {
                Ok(attribute) => attribute,
                Err(message) => {
                    report_once(self.problems, VENDOR_ATTRIBUTE, Some(&template.place), message);
                    return false;
                }
            };
            let tag = match template.tag {
                Tag::None => 0,
                Tag::OfProfile => tag,
                Tag::Fixed(tag) => tag,
            };
            let (content, escaped) = fill_template(template, &fill);
            if let Err(message) = self.build.push(&attribute, tag, &content, escaped) {
                let message = format!("profile \"{}\", vendor \"{}\": {message}", self.profile.name, self.vendor.name);
                self.problems.error("bad-value", Some(place.clone()), message);
                return false;
            }
        }
        true
    }
}

/// What is put into a place of a vendor's template.
#[derive(Clone, Debug)]
pub(super) enum Filling {
    Number(u32),
    Content(Content),
}

impl Filling {
    pub(super) fn text(text: &str) -> Self {
        Self::Content(Content::constant(text))
    }
}

/// The value of a template, and whether facts in it are escaped because it is an address.
fn fill_template(template: &AttributeTemplate, fill: &impl Fn(&str) -> Option<Filling>) -> (Content, bool) {
    let mut content = Content::default();
    let mut escaped = false;
    for piece in template.value.pieces() {
        match piece {
            Piece::Text(text) => content.push_text(text),
            Piece::Reference(reference) => {
                let (name, format) = reference.name.split_once(':').unwrap_or((&reference.name, ""));
                escaped |= name == "url";
                match fill(name) {
                    Some(Filling::Number(number)) => {
                        let written = NumberFormat::parse(format)
                            .map_or_else(|| number.to_string(), |format| format.write(number));
                        content.push_text(&written);
                    }
                    Some(Filling::Content(filling)) => content.append(&filling),
                    None => {}
                }
            }
        }
    }
    (content, escaped)
}
