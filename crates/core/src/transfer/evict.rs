//! Letting blobs go: those that nothing refers to, after a while; and, over a budget, those that two other hubs have
//! durably promised to keep.
//!
//! A hub bound by a promise does not let the blob go until it is released, or the hub it promised is fenced. So of every
//! blob that a record refers to and that was on three hubs, two stay that keep it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Output, Transfer};
use crate::blob::{BlobId, Manifest};
use crate::id::HubId;
use crate::machine::{Link, Ticket};
use crate::store::{
    Family, HeldRow, OfBlob, RefRow, Snapshot, StoreError, blob_key, blob_kind, blob_of, decode_row,
    encode_row, promise_key, promised_to, read_held, scan_prefix,
};
use crate::time::Now;
use crate::wire::BlobMessage;

/// Hubs that must have promised.
const KEEPERS: usize = 2;
/// Blobs that are let go at a time.
const AT_ONCE: usize = 64;
/// How long promises may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether something may go.
const LOOK: Duration = Duration::from_secs(600);
/// The least that a blob is known here to be unreferenced before it goes, whatever the wall clock says.
const SEEN_MIN: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone, Default)]
pub(super) struct Letting {
    /// Sizes of what is held whole.
    pub counted: BTreeMap<BlobId, u64>,
    /// What nothing refers to, and since when that is known here.
    pub unreferenced: BTreeMap<BlobId, Duration>,
    /// Bytes that are being taken away.
    pub removing: BTreeSet<BlobId>,
    /// What clients brought of those meanwhile.
    pub adopting: BTreeMap<BlobId, (Ticket, Arc<Manifest>)>,
    /// What others were asked to keep, who will, and until when that is waited for.
    asked: BTreeMap<BlobId, BTreeSet<HubId>>,
    asked_until: Duration,
    look_at: Duration,
    /// Hubs that keep blobs which are here again should hear of it.
    release_due: bool,
}

impl Letting {
    pub fn unreferenced(&mut self, id: BlobId, now: Duration) {
        self.unreferenced.entry(id).or_insert(now);
    }

    pub fn is_busy(&self) -> bool {
        !self.asked.is_empty() || self.release_due
    }

    pub fn look_at(&self) -> Duration {
        self.look_at
    }

    /// There is more than there should be.
    pub fn look_soon(&mut self) {
        self.look_at = Duration::ZERO;
    }

    pub fn link_up(&mut self) {
        self.release_due = true;
    }
}

impl Transfer {
    pub(super) fn is_over_budget(&self) -> bool {
        self.settings
            .budget
            .is_some_and(|budget| self.told.bytes >= budget)
    }

    pub(super) fn let_go_if_due(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if std::mem::take(&mut self.letting.release_due) {
            self.release_all(store, out)?;
        }
        if !self.letting.asked.is_empty() && self.letting.asked_until <= now.mono {
            self.release_asked(out);
        }
        if self.letting.look_at > now.mono || !self.letting.asked.is_empty() {
            return Ok(());
        }
        self.letting.look_at =
            now.mono + LOOK.min(self.settings.unreferenced_min.max(Duration::from_secs(1)));
        self.drop_unreferenced(now, store)?;
        if let Some(budget) = self.settings.budget.filter(|budget| self.told.bytes > *budget) {
            self.letting.look_at = now.mono + 3 * PATIENCE;
            self.ask_to_keep(now, store, self.told.bytes - budget, out)?;
        }
        Ok(())
    }

    fn drop_unreferenced(&mut self, now: Now, store: &dyn Snapshot) -> Result<(), StoreError> {
        let least = self.settings.unreferenced_min;
        let due: Vec<BlobId> = self
            .letting
            .unreferenced
            .iter()
            .filter(|(_, since)| **since + least.min(SEEN_MIN) <= now.mono)
            .map(|(id, _)| *id)
            .take(AT_ONCE)
            .collect();
        for id in due {
            let referenced = self.wanted_by(store, &id)?.0;
            let Some(held) = read_held(store, &id)?.filter(|_| !referenced) else {
                self.letting.unreferenced.remove(&id);
                continue;
            };
            if held.touched.plus(least) <= now.wall && !self.wants.contains_key(&id) {
                self.keeping.drop_unreferenced(id);
            }
        }
        Ok(())
    }

    /// Whether a blob may be let go for want of space: nobody relies on this hub for it, and it is not pinned.
    fn is_free(&self, store: &dyn Snapshot, id: &BlobId) -> Result<bool, StoreError> {
        let (mut free, mut failed) = (!self.wants.contains_key(id), None);
        scan_prefix(
            store,
            Family::Blobs,
            &blob_key(OfBlob::Promise, id),
            &mut |key, _| {
                free &= promised_to(key).is_some_and(|hub| self.gone.contains(&hub));
                free
            },
        )?;
        scan_prefix(store, Family::Blobs, &blob_key(OfBlob::Ref, id), &mut |_, row| {
            match decode_row::<RefRow>(Family::Blobs, row) {
                Ok(row) => free &= !self.settings.pin_types.contains(&row.of_type),
                Err(error) => failed = Some(error),
            }
            free && failed.is_none()
        })?;
        failed.map_or(Ok(free), Err)
    }

    fn ask_to_keep(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        excess: u64,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let (mut held, mut failed) = (Vec::new(), None);
        scan_prefix(store, Family::Blobs, &blob_kind(OfBlob::Held), &mut |key, row| {
            match decode_row::<HeldRow>(Family::Blobs, row) {
                Ok(row) if row.whole => held.extend(blob_of(key).map(|id| (row.touched, id, row.size))),
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        held.sort();
        let mut bytes = 0;
        for (_, id, size) in held {
            if bytes >= excess || self.letting.asked.len() >= AT_ONCE {
                break;
            }
            if self.is_free(store, &id)? {
                bytes += size;
                self.letting.asked.insert(id, BTreeSet::new());
            }
        }
        let hubs: BTreeMap<HubId, Link> = self
            .links
            .iter()
            .map(|(link, peer)| (peer.hub_id, *link))
            .collect();
        if self.letting.asked.is_empty() || hubs.len() < KEEPERS {
            self.letting.asked.clear();
            return Ok(());
        }
        self.letting.asked_until = now.mono + PATIENCE;
        let ids: Vec<BlobId> = self.letting.asked.keys().copied().collect();
        for link in hubs.into_values() {
            let message = BlobMessage::Keep { ids: ids.clone() };
            out.push(Output::Send { link, message });
        }
        Ok(())
    }

    /// A peer wants to let some go, and rely on this hub.
    pub(super) fn asked_to_keep(
        &mut self,
        store: &dyn Snapshot,
        link: Link,
        ids: &[BlobId],
    ) -> Result<(), StoreError> {
        let Some(hub) = self.links.get(&link).map(|peer| peer.hub_id) else {
            return Ok(());
        };
        let mut kept = Vec::new();
        for id in ids {
            let whole = read_held(store, id)?.is_some_and(|held| held.whole);
            // Not what this hub is about to let go itself.
            if whole && !self.letting.asked.contains_key(id) && !self.letting.removing.contains(id) {
                self.keeping.put(promise_key(id, &hub), Some(Vec::new()));
                kept.push(*id);
            }
        }
        if !kept.is_empty() {
            self.keeping.promise(link, kept);
        }
        Ok(())
    }

    pub(super) fn they_keep(&mut self, link: Link, ids: &[BlobId], out: &mut Vec<Output>) {
        let Some(hub) = self.links.get(&link).map(|peer| peer.hub_id) else {
            return;
        };
        let (mut late, mut go) = (Vec::new(), Vec::new());
        for id in ids {
            match self.letting.asked.get_mut(id) {
                Some(hubs) => {
                    hubs.insert(hub);
                    if hubs.iter().filter(|hub| !self.gone.contains(hub)).count() >= KEEPERS {
                        let hubs = self.letting.asked.remove(id).unwrap_or_default();
                        let keepers: Vec<HubId> = hubs.into_iter().collect();
                        for kind in [OfBlob::Held, OfBlob::Manifest, OfBlob::Bytes] {
                            self.keeping.put(blob_key(kind, id), None);
                        }
                        self.keeping
                            .put(blob_key(OfBlob::Keepers, id), Some(encode_row(&keepers)));
                        go.push(*id);
                    }
                }
                // It is here after all, or gone already on the word of two others.
                None => late.push(*id),
            }
        }
        if !go.is_empty() {
            self.told.evicted += go.len() as u64;
            self.keeping.evict(go);
        }
        if !late.is_empty() {
            let message = BlobMessage::Release { ids: late };
            out.push(Output::Send { link, message });
        }
    }

    /// Not enough hubs have promised in time: those that did are released.
    fn release_asked(&mut self, out: &mut Vec<Output>) {
        let asked = std::mem::take(&mut self.letting.asked);
        let ids: Vec<BlobId> = asked.into_keys().collect();
        for link in self.links.keys() {
            let message = BlobMessage::Release { ids: ids.clone() };
            out.push(Output::Send { link: *link, message });
        }
    }

    pub(super) fn released(&mut self, link: Link, ids: Vec<BlobId>, out: &mut Vec<Output>) {
        let Some(hub) = self.links.get(&link).map(|peer| peer.hub_id) else {
            return;
        };
        for id in &ids {
            self.keeping.put(promise_key(id, &hub), None);
        }
        let message = BlobMessage::Released { ids };
        out.push(Output::Send { link, message });
    }

    pub(super) fn they_released(
        &mut self,
        store: &dyn Snapshot,
        link: Link,
        ids: &[BlobId],
    ) -> Result<(), StoreError> {
        let Some(hub) = self.links.get(&link).map(|peer| peer.hub_id) else {
            return Ok(());
        };
        for id in ids {
            let mut keepers = read_keepers(store, id)?;
            let before = keepers.len();
            keepers.retain(|keeper| *keeper != hub);
            if keepers.len() < before && read_held(store, id)?.is_some_and(|held| held.whole) {
                let row = (!keepers.is_empty()).then(|| encode_row(&keepers));
                self.keeping.put(blob_key(OfBlob::Keepers, id), row);
            }
        }
        Ok(())
    }

    /// A blob is here again: whoever keeps it on our account need not.
    pub(super) fn release(
        &mut self,
        store: &dyn Snapshot,
        id: BlobId,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let keepers = read_keepers(store, &id)?;
        for (link, peer) in &self.links {
            if keepers.contains(&peer.hub_id) {
                let message = BlobMessage::Release { ids: vec![id] };
                out.push(Output::Send { link: *link, message });
            }
        }
        Ok(())
    }

    /// The same for all that are here again, of hubs that are linked.
    fn release_all(&mut self, store: &dyn Snapshot, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let mut ids = Vec::new();
        scan_prefix(
            store,
            Family::Blobs,
            &blob_kind(OfBlob::Keepers),
            &mut |key, _| {
                ids.extend(blob_of(key));
                true
            },
        )?;
        for id in ids {
            if read_held(store, &id)?.is_some_and(|held| held.whole) {
                self.release(store, id, out)?;
            }
        }
        Ok(())
    }
}

fn read_keepers(store: &dyn Snapshot, id: &BlobId) -> Result<Vec<HubId>, StoreError> {
    let row = store.get(Family::Blobs, &blob_key(OfBlob::Keepers, id))?;
    row.map_or(Ok(Vec::new()), |row| decode_row(Family::Blobs, &row))
}
