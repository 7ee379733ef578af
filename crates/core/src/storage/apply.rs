//! Entries from peers: taken only in the order of their chain.

use std::collections::BTreeSet;

use super::fork::Parting;
use super::group::Group;
use super::mend::Gap;
use super::{Event, Output};
use crate::entry::{Bundle, Stamp};
use crate::hash::Digest;
use crate::id::{Dot, ReplicaId};
use crate::machine::{Link, sound_entry};
use crate::store::{Family, Snapshot, StoreError, evidence_key, read_log};
use crate::zoo::{self, Bug};

/// Where an entry stands to what this hub holds of its replica's log.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The next one.
    Next,
    /// Our chain names it, and our log has lost it.
    Lost,
    /// Held already.
    Held,
    /// Something before it is missing.
    Early,
    /// It hangs on another chain than ours.
    Parted,
    /// It is of a branch that gave way here. The verdict stands wherever the branches meet (the smaller hash wins at
    /// each parting), so taking it back would only hand it from hub to hub for ever.
    Dead,
}

impl Group<'_> {
    /// Takes what fits. What comes early is dropped, and `gap` says so: it is asked for again from the clock.
    ///
    /// To `mend`, what is held already is held against what came, row by row.
    pub fn apply_all(&mut self, link: Link, mut bundles: Vec<Bundle>, mend: bool) -> Result<(), StoreError> {
        let (mut applied, mut gap, mut forks) = (0, false, BTreeSet::new());
        let mut mended = 0;
        if mend {
            // Of several entries that were lost in a row, only the last is named by one that is left.
            bundles = self.lost_ones_backwards(bundles)?;
        }
        let mut fallen = BTreeSet::new();
        for bundle in bundles {
            let replica = bundle.entry.dot.replica;
            if forks.contains(&replica) || fallen.contains(&replica) {
                continue;
            }
            let place = self.place(&bundle)?;
            match place {
                Place::Held if mend => {
                    mended += self.mend(&bundle)?;
                    continue;
                }
                Place::Held | Place::Dead => continue,
                Place::Lost => {
                    mended += self.fill_gap(&bundle)?;
                    continue;
                }
                Place::Early => {
                    gap = true;
                    continue;
                }
                Place::Next | Place::Parted => {}
            }
            if self.is_foreign(&bundle) {
                continue;
            }
            if place == Place::Parted {
                match self.settle_fork(&bundle)? {
                    Parting::Theirs => {}
                    Parting::Ours => {
                        fallen.insert(replica);
                        continue;
                    }
                    Parting::Below => {
                        forks.insert(replica);
                        continue;
                    }
                }
            }
            self.watch_own_log(replica)?;
            for (sealed, stamp) in bundle.records.iter().zip(&bundle.entry.stamps) {
                if zoo::planted(Bug::OrderTimeRecomputed) {
                    let order_time = self.state.hlc.tick(self.now.wall);
                    let stamp = Stamp {
                        order_time,
                        ..stamp.clone()
                    };
                    self.insert(sealed, bundle.entry.dot, &stamp)?;
                    continue;
                }
                self.insert(sealed, bundle.entry.dot, stamp)?;
            }
            self.append(bundle, Some(link));
            applied += 1;
        }
        let forks: Vec<ReplicaId> = forks.into_iter().collect();
        self.follow.push(Output::Applied {
            link,
            applied,
            gap,
            forks,
            mended: mend.then_some(mended),
        });
        Ok(())
    }

    /// Entries that our log lacks in the middle, the last first, before all others in their order.
    fn lost_ones_backwards(&self, bundles: Vec<Bundle>) -> Result<Vec<Bundle>, StoreError> {
        let (mut lost, mut rest) = (Vec::new(), Vec::new());
        for bundle in bundles {
            let dot = bundle.entry.dot;
            if self.state.clock.covers(dot) && self.held(dot)?.is_none() {
                lost.push(bundle);
            } else {
                rest.push(bundle);
            }
        }
        lost.sort_by_key(|bundle| std::cmp::Reverse((bundle.entry.dot.replica, bundle.entry.dot.sequence)));
        lost.append(&mut rest);
        Ok(lost)
    }

    /// The hash of the entry at a dot, if it is held as it was.
    fn held(&self, dot: Dot) -> Result<Option<Digest>, StoreError> {
        let row = read_log(&self.overlay, dot)?;
        Ok(row.filter(|row| sound_entry(row).is_some()).map(|row| row.hash))
    }

    fn place(&self, bundle: &Bundle) -> Result<Place, StoreError> {
        let dot = bundle.entry.dot;
        let before = bundle.entry.prev.map(|(sequence, hash)| {
            (
                Dot {
                    replica: dot.replica,
                    sequence,
                },
                hash,
            )
        });
        for (dot, hash) in [Some((dot, bundle.hash)), before].into_iter().flatten() {
            if self
                .overlay
                .get(Family::Evidence, &evidence_key(dot, &hash))?
                .is_some()
            {
                return Ok(Place::Dead);
            }
        }
        let tip = self.state.tips.get(&dot.replica);
        if tip.is_some_and(|tip| tip.sequence >= dot.sequence) {
            let held = self.held(dot)?;
            if held == Some(bundle.hash) {
                return Ok(Place::Held);
            }
            return Ok(match self.gap_at(dot, &bundle.hash)? {
                Gap::Names => Place::Lost,
                Gap::Within if held.is_none() => Place::Early,
                // Another entry under this dot, or one where our chain has none: two branches.
                Gap::Within | Gap::Denies => Place::Parted,
            });
        }
        Ok(
            match (bundle.entry.prev, tip.map(|tip| (tip.sequence, tip.hash))) {
                (None, None) => Place::Next,
                (None, Some(_)) => Place::Parted,
                (Some(_), None) => Place::Early,
                (Some(prev), Some(tip)) if prev == tip => Place::Next,
                (Some((before, _)), Some((ours, _))) if before > ours => {
                    if zoo::planted(Bug::EntryOutOfOrder) {
                        Place::Next
                    } else {
                        Place::Early
                    }
                }
                (Some(_), Some(_)) => Place::Parted,
            },
        )
    }

    /// A replica's first entry names its home: another home's data is never taken in.
    fn is_foreign(&mut self, bundle: &Bundle) -> bool {
        let home = self.state.meta.home_id;
        let foreign = bundle
            .entry
            .genesis
            .as_ref()
            .is_some_and(|genesis| Some(genesis.home_id) != home);
        if foreign {
            let why = "it belongs to another home".to_owned();
            self.event(Event::Refused {
                dot: bundle.entry.dot,
                why,
            });
        }
        foreign
    }

    /// An entry of our own log that we do not hold: this store is older than it was. It is taken in like any other,
    /// and we go on in a new life.
    fn watch_own_log(&mut self, replica: ReplicaId) -> Result<(), StoreError> {
        if self.state.meta.replica == Some(replica) {
            self.new_life("a peer holds entries of this replica that this store does not")?;
        }
        Ok(())
    }
}
