//! The reading paths: one thing, lists, versions.

use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::Version;
use inbetweenies_core::record::Parent;
use inbetweenies_core::value::{Map, Value};

use super::failure::Malformed;
use super::fields::{Fields, malformed};

/// One entity or relationship as a hub shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its fields, as they stand under `entity` or `relationship`.
    pub record: Map,
    /// What an edit names as its parents.
    pub heads: Vec<Parent>,
    /// Whether it is the last write, marked, until somebody answers.
    pub provisional: bool,
    /// Whether heads differ.
    pub conflict: bool,
    /// Parents that the hub does not hold.
    pub missing_parents: Vec<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the hub's order.
    pub items: Vec<Shown>,
    /// To be given back for the next page; None on the last.
    pub cursor: Option<String>,
}

/// One version in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// The record as its writer wrote it.
    pub record: Map,
    /// Versions that it replaces and that are held.
    pub parents: Vec<String>,
    /// Versions that replace it.
    pub children: Vec<String>,
    /// `head`, `superseded`, `lost` or `forgotten`.
    pub state: String,
    /// Where and when it was accepted.
    pub accepted: Vec<Accepted>,
}

/// One hub's acceptance of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The hub.
    pub hub_id: String,
    /// Its stamp.
    pub order_time: String,
}

impl Shown {
    /// Whether it says "deleted".
    pub fn is_deleted(&self) -> bool {
        self.record.get("deleted") == Some(&Value::Bool(true))
    }

    /// One text field of the record.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.record.get(key).and_then(Value::as_text)
    }

    /// Reads one decoded view.
    pub fn read(value: Value) -> Result<Shown, Malformed> {
        let mut fields = Fields::of(value, "a view")?;
        let record = record_of(&mut fields)?;
        let versions = fields.texts("heads")?;
        let digests = fields.texts("head_digests")?;
        if digests.len() != versions.len() {
            return malformed("a view: head_digests has not as many items as heads");
        }
        let heads = versions.iter().zip(&digests).map(|(version, digest)| {
            let version =
                Version::new(version).map_err(|error| Malformed(format!("a view: heads: {error}")))?;
            match Digest::parse(digest) {
                Some(digest) => Ok(Parent {
                    version,
                    digest: Some(digest),
                }),
                None => malformed("a view: head_digests holds something that is no digest"),
            }
        });
        Ok(Shown {
            heads: heads.collect::<Result<_, Malformed>>()?,
            record,
            provisional: fields.flag("provisional"),
            conflict: fields.flag("conflict"),
            missing_parents: fields.texts("missing_parents")?,
        })
    }
}

fn record_of(fields: &mut Fields) -> Result<Map, Malformed> {
    match fields.any("entity").or_else(|| fields.any("relationship")) {
        Some(Value::Map(map)) => Ok(map),
        _ => malformed("a view has neither entity nor relationship"),
    }
}

impl Page {
    /// Reads a decoded list whose items stand under `key`.
    pub fn read(value: Value, key: &str) -> Result<Page, Malformed> {
        let mut fields = Fields::of(value, "a list")?;
        let items = fields.list(key)?;
        Ok(Page {
            items: items.into_iter().map(Shown::read).collect::<Result<_, _>>()?,
            cursor: fields.text_if("cursor")?,
        })
    }
}

impl VersionRow {
    /// Reads a decoded page of a history, newest first, and the cursor for the next.
    pub fn read_page(value: Value) -> Result<(Vec<VersionRow>, Option<String>), Malformed> {
        let Value::Map(mut answer) = value else {
            return malformed(format!("a history is {}, not a map", value.kind()));
        };
        let cursor = match answer.remove("cursor") {
            Some(Value::Text(cursor)) => Some(cursor),
            _ => None,
        };
        match answer.remove("versions") {
            Some(Value::List(versions)) => {
                let rows = versions
                    .into_iter()
                    .map(VersionRow::read)
                    .collect::<Result<_, _>>()?;
                Ok((rows, cursor))
            }
            _ => malformed("a history has no versions"),
        }
    }

    fn read(value: Value) -> Result<VersionRow, Malformed> {
        let mut fields = Fields::of(value, "a version")?;
        let accepted = fields.list("accepted")?.into_iter().map(|row| {
            let mut row = Fields::of(row, "an acceptance")?;
            Ok(Accepted {
                hub_id: row.text("hub_id")?,
                order_time: row.text("order_time")?,
            })
        });
        Ok(VersionRow {
            accepted: accepted.collect::<Result<_, Malformed>>()?,
            record: record_of(&mut fields)?,
            parents: fields.texts("parents")?,
            children: fields.texts("children")?,
            state: fields.text("state")?,
        })
    }
}
