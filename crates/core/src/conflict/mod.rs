//! Conflicts: which strategy decides, what a pushed record met, which conflicts wait for a person; and the views that
//! readers are given.
//!
//! Invariant: nothing is decided when a record is accepted; every answer here is computed from one snapshot and the
//! policy in it.

pub mod answer;
pub mod read;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::hash::Digest;
use crate::id::Id;
use crate::machine::{Landed, Machine, Ticket, load_graph};
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::view::{Policy, by_rank, overruled, view};
use crate::wire::ConflictRow;

/// What conflict is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The policy in force.
    Policy(Arc<Policy>),
    /// What did these records meet?
    Judge {
        /// Comes back.
        ticket: Ticket,
        /// Durable, and their ids have several heads.
        landed: Vec<Landed>,
    },
}

/// What conflict wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// The answer.
    Judged {
        /// Of the question.
        ticket: Ticket,
        /// One row for each record that stands against another head.
        conflicts: Vec<ConflictRow>,
        /// Records whose own writing readers do not see.
        lost: Vec<Digest>,
    },
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Conflict {
    policy: Arc<Policy>,
}

impl Conflict {
    /// Starts with the policy that the store holds.
    pub fn new(policy: Arc<Policy>) -> Conflict {
        Conflict { policy }
    }

    fn judge(
        &self,
        store: &dyn Snapshot,
        landed: &[Landed],
    ) -> Result<(Vec<ConflictRow>, Vec<Digest>), StoreError> {
        let (mut conflicts, mut lost) = (Vec::new(), Vec::new());
        let mut by_id: BTreeMap<&Id, Vec<&Landed>> = BTreeMap::new();
        for row in landed {
            by_id.entry(&row.id).or_default().push(row);
        }
        for (id, rows) in by_id {
            let graph = load_graph(store, id)?;
            let Some(view) = view(&graph, &self.policy).filter(|view| view.conflict) else {
                continue;
            };
            let heads = graph.heads();
            for row in rows {
                let against = heads.iter().filter(|head| head.sealed.digest != row.digest);
                let Some(other) = against.max_by(|a, b| by_rank(a, b)) else {
                    continue;
                };
                if !heads.iter().any(|head| head.sealed.digest == row.digest) {
                    continue; // another record has replaced it already
                }
                conflicts.push(ConflictRow {
                    entity_id: id.to_string(),
                    local_version: other.sealed.record.version.to_string(),
                    remote_version: row.version.to_string(),
                    resolution_strategy: view.strategy.name(),
                    resolved_version: view.record.version.to_string(),
                    queued: view.queued,
                });
                if overruled(&graph, &self.policy, &view, &row.digest) {
                    lost.push(row.digest);
                }
            }
        }
        Ok((conflicts, lost))
    }
}

impl Machine for Conflict {
    type Input = Input;
    type Output = Output;

    fn step(
        &mut self,
        _now: Now,
        store: &dyn Snapshot,
        inputs: Vec<Input>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        for input in inputs {
            match input {
                Input::Policy(policy) => self.policy = policy,
                Input::Judge { ticket, landed } => {
                    let (conflicts, lost) = self.judge(store, &landed)?;
                    out.push(Output::Judged {
                        ticket,
                        conflicts,
                        lost,
                    });
                }
            }
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Duration> {
        None
    }
}
