//! Who is asking, and may they ask at all: MAC bypass, Authorize-Only, and everything that is rejected before policy.
//!
//! Owns the classification of Access-Requests without EAP, and the check of a MAC bypass's password, that of EAP-MD5 too.
//! EAP conversations are held in `converse`.

use crate::{
    device::identifier::MacAddress,
    policy::facts::Method,
    radius::{hidden, kind, packet::Packet},
};

use super::{
    admit::{AUTHORIZE_ONLY, Admitted, CALL_CHECK},
    client::{Client, MabPassword, MacFrom},
    event::RejectReason,
    identity::{DeviceIds, Identity, integer, mac_of, medium_of, station_mac_of},
};

/// What a request is.
#[derive(Clone, Copy, Debug)]
pub enum Authenticated {
    /// A device that policy can judge.
    Device(Identity),
    /// Rejected before policy.
    Rejected {
        /// Why.
        reason: RejectReason,
        /// How it tried.
        method: &'static str,
        /// The MAC, as far as it is known.
        mac: Option<MacAddress>,
    },
}

/// Classifies an Access-Request and checks what it proves. `macs`: those of this request.
///
/// The device ids of an Authorize-Only request are read later, because each MDM server names its own attributes.
#[must_use]
pub fn authenticate(admitted: &Admitted<'_>, macs: &Macs, client: &Client) -> Authenticated {
    let packet = &admitted.packet;
    let method = credential_name(packet);
    if packet.has_two_credentials() {
        return reject(RejectReason::TwoCredentials, method, macs.told(client.mac_from));
    }
    let service_type = packet.value(kind::SERVICE_TYPE).and_then(integer);
    if service_type == Some(AUTHORIZE_ONLY) {
        return authorize_only(packet, macs, client);
    }
    match macs.choose(client.mac_from, service_type == Some(CALL_CHECK)) {
        Choice::Mismatch => reject(RejectReason::MacMismatch, "mab", macs.user_name),
        Choice::Bypass(mac) => match check_password(admitted, client, mac) {
            Ok(()) => Authenticated::Device(Identity {
                method: Method::Mab,
                mac,
                device_ids: DeviceIds::default(),
                medium: medium_of(packet),
            }),
            Err(reason) => reject(reason, "mab", mac.or(macs.told(client.mac_from))),
        },
        Choice::Person => {
            let has_password = packet.has_credentials() || packet.has(kind::ARAP_PASSWORD);
            let reason = if has_password { RejectReason::NoPasswordUsers } else { RejectReason::NoCredentials };
            reject(reason, method, macs.told(client.mac_from))
        }
    }
}

const fn reject(reason: RejectReason, method: &'static str, mac: Option<MacAddress>) -> Authenticated {
    Authenticated::Rejected { reason, method, mac }
}

fn credential_name(packet: &Packet<'_>) -> &'static str {
    if packet.has(kind::USER_PASSWORD) {
        "pap"
    } else if packet.has(kind::CHAP_PASSWORD) {
        "chap"
    } else if packet.has(kind::ARAP_PASSWORD) {
        "arap"
    } else {
        "none"
    }
}

/// Another server has authenticated the device and asks what it may do.
fn authorize_only(packet: &Packet<'_>, macs: &Macs, client: &Client) -> Authenticated {
    if !client.trust_authorize_only {
        return reject(RejectReason::AuthorizeOnlyNotTrusted, "authorize-only", macs.told(client.mac_from));
    }
    // A State is what RFC 5080 section 2.1.1 wants beside Authorize-Only. Whoever authenticated the device gave it, and it
    // means nothing here.
    Authenticated::Device(Identity {
        method: Method::AuthorizeOnly,
        mac: match client.mac_from {
            MacFrom::UserName => macs.user_name,
            // User-Name is whatever the front server authenticated; the device's address stands in Calling-Station-Id.
            MacFrom::Either | MacFrom::CallingStationId => macs.calling_station.or(macs.user_name),
        },
        device_ids: DeviceIds::default(),
        medium: medium_of(packet),
    })
}

/// What the two places of a device's MAC hold.
#[derive(Clone, Copy, Debug)]
pub struct Macs {
    user_name: Option<MacAddress>,
    calling_station: Option<MacAddress>,
    has_calling_station: bool,
}

enum Choice {
    /// A MAC bypass, of a device whose MAC may be unknown (Call-Check with neither attribute a MAC).
    Bypass(Option<MacAddress>),
    /// Two different MACs.
    Mismatch,
    /// Not a MAC bypass.
    Person,
}

impl Macs {
    /// Reads both places.
    #[must_use]
    pub fn read(packet: &Packet<'_>) -> Self {
        let station = packet.value(kind::CALLING_STATION_ID);
        Self {
            user_name: mac_of(packet.value(kind::USER_NAME)),
            calling_station: station_mac_of(station),
            has_calling_station: station.is_some(),
        }
    }

    /// The address that will be looked up, unless the request is refused or names its device otherwise.
    pub(super) fn likely(&self, from: MacFrom) -> Option<MacAddress> {
        match from {
            MacFrom::Either | MacFrom::UserName => self.user_name.or(self.calling_station),
            MacFrom::CallingStationId => self.calling_station,
        }
    }

    /// The address that the log names for a request that is rejected before policy: wherever one stands, it helps to find
    /// the device.
    fn told(&self, from: MacFrom) -> Option<MacAddress> {
        self.likely(from).or(self.user_name)
    }

    /// CONTRACT 2.3, "MAB".
    fn choose(&self, from: MacFrom, is_call_check: bool) -> Choice {
        match from {
            MacFrom::Either => {
                if let (Some(user), Some(calling)) = (self.user_name, self.calling_station)
                    && user != calling
                {
                    return Choice::Mismatch;
                }
                let agrees = !self.has_calling_station || self.calling_station == self.user_name;
                if is_call_check || (self.user_name.is_some() && agrees) {
                    Choice::Bypass(self.user_name.or(self.calling_station))
                } else {
                    Choice::Person
                }
            }
            // The admin has said which attribute names the device; the other one may hold anything.
            MacFrom::UserName if is_call_check || self.user_name.is_some() => Choice::Bypass(self.user_name),
            MacFrom::CallingStationId if is_call_check || self.user_name.is_some() => {
                Choice::Bypass(self.calling_station)
            }
            MacFrom::UserName | MacFrom::CallingStationId => Choice::Person,
        }
    }
}

/// The device of a MAC bypass inside of EAP-MD5, whose User-Name and identity are its MAC.
///
/// `identity`: what the device calls itself in EAP. `matches`: whether it answered with this password.
///
/// # Errors
/// Why it is rejected, and the MAC as far as it is known.
pub fn eap_md5_device(
    packet: &Packet<'_>,
    client: &Client,
    identity: &[u8],
    matches: impl Fn(&[u8]) -> bool,
) -> Result<Identity, (RejectReason, Option<MacAddress>)> {
    let macs = Macs::read(packet);
    let service_type = packet.value(kind::SERVICE_TYPE).and_then(integer);
    match macs.choose(client.mac_from, service_type == Some(CALL_CHECK)) {
        Choice::Mismatch => Err((RejectReason::MacMismatch, macs.user_name)),
        Choice::Person => Err((RejectReason::NoPasswordUsers, macs.told(client.mac_from))),
        Choice::Bypass(mac) => {
            let user_name = packet.value(kind::USER_NAME).unwrap_or(identity);
            let is_mac = matches!(client.mab_password, MabPassword::Mac)
                && mac.is_some_and(|mac| is_some_spelling(mac, &matches));
            if !is_mac && !is_right(client, mac, user_name, matches) {
                return Err((RejectReason::MabPassword, mac.or(macs.told(client.mac_from))));
            }
            Ok(Identity { method: Method::EapMd5, mac, device_ids: DeviceIds::default(), medium: medium_of(packet) })
        }
    }
}

/// The password of a MAC bypass: PAP or CHAP with the MAC, with the User-Name, with nothing, or as configured.
fn check_password(admitted: &Admitted<'_>, client: &Client, mac: Option<MacAddress>) -> Result<(), RejectReason> {
    let Admitted { packet, proof, .. } = admitted;
    let user_name = packet.value(kind::USER_NAME).unwrap_or_default();
    if let Some(hidden) = packet.first(kind::USER_PASSWORD) {
        let mut room: hidden::HiddenBuffer = [0; 253];
        let password = proof
            .reveal_password(hidden, packet, &client.secret, &mut room)
            .map_err(|_| RejectReason::BadPasswordAttribute)?;
        return if is_right(client, mac, user_name, |candidate| hidden::is_equal(candidate, password))
            || (matches!(client.mab_password, MabPassword::Mac) && mac.is_some() && MacAddress::parse(password) == mac)
        {
            Ok(())
        } else {
            Err(RejectReason::MabPassword)
        };
    }
    if let Some(chap) = packet.first(kind::CHAP_PASSWORD) {
        if chap.len() != 17 {
            return Err(RejectReason::BadPasswordAttribute);
        }
        let challenge = packet.value(kind::CHAP_CHALLENGE).unwrap_or_else(|| packet.authenticator());
        let matches = |candidate: &[u8]| hidden::chap_matches(chap, challenge, candidate);
        return if is_right(client, mac, user_name, matches)
            || (matches!(client.mab_password, MabPassword::Mac)
                && mac.is_some_and(|mac| is_some_spelling(mac, matches)))
        {
            Ok(())
        } else {
            Err(RejectReason::MabPassword)
        };
    }
    if packet.has(kind::ARAP_PASSWORD) {
        // A password after all, and one that nobody here can check.
        return Err(RejectReason::BadPasswordAttribute);
    }
    // No password at all; the request is signed, or it would not have been admitted.
    match client.mab_password {
        MabPassword::Configured(_) => Err(RejectReason::MabPassword),
        MabPassword::Mac | MabPassword::Any => Ok(()),
    }
}

fn is_right(client: &Client, mac: Option<MacAddress>, user_name: &[u8], matches: impl Fn(&[u8]) -> bool) -> bool {
    match &client.mab_password {
        MabPassword::Any => true,
        MabPassword::Configured(password) => matches(password),
        // The MAC as it stands in User-Name is by far the most common.
        MabPassword::Mac => matches(user_name) || (matches(b"") && (mac.is_some() || !user_name.is_empty())),
    }
}

/// Tries a MAC in every spelling: CHAP does not tell which one was hashed.
fn is_some_spelling(mac: MacAddress, matches: impl Fn(&[u8]) -> bool) -> bool {
    const UPPER: &[u8; 16] = b"0123456789ABCDEF";
    const LOWER: &[u8; 16] = b"0123456789abcdef";
    // Octets in a group, and what stands between groups.
    const GROUPINGS: [(usize, u8); 8] =
        [(6, b'-'), (1, b'-'), (1, b':'), (1, b'.'), (2, b'.'), (2, b'-'), (2, b':'), (3, b'-')];
    for digits in [LOWER, UPPER] {
        for (group, separator) in GROUPINGS {
            let mut text = [0u8; 17];
            let mut length = 0;
            let mut put = |octet: u8| {
                if let Some(place) = text.get_mut(length) {
                    *place = octet;
                    length += 1;
                }
            };
            for (at, octet) in mac.octets().into_iter().enumerate() {
                if at > 0 && at.is_multiple_of(group) {
                    put(separator);
                }
                put(digits[usize::from(octet >> 4)]);
                put(digits[usize::from(octet & 15)]);
            }
            if matches(text.get(..length).unwrap_or_default()) {
                return true;
            }
        }
    }
    false
}
