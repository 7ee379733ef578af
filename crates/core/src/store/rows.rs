//! Rows: MessagePack arrays, so that a later version may append fields and an older row still reads.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    Family, HORIZON_KEY, META_KEY, OfBlob, Snapshot, StoreError, blob_key, id_key, log_key, record_key,
    scan_prefix,
};
use crate::blob::{BlobId, Have, Manifest};
use crate::hash::Digest;
use crate::id::{Dot, HomeId, HubId, Id, ReplicaId, Version};
use crate::leaf::{Leaf, POSITION_BYTES, Position};
use crate::time::{MICROS_MAX, Micros};

/// The format of the rows below; a store of a later one is refused rather than misread. One of format 1, which had no
/// rows of the past, gets them when it is opened; one of format 2, whose records did not stand by position, is rewritten; one
/// of format 3 gets rows of what refers to blobs.
pub const FORMAT: u32 = 4;

/// Who this hub is and how far it has come: rewritten with every commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaRow {
    /// [`FORMAT`].
    pub format: u32,
    /// This hub.
    pub hub_id: HubId,
    /// Its home, once it has one.
    pub home_id: Option<HomeId>,
    /// The life it writes under, once it has a home.
    pub replica: Option<ReplicaId>,
    /// Which life that is.
    pub life: u64,
    /// The hybrid logical clock's last stamp.
    pub hlc: Micros,
    /// Entries that have arrived, ours included: the next arrival's number.
    pub arrivals: u64,
    /// Records held.
    pub records: u64,
    /// Entities shown (not deleted, not reserved).
    pub entities: u64,
    /// Relationships shown.
    pub relationships: u64,
    /// Conflicts that wait for a person.
    pub queued: u64,
    /// Rows of the journal of leaves written so far.
    #[serde(default)]
    pub journal: u64,
    /// The sum of all leaves' hashes, as [`crate::leaf::Sum::to_bytes`] writes it.
    #[serde(default, with = "serde_bytes")]
    pub leaves: [u8; 32],
}

/// What one commit did to the leaf of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafChange {
    /// Where it stands.
    pub position: Position,
    /// What stood there before; None if the record is new.
    pub old: Option<Digest>,
    /// What stands there now; None if the record is gone.
    pub new: Option<Digest>,
}

/// Writes a row of the journal: for each change a byte of flags (1: old, 2: new), the position, the hashes.
pub fn encode_changes(changes: &[LeafChange]) -> Vec<u8> {
    let mut row = Vec::with_capacity(changes.len() * 36);
    for change in changes {
        row.push(u8::from(change.old.is_some()) | u8::from(change.new.is_some()) << 1);
        row.extend_from_slice(&change.position.bytes());
        for hash in change.old.iter().chain(&change.new) {
            row.extend_from_slice(&hash.0);
        }
    }
    row
}

/// Reads a row of the journal.
pub fn decode_changes(mut row: &[u8]) -> Result<Vec<LeafChange>, StoreError> {
    let short = || StoreError::Corrupt {
        family: Family::Merkle.name(),
        detail: "a row of the journal that ends in the middle".to_owned(),
    };
    let mut changes = Vec::with_capacity(row.len() / 36);
    while let Some((flags, rest)) = row.split_first() {
        let position = Position::of_key(rest).ok_or_else(short)?;
        row = &rest[POSITION_BYTES..];
        let mut hash = |there: bool| -> Result<Option<Digest>, StoreError> {
            if !there {
                return Ok(None);
            }
            let (hash, rest) = row.split_first_chunk::<32>().ok_or_else(short)?;
            row = rest;
            Ok(Some(Digest(*hash)))
        };
        let (old, new) = (hash(flags & 1 != 0)?, hash(flags & 2 != 0)?);
        changes.push(LeafChange { position, old, new });
    }
    Ok(changes)
}

/// How far one replica's log is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaRow {
    /// Whose life it is.
    pub hub_id: HubId,
    /// Which life of that hub.
    pub life: u64,
    /// The last entry held.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

/// One log entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// Its place in this hub's order of arrival.
    pub arrival: u64,
    /// When it arrived, by this hub's clock.
    pub accepted: Micros,
    /// SHA-256 of `entry`.
    pub hash: Digest,
    /// The ids of its records, in the entry's order: the entry itself names digests alone.
    pub ids: Vec<Id>,
    /// Its canonical form.
    #[serde(with = "serde_bytes")]
    pub entry: Vec<u8>,
    /// The accepting hub's signature, once hubs have keys.
    pub signature: Option<serde_bytes::ByteBuf>,
}

/// One record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRow {
    /// The smallest of its order times.
    pub order_time: Micros,
    /// The entries it stands in, by replica and sequence.
    pub dots: Vec<Dot>,
    /// Digests that its parents' names stand for, sorted.
    pub edges: Vec<Digest>,
    /// Bare names that some accepting hub did not know.
    pub late: Vec<Version>,
    /// Its canonical form; what is left of it, if it is forgotten.
    #[serde(with = "serde_bytes")]
    pub record: Vec<u8>,
    /// Whether its content was dropped.
    #[serde(default)]
    pub forgotten: bool,
}

impl RecordRow {
    /// What stands for it in anti-entropy.
    pub fn leaf(&self, id: &Id, digest: &Digest) -> Leaf {
        Leaf::of(id, digest, self.order_time, &self.edges, &self.late)
    }
}

/// The heads of an id at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRow {
    /// Their digests, sorted; None where they are too many to be kept.
    pub heads: Option<Vec<Digest>>,
}

/// What the index holds of an id, so that it can be taken out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shown {
    /// Nothing: deleted.
    Nothing,
    /// An entity under its type; reserved types too, which lists pass over.
    Entity {
        /// Its type.
        entity_type: String,
    },
    /// A relationship under both its ends.
    Relationship {
        /// Where it starts.
        from: Id,
        /// Where it ends.
        to: Id,
        /// Its type.
        relationship_type: String,
    },
}

/// The current state of one id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRow {
    /// The entity type, or None for a relationship: that of the record with the smallest rank.
    pub entity_type: Option<String>,
    /// The rank of that record: order time, version, digest.
    pub eldest: (Micros, Version, Digest),
    /// Digests of the heads, sorted.
    pub heads: Vec<Digest>,
    /// Whether some record of the id has a name that an accepting hub did not know: its graph must be worked out
    /// whole.
    pub late: bool,
    /// Whether some record names a parent that is not held.
    pub gaps: bool,
    /// How many records it has.
    pub records: u64,
    /// What the index holds.
    pub shown: Shown,
    /// Whether it waits for a person.
    pub queued: bool,
    /// The largest order time of its records. Rows of format 1 do not say.
    #[serde(default = "unknown")]
    pub newest: Micros,
    /// Whether the rows of [`Family::Times`] tell its heads at every instant; with one record there are none.
    #[serde(default)]
    pub timed: bool,
}

fn unknown() -> Micros {
    MICROS_MAX
}

/// The horizons of a home, as far as this hub has come with them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HorizonRow {
    /// All that have come, joined by maximum.
    pub joined: BTreeMap<ReplicaId, u64>,
    /// Those whose forgotten content has not all been dropped yet: it counts as forgotten by the rule.
    pub pending: Vec<BTreeMap<ReplicaId, u64>>,
    /// Those that have come before all that lies below them: what they let go cannot be told yet.
    pub early: Vec<BTreeMap<ReplicaId, u64>>,
    /// Those whose forgotten content has been dropped, in the order of that: what is taken again after damage is held
    /// against them anew. At most [`SWEPT_MAX`]; the oldest go first.
    #[serde(default)]
    pub swept: Vec<BTreeMap<ReplicaId, u64>>,
}

/// Swept horizons that are remembered: with one a day, ten years of them.
pub const SWEPT_MAX: usize = 4_096;

/// What is held of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRow {
    /// Its bytes.
    pub size: u64,
    /// Whether all of it is there, verified and synced.
    pub whole: bool,
    /// Which chunks are, if not all.
    pub have: Have,
    /// When it came or was last read, by this hub's clock.
    pub touched: Micros,
}

/// Where the looking at all chunks that are held is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookRow {
    /// When the pass began, by this hub's clock.
    pub began: Micros,
    /// The next blob and chunk, or what follows them; None when the pass has ended.
    pub next: Option<(BlobId, u32)>,
}

/// A record that refers to a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefRow {
    /// Entity or relationship type.
    pub of_type: String,
    /// Bytes, as the record says.
    pub size: Option<u64>,
    /// As the record says.
    pub content_type: Option<String>,
    /// As the record says.
    pub file_name: Option<String>,
}

/// What is held of a blob; None if nothing is.
pub fn read_held(snapshot: &dyn Snapshot, id: &BlobId) -> Result<Option<HeldRow>, StoreError> {
    read(snapshot, Family::Blobs, &blob_key(OfBlob::Held, id))
}

/// The manifest of a blob of which the size is known; None if it is not known or does not read.
pub fn read_manifest(
    snapshot: &dyn Snapshot,
    id: &BlobId,
    size: u64,
) -> Result<Option<Manifest>, StoreError> {
    let states = snapshot.get(Family::Blobs, &blob_key(OfBlob::Manifest, id))?;
    Ok(Manifest::new(*id, size, states.unwrap_or_default()).ok())
}

/// A record that refers to a blob, if one does: the first by id.
pub fn read_ref(snapshot: &dyn Snapshot, id: &BlobId) -> Result<Option<RefRow>, StoreError> {
    let mut found = None;
    scan_prefix(
        snapshot,
        Family::Blobs,
        &blob_key(OfBlob::Ref, id),
        &mut |_, row| {
            found = Some(decode_row(Family::Blobs, row));
            false
        },
    )?;
    found.transpose()
}

/// How far content counts as forgotten.
pub fn read_horizons(snapshot: &dyn Snapshot) -> Result<HorizonRow, StoreError> {
    Ok(read(snapshot, Family::Meta, HORIZON_KEY)?.unwrap_or_default())
}

/// Writes a row.
pub fn encode_row<T: Serialize>(row: &T) -> Vec<u8> {
    // Rows are plain data, writing to memory cannot fail.
    rmp_serde::to_vec(row).unwrap_or_else(|error| panic!("a row cannot be written: {error}"))
}

/// Reads a row.
pub fn decode_row<T: DeserializeOwned>(family: Family, bytes: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(bytes).map_err(|error| StoreError::Corrupt {
        family: family.name(),
        detail: error.to_string(),
    })
}

fn read<T: DeserializeOwned>(
    snapshot: &dyn Snapshot,
    family: Family,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    snapshot
        .get(family, key)?
        .map(|bytes| decode_row(family, &bytes))
        .transpose()
}

/// The one row of [`Family::Meta`]; None in an empty store.
pub fn read_meta(snapshot: &dyn Snapshot) -> Result<Option<MetaRow>, StoreError> {
    read(snapshot, Family::Meta, META_KEY)
}

/// How far a replica's log is held.
pub fn read_replica(snapshot: &dyn Snapshot, replica: &ReplicaId) -> Result<Option<ReplicaRow>, StoreError> {
    read(snapshot, Family::Replicas, &replica.0)
}

/// One log entry.
pub fn read_log(snapshot: &dyn Snapshot, dot: Dot) -> Result<Option<LogRow>, StoreError> {
    read(snapshot, Family::Log, &log_key(dot))
}

/// One record.
pub fn read_record(
    snapshot: &dyn Snapshot,
    id: &Id,
    digest: &Digest,
) -> Result<Option<RecordRow>, StoreError> {
    read(snapshot, Family::Records, &record_key(id, digest))
}

/// The state of one id.
pub fn read_id(snapshot: &dyn Snapshot, id: &Id) -> Result<Option<IdRow>, StoreError> {
    read(snapshot, Family::Ids, &id_key(id))
}
