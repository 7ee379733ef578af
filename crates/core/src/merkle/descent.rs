//! Merkle descent: two hubs tell each other nodes by their children, deeper where they differ, until what is below is
//! few enough to be told whole.
//!
//! It stops: each answer lies deeper than its question, and there are six levels. It finds exactly the symmetric difference but for one
//! chance in 2^32 a node compared; the comparison of roots that ends every session tells.

use serde_bytes::ByteBuf;

use super::fold::{Fold, Known};
use super::tree::{DIGITS, Node, Place};
use crate::leaf::Position;
use crate::store::{Snapshot, StoreError};
use crate::wire::{Half, WireLeaves, WireNode};

/// A node with no more leaves than this is told whole.
pub const TOLD_WHOLE: usize = 24;
/// Leaves of one node that are told at most: versions of one id all stand at one position.
pub const LEAVES_MAX: usize = 20_000;
/// Nodes of one question.
pub const ASKED_MAX: usize = 256;

/// What lies below one node of a fold.
#[derive(Debug)]
pub enum Below {
    /// Its children.
    Nodes(WireNode),
    /// All of it.
    Leaves(WireLeaves, Vec<Known>),
    /// More than can be told.
    TooMany,
}

/// The children of a node, from memory or, below what is kept there, from the store. O(1), or O(leaves).
fn children(fold: &Fold<'_>, store: &dyn Snapshot, place: Place) -> Result<Option<Vec<Node>>, StoreError> {
    let kept: Option<Vec<Node>> = place.children().map(|child| fold.node(child)).collect();
    if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
        return Ok(Some(kept));
    }
    if place.level >= DIGITS {
        return Ok(None);
    }
    let Some(leaves) = fold.elements(store, place, LEAVES_MAX * 4)? else {
        return Ok(None);
    };
    let mut nodes = vec![Node::default(); 16];
    for element in leaves {
        let child = Place::of(element.position, place.level + 1);
        nodes[(child.index & 15) as usize].add(&element.hash);
    }
    Ok(Some(nodes))
}

/// Tells a node by its children.
pub fn tell_nodes(
    fold: &Fold<'_>,
    store: &dyn Snapshot,
    at: &Half,
    place: Place,
) -> Result<Option<WireNode>, StoreError> {
    let Some(nodes) = children(fold, store, place)? else {
        return Ok(None);
    };
    let (mut bitmap, mut hashes) = (0u16, Vec::with_capacity(64));
    for ((n, node), child) in nodes.iter().enumerate().zip(place.children()) {
        if node.count > 0 {
            bitmap |= 1 << n;
            hashes.extend_from_slice(&node.brief(at, child));
        }
    }
    Ok(Some(WireNode(
        place.level,
        place.index,
        bitmap,
        ByteBuf::from(hashes),
    )))
}

/// Tells what is below a node: whole if that is little, by its children otherwise.
pub fn tell_below(
    fold: &Fold<'_>,
    store: &dyn Snapshot,
    at: &Half,
    place: Place,
) -> Result<Below, StoreError> {
    let few = fold
        .node(place)
        .is_some_and(|node| node.count as usize <= TOLD_WHOLE);
    if !few
        && place.level < DIGITS
        && let Some(node) = tell_nodes(fold, store, at, place)?
        && (fold.node(place).is_some() || node.2.count_ones() > 1)
    {
        return Ok(Below::Nodes(node));
    }
    Ok(match fold.leaves(store, place, LEAVES_MAX)? {
        Some(leaves) => Below::Leaves(pack(place, &leaves), leaves),
        None => Below::TooMany,
    })
}

/// The children of a told node that differ from ours. None if it is told wrongly.
pub fn differing(
    fold: &Fold<'_>,
    store: &dyn Snapshot,
    at: &Half,
    told: &WireNode,
) -> Result<Option<Vec<Place>>, StoreError> {
    let WireNode(level, index, bitmap, hashes) = told;
    let Some(place) = Place::checked(*level, *index).filter(|place| place.level < DIGITS) else {
        return Ok(None);
    };
    if hashes.len() != 4 * bitmap.count_ones() as usize {
        return Ok(None);
    }
    let Some(ours) = children(fold, store, place)? else {
        return Ok(None);
    };
    let mut theirs = hashes.chunks_exact(4);
    let mut differ = Vec::new();
    for ((n, node), child) in ours.iter().enumerate().zip(place.children()) {
        let told = (bitmap & 1 << n != 0).then(|| theirs.next()).flatten();
        let held = (node.count > 0).then(|| node.brief(at, child));
        if held.as_ref().map(|hash| hash.as_slice()) != told {
            differ.push(child);
        }
    }
    Ok(Some(differ))
}

/// Bytes of a short id that a node does not say already.
fn tail(place: Place) -> usize {
    8 - usize::from(place.level / 2)
}

/// Packs short ids below a node.
pub fn pack(place: Place, leaves: &[Known]) -> WireLeaves {
    let mut bytes = Vec::with_capacity(leaves.len() * tail(place));
    for leaf in leaves {
        bytes.extend_from_slice(&leaf.short.to_be_bytes()[8 - tail(place)..]);
    }
    WireLeaves(place.level, place.index, ByteBuf::from(bytes))
}

/// The short ids of a told node, sorted; None if it is told wrongly.
pub fn unpack(told: &WireLeaves) -> Option<(Place, Vec<u64>)> {
    let WireLeaves(level, index, bytes) = told;
    let place = Place::checked(*level, *index)?;
    let tail = tail(place);
    if bytes.len() % tail != 0 || bytes.len() / tail > LEAVES_MAX {
        return None;
    }
    let first = Position(place.positions().start).bytes();
    let mut shorts = Vec::with_capacity(bytes.len() / tail);
    for low in bytes.chunks_exact(tail) {
        let mut short = [0; 8];
        short[..3].copy_from_slice(&first);
        short[8 - tail..].copy_from_slice(low);
        let short = u64::from_be_bytes(short);
        let below = place.positions().contains(&super::tree::position_of(short).0);
        if !below || shorts.last().is_some_and(|last| *last >= short) {
            return None;
        }
        shorts.push(short);
    }
    Some((place, shorts))
}

/// Both halves of a difference of sorted lists: what only we have, what only they have. O(n).
pub fn split(ours: &[Known], theirs: &[u64]) -> (Vec<Known>, Vec<u64>) {
    let only_ours = ours
        .iter()
        .filter(|known| theirs.binary_search(&known.short).is_err());
    let held = |short: &u64| ours.binary_search_by_key(short, |known| known.short).is_ok();
    let only_theirs = theirs.iter().filter(|short| !held(short));
    (only_ours.cloned().collect(), only_theirs.copied().collect())
}
