//! The methods of EAP by number, and which of them a Nak asks for.
//!
//! Owns the numbers. What the methods say stands in their own files.

/// The type of a request or response, without its expanded spelling.
///
/// Source: RFC 3748 section 5, RFC 5216, RFC 9190; IANA, EAP method types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(pub u8);

impl Method {
    /// Who the peer says it is.
    pub const IDENTITY: Self = Self(1);
    /// A text for people.
    pub const NOTIFICATION: Self = Self(2);
    /// "Not this method": only in responses.
    pub const NAK: Self = Self(3);
    /// A challenge and its MD5 (RFC 3748 section 5.4). Only for MAC bypass.
    pub const MD5: Self = Self(4);
    /// A TLS handshake with both certificates.
    pub const TLS: Self = Self(13);
    /// A type of four octets and a vendor follow.
    pub const EXPANDED: Self = Self(254);

    /// The name in messages; unknown ones by their number.
    #[must_use]
    pub fn name(self) -> String {
        match self.0 {
            1 => "Identity".into(),
            2 => "Notification".into(),
            3 => "Nak".into(),
            4 => "EAP-MD5".into(),
            6 => "EAP-GTC".into(),
            13 => "EAP-TLS".into(),
            17 => "LEAP".into(),
            21 => "EAP-TTLS".into(),
            25 => "PEAP".into(),
            26 => "EAP-MSCHAPv2".into(),
            43 => "EAP-FAST".into(),
            52 => "EAP-PWD".into(),
            55 => "TEAP".into(),
            number => format!("EAP type {number}"),
        }
    }
}

/// What a peer wants instead, in its order. Bound: `Self::KEPT`; nobody supports more methods than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    list: [u8; Self::KEPT],
    count: u8,
}

impl Wanted {
    const KEPT: usize = 8;

    /// What a Nak lists: one octet for each type, 0 for "nothing".
    ///
    /// Source: RFC 3748 section 5.3.1.
    #[must_use]
    pub fn legacy(data: &[u8]) -> Self {
        let mut wanted = Self::default();
        data.iter().for_each(|number| wanted.push(*number));
        wanted
    }

    /// What an expanded Nak lists: eight octets for each type. Types of vendors are passed over: none of them is ours.
    ///
    /// Source: RFC 3748 section 5.3.2.
    #[must_use]
    pub fn expanded(data: &[u8]) -> Self {
        let mut wanted = Self::default();
        for item in data.as_chunks::<8>().0 {
            if let [254, 0, 0, 0, 0, 0, 0, number] = item {
                wanted.push(*number);
            }
        }
        wanted
    }

    fn push(&mut self, number: u8) {
        if number != 0
            && let Some(place) = self.list.get_mut(usize::from(self.count))
        {
            *place = number;
            self.count += 1;
        }
    }

    /// Whether `method` is among them.
    #[must_use]
    pub fn contains(&self, method: Method) -> bool {
        self.iter().any(|wanted| wanted == method)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Method> + '_ {
        self.list.iter().take(usize::from(self.count)).map(|number| Method(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nak_lists_what_is_wanted_in_order() {
        let wanted = Wanted::legacy(&[13, 4]);
        assert_eq!(wanted.iter().collect::<Vec<_>>(), [Method::TLS, Method::MD5]);
        assert_eq!(Wanted::legacy(&[0]).iter().count(), 0);
    }

    #[test]
    fn an_expanded_nak_lists_vendor_zero_only() {
        let data = [[254, 0, 0, 0, 0, 0, 0, 13], [254, 0, 1, 55, 0, 0, 0, 4], [254, 0, 0, 0, 0, 0, 0, 4]].concat();
        assert_eq!(Wanted::expanded(&data).iter().collect::<Vec<_>>(), [Method::TLS, Method::MD5]);
        assert_eq!(Wanted::expanded(&data[..15]).iter().count(), 1);
    }

    #[test]
    fn a_nak_of_any_length_keeps_eight() {
        assert_eq!(Wanted::legacy(&[25; 200]).iter().count(), 8);
    }
}
