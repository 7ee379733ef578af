//! Keys. Strings are written with their length in front, so that no key is a prefix of another's by accident.

use crate::blob::BlobId;
use crate::hash::Digest;
use crate::id::{Dot, HubId, Id, ReplicaId};
use crate::leaf::{POSITION_BYTES, Position};
use crate::time::Micros;

/// The one row of [`super::Family::Meta`].
pub const META_KEY: &[u8] = b"hub";

fn push_text(key: &mut Vec<u8>, text: &str) {
    // Ids have at most 64 bytes, types at most 128: one byte holds the length.
    debug_assert!(text.len() < 256);
    key.push(text.len() as u8);
    key.extend_from_slice(text.as_bytes());
}

/// Key of an id.
pub fn id_key(id: &Id) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + id.as_str().len() + 32);
    push_text(&mut key, id.as_str());
    key
}

/// Prefix of an id's records. They stand by position first, so that whatever anti-entropy narrows a difference down to
/// is one range.
pub fn records_prefix(id: &Id) -> Vec<u8> {
    let mut key = Vec::with_capacity(POSITION_BYTES + 1 + id.as_str().len() + 32);
    key.extend_from_slice(&Position::of(id).bytes());
    push_text(&mut key, id.as_str());
    key
}

/// Key of one record.
pub fn record_key(id: &Id, digest: &Digest) -> Vec<u8> {
    let mut key = records_prefix(id);
    key.extend_from_slice(&digest.0);
    key
}

/// Id and digest of a key of [`record_key`].
pub fn record_of(key: &[u8]) -> Option<(Id, Digest)> {
    let id = trailing_id(key, POSITION_BYTES)?;
    let digest = key.get(POSITION_BYTES + 1 + id.as_str().len()..)?;
    Some((id, Digest(digest.try_into().ok()?)))
}

/// Key of one awaited parent.
pub fn awaiting_key(id: &Id, digest: &Digest) -> Vec<u8> {
    let mut key = id_key(id);
    key.extend_from_slice(&digest.0);
    key
}

/// The row of [`super::Family::Merkle`] that holds the home's key for short ids.
pub const TREE_KEY: &[u8] = b"key";
/// The row of [`super::Family::Merkle`] that says which row of the journal the kept tree stands for.
pub const TREE_AT: &[u8] = b"at";

/// Key of a row of the journal of leaves: what one commit changed.
pub fn journal_key(number: u64) -> Vec<u8> {
    let mut key = b"j".to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The number of a key of [`journal_key`].
pub fn journal_number(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(b"j")?.try_into().ok()?;
    Some(u64::from_be_bytes(number))
}

/// Key of one log entry: sequences in big-endian order.
pub fn log_key(dot: Dot) -> Vec<u8> {
    let mut key = dot.replica.0.to_vec();
    key.extend_from_slice(&dot.sequence.to_be_bytes());
    key
}

/// The end of one replica's log: exclusive bound for scans.
pub fn log_end(replica: &ReplicaId) -> Option<Vec<u8>> {
    prefix_end(&replica.0)
}

/// Key of an entry that lost a fork.
pub fn evidence_key(dot: Dot, hash: &Digest) -> Vec<u8> {
    let mut key = log_key(dot);
    key.extend_from_slice(&hash.0);
    key
}

/// Key of a record that no entry names, or whose bytes are damaged, among the evidence.
pub fn record_evidence_key(id: &Id, digest: &Digest) -> Vec<u8> {
    let mut key = b"record".to_vec();
    key.extend(record_key(id, digest));
    key
}

/// Prefix of all shown things of one type.
pub fn type_prefix(entity_type: &str) -> Vec<u8> {
    let mut key = Vec::new();
    push_text(&mut key, entity_type);
    key
}

/// Key of one shown thing under its type.
pub fn type_key(entity_type: &str, id: &Id) -> Vec<u8> {
    let mut key = type_prefix(entity_type);
    push_text(&mut key, id.as_str());
    key
}

/// Which end of a relationship an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The relationship starts here.
    From = 0,
    /// The relationship ends here.
    To = 1,
}

/// Key of one shown relationship under one of its ends.
pub fn edge_key(entity: &Id, end: End, relationship_type: &str, relationship: &Id) -> Vec<u8> {
    let mut key = id_key(entity);
    key.push(end as u8);
    push_text(&mut key, relationship_type);
    push_text(&mut key, relationship.as_str());
    key
}

/// The row of [`super::Family::Meta`] that holds the horizons.
pub const HORIZON_KEY: &[u8] = b"horizon";

/// Key of the heads of an id as they were from an order time on: later times come first, so that a scan from an instant
/// meets what held then.
pub fn time_key(id: &Id, at: Micros, digest: &Digest) -> Vec<u8> {
    let mut key = time_prefix(id, at);
    key.extend_from_slice(&digest.0);
    key
}

/// Where a scan for what held at an instant begins; it ends with the prefix [`id_key`].
pub fn time_prefix(id: &Id, at: Micros) -> Vec<u8> {
    let mut key = id_key(id);
    key.extend_from_slice(&(u64::MAX - at.0).to_be_bytes());
    key
}

/// Order time and digest of a key of [`time_key`].
pub fn time_of(key: &[u8], prefix: usize) -> Option<(Micros, Digest)> {
    let (time, digest) = key.get(prefix..)?.split_first_chunk()?;
    let time = u64::MAX - u64::from_be_bytes(*time);
    Some((Micros(time), Digest(digest.try_into().ok()?)))
}

/// Prefix of the entities of one type, or of all (None), that are not shown now.
pub fn past_types(entity_type: Option<&str>) -> Vec<u8> {
    let mut key = vec![0];
    key.extend(entity_type.map(type_prefix).into_iter().flatten());
    key
}

/// Key of an entity that is not shown now.
pub fn past_type_key(entity_type: &str, id: &Id) -> Vec<u8> {
    let mut key = vec![0];
    key.extend(type_key(entity_type, id));
    key
}

/// Prefix of the relationships that have had an end at a thing, or of all (None).
pub fn past_edges(entity: Option<&Id>) -> Vec<u8> {
    let mut key = vec![1];
    key.extend(entity.map(id_key).into_iter().flatten());
    key
}

/// Key of a relationship that has had an end at a thing.
pub fn past_edge_key(entity: &Id, relationship: &Id) -> Vec<u8> {
    let mut key = past_edges(Some(entity));
    push_text(&mut key, relationship.as_str());
    key
}

/// The id at the end of a key that ends in a length and an id, after `before` bytes.
pub fn trailing_id(key: &[u8], before: usize) -> Option<Id> {
    let len = usize::from(*key.get(before)?);
    let text = key.get(before + 1..before + 1 + len)?;
    Id::new(std::str::from_utf8(text).ok()?).ok()
}

/// The smallest key above all that start with `prefix`; None if there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 255 {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// What a row of [`super::Family::Blobs`] tells of a blob: the first byte of its key, before the blob's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfBlob {
    /// What is held of it.
    Held = b'h' as isize,
    /// Its manifest's values.
    Manifest = b'm' as isize,
    /// Its bytes, if they are few.
    Bytes = b'b' as isize,
    /// A record that refers to it.
    Ref = b'r' as isize,
    /// A hub that has let it go because this one keeps it.
    Promise = b'p' as isize,
    /// The hubs that keep it because this one has let it go.
    Keepers = b'k' as isize,
    /// Where the looking at all chunks is; one row for all.
    Look = b'l' as isize,
}

/// Prefix of all rows of one kind.
pub fn blob_kind(kind: OfBlob) -> Vec<u8> {
    vec![kind as u8]
}

/// Key of what a kind of row tells of one blob; of references and promises the prefix.
pub fn blob_key(kind: OfBlob, id: &BlobId) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + 32);
    key.push(kind as u8);
    key.extend_from_slice(&id.0.0);
    key
}

/// Key of one reference.
pub fn ref_key(id: &BlobId, thing: &Id, digest: &Digest) -> Vec<u8> {
    let mut key = blob_key(OfBlob::Ref, id);
    push_text(&mut key, thing.as_str());
    key.extend_from_slice(&digest.0);
    key
}

/// Key of a promise to one hub.
pub fn promise_key(id: &BlobId, hub: &HubId) -> Vec<u8> {
    let mut key = blob_key(OfBlob::Promise, id);
    key.extend_from_slice(hub.0.as_bytes());
    key
}

/// The blob of a key of [`super::Family::Blobs`].
pub fn blob_of(key: &[u8]) -> Option<BlobId> {
    let name: [u8; 32] = key.get(1..33)?.try_into().ok()?;
    Some(BlobId(Digest(name)))
}

/// The hub of a key of [`promise_key`].
pub fn promised_to(key: &[u8]) -> Option<HubId> {
    let hub: [u8; 16] = key.get(33..)?.try_into().ok()?;
    Some(HubId(uuid::Uuid::from_bytes(hub)))
}

/// Thing and record of a key of [`ref_key`].
pub fn referrer(key: &[u8]) -> Option<(Id, Digest)> {
    let thing = trailing_id(key, 33)?;
    let digest = key.get(34 + thing.as_str().len()..)?;
    Some((thing, Digest(digest.try_into().ok()?)))
}
