//! One group of inputs on its way to one commit: writes collect in an overlay, what follows waits for durability.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::index::Lag;
use super::names::Bearers;
use super::order::causes_first;
use super::state::{Settings, State};
use super::{Event, Output};
use crate::blob::BlobId;
use crate::entry::{Bundle, ChangeSet, Entry, Genesis, Sealed, Stamp};
use crate::id::{Dot, Id, ReplicaId};
use crate::leaf::{Leaf, Sum};
use crate::limits::{LEASE, RESOLVED_MAX};
use crate::machine::{Horizon, Link, load_members, load_policy, load_view};
use crate::store::{
    Commit, Family, HighWater, LeafChange, LogRow, META_KEY, Note, Overlay, ReplicaRow, Snapshot, StoreError,
    encode_changes, encode_row, journal_key, log_key,
};
use crate::time::{MICROS_MAX, Micros, Now, edit_time, order_time};
use crate::zoo::{self, Bug};

pub(super) struct Group<'g> {
    pub now: Now,
    pub overlay: Overlay<'g>,
    pub settings: &'g Settings,
    pub state: &'g mut State,
    /// What follows when the group is durable.
    pub follow: Vec<Output>,
    pub bundles: Vec<(Arc<Bundle>, Option<Link>)>,
    /// Carried by the next entry of our own: the first of a life.
    pub genesis: Option<Genesis>,
    pub identity_changed: bool,
    pub meta_touched: bool,
    pub policy_touched: bool,
    pub members_touched: bool,
    /// Horizons that this group brings.
    pub new_horizons: Vec<Horizon>,
    /// Ids whose rows are worked out when the group closes.
    pub lagging: BTreeMap<Id, Lag>,
    /// Of ids whose bare names were resolved.
    pub bearers: BTreeMap<Id, Bearers>,
    /// Blobs that records have begun or ceased to refer to.
    pub referred: BTreeSet<BlobId>,
    /// What this group does to the leaves of records.
    leaves: Vec<LeafChange>,
    high_water: Option<HighWater>,
    note: Option<Note>,
}

impl<'g> Group<'g> {
    pub fn new(now: Now, store: &'g dyn Snapshot, settings: &'g Settings, state: &'g mut State) -> Group<'g> {
        Group {
            now,
            overlay: Overlay::new(store),
            settings,
            state,
            follow: Vec::new(),
            bundles: Vec::new(),
            genesis: None,
            identity_changed: false,
            meta_touched: false,
            policy_touched: false,
            members_touched: false,
            new_horizons: Vec::new(),
            lagging: BTreeMap::new(),
            bearers: BTreeMap::new(),
            referred: BTreeSet::new(),
            leaves: Vec::new(),
            high_water: None,
            note: None,
        }
    }

    /// Gives a set that was checked the next dot of our log, and writes it.
    pub fn write_own(&mut self, set: &ChangeSet) -> Result<Dot, StoreError> {
        let replica = self
            .state
            .meta
            .replica
            .unwrap_or_else(|| panic!("a set was accepted without a home"));
        let dot = Dot {
            replica,
            sequence: self.next_sequence(replica),
        };
        let prev = self.state.tips.get(&replica).map(|row| (row.sequence, row.hash));
        let clock = self.tick();
        let mut stamps: Vec<Option<Stamp>> = vec![None; set.records.len()];
        let mut room = RESOLVED_MAX;
        for at in causes_first(&set.records) {
            let sealed = &set.records[at];
            let resolved = self.resolve_names(&sealed.record, &mut room)?;
            let largest = self.largest_parent(&sealed.record, &resolved)?;
            let edit = edit_time(sealed.record.version.as_str());
            let order_time = if edit.is_some() && zoo::planted(Bug::EditTimeTrusted) {
                order_time(edit, MICROS_MAX, largest)
            } else {
                order_time(edit, clock, largest)
            };
            let stamp = Stamp {
                digest: sealed.digest,
                order_time,
                resolved,
            };
            self.insert(sealed, dot, &stamp)?;
            stamps[at] = Some(stamp);
        }
        let stamps = stamps.into_iter().flatten().collect();
        let genesis = self.genesis.take();
        assert_eq!(
            genesis.is_some(),
            prev.is_none(),
            "only the first entry of a replica carries its genesis"
        );
        let entry = Entry {
            dot,
            prev,
            genesis,
            stamps,
            extra: Default::default(),
        };
        let bundle = Bundle::seal(entry, set.records.clone());
        self.note = Some(Note {
            replica,
            sequence: dot.sequence,
            hash: bundle.hash,
        });
        self.append(bundle, None);
        Ok(dot)
    }

    /// The next stamp of this hub's clock for order times.
    pub fn tick(&mut self) -> Micros {
        let wall = self.state.others.own(self.now.wall, self.now.mono);
        self.state.hlc.tick(wall)
    }

    /// The next sequence of our log, with the lease extended where it must be.
    fn next_sequence(&mut self, replica: ReplicaId) -> u64 {
        let sequence = self.state.next;
        if sequence > self.state.lease_end {
            let last = self.state.tips.get(&replica).map(|row| (row.sequence, row.hash));
            // `last` is durable only if it is not of this very group; a mark must never name what may be lost.
            let last = last.filter(|_| self.bundles.iter().all(|(b, _)| b.entry.dot.replica != replica));
            self.state.lease_end = sequence + LEASE;
            self.high_water = Some(HighWater {
                replica,
                lease_end: self.state.lease_end,
                last,
                clean: false,
            });
        }
        self.state.next = sequence + 1;
        sequence
    }

    /// Puts an entry whose records are in at the end of its replica's log.
    pub fn append(&mut self, bundle: Bundle, link: Option<Link>) {
        let dot = bundle.entry.dot;
        self.put_log(&bundle, self.state.meta.arrivals);
        self.state.meta.arrivals += 1;
        let (hub_id, life) = match (&bundle.entry.genesis, self.state.tips.get(&dot.replica)) {
            (Some(genesis), _) => (genesis.hub_id, genesis.life),
            (None, Some(tip)) => (tip.hub_id, tip.life),
            (None, None) => panic!("an entry with a prev and no chain to hang on: {dot:?}"),
        };
        self.put_tip(
            dot.replica,
            Some(ReplicaRow {
                hub_id,
                life,
                sequence: dot.sequence,
                hash: bundle.hash,
            }),
        );
        self.bundles.push((Arc::new(bundle), link));
    }

    /// Writes the row of an entry.
    pub fn put_log(&mut self, bundle: &Bundle, arrival: u64) {
        let ids = bundle.records.iter().map(|sealed| sealed.record.id.clone());
        let row = LogRow {
            arrival,
            accepted: self.now.wall,
            hash: bundle.hash,
            ids: ids.collect(),
            entry: bundle.bytes.clone(),
            signature: bundle.signature.clone().map(serde_bytes::ByteBuf::from),
        };
        self.overlay
            .put(Family::Log, log_key(bundle.entry.dot), encode_row(&row));
    }

    pub fn put_tip(&mut self, replica: ReplicaId, row: Option<ReplicaRow>) {
        match &row {
            Some(row) => self
                .overlay
                .put(Family::Replicas, replica.0.to_vec(), encode_row(row)),
            None => self.overlay.delete(Family::Replicas, replica.0.to_vec()),
        }
        self.state.set_tip(replica, row);
    }

    /// Notes that the leaf of a record is another. Changes of one record in one group follow each other.
    pub fn note_leaf(&mut self, old: Option<Leaf>, new: Option<Leaf>) {
        let Some(position) = old.or(new).map(|leaf| leaf.position) else {
            return;
        };
        let (old, new) = (old.map(|leaf| leaf.hash), new.map(|leaf| leaf.hash));
        if old == new {
            return;
        }
        let mut sum = Sum::from_bytes(&self.state.meta.leaves);
        old.iter().for_each(|hash| sum.take(&hash.0));
        new.iter().for_each(|hash| sum.add(&hash.0));
        self.state.meta.leaves = sum.to_bytes();
        self.leaves.push(LeafChange { position, old, new });
    }

    pub fn event(&mut self, event: Event) {
        self.follow.push(Output::Event(event));
    }

    /// Leaves a mark that says exactly where the log ends.
    pub fn stop(&mut self) {
        if let Some(replica) = self.state.meta.replica {
            let last = self.state.tips.get(&replica).map(|row| (row.sequence, row.hash));
            let pending = self
                .bundles
                .iter()
                .any(|(bundle, _)| bundle.entry.dot.replica == replica);
            // With writes of our own in the same group the mark would precede them: then the stop is left unclean.
            if !pending {
                let lease_end = self.state.next - 1;
                self.high_water = Some(HighWater {
                    replica,
                    lease_end,
                    last,
                    clean: true,
                });
                self.state.lease_end = 0;
            }
        }
        self.follow.push(Output::Stopped);
    }

    /// A planted bug: what several heads come to is written, on top of them.
    fn write_merges(&mut self) -> Result<(), StoreError> {
        let ids: Vec<Id> = self.lagging.keys().cloned().collect();
        self.settle_ids()?;
        let mut records = Vec::new();
        for id in ids {
            let view = load_view(&self.overlay, &self.state.policy, &id)?;
            if let Some(view) = view.filter(|view| view.heads.len() > 1) {
                records.push(Arc::new(Sealed::new(view.record)));
            }
        }
        if !records.is_empty() && self.state.meta.replica.is_some() {
            self.write_own(&ChangeSet { records })?;
        }
        Ok(())
    }

    /// The commit and what follows from it, in order: the news first, then replies.
    pub fn close(mut self) -> Result<(Commit, Vec<Output>), StoreError> {
        let mut news = Vec::new();
        if self.policy_touched {
            let policy = Arc::new(load_policy(&self.overlay)?);
            if policy.manifest != self.state.policy.manifest {
                self.contested_lag()?;
            }
            self.state.policy = policy.clone();
            news.push(Output::Policy(policy));
        }
        if self.join_horizons() {
            // Where several heads stand, a later edit whose base is let go counts for more than before.
            self.contested_lag()?;
            news.push(Output::Horizon(self.state.forgetting.horizons.joined.clone()));
        }
        if zoo::planted(Bug::MergeWritten) {
            self.write_merges()?;
        }
        self.settle_ids()?;
        if self.members_touched {
            self.state.members = load_members(&self.overlay)?;
            news.push(Output::Members(self.state.members.clone()));
        }
        if self.identity_changed {
            news.push(Output::Identity(self.state.identity(self.settings)));
        }
        if !self.leaves.is_empty() {
            self.state.meta.journal += 1;
            let key = journal_key(self.state.meta.journal);
            self.overlay
                .put(Family::Merkle, key, encode_changes(&self.leaves));
        }
        if !self.overlay.is_empty() || self.meta_touched {
            self.state.meta.hlc = self.state.hlc.last();
            self.overlay
                .put(Family::Meta, META_KEY.to_vec(), encode_row(&self.state.meta));
            let mut clock = self.state.clock.clone();
            if zoo::planted(Bug::ClockPruned) {
                clock = clock
                    .iter()
                    .take(4)
                    .map(|(replica, point)| (*replica, *point))
                    .collect();
            }
            news.push(Output::Durable {
                bundles: self.bundles,
                clock,
                totals: self.state.totals(),
            });
        }
        if !self.referred.is_empty() {
            let ids = self.referred.into_iter().collect();
            news.push(Output::Refs { ids });
        }
        news.append(&mut self.follow);
        let writes = self.overlay.into_writes();
        Ok((
            Commit {
                number: 0,
                high_water: self.high_water,
                writes,
                note: self.note,
            },
            news,
        ))
    }
}
