//! What can be made to go wrong: one table of faults, and the list of those that are switched on.
//!
//! Owns names, sentences and the choice of the requests that are hit. How a fault changes an answer stands in `harm`.

use std::time::Duration;

use crate::limits;

use super::{
    chance::Chance,
    surface::{Surface, Surfaces},
};

/// Everything that can be made to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Another status.
    Status,
    /// Later.
    Delay,
    /// No answer but a reset.
    Reset,
    /// Half an answer, then a reset.
    Half,
    /// No answer at all.
    Hang,
    /// A slow answer.
    Trickle,
    /// A body that ends early.
    Truncated,
    /// A captive portal.
    Html,
    /// The right body under a wrong name.
    WrongType,
    /// Nothing in the body.
    Empty,
    /// Far too much in the body.
    Huge,
    /// 200 with an error inside.
    ErrorInside,
    /// 429 that says how long to wait.
    Throttle,
    /// 429 that does not say it.
    ThrottleSilent,
    /// The permission is missing.
    NoPermission,
    /// The licence is missing.
    NoLicence,
    /// The token is said to be expired.
    ExpiredToken,
    /// To another host.
    Redirect,
    /// A list that just stops.
    ShortList,
    /// A list without an end.
    EndlessPages,
    /// A list that goes on elsewhere.
    ForeignPage,
    /// New words.
    UnknownValues,
    /// No MACs.
    BrokenMacs,
    /// Somebody else's row.
    WrongDevice,
    /// A name in another case.
    OddCase,
    /// The service is not listed.
    NoService,
    /// 404 for a device that nobody knows.
    UnknownIs404,
    /// A row for a device that nobody knows.
    UnknownIsUnregistered,
    /// A wish to be left alone.
    Busy,
    /// The older XML.
    OldXml,
    /// XML with a document type.
    Doctype,
}

impl FaultKind {
    /// All of them, in the order of the manual.
    pub const ALL: [Self; 31] = [
        Self::Status,
        Self::Delay,
        Self::Reset,
        Self::Half,
        Self::Hang,
        Self::Trickle,
        Self::Truncated,
        Self::Html,
        Self::WrongType,
        Self::Empty,
        Self::Huge,
        Self::ErrorInside,
        Self::Throttle,
        Self::ThrottleSilent,
        Self::NoPermission,
        Self::NoLicence,
        Self::ExpiredToken,
        Self::Redirect,
        Self::ShortList,
        Self::EndlessPages,
        Self::ForeignPage,
        Self::UnknownValues,
        Self::BrokenMacs,
        Self::WrongDevice,
        Self::OddCase,
        Self::NoService,
        Self::UnknownIs404,
        Self::UnknownIsUnregistered,
        Self::Busy,
        Self::OldXml,
        Self::Doctype,
    ];

    /// The name on the control path.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// What happens, in one sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        self.row().1
    }

    /// The parts of the cloud that can have it.
    #[must_use]
    pub const fn surfaces(self) -> Surfaces {
        self.row().2
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    const fn row(self) -> (&'static str, &'static str, Surfaces) {
        const ALL: Surfaces = Surfaces::ALL;
        const COLLECTIONS: Surfaces = Surfaces::COLLECTIONS;
        const ROWS: Surfaces = COLLECTIONS.and(Surface::Device);
        const PERMITTED: Surfaces = Surfaces::BEARER;
        const DISCOVERY: Surfaces = Surfaces::of(Surface::Discovery);
        const ONE_DEVICE: Surfaces = Surfaces::of(Surface::Compliance);
        const RETRIEVAL: Surfaces = Surfaces::RETRIEVAL;
        match self {
            Self::Status => ("status", "Answers with `status` and the error body that the service has for it.", ALL),
            Self::Delay => ("delay", "Answers rightly, but only after `delay`.", ALL),
            Self::Reset => ("reset", "Resets the connection instead of answering.", ALL),
            Self::Half => ("half", "Sends about half of the right answer, then resets the connection.", ALL),
            Self::Hang => ("hang", "Takes the request and never answers; the connection stays open.", ALL),
            Self::Trickle => ("trickle", "Sends the right answer in small pieces over `delay` (10s).", ALL),
            Self::Truncated => {
                ("truncated", "Answers with the first half of the right body and calls it complete.", ALL)
            }
            Self::Html => ("html", "Answers 200 with the sign-in page of a captive portal.", ALL),
            Self::WrongType => ("wrong-type", "Sends the right body as application/octet-stream.", ALL),
            Self::Empty => ("empty", "Answers 200 with an empty body of the right type.", ALL),
            Self::Huge => ("huge", "Answers 200 with a body of 20 MiB.", ALL),
            Self::ErrorInside => ("error-inside", "Answers 200 with the body of an error.", ALL),
            Self::Throttle => ("throttle", "Answers 429 with a Retry-After of `retry-after` (5s).", ALL),
            Self::ThrottleSilent => {
                ("throttle-silent", "Answers 429 without Retry-After, as Intune sometimes does.", ALL)
            }
            Self::NoPermission => {
                ("no-permission", "Answers 403 as if the application lacked the permission.", PERMITTED)
            }
            Self::NoLicence => ("no-licence", "Answers 400 as if the tenant had no Intune licence.", Surfaces::GRAPH),
            Self::ExpiredToken => ("expired-token", "Answers 401 as if the token had expired.", PERMITTED),
            Self::Redirect => {
                ("redirect", "Redirects to another host name, which counts the tokens that reach it.", ALL)
            }
            Self::ShortList => {
                ("short-list", "Ends a list early: a page of half the rows and no link to the next.", COLLECTIONS)
            }
            Self::EndlessPages => ("endless-pages", "Links every page of a list to itself.", COLLECTIONS),
            Self::ForeignPage => {
                ("foreign-page", "Links the next page to another host name, which counts tokens.", COLLECTIONS)
            }
            Self::UnknownValues => ("unknown-values", "Uses compliance and threat states that no client knows.", ROWS),
            Self::BrokenMacs => ("broken-macs", "Shows MAC addresses as null, empty or zeros.", ROWS),
            Self::WrongDevice => ("wrong-device", "Answers with another device than the one that was asked for.", ROWS),
            Self::OddCase => {
                ("odd-case", "Lists the compliance retrieval service in odd upper and lower case.", DISCOVERY)
            }
            Self::NoService => ("no-service", "Leaves the compliance retrieval service out of the list.", DISCOVERY),
            Self::UnknownIs404 => {
                ("unknown-is-404", "Answers 404 for an unknown device instead of an empty list.", ONE_DEVICE)
            }
            Self::UnknownIsUnregistered => {
                ("unknown-is-unregistered", "Answers register_status=false for an unknown device.", ONE_DEVICE)
            }
            Self::Busy => ("busy", "Adds server_busy_wait_seconds (30) to the right answer.", RETRIEVAL),
            Self::OldXml => ("old-xml", "Writes XML as version 2 did: lower case, without namespace.", RETRIEVAL),
            Self::Doctype => ("doctype", "Puts a document type in front of the XML and an entity into it.", RETRIEVAL),
        }
    }
}

/// A fault that is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Where.
    pub surfaces: Surfaces,
    /// For [`FaultKind::Status`].
    pub status: u16,
    /// For [`FaultKind::Delay`] and [`FaultKind::Trickle`].
    pub delay: Duration,
    /// For [`FaultKind::Throttle`] and [`FaultKind::Status`].
    pub retry_after: Option<Duration>,
    /// So many requests pass before it begins.
    pub after: u64,
    /// So many requests are hit before it ends by itself.
    pub times: Option<u64>,
    /// Of a hundred requests so many are hit.
    pub percent: u8,
}

impl Fault {
    /// `kind` at once, on every request to `surfaces`, until it is switched off.
    #[must_use]
    pub const fn new(surfaces: Surfaces, kind: FaultKind) -> Self {
        Self {
            kind,
            surfaces,
            status: 503,
            delay: Duration::from_secs(10),
            retry_after: None,
            after: 0,
            times: None,
            percent: 100,
        }
    }

    /// Every answer comes this much later.
    #[must_use]
    pub const fn delay(surfaces: Surfaces, delay: Duration) -> Self {
        Self { delay, ..Self::new(surfaces, FaultKind::Delay) }
    }

    /// Every answer has this status.
    #[must_use]
    pub const fn status(surfaces: Surfaces, status: u16) -> Self {
        Self { status, ..Self::new(surfaces, FaultKind::Status) }
    }

    /// Only the next `times` requests.
    #[must_use]
    pub const fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only after `after` requests passed.
    #[must_use]
    pub const fn after(self, after: u64) -> Self {
        Self { after, ..self }
    }
}

/// The faults that are switched on, in the order in which they were.
///
/// Bound: [`limits::SIM_FAULTS_MAX`]; one more is refused.
#[derive(Debug)]
pub(super) struct Faults {
    active: Vec<Fault>,
    chance: Chance,
}

impl Faults {
    pub(super) const fn new(seed: u64) -> Self {
        Self { active: Vec::new(), chance: Chance::new(seed) }
    }

    /// Switches `fault` on. `false`: too many are.
    pub(super) fn add(&mut self, fault: Fault) -> bool {
        if self.active.len() >= limits::SIM_FAULTS_MAX {
            return false;
        }
        self.active.push(fault);
        true
    }

    /// Switches off what is on for any of `surfaces`.
    pub(super) fn clear(&mut self, surfaces: Surfaces) {
        self.active.retain(|fault| fault.surfaces.intersection(surfaces).is_empty());
    }

    pub(super) fn active(&self) -> &[Fault] {
        &self.active
    }

    /// The faults that hit one request to `surface`; they are counted down.
    pub(super) fn strike(&mut self, surface: Surface) -> Vec<Fault> {
        let mut hits = Vec::new();
        for fault in self.active.iter_mut().filter(|fault| fault.surfaces.contains(surface)) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.percent >= 100 || self.chance.below(100) < u64::from(fault.percent) {
                fault.times = fault.times.map(|times| times.saturating_sub(1));
                hits.push(*fault);
            }
        }
        self.active.retain(|fault| fault.times != Some(0));
        hits
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const GRAPH: Surfaces = Surfaces::GRAPH;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_a_sentence_and_a_place() {
        let names: HashSet<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), FaultKind::ALL.len());
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::parse(kind.name()), Some(kind));
            assert!(kind.sentence().ends_with('.'), "{}", kind.sentence());
            assert!(!kind.surfaces().is_empty());
        }
    }

    #[test]
    fn a_fault_begins_after_and_ends_by_itself() {
        let mut faults = Faults::new(0);
        assert!(faults.add(Fault::status(GRAPH, 503).after(2).times(3)));
        let hits: Vec<usize> = (0..7).map(|_| faults.strike(Surface::List).len()).collect();
        assert_eq!(hits, [0, 0, 1, 1, 1, 0, 0]);
        assert!(faults.active().is_empty());
    }

    #[test]
    fn a_fault_hits_only_its_surfaces_and_its_share() {
        let mut faults = Faults::new(1);
        assert!(faults.add(Fault { percent: 30, ..Fault::new(GRAPH, FaultKind::Reset) }));
        assert!(faults.strike(Surface::Token).is_empty());
        let hits = (0..1000).filter(|_| !faults.strike(Surface::Device).is_empty()).count();
        assert!((250..350).contains(&hits), "{hits}");
    }

    #[test]
    fn clearing_one_surface_leaves_the_others() {
        let mut faults = Faults::new(0);
        assert!(faults.add(Fault::new(GRAPH, FaultKind::Hang)));
        assert!(faults.add(Fault::new(Surfaces::of(Surface::Token), FaultKind::Hang)));
        faults.clear(Surfaces::of(Surface::Token));
        assert_eq!(faults.active().len(), 1);
        assert!(faults.add(Fault::new(GRAPH, FaultKind::Reset)));
        faults.clear(Surfaces::ALL);
        assert!(faults.active().is_empty());
    }

    #[test]
    fn more_faults_than_the_bound_are_refused() {
        let mut faults = Faults::new(0);
        for _ in 0..limits::SIM_FAULTS_MAX {
            assert!(faults.add(Fault::new(GRAPH, FaultKind::Busy)));
        }
        assert!(!faults.add(Fault::new(GRAPH, FaultKind::Busy)));
    }
}
