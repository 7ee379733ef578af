//! Lives: how a store that was opened goes on, and how a new replica begins.
//!
//! A replica is one life of a store. A new one begins only where the store may have gone back (restored, rolled back,
//! cloned); an unclean stop goes on in the same life, beyond the lease.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group::Group;
use super::horizon::Forgetting;
use super::others::Others;
use super::state::{Settings, State};
use super::{Event, Output};
use crate::clock::Clock;
use crate::domain::{MEMBER, POLICY, POLICY_ID};
use crate::entry::{ChangeSet, Genesis, Sealed};
use crate::hash::Digest;
use crate::id::{HomeId, HubId, Id, ReplicaId, Version};
use crate::leaf::Sum;
use crate::machine::{load_members, load_policy, load_view};
use crate::record::{Kind, Record};
use crate::rng::Rng;
use crate::store::{
    FORMAT, Family, Marks, MetaRow, RecordRow, ReplicaRow, Snapshot, StoreError, decode_row, encode_row,
    read_meta, record_key, trailing_id,
};
use crate::time::{Hlc, Micros};
use crate::value::{Map, Value};
use crate::zoo::{self, Bug};

/// How a store that was opened goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing was ever written under a replica.
    Fresh,
    /// The same life, with this sequence next.
    Continue {
        /// Never used before.
        next: u64,
    },
    /// The store is older than its marks say: a new life.
    RolledBack {
        /// How it was noticed.
        why: String,
    },
}

impl Recovery {
    /// Decides from the marks beside the store and the last entry that it recovered of its own log.
    ///
    /// After a clean stop the two must be equal. After an unclean one the lease covers whatever was lost, unless a mark
    /// names an entry that is not there.
    pub fn decide(marks: &Marks, replica: ReplicaId, tip: Option<(u64, Digest)>) -> Recovery {
        let rolled_back = |why: String| Recovery::RolledBack { why };
        let sequence = tip.map_or(0, |(sequence, _)| sequence);
        let Some(mark) = &marks.high_water else {
            return rolled_back("the high-water mark beside the store is gone".to_owned());
        };
        if mark.replica != replica {
            return rolled_back("the high-water mark is of another life".to_owned());
        }
        if let Some((marked, hash)) = mark.last {
            if marked > sequence {
                return rolled_back(format!(
                    "entry {marked} was written and entry {sequence} is the last recovered"
                ));
            }
            if mark.clean && tip != Some((marked, hash)) {
                return rolled_back(format!(
                    "the store was stopped at entry {marked} and holds entry {sequence}"
                ));
            }
        }
        if let Some(note) = marks.note.as_ref().filter(|note| note.replica == replica) {
            if note.sequence > sequence {
                let last = note.sequence;
                return rolled_back(format!(
                    "entry {last} was committed and entry {sequence} is the last recovered"
                ));
            }
            if tip.is_some_and(|(sequence, hash)| sequence == note.sequence && hash != note.hash) {
                return rolled_back(format!("entry {sequence} is another than the one committed"));
            }
        }
        if sequence > mark.lease_end {
            return rolled_back(format!(
                "entry {sequence} lies beyond the lease's end {}",
                mark.lease_end
            ));
        }
        if zoo::planted(Bug::LeaseReused) {
            return Recovery::Continue { next: sequence + 1 };
        }
        Recovery::Continue {
            next: mark.lease_end + 1,
        }
    }
}

fn draw(settings: &Settings, stream: u64) -> u128 {
    let [low, high] = settings.seed;
    u128::from(Rng::new(low, stream).draw()) << 64 | u128::from(Rng::new(high, stream).draw())
}

fn random_uuid(settings: &Settings, stream: u64) -> uuid::Uuid {
    uuid::Builder::from_random_bytes(draw(settings, stream).to_be_bytes()).into_uuid()
}

/// Reads the state of a store that was just opened.
pub(super) fn recover(
    settings: &Settings,
    store: &dyn Snapshot,
    marks: &Marks,
) -> Result<(State, Vec<Output>), StoreError> {
    let meta = match read_meta(store)? {
        Some(meta) if meta.format > FORMAT => {
            let detail = format!(
                "format {} is newer than {FORMAT}: run the newer software",
                meta.format
            );
            return Err(StoreError::Corrupt {
                family: Family::Meta.name(),
                detail,
            });
        }
        Some(meta) => meta,
        None => MetaRow {
            format: FORMAT,
            hub_id: HubId(random_uuid(settings, 1)),
            home_id: None,
            replica: None,
            life: 0,
            hlc: Micros(0),
            arrivals: 0,
            records: 0,
            entities: 0,
            relationships: 0,
            queued: 0,
            journal: 0,
            leaves: [0; 32],
        },
    };
    let mut tips: BTreeMap<ReplicaId, ReplicaRow> = BTreeMap::new();
    let mut failed = None;
    store.scan(Family::Replicas, &[], None, &mut |key, value| {
        match (key.try_into(), decode_row(Family::Replicas, value)) {
            (Ok(replica), Ok(row)) => drop(tips.insert(ReplicaId(replica), row)),
            (_, Err(error)) => failed = Some(error),
            (Err(_), _) => {
                let detail = "a key that is no replica".to_owned();
                failed = Some(StoreError::Corrupt {
                    family: Family::Replicas.name(),
                    detail,
                });
            }
        }
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let recovery = match meta.replica {
        None => Recovery::Fresh,
        Some(replica) => {
            let tip = tips.get(&replica).map(|row| (row.sequence, row.hash));
            Recovery::decide(marks, replica, tip)
        }
    };
    let mut state = State {
        clock: Clock::new(),
        tips: BTreeMap::new(),
        hlc: Hlc::after(if zoo::planted(Bug::HlcForgotten) {
            Micros(0)
        } else {
            meta.hlc
        }),
        policy: Arc::new(load_policy(store)?),
        next: match recovery {
            Recovery::Continue { next } => next,
            _ => 1,
        },
        lease_end: 0,
        members: load_members(store)?,
        forgetting: Forgetting::open(store, settings.horizon_interval)?,
        others: Others::after(meta.hlc),
        recovery,
        settled: false,
        meta,
    };
    for (replica, row) in tips {
        state.set_tip(replica, Some(row));
    }
    Ok((state, Vec::new()))
}

impl Group<'_> {
    /// The first group of a process: a new store gets its hub, a founder its home, a store that went back a new life,
    /// and the member record says where this hub is now.
    pub fn settle_in(&mut self) -> Result<(), StoreError> {
        if self.state.settled {
            return Ok(());
        }
        self.state.settled = true;
        self.meta_touched = true;
        if self.state.meta.format < FORMAT {
            if self.state.meta.format < 2 {
                self.all_lag()?;
            }
            if self.state.meta.format < 3 {
                self.stand_by_position()?;
            }
            self.refer_all()?;
            self.state.meta.format = FORMAT;
        }
        match self.state.recovery.clone() {
            Recovery::Fresh => {
                if self.settings.found && self.state.meta.home_id.is_none() {
                    self.begin_home(HomeId(random_uuid(self.settings, 2)), true)?;
                }
            }
            Recovery::Continue { .. } => self.renew_membership()?,
            Recovery::RolledBack { why } => self.new_life(&why)?,
        }
        self.identity_changed = true;
        Ok(())
    }

    /// A store of an earlier format: its records are put where they are looked for now, counted as leaves, and it gets a
    /// key of its own until it hears of its home's. O(records), once.
    fn stand_by_position(&mut self) -> Result<(), StoreError> {
        let (mut rows, mut failed) = (Vec::new(), None);
        self.overlay.scan(Family::Records, &[], None, &mut |key, value| {
            let id = trailing_id(key, 0);
            let digest = id.as_ref().and_then(|id| key.get(1 + id.as_str().len()..));
            let digest = digest.and_then(|digest| digest.try_into().ok());
            match (id, digest, decode_row::<RecordRow>(Family::Records, value)) {
                (Some(id), Some(digest), Ok(row)) => rows.push((key.to_vec(), id, Digest(digest), row)),
                (_, _, Err(error)) => failed = Some(error),
                _ => {
                    failed = Some(StoreError::Corrupt {
                        family: Family::Records.name(),
                        detail: "a key that is no record's".to_owned(),
                    });
                }
            }
            failed.is_none()
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let mut sum = Sum::ZERO;
        for (key, id, digest, row) in rows {
            sum.add(&row.leaf(&id, &digest).hash.0);
            self.overlay.delete(Family::Records, key);
            self.overlay
                .put(Family::Records, record_key(&id, &digest), encode_row(&row));
        }
        self.state.meta.leaves = sum.to_bytes();
        // Neither could be read where it stood.
        (self.policy_touched, self.members_touched) = (true, true);
        if self.state.meta.home_id.is_some() {
            self.take_key(draw(self.settings, 3).to_be_bytes())?;
        }
        Ok(())
    }

    /// This hub has reached the first seed of its home.
    pub fn join(&mut self, home_id: HomeId) -> Result<(), StoreError> {
        if self.state.meta.home_id.is_none() {
            self.begin_home(home_id, false)
        } else {
            Ok(())
        }
    }

    fn begin_home(&mut self, home_id: HomeId, found: bool) -> Result<(), StoreError> {
        self.state.meta.home_id = Some(home_id);
        let mut records = Vec::new();
        if found {
            records.push(self.policy_record());
            self.take_key(draw(self.settings, 3).to_be_bytes())?;
        }
        self.begin_life(None, records)
    }

    /// Begins a new replica that follows the present one.
    pub fn new_life(&mut self, why: &str) -> Result<(), StoreError> {
        let Some(old) = self.state.meta.replica else {
            return Ok(());
        };
        let tip = self.state.tips.get(&old).map(|row| (row.sequence, row.hash));
        let (last, hash) = tip.unwrap_or((0, Digest([0; 32])));
        self.follow.push(Output::Event(Event::RolledBack {
            why: why.to_owned(),
            old,
            last,
        }));
        self.begin_life(Some((old, last, hash)), Vec::new())
    }

    /// Two live hubs cannot share a name: this one, a clone, goes on under a name and a replica of its own.
    pub fn leave_the_name_to_the_twin(&mut self, of: HubId) -> Result<(), StoreError> {
        if of != self.state.meta.hub_id {
            return Ok(()); // told before, by another link
        }
        self.state.meta.hub_id = HubId(random_uuid(self.settings, 1_000 + self.state.meta.life));
        self.meta_touched = true;
        self.identity_changed = true;
        self.new_life("another live hub answers under this hub's name")
    }

    fn begin_life(
        &mut self,
        earlier: Option<(ReplicaId, u64, Digest)>,
        mut records: Vec<Arc<Sealed>>,
    ) -> Result<(), StoreError> {
        let Some(home_id) = self.state.meta.home_id else {
            return Ok(());
        };
        self.state.meta.life += 1;
        let replica = ReplicaId(draw(self.settings, 16 + self.state.meta.life).to_be_bytes());
        self.state.meta.replica = Some(replica);
        self.state.next = 1;
        self.state.lease_end = 0;
        self.genesis = Some(Genesis {
            home_id,
            hub_id: self.state.meta.hub_id,
            life: self.state.meta.life,
            earlier,
        });
        self.identity_changed = true;
        self.meta_touched = true;
        records.extend(self.member_record()?);
        self.write_own(&ChangeSet { records })?;
        if self.state.meta.life > 1 {
            let life = self.state.meta.life;
            self.event(Event::NewLife { replica, life });
        }
        Ok(())
    }

    fn renew_membership(&mut self) -> Result<(), StoreError> {
        if let Some(member) = self.member_record()? {
            self.write_own(&ChangeSet {
                records: vec![member],
            })?;
        }
        Ok(())
    }

    /// The record that says who and where this hub is; None if the one in force says the same.
    fn member_record(&mut self) -> Result<Option<Arc<Sealed>>, StoreError> {
        let Some(replica) = self.state.meta.replica else {
            return Ok(None);
        };
        let hub_id = self.state.meta.hub_id.to_string();
        let Ok(id) = Id::new(&hub_id) else { return Ok(None) };
        self.settle_ids()?;
        let now = load_view(&self.overlay, &self.state.policy, &id)?;
        // A fence stands until somebody takes it back, whatever else a hub says of itself.
        let state = now.as_ref().and_then(|view| view.record.content.get("state"));
        let state = state.and_then(Value::as_text).filter(|state| *state == "fenced");
        let mut content = Map::from([
            ("state".to_owned(), Value::from(state.unwrap_or("member"))),
            ("replica".to_owned(), Value::Text(replica.to_string())),
            ("life".to_owned(), Value::Int(self.state.meta.life as i64)),
        ]);
        if let Some(address) = self.settings.address {
            content.insert("address".to_owned(), Value::Text(address.to_string()));
        }
        let name = Some(self.settings.name.clone());
        let same = |record: &Record| {
            record.content == content && matches!(&record.kind, Kind::Entity { name: n, .. } if *n == name)
        };
        if now.as_ref().is_some_and(|view| same(&view.record)) {
            return Ok(None);
        }
        let parents = now.map_or_else(Vec::new, |view| view.heads);
        Ok(Some(self.hub_record(id, MEMBER, name, parents, content)))
    }

    fn policy_record(&mut self) -> Arc<Sealed> {
        let id = Id::new(POLICY_ID).unwrap_or_else(|error| panic!("{POLICY_ID}: {error}"));
        let name = self
            .settings
            .policy
            .get("domain")
            .and_then(Value::as_map)
            .and_then(|d| d.get("name"));
        let name = name.and_then(Value::as_text).map(str::to_owned);
        self.hub_record(id, POLICY, name, Vec::new(), self.settings.policy.clone())
    }

    /// A record that this hub writes about itself or its home.
    fn hub_record(
        &mut self,
        id: Id,
        entity_type: &str,
        name: Option<String>,
        parents: Vec<crate::record::Parent>,
        content: Map,
    ) -> Arc<Sealed> {
        self.home_record(id, entity_type, name, parents, content, None)
    }

    /// A record about the home that somebody had this hub write; the hub itself where nobody is named.
    pub fn home_record(
        &mut self,
        id: Id,
        entity_type: &str,
        name: Option<String>,
        mut parents: Vec<crate::record::Parent>,
        content: Map,
        user_id: Option<String>,
    ) -> Arc<Sealed> {
        let hub_id = self.state.meta.hub_id;
        let stamp = self.tick();
        let version = format!("{stamp}-000000-{hub_id}");
        let version = Version::new(&version).unwrap_or_else(|error| panic!("{version}: {error}"));
        parents.sort();
        Arc::new(Sealed::new(Record {
            id,
            version,
            kind: Kind::Entity {
                entity_type: entity_type.to_owned(),
                name,
                source_type: None,
            },
            user_id: Some(user_id.unwrap_or_else(|| hub_id.to_string())),
            parents,
            deleted: false,
            content,
            extra: Map::new(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{HighWater, Note};

    fn marks(last: Option<u64>, clean: bool, note: Option<u64>) -> Marks {
        let replica = ReplicaId([1; 16]);
        let lease_end = if clean { last.unwrap_or(0) } else { 1_000 };
        Marks {
            high_water: Some(HighWater {
                replica,
                lease_end,
                last: last.map(|n| (n, hash(n))),
                clean,
            }),
            note: note.map(|sequence| Note {
                replica,
                sequence,
                hash: hash(sequence),
            }),
        }
    }

    fn hash(sequence: u64) -> Digest {
        Digest::of(&sequence.to_be_bytes())
    }

    #[test]
    fn a_store_goes_on_only_where_nothing_says_that_it_went_back() {
        let decide = |marks: &Marks, tip: Option<u64>| {
            Recovery::decide(
                marks,
                ReplicaId([1; 16]),
                tip.map(|sequence| (sequence, hash(sequence))),
            )
        };
        let rolled_back = |marks: &Marks, tip| matches!(decide(marks, tip), Recovery::RolledBack { .. });
        assert_eq!(
            decide(&marks(Some(5), true, Some(5)), Some(5)),
            Recovery::Continue { next: 6 }
        );
        assert_eq!(
            decide(&marks(None, false, Some(5)), Some(5)),
            Recovery::Continue { next: 1_001 }
        );
        assert_eq!(
            decide(&marks(None, false, Some(4)), Some(5)),
            Recovery::Continue { next: 1_001 },
            "an old note"
        );
        assert_eq!(
            decide(&marks(None, false, None), None),
            Recovery::Continue { next: 1_001 },
            "killed at birth"
        );
        assert!(
            rolled_back(&marks(Some(5), true, Some(5)), Some(4)),
            "a clean stop that is not there"
        );
        assert!(
            rolled_back(&marks(Some(5), true, Some(5)), Some(6)),
            "more than a clean stop"
        );
        assert!(
            rolled_back(&marks(None, false, Some(6)), Some(5)),
            "a note ahead of the store"
        );
        assert!(
            rolled_back(&marks(Some(7), false, None), Some(5)),
            "a mark ahead of the store"
        );
        assert!(rolled_back(&Marks::default(), Some(5)), "no mark at all");
        assert!(
            rolled_back(&marks(None, false, None), Some(1_001)),
            "beyond the lease"
        );
        let mut other = marks(None, false, Some(5));
        other.note.as_mut().unwrap().hash = hash(9);
        assert!(rolled_back(&other, Some(5)), "the same sequence, another entry");
    }
}
