//! The versions of an id: as a list in pages, and as a tree.

use std::collections::BTreeMap;

use serde::Serialize;

use super::accepted::{AcceptedRow, Hubs, accepted};
use crate::hash::Digest;
use crate::id::Id;
use crate::machine::load_graph;
use crate::store::{Snapshot, StoreError, read_id};
use crate::time::{Micros, edit_time};
use crate::value::Map;
use crate::view::{Branch, Graph, Policy, Tree, suspect_time, tree as lay_out};

/// One version in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionRow {
    /// The record as its writer wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<Map>,
    /// Or, of a relationship.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relationship: Option<Map>,
    /// Its identity.
    pub digest: String,
    /// Versions that it replaces and that are held.
    pub parents: Vec<String>,
    /// Versions that replace it.
    pub children: Vec<String>,
    /// `head`, `lost` (a head of which readers do not see all that it wrote), `superseded` or `forgotten`.
    pub state: &'static str,
    /// When its version claims that it was written; null if that reads as no time.
    pub edit_time: Option<String>,
    /// `future` or `past`, where the time that the version claims cannot be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspect_time: Option<&'static str>,
    /// Where and when it was accepted.
    pub accepted: Vec<AcceptedRow>,
}

/// One page of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryPage {
    /// The newest first.
    pub versions: Vec<VersionRow>,
    /// To be given back for the next page: the digest of the last version given. Null on the last page.
    pub cursor: Option<String>,
}

/// One version of a tree, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeRow {
    /// Its name.
    pub version: String,
    /// Its identity.
    pub digest: String,
    /// Who wrote it.
    pub user_id: Option<String>,
    /// The order time by which it counts.
    pub order_time: String,
    /// Digests of the versions that it replaces and that are held; several: it is a merge.
    pub parents: Vec<String>,
    /// Digests of the versions that replace it.
    pub children: Vec<String>,
    /// As in a history.
    pub state: &'static str,
    /// Whether it says "deleted".
    pub deleted: bool,
}

/// The versions of one id as a DAG.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreePage {
    /// The id.
    pub id: String,
    /// What readers see: a version, or a computed one.
    pub version: String,
    /// How several heads become one.
    pub strategy: &'static str,
    /// Whether heads differ.
    pub conflict: bool,
    /// The newest first.
    pub nodes: Vec<TreeRow>,
    /// Older versions that were left out.
    pub left_out: usize,
}

/// The graph of an id, now or at an instant, if it is of that kind.
pub(super) fn graph_of(
    store: &dyn Snapshot,
    id: &Id,
    entity: bool,
    at: Option<Micros>,
) -> Result<Option<Graph>, StoreError> {
    match read_id(store, id)? {
        Some(row) if row.entity_type.is_some() == entity => {}
        _ => return Ok(None),
    }
    let graph = load_graph(store, id)?;
    Ok(Some(match at {
        None => graph,
        Some(at) => graph.until(at),
    }))
}

fn then(policy: &Policy, at: Option<Micros>) -> &Policy {
    at.map_or(policy, |at| policy.at(at))
}

/// One page of the versions of an id, after the cursor; None if nothing is known of it. O(versions) for the order, and
/// O(page · acceptances).
pub fn history(
    store: &dyn Snapshot,
    policy: &Policy,
    id: &Id,
    entity: bool,
    at: Option<Micros>,
    cursor: Option<&Digest>,
    limit: usize,
) -> Result<Option<HistoryPage>, StoreError> {
    let Some(graph) = graph_of(store, id, entity, at)? else {
        return Ok(None);
    };
    let Some(tree) = lay_out(&graph, then(policy, at)) else {
        return Ok(None);
    };
    let branches = &tree.branches;
    let start = match cursor {
        None => 0,
        Some(last) => branches
            .iter()
            .position(|branch| branch.node.sealed.digest == *last)
            .map_or(branches.len(), |place| place + 1),
    };
    let end = branches.len().min(start + limit);
    let names = names(&tree);
    let mut hubs = Hubs::new();
    let mut versions = Vec::with_capacity(end - start);
    for branch in &branches[start..end] {
        versions.push(version_row(store, policy, branch, &names, &mut hubs)?);
    }
    let more = end < branches.len();
    let cursor = versions.last().filter(|_| more).map(|row| row.digest.clone());
    Ok(Some(HistoryPage { versions, cursor }))
}

fn names(tree: &Tree) -> BTreeMap<Digest, String> {
    tree.branches
        .iter()
        .map(|branch| &branch.node.sealed)
        .map(|sealed| (sealed.digest, sealed.record.version.to_string()))
        .collect()
}

fn version_row(
    store: &dyn Snapshot,
    policy: &Policy,
    branch: &Branch,
    names: &BTreeMap<Digest, String>,
    hubs: &mut Hubs,
) -> Result<VersionRow, StoreError> {
    let sealed = &branch.node.sealed;
    let map = sealed.record.to_wire();
    let (entity, relationship) = if sealed.record.is_entity() {
        (Some(map), None)
    } else {
        (None, Some(map))
    };
    let named = |digests: &[Digest]| digests.iter().filter_map(|d| names.get(d).cloned()).collect();
    Ok(VersionRow {
        entity,
        relationship,
        digest: sealed.digest.to_string(),
        parents: named(&branch.parents),
        children: named(&branch.children),
        state: branch.state.name(),
        edit_time: edit_time(sealed.record.version.as_str()).map(|edit| edit.to_string()),
        suspect_time: suspect_time(policy, &branch.node),
        accepted: accepted(store, hubs, &sealed.record.id, &sealed.digest)?,
    })
}

/// The versions of an id as a tree, the newest `limit` of them; None if nothing is known of it. O(versions).
pub fn tree(
    store: &dyn Snapshot,
    policy: &Policy,
    id: &Id,
    entity: bool,
    at: Option<Micros>,
    limit: usize,
) -> Result<Option<TreePage>, StoreError> {
    let Some(graph) = graph_of(store, id, entity, at)? else {
        return Ok(None);
    };
    Ok(lay_out(&graph, then(policy, at)).map(|tree| tree_rows(&tree, limit)))
}

/// A tree as it is told.
pub fn tree_rows(tree: &Tree, limit: usize) -> TreePage {
    let told = |digests: &[Digest]| digests.iter().map(Digest::to_string).collect();
    let row = |branch: &Branch| TreeRow {
        version: branch.node.sealed.record.version.to_string(),
        digest: branch.node.sealed.digest.to_string(),
        user_id: branch.node.sealed.record.user_id.clone(),
        order_time: branch.node.order_time.to_string(),
        parents: told(&branch.parents),
        children: told(&branch.children),
        state: branch.state.name(),
        deleted: branch.node.sealed.record.deleted,
    };
    let nodes: Vec<TreeRow> = tree.branches.iter().take(limit).map(row).collect();
    TreePage {
        id: tree.view.record.id.to_string(),
        version: tree.view.record.version.to_string(),
        strategy: tree.view.strategy.name(),
        conflict: tree.view.conflict,
        left_out: tree.branches.len() - nodes.len(),
        nodes,
    }
}
