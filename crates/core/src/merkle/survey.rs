//! What a store holds below a node, read from its records: for people who look for what differs between hubs.

use serde::Serialize;

use super::tree::{DIGITS, Place};
use crate::leaf::{Position, Sum, state_digest};
use crate::record::Record;
use crate::store::{Family, RecordRow, Snapshot, StoreError, decode_row, record_of};

/// Records that are told one by one.
pub const RECORDS_MAX: usize = 256;

/// One node: how many records there are below it, and their digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeRow {
    /// The hex digits that lead to it.
    pub prefix: String,
    /// Records.
    pub records: u64,
    /// Of their leaves, as [`state_digest`] makes it.
    pub digest: String,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeafRow {
    /// Of which thing.
    pub id: String,
    /// Which version.
    pub version: String,
    /// Its name.
    pub digest: String,
    /// Its stamp, in microseconds.
    pub order_time: u64,
    /// What is compared of it.
    pub leaf: String,
}

/// What lies below a node: its children, or its records where they are few.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// The node itself.
    #[serde(flatten)]
    pub node: NodeRow,
    /// Its children that are not empty; none where records are told.
    pub nodes: Vec<NodeRow>,
    /// Its records, where they are few.
    pub records_below: Vec<LeafRow>,
}

/// The place that hex digits name; None if they are too many or no such digits.
pub fn place(prefix: &str) -> Option<Place> {
    let level = u8::try_from(prefix.len()).ok()?;
    let digits = prefix
        .bytes()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let index = if prefix.is_empty() {
        0
    } else {
        u32::from_str_radix(prefix, 16).ok()?
    };
    digits.then(|| Place::checked(level, index)).flatten()
}

fn prefix(place: Place) -> String {
    match usize::from(place.level) {
        0 => String::new(),
        width => format!("{:0width$x}", place.index),
    }
}

/// Reads what lies below a node. O(records below it).
pub fn survey(store: &dyn Snapshot, at: Place) -> Result<Survey, StoreError> {
    let range = at.positions();
    let start = Position(range.start).bytes();
    let end = (range.end < Position::ALL).then(|| Position(range.end).bytes());
    let end = end.as_ref().map(|end| end.as_slice());
    let deeper = at.level < DIGITS;
    let mut below = [(0u64, Sum::ZERO); 16];
    let (mut count, mut sum) = (0, Sum::ZERO);
    let (mut records, mut failed) = (Vec::new(), None);
    store.scan(Family::Records, &start, end, &mut |key, value| {
        let row = match decode_row::<RecordRow>(Family::Records, value) {
            Ok(row) => row,
            Err(error) => {
                failed = Some(error);
                return false;
            }
        };
        let (Some((id, digest)), Some(position)) = (record_of(key), Position::of_key(key)) else {
            return true;
        };
        let leaf = row.leaf(&id, &digest).hash;
        count += 1;
        sum.add(&leaf.0);
        if deeper {
            let child = &mut below[(Place::of(position, at.level + 1).index & 15) as usize];
            child.0 += 1;
            child.1.add(&leaf.0);
        }
        if records.len() < RECORDS_MAX || !deeper {
            let version = Record::from_stored(&row.record).map(|record| record.version.to_string());
            records.push(LeafRow {
                id: id.to_string(),
                version: version.unwrap_or_default(),
                digest: digest.to_string(),
                order_time: row.order_time.0,
                leaf: leaf.to_string(),
            });
        }
        true
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let told = |place: Place, records: u64, sum: &Sum| NodeRow {
        prefix: prefix(place),
        records,
        digest: state_digest(records, sum).to_string(),
    };
    let few = !deeper || count <= RECORDS_MAX as u64;
    let nodes = at
        .children()
        .zip(below)
        .filter(|(_, (records, _))| *records > 0 && !few);
    Ok(Survey {
        node: told(at, count, &sum),
        nodes: nodes
            .map(|(child, (records, sum))| told(child, records, &sum))
            .collect(),
        records_below: if few { records } else { Vec::new() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_reads_back() {
        for text in ["", "0", "f", "00a", "123456"] {
            assert_eq!(prefix(place(text).unwrap()), text);
        }
        for text in ["g", "1234567", "A", "+1", " "] {
            assert!(place(text).is_none(), "{text:?}");
        }
    }
}
