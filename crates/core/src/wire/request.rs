//! `POST /api/v2/sync`, the request: read once, at the door, into types that cannot be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{PROTOCOL, Problem};
use crate::clock::{Clock, Point};
use crate::entry::{ChangeSet, Sealed};
use crate::hash::Check;
use crate::id::ReplicaId;
use crate::limits::{Limits, SET_PARENTS_MAX, WORD_BYTES_MAX};
use crate::record::Record;
use crate::time::{Micros, edit_time};
use crate::value::{Map, Value};
use crate::wire::response::Rejected;

/// Which part of the graph the answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncType {
    /// Everything the clock lacks.
    Full,
    /// The same; the name says that the client has synced before.
    Delta,
    /// Entities only.
    Entities,
    /// Relationships only.
    Relationships,
}

impl SyncType {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            SyncType::Full => "full",
            SyncType::Delta => "delta",
            SyncType::Entities => "entities",
            SyncType::Relationships => "relationships",
        }
    }
}

/// Filters that only gain ids, so that the clock alone is the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// Entities of these types, and no relationships.
    pub entity_types: Option<BTreeSet<String>>,
    /// Accepted at this hub at this instant or later.
    pub since: Option<Micros>,
    /// Written by these users.
    pub modified_by: Option<BTreeSet<String>>,
}

/// One change set of a request: readable, or refused with the rows that say why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedSet {
    /// Its records, or why it was refused as a whole.
    pub set: Result<ChangeSet, Vec<Rejected>>,
}

/// One sync exchange, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// Which device asks.
    pub device_id: String,
    /// Who asks.
    pub user_id: Option<String>,
    /// What is wanted back.
    pub sync_type: SyncType,
    /// The place to go on from.
    pub clock: Clock,
    /// What is pushed.
    pub sets: Vec<RequestedSet>,
    /// What to leave out.
    pub filters: Filters,
    /// Records of one page of the answer.
    pub limit: usize,
    /// Whether superseded records are left out.
    pub heads_only: bool,
}

fn malformed<T>(detail: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::bad_request("malformed", detail))
}

impl SyncRequest {
    /// Reads a decoded body. A request refused here changes nothing; a set refused within a good request is a row of
    /// `rejected`.
    pub fn read(body: Value, limits: &Limits) -> Result<SyncRequest, Problem> {
        let Value::Map(mut map) = body else {
            return malformed("a sync request is a map");
        };
        match map.remove("protocol_version") {
            Some(Value::Text(version)) if version == PROTOCOL => {}
            Some(Value::Text(version)) => {
                let detail =
                    format!("protocol_version {version:?} is not spoken here; this hub speaks {PROTOCOL:?}");
                return Err(Problem::bad_request("unknown_protocol", detail));
            }
            _ => {
                let detail = format!("protocol_version is missing; this hub speaks {PROTOCOL:?}");
                return Err(Problem::bad_request("unknown_protocol", detail));
            }
        }
        let device_id = word(&mut map, "device_id")?;
        let Some(device_id) = device_id else {
            return malformed("device_id is missing: any string of your own");
        };
        let user_id = word(&mut map, "user_id")?;
        let sync_type = match word(&mut map, "sync_type")?.as_deref() {
            None | Some("delta") => SyncType::Delta,
            Some("full") => SyncType::Full,
            Some("entities") => SyncType::Entities,
            Some("relationships") => SyncType::Relationships,
            Some(other) => {
                return malformed(format!(
                    "sync_type {other:?} is not full, delta, entities or relationships"
                ));
            }
        };
        let clock = clock_from_wire(map.remove("vector_clock"), map.remove("clock_checks"), limits)?;
        let filters = filters(map.remove("filters"))?;
        let limit = match map.remove("limit") {
            None | Some(Value::Null) => limits.page_records_max,
            Some(Value::Int(limit)) if limit > 0 => limits.page_records_max.min(limit as usize),
            Some(_) => return malformed("limit is not a whole number above 0"),
        };
        let heads_only = matches!(map.remove("heads_only"), Some(Value::Bool(true)));
        let sets = match map.remove("changes") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::List(changes)) => read_sets(changes, limits)?,
            Some(other) => return malformed(format!("changes is {}, not a list", other.kind())),
        };
        Ok(SyncRequest {
            device_id,
            user_id,
            sync_type,
            clock,
            sets,
            filters,
            limit,
            heads_only,
        })
    }
}

fn word(map: &mut Map, key: &str) -> Result<Option<String>, Problem> {
    match map.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(text)) if (1..=2 * WORD_BYTES_MAX).contains(&text.len()) => Ok(Some(text)),
        Some(Value::Text(text)) => malformed(format!(
            "{key} has {} bytes, not 1 to {}",
            text.len(),
            2 * WORD_BYTES_MAX
        )),
        Some(other) => malformed(format!("{key} is {}, not a string", other.kind())),
    }
}

/// Reads `vector_clock` and `clock_checks` as clients write them.
pub fn clock_from_wire(
    clock: Option<Value>,
    checks: Option<Value>,
    limits: &Limits,
) -> Result<Clock, Problem> {
    let bad = |detail: String| Problem::bad_request("bad_clock", detail);
    let map = |value: Option<Value>, name: &str| match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Map(map)) if map.len() <= limits.clock_entries_max => Ok(map),
        Some(Value::Map(map)) => Err(bad(format!(
            "{name} has {} entries; at most {} are allowed",
            map.len(),
            limits.clock_entries_max
        ))),
        Some(other) => Err(bad(format!("{name} is {}, not a map", other.kind()))),
    };
    let (clock, mut checks) = (map(clock, "vector_clock")?, map(checks, "clock_checks")?);
    let mut points = BTreeMap::new();
    for (replica, sequence) in clock {
        let name: ReplicaId = replica
            .parse()
            .map_err(|error| bad(format!("vector_clock, {replica:?}: {error}")))?;
        let Some(sequence) = sequence
            .as_int()
            .and_then(|sequence| u64::try_from(sequence).ok())
        else {
            return Err(bad(format!(
                "vector_clock, {replica}: not a whole number of 0 or more"
            )));
        };
        let check = match checks.remove(&replica) {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_text().and_then(Check::parse) {
                Some(check) => Some(check),
                None => {
                    return Err(bad(format!(
                        "clock_checks, {replica}: not 16 lower-case hex digits"
                    )));
                }
            },
        };
        points.insert(name, Point { sequence, check });
    }
    Ok(points.into_iter().collect())
}

fn filters(value: Option<Value>) -> Result<Filters, Problem> {
    let mut map = match value {
        None | Some(Value::Null) => return Ok(Filters::default()),
        Some(Value::Map(map)) => map,
        Some(other) => return malformed(format!("filters is {}, not a map", other.kind())),
    };
    let mut words = |key: &str| match map.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(one)) => Ok(Some(BTreeSet::from([one]))),
        Some(Value::List(list)) if list.iter().all(|item| item.as_text().is_some()) => Ok(Some(
            list.iter()
                .filter_map(Value::as_text)
                .map(str::to_owned)
                .collect(),
        )),
        Some(_) => malformed(format!("filters.{key} is not a list of strings")),
    };
    let (entity_types, modified_by) = (words("entity_types")?, words("modified_by")?);
    let since = match map.remove("since") {
        None | Some(Value::Null) => None,
        Some(Value::Text(text)) => match edit_time(&text).or_else(|| edit_time(&format!("{text}Z"))) {
            Some(since) => Some(since),
            None => return malformed(format!("filters.since {text:?} is not an ISO-8601 instant")),
        },
        Some(other) => return malformed(format!("filters.since is {}, not a string", other.kind())),
    };
    Ok(Filters {
        entity_types,
        since,
        modified_by,
    })
}

#[derive(Default)]
struct Gathered {
    records: Vec<Arc<Sealed>>,
    ids: Vec<String>,
    culprits: Vec<Rejected>,
    bytes: usize,
}

/// Groups the changes into sets: by `set` where it is given, all others as one; in the order of first mention.
fn read_sets(changes: Vec<Value>, limits: &Limits) -> Result<Vec<RequestedSet>, Problem> {
    let mut order: Vec<Option<i64>> = Vec::new();
    let mut sets: BTreeMap<Option<i64>, Gathered> = BTreeMap::new();
    for (at, change) in changes.into_iter().enumerate() {
        let Value::Map(mut change) = change else {
            return malformed(format!("changes[{at}] is not a map"));
        };
        let deleted = match change.remove("change_type") {
            None | Some(Value::Null) => false,
            Some(Value::Text(kind)) => match kind.as_str() {
                "create" | "update" => false,
                "delete" => true,
                other => {
                    return malformed(format!(
                        "changes[{at}].change_type {other:?} is not create, update, delete"
                    ));
                }
            },
            Some(other) => {
                return malformed(format!(
                    "changes[{at}].change_type is {}, not a string",
                    other.kind()
                ));
            }
        };
        let number = match change.remove("set") {
            None | Some(Value::Null) => None,
            Some(Value::Int(number)) => Some(number),
            Some(other) => {
                return malformed(format!(
                    "changes[{at}].set is {}, not a whole number",
                    other.kind()
                ));
            }
        };
        if !sets.contains_key(&number) {
            order.push(number);
        }
        let set = sets.entry(number).or_default();
        let mut found = false;
        match change.remove("entity") {
            None | Some(Value::Null) => {}
            Some(Value::Map(entity)) => {
                found = true;
                set.add(entity, true, deleted, limits);
            }
            Some(other) => return malformed(format!("changes[{at}].entity is {}, not a map", other.kind())),
        }
        match change.remove("relationships") {
            None | Some(Value::Null) => {}
            Some(Value::List(list)) => {
                for relationship in list {
                    let Value::Map(relationship) = relationship else {
                        return malformed(format!(
                            "changes[{at}].relationships holds something that is no map"
                        ));
                    };
                    // A deleted entity's change may carry edges; each says by itself whether it is deleted.
                    let deleted = deleted && !found;
                    set.add(relationship, false, deleted, limits);
                }
            }
            Some(other) => {
                return malformed(format!(
                    "changes[{at}].relationships is {}, not a list",
                    other.kind()
                ));
            }
        }
    }
    Ok(order
        .into_iter()
        .filter_map(|number| sets.remove(&number))
        .map(|set| set.close(limits))
        .collect())
}

impl Gathered {
    fn add(&mut self, map: Map, entity: bool, deleted: bool, limits: &Limits) {
        let id = map.get("id").and_then(Value::as_text).unwrap_or_default();
        let id: String = id.chars().take(crate::id::ID_BYTES_MAX).collect();
        match Record::from_wire(map, entity, deleted, limits) {
            Ok(record) => {
                let sealed = Sealed::new(record);
                self.bytes += sealed.bytes.len();
                self.records.push(Arc::new(sealed));
            }
            Err(error) => {
                self.culprits.push(Rejected {
                    id: id.clone(),
                    code: error.code.to_owned(),
                    detail: error.detail,
                });
            }
        }
        self.ids.push(id);
    }

    fn close(mut self, limits: &Limits) -> RequestedSet {
        if self.records.len() > limits.set_records_max || self.bytes > limits.set_bytes_max {
            let detail = format!(
                "the set has {} records and {} bytes; at most {} and {} are allowed",
                self.records.len(),
                self.bytes,
                limits.set_records_max,
                limits.set_bytes_max
            );
            let first = self.ids.first().cloned().unwrap_or_default();
            self.culprits.push(Rejected {
                id: first,
                code: "limit_set".to_owned(),
                detail,
            });
        }
        let parents: usize = self
            .records
            .iter()
            .map(|sealed| sealed.record.parents.len())
            .sum();
        if parents > SET_PARENTS_MAX {
            let detail = format!("the set names {parents} parents; at most {SET_PARENTS_MAX} are allowed");
            let first = self.ids.first().cloned().unwrap_or_default();
            self.culprits.push(Rejected {
                id: first,
                code: "limit_set".to_owned(),
                detail,
            });
        }
        if self.culprits.is_empty() {
            // The same record twice in one set is one record.
            let mut seen = BTreeSet::new();
            self.records.retain(|sealed| seen.insert(sealed.digest));
            return RequestedSet {
                set: Ok(ChangeSet {
                    records: self.records,
                }),
            };
        }
        let named: BTreeSet<String> = self.culprits.iter().map(|row| row.id.clone()).collect();
        let mut rows = self.culprits;
        rows.extend(
            self.ids
                .into_iter()
                .filter(|id| !named.contains(id))
                .map(Rejected::with_the_set),
        );
        RequestedSet { set: Err(rows) }
    }
}
