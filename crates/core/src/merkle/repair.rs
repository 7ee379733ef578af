//! Mending what a comparison has found, a slice at a time, and comparing roots again.

use serde_bytes::ByteBuf;

use super::answer::WANTED_MAX;
use super::session::{ROUNDS_MAX, Rung, Stage};
use super::{Merkle, Output, PATIENCE};
use crate::machine::Link;
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::TreeMessage;

impl Merkle {
    /// What was found goes to be mended; where nothing was, both hubs look at themselves.
    pub(super) fn mend(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        if session.found() == 0 {
            if session.rung == Rung::Sketch {
                return self.descend(now, store, out);
            }
            // Roots differ and nothing below them does: a tree is not what its store holds.
            let link = session.link;
            let message = TreeMessage::Doubt;
            out.push(Output::Send { link, message });
            self.end(now, false, out);
            self.check_now();
            return Ok(());
        }
        // What was found before and is not mended yet is found again.
        let mended = session.mended_here + session.mended_there;
        session.found = session.found.max(mended + session.found() as u64);
        session.rounds += 1;
        session.stage = Stage::Mending {
            here: false,
            there: false,
        };
        self.mend_on(now, store, out)
    }

    /// The next slice, once the last has landed at both ends; then roots are compared again.
    pub(super) fn mend_on(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let (link, at) = (session.link, session.at);
        let Stage::Mending { here, there } = session.stage else {
            return Ok(());
        };
        if here || there {
            return Ok(());
        }
        if session.found() == 0 {
            if session.progress == 0 {
                match session.rung {
                    Rung::Sketch => session.rung = Rung::Descent,
                    Rung::Descent => {
                        // Entries were exchanged and nothing came of it.
                        let message = TreeMessage::Doubt;
                        out.push(Output::Send { link, message });
                        self.end(now, false, out);
                        self.check_now();
                        return Ok(());
                    }
                }
            }
            if session.rounds >= ROUNDS_MAX {
                self.end(now, false, out);
                return Ok(());
            }
            return self.ask_roots(now, store, out);
        }
        let wanted = session
            .theirs
            .split_off(session.theirs.len().saturating_sub(WANTED_MAX));
        let served = session
            .ours
            .split_off(session.ours.len().saturating_sub(WANTED_MAX));
        let dots = self.founded(store, &served, out)?;
        if let Some(session) = &mut self.session {
            session.stage = Stage::Mending {
                here: !wanted.is_empty(),
                there: !dots.is_empty(),
            };
            // Records that our own log does not bear out are mended by storage.
            session.progress += u64::from(dots.is_empty() && !served.is_empty());
        }
        let idle = wanted.is_empty() && dots.is_empty();
        if !wanted.is_empty() {
            let leaves = wanted
                .iter()
                .flat_map(|short| short.to_be_bytes())
                .collect::<Vec<u8>>();
            let leaves = ByteBuf::from(leaves);
            self.send(now, TreeMessage::Want { at, leaves }, out);
        }
        if !dots.is_empty() {
            out.push(Output::Serve { link, dots });
        }
        if idle {
            return self.mend_on(now, store, out);
        }
        Ok(())
    }

    /// Entries from a peer have landed.
    pub(super) fn mended(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        mended: usize,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let message = TreeMessage::Took {
            mended: mended as u64,
        };
        out.push(Output::Send { link, message });
        let Some(session) = self.session.as_mut().filter(|session| session.link == link) else {
            return Ok(());
        };
        if let Stage::Mending { here, .. } = &mut session.stage {
            *here = false;
            session.mended_here += mended as u64;
            session.progress += mended as u64;
            session.deadline = now.mono + PATIENCE;
            return self.mend_on(now, store, out);
        }
        Ok(())
    }
}
