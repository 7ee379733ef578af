//! From what a person writes to what is meant.

use inbetweenies_client::{NotFound, Replica};
use inbetweenies_core::id::Id;
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::view::{Policy, View};
use uuid::Uuid;

use crate::commands::say::{Failure, clean};

/// A thing or an edge that is shown, by id, the beginning of one, or name.
pub fn shown(replica: &Replica, policy: &Policy, word: &str) -> Result<View, Failure> {
    let id = replica.find(word, policy)?;
    match replica.view(&id, policy) {
        Some(view) if view.record.deleted => Err(Failure::new(format!(
            "{} is deleted; `history {id}` shows what it was",
            label(&view.record)
        ))),
        Some(view) => Ok(view),
        None => Err(NotFound::Nothing(word.to_owned()).into()),
    }
}

/// The end of an edge: what is here, or a UUID that may be on a hub.
pub fn end(replica: &Replica, policy: &Policy, word: &str) -> Result<Id, Failure> {
    match replica.find(word, policy) {
        Ok(id) => Ok(id),
        Err(NotFound::Nothing(_)) if Uuid::try_parse(word).is_ok() => id(word),
        Err(error) => Err(error.into()),
    }
}

/// An id of any writer.
pub fn id(text: &str) -> Result<Id, Failure> {
    Id::new(text).map_err(|error| Failure::usage(error.to_string()))
}

/// A new id.
pub fn fresh() -> Result<Id, Failure> {
    id(&Uuid::new_v4().to_string())
}

/// What people call it: its name, else its id.
pub fn name(record: &Record) -> String {
    match &record.kind {
        Kind::Entity { name: Some(name), .. } => clean(name),
        Kind::Entity { .. } => clean(record.id.as_str()),
        Kind::Relationship {
            relationship_type, ..
        } => clean(relationship_type),
    }
}

/// A thing in a few words: type, name, id.
pub fn label(record: &Record) -> String {
    let (kind, name) = match &record.kind {
        Kind::Entity {
            entity_type, name, ..
        } => (entity_type, name.as_deref()),
        Kind::Relationship {
            relationship_type, ..
        } => (relationship_type, None),
    };
    label_of(kind, name, record.id.as_str())
}

/// The same of one that is no record.
pub fn label_of(kind: &str, name: Option<&str>, id: &str) -> String {
    let (kind, id) = (clean(kind), clean(id));
    match name {
        Some(name) => format!("{kind} \"{}\" ({id})", clean(name)),
        None => format!("{kind} {id}"),
    }
}
