//! Results of rules: lists of profiles, merged once for each different list.
//!
//! Owns the lookup of profiles by name, and the numbers by which decisions name results. What a profile means on the
//! wire is the matter of `reply_plan`.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{
        decision::{Access, ResultIndex},
        profile::Profile,
    },
    name::Names,
};
use crate::{
    document::Value,
    problem::{Place, Problems},
};

/// The names of the profiles that every policy has.
const BUILT_IN: [&str; 2] = ["permit", "deny"];

/// A merged list of profiles.
#[derive(Clone, Debug)]
pub struct PolicyResult {
    /// The names of the profiles in the order in which they were merged; none for a bare reject.
    pub profiles: Vec<Box<str>>,
    /// Their access.
    pub access: Access,
    /// What they come to.
    pub profile: Profile,
    /// Where a rule first names this list.
    pub place: Option<Place>,
}

/// All profiles, and the lists of them that rules name.
#[derive(Debug)]
pub struct Results {
    profiles: Names<Option<Profile>>,
    // Bound: there are two.
    built_in: BTreeMap<&'static str, Profile>,
    results: Vec<PolicyResult>,
    // Bound: one for each rule, see `limits::RULES_MAX`.
    known: HashMap<Vec<Box<str>>, Option<ResultIndex>>,
}

impl Results {
    /// The profiles of all files; nothing behind the name of one that has mistakes. The first result is the bare reject.
    #[must_use]
    pub fn new(profiles: Names<Option<Profile>>) -> Self {
        let bare = PolicyResult { profiles: Vec::new(), access: Access::Reject, profile: Profile::deny(), place: None };
        Self {
            profiles,
            built_in: BTreeMap::from([("permit", Profile::permit()), ("deny", Profile::deny())]),
            results: vec![bare],
            known: HashMap::new(),
        }
    }

    /// The result of a list of profiles and its access; nothing if there are mistakes, which are reported.
    pub fn result(&mut self, names: &[Value<'_>], problems: &mut Problems) -> Option<(ResultIndex, Access)> {
        let list: Vec<Box<str>> = names.iter().filter_map(Value::plain_text).map(Box::from).collect();
        let index = match self.known.get(&list) {
            Some(known) => (*known)?,
            None => {
                let made = self.merge(names, problems);
                self.known.insert(list, made);
                made?
            }
        };
        Some((index, self.results.get(index.0 as usize)?.access))
    }

    fn merge(&mut self, names: &[Value<'_>], problems: &mut Problems) -> Option<ResultIndex> {
        let mut profiles = Vec::new();
        for value in names {
            let name = value.plain_text()?;
            match (self.profiles.find(name), self.built_in.get(name)) {
                (Some(Some(profile)), _) | (None, Some(profile)) => profiles.push(profile),
                (Some(None), _) => return None,
                (None, None) => {
                    value.error(problems, "unknown-profile", self.profiles.unknown(name, &BUILT_IN, problems))
                }
            }
        }
        if profiles.len() < names.len() {
            return None;
        }
        let place = names.first()?.place();
        let profile = Profile::merge(&profiles, &place, problems)?;
        let access = profile.access.as_ref()?.value;
        let names = names.iter().filter_map(Value::plain_text).map(Box::from).collect();
        self.results.push(PolicyResult { profiles: names, access, profile, place: Some(place) });
        u32::try_from(self.results.len() - 1).ok().map(ResultIndex)
    }

    /// The profiles that no rule names, with their places.
    #[must_use]
    pub fn unused(&self) -> Vec<(String, Place)> {
        let is_used = |name: &str| self.known.keys().flatten().any(|used| **used == *name);
        let unused = self.profiles.iter().filter(|(name, ..)| !is_used(name));
        unused.map(|(name, place, _)| (name.to_owned(), place.clone())).collect()
    }

    /// The finished list.
    #[must_use]
    pub fn into_results(self) -> Vec<PolicyResult> {
        self.results
    }
}
