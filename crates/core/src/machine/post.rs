//! What rooms hand each other: plain data that names no room.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::blob::BlobId;
use crate::clock::Clock;
use crate::hash::Digest;
use crate::id::{HomeId, HubId, Id, ReplicaId, Version};
use crate::value::Map;
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

/// Why a hub's clock cannot be right, by what other hubs say: more than five minutes off the newest time heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockDoubt {
    /// It is so far ahead; stamps are bounded by the time that was heard.
    Ahead(Duration),
    /// It is so far behind.
    Behind(Duration),
}

/// What a hub holds, as anti-entropy tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootTold {
    /// Of the Merkle tree; None while there is none.
    pub root: Option<Digest>,
    /// The clock that it is folded to.
    pub clock: Clock,
    /// What clients compare: see [`crate::leaf::state_digest`].
    pub state: Digest,
    /// Bytes that the tree and its sketch take.
    pub bytes: usize,
}

/// What a hub holds of blobs, in numbers since the process began where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlobsTold {
    /// Held whole, now.
    pub held: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Wanted and not whole, now.
    pub wanted: u64,
    /// Chunks that came from peers.
    pub taken_chunks: u64,
    /// Their bytes.
    pub taken_bytes: u64,
    /// Chunks that a start found of what was on its way.
    pub found_chunks: u64,
    /// Chunks asked of two hubs because one stood still.
    pub hedged_chunks: u64,
    /// Chunks that did not verify, here or from peers.
    pub bad_chunks: u64,
    /// Of those, chunks that counted as held here and were damaged, or could not be read.
    pub damaged_chunks: u64,
    /// The latest of them.
    pub damaged: Option<(BlobId, u32)>,
    /// Chunks that were held against their manifests unasked.
    pub checked_chunks: u64,
    /// Blobs let go for want of space.
    pub evicted: u64,
}

/// What a comparison of two stores came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// With which hub.
    pub hub_id: HubId,
    /// Whether both hold the same, in the end.
    pub equal: bool,
    /// At which clock.
    pub clock: Clock,
    /// Differences found.
    pub found: u64,
    /// Rows mended at this hub.
    pub mended_here: u64,
    /// Rows mended at the other.
    pub mended_there: u64,
    /// Messages that this hub sent for it.
    pub trips: u32,
    /// Bytes of all messages but the entries, roughly.
    pub bytes: u64,
    /// From the first question to the end.
    pub took: Duration,
    /// Checks of all records that this hub had made when it began: what went behind its back before those is compared too.
    pub checks: u64,
}

impl Comparison {
    /// With nothing found.
    pub fn of(hub_id: HubId, equal: bool, clock: Clock) -> Comparison {
        Comparison {
            hub_id,
            equal,
            clock,
            found: 0,
            mended_here: 0,
            mended_there: 0,
            trips: 0,
            bytes: 0,
            took: Duration::ZERO,
            checks: 0,
        }
    }
}

/// What holding all records against the tree came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Records read.
    pub records: u64,
    /// Rows whose bytes were damaged, and ranges where the tree said otherwise.
    pub damaged: u64,
    /// Whether the tree was built anew.
    pub rebuilt: bool,
}

/// What an owner wants of the home itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Another policy.
    Policy {
        /// The domain manifest, whole.
        content: Map,
        /// The versions of the policy that the owner saw; None for whatever they are.
        heads: Option<BTreeSet<String>>,
        /// Who changes it.
        user_id: Option<String>,
    },
    /// A hub is lost, or back: whether horizons wait for it.
    Fence {
        /// Which.
        hub_id: HubId,
        /// Lost.
        fenced: bool,
        /// Who says so.
        user_id: Option<String>,
    },
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
    /// The life it writes under, as it last said.
    pub replica: Option<ReplicaId>,
    /// Whether it has left the home.
    pub left: bool,
    /// Whether it was fenced: horizons do not wait for it.
    pub fenced: bool,
}
