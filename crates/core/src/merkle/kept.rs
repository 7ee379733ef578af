//! The tree on disk: its dirty pages and its sketch, each time enough has changed, so that a start reads them and the journal's
//! end, and no records.

use super::bch::Syndromes;
use super::estimate::Estimator;
use super::mirror::{FEW, Mirror, PAGE, misplaced};
use super::sketch::{Key, Sketch};
use super::tree::{Node, Place};
use crate::leaf::Sum;
use crate::store::{Family, Snapshot, StoreError, TREE_AT, decode_row, encode_row, prefix_end};

/// What is kept beside the pages.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Kept {
    at: u64,
    depth: u8,
    count: u64,
    #[serde(with = "serde_bytes")]
    plain: [u8; 32],
    #[serde(with = "serde_bytes")]
    key: [u8; 16],
    #[serde(with = "serde_bytes")]
    few: Vec<u8>,
    #[serde(with = "serde_bytes")]
    cells: Vec<u8>,
    #[serde(with = "serde_bytes")]
    counters: Vec<u8>,
}

/// Rows to be kept, and the journal that they stand for.
#[derive(Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of [`Family::Merkle`].
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Kept before.
    pub above: u64,
    /// Kept now.
    pub upto: u64,
}

impl Mirror {
    /// What is to be kept, once that many changes have come since the last time.
    pub fn checkpoint(&mut self, changes_min: usize) -> Option<Checkpoint> {
        if !self.is_ready() || self.changes < changes_min.max(1) {
            return None;
        }
        let (key, size) = (self.key?, PAGE.min(self.tree.buckets_len()));
        let mut rows = Vec::with_capacity(self.dirty.len() + 1);
        for page in std::mem::take(&mut self.dirty) {
            let from = page as usize * PAGE;
            let mut row = Vec::with_capacity(size * 36);
            for bucket in self.tree.buckets(from..from + size) {
                row.extend_from_slice(&bucket.count.to_be_bytes());
                row.extend_from_slice(&bucket.sum.to_bytes());
            }
            rows.push((page_key(page), row));
        }
        let kept = Kept {
            at: self.at,
            depth: self.tree.depth(),
            count: self.count,
            plain: self.plain.to_bytes(),
            key: key.0,
            few: self.few.to_wire(),
            cells: super::sketch::encode(self.sketch.cells(0..self.cells)),
            counters: self.estimator.to_wire().to_vec(),
        };
        rows.push((TREE_AT.to_vec(), encode_row(&kept)));
        let checkpoint = Checkpoint {
            rows,
            above: self.kept,
            upto: self.at,
        };
        (self.kept, self.changes) = (self.at, 0);
        Some(checkpoint)
    }

    /// Whether something was kept that fits.
    pub(super) fn read_kept(&mut self, store: &dyn Snapshot) -> Result<bool, StoreError> {
        let Some(row) = store.get(Family::Merkle, TREE_AT)? else {
            return Ok(false);
        };
        let kept: Kept = decode_row(Family::Merkle, &row)?;
        self.kept = kept.at;
        let cells = super::sketch::decode(&kept.cells).filter(|cells| cells.len() == self.cells);
        let key = Key(kept.key);
        let counters = Estimator::from_wire(key, &kept.counters);
        let few = Syndromes::from_wire(&kept.few).filter(|few| few.capacity() == FEW);
        let (Some(cells), Some(counters), Some(few)) = (cells, counters, few) else {
            return Ok(false);
        };
        if self.key != Some(key) || kept.depth != self.tree.depth() {
            return Ok(false);
        }
        let mut failed = None;
        let from = page_key(0);
        let until = prefix_end(&from[..1]);
        store.scan(Family::Merkle, &from, until.as_deref(), &mut |key, row| {
            match read_page(key, row) {
                Some((page, buckets)) if (page as usize) < self.tree.buckets_len().div_ceil(PAGE) => {
                    self.tree.put_buckets(page as usize * PAGE, &buckets);
                }
                _ => failed = Some(misplaced()),
            }
            failed.is_none()
        })?;
        if failed.is_some()
            || self
                .tree
                .node(Place::ROOT)
                .is_none_or(|root| u64::from(root.count) != kept.count)
        {
            *self = Mirror {
                kept: kept.at,
                ..Mirror::empty(self.depth, self.cells, self.key)
            };
            return Ok(false);
        }
        self.sketch = Sketch::from_cells(key, cells);
        self.few = few;
        self.estimator = counters;
        (self.count, self.plain, self.at) = (kept.count, Sum::from_bytes(&kept.plain), kept.at);
        Ok(true)
    }
}

fn page_key(page: u32) -> Vec<u8> {
    let mut key = b"p".to_vec();
    key.extend_from_slice(&page.to_be_bytes());
    key
}

fn read_page(key: &[u8], row: &[u8]) -> Option<(u32, Vec<Node>)> {
    let page = u32::from_be_bytes(key.get(1..)?.try_into().ok()?);
    let (buckets, rest) = row.as_chunks::<36>();
    let bucket = |bytes: &[u8; 36]| {
        let (count, sum) = bytes.split_first_chunk::<4>()?;
        Some(Node {
            count: u32::from_be_bytes(*count),
            sum: Sum::from_bytes(sum.try_into().ok()?),
        })
    };
    let buckets: Option<Vec<Node>> = buckets.iter().map(bucket).collect();
    buckets
        .filter(|buckets| rest.is_empty() && buckets.len() <= PAGE)
        .map(|buckets| (page, buckets))
}
