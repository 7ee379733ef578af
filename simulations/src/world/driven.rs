//! A world driven by hand, by whoever has change sets of their own and wants to see what comes of them: a test that
//! gives the same sets to real hubs.
//!
//! The plan goes on meanwhile: its faults come when they are due. Nothing is mended and nothing is judged in the end
//! but by who drives; what was promised is watched as in every run.

use std::sync::Arc;
use std::time::Duration;

use inbetweenies_client::wire::{Failure, Reply};
use inbetweenies_core::entry::Sealed;

use super::door::{Call, PATIENCE};
use super::{CallId, World, push};

/// A request made by hand.
pub(super) struct Asked {
    call: CallId,
    answer: Option<Result<Reply, Failure>>,
}

impl World {
    /// Lets everything happen that is due by then, on the true clock since the beginning. It ends early when a promise
    /// is broken: [`World::watch`] says which.
    pub fn run_until(&mut self, at: Duration) {
        self.go_on(at);
    }

    /// Brings change sets to a hub's door as a script does, and lets the world run until the hub has answered. With no
    /// sets, what comes back is the first page of all that it holds.
    pub fn push_sets(&mut self, hub: usize, sets: Vec<Vec<Arc<Sealed>>>) -> Result<Reply, Failure> {
        self.issued(&sets);
        let call = self.call(None, hub, push::request(sets));
        self.asked = Some(Asked { call, answer: None });
        while self.asked.as_ref().is_some_and(|asked| asked.answer.is_none())
            && self.calls.contains_key(&call)
        {
            self.step(Duration::MAX);
        }
        let answer = self.asked.take().and_then(|asked| asked.answer);
        answer.unwrap_or(Err(Failure::Timeout { waited: PATIENCE }))
    }

    /// A request that no client made has its answer.
    pub(super) fn told(&mut self, call: CallId) {
        let ended = self.calls.remove(&call);
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.call == call) {
            asked.answer = ended.and_then(Call::reply);
        }
    }
}
