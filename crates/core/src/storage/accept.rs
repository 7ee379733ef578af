//! A client's change set: known, refused, or given a dot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Output;
use super::group::Group;
use super::order::causes_first;
use crate::domain::is_reserved;
use crate::entry::{ChangeSet, Sealed};
use crate::hash::Digest;
use crate::id::{Dot, Id, Version};
use crate::limits::{HEADS_MAX, LEASE};
use crate::machine::{Landed, SetResult, Ticket};
use crate::record::{Kind, Record, RecordError};
use crate::store::{IdRow, RecordRow, StoreError, read_id, read_record};
use crate::wire::Rejected;
use crate::zoo::{self, Bug};

impl Group<'_> {
    /// Takes the sets of one request, each whole or not at all; the answer follows from durability.
    pub fn accept_all(&mut self, ticket: Ticket, sets: &[ChangeSet]) -> Result<(), StoreError> {
        let mut results = Vec::with_capacity(sets.len());
        for set in sets {
            results.push(self.accept(set)?);
        }
        for result in &mut results {
            if let SetResult::Landed(rows) = result {
                for row in rows {
                    self.settle_heads(&row.id)?;
                    row.contested = read_id(&self.overlay, &row.id)?.is_some_and(|id| id.heads.len() > 1);
                }
            }
        }
        self.follow.push(Output::Accepted { ticket, results });
        Ok(())
    }

    fn accept(&mut self, set: &ChangeSet) -> Result<SetResult, StoreError> {
        let mut known = Vec::with_capacity(set.records.len());
        for sealed in &set.records {
            let row = read_record(&self.overlay, &sealed.record.id, &sealed.digest)?;
            known.push(row.is_some_and(|row| !self.forgotten(&row)));
        }
        if known.contains(&false) {
            let culprits = self.culprits(set, &known)?;
            if !culprits.is_empty() {
                return Ok(SetResult::Refused(with_the_set(set, culprits)));
            }
            if zoo::planted(Bug::HalfSetLogged) {
                let rest = set.records.iter().zip(&known).filter(|(_, known)| !**known);
                let records = rest.map(|(sealed, _)| sealed.clone()).collect();
                self.write_own(&ChangeSet { records })?;
            } else {
                self.write_own(set)?;
            }
        }
        // A set that was known whole gets no dot and is acknowledged again.
        let row = |(sealed, known): (&Arc<Sealed>, bool)| Landed {
            id: sealed.record.id.clone(),
            version: sealed.record.version.clone(),
            digest: sealed.digest,
            entity: sealed.record.is_entity(),
            known,
            contested: false, // told when all sets of the request are in
        };
        Ok(SetResult::Landed(
            set.records.iter().zip(known).map(row).collect(),
        ))
    }

    /// Whether a planted bug makes this hub forget that it holds a record: it was accepted before this process began.
    fn forgotten(&self, row: &RecordRow) -> bool {
        let begun = self.state.lease_end.checked_sub(LEASE);
        let before = |dot: &Dot| {
            Some(dot.replica) == self.state.meta.replica && begun.is_none_or(|begun| dot.sequence < begun)
        };
        zoo::planted(Bug::DedupeLost) && row.dots.iter().all(before)
    }

    /// The records that this hub, as it is now, refuses. Records that it holds already are never among them.
    fn culprits(
        &mut self,
        set: &ChangeSet,
        known: &[bool],
    ) -> Result<BTreeMap<Digest, RecordError>, StoreError> {
        let mut culprits = BTreeMap::new();
        if self.state.meta.home_id.is_none() || !self.state.policy.is_held() {
            let detail =
                "this hub has no home yet, or not its rules: start a hub with mesh.found, or wait for a seed";
            for sealed in &set.records {
                culprits.insert(sealed.digest, refusal("no_home", detail));
            }
            return Ok(culprits);
        }
        let types: BTreeMap<&Id, &str> = set
            .records
            .iter()
            .filter_map(|sealed| Some((&sealed.record.id, sealed.record.entity_type()?)))
            .collect();
        let new = || {
            set.records
                .iter()
                .zip(known)
                .filter(|(_, known)| !**known)
                .map(|(sealed, _)| sealed)
        };
        // What an id that is new with this set is, from its first good record on.
        let mut kinds: BTreeMap<&Id, Option<&str>> = BTreeMap::new();
        let mut by_id: BTreeMap<&Id, Vec<Arc<Sealed>>> = BTreeMap::new();
        for sealed in new() {
            let record = &sealed.record;
            by_id.entry(&record.id).or_default().push(sealed.clone());
            let row = read_id(&self.overlay, &record.id)?;
            let kind = match &row {
                Some(row) => row.entity_type.as_deref(),
                None => kinds.get(&record.id).copied().unwrap_or(record.entity_type()),
            };
            if let Some(error) = self.check(record, kind, &types)? {
                culprits.insert(sealed.digest, error);
            } else {
                kinds.entry(&record.id).or_insert(record.entity_type());
            }
        }
        for (id, records) in by_id {
            self.count_heads(id, &records, &mut culprits)?;
        }
        Ok(culprits)
    }

    /// `kind` is what the record's id is: an entity type, or None for a relationship.
    fn check(
        &self,
        record: &Record,
        kind: Option<&str>,
        types: &BTreeMap<&Id, &str>,
    ) -> Result<Option<RecordError>, StoreError> {
        if is_reserved(record.id.as_str()) {
            let detail = format!("the id {} is reserved", record.id);
            return Ok(Some(refusal("reserved_type", detail)));
        }
        if let Some(entity_type) = record.entity_type().filter(|name| is_reserved(name)) {
            let detail = format!("entities of type {entity_type} are written by hubs only");
            return Ok(Some(refusal("reserved_type", detail)));
        }
        let manifest = &self.state.policy.manifest;
        // Deleting needs no fitting types: what a later policy no longer knows can still be taken away.
        if !record.deleted
            && let Err(error) = manifest.check(record)
        {
            return Ok(Some(error));
        }
        // Deleted or not, thing or edge: what is reserved is not even begun by a client.
        let names = [record.entity_type(), Some(record.id.as_str())];
        if let Some(name) = names.into_iter().flatten().find(|name| is_reserved(name)) {
            let detail =
                format!("{name} is reserved: entities of such types and ids are written by hubs only");
            return Ok(Some(refusal("reserved_type", detail)));
        }
        if kind != record.entity_type() {
            let before = kind.unwrap_or("relationship");
            let now = record.entity_type().unwrap_or("relationship");
            let detail = format!(
                "{} is a {before} and stays one; a {now} needs an id of its own",
                record.id
            );
            return Ok(Some(refusal("type_changed", detail)));
        }
        if let (
            Kind::Relationship {
                from,
                to,
                relationship_type,
            },
            false,
        ) = (&record.kind, record.deleted)
        {
            let ends = [self.type_of(from, types)?, self.type_of(to, types)?];
            let [from, to] = &ends;
            return Ok(manifest
                .check_ends(relationship_type, from.as_deref(), to.as_deref())
                .err());
        }
        Ok(None)
    }

    /// Refuses records that would leave their id with more heads than are allowed, and more than there were.
    fn count_heads(
        &mut self,
        id: &Id,
        records: &[Arc<Sealed>],
        culprits: &mut BTreeMap<Digest, RecordError>,
    ) -> Result<(), StoreError> {
        let kept = |row: Option<IdRow>| row.map_or_else(Vec::new, |row| row.heads);
        if kept(read_id(&self.overlay, id)?).len() + records.len() <= HEADS_MAX {
            return Ok(());
        }
        self.settle_heads(id)?;
        let mut heads: BTreeSet<Digest> = kept(read_id(&self.overlay, id)?).into_iter().collect();
        let mut bearers: BTreeMap<&Version, Vec<Digest>> = BTreeMap::new();
        for sealed in records {
            bearers
                .entry(&sealed.record.version)
                .or_default()
                .push(sealed.digest);
        }
        let mut room = usize::MAX;
        for at in causes_first(records) {
            let Sealed { record, digest, .. } = &*records[at];
            let before = heads.len();
            for named in self.resolve_names(record, &mut room)?.iter().flatten() {
                heads.remove(named);
            }
            for parent in &record.parents {
                match (&parent.digest, bearers.get(&parent.version).map(Vec::as_slice)) {
                    (Some(named), _) | (None, Some([named])) => drop(heads.remove(named)),
                    (None, _) => {}
                }
            }
            heads.insert(*digest);
            if heads.len() > before.max(HEADS_MAX) {
                heads.remove(digest);
                let detail = format!("{id} has {before} heads: name some of them as parents");
                culprits.entry(*digest).or_insert(refusal("limit_heads", detail));
            }
        }
        Ok(())
    }

    /// The type of an entity, where it is known here or stands in the same set.
    fn type_of(&self, id: &Id, types: &BTreeMap<&Id, &str>) -> Result<Option<String>, StoreError> {
        match types.get(id) {
            Some(name) => Ok(Some((*name).to_owned())),
            None => Ok(read_id(&self.overlay, id)?.and_then(|row| row.entity_type)),
        }
    }
}

fn refusal(code: &'static str, detail: impl Into<String>) -> RecordError {
    let detail = detail.into();
    RecordError { code, detail }
}

fn with_the_set(set: &ChangeSet, mut culprits: BTreeMap<Digest, RecordError>) -> Vec<Rejected> {
    set.records
        .iter()
        .map(|sealed| match culprits.remove(&sealed.digest) {
            Some(error) => Rejected {
                id: sealed.record.id.to_string(),
                code: error.code.to_owned(),
                detail: error.detail,
            },
            None => Rejected::with_the_set(sealed.record.id.to_string()),
        })
        .collect()
}
