//! `POST /api/v2/sync`, the answer, and the shapes that reads share with it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{PROTOCOL, SyncType};
use crate::clock::Clock;
use crate::time::Micros;
use crate::value::Map;

/// A record that did not land, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its id, as far as it could be read.
    pub id: String,
    /// Stable; `set_refused` for those whose set another record sank.
    pub code: String,
    /// What was wrong.
    pub detail: String,
}

impl Rejected {
    /// The row of a record that was good in a set that was not.
    pub fn with_the_set(id: String) -> Rejected {
        let detail = "another record of the same set was refused; nothing of the set landed".to_owned();
        Rejected {
            id,
            code: "set_refused".to_owned(),
            detail,
        }
    }
}

/// What became of one pushed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// On disk at this hub.
    Durable,
    /// This hub held it before.
    Known,
    /// On disk, and not what readers see: it lost a conflict and is kept.
    Lost,
}

/// The acknowledgement of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// A conflict that a pushed record met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConflictRow {
    /// The entity or relationship.
    pub entity_id: String,
    /// A version that this hub held.
    pub local_version: String,
    /// The version that was pushed.
    pub remote_version: String,
    /// How it was decided.
    pub resolution_strategy: &'static str,
    /// What readers see now: a version, or a computed one.
    pub resolved_version: String,
    /// Whether it waits for a person.
    pub queued: bool,
}

/// One or more records of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `create`, `update` or `delete`.
    pub change_type: &'static str,
    /// Which of `entries` it belongs to.
    pub set: usize,
    /// An entity.
    pub entity: Option<Map>,
    /// Relationships that follow it in the set.
    pub relationships: Vec<Map>,
}

/// What the accepting hub said about the records of one set, in their order among `changes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryRow {
    /// Whose log.
    pub replica: String,
    /// Where in it.
    pub sequence: u64,
    /// Order times in microseconds since 1970.
    pub order_times: Vec<u64>,
    /// What the bare parent names of each record stood for.
    pub parents: Vec<Vec<Vec<String>>>,
}

/// Figures of one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct SyncStats {
    /// Entities in `changes`.
    pub entities_synced: usize,
    /// Relationships in `changes`.
    pub relationships_synced: usize,
    /// Rows of `conflicts`.
    pub conflicts_resolved: usize,
    /// Milliseconds from request to answer.
    pub duration_ms: u64,
    /// Canonical bytes of the records in `changes`.
    pub bytes: usize,
}

/// A replica-keyed map as clients see it.
pub type ClockMap = BTreeMap<String, u64>;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncResponse {
    /// [`PROTOCOL`].
    pub protocol_version: &'static str,
    /// As asked.
    pub sync_type: &'static str,
    /// Records in this hub's order of arrival, whole sets.
    pub changes: Vec<Change>,
    /// For the sets in `changes`.
    pub entries: Vec<EntryRow>,
    /// Conflicts that the push met.
    pub conflicts: Vec<ConflictRow>,
    /// Acknowledged entities.
    pub applied: Vec<Applied>,
    /// Acknowledged relationships.
    pub applied_relationships: Vec<Applied>,
    /// What was refused.
    pub rejected: Vec<Rejected>,
    /// Replicas of the client's clock that were started over.
    pub reset: Vec<String>,
    /// The place to go on from, at any hub.
    pub vector_clock: ClockMap,
    /// Beside it.
    pub clock_checks: BTreeMap<String, String>,
    /// Not null while there is more.
    pub cursor: Option<String>,
    /// This hub does not hold what the client's clock names: `changes` is empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_yet: bool,
    /// With `not_yet`: what this hub does not hold.
    #[serde(skip_serializing_if = "ClockMap::is_empty")]
    pub missing: ClockMap,
    /// This hub's clock.
    pub server_time: String,
    /// Figures.
    pub sync_stats: SyncStats,
}

impl SyncResponse {
    /// An answer with nothing in it yet.
    pub fn new(sync_type: SyncType, now: Micros) -> SyncResponse {
        SyncResponse {
            protocol_version: PROTOCOL,
            sync_type: sync_type.name(),
            changes: Vec::new(),
            entries: Vec::new(),
            conflicts: Vec::new(),
            applied: Vec::new(),
            applied_relationships: Vec::new(),
            rejected: Vec::new(),
            reset: Vec::new(),
            vector_clock: ClockMap::new(),
            clock_checks: BTreeMap::new(),
            cursor: None,
            not_yet: false,
            missing: ClockMap::new(),
            server_time: now.to_string(),
            sync_stats: SyncStats::default(),
        }
    }
}

impl SyncResponse {
    /// The answer to an owner's decision: the record that says it.
    pub fn decided(id: String, version: String, known: bool) -> SyncResponse {
        let mut response = SyncResponse::new(SyncType::Entities, Micros(0));
        response.applied.push(Applied {
            id,
            version,
            outcome: if known { Outcome::Known } else { Outcome::Durable },
        });
        response
    }
}

/// The two maps that a clock is on the wire.
pub fn clock_to_wire(clock: &Clock) -> (ClockMap, BTreeMap<String, String>) {
    let sequences = clock
        .iter()
        .map(|(replica, point)| (replica.to_string(), point.sequence))
        .collect();
    let checks = clock
        .iter()
        .filter_map(|(replica, point)| Some((replica.to_string(), point.check?.to_string())))
        .collect();
    (sequences, checks)
}
