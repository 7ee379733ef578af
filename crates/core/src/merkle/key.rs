//! The home's key for short ids: made when the home was founded, told between hubs only. Of two the smaller holds, so that all
//! hubs end with one.

use std::time::Duration;

use super::{Merkle, Output, mirror};
use crate::machine::Link;
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::{Half, TreeMessage};

/// How often a key that is not shared yet is asked for.
const KEY_AGAIN: Duration = Duration::from_secs(5);
/// Other keys that a process takes over at most: each costs a rebuild.
const KEYS_MAX: usize = 8;

impl Merkle {
    /// Takes over the key that storage was asked to take, once it is there.
    pub(super) fn take_key(
        &mut self,
        store: &dyn Snapshot,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if self.key_wanted.is_none() {
            return Ok(());
        }
        let held = mirror::read_key(store)?;
        if held.is_some() && held.as_ref() != self.mirror.key() {
            self.mirror.set_key(held);
            self.checking.urgent = true;
        }
        if held.is_some_and(|held| Some(held.0) <= self.key_wanted) {
            self.key_wanted = None;
            let links: Vec<Link> = self.peers.keys().copied().collect();
            for link in links {
                self.ask_key(now, link, out);
            }
        }
        Ok(())
    }

    pub(super) fn ask_key(&mut self, now: Now, link: Link, out: &mut Vec<Output>) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.keyed = false;
            peer.key_at = now.mono + KEY_AGAIN;
            let key = self.mirror.key().map(|key| Half(key.0));
            let message = TreeMessage::Key { key, ask: true };
            out.push(Output::Send { link, message });
        }
    }

    pub(super) fn heard_key(&mut self, link: Link, key: Option<Half>, ask: bool, out: &mut Vec<Output>) {
        let ours = self.mirror.key().map(|key| key.0);
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        let same = key.is_some() && ours == key.map(|key| key.0);
        peer.keyed |= same;
        if let Some(theirs) = key.filter(|theirs| ours.is_none_or(|ours| theirs.0 < ours)) {
            if self.keys < KEYS_MAX && self.key_wanted.is_none_or(|wanted| theirs.0 < wanted) {
                self.keys += 1;
                self.key_wanted = Some(theirs.0);
                out.push(Output::Key { key: theirs.0 });
            }
            return;
        }
        // Asked, or theirs is the larger: they take ours.
        if let Some(ours) = ours.filter(|_| ask || !same) {
            let message = TreeMessage::Key {
                key: Some(Half(ours)),
                ask: false,
            };
            out.push(Output::Send { link, message });
        }
    }
}
