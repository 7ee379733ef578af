//! What a filter selects, in one hash: so that a client can check its replica.

use super::page::{Filter, passes};
use crate::hash::Digest;
use crate::leaf::{Sum, state_digest};
use crate::store::{Family, RecordRow, Snapshot, StoreError, decode_row, read_meta, record_of};

/// How many records a filter selects, and their [`state_digest`]. The time of acceptance is each hub's own and selects
/// nothing here. O(1) without a filter, else O(records).
pub fn digest(store: &dyn Snapshot, filter: &Filter) -> Result<(u64, Digest), StoreError> {
    if filter.is_all() {
        let meta = read_meta(store)?;
        let (records, sum) = meta.map_or((0, Sum::ZERO), |meta| {
            (meta.records, Sum::from_bytes(&meta.leaves))
        });
        return Ok((records, state_digest(records, &sum)));
    }
    let (mut count, mut sum, mut failed) = (0, Sum::ZERO, None);
    store.scan(Family::Records, &[], None, &mut |key, value| {
        let read = decode_row::<RecordRow>(Family::Records, value).and_then(|row| {
            let Some((id, digest)) = record_of(key) else {
                return Ok(());
            };
            if passes(store, &id, &digest, &row.record, filter)? {
                count += 1;
                sum.add(&row.leaf(&id, &digest).hash.0);
            }
            Ok(())
        });
        failed = read.err();
        failed.is_none()
    })?;
    failed.map_or(Ok((count, state_digest(count, &sum))), Err)
}
