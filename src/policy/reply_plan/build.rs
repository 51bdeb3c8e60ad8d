//! Collects the attributes of a plan: octets, what only the request makes complete, and lines for people.
//!
//! Owns encoding through the dictionary and what may not be sent. Which attributes a setting needs is `render`'s matter.

use zeroize::Zeroizing;

use super::{
    plan::{FactId, FactNames, Header, Hiding, Insert, Part, TextPiece},
    summary::Line,
};
use crate::{
    dictionary::{Attribute, DataType, Dictionary, Encryption, Space, ValueError},
    policy::{profile::FactText, template::Piece},
    problem::{Place, Problems},
    radius::{kind, tag::Tag, vendor::VendorFormat},
};

/// The attributes collected so far.
pub(super) struct Build<'a> {
    pub(super) dictionary: &'a Dictionary,
    pub(super) fixed: Vec<u8>,
    pub(super) inserts: Vec<Insert>,
    pub(super) lines: Vec<Line>,
    /// The octets that the inserts take at most.
    pub(super) inserts_max: usize,
}

/// A text that may refer to facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pieces: Vec<ContentPiece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ContentPiece {
    Text(String),
    Fact(FactId, Box<str>),
}

impl Content {
    /// A text without facts.
    pub(super) fn constant(text: impl Into<String>) -> Self {
        let mut content = Self::default();
        content.push_text(&text.into());
        content
    }

    /// A text of a profile; unknown facts are reported.
    pub(super) fn of_facts(text: &FactText, facts: &mut dyn FactNames, problems: &mut Problems) -> Option<Self> {
        let mut content = Self::default();
        let mut all_known = true;
        let mut places = text.places.iter();
        for piece in text.template.pieces() {
            match piece {
                Piece::Text(text) => content.push_text(text),
                Piece::Reference(reference) => {
                    let place = places.next();
                    match facts.resolve(&reference.name, problems) {
                        Ok(fact) => content.pieces.push(ContentPiece::Fact(fact, reference.name.clone())),
                        Err(message) => {
                            report_once(problems, "unknown-fact", place, message);
                            all_known = false;
                        }
                    }
                }
            }
        }
        all_known.then_some(content)
    }

    pub(super) fn push_text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(ContentPiece::Text(before)) => before.push_str(text),
            _ if text.is_empty() => {}
            _ => self.pieces.push(ContentPiece::Text(text.to_owned())),
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        for piece in &other.pieces {
            match piece {
                ContentPiece::Text(text) => self.push_text(text),
                fact @ ContentPiece::Fact(..) => self.pieces.push(fact.clone()),
            }
        }
    }

    fn as_constant(&self) -> Option<&str> {
        match &*self.pieces {
            [] => Some(""),
            [ContentPiece::Text(text)] => Some(text),
            _ => None,
        }
    }

    fn shown(&self) -> String {
        let piece = |piece: &ContentPiece| match piece {
            ContentPiece::Text(text) => text.clone(),
            ContentPiece::Fact(_, name) => format!("{{{name}}}"),
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// Why an attribute can't be sent; a message without a place.
pub(super) type Refused = String;

impl<'a> Build<'a> {
    /// Nothing yet.
    pub(super) const fn new(dictionary: &'a Dictionary) -> Self {
        Self { dictionary, fixed: Vec::new(), inserts: Vec::new(), lines: Vec::new(), inserts_max: 0 }
    }

    /// The attribute of this name.
    pub(super) fn attribute(&self, name: &str, problems: &Problems) -> Result<Attribute, Refused> {
        self.dictionary.resolve(name).ok_or_else(|| {
            let near = if problems.may_suggest() { self.dictionary.nearest(name) } else { None };
            let advice = near.map_or_else(
                || "; look it up in dictionaries/, or add it there".to_owned(),
                |near| format!("; did you mean \"{near}\"?"),
            );
            format!("unknown attribute \"{name}\"{advice}")
        })
    }

    /// Adds one attribute. `escaped`: facts are written with percent escapes.
    pub(super) fn push(
        &mut self,
        attribute: &Attribute,
        tag: u8,
        content: &Content,
        escaped: bool,
    ) -> Result<(), Refused> {
        let checked = Tag::new(tag).ok_or("a tag is from 0 to 31; correct it")?;
        if tag > 0 && !attribute.flags().tagged {
            return Err(ValueError::TagUnexpected.message(attribute, &tag.to_string()));
        }
        let Some(text) = content.as_constant() else { return self.push_text(attribute, checked, content, escaped) };
        let written_tag = Some(checked).filter(|tag| *tag != Tag::NONE);
        let octets = attribute.encode(written_tag, text).map_err(|error| error.message(attribute, text))?;
        if octets.is_empty() {
            return Err(format!("{} can't be empty; RADIUS has no empty values", attribute.name()));
        }
        if attribute.flags().encryption != Encryption::None {
            return self.push_hidden(attribute, checked, octets);
        }
        let mut whole = Vec::new();
        let written = attribute.path().write(&octets, attribute.flags().concat, &mut whole);
        written.map_err(|_| ValueError::TooLong.message(attribute, text))?;
        if is_reply_message(attribute) {
            self.insert(whole.len(), Part::NotBesideEap(whole.into()));
        } else {
            self.fixed.extend_from_slice(&whole);
        }
        let shown = attribute.value(text).is_some() || !is_text(attribute);
        let value = if attribute.is_secret() { "<hidden>".to_owned() } else { quoted(text, !shown) };
        self.line(attribute, tag, value);
        Ok(())
    }

    /// Adds a text of any length, cut over as many attributes as it takes (RFC 4849 section 2).
    pub(super) fn push_long(&mut self, attribute: &Attribute, text: &str) -> Result<(), Refused> {
        if !is_text(attribute) || attribute.is_secret() {
            return Err(format!("{} is no plain text, so it can't hold the rules of an ACL", attribute.name()));
        }
        let written = attribute.path().write(text.as_bytes(), true, &mut self.fixed);
        written.map_err(|_| {
            format!("{} can't hold the {} octets of all rules together; shorten the ACL", attribute.name(), text.len())
        })?;
        self.line(attribute, 0, quoted(text, true));
        Ok(())
    }

    fn push_text(&mut self, attribute: &Attribute, tag: Tag, content: &Content, escaped: bool) -> Result<(), Refused> {
        let name = attribute.name();
        if attribute.is_secret() {
            return Err(format!("the value of {name} is hidden, and can't refer to facts; write it out"));
        }
        if !is_text(attribute) {
            return Err(format!("{name} is no text, and only texts can refer to facts; write the value out"));
        }
        let header = header(attribute, (tag != Tag::NONE).then(|| tag.octet()))?;
        let piece = |piece: &ContentPiece| match piece {
            ContentPiece::Text(text) => TextPiece::Octets(text.as_bytes().into()),
            ContentPiece::Fact(fact, _) => TextPiece::Fact(*fact),
        };
        let constant: usize = content
            .pieces
            .iter()
            .map(|piece| match piece {
                ContentPiece::Text(text) => text.len(),
                ContentPiece::Fact(..) => 0,
            })
            .sum();
        if constant >= header.value_octets_max() {
            return Err(format!("{name} has no room for the facts: the text around them takes {constant} octets"));
        }
        let part = Part::Text {
            header,
            pieces: content.pieces.iter().map(piece).collect(),
            escaped,
            beside_eap: !is_reply_message(attribute),
        };
        self.insert(crate::limits::VALUE_OCTETS_MAX + 2, part);
        self.line(attribute, tag.octet(), quoted(&content.shown(), true));
        Ok(())
    }

    fn push_hidden(&mut self, attribute: &Attribute, tag: Tag, plain: Vec<u8>) -> Result<(), Refused> {
        let hiding = match attribute.flags().encryption {
            Encryption::TunnelPassword if attribute.flags().tagged => Hiding::TaggedSalted(tag),
            Encryption::TunnelPassword => Hiding::Salted,
            Encryption::UserPassword => Hiding::Password,
            Encryption::AscendSecret | Encryption::None => {
                return Err(format!("{} is hidden in a way that radmit doesn't know; leave it out", attribute.name()));
            }
        };
        let header = header(attribute, None)?;
        self.insert(
            crate::limits::VALUE_OCTETS_MAX + 2,
            Part::Hidden { header, hiding, plain: Zeroizing::new(plain.into()) },
        );
        self.line(attribute, tag.octet(), "<hidden>".to_owned());
        Ok(())
    }

    fn insert(&mut self, octets_max: usize, part: Part) {
        self.inserts_max += octets_max;
        self.inserts.push(Insert { at: self.fixed.len(), part });
    }

    fn line(&mut self, attribute: &Attribute, tag: u8, value: String) {
        let name = if tag > 0 { format!("{}:{tag}", attribute.name()) } else { attribute.name().to_owned() };
        self.lines.push(Line { attribute: name.into(), value: value.into() });
    }
}

/// Why a policy may not set this attribute, if it may not.
pub(super) fn reserved(attribute: &Attribute) -> Option<&'static str> {
    let Space::Standard(number) = attribute.path().space() else {
        let of_microsoft = attribute.path().vendor_number() == Some(MICROSOFT);
        let is_key = of_microsoft && attribute.name().to_ascii_lowercase().starts_with("ms-mppe-");
        return is_key.then_some("the keys come from the EAP conversation");
    };
    match number {
        kind::MESSAGE_AUTHENTICATOR => Some("every reply is signed anyway"),
        kind::PROXY_STATE => Some("it is given back as the client sent it"),
        kind::EAP_MESSAGE => Some("it belongs to the EAP conversation"),
        kind::STATE => Some("the server keeps track of conversations by it"),
        kind::USER_PASSWORD | kind::CHAP_PASSWORD | kind::CHAP_CHALLENGE => Some("it belongs into requests"),
        kind::VENDOR_SPECIFIC => Some("write the vendor's attributes by their names"),
        _ => None,
    }
}

const MICROSOFT: u32 = 311;

/// Adds a problem that does not depend on the vendor, unless it was found with another vendor already.
pub(super) fn report_once(problems: &mut Problems, code: &'static str, place: Option<&Place>, message: String) {
    let is_known = problems.iter().any(|known| known.place.as_ref() == place && known.message == message);
    if !is_known {
        problems.error(code, place.cloned(), message);
    }
}

pub(super) fn is_reply_message(attribute: &Attribute) -> bool {
    attribute.path().space() == Space::Standard(kind::REPLY_MESSAGE)
}

fn is_text(attribute: &Attribute) -> bool {
    matches!(attribute.data_type(), DataType::String | DataType::Octets)
}

fn quoted(text: &str, quotes: bool) -> String {
    // Pairs of keys that Cisco's switches take inside of text are no more for logs than the attributes for it.
    let shown = match text.split_once('=') {
        Some((key, _)) if key.eq_ignore_ascii_case("psk") => format!("{key}=<hidden>"),
        _ => text.replace('\0', "\\000"),
    };
    if quotes { format!("\"{}\"", shown.replace('"', "\\\"")) } else { shown }
}

fn header(attribute: &Attribute, tag: Option<u8>) -> Result<Header, Refused> {
    let odd = || {
        format!(
            "{} stands too deep in a packet for this; only standard and plain vendor attributes can do it",
            attribute.name()
        )
    };
    if !attribute.path().children().is_empty() {
        return Err(odd());
    }
    match attribute.path().space() {
        Space::Standard(number) => Ok(Header { number, vendor: None, tag }),
        Space::Vendor { vendor, number, format: VendorFormat::STANDARD } => {
            let number = u8::try_from(number).map_err(|_| odd())?;
            Ok(Header { number, vendor: Some(vendor), tag })
        }
        _ => Err(odd()),
    }
}
