//! Who is asking, as the request itself tells it: MACs, device ids, where the device is connected.
//!
//! Owns the reading of those attributes. Whether the device has proven anything is `authenticate`'s business.

use crate::{
    device::{
        identifier::{Guid, MacAddress, device_id_in},
        question::Medium,
    },
    dictionary,
    policy::{
        facts::{self, DeviceIdSource, Method},
        request,
    },
    radius::packet::Packet,
};

/// A device as far as it identified itself. Plain data, so that it can be parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// How it shows who it is.
    pub method: Method,
    /// Its MAC address.
    pub mac: Option<MacAddress>,
    /// The device ids that the request carries, in order, without repeats.
    pub device_ids: DeviceIds,
    /// Where it is connected.
    pub medium: Option<Medium>,
}

/// The first few different device ids of a request, each with where it stood.
///
/// Bound: four. A further one is not kept but noted, because any second id that does not belong to the same
/// device is a conflict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceIds {
    list: [Option<(Guid, IdSource)>; Self::KEPT],
    more: bool,
}

/// Where a device id stood. The order of a server's `identifiers` chooses among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdSource {
    /// A subject alternative name.
    CertificateSan,
    /// The subject's common name.
    CertificateCn,
    /// An attribute of a trusted client.
    Attribute,
}

impl IdSource {
    /// The same for policy.
    #[must_use]
    pub const fn fact(self) -> DeviceIdSource {
        match self {
            Self::CertificateSan => DeviceIdSource::CertificateSan,
            Self::CertificateCn => DeviceIdSource::CertificateCn,
            Self::Attribute => DeviceIdSource::Attribute,
        }
    }
}

impl DeviceIds {
    const KEPT: usize = 4;

    /// Adds an id unless it is there already.
    pub fn push(&mut self, id: Guid, source: IdSource) {
        for place in &mut self.list {
            match place {
                Some((known, from)) if *known == id && *from == source => return,
                Some(_) => {}
                None => {
                    *place = Some((id, source));
                    return;
                }
            }
        }
        self.more = true;
    }

    /// Notes that there are ids which can't be kept.
    pub const fn note_more(&mut self) {
        self.more = true;
    }

    /// Whether the request carries any device id.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list[0].is_none()
    }

    /// The first id from `source`.
    #[must_use]
    pub fn first_from(&self, source: IdSource) -> Option<Guid> {
        self.iter().find(|(_, from)| *from == source).map(|(id, _)| id)
    }

    /// All that are kept.
    pub fn iter(&self) -> impl Iterator<Item = (Guid, IdSource)> + '_ {
        self.list.iter().map_while(|place| *place)
    }

    /// Whether there were more than are kept.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.more
    }
}

/// The MAC in an attribute's value, if it is one that a device can own.
#[must_use]
pub fn mac_of(value: Option<&[u8]>) -> Option<MacAddress> {
    MacAddress::parse(value?.trim_ascii()).filter(|mac| !mac.is_unusable())
}

/// The MAC in Calling-Station-Id, behind which some clients write the name of the network.
#[must_use]
pub fn station_mac_of(value: Option<&[u8]>) -> Option<MacAddress> {
    let value = value?.trim_ascii();
    mac_of(Some(value)).or_else(|| mac_of(request::address_and_name(value).map(|(address, _)| address)))
}

/// Where the device is connected, as the directory needs it.
#[must_use]
pub fn medium_of(packet: &Packet<'_>) -> Option<Medium> {
    request::medium(packet).map(|medium| match medium {
        facts::Medium::Wired => Medium::Wired,
        facts::Medium::Wireless => Medium::Wireless,
        facts::Medium::Virtual => Medium::Virtual,
    })
}

/// The device ids in the attributes that `mdm.device-id-attributes` names.
#[must_use]
pub fn device_ids_in_attributes(packet: &Packet<'_>, attributes: &[dictionary::Attribute]) -> DeviceIds {
    let mut ids = DeviceIds::default();
    for attribute in attributes {
        for value in dictionary::values_in(packet, &attribute.path()) {
            if let Some(id) = device_id_in(value) {
                ids.push(id, IdSource::Attribute);
            }
        }
    }
    ids
}

/// The value of an attribute of four octets.
#[must_use]
pub fn integer(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}
