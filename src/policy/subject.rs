//! What a comparison is about: a fact of the catalogue, or an attribute of the request.
//!
//! Owns the way from a written name to something that can be read at a request. The comparison is an operator's matter.

use super::{
    catalogue::{self, Fact, Kind, Row},
    facts::Facts,
    reading::{self, LocalTime, Reading},
    truth::Truth,
};
use crate::{
    dictionary::{Attribute, DataType, Value, values_in},
    radius::tag::Tag,
};

/// Something that a policy can ask about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name as a policy writes it.
    pub name: Box<str>,
    /// What kind of values it has.
    pub kind: Kind,
    /// Where its values come from.
    pub origin: Origin,
    /// Of an attribute: only values with this tag count.
    pub tag: Option<Tag>,
}

/// Where the values of a [`Subject`] come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The engine knows it.
    Fact(Fact),
    /// The packet holds it.
    Attribute(Box<Attribute>),
}

impl Subject {
    /// The subject of a row of the catalogue.
    #[must_use]
    pub fn of_row(row: &Row) -> Self {
        Self { name: row.name.into(), kind: row.kind, origin: Origin::Fact(row.fact), tag: None }
    }

    /// The subject of an attribute.
    #[must_use]
    pub fn of_attribute(attribute: Attribute) -> Self {
        let kind = if attribute.is_secret() { Kind::Opaque } else { kind_of(attribute.data_type()) };
        Self {
            name: format!("radius.{}", attribute.name()).into(),
            kind,
            origin: Origin::Attribute(Box::new(attribute)),
            tag: None,
        }
    }

    /// The subject of an attribute's values with this tag.
    #[must_use]
    pub fn of_tagged_attribute(attribute: Attribute, tag: Tag) -> Self {
        let all = Self::of_attribute(attribute);
        Self { name: format!("{}:{}", all.name, tag.octet()).into(), tag: Some(tag), ..all }
    }

    /// The attribute, if it is one.
    #[must_use]
    pub fn attribute(&self) -> Option<&Attribute> {
        match &self.origin {
            Origin::Attribute(attribute) => Some(attribute),
            Origin::Fact(_) => None,
        }
    }

    /// The fact, if it is one of the catalogue.
    #[must_use]
    pub const fn fact(&self) -> Option<Fact> {
        match self.origin {
            Origin::Fact(fact) => Some(fact),
            Origin::Attribute(_) => None,
        }
    }

    /// What a comparison comes to when there is no value.
    #[must_use]
    pub fn absent(&self) -> Truth {
        self.fact().map_or(Truth::False, |fact| catalogue::row(fact).family().absent())
    }

    /// Whether it is known before a policy set is chosen.
    #[must_use]
    pub fn is_known_early(&self) -> bool {
        self.fact().is_none_or(|fact| catalogue::row(fact).is_known_early())
    }

    /// Calls `visit` with each value until it says that this is enough. Whether there was a value at all.
    pub fn each_value(
        &self,
        facts: &Facts<'_>,
        local_time: impl FnOnce() -> LocalTime,
        visit: &mut dyn FnMut(Reading<'_>) -> bool,
    ) -> bool {
        match &self.origin {
            Origin::Fact(fact) => reading::each_value(*fact, facts, local_time, visit),
            Origin::Attribute(attribute) => each_attribute(attribute, self.tag, facts, visit),
        }
    }
}

fn each_attribute(
    attribute: &Attribute,
    tag: Option<Tag>,
    facts: &Facts<'_>,
    visit: &mut dyn FnMut(Reading<'_>) -> bool,
) -> bool {
    let mut found = false;
    for content in values_in(&facts.packet, &attribute.path()) {
        if tag.is_some_and(|tag| attribute.decode(content).tag != tag) {
            continue;
        }
        let Some(reading) = reading_of(attribute, content) else { continue };
        found = true;
        if visit(reading) {
            break;
        }
    }
    found
}

/// The value of an attribute; `None` for content that is broken or of no octets: such an attribute is ignored.
fn reading_of<'a>(attribute: &Attribute, content: &'a [u8]) -> Option<Reading<'a>> {
    if content.is_empty() {
        return None;
    }
    if attribute.is_secret() {
        return Some(Reading::Opaque);
    }
    let text_type = attribute.data_type() == DataType::String;
    Some(match attribute.decode(content).value {
        Value::Text(text) => Reading::Text(text.as_bytes()),
        Value::Octets(octets) if attribute.data_type().is_container() => {
            let _ = octets;
            Reading::Opaque
        }
        Value::Octets(octets) => Reading::Text(octets),
        Value::Number(number) => Reading::Number(number.into()),
        Value::Signed(number) => Reading::Number(number.into()),
        Value::Bool(truth) => Reading::Number(truth.into()),
        Value::Date(seconds) => Reading::Number(seconds.into()),
        Value::Address(address) => Reading::Address(address.to_canonical()),
        Value::Prefix(address, length) => Reading::Network(address, length),
        Value::InterfaceId(_) => Reading::Text(content),
        Value::Ethernet(octets) => Reading::Mac(octets),
        // Old switches send names in Latin-1: still something to compare with.
        Value::Invalid(octets) if text_type => Reading::Text(octets),
        Value::Invalid(_) => return None,
    })
}

const fn kind_of(data_type: DataType) -> Kind {
    match data_type {
        DataType::String | DataType::Octets | DataType::FixedOctets(_) | DataType::InterfaceId => Kind::Text,
        DataType::Ipv4Address | DataType::Ipv6Address | DataType::AnyAddress => Kind::Address,
        DataType::Ipv4Prefix | DataType::Ipv6Prefix => Kind::Network,
        DataType::Ethernet => Kind::Mac,
        DataType::Bool => Kind::Boolean,
        DataType::Date
        | DataType::Integer
        | DataType::Byte
        | DataType::Short
        | DataType::Integer64
        | DataType::Signed => Kind::Number,
        DataType::AscendFilter
        | DataType::Tlv
        | DataType::VendorSpecific
        | DataType::Extended
        | DataType::LongExtended
        | DataType::ExtendedVendor => Kind::Opaque,
    }
}
