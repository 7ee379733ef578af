//! One round of a sync: what is pushed, and what the answer means for the replica. No socket, no clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use inbetweenies_core::entry::Sealed;
use inbetweenies_core::value::Value;
use serde_bytes::ByteBuf;

use crate::frame::{RecordRow, Refused, RefusedRow, SetRow, Synced, clock_row};
use crate::replica::Replica;
use crate::session::Summary;
use crate::wire::{Outcome, Reply};

/// What one request pushes: below a hub's bounds by a margin, for a body counts more than its records.
const PUSH_RECORDS_MAX: usize = 2_000;
const PUSH_BYTES_MAX: usize = 4 << 20;
/// Values in one request; a hub takes 200,000.
const PUSH_ELEMENTS_MAX: usize = 100_000;

/// Sets with their numbers.
pub type Pushed = Vec<(u64, Vec<Arc<Sealed>>)>;

/// The next sets to push, in their order: at least one if there are any, within the bounds of a request.
pub fn next_push(replica: &Replica) -> Pushed {
    let (mut pushed, mut records, mut bytes, mut elements) = (Pushed::new(), 0, 0, 0);
    for (number, set) in replica.pending() {
        records += set.records.len();
        bytes += set.records.iter().map(|sealed| sealed.bytes.len()).sum::<usize>();
        elements += set.records.iter().map(|sealed| values_in(sealed)).sum::<usize>();
        let full = records > PUSH_RECORDS_MAX || bytes > PUSH_BYTES_MAX || elements > PUSH_ELEMENTS_MAX;
        if full && !pushed.is_empty() {
            break;
        }
        pushed.push((number, set.records.clone()));
    }
    pushed
}

/// Values that a record is on the wire: its envelope, its parents twice over, its content.
fn values_in(sealed: &Sealed) -> usize {
    const ENVELOPE: usize = 24;
    fn count(value: &Value) -> usize {
        match value {
            Value::List(list) => 1 + list.iter().map(count).sum::<usize>(),
            Value::Map(map) => 1 + map.values().map(count).sum::<usize>(),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => 1,
        }
    }
    let record = &sealed.record;
    let free: usize = record
        .content
        .values()
        .chain(record.extra.values())
        .map(count)
        .sum();
    ENVELOPE + 2 * record.parents.len() + free
}

/// What the hub said of the sets pushed. A set lands whole or not at all, and versions of one device are unique, so one
/// acknowledged record speaks for its set; the rows of refused sets come in the order of the push.
pub fn judge(pushed: &[(u64, Vec<Arc<Sealed>>)], reply: &Reply, summary: &mut Summary) -> Synced {
    let applied: BTreeMap<(&str, &str), Outcome> = reply
        .applied
        .iter()
        .map(|row| ((row.id.as_str(), row.version.as_str()), row.outcome))
        .collect();
    let mut rejected: BTreeMap<&str, VecDeque<(&str, &str)>> = BTreeMap::new();
    for (id, code, detail) in &reply.rejected {
        rejected.entry(id).or_default().push_back((code, detail));
    }
    let mut synced = Synced::default();
    for (number, records) in pushed {
        let names = records
            .iter()
            .map(|sealed| (sealed.record.id.as_str(), sealed.record.version.as_str()));
        let outcomes: Vec<Option<Outcome>> = names.map(|name| applied.get(&name).copied()).collect();
        if outcomes.iter().any(Option::is_some) {
            synced.landed.push(*number);
            summary.sets_landed += 1;
            summary.records_sent += records.len();
            let lost = records
                .iter()
                .zip(&outcomes)
                .filter(|(_, outcome)| **outcome == Some(Outcome::Lost));
            summary
                .lost
                .extend(lost.map(|(sealed, _)| sealed.record.id.to_string()));
            continue;
        }
        let rows = records.iter().filter_map(|sealed| {
            let id = sealed.record.id.as_str();
            let (code, detail) = rejected.get_mut(id)?.pop_front()?;
            Some(RefusedRow {
                id: id.to_owned(),
                code: code.to_owned(),
                detail: detail.to_owned(),
            })
        });
        let rows: Vec<RefusedRow> = rows.collect();
        // A hub without a home refuses everything for now, not for good.
        if !rows.is_empty() && rows.iter().all(|row| row.code != "no_home") {
            summary.refused.extend(rows.iter().cloned());
            synced.refused.push(Refused { set: *number, rows });
        }
    }
    summary.conflicts.extend(reply.conflicts.iter().cloned());
    synced
}

/// The records and the clock of an answer. Where a branch was given up, that replica's log is read from its beginning,
/// for only then is it certain which stamps still count.
pub fn take_page(replica: &Replica, reply: &Reply, synced: &mut Synced, summary: &mut Summary) {
    summary.bytes_received += reply.bytes;
    if !reply.reset.is_empty() {
        synced.restarted = reply.reset.clone();
        return;
    }
    for set in &reply.sets {
        summary.records_received += set.records.len();
        let rows = set.records.iter().map(|received| RecordRow {
            bytes: ByteBuf::from(received.sealed.bytes.clone()),
            order_time: received.stamp.order_time,
            resolved: received.stamp.resolved.clone(),
            forgotten: received.sealed.forgotten.then_some(received.sealed.digest),
        });
        synced.sets.push(SetRow {
            dot: set.dot,
            records: rows.collect(),
        });
    }
    if reply.clock != *replica.clock() {
        synced.clock = Some(clock_row(&reply.clock));
    }
}
