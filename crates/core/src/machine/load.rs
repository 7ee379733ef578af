//! Reading what several rooms need from one snapshot: graphs, views, the policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{MEMBER, POLICY_ID};
use crate::entry::{Entry, Sealed, Stamp};
use crate::hash::Digest;
use crate::id::{Dot, Id, ReplicaId};
use crate::machine::Member;
use crate::record::{Kind, Record};
use crate::store::{
    Family, LogRow, RecordRow, Snapshot, StoreError, TimeRow, decode_row, id_key, prefix_end, read_horizons,
    read_id, read_log, read_record, records_prefix, scan_prefix, time_prefix, trailing_id, type_prefix,
};
use crate::time::Micros;
use crate::value::Value;
use crate::view::{Graph, Node, Policy, View};
use crate::zoo::{self, Bug};

/// How far content counts as forgotten, by replica.
pub type Horizon = BTreeMap<ReplicaId, u64>;

/// Reads what a row says of a record.
pub fn node(digest: Digest, row: RecordRow, horizons: &[Horizon]) -> Result<Node, StoreError> {
    let record = Record::from_stored(&row.record).map_err(|error| StoreError::Corrupt {
        family: Family::Records.name(),
        detail: error.detail,
    })?;
    let sealed = Arc::new(Sealed {
        record,
        bytes: row.record,
        digest,
        forgotten: row.forgotten,
    });
    Ok(Node {
        sealed,
        order_time: row.order_time,
        below: below(horizons, &row.dots),
        edges: row.edges,
        late: row.late,
        forgotten: row.forgotten,
    })
}

/// Reads the entry of a row of the log.
pub fn stored_entry(row: &LogRow) -> Result<Entry, StoreError> {
    Entry::from_stored(&row.entry).map_err(|error| StoreError::Corrupt {
        family: Family::Log.name(),
        detail: error.to_string(),
    })
}

/// The entry of a row of the log, if its bytes are what they were when it came.
pub fn sound_entry(row: &LogRow) -> Option<Entry> {
    let entry = Entry::from_stored(&row.entry).ok()?;
    (Digest::of(&row.entry) == row.hash && entry.stamps.len() == row.ids.len()).then_some(entry)
}

/// Entries of the log, decoded once for all their records: a set may have thousands. Keeps a bounded number of stamps, and
/// those of one entry.
#[derive(Debug, Default)]
pub struct Entries {
    by_dot: BTreeMap<Dot, BTreeMap<Digest, Stamp>>,
    stamps: usize,
}

impl Entries {
    /// Whether the entry at a dot names a record; None if it is not held as it was.
    pub fn names(
        &mut self,
        store: &dyn Snapshot,
        dot: Dot,
        digest: &Digest,
    ) -> Result<Option<bool>, StoreError> {
        let stamps = self.of(store, dot)?;
        Ok((!stamps.is_empty()).then(|| stamps.contains_key(digest)))
    }

    /// What the entry at a dot says of its records; nothing if it is not held as it was.
    fn of(&mut self, store: &dyn Snapshot, dot: Dot) -> Result<&BTreeMap<Digest, Stamp>, StoreError> {
        const STAMPS_MAX: usize = 20_000;
        if !self.by_dot.contains_key(&dot) {
            let entry = read_log(store, dot)?.and_then(|row| sound_entry(&row));
            let stamps = entry.map_or_else(Vec::new, |entry| entry.stamps);
            if self.stamps > STAMPS_MAX {
                (self.by_dot, self.stamps) = (BTreeMap::new(), 0);
            }
            self.stamps += stamps.len() + 1;
            let by_digest = stamps.into_iter().map(|stamp| (stamp.digest, stamp));
            self.by_dot.insert(dot, by_digest.collect());
        }
        Ok(&self.by_dot[&dot])
    }
}

/// What the entries of a record's dots say of it, of those dots that `keep` answers yes for and whose entries are held;
/// None if there is no such. O(dots) reads of the log, but for those that `entries` has.
pub fn restamped(
    store: &dyn Snapshot,
    entries: &mut Entries,
    digest: &Digest,
    row: &RecordRow,
    keep: &dyn Fn(&Dot) -> bool,
) -> Result<Option<RecordRow>, StoreError> {
    let mut stamps: Vec<Stamp> = Vec::new();
    for dot in row.dots.iter().filter(|dot| keep(dot)) {
        stamps.extend(entries.of(store, *dot)?.get(digest).cloned());
    }
    let Some(order_time) = stamps.iter().map(|stamp| stamp.order_time).min() else {
        return Ok(None);
    };
    let sealed = node(*digest, row.clone(), &[])?.sealed;
    let (mut edges, mut late) = (BTreeSet::new(), BTreeSet::new());
    for stamp in &stamps {
        let (named, unknown) = stamp.edges(&sealed.record);
        edges.extend(named);
        late.extend(unknown);
    }
    Ok(Some(RecordRow {
        order_time,
        edges: edges.into_iter().collect(),
        late: late.into_iter().collect(),
        ..row.clone()
    }))
}

/// The places of the horizons that some of these dots lie at or below.
pub fn below<'d>(horizons: &[Horizon], dots: impl IntoIterator<Item = &'d Dot> + Clone) -> Vec<usize> {
    let covers = |horizon: &Horizon| {
        let covered = |dot: &Dot| {
            horizon
                .get(&dot.replica)
                .is_some_and(|last| dot.sequence <= *last)
        };
        dots.clone().into_iter().any(covered)
    };
    (0..horizons.len()).filter(|at| covers(&horizons[*at])).collect()
}

/// The whole version graph of one id. O(versions).
pub fn load_graph(store: &dyn Snapshot, id: &Id) -> Result<Graph, StoreError> {
    load_graph_under(store, id, &read_horizons(store)?.pending)
}

/// The same under other horizons than those that hold. O(versions · horizons).
pub fn load_graph_under(store: &dyn Snapshot, id: &Id, horizons: &[Horizon]) -> Result<Graph, StoreError> {
    let prefix = records_prefix(id);
    let mut nodes = Vec::new();
    let mut failed = None;
    scan_prefix(store, Family::Records, &prefix, &mut |key, value| {
        let read = decode_row(Family::Records, value)
            .and_then(|row| node(digest_of_key(key, prefix.len())?, row, horizons));
        match read {
            Ok(node) => nodes.push(node),
            Err(error) => failed = Some(error),
        }
        failed.is_none()
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(Graph::build(nodes)),
    }
}

fn digest_of_key(key: &[u8], at: usize) -> Result<Digest, StoreError> {
    let bytes = key.get(at..).and_then(|rest| rest.try_into().ok());
    bytes.map(Digest).ok_or(StoreError::Corrupt {
        family: Family::Records.name(),
        detail: "a short key".to_owned(),
    })
}

/// The view of one id; None if nothing is known of it. O(1) with one head, O(versions) with several.
pub fn load_view(store: &dyn Snapshot, policy: &Policy, id: &Id) -> Result<Option<View>, StoreError> {
    let Some(row) = read_id(store, id)? else {
        return Ok(None);
    };
    if let ([only], false, false) = (&row.heads[..], row.late, row.gaps)
        && let Some(record) = read_record(store, id, only)?
    {
        let node = node(*only, record, &[])?;
        if let Some(view) = crate::view::single(&node, row.entity_type.as_deref(), policy) {
            return Ok(Some(view));
        }
    }
    Ok(crate::view::view(&load_graph(store, id)?, policy))
}

/// The view of one id as it was at an instant, under the policy of then; None if nothing is known of it from then.
///
/// As fast as [`load_view`] where one head held: O(1) and one seek. O(versions) otherwise.
pub fn load_view_at(
    store: &dyn Snapshot,
    policy: &Policy,
    id: &Id,
    at: Micros,
) -> Result<Option<View>, StoreError> {
    let then = if zoo::planted(Bug::PolicyOfNow) {
        policy
    } else {
        policy.at(at)
    };
    let Some(row) = read_id(store, id)? else {
        return Ok(None);
    };
    if row.eldest.0 > at {
        return Ok(None);
    }
    if row.newest <= at {
        return load_view(store, then, id);
    }
    if row.timed
        && let Some(only) = one_head_at(store, id, at)?
        && let Some(record) = read_record(store, id, &only)?
    {
        let horizons = if record.forgotten {
            Vec::new()
        } else {
            read_horizons(store)?.pending
        };
        let node = node(only, record, &horizons)?;
        // Replaced since, and below a horizon: whether it counts as forgotten hangs on the other versions.
        if (node.forgotten || node.below.is_empty())
            && let Some(view) = crate::view::single(&node, row.entity_type.as_deref(), then)
        {
            return Ok(Some(view));
        }
    }
    Ok(crate::view::view(&load_graph(store, id)?.until(at), then))
}

fn one_head_at(store: &dyn Snapshot, id: &Id, at: Micros) -> Result<Option<Digest>, StoreError> {
    let end = prefix_end(&id_key(id));
    let (mut found, mut failed) = (None, None);
    store.scan(
        Family::Times,
        &time_prefix(id, at),
        end.as_deref(),
        &mut |_, value| {
            match decode_row::<TimeRow>(Family::Times, value) {
                Ok(row) => found = row.heads,
                Err(error) => failed = Some(error),
            }
            false
        },
    )?;
    if let Some(error) = failed {
        return Err(error);
    }
    Ok(match found.as_deref() {
        Some([only]) => Some(*only),
        _ => None,
    })
}

/// The policy that the store holds now, with those before it: last write wins, built in.
pub fn load_policy(store: &dyn Snapshot) -> Result<Policy, StoreError> {
    let Ok(id) = Id::new(POLICY_ID) else {
        return Ok(Policy::default());
    };
    Ok(Policy::of(&load_graph(store, &id)?).unwrap_or_default())
}

/// The hubs of this home, as its records say.
pub fn load_members(store: &dyn Snapshot) -> Result<Vec<Member>, StoreError> {
    let prefix = type_prefix(MEMBER);
    let mut ids = Vec::new();
    scan_prefix(store, Family::Types, &prefix, &mut |key, _| {
        ids.extend(trailing_id(key, prefix.len()));
        true
    })?;
    let mut members = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(view) = load_view(store, &Policy::default(), &id)? else {
            continue;
        };
        let Ok(hub_id) = id.as_str().parse() else { continue };
        let text = |key: &str| view.record.content.get(key).and_then(Value::as_text);
        let name = match &view.record.kind {
            Kind::Entity { name, .. } => name.clone().unwrap_or_default(),
            Kind::Relationship { .. } => continue,
        };
        members.push(Member {
            hub_id,
            name,
            address: text("address").and_then(|address| address.parse().ok()),
            replica: text("replica").and_then(|replica| replica.parse().ok()),
            left: text("state") == Some("left"),
            fenced: text("state") == Some("fenced"),
        });
    }
    Ok(members)
}
