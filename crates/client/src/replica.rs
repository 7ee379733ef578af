//! The state that frames add up to: records with their stamps, what is pending, what was refused, the clock.
//!
//! Invariant: frames are the only way in, so a log that is read again gives the same replica.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::domain::{HORIZON, is_reserved};
use inbetweenies_core::entry::{Sealed, Stamp};
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{HomeId, Id};
use inbetweenies_core::machine::Horizon;
use inbetweenies_core::record::Record;
use inbetweenies_core::time::Micros;
use inbetweenies_core::view::horizon;
use inbetweenies_core::zoo::{self, Bug};

use crate::frame::{FORMAT, Frame, LocalRecord, Opened, RefusedRow, SetRow, Synced, clock_of};
use crate::held::Held;

/// What a device holds of its home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    opened: Opened,
    home_id: Option<HomeId>,
    counter: u64,
    next_set: u64,
    ids: BTreeMap<Id, BTreeMap<Digest, Held>>,
    pending: BTreeMap<u64, PendingSet>,
    refused: BTreeMap<u64, (PendingSet, Vec<RefusedRow>)>,
    clock: Clock,
    horizons: Vec<Horizon>,
}

/// A change set of this device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PendingSet {
    /// In the order in which they were made.
    pub records: Vec<Arc<Sealed>>,
}

/// Why a frame was refused: it is not one that this software writes. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FrameError(pub String);

fn bad<T>(what: impl Into<String>) -> Result<T, FrameError> {
    Err(FrameError(what.into()))
}

fn sealed(bytes: &[u8], forgotten: Option<Digest>) -> Result<Arc<Sealed>, FrameError> {
    let record = Record::from_stored(bytes).map_err(|error| FrameError(format!("a record: {error}")))?;
    Ok(Arc::new(Sealed {
        record,
        bytes: bytes.to_vec(),
        digest: forgotten.unwrap_or_else(|| Digest::of(bytes)),
        forgotten: forgotten.is_some(),
    }))
}

impl Replica {
    /// A replica that holds nothing yet.
    pub fn open(first: Opened) -> Result<Replica, FrameError> {
        if first.format != FORMAT {
            return bad(format!(
                "format {} is not {FORMAT}, the one that is known here",
                first.format
            ));
        }
        Ok(Replica {
            counter: first.counter,
            opened: first,
            home_id: None,
            next_set: 1,
            ids: BTreeMap::new(),
            pending: BTreeMap::new(),
            refused: BTreeMap::new(),
            clock: Clock::new(),
            horizons: Vec::new(),
        })
    }

    /// Takes the next step: whole or, with an error, not at all.
    pub fn apply(&mut self, frame: &Frame) -> Result<(), FrameError> {
        let step = self.read(frame)?;
        self.take(step);
        Ok(())
    }

    /// Reads a frame and checks that it may come next. Changes nothing.
    pub fn read(&self, frame: &Frame) -> Result<Step, FrameError> {
        let fresh = |set: u64| {
            if set < self.next_set {
                return bad(format!("the set {set} stands twice"));
            }
            Ok(())
        };
        let step = match frame {
            Frame::Opened(_) => return bad("a second beginning"),
            Frame::Edited(edited) => {
                fresh(edited.set)?;
                let open = |row: &LocalRecord| Ok((sealed(&row.bytes, None)?, row.order_time));
                let records = edited
                    .records
                    .iter()
                    .map(open)
                    .collect::<Result<_, FrameError>>()?;
                Inner::Edited {
                    set: edited.set,
                    counter: edited.counter,
                    records,
                }
            }
            Frame::Synced(synced) => {
                let sets = synced
                    .sets
                    .iter()
                    .map(open_set)
                    .collect::<Result<_, FrameError>>()?;
                Inner::Synced {
                    rest: synced.clone(),
                    sets,
                }
            }
            Frame::Requeued { set, digests } => {
                fresh(*set)?;
                Inner::Requeued {
                    set: *set,
                    digests: digests.iter().copied().collect(),
                }
            }
        };
        Ok(Step(step))
    }

    /// Takes a step that was read from this very replica.
    pub fn take(&mut self, step: Step) {
        match step.0 {
            Inner::Edited {
                set,
                counter,
                records,
            } => {
                let mut pending = PendingSet::default();
                for (sealed, order_time) in records {
                    self.hold(&sealed).own = Some(order_time);
                    pending.records.push(sealed);
                }
                self.pending.insert(set, pending);
                (self.next_set, self.counter) = (set + 1, counter);
            }
            Inner::Synced { rest, sets } => self.synced(&rest, sets),
            Inner::Requeued { set, digests } => {
                let records = self.all().filter(|held| digests.contains(&held.sealed.digest));
                let records = records.map(|held| held.sealed.clone()).collect();
                self.pending.insert(set, PendingSet { records });
                self.next_set = set + 1;
            }
        }
    }

    fn synced(&mut self, synced: &Synced, sets: Vec<Opening>) {
        self.home_id = self.home_id.or(synced.home_id);
        for set in &synced.landed {
            self.pending.remove(set);
        }
        if zoo::planted(Bug::AckForgetsRest) && !synced.landed.is_empty() {
            self.pending.clear();
        }
        for refused in &synced.refused {
            if let Some(set) = self.pending.remove(&refused.set) {
                self.drop_refused(&set);
                self.refused.insert(refused.set, (set, refused.rows.clone()));
            }
        }
        for replica in &synced.restarted {
            self.clock.set(*replica, 0, None);
            self.ids
                .values_mut()
                .flat_map(BTreeMap::values_mut)
                .for_each(|held| held.forget(replica));
        }
        let of_horizon = |(sealed, _): &(Arc<Sealed>, Stamp)| sealed.record.id.as_str() == HORIZON;
        let horizons = sets.iter().flatten().any(of_horizon);
        for (row, records) in synced.sets.iter().zip(sets) {
            for (sealed, stamp) in records {
                if zoo::planted(Bug::PullOverwrites) {
                    let other = |mine: &Arc<Sealed>| {
                        mine.record.id != sealed.record.id || mine.digest == sealed.digest
                    };
                    self.pending.retain(|_, set| set.records.iter().all(other));
                }
                self.hold(&sealed).stamps.insert(row.dot, stamp);
            }
        }
        if !synced.restarted.is_empty() {
            self.drop_what_hubs_took_back();
        }
        if let Some(clock) = &synced.clock {
            self.clock = clock_of(clock);
        }
        if (horizons || synced.clock.is_some())
            && let Ok(id) = Id::new(HORIZON)
        {
            // One that has come before all that lies below it waits: what is replaced there cannot be told yet.
            let reached = |horizon: &Horizon| {
                horizon
                    .iter()
                    .all(|(replica, last)| self.clock.sequence(replica) >= *last)
            };
            let horizons = self.versions(&id).filter_map(|held| horizon(&held.sealed.record));
            self.horizons = horizons.filter(reached).collect();
        }
    }

    /// The horizons below which replaced content counts as forgotten, as far as this device has heard and read.
    pub fn horizons(&self) -> &[Horizon] {
        &self.horizons
    }

    fn hold(&mut self, sealed: &Arc<Sealed>) -> &mut Held {
        let versions = self.ids.entry(sealed.record.id.clone()).or_default();
        versions
            .entry(sealed.digest)
            .or_insert_with(|| Held::new(sealed.clone()))
    }

    /// What hubs wrote about themselves, and no hub's log holds any more, is nobody's to push again: else this device
    /// would show hubs as they were in a life that is gone.
    fn drop_what_hubs_took_back(&mut self) {
        let pending = self.all_pending();
        for versions in self.ids.values_mut() {
            versions.retain(|digest, held| {
                let reserved = held.sealed.record.entity_type().is_some_and(is_reserved);
                !reserved || !held.stamps.is_empty() || pending.contains(digest)
            });
        }
        self.ids.retain(|_, versions| !versions.is_empty());
    }

    /// Takes what was refused out of the views, unless some hub holds it after all.
    fn drop_refused(&mut self, set: &PendingSet) {
        for sealed in &set.records {
            let id = &sealed.record.id;
            let elsewhere = self
                .pending
                .values()
                .flat_map(|set| &set.records)
                .any(|other| other.digest == sealed.digest);
            if let Some(versions) = self.ids.get_mut(id).filter(|_| !elsewhere) {
                versions.retain(|digest, held| *digest != sealed.digest || !held.stamps.is_empty());
                if versions.is_empty() {
                    self.ids.remove(id);
                }
            }
        }
    }

    /// This device.
    pub fn device_id(&self) -> &str {
        &self.opened.device_id
    }

    /// Who edits here.
    pub fn user_id(&self) -> &str {
        &self.opened.user_id
    }

    /// The home, once a hub has told.
    pub fn home_id(&self) -> Option<HomeId> {
        self.home_id
    }

    /// The last number used in a version.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// The number of the next pending set.
    pub fn next_set(&self) -> u64 {
        self.next_set
    }

    /// The place to go on from at any hub.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What no hub has acknowledged yet, by number.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &PendingSet)> {
        self.pending.iter().map(|(number, set)| (*number, set))
    }

    /// What a hub refused, by number.
    pub fn refused(&self) -> impl Iterator<Item = (u64, &PendingSet, &[RefusedRow])> {
        self.refused
            .iter()
            .map(|(number, (set, rows))| (*number, set, &rows[..]))
    }

    /// All records that wait for a hub: for who asks about many. O(pending · log pending).
    pub fn all_pending(&self) -> BTreeSet<Digest> {
        let records = self.pending.values().flat_map(|set| &set.records);
        records.map(|sealed| sealed.digest).collect()
    }

    /// Whether a record waits for a hub. O(pending).
    pub fn is_pending(&self, digest: &Digest) -> bool {
        self.pending
            .values()
            .flat_map(|set| &set.records)
            .any(|sealed| sealed.digest == *digest)
    }

    /// Records held, old versions included.
    pub fn records(&self) -> usize {
        self.ids.values().map(BTreeMap::len).sum()
    }

    /// All ids, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &Id> {
        self.ids.keys()
    }

    /// The versions of one id, with what hubs' logs say of them.
    pub fn versions(&self, id: &Id) -> impl Iterator<Item = &Held> {
        self.ids.get(id).into_iter().flat_map(BTreeMap::values)
    }

    /// One version of an id.
    pub fn held(&self, id: &Id, digest: &Digest) -> Option<&Held> {
        self.ids.get(id)?.get(digest)
    }

    /// Every record held.
    pub fn all(&self) -> impl Iterator<Item = &Held> {
        self.ids.values().flat_map(BTreeMap::values)
    }

    /// Records that are not pending and that no hub's log is known to hold: a hub was restored from a backup, its
    /// branch gave way, or its disk was lost, before another had them. Whoever has them pushes them again, which is
    /// harmless.
    pub fn orphans(&self) -> Vec<Digest> {
        let pending = self.all_pending();
        let orphan = |held: &&Held| {
            let record = &held.sealed.record;
            // What hubs write is theirs to keep.
            let reserved = record.entity_type().is_some_and(is_reserved);
            held.stamps.is_empty()
                && !reserved
                && !held.sealed.forgotten // what is left of it is not what was written
                && !pending.contains(&held.sealed.digest)
        };
        self.all().filter(orphan).map(|held| held.sealed.digest).collect()
    }
}

/// A frame that was read and may come next.
#[derive(Debug, Clone)]
pub struct Step(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Edited {
        set: u64,
        counter: u64,
        records: Vec<(Arc<Sealed>, Micros)>,
    },
    Synced {
        rest: Box<Synced>,
        sets: Vec<Opening>,
    },
    Requeued {
        set: u64,
        digests: BTreeSet<Digest>,
    },
}

type Opening = Vec<(Arc<Sealed>, Stamp)>;

fn open_set(row: &SetRow) -> Result<Opening, FrameError> {
    let records = row.records.iter().map(|row| {
        let sealed = sealed(&row.bytes, row.forgotten)?;
        let stamp = Stamp {
            digest: sealed.digest,
            order_time: row.order_time,
            resolved: row.resolved.clone(),
        };
        Ok((sealed, stamp))
    });
    records.collect()
}
