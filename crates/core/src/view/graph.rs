//! The version graph of one id: nodes, the edges that count, heads.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rank, SealedRef, name::named_heads};
use crate::domain::is_reserved;
use crate::hash::Digest;
use crate::id::Version;
use crate::time::Micros;

/// One record with what hubs' entries say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The record.
    pub sealed: SealedRef,
    /// The smallest of its order times.
    pub order_time: Micros,
    /// Digests that its parents' names stand for: given by the writer or resolved by an accepting hub, sorted.
    pub edges: Vec<Digest>,
    /// Bare names that some accepting hub did not know: each stands for the one record that turns out to bear it.
    pub late: Vec<Version>,
    /// The places of the horizons that some entry of it lies at or below, among those that are looked at.
    pub below: Vec<usize>,
    /// Whether its content counts as forgotten. Set where the bytes are gone; [`Graph::build`] sets the others.
    pub forgotten: bool,
}

impl Node {
    /// What decides between writers.
    pub fn rank(&self) -> Rank<'_> {
        (self.order_time, &self.sealed.record.version, &self.sealed.digest)
    }
}

/// The DAG of one id's versions. Edges within a cycle of names count as absent, so it is acyclic by construction.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: BTreeMap<Digest, Node>,
    parents: BTreeMap<Digest, BTreeSet<Digest>>,
    replaced: BTreeSet<Digest>,
}

impl Graph {
    /// Builds the graph from its nodes in any order; doubles by digest count once.
    ///
    /// O(V + E), plus O(V log V) where names are bare.
    pub fn build(nodes: impl IntoIterator<Item = Node>) -> Graph {
        let mut nodes: BTreeMap<Digest, Node> =
            nodes.into_iter().map(|node| (node.sealed.digest, node)).collect();
        forget(&mut nodes);
        let bearers = if nodes.values().all(|node| node.late.is_empty()) {
            None
        } else {
            Some(bearers(&nodes))
        };
        let mut parents = BTreeMap::new();
        for (digest, node) in &nodes {
            let mut edges: BTreeSet<Digest> = node
                .edges
                .iter()
                .copied()
                .filter(|d| nodes.contains_key(d))
                .collect();
            if let Some(bearers) = &bearers {
                for name in &node.late {
                    edges.extend(stands_for(name, bearers, &nodes));
                }
            }
            parents.insert(*digest, edges);
        }
        // Digests alone cannot run in a circle; what bare names stand for can, whoever resolved them.
        let bare = |node: &Node| {
            node.sealed
                .record
                .parents
                .iter()
                .any(|parent| parent.digest.is_none())
        };
        if nodes.values().any(bare) {
            drop_cycles(&mut parents);
        }
        let replaced = parents.values().flatten().copied().collect();
        Graph {
            nodes,
            parents,
            replaced,
        }
    }

    /// The same id as it was at an instant: of the records whose order time is at most `at`. What is forgotten now is
    /// forgotten there too.
    pub fn until(&self, at: Micros) -> Graph {
        let then = |node: &&Node| node.order_time <= at;
        let nodes = self.nodes.values().filter(then).cloned();
        Graph::build(nodes.map(|node| Node {
            below: Vec::new(),
            ..node
        }))
    }

    /// Records that no edge points at, in the order of their digests.
    pub fn heads(&self) -> Vec<&Node> {
        self.nodes
            .values()
            .filter(|node| !self.replaced.contains(&node.sealed.digest))
            .collect()
    }

    /// The record with the smallest rank: its type is the id's type.
    pub fn eldest(&self) -> Option<&Node> {
        self.nodes.values().min_by(|a, b| super::by_rank(a, b))
    }

    /// One node.
    pub fn node(&self, digest: &Digest) -> Option<&Node> {
        self.nodes.get(digest)
    }

    /// The nodes that this one replaces and that are held.
    pub fn parents<'g>(&'g self, digest: &Digest) -> impl Iterator<Item = &'g Digest> + use<'g> {
        self.parents.get(digest).into_iter().flatten()
    }

    /// All nodes, in the order of their digests.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Whether it holds no record at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The given nodes and all their ancestors.
    pub fn with_ancestors(&self, from: impl IntoIterator<Item = Digest>) -> BTreeSet<Digest> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<Digest> = from.into_iter().collect();
        while let Some(digest) = open.pop() {
            if seen.insert(digest) {
                open.extend(self.parents(&digest));
            }
        }
        seen
    }

    /// Numbers in which every record stands above all its ancestors. O(V + E) with a log.
    pub(super) fn levels(&self) -> BTreeMap<Digest, usize> {
        let mut levels = BTreeMap::new();
        let mut entered = BTreeSet::new();
        for root in self.nodes.keys() {
            let mut frames = Vec::new();
            if entered.insert(*root) {
                frames.push((*root, self.parents(root)));
            }
            while let Some((digest, parents)) = frames.last_mut() {
                match parents.next() {
                    Some(parent) if entered.insert(*parent) => frames.push((*parent, self.parents(parent))),
                    Some(_) => {}
                    None => {
                        levels.insert(*digest, levels.len());
                        frames.pop();
                    }
                }
            }
        }
        levels
    }

    /// Names that records give as parents and that stand for nothing held. O(V + E), with a log for bare names.
    pub fn missing_parents(&self) -> Vec<Version> {
        let bearers = bearers(&self.nodes);
        let mut missing = BTreeSet::new();
        for node in self.nodes.values() {
            let parents = &node.sealed.record.parents;
            let mut named: BTreeSet<&Digest> = BTreeSet::new();
            for parent in parents {
                if let Some(digest) = &parent.digest {
                    named.insert(digest);
                    if !self.nodes.contains_key(digest) {
                        missing.insert(parent.version.clone());
                    }
                }
            }
            let bare = || parents.iter().filter(|parent| parent.digest.is_none());
            if bare().next().is_none() {
                continue;
            }
            // A bare name is held if its hub knew it, or if what it stands for, here or elsewhere, has come.
            let late: BTreeSet<&Version> = node.late.iter().collect();
            let held = node.edges.iter().filter_map(|digest| self.nodes.get(digest));
            let held: BTreeSet<&Version> = held.map(|node| &node.sealed.record.version).collect();
            let absent = |name: &&Version| {
                late.contains(name)
                    && !held.contains(name)
                    && stands_for(name, &bearers, &self.nodes).is_empty()
            };
            missing.extend(bare().map(|parent| &parent.version).filter(absent).cloned());
            // Resolved elsewhere to a record that has not come yet: its name is all we have of it.
            if node
                .edges
                .iter()
                .any(|digest| !self.nodes.contains_key(digest) && !named.contains(digest))
            {
                missing.extend(bare().map(|parent| parent.version.clone()));
            }
        }
        missing.into_iter().collect()
    }
}

/// Marks what horizons let go: of each, among the records at or below it alone, all that were replaced, if they leave one
/// head. What one horizon lets go stays so under later ones, whatever lies below those.
///
/// A function of those records themselves, so that it stays true whatever else comes: an id one of whose records names
/// a parent by version alone keeps its content, for what a bare name stands for may change.
fn forget(nodes: &mut BTreeMap<Digest, Node>) {
    // What governs the home itself is read at every instant, and is little.
    let reserved = |node: &Node| node.sealed.record.entity_type().is_some_and(is_reserved);
    if nodes.values().any(reserved) {
        return;
    }
    let horizons: BTreeSet<usize> = nodes.values().flat_map(|node| &node.below).copied().collect();
    for horizon in horizons {
        let below = || nodes.values().filter(|node| node.below.contains(&horizon));
        let parents = || below().flat_map(|node| &node.sealed.record.parents);
        if parents().any(|parent| parent.digest.is_none()) {
            continue;
        }
        let replaced: BTreeSet<Digest> = parents().filter_map(|parent| parent.digest).collect();
        let mut heads = below().filter(|node| !replaced.contains(&node.sealed.digest));
        if heads.next().is_none() || heads.next().is_some() {
            continue;
        }
        for node in nodes.values_mut() {
            node.forgotten |= node.below.contains(&horizon) && replaced.contains(&node.sealed.digest);
        }
    }
}

fn bearers(nodes: &BTreeMap<Digest, Node>) -> BTreeMap<&Version, Vec<Digest>> {
    let mut bearers: BTreeMap<&Version, Vec<Digest>> = BTreeMap::new();
    for (digest, node) in nodes {
        bearers
            .entry(&node.sealed.record.version)
            .or_default()
            .push(*digest);
    }
    bearers
}

/// What a bare name stands for among these nodes: the one that bears it, none if several do; for a computed version,
/// the heads that it names.
fn stands_for(
    name: &Version,
    bearers: &BTreeMap<&Version, Vec<Digest>>,
    nodes: &BTreeMap<Digest, Node>,
) -> Vec<Digest> {
    match bearers.get(name).map(Vec::as_slice) {
        Some([only]) => vec![*only],
        Some(_) => Vec::new(),
        None => named_heads(name)
            .iter()
            .filter_map(|prefix| only_with_prefix(*prefix, nodes))
            .collect(),
    }
}

fn only_with_prefix(prefix: [u8; 4], nodes: &BTreeMap<Digest, Node>) -> Option<Digest> {
    let mut from = [0; 32];
    from[..4].copy_from_slice(&prefix);
    let mut matching = nodes
        .range(Digest(from)..)
        .take_while(|(digest, _)| digest.0[..4] == prefix);
    let (only, _) = matching.next()?;
    matching.next().is_none().then_some(*only)
}

/// Takes out every edge whose two ends lie in one strongly connected component (Tarjan 1972, without recursion).
fn drop_cycles(parents: &mut BTreeMap<Digest, BTreeSet<Digest>>) {
    let component = components(parents);
    for (digest, edges) in parents.iter_mut() {
        edges.retain(|parent| component[parent] != component[digest]);
    }
}

fn components(parents: &BTreeMap<Digest, BTreeSet<Digest>>) -> BTreeMap<Digest, usize> {
    let mut index: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut low: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut component: BTreeMap<Digest, usize> = BTreeMap::new();
    let (mut stack, mut count) = (Vec::new(), 0);
    for root in parents.keys() {
        if index.contains_key(root) {
            continue;
        }
        // Each frame: a node and its edges still to follow.
        let mut frames: Vec<(Digest, Vec<Digest>)> = vec![(*root, parents[root].iter().copied().collect())];
        index.insert(*root, index.len());
        low.insert(*root, index[root]);
        stack.push(*root);
        while let Some((node, open)) = frames.last_mut() {
            let node = *node;
            if let Some(next) = open.pop() {
                if !index.contains_key(&next) {
                    index.insert(next, index.len());
                    low.insert(next, index[&next]);
                    stack.push(next);
                    frames.push((next, parents[&next].iter().copied().collect()));
                } else if !component.contains_key(&next) {
                    low.insert(node, low[&node].min(index[&next]));
                }
            } else {
                frames.pop();
                if let Some((above, _)) = frames.last() {
                    low.insert(*above, low[above].min(low[&node]));
                }
                if low[&node] == index[&node] {
                    while let Some(member) = stack.pop() {
                        component.insert(member, count);
                        if member == node {
                            break;
                        }
                    }
                    count += 1;
                }
            }
        }
    }
    component
}
