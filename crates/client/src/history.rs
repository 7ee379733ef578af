//! The versions of one id on this device.

use inbetweenies_core::entry::Sealed;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Dot, Id};
use inbetweenies_core::time::Micros;
use inbetweenies_core::view::{Branch, Policy, Tree, suspect_time, tree};

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
    /// `head`, `lost` (a head of which readers do not see all that it wrote), `superseded` or `forgotten`, as hubs say.
    pub state: &'static str,
    /// `future` or `past`, where the time that the version claims cannot be right.
    pub suspect_time: Option<&'static str>,
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
    /// The versions of an id as a tree, now or at an instant; None if nothing is known of it. O(versions).
    pub fn tree(&self, id: &Id, policy: &Policy, at: Option<Micros>) -> Option<Tree> {
        match at {
            None => tree(&self.graph(id), policy),
            Some(at) => tree(&self.graph(id).until(at), policy.at(at)),
        }
    }

    /// Every version of an id, now or at an instant, newest first; empty if nothing is known of it. O(versions).
    pub fn history(&self, id: &Id, policy: &Policy, at: Option<Micros>) -> Vec<VersionLine> {
        let Some(tree) = self.tree(id, policy, at) else {
            return Vec::new();
        };
        let names: std::collections::BTreeMap<Digest, String> = tree
            .branches
            .iter()
            .map(|branch| &branch.node.sealed)
            .map(|sealed| (sealed.digest, sealed.record.version.to_string()))
            .collect();
        let named = |digests: &[Digest]| digests.iter().filter_map(|d| names.get(d).cloned()).collect();
        let line = |branch: &Branch| {
            let digest = branch.node.sealed.digest;
            VersionLine {
                sealed: branch.node.sealed.clone(),
                parents: named(&branch.parents),
                children: named(&branch.children),
                state: branch.state.name(),
                suspect_time: suspect_time(policy, &branch.node),
                accepted: self.accepted(id, &digest),
                pending: self.is_pending(&digest),
            }
        };
        tree.branches.iter().map(line).collect()
    }

    /// Where a version was accepted; empty while it is pending.
    pub fn accepted(&self, id: &Id, digest: &Digest) -> Vec<Stamped> {
        let held = self.held(id, digest);
        let stamps = held.into_iter().flat_map(|held| &held.stamps);
        stamps
            .map(|(dot, stamp)| Stamped {
                dot: *dot,
                order_time: stamp.order_time,
            })
            .collect()
    }
}
