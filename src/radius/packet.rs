//! A checked packet, borrowed from the octets that came.
//!
//! Owns the rules of the header and of the walk over the attributes. Whether the packet is authentic, welcome or sensible
//! is not asked here, and nothing inside of an attribute can make a packet malformed.

use super::{
    attribute::{Attribute, Attributes},
    code::Code,
    error::Malformed,
    kind,
};
use crate::limits::{ATTRIBUTES_MAX, HEADER_OCTETS, PACKET_OCTETS_MAX};

/// A packet that obeys the rules of RFC 2865 sections 3 and 5 and of RFC 3579 sections 3.2 and 3.3.
///
/// It is a view: it copies nothing and allocates nothing.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    octets: &'a [u8],
    header: &'a [u8; HEADER_OCTETS],
    present: KindSet,
    firsts: Firsts,
    /// Where the value of the Message-Authenticator starts; 0 if there is none.
    message_authenticator: usize,
    /// How many of User-Password, CHAP-Password and ARAP-Password there are.
    passwords: usize,
}

impl<'a> Packet<'a> {
    /// Checks the octets of one datagram.
    ///
    /// Octets after the Length of the header are padding and are ignored.
    ///
    /// # Errors
    /// [`Malformed`], one variant for each rule. An EAP-Message beside a password is only looked for in an
    /// Access-Request, because a Status-Server's credentials have to be ignored (RFC 5997 section 3).
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let packet = Self::walk(datagram)?;
        if packet.code() == Code::ACCESS_REQUEST && packet.passwords > 0 && packet.has(kind::EAP_MESSAGE) {
            return Err(Malformed::EapBesidePassword);
        }
        Ok(packet)
    }

    #[inline]
    pub(super) fn walk(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let Some(header) = datagram.first_chunk::<HEADER_OCTETS>() else {
            return Err(Malformed::DatagramTooShort { octets: datagram.len() });
        };
        let octets = cut_to_length(datagram, header)?;
        let mut packet = Packet {
            octets,
            header,
            present: KindSet::EMPTY,
            firsts: Firsts::NONE,
            message_authenticator: 0,
            passwords: 0,
        };
        let mut rest = octets.get(HEADER_OCTETS..).unwrap_or_default();
        let mut at = HEADER_OCTETS;
        let mut count = 0;
        while let [kind, length, ..] = *rest {
            let length = usize::from(length);
            if kind == 0 {
                return Err(Malformed::AttributeTypeZero { at });
            }
            if length < 2 {
                return Err(Malformed::AttributeTooShort { at });
            }
            let Some(after) = rest.get(length..) else {
                return Err(Malformed::AttributeOverrunsPacket { at });
            };
            count += 1;
            if count > ATTRIBUTES_MAX {
                return Err(Malformed::TooManyAttributes { at });
            }
            packet.note(kind, length, at)?;
            at += length;
            rest = after;
        }
        if !rest.is_empty() {
            return Err(Malformed::OctetAfterAttributes { at });
        }
        Ok(packet)
    }

    #[inline]
    fn note(&mut self, kind: u8, length: usize, at: usize) -> Result<(), Malformed> {
        self.present.insert(kind);
        self.firsts.note(kind, at);
        match kind {
            kind::MESSAGE_AUTHENTICATOR => {
                if length != 18 {
                    return Err(Malformed::MessageAuthenticatorSize { at });
                }
                if self.message_authenticator != 0 {
                    return Err(Malformed::MessageAuthenticatorRepeated { at });
                }
                self.message_authenticator = at + 2;
            }
            kind::USER_PASSWORD | kind::CHAP_PASSWORD | kind::ARAP_PASSWORD => self.passwords += 1,
            _ => {}
        }
        Ok(())
    }

    /// What kind of packet it is.
    #[inline]
    #[must_use]
    pub const fn code(&self) -> Code {
        Code(self.header[0])
    }

    /// The octet that pairs a reply with its request.
    #[inline]
    #[must_use]
    pub const fn identifier(&self) -> u8 {
        self.header[1]
    }

    /// The authenticator of the header.
    #[inline]
    #[must_use]
    pub fn authenticator(&self) -> &'a [u8; 16] {
        self.header.last_chunk::<16>().expect("a header has 20 octets")
    }

    /// All octets of the packet, without padding after it.
    #[inline]
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Whether there is an attribute of this type.
    #[inline]
    #[must_use]
    pub fn has(&self, kind: u8) -> bool {
        self.present.contains(kind)
    }

    /// All attributes in their order.
    #[inline]
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.octets.get(HEADER_OCTETS..).unwrap_or_default(), HEADER_OCTETS)
    }

    /// All attributes from the first of this type on, or from one before it; none if there is none of it.
    #[inline]
    #[must_use]
    pub fn since_first(&self, kind: u8) -> Attributes<'a> {
        if !self.has(kind) {
            return Attributes::new(&[], 0);
        }
        let at = self.firsts.at_or_before(kind);
        Attributes::new(self.octets.get(at..).unwrap_or_default(), at)
    }

    /// The value of the first attribute of this type.
    #[inline]
    #[must_use]
    pub fn first(&self, kind: u8) -> Option<&'a [u8]> {
        self.since_first(kind).find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// The first value of this type that says anything. An attribute with no octets in it must not be sent, and is taken as
    /// if it was not there; [`Self::first`] is for the few in which it has a meaning.
    ///
    /// Source: RFC 2865 section 5.
    #[inline]
    #[must_use]
    pub fn value(&self, kind: u8) -> Option<&'a [u8]> {
        self.all(kind).find(|value| !value.is_empty())
    }

    /// The values of all attributes of this type, in their order.
    #[inline]
    pub fn all(&self, kind: u8) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.since_first(kind)
            .filter(move |attribute: &Attribute<'a>| attribute.kind == kind)
            .map(|attribute| attribute.value)
    }

    /// Appends the values of all attributes of this type to `out`, as one value.
    ///
    /// EAP-Message and NAS-Filter-Rule are meant so. Fragments that are not neighbours are joined all the same.
    /// Source: RFC 3579 section 3.1, RFC 8044 section 3.6.
    pub fn join(&self, kind: u8, out: &mut Vec<u8>) {
        for value in self.all(kind) {
            out.extend_from_slice(value);
        }
    }

    /// Where the 16 octets of the Message-Authenticator start, if there is one.
    #[inline]
    #[must_use]
    pub const fn message_authenticator(&self) -> Option<usize> {
        if self.message_authenticator == 0 { None } else { Some(self.message_authenticator) }
    }

    /// Whether there is something that can be checked: a User-Password, a CHAP-Password or an EAP-Message.
    ///
    /// ARAP-Password is none of them: nobody here can check one, so that it shows nothing about its sender.
    #[inline]
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.has(kind::USER_PASSWORD) || self.has(kind::CHAP_PASSWORD) || self.has(kind::EAP_MESSAGE)
    }

    /// Whether there is more than one password, of one kind or of several: a request that is to be rejected.
    ///
    /// EAP beside a password is another matter: such an Access-Request is [`Malformed::EapBesidePassword`].
    /// Source: RFC 2865 section 4.1, RFC 3579 section 3.3.
    #[inline]
    #[must_use]
    pub const fn has_two_credentials(&self) -> bool {
        self.passwords > 1
    }
}

impl std::fmt::Debug for Packet<'_> {
    /// Shows no values: passwords and identifiers of devices are among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packet")
            .field("code", &self.code())
            .field("identifier", &self.identifier())
            .field("octets", &self.octets.len())
            .finish_non_exhaustive()
    }
}

#[inline]
fn cut_to_length<'a>(datagram: &'a [u8], header: &[u8; HEADER_OCTETS]) -> Result<&'a [u8], Malformed> {
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if length < HEADER_OCTETS {
        return Err(Malformed::LengthTooSmall { length });
    }
    if length > PACKET_OCTETS_MAX {
        return Err(Malformed::LengthTooLarge { length });
    }
    datagram.get(..length).ok_or(Malformed::LengthBeyondDatagram { length, octets: datagram.len() })
}

/// Which of the 256 types are there: one bit each.
#[derive(Clone, Copy)]
struct KindSet([u64; 4]);

impl KindSet {
    const EMPTY: Self = Self([0; 4]);

    #[inline]
    fn insert(&mut self, kind: u8) {
        if let Some(word) = self.0.get_mut(usize::from(kind >> 6)) {
            *word |= 1 << (kind & 63);
        }
    }

    #[inline]
    fn contains(&self, kind: u8) -> bool {
        self.0.get(usize::from(kind >> 6)).is_some_and(|word| word & (1 << (kind & 63)) != 0)
    }
}

/// Types that are looked for in most requests, some of them several times.
const SOUGHT: [u8; PLACES - 1] = [
    kind::USER_NAME,
    kind::USER_PASSWORD,
    kind::CHAP_PASSWORD,
    kind::NAS_IP_ADDRESS,
    kind::NAS_PORT,
    kind::SERVICE_TYPE,
    kind::STATE,
    kind::VENDOR_SPECIFIC,
    kind::CALLED_STATION_ID,
    kind::CALLING_STATION_ID,
    kind::NAS_IDENTIFIER,
    kind::PROXY_STATE,
    kind::NAS_PORT_TYPE,
    kind::EAP_MESSAGE,
    kind::NAS_PORT_ID,
];

/// Places of [`Firsts`].
const PLACES: usize = 16;

/// The place of each type; all that are not sought share the last.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the compiler computes it, and would tell"
)]
const PLACE_OF: [u8; 256] = {
    let mut places = [PLACES as u8 - 1; 256];
    let mut place = 0;
    while place < SOUGHT.len() {
        places[SOUGHT[place] as usize] = place as u8;
        place += 1;
    }
    places
};

/// Where the first attribute of each [sought](SOUGHT) type stands, and the first of all others; 0 if there is none.
///
/// The walk that checks a packet passes all of them anyhow; each later walk from the front would cost as much again.
#[derive(Clone, Copy)]
struct Firsts([u16; PLACES]);

impl Firsts {
    const NONE: Self = Self([0; PLACES]);

    #[inline]
    fn place(kind: u8) -> usize {
        PLACE_OF.get(usize::from(kind)).map_or(0, |place| usize::from(*place) % PLACES)
    }

    #[inline]
    fn note(&mut self, kind: u8, at: usize) {
        if let Some(first) = self.0.get_mut(Self::place(kind))
            && *first == 0
        {
            // The longest packet has 4,096 octets.
            *first = u16::try_from(at).unwrap_or(0);
        }
    }

    /// Where the first attribute of a type that is there stands, or one before it.
    #[inline]
    fn at_or_before(&self, kind: u8) -> usize {
        self.0.get(Self::place(kind)).map_or(0, |at| usize::from(*at)).max(HEADER_OCTETS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn datagram(code: u8, attributes: &[u8]) -> Vec<u8> {
        let mut octets = vec![code, 7, 0, 0];
        octets.extend([0xA5; 16]);
        octets.extend(attributes);
        let length = u16::try_from(octets.len()).unwrap();
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        octets
    }

    fn message_authenticator() -> Vec<u8> {
        [&[80, 18][..], &[0; 16]].concat()
    }

    /// For every rule a datagram that breaks it and no other.
    fn broken() -> Vec<(Vec<u8>, Malformed)> {
        let mut short_length = datagram(1, &[]);
        short_length[3] = 19;
        let mut long_length = datagram(1, &[0; 5000]);
        long_length[2..4].copy_from_slice(&4097u16.to_be_bytes());
        let mut early_end = datagram(1, &[1, 3, 7]);
        early_end.pop();
        vec![
            (vec![], Malformed::DatagramTooShort { octets: 0 }),
            (vec![1; 19], Malformed::DatagramTooShort { octets: 19 }),
            (short_length, Malformed::LengthTooSmall { length: 19 }),
            (long_length, Malformed::LengthTooLarge { length: 4097 }),
            (early_end, Malformed::LengthBeyondDatagram { length: 23, octets: 22 }),
            (datagram(1, &[1, 3, 7, 0, 3, 7]), Malformed::AttributeTypeZero { at: 23 }),
            (datagram(1, &[1, 0]), Malformed::AttributeTooShort { at: 20 }),
            (datagram(1, &[1, 1]), Malformed::AttributeTooShort { at: 20 }),
            (datagram(1, &[1, 3, 7, 24, 16, 1]), Malformed::AttributeOverrunsPacket { at: 23 }),
            (datagram(1, &[1, 3, 7, 24]), Malformed::OctetAfterAttributes { at: 23 }),
            (datagram(1, &[33, 2].repeat(201)), Malformed::TooManyAttributes { at: 420 }),
            (
                datagram(1, &[message_authenticator(), message_authenticator()].concat()),
                Malformed::MessageAuthenticatorRepeated { at: 38 },
            ),
            (datagram(1, &[&[80, 17][..], &[0; 15]].concat()), Malformed::MessageAuthenticatorSize { at: 20 }),
            (datagram(1, &[&[80, 19][..], &[0; 17]].concat()), Malformed::MessageAuthenticatorSize { at: 20 }),
            (datagram(1, &[79, 3, 1, 3, 3, 1]), Malformed::EapBesidePassword),
        ]
    }

    #[test]
    fn each_broken_rule_has_its_own_error() {
        for (octets, expected) in broken() {
            assert_eq!(Packet::parse(&octets).err(), Some(expected));
        }
    }

    #[test]
    fn each_error_has_a_datagram_that_provokes_it_and_a_label_and_a_sentence() {
        let mut seen = [false; Malformed::LABELS.len()];
        for (_, error) in broken() {
            seen[error.index()] = true;
            assert_eq!(error.label(), Malformed::LABELS[error.index()]);
            assert!(!error.sentence().is_empty());
        }
        let too_many = Malformed::TooManyAttributes { at: 0 };
        assert!(too_many.sentence().contains(&ATTRIBUTES_MAX.to_string()));
        assert_eq!(seen, [true; Malformed::LABELS.len()]);
    }

    #[test]
    fn octets_after_the_length_are_ignored() {
        let mut padded = datagram(1, &[1, 3, 7]);
        padded.extend([0; 9]);
        let packet = Packet::parse(&padded).unwrap();
        assert_eq!(packet.octets().len(), 23);
        assert_eq!(packet.attributes().count(), 1);
    }

    #[test]
    fn the_longest_packet_and_the_most_attributes_are_accepted() {
        let longest = [&[26, 255][..], &[0; 253]].concat().repeat(15);
        let rest = 4096 - 20 - longest.len();
        let mut attributes = longest;
        attributes.extend([26, u8::try_from(rest).unwrap()]);
        attributes.resize(4096 - 20, 0);
        assert_eq!(Packet::parse(&datagram(1, &attributes)).unwrap().octets().len(), 4096);
        assert_eq!(Packet::parse(&datagram(1, &[33, 2].repeat(200))).unwrap().attributes().count(), 200);
    }

    #[test]
    fn the_walk_finds_the_message_authenticator_wherever_it_stands() {
        let last = [&[1, 3, 7][..], &message_authenticator()].concat();
        assert_eq!(Packet::parse(&datagram(1, &last)).unwrap().message_authenticator(), Some(25));
        assert_eq!(Packet::parse(&datagram(1, &message_authenticator())).unwrap().message_authenticator(), Some(22));
        assert_eq!(Packet::parse(&datagram(1, &[])).unwrap().message_authenticator(), None);
    }

    #[test]
    fn two_passwords_are_told_and_eap_with_a_password_only_matters_in_an_access_request() {
        let pap_and_chap = datagram(1, &[2, 3, 1, 3, 3, 1]);
        assert!(Packet::parse(&pap_and_chap).unwrap().has_two_credentials());
        let twice = datagram(1, &[2, 3, 1, 2, 3, 1]);
        assert!(Packet::parse(&twice).unwrap().has_two_credentials());
        let fragments = datagram(1, &[79, 3, 1, 79, 3, 1]);
        assert!(!Packet::parse(&fragments).unwrap().has_two_credentials());
        assert!(Packet::parse(&datagram(12, &[79, 3, 1, 2, 3, 1])).is_ok());
    }

    #[test]
    fn a_value_of_no_octets_is_passed_over() {
        let octets = datagram(1, &[33, 2, 33, 3, 7, 11, 2]);
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!((packet.first(33), packet.value(33)), (Some(&[][..]), Some(&[7][..])));
        assert_eq!((packet.has(11), packet.value(11), packet.value(1)), (true, None, None));
    }

    #[test]
    fn what_nobody_can_check_is_no_credential_but_still_one_password_too_many() {
        let has = |attributes: &[u8]| Packet::parse(&datagram(1, attributes)).unwrap().has_credentials();
        assert!(has(&[2, 3, 1]) && has(&[3, 3, 1]) && has(&[79, 2]));
        assert!(!has(&[70, 18, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) && !has(&[1, 3, 1]));
        assert!(Packet::parse(&datagram(1, &[70, 3, 1, 2, 3, 1])).unwrap().has_two_credentials());
    }

    #[test]
    fn values_are_found_by_type_in_their_order() {
        let octets = datagram(1, &[33, 3, 1, 1, 3, 9, 33, 3, 2]);
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!(packet.first(33), Some(&[1][..]));
        assert_eq!(packet.all(33).collect::<Vec<_>>(), [[1], [2]]);
        assert_eq!(packet.first(2), None);
        assert_eq!(packet.all(2).count(), 0);
        let mut joined = Vec::new();
        packet.join(33, &mut joined);
        assert_eq!(joined, [1, 2]);
    }

    proptest! {
        #[test]
        fn random_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let _ = Packet::parse(&octets);
        }

        #[test]
        fn values_are_those_of_a_walk_from_the_front(
            // Types that are sought and others, again and again.
            attributes in proptest::collection::vec(
                (prop_oneof![Just(1_u8), Just(26), Just(31), Just(33), Just(87), 7_u8..12], 0_u8..4),
                0..30,
            ),
        ) {
            let lay = |(at, (kind, size)): (usize, &(u8, u8))| {
                let value = std::iter::repeat_n(u8::try_from(at).unwrap(), usize::from(*size));
                [*kind, size + 2].into_iter().chain(value).collect::<Vec<_>>()
            };
            let octets = datagram(1, &attributes.iter().enumerate().flat_map(lay).collect::<Vec<_>>());
            let packet = Packet::parse(&octets).unwrap();
            for kind in 0..=255 {
                let of_kind = packet.attributes().filter(|attribute| attribute.kind == kind);
                let values: Vec<_> = of_kind.map(|attribute| attribute.value).collect();
                prop_assert_eq!(packet.first(kind), values.first().copied());
                prop_assert_eq!(packet.all(kind).collect::<Vec<_>>(), values);
            }
        }

        #[test]
        fn a_packet_holds_exactly_the_attributes_that_its_octets_hold(
            code in any::<u8>(),
            attributes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let octets = datagram(code, &attributes);
            if let Ok(packet) = Packet::parse(&octets) {
                prop_assert!(packet.attributes().is_well_formed());
                for kind in 0..=255 {
                    let found = packet.attributes().any(|attribute| attribute.kind == kind);
                    prop_assert_eq!(packet.has(kind), found);
                    prop_assert_eq!(packet.first(kind).is_some(), found);
                }
            }
        }
    }
}
