//! The versions of one id as a tree that can be drawn: parents, children, and what became of each.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Graph, Node};
use super::{Policy, View, by_rank, overruled, view};
use crate::hash::Digest;

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing replaces it, and readers see what it wrote.
    Head,
    /// Nothing replaces it, and readers do not see all that it wrote.
    Lost,
    /// Another version replaces it.
    Superseded,
    /// Another replaces it, and its content was let go.
    Forgotten,
}

impl State {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            State::Head => "head",
            State::Lost => "lost",
            State::Superseded => "superseded",
            State::Forgotten => "forgotten",
        }
    }
}

/// One version among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The version.
    pub node: Node,
    /// What it replaces and is held, in the order of digests.
    pub parents: Vec<Digest>,
    /// What replaces it, in the order of digests.
    pub children: Vec<Digest>,
    /// What became of it.
    pub state: State,
}

/// All versions of one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// What they come to.
    pub view: View,
    /// The newest first, by rank.
    pub branches: Vec<Branch>,
}

/// Lays out the versions of an id; None when the graph is empty. O(V log V + E).
pub fn tree(graph: &Graph, policy: &Policy) -> Option<Tree> {
    let view = view(graph, policy)?;
    let heads: BTreeSet<Digest> = graph.heads().iter().map(|head| head.sealed.digest).collect();
    let mut children: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
    for node in graph.nodes() {
        for parent in graph.parents(&node.sealed.digest) {
            children.entry(*parent).or_default().push(node.sealed.digest);
        }
    }
    let mut nodes: Vec<&Node> = graph.nodes().collect();
    nodes.sort_by(|a, b| by_rank(b, a));
    let branches = nodes.into_iter().map(|node| {
        let digest = node.sealed.digest;
        let state = match (heads.contains(&digest), node.forgotten) {
            (true, _) if view.conflict && overruled(graph, policy, &view, &digest) => State::Lost,
            (true, _) => State::Head,
            (false, true) => State::Forgotten,
            (false, false) => State::Superseded,
        };
        Branch {
            node: node.clone(),
            parents: graph.parents(&digest).copied().collect(),
            children: children.remove(&digest).unwrap_or_default(),
            state,
        }
    });
    let branches = branches.collect();
    Some(Tree { view, branches })
}
