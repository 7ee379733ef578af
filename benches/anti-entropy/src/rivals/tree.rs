//! merkle-search-tree 0.8 (Auvolat & Taïani 2019): both hubs send the ranges of all their pages.
//!
//! A pass one way: one side sends its root (16 bytes) and its ranges, 48 bytes each (two ids and a hash); the other holds
//! them against its own, and fetches the ranges of ids in which something differs. Passes go to and fro, as the crate
//! has it, until each difference has been in such a range: one pass each way is not always enough. What the fetching takes
//! is not counted, nor its round trips. The trees are there before the clock starts, and are kept up off the clock.
//!
//! That both roots are equal in the end is not asserted: a page that is split so that all of its high page moves away keeps
//! the hash that it had (`split_off_lt` in page.rs), so two trees with the same keys now and then differ in their roots.
//! To begin with, all pages are hashed anew.

use std::time::{Duration, Instant};

use merkle_search_tree::MerkleSearchTree;
use merkle_search_tree::diff::{PageRange, diff};
use merkle_search_tree::digest::PageDigest;

use crate::cost::{Cost, timed};
use crate::home::Home;

type Tree = MerkleSearchTree<[u8; 16], [u8; 32]>;

/// Bytes of a range on the wire.
const RANGE_BYTES: usize = 48;

/// More passes than ever were needed.
const PASSES_MAX: usize = 100;

/// The tree of what both hubs hold, no page of it hashed yet.
pub struct Common(Tree);

/// The tree of each hub.
pub struct Trees([Tree; 2]);

impl Common {
    /// Builds it.
    pub fn build(home: &Home) -> Common {
        let mut tree = Tree::default();
        for thing in &home.common {
            tree.upsert(thing.id, &thing.leaf);
        }
        Common(tree)
    }

    /// What each hub holds of a home with so many differences.
    pub fn with(&self, home: &Home, differences: usize) -> Trees {
        Trees([0, 1].map(|hub| {
            let mut tree = self.0.clone();
            for (_, planted) in home.held_by(hub, differences) {
                tree.upsert(planted.thing.id, &planted.thing.leaf);
            }
            tree.root_hash();
            tree
        }))
    }
}

impl Trees {
    /// Compares the two sets; None if it takes longer than it may.
    pub fn compare(&self, home: &Home, differences: usize, patience: Duration) -> Option<Cost> {
        let begun = Instant::now();
        let mut cost = Cost::default();
        let mut trees = self.0.clone();
        let mut unnamed: Vec<usize> = (0..differences).collect();
        if alike(&trees) {
            assert_eq!(differences, 0, "merkle-search-tree: the roots are equal");
            (cost.bytes, cost.messages) = (32, 2);
            return Some(cost);
        }
        for pass in 0..PASSES_MAX {
            let (from, to) = (pass % 2, 1 - pass % 2);
            let told = timed(&mut cost.cpu, || encode(&ranges(&trees[from])));
            cost.bytes += 16 + told.len() as u64;
            cost.messages += 1;
            let found: Vec<([u8; 16], [u8; 16])> = timed(&mut cost.cpu, || {
                let theirs = decode(&told);
                let theirs = theirs
                    .iter()
                    .map(|(start, end, hash)| PageRange::new(start, end, PageDigest::new(*hash)));
                let found = diff(ranges(&trees[to]), theirs);
                found.iter().map(|range| (*range.start(), *range.end())).collect()
            });
            unnamed.retain(|at| {
                let thing = home.planted[*at].thing;
                let after = found.partition_point(|(start, _)| *start <= thing.id);
                let inside = after > 0 && thing.id <= found[after - 1].1;
                let named = inside && home.holder(*at) == from;
                if named {
                    trees[to].upsert(thing.id, &thing.leaf);
                }
                !named
            });
            trees[to].root_hash();
            if unnamed.is_empty() {
                return Some(cost);
            }
            if begun.elapsed() > patience {
                return None;
            }
        }
        panic!("merkle-search-tree: {} are not found", unnamed.len());
    }
}

fn alike([one, other]: &[Tree; 2]) -> bool {
    one.root_hash_cached() == other.root_hash_cached()
}

fn ranges(tree: &Tree) -> Vec<PageRange<'_, [u8; 16]>> {
    tree.serialise_page_ranges().expect("the root is known")
}

fn encode(ranges: &[PageRange<'_, [u8; 16]>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ranges.len() * RANGE_BYTES);
    for range in ranges {
        bytes.extend_from_slice(range.start());
        bytes.extend_from_slice(range.end());
        bytes.extend_from_slice(range.hash().as_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Vec<([u8; 16], [u8; 16], [u8; 16])> {
    let (parts, rest) = bytes.as_chunks::<16>();
    let (ranges, odd) = parts.as_chunks::<3>();
    assert!(rest.is_empty() && odd.is_empty(), "whole ranges");
    ranges
        .iter()
        .map(|[start, end, hash]| (*start, *end, *hash))
        .collect()
}
