//! Forgetting: horizons are written, joined, and the content that they let go is dropped, a few ids at a time.
//!
//! Invariant: only content goes, never a skeleton; only below a horizon that every unfenced hub of the home has reached;
//! what counts as forgotten follows from the horizon alone, whether or not the bytes are gone yet; and while a record that the
//! log names below a horizon is lost, nothing goes, and no horizon is written: a graph with a hole in it lets go of what others keep.

use std::collections::BTreeMap;
use std::time::Duration;

use super::borne::{BEGINNING, Borne};
use super::group::Group;
use crate::clock::Clock;
use crate::domain::HORIZON;
use crate::entry::{ChangeSet, Entry};
use crate::id::{Dot, HubId, Id, ReplicaId};
use crate::machine::{Horizon, load_graph, load_graph_under};
use crate::store::{
    Family, HORIZON_KEY, HorizonRow, LogRow, SWEPT_MAX, Snapshot, StoreError, decode_row, encode_row,
    read_horizons, read_id, read_log, read_record, record_key, trailing_id,
};
use crate::time::Micros;
use crate::value::{Map, Value};
use crate::zoo::{self, Bug};

/// How soon after its start a hub looks whether a horizon can be written: by then a clock that was wrong at the start is
/// set, and the others have said how far they are.
const FIRST_CHECK: Duration = Duration::from_secs(3_600);
/// Ids that one step of the sweep looks at.
const SWEEP_IDS: usize = 256;
/// How long a sweep waits for what is lost to come back before it looks again.
const SWEEP_WAIT: Duration = Duration::from_secs(60);
/// The pause between two steps, so that others get their turn.
const SWEEP_PAUSE: Duration = Duration::from_millis(200);
/// Log rows that one look at what could be let go reads; the next goes on from there.
const ROWS_MAX: usize = 10_000;

/// What storage remembers about forgetting.
#[derive(Debug, Clone, Default)]
pub(super) struct Forgetting {
    /// The horizons, as the store has them.
    pub horizons: HorizonRow,
    /// How far other hubs hold each log, durably, as they last said.
    pub reached: BTreeMap<HubId, Clock>,
    /// How far a look found nothing worth a horizon.
    looked: Horizon,
    /// When to look again.
    look_at: Duration,
    /// Where the sweep goes on, and when; None when all that horizons let go is gone.
    sweep: Option<(Sweep, Duration)>,
    /// Before a horizon is written: up to where the log has been held against the records, and when that goes on.
    proof: Option<(Dot, Duration)>,
}

/// How far a sweep has come.
#[derive(Debug, Clone)]
enum Sweep {
    /// The log is held against the records, replica by replica: all is there that it names up to this dot.
    Log(Dot),
    /// Content goes, id by id: from this key on.
    Ids(Vec<u8>),
}

impl Sweep {
    /// From the beginning.
    fn begin() -> Sweep {
        Sweep::Log(BEGINNING)
    }
}

impl Forgetting {
    /// As the store has it, when the process begins.
    pub fn open(store: &dyn Snapshot, interval: Duration) -> Result<Forgetting, StoreError> {
        let horizons = read_horizons(store)?;
        Ok(Forgetting {
            sweep: (!horizons.pending.is_empty()).then(|| (Sweep::begin(), Duration::ZERO)),
            horizons,
            look_at: FIRST_CHECK.min(interval),
            ..Forgetting::default()
        })
    }

    /// When there is something to do.
    pub fn wake_at(&self, content_min: Option<Duration>) -> Option<Duration> {
        let look = self.proof.map_or(self.look_at, |(_, at)| at);
        let look = content_min.map(|_| look);
        let sweep = self.sweep.as_ref().map(|(_, at)| *at);
        [look, sweep].into_iter().flatten().min()
    }
}

impl Group<'_> {
    /// Takes the horizons in that have come with this group; whether there is anything new.
    ///
    /// One that has come before all that lies below it waits: what is replaced there cannot be told yet.
    pub fn join_horizons(&mut self) -> bool {
        let mut early = std::mem::take(&mut self.state.forgetting.horizons.early);
        let waited = early.len();
        for horizon in std::mem::take(&mut self.new_horizons) {
            for (replica, sequence) in &horizon {
                let last: &mut u64 = self.state.forgetting.horizons.joined.entry(*replica).or_default();
                *last = (*last).max(*sequence);
            }
            early.push(horizon);
        }
        let clock = &self.state.clock;
        let reached = |horizon: &Horizon| {
            horizon
                .iter()
                .all(|(replica, last)| clock.sequence(replica) >= *last)
        };
        let (now, early): (Vec<Horizon>, Vec<Horizon>) = early.into_iter().partition(reached);
        let changed = !now.is_empty() || early.len() != waited;
        let forgetting = &mut self.state.forgetting;
        forgetting.horizons.early = early;
        if !now.is_empty() {
            forgetting.horizons.pending.extend(now);
            forgetting.sweep = Some((Sweep::begin(), self.now.mono));
        }
        if changed {
            self.put_horizons();
        }
        changed
    }

    /// A record at these dots was taken again after damage, or set aside: what horizons that lie above it let go of its thing
    /// is worked out anew.
    pub fn forget_again(&mut self, dots: &[Dot]) {
        let above = |horizon: &Horizon| {
            let covers = |dot: &Dot| {
                horizon
                    .get(&dot.replica)
                    .is_some_and(|last| dot.sequence <= *last)
            };
            dots.iter().any(covers)
        };
        let swept = &mut self.state.forgetting.horizons.swept;
        let again: Vec<Horizon> = swept.extract_if(.., |horizon| above(horizon)).collect();
        if !again.is_empty() {
            self.state.forgetting.horizons.pending.extend(again);
            self.state.forgetting.sweep = Some((Sweep::begin(), self.now.mono));
            self.put_horizons();
        }
    }

    fn put_horizons(&mut self) {
        let row = encode_row(&self.state.forgetting.horizons);
        self.overlay.put(Family::Meta, HORIZON_KEY.to_vec(), row);
    }

    /// What is due: a step of the sweep, a look whether a horizon can be written.
    pub fn upkeep(&mut self) -> Result<(), StoreError> {
        let due = self
            .state
            .forgetting
            .sweep
            .take_if(|(_, at)| *at <= self.now.mono);
        if let Some((sweep, _)) = due {
            self.sweep_on(sweep)?;
        }
        let Some(content_min) = self.settings.content_min else {
            return Ok(());
        };
        let (forgetting, now) = (&mut self.state.forgetting, self.now.mono);
        if let Some((upto, _)) = forgetting.proof.take_if(|(_, at)| *at <= now) {
            self.prove(upto, content_min)?;
        } else if forgetting.proof.is_none() && forgetting.look_at <= now {
            forgetting.look_at = now + self.settings.horizon_interval;
            self.propose(content_min, false)?;
        }
        Ok(())
    }

    /// A step of a sweep.
    fn sweep_on(&mut self, sweep: Sweep) -> Result<(), StoreError> {
        let upto = match sweep {
            Sweep::Ids(from) => return self.sweep(from),
            Sweep::Log(upto) => upto,
        };
        let mut bounds = Horizon::new();
        for (replica, sequence) in self.state.forgetting.horizons.pending.iter().flatten() {
            let last = bounds.entry(*replica).or_default();
            *last = (*last).max(*sequence);
        }
        let pending = self.state.forgetting.horizons.pending.len();
        let borne = self.bear_out(upto, &bounds)?;
        if self.state.forgetting.horizons.pending.len() != pending {
            return Ok(()); // something was mended, so horizons that were swept are to be swept again: it begins anew
        }
        let next = match borne {
            Borne::All => (Sweep::Ids(Vec::new()), self.now.mono),
            Borne::UpTo(at) => (Sweep::Log(at), self.now.mono + SWEEP_PAUSE),
            Borne::Lacks(at) => (Sweep::Log(at), self.now.mono + SWEEP_WAIT),
        };
        self.state.forgetting.sweep = Some(next);
        Ok(())
    }

    /// A step before a horizon is written: all that the log names must be there, or nobody can tell what would show.
    fn prove(&mut self, upto: Dot, content_min: Duration) -> Result<(), StoreError> {
        let clock = self.state.clock.iter();
        let bounds = clock.map(|(replica, point)| (*replica, point.sequence)).collect();
        let next = match self.bear_out(upto, &bounds)? {
            Borne::All => return self.propose(content_min, true),
            Borne::UpTo(at) => (at, self.now.mono + SWEEP_PAUSE),
            Borne::Lacks(at) => (at, self.now.mono + SWEEP_WAIT),
        };
        self.state.forgetting.proof = Some(next);
        Ok(())
    }

    /// Drops what horizons let go of the next ids. A horizon that comes meanwhile starts it over.
    fn sweep(&mut self, from: Vec<u8>) -> Result<(), StoreError> {
        self.settle_ids()?;
        let (mut ids, mut last, mut seen, mut failed) = (Vec::new(), None, 0, None);
        self.overlay.scan(Family::Ids, &from, None, &mut |key, value| {
            match decode_row::<crate::store::IdRow>(Family::Ids, value) {
                Ok(row) if row.records > 1 => {
                    ids.extend(trailing_id(key, 0).map(|id| (id, row.records)));
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            seen += 1;
            last = Some(key.to_vec());
            failed.is_none() && seen < SWEEP_IDS
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        for (id, records) in ids {
            self.let_go(&id, records)?;
        }
        match last.filter(|_| seen == SWEEP_IDS) {
            Some(mut next) => {
                next.push(0); // just after it
                self.state.forgetting.sweep = Some((Sweep::Ids(next), self.now.mono + SWEEP_PAUSE));
            }
            None => {
                let horizons = &mut self.state.forgetting.horizons;
                for horizon in std::mem::take(&mut horizons.pending) {
                    if !horizons.swept.contains(&horizon) {
                        horizons.swept.push(horizon);
                    }
                }
                let many = horizons.swept.len().saturating_sub(SWEPT_MAX);
                horizons.swept.drain(..many);
                self.put_horizons();
            }
        }
        Ok(())
    }

    fn let_go(&mut self, id: &Id, records: u64) -> Result<(), StoreError> {
        let graph = load_graph(&self.overlay, id)?;
        if (graph.nodes().count() as u64) < records && !zoo::planted(Bug::HoleSwept) {
            return Ok(()); // lost since the log was borne out; when it is taken again, so is this
        }
        for node in graph.nodes().filter(|node| node.forgotten) {
            let digest = &node.sealed.digest;
            let Some(mut row) = read_record(&self.overlay, id, digest)?.filter(|row| !row.forgotten) else {
                continue;
            };
            if zoo::planted(Bug::LeafOfBytes) {
                let mut other = row.clone();
                other.order_time = other.order_time.next();
                self.note_leaf(Some(row.leaf(id, digest)), Some(other.leaf(id, digest)));
            }
            self.refer_no_more(&node.sealed.record, digest);
            row.record = node.sealed.record.skeleton().canonical();
            row.forgotten = true;
            self.overlay
                .put(Family::Records, record_key(id, digest), encode_row(&row));
        }
        Ok(())
    }

    /// Writes a horizon if this hub is the one to do it, all others have come far enough, and there is something to let
    /// go. One hub writes, the unfenced one with the smallest id: so a quiet home writes none, and two never at once.
    fn propose(&mut self, content_min: Duration, proved: bool) -> Result<(), StoreError> {
        let Some(reached) = self.reached_by_all() else {
            return Ok(());
        };
        let Some(now) = self.trusted_now() else {
            return Ok(());
        };
        let long_ago = Micros(now.0.saturating_sub(content_min.as_micros() as u64));
        let mut next = self.state.forgetting.horizons.joined.clone();
        let mut looked = self.state.forgetting.looked.clone();
        let (mut worth, mut rows_left) = (false, ROWS_MAX);
        for (replica, last) in reached {
            let from = next.get(&replica).copied().unwrap_or(0);
            // What was looked at may lie beyond what all have reached: a hub that counts now did not count then.
            let start = looked.get(&replica).copied().unwrap_or(0).min(last).max(from);
            let (mut upto, mut below) = (start, Vec::new());
            for (sequence, row) in self.rows(replica, start, last, rows_left)? {
                rows_left = rows_left.saturating_sub(1);
                if last_stamp(&row)? > long_ago {
                    break;
                }
                upto = sequence;
                below.push(row);
            }
            if upto > from {
                next.insert(replica, upto);
            }
            looked.insert(replica, upto);
            for id in below.iter().flat_map(|row| &row.ids) {
                worth = worth || read_id(&self.overlay, id)?.is_some_and(|row| row.records > 1);
            }
        }
        if !worth || self.would_show(&next)? {
            self.state.forgetting.looked = looked;
            return Ok(());
        }
        if !proved {
            // What is looked at then must be this again, so `looked` stays.
            self.state.forgetting.proof = Some((BEGINNING, self.now.mono));
            return Ok(());
        }
        self.state.forgetting.looked = Horizon::new();
        self.write_horizon(&next)
    }

    /// How far every unfenced hub of the home holds each log; None if this hub is not the one to ask, or somebody has
    /// not said.
    fn reached_by_all(&self) -> Option<BTreeMap<ReplicaId, u64>> {
        let me = self.state.meta.hub_id;
        let counted = || {
            let members = self.state.members.iter();
            members
                .filter(|member| !member.left && !member.fenced)
                .map(|member| member.hub_id)
        };
        if counted().min() != Some(me) {
            return None;
        }
        let mut reached: BTreeMap<ReplicaId, u64> = self
            .state
            .clock
            .iter()
            .map(|(replica, point)| (*replica, point.sequence))
            .collect();
        if zoo::planted(Bug::HorizonUnasked) {
            return Some(reached);
        }
        for hub in counted().filter(|hub| *hub != me) {
            let clock = self.state.forgetting.reached.get(&hub)?;
            for (replica, sequence) in &mut reached {
                let theirs = clock.point(replica);
                let same_chain = theirs.is_some_and(|point| {
                    let dot = Dot {
                        replica: *replica,
                        sequence: point.sequence.min(*sequence),
                    };
                    let held = read_log(&self.overlay, dot).ok().flatten();
                    // Theirs may be beyond ours: then the entry is not here, and ours is checked by them.
                    point.sequence > *sequence
                        || held.is_some_and(|row| Some(row.hash.check()) == point.check)
                });
                let theirs = theirs.map_or(0, |point| point.sequence);
                *sequence = if same_chain { theirs.min(*sequence) } else { 0 };
            }
        }
        Some(reached)
    }

    /// This hub's clock, unless others say that it runs ahead of them all: then nothing is so old as it looks.
    fn trusted_now(&self) -> Option<Micros> {
        match self.state.others.bound(self.now.mono) {
            Some(bound) if self.now.wall > bound => None,
            _ => Some(self.now.wall),
        }
    }

    /// Whether a horizon would change what readers see, as far as is known here: an edit above it stands beside others
    /// and was made on top of what it lets go. Such a conflict is waited for.
    fn would_show(&self, next: &Horizon) -> Result<bool, StoreError> {
        let (mut contested, mut failed) = (Vec::new(), None);
        self.overlay.scan(Family::Ids, &[], None, &mut |key, value| {
            match decode_row::<crate::store::IdRow>(Family::Ids, value) {
                Ok(row) if row.heads.len() > 1 => contested.extend(trailing_id(key, 0)),
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        for id in contested {
            let before = load_graph(&self.overlay, &id)?;
            let mut horizons = self.state.forgetting.horizons.pending.clone();
            horizons.push(next.clone());
            let after = load_graph_under(&self.overlay, &id, &horizons)?;
            let policy = &self.state.policy;
            if crate::view::view(&before, policy) != crate::view::view(&after, policy) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn write_horizon(&mut self, next: &Horizon) -> Result<(), StoreError> {
        let Ok(id) = Id::new(HORIZON) else { return Ok(()) };
        let graph = load_graph(&self.overlay, &id)?;
        let parents = graph.heads().into_iter().map(|head| crate::record::Parent {
            version: head.sealed.record.version.clone(),
            digest: Some(head.sealed.digest),
        });
        let parents = parents.collect();
        let clock = next
            .iter()
            .map(|(replica, sequence)| (replica.to_string(), Value::Int(*sequence as i64)));
        let content = Map::from([("vector_clock".to_owned(), Value::Map(clock.collect()))]);
        let record = self.home_record(id, HORIZON, None, parents, content, None);
        self.write_own(&ChangeSet {
            records: vec![record],
        })?;
        Ok(())
    }
}

/// The newest instant that an entry tells of: when it arrived by this hub's clock, or its latest order time if that is
/// later, for this hub's clock may have been wrong.
fn last_stamp(row: &LogRow) -> Result<Micros, StoreError> {
    let entry = Entry::from_stored(&row.entry).map_err(|error| StoreError::Corrupt {
        family: Family::Log.name(),
        detail: error.to_string(),
    })?;
    let stamps = entry.stamps.iter().map(|stamp| stamp.order_time);
    Ok(stamps.max().unwrap_or_default().max(row.accepted))
}
