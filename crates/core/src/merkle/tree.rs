//! The tree: for each node how many leaves are below it and the sum of their elements.
//!
//! Invariant: a node follows from the set of leaves below it, whatever the order they came in; so trees of any depth in
//! memory agree on every node that both have.

use super::sketch::Key;
use crate::hash::Digest;
use crate::leaf::{Position, Sum};
use crate::wire::Half;

/// Children of a node.
pub const FANOUT: u32 = 16;
/// Hex digits of a whole position.
pub const DIGITS: u8 = 6;
/// The least and the most levels that are kept in memory: 11 kB and 45 MB.
pub const DEPTHS: std::ops::RangeInclusive<u8> = 2..=5;

/// What stands for a leaf in sums and sketches: SHA-256 over the home's key and the leaf's hash, so that nobody outside
/// the home can choose records whose sums collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Where its record stands.
    pub position: Position,
    /// Keyed.
    pub hash: [u8; 32],
}

impl Element {
    /// Of a leaf.
    pub fn of(key: &Key, position: Position, leaf: &Digest) -> Element {
        let mut bytes = [0; 48];
        bytes[..16].copy_from_slice(&key.0);
        bytes[16..].copy_from_slice(&leaf.0);
        let hash = Digest::of(&bytes).0;
        Element { position, hash }
    }

    /// Its short id: 24 bits of position, which find its record, and 40 that nobody outside can foresee. Never 0.
    pub fn short(&self) -> u64 {
        let mut low = [0; 8];
        low[3..].copy_from_slice(&self.hash[..5]);
        (u64::from(self.position.0) << 40 | u64::from_be_bytes(low)).max(1)
    }
}

/// The position of a short id.
pub fn position_of(short: u64) -> Position {
    Position((short >> 40) as u32)
}

/// Names a node: the leading hex digits of the positions below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// How many digits.
    pub level: u8,
    /// The digits as a number.
    pub index: u32,
}

impl Place {
    /// Of the whole tree.
    pub const ROOT: Place = Place { level: 0, index: 0 };

    /// The node of a level that a position lies below.
    pub fn of(position: Position, level: u8) -> Place {
        let index = position.0 >> (4 * (DIGITS - level));
        Place { level, index }
    }

    /// From outside: None if there is no such node.
    pub fn checked(level: u8, index: u32) -> Option<Place> {
        let there = level <= DIGITS && u64::from(index) < 1 << (4 * u32::from(level));
        there.then_some(Place { level, index })
    }

    /// Its children; none at the last level.
    pub fn children(self) -> impl Iterator<Item = Place> {
        let there = self.level < DIGITS;
        let first = self.index.wrapping_mul(FANOUT);
        (0..FANOUT).filter(move |_| there).map(move |at| Place {
            level: self.level + 1,
            index: first + at,
        })
    }

    /// The positions below it.
    pub fn positions(self) -> std::ops::Range<u32> {
        let width = 1 << (4 * (DIGITS - self.level));
        self.index * width..(self.index + 1) * width
    }
}

/// One node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Node {
    /// Leaves below it.
    pub count: u32,
    /// Of their elements.
    pub sum: Sum,
}

impl Node {
    /// Puts an element in.
    pub fn add(&mut self, hash: &[u8; 32]) {
        self.count = self.count.wrapping_add(1);
        self.sum.add(hash);
    }

    /// Takes an element out.
    pub fn take(&mut self, hash: &[u8; 32]) {
        self.count = self.count.wrapping_sub(1);
        self.sum.take(hash);
    }

    /// As a root.
    pub fn root(&self) -> Digest {
        let mut bytes = [0; 36];
        bytes[..4].copy_from_slice(&self.count.to_be_bytes());
        bytes[4..].copy_from_slice(&self.sum.to_bytes());
        Digest::of(&bytes)
    }

    /// Four bytes that differ, but for one chance in 2^32, where the node does. Salted by where the comparison stands, so that a
    /// chance that was met is not met again.
    pub fn brief(&self, at: &Half, place: Place) -> [u8; 4] {
        let mut bytes = [0; 57];
        bytes[..16].copy_from_slice(&at.0);
        bytes[16] = place.level;
        bytes[17..21].copy_from_slice(&place.index.to_be_bytes());
        bytes[21..25].copy_from_slice(&self.count.to_be_bytes());
        bytes[25..].copy_from_slice(&self.sum.to_bytes());
        let hash = Digest::of(&bytes).0;
        [hash[0], hash[1], hash[2], hash[3]]
    }
}

/// All nodes down to a level, in memory: 40 bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    depth: u8,
    nodes: Vec<Node>,
}

fn first_of(level: u8) -> usize {
    ((1usize << (4 * level)) - 1) / 15
}

impl Tree {
    /// Of no leaf. `depth` is how many levels are kept below the root.
    pub fn new(depth: u8) -> Tree {
        let depth = depth.clamp(*DEPTHS.start(), *DEPTHS.end());
        Tree {
            depth,
            nodes: vec![Node::default(); first_of(depth + 1)],
        }
    }

    /// The deepest tree that takes no more than so many bytes.
    pub fn depth_within(bytes: usize) -> u8 {
        let fits = |depth: &u8| first_of(*depth + 1) * size_of::<Node>() <= bytes;
        DEPTHS.rev().find(fits).unwrap_or(*DEPTHS.start())
    }

    /// How many levels are kept below the root.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.nodes.len() * size_of::<Node>()
    }

    /// A node; None below what is kept.
    pub fn node(&self, place: Place) -> Option<&Node> {
        let kept = place.level <= self.depth;
        kept.then(|| &self.nodes[first_of(place.level) + place.index as usize])
    }

    fn on_the_way(&mut self, position: Position, change: &mut dyn FnMut(&mut Node)) {
        for level in 0..=self.depth {
            if level < self.depth && crate::zoo::planted(crate::zoo::Bug::StalePath) {
                // The nodes above are left as they were, now and then.
                if position.0 & 7 == 0 {
                    continue;
                }
            }
            let place = Place::of(position, level);
            change(&mut self.nodes[first_of(level) + place.index as usize]);
        }
    }

    /// Puts a leaf in. O(depth).
    pub fn add(&mut self, element: &Element) {
        self.on_the_way(element.position, &mut |node| node.add(&element.hash));
    }

    /// Takes a leaf out. O(depth).
    pub fn take(&mut self, element: &Element) {
        self.on_the_way(element.position, &mut |node| node.take(&element.hash));
    }

    /// The nodes of the deepest level kept, for a checkpoint.
    pub fn buckets(&self, range: std::ops::Range<usize>) -> &[Node] {
        let first = first_of(self.depth);
        &self.nodes[first + range.start..first + range.end]
    }

    /// How many there are of them.
    pub fn buckets_len(&self) -> usize {
        1 << (4 * self.depth)
    }

    /// Puts kept buckets back, and adds them to the nodes above.
    pub fn put_buckets(&mut self, from: usize, buckets: &[Node]) {
        for (at, bucket) in buckets.iter().enumerate() {
            if *bucket == Node::default() {
                continue;
            }
            let place = Place {
                level: self.depth,
                index: (from + at) as u32,
            };
            for level in 0..=self.depth {
                let index = place.index >> (4 * (self.depth - level));
                let node = &mut self.nodes[first_of(level) + index as usize];
                node.count = node.count.wrapping_add(bucket.count);
                node.sum.plus(&bucket.sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: Key = Key([7; 16]);

    fn element(n: u32) -> Element {
        let leaf = Digest::of(&n.to_be_bytes());
        let position = Position::of_key(&leaf.0).unwrap();
        Element::of(&KEY, position, &leaf)
    }

    fn tree(depth: u8, set: &[u32]) -> Tree {
        let mut tree = Tree::new(depth);
        set.iter().for_each(|n| tree.add(&element(*n)));
        tree
    }

    proptest! {
        /// Any order, any way there, any depth in memory: one set, one tree.
        #[test]
        fn a_tree_is_a_function_of_the_set(
            mut set in proptest::collection::btree_set(0u32..1_000, 0..60).prop_map(Vec::from_iter).prop_shuffle(),
            gone in proptest::collection::vec(1_000u32..2_000, 0..20),
        ) {
            let mut other = tree(2, &gone);
            set.iter().for_each(|n| other.add(&element(*n)));
            gone.iter().for_each(|n| other.take(&element(*n)));
            set.sort_unstable();
            let this = tree(3, &set);
            for level in 0..=2u8 {
                for index in 0..1u32 << (4 * level) {
                    let place = Place { level, index };
                    prop_assert_eq!(this.node(place), other.node(place));
                }
            }
            let mut kept = Tree::new(3);
            kept.put_buckets(0, this.buckets(0..1_024));
            kept.put_buckets(1_024, this.buckets(1_024..4_096));
            prop_assert_eq!(&kept, &this);
        }

        #[test]
        fn equal_roots_mean_equal_sets(
            a in proptest::collection::btree_set(0u32..40, 0..8),
            b in proptest::collection::btree_set(0u32..40, 0..8),
        ) {
            let root = |set: &std::collections::BTreeSet<u32>| {
                tree(2, &set.iter().copied().collect::<Vec<_>>()).node(Place::ROOT).unwrap().root()
            };
            prop_assert_eq!(root(&a) == root(&b), a == b);
        }
    }

    #[test]
    fn memory_is_bounded_by_the_depth() {
        assert_eq!(Tree::depth_within(4 << 20), 4);
        assert_eq!(Tree::new(4).bytes(), 69_905 * 40);
        assert_eq!(Tree::depth_within(0), 2);
        assert_eq!(Tree::depth_within(usize::MAX), 5);
    }

    #[test]
    fn places_cover_all_positions_once() {
        for level in 0..DIGITS {
            let place = Place::of(Position(0xabc_def), level);
            let mut from = place.positions().start;
            for child in place.children() {
                assert_eq!(child.positions().start, from);
                from = child.positions().end;
            }
            assert_eq!(from, place.positions().end);
        }
        assert_eq!(Place::of(Position(0xabc_def), DIGITS).children().count(), 0);
        assert!(Place::checked(1, 16).is_none() && Place::checked(7, 0).is_none());
    }
}
