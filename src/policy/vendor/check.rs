//! Checks a vendor table against the dictionary, whether or not a profile uses it.
//!
//! Owns names and tags of attributes. Values are checked when a plan is made, because only then they are whole.

use super::table::{AttributeTemplate, Tag, Vendor, VlanForms};
use crate::{dictionary::Dictionary, problem::Problems};

impl Vendor {
    /// Reports attributes that the dictionary does not know, and tags on attributes that have none.
    pub fn check(&self, dictionary: &Dictionary, problems: &mut Problems) {
        for template in self.templates() {
            let place = Some(template.place.clone());
            match dictionary.resolve(&template.name) {
                None => {
                    let near = if problems.may_suggest() { dictionary.nearest(&template.name) } else { None };
                    let advice = near.map_or_else(
                        || "; look it up in dictionaries/, or add it there".to_owned(),
                        |near| format!("; did you mean \"{near}\"?"),
                    );
                    let message = format!("unknown attribute \"{}\"{advice}", template.name);
                    problems.error("unknown-attribute", place, message);
                }
                Some(attribute) if template.tag != Tag::None && !attribute.flags().tagged => {
                    let message = format!("{} has no tag; write its name without the colon", attribute.name());
                    problems.error("bad-tag", place, message);
                }
                Some(_) => {}
            }
        }
    }

    /// Every attribute that the table can send.
    fn templates(&self) -> Vec<&AttributeTemplate> {
        let voice_vlan = self.voice.iter().filter_map(|voice| voice.vlan.as_ref());
        let vlans = self.vlan.iter().chain(&self.tagged_vlans).chain(voice_vlan);
        let of_vlans = vlans.flat_map(VlanForms::templates);
        let forms = [&self.sgt, &self.role, &self.session_timeout, &self.idle_timeout, &self.reauthenticate];
        let of_forms = forms.into_iter().flatten().flat_map(|form| &form.send);
        let of_voice = self.voice.iter().flat_map(|voice| &voice.send);
        let of_redirect = self.redirect.iter().flat_map(|form| form.send.iter().chain(&form.acl));
        let names = self.acl.name.iter().flat_map(|form| &form.send);
        let inline = self.acl.inline.iter().flat_map(|form| form.ipv4.iter().chain(&form.ipv6).chain(&form.with_ipv6));
        let downloads = self.acl.download.iter().flat_map(|form| form.ipv4.iter().chain(&form.ipv6));
        let of_downloads = downloads.flat_map(|templates| templates.send.iter().chain([&templates.rule]));
        let commands = self.coa.iter().flat_map(|coa| [&coa.reauthenticate, &coa.bounce, &coa.disconnect]);
        let of_coa = commands.flatten().flat_map(|command| &command.send);
        of_vlans
            .chain(of_forms)
            .chain(of_voice)
            .chain(of_redirect)
            .chain(names)
            .chain(inline)
            .chain(of_downloads)
            .chain(of_coa)
            .collect()
    }
}

impl VlanForms {
    fn templates(&self) -> impl Iterator<Item = &AttributeTemplate> {
        self.id.iter().chain(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use crate::{dictionary::Dictionary, document::Source, policy::vendor::Vendors, problem::Problems};

    #[test]
    fn every_attribute_of_the_compiled_in_tables_is_in_the_dictionary() {
        let mut problems = Problems::new();
        for vendor in Vendors::builtin().iter() {
            vendor.check(Dictionary::builtin(), &mut problems);
        }
        assert!(problems.is_empty(), "{:?}", problems.sorted());
    }

    #[test]
    fn a_misspelt_attribute_of_an_operators_table_is_found_though_unused() {
        let mut vendors = Vendors::builtin();
        let text = "version = 1\nname = \"acme\"\ntitle = \"x\"\nsources = [\"a lab\"]\n[voice]\nsend = [\"Cisco-AVPare = x\"]\n[sgt]\nsend = [\"Filter-Id:{tag} = {sgt}\"]\n[coa]\ndisconnect = { code = \"disconnect\", send = [\"Acme = 1\"] }\n";
        let mut problems = Problems::new();
        vendors.read(&Source::new("acme.toml", text), &mut problems);
        vendors.find("acme").expect("it was read").check(Dictionary::builtin(), &mut problems);
        let shown: String = problems.sorted().iter().map(|problem| format!("{problem}\n")).collect();
        insta::assert_snapshot!(shown, @r#"
        acme.toml:6:9: unknown attribute "Cisco-AVPare"; did you mean "Cisco-AVPair"?
        acme.toml:8:9: Filter-Id has no tag; write its name without the colon
        acme.toml:10:45: unknown attribute "Acme"; look it up in dictionaries/, or add it there
        "#);
    }
}
