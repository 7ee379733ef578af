//! Which blobs a record refers to.

use super::BlobId;
use crate::record::Record;
use crate::value::{Map, Value};

/// How a record refers to a blob: a map, anywhere in its free-form part, with a text `blob_id` of 64 lower-case hex digits.
/// What stands beside it is for people; the blob's own bytes say how many they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRef {
    /// Which.
    pub id: BlobId,
    /// `size`: bytes, as the writer says.
    pub size: Option<u64>,
    /// `content_type` (or `mime_type`, as others write it).
    pub content_type: Option<String>,
    /// `file_name`.
    pub file_name: Option<String>,
}

/// All that a record refers to, each blob once, in the order in which they stand.
pub fn refs(record: &Record) -> Vec<BlobRef> {
    let mut found = Vec::new();
    if !record.deleted {
        look(&record.content, &mut found);
    }
    found
}

fn look(map: &Map, found: &mut Vec<BlobRef>) {
    let text = |key: &str| match map.get(key) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    if let Some(id) = text("blob_id").and_then(|text| BlobId::parse(&text))
        && found.iter().all(|known: &BlobRef| known.id != id)
    {
        found.push(BlobRef {
            id,
            size: match map.get("size") {
                Some(Value::Int(size)) => u64::try_from(*size).ok(),
                _ => None,
            },
            content_type: text("content_type").or_else(|| text("mime_type")),
            file_name: text("file_name").or_else(|| text("name")),
        });
    }
    map.values().for_each(|value| deeper(value, found));
}

fn deeper(value: &Value, found: &mut Vec<BlobRef>) {
    match value {
        Value::Map(map) => look(map, found),
        Value::List(list) => list.iter().for_each(|value| deeper(value, found)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
    }
}
