//! What a hub holds, in memory for as long as an import runs, and the plan's wishes as edits on top of it.

use std::collections::BTreeMap;

use inbetweenies_client::{Draft, Frame, Opened, Replica, StoreError};
use inbetweenies_core::id::Id;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::record::{Kind, Parent, Record};
use inbetweenies_core::value::{Map, Value};
use serde_json::Map as Json;

use crate::api::{Hub, Keeper};
use crate::commands::say::Failure;
use crate::import::home_assistant::{Known, KnownEntity, KnownRelationship, Plan, Wanted};
use crate::import::home_assistant::{WantedEntity, WantedRelationship};

/// Who the versions of an import name as their writer.
const USER: &str = "import";

/// A replica that lives as long as the command. Its versions stay the same while it does, so every push may be repeated.
pub struct Memory {
    replica: Replica,
}

impl Memory {
    /// A replica that holds nothing yet.
    pub fn new() -> Result<Memory, Failure> {
        let random =
            getrandom::u64().map_err(|error| Failure::io(format!("no chance from the system: {error}")))?;
        let opened = Opened::new(uuid::Uuid::new_v4().to_string(), USER.to_owned(), random);
        let replica = Replica::open(opened).map_err(|error| Failure::new(error.to_string()))?;
        Ok(Memory { replica })
    }
}

impl Keeper for Memory {
    fn replica(&self) -> &Replica {
        &self.replica
    }

    fn keep(&mut self, frame: &Frame) -> Result<(), StoreError> {
        self.replica.apply(frame).map_err(|error| StoreError::Frame {
            path: "memory".into(),
            error,
        })
    }
}

/// One id as the hub shows it.
pub struct Seen {
    record: Record,
    heads: Vec<Parent>,
}

/// Everything that the hub shows, tombstones included.
pub struct Graph {
    seen: BTreeMap<String, Seen>,
}

impl Graph {
    /// Reads it from a replica that was synced with superseded records left out. Views of several heads need those, so
    /// such ids are asked of the hub by themselves.
    pub async fn read(replica: &Replica, hub: &Hub) -> Result<Graph, Failure> {
        let mut seen = BTreeMap::new();
        for view in replica.views(&replica.policy()) {
            let id = view.record.id.to_string();
            let mut shown = Seen {
                record: view.record,
                heads: view.heads,
            };
            if shown.heads.len() > 1 {
                shown = ask(hub, &shown).await?.unwrap_or(shown);
            }
            seen.insert(id, shown);
        }
        Ok(Graph { seen })
    }

    /// As the planner wants it.
    pub fn known(&self) -> Known {
        let mut known = Known::default();
        for (id, Seen { record, .. }) in &self.seen {
            let (id, deleted) = (id.clone(), record.deleted);
            match &record.kind {
                Kind::Entity {
                    entity_type, name, ..
                } => known.entities.push(KnownEntity {
                    id,
                    entity_type: entity_type.clone(),
                    name: name.clone().unwrap_or_default(),
                    content: json(&record.content),
                    deleted,
                }),
                Kind::Relationship {
                    from,
                    to,
                    relationship_type,
                } => known.relationships.push(KnownRelationship {
                    id,
                    relationship_type: relationship_type.clone(),
                    from: from.to_string(),
                    to: to.to_string(),
                    properties: json(&record.content),
                    deleted,
                }),
            }
        }
        known
    }

    /// The plan as edits: things before the edges that need them, and edges away before the things they end at.
    pub fn drafts(&self, plan: &Plan) -> Result<Vec<Draft>, Failure> {
        let mut drafts = Vec::new();
        for thing in plan.create.entities.iter().chain(&plan.edit.entities) {
            drafts.push(self.thing(thing, false)?);
        }
        for edge in plan.create.relationships.iter().chain(&plan.edit.relationships) {
            drafts.push(self.edge(edge, false)?);
        }
        for edge in &plan.delete.relationships {
            drafts.push(self.edge(edge, true)?);
        }
        for thing in &plan.delete.entities {
            drafts.push(self.thing(thing, true)?);
        }
        Ok(drafts)
    }

    fn thing(&self, wanted: &WantedEntity, deleted: bool) -> Result<Draft, Failure> {
        let (content, name) = (map(&wanted.content, &wanted.id)?, Some(wanted.name.clone()));
        let name = name.filter(|name| !name.is_empty());
        let new = Draft::entity(
            id(&wanted.id)?,
            &wanted.entity_type,
            name.clone(),
            "imported",
            content,
        );
        let mut draft = self.on_top(new, deleted);
        if let Kind::Entity { name: shown, .. } = &mut draft.kind {
            *shown = name;
        }
        Ok(draft)
    }

    fn edge(&self, wanted: &WantedRelationship, deleted: bool) -> Result<Draft, Failure> {
        let properties = map(&wanted.properties, &wanted.id)?;
        let (from, to) = (id(&wanted.from)?, id(&wanted.to)?);
        let new = Draft::relationship(id(&wanted.id)?, from, &wanted.relationship_type, to, properties);
        let kind = new.kind.clone();
        Ok(Draft {
            kind,
            ..self.on_top(new, deleted)
        })
    }

    /// On top of what is shown, if anything is, with its envelope but for what the wish says.
    fn on_top(&self, new: Draft, deleted: bool) -> Draft {
        match self.seen.get(new.id.as_str()) {
            None => Draft { deleted, ..new },
            Some(seen) => Draft {
                kind: seen.record.kind.clone(),
                extra: seen.record.extra.clone(),
                parents: seen.heads.clone(),
                deleted,
                ..new
            },
        }
    }
}

async fn ask(hub: &Hub, seen: &Seen) -> Result<Option<Seen>, Failure> {
    let (id, entity) = (seen.record.id.as_str(), seen.record.is_entity());
    let shown = if entity {
        hub.entity(id).await?
    } else {
        hub.relationship(id).await?
    };
    let Some(shown) = shown else {
        return Ok(None);
    };
    let record = Record::from_wire(shown.record, entity, false, &Limits::default());
    let record =
        record.map_err(|error| Failure::new(format!("the hub's view of {id} does not read: {error}")))?;
    Ok(Some(Seen {
        record,
        heads: shown.heads,
    }))
}

/// The wished-for graph in the form in which a hub will show it: numbers have one form there, so that what a hub shows
/// and what the folder says are equal when they mean the same.
pub fn settled(mut wanted: Wanted) -> Result<Wanted, Failure> {
    for it in &mut wanted.entities {
        it.content = json(&map(&it.content, &it.id)?);
    }
    for it in &mut wanted.relationships {
        it.properties = json(&map(&it.properties, &it.id)?);
    }
    Ok(wanted)
}

fn id(text: &str) -> Result<Id, Failure> {
    Id::new(text).map_err(|error| Failure::new(error.to_string()))
}

fn map(content: &Json<String, serde_json::Value>, id: &str) -> Result<Map, Failure> {
    let value = serde_json::Value::Object(content.clone());
    let read: Result<Value, serde_json::Error> = serde::Deserialize::deserialize(value);
    match read {
        Ok(Value::Map(map)) => Ok(map),
        Ok(other) => Err(Failure::new(format!("{id}: its content is {}", other.kind()))),
        Err(error) => Err(Failure::new(format!("{id}: its content cannot be kept: {error}"))),
    }
}

fn json(map: &Map) -> Json<String, serde_json::Value> {
    match serde_json::to_value(map) {
        Ok(serde_json::Value::Object(map)) => map,
        // What a Value holds, JSON can say.
        _ => Json::new(),
    }
}
