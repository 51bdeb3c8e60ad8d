//! The parts of the simulated cloud that can be asked, and that faults and statistics tell apart.
//!
//! Owns their names. Which path belongs to which part is `call`'s task.

/// One part of the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Entra's token endpoint, both versions.
    Token,
    /// The token endpoint of managed identities.
    ManagedIdentity,
    /// The list of a tenant's Intune services.
    Discovery,
    /// Graph: one managed device by its Intune id, also inside a batch.
    Device,
    /// Graph: managed devices by a filter with `eq`.
    Search,
    /// Graph: the list of managed devices, also by time.
    List,
    /// Graph: several requests in one.
    Batch,
    /// Compliance retrieval: what the service says of itself.
    ServiceDetails,
    /// Compliance retrieval: one device.
    Compliance,
    /// Compliance retrieval: all devices of one state.
    ComplianceList,
}

impl Surface {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Token,
        Self::ManagedIdentity,
        Self::Discovery,
        Self::Device,
        Self::Search,
        Self::List,
        Self::Batch,
        Self::ServiceDetails,
        Self::Compliance,
        Self::ComplianceList,
    ];

    /// The name on the control path and in statistics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ManagedIdentity => "managed-identity",
            Self::Discovery => "discovery",
            Self::Device => "graph-device",
            Self::Search => "graph-search",
            Self::List => "graph-list",
            Self::Batch => "graph-batch",
            Self::ServiceDetails => "retrieval-details",
            Self::Compliance => "retrieval-device",
            Self::ComplianceList => "retrieval-list",
        }
    }

    /// Whether Graph's limit for Intune devices counts it. A batch counts by its parts.
    pub(super) const fn is_managed_devices(self) -> bool {
        matches!(self, Self::Device | Self::Search | Self::List)
    }

    pub(super) const fn is_retrieval(self) -> bool {
        matches!(self, Self::ServiceDetails | Self::Compliance | Self::ComplianceList)
    }

    pub(super) const fn is_token(self) -> bool {
        matches!(self, Self::Token | Self::ManagedIdentity)
    }

    /// Its place in [`Surface::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// Several parts of the cloud.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Surfaces(u16);

impl Surfaces {
    /// Every part.
    pub const ALL: Self = Self((1 << Surface::ALL.len()) - 1);
    /// Graph's managed devices: by id, by filter, the list, the batch.
    pub const GRAPH: Self = Self::of(Surface::Device).and(Surface::Search).and(Surface::List).and(Surface::Batch);
    /// Graph's collections of managed devices.
    pub const COLLECTIONS: Self = Self::of(Surface::Search).and(Surface::List);
    /// The compliance retrieval service.
    pub const RETRIEVAL: Self = Self::of(Surface::ServiceDetails).and(Surface::Compliance).and(Surface::ComplianceList);
    /// What needs a token.
    pub const BEARER: Self = Self(Self::ALL.0 & !Self::of(Surface::Token).and(Surface::ManagedIdentity).0);

    /// Just one part.
    #[must_use]
    pub const fn of(surface: Surface) -> Self {
        Self(1 << surface.index())
    }

    /// These and one more.
    #[must_use]
    pub const fn and(self, surface: Surface) -> Self {
        Self(self.0 | 1 << surface.index())
    }

    /// Reads the name of a part, or of a group: `graph`, `retrieval`, `all`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "all" => Some(Self::ALL),
            "graph" => Some(Self::GRAPH),
            "retrieval" => Some(Self::RETRIEVAL),
            _ => Surface::ALL.into_iter().find(|surface| surface.name() == name).map(Self::of),
        }
    }

    /// Every name that [`Surfaces::parse`] reads.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ["all", "graph", "retrieval"].into_iter().chain(Surface::ALL.iter().map(|surface| surface.name()))
    }

    /// The parts that are in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `surface` is one of them.
    #[must_use]
    pub const fn contains(self, surface: Surface) -> bool {
        self.0 & 1 << surface.index() != 0
    }

    /// The parts, in their order.
    pub fn iter(self) -> impl Iterator<Item = Surface> {
        Surface::ALL.into_iter().filter(move |surface| self.contains(*surface))
    }
}

impl std::fmt::Debug for Surfaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(Surface::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_its_part() {
        for (index, surface) in Surface::ALL.into_iter().enumerate() {
            assert_eq!(surface.index(), index);
            assert_eq!(Surfaces::parse(surface.name()), Some(Surfaces::of(surface)));
        }
        assert!(Surfaces::names().all(|name| Surfaces::parse(name).is_some()));
        assert_eq!(Surfaces::parse("grpah"), None);
    }
}
