//! TLS flights in pieces that fit EAP packets, both ways.
//!
//! Owns flags, lengths, assembling and cutting. It knows nothing of TLS, so that other methods with TLS inside can use it.

use std::fmt;

use crate::limits;

use super::super::packet::{Broken, HEADER_OCTETS};

/// Flags of the data of EAP-TLS. The other five bits are ignored, and zero when we send.
///
/// Source: RFC 5216 section 3.1.
const LENGTH_INCLUDED: u8 = 0x80;
const MORE: u8 = 0x40;
const START: u8 = 0x20;

/// The data of the request that begins EAP-TLS.
pub const START_DATA: [u8; 1] = [START];

/// The data of a request that asks for the next fragment.
pub const ACKNOWLEDGEMENT: [u8; 1] = [0];

/// The data of one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The length of the whole, if it is told. Nothing is allocated by it.
    pub total: Option<u32>,
    /// Whether more fragments follow.
    pub more: bool,
    /// Whether it claims to begin EAP-TLS, which only a server may.
    pub start: bool,
    /// A piece of a TLS flight.
    pub octets: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Reads flags and length.
    ///
    /// # Errors
    /// [`Broken::FragmentCut`], and [`Broken::EmptyFragment`] for one that only announces more.
    pub fn parse(data: &'a [u8]) -> Result<Self, Broken> {
        let (flags, rest) = data.split_first().ok_or(Broken::FragmentCut)?;
        let (total, octets) = if flags & LENGTH_INCLUDED == 0 {
            (None, rest)
        } else {
            let (length, octets) = rest.split_first_chunk().ok_or(Broken::FragmentCut)?;
            (Some(u32::from_be_bytes(*length)), octets)
        };
        let more = flags & MORE != 0;
        if more && octets.is_empty() {
            return Err(Broken::EmptyFragment);
        }
        Ok(Self { total, more, start: flags & START != 0, octets })
    }

    /// Whether it only acknowledges what the server sent.
    #[must_use]
    pub const fn is_acknowledgement(&self) -> bool {
        self.octets.is_empty() && !self.more && !self.start
    }
}

/// The rule of fragments that a device broke. There is no way back from it: the flight can't be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FragmentFault {
    /// The start flag, which only a server may set.
    Start,
    /// The flight is longer than [`limits::TLS_MESSAGE_OCTETS_MAX`], or says that it will be.
    TooLong,
    /// A first fragment of several that does not tell the length of the whole.
    NoTotal,
    /// A length that differs from the one told before.
    TotalChanged,
    /// More octets than were told.
    BeyondTotal,
    /// Fewer octets than were told.
    BelowTotal,
}

impl FragmentFault {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Start => "eap-tls-start-from-device",
            Self::TooLong => "eap-tls-too-long",
            Self::NoTotal => "eap-tls-no-length",
            Self::TotalChanged => "eap-tls-length-changed",
            Self::BeyondTotal => "eap-tls-beyond-length",
            Self::BelowTotal => "eap-tls-below-length",
        }
    }
}

impl fmt::Display for FragmentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("the device set the start flag, which only a server may"),
            Self::TooLong => write!(f, "the TLS flight has more than {} octets", limits::TLS_MESSAGE_OCTETS_MAX),
            Self::NoTotal => f.write_str("the first of several fragments does not tell the length of the whole"),
            Self::TotalChanged => f.write_str("the fragments tell different lengths of the whole"),
            Self::BeyondTotal => f.write_str("the fragments have more octets than they told"),
            Self::BelowTotal => f.write_str("the fragments have fewer octets than they told"),
        }
    }
}

/// A flight that is being received. Bound: [`limits::TLS_MESSAGE_OCTETS_MAX`].
#[derive(Debug, Default)]
pub struct Assembly {
    octets: Vec<u8>,
    total: Option<u32>,
}

/// What a fragment leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Assembled {
    /// More fragments are needed; this one has to be acknowledged.
    Partly,
    /// The whole flight.
    Whole(Vec<u8>),
}

impl Assembly {
    /// Adds a fragment.
    ///
    /// The length may be told with any fragment, as long as it is the same: supplicants differ. The first of several
    /// must tell it.
    ///
    /// # Errors
    /// [`FragmentFault`]; the conversation is over.
    /// Source: RFC 5216 section 2.1.5, RFC 9190 section 2.1.9.
    pub fn push(&mut self, fragment: &Fragment<'_>) -> Result<Assembled, FragmentFault> {
        if fragment.start {
            return Err(FragmentFault::Start);
        }
        match (self.total, fragment.total) {
            (Some(before), Some(told)) if before != told => return Err(FragmentFault::TotalChanged),
            (None, Some(_)) if !self.octets.is_empty() => return Err(FragmentFault::TotalChanged),
            (None, None) if fragment.more => return Err(FragmentFault::NoTotal),
            (None, told) => self.total = told,
            _ => {}
        }
        let total = self.total.map(|total| usize::try_from(total).unwrap_or(usize::MAX));
        let length = self.octets.len().saturating_add(fragment.octets.len());
        if length > limits::TLS_MESSAGE_OCTETS_MAX || total.is_some_and(|total| total > limits::TLS_MESSAGE_OCTETS_MAX)
        {
            return Err(FragmentFault::TooLong);
        }
        if total.is_some_and(|total| length > total) {
            return Err(FragmentFault::BeyondTotal);
        }
        self.octets.extend_from_slice(fragment.octets);
        if fragment.more {
            return Ok(Assembled::Partly);
        }
        if total.is_some_and(|total| length < total) {
            return Err(FragmentFault::BelowTotal);
        }
        self.total = None;
        Ok(Assembled::Whole(std::mem::take(&mut self.octets)))
    }
}

/// A flight that is being sent.
#[derive(Debug)]
pub struct Outgoing {
    octets: Vec<u8>,
    sent: usize,
    packet_octets_max: usize,
}

impl Outgoing {
    /// `packet_octets_max`: the longest EAP packet, from [`packet_octets_max`].
    #[must_use]
    pub fn new(octets: Vec<u8>, packet_octets_max: usize) -> Self {
        Self { octets, sent: 0, packet_octets_max: packet_octets_max.max(limits::EAP_PACKET_OCTETS_MIN) }
    }

    /// The data of the next request. The length stands only in the first of several fragments.
    ///
    /// Source: RFC 9190 section 2.1.9 (a flight in one packet must not tell its length).
    #[must_use]
    pub fn next_data(&mut self) -> Vec<u8> {
        // The type and the flags.
        let room = self.packet_octets_max - HEADER_OCTETS - 2;
        let rest = self.octets.get(self.sent..).unwrap_or_default();
        let mut data = Vec::with_capacity(self.packet_octets_max);
        if rest.len() <= room {
            data.push(0);
            data.extend_from_slice(rest);
            self.sent = self.octets.len();
            return data;
        }
        let taken = if self.sent == 0 { room - 4 } else { room };
        if self.sent == 0 {
            data.push(LENGTH_INCLUDED | MORE);
            data.extend_from_slice(&u32::try_from(self.octets.len()).unwrap_or(u32::MAX).to_be_bytes());
        } else {
            data.push(MORE);
        }
        data.extend_from_slice(rest.get(..taken).unwrap_or(rest));
        self.sent += taken;
        data
    }

    /// Whether all of it was given out.
    #[must_use]
    pub const fn is_sent(&self) -> bool {
        self.sent >= self.octets.len()
    }

    /// Octets that were given out.
    #[must_use]
    pub const fn sent(&self) -> usize {
        self.sent
    }
}

/// The longest EAP packet for a conversation: what is configured, and what the client says that fits.
///
/// `framed_mtu`: the client's Framed-MTU; IEEE 802.11 needs four octets of it. One that leaves less than
/// [`limits::EAP_PACKET_OCTETS_MIN`] is no size of a network on which EAP works, and counts as not told: no conversation
/// would end within its rounds.
/// Source: RFC 3579 section 2.4, RFC 3580 section 3.10.
#[must_use]
pub fn packet_octets_max(fragment_size: usize, framed_mtu: Option<u32>) -> usize {
    let room = framed_mtu.map(|mtu| usize::try_from(mtu).unwrap_or(usize::MAX).saturating_sub(4));
    let fits = room.filter(|room| *room >= limits::EAP_PACKET_OCTETS_MIN);
    fragment_size.min(fits.unwrap_or(usize::MAX)).clamp(limits::EAP_PACKET_OCTETS_MIN, limits::EAP_PACKET_OCTETS_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flags(flags: u8, total: Option<u32>, octets: &[u8]) -> Vec<u8> {
        let mut data = vec![flags];
        data.extend(total.into_iter().flat_map(u32::to_be_bytes));
        data.extend_from_slice(octets);
        data
    }

    fn push(assembly: &mut Assembly, data: &[u8]) -> Result<Assembled, FragmentFault> {
        assembly.push(&Fragment::parse(data).unwrap())
    }

    #[test]
    fn flags_or_length_that_end_early_are_broken() {
        assert_eq!(Fragment::parse(&[]), Err(Broken::FragmentCut));
        assert_eq!(Fragment::parse(&[0x80, 0, 0, 1]), Err(Broken::FragmentCut));
        assert_eq!(Fragment::parse(&[0x40]), Err(Broken::EmptyFragment));
        assert_eq!(Fragment::parse(&[0xc0, 0, 0, 0, 9]), Err(Broken::EmptyFragment));
        assert!(Fragment::parse(&[0x1f]).unwrap().is_acknowledgement(), "the other bits mean nothing here");
    }

    #[test]
    fn fragments_that_contradict_themselves_are_refused() {
        let whole = |list: &[Vec<u8>]| {
            let mut assembly = Assembly::default();
            list.iter().map(|data| push(&mut assembly, data)).last().unwrap()
        };
        assert_eq!(whole(&[flags(0x20, None, b"x")]), Err(FragmentFault::Start));
        assert_eq!(whole(&[flags(0x40, None, b"x")]), Err(FragmentFault::NoTotal));
        assert_eq!(whole(&[flags(0xc0, Some(2), b"abc")]), Err(FragmentFault::BeyondTotal));
        assert_eq!(whole(&[flags(0x80, Some(4), b"abc")]), Err(FragmentFault::BelowTotal));
        assert_eq!(
            whole(&[flags(0xc0, Some(4), b"a"), flags(0x80, Some(5), b"bcd")]),
            Err(FragmentFault::TotalChanged)
        );
        assert_eq!(whole(&[flags(0xc0, Some(u32::MAX), b"a")]), Err(FragmentFault::TooLong));
        assert_eq!(whole(&[flags(0x80, Some(0x0001_0003), b"abc")]), Err(FragmentFault::TooLong));
    }

    #[test]
    fn the_length_may_be_told_with_every_fragment_or_in_a_single_one() {
        let mut assembly = Assembly::default();
        assert_eq!(push(&mut assembly, &flags(0xc0, Some(3), b"a")), Ok(Assembled::Partly));
        assert_eq!(push(&mut assembly, &flags(0xc0, Some(3), b"b")), Ok(Assembled::Partly));
        assert_eq!(push(&mut assembly, &flags(0x00, None, b"c")), Ok(Assembled::Whole(b"abc".to_vec())));
        assert_eq!(push(&mut assembly, &flags(0x80, Some(1), b"d")), Ok(Assembled::Whole(b"d".to_vec())), "a new one");
    }

    #[test]
    fn a_flight_without_end_stops_at_the_bound() {
        let mut assembly = Assembly::default();
        let total = u32::try_from(limits::TLS_MESSAGE_OCTETS_MAX).unwrap();
        let data = flags(0xc0, Some(total), &[0; 1000]);
        let mut pushed = 0;
        while push(&mut assembly, &data) == Ok(Assembled::Partly) {
            pushed += 1;
        }
        assert_eq!(pushed, limits::TLS_MESSAGE_OCTETS_MAX / 1000);
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut assembly = Assembly::default();
        push(&mut assembly, &flags(0xc0, Some(30_000), b"a")).unwrap();
        assert!(assembly.octets.capacity() < 64);
    }

    #[test]
    fn the_packet_size_follows_the_smallest_of_all() {
        assert_eq!(packet_octets_max(1024, None), 1024);
        assert_eq!(packet_octets_max(1400, Some(1000)), 996);
        assert_eq!(packet_octets_max(9000, Some(9000)), 1496);
        assert_eq!(packet_octets_max(1024, Some(104)), 100);
        assert_eq!(packet_octets_max(1, None), 100);
    }

    #[test]
    fn a_framed_mtu_is_kept_or_taken_for_nonsense() {
        for mtu in 0..2000 {
            let octets = packet_octets_max(1400, Some(mtu));
            assert!(octets + 4 <= mtu as usize || (mtu < 104 && octets == 1400), "{mtu}: {octets}");
        }
    }

    proptest! {
        #[test]
        fn what_is_cut_is_assembled_again(octets in prop::collection::vec(any::<u8>(), 0..6000), size in 0usize..2000) {
            let mut outgoing = Outgoing::new(octets.clone(), size);
            let mut assembly = Assembly::default();
            let mut first = true;
            loop {
                let data = outgoing.next_data();
                prop_assert!(data.len() + HEADER_OCTETS < size.max(limits::EAP_PACKET_OCTETS_MIN) + 1);
                let fragment = Fragment::parse(&data).unwrap();
                prop_assert_eq!(fragment.total.is_some(), first && fragment.more);
                first = false;
                match assembly.push(&fragment).unwrap() {
                    Assembled::Partly => prop_assert!(!outgoing.is_sent()),
                    Assembled::Whole(whole) => {
                        prop_assert!(outgoing.is_sent());
                        prop_assert_eq!(whole, octets);
                        break;
                    }
                }
            }
        }

        #[test]
        fn no_fragments_make_the_assembly_panic_or_grow(list in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..30)) {
            let mut assembly = Assembly::default();
            for data in list {
                if let Ok(fragment) = Fragment::parse(&data) {
                    let _ = assembly.push(&fragment);
                }
                prop_assert!(assembly.octets.len() <= limits::TLS_MESSAGE_OCTETS_MAX);
            }
        }
    }
}
