//! ACLs that a client fetches in an exchange of its own, as Cisco's switches do.
//!
//! Owns their names, their parts, and which of them can still be fetched after a reload. Recognising and answering the
//! request is the engine's matter: everything here is a pure function of its arguments.
//! Source: Cisco ASA 5500 Series Configuration Guide, "Configuring an External RADIUS Server", downloadable ACLs.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Duration};

use super::rule::{Family, Rule};
use crate::{clock::Mono, limits, policy::digest};

/// The beginning of the names by which clients ask for ACLs.
pub const NAME_PREFIX: &str = "#ACSACL#-";

/// The pair that every such request carries.
const EVENT_PAIR: &[u8] = b"aaa:event=acl-download";

/// The first 8 hexadecimal digits of the SHA-256 of the rules, joined by line feeds.
///
/// A name with it changes exactly when the rules change, so that clients fetch an ACL again only then, and a policy
/// that is rolled back finds the old ACL still in their memory.
#[must_use]
pub fn content_hash(family: Family, rules: &[Rule]) -> String {
    // The names of both families begin alike, and the same lines can stand in both.
    let mark = (family == Family::Ipv6).then_some("ipv6");
    digest::of_lines(mark.into_iter().chain(rules.iter().map(|rule| &*rule.text)))
}

/// One family of an ACL, ready to be fetched.
#[derive(Debug, PartialEq, Eq)]
pub struct Download {
    /// The name by which the client asks for it, in the place of a user's.
    pub name: Box<str>,
    /// The ACL's name in the policy.
    pub acl: Arc<str>,
    /// The family of the rules.
    pub family: Family,
    octets: Box<[u8]>,
    /// Where each attribute ends.
    ends: Box<[usize]>,
}

/// The next attributes of a [`Download`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadPart<'a> {
    /// Whole attributes.
    pub octets: &'a [u8],
    /// The first attribute of the next part; none if this is the last. It goes into the State of an Access-Challenge.
    pub next: Option<usize>,
}

impl Download {
    /// `octets`: whole attributes, one for each rule in order, that end at `ends`.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>, acl: Arc<str>, family: Family, octets: Vec<u8>, ends: Vec<usize>) -> Self {
        Self { name: name.into(), acl, family, octets: octets.into(), ends: ends.into() }
    }

    /// As many attributes from number `from` on as fit into `room` octets.
    ///
    /// Nothing if `from` is not the number of an attribute, or not even one fits.
    #[must_use]
    pub fn part(&self, from: usize, room: usize) -> Option<DownloadPart<'_>> {
        let start = match from.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)?,
        };
        let rest = self.ends.get(from..)?;
        let fit = rest.iter().take_while(|end| **end - start <= room).count();
        let end = *rest.get(fit.checked_sub(1)?)?;
        let next = (from + fit < self.ends.len()).then_some(from + fit);
        Some(DownloadPart { octets: self.octets.get(start..end)?, next })
    }

    /// How many attributes there are.
    #[must_use]
    pub fn attributes(&self) -> Range<usize> {
        0..self.ends.len()
    }

    /// All attributes.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// What a request wants, by its User-Name and its Cisco-AVPairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadRequest<'a> {
    /// It is none of ours.
    None,
    /// An ACL by its full name.
    Name(&'a str),
    /// It has such a name, but not the pair that says what it is for.
    NoEvent,
}

/// Recognises the request for an ACL. It must also carry a valid Message-Authenticator, which is not looked at here.
pub fn recognise<'a, 'p>(user_name: &'a [u8], mut pairs: impl Iterator<Item = &'p [u8]>) -> DownloadRequest<'a> {
    if !user_name.starts_with(NAME_PREFIX.as_bytes()) {
        return DownloadRequest::None;
    }
    match std::str::from_utf8(user_name) {
        Ok(name) if pairs.any(|pair| pair == EVENT_PAIR) => DownloadRequest::Name(name),
        _ => DownloadRequest::NoEvent,
    }
}

/// Every ACL that can be fetched: those of the policy, and for a while those that an earlier one named.
#[derive(Debug, Default)]
pub struct Downloads {
    by_name: HashMap<Box<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    download: Arc<Download>,
    /// Until when an outdated one can be fetched.
    until: Option<Mono>,
}

/// Why an ACL can't be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadError {
    /// No ACL of the policy has that name.
    UnknownAcl,
    /// The policy has that ACL, but with other rules.
    OutdatedAcl,
}

impl Downloads {
    /// Those of a policy.
    #[must_use]
    pub fn new(downloads: impl IntoIterator<Item = Arc<Download>>) -> Self {
        let entry = |download: Arc<Download>| (download.name.clone(), Entry { download, until: None });
        Self { by_name: downloads.into_iter().map(entry).collect() }
    }

    /// Keeps what `previous` had and these don't, for `keep` from now: a client may have been told of it just before
    /// a reload. Beyond the bound nothing more is kept.
    #[must_use]
    pub fn after(mut self, previous: &Self, now: Mono, keep: Duration) -> Self {
        for (name, entry) in &previous.by_name {
            let until = entry.until.unwrap_or_else(|| now.plus(keep));
            if until <= now || self.by_name.contains_key(name) || self.by_name.len() >= limits::DOWNLOADS_MAX {
                continue;
            }
            self.by_name.insert(name.clone(), Entry { download: Arc::clone(&entry.download), until: Some(until) });
        }
        self
    }

    /// The ACL of this full name.
    ///
    /// # Errors
    /// [`DownloadError`], each to be rejected with its own reason.
    pub fn find(&self, name: &str, now: Mono) -> Result<&Arc<Download>, DownloadError> {
        match self.by_name.get(name) {
            Some(entry) if entry.until.is_none_or(|until| now < until) => Ok(&entry.download),
            _ => Err(self.why_not(name)),
        }
    }

    fn why_not(&self, name: &str) -> DownloadError {
        let without_hash = |name: &str| name.rsplit_once('-').map(|(before, _)| before.to_owned());
        let wanted = without_hash(name);
        let is_known = wanted.is_some() && self.by_name.keys().any(|known| without_hash(known) == wanted);
        if is_known { DownloadError::OutdatedAcl } else { DownloadError::UnknownAcl }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        policy::acl::rule::{Action, Address, End, Ports, Protocol},
        problem::Place,
    };

    fn download(name: &str, attributes: &[usize]) -> Arc<Download> {
        let mut octets = Vec::new();
        let mut ends = Vec::new();
        for length in attributes {
            let length = u8::try_from(*length).expect("an attribute has at most 255 octets");
            octets.extend(std::iter::once(26).chain(std::iter::once(length)).chain((2..length).map(|_| 7)));
            ends.push(octets.len());
        }
        Arc::new(Download::new(name, "corp".into(), Family::Ipv4, octets, ends))
    }

    #[test]
    fn the_hash_is_the_beginning_of_the_sha256_of_the_lines() {
        let text = "permit udp any any eq 53\npermit ip any any";
        let rule = |line: &str| Rule {
            text: line.into(),
            place: Place::whole("x"),
            action: Action::Permit,
            protocol: Protocol::Any,
            source: End { address: Address::Any, ports: Ports::Any },
            destination: End { address: Address::Any, ports: Ports::Any },
            established: false,
            icmp: None,
            extras: Vec::new(),
            log: false,
        };
        let rules: Vec<Rule> = text.lines().map(rule).collect();
        // printf 'permit udp any any eq 53\npermit ip any any' | sha256sum
        assert_eq!(content_hash(Family::Ipv4, &rules), "6a0079e5");
        assert_ne!(content_hash(Family::Ipv4, &rules[..1]), content_hash(Family::Ipv4, &rules));
    }

    #[test]
    fn a_request_for_an_acl_is_known_by_its_name_and_its_pair() {
        let name = "#ACSACL#-IP-corp-0badc0de";
        let pairs = |event| [b"aaa:service=ip_admission".as_slice(), event];
        assert_eq!(
            recognise(name.as_bytes(), pairs(b"aaa:event=acl-download").into_iter()),
            DownloadRequest::Name(name)
        );
        assert_eq!(recognise(name.as_bytes(), pairs(b"aaa:event=other").into_iter()), DownloadRequest::NoEvent);
        assert_eq!(recognise(name.as_bytes(), std::iter::empty()), DownloadRequest::NoEvent);
        let user = b"ann@corp.example";
        assert_eq!(recognise(user, pairs(b"aaa:event=acl-download").into_iter()), DownloadRequest::None);
        assert_eq!(recognise(b"#ACSACL#-\xff", pairs(b"aaa:event=acl-download").into_iter()), DownloadRequest::NoEvent);
    }

    #[test]
    fn an_outdated_acl_can_be_fetched_for_a_while_after_a_reload() {
        let (start, keep) = (Mono::from_nanos(0), Duration::from_secs(60));
        let old = Downloads::new([download("#ACSACL#-IP-corp-00000001", &[9])]);
        let new = Downloads::new([download("#ACSACL#-IP-corp-00000002", &[9])]).after(&old, start, keep);
        let soon = start.plus(Duration::from_secs(59));
        assert!(new.find("#ACSACL#-IP-corp-00000001", soon).is_ok());
        assert!(new.find("#ACSACL#-IP-corp-00000002", soon).is_ok());
        let late = start.plus(keep);
        assert_eq!(new.find("#ACSACL#-IP-corp-00000001", late), Err(DownloadError::OutdatedAcl));
        assert_eq!(new.find("#ACSACL#-IP-corp-00000003", late), Err(DownloadError::OutdatedAcl));
        assert_eq!(new.find("#ACSACL#-IP-guest-00000001", late), Err(DownloadError::UnknownAcl));

        let third = Downloads::new([]).after(&new, soon, keep);
        assert!(third.find("#ACSACL#-IP-corp-00000001", soon).is_ok(), "the first reload's time still counts");
        assert_eq!(third.find("#ACSACL#-IP-corp-00000001", late), Err(DownloadError::OutdatedAcl));
        assert!(third.find("#ACSACL#-IP-corp-00000002", late).is_ok());
        assert_eq!(Downloads::new([]).after(&third, late.plus(keep), keep).len(), 0);
    }

    #[test]
    fn a_part_without_room_for_one_attribute_is_none() {
        let acl = download("x", &[100, 50]);
        assert_eq!(acl.part(0, 99), None);
        assert_eq!(acl.part(0, 149).map(|part| part.next), Some(Some(1)));
        assert_eq!(acl.part(0, 150).map(|part| part.next), Some(None));
        assert_eq!(acl.part(2, 4000), None);
        assert_eq!(acl.part(usize::MAX, 4000), None);
    }

    proptest! {
        #[test]
        fn the_parts_of_an_acl_are_the_acl(lengths in prop::collection::vec(10usize..=255, 1..80), room in 255usize..4076) {
            let acl = download("x", &lengths);
            let mut octets = Vec::new();
            let mut next = Some(0);
            while let Some(from) = next {
                let part = acl.part(from, room).expect("one attribute fits");
                prop_assert!(part.octets.len() <= room);
                prop_assert!(part.next.is_none_or(|next| next > from));
                octets.extend_from_slice(part.octets);
                next = part.next;
            }
            prop_assert_eq!(&*octets, acl.octets());
        }
    }
}
