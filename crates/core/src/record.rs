//! One immutable version of an entity or of a relationship, its canonical form and its digest.
//!
//! Invariant: a record's bytes are its writer's; nothing that a hub adds ever stands in it.

use crate::hash::Digest;
use crate::id::{Id, Version};
use crate::limits::{Limits, NAME_BYTES_MAX, WORD_BYTES_MAX};
use crate::value::{self, Map, Value};

/// A record that this one replaces: named by version and, where the writer knows it, by digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parent {
    /// Its name.
    pub version: Version,
    /// Its identity, or None for a bare name.
    pub digest: Option<Digest>,
}

/// What is versioned: a thing, or an edge between two things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A room, a device, a note…
    Entity {
        /// Its type; never changes for an id.
        entity_type: String,
        /// What people call it.
        name: Option<String>,
        /// Where it came from (`manual`, `imported`, …).
        source_type: Option<String>,
    },
    /// A typed edge.
    Relationship {
        /// Where it starts.
        from: Id,
        /// Where it ends.
        to: Id,
        /// Its type.
        relationship_type: String,
    },
}

/// One record. `content` is what the wire calls `content` for entities and `properties` for relationships; `extra`
/// holds the fields of the envelope that nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is a version of.
    pub id: Id,
    /// Its name on the wire.
    pub version: Version,
    /// Entity or relationship.
    pub kind: Kind,
    /// Who wrote it.
    pub user_id: Option<String>,
    /// What it replaces, sorted, without doubles.
    pub parents: Vec<Parent>,
    /// Whether it says "deleted".
    pub deleted: bool,
    /// The free-form part.
    pub content: Map,
    /// Unknown fields of the envelope, kept and passed on.
    pub extra: Map,
}

/// A field of the envelope that names the restore a record is part of: kept like any other, and no content: readers are
/// not shown it, and it is never in conflict.
pub const RESTORE_ID: &str = "restore_id";

/// Fields of the wire that the canonical form says otherwise or not at all.
const NEVER_STORED: [&str; 4] = ["checksum", "digest", "parent_versions", "parent_digests"];

/// Why a record was refused: a stable code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct RecordError {
    /// Stable, in lower case.
    pub code: &'static str,
    /// What was wrong, with the field.
    pub detail: String,
}

fn refuse<T>(code: &'static str, detail: impl Into<String>) -> Result<T, RecordError> {
    Err(RecordError {
        code,
        detail: detail.into(),
    })
}

impl Record {
    /// Whether it is an entity.
    pub fn is_entity(&self) -> bool {
        matches!(self.kind, Kind::Entity { .. })
    }

    /// The entity type, or None for a relationship.
    pub fn entity_type(&self) -> Option<&str> {
        match &self.kind {
            Kind::Entity { entity_type, .. } => Some(entity_type),
            Kind::Relationship { .. } => None,
        }
    }

    /// Whether everything but version, writer and parents is equal: heads of equal content are no conflict.
    pub fn same_content(&self, other: &Record) -> bool {
        let extra = |record: &'_ Record| -> Vec<(String, Value)> {
            let told = record.extra.iter().filter(|(key, _)| *key != RESTORE_ID);
            told.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        self.kind == other.kind
            && self.deleted == other.deleted
            && self.content == other.content
            && (self.extra == other.extra || extra(self) == extra(other))
    }

    /// What stays of it when its content is forgotten: what it is a version of, its name, its type or ends, its writer,
    /// its parents, and whether it says "deleted".
    pub fn skeleton(&self) -> Record {
        let mut record = self.clone();
        record.content = Map::new();
        record.extra = Map::new();
        if let Kind::Entity {
            name, source_type, ..
        } = &mut record.kind
        {
            (*name, *source_type) = (None, None);
        }
        record
    }

    /// Its fields by their names in the canonical form, sorted by key.
    fn fields(&self) -> Map {
        let mut map = self.extra.clone();
        let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
        put("id", self.id.as_str().into());
        put("version", self.version.as_str().into());
        match &self.kind {
            Kind::Entity {
                entity_type,
                name,
                source_type,
            } => {
                put("entity_type", entity_type.as_str().into());
                if let Some(name) = name {
                    put("name", name.as_str().into());
                }
                if let Some(source_type) = source_type {
                    put("source_type", source_type.as_str().into());
                }
                put("content", Value::Map(self.content.clone()));
            }
            Kind::Relationship {
                from,
                to,
                relationship_type,
            } => {
                put("from_entity_id", from.as_str().into());
                put("to_entity_id", to.as_str().into());
                put("relationship_type", relationship_type.as_str().into());
                put("properties", Value::Map(self.content.clone()));
            }
        }
        if let Some(user_id) = &self.user_id {
            put("user_id", user_id.as_str().into());
        }
        if self.deleted {
            put("deleted", Value::Bool(true));
        }
        map
    }

    /// The bytes that are hashed and stored (DESIGN: *canonical form*).
    pub fn canonical(&self) -> Vec<u8> {
        let mut map = self.fields();
        if !self.parents.is_empty() {
            let parents = self.parents.iter().map(|parent| {
                let digest = parent
                    .digest
                    .map_or(Value::Null, |digest| Value::Text(digest.to_string()));
                Value::List(vec![parent.version.as_str().into(), digest])
            });
            map.insert("parents".to_owned(), Value::List(parents.collect()));
        }
        value::canonical(&map)
    }

    /// Reads a canonical form back. Refuses bytes that are not exactly what [`Record::canonical`] writes, so that
    /// one record has one digest.
    pub fn from_canonical(bytes: &[u8]) -> Result<Record, RecordError> {
        let record = Record::from_stored(bytes)?;
        if !record.parents.is_sorted_by(|a, b| a < b) {
            return refuse("malformed", "the parents are not sorted, or one stands twice");
        }
        let stray =
            |(key, value): (&String, &Value)| *value == Value::Null || NEVER_STORED.contains(&key.as_str());
        if record.extra.iter().any(stray) {
            return refuse(
                "malformed",
                "a null, or a field that only the wire has, stands in the record",
            );
        }
        if record.canonical() != bytes {
            return refuse("malformed", "the record is not in canonical form");
        }
        Ok(record)
    }

    /// Reads bytes that were verified when they came in.
    pub fn from_stored(bytes: &[u8]) -> Result<Record, RecordError> {
        // The protocol's own bounds, whatever this hub's door allows: what a peer accepted must be readable here.
        let limits = Limits::default();
        // A parent is three values here and two at the door, and some fields are written that a client may leave out.
        let elements_max = limits.elements_max + limits.parents_max + 16;
        let budget = value::Budget::new(limits.depth_max + 2, elements_max);
        let value = value::decode_msgpack(bytes, &budget).map_err(|refusal| RecordError {
            code: refusal.code,
            detail: refusal.detail,
        })?;
        let Value::Map(mut map) = value else {
            return refuse("malformed", "a record is a map");
        };
        let parents = match map.remove("parents") {
            None => Vec::new(),
            Some(Value::List(list)) => list.iter().map(canonical_parent).collect::<Result<_, _>>()?,
            Some(other) => return refuse("malformed", format!("parents is {}, not a list", other.kind())),
        };
        let entity = map.contains_key("entity_type");
        read(map, entity, parents)
    }

    /// Reads what a client sends: an entity or a relationship as INTERFACE has it. `deleted` adds to the field.
    pub fn from_wire(
        mut map: Map,
        entity: bool,
        deleted: bool,
        limits: &Limits,
    ) -> Result<Record, RecordError> {
        map.retain(|_, value| *value != Value::Null);
        for reserved in ["parents", "digest"]
            .iter()
            .chain(if entity { &[][..] } else { &["entity_type"] })
        {
            if map.contains_key(*reserved) {
                return refuse(
                    "reserved_field",
                    format!("the field {reserved} is the protocol's own: rename it"),
                );
            }
        }
        let versions = take_list(&mut map, "parent_versions")?;
        let digests = take_list(&mut map, "parent_digests")?;
        if versions.len().max(digests.len()) > limits.parents_max {
            return refuse(
                "limit_parents",
                format!("more than {} parents", limits.parents_max),
            );
        }
        if !digests.is_empty() && digests.len() != versions.len() {
            return refuse(
                "malformed",
                "parent_digests must have as many items as parent_versions",
            );
        }
        let mut parents = Vec::with_capacity(versions.len());
        for (at, version) in versions.iter().enumerate() {
            let version = version.as_text().map_or_else(
                || refuse("malformed", "parent_versions holds something that is no string"),
                |text| Version::new(text).map_err(|error| malformed(&error)),
            )?;
            let digest = match digests.get(at) {
                None | Some(Value::Null) => None,
                Some(value) => Some(hex_digest(value)?),
            };
            parents.push(Parent { version, digest });
        }
        parents.sort();
        parents.dedup();
        let checksum = map.remove("checksum");
        if deleted {
            map.insert("deleted".to_owned(), Value::Bool(true));
        }
        let record = read(map, entity, parents)?;
        let content = value::canonical(&record.content);
        if content.len() > limits.content_bytes_max {
            let detail = format!(
                "content has {} bytes; at most {} are allowed",
                content.len(),
                limits.content_bytes_max
            );
            return refuse("limit_content", detail);
        }
        match checksum {
            None => {}
            Some(Value::Text(text)) if Digest::parse(&text) == Some(Digest::of(&content)) => {}
            Some(_) => {
                let detail = format!(
                    "checksum does not fit the content, whose SHA-256 is {}",
                    Digest::of(&content)
                );
                return refuse("checksum_mismatch", detail);
            }
        }
        Ok(record)
    }

    /// What clients are shown: the fields of [`Record::from_wire`], with parents and the content's checksum.
    pub fn to_wire(&self) -> Map {
        let mut map = self.fields();
        let versions = self.parents.iter().map(|parent| parent.version.as_str().into());
        map.insert("parent_versions".to_owned(), Value::List(versions.collect()));
        if self.parents.iter().any(|parent| parent.digest.is_some()) {
            let digests = self
                .parents
                .iter()
                .map(|p| p.digest.map_or(Value::Null, |d| Value::Text(d.to_string())));
            map.insert("parent_digests".to_owned(), Value::List(digests.collect()));
        }
        map.insert("deleted".to_owned(), Value::Bool(self.deleted));
        let checksum = Digest::of(&value::canonical(&self.content));
        map.insert("checksum".to_owned(), Value::Text(checksum.to_string()));
        map
    }
}

fn malformed(error: &crate::id::NameError) -> RecordError {
    RecordError {
        code: "malformed",
        detail: error.to_string(),
    }
}

fn hex_digest(value: &Value) -> Result<Digest, RecordError> {
    match value.as_text().and_then(Digest::parse) {
        Some(digest) => Ok(digest),
        None => refuse("malformed", "a parent's digest is not 64 lower-case hex digits"),
    }
}

fn canonical_parent(value: &Value) -> Result<Parent, RecordError> {
    let Some([version, digest]) = value.as_list() else {
        return refuse("malformed", "a parent is a list of version and digest");
    };
    let version = Version::new(version.as_text().unwrap_or_default()).map_err(|error| malformed(&error))?;
    let digest = match digest {
        Value::Null => None,
        other => Some(hex_digest(other)?),
    };
    Ok(Parent { version, digest })
}

fn take_list(map: &mut Map, key: &str) -> Result<Vec<Value>, RecordError> {
    match map.remove(key) {
        None => Ok(Vec::new()),
        Some(Value::List(list)) => Ok(list),
        Some(other) => refuse("malformed", format!("{key} is {}, not a list", other.kind())),
    }
}

/// Takes the text at `key` out of the map, within a bound.
fn take_text(map: &mut Map, key: &str, max: usize) -> Result<Option<String>, RecordError> {
    match map.remove(key) {
        None => Ok(None),
        Some(Value::Text(text)) if text.len() <= max => Ok(Some(text)),
        Some(Value::Text(text)) => refuse(
            "malformed",
            format!("{key} has {} bytes; at most {max} are allowed", text.len()),
        ),
        Some(other) => refuse("malformed", format!("{key} is {}, not a string", other.kind())),
    }
}

fn need_text(map: &mut Map, key: &str, max: usize) -> Result<String, RecordError> {
    match take_text(map, key, max)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => refuse("malformed", format!("{key} is missing or empty")),
    }
}

fn need_id(map: &mut Map, key: &str) -> Result<Id, RecordError> {
    let text = need_text(map, key, usize::MAX)?;
    Id::new(&text).map_err(|error| RecordError {
        code: "malformed",
        detail: format!("{key}: {error}"),
    })
}

fn read(mut map: Map, entity: bool, parents: Vec<Parent>) -> Result<Record, RecordError> {
    let id = need_id(&mut map, "id")?;
    let version = take_text(&mut map, "version", usize::MAX)?.unwrap_or_default();
    let version = Version::new(&version).map_err(|error| RecordError {
        code: "bad_version",
        detail: error.to_string(),
    })?;
    let kind = if entity {
        Kind::Entity {
            entity_type: need_text(&mut map, "entity_type", WORD_BYTES_MAX)?,
            name: take_text(&mut map, "name", NAME_BYTES_MAX)?,
            source_type: take_text(&mut map, "source_type", WORD_BYTES_MAX)?,
        }
    } else {
        Kind::Relationship {
            from: need_id(&mut map, "from_entity_id")?,
            to: need_id(&mut map, "to_entity_id")?,
            relationship_type: need_text(&mut map, "relationship_type", WORD_BYTES_MAX)?,
        }
    };
    let user_id = take_text(&mut map, "user_id", WORD_BYTES_MAX.max(255))?;
    let deleted = match map.remove("deleted") {
        None => false,
        Some(Value::Bool(deleted)) => deleted,
        Some(other) => return refuse("malformed", format!("deleted is {}, not a boolean", other.kind())),
    };
    let free = if entity { "content" } else { "properties" };
    let content = match map.remove(free) {
        None => Map::new(),
        Some(Value::Map(content)) => content,
        Some(other) => return refuse("malformed", format!("{free} is {}, not a map", other.kind())),
    };
    Ok(Record {
        id,
        version,
        kind,
        user_id,
        parents,
        deleted,
        content,
        extra: map,
    })
}

#[cfg(test)]
mod tests;
