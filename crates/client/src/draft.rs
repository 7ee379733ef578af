//! Drafts: what an edit wants. A draft becomes a record when it is stamped with a version and the heads it was made on.

use std::sync::Arc;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::conflict::answer::{Answer, AnswerError};
use inbetweenies_core::entry::Sealed;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Id, Version};
use inbetweenies_core::limits::Limits;
use inbetweenies_core::record::{Kind, Parent, RESTORE_ID, Record};
use inbetweenies_core::time::{Micros, order_time};
use inbetweenies_core::value::{Budget, Map, decode_msgpack};
use inbetweenies_core::view::{Policy, View};
use inbetweenies_core::wire::{SyncRequest, SyncType};
use serde_bytes::ByteBuf;

use crate::frame::{Edited, LocalRecord};
use crate::replica::Replica;
use crate::wire::Exchange;

/// A record without version and writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Of what.
    pub id: Id,
    /// Thing or edge.
    pub kind: Kind,
    /// `content` or `properties`.
    pub content: Map,
    /// Fields of the envelope that nobody here knows.
    pub extra: Map,
    /// Whether it says "deleted".
    pub deleted: bool,
    /// The heads it replaces.
    pub parents: Vec<Parent>,
}

/// Why a draft became no record: as the hub's door would say. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail} ({code})")]
pub struct DraftError {
    /// Stable, in lower case.
    pub code: String,
    /// What was wrong.
    pub detail: String,
}

impl Draft {
    /// A new thing.
    pub fn entity(id: Id, entity_type: &str, name: Option<String>, source_type: &str, content: Map) -> Draft {
        let kind = Kind::Entity {
            entity_type: entity_type.to_owned(),
            name,
            source_type: Some(source_type.to_owned()),
        };
        Draft {
            id,
            kind,
            content,
            extra: Map::new(),
            deleted: false,
            parents: Vec::new(),
        }
    }

    /// A new edge.
    pub fn relationship(id: Id, from: Id, relationship_type: &str, to: Id, properties: Map) -> Draft {
        let relationship_type = relationship_type.to_owned();
        let kind = Kind::Relationship {
            from,
            to,
            relationship_type,
        };
        Draft {
            id,
            kind,
            content: properties,
            extra: Map::new(),
            deleted: false,
            parents: Vec::new(),
        }
    }

    /// What is shown, to be edited: on top of all its heads, so that the edit settles them.
    pub fn on(view: &View) -> Draft {
        let mut extra = view.record.extra.clone();
        extra.remove(RESTORE_ID); // this is another edit
        Draft {
            id: view.record.id.clone(),
            kind: view.record.kind.clone(),
            content: view.record.content.clone(),
            extra,
            deleted: view.record.deleted,
            parents: view.heads.clone(),
        }
    }
}

impl Replica {
    /// A person's answer to a conflict, as this device sees it: an edit on top of the heads that the person saw.
    pub fn answer(&self, id: &Id, policy: &Policy, answer: &Answer) -> Result<Draft, AnswerError> {
        let answered = answer.on(id, &self.graph(id), policy)?;
        Ok(Draft {
            id: id.clone(),
            kind: answered.kind,
            content: answered.content,
            extra: answered.extra,
            deleted: answered.deleted,
            parents: answered.parents,
        })
    }

    /// Makes one change set of drafts, with versions of this device and the checks of a hub's door. `now` is what this
    /// device's clock says.
    pub fn stamp(&self, drafts: Vec<Draft>, now: Micros) -> Result<Edited, DraftError> {
        let mut counter = self.counter();
        let mut records = Vec::with_capacity(drafts.len());
        for draft in drafts {
            counter += 1;
            let version = format!("{now}-{counter:06}-{}", self.user_id());
            let version = Version::new(&version).map_err(|error| DraftError {
                code: "bad_version".to_owned(),
                detail: error.to_string(),
            })?;
            let mut parents = draft.parents;
            parents.sort();
            parents.dedup();
            records.push(Arc::new(Sealed::new(Record {
                id: draft.id,
                version,
                kind: draft.kind,
                user_id: Some(self.user_id().to_owned()),
                parents,
                deleted: draft.deleted,
                content: draft.content,
                extra: draft.extra,
            })));
        }
        self.check(&records)?;
        let local = |sealed: &Arc<Sealed>| LocalRecord {
            bytes: ByteBuf::from(sealed.bytes.clone()),
            order_time: order_time(Some(now), now, self.largest(&sealed.record)),
        };
        Ok(Edited {
            set: self.next_set(),
            counter,
            records: records.iter().map(local).collect(),
        })
    }

    /// The largest order time among the parents of a record.
    fn largest(&self, record: &Record) -> Option<Micros> {
        let named: Vec<Digest> = record.parents.iter().filter_map(|parent| parent.digest).collect();
        let parents = self
            .versions(&record.id)
            .filter(|held| named.contains(&held.sealed.digest));
        parents.map(|held| held.order_time()).max()
    }

    /// Goes through the door that a hub has, and through its manifest if the home's own is known.
    fn check(&self, records: &[Arc<Sealed>]) -> Result<(), DraftError> {
        let limits = Limits::default();
        let exchange = Exchange {
            device_id: self.device_id(),
            user_id: self.user_id(),
            sync_type: SyncType::Delta,
            clock: &Clock::new(),
            sets: vec![records.to_vec()],
            heads_only: false,
        };
        let refused = |code: &str, detail: String| DraftError {
            code: code.to_owned(),
            detail,
        };
        let body = decode_msgpack(
            &exchange.encode(),
            &Budget::new(limits.depth_max, limits.elements_max),
        )
        .map_err(|refusal| refused(refusal.code, refusal.detail))?;
        let request =
            SyncRequest::read(body, &limits).map_err(|problem| refused(problem.code, problem.detail))?;
        for set in &request.sets {
            if let Err(rows) = &set.set {
                let culprit = rows.iter().find(|row| row.code != "set_refused").or(rows.first());
                let (code, detail) = culprit.map_or(("malformed", ""), |row| (&row.code, &row.detail));
                return Err(refused(code, detail.to_owned()));
            }
        }
        let Some(policy) = self.own_policy() else {
            return Ok(());
        };
        let type_of = |id: &Id| {
            let here = records
                .iter()
                .find(|sealed| sealed.record.id == *id)
                .map(|sealed| sealed.record.clone());
            let record = here.or_else(|| self.view(id, &policy).map(|view| view.record));
            record.and_then(|record| record.entity_type().map(str::to_owned))
        };
        for sealed in records.iter().filter(|sealed| !sealed.record.deleted) {
            let mut checked = policy.manifest.check(&sealed.record);
            if let Kind::Relationship {
                from,
                to,
                relationship_type,
            } = &sealed.record.kind
            {
                let (from, to) = (type_of(from), type_of(to));
                checked = checked.and_then(|()| {
                    policy
                        .manifest
                        .check_ends(relationship_type, from.as_deref(), to.as_deref())
                });
            }
            checked.map_err(|error| refused(error.code, error.detail))?;
        }
        Ok(())
    }
}
