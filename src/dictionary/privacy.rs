//! Which attributes never stand in a log.
//!
//! Owns the list. What else must not be shown of a text is the matter of whoever writes it.

use super::{
    path::{Path, Space},
    types::{DataType, Encryption, Flags},
};
use crate::radius::kind;

/// Standard attributes that hold credentials, keys, or what only serves the protocol.
const PRIVATE: [u8; 10] = [
    kind::USER_PASSWORD,
    kind::CHAP_PASSWORD,
    kind::STATE,
    kind::PROXY_STATE,
    kind::CHAP_CHALLENGE,
    kind::EAP_MESSAGE,
    kind::MESSAGE_AUTHENTICATOR,
    kind::TUNNEL_PASSWORD,
    // ARAP-Password and ARAP-Security-Data (RFC 2869 sections 5.4 and 5.5).
    70,
    74,
];

/// Parts of names of vendors' attributes that hold secrets.
const PRIVATE_NAMES: [&str; 7] = ["password", "passphrase", "psk", "secret", "ms-chap", "mppe", "-pw"];

/// Whether an attribute never stands in a log. Asked once for each when a dictionary is made: a line is written for
/// every request, and must not search names.
pub(super) fn is_private(name: &str, path: &Path, data_type: DataType, flags: Flags) -> bool {
    // Attributes that hold others: what is inside is judged by its own name, and what can't be taken apart by none.
    let holds_others = matches!(
        data_type,
        DataType::VendorSpecific
            | DataType::Tlv
            | DataType::Extended
            | DataType::LongExtended
            | DataType::ExtendedVendor
    );
    holds_others
        || flags.secret
        || flags.encryption != Encryption::None
        || match path.space() {
            Space::Standard(_) => is_private_number(path),
            _ => {
                let name = name.to_ascii_lowercase();
                PRIVATE_NAMES.iter().any(|part| name.contains(part))
            }
        }
}

/// Whether the standard attribute at this place never stands in a log, whatever it is called.
#[must_use]
pub fn is_private_number(path: &Path) -> bool {
    matches!(path.space(), Space::Standard(number) if PRIVATE.contains(&number))
}
