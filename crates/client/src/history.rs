//! The versions of one id on this device.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::entry::Sealed;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Dot, Id};
use inbetweenies_core::time::Micros;
use inbetweenies_core::view::{Policy, by_rank, overruled, view};

use crate::replica::Replica;

/// One version.
#[derive(Debug, Clone)]
pub struct VersionLine {
    /// The record as its writer wrote it.
    pub sealed: std::sync::Arc<Sealed>,
    /// Versions that it replaces and that are held.
    pub parents: Vec<String>,
    /// Versions that replace it.
    pub children: Vec<String>,
    /// `head`, `lost` (a head of which readers do not see all that it wrote) or `superseded`, as hubs say.
    pub state: &'static str,
    /// Where it was accepted; empty while it is pending.
    pub accepted: Vec<Stamped>,
    /// Whether it waits for a hub.
    pub pending: bool,
}

/// One hub's acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// Whose log, and where in it.
    pub dot: Dot,
    /// The hub's stamp.
    pub order_time: Micros,
}

impl Replica {
    /// Every version of an id, newest first; empty if nothing is known of it. O(versions).
    pub fn history(&self, id: &Id, policy: &Policy) -> Vec<VersionLine> {
        let graph = self.graph(id);
        let Some(view) = view(&graph, policy) else {
            return Vec::new();
        };
        let heads: BTreeSet<Digest> = graph.heads().iter().map(|head| head.sealed.digest).collect();
        let mut children: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for node in graph.nodes() {
            for parent in graph.parents(&node.sealed.digest) {
                children
                    .entry(*parent)
                    .or_default()
                    .push(node.sealed.record.version.to_string());
            }
        }
        let version = |digest: &Digest| {
            graph
                .node(digest)
                .map(|node| node.sealed.record.version.to_string())
        };
        let mut nodes: Vec<_> = graph.nodes().collect();
        nodes.sort_by(|a, b| by_rank(b, a));
        let line = |node: &&inbetweenies_core::view::Node| {
            let digest = node.sealed.digest;
            let lost = view.conflict && overruled(&graph, &view.record, &digest);
            let held = self.versions(id).find(|held| held.sealed.digest == digest);
            let stamps = held.into_iter().flat_map(|held| &held.stamps);
            VersionLine {
                sealed: node.sealed.clone(),
                parents: graph.parents(&digest).filter_map(version).collect(),
                children: children.get(&digest).cloned().unwrap_or_default(),
                state: match (heads.contains(&digest), lost) {
                    (true, false) => "head",
                    (true, true) => "lost",
                    (false, _) => "superseded",
                },
                accepted: stamps
                    .map(|(dot, stamp)| Stamped {
                        dot: *dot,
                        order_time: stamp.order_time,
                    })
                    .collect(),
                pending: self.is_pending(&digest),
            }
        };
        nodes.iter().map(line).collect()
    }
}
