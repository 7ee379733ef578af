//! Where and when a version was accepted, as the logs say.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::Vacant;

use serde::Serialize;

use crate::entry::Entry;
use crate::hash::Digest;
use crate::id::{Id, ReplicaId};
use crate::store::{Snapshot, StoreError, read_log, read_record, read_replica};

/// One hub's acceptance of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AcceptedRow {
    /// Its stamp.
    pub order_time: String,
    /// The hub.
    pub hub_id: String,
}

/// Which hub a replica is a life of: few are asked for again and again.
pub(super) type Hubs = BTreeMap<ReplicaId, Option<String>>;

/// Who accepted a record, the first first. O(acceptances).
pub(super) fn accepted(
    store: &dyn Snapshot,
    hubs: &mut Hubs,
    id: &Id,
    digest: &Digest,
) -> Result<Vec<AcceptedRow>, StoreError> {
    let mut rows = Vec::new();
    for dot in read_record(store, id, digest)?.map_or_else(Vec::new, |row| row.dots) {
        if let Vacant(place) = hubs.entry(dot.replica) {
            place.insert(read_replica(store, &dot.replica)?.map(|row| row.hub_id.to_string()));
        }
        let (Some(log), Some(Some(hub_id))) = (read_log(store, dot)?, hubs.get(&dot.replica)) else {
            continue;
        };
        let Ok(entry) = Entry::from_stored(&log.entry) else {
            continue;
        };
        if let Some(stamp) = entry.stamps.iter().find(|stamp| stamp.digest == *digest) {
            rows.push(AcceptedRow {
                order_time: stamp.order_time.to_string(),
                hub_id: hub_id.clone(),
            });
        }
    }
    // The order of arrival is this hub's own; what is shown is the same on all.
    rows.sort();
    Ok(rows)
}
