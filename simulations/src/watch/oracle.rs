//! What must be: who wrote what, what was acknowledged, what is durable where. Kept by the simulator, never by a hub.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inbetweenies_core::domain::is_reserved;
use inbetweenies_core::entry::Sealed;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Dot, Id, ReplicaId, Version};
use inbetweenies_core::store::{
    Family, LogRow, MemorySnapshot, ReplicaRow, Snapshot, Write, decode_row, read_meta, record_key,
};
use inbetweenies_core::wire::SyncRequest;

use super::Seen;
use crate::plan::Do;
use crate::recording::FaultKind;
use crate::world::{CallId, Image, World};

/// A record that somebody made.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Of what.
    pub id: Id,
    /// By which client; None for a script.
    pub client: Option<usize>,
    /// When.
    pub at: Duration,
}

/// A record that a hub said is on its disk.
#[derive(Debug, Clone)]
pub struct Acked {
    /// Of what.
    pub id: Id,
    /// Which hub said so first.
    pub hub: usize,
    /// When.
    pub at: Duration,
}

/// A record that a hub has just acknowledged.
#[derive(Debug, Clone)]
pub struct Landed {
    /// Of what.
    pub id: Id,
    /// Which.
    pub digest: Digest,
    /// Whether it is the first to say so.
    pub new: bool,
}

type AskedSet = Vec<(Digest, Id, Version)>;

#[derive(Debug, Clone)]
struct Asked {
    at: Duration,
    sets: Vec<AskedSet>,
}

/// What is known of one hub's disk.
#[derive(Debug, Clone, Default)]
struct Ghost {
    tips: BTreeMap<ReplicaId, (u64, Digest)>,
    /// Lives that it may have begun: one, and one more for each time that its disk may have gone back.
    lives: u64,
    /// When it was last frozen, stalled or otherwise kept from answering.
    troubled: Option<Duration>,
}

/// All that is known.
#[derive(Debug, Default)]
pub struct Oracle {
    issued: BTreeMap<Digest, Issued>,
    acked: BTreeMap<Digest, Acked>,
    /// Acknowledged, and then lost with the only disk that held them: honest, and counted.
    lost: BTreeMap<Digest, Acked>,
    refused: BTreeMap<Digest, Id>,
    /// Somebody tried them and was never told.
    unknown: BTreeSet<Digest>,
    calls: BTreeMap<CallId, Asked>,
    /// Which hubs a record was pushed to.
    asked_at: BTreeMap<Digest, BTreeSet<usize>>,
    hubs: Vec<Ghost>,
    entries: BTreeMap<Dot, Digest>,
    forkable: BTreeMap<ReplicaId, u64>,
    landed: Vec<Landed>,
    /// A record of the request just answered of which the answer says nothing.
    untold: Option<Id>,
    /// Sets as they were pushed.
    sets: BTreeSet<BTreeSet<Digest>>,
    /// Sequences above these may be used twice: no mark beside the store says that they were promised.
    reusable: BTreeMap<ReplicaId, u64>,
    /// A dot that was bound to two entries, and should not have been.
    twice: Option<Dot>,
    may_go_back: bool,
    has_rotted: bool,
}

fn replica_of(key: &[u8]) -> Option<ReplicaId> {
    key.try_into().ok().map(ReplicaId)
}

impl Oracle {
    /// Records that were made.
    pub fn issued(&self, digest: &Digest) -> Option<&Issued> {
        self.issued.get(digest)
    }

    /// Records that must be held.
    pub fn acked(&self) -> &BTreeMap<Digest, Acked> {
        &self.acked
    }

    /// Acknowledged records that are gone with the only disk that held them.
    pub fn lost(&self) -> usize {
        self.lost.len()
    }

    /// Records that no attempt left unknown and that were refused.
    pub fn refused(&self) -> &BTreeMap<Digest, Id> {
        &self.refused
    }

    /// What the answer just seen acknowledged.
    pub fn landed(&self) -> &[Landed] {
        &self.landed
    }

    /// Whether a hub has said that a record is on its disk.
    pub fn was_acked(&self, digest: &Digest) -> bool {
        self.acked.contains_key(digest) || self.lost.contains_key(digest)
    }

    /// A record of the request just answered of which the answer says nothing.
    pub fn untold(&self) -> Option<&Id> {
        self.untold.as_ref()
    }

    /// Whether these records were pushed as one set.
    pub fn pushed_together(&self, digests: &BTreeSet<Digest>) -> bool {
        self.sets.contains(digests)
    }

    /// Whether a dot may stand for two entries: its sequence was given out by a store that went back with its marks, or
    /// was copied.
    pub fn may_be_reused(&self, dot: Dot) -> bool {
        self.reusable
            .get(&dot.replica)
            .is_some_and(|from| dot.sequence > *from)
    }

    /// Log entries that exist.
    pub fn entries(&self) -> u64 {
        self.entries.len() as u64
    }

    /// How far a hub's disk holds each log.
    pub fn tips(&self, hub: usize) -> &BTreeMap<ReplicaId, (u64, Digest)> {
        static NONE: BTreeMap<ReplicaId, (u64, Digest)> = BTreeMap::new();
        self.hubs.get(hub).map_or(&NONE, |ghost| &ghost.tips)
    }

    /// Whether dots of this replica above some sequence may stand for two entries, and from where on.
    pub fn forkable(&self, replica: &ReplicaId) -> Option<u64> {
        self.forkable.get(replica).copied()
    }

    /// Whether some disk went back or was copied: then logs may have branches.
    pub fn may_go_back(&self) -> bool {
        self.may_go_back
    }

    /// Whether some disk has changed behind its hub's back.
    pub fn has_rotted(&self) -> bool {
        self.has_rotted
    }

    /// Lives that a hub may have begun.
    pub fn lives(&self, hub: usize) -> u64 {
        self.hubs.get(hub).map_or(1, |ghost| ghost.lives)
    }

    /// When a hub was last kept from answering.
    pub fn troubled(&self, hub: usize) -> Option<Duration> {
        self.hubs.get(hub).and_then(|ghost| ghost.troubled)
    }

    /// When a request came to its hub's door.
    pub fn asked(&self, call: CallId) -> Option<Duration> {
        self.calls.get(&call).map(|asked| asked.at)
    }

    /// A dot that was bound to two entries, and should not have been.
    pub fn bound_twice(&self) -> Option<Dot> {
        self.twice
    }

    /// The hubs that a record was pushed to.
    pub fn pushed_to(&self, digest: &Digest) -> usize {
        self.asked_at.get(digest).map_or(0, BTreeSet::len)
    }

    /// Binds a dot to an entry, wherever it is seen.
    pub fn bind(&mut self, dot: Dot, hash: Digest) {
        let before = *self.entries.entry(dot).or_insert(hash);
        if before != hash && !self.may_be_reused(dot) {
            self.twice.get_or_insert(dot);
        }
    }

    /// Whether all hubs run and hold the same.
    pub fn hubs_equal(&self, world: &World) -> bool {
        let all_up = world.hubs.iter().all(|hub| hub.process.is_some());
        all_up && (1..world.hubs.len()).all(|hub| self.tips(hub) == self.tips(0)) && !self.tips(0).is_empty()
    }

    pub(super) fn saw(&mut self, world: &World, seen: &Seen<'_>) {
        self.landed.clear();
        self.untold = None;
        while self.hubs.len() < world.hubs.len() {
            self.hubs.push(Ghost {
                lives: 1,
                ..Ghost::default()
            });
        }
        match seen {
            Seen::Started { hub } => {
                self.read(*hub, &world.hubs[*hub].disk.image().snapshot());
                self.trouble(world, *hub);
            }
            Seen::Committed { hub, commit } => self.committed(*hub, &commit.writes),
            Seen::Issued { client, records } => self.issue(world, *client, records),
            Seen::Kept { client, frame } => {
                if let inbetweenies_client::Frame::Edited(_) = frame
                    && let Some((_, set)) = world.clients[*client].replica.pending().last()
                {
                    self.issue(world, Some(*client), &set.records);
                }
            }
            Seen::Request { hub, call, request } => self.asked_for(world, *hub, *call, request),
            Seen::Answered { hub, call, answer } => match answer {
                Ok(response) => self.answered(world, *hub, *call, response),
                Err(problem) if problem.status == 504 => self.never_told(*call),
                Err(_) => self.refused_all(*call),
            },
            Seen::DiskFull { call, .. } => self.refused_all(*call),
            Seen::NoAnswer { call, .. } => self.never_told(*call),
            Seen::Ended { hub, how, lost, .. } => self.ended(world, *hub, *how, *lost),
            Seen::Replaced { hub, before } => {
                let before = before.snapshot();
                self.went_back(world, *hub, &before);
            }
            Seen::Cloned { of, at } => {
                self.may_go_back = true;
                self.read(*at, &world.hubs[*at].disk.image().snapshot());
                for hub in [*of, *at] {
                    self.hubs[hub].lives += 4; // each of the two may be the one that takes another name
                }
                let own = self.own(&world.hubs[*at].disk.image().snapshot());
                self.allow_reuse(world.hubs[*at].disk.image());
                if let Some(own) = own {
                    let tip = self.tips(*at).get(&own).map_or(0, |(sequence, _)| *sequence);
                    self.allow_fork(own, tip);
                }
            }
            Seen::Event { event } => match &event.what {
                Do::Rot { .. } => self.has_rotted = true,
                Do::Freeze { hub, lasts } | Do::DiskStall { hub, lasts } => {
                    let until = world.now + *lasts;
                    self.hubs[*hub].troubled =
                        Some(self.hubs[*hub].troubled.map_or(until, |at| at.max(until)));
                }
                _ => {}
            },
            Seen::Fault {
                hub,
                kind: FaultKind::Thawed,
                ..
            } => self.trouble(world, *hub),
            _ => {}
        }
    }

    fn trouble(&mut self, world: &World, hub: usize) {
        let until = world.hubs[hub].disk.stalled_until.max(world.now);
        self.hubs[hub].troubled = Some(self.hubs[hub].troubled.map_or(until, |at| at.max(until)));
    }

    fn own(&self, store: &MemorySnapshot) -> Option<ReplicaId> {
        read_meta(store).ok().flatten().and_then(|meta| meta.replica)
    }

    fn read(&mut self, hub: usize, store: &MemorySnapshot) {
        let mut tips = BTreeMap::new();
        let scanned = store.scan(Family::Replicas, &[], None, &mut |key, value| {
            if let (Some(replica), Ok(row)) =
                (replica_of(key), decode_row::<ReplicaRow>(Family::Replicas, value))
            {
                tips.insert(replica, (row.sequence, row.hash));
            }
            true
        });
        if scanned.is_ok() {
            self.hubs[hub].tips = tips;
        }
    }

    fn committed(&mut self, hub: usize, writes: &[Write]) {
        for (family, key, value) in writes {
            match family {
                Family::Replicas => {
                    let Some(replica) = replica_of(key) else { continue };
                    let row = value
                        .as_ref()
                        .and_then(|value| decode_row::<ReplicaRow>(Family::Replicas, value).ok());
                    match row {
                        Some(row) => drop(self.hubs[hub].tips.insert(replica, (row.sequence, row.hash))),
                        None => drop(self.hubs[hub].tips.remove(&replica)),
                    }
                }
                Family::Log => {
                    let row = value
                        .as_ref()
                        .and_then(|value| decode_row::<LogRow>(Family::Log, value).ok());
                    if let (Some(row), Some(dot)) = (row, dot_of(key)) {
                        self.bind(dot, row.hash);
                    }
                }
                _ => {}
            }
        }
    }

    fn issue(&mut self, world: &World, client: Option<usize>, records: &[std::sync::Arc<Sealed>]) {
        for sealed in records {
            self.issued.entry(sealed.digest).or_insert_with(|| Issued {
                id: sealed.record.id.clone(),
                client,
                at: world.now,
            });
        }
    }

    fn asked_for(&mut self, world: &World, hub: usize, call: CallId, request: &SyncRequest) {
        let mut sets = Vec::new();
        for set in request.sets.iter().filter_map(|set| set.set.as_ref().ok()) {
            let records = set.records.iter();
            let asked: AskedSet = records
                .map(|sealed| {
                    (
                        sealed.digest,
                        sealed.record.id.clone(),
                        sealed.record.version.clone(),
                    )
                })
                .collect();
            for (digest, _, _) in &asked {
                self.asked_at.entry(*digest).or_default().insert(hub);
            }
            self.sets
                .insert(asked.iter().map(|(digest, _, _)| *digest).collect());
            sets.push(asked);
        }
        self.calls.insert(call, Asked { at: world.now, sets });
    }

    fn answered(
        &mut self,
        world: &World,
        hub: usize,
        call: CallId,
        response: &inbetweenies_core::wire::SyncResponse,
    ) {
        let Some(asked) = self.calls.remove(&call) else {
            return;
        };
        let rows = response.applied.iter().chain(&response.applied_relationships);
        let applied: BTreeSet<(&str, &str)> =
            rows.map(|row| (row.id.as_str(), row.version.as_str())).collect();
        let rejected: BTreeSet<&str> = response.rejected.iter().map(|row| row.id.as_str()).collect();
        for set in &asked.sets {
            let is_in =
                |(_, id, version): &(Digest, Id, Version)| applied.contains(&(id.as_str(), version.as_str()));
            let is_out = |(_, id, _): &(Digest, Id, Version)| rejected.contains(id.as_str());
            // Two records may bear one version: where the answer cannot be told apart, nothing is claimed.
            if set.iter().all(is_in) && !set.iter().all(is_out) {
                for (digest, id, _) in set {
                    self.refused.remove(digest);
                    let acked = Acked {
                        id: id.clone(),
                        hub,
                        at: world.now,
                    };
                    let new = self.acked.insert(*digest, acked).is_none();
                    self.landed.push(Landed {
                        id: id.clone(),
                        digest: *digest,
                        new,
                    });
                }
            } else if set.iter().all(is_out) && !set.iter().any(is_in) {
                self.refuse(set);
            } else {
                let untold = set.iter().find(|row| !is_in(row) && !is_out(row));
                self.untold = untold.map(|(_, id, _)| id.clone());
                for (digest, _, _) in set {
                    self.refused.remove(digest);
                    self.unknown.insert(*digest);
                }
            }
        }
    }

    fn refuse(&mut self, set: &AskedSet) {
        for (digest, id, _) in set {
            if !self.was_acked(digest) && !self.unknown.contains(digest) {
                self.refused.insert(*digest, id.clone());
            }
        }
    }

    fn refused_all(&mut self, call: CallId) {
        if let Some(asked) = self.calls.remove(&call) {
            asked.sets.iter().for_each(|set| self.refuse(set));
        }
    }

    fn never_told(&mut self, call: CallId) {
        if let Some(asked) = self.calls.remove(&call) {
            for (digest, _, _) in asked.sets.iter().flatten() {
                self.refused.remove(digest);
                self.unknown.insert(*digest);
            }
        }
    }

    /// A hub goes on in the log that its disk names, above what the mark beside it promises.
    fn allow_reuse(&mut self, image: &Image) {
        let Some(own) = self.own(&image.snapshot()) else {
            return;
        };
        if let Some(mark) = image.marks.high_water.as_ref().filter(|mark| mark.replica == own) {
            let lowest = self.reusable.entry(own).or_insert(mark.lease_end);
            *lowest = mark.lease_end.min(*lowest);
        }
    }

    fn allow_fork(&mut self, replica: ReplicaId, from: u64) {
        let lowest = self.forkable.entry(replica).or_insert(from);
        *lowest = from.min(*lowest);
    }

    fn ended(&mut self, world: &World, hub: usize, how: FaultKind, lost: bool) {
        let after = world.hubs[hub].disk.image().snapshot();
        if how == FaultKind::PowerCut && lost {
            let before = self.hubs[hub].tips.clone();
            self.lost_tail(hub, &before, &after);
            self.allow_reuse(world.hubs[hub].disk.image());
            self.forget_what_nobody_holds(world);
        }
        self.read(hub, &after);
    }

    /// A disk has something older on it than it had: its own log may be used anew from there.
    fn lost_tail(&mut self, hub: usize, before: &BTreeMap<ReplicaId, (u64, Digest)>, after: &MemorySnapshot) {
        self.may_go_back = true;
        self.hubs[hub].lives += 2; // it notices by itself, or is told at first contact
        self.read(hub, after);
        for (replica, (sequence, _)) in before {
            let now = self.tips(hub).get(replica).map_or(0, |(sequence, _)| *sequence);
            if now < *sequence {
                self.allow_fork(*replica, now);
            }
        }
    }

    fn went_back(&mut self, world: &World, hub: usize, before: &MemorySnapshot) {
        let tips = self.hubs[hub].tips.clone();
        let after = world.hubs[hub].disk.image().snapshot();
        self.lost_tail(hub, &tips, &after);
        self.allow_reuse(world.hubs[hub].disk.image());
        if let Some(own) = self.own(before) {
            let tip = self.tips(hub).get(&own).map_or(0, |(sequence, _)| *sequence);
            self.allow_fork(own, tip);
        }
        if let Some(own) = self.own(&after) {
            let tip = self.tips(hub).get(&own).map_or(0, |(sequence, _)| *sequence);
            self.allow_fork(own, tip);
        }
        self.forget_what_nobody_holds(world);
    }

    fn forget_what_nobody_holds(&mut self, world: &World) {
        let disks: Vec<MemorySnapshot> = world.hubs.iter().map(|hub| hub.disk.image().snapshot()).collect();
        let held = |digest: &Digest, id: &Id| {
            let key = record_key(id, digest);
            disks
                .iter()
                .any(|disk| disk.get(Family::Records, &key).is_ok_and(|row| row.is_some()))
        };
        let gone: Vec<Digest> = self
            .acked
            .iter()
            .filter(|(digest, acked)| !held(digest, &acked.id))
            .map(|(digest, _)| *digest)
            .collect();
        for digest in gone {
            if let Some(acked) = self.acked.remove(&digest) {
                self.lost.insert(digest, acked);
            }
        }
    }
}

/// The dot of a log row's key: replica, sequence.
pub fn dot_of(key: &[u8]) -> Option<Dot> {
    let (replica, sequence) = key.split_at_checked(16)?;
    Some(Dot {
        replica: ReplicaId(replica.try_into().ok()?),
        sequence: u64::from_be_bytes(sequence.try_into().ok()?),
    })
}

/// Whether hubs write such things themselves.
pub fn is_hubs_own(entity_type: Option<&str>) -> bool {
    entity_type.is_some_and(is_reserved)
}
