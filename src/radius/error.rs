//! What can be wrong with octets: one variant for each broken rule, with its metric label and its sentence.
//!
//! Owns the vocabulary; the files that know the rules use it. Nothing here says what to do about it, except that
//! [`Malformed`] concerns a packet and [`Invalid`] a single attribute of a good packet.

use std::{error, fmt};

/// A packet that broke a rule of the protocol: it is dropped and counted, and never answered.
///
/// Offsets count octets from the first of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// There are fewer octets than a header has.
    DatagramTooShort {
        /// Octets that came.
        octets: usize,
    },
    /// The Length field is below 20.
    LengthTooSmall {
        /// What the field says.
        length: usize,
    },
    /// The Length field is above 4096.
    LengthTooLarge {
        /// What the field says.
        length: usize,
    },
    /// The Length field promises more octets than came.
    LengthBeyondDatagram {
        /// What the field says.
        length: usize,
        /// Octets that came.
        octets: usize,
    },
    /// An attribute has type 0.
    AttributeTypeZero {
        /// Where the attribute starts.
        at: usize,
    },
    /// An attribute says that it has less than the two octets of its own header.
    AttributeTooShort {
        /// Where the attribute starts.
        at: usize,
    },
    /// An attribute is longer than what is left of the packet.
    AttributeOverrunsPacket {
        /// Where the attribute starts.
        at: usize,
    },
    /// One octet is left after the last attribute.
    OctetAfterAttributes {
        /// Where that octet is.
        at: usize,
    },
    /// There are more attributes than [`ATTRIBUTES_MAX`](crate::limits::ATTRIBUTES_MAX).
    TooManyAttributes {
        /// Where the first one too many starts.
        at: usize,
    },
    /// There is more than one Message-Authenticator.
    MessageAuthenticatorRepeated {
        /// Where the second one starts.
        at: usize,
    },
    /// A Message-Authenticator has not 16 octets.
    MessageAuthenticatorSize {
        /// Where it starts.
        at: usize,
    },
    /// An Access-Request has an EAP-Message and a password of another method.
    EapBesidePassword,
}

impl Malformed {
    /// The labels of all variants, for a list of metrics that is complete from the start.
    pub const LABELS: [&'static str; 12] = [
        "datagram-too-short",
        "length-too-small",
        "length-too-large",
        "length-beyond-datagram",
        "attribute-type-zero",
        "attribute-too-short",
        "attribute-overruns-packet",
        "octet-after-attributes",
        "too-many-attributes",
        "message-authenticator-repeated",
        "message-authenticator-size",
        "eap-beside-password",
    ];

    /// The place of this variant in [`LABELS`](Self::LABELS).
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::DatagramTooShort { .. } => 0,
            Self::LengthTooSmall { .. } => 1,
            Self::LengthTooLarge { .. } => 2,
            Self::LengthBeyondDatagram { .. } => 3,
            Self::AttributeTypeZero { .. } => 4,
            Self::AttributeTooShort { .. } => 5,
            Self::AttributeOverrunsPacket { .. } => 6,
            Self::OctetAfterAttributes { .. } => 7,
            Self::TooManyAttributes { .. } => 8,
            Self::MessageAuthenticatorRepeated { .. } => 9,
            Self::MessageAuthenticatorSize { .. } => 10,
            Self::EapBesidePassword => 11,
        }
    }

    /// The label for metrics and logs, in kebab-case.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::DatagramTooShort { .. } => "datagram-too-short",
            Self::LengthTooSmall { .. } => "length-too-small",
            Self::LengthTooLarge { .. } => "length-too-large",
            Self::LengthBeyondDatagram { .. } => "length-beyond-datagram",
            Self::AttributeTypeZero { .. } => "attribute-type-zero",
            Self::AttributeTooShort { .. } => "attribute-too-short",
            Self::AttributeOverrunsPacket { .. } => "attribute-overruns-packet",
            Self::OctetAfterAttributes { .. } => "octet-after-attributes",
            Self::TooManyAttributes { .. } => "too-many-attributes",
            Self::MessageAuthenticatorRepeated { .. } => "message-authenticator-repeated",
            Self::MessageAuthenticatorSize { .. } => "message-authenticator-size",
            Self::EapBesidePassword => "eap-beside-password",
        }
    }

    /// What is wrong, as a sentence without its full stop; the rule's source in brackets.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::DatagramTooShort { .. } => "the datagram is shorter than a header of 20 octets (RFC 2865 section 3)",
            Self::LengthTooSmall { .. } => "the Length field is below 20 (RFC 2865 section 3)",
            Self::LengthTooLarge { .. } => "the Length field is above 4096 (RFC 2865 section 3)",
            Self::LengthBeyondDatagram { .. } => "the datagram ends before its Length (RFC 2865 section 3)",
            Self::AttributeTypeZero { .. } => "an attribute has type 0 (RFC 2865 section 5)",
            Self::AttributeTooShort { .. } => "an attribute has a length below 2 (RFC 2865 section 5)",
            Self::AttributeOverrunsPacket { .. } => {
                "an attribute is longer than the rest of the packet (RFC 2865 section 5)"
            }
            Self::OctetAfterAttributes { .. } => "a single octet is left after the attributes (RFC 2865 section 5)",
            Self::TooManyAttributes { .. } => "there are more than 200 attributes",
            Self::MessageAuthenticatorRepeated { .. } => {
                "there is more than one Message-Authenticator (RFC 3579 section 3.3)"
            }
            Self::MessageAuthenticatorSize { .. } => {
                "a Message-Authenticator is not of 16 octets (RFC 3579 section 3.2)"
            }
            Self::EapBesidePassword => {
                "an EAP-Message stands beside a password of another method (RFC 3579 section 3.3)"
            }
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl error::Error for Malformed {}

/// An attribute whose inside broke a rule: it stays in the packet as raw octets and means nothing.
///
/// The packet is processed as if the attribute were unknown (RFC 6929 section 2.8), unless the engine has a better reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// A hidden password is not of 16, 32, … octets, or is longer than its attribute allows.
    PasswordSize,
    /// A salt-encrypted value is too short for its salt and one octet of length.
    SaltedTooShort,
    /// The length inside of a salt-encrypted value is larger than the value. A wrong secret looks like this too.
    SaltedLength,
    /// A Vendor-Specific attribute has no room for a vendor and one octet more.
    VendorTooShort,
    /// The attributes inside of a Vendor-Specific don't fill it exactly.
    VendorStructure,
    /// An extended attribute has no octet of data.
    ExtendedTooShort,
    /// A fragment says that more follows, and nothing of its kind does.
    FragmentMissing,
    /// A fragment says that more follows, and is not full.
    FragmentNotFull,
    /// The children of a TLV don't fill it exactly, or one is empty.
    TlvStructure,
    /// TLVs are nested deeper than [`TLV_DEPTH_MAX`](crate::limits::TLV_DEPTH_MAX).
    TlvTooDeep,
    /// A tagged integer is not of four octets.
    TaggedSize,
    /// The tag of a tagged integer is above 0x1F.
    TagRange,
}

impl Invalid {
    /// The labels of all variants.
    pub const LABELS: [&'static str; 12] = [
        "password-size",
        "salted-too-short",
        "salted-length",
        "vendor-too-short",
        "vendor-structure",
        "extended-too-short",
        "fragment-missing",
        "fragment-not-full",
        "tlv-structure",
        "tlv-too-deep",
        "tagged-size",
        "tag-range",
    ];

    /// The label for metrics and logs, in kebab-case.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::PasswordSize => "password-size",
            Self::SaltedTooShort => "salted-too-short",
            Self::SaltedLength => "salted-length",
            Self::VendorTooShort => "vendor-too-short",
            Self::VendorStructure => "vendor-structure",
            Self::ExtendedTooShort => "extended-too-short",
            Self::FragmentMissing => "fragment-missing",
            Self::FragmentNotFull => "fragment-not-full",
            Self::TlvStructure => "tlv-structure",
            Self::TlvTooDeep => "tlv-too-deep",
            Self::TaggedSize => "tagged-size",
            Self::TagRange => "tag-range",
        }
    }

    /// What is wrong, as a sentence without its full stop; the rule's source in brackets.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::PasswordSize => "a hidden password has an impossible size (RFC 2865 section 5.2)",
            Self::SaltedTooShort => "a salt-encrypted value is too short (RFC 2868 section 3.5)",
            Self::SaltedLength => "the length inside of a salt-encrypted value is too large (RFC 2868 section 3.5)",
            Self::VendorTooShort => "a Vendor-Specific attribute holds nothing (RFC 2865 section 5.26)",
            Self::VendorStructure => "the attributes in a Vendor-Specific don't fill it (RFC 8044 section 3.14)",
            Self::ExtendedTooShort => "an extended attribute holds nothing (RFC 6929 section 2.1)",
            Self::FragmentMissing => "a fragment is not followed by the next (RFC 6929 section 2.2)",
            Self::FragmentNotFull => "a fragment that is not the last is not full (RFC 6929 section 2.2)",
            Self::TlvStructure => "the children of a TLV don't fill it (RFC 6929 section 2.3)",
            Self::TlvTooDeep => "TLVs are nested too deep (RFC 6929 section 2.3.1)",
            Self::TaggedSize => "a tagged integer is not of four octets (RFC 2868 section 3.1)",
            Self::TagRange => "a tag is above 0x1F (RFC 2868 section 3.1)",
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl error::Error for Invalid {}

/// What does not fit: a value into its attribute, or an attribute into what is left of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Full {
    /// The packet has no room left.
    Packet,
    /// The value is empty, which no attribute but an EAP-Start may be (RFC 2865 section 5).
    ValueEmpty,
    /// The value is too long for its form of attribute.
    ValueTooLong,
    /// The type number is not one that this form of attribute can have.
    TypeUnfit,
}

impl Full {
    /// What does not fit, as a sentence without its full stop.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Packet => "the packet has no room left",
            Self::ValueEmpty => "the value is empty",
            Self::ValueTooLong => "the value is too long for its attribute",
            Self::TypeUnfit => "this form of attribute cannot have that type number",
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl error::Error for Full {}
