//! What storage remembers between groups: read from the store once, kept in step with it after.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::horizon::Forgetting;
use super::life::Recovery;
use super::others::Others;
use crate::clock::Clock;
use crate::id::ReplicaId;
use crate::machine::{Identity, Member, Totals};
use crate::store::{MetaRow, ReplicaRow};
use crate::time::Hlc;
use crate::value::Map;
use crate::view::Policy;

/// What a hub is told about itself when it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name for people.
    pub name: String,
    /// Where peers can dial it.
    pub address: Option<SocketAddr>,
    /// Whether it founds a home if it has none.
    pub found: bool,
    /// The domain manifest that seeds the policy of a home founded here.
    pub policy: Map,
    /// Records of change sets in one commit, beyond the first.
    pub group_records_max: usize,
    /// Bytes of change sets in one commit, beyond the first.
    pub group_bytes_max: usize,
    /// How long replaced content is kept at least; None for ever.
    pub content_min: Option<Duration>,
    /// How often this hub looks whether some may go.
    pub horizon_interval: Duration,
    /// Fresh chance for the ids drawn here.
    pub seed: [u64; 2],
}

#[derive(Debug, Clone)]
pub(super) struct State {
    pub meta: MetaRow,
    pub clock: Clock,
    pub tips: BTreeMap<ReplicaId, ReplicaRow>,
    pub hlc: Hlc,
    pub policy: Arc<Policy>,
    /// The next sequence of our own log.
    pub next: u64,
    /// Sequences up to here may be used; 0 until this process has extended the lease.
    pub lease_end: u64,
    /// The hubs of this home.
    pub members: Vec<Member>,
    pub forgetting: Forgetting,
    pub others: Others,
    pub recovery: Recovery,
    /// Whether the first group has been through [`super::group::Group::settle_in`].
    pub settled: bool,
}

impl State {
    pub fn identity(&self, settings: &Settings) -> Identity {
        Identity {
            hub_id: self.meta.hub_id,
            home_id: self.meta.home_id,
            replica: self.meta.replica,
            life: self.meta.life,
            name: settings.name.clone(),
        }
    }

    pub fn totals(&self) -> Totals {
        Totals {
            records: self.meta.records,
            entities: self.meta.entities,
            relationships: self.meta.relationships,
            conflicts: self.meta.queued,
        }
    }

    /// Sets how far a replica's log is held, in memory; None for not at all.
    pub fn set_tip(&mut self, replica: ReplicaId, row: Option<ReplicaRow>) {
        match row {
            Some(row) => {
                self.clock.set(replica, row.sequence, Some(row.hash.check()));
                self.tips.insert(replica, row);
            }
            None => {
                self.clock.set(replica, 0, None);
                self.tips.remove(&replica);
            }
        }
    }
}
