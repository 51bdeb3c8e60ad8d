//! What one profile sends to clients of one vendor, encoded as far as it can be before the request is known.
//!
//! Owns writing it into a reply without allocation. How it was made is the matter of `render`.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use super::summary::{Line, Summary};
use crate::{
    limits::VALUE_OCTETS_MAX,
    policy::{acl::Download, decision::Access},
    problem::Problems,
    radius::{
        buffer::PacketBuffer,
        error::Full,
        hidden::{self, HiddenBuffer, Salt},
        kind,
        secret::Secret,
        tag::Tag,
    },
};

/// What one profile, or several merged ones, sends to the clients of one vendor.
pub struct ReplyPlan {
    pub(super) access: Access,
    /// Whole attributes in their order.
    pub(super) fixed: Box<[u8]>,
    /// What is put between them, in the order of its places.
    pub(super) inserts: Box<[Insert]>,
    pub(super) octets_max: usize,
    pub(super) summary: Summary,
    pub(super) lines: Box<[Line]>,
    pub(super) downloads: Box<[Arc<Download>]>,
}

/// A part that is known only with the request.
pub(super) struct Insert {
    /// Before which octet of the fixed ones it goes.
    pub(super) at: usize,
    pub(super) part: Part,
}

/// The kinds of such parts.
pub(super) enum Part {
    /// Whole attributes that may not stand beside an EAP-Message (RFC 3579 section 2.6.5).
    NotBesideEap(Box<[u8]>),
    /// One text attribute with facts in it.
    Text { header: Header, pieces: Box<[TextPiece]>, escaped: bool, beside_eap: bool },
    /// One attribute that is hidden with the secret.
    Hidden { header: Header, hiding: Hiding, plain: Zeroizing<Box<[u8]>> },
}

/// A piece of a text attribute.
pub(super) enum TextPiece {
    Octets(Box<[u8]>),
    Fact(FactId),
}

/// How a value is hidden.
#[derive(Clone, Copy)]
pub(super) enum Hiding {
    /// As User-Password.
    Password,
    /// With a salt.
    Salted,
    /// With a tag and a salt.
    TaggedSalted(Tag),
}

/// What stands before the value of one attribute: type and length, and in attribute 26 the vendor's too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The attribute's number, or the vendor's number for it.
    pub(super) number: u8,
    /// The vendor, for attributes inside of 26.
    pub(super) vendor: Option<u32>,
    /// A tag octet before the value.
    pub(super) tag: Option<u8>,
}

impl Header {
    /// How many octets a value can have.
    pub(super) fn value_octets_max(self) -> usize {
        VALUE_OCTETS_MAX - if self.vendor.is_some() { 6 } else { 0 } - usize::from(self.tag.is_some())
    }

    /// Appends the attribute.
    fn push(self, value: &[u8], out: &mut PacketBuffer) -> Result<(), Full> {
        let mut whole = [0; VALUE_OCTETS_MAX];
        let mut used = 0;
        let mut put = |octets: &[u8]| {
            let room = whole.get_mut(used..used + octets.len()).ok_or(Full::ValueTooLong)?;
            room.copy_from_slice(octets);
            used += octets.len();
            Ok(())
        };
        if value.is_empty() {
            return Err(Full::ValueEmpty);
        }
        if let Some(vendor) = self.vendor {
            put(&vendor.to_be_bytes())?;
            let length = value.len() + 2 + usize::from(self.tag.is_some());
            put(&[self.number, u8::try_from(length).map_err(|_| Full::ValueTooLong)?])?;
        }
        if let Some(tag) = self.tag {
            put(&[tag])?;
        }
        put(value)?;
        let kind = if self.vendor.is_some() { kind::VENDOR_SPECIFIC } else { self.number };
        out.push(kind, whole.get(..used).unwrap_or_default())
    }
}

/// A fact that an attribute refers to: a number that whoever resolved the name understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactId(pub u32);

/// Knows the names of facts while plans are made.
pub trait FactNames {
    /// The fact of this name.
    ///
    /// # Errors
    /// What is wrong with the name, and after a semicolon what to do.
    fn resolve(&mut self, name: &str, problems: &Problems) -> Result<FactId, String>;
}

/// Knows the facts of one request.
pub trait FactSource {
    /// Writes the fact as text. An absent fact writes nothing; false says so.
    ///
    /// # Errors
    /// When `out` takes no more.
    fn write(&self, fact: FactId, out: &mut dyn fmt::Write) -> Result<bool, fmt::Error>;
}

/// What a request adds to a plan.
#[derive(Clone, Copy)]
pub struct Occasion<'a> {
    /// The facts that attributes may refer to.
    pub facts: &'a dyn FactSource,
    /// Whether the reply carries an EAP-Message.
    pub beside_eap: bool,
    /// The authenticator of the request.
    pub request_authenticator: &'a [u8; 16],
    /// The client's secret.
    pub secret: &'a Secret,
    /// The first salt to use. Every salted attribute of a reply needs its own.
    pub salt: Salt,
}

impl ReplyPlan {
    /// What happens to the request.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Appends everything to `out`, in order, and returns the next salt.
    ///
    /// Facts that are absent are empty texts; an attribute that comes out empty is left out.
    ///
    /// # Errors
    /// [`Full`] if a value or the packet grows too long: `out` is as before then, and the request must be rejected,
    /// because a reply without its redirection or its ACL would give more than was decided.
    pub fn write(&self, out: &mut PacketBuffer, occasion: &Occasion<'_>) -> Result<Salt, Full> {
        let mark = out.mark();
        let mut salt = occasion.salt;
        self.write_parts(out, occasion, &mut salt).inspect_err(|_| out.rewind(mark))?;
        Ok(salt)
    }

    fn write_parts(&self, out: &mut PacketBuffer, occasion: &Occasion<'_>, salt: &mut Salt) -> Result<(), Full> {
        let mut from = 0;
        for insert in &self.inserts {
            out.push_encoded(self.fixed.get(from..insert.at).unwrap_or_default())?;
            from = insert.at;
            insert.part.write(out, occasion, salt)?;
        }
        out.push_encoded(self.fixed.get(from..).unwrap_or_default())
    }

    /// The octets that are always the same; [`ReplyPlan::is_constant`] says whether they are all.
    #[must_use]
    pub fn fixed_octets(&self) -> &[u8] {
        &self.fixed
    }

    /// Whether nothing depends on the request.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.inserts.is_empty()
    }

    /// The octets that it takes at most.
    #[must_use]
    pub const fn octets_max(&self) -> usize {
        self.octets_max
    }

    /// What the decision log says about the reply.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The attributes for people, in their order. Secrets are not in them.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The ACLs that the client will come to download.
    #[must_use]
    pub fn downloads(&self) -> &[Arc<Download>] {
        &self.downloads
    }
}

impl fmt::Debug for ReplyPlan {
    /// Without the octets: a key can stand in the midst of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines.iter().map(ToString::to_string).collect();
        f.debug_struct("ReplyPlan").field("access", &self.access).field("lines", &lines).finish_non_exhaustive()
    }
}

impl fmt::Display for ReplyPlan {
    /// One attribute to a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Part {
    fn write(&self, out: &mut PacketBuffer, occasion: &Occasion<'_>, salt: &mut Salt) -> Result<(), Full> {
        match self {
            Self::NotBesideEap(octets) if occasion.beside_eap => {
                debug_assert!(!octets.is_empty(), "an empty part is not made");
                Ok(())
            }
            Self::NotBesideEap(octets) => out.push_encoded(octets),
            Self::Text { beside_eap: false, .. } if occasion.beside_eap => Ok(()),
            Self::Text { header, pieces, escaped, .. } => {
                let mut text = TextBuffer::new(*escaped, header.value_octets_max());
                for piece in pieces {
                    match piece {
                        TextPiece::Octets(octets) => text.put(octets).map_err(|_| Full::ValueTooLong)?,
                        TextPiece::Fact(fact) => {
                            occasion.facts.write(*fact, &mut text).map_err(|_| Full::ValueTooLong)?;
                        }
                    }
                }
                if text.used == 0 { Ok(()) } else { header.push(text.octets(), out) }
            }
            Self::Hidden { header, hiding, plain } => {
                let mut room: HiddenBuffer = [0; VALUE_OCTETS_MAX];
                let (authenticator, secret) = (occasion.request_authenticator, occasion.secret);
                let octets = match hiding {
                    Hiding::Password => hidden::hide_vendor_password(plain, authenticator, secret, &mut room)?,
                    Hiding::Salted => hidden::hide_salted(plain, *salt, authenticator, secret, &mut room)?,
                    Hiding::TaggedSalted(tag) => {
                        hidden::hide_tunnel_password(*tag, plain, *salt, authenticator, secret, &mut room)?
                    }
                };
                *salt = salt.next();
                header.push(octets, out)
            }
        }
    }
}

/// The value of one attribute while its facts are written.
struct TextBuffer {
    octets: [u8; VALUE_OCTETS_MAX],
    used: usize,
    max: usize,
    escaped: bool,
}

impl TextBuffer {
    const fn new(escaped: bool, max: usize) -> Self {
        Self { octets: [0; VALUE_OCTETS_MAX], used: 0, max, escaped }
    }

    fn put(&mut self, octets: &[u8]) -> fmt::Result {
        let end = self.used + octets.len();
        if end > self.max {
            return Err(fmt::Error);
        }
        self.octets.get_mut(self.used..end).ok_or(fmt::Error)?.copy_from_slice(octets);
        self.used = end;
        Ok(())
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..self.used).unwrap_or_default()
    }
}

impl fmt::Write for TextBuffer {
    /// Facts can be what a device says about itself. In an address they are escaped, so that none adds a parameter
    /// or another host; elsewhere control characters become `?`, so that none ends a line of the client's.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for octet in text.bytes() {
            match octet {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => self.put(&[octet])?,
                _ if self.escaped => {
                    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0');
                    self.put(&[b'%', digit(octet >> 4), digit(octet & 15)])?;
                }
                0..=0x1F | 0x7F => self.put(b"?")?,
                _ => self.put(&[octet])?,
            }
        }
        Ok(())
    }
}
