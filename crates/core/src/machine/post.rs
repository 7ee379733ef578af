//! What rooms hand each other: plain data that names no room.

use crate::hash::Digest;
use crate::id::{HomeId, HubId, Id, ReplicaId, Version};
use crate::wire::Rejected;

/// What became of one change set.
#[derive(Debug, Clone, PartialEq)]
pub enum SetResult {
    /// On disk: one row for each record.
    Landed(Vec<Landed>),
    /// Nothing of it changed anything.
    Refused(Vec<Rejected>),
}

/// One record on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Its id.
    pub id: Id,
    /// Its version.
    pub version: Version,
    /// Its identity.
    pub digest: Digest,
    /// Entity or relationship.
    pub entity: bool,
    /// Whether it was here before.
    pub known: bool,
    /// Whether its id has several heads now.
    pub contested: bool,
}

/// Who this hub is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The hub.
    pub hub_id: HubId,
    /// Its home, once it has one.
    pub home_id: Option<HomeId>,
    /// The life it writes under, once it has a home.
    pub replica: Option<ReplicaId>,
    /// Which life that is; 0 before the first.
    pub life: u64,
    /// Its name for people.
    pub name: String,
}

/// Counts for the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Records held.
    pub records: u64,
    /// Entities shown.
    pub entities: u64,
    /// Relationships shown.
    pub relationships: u64,
    /// Conflicts that wait for a person.
    pub conflicts: u64,
}

/// One hub of a home, as its member record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which hub.
    pub hub_id: HubId,
    /// Its name for people.
    pub name: String,
    /// Where it can be dialled.
    pub address: Option<std::net::SocketAddr>,
    /// Whether it has left the home.
    pub left: bool,
}
