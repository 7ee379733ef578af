//! The only writer: gives change sets their place in the log and keeps heads and index in step with them.
//!
//! Invariant: what leaves in one `Commit` is whole; replies, gossip and the advertised clock follow only from its
//! `Committed`; no sequence is ever used twice.

mod accept;
mod apply;
mod blobs;
mod borne;
mod fork;
mod govern;
mod group;
mod horizon;
mod index;
mod life;
mod mend;
mod names;
mod order;
mod others;
mod past;
mod state;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use group::Group;
pub use life::Recovery;
pub use state::Settings;
use state::State;

use crate::blob::BlobId;
use crate::clock::Clock;
use crate::entry::{Bundle, ChangeSet};
use crate::hash::Digest;
use crate::id::{Dot, HomeId, HubId, Id, ReplicaId};
use crate::leaf::Sum;
use crate::machine::{
    Act, ClockDoubt, Gauge, Horizon, Identity, Landed, Link, Machine, Member, SetResult, Ticket, Totals,
};
use crate::store::{Commit, Marks, Snapshot, StoreError};
use crate::time::{Micros, Now};
use crate::view::Policy;
use crate::wire::Problem;
use crate::zoo::{self, Bug};

/// What storage is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A client's change sets.
    Accept {
        /// Comes back with the results.
        ticket: Ticket,
        /// Each lands whole or not at all.
        sets: Vec<ChangeSet>,
    },
    /// Entries from a peer, in its order of arrival.
    Apply {
        /// Where they came from.
        link: Link,
        /// Verified as far as bytes go.
        bundles: Vec<Bundle>,
        /// Whether rows of what is held already are to be held against them.
        mend: bool,
    },
    /// Records are to be held against this hub's own log.
    Recheck {
        /// Which.
        records: Vec<(Id, Digest)>,
    },
    /// All rows were counted.
    Recount {
        /// How many records there are beyond those counted so far.
        records: i64,
        /// What is missing in the sum of leaves.
        leaves: Sum,
    },
    /// The Merkle tree, to be kept.
    KeepTree {
        /// Rows of its family.
        rows: Vec<(Vec<u8>, Vec<u8>)>,
        /// The journal is kept no more above this row…
        above: u64,
        /// … up to this one.
        upto: u64,
    },
    /// The home's key for short ids, from another hub.
    TreeKey {
        /// Secret.
        key: [u8; 16],
    },
    /// Rows about blobs, to be kept.
    KeepBlobs {
        /// Comes back when they are durable.
        number: u64,
        /// Of their family; no references.
        rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        /// Nothing is to be held of these any more, unless a record refers to them by now.
        drop: Vec<BlobId>,
    },
    /// A linked hub says how far it holds each log, durably, and what its clock shows.
    Heard {
        /// Which.
        hub_id: HubId,
        /// How far; None if only its clock was told.
        clock: Option<Clock>,
        /// Its wall clock, if that was told.
        wall: Option<Micros>,
    },
    /// Something is due that storage asked to be woken for.
    Upkeep,
    /// An owner decides about the home.
    Govern {
        /// Comes back with the answer.
        ticket: Ticket,
        /// What.
        act: Act,
    },
    /// This hub has met its home.
    Join {
        /// The home of the first seed reached.
        home_id: HomeId,
    },
    /// A peer holds another branch of one replica; the branch held here stands.
    Fork {
        /// Whose log.
        replica: ReplicaId,
        /// The last sequence that both branches hold; 0 if none.
        common: u64,
    },
    /// Another live hub answers under a name of this hub: if it still bears it, it takes another and begins a new life.
    Twin {
        /// The name.
        of: HubId,
    },
    /// The commit of this number is durable.
    Committed {
        /// As it left.
        number: u64,
    },
    /// No more inputs will come: leave a clean mark.
    Stop,
}

impl Input {
    /// Records that it brings.
    fn records(&self) -> usize {
        match self {
            Input::Accept { sets, .. } => sets.iter().map(|set| set.records.len()).sum(),
            Input::Apply { bundles, .. } => bundles.iter().map(|bundle| bundle.records.len()).sum(),
            Input::Recheck { records } => records.len(),
            Input::Heard { .. }
            | Input::Upkeep
            | Input::Govern { .. }
            | Input::Join { .. }
            | Input::Fork { .. }
            | Input::Twin { .. }
            | Input::Recount { .. }
            | Input::KeepTree { .. }
            | Input::KeepBlobs { .. }
            | Input::TreeKey { .. }
            | Input::Committed { .. }
            | Input::Stop => 0,
        }
    }

    /// Bytes that it brings, roughly: what groups are bounded in.
    fn size(&self) -> usize {
        match self {
            Input::Accept { sets, .. } => sets
                .iter()
                .flat_map(|set| &set.records)
                .map(|sealed| sealed.bytes.len() + 128)
                .sum(),
            Input::Apply { bundles, .. } => bundles.iter().map(Bundle::size).sum(),
            Input::KeepTree { rows, .. } => rows.iter().map(|(key, row)| key.len() + row.len()).sum(),
            Input::KeepBlobs { rows, .. } => rows
                .iter()
                .map(|(key, row)| key.len() + row.as_ref().map_or(0, Vec::len))
                .sum(),
            Input::Recheck { records } => records.len() * 1_024,
            Input::Recount { .. }
            | Input::TreeKey { .. }
            | Input::Heard { .. }
            | Input::Upkeep
            | Input::Govern { .. }
            | Input::Join { .. }
            | Input::Fork { .. }
            | Input::Twin { .. }
            | Input::Committed { .. }
            | Input::Stop => 0,
        }
    }
}

/// What storage wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// To be made durable; `Committed` answers.
    Commit(Commit),
    /// Follows from durability.
    Accepted {
        /// Of the request.
        ticket: Ticket,
        /// In the order of the sets.
        results: Vec<SetResult>,
    },
    /// Follows from durability: what an owner's decision came to.
    Governed {
        /// Of the request.
        ticket: Ticket,
        /// The record that says it, or why there is none.
        result: Result<Landed, Problem>,
    },
    /// Follows from durability: what a peer's entries came to.
    Applied {
        /// Where they came from.
        link: Link,
        /// How many were new.
        applied: usize,
        /// Whether entries were dropped because something before them is missing.
        gap: bool,
        /// Replicas whose chain parts from ours.
        forks: Vec<ReplicaId>,
        /// How many rows of what was held were mended; None if nobody asked for that.
        mended: Option<usize>,
    },
    /// Follows from durability: new entries, and how far everything is held now.
    Durable {
        /// New here, with the link they came from (None: our own), in their order of arrival.
        bundles: Vec<(Arc<Bundle>, Option<Link>)>,
        /// What may be advertised.
        clock: Clock,
        /// For the status page.
        totals: Totals,
    },
    /// Follows from durability: rows about blobs.
    BlobsKept {
        /// As they came.
        number: u64,
        /// Of those to be dropped, the ones that were.
        dropped: Vec<BlobId>,
    },
    /// Follows from durability: blobs that records have begun or ceased to refer to.
    Refs {
        /// Each once.
        ids: Vec<BlobId>,
    },
    /// Who this hub is has changed, durably.
    Identity(Identity),
    /// The hubs of this home have changed, durably.
    Members(Vec<Member>),
    /// The policy has changed, durably.
    Policy(Arc<Policy>),
    /// Whether this hub's clock can be right, by what others say, has changed.
    ClockDoubt(Option<ClockDoubt>),
    /// This hub does not hold what its log says; the first entry of each gap.
    Holes {
        /// Where.
        holes: Vec<Dot>,
    },
    /// How far content counts as forgotten has changed, durably.
    Horizon(Horizon),
    /// Something that people should be told.
    Event(Event),
    /// Everything is on disk and the mark is clean.
    Stopped,
}

/// What people should be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The store came back older than it was: a new replica begins.
    RolledBack {
        /// How it was noticed.
        why: String,
        /// The life that ended.
        old: ReplicaId,
        /// Its last entry here.
        last: u64,
    },
    /// Two branches of one replica.
    Fork {
        /// Whose log.
        replica: ReplicaId,
        /// Where they part.
        common: u64,
        /// Whether our branch gave way.
        yielded: bool,
        /// Change sets accepted anew.
        accepted_anew: usize,
    },
    /// A new life has begun.
    NewLife {
        /// Its name.
        replica: ReplicaId,
        /// Its number.
        life: u64,
    },
    /// A row of a record was damaged, or of nothing that the log tells of: it stands among the evidence now.
    SetAside {
        /// Of which thing.
        id: Id,
        /// Which record.
        digest: Digest,
        /// What was wrong.
        why: String,
    },
    /// An entry that no honest hub sends was dropped.
    Refused {
        /// Its place.
        dot: Dot,
        /// Why.
        why: String,
    },
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Storage {
    settings: Settings,
    state: State,
    /// The commit under way and what follows from it.
    flight: Option<(u64, Vec<Output>)>,
    waiting: VecDeque<Input>,
    commits: u64,
    /// Inputs of the machine's own making, for its first step.
    start: Vec<Output>,
}

impl Storage {
    /// Reads how far the store has come and decides how to go on: see [`Recovery`].
    pub fn open(settings: Settings, store: &dyn Snapshot, marks: &Marks) -> Result<Storage, StoreError> {
        let (state, start) = life::recover(&settings, store, marks)?;
        Ok(Storage {
            settings,
            state,
            flight: None,
            waiting: VecDeque::new(),
            commits: 0,
            start,
        })
    }

    /// Who this hub is.
    pub fn identity(&self) -> Identity {
        self.state.identity(&self.settings)
    }

    /// How far each log is held. Right after [`Storage::open`]: durably.
    pub fn clock(&self) -> &Clock {
        &self.state.clock
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.state.policy.clone()
    }

    /// How far content counts as forgotten.
    pub fn horizon(&self) -> &Horizon {
        &self.state.forgetting.horizons.joined
    }

    /// For the status page.
    pub fn totals(&self) -> Totals {
        self.state.totals()
    }

    /// As many inputs as one commit takes: at least one, then up to the bounds in records and bytes.
    fn next_group(&mut self) -> Vec<Input> {
        let mut inputs = Vec::new();
        let (mut bytes, mut records) = (0, 0);
        while let Some(input) = self.waiting.pop_front() {
            bytes += input.size();
            records += input.records();
            if !inputs.is_empty()
                && (bytes > self.settings.group_bytes_max || records > self.settings.group_records_max)
            {
                self.waiting.push_front(input);
                break;
            }
            inputs.push(input);
        }
        inputs
    }

    fn group(&mut self, now: Now, store: &dyn Snapshot, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let inputs = self.next_group();
        let mut group = Group::new(now, store, &self.settings, &mut self.state);
        group.follow.append(&mut self.start);
        group.settle_in()?;
        let mut stop = false;
        for input in inputs {
            match input {
                Input::Accept { ticket, sets } => group.accept_all(ticket, &sets)?,
                Input::Apply { link, bundles, mend } => group.apply_all(link, bundles, mend)?,
                Input::Recheck { records } => group.recheck_all(records)?,
                Input::Recount { records, leaves } => group.recount(records, &leaves),
                Input::KeepTree { rows, above, upto } => group.keep_tree(rows, above, upto),
                Input::TreeKey { key } => group.take_key(key)?,
                Input::KeepBlobs { number, rows, drop } => group.keep_blobs(number, rows, drop)?,
                Input::Heard { .. } => {}
                Input::Upkeep => group.upkeep()?,
                Input::Govern { ticket, act } => group.govern(ticket, act)?,
                Input::Join { home_id } => group.join(home_id)?,
                Input::Fork { replica, common } => group.stands(replica, common),
                Input::Twin { of } => group.leave_the_name_to_the_twin(of)?,
                Input::Committed { .. } => {}
                Input::Stop => stop = true,
            }
        }
        if stop {
            group.stop();
        }
        let (mut commit, mut follow) = group.close()?;
        if commit.writes.is_empty() && commit.high_water.is_none() {
            // Nothing to make durable: what follows follows at once.
            out.extend(follow);
        } else {
            let early = |output: &Output| match output {
                Output::Accepted { .. } => zoo::planted(Bug::AckBeforeSync),
                Output::Durable { .. } => zoo::planted(Bug::GossipBeforeSync),
                _ => false,
            };
            out.extend(follow.extract_if(.., |output| early(output)));
            self.commits += 1;
            commit.number = self.commits;
            self.flight = Some((self.commits, follow));
            out.push(Output::Commit(commit));
        }
        Ok(())
    }
}

impl Machine for Storage {
    type Input = Input;
    type Output = Output;

    fn step(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        inputs: Vec<Input>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        for input in inputs {
            match input {
                Input::Committed { number } => match self.flight.take() {
                    Some((expected, follow)) if expected == number => out.extend(follow),
                    other => panic!(
                        "commit {number} came back while {:?} was under way",
                        other.map(|(n, _)| n)
                    ),
                },
                Input::Heard { hub_id, clock, wall } => {
                    if let Some(clock) = clock {
                        self.state.forgetting.reached.insert(hub_id, clock);
                    }
                    if let Some(wall) = wall {
                        self.state.others.heard(wall, now.mono);
                        let news = self.state.others.doubts(now.wall, now.mono);
                        out.extend(news.map(Output::ClockDoubt));
                    }
                }
                other => self.waiting.push_back(other),
            }
        }
        if self.flight.is_none() && self.wake_at().is_some_and(|at| at <= now.mono) {
            self.waiting.push_back(Input::Upkeep);
        }
        // While a commit is under way the next group collects. `store` holds every commit that has come back.
        while self.flight.is_none()
            && (!self.waiting.is_empty() || !self.start.is_empty() || !self.state.settled)
        {
            self.group(now, store, out)?;
        }
        Ok(())
    }

    /// While a commit is under way nothing is due: its end is a step of its own.
    fn wake_at(&self) -> Option<Duration> {
        let idle = self.flight.is_none() && self.state.settled;
        idle.then(|| self.state.forgetting.wake_at(self.settings.content_min))
            .flatten()
    }

    fn gauges(&self) -> Vec<Gauge> {
        vec![Gauge {
            name: "storage: inputs that wait for the next commit",
            now: self.waiting.len(),
            bound: crate::limits::INPUTS_MAX,
        }]
    }
}
