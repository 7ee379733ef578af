//! What bare parent names stand for at this hub: a record that bears the name, or the heads that a computed one names.

use std::collections::{BTreeMap, BTreeSet};

use super::group::Group;
use crate::hash::Digest;
use crate::id::Version;
use crate::machine::load_graph;
use crate::record::Record;
use crate::store::StoreError;
use crate::view::named_heads;

/// Who bears which version among the records of one id: read once for a group and kept in step with what it brings.
#[derive(Debug, Default)]
pub(super) struct Bearers {
    by_version: BTreeMap<Version, Vec<Digest>>,
    digests: BTreeSet<Digest>,
}

impl Bearers {
    pub fn add(&mut self, version: &Version, digest: Digest) {
        self.by_version.entry(version.clone()).or_default().push(digest);
        self.digests.insert(digest);
    }

    /// The one record that bears the name; for a computed version the heads that it names, if all are here; else
    /// nothing: the name is left to be resolved when more has come.
    fn stands_for(&self, name: &Version) -> Vec<Digest> {
        match self.by_version.get(name).map(Vec::as_slice) {
            Some([only]) => vec![*only],
            Some(_) => Vec::new(),
            None => {
                let heads = named_heads(name)
                    .into_iter()
                    .map(|prefix| self.only_with_prefix(prefix));
                let heads: Option<BTreeSet<Digest>> = heads.collect();
                heads.unwrap_or_default().into_iter().collect()
            }
        }
    }

    fn only_with_prefix(&self, prefix: [u8; 4]) -> Option<Digest> {
        let mut from = [0; 32];
        from[..4].copy_from_slice(&prefix);
        let mut matching = self
            .digests
            .range(Digest(from)..)
            .take_while(|digest| digest.0[..4] == prefix);
        let only = matching.next()?;
        matching.next().is_none().then_some(*only)
    }
}

impl Group<'_> {
    /// What each bare parent name of a record stands for at this hub now, as long as there is room for it in the entry.
    /// O(names), and O(versions) for the first record of an id in a group.
    pub fn resolve_names(
        &mut self,
        record: &Record,
        room: &mut usize,
    ) -> Result<Vec<Vec<Digest>>, StoreError> {
        let bare = || record.parents.iter().filter(|parent| parent.digest.is_none());
        if bare().next().is_none() {
            return Ok(Vec::new());
        }
        if !self.bearers.contains_key(&record.id) {
            let mut bearers = Bearers::default();
            for node in load_graph(&self.overlay, &record.id)?.nodes() {
                bearers.add(&node.sealed.record.version, node.sealed.digest);
            }
            self.bearers.insert(record.id.clone(), bearers);
        }
        let bearers = &self.bearers[&record.id];
        let mut resolve = |name: &Version| -> Vec<Digest> {
            let digests = bearers.stands_for(name);
            match room.checked_sub(digests.len()) {
                Some(left) => {
                    *room = left;
                    digests
                }
                None => Vec::new(),
            }
        };
        Ok(bare().map(|parent| resolve(&parent.version)).collect())
    }
}
