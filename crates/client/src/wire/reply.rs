//! One sync exchange, as a client reads its answer.

use std::sync::Arc;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::entry::{Sealed, Stamp};
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Dot, ReplicaId};
use inbetweenies_core::limits::Limits;
use inbetweenies_core::record::Record;
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Budget, Value, decode_msgpack};
use inbetweenies_core::wire::clock_from_wire;

use super::failure::Malformed;
use super::fields::{Fields, malformed, whole};

/// Values in one answer; a page of small records has some ten thousand.
pub const ANSWER_ELEMENTS_MAX: usize = 4_000_000;

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
    /// With `not_yet`: what the clock names and the hub does not hold.
    pub missing: Clock,
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
    /// Reads a MessagePack body. O(body).
    pub fn decode(body: &[u8], limits: &Limits) -> Result<Reply, Malformed> {
        let value = decode_msgpack(body, &Budget::new(limits.depth_max, ANSWER_ELEMENTS_MAX))
            .map_err(|refusal| Malformed(refusal.detail))?;
        Reply::read(value, body.len(), limits)
    }

    /// Reads a decoded body, which had so many bytes.
    pub fn read(value: Value, bytes: usize, limits: &Limits) -> Result<Reply, Malformed> {
        let mut fields = Fields::of(value, "the answer")?;
        let (clock, checks) = (fields.any("vector_clock"), fields.any("clock_checks"));
        let clock_of =
            |clock, checks| clock_from_wire(clock, checks, limits).map_err(|no| Malformed(no.detail));
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
        let rejected = rejected.collect::<Result<_, Malformed>>()?;
        let conflicts = fields.list("conflicts")?.into_iter().map(ConflictRow::read);
        let conflicts = conflicts.collect::<Result<_, Malformed>>()?;
        let reset = fields.texts("reset")?.into_iter();
        let reset = reset.map(|name| name.parse().map_err(|error| Malformed(format!("reset: {error}"))));
        let (changes, entries) = (fields.list("changes")?, fields.list("entries")?);
        Ok(Reply {
            sets: read_sets(changes, entries, limits)?,
            applied,
            rejected,
            conflicts,
            reset: reset.collect::<Result<_, Malformed>>()?,
            clock: clock_of(clock, checks)?,
            more: fields.text_if("cursor")?.is_some(),
            not_yet: fields.flag("not_yet"),
            missing: clock_of(fields.any("missing"), None)?,
            bytes,
        })
    }
}

impl Acknowledged {
    fn read(value: Value) -> Result<Acknowledged, Malformed> {
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
    fn read(value: Value) -> Result<ConflictRow, Malformed> {
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
fn read_sets(
    changes: Vec<Value>,
    entries: Vec<Value>,
    limits: &Limits,
) -> Result<Vec<ReceivedSet>, Malformed> {
    let mut records: Vec<Vec<Sealed>> = entries.iter().map(|_| Vec::new()).collect();
    for change in changes {
        let mut change = Fields::of(change, "a change")?;
        let at = change.whole("set")?;
        let Some(set) = usize::try_from(at).ok().and_then(|at| records.get_mut(at)) else {
            return malformed(format!("a change is of set {at}, which has no entry"));
        };
        let entity = change.any("entity").map(|entity| (entity, true));
        let relationships = change
            .list("relationships")?
            .into_iter()
            .map(|edge| (edge, false));
        for (map, entity) in entity.into_iter().chain(relationships) {
            let Value::Map(mut map) = map else {
                return malformed(format!("a record is {}, not a map", map.kind()));
            };
            // Of a forgotten record the skeleton comes, and the name that its bytes once gave.
            let forgotten = match (map.remove("forgotten"), map.remove("digest")) {
                (Some(Value::Bool(true)), Some(Value::Text(digest))) => match Digest::parse(&digest) {
                    Some(digest) => Some(digest),
                    None => return malformed("a forgotten record's digest is not 64 lower-case hex digits"),
                },
                _ => None,
            };
            let record = Record::from_wire(map, entity, false, limits)
                .map_err(|error| Malformed(format!("a record: {error}")))?;
            set.push(match forgotten {
                Some(digest) => Sealed::skeleton(record, digest),
                None => Sealed::new(record),
            });
        }
    }
    entries
        .into_iter()
        .zip(records)
        .map(|(entry, records)| read_set(entry, records))
        .collect()
}

fn read_set(entry: Value, records: Vec<Sealed>) -> Result<ReceivedSet, Malformed> {
    let mut entry = Fields::of(entry, "an entry")?;
    let dot = Dot {
        replica: entry.parsed("replica", "a replica's id")?,
        sequence: entry.whole("sequence")?,
    };
    let (times, parents) = (entry.list("order_times")?, entry.list("parents")?);
    if times.len() != records.len() || !(parents.is_empty() || parents.len() == records.len()) {
        return malformed(format!(
            "the entry {} of {} stamps {} records, and {} came",
            dot.sequence,
            dot.replica,
            times.len(),
            records.len()
        ));
    }
    let mut parents = parents.iter();
    let mut received = Vec::with_capacity(records.len());
    for (sealed, time) in records.into_iter().zip(&times) {
        let sealed = Arc::new(sealed);
        let Some(order_time) = whole(time) else {
            return malformed(format!("an order time is {}, not a whole number", time.kind()));
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
fn resolved(names: &Value) -> Result<Vec<Vec<Digest>>, Malformed> {
    let bad = || Malformed("an entry's parents are not lists of digests".to_owned());
    let digest = |value: &Value| value.as_text().and_then(Digest::parse).ok_or_else(bad);
    let name = |value: &Value| value.as_list().ok_or_else(bad)?.iter().map(digest).collect();
    names.as_list().ok_or_else(bad)?.iter().map(name).collect()
}

#[cfg(test)]
mod tests;
