//! What this replica holds of what hubs have accepted, in one hash: equal to a hub's at the same clock, or the replica is
//! damaged.

use inbetweenies_core::hash::Digest;
use inbetweenies_core::leaf::{Leaf, Sum, state_digest};

use crate::{Held, Replica};

impl Replica {
    /// How many accepted records pass, and their digest; what is pending is not among them. O(records).
    pub fn state_digest(&self, wanted: &dyn Fn(&Held) -> bool) -> (u64, Digest) {
        let (mut count, mut sum) = (0, Sum::ZERO);
        for held in self.all().filter(|held| !held.stamps.is_empty() && wanted(held)) {
            let node = held.node(&[]);
            let sealed = &node.sealed;
            let leaf = Leaf::of(
                &sealed.record.id,
                &sealed.digest,
                node.order_time,
                &node.edges,
                &node.late,
            );
            count += 1;
            sum.add(&leaf.hash.0);
        }
        (count, state_digest(count, &sum))
    }
}
