//! Several profiles become one.
//!
//! Owns which of them wins. Whether a vendor can express the outcome is found out by `reply_plan`.

use super::settings::{List, Placed, Profile};
use crate::{
    policy::decision::Access,
    problem::{Place, Problems},
};

impl Profile {
    /// The profile `permit` that every policy has: access and nothing else.
    #[must_use]
    pub fn permit() -> Self {
        Self::built_in("permit", Access::Accept)
    }

    /// The profile `deny` that every policy has.
    #[must_use]
    pub fn deny() -> Self {
        Self::built_in("deny", Access::Reject)
    }

    fn built_in(name: &str, access: Access) -> Self {
        let access = Some(Placed { value: access, place: Place::whole("(built in)") });
        Self { name: name.into(), access, ..Self::default() }
    }

    /// One profile of several: the later wins, lists append. `place`: where the rule names them.
    ///
    /// Nothing if one says another access than the others, or none says any; both are reported.
    pub fn merge(profiles: &[&Self], place: &Place, problems: &mut Problems) -> Option<Self> {
        let (first, later) = profiles.split_first()?;
        let mut merged = (*first).clone();
        for profile in later {
            merged.add(profile, place, problems)?;
        }
        if merged.access.is_none() {
            let advice = format!("write access = \"accept\" into [profile.{}]", first.name);
            let what = format!("profile \"{}\" says nothing about access; {advice}", merged.name);
            problems.error("access-missing", Some(place.clone()), what);
            return None;
        }
        Some(merged)
    }

    fn add(&mut self, later: &Self, place: &Place, problems: &mut Problems) -> Option<()> {
        if let (Some(one), Some(other)) = (&self.access, &later.access)
            && one.value != other.value
        {
            let what = format!(
                "profile \"{}\" says access = \"{}\", and \"{}\" says \"{}\"; a result can have one access only",
                self.name,
                one.value.name(),
                later.name,
                other.value.name()
            );
            problems.error("access-conflict", Some(place.clone()), what);
            return None;
        }
        self.name = format!("{}+{}", self.name, later.name).into();
        override_with(&mut self.access, &later.access);
        override_with(&mut self.vlan, &later.vlan);
        override_with(&mut self.vlan_tag, &later.vlan_tag);
        self.tagged_vlans.merge(&later.tagged_vlans);
        override_with(&mut self.voice, &later.voice);
        self.acls.merge(&later.acls);
        override_with(&mut self.acl_form, &later.acl_form);
        override_with(&mut self.redirect, &later.redirect);
        override_with(&mut self.session_timeout, &later.session_timeout);
        override_with(&mut self.idle_timeout, &later.idle_timeout);
        override_with(&mut self.reauthenticate, &later.reauthenticate);
        override_with(&mut self.sgt, &later.sgt);
        override_with(&mut self.role, &later.role);
        for setting in &later.attributes {
            match self.attributes.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&setting.name)) {
                Some(known) => known.values.merge(&setting.values),
                None => self.attributes.push(setting.clone()),
            }
        }
        self.optional.extend(&later.optional);
        Some(())
    }
}

fn override_with<T: Clone>(earlier: &mut Option<T>, later: &Option<T>) {
    if later.is_some() {
        earlier.clone_from(later);
    }
}

impl<T: Clone> List<T> {
    fn merge(&mut self, later: &Self) {
        if later.single {
            self.values.clear();
            self.single = true;
        }
        self.values.extend_from_slice(&later.values);
    }
}
