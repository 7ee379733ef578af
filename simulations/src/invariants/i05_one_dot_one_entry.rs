//! I5: a place in a log stands for one entry, on all disks and in all messages, except where a disk went back unnoticed.

use std::collections::BTreeMap;

use inbetweenies_core::entry::Entry;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::Dot;
use inbetweenies_core::wire::{Message, WireBundle};

use super::{Invariant, Violation, at, between};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
#[derive(Default)]
pub struct OneDotOneEntry {
    /// Entries that were in some message: which dot each stands for.
    sent: BTreeMap<Digest, Dot>,
    bound: BTreeMap<Dot, Digest>,
}

impl Invariant for OneDotOneEntry {
    fn id(&self) -> &'static str {
        "I5"
    }

    fn promise(&self) -> &'static str {
        "a sequence number of a replica stands for one change set, wherever it is seen"
    }

    fn saw(&mut self, _world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { .. } => match oracle.bound_twice() {
                Some(dot) => between(format!(
                    "entry {} of the log {} is two different change sets",
                    dot.sequence, dot.replica
                )),
                None => Ok(()),
            },
            Seen::Arrived {
                hub,
                message: Message::Page { bundles, .. } | Message::Push { bundles },
                ..
            } => bundles
                .iter()
                .try_for_each(|bundle| self.bundle(oracle, *hub, bundle)),
            _ => Ok(()),
        }
    }
}

impl OneDotOneEntry {
    fn bundle(&mut self, oracle: &Oracle, hub: usize, bundle: &WireBundle) -> Result<(), Violation> {
        let hash = Digest::of(&bundle.entry);
        if self.sent.contains_key(&hash) {
            return Ok(());
        }
        let Ok(entry) = Entry::from_stored(&bundle.entry) else {
            return Ok(()); // a bit flipped on the way: the receiver refuses it
        };
        self.sent.insert(hash, entry.dot);
        let before = *self.bound.entry(entry.dot).or_insert(hash);
        if before != hash && !oracle.may_be_reused(entry.dot) {
            let text = format!(
                "was sent another entry {} of {}",
                entry.dot.sequence, entry.dot.replica
            );
            return at(hub, text);
        }
        Ok(())
    }
}
