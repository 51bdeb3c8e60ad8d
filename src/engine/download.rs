//! ACLs that a client fetches in an exchange of its own.
//!
//! Owns recognising such a request, what it must prove, and the parts of the answer; names and contents of ACLs are
//! `policy::acl::download`'s matter. Nothing is remembered between two parts: what the next one is stands in State.
//! Source: Cisco ASA 5500 Series Configuration Guide, "Configuring an External RADIUS Server", downloadable ACLs.

use crate::{
    clock::Now,
    dictionary::{self, Path},
    policy::acl::{DownloadError, DownloadRequest, recognise},
    radius::{code::Code, error::Full, kind},
};

use super::{
    action::Outbox,
    admit::Admitted,
    event::{DropReason, RejectReason},
    pass::Pass,
    record::{Line, Outcome},
    reply::echo_proxy_state,
    state::State,
};

/// Cisco-AVPair.
const CISCO_PAIR: Path = Path::vendor(9, 1);

/// The method of these requests in the log.
const METHOD: &str = "acl-download";

impl State {
    /// Answers the request for an ACL. `false`: it is none, and nothing was done.
    pub(super) fn download(&mut self, pass: Pass<'_>, admitted: &Admitted<'_>, now: Now, out: &mut dyn Outbox) -> bool {
        let packet = &admitted.packet;
        if packet.has(kind::EAP_MESSAGE) {
            return false;
        }
        let user_name = packet.value(kind::USER_NAME).unwrap_or_default();
        let name = match recognise(user_name, dictionary::values_in(packet, &CISCO_PAIR)) {
            DownloadRequest::None => return false,
            DownloadRequest::Name(name) => name,
            DownloadRequest::NoEvent => {
                self.refuse_download(pass, RejectReason::AclPairMissing, now, out);
                return true;
            }
        };
        // The answer shows what the network allows to whom; nothing but this attribute shows who asks.
        if !admitted.is_signed {
            self.refuse_download(pass, RejectReason::AclUnsigned, now, out);
            return true;
        }
        match self.write_part(pass, name, now) {
            Ok(Part::Last) => {
                let line = Line {
                    method: METHOD,
                    outcome: Outcome::Downloaded,
                    detail: Some(name),
                    ..Line::new(pass.arrived)
                };
                self.tell(pass, &line, now);
                self.send(pass, now, out);
            }
            Ok(Part::More) => self.send(pass, now, out),
            Err(Refusal::Reject(reason)) => self.refuse_download(pass, reason, now, out),
            Err(Refusal::NoRoom) => {
                self.duplicates.forget(pass.ticket);
                self.count_drop(Some(pass.client), DropReason::Overload);
            }
        }
        true
    }

    fn refuse_download(&mut self, pass: Pass<'_>, reason: RejectReason, now: Now, out: &mut dyn Outbox) {
        let line = Line { method: METHOD, outcome: Outcome::Refused(reason), ..Line::new(pass.arrived) };
        self.reject_bare(pass, now, line, out);
    }

    /// Writes the next part: as many whole attributes as fit beside what the protocol adds.
    fn write_part(&mut self, pass: Pass<'_>, name: &str, now: Now) -> Result<Part, Refusal> {
        let found = pass.snapshot.downloads.find(name, now.mono);
        let download = found.map_err(|error| {
            Refusal::Reject(match error {
                DownloadError::UnknownAcl => RejectReason::AclUnknown,
                DownloadError::OutdatedAcl => RejectReason::AclOutdated,
            })
        })?;
        let from = match pass.packet.value(kind::STATE) {
            None => 0,
            Some(state) => Place::read(state, name).ok_or(Refusal::Reject(RejectReason::AclState))?,
        };
        let identifier = pass.packet.identifier();
        self.buffer.start(Code::ACCESS_ACCEPT, identifier);
        let echoed: usize = pass.packet.all(kind::PROXY_STATE).map(|value| value.len() + 2).sum();
        let room = self.buffer.remaining().checked_sub(echoed).ok_or(Refusal::NoRoom)?;
        let whole = download.part(from, room).filter(|part| part.next.is_none());
        // State is only in the way of parts that are not the last.
        let part = whole.or_else(|| download.part(from, room.checked_sub(Place::OCTETS + 2)?));
        let part = part.ok_or(Refusal::Reject(RejectReason::AclState))?;
        let kind_of_part = match part.next {
            None => Part::Last,
            Some(next) => {
                let place = Place::write(next, name);
                self.buffer.start(Code::ACCESS_CHALLENGE, identifier);
                self.buffer.push(kind::STATE, &place)?;
                Part::More
            }
        };
        self.buffer.push_encoded(part.octets)?;
        echo_proxy_state(&pass.packet, &mut self.buffer)?;
        Ok(kind_of_part)
    }
}

/// What was written.
enum Part {
    /// An Access-Accept with the end of the ACL.
    Last,
    /// An Access-Challenge: the client comes back with its State.
    More,
}

/// Why nothing was written.
enum Refusal {
    Reject(RejectReason),
    /// The client's own Proxy-State leaves no room.
    NoRoom,
}

impl From<Full> for Refusal {
    fn from(_: Full) -> Self {
        Self::NoRoom
    }
}

/// Which part comes next, as State carries it: a mark, the number of the rule, and the end of the ACL's name.
///
/// It need be no secret: a client that could make one up knows the secret and may ask for any part anyway. The end of the
/// name is the digest of the rules, so that parts of two versions are never put together. States of EAP are longer
/// ([`crate::eap::sessions::Token::OCTETS`]) and stand beside EAP-Message, which is looked for before.
struct Place;

impl Place {
    const MARK: u8 = 0xAC;
    const NAME: usize = 8;
    const OCTETS: usize = 1 + 4 + Self::NAME;

    fn write(next: usize, name: &str) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        let next = u32::try_from(next).unwrap_or(u32::MAX).to_be_bytes();
        let parts = std::iter::once(Self::MARK).chain(next).chain(Self::end_of(name));
        octets.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        octets
    }

    fn read(state: &[u8], name: &str) -> Option<usize> {
        let state: &[u8; Self::OCTETS] = state.try_into().ok()?;
        let (mark, rest) = state.split_first()?;
        let (next, end) = rest.split_first_chunk()?;
        let is_ours = *mark == Self::MARK && end.iter().copied().eq(Self::end_of(name));
        usize::try_from(u32::from_be_bytes(*next)).ok().filter(|_| is_ours)
    }

    /// The last octets of the name, zeros before a shorter one.
    fn end_of(name: &str) -> [u8; Self::NAME] {
        let mut end = [0; Self::NAME];
        end.iter_mut().rev().zip(name.bytes().rev()).for_each(|(to, from)| *to = from);
        end
    }
}

const _: () =
    assert!(Place::OCTETS != crate::eap::sessions::Token::OCTETS, "whose State it is can be told by its length");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_for_its_own_acl_only() {
        let name = "#ACSACL#-IP-corp-0badc0de";
        let state = Place::write(513, name);
        assert_eq!(Place::read(&state, name), Some(513));
        assert_eq!(Place::read(&state, "#ACSACL#-IP-corp-0badc0df"), None);
        assert_eq!(Place::read(&state[1..], name), None);
        assert_eq!(Place::read(&[0; Place::OCTETS], name), None);
        assert_eq!(Place::read(b"", name), None);
    }
}
