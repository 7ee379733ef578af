//! I3 for clients: an edit stays pending, and is seen by who made it, until a hub has said what became of it.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_client::{Frame, Replica};
use inbetweenies_core::hash::Digest;

use super::{Invariant, Violation};
use crate::plan::Lane;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
#[derive(Default)]
pub struct EditsKept {
    pending: BTreeMap<usize, BTreeMap<u64, Vec<Digest>>>,
}

impl Invariant for EditsKept {
    fn id(&self) -> &'static str {
        "I3"
    }

    fn promise(&self) -> &'static str {
        "an edit stays pending, and its writer sees it, until a hub has said that it landed or why it did not"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Kept { client, frame } = seen else {
            return Ok(());
        };
        let broken = |text: String| {
            Err(Violation {
                lane: Some(Lane::Client(*client)),
                text,
            })
        };
        let replica = &world.clients[*client].replica;
        let digests = |set: &inbetweenies_client::PendingSet| {
            set.records.iter().map(|sealed| sealed.digest).collect::<Vec<_>>()
        };
        let now: BTreeMap<u64, Vec<Digest>> = replica
            .pending()
            .map(|(number, set)| (number, digests(set)))
            .collect();
        let before = self.pending.insert(*client, now.clone()).unwrap_or_default();
        let (mut landed, mut refused) = (BTreeSet::new(), BTreeSet::new());
        if let Frame::Synced(synced) = frame {
            landed.extend(synced.landed.iter().copied());
            refused.extend(synced.refused.iter().map(|refused| refused.set));
        }
        for (number, digests) in before.iter().filter(|(number, _)| !now.contains_key(number)) {
            if landed.contains(number) {
                let unsaid = digests.iter().find(|digest| !oracle.was_acked(digest));
                if let Some(digest) = unsaid {
                    return broken(format!("takes {} for landed, and no hub said so", digest.short()));
                }
            } else if !refused.contains(number) {
                return broken(format!(
                    "forgets its pending edit {number}, which no hub has answered"
                ));
            }
        }
        seen_by_its_writer(replica).map_or(Ok(()), broken)
    }
}

/// What is pending stands in the writer's own views: each record in its graph, a head where none of its own follows.
fn seen_by_its_writer(replica: &Replica) -> Option<String> {
    for (number, set) in replica.pending() {
        for sealed in &set.records {
            let id = &sealed.record.id;
            let graph = replica.graph(id);
            if graph.node(&sealed.digest).is_none() {
                return Some(format!("does not see its own pending edit {number} of {id}"));
            }
        }
    }
    None
}
