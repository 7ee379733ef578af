//! Reading what several rooms need from one snapshot: graphs, views, the policy.

use std::sync::Arc;

use crate::domain::{MEMBER, Manifest, POLICY_ID};
use crate::entry::Sealed;
use crate::hash::Digest;
use crate::id::Id;
use crate::machine::Member;
use crate::record::{Kind, Record};
use crate::store::{
    Family, RecordRow, Snapshot, StoreError, decode_row, id_key, read_id, read_record, scan_prefix,
    trailing_id, type_prefix,
};
use crate::value::Value;
use crate::view::{Graph, Node, Policy, View};

/// Reads what a row says of a record.
pub fn node(digest: Digest, row: RecordRow) -> Result<Node, StoreError> {
    let record = Record::from_stored(&row.record).map_err(|error| StoreError::Corrupt {
        family: Family::Records.name(),
        detail: error.detail,
    })?;
    let sealed = Arc::new(Sealed {
        record,
        bytes: row.record,
        digest,
    });
    Ok(Node {
        sealed,
        order_time: row.order_time,
        edges: row.edges,
        late: row.late,
    })
}

/// The whole version graph of one id. O(versions).
pub fn load_graph(store: &dyn Snapshot, id: &Id) -> Result<Graph, StoreError> {
    let prefix = id_key(id);
    let mut nodes = Vec::new();
    let mut failed = None;
    scan_prefix(store, Family::Records, &prefix, &mut |key, value| {
        let read =
            decode_row(Family::Records, value).and_then(|row| node(digest_of_key(key, prefix.len())?, row));
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
        let node = node(*only, record)?;
        if let Some(view) = crate::view::single(&node, row.entity_type.as_deref(), policy) {
            return Ok(Some(view));
        }
    }
    Ok(crate::view::view(&load_graph(store, id)?, policy))
}

/// The policy that the store holds now: last write wins, built in.
pub fn load_policy(store: &dyn Snapshot) -> Result<Policy, StoreError> {
    let Ok(id) = Id::new(POLICY_ID) else {
        return Ok(Policy::default());
    };
    let graph = load_graph(store, &id)?;
    let newest = graph
        .heads()
        .into_iter()
        .max_by(|a, b| crate::view::by_rank(a, b))
        .cloned();
    let Some(newest) = newest else {
        return Ok(Policy::default());
    };
    // A policy that does not read is no policy: views are last writes, marked, until an owner mends it.
    let manifest =
        Manifest::from_content(&newest.sealed.record.content).unwrap_or_else(|_| Manifest::unreadable());
    Ok(Policy {
        manifest,
        short: newest.sealed.digest.short(),
    })
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
            left: text("state").is_some_and(|state| state != "member"),
        });
    }
    Ok(members)
}
