//! Identifiers of devices, parsed once at the edge into types that can't be wrong.
//!
//! Owns spelling and syntax. Where an identifier came from and whether it is proven is the engine's business.

use std::fmt;

/// An IEEE 802 MAC address: six octets, printed as `A4-C3-F0-11-22-33` (RFC 3580 section 3.21).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The octets in transmission order.
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The octets in transmission order.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Reads a MAC in any spelling that NASes use: `a4c3f0112233`, `A4-C3-F0-11-22-33`, `a4:c3:f0:11:22:33`,
    /// `a4c3.f011.2233`, `A4C3F0-112233`. Nothing may follow.
    ///
    /// The separators `-`, `:` and `.` may stand between octets; one text uses one of them only.
    #[must_use]
    #[inline]
    pub fn parse(text: &[u8]) -> Option<Self> {
        match text.len() {
            // Nearly all MACs are spelled in one of these two ways.
            17 | 12 => Self::parse_pairs(text).or_else(|| Self::parse_any(text)),
            // 12 digits and at most 5 separators; longer input can't be a MAC and is not looked at.
            13..=16 => Self::parse_any(text),
            _ => None,
        }
    }

    /// Reads six pairs of digits, with the same separator between them or none.
    fn parse_pairs(text: &[u8]) -> Option<Self> {
        let mut octets = [0u8; 6];
        let mut digits = 0;
        if let Ok(text) = <&[u8; 17]>::try_from(text) {
            let separator = text[2];
            let is_uniform = [text[5], text[8], text[11], text[14]] == [separator; 4];
            if !is_uniform || !matches!(separator, b'-' | b':' | b'.') {
                return None;
            }
            for (at, octet) in octets.iter_mut().enumerate() {
                *octet = pair(text[3 * at], text[3 * at + 1], &mut digits);
            }
        } else {
            let text = <&[u8; 12]>::try_from(text).ok()?;
            for (at, octet) in octets.iter_mut().enumerate() {
                *octet = pair(text[2 * at], text[2 * at + 1], &mut digits);
            }
        }
        (digits & NO_DIGIT == 0).then_some(Self(octets))
    }

    fn parse_any(text: &[u8]) -> Option<Self> {
        let mut octets = [0u8; 6];
        let mut digits = 0usize;
        let mut separator = None;
        let mut after_separator = true;
        for &octet in text {
            if let Some(digit) = hex_digit(octet) {
                let place = octets.get_mut(digits / 2)?;
                *place = *place << 4 | digit;
                digits += 1;
                after_separator = false;
            } else {
                let known = matches!(octet, b'-' | b':' | b'.') && *separator.get_or_insert(octet) == octet;
                if !known || after_separator || !digits.is_multiple_of(2) || digits == 12 {
                    return None;
                }
                after_separator = true;
            }
        }
        (digits == 12).then_some(Self(octets))
    }

    /// Whether the address was made up by the device ("locally administered"), as private Wi-Fi addresses are.
    #[must_use]
    pub const fn is_locally_administered(self) -> bool {
        self.0[0] & 0x02 != 0
    }

    /// Whether no device can own it: all zeros, or a group address (broadcast included). Such a value never matches.
    #[must_use]
    pub const fn is_unusable(self) -> bool {
        self.0[0] & 0x01 != 0
            || u64::from_be_bytes([0, 0, self.0[0], self.0[1], self.0[2], self.0[3], self.0[4], self.0[5]]) == 0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}-{b:02X}-{c:02X}-{d:02X}-{e:02X}-{g:02X}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A GUID of which is not yet known what it names. Printed in lower case with hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The octets in the order in which they are printed.
    #[must_use]
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The octets in the order in which they are printed.
    #[must_use]
    pub const fn octets(self) -> [u8; 16] {
        self.0
    }

    /// Reads exactly one bare GUID, `5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01`, in any case, with or without braces.
    ///
    /// The nil GUID is refused: it names nothing, and an empty key would match everybody in some services.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = match text {
            [b'{', inner @ .., b'}'] => inner,
            bare => bare,
        };
        if text.len() != 36 {
            return None;
        }
        let mut octets = [0u8; 16];
        let mut digits = 0usize;
        for (at, &octet) in text.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if octet != b'-' {
                    return None;
                }
                continue;
            }
            let place = octets.get_mut(digits / 2)?;
            *place = *place << 4 | hex_digit(octet)?;
            digits += 1;
        }
        (octets != [0; 16]).then_some(Self(octets))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of a managed device in Intune: Graph's `managedDevice.id`, `{{DeviceId}}` in certificate profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntuneId(pub Guid);

/// The device id in Entra: Graph's `azureADDeviceId`, `{{AAD_Device_ID}}` in certificate profiles. Not the object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntraId(pub Guid);

impl fmt::Display for IntuneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for EntraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a device id is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `IntuneDeviceId://<GUID>`: Microsoft's recommendation, NetScaler, SCEPman.
    IntuneDeviceId,
    /// `ID:<product>:GUID:<GUID>`, the last colon optional: Cisco ISE.
    IdGuid,
    /// `…:entra-device-id:<GUID>`: the Entra id by its name.
    EntraDeviceId,
    /// `<GUID>.<domain>`: the first label of a DNS name.
    Label,
    /// The GUID alone, or with `host/` before or a realm behind it.
    Bare,
}

/// Finds a device id in the value of an attribute: a bare GUID, or any form that certificates use, each also as
/// `mdm-tlv=device-uid=…`; any case, braces allowed.
///
/// None of the forms tells reliably whether it is the Intune or the Entra id: both are tried, Intune first.
#[must_use]
pub fn device_id_in(text: &[u8]) -> Option<Guid> {
    let text = text.trim_ascii();
    let text = after_ignoring_case(text, b"mdm-tlv=device-uid=").unwrap_or(text);
    id_in(text, true).map(|(guid, _)| guid)
}

/// Finds a device id in a text, and how it is written. `dotted`: the text may be a DNS name.
/// Source: Microsoft, "Integrate network access control with Intune"; Cisco ISE's and other vendors' forms.
pub(super) fn id_in(text: &[u8], dotted: bool) -> Option<(Guid, Form)> {
    let text = text.trim_ascii();
    if let Some(rest) = after_ignoring_case(text, b"intunedeviceid://") {
        let slashes = rest.iter().rev().take_while(|octet| **octet == b'/').count();
        return Some((Guid::parse(rest.get(..rest.len() - slashes)?)?, Form::IntuneDeviceId));
    }
    if let Some(guid) = after_id_guid(text) {
        return Some((guid, Form::IdGuid));
    }
    if let Some(guid) = after_entra_device_id(text) {
        return Some((guid, Form::EntraDeviceId));
    }
    let bare = after_ignoring_case(text, b"host/").unwrap_or(text);
    if let Some(guid) = bare.split(|octet| *octet == b'@').next().and_then(Guid::parse) {
        return Some((guid, Form::Bare));
    }
    let label = text.split(|octet| *octet == b'.').next().filter(|_| dotted)?;
    Some((Guid::parse(label)?, Form::Label))
}

/// `ID:<anything without a colon>:GUID:<GUID>`, the last colon optional.
fn after_id_guid(text: &[u8]) -> Option<Guid> {
    let rest = after_ignoring_case(text, b"id:")?;
    let colon = rest.iter().position(|octet| *octet == b':')?;
    let rest = after_ignoring_case(rest.get(colon + 1..)?, b"guid")?;
    Guid::parse(rest.strip_prefix(b":").unwrap_or(rest))
}

/// `<anything>:entra-device-id:<GUID>`.
fn after_entra_device_id(text: &[u8]) -> Option<Guid> {
    let mut parts = text.rsplit(|octet| *octet == b':');
    let (guid, name) = (parts.next()?, parts.next()?);
    if name.eq_ignore_ascii_case(b"entra-device-id") { Guid::parse(guid) } else { None }
}

fn after_ignoring_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// Set in the value of an octet that is no digit.
const NO_DIGIT: u8 = 0x80;

/// What each octet is worth as a digit.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut octet: u8 = 0;
    while octet < NO_DIGIT {
        if let Some(digit) = hex_digit(octet) {
            digits[octet as usize] = digit;
        }
        octet += 1;
    }
    digits
};

/// An octet of two digits; notes in `seen` if one of them is none.
#[inline]
fn pair(high: u8, low: u8, seen: &mut u8) -> u8 {
    let (high, low) = (DIGITS[usize::from(high)], DIGITS[usize::from(low)]);
    *seen |= high | low;
    high << 4 | low & 15
}

const fn hex_digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GUID: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";

    #[test]
    fn a_mac_is_read_in_every_spelling() {
        let expected = Some(MacAddress::new([0xa4, 0xc3, 0xf0, 0x11, 0x22, 0x33]));
        for text in [
            "a4c3f0112233",
            "A4C3F0112233",
            "A4-C3-F0-11-22-33",
            "a4:c3:f0:11:22:33",
            "a4.c3.f0.11.22.33",
            "a4c3.f011.2233",
            "a4c3-f011-2233",
            "a4c3:f011:2233",
            "a4c3f0-112233",
        ] {
            assert_eq!(MacAddress::parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_mac_is_not_read_as_one() {
        for text in [
            "",
            "a4c3f011223",
            "a4c3f01122334",
            "a4-c3-f0-11-22-33:ssid",
            "a4-c3-f0-11-22:33",
            "-a4c3f0112233",
            "a4c3f0112233-",
            "a4c3f-0112233",
            "a4--c3f0112233",
            "g4c3f0112233",
            "a4 c3 f0 11 22 33",
        ] {
            assert_eq!(MacAddress::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_to_read_a_mac_agrees_with_the_long_one(
            octets in any::<[u8; 6]>(),
            separator in prop_oneof![Just(""), Just("-"), Just(":"), Just(".")],
            is_upper in any::<bool>(),
            (at, instead) in (0_usize..40, prop_oneof![any::<u8>(), Just(b'-'), Just(b'g'), Just(b'0')]),
        ) {
            let text = octets.map(|octet| format!("{octet:02x}")).join(separator);
            let mut text = if is_upper { text.to_uppercase() } else { text }.into_bytes();
            prop_assert_eq!(MacAddress::parse(&text), Some(MacAddress::new(octets)));
            if let Some(place) = text.get_mut(at) {
                *place = instead;
            }
            prop_assert_eq!(MacAddress::parse(&text), MacAddress::parse_any(&text));
        }
    }

    #[test]
    fn a_printed_mac_reads_back() {
        let mac = MacAddress::new([0, 1, 0x0a, 0xff, 0x10, 9]);
        assert_eq!(MacAddress::parse(mac.to_string().as_bytes()), Some(mac));
    }

    /// Trap 16 of Intune's: made-up addresses are told apart, and such that name nobody.
    #[test]
    fn private_and_unusable_addresses_are_known() {
        assert!(MacAddress::new([0x02, 0, 0, 0, 0, 1]).is_locally_administered());
        assert!(!MacAddress::new([0xa4, 0, 0, 0, 0, 1]).is_locally_administered());
        assert!(MacAddress::new([0; 6]).is_unusable());
        assert!(MacAddress::new([0xff; 6]).is_unusable());
        assert!(!MacAddress::new([0xa4, 0, 0, 0, 0, 1]).is_unusable());
    }

    /// Trap 17 of Intune's: any case, with braces or without, and in attributes every form that certificates use.
    #[test]
    fn a_device_id_is_found_in_every_form_in_use() {
        let expected = Guid::parse(GUID.as_bytes());
        assert!(expected.is_some());
        for form in [
            "#",
            "{#}",
            "IntuneDeviceId://#",
            "IntuneDeviceId://#/",
            "intunedeviceid://{#}",
            "ID:Microsoft Endpoint Manager:GUID:#",
            "ID:Microsoft Endpoint Manager:GUID#",
            "id:intune:guid:#",
            "ID:Another Product:GUID:#",
            "urn:contoso:entra-device-id:#",
            "entra-device-id:#",
            "#.corp.example",
            "host/#",
            "host/#@corp.example",
            "#@corp.example",
            "mdm-tlv=device-uid=#",
            "MDM-TLV=device-uid=IntuneDeviceId://#/",
        ] {
            for id in [GUID.to_owned(), GUID.to_uppercase()] {
                let text = form.replace('#', &id);
                for text in [text.clone(), text.to_lowercase(), format!(" {text} ")] {
                    assert_eq!(device_id_in(text.as_bytes()), expected, "{text}");
                }
            }
        }
    }

    #[test]
    fn what_only_holds_a_guid_somewhere_is_no_device_id() {
        for form in ["audit-session-id=#", "https://corp.example/#", "ID:GUID:#", "#-1", "x#", "corp.example.#"] {
            assert_eq!(device_id_in(form.replace('#', GUID).as_bytes()), None, "{form}");
        }
    }

    #[test]
    fn a_nil_or_broken_guid_is_none() {
        for text in
            ["00000000-0000-0000-0000-000000000000", "5b1f0c52", "5b1f0c527d1e4a399a3b2f6f0a9d1c01", "{{DeviceId}}"]
        {
            assert_eq!(device_id_in(text.as_bytes()), None, "{text}");
        }
    }
}
