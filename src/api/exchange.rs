//! One sync exchange, as a client writes and reads it.

use std::sync::Arc;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::entry::{Sealed, Stamp};
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Dot, ReplicaId};
use inbetweenies_core::limits::Limits;
use inbetweenies_core::record::Record;
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::wire::{PROTOCOL, SyncType, clock_from_wire, clock_to_wire};

use super::fields::{Fields, Odd, whole};

/// What a client asks and brings.
#[derive(Debug, Clone)]
pub struct Exchange<'a> {
    /// Which device asks.
    pub device_id: &'a str,
    /// Who asks.
    pub user_id: &'a str,
    /// What is wanted back.
    pub sync_type: SyncType,
    /// The place to go on from.
    pub clock: &'a Clock,
    /// Change sets to push; each lands whole or not at all.
    pub sets: Vec<Vec<Arc<Sealed>>>,
    /// Whether superseded records are left out of the answer.
    pub heads_only: bool,
}

impl Exchange<'_> {
    /// The body, in MessagePack. Within a request sets are numbered from 0, in their order.
    pub fn encode(&self) -> Vec<u8> {
        let (clock, checks) = clock_to_wire(self.clock);
        let clock = clock
            .into_iter()
            .map(|(replica, sequence)| (replica, Value::Int(sequence as i64)));
        let checks = checks
            .into_iter()
            .map(|(replica, check)| (replica, Value::Text(check)));
        let numbered = self.sets.iter().enumerate();
        let changes =
            numbered.flat_map(|(set, records)| records.iter().map(move |sealed| change(set, sealed)));
        let body = [
            ("protocol_version", Value::from(PROTOCOL)),
            ("device_id", Value::from(self.device_id)),
            ("user_id", Value::from(self.user_id)),
            ("sync_type", Value::from(self.sync_type.name())),
            ("vector_clock", Value::Map(clock.collect())),
            ("clock_checks", Value::Map(checks.collect())),
            ("changes", Value::List(changes.collect())),
            ("heads_only", Value::Bool(self.heads_only)),
        ];
        let body: Map = body
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let mut bytes = Vec::new();
        Value::Map(body).encode(&mut bytes);
        bytes
    }
}

fn change(set: usize, sealed: &Sealed) -> Value {
    let record = &sealed.record;
    let change_type = match (record.deleted, record.parents.is_empty()) {
        (true, _) => "delete",
        (false, true) => "create",
        (false, false) => "update",
    };
    let wire = Value::Map(record.to_wire());
    let (entity, relationships) = if record.is_entity() {
        (wire, Vec::new())
    } else {
        (Value::Null, vec![wire])
    };
    let change = [
        ("change_type", Value::from(change_type)),
        ("set", Value::Int(set as i64)),
        ("entity", entity),
        ("relationships", Value::List(relationships)),
    ];
    Value::Map(
        change
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

/// What a hub answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Records that the clock lacked, in the hub's order of arrival, whole sets.
    pub sets: Vec<ReceivedSet>,
    /// What became of pushed records that landed.
    pub applied: Vec<Acknowledged>,
    /// What became of the others, in the order in which they were pushed: id, code, detail.
    pub rejected: Vec<(String, String, String)>,
    /// Conflicts that the push met.
    pub conflicts: Vec<ConflictRow>,
    /// Replicas of which the branch that the clock named was given up.
    pub reset: Vec<ReplicaId>,
    /// The place to go on from, at any hub.
    pub clock: Clock,
    /// Whether there is more.
    pub more: bool,
    /// Whether the hub is behind the clock it was shown, and therefore sent no records.
    pub not_yet: bool,
    /// Bytes of the body.
    pub bytes: usize,
}

/// One change set, and what the accepting hub's log says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSet {
    /// Its place.
    pub dot: Dot,
    /// Its records; the others were filtered out.
    pub records: Vec<Received>,
}

/// A record and its stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The record.
    pub sealed: Arc<Sealed>,
    /// What the entry says of it.
    pub stamp: Stamp,
}

/// What became of a pushed record that landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// On disk at that hub.
    Durable,
    /// That hub held it before.
    Known,
    /// On disk, and not what readers see: it lost a conflict and is kept.
    Lost,
}

/// The acknowledgement of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// A conflict that a pushed record met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictRow {
    /// The entity or relationship.
    pub id: String,
    /// A version that the hub held.
    pub local_version: String,
    /// The version that was pushed.
    pub remote_version: String,
    /// How it was decided.
    pub strategy: String,
    /// What readers see now.
    pub resolved_version: String,
}

impl Reply {
    pub(super) fn read(value: Value, bytes: usize, limits: &Limits) -> Result<Reply, Odd> {
        let mut fields = Fields::of(value, "the answer")?;
        let (clock, checks) = (fields.any("vector_clock"), fields.any("clock_checks"));
        let mut applied = Vec::new();
        for key in ["applied", "applied_relationships"] {
            for row in fields.list(key)? {
                applied.push(Acknowledged::read(row)?);
            }
        }
        let rejected = fields.list("rejected")?.into_iter().map(|row| {
            let mut row = Fields::of(row, "a rejected record")?;
            Ok((row.text("id")?, row.text("code")?, row.text("detail")?))
        });
        let rejected = rejected.collect::<Result<_, Odd>>()?;
        let conflicts = fields.list("conflicts")?.into_iter().map(ConflictRow::read);
        let conflicts = conflicts.collect::<Result<_, Odd>>()?;
        let reset = fields.texts("reset")?.into_iter();
        let reset = reset.map(|name| name.parse().map_err(|error| format!("reset: {error}")));
        let (changes, entries) = (fields.list("changes")?, fields.list("entries")?);
        Ok(Reply {
            sets: read_sets(changes, entries, limits)?,
            applied,
            rejected,
            conflicts,
            reset: reset.collect::<Result<_, Odd>>()?,
            clock: clock_from_wire(clock, checks, limits).map_err(|problem| problem.detail)?,
            more: fields.text_if("cursor")?.is_some(),
            not_yet: fields.flag("not_yet"),
            bytes,
        })
    }
}

impl Acknowledged {
    fn read(value: Value) -> Result<Acknowledged, Odd> {
        let mut row = Fields::of(value, "an applied record")?;
        Ok(Acknowledged {
            id: row.text("id")?,
            version: row.text("version")?,
            outcome: match row.text_if("outcome")?.as_deref() {
                Some("known") => Outcome::Known,
                Some("lost") => Outcome::Lost,
                // A word that a later hub adds still stands in the list of what landed.
                _ => Outcome::Durable,
            },
        })
    }
}

impl ConflictRow {
    fn read(value: Value) -> Result<ConflictRow, Odd> {
        let mut row = Fields::of(value, "a conflict")?;
        let mut text = |key| row.text_if(key).map(Option::unwrap_or_default);
        Ok(ConflictRow {
            id: text("entity_id")?,
            local_version: text("local_version")?,
            remote_version: text("remote_version")?,
            strategy: text("resolution_strategy")?,
            resolved_version: text("resolved_version")?,
        })
    }
}

/// Puts each record to its set and its stamp.
fn read_sets(changes: Vec<Value>, entries: Vec<Value>, limits: &Limits) -> Result<Vec<ReceivedSet>, Odd> {
    let mut records: Vec<Vec<Record>> = entries.iter().map(|_| Vec::new()).collect();
    for change in changes {
        let mut change = Fields::of(change, "a change")?;
        let at = change.whole("set")?;
        let Some(set) = usize::try_from(at).ok().and_then(|at| records.get_mut(at)) else {
            return Err(format!("a change is of set {at}, which has no entry"));
        };
        let entity = change.any("entity").map(|entity| (entity, true));
        let relationships = change
            .list("relationships")?
            .into_iter()
            .map(|edge| (edge, false));
        for (map, entity) in entity.into_iter().chain(relationships) {
            let Value::Map(map) = map else {
                return Err(format!("a record is {}, not a map", map.kind()));
            };
            set.push(
                Record::from_wire(map, entity, false, limits)
                    .map_err(|error| format!("a record: {error}"))?,
            );
        }
    }
    entries
        .into_iter()
        .zip(records)
        .map(|(entry, records)| read_set(entry, records))
        .collect()
}

fn read_set(entry: Value, records: Vec<Record>) -> Result<ReceivedSet, Odd> {
    let mut entry = Fields::of(entry, "an entry")?;
    let dot = Dot {
        replica: entry.parsed("replica", "a replica's id")?,
        sequence: entry.whole("sequence")?,
    };
    let (times, parents) = (entry.list("order_times")?, entry.list("parents")?);
    if times.len() != records.len() || !(parents.is_empty() || parents.len() == records.len()) {
        return Err(format!(
            "the entry {} of {} stamps {} records, and {} came",
            dot.sequence,
            dot.replica,
            times.len(),
            records.len()
        ));
    }
    let mut parents = parents.iter();
    let mut received = Vec::with_capacity(records.len());
    for (record, time) in records.into_iter().zip(&times) {
        let sealed = Arc::new(Sealed::new(record));
        let Some(order_time) = whole(time) else {
            return Err(format!("an order time is {}, not a whole number", time.kind()));
        };
        let stamp = Stamp {
            digest: sealed.digest,
            order_time: Micros(order_time),
            resolved: parents.next().map_or_else(|| Ok(Vec::new()), resolved)?,
        };
        received.push(Received { sealed, stamp });
    }
    Ok(ReceivedSet {
        dot,
        records: received,
    })
}

/// What the bare names of one record stood for: a list of digests for each.
fn resolved(names: &Value) -> Result<Vec<Vec<Digest>>, Odd> {
    let bad = || "an entry's parents are not lists of digests".to_owned();
    let digest = |value: &Value| value.as_text().and_then(Digest::parse).ok_or_else(bad);
    let name = |value: &Value| value.as_list().ok_or_else(bad)?.iter().map(digest).collect();
    names.as_list().ok_or_else(bad)?.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use inbetweenies_core::id::{Id, Version};
    use inbetweenies_core::record::{Kind, Parent};
    use inbetweenies_core::value::{Budget, decode_msgpack};
    use inbetweenies_core::wire::{Change, EntryRow, SyncRequest, SyncResponse};

    use super::*;

    fn record(id: &str, edge: bool) -> Record {
        let kind = if edge {
            Kind::Relationship {
                from: Id::new("lamp").unwrap(),
                to: Id::new("hall").unwrap(),
                relationship_type: "located_in".to_owned(),
            }
        } else {
            Kind::Entity {
                entity_type: "device".to_owned(),
                name: Some("Lamp".to_owned()),
                source_type: None,
            }
        };
        Record {
            id: Id::new(id).unwrap(),
            version: Version::new("v-2").unwrap(),
            kind,
            user_id: Some("alice".to_owned()),
            parents: vec![
                Parent {
                    version: Version::new("v-0").unwrap(),
                    digest: None,
                },
                Parent {
                    version: Version::new("v-1").unwrap(),
                    digest: Some(Digest([7; 32])),
                },
            ],
            deleted: edge,
            content: Map::from([("brightness".to_owned(), Value::Float(0.5))]),
            extra: Map::from([("x_new".to_owned(), Value::Int(1))]),
        }
    }

    fn through(value: &impl serde::Serialize) -> Value {
        decode_msgpack(&rmp_serde::to_vec_named(value).unwrap(), &Budget::new(32, 10_000)).unwrap()
    }

    #[test]
    fn a_hub_reads_what_a_client_writes() {
        let (thing, edge) = (
            Sealed::new(record("lamp", false)),
            Sealed::new(record("edge", true)),
        );
        let exchange = Exchange {
            device_id: "device",
            user_id: "alice",
            sync_type: SyncType::Delta,
            clock: &Clock::new(),
            sets: vec![vec![Arc::new(thing.clone())], vec![Arc::new(edge.clone())]],
            heads_only: true,
        };
        let body = decode_msgpack(&exchange.encode(), &Budget::new(32, 10_000)).unwrap();
        let request = SyncRequest::read(body, &Limits::default()).unwrap();
        assert!(request.heads_only && request.device_id == "device");
        let digests: Vec<Digest> = request
            .sets
            .iter()
            .map(|set| set.set.as_ref().unwrap().records[0].digest)
            .collect();
        assert_eq!(
            digests,
            [thing.digest, edge.digest],
            "the same bytes on both ends"
        );
    }

    #[test]
    fn a_client_reads_what_a_hub_writes() {
        let (thing, edge) = (
            Sealed::new(record("lamp", false)),
            Sealed::new(record("edge", true)),
        );
        let mut response = SyncResponse::new(SyncType::Full, Micros(0));
        response.changes.push(Change {
            change_type: "create",
            set: 0,
            entity: Some(thing.record.to_wire()),
            relationships: vec![edge.record.to_wire()],
        });
        response.entries.push(EntryRow {
            replica: ReplicaId([3; 16]).to_string(),
            sequence: 9,
            order_times: vec![11, 12],
            parents: vec![vec![vec![Digest([5; 32]).to_string()]], vec![vec![]]],
        });
        response.cursor = Some("more".to_owned());
        let reply = Reply::read(through(&response), 0, &Limits::default()).unwrap();
        assert_eq!(
            reply.sets[0].dot,
            Dot {
                replica: ReplicaId([3; 16]),
                sequence: 9
            }
        );
        let [first, second] = &reply.sets[0].records[..] else {
            panic!("two records")
        };
        assert_eq!(
            (first.sealed.digest, second.sealed.digest),
            (thing.digest, edge.digest)
        );
        assert_eq!(first.stamp.resolved, vec![vec![Digest([5; 32])]]);
        assert_eq!(
            (second.stamp.order_time, second.stamp.resolved.len()),
            (Micros(12), 1)
        );
        assert!(reply.more && !reply.not_yet);
    }

    #[test]
    fn an_answer_whose_parts_do_not_fit_is_refused() {
        let mut response = SyncResponse::new(SyncType::Full, Micros(0));
        response.changes.push(Change {
            change_type: "create",
            set: 1,
            entity: Some(record("lamp", false).to_wire()),
            relationships: Vec::new(),
        });
        let limits = Limits::default();
        assert!(
            Reply::read(through(&response), 0, &limits).is_err(),
            "a set without entry"
        );
        response.changes[0].set = 0;
        response.entries.push(EntryRow {
            replica: ReplicaId([3; 16]).to_string(),
            sequence: 9,
            order_times: vec![],
            parents: vec![],
        });
        assert!(
            Reply::read(through(&response), 0, &limits).is_err(),
            "a record without stamp"
        );
        assert!(Reply::read(Value::Int(1), 0, &limits).is_err());
    }
}
