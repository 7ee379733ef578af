//! One record on this device, and what hubs' logs say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use inbetweenies_core::entry::{Sealed, Stamp};
use inbetweenies_core::id::{Dot, ReplicaId};
use inbetweenies_core::machine::{Horizon, below};
use inbetweenies_core::time::Micros;
use inbetweenies_core::view::Node;

/// A record with its stamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The record.
    pub sealed: Arc<Sealed>,
    /// What each entry says of it.
    pub stamps: BTreeMap<Dot, Stamp>,
    /// This device's own stamp, for as long as there is no other.
    pub own: Option<Micros>,
}

impl Held {
    /// A record that nothing is said of yet.
    pub fn new(sealed: Arc<Sealed>) -> Held {
        Held {
            sealed,
            stamps: BTreeMap::new(),
            own: None,
        }
    }

    /// The smallest of its order times, as on every hub; this device's own where no hub's is known.
    pub fn order_time(&self) -> Micros {
        let stamped = self.stamps.values().map(|stamp| stamp.order_time).min();
        stamped.or(self.own).unwrap_or_default()
    }

    /// As the views take it: the edges are the union over its entries.
    pub fn node(&self, horizons: &[Horizon]) -> Node {
        let own = Stamp {
            digest: self.sealed.digest,
            order_time: self.order_time(),
            resolved: Vec::new(),
        };
        let (mut edges, mut late) = (BTreeSet::new(), BTreeSet::new());
        let unstamped = self.stamps.is_empty().then_some(&own);
        for stamp in self.stamps.values().chain(unstamped) {
            let (known, unknown) = stamp.edges(&self.sealed.record);
            edges.extend(known);
            late.extend(unknown);
        }
        Node {
            sealed: self.sealed.clone(),
            order_time: own.order_time,
            edges: edges.into_iter().collect(),
            late: late.into_iter().collect(),
            below: below(horizons, self.stamps.keys()),
            forgotten: self.sealed.forgotten,
        }
    }

    /// Forgets what the log of `replica` said, for its branch was given up or its end is lost. The time that it had
    /// stays until another entry says more.
    pub fn forget(&mut self, replica: &ReplicaId) {
        if self.stamps.keys().any(|dot| dot.replica == *replica) {
            self.own = Some(self.order_time());
            self.stamps.retain(|dot, _| dot.replica != *replica);
        }
    }
}
