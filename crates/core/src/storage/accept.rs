//! A client's change set: known, refused, or given a dot.

use std::collections::BTreeMap;

use super::Output;
use super::group::Group;
use crate::domain::is_reserved;
use crate::entry::{ChangeSet, Sealed};
use crate::hash::Digest;
use crate::id::Id;
use crate::limits::HEADS_MAX;
use crate::machine::{Landed, SetResult, Ticket};
use crate::record::{Kind, Record, RecordError};
use crate::store::{StoreError, read_id, read_record};
use crate::wire::Rejected;

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
            known.push(read_record(&self.overlay, &sealed.record.id, &sealed.digest)?.is_some());
        }
        if known.contains(&false) {
            let culprits = self.culprits(set, &known)?;
            if !culprits.is_empty() {
                return Ok(SetResult::Refused(with_the_set(set, culprits)));
            }
            self.write_own(set)?;
        }
        // A set that was known whole gets no dot and is acknowledged again.
        let row = |(sealed, known): (&std::sync::Arc<Sealed>, bool)| Landed {
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

    /// The records that this hub, as it is now, refuses. Records that it holds already are never among them.
    fn culprits(&self, set: &ChangeSet, known: &[bool]) -> Result<BTreeMap<Digest, RecordError>, StoreError> {
        let mut culprits = BTreeMap::new();
        if self.state.meta.home_id.is_none() || !self.state.policy.is_held() {
            let detail =
                "this hub has no home yet, or not its rules: start a hub with mesh.found, or wait for a seed"
                    .to_owned();
            for sealed in &set.records {
                culprits.insert(
                    sealed.digest,
                    RecordError {
                        code: "no_home",
                        detail: detail.clone(),
                    },
                );
            }
            return Ok(culprits);
        }
        let types: BTreeMap<&Id, &str> = set
            .records
            .iter()
            .filter_map(|sealed| Some((&sealed.record.id, sealed.record.entity_type()?)))
            .collect();
        for (sealed, known) in set.records.iter().zip(known) {
            if !known && let Some(error) = self.check(&sealed.record, &types)? {
                culprits.insert(sealed.digest, error);
            }
        }
        Ok(culprits)
    }

    fn check(&self, record: &Record, types: &BTreeMap<&Id, &str>) -> Result<Option<RecordError>, StoreError> {
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
            return Ok(Some(RecordError {
                code: "reserved_type",
                detail,
            }));
        }
        let row = read_id(&self.overlay, &record.id)?;
        if let Some(row) = &row {
            if row.entity_type.as_deref() != record.entity_type() {
                let before = row.entity_type.as_deref().unwrap_or("relationship");
                let now = record.entity_type().unwrap_or("relationship");
                let detail = format!(
                    "{} is a {before} and stays one; a {now} needs an id of its own",
                    record.id
                );
                return Ok(Some(RecordError {
                    code: "type_changed",
                    detail,
                }));
            }
            let names_a_head = record
                .parents
                .iter()
                .any(|p| p.digest.is_some_and(|d| row.heads.contains(&d)));
            if row.heads.len() >= HEADS_MAX && !names_a_head {
                let detail = format!(
                    "{} has {} heads: name some of them as parents",
                    record.id,
                    row.heads.len()
                );
                return Ok(Some(RecordError {
                    code: "limit_heads",
                    detail,
                }));
            }
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

    /// The type of an entity, where it is known here or stands in the same set.
    fn type_of(&self, id: &Id, types: &BTreeMap<&Id, &str>) -> Result<Option<String>, StoreError> {
        match types.get(id) {
            Some(name) => Ok(Some((*name).to_owned())),
            None => Ok(read_id(&self.overlay, id)?.and_then(|row| row.entity_type)),
        }
    }
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
