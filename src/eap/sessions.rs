//! All conversations that are open, found by the State of a request from whatever thread it comes to.
//!
//! Owns the tokens, the binding to client and device, and the bounds in number and time. It does not know what a
//! conversation says.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use hashbrown::HashMap;
use subtle::ConstantTimeEq as _;

use crate::{
    clock::{Mono, Now},
    limits,
};

use super::chance::Chance;

/// The value of State: where the session lies, which it is, and what only the last round's receiver knows.
///
/// 21 octets, of which 20 are random: 12 of them are new in every round.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; Self::OCTETS]);

impl Token {
    /// Its length on the wire.
    pub const OCTETS: usize = 1 + ID + NONCE;

    /// The octets of State.
    #[must_use]
    pub const fn octets(&self) -> &[u8; Self::OCTETS] {
        &self.0
    }

    fn new(stripe: u8, id: [u8; ID], nonce: &[u8; NONCE]) -> Self {
        let mut octets = [0; Self::OCTETS];
        let parts = std::iter::once(&stripe).chain(&id).chain(nonce);
        octets.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        Self(octets)
    }

    fn read(state: &[u8]) -> Option<(u8, [u8; ID], [u8; NONCE])> {
        let (stripe, rest) = state.split_first()?;
        let (id, nonce) = rest.split_first_chunk()?;
        Some((*stripe, *id, nonce.try_into().ok()?))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

const ID: usize = 8;
const NONCE: usize = 12;
/// Parts of the table that are locked by themselves: more than there will be threads.
const STRIPES: u8 = 64;
/// How often sessions that ran out of time are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Who may go on with a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The client, by something that means the same after a reload, such as a hash of its name.
    pub client: u64,
    /// Its Calling-Station-Id as it came; empty if there is none.
    pub station: Box<[u8]>,
}

/// The table. `T`: what belongs to a session, such as its conversation and what was decided about it.
///
/// Bound: [`limits::EAP_SESSIONS_MAX`] in all and [`limits::EAP_SESSIONS_CLIENT_MAX`] for each client; a new one beyond it
/// is refused and counted by whoever asked.
pub struct Sessions<T> {
    stripes: Box<[Mutex<Stripe<T>>]>,
    counts: Mutex<Counts>,
    /// When to look for what has ended next, in nanoseconds; never while nothing is open.
    sweep_at: AtomicI64,
    hasher: foldhash::fast::RandomState,
    bounds: Bounds,
}

/// How many and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Open sessions in all.
    pub sessions: usize,
    /// Open sessions of one client.
    pub of_client: usize,
    /// Between two packets.
    pub idle: Duration,
    /// From the first packet to the last.
    pub total: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            sessions: limits::EAP_SESSIONS_MAX,
            of_client: limits::EAP_SESSIONS_CLIENT_MAX,
            idle: limits::EAP_IDLE_MAX,
            total: limits::EAP_TOTAL_MAX,
        }
    }
}

/// Open sessions, in all and of each client that has any. Bound: the sessions themselves.
#[derive(Default)]
struct Counts {
    all: usize,
    of_client: HashMap<u64, usize, foldhash::fast::RandomState>,
}

struct Stripe<T> {
    by_id: HashMap<[u8; ID], Slot<T>, foldhash::fast::RandomState>,
    // The session of each device, so that a new one replaces it. Bound: `by_id`.
    by_owner: HashMap<Owner, [u8; ID], foldhash::fast::RandomState>,
}

struct Slot<T> {
    owner: Owner,
    began: Mono,
    touched: Mono,
    // None while somebody works on it.
    kept: Option<Kept<T>>,
    nonce: [u8; NONCE],
    before: Option<Before>,
}

struct Kept<T> {
    item: T,
    request: Arc<[u8]>,
}

/// The round before: what it was asked with, and with which packet it was answered.
struct Before {
    nonce: [u8; NONCE],
    response: u64,
}

/// The right to work on a session. Whoever drops it leaves the session to its timeout.
#[derive(Debug)]
#[must_use]
pub struct Claim {
    stripe: u8,
    id: [u8; ID],
    began: Mono,
}

impl Claim {
    /// When the session began.
    #[must_use]
    pub const fn began(&self) -> Mono {
        self.began
    }
}

/// What a State leads to.
#[derive(Debug)]
pub enum Found<T> {
    /// The session, for this caller alone until it is kept or closed.
    Session(Claim, T),
    /// The same response once more: the answer is this request under this State.
    Repeated(Arc<[u8]>, Token),
    /// Somebody is working on it; the answer will come from there.
    Busy,
    /// There is no such session for this owner: an old, foreign or invented State.
    Unknown,
}

/// Why no session was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Too many in all.
    Sessions,
    /// Too many of this client.
    Client,
}

impl<T> Sessions<T> {
    /// An empty table.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let stripe = || Mutex::new(Stripe { by_id: HashMap::default(), by_owner: HashMap::default() });
        let stripes = std::iter::repeat_with(stripe).take(usize::from(STRIPES)).collect();
        Self {
            stripes,
            counts: Mutex::default(),
            sweep_at: AtomicI64::new(Mono::NEVER.as_nanos()),
            hasher: foldhash::fast::RandomState::default(),
            bounds,
        }
    }

    /// Opens a session. One that the same device has open at the same client is dropped: it has begun anew.
    ///
    /// # Errors
    /// [`Full`]. What has ended takes its place until it is [swept](Self::sweep_if_due).
    pub fn open(&self, now: Now, owner: Owner, chance: &mut dyn Chance) -> Result<Claim, Full> {
        let mut id = [0; ID];
        chance.fill(&mut id);
        let stripe_number = self.stripe_of(&owner, id);
        let mut stripe = self.lock(stripe_number);
        // Held until the lock is given back: dropping a conversation takes time.
        let _replaced = stripe.by_owner.get(&owner).copied().and_then(|old| self.remove(&mut stripe, old));
        self.enter(owner.client)?;
        self.sweep_at.fetch_min(now.mono.plus(SWEEP_INTERVAL).as_nanos(), Ordering::AcqRel);
        if !owner.station.is_empty() {
            stripe.by_owner.insert(owner.clone(), id);
        }
        let slot = Slot { owner, began: now.mono, touched: now.mono, kept: None, nonce: [0; NONCE], before: None };
        // Two equal ids of eight random octets don't happen; if they do, the older session is lost.
        if let Some(lost) = stripe.by_id.insert(id, slot) {
            self.leave(lost.owner.client);
        }
        Ok(Claim { stripe: stripe_number, id, began: now.mono })
    }

    /// The session of `state`, if it is `owner`'s. `response`: the EAP packet that came, to tell a repeat from something new.
    pub fn find(&self, now: Now, owner: &Owner, state: &[u8], response: &[u8]) -> Found<T> {
        let Some((stripe_number, id, nonce)) = Token::read(state).filter(|(stripe, ..)| *stripe < STRIPES) else {
            return Found::Unknown;
        };
        let mut stripe = self.lock(stripe_number);
        let Some(slot) = stripe.by_id.get_mut(&id).filter(|slot| slot.owner == *owner) else { return Found::Unknown };
        if self.has_ended(slot, now) {
            return Found::Unknown;
        }
        let response = self.hash(response);
        if bool::from(nonce.ct_eq(&slot.nonce)) {
            let Some(kept) = slot.kept.take() else { return Found::Busy };
            slot.touched = now.mono;
            slot.before = Some(Before { nonce, response });
            return Found::Session(Claim { stripe: stripe_number, id, began: slot.began }, kept.item);
        }
        match &slot.before {
            Some(before) if bool::from(before.nonce.ct_eq(&nonce)) && before.response == response => match &slot.kept {
                Some(kept) => Found::Repeated(kept.request.clone(), Token::new(stripe_number, id, &slot.nonce)),
                None => Found::Busy,
            },
            _ => Found::Unknown,
        }
    }

    /// Puts a session back with the request that goes out now, under a new State. `None` if it has ended meanwhile, or was
    /// replaced by a newer one of the same device; `item` is then dropped.
    pub fn keep(&self, now: Now, claim: Claim, item: T, request: Arc<[u8]>, chance: &mut dyn Chance) -> Option<Token> {
        let mut stripe = self.lock(claim.stripe);
        let slot = stripe.by_id.get_mut(&claim.id)?;
        chance.fill(&mut slot.nonce);
        slot.touched = now.mono;
        slot.kept = Some(Kept { item, request });
        Some(Token::new(claim.stripe, claim.id, &slot.nonce))
    }

    /// Puts a session back as it was before it was found: `request` is the last one, and its State counts again.
    pub fn put_back(&self, claim: Claim, item: T, request: Arc<[u8]>) {
        let mut stripe = self.lock(claim.stripe);
        let Some(slot) = stripe.by_id.get_mut(&claim.id) else { return };
        // What was noted as answered was not.
        slot.before = None;
        slot.kept = Some(Kept { item, request });
    }

    /// Ends a session.
    pub fn close(&self, claim: Claim) {
        let mut stripe = self.lock(claim.stripe);
        self.remove(&mut stripe, claim.id);
    }

    /// When [`Self::sweep_if_due`] is due: whoever opened a session has to wake then.
    #[must_use]
    pub fn sweep_at(&self) -> Mono {
        Mono::from_nanos(self.sweep_at.load(Ordering::Acquire))
    }

    /// Drops what has ended, and tells what it was, if nobody did so in the last second; of several threads one does it. A
    /// session that ran out of time is not found any more, but takes its place until then.
    pub fn sweep_if_due(&self, now: Now, ended: &mut dyn FnMut(Ended<T>)) {
        let due = self.sweep_at.load(Ordering::Acquire);
        let next = now.mono.plus(SWEEP_INTERVAL).as_nanos();
        let is_due = due <= now.mono.as_nanos();
        if !is_due || self.sweep_at.compare_exchange(due, next, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        self.sweep(now, ended);
        // Under the lock that opening takes first, so that the time of what is opened meanwhile stays.
        let counts = self.counts();
        if counts.all == 0 {
            self.sweep_at.store(Mono::NEVER.as_nanos(), Ordering::Release);
        }
    }

    /// Drops what has ended, and tells what it was.
    pub fn sweep(&self, now: Now, ended: &mut dyn FnMut(Ended<T>)) {
        (0..STRIPES).for_each(|stripe| self.sweep_stripe(stripe, now, ended));
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.counts().all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sweep_stripe(&self, number: u8, now: Now, ended: &mut dyn FnMut(Ended<T>)) {
        let mut stripe = self.lock(number);
        let ids: Vec<_> =
            stripe.by_id.iter().filter(|(_, slot)| self.has_ended(slot, now)).map(|(id, _)| *id).collect();
        let slots: Vec<_> = ids.into_iter().filter_map(|id| self.remove(&mut stripe, id)).collect();
        drop(stripe);
        for Slot { owner, began, touched, kept, .. } in slots {
            ended(Ended { owner, began, touched, item: kept.map(|kept| kept.item) });
        }
    }

    fn remove(&self, stripe: &mut Stripe<T>, id: [u8; ID]) -> Option<Slot<T>> {
        let slot = stripe.by_id.remove(&id)?;
        if stripe.by_owner.get(&slot.owner) == Some(&id) {
            stripe.by_owner.remove(&slot.owner);
        }
        self.leave(slot.owner.client);
        Some(slot)
    }

    fn has_ended(&self, slot: &Slot<T>, now: Now) -> bool {
        now.mono.since(slot.touched) >= self.bounds.idle || now.mono.since(slot.began) >= self.bounds.total
    }

    fn enter(&self, client: u64) -> Result<(), Full> {
        let mut counts = self.counts();
        if counts.all >= self.bounds.sessions {
            return Err(Full::Sessions);
        }
        let count = counts.of_client.entry(client).or_default();
        if *count >= self.bounds.of_client {
            return Err(Full::Client);
        }
        *count += 1;
        counts.all += 1;
        Ok(())
    }

    fn leave(&self, client: u64) {
        let mut counts = self.counts();
        counts.all = counts.all.saturating_sub(1);
        if let Some(count) = counts.of_client.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.of_client.remove(&client);
            }
        }
    }

    /// Sessions of one device meet in one stripe; those without a device spread.
    fn stripe_of(&self, owner: &Owner, id: [u8; ID]) -> u8 {
        let hash = if owner.station.is_empty() { u64::from_le_bytes(id) } else { self.hash(owner) };
        hash.to_le_bytes()[0] % STRIPES
    }

    fn hash(&self, value: impl std::hash::Hash) -> u64 {
        std::hash::BuildHasher::hash_one(&self.hasher, value)
    }

    fn lock(&self, stripe: u8) -> MutexGuard<'_, Stripe<T>> {
        let stripe = self.stripes.get(usize::from(stripe % STRIPES)).expect("there are STRIPES of them");
        // Nothing of a caller runs under the lock, so that a poisoned stripe is whole.
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Sessions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({})", self.count())
    }
}

/// A session that ran out of time.
#[derive(Debug)]
pub struct Ended<T> {
    /// Whose it was.
    pub owner: Owner,
    /// When it began.
    pub began: Mono,
    /// When its device was last heard.
    pub touched: Mono,
    /// What was kept; `None` if somebody was at work on it.
    pub item: Option<T>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eap::chance::SeededChance;

    fn at(secs: u64) -> Now {
        Now::default().advanced(Duration::from_secs(secs))
    }

    fn owner(client: u64, station: &[u8]) -> Owner {
        Owner { client, station: station.into() }
    }

    fn sessions(sessions: usize, of_client: usize) -> Sessions<u32> {
        Sessions::new(Bounds { sessions, of_client, ..Bounds::default() })
    }

    fn request(octet: u8) -> Arc<[u8]> {
        Arc::from([octet])
    }

    #[test]
    fn a_session_is_found_once_and_under_a_new_state_each_round() {
        let (table, mut chance) = (sessions(9, 9), SeededChance::new(1));
        let mac = owner(1, b"A4-C3-F0-11-22-33");
        let claim = table.open(at(0), mac.clone(), &mut chance).unwrap();
        let first = table.keep(at(0), claim, 7, request(1), &mut chance).unwrap();
        let Found::Session(claim, 7) = table.find(at(1), &mac, first.octets(), b"a") else { panic!("it is there") };
        assert!(matches!(table.find(at(1), &mac, first.octets(), b"a"), Found::Busy));
        let second = table.keep(at(1), claim, 8, request(2), &mut chance).unwrap();
        assert_ne!(first, second);
        assert!(matches!(table.find(at(2), &mac, second.octets(), b"b"), Found::Session(_, 8)));
    }

    #[test]
    fn the_same_response_under_the_old_state_gets_the_same_request() {
        let (table, mut chance) = (sessions(9, 9), SeededChance::new(2));
        let mac = owner(1, b"");
        let claim = table.open(at(0), mac.clone(), &mut chance).unwrap();
        let first = table.keep(at(0), claim, 7, request(1), &mut chance).unwrap();
        let Found::Session(claim, item) = table.find(at(1), &mac, first.octets(), b"a") else { panic!("it is there") };
        let second = table.keep(at(1), claim, item, request(2), &mut chance).unwrap();
        let Found::Repeated(again, token) = table.find(at(2), &mac, first.octets(), b"a") else { panic!("a repeat") };
        assert_eq!((&*again, token), (&[2][..], second));
        assert!(matches!(table.find(at(2), &mac, first.octets(), b"other"), Found::Unknown), "not a repeat");
    }

    #[test]
    fn a_state_serves_nobody_else() {
        let (table, mut chance) = (sessions(9, 9), SeededChance::new(3));
        let mac = owner(1, b"A4");
        let claim = table.open(at(0), mac.clone(), &mut chance).unwrap();
        let token = table.keep(at(0), claim, 7, request(1), &mut chance).unwrap();
        for other in [owner(2, b"A4"), owner(1, b"A5"), owner(1, b"")] {
            assert!(matches!(table.find(at(0), &other, token.octets(), b""), Found::Unknown));
        }
        for place in 0..Token::OCTETS {
            let mut forged = *token.octets();
            forged[place] ^= 1;
            assert!(matches!(table.find(at(0), &mac, &forged, b""), Found::Unknown), "octet {place}");
        }
        for length in 0..Token::OCTETS {
            assert!(matches!(table.find(at(0), &mac, &token.octets()[..length], b""), Found::Unknown));
        }
        assert!(matches!(table.find(at(0), &mac, token.octets(), b""), Found::Session(_, 7)), "the right one still is");
    }

    #[test]
    fn a_device_that_begins_anew_replaces_its_session() {
        let (table, mut chance) = (sessions(9, 9), SeededChance::new(4));
        let mac = owner(1, b"A4");
        let old = table.open(at(0), mac.clone(), &mut chance).unwrap();
        let token = table.keep(at(0), old, 1, request(1), &mut chance).unwrap();
        let Found::Session(working, _) = table.find(at(0), &mac, token.octets(), b"") else { panic!("it is there") };
        let new = table.open(at(1), mac.clone(), &mut chance).unwrap();
        assert_eq!(table.count(), 1);
        assert_eq!(table.keep(at(1), working, 1, request(2), &mut chance), None, "its work comes too late");
        assert!(table.keep(at(1), new, 2, request(3), &mut chance).is_some());
        let _two = [(); 2].map(|()| table.open(at(1), owner(1, b""), &mut chance).unwrap());
        assert_eq!(table.count(), 3, "without a station nobody is replaced");
    }

    #[test]
    fn time_ends_a_session_by_idleness_and_in_all() {
        let (table, mut chance) = (sessions(9, 9), SeededChance::new(5));
        let mac = owner(1, b"A4");
        let claim = table.open(at(0), mac.clone(), &mut chance).unwrap();
        let mut token = table.keep(at(0), claim, 1, request(1), &mut chance).unwrap();
        for now in [50, 100] {
            let Found::Session(claim, item) = table.find(at(now), &mac, token.octets(), b"") else { panic!("alive") };
            token = table.keep(at(now), claim, item, request(1), &mut chance).unwrap();
        }
        assert!(matches!(table.find(at(120), &mac, token.octets(), b""), Found::Unknown), "two minutes in all");
        let mut ended = Vec::new();
        table.sweep(at(119), &mut |session| ended.push(session.item));
        assert_eq!(ended, []);
        table.sweep(at(120), &mut |session| ended.push(session.item));
        assert_eq!((ended, table.count()), (vec![Some(1)], 0));
    }

    #[test]
    fn full_is_full_until_something_ends() {
        let (table, mut chance) = (sessions(4, 2), SeededChance::new(6));
        let mut open = |client, now| table.open(at(now), owner(client, b""), &mut chance);
        assert!(open(1, 0).is_ok() && open(1, 0).is_ok());
        assert_eq!(open(1, 0).err(), Some(Full::Client));
        assert!(open(2, 0).is_ok());
        let claim = open(3, 0).unwrap();
        assert_eq!(open(4, 0).err(), Some(Full::Sessions));
        table.close(claim);
        assert!(open(4, 0).is_ok());
        table.sweep(at(60), &mut |_| {});
        assert_eq!(table.count(), 0);
        assert!(open(1, 60).is_ok());
    }

    #[test]
    fn whoever_comes_first_sweeps_and_nobody_wakes_for_nothing() {
        let (table, mut chance) = (sessions(4, 4), SeededChance::new(7));
        let ended = |now| {
            let mut count = 0;
            table.sweep_if_due(at(now), &mut |_| count += 1);
            count
        };
        assert_eq!(table.sweep_at(), Mono::NEVER);
        let _first = table.open(at(0), owner(1, b""), &mut chance).unwrap();
        assert_eq!(table.sweep_at(), at(1).mono);
        let _second = table.open(at(59), owner(1, b""), &mut chance).unwrap();
        assert_eq!(table.sweep_at(), at(1).mono, "the first one's");
        assert_eq!((ended(0), ended(60), ended(60)), (0, 1, 0));
        assert_eq!(table.sweep_at(), at(61).mono, "one is left");
        assert_eq!((ended(119), table.sweep_at()), (1, Mono::NEVER));
        let _third = table.open(at(200), owner(1, b""), &mut chance).unwrap();
        assert_eq!(table.sweep_at(), at(201).mono);
    }

    #[test]
    fn tokens_are_not_printed() {
        assert_eq!(format!("{:?}", Token::new(0, [1; ID], &[2; NONCE])), "Token(hidden)");
    }
}
